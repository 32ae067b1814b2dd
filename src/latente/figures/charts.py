"""Charts of numbers, of any models or of none: lines, heat maps, parallel coordinates, bars.

::

    curves    name → (steps,) or (runs, steps)      the mean of the runs, and from least to most
    heatmap   (rows, columns)                        two parameters against a metric
    parallel  column → values                        many parameters against a metric
    bars      name → value or values                 mean, standard deviation, and each value

NaN is what was not measured, or diverged: it is left out, and said where it is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import ArrayLike

from ..errors import DataError, ParameterError
from ..metrics import Numbers
from ..parts import listed
from .mosaic import is_frame
from .style import SMALL, bare, canvas, dress, heading, now, panel, scale, short

Line: TypeAlias = ArrayLike | Sequence[ArrayLike] | tuple[ArrayLike, ArrayLike]
"""Values of one line: (steps,), (runs, steps), runs of several lengths, or a pair (x, y)."""

WIDTH, HEIGHT = 4.6, 3.0
"""Of the axes of a chart in inches."""
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
"""How lines are drawn that share a colour."""
WIDE = 30.0
"""Positive values whose greatest is more than so many times the least have a logarithmic axis."""
LEVELS = 12
"""Up to so many different values of a parameter, all of them are written at its axis."""


def curves(
    lines: Mapping[str, Line],
    x: ArrayLike | None = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    log: str = "",
    title: str = "",
) -> Figure:
    """Draw lines; of several runs the mean, and shaded the range from the least to the greatest.

    Parameters
    ----------
    lines
        Values by name: of one run, (steps,), of several, (runs, steps), or a list of runs of
        several lengths. A tuple of two of these is a pair (x, y): such a line has its own x, whose
        mean over the runs is taken step by step.
    x
        Of all lines that have none of their own, (steps,); by default 1, 2, 3 and so on.
    xlabel, ylabel, title
        What is written at the axes, and above.
    log
        Which axes are logarithmic: "", "x", "y" or "xy".

    Raises
    ------
    ParameterError
        If there is no such ``log``.
    DataError
        If there is no line, lengths do not fit, or a logarithmic axis would show values up to 0.
    """
    if log not in ("", "x", "y", "xy"):
        raise ParameterError(f'log={log!r}: use "", "x", "y" or "xy"')
    if not lines:
        raise DataError("there are no lines to draw")
    strands = [_strand(name, line, x) for name, line in lines.items()]
    for strand in strands:
        strand.check(log)
    named = len(strands) > 1 or strands[0].name != ""
    figure, axes = _chart(_legend_width(lines) if named else 0.1, xlabel, ylabel, title)
    for i, strand in enumerate(strands):
        _draw_strand(axes, strand, now().colours[i % 10], DASHES[i // 10 % 4])
    for name in log:
        _logarithmic(axes, name)
    if named:
        _legend(axes)
    return figure


def heatmap(
    values: ArrayLike,
    rows: Sequence[Any],
    columns: Sequence[Any],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    fmt: str = ".3g",
) -> Figure:
    """Draw a grid of two parameters against a metric, each value written in its cell.

    Parameters
    ----------
    values
        Of the metric, (rows, columns). The colours are on a logarithmic scale where all values are
        positive and the greatest is more than 30 times the least.
    rows, columns
        What each row, from the top, and each column is called.
    xlabel, ylabel, title
        What columns and rows are, and what is written above.
    fmt
        How values are written, as for `format`: ".3g", ".1%".

    Raises
    ------
    DataError
        If there are not as many names as rows and columns, or nothing was measured.
    ParameterError
        If numbers cannot be written in that format.
    """
    grid = np.asarray(values, dtype=np.float64)
    if grid.shape != (len(rows), len(columns)) or not grid.size:
        raise DataError(
            f"values have the shape {grid.shape}, but there are {len(rows)} names of rows and "
            f"{len(columns)} of columns"
        )
    try:
        written = [[format(value, fmt).replace("-", "−") for value in row] for row in grid.tolist()]
    except ValueError:
        raise ParameterError(f'fmt={fmt!r}: use a format of numbers, such as ".3g"') from None
    norm = _norm(grid, "values")
    side = max(0.5, 0.09 * max(len(text) for row in written for text in row) + 0.15)
    left = 0.55 + 0.075 * max(len(str(name)) for name in rows)
    wide, high = side * len(columns), 0.42 * len(rows)
    slanted = max(len(str(name)) for name in columns) * 0.075 > side
    foot = 0.5 + (0.06 * max(len(str(name)) for name in columns) if slanted else 0.0)
    figure = canvas(left + wide + 0.95, foot + high + (0.4 if title else 0.15))
    axes = panel(figure, left, foot, wide, high)
    dress(axes, xlabel, ylabel)
    axes.grid(visible=False)
    if title:
        heading(axes, title)
    colours = scale()(norm(grid))
    colours[~np.isfinite(grid)] = (0, 0, 0, 0)
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    for (i, j), value in np.ndenumerate(grid):
        axes.text(
            j, i, written[i][j] if np.isfinite(value) else "–",
            ha="center", va="center", fontsize=SMALL,
            color=_readable(colours[i, j]) if np.isfinite(value) else now().muted,
        )  # fmt: skip
    axes.set_xticks(range(len(columns)), [str(name) for name in columns])
    axes.set_yticks(range(len(rows)), [str(name) for name in rows])
    if slanted:
        axes.tick_params(axis="x", labelrotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    _colour_bar(panel(figure, left + wide + 0.15, foot, 0.12, high), norm)
    return figure


def parallel(table: Mapping[str, Sequence[Any]], metric: str, *, title: str = "") -> Figure:
    """Draw settings as lines across one axis a parameter, coloured by a metric, the last axis.

    Parameters
    ----------
    table
        Columns by name, or a data frame: the parameters and the metric, one row a setting. A
        column of text has its values one above the other, in the order in which they appear;
        positive numbers that span more than a factor of 30 have a logarithmic axis. Lines that
        share a value of a parameter are fanned out, so that each is seen.
    metric
        The column of numbers that gives the colours. Rows that have none are drawn dotted.
    title
        What is written above.

    Raises
    ------
    DataError
        If there is no such column, or no parameter beside it, or columns differ in length.
    """
    columns = _columns(table)
    if metric not in columns or len(columns) < 2:
        raise DataError(f"{metric}: the columns are {listed(columns)}; give one of several")
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise DataError(f"columns have {listed(map(str, sorted(lengths)))} values; give as many")
    result = np.array(
        [np.nan if value is None else value for value in columns.pop(metric)], dtype=np.float64
    )
    result = np.where(np.isfinite(result), result, np.nan)
    norm = _norm(result, metric)
    parameters = [_axis(name, values) for name, values in columns.items()]
    rank = np.argsort(np.argsort(result, kind="stable"))
    at = [axis.fanned(rank) for axis in parameters]
    last = np.asarray(norm(np.where(np.isnan(result), np.nanmin(result), result)))
    heights = np.stack([*at, last], axis=1)
    step, left = 1.45, 0.12 + max(0.2, 0.036 * min(18, len(next(iter(columns)))))
    figure = canvas(left + step * len(parameters) + 1.1, HEIGHT + 1.05)
    axes = panel(figure, left, 0.4, step * len(parameters), HEIGHT)
    bare(axes)
    axes.set(xlim=(0, len(parameters)), ylim=(0, 1))
    _lines(axes, heights, result, norm)
    for i, (name, axis) in enumerate(zip(columns, parameters, strict=True)):
        _vertical(axes, i, name, axis)
    _vertical(axes, len(parameters), metric, _Axis(np.zeros(0), (), ()))
    _colour_bar(panel(figure, left + step * len(parameters), 0.4, 0.12, HEIGHT), norm)
    missing = int((~np.isfinite(result)).sum())
    note = f"dotted: {missing} of {len(result)} have no {metric}" if missing else ""
    across, up = figure.get_size_inches()
    figure.text(left / across, 0.1 / up, note, color=now().muted, fontsize=SMALL)
    figure.text(left / across, 1 - 0.1 / up, title, va="top", color=now().ink, fontweight="bold")
    return figure


def bars(
    values: Mapping[str, float | Sequence[float]], *, ylabel: str = "", title: str = ""
) -> Figure:
    """Draw one bar a name; of several values the mean, its standard deviation, and each as a dot.

    Parameters
    ----------
    values
        By name: one value, or those of several runs.
    ylabel, title
        What is written at the axis, and above.

    Raises
    ------
    DataError
        If there is nothing to draw, or a name has no value.
    """
    if not values:
        raise DataError("there are no bars to draw")
    runs = {name: np.atleast_1d(np.asarray(each, np.float64)) for name, each in values.items()}
    for name, each in runs.items():
        if each.ndim != 1 or not np.isfinite(each).any():
            raise DataError(f"{name}: give a number, or those of several runs; here is {each}")
    finite = [each[np.isfinite(each)] for each in runs.values()]
    labels = [fill(str(name), 14) for name in runs]
    wide = max(0.62, 0.068 * max(len(line) for label in labels for line in label.split("\n")) + 0.1)
    lines = max(label.count("\n") for label in labels)
    foot, width = 0.35 + 0.16 * lines, max(1.5, wide * len(runs))
    figure = canvas(0.75 + width + 0.1, foot + HEIGHT + (0.4 if title else 0.2))
    axes = panel(figure, 0.75, foot, width, HEIGHT)
    dress(axes, "", ylabel)
    axes.grid(visible=False, axis="x")
    if title:
        heading(axes, title)
    for i, each in enumerate(finite):
        _bar(axes, i, each)
    axes.axhline(0, color=now().muted, linewidth=0.8)
    axes.set_xticks(range(len(runs)), labels)
    axes.set_xlim(-0.6, len(runs) - 0.4)
    axes.margins(y=0.12)
    return figure


def _bar(axes: Axes, x: int, values: Numbers) -> None:
    """Draw a bar at the values' mean; of several also their deviation, and each as a dot."""
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    axes.bar(x, mean, 0.66, color=now().colours[0], alpha=0.85, linewidth=0, zorder=2)
    top = max(mean, 0.0)
    if len(values) > 1:
        axes.errorbar(x, mean, deviation, color=now().ink, linewidth=1.1, capsize=4, zorder=4)
        spots = x + np.linspace(-0.18, 0.18, len(values))
        axes.scatter(
            spots, values, s=9, facecolors=now().paper, edgecolors=now().ink, linewidths=0.7,
            zorder=5,
        )  # fmt: skip
        top = max(top, mean + deviation, float(values.max()))
    axes.annotate(
        short(mean), (x, top), (0, 4), textcoords="offset points", ha="center", va="bottom",
        color=now().ink, fontsize=SMALL,
    )  # fmt: skip


