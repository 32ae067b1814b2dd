"""Gaussian: a normal distribution for each sample, the variational autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ..data.space import Shape
from ..parts import is_number, is_whole, require
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encode,
    Encoding,
    Floats,
    Moment,
    Terms,
    normal_quantiles,
    prior_gap,
    require_alone,
)

ACTIVE = 0.01
"""Variance over the rows above which a code dimension counts as active (Burda et al., 2016)."""


@dataclass(kw_only=True)
class Gaussian(Bottleneck):
    """A normal distribution for each sample, drawn towards N(0, I): the variational autoencoder.

    ::

        h ──▶ μ, log σ² ──▶ z = μ + σ·ε,  ε ~ N(0, I)        cost "kl" = KL(N(μ, σ²) ‖ N(0, I))

    Kingma and Welling (2014); beta: Higgins et al. (2017); more than one sample: the
    importance-weighted bound of Burda et al. (2016); free bits: Kingma et al. (2016).

    Parameters
    ----------
    beta
        Weight of the divergence; 1 gives the evidence lower bound, 0 no pull at all.
    samples
        Codes drawn for each sample while training; with more than one the importance-weighted
        bound is optimised.
    free_bits
        Nats each code dimension may carry, on batch average, before it costs anything.
    warmup
        Epochs over which the weight rises linearly from 0 to beta; keeps the code from collapsing.
    """

    beta: float = 1.0
    samples: int = 1
    free_bits: float = 0.0
    warmup: float = 0.0

    def check(self) -> None:
        require(is_number(self.beta, 0), self, "beta", self.beta, "a number of at least 0")
        require(is_whole(self.samples, 1), self, "samples", self.samples, "a whole number from 1")
        for name in ("free_bits", "warmup"):
            value = getattr(self, name)
            require(is_number(value, 0), self, name, value, "a number of at least 0")
        require(
            self.free_bits == 0 or self.samples == 1,
            self,
            "free_bits",
            self.free_bits,
            "0 with more than one sample: the importance-weighted bound has no separate divergence",
        )

    def per_code(self) -> int:
        return 2

    def default_loss(self, *, binary: bool, bounded: bool) -> str:
        return "bernoulli" if bounded or binary else "gaussian"

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return GaussianModule(code_shape, self)


class GaussianModule(BottleneckModule):
    """Draws codes from each sample's distribution and charges for its divergence from the prior.

    ::

        h (n, 2 · channels, ...) ──moments──▶ μ, log σ² ──draw──▶ z (samples · n, *code_shape), "kl"
    """

    def __init__(self, code_shape: Shape, part: Gaussian) -> None:
        super().__init__(code_shape)
        self.part = part.copy()

    def code(self, h: Tensor) -> Tensor:
        return self.moments(h)[0]

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of each sample's distribution, (n, *code_shape) each."""
        mean, log_variance = h.float().chunk(2, dim=1)
        return mean, log_variance

    def posterior(self, h: Tensor, samples: int, generator: Generator) -> Tensor:
        mean, log_variance = self.moments(h)
        noise = mean.new_empty((samples, *mean.shape)).normal_(generator=generator)
        return noise.mul((0.5 * log_variance).exp()).add(mean).flatten(0, 1)

    def divergence(self, h: Tensor) -> Tensor:
        """Return KL(N(μ, σ²) ‖ N(0, 1)) of each code dimension in nats, (n, *code_shape)."""
        mean, log_variance = self.moments(h)
        return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        h = encoding.h
        if moment.deterministic:
            z = self.code(h)
        else:
            z = self.posterior(h, int(self.part.samples), moment.generator)
        return Draw(z, {"kl": Cost(self.divergence(h).flatten(1).sum(1), self.weight(moment))})

    def weight(self, moment: Moment) -> float | Tensor:
        """Return what the divergence is multiplied by: beta, or less while it warms up."""
        if self.part.warmup == 0 or moment.epoch is None:
            return self.part.beta
        return self.part.beta * (moment.epoch / self.part.warmup).clamp(max=1.0)

    def objective(
        self, reconstruction: Tensor, encoding: Encoding, draw: Draw, moment: Moment
    ) -> Terms:
        terms = super().objective(reconstruction, encoding, draw, moment)
        weight = draw.costs["kl"].weight
        if len(reconstruction) > 1:
            ratio = self.log_ratio(encoding.h, draw.z, encoding.encode)
            bound = (weight * ratio - reconstruction).logsumexp(0) - math.log(len(reconstruction))
            return {**terms, "total": -bound}
        if self.part.free_bits and not moment.deterministic:
            each = self.divergence(encoding.h).flatten(1)
            charged = each.mean(0).clamp(min=self.part.free_bits).sum()
            return {**terms, "total": terms["total"] + weight * (charged - terms["kl"])}
        return terms

    def log_ratio(self, h: Tensor, z: Tensor, encode: Encode) -> Tensor:
        mean, log_variance = self.moments(h)
        drawn = z.view(-1, *mean.shape)
        standardised = (drawn - mean) * (-0.5 * log_variance).exp()
        ratio = 0.5 * (standardised.square() + log_variance - drawn.square())
        return ratio.flatten(2).sum(2)

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)

    def keep(self, codes: Floats, seed: int) -> Floats:
        return codes[:0]

    def sample(self, n: int, generator: Generator, *, codes: Floats, encode: Encode) -> Tensor:
        shape = (n, *self.code_shape)
        return torch.randn(shape, generator=generator, device=generator.device)

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return normal_quantiles(shares)

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        spread = self.code(h).flatten(1).var(0, unbiased=False)
        return {
            "kl_per_dimension": self.divergence(h).flatten(1).mean(0).cpu().numpy(),
            "active_units": int((spread > ACTIVE).sum()),
        }

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        return prior_gap(self.posterior(h, 1, generator))
