"""Optimisers of document A: the error of 35-5-2-5-35 by iteration and by second, eight ways down.

Row S2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import figures
from ..estimator import Autoencoder
from .descent import Descent, by_iteration, by_second
from .glyphs import GIVEN, wrong_pixels
from .language import _, mark
from .levenberg import levenberg_marquardt
from .report import Recipe, Report, written

SYMBOLS = "#&()./0123456789>?"
"""The document's subset, 18 symbols."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A way down.

    Parameters
    ----------
    title
        Marked for translation.
    optimizer, schedule
        As `Autoencoder` takes them.
    rates
        Learning rates to choose from.
    inner
        Iterations of the optimiser in each epoch.
    """

    title: str
    optimizer: str
    rates: Sequence[float]
    schedule: str = "constant"
    inner: int = 1


CONTENDERS = {
    "gradient": Contender(
        title=mark("gradient descent"), optimizer="sgd(momentum=0)", rates=(0.1, 0.3, 1.0, 3.0)
    ),
    "momentum": Contender(
        title=mark("momentum"), optimizer="sgd(momentum=0.9)", rates=(0.03, 0.1, 0.3, 1.0)
    ),
    "adaptive": Contender(
        title=mark("adaptive rate"), optimizer="sgd(momentum=0)", rates=(0.1, 0.3, 1.0, 3.0),
        schedule="bold_driver",
    ),
    "rmsprop": Contender(
        title=mark("RMSprop"), optimizer="rmsprop", rates=(0.001, 0.003, 0.01, 0.03)
    ),
    "adam": Contender(title=mark("Adam"), optimizer="adam", rates=(0.003, 0.01, 0.03, 0.1)),
    "lbfgs": Contender(title=mark("L-BFGS"), optimizer="lbfgs", rates=(1.0,), inner=20),
}  # fmt: skip
"""What is compared, beside Levenberg–Marquardt."""
SEEDS = 3
SHORT, MIDDLE, LONG = 1000, 10_000, 50_000
"""Iterations after which a rate is chosen, and the document's."""
NEWTON = 1000
"""Iterations of Levenberg–Marquardt."""


@dataclass(frozen=True)
class Contest:
    """What came of one way down, over the seeds."""

    rate: str
    runs: list[Descent]
    wrong: list[int]


def run(report: Report) -> None:
    """Compare the optimisers on the subset and on the whole font."""
    font = report.load("font")
    names = list(font.classes or ())
    some = font.X[[names.index(symbol) for symbol in SYMBOLS]]
    report.section("rates", _("How they are compared"))
    report.text(
        _(
            "The network is the document's, 35-5-2-5-35 with sigmoids and squared error; the error "
            "is summed over the 35 pixels of a glyph, and the mean over the glyphs is shown, the "
            "lowest so far. An iteration is one step over all glyphs. Each optimiser has the rate "
            "of a small grid that gives the lowest error after {short} iterations, with one seed; "
            "then it runs with {seeds} seeds. The adaptive rate is multiplied by 1.05 after an "
            "iteration that lowers the error, and by 0.7 after one that raises it. L-BFGS "
            "searches along a line, and needs no rate. Levenberg–Marquardt solves an equation in "
            "all weights at each iteration, and needs none either."
        ).format(short=f"{report.pick(SHORT, 10):,}", seeds=report.pick(SEEDS, 2)),
        _(
            "The long fits run at once, but for those of L-BFGS and Levenberg–Marquardt. Their "
            "seconds are those of fits that run alone: their iterations, times the median time of "
            "an iteration in the fit of {short} iterations that had the same rate."
        ).format(short=f"{report.pick(SHORT, 10):,}"),
    )
    found = {
        "some": compared(report, some, "some", _("the 18 symbols")),
        "all": compared(report, font.X, "all", _("all 96 glyphs")),
    }
    shown(report, "some", _("The 18 symbols"), found["some"], some)
    shown(report, "all", _("All 96 glyphs"), found["all"], font.X)
    claims(report, found, {"some": some.size, "all": font.X.size})


