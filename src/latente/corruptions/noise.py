"""Noise: each value, or each pixel, is changed by itself.

How much noise there is can be one number for all samples, or the lowest and highest of those that
are drawn for each sample: a network that has seen a range of levels need not be told the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from ..data.space import Space
from ..parts import is_number, require
from .base import (
    Corruption,
    CorruptionModule,
    Range,
    ends,
    level,
    normal_like,
    require_range,
    uniform_per_pixel,
)

SHARE = "a number from 0 to 1"


@dataclass(kw_only=True)
class GaussianNoise(Corruption):
    """Add normal noise to every value, as in Vincent et al. (2010), section 3.3.

    Parameters
    ----------
    mean, std
        Of the noise, in the model's scale: pictures lie in [0, 1], columns have unit variance. A
        range of standard deviations, (low, high), draws one for each sample.
    clip
        Whether to clip the result to the model's scale; "auto" clips where the scale has bounds.
    """

    mean: float = 0.0
    std: Range = 0.1
    clip: bool | Literal["auto"] = "auto"

    def check(self) -> None:
        require(is_number(self.mean), self, "mean", self.mean, "a finite number")
        require_range(self, "std", 0, math.inf, "a number of at least 0")
        require(
            isinstance(self.clip, bool) or self.clip == "auto",
            self,
            "clip",
            self.clip,
            "True, False or 'auto'",
        )

    def build(self, space: Space) -> CorruptionModule:
        return GaussianNoiseModule(self, space)


class GaussianNoiseModule(CorruptionModule):
    """Adds normal noise."""

    def __init__(self, part: GaussianNoise, space: Space) -> None:
        super().__init__(space)
        self.mean, self.std = float(part.mean), ends(part.std)
        always = (0.0, 1.0) if part.clip is True else None
        self.clip = (self.bounds or always) if part.clip else None

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        std = level(self.std, x, generator)
        if isinstance(std, float):
            noisy = normal_like(x, generator, self.mean, std).add_(x)
        else:
            noise = normal_like(x, generator)
            noisy = noise.mul_(std).add_(self.mean).add_(x)
        return noisy if self.clip is None else noisy.clamp_(*self.clip)


@dataclass(kw_only=True)
class Mask(Corruption):
    """Set a random share of the values to a constant, as in Vincent et al. (2008).

    A pixel of a colour picture is masked in all its channels at once.

    Parameters
    ----------
    rate
        Share of the values that is masked, from 0 to 1; a range, (low, high), draws one for each
        sample.
    value
        What masked values become, in the model's scale.
    """

    rate: Range = 0.25
    value: float = 0.0

    def check(self) -> None:
        require_range(self, "rate", 0, 1, SHARE)
        require(is_number(self.value), self, "value", self.value, "a finite number")

    def build(self, space: Space) -> CorruptionModule:
        return MaskModule(self, space)


class MaskModule(CorruptionModule):
    """Sets values to a constant."""

    def __init__(self, part: Mask, space: Space) -> None:
        super().__init__(space)
        self.rate, self.value = ends(part.rate), float(part.value)

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        rate = level(self.rate, x, generator)
        return x.masked_fill(uniform_per_pixel(x, generator) < rate, self.value)


@dataclass(kw_only=True)
class SaltAndPepper(Corruption):
    """Set a random share of the values to the lowest or the highest, with equal chance.

    A pixel of a colour picture is changed in all its channels at once.

    Parameters
    ----------
    rate
        Share of the values that is changed, from 0 to 1; a range, (low, high), draws one for each
        sample.
    low, high
        The two values; by default the bounds of the model's scale, or the batch's own extremes
        where the scale has none.
    """

    rate: Range = 0.1
    low: float | None = None
    high: float | None = None

    def check(self) -> None:
        require_range(self, "rate", 0, 1, SHARE)
        for name in ("low", "high"):
            value = getattr(self, name)
            require(value is None or is_number(value), self, name, value, "a finite number or None")

    def build(self, space: Space) -> CorruptionModule:
        return SaltAndPepperModule(self, space)


class SaltAndPepperModule(CorruptionModule):
    """Sets values to the lowest or the highest."""

    def __init__(self, part: SaltAndPepper, space: Space) -> None:
        super().__init__(space)
        self.rate, self.low, self.high = ends(part.rate), part.low, part.high

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        rate = level(self.rate, x, generator)
        drawn = uniform_per_pixel(x, generator)
        low, high = self.bounds if self.bounds is not None else (x.amin(), x.amax())
        pepper = torch.as_tensor(low if self.low is None else self.low, dtype=x.dtype).to(x.device)
        salt = torch.as_tensor(high if self.high is None else self.high, dtype=x.dtype).to(x.device)
        return torch.where(drawn < rate / 2, pepper, torch.where(drawn > 1 - rate / 2, salt, x))
