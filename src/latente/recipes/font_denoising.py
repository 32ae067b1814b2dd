"""Denoising of document A: nine symbols, clean and noisy, through 35-15-10-5-10-15-35.

Row S3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import figures
from .descent import Descent
from .font_optimizers import spread
from .language import _, mark
from .report import Recipe, Report, compare, written

Floats = NDArray[np.floating[Any]]
SYMBOLS = "123456789"
"""Nine symbols; the document does not name its own, but for a 7."""
LEVELS = (0.02, 0.05, 0.1, 0.2)
"""Share of the pixels that are turned over; the document gives no figure for its four levels."""
COPIES = (2, 4, 4, 4)
"""Noisy copies of each symbol: 18 or 36 beside the 9 clean ones, as in the document."""
THEIRS = (0.063, 0.159, 0.274, 1.153)
"""The document's "minimal error" at its four levels."""
TESTS = 200
"""Noisy copies of each symbol that nothing was trained on."""
GIVEN = {
    "latent_dim": 5,
    "network": "dense(hidden=[15, 10], activation='sigmoid', code_activation='sigmoid', "
    "output_activation='sigmoid')",
    "loss": "squared",
    "optimizer": "sgd(momentum=0)",
    "learning_rate": 0.1,
    "schedule": "constant",
    "epochs": 1000,
    "batch_size": 45,
    "scaling": "unit",
    "validation_fraction": 0.0,
}
"""The document's network, 1,000 iterations of gradient descent at 0.1."""
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "given": (mark("gradient descent at 0.1, 1,000 iterations"), GIVEN),
    "online": (
        mark("the same, a step after every symbol"),
        {**GIVEN, "batch_size": 1},
    ),
    "adam": (
        mark("Adam at 0.01, 1,000 iterations"),
        {**GIVEN, "optimizer": "adam", "learning_rate": 0.01},
    ),
}
"""Ways of training the document's network."""
BETTER = {
    "latent_dim": 5,
    "network": "dense(hidden=[100, 50], activation='tanh')",
    "loss": "bernoulli",
    "learning_rate": 0.002,
    "schedule": "cosine",
    "epochs": 400,
    "batch_size": 96,
    "scaling": "unit",
    "validation_fraction": 0.0,
}
"""Wider layers, the cross-entropy of black and white, and noise that is drawn anew each time."""
REPEATS = 64
"""How often each clean symbol comes in an epoch of the better set-up."""
SEEDS = 3


@dataclass(frozen=True)
class Level:
    """One level of noise: what is trained on, and what is tested."""

    rate: float
    noisy: Floats
    clean: Floats
    test: Floats
    truth: Floats


def run(report: Report) -> None:
    """Train at each level of noise, and test on noise that was not seen."""
    font = report.load("font")
    names = list(font.classes or ())
    X = np.asarray(font.X[[names.index(symbol) for symbol in SYMBOLS]], np.float32)
    rng = np.random.default_rng(report.random_state)
    tests = report.pick(TESTS, 10)
    levels = [made(X, p, n, tests, rng) for p, n in zip(LEVELS, COPIES, strict=True)]
    trained = as_given(report, levels)
    unseen(report, X, levels, trained)


def made(X: Floats, rate: float, copies: int, tests: int, rng: np.random.Generator) -> Level:
    """Return the symbols of one level of noise.

    Parameters
    ----------
    X
        The clean symbols, 0 and 1.
    rate
        Share of the pixels that are turned over.
    copies, tests
        Noisy copies of each symbol, to train on and to test.
    rng
        Source of the noise.
    """

    def noisy(times: int) -> tuple[Floats, Floats]:
        clean = np.concatenate([X] * times)
        return np.where(rng.random(clean.shape) < rate, 1 - clean, clean), clean

    some, same = noisy(copies)
    return Level(rate, np.concatenate([X, some]), np.concatenate([X, same]), *noisy(tests))


def as_given(report: Report, levels: list[Level]) -> list[Any]:
    """Train the document's network in several ways, and return the best at each level."""
    report.section("given", _("As the document has it"))
    report.text(
        _(
            "35-15-10-5-10-15-35 with sigmoids learns to give the clean symbol for a noisy one, "
            "from 9 clean symbols and 18 noisy ones at the first level, 36 at the others. What the "
            "document calls the error is taken for the squared error summed over the 35 pixels of "
            "a symbol, averaged over the training symbols, at the iteration where it is lowest. "
            "The document names neither its noise nor its levels: here {levels} of the pixels are "
            "turned over, and the symbols are the digits 1 to 9."
        ).format(levels=", ".join(f"{level.rate:.0%}" for level in levels))
    )
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 1))
    last, rows = [], []
    for i, level in enumerate(levels):
        cells: list[Any] = [f"{level.rate:.0%}", THEIRS[i]]
        for key, (_title, keywords) in WAYS.items():
            models = [
                report.fit(
                    f"{key}-{i + 1}-seed-{seed}", {**keywords, "random_state": seed}, level.noisy,
                    data="font", quick={"epochs": 10}, target=level.clean,
                )
                for seed in (seeds if key == "adam" else seeds[:1])
            ]  # fmt: skip
            lowest = [
                float(Descent.of_fit(model, level.noisy, level.clean).errors[-1])
                for model in models
            ]
            cells.append(spread(lowest) if len(lowest) > 1 else written(lowest[0]))
        last.append((models[int(np.argmin(lowest))], float(np.mean(lowest))))
        rows.append(cells)
    head = (_("noise"), _("the document"), *(_(title) for title, _keywords in WAYS.values()))
    report.table(
        _("Lowest training error; the last column over {n} seeds").format(n=len(seeds)), head, rows
    )
    for level, (_model, error), theirs in zip(levels, last, THEIRS, strict=True):
        report.claim(
            "S3",
            "A",
            _("error {theirs} in training").format(theirs=theirs),
            _("{error} with {noise} of the pixels turned over, Adam").format(
                error=written(error), noise=f"{level.rate:.0%}"
            ),
            compare(error, theirs, tolerance=0.1),
        )
    rising = [error for _model, error in last]
    report.claim(
        "S3",
        "A",
        _("the error grows with the noise"),
        ", ".join(written(error) for error in rising),
        "confirmed" if rising == sorted(rising) else "refuted",
    )
    return [model for model, _error in last]


