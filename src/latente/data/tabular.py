"""Tables in files: CSV and its kin, Parquet and Feather, all read by pyarrow.

A column of a CSV file is numbers where each of its fields is a number or missing; else booleans,
dates (ISO 8601 without a time zone), or text.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from ..errors import DataError, DataWarning, FileError, LatenteError
from ..parts import listed
from .dataset import Dataset, labelled
from .memory import check_memory
from .notation import (
    NONE,
    NUMBER,
    SIGNS,
    Notation,
    Readings,
    Rules,
    matches,
    readings_of,
    readings_of_column,
    unlike,
)
from .text import TextFile

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "?")
"""What stands for a missing value, in whatever case."""
SEPARATORS = ("\t", ";", "|", ",")
"""What may stand between fields; the first is taken where two would do as well."""
BLANK = " "
MOMENT = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"
HEAD = 200
"""How many lines are looked at to tell the dialect."""
LEAST, SAMPLE = 3, 2**18
"""Fewer of them, though this many, once they have more characters than that."""
CELLS = 20_000
"""How many fields are looked at to tell the separator."""
RETRIES = 3
"""How many columns may turn from numbers to text below the head before all are read as text."""
EXACT = 2**53
"""From here on, float64 does not hold every whole number."""
COUNTED = 4
"""From so many columns on, a first line of 0, 1, 2 ... is a header, not data."""
LISTED = 12
"""How many names an error lists."""
DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""How many of a unit a day has."""
FIRST_DAY, BEYOND = -719_162, 2_932_897
"""The first day of the year 1 and the first of the year 10,000, counted from 1970."""
INDEX = "__index_level_"
"""How the columns begin that pandas writes to Parquet for its row labels."""


def read_csv(
    path: Path,
    *,
    target: str | int | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
) -> Dataset:
    """Read a table of numbers, booleans, dates, categories and missing values.

    ::

        all columns numbers, none missing ──▶ X float64 (n, columns)
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Whole numbers that float64 would round are no such numbers: they come in a data frame, as
    integers or, where 64 bits do not hold them, as text.

    Parameters
    ----------
    path
        The file, gzipped or not: text whose fields are separated by comma, semicolon, tab or bar.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.
    header
        Whether the first line names the columns; None to find out.
    decimal
        The decimal sign, "." or ","; None to judge each column. Where a column can be read in two
        ways, a `DataWarning` names it.
    thousands
        What stands between groups of three digits: ",", ".", " ", "'", or "none"; None to judge.
    encoding
        As Python calls it; None for UTF-8, for what a byte order mark says, or else Windows-1252.

    Raises
    ------
    DataError
        If a row has too few or too many fields, two columns have one name, there is no row, or
        the target is not there or has gaps.
    FileError
        If the file is empty or is no text.
    ParameterError
        If there is no such decimal sign, thousands separator or encoding.
    """
    rules = Rules.given(decimal, thousands)
    file = TextFile.of(path, encoding)
    dialect = dialect_of(file, header, rules)
    table = load_csv(file, dialect)
    if dialect.numbered:
        table = table.drop_columns([dialect.names[0]])
    if not table.num_rows:
        raise DataError(f"{path} has a header but no rows")
    data = as_dataset(table, path, target, np.dtype(np.float64))
    named = dialect.header or not isinstance(data.X, np.ndarray)
    return data if named else replace(data, names=None)


def read_text(
    path: Path,
    *,
    target: str | int | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
) -> Dataset:
    """Read a table, if the file looks like one of numbers, or else texts, one a line.

    It is taken for a table if an option for tables is given, or if its first lines have the same
    number of fields, two or more, half of which are numbers.

    Parameters
    ----------
    path
        The file, gzipped or not. Empty lines are left out.
    target, header, decimal, thousands, encoding
        As for `read_csv`.

    Raises
    ------
    FileError
        If it holds nothing, or no text.
    """
    file = TextFile.of(path, encoding)
    asked = any(option is not None for option in (target, header, decimal, thousands))
    if asked or looks_like_table(file):
        return read_csv(
            path,
            target=target,
            header=header,
            decimal=decimal,
            thousands=thousands,
            encoding=file.encoding,
        )
    texts = file.lines()
    if not texts:
        raise FileError(f"{path} is empty; give texts, one a line")
    return Dataset(X=texts, name=path.name)


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
    return of_arrow(load_parquet(path), path, target)


