"""The document's network of glyphs, as it is trained there, and how what comes back is counted."""

from __future__ import annotations

from typing import Any

from ..estimator import Autoencoder

GIVEN: dict[str, Any] = {
    "latent_dim": 2,
    "network": "dense(hidden=[5], activation='sigmoid', code_activation='sigmoid', "
    "output_activation='sigmoid')",
    "loss": "squared",
    "optimizer": "sgd(momentum=0)",
    "learning_rate": 0.1,
    "schedule": "constant",
    "epochs": 10_000,
    "batch_size": 32,
    "scaling": "unit",
    "validation_fraction": 0.0,
}
"""35-5-2-5-35, sigmoids, squared error, plain gradient descent at 0.1, 10,000 iterations."""


def wrong_pixels(model: Autoencoder, X: Any) -> int:
    """Return how many pixels of black and white samples come back wrong."""
    return int((model.reconstruct(X) != X).sum())
