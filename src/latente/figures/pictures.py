"""Figures of samples: reconstructed, drawn from the code space, walked between, found odd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import latent
from ..errors import ParameterError
from ..metrics import mse, psnr
from ..parts import is_whole
from .items import Look, Values, look, spread, take
from .mosaic import Row, mosaic
from .noise import damaged
from .style import COLOURS, MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..estimator import Autoencoder

Shape = tuple[int, ...] | None
TAILS = 0.01


def reconstructions(
    model: Autoencoder,
    X: Any,
    n: int = 10,
    *,
    beside: Mapping[str, Any] | None = None,
    shape: Shape = None,
    random_state: int = 0,
) -> Figure:
    """Show originals over their reconstructions; with a corruption, the corrupted input between.

    ::

        x ──corrupt──▶ x̃ ──model──▶ x̂        three rows, the error against x beneath

    Parameters
    ----------
    model
        A fitted autoencoder.
    X
        Samples it has not been trained on, as for `transform`.
    n
        How many to show, spread evenly over X.
    beside
        Reconstructions of all of X by other means, by name, one row each.
    shape
        Draw rows as pictures of this shape.
    random_state
        Seed of the corruption.

    Returns
    -------
    Figure
        Beneath each picture its peak signal-to-noise ratio in decibels; beneath each row of a table
        its mean squared error, each column in standard deviations.
    """
    looks, shown = look(X, shape), spread(X, n)
    seen, mask = damaged(model, shown, random_state) if model.corruption_ else (None, None)
    rows = [Row(shown, "original", colour=MUTED)]
    if seen is not None:
        rows.append(_held(looks, shown, seen, "corrupted", MUTED))
    restored = model.reconstruct(shown if seen is None else seen, mask)
    name = "reconstructed" if seen is None else "restored"
    rows.append(_held(looks, shown, restored, name, COLOURS[0]))
    for i, (name, others) in enumerate((beside or {}).items()):
        rows.append(_held(looks, shown, spread(others, n), name, COLOURS[1 + i]))
    return mosaic(looks, rows)


def samples(
    model: Autoencoder, n: int = 64, *, shape: Shape = None, random_state: int = 0
) -> Figure:
    """Show samples drawn from the model: from the prior, or from a mixture fitted on the codes.

    Parameters
    ----------
    model
        A fitted autoencoder.
    n
        How many.
    shape
        Draw rows as pictures of this shape.
    random_state
        Seed of the draws.
    """
    _positive("n", n)
    drawn = model.sample(n, random_state=random_state)
    columns = int(np.ceil(np.sqrt(n)))
    rows = [Row(take(drawn, np.arange(i, min(i + columns, n)))) for i in range(0, n, columns)]
    return mosaic(look(drawn, shape, tails=TAILS), rows)


def decode_grid(
    model: Autoencoder, n: int = 20, *, X: Any = None, shape: Shape = None, span: float = 0.96
) -> Figure:
    """Decode a square grid of codes: a map of what the decoder makes of each place.

    A variational code is walked through the quantiles of its prior, so that equal areas are equally
    probable; any other over the range its codes have. Of a code with more than two numbers the two
    that vary most are walked and the others stay at their mean.

    Parameters
    ----------
    model
        A fitted autoencoder.
    n
        Steps along each side.
    X
        Samples whose codes tell the range; samples of the model itself if not given.
    shape
        Draw rows as pictures of this shape.
    span
        Share of the prior, or of the codes along each axis, that the grid covers.
    """
    _positive("n", n)
    grid = latent.grid(model, n, X=X, span=span)
    decoded = model.inverse_transform(grid)
    rows = [Row(take(decoded, np.arange(i, i + n))) for i in range(0, n * n, n)]
    varied = [i for i in range(grid.shape[1]) if np.ptp(grid[:, i]) > 0][:2]
    labels = [
        f"code {i + 1} from {grid[:, i].min():.2g} to {grid[:, i].max():.2g} →".replace("-", "−")
        for i in varied
    ]
    return mosaic(
        look(decoded, shape, tails=TAILS),
        rows,
        cell=min(0.78, 5.6 / n),
        gap=0.06,
        **dict(zip(("xlabel", "ylabel"), labels, strict=False)),
    )


def interpolation(
    model: Autoencoder,
    a: Any,
    b: Any,
    steps: int = 10,
    *,
    path: str = "linear",
    shape: Shape = None,
) -> Figure:
    """Walk from the code of one sample to that of another, decoding each step.

    Parameters
    ----------
    model
        A fitted autoencoder.
    a, b
        Where the walks start and end: as many samples of each, one walk a pair.
    steps
        Pictures in each walk, both ends' reconstructions included; at least 2.
    path
        "linear" or "spherical", as for `latent.interpolate`.
    shape
        Draw rows as pictures of this shape.

    Returns
    -------
    Figure
        One row a walk, the two originals at its ends.
    """
    if len(a) != len(b):
        raise ParameterError(
            f"interpolation: a has {len(a)} samples and b has {len(b)}; give as many of each"
        )
    looks = look(a, shape)
    walks = latent.interpolate(model.transform(a), model.transform(b), steps, path=path)
    rows = []
    for i, codes in enumerate(walks):
        walk = model.inverse_transform(codes)
        ends = [looks.numbers(take(X, np.array([i]))) for X in (a, b)]
        rows.append(Row(np.concatenate([ends[0], looks.numbers(walk), ends[1]])))
    captions = ["original", *(f"{share:.0%}" for share in np.linspace(0, 1, steps)), "original"]
    return mosaic(looks, [*rows[:-1], replace(rows[-1], captions=captions)])


def _held(looks: Look, originals: Any, others: Any, label: str, colour: str) -> Row:
    """Return a row with how far each sample is from its original beneath it."""
    if looks.picture:
        decibels = psnr(looks.numbers(originals), looks.numbers(others), looks.span)
        captions = ["exact" if np.isinf(value) else f"{value:.1f} dB" for value in decibels]
    else:
        captions = [f"{value:.2g}" for value in 36 * mse(*map(_filled(looks), (originals, others)))]
    return Row(others, label, captions, under=originals, colour=colour)


def _filled(looks: Look) -> Callable[[Any], Values]:
    """Return a function from rows to numbers in which what is missing lies at the mean."""
    return lambda X: np.nan_to_num(looks.scaled(X), nan=0.5)


def _positive(name: str, value: int) -> None:
    if not is_whole(value, 1):
        raise ParameterError(f"{name}={value!r}: {name} must be a whole number from 1")
