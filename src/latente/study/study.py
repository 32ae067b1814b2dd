"""The study: settings of an estimator, each trained with several seeds, in one table."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..data.dataset import take_rows
from ..errors import DataError, ParameterError, TrainingWarning
from ..launch import apart
from ..parts import is_number, is_whole, listed
from ..storage.files import StrPath
from ..training.checkpoint import data_fingerprint
from .metric import Scorer
from .results import ENDS, NOTE, Results, rows_of
from .space import SearchSpace, Setting
from .storage import FORMAT, IDENTITY, compare, is_address, open_study, require_optuna
from .trial import Data, can_go_on, seeded
from .trial import rows_of as count_rows
from .work import PRUNERS, SAMPLERS, Slots, Task, work, work_in_processes

if TYPE_CHECKING:
    import optuna

TRIALS = 30
"""Settings that are drawn where nothing is said and they are not all listed."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
APART = frozenset({"callbacks", "verbose", "device", "warm_start", "random_state"})
"""Parameters that do not make a study another."""


class Study(Results):
    """A search over parameters: every setting with several seeds, scored on held-out data.

    ::

        space ──▶ settings × seeds ──fit──▶ scores, curves ──▶ table, best_params, figures
                                     │
                                 journal file or database: goes on where it stopped, and several
                                 processes or machines work on it at once

    A setting that fails (its loss diverges, its score is NaN) is a row of the table with its
    reason. A worker that is killed loses nothing: its setting is trained again.

    Parameters
    ----------
    estimator
        An `Autoencoder`, or any estimator with scikit-learn's `fit`, `get_params` and `set_params`.
    space
        For each parameter a list of values, or a `Range` they are drawn from; nested parameters as
        ``network__hidden``. A list of such dictionaries where parameters depend on one another.
    metric
        A name that the estimator's `evaluate` gives, such as "mse" or "psnr"; "score" for its
        `score`; or a function of a fitted model and held-out data that returns a number.
    seeds
        How many, 0 first; or a list of them. Set as `random_state`.
    path
        A journal file, ``study.journal``, or the address of a database, ``sqlite:///study.db``;
        None keeps the study in memory.
    name
        Of the study in its storage.
    sampler
        "grid" takes every setting, "random" and "tpe" (Optuna's) draw them; "auto" is "grid" where
        all values are listed, else "tpe". Or a sampler of Optuna's.
    pruner
        "median", "halving", "hyperband" or a pruner of Optuna's: ends settings whose held-out loss
        lags behind, epoch by epoch. None trains all to the end.
    maximize
        Whether more of the metric is better; None knows it by its name.
    batched
        Whether small networks of one shape are trained at once where that is faster, as one stack:
        their seconds are then the shares of one fit. The outcome is the same within the rounding
        of floats.
    verbose
        1 prints a line for each setting that is done.

    Attributes
    ----------
    table, runs : data frame
        A row a setting, the best first; a row a setting and seed.
    best_params, best_score : dict, float
        Of the setting with the best mean over seeds.

    Raises
    ------
    ParameterError
        If a parameter of the space is none of the estimator's, or a keyword cannot work.
    MissingExtra
        If Optuna is not installed.

    Examples
    --------
    >>> from latente import Autoencoder, Study, datasets
    >>> study = Study(
    ...     Autoencoder(latent_dim=8, epochs=2, loss="squared"),
    ...     {"learning_rate": [0.01, 0.001]}, metric="score", seeds=2,
    ... )
    >>> study.run(datasets.load("digits").X).best_params  # doctest: +SKIP
    {'learning_rate': 0.01}
    """

    def __init__(
        self,
        estimator: Any,
        space: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        metric: str | Callable[..., float] = "mse",
        seeds: int | Sequence[int] = 3,
        path: StrPath | None = None,
        name: str = "study",
        sampler: Any = "auto",
        pruner: Any = None,
        maximize: bool | None = None,
        batched: bool = True,
        verbose: int = 0,
    ) -> None:
        require_optuna()
        self.estimator, self.space = estimator, SearchSpace(space)
        self._metric = Scorer(metric, maximize)
        self.metric, self.higher = self._metric.name, self._metric.higher
        self.seeds = as_seeds(seeds)
        self.path, self.name = path, name
        self.sampler = self._as_sampler(sampler)
        self.pruner, self.batched = pruner, bool(batched)
        self.verbose = verbose
        self._study: optuna.Study | None = None
        self._data: Data | None = None
        self._metric.check(estimator)
        self._check_space()
        self._check_pruner()

    # ── checks ───────────────────────────────────────────────────────────────────────────────

    def _as_sampler(self, sampler: Any) -> Any:
        if sampler == "auto":
            return "grid" if self.space.listed else "tpe"
        if isinstance(sampler, str) and sampler not in SAMPLERS:
            choices = listed(map(repr, ("auto", *SAMPLERS)))
            raise ParameterError(f"sampler={sampler!r}: choose {choices}")
        return sampler

    def _check_space(self) -> None:
        """Refuse parameters that the estimator does not have, each setting on its own."""
        settings = self.space.grid() if self.sampler == "grid" else self.space.examples()
        for setting in settings:
            self._configured(setting)
        if len(self.seeds) > 1:
            known = self._configured(next(self.space.examples())).get_params()
            if not any(name.rpartition("__")[2] == "random_state" for name in known):
                raise ParameterError(
                    f"seeds={len(self.seeds)}: {type(self.estimator).__name__} has no "
                    "random_state, so all fits are the same; use seeds=1"
                )

    def _configured(self, setting: Setting) -> Any:
        """Return a copy of the estimator with a setting's parameters."""
        from sklearn.base import clone

        model = clone(self.estimator)
        values = self.space.values(setting)
        known = model.get_params()
        for name in values:
            if name.partition("__")[0] not in known:
                title, hint = type(model).__name__, _nearest(name, known)
                raise ParameterError(f"space: {title} has no parameter {name!r}; {hint}")
        seeds = [name for name in values if name.rpartition("__")[2] == "random_state"]
        if seeds:
            raise ParameterError(f"space: {seeds[0]} is set by seeds=; leave it out")
        try:
            return model.set_params(**values)
        except ValueError as error:
            text = " ".join(str(error).split())
            if "Invalid parameter" not in text and "has no parameter" not in text:
                return model  # a value that cannot work is a row of the table
            shown = ", ".join(f"{name}={value!r}" for name, value in setting.labels.items())
            raise ParameterError(
                f"space: {shown}: {text}; give parameters that depend on one another in a space "
                "of their own"
            ) from None

    def _check_pruner(self) -> None:
        if self.pruner is None:
            return
        if isinstance(self.pruner, str) and self.pruner not in PRUNERS:
            raise ParameterError(
                f"pruner={self.pruner!r}: choose {listed(map(repr, PRUNERS))}, or None"
            )
        if "callbacks" not in self.estimator.get_params():
            raise ParameterError(
                f"pruner={self.pruner!r} needs an estimator with callbacks, which "
                f"{type(self.estimator).__name__} has not; use pruner=None"
            )
        moving = [n for n in self.space.names if n.partition("__")[0] in ("loss", "bottleneck")]
        if moving:
            raise ParameterError(
                f"pruner={self.pruner!r} compares held-out losses, but space varies {moving[0]}, "
                "which changes what the loss is; use pruner=None"
            )

    # ── training ─────────────────────────────────────────────────────────────────────────────

    def run(
        self,
        X: Any,
        *,
        target: Any = None,
        validation: Any = 0.2,
        trials: int | None = None,
        jobs: int = 1,
        note: Mapping[str, Any] | None = None,
    ) -> Self:
        """Train all settings that are not done yet, and return once all are, by whomever.

        Parameters
        ----------
        X, target
            As the estimator's `fit` takes them.
        validation
            Samples like X that settings are scored on, with a target ``(X, target)``; or the share
            of X that is held out for it, the same rows for every setting. An estimator that
            validates takes them, too: it keeps the weights with the lowest loss on them.
        trials
            Settings in all, those that are done included; None takes all of a grid, or 30.
        jobs
            Processes that work on it at once, each with its share of the threads; more than one
            needs a `path`.
        note
            JSON values that are kept with the study, where it is first run.

        Raises
        ------
        FileError
            If the path holds a study of other parameters or data.
        ParameterError
            If the metric is unknown, or a keyword cannot work.
        """
        if not is_whole(jobs, 1):
            raise ParameterError(f"jobs={jobs!r}: use a whole number from 1")
        if jobs > 1 and self.path is None:
            raise ParameterError(f"jobs={jobs} needs a file to share; give path='study.journal'")
        self._data = held_out_from(X, target, validation)
        task, study = self._open(self._data, trials)
        if note is not None and NOTE not in study.user_attrs:
            study.set_user_attr(NOTE, dict(note))
        tell = self._teller(sum(len(more.get(ENDS, ())) or 1 for _, more in task.slots))
        if jobs == 1:
            work(task, study, tell)
        else:
            work_in_processes(task, study, int(jobs), tell)
        tell()
        self._warn()
        return self

    def _open(self, data: Data, trials: int | None = None) -> tuple[Task, optuna.Study]:
        """Return what is to be done and the stored study, known to be this one."""
        task = self._task(data, trials)
        if self.path is None and self._study is not None:
            compare("the study", self._study.user_attrs[IDENTITY], task.identity)
        else:
            self._study = task.open()
        return task, self._study

    def _stored(self) -> optuna.Study | None:
        if self._study is not None or self.path is None:
            return self._study
        there = is_address(self.path) or Path(self.path).exists()
        return open_study(self.path, self.name, None, None, None) if there else None

    def _task(self, data: Data, trials: int | None) -> Task:
        if trials is not None and not is_whole(trials, 1):
            raise ParameterError(f"trials={trials!r}: use a whole number from 1")
        slots: Slots = [({}, {})] * int(trials or TRIALS)
        settings = None
        if self.sampler == "grid":
            slots, settings = self._grid()
        return Task(
            self.estimator, self.space, self._metric, self.seeds, data, self.path, self.name,
            self._identity(data), self.sampler, self.pruner, slots[: trials or len(slots)],
            settings, self.batched,
        )  # fmt: skip

    def _grid(self) -> tuple[Slots, list[Setting]]:
        """Return the slots of a grid, and their settings, the beginnings of others within them."""
        chains: dict[str, list[Setting]] = {}
        for setting in self.space.grid():
            labels = dict(setting.labels)
            going_on = is_whole(labels.get("epochs"), 1) and can_go_on(self._configured(setting))
            if going_on:
                labels["epochs"] = None
            chains.setdefault(Setting(setting.part, labels).key(), []).append(setting)
        slots, settings = [], []
        for several in chains.values():
            ends = sorted(int(each.labels["epochs"]) for each in several[1:] and several)  # type: ignore[arg-type]
            longest = max(several, key=lambda each: each.labels.get("epochs", 0) if ends else 0)  # type: ignore[arg-type, return-value]
            slots.append((self.space.fixed(longest), {ENDS: ends} if ends else {}))
            settings.append(longest)
        return slots, settings

    def _identity(self, data: Data) -> dict[str, Any]:
        """Return what makes two studies the same."""
        params = {
            name: ADDRESS.sub("", repr(value))
            for name, value in self.estimator.get_params(deep=False).items()
            if name not in APART
        }
        arrays = {
            "data": data.X, "target": data.target, "held-out data": data.held_out,
            "held-out target": data.held_out_target,
        }  # fmt: skip
        return {
            "format": FORMAT,
            "higher": self.higher,
            "of": {
                "estimator": type(self.estimator).__name__,
                **params,
                "metric": self.metric,
                "seeds": list(self.seeds),
                "space": self.space.written(),
                "sampler": _named(self.sampler),
                "pruner": _named(self.pruner),
                **{name: digest_of(each) for name, each in arrays.items() if each is not None},
            },
        }

    def _teller(self, count: int) -> Callable[[], None]:
        """Return what prints a line for each of so many settings that is newly done."""
        told: set[str] = set()

        def tell() -> None:
            if not self.verbose or self._study is None:
                return
            for row in rows_of(self._study.get_trials(deepcopy=False)):
                shown = ", ".join(f"{name}={value}" for name, value in row.labels.items())
                if row.state == "running" or shown in told:
                    continue
                told.add(shown)
                score = f"{self.metric} {row.mean(self.metric):.4g}"
                outcome = score if row.state == "complete" else row.reason or row.state
                print(f"{len(told)} of {count}: {shown}: {outcome}", file=sys.stderr)

        return tell

    def _warn(self) -> None:
        """Warn where no setting could be trained."""
        rows = self.rows
        failed = [row for row in rows if row.state == "failed"]
        if failed and len(failed) == len(rows):
            warnings.warn(
                f"none of {len(rows)} settings could be trained; {failed[0].reason}",
                TrainingWarning,
                stacklevel=3,
            )

    # ── what it found ────────────────────────────────────────────────────────────────────────

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best setting, as the estimator takes them."""
        labels = self.best.labels
        for i, part in enumerate(self.space.parts):
            if part.keys() == labels.keys():
                with contextlib.suppress(ValueError):
                    return self.space.values(Setting(i, labels))
        return dict(labels)

    def best_model(self, X: Any = None, *, target: Any = None, validation: Any = 0.2) -> Any:
        """Return the best setting's model, fitted again with the seed that scored best.

        Parameters
        ----------
        X, target, validation
            As for `run`; None takes what the study was run on last.

        Raises
        ------
        DataError
            If no setting is complete, or there are no data.
        """
        from sklearn.base import clone

        data = self._data if X is None else held_out_from(X, target, validation)
        if data is None:
            raise DataError("give the data that the study was run on: best_model(X)")
        self._open(data)
        row = self.best
        sign = -1.0 if self.higher else 1.0
        run = min(row.runs, key=lambda run: sign * run["scores"][self.metric])
        model = clone(self.estimator).set_params(**self.best_params)
        with apart():
            return seeded(model, run["seed"]).fit(data.X, **data.fit_arguments(model))


def as_seeds(seeds: int | Sequence[int]) -> list[int]:
    """Return seeds as a list, checked."""
    found: Any = seeds
    if is_whole(seeds, 1):
        found = range(int(found))
    good = isinstance(found, list | tuple | range) and all(is_whole(seed, 0) for seed in found)
    if not good or not found or len(set(found)) < len(found):
        raise ParameterError(
            f"seeds={seeds!r}: use a whole number from 1, or a list of different ones"
        )
    return [int(seed) for seed in found]


def held_out_from(X: Any, target: Any, validation: Any) -> Data:
    """Return what is trained on and what is held out.

    Parameters
    ----------
    X, target, validation
        As for `Study.run`.
    """
    if is_number(validation):
        share = float(validation)
        if not 0 < share < 1:
            raise ParameterError(
                f"validation={validation!r}: give data, or a share between 0 and 1"
            )
        n = count_rows(X)
        held = min(max(round(n * share), 1), n - 1)
        if n < 2:
            raise DataError(f"X has {n} rows; give 2 or more, of which some are held out")
        order = np.random.default_rng(0).permutation(n)
        apart, kept = np.sort(order[:held]), np.sort(order[held:])
        aims = (None, None) if target is None else (_take(target, kept), _take(target, apart))
        return Data(_take(X, kept), _take(X, apart), *aims)
    if target is None:
        if validation is None:
            raise ParameterError("validation=None: give data, or a share between 0 and 1")
        return Data(X, validation)
    if not (isinstance(validation, tuple) and len(validation) == 2):
        raise ParameterError("validation has no target, but X has; give (X, target)")
    return Data(X, validation[0], target, validation[1])


def _take(X: Any, index: Any) -> Any:
    return take_rows(X if hasattr(X, "shape") or isinstance(X, list) else list(X), index)


def digest_of(X: Any) -> str:
    """Return what tells data from other data: rows and a hash of the values."""
    if hasattr(X, "tocsr"):
        X = X.tocsr()
        parts = [data_fingerprint(each) for each in (X.data, X.indices, X.indptr)]
    elif hasattr(X, "columns"):
        import narwhals

        table = narwhals.from_native(X, eager_only=True).to_arrow()
        parts = [{"columns": table.schema.names, "hash": _hash(repr(table.to_pydict()))}]
    elif hasattr(X, "dtype") and hasattr(X, "shape") and str(X.dtype) != "object":
        parts = [data_fingerprint(X)]
    else:
        values = [each if isinstance(each, str) else np.asarray(each).tolist() for each in X]
        parts = [{"hash": _hash(json.dumps(values))}]
    return f"{count_rows(X):,} rows, {_hash(json.dumps(parts, default=str))[:12]}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _named(part: Any) -> str | None:
    return part if part is None or isinstance(part, str) else type(part).__name__


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    """Return a hint at the parameter that was probably meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    names = [each for each in known if "__" not in each]
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
