"""Tables in files: CSV and its kin, and Parquet, both read by pyarrow.

A column of a CSV file is numbers where each of its fields is a number or missing; else booleans,
dates (ISO 8601 without a time zone), or text.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from ..errors import DataError, FileError, LatenteError
from ..parts import listed
from .dataset import Dataset, check_memory, labelled

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "?")
"""What stands for a missing value, in whatever case."""
SEPARATORS = ("\t", ";", "|", ",")
"""What may stand between fields; the first is taken where two would do as well."""
POINT = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf)\s*")
COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
MOMENT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"
HEAD = 200
"""How many lines are looked at to tell the dialect."""
COUNTED = 4
"""From so many columns on, a first line of 0, 1, 2 ... is a header, not data."""
LISTED = 12
"""How many names an error lists."""
INDEX = "__index_level_"
"""How the columns begin that pandas writes to Parquet for its row labels."""


def read_csv(path: Path, *, target: str | int | None = None, header: bool | None = None) -> Dataset:
    """Read a table of numbers, booleans, dates, categories and missing values.

    ::

        all columns numbers, none missing ──▶ X float64 (n, columns)
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Parameters
    ----------
    path
        The file: UTF-8 text; fields separated by comma, semicolon, tab or bar; numbers with a
        decimal point, or a comma where fields are not separated by it.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.
    header
        Whether the first line names the columns; None to find out.

    Raises
    ------
    DataError
        If a row has too few or too many fields, two columns have one name, there is no row, or
        the target is not there or has gaps.
    FileError
        If the file is empty or is not UTF-8 text.
    """
    dialect = dialect_of(path, header)
    table = load_csv(path, dialect)
    if dialect.numbered:
        table = table.drop_columns([dialect.names[0]])
    if not table.num_rows:
        raise DataError(f"{path} has a header but no rows")
    data = as_dataset(table, path, target, np.dtype(np.float64))
    named = dialect.header or not isinstance(data.X, np.ndarray)
    return data if named else replace(data, names=None)


def read_parquet(path: Path, *, target: str | int | None = None) -> Dataset:
    """Read a table from a Parquet file.

    ::

        all columns numbers, none missing ──▶ X array (n, columns): float64, or float32 or uint8
                                              where all columns are that
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Parameters
    ----------
    path
        The file.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.

    Raises
    ------
    FileError
        If it is no Parquet file, or broken.
    DataError
        If it has no rows, a column holds something else than numbers, text, booleans or dates, or
        the target is not there or has gaps.
    """
    table = load_parquet(path)
    if not table.num_rows or not table.num_columns:
        raise DataError(f"{path} has no {'rows' if table.num_columns else 'columns'}")
    return as_dataset(table, path, target)


# ── from an Arrow table to samples ───────────────────────────────────────────────────────────


def as_dataset(
    table: pa.Table, path: Path, target: str | int | None, dtype: np.dtype[Any] | None = None
) -> Dataset:
    """Return a table's columns as samples and labels: an array of that type, or a data frame."""
    y, classes = None, None
    if target is not None:
        name = column_name(target, table.column_names, path)
        y, classes = labels_of(table[name], name, path)
        table = table.drop_columns([name])
    X = plain(table, dtype)
    return Dataset(
        X=as_frame(table if dtype is None else narrowed(table)) if X is None else X,
        y=y,
        names=tuple(table.column_names),
        name=path.stem,
        classes=classes,
        source=str(path),
    )


def column_name(target: str | int, names: Sequence[str], path: Path) -> str:
    """Return the name of the target's column, given by its name or its place.

    Raises
    ------
    DataError
        If there is no such column, or no other beside it.
    """
    found = target if target in names else by_place(target, names)
    if found is None:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        raise DataError(
            f"{path} has no column {target!r}; it has {listed(map(repr, names[:LISTED]))}{more}"
        )
    if len(names) == 1:
        raise DataError(f"{path} has no columns beside the target {found!r}")
    return str(found)


def by_place(target: str | int, names: Sequence[str]) -> str | None:
    """Return the name of the column at a place, counted from 0 or, if negative, from the end."""
    try:
        return names[int(target)]
    except (ValueError, IndexError):
        return None