def read_feather(path: Path, *, target: str | int | None = None) -> Dataset:
    """Read a table from a Feather file: Arrow's IPC format, as data-frame libraries write it.

    Parameters
    ----------
    path, target
        As for `read_parquet`, and so is what comes.

    Raises
    ------
    FileError
        If it is no Feather file of version 2, or broken.
    DataError
        As for `read_parquet`.
    """
    return of_arrow(load_feather(path), path, target)


# ── from an Arrow table to samples ───────────────────────────────────────────────────────────


def of_arrow(table: pa.Table, path: Path, target: str | int | None) -> Dataset:
    """Return the table of a file of Arrow's kin as samples and labels."""
    try:
        table = checked(table, path)
        if not table.num_rows or not table.num_columns:
            raise DataError(f"{path} has no {'rows' if table.num_columns else 'columns'}")
        return as_dataset(table, path, target)
    except LatenteError:
        raise
    except (pa.ArrowException, ArithmeticError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} holds values that no data frame can: {reason:.200}") from error


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

    Of the type asked for, else float64, or float32 or uint8 where all columns are that. None too
    where float64 would round whole numbers.
    """
    if not all(is_number(c.type) and not c.null_count and is_exact(c) for c in table.columns):
        return None
    types = set(table.schema.types)
    if dtype is None:
        same = len(types) == 1 and types <= {pa.uint8(), pa.float32()}
        dtype = np.dtype(types.pop().to_pandas_dtype() if same else np.float64)
    X = np.empty((table.num_rows, table.num_columns), dtype)
    start = 0
    for batch in table.to_batches():  # by blocks of rows, which stay in the processor's cache
        block = X[start : start + batch.num_rows]
        for j, column in enumerate(batch.columns):
            block[:, j] = numbers_of(column)
        start += batch.num_rows
        if X.dtype.kind == "f" and np.isnan(block).any():
            return None
    return X


def is_exact(column: pa.ChunkedArray) -> bool:
    """Whether float64 holds all numbers of a column without gaps as they are."""
    if column.type not in (pa.int64(), pa.uint64()) or not len(column):
        return True
    ends = pc.min_max(column).as_py()
    return bool(ends["min"] >= -EXACT and ends["max"] <= EXACT)


def is_number(dtype: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    whole, real = pa.types.is_integer(dtype), pa.types.is_floating(dtype)
    return bool(whole or real or pa.types.is_decimal(dtype))


def numbers_of(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of numbers without gaps as an array; decimals become float64."""
    flat = column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column
    if isinstance(flat, pa.Array):
        return np.asarray(flat.to_numpy(zero_copy_only=False))
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
    return pa.table(list(map(narrow, table.columns)), names=table.column_names)


