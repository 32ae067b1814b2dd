"""Codes: their check, those on the way between two, and grids of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError
from ..parts import is_number, is_whole, listed

if TYPE_CHECKING:
    from ..estimator import Autoencoder

Codes = NDArray[np.float32]
Values = NDArray[np.float64]


def checked_codes(Z: Any, name: str) -> Values:
    """Return codes as (n, latent) float64, or say what is wrong."""
    codes = np.asarray(Z, dtype=np.float64)
    if codes.ndim != 2 or not len(codes):
        raise DataError(f"{name} has the shape {codes.shape}: give codes, (n, latent), n from 1")
    if not np.isfinite(codes).all():
        raise DataError(f"{name} holds NaN or infinity")
    return codes


def linear(start: Values, end: Values, shares: Values) -> Values:
    """Return points on the straight line between codes, (n, steps, latent)."""
    line: Values = (1 - shares) * start + shares * end
    return line


def spherical(start: Values, end: Values, shares: Values) -> Values:
    """Return points on the arc between codes, as long as they are (Shoemake, 1985; White, 2016).

    Codes of a normal prior lie near a sphere; a straight line leaves it, an arc does not. Between
    codes in one or in opposite directions, where there is no one arc, the line is taken.
    """
    lengths = [np.linalg.norm(z, axis=-1, keepdims=True) for z in (start, end)]
    units = [z / np.maximum(length, 1e-12) for z, length in zip((start, end), lengths, strict=True)]
    cosine = (units[0] * units[1]).sum(-1, keepdims=True)
    angle = np.arccos(np.clip(cosine, -1, 1))
    sine = np.sin(angle)
    clear = sine > 1e-4
    safe = np.where(clear, sine, 1.0)
    arc = np.sin((1 - shares) * angle) / safe * start + np.sin(shares * angle) / safe * end
    return np.where(clear, arc, linear(start, end, shares))


PATHS: dict[str, Callable[[Values, Values, Values], Values]] = {
    "linear": linear,
    "spherical": spherical,
}


def interpolate(start: Any, end: Any, steps: int = 10, *, path: str = "linear") -> Codes:
    """Return codes on the way from one code to another, both ends included.

    Parameters
    ----------
    start, end
        Codes, (latent,) or (n, latent).
    steps
        How many, at least 2.
    path
        "linear", or "spherical", an arc about the origin that suits the codes of a variational
        model.

    Returns
    -------
    ndarray
        Shape (steps, latent), or (n, steps, latent) for n pairs.
    """
    ends = [np.asarray(z, dtype=np.float64) for z in (start, end)]
    if ends[0].shape != ends[1].shape or ends[0].ndim not in (1, 2):
        raise DataError(
            f"start has the shape {ends[0].shape} and end {ends[1].shape}: give two codes, "
            "(latent,), or as many of each, (n, latent)"
        )
    if not is_whole(steps, 2):
        raise ParameterError(f"steps={steps!r}: use a whole number from 2")
    if path not in PATHS:
        raise ParameterError(f"path={path!r}: use {listed(map(repr, PATHS))}")
    shares = np.linspace(0, 1, int(steps))[:, None]
    between = PATHS[path](ends[0][..., None, :], ends[1][..., None, :], shares)
    between[..., 0, :], between[..., -1, :] = ends
    return between.astype(np.float32)


def grid(
    autoencoder: Autoencoder,
    n: int = 20,
    *,
    X: Any = None,
    span: float = 0.96,
    dims: tuple[int, int] | None = None,
    limits: Sequence[float] | None = None,
) -> Codes:
    """Return a square grid of codes, row by row from the upper left.

    A code with a prior is walked through its quantiles, so that equal areas are equally probable;
    any other over the range its codes have. Of a code with more than two numbers the two
    that carry most are walked and the others stay at their mean.

    Parameters
    ----------
    autoencoder
        Fitted.
    n
        Steps along each side.
    X
        Samples whose codes give the range; samples of the model itself if not given.
    span
        Share of the prior, or of the codes along each axis, that the grid covers, above 0 to 1.
    dims
        Which two numbers are walked, to the right and upward, counted from 0.
    limits
        From where to where, in even steps: (low, high) of both numbers, or (left, right, bottom,
        top); in place of ``span``.

    Returns
    -------
    ndarray
        Shape (n², latent).

    Raises
    ------
    ParameterError
        If there is no such number of the code, or limits are not in order.
    """
    if not is_whole(n, 1):
        raise ParameterError(f"n={n!r}: use a whole number from 1")
    bottleneck = autoencoder.fitted_.model.bottleneck
    prior = bottleneck.quantiles(np.array([0.5])) is not None
    if not (is_number(span, 0, 1) and span > 0 and not (prior and span == 1)):
        raise ParameterError(f"span={span!r}: use a number above 0 and below 1")
    shares = np.linspace(0.5 - span / 2, 0.5 + span / 2, n) if n > 1 else np.array([0.5])
    samples = autoencoder.sample(512, random_state=0) if X is None else X
    codes = checked_codes(autoencoder.transform(samples), "the codes of X")
    carried = autoencoder.fitted_.summary.get("kl_per_dimension", codes.var(axis=0))
    centre = np.zeros(codes.shape[1]) if prior else codes.mean(axis=0)
    walked = checked_dims(dims, codes.shape[1]) or sorted(np.argsort(carried)[::-1][:2].tolist())
    four = checked_limits(limits)
    ranges = None if four is None else np.reshape(four, (2, 2))
    grid_codes = np.tile(centre, (n * n, 1))
    for axis, dimension in enumerate(walked):
        steps = bottleneck.quantiles(shares)
        if ranges is not None:
            low, high = ranges[axis]
            steps = np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2])
        elif steps is None:
            low, high = np.quantile(codes[:, dimension], [0.5 - span / 2, 0.5 + span / 2])
            steps = np.linspace(low, high, n)
        grid_codes[:, dimension] = np.repeat(steps[::-1], n) if axis == 1 else np.tile(steps, n)
    return grid_codes.astype(np.float32)


def checked_dims(dims: Sequence[int] | None, latent: int) -> list[int] | None:
    """Return the two numbers of a code that are asked for, or say what is wrong."""
    if dims is None:
        return None
    chosen = list(dims)
    if len(set(chosen)) != 2 or len(chosen) != 2 or not all(is_whole(dim, 0) for dim in chosen):
        raise ParameterError(f"dims={dims!r}: give two different numbers of the code, such as 0, 1")
    if max(chosen) >= latent:
        raise ParameterError(f"dims={dims!r}: the code has numbers 0 to {latent - 1}")
    return [int(dim) for dim in chosen]


def checked_limits(limits: Sequence[float] | None) -> tuple[float, float, float, float] | None:
    """Return limits as left, right, bottom and top, or say what is wrong."""
    if limits is None:
        return None
    four = [float(value) for value in limits] * (2 if len(limits) == 2 else 1)
    if len(four) != 4 or not np.isfinite(four).all() or four[0] >= four[1] or four[2] >= four[3]:
        raise ParameterError(
            f"limits={tuple(limits)}: give (low, high) of both axes or (left, right, bottom, top), "
            "the lower number first"
        )
    return four[0], four[1], four[2], four[3]
