"""Metrics: what a fitted model is scored by on held-out data, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import LatenteError, ParameterError, TrainingError

HIGHER = frozenset({"psnr", "ssim", "ms_ssim", "score", "active_units", "log_likelihood"})
"""Metrics of which more is better."""
SCORE = "score"
Scores = dict[str, float]


@dataclass(frozen=True)
class Scorer:
    """How a model is scored.

    Parameters
    ----------
    spec
        A name that ``model.evaluate`` knows, "score" for ``model.score``, or a function of a fitted
        model and held-out data (and of their targets, where there are any) that returns a number.
    maximize
        Whether more is better; None to know it by the name.
    """

    spec: str | Callable[..., float]
    maximize: bool | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.spec, str) or callable(self.spec)):
            raise ParameterError(
                f"metric={self.spec!r}: give a name such as 'mse', or a function of model and X"
            )

    @property
    def name(self) -> str:
        """What the metric is called."""
        if isinstance(self.spec, str):
            return self.spec
        return str(getattr(self.spec, "__name__", type(self.spec).__name__))

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return self.name in HIGHER if self.maximize is None else bool(self.maximize)

    def check(self, model: Any) -> None:
        """Raise `ParameterError` where a model has no method that gives the metric."""
        if isinstance(self.spec, str):
            method = "score" if self.spec == SCORE else "evaluate"
            if not callable(getattr(model, method, None)):
                raise ParameterError(
                    f"metric={self.spec!r}: {type(model).__name__} has no method {method}; give a "
                    "function of model and X"
                )

    def scores(self, model: Any, X: Any, target: Any = None) -> Scores:
        """Return all that is known of a fitted model on held-out data, this metric first.

        Raises
        ------
        ParameterError
            If the model's `evaluate` does not know the metric.
        TrainingError
            If the metric is no number.
        """
        if callable(self.spec):
            given = (X,) if target is None else (X, target)
            found = {self.name: self.spec(model, *given)}
        elif self.spec == SCORE:
            found = {self.name: model.score(X) if target is None else model.score(X, target)}
        else:
            found = model.evaluate(X) if target is None else model.evaluate(X, target=target)
            if self.spec not in found:
                raise UnknownMetric(f"metric={self.spec!r}: choose one of {', '.join(found)}")
        scores = {self.name: float(found[self.name])}
        scores |= {name: float(value) for name, value in found.items()}
        if math.isnan(scores[self.name]):
            raise TrainingError(f"{self.name} on the held-out data is NaN")
        return scores

    def outcome(self, model: Any, X: Any, target: Any = None) -> tuple[Scores | None, str | None]:
        """Return the scores of a fitted model, or None and why there are none."""
        try:
            return self.scores(model, X, target), None
        except UnknownMetric:
            raise
        except Exception as error:  # a failure is an outcome of the study, not its end
            return None, sentence_of(error)


class UnknownMetric(ParameterError):
    """The model's `evaluate` gives no such metric, whatever its parameters."""


def sentence_of(error: Exception) -> str:
    """Return why a fit failed, in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, LatenteError) else f"{type(error).__name__}: {text}"
