"""Normal distributions of codes: what the encoder's output says of each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ..shares import per_row

LOG_2PI = math.log(2 * math.pi)


def moments(h: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance of each sample's codes.

    ::

        h (n, 2 · channels, ...) ──▶ μ, log σ², (n, channels, ...) each
    """
    mean, log_variance = h.float().chunk(2, dim=1)
    return mean, log_variance


def draws(mean: Tensor, log_variance: Tensor, samples: int, generator: Generator) -> Tensor:
    """Return ``μ + σ·ε`` with ε ~ N(0, I), (samples · n, *code_shape), sample by sample."""

    def draw(shape: Sequence[int]) -> Tensor:
        return mean.new_empty(shape).normal_(generator=generator)

    noise = per_row((samples, *mean.shape), generator, draw, axis=1)
    return noise.mul((0.5 * log_variance).exp()).add(mean).flatten(0, 1)


def fixed_draws(mean: Tensor, log_variance: Tensor, samples: int) -> Tensor:
    """Return codes drawn with the same noise for every sample and at every call.

    Half of the noise is the other half with its sign changed, so that its mean is exactly 0. What
    is computed from these codes depends on a sample alone, not on those beside it.

    Parameters
    ----------
    mean, log_variance
        Shape (n, *code_shape).
    samples
        An even number.

    Returns
    -------
    Tensor
        Shape (samples · n, *code_shape), sample by sample.
    """
    half = torch.randn(samples // 2, 1, *mean.shape[1:], generator=Generator().manual_seed(0))
    noise = torch.cat([half, -half]).to(mean.device)
    return noise.mul((0.5 * log_variance).exp()).add(mean).flatten(0, 1)


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return ``log N(z; μ, σ²)`` of each number in nats; shapes as they broadcast."""
    standardised = (z - mean) * (-0.5 * log_variance).exp()
    return -0.5 * (standardised.square() + log_variance + LOG_2PI)


def standard_log_density(z: Tensor) -> Tensor:
    """Return ``log N(z; 0, 1)`` of each number in nats."""
    return -0.5 * (z.square() + LOG_2PI)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) ‖ N(0, 1)) of each number in nats, in the shape of the mean."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def entropy(log_variance: Tensor) -> Tensor:
    """Return the entropy of N(μ, σ²) of each number in nats, in the shape of the log-variance."""
    return 0.5 * (log_variance + 1.0 + LOG_2PI)


def total_correlation(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Estimate how far the numbers of the code are from being independent, in nats, (n,).

    ::

        log q(z) − Σ_j log q(z_j),   q(z) ≈ (1/n) Σ_i q(z | x_i)   over the batch

    The minibatch-weighted estimate of Chen et al. (2018, equation S6). Theirs divides by the
    rows of the data set too, which moves the value by a constant and the gradient not at all. It
    holds (n, n, numbers) values at once. Each number of a spatial code counts as one of the code.

    Parameters
    ----------
    z
        One code drawn for each sample, (n, *code_shape).
    mean, log_variance
        Of the same samples, (n, *code_shape).
    """
    z, mean, log_variance = z.flatten(1), mean.flatten(1), log_variance.flatten(1)
    each = log_density(z.unsqueeze(1), mean, log_variance)
    joint = each.sum(2).logsumexp(1)
    marginals = each.logsumexp(1).sum(1)
    return joint - marginals + (z.shape[1] - 1) * math.log(len(z))
