"""The bottlenecks there are, and their table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..parts import is_number, is_whole, require
from .base import Bottleneck, Encoding, Moment, Terms
from .rounded import Rounded

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

__all__ = [
    "BOTTLENECKS",
    "Bottleneck",
    "Contractive",
    "Encoding",
    "Gaussian",
    "Moment",
    "Plain",
    "Rounded",
    "Sparse",
    "Terms",
]


@dataclass(kw_only=True)
class Plain(Bottleneck):
    """The code is the encoder's output and costs nothing."""


@dataclass(kw_only=True)
class Sparse(Bottleneck):
    """Charge for the code's absolute values, ``weight · ‖z‖₁``, so that few of them are active.

    Parameters
    ----------
    weight
        Price of one unit of absolute code, in units of the loss; 0 charges nothing.
    """

    weight: float = 0.1

    def check(self) -> None:
        require(is_number(self.weight, 0), self, "weight", self.weight, "a number of at least 0")

    def costs(self, encoding: Encoding, moment: Moment) -> Terms:
        return {"sparsity": encoding.z.float().abs().flatten(1).sum(1)}

    def weight_of(self, cost: str, moment: Moment) -> float:
        return self.weight


@dataclass(kw_only=True)
class Contractive(Bottleneck):
    """Charge for the encoder's sensitivity, ``weight · ‖∂z/∂x‖²_F`` (Rifai et al., 2011).

    Exact where the encoder is a single dense layer; otherwise Hutchinson's unbiased estimate
    ``E‖vᵀJ‖²`` with ``v ~ N(0, I)``.

    Parameters
    ----------
    weight
        Price of one unit of the squared norm, in units of the loss; 0 charges nothing.
    probes
        Random vectors v a batch; more make the estimate steadier and the step slower.
    """

    differentiates: ClassVar[bool] = True
    weight: float = 0.1
    probes: int = 1

    def check(self) -> None:
        require(is_number(self.weight, 0), self, "weight", self.weight, "a number of at least 0")
        require(is_whole(self.probes, 1), self, "probes", self.probes, "a whole number from 1")

    def costs(self, encoding: Encoding, moment: Moment) -> Terms:
        single = getattr(encoding.encoder, "single_layer", lambda: None)()
        if single is not None:
            return {"contraction": _exact_norm(encoding.x, *single)}
        return {"contraction": self._estimated_norm(encoding, moment.generator)}

    def weight_of(self, cost: str, moment: Moment) -> float:
        return self.weight

    def _estimated_norm(self, encoding: Encoding, generator: Generator) -> Tensor:
        import torch

        norms = []
        for _ in range(self.probes):
            v = torch.empty_like(encoding.h).normal_(generator=generator)
            (product,) = torch.autograd.grad(
                encoding.h, encoding.x, v, create_graph=True, retain_graph=True
            )
            norms.append(product.square().flatten(1).sum(1))
        return torch.stack(norms).mean(0)


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

    heads: ClassVar[int] = 2
    variational: ClassVar[bool] = True
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

    def code(self, h: Tensor) -> Tensor:
        return self.moments(h)[0]

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of each sample's distribution, (n, channels, ...) each."""
        mean, log_variance = h.float().chunk(2, dim=1)
        return mean, log_variance

    def draw(self, h: Tensor, generator: Generator) -> Tensor:
        return self.sample(h, self.samples, generator)

    def sample(self, h: Tensor, samples: int, generator: Generator) -> Tensor:
        """Draw codes from each sample's distribution, (samples · n, channels, ...)."""
        mean, log_variance = self.moments(h)
        noise = mean.new_empty((samples, *mean.shape)).normal_(generator=generator)
        return noise.mul((0.5 * log_variance).exp()).add(mean).flatten(0, 1)

    def divergence(self, h: Tensor) -> Tensor:
        """Return KL(N(μ, σ²) ‖ N(0, 1)) of each code dimension in nats, (n, channels, ...)."""
        mean, log_variance = self.moments(h)
        return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)

    def costs(self, encoding: Encoding, moment: Moment) -> Terms:
        return {"kl": self.divergence(encoding.h).flatten(1).sum(1)}

    def weight_of(self, cost: str, moment: Moment) -> float | Tensor:
        if self.warmup == 0 or moment.epoch is None:
            return self.beta
        return self.beta * (moment.epoch / self.warmup).clamp(max=1.0)

    def objective(self, reconstruction: Tensor, encoding: Encoding, moment: Moment) -> Terms:
        if self.samples > 1 and reconstruction.shape[0] > 1:
            return self._importance_weighted(reconstruction, encoding, moment)
        if self.free_bits == 0:
            return super().objective(reconstruction, encoding, moment)
        divergence = self.divergence(encoding.h).flatten(1)
        charged = divergence.mean(0).clamp(min=self.free_bits).sum()
        error = reconstruction.mean(0)
        total = error + self.weight_of("kl", moment) * charged
        return {"total": total, "reconstruction": error, "kl": divergence.sum(1)}

    def _importance_weighted(
        self, reconstruction: Tensor, encoding: Encoding, moment: Moment
    ) -> Terms:
        ratio = self.log_ratio(encoding.h, encoding.z)
        log_weights = self.weight_of("kl", moment) * ratio - reconstruction
        bound = log_weights.logsumexp(0) - math.log(reconstruction.shape[0])
        terms = self.costs(encoding, moment)
        return {"total": -bound, "reconstruction": reconstruction.mean(0), **terms}

    def log_ratio(self, h: Tensor, z: Tensor) -> Tensor:
        """Return ``log p(z) − log q(z | x)`` of codes drawn by `sample`, shape (samples, n)."""
        mean, log_variance = self.moments(h)
        drawn = z.view(-1, *mean.shape)
        standardised = (drawn - mean) * (-0.5 * log_variance).exp()
        ratio = 0.5 * (standardised.square() + log_variance - drawn.square())
        summed: Tensor = ratio.flatten(2).sum(2)
        return summed


BOTTLENECKS: dict[str, type[Bottleneck]] = {
    "plain": Plain,
    "sparse": Sparse,
    "contractive": Contractive,
    "gaussian": Gaussian,
    "rounded": Rounded,
}


def _exact_norm(x: Tensor, linear: nn.Linear, activation: nn.Module) -> Tensor:
    """‖J‖²_F of ``z = s(Wx + b)``: ``Σ_j s'(a_j)² ‖W_j‖²``, shape (n,)."""
    import torch

    pre = linear(x.flatten(1))
    if not pre.requires_grad:
        pre = pre.requires_grad_()
    (slope,) = torch.autograd.grad(activation(pre).sum(), pre, create_graph=True)
    norms: Tensor = slope.square() @ linear.weight.square().sum(1)
    return norms
