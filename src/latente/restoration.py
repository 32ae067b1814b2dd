"""Restoration: pictures of any size through a model that was trained on one size.

::

    picture (H, W) ──cut──▶ tiles (n, h, w), overlapping ──model──▶ restored ──blend──▶ (H, W)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .data.preparation import describe_shape
from .errors import DataError, ParameterError
from .parts import is_number
from .tiles import blended, cut, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .estimator import Autoencoder

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
    given = model.fitted_.given.layout.shape
    if len(given) < 2 or len(model.fitted_.wanted.layout.shape) < 2:
        raise ParameterError("this model was fitted on rows of numbers, not on pictures")
    damaged = np.asarray(picture)
    if damaged.ndim not in (2, 3) or 0 in damaged.shape:
        raise DataError(f"a picture is (h, w) or (h, w, c), not of shape {damaged.shape}")
    missing = None if mask is None else checked(mask, damaged)
    restored = [_whole(model, p, missing, overlap) for p in planes(damaged, model)]
    if len(restored) == 1:
        return like(restored[0], damaged, model)
    return np.concatenate([p.reshape(*p.shape[:2], 1) for p in restored], axis=2)


def _whole(
    model: Autoencoder, picture: NDArray[Any], mask: NDArray[Any] | None, overlap: float
) -> NDArray[Any]:
    """Return a picture of the fit's channels and any size, restored."""
    fitted = model.fitted_
    tile, size = fitted.given.shape[1:], picture.shape[:2]
    places = windows(size, (tile[0], tile[1]), overlap)
    tiles = cut(picture, places, (tile[0], tile[1]))
    hidden = None if mask is None else cut(mask, places, (tile[0], tile[1]))
    whole = blended(fitted.restored(tiles, hidden), places, size, overlap)
    values: NDArray[Any] = fitted.wanted.scaling_map.inverse(whole[None])[0]
    return values[0] if len(fitted.wanted.layout.shape) == 2 else np.moveaxis(values, 0, 2)


def checked(mask: Any, picture: NDArray[Any]) -> NDArray[Any]:
    """Return a mask as booleans, or raise `DataError` where it does not fit the picture."""
    missing: NDArray[Any] = np.asarray(mask) != 0
    if missing.shape != picture.shape[:2]:
        raise DataError(
            f"the mask has shape {missing.shape}, but the picture is "
            f"{picture.shape[0]} × {picture.shape[1]}"
        )
    return missing


def planes(picture: NDArray[Any], model: Autoencoder) -> Iterator[NDArray[Any]]:
    """Yield what of a picture goes through the model at a time, with the fit's channels.

    That is the picture itself, with grey repeated for a model of colours, or one channel after the
    other for a model of greys.
    """
    shape = model.fitted_.given.layout.shape
    wanted = shape[2] if len(shape) == 3 else 1
    found = picture.shape[2] if picture.ndim == 3 else 1
    plane = picture.reshape(*picture.shape[:2], found)
    if found != wanted and 1 not in (found, wanted):
        raise DataError(
            f"the picture has {found} channels, but the model was fitted on {describe_shape(shape)}"
        )
    if found == wanted or found == 1:
        whole = np.repeat(plane, wanted // found, axis=2)
        yield whole if len(shape) == 3 else whole[..., 0]
    else:
        for channel in range(found):
            yield plane[..., channel : channel + 1] if len(shape) == 3 else plane[..., channel]


def like(restored: NDArray[Any], picture: NDArray[Any], model: Autoencoder) -> NDArray[Any]:
    """Return a restored picture grey again, where only the model made colours of a grey one."""
    if picture.ndim == 3 or restored.ndim == 2 or model.fitted_.colours:
        return restored
    grey: NDArray[Any] = (
        np.rint(restored.mean(axis=2)) if restored.dtype.kind in "iu" else (restored.mean(axis=2))
    )
    return grey.astype(restored.dtype)
