"""How numbers are written: decimal sign and thousands separator, judged column by column.

::

    1234.5    1,234.5    1 234.5    1'234.5        with a decimal point
    1234,5    1.234,5    1 234,5    1'234,5        with a decimal comma

Most columns can be read in one way only. One that holds nothing but the likes of ``8.293`` is 8.293
or 8293: what the other columns of its file are decides, and where that is no proof, it is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ParameterError
from ..parts import listed

DECIMALS = (".", ",")
SPACES = " \u00a0\u2009\u202f"
APOSTROPHES = "'\u2019"
THOUSANDS = (",", ".", " ", "'")
"""What may stand between groups of three digits; a blank or an apostrophe of any kind."""
NONE = "none"
FEW = 1000
"""A column of fewer fields is looked at one by one: Arrow's functions take longer to start."""
SIGNS = frozenset((*DECIMALS, *SPACES, *APOSTROPHES))
EXPONENT = "([eE][+-]?[0-9]+)?"
NUMBER = re.compile(
    rf"\s*[+-]?(([0-9]+(\.[0-9]*|,[0-9]+)?|[.,][0-9]+){EXPONENT}|inf"
    rf"|[1-9][0-9]{{0,2}}([.,{SPACES}{APOSTROPHES}][0-9]{{3}})+([.,][0-9]+)?)\s*"
)
"""A number in any notation; no field takes more than linear time."""


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Parameters
    ----------
    decimal
        The decimal sign: a point or a comma.
    thousands
        What stands between groups of three digits, one of `THOUSANDS`; "" for nothing.
    """

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def pattern(self) -> str:
        """What a number so written matches, for Python and for RE2."""
        point = re.escape(self.decimal)
        if not self.thousands:
            tail = "*" if self.decimal == "." else "+"
            whole = rf"[0-9]+({point}[0-9]{tail})?|{point}[0-9]+"
            return rf"[+-]?(({whole}){EXPONENT}|inf)"
        group = rf"[{self.marks}][0-9]{{3}}"
        return rf"[+-]?([1-9][0-9]{{0,2}}({group})+|[0-9]+)({point}[0-9]+)?"

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern, compiled."""
        return re.compile(self.pattern)

    @property
    def usual(self) -> str:
        """The decimal sign that goes with the thousands separator where no number shows one."""
        return "," if self.thousands == "." else "."

    @property
    def marks(self) -> str:
        """The characters that the thousands separator stands for."""
        return {" ": SPACES, "'": APOSTROPHES}.get(self.thousands, self.thousands)

    def plain(self, words: Any) -> Any:
        """Return an Arrow array of numbers so written as Python writes them."""
        for mark in self.marks:
            words = pc.replace_substring(words, mark, "")
        if self.decimal != ".":
            words = pc.replace_substring(words, self.decimal, ".")
        return pc.replace_substring_regex(words, r"^\+([^+-])", r"\1")

    def value(self, word: str) -> str:
        """Return a number so written as Python writes it."""
        return str(self.plain(pa.array([word]))[0])

    def __str__(self) -> str:
        name = {".": "point", ",": "comma"}
        sign = f"a decimal {name[self.decimal]}"
        between = {**name, " ": "blank", "'": "apostrophe"}.get(self.thousands)
        return sign if between is None else f"{sign} and thousands set off by a {between}"


POINT = Notation()
NOTATIONS = tuple(
    Notation(decimal, thousands)
    for decimal in DECIMALS
    for thousands in ("", *THOUSANDS)
    if thousands != decimal
)


