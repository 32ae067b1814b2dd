"""The error of a fit on its way down: by iteration, and by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..estimator import Autoencoder
from ..metrics import Numbers

POINTS = 160
"""Places at which a line is drawn, spread evenly over the logarithm."""


@dataclass(frozen=True)
class Descent:
    """The least error so far, of one fit.

    Parameters
    ----------
    iterations, seconds
        How many had been done, and how long they took, at each place; both rising.
    errors
        The least error up to there.
    """

    iterations: Numbers
    seconds: Numbers
    errors: Numbers

    @classmethod
    def of(cls, errors: ArrayLike, seconds: ArrayLike) -> Descent:
        """Return the descent of errors after each iteration.

        Parameters
        ----------
        errors, seconds
            The error after each iteration, and the time since the start.
        """
        lowest = np.minimum.accumulate(np.asarray(errors, np.float64))
        done = np.arange(1.0, len(lowest) + 1)
        return cls(done, np.asarray(seconds, np.float64), lowest)

    @classmethod
    def of_fit(cls, model: Autoencoder, X: Any, target: Any = None, step: int = 1) -> Descent:
        """Return the descent of a fitted model's training loss, by the epochs it remembers.

        The history holds the loss that each epoch began with, or its mean over the batches: the
        loss after an epoch is that of the next one, and after the last it is measured.

        Parameters
        ----------
        model
            Fitted.
        X, target
            What it was fitted on.
        step
            Iterations of the optimiser in an epoch.
        """
        epochs = np.array([record["epoch"] for record in model.history_], np.float64)
        each = [record["seconds"] for record in model.history_]
        seconds = np.cumsum(np.diff(epochs, prepend=0.0) * each)  # a file keeps some epochs only
        last = -float(model.score_samples(X, target).mean())
        errors = [*(record["total"] for record in model.history_[1:]), last]
        done = step * np.array([*(epochs[1:] - 1), model.epochs_])
        return cls(done, seconds, np.minimum.accumulate(errors))

    def paced(self, seconds: float) -> Descent:
        """Return the same descent at so many seconds an iteration, measured elsewhere."""
        return replace(self, seconds=seconds * self.iterations)

    def at(self, iteration: float) -> float:
        """Return the least error up to an iteration."""
        return float(_before(self.iterations, self.errors, np.array([iteration]))[0])


Curve = tuple[Numbers, list[Numbers]]
"""x, and the error of each run there: a line of `latente.figures.curves`."""


def by_iteration(runs: Sequence[Descent]) -> Curve:
    """Return the errors of runs by iteration."""
    return _line([run.iterations for run in runs], runs)


def by_second(runs: Sequence[Descent]) -> Curve:
    """Return the errors of runs by second, up to the end of the shortest."""
    return _line([run.seconds for run in runs], runs)


def _line(steps: Sequence[Numbers], runs: Sequence[Descent]) -> Curve:
    first, last = max(each[0] for each in steps), min(each[-1] for each in steps)
    x = np.geomspace(first, max(last, first), POINTS if last > first else 1)
    return x, [_before(each, run.errors, x) for each, run in zip(steps, runs, strict=True)]


def _before(steps: Numbers, errors: Numbers, x: Numbers) -> Numbers:
    """Return the errors at the last steps that lie at or before x, or at the first."""
    found = np.searchsorted(steps, x * (1 + 1e-9), side="right") - 1
    return np.asarray(errors[np.maximum(found, 0)])
