"""Sources: rows that stay on the disk, and pass by in parts.

::

    memory map, .npy          ──▶ ArraySource   │
    Parquet, a folder of it   ──▶ TableSource   │ parts: arrays or data frames, in the rows' order
    a folder of pictures      ──▶ PictureSource │
    function giving batches   ──▶ BatchSource   │

What takes less than a `SHARE` of memory is read as a whole; what takes more streams by itself.
"""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from ..errors import DataError, FileError, LatenteError
from . import memory
from .ahead import read_ahead
from .arrays import blocks, is_frame, release
from .dataset import natural, take_rows
from .names import Names
from .pictures import Look, decoded
from .tabular import as_frame, checked, frame_library

SHARE = 0.25
"""Share of the memory that a process may take from which data are streamed."""
PART = 2**22
"""Bytes of a part, about."""
EVEN = 1024
"""Results are written part by part for a multiple of so many rows."""
TABLE_PART = (1024, 65_536)
"""Rows of a part of a table, at least and at most."""
CELL = 8
"""Bytes of a value of a table."""
PARQUET = (".parquet", ".pq")

Part = Any
"""Some rows: an array, or a data frame."""


class Source(ABC):
    """Rows that stay where they are and are read in parts, as often as need be.

    Parameters
    ----------
    name
        What they are called in errors and on the screen.
    """

    costly = True
    """Whether it costs more to read a part than to copy it from a memory map."""
    alone = False
    """Whether parts are made by several threads, so that one more gains nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(n, columns), (n, h, w) or (n, h, w, c)."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """About how many bytes the rows take in memory."""

    @abstractmethod
    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        """Yield rows in their order, each part with the number of its first row.

        Parameters
        ----------
        start, stop
            The first row and the one behind the last; all where they are not given.
        """

    @property
    def origin(self) -> Any:
        """What tells where the rows come from: names and sizes of files, where there are some."""
        return self.name

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        size = " × ".join(f"{length:,}" for length in self.shape)
        return f"{type(self).__name__}({self.name}: {size})"

    def ahead(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        """Yield the same parts, each read while the one before is worked on."""
        parts = self.parts(start, stop)
        return parts if self.alone else read_ahead(parts)

    def even(self) -> Generator[Part]:
        """Yield the rows in parts of so many that models round each row as they would at once."""
        rows = max(PART * len(self) // max(self.nbytes, 1) // EVEN, 1) * EVEN
        waiting: list[Part] = []
        with closing(self.ahead()) as parts:
            for _, part in parts:
                waiting.append(part)
                if sum(map(len, waiting)) < rows:
                    continue
                full = joined(waiting)
                whole = len(full) // rows * rows
                yield from (some(full, start, start + rows) for start in range(0, whole, rows))
                waiting = [some(full, whole, len(full))] if whole < len(full) else []
        if waiting:
            yield joined(waiting)

    def head(self) -> Part:
        """Return the first part."""
        return self._head

    @cached_property
    def _head(self) -> Part:
        with closing(self.parts()) as parts:
            return next(parts)[1]

    def read(self) -> Part:
        """Return all rows as one array or data frame."""
        return joined([part for _, part in self.parts()])

    def __getitem__(self, rows: Any) -> Any:
        """Return the first rows, ``source[:n]``, as a source, or rows by their numbers.

        The latter are read, unless they take much memory themselves.
        """
        if isinstance(rows, slice):
            if rows.start or rows.step not in (None, 1) or (rows.stop or 0) < 0:
                raise DataError(f"{self.name} is streamed: only its first rows are a slice, [:n]")
            return self if rows.stop is None or rows.stop >= len(self) else self._first(rows.stop)
        index = np.asarray(rows)
        if index.ndim != 1:
            raise DataError(f"{self.name} is streamed: give the numbers of several rows, or [:n]")
        unique, place = np.unique(index, return_inverse=True)
        chosen = self._chosen(unique)
        if not is_large(chosen.nbytes):
            return take_rows(chosen.read(), place)
        if len(unique) != len(index) or (np.diff(index) < 0).any():
            raise DataError(f"{self.name} is streamed: give the numbers of rows in rising order")
        return chosen

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all rows as one array, unless they take much memory."""
        require_small(self)
        return np.asarray(self.read(), dtype)

    def _first(self, n: int) -> Source:
        return First(self, n)

    def _chosen(self, rows: NDArray[np.int64]) -> Source:
        return Chosen(self, rows)

    def select(self, columns: Sequence[str]) -> Source:
        """Return a table's columns of those names, in that order."""
        raise DataError(f"{self.name} is no table; it has no columns by name")

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of a table's columns."""
        return None


