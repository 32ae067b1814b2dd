"""Weights: a network as a flat list of plain operations, which a page can run without Python.

::

    module ──lowering──▶ Program ──pack──▶ JSON + bytes ──network.js──▶ the same numbers in a page
                            └──run──▶ the same numbers here, by NumPy: what a page will show

A program is of one sample. Every value is a flat array of float32; value 0 is the input. The
operations are those of `OPERATIONS`, and of ``static/network.js`` by the same names.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Settings = dict[str, Any]

HALVED = 512
"""Constants of fewer numbers are kept in float32 even where others are halved."""


@dataclass(frozen=True)
class Operation:
    """One step: what it reads, what it writes, and how.

    Parameters
    ----------
    name
        A name of `OPERATIONS`.
    inputs
        Numbers of the values that it reads.
    output
        Number of the value that it writes.
    settings
        Plain JSON values.
    """

    name: str
    inputs: tuple[int, ...]
    output: int
    settings: Settings


@dataclass(frozen=True)
class Program:
    """A network as operations on flat arrays, for one sample.

    Parameters
    ----------
    input, output
        Shape of one sample that is given, and of one that comes out.
    sizes
        How many numbers each value has.
    constants
        Weights, and the whole numbers by which values are rearranged, by the number of the value.
    operations
        In the order in which they are run.
    result
        Number of the value that comes out.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    sizes: list[int]
    constants: dict[int, NDArray[Any]]
    operations: list[Operation]
    result: int

    def run(self, rows: NDArray[Any]) -> Floats:
        """Return what comes out of samples (n, *input), (n, *output), by NumPy.

        Raises
        ------
        DataError
            If samples have another size.
        """
        flat = np.asarray(rows, np.float32).reshape(len(rows), -1)
        if flat.shape[1] != self.sizes[0]:
            raise DataError(
                f"a sample has {flat.shape[1]} numbers, and the network takes {self.sizes[0]}"
            )
        values: dict[int, NDArray[Any]] = dict(self.constants)
        known = set(values)
        waiting = []
        for each in self.operations:
            if known.issuperset(each.inputs):
                values[each.output] = run(each, values)
                known.add(each.output)
            else:
                waiting.append(each)
        out = np.empty((len(flat), self.sizes[self.result]), np.float32)
        for i, row in enumerate(flat):
            inner = {**values, 0: row}
            for each in waiting:
                inner[each.output] = run(each, inner)
            out[i] = inner[self.result]
        return out.reshape(len(flat), *self.output)

    def halved(self) -> Program:
        """Return the program with its large weights rounded to what float16 holds."""
        constants = {
            number: half(values) if is_halved(values) else values
            for number, values in self.constants.items()
        }
        return Program(self.input, self.output, self.sizes, constants, self.operations, self.result)

    @property
    def weights(self) -> int:
        """How many numbers of its own it holds."""
        return sum(each.size for each in self.constants.values() if each.dtype.kind == "f")


@dataclass
class Store:
    """Constants of several programs as one run of bytes; what two of them share is kept once."""

    parts: list[bytes] = field(default_factory=list)
    length: int = 0
    places: dict[bytes, int] = field(default_factory=dict)

    def add(self, dtype: str, content: bytes) -> int:
        """Return where these bytes begin, a multiple of 8."""
        key = digest(dtype, content)
        if key not in self.places:
            self.places[key] = self.length
            padded = content + bytes(-len(content) % 8)
            self.parts.append(padded)
            self.length += len(padded)
        return self.places[key]

    def pack(self, program: Program, precision: str) -> dict[str, Any]:
        """Return a program as plain JSON values whose constants lie in this store.

        Parameters
        ----------
        program
            What to keep.
        precision
            "float16" for half the bytes of large weights, or "float32".
        """
        constants = []
        for number, values in program.constants.items():
            if values.dtype.kind == "i":
                dtype, content = "i4", values.astype("<i4").tobytes()
            elif precision == "float16" and is_halved(values):
                dtype, content = "f2", values.astype("<f2").tobytes()
            else:
                dtype, content = "f4", values.astype("<f4").tobytes()
            constants.append([number, dtype, self.add(dtype, content), values.size])
        return {
            "input": list(program.input),
            "output": list(program.output),
            "sizes": program.sizes,
            "constants": constants,
            "operations": [
                [each.name, list(each.inputs), each.output, spelled(each.settings)]
                for each in program.operations
            ],
            "result": program.result,
            "precision": precision,
        }

    def bytes(self) -> bytes:
        """Return all constants, one behind the other."""
        return b"".join(self.parts)


def spelled(setting: Any) -> Any:
    """Return settings in which NaN and infinite numbers, which JSON has not, are texts."""
    if isinstance(setting, dict):
        return {name: spelled(each) for name, each in setting.items()}
    if isinstance(setting, list):
        return [spelled(each) for each in setting]
    if isinstance(setting, float) and not math.isfinite(setting):
        return "NaN" if math.isnan(setting) else "Infinity" if setting > 0 else "-Infinity"
    return setting


