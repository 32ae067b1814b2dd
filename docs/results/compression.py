"""Train models for compression and write how they do beside JPEG and WebP to compression.md.

    LATENTE_DATA=folder python docs/results/compression.py train SET ...
    LATENTE_DATA=folder python docs/results/compression.py measure SET ...

"train" fits the models of the sets named into the folder .bench, one for each weight of a bit, the
first from scratch and each other from the one before; "measure" measures the models that are there,
keeps the figures in compression.json and writes the page. The test pictures are used to measure,
and for nothing else.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latente import Autoencoder, Codec, Conv, ParameterError, Rounded, datasets, metrics
from latente.codec.archive import unpack
from latente.codec.codec import requantised

HERE = Path(__file__).parent
RECORD = HERE / "compression.json"
IMAGES = HERE.parent / "images"
MODELS = HERE.parent.parent / ".bench"

TRIED = 200
"""Pictures by which points are chosen, of the training part."""
LOOKED_AT = 5000
"""Training pictures in which steps are counted anew."""
WEBP_HEADER = 30
"""RIFF, chunk and frame headers of a WebP file, bytes."""
JPEG_QUALITIES = (1, 3, 5, 8, 12, 18, 26, 36, 50, 65, 80)
WEBP_QUALITIES = (0, 5, 10, 20, 30, 40, 50, 65, 80)
DECIBELS = (21, 23, 25, 27, 29, 31, 33)
MOST_SHOWN = 40
BYTES = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
"""Ticks of the axis of bytes."""
INTRODUCTION = (
    "# Compression",
    "",
    "Small pictures of one kind, compressed by a model of that kind, beside JPEG (optimised) and "
    "WebP (method 6) as Pillow writes them. By `docs/results/compression.py`; nothing here is "
    "typed by hand. Bytes of ours are those of the whole archive, with its headers and five or six "
    "bytes a picture of length and checksum, over the pictures in it; the model is not in it. PSNR "
    "is the mean over pictures. *Search* is the codec's `effort`. The header of a JPEG is all that "
    "comes before its scan; the WebP files are counted whole.",
    "",
    "![PSNR by bytes a picture](../images/compression.png)",
    "",
)


@dataclass(frozen=True)
class Course:
    """How the models of one set are trained.

    Parameters
    ----------
    weights
        Prices of a bit, and the epochs of training for each.
    points
        The models measured, and the steps at which they are, as multiples of those trained with.
    tested
        How many test pictures are measured.
    effort
        Rounds of search for their codes.
    """

    title: str
    load: Callable[[], tuple[Any, Any]]
    network: Conv
    weights: dict[float, int]
    points: dict[float, tuple[float, ...]]
    tested: int
    batch_size: int
    effort: int = 30
    share: str = "none"
    step: float = 0.3
    learning_rate: float = 3e-3


def mnist() -> tuple[Any, Any]:
    """Return the 60,000 training pictures and the 10,000 for testing."""
    data = datasets.load("mnist")
    return data.X, data.X_test


def faces() -> tuple[Any, Any]:
    """Return the faces of 32 people, mirrored too, and those of the other 8."""
    data = datasets.load("faces")
    seen = data.y < 32
    return np.concatenate([data.X[seen], data.X[seen][:, :, ::-1]]), data.X[~seen]


def shapes() -> tuple[Any, Any]:
    """Return 15,000 drawn shapes and 3,000 others."""
    data = datasets.load("shapes")
    return data.X, data.X_test[:1000]


def photographs() -> tuple[Any, Any]:
    """Return photographs of ten kinds of things: 3,000 of CIFAR's, and 1,000 others."""
    X = datasets.load("cifar10").X
    order = np.random.default_rng(0).permutation(len(X))
    return X[order[:3000]], X[order[3000:]]


COURSES = {
    "mnist": Course(
        "MNIST",
        mnist,
        Conv(channels=(16, 32, 64), code="spatial", code_channels=16),
        {0.004: 10},
        {0.004: (0.4, 0.5, 0.7, 1, 1.5, 2.4, 3.3)},
        tested=300,
        effort=80,
        batch_size=128,
    ),
    "faces": Course(
        "Faces (8 people never seen)",
        faces,
        Conv(channels=(24, 48, 64), code="spatial", code_channels=16),
        {0.01: 45},
        {0.01: (0.6, 1, 1.6, 2.5)},
        tested=80,
        batch_size=8,
        share="space",
    ),
    "shapes": Course(
        "Shapes",
        shapes,
        Conv(channels=(16, 32, 64), code="spatial", code_channels=16),
        {0.004: 5},
        {0.004: (0.5, 0.7, 1, 1.6, 2.5)},
        tested=300,
        batch_size=64,
    ),
    "cifar10": Course(
        "General photographs (CIFAR)",
        photographs,
        Conv(channels=(32, 64), code="spatial", code_channels=16),
        {0.01: 8},
        {0.01: (0.7, 1, 1.6, 2.5)},
        tested=100,
        batch_size=32,
        share="space",
    ),
}


