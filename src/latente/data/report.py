"""Report: whoever wants to know is told how far the reading of data has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

Report = Callable[[str, float], None]
"""Told what is being done, and what share of it is done, from 0 to 1."""

REPORT: ContextVar[Report | None] = ContextVar("report", default=None)


def reported(parts: Iterable[tuple[int, Any]], what: str, rows: int) -> Iterator[tuple[int, Any]]:
    """Yield parts, each with the number of its first row, and report how far they are.

    Parameters
    ----------
    parts
        Of a source.
    what
        What is done with them: ``"reading rows.npy"``.
    rows
        How many rows there are in all.
    """
    report = REPORT.get()
    for first, part in parts:
        if report is not None:
            report(what, first / rows)
        yield first, part