def unseen(report: Report, X: Floats, levels: list[Level], trained: list[Any]) -> None:
    """Test on noise that was not seen, beside a better set-up and beside what can be had at all."""
    report.section("unseen", _("Noise that was not seen"))
    report.text(
        _(
            "An error in training says little: a network may learn its {few} noisy symbols by "
            "heart. Here each symbol comes with {tests} new draws of the noise. Beside the "
            "document's network stands one with wider layers that sees new noise at every step. "
            "Since each pixel is turned over by itself, the best possible answer is known: the "
            "mean of the clean symbols, each weighted by its probability given the noisy one; no "
            "method has a lower squared error on average. *Nearest* is the clean symbol nearest "
            "to the noisy one, the answer of one who knows all nine."
        ).format(few=len(levels[0].noisy), tests=report.pick(TESTS, 10))
    )
    errors: dict[str, list[float]] = {}
    rows, pictures = [], {}
    for i, (level, model) in enumerate(zip(levels, trained, strict=True)):
        better = report.fit(
            f"better-{i + 1}",
            {**BETTER, "corruption": f"salt_and_pepper(rate={2 * level.rate:g})"},
            np.concatenate([X] * report.pick(REPEATS, 2)), data="font", quick={"epochs": 3},
        )  # fmt: skip
        answers = {
            _("noisy"): level.test,
            _("document's"): model.reconstruct(level.test),
            _("better"): better.reconstruct(level.test),
            _("nearest"): X[distances(level.test, X).argmin(1)],
            _("best possible"): posterior_mean(level.test, X, level.rate),
        }
        for name, answer in answers.items():
            errors.setdefault(name, []).append(squared(answer, level.truth))
        cells = [
            f"{written(squared(answer, level.truth))} ({recognised(answer, level.truth, X):.1%})"
            for answer in answers.values()
        ]
        rows.append((f"{level.rate:.0%}", *cells))
        pictures[level.rate] = {_("clean"): level.truth, **answers}
    report.picture(
        figures.curves(
            errors, x=[100 * level.rate for level in levels],
            xlabel=_("pixels turned over, %"), ylabel=_("squared error a symbol"), log="x",
        ),
        _("Error on new noise by level, one line a method."),
        _("Squared error of a symbol on noise that was not seen."),
    )  # fmt: skip
    report.table(
        _("Squared error of a symbol, and how many symbols are nearest to the right one"),
        (_("noise"), *errors),
        rows,
    )
    shown = pictures[levels[2].rate]
    report.picture(
        figures.rows({name: some[: len(X)] for name, some in shown.items()}),
        _("Nine noisy symbols and what each method makes of them."),
        _("{noise} of the pixels turned over.").format(noise=f"{levels[2].rate:.0%}"),
    )
    ours, theirs = errors[_("better")], errors[_("document's")]
    report.figures["error on new noise"] = errors
    report.claim(
        "S3",
        "A",
        _("how well the document's network removes noise that it has not seen"),
        _("{theirs} at the four levels; a better set-up {ours}, the best possible {best}").format(
            theirs=", ".join(map(written, theirs)), ours=", ".join(map(written, ours)),
            best=", ".join(map(written, errors[_("best possible")])),
        ),
        "surpassed" if all(a < b for a, b in zip(ours, theirs, strict=True)) else "not reached",
    )  # fmt: skip


def distances(noisy: Floats, X: Floats) -> Floats:
    """Return the squared distance of each picture from each symbol, (n, m)."""
    return np.asarray(((noisy[:, None] - X[None]) ** 2).sum((2, 3)))


def posterior_mean(noisy: Floats, X: Floats, rate: float) -> Floats:
    """Return the mean of the symbols given noisy pictures: the least squared error on average.

    Parameters
    ----------
    noisy
        Pictures of 0 and 1, (n, h, w).
    X
        The symbols, of 0 and 1, equally likely, (m, h, w).
    rate
        Chance of each pixel to be turned over, between 0 and a half.
    """
    logarithm = distances(noisy, X) * np.log(rate / (1 - rate))
    chance = np.exp(logarithm - logarithm.max(1, keepdims=True))
    return np.asarray(np.tensordot(chance / chance.sum(1, keepdims=True), X, 1))


def squared(answer: Any, truth: Floats) -> float:
    """Return the squared error summed over the pixels, averaged over the pictures."""
    return float(((answer - truth) ** 2).sum((1, 2)).mean())


def recognised(answer: Any, truth: Floats, X: Floats) -> float:
    """Return the share of answers whose nearest symbol is the right one."""
    return float((distances(answer, X).argmin(1) == distances(truth, X).argmin(1)).mean())


RECIPE = Recipe(
    name="font-denoising",
    title=mark("Denoising the font"),
    summary=mark(
        "How much noise can a small network take out of nine symbols, and how much could anyone?"
    ),
    rows=("S3",),
    minutes=3,
    run=run,
)
