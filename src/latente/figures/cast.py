"""The demo's cast: which autoencoders it trains, and what its page is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

EPOCHS = 100
NOISE = 0.3
COMMON = {"learning_rate": 0.002, "schedule": "cosine", "epochs": EPOCHS}
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"latent_dim": 2, "network": "dense(hidden=[256, 128, 64])", **COMMON},
    "denoising": {
        "latent_dim": 32,
        "network": "dense(hidden=[512])",
        "corruption": f"gaussian_noise(std={NOISE})",
        **COMMON,
    },
    "variational": {
        "latent_dim": 2,
        "network": "dense(hidden=[256, 128])",
        "bottleneck": "gaussian",
        "loss": "gaussian",
        **COMMON,
        "epochs": 2 * EPOCHS,
    },
}
"""The estimator's keywords for each model of the demo; code and commands are written from them."""


@dataclass(frozen=True)
class Story:
    """Everything the page tells of.

    Parameters
    ----------
    data
        The digits, with held-out ones.
    models
        Fitted, by name.
    numbers
        What was measured, as `write` returns it.
    folder
        Where the page and the models are written, as the commands name it.
    random_state
        Seed of everything random.
    """

    data: Dataset
    models: dict[str, Autoencoder]
    numbers: dict[str, Any]
    folder: Path
    random_state: int


def next_steps(folder: str | Path = "demo") -> list[tuple[str, str]]:
    """Return commands worth trying after the demo, each with what it does.

    Parameters
    ----------
    folder
        Where `write` put its models.
    """
    folder = Path(folder)
    plain, variational = (
        quoted(folder / f"{name}.safetensors") for name in ("plain", "variational")
    )
    return [
        (f"latente sample -m {variational} -n 100 -o new.png", "draw a hundred new digits"),
        (f"latente plot map digits -m {plain} --pca -o map.png", "draw the map beside PCA's"),
        (
            f"latente score digits -m {plain} --split test --top 10",
            "list the ten digits that belong least",
        ),
        (f"latente info {plain}", "see what a model is made of"),
        (
            "latente fit mnist -o mnist.safetensors --latent-dim 32 --pca",
            "train on 60,000 larger digits; they are downloaded once",
        ),
        (
            "latente fit FOLDER -o mine.safetensors --size 64x64",
            "train on your own pictures; a table does as well: mine.csv, mine.npy, mine.parquet",
        ),
    ]


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    import shlex

    return shlex.quote(path.as_posix())