@dataclass(frozen=True)
class Rules:
    """What is known of all numbers of a file.

    Parameters
    ----------
    decimal
        The decimal sign, or None where it is judged column by column.
    thousands
        One of `THOUSANDS`, "none" where there is none, or None to judge.
    separator
        What stands between fields.
    seen
        The decimal signs that columns have beyond doubt.
    """

    decimal: str | None = None
    thousands: str | None = None
    separator: str = ","
    seen: frozenset[str] = frozenset()

    @classmethod
    def given(cls, decimal: str | None, thousands: str | None) -> Self:
        """Return the rules that a user gives.

        Raises
        ------
        ParameterError
            If there are no such signs, or both are the same.
        """
        if decimal not in (None, *DECIMALS):
            raise ParameterError(f"decimal={decimal!r}: decimal must be '.' or ','")
        if thousands not in (None, NONE, *THOUSANDS):
            right = listed(map(repr, (*THOUSANDS, NONE)))
            raise ParameterError(f"thousands={thousands!r}: thousands must be {right}")
        if decimal is not None and decimal == thousands:
            raise ParameterError(f"thousands={thousands!r}: the decimal sign cannot be it, too")
        return cls(decimal or {".": ",", ",": "."}.get(thousands or ""), thousands)

    def having_seen(self, readings: Iterable[Readings]) -> Rules:
        """Return the rules with the decimal signs that some columns have beyond doubt."""
        signs = {each.certain for each in readings}
        return replace(self, seen=self.seen | {sign for sign in signs if sign is not None})

    @cached_property
    def allowed(self) -> tuple[Notation, ...]:
        """The notations that can be."""
        between = {None: ("", *THOUSANDS), NONE: ("",)}.get(self.thousands, ("", self.thousands))
        return tuple(
            each
            for each in NOTATIONS
            if self.decimal in (None, each.decimal) and each.thousands in between
        )

    def readings(self, signs: Set[str], fits: Callable[[Notation], bool]) -> Readings:
        """Return the ways to read a column that differ in what they read: none, one or two.

        Parameters
        ----------
        signs
            Those of `SIGNS` that its fields have.
        fits
            Whether all of them are numbers in a notation.
        """
        signs = frozenset(signs)
        return Readings(tuple(each for each in self.possible(signs) if fits(each)), signs)

    def possible(self, signs: frozenset[str]) -> tuple[Notation, ...]:
        """Return the notations that numbers with those of `SIGNS` can be in."""
        if signs not in self._possible:  # a table has many columns, and they few different signs
            self._possible[signs] = tuple(
                each
                for each in self.allowed
                if (each.decimal in signs or each.decimal == (self.decimal or each.usual))
                and (not each.thousands or not signs.isdisjoint(each.marks))
            )
        return self._possible[signs]

    @cached_property
    def _possible(self) -> dict[frozenset[str], tuple[Notation, ...]]:
        return {}

    def chosen(self, readings: Readings) -> Notation:
        """Return the reading that goes with the rest of the file."""
        if not self.seen and POINT in readings.ways:
            return POINT
        signs = self.seen if len(self.seen) == 1 else {"," if self.separator == ";" else "."}
        return next((each for each in readings.ways if each.decimal in signs), readings.ways[0])

    def doubtful(self, readings: Readings) -> bool:
        """Whether a column could as well be read otherwise.

        A decimal point needs no proof where no column has a comma for it, and fields are not
        separated by semicolons, which leave the comma to numbers.
        """
        if len(readings.ways) < 2:
            return False
        if POINT in readings.ways:
            return "," in self.seen or (self.separator == ";" and not self.seen)
        return self.seen != {self.chosen(readings).decimal}


@dataclass(frozen=True)
class Readings:
    """How the numbers of a column can be read.

    Parameters
    ----------
    ways
        The notations; none where they are no numbers, or not all in one notation.
    signs
        Those of `SIGNS` that they have.
    """

    ways: tuple[Notation, ...]
    signs: frozenset[str]

    @property
    def certain(self) -> str | None:
        """The decimal sign that the column has beyond doubt, if any."""
        if len(self.ways) != 1:
            return None
        only = self.ways[0]
        return only.decimal if only.decimal in self.signs or only.thousands in DECIMALS else None


def readings_of(words: Sequence[str], rules: Rules) -> Readings:
    """Return the ways to read some fields, without blanks around them and none missing."""
    if not all(map(NUMBER.fullmatch, words)):
        return Readings((), frozenset())
    signs = set("".join(words)) & SIGNS
    return rules.readings(signs, lambda each: all(map(each.regex.fullmatch, words)))


def readings_of_column(words: pa.ChunkedArray, rules: Rules) -> Readings:
    """Return the ways to read a column, its fields without blanks around them or null."""
    if len(words) < FEW:
        return readings_of([word for word in words.to_pylist() if word is not None], rules)
    if not matches(words, NUMBER.pattern):
        return Readings((), frozenset())
    signs = {sign for sign in SIGNS if pc.any(pc.match_substring(words, sign)).as_py()}
    return rules.readings(signs, lambda each: matches(words, each.pattern))


def matches(words: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all fields of a column that are not missing match."""
    return pc.all(pc.match_substring_regex(words, f"^({pattern})$")).as_py() is not False


def unlike(words: Sequence[str], rules: Rules) -> list[str]:
    """Return one or two of some numbers that are not written alike, or not as the rules say."""
    first = next((word for word in words if set(word) & SIGNS), words[0])
    ways = [each for each in rules.allowed if each.regex.fullmatch(first)]
    other = (word for word in words if not any(each.regex.fullmatch(word) for each in ways))
    return [first, *(word for word in [next(other, first)] if word != first)]