def labels_of(
    column: pa.ChunkedArray, name: str, path: Path
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return a column as labels, and the classes they index where it holds text.

    Raises
    ------
    DataError
        If a label is missing.
    """
    gaps = column.is_null(nan_is_null=True).to_numpy()
    if gaps.any():
        raise DataError(f"{path}: row {np.argmax(gaps) + 1} has no label in column {name!r}")
    if pa.types.is_boolean(column.type) or is_number(column.type):
        return labelled(numbers_of(column))
    return labelled(np.array([str(value) for value in column.to_pylist()], dtype=np.str_))


def plain(table: pa.Table, dtype: np.dtype[Any] | None = None) -> NDArray[Any] | None:
    """Return a table of numbers without gaps as an array ``(n, columns)``; any other, None.

    Of the type asked for, else float64, or float32 or uint8 where all columns are that.
    """
    if not all(is_number(c.type) and not c.null_count for c in table.columns):
        return None
    parts = [numbers_of(column) for column in table.columns]
    types = {part.dtype for part in parts}
    if dtype is None:
        same = len(types) == 1 and types <= {np.dtype("u1"), np.dtype("f4")}
        dtype = types.pop() if same else np.dtype("f8")
    X = np.stack(parts, axis=1, dtype=dtype, casting="unsafe")
    return None if X.dtype.kind == "f" and np.isnan(X).any() else X


def is_number(dtype: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    whole, real = pa.types.is_integer(dtype), pa.types.is_floating(dtype)
    return bool(whole or real or pa.types.is_decimal(dtype))


def numbers_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of numbers without gaps as an array; decimals become float64."""
    flat = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
    return np.asarray(flat.to_numpy())


def frame_library() -> str:
    """Return the data-frame library to use: pandas, else polars, else pyarrow."""
    return next((name for name in ("pandas", "polars") if find_spec(name) is not None), "pyarrow")


def as_frame(table: pa.Table) -> Any:
    """Return an Arrow table as a data frame of the library at hand."""
    library = frame_library()
    if library == "pandas":
        return as_pandas(table)
    if library == "polars":
        import polars as pl

        return pl.from_arrow(table)
    return table


def as_pandas(table: pa.Table) -> Any:
    """Return an Arrow table as pandas has it; flags and whole numbers stay such beside gaps."""
    import pandas as pd

    nullable = {
        pa.bool_(): pd.BooleanDtype(),
        **{pa.type_for_alias(str(dtype).lower()): dtype for dtype in (
            pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(),
            pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype(),
        )},
    }  # fmt: skip
    frame = table.to_pandas(ignore_metadata=True)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count and column.type in nullable:
            frame[name] = column.to_pandas(types_mapper=nullable.get)
    return frame


def frame_of(columns: Mapping[str, NDArray[Any]]) -> Any:
    """Return columns of numbers as a data frame, whole numbers as such."""
    return as_frame(narrowed(pa.table({name: pa.array(c) for name, c in columns.items()})))


def narrowed(table: pa.Table) -> pa.Table:
    """Return a table whose columns of numbers are int64 where all are whole."""
    for i, column in enumerate(table.columns):
        if not pa.types.is_float64(column.type) or column.null_count == len(column):
            continue
        values = column.drop_null().to_numpy()
        if np.all((np.abs(values) < 2**53) & (values == np.rint(values))):
            table = table.set_column(i, table.column_names[i], column.cast(pa.int64()))
    return table


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Dialect:
    """What the first lines of a CSV file tell.

    Parameters
    ----------
    separator
        What stands between the fields of a line.
    decimal
        The decimal sign: a point, or a comma where fields are separated by something else.
    header
        Whether the first line names the columns.
    names
        The names of the columns, one a field; ``column 1`` and so on where none are given.
    numeric
        The names of those that look like numbers.
    numbered
        Whether the first column is nameless beside others with names: the row numbers or names
        that pandas and R write, which are no data.
    """

    separator: str
    decimal: str
    header: bool
    names: tuple[str, ...]
    numeric: frozenset[str]
    numbered: bool


def dialect_of(path: Path, header: bool | None = None) -> Dialect:
    """Return how a file of separated values is written.

    The separator is the one of comma, semicolon, tab and bar that splits the lines alike and
    leaves most fields that are numbers. The first line is a header where none of its fields is a
    number, or where four or more fields count 0, 1, 2, 3 ..., as pandas calls nameless columns.

    Parameters
    ----------
    path
        The file.
    header
        Whether the first line names the columns; None to find out.

    Raises
    ------
    FileError
        If the file is empty or is not UTF-8 text.
    DataError
        If two columns have one name.
    """
    with open_text(path) as file:
        head = [line for line in islice(file, HEAD) if line.strip()]
    if not head:
        raise FileError(f"{path} is empty")
    separator = max(SEPARATORS, key=lambda each: merit(split(head, each)))
    sample = split(head, separator)
    first = [cell.strip() for cell in sample[0]]
    header = names_columns(first) if header is None else header
    names = [cell if header and cell else f"column {i}" for i, cell in enumerate(first, 1)]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; give each a name of its own")
    numbered = header and len(first) > 1 and not first[0] and all(first[1:])
    body = zip(*(row for row in sample[header:] if len(row) == len(names)), strict=True)
    looks = {
        name: all(is_missing(c) or POINT.fullmatch(c) or COMMA.fullmatch(c) for c in cells)
        for name, cells in zip(names, body, strict=False)
    }
    numeric = frozenset(name for name, number in looks.items() if number)
    sign = decimal(sample, separator)
    return Dialect(separator, sign, header, tuple(names), numeric, numbered)


def split(head: Sequence[str], separator: str) -> list[list[str]]:
    """Return the fields of some lines; a field that goes on beyond them is left out."""
    reader = csv.reader(head, delimiter=separator)
    try:
        return list(reader)
    except csv.Error:
        return [line.rstrip("\r\n").split(separator) for line in head]


def merit(sample: Sequence[Sequence[str]]) -> tuple[bool, float, int]:
    """Return how well a separator splits: evenly, into numbers, into many fields."""
    width, alike = Counter(map(len, sample)).most_common(1)[0]
    even = width > 1 and len(sample[0]) == width and alike > len(sample) / 2
    cells = [cell for row in sample for cell in row]
    numbers = sum(bool(POINT.fullmatch(cell) or COMMA.fullmatch(cell)) for cell in cells)
    return even, numbers / len(cells), width


def decimal(sample: Sequence[Sequence[str]], separator: str) -> str:
    """Return the decimal sign of the numbers in some rows."""
    if separator == ",":
        return "."
    cells = [cell for row in sample for cell in row]
    points = any("." in cell and POINT.fullmatch(cell) for cell in cells)
    return "," if not points and any(COMMA.fullmatch(cell) for cell in cells) else "."


def names_columns(first: Sequence[str]) -> bool:
    """Whether the first line is a header."""
    if list(first) == [str(i) for i in range(len(first))]:
        return len(first) >= COUNTED
    numbers = any(POINT.fullmatch(cell) or COMMA.fullmatch(cell) for cell in first)
    return not numbers and not all(map(is_missing, first))


def is_missing(field: str) -> bool:
    """Whether a field stands for a missing value."""
    return field.strip().casefold() in MISSING


def load_csv(path: Path, dialect: Dialect) -> pa.Table:
    """Return the table: what looks like numbers read as such, all else as text and then typed.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    FileError
        If the file is not UTF-8 text.
    """
    if not even_quotes(path):  # pyarrow takes all that follows an open quote for its text
        check_rows(path, dialect)
    types = {n: pa.float64() if n in dialect.numeric else pa.string() for n in dialect.names}
    try:
        table = arrow_csv(path, dialect, types)
    except pa.ArrowInvalid:  # text far below numbers, or a broken row
        check_rows(path, dialect)
        try:
            table = arrow_csv(path, dialect, dict.fromkeys(dialect.names, pa.string()))
        except pa.ArrowInvalid as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path} is not a table of text: {reason}") from error
    columns = [
        typed(c, dialect.decimal) if pa.types.is_string(c.type) else c for c in table.columns
    ]
    return pa.table(columns, names=list(dialect.names))


