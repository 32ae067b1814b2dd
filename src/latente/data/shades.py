"""Shades: pictures of any scale and type as bytes, from 0 for black to 255 for white, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .preparation import Preparation


def black_and_white(data: Preparation) -> tuple[float, float]:
    """Return black and white in the scale of the pictures of the fit."""
    low, high = data.bounds or data.range
    scaling = data.scaling_map
    return (
        float((scaling.shift + low * scaling.span).min()),
        float((scaling.shift + high * scaling.span).max()),
    )


def from_bytes(pictures: NDArray[Any], data: Preparation) -> NDArray[Any]:
    """Return pictures of bytes in the scale and type of the pictures of the fit."""
    if data.layout.dtype == "uint8":
        return pictures
    low, high = black_and_white(data)
    values = low + pictures * ((high - low) / 255)
    dtype = np.dtype(data.layout.dtype)
    if dtype.kind == "b":
        return pictures >= 128
    return (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)


def to_bytes(pictures: NDArray[Any], data: Preparation) -> NDArray[np.uint8]:
    """Return pictures in the scale of those of the fit as bytes."""
    if pictures.dtype == np.uint8:
        return pictures
    low, high = black_and_white(data)
    scale = 255 / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore"):
        shades = np.rint((np.nan_to_num(pictures.astype(np.float64), nan=low) - low) * scale)
    return shades.clip(0, 255).astype(np.uint8)
