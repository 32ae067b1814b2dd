"""Maps of codes of two numbers: convolutional, dense and variational, and the holes between.

Rows S6 and U1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import figures, latent
from ..data.dataset import Dataset
from ..estimator import Autoencoder
from ..figures.density import Density
from ..metrics import Numbers, agreement
from .baselines import PrincipalComponents, unit
from .language import _, mark
from .report import Recipe, Report

KEYWORDS = {
    "latent_dim": 2,
    "loss": "bernoulli",
    "learning_rate": 0.002,
    "schedule": "one_cycle",
    "batch_size": 256,
    "epochs": 40,
}
NETWORKS = {
    "dense": {**KEYWORDS, "network": "dense(hidden=[512])"},
    "convolutional": {**KEYWORDS, "network": "conv(channels=[16, 32], hidden=[128])"},
    "variational": {**KEYWORDS, "network": "dense(hidden=[512])", "bottleneck": "gaussian"},
}
"""Document E's 784-512-2-512-784, a convolutional network, and the dense one as a variational."""
SHORT = {"epochs": 2, "learning_rate": 0.0001}
FEW = 360
"""How a quick run trains, and on how many pictures."""
SHOWN = 2000
"""Test pictures on a map."""
STEPS = 20
"""Places along each side of a grid."""
SEEN = 0.95
"""Share of the codes whose region is not a hole."""
KNOWN = 10_000
"""Training pictures that decoded ones are compared with."""


class Grid(NamedTuple):
    """A square of codes, decoded: pictures where codes lie, and those in holes.

    NaN is what there is no picture of.
    """

    inside: float
    """Share of its places that lie where codes are."""
    apart: tuple[float, float]
    """Root mean squared difference from the nearest training picture: there, and in holes."""
    grey: tuple[float, float]
    """Share of the ink that is grey, neither black nor white: there, and in holes."""


