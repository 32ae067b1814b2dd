"""The demo: three autoencoders fitted on bundled digits, measured, and one page about them.

::

    digits ──fit──▶ models ──measure──▶ numbers ─┐
                      └──────draw─────▶ figures ─┴──demo.html.jinja──▶ index.html
"""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from markupsafe import Markup
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from .. import datasets
from ..estimator import Autoencoder
from ..metrics import Numbers, agreement, mse, psnr
from ..version import __version__
from . import page
from .maps import codes, latent_map, pca_map, pca_positions
from .mosaic import spread
from .pictures import (
    anomalies,
    corrupted,
    decode_grid,
    interpolation,
    reconstructions,
    samples,
)
from .training import history

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..training.state import TrainingState

Progress = Callable[[str, float], None]

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
COPIES = 10
"""Noisy copies of each training digit that the linear filter is fitted on."""


def write(
    path: str | Path = "demo/index.html",
    *,
    quick: bool = False,
    random_state: int = 0,
    progress: Progress | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Fit the demo's autoencoders and write the page about them, with the models beside it.

    Parameters
    ----------
    path
        The page; its folder is made if it is not there.
    quick
        Train for two epochs only, to try the demo itself.
    random_state
        Seed of everything random.
    progress
        Called with what is being done, and the share of the whole that is done, from 0 to 1.

    Returns
    -------
    path, numbers
        The page, and what was measured on held-out digits: "data", "models" (by name), "map",
        "anomalies" and "seconds".

    Raises
    ------
    FileError
        If the page or a model cannot be written.
    """
    begin = time.perf_counter()
    report = progress or (lambda what, share: None)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = datasets.load("digits")
    models, seconds = fit(data, quick=quick, random_state=random_state, progress=report)
    report("measuring", 0.86)
    numbers = measure(data, models, random_state)
    for name, taken in seconds.items():
        numbers["models"][name]["seconds"] = taken
    numbers["cores"] = os.cpu_count()
    numbers["seconds"] = time.perf_counter() - begin
    report("drawing", 0.9)
    html = page.render(
        "demo.html.jinja",
        data=data,
        models=models,
        results=numbers,
        summary=summary(numbers),
        noise=NOISE,
        random_state=random_state,
        diagram=diagram(data, models["plain"]),
        figures=draw(data, models, random_state),
        fitting=partial(fitting, random_state=random_state),
        drawing=drawing,
        steps="\n".join(f"# {what}\n{line}\n" for line, what in next_steps(path.parent)),
        latente=__version__,
        torch=torch.__version__,
        python=platform.python_version(),
    )
    for name, model in models.items():
        model.save(path.parent / f"{name}.safetensors")
    page.write(path, html)
    report("done", 1.0)
    return path, numbers


def fit(
    data: Dataset, *, quick: bool, random_state: int, progress: Progress
) -> tuple[dict[str, Autoencoder], dict[str, float]]:
    """Fit the models; return them and the seconds each took, by name."""
    models, seconds = {}, {}
    for i, (name, keywords) in enumerate(MODELS.items()):
        settings = {**keywords, "epochs": 2} if quick else keywords
        callback = Reporter(f"training the {name} autoencoder", i / len(MODELS), progress)
        begin = time.perf_counter()
        model = Autoencoder(**settings, random_state=random_state, callbacks=callback).fit(data.X)
        seconds[name] = time.perf_counter() - begin
        models[name] = model.set_params(callbacks=None)
    return models, seconds


@dataclass(frozen=True)
class Reporter:
    """A callback that reports how far a fit is, as a share of the whole demo."""

    what: str
    share: float
    progress: Progress

    def on_epoch_end(self, state: TrainingState) -> None:
        """Report the share of the whole demo that is done."""
        done = self.share + state.epoch / state.epochs / len(MODELS)
        self.progress(self.what, 0.85 * done)


def next_steps(folder: str | Path = "demo") -> list[tuple[str, str]]:
    """Return commands worth trying after the demo, each with what it does.

    Parameters
    ----------
    folder
        Where `write` put its models.
    """
    plain, variational = (
        shlex.quote((Path(folder) / f"{name}.safetensors").as_posix())
        for name in ("plain", "variational")
    )
    return [
        (f"latente sample -m {variational} -n 100 -o new.png", "draw a hundred new digits"),
        (f"latente plot map digits -m {plain} --pca -o map.png", "draw the map beside PCA's"),
        (
            f"latente score digits -m {plain} --split test --top 10",
            "list the ten most anomalous digits",
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


def diagram(data: Dataset, model: Autoencoder) -> Markup:
    """Return the drawing of one held-out digit on its way through a model."""
    x = spread(data.X_test, 12)[4:5]
    return page.flow(x[0], model.transform(x)[0], model.reconstruct(x)[0])


def draw(data: Dataset, models: dict[str, Autoencoder], random_state: int) -> dict[str, Figure]:
    """Return the page's figures by name; the loss curves have the names of the models."""
    X, y = data.X_test, np.asarray(data.y_test)
    plain, variational = models["plain"], models["variational"]
    starts, ends = (
        X[[int(np.flatnonzero(y == digit)[0]) for digit in digits]]
        for digits in ((0, 3, 7), (6, 5, 4))
    )
    return {
        "reconstructions": reconstructions(plain, X, beside={"PCA": pca(data, 2).reshape(X.shape)}),
        "map": latent_map(plain, X, y),
        "pca": pca_map(X, y, train=data.X),
        "restored": reconstructions(models["denoising"], X, random_state=random_state),
        "grid": decode_grid(variational, 15),
        "samples": samples(variational, 64, random_state=random_state),
        "interpolation": interpolation(variational, starts, ends),
        "anomalies": anomalies(plain, X),
        **{name: history(model) for name, model in models.items()},
    }


def fitting(name: str, calls: list[str], commands: list[str], *, random_state: int) -> Markup:
    """Return the code and the commands that fit a model of the demo and draw its figures."""
    keywords = {**MODELS[name], "random_state": random_state}
    return page.code_pair(
        page.python_fit(keywords, calls, "digits"),
        page.shell_fit(name, keywords, commands, "digits"),
    )


def drawing(calls: list[str], commands: list[str]) -> Markup:
    """Return the code and the commands that draw figures of the model before."""
    python = "# with the model from above\n" + page.python_figures(calls)
    return page.code_pair(python, page.shell_commands(commands))


def summary(numbers: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the table that compares the models."""
    return [
        (
            name,
            str(model["latent_dim"]),
            f"{model['parameters']:,}",
            str(model["epochs"]),
            f"{model['seconds']:.1f}",
            f"{model['mse']:.4f}",
            f"{model['pca_mse']:.4f}",
        )
        for name, model in numbers["models"].items()
    ]


def measure(data: Dataset, models: dict[str, Autoencoder], random_state: int) -> dict[str, Any]:
    """Return the numbers of the demo by name, all on digits that no model was trained on.

    Parameters
    ----------
    data
        Digits with a test part.
    models
        The fitted "plain", "denoising" and "variational" autoencoders.
    random_state
        Seed of the noise and of what is drawn.
    """
    span = float(data.X.max() - data.X.min())
    by_model = {name: measure_model(model, data, span) for name, model in models.items()}
    by_model["plain"]["pca_components_needed"] = components_needed(
        data, span, by_model["plain"]["mse"]
    )
    by_model["denoising"] |= measure_denoising(models["denoising"], data, span, random_state)
    by_model["variational"] |= measure_likelihood(models["variational"], data, random_state)
    return {
        "data": {
            "name": data.name,
            "train": len(data.X),
            "held_out": len(data.X_test),
            "pixels": int(np.prod(data.shape)),
        },
        "models": by_model,
        "map": measure_map(models["plain"], data),
        "anomalies": measure_anomalies(models["plain"], data),
    }


def measure_model(model: Autoencoder, data: Dataset, span: float) -> dict[str, Any]:
    """Return what is measured of every model; errors are per pixel, with ink at 1."""
    X, size = data.X_test, model.latent_dim_
    return {
        "latent_dim": size,
        "parameters": model.n_parameters_,
        "epochs": len(model.history_),
        "mse": float(mse(X, model.reconstruct(X)).mean()) / span**2,
        "pca_mse": float(mse(flat(X), pca(data, size)).mean()) / span**2,
    }


def measure_map(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how often nearest neighbours are the same digit: on both maps, and by all pixels."""
    points = {
        "autoencoder": codes(model, data.X_test),
        "pca": pca_positions(data.X_test, data.X),
        "pixels": flat(data.X_test),
    }
    y = np.asarray(data.y_test)
    shares = np.bincount(y) / len(y)
    agreements = {name: agreement(at, y) for name, at in points.items()}
    return agreements | {"chance": float(np.square(shares).sum())}


def measure_denoising(
    model: Autoencoder, data: Dataset, span: float, random_state: int
) -> dict[str, float]:
    """Return signal-to-noise ratios in decibels, before and after, beside two linear filters.

    The ridge regression from noisy to clean pixels, fitted on ten noisy copies of the training
    digits, is the best linear filter; the other drops all but so many principal components.
    """
    X, noisy = data.X_test, corrupted(model, data.X_test, random_state)[0]
    copies = [corrupted(model, data.X, random_state + 1 + i)[0] for i in range(COPIES)]
    clean = np.tile(flat(data.X), (COPIES, 1))
    linear = Ridge(1.0).fit(flat(np.concatenate(copies)), clean).predict(flat(noisy))

    def after(components: int, seen: Any, target: Any) -> float:
        return float(psnr(flat(target), pca(data, components, seen), span).mean())

    best = max(range(2, 40), key=lambda components: after(components, copies[0], data.X))
    return {
        "psnr_noisy": float(psnr(X, noisy, span).mean()),
        "psnr_restored": float(psnr(X, model.reconstruct(noisy), span).mean()),
        "psnr_linear": float(psnr(flat(X), linear, span).mean()),
        "psnr_pca": after(best, noisy, X),
        "pca_components": best,
    }


def measure_likelihood(model: Autoencoder, data: Dataset, random_state: int) -> dict[str, float]:
    """Return the likelihood of held-out digits in nats, beside that of probabilistic PCA.

    Probabilistic PCA (Tipping and Bishop, 1999) is the variational autoencoder whose networks are
    linear; both are taken in the model's scale.
    """
    train, X = (
        flat(model.fitted_.input.convert(model.fitted_.input.store(part, "X")))
        for part in (data.X, data.X_test)
    )
    linear = PCA(model.latent_dim_, svd_solver="full").fit(train)
    likelihood = model.log_likelihood(data.X_test, samples=200, random_state=random_state)
    return {
        "log_likelihood": float(likelihood.mean()),
        "log_likelihood_pca": float(linear.score(X)),
        "kl": float(np.sum(model.kl_per_dimension_)),
        "active_units": int(model.active_units_ or 0),
    }


def measure_anomalies(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how well scores separate held-out digits from their mirror images (area under ROC)."""
    X = data.X_test
    mirrored = np.ascontiguousarray(X[:, :, ::-1])

    def area(own: Numbers, other: Numbers) -> float:
        truth = np.repeat([0, 1], [len(own), len(other)])
        return float(roc_auc_score(truth, np.concatenate([own, other])))

    size, scores = model.latent_dim_, flat(model.score_samples(X))[:, 0]
    return {
        "auroc": area(-scores, -flat(model.score_samples(mirrored))[:, 0]),
        "auroc_pca": area(
            mse(flat(X), pca(data, size)), mse(flat(mirrored), pca(data, size, mirrored))
        ),
        "mirrored": len(mirrored),
        "lowest": float(scores.min()),
        "median": float(np.median(scores)),
    }


def components_needed(data: Dataset, span: float, error: float) -> int:
    """Return how many components PCA needs for a held-out error per pixel at most that."""
    pixels = int(np.prod(data.shape))
    for components in range(1, pixels):
        if mse(flat(data.X_test), pca(data, components)).mean() / span**2 <= error:
            return components
    return pixels


def pca(data: Dataset, components: int, X: Any = None) -> Numbers:
    """Return held-out digits, or X, after PCA fitted on the training ones, as flat rows."""
    model = PCA(components, svd_solver="full").fit(flat(data.X))
    X = data.X_test if X is None else X
    return np.asarray(model.inverse_transform(model.transform(flat(X))))


def flat(X: Any) -> Numbers:
    """Return samples as rows of float64 numbers."""
    return np.asarray(X, dtype=np.float64).reshape(len(X), -1)
