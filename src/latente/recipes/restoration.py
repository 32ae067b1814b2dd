"""Restoration: watermarks off, what is missing filled in, grey to colour. Rows U6, U7 and U8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import figures, metrics
from ..errors import MissingExtra
from ..estimator import Autoencoder
from ..figures.pictures import corrupted
from ..losses.colours import separated
from .language import _, mark
from .report import Recipe, Report

PEOPLE = 8
"""How many people are held out."""
TUNED_ON = 12
"""Training pictures on which the parameters of the classical methods are chosen."""
SHOWN = 6
GREY = 4
"""Mean difference between a photograph's channels below which it has no colours to give back."""
PHOTOGRAPHS, TESTED = 10_000, 300
"""Photographs that are learned from at most, and those that are restored."""
SKIPPING = "down='pool', skips=True"
NETWORK = f"conv(channels=[12, 24, 48, 64], code='spatial', residual=True, {SKIPPING})"
TRAINING = {
    "network": NETWORK,
    "batch_size": 4,
    "schedule": "one_cycle",
    "learning_rate": 0.004,
    "validation_fraction": 0.0,
    "scaling": "unit",
}
WATERMARK = {**TRAINING, "corruption": "watermark", "loss": "squared", "epochs": 40}
"""By the absolute error it gives back what it gets: most pixels need no change, so none pays."""
ERASED = {
    **TRAINING,
    "network": f"conv(channels=[12, 24, 48, 64, 64], code='spatial', residual=True, {SKIPPING})",
    "corruption": "erase(share=0.25, mask_channel=True)",
    "epochs": 60,
}
"""A stage more: the innermost map sees the whole face around a large hole."""
FILLED_BY = {"squared": mark("squared error"), "structural": mark("structural loss")}
GREY_TO_COLOUR = {**TRAINING, "corruption": "grayscale", "batch_size": 32, "epochs": 12}
COLOURED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "squared": (mark("squared error"), {"loss": "squared"}),
    "tints": (
        mark("choice of tints"),
        {
            "loss": "colours(balance=0.8, temperature=0.7)",
            "network": f"conv(channels=[16, 32, 64, 64], code='spatial', {SKIPPING})",
        },
    ),
}
QUICK = {"epochs": 1, "batch_size": 32}

Floats = NDArray[np.float64]
Pictures = NDArray[np.uint8]
Found = dict[str, Pictures]


@dataclass(frozen=True)
class Classical:
    """A method that is not trained, and the parameters to choose from.

    Parameters
    ----------
    run
        From a picture in [0, 1], which pixels are damaged and the parameters to the restored one.
    choices
        Values of each parameter.
    """

    run: Callable[..., Floats]
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def run(report: Report) -> None:
    """Take watermarks off, fill in what is missing, and give colours back."""
    watermarks(report)
    missing_parts(report)
    colours(report)


def watermarks(report: Report) -> None:
    """Take a half-transparent text off faces."""
    methods = {
        _("non-local means"): Classical(
            non_local_means, {"h": (0.05, 0.1, 0.2), "patch": (3, 7), "distance": (5,)}
        ),
        _("total variation"): Classical(total_variation, {"weight": (0.02, 0.05, 0.1, 0.2)}),
        _("biharmonic, told where"): Classical(biharmonic),
    }
    X, X_test = people(report)
    model = report.fit("watermark", WATERMARK, X, data="faces", quick=QUICK)
    damaged, changed = spoilt(model, X_test, 1)
    found = {_("damaged"): damaged}
    found |= classically(report, model, methods, X, damaged, changed)
    *others, told = found
    ours = _("autoencoder")
    found[ours] = model.reconstruct(damaged)
    report.section("watermark", _("A watermark"))
    report.text(
        _(
            "A half-transparent text lies at a random place of each picture, in a random size. The "
            "network learned from {n} pictures of other people, to which a mark was added anew "
            "each time; it is not told where the mark is. Of the classical methods, whose "
            "parameters were chosen on training pictures, the last is told which pixels the mark "
            "covers, and fills them in."
        ).format(n=len(X))
    )
    score = scores(report, X_test, found)
    best = max(others, key=lambda name: score[name][0])
    worst_to_best(report, X_test, {key: found[key] for key in (_("damaged"), told, ours)})
    report.code(
        "watermark",
        ["reconstructions(model, faces.X, 6)"],
        ["reconstruct damaged/ -m watermark.safetensors -o restored/"],
    )
    report.figures |= {"watermark, PSNR": score[ours][0], "watermark, SSIM": score[ours][1]}
    report.claim(
        "U6",
        "D",
        _("trained on clean pictures with a mark added, a network takes the mark off"),
        _(
            "{ours:.1f} dB; {best:.1f} dB the best that is not told where the mark is ({name}), "
            "{told:.1f} dB the one that is told"
        ).format(ours=score[ours][0], best=score[best][0], name=best, told=score[told][0]),
        "confirmed" if score[ours][0] > score[best][0] else "refuted",
    )


