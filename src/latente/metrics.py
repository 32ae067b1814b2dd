"""How far reconstructions are from their originals, one number a sample.

`mse`, `psnr` and `bce` take two arrays of shape (n, ...) and return (n,), each averaged over a
sample's values (pixels, channels, columns); `ssim` and `ms_ssim` take pictures. The mean of it is
the figure for a data set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ParameterError
from .similarity import ms_ssim, psnr, ssim

__all__ = ["agreement", "bce", "bd_rate", "ms_ssim", "mse", "psnr", "ssim"]

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


def bd_rate(
    rates: ArrayLike, quality: ArrayLike, other_rates: ArrayLike, other_quality: ArrayLike
) -> float:
    """Return how much more one way to compress takes than another (Bjøntegaard, 2001).

    The mean difference of the logarithms of two rates over the qualities that both reach, each
    curve interpolated by piecewise cubics that rise where the points rise.

    Parameters
    ----------
    rates, quality
        Points of one curve: bytes or bits, positive, and decibels; at least two.
    other_rates, other_quality
        Points of the curve it is held against.

    Returns
    -------
    float
        -0.4 means 40 % fewer bytes at equal quality.

    Raises
    ------
    ParameterError
        If a curve does not rise, or the two share no quality.
    """
    (first, low, high), (second, other_low, other_high) = (
        _curve(rates, quality),
        _curve(other_rates, other_quality),
    )
    low, high = max(low, other_low), min(high, other_high)
    if low >= high:
        raise ParameterError("the two curves share no quality; give points closer together")
    mean = (first.integrate(low, high) - second.integrate(low, high)) / (high - low)
    return float(np.expm1(mean))


def _curve(rates: ArrayLike, quality: ArrayLike) -> tuple[Any, float, float]:
    """Return the logarithm of the rate by quality, and from which quality to which it is known."""
    from scipy.interpolate import PchipInterpolator

    decibels = np.asarray(quality, dtype=np.float64)
    order = np.argsort(decibels)
    decibels, logs = decibels[order], np.log(np.asarray(rates, dtype=np.float64)[order])
    if len(decibels) < 2 or (np.diff(decibels) <= 0).any() or (np.diff(logs) <= 0).any():
        raise ParameterError("a curve needs two points or more, each with more bytes and decibels")
    return PchipInterpolator(decibels, logs), float(decibels[0]), float(decibels[-1])


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[Numbers, Numbers]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return a.reshape(len(a), -1), b.reshape(len(b), -1)
