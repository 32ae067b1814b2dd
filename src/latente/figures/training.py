"""Loss curves: each term of the loss, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from ..errors import DataError
from .style import SMALL, canvas, dress, heading, now, panel

if TYPE_CHECKING:
    from ..estimator import Autoencoder

NOT_LOSSES = ("epoch", "per_pixel", "learning_rate", "seconds", "samples_per_second")
TITLES = {"kl": "KL divergence"}
WIDTH, HEIGHT = 3.1, 2.2


def history(model: Autoencoder) -> Figure:
    """Plot each term of the loss over the epochs, for the training and the validation part.

    Parameters
    ----------
    model
        A fitted autoencoder.

    Returns
    -------
    Figure
        One panel a term; the epoch with the lowest total is marked. An axis that spans more than
        a factor of ten is logarithmic.

    Raises
    ------
    DataError
        If the model has been trained for no epoch.
    """
    records = model.history_
    if not records:
        raise DataError("there is no history to draw: the model was trained for 0 epochs")
    names = terms(records[0])
    best = best_epoch(records)
    figure = canvas(0.65 + len(names) * (WIDTH + 0.65), HEIGHT + 1.1)
    for i, name in enumerate(names):
        axes = panel(figure, 0.65 + i * (WIDTH + 0.65), 0.5, WIDTH, HEIGHT)
        dress(axes, "epoch")
        heading(axes, TITLES.get(name, name.replace("_", " ")))
        _term(axes, records, name, best)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="upper left", bbox_to_anchor=(0.5 / figure.get_figwidth(), 1.0), ncols=3,
        frameon=False, fontsize=SMALL, labelcolor=now().muted, handlelength=1.4,
    )  # fmt: skip
    return figure


def terms(record: dict[str, float]) -> list[str]:
    """Return the loss terms of a record; the total only where it is a sum of several."""
    names = [
        name for name in record if name not in NOT_LOSSES and not name.startswith("validation_")
    ]
    return names if len(names) > 2 else [name for name in names if name != "total"] or names


def best_epoch(records: list[dict[str, float]]) -> int:
    """Return the number of the epoch with the lowest validation total, or total without one."""
    name = "validation_total" if "validation_total" in records[0] else "total"
    totals = [record[name] for record in records]
    return int(records[int(np.nanargmin(totals))]["epoch"])


def _term(axes: Axes, records: list[dict[str, float]], name: str, best: int) -> None:
    """Draw one term's curves and mark the best epoch on the last of them."""
    epochs = [record["epoch"] for record in records]
    values = np.empty(0)
    drawn: list[float] = []
    for label, key, colour in (
        ("training", name, now().colours[0]),
        ("validation", f"validation_{name}", now().colours[1]),
    ):
        if key in records[0]:
            values = np.array([record.get(key, np.nan) for record in records], dtype=float)
            marker = "o" if len(epochs) < 4 else ""
            axes.plot(epochs, values, color=colour, label=label, marker=marker, markersize=4)
            drawn += values[np.isfinite(values)].tolist()
    if name in ("total", "reconstruction") and min(drawn) > 0 and max(drawn) > 10 * min(drawn):
        _logarithmic(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.axvline(best, color=now().muted, linewidth=0.8, linestyle=(0, (2, 3)))
    label = f"best epoch: {best}"
    axes.plot(best, values[epochs.index(best)], "o", color=now().ink, markersize=4, label=label)


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
