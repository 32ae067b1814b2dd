"""Tiles: a large picture as small ones that overlap, and the way back without seams.

::

    tile 1    0 … ½ … 1 ─── 1 … ½ … 0
    tile 2                  0 … ½ … 1 ─── 1 … ½ … 0        weights along an axis

Each rises and falls as a raised cosine where it overlaps the next; the weights' sum is divided out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Size = tuple[int, int]


def windows(size: Size, tile: Size, overlap: float) -> list[Size]:
    """Return the top left corners of the tiles that cover a picture, spread evenly.

    Parameters
    ----------
    size
        Height and width of the picture.
    tile
        Height and width of a tile; the picture may be smaller.
    overlap
        Share of a tile that neighbours have in common at least.

    Examples
    --------
    >>> windows((4, 10), (4, 4), 0.25)
    [(0, 0), (0, 3), (0, 6)]
    """
    rows, columns = (_starts(a, b, overlap) for a, b in zip(size, tile, strict=True))
    return [(row, column) for row in rows for column in columns]


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    if length <= tile:
        return [0]
    stride = max(math.floor(tile * (1 - overlap)), 1)
    count = -(-(length - tile) // stride) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def cut(picture: NDArray[Any], places: Sequence[Size], tile: Size) -> NDArray[Any]:
    """Return tiles of a picture (H, W, ...), mirrored at its edges where it is smaller than one.

    Returns
    -------
    ndarray
        Shape (tiles, h, w, ...).
    """
    short = [max(a - b, 0) for a, b in zip(tile, picture.shape, strict=False)]
    if any(short):
        edges = [(0, amount) for amount in short] + [(0, 0)] * (picture.ndim - 2)
        picture = np.pad(picture, edges, mode="symmetric")
    return np.stack([picture[r : r + tile[0], c : c + tile[1]] for r, c in places])


def blended(tiles: Floats, places: Sequence[Size], size: Size, overlap: float) -> Floats:
    """Return the picture that restored tiles make.

    Parameters
    ----------
    tiles
        Shape (tiles, channels, h, w).
    places
        Their top left corners.
    size
        Height and width of the picture.
    overlap
        Share of a tile over which it rises and falls.

    Returns
    -------
    ndarray
        Shape (channels, height, width).
    """
    channels, *tile = tiles.shape[1:]
    canvas = tuple(max(a, b) for a, b in zip(size, tile, strict=True))
    total = np.zeros((channels, *canvas))
    weights = np.zeros(canvas)
    weight = np.outer(*(raised_cosine(length, overlap) for length in tile))
    for values, (row, column) in zip(tiles, places, strict=True):
        here = (slice(row, row + tile[0]), slice(column, column + tile[1]))
        total[:, *here] += weight * values
        weights[here] += weight
    whole = total / weights
    return whole[:, : size[0], : size[1]].astype(np.float32)


def raised_cosine(length: int, overlap: float) -> NDArray[np.float64]:
    """Return weights of a tile along an axis: rising, level, falling; positive at both ends.

    >>> raised_cosine(6, 0.34).round(2).tolist()
    [0.15, 0.85, 1.0, 1.0, 0.85, 0.15]
    """
    ramp = min(max(round(length * overlap), 0), length // 2)
    rising = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))
    return np.concatenate([rising, np.ones(length - 2 * ramp), rising[::-1]])
