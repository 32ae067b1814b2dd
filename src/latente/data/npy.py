"""NumPy's files: one array (``.npy``) or several by name (``.npz``), never anything pickled.

The format is NEP 1, https://numpy.org/neps/nep-0001-npy-format.html.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FileError, LatenteError, printable
from ..parts import listed
from . import dataset
from .dataset import Dataset, as_labels, as_samples, labelled
from .memory import check_memory

SAMPLES = ("X", "x", "X_train", "x_train", "data", "images", "arr_0")
LABELS = ("y", "y_train", "labels", "label", "target", "arr_1")
TEST_SAMPLES = ("X_test", "x_test")
TEST_LABELS = ("y_test",)

BROKEN = (
    ValueError, TypeError, KeyError, IndexError, OverflowError, SyntaxError, RecursionError,
    EOFError, TokenError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise on bytes that are not what they claim to be."""


def read_npy(path: Path) -> Dataset:
    """Read the samples of a ``.npy`` file; a large one stays on disk, mapped into memory."""
    return Dataset(X=as_samples(load_npy(path), str(path)), name=path.stem, source=str(path))


def load_npy(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, of whatever shape; a large one as a memory map.

    Raises
    ------
    FileError
        If it is not such a file, is cut short, or holds Python objects.
    """
    if path.stat().st_size == 0:
        raise FileError(f"{path} is empty")
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = header(file)
            offset = file.tell()
        if dtype.hasobject:
            raise FileError(f"{path} holds Python objects, which are not read for safety")
        need = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if need > path.stat().st_size:
            raise FileError(
                f"{path} is cut short: {path.stat().st_size:,} bytes of {need:,} are there"
            )
        if need == offset:
            return np.empty(shape, dtype)
        mapped = np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
    except LatenteError:
        raise
    except BROKEN as error:
        raise FileError(f"{path} is not a NumPy .npy file") from error
    return mapped if mapped.nbytes >= dataset.LARGE else np.array(mapped, order="C")


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the shape, whether Fortran's order, and the type that a ``.npy`` header states."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(version)


def read_npz(path: Path, *, key: str | None = None, target: str | None = None) -> Dataset:
    """Read the samples of a ``.npz`` file, and its labels and test samples where it has them.

    Parameters
    ----------
    path
        The file.
    key
        The array that holds the samples; by itself the first there is of X, x, X_train, x_train,
        data, images and arr_0, or the only one.
    target
        The array that holds the labels; by itself the first there is of y, y_train, labels,
        label, target and arr_1.

    Raises
    ------
    FileError
        If it is not such a file, is cut short, or holds Python objects.
    DataError
        If none of its arrays is known to hold samples, or a named one is not there.
    """
    try:
        with zipfile.ZipFile(path) as file:
            archive = Archive(path, file)
            key = archive.find(key, SAMPLES)
            X = as_samples(archive.array(key), f"{path}, array {key!r},")
            parts = archive.labels(target, LABELS, key)
            if target is None and key in SAMPLES and (test := archive.known(TEST_SAMPLES)):
                X_test = as_samples(archive.array(test), f"{path}, array {test!r},")
                parts += archive.labels(None, TEST_LABELS, key) if parts else []
            else:
                X_test = None
    except LatenteError:
        raise
    except BROKEN as error:
        raise FileError(f"{path} is broken, or not a NumPy .npz file") from error
    y, classes = labelled(np.concatenate(parts)) if parts else (None, None)
    cut = len(parts[0]) if parts else 0
    return Dataset(
        X=X,
        y=None if y is None else y[:cut],
        X_test=X_test,
        y_test=None if y is None or len(parts) < 2 else y[cut:],
        name=path.stem,
        classes=classes,
        source=str(path),
    )


@dataclass(frozen=True)
class Archive:
    """The arrays of a ``.npz`` file by name."""

    path: Path
    file: zipfile.ZipFile

    @property
    def names(self) -> dict[str, zipfile.ZipInfo]:
        return {info.filename.removesuffix(".npy"): info for info in self.file.infolist()}

    def known(self, names: tuple[str, ...]) -> str | None:
        """Return the first of those names that is there."""
        return next((name for name in names if name in self.names), None)

    def find(self, name: str | None, known: tuple[str, ...]) -> str:
        """Return the name of the array that holds the samples: as given, as known, or the only."""
        there = self.names
        if not there:
            raise DataError(f"{self.path} holds no arrays")
        arrays = listed(map(printable, there))
        if name is not None:
            if name not in there:
                raise DataError(f"{self.path} has no array {name!r}; it has {arrays}")
            return name
        if {"data", "indices", "indptr"} <= set(there):
            raise DataError(f"{self.path} holds a sparse matrix; save its .toarray() instead")
        found = self.known(known) or (next(iter(there)) if len(there) == 1 else None)
        if found is None:
            raise DataError(
                f"{self.path} holds the arrays {arrays}; say with key= which are the samples"
            )
        return found

    def labels(self, name: str | None, known: tuple[str, ...], samples: str) -> list[NDArray[Any]]:
        """Return the labels, as one array in a list, or nothing where there are none."""
        name = self.known(known) if name is None else self.find(name, ())
        if name is None or name == samples:
            return []
        return [as_labels(self.array(name), f"{self.path}, array {name!r},")]

    def array(self, name: str) -> NDArray[Any]:
        """Unpack one array, once its header shows that there is room for it."""
        info = self.names[name]
        with self.file.open(info) as stream:
            shape, _, dtype = header(stream)
        if dtype.hasobject:
            raise FileError(
                f"{self.path}, array {name!r}, holds Python objects, which are not read for safety"
            )
        nbytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        check_memory(nbytes, self.path)
        if nbytes > info.file_size:
            raise ValueError(nbytes)
        with self.file.open(info) as stream:
            return np.ascontiguousarray(np.lib.format.read_array(stream, allow_pickle=False))
