"""Samples as they are drawn, and rows of them in one figure.

::

    X (n, h, w), (n, h, w, c) ──Rendering──▶ (n, h, w), (n, h, w, 3)     pictures
    X (n, features), data frame ──Rendering──▶ (n, features)            small bar charts

A `Rendering` is learned once from the originals and applied to everything drawn beside them, so
that equal values have equal colours. A `mosaic` is rows of samples, drawn by one rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import narwhals as nw
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import DataError
from .style import NORMAL, SMALL, bare, canvas, now, panel

Values = NDArray[np.float64]
Shape = tuple[int, ...] | None

CAPTION = 0.23
"""Height of a row's captions, as a share of a sample's width."""
LABEL = 1.12
"""Least width of the labels at the left, in inches."""
LABEL_CHARACTERS = 22
"""In a line of such a label."""
BARS = 32
"""Rows with more columns than this are drawn as lines."""
SHARP, FINE = 48, 160
"""Pictures are enlarged to at least the first size in pixels, and reduced to about the second."""


@dataclass(frozen=True)
class Rendering:
    """How samples are drawn.

    Parameters
    ----------
    shape
        Shape of one sample: (height, width), (height, width, channels) or (features,).
    low, high
        The values drawn as 0 and 1: one number each for pictures; for rows one a column, three
        standard deviations below and above the column's mean.
    ink
        Whether pictures are drawn as dark ink on paper: grey ones, most of whose pixels are low.
    names
        Column names, if there are any.
    levels
        The values of each column of text, sorted; empty for a column of numbers.
    """

    shape: tuple[int, ...]
    low: Any
    high: Any
    ink: bool = False
    names: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def learn(cls, X: Any, shape: Shape = None, *, tails: float = 0.0) -> Rendering:
        """Learn from the originals how they are drawn.

        Parameters
        ----------
        X
            Samples as the estimator takes them: an array or tensor of shape (n, features),
            (n, h, w) or (n, h, w, channels), or a data frame.
        shape
            Draw rows as pictures of this shape, such as (8, 8).
        tails
            Share of the pixels at either end that may lie beyond the darkest and the lightest
            drawn: a decoder can overshoot.

        Raises
        ------
        DataError
            If there are no samples, or rows do not have as many values as the shape.
        """
        if len(X) == 0:
            raise DataError("there are no samples to draw: X has length 0")
        if is_frame(X):
            frame = nw.from_native(X, eager_only=True)
            names = tuple(frame.columns)
            levels = tuple(_levels(frame[name].to_numpy()) for name in names)
            return _of_rows(_matrix(X, names, levels), names, levels)
        values = np.asarray(X, dtype=np.float64)
        if shape is not None:
            if values[0].size != np.prod(shape):
                raise DataError(f"shape={shape}: a sample has {values[0].size} values")
            values = values.reshape(len(values), *shape)
        if values.ndim == 4 and values.shape[3] == 1:
            values = values[..., 0]
        if values.ndim == 2:
            return _of_rows(values)
        low, high = np.quantile(values, [tails, 1 - tails]).tolist()
        high = high if high > low else low + 1.0
        ink = values.ndim == 3 and (float(np.median(values)) - low) / (high - low) <= 0.25
        return cls(values.shape[1:], low, high, ink)

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
            return _matrix(X, self.names, self.levels)
        values = np.asarray(X, dtype=np.float64)
        return values.reshape(len(values), *self.shape)

    def scaled(self, X: Any) -> Values:
        """Return samples with low at 0 and high at 1, (n, *shape); values may lie outside."""
        return np.asarray((self.numbers(X) - self.low) / (self.high - self.low))

    def __call__(self, X: Any) -> Values:
        """Return samples as numbers from 0 to 1, (n, h, w), (n, h, w, 3) or (n, features)."""
        clipped = np.clip(self.scaled(X), 0, 1)
        return _three_channels(clipped) if clipped.ndim == 4 else clipped


def is_frame(X: Any) -> bool:
    """Whether X is a data frame."""
    return hasattr(X, "columns")


def take(X: Any, index: NDArray[np.intp]) -> Any:
    """Return the samples of X with these indices, as X is: array, tensor or data frame."""
    return nw.from_native(X, eager_only=True)[index].to_native() if is_frame(X) else X[index]


def spread(X: Any, n: int) -> Any:
    """Return n samples, or all if there are fewer, spread evenly from the first to the last."""
    return take(X, np.unique(np.linspace(0, len(X) - 1, min(n, len(X))).astype(int)))


def _of_rows(
    values: Values, names: tuple[str, ...] = (), levels: tuple[tuple[str, ...], ...] = ()
) -> Rendering:
    mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    reach = 3 * np.where(deviation > 0, deviation, 1.0)
    return Rendering(values.shape[1:], mean - reach, mean + reach, names=names, levels=levels)


def _levels(values: NDArray[Any]) -> tuple[str, ...]:
    if np.issubdtype(values.dtype, np.number) or values.dtype == bool:
        return ()
    return tuple(sorted({str(value) for value in values}))


def _matrix(X: Any, names: tuple[str, ...], levels: tuple[tuple[str, ...], ...]) -> Values:
    """Return a data frame as numbers; a level becomes its rank among the sorted, missing NaN."""
    frame = nw.from_native(X, eager_only=True)
    columns = []
    for name, known in zip(names, levels, strict=True):
        values: Any = frame[name].to_numpy()
        if known:
            ranks = {level: float(i) for i, level in enumerate(known)}
            values = [ranks.get(str(value), np.nan) for value in values]
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


@dataclass(frozen=True)
class Row:
    """One row of a mosaic.

    Parameters
    ----------
    items
        The samples, as the model gives them.
    label
        What they are, written at the left.
    captions
        One a sample, written beneath.
    under
        Samples drawn faintly beneath these, where they are bar charts, to compare with.
    pale
        Which of them are drawn faintly, (n,); none by default.
    colour
        Of the bar charts; by default the first of the theme.
    """

    items: Any
    label: str = ""
    captions: Sequence[str] = ()
    under: Any = None
    pale: NDArray[np.bool_] | None = None
    colour: str = ""


def mosaic(
    rendering: Rendering,
    rows: Sequence[Row],
    *,
    cell: float = 0.78,
    gap: float = 0.1,
    xlabel: str = "",
    ylabel: str = "",
    note: str = "",
) -> Figure:
    """Return a figure of rows of samples.

    Parameters
    ----------
    rendering
        How samples are drawn.
    rows
        From top to bottom.
    cell
        Width of one sample in inches.
    gap
        Space between samples, as a share of their width.
    xlabel, ylabel
        What changes from left to right, and from bottom to top.
    note
        What else is to be known, written beneath.
    """
    width, height = extent(rendering, rows, gap)
    left = _label_width(rows) if any(row.label for row in rows) else 0.28 if ylabel else 0.08
    characters = max(20, int(width * cell / 0.066))
    texts = ["   ".join(filter(None, (xlabel, _legend(rendering)))), note]
    lines = [line for text in texts if text for line in wrap(text, characters)]
    foot = 0.1 + 0.17 * len(lines) + (0.03 if lines else 0.0)
    figure = canvas(left + width * cell + 0.08, 0.08 + height * cell + foot)
    axes = panel(figure, left, foot, width * cell, height * cell)
    tile(axes, rendering, rows, gap)
    wide, high = figure.get_size_inches()
    figure.text(
        left / wide, 0.07 / high, "\n".join(lines), va="bottom", color=now().muted,
        fontsize=SMALL - 0.5, gid="note",
    )  # fmt: skip
    figure.text(
        0.17 / wide, foot / high, ylabel, ha="center", va="bottom", rotation=90,
        color=now().muted, fontsize=SMALL - 0.5,
    )  # fmt: skip
    return figure


def _broken(label: str) -> str:
    """Return a row's label in lines that are not too long."""
    return "\n".join(wrap(label, LABEL_CHARACTERS))


