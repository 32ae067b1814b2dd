"""The weights of dense layers next to the pixels, as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from ..estimator import Autoencoder
from ..metrics import Numbers


def first_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense encoder's first layer, (units, values)."""
    return _weights(model.module_.network.encoder, 0)


def last_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense decoder's last layer, turned round: (units, values)."""
    return _weights(model.module_.network.decoder, -1).T


def strongest(weights: Numbers, n: int) -> Any:
    """Return the n rows of greatest norm, each divided by its greatest absolute value."""
    order = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:n]
    rows = weights[order]
    return rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12)


def _weights(half: nn.Module, which: int) -> Numbers:
    found = [layer.weight for layer in half.modules() if hasattr(layer, "in_features")]
    return np.asarray(found[which].detach().cpu().numpy(), dtype=np.float64)