def missing_parts(report: Report) -> None:
    """Fill in a quarter of each face."""
    X, X_test = people(report)
    models = {
        loss: report.fit(f"erased-{loss}", {**ERASED, "loss": loss}, X, data="faces", quick=QUICK)
        for loss in FILLED_BY
    }
    first = models["squared"]
    damaged, changed = spoilt(first, X_test, 1)
    found = {_("erased"): damaged}
    found |= classically(
        report, first, {_("biharmonic"): Classical(biharmonic)}, X, damaged, changed
    )
    for loss, name in FILLED_BY.items():
        found[_("autoencoder, {loss}").format(loss=_(name))] = models[loss].reconstruct(
            damaged, changed
        )
    report.section("missing", _("A quarter is missing"))
    report.text(
        _(
            "Boxes at random places, together a quarter of each picture, are erased; all methods "
            "are told where. Each value of the network's innermost map sees the whole face, so "
            "that one side tells of the other. The squared error asks for the mean of all that may "
            "have been there, which is smooth; the structural loss asks for contrast."
        )
    )
    score = scores(report, X_test, found)
    worst_to_best(report, X_test, found)
    _erased, classical, squared, structural = score.values()
    report.figures |= {"filled in, PSNR": squared[0], "filled in, SSIM": structural[1]}
    better = squared[0] > classical[0] and structural[1] > classical[1]
    report.claim(
        "U7",
        "D",
        _("a network fills in what is missing"),
        _(
            "{squared:.1f} dB by the squared error, SSIM {structural:.3f} by the structural loss; "
            "biharmonic {classical:.1f} dB, {similar:.3f}"
        ).format(
            squared=squared[0],
            structural=structural[1],
            classical=classical[0],
            similar=classical[1],
        ),
        "confirmed" if better else "not reached",
    )


def colours(report: Report) -> None:
    """Give grey photographs their colours back."""
    X, X_test = photographs(report)
    found: Found = {}
    both = np.concatenate([X, X[:, :, ::-1]])
    for key, (name, settings) in COLOURED_BY.items():
        keywords = {**GREY_TO_COLOUR, **settings}
        model = report.fit(f"colour-{key}", keywords, both, data="cifar10", quick=QUICK)
        grey, _changed = spoilt(model, X_test, 1)
        found = found or {_("grey"): grey}
        found[_("autoencoder, {loss}").format(loss=_(name))] = model.reconstruct(grey)
    report.section("colours", _("Grey to colour"))
    report.text(
        _(
            "{n} photographs of 32×32 pixels and their mirror images are learned from, {tested} "
            "others are coloured. What a grey was cannot be known: the squared error asks for the "
            "mean of all colours that it may have had, and that is a pale brown. The choice of "
            "tints counts rare tints nearly as much as common ones: it gives bolder colours, and "
            "is further off where it is wrong. "
            "Colourfulness is the mean distance from grey, beside that of the true colours."
        ).format(n=f"{len(X):,}", tested=len(X_test))
    )
    bold = {name: chroma(back) / chroma(X_test) for name, back in found.items()}
    score = scores(
        report, X_test, found, {_("colourfulness"): [f"{each:.0%}" for each in bold.values()]}
    )
    worst_to_best(report, X_test, found)
    (grey_db, _same), (squared_db, _near), (tints_db, _far) = score.values()
    _none, squared, tints = bold.values()
    report.figures |= {
        "colour, PSNR": squared_db,
        "colourfulness, squared": squared,
        "colourfulness, tints": tints,
    }
    report.claim(
        "U8",
        "D",
        _("from a grey picture the three channels come back"),
        _("{ours:.1f} dB by the squared error; the grey picture itself has {grey:.1f} dB").format(
            ours=squared_db, grey=grey_db
        ),
        "confirmed" if squared_db > grey_db else "refuted",
    )
    report.claim(
        "U8",
        "D",
        _("the colours look like the original's"),
        _(
            "{squared:.0%} of its colourfulness by the squared error; {tints:.0%} by the choice of "
            "tints, at {decibels:.1f} dB"
        ).format(squared=squared, tints=tints, decibels=tints_db),
        "confirmed" if 0.75 <= tints <= 1.25 and tints_db > grey_db else "not reached",
    )


def people(report: Report) -> tuple[Pictures, Pictures]:
    """Return the faces of some people to learn from, and those of the others."""
    data = report.load("faces")
    y = np.asarray(data.y)
    drawn = np.random.default_rng(0).permutation(np.unique(y))[:PEOPLE]
    held = np.isin(y, drawn)
    X, X_test = np.asarray(data.X)[~held], np.asarray(data.X)[held]
    return report.pick(X, X[:64]), report.pick(X_test, X_test[:8])


def photographs(report: Report) -> tuple[Pictures, Pictures]:
    """Return photographs with colours to learn from, and others."""
    X = np.asarray(report.load("cifar10").X)
    X = X[np.ptp(X, axis=-1).mean((1, 2)) >= GREY]
    X = X[np.random.default_rng(0).permutation(len(X))]
    held = len(X) // 10
    return X[held : held + report.pick(PHOTOGRAPHS, 128)], X[:held][: report.pick(TESTED, 16)]


