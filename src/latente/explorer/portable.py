"""Portable: a model as programs from samples as they are shown to samples as they are shown.

::

    shown ──entry──▶ x ──coder──▶ codes, x̂, error, score ──exit──▶ codes, shown, error, score
    code ──coder──▶ x̂ ──exit──▶ shown

What a page has of a sample is its bytes, the numbers of its columns or steps, or the places of its
characters; the way from there to the model's scale is part of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.encoders import Boolean, Category, ColumnEncoder, Date
from ..data.preparation import Preparation
from ..data.sequences import NumberSequences, TextSequences
from ..data.shades import black_and_white
from ..data.tables import TableEncoder
from .coders import Coder
from .lowering import Unsupported, lower
from .samples import SECOND, PictureForm, RowForm, SampleForm, SeriesForm, Shown, TextForm
from .weights import Program

SMALL = 50_000
"""Programs of fewer weights are kept in float32."""
HALF_TOLERANCE, TOLERANCE = 1e-3, 1e-4
"""Difference that is let pass, as a share of the range of what comes out."""
FINE = 1e-2
"""Numbers are finely rounded where a step is at most such a share of their range."""
CHECKED = 6
"""Samples by which a program is compared with the model."""


class PictureEntry(nn.Module):
    """Bytes of pictures (n, h, w, c) to the model's scale (n, channels, h, w)."""

    def __init__(self, form: PictureForm) -> None:
        super().__init__()
        self.preparation, self.own = form.preparation, form.own_channels
        self.scale = form.preparation.scaling_map.module()

    def forward(self, x: Tensor) -> Tensor:
        layout = self.preparation.layout
        if self.own > x.shape[3]:  # what is not seen is opaque
            more = torch.full((*x.shape[:3], self.own - x.shape[3]), 255.0)
            x = torch.cat([x, more], 3)
        x = x[..., : self.own].reshape(-1, *layout.shape)
        if layout.dtype != "uint8":
            low, high = black_and_white(self.preparation)
            x = x >= 128 if layout.dtype == "bool" else low + x * ((high - low) / 255)
        return self.scale(layout.to_model_shape(x))  # type: ignore[no-any-return]


class PictureExit(nn.Module):
    """The model's scale (n, channels, h, w) to shades (n, h, w, c), not rounded."""

    def __init__(self, form: PictureForm) -> None:
        super().__init__()
        self.form = form
        self.unscale = form.preparation.scaling_map.inverse_module()

    def forward(self, values: Tensor) -> Tensor:
        x: Tensor = self.unscale(values).movedim(1, 3)
        if self.form.preparation.layout.dtype != "uint8":
            low, high = black_and_white(self.form.preparation)
            x = (x - low) * (255 / (high - low) if high > low else 0.0)
        if x.shape[3] == 2:
            x = torch.cat([x, torch.zeros_like(x[..., :1])], 3)
        return x if x.shape[3] == 1 else x[..., :3]


class RowEntry(nn.Module):
    """Rows of numbers (n, features) to the model's scale."""

    def __init__(self, form: RowForm) -> None:
        super().__init__()
        self.scale = form.preparation.scaling_map.module()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(x)  # type: ignore[no-any-return]


class RowExit(nn.Module):
    """The model's scale to rows of numbers (n, features)."""

    def __init__(self, form: RowForm) -> None:
        super().__init__()
        self.dtype = form.preparation.layout.dtype
        self.unscale = form.preparation.scaling_map.inverse_module()

    def forward(self, values: Tensor) -> Tensor:
        x: Tensor = self.unscale(values)
        if np.dtype(self.dtype).kind in "iu":
            limits = np.iinfo(self.dtype)
            return x.round().clamp(float(limits.min), float(limits.max))
        return (x >= 0.5).float() if self.dtype == "bool" else x