@dataclass(frozen=True)
class _Strand:
    """One line: x, (steps,), and y, (runs, steps); steps that a run does not have are NaN."""

    name: str
    x: Numbers
    y: Numbers

    def check(self, log: str) -> None:
        """Raise `DataError` where an axis is to be logarithmic and a value is not above 0."""
        for axis, values in (("x", self.x), ("y", self.y)):
            known = values[np.isfinite(values)]
            if axis in log and known.size and known.min() <= 0:
                raise DataError(
                    f'log={log!r}: the line "{self.name}" has {axis} = {known.min():g}; '
                    "a logarithmic axis shows values above 0"
                )


def _strand(name: str, line: Line, x: ArrayLike | None) -> _Strand:
    """Return a line as it is drawn."""
    if isinstance(line, tuple) and len(line) == 2 and not any(np.isscalar(part) for part in line):
        x, line = line
    y = _runs(name, line)
    steps = _runs(name, np.arange(1, y.shape[1] + 1) if x is None else x)
    if steps.shape[1] != y.shape[1]:
        raise DataError(
            f'the line "{name}" has {y.shape[1]} steps, but x has {steps.shape[1]}; give as many'
        )
    return _Strand(name, _mean(steps), y)


def _runs(name: str, values: Any) -> Numbers:
    """Return values as (runs, steps); runs that end earlier are filled up with NaN."""
    try:
        ragged = len({np.shape(run) for run in values}) > 1
        rows = [np.asarray(run, np.float64) for run in values] if ragged else []
        array = np.asarray(values, np.float64) if not ragged else np.zeros((0, 0))
    except (TypeError, ValueError):
        raise DataError(f'the line "{name}": give numbers, (steps,) or (runs, steps)') from None
    if ragged and all(row.ndim == 1 for row in rows):
        array = np.full((len(rows), max(map(len, rows))), np.nan)
        for i, row in enumerate(rows):
            array[i, : len(row)] = row
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise DataError(
            f'the line "{name}" has the shape {array.shape}: give (steps,) or (runs, steps)'
        )
    return np.where(np.isfinite(array), array, np.nan)


