"""Image search: the nearest pictures by pixels, by components and by codes. Row U4."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from .. import figures
from ..data.pictures import resized
from ..search.index import LatentIndex
from .language import _, mark
from .report import Recipe, Report

LATENT = 32
DIGITS: dict[str, dict[str, Any]] = {
    "dense": {"network": "dense", "epochs": 15},
    "dense-mask": {"network": "dense", "corruption": "mask(rate=0.3)", "epochs": 15},
    "conv": {"network": "conv", "epochs": 8},
    "conv-mask": {"network": "conv", "corruption": "mask(rate=0.3)", "epochs": 8},
}
"""Models among which a part of the training digits chooses."""
EPOCHS = {"dense": 10, "conv": 4}
"""Passes over all training digits of the model chosen."""
FACES: dict[str, dict[str, Any]] = {
    "dense": {"network": "dense"},
    "dense-mask": {"network": "dense", "corruption": "mask(rate=0.3)"},
    "dense-noise": {"network": "dense", "corruption": "gaussian_noise(std=0.2)"},
    "conv": {"network": "conv", "epochs": 60},
}
SIZE = (56, 46)
METRICS = ("euclidean", "cosine")


@dataclass(frozen=True)
class Asked:
    """What is searched and what it is asked with: pictures and labels of both."""

    X: Any
    y: Any
    queries: Any
    wanted: Any


@dataclass(frozen=True)
class Hits:
    """How good a search was: the share of hits of the same label, of all and of the first."""

    precision: float
    first: float
    per_second: float


def run(report: Report) -> None:
    """Search digits, and faces."""
    digits(report)
    faces(report)


def digits(report: Report) -> None:
    """Choose a model on a part of the training digits, and ask all of them with the test digits."""
    data = report.load("mnist")
    y = np.asarray(data.y)
    order = np.random.default_rng(0).permutation(len(data.X))
    learn, trial = order[: report.pick(6000, 300)], order[-report.pick(1500, 80) :]
    part = Asked(data.X[learn], y[learn], data.X[trial], y[trial])
    name, metric = choose(report, "digits", "mnist", DIGITS, part, 10)
    whole = Asked(data.X, y, data.X_test, np.asarray(data.y_test))
    settings = {**DIGITS[name], "latent_dim": LATENT, "epochs": EPOCHS[DIGITS[name]["network"]]}
    model = report.fit("digits", settings, whole.X, data="mnist")
    found = rivals(whole, 10) | searched_by(model, name, whole, 10)
    report.section("digits", _("Digits"))
    report.text(
        _(
            "{n} digits are searched, and {queries} test digits are the queries; a hit is right if "
            "it is the same digit. The model, {name} by {metric} distance, was chosen among {of} "
            "on a part of the training digits."
        ).format(
            n=f"{len(whole.X):,}",
            queries=f"{len(whole.queries):,}",
            name=name,
            metric=metric,
            of=len(DIGITS) * len(METRICS),
        )
    )
    precision_table(report, found, 10)
    ours, pixels = found[f"{name}, {metric}"], best_of(found, _("pixels"))
    report.claim(
        "U4",
        "C",
        _("the nearest codes are pictures of the same thing"),
        _("precision of ten {ours:.3f} in {code} numbers, {pixels:.3f} by {of} pixels").format(
            ours=ours.precision, code=LATENT, pixels=pixels.precision, of=whole.X[0].size
        ),
        "confirmed" if ours.precision >= pixels.precision else "not reached",
    )


def faces(report: Report) -> None:
    """Ask the first seven pictures of each person with the last three."""
    data = report.load("faces")
    X, y, number = resized(data.X, SIZE), np.asarray(data.y), np.arange(len(data.X)) % 10
    part = Asked(
        X[number < 5], y[number < 5], X[np.isin(number, (5, 6))], y[np.isin(number, (5, 6))]
    )
    name, metric = choose(report, "faces", "faces", FACES, part, 5)
    whole = Asked(X[number < 7], y[number < 7], X[number >= 7], y[number >= 7])
    settings = {"latent_dim": LATENT, **FACES[name]}
    model = report.fit("faces", settings, whole.X, data="faces")
    found = rivals(whole, 7) | searched_by(model, name, whole, 7)
    report.section("faces", _("Faces"))
    report.text(
        _(
            "Pictures 1 to 7 of each person, {height}×{width}, are learned from and searched; "
            "pictures 8 to 10 are the queries; a hit is right if it shows the same person. The "
            "model, {name} by {metric} distance, was chosen on pictures 1 to 5, with 6 and 7 as "
            "queries."
        ).format(height=SIZE[0], width=SIZE[1], name=name, metric=metric)
    )
    precision_table(report, found, 7)
    shown = whole.queries[:: max(1, len(whole.queries) // 4)][:4]
    answer = LatentIndex(model, metric=metric).build(whole.X).query(shown, 7)
    report.picture(
        figures.contact_sheet(shown, whole.X[answer.positions], answer.distances),
        _("Four faces at the left, and the pictures found for each beside it."),
        _("Queries at the left, what was found beside them, the nearest first."),
    )
    ours, theirs = found[f"{name}, {metric}"], best_of(found, "PCA")
    report.claim(
        "U4",
        "C",
        _("the nearest codes of a face are pictures of the same person"),
        _("first hit right {ours:.1%}, by PCA of as many numbers {theirs:.1%}").format(
            ours=ours.first, theirs=theirs.first
        ),
        "confirmed" if ours.first >= theirs.first else "not reached",
    )


def choose(
    report: Report, what: str, data: str, table: dict[str, dict[str, Any]], part: Asked, k: int
) -> tuple[str, str]:
    """Return the name and the metric of the setting that finds most on a part of the data."""
    found: dict[str, Hits] = {}
    for name, settings in list(table.items())[: report.pick(len(table), 2)]:
        keywords = {"latent_dim": LATENT, **settings}
        model = report.fit(f"{what}-trial-{name}", keywords, part.X, data=data)
        found |= searched_by(model, name, part, k)
    best = max(found, key=lambda each: found[each].precision)
    name, _comma, metric = best.rpartition(", ")
    return name, metric


def searched_by(model: Any, name: str, split: Asked, k: int) -> dict[str, Hits]:
    """Return how good a search by a model's codes is, by either metric."""
    codes, asked = model.transform(split.X), model.transform(split.queries)
    return {f"{name}, {metric}": hits(codes, asked, split, metric, k) for metric in METRICS}


