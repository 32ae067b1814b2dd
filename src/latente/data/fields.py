"""What the fields of a column are: numbers, booleans, moments in time, or text; with gaps."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any] | list[bool | None] | list[str | None]

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none", "?"})
"""What stands for a missing value, in whatever case."""
TRUTH = {"true": True, "false": False}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
"""A date, or a date and a time of day, as ISO 8601 writes them without a time zone."""


def typed(fields: Sequence[str], decimal: str = ".") -> Column:
    """Return a column as what all its fields that are not missing can be.

    Parameters
    ----------
    fields
        The fields as they are in the file.
    decimal
        The decimal sign.

    Returns
    -------
    float64 with NaN for gaps, also where all is missing; else true and false with None for gaps;
    else datetime64 with NaT for gaps; else text without blanks around it, with None for gaps.
    """
    values = numbers(fields, decimal)
    if values is not None:
        return np.array(values)
    words = [None if is_missing(field) else field.strip() for field in fields]
    truth = booleans(words)
    if truth is not None:
        return truth
    times = moments(words)
    return words if times is None else times


def numbers(fields: Sequence[str], decimal: str = ".") -> array[float] | None:
    """Return fields as numbers, NaN where missing; or None where one is something else."""
    if decimal != ".":
        fields = [field.replace(decimal, ".") for field in fields]
    if "_" in "".join(fields):  # float takes 1_000 for a number
        return None
    try:
        return array("d", map(float, fields))
    except ValueError:
        pass
    try:
        return array("d", [float("nan" if is_missing(field) else field) for field in fields])
    except ValueError:
        return None


def booleans(words: Sequence[str | None]) -> list[bool | None] | None:
    """Return words as true and false, None where missing; or None where one is another word."""
    if not all(word is None or word.casefold() in TRUTH for word in words):
        return None
    return [None if word is None else TRUTH[word.casefold()] for word in words]


def moments(words: Sequence[str | None]) -> NDArray[np.datetime64] | None:
    """Return words as moments to the microsecond, NaT where missing; or None where one is not."""
    if not all(word is None or MOMENT.fullmatch(word) for word in words):
        return None
    try:
        return np.array([word or "NaT" for word in words], dtype="datetime64[us]")
    except ValueError:
        return None


def is_missing(field: str) -> bool:
    """Whether a field stands for a missing value."""
    return field.strip().casefold() in MISSING
