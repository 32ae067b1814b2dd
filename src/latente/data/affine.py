"""Scaling as modules of a network, so that an exported one takes and gives data as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Scale(nn.Module):
    """From data to the model's scale: ``(x - shift) / span``, float32.

    Parameters
    ----------
    shift, span
        Of a shape that goes with one sample in the model's shape.
    """

    shift: Tensor
    span: Tensor

    def __init__(self, shift: NDArray[Any], span: NDArray[Any]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))
        self.register_buffer("span", torch.tensor(span, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return a batch in the model's scale."""
        return (x.to(torch.float32) - self.shift) / self.span


class Unscale(Scale):
    """From the model's scale to the data's: ``x * span + shift``, float32, not rounded."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a batch in the data's scale."""
        return x * self.span + self.shift
