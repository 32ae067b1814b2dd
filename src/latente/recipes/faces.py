"""Faces in a hundred numbers, beside PCA; glasses put on and taken off. Rows M13 and U9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from .. import figures, latent, metrics
from ..data.dataset import Dataset
from ..data.pictures import resized
from ..estimator import Autoencoder
from ..latent import Direction
from .alignment import ROUNDS, Placement, place
from .language import _, mark
from .report import Recipe, Report

CODE = 100
SIZE = (56, 46)
COPIES = 24
"""Pictures that are learned from for each that there is, with the picture itself."""
MODEL = {
    "latent_dim": CODE,
    "network": "dense(hidden=[256], activation='gelu', shortcut='pca')",
    "epochs": 20,
    "batch_size": 128,
    "schedule": "one_cycle",
    "scaling": "unit",
    "validation_fraction": 0.0,
}
"""Begins as PCA of the pictures that it learns from."""
QUICK = {"epochs": 1, "network": "dense(hidden=[16], shortcut='pca')"}
TRAINED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "squared": (mark("squared error"), {"loss": "squared", "learning_rate": 1e-4}),
    "structural": (mark("structural loss"), {"loss": "structural", "learning_rate": 3e-4}),
}
"""What the models are trained by: how that is called, and the keywords."""
HELD_OUT = 5
"""Of so many people, in the order of how often they wear glasses, one is held out."""
EYES = (slice(14, 32), slice(4, 42))
"""Where the eyes are in an aligned picture."""
STRENGTHS = (1.0, 1.5, 2.0, 3.0)
ENOUGH = 0.9
"""Share of the training people's edits that a strength must bring about to be chosen."""
GLASSES = {
    "s2": "1111111111",
    "s4": "1110000110",
    "s6": "1111111111",
    "s7": "0001100001",
    "s13": "1100111111",
    "s14": "1111111111",
    "s17": "1100111111",
    "s19": "1110010001",
    "s20": "1110101111",
    "s27": "1111111111",
    "s28": "1111111111",
    "s31": "1111111111",
    "s34": "1111111111",
    "s36": "0000000011",
    "s37": "1111111111",
}
"""The ten pictures of each person who wears glasses in some, 1 where they are worn; seen by eye."""

Pictures = NDArray[np.uint8]
Judge = Callable[[Any], NDArray[np.bool_]]


class People:
    """Aligned faces, who they show, and who is held out.

    Parameters
    ----------
    X
        Pictures, (n, h, w).
    who
        Number of the person in each.
    worn
        Whether glasses are worn.
    """

    def __init__(self, X: Pictures, who: NDArray[Any], worn: NDArray[np.bool_]) -> None:
        self.X, self.who, self.worn = X, who, worn
        order = sorted(set(who.tolist()), key=lambda each: (worn[who == each].sum(), each))
        self.held = np.isin(who, order[HELD_OUT - 1 :: HELD_OUT])
        """Whether a picture shows a person whom nothing is learned from."""


def run(report: Report) -> None:
    """Align faces, hold them in a hundred numbers, and put glasses on them."""
    data = report.load("faces")
    worn = report.pick(glasses_in(data), np.arange(len(data.X)) % 3 == 0)
    known = worn is not None
    who = np.asarray(data.y)
    people = People(alignment(report, data), who, worn if known else np.zeros(len(who), bool))
    models = hundred_numbers(report, people)
    if known:
        glasses(report, models["structural"], people)
    else:
        no_labels(report)


def glasses_in(data: Dataset) -> NDArray[np.bool_] | None:
    """Return in which pictures glasses are worn; None for copies whose pictures have no names."""
    if not data.paths:
        return None
    parts = [path.replace("\\", "/").split("/")[-2:] for path in map(str, data.paths)]
    marks = [(GLASSES.get(person, "0" * 10), int(file.split(".")[0])) for person, file in parts]
    return np.array([ten[number - 1] == "1" for ten, number in marks])


