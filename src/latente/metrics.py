"""Measures of reconstructions: how far samples are from their originals, one number a sample.

`mse` and `bce` take two arrays of shape (n, ...) and return (n,), each averaged over a sample's
values (pixels, channels, columns); `psnr`, `ssim` and `ms_ssim` take arrays or tensors. The mean is
the figure for a data set. `agreement` measures codes, `bd_rate` compares two ways to compress.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ParameterError
from .parts import is_number, is_whole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["agreement", "bce", "bd_rate", "ms_ssim", "mse", "psnr", "ssim"]

Numbers = NDArray[np.float64]

WINDOW, SPREAD = 11, 1.5
"""Side and standard deviation of the Gaussian window, in pixels (Wang et al., 2004)."""
STABILISERS = (0.01, 0.03)
"""K1 and K2: constants that keep ratios of small means and of small variances finite."""
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, from the finest (Wang et al., 2003)."""
BLOCK_NUMBERS = 2**22
"""About how many numbers are compared at a time."""


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
    a, b = _flat(original, other)
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
    x, p = _flat(original, probability)
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(-(x * np.log(p) + (1 - x) * np.log1p(-p)).mean(axis=1))


def psnr(original: Any, other: Any, span: float = 1.0) -> Numbers:
    """Return the peak signal-to-noise ratio of each sample, in decibels.

    Parameters
    ----------
    original, other
        Shape (n, ...), of any numeric type.
    span
        Highest minus lowest value the data can have: 1 for pictures in [0, 1], 255 for bytes.

    Returns
    -------
    ndarray
        Shape (n,); infinite where a sample is matched exactly.
    """
    import torch

    a, b = _pair(original, other, span)
    error = (a - b).flatten(1).square().mean(1)
    decibels: Numbers = (20 * np.log10(span) - 10 * torch.log10(error)).numpy()
    return decibels


def ssim(original: Any, other: Any, span: float = 1.0) -> Numbers:
    """Return the structural similarity of each pair of pictures (Wang et al., 2004).

    Means, variances and covariance are weighted by a Gaussian window of 11×11 pixels that lies
    wholly inside the picture; channels are compared one by one and averaged.

    Parameters
    ----------
    original, other
        Pictures of 11×11 pixels or more, (n, h, w) or (n, h, w, c).
    span
        Highest minus lowest value the data can have: 1 for pictures in [0, 1], 255 for bytes.

    Returns
    -------
    ndarray
        Shape (n,), at most 1; 1 where a picture is matched exactly.
    """
    a, b = _pictures(original, other, span, WINDOW)
    return _in_blocks(a, b, lambda x, y: _comparisons(x, y, span)[0])


def ms_ssim(original: Any, other: Any, span: float = 1.0, scales: int = 5) -> Numbers:
    """Return the multi-scale structural similarity of each pair of pictures (Wang et al., 2003).

    ::

        cs₁^β₁ · cs₂^β₂ · … · ssim_M^β_M        each scale half as large as the one before

    cs is the mean of contrast and structure at a scale, ssim that of all three; negative means
    count as 0. Channels are compared one by one and averaged.

    Parameters
    ----------
    original, other
        Pictures, (n, h, w) or (n, h, w, c), of at least 11 · 2^(scales − 1) pixels a side: 176 for
        five scales.
    span
        Highest minus lowest value the data can have: 1 for pictures in [0, 1], 255 for bytes.
    scales
        How many, from 1 to 5; of fewer than 5, the exponents are raised so that their sum stays 1.

    Returns
    -------
    ndarray
        Shape (n,), from 0 to 1.
    """
    if not is_whole(scales, 1, len(SCALES)):
        raise ParameterError(f"scales={scales!r}: use a whole number from 1 to {len(SCALES)}")
    a, b = _pictures(original, other, span, WINDOW * 2 ** (int(scales) - 1))
    total = sum(SCALES[:scales]) if scales < len(SCALES) else 1.0  # the paper's own add to 1.0001
    weights = [weight / total for weight in SCALES[:scales]]

    def compared(x: Tensor, y: Tensor) -> Tensor:
        from torch.nn.functional import avg_pool2d

        product: Tensor | None = None
        for i, weight in enumerate(weights):
            if i:
                x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
            whole, contrast = _comparisons(x, y, span)
            factor = (whole if i == len(weights) - 1 else contrast).clamp(min=0) ** weight
            product = factor if product is None else product * factor
        assert product is not None
        return product

    return _in_blocks(a, b, compared)


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
    nearest = search.kneighbors(return_distance=False)
    return float((labels[nearest] == labels[:, None]).mean())


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
        Points of the curve that it is compared with.

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


