"""What a data set holds, made ready to be drawn: pictures as pictures, rows as small bar charts.

::

    X (n, h, w), (n, h, w, c) ──Look──▶ (n, h, w), (n, h, w, 3)     X (n, features) ──▶ the same

A `Look` is learned once from the originals and applied to everything drawn beside them, so that
equal values have equal colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import take_rows as rows
from ..errors import DataError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """How samples are drawn.

    Parameters
    ----------
    shape
        Shape of one sample: (height, width), (height, width, channels) or (features,).
    low, high
        The values drawn as 0 and 1: one number each for pictures; for rows one a column, three
        standard deviations below and above the column's mean.
    ink
        Whether pictures are drawn as dark ink on paper: grey ones, most of whose pixels are off.
    names
        Column names, if there are any.
    words
        The values of each column that holds words, sorted.
    """

    shape: tuple[int, ...]
    low: Any
    high: Any
    ink: bool = False
    names: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    @property
    def picture(self) -> bool:
        """Whether a sample is a picture."""
        return len(self.shape) > 1

    @property
    def span(self) -> float:
        """Highest minus lowest value of the originals' pixels."""
        return float(self.high - self.low)

    @property
    def aspect(self) -> float:
        """Height of a drawn sample as a share of its width."""
        return self.shape[0] / self.shape[1] if self.picture else 0.62

    def numbers(self, X: Any) -> Values:
        """Return samples as float64 numbers, (n, *shape), in the data's own scale."""
        if is_frame(X):
            return _matrix(X, self.names, self.words)
        values = _array(X)
        return values.reshape(len(values), *self.shape)

    def scaled(self, X: Any) -> Values:
        """Return samples with low at 0 and high at 1, (n, *shape); values may lie outside."""
        return np.asarray((self.numbers(X) - self.low) / (self.high - self.low))

    def __call__(self, X: Any) -> Values:
        """Return samples as numbers from 0 to 1, (n, h, w), (n, h, w, 3) or (n, features)."""
        clipped = np.clip(self.scaled(X), 0, 1)
        return _three_channels(clipped) if clipped.ndim == 4 else clipped


def look(X: Any, shape: tuple[int, ...] | None = None, *, tails: float = 0.0) -> Look:
    """Learn from the originals how they and their like are drawn.

    Parameters
    ----------
    X
        Samples as the estimator takes them: an array or tensor of shape (n, features), (n, h, w) or
        (n, h, w, channels), or a data frame.
    shape
        Draw rows as pictures of this shape, such as (8, 8).
    tails
        Share of the pixels at either end that may lie beyond the darkest and the lightest drawn:
        what a decoder makes can overshoot.

    Raises
    ------
    DataError
        If there are no samples, or rows do not have as many values as the shape.
    """
    if len(X) == 0:
        raise DataError("there are no samples to draw: X has length 0")
    if is_frame(X):
        names = tuple(getattr(X, "column_names", X.columns))
        words = tuple(_words(X[name]) for name in names)
        return _rows(_matrix(X, names, words), names, words)
    values = _array(X)
    if shape is not None:
        if values[0].size != np.prod(shape):
            raise DataError(f"shape={shape}: a sample has {values[0].size} values")
        values = values.reshape(len(values), *shape)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        return _rows(values)
    low, high = np.quantile(values, [tails, 1 - tails]).tolist()
    high = high if high > low else low + 1.0
    ink = values.ndim == 3 and (float(np.median(values)) - low) / (high - low) <= 0.25
    return Look(values.shape[1:], low, high, ink)


def is_frame(X: Any) -> bool:
    """Whether X is a data frame."""
    return hasattr(X, "columns")


def take(X: Any, index: NDArray[np.intp]) -> Any:
    """Return the samples of X at those places, as X is: array, tensor or data frame."""
    return X[index] if isinstance(X, np.ndarray) or not is_frame(X) else rows(X, index)


def spread(X: Any, n: int) -> Any:
    """Return n samples, or all if there are fewer, spread evenly from the first to the last."""
    return take(X, np.unique(np.linspace(0, len(X) - 1, min(n, len(X))).astype(int)))


def _array(X: Any) -> Values:
    return np.asarray(X, dtype=np.float64)


def _rows(
    values: Values, names: tuple[str, ...] = (), words: tuple[tuple[str, ...], ...] = ()
) -> Look:
    mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    reach = 3 * np.where(deviation > 0, deviation, 1.0)
    return Look(values.shape[1:], mean - reach, mean + reach, names=names, words=words)


def _words(column: Any) -> tuple[str, ...]:
    values = column.to_numpy()
    if np.issubdtype(values.dtype, np.number) or values.dtype == bool:
        return ()
    return tuple(sorted({str(value) for value in values}))


def _matrix(X: Any, names: tuple[str, ...], words: tuple[tuple[str, ...], ...]) -> Values:
    """Return a data frame as numbers; words become their place in the sorted list, missing NaN."""
    columns = []
    for name, known in zip(names, words, strict=True):
        values = X[name].to_numpy()
        if known:
            place = {word: float(i) for i, word in enumerate(known)}
            values = [place.get(str(value), np.nan) for value in values]
        columns.append(np.asarray(values, dtype=np.float64))
    return np.stack(columns, axis=1)


def _three_channels(pictures: Values) -> Values:
    """Return pictures of 1 to 4 channels with three: one is repeated, two get a dark third."""
    channels = pictures.shape[3]
    if channels == 1:
        return pictures.repeat(3, axis=3)
    if channels == 2:
        return np.concatenate([pictures, np.zeros_like(pictures[..., :1])], axis=3)
    return pictures[..., :3]
