"""Plan: how to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..optimizers import Optimizer
from ..schedules import Schedule
from .state import Callback


@dataclass(frozen=True)
class Plan:
    """How to train: everything about a fit that is neither data nor model."""

    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    weight_decay: float
    gradient_clip: float | None
    batch_size: int
    epochs: int
    patience: int | None
    precision: str
    seed: int
    verbose: int = 0
    callbacks: Sequence[Callback] = ()