def _label_width(rows: Sequence[Row]) -> float:
    """Return how much room the labels of rows take, in inches."""
    longest = max(len(line) for row in rows for line in [*_broken(row.label).splitlines(), ""])
    return max(LABEL, 0.25 + 0.085 * longest)


def extent(rendering: Rendering, rows: Sequence[Row], gap: float) -> tuple[float, float]:
    """Return width and height of a mosaic in widths of a sample."""
    gap = _whole(rendering, gap)
    columns = max(len(row.items) for row in rows)
    height = sum(rendering.aspect + (CAPTION if row.captions else 0) for row in rows)
    return columns + gap * (columns - 1), height + gap * (len(rows) - 1)


def tile(axes: Axes, rendering: Rendering, rows: Sequence[Row], gap: float = 0.1) -> None:
    """Draw rows of samples into axes, one unit a sample's width, the first row at the top."""
    bare(axes)
    gap = _whole(rendering, gap)
    top = 0.0
    for row in rows:
        corners = np.array([(i * (1 + gap), top) for i in range(len(row.items))])
        _draw(axes, rendering, row, corners)
        if row.pale is not None and row.pale.any():
            _veil(axes, rendering, corners[row.pale])
        if row.label:
            axes.text(
                -0.14, top + rendering.aspect / 2, _broken(row.label),
                ha="right", va="center", color=now().ink, fontsize=NORMAL - 0.5,
            )  # fmt: skip
        for (left, _), caption in zip(corners, row.captions, strict=False):
            axes.text(
                left + 0.5, top + rendering.aspect + 0.04, caption,
                ha="center", va="top", color=now().muted, fontsize=SMALL - 0.5,
            )  # fmt: skip
        top += rendering.aspect + gap + (CAPTION if row.captions else 0)
    width, height = extent(rendering, rows, gap)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _draw(axes: Axes, rendering: Rendering, row: Row, corners: Values) -> None:
    """Draw one row's samples, each with its upper left corner there."""
    if rendering.ink or not rendering.picture:
        _paper(axes, rendering, corners)
    if rendering.picture:
        (left, top), right = corners[0], corners[-1, 0] + 1
        gap = corners[1, 0] - 1 if len(corners) > 1 else 0.0
        axes.imshow(
            _abreast(pixels(rendering, row.items), gap),
            extent=(left, right, top + rendering.aspect, top),
            interpolation="none",
            aspect="auto",
            gid="ink" if rendering.ink else "photo",
        )
        return
    if row.under is not None:
        _chart(axes, rendering, rendering(row.under), corners, now().line)
    _chart(
        axes,
        rendering,
        rendering(row.items),
        corners,
        row.colour or now().colours[0],
        thin=row.under is not None,
    )