class Subset(Source):
    """Some rows of a source.

    Parameters
    ----------
    source
        All of them.
    n
        How many.
    rows
        The numbers that tell which, where there are some.
    """

    def __init__(self, source: Source, n: int, rows: NDArray[np.int64] | None = None) -> None:
        super().__init__(source.name)
        self.source, self.n = source, n
        self.rows = np.zeros(0, np.int64) if rows is None else rows
        self.alone = source.alone

    @abstractmethod
    def of(self, source: Source) -> Source:
        """Return the same rows of another source."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n, *self.source.shape[1:])

    @property
    def nbytes(self) -> int:
        return self.source.nbytes * self.n // len(self.source)

    @property
    def origin(self) -> Any:
        return self.source.origin, zlib.crc32(self.rows.tobytes())

    def select(self, columns: Sequence[str]) -> Source:
        return self.of(self.source.select(columns))

    @property
    def names(self) -> tuple[str, ...] | None:
        return self.source.names


class First(Subset):
    """The first rows of a source.

    Parameters
    ----------
    source
        All of them.
    n
        How many, fewer than all.
    """

    def __init__(self, source: Source, n: int) -> None:
        super().__init__(source, n)
        self.costly = source.costly

    def of(self, source: Source) -> Source:
        return First(source, self.n)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        yield from self.source.parts(start, self.n if stop is None else min(stop, self.n))


class Chosen(Subset):
    """Some rows of a source, here and there.

    Parameters
    ----------
    source
        All of them.
    rows
        Their numbers, in rising order.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64]) -> None:
        super().__init__(source, len(rows), rows)

    def of(self, source: Source) -> Source:
        return Chosen(source, self.rows)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        rows = self.rows[start:stop]
        if not len(rows):
            return
        waiting: list[Part] = []
        least = max(1, PART * len(self) // max(self.nbytes, 1))
        for first, part in self.source.parts(int(rows[0]), int(rows[-1]) + 1):
            low, high = np.searchsorted(rows, [first, first + len(part)])
            if low < high:
                waiting.append(take_rows(part, rows[low:high] - first))
            count = sum(map(len, waiting))
            if count >= least or (count and high == len(rows)):
                yield start + int(high) - count, joined(waiting)
                waiting = []


class Without(Subset):
    """All rows of a source but a few.

    Parameters
    ----------
    source
        All of them.
    rows
        The numbers of those that are left out, in rising order.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64]) -> None:
        super().__init__(source, len(source) - len(rows), rows)
        self.costly = source.costly

    def of(self, source: Source) -> Source:
        return Without(source, self.rows)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        stop = len(self) if stop is None else stop
        before = self.rows - np.arange(len(self.rows))
        begin, end = (each + int(np.searchsorted(before, each, "right")) for each in (start, stop))
        for first, part in self.source.parts(begin, end):
            low, high = np.searchsorted(self.rows, [first, first + len(part)])
            kept = np.delete(np.arange(len(part)), self.rows[low:high] - first)
            if len(kept):
                yield first - int(low), part if low == high else take_rows(part, kept)


class ArraySource(Source):
    """The rows of an array, a memory map as a rule.

    Parameters
    ----------
    array
        Shape (n, features), (n, h, w) or (n, h, w, c).
    name
        What it is called.
    """

    costly = False

    def __init__(self, array: NDArray[Any], name: str = "X") -> None:
        super().__init__(name)
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        stop = len(self) if stop is None else stop
        values = PART // self.array.dtype.itemsize
        for first, block in blocks(self.array[start:stop], values):
            release(self.array, start + first, start + first + len(block))
            yield start + first, np.asarray(block)


class TableSource(Source):
    """The rows of Parquet files, one file after the other.

    Parameters
    ----------
    paths
        The files. Their columns have the same names and types, in any order.
    columns
        The names of those to take; all where it is None.

    Raises
    ------
    FileError
        If one is no Parquet file, or broken.
    DataError
        If there are no rows, or a file's columns are not those of the first.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> None:
        super().__init__(str(paths[0]) if len(paths) == 1 else str(paths[0].parent))
        self.paths = list(paths)
        self.counts: list[int] = []
        self._bytes = 0
        first: pa.Schema | None = None
        for path in self.paths:
            with opened_parquet(path) as file:
                schema = checked(file.schema_arrow.empty_table(), path).schema
                first = schema if first is None else first
                check_schema(schema, path, first, self.paths[0])
                self.counts.append(file.metadata.num_rows)
                groups = range(file.metadata.num_row_groups)
                self._bytes += sum(file.metadata.row_group(i).total_byte_size for i in groups)
        assert first is not None
        self.schema = first if columns is None else pa.schema([first.field(c) for c in columns])
        if not sum(self.counts) or not len(self.schema):
            what = "columns" if sum(self.counts) else "rows"
            raise DataError(f"{self.name} has no {what}")

    @property
    def shape(self) -> tuple[int, ...]:
        return sum(self.counts), len(self.schema)

    @property
    def nbytes(self) -> int:
        return max(self._bytes, CELL * self.shape[0] * self.shape[1])

    @property
    def origin(self) -> Any:
        files = [(path.name, path.stat().st_size) for path in self.paths]
        return files, self.counts, str(self.schema)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    def select(self, columns: Sequence[str]) -> TableSource:
        return self if tuple(columns) == self.names else TableSource(self.paths, columns)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        for first, table in self.tables(start, stop):
            yield first, as_frame(table)

    def tables(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the parts as Arrow has them; row groups outside the range are not read."""
        stop = len(self) if stop is None else stop
        rows = part_rows(len(self.schema))
        first = 0
        for path, count in zip(self.paths, self.counts, strict=True):
            if first + count > start and first < stop:
                yield from self._file(path, first, start, stop, rows)
            first += count

    def _file(
        self, path: Path, first: int, start: int, stop: int, rows: int
    ) -> Iterator[tuple[int, pa.Table]]:
        """Yield the rows of one file, whose first one is that number, within a range."""
        with opened_parquet(path) as file:
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if first + count <= start or first >= stop:
                    first += count
                    continue
                batches = file.iter_batches(rows, row_groups=[group], columns=list(self.names))
                for batch in explained(batches, path):
                    low, high = max(start - first, 0), min(stop - first, batch.num_rows)
                    if low < high:
                        piece = pa.Table.from_batches([batch]).select(self.names)
                        piece = checked(piece.cast(self.schema), path)
                        yield first + low, piece.slice(low, high - low)
                    first += batch.num_rows


class BatchSource(Source):
    """The rows of Arrow record batches that a function gives, anew at every call.

    Parameters
    ----------
    factory
        Without arguments; returns an iterable of `pyarrow.RecordBatch`, the same ones each time.
    name
        What it is called.
    """

    def __init__(
        self,
        factory: Callable[[], Iterable[pa.RecordBatch]],
        name: str = "X",
        columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name)
        self.factory = factory
        self.columns = columns

    @cached_property
    def _counted(self) -> tuple[int, pa.Schema]:
        rows, schema = 0, None
        for table in self._tables():
            rows += table.num_rows
            schema = table.schema if schema is None else schema
            check_schema(table.schema, f"a later batch of {self.name}", schema, "the first")
        if not rows or schema is None:
            raise DataError(f"{self.name} gives no rows")
        return rows, schema

    @property
    def shape(self) -> tuple[int, ...]:
        rows, schema = self._counted
        return rows, len(schema)

    @property
    def nbytes(self) -> int:
        return CELL * self.shape[0] * self.shape[1]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._counted[1].names)

    def select(self, columns: Sequence[str]) -> Source:
        return BatchSource(self.factory, self.name, columns)

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        stop = len(self) if stop is None else stop
        first = 0
        for table in self._tables():
            size = part_rows(table.num_columns)
            for offset in range(0, table.num_rows, size):
                piece = table.slice(offset, size)
                low, high = max(start - first, 0), min(stop - first, piece.num_rows)
                if low < high:
                    yield first + low, as_frame(piece.slice(low, high - low))
                first += piece.num_rows
        if first != len(self):
            raise DataError(f"{self.name} gave {len(self):,} rows at first and {first:,} now")

    def _tables(self) -> Iterator[pa.Table]:
        for batch in self.factory():
            if not isinstance(batch, pa.RecordBatch | pa.Table):
                raise DataError(
                    f"{self.name} gives {type(batch).__name__}; record batches of pyarrow are "
                    "needed"
                )
            table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
            table = checked(table, Path(self.name))
            yield table if self.columns is None else table.select(list(self.columns))


class PictureSource(Source):
    """Pictures in files, decoded as they pass by.

    Parameters
    ----------
    paths
        The pictures.
    target
        What they are to look like.
    largest
        How many pixels the largest has.
    name
        What they are called.
    """

    alone = True

    def __init__(self, paths: Sequence[str], target: Look, largest: int, name: str) -> None:
        super().__init__(name)
        self.paths, self.target, self.largest = paths, target, largest

    def _first(self, n: int) -> Source:
        return PictureSource(self.paths[:n], self.target, self.largest, self.name)

    def _chosen(self, rows: NDArray[np.int64]) -> Source:
        paths = Names.of(self.paths[row] for row in rows.tolist())
        return PictureSource(paths, self.target, self.largest, self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), *self.target.shape)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.target.dtype).itemsize

    @property
    def origin(self) -> Any:
        return [(os.path.basename(path), os.path.getsize(path)) for path in self.paths]

    def parts(self, start: int = 0, stop: int | None = None) -> Generator[tuple[int, Part]]:
        stop = len(self) if stop is None else stop
        rows = max(1, PART * len(self) // self.nbytes)
        for first in range(start, stop, rows):
            paths = self.paths[first : min(first + rows, stop)]
            yield first, decoded(paths, self.target, self.largest)


def at_hand(X: Any) -> Any:
    """Return rows as they are; those of a source in memory, where they take little of it."""
    return X.read() if isinstance(X, Source) and not is_large(X.nbytes) else X


def require_small(source: Source) -> None:
    """Raise `DataError` where rows that are needed at once take much memory."""
    if is_large(source.nbytes):
        raise DataError(
            f"{source.name} takes {memory.amount(source.nbytes)} and is streamed, but all rows are "
            "needed at once here; take fewer: the first ones with [:n], or --limit"
        )


def on_disk(X: Any) -> Source | None:
    """Return rows that stay on the disk, a memory map among them, as a source; else None."""
    if isinstance(X, np.memmap):
        return ArraySource(X)
    return X if isinstance(X, Source) else None


def is_large(nbytes: int) -> bool:
    """Whether so many bytes are streamed."""
    limit = memory.physical_memory()
    return limit is not None and nbytes > SHARE * limit


# ── Parquet files ────────────────────────────────────────────────────────────────────────────


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and below, in natural order."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PARQUET
        and not path.name.startswith((".", "_"))
        and path.is_file()
    ]
    return sorted(found, key=lambda path: [natural(p) for p in path.relative_to(folder).parts])


def opened_parquet(path: Path) -> pa.parquet.ParquetFile:
    """Return a Parquet file opened, to be read piece by piece."""
    try:
        return pa.parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"{path} is broken, or no Parquet file") from error


def explained(batches: Iterable[Any], path: Path) -> Iterator[Any]:
    """Yield batches; what is wrong with their file becomes one sentence that names it."""
    try:
        yield from batches
    except LatenteError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"{path} is broken, or no Parquet file") from error


def check_schema(schema: pa.Schema, path: object, first: pa.Schema, of: object) -> None:
    """Raise `DataError` where columns are not those of the first file."""
    if schema is first or schema.equals(first):
        return
    here_names, there_names = set(schema.names), set(first.names)
    missing = [name for name in first.names if name not in here_names]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}, which {of} has")
    odd = [name for name in schema.names if name not in there_names]
    if odd:
        raise DataError(f"{path} has a column {odd[0]!r}, which {of} has not")
    for name in first.names:
        here, there = schema.field(name).type, first.field(name).type
        if here != there:
            raise DataError(f"{path}: column {name!r} holds {here}, but {there} in {of}")


def part_rows(columns: int) -> int:
    """Return how many rows a part of a table has."""
    least, most = TABLE_PART
    return int(min(max(PART // (CELL * max(columns, 1)), least), most))


def some(part: Part, start: int, stop: int) -> Part:
    """Return neighbouring rows of an array or a data frame."""
    if hasattr(part, "iloc"):
        return part.iloc[start:stop]
    return part.slice(start, stop - start) if is_frame(part) else part[start:stop]


def joined(parts: Sequence[Part]) -> Part:
    """Return parts as one array or data frame."""
    if len(parts) == 1:
        return parts[0]
    if not is_frame(parts[0]):
        return np.concatenate(parts)
    library = frame_library()
    if library == "pandas":
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    if library == "polars":
        import polars as pl

        return pl.concat(parts)
    return pa.concat_tables(parts)


def typed_sample(part: Part, gaps: NDArray[np.bool_]) -> Part:
    """Return some rows of a table, one more with gaps where columns have some anywhere.

    So their types are those of all rows: pandas has others for columns with gaps.
    """
    if not gaps.any():
        return part
    table = part if isinstance(part, pa.Table) else arrow_of(part)
    row = [
        pa.nulls(1, field.type) if gap else table.column(i)[:1].combine_chunks()
        for i, (field, gap) in enumerate(zip(table.schema, gaps.tolist(), strict=True))
    ]
    more = pa.table(row, schema=table.schema)
    return as_frame(pa.concat_tables([table, more]))


def arrow_of(part: Part) -> pa.Table:
    """Return a data frame of pandas or polars as Arrow has it."""
    if hasattr(part, "to_arrow"):
        return part.to_arrow()
    return pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata(None)
