"""Tables: data frames with numbers, dates, categories and gaps, to one matrix and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from .arrays import open_frame
from .encoders import ENCODERS, Category, ColumnEncoder
from .frames import Frame, Schema, Series, columns, shortened
from .scaling import Scaling

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
    """

    schema: Schema
    encoders: tuple[ColumnEncoder, ...]
    scaling_map: Scaling | None
    unseen: str = "ignore"
    _warned: set[str | int] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def learn(
        cls, X: Any, scaling: str = "auto", *, unseen: str = "ignore"
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

        Raises
        ------
        DataError
            If a column cannot be learned: infinity, nested values.
        """
        if unseen not in UNSEEN:
            raise ParameterError(f"unseen={unseen!r}: unseen must be 'ignore' or 'error'")
        schema = Schema.of(X)
        frame = open_frame(X)
        if not len(frame) or not schema.fields:
            raise DataError(f"X has {len(frame)} rows and {len(schema.fields)} columns; give some")
        encoders = tuple(
            ENCODERS[field.kind].learn(series, field)
            for field, series in zip(schema.fields, columns(frame, schema.fields), strict=True)
        )
        encoder = cls(schema=schema, encoders=encoders, scaling_map=None, unseen=unseen)
        values, flags = encoder.encode(frame)
        if encoder.numbers:
            name = "standard" if scaling == "auto" else scaling
            learned = Scaling.learn(values, name, names=encoder.titles[: encoder.numbers])
            encoder = replace(encoder, scaling_map=learned)
        return encoder, encoder.joined(values, flags)

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
        return self.joined(*self.encode(frame))

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

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a file keeps: plain JSON values, and arrays by name."""
        scaling, arrays = self.scaling_map.state() if self.scaling_map else (None, {})
        plain = {
            "schema": self.schema.to_json(),
            "encoders": [asdict(encoder) for encoder in self.encoders],
            "scaling": scaling,
            "unseen": self.unseen,
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
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("this is not the state of a table") from error
        learned = None if scaling is None else Scaling.from_state(scaling, arrays)
        made = cls(schema=schema, encoders=encoders, scaling_map=learned, unseen=unseen)
        width = learned.span.size if learned is not None and learned.span.ndim else made.numbers
        if unseen not in UNSEEN or width != made.numbers or (made.numbers > 0) != bool(learned):
            raise DataError("this is not the state of a table")
        return made


def encoder_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoder's fields from JSON, where the levels are a list."""
    return {key: tuple(item) if key == "levels" else item for key, item in given.items()}
