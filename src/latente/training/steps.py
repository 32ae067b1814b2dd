"""Steps: one update of the weights from one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..bottlenecks.base import Moment
from ..data.batches import Batches
from ..model import Model
from ..shares import share_of
from .distributed import ALONE, GradientSum, Processes
from .hardware import autocast
from .state import Plan

Optimizers = Sequence[torch.optim.Optimizer]
Mean = Callable[[Tensor], Tensor]
"""From a term of each row of a batch to its mean."""


def build_optimizers(model: Model, plan: Plan, device: torch.device) -> Optimizers:
    """Return an optimiser for each of the model's groups of parameters, in their order."""
    return [
        plan.optimizer.build(
            group.parameters,
            plan.learning_rate if group.learning_rate is None else group.learning_rate,
            plan.weight_decay,
            device,
        )
        for group in model.groups()
    ]


class Stepper(Protocol):
    """Something that updates the weights from a batch."""

    names: tuple[str, ...]
    """Names of the terms; known after the first step."""

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        """Begin an epoch with its random numbers and its clock."""

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        """Take a step on those rows and return the batch mean of each term, shape (terms,)."""


class GradientStep:
    """A gradient step of each group of parameters: forward, backward, update.

    Parameters
    ----------
    model
        On the device.
    optimizers
        One for each of the model's groups, in their order.
    plan, device
        How and where to train.
    processes
        Those that share every batch.
    """

    def __init__(
        self,
        model: Model,
        optimizers: Optimizers,
        plan: Plan,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.model = model
        self.groups = model.groups()
        self.sums = [GradientSum(processes, group.parameters) for group in self.groups]
        self.optimizers = optimizers
        self.clip = plan.gradient_clip
        self.precision = plan.precision
        self.device = device
        self.names: tuple[str, ...] = ()

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        self.moment = Moment(generator, clock)
        self.model.network.seed(generator)

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        x, target = batches.take(index)
        terms: dict[str, Tensor] = {}
        for number, optimizer in enumerate(self.optimizers):
            optimizer.zero_grad(set_to_none=True)
            terms |= self.gradient(number, x, target, lambda term: batches.mean(term, index))
            optimizer.step()
        return self.reported(terms)

    def gradient(self, number: int, x: Tensor, target: Tensor, mean: Mean) -> dict[str, Tensor]:
        """Leave a batch's gradient in a group's parameters and return the mean of each term."""
        group = self.groups[number]
        with autocast(self.device, self.precision):
            terms = group.objective(x, target, self.moment)
        means = {name: mean(term) for name, term in terms.items()}
        share = share_of(self.moment.generator)
        if share is not None:
            means = {name: share.weight * mean for name, mean in means.items()}
        means = self.sums[number].backward(means)
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(group.parameters, self.clip)
        return means

    def reported(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the means of the terms as one tensor, their names kept."""
        self.names = tuple(terms)
        return torch.stack(list(terms.values()))


class ClosureStep(GradientStep):
    """A step of an optimiser that asks for the loss of the same batch several times (L-BFGS).

    Every evaluation draws the same random numbers, or the line search would chase noise.
    """

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        x, target = batches.take(index)
        drawn = self.moment.generator.get_state()
        (optimizer,) = self.optimizers
        first: list[Tensor] = []

        def closure() -> Tensor:
            self.moment.generator.set_state(drawn)
            optimizer.zero_grad(set_to_none=True)
            terms = self.gradient(0, x, target, lambda term: batches.mean(term, index))
            row = self.reported(terms)
            first.append(row)
            return row[0]

        optimizer.step(closure)  # type: ignore[arg-type]
        return first[0]
