"""Summary: the layers of a fitted model, one by one, with their sizes and what they cost.

::

    pass of zeros ──hooks──▶ order, output sizes ──▶ rows
    pass with one line of the input unknown ──hooks──▶ what each layer sees of the input
    a few passes of noise ──hooks──▶ share of time

What a value sees of the input (its receptive field) is found by letting one row, column or step of
the input be NaN: whatever depends on it becomes NaN. That is exact for every network, also for one
of somebody's own modules, and counts weights that are 0 at present.
"""

from __future__ import annotations

import copy
import html
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from .fitted import Fitted, block_rows
from .model import Model
from .networks.base import ACTIVATIONS, Dropout
from .networks.convolutions import RepeatConvolution
from .networks.layers import MeanActivation

PASSES, BATCH = 5, 256
"""Passes that are timed, and their largest batch."""
PROBES = 8
"""Lines of the input that are tried at a time. Of 16 samples and more, torch may convolve in large
tiles (Winograd's way), through which NaN reaches values that do not depend on it."""
MOST_PROBES = 4096
"""Lines of the input up to which it is looked up what each value sees."""
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
FOLDED = (*(getattr(nn, name) for name in ACTIVATIONS.values()), Dropout, MeanActivation)
"""Layers that change no size and are told with the layer before them."""
SECTIONS = ("encoder", "bottleneck", "decoder", "corruption", "loss")
KINDS: dict[str, str] = {
    "Convolution": "convolution", "TransposedConvolution": "transposed convolution",
    "RepeatConvolution": "repeat, convolution", "Halving": "max pool", "DenseLayer": "dense",
    "TiedLinear": "dense, tied", "Flatten": "flatten", "Unflatten": "unflatten",
    "Gru": "gru", "Lstm": "lstm", "Conv1d": "convolution",
    "Conv2d": "convolution", "Conv3d": "convolution", "ConvTranspose1d": "transposed convolution",
    "ConvTranspose2d": "transposed convolution", "ConvTranspose3d": "transposed convolution",
    "Linear": "dense", "MaxPool1d": "max pool", "MaxPool2d": "max pool", "MaxPool3d": "max pool",
    "AvgPool1d": "mean pool", "AvgPool2d": "mean pool", "AvgPool3d": "mean pool",
}  # fmt: skip
"""What layers are called; others by the name of their class."""
LEGEND = (
    "W is the length of an axis before the layer, O after it; F the kernel, S the stride, P the "
    "padding.",
    "A convolution or a pooling gives O = (W − F + 2P)/S + 1, a transposed convolution "
    "O = (W − 1)·S − 2P + F + what is added at the end.",
    'With S = 1, P = (F − 1)/2 keeps the size. "sees" is how much of the input one value '
    "depends on.",
)


@dataclass(frozen=True)
class Layer:
    """One layer of a network, with the activation behind it.

    Parameters
    ----------
    name
        Its place in the model's module: ``"network.encoder.0"``.
    section
        "encoder", "bottleneck", "decoder", "corruption" or "loss".
    kind
        What it is: ``"convolution 3×3, stride 2, relu"``.
    output
        Shape of what it gives for one sample; (channels, height, width) of pictures. None of what
        has parameters but is not on the way from sample to reconstruction.
    parameters
        Numbers that are learned; those that an earlier layer has too are counted there alone.
    calls
        How often it is used for one sample: a step at a time in a recurrent decoder.
    formula
        Output length by kernel, padding and stride, with the numbers in it, one for each axis
        where they differ; None of layers without a kernel.
    padding
        P along each axis.
    keeps_size
        Whether height and width come out as they went in; None of layers without a kernel.
    receptive_field
        How many rows and columns of a picture, steps of a sequence or columns of a table one value
        of the output depends on, at most; None where that was not looked up.
    time
        Share of the time of a pass, from 0 to 1; None where it was not measured.
    """

    name: str
    section: str
    kind: str
    output: tuple[int, ...] | None
    parameters: int
    calls: int = 1
    formula: tuple[str, ...] | None = None
    padding: tuple[int, ...] | None = None
    keeps_size: bool | None = None
    receptive_field: tuple[int, ...] | None = None
    time: float | None = None