def pixels(rendering: Rendering, items: Any) -> NDArray[np.uint8]:
    """Return pictures as RGBA bytes, (n, height, width, 4).

    Ink is the theme's with the pixel's value as its opacity; other pictures are opaque. Small
    pictures are enlarged, so that a viewer that smooths leaves their pixels sharp; large ones are
    reduced to what a thumbnail can show.
    """
    values = _reduced(rendering(items))
    if rendering.ink:
        flat = np.broadcast_to(np.array(to_rgb(now().ink)), (*values.shape, 3))
        full = np.concatenate([flat, values[..., None]], axis=3)
    else:
        rgb = values if values.ndim == 4 else values[..., None].repeat(3, axis=3)
        full = np.concatenate([rgb, np.ones_like(rgb[..., :1])], axis=3)
    enlarge = _enlarge(rendering)
    full = full.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    return np.asarray((full * 255).round(), dtype=np.uint8)


def _enlarge(rendering: Rendering) -> int:
    return max(1, SHARP // max(rendering.shape[:2]))


def _reduced(pictures: Values) -> Values:
    """Average blocks of pixels until the longer side is a thumbnail's."""
    height, width = pictures.shape[1:3]
    block = max(1, max(height, width) // FINE)
    if block == 1:
        return pictures
    rows, columns = max(1, height // block), max(1, width // block)
    down, across = min(block, height), min(block, width)
    cut = pictures[:, : rows * down, : columns * across]
    blocks = cut.reshape(len(cut), rows, down, columns, across, *cut.shape[3:])
    return np.asarray(blocks.mean(axis=(2, 4)))


def _whole(rendering: Rendering, gap: float) -> float:
    """Return the gap rounded to whole pixels, so that a row's samples make one sharp picture."""
    if not rendering.picture:
        return gap
    width = rendering.shape[1] * _enlarge(rendering)
    return round(gap * width) / width


def _abreast(pictures: NDArray[np.uint8], gap: float) -> NDArray[np.uint8]:
    """Join pictures side by side with transparent gaps, given as a share of their width."""
    n, height, width = pictures.shape[:3]
    step = width + round(gap * width)
    joined = np.zeros((height, step * (n - 1) + width, 4), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        joined[:, i * step : i * step + width] = picture
    return joined


def _paper(axes: Axes, rendering: Rendering, corners: Values) -> None:
    """Lay a light sheet under each sample."""
    sheet = np.array([(0, 0), (1, 0), (1, rendering.aspect), (0, rendering.aspect)])
    axes.add_collection(
        PolyCollection(
            list(corners[:, None] + sheet), facecolors=now().tile, edgecolors="none", zorder=0
        )
    )


def _veil(axes: Axes, rendering: Rendering, corners: Values) -> None:
    """Make samples pale."""
    sheet = np.array([(0, 0), (1, 0), (1, rendering.aspect), (0, rendering.aspect)])
    axes.add_collection(
        PolyCollection(
            list(corners[:, None] + sheet), facecolors=now().paper, edgecolors="none",
            alpha=0.7, zorder=4, gid="veil",
        )
    )  # fmt: skip


def _chart(
    axes: Axes,
    rendering: Rendering,
    values: Values,
    corners: Values,
    colour: str,
    *,
    thin: bool = False,
) -> None:
    """Draw each row as bars around its column means, or as a line if it has many columns."""
    features = values.shape[1]
    values = np.nan_to_num(values, nan=0.5)
    middle = (np.arange(features) + 0.5) / features * 0.92 + 0.04
    height = rendering.aspect * (1 - values)
    if features > BARS:
        lines = np.stack([np.broadcast_to(middle, height.shape), height], axis=2)
        axes.add_collection(
            LineCollection(list(lines + corners[:, None]), colors=colour, linewidths=0.9)
        )
        return
    half = 0.92 / features * (0.22 if thin else 0.4)
    left, right = middle - half, middle + half
    zero = np.full_like(height, rendering.aspect / 2)
    boxes = np.stack(
        [
            np.stack([np.broadcast_to(x, height.shape), y], axis=2)
            for x, y in ((left, zero), (right, zero), (right, height), (left, height))
        ],
        axis=2,
    )
    polygons = (boxes + corners[:, None, None]).reshape(-1, 4, 2)
    axes.add_collection(PolyCollection(list(polygons), facecolors=colour, edgecolors="none"))


def _legend(rendering: Rendering) -> str:
    """Return the sentence that names the bars of a few named columns."""
    if not rendering.names or len(rendering.names) > 12:
        return ""
    return "bars, left to right: " + " · ".join(rendering.names)
