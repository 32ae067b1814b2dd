"""Fidelity against the size of the code; and codes larger than the input, with and without price.

Rows S8 and M11.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import figures
from ..estimator import Autoencoder
from .baselines import PrincipalComponents, accuracy, unit
from .language import _, mark
from .report import Recipe, Report

NETWORK = "dense(hidden=[], code_activation='relu')"
KEYWORDS = {
    "network": NETWORK,
    "loss": "bernoulli",
    "learning_rate": 0.002,
    "schedule": "one_cycle",
    "batch_size": 256,
    "epochs": 25,
    "validation_fraction": 0.0,
}
SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Numbers of codes that are smaller than the picture."""
FEWER = (8, 32, 128)
"""Those that are also trained with a price or a corruption."""
OVER = 1024
"""Numbers of a code that is larger than the picture, which has 784."""
PRICES: dict[str, tuple[dict[str, str], ...]] = {
    "sparse": tuple({"bottleneck": f"sparse(weight={price})"} for price in (0.03, 0.1, 0.3)),
    "contractive": tuple(
        {"bottleneck": f"contractive(weight={price})"} for price in (0.01, 0.1, 1.0)
    ),
    "denoising": tuple({"corruption": f"mask(rate={rate})"} for rate in (0.25, 0.5, 0.75)),
}
"""What is tried against a code that only copies."""
FEW = 360
"""Training pictures of a quick run."""
CLASSIFIED = 10_000
"""Training pictures that classifiers learn from."""
FAINT = 0.05
"""Mean brightness up to which a pixel is hardly used."""
COPIES = 0.1
"""A network copies where scrambled pictures lose at most this share of their variance."""


class Digits(NamedTuple):
    """Pictures to train on, to choose on and to measure on, with their classes."""

    train: NDArray[Any]
    y: NDArray[Any]
    held_out: NDArray[Any]
    y_held_out: NDArray[Any]
    test: NDArray[Any]
    y_test: NDArray[Any]

    def accuracy(self, encode: Any, *, test: bool) -> float:
        """Return how well a classifier of codes does on held-out or on test pictures."""
        some, labels = (self.test, self.y_test) if test else (self.held_out, self.y_held_out)
        known, y = self.train[:CLASSIFIED], self.y[:CLASSIFIED]
        return accuracy(encode(known), y, encode(some), labels)


class Over(NamedTuple):
    """A code, what comes back through it, and what it is good for."""

    how: str
    size: int
    mse: float
    scrambled: float
    """Error of digits whose pixels are scrambled, as a share of their variance."""
    accuracy: float


def run(report: Report) -> None:
    """Vary the size of the code, then what it costs."""
    mnist = report.load("mnist")
    X, y = (np.asarray(each)[: report.pick(None, FEW)] for each in (mnist.X, mnist.y))
    cut = len(X) * 5 // 6
    data = Digits(
        X[:cut], y[:cut], X[cut:], y[cut:], np.asarray(mnist.X_test), np.asarray(mnist.y_test)
    )
    pca = PrincipalComponents.learn(data.train)
    plain = by_size(report, data, pca)
    copy = fitted(report, data, "plain", OVER)
    chosen = {kind: choose(report, data, kind) for kind in PRICES}
    with_price(report, data, pca, plain, {kind: made for kind, (made, *__) in chosen.items()})
    overcomplete(report, data, pca, copy, plain, chosen)


def fitted(
    report: Report, data: Digits, name: str, size: int, more: dict[str, str] | None = None
) -> Autoencoder:
    """Return an autoencoder with a code of a size, and a price or a corruption."""
    keywords = {"latent_dim": size, **KEYWORDS, **(more or {})}
    return report.fit(f"{name}-{size}", keywords, data.train, data="mnist")