def _mean(values: Numbers) -> Numbers:
    """Return the mean over the runs that have a value at each step; NaN where none has."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _draw_strand(axes: Axes, strand: _Strand, colour: str, dashes: Any) -> None:
    mean, some = _mean(strand.y), np.isfinite(strand.y).any(axis=0)
    if len(strand.y) > 1:
        low = np.where(some, np.where(np.isnan(strand.y), np.inf, strand.y).min(axis=0), np.nan)
        high = np.where(some, np.where(np.isnan(strand.y), -np.inf, strand.y).max(axis=0), np.nan)
        axes.fill_between(strand.x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    marker = "o" if some.sum() < 8 else ""
    axes.plot(
        strand.x, mean, color=colour, linestyle=dashes, linewidth=1.5, marker=marker,
        markersize=3.5, label=strand.name, zorder=3,
    )  # fmt: skip


def _chart(right: float, xlabel: str, ylabel: str, title: str) -> tuple[Figure, Axes]:
    """Return a figure with one dressed panel, and that much room to the right of it."""
    figure = canvas(0.75 + WIDTH + right, 0.55 + HEIGHT + (0.4 if title else 0.15))
    axes = panel(figure, 0.75, 0.55, WIDTH, HEIGHT)
    dress(axes, xlabel, ylabel)
    if title:
        heading(axes, title)
    return figure, axes


def _legend_width(lines: Mapping[str, Line]) -> float:
    columns = -(-len(lines) // 16)
    return columns * (0.6 + 0.076 * max(len(str(name)) for name in lines))


def _legend(axes: Axes) -> None:
    """Write the names of the lines to the right of the axes."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.02), ncols=-(-len(labels) // 16),
        frameon=False, fontsize=SMALL, labelcolor=now().ink, handlelength=1.6, borderaxespad=0.4,
    )  # fmt: skip


