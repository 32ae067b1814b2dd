"""Progress: what a person at a terminal or in a notebook sees of a fit."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from ..data.report import REPORT
from ..errors import printable
from .notebook import NotebookView, in_notebook

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Record = dict[str, float]
QUIET = ("epoch", "seconds", "samples_per_second", "learning_rate", "per_pixel")
BLOCKS = "▁▂▃▄▅▆▇█"
ROOM = 10
"""Characters of a line that are left for a percentage."""
SPARKS = 16
"""Characters of a curve at a terminal."""


class ReadingLine:
    """A line on a terminal that tells how far data are read; it is gone when they are.

    Parameters
    ----------
    shown
        Whether to show anything at all.
    """

    interval = 0.1

    def __init__(self, shown: bool) -> None:
        self.shown = shown and sys.stderr.isatty()
        self._last = 0.0
        self._written = False

    def __enter__(self) -> Self:
        self._token = REPORT.set(self.tell if self.shown else None)
        return self

    def __exit__(self, *error: object) -> None:
        REPORT.reset(self._token)
        if self._written:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def tell(self, what: str, share: float) -> None:
        """Write what is done, and how much of it is."""
        now = time.monotonic()
        if now - self._last >= self.interval:
            self._last, self._written = now, True
            room = max(shutil.get_terminal_size().columns - ROOM, ROOM)
            line = f"{printable(what, room)}: {share:.0%}"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


class ProgressView(Protocol):
    """Something that shows a bar which moves."""

    def start(self) -> None:
        """Show it."""

    def step(self, epochs_done: float) -> None:
        """Move it; called at every step."""

    def epoch(self, record: Record, line: str) -> None:
        """Show an epoch that is done, and its terms as a line of text."""

    def stop(self) -> None:
        """Leave it."""


class Progress:
    """A bar with each loss term, samples per second and the time left.

    Parameters
    ----------
    verbose
        0: silent; 1: a bar, on a terminal and in a notebook only; 2: besides, one line an epoch,
        anywhere; "curve": a bar with the curve of the loss.
    epochs
        Epochs the whole fit will have.
    done
        Epochs that were done before.
    """

    def __init__(self, verbose: int | str, epochs: int, done: int = 0) -> None:
        curve = verbose == "curve"
        self.lines = not isinstance(verbose, str) and verbose >= 2
        self.epochs = epochs
        self.view: ProgressView | None = None
        if not verbose:
            return
        if in_notebook():
            self.view = NotebookView(epochs, done, curve=curve)
        elif sys.stderr.isatty():
            self.view = TerminalView(epochs, done, curve=curve)

    def __enter__(self) -> Self:
        if self.view is not None:
            self.view.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.view is not None:
            self.view.stop()

    def step(self, epochs_done: float) -> None:
        """Move the bar."""
        if self.view is not None:
            self.view.step(epochs_done)

    def epoch(self, record: Record) -> None:
        """Show the terms of an epoch that is done."""
        line = as_line(record)
        if self.lines:
            # A notebook shows stderr in red; a terminal's bar lets through what is written to it.
            output = sys.stdout if isinstance(self.view, NotebookView) else sys.stderr
            print(f"epoch {record['epoch']:.0f}/{self.epochs}  {line}", file=output)
        if self.view is not None:
            self.view.epoch(record, line)


class TerminalView:
    """A bar on stderr that is gone when the fit is done.

    Parameters
    ----------
    epochs, done
        As for `Progress`.
    curve
        Whether to show the curve of the loss, in a row of blocks.
    """

    interval = 0.1

    def __init__(self, epochs: int, done: int, *, curve: bool) -> None:
        self.done, self.epochs, self.curve = done, epochs, curve
        self.values: list[float] = []
        self._shown = 0.0
        self._bar: RichProgress = _bar()
        self._task: TaskID = self._bar.add_task(
            "training", total=float(epochs), completed=done, terms=""
        )

    def start(self) -> None:
        self._bar.start()

    def step(self, epochs_done: float) -> None:
        now = time.monotonic()
        if now - self._shown >= self.interval:
            self._shown = now
            self._bar.update(self._task, completed=epochs_done)

    def epoch(self, record: Record, line: str) -> None:
        if self.curve:
            self.values.append(record.get("validation_total", record["total"]))
            line = f"{sparkline(self.values)}  {line}"
        self._bar.update(self._task, completed=record["epoch"], terms=line)

    def stop(self) -> None:
        self._bar.stop()


def sparkline(values: list[float]) -> str:
    """Return a curve of finite values as a row of blocks, the whole of it at any length.

    >>> sparkline([4.0, 2.0, 1.0, 1.0])
    '█▃▁▁'
    """
    count = min(len(values), SPARKS)
    shown = [values[round(i * (len(values) - 1) / max(count - 1, 1))] for i in range(count)]
    low, high = min(shown), max(shown)
    steps = (len(BLOCKS) - 1) / ((high - low) or 1.0)
    return "".join(BLOCKS[round((value - low) * steps)] for value in shown)


def as_line(record: Record) -> str:
    """Return an epoch's terms and speed as one line of text."""
    terms = [
        f"{name.removesuffix('_total')} {value:.4g}"
        for name, value in record.items()
        if name not in QUIET and (name == "validation_total" or "validation" not in name)
    ]
    return "  ".join([*terms, f"{record['samples_per_second']:,.0f} samples/s"])


def _bar() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    return RichProgress(
        TextColumn(
            "epoch {task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True)
        ),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
        console=Console(stderr=True),
        transient=True,
    )
