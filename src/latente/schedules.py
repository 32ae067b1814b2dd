"""Schedules: how the learning rate changes over a fit; torch's own, by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .parts import Part, Table, is_number, is_whole, require

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(kw_only=True)
class Schedule(Part, ABC):
    """The learning rate as a function of time; builds one of torch's schedulers."""

    every_step: ClassVar[bool] = False
    """Whether the scheduler moves with each step rather than with each epoch."""
    watches: ClassVar[bool] = False
    """Whether the scheduler is told the epoch's loss."""
    prolongs: ClassVar[bool] = False
    """Whether a fit of fewer epochs is the beginning of one of more: the rate does not depend on
    where the fit ends."""

    @abstractmethod
    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler | RateByLoss | None:
        """Return torch's scheduler, or one of the same manners.

        Parameters
        ----------
        optimizer
            Whose rate it moves.
        steps
            Steps of the whole fit where `every_step` is set, else its epochs; at least 1.
        """

    def over(
        self, optimizer: TorchOptimizer, epochs: int, steps: int
    ) -> LRScheduler | RateByLoss | None:
        """Return the scheduler of a fit.

        Parameters
        ----------
        optimizer
            Whose rate it moves.
        epochs, steps
            Of the fit, and in each epoch; at least 1.
        """
        return self.build(optimizer, epochs * (steps if self.every_step else 1))


@dataclass(kw_only=True)
class Constant(Schedule):
    """The rate stays as it is."""

    prolongs: ClassVar[bool] = True

    def build(self, optimizer: TorchOptimizer, steps: int) -> None:
        return None


@dataclass(kw_only=True)
class Cosine(Schedule):
    """Half a cosine down to ``floor`` times the rate (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    floor
        Share of the rate that is left at the end, from 0 to 1.
    """

    every_step: ClassVar[bool] = True
    floor: float = 0.0

    def check(self) -> None:
        require(is_number(self.floor, 0, 1), self, "floor", self.floor, "a number from 0 to 1")

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import CosineAnnealingLR

        least = float(optimizer.param_groups[0]["lr"]) * self.floor
        return CosineAnnealingLR(optimizer, T_max=steps, eta_min=least)


@dataclass(kw_only=True)
class Linear(Schedule):
    """A straight line from ``start`` to ``end`` times the rate.

    Parameters
    ----------
    start, end
        Shares of the rate; start above 0.
    """

    every_step: ClassVar[bool] = True
    start: float = 1.0
    end: float = 0.0

    def check(self) -> None:
        good = is_number(self.start, 0, 1) and self.start > 0
        require(good, self, "start", self.start, "a number above 0, to 1")
        require(is_number(self.end, 0, 1), self, "end", self.end, "a number from 0 to 1")

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import LinearLR

        return LinearLR(optimizer, start_factor=self.start, end_factor=self.end, total_iters=steps)


@dataclass(kw_only=True)
class Step(Schedule):
    """Multiply the rate by ``gamma`` every ``every`` epochs.

    Parameters
    ----------
    every
        Epochs between two changes.
    gamma
        Factor of each change, above 0, to 1.
    """

    prolongs: ClassVar[bool] = True
    every: int = 10
    gamma: float = 0.5

    def check(self) -> None:
        require(is_whole(self.every, 1), self, "every", self.every, "a whole number from 1")
        _check_factor(self, "gamma", self.gamma)

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, self.every, self.gamma)


@dataclass(kw_only=True)
class Exponential(Schedule):
    """Multiply the rate by ``gamma`` after every epoch.

    Parameters
    ----------
    gamma
        Factor of each change, above 0, to 1.
    """

    prolongs: ClassVar[bool] = True
    gamma: float = 0.95

    def check(self) -> None:
        _check_factor(self, "gamma", self.gamma)

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import ExponentialLR

        return ExponentialLR(optimizer, self.gamma)


