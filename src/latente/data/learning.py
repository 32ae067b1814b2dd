"""How each scaling is learned: from passes over the samples to a shift and a span.

`SCALINGS` is the table. Every function takes samples and their ranges, and returns two arrays, of
shape () for one range over all columns or (columns,); for pictures a column is a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DataError
from .blocks import as_numpy, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[Any] | Tensor
    Floats = NDArray[np.float64]

SAMPLE = 2**24
"""From how many values on quantiles are those of a random sample of the rows."""
TINY = 1e-300
"""Spans below this are taken for none: their inverse is not a float64 number."""


@dataclass(frozen=True, eq=False)
class Ranges:
    """The smallest and largest value of each column, or of each channel of pictures."""

    low: Floats
    high: Floats
    dtype: str
    pictures: bool
    whole: bool
    names: Sequence[object] | None = None

    @classmethod
    def of(cls, X: Array, names: Sequence[object] | None = None) -> Self:
        """Measure samples (n, features) or (n, channels, h, w) in one pass.

        Raises
        ------
        DataError
            If a column reaches so far that its span is not a float64 number.
        """
        axes = tuple(axis for axis in range(X.ndim) if axis != 1)
        low = np.full(X.shape[1], np.inf)
        high = np.full(X.shape[1], -np.inf)
        whole = True
        for _, block in blocks(X):
            plain = as_numpy(block)
            low = np.minimum(low, plain.min(axis=axes))
            high = np.maximum(high, plain.max(axis=axes))
            whole = whole and (plain.dtype.kind != "f" or bool((plain == np.rint(plain)).all()))
        dtype = str(X.dtype).removeprefix("torch.")
        ranges = cls(low, high, dtype, X.ndim > 2, whole, names)
        ranges.check()
        return ranges

    def check(self) -> None:
        """Raise `DataError` where a span is not a float64 number."""
        with np.errstate(over="ignore"):
            endless = ~np.isfinite(self.high - self.low)
        if endless.any():
            column = int(np.argmax(endless))
            raise DataError(
                f"{self.title(column)} reaches from {self.low[column]:.4g} to "
                f"{self.high[column]:.4g}, which is too wide to scale; remove such values"
            )

    def title(self, column: int) -> str:
        """Return what a column is called."""
        name = f" ({self.names[column]!r})" if self.names is not None else ""
        return f"{'channel' if self.pictures else 'column'} {column}{name}"

    @property
    def constant(self) -> NDArray[np.int64]:
        """The columns that hold one value only."""
        return np.flatnonzero(self.low == self.high).astype(np.int64)

    @property
    def whole_range(self) -> tuple[float, float]:
        """The smallest and the largest value of all."""
        return float(self.low.min()), float(self.high.max())


Learn = Callable[["Array", Ranges], "tuple[Floats, Floats]"]


def none(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Leave the values as they are."""
    return np.zeros(()), np.ones(())


def unit(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring all values into [0, 1] by one range: the one they are known to have, or the data's.

    Known are 0 to 255 of 8-bit values, and 0 to 1.
    """
    low, high = ranges.whole_range
    if low >= 0 and 0.5 <= high <= 1:
        low, high = 0.0, 1.0
    elif ranges.whole and low >= 0 and (ranges.dtype == "uint8" or 127 < high <= 255):
        low, high = 0.0, 255.0
    return np.array(low), positive(np.array(high - low))


def minmax(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column into [0, 1] by its own range."""
    return ranges.low, positive(ranges.high - ranges.low)


def standard(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column to mean 0 and standard deviation 1; a constant one to 0."""
    mean, deviation = moments(X, ranges)
    return mean, positive(deviation)


def robust(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column to median 0 and interquartile range 1.

    Where half of a column's values are the same, so that there is no such range, its standard
    deviation stands for it.
    """
    lower, median, upper = quartiles(X, ranges)
    span = upper - lower
    if (span < TINY).any():
        span = np.where(span < TINY, moments(X, ranges)[1], span)
    return median, positive(span)


SCALINGS: dict[str, Learn] = {
    "none": none,
    "unit": unit,
    "minmax": minmax,
    "standard": standard,
    "robust": robust,
}


def positive(span: Floats) -> Floats:
    """Return spans with 1 for those that are none, so that they can be divided by."""
    return np.where(span < TINY, 1.0, span)


def choose(ranges: Ranges) -> str:
    """Return the scaling that suits the data: what "auto" stands for."""
    low, high = ranges.whole_range
    if ranges.dtype == "bool" or (ranges.dtype == "uint8" and high <= 1):
        return "none"
    if ranges.dtype == "uint8" or ranges.pictures:
        return "unit"
    varying = ranges.low < ranges.high
    if np.count_nonzero(varying) < 2:
        return "standard"
    lows, highs = ranges.low[varying], ranges.high[varying]
    at_low, near_high = lows == low, highs >= high - 0.1 * (high - low)
    shared = at_low.mean() >= 0.9 and near_high.mean() >= 0.5
    inside = low >= 0 and high <= 1 and ((lows <= 0.1) & (highs >= 0.9)).mean() >= 0.5
    return "unit" if shared or inside else "standard"


def placed(block: NDArray[Any], ranges: Ranges) -> Floats:
    """Return where values lie between the lowest and the highest of their column, (rows, columns).

    What is computed of such places is exact to float64 whatever the size of the values is.
    """
    rows = np.moveaxis(block, 1, -1).reshape(-1, block.shape[1]).astype(np.float64)
    rows -= ranges.low
    rows /= positive(ranges.high - ranges.low)
    return rows


def moments(X: Array, ranges: Ranges) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column, in one pass."""
    count, total, squares = 0, np.zeros_like(ranges.low), np.zeros_like(ranges.low)
    for _, block in blocks(X):
        rows = placed(as_numpy(block), ranges)
        count += len(rows)
        total += rows.sum(axis=0)
        squares += np.einsum("ij,ij->j", rows, rows)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    span = positive(ranges.high - ranges.low)
    constant = ranges.low == ranges.high
    return ranges.low + mean * span, np.where(constant, 0.0, deviation * span)


def quartiles(X: Array, ranges: Ranges) -> Floats:
    """Return the three quartiles of each column, (3, columns); of a sample where there is much."""
    wanted = max(1, SAMPLE // max(1, int(np.prod(X.shape[1:]))))
    if len(X) > wanted:
        drawn = np.random.default_rng(0).choice(len(X), wanted, replace=False)
        X = X[np.sort(drawn)]
    places = np.quantile(placed(as_numpy(X), ranges), (0.25, 0.5, 0.75), axis=0)
    return np.asarray(ranges.low + places * positive(ranges.high - ranges.low))
