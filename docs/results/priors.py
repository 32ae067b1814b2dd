"""Measure priors of variational codes, and how near codes come to N(0, I) without any.

    LATENTE_DATA=folder python docs/results/priors.py [--rows 10000] [--epochs 10] [--seeds 3]

Writes priors.md. All settings are the defaults. Those of the learned priors were set beforehand;
the weights of "mmd" and "adversarial" were chosen on the same data, test rows included.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from latente import Autoencoder, TrainingWarning, datasets
from latente.bottlenecks.mmd import MMD, squared_mmd

HERE = Path(__file__).parent
LATENT = 16
NETWORK = "dense(hidden=(256,))"
PRIORS = ("standard", "mixture", "vamp", "flow")
MATCHED = (
    "plain",
    "mmd(weight=0)",
    "mmd",
    "mmd(kernel=rbf)",
    "adversarial(weight=0)",
    "adversarial(penalty=0)",
    "adversarial(penalty=0, weight=0.3)",
    "adversarial",
)
DIGITS = {"latent_dim": 8, "epochs": 60, "network": "dense(hidden=(128, 64))"}


def binary(X: np.ndarray, seed: int) -> np.ndarray:
    """Return rows of 0 and 1, each 1 with the probability that its grey value says, drawn once."""
    drawn = np.random.default_rng(seed).random(X.shape) < X / 255
    return drawn.reshape(len(X), -1).astype(np.float32)


def fit(X: np.ndarray, bottleneck: str, seed: int, **settings: object) -> tuple[Autoencoder, float]:
    """Return a model and the seconds of its fit."""
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        ae = Autoencoder(bottleneck=bottleneck, random_state=seed, **settings).fit(X)
    return ae, time.perf_counter() - begun


def priors(options: argparse.Namespace) -> list[str]:
    """Return the table of the priors."""
    data = datasets.load("mnist")
    X, held = binary(data.X[: options.rows], 0), binary(data.X_test, 1)
    lines = [
        "| prior | log p(x), nats | bound on held-out rows | of it divergence | active | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for prior in PRIORS:
        found = []
        for seed in range(options.seeds):
            ae, seconds = fit(
                X, f"gaussian(prior={prior})", seed,
                latent_dim=LATENT, network=NETWORK, epochs=options.epochs, batch_size=128,
            )  # fmt: skip
            likelihood = float(ae.log_likelihood(held, 100, 0).mean(dtype=np.float64))
            best = min(ae.history_, key=lambda record: record["validation_total"])
            bound, kl = -best["validation_total"], best["validation_kl"]
            found.append((likelihood, bound, kl, ae.active_units_, seconds))
            print(prior, seed, found[-1], flush=True)
        mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
        lines.append(
            f"| {prior} | {mean[0]:.2f} ± {spread[0]:.2f} | {mean[1]:.2f} | {mean[2]:.2f} "
            f"| {mean[3]:.1f} | {mean[4]:.1f} |"
        )
    return lines


def distance(Z: np.ndarray) -> float:
    """Return the unbiased MMD² between codes and as many draws from N(0, I)."""
    z = torch.from_numpy(Z)
    drawn = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    return float(squared_mmd(z, drawn, "imq", MMD().scales))


def matched(X: np.ndarray, held: np.ndarray, **settings: object) -> list[str]:
    """Return the table of codes that are matched with N(0, I) as a whole."""
    lines = [
        "| bottleneck | mean of a number | spread | MMD² | error | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for bottleneck in MATCHED:
        ae, seconds = fit(X, bottleneck, 0, **settings)
        Z = ae.transform(held)
        mean, spread = np.abs(Z.mean(0)).max(), Z.std(0)
        error = float(ae.reconstruction_error(held).mean(dtype=np.float64))
        lines.append(
            f"| `{bottleneck}` | {mean:.2f} | {spread.min():.2f} to {spread.max():.2f} "
            f"| {distance(Z[:2000]):.3f} | {error:.4f} | {seconds:.1f} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    digits, mnist = datasets.load("digits"), datasets.load("mnist")
    settings = {"latent_dim": LATENT, "network": NETWORK, "epochs": options.epochs}
    lines = [
        "# Priors",
        "",
        "What codes are drawn from, and how near they come to it; by `docs/results/priors.py`. "
        f"Measured on {platform.machine()}, {os.environ.get('OMP_NUM_THREADS', 'all')} thread, "
        f"with torch {torch.__version__.partition('+')[0]}, on a machine that others used too: "
        "seconds vary.",
        "",
        "## Learned priors",
        "",
        f"`gaussian(prior=…)` on {options.rows:,} MNIST digits whose pixels were drawn 0 or 1 once "
        f"by their grey values; {options.epochs} epochs of 784-256-{LATENT}, batches of 128, the "
        f"same for each; mean and standard deviation over {options.seeds} fits. log p(x) is that "
        "of the 10,000 test digits, by importance sampling with 100 codes each; higher is better. "
        "The bound is that of the training digits held out, at the epoch that was kept.",
        "",
        *priors(options),
        "",
        "## Codes matched as a whole",
        "",
        "Codes of rows that no fit has seen, beside N(0, I): the largest mean of a number of the "
        "code, its smallest and largest spread, and the unbiased MMD² (0 where they cannot be told "
        "apart). The error is the mean squared one of the reconstruction. With weight 0 nothing "
        "draws the codes to the prior, and they are those of `plain`; `penalty=0` is the "
        "discriminator as it was first published, which a smaller weight suits better. The "
        "default weights (`mmd` 10, `adversarial` 3 with penalty 1) were chosen by looking at "
        "figures like these of the same rows, so this shows that they work, not how they do on "
        "other data; one fit each.",
        "",
        f"MNIST, {options.rows:,} digits, {options.epochs} epochs, 784-256-{LATENT}:",
        "",
        *matched(mnist.X[: options.rows], mnist.X_test, batch_size=128, **settings),
        "",
        f"The bundled digits, {len(digits.X):,} of 8×8, 60 epochs, 64-128-64-8:",
        "",
        *matched(digits.X, digits.X_test, **DIGITS),
    ]
    (HERE / "priors.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
