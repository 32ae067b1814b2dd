"""What a study found: its table, its best setting, its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, FileError, ParameterError
from ..parts import is_whole, listed
from .queue import LOST
from .space import Label
from .storage import IDENTITY, open_study

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

    from ..storage.files import StrPath

NOTE = "note"
"""The attribute of a study that holds what was given to be kept."""
SETTING, ENDS, REASON, RUN = "setting", "ends", "reason", "run "
"""Attributes of a trial: its labels, its epochs, why it failed, and before each seed its run."""
DRAWN = 10
"""Settings whose curves are drawn: the best."""
ITERATIONS, SECONDS = "error against iterations", "error against seconds"
HEAT_MAP, PARALLEL = "heat map", "parallel coordinates"


@dataclass(frozen=True)
class Outcome:
    """What one setting came to.

    Parameters
    ----------
    number
        Of its trial.
    labels
        Its parameters.
    state
        "complete", "failed", "pruned" or "running".
    reason
        Why it failed.
    runs
        For each seed that is done: the seed, its scores, seconds and curve, or the reason.
    """

    number: int
    labels: Mapping[str, Label]
    state: str
    reason: str | None
    runs: Sequence[Mapping[str, Any]]

    def values(self, name: str) -> list[float]:
        """Return a metric of each seed that has it."""
        return [run["scores"][name] for run in self.runs if name in (run["scores"] or {})]

    def mean(self, name: str) -> float:
        """Return the mean of a metric over seeds; NaN unless the setting is complete."""
        values = self.values(name)
        return float(np.mean(values)) if values and self.state == "complete" else math.nan

    def metrics(self) -> list[str]:
        """Return the names of all that it was scored by."""
        return list(dict.fromkeys(name for run in self.runs for name in run["scores"] or ()))


class Results:
    """What a study found so far, read from where it is kept.

    Parameters
    ----------
    path
        A journal file, or the address of a database.
    name
        Of the study in its storage.

    Attributes
    ----------
    metric, higher : str, bool
        What settings are compared by, and whether more is better.
    """

    def __init__(self, path: StrPath, name: str = "study") -> None:
        self.path: StrPath | None = path
        self.name = name
        self._study: optuna.Study | None = open_study(path, name, None, None, None)
        about = self._study.user_attrs.get(IDENTITY)
        if not isinstance(about, dict):
            raise FileError(f"{path} is a study of another program")
        self.metric, self.higher = str(about["of"]["metric"]), bool(about["higher"])

    # ── tables ───────────────────────────────────────────────────────────────────────────────

    @property
    def rows(self) -> list[Outcome]:
        """What each setting came to, the best first, those without a score last."""
        study = self._stored()
        found = [] if study is None else list(rows_of(study.get_trials(deepcopy=False)))
        sign = -1 if self.higher else 1
        return sorted(found, key=lambda row: _ordered(sign * row.mean(self.metric), row.number))

    @property
    def table(self) -> Any:
        """A data frame of one row a setting, the best first.

        It has the parameters, the mean of each metric over the seeds and the spread of the one that
        settings are compared by, seconds, state and reason. Pandas' if it is installed, else
        polars', else a table of pyarrow's. Seconds are those of one fit.
        """
        return as_table(self.records())

    @property
    def runs(self) -> Any:
        """A data frame of one row a setting and seed: parameters, metrics, seconds, reason."""
        return as_table(
            [
                {
                    **row.labels,
                    "seed": run["seed"],
                    **(run["scores"] or {}),
                    "seconds": run["seconds"],
                    "state": "failed" if run["reason"] else "complete",
                    "reason": run["reason"],
                    "warnings": "; ".join(run["warnings"]) or None,
                }
                for row in self.rows
                for run in row.runs
            ]
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the rows of the table as dictionaries, NaN where there is no score."""
        return [self._record(row) for row in self.rows]

    @property
    def note(self) -> dict[str, Any]:
        """What was given to be kept with the study."""
        study = self._stored()
        return {} if study is None else dict(study.user_attrs.get(NOTE, {}))

    def _stored(self) -> optuna.Study | None:
        """Return Optuna's study, where there is one."""
        return self._study

    def _record(self, row: Outcome) -> dict[str, Any]:
        values = row.values(self.metric)
        others = [name for name in row.metrics() if name != self.metric]
        spread = float(np.std(values)) if values and row.state == "complete" else math.nan
        return {
            **row.labels,
            self.metric: row.mean(self.metric),
            f"{self.metric}_std": spread,
            **{name: row.mean(name) for name in others},
            "seconds": float(np.mean([run["seconds"] for run in row.runs] or [math.nan])),
            "seeds": len(row.runs),
            "state": row.state,
            "reason": row.reason,
            "trial": row.number,
        }

    @property
    def best(self) -> Outcome:
        """The best setting.

        Raises
        ------
        DataError
            If no setting is complete.
        """
        found = [row for row in self.rows if row.state == "complete"]
        if not found:
            reasons = [row.reason for row in self.rows if row.reason]
            why = f"; the first failed: {reasons[0]}" if reasons else ""
            raise DataError(f"the study has no complete setting{why}")
        return found[0]

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of the best setting."""
        return dict(self.best.labels)

    @property
    def best_score(self) -> float:
        """The mean of the metric over the seeds of the best setting."""
        return self.best.mean(self.metric)

    # ── figures ──────────────────────────────────────────────────────────────────────────────

    def figures(self) -> dict[str, Figure]:
        """Return every figure that the study has something for, by its name."""
        return {name: self.plot(name) for name in self._drawable()}

    def plot(self, what: str = ITERATIONS, number: int = DRAWN) -> Figure:
        """Draw the study.

        Parameters
        ----------
        what
            "error against iterations" or "error against seconds": the held-out loss, one line a
            setting with its spread over seeds; "heat map" of two parameters; "parallel
            coordinates" of more.
        number
            Settings whose lines are drawn: the best ones.

        Raises
        ------
        ParameterError
            If there is no figure of that name, or it needs something that the study has not.
        DataError
            If no setting is complete.
        """
        if what not in DRAWING:
            raise ParameterError(f"plot({what!r}): choose {listed(map(repr, DRAWING))}")
        if not is_whole(number, 1):
            raise ParameterError(f"number={number!r}: use a whole number from 1")
        _ = self.best
        return DRAWING[what](self, int(number))

    def _drawable(self) -> list[str]:
        complete = [row for row in self.rows if row.state == "complete"]
        if not complete:
            return []
        names = [ITERATIONS, SECONDS] if any(_curves(row) for row in complete) else []
        varied = len(self.varied())
        if varied == 2:
            names.append(HEAT_MAP)
        return [*names, PARALLEL] if varied > 1 else names

    def varied(self) -> list[str]:
        """Return the parameters that have more than one value."""
        rows = [row for row in self.rows if row.state != "running"]
        names = dict.fromkeys(name for row in rows for name in row.labels)
        return [name for name in names if len({repr(row.labels.get(name)) for row in rows}) > 1]

    def _lines(self, axis: str, number: int) -> Figure:
        from .. import figures

        rows = [row for row in self.rows if row.state == "complete" and _curves(row)]
        if not rows:
            raise ParameterError(
                "there are no curves: the model has no history_; draw the parallel coordinates"
            )
        varied = self.varied()
        longest = {row.number: row for row in sorted(rows, key=_length)}
        rows = [row for row in rows if longest[row.number] is row]  # others are their beginnings
        lines = {_title(row, varied): _line(_curves(row), axis) for row in rows[:number]}
        positive = all(min(y) > 0 for _, runs in lines.values() for y in runs)
        label = "seconds" if axis == "seconds" else "iterations"
        return figures.curves(
            lines, xlabel=label, ylabel="held-out loss", log="y" if positive else "",
            title=f"Held-out loss against {label}",
        )  # fmt: skip

    def _heat_map(self, number: int) -> Figure:
        from .. import figures

        names = self.varied()
        if len(names) != 2:
            raise ParameterError(
                f"a heat map is of two parameters, but {len(names)} vary; draw the parallel "
                "coordinates"
            )
        rows = self.rows
        axes = [_ticks(row.labels.get(name) for row in rows) for name in names]
        values = np.full([len(ticks) for ticks in axes], np.nan)
        for row in rows:
            place = tuple(t.index(row.labels.get(n)) for n, t in zip(names, axes, strict=True))
            values[place] = row.mean(self.metric)
        down, across = ([_shown(tick) for tick in ticks] for ticks in axes)
        return figures.heatmap(
            values, down, across, xlabel=names[1], ylabel=names[0], title=self.metric, fmt=".3g"
        )

    def _parallel(self, number: int) -> Figure:
        from .. import figures

        rows = [row for row in self.rows if row.state in ("complete", "failed")]
        varied = self.varied()
        columns: dict[str, list[Any]] = {
            _brief(name, varied): _column([row.labels.get(name) for row in rows]) for name in varied
        }
        columns[self.metric] = [row.mean(self.metric) for row in rows]
        return figures.parallel(columns, self.metric)


DRAWING: dict[str, Callable[[Results, int], Figure]] = {
    ITERATIONS: lambda results, number: results._lines("steps", number),
    SECONDS: lambda results, number: results._lines("seconds", number),
    HEAT_MAP: lambda results, number: results._heat_map(number),
    PARALLEL: lambda results, number: results._parallel(number),
}
"""The figures by name."""


def rows_of(trials: Sequence[FrozenTrial]) -> Iterator[Outcome]:
    """Yield what each setting of trials came to, each setting once."""
    known: set[str] = set()
    slots: set[Any] = set()
    for trial in trials:
        attributes = trial.user_attrs
        slot = attributes.get("slot")
        if attributes.get(LOST) or SETTING not in attributes or slot in slots:
            continue
        slots.add(slot)
        for row in _rows(trial):
            key = repr(sorted(row.labels.items()))
            if key not in known:
                known.add(key)
                yield row


def _rows(trial: FrozenTrial) -> Iterator[Outcome]:
    """Yield a row for each end of a trial."""
    attributes = trial.user_attrs
    runs = [value for name, value in attributes.items() if name.startswith(RUN)]
    runs.sort(key=lambda run: run["seed"])
    labels, ends = attributes[SETTING], attributes.get(ENDS) or [None]
    for i, epochs in enumerate(ends):
        at_end = [_at(run, i, epochs) for run in runs if len(run["ends"]) > i]
        own = labels if epochs is None else {**labels, "epochs": epochs}
        state = {"COMPLETE": "complete", "FAIL": "failed", "PRUNED": "pruned"}.get(
            trial.state.name, "running"
        )
        reason = attributes.get(REASON)
        if state in ("complete", "failed") and at_end:
            reason = failure(at_end) or (None if len(at_end) == len(runs) else reason)
            state = "complete" if reason is None else "failed"
        yield Outcome(trial.number, own, state, reason, at_end)


def _at(run: Mapping[str, Any], i: int, epochs: int | None) -> dict[str, Any]:
    """Return what a run had come to at one of its ends."""
    end, curve = run["ends"][i], run["curve"]
    if epochs is not None and curve:
        count = sum(epoch <= epochs for epoch in curve["epoch"])
        curve = {name: values[:count] for name, values in curve.items()}
    shared = {name: run[name] for name in ("seed", "warnings", "steps")}
    return {**shared, **end, "curve": curve}


def failure(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why runs of one setting failed, in one sentence; None if none did."""
    bad = [run for run in runs if run["reason"]]
    if not bad:
        return None
    first = bad[0]
    return f"{len(bad)} of {len(runs)} seeds failed; seed {first['seed']}: {first['reason']}"


