"""Denoising, by kind and level of noise, beside the methods that learn nothing.

Row M9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .. import figures, metrics
from ..corruptions.base import corrupt
from ..errors import MissingExtra
from ..estimator import Autoencoder
from .language import _, mark
from .report import Recipe, Report, compare

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

DENSE = {
    "latent_dim": 64,
    "network": "dense(hidden=[512, 256])",
    "loss": "squared",
    "schedule": "cosine",
    "epochs": 10,
    "batch_size": 256,
    "validation_fraction": 0.0,
}
"""784-512-256-64-256-512-784, for one level of noise or for a range of them."""
SKIPPING = {
    "network": "conv(channels=[16, 32], code='spatial', skips=True, residual=True)",
    "loss": "squared",
    "schedule": "cosine",
    "learning_rate": 0.002,
    "epochs": 4,
    "batch_size": 128,
    "validation_fraction": 0.0,
}
"""Convolutions whose decoder sees more than the code, and that give what is to be added."""
DOCUMENT = {
    "network": "conv(channels=[32, 32], down='pool', up='upsample', code='spatial')",
    "loss": "bernoulli(reduction='mean')",
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "schedule": "constant",
    "epochs": 10,
    "batch_size": 128,
    "validation_fraction": 0.0,
}
"""Document D's denoising network, whose code is (7, 7, 32), with its optimiser and loss."""
DOCUMENT_LEVEL = 0.5
"""Standard deviation of the noise that document D's network is trained on."""
TUNED, MEASURED = 60, 300
"""Training pictures that strengths are chosen on, and test pictures that all is measured on."""
SHOWN = 9
"""Digits in a picture of what each method makes of them."""
LINE = 13
"""Letters in a line beside a row of such a picture."""


@dataclass(frozen=True)
class Kind:
    """A kind of noise and the levels that it is measured at."""

    name: str
    title: str
    part: str
    axis: str
    levels: tuple[float, ...]

    def at(self, level: float | tuple[float, float]) -> str:
        """Return the corruption of a level, or of a range of them, as text."""
        return self.part.format(level=level)


DEVIATION = mark("standard deviation of the noise")
KINDS = (
    Kind(
        "gaussian",
        mark("Gaussian noise"),
        "gaussian_noise(std={level})",
        DEVIATION,
        (0.1, 0.2, 0.3, 0.5, 0.8),
    ),
    Kind(
        "shifted",
        mark("Gaussian noise with a mean of 0.5"),
        "gaussian_noise(mean=0.5, std={level})",
        DEVIATION,
        (0.1, 0.2, 0.3, 0.5),
    ),
    Kind(
        "mask",
        mark("Masking"),
        "mask(rate={level})",
        mark("share of the pixels that are black"),
        (0.1, 0.25, 0.5, 0.75),
    ),
    Kind(
        "salt-and-pepper",
        mark("Salt and pepper"),
        "salt_and_pepper(rate={level})",
        mark("share of the pixels that are black or white"),
        (0.05, 0.1, 0.2, 0.4),
    ),
)
"""The documents' kinds of noise; all of it is clipped to the range of grey levels, 0 to 1."""
NOISY, EACH, RANGE, SKIPS = (
    mark("noisy"),
    mark("autoencoder, trained at each level"),
    mark("one autoencoder for all levels"),
    mark("one with skip connections"),
)


class Quality(NamedTuple):
    """Means over pictures."""

    psnr: float
    ssim: float


Curve = dict[str, list[Quality]]
"""By what was done to the pictures, the quality at each level of noise."""


@dataclass(frozen=True)
class Method:
    """A denoiser that learns nothing but how strongly to smooth, and a line to grey levels."""

    name: str
    smooth: Callable[[Floats, float], Floats]
    strengths: tuple[float, ...]

    def within(self, step: int) -> Method:
        """Return the method with every so many-th of its strengths."""
        return replace(self, strengths=self.strengths[::step])


def run(report: Report) -> None:
    """Measure every method at every level of every kind of noise."""
    data = report.load("mnist")
    X = data.X[: report.pick(len(data.X), 256)]
    clean = spread(data.X_test, report.pick(MEASURED, 6))
    methods = [method.within(report.pick(1, 3)) for method in classical()]
    report.section("how", _("How it is measured"))
    report.text(
        _(
            "{n} test digits are made noisy, clipped to grey levels from 0 to 1, restored, and "
            "compared with the clean ones: peak signal-to-noise ratio (PSNR, in decibels) and "
            "structural similarity (SSIM), means over the digits. Non-local means, total "
            "variation and wavelets (shifted 16 times) are scikit-image's, the median is SciPy's. "
            "For each kind and level their strength, and the line that brings what they return to "
            "grey levels, are the best for {tuned} training digits. BM3D is not among them: the "
            "package `bm3d` may not be used commercially, OpenCV's wheels leave its own out, and "
            "`pybm3d` is for versions of Python that are no longer maintained."
        ).format(n=len(clean), tuned=report.pick(TUNED, 2)),
        _(
            "The autoencoders see noisy digits and are trained to give the clean ones. One is "
            "trained for each level; another, the same network with as many epochs, sees a level "
            "drawn anew for each digit; a third is convolutional, its decoder also sees what the "
            "encoder saw, and it returns what is to be added to the noisy picture."
        ),
    )
    curves = {kind.name: measured(report, kind, methods, X, clean) for kind in KINDS}
    trained_at(report, curves)
    claims(report, curves, X, clean)


