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

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        text = i == 0 or column.endswith(" ")
        made.add_column(column.strip(), justify="left" if text else "right", overflow="fold")
    for row in rows:
        made.add_row(*(shown(item) for item in row))
    display(made)


def facts(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values, one pair a line, leaving out what is None."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.title, made.title_justify, made.title_style = title or None, "left", "bold"
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            made.add_row(name, shown(value))
    display(made)


def display(made: Table) -> None:
    """Print something of rich's to stdout, without markup or guesses at numbers."""
    from rich.console import Console

    Console(file=sys.stdout, highlight=False, markup=False).print(made)


def shown(value: object) -> Any:
    """Write a value for people: six significant digits, thousands apart; text stays as it is."""
    from rich.text import Text

    if isinstance(value, bool) or not isinstance(value, int | float):
        return Text("" if value is None else str(value))
    return Text(f"{value:,}" if isinstance(value, int) else f"{value:.5g}")
