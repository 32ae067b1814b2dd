"""Compression by a trained code, beside JPEG and WebP. Row U3."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .. import figures, metrics
from ..codec.archive import unpack
from ..codec.codec import Codec, requantised
from ..errors import ParameterError
from ..estimator import Autoencoder
from .language import _, mark
from .report import Recipe, Report

TRIED = 200
"""Training pictures by which the points of a curve are chosen."""
COUNTED = 5000
"""Training pictures in which steps are counted anew for a finer or a coarser code."""
WEBP_HEADER = 30
"""RIFF, chunk and frame headers of a WebP file, bytes."""
JPEG_QUALITIES = (1, 3, 5, 8, 12, 18, 26, 36, 50, 65, 80)
WEBP_QUALITIES = (0, 5, 10, 20, 30, 40, 50, 65, 80)
DECIBELS = (21, 23, 25, 27, 29, 31, 33)
HIGHEST = 40.0
"""Decibels beyond which no point is drawn."""
TRAINING = {"loss": "squared", "schedule": "cosine", "validation_fraction": 0.0}


@dataclass(frozen=True)
class Subject:
    """Pictures of one kind, and how their model is trained.

    Parameters
    ----------
    title
        What the pictures show.
    data
        Name of the data set.
    split
        From the data set to pictures to learn from, and others.
    keywords
        Of the estimator.
    factors
        The steps of the code at which it is measured, as multiples of those trained with.
    tested
        How many pictures are measured.
    effort
        Rounds of search for their codes.
    """

    title: str
    data: str
    split: Callable[[Any], tuple[Any, Any]]
    keywords: dict[str, Any]
    factors: tuple[float, ...]
    tested: int
    effort: int = 30


@dataclass(frozen=True)
class Point:
    """What a way to compress reaches: bytes a picture, those without headers, and decibels."""

    name: str
    size: float
    payload: float
    psnr: float


Curve = list[Point]


def known(data: Any) -> tuple[Any, Any]:
    """Return the pictures to learn from, and those for testing."""
    return data.X, data.X_test


def people(data: Any) -> tuple[Any, Any]:
    """Return the faces of four fifths of the people, mirrored too, and those of the others."""
    y = np.asarray(data.y)
    seen = y < 0.8 * (y.max() + 1)
    return np.concatenate([data.X[seen], data.X[seen][:, :, ::-1]]), data.X[~seen]


def photographs(data: Any) -> tuple[Any, Any]:
    """Return three quarters of the photographs, but no more than 3,000, and the others."""
    order = np.random.default_rng(0).permutation(len(data.X))
    cut = min(3000, 3 * len(order) // 4)
    return data.X[order[:cut]], data.X[order[cut:]]


def conv(channels: str, weight: float, share: str, **training: Any) -> dict[str, Any]:
    """Return the keywords of a convolutional model with a rounded code."""
    return {
        "network": f"conv(channels=[{channels}], code='spatial', code_channels=16)",
        "bottleneck": f"rounded(weight={weight}, step=0.3, share='{share}')",
        "learning_rate": 3e-3,
        **TRAINING,
        **training,
    }


SUBJECTS = {
    "mnist": Subject(
        mark("digits"),
        "mnist",
        known,
        conv("16, 32, 64", 0.004, "none", epochs=10, batch_size=128),
        (0.4, 0.5, 0.7, 1, 1.5, 2.4, 3.3),
        tested=300,
        effort=80,
    ),
    "faces": Subject(
        mark("faces of people never seen"),
        "faces",
        people,
        conv("24, 48, 64", 0.01, "space", epochs=45, batch_size=8),
        (0.6, 1, 1.6, 2.5),
        tested=80,
    ),
    "shapes": Subject(
        mark("drawn shapes"),
        "shapes",
        known,
        conv("16, 32, 64", 0.004, "none", epochs=5, batch_size=64),
        (0.5, 0.7, 1, 1.6, 2.5),
        tested=300,
    ),
    "photographs": Subject(
        mark("photographs of any kind"),
        "cifar10",
        photographs,
        conv("32, 64", 0.01, "space", epochs=8, batch_size=32),
        (0.7, 1, 1.6, 2.5),
        tested=100,
    ),
}


def run(report: Report) -> None:
    """Compress pictures of each kind, and say where a model of the kind wins."""
    rates: dict[str, dict[str, float | None]] = {}
    for name in report.pick(list(SUBJECTS), ["mnist"]):
        rates[name] = measure(report, name, SUBJECTS[name])
    own = {name: each["WebP"] for name, each in rates.items() if name != "photographs"}
    report.claim(
        "U3",
        "CD",
        _("an autoencoder can beat JPEG on pictures of one kind only"),
        _("bytes beside WebP for the same quality: {list}").format(
            list=", ".join(
                f"{_(SUBJECTS[name].title)} {change(rate)}" for name, rate in own.items()
            )
        ),
        "confirmed" if all(rate is not None and rate < 0 for rate in own.values()) else "refuted",
    )
    general = rates.get("photographs")
    if general is not None:
        report.claim(
            "U3",
            "D",
            _("on general photographs universal codecs win"),
            _("bytes beside WebP {webp}, beside JPEG without its header {jpeg}").format(
                webp=change(general["WebP"]), jpeg=change(general["JPEG, no header"])
            ),
            "confirmed" if (general["WebP"] or 0) > 0 else "refuted",
        )


def measure(report: Report, name: str, subject: Subject) -> dict[str, float | None]:
    """Fit the model of a kind of pictures, and return its rates beside the codecs'."""
    train, test = subject.split(report.load(subject.data))
    X = test[: report.pick(subject.tested, 20)]
    model = report.fit(name, subject.keywords, train, data=subject.data)
    report.progress(_("compressing {name}").format(name=name))
    effort = report.pick(subject.effort, 1)
    factors = report.pick(subject.factors, (0.5, 1.5))
    curves = {
        _("autoencoder"): our_curve(model, X, train, factors, effort),
        _("autoencoder, no search"): our_curve(model, X, train, factors, 0),
        "JPEG": codec_curve(X, "JPEG", report.pick(JPEG_QUALITIES, (5, 50)), optimize=True),
        "WebP": codec_curve(X, "WEBP", report.pick(WEBP_QUALITIES, (5, 50)), method=6),
    }
    ours = curves[_("autoencoder")]
    rates = {
        "WebP": rate(ours, curves["WebP"]),
        "JPEG": rate(ours, curves["JPEG"]),
        "JPEG, no header": rate(ours, curves["JPEG"], payload=True),
    }
    describe(report, name, subject, X, curves, rates)
    paying(report, model, name, curves)
    return rates


