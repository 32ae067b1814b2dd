"""Work on a study: a worker takes settings and trains them until all are done.

::

    Study.run ──▶ work in this process, or ──Task──▶ processes: work, work, …
                                                      └── all through the study's storage
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..launch import apart
from ..storage.files import StrPath
from .metric import Scorer
from .queue import POLL, SLOT, Queue, Worker
from .results import ENDS, REASON, RUN, SETTING, failure
from .space import SearchSpace, Setting
from .stacked import Stacks
from .storage import open_study
from .trial import Data, Pruned, Run, run_seed

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("grid", "random", "tpe")
PRUNERS = {
    "median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner",
}  # fmt: skip
"""Names of pruners, and of Optuna's classes."""
LENGTH = 8
"""Bytes that tell how long a task is that is sent to a process."""
FAILED = 3
"""The exit code of a process that sent back an error."""

Slots = Sequence[tuple[dict[str, Any], dict[str, Any]]]
Tell = Callable[[], None]


@dataclass(frozen=True)
class Task:
    """All that a worker needs to know.

    Parameters
    ----------
    model
        Not fitted.
    space, metric, seeds, data
        What is searched, by which score, with which seeds, on what.
    path, name, identity
        Where the study is kept, and what it is a study of.
    sampler, pruner
        Names, or objects of Optuna's.
    slots
        For each setting what is fixed, and attributes of its trial.
    settings
        The setting of each slot, where they are known.
    batched
        Whether settings may be trained at once.
    jobs
        Processes that work on it here.
    threads
        Of a process that computes; None as many as torch takes.
    """

    model: Any
    space: SearchSpace
    metric: Scorer
    seeds: Sequence[int]
    data: Data
    path: StrPath | None
    name: str
    identity: Mapping[str, Any]
    sampler: Any
    pruner: Any
    slots: Slots
    settings: Sequence[Setting] | None = None
    batched: bool = True
    jobs: int = 1
    threads: int | None = None

    def open(self) -> optuna.Study:
        """Return the study, made if it is not there."""
        return open_study(
            self.path, self.name, self.identity,
            make_sampler(self.sampler, 0), make_pruner(self.pruner),
        )  # fmt: skip


def make_sampler(spec: Any, slot: int) -> Any:
    """Return Optuna's sampler for one setting.

    What is drawn for a setting depends on its slot and on what was found, not on which worker takes
    it.
    """
    import optuna

    if spec == "tpe":
        return optuna.samplers.TPESampler(seed=slot)
    return optuna.samplers.RandomSampler(seed=slot) if isinstance(spec, str) else spec


def make_pruner(spec: Any) -> Any:
    """Return Optuna's pruner."""
    import optuna

    if spec is None:
        return optuna.pruners.NopPruner()
    return getattr(optuna.pruners, PRUNERS[spec])() if isinstance(spec, str) else spec


def work(task: Task, study: optuna.Study, tell: Tell) -> None:
    """Train settings until all are done, those too that dead workers leave.

    Of several processes that torchrun started each is a worker of its own.

    Parameters
    ----------
    task
        What to do.
    study
        What `Task.open` returned.
    tell
        Called after each setting.
    """
    worker = Worker()
    queue, stacks = Queue(study, study._storage, worker), Stacks(task)
    count = len(task.slots)
    with worker.working(), apart():
        queue.fill(task.slots)
        while not queue.is_done(count):
            trials = _claim(queue, stacks, count)
            if trials:
                _work_on(task, queue, stacks, trials)
                tell()
            elif not queue.free():
                queue.fill(task.slots)  # where a worker was killed between two steps
                time.sleep(POLL)


def _claim(queue: Queue, stacks: Stacks, count: int) -> list[optuna.Trial]:
    """Return a setting that waits, and others that can be trained at once with it."""
    first = queue.claim(count)
    if first is None:
        return []
    trials = [first]
    shape = stacks.shape(first.user_attrs[SLOT])
    while shape is not None and len(trials) < stacks.most():
        other = queue.claim(count, lambda slot: stacks.shape(slot) == shape)
        if other is None:
            break
        trials.append(other)
    return trials


def _work_on(task: Task, queue: Queue, stacks: Stacks, trials: Sequence[optuna.Trial]) -> None:
    """Train settings and enter their outcomes; they wait again where this is interrupted."""
    left = list(trials)
    try:
        with queue.alive(trials):
            slots = [int(trial.user_attrs[SLOT]) for trial in trials]
            if stacks.shape(slots[0]) is not None:
                with contextlib.suppress(RuntimeError):  # what it did not do is done one by one
                    stacks.train(trials, slots)
            for trial in trials:
                _conclude(task, queue, trial)
                left.remove(trial)
    except BaseException:
        numbers = {trial.number for trial in left}
        for frozen in queue.trials():
            if frozen.number in numbers:
                queue.put_back(frozen)
        raise


def _conclude(task: Task, queue: Queue, trial: optuna.Trial) -> None:
    """Train what is left of a setting, and enter its outcome."""
    states = queue.states
    try:
        reason = _train(task, queue, trial)
        if isinstance(reason, str):
            _note(trial, REASON, reason)
            queue.finish(trial, states.FAIL)
        else:
            queue.finish(trial, states.COMPLETE, reason)
    except Pruned:
        queue.finish(trial, states.PRUNED)
    except _Taken:  # by a worker that took this one for dead
        return


