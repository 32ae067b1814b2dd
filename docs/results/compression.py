"""Train models for compression and write how they do beside JPEG, WebP and PNG to compression.md.

    LATENTE_DATA=folder python docs/results/compression.py train SET ...
    LATENTE_DATA=folder python docs/results/compression.py measure

"train" fits the models of the sets named into the folder .bench, one for each weight of a bit, the
first from scratch and each other from the one before; "measure" writes the page from the models
that are there. The test pictures are used to measure, and for nothing else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latente import Autoencoder, Conv, Rounded, datasets

HERE = Path(__file__).parent
MODELS = HERE.parent.parent / ".bench"


@dataclass(frozen=True)
class Course:
    """How the models of one set are trained.

    Parameters
    ----------
    weights
        Prices of a bit, and the epochs of training for each.
    """

    title: str
    load: Callable[[], tuple[Any, Any]]
    network: Conv
    weights: dict[float, int]
    batch_size: int
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


COURSES = {
    "mnist": Course(
        "MNIST",
        mnist,
        Conv(channels=(16, 32, 64), code="spatial", code_channels=16),
        {0.004: 10, 0.001: 4, 0.02: 3},
        batch_size=128,
    ),
    "faces": Course(
        "Faces (8 people never seen)",
        faces,
        Conv(channels=(24, 48, 64), kernel=5, code="spatial", code_channels=16),
        {0.01: 60, 0.002: 25, 0.05: 20},
        batch_size=8,
        share="space",
    ),
    "shapes": Course(
        "Shapes",
        shapes,
        Conv(channels=(16, 32, 64), code="spatial", code_channels=16),
        {0.004: 12, 0.02: 5},
        batch_size=64,
    ),
}


def train(name: str) -> None:
    """Fit the models of a set, one weight after the other."""
    course = COURSES[name]
    X, _ = course.load()
    model: Autoencoder | None = None
    for weight, epochs in course.weights.items():
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
            model.bottleneck_.set_params(weight=weight)
            model.set_params(warm_start=True, epochs=epochs)
        model.fit(X)
        model.save(MODELS / f"{name}-{weight}.safetensors")
        last = model.history_[-1]
        told = " ".join(f"{key} {last[key]:.4g}" for key in ("reconstruction", "bits"))
        print(f"{name} {weight} {time.perf_counter() - begun:.0f} s {told}", flush=True)


def main() -> None:
    """Do what was asked for."""
    MODELS.mkdir(exist_ok=True)
    for name in sys.argv[2:]:
        train(name)


if __name__ == "__main__":
    main()
