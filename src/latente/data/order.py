"""The order in which a person would sort names: ``s2`` before ``s10``."""

from __future__ import annotations

import re

DIGITS = re.compile(r"([0-9]{1,18})")


def natural(text: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sorting key that takes runs of digits as numbers and ignores case.

    >>> sorted(["s10", "s2", "S1"], key=natural)
    ['S1', 's2', 's10']
    """
    parts = DIGITS.split(text)
    return tuple(int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)), text
