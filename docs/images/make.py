"""Draw the README's picture, of MNIST too, and those of the guide, of bundled data.

LATENTE_DATA=folder python docs/images/make.py
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_wine

from latente import AnomalyDetector, Autoencoder, Study, datasets, figures
from latente.figures.style import LIGHT, canvas, panel

COLUMNS = 8
COLOURS = 200
IMAGES = Path(__file__).parent


def strip(axes: Axes, title: str, pictures: NDArray[Any]) -> None:
    """Draw pictures side by side under a title, ink on paper."""
    high, wide = pictures.shape[1:]
    sheet = np.full((high, len(pictures) * (wide + 2) - 2), np.nan)
    for i, picture in enumerate(pictures):
        sheet[:, i * (wide + 2) : i * (wide + 2) + wide] = picture
    axes.imshow(sheet, cmap="gray_r", interpolation="nearest", aspect="auto")
    axes.set_title(title, loc="left", fontsize=10, color=LIGHT.ink, pad=4)
    axes.set_axis_off()


def readme() -> None:
    """Train on some thousand digits of MNIST, on shapes and on a font, and draw what comes out."""
    mnist, shapes = datasets.load("mnist"), datasets.load("shapes", n=3000)
    X, X_test, y_test = mnist.X[:15000], mnist.X_test[:400], mnist.y_test[:400]
    plane = Autoencoder(2, bottleneck="gaussian", loss="bernoulli", random_state=0).fit(X)
    rng = np.random.default_rng(0)
    noisy = np.clip(X_test[:COLUMNS] + rng.normal(0, 100, X_test[:COLUMNS].shape), 0, 255)
    network = "conv(channels=[16, 32, 64], down='pool', code='spatial', skips=True)"
    denoiser = Autoencoder(network=network, corruption="gaussian_noise(std=0.4)", epochs=4)
    denoiser.set_params(random_state=0, batch_size=128, learning_rate=0.003).fit(X)
    generator = Autoencoder(10, bottleneck="gaussian", loss="bernoulli", random_state=0).fit(X)
    compressor = Autoencoder(16, random_state=0).fit(shapes.X)
    kept = shapes.X_test[:COLUMNS]

    figure = canvas(11.4, 6.1)
    drawn = io.BytesIO()
    figures.latent_map(plane, X_test[:220], y_test[:220]).savefig(drawn, dpi=192)
    axes = panel(figure, 0.1, 0.15, 5.8, 5.5)
    axes.imshow(Image.open(drawn))
    axes.set_title(
        "Two numbers a digit: where held-out digits lie", loc="left", fontsize=10, color=LIGHT.ink
    )
    axes.set_axis_off()
    strips = {
        "digits with noise": noisy,
        "noise removed": denoiser.reconstruct(noisy.astype(np.uint8)),
        "digits that nobody wrote": generator.sample(COLUMNS, random_state=5),
        "shapes": kept,
        "after a code of 16 numbers": compressor.reconstruct(kept),
    }
    for i, (title, pictures) in enumerate(strips.items()):
        strip(panel(figure, 6.0, 4.98 - 1.18 * i, 5.2, 0.72), title, pictures)
    figure.savefig(IMAGES / "readme.png", dpi=96)


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure with a palette of few colours: a page is read over the net."""
    figure.savefig(path, dpi=dpi)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def defects() -> None:
    """Learn sound shapes, and have the command draw where damaged ones are odd."""
    shapes = datasets.load("shapes", n=1500)
    X, generator = shapes.X_test[:200].copy(), np.random.default_rng(0)
    for picture in X[::10]:
        row, column = generator.integers(6, 18, 2)
        picture[row : row + 5, column : column + 5] ^= 255
    with TemporaryDirectory() as folder:
        data, model = Path(folder, "shapes.npy"), Path(folder, "shapes.safetensors")
        np.save(data, X)
        AnomalyDetector(random_state=0).fit(shapes.X).save(model)
        command = [sys.executable, "-m", "latente", "detect", data, "-m", model, "--top", "18"]
        subprocess.run([*command, "-o", IMAGES / "anomaly-heat.png"], check=True)


def guide() -> None:
    """Draw a picture for each page of the guide, from bundled data; ``guide-<page>.png``."""
    digits = datasets.load("digits")
    plain = Autoencoder(16, epochs=80, random_state=0).fit(digits.X)
    drawn = {
        "fit": figures.history(plain),
        "data": collections(),
        "tables": table(),
        "pictures": shapes(),
        "denoise": noise(digits),
        "generate": generation(digits),
        "impute": imputers(),
        "map": figures.latent_map(
            Autoencoder(2, epochs=100, random_state=0).fit(digits.X), digits.X_test, digits.y_test
        ),
        "parts": bottlenecks(digits),
        "pyod": figures.anomalies(plain, digits.X_test),
        "sequences": series(),
    }
    for name, figure in drawn.items():
        save(figure, IMAGES / f"guide-{name}.png", 110)
    with TemporaryDirectory() as folder:
        model = Path(folder, "digits.safetensors")
        plain.save(model)
        terminal("cli", folder, "latente info digits.safetensors")
        terminal("save", folder, "latente info digits.safetensors --config")
        network = "conv(channels=[16, 32])"
        Autoencoder(16, network=network, epochs=1, random_state=0).fit(digits.X).save(model)
        terminal("speed", folder, "latente info digits.safetensors --layers --time")


