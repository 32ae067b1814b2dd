"""Thresholds: the score below which a row counts as an anomaly; `THRESHOLDS` is the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..parts import Part, Table, is_number, require

Floats = NDArray[np.float64]


@dataclass(kw_only=True)
class Threshold(Part, ABC):
    """A rule for the score below which a row is an anomaly."""

    labelled: ClassVar[bool] = False
    """Whether it needs rows of both kinds, and to know which is which."""

    @abstractmethod
    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        """Return the threshold.

        Parameters
        ----------
        scores
            Of held-out rows, higher for more normal, (n,).
        anomalies
            Which of them are known to be anomalies, (n,); the rules without labels leave them out.
        """


@dataclass(kw_only=True)
class Quantile(Threshold):
    """Flag that share of normal rows, as false alarms.

    Parameters
    ----------
    rate
        Share of normal rows below the threshold, from 0 to 1: the rate of false alarms.
    """

    rate: float = 0.05

    def check(self) -> None:
        require(is_number(self.rate, 0, 1), self, "rate", self.rate, "a number from 0 to 1")

    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        return float(np.quantile(scores[~anomalies], self.rate))


@dataclass(kw_only=True)
class Alerts(Threshold):
    """Flag about so many normal rows a day.

    Parameters
    ----------
    per_day
        Alerts a day.
    rows_per_day
        Rows that come in a day.
    """

    per_day: float = 10.0
    rows_per_day: float = 1000.0

    def check(self) -> None:
        require(is_number(self.per_day, 0), self, "per_day", self.per_day, "a number from 0")
        good = is_number(self.rows_per_day, 0) and self.rows_per_day > 0
        require(good, self, "rows_per_day", self.rows_per_day, "a positive number")

    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        rate = min(self.per_day / self.rows_per_day, 1.0)
        return float(np.quantile(scores[~anomalies], rate))


@dataclass(kw_only=True)
class Fence(Threshold):
    """Flag what lies apart from the bulk, as a box plot does (Tukey, 1977).

    The distance of the fence from the median is measured on its other side, that of the most normal
    rows: it needs neither labels nor rows that are all normal.

    Parameters
    ----------
    whiskers
        Length of a whisker of the box plot, in lengths of the box, at least 0.
    """

    whiskers: float = 1.5

    def check(self) -> None:
        require(is_number(self.whiskers, 0), self, "whiskers", self.whiskers, "a number from 0")

    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        middle, high = np.quantile(scores[~anomalies], (0.5, 0.75))
        return float(middle - (1 + 2 * self.whiskers) * (high - middle))


@dataclass(kw_only=True)
class F1(Threshold):
    """The threshold with the best F1 on labelled rows."""

    labelled: ClassVar[bool] = True

    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        cuts, caught, alarms = candidates(scores, anomalies)
        return float(cuts[np.argmax(2 * caught / (caught + alarms + anomalies.sum()))])


@dataclass(kw_only=True)
class LeastCost(Threshold):
    """The threshold that costs least on labelled rows.

    Parameters
    ----------
    miss, false_alarm
        What a missed anomaly and a normal row that is flagged cost, in any one unit, at least 0.
    """

    labelled: ClassVar[bool] = True
    miss: float = 10.0
    false_alarm: float = 1.0

    def check(self) -> None:
        for name in ("miss", "false_alarm"):
            value = getattr(self, name)
            require(is_number(value, 0), self, name, value, "a number from 0")

    def offset(self, scores: Floats, anomalies: NDArray[np.bool_]) -> float:
        cuts, caught, alarms = candidates(scores, anomalies)
        return float(
            cuts[np.argmin(self.miss * (anomalies.sum() - caught) + self.false_alarm * alarms)]
        )


THRESHOLDS: Table[Threshold] = Table(
    "anomaly.thresholds.Threshold",
    quantile="anomaly.thresholds.Quantile",
    alerts="anomaly.thresholds.Alerts",
    fence="anomaly.thresholds.Fence",
    f1="anomaly.thresholds.F1",
    cost="anomaly.thresholds.LeastCost",
)


def candidates(scores: Floats, anomalies: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return thresholds between scores, and how many anomalies and normal rows lie below each."""
    if anomalies.all() or not anomalies.any():
        raise DataError(
            "a threshold by labels needs normal rows and anomalies, but y has "
            f"{'anomalies' if anomalies.all() else 'normal rows'} only"
        )
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    distinct = np.flatnonzero(np.diff(ranked) > 0) + 1
    between = (ranked[distinct - 1] + ranked[distinct]) / 2
    cuts = np.concatenate([[ranked[0]], between, [np.nextafter(ranked[-1], np.inf)]])
    below = np.concatenate([[0], distinct, [len(ranked)]])
    counts = np.concatenate([[0], np.cumsum(anomalies[order])])[below]
    return cuts, counts.astype(np.float64), (below - counts).astype(np.float64)


def as_labels(y: Any, count: int) -> NDArray[np.bool_]:
    """Return labels as which rows are anomalies, or raise `DataError`.

    Parameters
    ----------
    y
        1 or True for anomalies, 0 or False for normal rows; or, as scikit-learn has it, −1 for
        anomalies and 1 for normal rows, (n,).
    count
        How many rows there are.
    """
    labels = np.asarray(y)
    if labels.shape != (count,):
        raise DataError(
            f"y has shape {labels.shape}, but there are {count} rows; give one for each"
        )
    values = set(np.unique(labels).tolist())
    if values <= {0, 1} and values != {1}:
        return labels.astype(bool)
    if values <= {-1, 1} and values != {1}:
        return np.asarray(labels == -1)
    if labels.dtype == bool:
        raise DataError("y is True for every row, but a threshold needs normal rows")
    if values == {1}:
        raise DataError(
            "y is 1 for every row, which may mean anomalies (beside 0) or normal rows (beside -1): "
            "leave y out where all rows are normal"
        )
    raise DataError(
        f"y holds {listed_values(values)}: use 0 for normal rows and 1 for anomalies, or 1 for "
        "normal rows and -1 for anomalies"
    )


def listed_values(values: set[Any]) -> str:
    """Return the first few of the values, in words."""
    shown = sorted(map(repr, values))
    return ", ".join(shown[:4]) + (" …" if len(shown) > 4 else "")