def is_halved(values: NDArray[Any]) -> bool:
    """Whether a constant is one of the weights that float16 keeps."""
    large = values.dtype.kind == "f" and values.size >= HALVED
    return bool(large and np.abs(values).max() < np.finfo(np.float16).max)


def digest(dtype: str, content: bytes) -> bytes:
    """Return a key of a constant, so that none of it need be kept to be found again."""
    return hashlib.blake2b(content, digest_size=32, person=dtype.encode()).digest()


def half(values: NDArray[Any]) -> Floats:
    """Return numbers rounded to what float16 holds."""
    return values.astype(np.float16).astype(np.float32)


# ── the operations ───────────────────────────────────────────────────────────────────────────


def run(operation: Operation, values: dict[int, NDArray[Any]]) -> Floats:
    """Return what an operation writes, in float32; it computes in float64, as a page does."""
    given = [values[number].astype(np.float64) for number in operation.inputs]
    with np.errstate(all="ignore"):
        found = OPERATIONS[operation.name](given, operation.settings)
        return np.ascontiguousarray(found, np.float32).ravel()


def map_(given: list[Doubles], settings: Settings) -> Doubles:
    """Return ``f(x)`` of each number."""
    return MAPS[settings["f"]](given[0], *settings["with"])


def pair(given: list[Doubles], settings: Settings) -> Doubles:
    """Return ``f(x, y)`` of each two numbers; either may be one number for all."""
    return np.asarray(PAIRS[settings["f"]](given[0], given[1]), np.float64)


def where(given: list[Doubles], settings: Settings) -> Doubles:
    """Return the second where the first is not 0, else the third; each may be one number."""
    return np.asarray(np.where(given[0] != 0, given[1], given[2]))


def matmul(given: list[Doubles], settings: Settings) -> Doubles:
    """Return products of matrices (m, k) and (k, n) or (n, k) transposed, and a bias (n)."""
    batch, m, k, n = (settings[name] for name in ("batch", "m", "k", "n"))
    right = given[1].reshape(-1, n, k).swapaxes(1, 2) if settings["transposed"] else None
    product = given[0].reshape(batch, m, k) @ (
        given[1].reshape(-1, k, n) if right is None else right
    )
    return product + given[2] if len(given) > 2 else product


