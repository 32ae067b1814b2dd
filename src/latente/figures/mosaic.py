"""Rows of pictures, or of small bar charts, side by side in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .items import Look, Values
from .style import COLOURS, INK, LINE, MUTED, NORMAL, SMALL, TILE, bare, canvas, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = 0.23
LABEL = 1.12
BARS = 32
SHARP, FINE = 48, 160


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
    colour
        Of the bar charts.
    """

    items: Any
    label: str = ""
    captions: Sequence[str] = ()
    under: Any = None
    colour: str = COLOURS[0]


def mosaic(
    look: Look,
    rows: Sequence[Row],
    *,
    cell: float = 0.78,
    gap: float = 0.1,
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Return a figure of rows of samples.

    Parameters
    ----------
    look
        How samples are drawn.
    rows
        From top to bottom.
    cell
        Width of one sample in inches.
    gap
        Space between samples, as a share of their width.
    xlabel, ylabel
        What changes from left to right, and from bottom to top.
    """
    width, height = extent(look, rows, gap)
    left = LABEL if any(row.label for row in rows) else 0.28 if ylabel else 0.08
    note = "   ".join(filter(None, (xlabel, _legend(look))))
    foot = 0.3 if note else 0.08
    figure = canvas(left + width * cell + 0.08, 0.08 + height * cell + foot)
    axes = panel(figure, left, foot, width * cell, height * cell)
    tile(axes, look, rows, gap)
    wide, high = figure.get_size_inches()
    figure.text(left / wide, 0.09 / high, note, color=MUTED, fontsize=SMALL - 0.5)
    figure.text(
        0.17 / wide, foot / high, ylabel, ha="center", va="bottom", rotation=90,
        color=MUTED, fontsize=SMALL - 0.5,
    )  # fmt: skip
    return figure


def extent(look: Look, rows: Sequence[Row], gap: float) -> tuple[float, float]:
    """Return width and height of a mosaic in widths of a sample."""
    gap = _whole(look, gap)
    columns = max(len(row.items) for row in rows)
    height = sum(look.aspect + (CAPTION if row.captions else 0) for row in rows)
    return columns + gap * (columns - 1), height + gap * (len(rows) - 1)


def tile(axes: Axes, look: Look, rows: Sequence[Row], gap: float = 0.1) -> None:
    """Draw rows of samples into axes, one unit a sample's width, the first row at the top."""
    bare(axes)
    gap = _whole(look, gap)
    top = 0.0
    for row in rows:
        corners = np.array([(i * (1 + gap), top) for i in range(len(row.items))])
        _draw(axes, look, row, corners)
        if row.label:
            axes.text(
                -0.14, top + look.aspect / 2, row.label,
                ha="right", va="center", color=INK, fontsize=NORMAL - 0.5,
            )  # fmt: skip
        for (left, _), caption in zip(corners, row.captions, strict=False):
            axes.text(
                left + 0.5, top + look.aspect + 0.04, caption,
                ha="center", va="top", color=MUTED, fontsize=SMALL - 0.5,
            )  # fmt: skip
        top += look.aspect + gap + (CAPTION if row.captions else 0)
    width, height = extent(look, rows, gap)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _draw(axes: Axes, look: Look, row: Row, corners: Values) -> None:
    """Draw one row's samples, each with its upper left corner there."""
    if look.ink or not look.picture:
        _paper(axes, look, corners)
    if look.picture:
        (left, top), right = corners[0], corners[-1, 0] + 1
        gap = corners[1, 0] - 1 if len(corners) > 1 else 0.0
        axes.imshow(
            _abreast(pixels(look, row.items), gap),
            extent=(left, right, top + look.aspect, top),
            interpolation="none",
            aspect="auto",
            gid="ink" if look.ink else "photo",
        )
        return
    if row.under is not None:
        _chart(axes, look, look(row.under), corners, LINE)
    _chart(axes, look, look(row.items), corners, row.colour, thin=row.under is not None)


def pixels(look: Look, items: Any, colour: Any = INK) -> NDArray[np.uint8]:
    """Return pictures as RGBA bytes, (n, height, width, 4).

    Ink is the colour with the pixel's value as its opacity; other pictures are opaque. Small
    pictures are enlarged, so that a viewer that smooths leaves their pixels sharp; large ones are
    reduced to what a thumbnail can show.
    """
    from matplotlib.colors import to_rgb

    values = _reduced(look(items))
    if look.ink:
        flat = np.broadcast_to(np.array(to_rgb(colour)), (*values.shape, 3))
        full = np.concatenate([flat, values[..., None]], axis=3)
    else:
        rgb = values if values.ndim == 4 else values[..., None].repeat(3, axis=3)
        full = np.concatenate([rgb, np.ones_like(rgb[..., :1])], axis=3)
    enlarge = _enlarge(look)
    full = full.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    return np.asarray((full * 255).round(), dtype=np.uint8)


def _enlarge(look: Look) -> int:
    return max(1, SHARP // max(look.shape[:2]))


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


def _whole(look: Look, gap: float) -> float:
    """Return the gap rounded to whole pixels, so that a row's samples make one sharp picture."""
    if not look.picture:
        return gap
    width = look.shape[1] * _enlarge(look)
    return round(gap * width) / width


def _abreast(pictures: NDArray[np.uint8], gap: float) -> NDArray[np.uint8]:
    """Join pictures side by side with transparent gaps, given as a share of their width."""
    n, height, width = pictures.shape[:3]
    step = width + round(gap * width)
    joined = np.zeros((height, step * (n - 1) + width, 4), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        joined[:, i * step : i * step + width] = picture
    return joined


def _paper(axes: Axes, look: Look, corners: Values) -> None:
    """Lay a light sheet under each sample."""
    from matplotlib.collections import PolyCollection

    sheet = np.array([(0, 0), (1, 0), (1, look.aspect), (0, look.aspect)])
    axes.add_collection(
        PolyCollection(list(corners[:, None] + sheet), facecolors=TILE, edgecolors="none", zorder=0)
    )


def _chart(
    axes: Axes, look: Look, values: Values, corners: Values, colour: str, *, thin: bool = False
) -> None:
    """Draw each row as bars around its column means, or as a line if it has many columns."""
    from matplotlib.collections import LineCollection, PolyCollection

    features = values.shape[1]
    values = np.nan_to_num(values, nan=0.5)
    middle = (np.arange(features) + 0.5) / features * 0.92 + 0.04
    height = look.aspect * (1 - values)
    if features > BARS:
        lines = np.stack([np.broadcast_to(middle, height.shape), height], axis=2)
        axes.add_collection(
            LineCollection(list(lines + corners[:, None]), colors=colour, linewidths=0.9)
        )
        return
    half = 0.92 / features * (0.22 if thin else 0.4)
    left, right = middle - half, middle + half
    zero = np.full_like(height, look.aspect / 2)
    boxes = np.stack(
        [
            np.stack([np.broadcast_to(x, height.shape), y], axis=2)
            for x, y in ((left, zero), (right, zero), (right, height), (left, height))
        ],
        axis=2,
    )
    polygons = (boxes + corners[:, None, None]).reshape(-1, 4, 2)
    axes.add_collection(PolyCollection(list(polygons), facecolors=colour, edgecolors="none"))


def _legend(look: Look) -> str:
    """Return the sentence that names the bars of a few named columns."""
    if not look.names or len(look.names) > 12:
        return ""
    return "bars, left to right: " + " · ".join(look.names)
