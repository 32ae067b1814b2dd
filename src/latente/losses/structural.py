"""Structural: how alike pictures look around each pixel, beside the absolute error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.space import Space
from ..errors import ParameterError
from ..networks.layers import activation
from ..parts import is_number, require
from .base import Loss, LossModule

REACH, SPREAD = 5, 1.5
"""Half the side of the Gaussian window and its standard deviation (Wang et al., 2004)."""
STABILISERS = (0.01, 0.03)
"""K1 and K2: constants that keep ratios of small means and of small variances finite."""


@dataclass(kw_only=True)
class Structural(Loss):
    """Structural similarity and absolute error: sharper pictures than the squared error's.

    ::

        Σ  weight · (1 − SSIM) + (1 − weight) · |x − x̂| / span        over pixels and channels

    SSIM compares mean, contrast and structure in a window around each pixel (Wang et al., 2004);
    the mixture is that of Zhao et al. (2017). Pictures only.

    Parameters
    ----------
    weight
        Share of the similarity, from 0 to 1.
    reduction
        "sum" or "mean", as for every loss.
    """

    weight: float = 0.5

    def check(self) -> None:
        super().check()
        right = is_number(self.weight, 0, 1)
        require(right, self, "weight", self.weight, "a number from 0 to 1")

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        require_pictures("structural", space)
        return StructuralModule(self, space, output_activation)


class StructuralModule(LossModule):
    """Dissimilarity and absolute error at each value."""

    down: Tensor
    across: Tensor

    def __init__(self, part: Structural, space: Space, output_activation: str) -> None:
        super().__init__(part, space, activation(output_activation))
        low, high = space.bounds or (space.low, space.high)
        self.weight, self.span = float(part.weight), max(high - low, 1e-6)
        _channels, height, width = space.shape
        self.register_buffer("down", averages(height), persistent=False)
        self.register_buffer("across", averages(width), persistent=False)

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        output = self.output(raw).float() / self.span
        target = target / self.span
        unlike = 1 - similarity(output, target, self.down, self.across)
        return self.weight * unlike + (1 - self.weight) * (output - target).abs()


def similarity(x: Tensor, y: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Return the structural similarity at each pixel of pictures whose values span 1.

    Parameters
    ----------
    x, y
        Shape (n, c, h, w).
    down, across
        As `averages` returns them for h and w.
    """
    first, second = (k**2 for k in STABILISERS)
    planes = torch.stack([x, y, x * x, y * y, x * y])
    with torch.autocast(x.device.type, enabled=False):  # a variance is a small difference
        mean_x, mean_y, square_x, square_y, product = down @ planes @ across.T
    variances = (square_x - mean_x**2) + (square_y - mean_y**2)
    contrast = (2 * (product - mean_x * mean_y) + second) / (variances + second)
    light = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    alike: Tensor = light * contrast
    return alike


def averages(n: int) -> Tensor:
    """Return the matrix (n, n) that takes n values to the weighted means of their neighbourhoods.

    Beyond the ends the values go on as at the ends. On planes of some hundred pixels a side, two
    products with such matrices are many times faster than a convolution with its gradient.
    """
    places, matrix = torch.arange(n), torch.zeros(n, n)
    offsets = torch.arange(-REACH, REACH + 1)
    for offset, weight in zip(
        offsets, (-0.5 * (offsets / SPREAD).square()).softmax(0), strict=True
    ):
        neighbours = (places + offset).clamp(0, n - 1)
        matrix.index_put_((places, neighbours), weight.expand(n), accumulate=True)
    return matrix


def require_pictures(name: str, space: Space, channels: int | None = None) -> None:
    """Raise `ParameterError` unless samples are pictures, of so many channels where given."""
    if space.layout != "pictures":
        raise ParameterError(
            f"loss={name!r} compares pictures, but the targets are {space.layout}; use "
            "loss='squared', or give pictures (n, h, w)"
        )
    if channels is not None and space.shape[0] != channels:
        raise ParameterError(
            f"loss={name!r} needs pictures of {channels} channels, red, green and blue, but these "
            f"have {space.shape[0]}; give (n, h, w, {channels})"
        )
