"""Build: from parameters and data to a model and a plan to train it, "auto" included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .bottlenecks.base import Bottleneck
from .corruptions.base import Chain, Corruption, resolve_corruptions
from .data.batches import Batches
from .data.space import Space
from .errors import ParameterError
from .families import FAMILIES
from .losses.base import Loss, LossModule, Ragged
from .model import Model
from .networks.base import Network
from .networks.custom import Modules
from .optimizers import Optimizer
from .parts import Part, is_number, is_whole, resolve
from .schedules import Schedule
from .training.checkpoint import data_fingerprint
from .training.hardware import find_precision
from .training.state import Plan

Params = Mapping[str, Any]
"""The estimator's keywords, exactly as they were passed."""

SMALL_PICTURE = 32
"""Pictures with both sides below this go through dense layers by default: fast, and as good."""
PATIENCE = 30
"""Epochs without a lower validation loss after which a fit of "auto" epochs ends."""
UPDATES = 8_000
"""Updates that a fit of "auto" epochs aims at."""
WORTH_BF16 = 50_000
"""Parameters from which a network is large enough for bf16 to pay."""


@dataclass(frozen=True)
class Parts:
    """The parts of one autoencoder and of its training, as objects of their own."""

    network: Network
    bottleneck: Bottleneck
    corruption: tuple[Corruption, ...]
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule


def check_params(params: Params) -> None:
    """Raise `ParameterError` at the first plain keyword that cannot work."""
    clip, patience = params["gradient_clip"], params["patience"]
    fraction, verbose = params["validation_fraction"], params["verbose"]
    rules: dict[str, tuple[bool, str]] = {
        "weight_decay": (is_number(params["weight_decay"], 0), "a number of at least 0"),
        "gradient_clip": (
            clip is None or (is_number(clip, 0) and clip > 0),
            "None or a positive number",
        ),
        "validation_fraction": (
            is_number(fraction, 0, 1) and fraction < 1,
            "a number from 0 to below 1",
        ),
        "patience": (
            patience in (None, "auto") or is_whole(patience, 1),
            "'auto', None or a whole number from 1",
        ),
        "verbose": (is_whole(verbose, 0) or isinstance(verbose, bool), "0, 1 or 2"),
        "layout": (
            params["layout"] in ("auto", "rows", "pictures", "sequences"),
            "'auto', 'rows', 'pictures' or 'sequences'",
        ),
    }
    for name, (good, right) in rules.items():
        if not good:
            raise ParameterError(f"{name}={params[name]!r}: use {right}")
    if is_whole(patience, 1) and fraction == 0:
        raise ParameterError(
            f"patience={patience!r} watches the validation loss, but "
            "validation_fraction=0 holds nothing out; use 0.1, or patience=None"
        )


def data_layout(params: Params) -> str:
    """Return how samples are to be read: as asked for, or as the network needs it, or "auto"."""
    if params["layout"] != "auto" or params["network"] == "auto":
        return str(params["layout"])
    return as_network(params["network"]).layout()


def as_network(spec: Any) -> Network:
    """Return the network that a name, an object or a pair of modules stands for."""
    if isinstance(spec, Modules):
        return spec.copy()
    if isinstance(spec, tuple | list) and len(spec) == 2:
        return Modules(encoder=spec[0], decoder=spec[1])
    network: Network = resolve(spec, FAMILIES["network"], "network")
    return network.copy()


def resolve_parts(params: Params, source: Space, target: Space) -> Parts:
    """Return copies of the parts that the keywords stand for.

    Parameters
    ----------
    params
        The estimator's keywords.
    source, target
        What inputs and targets look like.

    Raises
    ------
    ParameterError
        If a name is unknown, or parts cannot go together.
    """

    def part(name: str) -> Any:
        found: Part = resolve(params[name], FAMILIES[name], name)
        return found.copy()

    bottleneck: Bottleneck = part("bottleneck")
    network = params["network"]
    return Parts(
        network=default_network(source) if network == "auto" else as_network(network),
        bottleneck=bottleneck,
        corruption=resolve_corruptions(params["corruption"]),
        loss=default_loss(bottleneck, target) if params["loss"] == "auto" else part("loss"),
        optimizer=part("optimizer"),
        schedule=part("schedule"),
    )


def keeps_gaps(params: Params) -> bool:
    """Whether NaN stands for what is missing, as the corruption asks for it."""
    return any(part.keeps_gaps() for part in resolve_corruptions(params["corruption"]))