def describe(
    report: Report,
    name: str,
    subject: Subject,
    X: Any,
    curves: dict[str, Curve],
    rates: dict[str, float | None],
) -> None:
    """Add the section on a kind of pictures: its curves, its rates and its points."""
    title = _(subject.title)
    report.section(name, title[:1].upper() + title[1:])
    report.text(
        _(
            "{n} pictures of {height} × {width} that the model was not trained on. Bytes are those "
            "of the whole archive over its pictures, with its headers and the length and checksum "
            "of each; the model is not in it. JPEG is optimised, WebP written by its slowest "
            "method. *Search* looks for the code of fewest bytes, in {effort} rounds."
        ).format(n=len(X), height=X.shape[1], width=X.shape[2], effort=subject.effort)
    )
    lines = {
        label: (
            np.array([each.size for each in points if each.psnr < HIGHEST]),
            np.array([each.psnr for each in points if each.psnr < HIGHEST]),
        )
        for label, points in curves.items()
    }
    bare = [each for each in curves["JPEG"] if each.psnr < HIGHEST]
    lines[_("JPEG, no header")] = (
        np.array([each.payload for each in bare]),
        np.array([each.psnr for each in bare]),
    )
    report.picture(
        figures.curves(lines, xlabel=_("bytes a picture"), ylabel=_("PSNR, dB"), log="x"),
        _("Quality in decibels against bytes a picture, by way to compress."),
    )
    rows = [[_(label), change(value)] for label, value in rates.items()]
    head = (_("beside"), _("bytes for the same quality (BD-rate)"))
    report.table(_("What the autoencoder needs"), head, rows)
    shown = []
    for decibels in DECIBELS:
        sizes = [at(points, decibels) for points in curves.values()]
        shown.append([f"{decibels} dB", *("–" if size is None else round(size) for size in sizes)])
    report.table(_("Bytes a picture"), (_("PSNR"), *curves), shown)
    report.figures[f"BD-rate, {name}"] = rates


