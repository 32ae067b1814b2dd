"""Progress in a notebook: a bar, and the curve of the loss, as HTML that is updated in place."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

Record = dict[str, float]
Points = list[tuple[float, float]]

INTERVAL = 0.25
"""Seconds between two updates: each is a message to the browser."""
WIDTH, HEIGHT, MARGIN = 480, 170, 46
"""Of the curve, in pixels; the margin is that of the numbers at its left."""
CURVES = {"total": ("training", "#3f90da"), "validation_total": ("validation", "#e76300")}
MOST_POINTS = 240
"""Epochs that a curve is drawn through."""


def in_notebook() -> bool:
    """Whether this is a notebook's kernel, which shows HTML."""
    module = sys.modules.get("IPython")  # where it is not imported, there is no kernel
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookView:
    """A bar below the cell, which stays there with the last losses.

    Parameters
    ----------
    epochs, done
        As for `Progress`.
    curve
        Whether to draw the loss over the epochs below it.
    """

    def __init__(self, epochs: int, done: int, *, curve: bool) -> None:
        self.epochs, self.begun_at, self.curve = epochs, done, curve
        self.done = float(done)
        self.line = ""
        self.records: list[Record] = []
        self._begun = self._shown = time.monotonic()
        self._handle: Any = None

    def start(self) -> None:
        shown = import_module("IPython.display")
        self._begun = time.monotonic()
        self._handle = shown.display(shown.HTML(self.page()), display_id=True)

    def step(self, epochs_done: float) -> None:
        self.done = epochs_done
        if time.monotonic() - self._shown >= INTERVAL:
            self.show()

    def epoch(self, record: Record, line: str) -> None:
        self.done, self.line = record["epoch"], line
        self.records.append(record)
        if time.monotonic() - self._shown >= INTERVAL:
            self.show()

    def stop(self) -> None:
        self.show(last=True)

    def show(self, *, last: bool = False) -> None:
        """Bring what the cell shows up to date."""
        self._shown = time.monotonic()
        if self._handle is not None:
            self._handle.update(import_module("IPython.display").HTML(self.page(last=last)))

    def page(self, *, last: bool = False) -> str:
        """Return what the cell shows, as HTML."""
        spent = time.monotonic() - self._begun
        moved = self.done - self.begun_at
        if last:
            when = f"{clock(spent)}"
        else:
            when = f"{clock(spent / moved * (self.epochs - self.done))} left" if moved > 0 else ""
        text = "  ".join(part for part in (when, self.line) if part)
        bar = (
            f'<progress value="{self.done:.3f}" max="{max(self.epochs, 1)}" '
            'style="width:12em;vertical-align:middle"></progress>'
        )
        row = (
            '<div style="font-family:monospace;white-space:pre-wrap">'
            f"epoch {math.floor(self.done)}/{self.epochs} {bar} {html.escape(text)}</div>"
        )
        return row + (loss_curve(self.records) if self.curve else "")


def clock(seconds: float) -> str:
    """Return a time as a person reads it: ``"0:07"``, ``"1:02:03"``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def loss_curve(records: Sequence[Record]) -> str:
    """Return the loss over the epochs as an SVG; nothing before the second epoch.

    The scale is logarithmic where the losses are above 0 and span more than a factor of ten.

    Parameters
    ----------
    records
        The epochs so far.
    """
    every = max(1, math.ceil(len(records) / MOST_POINTS))
    kept = [record for i, record in enumerate(records) if (len(records) - 1 - i) % every == 0]
    found = {
        name: [(r["epoch"], r[name]) for r in kept if math.isfinite(r.get(name, math.nan))]
        for name in CURVES
    }
    drawn = {name: points for name, points in found.items() if len(points) > 1}
    if not drawn:
        return ""
    losses = [loss for points in drawn.values() for _, loss in points]
    low, high = min(losses), max(losses)
    logarithmic = low > 0 and high > 10 * low
    first, last = kept[0]["epoch"], kept[-1]["epoch"]

    def place(epoch: float, loss: float) -> str:
        a, b, c = (math.log(v) if logarithmic else v for v in (low, high, loss))
        across = MARGIN + (WIDTH - MARGIN - 8) * (epoch - first) / ((last - first) or 1)
        return f"{across:.1f},{8 + (HEIGHT - 32) * (b - c) / ((b - a) or 1):.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{CURVES[name][1]}" stroke-width="1.5" '
        f'points="{" ".join(place(*point) for point in points)}"/>'
        for name, points in drawn.items()
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="currentColor" role="img" '
        f'aria-label="loss over the epochs">{labels(low, high, first, last, list(drawn))}'
        f"{lines}</svg>"
    )


def labels(low: float, high: float, first: float, last: float, names: Sequence[str]) -> str:
    """Return the numbers at the axes of a curve and its legend, as SVG."""
    bottom, right, middle = HEIGHT - 24, WIDTH - 8, (MARGIN + WIDTH) / 2
    texts: list[tuple[float, float, str, str, str]] = [
        (MARGIN - 6, 12, "end", "", f"{high:.3g}"),
        (MARGIN - 6, bottom + 3, "end", "", f"{low:.3g}"),
        (MARGIN, HEIGHT - 6, "start", "", f"epoch {first:.0f}"),
        (right, HEIGHT - 6, "end", "", f"{last:.0f}"),
    ]
    for i, name in enumerate(names):
        title, colour = CURVES[name]
        texts.append((middle + 90 * (i - 0.5), HEIGHT - 6, "middle", f' fill="{colour}"', title))
    written = "".join(
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{fill}>{text}</text>'
        for x, y, anchor, fill, text in texts
    )
    axes = f'<path d="M{MARGIN},8V{bottom}H{right}" fill="none" stroke="#99a" stroke-width="0.6"/>'
    return axes + written
