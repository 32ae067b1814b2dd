"""Contractive: a code that small changes of the input hardly move."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator

from ..data.space import Shape
from ..parts import is_number, is_whole, require
from .base import Bottleneck, BottleneckModule, Cost, Draw, Encoding, Moment


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

    weight: float = 0.1
    probes: int = 1

    def check(self) -> None:
        require(is_number(self.weight, 0), self, "weight", self.weight, "a number of at least 0")
        require(is_whole(self.probes, 1), self, "probes", self.probes, "a whole number from 1")

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return ContractiveModule(code_shape, self)


class ContractiveModule(BottleneckModule):
    """Passes h on and charges for its derivative by the input."""

    def __init__(self, code_shape: Shape, part: Contractive) -> None:
        super().__init__(code_shape)
        self.weight, self.probes = float(part.weight), int(part.probes)

    def is_rowwise(self) -> bool:
        return True

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        norm = encoding.jacobian(moment.generator, self.probes)
        return Draw(encoding.h, {"contraction": Cost(norm, self.weight)})
