"""Gaussian: a normal distribution for each sample, the variational autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor

from ..data.space import Shape
from ..parts import is_number, is_whole, require
from . import normal
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encode,
    Encoding,
    Floats,
    Moment,
    Rows,
    Terms,
    require_alone,
)
from .priors import FlowPrior, MixturePrior, Prior, StandardPrior, VampPrior

ACTIVE = 0.01
"""Variance over the rows above which a code dimension counts as active (Burda et al., 2016)."""
FIXED = 16
"""Codes of each sample from which its divergence from a learned prior is told at use."""


@dataclass(kw_only=True)
class Gaussian(Bottleneck):
    """A normal distribution for each sample, drawn towards a prior: the variational autoencoder.

    ::

        h ──▶ μ, log σ² ──▶ z = μ + σ·ε,  ε ~ N(0, I)        cost "kl" = KL(N(μ, σ²) ‖ p)

    Kingma and Welling (2014); beta: Higgins et al. (2017); more than one sample: the
    importance-weighted bound of Burda et al. (2016); free bits: Kingma et al. (2016); tc: the
    β-TCVAE of Chen et al. (2018), whose bound is ``KL + (tc − 1) · total correlation``.

    The prior p is N(0, I), or learned with the rest: a mixture of normal distributions, the
    encoder's distributions of pseudo-inputs (VampPrior; Tomczak and Welling, 2018), or a flow of
    affine couplings (RealNVP; Dinh et al., 2017). The divergence from N(0, I) is exact; that from a
    learned prior is estimated with the codes that are drawn. A learned prior is one of the whole
    code, flattened where it is spatial.

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
    tc
        Weight of the total correlation beside the rest of the divergence: above 1, code dimensions
        become independent of each other; 1 gives the plain bound.
    prior
        "standard", "mixture", "vamp" or "flow".
    components
        Of the prior "mixture"; of "vamp", the pseudo-inputs.
    couplings
        Of the prior "flow".
    """

    beta: float = 1.0
    samples: int = 1
    free_bits: float = 0.0
    warmup: float = 0.0
    tc: float = 1.0
    prior: Literal["standard", "mixture", "vamp", "flow"] = "standard"
    components: int = 100
    couplings: int = 6

    def check(self) -> None:
        for name in ("beta", "free_bits", "warmup", "tc"):
            value = getattr(self, name)
            require(is_number(value, 0), self, name, value, "a number of at least 0")
        for name in ("samples", "components", "couplings"):
            value = getattr(self, name)
            require(is_whole(value, 1), self, name, value, "a whole number from 1")
        known = self.prior in ("standard", "mixture", "vamp", "flow")
        require(known, self, "prior", self.prior, "'standard', 'mixture', 'vamp' or 'flow'")
        single, standard = self.samples == 1, self.prior == "standard"
        rules = {
            "free_bits": (
                self.free_bits == 0 or single,
                "0 with more than one sample: the importance-weighted bound has no separate "
                "divergence",
            ),
            "tc": (
                self.tc == 1 or single,
                "1 with more than one sample: the importance-weighted bound has no separate "
                "total correlation",
            ),
            "beta": (
                self.beta > 0 or standard,
                f"above 0 with prior={self.prior!r}, which is learned through the divergence",
            ),
        }
        for name, (right, wanted) in rules.items():
            require(right, self, name, getattr(self, name), wanted)
        require(
            self.free_bits == 0 or standard,
            self,
            "free_bits",
            self.free_bits,
            f"0 with prior={self.prior!r}, which gives no divergence of single dimensions; use "
            "prior='standard'",
        )

    def per_code(self) -> int:
        return 2

    def default_loss(self, *, binary: bool, bounded: bool) -> str:
        return "bernoulli" if bounded or binary else "gaussian"

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return GaussianModule(code_shape, self, self._prior(code_shape, input_shape, generator))

    def _prior(self, code_shape: Shape, input_shape: Shape, generator: Generator) -> Prior:
        if self.prior == "mixture":
            return MixturePrior(code_shape, int(self.components), generator)
        if self.prior == "vamp":
            return VampPrior(code_shape, input_shape, int(self.components), generator)
        if self.prior == "flow":
            several = math.prod(code_shape) > 1
            require(several, self, "prior", self.prior, "another one for a code of one number")
            return FlowPrior(code_shape, int(self.couplings), generator)
        return StandardPrior(code_shape)


class GaussianModule(BottleneckModule):
    """Draws codes from each sample's distribution and charges for its divergence from the prior.

    ::

        h (n, 2 · channels, ...) ──moments──▶ μ, log σ² ──draw──▶ z (samples · n, *code_shape), "kl"

    Parameters
    ----------
    code_shape
        Of one code.
    part
        The description.
    prior
        What codes are drawn towards.
    """

    def __init__(self, code_shape: Shape, part: Gaussian, prior: Prior) -> None:
        super().__init__(code_shape)
        self.part = part.copy()
        self.prior = prior

    def spread(self) -> float:
        return 1.0

    def is_rowwise(self) -> bool:
        # A learned prior passes its own inputs through the encoder, or is learned from all codes.
        return self.part.tc == 1 and self.part.free_bits == 0 and self.part.prior == "standard"

    def begin(self, rows: Rows, encode: Encode, generator: Generator) -> None:
        self.prior.begin(rows)

    def code(self, h: Tensor) -> Tensor:
        return normal.moments(h)[0]

    def posterior(self, h: Tensor, samples: int, generator: Generator) -> Tensor:
        return normal.draws(*normal.moments(h), samples, generator)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        mean, log_variance = normal.moments(encoding.h)
        weight = self.weight(moment)
        if moment.deterministic:
            z, seen = mean, normal.fixed_draws(mean, log_variance, FIXED)
        else:
            seen = normal.draws(mean, log_variance, int(self.part.samples), moment.generator)
            z = seen
        divergence = self.prior.divergence(mean, log_variance, seen, encoding.encode)
        costs = {"kl": Cost(divergence, weight)}
        if self.part.tc != 1 and not moment.alone:
            drawn = self.posterior(encoding.h, 1, moment.generator) if moment.deterministic else z
            correlation = normal.total_correlation(drawn, mean, log_variance)
            costs["total_correlation"] = Cost(correlation, weight * (self.part.tc - 1))
        return Draw(z, costs)

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
            each = normal.divergence(*normal.moments(encoding.h)).flatten(1)
            charged = each.mean(0).clamp(min=self.part.free_bits).sum()
            return {**terms, "total": terms["total"] + weight * (charged - terms["kl"])}
        return terms

    def log_ratio(self, h: Tensor, z: Tensor, encode: Encode) -> Tensor:
        mean, log_variance = normal.moments(h)
        drawn = z.view(-1, *mean.shape)
        posterior = normal.log_density(drawn, mean, log_variance).flatten(2).sum(2)
        return self.prior.log_density(z, encode).view(-1, len(mean)) - posterior

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)

    def keep(self, codes: Floats, seed: int) -> Floats:
        return codes[:0]

    def sample(self, n: int, generator: Generator, *, codes: Floats, encode: Encode) -> Tensor:
        return self.prior.sample(n, generator, encode)

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64] | None:
        return self.prior.quantiles(shares)

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        mean, log_variance = normal.moments(h)
        active = mean.flatten(1).var(0, unbiased=False) > ACTIVE
        return {**self.prior.describe(mean, log_variance), "active_units": int(active.sum())}

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        return self.prior.gap(self.posterior(h, 1, generator))
