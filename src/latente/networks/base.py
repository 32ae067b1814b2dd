"""Network: what builds an encoder and a decoder for the shape of the data.

::

    x (n, *input_shape) ──encode──▶ h ──bottleneck──▶ z (n, *code_shape) ──decode──▶ raw
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from ..data.space import Shape, Space
from ..errors import ParameterError
from ..parts import Part, is_whole, listed, require
from ..shares import per_row

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

LEAST_PATIENCE = 30
"""Epochs that a fit always waits for a lower validation loss."""
DEFAULT_LATENT_DIM = 16
"""Size of a vector code where nobody says how large it should be."""


@dataclass(frozen=True)
class Pace:
    """How a network is best trained: what "auto" stands for in a fit's keywords.

    Parameters
    ----------
    schedule
        Name of the schedule.
    rate
        What the optimiser's own learning rate is multiplied by.
    batches
        Batch sizes, each with the number of rows up to which it is taken.
    updates
        Updates of a fit of up to `many` rows; beyond, they grow with the root of the rows.
    many
        See above.
    epochs
        The least and the most epochs.
    patience
        Share of the epochs after which a fit ends that found no lower validation loss.
    """

    schedule: str = "constant"
    rate: float = 1.0
    batches: tuple[tuple[float, int], ...] = (
        (1_000, 32), (10_000, 64), (50_000, 128), (math.inf, 256),
    )  # fmt: skip
    updates: int = 8_000
    many: float = math.inf
    epochs: tuple[int, int] = (20, 400)
    patience: float = 0.0

    def batch_size(self, rows: int) -> int:
        """Return the batch size for so many training rows."""
        return next(size for most, size in self.batches if rows < most)

    def epochs_for(self, rows: int, batch_size: int) -> int:
        """Return the epochs for so many training rows."""
        updates = self.updates * math.sqrt(max(rows / self.many, 1.0))
        least, most = self.epochs
        return min(max(round(updates / math.ceil(rows / batch_size)), least), most)

    def patience_for(self, epochs: int) -> int:
        """Return how many epochs may pass without a lower validation loss."""
        return max(round(self.patience * epochs), LEAST_PATIENCE)


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

    def pace(self) -> Pace:
        """Return how the network is best trained where nothing else is asked for."""
        return Pace()

    def layout(self) -> str:
        """Return how three axes are to be read: "sequences", or "auto" for pictures."""
        return "auto"

    @abstractmethod
    def build(
        self,
        source: Space,
        target: Space,
        latent_dim: int | None,
        *,
        per_code: int,
        per_value: int,
        generator: Generator,
    ) -> NetworkModule:
        """Return a fresh encoder and decoder, on the CPU.

        Parameters
        ----------
        source, target
            What samples look like to the encoder, and what the decoder is to give.
        latent_dim
            How many numbers the code has; None leaves it to the network.
        per_code
            How many numbers the encoder gives for each one of the code, along its first axis: 2 for
            mean and log-variance.
        per_value
            How many numbers the decoder gives for each value of the output, along an axis of their
            own, (n, per_value, *target.shape); with 1 there is no such axis.
        generator
            Source of the initial weights (`layers.initialized`).

        Raises
        ------
        ParameterError
            If the network cannot be built for such samples.
        """


Samples = Callable[[int], tuple[Tensor, Tensor]]
"""From a number to at most so many random training rows: as the encoder sees them, and targets."""
Inverse = Callable[[Tensor], Tensor]
"""From values to the raw output that stands for them: `LossModule.inverse`."""


class Context(NamedTuple):
    """What a decoder may see beside the code."""

    x: Tensor
    """The encoder's input, (n, *input_shape)."""
    maps: tuple[Tensor, ...] = ()
    """The encoder's feature maps, where there are skip connections."""
    target: Tensor | None = None
    """What is to be decoded, (n, *output_shape); while training only."""
    inverse: Inverse | None = None
    missing: Tensor | None = None
    """Where alone the input is to be changed, (n, 1, h, w) of 0 and 1; None for everywhere."""


