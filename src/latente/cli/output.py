"""What a command answers on stdout: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

UNFOLDED = 2000
"""Width of a table that is not for a terminal."""


def answer(result: Mapping[str, Any], as_json: bool, told: Callable[[], None]) -> None:
    """Print a result as one JSON object, or tell it to a person."""
    if as_json:
        typer.echo(json.dumps(plain(result), allow_nan=False))
    else:
        told()


def plain(value: Any) -> Any:
    """Turn a result into what JSON knows: NaN and infinity become null, parts their parameters."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; the first column is text, and so are those whose name ends in a space."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        text = i == 0 or column.endswith(" ")
        made.add_column(column.strip(), justify="left" if text else "right", overflow="fold")
    for row in rows:
        made.add_row(*(shown(item) for item in row))
    display(made, title)


def facts(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line, leaving out what is None."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            made.add_row(name, shown(value))
    display(made, title)


def display(made: Table, title: str) -> None:
    """Print a table under its title; where nobody looks, each row takes one line."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = UNFOLDED
    if title:
        console.print(title, style="bold")
    console.print(made)


def shown(value: object) -> Any:
    """Write a value for people: six significant digits, thousands apart; text stays as it is."""
    from rich.text import Text

    if isinstance(value, bool) or not isinstance(value, int | float):
        return Text("" if value is None else str(value))
    return Text(f"{value:,}" if isinstance(value, int) else f"{value:.5g}")
