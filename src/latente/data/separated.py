"""Tables as text: comma-separated values and their kin, read fast where pyarrow is at hand.

Whatever reads the file, a column is numbers where each of its fields is a number or missing; else
booleans, moments or text, as `fields` tells.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .columns import place, plain, target_labels
from .dataset import Dataset
from .dialect import Dialect, dialect_of, records
from .fields import MISSING, numbers, typed
from .frames import frame

if TYPE_CHECKING:
    from .fields import Column

BLOCK = 20_000
"""Rows converted at a time."""


def read_separated(
    path: Path, *, target: str | int | None = None, header: bool | None = None
) -> Dataset:
    """Read a table of numbers, booleans, dates, categories and missing values.

    ::

        all columns numbers, none missing ──▶ X float64 (n, columns)
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Parameters
    ----------
    path
        The file: UTF-8 text; fields separated by comma, semicolon, tab or bar; numbers with a
        decimal point, or a comma where fields are not separated by it.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.
    header
        Whether the first line names the columns; None to find out.

    Raises
    ------
    DataError
        If a row has too few or too many fields, two columns have one name, there is no row, or
        the target is not there or has gaps.
    FileError
        If the file is empty or is not UTF-8 text.
    MissingExtra
        If not all is numbers, and there is no data-frame library.
    """
    dialect = dialect_of(path, header)
    columns = (fast(path, dialect) if find_spec("pyarrow") else None) or slow(path, dialect)
    if dialect.numbered:
        del columns[dialect.names[0]]
    if not len(next(iter(columns.values()))):
        raise DataError(f"{path} has a header but no rows")
    y, classes = None, None
    if target is not None:
        name = place(target, tuple(columns), path)
        y, classes = target_labels(columns.pop(name), name, path)
    X = plain(columns)
    return Dataset(
        X=frame(columns, str(path)) if X is None else X,
        y=y,
        names=tuple(columns) if dialect.header or X is None else None,
        name=path.stem,
        classes=classes,
        source=str(path),
    )


def fast(path: Path, dialect: Dialect) -> dict[str, Column] | None:
    """Return the columns as pyarrow reads them, or None where it finds fault with the file."""
    import pyarrow as pa

    if not even_quotes(path):
        return None
    try:
        read = arrow(path, dialect, {})
        other = [f.name for f in read.schema if not is_number(f.type)]
        text = arrow(path, dialect, dict.fromkeys(other, pa.string())) if other else None
    except pa.ArrowException:
        return None
    columns: dict[str, Column] = {}
    for name in dialect.names:
        if text is None or name not in other:
            columns[name] = read[name].to_numpy().astype(np.float64)
        else:
            columns[name] = typed([f or "" for f in text[name].to_pylist()], dialect.decimal)
    return columns


def arrow(path: Path, dialect: Dialect, types: dict[str, Any]) -> Any:
    """Return the file as an Arrow table: the columns whose types are given, or else all."""
    import pyarrow.csv as pc

    return pc.read_csv(
        path,
        read_options=pc.ReadOptions(
            column_names=dialect.names, skip_rows_after_names=int(dialect.header)
        ),
        parse_options=pc.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            decimal_point=dialect.decimal,
            null_values=[*MISSING, *map(str.upper, MISSING), "NaN", "None", "Null"],
        ),
    )


def even_quotes(path: Path) -> bool:
    """Whether quotes may all be closed: pyarrow takes what follows an open one for its text."""
    with path.open("rb") as file:
        pieces = iter(partial(file.read, 2**20), b"")
        return sum(piece.count(b'"') for piece in pieces) % 2 == 0


def is_number(kind: Any) -> bool:
    """Whether pyarrow took a column for numbers, or found it empty."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind))


def slow(path: Path, dialect: Dialect) -> dict[str, Column]:
    """Return the columns, read row by row: once, and again where not all are numbers."""
    other: set[int] = set()
    while True:
        before = len(other)
        columns: list[Any] = [[] if j in other else array("d") for j in range(len(dialect.names))]
        for rows in blocks(records(path, dialect)):
            for j, cells in enumerate(zip(*rows, strict=True)):
                values = cells if j in other else numbers(cells, dialect.decimal)
                if values is None:
                    other.add(j)
                else:
                    columns[j].extend(values)
        if len(other) == before:
            found = (
                typed(c, dialect.decimal) if j in other else np.array(c)
                for j, c in enumerate(columns)
            )
            return dict(zip(dialect.names, found, strict=True))


def blocks(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Give the rows some thousands at a time."""
    rest = iter(rows)
    while block := list(islice(rest, BLOCK)):
        yield block
