"""Architectures of document A: the error of networks of several sizes against their training time.

Row S1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import figures
from .descent import Descent, by_iteration
from .font_optimizers import spread
from .glyphs import GIVEN, wrong_pixels
from .language import _, mark
from .report import Recipe, Report, written

HIDDEN = ((), (5,), (10,), (20,), (20, 10), (25, 15, 5))
"""Hidden layers of the encoder; the decoder's are the same, backwards."""
TRAININGS = {
    "given": (mark("As the document trains: sigmoids, gradient descent at 0.1"), GIVEN, "sigmoid"),
    "adam": (
        mark("Hyperbolic tangents, Adam at 0.003"),
        {**GIVEN, "optimizer": "adam", "learning_rate": 0.003},
        "tanh",
    ),
}
"""What it is, keywords, and the activation behind hidden layers, for each way of training."""
SEEDS = 3
CLEAR = 1.2
"""How many times as long a network must take so that this is no matter of chance."""


@dataclass(frozen=True)
class Trained:
    """What came of one network, over the seeds."""

    parameters: int
    runs: list[Descent]
    wrong: list[int]

    @property
    def errors(self) -> list[float]:
        """The lowest error of each seed."""
        return [float(run.errors[-1]) for run in self.runs]

    @property
    def error(self) -> float:
        """Their mean."""
        return float(np.mean(self.errors))

    @property
    def seconds(self) -> float:
        """The shortest time, which other work on the machine lengthened least."""
        return float(min(run.seconds[-1] for run in self.runs))


def run(report: Report) -> None:
    """Train networks of several sizes, as the document trains, and better."""
    X = report.load("font").X[32:64]
    report.section("compared", _("What is compared"))
    report.text(
        _(
            "Networks that mirror encoder and decoder around a code of two numbers, {n} iterations "
            "over the document's 32 glyphs, {seeds} seeds each. The error is the squared error "
            "summed over the 35 pixels of a glyph, the lowest so far, averaged over the glyphs."
        ).format(n=f"{report.pick(10_000, 25):,}", seeds=report.pick(SEEDS, 2))
    )
    results = {}
    for key, (title, given, activation) in TRAININGS.items():
        results[key] = trained(report, X, key, given, activation)
        shown(report, key, _(title), results[key], X.size)
    claims(report, results, X.size)


def trained(
    report: Report, X: Any, key: str, given: dict[str, Any], activation: str
) -> dict[str, Trained]:
    """Train each network in one way; by its layers."""
    found = {}
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 2))
    for hidden in HIDDEN:
        inner = "sigmoid" if key == "given" else "identity"
        network = (
            f"dense(hidden={list(hidden)}, activation={activation!r}, code_activation={inner!r}, "
            "output_activation='sigmoid')"
        )
        layers = "-".join(map(str, [35, *hidden, 2, *reversed(hidden), 35]))
        models = [
            report.fit(
                f"{key}-{layers}-seed-{seed}", {**given, "network": network, "random_state": seed},
                X, data="font", quick={"epochs": 25},
            )
            for seed in seeds
        ]  # fmt: skip
        found[layers] = Trained(
            models[0].n_parameters_,
            [Descent.of_fit(model, X) for model in models],
            [wrong_pixels(model, X) for model in models],
        )
    return found


def ordered(results: dict[str, Trained]) -> Sequence[str]:
    """Return the layers, those of the lowest error first."""
    return sorted(results, key=lambda layers: results[layers].error)


def shown(report: Report, key: str, title: str, results: dict[str, Trained], pixels: int) -> None:
    """Draw the errors, and set them beside the seconds."""
    report.section(key, title)
    report.picture(
        figures.curves(
            {layers: by_iteration(result.runs) for layers, result in results.items()},
            xlabel=_("iterations"), ylabel=_("squared error a glyph"), log="xy",
        ),
        _("Error by iteration, one line a network."),
        _("The mean of the seeds, shaded from least to most."),
    )  # fmt: skip
    report.picture(
        figures.bars(
            {layers: results[layers].errors for layers in ordered(results)},
            ylabel=_("squared error a glyph"),
        ),
        _("The lowest error of each network, sorted."),
        _("Sorted by error: the mean, its standard deviation, and each seed as a dot."),
    )  # fmt: skip
    head = (
        _("layers"), _("parameters"), _("error"),
        _("wrong pixels of {of}").format(of=f"{pixels:,}"), _("seconds"),
    )  # fmt: skip
    rows = [
        (
            layers, results[layers].parameters,
            spread(results[layers].errors),
            spread(results[layers].wrong), results[layers].seconds,
        )
        for layers in ordered(results)
    ]  # fmt: skip
    report.table(_("Sorted by error; the seconds of the fastest of the seeds"), head, rows)
    report.figures[f"error, {key}"] = {layers: result.error for layers, result in results.items()}


def claims(report: Report, results: dict[str, dict[str, Trained]], pixels: int) -> None:
    """Set what the document says beside what came out."""
    given = results["given"]
    best, quickest = ordered(given)[0], min(given, key=lambda layers: given[layers].seconds)
    ratio = given[best].seconds / given[quickest].seconds
    report.claim(
        "S1",
        "A",
        _("the smallest error has its price in training time (10,000 iterations at 0.1)"),
        _(
            "{best} has the lowest error, {low} in {long} seconds; {quickest} is the fastest, "
            "{high} in {short} seconds"
        ).format(
            best=best, low=written(given[best].error), long=written(given[best].seconds),
            quickest=quickest, high=written(given[quickest].error),
            short=written(given[quickest].seconds),
        ),
        "confirmed" if ratio > CLEAR else "refuted",
    )  # fmt: skip
    adam = results["adam"]
    better = ordered(adam)[0]
    report.claim(
        "S1",
        "A",
        _("an architecture with the smallest error"),
        _("{layers}, tangents and Adam: error {low}, at best {wrong} of {of} pixels wrong").format(
            layers=better, low=written(adam[better].error), wrong=min(adam[better].wrong),
            of=f"{pixels:,}",
        ),
        "surpassed" if adam[better].error < given[best].error else "not reached",
    )  # fmt: skip


RECIPE = Recipe(
    name="font-architectures",
    title=mark("Architectures on the font"),
    summary=mark(
        "Which sizes of layers give the smallest error on the font, and what do they cost in "
        "training time?"
    ),
    rows=("S1",),
    minutes=8,
    run=run,
)
