"""Gaussian likelihood: the squared error with a scale that is learned or given by the decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.space import Space
from ..networks.layers import activation
from ..parts import is_number, require
from .base import LikelihoodModule, Loss, LossModule


@dataclass(kw_only=True)
class GaussianLikelihood(Loss):
    """Negative log-likelihood of a normal distribution, in nats.

    ::

        scale="shared" or "feature":  raw (n, *shape) ──▶ mean              σ is learned
        scale="value":                raw (n, 2, *shape) ──▶ mean, log σ    of each value

    Parameters
    ----------
    scale
        "shared": one standard deviation for all features (Rybkin et al., 2021, sigma-VAE);
        "feature": one for each; "value": the decoder gives one for each value of each sample
        (Kingma and Welling, 2014, appendix C.2).
    least
        The smallest standard deviation, in the model's scale, that keeps the density bounded.
    reduction
        "sum" or "mean", as for every loss.
    """

    scale: Literal["shared", "feature", "value"] = "shared"
    least: float = 1e-3

    def check(self) -> None:
        super().check()
        known = self.scale in ("shared", "feature", "value")
        require(known, self, "scale", self.scale, "'shared', 'feature' or 'value'")
        positive = is_number(self.least, low=0) and self.least > 0
        require(positive, self, "least", self.least, "a positive number")

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        module = ValueScaleModule if self.scale == "value" else GaussianLikelihoodModule
        return module(self, space, output_activation)


class GaussianLikelihoodModule(LikelihoodModule):
    """Density of each value around the decoder's mean, with a learned scale."""

    def __init__(self, part: GaussianLikelihood, space: Space, output_activation: str) -> None:
        super().__init__(part, space, activation(output_activation))
        self.least = math.log(part.least)
        self.log_scale = nn.Parameter(torch.zeros(space.shape if part.scale == "feature" else (1,)))

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        return nats(target - self.output(raw).float(), self.log_scale.clamp(min=self.least))


class ValueScaleModule(LikelihoodModule):
    """Density of each value around a mean, with a scale, that the decoder gives for it."""

    def __init__(self, part: GaussianLikelihood, space: Space, output_activation: str) -> None:
        super().__init__(part, space, activation(output_activation), per_value=2)
        self.least = math.log(part.least)

    def output(self, raw: Tensor) -> Tensor:
        return super().output(raw.select(1, 0))

    def inverse(self, x: Tensor) -> Tensor:
        raw = super().inverse(x)
        return torch.stack([raw, torch.zeros_like(raw)], 1)

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        # A soft lower bound: a clamp would stop the gradient of values that came too close.
        excess = nn.functional.softplus(raw[:, 1].float() - self.least)
        return nats(target - self.output(raw).float(), self.least + excess)


def nats(error: Tensor, log_scale: Tensor) -> Tensor:
    """Return ``-log N(error; 0, σ²)`` of each value."""
    standardised = error * (-log_scale).exp()
    return 0.5 * standardised.square() + log_scale + 0.5 * math.log(2 * math.pi)
