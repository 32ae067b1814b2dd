"""JSON of files that are not trusted: bounded in values and depth before anything looks at it."""

from __future__ import annotations

import json
import math
from typing import Any

VALUES_LIMIT = 1_000_000
"""Values that a text may have: they decide the memory and time to parse it."""
DEPTH_LIMIT = 200
"""Lists and objects within each other that a text may have."""


def parse_json(text: str) -> Any:
    """Parse JSON as RFC 8259 has it: no NaN, no key twice, no number out of range; not too deep.

    Raises
    ------
    ValueError
        In half a sentence.
    """
    if sum(map(text.count, "[{,")) > VALUES_LIMIT:
        raise ValueError(f"it has more than {VALUES_LIMIT:,} values")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        lists = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for item in lists for child in item if isinstance(child, dict | list)]
        if not level:
            return value
    raise ValueError("it is nested too deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key comes twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > 4000:  # Python refuses longer ones with advice to programmers
        raise ValueError("a number is out of range")
    return int(text)
