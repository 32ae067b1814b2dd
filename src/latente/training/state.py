"""Plan and state of a fit: how to train, and what it has come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from ..optimizers import Optimizer
from ..schedules import Schedule
from .checkpoint import FormError, is_amount, require_form

Record = dict[str, float]
Weights = dict[str, Tensor]
LIKELY, FEW, SURE = 2.0, 10.0, 4.0
"""Standard errors by which the mean gain of held-out rows, and their share that gained, have to
lie above chance: both (by a little more where rows are few, and epochs many to choose from), or
either by far, where some rows weigh as much as all the others."""
TINY = 1e-30


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
    verbose: int | str = 0
    callbacks: Sequence[Callback] = ()


@dataclass
class TrainingState:
    """The state of a fit after an epoch, as callbacks see it.

    Set `stop` to end the fit after this epoch.
    """

    model: nn.Module
    epochs: int
    epoch: int = 0
    history: list[Record] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    best_weights: Weights | None = None
    first_loss: float | None = None
    """What the very first step minimised: a loss many times as high has exploded."""
    start_losses: Tensor | None = None
    """Loss of each held-out row before the first step, (n,), where that has to be surpassed."""
    margin: float = 0.0
    """Share of the loss at the start by which it has to be surpassed at least."""
    stop: bool = False

    @property
    def record(self) -> Record:
        """The terms of the last epoch."""
        return self.history[-1]

    def surpasses_start(self, losses: Tensor) -> bool:
        """Whether held-out losses (n,) are lower than at the start by more than chance explains.

        They also have to be lower by more than the start itself would gain by the rows held out.
        """
        if self.start_losses is None:
            return True
        gains = self.start_losses - losses
        mean, root = float(gains.mean()), math.sqrt(len(gains))
        if mean <= self.margin * abs(float(self.start_losses.mean())) or len(gains) < 2:
            return False
        by_size = mean / max(float(gains.std()), TINY) * root
        by_sign = float(gains.sign().mean()) * root
        likely = LIKELY + FEW / len(gains)
        return min(by_size, by_sign) > likely or max(by_size, by_sign) > max(SURE, likely)

    def stands_at_start(self) -> bool:
        """Whether no epoch surpassed a start that had to be surpassed."""
        return self.start_losses is not None and self.best_epoch == 0

    def keep(self) -> None:
        """Remember the present weights as the best."""
        weights = self.model.state_dict()
        if self.best_weights is None:
            self.best_weights = {name: value.detach().clone() for name, value in weights.items()}
        else:
            for name, value in weights.items():
                self.best_weights[name].copy_(value)
        self.best_epoch = self.epoch

    def restore(self) -> None:
        """Go back to the best weights, where there are any."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model, as nested values and tensors."""
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "first_loss": self.first_loss,
            "start_losses": self.start_losses,
        }

    def from_dict(self, values: dict[str, Any]) -> None:
        """Take over what `to_dict` returned.

        Raises
        ------
        FormError
            If it cannot be of this fit.
        """
        self._check(values)
        for name in ("epoch", "history", "best_loss", "best_epoch", "first_loss", "start_losses"):
            setattr(self, name, values[name])
        weights = values["best_weights"]
        if weights is not None:
            present = self.model.state_dict()
            weights = {name: value.to(present[name].device) for name, value in weights.items()}
        self.best_weights = weights

    def _check(self, values: dict[str, Any]) -> None:
        """Refuse values that `to_dict` cannot have returned."""
        empty = dict.fromkeys(values)
        require_form(empty, dict.fromkeys(self.to_dict()))
        if values["best_weights"] is not None:
            require_form(values["best_weights"], self.model.state_dict(), "best_weights")
        require_form(values["start_losses"], self.start_losses, "start_losses")
        history, epoch, best = (values[name] for name in ("history", "epoch", "best_epoch"))
        good = {
            "epoch": type(epoch) is int and 0 <= epoch <= self.epochs,
            "best_epoch": type(best) is int and type(epoch) is int and 0 <= best <= epoch,
            "best_loss": is_amount(values["best_loss"]),
            "first_loss": values["first_loss"] is None or is_amount(values["first_loss"]),
            "history": isinstance(history, list)
            and len(history) == epoch
            and all(map(_is_record, history)),
        }
        for name, fits in good.items():
            if not fits:
                raise FormError(f"its {name} is not of the right form")


def _is_record(value: object) -> bool:
    """Whether a value is what the loop notes of an epoch: names and numbers, NaN too."""
    return (
        isinstance(value, dict)
        and {"epoch", "total", "reconstruction"} <= value.keys()
        and all(
            isinstance(name, str) and (type(number) in (int, float))
            for name, number in value.items()
        )
    )


class Callback(Protocol):
    """An object that is told of every epoch."""

    def on_epoch_end(self, state: TrainingState) -> None:
        """Look at the state of the fit, or set ``state.stop``."""