def alignment(report: Report, data: Dataset) -> Pictures:
    """Move the faces so that they lie alike, and show what came of it."""
    report.progress(_("aligning faces"))
    small = resized(data.X, SIZE)
    found = place(small, ROUNDS[: report.pick(len(ROUNDS), 1)])
    whole = torch.from_numpy(np.asarray(data.X)).float()[:, None]
    X = resized(np.rint(found.warp(whole)[:, 0].numpy()).clip(0, 255).astype(np.uint8), SIZE)
    report.section("aligned", _("Eyes at one place"))
    report.text(
        _(
            "{n} pictures of {people} people, {height}×{width}. In codes of faces that stand "
            "anywhere, most numbers say where they stand. Each face is moved, turned and scaled "
            "until it agrees best with the mean of all, which is made symmetric, and the mean is "
            "taken anew: no label is needed, and the eyes come to lie at one place."
        ).format(n=len(X), people=len(np.unique(np.asarray(data.y))), height=SIZE[0], width=SIZE[1])
    )
    shown = np.linspace(0, len(X) - 1, 9).astype(int)
    before, after = (
        np.concatenate([pictures.mean(0, keepdims=True).astype(np.uint8), pictures[shown]])
        for pictures in (small, X)
    )
    report.picture(
        figures.rows({_("before"): before, _("aligned"): after}),
        _("Faces before and after they are aligned; the mean of all is the first of each row."),
        _("First in each row the mean of all {n} faces.").format(n=len(X)),
    )
    return X


def hundred_numbers(report: Report, people: People) -> dict[str, Autoencoder]:
    """Fit codes of 100 numbers, and set them beside PCA on people who were not learned from."""
    train, test = people.X[~people.held], people.X[people.held]
    often = varied(train, report.pick(COPIES, 3))
    results = {
        _("PCA"): components(train, test),
        _("PCA of varied copies"): components(often, test),
    }
    models = {}
    for loss, (name, settings) in TRAINED_BY.items():
        models[loss] = report.fit(loss, {**MODEL, **settings}, often, data="faces", quick=QUICK)
        results[_("autoencoder, {loss}").format(loss=_(name))] = models[loss].reconstruct(test)
    report.section("hundred", _("A face in a hundred numbers"))
    report.text(
        _(
            "{n} pictures of {people} people whom no model has seen. The models learned from "
            "{train} pictures of the others and from copies of them, mirrored, moved, turned, "
            "scaled and lit otherwise, {copies} in all. They begin as PCA of these copies and are "
            "bent from there: by the squared error, which PCA makes as small as any linear map "
            "can, and by the structural loss, which asks for the same contrast and structure "
            "around each pixel."
        ).format(
            n=len(test),
            people=len(np.unique(people.who[people.held])),
            train=len(train),
            copies=f"{len(often):,}",
        )
    )
    decibels = {name: metrics.psnr(test, back, 255) for name, back in results.items()}
    rows = [
        (name, f"{decibels[name].mean():.2f}", f"{metrics.ssim(test, back, 255).mean():.3f}")
        for name, back in results.items()
    ]
    head = (_("code of {n} numbers").format(n=CODE), _("PSNR, dB"), "SSIM")
    report.table(_("Reconstructions of unseen people, means over the pictures"), head, rows)
    side_by_side(report, test, results, decibels)
    compared(report, people, results)
    return models


def side_by_side(report: Report, test: Pictures, results: Any, decibels: Any) -> None:
    """Show originals over what each code keeps of them, from the worst picture to the best."""
    *_others, last = results
    order = np.argsort(decibels[last])
    some = order[np.linspace(0, len(order) - 1, min(8, len(order))).astype(int)]
    report.picture(
        figures.rows(
            {_("original"): test[some]} | {name: back[some] for name, back in results.items()},
            captions={
                name: [f"{value:.1f} dB" for value in decibels[name][some]] for name in results
            },
        ),
        _("Faces of unseen people, and what PCA and the autoencoders make of 100 numbers."),
        _("From the worst picture at the left to the best at the right, by the last row."),
    )
    report.code(
        "squared",
        ["reconstructions(model, faces.X, 8)"],
        ["plot reconstructions faces -m squared.safetensors -o faces.png"],
    )


def compared(report: Report, people: People, results: dict[str, Pictures]) -> None:
    """Say how the autoencoders do beside PCA of the same copies."""
    test, whom = people.X[people.held], people.who[people.held]
    _plain, pca, squared, structural = results.values()
    decibels = [metrics.psnr(test, back, 255) for back in (squared, pca)]
    similar = [metrics.ssim(test, back, 255) for back in (structural, pca)]
    report.figures |= {
        "PSNR, squared": decibels[0].mean(),
        "PSNR, PCA": decibels[1].mean(),
        "SSIM, structural": similar[0].mean(),
        "SSIM, PCA": similar[1].mean(),
    }
    report.claim(
        "M13",
        "D",
        _("a face in 100 numbers, nearer to the original than PCA's"),
        _("{ours:.2f} dB by the squared error, {pca:.2f} dB by PCA of the same copies").format(
            ours=decibels[0].mean(), pca=decibels[1].mean()
        ),
        "surpassed" if beyond_chance(decibels[0], decibels[1], whom) else "not reached",
    )
    report.claim(
        "M13",
        "D",
        _("a face in 100 numbers that looks more like the original than PCA's"),
        _("SSIM {ours:.3f} by the structural loss, {pca:.3f} by PCA of the same copies").format(
            ours=similar[0].mean(), pca=similar[1].mean()
        ),
        "surpassed" if beyond_chance(similar[0], similar[1], whom) else "not reached",
    )