def conv(given: list[Doubles], settings: Settings) -> Doubles:
    """Return the convolution of a picture (c, h, w), in groups of channels."""
    (c, h, w), (o, oh, ow), g = settings["from"], settings["to"], settings["groups"]
    (kh, kw), (sh, sw) = settings["kernel"], settings["stride"]
    (ph, pw), (dh, dw) = settings["padding"], settings["dilation"]
    x = np.pad(given[0].reshape(c, h, w), ((0, 0), (ph, ph), (pw, pw)))
    weight = given[1].reshape(g, o // g, c // g, kh, kw)
    out = np.zeros((g, o // g, oh, ow))
    for i in range(kh):
        for j in range(kw):
            seen = x[:, i * dh :, j * dw :][:, : (oh - 1) * sh + 1 : sh, : (ow - 1) * sw + 1 : sw]
            seen = seen.reshape(g, c // g, oh * ow)
            out += (weight[..., i, j] @ seen).reshape(out.shape)
    out = out.reshape(o, oh, ow)
    return out + given[2][:, None, None] if len(given) > 2 else out


def conv_transpose(given: list[Doubles], settings: Settings) -> Doubles:
    """Return the transposed convolution of a picture (c, h, w), in groups of channels."""
    (c, h, w), (o, oh, ow), g = settings["from"], settings["to"], settings["groups"]
    (kh, kw), (sh, sw) = settings["kernel"], settings["stride"]
    (ph, pw), (dh, dw) = settings["padding"], settings["dilation"]
    x = given[0].reshape(g, c // g, h * w)
    weight = given[1].reshape(g, c // g, o // g, kh, kw)
    height = max((h - 1) * sh + (kh - 1) * dh + 1, ph + oh)
    width = max((w - 1) * sw + (kw - 1) * dw + 1, pw + ow)
    out = np.zeros((o, height, width))
    for i in range(kh):
        for j in range(kw):
            part = (weight[..., i, j].swapaxes(1, 2) @ x).reshape(o, h, w)
            rows = slice(i * dh, i * dh + (h - 1) * sh + 1, sh)
            out[:, rows, j * dw : j * dw + (w - 1) * sw + 1 : sw] += part
    out = out[:, ph : ph + oh, pw : pw + ow]
    return out + given[2][:, None, None] if len(given) > 2 else out


def reduce(given: list[Doubles], settings: Settings) -> Doubles:
    """Return one number of each ``width`` that follow one another."""
    rows = given[0].reshape(-1, settings["width"])
    return np.asarray(REDUCTIONS[settings["f"]](rows), np.float64)


def order(given: list[Doubles], settings: Settings) -> Doubles:
    """Return the places of each ``width`` numbers in rising or falling order."""
    rows = given[0].reshape(-1, settings["width"])
    return np.argsort(-rows if settings["falling"] else rows, axis=1, kind="stable").astype(float)


def gather(given: list[Doubles], settings: Settings) -> Doubles:
    """Return of each ``width`` numbers those at the places that the second value tells."""
    rows = given[0].reshape(-1, settings["width"])
    places = given[1].reshape(len(rows), -1).astype(int)
    return np.asarray(np.take_along_axis(rows, places, 1))


def lookup(given: list[Doubles], settings: Settings) -> Doubles:
    """Return the rows of ``width`` numbers whose places the second value tells."""
    return np.asarray(given[0].reshape(-1, settings["width"])[given[1].astype(int)])


def join(given: list[Doubles], settings: Settings) -> Doubles:
    """Return values side by side, each cut into ``rows`` rows."""
    parts = [each.reshape(settings["rows"], -1) for each in given]
    return np.asarray(np.concatenate(parts, 1))


def take(given: list[Doubles], settings: Settings) -> Doubles:
    """Return numbers from other places: in regular steps, or by a list, where -1 is the filling."""
    x = given[0]
    if len(given) > 1:
        places = given[1].astype(int)
        return np.asarray(np.where(places < 0, settings["fill"], x[np.maximum(places, 0)]))
    steps = [np.arange(n) * s for n, s in zip(settings["lengths"], settings["steps"], strict=True)]
    places = np.array(settings["first"])
    for each in steps:
        places = places[..., None] + each
    return np.asarray(x[places])


def erf(x: Doubles) -> Doubles:
    """Return the error function of each number."""
    return np.array([math.erf(value) for value in x.ravel()])


def sigmoid(x: Doubles) -> Doubles:
    """Return the logistic function of each number."""
    return np.asarray(1 / (1 + np.exp(-x)))


MAPS: dict[str, Callable[..., Doubles]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, x * slope),
    "elu": lambda x, a, scale, inside: np.where(x > 0, scale * x, scale * a * np.expm1(x * inside)),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))),
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x, beta, end: np.where(
        x * beta > end, x, np.log1p(np.exp(np.minimum(x * beta, end))) / beta
    ),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "abs": np.abs,
    "neg": np.negative,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "erf": erf,
    "round": np.rint,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "not": lambda x: x == 0,
    "isnan": np.isnan,
    "clamp": lambda x, low, high: np.clip(
        x, -math.inf if low is None else low, math.inf if high is None else high
    ),
}
"""Functions of one number, and of settings."""

PAIRS: dict[str, Callable[[Doubles, Doubles], NDArray[Any]]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "floor_div": np.floor_divide,
    "remainder": np.mod,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": lambda x, y: (x != 0) & (y != 0),
    "or": lambda x, y: (x != 0) | (y != 0),
}
"""Functions of two numbers; what holds is 1, what does not is 0."""

REDUCTIONS: dict[str, Callable[[Doubles], NDArray[Any]]] = {
    "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1),
    "max": lambda x: x.max(1),
    "min": lambda x: x.min(1),
    "prod": lambda x: x.prod(1),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(1),
}
"""Functions of the numbers of a row."""

OPERATIONS: dict[str, Callable[[list[Doubles], Settings], Doubles]] = {
    "map": map_,
    "pair": pair,
    "where": where,
    "matmul": matmul,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "reduce": reduce,
    "order": order,
    "gather": gather,
    "lookup": lookup,
    "join": join,
    "take": take,
}
"""What a program is made of."""


def regular(places: Sequence[int] | NDArray[np.int64]) -> Settings | None:
    """Return places as nested regular steps, or None where they are not such.

    ::

        first + i₁ · steps[0] + i₂ · steps[1] + …    for each iⱼ below lengths[j], the last fastest
    """
    rest = np.asarray(places, np.int64)
    if not rest.size or rest.min() < 0:
        return None
    lengths: list[int] = []
    steps: list[int] = []
    while rest.size > 1:
        apart = np.diff(rest)
        run_ = rest.size if (apart == apart[0]).all() else int(np.argmax(apart != apart[0])) + 1
        length = next(
            (n for n in range(run_, 1, -1) if rest.size % n == 0 and _repeats(rest, n)), None
        )
        if length is None:
            return None
        lengths.insert(0, length)
        steps.insert(0, int(apart[0]))
        rest = rest.reshape(-1, length)[:, 0]
    return {"first": int(rest[0]), "lengths": lengths, "steps": steps}


def _repeats(places: NDArray[np.int64], length: int) -> bool:
    """Whether each so many places lie to their first as those of the first block do."""
    blocks = places.reshape(-1, length)
    away = blocks - blocks[:, :1]
    return bool((away == away[:1]).all())
