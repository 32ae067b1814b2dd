"""Dimension, of document D: balls in cubes, distances that grow alike, and what data really need.

Row S7.
"""

from __future__ import annotations

from math import exp, lgamma, log, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import figures
from ..latent.dimension import intrinsic_dimension
from .font_optimizers import spread
from .language import _, mark
from .report import Recipe, Report, compare, written

THEIRS = {2: 0.785, 3: 0.524, 10: 0.0025}
"""Share of the cube inside its ball, by dimension, in the document."""
MOST = 50
"""Dimensions up to which balls are measured."""
POINTS = 200_000
SETS = ("digits", "mnist", "faces", "shapes")
SHAPES = 4000
KEPT = 0.95
"""Share of the variance that components are asked to hold."""
FAR = 4
"""How many times as many columns as dimensions count as far more."""
CODES = (1, 2, 4, 8, 16, 32)
"""Code sizes, each twice the one before."""
LEARNED = {"network": "dense(hidden=[256, 128], activation='gelu', shortcut='pca')"}
SEEDS = 3


def run(report: Report) -> None:
    """Measure balls, distances, and data."""
    balls(report)
    distances(report)
    dimension = data(report)
    by_code(report, dimension)


def inside(d: int) -> float:
    """Return the share of a cube that lies inside its ball, π^(d/2) / (2^d Γ(d/2 + 1))."""
    return exp(d / 2 * log(pi) - d * log(2) - lgamma(d / 2 + 1))


def counted(d: int, n: int, rng: np.random.Generator) -> float:
    """Return the share of random points of the cube [-1, 1]^d that lie inside the unit ball."""
    return float((np.square(rng.uniform(-1, 1, (n, d))).sum(1) <= 1).mean())


def weighted(d: int, n: int, rng: np.random.Generator) -> float:
    """Return the same share from points that are drawn where the ball is.

    The points are normal, with a variance of 1/(d + 2) as those of the ball have, and each counts
    by the cube's density over its own: the mean is the same, and far less uncertain.
    """
    variance = 1 / (d + 2)
    squares = variance * rng.chisquare(d, n)
    logarithm = d / 2 * np.log(2 * np.pi * variance) + squares / (2 * variance) - d * np.log(2)
    return float((np.exp(logarithm) * (squares <= 1)).mean())


def balls(report: Report) -> None:
    """Compare the formula with random points."""
    rng = np.random.default_rng(report.random_state)
    n = report.pick(POINTS, 4000)
    d = np.arange(1, MOST + 1)
    formula = np.array([inside(k) for k in d.tolist()])
    hits = np.array([counted(k, n, rng) for k in d.tolist()])
    aimed = np.array([weighted(k, n, rng) for k in d.tolist()])
    missed = int(d[hits == 0][0]) if (hits == 0).any() else MOST + 1
    report.section("ball", _("The ball in the cube"))
    report.picture(
        figures.curves(
            {
                _("formula"): formula,
                _("points of the cube"): np.where(hits > 0, hits, np.nan),
                _("points near the ball, weighted"): aimed,
            },
            x=d, xlabel=_("dimensions"), ylabel=_("share inside the ball"), log="y",
        ),
        _("The share of a cube that lies inside its ball, by dimension."),
        _("Share of the cube inside the ball that touches its sides."),
    )  # fmt: skip
    report.text(
        _(
            "Of {n} random points of the cube, none lies inside the ball from {missed} dimensions "
            "on: nearly all of a cube is in its corners. Points that are drawn near the ball, each "
            "counted with its weight, follow the formula up to {most} dimensions, within {off:.1%}."
        ).format(n=f"{n:,}", missed=missed, most=MOST, off=np.abs(aimed / formula - 1).max())
    )
    report.table(
        _("Share of the cube inside its ball"),
        (_("dimensions"), _("the document"), _("formula"), _("points of the cube"), _("weighted")),
        [
            (int(k), THEIRS.get(int(k)), formula[k - 1], hits[k - 1], aimed[k - 1])
            for k in (1, 2, 3, 5, 10, 20, 50)
        ],
    )
    for k, theirs in THEIRS.items():
        off = abs(hits[k - 1] / theirs - 1)
        report.claim(
            "S7",
            "D",
            _("{share} of the cube inside its ball in {d} dimensions").format(share=theirs, d=k),
            _("{share} of {n} points; formula {formula}").format(
                share=written(hits[k - 1]), n=f"{n:,}", formula=written(formula[k - 1])
            ),
            "confirmed" if off < tolerance(theirs, n) else "refuted",
        )


