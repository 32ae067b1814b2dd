"""Opening: from whatever holds samples to the samples, or to a source where they are large."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset

from ..errors import DataError
from .dataset import as_samples
from .npy import load_npy
from .pictures import picture_files, pictures
from .readers import pictures_of, read
from .sources import (
    PARQUET,
    ArraySource,
    BatchSource,
    Source,
    TableSource,
    is_large,
    parquet_files,
)


def opened(X: Any, name: str = "X") -> Any:
    """Return samples as they are, or read from where they lie; a source where they are large.

    Parameters
    ----------
    X
        Anything `Autoencoder.fit` takes.
    name
        What X is called in errors.
    """
    if isinstance(X, Source):
        return X
    source = as_source(X, name)
    if isinstance(source, ArraySource):
        return source.array
    if source is not None:
        return source if is_large(source.nbytes) else source.read()
    return read(Path(X)).X if isinstance(X, str | os.PathLike) else X


def streamed(X: Any, name: str = "X") -> Any:
    """Return the same for a fit, which streams a large memory map, too."""
    X = opened(X, name)
    large = isinstance(X, np.memmap) and is_large(X.nbytes)
    return ArraySource(X, name) if large else X


def always_streamed(data: Any) -> Source:
    """Return data as a source, however small they are; what `datasets.stream` does."""
    source = as_source(data, "data")
    if source is None and isinstance(data, np.ndarray):
        source = ArraySource(data, "data")
    if source is None:
        raise DataError(
            f"{data!r:.80} cannot be streamed; give a .npy or Parquet file, a folder of Parquet "
            "files or of pictures, a memory map, or a function that gives record batches"
        )
    return source


def as_source(X: Any, name: str) -> Source | None:
    """Return the source that a path, a data set of Arrow's or a function stands for, else None."""
    if isinstance(X, Source):
        return X
    if isinstance(X, str | os.PathLike):
        return of_path(Path(X).expanduser())
    if isinstance(X, pyarrow.dataset.Dataset):
        return of_dataset(X, name)
    plain = not hasattr(X, "__array__") and not hasattr(X, "shape") and not isinstance(X, type)
    return BatchSource(X, name) if callable(X) and plain else None


def of_dataset(dataset: pyarrow.dataset.Dataset, name: str) -> Source:
    """Return the source of a data set of Arrow's: that of its Parquet files, where it has some."""
    paths = [Path(file) for file in getattr(dataset, "files", [])]
    local = bool(paths) and all(p.suffix.lower() in PARQUET and p.is_file() for p in paths)
    if local:
        source = TableSource(paths)
        if source.names == tuple(dataset.schema.names):
            return source
    return BatchSource(dataset.to_batches, name)


def of_path(path: Path) -> Source | None:
    """Return the source of a file or folder; None of one that is always read as a whole."""
    if path.is_dir():
        tables = parquet_files(path)
        if tables:
            return TableSource(tables)
        return pictures_of(path, picture_files(path)) if any(pictures(path)) else None
    suffix = path.suffix.lower()
    if suffix in PARQUET and path.is_file():
        return TableSource([path])
    if suffix == ".npy" and path.is_file():
        return ArraySource(as_samples(load_npy(path), str(path)), str(path))
    return None