def keywords(
    rival: Contender, rate: float, iterations: int, seed: int, rows: int
) -> dict[str, Any]:
    """Return how a rival is fitted."""
    return {
        **GIVEN,
        "optimizer": rival.optimizer,
        "schedule": rival.schedule,
        "learning_rate": rate,
        "epochs": -(-iterations // rival.inner),
        "batch_size": rows,
        "random_state": seed,
    }


def compared(report: Report, X: Any, name: str, title: str) -> dict[str, Contest]:
    """Choose a rate for each rival, and let it run; by the rival's name."""
    short = report.pick(SHORT, 10)
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 2))
    rates, paces, tried = {}, {}, []
    for key, rival in CONTENDERS.items():
        models = by_rate(report, X, name, key, seeds[0])
        errors = {
            rate: Descent.of_fit(model, X, step=rival.inner).at(short)
            for rate, model in models.items()
        }
        rates[key] = min(errors, key=lambda rate: errors[rate])
        paces[key] = median_seconds(models[rates[key]])
        tried.append((_(rival.title), *_cells(errors), written(rates[key])))
    results = {
        _(CONTENDERS[key].title): Contest(
            written(rates[key]),
            [descent(model, X, CONTENDERS[key], paces[key]) for model in models],
            [wrong_pixels(model, X) for model in models],
        )
        for key, models in long_fits(report, X, name, rates, seeds).items()
    }
    results[_("Levenberg–Marquardt")] = newton(report, X, name, seeds)
    report.table(
        _("Error of {title} after {n} iterations by rate").format(title=title, n=f"{short:,}"),
        (_("optimiser"), *[""] * 4, _("rate taken")),
        tried,
    )
    return results


def by_rate(report: Report, X: Any, name: str, key: str, seed: int) -> dict[float, Autoencoder]:
    """Fit a rival with each of its rates for a short time, one by one."""
    rival, short = CONTENDERS[key], report.pick(SHORT, 10)
    return {
        rate: report.fit(
            f"{name}-{key}-{rate:g}", keywords(rival, rate, short, seed, len(X)), X,
            data="font", quick={},
        )
        for rate in report.pick(rival.rates, rival.rates[:2])
    }  # fmt: skip


def long_fits(
    report: Report, X: Any, name: str, rates: dict[str, float], seeds: Sequence[int]
) -> dict[str, list[Autoencoder]]:
    """Fit each rival at its rate with all seeds; by the rival's name."""
    long = report.pick(LONG, 30)
    models = report.fit_all(
        {
            f"{name}-{key}-seed-{seed}": keywords(CONTENDERS[key], rate, long, seed, len(X))
            for key, rate in rates.items()
            for seed in seeds
        },
        X,
        data="font",
        quick={},
    )
    return {key: [models[f"{name}-{key}-seed-{seed}"] for seed in seeds] for key in rates}


def median_seconds(model: Autoencoder) -> float:
    """Return how long an epoch of a fit took, whatever else the machine did now and then."""
    return float(np.median([record["seconds"] for record in model.history_]))


def descent(model: Autoencoder, X: Any, rival: Contender, pace: float) -> Descent:
    """Return the descent of a long fit.

    Parameters
    ----------
    model, X
        Of the fit.
    rival
        What it was fitted with.
    pace
        Seconds of an iteration alone, for those that are fitted at once. L-BFGS is fitted alone,
        and its iterations are not all of one length.
    """
    run = Descent.of_fit(model, X, step=rival.inner)
    return run.paced(pace) if rival.inner == 1 else run


def _cells(errors: dict[float, float]) -> list[str]:
    """Return "rate: error" of each rate, four cells."""
    cells = [f"{rate:g}: {written(error)}" for rate, error in errors.items()]
    return [*cells, *[""] * (4 - len(cells))]


def newton(report: Report, X: Any, name: str, seeds: Sequence[int]) -> Contest:
    """Run Levenberg–Marquardt from the weights that the others start from."""
    runs, wrong = [], []
    for seed in seeds:
        given = keywords(CONTENDERS["gradient"], 1e-9, 1, seed, len(X))  # one step of no length
        model = report.fit(f"{name}-start-seed-{seed}", given, X, data="font", quick={})
        report.progress(_("fitting {name}").format(name=f"{name}-levenberg-seed-{seed}"))
        runs.append(levenberg_marquardt(model, X, report.pick(NEWTON, 3)))
        wrong.append(wrong_pixels(model, X))
    return Contest("", runs, wrong)