def narrow(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Return a column of float64 as int64 where all values that there are are whole."""
    if not pa.types.is_float64(column.type) or column.null_count == len(column):
        return column
    values = column.drop_null().to_numpy()
    whole = np.all((np.abs(values) < EXACT) & (values == np.rint(values)))
    return column.cast(pa.int64()) if whole else column


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Dialect:
    """What the first lines of a CSV file tell.

    Parameters
    ----------
    separator
        What stands between the fields of a line.
    decimal
        The decimal sign of the columns that pyarrow reads as numbers.
    header
        Whether the first line names the columns.
    types
        The columns by their names, one a field (``column 1`` and so on where none are given):
        float64 or int64 what pyarrow can read as such, else string.
    whole
        The names of those whose numbers have no decimal sign.
    numbered
        Whether the first column is nameless beside others with names: the row numbers or names
        that pandas and R write, which are no data.
    rules
        How numbers may be written.
    longest
        How many characters the longest line has.
    """

    separator: str
    decimal: str
    header: bool
    types: Mapping[str, pa.DataType]
    whole: frozenset[str]
    numbered: bool
    rules: Rules
    longest: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)


def dialect_of(file: TextFile, header: bool | None = None, rules: Rules | None = None) -> Dialect:
    """Return how a file of separated values is written.

    The separator is the one of comma, semicolon, tab and bar that splits the lines alike and
    leaves most fields that are numbers. The first line is a header where none of its fields is a
    number, or where four or more fields count 0, 1, 2, 3 ..., as pandas calls nameless columns.

    Parameters
    ----------
    file
        The file.
    header
        Whether the first line names the columns; None to find out.
    rules
        What is given on how numbers are written.

    Raises
    ------
    FileError
        If the file is empty.
    DataError
        If two columns have one name.
    """
    head = head_of(file)
    if not head:
        raise FileError(f"{file.path} is empty")
    separator = separator_of(head, file.path)
    sample = split(head, separator)
    first = [cell.strip() for cell in sample[0]]
    header = names_columns(first) if header is None else header
    names = [cell if header and cell else f"column {i}" for i, cell in enumerate(first, 1)]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f"{file.path}: two columns are called {twice!r}; give each a name of its own"
        )
    rows = [row for row in sample[header:] if len(row) == len(names)]
    cells = [known(column) for column in zip(*rows, strict=True)] if rows else [[]] * len(names)
    rules = replace(rules or Rules(), separator=separator)
    decimal, types, rules = types_of(cells, rules)
    return Dialect(
        separator=separator,
        decimal=decimal,
        header=header,
        types=dict(zip(names, types, strict=True)),
        whole=frozenset(
            name
            for name, words in zip(names, cells, strict=True)
            if not SIGNS & set("".join(words))
        ),
        numbered=header and len(first) > 1 and not first[0] and all(first[1:]),
        rules=rules,
        longest=max(map(len, head)),
    )


def types_of(cells: Sequence[Sequence[str]], rules: Rules) -> tuple[str, list[pa.DataType], Rules]:
    """Return the decimal sign that pyarrow is to read, and what it is to read each column as.

    Parameters
    ----------
    cells
        The known fields of each column in the first lines.
    rules
        How numbers may be written; they come back with the decimal signs seen.
    """
    found = [readings_of(words, rules) for words in cells]
    rules = rules.having_seen(found)
    decimal = rules.decimal or ("," if rules.seen == {","} else ".")
    # Semicolons, and no decimal sign at all: 1.203 further below is as likely a thousand.
    unsure = rules.separator == ";" and not rules.seen and rules.decimal is None
    native = {Notation(decimal)}
    types = []
    for words, readings in zip(cells, found, strict=True):
        if not readings.ways or rules.doubtful(readings):
            types.append(pa.string())
        elif not readings.signs:
            types.append(pa.int64() if unsure and words else pa.float64())
        else:
            types.append(pa.float64() if rules.chosen(readings) in native else pa.string())
    return decimal, types, rules


def head_of(file: TextFile) -> list[str]:
    """Return the first lines of a file that are not blank: fewer where they are long."""
    head: list[str] = []
    size = 0
    with file.open() as lines:
        for line in lines:
            if line.strip():
                head.append(line)
                size += len(line)
            if len(head) == HEAD or (len(head) >= LEAST and size > SAMPLE):
                break
    return head


def separator_of(head: Sequence[str], path: Path) -> str:
    """Return what stands between fields; a blank may do so only in files called ``.txt``."""
    best = max(SEPARATORS, key=lambda each: merit(split(head, each)))
    if ".txt" not in path.name.lower() or merit(split(head, best))[0]:
        return best
    even, numbers, _ = merit(split(head, BLANK))
    return BLANK if even and numbers >= 0.5 else best


def looks_like_table(file: TextFile) -> bool:
    """Whether the first lines are rows of fields, half of which are numbers."""
    head = head_of(file)
    if not head:
        return False
    sample = split(head, separator_of(head, file.path))
    body = [cell for row in sample[1:] or sample for cell in row]
    alike = len(set(map(len, sample))) == 1 and len(sample[0]) > 1
    return alike and 2 * sum(bool(NUMBER.fullmatch(cell)) for cell in body) >= len(body)


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
    cells = list(islice((cell for row in reversed(sample) for cell in row), CELLS))
    numbers = sum(bool(NUMBER.fullmatch(cell)) for cell in cells)
    return even, numbers / len(cells), width


def known(fields: Iterable[str]) -> list[str]:
    """Return the fields that are not missing, without blanks around them."""
    words = (field.strip() for field in fields)
    return [word for word in words if word.casefold() not in MISSING]


def names_columns(first: Sequence[str]) -> bool:
    """Whether the first line is a header."""
    if list(first) == [str(i) for i in range(len(first))]:
        return len(first) >= COUNTED
    return not any(map(NUMBER.fullmatch, first)) and bool(known(first))


def load_csv(file: TextFile, dialect: Dialect) -> pa.Table:
    """Return the table: what looks like numbers read as such, all else as text and then typed.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    """
    if file.quotes % 2:  # pyarrow takes all that follows an open quote for its text
        check_rows(file, dialect)
    table = arrow_table(file, dialect)
    rounded = [name for name in dialect.whole if may_be_rounded(table[name])]
    if rounded:
        exact = arrow_csv(file, dialect, dict.fromkeys(rounded, pa.string()))
        places = {name: i for i, name in enumerate(dialect.names)}
        columns = list(table.columns)
        for name in rounded:
            columns[places[name]] = exact[name]
        table = pa.table(columns, names=list(dialect.names))
    return typed(table, dialect.rules, file.path)


def may_be_rounded(column: pa.ChunkedArray) -> bool:
    """Whether a column of float64 has numbers so large that they may have been rounded."""
    if not pa.types.is_float64(column.type):
        return False
    ends = pc.min_max(column).as_py()
    return ends["max"] is not None and max(-ends["min"], ends["max"]) >= EXACT


def arrow_table(file: TextFile, dialect: Dialect) -> pa.Table:
    """Return the file as pyarrow reads it, as text the columns that hold text far below numbers.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    """
    types = dict(dialect.types)
    for _ in range(RETRIES):
        try:
            return arrow_csv(file, dialect, types)
        except pa.ArrowInvalid as error:
            place = re.match(r"In CSV column #(\d+):", str(error))
            if place is None:
                break
            types[dialect.names[int(place[1])]] = pa.string()
    check_rows(file, dialect)
    try:
        return arrow_csv(file, dialect, dict.fromkeys(dialect.names, pa.string()))
    except pa.ArrowInvalid as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file.path} is not a table of text: {reason}") from error


def arrow_csv(file: TextFile, dialect: Dialect, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the columns of those names as pyarrow reads them, as those types."""
    spellings = {form for word in MISSING for form in (word, word.upper(), word.capitalize())}
    parse = pa.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=file.quotes > 0)
    convert = pa.csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        decimal_point=dialect.decimal,
        null_values=[*spellings, "NaN", "-NaN", "NaT"],
    )
    block = min(max(2**20, 64 * dialect.longest), 2**30)
    while True:
        options = pa.csv.ReadOptions(
            column_names=dialect.names,
            skip_rows_after_names=int(dialect.header),
            encoding=file.encoding,
            block_size=block,
        )
        kind = "gzip" if file.packed else None
        with pa.input_stream(str(file.path), compression=kind) as stream:
            try:
                return pa.csv.read_csv(stream, options, parse, convert)
            except pa.ArrowInvalid as error:
                if "block boundaries" not in str(error) or block == 2**30:
                    raise
        block = 2**30


