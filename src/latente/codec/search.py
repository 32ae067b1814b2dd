"""Search: for each picture, a better code than the encoder's first guess.

The encoder has to be good on average; what a file costs is one picture's code. Gradients of
``loss + weight · bits`` by that code, taken at the rounded one (Campos et al., 2019; straight
through the rounding), move it a few steps at a time, and the best code met is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..bottlenecks.base import Encoding, Moment
from ..bottlenecks.rounded import Rounded

if TYPE_CHECKING:
    from torch import Tensor

    from ..fitted import Fitted

ROWS = 256
"""Codes searched at a time."""
STRIDE = 0.3
"""How far a number may move in the first round, in steps; the last moves a tenth of it."""


def refined(fitted: Fitted, X: Any, codes: NDArray[np.int32], rounds: int) -> NDArray[np.int32]:
    """Return codes that are at least as good as the given ones by the model's own objective.

    Parameters
    ----------
    fitted
        The model, with the bottleneck "rounded".
    X
        The samples, (n, ...).
    codes
        Theirs in whole steps, (n, numbers).
    rounds
        Gradients taken for each; 0 leaves the codes as they are.
    """
    bottleneck = fitted.model.bottleneck
    assert isinstance(bottleneck, Rounded)
    batches = fitted.batches(X)
    found = codes.copy()
    for start in range(0, len(codes) if rounds else 0, ROWS):
        rows = slice(start, start + ROWS)
        index = torch.arange(start, min(start + ROWS, len(codes)), device=fitted.device)
        z = torch.from_numpy(codes[rows]).to(fitted.device).float() * bottleneck.step
        best = _searched(fitted, batches.take(index), z.view(-1, *fitted.code_shape), rounds)
        found[rows] = bottleneck.whole(best).flatten(1).cpu().numpy().astype(np.int32)
    return found


def _searched(fitted: Fitted, batch: tuple[Tensor, Tensor], start: Tensor, rounds: int) -> Tensor:
    """Return the best rounded codes met on the way down from some."""
    bottleneck, (x, target) = fitted.model.bottleneck, batch
    assert isinstance(bottleneck, Rounded)
    best, least = start.clone(), torch.full((len(start),), torch.inf, device=start.device)
    free = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=STRIDE * bottleneck.step)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, rounds, eta_min=0.1 * STRIDE * bottleneck.step
    )
    for _ in range(rounds + 1):
        rounded = free + (bottleneck.code(free) - free).detach()
        total = _objective(fitted, x, target, rounded)
        better = total.detach() < least
        best[better], least[better] = rounded.detach()[better], total.detach()[better]
        (free.grad,) = torch.autograd.grad(total.sum(), free)
        optimizer.step()
        schedule.step()
    return best


def _objective(fitted: Fitted, x: Tensor, target: Tensor, z: Tensor) -> Tensor:
    """Return the loss and the price of the bits of codes, (n,)."""
    model = fitted.model
    encoding = Encoding(x, z, z, model.encoder.network, model.prior)
    moment = Moment(torch.Generator(z.device))
    error = model.reconstruction_loss(z, target)
    return model.bottleneck.objective(error, encoding, moment)["total"]
