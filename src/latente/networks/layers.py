"""Dense layers as torch modules, and the activations by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ParameterError
from ..parts import listed
from .base import ACTIVATIONS, Shape


def activation(name: str, *, inplace: bool = False) -> nn.Module:
    """Return the activation of that name.

    Parameters
    ----------
    name
        One of `ACTIVATIONS`.
    inplace
        Whether it may overwrite its input; only a ReLU makes use of it.

    Raises
    ------
    ParameterError
        If there is no activation of that name.
    """
    if name not in ACTIVATIONS:
        raise ParameterError(f"activation={name!r}: choose {listed(ACTIVATIONS)}")
    if name == "relu":
        return nn.ReLU(inplace=inplace)
    module: nn.Module = getattr(nn, ACTIVATIONS[name])()
    return module


class MeanActivation(nn.Module):
    """Activate the first of several heads, the mean, and leave the others as they are.

    ::

        h (n, heads · channels, ...) ──▶ [activation(mean), log-variance]
    """

    def __init__(self, activation: nn.Module, heads: int) -> None:
        super().__init__()
        self.activation = activation
        self.heads = heads

    def forward(self, h: Tensor) -> Tensor:
        mean, *others = h.chunk(self.heads, dim=1)
        return torch.cat([self.activation(mean), *others], dim=1)


def head_activation(name: str, heads: int) -> nn.Module:
    """Return the activation behind the code, which acts on the first of its heads alone."""
    module = activation(name)
    return module if heads == 1 or name == "identity" else MeanActivation(module, heads)


def hidden_layers(
    linears: Sequence[nn.Module], name: str, dropout: float = 0.0
) -> Iterator[nn.Module]:
    """Yield each layer with its activation behind it, and dropout where there is any."""
    for linear in linears:
        yield linear
        yield activation(name, inplace=True)
        if dropout:
            yield nn.Dropout(dropout)


class DenseEncoder(nn.Sequential):
    """Linear layers with activations between, from a sample to its code.

    Parameters
    ----------
    sizes
        Of the layers, from the input's to the code's.
    activation, code_activation
        Names of the activations behind each hidden layer and behind the code.
    dropout
        Share of hidden values set to zero while training.
    heads
        How many numbers there are for each one of the code.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str,
        code_activation: str,
        dropout: float,
        heads: int,
    ) -> None:
        linears = [nn.Linear(a, b) for a, b in pairwise([*sizes[:-1], heads * sizes[-1]])]
        super().__init__(
            nn.Flatten(),
            *hidden_layers(linears[:-1], activation, dropout),
            linears[-1],
            head_activation(code_activation, heads),
        )
        self.heads = heads

    def linears(self) -> list[nn.Linear]:
        """Return the linear layers in order."""
        return [module for module in self if isinstance(module, nn.Linear)]

    def single_layer(self) -> tuple[nn.Linear, nn.Module] | None:
        """Return the layer and its activation where the encoder is ``s(Wx + b)``, else None."""
        linears = self.linears()
        return (linears[0], self[-1]) if len(linears) == 1 and self.heads == 1 else None


class DenseDecoder(nn.Sequential):
    """Linear layers with activations between, from a code to an output of the wanted shape.

    Parameters
    ----------
    sizes
        Of the layers, from the code's to the output's.
    output_shape
        Of one output.
    activation
        Name of the activation behind each hidden layer.
    dropout
        Share of hidden values set to zero while training.
    mirrored
        The encoder's layers, whose weights the decoder takes backwards; None for its own.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        output_shape: Shape,
        *,
        activation: str,
        dropout: float,
        mirrored: Sequence[nn.Linear] | None,
    ) -> None:
        linears: list[nn.Module]
        if mirrored is None:
            linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        else:
            pairs = zip(mirrored[::-1], sizes, strict=False)
            linears = [TiedLinear(layer, size) for layer, size in pairs]
        super().__init__(
            *hidden_layers(linears[:-1], activation, dropout),
            linears[-1],
            *restored(output_shape),
        )


def restored(shape: Shape) -> list[nn.Module]:
    """Return what gives flat values that shape: nothing where it is flat."""
    return [nn.Unflatten(1, shape)] if len(shape) > 1 else []


class TiedLinear(nn.Module):
    """A linear layer that mirrors another: its weights transposed, a bias of its own.

    ::

        y = Wᵀ x + b'      where the other layer is  Wx + b

    The weight is the other layer's parameter itself, so an optimiser sees it once; the state dict
    leaves it to the other layer.

    Parameters
    ----------
    mirrored
        The other layer.
    in_features
        How many of its outputs to go back from, the first ones.
    """

    def __init__(self, mirrored: nn.Linear, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = mirrored.in_features
        self.weight = mirrored.weight
        bound = in_features**-0.5
        self.bias = nn.Parameter(torch.empty(self.out_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[: self.in_features].t(), self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, tied=True"

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "weight"]

    def _load_from_state_dict(self, *args: Any) -> None:
        shared = self._parameters.pop("weight")
        try:
            super()._load_from_state_dict(*args)
        finally:
            self._parameters["weight"] = shared
