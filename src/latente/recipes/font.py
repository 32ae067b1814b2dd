"""The font of document A: 96 glyphs through a code of two numbers, and glyphs that are in no font.

Rows M1, U1 and U2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import figures, latent
from ..estimator import Autoencoder
from .font_causes import why
from .font_optimizers import spread
from .glyphs import GIVEN, wrong_pixels
from .language import _, mark
from .report import Recipe, Report, compare

LEARNED = {
    "latent_dim": 2,
    "network": "dense(hidden=[100, 50], activation='tanh')",
    "loss": "bernoulli",
    "learning_rate": 0.003,
    "schedule": "cosine",
    "epochs": 6000,
    "batch_size": 96,
    "validation_fraction": 0.0,
}
SIZES = (
    (5,), (10,), (16,), (20,), (24,), (28,), (32,), (40,), (20, 10), (24, 12), (40, 20),
)  # fmt: skip
"""Hidden layers, from the document's on, of networks that are trained in the same way."""
PATIENT = {**LEARNED, "learning_rate": 0.01, "epochs": 20_000}
"""More iterations at a higher rate: what small networks need."""
SEEDS = 3
STEPS = 60
"""Places along each side of the plane that are decoded."""


def run(report: Report) -> None:
    """Learn the font as the document does, then so that it is learned."""
    X = report.load("font").X
    as_given(report, X)
    why(report, X[32:64])
    model = learned(report, X)
    smallest(report, X)
    new_letters(report, model, X)


def as_given(report: Report, X: Any) -> None:
    """Train the document's network on its 32 glyphs."""
    some = X[32:64]
    model = report.fit("as-given", GIVEN, some, data="font", quick={"epochs": 20})
    wrong = wrong_pixels(model, some)
    codes = model.transform(some)
    apart = len(np.unique(np.round(codes, 2), axis=0))
    report.section("given", _("As the document has it"))
    report.text(
        _(
            "35-5-2-5-35 with a sigmoid behind every layer, squared error and plain gradient "
            "descent at a rate of 0.1, 10,000 iterations on 32 glyphs. {wrong} of {of} pixels come "
            "back wrong. The codes of the 32 glyphs, rounded to two decimals, are {apart} "
            "different pairs of numbers."
        ).format(wrong=wrong, of=some.size, apart=apart)
    )
    report.picture(
        figures.reconstructions(model, some, 16),
        _("Glyphs above, what the document's network makes of them below."),
    )
    report.picture(
        figures.latent_map(model, some),
        _("The 32 glyphs in the code plane of the document's network."),
    )
    report.figures["wrong pixels as given"] = wrong
    report.claim(
        "M1",
        "A",
        _("35-5-2-5-35 does not learn its 32 glyphs"),
        _("{wrong} of {of} pixels wrong").format(wrong=wrong, of=f"{some.size:,}"),
        "confirmed" if wrong else "refuted",
    )


def learned(report: Report, X: Any) -> Autoencoder:
    """Train a network that learns all 96 glyphs."""
    model = report.fit("learned", LEARNED, X, data="font", quick={"epochs": 400})
    wrong = wrong_pixels(model, X)
    report.section("learned", _("All 96 glyphs"))
    report.text(
        _(
            "Two wider hidden layers on each side, hyperbolic tangents, the cross-entropy that "
            "fits black and white pixels, and Adam. Of {of} pixels {wrong} come back wrong."
        ).format(wrong=wrong, of=f"{X.size:,}")
    )
    report.picture(
        figures.latent_map(model, X),
        _("The 96 glyphs of the font, each drawn at its code."),
        _("Every glyph at its code: letters that look alike lie together."),
    )
    report.code(
        "learned",
        ["latent_map(model, font.X)"],
        ["plot map font -m learned.safetensors -o map.png"],
    )
    report.figures["wrong pixels"] = wrong
    report.claim(
        "M1",
        "A",
        _("every glyph through one code of two numbers, no pixel wrong"),
        _("{wrong} of {of} pixels wrong, of 96 glyphs").format(wrong=wrong, of=f"{X.size:,}"),
        compare(wrong, 0),
    )
    report.claim(
        "U1", "A", _("the glyphs in the code plane"), _("all 96 drawn, see the map"), "confirmed"
    )
    return model