def train(name: str) -> None:
    """Fit the models of a set, one weight after the other."""
    course = COURSES[name]
    X, _ = course.load()
    model: Autoencoder | None = None
    for weight, epochs in course.weights.items():
        path = MODELS / f"{name}-{weight}.safetensors"
        if path.exists():
            model = Autoencoder.load(path)
            continue
        begun = time.perf_counter()
        if model is None:
            model = Autoencoder(
                network=course.network,
                bottleneck=Rounded(weight=weight, step=course.step, share=course.share),
                loss="squared",
                epochs=epochs,
                batch_size=course.batch_size,
                learning_rate=course.learning_rate,
                schedule="cosine",
                validation_fraction=0.0,
                random_state=0,
            )
        else:
            model.set_params(
                bottleneck__weight=weight,
                warm_start=True,
                epochs=epochs,
                learning_rate=course.learning_rate / 3,
            )
        model.fit(X)
        model.save(path)
        last = model.history_[-1]
        told = " ".join(f"{key} {last[key]:.4g}" for key in ("reconstruction", "bits"))
        print(f"{name} {weight} {time.perf_counter() - begun:.0f} s {told}", flush=True)


@dataclass(frozen=True)
class Point:
    """What a way to compress reaches: bytes a picture, and decibels.

    `payload` leaves out what every file of the format begins with.
    """

    name: str
    size: float
    payload: float
    psnr: float
    pooled: float


def point(name: str, sizes: Sequence[int], payloads: Sequence[int], X: Any, back: Any) -> Point:
    """Return the point of pictures X that came back so."""
    errors = metrics.mse(X, back)
    each = metrics.psnr(X, back, 255)
    pooled = 20 * np.log10(255) - 10 * np.log10(errors.mean())
    finite = np.minimum(each, 60)
    return Point(
        name, float(np.mean(sizes)), float(np.mean(payloads)), float(finite.mean()), float(pooled)
    )


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


def codec_curve(X: Any, kind: str, qualities: Sequence[int], **options: Any) -> list[Point]:
    """Return the points of a codec of Pillow's at several qualities."""
    found = []
    for quality in qualities:
        files = [encoded(picture, kind, quality=quality, **options) for picture in X]
        mode = "L" if X.ndim == 3 else "RGB"
        back = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert(mode)) for file in files])
        sizes, payloads = [len(f) for f in files], [scan(f, kind) for f in files]
        found.append(point(f"{kind} {quality}", sizes, payloads, X, back))
    return found


def our_curve(name: str, X: Any, train: Any, effort: int) -> list[Point]:
    """Return the points of the models of a set, those that the training pictures call useful."""
    found = []
    for weight, factors in COURSES[name].points.items():
        path = MODELS / f"{name}-{weight}.safetensors"
        if not path.exists():
            continue
        model = Autoencoder.load(path)
        for factor in factors:
            title = f"weight {weight}" + (f", steps × {factor}" if factor != 1 else "")
            changed = requantised(model, train[:LOOKED_AT], factor)
            found.append((title, Codec(changed)))
    sample = train[np.random.default_rng(0).permutation(len(train))[:TRIED]]
    tried = [measured(title, codec, sample, 0) for title, codec in found]
    kept = [
        codec
        for codec, own in zip(found, tried, strict=True)
        if not any(other.size <= own.size and other.psnr > own.psnr for other in tried)
    ]
    points = [measured(title, codec, X, effort) for title, codec in kept]
    return sorted(points, key=lambda each: each.size)


def measured(title: str, codec: Codec, X: Any, effort: int) -> Point:
    """Return what an archive of pictures takes: all of it, its header and checksums too."""
    data = codec.compress(X, effort=effort)
    back = codec.decompress(data).X
    _, records = unpack(data, "archive")
    payloads = [len(payload) for _, payload in records]
    return point(title, [len(data) / len(X)], payloads, X, back)


def at(points: Sequence[Point], decibels: float) -> float | None:
    """Return the bytes at which a curve reaches a PSNR, or None where it does not."""
    quality, size = [p.psnr for p in points], [p.size for p in points]
    if not quality[0] <= decibels <= quality[-1]:
        return None
    return float(np.exp(np.interp(decibels, quality, np.log(size))))


def measure(name: str) -> None:
    """Measure the models of a set that are there, and keep the figures in compression.json."""
    course = COURSES[name]
    train, test = course.load()
    X = test[: course.tested]
    curves = {
        "ours": our_curve(name, X, train, course.effort),
        "ours, no search": our_curve(name, X, train, 0),
        "JPEG": codec_curve(X, "JPEG", JPEG_QUALITIES, optimize=True),
        "WebP": codec_curve(X, "WEBP", WEBP_QUALITIES, method=6),
    }
    first = MODELS / f"{name}-{next(iter(course.weights))}.safetensors"
    found = {
        "shape": X.shape,
        "model": first.stat().st_size,
        "curves": {label: [asdict(each) for each in points] for label, points in curves.items()},
    }
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    RECORD.write_text(json.dumps({**record, name: found}, indent=1) + "\n", encoding="utf-8")
    print(name, *curves["ours"], sep="\n  ", flush=True)


