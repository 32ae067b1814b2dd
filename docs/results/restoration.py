"""Train restorers, measure them on held-out pictures beside classical methods: restoration.md.

    LATENTE_DATA=folder python docs/results/restoration.py [ROW ...]

Rows that are named are trained anew; the others keep their figures from restoration.json. The
classical methods are scikit-image's, with the parameters that do best on training pictures.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import restoration

from latente import (
    Autoencoder,
    Conv,
    Erase,
    GaussianNoise,
    Grayscale,
    Watermark,
    datasets,
    metrics,
)
from latente.corruptions.base import Corruption

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
RECORD = HERE / "restoration.json"
TUNED_ON = 12
"""Training pictures on which the parameters of the classical methods are chosen."""
GREY = 4
"""Mean difference between a photograph's channels below which it has no colours to give back."""
SHOWN = {28: 12, 32: 12, 112: 5}
"""Pictures side by side, by their height."""
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Figures = dict[str, Any]


@dataclass
class Classical:
    """A method that is not trained, and the parameters to choose from."""

    run: Callable[..., Floats]
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)


def non_local_means(x: Floats, hidden: Any, h: float, patch: int, distance: int) -> Floats:
    """Return a picture denoised by patches that look alike."""
    return restoration.denoise_nl_means(x, patch_size=patch, patch_distance=distance, h=h)


def total_variation(x: Floats, hidden: Any, weight: float) -> Floats:
    """Return a picture denoised by charging for differences between neighbours."""
    return restoration.denoise_tv_chambolle(x, weight=weight)


def wavelet(x: Floats, hidden: Any, sigma: float, mode: str) -> Floats:
    """Return a picture denoised by shrinking its wavelet coefficients."""
    return restoration.denoise_wavelet(x, sigma=sigma, mode=mode, rescale_sigma=True)


def biharmonic(x: Floats, hidden: Any) -> Floats:
    """Return a picture whose hidden pixels are filled in as smoothly as can be."""
    return restoration.inpaint_biharmonic(x, hidden)


DENOISERS = {
    "non-local means": Classical(
        non_local_means,
        {"h": (0.05, 0.1, 0.2, 0.4, 0.8), "patch": (3, 5, 7), "distance": (5, 9)},
    ),
    "total variation": Classical(
        total_variation, {"weight": (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.2)}
    ),
    "wavelet": Classical(
        wavelet, {"sigma": (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8), "mode": ("soft", "hard")}
    ),
}
INPAINTERS = {"biharmonic": Classical(biharmonic)}
UNET = Conv(channels=(16, 32, 64), down="pool", code="spatial", skips=True)
DEEP = Conv(channels=(12, 24, 48, 64), down="pool", code="spatial", skips=True, residual=True)


@dataclass
class Row:
    """One kind of damage on one data set."""

    title: str
    data: Callable[[], tuple[Bytes, Bytes]]
    damage: Corruption
    keywords: dict[str, Any]
    methods: dict[str, Classical]
    told: bool = False
    """Whether the network, too, is told which pixels are damaged."""
    note: str = ""


def mnist() -> tuple[Bytes, Bytes]:
    """Return all training digits, and 300 of the digits for testing."""
    data = datasets.load("mnist")
    return data.X, drawn(data.X_test, 300)


def faces() -> tuple[Bytes, Bytes]:
    """Return the faces of 32 people, and those of the 8 others."""
    data = datasets.load("faces")
    people = np.random.default_rng(0).permutation(40)[:8]
    held = np.isin(data.y, people)
    return data.X[~held], data.X[held]


def cifar() -> tuple[Bytes, Bytes]:
    """Return nine of ten photographs that are not grey themselves, and 300 of the others."""
    X = datasets.load("cifar10").X
    X = X[np.ptp(X, axis=-1).mean((1, 2)) >= GREY]
    order = np.random.default_rng(0).permutation(len(X))
    tenth = len(X) // 10
    return X[order[tenth:]], X[order[:tenth][:300]]


def drawn(X: Bytes, n: int) -> Bytes:
    """Return n of the pictures, always the same."""
    return X[np.sort(np.random.default_rng(0).permutation(len(X))[:n])]