def tolerance(share: float, n: int) -> float:
    """Return how far, as a share, random points may lie from a figure of two or three digits."""
    return 4 * float(np.sqrt((1 - share) / (share * n))) + 0.02


def contrast(X: NDArray[Any], rng: np.random.Generator, queries: int = 100) -> float:
    """Return how much farther the farthest sample is than the nearest: (most − least) / least.

    Parameters
    ----------
    X
        Samples, (n, columns).
    rng
        Draws the samples whose distances to all others are looked at; the median is returned.
    queries
        How many.
    """
    places = rng.choice(len(X), min(queries, len(X)), replace=False)
    found = []
    for place in places:
        lengths = np.sqrt(np.square(X - X[place]).sum(1))
        lengths = lengths[lengths > 0]
        found.append(lengths.max() / lengths.min() - 1)
    return float(np.median(found))


def distances(report: Report) -> None:
    """Show how distances become alike."""
    rng = np.random.default_rng(report.random_state)
    d = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
    n = report.pick(2000, 200)
    found = [contrast(rng.uniform(0, 1, (n, k)), rng) for k in d]
    report.section("distances", _("Distances become alike"))
    report.picture(
        figures.curves(
            {"": found}, x=d, xlabel=_("dimensions"), ylabel=_("(farthest − nearest) / nearest"),
            log="xy",
        ),
        _("How much farther the farthest point is than the nearest, by dimension."),
        _("{n} random points of the cube: the median over points.").format(n=f"{n:,}"),
    )  # fmt: skip
    report.text(
        _(
            "In {few} dimensions the farthest of {n} points is {near} times as far as the nearest; "
            "in {many} it is {far} times as far. Where all are about equally far, a nearest "
            "neighbour says little."
        ).format(
            few=d[1], many=f"{d[-1]:,}", n=f"{n:,}", near=written(found[1] + 1),
            far=written(found[-1] + 1),
        )
    )  # fmt: skip
    report.figures["contrast"] = dict(zip(map(str, d), found, strict=True))
    report.claim(
        "S7",
        "D",
        _("in many dimensions, points are far from the centre and from each other"),
        _(
            "the farthest is {near} times as far as the nearest in 2 dimensions, {far} in {d}"
        ).format(near=written(found[1] + 1), far=written(found[-1] + 1), d=f"{d[-1]:,}"),
        "confirmed" if found[-1] < 1 < found[1] else "refuted",
    )


def components(X: NDArray[Any], share: float) -> int:
    """Return how many principal components hold a share of the variance of samples."""
    centred = np.asarray(X, np.float64) - np.mean(X, 0)
    wide = centred.shape[1] > len(centred)
    variances = np.linalg.eigvalsh(centred @ centred.T if wide else centred.T @ centred)[::-1]
    held = np.cumsum(np.maximum(variances, 0)) / variances.sum()
    return int(np.searchsorted(held, share) + 1)


def data(report: Report) -> float:
    """Estimate the dimensions of data; return that of the digits."""
    rng = np.random.default_rng(report.random_state)
    rows = []
    for name in SETS:
        dataset = report.load(name, n=report.pick(SHAPES, 300) if name == "shapes" else None)
        report.progress(_("measuring {name}").format(name=name))
        flat = np.asarray(dataset.X, np.float32).reshape(len(dataset.X), -1)
        queries, seed = report.pick(4000, 300), report.random_state
        two = intrinsic_dimension(dataset.X, "two_nn", queries=queries, random_state=seed)
        most = intrinsic_dimension(dataset.X, "mle", queries=queries, random_state=seed)
        held = components(flat, KEPT)
        rows.append(
            (name, len(flat), flat.shape[1], held, two, most, contrast(flat[:2000], rng, 50))
        )
    report.section("data", _("What data need"))
    report.text(
        _(
            "Two estimates of how many numbers a sample really needs: TwoNN looks at the two "
            "nearest neighbours of each sample, maximum likelihood at twenty. Both are too low "
            "where the dimension is high and samples are few. Principal components span flat "
            "space; the surface of the data is curved, so more of them are needed."
        )
    )
    report.table(
        _("Columns, principal components, and intrinsic dimension"),
        (
            _("data"), _("samples"), _("columns"),
            _("components for {share} of the variance").format(share=f"{KEPT:.0%}"),
            _("TwoNN"), _("maximum likelihood"), _("(farthest − nearest) / nearest"),
        ),
        rows,
    )  # fmt: skip
    report.figures["intrinsic dimension"] = {
        row[0]: {"two_nn": row[4], "mle": row[5]} for row in rows
    }
    report.claim(
        "S7",
        "D",
        _("the intrinsic dimension of data is far below the number of columns"),
        "; ".join(
            _("{name}: {low} to {high} of {columns}").format(
                name=row[0], low=written(min(row[4:6])), high=written(max(row[4:6])),
                columns=f"{row[2]:,}",
            )
            for row in rows
        ),
        "confirmed" if all(FAR * max(row[4:6]) <= row[2] for row in rows) else "refuted",
    )  # fmt: skip
    return float(rows[0][4])


