"""The grid search of document E: 90 settings of a convolutional autoencoder. Row S5."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import figures
from ..estimator import Autoencoder
from ..study.results import ITERATIONS, PARALLEL, SECONDS, Outcome
from ..study.study import Study
from ..training.hardware import cores
from .language import _, mark
from .report import Recipe, Report

MODEL: dict[str, Any] = {
    "latent_dim": 64,
    "network": "conv(channels=[16, 32], code_activation='relu')",
    "loss": "squared(reduction='mean')",
    "schedule": "constant",
}
"""The document's network, without pooling, and its loss: the mean over the pixels."""
SHARED: dict[str, list[Any]] = {
    "epochs": [8, 16],
    "batch_size": [128, 256, 1000],
    "learning_rate": [0.1, 0.01, 0.001],
}
SPACE: list[dict[str, list[Any]]] = [
    {"optimizer": ["adam"], **SHARED},
    {"optimizer": ["sgd"], "optimizer__momentum": [0.2, 0.4, 0.6, 0.8], **SHARED},
]
QUICK: dict[str, list[Any]] = {"epochs": [1, 2], "batch_size": [100], "learning_rate": [0.1, 0.001]}
BEST = {"optimizer": "adam", "epochs": 16, "batch_size": 1000, "learning_rate": 0.001}
"""What the document found best."""
HELD_OUT = 10_000
"""Training pictures that settings are scored on."""
REPEATED, SEEDS = 3, 3
"""The best so many settings are trained again, with so many seeds."""
SHOWN = 12


def run(report: Report) -> None:
    """Train all settings, the best again with several seeds, and measure them on test pictures."""
    data = report.load("mnist")
    X, held_out = np.split(np.asarray(data.X), [len(data.X) - report.pick(HELD_OUT, 300)])
    X, held_out = X[: report.pick(None, 300)], held_out[: report.pick(None, 100)]
    space = [{**part, **QUICK} for part in SPACE[:1]] if report.quick else SPACE
    study = trained(report, "grid", space, 1, X, held_out)
    sizes = len(X), len(held_out)
    rows = [row for row in study.rows if row.state == "complete"]
    failed = len(study.rows) - len(rows)
    table(report, rows, failed, sizes)
    report.section("curves", _("How they learn"))
    report.picture(
        study.plot(ITERATIONS, 8),
        _("Held-out error against epochs, one line for each of the best settings."),
        _("Held-out error against epochs, the eight best settings."),
    )
    report.picture(
        study.plot(SECONDS, 8),
        _("Held-out error against seconds, one line for each of the best settings."),
        _("The same against seconds: large batches take fewer steps."),
    )
    report.picture(
        study.plot(PARALLEL),
        _("All settings as lines through their parameters, coloured by the error."),
        _("All settings: what the good ones have in common."),
    )
    by_rate(report, rows)
    again(report, rows, X, held_out, data.X_test)


def trained(
    report: Report, name: str, space: list[dict[str, list[Any]]], seeds: int, X: Any, held_out: Any
) -> Study:
    """Return a study of the space, kept with the recipe's models."""
    report.folder.mkdir(parents=True, exist_ok=True)
    path = report.folder / f"{name}.journal"
    if report.fresh:
        path.unlink(missing_ok=True)
    report.progress(_("training the settings of {name}").format(name=name))
    study = Study(
        Autoencoder(**MODEL, patience=None),
        space,
        metric="mse",
        seeds=seeds,
        path=path,
        verbose=report.verbose,
    )
    return study.run(X, validation=held_out, jobs=report.pick(cores(), 1))


def table(report: Report, rows: list[Outcome], failed: int, sizes: tuple[int, int]) -> None:
    """Add the best settings, and where the document's best one stands."""
    place = rank(rows, BEST)
    report.section("grid", _("{n} settings").format(n=len(rows) + failed))
    report.text(
        _(
            "Every setting of the document is trained on {n} pictures, once, and scored by the "
            "mean squared error on {held_out} others. The loss is the mean over the pixels, as in "
            "the document, so that its learning rates mean what they mean there. Settings of 8 and "
            "of 16 epochs that are otherwise alike are one training. {failed} of the settings "
            "diverged."
        ).format(n=f"{sizes[0]:,}", held_out=f"{sizes[1]:,}", failed=failed)
    )
    shown = [
        [i + 1, *described(row), row.mean("mse"), f"{seconds(row):.0f}"]
        for i, row in enumerate(rows)
        if i < SHOWN or i == place or i == len(rows) - 1
    ]
    head = (
        _("rank"), _("optimiser"), _("momentum"), _("epochs"), _("batch"), _("rate"),
        _("error a pixel"), _("seconds"),
    )  # fmt: skip
    report.table(_("The best settings, the document's and the worst"), head, shown)
    if place is None:
        found = _("it is not among these settings")
    else:
        found = _("it is number {place} of {n}: {error:.5f}, the best has {best:.5f}").format(
            place=place + 1, n=len(rows), error=rows[place].mean("mse"), best=rows[0].mean("mse")
        )
    report.claim(
        "S5",
        "E",
        _("the best setting is 16 epochs, batches of 1,000, Adam, 0.001"),
        found,
        "confirmed" if place == 0 else "refuted",
    )
    report.figures |= {"settings": len(rows) + failed, "diverged": failed, "rank of theirs": place}


