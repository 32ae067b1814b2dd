"""Progress: what a person at a terminal sees of a fit."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Record = dict[str, float]
QUIET = ("epoch", "seconds", "samples_per_second", "learning_rate", "per_pixel")


class Progress:
    """A bar on stderr with each loss term, samples per second and the time left.

    Parameters
    ----------
    verbose
        0: silent; 1: a bar, on a terminal only; 2: besides, one line an epoch, anywhere.
    epochs
        Epochs the whole fit will have.
    done
        Epochs that were done before.
    """

    interval = 0.1

    def __init__(self, verbose: int, epochs: int, done: int = 0) -> None:
        self.lines = verbose >= 2
        self.epochs = epochs
        self.done = done
        self._shown = 0.0
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        if verbose >= 1 and sys.stderr.isatty():
            self._bar = _bar()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(
                "training", total=float(self.epochs), completed=self.done, terms=""
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, epochs_done: float) -> None:
        """Move the bar, at most ten times a second."""
        if self._bar is None or self._task is None:
            return
        now = time.monotonic()
        if now - self._shown >= self.interval:
            self._shown = now
            self._bar.update(self._task, completed=epochs_done)

    def epoch(self, record: Record) -> None:
        """Show the terms of an epoch that is done."""
        if self.lines and self._bar is None:
            print(f"epoch {record['epoch']:.0f}/{self.epochs}  {as_line(record)}", file=sys.stderr)
        if self._bar is not None and self._task is not None:
            if self.lines:
                self._bar.console.print(
                    f"epoch {record['epoch']:.0f}/{self.epochs}  {as_line(record)}", highlight=False
                )
            self._bar.update(self._task, completed=record["epoch"], terms=as_line(record))


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
