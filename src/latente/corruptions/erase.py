"""Erase: parts of a picture that are not there, as under a tear, a scratch or a finger."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from ..data.space import Space
from ..parts import is_number, is_whole, require
from .base import (
    Corruption,
    CorruptionModule,
    Range,
    draw,
    picture_shape,
    require_range,
    uniform,
)

TURNS = 4
"""Straight pieces of a stroke."""


@dataclass(kw_only=True)
class Erase(Corruption):
    """Erase boxes or free-form strokes at random places (Pathak et al., 2016; Yu et al., 2019).

    Boxes and strokes grow, all at one pace, until the share asked for is covered.

    ::

        x (n, c, h, w) ──▶ erased (n, c, h, w)   or, with the mask, (n, c + 1, h, w)

    Parameters
    ----------
    share
        Of the pixels that are erased, from 0 to 1; or the lowest and highest of those drawn.
    shape
        "boxes", or "strokes" that turn here and there.
    count
        How many of them there are in a picture.
    value
        What erased pixels become, in the model's scale.
    mask_channel
        Whether the network is told what is missing, by one channel more that holds 1 there and 0
        elsewhere. ``reconstruct(X, mask=...)`` then tells it; without a mask nothing is missing. A
        network with ``residual=True`` and no other corruption leaves all other pixels as they are.
    """

    share: Range = 0.25
    shape: Literal["boxes", "strokes"] = "boxes"
    count: int = 4
    value: float = 0.0
    mask_channel: bool = False

    def check(self) -> None:
        require_range(self, "share", 0, 1, "a number from 0 to 1")
        known = isinstance(self.shape, str) and self.shape in SHAPES
        require(known, self, "shape", self.shape, "'boxes' or 'strokes'")
        require(is_whole(self.count, 1), self, "count", self.count, "a whole number from 1")
        require(is_number(self.value), self, "value", self.value, "a finite number")
        right = isinstance(self.mask_channel, bool)
        require(right, self, "mask_channel", self.mask_channel, "True or False")

    def build(self, space: Space) -> CorruptionModule:
        return EraseModule(self, space)


class EraseModule(CorruptionModule):
    """Erases parts of pictures, at random or where a mask says so."""

    def __init__(self, part: Erase, space: Space) -> None:
        channels, height, width = picture_shape(part, space)
        super().__init__(space, (channels + part.mask_channel, height, width))
        self.part = part.copy()

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        distance = SHAPES[self.part.shape](x, int(self.part.count), generator)
        return self._without(x, nearest(distance, draw(self.part.share, x, generator)))

    def present(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            mask = torch.zeros_like(x[:, :1], dtype=torch.bool)
        return self._without(x, mask)

    def takes_mask(self) -> bool:
        return True

    def shows_mask(self) -> bool:
        return self.part.mask_channel

    def _without(self, x: Tensor, mask: Tensor) -> Tensor:
        erased = x.masked_fill(mask, self.part.value)
        return torch.cat([erased, mask.to(x.dtype)], 1) if self.part.mask_channel else erased


def nearest(distance: Tensor, share: Tensor) -> Tensor:
    """Return True at the given share of the pixels: those with the least distance.

    Parameters
    ----------
    distance
        Shape (n, 1, h, w).
    share
        From 0 to 1, shape (n, 1, 1, 1).
    """
    flat = distance.flatten(1)
    wanted = (share.flatten(1) * flat.shape[1]).round().long()
    ordered = flat.sort(1).values
    limit = ordered.gather(1, (wanted - 1).clamp(min=0))
    below, upto = flat < limit, flat <= limit
    # Pixels on one edge of a box may lie at one distance: all are taken or none is.
    excess = upto.sum(1, keepdim=True) - wanted
    chosen = upto.where(excess <= wanted - below.sum(1, keepdim=True), below)
    return (chosen & (wanted > 0)).view_as(distance)


def boxes(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Return how much boxes at random places must grow to reach each pixel, (n, 1, h, w)."""
    rows, columns = grids(x)
    drawn = uniform((len(x), count, 4, 1, 1, 1), x, generator)
    found = torch.full_like(x[:, :1], math.inf)
    for i in range(count):
        across, down, tall, wide = drawn[:, i].unbind(1)
        height, width = 4.0 ** (tall - 0.5), 4.0 ** (wide - 0.5)  # from a half to twice as long
        reached = torch.maximum(
            (rows - down * rows[..., -1:, :]).abs() / height,
            (columns - across * columns[..., -1:]).abs() / width,
        )
        found = torch.minimum(found, reached)
    return found


def strokes(x: Tensor, count: int, generator: Generator) -> Tensor:
    """Return each pixel's distance from the nearest of some bent lines, (n, 1, h, w)."""
    rows, columns = grids(x)
    height, width = x.shape[-2:]
    drawn = uniform((len(x), count, 2 + 2 * TURNS, 1, 1, 1), x, generator)
    found = torch.full_like(x[:, :1], math.inf)
    for i in range(count):
        across, down, *turns = drawn[:, i].unbind(1)
        row, column, angle = down * (height - 1), across * (width - 1), torch.zeros_like(down)
        for turn in range(TURNS):
            angle = angle + (turns[turn] - 0.5) * (2 * math.pi if turn == 0 else 2.5)
            length = (0.1 + 0.3 * turns[TURNS + turn]) * min(height, width)
            to_row = (row + length * torch.sin(angle)).clamp(0, height - 1)
            to_column = (column + length * torch.cos(angle)).clamp(0, width - 1)
            step_row, step_column = to_row - row, to_column - column
            squared = (step_row.square() + step_column.square()).clamp(min=1e-6)
            way = (rows - row) * step_row + (columns - column) * step_column
            way = (way / squared).clamp(0, 1)
            away = torch.hypot(rows - row - way * step_row, columns - column - way * step_column)
            found = torch.minimum(found, away)
            row, column = to_row, to_column
    return found


SHAPES = {"boxes": boxes, "strokes": strokes}


def grids(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of each pixel's row (1, 1, h, 1) and column (1, 1, 1, w)."""
    height, width = x.shape[-2:]
    rows = torch.arange(height, device=x.device, dtype=x.dtype).view(1, 1, -1, 1)
    return rows, torch.arange(width, device=x.device, dtype=x.dtype).view(1, 1, 1, -1)
