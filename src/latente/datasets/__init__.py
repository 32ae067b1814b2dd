"""Data sets by name: bundled, generated here, or downloaded once.

>>> from latente import datasets
>>> digits = datasets.load("digits")
>>> digits.X.shape, digits.X_test.shape
((1442, 8, 8), (355, 8, 8))
"""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, ParameterError
from ..parts import listed
from .catalogue import DATASETS, Entry

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..data.sources import Source

__all__ = ["Entry", "describe", "load", "names", "open_data", "stream"]


def names() -> tuple[str, ...]:
    """Return the names of the data sets."""
    return tuple(DATASETS)


def describe() -> dict[str, Entry]:
    """Return what is known of each data set, by name: what it shows, size, origin and credit."""
    return dict(DATASETS)


def load(name: str, *, n: int | None = None, random_state: int | None = 0) -> Dataset:
    """Load a data set by its name.

    `digits`, `font` and `shapes` are there without a network. The others are looked for in the
    folder that the environment variable LATENTE_DATA names, then in the cache (LATENTE_CACHE, or
    the platform's own), and otherwise downloaded into it once and checked.

    Parameters
    ----------
    name
        One of `names()`.
    n
        How many samples to learn from: drawn from those there are, or made; None for all, or for
        15,000 shapes. The samples for testing all stay.
    random_state
        Seed of the draw, or of the shapes; None for others each time.

    Raises
    ------
    ParameterError
        If there is no data set of that name, or n is no whole number from 1 on.
    FileError
        If it is not here and cannot be fetched; the message says which files to put where.
    """
    if name not in DATASETS:
        raise ParameterError(f"there is no data set {name!r}; {nearest(name)}")
    entry = DATASETS[name]
    data = replace(entry.load(n, random_state), name=name, source=entry.source)
    return data if n is None else data.take(n, random_state)


def stream(data: Any) -> Source:
    """Return data as a source, which is streamed however small it is.

    Parameters
    ----------
    data
        A path to a ``.npy`` or Parquet file, or to a folder of Parquet files or of pictures; an
        array or a memory map; a `pyarrow.dataset.Dataset`; or a function without arguments that
        returns an iterable of `pyarrow.RecordBatch`, the same ones at every call.

    Returns
    -------
    Source
        Which `Autoencoder.fit`, `transform` and all that work row by row take.

    Raises
    ------
    DataError
        If it cannot be streamed.
    FileError
        If there is no such file, or it is broken.
    """
    from ..data.opening import always_streamed

    return always_streamed(data)


def nearest(name: str) -> str:
    """Return which data sets there are, or the one whose name is most like that."""
    near = get_close_matches(name.casefold().replace("_", "-"), DATASETS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {listed(DATASETS)}"


def open_data(
    spec: str | Path,
    *,
    n: int | None = None,
    random_state: int | None = 0,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    key: str | None = None,
    target: str | int | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    labels: str | Path | None = None,
) -> Dataset:
    """Read a file or a folder or, where there is no such path, load the data set of that name.

    Parameters
    ----------
    spec
        A path, or the name of a data set.
    n
        How many samples to take; None for all.
    random_state
        Seed of the draw.
    size, channels, key, target, header, decimal, thousands, encoding, labels
        As `latente.data.readers.read` takes them; of these, a data set by name takes `size`.

    Raises
    ------
    FileError
        If there is neither such a path nor such a data set, or it cannot be read.
    DataError, ParameterError, MissingExtra
        As `latente.data.readers.read` and `load` raise them.
    """
    from ..data.pictures import resized
    from ..data.readers import read

    given = {
        "channels": channels, "key": key, "target": target, "header": header, "decimal": decimal,
        "thousands": thousands, "encoding": encoding, "labels": labels,
    }  # fmt: skip
    if os.path.exists(os.path.expanduser(spec)):
        data = read(spec, size=size, **given)  # type: ignore[arg-type]
        return data if n is None else data.take(n, random_state)
    if spec not in DATASETS:
        raise FileError(
            f"{spec!s:.200}: there is no such file or folder, and no data set of that name; "
            f"{nearest(str(spec))}"
        )
    unfit = next((name for name, value in given.items() if value is not None), None)
    if unfit is not None:
        raise ParameterError(
            f"{unfit}={given[unfit]!r} does not apply to the data set {str(spec)!r}"
        )
    data = load(str(spec), n=n, random_state=random_state)
    if size is None:
        return data
    test = None if data.X_test is None else resized(data.X_test, size)
    return replace(data, X=resized(data.X, size), X_test=test)
