"""Losses: how a reconstruction is held against its target.

Every loss is summed over a sample's features and later averaged over the batch; a likelihood is in
nats. The decoder's raw output goes in; `on_logits` says whether the loss wants it as it is (a
Bernoulli's logits) or after the output activation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from .parts import Part, is_number, require

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(kw_only=True)
class Loss(Part, ABC):
    """A reconstruction error per sample.

    ::

        output (n, ...), target (n, ...) ──▶ (n,)
    """

    on_logits: ClassVar[bool] = False
    likelihood: ClassVar[bool] = False
    link: ClassVar[str] = "identity"
    """The output activation that goes with the loss where the network leaves it on "auto"."""

    @abstractmethod
    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        """Return the loss of each sample, summed over its features, shape (n,)."""

    def learned(self, output_shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Return initial values of the parameters that the loss learns beside the network."""
        return {}


@dataclass(kw_only=True)
class Squared(Loss):
    """Squared error, ``Σ (x − x̂)²``."""

    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        return (output - target).square().flatten(1).sum(1)


@dataclass(kw_only=True)
class Absolute(Loss):
    """Absolute error, ``Σ |x − x̂|``: less moved by outliers than the squared error."""

    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        return (output - target).abs().flatten(1).sum(1)


@dataclass(kw_only=True)
class Huber(Loss):
    """Squared error near zero, absolute error beyond ``delta`` (Huber, 1964).

    Parameters
    ----------
    delta
        Error, in the model's scale, from which it counts linearly; positive.
    """

    delta: float = 1.0

    def check(self) -> None:
        positive = is_number(self.delta, low=0) and self.delta > 0
        require(positive, self, "delta", self.delta, "a positive number")

    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        from torch.nn import functional

        loss = functional.huber_loss(output, target, reduction="none", delta=self.delta)
        return loss.flatten(1).sum(1)


@dataclass(kw_only=True)
class Bernoulli(Loss):
    """Binary cross-entropy on logits, in nats; for targets from 0 to 1.

    For grey values between 0 and 1 this is the cross-entropy of the Keras tutorials: its least
    value is the target's own entropy, not 0.
    """

    on_logits: ClassVar[bool] = True
    likelihood: ClassVar[bool] = True
    link: ClassVar[str] = "sigmoid"

    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        from .entropy import cross_entropy

        return cross_entropy(output.flatten(1), target.flatten(1))


@dataclass(kw_only=True)
class GaussianLikelihood(Loss):
    """Negative log-likelihood of a normal distribution with a learned scale, in nats.

    Parameters
    ----------
    scale
        "shared": one standard deviation for all features (Rybkin et al., 2021, sigma-VAE);
        "feature": one for each.
    least
        The smallest standard deviation, in the model's scale, that keeps the density bounded.
    """

    likelihood: ClassVar[bool] = True
    scale: Literal["shared", "feature"] = "shared"
    least: float = 1e-3

    def check(self) -> None:
        known = self.scale in ("shared", "feature")
        require(known, self, "scale", self.scale, "'shared' or 'feature'")
        positive = is_number(self.least, low=0) and self.least > 0
        require(positive, self, "least", self.least, "a positive number")

    def learned(self, output_shape: tuple[int, ...]) -> dict[str, Tensor]:
        import torch

        return {"log_scale": torch.zeros(output_shape if self.scale == "feature" else (1,))}

    def __call__(self, output: Tensor, target: Tensor, learned: dict[str, Tensor]) -> Tensor:
        log_scale = learned["log_scale"].clamp(min=math.log(self.least))
        standardised = (output - target) * (-log_scale).exp()
        nats = 0.5 * standardised.square() + log_scale + 0.5 * math.log(2 * math.pi)
        return nats.flatten(1).sum(1)


LOSSES: dict[str, type[Loss]] = {
    "squared": Squared,
    "absolute": Absolute,
    "huber": Huber,
    "bernoulli": Bernoulli,
    "gaussian": GaussianLikelihood,
}