def _comparisons(x: Tensor, y: Tensor, span: float) -> tuple[Tensor, Tensor]:
    """Return mean SSIM and mean contrast-structure of planes, each of shape (n, c)."""
    first, second = ((k * span) ** 2 for k in STABILISERS)
    mean_x, mean_y, square_x, square_y, product = (
        _smoothed(values) for values in (x, y, x * x, y * y, x * y)
    )
    variances = (square_x - mean_x**2) + (square_y - mean_y**2)
    contrast = (2 * (product - mean_x * mean_y) + second) / (variances + second)
    light = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    return (light * contrast).mean((2, 3)), contrast.mean((2, 3))


def _smoothed(x: Tensor) -> Tensor:
    """Return Gaussian averages of planes (n, c, h, w) at each place the window fits in."""
    import torch

    offsets = torch.arange(WINDOW, dtype=x.dtype) - WINDOW // 2
    weights = (-0.5 * (offsets / SPREAD) ** 2).softmax(0)
    rows = x.unfold(2, WINDOW, 1) @ weights
    averages: Tensor = rows.unfold(3, WINDOW, 1) @ weights
    return averages


def _pictures(original: Any, other: Any, span: float, least: int) -> tuple[Tensor, Tensor]:
    """Return pictures as planes (n, c, h, w), or say why they cannot be compared."""
    a, b = _pair(original, other, span)
    if a.dim() not in (3, 4):
        raise ParameterError(f"pictures are (n, h, w) or (n, h, w, c), not {tuple(a.shape)}")
    if min(a.shape[1:3]) < least:
        raise ParameterError(
            f"pictures of {a.shape[1]}×{a.shape[2]} are too small: give {least}×{least} or more"
        )
    if a.dim() == 3:
        return a[:, None], b[:, None]
    return a.movedim(3, 1), b.movedim(3, 1)


def _pair(original: Any, other: Any, span: float) -> tuple[Tensor, Tensor]:
    """Return both as tensors in double precision on the CPU."""
    import torch

    if not is_number(span, 0) or float(span) == 0:
        raise ParameterError(f"span={span!r}: use a positive number")
    a, b = (
        x.detach().cpu().double()
        if isinstance(x, torch.Tensor)
        else torch.from_numpy(np.array(x, dtype=np.float64))
        for x in (original, other)
    )
    if a.shape != b.shape:
        raise ParameterError(
            f"samples of shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared; "
            "give as many of the same size"
        )
    return a, b


def _in_blocks(a: Tensor, b: Tensor, compared: Any) -> Numbers:
    """Return the channels' mean of a comparison, (n,), a block of pictures at a time."""
    import torch

    size = max(BLOCK_NUMBERS // (WINDOW * a[0].numel()), 1)
    blocks = zip(torch.split(a, size), torch.split(b, size), strict=True)
    parts = [compared(x, y).mean(1) for x, y in blocks]
    values: Numbers = torch.cat(parts).numpy()
    return values


def _curve(rates: ArrayLike, quality: ArrayLike) -> tuple[Any, float, float]:
    """Return the logarithm of the rate by quality, and from which quality to which it is known."""
    from scipy.interpolate import PchipInterpolator

    decibels = np.asarray(quality, dtype=np.float64)
    order = np.argsort(decibels)
    decibels, logs = decibels[order], np.log(np.asarray(rates, dtype=np.float64)[order])
    if len(decibels) < 2 or (np.diff(decibels) <= 0).any() or (np.diff(logs) <= 0).any():
        raise ParameterError("a curve needs two points or more, each with more bytes and decibels")
    return PchipInterpolator(decibels, logs), float(decibels[0]), float(decibels[-1])


def _flat(first: ArrayLike, second: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return samples as rows in double precision."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return a.reshape(len(a), -1), b.reshape(len(b), -1)