def by_size(report: Report, data: Digits, pca: PrincipalComponents) -> dict[int, Autoencoder]:
    """Show fidelity against the size of the code, beside PCA."""
    sizes = report.pick(SIZES, (2, *FEWER[1:2]))
    models = {size: fitted(report, data, "plain", size) for size in sizes}
    ours = [model.evaluate(data.test)["mse"] for model in models.values()]
    theirs = [pca.evaluate(data.test, size)["mse"] for size in sizes]
    report.section("size", _("Fidelity against the size of the code"))
    report.text(
        _(
            "One layer leads from 784 pixels to the code, rectified, and one leads back. Only "
            "the size of the code changes. PCA has the least squared error of all linear codes."
        )
    )
    report.picture(
        figures.curves(
            {_("autoencoder"): ours, _("PCA"): theirs},
            sizes,
            xlabel=_("numbers in the code"),
            ylabel=_("test MSE a pixel"),
            log="xy",
        ),
        _("Test error against the size of the code, autoencoder and PCA."),
        _("Less compact is more faithful: mean squared error of test digits by size of the code."),
    )
    head = (
        _("numbers"), _("pixels a number"), _("MSE"), _("PSNR, dB"), _("PCA's MSE"),
        _("share of PCA's"),
    )  # fmt: skip
    rows = [
        (size, 784 / size, a, -10 * np.log10(a), b, a / b)
        for size, a, b in zip(sizes, ours, theirs, strict=True)
    ]
    report.table(_("On test pictures"), head, rows)
    shown = data.test
    middle = [size for size in sizes if size in (2, 8, 32, 128)]
    beside = {
        _("{size} numbers").format(size=size): models[size].reconstruct(shown)
        for size in middle[1:]
    }
    report.picture(
        figures.reconstructions(models[middle[0]], shown, 12, beside=beside),
        _("Test digits, and what comes back of codes of several sizes."),
        _("Test digits above; below what comes back of {sizes} numbers.").format(
            sizes=", ".join(map(str, middle))
        ),
    )
    report.code(
        f"plain-{middle[-1]}",
        ["reconstructions(model, mnist.X_test)"],
        [f"evaluate mnist -m plain-{middle[-1]}.safetensors"],
    )
    falling = all(a > b for a, b in pairwise(ours))
    ahead = [size for size, a, b in zip(sizes, ours, theirs, strict=True) if a < b]
    report.figures["test MSE by size"] = {"sizes": sizes, "autoencoder": ours, "PCA": theirs}
    report.claim(
        "S8",
        "CD",
        _("compactness and fidelity oppose each other: a smaller code loses more"),
        _("test MSE from {most:.5f} with {few} numbers to {least:.5f} with {many}").format(
            most=ours[0], few=sizes[0], least=ours[-1], many=sizes[-1]
        ),
        "confirmed" if falling else "refuted",
    )
    report.claim(
        "S8",
        "CD",
        _("a learned code of the same size keeps more than PCA"),
        _("at {n} of {of} sizes: {sizes}").format(
            n=len(ahead), of=len(sizes), sizes=", ".join(map(str, ahead)) or _("none")
        ),
        "confirmed" if 2 * len(ahead) > len(sizes) else "refuted",
    )
    return models


def choose(report: Report, data: Digits, kind: str) -> tuple[dict[str, str], Autoencoder]:
    """Return the price whose large code serves a classifier of held-out pictures best."""
    models = []
    for i, more in enumerate(report.pick(PRICES[kind], PRICES[kind][:1])):
        model = fitted(report, data, f"{kind}-{i + 1}", OVER, more)
        models.append((data.accuracy(model.transform, test=False), more, model))
    return max(models, key=lambda each: each[0])[1:]


def with_price(
    report: Report,
    data: Digits,
    pca: PrincipalComponents,
    plain: dict[int, Autoencoder],
    chosen: dict[str, dict[str, str]],
) -> None:
    """Show fidelity against the size of the code, with what keeps it from copying."""
    sizes = report.pick(FEWER, FEWER[1:2])
    names = {
        "sparse": _("sparse"),
        "contractive": _("contractive"),
        "denoising": _("denoising"),
    }
    lines: dict[str, Any] = {
        _("PCA"): [pca.evaluate(data.test, size)["mse"] for size in sizes],
        _("plain"): [plain[size].evaluate(data.test)["mse"] for size in sizes],
    }
    for kind, more in chosen.items():
        models = [fitted(report, data, kind, size, more) for size in sizes]
        lines[names[kind]] = [model.evaluate(data.test)["mse"] for model in models]
    report.section("price", _("With a price"))
    report.text(
        _(
            "Documents C and D add a term to the loss. The sparse code pays for its absolute "
            "values, the contractive one for how much it moves when the picture changes; the "
            "denoising network sees pictures with pixels missing. How strong each is was chosen "
            "on held-out training pictures, below."
        )
    )
    report.picture(
        figures.curves(
            lines,
            sizes,
            xlabel=_("numbers in the code"),
            ylabel=_("test MSE a pixel"),
            log="xy",
        ),
        _("Test error against the size of the code, by what keeps it from copying."),
        _("Mean squared error of clean test digits by size of the code."),
    )
    head = (_("code"), *(_("{size} numbers").format(size=size) for size in sizes))
    report.table(_("Test MSE"), head, [(name, *values) for name, values in lines.items()])
    costs = [lines[names[kind]][-1] / lines[_("plain")][-1] for kind in chosen]
    report.claim(
        "M11",
        "CD",
        _("reconstruction and regularisation are traded against each other"),
        _("with {size} numbers, test MSE is {least:.2f} to {most:.2f} times the plain one").format(
            size=sizes[-1], least=min(costs), most=max(costs)
        ),
        "confirmed" if min(costs) > 1 else "refuted",
    )


