"""Frequencies: a prior as tables of whole numbers, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]

TOTAL = 2**16
"""Sum of a table's frequencies."""
WIDEST = 2**12
"""Most entries of a table."""
BELIEF, SPREAD = 64.0, 64.0
"""Codes that the pooled frequencies of all numbers are worth beside those of one number in
`Frequencies.counted`, and numbers that equal frequencies of all values are worth in the pool."""


@dataclass(frozen=True, eq=False)
class Frequencies:
    """How often each whole number comes, of `TOTAL` times, for each of several sources.

    Probabilities computed in floating point differ from one processor to the next, and an entropy
    decoder that differs from the encoder in one of them decodes rubbish; so they are rounded once,
    after the fit, and kept with the model.

    Parameters
    ----------
    lowest
        The number that the first entry of each table stands for, (sources,) int32.
    counts
        Frequencies from 1, each row summing to `TOTAL`, (sources, entries) int32. The last entry
        is the escape: it stands for every number that has no entry.
    """

    lowest: Integers
    counts: Integers

    def __post_init__(self) -> None:
        sources, entries = self.counts.shape if self.counts.ndim == 2 else (0, 0)
        fits = (
            self.lowest.dtype == self.counts.dtype == np.int32
            and self.lowest.shape == (sources,)
            and 2 <= entries <= WIDEST
            and (self.counts >= 1).all()
            and (self.counts.sum(axis=1, dtype=np.int64) == TOTAL).all()
        )
        if not fits:
            raise ValueError("these are no tables of frequencies")

    @property
    def sources(self) -> int:
        """How many tables there are."""
        return len(self.counts)

    @property
    def escape(self) -> int:
        """The entry that stands for numbers without one."""
        return int(self.counts.shape[1]) - 1

    @classmethod
    def rounded(cls, lowest: Integers, masses: NDArray[np.float64]) -> Self:
        """Round probabilities to frequencies.

        Parameters
        ----------
        lowest
            As above.
        masses
            Positive, (sources, entries); rows need not sum to 1.
        """
        entries = masses.shape[1]
        shares = masses / masses.sum(axis=1, keepdims=True)
        counts = 1 + np.floor(shares * (TOTAL - entries)).astype(np.int64)
        counts[np.arange(len(counts)), counts.argmax(axis=1)] += TOTAL - counts.sum(axis=1)
        return cls(lowest.astype(np.int32), counts.astype(np.int32))

    @classmethod
    def counted(cls, values: NDArray[np.int64], different: int) -> Self:
        """Return a table for each number of codes, from codes of training rows.

        A number is expected to be as it was in those codes, and, as much as `BELIEF` of them
        count, as any number was: a table has more entries than few codes can fill.

        Parameters
        ----------
        values
            From 0, (m, numbers).
        different
            How many values a number can take; those that have no entry are left to the escape.
        """
        entries = min(different, WIDEST - 1)
        numbers = values.shape[1]
        places = values.clip(0, entries) + (entries + 1) * np.arange(numbers)
        seen = np.bincount(places.ravel(), minlength=numbers * (entries + 1))
        each = seen.reshape(numbers, entries + 1).astype(np.float64)
        pooled = each.sum(axis=0) + SPREAD / entries
        return cls.rounded(np.zeros(numbers, np.int32), each + BELIEF * pooled / pooled.sum())