def arrow_csv(path: Path, dialect: Dialect, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the file as pyarrow reads it, the columns of those types."""
    spellings = {form for word in MISSING for form in (word, word.upper(), word.capitalize())}
    return pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(
            column_names=dialect.names, skip_rows_after_names=int(dialect.header)
        ),
        parse_options=pa.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types,
            decimal_point=dialect.decimal,
            null_values=[*spellings, "NaN", "-NaN", "NaT"],
        ),
    )


def typed(column: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Return a column of text as what all its fields that are not missing can be.

    Numbers, also where all is missing; else booleans; else moments to the microsecond; else text
    without blanks around it.
    """
    words = pc.utf8_trim_whitespace(column)
    lower = pc.utf8_lower(words)
    gaps = pc.fill_null(pc.is_in(lower, pa.array(MISSING)), True)
    words, lower = (pc.if_else(gaps, None, each) for each in (words, lower))
    numbers = pc.replace_substring(words, decimal, ".") if decimal != "." else words
    try:
        return pc.replace_substring_regex(numbers, r"^\+([^+-])", r"\1").cast(pa.float64())
    except pa.ArrowInvalid:
        pass
    if pc.all(pc.is_in(pc.drop_null(lower), pa.array(["true", "false"]))).as_py():
        return pc.equal(lower, "true")
    if pc.all(pc.match_substring_regex(words, MOMENT)).as_py():
        try:
            return words.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            pass
    return words


def even_quotes(path: Path) -> bool:
    """Whether quotes may all be closed."""
    with path.open("rb") as file:
        pieces = iter(partial(file.read, 2**20), b"")
        return sum(piece.count(b'"') for piece in pieces) % 2 == 0


def check_rows(path: Path, dialect: Dialect) -> None:
    """Go through the rows of a file that pyarrow finds fault with, to name the one that is broken.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    FileError
        If the file is not UTF-8 text.
    """
    width = len(dialect.names)
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=dialect.separator, strict=True)
        try:
            for row in reader:
                if row and len(row) != width:
                    count = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    raise DataError(
                        f"{path}, line {reader.line_num}: {count}, where the first line has {width}"
                    )
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def read_lines(path: Path) -> Dataset:
    """Read texts, one a line; empty lines are left out.

    Parameters
    ----------
    path
        The file, UTF-8.

    Raises
    ------
    FileError
        If it holds none.
    """
    with open_text(path) as file:
        lines = [line.rstrip("\r\n") for line in file]
    texts = [line for line in lines if line]
    if not texts:
        raise FileError(f"{path} is empty; give texts, one a line")
    return Dataset(X=texts, name=path.name)


@contextmanager
def open_text(path: Path) -> Iterator[Iterator[str]]:
    """Open a file as text; bytes that are not UTF-8 are told with their line.

    Raises
    ------
    FileError
        If the file is not UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except LatenteError:
        raise
    except UnicodeDecodeError as error:
        line = first_undecodable(path)
        raise FileError(
            f"{path}, line {line}, is not UTF-8 text; save the file as UTF-8"
        ) from error


def first_undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


# ── Parquet ──────────────────────────────────────────────────────────────────────────────────


def load_parquet(path: Path) -> pa.Table:
    """Return the table of a Parquet file, without the row labels of pandas.

    Raises
    ------
    FileError
        If it is no Parquet file, or broken.
    DataError
        If it does not fit in memory, two columns have one name, or a column is not flat.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            shape = file.metadata
            check_memory(4 * shape.num_rows * shape.num_columns, path)
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path} is broken, or no Parquet file") from error
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: two columns are called {min(twice)!r}; give each its own name")
    for field in table.schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise DataError(
                f"{path}: column {field.name!r} holds {field.type}; numbers, text, booleans or "
                "dates are needed"
            )
    index = [name for name in table.column_names if name.startswith(INDEX)]
    return table.drop_columns(index) if index else table
