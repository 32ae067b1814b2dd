"""Tables: data frames with numbers, dates, categories and gaps, to one matrix and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from .arrays import is_frame, numbers, open_frame
from .encoders import ENCODERS, Category, ColumnEncoder
from .frames import Bools, Frame, Schema, Series, columns, shortened
from .scaling import RangeTally, Scaling
from .sources import typed_sample

UNSEEN = ("ignore", "error")


@dataclass(frozen=True, kw_only=True, eq=False)
class TableEncoder:
    """A data frame's columns as one float32 matrix, learned at fit.

    ::

        frame ──▶ numbers and dates, scaled │ 0/1 flags: booleans, levels, what is missing ──▶ frame
                  (n, numbers)              │ (n, flags)

    Parameters
    ----------
    schema
        The frame's library, column names and types, which the way back restores.
    encoders
        One for each column.
    scaling_map
        Of the numbers; None where there are none.
    unseen
        What becomes of a level that the fit never saw: "ignore" leaves all its column's flags at 0,
        and a warning tells it once; "error" refuses it.
    gaps
        Whether what is missing is NaN in the matrix, in all of its column's values and flags,
        rather than filled and flagged.
    """

    schema: Schema
    encoders: tuple[ColumnEncoder, ...]
    scaling_map: Scaling | None
    unseen: str = "ignore"
    gaps: bool = False
    _warned: set[str | int] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def learn(
        cls, X: Any, scaling: str = "auto", *, unseen: str = "ignore", gaps: bool = False
    ) -> tuple[Self, NDArray[np.float32]]:
        """Learn a data frame of pandas, polars or pyarrow, and return it as a matrix too.

        Parameters
        ----------
        X
            Its columns hold numbers, booleans, dates, durations, times of day, or levels; any may
            have gaps.
        scaling
            Of numbers and dates, a name of `scaling.SCALINGS`; "auto" is "standard".
        unseen
            "ignore" or "error".
        gaps
            Whether what is missing becomes NaN.

        Raises
        ------
        DataError
            If a column cannot be learned: infinity, nested values.
        """
        check_unseen(unseen)
        schema = Schema.of(X)
        frame = open_frame(X)
        if not len(frame) or not schema.fields:
            raise DataError(f"X has {len(frame)} rows and {len(schema.fields)} columns; give some")
        encoders = tuple(
            ENCODERS[field.kind].learn(series, field)
            for field, series in zip(schema.fields, columns(frame, schema.fields), strict=True)
        )
        if gaps:
            check_known(frame)
            encoders = tuple(replace(encoder, missing=False) for encoder in encoders)
        encoder = cls(schema=schema, encoders=encoders, scaling_map=None, unseen=unseen, gaps=gaps)
        values, flags = encoder.encode(frame)
        if encoder.numbers:
            name = "standard" if scaling == "auto" else scaling
            learned = Scaling.learn(values, name, names=encoder.titles[: encoder.numbers])
            encoder = replace(encoder, scaling_map=learned)
        return encoder, encoder._with_gaps(frame, encoder.joined(values, flags))

    @classmethod
    def of(cls, seen: TableTally, sample: Any, scaling: str, *, unseen: str, gaps: bool) -> Self:
        """Learn data frames that passed by.

        Parameters
        ----------
        seen
            What was counted of all rows.
        sample
            Some of the rows as one data frame, or all.
        scaling, unseen, gaps
            As for `learn`.
        """
        check_unseen(unseen)
        if gaps:
            check_known(open_frame(sample))
        schema = Schema.of(typed_sample(sample, seen.missing))
        series = columns(open_frame(sample), schema.fields)
        encoders = tuple(
            ENCODERS[field.kind].of(tally, column, field)
            for field, tally, column in zip(schema.fields, seen.tallies, series, strict=True)
        )
        if gaps:
            encoders = tuple(replace(encoder, missing=False) for encoder in encoders)
        made = cls(schema=schema, encoders=encoders, scaling_map=None, unseen=unseen, gaps=gaps)
        if not made.numbers:
            return made
        seen.measures.fill(np.array([each.fill for each in encoders if each.numbers]))  # type: ignore[attr-defined]
        values, _ = made.encode(made.schema.check(sample))
        name = "standard" if scaling == "auto" else scaling
        titles = made.titles[: made.numbers]
        learned = Scaling.of(None, seen.measures.ranges("float64", titles, values), name)
        return replace(made, scaling_map=learned)

    @property
    def scaling(self) -> str:
        """The name of the numbers' scaling."""
        return "none" if self.scaling_map is None else self.scaling_map.name

    @property
    def numbers(self) -> int:
        """How many columns of the matrix are numbers; they come first."""
        return sum(encoder.numbers for encoder in self.encoders)

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return self.numbers + sum(encoder.flags for encoder in self.encoders)

    @property
    def titles(self) -> list[str]:
        """What the matrix's columns are called: ``["age", "age_missing", "colour_red", ...]``."""
        both = [
            encoder.titles(str(name))
            for name, encoder in zip(self.schema.names, self.encoders, strict=True)
        ]
        return [title for values, _ in both for title in values] + [
            title for _, flags in both for title in flags
        ]

    @property
    def categories(self) -> tuple[tuple[int, int], ...]:
        """The groups of the matrix's columns of which one is 1: (first, behind the last)."""
        groups, place = [], self.numbers
        for encoder in self.encoders:
            if isinstance(encoder, Category):
                groups.append((place, place + encoder.flags))
            place += encoder.flags
        return tuple(groups)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(0.0, 1.0) where the matrix is known to lie in there, else None."""
        return (0.0, 1.0) if self.scaling_map is None else self.scaling_map.bounds

    @property
    def binary(self) -> bool:
        """Whether the matrix held only 0 and 1 at fit."""
        return self.scaling_map is None or self.scaling_map.binary

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return a data frame as a matrix.

        Parameters
        ----------
        X
            A frame of any library, with the columns of the fit. What is missing in a column where
            nothing was then is filled without a flag.

        Returns
        -------
        ndarray
            Shape (n, width), float32.

        Raises
        ------
        DataError
            If the columns are not those of the fit, or hold something else, or a level not seen.
        """
        frame = self.schema.check(X)
        return self._with_gaps(frame, self.joined(*self.encode(frame)))

    def _with_gaps(self, frame: Frame, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the matrix with NaN where values are missing, if gaps are kept."""
        if not self.gaps:
            return matrix
        missing = missing_in(frame)
        number, flag = 0, self.numbers
        for i, encoder in enumerate(self.encoders):
            matrix[missing[:, i], number : number + encoder.numbers] = np.nan
            matrix[missing[:, i], flag : flag + encoder.flags] = np.nan
            number, flag = number + encoder.numbers, flag + encoder.flags
        return matrix

    def fill(self, X: Any, matrix: NDArray[Any]) -> Any:
        """Return a data frame whose missing values are taken from a matrix.

        Numbers of a column that held only whole ones at fit are rounded, and a category becomes one
        of the levels that have a flag, if there are any.

        Parameters
        ----------
        X
            As `transform` takes it.
        matrix
            Shape (n, width), without NaN.
        """
        frame = self.schema.check(X)
        restored = open_frame(self.inverse(self._without_other(matrix)))
        values = [
            series.round(0) if encoder.whole and series.dtype.is_float() else series
            for encoder, series in zip(self.encoders, restored.iter_columns(), strict=True)
        ]
        return filled_frame(frame.to_native(), missing_in(frame), values)

    def _without_other(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return a matrix in which the flag of all other levels is never the highest."""
        found, flag = matrix.copy(), self.numbers
        for encoder in self.encoders:
            if isinstance(encoder, Category) and encoder.other and encoder.levels:
                found[:, flag + len(encoder.levels)] = -np.inf
            flag += encoder.flags
        return found

    def joined(self, values: NDArray[np.float64], flags: NDArray[np.float32]) -> NDArray[Any]:
        """Return numbers, scaled, and flags as one matrix."""
        if not len(flags):
            return np.empty((0, self.width), np.float32)
        if self.scaling_map is None:
            return flags
        return np.concatenate([self.scaling_map.transform(values), flags], axis=1)

    def inverse(self, matrix: NDArray[Any], *, index: Any = None) -> Any:
        """Return a matrix as a data frame of the library, columns and types of the fit.

        Whole numbers are rounded, each category is its level of the highest flag, and a value is
        missing where its flag is 0.5 or more.

        Parameters
        ----------
        matrix
            Shape (n, width).
        index
            For a pandas frame, its index.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.width:
            raise DataError(
                f"a matrix of shape {matrix.shape} is no table of this kind; "
                f"it has {self.width} columns"
            )
        values = np.empty((len(matrix), 0))
        if self.scaling_map is not None:
            values = self.scaling_map.inverse(matrix[:, : self.numbers])
        flags = np.asarray(matrix[:, self.numbers :], np.float32)
        decoded, number, flag = [], 0, 0
        for encoder in self.encoders:
            value = values[:, number] if encoder.numbers else None
            decoded.append(encoder.decode(value, flags[:, flag : flag + encoder.flags]))
            number, flag = number + encoder.numbers, flag + encoder.flags
        return self.schema.frame(decoded, index)

    def encode(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return a checked frame's numbers, not yet scaled, and its flags."""
        values = np.empty((len(frame), self.numbers))
        flags = np.zeros((len(frame), self.width - self.numbers), np.float32)
        number = flag = 0
        for encoder, series in zip(self.encoders, columns(frame, self.schema.fields), strict=True):
            own = flags[:, flag : flag + encoder.flags]
            value = encoder.encode(series, own)
            unseen = encoder.unseen(series, own)
            if unseen:
                self.tell_unseen(series, encoder, unseen)
            if value is not None:
                values[:, number] = value
            number, flag = number + encoder.numbers, flag + encoder.flags
        return values, flags

    def tell_unseen(self, series: Series, encoder: ColumnEncoder, unseen: dict[int, Any]) -> None:
        """Refuse levels that the fit never saw, or warn of them, once for each column."""
        if self.unseen == "error":
            row, value = next(iter(unseen.items()))
            raise DataError(
                f"column {series.name!r} has {value!r:.60} at row {row}, which the fit never saw; "
                f"it knows {encoder.known()}"
            )
        if series.name not in self._warned:
            self._warned.add(series.name)
            warnings.warn(
                f"column {series.name!r} has levels that the fit never saw: "
                f"{shortened(list(unseen.values()))}; they count as none of the known ones "
                "(unseen='error' refuses them)",
                stacklevel=8,
            )

    def unscaled(self, sample: NDArray[np.float32]) -> Scaling:
        """Return the map that leaves the matrix as it is, with its range.

        Parameters
        ----------
        sample
            Some rows of the matrix: of flags, they tell which are constant.
        """
        numbers, flags = self.scaling_map, self.width - self.numbers
        low = [0.0] * bool(flags) + ([] if numbers is None else [numbers.low])
        high = [1.0] * bool(flags) + ([] if numbers is None else [numbers.high])
        constant = np.flatnonzero((sample == sample[:1]).all(0))
        still = constant[constant >= self.numbers]
        if numbers is not None:
            still = np.concatenate([numbers.constant_, still])
        return Scaling(
            name="none", shift=np.zeros(()), span=np.ones(()), dtype="float32", low=min(low),
            high=max(high), binary=self.binary, constant_=still.astype(np.int64),
        )  # fmt: skip

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a file keeps: plain JSON values, and arrays by name."""
        scaling, arrays = self.scaling_map.state() if self.scaling_map else (None, {})
        plain = {
            "schema": self.schema.to_json(),
            "encoders": [asdict(encoder) for encoder in self.encoders],
            "scaling": scaling,
            "unseen": self.unseen,
            "gaps": self.gaps,
        }
        return plain, arrays

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the encoder of what `state` returned; anything else is a `DataError`."""
        try:
            schema = Schema.from_json(plain["schema"])
            encoders = tuple(
                ENCODERS[field.kind](**encoder_fields(given))
                for field, given in zip(schema.fields, plain["encoders"], strict=True)
            )
            scaling, unseen = plain["scaling"], plain["unseen"]
            gaps = plain.get("gaps") is True
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("this is not the state of a table") from error
        learned = None if scaling is None else Scaling.from_state(scaling, arrays)
        made = cls(schema=schema, encoders=encoders, scaling_map=learned, unseen=unseen, gaps=gaps)
        width = learned.span.size if learned is not None and learned.span.ndim else made.numbers
        if unseen not in UNSEEN or width != made.numbers or (made.numbers > 0) != bool(learned):
            raise DataError("this is not the state of a table")
        return made


class TableTally:
    """What is counted of data frames of the same columns that pass by, to learn them from.

    Parameters
    ----------
    head
        The first of them.
    """

    def __init__(self, head: Any) -> None:
        self.fields = Schema.of(head).fields
        self.tallies = [ENCODERS[field.kind].tally() for field in self.fields]
        self.measures = RangeTally(moments=True)

    def add(self, part: Any) -> None:
        """Count some more rows."""
        frame = open_frame(part)
        for tally, series in zip(self.tallies, columns(frame, self.fields), strict=True):
            tally.add(series)
        kinds = {field.kind for field in self.fields}
        numeric = ("boolean",) if kinds == {"boolean"} else ("number", "moment")
        found = [
            tally.values
            for field, tally in zip(self.fields, self.tallies, strict=True)
            if field.kind in numeric and tally.values is not None
        ]
        if found:
            self.measures.add(np.stack(found, axis=1))

    @property
    def missing(self) -> Bools:
        """Which columns have gaps, (columns,)."""
        return np.array([tally.missing for tally in self.tallies], np.bool_)


def check_unseen(unseen: str) -> None:
    """Raise `ParameterError` where there is no such way to treat new levels."""
    if unseen not in UNSEEN:
        raise ParameterError(f"unseen={unseen!r}: unseen must be 'ignore' or 'error'")


def missing_in(frame: Frame) -> Bools:
    """Return where values of a data frame are missing, NaN among them, (n, columns)."""
    found = []
    for series in frame.iter_columns():
        missing = series.is_null().to_numpy().astype(np.bool_)
        if series.dtype.is_float():
            missing = missing | np.isnan(numbers(series))
        found.append(missing)
    return np.stack(found, axis=1)


def count_missing(X: Any) -> int:
    """Return how many values are missing in a data frame or an array."""
    if is_frame(X):
        return int(missing_in(open_frame(X)).sum())
    array = np.asarray(X)
    return int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0


def replaced(series: Series, rows: list[int], values: Series) -> Series:
    """Return a column with other values in some rows, in its own type."""
    if not series.implementation.is_pyarrow() or series.dtype != nw.Categorical:
        return series.scatter(rows, values)
    dtype = series.to_native().type  # pyarrow cannot replace in dictionaries
    plain, new = (
        nw.from_native(each.to_native().cast(dtype.value_type), series_only=True)
        for each in (series, values)
    )
    encoded = plain.scatter(rows, new).to_native().dictionary_encode().cast(dtype)
    found: Series = nw.from_native(encoded, series_only=True).alias(series.name)
    return found


def check_known(frame: Frame) -> None:
    """Raise `DataError` at a column that has no value at all."""
    empty = missing_in(frame).all(axis=0)
    if empty.any():
        name = frame.columns[int(np.argmax(empty))]
        raise DataError(f"column {name!r} has no value at all; drop it")


def filled_frame(X: Any, missing: Bools, values: Sequence[Series]) -> Any:
    """Return a data frame whose missing values are taken from other columns.

    Parameters
    ----------
    X
        Of any library; what is known stays as it is.
    missing
        Where values are missing, (n, columns).
    values
        What to take there, columns of the same library.
    """
    frame = open_frame(X)
    filled = []
    for i, series in enumerate(frame.iter_columns()):
        rows = np.flatnonzero(missing[:, i])
        if len(rows):
            new = values[i][rows.tolist()]
            if new.dtype != series.dtype:
                new = new.cast(series.dtype)
            filled.append(replaced(series, rows.tolist(), new))
    return frame.with_columns(*filled).to_native() if filled else X


def encoder_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoder's fields from JSON, where the levels are a list."""
    return {key: tuple(item) if key == "levels" else item for key, item in given.items()}
