"""The result as a table for the terminal and as a Markdown page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from duels import Duel, Extent, mean_bce
from machine import load

from latente.training.hardware import processor

PEAK = 900.0  # MB that a fit on MNIST may take
DRIFT = 0.02  # share by which the loss may differ from float32's
WORSE = 0.05  # share by which the loss may lie above the peer's
NAMES = {"keras": "Keras", "tutorial": "tutorial loop", "pythae": "pythae"}

Cells = list[list[str]]


def speeds(duels: Sequence[Duel]) -> Cells:
    """Return the table of rates."""
    head = [
        "model",
        "batch",
        "against",
        "ours/s",
        "theirs/s",
        "ratio",
        "span",
        "effort",
        "at least",
        "met",
    ]
    lines = []
    for duel in duels:
        ratios = duel.ratios
        lines.append(
            [
                duel.row.title,
                str(duel.row.batch),
                NAMES[duel.peer],
                f"{statistics.median(duel.rates(duel.ours)):,.0f}",
                f"{statistics.median(duel.rates(duel.theirs)):,.0f}",
                f"{statistics.median(ratios):.2f} ×",
                f"{min(ratios):.2f}–{max(ratios):.2f}",
                f"{duel.effort:.2f} ×",
                f"{duel.least:g} ×" if duel.least else "–",
                verdict(duel.met),
            ]
        )
    return [head, *lines]


def losses(duels: Sequence[Duel]) -> Cells:
    """Return the table of held-out errors."""
    head = ["model", "against", "precision", "ours", "ours in float32", "theirs", "met"]
    lines = []
    for duel in duels:
        met = abs(duel.drift) <= DRIFT and duel.worse <= WORSE
        lines.append(
            [
                duel.row.title,
                NAMES[duel.peer],
                duel.ours[0].precision,
                f"{mean_bce(duel.ours):.4f}",
                f"{mean_bce(duel.float32):.4f} ({duel.drift:+.1%})",
                f"{mean_bce(duel.theirs):.4f} ({duel.worse:+.1%})",
                verdict(met),
            ]
        )
    return [head, *lines]


def memory(duels: Sequence[Duel]) -> Cells:
    """Return the table of peak memory: the first fit of a fresh process."""
    lines = {
        duel.row.title: [
            duel.row.title,
            f"{duel.ours[0].peak:.0f} MB",
            f"{PEAK:.0f} MB",
            verdict(duel.ours[0].peak < PEAK),
        ]
        for duel in duels
    }
    return [["model", "peak of fit", "under", "met"], *lines.values()]


def epochs(duels: Sequence[Duel]) -> Cells:
    """Return the table of seconds an epoch, for the rows in which they are promised."""
    lines = {}
    for duel in duels:
        if duel.row.epoch_cuda is not None:
            seconds = duel.images / statistics.median(duel.rates(duel.ours))
            met = verdict(seconds < duel.row.epoch_cuda)
            under = f"{duel.row.epoch_cuda:g} s"
            lines[duel.row.title] = [duel.row.title, f"{seconds:.3f} s", under, met]
    return [["model", "an epoch", "under", "met"], *lines.values()]


def verdict(met: bool | None) -> str:
    """Return "yes", "no", or a dash where nothing was promised."""
    return "–" if met is None else "yes" if met else "no"


def sections(duels: Sequence[Duel], extent: Extent) -> dict[str, Cells]:
    """Return the tables by title."""
    found = {
        "Samples per second": speeds(duels),
        "Held-out loss after the same number of updates": losses(duels),
    }
    if extent.device == "cuda":
        found["Seconds an epoch"] = epochs(duels)
    else:
        found["Memory"] = memory(duels)
    return found


def machine(duels: Sequence[Duel]) -> list[str]:
    """Return what was measured on, and with what."""
    outcomes = [turn for duel in duels for turn in (duel.ours[0], duel.theirs[0])]
    versions = sorted({f"{k} {v}" for turn in outcomes for k, v in turn.versions.items()})
    cards = sorted({turn.hardware for turn in outcomes if turn.hardware})
    threads = sorted({str(turn.threads) for turn in outcomes})
    return [
        f"Processor: {processor()}",
        *(f"Card: {card}" for card in cards),
        f"Versions: {', '.join(versions)}",
        f"Threads: {' and '.join(threads)}; load average at the end: {load()}",
    ]


def method(duels: Sequence[Duel], extent: Extent) -> str:
    """Say how the numbers came about."""
    counts = sorted({str(len(duel.ours)) for duel in duels})
    measured = sorted({str(len(duel.ours[0].seconds) - duel.warm) for duel in duels})
    return (
        f"MNIST, {extent.images:,} training images; {' or '.join(counts)} turns, ours and the peer "
        f"one after the other, a fresh model each turn; in each turn {' or '.join(measured)} "
        f"epochs after {extent.warm} of warm-up, shuffling and all else that an epoch costs "
        "included. Rates and ratios are medians over the turns, the span is from the least to the "
        "greatest ratio; effort is the ratio of processor time, which other work on the machine "
        "disturbs less. "
        f"Losses are means over the turns (float32: over the first {turns(duels)}) "
        "of the binary cross-entropy per pixel, in nats, on the 10,000 test images, by one "
        f"function for all; they must be within {DRIFT:.0%} of float32's and no more than "
        f"{WORSE:.0%} above the peer's."
    )


def turns(duels: Sequence[Duel]) -> int:
    """Return over how many turns the float32 loss was taken."""
    return min(len(duel.float32) for duel in duels)


def table(duels: Sequence[Duel], extent: Extent) -> str:
    """Return everything as plain text."""
    parts = [*machine(duels), "", method(duels, extent)]
    for title, cells in sections(duels, extent).items():
        widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
        parts += ["", title]
        for line in cells:
            padded = zip(line, widths, strict=True)
            parts.append("  ".join(cell.ljust(width) for cell, width in padded).rstrip())
    return "\n".join(parts)


def markdown(duels: Sequence[Duel], extent: Extent) -> str:
    """Return everything as a Markdown page."""
    parts = ["# Speed", "", "Written by `python benchmarks/training.py --output`.", ""]
    parts += [f"- {line}" for line in machine(duels)]
    parts += ["", method(duels, extent)]
    for title, (head, *lines) in sections(duels, extent).items():
        rows = [head, ["---"] * len(head), *lines]
        parts += ["", f"## {title}", "", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(parts) + "\n"
