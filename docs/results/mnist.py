"""Train the courses' autoencoders on all of MNIST and write what they reach to mnist.md.

    LATENTE_DATA=folder python docs/results/mnist.py [ROW ...]

Each row is trained on the 60,000 training pictures and measured once on the 10,000 test pictures.
Rows that are named are trained anew; the others keep their figures from mnist.json.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from latente import (
    Autoencoder,
    Conv,
    Dense,
    GaussianNoise,
    Mask,
    SaltAndPepper,
    Sparse,
    datasets,
    figures,
    metrics,
)
from latente.corruptions.base import corrupt

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
RECORD = HERE / "mnist.json"
Floats = NDArray[np.float64]
Figures = dict[str, Any]


@dataclass
class Row:
    """One autoencoder of the courses."""

    title: str
    keywords: dict[str, Any]
    document: str = ""
    shape: tuple[int, ...] = (28, 28)
    note: Callable[[Autoencoder, Floats, Floats], Figures] | None = None
    picture: Callable[[Autoencoder, Any, Any], Any] | None = None
    defaults: dict[str, Any] = field(
        default_factory=lambda: {
            "validation_fraction": 0.0,
            "random_state": 0,
            "loss": "bernoulli",
            "batch_size": 256,
            "epochs": 30,
            "schedule": "cosine",
        }
    )


DEEP = Dense(hidden=(128, 64), code_activation="relu")
KERAS_CONV = Conv(
    channels=(16, 8, 8),
    down="pool",
    up="upsample",
    code="spatial",
    trim="valid",
    code_activation="identity",
)
KERAS_VAE = Conv(channels=(32, 64), down="stride", up="transpose", hidden=(16,), decoder_hidden=())


def activity(ae: Autoencoder, train: Floats, test: Floats) -> Figures:
    """Return the mean absolute code, and the share of code units near zero."""
    codes = np.abs(ae.transform((test.reshape(-1, 28, 28) * 255).round().astype(np.uint8)))
    return {"mean activity": float(codes.mean()), "share below 0.01": float((codes < 0.01).mean())}


def beside_pca(ae: Autoencoder, train: Floats, test: Floats) -> Figures:
    """Return the largest angle between the decoder's span and PCA's, and the ratio of errors."""
    size = ae.latent_dim_
    pca = exact_pca(train, size)
    weights = ae.decoder_.network.state_dict()
    decoder = next(w for name, w in weights.items() if name.endswith("weight")).cpu().numpy()
    angle = np.degrees(subspace_angles(decoder, pca.components_.T).max())
    error = metrics.mse(test, reconstruct(ae, test)).mean()
    theirs = metrics.mse(test, pca.inverse_transform(pca.transform(test))).mean()
    return {"largest angle to PCA, degrees": float(angle), "MSE over PCA's": float(error / theirs)}


def denoising(ae: Autoencoder, train: Floats, test: Floats) -> Figures:
    """Return the PSNR of noisy and of restored test pictures."""
    generator = torch.Generator().manual_seed(1)
    clean = torch.from_numpy(test).float()
    noisy = corrupt(clean, ae.corruption_, generator, (0.0, 1.0)).numpy().astype(float)
    restored = reconstruct(ae, noisy)
    return {
        "PSNR noisy": float(metrics.psnr(test, noisy).mean()),
        "PSNR restored": float(metrics.psnr(test, restored).mean()),
    }


def divergence(ae: Autoencoder, train: Floats, test: Floats) -> Figures:
    """Return terms of the evidence bound on test pictures, in nats."""
    pictures = (test.reshape(-1, 28, 28) * 255).round().astype(np.uint8)
    return {
        "test ELBO, nats": float(ae.score(pictures)),
        "log-likelihood, 100 samples": float(
            ae.log_likelihood(pictures[:1000], samples=100, random_state=0).mean()
        ),
        "KL a sample, nats": float(ae.kl_per_dimension_.sum()),
        "active units": ae.active_units_,
    }


ROWS: dict[str, Row] = {
    "M2-32": Row(
        "dense 784-32-784",
        {"latent_dim": 32, "network": Dense(hidden=(), code_activation="relu")},
        "Keras blog: BCE 0.093",
        picture=lambda ae, X, y: figures.reconstructions(ae, X),
    ),
    "M2-64": Row("dense 784-64-784", {"latent_dim": 64, "network": Dense(hidden=())}),
    "M3": Row("deep dense 784-128-64-32-64-128-784", {"latent_dim": 32, "network": DEEP}),
    "M4-plain": Row(
        "dense 784-32-784, rectified code, no penalty",
        {"latent_dim": 32, "network": Dense(hidden=(), code_activation="relu"), "epochs": 20},
        note=activity,
    ),
    "M4-sparse": Row(
        "the same, L1 on the code, weight 0.1",
        {
            "latent_dim": 32,
            "network": Dense(hidden=(), code_activation="relu"),
            "bottleneck": Sparse(weight=0.1),
            "epochs": 20,
        },
        note=activity,
    ),
    "M5": Row(
        "dense 784-32-784, tied weights",
        {"latent_dim": 32, "network": Dense(hidden=(), code_activation="relu", tied=True)},
    ),
    "M6": Row(
        "linear 784-10-784, squared error",
        {
            "latent_dim": 10,
            "network": Dense(hidden=()),
            "loss": "squared",
            "learning_rate": 0.002,
            "schedule": "one_cycle",
            "epochs": 25,
        },
        "a linear autoencoder equals PCA",
        note=beside_pca,
    ),
    "M7-448": Row(
        "convolutional, code (4, 4, 8)",
        {
            "network": KERAS_CONV,
            "batch_size": 128,
            "learning_rate": 0.004,
            "schedule": "one_cycle",
            "epochs": 20,
        },
        "Keras blog: BCE 0.094",
        picture=lambda ae, X, y: figures.reconstructions(ae, X),
    ),
    "M7-7732": Row(
        "convolutional, code (7, 7, 32)",
        {
            "network": Conv(channels=(32, 32), down="pool", up="upsample", code="spatial"),
            "batch_size": 128,
            "learning_rate": 0.003,
            "schedule": "one_cycle",
            "epochs": 4,
        },
    ),
    "M8-dense": Row(
        "dense 784-64-784, squared error, 16 epochs, batches of 1,000",
        {
            "latent_dim": 64,
            "network": Dense(hidden=(), code_activation="relu"),
            "loss": "squared",
            "batch_size": 1000,
            "epochs": 16,
            "schedule": "constant",
        },
        "figure 2: slower than the convolutional one",
    ),
    "M8-conv": Row(
        "strided convolutions, code 64, the same training",
        {
            "latent_dim": 64,
            "network": Conv(channels=(16, 32), hidden=()),
            "loss": "squared",
            "batch_size": 1000,
            "epochs": 16,
            "schedule": "constant",
        },
        "figure 2: better than the dense one",
    ),
    "M10-dense": Row(
        "variational, dense 784-512-2-512-784",
        {"latent_dim": 2, "network": Dense(hidden=(512,)), "bottleneck": "gaussian"},
        note=divergence,
        picture=lambda ae, X, y: figures.latent_map(ae, X, y),
    ),
    "M10-conv": Row(
        "variational, convolutional, 69,076 + 65,089 parameters",
        {
            "latent_dim": 2,
            "network": KERAS_VAE,
            "bottleneck": "gaussian",
            "batch_size": 128,
            "epochs": 10,
        },
        "exactly so many parameters",
        note=divergence,
        picture=lambda ae, X, y: figures.decode_grid(ae),
    ),
    "map-plain": Row(
        "dense 784-512-2-512-784",
        {"latent_dim": 2, "network": Dense(hidden=(512,))},
        picture=lambda ae, X, y: figures.latent_map(ae, X, y),
    ),
}
for name, noise in {
    "gaussian-0.2": GaussianNoise(std=0.2),
    "gaussian-0.5": GaussianNoise(std=0.5),
    "gaussian-mean-0.5": GaussianNoise(mean=0.5, std=0.1),
    "mask-0.5": Mask(rate=0.5),
    "salt-and-pepper-0.2": SaltAndPepper(rate=0.2),
}.items():
    ROWS[f"M9-{name}"] = Row(
        f"denoising, {name.replace('-', ' ')}",
        {
            "latent_dim": 64,
            "network": Dense(hidden=(512, 256)),
            "corruption": noise,
            "epochs": 8,
            "loss": "squared",
        },
        note=denoising,
        picture=lambda ae, X, y: figures.reconstructions(ae, X),
    )


def exact_pca(train: Floats, size: int) -> PCA:
    """Return PCA of all rows, from their covariance."""
    return PCA(size, svd_solver="covariance_eigh").fit(train)


def reconstruct(ae: Autoencoder, flat: Floats) -> Floats:
    """Return reconstructions of rows (n, 784) in [0, 1], unrounded, through the fitted module."""
    shape = (-1, *ae.fitted_.input.shape)
    with torch.no_grad():
        parts = [
            ae.module_(part.view(shape)) for part in torch.from_numpy(flat).float().split(1000)
        ]
    return torch.cat(parts).flatten(1).double().numpy()


def measure(name: str, row: Row, data: Any) -> Figures:
    """Train one row and return its figures."""
    X, X_test = (a.reshape(len(a), *row.shape) for a in (data.X, data.X_test))
    train, test = (a.reshape(len(a), -1) / 255.0 for a in (data.X, data.X_test))
    keywords = row.defaults | row.keywords
    begun = time.perf_counter()
    ae = Autoencoder(**keywords, verbose=1).fit(X)
    seconds = time.perf_counter() - begun
    restored = np.clip(reconstruct(ae, test), 0, 1)
    found: Figures = {
        "title": row.title,
        "code": "×".join(map(str, ae.code_shape_)),
        "code size": ae.latent_dim_,
        "parameters": ae.n_parameters_,
        "epochs": ae.epochs_,
        "seconds": seconds,
        "bce": float(metrics.bce(test, restored).mean()),
        "mse": float(metrics.mse(test, restored).mean()),
        "psnr": float(metrics.psnr(test, restored).mean()),
        "document": row.document,
    }
    pca = exact_pca(train, min(ae.latent_dim_, 784))
    if ae.latent_dim_ < 784:
        found["pca"] = float(metrics.mse(test, pca.inverse_transform(pca.transform(test))).mean())
    if row.note is not None:
        found["note"] = row.note(ae, train, test)
    if row.picture is not None:
        IMAGES.mkdir(exist_ok=True)
        row.picture(ae, X_test[:2000], data.y_test[:2000]).savefig(
            IMAGES / f"mnist-{name}.png", dpi=80
        )
    if name == "map-plain":
        figures.decode_grid(ae).savefig(IMAGES / "mnist-grid-plain.png", dpi=80)
    if name == "M10-dense":
        figures.decode_grid(ae).savefig(IMAGES / "mnist-grid-dense-variational.png", dpi=80)
    return found


def fit_font(X: Any) -> Autoencoder:
    """Fit the 96 glyphs in a code of two numbers."""
    return Autoencoder(
        2,
        network=Dense(hidden=(100, 50), activation="tanh"),
        loss="bernoulli",
        epochs=6000,
        batch_size=96,
        learning_rate=0.003,
        schedule="cosine",
        validation_fraction=0,
        random_state=0,
        verbose=1,
    ).fit(X)


def font() -> Figures:
    """Measure row M1: the 96 glyphs through a code of two numbers, with no wrong pixel."""
    X = datasets.load("font").X
    begun = time.perf_counter()
    ae = fit_font(X)
    seconds = time.perf_counter() - begun
    wrong = int((ae.reconstruct(X) != X).sum())
    IMAGES.mkdir(exist_ok=True)
    figures.latent_map(ae, X).savefig(IMAGES / "font-map.png", dpi=80)
    return {
        "title": "font 35-100-50-2-50-100-35",
        "wrong": wrong,
        "of": int(X.size),
        "parameters": ae.n_parameters_,
        "epochs": ae.epochs_,
        "seconds": seconds,
    }


def table_row(name: str, r: Figures) -> str:
    """Return one row of the table."""
    pca = f"{r['pca']:.5f}" if "pca" in r else ""
    return (
        f"| {name} | {r['title']} | {r['code']} | {r['parameters']:,} | {r['epochs']} "
        f"| {r['seconds']:.0f} | {r['bce']:.4f} | {r['mse']:.5f} | {r['psnr']:.2f} "
        f"| {pca} | {r['document']} |"
    )


def page(record: dict[str, Figures]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# MNIST and the font, measured",
        "",
        "All of it is made by `docs/results/mnist.py`: trained on the 60,000 training pictures, "
        "measured once on the 10,000 test pictures, per pixel, in nats (BCE) and squared grey "
        "levels from 0 to 1 (MSE). PCA has the same code size and the same training pictures.",
        "",
        "The denoising rows (M9) are measured on clean pictures here, and on noisy ones below. "
        "Seconds are wall-clock time, with other work on the machine.",
        "",
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}.",
        "",
        "| row | model | code | parameters | epochs | seconds | test BCE | test MSE | PSNR, dB "
        "| PCA's MSE | the document says |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [table_row(name, record[name]) for name in ROWS if name in record]
    lines += ["", "## Besides", "", "| row | figure | value |", "|---|---|---|"]
    notes = [
        (name, *item) for name in ROWS for item in record.get(name, {}).get("note", {}).items()
    ]
    lines += [
        f"| {name} | {key} | {f'{value:.4g}' if isinstance(value, float) else value} |"
        for name, key, value in notes
    ]
    if "M1" in record:
        r = record["M1"]
        lines += [
            "",
            "## The font (M1)",
            "",
            f"{r['title']}: {r['wrong']} wrong pixels of {r['of']:,} after {r['epochs']:,} epochs "
            f"({r['seconds']:.0f} s, {r['parameters']:,} parameters), every glyph through a code "
            "of two numbers.",
            "",
            "![The 96 glyphs in the code plane](../images/font-map.png)",
        ]
    lines += ["", "## Pictures", ""]
    for path in sorted(IMAGES.glob("mnist-*.png")):
        key = path.stem.removeprefix("mnist-")
        title = ROWS[key].title if key in ROWS else key.replace("-", " ")
        lines += [f"**{key}** {title}", "", f"![{title}](../images/{path.name})", ""]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train the rows that are asked for, or all, and write the page."""
    record: dict[str, Figures] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    asked = sys.argv[1:] or ["M1", *ROWS]
    data = datasets.load("mnist")
    for name in asked:
        record[name] = font() if name == "M1" else measure(name, ROWS[name], data)
        print(name, json.dumps(record[name]), flush=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        (HERE / "mnist.md").write_text(page(record))


if __name__ == "__main__":
    main()
