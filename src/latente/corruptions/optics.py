"""Optics: what a poor camera loses of a picture, its colours, its sharpness or its size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..data.space import Shape, Space
from ..errors import ParameterError
from ..parts import is_whole, require
from .base import (
    Corruption,
    CorruptionModule,
    Range,
    draw,
    ends,
    picture_shape,
    require_range,
)

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a picture's brightness (ITU-R BT.601)."""


@dataclass(kw_only=True)
class Grayscale(Corruption):
    """Take the colours away, so that the network learns to give them back.

    ::

        x (n, 3, h, w) ──▶ 0.299 red + 0.587 green + 0.114 blue ──▶ (n, channels, h, w)

    A model fitted so also takes grey pictures, (n, h, w), to be coloured.

    Parameters
    ----------
    channels
        Of what the network sees: 1, or 3 equal ones for a network that wants as many.
    """

    channels: Literal[1, 3] = 1

    def check(self) -> None:
        known = is_whole(self.channels) and self.channels in (1, 3)
        require(known, self, "channels", self.channels, "1 or 3")

    def build(self, space: Space) -> CorruptionModule:
        channels, *_ = picture_shape(self, space)
        if channels != len(LUMA):
            raise ParameterError(
                f"corruption: Grayscale takes the colours away, but X has {channels} "
                f"{'channel' if channels == 1 else 'channels'}; give pictures (n, h, w, 3)"
            )
        return GrayscaleModule(self, space)


class GrayscaleModule(CorruptionModule):
    """Takes the colours away, while training and at use."""

    def __init__(self, part: Grayscale, space: Space) -> None:
        super().__init__(space, (part.channels, *space.shape[1:]))

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        return self.present(x)

    def present(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        red, green, blue = x.unbind(1)
        grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
        return grey[:, None].repeat(1, self.seen_shape[0], 1, 1)

    def widened(self, X: Any, shape: Shape) -> Any:
        if len(getattr(X, "shape", ())) != len(shape):
            return X
        if isinstance(X, Tensor):
            return X[..., None].expand(*X.shape, len(LUMA))
        return np.broadcast_to(np.asarray(X)[..., None], (*X.shape, len(LUMA)))


@dataclass(kw_only=True)
class Blur(Corruption):
    """Blur with a Gaussian, as a lens out of focus does.

    Parameters
    ----------
    std
        Of the Gaussian, in pixels; or the lowest and highest of those drawn, one a picture.
    """

    std: Range = (0.5, 1.5)

    def check(self) -> None:
        require_range(self, "std", 0, math.inf, "a number of at least 0")

    def build(self, space: Space) -> CorruptionModule:
        return BlurModule(self, space)


class BlurModule(CorruptionModule):
    """Blurs each picture by a Gaussian of its own width."""

    def __init__(self, part: Blur, space: Space) -> None:
        picture_shape(part, space)
        super().__init__(space)
        self.std = part.std

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        std = draw(self.std, x, generator)
        reach = math.ceil(3 * ends(self.std)[1])
        offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
        weights = (-0.5 * (offsets / std.clamp(min=1e-3)).square()).softmax(-1)
        return smoothed(smoothed(x, weights, 2), weights, 3)


def smoothed(x: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Return averages of neighbours along an axis; the edge goes on beyond itself.

    Parameters
    ----------
    x
        Shape (n, channels, height, width).
    weights
        Of the neighbours, a row a picture: (n, 1, 1, 2 · reach + 1).
    axis
        2 for rows, 3 for columns.
    """
    reach, length = weights.shape[-1] // 2, x.shape[axis]
    places = torch.arange(length, device=x.device)
    total = torch.zeros_like(x)
    for i in range(weights.shape[-1]):
        neighbours = x.index_select(axis, (places + i - reach).clamp(0, length - 1))
        total = total + weights[..., i : i + 1] * neighbours
    return total


@dataclass(kw_only=True)
class Downsample(Corruption):
    """Average squares of pixels, and enlarge the small picture to the size it had.

    ::

        x (n, c, h, w) ──average──▶ (n, c, ⌈h / factor⌉, ⌈w / factor⌉) ──enlarge──▶ (n, c, h, w)

    Parameters
    ----------
    factor
        Side of the squares, in pixels.
    enlarge
        How the small picture is brought back: "nearest", "bilinear" or "bicubic".
    """

    factor: int = 2
    enlarge: Literal["nearest", "bilinear", "bicubic"] = "bilinear"

    def check(self) -> None:
        require(is_whole(self.factor, 1), self, "factor", self.factor, "a whole number from 1")
        known = self.enlarge in ("nearest", "bilinear", "bicubic")
        require(known, self, "enlarge", self.enlarge, "'nearest', 'bilinear' or 'bicubic'")

    def build(self, space: Space) -> CorruptionModule:
        return DownsampleModule(self, space)


class DownsampleModule(CorruptionModule):
    """Makes pictures smaller and large again."""

    def __init__(self, part: Downsample, space: Space) -> None:
        picture_shape(part, space)
        super().__init__(space)
        self.factor, self.enlarge = int(part.factor), part.enlarge

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        height, width = x.shape[-2:]
        small = functional.avg_pool2d(x, self.factor, ceil_mode=True)
        smooth = {} if self.enlarge == "nearest" else {"align_corners": False}
        size = (small.shape[-2] * self.factor, small.shape[-1] * self.factor)
        large = functional.interpolate(small, size, mode=self.enlarge, **smooth)
        large = large[..., :height, :width]
        return large.contiguous() if self.bounds is None else large.clamp(*self.bounds)