COMMON: dict[str, Any] = {
    "schedule": "one_cycle",
    "learning_rate": 0.004,
    "validation_fraction": 0.0,
    "loss": "squared",
    "random_state": 0,
}
ON_MNIST = {"network": UNET, "batch_size": 128, "epochs": 1}
ON_FACES = {"network": DEEP, "batch_size": 4, "epochs": 20}
ROWS = {
    "mnist-0.2": Row(
        "MNIST, noise N(0, 0.2), clipped",
        mnist,
        GaussianNoise(std=0.2),
        ON_MNIST | {"epochs": 2},
        DENOISERS,
    ),
    "mnist-0.5": Row(
        "MNIST, noise N(0, 0.5), clipped", mnist, GaussianNoise(std=0.5), ON_MNIST, DENOISERS
    ),
    "mnist-mean-0.5": Row(
        "MNIST, noise N(0.5, 0.1), clipped",
        mnist,
        GaussianNoise(mean=0.5, std=0.1),
        ON_MNIST,
        DENOISERS,
    ),
    "faces-watermark": Row(
        "faces, watermark",
        faces,
        Watermark(),
        ON_FACES,
        {**DENOISERS, "biharmonic, told where": Classical(biharmonic)},
        note="Biharmonic inpainting is told which pixels the mark covers; the network finds them "
        "itself, and sees through the mark.",
    ),
    "faces-erased": Row(
        "faces, 25 % erased",
        faces,
        Erase(share=0.25, mask_channel=True),
        ON_FACES | {"epochs": 30},
        INPAINTERS,
        told=True,
    ),
    "cifar-grey": Row(
        "CIFAR-10, grey to colour",
        cifar,
        Grayscale(),
        {"network": DEEP, "batch_size": 64, "epochs": 20},
        {},
        note="The squared error asks for the mean of all colours that a grey may have had, so that "
        "colours come out pale; the damaged pictures' SSIM is of three equal channels.",
    ),
}


def damaged(row: Row, X: Bytes, seed: int) -> tuple[Bytes, NDArray[np.bool_]]:
    """Return pictures with the row's damage, as bytes, and which pixels it changed."""
    clean = torch.from_numpy(X).float() / 255
    clean = clean[:, None] if clean.dim() == 3 else clean.movedim(3, 1)
    seen = row.damage(clean, torch.Generator().manual_seed(seed), (0.0, 1.0))
    pictures = (seen[:, : clean.shape[1]] * 255).round().byte()
    differs = (pictures != (clean * 255).round().byte()).any(1)
    changed = seen[:, -1] > 0 if row.told else differs
    spoilt = pictures.movedim(1, 3).numpy()
    return (spoilt[..., 0] if spoilt.shape[3] == 1 else spoilt), changed.numpy()


def every(method: Classical, spoilt: Bytes, changed: Any, **chosen: Any) -> Floats:
    """Return all pictures as a classical method restores them, in [0, 1]."""
    pairs = zip(spoilt / 255, changed, strict=True)
    return np.stack([np.clip(method.run(x, hidden, **chosen), 0, 1) for x, hidden in pairs])


def tuned(method: Classical, clean: Bytes, spoilt: Bytes, changed: Any) -> dict[str, Any]:
    """Return the parameters with the highest PSNR on training pictures."""
    options = [
        dict(zip(method.choices, values, strict=True))
        for values in product(*method.choices.values())
    ]
    if len(options) == 1:
        return options[0]

    def reached(chosen: dict[str, Any]) -> float:
        return float(metrics.psnr(clean / 255, every(method, spoilt, changed, **chosen)).mean())

    return max(options, key=reached)


def levels(clean: Floats, restored: Floats) -> tuple[float, float]:
    """Return slope and shift that bring restored values nearest to the clean ones."""
    slope, shift = np.polyfit(restored.ravel(), clean.ravel(), 1)
    return float(slope), float(shift)


def figures_of(clean: Bytes, restored: Floats) -> Figures:
    """Return the mean PSNR and SSIM of restored pictures in [0, 1]."""
    return {
        "psnr": float(metrics.psnr(clean / 255, restored).mean()),
        "ssim": float(metrics.ssim(clean / 255, restored).mean()),
    }


def measure(name: str, row: Row) -> Figures:
    """Train one restorer, run the classical methods, and return the figures of all."""
    X, X_test = row.data()
    spoilt, changed = damaged(row, X_test, seed=1)
    seen = np.repeat(spoilt[..., None], 3, 3) if spoilt.ndim < X_test.ndim else spoilt
    found: Figures = {"title": row.title, "pictures": len(X_test), "methods": {}}
    found["methods"]["damaged"] = figures_of(X_test, seen / 255)
    tuning = drawn(X, TUNED_ON)
    known, where = damaged(row, tuning, seed=2)
    shown = {"damaged": spoilt}
    for title, method in row.methods.items():
        chosen = tuned(method, tuning, known, where)
        slope, shift = levels(tuning / 255, every(method, known, where, **chosen))
        begun = time.perf_counter()
        restored = every(method, spoilt, changed, **chosen)
        seconds = time.perf_counter() - begun
        right = np.clip(slope * restored + shift, 0, 1)
        found["methods"][title] = {
            **figures_of(X_test, restored),
            "levels": figures_of(X_test, right)["psnr"],
            "chosen": chosen,
            "ms": 1000 * seconds / len(X_test),
        }
        print(name, title, found["methods"][title], flush=True)
        shown[title] = (restored * 255).round().astype(np.uint8)
    begun, used = time.perf_counter(), time.process_time()
    ae = Autoencoder(**COMMON | row.keywords, corruption=row.damage, verbose=2).fit(X)
    found |= {
        "seconds": time.perf_counter() - begun,
        "cpu": time.process_time() - used,
        "parameters": ae.n_parameters_,
        "epochs": ae.epochs_,
        "trained on": len(X),
    }
    begun = time.perf_counter()
    restored = ae.reconstruct(spoilt, changed if row.told else None)
    ms = 1000 * (time.perf_counter() - begun) / len(X_test)
    found["methods"]["latente"] = {**figures_of(X_test, restored / 255), "ms": ms}
    print(name, found["methods"]["latente"], flush=True)
    best = max(row.methods, key=lambda t: found["methods"][t]["psnr"], default="damaged")
    found["best"] = best
    sheet(name, [X_test, spoilt, *([shown[best]] if row.methods else []), restored])
    return found


