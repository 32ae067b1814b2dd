"""Parquet tables, by way of pyarrow."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, FileError, MissingExtra
from . import memory
from .columns import place, target_labels
from .dataset import Dataset
from .frames import from_arrow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .fields import Column

INDEX = "__index_level_"
"""How the columns begin that pandas writes for its row labels."""


def read_parquet(path: Path, *, target: str | int | None = None) -> Dataset:
    """Read a table from a Parquet file.

    ::

        all columns numbers, none missing ──▶ X array (n, columns): float64, or float32 or uint8
                                              where all columns are that
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Parameters
    ----------
    path
        The file.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    FileError
        If it is no Parquet file, or broken.
    DataError
        If it has no rows, a column holds something else than numbers, text, booleans or dates, or
        the target is not there or has gaps.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra(f"{path} needs pyarrow: pip install 'latente[frames]'")
    read = loaded(path)
    if not read.num_rows or not read.num_columns:
        raise DataError(f"{path} has no rows" if read.num_columns else f"{path} has no columns")
    y, classes = None, None
    if target is not None:
        name = place(target, read.column_names, path)
        y, classes = target_labels(column(read[name]), name, path)
        read = read.drop_columns([name])
    X = matrix(read)
    return Dataset(
        X=from_arrow(read) if X is None else X,
        y=y,
        names=tuple(read.column_names),
        name=path.stem,
        classes=classes,
        source=str(path),
    )


def loaded(path: Path) -> Any:
    """Return the table of a Parquet file, without the row labels of pandas.

    Raises
    ------
    FileError
        If it is no Parquet file, or broken.
    DataError
        If it does not fit in memory, two columns have one name, or a column is not flat.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            shape = file.metadata
            memory.guard(4 * shape.num_rows * shape.num_columns, path)
            read = file.read()
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path} is broken, or no Parquet file") from error
    twice = {name for name in read.column_names if read.column_names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: two columns are called {min(twice)!r}; give each its own name")
    for field in read.schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise DataError(
                f"{path}: column {field.name!r} holds {field.type}; numbers, text, booleans or "
                "dates are needed"
            )
    index = [name for name in read.column_names if name.startswith(INDEX)]
    return read.drop_columns(index) if index else read


def matrix(read: Any) -> NDArray[Any] | None:
    """Return a table of numbers without gaps as an array ``(n, columns)``; any other, None."""
    from pyarrow import types

    if not all(
        (types.is_integer(c.type) or types.is_floating(c.type) or types.is_decimal(c.type))
        and not c.null_count
        for c in read.columns
    ):
        return None
    parts = [numbers(c) for c in read.columns]
    kinds = {part.dtype for part in parts}
    dtype = kinds.pop() if len(kinds) == 1 and kinds <= {np.dtype("u1"), np.dtype("f4")} else "f8"
    X = np.stack(parts, axis=1, dtype=dtype, casting="unsafe")
    return None if X.dtype.kind == "f" and np.isnan(X).any() else X


def numbers(column: Any) -> NDArray[Any]:
    """Return a column of numbers without gaps as an array; decimals become float64."""
    from pyarrow import float64, types

    flat = column.cast(float64()) if types.is_decimal(column.type) else column
    return np.asarray(flat.to_numpy())


def column(values: Any) -> Column:
    """Return a column as labels need it: float64 with NaN for gaps, or text with None for gaps."""
    import pyarrow as pa

    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    return [None if value is None else str(value) for value in values.to_pylist()]