def smallest(report: Report, X: Any) -> None:
    """Find how small the network may be."""
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 1))
    rows = []
    for hidden in report.pick(SIZES, SIZES[:2]):
        layers = "-".join(map(str, [35, *hidden, 2, *reversed(hidden), 35]))
        network = f"dense(hidden={list(hidden)}, activation='tanh')"
        keywords = {**PATIENT, "network": network}
        models = report.fit_all(
            {f"{layers}-seed-{seed}": {**keywords, "random_state": seed} for seed in seeds},
            X,
            data="font",
            quick={"epochs": 20},
        )
        wrong = [wrong_pixels(model, X) for model in models.values()]
        size = report.fits[f"{layers}-seed-{seeds[0]}"]["parameters"]
        rows.append((layers, size, min(wrong), spread(wrong)))
    rows.sort(key=lambda row: row[1])
    report.section("smallest", _("How small the network may be"))
    report.text(
        _(
            "All 96 glyphs with networks of other sizes, {epochs} iterations of Adam at a rate "
            "that falls from {rate} to nothing, {seeds} seeds each."
        ).format(
            epochs=f"{report.pick(PATIENT['epochs'], 20):,}", rate=PATIENT["learning_rate"],
            seeds=len(seeds),
        )
    )  # fmt: skip
    head = (
        _("network"), _("parameters"), _("least wrong pixels of {of}").format(of=f"{X.size:,}"),
        _("mean ± standard deviation"),
    )  # fmt: skip
    report.table(_("Wrong pixels by network"), head, rows)
    enough = next((row for row in rows if row[2] == 0), None)
    if enough:
        report.figures["smallest without a wrong pixel"] = enough[0]
        report.text(
            _(
                "The smallest of them without a wrong pixel is {layers}, with {n} parameters."
            ).format(layers=enough[0], n=f"{enough[1]:,}")
        )


def new_letters(report: Report, model: Autoencoder, X: NDArray[Any]) -> None:
    """Decode places of the plane where no glyph lies."""
    steps = report.pick(STEPS, 20)
    decoded = model.inverse_transform(latent.grid(model, steps, X=X, span=1.0))
    known = X.reshape(len(X), -1)
    flat = decoded.reshape(len(decoded), -1)
    new = np.unique(flat[differences(flat, known).min(1) > 0], axis=0)
    report.section("new", _("Letters that the font does not contain"))
    if len(new) == 0:
        report.text(_("Every place decodes to a glyph of the font."))
        return
    distance = differences(new, known)
    order = np.argsort(-distance.min(1), kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(14, len(order))).astype(int)]
    nearest = known[distance[shown].argmin(1)]
    report.text(
        _(
            "{places} places of the plane, a grid over the range of the codes, give {new} "
            "different pictures that are in no font."
        ).format(places=f"{len(flat):,}", new=f"{len(new):,}")
    )
    size = (-1, *X.shape[1:])
    pixels = [_("{n} pixels").format(n=n) for n in distance.min(1)[shown]]
    report.picture(
        figures.rows(
            {_("new"): new[shown].reshape(size), _("nearest"): nearest.reshape(size)},
            captions={_("nearest"): pixels},
        ),
        _("New letters above, the nearest glyph of the font below each."),
        _("Above new letters, below each the nearest glyph and in how many pixels they differ."),
    )
    report.figures["new pictures"] = len(new)
    report.claim(
        "U2",
        "A",
        _("the network generates a letter that is not in the font"),
        _("{new} different ones, up to {far} pixels from any glyph").format(
            new=f"{len(new):,}", far=int(distance.min(1).max())
        ),
        "confirmed",
    )


def differences(some: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return in how many pixels each picture differs from each other one, (n, m)."""
    return np.asarray((some[:, None] != others[None]).sum(2))


RECIPE = Recipe(
    name="font",
    title=mark("The font: 96 glyphs in two numbers"),
    summary=mark(
        "Can a network hold every character of a 5×7 font in two numbers, and write letters that "
        "nobody drew?"
    ),
    rows=("M1", "U1", "U2"),
    minutes=8,
    run=run,
)