class NetworkModule(nn.Module):
    """The two halves of an autoencoder.

    ::

        encode: x (n, *input_shape) ──▶ h (n, per_code · code_shape[0], *code_shape[1:]), context
        decode: z (n, *code_shape)  ──▶ raw (n, [per_value,] *output_shape)

    Parameters
    ----------
    encoder, decoder
        From x to h, and from z to raw.
    code_shape
        Of one code.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, code_shape: Shape) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.code_shape = code_shape

    def encode(self, x: Tensor) -> tuple[Tensor, Context]:
        """Return h, and what the decoder may see beside the code."""
        return self.encoder(x), Context(x)

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Return the raw output of codes; the context is None where a code is decoded alone."""
        return self.decoder(z)  # type: ignore[no-any-return]

    def connect(self, output: Callable[[Tensor], Tensor]) -> None:
        """Take `LossModule.output`, from raw to x̂, where the decoder sees its own output."""

    def begin(self, samples: Samples, spread: float | None, generator: Generator) -> int:
        """Let the encoder look at training rows before the first step; nothing is done as it is.

        Parameters
        ----------
        samples
            Gives random training rows, as many as are asked for or all there are.
        spread
            Standard deviation that each number of the code should have; None for any.
        generator
            Source of random numbers, on the rows' device.

        Returns
        -------
        int
            How many rows `regress` is to be given; 0 where the weights stay as they were drawn.
        """
        return 0

    def regress(self, z: Tensor, raw: Tensor) -> None:
        """Let the decoder give the raw output (n, ...) of codes (n, *code_shape) as well as it can.

        Only called where `begin` asked for rows.
        """

    def components(self) -> int:
        """Return how many components of the training rows the start stands on; 0 for none."""
        return math.prod(self.code_shape)

    def needs_input(self) -> bool:
        """Whether the decoder needs what the encoder saw beside the code."""
        return False

    def seed(self, generator: Generator) -> None:
        """Let layers that draw random numbers while training take them from a generator."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    def squared_jacobian(self, x: Tensor, generator: Generator, probes: int) -> Tensor:
        """Return ``‖∂h/∂x‖²_F`` of each sample, (n,), differentiable by the weights.

        Hutchinson's unbiased estimate ``E‖vᵀJ‖²`` with ``v ~ N(0, I)``.

        Parameters
        ----------
        x
            The encoder's input, (n, *input_shape).
        generator
            Source of v.
        probes
            How many v are averaged.
        """
        with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
            x = x.detach().float().requires_grad_()
            h = self.encoder(x)
            norms = []
            for _ in range(probes):
                v = per_row(h.shape, generator, partial(_normal, h, generator))
                (product,) = torch.autograd.grad(h, x, v, create_graph=True, retain_graph=True)
                norms.append(product.square().flatten(1).sum(1))
            return torch.stack(norms).mean(0)


def _normal(like: Tensor, generator: Generator, shape: Sequence[int]) -> Tensor:
    return like.new_empty(shape).normal_(generator=generator)


def _uniform(like: Tensor, generator: Generator | None, shape: Sequence[int]) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device)


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own, never from torch's global one.

    Parameters
    ----------
    rate
        Share of the values set to 0 while training; the others grow by as much.
    """

    generator: Generator | None = None

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        drawn = per_row(x.shape, self.generator, partial(_uniform, x, self.generator))
        return x * (drawn >= self.rate) / (1 - self.rate)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "generator"}


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


def code_size(latent_dim: int | None) -> int:
    """Return the size of a vector code, or raise `ParameterError`."""
    if latent_dim is None:
        return DEFAULT_LATENT_DIM
    if not is_whole(latent_dim, 1):
        raise ParameterError(f"latent_dim={latent_dim!r}: use a whole number from 1")
    return int(latent_dim)
