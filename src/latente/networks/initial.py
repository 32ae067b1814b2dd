"""Initial weights: Glorot's, as in Keras, rather than torch's.

Torch draws the weights of a layer of 784 inputs from ±0.036; of a rectified code of 32 units on
MNIST, 7 then never fire and never learn to. Glorot's ±0.086 leaves none of them dead, and reaches a
lower loss after the same epochs.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def initialised(module: M) -> M:
    """Return a module with weights drawn anew (Glorot and Bengio, 2010, eq. 16) and biases of 0.

    Parameters
    ----------
    module
        Its dense and convolutional layers are drawn from torch's global generator.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return module
