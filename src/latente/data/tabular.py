"""Tables in files: CSV and its kin, Parquet and Feather, all read by pyarrow.

A column of a CSV file is numbers where each of its fields is a number or missing; else booleans,
dates (ISO 8601 without a time zone), or text.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
from numpy.typing import NDArray

from ..errors import DataError, DataWarning, FileError, LatenteError
from ..parts import listed
from .csv_matrix import EXACT, Matrix, read_matrix
from .dataset import Dataset, labelled
from .dialect import MISSING, Dialect, convert_options, dialect_of, looks_like_table
from .memory import check_memory
from .notation import (
    NONE,
    SIGNS,
    Notation,
    Readings,
    Rules,
    matches,
    readings_of_column,
    unlike,
)
from .text import TextFile, TextFormat

MOMENT = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?"
FOUND_OUT = TextFormat()
MANY, REPEATED = 2000, 4
"""A column is judged by its levels where each of so many fields occurs so often, on average."""
BLOCK = 2**18
"""Numbers that are looked at together."""
RETRIES = 3
"""How many columns may turn from numbers to text below the head before all are read as text."""
LISTED = 12
"""How many names an error lists."""
DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""How many of a unit a day has."""
FIRST_DAY, BEYOND = -719_162, 2_932_897
"""The first day of the year 1 and the first of the year 10,000, counted from 1970."""
INDEX = "__index_level_"
"""How the columns begin that pandas writes to Parquet for its row labels."""