def paying(report: Report, model: Autoencoder, name: str, curves: dict[str, Curve]) -> None:
    """Say from how many pictures on the model's own size is saved."""
    size = (report.folder / f"{name}.safetensors").stat().st_size
    points = curves[_("autoencoder")]
    middle = points[len(points) // 2]
    for label in ("JPEG", "WebP"):
        theirs = at(curves[label], middle.psnr)
        saved = None if theirs is None else theirs - middle.size
        if saved is not None and saved > 0:
            report.text(
                _(
                    "At {psnr:.1f} dB the model of {size:,} kB saves {saved:.0f} bytes a picture "
                    "beside {label}: it pays from {n:,} pictures on."
                ).format(
                    psnr=middle.psnr,
                    size=size // 1000,
                    saved=saved,
                    label=label,
                    n=int(size / saved),
                )
            )


def our_curve(
    model: Autoencoder, X: Any, train: Any, factors: Sequence[float], effort: int
) -> Curve:
    """Return the points of a model at several steps, those that training pictures call useful."""
    codecs = {
        f"× {factor:g}": Codec(requantised(model, train[:COUNTED], factor)) for factor in factors
    }
    sample = train[np.random.default_rng(0).permutation(len(train))[:TRIED]]
    tried = [measured(name, codec, sample, 0) for name, codec in codecs.items()]
    useful = {
        each.name
        for each in tried
        if not any(other.size <= each.size and other.psnr > each.psnr for other in tried)
    }
    points = [measured(name, codecs[name], X, effort) for name in codecs if name in useful]
    return sorted(points, key=lambda each: each.size)


def measured(name: str, codec: Codec, X: Any, effort: int) -> Point:
    """Return what an archive of pictures takes: all of it, its header and checksums too."""
    data = codec.compress(X, effort=effort)
    back = codec.decompress(data).X
    _header, records = unpack(data, "archive")
    payloads = [len(payload) for _number, payload in records]
    return point(name, [len(data) / len(X)], payloads, X, back)


def codec_curve(X: Any, kind: str, qualities: Sequence[int], **options: Any) -> Curve:
    """Return the points of a codec of Pillow's at several qualities."""
    mode, points = "L" if X.ndim == 3 else "RGB", []
    for quality in qualities:
        files = [encoded(picture, kind, quality=quality, **options) for picture in X]
        back = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert(mode)) for file in files])
        sizes, payloads = [len(file) for file in files], [scan(file, kind) for file in files]
        points.append(point(f"{kind} {quality}", sizes, payloads, X, back))
    return points


def encoded(picture: Any, kind: str, **options: Any) -> bytes:
    """Return a picture's file as Pillow writes it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def scan(data: bytes, kind: str) -> int:
    """Return how many bytes of a file are the picture itself, not a header or a table."""
    if kind == "JPEG":
        start = data.index(b"\xff\xda")
        return len(data) - start - 2 - int.from_bytes(data[start + 2 : start + 4], "big") - 2
    return len(data) - WEBP_HEADER


def point(name: str, sizes: Sequence[float], payloads: Sequence[int], X: Any, back: Any) -> Point:
    """Return the point of pictures X that came back so; PSNR is the mean over pictures."""
    decibels = np.minimum(metrics.psnr(X, back, 255), 60)
    return Point(name, float(np.mean(sizes)), float(np.mean(payloads)), float(decibels.mean()))


def at(points: Curve, decibels: float) -> float | None:
    """Return the bytes at which a curve reaches a PSNR, or None where it does not."""
    quality, size = [each.psnr for each in points], [each.size for each in points]
    if not quality[0] <= decibels <= quality[-1]:
        return None
    return float(np.exp(np.interp(decibels, quality, np.log(size))))


def rate(own: Curve, other: Curve, *, payload: bool = False) -> float | None:
    """Return the share of bytes more or less for the same quality; None where curves do not meet.

    Parameters
    ----------
    own, other
        The curves.
    payload
        Whether the other's headers are left out.
    """
    sizes = [each.payload if payload else each.size for each in other]
    qualities = [[each.psnr for each in points] for points in (own, other)]
    try:
        return float(
            metrics.bd_rate([each.size for each in own], qualities[0], sizes, qualities[1])
        )
    except ParameterError:
        return None


def change(rate: float | None) -> str:
    """Return a rate as a percentage with its sign."""
    return "–" if rate is None else f"{100 * rate:+.0f} %".replace("-", "−")


RECIPE = Recipe(
    name="compression",
    title=mark("Pictures in a few bytes"),
    summary=mark("Where does a trained code need fewer bytes than JPEG and WebP, and where not?"),
    rows=("U3",),
    minutes=25,
    run=run,
)
