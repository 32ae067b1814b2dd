"""IDX, the format of MNIST: two zero bytes, a type, the number of axes, their lengths, the values.

The format is described at the foot of http://yann.lecun.com/exdb/mnist/. All its numbers have the
most significant byte first. Files may be gzipped.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FileError
from . import dataset
from .dataset import Dataset, as_labels, as_samples, check_memory, labelled, native

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
RATIO = 1032
"""Deflate packs no more than this many bytes into one."""
HEADER = 4 + 4 * 255
"""No header is longer: the number of axes is one byte."""
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
        head = file.read(4096)
    try:
        head = unpacked(head, 4, path)[0] if head.startswith(GZIP) else head
        return bool(parse(head[:4].ljust(HEADER, b"\0"), path))
    except FileError:
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
    return native(np.fromfile(path, dtype, offset=start).reshape(shape))


def load_gzipped(path: Path) -> NDArray[Any]:
    """Return the array of a gzipped IDX file; nothing is unpacked beyond what its header says."""
    data = path.read_bytes()
    shape, dtype, start = parse(unpacked(data, HEADER, path)[0], path)
    need = start + math.prod(shape) * dtype.itemsize
    check_memory(need, path)
    if need > RATIO * len(data):
        raise FileError(f"{path} is cut short")
    values, complete = unpacked(data, need + 1, path)
    if len(values) != need or not complete:
        raise FileError(f"{path} {wrong(len(values) <= need)}: it says {need:,} bytes unpacked")
    return native(np.frombuffer(values, dtype, offset=start).reshape(shape).copy())


def unpacked(data: bytes, limit: int, path: Path) -> tuple[bytes, bool]:
    """Return up to so many bytes of what was gzipped, and whether that is all of it, unharmed."""
    values, complete = b"", False
    try:
        while data.startswith(GZIP) and len(values) < limit:
            stream = zlib.decompressobj(31)
            part = stream.decompress(data, limit - len(values))
            values = values + part if values else part
            complete, data = stream.eof, stream.unused_data
    except zlib.error as error:
        raise FileError(f"{path} is a broken gzip file") from error
    return values, complete


def parse(head: bytes, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read the shape, the type and the place of the first value from the beginning of a file."""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise FileError(f"{path} is not an IDX file: it begins with the bytes {head[:4].hex(' ')}")
    axes = head[3]
    start = 4 + 4 * axes
    if len(head) < start:
        raise FileError(f"{path} is cut short")
    return struct.unpack(f">{axes}I", head[4:start]), np.dtype(TYPES[head[2]]), start


def wrong(short: bool) -> str:
    """Return how a file differs from what its header says."""
    return "is cut short" if short else "goes on after its end"
