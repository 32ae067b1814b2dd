"""Read samples from a file or a folder: one table of readers, chosen by the file's name.

A file whose name tells nothing is known by its first bytes.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..errors import DataError, FileError, LatenteError, ParameterError
from .dataset import Dataset, as_labels, check_ordinary, labelled
from .idx import is_idx, load_idx, read_idx, read_idx_folder, train_images
from .npy import load_npy, read_npy, read_npz
from .pictures import (
    SUFFIXES,
    PictureFiles,
    as_classes,
    decoded,
    picture_files,
    pictures,
    read_picture,
)
from .sources import (
    CELL,
    PictureSource,
    TableSource,
    is_large,
    opened_parquet,
    parquet_files,
)
from .tabular import (
    column_name,
    labels_of,
    of_arrow,
    read_csv,
    read_feather,
    read_parquet,
    read_text,
)
from .text import TextFile, TextFormat


def read_parquet_file(path: Path, *, target: str | int | None = None) -> Dataset:
    """Read a Parquet file: as `tabular.read_parquet`, or as a source where it is large."""
    with opened_parquet(path) as file:
        large = is_large(CELL * file.metadata.num_rows * file.metadata.num_columns)
    if not large:
        return read_parquet(path, target=target)
    return streamed_table(TableSource([path]), target)


def read_parquet_folder(folder: Path, *, target: str | int | None = None) -> Dataset:
    """Read the Parquet files of a folder as one table, or as a source where it is large."""
    source = TableSource(parquet_files(folder))
    if is_large(source.nbytes):
        return streamed_table(source, target)
    return of_arrow(pa.concat_tables([table for _, table in source.tables()]), folder, target)


def streamed_table(source: TableSource, target: str | int | None) -> Dataset:
    """Return a large table as a data set whose rows stay on the disk; only labels are read."""
    y, classes, X = None, None, source
    path = Path(source.name)
    if target is not None:
        name = column_name(target, source.names, path)
        only = [table for _, table in source.select([name]).tables()]
        y, classes = labels_of(pa.concat_tables(only)[name], name, path)
        X = source.select([each for each in source.names if each != name])
    return Dataset(X=X, y=y, names=X.names, name=path.stem, classes=classes, source=source.name)


def read_pictures(
    folder: Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """Read a folder of pictures: as `pictures.read_folder`, or as a source where it is large."""
    found = picture_files(folder, size=size, channels=channels)
    source = pictures_of(folder, found)
    X = source if is_large(source.nbytes) else decoded(found.paths, found.target, found.largest)
    return as_classes(found, X, folder)


def pictures_of(folder: Path, found: PictureFiles) -> PictureSource:
    """Return the pictures of a folder as a source."""
    return PictureSource(found.paths, found.target, found.largest, str(folder))


FORMAT = tuple(field.name for field in fields(TextFormat))
"""The options that say how a table of text is written."""


@dataclass(frozen=True)
class Reader:
    """One way to read samples.

    Parameters
    ----------
    what
        What it reads, in words.
    read
        From a path, and by keyword the options it takes, to a data set.
    suffixes
        How the names of such files end.
    magic
        How such files begin.
    """

    what: str
    read: Callable[..., Dataset]
    suffixes: tuple[str, ...] = ()
    magic: bytes | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options it takes."""
        names = tuple(inspect.signature(self.read).parameters)[1:]
        return (
            (*(n for n in names if n != "text_format"), *FORMAT)
            if "text_format" in names
            else names
        )


