"""Bernoulli: binary cross-entropy, for values from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..data.space import Space
from ..errors import ParameterError
from ..networks.layers import activation
from .base import LikelihoodModule, Loss, LossModule


@dataclass(kw_only=True)
class Bernoulli(Loss):
    """Binary cross-entropy on logits, in nats; for targets from 0 to 1.

    For grey values between 0 and 1 this is the cross-entropy of the Keras tutorials: its least
    value is the target's own entropy, not 0.
    """

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        if output_activation not in ("auto", "sigmoid"):
            raise ParameterError(
                f"loss='bernoulli' works on logits, so output_activation={output_activation!r} "
                "cannot be used; use 'auto' or 'sigmoid'"
            )
        if space.low < 0 or space.high > 1:
            raise ParameterError(
                f"loss='bernoulli' needs values from 0 to 1, but they reach from {space.low:.4g} "
                f"to {space.high:.4g} in the model's scale; use scaling='unit' or loss='squared'"
            )
        return BernoulliModule(self, space, activation("sigmoid"))


class BernoulliModule(LikelihoodModule):
    """Cross-entropy of each value, on logits."""

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw.float(), target, reduction="none")

    def summed(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        if weight is not None:
            return super().summed(raw, target, weight)
        return cross_entropy(raw.flatten(1), target.flatten(1))


class _CrossEntropy(torch.autograd.Function):
    """``softplus(a) − a·x`` summed over features; its gradient is ``sigmoid(a) − x``.

    Two passes over memory instead of torch's ten.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target)
        return functional.softplus(logits).sub_(logits * target).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, target = ctx.saved_tensors
        return torch.sigmoid(logits).sub_(target).mul_(gradient.unsqueeze(1)), None


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of each row, in nats.

    Parameters
    ----------
    logits
        Log-odds, shape (n, features).
    target
        Values from 0 to 1, shape (n, features); no gradient flows to them.

    Returns
    -------
    Tensor
        Shape (n,).
    """
    if torch._C._are_functorch_transforms_active():  # stacks of models, which need torch's own
        return (functional.softplus(logits.float()) - logits * target).sum(1)
    apply: Callable[[Tensor, Tensor], Tensor] = _CrossEntropy.apply
    return apply(logits.float(), target)