def overcomplete(
    report: Report,
    data: Digits,
    pca: PrincipalComponents,
    copy: Autoencoder,
    plain: dict[int, Autoencoder],
    chosen: dict[str, tuple[dict[str, str], Autoencoder]],
) -> None:
    """Look at whether codes larger than the picture copy, and at what they are good for."""
    names = {
        "sparse": _("sparse, {how}"),
        "contractive": _("contractive, {how}"),
        "denoising": _("denoising, {how}"),
    }
    small = max(size for size in plain if size <= 64)
    rows = [
        judged(data, _("plain"), copy),
        *(
            judged(data, names[kind].format(how=f"`{next(iter(more.values()))}`"), model)
            for kind, (more, model) in chosen.items()
        ),
        judged(data, _("plain"), plain[small]),
    ]
    pixels = Over(_("pixels"), 784, 0.0, 0.0, data.accuracy(unit, test=True))
    principal = Over(
        _("PCA"), small, pca.evaluate(data.test, small)["mse"],
        lost(data.test, pca.evaluate(scrambled(data.test, data.train), small)["mse"]),
        data.accuracy(lambda X: pca.codes(X, small), test=True),
    )  # fmt: skip
    report.section("over", _("A code larger than the picture"))
    report.text(
        _(
            "With {over} numbers for 784 pixels nothing forces the network to learn what digits "
            "are: it may copy. Whether it does is seen on pictures that are no digits: the same "
            "test digits, the pixels that digits use scrambled in one order for all. A copy "
            "gives them back, and loses none of their variance."
        ).format(over=f"{OVER:,}"),
        _(
            "What a code is good for is seen by a linear classifier that learns from the "
            "codes of {n} training digits. The strength of each price is the one of {tried} with "
            "which it did best on held-out training digits."
        ).format(n=f"{min(CLASSIFIED, len(data.train)):,}", tried=len(PRICES["sparse"])),
    )
    head = (
        _("code"), _("numbers"), _("test MSE"), _("scrambled: share of variance lost"),
        _("classifier, test accuracy"),
    )  # fmt: skip
    report.table(
        _("Codes larger than the picture, and smaller ones"), head, [*rows, principal, pixels]
    )
    report.picture(
        figures.bars(
            {
                f"{row.how.split(',')[0]} {row.size}": row.accuracy
                for row in [*rows, principal, pixels]
            },
            ylabel=_("test accuracy of a linear classifier"),
        ),
        _("Test accuracy of a linear classifier by what it is given."),
        _("What a linear classifier makes of each code."),
    )
    for (kind, (_more, model)), caption in zip(
        chosen.items(),
        (_("sparse"), _("contractive"), _("denoising")),
        strict=True,
    ):
        title = _("Weights of the encoder of a large code: {kind}.").format(kind=caption)
        if kind != "contractive":
            report.picture(figures.filters(model, 32), title, title)
    title = _("Weights of the encoder of a large code: {kind}.").format(kind=_("plain"))
    report.picture(figures.filters(copy, 32), title, title)
    first, *priced, _small = rows
    best = max(priced, key=lambda row: row.accuracy)
    report.figures["overcomplete"] = [row._asdict() for row in [*rows, principal, pixels]]
    report.claim(
        "M11",
        "D",
        _("a code larger than the input can become the identity, and is not useful then"),
        _(
            "scrambled digits lose {lost:.0%} of their variance; classifier {ours:.1%}, of pixels "
            "{raw:.1%}"
        ).format(lost=first.scrambled, ours=first.accuracy, raw=pixels.accuracy),
        "confirmed" if first.scrambled <= COPIES else "refuted",
    )  # fmt: skip
    report.claim(
        "M11",
        "D",
        _("a penalty or noise keeps a large code from copying, and makes it useful"),
        _(
            "{how}: scrambled digits lose {lost:.0%} of their variance, classifier {best:.1%}; "
            "without {plain:.1%}"
        ).format(how=best.how, lost=best.scrambled, best=best.accuracy, plain=first.accuracy),
        "confirmed"
        if best.accuracy > first.accuracy and best.scrambled > first.scrambled
        else "refuted",
    )


def judged(data: Digits, how: str, model: Autoencoder) -> Over:
    """Return the figures of a code."""
    strange = scrambled(data.test, data.train)
    return Over(
        how,
        model.latent_dim_,
        model.evaluate(data.test)["mse"],
        lost(strange, model.evaluate(strange)["mse"]),
        data.accuracy(model.transform, test=True),
    )


def scrambled(X: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Return pictures whose pixels have changed their places, in one order for all.

    Parameters
    ----------
    X
        The pictures.
    like
        Pictures that tell which pixels are used: those that are faint at most stay where they are,
        since a network never had to give ink back there.
    """
    used = np.flatnonzero(unit(like).mean(axis=0) > FAINT)
    flat = X.reshape(len(X), -1).copy()
    flat[:, used] = flat[:, np.random.default_rng(0).permutation(used)]
    return flat.reshape(X.shape)


def lost(X: NDArray[Any], error: Any) -> float:
    """Return an error a pixel as a share of the variance of pictures.

    Parameters
    ----------
    X
        The pictures, as bytes.
    error
        Mean squared error a pixel, white being 1.
    """
    return float(error / unit(X).var(axis=0).mean())


RECIPE = Recipe(
    name="code-size",
    title=mark("How large a code has to be"),
    summary=mark(
        "Fidelity against the size of the code beside PCA, with and without a price; and codes "
        "that are larger than the picture."
    ),
    rows=("S8", "M11"),
    minutes=35,
    run=run,
)