def as_table(records: Sequence[Mapping[str, Any]]) -> Any:
    """Return records as a data frame of the library at hand, a column for every key."""
    import pyarrow as pa

    from ..data.tabular import as_frame

    names = dict.fromkeys(name for record in records for name in record)
    first = [n for n in names if n not in LAST]
    columns = {
        name: pa.array(_column([record.get(name) for record in records]))
        for name in [*first, *(n for n in LAST if n in names)]
    }
    return as_frame(pa.table(columns))


LAST = ("seconds", "seeds", "state", "reason", "warnings", "trial")
"""Columns that stand at the end of a table."""


def _column(values: Sequence[Any]) -> list[Any]:
    """Return values of one column, as text where they are of several kinds."""
    present = [value for value in values if value is not None]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if numbers and any(isinstance(value, float) for value in present):
        return [None if value is None else float(value) for value in values]
    if numbers or all(isinstance(v, str) for v in present):
        return list(values)
    if all(isinstance(value, bool) for value in present):
        return list(values)
    return [None if value is None else str(value) for value in values]


def _ordered(value: float, number: int) -> tuple[bool, float, int]:
    """Return a key that sorts NaN behind all numbers."""
    bad = math.isnan(value)
    return bad, 0.0 if bad else value, number


def _length(row: Outcome) -> int:
    """Return how many points the curves of a setting have."""
    return max(len(curve["loss"]) for curve in _curves(row))


