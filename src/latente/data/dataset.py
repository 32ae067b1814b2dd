"""What a reader or a loader hands over: samples, and whatever is known about them.

Below are the checks that all readers share: of numbers, of labels, and of files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FileError, ParameterError
from ..parts import is_whole

DIGITS = re.compile(r"([0-9]{1,18})")
LARGE = 256 * 2**20
"""From this many bytes on, an array that can be mapped into memory is not read as a whole."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Samples with what is known about them.

    Parameters
    ----------
    X
        The samples, first axis: an array ``(n, features)``, ``(n, h, w)`` or ``(n, h, w, c)``, or
        a data frame of n rows, or a list of n texts.
    y
        Labels, shape ``(n,)``: numbers, which index `classes` where there are classes; or None.
    X_test, y_test
        The same for samples kept for testing, where the data come split; or None.
    names
        The names of the columns, where X is a table and they are known.
    name
        What to call the data: a data set's name, or the file's.
    paths
        The file each sample of X came from, where each has its own.
    classes
        The names of the classes: ``classes[y[i]]`` is what sample i shows. None where y speaks for
        itself, or is None.
    source
        One line that says where the data come from and whom to credit.

    Raises
    ------
    DataError
        If there are no samples, or labels and samples differ in number.
    """

    X: Any
    y: NDArray[Any] | None = None
    X_test: Any = None
    y_test: NDArray[Any] | None = None
    names: tuple[str, ...] | None = None
    name: str = "data"
    paths: Sequence[str] | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise DataError(f"{self.name}: there are no samples")
        for samples, labels in ((self.X, self.y), (self.X_test, self.y_test)):
            if labels is not None and len(labels) != len(samples):
                raise DataError(
                    f"{self.name}: {len(labels)} labels for {len(samples)} samples; "
                    "each sample needs one label"
                )

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        size = " × ".join(f"{length:,}" for length in (len(self), *self.shape))
        kind = "texts" if isinstance(self.X, list) else type(self.X).__name__
        kind = getattr(self.X, "dtype", kind)
        classes = f", {len(self.classes)} classes" if self.classes else ""
        test = "" if self.X_test is None else f", {len(self.X_test):,} for testing"
        return f"Dataset({self.name}: {size} {kind}{classes}{test})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(features,)``, ``(h, w)``, ``(h, w, c)``; () of a text."""
        return () if isinstance(self.X, list) else tuple(self.X.shape[1:])

    def take(self, n: int, random_state: int | None = 0) -> Dataset:
        """Return n of the samples, drawn without repetition and kept in their order.

        Parameters
        ----------
        n
            How many; all of them where there are no more. The samples for testing all stay.
        random_state
            Seed of the draw.
        """
        if not is_whole(n, 1):
            raise ParameterError(f"n={n!r}: n must be a whole number of samples, 1 or more")
        if n >= len(self):
            return self
        index = np.sort(np.random.default_rng(random_state).permutation(len(self))[:n])
        return replace(
            self,
            X=take_rows(self.X, index),
            y=None if self.y is None else self.y[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index),
        )


def labelled(values: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Turn labels into numbers and, where they were text, the classes they index.

    Parameters
    ----------
    values
        Shape ``(n,)``: numbers, booleans or text.

    Returns
    -------
    The labels, int64 where they are whole numbers or index classes, else float64; the classes.
    """
    if values.dtype.kind in "biu":
        return values.astype(np.int64), None
    if values.dtype.kind == "f":
        whole = bool(np.all(np.isfinite(values) & (np.abs(values) < 2**53) & (values % 1 == 0)))
        return values.astype(np.int64 if whole else np.float64), None
    classes, codes = np.unique(np.asarray(values, dtype=np.str_), return_inverse=True)
    order = sorted(range(len(classes)), key=lambda i: natural(str(classes[i])))
    place = np.empty(len(classes), dtype=np.int64)
    place[order] = np.arange(len(classes))
    return place[codes.reshape(-1)], tuple(str(classes[i]) for i in order)


def take_rows(X: Any, index: NDArray[np.int64]) -> Any:
    """Return some samples of an array, a list or a data frame of any library, in that order."""
    if isinstance(X, list | tuple):
        return [X[i] for i in index]
    if hasattr(X, "iloc"):
        return X.iloc[index].reset_index(drop=True)
    if hasattr(X, "column_names"):  # pyarrow's table
        return X.take(index)
    return X[index]


def natural(text: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sorting key that takes runs of digits as numbers and ignores case.

    >>> sorted(["s10", "s2", "S1"], key=natural)
    ['S1', 's2', 's10']
    """
    parts = DIGITS.split(text)
    return tuple(int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)), text


def as_samples(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return samples as an array that can be learned from, without copying where that can be.

    Parameters
    ----------
    array
        Shape ``(n, features)``, ``(n, h, w)`` or ``(n, h, w, c)``; booleans become uint8 and
        numbers wider than float64 become float64.
    what
        What the array is called in errors.

    Raises
    ------
    DataError
        If it holds something else than real numbers, has no samples, or is not of such a shape.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {array.dtype} values; real numbers are needed")
    if array.ndim < 2:
        raise DataError(
            f"{what} has shape {array.shape}; rows of columns (n, features) or pictures (n, h, w) "
            "are needed"
        )
    if array.ndim > 4:
        raise DataError(
            f"{what} has shape {array.shape}; at most four axes (n, h, w, channels) can be used"
        )
    if array.size == 0:
        raise DataError(f"{what} has shape {array.shape}: it holds no values")
    return native(array)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the machine's byte order, of at most 8 bytes a number, never of bool."""
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array


def as_labels(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return labels as a flat array of numbers or text, whatever their axes of length one.

    Raises
    ------
    DataError
        If they are neither numbers nor text, or more than one a sample.
    """
    if array.ndim == 0 or array.size != array.shape[0]:
        raise DataError(f"{what} has shape {array.shape}; one label a sample (n,) is needed")
    if array.dtype.kind not in "biufU":
        raise DataError(f"{what} holds {array.dtype} values; labels are numbers or text")
    flat = array.reshape(-1)
    return flat if flat.dtype.kind == "U" else native(flat)


def check_ordinary(path: Path) -> None:
    """Raise `FileError` for a pipe, a socket or a device: to open it may wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FileError(f"{path} is a pipe or a device; save what it gives as a file first")