def beyond_chance(ours: Any, theirs: Any, whom: Any) -> bool:
    """Return whether a figure is higher by more than two standard errors of the people's means."""
    gains = np.array([(ours - theirs)[whom == each].mean() for each in np.unique(whom)])
    return bool(gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains)))


def glasses(report: Report, model: Autoencoder, people: People) -> None:
    """Add the code of glasses to unseen people, and ask classifiers whether they see them."""
    report.progress(_("putting glasses on"))
    Z, on, off = model.transform(people.X), ~people.held & people.worn, ~people.held & ~people.worn
    way = latent.direction(Z[on], Z[off])
    train, test = people.X[~people.held], people.X[people.held]
    often = varied(train, report.pick(8, 2))
    worn = np.tile(people.worn[~people.held], len(often) // len(train))
    judges = {
        False: judge(model.reconstruct(often), worn),
        True: judge(often, worn),
    }
    right = {
        keep: float((says(seen) == people.worn[people.held]).mean())
        for (keep, says), seen in zip(judges.items(), (model.reconstruct(test), test), strict=True)
    }
    learned, unseen = (
        {
            (strength, keep): both_ways(model, judges[keep], side, way, strength, keep=keep)
            for strength in report.pick(STRENGTHS, STRENGTHS[:2])
            for keep in (False, True)
        }
        for side in (
            (people.X[off], people.X[on]),
            (test[~people.worn[people.held]], test[people.worn[people.held]]),
        )
    )
    tried = [each for each, keep in learned if keep]
    turned = [min(learned[each, True][0], learned[each, False][1]) for each in tried]
    enough = [each for each, share in zip(tried, turned, strict=True) if share >= ENOUGH]
    strength = min(enough, default=tried[-1])
    report.section("glasses", _("Glasses on, glasses off"))
    told(report, people, right, strength)
    rows = [
        (f"{each:g}", _("kept") if keep else _("of the code"), f"{put:.0%}", f"{taken:.0%}")
        for (each, keep), (put, taken) in unseen.items()
    ]
    head = (_("strength"), _("details"), _("put on: sees glasses"), _("taken off: sees none"))
    report.table(_("Answers that turn, of those that were right before; unseen people"), head, rows)
    edited(report, model, people, way, strength)
    verdict(report, unseen, strength)


def both_ways(
    model: Autoencoder,
    says: Judge,
    sides: Any,
    way: Direction,
    strength: float,
    *,
    keep: bool,
) -> tuple[float, float]:
    """Return how often glasses are seen once put on, and no longer once taken off.

    Parameters
    ----------
    model, says
        What edits, and what judges pictures, or reconstructions where details are not kept.
    sides
        Pictures without glasses, and with.
    way, strength, keep
        As `latent.edit` takes them.
    """
    shares = []
    for before, sign in zip(sides, (1, -1), strict=True):
        seen = before if keep else model.reconstruct(before)
        right = says(seen) == (sign < 0)
        after = latent.edit(model, before, way, sign * strength, keep_detail=keep)
        turned = says(after)[right] == (sign > 0)
        shares.append(float(turned.mean()) if len(turned) else 0.0)
    return shares[0], shares[1]


def told(report: Report, people: People, right: dict[bool, float], strength: float) -> None:
    """Say what is done and how it is judged."""
    report.text(
        _(
            "The mean code of training people with glasses less that of those without is the code "
            "of glasses. It is added to unseen people without glasses, and taken from those with. "
            "Classifiers that have no part in the edits say whether they see glasses: of gradients "
            "around the eyes, trained on the same people, right on {pictures:.0%} of the {n} "
            "unseen pictures ({worn} with glasses); and one like it for reconstructions, right on "
            "{back:.0%} of theirs. Details kept: what the edit changes in the reconstruction is "
            "added to the picture itself."
        ).format(
            pictures=right[True],
            back=right[False],
            n=int(people.held.sum()),
            worn=int((people.held & people.worn).sum()),
        ),
        _(
            "Strength 1 is the whole difference of the means. Strength {strength:g}, shown here, "
            "was chosen on the training people: the least that puts glasses on {share:.0%} of "
            "their pictures and takes them off as many reconstructions, or else the largest tried."
        ).format(strength=strength, share=ENOUGH),
    )


def edited(
    report: Report, model: Autoencoder, people: People, way: Direction, strength: float
) -> None:
    """Show unseen people with glasses put on, and taken off."""
    for side, sign, name, alt in (
        (people.held & ~people.worn, 1, _("put on"), _("Glasses put on unseen people.")),
        (people.held & people.worn, -1, _("taken off"), _("Glasses taken off unseen people.")),
    ):
        before = people.X[side]
        some = before[np.linspace(0, len(before) - 1, min(9, len(before))).astype(int)]
        after, kept = (
            latent.edit(model, some, way, sign * strength, keep_detail=keep)
            for keep in (False, True)
        )
        stages = {
            _("original"): some,
            _("its code"): model.reconstruct(some),
            name: after,
            _("{edit}, details kept").format(edit=name): kept,
        }
        report.picture(figures.rows(stages), alt)


def verdict(report: Report, unseen: Any, strength: float) -> None:
    """Say whether the code of glasses gives, and takes, glasses."""
    put, taken = unseen[strength, True][0], unseen[strength, False][1]
    report.figures |= {"glasses put on": put, "glasses taken off": taken}
    report.claim(
        "U9",
        "C",
        _("the code of glasses, added to any face, gives it glasses"),
        _(
            "on {put:.0%} of unseen people's pictures with their details kept, a classifier sees "
            "them; taken off, it sees none in {taken:.0%} of the reconstructions"
        ).format(put=put, taken=taken),
        "confirmed" if min(put, taken) > 0.5 else "not reached",
    )


def no_labels(report: Report) -> None:
    """Say that glasses cannot be told of pictures without names."""
    report.section("glasses", _("Glasses on, glasses off"))
    missing = _("not measured: it needs the folders s1 to s40, by whose names glasses are known")
    report.text(missing)
    says = _("the code of glasses, added to any face, gives it glasses")
    report.claim("U9", "C", says, missing, "measured")


def varied(X: Pictures, times: int) -> Pictures:
    """Return pictures, and copies of them mirrored, moved, turned, scaled and lit otherwise."""
    x = torch.from_numpy(X).float()[:, None]
    generator = torch.Generator().manual_seed(0)

    def drawn(most: float) -> torch.Tensor:
        return (2 * torch.rand(len(x), generator=generator) - 1) * most

    copies = [X, X[:, :, ::-1]]
    for i in range(times - 2):
        moves = Placement(drawn(0.06), drawn(0.06), drawn(0.06), 1 + drawn(0.06), drawn(0.0))
        moved = moves.warp(x.flip(3) if i % 2 else x)[:, 0]
        lit = moved * (1 + drawn(0.12))[:, None, None] + drawn(15.0)[:, None, None]
        copies.append(lit.round().clamp(0, 255).byte().numpy())
    return np.concatenate(copies[:times])


def components(train: Pictures, test: Pictures) -> Pictures:
    """Return test pictures through as many principal components as the code has numbers."""
    rows, held = (each.reshape(len(each), -1) / np.float32(255) for each in (train, test))
    few = len(rows) < rows.shape[1]
    pca = PCA(min(CODE, *rows.shape), svd_solver="full" if few else "covariance_eigh")
    back = pca.fit(rows).inverse_transform(pca.transform(held))
    return np.asarray(np.rint(back.clip(0, 1) * 255), np.uint8).reshape(test.shape)


def judge(X: Any, worn: NDArray[np.bool_]) -> Judge:
    """Return a classifier of glasses by the gradients around the eyes."""
    model = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
    model.fit(edges(X), worn)
    return lambda pictures: np.asarray(model.predict(edges(pictures)), bool)


def edges(X: Any) -> NDArray[np.float64]:
    """Return the strength of gradients down and across around the eyes, by the contrast there."""
    eyes = np.asarray(X)[:, EYES[0], EYES[1]].astype(np.float64)
    contrast = eyes.std((1, 2), keepdims=True) + 5
    down, across = np.gradient(eyes, axis=(1, 2))
    both = [np.abs(across / contrast), np.abs(down / contrast)]
    return np.concatenate(both, 1).reshape(len(eyes), -1)


RECIPE = Recipe(
    name="faces",
    title=mark("Faces in a hundred numbers"),
    summary=mark("How much of a face do a hundred numbers hold, and can glasses be added to them?"),
    rows=("M13", "U9"),
    minutes=6,
    run=run,
)
