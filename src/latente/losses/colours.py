"""Colours: which of some tints each pixel has, rare tints counted as much as common ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data.space import Space
from ..errors import ParameterError
from ..parts import is_number, is_whole, require
from .base import LEAST_CHANCE, Loss, LossModule
from .structural import require_pictures

CHANNELS = 3
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a picture's brightness (ITU-R BT.601)."""
PALEST = 0.3
"""Distance from grey, in the plane of blue and red less brightness, of the strongest tints."""
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
BRIGHTNESS = 0.03
"""Standard deviation with which brightness is compared."""
MEMORY = 0.99
"""Share of the tints' frequencies that a batch leaves as they were."""


@dataclass(kw_only=True)
class Colours(Loss):
    """Cross-entropy of each pixel's tint, for pictures that get their colours back.

    ::

        raw (n, k, 3, h, w) ──▶ brightness, and a score for each tint ──▶ x̂ (n, 3, h, w)

    The squared error asks for the mean of all colours that a grey may have had, which is a pale
    brown. Here colours are a choice among tints (Zhang et al., 2016): those that are rare count as
    much as those that are common, and x̂ has the mean of the likely ones. The tints lie on a
    spiral that fills the plane of blue and red less brightness evenly.

    Parameters
    ----------
    tints
        How many, at least 5.
    balance
        From 0, where each pixel counts alike, to 1, where each tint counts alike.
    temperature
        Above 0 to 1; at 1, x̂ has the mean of all tints by their probability, near 0 the most
        likely one.
    reduction
        "sum" or "mean", as for every loss.
    """

    tints: int = 71
    balance: float = 0.5
    temperature: float = 0.4

    def check(self) -> None:
        super().check()
        right = is_whole(self.tints, 5)
        require(right, self, "tints", self.tints, "a whole number from 5")
        right = is_number(self.balance, 0, 1)
        require(right, self, "balance", self.balance, "a number from 0 to 1")
        right = is_number(self.temperature, 0, 1) and self.temperature > 0
        require(right, self, "temperature", self.temperature, "a number above 0 to 1")

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        require_pictures("colours", space, CHANNELS)
        if output_activation != "auto":
            raise ParameterError(
                "loss='colours' has a softmax of its own, so "
                f"output_activation={output_activation!r} cannot be used; use 'auto'"
            )
        if space.low < 0 or space.high > 1:
            raise ParameterError(
                f"loss='colours' needs values from 0 to 1, but they reach from {space.low:.4g} to "
                f"{space.high:.4g} in the model's scale; use scaling='unit'"
            )
        return ColoursModule(self, space)


class ColoursModule(LossModule):
    """Squared error of the brightness, and cross-entropy of the tint, of each pixel.

    ::

        raw (n, k, 3, h, w) ──flatten──▶ brightness (n, 1, h, w), scores (n, tints, h, w), the
        rest is not used
    """

    places: Tensor
    frequency: Tensor

    def __init__(self, part: Colours, space: Space) -> None:
        tints = int(part.tints)
        super().__init__(part, space, nn.Identity(), per_value=math.ceil((tints + 1) / CHANNELS))
        self.balance, self.temperature = float(part.balance), float(part.temperature)
        self.register_buffer("places", spiral(tints), persistent=False)
        self.register_buffer("frequency", torch.full((tints,), 1 / tints))
        self.softness = 2 * (0.5 * PALEST * math.sqrt(math.pi / tints)) ** 2

    def output(self, raw: Tensor) -> Tensor:
        brightness, scores = self._parts(raw)
        chances = (scores / self.temperature).softmax(1)
        with torch.autocast(raw.device.type, enabled=False):
            tint = torch.einsum("nkhw,kc->nchw", chances, self.places)
        return painted(brightness, tint)

    def inverse(self, x: Tensor) -> Tensor:
        brightness, tint = separated(x)
        scores = self._memberships(tint).clamp(min=LEAST_CHANCE).log()
        raw = torch.cat([brightness, scores], 1)
        spare = self.per_value * CHANNELS - raw.shape[1]
        raw = nn.functional.pad(raw, (0, 0, 0, 0, 0, spare))
        return raw.view(len(x), self.per_value, CHANNELS, *x.shape[2:])

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        brightness, scores = self._parts(raw)
        wanted, tint = separated(target)
        shares = self._memberships(tint)
        if self.training and torch.is_grad_enabled():
            self._remember(self.mean_of_rows(shares.mean((0, 2, 3))))
        light = ((brightness - wanted) / BRIGHTNESS).square() / 2
        weight = (shares * self._weights()[:, None, None]).sum(1, keepdim=True)
        choice = -(shares * scores.log_softmax(1)).sum(1, keepdim=True) * weight
        return torch.cat([light, choice / 2, choice / 2], 1)

    def _parts(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return brightness and scores of the tints."""
        flat = raw.float().flatten(1, 2)
        return flat[:, :1], flat[:, 1 : 1 + len(self.places)]

    def _memberships(self, tint: Tensor) -> Tensor:
        """Return how much each pixel belongs to each tint, (n, tints, h, w), adding up to 1."""
        apart = (tint[:, None] - self.places[:, :, None, None]).square().sum(2)
        return (-apart / self.softness).softmax(1)

    def _weights(self) -> Tensor:
        """Return how much each tint counts, 1 on average over the pixels (Zhang et al., eq. 4)."""
        even = 1 / len(self.frequency)
        weights = 1 / ((1 - self.balance) * even + self.balance * self.frequency)
        return weights / (weights * self.frequency).sum()

    @torch.no_grad()
    def _remember(self, shares: Tensor) -> None:
        self.frequency.lerp_(shares, 1 - MEMORY)


def spiral(n: int) -> Tensor:
    """Return n places that fill a disc evenly, the first at its middle, (n, 2) (Vogel, 1979)."""
    k = torch.arange(n, dtype=torch.float32)
    radius, angle = PALEST * (k / (n - 1)).sqrt(), k * GOLDEN_ANGLE
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def separated(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return brightness (n, 1, h, w), and blue and red less brightness (n, 2, h, w)."""
    red, green, blue = x.float().unbind(1)
    brightness = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    tint = [(blue - brightness) / (2 - 2 * LUMA[2]), (red - brightness) / (2 - 2 * LUMA[0])]
    return brightness[:, None], torch.stack(tint, 1)


def painted(brightness: Tensor, tint: Tensor) -> Tensor:
    """Return the pictures that `separated` came from, kept from 0 to 1."""
    grey = brightness[:, 0]
    blue = grey + (2 - 2 * LUMA[2]) * tint[:, 0]
    red = grey + (2 - 2 * LUMA[0]) * tint[:, 1]
    green = (grey - LUMA[0] * red - LUMA[2] * blue) / LUMA[1]
    return torch.stack([red, green, blue], 1).clamp(0, 1)
