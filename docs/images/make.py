"""Draw the README's picture and the guide's heat maps from data that is bundled.

python docs/images/make.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from latente import AnomalyDetector, Autoencoder, datasets
from latente.figures.style import LIGHT, canvas, panel

COLUMNS = 10
IMAGES = Path(__file__).parent


def strip(axes: Axes, title: str, pictures: NDArray[Any]) -> None:
    """Draw pictures side by side under a title."""
    side = pictures.shape[1]
    sheet = np.full((side, COLUMNS * (side + 1) - 1), np.nan)
    for i, picture in enumerate(pictures[:COLUMNS]):
        sheet[:, i * (side + 1) : i * (side + 1) + side] = picture
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=16, interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=10, color=LIGHT.ink, pad=4)
    axes.set_axis_off()


def demo() -> None:
    """Train three autoencoders and draw what they do."""
    digits = datasets.load("digits")
    X, X_test, y_test = digits.X, digits.X_test, digits.y_test
    noisy = X_test + np.random.default_rng(0).normal(0, 5, X_test.shape)
    noisy = noisy.clip(0, 16).astype(np.float32)
    plain = Autoencoder(16, epochs=80, random_state=0).fit(X)
    denoiser = Autoencoder(24, corruption="gaussian_noise(std=0.3)", epochs=80, random_state=0)
    denoiser.fit(X)
    generator = Autoencoder(2, bottleneck="gaussian(beta=0.3)", epochs=150, random_state=0).fit(X)

    figure = canvas(11, 4.6)
    Z = generator.transform(X_test)
    axes = panel(figure, 0.2, 0.2, 4.2, 4.1)
    for digit in range(10):
        at = Z[y_test == digit]
        axes.scatter(at[:, 0], at[:, 1], s=14, color=LIGHT.colours[digit], alpha=0.8, linewidths=0)
        x, y = np.median(at, axis=0)
        axes.text(
            x, y, str(digit), fontsize=13, weight="bold", color=LIGHT.ink, ha="center", va="center"
        )
    axes.set_title("The latent map: digits it never saw", loc="left", fontsize=10, color=LIGHT.ink)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LIGHT.muted)
        spine.set_linewidth(0.5)
    strips = {
        "Held-out digits": X_test,
        "through a code of 16 numbers and back": plain.reconstruct(X_test),
        "with noise": noisy,
        "noise removed": denoiser.reconstruct(noisy),
        "digits that nobody wrote": generator.sample(COLUMNS, random_state=3),
    }
    for i, (title, pictures) in enumerate(strips.items()):
        strip(panel(figure, 4.8, 3.65 - 0.87 * i, 6.0, 0.6), title, pictures)
    figure.savefig(IMAGES / "demo.png", dpi=110)


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


if __name__ == "__main__":
    demo()
    defects()