def by_rate(report: Report, rows: list[Outcome]) -> None:
    """Add the best error of each optimiser at each learning rate."""
    optimizers = sorted({str(row.labels["optimizer"]) for row in rows})
    rates = sorted({float(str(row.labels["learning_rate"])) for row in rows}, reverse=True)
    best = np.full((len(optimizers), len(rates)), np.nan)
    for row in rows:
        i = optimizers.index(str(row.labels["optimizer"]))
        j = rates.index(float(str(row.labels["learning_rate"])))
        best[i, j] = np.nanmin([best[i, j], row.mean("mse")])
    report.picture(
        figures.heatmap(
            best,
            optimizers,
            [f"{rate:g}" for rate in rates],
            xlabel=_("learning rate"),
            ylabel=_("optimiser"),
        ),
        _("The least held-out error of each optimiser at each learning rate."),
        _("The least held-out error of each optimiser at each learning rate."),
    )


def again(report: Report, rows: list[Outcome], X: Any, held_out: Any, X_test: Any) -> None:
    """Train the best settings and the document's with several seeds, and measure the best one."""
    place = rank(rows, BEST)
    chosen = [row.labels for row in rows[: report.pick(REPEATED, 1)]]
    if place is not None and place >= len(chosen):
        chosen.append(rows[place].labels)
    space = [{name: [value] for name, value in labels.items()} for labels in chosen]
    study = trained(report, "again", space, report.pick(SEEDS, 1), X, held_out)
    model = study.best_model()
    error = float(model.evaluate(X_test)["mse"])
    report.section("again", _("The best settings again"))
    head = (
        _("optimiser"), _("momentum"), _("epochs"), _("batch"), _("rate"), _("mean error"),
        _("least"), _("greatest"),
    )  # fmt: skip
    table = [
        [*described(row), row.mean("mse"), min(row.values("mse")), max(row.values("mse"))]
        for row in study.rows
        if row.state == "complete"
    ]
    caption = _("Held-out error with {n} seeds").format(n=len(study.seeds))
    report.table(caption, head, table)
    report.text(
        _("The best of them has an error of {error:.5f} a pixel on the test pictures.").format(
            error=error
        )
    )
    report.figures["test error of the best"] = error
    first = study.rows[0]
    report.claim(
        "S5",
        "E",
        _("with several seeds the document's setting stays the best"),
        _("best: {labels}; test error {error:.5f}").format(
            labels=", ".join(f"{name} {value}" for name, value in first.labels.items()),
            error=error,
        ),
        "confirmed" if same(first, BEST) else "refuted",
    )


def same(row: Outcome, setting: dict[str, Any]) -> bool:
    """Whether an outcome is that of a setting."""
    return all(str(row.labels.get(name)) == str(value) for name, value in setting.items())


def rank(rows: list[Outcome], setting: dict[str, Any]) -> int | None:
    """Return the place of a setting, from 0; None where it is not there."""
    return next((i for i, row in enumerate(rows) if same(row, setting)), None)


def described(row: Outcome) -> list[Any]:
    """Return the cells that say what a setting is."""
    names = ("optimizer", "optimizer__momentum", "epochs", "batch_size", "learning_rate")
    return ["" if (value := row.labels.get(name)) is None else str(value) for name in names]


def seconds(row: Outcome) -> float:
    """Return how long a setting's fit took."""
    return float(np.mean([run["seconds"] for run in row.runs]))


RECIPE = Recipe(
    name="grid",
    title=mark("A grid search of 90 settings"),
    summary=mark(
        "Epochs, batches, optimiser, rate and momentum of a convolutional network: which are best?"
    ),
    rows=("S5",),
    minutes=100,
    run=run,
)
