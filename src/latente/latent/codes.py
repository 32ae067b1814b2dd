"""Codes as they are given: checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Codes = NDArray[np.float32]
Values = NDArray[np.float64]


def as_codes(Z: Any, name: str) -> Values:
    """Return codes as (n, latent) float64, or say what is wrong."""
    codes = np.asarray(Z, dtype=np.float64)
    if codes.ndim != 2 or not len(codes):
        raise DataError(f"{name} has the shape {codes.shape}: give codes, (n, latent), n from 1")
    if not np.isfinite(codes).all():
        raise DataError(f"{name} holds NaN or infinity")
    return codes
