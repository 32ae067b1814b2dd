"""What a request asks for: read from its JSON or its address, checked and bounded.

Nothing that comes over the wire is trusted; whatever is wrong with it becomes one sentence.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LatenteError
from ..parts import is_number, is_whole
from .plane import Floats

LARGEST_BODY = 8 * 2**20
"""Bytes of a body."""
MOST_IDS = 200_000
LONGEST = 200
"""Characters of a name."""
LARGEST = 1e30
"""Numbers beyond that are of no code and no place."""


class RequestError(LatenteError):
    """A request that is refused, with the status that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object that a body of JSON holds; NaN and infinity are none.

    Raises
    ------
    RequestError
        If it is something else.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        found = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON") from None
    if not isinstance(found, dict):
        raise RequestError("the body must be a JSON object")
    return found


def whole(value: Any, name: str, low: int, high: int) -> int:
    """Return a whole number from low to high, from JSON or from text."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else None
    if not is_whole(value, low, high):
        if high < low:
            raise RequestError(f"{name}: there are none to choose from")
        raise RequestError(f"{name} must be a whole number from {low} to {high}")
    return int(value)


def text(value: Any, name: str) -> str:
    """Return a short text."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        raise RequestError(f"{name} must be a text of at most {LONGEST} characters")
    return value


def number(value: Any, name: str, low: float, high: float) -> float:
    """Return a number from low to high."""
    if not is_real(value) or not low <= value <= high:
        raise RequestError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def is_real(value: Any) -> bool:
    """Whether a value of JSON is a finite number of a size that a computation can take."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= LARGEST
    return isinstance(value, float) and math.isfinite(value) and is_number(value, -LARGEST, LARGEST)


def ids(value: Any, name: str, n: int, most: int = MOST_IDS) -> NDArray[np.int64]:
    """Return the numbers of rows of a list, (m,)."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise RequestError(f"{name} must be a list of 1 to {most} numbers of rows")
    if not all(type(each) is int and 0 <= each < n for each in value):
        raise RequestError(f"{name} must hold numbers of rows, from 0 to {n - 1}")
    return np.array(value, np.int64)


def matrix(value: Any, name: str, width: int, most: int) -> Floats:
    """Return lists of so many numbers as an array, (m, width)."""
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise RequestError(f"{name} must be a list of 1 to {most} lists of numbers")
    for row in value:
        if not isinstance(row, list) or len(row) != width or not all(map(is_real, row)):
            raise RequestError(f"{name} must hold lists of {width} finite numbers")
    return np.array(value, np.float64).astype(np.float32)


def vector(value: Any, name: str, width: int) -> Floats | None:
    """Return a list of so many numbers, (width,); None for null."""
    return None if value is None else matrix([value], name, width, 1)[0]


def base64_bytes(value: Any, name: str) -> bytes:
    """Return the bytes that a text of base64 stands for."""
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise RequestError(f"{name} must be bytes in base64") from None


def amounts(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object of few entries."""
    if not isinstance(value, dict) or len(value) > LONGEST:
        raise RequestError(f"{name} must be an object of names and numbers")
    return value