@dataclass(kw_only=True)
class Plateau(Schedule):
    """Multiply the rate by ``factor`` once the loss has not fallen for ``patience`` epochs.

    Parameters
    ----------
    factor
        Factor of each change, above 0 and below 1.
    patience
        Epochs without a lower validation loss (training loss where there is no validation).
    """

    watches: ClassVar[bool] = True
    prolongs: ClassVar[bool] = True
    factor: float = 0.5
    patience: int = 5

    def check(self) -> None:
        good = is_number(self.factor, 0, 1) and 0 < self.factor < 1
        require(good, self, "factor", self.factor, "a number above 0 and below 1")
        good = is_whole(self.patience, 0)
        require(good, self, "patience", self.patience, "a whole number from 0")

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return ReduceLROnPlateau(optimizer, factor=self.factor, patience=self.patience)


@dataclass(kw_only=True)
class BoldDriver(Schedule):
    """Raise the rate while the loss falls, and lower it when the loss rises (Vogl et al., 1988).

    Parameters
    ----------
    growth
        Factor after an epoch whose loss is below the last one's; at least 1.
    cut
        Factor after an epoch whose loss is not, above 0 and below 1.
    """

    watches: ClassVar[bool] = True
    growth: float = 1.05
    cut: float = 0.7

    def check(self) -> None:
        require(is_number(self.growth, 1), self, "growth", self.growth, "a number of at least 1")
        good = is_number(self.cut, 0, 1) and 0 < self.cut < 1
        require(good, self, "cut", self.cut, "a number above 0 and below 1")

    def build(self, optimizer: TorchOptimizer, steps: int) -> RateByLoss:
        return RateByLoss(optimizer, self.growth, self.cut)


class RateByLoss:
    """Moves an optimiser's rate up or down with each epoch's loss.

    Parameters
    ----------
    optimizer
        Whose rate it moves.
    growth, cut
        As for `BoldDriver`.
    """

    def __init__(self, optimizer: TorchOptimizer, growth: float, cut: float) -> None:
        self.optimizer = optimizer
        self.growth, self.cut = growth, cut
        self.last = float("inf")

    def step(self, loss: float) -> None:
        """Take the loss of an epoch."""
        factor = self.growth if loss < self.last else self.cut
        self.last = loss
        for group in self.optimizer.param_groups:
            group["lr"] *= factor

    def state_dict(self) -> dict[str, Any]:
        """Return what it remembers; the rates are the optimiser's."""
        return {"last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what it remembered."""
        self.last = state["last"]


@dataclass(kw_only=True)
class OneCycle(Schedule):
    """Up from a small rate, then down to nearly nothing (Smith and Topin, 2018).

    Parameters
    ----------
    rise
        Share of the fit that goes up, between 0 and 1.
    """

    every_step: ClassVar[bool] = True
    rise: float = 0.3

    def check(self) -> None:
        good = is_number(self.rise, 0, 1) and 0 < self.rise < 1
        require(good, self, "rise", self.rise, "a number between 0 and 1")

    def build(self, optimizer: TorchOptimizer, steps: int) -> LRScheduler:
        from torch.optim.lr_scheduler import OneCycleLR

        peak = float(optimizer.param_groups[0]["lr"])
        return OneCycleLR(
            optimizer,
            max_lr=peak,
            total_steps=max(steps, 2) + 1,
            pct_start=self.rise,
            cycle_momentum=False,
        )


SCHEDULES: Table[Schedule] = Table(
    "schedules.Schedule",
    constant="schedules.Constant",
    cosine="schedules.Cosine",
    linear="schedules.Linear",
    step="schedules.Step",
    exponential="schedules.Exponential",
    plateau="schedules.Plateau",
    bold_driver="schedules.BoldDriver",
    one_cycle="schedules.OneCycle",
)


def _check_factor(part: Schedule, name: str, value: float) -> None:
    good = is_number(value, 0, 1) and value > 0
    require(good, part, name, value, "a number above 0, to 1")
