"""Variational autoencoders of MNIST: dense and convolutional, as given and repaired.

Row M10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from .. import figures
from ..estimator import Autoencoder
from . import repair
from .language import _, mark
from .repair import CONVOLUTIONAL, DECODER, ENCODER, CodeUse, LayerWatch
from .report import Recipe, Report, compare

TRAINING = {"batch_size": 128, "epochs": 30}
"""Of Keras's example, which document A takes."""
NETWORKS = {
    "dense": {**CONVOLUTIONAL, "network": "dense(hidden=[512])", **TRAINING},
    "convolutional": {**CONVOLUTIONAL, **TRAINING},
}
"""784-512-2-512-784 of document E, and the network of document A."""
COUNTS = {"dense": (403_972, 403_728), "convolutional": (ENCODER, DECODER)}
"""Parameters of encoder and decoder."""
TITLES = {"dense": mark("784-512-2-512-784"), "convolutional": mark("convolutional")}
TRIED, HELD, TRIED_EPOCHS = 6000, 2000, 5
"""Digits that changes are tried on, others that they are compared on, and epochs."""
WEIGHED, CODES = 1000, 100
"""Test digits whose likelihood is estimated by importance sampling, and codes for each."""


class Measures(NamedTuple):
    """What a model reaches on test digits."""

    encoder: int
    decoder: int
    elbo: float
    weighted: float
    mse: float
    kl: float
    dead: str
    active: int
    filled: float
    same: float


def run(report: Report) -> None:
    """Train both networks as given and repaired, and set them beside probabilistic PCA."""
    data: Any = report.load("mnist")
    n = report.pick(len(data.X), 256)
    X, y = data.X[:n], data.y[:n]
    m = report.pick(len(data.X_test), 100)
    test = (data.X_test[:m], data.y_test[:m])
    found = {}
    for name, given in NETWORKS.items():
        models = trained(report, name, given, X)
        show(report, name, models, X, y, test)
        found[name] = {state: measure(report, model, *test) for state, model in models.items()}
    compared(report, found)
    components(report, X, test[0])


def trained(report: Report, name: str, given: Mapping[str, Any], X: Any) -> dict[str, Autoencoder]:
    """Return the network as given, and with the change that is best on held-out rows."""
    n, held = report.pick((TRIED, HELD), (128, 64))
    report.section(name, _(TITLES[name]))
    base = {**given, "epochs": TRIED_EPOCHS}
    best, rows = repair.choose(
        report, base, X[:n], X[n : n + held], data="mnist", prefix=f"{name}-tried"
    )
    models = {
        state: report.fit(
            f"{name}-{state}",
            keywords,
            X,
            data="mnist",
            quick={"epochs": 2},
            callbacks=LayerWatch(X),
        )
        for state, keywords in {"given": given, "repaired": best.of(given)}.items()
    }
    report.text(
        _(
            "As given: Adam at 0.001, rectifiers, {epochs} epochs in batches of {batch}. Changes "
            "are tried on {n} training digits and compared on {held} others."
        ).format(epochs=models["given"].epochs_, batch=models["given"].batch_size_, n=n, held=held)
    )
    repair.choice_table(report, rows, best)
    return models


def show(
    report: Report, name: str, models: Mapping[str, Autoencoder], X: Any, y: Any, test: Any
) -> None:
    """Draw the losses of both, and codes, grid, samples and a walk of the repaired one."""
    histories = {_("as given"): models["given"], _("repaired"): models["repaired"]}
    for term, what in {
        "total": _("total, nats a digit"),
        "reconstruction": _("reconstruction, nats a digit"),
        "kl": _("KL, nats a digit"),
        "units that never fire": _("units that never fire"),
    }.items():
        lines = {
            label: [record[term] for record in model.history_] for label, model in histories.items()
        }
        report.picture(
            figures.curves(lines, xlabel=_("epoch"), ylabel=what),
            _("{what}, by epoch, as given and repaired.").format(what=what),
        )
    for label, model in histories.items():
        grid = repair.decoded(model, X[:TRIED], y[:TRIED])
        report.picture(
            figures.decode_grid(model, report.pick(20, 6), X=X[:TRIED]),
            _("Digits decoded from a grid of codes."),
            _(
                "{label}: the grid over the quantiles of N(0, I). {seen} of 10 digits are seen in "
                "it, by the nearest training digit."
            ).format(label=label.capitalize(), seen=grid.classes),
        )
        report.figures[f"{name}, {label}: digits seen in the grid"] = grid.classes
    model, (X_test, y_test) = models["repaired"], test
    report.picture(
        figures.latent_map(model, X_test[:2000], y_test[:2000], thumbnails=False, density=True),
        _("Codes of test digits, coloured by digit."),
        _("Repaired: where the codes of test digits lie."),
    )
    report.picture(
        figures.samples(model, report.pick(40, 9)),
        _("Digits decoded from codes drawn from N(0, I)."),
        _("Repaired: samples."),
    )
    starts, ends = (np.array([np.flatnonzero(y_test == digit)[0] for digit in pair])
                    for pair in ((1, 4, 3), (0, 7, 6)))  # fmt: skip
    report.picture(
        figures.interpolation(model, X_test[starts], X_test[ends], 10),
        _("Walks from one test digit's code to another's."),
        _("Repaired: walks between test digits."),
    )