def typed(table: pa.Table, rules: Rules, path: Path) -> pa.Table:
    """Return a table whose columns of text are what all their fields that are not missing can be.

    Numbers, also where all is missing; else booleans; else moments to the microsecond; else text
    without blanks around it.
    """
    names, columns = table.column_names, list(table.columns)
    texts = {i: without_gaps(c) for i, c in enumerate(columns) if pa.types.is_string(c.type)}
    found = {i: readings_of_column(words, rules) for i, words in texts.items()}
    rules = rules.having_seen(found.values())
    tell_doubts({names[i]: (texts[i], readings) for i, readings in found.items()}, rules, path)
    for i, words in texts.items():
        numbers = as_numbers(words, rules.chosen(found[i])) if found[i].ways else None
        columns[i] = as_other(words) if numbers is None else numbers
    return pa.table(columns, names=names)


def without_gaps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text without blanks around its fields, null where they are missing."""
    words = pc.utf8_trim_whitespace(column)
    gaps = pc.is_in(pc.utf8_lower(words), pa.array(MISSING))
    return pc.if_else(gaps, None, words)


def as_numbers(words: pa.ChunkedArray, notation: Notation) -> pa.ChunkedArray | None:
    """Return numbers so written as float64, as integers if that would round, or None."""
    plain = notation.plain(words)
    try:
        numbers = plain.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    if not may_be_rounded(numbers):
        return numbers
    for dtype in (pa.int64(), pa.uint64()):
        try:
            return plain.cast(dtype)
        except pa.ArrowInvalid:
            continue
    return None if matches(plain, "[+-]?[0-9]+") else numbers


def as_other(words: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text that is no numbers as booleans, moments or text."""
    lower = pc.utf8_lower(words)
    if pc.all(pc.is_in(pc.drop_null(lower), pa.array(["true", "false"]))).as_py():
        return pc.equal(lower, "true")
    if matches(words, MOMENT):
        try:
            return words.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            pass
    return words


