"""Order: in which rows that lie in blocks are trained on, the same for any number of processes.

::

    rows     0 … n   ──▶ blocks of so many rows ──▶ lanes: each a run of neighbouring blocks
    an epoch, each lane:  blocks shuffled ──▶ windows of some blocks ──▶ rows shuffled in a window
    a batch:              of each lane as many of the next rows as its share of all that remain
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

Integers = NDArray[np.int64]

LANES = 8
"""How many lanes there are, where there are as many blocks."""
WINDOW = 8
"""Blocks of a lane whose rows are shuffled together."""
HASHED = 2**20
"""Rows whose numbers are hashed at a time."""


@dataclass(frozen=True, eq=False)
class Order:
    """The order of rows in blocks, and the lanes that processes share out among themselves.

    Parameters
    ----------
    sizes
        How many rows each block has.
    most_lanes
        How many lanes there are at most.
    window
        How many blocks of a lane are shuffled together.
    """

    sizes: Integers
    most_lanes: int = LANES
    window: int = WINDOW

    @cached_property
    def lanes(self) -> Sequence[Integers]:
        """The numbers of each lane's blocks."""
        count = max(1, min(self.most_lanes, len(self.sizes)))
        return np.array_split(np.arange(len(self.sizes)), count)

    @cached_property
    def rows(self) -> Integers:
        """How many rows each lane has."""
        return np.array([self.sizes[lane].sum() for lane in self.lanes], np.int64)

    def lanes_of(self, rank: int, world: int) -> list[int]:
        """Return the lanes that one of several processes serves: neighbours, in order of rank.

        Parameters
        ----------
        rank, world
            Which process, and how many there are.

        Raises
        ------
        ParameterError
            If there are more processes than lanes.
        """
        if world > len(self.lanes):
            raise ParameterError(
                f"{world} processes share {len(self.lanes)} lanes of streamed rows; "
                f"start at most {len(self.lanes)}"
            )
        return [int(lane) for lane in np.array_split(np.arange(len(self.lanes)), world)[rank]]

    def shares(self, size: int) -> Iterator[Integers]:
        """Yield for each batch of an epoch how many rows it takes from each lane.

        Parameters
        ----------
        size
            Rows in a batch; the last one may have fewer.
        """
        left = self.rows.copy()
        total = int(left.sum())
        while total:
            taken = min(size, total)
            exact, over = np.divmod(left * taken, total)
            most = np.argsort(-over, kind="stable")[: taken - int(exact.sum())]
            exact[most] += 1
            left -= exact
            total -= taken
            yield exact

    def windows(self, lane: int, seed: int) -> Iterator[tuple[Integers, Integers]]:
        """Yield the windows of a lane in an epoch: blocks, and the order of all their rows.

        Parameters
        ----------
        lane
            Its number.
        seed
            Of the epoch.
        """
        generator = np.random.default_rng([seed, lane])
        blocks = generator.permutation(self.lanes[lane])
        for start in range(0, len(blocks), self.window):
            chosen = blocks[start : start + self.window]
            yield chosen, generator.permutation(int(self.sizes[chosen].sum()))

    def batches(self, size: int, seed: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the batches of an epoch, each as pairs: a block, and a row's place in it.

        It says what the streamed rows of one process are; see `Stream.epoch`.
        """
        rows = [self._rows(lane, seed) for lane in range(len(self.lanes))]
        for share in self.shares(size):
            yield [
                next(each) for each, n in zip(rows, share.tolist(), strict=True) for _ in range(n)
            ]

    def _rows(self, lane: int, seed: int) -> Iterator[tuple[int, int]]:
        for blocks, order in self.windows(lane, seed):
            sizes = self.sizes[blocks]
            block = np.repeat(blocks, sizes)[order]
            place = np.concatenate([np.arange(size) for size in sizes])[order]
            yield from zip(block.tolist(), place.tolist(), strict=True)


def hashes(rows: Integers, seed: int) -> NDArray[np.uint64]:
    """Return a hash of each row's number: 64 bits as good as random (SplitMix64)."""
    word = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        x = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + word
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)))


@dataclass(frozen=True)
class RowDraw:
    """Rows drawn by the hash of their number, so that it is the same however they lie.

    Parameters
    ----------
    seed
        Of the draw.
    limit
        Rows are drawn whose hash lies below.
    """

    seed: int
    limit: int

    @classmethod
    def of(cls, share: float, rows: int, seed: int) -> RowDraw:
        """Return the draw of about a share of so many rows: at least one, but not all of them.

        Parameters
        ----------
        share
            Above 0, below 1.
        rows
            How many there are, two at least.
        seed
            Of the draw.
        """
        low, high = 2**64 - 1, 0
        for start in range(0, rows, HASHED):
            found = hashes(np.arange(start, min(start + HASHED, rows)), seed)
            low, high = min(low, int(found.min())), max(high, int(found.max()))
        return cls(seed, max(low + 1, min(int(share * 2.0**64), high)))

    def has(self, rows: Integers) -> NDArray[np.bool_]:
        """Return which rows, by their numbers, are drawn."""
        return np.asarray(hashes(rows, self.seed) < np.uint64(self.limit))
