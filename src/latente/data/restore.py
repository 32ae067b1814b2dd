"""Restoring: computed values back into the type that the data had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64",
)  # fmt: skip
"""The types that data can have."""
EXACT = ("bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32")
"""The types whose every value float32 holds exactly."""


def limits(dtype: str) -> tuple[float, float]:
    """Return the smallest and largest value of a type that are float64 numbers too."""
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        top = float(info.max)
        return float(info.min), top if int(top) <= info.max else float(np.nextafter(top, 0))
    if dtype == "bfloat16":
        return -3.3895313892515355e38, 3.3895313892515355e38
    low, high = np.finfo(dtype).min, np.finfo(dtype).max
    return float(low), float(high)


def restore(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return floats as that type: rounded and clipped where it is narrower, True from 0.5.

    NumPy has no bfloat16; float32 stands for it.
    """
    if dtype == "bool":
        return np.asarray(values >= 0.5)
    if dtype == "bfloat16":
        return values.astype(np.float32)
    if dtype.startswith(("int", "uint")):
        wide = values if values.dtype == np.float64 or dtype in EXACT else values.astype(np.float64)
        clipped: NDArray[Any] = np.clip(np.rint(wide), *limits(dtype))
        return clipped.astype(dtype)
    if np.dtype(dtype).itemsize < values.dtype.itemsize:
        values = np.clip(values, *limits(dtype))
    return values.astype(dtype, copy=False)


def restore_tensor(values: Tensor, dtype: str) -> Tensor:
    """Return floats on their device as that type, as `restore` does."""
    import torch

    target = getattr(torch, dtype)
    if dtype == "bool":
        return values >= 0.5
    if dtype.startswith(("int", "uint")):
        if dtype not in EXACT and values.device.type != "mps":
            values = values.double()
        low, high = limits(dtype)
        return values.round().clamp(low, high).to(target)
    if dtype == "float64" and values.device.type == "mps":
        return values
    if target.itemsize < values.dtype.itemsize:
        values = values.clamp(*limits(dtype))
    return values.to(target)