class _Taken(Exception):
    """The trial is another worker's now."""


def _train(task: Task, queue: Queue, trial: optuna.Trial) -> str | float:
    """Train a setting with each seed; return its mean score, or why there is none."""
    from sklearn.base import clone

    known = trial.user_attrs
    queue.study.sampler = make_sampler(task.sampler, int(known[SLOT]))
    setting = task.space.suggest(trial)
    _note(trial, SETTING, dict(setting.labels))
    known = {**_twin(queue, trial, setting.labels), **known}
    model = clone(task.model)
    runs = []
    try:
        model.set_params(**task.space.values(setting))
    except ValueError as error:
        return " ".join(str(error).split())
    for i, seed in enumerate(task.seeds):
        run: Run | None = known.get(f"{RUN}{seed}")
        if run is None:
            report = _reporter(task, trial) if i == 0 and task.pruner is not None else None
            run = _run(model, seed, known.get(ENDS, []), task, trial, report)
        else:
            _note(trial, f"{RUN}{seed}", run)
        runs.append({**run, **run["ends"][-1]})
    reason = failure(runs)
    if reason is not None:
        return reason
    scores = [run["scores"][task.metric.name] for run in runs]
    return float(sum(scores) / len(scores))


def _run(
    model: Any, seed: int, ends: Sequence[int], task: Task, trial: optuna.Trial, report: Any
) -> Run:
    """Train with one seed, and keep what it came to."""
    try:
        run = run_seed(model, seed, ends, task.data, task.metric, report)
    except Pruned as pruned:
        _note(trial, f"{RUN}{seed}", pruned.run)
        raise
    _note(trial, f"{RUN}{seed}", run)
    return run


def _note(trial: optuna.Trial, name: str, value: Any) -> None:
    """Set an attribute of a running trial."""
    try:
        trial.set_user_attr(name, value)
    except RuntimeError:
        raise _Taken from None


def _twin(queue: Queue, trial: optuna.Trial, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runs of an earlier trial of the same setting, or {}."""
    for other in queue.trials():
        same = other.number < trial.number and other.user_attrs.get(SETTING) == labels
        if same and other.state == queue.states.COMPLETE:
            return {k: v for k, v in other.user_attrs.items() if k.startswith(RUN)}
    return {}


def _reporter(task: Task, trial: optuna.Trial) -> Callable[[int, float], bool]:
    """Return what tells Optuna's pruner of each epoch, and asks it whether to stop."""
    sign = -1.0 if task.metric.higher else 1.0

    def report(epoch: int, loss: float) -> bool:
        trial.report(sign * loss, epoch)
        return trial.should_prune()

    return report


# ── processes ────────────────────────────────────────────────────────────────────────────────


def work_in_processes(task: Task, study: optuna.Study, jobs: int, tell: Tell) -> None:
    """Let processes train settings until all are done; what killed ones leave is done here.

    Parameters
    ----------
    task, study, tell
        As for `work`.
    jobs
        How many processes.

    Raises
    ------
    ParameterError, TrainingError
        As the first process that failed raised it.
    """
    each = replace(task, jobs=jobs, threads=max(processors() // jobs, 1))
    queue = Queue(study, study._storage, Worker())
    queue.fill(task.slots)
    processes = [_started(each) for _ in range(jobs)]
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(POLL)
            tell()
            if any(process.poll() == FAILED for process in processes):
                break
        errors = [p.stdout.read() for p in processes if p.poll() == FAILED and p.stdout]
    finally:
        _end(processes)
    if errors:
        import cloudpickle

        raise cloudpickle.loads(errors[0])
    if not queue.is_done(len(task.slots)):
        work(task, study, tell)


def processors() -> int:
    """Return how many threads this process would compute with."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else here or 1


def _started(task: Task) -> subprocess.Popen[bytes]:
    """Start a process and send it its task; it ends when the pipe to it does."""
    import cloudpickle

    # The main module is not run again, as multiprocessing would: scripts need no guard.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OMP_NUM_THREADS": str(task.threads),
    }
    command = [sys.executable, "-m", __spec__.name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    content = cloudpickle.dumps(task)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # one that was killed is told by its end
        process.stdin.write(len(content).to_bytes(LENGTH, "big") + content)
        process.stdin.flush()
    return process


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes that still run, and wait for them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def main() -> int:
    """Take a task from the standard input and work on it: a process of `work_in_processes`."""
    import cloudpickle

    content = sys.stdin.buffer
    task: Task = cloudpickle.loads(content.read(int.from_bytes(content.read(LENGTH), "big")))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(task, task.open(), lambda: None)
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        sys.stdout.buffer.write(cloudpickle.dumps(error))
        sys.stdout.buffer.flush()
        return FAILED
    return 0


def _end_with_parent() -> None:
    """End this process when the one that started it has ended."""
    os.read(sys.stdin.fileno(), 1)  # not the buffer, whose lock would be held when Python ends
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
