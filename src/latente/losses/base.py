"""Loss: how a reconstruction is compared with its target.

::

    raw (n, [per_value,] *shape) ──output──▶ x̂ (n, *shape)
    raw, target (n, *shape)      ──forward─▶ loss of each sample (n,)

Every loss is summed over a sample's values and later averaged over the batch; a likelihood is in
nats. With ``reduction="mean"`` it is averaged over the values instead, as in many tutorials.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.space import Space
from ..errors import ParameterError
from ..parts import Part, require
from ..shares import Share

LEAST_CHANCE = 0.01
"""`LossModule.inverse` of a sigmoid starts from values at least so far from 0 and 1."""


@dataclass(kw_only=True)
class Loss(Part, ABC):
    """A reconstruction error per sample.

    Parameters
    ----------
    reduction
        "sum" over a sample's values, or their "mean". A learning rate for the mean is one for the
        sum divided by the number of values; costs of the code weigh that much more beside it.
    """

    reduction: Literal["sum", "mean"] = "sum"

    def check(self) -> None:
        known = self.reduction in ("sum", "mean")
        require(known, self, "reduction", self.reduction, "'sum' or 'mean'")

    @abstractmethod
    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        """Return the module that compares outputs with targets.

        Parameters
        ----------
        space
            Shape and range of the targets in the model's scale.
        output_activation
            Name of the activation between the decoder's raw output and x̂; "auto" leaves it to the
            loss.

        Raises
        ------
        ParameterError
            If the loss does not go with such targets, or with that activation.
        """


class LossModule(nn.Module, ABC):
    """Compares the decoder's raw output with the target; may learn, or hold a frozen network.

    Parameters
    ----------
    part
        The description.
    space
        Of the targets.
    activation
        The output activation, from raw to x̂.
    per_value
        How many numbers the decoder gives for each value of the target: 2 for a mean and a
        variance. With more than one, raw has an axis for them: (n, per_value, *shape).
    """

    def __init__(
        self, part: Loss, space: Space, activation: nn.Module, *, per_value: int = 1
    ) -> None:
        super().__init__()
        self.mean = part.reduction == "mean"
        self.shape = space.shape
        self.activation = activation
        self.per_value = per_value

    share: Share | None = None
    """Which rows of a batch are this process's, while they are compared; None for all of them."""

    def mean_of_rows(self, own: Tensor) -> Tensor:
        """Return the mean over the rows of a batch of what is a mean over this process's."""
        return own if self.share is None else self.share.mean(own)

    def output(self, raw: Tensor) -> Tensor:
        """Return x̂ (n, *shape), in the model's scale, of the decoder's raw output."""
        return self.activation(raw)  # type: ignore[no-any-return]

    def inverse(self, x: Tensor) -> Tensor:
        """Return the raw output whose x̂ is x, or nearly: (n, *shape) or (n, per_value, *shape).

        Raises
        ------
        ParameterError
            If the output activation cannot be undone.
        """
        if isinstance(self.activation, nn.Sigmoid):
            return x.logit(LEAST_CHANCE)
        if isinstance(self.activation, nn.Identity):
            return x
        name = type(self.activation).__name__.lower()
        raise ParameterError(
            f"output_activation={name!r} cannot be undone, which residual=True needs to add to "
            "its input; use 'identity' or 'sigmoid'"
        )

    @abstractmethod
    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each value, (n, *shape)."""

    def summed(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of each sample, summed over its values, (n,).

        Parameters
        ----------
        raw
            The decoder's output, (n, *shape) or (n, per_value, *shape).
        target
            In the model's scale, (n, *shape).
        weight
            How much each value counts, of a shape that goes with the target's: 0 behind the end of
            a sequence.
        """
        values = self.values(raw, target)
        return (values if weight is None else values * weight).flatten(1).sum(1)

    def forward(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of each sample, (n,); arguments as those of `summed`."""
        total = self.summed(raw, target, weight)
        if not self.mean:
            return total
        if weight is None:
            return total / math.prod(self.shape)
        return total / weight.expand_as(target).flatten(1).sum(1).clamp(min=1)

    def error(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error of each sample, (n,).

        Parameters
        ----------
        output, target
            x̂ and what it should be, (n, *shape) in the model's scale.
        """
        return (output - target).square().flatten(1).mean(1)

    def log_density(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return ``log p(target | raw)`` of each sample in nats, (n,).

        Raises
        ------
        ParameterError
            If the loss is no likelihood.
        """
        raise ParameterError(
            "log_likelihood cannot be had of this model: it needs a loss that is a likelihood: "
            "'bernoulli', 'gaussian' or 'categorical'"
        )


class LikelihoodModule(LossModule):
    """A loss that is minus the logarithm of a density, in nats."""

    def log_density(self, raw: Tensor, target: Tensor) -> Tensor:
        return -self.summed(raw, target)


class Ragged(LossModule):
    """A loss over the steps that sequences have, and the cross-entropy of having them.

    ::

        raw (n, [per_value,] T, d + 1) ──output──▶ x̂ (n, T, d + 1), 0 where no step is likely
        target (n, T, d + 1), whose last feature is 1 where the step exists
            ──forward──▶ inner loss of the first d features there + cross-entropy of the last

    Parameters
    ----------
    part, space
        As for the loss of the features.
    inner
        The loss of the first d features.
    """

    def __init__(self, part: Loss, space: Space, inner: LossModule) -> None:
        super().__init__(part, space, inner.activation, per_value=inner.per_value)
        self.inner = inner

    def output(self, raw: Tensor) -> Tensor:
        chance = self._presence(raw).sigmoid()
        features = self.inner.output(raw[..., :-1])
        return torch.cat([features.where(chance >= 0.5, 0.0), chance], -1)

    def inverse(self, x: Tensor) -> Tensor:
        return torch.cat([self.inner.inverse(x[..., :-1]), x[..., -1:].logit(LEAST_CHANCE)], -1)

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        exists = target[..., -1:]
        features = self.inner.values(raw[..., :-1], target[..., :-1]) * exists
        return torch.cat([features, self._absence(raw, exists)], -1)

    def summed(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        exists = target[..., -1:]
        features = self.inner.summed(
            raw[..., :-1], target[..., :-1], exists if weight is None else exists * weight
        )
        absence = self._absence(raw, exists)
        return features + (absence if weight is None else absence * weight).flatten(1).sum(1)

    def forward(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        total = self.summed(raw, target, weight)
        return total / self._counted(target) if self.mean else total

    def error(self, output: Tensor, target: Tensor) -> Tensor:
        exists = target[..., -1:]
        squares = (output - target)[..., :-1].square() * exists
        steps = exists.flatten(1).sum(1).clamp(min=1)
        return squares.flatten(1).sum(1) / (steps * (target.shape[-1] - 1))

    def log_density(self, raw: Tensor, target: Tensor) -> Tensor:
        self.inner.log_density(raw[..., :-1], target[..., :-1])  # says so where it is none
        return -self.summed(raw, target)

    def _counted(self, target: Tensor) -> Tensor:
        """Return how many values each sample's loss is summed over, (n,)."""
        steps = target[..., -1:].flatten(1).sum(1)
        return steps * (target.shape[-1] - 1) + target[..., 0].flatten(1).shape[1]

    def _presence(self, raw: Tensor) -> Tensor:
        """Return the log-odds of each step's existence, (n, T, 1)."""
        logits = raw[..., -1:].float()
        return logits if self.per_value == 1 else logits[:, 0]

    def _absence(self, raw: Tensor, exists: Tensor) -> Tensor:
        """Return the cross-entropy of each step's existence, (n, T, 1)."""
        return nn.functional.binary_cross_entropy_with_logits(
            self._presence(raw), exists, reduction="none"
        )
