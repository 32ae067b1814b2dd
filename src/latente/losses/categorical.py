"""Categorical: cross-entropy of a choice, for characters, categories and levels of grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.space import Space
from ..errors import ParameterError
from ..parts import is_whole, require
from .base import LEAST_CHANCE, LikelihoodModule, Loss, LossModule
from .gaussian import nats

LEAST_SCALE = math.log(1e-3)
"""Logarithm of the smallest standard deviation of a column of numbers."""

Run = tuple[int, int, bool]
"""Start and stop of columns side by side, and whether they are the categories of one choice."""


@dataclass(kw_only=True)
class Categorical(Loss):
    """Negative log-likelihood of a choice, in nats: softmax and cross-entropy (Bridle, 1990).

    ::

        one-hot columns:  raw (n, ..., d) ──softmax in each group──▶ probabilities (n, ..., d)
        levels=k:         raw (n, k, *shape) ──softmax over k──▶ level of each value (n, *shape)

    Texts, and the categories of a data frame, are groups of columns of which one is 1. A frame's
    other columns are compared by a normal distribution whose standard deviation is learned, one for
    each column, so that the whole stays a likelihood. Values from 0 to 1 can be taken as one of
    ``levels`` steps each (van den Oord et al., 2016, section 2.2), which keeps several likely
    values apart where a mean would blur them.

    Parameters
    ----------
    levels
        Steps from 0 to 1 that each value is rounded to; None for data that come as categories.
    output
        With levels: whether x̂ is the "expected" level or the most "likely" one.
    reduction
        "sum" or "mean", as for every loss.
    """

    levels: int | None = None
    output: Literal["expected", "likely"] = "expected"

    def check(self) -> None:
        super().check()
        right = self.levels is None or is_whole(self.levels, 2)
        require(right, self, "levels", self.levels, "None or a whole number from 2")
        known = self.output in ("expected", "likely")
        require(known, self, "output", self.output, "'expected' or 'likely'")

    def build(self, space: Space, output_activation: str = "auto") -> LossModule:
        if output_activation != "auto":
            raise ParameterError(
                "loss='categorical' has a softmax of its own, so "
                f"output_activation={output_activation!r} cannot be used; use 'auto'"
            )
        if self.levels is None and not space.categories:
            raise ParameterError(
                "loss='categorical' needs texts, or a data frame with columns of categories; for "
                "values from 0 to 1, such as pictures, say how many levels to tell apart: "
                "'categorical(levels=16)'"
            )
        if self.levels is None:
            return ChoiceModule(self, space)
        if space.low < 0 or space.high > 1:
            raise ParameterError(
                f"Categorical(levels={self.levels}) needs values from 0 to 1, but they reach from "
                f"{space.low:.4g} to {space.high:.4g} in the model's scale; use scaling='minmax'"
            )
        return LevelModule(self, space)


class ChoiceModule(LikelihoodModule):
    """Cross-entropy of each group of one-hot columns; a normal distribution of each other column.

    ::

        raw (n, ..., d) ──▶ [softmax(group), number, softmax(group), …] = x̂ (n, ..., d)
    """

    def __init__(self, part: Categorical, space: Space) -> None:
        super().__init__(part, space, nn.Softmax(-1))
        self.runs = runs_of(space.categories, space.shape[-1])
        numbers = sum(stop - start for start, stop, choice in self.runs if not choice)
        self.log_scale = nn.Parameter(torch.zeros(numbers))

    def output(self, raw: Tensor) -> Tensor:
        parts = [raw[..., start:stop].float() for start, stop, _ in self.runs]
        choices = [choice for *_, choice in self.runs]
        return torch.cat(
            [p.softmax(-1) if c else p for p, c in zip(parts, choices, strict=True)], -1
        )

    def inverse(self, x: Tensor) -> Tensor:
        parts = [x[..., start:stop] for start, stop, _ in self.runs]
        choices = [choice for *_, choice in self.runs]
        likely = [
            p.clamp(min=LEAST_CHANCE).log() if c else p for p, c in zip(parts, choices, strict=True)
        ]
        return torch.cat(likely, -1)

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        losses, scales = [], self.log_scale.clamp(min=LEAST_SCALE)
        for start, stop, choice in self.runs:
            part, wanted = raw[..., start:stop].float(), target[..., start:stop]
            if choice:
                losses.append(-wanted * part.log_softmax(-1))
            else:
                scale, scales = scales[: stop - start], scales[stop - start :]
                losses.append(nats(wanted - part, scale))
        return torch.cat(losses, -1)


class LevelModule(LikelihoodModule):
    """Cross-entropy of the level of each value.

    ::

        raw (n, k, *shape) ──softmax──▶ probabilities ──▶ x̂ (n, *shape), expected or most likely
    """

    def __init__(self, part: Categorical, space: Space) -> None:
        levels = int(part.levels or 0)
        super().__init__(part, space, nn.Softmax(1), per_value=levels)
        self.likely = part.output == "likely"

    def output(self, raw: Tensor) -> Tensor:
        top = self.per_value - 1
        if self.likely:
            return raw.argmax(1).float() / top
        levels = torch.arange(self.per_value, device=raw.device) / top
        expected: Tensor = torch.tensordot(raw.float().softmax(1), levels, ([1], [0]))
        return expected

    def inverse(self, x: Tensor) -> Tensor:
        chosen = nn.functional.one_hot(self._level(x), self.per_value).movedim(-1, 1)
        return chosen.float().clamp(min=LEAST_CHANCE).log()

    def values(self, raw: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(raw.float(), self._level(target), reduction="none")

    def _level(self, x: Tensor) -> Tensor:
        """Return the level nearest to each value, in its shape."""
        top = self.per_value - 1
        return (x * top).round().clamp(0, top).long()


def runs_of(categories: Sequence[tuple[int, int]], columns: int) -> list[Run]:
    """Return all columns as runs: the groups, and what lies between them."""
    runs: list[Run] = []
    end = 0
    for start, stop in sorted(categories):
        runs += [(end, start, False)] if start > end else []
        runs.append((start, stop, True))
        end = stop
    return [*runs, (end, columns, False)] if end < columns else runs
