"""Corruptions: what the encoder sees in the place of the clean input, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Table

if TYPE_CHECKING:
    from .base import Corruption

CORRUPTIONS: Table[Corruption] = Table(
    "corruptions.base.Corruption",
    gaussian_noise="corruptions.noise.GaussianNoise",
    mask="corruptions.noise.Mask",
    salt_and_pepper="corruptions.noise.SaltAndPepper",
    gaps="corruptions.gaps.Gaps",
    erase="corruptions.erase.Erase",
    watermark="corruptions.watermark.Watermark",
    grayscale="corruptions.optics.Grayscale",
    blur="corruptions.optics.Blur",
    downsample="corruptions.optics.Downsample",
)
