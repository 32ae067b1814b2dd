"""Hold `Autoencoder().fit(X)`, with no argument, against PCA of the same code size.

    LATENTE_DATA=folder python docs/results/defaults.py

Errors are squared, per value, on data that neither has seen; written to defaults.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from latente import Autoencoder, datasets, metrics


def measure(name: str) -> str:
    """Return one row of the table."""
    data = datasets.load(name)
    X, X_test = data.X, data.X_test
    rows, held = (a.reshape(len(a), -1).astype(np.float64) for a in (X, X_test))
    begun = time.perf_counter()
    ae = Autoencoder(random_state=0).fit(X)
    seconds = time.perf_counter() - begun
    pca = PCA(ae.latent_dim_, svd_solver="covariance_eigh").fit(rows)
    theirs = metrics.mse(held, pca.inverse_transform(pca.transform(held))).mean()
    ours = metrics.mse(held, ae.reconstruct(X_test)).mean()
    return (
        f"| {name} | {len(X):,} | {ae.latent_dim_} | {ae.epochs_} | {seconds:.0f} "
        f"| {ours:.4g} | {theirs:.4g} | {ours / theirs:.2f} |"
    )


def main() -> None:
    """Measure each set and write the page."""
    lines = [
        "# The defaults beside PCA",
        "",
        "`Autoencoder().fit(X)` with no argument, and PCA with a code of the same size: squared "
        "error per value on held-out data, in the data's scale; by `docs/results/defaults.py`.",
        "",
        "| data | rows | code | epochs | seconds | Autoencoder() | PCA | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("digits", "shapes", "mnist"):
        lines.append(measure(name))
        print(lines[-1], flush=True)
    (Path(__file__).parent / "defaults.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
