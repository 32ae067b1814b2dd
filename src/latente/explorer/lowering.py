"""Lowering: from a torch module to a `Program` of plain operations.

::

    module ──torch.export──▶ ATen graph of one sample ──▶ Program

The graph is torch's own, whatever the module is made of. Three things make the set of operations
small. What does not depend on the sample is computed here. What only moves numbers (a reshape, a
slice, a padding, a nearest upsampling …) is tried on the numbers 0, 1, 2 … and kept as the places
from which they came, several in a row as one. And what has a formula in simpler operations is
traced through that formula (`DECOMPOSITIONS`).
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import ParameterError
from ..export import quiet
from .weights import Operation, Program, digest, regular

LARGEST = 64_000_000
"""Most numbers that a constant, or the places of a rearrangement, may have."""

MAPS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{
        name: (name, ())
        for name in (
            "relu", "silu", "sigmoid", "tanh", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt",
            "reciprocal", "abs", "neg", "sign", "sin", "cos", "atan", "erf", "round", "floor",
            "ceil", "trunc", "isnan",
        )
    },
    "leaky_relu": ("leaky_relu", ("negative_slope",)),
    "elu": ("elu", ("alpha", "scale", "input_scale")),
    "softplus": ("softplus", ("beta", "threshold")),
    "hardtanh": ("clamp", ("min_val", "max_val")),
    "logical_not": ("not", ()),
    "bitwise_not": ("not", ()),
}  # fmt: skip
"""ATen's functions of one number: ours, and which of its arguments go with it."""

PAIRS = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "remainder": "remainder", "pow": "pow",
    "maximum": "maximum", "minimum": "minimum", "eq": "eq", "ne": "ne", "lt": "lt", "le": "le",
    "gt": "gt", "ge": "ge", "logical_and": "and", "logical_or": "or", "bitwise_and": "and",
    "bitwise_or": "or",
}  # fmt: skip
"""ATen's functions of two numbers."""

REDUCTIONS = {
    "sum": "sum", "mean": "mean", "amax": "max", "amin": "min", "prod": "prod",
    "argmax": "argmax", "argmin": "argmin",
}  # fmt: skip
"""ATen's functions of several numbers."""

MOVEMENTS = {
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "slice", "select", "expand",
    "unsqueeze", "squeeze", "clone", "alias", "detach", "lift_fresh_copy", "split",
    "split_with_sizes", "unbind", "flip", "roll", "repeat", "unfold", "im2col", "index",
    "index_select", "gather", "upsample_nearest1d", "upsample_nearest2d",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "diagonal", "constant_pad_nd",
    "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "as_strided",
}  # fmt: skip
"""What moves numbers and changes none."""

IGNORED = {"_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range"}


class Unsupported(ParameterError):
    """A module has an operation that a page cannot run; the message names it."""


@dataclass(frozen=True)
class Value:
    """A value that depends on the sample, or a part of one in another order.

    Parameters
    ----------
    number
        Of the value in the program.
    shape
        As torch has it, the batch of one included.
    places
        Where each of its numbers lies in that value, -1 for ``fill``; None for the value as it is.
    fill
        What stands where nothing lies.
    """

    number: int
    shape: tuple[int, ...]
    places: Tensor | None = None
    fill: float = 0.0

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape))


def lower(module: nn.Module, example: Tensor) -> Program:
    """Return a module as a program of plain operations.

    Parameters
    ----------
    module
        With one input and one output whose first axis is the batch; at use, not in training.
    example
        One sample, (1, ...).

    Raises
    ------
    Unsupported
        If it has an operation that the program does not know, or way and sizes depend on the data.
    """
    original = copy.deepcopy(module).cpu().eval()
    with quiet(), torch.no_grad():
        try:
            exported = torch.export.export(original, (example.detach().cpu(),), strict=False)
            table = torch.export.default_decompositions()
            own: dict[Any, Any] = {_overload(name): f for name, f in DECOMPOSITIONS.items()}
            own |= torch._decomp.get_decompositions([_overload(name) for name in FORMULAS])
            for overload, formula in own.items():
                table[overload] = formula
            exported = exported.run_decompositions(table)
        except Unsupported:
            raise
        except Exception as error:  # what torch raises differs by release
            why = first_sentence(error)
            raise Unsupported(f"torch cannot write it as plain operations: {why}") from error
        return Lowering(exported).program(tuple(example.shape[1:]))


