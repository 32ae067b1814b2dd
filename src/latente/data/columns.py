"""The columns of a table: which is the target, and whether all are plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..parts import listed
from .dataset import labelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .fields import Column

LISTED = 12
"""How many names an error lists."""


def place(target: str | int, names: Sequence[str], path: Path) -> str:
    """Return the name of the target's column, given by its name or its place.

    Raises
    ------
    DataError
        If there is no such column, or no other beside it.
    """
    found = target if target in names else by_place(target, names)
    if found is None:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        raise DataError(
            f"{path} has no column {target!r}; it has {listed(map(repr, names[:LISTED]))}{more}"
        )
    if len(names) == 1:
        raise DataError(f"{path} has no columns beside the target {found!r}")
    return str(found)


def by_place(target: str | int, names: Sequence[str]) -> str | None:
    """Return the name of the column at a place, counted from 0 or, if negative, from the end."""
    try:
        return names[int(target)]
    except (ValueError, IndexError):
        return None


def target_labels(
    column: Column, name: str, path: Path
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return a column as labels, and the classes they index where it holds text.

    Raises
    ------
    DataError
        If a label is missing.
    """
    if isinstance(column, list):
        gaps = np.array([label is None for label in column])
    else:
        gaps = np.isnat(column) if column.dtype.kind == "M" else np.isnan(column)
    if np.any(gaps):
        raise DataError(f"{path}: row {np.argmax(gaps) + 1} has no label in column {name!r}")
    values = np.asarray(column)
    return labelled(values if values.dtype.kind in "bfU" else values.astype(np.str_))


def plain(columns: Mapping[str, Column]) -> NDArray[np.float64] | None:
    """Return the columns as one array ``(n, columns)``; None where one has gaps or is other."""
    arrays = [c for c in columns.values() if not isinstance(c, list) and c.dtype.kind == "f"]
    numbers = [c for c in arrays if not np.isnan(c).any()]
    return np.stack(numbers, axis=1) if len(numbers) == len(columns) else None