def rivals(split: Asked, k: int) -> dict[str, Hits]:
    """Return how good a search by pixels, and by as many principal components, is."""
    rows, asked = (
        part.reshape(len(part), -1).astype(np.float32) / 255 for part in (split.X, split.queries)
    )
    pca = PCA(LATENT, random_state=0).fit(rows)
    codes, codes_asked = (pca.transform(part).astype(np.float32) for part in (rows, asked))
    return {
        f"{name}, {metric}": hits(*pair, split, metric, k)
        for name, pair in ((_("pixels"), (rows, asked)), ("PCA", (codes, codes_asked)))
        for metric in METRICS
    }


def hits(codes: Any, asked: Any, split: Asked, metric: str, k: int) -> Hits:
    """Return how often the k nearest, and the first of them, have the query's label."""
    index = LatentIndex(metric=metric).add_codes(codes)
    index.query_codes(asked[:8], k)
    begun = time.perf_counter()
    found = index.query_codes(asked, k).positions
    seconds = time.perf_counter() - begun
    right = split.y[found] == split.wanted[:, None]
    return Hits(float(right.mean()), float(right[:, 0].mean()), len(asked) / seconds)


def best_of(found: dict[str, Hits], name: str) -> Hits:
    """Return the better of a method's two metrics."""
    several = (each for key, each in found.items() if key.startswith(name + ", "))
    return max(several, key=lambda each: each.precision)


def precision_table(report: Report, found: dict[str, Hits], k: int) -> None:
    """Add the table of how good each search is."""
    rows = [
        [name, f"{each.precision:.3f}", f"{each.first:.1%}", round(each.per_second)]
        for name, each in found.items()
    ]
    head = (
        _("codes, metric"),
        _("precision of {k}").format(k=k),
        _("first hit right"),
        _("queries per second"),
    )
    report.table(_("What is found; exact search, without the time to encode"), head, rows)


RECIPE = Recipe(
    name="search",
    title=mark("Search by picture"),
    summary=mark("Are the pictures with the nearest codes those that a person would call alike?"),
    rows=("U4",),
    minutes=8,
    run=run,
)