@dataclass(frozen=True)
class Summary:
    """The layers of a model; printed, or as the last line of a notebook's cell, it is a table.

    Parameters
    ----------
    input
        Shape of a sample as the encoder sees it.
    layers
        In the order in which a sample goes through them.
    """

    input: tuple[int, ...]
    layers: tuple[Layer, ...] = field(repr=False)

    @property
    def sections(self) -> dict[str, int]:
        """The parameters of encoder, bottleneck and decoder, and of others where they have any."""
        found = dict.fromkeys(SECTIONS[:3], 0)
        for layer in self.layers:
            found[layer.section] = found.get(layer.section, 0) + layer.parameters
        return found

    @property
    def parameters(self) -> int:
        """The parameters of all of them: the model's ``n_parameters_``."""
        return sum(self.sections.values())

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values; the time of a layer only where it was measured."""
        rows = [
            {key: value for key, value in asdict(layer).items() if (key, value) != ("time", None)}
            for layer in self.layers
        ]
        sums = {**self.sections, "total": self.parameters}
        return {"input": list(self.input), "layers": rows, "parameters": sums}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return titles and rows as text; a row of one cell begins a section.

        Columns that nothing stands in are left out.
        """
        titles = ["layer", "output", "O =", "P", "keeps W", "parameters", "sees", "time"]
        rows = [["input", sized(self.input), *[""] * 6]]
        for section, count in self.sections.items():
            members = [layer for layer in self.layers if layer.section == section]
            rows.append([section])
            rows += [self._cells(layer) for layer in members]
            times = [layer.time for layer in members if layer.time is not None]
            share = f"{sum(times):.0%}" if times else ""
            rows.append([f"sum of {section}", "", "", "", "", f"{count:,}", "", share])
        rows.append(["total", "", "", "", "", f"{self.parameters:,}", "", ""])
        used = [i for i in range(8) if any(len(row) > 1 and row[i] for row in rows)]
        kept = [row if len(row) == 1 else [row[i] for i in used] for row in rows]
        return [titles[i] for i in used], kept

    def _cells(self, layer: Layer) -> list[str]:
        output = "" if layer.output is None else sized(layer.output)
        times = f"{layer.calls} times " if layer.calls > 1 else ""
        return [
            "  " + layer.kind,
            times + output,
            "; ".join(layer.formula or ()),
            " × ".join(map(str, alike(layer.padding or ()))),
            "" if layer.keeps_size is None else "yes" if layer.keeps_size else "no",
            f"{layer.parameters:,}" if layer.parameters else "0",
            sized(layer.receptive_field or ()),
            "" if layer.time is None else f"{layer.time:.0%}",
        ]

    def __str__(self) -> str:
        titles, rows = self.table()
        full = [row for row in [titles, *rows] if len(row) > 1]
        widths = [max(len(row[i]) for row in full) for i in range(len(titles))]
        left = {"layer", "O ="}

        def line(row: Sequence[str]) -> str:
            cells = [
                cell.ljust(width) if title in left else cell.rjust(width)
                for cell, width, title in zip(row, widths, titles, strict=False)
            ]
            return "  ".join(cells).rstrip()

        rule = "─" * (sum(widths) + 2 * len(widths) - 2)
        legend = LEGEND if "O =" in titles else ()
        return "\n".join([line(titles), rule, *map(line, rows), rule, *legend])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        titles, rows = self.table()

        def cells(row: Sequence[str], tag: str) -> str:
            span = f" colspan={len(titles)}" if len(row) == 1 else ""
            style = ' style="text-align:left;white-space:pre"'
            return "".join(f"<{tag}{span}{style}>{html.escape(cell)}</{tag}>" for cell in row)

        body = "".join(f"<tr>{cells(row, 'th' if len(row) == 1 else 'td')}</tr>" for row in rows)
        legend = "<br>".join(map(html.escape, LEGEND if "O =" in titles else ()))
        return (
            f"<table><thead><tr>{cells(titles, 'th')}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{legend}</p>"
        )


def summarize(fitted: Fitted, bottleneck: str, *, timed: bool = True) -> Summary:
    """Return the layers of a fitted model.

    Parameters
    ----------
    fitted
        The model.
    bottleneck
        What its bottleneck is called.
    timed
        Whether to measure the share of time of each.
    """
    model = fitted.model
    on_cpu = model if fitted.device.type == "cpu" else copy.deepcopy(model).cpu()
    shape = model.corruption.seen_shape
    rows = min(block_rows(fitted.numbers), BATCH)
    fields = receptive_fields(on_cpu, shape, ragged=fitted.input.space.ragged)
    times = durations(model, shape, rows, fitted.device) if timed else None
    names = {id(module): name for name, module in model.named_modules()}
    uses = first_pass(on_cpu, shape)
    counted: set[int] = set()
    layers: list[Layer] = []
    for section, root in sections_of(model).items():
        if section == "bottleneck":
            shares = None if times is None else times.get(("bottleneck", ""), 0.0)
            code, count = tuple(model.network.code_shape), fresh(root.parameters(), counted)
            layers.append(Layer("bottleneck", section, bottleneck, code, count, time=shares))
        here = [use for use in uses if use.section == section]
        layers += rows_of(here, counted, fields, times)
        layers += unused(root, names, section, counted)
    return Summary(tuple(shape), tuple(layers))


