"""MMD: codes that as a whole are distributed as the prior, by a distance of two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from ..data.space import Shape
from ..parts import is_number, require
from . import normal
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encode,
    Encoding,
    Moment,
    require_alone,
)
from .priors import MatchedModule


@dataclass(kw_only=True)
class MMD(Bottleneck):
    """Draw all codes together towards N(0, I), by their maximum mean discrepancy (WAE, InfoVAE).

    ::

        h ──▶ z                                 cost "mmd" = MMD²(codes of the batch, N(0, I))
        stochastic: h ──▶ μ, log σ² ──▶ z = μ + σ·ε        and cost "kl" = KL(N(μ, σ²) ‖ N(0, I))

    With one code a sample it is the Wasserstein autoencoder (WAE-MMD; Tolstikhin et al., 2018):
    codes need not be blurred, only lie where the prior lies. With ``stochastic=True`` it is the
    InfoVAE of Zhao et al. (2017), whose ``(1 − α) KL + (α + λ − 1) MMD`` is ``kl_weight = 1 − α``
    and ``weight = α + λ − 1``; their MMD-VAE is ``kl_weight = 0``.

    The discrepancy is of a batch: the unbiased estimate (Gretton et al., 2012, lemma 6) between its
    codes and as many draws from the prior, which may be below 0. It is the same for each row, and 0
    of a single row and at use, where a row's loss is its own. A spatial code is looked at
    flattened.

    Parameters
    ----------
    weight
        Price of one unit of the discrepancy, in units of the loss; 0 charges nothing. A loss that
        is a likelihood, as ``stochastic=True`` has by default, asks for more: 100 for MNIST.
    kernel
        "imq": ``Σ C / (C + r²)``, whose tails reach far codes; "rbf": ``Σ exp(−r² / C)``. r is the
        distance of two codes, ``C = 2 · numbers · scale``, one term for each scale.
    scales
        Of the kernel; 1 is the mean squared distance of two draws from the prior.
    stochastic
        Whether codes are drawn from a distribution whose variance is learned for each sample.
    kl_weight
        Weight of the divergence of each sample's distribution from the prior.
    """

    weight: float = 10.0
    kernel: Literal["imq", "rbf"] = "imq"
    scales: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    stochastic: bool = False
    kl_weight: float = 0.0

    def check(self) -> None:
        for name in ("weight", "kl_weight"):
            value = getattr(self, name)
            require(is_number(value, 0), self, name, value, "a number of at least 0")
        require(self.kernel in ("imq", "rbf"), self, "kernel", self.kernel, "'imq' or 'rbf'")
        several = isinstance(self.scales, Sequence) and not isinstance(self.scales, str)
        positive = several and all(is_number(scale, 0) and scale > 0 for scale in self.scales)
        right = positive and len(self.scales) > 0
        require(right, self, "scales", self.scales, "a sequence of positive numbers, at least one")
        known = isinstance(self.stochastic, bool)
        require(known, self, "stochastic", self.stochastic, "True or False")
        require(
            self.stochastic or self.kl_weight == 0,
            self,
            "kl_weight",
            self.kl_weight,
            "0 with stochastic=False: a single code has no divergence",
        )

    def per_code(self) -> int:
        return 2 if self.stochastic else 1

    def default_loss(self, *, binary: bool, bounded: bool) -> str:
        if self.stochastic:
            return "bernoulli" if bounded else "gaussian"
        return super().default_loss(binary=binary, bounded=bounded)

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return (StochasticMMDModule if self.stochastic else MMDModule)(code_shape, self)


class MMDModule(MatchedModule):
    """Passes h on and charges for the distance of the batch's codes from the prior's."""

    def __init__(self, code_shape: Shape, part: MMD) -> None:
        super().__init__(code_shape)
        self.part = part.copy()

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        return Draw(encoding.h, {"mmd": self.charge(encoding.h, moment)})

    def charge(self, z: Tensor, moment: Moment) -> Cost:
        """Return what codes (n, *code_shape) cost together, the same for each, (n,)."""
        z = z.flatten(1).float()
        if moment.alone or len(z) < 2:
            return Cost(z.new_zeros(len(z)), self.part.weight)
        prior = z.new_empty(z.shape).normal_(generator=moment.generator)
        discrepancy = squared_mmd(z, prior, self.part.kernel, self.part.scales)
        return Cost(discrepancy.expand(len(z)), self.part.weight)

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)


class StochasticMMDModule(MMDModule):
    """Draws codes from each sample's normal distribution and charges for both distances."""

    def code(self, h: Tensor) -> Tensor:
        return normal.moments(h)[0]

    def posterior(self, h: Tensor, samples: int, generator: Generator) -> Tensor:
        return normal.draws(*normal.moments(h), samples, generator)

    def drawn(self, h: Tensor, generator: Generator) -> Tensor:
        return self.posterior(h, 1, generator)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        h = encoding.h
        drawn = self.code(h) if moment.alone else self.posterior(h, 1, moment.generator)
        z = self.code(h) if moment.deterministic else drawn
        kl = normal.divergence(*normal.moments(h)).flatten(1).sum(1)
        return Draw(z, {"kl": Cost(kl, self.part.kl_weight), "mmd": self.charge(drawn, moment)})

    def log_ratio(self, h: Tensor, z: Tensor, encode: Encode) -> Tensor:
        mean, log_variance = normal.moments(h)
        drawn = z.view(-1, *mean.shape)
        ratio = normal.standard_log_density(drawn) - normal.log_density(drawn, mean, log_variance)
        return ratio.flatten(2).sum(2)


def squared_mmd(a: Tensor, b: Tensor, kernel: str, scales: Sequence[float]) -> Tensor:
    """Estimate MMD² of two distributions without bias, from n ≥ 2 draws of each, ().

    ::

        Σ_{i≠j} [k(a_i, a_j) + k(b_i, b_j)] / (n (n − 1)) − 2 Σ_ij k(a_i, b_j) / n²

    Parameters
    ----------
    a, b
        Draws, (n, numbers) each.
    kernel
        "imq" or "rbf".
    scales
        Of the kernel.
    """
    n, numbers = a.shape
    both = torch.cat([a, b])
    with torch.autocast(a.device.type, enabled=False):
        norms = both.square().sum(1)
        squared = (norms[:, None] + norms - 2 * both @ both.T).clamp(min=0)
    values = torch.zeros_like(squared)
    for scale in scales:
        width = 2 * numbers * float(scale)
        values = values + (
            width / (width + squared) if kernel == "imq" else (-squared / width).exp()
        )
    same = values[:n, :n].sum() + values[n:, n:].sum() - values.diagonal().sum()
    return same / (n * (n - 1)) - 2 * values[:n, n:].mean()