def read_csv(
    path: Path, *, target: str | int | None = None, text_format: TextFormat = FOUND_OUT
) -> Dataset:
    """Read a table of numbers, booleans, dates, categories and missing values.

    ::

        all columns numbers, none missing ──▶ X float64 (n, columns)
        otherwise                         ──▶ X data frame of pandas, else polars, else pyarrow

    Whole numbers that float64 would round are no such numbers: they come in a data frame, as
    integers or, where 64 bits do not hold them, as text. Where a column's numbers can be read in
    two ways, a `DataWarning` names it.

    Parameters
    ----------
    path
        The file, gzipped or not: text whose fields are separated by comma, semicolon, tab or bar.
    target
        The column that holds the labels: its name, or its place from 0, or from the end as -1.
    text_format
        What is known of how it is written. Found out by itself: the header; the notation of
        numbers, column by column; and the encoding, which is UTF-8, what a byte order mark says,
        or else Windows-1252.

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
    rules = Rules.given(text_format.decimal, text_format.thousands)
    return of_text(TextFile.of(path, text_format.encoding), text_format.header, rules, target)


def read_text(
    path: Path, *, target: str | int | None = None, text_format: TextFormat = FOUND_OUT
) -> Dataset:
    """Read a table, if the file looks like one of numbers, or else texts, one a line.

    It is taken for a table if an option for tables is given, or if its first lines have the same
    number of fields, two or more, half of which are numbers.

    Parameters
    ----------
    path
        The file, gzipped or not. Empty lines are left out.
    target, text_format
        As for `read_csv`.

    Raises
    ------
    FileError
        If it holds nothing, or no text.
    """
    rules = Rules.given(text_format.decimal, text_format.thousands)
    file = TextFile.of(path, text_format.encoding)
    if target is not None or text_format.is_table or looks_like_table(file):
        return of_text(file, text_format.header, rules, target)
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


def of_text(file: TextFile, header: bool | None, rules: Rules, target: str | int | None) -> Dataset:
    """Return the table in a file of text as samples and labels."""
    dialect = dialect_of(file, header, rules)
    label = None if target is None else column_name(target, dialect.kept, file.path)
    matrix = read_matrix(file, dialect, label)
    if matrix is not None:
        data = of_matrix(matrix, dialect, label, file.path)
    else:
        data = of_columns(load_csv(file, dialect).select(dialect.kept), file.path, label)
    named = dialect.header or not isinstance(data.X, np.ndarray)
    return data if named else replace(data, names=None)


def of_columns(table: pa.Table, path: Path, target: str | None) -> Dataset:
    """Return the columns of a file of text as samples and labels."""
    if not table.num_rows:
        raise DataError(f"{path} has a header but no rows")
    return as_dataset(table, path, target, np.dtype(np.float64))


def of_matrix(matrix: Matrix, dialect: Dialect, target: str | None, path: Path) -> Dataset:
    """Return a matrix of numbers, and the text beside it, as samples and labels."""
    texts = typed(matrix.texts, dialect.rules, path)
    X, names = matrix.values, matrix.names
    if not len(X) or matrix.gaps or not set(texts.column_names) <= {target}:
        columns = {
            name: pa.chunked_array([pa.array(X[:, i], from_pandas=True)])
            for i, name in enumerate(names)
        } | dict(zip(texts.column_names, texts.columns, strict=True))
        table = pa.table([columns[name] for name in dialect.kept], names=list(dialect.kept))
        return of_columns(table, path, target)
    y, classes = None, None
    if target in names:
        place = names.index(target)
        y, classes = labelled(X[:, place])
        X, names = np.delete(X, place, axis=1), (*names[:place], *names[place + 1 :])
    elif target is not None:
        y, classes = labels_of(texts[target], target, path)
    return Dataset(X=X, y=y, names=names, name=path.stem, classes=classes, source=str(path))


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


def frame_of(names: Sequence[str], X: NDArray[Any]) -> Any:
    """Return numbers (n, columns), none missing, as a data frame, whole numbers as such."""
    whole = whole_columns(X)
    if frame_library() == "pandas" and (whole.all() or not whole.any()):
        import pandas as pd

        return pd.DataFrame(X.astype(np.int64 if whole.any() else X.dtype), columns=list(names))
    columns = [
        pa.array(column.astype(np.int64) if integral else column)
        for column, integral in zip(X.T, whole, strict=True)
    ]
    return as_frame(pa.table(columns, names=list(names)))


def whole_columns(X: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which columns of float64 hold nothing but whole numbers that are exact."""
    whole = np.full(X.shape[1], X.dtype == np.float64)
    step = max(1, BLOCK // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        block = X[start : start + step, whole]
        whole[whole] = ((np.abs(block) < EXACT) & (block == np.rint(block))).all(axis=0)
    return whole


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
    parse = pa.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=dialect.quoted)
    convert = convert_options(dialect, types)
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
    places = [i for i, column in enumerate(columns) if pa.types.is_string(column.type)]
    levels = {i: Levels.of(columns[i]) for i in places}
    texts = {i: without_gaps(each.values) for i, each in levels.items()}
    found = {i: readings_of_column(words, rules) for i, words in texts.items()}
    rules = rules.having_seen(found.values())
    tell_doubts({names[i]: (texts[i], readings) for i, readings in found.items()}, rules, path)
    for i, words in texts.items():
        numbers = as_numbers(words, rules.chosen(found[i])) if found[i].ways else None
        columns[i] = levels[i].column(as_other(words) if numbers is None else numbers)
    return pa.table(columns, names=names)


@dataclass(frozen=True)
class Levels:
    """A column of text by what it holds, so that each field that repeats is judged once.

    Parameters
    ----------
    values
        The different fields, in their order; all fields where few repeat.
    codes
        For each row the place of its field among the values; None where those are all fields.
    """

    values: pa.ChunkedArray
    codes: pa.ChunkedArray | None

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """Return the levels of a column."""
        if len(column) < MANY or REPEATED * len(pc.unique(column[:MANY])) > MANY:
            return cls(column, None)
        encoded = column.dictionary_encode().unify_dictionaries()
        codes = pa.chunked_array([chunk.indices for chunk in encoded.chunks])
        return cls(pa.chunked_array([encoded.chunk(0).dictionary]), codes)

    def column(self, values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
        """Return the column that has these in place of its values."""
        return values if self.codes is None else values.take(self.codes)


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