def tell_doubts(
    columns: Mapping[str, tuple[pa.ChunkedArray, Readings]], rules: Rules, path: Path
) -> None:
    """Warn of columns whose numbers could be read otherwise, or are not all written alike."""
    doubts: dict[object, list[str]] = defaultdict(list)
    for name, (_, readings) in columns.items():
        if rules.doubtful(readings):
            doubts[rules.chosen(readings)].append(name)
        elif readings.signs and not readings.ways:
            doubts[None].append(name)
    for chosen, names in doubts.items():
        words, readings = columns[names[0]]
        fields = pc.unique(pc.drop_null(words)).to_pylist()
        if isinstance(chosen, Notation):
            field = next(word for word in fields if set(word) & SIGNS)
            other = next(way for way in readings.ways if way != chosen)
            mark, sure = other.thousands or NONE, chosen.thousands or NONE
            told = (
                f"{field!r} is read as {chosen.value(field)}, with {chosen}, but could be "
                f"{other.value(field)}; give thousands={mark!r} (--thousands {mark}) if it is, "
                f"thousands={sure!r} if it is not"
            )
        else:
            odd = " and ".join(map(repr, unlike(fields, rules)))
            told = (
                f"numbers such as {odd} are not all written in one way, or not as asked for; "
                "it is read as text"
            )
        which = "column" if len(names) == 1 else "columns"
        more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        listing = ", ".join(map(repr, names[:LISTED]))
        warnings.warn(f"{path}, {which} {listing}{more}: {told}", DataWarning, stacklevel=2)


def check_rows(file: TextFile, dialect: Dialect) -> None:
    """Go through the rows of a file that pyarrow finds fault with, to name the one that is broken.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    """
    width = len(dialect.types)
    with file.open() as lines:
        reader = csv.reader(lines, delimiter=dialect.separator, strict=True)
        try:
            for row in reader:
                if row and len(row) != width:
                    count = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    raise DataError(
                        f"{file.path}, line {reader.line_num}: {count}, where the first line has "
                        f"{width}"
                    )
        except csv.Error as error:
            raise DataError(f"{file.path}, line {reader.line_num}: {error}") from error


# ── Parquet and Feather ──────────────────────────────────────────────────────────────────────


def load_parquet(path: Path) -> pa.Table:
    """Return the table of a Parquet file.

    Raises
    ------
    FileError
        If it is no Parquet file, or broken.
    DataError
        If it does not fit in memory.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            shape = file.metadata
            check_memory(4 * shape.num_rows * shape.num_columns, path)
            table = file.read()
        table.validate(full=True)
        return table
    except LatenteError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"{path} is broken, or no Parquet file") from error


def load_feather(path: Path) -> pa.Table:
    """Return the table of a Feather file, its content checked.

    Raises
    ------
    FileError
        If it is no Feather file of version 2, or broken.
    """
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
            table = file.read_all()
            table.validate(full=True)
            return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"{path} is broken, or no Feather file of version 2") from error


def checked(table: pa.Table, path: Path) -> pa.Table:
    """Return a table without the row labels of pandas and without metadata, if it can be used.

    Raises
    ------
    DataError
        If two columns have one name, a column is not flat, or has a date that no calendar has.
    """
    names = table.column_names
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; give each its own name")
    for name, column in zip(names, table.columns, strict=True):
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            raise DataError(
                f"{path}: column {name!r} holds {column.type}; numbers, text, booleans or dates "
                "are needed"
            )
        check_dates(column, name, path)
    index = [name for name in names if name.startswith(INDEX)]
    table = table.replace_schema_metadata(None)
    return table.drop_columns(index) if index else table


def check_dates(column: pa.ChunkedArray, name: str, path: Path) -> None:
    """Raise `DataError` where a column has dates outside the years 1 to 9999."""
    dtype = column.type
    if pa.types.is_timestamp(dtype):
        day = DAY[dtype.unit]
    elif pa.types.is_date(dtype):
        day = 1 if pa.types.is_date32(dtype) else DAY["ms"]
    else:
        return
    counts = column.cast(pa.int32() if day == 1 else pa.int64()).cast(pa.int64())
    outside = pc.or_(pc.less(counts, FIRST_DAY * day), pc.greater_equal(counts, BEYOND * day))
    if pc.any(outside).as_py():
        row = pc.index(outside, True).as_py() + 1
        raise DataError(
            f"{path}: row {row} of column {name!r} has a date outside the years 1 to 9999"
        )
