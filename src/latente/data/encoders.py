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
MOST_COUNTED = 2**20
"""Levels that are counted at a time: of more, the rarer half is dropped."""
FREQUENT = 0.001
"""Share of the rows that a frequent level has; two rows at least."""
OTHER = "other"
"""What a level that is not frequent comes back as, in a column of text."""
STEPS = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)
"""Microseconds in a day, an hour, a minute, a second, a millisecond, and one."""
YEAR_1, YEAR_9999 = -62_135_596_800_000_000, 253_402_300_799_999_999
NANOSECONDS = 9_223_372_036_000_000
"""As many microseconds are what 64 bits of nanoseconds hold, on either side of 1970."""


class Tally(ABC):
    """What is counted of a column whose rows pass by."""

    missing = False
    """Whether a value was missing."""
    values: Floats | None = None
    """The numbers of the part added last, NaN in gaps, of a column that has numbers."""

    @abstractmethod
    def add(self, series: Series) -> None:
        """Count some more rows."""


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
    def whole(self) -> bool:
        """Whether all its values were whole numbers at fit."""
        return False

    @property
    def flags(self) -> int:
        """How many flags it has."""
        return int(self.missing)

    @classmethod
    def learn(cls, series: Series, field: Field) -> Self:
        """Learn a column, or raise `DataError` where it cannot be."""
        seen = cls.tally()
        seen.add(series)
        return cls.of(seen, series, field)

    @classmethod
    @abstractmethod
    def tally(cls) -> Tally:
        """Return what a column is counted with, part by part, before it is learned."""

    @classmethod
    @abstractmethod
    def of(cls, seen: Any, sample: Series, field: Field) -> Self:
        """Return the encoder of a column.

        Parameters
        ----------
        seen
            What `tally` returned, once all rows were added.
        sample
            Some rows of the column, or all, from which a median is taken.
        field
            The column.
        """

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
    """A column of numbers; the median stands for what is missing.

    Parameters
    ----------
    fill
        The median.
    step
        1 where all values were whole numbers at fit, else 0.
    """

    numbers: ClassVar[int] = 1
    fill: float
    step: int = 0

    @property
    def whole(self) -> bool:
        return self.step == 1

    @classmethod
    def tally(cls) -> NumberTally:
        return NumberTally()

    @classmethod
    def of(cls, seen: NumberTally, sample: Series, field: Field) -> Self:
        return cls(missing=seen.missing, fill=median(cls.read(sample)), step=int(seen.whole))

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


class NumberTally(Tally):
    """Counts a column of numbers."""

    whole = False
    """Whether there are values, and all are whole."""
    _none = True

    def add(self, series: Series) -> None:
        self.values = Number.read(series)
        known = self.values[~np.isnan(self.values)]
        self.missing |= len(known) < len(self.values)
        if len(known):
            self.whole = (self._none or self.whole) and bool((known == np.rint(known)).all())
            self._none = False


