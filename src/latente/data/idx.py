"""IDX, the format of MNIST: two zero bytes, a type, the number of axes, their lengths, the values.

The format is described at the foot of http://yann.lecun.com/exdb/mnist/. All its numbers have the
most significant byte first. Files may be gzipped.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FileError
from . import dataset
from .dataset import Dataset, as_labels, as_samples, check_ordinary, labelled
from .memory import check_memory
from .text import BROKEN_GZIP, GZIP, PIECE

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
RATIO = 1032
"""Deflate packs no more than this many bytes into one."""
AXES = 64
"""NumPy has arrays of no more axes."""
HEADER = 4 + 4 * AXES
"""No header is longer."""
ENDS = ("", ".gz")


def read_idx(path: Path) -> Dataset:
    """Read the samples of an IDX file, with its labels where their file lies beside.

    The labels of ``train-images-idx3-ubyte.gz`` are in ``train-labels-idx1-ubyte.gz``, as MNIST
    names them; either may be gzipped or not.
    """
    X = as_samples(load_idx(path), str(path))
    beside = labels_beside(path)
    y = None if beside is None else as_labels(load_idx(beside), str(beside))
    if y is not None and len(y) != len(X):
        raise DataError(f"{beside} holds {len(y)} labels for the {len(X)} samples of {path.name}")
    y, classes = (None, None) if y is None else labelled(y)
    return Dataset(X=X, y=y, name=path.name.split(".")[0], classes=classes, source=str(path))


def read_idx_folder(folder: Path) -> Dataset:
    """Read a folder laid out as MNIST's: images and labels for training, and for testing.

    Raises
    ------
    DataError
        If there are no training images, or the test images have another shape.
    """
    images = train_images(folder)
    if images is None:
        raise DataError(f"{folder} holds no train-images-idx3-ubyte, gzipped or not")
    train, beside = read_idx(images), test_images(images)
    test = None if beside is None else read_idx(beside)
    if test is not None and test.shape != train.shape:
        raise DataError(
            f"{folder}: training samples have shape {train.shape}, test samples {test.shape}"
        )
    return Dataset(
        X=train.X,
        y=train.y,
        X_test=None if test is None else test.X,
        y_test=None if test is None else test.y,
        name=folder.resolve().name,
        source=str(folder),
    )


def train_images(folder: Path) -> Path | None:
    """Return a folder's file of training images, by MNIST's naming, where there is one."""
    return first(folder / f"train-images{mark}idx3-ubyte{end}" for mark in "-." for end in ENDS)


def test_images(images: Path) -> Path | None:
    """Return the file of test images beside that of training images, where there is one."""
    name = images.name.removesuffix(".gz").removeprefix("train")
    return first(images.with_name(part + name + end) for part in ("t10k", "test") for end in ENDS)


def labels_beside(images: Path) -> Path | None:
    """Return the file with the labels of a file of images, by MNIST's naming, where it exists."""
    if "images" not in images.name:
        return None
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    return first(images.with_name(name + end) for end in ENDS)


def first(paths: Iterable[Path]) -> Path | None:
    """Return the first of the paths that is a file, if any."""
    return next((path for path in paths if path.is_file()), None)


def is_idx(path: Path) -> bool:
    """Whether a file begins as IDX does, gzipped or not."""
    with path.open("rb") as file:
        head = file.read(4)
    try:
        if head.startswith(GZIP):
            with gzip.open(path) as unpacked:
                head = unpacked.read(4)
        return bool(parse(head.ljust(HEADER, b"\0"), path))
    except (FileError, *BROKEN_GZIP):
        return False


def load_idx(path: Path) -> NDArray[Any]:
    """Return the array of an IDX file, gzipped or not; a large one as a memory map.

    Raises
    ------
    FileError
        If it is not such a file, or is cut short.
    DataError
        If it claims more than the machine's memory.
    """
    check_ordinary(path)
    with path.open("rb") as file:
        head = file.read(HEADER)
    if not head:
        raise FileError(f"{path} is empty")
    if head.startswith(GZIP):
        return load_gzipped(path)
    shape, dtype, start = parse(head, path)
    size, need = path.stat().st_size, start + math.prod(shape) * dtype.itemsize
    if size != need:
        raise FileError(f"{path} {wrong(size < need)}: {size:,} bytes, where it says {need:,}")
    if size >= dataset.LARGE and dtype.isnative:
        return np.memmap(path, dtype, "r", start, shape)
    return in_own_order(np.fromfile(path, dtype, offset=start).reshape(shape))


def load_gzipped(path: Path) -> NDArray[Any]:
    """Return the array of a gzipped IDX file, unpacked straight into its own memory."""
    try:
        with gzip.open(path) as file:
            head = file.read(4)
            shape, dtype, _ = parse(head + file.read(4 * head[3] if len(head) == 4 else 0), path)
            need = math.prod(shape) * dtype.itemsize
            check_memory(need, path)
            if need > RATIO * path.stat().st_size:
                raise FileError(f"{path} is cut short")
            values = np.empty(shape, dtype)
            view = values.reshape(-1).view(np.uint8).data
            place = 0
            while place < need and (count := file.readinto(view[place : place + PIECE])):
                place += count
            if place < need or file.read(1):
                raise FileError(f"{path} {wrong(place < need)}: it says {need:,} bytes unpacked")
    except BROKEN_GZIP as error:
        raise FileError(f"{path} is a broken gzip file") from error
    return in_own_order(values)


def in_own_order(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the machine's byte order, its bytes turned where they lie."""
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


def parse(head: bytes, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read the shape, the type and the place of the first value from the beginning of a file."""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise FileError(f"{path} is not an IDX file: it begins with the bytes {head[:4].hex(' ')}")
    axes = head[3]
    if axes > AXES:
        raise FileError(f"{path} claims to have {axes} axes; {AXES} at most are possible")
    start = 4 + 4 * axes
    if len(head) < start:
        raise FileError(f"{path} is cut short")
    shape, dtype = struct.unpack(f">{axes}I", head[4:start]), np.dtype(TYPES[head[2]])
    if math.prod(filter(None, shape)) * dtype.itemsize >= 2**63:
        raise FileError(f"{path} claims to have the shape {shape}, which no memory holds")
    return shape, dtype, start


def wrong(short: bool) -> str:
    """Return how a file differs from what its header says."""
    return "is cut short" if short else "goes on after its end"
