"""Signatures: what of a picture is compared to tell whether another is a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..data.pictures import resized

if TYPE_CHECKING:
    from ..estimator import Autoencoder

Floats = NDArray[np.float32]
SIDE = 16
"""Height and width of the thumbnail that stands for a picture where there is no model."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey of a picture (ITU-R BT.601)."""


class Signature(Protocol):
    """From pictures to rows of which near ones mean like pictures."""

    def __call__(self, X: NDArray[Any]) -> Floats:
        """Return one row a picture, (n, numbers)."""


class Thumbnail:
    """A small grey picture, its mean taken off and its length brought to 1.

    Brightness and contrast fall away; the squared distance of two is twice one minus their
    correlation.
    """

    def __call__(self, X: NDArray[Any]) -> Floats:
        small = resized(np.asarray(X, dtype=np.float32), (SIDE, SIDE))
        if small.ndim == 4:
            shares = LUMA if small.shape[3] >= 3 else (1.0,)
            small = small[..., : len(shares)] @ np.array(shares, dtype=np.float32)
        rows = small.reshape(len(small), -1)
        rows = rows - rows.mean(1, keepdims=True)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        # Blank pictures, whose rest is rounding, are all alike.
        rows = np.where(length > 1e-3 * SIDE, rows / np.maximum(length, 1e-30), 0)
        return np.asarray(rows, dtype=np.float32)


class Coded:
    """A model's codes, as directions: their length tells of contrast more than of content.

    Parameters
    ----------
    autoencoder
        Fitted on pictures like these.
    """

    def __init__(self, autoencoder: Autoencoder) -> None:
        self.autoencoder = autoencoder

    def __call__(self, X: NDArray[Any]) -> Floats:
        codes: Floats = self.autoencoder.transform(X)
        length = np.linalg.norm(codes, axis=1, keepdims=True)
        return np.asarray(codes / np.maximum(length, 1e-30), dtype=np.float32)


def turns(X: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield pictures as they are, turned by quarters, and the same mirrored: eight versions.

    Parameters
    ----------
    X
        Shape (n, h, w) or (n, h, w, c); versions turned sideways are brought to this size again.
    """
    for mirrored in (X, X[:, :, ::-1]):
        for quarters in range(4):
            turned = np.rot90(mirrored, quarters, axes=(1, 2))
            yield resized(np.ascontiguousarray(turned), X.shape[1:3])
