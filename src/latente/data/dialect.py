"""How a table of text is written: separator, header, and what its columns hold, by its head."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from ..errors import DataError, FileError
from .notation import NUMBER, Notation, Readings, Rules, readings_of
from .text import TextFile

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "?")
"""What stands for a missing value, in whatever case."""
SEPARATORS = ("\t", ";", "|", ",")
"""What may stand between fields; the first is taken where two would do as well."""
BLANK = " "
HEAD = 200
"""How many lines are looked at to tell the dialect."""
LEAST, SAMPLE = 3, 2**18
"""Fewer of them, though this many, once they have more characters than that."""
CELLS = 20_000
"""How many fields are looked at to tell the separator."""
COUNTED = 4
"""From so many columns on, a first line of 0, 1, 2 ... is a header, not data."""


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
    quoted
        Whether there are quotes below the header.
    """

    separator: str
    decimal: str
    header: bool
    types: Mapping[str, pa.DataType]
    whole: frozenset[str]
    numbered: bool
    rules: Rules
    longest: int
    quoted: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """The names of the columns that are data."""
        return self.names[self.numbered :]


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
    decimal, types, found, rules = types_of(cells, rules)
    return Dialect(
        separator=separator,
        decimal=decimal,
        header=header,
        types=dict(zip(names, types, strict=True)),
        whole=frozenset(
            name for name, readings in zip(names, found, strict=True) if not readings.signs
        ),
        numbered=header and len(first) > 1 and not first[0] and all(first[1:]),
        rules=rules,
        longest=max(map(len, head)),
        quoted=file.quotes % 2 == 1 or file.quotes != head[0].count('"') * header,
    )


def types_of(
    cells: Sequence[Sequence[str]], rules: Rules
) -> tuple[str, list[pa.DataType], list[Readings], Rules]:
    """Return the decimal sign for pyarrow, each column's type for it and readings, and the rules.

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
    return decimal, types, found, rules


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


def convert_options(
    dialect: Dialect, types: Mapping[str, pa.DataType]
) -> pyarrow.csv.ConvertOptions:
    """Return how pyarrow is to read the columns of those names, as those types."""
    spellings = {form for word in MISSING for form in (word, word.upper(), word.capitalize())}
    return pyarrow.csv.ConvertOptions(
        column_types=types,
        include_columns=list(types),
        decimal_point=dialect.decimal,
        null_values=[*spellings, "NaN", "-NaN", "NaT"],
    )
