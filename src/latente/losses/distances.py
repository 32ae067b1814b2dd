"""Distances: the squared, the absolute and Huber's error."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ..data.space import Space
from ..networks.layers import activation
from ..parts import is_number, require
from .base import Loss, LossModule


@dataclass(kw_only=True)
class Squared(Loss):
    """Squared error, ``Σ (x − x̂)²``."""

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        return SquaredModule(self, space, activation(output_activation))


class SquaredModule(LossModule):
    """Squared error of each value."""

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.output(raw).float() - target).square()


@dataclass(kw_only=True)
class Absolute(Loss):
    """Absolute error, ``Σ |x − x̂|``: less moved by outliers than the squared error."""

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        return AbsoluteModule(self, space, activation(output_activation))


class AbsoluteModule(LossModule):
    """Absolute error of each value."""

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.output(raw).float() - target).abs()


@dataclass(kw_only=True)
class Huber(Loss):
    """Squared error near zero, absolute error beyond ``delta`` (Huber, 1964).

    Parameters
    ----------
    delta
        Error, in the model's scale, from which it counts linearly; positive.
    reduction
        "sum" or "mean", as for every loss.
    """

    delta: float = 1.0

    def check(self) -> None:
        super().check()
        positive = is_number(self.delta, low=0) and self.delta > 0
        require(positive, self, "delta", self.delta, "a positive number")

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        return HuberModule(self, space, output_activation)


class HuberModule(LossModule):
    """Huber's error of each value."""

    def __init__(self, part: Huber, space: Space, output_activation: str) -> None:
        super().__init__(part, space, activation(output_activation))
        self.delta = float(part.delta)

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        output = self.output(raw).float()
        return functional.huber_loss(output, target, reduction="none", delta=self.delta)