def measure(report: Report, model: Autoencoder, X: Any, y: Any) -> Measures:
    """Return the figures of test digits."""
    some, codes = X[: report.pick(WEIGHED, 16)], report.pick(CODES, 4)
    weighted = model.log_likelihood(some, samples=codes, random_state=0).mean()
    figures_ = model.evaluate(X)
    dead, units = repair.dead_layer(model.dead_units_)
    return Measures(
        *repair.halves(model),
        repair.elbo(model, X, report.pick(4, 1)),
        float(weighted),
        figures_["mse"],
        figures_["kl"],
        f"{dead} / {units}",
        model.active_units_,
        CodeUse.of(model, X).filled,
        repair.code_classes(model, X, y),
    )


def compared(report: Report, found: Mapping[str, Mapping[str, Measures]]) -> None:
    """Set all four models side by side, and beside the documents."""
    rows = [
        (_(TITLES[name]), _("as given") if state == "given" else _("repaired"), *values)
        for name, states in found.items()
        for state, values in states.items()
    ]
    head = (
        _("network"), "", _("test ELBO, nats"), _("log-likelihood, nats"), _("MSE"),
        _("KL, nats"), _("units that never fire"), _("active code units"),
        _("share of N(0, I) filled"), _("neighbours of the same digit"),
    )  # fmt: skip
    report.section("compared", _("All four on test digits"))
    report.table(_("Test digits; the likelihood with 100 codes each, of 1,000 digits"), head, rows)
    for name, states in found.items():
        given, repaired = states["given"], states["repaired"]
        report.figures[name] = {state: values._asdict() for state, values in states.items()}
        counts = {(values.encoder, values.decoder) for values in states.values()}
        report.claim(
            "M10",
            "A" if name == "convolutional" else "E",
            _("{network}: {encoder:,} parameters and {decoder:,}, losses by epoch").format(
                network=_(TITLES[name]), encoder=COUNTS[name][0], decoder=COUNTS[name][1]
            ),
            _(
                "{counts}; as given test ELBO {given:.1f} nats, repaired {repaired:.1f}; MSE "
                "{mse_given:.4f}, {mse:.4f}"
            ).format(
                counts=f"{given.encoder:,} + {given.decoder:,}",
                given=given.elbo,
                repaired=repaired.elbo,
                mse_given=given.mse,
                mse=repaired.mse,
            ),
            "confirmed" if counts == {COUNTS[name]} else "refuted",
        )
        report.claim(
            "M10",
            "AE",
            _("aim, {network}: the same parameters, and a higher bound").format(
                network=_(TITLES[name])
            ),
            _(
                "ELBO {given:.1f} → {repaired:.1f} nats, dead units {dead} → {dead_after}, "
                "N(0, I) filled {filled:.0%} → {filled_after:.0%}"
            ).format(
                given=given.elbo,
                repaired=repaired.elbo,
                dead=given.dead,
                dead_after=repaired.dead,
                filled=given.filled,
                filled_after=repaired.filled,
            ),
            compare(repaired.elbo, given.elbo, lower=False),
        )


def components(report: Report, X: Any, X_test: Any) -> None:
    """Compare with probabilistic PCA, whose likelihood is that of a linear decoder."""
    train, test = (each.reshape(len(each), -1) / 255.0 for each in (X, X_test))
    pca = PCA(2, svd_solver="covariance_eigh").fit(train)
    restored = pca.inverse_transform(pca.transform(test))
    keywords = {**NETWORKS["dense"], "loss": "gaussian"}
    model = report.fit("dense-gaussian", keywords, X, data="mnist", quick={"epochs": 2})
    n, codes = report.pick((WEIGHED, CODES), (16, 4))
    theirs = float(pca.score_samples(test[:n]).mean())
    ours = float(model.log_likelihood(X_test[:n], samples=codes, random_state=0).mean())
    error = float(np.square(test - restored).mean())
    rows = [
        (_("probabilistic PCA, 2 components"), theirs, error),
        (_("784-512-2-512-784, Gaussian likelihood"), ours, model.evaluate(X_test)["mse"]),
    ]
    report.section("pca", _("Beside probabilistic PCA"))
    report.text(
        _(
            "Probabilistic PCA is a variational autoencoder whose decoder is linear and whose "
            "noise is normal with one variance (Tipping and Bishop, 1999); its likelihood is "
            "exact. The network beside it has the same prior and the same kind of noise, so both "
            "densities can be compared, in nats a digit of {n} test digits. The likelihoods above "
            "are those of grey levels taken for probabilities, which is another scale."
        ).format(n=n)
    )
    head = (_("model"), _("log-likelihood, nats"), _("test MSE"))
    report.table(_("Densities of test digits, and errors of their reconstructions"), head, rows)
    report.figures |= {"log-likelihood, PCA": theirs, "log-likelihood, Gaussian": ours}
    report.claim(
        "M10",
        "AE",
        _("aim: a higher likelihood than probabilistic PCA with as large a code"),
        _("{ours:.0f} nats, PCA {theirs:.0f}; MSE {mse:.4f}, PCA {error:.4f}").format(
            ours=ours, theirs=theirs, mse=rows[1][2], error=error
        ),
        compare(ours, theirs, lower=False),
    )
    report.code(
        "convolutional-repaired",
        ["decode_grid(model, 20)", "latent_map(model, mnist.X_test, mnist.y_test)"],
        ["plot grid -m convolutional-repaired.safetensors -o grid.png"],
    )


RECIPE = Recipe(
    name="variational",
    title=mark("Variational autoencoders of digits"),
    summary=mark(
        "How likely are digits under a code of two numbers, and how much of that code do the "
        "courses' networks use?"
    ),
    rows=("M10",),
    minutes=85,
    run=run,
)
