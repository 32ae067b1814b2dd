"""One setting of a study: trained with each seed, and scored on held-out data.

::

    seed ──▶ fit 8 epochs ──▶ scores ──go on──▶ fit to 16 epochs ──▶ scores

A setting of 8 epochs is the beginning of the same one of 16 where the learning rate does not depend
on where the fit ends, so both are one fit that is scored twice.
"""

from __future__ import annotations

import inspect
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TrainingError
from .metric import Scorer, sentence_of

Run = dict[str, Any]
"""What training with one seed came to, as JSON values."""
MOST_POINTS = 1000
"""Points of a curve that are kept: all of shorter ones, of longer ones as many spread evenly."""
DIGITS = 7
OFFERED = ("callbacks", "checkpoint", "validation")


@dataclass(frozen=True)
class Data:
    """What all settings of a study are trained on, and scored on.

    Parameters
    ----------
    X, target
        As `fit` takes them.
    held_out, held_out_target
        The same, never trained on.
    """

    X: Any
    held_out: Any
    target: Any = None
    held_out_target: Any = None

    def fit_arguments(self, model: Any) -> dict[str, Any]:
        """Return the keywords of `fit` that a model is given beside X."""
        found = {}
        if self.target is not None:
            found["target"] = self.target
        if validates(model):
            given = self.held_out
            found["validation"] = given if self.target is None else (given, self.held_out_target)
        return found


@dataclass
class Epochs:
    """A callback that reports each epoch's held-out loss, and ends a fit that is not worth it.

    Parameters
    ----------
    report
        Takes the number of epochs and the loss, and returns whether to stop.
    """

    report: Callable[[int, float], bool]
    stopped: bool = field(default=False, init=False)

    def on_epoch_end(self, state: Any) -> None:
        """Report the last epoch."""
        loss = state.record.get("validation_total", state.record["total"])
        if self.report(state.epoch, float(loss)):
            self.stopped = state.stop = True


class Pruned(Exception):
    """A setting is not worth being trained to the end."""

    def __init__(self, run: Run) -> None:
        super().__init__("pruned")
        self.run = run


def accepts(model: Any, name: str) -> bool:
    """Whether a model's `fit` takes a keyword of that name."""
    return name in inspect.signature(model.fit).parameters


def validates(model: Any) -> bool:
    """Whether a model takes held-out data to validate on in each epoch."""
    epochs = {"epochs", "validation_fraction"} <= model.get_params(deep=False).keys()
    return epochs and accepts(model, "validation")


def can_go_on(model: Any) -> bool:
    """Whether a fit of fewer epochs is the beginning of one of more, and the model can go on."""
    if not accepts(model, "checkpoint"):
        return False
    params = model.get_params(deep=False)
    if not {"epochs", "schedule", "network"} <= params.keys():
        return False
    from ..build import prolongs

    return prolongs(params)


def seeded(model: Any, seed: int) -> Any:
    """Return the model with the seed set wherever it takes one."""
    names = [
        name
        for name in model.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    ]
    return model.set_params(**dict.fromkeys(names, seed))


def run_seed(
    model: Any,
    seed: int,
    ends: Sequence[int],
    data: Data,
    metric: Scorer,
    report: Callable[[int, float], bool] | None = None,
) -> Run:
    """Train a model with one seed, and score it at each of its ends.

    Parameters
    ----------
    model
        Not fitted; it is not changed.
    seed
        Of everything random.
    ends
        Epochs at which it is scored, rising; () for the model's own end.
    data, metric
        What it is trained on, and how it is scored.
    report
        Told of each epoch's held-out loss; returns whether to stop.

    Returns
    -------
    dict
        Its seed, what it came to at each end (scores, seconds, or the reason why there are none),
        the curve of its loss, and its warnings.

    Raises
    ------
    Pruned
        If `report` stopped it.
    """
    run: Run = {"seed": seed, "ends": [], "curve": {}, "warnings": [], "steps": 1}
    callback = None if report is None else Epochs(report)
    spent = 0.0
    with tempfile.TemporaryDirectory(prefix="latente-study-") as folder:
        for epochs in ends or (None,):
            end: dict[str, Any] = {"epochs": epochs, "scores": None, "reason": None}
            begun = time.perf_counter()
            try:
                fitted = _fitted(model, seed, epochs, data, callback, Path(folder), run)
                spent += time.perf_counter() - begun
            except Exception as error:  # a failure is an outcome of the study, not its end
                spent += time.perf_counter() - begun
                end["reason"] = sentence_of(error)
            else:
                found = metric.outcome(fitted, data.held_out, data.held_out_target)
                end["scores"], end["reason"] = found
                run["curve"] = curve(getattr(fitted, "history_", None))
                run["steps"] = steps_of(fitted, data)
            end["seconds"] = _rounded(spent)
            run["ends"].append(end)
            if callback is not None and callback.stopped:
                raise Pruned(run)
    return run


def _fitted(
    model: Any,
    seed: int,
    epochs: int | None,
    data: Data,
    callback: Epochs | None,
    folder: Path,
    run: Run,
) -> Any:
    """Return a model fitted to one of its ends, going on from the one before."""
    from sklearn.base import clone

    fresh = seeded(clone(model), seed)
    arguments = data.fit_arguments(fresh)
    if epochs is not None:
        fresh.set_params(epochs=epochs)
        arguments["checkpoint"] = folder
    if callback is not None:
        own = fresh.get_params(deep=False).get("callbacks") or []
        fresh.set_params(callbacks=[*(own if isinstance(own, list | tuple) else [own]), callback])
    with noted(run["warnings"]):
        fresh.fit(data.X, **arguments)
    stopped = getattr(fresh, "stopped_", None)
    if stopped == "interrupted":  # the estimator keeps what it learned; a study has to stop
        raise KeyboardInterrupt
    if stopped == "diverged":
        raise TrainingError(run["warnings"][-1] if run["warnings"] else "the fit diverged")
    return fresh


@contextmanager
def noted(sentences: list[str]) -> Any:
    """Keep the warnings inside as sentences, each once, instead of showing them."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for each in found:
                if str(each.message) not in sentences:
                    sentences.append(str(each.message))


def curve(history: Sequence[Mapping[str, float]] | None) -> dict[str, list[float]]:
    """Return epochs, seconds and losses of a history as lists; {} without one."""
    if not history:
        return {}
    count = len(history)
    kept = range(count)
    if count > MOST_POINTS:
        kept = np.unique(np.linspace(0, count - 1, MOST_POINTS).round().astype(int)).tolist()
    seconds = np.cumsum([record.get("seconds", 0.0) for record in history])
    training = [record.get("total", float("nan")) for record in history]
    losses = [record.get("validation_total", training[i]) for i, record in enumerate(history)]
    return {
        "epoch": [int(history[i].get("epoch", i + 1)) for i in kept],
        "seconds": [_rounded(seconds[i]) for i in kept],
        "loss": [_rounded(losses[i]) for i in kept],
        "training": [_rounded(training[i]) for i in kept],
    }


def steps_of(fitted: Any, data: Data) -> int:
    """Return how many steps of the optimiser an epoch takes."""
    size = getattr(fitted, "batch_size_", None)
    return 1 if size is None else max(-(-rows_of(data.X) // int(size)), 1)


def rows_of(X: Any) -> int:
    """Return how many samples there are."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _rounded(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
