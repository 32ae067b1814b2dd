"""Arrays as the rest of the package takes them: numbers in the machine's byte order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numeric(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return samples as an array that can be learned from, without copying where that can be.

    Parameters
    ----------
    array
        Shape ``(n, features)``, ``(n, h, w)`` or ``(n, h, w, c)``; booleans become uint8 and
        numbers wider than float64 become float64.
    what
        What the array is called in errors.

    Raises
    ------
    DataError
        If it holds something else than real numbers, has no samples, or is not of such a shape.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype} values; real numbers are needed")
    if array.ndim < 2:
        raise DataError(
            f"{what} has shape {array.shape}; rows of columns (n, features) or pictures (n, h, w) "
            "are needed"
        )
    if array.ndim > 4:
        raise DataError(
            f"{what} has shape {array.shape}; at most four axes (n, h, w, channels) can be used"
        )
    if array.size == 0:
        raise DataError(f"{what} has shape {array.shape}: it holds no values")
    return native(array)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the machine's byte order, of at most 8 bytes a number, never of bool."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


def labels(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return labels as a flat array of numbers or text, whatever their axes of length one.

    Raises
    ------
    DataError
        If they are neither numbers nor text, or more than one a sample.
    """
    if array.ndim == 0 or array.size != array.shape[0]:
        raise DataError(f"{what} has shape {array.shape}; one label a sample (n,) is needed")
    if array.dtype.kind not in "biufU":
        raise DataError(f"{what} holds {array.dtype} values; labels are numbers or text")
    flat = array.reshape(-1)
    return flat if flat.dtype.kind == "U" else native(flat)
