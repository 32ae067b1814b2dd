"""Encoders: one column of a data frame, to numbers and 0/1 flags and back, learned at fit.

::

    number, moment ──▶ one value, its gaps filled │ flag "missing", where there were any
    boolean        ──▶ flag                       │ flag "missing", where there were any
    category       ──▶ a flag for each level, or each frequent one and "other" │ flag "missing"

`ENCODERS` is the table, by the kinds of `frames.Field`.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import DataError
from .arrays import numbers
from .frames import (
    MIDNIGHT,
    Bools,
    Column,
    Field,
    Series,
    as_json,
    classify,
    kind_of,
    present,
    shortened,
)

Floats = NDArray[np.float64]

MOST_LEVELS = 255
"""A column of more levels than these has flags for the frequent ones, one fewer, and "other"."""
FEW = 50
"""From so many rows on, text that hardly ever repeats has no flag for each level either."""
FREQUENT = 0.001
"""Share of the rows that a frequent level has; two rows at least."""
OTHER = "other"
"""What a level that is not frequent comes back as, in a column of text."""
STEPS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""Microseconds in a day, an hour, a minute, a second, a millisecond, and one."""
YEAR_1, YEAR_9999 = -62_135_596_800_000_000, 253_402_300_799_999_999
NANOSECONDS = 9_223_372_036_000_000
"""As many microseconds are what 64 bits of nanoseconds hold, on either side of 1970."""


@dataclass(frozen=True, kw_only=True)
class ColumnEncoder(ABC):
    """One column.

    Parameters
    ----------
    missing
        Whether values were missing at fit, so that a flag says where they are.
    """

    missing: bool
    numbers: ClassVar[int] = 0
    """How many values it has, besides flags: 0 or 1."""

    @property
    def flags(self) -> int:
        """How many flags it has."""
        return int(self.missing)

    @classmethod
    @abstractmethod
    def learn(cls, series: Series, field: Field) -> Self:
        """Learn a column, or raise `DataError` where it cannot be."""

    @abstractmethod
    def encode(self, series: Series, flags: NDArray[np.float32]) -> Floats | None:
        """Set a column's flags (n, flags), all 0 as given, and return its value (n,) if it has one.

        Flags stay at 0 where there is a level that the fit never saw; see `unseen`.

        Raises
        ------
        DataError
            If the column holds something else than at fit.
        """

    @abstractmethod
    def decode(self, values: Floats | None, flags: NDArray[np.float32]) -> Column:
        """Return a column's values and where they are missing."""

    def unseen(self, series: Series, flags: NDArray[np.float32]) -> dict[int, Any]:
        """Return values that the fit never saw, each once, by the first row that has it.

        Parameters
        ----------
        series
            The column.
        flags
            As `encode` set them.
        """
        return {}

    def known(self) -> str:
        """Return what the fit saw, for a sentence."""
        return "any value"

    def titles(self, name: str) -> tuple[list[str], list[str]]:
        """Return what its value and its flags are called."""
        return [name] * self.numbers, [f"{name}_missing"] * self.missing

    def gaps(self, flags: NDArray[np.float32]) -> Bools:
        """Return where the flag says that a value is missing."""
        return flags[:, -1] >= 0.5 if self.missing else np.zeros(len(flags), np.bool_)


@dataclass(frozen=True, kw_only=True)
class Number(ColumnEncoder):
    """A column of numbers; the median stands for what is missing."""

    numbers: ClassVar[int] = 1
    fill: float

    @classmethod
    def learn(cls, series: Series, field: Field) -> Self:
        values = cls.read(series)
        gaps = np.isnan(values)
        known = values[~gaps]
        fill = float(np.median(known)) if len(known) else 0.0
        return cls(missing=bool(gaps.any()), fill=fill)

    def encode(self, series: Series, flags: NDArray[np.float32]) -> Floats:
        values = self.read(series)
        gaps = np.isnan(values)
        if self.missing:
            flags[:, -1] = gaps
        return np.where(gaps, self.fill, values) if gaps.any() else values

    def decode(self, values: Floats | None, flags: NDArray[np.float32]) -> Column:
        assert values is not None
        return values, self.gaps(flags)

    @staticmethod
    def read(series: Series) -> Floats:
        """Return the numbers, NaN where they are missing."""
        if is_empty(series):
            return np.full(len(series), np.nan)
        if classify(series)[0] not in ("number", "boolean"):
            raise DataError(changed(series, "numbers"))
        try:
            values = numbers(series).astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"column {series.name!r} cannot be read as numbers: {error}") from error
        infinite = np.isinf(values)
        if infinite.any():
            raise DataError(
                f"column {series.name!r} has infinity at row {int(np.argmax(infinite))}; "
                "every value must be finite, or missing"
            )
        return values


