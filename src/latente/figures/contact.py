"""The contact sheet: what a search asked for at the left, what it found beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .items import is_frame, look
from .mosaic import Row, mosaic
from .words import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contact_sheet(
    queries: Any,
    found: Any,
    distances: Any,
    *,
    names: Sequence[str] = (),
    shape: tuple[int, ...] | None = None,
) -> Figure:
    """Show each query and, beside it, what was found for it.

    Parameters
    ----------
    queries
        Samples, (m, ...).
    found
        What was found, nearest first: (m, k, ...), like the queries.
    distances
        From each query, (m, k); written beneath.
    names
        What each query is called, written beneath it.
    shape
        Draw rows of numbers as pictures of this shape.

    Raises
    ------
    DataError
        If the samples are a data frame: a sheet shows pictures or rows of numbers.
    """
    if is_frame(queries):
        raise DataError("a contact sheet shows pictures or rows of numbers, not a data frame")
    queries, found, distances = (np.asarray(values) for values in (queries, found, distances))
    called = [*names, *["query"] * (len(queries) - len(names))]
    looks = look(np.concatenate([queries, found.reshape(-1, *queries.shape[1:])]), shape)
    rows = [
        Row(
            np.concatenate([query[None], hits]),
            captions=[name, *(short(float(distance)) for distance in apart)],
        )
        for query, hits, apart, name in zip(queries, found, distances, called, strict=True)
    ]
    return mosaic(looks, rows)