def shown(report: Report, name: str, title: str, results: dict[str, Contest], X: Any) -> None:
    """Draw the errors, and set them in a table."""
    report.section(name, title)
    error, line = _("squared error a glyph"), _("the mean of the seeds, shaded from least to most")
    report.picture(
        figures.curves(
            {key: by_iteration(result.runs) for key, result in results.items()},
            xlabel=_("iterations"), ylabel=error, log="xy",
        ),
        _("Error by iteration, one line an optimiser."),
        _("Error by iteration: {line}.").format(line=line),
    )  # fmt: skip
    report.picture(
        figures.curves(
            {key: by_second(result.runs) for key, result in results.items()},
            xlabel=_("seconds"), ylabel=error, log="xy",
        ),
        _("Error by second, one line an optimiser."),
        _("The same errors by second, on one thread."),
    )  # fmt: skip
    middle, long = report.pick((MIDDLE, LONG), (15, 30))
    head = (
        _("optimiser"), _("rate"), _("error at {n}").format(n=f"{middle:,}"),
        _("error at {n}").format(n=f"{long:,}"), _("wrong pixels of {of}").format(of=f"{X.size:,}"),
        _("least wrong"), _("iterations"), _("seconds"),
    )  # fmt: skip
    rows = [
        (
            key, result.rate, spread([run.at(middle) for run in result.runs]),
            spread([run.at(long) for run in result.runs]), spread(result.wrong),
            min(result.wrong), int(result.runs[0].iterations[-1]),
            float(np.mean([run.seconds[-1] for run in result.runs])),
        )
        for key, result in results.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: np.mean([run.errors[-1] for run in results[row[0]].runs]))
    report.table(_("Sorted by error; mean ± standard deviation of the seeds"), head, rows)
    report.figures[f"error, {name}"] = {
        key: float(np.mean([run.errors[-1] for run in result.runs]))
        for key, result in results.items()
    }


def spread(values: Sequence[float]) -> str:
    """Return the mean and the standard deviation as text."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{written(float(np.mean(values)))} ± {written(deviation)}"


def claims(report: Report, found: dict[str, dict[str, Contest]], pixels: dict[str, int]) -> None:
    """Set what the document says beside what came out."""
    errors = {key: np.mean([run.errors[-1] for run in r.runs]) for key, r in found["some"].items()}
    best, plain = min(errors, key=lambda key: errors[key]), _(CONTENDERS["gradient"].title)
    report.claim(
        "S2",
        "A",
        _("a better optimiser than gradient descent lowers the error on 18 symbols"),
        _("{best} {low}, gradient descent {high} a glyph").format(
            best=best, low=written(errors[best]), high=written(errors[plain])
        ),
        "confirmed" if best != plain else "refuted",
    )
    learned = {
        name: min(min(result.wrong) for result in results.values())
        for name, results in found.items()
    }
    wrong = _("at best {some} of {of_some} pixels of the subset wrong, {all} of {of_all} of all")
    report.claim(
        "S2",
        "A",
        _("a subset of 18 symbols can be learned where the whole font cannot"),
        wrong.format(
            some=learned["some"],
            all=learned["all"],
            of_some=f"{pixels['some']:,}",
            of_all=f"{pixels['all']:,}",
        ),
        "confirmed" if learned["some"] == 0 < learned["all"] else "not reached",
    )


RECIPE = Recipe(
    name="font-optimizers",
    title=mark("Optimisers on the font"),
    summary=mark(
        "Gradient descent, momentum, adaptive rates, RMSprop, Adam, L-BFGS and "
        "Levenberg–Marquardt: which one brings the document's small network furthest, in "
        "iterations and in seconds?"
    ),
    rows=("S2",),
    minutes=11,
    run=run,
)