def write() -> None:
    """Write the page and its picture from compression.json."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    results = {name: record[name] for name in COURSES if name in record}
    for found in results.values():
        found["curves"] = {
            label: [Point(**each) for each in points] for label, points in found["curves"].items()
        }
    draw({name: found["curves"] for name, found in results.items()})
    text = "\n".join(page(results)) + "\n"
    (HERE / "compression.md").write_text(text, encoding="utf-8")


def draw(results: dict[str, dict[str, list[Point]]]) -> None:
    """Draw the curves of each set side by side."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    high = -(-len(results) // 2)
    figure = Figure(figsize=(8.4, 3.5 * high), layout="constrained")
    axes = figure.subplots(high, 2, squeeze=False).ravel()
    for axis in axes[len(results) :]:
        axis.remove()
    for axis, (name, curves) in zip(axes, results.items(), strict=False):
        for label, points in curves.items():
            style = {"ours": "o-", "ours, no search": "o:", "JPEG": "s--", "WebP": "^--"}[label]
            shown = [p for p in points if p.psnr < MOST_SHOWN]
            axis.plot([p.size for p in shown], [p.psnr for p in shown], style, ms=3, label=label)
        bare = [p for p in curves["JPEG"] if p.psnr < MOST_SHOWN]
        axis.plot(
            [p.payload for p in bare], [p.psnr for p in bare], "s:", ms=3, label="JPEG, no header"
        )
        axis.set(title=COURSES[name].title, xlabel="bytes a picture", xscale="log")
        axis.set_ylabel("PSNR, dB")
        left, right = axis.get_xlim()
        ticks = [tick for tick in BYTES if left < tick < right]
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(fontsize=7)
    figure.savefig(IMAGES / "compression.png", dpi=110)


def page(results: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield from INTRODUCTION
    for name, found in results.items():
        yield from section(name, found)
    yield from break_even(results)


def section(name: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about one set."""
    (n, height, width, *_), curves = found["shape"], found["curves"]
    effort = COURSES[name].effort
    yield from (f"## {COURSES[name].title}", "")
    yield f"{n:,} pictures of {height} × {width} that no model was trained on; effort {effort}."
    yield from ("", "| BD-rate of ours | with search | without |", "|---|---|---|")
    for label, other, part in (
        ("against JPEG, header counted", "JPEG", "size"),
        ("against JPEG, header not counted", "JPEG", "payload"),
        ("against WebP", "WebP", "size"),
    ):
        searched, plain = (
            difference(curves[own], curves[other], part) for own in ("ours", "ours, no search")
        )
        yield f"| {label} | {searched} | {plain} |"
    yield from ("", "| PSNR | ours | no search | JPEG | WebP | ours over WebP |")
    yield "|---|---|---|---|---|---|"
    for decibels in DECIBELS:
        sizes = [at(curves[label], decibels) for label in curves]
        ratio = sizes[0] / sizes[-1] if sizes[0] and sizes[-1] else None
        told = " | ".join("–" if size is None else f"{size:,.0f}" for size in sizes)
        yield f"| {decibels} dB | {told} | {'–' if ratio is None else f'{ratio:.2f}'} |"
    yield from ("", "| ours | bytes | without checksums | PSNR, mean | PSNR of the mean error |")
    yield "|---|---|---|---|---|"
    for each in curves["ours"]:
        yield (
            f"| {each.name} | {each.size:.1f} | {each.payload:.1f} | {each.psnr:.2f} "
            f"| {each.pooled:.2f} |"
        )
    yield ""


def difference(own: list[Point], other: list[Point], part: str) -> str:
    """Return a BD-rate as text, or a dash where the curves do not meet."""
    try:
        rate = metrics.bd_rate(
            [p.size for p in own],
            [p.psnr for p in own],
            [getattr(p, part) for p in other],
            [p.psnr for p in other],
        )
    except ParameterError:
        return "–"
    return f"{100 * rate:+.0f} %"


def break_even(results: dict[str, Any]) -> Iterator[str]:
    """Yield how many pictures it takes until a model has paid for itself."""
    yield from ("## When it pays", "", "| set | model | at | saved a picture | pays from |")
    yield "|---|---|---|---|---|"
    for name, found in results.items():
        curves, model = found["curves"], found["model"]
        middle = curves["ours"][len(curves["ours"]) // 2]
        for label in ("JPEG", "WebP"):
            theirs = at(curves[label], middle.psnr)
            saved = None if theirs is None else theirs - middle.size
            if saved is None or saved <= 0:
                told = "– | never"
            else:
                told = f"{saved:,.0f} bytes | {model / saved:,.0f} pictures"
            yield (
                f"| {COURSES[name].title}, against {label} | {model / 1e3:,.0f} kB "
                f"| {middle.psnr:.1f} dB | {told} |"
            )


def main() -> None:
    """Do what was asked for."""
    MODELS.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        {"train": train, "measure": measure}[sys.argv[1]](name)
    if RECORD.exists():
        write()


if __name__ == "__main__":
    main()