READERS: Mapping[str, Reader] = {
    "npy": Reader("a NumPy array", read_npy, (".npy",), b"\x93NUMPY"),
    "npz": Reader("NumPy arrays", read_npz, (".npz",), b"PK\x03\x04"),
    "csv": Reader("a table as text", read_csv, (".csv", ".tsv", ".csv.gz", ".tsv.gz")),
    "text": Reader("a table as text, or texts, one a line", read_text, (".txt", ".txt.gz")),
    "parquet": Reader("a Parquet table", read_parquet_file, (".parquet", ".pq"), b"PAR1"),
    "feather": Reader("a Feather table", read_feather, (".feather", ".arrow"), b"ARROW1"),
    "picture": Reader("a picture", read_picture, SUFFIXES),
    "idx": Reader("an IDX file", read_idx, ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz")),
    "idx folder": Reader("a folder of IDX files", read_idx_folder),
    "parquet folder": Reader("a folder of Parquet files", read_parquet_folder),
    "folder": Reader("a folder of pictures", read_pictures),
}
"""What can be read. A new kind of file is one entry here and one function."""


def read(
    path: str | Path,
    *,
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
    """Read samples from a file or a folder.

    ===========================  =========================================  ==================
    what                         X                                          options
    ===========================  =========================================  ==================
    ``.npy``                     the array; mapped from disk from 256 MB    labels
    ``.npz``                     X, x, X_train, x_train, data, images,      key, target,
                                 arr_0, or the only array                   labels
    IDX, gzipped or not          the array, with the labels beside it       labels
    folder of IDX files          as MNIST's: train-images..., t10k-...
    ``.csv``, ``.tsv``,          float64, or a data frame where there are   target, header,
    gzipped or not               categories or missing values, or whole     decimal, thousands,
                                 numbers that float64 would round           encoding, labels
    ``.parquet``, ``.feather``,  the same; of Parquet that takes more than  target, labels
    folder of ``.parquet``       a quarter of the memory, a source
    ``.txt``, gzipped or not     the same where it is a table of numbers,   as ``.csv``
                                 else a list of texts, one a line; empty
                                 lines are left out
    folder of pictures           ``(n, h, w)`` or ``(n, h, w, 3)`` uint8    size, channels,
                                 or uint16; class folders are labels; of    labels
                                 those that take more than a quarter of
                                 the memory, a source
    a picture                    the same, one sample                       size, channels
    ===========================  =========================================  ==================

    Parameters
    ----------
    path
        The file or folder.
    size
        Height and width in pixels to which pictures are stretched.
    channels
        1 for grey pictures, 3 for colour, 4 for colour with alpha; by itself as they are.
    key
        Which array of an ``.npz`` holds the samples.
    target
        Which column of a table, by name or place, or array of an ``.npz``, holds the labels.
    header
        Whether a table's first line names its columns; found out by itself.
    decimal, thousands
        How the numbers of a table of text are written: the decimal sign "." or ",", and what
        stands between groups of three digits, one of ",", ".", " ", "'" and "none". By itself
        judged column by column; a column that can be read in two ways is named by a `DataWarning`.
    encoding
        Of text, as Python calls it; by itself UTF-8, what a byte order mark says, or, with a
        `DataWarning`, Windows-1252.
    labels
        A file with one label a sample: ``.npy``, IDX, or text with one a line.

    Raises
    ------
    FileError
        If the path is not there, cannot be opened, is empty, cut short or of no known kind.
    DataError
        If what it holds cannot be used as samples; the message names the row, column or picture.
    ParameterError
        If an option is given that such data do not take.
    MissingExtra
        If an optional library is needed.
    """
    path = Path(path).expanduser()
    text = TextFormat(header, decimal, thousands, encoding)
    given = {"size": size, "channels": channels, "key": key, "target": target} | asdict(text)
    options = {name: value for name, value in given.items() if value is not None}
    try:
        reader = chosen(path)
        for name in options:
            if name not in reader.options:
                raise ParameterError(
                    f"{name}={options[name]!r} does not apply to {path}, {reader.what}"
                )
        if options.keys() & FORMAT:
            options = {k: options[k] for k in options if k not in FORMAT} | {"text_format": text}
        data = reader.read(path, **options)
        return data if labels is None else with_labels(data, Path(labels).expanduser())
    except LatenteError:
        raise
    except OSError as error:
        raise FileError(f"{error.filename or path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit in memory") from error


def chosen(path: Path) -> Reader:
    """Return the reader for a path: by its being a folder, its name, or its first bytes.

    Raises
    ------
    FileError
        If there is no such path, or it is of no known kind.
    """
    if os.path.isdir(path):
        if any(pictures(path)):
            return READERS["folder"]
        idx = train_images(path)
        return READERS[
            "idx folder" if idx else "parquet folder" if parquet_files(path) else "folder"
        ]
    if not os.path.exists(path):
        raise FileError(f"{path!s:.200}: there is no such file or folder")
    check_ordinary(path)
    name = path.name.lower()
    for reader in READERS.values():
        if reader.suffixes and name.endswith(reader.suffixes):
            return reader
    with path.open("rb") as file:
        head = file.read(16)
    for reader in READERS.values():
        if reader.magic is not None and head.startswith(reader.magic):
            return reader
    if is_idx(path):
        return READERS["idx"]
    raise FileError(
        f"{path} is {'empty' if not head else 'of no known kind'}; "
        ".npy, .npz, .csv, .tsv, .txt, .parquet, .feather, IDX, pictures and folders of pictures "
        "can be read"
    )


def with_labels(data: Dataset, path: Path) -> Dataset:
    """Return the data with labels read from a file of their own.

    Raises
    ------
    DataError
        If there are not as many labels as samples.
    """
    check_ordinary(path)
    if path.suffix.lower() == ".npy":
        values = as_labels(load_npy(path), str(path))
    elif is_idx(path):
        values = as_labels(load_idx(path), str(path))
    else:
        lines = [line.strip() for line in TextFile.of(path).lines()]
        try:
            values = np.array([float(line) for line in lines])
        except ValueError:
            values = np.array(lines)
    if len(values) != len(data):
        raise DataError(f"{path} holds {len(values):,} labels for {len(data):,} samples")
    y, classes = labelled(values)
    return replace(data, y=y, classes=classes)
