"""Data frames, made with whichever library is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .fields import Column


def at_hand() -> str | None:
    """Return the data-frame library to use: pandas, else polars, else pyarrow; or None."""
    for library in ("pandas", "polars", "pyarrow"):
        if find_spec(library) is not None:
            return library
    return None


def frame(columns: Mapping[str, Column], what: str) -> Any:
    """Make a data frame of columns as `fields.typed` returns them.

    Parameters
    ----------
    columns
        The columns by name; numbers become whole numbers where all of them are whole.
    what
        The file they come from, to be named in errors.

    Raises
    ------
    MissingExtra
        If no data-frame library is installed.
    """
    tidy = {name: narrowed(column) for name, column in columns.items()}
    library = at_hand()
    if library == "pandas":
        import pandas as pd

        boolean = {name: "boolean" for name, column in tidy.items() if has_gaps(column)}
        return pd.DataFrame(tidy).astype(boolean)
    if library == "polars":
        import polars as pl

        return pl.DataFrame(tidy, nan_to_null=True)
    if library == "pyarrow":
        import pyarrow as pa

        return pa.table({name: pa.array(c, from_pandas=True) for name, c in tidy.items()})
    raise MissingExtra(
        f"{what} needs a data-frame library, as {reason(columns)}: pip install 'latente[frames]'"
    )


def reason(columns: Mapping[str, Column]) -> str:
    """Return why columns cannot be a plain array of numbers."""
    for name, column in columns.items():
        if isinstance(column, list) or column.dtype.kind != "f":
            return f"column {name!r} holds more than numbers"
    return "it has missing values"


def has_gaps(column: Column) -> bool:
    """Whether a column is of booleans with gaps, which pandas has a type of its own for."""
    kinds = {type(value) for value in column} if isinstance(column, list) else set()
    return kinds == {bool, type(None)}


def narrowed(column: Column) -> Column:
    """Return numbers as int64 where all are whole; any other column as it is."""
    if isinstance(column, list) or column.dtype.kind != "f":
        return column
    whole = np.abs(column) < 2**53
    whole &= column == np.rint(column)
    return column.astype(np.int64) if bool(np.all(whole)) else column


def from_arrow(table: Any) -> Any:
    """Return an Arrow table as a data frame of the library at hand."""
    library = at_hand()
    if library == "pandas":
        return table.to_pandas(ignore_metadata=True)
    if library == "polars":
        import polars as pl

        return pl.from_arrow(table)
    return table


def rows(X: Any, index: NDArray[np.int64]) -> Any:
    """Return some rows of an array or of a data frame of any library, in the order asked for."""
    if hasattr(X, "iloc"):
        return X.iloc[index].reset_index(drop=True)
    if hasattr(X, "take") and not isinstance(X, np.ndarray):
        return X.take(index)
    return X[index]
