"""Assembly: from an estimator's keywords and its data to a model and a plan to train it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from . import choices
from .bottlenecks.table import BOTTLENECKS, Bottleneck
from .corruptions import Corruption, resolve_corruptions, seen_shape
from .data.preparation import Preparation
from .errors import ParameterError
from .keywords import Keywords
from .losses import Loss
from .model import Model
from .networks.base import Network, Pair
from .networks.layers import activation
from .optimizers import OPTIMIZERS, Optimizer
from .parts import resolve
from .schedules import SCHEDULES, Schedule
from .training.checkpoint import data_fingerprint
from .training.hardware import find_precision
from .training.plan import Plan

if TYPE_CHECKING:
    from .data.batches import Batches

WORTH_BF16 = 50_000
"""Parameters from which a network is large enough for bf16 to pay."""


@dataclass(frozen=True)
class Parts:
    """The five parts of one autoencoder, and the schedule, as objects."""

    network: Network
    bottleneck: Bottleneck
    corruptions: tuple[Corruption, ...]
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule


def resolve_parts(keywords: Keywords, given: Preparation, wanted: Preparation) -> Parts:
    """Return the parts that the keywords stand for, given what the data look like.

    Raises
    ------
    ParameterError
        If a name is unknown, or parts cannot go together.
    """
    bottleneck = resolve(keywords.bottleneck, BOTTLENECKS, "bottleneck")
    loss = choices.choose_loss(keywords.loss, bottleneck, wanted)
    network = choices.choose_network(keywords.network, given.shape)
    if loss.on_logits and network.output_activation not in ("auto", "sigmoid"):
        raise ParameterError(
            f"loss='bernoulli' works on logits, so output_activation="
            f"{network.output_activation!r} cannot be; use 'auto' or 'sigmoid'"
        )
    return Parts(
        network=network,
        bottleneck=bottleneck,
        corruptions=resolve_corruptions(keywords.corruption),
        loss=loss,
        optimizer=resolve(keywords.optimizer, OPTIMIZERS, "optimizer"),
        schedule=resolve(keywords.schedule, SCHEDULES, "schedule"),
    )


def build_model(
    parts: Parts, given: Preparation, wanted: Preparation, latent_dim: int | None, seed: int
) -> tuple[Model, tuple[int, ...]]:
    """Return the model on the CPU, with the weights that the seed gives, and its code's shape."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        seen = seen_shape(parts.corruptions, given.shape)
        pair = parts.network.build(seen, wanted.shape, latent_dim, parts.bottleneck.heads)
        output = parts.network.output_activation
        link = parts.loss.link if output == "auto" else output
        check_bypass(pair, parts.bottleneck, link)
        model = Model(
            pair,
            activation(link),
            bottleneck=parts.bottleneck,
            loss=parts.loss,
            corruptions=parts.corruptions,
            input_shape=given.shape,
            output_shape=wanted.shape,
            bounds=given.bounds,
        )
    return model, pair.code_shape


def check_bypass(pair: Pair, bottleneck: Bottleneck, link: str) -> None:
    """Raise `ParameterError` where what goes around the code does not go with the other parts."""
    bypassed = pair.skips or pair.residual
    if bypassed and (bottleneck.variational or bottleneck.prior(pair.code_shape) is not None):
        name = type(bottleneck).__name__.lower()
        raise ParameterError(
            f"bottleneck={name!r} makes codes to be decoded alone, which skips=True and "
            "residual=True do not allow; use bottleneck='plain'"
        )
    if pair.residual and link not in ("identity", "sigmoid"):
        raise ParameterError(
            f"residual=True adds to the input, so output_activation={link!r} cannot be; "
            "use 'identity' or 'sigmoid'"
        )


def make_plan(keywords: Keywords, parts: Parts, rows: int, model: Model, seed: int) -> Plan:
    """Return how to train.

    Parameters
    ----------
    keywords
        The estimator.
    parts
        Its parts.
    rows
        Rows to train on.
    model
        On the device it is trained on.
    seed
        Of everything random.
    """
    parameters = list(model.parameters())
    batch_size = choices.choose_batch_size(keywords.batch_size, rows, parts.optimizer)
    large = sum(p.numel() for p in parameters) >= WORTH_BF16
    worthwhile = large and not (parts.bottleneck.differentiates or parts.optimizer.whole)
    return Plan(
        optimizer=parts.optimizer,
        schedule=parts.schedule,
        learning_rate=choices.choose_learning_rate(keywords.learning_rate, parts.optimizer),
        weight_decay=float(keywords.weight_decay),
        gradient_clip=keywords.gradient_clip,
        batch_size=batch_size,
        epochs=choices.choose_epochs(keywords.epochs, rows, batch_size),
        patience=choices.choose_patience(keywords.patience, keywords.epochs),
        precision=find_precision(
            str(keywords.precision), parameters[0].device, worthwhile=worthwhile
        ),
        seed=seed,
        verbose=int(keywords.verbose),
        callbacks=as_callbacks(keywords.callbacks),
    )


def as_callbacks(callbacks: Any) -> Sequence[Any]:
    """Return the callbacks as a sequence, each checked to have ``on_epoch_end``."""
    if callbacks is None:
        return ()
    listed = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in listed:
        if not callable(getattr(callback, "on_epoch_end", None)):
            raise ParameterError(
                f"callbacks={callback!r}: a callback has a method on_epoch_end(state)"
            )
    return listed


def fingerprint(keywords: Keywords, batches: Batches) -> dict[str, Any]:
    """Return what makes two fits the same one: the keywords that shape it, and the data."""
    params = keywords.get_params(deep=False)
    apart = ("callbacks", "verbose", "device", "warm_start")
    found: dict[str, Any] = {
        name: repr(value) for name, value in params.items() if name not in apart
    }
    found["X"] = data_fingerprint(batches.x)
    if batches.target is not None:
        found["target"] = data_fingerprint(batches.target)
    return found
