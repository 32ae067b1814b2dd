"""Inference: a fitted model run over many rows, block by block.

Every block has the same number of rows (the last is filled up), so that a row's result does not
depend on which rows are beside it: matrix products round differently for different heights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .bottlenecks.table import Gaussian, Moment
from .model import Model

BLOCK_NUMBERS = 2**18
"""About how many numbers a block's rows hold."""
LARGEST_BLOCK, SMALLEST_BLOCK = 1024, 16


def block_rows(numbers: int) -> int:
    """Return how many rows of that many numbers make a block: a power of two."""
    rows = max(BLOCK_NUMBERS // max(numbers, 1), 1)
    return int(min(max(2 ** int(math.log2(rows)), SMALLEST_BLOCK), LARGEST_BLOCK))


def blocks(rows: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """Yield blocks of exactly ``size`` rows, the last filled with zeros, and their true length."""
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        short = size - len(block)
        if short:
            block = torch.cat([block, block.new_zeros((short, *block.shape[1:]))])
        yield block, size - short


def run(
    function: Callable[[Tensor], Tensor], rows: Tensor, *, device: torch.device, numbers: int
) -> NDArray[np.float32]:
    """Apply a function of batches to all rows.

    ::

        rows (n, ...) ──block by block──▶ function ──▶ (n, ...) float32

    Parameters
    ----------
    function
        From a batch on the device to a batch.
    rows
        What to apply it to, on any device.
    device
        Where to compute.
    numbers
        How many numbers of work a row means; it sets the block's size.
    """
    results: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for block, length in blocks(rows, block_rows(numbers)):
            results.append(function(block.to(device))[:length].detach().float().cpu().numpy())
    return np.concatenate(results)


def log_likelihood(
    model: Model, x: Tensor, target: Tensor, samples: int, generator: torch.Generator
) -> Tensor:
    """Estimate ``log p(x)`` by importance sampling from ``q(z | x)`` (Burda et al., 2016).

    Parameters
    ----------
    model
        With a Gaussian bottleneck and a loss that is a likelihood.
    x, target
        A batch in the model's scale.
    samples
        Codes drawn for each row; the estimate is a lower bound that rises with them.
    generator
        Source of the random numbers.

    Returns
    -------
    Tensor
        Nats, shape (n,).
    """
    bottleneck = model.bottleneck
    assert isinstance(bottleneck, Gaussian)
    h = model.encoder.hidden(x)
    at_once = max(1, 4 * BLOCK_NUMBERS // max(target.numel(), 1))
    parts: list[Tensor] = []
    for start in range(0, samples, at_once):
        z = bottleneck.sample(h, min(at_once, samples - start), generator)
        parts.append(bottleneck.log_ratio(h, z) - model.reconstruction_loss(z, target))
    return torch.cat(parts).logsumexp(0) - math.log(samples)


def negative_loss(model: Model, x: Tensor, target: Tensor) -> Tensor:
    """Return how normal each row is: minus its loss through its deterministic code, (n,)."""
    return -model.evaluate(x, target, Moment(torch.Generator(x.device).manual_seed(0)))["total"]


def latent_use(model: Model, batches: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what each code dimension carries, to tell a collapsed one.

    Returns
    -------
    divergence
        Mean KL of each dimension in nats, (latent,).
    spread
        Variance of the code's mean over rows, (latent,): above 0.01 the unit counts as active
        (Burda et al., 2016).
    """
    bottleneck = model.bottleneck
    assert isinstance(bottleneck, Gaussian)
    divergences, means = [], []
    with torch.no_grad():
        for x in batches:
            h = model.encoder.hidden(x)
            divergences.append(bottleneck.divergence(h).flatten(1))
            means.append(bottleneck.code(h).flatten(1))
    codes = torch.cat(means)
    return torch.cat(divergences).mean(0), codes.var(0, unbiased=False)