class TableEntry(nn.Module):
    """Columns of a data frame as numbers (n, columns) to the model's matrix.

    A text is its place among the sorted levels of the column; NaN is what is missing.
    """

    def __init__(self, form: RowForm, table: TableEncoder) -> None:
        super().__init__()
        self.table = table
        both = zip(table.encoders, form.levels, strict=True)
        self.places = [flags_of_levels(each, levels) for each, levels in both]
        scaling = table.scaling_map
        self.scale = nn.Identity() if scaling is None else scaling.module()

    def forward(self, x: Tensor) -> Tensor:
        values: list[Tensor] = []
        flags: list[Tensor] = []
        for i, encoder in enumerate(self.table.encoders):
            column = x[:, i : i + 1]
            gap = column.isnan()
            fill = float(getattr(encoder, "fill", 0.0))
            if isinstance(encoder, Category):
                flags.append(self._category(i, column, gap))
                continue
            known = column * SECOND if isinstance(encoder, Date) else column
            known = torch.where(gap, fill, known)
            (flags if isinstance(encoder, Boolean) else values).append(known)
            if encoder.missing:
                flags.append(gap.float())
        if not values:
            return torch.cat(flags, 1)
        return torch.cat([self.scale(torch.cat(values, 1)), *flags], 1)

    def _category(self, i: int, column: Tensor, gap: Tensor) -> Tensor:
        encoder: Any = self.table.encoders[i]
        levels, matrix = self.places[i]
        one = (column == torch.from_numpy(levels)).float()
        flags = one @ torch.from_numpy(matrix)
        missing = torch.zeros(1, matrix.shape[1])
        if matrix.shape[1]:
            missing[0, encoder.flags - 1 if encoder.missing else encoder.fill] = 1
        return torch.where(gap, missing, flags)


class TableExit(nn.Module):
    """The model's matrix to columns of a data frame as numbers (n, columns)."""

    def __init__(self, form: RowForm, table: TableEncoder) -> None:
        super().__init__()
        self.table = table
        self.whole = whole_columns(form)
        both = zip(table.encoders, form.levels, strict=True)
        self.places = [flags_of_levels(each, levels) for each, levels in both]
        scaling = table.scaling_map
        self.unscale = nn.Identity() if scaling is None else scaling.inverse_module()

    def forward(self, matrix: Tensor) -> Tensor:
        values = self.unscale(matrix[:, : self.table.numbers])
        number, flag, columns = 0, self.table.numbers, []
        for i, encoder in enumerate(self.table.encoders):
            flags = matrix[:, flag : flag + encoder.flags]
            value = values[:, number : number + encoder.numbers]
            columns.append(self._column(i, encoder, value, flags))
            number, flag = number + encoder.numbers, flag + encoder.flags
        return torch.cat(columns, 1)

    def _column(self, i: int, encoder: ColumnEncoder, value: Tensor, flags: Tensor) -> Tensor:
        if isinstance(encoder, Category):
            levels, places = self.places[i]
            back = np.full(encoder.flags, np.nan, np.float32)
            for level, row in zip(levels, places, strict=True):
                if row.any() and int(row.argmax()) < len(encoder.levels):
                    back[int(row.argmax())] = level
            return torch.from_numpy(back)[flags.argmax(1, keepdim=True)]
        if isinstance(encoder, Boolean):
            value = (flags[:, :1] >= 0.5).float()
        elif isinstance(encoder, Date):
            value = (value / encoder.step).round() * (encoder.step / SECOND)
        elif self.whole[i]:
            value = value.round()
        if encoder.missing:
            value = torch.where(flags[:, -1:] >= 0.5, torch.nan, value)
        return value


