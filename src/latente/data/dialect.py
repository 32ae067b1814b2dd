"""How a file of separated values is laid out: separator, header, decimal sign, number of fields."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import DataError, FileError, LatenteError
from .fields import is_missing

SEPARATORS = ("\t", ";", "|", ",")
"""What may stand between fields; the first is taken where two would do as well."""
POINT = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf)\s*")
COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
HEAD = 200
"""How many lines are looked at to tell the dialect."""
COUNTED = 4
"""From so many columns on, a first line of 0, 1, 2 ... is a header, not data."""


@dataclass(frozen=True)
class Dialect:
    """What the first lines of a file tell.

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
    numbered
        Whether the first column is nameless beside others with names: the row numbers or names
        that pandas and R write, which are no data.
    """

    separator: str
    decimal: str
    header: bool
    names: tuple[str, ...]
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
    with text(path) as file:
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
    return Dialect(separator, decimal(sample, separator), header, tuple(names), numbered)


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


def records(path: Path, dialect: Dialect) -> Iterator[list[str]]:
    """Give the rows below the header.

    Raises
    ------
    DataError
        If a row has another number of fields than the first line, or is not well quoted.
    FileError
        If the file is not UTF-8 text.
    """
    width = len(dialect.names)
    with text(path) as file:
        reader = csv.reader(file, delimiter=dialect.separator, strict=True)
        try:
            for count, row in enumerate(row for row in reader if row):
                if len(row) != width:
                    raise DataError(
                        f"{path}, line {reader.line_num}: {fields(len(row))}, where the first "
                        f"line has {width}"
                    )
                if count or not dialect.header:
                    yield row
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def fields(count: int) -> str:
    """Return a number of fields in words."""
    return "1 field" if count == 1 else f"{count} fields"


@contextmanager
def text(path: Path) -> Iterator[Iterator[str]]:
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
