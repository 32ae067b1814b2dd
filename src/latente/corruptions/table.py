"""The corruptions by name, and several of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ParameterError
from ..parts import resolve
from .base import Bounds, Corruption, Shape
from .erase import Erase
from .noise import GaussianNoise, Mask, SaltAndPepper
from .optics import Blur, Downsample, Grayscale
from .watermark import Watermark

if TYPE_CHECKING:
    from torch import Generator, Tensor

CORRUPTIONS: dict[str, type[Corruption]] = {
    "gaussian_noise": GaussianNoise,
    "mask": Mask,
    "salt_and_pepper": SaltAndPepper,
    "erase": Erase,
    "watermark": Watermark,
    "grayscale": Grayscale,
    "blur": Blur,
    "downsample": Downsample,
}


def resolve_corruptions(
    spec: str | Corruption | Sequence[str | Corruption] | None,
) -> tuple[Corruption, ...]:
    """Return the corruptions that a name, an object, a sequence of them or None stands for."""
    if spec is None:
        return ()
    if isinstance(spec, str | Corruption):
        spec = [spec]
    found = tuple(resolve(item, CORRUPTIONS, "corruption") for item in spec)
    if any(isinstance(part, Erase) and part.mask_channel for part in found[:-1]):
        raise ParameterError(
            "corruption: Erase(mask_channel=True) must come last, or the mask would be spoilt too"
        )
    return found


def corrupt(
    x: Tensor, corruptions: Sequence[Corruption], generator: Generator, bounds: Bounds
) -> Tensor:
    """Apply corruptions one after the other."""
    for corruption in corruptions:
        x = corruption(x, generator, bounds)
    return x


def seen_shape(corruptions: Sequence[Corruption], shape: Shape) -> Shape:
    """Return the shape of what the encoder sees of one sample, once all corruptions are applied.

    Raises
    ------
    ParameterError
        If one of them does not apply to samples of that shape.
    """
    for corruption in corruptions:
        shape = corruption.seen(shape)
    return shape


def present(x: Tensor, corruptions: Sequence[Corruption], mask: Tensor | None) -> Tensor:
    """Return a batch that is given to be restored as the encoder is used to see it."""
    for corruption in corruptions:
        x = corruption.present(x, mask)
    return x