def median(values: Floats) -> float:
    """Return the median of what is not missing; 0 where all is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0


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
    def tally(cls) -> DateTally:
        return DateTally()

    @classmethod
    def of(cls, seen: DateTally, sample: Series, field: Field) -> Self:
        return cls(
            missing=seen.missing,
            fill=float(np.round(median(cls.read(sample)) / seen.step) * seen.step),
            step=seen.step,
            duration=sample.dtype == nw.Duration,
            nanoseconds=getattr(sample.dtype, "time_unit", "us") == "ns",
            clock=sample.dtype == nw.Time,
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


class DateTally(Tally):
    """Counts a column of dates, instants, durations or times of day."""

    step = STEPS[0]
    """The coarsest step that all have."""

    def add(self, series: Series) -> None:
        self.values = Date.read(series)
        known = self.values[~np.isnan(self.values)]
        self.missing |= len(known) < len(self.values)
        step = next(step for step in STEPS if not (known % step).any())
        self.step = min(self.step, step)


@dataclass(frozen=True, kw_only=True)
class Boolean(ColumnEncoder):
    """A column of true and false; the more frequent stands for what is missing."""

    fill: bool

    @classmethod
    def tally(cls) -> BooleanTally:
        return BooleanTally()

    @classmethod
    def of(cls, seen: BooleanTally, sample: Series, field: Field) -> Self:
        return cls(missing=seen.missing, fill=2 * seen.true >= seen.known)

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


class BooleanTally(Tally):
    """Counts a column of true and false."""

    true = known = 0

    def add(self, series: Series) -> None:
        self.values = Boolean.read(series)
        known = self.values[~np.isnan(self.values)]
        self.missing |= len(known) < len(self.values)
        self.true += int(known.sum())
        self.known += len(known)


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
    def tally(cls) -> CategoryTally:
        return CategoryTally()

    @classmethod
    def of(cls, seen: CategoryTally, sample: Series, field: Field) -> Self:
        counts, known = seen.counts, seen.known
        free = sample.dtype in (nw.String, nw.Object)
        kept = frequent(counts, known, free=free, levels=seen.levels)
        other = len(kept) < seen.levels
        if other:
            told = merged(sample.name, seen.levels, len(kept), known, seen.first)
            warnings.warn(told, stacklevel=9)
        order = sorted(kept, key=lambda key: (key[0], key[1]))
        sizes = [counts[key] for key in order]
        if other:
            sizes.append(known - sum(sizes))
        fill = sizes.index(max(sizes)) if sizes else 0
        fixed = sample.dtype == nw.Enum or "levels" in field.note
        return cls(
            missing=seen.missing,
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


class CategoryTally(Tally):
    """Counts the levels of a column: all, or of very many those that come often."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Any]] = Counter()
        self.known = 0
        self.dropped = 0
        self.first: Any = None

    @property
    def levels(self) -> int:
        """How many different levels there are, at most."""
        return len(self.counts) + self.dropped

    def add(self, series: Series) -> None:
        values, gaps = Category.read(series)
        self.missing |= bool(gaps.any())
        known = [value for value, gap in zip(values, gaps.tolist(), strict=True) if not gap]
        if not known:
            return
        self.first = known[0] if self.first is None else self.first
        self.known += len(known)
        for (_, value), count in Counter(zip(map(type, known), known, strict=True)).items():
            self.counts[distinct(value)] += count
        if len(self.counts) > MOST_COUNTED:
            kept = Counter(dict(self.counts.most_common(MOST_COUNTED // 2)))
            self.dropped += len(self.counts) - len(kept)
            self.counts = kept


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
    counts: Counter[tuple[str, Any]], rows: int, *, free: bool, levels: int
) -> Sequence[tuple[str, Any]]:
    """Return the levels that have a flag each: all where they are few, else the frequent ones."""
    unique = free and rows >= FEW and levels > 0.9 * rows
    if levels <= MOST_LEVELS and not unique:
        return list(counts)
    least = max(2, FREQUENT * rows)
    return [key for key, count in counts.most_common(MOST_LEVELS - 1) if count >= least]


def merged(name: Any, levels: int, kept: int, known: int, first: Any) -> str:
    """Return the sentence on a column of very many levels."""
    learned = f"the {kept} most frequent are learned" if kept else "none is frequent"
    return (
        f"column {name!r} has {levels:,} different values in {known:,} rows, such as "
        f"{first!r:.40}; {learned}, and all others count as {OTHER!r}: drop the column if they "
        "are names or free text"
    )


def changed(series: Series, held: str) -> str:
    """Return the sentence on a column that is of another kind than at fit."""
    row, first = next(iter(present(series)), (0, None))
    return (
        f"column {series.name!r} held {held} at fit, and holds {kind_of(series)} now: "
        f"{first!r:.40} at row {row}"
    )