def first_sentence(error: Exception) -> str:
    """Return the first sentence of what went wrong, or of what kind it is."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0][:160]


class Lowering:
    """Builds a program from an exported graph, node by node.

    Parameters
    ----------
    exported
        What torch made of a module, in its core operations.
    """

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self.exported = exported
        self.sizes: list[int] = []
        self.constants: dict[int, NDArray[Any]] = {}
        self.known: dict[bytes, int] = {}
        self.operations: list[Operation] = []
        self.found: dict[torch.fx.Node, Any] = {}

    def program(self, shape: tuple[int, ...]) -> Program:
        """Return the whole as a program for samples of a shape."""
        self._number(int(np.prod(shape)))
        stored = self._stored()
        output = None
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                self.found[node] = stored.get(node.name, Value(0, (1, *shape)))
            elif node.op == "call_function":
                self.found[node] = self._node(node)
            elif node.op == "output":
                output = self.found[node.args[0][-1]]
        value = self.value(output)
        result = self.flat(value)
        sizes, constants = self.sizes, self.constants
        needed = {result, 0}
        kept: list[Operation] = []
        for each in reversed(self.operations):
            if each.output in needed:
                needed.update(each.inputs)
                kept.insert(0, each)
        constants = {number: each for number, each in constants.items() if number in needed}
        return Program(shape, value.shape[1:], sizes, constants, kept, result)

    def _stored(self) -> dict[str, Any]:
        """Return the weights, and what else is given to the graph, by its names for them."""
        signature, everything = self.exported.graph_signature, dict(self.exported.constants)
        everything |= self.exported.state_dict
        return {
            spec.arg.name: everything[spec.target]
            for spec in signature.input_specs
            if spec.target is not None
        }

    def _node(self, node: torch.fx.Node) -> Any:
        """Return what a node of the graph gives: a value, a constant, or several."""
        if node.target is operator.getitem:
            parts, place = node.args
            return self.found[parts][place]  # type: ignore[index]
        target: Any = node.target
        name = getattr(getattr(target, "overloadpacket", None), "__name__", str(target))
        if name in IGNORED:
            return None
        arguments = self._arguments(node)
        if not any(isinstance(each, Value) for each in _flattened(arguments.values())):
            args, kwargs = self._known(node.args), self._known(node.kwargs)
            return target(*args, **kwargs)
        try:
            result = self._lowered(name, arguments, node)
        except Unsupported:
            raise
        except Exception as error:  # an overload of an operation, or a use of it, never met before
            why = first_sentence(error)
            raise Unsupported(f"{_told(node, name)} cannot be run in a page: {why}") from error
        if result is None:
            raise Unsupported(f"{_told(node, name)} cannot be run in a page")
        return result

    def _known(self, given: Any) -> Any:
        return torch.fx.map_arg(given, lambda node: self.found[node])

    def _arguments(self, node: torch.fx.Node) -> dict[str, Any]:
        """Return a node's arguments by their names, what was left out by its default."""
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            raise Unsupported(f"{_told(node, str(node.target))} cannot be run in a page")
        args, kwargs = self._known(node.args), self._known(node.kwargs)
        named = {}
        for place, each in enumerate(schema.arguments):
            if place < len(args):
                named[each.name] = args[place]
            elif each.name in kwargs or each.has_default_value():
                named[each.name] = kwargs.get(each.name, each.default_value)
        return named

    def _lowered(self, name: str, given: dict[str, Any], node: torch.fx.Node) -> Any:
        """Return what an operation that depends on the sample gives; None where it is unknown."""
        if name in LOWERINGS:
            return LOWERINGS[name](self, given, node)
        if name.startswith("bitwise") and node.meta["val"].dtype is not torch.bool:
            return None
        if name in MAPS:
            f, extra = MAPS[name]
            return self.map(given["self"], f, [given[each] for each in extra])
        if name in PAIRS:
            other = given["other"] if "other" in given else given["exponent"]
            return self.pair(PAIRS[name], given["self"], other)
        if name in REDUCTIONS:
            return self.reduce(
                REDUCTIONS[name], given["self"], given.get("dim"), given.get("keepdim")
            )
        return self.moved(node.target, node, given) if name in MOVEMENTS else None

    # ── values ───────────────────────────────────────────────────────────────────────────────

    def _number(self, size: int) -> int:
        if size > LARGEST:
            raise Unsupported(f"a value of {size} numbers is too large for a page")
        self.sizes.append(size)
        return len(self.sizes) - 1

    def constant(self, tensor: Tensor | NDArray[Any], dtype: Any = np.float32) -> int:
        """Return the number of a constant; one that is there already is taken again."""
        plain = tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor
        values = np.ascontiguousarray(plain).astype(dtype).ravel()
        key = digest(values.dtype.str, values.tobytes())
        if key not in self.known:
            self.known[key] = self._number(values.size)
            self.constants[self.known[key]] = values
        return self.known[key]

    def value(self, given: Any) -> Value:
        """Return a value, a tensor or a number as a value."""
        if isinstance(given, Value):
            return given
        tensor = torch.as_tensor(given)
        return Value(self.constant(tensor), tuple(tensor.shape))

    def emit(
        self, name: str, inputs: Sequence[int], shape: Sequence[int], **settings: Any
    ) -> Value:
        """Add an operation and return what it gives."""
        number = self._number(int(np.prod(shape)))
        self.operations.append(Operation(name, tuple(inputs), number, settings))
        return Value(number, tuple(shape))

    def flat(self, given: Any) -> int:
        """Return the number of a value that holds just what is given, in its order."""
        value = self.value(given)
        if value.places is None:
            return value.number
        places = value.places.flatten().numpy()
        steps = regular(places)
        if steps is not None:
            return self.emit("take", [value.number], value.shape, **steps).number
        listed = self.constant(places, np.int32)
        return self.emit("take", [value.number, listed], value.shape, fill=value.fill).number

    def move(self, value: Value, function: Callable[[Tensor], Any], fill: float = 0.0) -> Any:
        """Return a value, or several, whose numbers a function has moved.

        Parameters
        ----------
        value
            What is moved.
        function
            Tried on a tensor of the places, float64, of the value's shape; -1 is the filling.
        fill
            What stands where nothing lies.
        """
        if value.places is not None and bool((value.places < 0).any()) and value.fill != fill:
            value = Value(self.flat(value), value.shape)
        places = torch.arange(value.size, dtype=torch.float64).view(value.shape)
        moved = function(places)
        parts = list(moved) if isinstance(moved, list | tuple) else [moved]
        found = [self._placed(value, part.to(torch.int64), fill) for part in parts]
        return found if isinstance(moved, list | tuple) else found[0]

    def _placed(self, value: Value, places: Tensor, fill: float) -> Value:
        shape = tuple(places.shape)
        if value.places is not None:
            before = value.places.flatten()
            places = torch.where(places < 0, -1, before[places.clamp(min=0)])
        size = self.sizes[value.number]
        if places.numel() == size and bool((places.flatten() == torch.arange(size)).all()):
            return Value(value.number, shape)
        return Value(value.number, shape, places, fill)

    def moved(self, target: Any, node: torch.fx.Node, given: dict[str, Any]) -> Any:
        """Return what an operation gives that moves numbers; where to is known."""
        first = next(iter(given))
        value = given.pop(first)
        inner = list(_flattened(given.values()))
        if not isinstance(value, Value) or any(isinstance(each, Value) for each in inner):
            return self._looked_up(value, given)
        fill = float(given.get("value") or 0.0)
        if "value" in given:
            given["value"] = -1.0
        return self.move(value, lambda places: target(**{first: places}, **given), fill)

    def _looked_up(self, value: Any, given: dict[str, Any]) -> Value | None:
        """Return numbers of a value at places that depend on the sample."""
        if "indices" in given:
            dims = [i for i, each in enumerate(given["indices"]) if each is not None]
            return (
                self.lookup(value, given["indices"][dims[0]], dims[0]) if len(dims) == 1 else None
            )
        if "sparse_grad" in given:
            return self.gather(value, given["index"], given["dim"])
        return self.lookup(value, given["index"], given["dim"]) if "index" in given else None

    # ── operations ───────────────────────────────────────────────────────────────────────────

    def map(self, given: Any, f: str, extra: Sequence[Any] = ()) -> Value:
        """Return a function of each number."""
        value = self.value(given)
        return self.emit("map", [self.flat(value)], value.shape, f=f, **{"with": list(extra)})

    def spread(self, given: Any, shape: tuple[int, ...]) -> int:
        """Return the number of a value that is broadcast to a shape; one number stays one."""
        value = self.value(given)
        if value.size == 1 or value.shape == shape:
            return self.flat(value)
        return self.flat(self.move(value, lambda places: places.expand(shape)))

    def pair(self, f: str, x: Any, y: Any) -> Value:
        """Return a function of each two numbers."""
        x, y = self.value(x), self.value(y)
        shape = tuple(np.broadcast_shapes(x.shape, y.shape))
        return self.emit("pair", [self.spread(x, shape), self.spread(y, shape)], shape, f=f)

    def reduce(self, f: str, given: Any, dim: Any, keepdim: Any) -> Value:
        """Return a function of the numbers along axes, of all where none is named."""
        value = self.value(given)
        rank = len(value.shape)
        axes = range(rank) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
        over = sorted(axis % rank for axis in axes) if rank else []
        rest = [axis for axis in range(rank) if axis not in over]
        width = int(np.prod([value.shape[axis] for axis in over]))
        turned = self.move(value, lambda places: places.permute(*rest, *over)) if rank else value
        shape = [1 if axis in over else n for axis, n in enumerate(value.shape)]
        shape = shape if keepdim else [value.shape[axis] for axis in rest]
        return self.emit("reduce", [self.flat(turned)], shape, f=f, width=width)

    def matmul(self, a: Any, b: Any, bias: Any = None) -> Value:
        """Return products of matrices ([batch,] m, k) and ([batch,] k, n), with a bias (n)."""
        left = self.value(a)
        *batch, m, k = left.shape
        n = int(b.shape[-1])
        transposed = isinstance(b, Tensor) and b.mT.is_contiguous() and not b.is_contiguous()
        right = self.flat(b.mT if transposed else b)
        inputs = [self.flat(left), right] + ([] if bias is None else [self.flat(bias)])
        count = int(np.prod(batch))
        return self.emit(
            "matmul", inputs, [*batch, m, n], batch=count, m=m, k=k, n=n, transposed=transposed
        )

    def gather(self, given: Any, index: Value, dim: int) -> Value:
        """Return what lies along an axis at places that depend on the sample."""
        value, rank = self.value(given), len(index.shape)
        axis = dim % rank
        sides = [n if i != axis else value.shape[i] for i, n in enumerate(index.shape)]
        cut = self.move(value, lambda x: x[tuple(slice(n) for n in sides)].movedim(axis, -1))
        places = self.move(index, lambda x: x.movedim(axis, -1))
        width = value.shape[axis]
        found = self.emit("gather", [self.flat(cut), self.flat(places)], places.shape, width=width)
        back: Value = self.move(found, lambda x: x.movedim(-1, axis))
        return back

    def lookup(self, given: Any, index: Value, dim: int) -> Value:
        """Return slices of an axis whose places depend on the sample."""
        value = self.value(given)
        axis = dim % len(value.shape)
        turned = self.move(value, lambda x: x.movedim(axis, 0))
        rest = turned.shape[1:]
        inputs, width = [self.flat(turned), self.flat(index)], int(np.prod(rest))
        found = self.emit("lookup", inputs, [*index.shape, *rest], width=width)
        many = range(len(index.shape))
        back: Value = self.move(found, lambda x: x.movedim(list(many), [axis + i for i in many]))
        return back


