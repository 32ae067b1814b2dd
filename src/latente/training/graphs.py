"""Whole steps as CUDA graphs: recorded once, then replayed with one launch.

A small network's step is dozens of kernels of a few microseconds each; launching them one by one
from Python costs more than running them. Recording needs everything at fixed addresses: the row
index is copied into a fixed buffer, and gradients, optimiser state and terms stay where they are.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..data.batches import Batches
from ..model.bottlenecks import Moment
from ..model.module import Model
from .plan import Plan
from .steps import GradientStep

EAGER = 5
"""Steps taken without a graph first, so that the optimiser's state and cuDNN's choices exist."""


class GraphStep(GradientStep):
    """A gradient step that is replayed from a CUDA graph for every batch of the full size.

    Batches of another size (the last of an epoch), and models that cannot be recorded, are stepped
    as `GradientStep` does.
    """

    def __init__(
        self, model: Model, optimizer: torch.optim.Optimizer, plan: Plan, device: torch.device
    ) -> None:
        super().__init__(model, optimizer, plan, device)
        self.size = plan.batch_size
        self.taken = 0
        self.recordable = is_recordable(optimizer, plan)
        self.generator: torch.Generator | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def start(self, generator: torch.Generator, clock: Tensor) -> None:
        if self.generator is None:
            self.generator = torch.Generator(self.device)
        # The graph knows one generator by address: it takes over each epoch's seed.
        self.generator.manual_seed(generator.initial_seed())
        self.moment = Moment(self.generator, clock)

    def step(self, batches: Batches, index: Tensor) -> Tensor:
        self.taken += 1
        if not self.recordable or len(index) != self.size or self.taken <= EAGER:
            return super().step(batches, index)
        if self.graph is None:
            self.record(batches, index)
        assert self.graph is not None
        self.index.copy_(index)
        self.graph.replay()
        return self.row.clone()

    def record(self, batches: Batches, index: Tensor) -> None:
        """Record one step; nothing is computed while recording."""
        self.index = index.clone()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.moment.generator)
        torch.cuda.synchronize(self.device)
        with torch.cuda.graph(graph):
            self.row = self.gradient(batches, self.index)
            self.optimizer.step()
        self.graph = graph


def is_recordable(optimizer: torch.optim.Optimizer, plan: Plan) -> bool:
    """Whether a step holds nothing that differs from one replay to the next.

    The rate is a number in Python for most optimisers, so a schedule that moves it would be frozen
    into the graph.
    """
    from .schedules import Constant

    capturable = all(group.get("capturable", False) for group in optimizer.param_groups)
    moves = not isinstance(plan.schedule, Constant)
    tensors = all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)
    return capturable and (not moves or tensors)
