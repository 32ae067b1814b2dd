"""Corruption: what every one of them is asked, and what several of them need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ParameterError
from ..parts import Part, is_number, require

if TYPE_CHECKING:
    from torch import Generator, Tensor

Bounds = tuple[float, float] | None
Range = float | tuple[float, float]
"""A number, or the lowest and highest of those that are drawn for each sample."""
Shape = tuple[int, ...]


@dataclass(kw_only=True)
class Corruption(Part, ABC):
    """A random change of the input, made anew for each batch while training."""

    @abstractmethod
    def __call__(self, x: Tensor, generator: Generator, bounds: Bounds) -> Tensor:
        """Return a corrupted copy of a batch.

        Parameters
        ----------
        x
            Clean batch, shape (n, features) or (n, channels, height, width).
        generator
            Source of the random numbers, on the batch's device.
        bounds
            Lowest and highest value of the model's scale, where it has them: (0, 1) for pictures.
        """

    def seen(self, shape: Shape) -> Shape:
        """Return what one sample's shape becomes: that of what the encoder sees.

        Raises
        ------
        ParameterError
            If samples of that shape cannot be corrupted so.
        """
        return shape

    def present(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return a batch that is given to be restored as the encoder is used to see it.

        Parameters
        ----------
        x
            Damaged batch, of the shape of a clean one.
        mask
            True where values are missing, (n, 1, height, width); None where nothing is told.
        """
        return x


@dataclass(kw_only=True)
class PictureCorruption(Corruption, ABC):
    """A corruption that knows above from below, and so takes pictures only."""

    def seen(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            name = type(self).__name__
            raise ParameterError(
                f"corruption: {name} works on pictures, but X has rows of {shape[0]} values; "
                "give arrays (n, h, w) or (n, h, w, c)"
            )
        return shape


def require_range(part: Part, name: str, low: float, high: float, what: str) -> None:
    """Raise `ParameterError` unless the parameter is a number in there, or two in order."""
    value = getattr(part, name)
    pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    right = len(pair) == 2 and all(is_number(end, low, high) for end in pair)
    right = right and pair[0] <= pair[1]
    require(right, part, name, value, f"{what}, or the lowest and highest of such numbers")


def ends(value: Range) -> tuple[float, float]:
    """Return lowest and highest of a range."""
    low, high = value if isinstance(value, Sequence) else (value, value)
    return float(low), float(high)


def draw(value: Range, x: Tensor, generator: Generator) -> Tensor:
    """Draw a number of a range for each sample of a batch, shape (n, 1, 1, 1)."""
    low, high = ends(value)
    return uniform((len(x), 1, 1, 1), x, generator) * (high - low) + low


def uniform(shape: Shape, x: Tensor, generator: Generator) -> Tensor:
    """Draw uniformly from [0, 1), on the device and of the type of a batch."""
    import torch

    return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)


def uniform_per_pixel(x: Tensor, generator: Generator) -> Tensor:
    """Draw uniformly from [0, 1) for each value; one for all channels of a pixel."""
    shape = (x.shape[0], 1, *x.shape[2:]) if x.dim() == 4 else tuple(x.shape)
    return uniform(shape, x, generator)
