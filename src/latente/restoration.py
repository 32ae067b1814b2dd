"""Restoration: pictures of any size through a model that was trained on one size.

::

    picture (H, W) ──cut──▶ tiles (n, h, w), overlapping ──model──▶ restored ──blend──▶ (H, W)

    tile 1    0 … ½ … 1 ─── 1 … ½ … 0
    tile 2                  0 … ½ … 1 ─── 1 … ½ … 0        weights along an axis

The weights of a tile rise and fall as a raised cosine where it overlaps the next one; the picture
is divided by their sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .data.preparation import describe_shape
from .errors import DataError, ParameterError
from .parts import is_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .estimator import Autoencoder

Size = tuple[int, int]

OVERLAP = 0.5
"""Share of a tile's side that it has in common with the next one."""


def restore(
    model: Autoencoder, picture: Any, mask: Any = None, *, overlap: float = OVERLAP
) -> NDArray[Any]:
    """Restore one picture of any size.

    A picture larger than those of the fit is cut into overlapping tiles of their size, which are
    blended with raised-cosine windows; a smaller one is mirrored at its edges. A model of grey
    pictures restores each channel of a colour picture by itself.

    Parameters
    ----------
    model
        Fitted on pictures.
    picture
        Damaged, (height, width) or (height, width, channels), in the scale of the fit's pictures.
    mask
        For a model trained under `Erase`: which pixels are missing, (height, width).
    overlap
        Share of a tile's side that it has in common with the next, from 0 to 0.9; more is slower
        and hides the seams better.

    Returns
    -------
    ndarray
        Restored, of the picture's size, in the type of the fit's pictures.

    Raises
    ------
    DataError
        If the picture has other channels than the model can take, or holds NaN or infinity.
    ParameterError
        If the model is not one of pictures, or a mask is given to one that cannot use it.
    """
    check_is_fitted(model, "fitted_")
    if not is_number(overlap, 0, 0.9):
        raise ParameterError(f"overlap={overlap!r}: use a number from 0 to 0.9")
    fitted = model.fitted_
    for layout in (fitted.input.layout, fitted.target.layout):
        if layout.kind != "pictures":
            raise ParameterError(f"this model was fitted on {layout.kind}, not on pictures")
    damaged = np.asarray(picture)
    if damaged.ndim not in (2, 3) or 0 in damaged.shape:
        raise DataError(f"a picture is (h, w) or (h, w, c), not of shape {damaged.shape}")
    missing = None if mask is None else _checked_mask(mask, damaged)
    restored = [_restored(model, part, missing, overlap) for part in _inputs(damaged, model)]
    if len(restored) == 1:
        return _as_grey(restored[0], damaged, model)
    return np.concatenate([part.reshape(*part.shape[:2], 1) for part in restored], axis=2)


def _restored(
    model: Autoencoder, picture: NDArray[Any], mask: NDArray[Any] | None, overlap: float
) -> NDArray[Any]:
    """Return a picture with the channels of the fit, of any size, restored."""
    fitted = model.fitted_
    height, width = fitted.input.shape[1:]
    size = picture.shape[:2]
    corners = tile_corners(size, (height, width), overlap)
    tiles = cut(picture, corners, (height, width))
    hidden = None if mask is None else cut(mask, corners, (height, width))
    whole = blend(fitted.restored(tiles, hidden), corners, size, overlap)
    values: NDArray[Any] = fitted.target.scaling_map.inverse(whole[None])[0]
    return values[0] if len(fitted.target.layout.shape) == 2 else np.moveaxis(values, 0, 2)


def _checked_mask(mask: Any, picture: NDArray[Any]) -> NDArray[Any]:
    """Return a mask as booleans, or raise `DataError` where it does not fit the picture."""
    missing: NDArray[Any] = np.asarray(mask) != 0
    if missing.shape != picture.shape[:2]:
        raise DataError(
            f"the mask has shape {missing.shape}, but the picture is "
            f"{picture.shape[0]} × {picture.shape[1]}"
        )
    return missing


def _inputs(picture: NDArray[Any], model: Autoencoder) -> Iterator[NDArray[Any]]:
    """Yield the pictures, with the channels of the fit, that go through the model one by one.

    That is the picture itself, with grey repeated for a model of colours, or one channel after the
    other for a model of greys.
    """
    shape = model.fitted_.input.layout.shape
    channels = shape[2] if len(shape) == 3 else 1
    own = picture.shape[2] if picture.ndim == 3 else 1
    planes = picture.reshape(*picture.shape[:2], own)
    if own != channels and 1 not in (own, channels):
        raise DataError(
            f"the picture has {own} channels, but the model was fitted on {describe_shape(shape)}"
        )
    if own == channels or own == 1:
        whole = np.repeat(planes, channels // own, axis=2)
        yield whole if len(shape) == 3 else whole[..., 0]
    else:
        for channel in range(own):
            yield planes[..., channel : channel + 1] if len(shape) == 3 else planes[..., channel]


def _as_grey(restored: NDArray[Any], picture: NDArray[Any], model: Autoencoder) -> NDArray[Any]:
    """Return a restored picture grey again, where the model repeated a grey one as colours."""
    coloured = np.ndim(model.fitted_.widened(picture[None])) == 4
    if picture.ndim == 3 or restored.ndim == 2 or coloured:
        return restored
    grey: NDArray[Any] = restored.mean(axis=2)
    return (np.rint(grey) if restored.dtype.kind in "iu" else grey).astype(restored.dtype)


def tile_corners(size: Size, tile: Size, overlap: float) -> list[Size]:
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
    >>> tile_corners((4, 10), (4, 4), 0.25)
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


def cut(picture: NDArray[Any], corners: Sequence[Size], tile: Size) -> NDArray[Any]:
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
    return np.stack([picture[r : r + tile[0], c : c + tile[1]] for r, c in corners])


def blend(
    tiles: NDArray[np.float32], corners: Sequence[Size], size: Size, overlap: float
) -> NDArray[np.float32]:
    """Return the picture that restored tiles make.

    Parameters
    ----------
    tiles
        Shape (tiles, channels, h, w).
    corners
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
    for values, (row, column) in zip(tiles, corners, strict=True):
        area = (slice(row, row + tile[0]), slice(column, column + tile[1]))
        total[:, *area] += weight * values
        weights[area] += weight
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
