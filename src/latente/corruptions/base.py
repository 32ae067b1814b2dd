"""Corruption: a random change of the input that the network learns to undo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..data.space import Bounds, Shape, Space
from ..errors import ParameterError
from ..parts import Part, is_number, require, resolve
from ..shares import per_row
from . import CORRUPTIONS

Range = float | tuple[float, float]
"""A number, or the lowest and highest of those that are drawn for each sample."""


@dataclass(kw_only=True)
class Corruption(Part, ABC):
    """What the encoder sees instead of the clean input while training.

    ::

        build(space) ──▶ CorruptionModule:   x ──forward──▶ corrupted x̃, while training
                                             x ──present──▶ x̃ as the encoder knows it, at use
    """

    @abstractmethod
    def build(self, space: Space) -> CorruptionModule:
        """Return the module that corrupts samples.

        Parameters
        ----------
        space
            Shape and range of the clean samples in the model's scale.

        Raises
        ------
        ParameterError
            If samples of that shape cannot be corrupted so.
        """

    def keeps_gaps(self) -> bool:
        """Whether NaN in the data stands for what is missing, and is left out of the loss."""
        return False


class CorruptionModule(nn.Module, ABC):
    """Corrupts batches while training, and presents damaged ones at use.

    ::

        x (n, *shape) ──forward──▶ x̃ (n, *seen_shape)      another change at each call
        x (n, *shape) ──present──▶ x̃ (n, *seen_shape)      what is given is taken for damaged

    Parameters
    ----------
    space
        Shape and range of the clean samples.
    seen_shape
        Shape of one sample as the encoder sees it; None where it is that of a clean one.
    """

    def __init__(self, space: Space, seen_shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = space.shape
        self.bounds = space.bounds
        self.seen_shape = space.shape if seen_shape is None else seen_shape

    def begin(self, x: Tensor, generator: Generator) -> None:
        """Look at training samples, (n, *shape), before the first step; nothing is done as it is.

        Parameters
        ----------
        x
            Clean samples in the model's scale, NaN where gaps are kept.
        generator
            Source of random numbers, on the CPU.
        """

    def keeps_gaps(self) -> bool:
        """Whether NaN stands for what is missing."""
        return False

    def is_recordable(self) -> bool:
        """Whether its work can be part of a CUDA graph."""
        return True

    @abstractmethod
    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy of a clean batch.

        Parameters
        ----------
        x
            Clean batch, (n, *shape), in the model's scale.
        generator
            Source of the random numbers, on the batch's device.
        """

    def present(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return a batch that is to be restored as the encoder is used to seeing it.

        Parameters
        ----------
        x
            Damaged batch, (n, *shape).
        mask
            True where values are missing, (n, 1, h, w); only where `takes_mask`.
        """
        return x

    def takes_mask(self) -> bool:
        """Whether `present` can be told which pixels are missing."""
        return False

    def require_mask(self) -> None:
        """Raise `ParameterError` unless `takes_mask`."""
        if not self.takes_mask():
            raise ParameterError(
                "mask: this model was not trained to fill in what is missing; "
                "fit it with corruption='erase'"
            )

    def shows_mask(self) -> bool:
        """Whether the encoder sees the mask, as the last channel of its input."""
        return False

    def missing(self, seen: Tensor) -> Tensor | None:
        """Return where alone a network is to change its input, 0 and 1, or None for everywhere."""
        return seen[:, -1:] if self.shows_mask() else None

    def widened(self, X: Any, shape: Shape) -> Any:
        """Return samples given at use in the shape of the fit's, where the corruption allows less.

        Parameters
        ----------
        X
            An array or tensor, (n, ...).
        shape
            Shape of one sample as given at fit, such as (h, w, 3).
        """
        return X


class Chain(CorruptionModule):
    """Corruptions one after the other; none at all leaves the samples as they are.

    Parameters
    ----------
    corruptions
        In the order in which they are applied.
    space
        Shape and range of the clean samples.

    Raises
    ------
    ParameterError
        If one of them does not apply to what the one before leaves.
    """

    def __init__(self, corruptions: Sequence[Corruption], space: Space) -> None:
        super().__init__(space)
        self.ragged = space.ragged
        self.steps = nn.ModuleList()
        for corruption in corruptions:
            if self.shows_mask():
                raise ParameterError(
                    "corruption: Erase(mask_channel=True) must come last, or the mask would be "
                    "corrupted too"
                )
            if corruption.keeps_gaps() and len(corruptions) > 1:
                raise ParameterError(
                    "corruption: Gaps stands alone, as others cannot leave out what is missing; "
                    "use corruption='gaps', without others beside it"
                )
            step = corruption.build(replace(space, shape=self.seen_shape))
            self.steps.append(step)
            self.seen_shape = step.seen_shape

    def begin(self, x: Tensor, generator: Generator) -> None:
        for step in self._steps():
            step.begin(x, generator)

    def keeps_gaps(self) -> bool:
        return any(step.keeps_gaps() for step in self._steps())

    def is_recordable(self) -> bool:
        return all(step.is_recordable() for step in self._steps())

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        exists = x[..., -1:]
        for step in self.steps:
            x = step(x, generator)
        if self.ragged and len(self.steps):  # where a sequence ends is no value to be corrupted
            x = torch.cat([x[..., :-1] * exists, exists], -1)
        return x

    def present(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            self.require_mask()
        for step in self._steps():
            x = step.present(x, mask if step.takes_mask() else None)
        return x

    def takes_mask(self) -> bool:
        return any(step.takes_mask() for step in self._steps())

    def shows_mask(self) -> bool:
        return any(step.shows_mask() for step in self._steps())

    def missing(self, seen: Tensor) -> Tensor | None:
        # Behind another corruption the rest of the picture is damaged too, and must be changed.
        steps = self._steps()
        return steps[0].missing(seen) if len(steps) == 1 else None

    def widened(self, X: Any, shape: Shape) -> Any:
        for step in self._steps():
            X = step.widened(X, shape)
        return X

    def _steps(self) -> list[CorruptionModule]:
        return [step for step in self.steps if isinstance(step, CorruptionModule)]


def resolve_corruptions(
    spec: str | Corruption | Sequence[str | Corruption] | None,
) -> tuple[Corruption, ...]:
    """Return the corruptions that a name, an object, a sequence of them or None stands for."""
    if spec is None:
        return ()
    if isinstance(spec, str | Corruption):
        spec = [spec]
    if not isinstance(spec, Sequence):
        raise ParameterError(f"corruption={spec!r}: use a name, a part, a list of them, or None")
    return tuple(resolve(item, CORRUPTIONS, "corruption").copy() for item in spec)


def corrupt(
    x: Tensor,
    corruption: str | Corruption | Sequence[str | Corruption] | None,
    generator: Generator,
    bounds: Bounds = None,
) -> Tensor:
    """Return a corrupted copy of a batch, as a network would see it while training.

    Parameters
    ----------
    x
        Clean batch in the model's scale, (n, features) or (n, channels, h, w).
    corruption
        A name, a part, or several of them to be applied one after the other.
    generator
        Source of the random numbers, on the batch's device.
    bounds
        Lowest and highest value of the model's scale, where it has them: (0, 1) for pictures.
    """
    corrupted: Tensor = Chain(
        resolve_corruptions(corruption), Space.of_shape(tuple(x.shape[1:]), bounds=bounds)
    )(x, generator)
    return corrupted


def picture_shape(part: Corruption, space: Space) -> Shape:
    """Return (channels, height, width), or raise `ParameterError` where samples are no pictures."""
    if len(space.shape) != 3:
        raise ParameterError(
            f"corruption: {type(part).__name__} works on pictures, but X has rows of "
            f"{space.shape[0]} values; give arrays (n, h, w) or (n, h, w, c)"
        )
    return space.shape


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


def draw(value: Range, x: Tensor, generator: Generator, axes: int = 4) -> Tensor:
    """Draw a number of a range for each sample of a batch, (n, 1, 1, 1) or with other axes."""
    low, high = ends(value)
    return uniform((len(x), *(1,) * (axes - 1)), x, generator) * (high - low) + low


def level(value: Range, x: Tensor, generator: Generator) -> float | Tensor:
    """Return the number itself, or where it is a range one drawn for each sample, (n, 1, ...)."""
    low, high = ends(value)
    return low if low == high else draw(value, x, generator, x.dim())


def uniform(shape: Shape, x: Tensor, generator: Generator, axis: int = 0) -> Tensor:
    """Draw uniformly from [0, 1) for the rows of a batch, on its device and of its type."""

    def draw(shape: Sequence[int]) -> Tensor:
        return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)

    return per_row(shape, generator, draw, axis)


def normal_like(x: Tensor, generator: Generator, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draw from N(mean, std²) for each value of a batch."""

    def draw(shape: Sequence[int]) -> Tensor:
        return x.new_empty(shape).normal_(mean, std, generator=generator)

    return per_row(x.shape, generator, draw)


def uniform_per_pixel(x: Tensor, generator: Generator) -> Tensor:
    """Draw uniformly from [0, 1) for each value; one for all channels of a pixel."""
    shape = (x.shape[0], 1, *x.shape[2:]) if x.dim() == 4 else tuple(x.shape)
    return uniform(shape, x, generator)
