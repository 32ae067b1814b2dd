"""The figure of what does not belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .items import Values, look, take
from .mosaic import LABEL, Row, extent, tile
from .style import COLOURS, MUTED, SMALL, canvas, dress, panel
from .words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..estimator import Autoencoder

CELL = 0.78
CHART = 1.0


def anomalies(
    model: Autoencoder, X: Any, n: int = 10, *, shape: tuple[int, ...] | None = None
) -> Figure:
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
        Beneath each sample its score; a low score is anomalous. Below, how the scores of all of X
        are spread, the samples shown being marked.
    """
    scores = np.asarray(model.score_samples(X), dtype=np.float64)
    worst = np.argsort(scores, kind="stable")[:n]
    shown = take(X, worst)
    looks = look(X, shape)
    rows = [
        Row(shown, "most\nanomalous", colour=MUTED),
        Row(
            model.reconstruct(shown),
            "reconstructed",
            [short(score) for score in scores[worst]],
            under=shown,
        ),
    ]
    width, height = extent(looks, rows, 0.1)
    figure = canvas(LABEL + width * CELL + 0.1, height * CELL + CHART + 0.75)
    axes = panel(figure, LABEL, CHART + 0.67, width * CELL, height * CELL)
    tile(axes, looks, rows)
    _spread(panel(figure, LABEL, 0.45, width * CELL, CHART), scores, worst)
    return figure


def _spread(axes: Axes, scores: Values, worst: Any) -> None:
    """Draw how many samples have which score."""
    dress(axes, "score (lower is more anomalous)", "samples")
    axes.grid(visible=False, axis="x")
    counts, edges = np.histogram(scores, bins=min(60, max(10, len(scores) // 6)))
    above, _ = np.histogram(scores[worst], bins=edges)
    width = np.diff(edges) * 0.88
    axes.bar(edges[:-1], counts, width, align="edge", color=COLOURS[0])
    axes.bar(edges[:-1], above, width, align="edge", color=COLOURS[1], label="shown above")
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=MUTED, loc="upper left", handlelength=1)
