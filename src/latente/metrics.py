"""How far reconstructions are from their originals, one number a sample.

`mse`, `psnr` and `bce` take two arrays of shape (n, ...) and return (n,), each averaged over a
sample's values (pixels, channels, columns); `ssim` and `ms_ssim` take pictures. The mean of it is
the figure for a data set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .similarity import ms_ssim, psnr, ssim

__all__ = ["agreement", "bce", "ms_ssim", "mse", "psnr", "ssim"]

Numbers = NDArray[np.float64]


def mse(original: ArrayLike, other: ArrayLike) -> Numbers:
    """Return the mean squared difference of each sample, in the data's scale.

    Parameters
    ----------
    original, other
        Shape (n, ...), of any numeric type.

    Returns
    -------
    ndarray
        Shape (n,), at least 0.
    """
    a, b = _pairs(original, other)
    return np.asarray(np.square(a - b).mean(axis=1))


def bce(original: ArrayLike, probability: ArrayLike) -> Numbers:
    """Return the mean binary cross-entropy of each sample, in nats a value.

    Parameters
    ----------
    original
        Shape (n, ...), in [0, 1].
    probability
        Shape (n, ...), in [0, 1]; kept 1e-7 away from both ends, as Keras does.

    Returns
    -------
    ndarray
        Shape (n,), at least 0.
    """
    x, p = _pairs(original, probability)
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(-(x * np.log(p) + (1 - x) * np.log1p(-p)).mean(axis=1))


def agreement(codes: ArrayLike, classes: ArrayLike, neighbours: int = 5) -> float:
    """Return how often a sample's nearest neighbours in code space share its class.

    Parameters
    ----------
    codes
        Shape (n, latent).
    classes
        Shape (n,).
    neighbours
        How many neighbours each sample asks, itself left out; fewer than n.

    Returns
    -------
    float
        From 0 to 1; by chance about the share of the most frequent class.
    """
    from sklearn.neighbors import NearestNeighbors

    labels = np.asarray(classes)
    search = NearestNeighbors(n_neighbors=neighbours).fit(np.asarray(codes))
    found = search.kneighbors(return_distance=False)
    return float((labels[found] == labels[:, None]).mean())


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Numbers, Numbers]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return a.reshape(len(a), -1), b.reshape(len(b), -1)