def sheet(name: str, rows: list[Bytes]) -> None:
    """Draw pictures side by side, one row a stage: clean, damaged, classical, restored."""
    height, width = rows[0].shape[1:3]
    count, gap = SHOWN[height], 2
    index = np.linspace(0, len(rows[0]) - 1, count).round().astype(int)
    colours = max(row.ndim for row in rows) == 4
    size = (len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3 if colours else 1)
    paper = np.full(size, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row[index]):
            top, left = i * (height + gap), j * (width + gap)
            paper[top : top + height, left : left + width] = picture.reshape(height, width, -1)
    image = Image.fromarray(paper if colours else paper[..., 0])
    if height < 64:
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    IMAGES.mkdir(exist_ok=True)
    (image if colours else image.quantize(64)).save(
        IMAGES / f"restoration-{name}.png", optimize=True
    )


def page(record: dict[str, Figures]) -> str:
    """Return restoration.md."""
    lines = [HEAD.format(skimage=skimage.__version__, torch=torch.__version__.partition("+")[0])]
    for name, r in record.items():
        if name == "machine":
            continue
        stages = ["clean", "damaged", *([r["best"]] if r["best"] != "damaged" else []), "restored"]
        lines += [
            f"## {r['title']}\n",
            f"![{', '.join(stages)}](../images/restoration-{name}.png)\n",
            f"From above: {', '.join(stages)}. Means over {r['pictures']} pictures never seen in "
            f"training; {r['parameters']:,} parameters, {r['epochs']} "
            f"{'epoch' if r['epochs'] == 1 else 'epochs'} over {r['trained on']:,} pictures in "
            f"{r['cpu']:.0f} s of one core. {ROWS[name].note}".rstrip()
            + "\n",
            "| | PSNR, dB | SSIM | PSNR, levels fitted | ms a picture | parameters chosen |",
            "|---|---|---|---|---|---|",
        ]
        for title, m in r["methods"].items():
            chosen = ", ".join(f"{k} {v}" for k, v in m.get("chosen", {}).items())
            fitted = f"{m['levels']:.2f}" if "levels" in m else ""
            ms = f"{m['ms']:.1f}" if "ms" in m else ""
            cells = [title, f"{m['psnr']:.2f}", f"{m['ssim']:.3f}", fitted, ms, chosen]
            bold = "**" if title == "latente" else ""
            lines.append(f"| {' | '.join(f'{bold}{c}{bold}' if c else '' for c in cells)} |")
        lines.append("")
    lines.append(
        f"Measured on {record['machine']['processor']}, one core, with other work on it.\n"
    )
    return "\n".join(lines)


HEAD = """\
# Results: restoration

Restorers trained on damage made up while training, measured on pictures they never saw, beside
classical methods of scikit-image {skimage} (torch {torch}). The parameters of the classical methods
are those with the highest PSNR on training pictures. Clipped noise shifts black and white, which
these methods cannot know; "levels fitted" is their PSNR after the line that brings their training
results nearest to the truth.

Written by `docs/results/restoration.py`; how to do it: [restore pictures](../guide/restore.md).
"""


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor()


def main() -> None:
    """Measure the rows named on the command line, or all, and write the page."""
    torch.set_num_threads(1)
    record: dict[str, Figures] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sys.argv[1:] or ROWS:
        if name != "page":
            record[name] = measure(name, ROWS[name])
            record["machine"] = {"processor": processor()}
            ordered = {key: record[key] for key in [*ROWS, "machine"] if key in record}
            RECORD.write_text(json.dumps(ordered, indent=1) + "\n")
    ordered = {key: record[key] for key in [*ROWS, "machine"] if key in record}
    (HERE / "restoration.md").write_text(page(ordered))


if __name__ == "__main__":
    main()
