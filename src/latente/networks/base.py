"""Network: what builds an encoder and a decoder for the shape of the data.

::

    x (n, *input_shape) ──encoder──▶ h ──bottleneck──▶ z (n, *code_shape) ──decoder──▶ raw x̂
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ParameterError
from ..parts import Part, is_whole, listed, require

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
"""Shape of one sample: (features,) for rows, (channels, height, width) for pictures."""

ACTIVATIONS: dict[str, str] = {
    "identity": "Identity",
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
}
"""The activations by name, all elementwise, each with its class in `torch.nn`."""

DEFAULT_LATENT_DIM = 16
"""Size of a vector code where nobody says how large it should be."""


@dataclass(frozen=True)
class Pair:
    """The two halves of an autoencoder.

    ::

        encoder: (n, *input_shape) ──▶ (n, heads · code_shape[0], *code_shape[1:])
        decoder: (n, *code_shape)  ──▶ (n, *output_shape), before the output activation

    Parameters
    ----------
    encoder, decoder
        The halves.
    code_shape
        Of one code.
    skips
        Whether the encoder has a method ``maps(x)`` that returns its output and a tuple of feature
        maps, which the decoder takes beside the code: ``decoder(z, *maps)``.
    residual
        Whether the decoder's output is what is to be added to the encoder's input.
    """

    encoder: nn.Module
    decoder: nn.Module
    code_shape: Shape
    skips: bool = False
    residual: bool = False


@dataclass(kw_only=True)
class Network(Part, ABC):
    """How encoder and decoder are built for data of a given shape.

    Parameters
    ----------
    output_activation
        Name of the activation behind the decoder; "auto" is the one the loss asks for: a sigmoid
        with the Bernoulli loss, else the identity.
    """

    output_activation: str = "auto"

    def check(self) -> None:
        if self.output_activation != "auto":
            require_activation(self, "output_activation")

    @abstractmethod
    def build(
        self, input_shape: Shape, output_shape: Shape, latent_dim: int | None, heads: int
    ) -> Pair:
        """Return a fresh encoder and decoder, on the CPU, with weights from torch's generator.

        Parameters
        ----------
        input_shape, output_shape
            Of one sample, without the batch: (features,) or (channels, height, width).
        latent_dim
            How many numbers the code has; None leaves it to the network.
        heads
            How many numbers the encoder gives for each one of the code: 2 for mean and
            log-variance.

        Raises
        ------
        ParameterError
            If the network cannot be built for these shapes.
        """


def require_activation(part: Part, name: str) -> None:
    """Raise `ParameterError` unless the part's parameter of that name names an activation."""
    value = getattr(part, name)
    names = [*ACTIVATIONS, "auto"] if name == "output_activation" else list(ACTIVATIONS)
    known = isinstance(value, str) and value in names
    require(known, part, name, value, f"one of {listed(names)}")


def require_sizes(part: Part, name: str, *, least: int = 0) -> None:
    """Raise `ParameterError` unless the part's parameter of that name is a sequence of sizes."""
    value = getattr(part, name)
    right = isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= least
    right = right and all(is_whole(size, 1) for size in value)
    wanted = "a sequence of whole numbers from 1" + (f", at least {least} of them" if least else "")
    require(right, part, name, value, wanted)


def require_code(latent_dim: int | None, heads: int) -> None:
    """Raise `ParameterError` unless the code's size is None or a whole number from 1."""
    if latent_dim is not None and not is_whole(latent_dim, 1):
        raise ParameterError(f"latent_dim={latent_dim!r}: use a whole number from 1")
    if not is_whole(heads, 1):
        raise ParameterError(f"heads={heads!r}: use a whole number from 1")
