"""Tables of numbers as text, straight into one matrix: what most large and most wide tables are.

::

    long   the file in pieces of whole lines ──▶ pyarrow, a thread each ──▶ their rows of the matrix
    wide   some lines, a field a line        ──▶ pyarrow, one column    ──▶ their rows of the matrix

A table of Arrow holds each column in pieces of its own. In a long one that is a second copy of all
numbers; in a wide one, the pieces take far more memory than the numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from .dialect import Dialect, convert_options
from .text import TextFile

EXACT = 2**53
"""From here on, float64 does not hold every whole number."""
PIECE = 2**23
"""Bytes of a long table that one thread reads at once."""
WIDE = 2000
"""From so many columns on, a table is wide."""
CELLS = 2**20
"""Fields of a wide table that are read at once."""


class Unfit(Exception):
    """The file holds something else than its first lines promise."""


@dataclass(frozen=True)
class Matrix:
    """The numbers of a table, and its other columns.

    Parameters
    ----------
    names
        The columns of the numbers.
    values
        Shape (n, numbers), float64; NaN where one is missing.
    texts
        The other columns as they stand in the file.
    gaps
        Whether numbers are missing.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    texts: pa.Table
    gaps: bool


@dataclass
class Growing:
    """A matrix that grows by blocks of rows.

    Parameters
    ----------
    whole
        Which columns hold whole numbers, as far as is known.
    values
        Room for the rows.
    count
        How many rows there are.
    gaps
        Whether numbers are missing in them.
    """

    whole: NDArray[np.bool_]
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    count: int = 0
    gaps: bool = False

    def room(self, rows: int, expected: int) -> NDArray[np.float64]:
        """Return room for some more rows, in a matrix that is expected to have so many in all."""
        need = self.count + rows
        if need > len(self.values):
            size = max(expected, need if not self.count else need + need // 4)
            self.values.resize((size, len(self.whole)), refcheck=False)
        self.count = need
        return self.values[need - rows : need]

    def check(self, block: NDArray[np.float64]) -> None:
        """Look for gaps in a block; raise `Unfit` if whole numbers in it may have been rounded."""
        self.gaps = self.gaps or bool(np.isnan(block).any())
        large = np.abs(block) >= EXACT
        if large.any() and large[:, self.whole].any():
            raise Unfit

    def matrix(self, names: tuple[str, ...], texts: pa.Table) -> Matrix:
        """Return the rows with the names of their columns, and the text beside them."""
        self.values.resize((self.count, len(self.whole)), refcheck=False)
        return Matrix(names, self.values, texts, self.gaps)


def read_matrix(file: TextFile, dialect: Dialect, target: str | None = None) -> Matrix | None:
    """Return a table whose columns are numbers as a matrix, if it is large enough to be worth it.

    Parameters
    ----------
    file
        The file.
    dialect
        How it is written.
    target
        The name of the column of labels, if any, which may hold text in a long table.

    Returns
    -------
    Matrix
        None where the table is small or quoted, does not hold what its first lines promise, has
        a broken row, or whole numbers that float64 would round.
    """
    types = {name: dialect.types[name] for name in dialect.kept}
    numbers = {name: dtype for name, dtype in types.items() if not pa.types.is_string(dtype)}
    if dialect.quoted or len(set(numbers.values())) != 1:
        return None
    texts = [name for name in types if name not in numbers]
    try:
        if len(dialect.names) >= WIDE:
            return wide(file, dialect, tuple(numbers), texts)
        if set(texts) <= {target} and is_long(file):
            return long(file, dialect, tuple(numbers), texts)
    except (pa.ArrowInvalid, Unfit):
        pass
    return None


def whole_of(names: Iterable[str], dialect: Dialect) -> NDArray[np.bool_]:
    """Return which of some columns have no decimal sign."""
    return np.array([name in dialect.whole for name in names])


# ── long ─────────────────────────────────────────────────────────────────────────────────────


def is_long(file: TextFile) -> bool:
    """Whether a file has several pieces that can be read apart."""
    return not file.packed and file.encoding == "utf-8" and file.path.stat().st_size >= 2 * PIECE


def long(file: TextFile, dialect: Dialect, names: tuple[str, ...], texts: list[str]) -> Matrix:
    """Return the matrix of a long table, its pieces read by as many threads as pyarrow has.

    Raises
    ------
    Unfit, pyarrow.ArrowInvalid
        If it holds something else.
    """
    rows, others = Growing(whole_of(names, dialect)), []
    size, done = file.path.stat().st_size, 0
    for end, table in tables(file, dialect):
        done += table.num_rows
        expected = int(done * size / end * 1.01) + 1  # lines are about equally long
        block = rows.room(table.num_rows, expected)
        fill(block, table.select(names))
        rows.check(block)
        others.append(table.select(texts))
    return rows.matrix(names, pa.concat_tables(others))


def tables(file: TextFile, dialect: Dialect) -> Iterator[tuple[int, pa.Table]]:
    """Yield the pieces of a file in their order, each with the place in the file where it ends."""
    convert = convert_options(dialect, {name: dialect.types[name] for name in dialect.kept})
    parse = pyarrow.csv.ParseOptions(delimiter=dialect.separator, quote_char=False)

    def read(begin: int, end: int) -> tuple[int, pa.Table]:
        options = pyarrow.csv.ReadOptions(
            column_names=dialect.names,
            skip_rows_after_names=int(dialect.header and not begin),
            block_size=max(2**20, 4 * dialect.longest),
            use_threads=False,
        )
        stream = source.get_stream(begin, end - begin)
        return end, pyarrow.csv.read_csv(stream, options, parse, convert)

    threads = pa.cpu_count()
    with pa.OSFile(str(file.path)) as source, ThreadPoolExecutor(threads) as pool:
        running: deque[Any] = deque()
        try:
            for begin, end in pieces(file):
                running.append(pool.submit(read, begin, end))
                if len(running) > threads:  # one more than there are threads: none waits
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def pieces(file: TextFile) -> Iterator[tuple[int, int]]:
    """Yield where the pieces of a file begin and end: each is whole lines."""
    size, begin = file.path.stat().st_size, 0
    with file.path.open("rb") as raw:
        while begin < size:
            raw.seek(min(begin + PIECE, size))
            raw.readline()
            end = raw.tell()
            yield begin, end
            begin = end


def fill(block: NDArray[np.float64], table: pa.Table) -> None:
    """Write the columns of a table into a block of rows, a few rows at once, for the cache."""
    start = 0
    for batch in table.to_batches():
        part = block[start : start + batch.num_rows]
        for j, column in enumerate(batch.columns):
            part[:, j] = column.to_numpy(zero_copy_only=False)
        start += batch.num_rows


# ── wide ─────────────────────────────────────────────────────────────────────────────────────


def wide(file: TextFile, dialect: Dialect, names: tuple[str, ...], texts: list[str]) -> Matrix:
    """Return the matrix of a wide table.

    Raises
    ------
    Unfit, pyarrow.ArrowInvalid
        If it holds something else, or a row has another number of fields.
    """
    rows = Growing(whole_of(names, dialect))
    columns: list[list[str]] = [[] for _ in texts]
    for count, fields in field_lines(file, dialect, texts, columns):
        block = rows.room(count, count)
        block[:] = one_column(fields, dialect, dialect.types[names[0]]).reshape(count, -1)
        rows.check(block)
    others = pa.table([pa.chunked_array([pa.array(c, pa.string())]) for c in columns], names=texts)
    return rows.matrix(names, others)


def field_lines(
    file: TextFile, dialect: Dialect, texts: list[str], columns: list[list[str]]
) -> Iterator[tuple[int, str]]:
    """Yield rows, some at once: how many, and their numbers, one a line; add what is text.

    Raises
    ------
    Unfit
        If a row has another number of fields than there are names.
    """
    place = {name: i for i, name in enumerate(dialect.names)}
    apart = [place[name] for name in texts]
    left_out = sorted([*apart, *range(dialect.numbered)], reverse=True)
    width, separator = len(place), dialect.separator
    most = max(1, CELLS // width)
    gathered: list[str] = []
    for line in body(file, dialect):
        if line.count(separator) != width - 1:
            raise Unfit
        if left_out:
            fields = line.split(separator)
            for column, i in zip(columns, apart, strict=True):
                column.append(fields[i])
            for i in left_out:
                del fields[i]
            gathered.append("\n".join(fields))
        else:
            gathered.append(line.replace(separator, "\n"))
        if len(gathered) == most:
            yield most, "\n".join(gathered)
            gathered = []
    if gathered:
        yield len(gathered), "\n".join(gathered)


def body(file: TextFile, dialect: Dialect) -> Iterator[str]:
    """Yield the lines below the header that are not empty, without their ends."""
    first = dialect.header
    with file.open() as lines:
        for line in lines:
            row = line.rstrip("\r\n")
            if row and not first:
                yield row
            first = first and not row


def one_column(fields: str, dialect: Dialect, dtype: pa.DataType) -> NDArray[np.float64]:
    """Return numbers that stand one a line, NaN where one is missing."""
    options = pyarrow.csv.ReadOptions(column_names=["number"])
    parse = pyarrow.csv.ParseOptions(
        delimiter=dialect.separator, quote_char=False, ignore_empty_lines=False
    )
    convert = convert_options(dialect, {"number": dtype})
    text = pa.BufferReader((fields + "\n").encode())
    found = pyarrow.csv.read_csv(text, options, parse, convert)["number"]
    return np.asarray(found.to_numpy(), np.float64)