def by_code(report: Report, dimension: float) -> None:
    """Fit the digits through codes of several sizes, beside PCA."""
    from sklearn.decomposition import PCA

    digits = report.load("digits")
    X, X_test = digits.X, digits.X_test
    flat, flat_test = (np.asarray(each).reshape(len(each), -1) for each in (X, X_test))
    variance = np.square(flat_test - flat.mean(0)).sum()
    sizes = report.pick(CODES, CODES[1:4])
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 1))
    ours, theirs = [], []
    for size in sizes:
        models = [
            report.fit(
                f"code-{size}-seed-{seed}",
                {**LEARNED, "latent_dim": size, "random_state": seed}, X, data="digits",
            )
            for seed in seeds
        ]  # fmt: skip
        ours.append(
            [float(np.square(m.reconstruct(X_test) - X_test).sum() / variance) for m in models]
        )
        pca = PCA(size, random_state=0).fit(flat)
        back = pca.inverse_transform(pca.transform(flat_test))
        theirs.append(float(np.square(back - flat_test).sum() / variance))
    means = [float(np.mean(each)) for each in ours]
    report.section("codes", _("Codes of the digits, by size"))
    report.picture(
        figures.curves(
            {_("autoencoder"): np.transpose(ours), _("PCA"): theirs}, x=sizes,
            xlabel=_("numbers in the code"), ylabel=_("share of the variance that is lost"),
            log="xy",
        ),
        _("The share of the variance of held-out digits that is lost, by code size."),
        _("Held-out digits: the mean of the seeds, shaded from least to most."),
    )  # fmt: skip
    report.table(
        _("Share of the variance of held-out digits that is lost"),
        (_("numbers in the code"), _("autoencoder"), _("PCA")),
        [(size, spread(each), pca) for size, each, pca in zip(sizes, ours, theirs, strict=True)],
    )
    at = int(np.argmin(np.abs(np.log(np.array(sizes[1:-1]) / dimension)))) + 1
    before, after = means[at - 1] / means[at], means[at] / means[at + 1]
    report.text(
        _(
            "The digits' dimension is about {dimension} by TwoNN. From {less} to {at} numbers the "
            "error of the autoencoder falls by a factor of {before}, from {at} to {more} by "
            "{after}."
        ).format(
            dimension=written(dimension), less=sizes[at - 1], at=sizes[at], more=sizes[at + 1],
            before=written(before), after=written(after),
        )
    )  # fmt: skip
    report.figures["lost by code size"] = dict(zip(map(str, sizes), means, strict=True))
    report.claim(
        "S7",
        "D",
        _("a code smaller than the intrinsic dimension loses much; a larger one gains little"),
        _("twice the numbers, {less} to {at}: {before} times less; {at} to {more}: {after}").format(
            less=sizes[at - 1], at=sizes[at], more=sizes[at + 1], before=written(before),
            after=written(after),
        ),
        "confirmed" if after < before else "refuted",
    )  # fmt: skip
    report.claim(
        "S7",
        "D",
        _("a curved surface needs fewer numbers than principal components"),
        _("{n} numbers lose {ours}, as many components {theirs}").format(
            n=sizes[at], ours=f"{means[at]:.1%}", theirs=f"{theirs[at]:.1%}"
        ),
        compare(means[at], theirs[at]),
    )


RECIPE = Recipe(
    name="dimension",
    title=mark("How many dimensions data have"),
    summary=mark(
        "What becomes of balls and distances in many dimensions, and how many numbers do pictures "
        "really need?"
    ),
    rows=("S7",),
    minutes=5,
    run=run,
)
