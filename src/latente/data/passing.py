"""Samples that pass by once: what is gathered of them so that scales and levels can be learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .arrays import STEPS, as_array, as_numpy
from .order import RowDraw
from .scaling import RangeTally, needs_moments
from .sources import Part, Source
from .tables import TableTally

SAMPLED = 2**22
"""Values of a random sample of the rows, of which medians and quartiles are taken."""


class Sample:
    """Rows of a source drawn at random, always the same ones; all where they are few.

    Parameters
    ----------
    rows
        How many there are.
    wanted
        How many to draw, about.
    """

    def __init__(self, rows: int, wanted: int) -> None:
        self.draw = RowDraw.of(wanted / rows, rows, seed=0) if wanted < rows else None
        self.parts: list[Part] = []
        self.numbers: list[NDArray[np.int64]] = []

    def add(self, part: Part, first: int) -> None:
        """Keep what was drawn of some rows, the first of which has that number."""
        numbers = np.arange(first, first + len(part))
        if self.draw is None:
            self.parts.append(part)
            self.numbers.append(numbers)
            return
        drawn = np.flatnonzero(self.draw.has(numbers))
        if len(drawn):
            self.parts.append(taken(part, drawn))
            self.numbers.append(numbers[drawn])


def taken(part: Part, index: NDArray[np.int64]) -> Part:
    """Return some rows of an array or a data frame, copied, the frame's index as it was."""
    if hasattr(part, "iloc"):
        return part.iloc[index]
    return part.take(index) if hasattr(part, "column_names") else part[index]


class TablePass:
    """What is gathered of a table.

    Parameters
    ----------
    source
        The table.
    name
        What it is called in errors.
    """

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self.tally = TableTally(source.head())
        self.sample = Sample(len(source), max(1, SAMPLED // source.shape[1]))

    def add(self, part: Part, first: int) -> None:
        """Look at some rows."""
        self.tally.add(part)
        self.sample.add(part, first)


class ArrayPass:
    """What is gathered of arrays.

    Parameters
    ----------
    source
        The arrays.
    name
        What they are called in errors.
    scaling
        How they are to be scaled.
    kind
        "rows", "pictures" or "sequences".
    gaps
        Whether NaN stands for what is missing.
    """

    def __init__(self, source: Source, name: str, scaling: str, kind: str, *, gaps: bool) -> None:
        self.name, self.kind, self.gaps = name, kind, gaps
        dtype = as_numpy(source.head()).dtype.name
        moments = gaps or needs_moments(scaling, dtype, pictures=kind == "pictures")
        self.measures = RangeTally(moments=moments)
        size = int(np.prod(source.shape[1:]))
        self.sample = Sample(len(source), max(1, SAMPLED // size))

    def add(self, part: Part, first: int) -> None:
        """Look at some rows."""
        axes = STEPS if self.kind == "sequences" and part.ndim == 3 else ()
        try:
            array = as_numpy(as_array(part, name=self.name, allow_missing=self.gaps, axes=axes))
        except DataError as error:
            raise DataError(f"{error} (of the rows from {first:,} on)") from None
        self.measures.add(columns_of(array, self.kind))
        self.sample.add(np.array(array), first)


def columns_of(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return samples so that what has a scale of its own lies along the second axis."""
    if kind == "sequences":
        return array.reshape(-1, array.shape[-1])
    if kind == "pictures":
        return array[:, None] if array.ndim == 3 else np.moveaxis(array, 3, 1)
    return array
