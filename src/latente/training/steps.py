"""Steps: one update of the weights from one batch."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..bottlenecks.table import Moment
from ..data.batches import Batches
from ..model import Model
from .hardware import autocast
from .plan import Plan


class Stepper(Protocol):
    """Something that updates the weights from a batch."""

    names: tuple[str, ...]
    """Names of the terms; known after the first step."""

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        """Begin an epoch with its random numbers and its clock."""

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        """Take a step on those rows and return the batch mean of each term, shape (terms,)."""


class GradientStep:
    """A gradient step: forward, backward, update."""

    def __init__(
        self, model: Model, optimizer: torch.optim.Optimizer, plan: Plan, device: torch.device
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.clip = plan.gradient_clip
        self.precision = plan.precision
        self.device = device
        self.names: tuple[str, ...] = ()

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        self.moment = Moment(generator, clock)

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        row = self.gradient(batches, index)
        self.optimizer.step()
        return row

    def gradient(self, batches: Batches, index: Tensor) -> Tensor:
        """Leave the batch's gradient in the parameters and return the terms."""
        x, target = batches.take(index)
        with autocast(self.device, self.precision):
            terms = self.model.objective(x, target, self.moment)
        self.names = tuple(terms)
        means = [term.mean() for term in terms.values()]
        means[0].backward()  # type: ignore[no-untyped-call]
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        return torch.stack([mean.detach() for mean in means])


class ClosureStep(GradientStep):
    """A step of an optimiser that asks for the loss of the same batch several times (L-BFGS).

    Every evaluation draws the same random numbers, or the line search would chase noise.
    """

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        drawn = self.moment.generator.get_state()
        first: list[Tensor] = []

        def closure() -> Tensor:
            self.moment.generator.set_state(drawn)
            self.optimizer.zero_grad(set_to_none=True)
            row = self.gradient(batches, index)
            first.append(row)
            return row[0]

        self.optimizer.step(closure)  # type: ignore[arg-type]
        return first[0]