def flags_of_levels(
    encoder: ColumnEncoder, levels: tuple[str, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the values of a shown column, (k,), and the flags that each sets, (k, flags)."""
    if not isinstance(encoder, Category):
        return np.empty(0, np.float32), np.empty((0, 0), np.float32)
    known = {str(level): i for i, level in enumerate(encoder.levels)}
    shown: list[Any] = list(range(len(levels))) if levels else list(encoder.levels)
    names = levels if levels else tuple(map(str, encoder.levels))
    matrix = np.zeros((len(names), encoder.flags), np.float32)
    for row, name in enumerate(names):
        flag = known.get(name, len(encoder.levels) if encoder.other else -1)
        if flag >= 0:
            matrix[row, flag] = 1
    return np.array(shown, np.float32), matrix


def whole_columns(form: RowForm) -> list[bool]:
    """Return which columns of a data frame hold whole numbers."""
    if form.schema is None:
        return [False] * len(form.levels)
    return [np.dtype(each.cast or "O").kind in "iu" for each in form.schema.fields]


class SeriesEntry(nn.Module):
    """Series (n, T, d), NaN behind their ends, to the model's scale."""

    def __init__(self, form: SeriesForm) -> None:
        super().__init__()
        self.ragged = isinstance(form.preparation.sequences, NumberSequences)
        self.scale = form.preparation.scaling_map.module()

    def forward(self, x: Tensor) -> Tensor:
        if not self.ragged:
            return self.scale(x)  # type: ignore[no-any-return]
        gap = x[..., :1].isnan()
        values = torch.where(gap, 0.0, self.scale(torch.where(gap, 0.0, x)))
        return torch.cat([values, (~gap).float()], -1)


class SeriesExit(nn.Module):
    """The model's scale to series (n, T, d), NaN behind their ends."""

    def __init__(self, form: SeriesForm) -> None:
        super().__init__()
        self.ragged = isinstance(form.preparation.sequences, NumberSequences)
        self.unscale = form.preparation.scaling_map.inverse_module()

    def forward(self, values: Tensor) -> Tensor:
        if not self.ragged:
            return self.unscale(values)  # type: ignore[no-any-return]
        ended = ends(values)
        return torch.where(ended, torch.nan, self.unscale(values[..., :-1]))


class TextEntry(nn.Module):
    """Places of characters (n, T), from 1, 0 behind the end, to the model's flags."""

    def __init__(self, form: TextForm, sequences: TextSequences) -> None:
        super().__init__()
        self.width = sequences.width

    def forward(self, x: Tensor) -> Tensor:
        index = x[..., None]
        places = torch.arange(1, self.width, dtype=torch.float32)
        return torch.cat([(index == places).float(), (index > 0).float()], -1)


class TextExit(nn.Module):
    """The model's flags to places of characters (n, T), from 1, 0 behind the end."""

    def forward(self, values: Tensor) -> Tensor:
        index = values[..., :-1].argmax(-1).float() + 1
        return torch.where(ends(values)[..., 0], 0.0, index)


def ends(values: Tensor) -> Tensor:
    """Return whether a sequence has ended at each step, by the last feature, (n, T, 1)."""
    return (values[..., -1:] < 0.5).float().cumsum(1) > 0


def entry_of(form: SampleForm) -> nn.Module:
    """Return the way from samples as they are shown to the model's scale."""
    preparation = form.preparation
    if preparation.table is not None:
        return TableEntry(form, preparation.table)  # type: ignore[arg-type]
    if isinstance(preparation.sequences, TextSequences):
        return TextEntry(form, preparation.sequences)  # type: ignore[arg-type]
    return ENTRIES[form.kind](form)


def exit_of(form: SampleForm) -> nn.Module:
    """Return the way from the model's scale to samples as they are shown."""
    preparation = form.preparation
    if preparation.table is not None:
        return TableExit(form, preparation.table)  # type: ignore[arg-type]
    if isinstance(preparation.sequences, TextSequences):
        return TextExit()
    return EXITS[form.kind](form)


ENTRIES: dict[str, Callable[[Any], nn.Module]] = {
    "pictures": PictureEntry,
    "rows": RowEntry,
    "sequences": SeriesEntry,
}
EXITS: dict[str, Callable[[Any], nn.Module]] = {
    "pictures": PictureExit,
    "rows": RowExit,
    "sequences": SeriesExit,
}


class Passing(nn.Module):
    """What a model makes of samples as they are shown.

    ::

        shown (n, ...) ──▶ code, shown reconstruction, error, score, side by side (n, numbers)

    Parameters
    ----------
    coder
        The model.
    form, target
        How its input and its output are shown.
    scored
        Whether scores are computed, or NaN.
    """

    def __init__(
        self, coder: Coder, form: SampleForm, target: SampleForm, *, scored: bool = True
    ) -> None:
        super().__init__()
        self.scored = scored
        self.coder, self.model = coder, coder.module()
        self.entry, self.exit = entry_of(form), exit_of(target)

    def forward(self, shown: Tensor) -> Tensor:
        x = self.entry(shown)
        found = self.coder.passed(x) if self.scored else self.coder.unscored(x)
        back = self.exit(found.values)
        parts = (found.codes, back, found.errors, found.scores)
        return torch.cat([part.reshape(len(shown), -1) for part in parts], 1)


class Decoding(nn.Module):
    """What codes stand for, as it is shown: code (n, latent) ──▶ shown (n, ...)."""

    def __init__(self, coder: Coder, target: SampleForm) -> None:
        super().__init__()
        self.coder, self.model = coder, coder.module()
        self.exit = exit_of(target)

    def forward(self, codes: Tensor) -> Tensor:
        return self.exit(self.coder.decode_values(codes))  # type: ignore[no-any-return]


def numbers_of_shown(form: SampleForm, shown: Shown) -> NDArray[np.float32]:
    """Return samples as they are shown as numbers: texts by the places of their characters."""
    sequences = form.preparation.sequences
    if shown.texts is None or not isinstance(sequences, TextSequences):
        return np.asarray(shown.array, np.float32)
    return np.asarray(sequences.store(shown.texts, "X"), np.float32)


@dataclass(frozen=True)
class Portable:
    """A program, and in which precision it is right.

    Parameters
    ----------
    program
        With its weights as they will be read.
    precision
        "float16" or "float32", of the large weights.
    difference
        From the model, as a share of the range of what comes out.
    """

    program: Program
    precision: str
    difference: float


class OutputPart(NamedTuple):
    """Numbers that come out side by side and are of one kind."""

    width: int
    span: float = 0.0
    """How far apart they lie at least; 0 where only samples tell."""
    step: float = 0.0
    """To multiples of what they are rounded."""


def parts_of(form: SampleForm, size: int) -> list[OutputPart]:
    """Return the parts of a sample of so many numbers: each column of rows has its own scale."""
    if not isinstance(form, RowForm):
        return [OutputPart(size)]
    table, layout = form.preparation.table, form.preparation.layout
    whole = whole_columns(form)
    if table is None and np.dtype(layout.dtype).kind in "iu":
        whole = [True] * len(whole)
    steps = [float(each) for each in whole]
    for i, encoder in enumerate(() if table is None else table.encoders):
        if isinstance(encoder, Date):
            steps[i] = encoder.step / SECOND
    spans = (form.high - form.low).tolist()
    return [OutputPart(1, *each) for each in zip(spans, steps, strict=True)]


def portable(module: nn.Module, rows: NDArray[np.float32], parts: list[OutputPart]) -> Portable:
    """Return a module as a program that was compared with it.

    Parameters
    ----------
    module
        From one batch to another.
    rows
        Samples to compare by, (m, ...).
    parts
        What of the numbers that come out belongs together: a difference is a share of its range.

    Raises
    ------
    Unsupported
        If it has an operation that a page cannot run, or the program gives other values.
    """
    given = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
    program = lower(module, given[:1])
    with torch.no_grad():
        each = [module(given[i : i + 1]).reshape(-1) for i in range(len(given))]
    expected = torch.stack(each).float().numpy()
    if program.weights >= SMALL:
        halved = program.halved()
        off = difference(halved.run(rows), expected, parts)
        if off <= HALF_TOLERANCE:
            return Portable(halved, "float16", off)
    off = difference(program.run(rows), expected, parts)
    if not off <= TOLERANCE:
        raise Unsupported(f"a page would give other values than torch, off by {off:.2g}")
    return Portable(program, "float32", off)


def difference(found: NDArray[Any], expected: NDArray[Any], parts: list[OutputPart]) -> float:
    """Return the largest difference, as a share of the range of the part it is in.

    Where numbers are rounded finely, the next multiple counts as the same: a number halfway between
    two may fall on either.
    """
    found = found.reshape(expected.shape)
    largest, start = 0.0, 0
    for part in parts:
        ours, theirs = (each[:, start : start + part.width] for each in (found, expected))
        start += part.width
        known = np.isfinite(theirs)
        if (known != np.isfinite(ours)).any():
            return float("inf")
        if known.any():
            values = theirs[known].astype(np.float64)
            span = max(np.ptp(values), part.span, 1e-3 * float(np.abs(values).max()), 1e-9)
            away = float(np.abs(ours[known] - values).max())
            away -= part.step if part.step <= FINE * span else 0.0
            largest = max(largest, away / span)
    return largest


def preparation_facts(preparation: Preparation) -> dict[str, Any]:
    """Return what a page has to know of the scale of samples, to damage them and to read texts."""
    sequences = preparation.sequences
    facts: dict[str, Any] = {"bounds": list(preparation.space.bounds or preparation.range)}
    if isinstance(sequences, TextSequences):
        return {**facts, "alphabet": list(sequences.alphabet), "steps": sequences.steps}
    if preparation.table is not None:
        return facts
    scaling, layout = preparation.scaling_map, preparation.layout
    shift, span = np.ravel(scaling.shift), np.ravel(scaling.span)
    if layout.kind == "pictures":
        if layout.dtype != "uint8":  # from the scale of shades to that of the data
            low, high = black_and_white(preparation)
            unit = (high - low) / 255 or 1.0
            shift, span = (shift - low) / unit, span / unit
        if len(shift) > 1:  # as many channels as are shown, which are three
            shift, span = (np.append(each, end)[:3] for each, end in ((shift, 0), (span, 255)))
    return {**facts, "shift": shift.tolist(), "span": span.tolist()}