def spoilt(model: Autoencoder, X: Pictures, seed: int) -> tuple[Pictures, NDArray[np.bool_]]:
    """Return pictures with the damage that a model was trained on, and which pixels it changed."""
    damaged, mask = corrupted(model, X, seed)
    differs = damaged != X
    changed = differs.any(-1) if differs.ndim == 4 else differs
    return damaged, changed if mask is None else mask


def classically(
    report: Report,
    model: Autoencoder,
    methods: Mapping[str, Classical],
    X: Pictures,
    damaged: Pictures,
    changed: NDArray[np.bool_],
) -> Found:
    """Return what classical methods make of damaged pictures, tuned on training pictures."""
    some = X[np.linspace(0, len(X) - 1, report.pick(TUNED_ON, 2)).astype(int)]
    known, where = spoilt(model, some, 2)
    found = {}
    for name, method in methods.items():
        report.progress(_("restoring by {method}").format(method=name))
        found[name] = applied(method, damaged, changed, tuned(method, some, known, where))
    return found


def tuned(
    method: Classical, clean: Pictures, damaged: Pictures, changed: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the parameters of a method with the highest PSNR."""
    options = [
        dict(zip(method.choices, values, strict=True))
        for values in product(*method.choices.values())
    ]

    def reached(option: dict[str, Any]) -> float:
        return float(metrics.psnr(clean, applied(method, damaged, changed, option), 255).mean())

    return max(options, key=reached) if len(options) > 1 else options[0]


def applied(
    method: Classical, damaged: Pictures, changed: NDArray[np.bool_], option: Mapping[str, Any]
) -> Pictures:
    """Return all pictures as a classical method restores them."""
    pairs = zip(damaged / 255, changed, strict=True)
    restored = np.stack([method.run(x, where, **option) for x, where in pairs])
    return np.asarray(np.rint(restored.clip(0, 1) * 255), np.uint8)


def non_local_means(x: Floats, where: Any, h: float, patch: int, distance: int) -> Floats:
    """Return a picture whose pixels are means of those with like neighbourhoods."""
    return np.asarray(
        classical().denoise_nl_means(x, patch_size=patch, patch_distance=distance, h=h)
    )


def total_variation(x: Floats, where: Any, weight: float) -> Floats:
    """Return a picture with smaller differences between neighbours."""
    return np.asarray(classical().denoise_tv_chambolle(x, weight=weight))


def biharmonic(x: Floats, where: Any) -> Floats:
    """Return a picture whose damaged pixels are filled in as smoothly as can be."""
    return np.asarray(classical().inpaint_biharmonic(x, where))


def classical() -> Any:
    """Return scikit-image's methods of restoration.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        from skimage import restoration
    except ImportError as error:
        raise MissingExtra(
            "the recipe 'restoration' compares with scikit-image, which is not installed: "
            "pip install scikit-image"
        ) from error
    return restoration


def scores(
    report: Report,
    X: Pictures,
    found: Mapping[str, Pictures],
    more: Mapping[str, list[str]] | None = None,
) -> dict[str, tuple[float, float]]:
    """Add a table of PSNR and SSIM, and return both by method.

    Parameters
    ----------
    report
        Gets the table.
    X
        The clean pictures.
    found
        What each method makes of the damaged ones.
    more
        Further columns.
    """
    reached = {
        name: (
            float(metrics.psnr(X, back, 255).mean()),
            float(metrics.ssim(X, back, 255).mean()),
        )
        for name, back in found.items()
    }
    columns = more or {}
    rows = [
        (name, f"{decibels:.2f}", f"{similar:.3f}", *(cells[i] for cells in columns.values()))
        for i, (name, (decibels, similar)) in enumerate(reached.items())
    ]
    caption = _("Means over {n} pictures that nothing was learned from").format(n=len(X))
    report.table(caption, (_("method"), _("PSNR, dB"), "SSIM", *columns), rows)
    return reached


def worst_to_best(report: Report, X: Pictures, found: Mapping[str, Pictures]) -> None:
    """Show pictures at equal steps from the worst restored to the best, by the last method."""
    decibels = {name: metrics.psnr(X, back, 255) for name, back in found.items()}
    *_others, last = found
    order = np.argsort(decibels[last])
    some = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    report.picture(
        figures.rows(
            {_("clean"): X[some]} | {name: back[some] for name, back in found.items()},
            captions={name: [f"{each:.1f} dB" for each in decibels[name][some]] for name in found},
        ),
        _("Clean pictures, damaged ones, and what each method makes of them."),
        _("The worst restored at the left, the best at the right, by the last row."),
    )


def chroma(X: Pictures) -> float:
    """Return the mean distance of pixels from grey."""
    planes = torch.from_numpy(np.asarray(X)).float().movedim(3, 1) / 255
    return float(separated(planes)[1].norm(dim=1).mean())


RECIPE = Recipe(
    name="restoration",
    title=mark("Damaged pictures restored"),
    summary=mark(
        "What does a network give back of what lies under a watermark, of what is missing, and of "
        "colours?"
    ),
    rows=("U6", "U7", "U8"),
    minutes=30,
    run=run,
)
