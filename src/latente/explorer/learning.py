"""A fit under the page: the codes of the shown rows, epoch by epoch, while the model is trained.

::

    epoch ends ──▶ weights copied ──▶ rows encoded ──▶ a new view, its points kept
               ╰─▶ record of the losses ──▶ the page's events
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from ..build import check_params
from ..errors import LatenteError
from ..estimator import Autoencoder
from ..fitted import Fitted
from ..training.state import TrainingState
from .coders import AutoencoderCoder, facts_of
from .plane import Floats
from .scene import Scene
from .view import ModelView

KEPT = 100
"""Epochs, at most, whose points are kept: of more, every second is let go."""
SHARE = 0.25
"""Of the time of training, how much the map may take."""


@dataclass(frozen=True)
class Event:
    """Something that the page is told.

    Parameters
    ----------
    kind
        "epoch", "done" or "failed".
    data
        Plain JSON values.
    epoch
        Which epoch it tells of; None for the end.
    """

    kind: str
    data: dict[str, Any]
    epoch: int | None = None


class Learning:
    """A fit that is watched.

    Parameters
    ----------
    model
        Not fitted yet; `run` fits it.
    X
        What it is trained on.
    shown
        The rows to show; X if not given.
    y
        What is known of each shown row.
    fit
        Further keywords of `Autoencoder.fit`.
    model_name
        What the model is called.
    map
        As for `Scene`; "umap" comes once the model is fitted.
    scene
        Further keywords of `Scene`.

    Attributes
    ----------
    scene : Scene
        What is shown: at first the model before training, then that of the last epoch kept, and in
        the end the fitted one.
    """

    def __init__(
        self,
        model: Autoencoder,
        X: Any,
        shown: Any = None,
        y: Any = None,
        *,
        fit: dict[str, Any] | None = None,
        model_name: str = "model",
        map: str = "auto",  # noqa: A002 - what it is called everywhere
        **scene: Any,
    ) -> None:
        self.model, self.X, self.name, self.map = model, X, model_name, map
        self.shown = X if shown is None else shown
        self.keywords = fit or {}
        self.lock = threading.Lock()
        self.events: list[Event] = []
        self.kept: dict[int, Floats] = {}
        self.epochs = model.epochs if isinstance(model.epochs, int) else None
        self.ended = False
        self._spent, self._stride, self._stop = 0.0, 1, False
        self._begun = time.perf_counter()
        self._before, facts = untrained(model, X, self.keywords)
        self._facts = facts
        self.scene = Scene(
            {model_name: AutoencoderCoder(self._before, facts)}, self.shown, y,
            map="auto" if map == "umap" else map, **scene,
        )  # fmt: skip

    def run(self) -> Autoencoder:
        """Fit the model, and show it as it is in the end.

        Raises
        ------
        LatenteError
            What the fit raises; the page is told, too.
        """
        own = self.model.callbacks
        self.model.callbacks = [*(own or ()), self]
        self._begun = time.perf_counter()
        try:
            self.model.fit(self.X, **self.keywords)
            with contextlib.suppress(KeyboardInterrupt):  # what was learned is kept
                self._show_fitted()
            self.ended = True
            data = {"epochs": self.model.epochs_, "best_epoch": self.model.best_epoch_}
            self._tell(Event("done", data))
        except Exception as error:
            told = str(error) if isinstance(error, LatenteError) else type(error).__name__
            self._tell(Event("failed", {"error": told}))
            self.ended = True
            raise
        finally:
            self.model.callbacks = own
        return self.model

    def stop(self) -> None:
        """End the fit after this epoch."""
        self._stop = True

    def on_epoch_end(self, state: TrainingState) -> None:
        """Keep where the rows lie now, unless that takes too much of the time."""
        self.epochs = state.epochs
        last = state.epoch >= state.epochs or self._stop
        begun = time.perf_counter()
        if last or self._spent <= SHARE * (begun - self._begun - self._spent):
            self._keep(state)
            self._spent += time.perf_counter() - begun
        state.stop = state.stop or self._stop
        record = {
            name: value if math.isfinite(value) else None for name, value in state.record.items()
        }
        self._tell(Event("epoch", {**record, "kept": state.epoch in self.kept}, state.epoch))

    def since(self, epoch: int, seen: int = 0) -> tuple[list[Event], int]:
        """Return what there is to tell beyond what was told.

        Parameters
        ----------
        epoch
            The last epoch that is known.
        seen
            How many events were looked at.

        Returns
        -------
        events, seen
            In order, and how many events were looked at now.
        """
        with self.lock:
            found = self.events[seen:]
            return [e for e in found if e.epoch is None or e.epoch > epoch], len(self.events)

    def points(self, epoch: int) -> Floats | None:
        """Return where the rows were after an epoch, (n, 2); None where that was not kept."""
        with self.lock:
            return self.kept.get(epoch)

    def facts(self) -> dict[str, Any]:
        """Return how far the fit is, as plain JSON values."""
        with self.lock:
            kept = sorted(self.kept)
        return {"epochs": self.epochs, "kept": kept, "done": self.ended}

    def _keep(self, state: TrainingState) -> None:
        """Make the model's present state the view, and keep its points."""
        model = deepcopy(self._before.model)
        model.load_state_dict(state.model.state_dict())
        facts = {**self._facts, "epochs": state.epoch}
        coder = AutoencoderCoder(replace(self._before, model=model.eval()), facts)
        view = ModelView(
            coder, self.shown, name=self.name, map="auto" if self.map == "umap" else self.map,
            like=self.scene.views[0],
        )  # fmt: skip
        self.scene.views[0] = view
        with self.lock:
            if state.epoch % self._stride == 0 or state.epoch >= state.epochs:
                self.kept[state.epoch] = view.points
            while len(self.kept) > KEPT:
                self._stride *= 2
                last = max(self.kept)
                self.kept = {
                    epoch: points for epoch, points in self.kept.items()
                    if epoch % self._stride == 0 or epoch == last
                }  # fmt: skip

    def _show_fitted(self) -> None:
        """Show the fitted model."""
        coder = AutoencoderCoder.of(self.model)
        train = None if self.shown is self.X else self.X
        view = ModelView(
            coder, self.shown, name=self.name, map=self.map, train=train, like=self.scene.views[0]
        )
        view.prepare()
        self.scene.views[0], self.scene.train = view, train

    def _tell(self, event: Event) -> None:
        with self.lock:
            self.events.append(event)


def untrained(
    model: Autoencoder, X: Any, keywords: dict[str, Any]
) -> tuple[Fitted, dict[str, Any]]:
    """Return a model as it is before its first step, and what it is; wrong parameters are told.

    Parameters
    ----------
    model
        Not fitted yet, and left as it is.
    X, keywords
        What it will be fitted with.
    """
    other = clone(model)
    params = other.get_params(deep=False)
    check_params(params, held_out=keywords.get("validation") is not None)
    fitted, parts, _ = other._begin(params, X, keywords.get("target"), again=False)
    fitted.model.eval()
    return fitted, facts_of(fitted, parts.network, parts.bottleneck, parts.loss, 0)
