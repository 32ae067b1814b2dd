"""Sparse: few numbers of the code are active."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator

from ..data.space import Shape
from ..parts import is_number, require
from .base import Bottleneck, BottleneckModule, Cost, Draw, Encoding, Moment


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

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return SparseModule(code_shape, float(self.weight))


class SparseModule(BottleneckModule):
    """Passes h on and charges for its absolute values.

    Parameters
    ----------
    code_shape
        Of one code.
    weight
        Price of one unit of absolute code.
    """

    def __init__(self, code_shape: Shape, weight: float) -> None:
        super().__init__(code_shape)
        self.weight = weight

    def is_rowwise(self) -> bool:
        return True

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        sparsity = encoding.h.float().abs().flatten(1).sum(1)
        return Draw(encoding.h, {"sparsity": Cost(sparsity, self.weight)})