def collections() -> Figure:
    """Draw some samples of each set that comes with the package."""
    figure = canvas(8, 3.2)
    for i, name in enumerate(("digits", "font", "shapes")):
        X = datasets.load(name, n=400 if name == "shapes" else None).X
        chosen = X[np.linspace(0, len(X) - 1, 2 * COLUMNS).astype(int)].astype(float)
        axes = panel(figure, 0.2, 2.2 - 1.0 * i, 7.6, 0.75)
        side, width = chosen.shape[1:]
        sheet = np.full((side, 2 * COLUMNS * (width + 1) - 1), np.nan)
        for j, picture in enumerate(chosen):
            sheet[:, j * (width + 1) : j * (width + 1) + width] = picture
        axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
        axes.set_title(name, loc="left", fontsize=10, color=LIGHT.ink, pad=4)
        axes.set_axis_off()
    return figure


def table() -> Figure:
    """Draw rows of a table and what comes back of them."""
    wine = load_wine(as_frame=True).data
    model = Autoencoder(4, epochs=200, random_state=0).fit(wine.iloc[::2])
    return figures.reconstructions(model, wine.iloc[1::2], 6)


def shapes() -> Figure:
    """Draw shapes and what comes back of them through codes of several sizes."""
    data = datasets.load("shapes", n=2000)
    shown = data.X_test[:COLUMNS]
    rows = {"original": shown}
    for size in (2, 8, 32):
        model = Autoencoder(size, epochs=40, random_state=0).fit(data.X)
        rows[f"{size} numbers"] = model.reconstruct(shown)
    return figures.rows(rows)


def noise(digits: datasets.Dataset) -> Figure:
    """Draw digits, the same with noise, and restored."""
    model = Autoencoder(32, corruption="gaussian_noise(std=0.3)", epochs=100, random_state=0)
    return figures.reconstructions(model.fit(digits.X), digits.X_test)


def generation(digits: datasets.Dataset) -> Figure:
    """Draw the code plane of a variational model, decoded."""
    model = Autoencoder(2, bottleneck="gaussian(beta=0.3)", epochs=150, random_state=0)
    return figures.decode_grid(model.fit(digits.X), 15)


def imputers() -> Figure:
    """Draw the errors of imputers, from the results."""
    found = json.loads((IMAGES.parent / "results" / "imputation.json").read_text())
    methods = dict.fromkeys(each["method"] for each in found)
    errors = {name: [e["rmse"] for e in found if e["method"] == name] for name in methods}
    return figures.bars(errors, ylabel="RMSE of what was hidden, in standard deviations")


def bottlenecks(digits: datasets.Dataset) -> Figure:
    """Draw the same digits through eight numbers of several kinds."""
    shown = digits.X_test[:COLUMNS]
    rows = {"original": shown}
    for name in ("plain", "sparse", "gaussian", "rounded", "vector_quantized", "adversarial"):
        model = Autoencoder(8, bottleneck=name, epochs=60, random_state=0).fit(digits.X)
        rows[name.removesuffix("_quantized")] = model.reconstruct(shown)
    return figures.rows(rows)


def series() -> Figure:
    """Draw a series and what comes back of it through six numbers."""
    rng = np.random.default_rng(0)
    frequency, phase = rng.uniform(1, 4, (2, 1500, 1))
    X = np.sin(2 * np.pi * (frequency * np.linspace(0, 1, 48) + phase))[..., None]
    X = X + rng.normal(0, 0.08, X.shape)
    model = Autoencoder(6, network="dense", layout="sequences", epochs=80, random_state=0)
    back = model.fit(X[:-1]).reconstruct(X[-1:])
    lines = {"a series that it never saw": X[-1, :, 0], "through six numbers": back[0, :, 0]}
    return figures.curves(lines, xlabel="step", ylabel="value")


def terminal(name: str, folder: str, command: str) -> None:
    """Draw what a command prints, as SVG: ``guide-<page>.svg``."""
    shown = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines = [line.rstrip() for line in shown.splitlines()]
    width = max(map(len, [command + "  ", *lines]))
    console = Console(record=True, width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(f"$ {command}", style="bold")
    console.print("\n".join(lines))
    console.save_svg(str(IMAGES / f"guide-{name}.svg"), title="latente")


def settings() -> None:
    """Draw the curves of the study that the guide begins with."""
    study = Study(
        Autoencoder(latent_dim=8, network="dense", loss="squared", batch_size=256),
        {"optimizer": ["adam", "sgd"], "learning_rate": [0.01, 0.001], "epochs": [4, 8]},
        seeds=3,
    )
    study.run(datasets.load("digits").X)
    study.plot().savefig(IMAGES / "study-curves.png", dpi=110)


if __name__ == "__main__":
    readme()
    defects()
    guide()
    settings()
