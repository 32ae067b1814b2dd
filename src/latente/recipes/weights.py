"""The weights of dense layers next to the pixels."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..estimator import Autoencoder
from ..metrics import Numbers
from ..networks.dense import TiedLinear


def first_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense encoder's first layer, (units, values)."""
    return _weights(_layers(model.module_.network.encoder)[0])


def last_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense decoder's last layer, turned round: (units, values)."""
    last = _layers(model.module_.network.decoder)[-1]
    return _weights(last) if isinstance(last, TiedLinear) else _weights(last).T


def _layers(half: nn.Module) -> list[nn.Linear | TiedLinear]:
    return [layer for layer in half.modules() if isinstance(layer, nn.Linear | TiedLinear)]


def _weights(layer: nn.Linear | TiedLinear) -> Numbers:
    return np.asarray(layer.weight.detach().cpu().numpy(), dtype=np.float64)
