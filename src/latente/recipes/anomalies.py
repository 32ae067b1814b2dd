"""Anomalies: learn what is normal, set a threshold, and look at what lies beyond it. Row U5."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from .. import figures
from ..anomaly.detector import AnomalyDetector
from ..data.dataset import Dataset
from ..errors import FileError
from ..metrics import Numbers, mse
from .baselines import flat
from .language import _, mark
from .report import Recipe, Report

LATENT = 16
MODEL = {"latent_dim": LATENT}
"""The default network, fitted on normal rows alone, as the documents have it."""
NORMAL, TESTED = 2000, 1000
"""Normal pictures that are learned from, and pictures of all kinds that are judged."""
RATE = 0.05
"""Share of normal rows that may be called anomalies: it sets the threshold."""


def run(report: Report) -> None:
    """Learn one digit and find the others; learn proper payments and find frauds."""
    kinds_of_pictures(report)
    payments(report)


def kinds_of_pictures(report: Report) -> None:
    """Take each digit for normal in turn, and the other nine for anomalies."""
    data = report.load("mnist")
    chosen = np.random.default_rng(0).permutation(len(data.X_test))[: report.pick(TESTED, 120)]
    X_test, y_test = data.X_test[chosen], np.asarray(data.y_test)[chosen]
    areas: dict[str, list[float]] = {}
    alarms, detected = [], []
    for digit in report.pick(range(10), range(1)):
        X = data.X[np.asarray(data.y) == digit][: report.pick(NORMAL, 120)]
        normal, held_out = np.split(X, [len(X) - len(X) // 10])
        model = report.fit(
            f"only-{digit}",
            MODEL,
            normal,
            data="mnist",
            quick={"epochs": 20, "learning_rate": 0.005},
            validation=held_out,
        )
        report.progress(_("judging pictures by {digit}").format(digit=digit))
        errors = -np.asarray(model.score_samples(X_test), dtype=np.float64)
        scores = baselines(normal, X_test)
        scores[_("reconstruction error")] = errors
        scores["AnomalyDetector"] = detector_scores(report, X, X_test)
        odd = y_test != digit
        for name, values in scores.items():
            areas.setdefault(name, []).append(float(roc_auc_score(odd, values)))
        threshold = float(np.quantile(-np.asarray(model.score_samples(held_out)), 1 - RATE))
        beyond = errors > threshold
        alarms.append(float(beyond[~odd].mean()))
        detected.append(float(beyond[odd].mean()))
        if digit == 0:
            shown = figures.anomalies(model, X_test)
    report.section("pictures", _("One kind of picture is normal"))
    report.text(
        _(
            "Each digit in turn is what is normal: a model of {code} numbers learns {n} pictures "
            "of it and no other. It then judges {tested} test pictures of all digits. Its "
            "reconstruction error is the score, as the documents say; beside it other detectors "
            "that learn from the same pictures."
        ).format(code=LATENT, n=f"{len(X):,}", tested=f"{len(X_test):,}")
    )
    report.picture(
        shown,
        _("The test pictures that a model of zeros reconstructs worst, and all scores."),
        _("The model of the digit 0: what it finds least like a zero, and the scores of all."),
    )
    report.picture(
        figures.bars(areas, ylabel=_("area under the ROC curve")),
        _("Area under the ROC curve by method, one value for each digit taken as normal."),
        _("Area under the ROC curve, mean and spread over the digits; 0.5 is chance."),
    )
    judge(report, areas, float(np.mean(detected)), float(np.mean(alarms)))


def judge(report: Report, areas: dict[str, list[float]], detected: float, alarms: float) -> None:
    """Add the table of the methods, what lies beyond the threshold, and the claims.

    Parameters
    ----------
    report
        Of the recipe.
    areas
        Area under the ROC curve by method, one for each digit.
    detected, alarms
        Shares of other digits, and of the normal one, whose error is beyond the threshold.
    """
    rows = [[name, float(np.mean(values)), min(values)] for name, values in areas.items()]
    head = (_("method"), _("mean area under the ROC curve"), _("least"))
    report.table(_("How well each method tells the other digits"), head, rows)
    report.text(
        _(
            "With a threshold beyond which {rate} of held-out normal pictures lie, the "
            "reconstruction error finds {detected} of the other digits, and {alarms} of the normal "
            "test pictures are false alarms."
        ).format(
            rate=percent(RATE),
            detected=percent(detected),
            alarms=percent(alarms),
        )
    )
    ours = float(np.mean(areas[_("reconstruction error")]))
    report.figures |= {
        "detected beyond the threshold": detected,
        "false alarms": alarms,
        **{f"area, {name}": float(np.mean(values)) for name, values in areas.items()},
    }
    report.claim(
        "U5",
        "D",
        _("what is unlike the training pictures is reconstructed badly"),
        _("area under the ROC curve {ours:.3f}; {detected} found at {alarms} false alarms").format(
            ours=ours,
            detected=percent(detected),
            alarms=percent(alarms),
        ),
        "confirmed" if ours > 0.9 else "not reached",
    )
    best = max(("kNN", "IsolationForest", "PCA"), key=lambda name: float(np.mean(areas[name])))
    found, theirs = float(np.mean(areas["AnomalyDetector"])), float(np.mean(areas[best]))
    report.claim(
        "U5",
        "CD",
        _("a detector for every day: better than the best of kNN, IsolationForest and PCA"),
        _("{found:.3f}, the best of them ({best}) {theirs:.3f}").format(
            found=found, best=best, theirs=theirs
        ),
        "surpassed" if found > theirs else "not reached",
    )


def payments(report: Report) -> None:
    """Learn from proper card payments and look for frauds, where the payments can be had."""
    report.section("payments", _("Card payments"))
    try:
        data = None if report.quick else report.load("creditcard")
    except FileError as error:
        report.text(_("The card payments are not here: {error}.").format(error=error))
        return
    if data is None:
        report.text(_("A quick run does not fetch the card payments."))
        return
    X, X_test, odd = split_payments(data)
    detector = AnomalyDetector(random_state=report.random_state).fit(X)
    scores = baselines(X, X_test) | {"AnomalyDetector": -detector.score_samples(X_test)}
    rows = [
        [
            name,
            float(roc_auc_score(odd, values)),
            float(average_precision_score(odd, values)),
            percent(float(odd[np.argsort(-values)[:100]].mean())),
        ]
        for name, values in scores.items()
    ]
    report.text(
        _(
            "{n} proper payments are learned from; {tested} others and {frauds} frauds are judged."
        ).format(n=f"{len(X):,}", tested=f"{int((~odd).sum()):,}", frauds=int(odd.sum()))
    )
    head = (_("method"), _("area under the ROC curve"), _("average precision"), _("frauds in 100"))
    report.table(_("Frauds among held-out payments"), head, rows)
    report.claim(
        "U5",
        "C",
        _("frauds have a large reconstruction error"),
        _("average precision {ours:.3f}").format(ours=rows[-1][2]),
        "confirmed",
    )


def split_payments(data: Dataset) -> tuple[Any, Any, Any]:
    """Return proper payments to learn from, and others with all frauds to judge."""
    y = np.asarray(data.y) == 1
    order = np.random.default_rng(0).permutation(np.flatnonzero(~y))
    learned, others = order[:20_000], order[20_000:60_000]
    judged = np.concatenate([others, np.flatnonzero(y)])
    X = np.asarray(data.X)
    return X[learned], X[judged], y[judged]


def baselines(X: Any, X_test: Any) -> dict[str, Numbers]:
    """Return the scores of other detectors, higher for anomalies, learned from normal rows."""
    scaler = StandardScaler().fit(flat(X))
    rows, tested = scaler.transform(flat(X)), scaler.transform(flat(X_test))
    pca = PCA(LATENT, svd_solver="full").fit(flat(X)) if rows.shape[1] > LATENT else None
    scores: dict[str, Numbers] = {
        "kNN": NearestNeighbors(n_neighbors=5).fit(flat(X)).kneighbors(flat(X_test))[0].mean(1),
        "IsolationForest": -IsolationForest(random_state=0).fit(rows).score_samples(tested),
    }
    if pca is not None:
        back = pca.inverse_transform(pca.transform(flat(X_test)))
        scores["PCA"] = mse(flat(X_test), back)
    return scores


def detector_scores(report: Report, X: Any, X_test: Any) -> Numbers:
    """Return the scores of the package's own detector, higher for anomalies."""
    detector = AnomalyDetector(random_state=report.random_state).fit(flat(X) / 255)
    return -np.asarray(detector.score_samples(flat(X_test) / 255))


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{share:.0%}"


RECIPE = Recipe(
    name="anomalies",
    title=mark("What is unlike the rest"),
    summary=mark("A model that has only seen what is normal: does it notice what is not?"),
    rows=("U5",),
    minutes=6,
    run=run,
)