def _logarithmic(axes: Axes, name: str) -> None:
    """Make an axis logarithmic, its numbers written in full."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if name == "x" else axes.get_ylim()
    narrow = high < 1000 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def _norm(values: Numbers, name: str) -> Normalize:
    """Return how values become colours: from the least to the greatest that are finite."""
    known = values[np.isfinite(values)]
    if not known.size:
        raise DataError(f"{name}: there is no number to draw")
    low, high = float(known.min()), float(known.max())
    if 0 < WIDE * low < high:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1.0)


def _readable(colour: Any) -> str:
    """Return black or white, whichever is easier to read on a colour."""
    linear = np.power(colour[:3], 2.2) @ (0.2126, 0.7152, 0.0722)
    return "#000000" if linear > 0.18 else "#ffffff"


def _colour_bar(axes: Axes, norm: Normalize) -> None:
    """Draw the scale of colours as a bar with its numbers at the right."""
    bar = axes.figure.colorbar(ScalarMappable(norm, scale()), cax=axes)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    bar.ax.tick_params(which="both", colors=now().muted, labelsize=SMALL, length=0, pad=4)


def _columns(table: Any) -> dict[str, list[Any]]:
    """Return the columns of a mapping, or of a data frame, as lists."""
    if is_frame(table):
        frame = nw.from_native(table, eager_only=True)
        return {name: frame[name].to_list() for name in frame.columns}
    return {str(name): list(values) for name, values in table.items()}


@dataclass(frozen=True)
class _Axis:
    """Where the values of a parameter lie on its axis, from 0 to 1, and its ticks."""

    at: Numbers
    ticks: Sequence[float]
    labels: Sequence[str]

    def fanned(self, rank: Any) -> Numbers:
        """Return the positions with those that are equal spread out a little, by rank."""
        at, levels = self.at.copy(), np.unique(self.at)
        if len(levels) == len(at):
            return at
        gap = np.diff(levels).min() if len(levels) > 1 else 1.0
        half = min(0.035, 0.35 * gap)
        for level in levels:
            members = np.flatnonzero(self.at == level)
            order = np.argsort(np.argsort(rank[members]))
            at[members] += half * np.linspace(-1, 1, len(members))[order] * (len(members) > 1)
        return at


def _axis(name: str, values: Sequence[Any]) -> _Axis:
    """Return the axis of a parameter."""
    if all(isinstance(value, int | float | np.number) for value in values) and not all(
        isinstance(value, bool | np.bool_) for value in values
    ):
        return _numeric_axis(name, np.asarray(values, np.float64))
    words = [str(value) for value in values]
    levels = list(dict.fromkeys(words))
    ticks = [(i + 0.5) / len(levels) for i in range(len(levels))]
    at = np.array([ticks[levels.index(word)] for word in words])
    return _Axis(at, ticks, [fill(level, 16) for level in levels])


def _numeric_axis(name: str, numbers: Numbers) -> _Axis:
    if not np.isfinite(numbers).all():
        raise DataError(f"{name} holds NaN or infinity; leave out these rows")
    low, high = numbers.min(), numbers.max()
    transform = np.log if 0 < WIDE * low < high else np.asarray

    def place(each: Any) -> Numbers:
        span = transform(high) - transform(low)
        share = (
            (transform(each) - transform(low)) / span if span > 0 else np.full(np.shape(each), 0.5)
        )
        return np.asarray(0.04 + 0.92 * share)

    levels = np.unique(numbers)
    if len(levels) > LEVELS:
        logarithmic = transform is np.log
        levels = np.geomspace(low, high, 5) if logarithmic else np.linspace(low, high, 5)
    return _Axis(place(numbers), place(levels).tolist(), [short(level) for level in levels])


def _lines(axes: Axes, heights: Numbers, result: Numbers, norm: Normalize) -> None:
    """Draw a line a setting, those without a result dotted and up to the last parameter."""
    known = np.isfinite(result)
    points = np.stack([np.broadcast_to(np.arange(heights.shape[1]), heights.shape), heights], 2)
    width = float(np.clip(60 / max(len(result), 1), 0.5, 1.6))
    axes.add_collection(
        LineCollection(
            list(points[known]),
            colors=scale()(norm(result[known])),
            linewidths=width,
            alpha=0.85,
        )
    )
    axes.add_collection(
        LineCollection(
            list(points[~known, :-1]), colors=now().muted, linewidths=width, linestyles=":"
        )
    )


def _vertical(axes: Axes, x: int, name: str, axis: _Axis) -> None:
    """Draw an axis of parallel coordinates with its name above and its values at the left."""
    axes.plot([x, x], [0, 1], color=now().muted, linewidth=0.9, zorder=3)
    axes.text(x, 1.03, fill(name, 18), ha="center", va="bottom", color=now().ink, fontsize=SMALL)
    for at, label in zip(axis.ticks, axis.labels, strict=True):
        axes.text(
            x + 0.03, at, label, ha="left", va="center", color=now().ink, fontsize=SMALL - 0.5,
            zorder=5, path_effects=[withStroke(linewidth=2.5, foreground=now().paper)],
        )  # fmt: skip