Given = dict[str, Any]


def _add(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    other = given["other"]
    if given.get("alpha", 1) != 1:
        other = lowering.pair("mul", other, float(given["alpha"]))
    return lowering.pair(PAIRS[_name(node)], given["self"], other)


def _rsub(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    scaled = lowering.pair("mul", given["self"], float(given.get("alpha", 1)))
    return lowering.pair("sub", given["other"], scaled)


def _div(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    how = given.get("rounding_mode")
    if how == "floor":
        return lowering.pair("floor_div", given["self"], given["other"])
    ratio = lowering.pair("div", given["self"], given["other"])
    return ratio if how is None else lowering.map(ratio, "trunc")


def _gelu(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    f = "gelu" if given["approximate"] == "none" else "gelu_tanh"
    return lowering.map(given["self"], f)


def _where(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    three = [lowering.value(given[name]) for name in ("condition", "self", "other")]
    shape = tuple(np.broadcast_shapes(*(each.shape for each in three)))
    return lowering.emit("where", [lowering.spread(each, shape) for each in three], shape)


def _mm(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    return lowering.matmul(given["self"], given["mat2"])


def _addmm(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    left, right = ("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")
    bias, a, b = given["self"], given[left], given[right]
    if given["alpha"] != 1 or given["beta"] != 1:
        product = lowering.pair("mul", lowering.matmul(a, b), float(given["alpha"]))
        return lowering.pair("add", product, lowering.pair("mul", bias, float(given["beta"])))
    if isinstance(bias, Tensor) and tuple(bias.shape) == tuple(b.shape[-1:]):
        return lowering.matmul(a, b, bias)
    return lowering.pair("add", lowering.matmul(a, b), bias)


def _convolution(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value | None:
    value, weight = lowering.value(given["input"]), lowering.value(given["weight"])
    out = tuple(node.meta["val"].shape)
    rank = len(value.shape) - 2
    if rank not in (1, 2):
        return None

    def sides(numbers: Sequence[int], other: int) -> list[int]:
        full = list(numbers) * (rank if len(numbers) == 1 else 1)
        return [*[other] * (2 - rank), *(int(n) for n in full)]

    settings = {
        "from": [value.shape[1], *sides(value.shape[2:], 1)],
        "to": [out[1], *sides(out[2:], 1)],
        "kernel": sides(weight.shape[2:], 1),
        "stride": sides(given["stride"], 1),
        "padding": sides(given["padding"], 0),
        "dilation": sides(given["dilation"], 1),
        "groups": int(given["groups"]),
    }
    bias = given["bias"]
    inputs = [lowering.flat(value), lowering.flat(weight)]
    inputs += [] if bias is None else [lowering.flat(bias)]
    name = "conv_transpose" if given["transposed"] else "conv"
    return lowering.emit(name, inputs, out, **settings)


def _cat(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    parts = [lowering.value(each) for each in given["tensors"]]
    parts = [each for each in parts if each.size]
    axis = given["dim"] % len(parts[0].shape)
    shape = list(parts[0].shape)
    shape[axis] = sum(each.shape[axis] for each in parts)
    if len(parts) == 1:
        return parts[0]
    rows = int(np.prod(shape[:axis]))
    return lowering.emit("join", [lowering.flat(each) for each in parts], shape, rows=rows)


def _stack(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    axis = given["dim"] % len(node.meta["val"].shape)
    parts = [lowering.value(each) for each in given["tensors"]]
    wider = [lowering.move(each, lambda x: x.unsqueeze(axis)) for each in parts]
    return _cat(lowering, {"tensors": wider, "dim": axis}, node)


def _filled(lowering: Lowering, given: Given, node: torch.fx.Node) -> Tensor:
    number = {"zeros_like": 0.0, "new_zeros": 0.0, "ones_like": 1.0, "new_ones": 1.0}
    value = given["fill_value"] if "fill_value" in given else number[_name(node)]
    meta = node.meta["val"]
    return torch.full(tuple(meta.shape), value, dtype=meta.dtype)


def _to(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    value, dtype = lowering.value(given["self"]), node.meta["val"].dtype
    if dtype is torch.bool:
        return lowering.pair("ne", value, 0.0)
    before = node.all_input_nodes[0].meta["val"].dtype
    whole = not dtype.is_floating_point and before.is_floating_point
    return lowering.map(value, "trunc") if whole else value


def _sort(lowering: Lowering, given: Given, node: torch.fx.Node) -> list[Value]:
    value = lowering.value(given["self"])
    axis = given["dim"] % len(value.shape)
    last = lowering.move(value, lambda x: x.movedim(axis, -1))
    falling = bool(given["largest"] if "largest" in given else given["descending"])
    width = last.shape[-1]
    places = lowering.emit("order", [lowering.flat(last)], last.shape, width=width, falling=falling)
    kept = int(given.get("k", width))
    first = lowering.move(places, lambda x: x[..., :kept])
    back = lowering.move(first, lambda x: x.movedim(-1, axis))
    return [lowering.gather(value, back, axis), back]


def _clamp(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    low, high = given.get("min"), given.get("max")
    if not any(isinstance(each, Tensor | Value) for each in (low, high)):
        return lowering.map(given["self"], "clamp", [low, high])
    value = given["self"] if low is None else lowering.pair("maximum", given["self"], low)
    return value if high is None else lowering.pair("minimum", value, high)


def _along(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value | list[Value]:
    """Lower ``max`` and ``min``: of all, or along an axis, values and places."""
    name, dim, keep = _name(node), given.get("dim"), given.get("keepdim")
    if dim is None:
        return lowering.reduce(name, given["self"], None, False)
    return [
        lowering.reduce(name, given["self"], dim, keep),
        lowering.reduce(f"arg{name}", given["self"], dim, keep),
    ]


def _embedding(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    return lowering.lookup(given["weight"], given["indices"], 0)


def _any(lowering: Lowering, given: Given, node: torch.fx.Node) -> Value:
    found = lowering.reduce("max", given["self"], given.get("dim"), given.get("keepdim"))
    return lowering.pair("ne", found, 0.0)


LOWERINGS: dict[str, Callable[[Lowering, Given, torch.fx.Node], Any]] = {
    "add": _add,
    "sub": _add,
    "rsub": _rsub,
    "div": _div,
    "gelu": _gelu,
    "clamp": _clamp,
    "where": _where,
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "convolution": _convolution,
    "cat": _cat,
    "stack": _stack,
    "full_like": _filled,
    "zeros_like": _filled,
    "ones_like": _filled,
    "new_zeros": _filled,
    "new_ones": _filled,
    "new_full": _filled,
    "_to_copy": _to,
    "sort": _sort,
    "topk": _sort,
    "max": _along,
    "min": _along,
    "embedding": _embedding,
    "any": _any,
}
"""Operations of ATen that are neither maps, pairs, reductions nor movements, by name."""


def _name(node: torch.fx.Node) -> str:
    target: Any = node.target
    return str(target.overloadpacket.__name__)


def _told(node: torch.fx.Node, name: str) -> str:
    """Return an operation by its name, and by that of the layer whose it is."""
    stack = [layer for layer in node.meta.get("nn_module_stack", {}).values() if layer[0]]
    if not stack:
        return f"the operation {name}"
    path, kind = stack[-1]
    kind = str(getattr(kind, "__name__", kind)).rpartition(".")[2]
    return f"the operation {name} of the layer {path} ({kind})"


def _overload(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def _flattened(given: Any) -> list[Any]:
    """Return everything in nested lists."""
    if isinstance(given, list | tuple) or type(given).__name__ == "dict_values":
        return [inner for each in given for inner in _flattened(each)]
    return [given]


# ── formulas in simpler operations ───────────────────────────────────────────────────────────


def batch_norm(
    x: Tensor, weight: Any, bias: Any, mean: Tensor, var: Tensor, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a batch norm at use gives."""
    scale = (var + eps).rsqrt() * (1.0 if weight is None else weight)
    shift = (0.0 if bias is None else bias) - mean * scale
    sides = (1, -1, *[1] * (x.dim() - 2))
    return x * scale.view(sides) + shift.view(sides), mean.new_zeros(0), mean.new_zeros(0)


def layer_norm(
    x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a layer norm gives."""
    axes = list(range(-len(shape), 0))
    mean = x.mean(axes, keepdim=True)
    away = x - mean
    scale = ((away * away).mean(axes, keepdim=True) + eps).rsqrt()
    y = away * scale
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias), mean, scale


def group_norm(
    x: Tensor, weight: Any, bias: Any, n: int, c: int, size: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a group norm gives."""
    y, mean, scale = layer_norm(x.reshape(n, groups, -1), [c // groups * size], None, None, eps)
    y, sides = y.reshape(x.shape), (1, c, *[1] * (x.dim() - 2))
    y = y if weight is None else y * weight.reshape(sides)
    return (y if bias is None else y + bias.reshape(sides)), mean[..., 0], scale[..., 0]


def windows(
    x: Tensor, kernel: list[int], stride: list[int], padding: list[int], dilation: list[int],
    ceil: bool, fill: float,
) -> Tensor:  # fmt: skip
    """Return what each window of pictures (n, c, h, w) sees, (n, c, numbers, h', w')."""
    kernel, stride, padding, dilation = (
        list(each) * (2 if len(each) == 1 else 1)
        for each in (kernel, stride or kernel, padding, dilation)
    )
    sides, more = [], []
    for i in range(2):
        free = x.shape[2 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1
        side = (-(-free // stride[i]) if ceil else free // stride[i]) + 1
        if ceil and (side - 1) * stride[i] >= x.shape[2 + i] + padding[i]:
            side -= 1
        sides.append(side)
        more.append(max((side - 1) * stride[i] - free, 0))
    (ph, pw), (mh, mw) = padding, more
    wide = torch.ops.aten.constant_pad_nd(x, [pw, pw + mw, ph, ph + mh], fill)
    seen = torch.ops.aten.im2col(wide, kernel, dilation, [0, 0], stride)
    high = (wide.shape[2] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    seen = seen.reshape(x.shape[0], x.shape[1], kernel[0] * kernel[1], high, -1)
    fitting: Tensor = seen[..., : sides[0], : sides[1]]
    return fitting


def max_pool(
    x: Tensor, kernel: list[int], stride: list[int] = (), padding: list[int] = (0, 0),  # type: ignore[assignment]
    dilation: list[int] = (1, 1), ceil: bool = False,  # type: ignore[assignment]
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the largest number of each window, and zeros in place of where it lies."""
    found = windows(x, kernel, stride, padding, dilation, ceil, -3e38).amax(2)
    return found, torch.zeros_like(found, dtype=torch.int64)


def avg_pool(
    x: Tensor, kernel: list[int], stride: list[int] = (), padding: list[int] = (0, 0),  # type: ignore[assignment]
    ceil: bool = False, padded: bool = True, divisor: int | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean of each window."""
    plain = torch.zeros_like(x)
    total = windows(x, kernel, stride, padding, [1, 1], ceil, 0.0).sum(2)
    if divisor is not None:
        return total / divisor
    if padded:  # the padding counts, but not what ceil adds beyond it
        ph, pw = (list(padding) * 2)[:2]
        plain = torch.ops.aten.constant_pad_nd(plain, [pw, pw, ph, ph], 0.0)
        padding = [0, 0]
    return total / windows(plain + 1, kernel, stride, padding, [1, 1], ceil, 0.0).sum(2)


def adaptive_avg_pool(x: Tensor, sides: list[int]) -> Tensor:
    """Return the means of as many parts of a picture as asked for."""
    for axis, side in zip((2, 3), sides, strict=True):
        parts = [x.narrow(axis, a, b - a).mean(axis) for a, b in shares(x.shape[axis], side)]
        x = torch.stack(parts, axis)
    return x


def adaptive_max_pool(x: Tensor, sides: list[int]) -> tuple[Tensor, Tensor]:
    """Return the largest of as many parts of a picture as asked for, and zeros for the places."""
    for axis, side in zip((2, 3), sides, strict=True):
        parts = [x.narrow(axis, a, b - a).amax(axis) for a, b in shares(x.shape[axis], side)]
        x = torch.stack(parts, axis)
    return x, torch.zeros_like(x, dtype=torch.int64)


def shares(length: int, parts: int) -> list[tuple[int, int]]:
    """Return where the parts begin and end into which adaptive pooling cuts a side."""
    return [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def softmax(x: Tensor, dim: int, half: bool) -> Tensor:
    """Return shares whose sum along an axis is 1."""
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def log_softmax(x: Tensor, dim: int, half: bool) -> Tensor:
    """Return the logarithms of the same."""
    less = x - x.amax(dim, keepdim=True)
    return less - less.exp().sum(dim, keepdim=True).log()


def var(
    x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Return the variance along axes."""
    axes = list(range(x.dim())) if dim is None else dim
    away = x - x.mean(axes, keepdim=True)
    count = math.prod(x.shape[axis] for axis in axes)
    less = max(count - (1 if correction is None else correction), 0)
    return (away * away).sum(axes, keepdim=keepdim) / less


def cumsum(x: Tensor, dim: int) -> Tensor:
    """Return the sums up to each place of an axis."""
    last = x.movedim(dim, -1)
    return (last @ torch.ones(last.shape[-1], last.shape[-1]).triu()).movedim(-1, dim)


def instance_norm(
    x: Tensor, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a norm gives that takes its mean and variance from the sample."""
    n, c = x.shape[:2]
    return group_norm(x, weight, bias, n, c, x[0, 0].numel(), c, eps)


FORMULAS = (
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_bilinear2d.vec",
    "linalg_vector_norm",
)
"""What torch has formulas for that it does not use by itself."""

DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    "_native_batch_norm_legit_no_training": batch_norm,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    "max_pool2d_with_indices": max_pool,
    "avg_pool2d": avg_pool,
    "_adaptive_avg_pool2d": adaptive_avg_pool,
    "adaptive_max_pool2d": adaptive_max_pool,
    "_softmax": softmax,
    "var.correction": var,
    "cumsum": cumsum,
    "_log_softmax": log_softmax,
    "_native_batch_norm_legit.no_stats": instance_norm,
}
