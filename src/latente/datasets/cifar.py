"""CIFAR-10: small colour photographs of ten kinds of things.

The binary version is read, https://www.cs.toronto.edu/~kriz/cifar.html: the one for Python is
pickled.
"""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset
from ..data.pictures import read_folder
from ..errors import FileError
from .download import Remote, cache, fetch, folders, unfetched

ARCHIVE = Remote(
    "cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9dddda3db29a59bca1dd",
)
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
ROWS, SIDE, COLOURS = 10_000, 32, 3
RECORD = 1 + COLOURS * SIDE * SIDE


def load() -> Dataset:
    """Return 50,000 pictures to learn from and 10,000 for testing, 32×32×3, uint8.

    A folder with the pictures themselves in ten class folders is taken as it is, as a part of the
    set; nothing is split off then.

    Raises
    ------
    FileError
        If they are not here and cannot be fetched, or the archive is broken.
    """
    for folder in folders("cifar10", "cifar-10", "cifar"):
        if (folder / ARCHIVE.name).is_file():
            return unpacked(folder / ARCHIVE.name)
        if all((folder / name).is_dir() for name in CLASSES):
            return replace(read_folder(folder), classes=CLASSES)
    folder = cache() / "cifar10"
    try:
        fetch([ARCHIVE], folder)
    except FileError as error:
        raise unfetched("cifar10", str(error), ARCHIVE.name) from error
    return unpacked(folder / ARCHIVE.name)


def unpacked(path: Path) -> Dataset:
    """Return the data set in the archive; nothing is written and nothing but its batches is read.

    Raises
    ------
    FileError
        If a batch is missing or not whole, or the archive is broken.
    """
    X = np.empty((len(BATCHES), ROWS, SIDE, SIDE, COLOURS), dtype=np.uint8)
    y = np.empty((len(BATCHES), ROWS), dtype=np.int64)
    missing = set(BATCHES)
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in missing else None
                if file is None or member.size != ROWS * RECORD:
                    continue
                records = np.frombuffer(file.read(), dtype=np.uint8).reshape(ROWS, RECORD)
                batch = BATCHES.index(name)
                y[batch] = records[:, 0]
                planes = records[:, 1:].reshape(ROWS, COLOURS, SIDE, SIDE)
                X[batch] = planes.transpose(0, 2, 3, 1)
                missing.remove(name)
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OSError) as error:
        raise FileError(f"{path} is broken; remove it, so that it is fetched again") from error
    if missing or y.max() >= len(CLASSES):
        raise FileError(f"{path} is broken; remove it, so that it is fetched again")
    return Dataset(
        X=X[:-1].reshape(-1, *X.shape[2:]),
        y=y[:-1].reshape(-1),
        X_test=X[-1],
        y_test=y[-1],
        classes=CLASSES,
    )
