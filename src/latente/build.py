"""Build: from parameters and data to a model and a plan to train it, "auto" included."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .bottlenecks.base import Bottleneck
from .corruptions.base import Chain, Corruption, resolve_corruptions
from .data.batches import Batches
from .data.memory import amount
from .data.space import Space
from .data.stream import Stream
from .errors import ParameterError
from .families import FAMILIES
from .losses.base import Loss, LossModule, Ragged
from .model import Model
from .networks.base import Network, Pace
from .networks.custom import Modules
from .optimizers import Optimizer
from .parts import Part, is_number, is_whole, resolve
from .schedules import Schedule
from .training.checkpoint import data_fingerprint
from .training.distributed import processes
from .training.hardware import find_precision
from .training.state import Plan

Params = Mapping[str, Any]
"""The estimator's keywords, exactly as they were passed."""

MOST_DENSE = 20_000
"""Values of a picture up to which it goes through dense layers by default: fast, and as good."""
WIDE = (256, 4096)
"""Values of a sample for which the default's layers are wide: below they gain nothing by it, beyond
their weights outnumber what there is to learn from."""
BYTES_A_WEIGHT = 12
"""What a weight takes in training at least: itself, its gradient, and the best it has been."""
LEAST_HELD_OUT = 40
"""Rows that are held out at least where a quarter of all are as many."""
WORTH_BF16 = 50_000
"""Parameters from which a network is large enough for bf16 to pay, as a rule."""
LONG = 500
"""Steps of a fit from which it pays to try in which precision they are faster."""


@dataclass(frozen=True)
class Parts:
    """The parts of one autoencoder and of its training, as objects of their own."""

    network: Network
    bottleneck: Bottleneck
    corruption: tuple[Corruption, ...]
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule


def check_params(params: Params, *, held_out: bool = False) -> None:
    """Raise `ParameterError` at the first plain keyword that cannot work.

    Parameters
    ----------
    params
        The estimator's keywords.
    held_out
        Whether there are validation data beside the rows to train on.
    """
    clip, patience = params["gradient_clip"], params["patience"]
    fraction, verbose = params["validation_fraction"], params["verbose"]
    rules: dict[str, tuple[bool, str]] = {
        "weight_decay": (is_number(params["weight_decay"], 0), "a number of at least 0"),
        "gradient_clip": (
            clip is None or (is_number(clip, 0) and clip > 0),
            "None or a positive number",
        ),
        "validation_fraction": (
            fraction == "auto" or (is_number(fraction, 0, 1) and fraction < 1),
            "'auto' or a number from 0 to below 1",
        ),
        "patience": (
            patience in (None, "auto") or is_whole(patience, 1),
            "'auto', None or a whole number from 1",
        ),
        "verbose": (
            is_whole(verbose, 0) or isinstance(verbose, bool) or verbose == "curve",
            "0, 1, 2 or 'curve'",
        ),
        "layout": (
            params["layout"] in ("auto", "rows", "pictures", "sequences"),
            "'auto', 'rows', 'pictures' or 'sequences'",
        ),
        "unseen": (params["unseen"] in ("ignore", "error"), "'ignore' or 'error'"),
    }
    for name, (good, right) in rules.items():
        if not good:
            raise ParameterError(f"{name}={params[name]!r}: use {right}")
    if is_whole(patience, 1) and fraction == 0 and not held_out:
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
    spec, schedule = params["network"], params["schedule"]
    network = default_network(source) if spec == "auto" else as_network(spec)
    usual: Schedule = FAMILIES["schedule"][network.pace().schedule]()
    return Parts(
        network=network,
        bottleneck=bottleneck,
        corruption=resolve_corruptions(params["corruption"]),
        loss=default_loss(bottleneck, target) if params["loss"] == "auto" else part("loss"),
        optimizer=part("optimizer"),
        schedule=usual if schedule == "auto" else part("schedule"),
    )


def check_streamed(parts: Parts, batches: Batches | Stream) -> None:
    """Raise `ParameterError` where parts need all rows at once, and the rows are streamed."""
    if parts.optimizer.whole and isinstance(batches, Stream):
        raise ParameterError(
            "optimizer='lbfgs' takes all rows at every step, but these are streamed from the disk; "
            "use optimizer='adam'"
        )


