"""Finite scalar: each number of the code takes one of a few values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..data.space import Shape
from ..parts import is_whole, require
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encoding,
    Moment,
    perplexity,
    require_alone,
    require_integers,
)
from .frequencies import Frequencies

FEWEST_LEVELS, MOST_LEVELS = 3, 2**12 - 1
"""Fewest and most values of a number. Of two levels, half a step of shift saturates the tanh, and
nothing is learned; a table of frequencies has entries for no more than the most."""
MOMENTUM = 0.1
"""Share of a batch in the running mean and variance."""
EPSILON = 1e-5
"""Added to a variance, so that it can be divided by."""
SLACK = 1e-3
"""Share by which the outermost values are overshot, so that they can be reached."""


@dataclass(kw_only=True)
class FiniteScalar(Bottleneck):
    """Each number of the code is bounded and rounded to one of a few levels (FSQ).

    ::

        h ──▶ tanh(h' + shift) · (L − 1)/2 − offset ──round──▶ steps ──/ ⌊L/2⌋──▶ z in [−1, 1]
        h' = (h − mean) / spread of each channel in the batch; afterwards, of all batches
        dz/dh = that of the bounded number (straight-through)

    After Mentzer, Minnen, Agustsson and Tschannen (2023): a codebook of all combinations of levels,
    with nothing to learn, no cost and no word that is never used. An even number of levels is
    shifted by half a step, so that 0 is one of them. "perplexity" (of the levels' frequencies in a
    batch, averaged over the numbers) and "codebook_use" (share of the levels that occur in it) are
    logged beside the losses.

    Parameters
    ----------
    levels
        How many values a number takes: one whole number for all, or several, which repeat along the
        numbers of a vector code, or along the channels of a spatial one. (8, 5, 5, 5) are 1,000
        combinations, about 10 bits for 4 numbers.
    normalize
        Whether h is first brought to mean 0 and spread 1 (batch normalisation, as Łańcucki et al.,
        2020, do before a codebook). Without it, small initial weights may round every number to 0,
        from which a rectified decoder learns nothing.
    """

    levels: int | Sequence[int] = 8
    normalize: bool = True

    def check(self) -> None:
        several = isinstance(self.levels, Sequence) and not isinstance(self.levels, str)
        good = is_whole(self.levels, FEWEST_LEVELS, MOST_LEVELS) or (
            several
            and len(self.cycle()) > 0
            and all(is_whole(level, FEWEST_LEVELS, MOST_LEVELS) for level in self.cycle())
        )
        right = f"a whole number from {FEWEST_LEVELS} to {MOST_LEVELS}, or several of them"
        require(good, self, "levels", self.levels, right)
        known = isinstance(self.normalize, bool)
        require(known, self, "normalize", self.normalize, "True or False")

    def cycle(self) -> tuple[int, ...]:
        """Return the levels that repeat along the code."""
        return tuple(self.levels) if isinstance(self.levels, Sequence) else (self.levels,)

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        cycle = self.cycle()
        repeated = [int(cycle[i % len(cycle)]) for i in range(code_shape[0])]
        return FiniteScalarModule(code_shape, self, repeated)


class FiniteScalarModule(BottleneckModule):
    """Bounds and rounds h.

    ::

        h (n, channels, *places) ──▶ whole numbers 0 … L − 1 ──▶ z (n, channels, *places)

    Parameters
    ----------
    code_shape
        Of one code.
    part
        The description.
    levels
        How many values each channel takes.
    """

    levels: Tensor
    middle: Tensor
    reach: Tensor
    offset: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, code_shape: Shape, part: FiniteScalar, levels: Sequence[int]) -> None:
        super().__init__(code_shape)
        self.part = part.copy()
        self.most = max(levels)
        each = torch.tensor(levels).view(-1, *(1 for _ in code_shape[1:]))
        reach = (each - 1) * (1 + SLACK) / 2
        offset = 0.5 * (each % 2 == 0)
        constants = {
            "levels": each,
            "middle": each // 2,
            "reach": reach,
            "offset": offset,
            "shift": (offset / reach).atanh(),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("mean", torch.zeros(each.shape))
        self.register_buffer("variance", torch.ones(each.shape))

    def normalized(self, h: Tensor) -> Tensor:
        """Return h with mean 0 and spread 1 in each channel: of a batch, or of those seen."""
        if not self.part.normalize:
            return h
        mean, variance = self.mean, self.variance
        if self.training:
            channels = h.transpose(0, 1).flatten(1)
            mean = channels.mean(1).view_as(self.mean)
            variance = channels.var(1, correction=0).view_as(self.variance)
            self.mean.lerp_(mean.detach(), MOMENTUM)
            self.variance.lerp_(variance.detach(), MOMENTUM)
        return (h - mean) * (variance + EPSILON).rsqrt()

    def bounded(self, h: Tensor) -> Tensor:
        """Return h within the range of the levels, in steps from the middle one."""
        return torch.tanh(self.normalized(h.float()) + self.shift) * self.reach - self.offset

    def code(self, h: Tensor) -> Tensor:
        return self.bounded(h).round() / self.middle

    def nearest(self, z: Tensor) -> Tensor:
        return (self.whole(z) - self.middle) / self.middle

    def whole(self, z: Tensor) -> Tensor:
        """Return codes as whole numbers from 0, in their shape."""
        steps = (z.float() * self.middle).round() + self.middle
        return steps.clamp(min=0).minimum(self.levels - 1.0)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        bounded = self.bounded(encoding.h)
        z = bounded.detach().round() / self.middle
        counts = self.counts(z).float()
        possible = torch.arange(self.most, device=z.device) < self.levels.view(-1, 1)
        use = (counts > 0).sum() / possible.sum()
        costs = {
            "perplexity": Cost(perplexity(counts).mean().expand(len(z)), 0.0),
            "codebook_use": Cost(use.expand(len(z)), 0.0),
        }
        # Exactly z in value, with the gradient of the bounded number.
        return Draw(z + (bounded - bounded.detach()) / self.middle, costs)

    def counts(self, z: Tensor) -> Tensor:
        """Return how often each level of each channel comes in codes, (channels, most levels)."""
        channels = self.code_shape[0]
        values = self.whole(z).transpose(0, 1).reshape(channels, -1).long()
        counts = torch.zeros(channels, self.most, dtype=torch.int64, device=z.device)
        return counts.scatter_add_(1, values, torch.ones_like(values))

    def to_integers(self, z: Tensor) -> Tensor:
        return self.whole(z).flatten(1).long()

    def from_integers(self, integers: Tensor) -> Tensor:
        levels = self.levels.expand(self.code_shape).flatten()
        require_integers(integers, math.prod(self.code_shape), 0, levels - 1)
        return (integers.view(-1, *self.code_shape).float() - self.middle) / self.middle

    def tables(self, z: Tensor) -> Frequencies:
        return Frequencies.counted(self.to_integers(z).cpu().numpy(), self.most)

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        counts = self.counts(self.code(h))
        return {
            "codebook_use": float((counts > 0).sum() / self.levels.sum()),
            "perplexity": float(perplexity(counts.float()).mean()),
        }

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        if len(h) < 2 or bool((self.counts(self.code(h)) > 0).sum(1).max() > 1):
            return None
        return (
            "every number of the codes has one level for all data, so that all codes are the same; "
            "try more levels, or a smaller learning_rate"
        )
