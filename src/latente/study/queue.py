"""The settings of a study that wait, run and are done, shared by all its workers.

::

    waiting ──claim──▶ running ──finish──▶ done: complete, pruned or failed
        ▲                 │
        └──── its worker is dead: the trial is lost, another of the same slot takes its place

Each setting has a slot. Trials of one slot may be several, where workers were killed or two
machines began a study at once: the first that is not lost counts.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError
from ..storage.files import held

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

SLOT, WORKER, LOST = "slot", "worker", "lost"
"""Attributes of a trial: its slot, who runs it, whether its worker died."""
BEAT = 10.0
"""Seconds between two signs of life of a worker."""
GRACE = 60.0
"""Seconds without one after which a worker on another machine counts as dead."""
POLL = 0.5
"""Seconds between two looks at what other workers do."""


class Worker:
    """A process that works on a study, seen by others as alive until it ends, however that is.

    On its own machine that is told at once, by a folder that the process holds; elsewhere by its
    signs of life.
    """

    def __init__(self) -> None:
        name = f"latente-worker-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.folder = Path(tempfile.gettempdir(), name)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Be alive."""
        self.folder.mkdir()
        try:
            with held(self.folder, "it is a worker's"):
                yield
        finally:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def sign(self) -> dict[str, Any]:
        """Return a sign of life, as JSON values."""
        return {"host": platform.node(), "folder": str(self.folder), "beat": time.time()}


def is_dead(trial: FrozenTrial) -> bool:
    """Whether the worker that runs a trial is no longer there."""
    sign = trial.user_attrs.get(WORKER)
    if not isinstance(sign, dict):
        begun = trial.datetime_start
        return begun is not None and time.time() - begun.timestamp() > GRACE
    folder = Path(str(sign.get("folder")))
    here = sign.get("host") == platform.node() and sys.platform != "win32"
    if here and folder.is_dir():
        try:
            with held(folder, ""):
                return True
        except FileError:
            return False
    return time.time() - float(sign.get("beat", 0)) > GRACE


class Queue:
    """The trials of a study, as one worker sees them.

    Parameters
    ----------
    study
        Optuna's.
    storage
        The one that the study is in.
    worker
        This process.
    """

    def __init__(self, study: optuna.Study, storage: Any, worker: Worker) -> None:
        from optuna.trial import TrialState

        self.study, self.storage, self.worker = study, storage, worker
        self.states = TrialState
        self.study_id = storage.get_study_id_from_name(study.study_name)

    def trials(self) -> list[FrozenTrial]:
        """Return the trials that are not lost, in the order in which they were made."""
        return [t for t in self.study.get_trials(deepcopy=False) if not t.user_attrs.get(LOST)]

    def fill(self, settings: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """Let settings wait that have no trial yet.

        Parameters
        ----------
        settings
            For each slot the parameters that are fixed, and attributes of the trial.
        """
        taken = {trial.user_attrs.get(SLOT) for trial in self.trials()}
        for slot, (fixed, attributes) in enumerate(settings):
            if slot not in taken:
                self.study.enqueue_trial(fixed, {SLOT: slot, **attributes})

    def claim(
        self, slots: int, suits: Callable[[int], bool] = lambda slot: True
    ) -> optuna.Trial | None:
        """Return a trial that waited and is this worker's now, or None where none waits.

        Parameters
        ----------
        slots
            Slots from this number on stay where they are.
        suits
            Which of the others are taken.
        """
        import optuna

        for trial in self.trials():
            slot = trial.user_attrs.get(SLOT, slots)
            if trial.state != self.states.WAITING or slot >= slots or not suits(slot):
                continue
            with contextlib.suppress(RuntimeError):  # another worker was faster
                self.storage.set_trial_user_attr(self._id(trial), WORKER, self.worker.sign())
                if not self.storage.set_trial_state_values(self._id(trial), self.states.RUNNING):
                    continue
                if self._first(trial):
                    self.storage.set_trial_user_attr(self._id(trial), WORKER, self.worker.sign())
                    return optuna.Trial(self.study, self._id(trial))
                self._lose(trial)
        return None

    def free(self) -> int:
        """Let the trials of dead workers wait again, and return how many there were."""
        running = [t for t in self.trials() if t.state == self.states.RUNNING]
        return sum(self.put_back(trial) for trial in running if is_dead(trial))

    def put_back(self, trial: FrozenTrial) -> bool:
        """Let a running trial wait again, with what it came to so far; False if it is not running.

        Only one of several workers that try it at once succeeds.
        """
        if not self._lose(trial):
            return False
        kept = {k: v for k, v in trial.user_attrs.items() if k not in (WORKER, LOST)}
        self.study.enqueue_trial(dict(trial.params), kept)
        return True

    def is_done(self, slots: int) -> bool:
        """Whether each slot has an outcome."""
        done = {t.user_attrs.get(SLOT) for t in self.trials() if t.state.is_finished()}
        return done >= set(range(slots))

    def finish(self, trial: optuna.Trial, state: Any, value: float | None = None) -> None:
        """Enter a trial's outcome, unless it was taken away meanwhile."""
        with contextlib.suppress(ValueError, RuntimeError):
            self.study.tell(trial, value, state=state)

    @contextlib.contextmanager
    def alive(self, trials: Sequence[optuna.Trial]) -> Iterator[None]:
        """Give signs of life while trials run."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT):
                for trial in trials:
                    with contextlib.suppress(Exception):  # it has ended; or the next one comes soon
                        trial.set_user_attr(WORKER, self.worker.sign())

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _id(self, trial: FrozenTrial) -> int:
        found: int = self.storage.get_trial_id_from_study_id_trial_number(
            self.study_id, trial.number
        )
        return found

    def _first(self, trial: FrozenTrial) -> bool:
        """Whether a trial is the first of its slot that is not lost."""
        slot = trial.user_attrs.get(SLOT)
        return trial.number == min(
            t.number for t in self.trials() if t.user_attrs.get(SLOT) == slot
        )

    def _lose(self, trial: FrozenTrial) -> bool:
        """Mark a running trial as lost; False if another worker did so, or it ended."""
        try:
            self.storage.set_trial_user_attr(self._id(trial), LOST, True)
            self.storage.set_trial_state_values(self._id(trial), self.states.FAIL)
        except RuntimeError:
            return False
        return True
