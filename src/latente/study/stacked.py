"""Settings of one shape, trained at once: seeds, learning rates, optimisers, schedules as a stack.

A small network's step costs what it takes to launch it; stacked, that is paid once for all. The
outcome is that of single fits, within the rounding of floats.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..parts import is_whole
from .results import ENDS, RUN
from .space import Setting
from .trial import Run, curve, noted, seeded, steps_of

if TYPE_CHECKING:
    import optuna

    from .work import Task

MOST_FITS = 128
"""Fits in a stack."""


def shape_of(setting: Setting) -> str:
    """Return what settings of one stack have in common."""
    from ..training.together import STACKED

    labels = {n: v for n, v in setting.labels.items() if n.partition("__")[0] not in STACKED}
    return Setting(setting.part, labels).key()


class Stacks:
    """Which settings are trained at once.

    Parameters
    ----------
    task
        What is to be done.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.known: dict[str, bool] = {}

    def shape(self, slot: int) -> str | None:
        """Return the shape of a setting; None where it is trained alone."""
        settings = self.task.settings
        if not settings or not self.task.batched or self.task.pruner is not None:
            return None
        labels = {**settings[slot].labels, "learning_rate": None, "weight_decay": None}
        kind = Setting(settings[slot].part, labels).key()
        if kind not in self.known:  # an optimiser may be of another kind than others of the shape
            self.known[kind] = self._try(settings[slot])
        return shape_of(settings[slot]) if self.known[kind] else None

    def most(self) -> int:
        """Return how many settings a worker takes at once, so that others have work, too."""
        share = -(-len(self.task.slots) // self.task.jobs)
        return max(min(share, MOST_FITS // len(self.task.seeds)), 1)

    def _try(self, setting: Setting) -> bool:
        """Whether a model of a setting can be trained beside others, and gains by it."""
        from ..estimator import Autoencoder, can_fit_together

        data = self.task.data
        try:
            model = _model(self.task, setting, self.task.seeds[0])
            return (
                type(model) is Autoencoder
                and is_whole(model.epochs, 1)
                and data.target is None
                and can_fit_together(model, data.X, data.held_out)
            )
        except Exception:  # what is wrong with it is told when it is trained
            return False

    def train(self, trials: Sequence[optuna.Trial], slots: Sequence[int]) -> None:
        """Train settings of one shape at once, and keep what each seed of each came to.

        Those that diverge are left to be trained alone, which tells where and why.
        """
        from ..estimator import fit_together

        assert self.task.settings is not None
        fits = []
        for trial, slot in zip(trials, slots, strict=True):
            setting, attributes = self.task.settings[slot], trial.user_attrs
            for seed in self.task.seeds:
                if f"{RUN}{seed}" not in attributes:
                    model = _model(self.task, setting, seed)
                    ends = attributes.get(ENDS) or [None]
                    fits.append(_Fit(trial, model, seed, ends))
        if not fits:
            return
        stops = sorted({end for fit in fits for end in fit.stops()})
        data = self.task.data
        stream = fit_together([fit.model for fit in fits], data.X, data.held_out, stops)
        while True:
            sentences: list[str] = []
            begun = time.perf_counter()
            with noted(sentences):
                step = next(stream, None)
            if step is None:
                return
            epochs, i, good = step
            for fit in fits:
                fit.seconds += (time.perf_counter() - begun) / len(fits)
            if good:
                fits[i].score(epochs, self.task, sentences)


class _Fit:
    """One seed of one setting in a stack."""

    def __init__(
        self, trial: optuna.Trial, model: Any, seed: int, ends: Sequence[int | None]
    ) -> None:
        self.trial, self.model, self.seed, self.ends = trial, model, seed, ends
        self.seconds = 0.0
        self.run: Run = {"seed": seed, "ends": [], "curve": {}, "warnings": [], "steps": 1}

    def stops(self) -> list[int]:
        """Return the epochs at which it is scored."""
        return [int(self.model.epochs if end is None else end) for end in self.ends]

    def score(self, epochs: int, task: Task, sentences: Sequence[str]) -> None:
        """Score it at one of its ends, and keep the run once that was the last."""
        if epochs not in self.stops():
            return
        end = self.ends[self.stops().index(epochs)]
        scores, reason = task.metric.outcome(self.model, task.data.held_out)
        seconds = float(f"{self.seconds:.7g}")
        self.run["ends"].append(
            {"epochs": end, "scores": scores, "reason": reason, "seconds": seconds}
        )
        self.run["warnings"] += [each for each in sentences if each not in self.run["warnings"]]
        if epochs == self.stops()[-1]:
            self.run["curve"] = curve(self.model.history_)
            self.run["steps"] = steps_of(self.model, task.data)
            self.trial.set_user_attr(f"{RUN}{self.seed}", self.run)


def _model(task: Task, setting: Setting, seed: int) -> Any:
    """Return a model of a setting, not fitted."""
    from sklearn.base import clone

    return seeded(clone(task.model).set_params(**task.space.values(setting)), seed)