def sections_of(model: Model) -> dict[str, nn.Module]:
    """Return the module of each section, in the order of a sample's way."""
    return {
        "encoder": model.network.encoder,
        "bottleneck": model.bottleneck,
        "decoder": model.network,  # what is left of it, once the encoder is counted
        "corruption": model.corruption,
        "loss": model.loss,
    }


# ── passes through the model ─────────────────────────────────────────────────────────────────

Key = tuple[str, str]
"""Section and name of a layer."""


@dataclass
class Use:
    """A layer in use: what it took and gave in a pass."""

    section: str
    name: str
    module: nn.Module
    before: tuple[int, ...]
    after: tuple[int, ...]
    """Shapes for one sample."""
    calls: int = 1

    @property
    def key(self) -> Key:
        return self.section, self.name


class Watch:
    """What is told of a pass; as it is, nothing is made of it."""

    section = "encoder"

    def enter(self, name: str) -> None:
        """Hear that a layer begins, or the bottleneck with the name ""."""

    def leave(self, name: str, module: nn.Module, before: Tensor | None, after: Tensor) -> None:
        """Hear that it ends, what it took, and what it gave."""


def layers_of(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield what counts as one layer of a module: what is torch's own, and what has no parts.

    A module of parts is one beside them where it has parameters of its own.
    """
    own = type(module).__module__.startswith("torch.nn") and not isinstance(module, CONTAINERS)
    parts = list(module.named_children())
    if own or not parts or isinstance(module, FOLDED):
        if not isinstance(module, nn.Identity):
            yield name, module
        return
    if any(True for _ in module.parameters(recurse=False)):
        yield name, module
    for child, part in parts:
        yield from layers_of(part, f"{name}.{child}")


@contextmanager
def watched(model: Model, watch: Watch) -> Iterator[None]:
    """Let a watch be told of each layer's use."""
    network = model.network
    found = [
        *layers_of(network.encoder, "network.encoder"),
        *layers_of(network.decoder, "network.decoder"),
        *layers_of(model.loss.activation, "loss.activation"),
    ]
    handles, stepping = [], []
    for name, module in {id(module): (name, module) for name, module in reversed(found)}.values():

        def enter(module: nn.Module, inputs: Any, *, name: str = name) -> None:
            watch.enter(name)

        def leave(module: nn.Module, inputs: Any, output: Any, *, name: str = name) -> None:
            watch.leave(name, module, first_tensor(inputs), first_tensor(output))

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        if isinstance(module, nn.RNNBase) and hasattr(module, "step"):
            stepping.append(module)
            vars(module)["step"] = told(module, module.step, enter, leave)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in stepping:
            del vars(module)["step"]


def told(
    module: nn.Module, step: Any, enter: Callable[..., None], leave: Callable[..., None]
) -> Callable[..., Any]:
    """Return a cell's step with hooks, which torch knows for whole layers alone."""

    def hooked(*inputs: Any) -> Any:
        enter(module, inputs)
        output = step(*inputs)
        leave(module, inputs, output)
        return output

    return hooked


def first_tensor(value: Any) -> Any:
    """Return the first tensor of what a module takes or gives; None where there is none."""
    if isinstance(value, tuple | list):
        found = (first_tensor(item) for item in value)
        return next((item for item in found if item is not None), None)
    return value if isinstance(value, Tensor) else None


def passed(model: Model, x: Tensor, watch: Watch, *, coded: bool = True) -> None:
    """Send samples through the model as it is at use, told to a watch.

    Parameters
    ----------
    model
        Ready for use.
    x
        As the encoder sees them.
    watch
        Told of all.
    coded
        Whether the bottleneck makes codes; else its mean, or what stands for it, is passed on.
    """
    with torch.no_grad(), watched(model, watch):
        watch.section = "encoder"
        h, context = model.encode_seen(x)
        watch.section = "bottleneck"
        watch.enter("")
        z = model.bottleneck.code(h) if coded else h[:, : model.network.code_shape[0]]
        watch.leave("", model.bottleneck, h, z)
        watch.section = "decoder"
        model.loss.output(model.network.decode(z, context))


class Shapes(Watch):
    """Notes the layers in the order of their first use."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.uses: dict[Key, Use] = {}

    def leave(self, name: str, module: nn.Module, before: Tensor | None, after: Tensor) -> None:
        key = (self.section, name)
        if key in self.uses:
            self.uses[key].calls += 1
        elif name:
            took, gave = self.of_one(before), self.of_one(after)
            self.uses[key] = Use(self.section, name, module, took, gave)

    def of_one(self, values: Tensor | None) -> tuple[int, ...]:
        """Return the shape of one sample's values."""
        if values is None or not values.dim():
            return ()
        rows, *shape = values.shape
        several = rows // self.samples
        return (*shape,) if several <= 1 else (several, *shape)


def first_pass(model: Model, shape: Sequence[int]) -> list[Use]:
    """Return the layers in the order in which samples of a shape go through them."""
    watch = Shapes(2)
    passed(model, torch.zeros(2, *shape), watch)
    return list(watch.uses.values())


class Reach(Watch):
    """Notes from which line of the input to which other one lines reach each value."""

    def __init__(self) -> None:
        self.found: dict[tuple[Key, int, int], tuple[Tensor, Tensor]] = {}

    def begin(self, axis: int, lines: Tensor) -> None:
        """Begin a pass of samples, each with another unknown line (samples,) of an axis."""
        self.axis, self.lines = axis, lines
        self.calls: dict[Key, int] = defaultdict(int)

    def leave(self, name: str, module: nn.Module, before: Tensor | None, after: Tensor) -> None:
        key = (self.section, name)
        self.calls[key] += 1
        if len(after) != len(self.lines):
            return
        reached, lines = after.isnan().flatten(1), self.lines[:, None]
        first = torch.where(reached, lines, MOST_PROBES).amin(0)
        last = torch.where(reached, lines, -1).amax(0)
        place = (key, self.calls[key], self.axis)
        if place in self.found:
            before_first, before_last = self.found[place]
            first, last = torch.minimum(first, before_first), torch.maximum(last, before_last)
        self.found[place] = first, last

    def fields(self, axes: int) -> dict[Key, tuple[int, ...]]:
        """Return the most lines of each axis that reach a value of each layer."""
        found: dict[Key, list[int]] = {}
        for (key, _, axis), (first, last) in self.found.items():
            most = found.setdefault(key, [0] * axes)
            most[axis] = max(most[axis], int((last - first + 1).max()))
        return {key: tuple(most) for key, most in found.items()}


def receptive_fields(
    model: Model, shape: Sequence[int], *, ragged: bool
) -> dict[Key, tuple[int, ...]]:
    """Return how many rows and columns, steps or features reach a value of each layer, at most.

    From the first to the last that does: a dilated kernel skips some between.

    Parameters
    ----------
    model
        On the CPU.
    shape
        Of a sample as the encoder sees it.
    ragged
        Whether the last feature of a step tells whether there is one, and has to stay known.
    """
    axes = (1, 2) if len(shape) == 3 else (0,)
    if max(shape[axis] for axis in axes) > MOST_PROBES:
        return {}
    watch = Reach()
    for i, axis in enumerate(axes):
        for lines in torch.split(torch.arange(shape[axis]), PROBES):
            x = torch.zeros(len(lines), *shape)
            for sample, line in zip(x, lines.tolist(), strict=True):
                sample.select(axis, line).fill_(torch.nan)
            if ragged:
                x[..., -1] = 1.0
            watch.begin(i, lines)
            try:
                passed(model, x, watch, coded=False)
            except Exception:  # a module of somebody's own may refuse what is not finite
                return {}
    return watch.fields(len(axes))


class Clock(Watch):
    """Adds up the seconds of each layer, less those of the layers inside it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[Key, float] = defaultdict(float)
        self.open: list[list[float]] = []

    def enter(self, name: str) -> None:
        self.open.append([self.now(), 0.0])

    def leave(self, name: str, module: nn.Module, before: Tensor | None, after: Tensor) -> None:
        begun, inside = self.open.pop()
        took = self.now() - begun
        self.seconds[self.section, name] += took - inside
        if self.open:
            self.open[-1][1] += took

    def now(self) -> float:
        """Return the time once the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()


def durations(
    model: Model, shape: Sequence[int], rows: int, device: torch.device
) -> dict[Key, float]:
    """Return the share of time of each layer, from 0 to 1, over a few passes of noise."""
    x = torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    passed(model, x, Clock(device))  # the first pass also prepares what later ones use
    clock = Clock(device)
    for _ in range(PASSES):
        passed(model, x, clock)
    total = sum(clock.seconds.values())
    return {key: seconds / total for key, seconds in clock.seconds.items()}


# ── from what was seen to rows ───────────────────────────────────────────────────────────────


def fresh(parameters: Iterable[nn.Parameter], counted: set[int]) -> int:
    """Return how many numbers parameters hold that are not counted yet, and count them."""
    new = [p for p in parameters if id(p) not in counted]
    counted |= {id(p) for p in new}
    return sum(p.numel() for p in new)


def rows_of(
    uses: Sequence[Use],
    counted: set[int],
    fields: Mapping[Key, tuple[int, ...]],
    times: Mapping[Key, float] | None,
) -> list[Layer]:
    """Return a row for each layer of a section, activations with the layer before them."""
    layers: list[Layer] = []
    for use in uses:
        share = None if times is None else times.get(use.key, 0.0)
        if isinstance(use.module, FOLDED) and layers:
            last = layers[-1]
            told = kind_of(use.module) if use.before == last.output else ""
            kind = ", ".join(filter(None, (last.kind, told)))
            both = None if last.time is None else last.time + (share or 0.0)
            count = last.parameters + fresh(use.module.parameters(), counted)
            layers[-1] = replace(last, kind=kind, time=both, parameters=count)
            continue
        count = fresh(use.module.parameters(recurse=is_one(use.module)), counted)
        shape = geometry(use.module, use.before, use.after)
        layers.append(
            Layer(
                use.name, use.section, kind_of(use.module), use.after, count, use.calls,
                **({} if shape is None else asdict(shape)),
                receptive_field=fields.get(use.key), time=share,
            )
        )  # fmt: skip
    return layers


def unused(
    root: nn.Module, names: Mapping[int, str], section: str, counted: set[int]
) -> list[Layer]:
    """Return rows for what has parameters that no row has counted."""
    found = []
    for module in root.modules():
        count = fresh(module.parameters(recurse=False), counted)
        if count:
            found.append(Layer(names[id(module)], section, kind_of(module), None, count))
    return found


def is_one(module: nn.Module) -> bool:
    """Whether a module is one row; else its parts are rows of their own."""
    return [part for _, part in layers_of(module, "")] == [module]


def kind_of(module: nn.Module) -> str:
    """Return what a layer is called, kernel and stride included; "" of what does nothing."""
    if isinstance(module, MeanActivation):
        return f"{kind_of(module.activation)} of the mean"
    if isinstance(module, Dropout):
        return f"dropout {module.rate:g}" if module.rate else ""
    name = type(module).__name__
    known = {cls: key for key, cls in ACTIVATIONS.items()} | KINDS
    kind = "" if name == "Identity" else known.get(name, name)
    kernel = kernel_of(module)
    if kernel is None:
        return kind
    told = [f"{kind} {'×'.join(map(str, kernel.size))}"]
    for word, values in (("stride", kernel.stride), ("dilation", kernel.dilation)):
        if set(values) != {1} and not (word == "stride" and "pool" in kind):
            told.append(f"{word} {'×'.join(map(str, alike(values)))}")
    if kernel.groups > 1:
        told.append(f"{kernel.groups} groups")
    return ", ".join(told)


@dataclass(frozen=True)
class Kernel:
    """A window that moves over axes: of a convolution or a pooling.

    Parameters
    ----------
    size, stride, padding, dilation
        Along each axis.
    groups
        In how many parts the channels are apart.
    repeats
        How often each value is repeated before, along each axis.
    extra
        What a transposed convolution adds at the end of each axis; None of others.
    ceil
        Whether a window counts that reaches beyond the end.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[float, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    repeats: int = 1
    extra: tuple[int, ...] | None = None
    ceil: bool = False


POOLS = tuple(getattr(nn, f"{kind}Pool{axes}d") for kind in ("Max", "Avg") for axes in (1, 2, 3))


def kernel_of(module: nn.Module) -> Kernel | None:
    """Return the kernel of a convolution or a pooling; None of other layers."""
    if isinstance(module, nn.modules.conv._ConvNd):
        size, dilation = tuple(module.kernel_size), tuple(module.dilation)
        spans = [d * (f - 1) for f, d in zip(size, dilation, strict=True)]
        padding: tuple[float, ...]
        if module.padding == "valid":
            padding = (0,) * len(size)
        elif module.padding == "same":
            padding = tuple(span / 2 if span % 2 else span // 2 for span in spans)
        else:
            padding = tuple(int(p) for p in module.padding)
        return Kernel(
            size, tuple(module.stride), padding, dilation, module.groups,
            repeats=2 if isinstance(module, RepeatConvolution) else 1,
            extra=tuple(module.output_padding) if module.transposed else None,
        )  # fmt: skip
    if isinstance(module, POOLS):
        axes = next(int(cls.__name__[-2]) for cls in type(module).__mro__ if cls in POOLS)
        values = (module.kernel_size, module.stride, module.padding, getattr(module, "dilation", 1))
        size, stride, padding, dilation = (each_axis(value, axes) for value in values)
        return Kernel(size, stride, padding, dilation, ceil=bool(module.ceil_mode))
    return None


def each_axis(value: Any, axes: int) -> tuple[int, ...]:
    """Return a number for each axis of one for all, or of one for each."""
    several = value if isinstance(value, tuple | list) else [value] * axes
    return tuple(int(each) for each in (several if len(several) == axes else [*several] * axes))


def alike(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values, or the one that all are.

    >>> alike((3, 3)), alike((3, 5))
    ((3,), (3, 5))
    """
    return tuple(values[:1]) if len(set(values)) == 1 else tuple(values)


def sized(shape: Sequence[int]) -> str:
    """Return a shape as text: ``"32 × 14 × 14"``."""
    return " × ".join(f"{length:,}" for length in shape)


@dataclass(frozen=True)
class Geometry:
    """What a kernel makes of the lengths of axes; fields as those of `Layer`."""

    formula: tuple[str, ...]
    padding: tuple[float, ...]
    keeps_size: bool


def geometry(module: nn.Module, before: Sequence[int], after: Sequence[int]) -> Geometry | None:
    """Return how a layer's output lengths come about; None of a layer without a kernel.

    Parameters
    ----------
    module
        The layer.
    before, after
        Shapes of what it takes and gives for one sample.
    """
    kernel = kernel_of(module)
    if kernel is None:
        return None
    axes = len(kernel.size)
    lengths = list(zip(before[-axes:], after[-axes:], strict=True))
    formulas = [length_formula(kernel, axis, *pair) for axis, pair in enumerate(lengths)]
    return Geometry(alike(formulas), kernel.padding, all(w == o for w, o in lengths))


def length_formula(kernel: Kernel, axis: int, before: int, after: int) -> str:
    """Return ``(W − F + 2P)/S + 1 = O`` along an axis, with its numbers.

    Parameters
    ----------
    kernel
        The window.
    axis
        Which of its axes.
    before, after
        The axis's length before the layer and after it, where that may be cut.

    >>> length_formula(Kernel((3,), (2,), (1,), (1,)), 0, 28, 14)
    '⌊(28 − 3 + 2·1)/2⌋ + 1 = 14'
    """
    f, s, p = kernel.size[axis], kernel.stride[axis], kernel.padding[axis]
    d, w = kernel.dilation[axis], kernel.repeats * before
    span = d * (f - 1) + 1
    window = str(f) if d == 1 else f"({d}·({f} − 1) + 1)"
    if kernel.extra is not None:
        extra = kernel.extra[axis]
        length = (w - 1) * s - int(2 * p) + span + extra
        text = f"({before} − 1)·{s} − 2·{p} + {window}" + (f" + {extra}" if extra else "")
        return told_length(text, length, after)
    length_of = f"{kernel.repeats}·{before}" if kernel.repeats > 1 else str(before)
    room = w - span + int(2 * p)
    inner, (left, right) = f"({length_of} − {window} + 2·{p})/{s}", ("", "")
    if room % s:
        left, right = ("⌈", "⌉") if kernel.ceil else ("⌊", "⌋")
    length = (-(-room // s) if kernel.ceil else room // s) + 1
    return told_length(f"{left}{inner}{right} + 1", length, after)


def told_length(text: str, length: int, after: int) -> str:
    """Return a formula with what it comes to, and what is kept of that."""
    return f"{text} = {length}" + ("" if length == after else f", {after} kept")