@dataclass(frozen=True, kw_only=True)
class Date(ColumnEncoder):
    """A column of dates, of instants, of durations or of times of day, as microseconds.

    float32 distinguishes about 16 million of them between the first and the last at fit, so they
    come back rounded to the coarsest step that all had then: whole days stay whole days.
    """

    numbers: ClassVar[int] = 1
    fill: float
    step: int
    duration: bool
    nanoseconds: bool
    clock: bool = False

    @classmethod
    def learn(cls, series: Series, field: Field) -> Self:
        values = cls.read(series)
        gaps = np.isnan(values)
        known = values[~gaps]
        step = next(step for step in STEPS if not (known % step).any())
        fill = float(np.round(np.median(known) / step) * step) if len(known) else 0.0
        return cls(
            missing=bool(gaps.any()),
            fill=fill,
            step=step,
            duration=series.dtype == nw.Duration,
            nanoseconds=getattr(series.dtype, "time_unit", "us") == "ns",
            clock=series.dtype == nw.Time,
        )

    encode = Number.encode

    def decode(self, values: Floats | None, flags: NDArray[np.float32]) -> Column:
        assert values is not None
        low, high = (-NANOSECONDS, NANOSECONDS) if self.nanoseconds else (YEAR_1, YEAR_9999)
        low, high = (0, MIDNIGHT) if self.clock else (low, high)
        steps = np.rint(values / self.step)
        whole = np.clip(steps, -(-low // self.step), high // self.step).astype(np.int64) * self.step
        return whole.view("m8[us]" if self.duration or self.clock else "M8[us]"), self.gaps(flags)

    @staticmethod
    def read(series: Series) -> Floats:
        """Return microseconds: since 1970 in UTC, since midnight, or as they last; NaN in gaps."""
        if series.dtype in (nw.Datetime, nw.Date):
            ticks = series.dt.timestamp("us")
        elif series.dtype == nw.Duration:
            ticks = series.dt.total_microseconds()
        elif series.dtype == nw.Time:
            since = series.to_arrow().cast(pa.time64("us"), safe=False).cast(pa.int64())
            return np.asarray(since.cast(pa.float64()).to_numpy(zero_copy_only=False))
        elif is_empty(series):
            return np.full(len(series), np.nan)
        else:
            raise DataError(changed(series, "dates or durations"))
        return numbers(ticks).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Boolean(ColumnEncoder):
    """A column of true and false; the more frequent stands for what is missing."""

    fill: bool

    @classmethod
    def learn(cls, series: Series, field: Field) -> Self:
        values = cls.read(series)
        known = values[~np.isnan(values)]
        return cls(missing=len(known) < len(values), fill=bool(2 * known.sum() >= len(known)))

    @property
    def flags(self) -> int:
        return 1 + self.missing

    def encode(self, series: Series, flags: NDArray[np.float32]) -> None:
        values = self.read(series)
        gaps = np.isnan(values)
        flags[:, 0] = np.where(gaps, self.fill, values)
        if self.missing:
            flags[:, 1] = gaps

    def decode(self, values: Floats | None, flags: NDArray[np.float32]) -> Column:
        return flags[:, 0], self.gaps(flags)

    def titles(self, name: str) -> tuple[list[str], list[str]]:
        values, flags = super().titles(name)
        return values, [name, *flags]

    @staticmethod
    def read(series: Series) -> Floats:
        """Return 0 and 1, NaN where they are missing."""
        values = Number.read(series)
        odd = ~np.isnan(values) & (values != 0) & (values != 1)
        if odd.any():
            row = int(np.argmax(odd))
            raise DataError(
                f"column {series.name!r} held true and false at fit, "
                f"and has {values[row]:.6g} now, at row {row}"
            )
        return values


@dataclass(frozen=True, kw_only=True)
class Category(ColumnEncoder):
    """A column of levels, each a flag of its own; the last is "missing", where values were.

    Where none were, the most frequent level stands for what is missing. Of very many levels only
    the frequent ones have a flag; one flag more says that a value is none of them.

    Parameters
    ----------
    levels
        Those that have a flag.
    fill
        The flag that stands for what is missing, where nothing was.
    other
        Whether there is a flag for all other levels.
    text
        Whether "other" can come back from it; where the column's type holds no such level, a gap
        does.
    """

    levels: tuple[str | int | float | bool, ...]
    fill: int
    other: bool = False
    text: bool = True

    @classmethod
    def learn(cls, series: Series, field: Field) -> Self:
        values, gaps = cls.read(series)
        known = [value for value, gap in zip(values, gaps.tolist(), strict=True) if not gap]
        counts: Counter[tuple[str, Any]] = Counter()
        for (_, value), count in Counter(zip(map(type, known), known, strict=True)).items():
            counts[distinct(value)] += count
        free = series.dtype in (nw.String, nw.Object)
        kept = frequent(counts, len(known), free=free)
        other = len(kept) < len(counts)
        if other:
            warnings.warn(merged(series.name, len(counts), len(kept), known), stacklevel=8)
        order = sorted(kept, key=lambda key: (key[0], key[1]))
        sizes = [counts[key] for key in order]
        if other:
            sizes.append(len(known) - sum(sizes))
        fill = sizes.index(max(sizes)) if sizes else 0
        fixed = series.dtype == nw.Enum or "levels" in field.note
        return cls(
            missing=bool(gaps.any()),
            levels=tuple(key[1] for key in order),
            fill=fill,
            other=other,
            text=not fixed and all(key[0] == "str" for key in counts),
        )

    @property
    def flags(self) -> int:
        return len(self.levels) + self.other + self.missing

    def encode(self, series: Series, flags: NDArray[np.float32]) -> None:
        values, gaps = self.read(series)
        codes = self.codes(values)
        if self.other:
            codes[codes < 0] = len(self.levels)
        codes[gaps] = self.flags - 1 if self.missing else self.fill
        rows = np.flatnonzero(codes >= 0)
        if flags.shape[1]:
            flags[rows, codes[rows]] = 1

    def unseen(self, series: Series, flags: NDArray[np.float32]) -> dict[int, Any]:
        rows = np.flatnonzero(~flags.any(axis=1))
        if not self.flags or not len(rows):
            return {}
        values, gaps = self.read(series)
        found: dict[tuple[str, Any], int] = {}
        for row in rows.tolist():
            if not gaps[row]:
                found.setdefault(distinct(values[row]), row)
        return {row: values[row] for row in found.values()}

    def known(self) -> str:
        return shortened(self.levels)

    def codes(self, values: Sequence[Any]) -> NDArray[np.int64]:
        """Return the place of each value among the levels, -1 where it is none of them."""
        if len(set(self.levels)) == len(self.levels):
            place: dict[Any, int] = {level: i for i, level in enumerate(self.levels)}
            return np.fromiter((place.get(v, -1) for v in values), np.int64, len(values))
        place = {distinct(level): i for i, level in enumerate(self.levels)}
        return np.fromiter((place.get(distinct(v), -1) for v in values), np.int64, len(values))

    def decode(self, values: Floats | None, flags: NDArray[np.float32]) -> Column:
        objects = np.empty(self.flags, object)
        objects[: len(self.levels)] = self.levels
        objects[len(self.levels) :][: self.other] = OTHER
        codes = flags.argmax(axis=1)
        return objects[codes], np.asarray(codes >= len(self.levels) + (self.other and self.text))

    def titles(self, name: str) -> tuple[list[str], list[str]]:
        values, missing = super().titles(name)
        levels = [*self.levels, *[OTHER] * self.other]
        return values, [f"{name}_{level}" for level in levels] + missing

    @staticmethod
    def read(series: Series) -> tuple[list[Any], Bools]:
        """Return the values as Python has them, and where they are missing."""
        if classify(series)[0] not in ("category", "number", "boolean"):
            raise DataError(changed(series, "levels"))
        return series.to_list(), series.is_null().to_numpy().astype(np.bool_)


ENCODERS: dict[str, type[ColumnEncoder]] = {
    "number": Number,
    "boolean": Boolean,
    "moment": Date,
    "category": Category,
}


def is_empty(series: Series) -> bool:
    """Whether a column of no particular type has no value at all."""
    return classify(series)[0] == "category" and bool(series.is_null().all())


def distinct(value: Any) -> tuple[str, Any]:
    """Return a key that keeps 1, "1", 1.0 and True apart, as Python's own equality does not."""
    plain = as_json(value)
    return type(plain).__name__, plain


def frequent(
    counts: Counter[tuple[str, Any]], rows: int, *, free: bool
) -> Sequence[tuple[str, Any]]:
    """Return the levels that have a flag each: all where they are few, else the frequent ones."""
    unique = free and rows >= FEW and len(counts) > 0.9 * rows
    if len(counts) <= MOST_LEVELS and not unique:
        return list(counts)
    least = max(2, FREQUENT * rows)
    return [key for key, count in counts.most_common(MOST_LEVELS - 1) if count >= least]


def merged(name: Any, levels: int, kept: int, known: list[Any]) -> str:
    """Return the sentence on a column of very many levels."""
    learned = f"the {kept} most frequent are learned" if kept else "none is frequent"
    return (
        f"column {name!r} has {levels:,} different values in {len(known):,} rows, such as "
        f"{known[0]!r:.40}; {learned}, and all others count as {OTHER!r}: drop the column if they "
        "are names or free text"
    )


def changed(series: Series, held: str) -> str:
    """Return the sentence on a column that is of another kind than at fit."""
    row, first = next(iter(present(series)), (0, None))
    return (
        f"column {series.name!r} held {held} at fit, and holds {kind_of(series)} now: "
        f"{first!r:.40} at row {row}"
    )
