"""Streams: rows on the disk that are trained on as if they were resident.

::

    source ──store──▶ rows on the disk in their compact type ──▶ blocks of some neighbouring rows
    an epoch, on a thread of its own:  blocks ──Order──▶ chunks of some batches
    the loop:                          chunk ──▶ device ──index──▶ a batch

A source that is costly to read (pictures to decode, tables to encode) is copied once into a file
without a name, in its compact type; the system removes it when the process ends, however it does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from .ahead import read_ahead
from .arrays import release
from .batches import Batches, Convert
from .memory import amount, read_lines
from .order import Order, RowDraw
from .report import reported
from .sources import ArraySource, Source

BLOCK = 2**20
"""Bytes of a block, about."""
BLOCKS = 64
"""Blocks there are at least, where there are as many rows."""
AHEAD = 1
"""Chunks that wait at most, beside the one that is trained on and the one that is put together."""
CHUNK = 2**23
"""Bytes of the batches that are put together at a time, about."""
RESIDENT = 2**26
"""Bytes of drawn rows that are held in memory; more of them lie in a file."""
SAMPLED = 2**25
"""Bytes of the sample that stands for all rows."""
FEWEST = 2048
"""Rows of that sample at least, where there are as many."""
HELD_OUT = 2**26
"""Bytes of rows that are held out at most, where their share is "auto"."""
IN_MEMORY = ("tmpfs", "ramfs")
"""File systems that lie in memory."""

Store = Callable[[Any], Tensor]
Rows = tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]
"""Inputs, targets and weights that go row by row."""


class Side:
    """Inputs or targets: rows in their compact type, on the disk.

    Rows of a source that is costly to read are copied into a file when they are first asked for.

    Parameters
    ----------
    source
        All rows.
    store
        From a part of them, checked, to a tensor of their compact type.
    convert
        From that to the model's scale and shape.
    """

    def __init__(self, source: Source, store: Store, convert: Convert) -> None:
        self.source, self.convert = source, convert
        self.head = store(source.head()).numpy()
        self._of_part = store
        self._copied: list[tuple[int, int]] = []
        self.rows: NDArray[Any] | None = None
        if isinstance(source, ArraySource):
            self.rows = source.array

    def __len__(self) -> int:
        return len(self.source)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in its compact type."""
        return self.head.nbytes // len(self.head)

    def read(self, start: int, stop: int, chosen: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        """Return neighbouring rows, or those chosen of them, in their compact type."""
        assert self.rows is not None
        release(self.rows, start, stop)
        block = np.asarray(self.rows[start:stop])
        block = block if chosen is None or chosen.all() else block[chosen]
        if isinstance(self.source, ArraySource):
            block = self._of_part(block).numpy() if len(block) else self.head[:0]
        return block

    def prepare(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Copy rows, from the first to the one behind the last of each range, unless they are."""
        if isinstance(self.source, ArraySource):
            return
        if self.rows is None:
            shape = (len(self.source), *self.head.shape[1:])
            self.rows = unnamed(shape, self.head.dtype, self.source.name)
        for span in ranges:
            if span not in self._copied:
                self._copy(*span)
                self._copied.append(span)

    def _copy(self, start: int, stop: int) -> None:
        assert self.rows is not None
        with closing(self.source.ahead(start, stop)) as parts:
            for first, part in reported(parts, f"decoding {self.source.name}", len(self)):
                last = first + len(part)
                release(self.rows, first, last)
                self.rows[first:last] = self._of_part(part).numpy()

    @property
    def identity(self) -> NDArray[Any]:
        """What tells the rows from others: all of them, or how many, where from, and the first."""
        if isinstance(self.source, ArraySource):
            return self.source.array
        words = repr((self.source.shape, self.source.origin)).encode()
        first = np.ascontiguousarray(self.head).reshape(-1).view(np.uint8)
        return np.concatenate([np.frombuffer(words, np.uint8), first])


def unnamed(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return an array on the disk that nobody else sees and that goes with this process.

    Raises
    ------
    DataError
        If there is no room for it.
    """
    need = int(np.prod(shape, dtype=object)) * dtype.itemsize
    folder = scratch_folder()
    room = free_bytes(folder)
    if room < need:
        raise DataError(
            f"{name} takes {amount(need)} as numbers, which are kept on the disk while it is "
            f"streamed, but {folder} has {amount(room)} free; set TMPDIR to a folder with more room"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(max(need, 1))
        return np.memmap(file, dtype, "r+", 0, shape)


def scratch_folder() -> str:
    """Return the folder for large temporary files: that of TMPDIR, or the one with most room.

    One that lies in memory is taken only where there is no other.
    """
    asked = os.environ.get("TMPDIR")
    found = [asked] if asked else [tempfile.gettempdir(), "/var/tmp", os.getcwd()]
    usable = [each for each in found if os.path.isdir(each) and os.access(each, os.W_OK)]
    on_disk = [each for each in usable if not lies_in_memory(each)]
    return max(on_disk or usable or [tempfile.gettempdir()], key=free_bytes)


def lies_in_memory(folder: str) -> bool:
    """Whether a folder's file system is one in memory, as far as Linux tells."""
    real, best, kind = Path(folder).resolve(), -1, ""
    for line in read_lines(Path("/proc/mounts")):
        _, mount, system, *_ = [*line.split(), "", "", ""]
        if real.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), system
    return kind in IN_MEMORY


def free_bytes(folder: str) -> int:
    """Return how many bytes a folder has room for."""
    return shutil.disk_usage(folder).free


class Stream:
    """Rows on the disk that are trained on block by block: what `Batches` is of resident ones.

    Parameters
    ----------
    x
        Inputs.
    target
        Targets; None where the input is its own target.
    device
        Where the model is trained.
    weights
        How much each row counts, (n,), of all rows there are; rows of weight 0 are left out.
    held_out
        Rows that are not trained on.
    own
        The lanes that this process serves; None for all.
    """

    def __init__(
        self,
        x: Side,
        target: Side | None,
        device: torch.device,
        *,
        weights: NDArray[np.float64] | None = None,
        held_out: RowDraw | None = None,
        own: Sequence[int] | None = None,
    ) -> None:
        self.side, self.target_side, self.device = x, target, device
        self.row_weights, self.held_out = weights, held_out
        n = len(x)
        self.row_bytes = x.row_bytes + (0 if target is None else target.row_bytes)
        size = max(1, min(BLOCK // self.row_bytes, -(-n // BLOCKS)))
        self.starts = np.arange(0, n, size)
        self.stops = np.minimum(self.starts + size, n)
        sizes = [int(self._trained(block).sum()) for block in range(len(self.starts))]
        self.order = Order(np.array(sizes, np.int64))
        self.own = list(range(len(self.order.lanes)) if own is None else own)
        self._placed: Batches | None = None

    def __len__(self) -> int:
        return int(self.order.sizes.sum())

    @property
    def most_held_out(self) -> float:
        """Share of the rows that is held out at most, unless it is asked for."""
        return HELD_OUT / (self.row_bytes * len(self))

    def with_weights(self, weights: NDArray[np.float64] | None) -> Stream:
        """Return the same rows with weights (n,), where there are any."""
        return self if weights is None else self._changed(weights=weights)

    def of_rank(self, rank: int, world: int) -> Stream:
        """Return the stream of one of several processes: of each batch, the rows of its lanes."""
        return self._changed(own=self.order.lanes_of(rank, world))

    def _changed(self, **changed: Any) -> Stream:
        kept: dict[str, Any] = {
            "weights": self.row_weights, "held_out": self.held_out, "own": self.own
        }  # fmt: skip
        return Stream(self.side, self.target_side, self.device, **(kept | changed))

    def split(self, fraction: float, generator: torch.Generator) -> tuple[Stream, Batches | None]:
        """Return the rows to train on, and those held out by a hash of their number, or None.

        Parameters
        ----------
        fraction
            Share of the rows held out, about.
        generator
            Its seed is that of the draw.
        """
        n = len(self.side)
        if fraction == 0 or n < 2:
            return self, None
        training = self._changed(held_out=RowDraw.of(fraction, n, generator.initial_seed()))
        return training, training._gathered(training._is_held_out)

    @cached_property
    def sample(self) -> Batches:
        """Resident rows that stand for all: so many drawn at random, or all where they are few."""
        wanted = max(FEWEST, SAMPLED // self.row_bytes)
        if wanted >= len(self):
            return self._gathered(self._trained)
        draw = RowDraw.of(wanted / len(self), len(self.side), seed=1)
        return self._gathered(lambda block: self._trained(block) & draw.has(self._numbers(block)))

    def gathered(self) -> Batches:
        """Return all rows, in their order, as resident ones; very many of them lie in a file."""
        return self._gathered(self._trained)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the rows from others, by the names of the parameters they came by."""
        target = None if self.target_side is None else self.target_side.identity
        found = {"X": self.side.identity, "target": target, "sample_weight": self.row_weights}
        return {name: value for name, value in found.items() if value is not None}

    # ── which rows ───────────────────────────────────────────────────────────────────────────

    def _numbers(self, block: int) -> NDArray[np.int64]:
        return np.arange(self.starts[block], self.stops[block])

    def _counted(self, block: int) -> NDArray[np.bool_]:
        """Return which rows of a block have a weight above 0."""
        span = slice(self.starts[block], self.stops[block])
        if self.row_weights is None:
            return np.ones(span.stop - span.start, np.bool_)
        return np.asarray(self.row_weights[span] > 0)

    def _trained(self, block: int) -> NDArray[np.bool_]:
        counted = self._counted(block)
        return counted if self.held_out is None else counted & ~self._is_held_out(block)

    def _is_held_out(self, block: int) -> NDArray[np.bool_]:
        assert self.held_out is not None
        return self._counted(block) & self.held_out.has(self._numbers(block))

    @cached_property
    def _mean_weight(self) -> float:
        assert self.row_weights is not None
        blocks = range(len(self.starts))
        total = sum(float(self._weights(block, self._trained(block)).sum()) for block in blocks)
        return total / len(self)

    def _weights(self, block: int, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        assert self.row_weights is not None
        return self.row_weights[self.starts[block] : self.stops[block]][chosen]

    # ── rows from the disk ───────────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        """Copy what is costly to read, of the rows of the own lanes, into a file."""
        for side in (self.side, self.target_side):
            if side is not None:
                side.prepare(self._spans())

    def _spans(self) -> list[tuple[int, int]]:
        """Return the first row and the one behind the last of each of the own lanes."""
        lanes = [self.order.lanes[lane] for lane in self.own]
        return [(int(self.starts[lane[0]]), int(self.stops[lane[-1]])) for lane in lanes]

    def _read(self, block: int, chosen: NDArray[np.bool_]) -> Rows:
        """Return some rows of a block: inputs, targets, weights, the latter two maybe None."""
        start, stop = int(self.starts[block]), int(self.stops[block])
        x = self.side.read(start, stop, chosen)
        side, weights = self.target_side, None
        if self.row_weights is not None:
            weights = (self._weights(block, chosen) / self._mean_weight).astype(np.float32)
        return x, None if side is None else side.read(start, stop, chosen), weights

    def _gathered(self, choose: Callable[[int], NDArray[np.bool_]]) -> Batches:
        """Return rows of the own lanes as resident ones; very many of them lie in a file."""
        self.prepare()
        blocks = [int(block) for lane in self.own for block in self.order.lanes[lane]]
        chosen = {block: found for block in blocks if (found := choose(block)).any()}
        count = sum(int(each.sum()) for each in chosen.values())
        out: list[NDArray[Any] | None] = [None, None, None]
        done = 0
        for block, mask in chosen.items():
            rows = self._read(block, mask)
            for i, values in enumerate(rows):
                if values is not None:
                    kept = out[i]
                    if kept is None:
                        kept = out[i] = self._room((count, *values.shape[1:]), values.dtype)
                    kept[done : done + len(values)] = values
            done += int(mask.sum())
        if out[0] is None:
            out[0] = self.side.head[:0]
        return self._resident([None if each is None else torch.from_numpy(each) for each in out])

    def _room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array for rows to be gathered in: in memory, or in a file if it is large."""
        if int(np.prod(shape)) * dtype.itemsize <= RESIDENT or self.device.type != "cpu":
            return np.empty(shape, dtype)
        return unnamed(shape, dtype, self.side.source.name)

    def _resident(self, rows: Sequence[Tensor | None]) -> Batches:
        x, target, weights = (None if each is None else each.to(self.device) for each in rows)
        assert x is not None
        aim = None if self.target_side is None else self.target_side.convert
        return Batches(x, self.side.convert, target, aim, weights)

    # ── an epoch ─────────────────────────────────────────────────────────────────────────────

    def epoch(self, generator: torch.Generator, size: int) -> Generator[tuple[Batches, Tensor]]:
        """Yield the steps of an epoch, as `Batches.epoch` does, in the order of `Order.batches`.

        Parameters
        ----------
        generator
            Its seed is that of the order.
        size
            Rows in a batch; the last one may have fewer.
        """
        self.prepare()
        with closing(read_ahead(self._chunks(generator.initial_seed(), size), AHEAD)) as chunks:
            for rows, indices in chunks:
                part = self._on_device(rows)
                for index in indices:
                    yield part, index.to(self.device)

    def shared_epoch(
        self, generator: torch.Generator, size: int, rank: int, world: int
    ) -> Generator[tuple[Batches, Tensor, list[int]]]:
        """Yield the steps of an epoch to one of several processes, as `Batches.shared_epoch` does.

        Only the rows of its lanes are read.

        Parameters
        ----------
        generator, size
            As for `epoch`.
        rank, world
            Which process, and how many there are.
        """
        lanes = [self.order.lanes_of(each, world) for each in range(world)]
        with closing(self.of_rank(rank, world).epoch(generator, size)) as steps:
            for (part, index), share in zip(steps, self.order.shares(size), strict=True):
                sizes = [int(share[each].sum()) for each in lanes]
                if not len(index):
                    part, index = self.sample, index.new_zeros(1)
                yield part, index, sizes

    def _on_device(self, rows: list[Tensor | None]) -> Batches:
        """Return a chunk on the device: on a graphics card always at the same place.

        Recorded steps find it there.
        """
        if self.device.type == "cpu":
            return self._resident(rows)
        x = rows[0]
        # Of several processes, one has a few rows more in one chunk than in another.
        if self._placed is None or (x is not None and len(x) > len(self._placed)):
            self._placed = self._resident(rows)
            return self._placed
        kept = (self._placed.x, self._placed.target, self._placed.weights)
        for place, values in zip(kept, rows, strict=True):
            if place is not None and values is not None:
                place[: len(values)].copy_(values, non_blocking=True)
        return self._placed

    def _chunks(self, seed: int, size: int) -> Iterator[tuple[list[Tensor | None], list[Tensor]]]:
        """Yield the rows of some batches, lane after lane, and which of them make each batch."""
        lanes = [Lane(self, lane, seed) for lane in self.own]
        most = max(1, CHUNK // (self.row_bytes * size))
        shares = self.order.shares(size)
        while several := [share[self.own] for share in islice(shares, most)]:
            counts = np.stack(several)
            total = counts.sum(0)
            taken = [lane.take(int(n)) for lane, n in zip(lanes, total, strict=True)]
            starts = np.cumsum(total) - total + np.cumsum(counts, 0) - counts
            indices = [
                np.concatenate([np.arange(i, i + n) for i, n in zip(begin, count, strict=True)])
                for begin, count in zip(starts.tolist(), counts.tolist(), strict=True)
            ]
            rows = [self._joined(kind) for kind in zip(*taken, strict=True)]
            yield rows, [torch.from_numpy(index.astype(np.int64)) for index in indices]

    def _joined(self, pieces: Sequence[NDArray[Any] | None]) -> Tensor | None:
        found = [piece for piece in pieces if piece is not None]
        if not found:
            return None
        rows = torch.from_numpy(np.concatenate(found))
        return rows.pin_memory() if self.device.type == "cuda" else rows


class Lane:
    """The rows of a lane in the order of an epoch.

    Parameters
    ----------
    stream
        Whose it is.
    lane
        Its number.
    seed
        Of the epoch.
    """

    def __init__(self, stream: Stream, lane: int, seed: int) -> None:
        self.stream = stream
        self.windows = stream.order.windows(lane, seed)
        self.rows: Rows = (stream.side.head[:0], None, None)
        self.order = np.zeros(0, np.int64)

    def take(self, n: int) -> Rows:
        """Return the next n rows."""
        pieces: list[Rows] = []
        while n > 0 or not pieces:
            if not len(self.order) and n > 0:
                self._next()
            index, self.order = self.order[:n], self.order[n:]
            pieces.append(chosen_of(self.rows, index))
            n -= len(index)
        return pieces[0] if len(pieces) == 1 else together(pieces)

    def _next(self) -> None:
        """Read the next window."""
        blocks, self.order = next(self.windows)
        stream = self.stream
        found = [stream._read(int(block), stream._trained(int(block))) for block in blocks]
        self.rows = together(found)


def chosen_of(rows: Rows, index: NDArray[np.int64]) -> Rows:
    """Return some of inputs, targets and weights, as far as they are there."""
    x, target, weights = rows
    return (
        x[index],
        None if target is None else target[index],
        None if weights is None else weights[index],
    )


def together(pieces: Sequence[Rows]) -> Rows:
    """Return several inputs, targets and weights as one of each."""
    x, target, weights = zip(*pieces, strict=True)
    return (
        np.concatenate(x),
        None if target[0] is None else np.concatenate(target),
        None if weights[0] is None else np.concatenate(weights),
    )
