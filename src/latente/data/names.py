"""Names of many samples, such as their paths, as bytes of which each is looked up when needed."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
STEP = 64
"""Of so many names, where one begins is kept."""
AT_ONCE = 2**24
"""Bytes that are looked at a time."""


class Names(Sequence[str]):
    """Names in UTF-8 with a zero between them; not text, they are kept as they are.

    Parameters
    ----------
    blocks
        The bytes, of one name at least each; arrays in memory or of a mapped file.
    """

    def __init__(self, blocks: Sequence[Bytes]) -> None:
        self.blocks = list(blocks)
        self._marks = [_marks(block) for block in self.blocks]
        self._starts = np.cumsum([0, *(count for count, _ in self._marks)]).tolist()

    @classmethod
    def of(cls, names: Iterable[str | os.PathLike[str]]) -> Self:
        """Return names that are given one by one; a zero in one is left out."""
        raw = bytearray()
        for name in names:
            raw += str(name).replace("\0", "").encode("utf-8", "surrogateescape") + b"\0"
        return cls([np.frombuffer(memoryview(raw)[:-1], np.uint8)] if raw else [])

    def __add__(self, other: Names) -> Names:
        return Names([*self.blocks, *other.blocks])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        block = bisect_right(self._starts, i) - 1
        inside = i - self._starts[block]
        name: str = self._some(block, inside // STEP)[inside % STEP]
        return name

    def __iter__(self) -> Iterator[str]:
        for block, (count, _) in enumerate(self._marks):
            parts = (self._some(block, step) for step in range(-(-count // STEP)))
            yield from chain.from_iterable(parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Names({len(self):,})"

    def joined(self) -> list[Bytes]:
        """Return all of them as bytes, in pieces."""
        zero = np.zeros(1, np.uint8)
        return list(chain.from_iterable((zero, block) for block in self.blocks))[1:]

    def _some(self, block: int, step: int) -> list[str]:
        """Return names that follow one another, `STEP` of them or what is left."""
        marks = self._marks[block][1]
        raw = self.blocks[block][marks[step] : marks[step + 1] - 1].tobytes()
        return raw.decode("utf-8", "surrogateescape").split("\0")


def _marks(raw: Bytes) -> tuple[int, NDArray[np.int64]]:
    """Return how many names there are, and where every `STEP`-th begins and the last one ends."""
    marks, zeros = [np.zeros(1, np.int64)], 0
    for start in range(0, len(raw), AT_ONCE):
        found = np.flatnonzero(raw[start : start + AT_ONCE] == 0)
        marks.append(start + found[-(zeros + 1) % STEP :: STEP] + 1)
        zeros += len(found)
    ends = [np.array([len(raw) + 1], np.int64)]
    return zeros + 1, np.concatenate([*marks, *ends])
