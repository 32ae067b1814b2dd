"""Whole steps as CUDA graphs: recorded once, then replayed with one launch.

A small network's step is dozens of kernels of a few microseconds each; launching them one by one
from Python costs more than running them. Recording needs everything at fixed addresses: the row
index is copied into a fixed buffer, and gradients, optimiser state and terms stay where they are.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..data.batches import Batches
from ..model import Model
from .state import Plan
from .steps import GradientStep, Optimizers

EAGER = 5
"""Steps taken without a graph first, so that the optimiser's state and cuDNN's choices exist."""


Replay = Callable[[], None]


def record(step: Callable[[], None], generator: torch.Generator) -> Replay:
    """Record what a function launches on the current CUDA device, without computing it.

    Parameters
    ----------
    step
        Works on tensors that stay where they are.
    generator
        The one it draws from; every replay goes on from its state.

    Returns
    -------
    callable
        Launches the recorded kernels once more.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    torch.cuda.synchronize(generator.device)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class GraphStep(GradientStep):
    """A gradient step that is replayed from a CUDA graph for every batch of the full size.

    Batches of another size (the last of an epoch), and models that cannot be recorded, are stepped
    as `GradientStep` does.
    """

    def __init__(
        self,
        model: Model,
        optimizers: Optimizers,
        plan: Plan,
        device: torch.device,
        record: Callable[[Callable[[], None], torch.Generator], Replay] = record,
    ) -> None:
        super().__init__(model, optimizers, plan, device)
        self.size = plan.batch_size
        self.eager = EAGER if all(is_recordable(o, plan) for o in optimizers) else None
        self.record = record
        # The graph knows one generator by its address: it takes over each epoch's seed.
        self.generator = torch.Generator(device)
        self.replay: Replay | None = None

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        self.generator.manual_seed(generator.initial_seed())
        super().start(self.generator, clock)

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        if self.eager is None or len(index) != self.size:
            return super().step(batches, index)
        if self.eager > 0:
            self.eager -= 1
            self.row = super().step(batches, index)
            return self.row.clone()
        if self.replay is None:
            self.index = index.clone()
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            self.replay = self.record(lambda: self._recorded(batches), self.generator)
        self.index.copy_(index)
        self.replay()
        return self.row.clone()

    def _recorded(self, batches: Batches) -> None:
        x, target = batches.take(self.index)
        terms: dict[str, Tensor] = {}
        for number, optimizer in enumerate(self.optimizers):
            terms |= self.gradient(number, x, target, lambda term: batches.mean(term, self.index))
            optimizer.step()
        self.row.copy_(self.reported(terms))


def is_recordable(optimizer: torch.optim.Optimizer, plan: Plan) -> bool:
    """Whether a step holds nothing that differs from one replay to the next.

    The rate is a number in Python for most optimisers, so a schedule that moves it would be frozen
    into the graph.
    """
    from ..schedules import Constant

    capturable = all(group.get("capturable", False) for group in optimizer.param_groups)
    moves = not isinstance(plan.schedule, Constant)
    tensors = all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)
    return capturable and (not moves or tensors)
