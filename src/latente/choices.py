"""Choices: what "auto" stands for, decided from the data and readable after a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .bottlenecks.table import Bottleneck
from .errors import ParameterError
from .losses import LOSSES, Loss
from .networks.table import NETWORKS
from .parts import is_number, is_whole, resolve

if TYPE_CHECKING:
    from .data.preparation import Preparation
    from .networks.base import Network
    from .optimizers import Optimizer

SMALL_PICTURE = 32
"""Pictures with both sides below this go through dense layers by default: fast, and as good."""
PATIENCE = 30
"""Epochs without a lower validation loss after which a fit of "auto" epochs ends."""
UPDATES = 8_000
"""Updates that a fit of "auto" epochs aims at."""


def choose_network(spec: Any, shape: tuple[int, ...]) -> Network:
    """Return the network: dense for rows and small pictures, convolutional for larger ones."""
    from .networks.custom import Modules

    if isinstance(spec, Modules):
        return spec
    if isinstance(spec, tuple | list) and len(spec) == 2:
        return Modules(encoder=spec[0], decoder=spec[1])
    if isinstance(spec, str) and spec == "auto":
        large = len(shape) == 3 and min(shape[1:]) >= SMALL_PICTURE
        return NETWORKS["conv" if large else "dense"]()
    found: Network = resolve(spec, NETWORKS, "network")
    return found


def choose_loss(spec: str | Loss, bottleneck: Bottleneck, wanted: Preparation) -> Loss:
    """Return the loss.

    "auto" is "bernoulli" for binary targets, and for variational models of targets in [0, 1];
    "gaussian" for other variational models; "squared" otherwise.

    Raises
    ------
    ParameterError
        If the Bernoulli loss is asked for targets outside [0, 1].
    """
    if spec == "auto":
        bounded = wanted.bounds is not None
        if wanted.binary or (bottleneck.variational and bounded):
            return LOSSES["bernoulli"]()
        return LOSSES["gaussian" if bottleneck.variational else "squared"]()
    loss = resolve(spec, LOSSES, "loss")
    low, high = wanted.range
    if loss.on_logits and (low < 0 or high > 1):
        raise ParameterError(
            f"loss='bernoulli' needs values from 0 to 1, but they reach from {low:.4g} to "
            f"{high:.4g} in the model's scale; use scaling='unit' or loss='squared'"
        )
    return loss


def choose_latent_dim(value: int | str, features: int) -> int | None:
    """Return the code's size; None leaves "auto" to the network for pictures and wide rows."""
    if value == "auto":
        return None if features > 32 else max(1, min(16, (features + 1) // 2))
    if not is_whole(value, 1):
        raise ParameterError(f"latent_dim={value!r}: use 'auto' or a whole number from 1")
    return int(value)


def choose_batch_size(value: int | str, rows: int, optimizer: Optimizer) -> int:
    """Return the batch size: all rows for L-BFGS, else what gives small sets enough updates."""
    if value == "auto":
        if optimizer.whole:
            return rows
        return 32 if rows < 1_000 else 64 if rows < 10_000 else 128 if rows < 50_000 else 256
    if not is_whole(value, 1):
        raise ParameterError(f"batch_size={value!r}: use 'auto' or a whole number from 1")
    return min(int(value), rows)


def choose_epochs(value: int | str, rows: int, batch_size: int) -> int:
    """Return the epochs: enough for about `UPDATES` updates, between 20 and 400."""
    if value == "auto":
        steps = -(-rows // batch_size)
        return min(max(round(UPDATES / steps), 20), 400)
    if not is_whole(value, 0):
        raise ParameterError(f"epochs={value!r}: use 'auto' or a whole number from 0")
    return int(value)


def choose_patience(value: int | str | None, epochs: int | str) -> int | None:
    """Return the patience: some where the epochs are "auto", none where they were asked for."""
    if value == "auto":
        return PATIENCE if epochs == "auto" else None
    return None if value is None else int(value)


def choose_learning_rate(value: float | str, optimizer: Optimizer) -> float:
    """Return the learning rate: the one the optimiser is used to where it is "auto"."""
    if value == "auto":
        return optimizer.rate
    if not is_number(value, 0) or float(value) == 0:
        raise ParameterError(f"learning_rate={value!r}: use 'auto' or a positive number")
    return float(value)


def lacks_likelihood(bottleneck: Bottleneck, loss: Loss) -> str | None:
    """Return why a log-likelihood cannot be had, or None where it can."""
    if not bottleneck.variational:
        return "it needs bottleneck='gaussian'"
    if not loss.likelihood:
        return "it needs a loss that is a likelihood: 'bernoulli' or 'gaussian'"
    return None


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed: the number itself, one drawn from a RandomState, or a fresh one for None."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if is_whole(random_state, 0, 2**63 - 1):
        return int(random_state)  # type: ignore[arg-type]
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    raise ParameterError(
        f"random_state={random_state!r}: use None, a whole number from 0, or a RandomState"
    )