def measured(
    report: Report, kind: Kind, methods: Sequence[Method], X: Pictures, clean: Pictures
) -> Curve:
    """Train and measure on one kind of noise, and show it."""
    levels = report.pick(kind.levels, kind.levels[:2])
    each = {
        level: fit(report, f"{kind.name}-{level}", DENSE, kind.at(level), X) for level in levels
    }
    ends = (levels[0], levels[-1])
    whole = fit(report, f"{kind.name}-range", DENSE, kind.at(ends), X)
    skips = fit(report, f"{kind.name}-skips", SKIPPING, kind.at(ends), X)
    tuned = spread(X, report.pick(TUNED, 2))
    curve: Curve = {}
    strengths, middle = [], levels[len(levels) // 2]
    rows: dict[str, Pictures] = {}
    for level in levels:
        noisy = damaged(clean, kind.at(level), 1)
        restored, chosen = smoothed(methods, tuned, damaged(tuned, kind.at(level), 2), noisy)
        found: dict[str, Pictures] = {_(NOISY): noisy, **restored}
        for name, model in {EACH: each[level], RANGE: whole, SKIPS: skips}.items():
            found[_(name)] = model.reconstruct(noisy)
        for name, pictures in found.items():
            curve.setdefault(name, []).append(quality(clean, pictures))
        strengths.append((level, *chosen.values()))
        rows = found if level == middle else rows
    report.section(kind.name, _(kind.title))
    show(report, kind, levels, curve)
    some = {_("clean"): clean, **rows}
    report.picture(
        figures.rows(
            {fill(name, LINE): each[:SHOWN] for name, each in some.items()},
            captions={
                fill(name, LINE): decibels(clean, each)[:SHOWN] for name, each in rows.items()
            },
        ),
        _("Digits, their noisy copies, and what each method makes of these."),
        _("At {level} ({axis}); PSNR beneath.").format(level=middle, axis=_(kind.axis)),
    )
    report.table(
        _("Strengths that were best for training digits"),
        [_(kind.axis), *(_(method.name) for method in methods)],
        strengths,
    )
    crossed(report, kind, {**{f"{level}": each[level] for level in levels}, "range": whole}, clean)
    return curve


def show(report: Report, kind: Kind, levels: Sequence[float], curve: Curve) -> None:
    """Draw the quality by level, and write it down."""
    for place, what in enumerate((_("PSNR, dB"), _("SSIM"))):
        lines = {name: [each[place] for each in values] for name, values in curve.items()}
        report.picture(
            figures.curves(lines, levels, xlabel=_(kind.axis), ylabel=what),
            _("{what} by level of noise, a line for each method.").format(what=what),
        )
        rows = [
            (level, *(values[i] for values in lines.values())) for i, level in enumerate(levels)
        ]
        report.table(f"{what}, {_(kind.title)}", [_(kind.axis), *lines], rows)
    report.figures[kind.name] = {"levels": levels, **curve}


def crossed(report: Report, kind: Kind, models: Mapping[str, Autoencoder], clean: Pictures) -> None:
    """Show what models trained at one level make of another."""
    levels = report.pick(kind.levels, kind.levels[:2])
    noisy = [damaged(clean, kind.at(level), 1) for level in levels]
    values = [
        [quality(clean, model.reconstruct(pictures)).psnr for pictures in noisy]
        for model in models.values()
    ]
    report.picture(
        figures.heatmap(
            values,
            [_("all levels") if name == "range" else name for name in models],
            levels,
            xlabel=_("measured at"),
            ylabel=_("trained at"),
            fmt=".1f",
        ),
        _("PSNR of models trained at one level and measured at another."),
        _("PSNR in decibels: each row a model, each column a level of noise that it is given."),
    )


def trained_at(report: Report, curves: Mapping[str, Curve]) -> None:
    """Compare one model for all levels with one for each."""
    rows = []
    for kind in KINDS:
        curve = curves[kind.name]
        pairs = zip(kind.levels, curve[_(EACH)], curve[_(RANGE)], strict=False)
        for level, each, whole in pairs:
            better = _("each level") if each.psnr > whole.psnr else _("all levels")
            gain = whole.psnr - each.psnr
            rows.append((_(kind.title), level, each.psnr, whole.psnr, gain, better))
    wins = sum(row[4] >= 0 for row in rows)
    report.section("range", _("One model for each level, or one for all"))
    report.text(
        _(
            "The same network and as many epochs. The one for all levels is better at {wins} of "
            "{of} levels; on average it differs by {mean:.2f} dB, at worst by {worst:.2f} dB, at "
            "best by {best:.2f} dB. The tables of PSNR by level trained and level measured show "
            "what a model for one level loses at another."
        ).format(
            wins=wins,
            of=len(rows),
            mean=np.mean([row[4] for row in rows]),
            worst=min(row[4] for row in rows),
            best=max(row[4] for row in rows),
        )
    )
    head = (
        _("noise"), _("level"), _("trained at each level"), _("for all levels"), _("difference"),
        _("better"),
    )  # fmt: skip
    report.table(_("PSNR in decibels"), head, rows)
    report.figures["all levels better at"] = wins / len(rows)


def claims(report: Report, curves: Mapping[str, Curve], X: Pictures, clean: Pictures) -> None:
    """Set what the documents say beside what came out."""
    learned = {_(name) for name in (EACH, RANGE, SKIPS)}
    noisy = wins = total = plain = 0
    for curve in curves.values():
        smooth = [values for name, values in curve.items() if name not in learned | {_(NOISY)}]
        for i, before in enumerate(curve[_(NOISY)]):
            best = max(values[i].psnr for values in smooth)
            total += 1
            noisy += curve[_(EACH)][i].psnr > before.psnr
            plain += curve[_(RANGE)][i].psnr > best
            wins += curve[_(SKIPS)][i].psnr > best
    report.claim(
        "M9",
        "ABD",
        _("a network that sees noisy input and clean targets takes the noise away"),
        _("784-512-256-64: PSNR above the noisy digits' at {n} of {of} levels").format(
            n=noisy, of=total
        ),
        compare(noisy, total, lower=False),
    )
    report.claim(
        "M9",
        "D",
        _("aim: better than non-local means, total variation, wavelets and the median"),
        _(
            "one model a kind of noise, with skip connections: higher PSNR than the best of them "
            "at {wins} of {of} levels; through a code of 64 numbers alone at {plain}"
        ).format(wins=wins, of=total, plain=plain),
        compare(wins, total, lower=False),
    )
    shifted = curves["shifted"]
    report.claim(
        "M9",
        "B",
        _("noise of mean 0.5 and deviation 0.1, clipped, is taken away"),
        _("PSNR {before:.1f} dB before, {after:.1f} dB after").format(
            before=shifted[_(NOISY)][0].psnr, after=shifted[_(EACH)][0].psnr
        ),
        "confirmed" if shifted[_(EACH)][0].psnr > shifted[_(NOISY)][0].psnr else "refuted",
    )
    part = KINDS[0].at(DOCUMENT_LEVEL)
    model = fit(report, "document", DOCUMENT, part, X)
    given = damaged(clean, part, 1)
    before, after = quality(clean, given), quality(clean, model.reconstruct(given))
    report.claim(
        "M9",
        "D",
        _("a convolutional network with a code of (7, 7, 32) denoises"),
        _(
            "noise of deviation {level}: PSNR {before:.1f} dB before, {after:.1f} dB after, SSIM "
            "{ssim:.2f}"
        ).format(level=DOCUMENT_LEVEL, before=before.psnr, after=after.psnr, ssim=after.ssim),
        "confirmed" if after.psnr > before.psnr else "refuted",
    )
    report.section("repeating", _("The same with your own pictures"))
    report.code(
        "gaussian-range",
        ["reconstructions(model, mnist.X_test)"],
        ["evaluate mnist -m gaussian-range.safetensors --corruption 'gaussian_noise(std=0.3)'"],
    )


def fit(
    report: Report, name: str, keywords: Mapping[str, Any], corruption: str, X: Pictures
) -> Autoencoder:
    """Return a model that was trained to take a corruption away."""
    quick = {"epochs": 1}
    return report.fit(name, {**keywords, "corruption": corruption}, X, data="mnist", quick=quick)


def spread(X: Pictures, n: int) -> Pictures:
    """Return n pictures, evenly spread over all."""
    some: Pictures = X[np.linspace(0, len(X) - 1, n).astype(int)]
    return some


def damaged(X: Pictures, corruption: str, seed: int) -> Pictures:
    """Return noisy copies of pictures, clipped, in bytes as a file of pictures holds them."""
    x = torch.from_numpy(np.ascontiguousarray(X)).float()[:, None] / 255
    noisy = corrupt(x, corruption, torch.Generator().manual_seed(seed), (0.0, 1.0))
    levels: Pictures = np.rint(noisy[:, 0].clamp(0, 1).numpy() * 255).astype(np.uint8)
    return levels


def quality(clean: Pictures, other: Pictures) -> Quality:
    """Return the mean PSNR and SSIM of pictures in bytes."""
    pair = (clean, other, 255.0)
    return Quality(float(metrics.psnr(*pair).mean()), float(metrics.ssim(*pair).mean()))


def decibels(clean: Pictures, other: Pictures) -> list[str]:
    """Return the PSNR of each picture, as it is written beneath it."""
    return [f"{value:.1f} dB" for value in metrics.psnr(clean, other, 255.0)]


def smoothed(
    methods: Sequence[Method], tuned: Pictures, tuned_noisy: Pictures, noisy: Pictures
) -> tuple[dict[str, Pictures], dict[str, float]]:
    """Return what each method makes of noisy pictures, and the strength that was chosen.

    Parameters
    ----------
    methods
        The methods.
    tuned, tuned_noisy
        Clean and noisy training pictures that strength and line are chosen on.
    noisy
        Pictures to restore.
    """
    restored, chosen = {}, {}
    for method in methods:
        fits = [(fitted_line(method, s, tuned, tuned_noisy), s) for s in method.strengths]
        ((_error, gain, offset), strength) = min(fits, key=lambda each: each[0][0])
        values = gain * applied(method, strength, noisy) + offset
        restored[_(method.name)] = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
        chosen[_(method.name)] = strength
    return restored, chosen


def fitted_line(
    method: Method, strength: float, clean: Pictures, noisy: Pictures
) -> tuple[float, float, float]:
    """Return minus the mean PSNR after the best line through the method's output, and that line.

    Noise with a mean makes pictures lighter, and masks make them darker; a method that takes the
    noise's mean for 0 is helped by ``gain · output + offset``, the least squares of training
    pictures.
    """
    output, target = applied(method, strength, noisy), clean / 255.0
    apart = output - output.mean()
    variance = float(np.square(apart).mean())  # 0 where a method leaves nothing of the pictures
    gain = float((apart * target).mean()) / variance if variance > 0 else 0.0
    offset = float(target.mean() - gain * output.mean())
    psnr = metrics.psnr(target, (gain * output + offset).clip(0, 1))
    return -float(psnr.mean()), gain, offset


def applied(method: Method, strength: float, noisy: Pictures) -> Floats:
    """Return what a method makes of each picture, in grey levels from about 0 to 1."""
    return np.stack([method.smooth(picture / 255.0, strength) for picture in noisy])


def classical() -> list[Method]:
    """Return the denoisers that are not learned.

    Raises
    ------
    MissingExtra
        If scikit-image is not installed.
    """
    from scipy.ndimage import median_filter

    try:
        import pywt  # type: ignore[import-untyped]  # noqa: F401
        from skimage import restoration as library

        restoration: Any = library
    except ImportError:
        raise MissingExtra(
            "the recipe denoising compares with scikit-image's denoisers; "
            "install them: pip install 'latente[recipes]'"
        ) from None

    def wavelets(picture: Floats, strength: float) -> Floats:
        shrunk = partial(
            restoration.denoise_wavelet, sigma=strength, wavelet="db2", method="VisuShrink",
            wavelet_levels=2,
        )  # fmt: skip
        shifts = [(i, j) for i in range(4) for j in range(4)]
        turned = [
            np.roll(shrunk(np.roll(picture, s, (0, 1))), (-s[0], -s[1]), (0, 1)) for s in shifts
        ]
        return np.asarray(np.mean(turned, axis=0))

    return [
        Method(
            mark("non-local means"),
            lambda x, s: np.asarray(
                restoration.denoise_nl_means(
                    x, patch_size=5, patch_distance=8, h=s, fast_mode=False
                )
            ),
            (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.9),
        ),
        Method(
            mark("total variation"),
            lambda x, s: np.asarray(restoration.denoise_tv_chambolle(x, weight=s)),
            (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2),
        ),
        Method(mark("wavelets"), wavelets, (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7)),
        Method(
            mark("median"),
            lambda x, s: np.asarray(median_filter(x, size=int(s))),
            (1, 2, 3, 5),
        ),
    ]


RECIPE = Recipe(
    name="denoising",
    title=mark("Denoising digits, by level of noise"),
    summary=mark(
        "What does an autoencoder take away that non-local means, total variation, wavelets and "
        "the median leave, and does it have to know how strong the noise is?"
    ),
    rows=("M9",),
    minutes=48,
    run=run,
)