def run(report: Report) -> None:
    """Train three networks with a code of two numbers, and draw what they made of it."""
    mnist = report.load("mnist")
    X = np.asarray(mnist.X)[: report.pick(None, FEW)]
    train, held_out = np.split(X, [len(X) * 5 // 6])
    models = {
        name: report.fit(name, keywords, train, data="mnist", validation=held_out, quick=SHORT)
        for name, keywords in NETWORKS.items()
    }
    titles = {
        "dense": _("dense"),
        "convolutional": _("convolutional"),
        "variational": _("variational, dense"),
    }
    pair = {titles[name]: models[name] for name in ("dense", "convolutional")}
    by_epoch(report, mnist, pair, len(held_out))
    drawn(report, mnist, train, models, titles)
    grids(report, train, models, titles)


def by_epoch(report: Report, mnist: Dataset, models: dict[str, Autoencoder], held_out: int) -> None:
    """Compare the loss of the convolutional and the dense network, epoch by epoch."""
    lines = {}
    for name, model in models.items():
        for part, key in ((_("training"), "reconstruction"), (_("held out"), VALIDATION)):
            lines[f"{name}, {part}"] = [record[key] / 784 for record in model.history_]
    report.section("loss", _("Loss by epoch"))
    report.text(
        _(
            "Both networks have a code of two numbers, and are trained alike. The convolutional "
            "one has {conv} parameters, the dense one {dense}."
        ).format(
            **{
                key: f"{model.n_parameters_:,}"
                for key, model in zip(("dense", "conv"), models.values(), strict=True)
            }
        )
    )
    report.picture(
        figures.curves(lines, xlabel=_("epoch"), ylabel=_("cross-entropy a pixel"), log="y"),
        _("Loss of the dense and the convolutional network by epoch."),
        _("Of training pictures, and of {n} that were held out.").format(n=f"{held_out:,}"),
    )
    rows = []
    for name, model in models.items():
        found = model.evaluate(mnist.X_test)
        seconds = float(np.median([record["seconds"] for record in model.history_]))
        rows.append((name, model.n_parameters_, seconds, found["bce"], found["mse"]))
    head = (
        _("network"), _("parameters"), _("seconds an epoch"), _("test BCE"), _("test MSE"),
    )  # fmt: skip
    report.table(_("After all epochs, on test pictures"), head, rows)
    dense, conv = (
        [record[VALIDATION] / 784 for record in model.history_] for model in models.values()
    )
    ahead = sum(ours < theirs for ours, theirs in zip(conv, dense, strict=True))
    ours, theirs = rows[1][3], rows[0][3]
    report.claim(
        "S6",
        "E",
        _("the convolutional network learns faster than the dense one, epoch by epoch"),
        _(
            "with two numbers: ahead after {ahead} of {epochs} epochs, test cross-entropy "
            "{ours:.4f} against {theirs:.4f} at the end"
        ).format(ahead=ahead, epochs=len(conv), ours=ours, theirs=theirs),
        "confirmed" if 2 * ahead > len(conv) and ours < theirs else "refuted",
    )


def drawn(
    report: Report,
    mnist: Dataset,
    train: NDArray[Any],
    models: dict[str, Autoencoder],
    titles: dict[str, str],
) -> None:
    """Draw the map of each network, beside that of PCA."""
    X_test, y_test = np.asarray(mnist.X_test), np.asarray(mnist.y_test)
    some, classes = X_test[:SHOWN], y_test[:SHOWN]
    report.section("maps", _("Maps of the codes"))
    report.text(
        _(
            "Test digits that no network was trained on, each at its code. The classes give the "
            "colours alone: no network knows them. Shaded is where half, four fifths and "
            "nineteen twentieths of the codes lie."
        )
    )
    pca = PrincipalComponents.learn(train)
    shares = {_("PCA"): agreement(pca.codes(X_test, 2), y_test)}
    for name, model in models.items():
        shares[titles[name]] = agreement(model.transform(X_test), y_test)
        title = _("Map of test digits: {name}.").format(name=titles[name])
        report.picture(
            figures.latent_map(model, some, classes, thumbnails=False, density=True),
            title,
            _("{name}: {share:.0%} of a digit's five nearest neighbours are the same digit.")
            .format(name=titles[name], share=shares[titles[name]]),
        )  # fmt: skip
    report.picture(
        figures.pca_map(some, classes, train=train[:KNOWN], thumbnails=False),
        _("Map of test digits: PCA."),
        _("PCA: {share:.0%} of a digit's five nearest neighbours are the same digit.").format(
            share=shares[_("PCA")]
        ),
    )
    report.picture(
        figures.bars(shares, ylabel=_("share of nearest neighbours of the same digit")),
        _("Share of nearest neighbours that are the same digit, by map."),
        _("Of all test digits."),
    )
    report.code(
        "dense",
        ["latent_map(model, mnist.X_test, mnist.y_test, density=True)"],
        ["plot map mnist -m dense.safetensors -o map.png"],
    )
    ours, theirs = shares[titles["dense"]], shares[_("PCA")]
    report.figures["neighbours of the same digit"] = shares
    report.claim(
        "U1",
        "DE",
        _("each digit forms a cluster in the plane of the codes, though classes are not used"),
        _("{ours:.0%} of nearest neighbours are the same digit; PCA {theirs:.0%}").format(
            ours=ours, theirs=theirs
        ),
        "confirmed" if ours > theirs else "refuted",
    )


def grids(
    report: Report,
    train: NDArray[Any],
    models: dict[str, Autoencoder],
    titles: dict[str, str],
) -> None:
    """Decode a grid over each network's plane, and measure how much of it is a hole."""
    steps = report.pick(STEPS, 12)
    known = unit(train[:KNOWN])
    found = {name: measured(model, train, known, steps) for name, model in models.items()}
    report.section("grids", _("Grids over the plane, and holes"))
    report.text(
        _(
            "Places of a plain code are taken evenly over the range of the codes, as document E "
            "does it. Those of the variational one are as likely as each other under its prior. "
            "Pale is what lies in a hole: outside of the densest region that holds "
            "nineteen twentieths of the codes of training digits."
        )
    )
    for name, model in models.items():
        report.picture(
            figures.decode_grid(model, steps, X=train[:KNOWN]),
            _("Grid over the code plane: {name}.").format(name=titles[name]),
            _("{name}: {inside:.0%} of the grid lies where codes are.").format(
                name=titles[name], inside=found[name].inside
            ),
        )
    head = (
        _("network"), _("grid where codes are"), _("grey, there"), _("grey, in holes"),
        _("distance, there"), _("distance, in holes"),
    )  # fmt: skip
    rows = [
        (titles[name], grid.inside, *map(known_or_none, (*grid.grey, *grid.apart)))
        for name, grid in found.items()
    ]
    report.table(
        _(
            "Grey is the share of the ink that is neither black nor white: 0 for a clear picture. "
            "The distance is the root mean squared difference of a pixel from the most similar "
            "of {n} training digits."
        ).format(n=f"{len(known):,}"),
        head,
        rows,
    )
    report.code(
        "variational",
        ["decode_grid(model, X=mnist.X[:10000])"],
        ["plot grid -m variational.safetensors -o grid.png"],
    )
    plain, variational = found["dense"], found["variational"]
    report.figures["grid"] = {name: grid._asdict() for name, grid in found.items()}
    report.claim(
        "S6",
        "E",
        _("the plain code leaves holes, which the variational one fills"),
        _("codes lie in {plain:.0%} of the plain grid and in {variational:.0%} of the variational")
        .format(plain=plain.inside, variational=variational.inside),
        "confirmed" if plain.inside < variational.inside else "refuted",
    )  # fmt: skip
    report.claim(
        "S6",
        "E",
        _("pictures decoded in a hole are less clear"),
        _("plain: {far:.0%} of the ink is grey in holes, {near:.0%} elsewhere").format(
            far=plain.grey[1], near=plain.grey[0]
        ),
        "confirmed" if plain.grey[1] > plain.grey[0] else "refuted",
    )


def measured(model: Autoencoder, train: NDArray[Any], known: Numbers, steps: int) -> Grid:
    """Return how much of a grid lies where codes are, and how unlike digits the rest is."""
    codes = latent.grid(model, steps, X=train[:KNOWN])
    density = Density.learn(model.transform(train[:KNOWN]).astype(np.float64))
    inside = density(codes.astype(np.float64)) >= density.level(SEEN)
    pictures = unit(model.inverse_transform(codes))
    apart, grey = (
        (mean(each[inside]), mean(each[~inside]))
        for each in (distance(pictures, known), greyness(pictures))
    )
    return Grid(float(inside.mean()), apart, grey)


def known_or_none(value: float) -> float | None:
    """Return a number, or None for NaN, which a table leaves empty."""
    return None if np.isnan(value) else value


def mean(values: Numbers) -> float:
    """Return the mean of values; NaN of none."""
    return float(values.mean()) if len(values) else np.nan


def greyness(pictures: Numbers) -> Numbers:
    """Return the share of each picture's ink that is grey, (n,): Σ v(1 − v) / Σ v."""
    ink = pictures.sum(axis=1)
    return np.asarray((pictures * (1 - pictures)).sum(axis=1) / np.maximum(ink, 1e-12))


def distance(pictures: Numbers, known: Numbers) -> Numbers:
    """Return the root mean squared difference of each picture from the nearest known one, (n,)."""
    squares = (
        np.square(pictures).sum(axis=1)[:, None]
        + np.square(known).sum(axis=1)[None]
        - 2 * pictures @ known.T
    )
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1), 0) / pictures.shape[1]))


VALIDATION = "validation_reconstruction"
"""What the history calls the loss of pictures that were held out."""
RECIPE = Recipe(
    name="maps",
    title=mark("Maps of the code, and its holes"),
    summary=mark(
        "Codes of two numbers by a convolutional, a dense and a variational network: loss by "
        "epoch, maps, and decoded grids with their holes."
    ),
    rows=("S6", "U1"),
    minutes=14,
    run=run,
)
