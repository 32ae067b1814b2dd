"""The bottleneck: how the encoder's output h becomes the code z, and what the code costs.

::

    h ──bottleneck──▶ z ──decoder──▶ x̂          objective = reconstruction + weight · cost
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ..errors import ParameterError
from ..parts import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor, nn

    from .frequencies import Frequencies

Terms = dict[str, "Tensor"]
"""Loss terms by name, each of shape (n,): "total", "reconstruction" and the costs, unweighted."""


class Moment(NamedTuple):
    """When a batch is seen: where random numbers come from, and how much of the costs counts."""

    generator: Generator
    """On the batch's device."""
    epoch: Tensor | None = None
    """Epochs trained so far, with the fraction of this one, (); None once training is over."""


class Encoding(NamedTuple):
    """What a bottleneck may look at to tell what a code costs."""

    x: Tensor
    """The encoder's input, (n, ...); it carries gradients where `differentiates` is set."""
    h: Tensor
    """The encoder's output, (n, heads · channels, ...)."""
    z: Tensor
    """The codes drawn, (samples · n, channels, ...), sample by sample."""
    encoder: nn.Module
    prior: nn.Module | None = None
    """What the bottleneck learns beside the networks: what `Bottleneck.prior` made."""


@dataclass(kw_only=True)
class Bottleneck(Part, ABC):
    """From the encoder's output to the code. The base class passes it through at no cost."""

    heads: ClassVar[int] = 1
    """How many numbers the encoder gives for each one of the code."""
    variational: ClassVar[bool] = False
    differentiates: ClassVar[bool] = False
    """Whether the cost needs the encoder's derivative by its input."""

    def prior(self, code_shape: tuple[int, ...]) -> nn.Module | None:
        """Return a fresh module of what is learned beside the networks, or None.

        It becomes part of the model: trained with it, saved with it, and handed to `costs` as
        ``encoding.prior``.

        Parameters
        ----------
        code_shape
            Shape of one code.
        """
        return None

    def tabulate(self, prior: nn.Module, codes: NDArray[np.float32]) -> Frequencies | None:
        """Return the prior as integer tables for an entropy coder; None where codes are not whole.

        Parameters
        ----------
        prior
            The model's, trained.
        codes
            Codes of training rows, (m, numbers).
        """
        return None

    def code(self, h: Tensor) -> Tensor:
        """Return the one code that stands for each sample, (n, channels, ...)."""
        return h

    def to_integers(self, z: Tensor) -> Tensor:
        """Temporary: codes as whole numbers."""
        raise ParameterError(
            f"the codes of bottleneck={type(self).__name__.lower()!r} are not whole numbers; use "
            "'rounded', 'vector_quantized' or 'finite_scalar'"
        )

    def from_integers(self, k: Tensor) -> Tensor:
        """Temporary: codes of whole numbers."""
        return self.to_integers(k)

    def nearest(self, z: Tensor) -> Tensor:
        """Temporary: codes brought back to allowed ones."""
        return z

    def rescale(self, factor: float) -> None:
        """Temporary: larger steps."""
        raise ParameterError(
            f"the codes of bottleneck={type(self).__name__.lower()!r} have no steps"
        )

    def draw(self, h: Tensor, generator: Generator) -> Tensor:
        """Return the codes to decode while training, (samples · n, channels, ...)."""
        return self.code(h)

    def costs(self, encoding: Encoding, moment: Moment) -> Terms:
        """Return what the code costs, unweighted, by name, each of shape (n,)."""
        return {}

    def objective(self, reconstruction: Tensor, encoding: Encoding, moment: Moment) -> Terms:
        """Return all terms of a batch.

        Parameters
        ----------
        reconstruction
            Loss of each decoded code, shape (samples, n).
        encoding, moment
            What was encoded, and when.
        """
        costs = self.costs(encoding, moment)
        error = reconstruction.mean(0)
        total = error
        for name, cost in costs.items():
            total = total + self.weight_of(name, moment) * cost
        return {"total": total, "reconstruction": error, **costs}

    def weight_of(self, cost: str, moment: Moment) -> float | Tensor:
        """Return what the named cost is multiplied by in the total."""
        return 1.0
