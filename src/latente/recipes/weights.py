"""The weights of dense layers next to the pixels."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..estimator import Autoencoder
from ..metrics import Numbers
from ..networks.dense import TiedLinear


def first_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense encoder's first layer, (units, values)."""
    return _weights(model.module_.network.encoder, 0)


def last_layer(model: Autoencoder) -> Numbers:
    """Return the weights of a dense decoder's last layer, turned round: (units, values)."""
    return _weights(model.module_.network.decoder, -1).T


def _weights(half: nn.Module, which: int) -> Numbers:
    found = [layer.weight for layer in half.modules() if isinstance(layer, nn.Linear | TiedLinear)]
    return np.asarray(found[which].detach().cpu().numpy(), dtype=np.float64)
