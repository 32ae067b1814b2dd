"""Watermark: a text or a picture laid over another, half transparent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from ..data.space import Space
from ..parts import require
from .base import (
    Corruption,
    CorruptionModule,
    Range,
    draw,
    ends,
    picture_shape,
    require_range,
    uniform,
)

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST = 8
"""Width at least in which a mark is drawn, in pixels; it is made smaller afterwards."""


@dataclass(kw_only=True)
class Watermark(Corruption):
    """Lay a half-transparent text or picture over each picture, at a random place.

    ::

        x ──▶ (1 − α) x + α mark        α = opacity where the mark is, 0 elsewhere

    Parameters
    ----------
    text
        What is written.
    picture
        A picture file to lay on instead of the text, with its own colours and transparency; it is
        needed while training only.
    scale
        Width of the mark as a share of the picture's, or the lowest and highest of those drawn. A
        mark higher than the picture is made to fit.
    opacity
        From 0 to 1, or the lowest and highest of those drawn.
    shade
        Of the text, from 0 for black to 1 for white, or the lowest and highest of those drawn.
    """

    text: str = "SAMPLE"
    picture: str | None = None
    scale: Range = (0.5, 0.9)
    opacity: Range = (0.3, 0.7)
    shade: Range = 1.0

    def check(self) -> None:
        written = isinstance(self.text, str) and bool(self.text.strip())
        require(written, self, "text", self.text, "some text that can be seen")
        named = self.picture is None or (isinstance(self.picture, str) and bool(self.picture))
        require(named, self, "picture", self.picture, "the path of a picture, or None")
        require_range(self, "scale", 0.01, 1, "a number from 0.01 to 1")
        require_range(self, "opacity", 0, 1, "a number from 0 to 1")
        require_range(self, "shade", 0, 1, "a number from 0 to 1")

    def build(self, space: Space) -> CorruptionModule:
        return WatermarkModule(self, space)


class WatermarkModule(CorruptionModule):
    """Lays the mark over each picture at a place, size and opacity of its own."""

    def __init__(self, part: Watermark, space: Space) -> None:
        picture_shape(part, space)
        super().__init__(space)
        self.part = part.copy()

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        part = self.part
        width = max(math.ceil(ends(part.scale)[1] * x.shape[-1]), LEAST)
        mark = stencil(part.text, part.picture, width, x.device)
        laid = placed(mark, draw(part.scale, x, generator), x, generator)
        alpha = laid[:, 3:] * draw(part.opacity, x, generator)
        colours = draw(part.shade, x, generator)
        if part.picture is not None:
            colours = laid[:, :3] if x.shape[1] == 3 else laid[:, :3].mean(1, keepdim=True)
        low, high = self.bounds or (0.0, 1.0)
        return x + alpha * (low + (high - low) * colours - x)


def placed(mark: Tensor, scale: Tensor, x: Tensor, generator: Generator) -> Tensor:
    """Return a mark at a random place of each picture, wholly inside.

    Parameters
    ----------
    mark
        Red, green, blue and opacity, (1, 4, height, width).
    scale
        Its width as a share of the picture's, (n, 1, 1, 1).
    x
        The pictures.
    generator
        Source of the places.

    Returns
    -------
    Tensor
        Shape (n, 4, height, width), 0 outside the mark.
    """
    height, width = x.shape[-2:]
    slope = mark.shape[-2] / mark.shape[-1] * width / height
    wide = scale.flatten().clamp(max=1 / slope)
    tall = wide * slope
    across, down = (2 * uniform((2, len(x)), x, generator, axis=1) - 1).unbind(0)
    zero = torch.zeros_like(wide)
    moves = torch.stack(
        [
            torch.stack([1 / wide, zero, -across * (1 - wide) / wide], 1),
            torch.stack([zero, 1 / tall, -down * (1 - tall) / tall], 1),
        ],
        1,
    )
    grid = functional.affine_grid(moves, [len(x), 4, height, width], align_corners=False)
    marks = mark.to(x.dtype).expand(len(x), -1, -1, -1)
    return functional.grid_sample(marks, grid, align_corners=False)


@lru_cache(maxsize=8)
def stencil(text: str, picture: str | None, width: int, device: torch.device) -> Tensor:
    """Return a mark as wide as that: red, green, blue and opacity, (1, 4, height, width)."""
    from PIL.Image import Resampling

    image = written(text) if picture is None else read(Path(picture))
    height = max(round(width * image.height / image.width), 1)
    small = np.asarray(image.resize((width, height), Resampling.LANCZOS), dtype=np.float32)
    return torch.from_numpy(small / 255).movedim(2, 0)[None].to(device)


def written(text: str) -> Image:
    """Return a text in white on nothing, cut to its ink."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(64)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font=font
    )
    size = (max(math.ceil(right - left), 1), max(math.ceil(bottom - top), 1))
    ink = Image.new("L", size)
    ImageDraw.Draw(ink).multiline_text((-left, -top), text, fill=255, font=font)
    image = Image.new("RGBA", size, "white")
    image.putalpha(ink)
    return image


def read(path: Path) -> Image:
    """Return a picture with its transparency."""
    from ..data.pictures import opened

    with opened(path.expanduser()) as image:
        return image.convert("RGBA")
