"""Codes in front of another model: few labels, many pictures without. Row U10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import figures
from .language import _, mark
from .report import Recipe, Report

LABELS = (100, 300, 1000, 3000)
"""How many labels the classifier is given."""
DRAWS = 3
"""How often the labelled pictures are drawn."""
CODE = 64
MODEL = {
    "latent_dim": CODE,
    "network": "dense(hidden=[512, 256])",
    "corruption": "gaussian_noise(std=0.5)",
    "loss": "bernoulli",
    "epochs": 15,
    "batch_size": 256,
    "schedule": "one_cycle",
    "learning_rate": 2e-3,
}
GRID = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]}
"""Weights of the classifier among which cross-validation on the labelled pictures chooses."""

View = Callable[[Any], Any]


def run(report: Report) -> None:
    """Classify pictures by few labels, from pixels, components and codes."""
    data = report.load("mnist")
    X, X_test = (a.reshape(len(a), -1) / np.float32(255) for a in (data.X, data.X_test))
    model = report.fit("denoising", MODEL, X, data="mnist", quick={"epochs": 3})
    pca = PCA(CODE, svd_solver="covariance_eigh").fit(X)
    views: dict[str, View] = {
        _("pixels"): lambda rows: rows,
        _("PCA, {n} components").format(n=CODE): pca.transform,
        _("autoencoder, code of {n}").format(n=CODE): model.transform,
    }
    y, y_test = np.asarray(data.y), np.asarray(data.y_test)
    labels = report.pick(LABELS, (50, 100))
    found = {
        name: np.array(
            [
                [accuracy(view, X, y, X_test, y_test, n, draw) for n in labels]
                for draw in range(report.pick(DRAWS, 1))
            ]
        )
        for name, view in views.items()
    }
    report.section("accuracy", _("Accuracy by number of labels"))
    report.text(
        _(
            "Logistic regression on standardised features, its weight chosen by cross-validation "
            "on the labelled pictures, as many of each digit, drawn {draws} times. The codes are "
            "those of a denoising autoencoder that learned from all {n} training pictures without "
            "labels."
        ).format(draws=report.pick(DRAWS, 1), n=f"{len(X):,}")
    )
    report.picture(
        figures.curves(
            found,
            np.array(labels),
            xlabel=_("labelled pictures"),
            ylabel=_("accuracy on test pictures"),
            log="x",
        ),
        _("Accuracy on test pictures against the number of labelled ones, by features."),
    )
    rows = [[name, *(f"{value:.1%}" for value in values.mean(0))] for name, values in found.items()]
    head = (_("features"), *(_("{n} labels").format(n=f"{n:,}") for n in labels))
    caption = _("Accuracy on {n} test pictures, mean of the draws")
    report.table(caption.format(n=f"{len(X_test):,}"), head, rows)
    pixels, components, codes = (values.mean(0) for values in found.values())
    at = len(labels) - 2
    report.figures |= {
        "accuracy from pixels": pixels,
        "accuracy from components": components,
        "accuracy from codes": codes,
    }
    report.claim(
        "U10",
        "CD",
        _("a code is a good input for another model"),
        _(
            "with {n} labels {codes:.1%} from codes, {pixels:.1%} from pixels, {pca:.1%} from PCA"
        ).format(n=f"{labels[at]:,}", codes=codes[at], pixels=pixels[at], pca=components[at]),
        "confirmed" if codes[at] > max(pixels[at], components[at]) else "refuted",
    )


def accuracy(view: View, X: Any, y: Any, X_test: Any, y_test: Any, n: int, draw: int) -> float:
    """Return the accuracy on test pictures of a classifier of n labelled ones, n/10 of a digit."""
    order, kinds = np.random.default_rng(draw).permutation(len(X)), np.unique(y)
    chosen = np.concatenate([order[y[order] == kind][: n // len(kinds)] for kind in kinds])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    search = GridSearchCV(classifier, GRID, cv=5).fit(view(X[chosen]), y[chosen])
    return float(search.score(view(X_test), y_test))


RECIPE = Recipe(
    name="features",
    title=mark("Codes in front of another model"),
    summary=mark("Does a code that was learned without labels help where labels are few?"),
    rows=("U10",),
    minutes=8,
    run=run,
)