def _curves(row: Outcome) -> list[dict[str, Any]]:
    """Return the curves of a setting's runs, with the steps of an epoch."""
    return [{**run["curve"], "each": run["steps"]} for run in row.runs if run["curve"]]


def _line(curves: Sequence[Mapping[str, Any]], axis: str) -> tuple[list[Any], list[Any]]:
    """Return x and the losses of each run."""
    xs = [
        curve["seconds"] if axis == "seconds" else [each * curve["each"] for each in curve["epoch"]]
        for curve in curves
    ]
    return xs, [curve["loss"] for curve in curves]


def _brief(name: str, names: Sequence[str]) -> str:
    """Return a nested parameter's own name, unless another has the same."""
    own = [each.rpartition("__")[2] for each in names]
    last = name.rpartition("__")[2]
    return last if own.count(last) == 1 else name


def _title(row: Outcome, varied: Sequence[str]) -> str:
    """Return what a line is called: what tells its setting from others."""
    return ", ".join(
        f"{_brief(name, varied)} {_shown(row.labels[name])}"
        for name in varied
        if name in row.labels
    ) or str(row.number)


def _ticks(labels: Iterator[Label]) -> list[Label]:
    """Return the different labels, numbers in rising order."""
    found = list(dict.fromkeys(labels))
    numbers = [each for each in found if isinstance(each, int | float)]
    return [*sorted(numbers)] if len(numbers) == len(found) else found


def _shown(label: Label) -> str:
    return f"{label:.3g}" if isinstance(label, float) else str(label)
