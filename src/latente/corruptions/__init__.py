"""Corruptions: what the encoder sees instead of the clean input.

::

    x ──corrupt──▶ x̃        while the loss still holds the reconstruction against x

Each works on a batch that is already in the model's scale, draws from the generator it is given,
and returns a new tensor. Most keep the shape; `seen` tells where one does not.
"""

from .base import Bounds, Corruption
from .erase import Erase
from .noise import GaussianNoise, Mask, SaltAndPepper
from .optics import Blur, Downsample, Grayscale
from .table import CORRUPTIONS, corrupt, present, resolve_corruptions, seen_shape
from .watermark import Watermark

__all__ = [
    "CORRUPTIONS",
    "Blur",
    "Bounds",
    "Corruption",
    "Downsample",
    "Erase",
    "GaussianNoise",
    "Grayscale",
    "Mask",
    "SaltAndPepper",
    "Watermark",
    "corrupt",
    "present",
    "resolve_corruptions",
    "seen_shape",
]
