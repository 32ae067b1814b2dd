"""Figures of samples: reconstructed, decoded, interpolated, most anomalous, and found by a search.

Each is rows of samples, drawn by `mosaic`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import latent
from ..corruptions.base import corrupt
from ..errors import DataError, ParameterError
from ..metrics import mse, psnr
from ..parts import is_whole
from .density import Density
from .maps import codes as latent_codes
from .mosaic import (
    LABEL,
    Rendering,
    Row,
    Shape,
    Values,
    extent,
    is_frame,
    mosaic,
    spread,
    take,
    tile,
)
from .style import SMALL, canvas, dress, now, panel, short

if TYPE_CHECKING:
    from ..estimator import Autoencoder

SEEN = 0.95
"""Share of the codes that the region holds outside of which a grid is pale."""
DRAWN = 2000
"""Codes drawn from a prior to see where it is dense."""
SIDE = 44
"""Quantiles along each axis that stand for a prior whose numbers are independent."""
TAILS = 0.01
"""Share of decoded pixels at either end that are drawn as black or white."""
WIDEST = 11.0
"""Width of a mosaic of many samples in inches."""
CELL, CHART = 0.78, 1.0
"""Width of a sample, and height of the histogram, in the figure of anomalies, in inches."""


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
    rendering, shown = Rendering.learn(X, shape), spread(X, n)
    rows = [Row(shown, "original", colour=now().muted)]
    if model.corruption_:
        seen, mask = corrupted(model, shown, random_state)
        rows.append(_compared(rendering, shown, seen, "corrupted", now().muted))
        restored = model.reconstruct(seen, mask)
        rows.append(_compared(rendering, shown, restored, "restored", now().colours[0]))
    else:
        restored = model.reconstruct(shown)
        rows.append(_compared(rendering, shown, restored, "reconstructed", now().colours[0]))
    for i, (name, others) in enumerate((beside or {}).items()):
        rows.append(
            _compared(rendering, shown, spread(others, n), name, now().colours[(1 + i) % 10])
        )
    return mosaic(rendering, rows)


def rows(
    samples: Mapping[str, Any],
    *,
    captions: Mapping[str, Sequence[str]] | None = None,
    shape: Shape = None,
) -> Figure:
    """Draw rows of samples, one below the other, such as originals over several results.

    Parameters
    ----------
    samples
        Samples of one kind by what they are, which is written at the left of their row.
    captions
        What is written beneath each sample of a row, by the row's name.
    shape
        Draw rows of numbers as pictures of this shape.

    Raises
    ------
    DataError
        If there are no samples.
    """
    first = next(iter(samples.values()), ())
    if len(first) == 0:
        raise DataError("there are no samples to be drawn")
    rendering = Rendering.learn(first, shape)
    said = captions or {}
    return mosaic(
        rendering,
        [Row(items, name, captions=said.get(name, ())) for name, items in samples.items()],
    )


def corrupted(model: Autoencoder, X: Any, random_state: int = 0) -> tuple[Any, Any]:
    """Return samples as the model's own corruption leaves them, and the mask of what is missing.

    Parameters
    ----------
    model
        A fitted autoencoder; without a corruption, X comes back as it was.
    X
        Samples as for `transform`.
    random_state
        Seed of the corruption.

    Returns
    -------
    samples, mask
        The samples in X's shape, scale and dtype; pictures that lost their colours have equal
        channels. The mask, (n, h, w), is True where a pixel is missing; None where the model is
        given no mask.
    """
    x = model.fitted_.input.convert(model.fitted_.input.store(X, "X"))
    generator = torch.Generator().manual_seed(random_state)
    seen = corrupt(x, model.corruption_, generator, model.fitted_.input.bounds)
    mask = None
    if seen.shape[1] not in (1, x.shape[1]):  # the last channel is the mask
        mask, seen = seen[:, -1].numpy() > 0, seen[:, :-1]
    return model.fitted_.input.restore(seen.expand(x.shape).numpy()), mask


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
    rendering = Rendering.learn(drawn, shape, tails=TAILS)
    return mosaic(rendering, rows, cell=min(CELL, WIDEST / columns))


def sheet(
    rows: Mapping[str, Any],
    captions: Sequence[str] = (),
    *,
    columns: int | None = None,
    shape: Shape = None,
) -> Figure:
    """Show samples of several kinds one above the other: originals, and what was made of each.

    Parameters
    ----------
    rows
        As many samples of each kind by its name, originals first; they give the colours. A single
        kind without a name is one of decoded samples.
    captions
        One a sample, written beneath.
    columns
        How many lie side by side; by default they fill a square, or a line of ten.
    shape
        Draw rows of numbers as pictures of this shape.

    Raises
    ------
    DataError
        If there are no samples, or not as many of each kind.
    """
    lengths = {len(items) for items in rows.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise DataError(f"a sheet needs as many samples of each kind, not {sorted(lengths)}")
    (n,), first = lengths, next(iter(rows.values()))
    side = columns or (int(np.ceil(np.sqrt(n))) if len(rows) == 1 else min(n, 10))
    drawn = []
    for start in range(0, n, side):
        part = np.arange(start, min(start + side, n))
        drawn += [Row(take(items, part), name) for name, items in rows.items()]
        drawn[-1] = replace(drawn[-1], captions=captions[start : start + side])
    rendering = Rendering.learn(first, shape, tails=TAILS if "" in rows else 0.0)
    return mosaic(rendering, drawn, cell=min(CELL, WIDEST / side))


def decode_grid(
    model: Autoencoder,
    n: int = 20,
    *,
    X: Any = None,
    dims: tuple[int, int] | None = None,
    limits: Sequence[float] | None = None,
    shape: Shape = None,
    span: float = 0.96,
) -> Figure:
    """Decode a square grid of codes: what the decoder makes of each point of the code space.

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
        Samples whose codes give the range, and are looked for on the grid; without, samples of the
        model itself give the range, and the codes of training samples that the model keeps, or
        codes drawn from its prior, are looked for.
    dims
        Which two numbers of the code are walked, to the right and upward, counted from 0.
    limits
        From where to where, in even steps: (low, high) of both numbers, or (left, right, bottom,
        top).
    shape
        Draw rows as pictures of this shape.
    span
        Share of the prior, or of the codes along each axis, that the grid covers without limits.

    Returns
    -------
    Figure
        Pale is what lies outside of the densest region, in these two numbers, that holds 95 % of
        the codes: holes, where the decoder never saw a code. The note says how much lies inside.
    """
    _positive("n", n)
    grid = latent.grid(model, n, X=X, span=span, dims=dims, limits=limits)
    decoded = model.inverse_transform(grid)
    varied = [i for i in range(grid.shape[1]) if np.ptp(grid[:, i]) > 0][:2]
    if dims is not None and n > 1:
        varied = list(dims)
    walked = varied or [0]
    known, whose = _known_codes(model, X, walked)
    density = Density.learn(known)
    inside = density(grid[:, walked].astype(np.float64)) >= density.level(SEEN)
    rows = [
        Row(take(decoded, np.arange(i, i + n)), pale=~inside[i : i + n]) for i in range(0, n * n, n)
    ]
    labels = [
        f"code {i + 1} from {grid[:, i].min():.2g} to {grid[:, i].max():.2g} →".replace("-", "−")
        for i in varied
    ]
    return mosaic(
        Rendering.learn(decoded, shape, tails=TAILS),
        rows,
        cell=min(0.78, 5.6 / n),
        gap=0.06,
        note=f"{inside.mean():.0%} of the grid lies where {SEEN:.0%} of {whose} are; "
        + ("the rest is pale" if not inside.all() else "there are no holes"),
        **dict(zip(("xlabel", "ylabel"), labels, strict=False)),
    )


def _known_codes(model: Autoencoder, X: Any, walked: list[int]) -> tuple[Values, str]:
    """Return two numbers of codes that show where codes lie, (m, 2), and whose codes they are."""
    if X is not None:
        return latent_codes(model, X)[:, walked], "the codes of the data"
    kept = np.asarray(model.fitted_.codes, dtype=np.float64)
    if len(kept) > 4 and kept[0].size == model.latent_dim_:
        return kept.reshape(len(kept), -1)[:, walked], "the training codes"
    steps = model.fitted_.model.bottleneck.quantiles((np.arange(SIDE) + 0.5) / SIDE)
    if steps is not None:
        lattice = np.meshgrid(*[steps] * len(walked))
        return np.stack(lattice, axis=-1).reshape(-1, len(walked)), "the prior's codes"
    generator = torch.Generator(model.fitted_.device).manual_seed(0)
    with torch.no_grad():
        drawn = model.fitted_.model.sample(DRAWN, generator, model.fitted_.codes).flatten(1)
    return drawn.double().cpu().numpy()[:, walked], "the prior's codes"


def interpolation(
    model: Autoencoder,
    a: Any,
    b: Any,
    steps: int = 10,
    *,
    path: str = "linear",
    shape: Shape = None,
) -> Figure:
    """Decode the codes on the way from one sample's code to another's.

    Parameters
    ----------
    model
        A fitted autoencoder.
    a, b
        Where the paths start and end: as many samples of each, one path a pair.
    steps
        Pictures in each path, both ends' reconstructions included; at least 2.
    path
        "linear" or "spherical", as for `latent.interpolate`.
    shape
        Draw rows as pictures of this shape.

    Returns
    -------
    Figure
        One row a path, the two originals at its ends.
    """
    if len(a) != len(b):
        raise ParameterError(
            f"interpolation: a has {len(a)} samples and b has {len(b)}; give as many of each"
        )
    rendering = Rendering.learn(a, shape)
    paths = latent.interpolate(model.transform(a), model.transform(b), steps, path=path)
    rows = []
    for i, codes in enumerate(paths):
        decoded = model.inverse_transform(codes)
        ends = [rendering.numbers(take(X, np.array([i]))) for X in (a, b)]
        rows.append(Row(np.concatenate([ends[0], rendering.numbers(decoded), ends[1]])))
    captions = ["original", *(f"{share:.0%}" for share in np.linspace(0, 1, steps)), "original"]
    return mosaic(rendering, [*rows[:-1], replace(rows[-1], captions=captions)])


def anomalies(model: Autoencoder, X: Any, n: int = 10, *, shape: Shape = None) -> Figure:
    """Show the samples the model finds most anomalous, their reconstructions and all scores.

    Parameters
    ----------
    model
        A fitted autoencoder.
    X
        Samples it has not been trained on, as for `score_samples`.
    n
        How many to show, the most anomalous first.
    shape
        Draw rows as pictures of this shape.

    Returns
    -------
    Figure
        Beneath each sample its score; a low score is anomalous. Below, the distribution of the
        scores of all of X, the samples shown being marked.
    """
    scores = np.asarray(model.score_samples(X), dtype=np.float64)
    worst = np.argsort(scores, kind="stable")[:n]
    shown = take(X, worst)
    rendering = Rendering.learn(X, shape)
    rows = [
        Row(shown, "most\nanomalous", colour=now().muted),
        Row(
            model.reconstruct(shown),
            "reconstructed",
            [short(score) for score in scores[worst]],
            under=shown,
        ),
    ]
    width, height = extent(rendering, rows, 0.1)
    figure = canvas(LABEL + width * CELL + 0.1, height * CELL + CHART + 0.75)
    axes = panel(figure, LABEL, CHART + 0.67, width * CELL, height * CELL)
    tile(axes, rendering, rows)
    _histogram(panel(figure, LABEL, 0.45, width * CELL, CHART), scores, worst)
    return figure


def contact_sheet(
    queries: Any,
    found: Any,
    distances: Any,
    *,
    names: Sequence[str] = (),
    note: str = "",
    shape: Shape = None,
) -> Figure:
    """Show each query of a search and, beside it, its results.

    Parameters
    ----------
    queries
        Samples, (m, ...).
    found
        The results, nearest first: (m, k, ...), like the queries.
    distances
        Of each result from its query, (m, k); written beneath.
    names
        What each query is called, written beneath it.
    note
        What else is to be known, written at the foot.
    shape
        Draw rows of numbers as pictures of this shape.

    Raises
    ------
    DataError
        If the samples are a data frame: a sheet shows pictures or rows of numbers.
    """
    if is_frame(queries):
        raise DataError("a contact sheet shows pictures or rows of numbers, not a data frame")
    queries, found, distances = (np.asarray(values) for values in (queries, found, distances))
    called = [*names, *["query"] * (len(queries) - len(names))]
    rendering = Rendering.learn(
        np.concatenate([queries, found.reshape(-1, *queries.shape[1:])]), shape
    )
    rows = [
        Row(
            np.concatenate([query[None], hits]),
            captions=[name, *(short(float(distance)) for distance in apart)],
        )
        for query, hits, apart, name in zip(queries, found, distances, called, strict=True)
    ]
    return mosaic(rendering, rows, note=note)


def _compared(rendering: Rendering, originals: Any, others: Any, label: str, colour: str) -> Row:
    """Return a row with the error of each sample against its original beneath it."""
    if rendering.picture:
        decibels = psnr(rendering.numbers(originals), rendering.numbers(others), rendering.span)
        captions = ["exact" if np.isinf(value) else f"{value:.1f} dB" for value in decibels]
    else:
        captions = [
            f"{value:.2g}" for value in 36 * mse(*map(_filled(rendering), (originals, others)))
        ]
    return Row(others, label, captions, under=originals, colour=colour)


def _filled(rendering: Rendering) -> Callable[[Any], Values]:
    """Return a function from rows to numbers in which what is missing lies at the mean."""
    return lambda X: np.nan_to_num(rendering.scaled(X), nan=0.5)


def _positive(name: str, value: int) -> None:
    if not is_whole(value, 1):
        raise ParameterError(f"{name}={value!r}: {name} must be a whole number from 1")


def _histogram(axes: Axes, scores: Values, worst: Any) -> None:
    """Draw the distribution of the scores, those of the samples shown marked."""
    dress(axes, "score (lower is more anomalous)", "samples")
    axes.grid(visible=False, axis="x")
    counts, edges = np.histogram(scores, bins=min(60, max(10, len(scores) // 6)))
    above, _ = np.histogram(scores[worst], bins=edges)
    width = np.diff(edges) * 0.88
    axes.bar(edges[:-1], counts, width, align="edge", color=now().colours[0])
    axes.bar(edges[:-1], above, width, align="edge", color=now().colours[1], label="shown above")
    axes.legend(
        frameon=False, fontsize=SMALL, labelcolor=now().muted, loc="upper left", handlelength=1
    )
