"""Plain: the code is the encoder's output."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator

from ..data.space import Shape
from .base import Bottleneck, BottleneckModule


@dataclass(kw_only=True)
class Plain(Bottleneck):
    """The code is the encoder's output and costs nothing."""

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return PlainModule(code_shape)


class PlainModule(BottleneckModule):
    """Passes h on."""

    def is_rowwise(self) -> bool:
        return True