def keeps_gaps(params: Params) -> bool:
    """Whether NaN stands for what is missing, as the corruption asks for it."""
    return any(part.keeps_gaps() for part in resolve_corruptions(params["corruption"]))


def default_network(space: Space) -> Network:
    """Return the network for "auto": one that begins as PCA, but for sequences."""
    networks, values = FAMILIES["network"], math.prod(space.shape)
    least, most = WIDE
    hidden = (512, 256) if least <= values <= most else (128, 64)
    network: Network
    if space.layout == "sequences":
        network = networks["recurrent"]()
    elif space.layout == "pictures" and values > MOST_DENSE:
        network = networks["conv"](shortcut="pca")
    else:
        network = networks["dense"](hidden=hidden, activation="gelu", shortcut="pca")
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


def check_size(
    parts: Parts, source: Space, target: Space, latent_dim: int | None, memory: float
) -> None:
    """Raise `ParameterError` where a model would take more memory to train than there is.

    Nothing of the model's size is allocated to find out.

    Parameters
    ----------
    parts, source, target, latent_dim
        As for `build_model`.
    memory
        In bytes.
    """
    if isinstance(parts.network, Modules):  # they are there already
        return
    weights = count_weights(parts, source, target, latent_dim)
    if weights * BYTES_A_WEIGHT <= memory:
        return
    name, value = heaviest(parts, source, target, latent_dim)
    many = f"{weights:,.0f}" if math.isfinite(weights) else "more than 10¹⁸"
    raise ParameterError(
        f"{name}={value!r:.60} makes a model of {many} weights for samples of "
        f"{math.prod(source.shape):,} values, but {amount(memory)} of memory hold at most "
        f"{memory / BYTES_A_WEIGHT:,.0f} in training; make {name} smaller"
    )


def count_weights(parts: Parts, source: Space, target: Space, latent_dim: int | None) -> float:
    """Return how many weights a model has, without allocating them; infinite beyond 64 bits."""
    try:
        with torch.device("meta"):
            model = build_model(parts, source, target, latent_dim, seed=0)
    except Exception as error:  # whatever else is wrong is told when the model is built
        return float("inf") if "overflow" in str(error).lower() else 0
    return sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))


def heaviest(parts: Parts, source: Space, target: Space, latent_dim: int | None) -> tuple[str, Any]:
    """Return the name and value of the size without which the model would be smallest."""
    found: list[tuple[float, str, Any]] = []
    if latent_dim is not None:
        found.append((count_weights(parts, source, target, 1), "latent_dim", latent_dim))
    for family in ("network", "bottleneck"):
        part: Part = getattr(parts, family)
        for name, value in part.get_params().items():
            least = least_size(value)
            with contextlib.suppress(ParameterError):
                changed: Any = {family: part.copy().set_params(**{name: least})}
                count = count_weights(replace(parts, **changed), source, target, latent_dim)
                if least is not None and count:
                    found.append((count, name, value))
    _, name, value = min(found, key=lambda each: each[0])
    return name, value


def least_size(value: Any) -> Any:
    """Return the least that a size, or a sequence of sizes, can be; None of anything else."""
    if is_whole(value, 1):
        return 1
    several = isinstance(value, Sequence) and all(is_whole(size, 1) for size in value)
    return (1,) * len(value) if several and value else None


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
    pace = parts.network.pace() if params["schedule"] == "auto" else Pace()
    batch_size = choose_batch_size(params["batch_size"], rows, parts.optimizer, pace)
    epochs = choose_epochs(params["epochs"], rows, batch_size, pace)
    steps = 0 if parts.optimizer.whole else epochs * math.ceil(rows / batch_size)
    large = sum(p.numel() for p in parameters) >= WORTH_BF16 and not parts.optimizer.whole
    return Plan(
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        learning_rate=choose_learning_rate(params["learning_rate"], parts.optimizer, pace),
        weight_decay=float(params["weight_decay"]),
        gradient_clip=params["gradient_clip"],
        batch_size=batch_size,
        epochs=epochs,
        patience=choose_patience(params["patience"], params["epochs"], pace.patience_for(epochs)),
        precision=find_precision(
            str(params["precision"]), parameters[0].device, worthwhile=large, long=steps >= LONG
        ),
        seed=seed,
        verbose=params["verbose"],
        callbacks=as_callbacks(params["callbacks"]),
    )


