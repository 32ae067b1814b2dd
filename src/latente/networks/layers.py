"""Layers: what several networks are made of, and how their weights begin.

Torch draws the weights of a layer of 784 inputs from ±0.036; of a rectified code of 32 units on
MNIST, 7 then never fire and never learn to. Glorot's ±0.086 leaves none of them dead, and reaches a
lower loss after the same epochs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from ..errors import ParameterError
from ..parts import listed
from .base import ACTIVATIONS, Dropout

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
M = TypeVar("M", bound=nn.Module)


def initialized(module: M, generator: Generator) -> M:
    """Return a module with weights drawn anew (Glorot and Bengio, 2010, eq. 16) and biases of 0.

    Parameters
    ----------
    module
        Its dense and convolutional layers are drawn in their order.
    generator
        Source of the weights, on the CPU.
    """
    for layer in module.modules():
        if isinstance(layer, LAYERS):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return module


def start_at_zero(module: nn.Module) -> None:
    """Let a module's last dense or convolutional layer give 0 at first, and so the module."""
    *_, last = (layer for layer in module.modules() if isinstance(layer, LAYERS))
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


class DenseLayer(nn.Linear):
    """A dense layer whose weights wait for `initialized`, so that nothing is drawn before it."""

    def reset_parameters(self) -> None:
        """Draw nothing."""


def activation(name: str, *, inplace: bool = False) -> nn.Module:
    """Return the activation of that name.

    Parameters
    ----------
    name
        One of `ACTIVATIONS`; "auto" is the identity.
    inplace
        Whether it may overwrite its input; only a ReLU makes use of it.

    Raises
    ------
    ParameterError
        If there is no activation of that name.
    """
    if name == "auto":
        return nn.Identity()
    if name not in ACTIVATIONS:
        raise ParameterError(f"activation={name!r}: choose {listed(ACTIVATIONS)}")
    if name == "relu":
        return nn.ReLU(inplace=inplace)
    module: nn.Module = getattr(nn, ACTIVATIONS[name])()
    return module


class MeanActivation(nn.Module):
    """Activate the first of the numbers for each one of the code, the mean, and leave the others.

    ::

        h (n, per_code · channels, ...) ──▶ [activation(mean), log-variance]
    """

    def __init__(self, activation: nn.Module, per_code: int) -> None:
        super().__init__()
        self.activation = activation
        self.per_code = per_code

    def forward(self, h: Tensor) -> Tensor:
        mean, *others = h.chunk(self.per_code, dim=1)
        return torch.cat([self.activation(mean), *others], dim=1)


def head_activation(name: str, per_code: int) -> nn.Module:
    """Return the activation behind the code, which acts on the mean alone where there is more."""
    module = activation(name)
    return module if per_code == 1 or name == "identity" else MeanActivation(module, per_code)


def hidden_layers(
    linears: Sequence[nn.Module], name: str, dropout: float = 0.0
) -> Iterator[nn.Module]:
    """Yield each layer with its activation behind it, and dropout where there is any."""
    for linear in linears:
        yield linear
        yield activation(name, inplace=True)
        if dropout:
            yield Dropout(dropout)
