"""Keywords: the configuration of an autoencoder, exactly as it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from .bottlenecks.table import BOTTLENECKS, Bottleneck
from .errors import ParameterError
from .losses import LOSSES, Loss
from .networks.base import Network
from .networks.table import NETWORKS
from .optimizers import OPTIMIZERS, Optimizer
from .parts import is_number, is_whole, resolve
from .schedules import SCHEDULES, Schedule

if TYPE_CHECKING:
    import torch

    from .corruptions import Corruption

TABLES: dict[str, dict[str, type[Any]]] = {
    "network": NETWORKS,
    "bottleneck": BOTTLENECKS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""The tables of the keywords that take one part by name."""


class Keywords(BaseEstimator):  # type: ignore[misc]
    """What `Autoencoder` is constructed with; nothing is checked or changed before `fit`."""

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        network: str | Network | tuple[torch.nn.Module, torch.nn.Module] = "auto",
        bottleneck: str | Bottleneck = "plain",
        corruption: str | Corruption | list[str | Corruption] | None = None,
        loss: str | Loss = "auto",
        optimizer: str | Optimizer = "adam",
        schedule: str | Schedule = "constant",
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        gradient_clip: float | None = None,
        batch_size: int | str = "auto",
        epochs: int | str = "auto",
        validation_fraction: float = 0.1,
        patience: int | str | None = "auto",
        scaling: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        warm_start: bool = False,
        callbacks: Any = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.network = network
        self.bottleneck = bottleneck
        self.corruption = corruption
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scaling = scaling
        self.device = device
        self.precision = precision
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of a part given by name: ``network__hidden=(64,)``."""
        for name, table in TABLES.items():
            nested = any(key.startswith(f"{name}__") for key in params)
            spec = params.get(name, getattr(self, name))
            if nested and isinstance(spec, str):
                params = {name: resolve(spec, table, name), **params}
                params[name] = resolve(spec, table, name)
        super().set_params(**params)
        return self


def check_keywords(keywords: Keywords) -> None:
    """Raise `ParameterError` at the first plain keyword that cannot work."""
    rules: list[tuple[str, bool, str]] = [
        ("weight_decay", is_number(keywords.weight_decay, 0), "a number of at least 0"),
        (
            "gradient_clip",
            keywords.gradient_clip is None
            or (is_number(keywords.gradient_clip, 0) and keywords.gradient_clip > 0),
            "None or a positive number",
        ),
        (
            "validation_fraction",
            is_number(keywords.validation_fraction, 0, 1) and keywords.validation_fraction < 1,
            "a number from 0 to below 1",
        ),
        (
            "patience",
            keywords.patience in (None, "auto") or is_whole(keywords.patience, 1),
            "'auto', None or a whole number from 1",
        ),
        (
            "verbose",
            is_whole(keywords.verbose, 0) or isinstance(keywords.verbose, bool),
            "0, 1 or 2",
        ),
    ]
    for name, good, right in rules:
        if not good:
            raise ParameterError(f"{name}={getattr(keywords, name)!r}: use {right}")
    if is_whole(keywords.patience, 1) and keywords.validation_fraction == 0:
        raise ParameterError(
            f"patience={keywords.patience!r} watches the validation loss, but "
            "validation_fraction=0 holds nothing out; use 0.1, or patience=None"
        )