def choose_latent_dim(value: int | str, features: int) -> int | None:
    """Return the code's size; None leaves "auto" to the network for pictures and wide rows."""
    if value == "auto":
        return None if features > 32 else max(1, min(16, (features + 1) // 2))
    if not is_whole(value, 1):
        raise ParameterError(f"latent_dim={value!r}: use 'auto' or a whole number from 1")
    return int(value)


def choose_validation(value: float | str, batches: Batches | Stream) -> float:
    """Return the share held out: a tenth, or enough of few rows to tell a gain from chance.

    Of streamed rows it is no more than is quickly gone through after each epoch.
    """
    if value == "auto":
        share = min(max(LEAST_HELD_OUT / len(batches), 0.1), 0.25)
        return min(share, batches.most_held_out)
    return float(value)


def choose_batch_size(value: int | str, rows: int, optimizer: Optimizer, pace: Pace) -> int:
    """Return the batch size: all rows for L-BFGS, else what the network is best trained with."""
    if value == "auto":
        return rows if optimizer.whole else min(pace.batch_size(rows), rows)
    if not is_whole(value, 1):
        raise ParameterError(f"batch_size={value!r}: use 'auto' or a whole number from 1")
    return min(int(value), rows)


def choose_epochs(value: int | str, rows: int, batch_size: int, pace: Pace) -> int:
    """Return the epochs: as many as the network needs for so many rows."""
    if value == "auto":
        return pace.epochs_for(rows, batch_size)
    if not is_whole(value, 0):
        raise ParameterError(f"epochs={value!r}: use 'auto' or a whole number from 0")
    return int(value)


def choose_patience(value: int | str | None, epochs: int | str, usual: int) -> int | None:
    """Return the patience: some where the epochs are "auto", none where they were asked for."""
    if value == "auto":
        return usual if epochs == "auto" else None
    return None if value is None else int(value)


def choose_learning_rate(value: float | str, optimizer: Optimizer, pace: Pace) -> float:
    """Return the learning rate: the optimiser's own, times what suits the network."""
    if value == "auto":
        return optimizer.rate if optimizer.whole else optimizer.rate * pace.rate
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


def agreed_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed as `as_seed` does, the same in all processes that fit together.

    Each draws, so that a RandomState is left alike in all of them.
    """
    own = as_seed(random_state)
    return processes().from_first(lambda: own)


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


def prolongs(params: Params) -> bool:
    """Whether a fit of fewer epochs is the beginning of one of more, all else equal.

    Parameters
    ----------
    params
        The estimator's keywords.
    """
    if params["epochs"] == "auto":
        return False
    schedule = params["schedule"]
    if schedule == "auto":
        if params["network"] == "auto":
            return False
        schedule = as_network(params["network"]).pace().schedule
    found: Schedule = resolve(schedule, FAMILIES["schedule"], "schedule")
    return found.prolongs


def fingerprint(
    params: Params, batches: Batches | Stream, validation: Batches | None
) -> dict[str, Any]:
    """Return what makes two fits the same one: the keywords that shape it, and the data.

    Parameters
    ----------
    params
        The estimator's keywords.
    batches
        All the rows that were given to train on.
    validation
        Rows that were given to validate on.
    """
    apart = ["callbacks", "verbose", "device", "warm_start"]
    if prolongs(params):  # the state after some epochs is that of any longer fit, too
        apart.append("epochs")
    same: dict[str, Any] = {
        name: repr(value) for name, value in params.items() if name not in apart
    }
    arrays = dict(batches.identity)
    if validation is not None:
        given = validation.identity
        names = {"X": "validation", "target": "validation target"}
        arrays |= {names[name]: array for name, array in given.items() if name in names}
    found = {name: data_fingerprint(array) for name, array in arrays.items()}
    return same | found