def default_network(space: Space) -> Network:
    """Return the network for "auto": dense for rows and small pictures, else convolutional."""
    name = "dense"
    if space.layout == "sequences":
        name = "recurrent"
    elif space.layout == "pictures" and min(space.shape[1:]) >= SMALL_PICTURE:
        name = "conv"
    network: Network = FAMILIES["network"][name]()
    return network


def default_loss(bottleneck: Bottleneck, target: Space) -> Loss:
    """Return the loss for "auto", as the bottleneck asks for it."""
    name = bottleneck.default_loss(binary=target.binary, bounded=target.bounds is not None)
    if target.categories and target.layout == "sequences":
        name = "categorical"
    loss: Loss = FAMILIES["loss"][name]()
    return loss


def build_model(
    parts: Parts, source: Space, target: Space, latent_dim: int | None, seed: int
) -> Model:
    """Return the model on the CPU, with the weights that the seed gives.

    ::

        Corruption.build ─▶ space seen   Loss.build ─▶ numbers a value
                  └────────▶ Network.build ◀──────┘ ─▶ code's shape ─▶ Bottleneck.build

    Parameters
    ----------
    parts
        Descriptions.
    source, target
        What inputs and targets look like.
    latent_dim
        Numbers in the code; None leaves it to the network.
    seed
        Of the initial weights.
    """
    corruption = Chain(parts.corruption, source)
    loss = build_loss(parts.loss, target, parts.network.output_activation)
    generator = torch.Generator().manual_seed(seed)
    network = parts.network.build(
        replace(source, shape=corruption.seen_shape),
        target,
        latent_dim,
        per_code=parts.bottleneck.per_code(),
        per_value=loss.per_value,
        generator=generator,
    )
    bottleneck = parts.bottleneck.build(network.code_shape, corruption.seen_shape, generator)
    return Model(corruption, network, bottleneck, loss)


def build_loss(part: Loss, target: Space, output_activation: str) -> LossModule:
    """Return the loss's module; of sequences of several lengths it counts the steps there are."""
    if not target.ragged:
        return part.build(target, output_activation)
    *steps, features = target.shape
    inner = replace(target, shape=(*steps, features - 1), ragged=False)
    return Ragged(part, target, part.build(inner, output_activation))


def make_plan(params: Params, parts: Parts, rows: int, model: Model, seed: int) -> Plan:
    """Return how to train.

    Parameters
    ----------
    params
        The estimator's keywords.
    parts
        What they stand for.
    rows
        Rows to train on.
    model
        On the device it is trained on.
    seed
        Of everything random.
    """
    parameters = list(model.parameters())
    batch_size = choose_batch_size(params["batch_size"], rows, parts.optimizer)
    large = sum(p.numel() for p in parameters) >= WORTH_BF16 and not parts.optimizer.whole
    return Plan(
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        learning_rate=choose_learning_rate(params["learning_rate"], parts.optimizer),
        weight_decay=float(params["weight_decay"]),
        gradient_clip=params["gradient_clip"],
        batch_size=batch_size,
        epochs=choose_epochs(params["epochs"], rows, batch_size),
        patience=choose_patience(params["patience"], params["epochs"]),
        precision=find_precision(str(params["precision"]), parameters[0].device, worthwhile=large),
        seed=seed,
        verbose=int(params["verbose"]),
        callbacks=as_callbacks(params["callbacks"]),
    )


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


def as_seed(random_state: int | np.random.RandomState | None) -> int:
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


def as_callbacks(callbacks: Any) -> Sequence[Any]:
    """Return the callbacks as a sequence, each checked to have ``on_epoch_end``."""
    if callbacks is None:
        return ()
    several = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in several:
        if not callable(getattr(callback, "on_epoch_end", None)):
            raise ParameterError(
                f"callbacks={callback!r}: a callback has a method on_epoch_end(state)"
            )
    return several


def fingerprint(params: Params, batches: Batches) -> dict[str, Any]:
    """Return what makes two fits the same one: the keywords that shape it, and the data."""
    apart = ("callbacks", "verbose", "device", "warm_start")
    same: dict[str, Any] = {
        name: repr(value) for name, value in params.items() if name not in apart
    }
    same["X"] = data_fingerprint(batches.x)
    if batches.target is not None:
        same["target"] = data_fingerprint(batches.target)
    return same
