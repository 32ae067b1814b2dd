"""Precision: whether float32 or bf16 trains a model faster, found by trying both."""

from __future__ import annotations

import time
from copy import deepcopy

import torch

from ..data.batches import Batches
from ..data.stream import Stream
from ..model import Model
from .state import Plan
from .steps import GradientStep, build_optimizers

WARM_UP, STEPS = 3, 9
"""Steps in each precision before those that are timed, and those."""
WORTH = 0.9
"""bf16 is taken where its steps take less than this share of float32's."""

_measured: dict[tuple[object, ...], str] = {}


def faster_precision(model: Model, plan: Plan, batches: Batches | Stream) -> str:
    """Return "float32" or "bf16", whichever steps faster; the model itself is left as it is.

    What was found holds for the rest of the process, so that equal fits are trained alike.

    Parameters
    ----------
    model
        On the device it is trained on.
    plan, batches
        How it is trained, and on what.
    """
    shapes = tuple(tuple(p.shape) for p in model.parameters())
    key = (str(model), shapes, plan.batch_size, torch.get_num_threads(), batches.device.type)
    if key not in _measured:
        _measured[key] = _measure(model, plan, batches)
    return _measured[key]


def _measure(model: Model, plan: Plan, batches: Batches | Stream) -> str:
    """Take steps of a copy in either precision, in turn."""
    sample, device = batches.sample, batches.device
    index = torch.arange(min(plan.batch_size, len(sample)), device=device)
    copy = deepcopy(model).train()  # one for both: the weights are float32 in either
    stepper = GradientStep(copy, build_optimizers(copy, plan, device), plan, device)
    stepper.start(torch.Generator(device).manual_seed(0), torch.zeros((), device=device))
    seconds: dict[str, list[float]] = {"float32": [], "bf16": []}
    for _ in range(WARM_UP + STEPS):
        for precision, taken in seconds.items():
            stepper.precision = precision
            begun = time.perf_counter()
            stepper.step(sample, index)
            taken.append(time.perf_counter() - begun)
    # The least time of several is the one that other work on the machine disturbed least.
    float32, bf16 = (min(taken[WARM_UP:]) for taken in seconds.values())
    return "bf16" if bf16 < WORTH * float32 else "float32"
