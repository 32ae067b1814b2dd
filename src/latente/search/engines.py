"""Metrics and engines: how far codes are apart, and how the nearest of many are found.

::

    codes ──Metric.prepared──▶ rows ──Engine──▶ candidates ──nearest──▶ |row − row|² ─▶ distance

All metrics are squared distances of rows that are prepared once. An engine names candidates;
`nearest` measures them exactly and sorts them, so that distances are right whatever the engine, and
equal ones come in the order of the rows.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import memory
from ..data.stream import scratch_folder
from ..errors import DataError, FileError, MissingExtra
from . import graph
from .graph import Bytes
from .rows import StoredRows, disk_room, room

EXACT_ROWS = 200_000
"""Rows up to which "auto" searches exactly."""
QUERIES, ROWS = 256, 2**14
"""Queries and rows compared at a time: no table of scores is larger than their product."""
NUMBERS = 2**22
"""How many numbers are gathered at a time to measure candidates."""
ALONE = 1024
"""Rows that one thread puts into a graph before others join in."""
MARGIN = 8
"""Candidates beyond k: rounding can put one of the k nearest a few places later."""
SHARE = 0.25
"""Share of the memory that a process may take, in which a part of a graph is built."""
NODE_BYTES = 224
"""Bytes that a row of a graph takes while it is built, beside its numbers, about."""
GROWTH = 2
"""The library asks for memory in pieces each twice the one before, of which half may lie idle."""


class Metric(ABC):
    """A way to compare codes that keeps the order of squared distances between prepared rows."""

    @abstractmethod
    def prepared(self, codes: Tensor) -> Tensor:
        """Return the rows that are compared, (n, latent)."""

    @abstractmethod
    def distance(self, squared: Tensor) -> Tensor:
        """Return the distance of codes from the squared distance of their rows."""


class EuclideanDistance(Metric):
    """The length of the difference."""

    def prepared(self, codes: Tensor) -> Tensor:
        return codes

    def distance(self, squared: Tensor) -> Tensor:
        return squared.sqrt()


class CosineDistance(Metric):
    """One minus the cosine of the angle, from 0 to 2; a code of zeros is 0.5 from any other."""

    def prepared(self, codes: Tensor) -> Tensor:
        # In two steps: the square of a large number would overflow.
        scaled = codes / codes.abs().amax(1, keepdim=True).clamp_min(1e-30)
        rows: Tensor = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(1e-30)
        return rows

    def distance(self, squared: Tensor) -> Tensor:
        return squared / 2


METRICS: Mapping[str, Metric] = {"euclidean": EuclideanDistance(), "cosine": CosineDistance()}
"""The metrics by name."""


class Engine(ABC):
    """A way to find rows that are near a query."""

    def update(self, rows: StoredRows) -> None:  # noqa: B027 - an engine may have nothing to learn
        """Take up rows that were added; those known before come first.

        Parameters
        ----------
        rows
            All of them, (n, latent).
        """

    def state(self, rows: StoredRows) -> list[Bytes]:
        """Return what was built of the rows of the last `update`, as parts to keep in a file."""
        return []

    def resume(self, rows: StoredRows, parts: Sequence[Bytes]) -> None:  # noqa: B027
        """Continue from such parts, checked, of the first of these rows; they are not copied."""

    @abstractmethod
    def candidates(self, rows: StoredRows, queries: Tensor, k: int) -> Tensor:
        """Return positions of at least k rows near each query, (m, k or more); −1 for none.

        Parameters
        ----------
        rows
            Those of the last `update`, (n, latent).
        queries
            Shape (m, latent), m at most `QUERIES`.
        k
            From 1 to n.
        """


class Exact(Engine):
    """Compares with every row, block by block, as a product of matrices.

    ::

        |x − q|² / 2 = |x|² / 2 − q·x + |q|² / 2        the last term is the same for all rows x
    """

    def candidates(self, rows: StoredRows, queries: Tensor, k: int) -> Tensor:
        kept = min(k + MARGIN, len(rows))
        centre = rows[:ROWS].mean(0)  # without a common offset, less is lost by rounding
        centred = queries - centre
        scores = queries.new_empty((len(queries), 0))
        positions = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
        for start in range(0, len(rows), ROWS):
            block = rows[start : start + ROWS] - centre
            halves = block.square().sum(1) / 2
            score = torch.addmm(halves, centred, block.T, alpha=-1)
            score, position = score.topk(min(kept, len(block)), largest=False, sorted=False)
            scores = torch.cat([scores, score], 1)
            positions = torch.cat([positions, position + start], 1)
            scores, best = scores.topk(min(kept, scores.shape[1]), largest=False, sorted=False)
            positions = positions.gather(1, best)
        return positions


class GraphPart(NamedTuple):
    """The graph of some rows, where it lies.

    Parameters
    ----------
    start
        The number of the first row.
    raw
        What usearch views, see `graph`.
    index
        The view.
    """

    start: int
    raw: Bytes
    index: Any


class Usearch(Engine):
    """Walks graphs of neighbours (Malkov and Yashunin, 2018), by the library usearch.

    ::

        rows ──so many as memory allows──▶ part 0 │ part 1 │ … │ the part that still grows
        query ──each part──▶ its nearest ──together──▶ candidates

    A part that is full is put aside on the disk, and viewed from then on.

    Raises
    ------
    MissingExtra
        If usearch is not installed.
    """

    connectivity = graph.LINKS
    expansion_add = 128
    expansion_search = 128

    def __init__(self) -> None:
        try:
            import usearch.index
        except ImportError:
            raise MissingExtra(
                "this index needs usearch, which is not installed: pip install 'latente[search]', "
                'or take engine="exact"'
            ) from None
        self._library: Any = usearch.index
        self._parts: list[GraphPart] = []
        self._growing: Any = None

    def __len__(self) -> int:
        return self._sealed + len(self._growing or ())

    @property
    def _sealed(self) -> int:
        """Rows of the parts that are viewed."""
        return sum(len(part.index) for part in self._parts)

    def update(self, rows: StoredRows) -> None:
        full = capacity(rows.width)
        while len(self) < len(rows):
            if self._growing is None:
                self._begin(rows.width, full)
            first = self._sealed
            known, end = len(self), min(first + full, len(rows))
            # Threads that begin a graph together leave it badly linked.
            for stop, threads in ((min(first + ALONE, end), 1), (end, 0)):
                for block in rows.blocks_of(known, stop):
                    keys = np.arange(known, known + len(block)) - first
                    added = np.ascontiguousarray(block.cpu().numpy())
                    self._grow(keys, added, threads)
                    known += len(block)
            if known < len(rows):
                self._seal(rows, disk_room)

    def _grow(self, keys: NDArray[np.int64], rows: NDArray[np.float32], threads: int) -> None:
        """Put rows into the part that grows."""
        try:
            self._growing.add(keys, rows, threads=threads)
        except (RuntimeError, MemoryError) as error:
            raise DataError(
                f"the graph of the index does not fit into memory at {len(self):,} codes: {error} "
                'Free some, or take engine="exact"'
            ) from error

    def _begin(self, width: int, full: int) -> None:
        """Begin a part, or go on with the last one if it is not full."""
        self._growing = self._empty(width)
        if self._parts and len(self._parts[-1].index) < full:
            self._growing.load(self._parts.pop().raw)
            self._tune(self._growing)

    def _seal(self, rows: StoredRows, place: Callable[[int], Bytes]) -> None:
        """Put the part that grows aside, its nodes in the order of the rows, and view it.

        Parameters
        ----------
        rows
            All of them.
        place
            Gives an array of so many bytes: several parts in memory would fill it.
        """
        first, n = self._sealed, len(self._growing)
        with tempfile.TemporaryDirectory(
            dir=scratch_folder(), ignore_cleanup_errors=True
        ) as folder:
            path = Path(folder) / "graph"
            try:
                self._growing.save(path)
            except (RuntimeError, OSError) as error:
                raise FileError(
                    f"cannot write the graph of the index into {folder}: {error}; set TMPDIR to a "
                    "folder with more room"
                ) from error
            self._growing = None
            _, stored = graph.split(np.memmap(path, np.uint8, "r"))
            blocks = (block.cpu().numpy() for block in rows.blocks_of(first, first + n))
            raw = graph.part_of(blocks, rows.width, stored, place)
        self._view(first, raw, rows.width)

    def _view(self, start: int, raw: Bytes, width: int) -> None:
        index = self._empty(width)
        index.view(raw)
        self._tune(index)
        self._parts.append(GraphPart(start, raw, index))

    def state(self, rows: StoredRows) -> list[Bytes]:
        if self._growing is not None:
            self._seal(rows, disk_room if self._parts else room)
        return [part.raw for part in self._parts]

    def resume(self, rows: StoredRows, parts: Sequence[Bytes]) -> None:
        example = self._empty(rows.width)
        example.add(np.arange(1), np.zeros((1, rows.width), np.float32))
        _, known = graph.split(np.frombuffer(example.save(), np.uint8))
        graphs = [graph.split(raw)[1] for raw in parts]
        if all(each.is_like(known) for each in graphs):  # another release may have other graphs
            for raw in parts:
                self._view(self._sealed, raw, rows.width)

    def _empty(self, width: int) -> Any:
        return self._library.Index(
            ndim=width,
            metric="l2sq",
            dtype="f32",
            connectivity=self.connectivity,
            expansion_add=self.expansion_add,
            expansion_search=self.expansion_search,
            enable_key_lookups=False,
        )

    def _tune(self, index: Any) -> None:
        """Set what is not kept with a graph."""
        index.expansion_add = self.expansion_add
        index.expansion_search = self.expansion_search

    def candidates(self, rows: StoredRows, queries: Tensor, k: int) -> Tensor:
        vectors = np.ascontiguousarray(queries.cpu().numpy())
        graphs = [(part.start, part.index) for part in self._parts]
        if self._growing is not None:
            graphs.append((self._sealed, self._growing))
        found = [self._near(index, vectors, k, start) for start, index in graphs]
        return torch.from_numpy(np.concatenate(found, axis=1)).to(queries.device)

    def _near(
        self, index: Any, vectors: NDArray[np.float32], k: int, start: int
    ) -> NDArray[np.int64]:
        """Return numbers of rows that a part finds, the first of which has that number."""
        matches = index.search(vectors, min(k + MARGIN, len(index)))
        keys = np.atleast_2d(matches.keys).astype(np.int64) + start
        if len(vectors) > 1:  # of a single query, only the keys that exist come back
            keys[np.arange(keys.shape[1]) >= matches.counts[:, None]] = -1
        return keys


ENGINES: Mapping[str, type[Engine]] = {"exact": Exact, "usearch": Usearch}
"""The engines by name."""


def choose(engine: str, n: int) -> str:
    """Return the engine that "auto" stands for with n rows; any other is what it says."""
    if engine != "auto":
        return engine
    return "exact" if n <= EXACT_ROWS else "usearch"


def capacity(width: int) -> int:
    """Return how many rows of that many numbers a part of a graph has at most."""
    limit = memory.physical_memory()
    if limit is None:
        return graph.MOST - 1
    return int(min(max(SHARE * limit / GROWTH / (4 * width + NODE_BYTES), ALONE), graph.MOST - 1))


def nearest(
    engine: Engine, rows: StoredRows | Tensor, queries: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Return squared distances and positions of the k rows nearest to each query.

    ::

        queries (m, latent) ──engine──▶ candidates ──measured, sorted──▶ (m, k), (m, k)

    Parameters
    ----------
    engine
        Updated with the rows.
    rows
        Shape (n, latent).
    queries
        Shape (m, latent).
    k
        From 1 to n.
    """
    rows = StoredRows([rows]) if isinstance(rows, Tensor) else rows
    distances, positions = [], []
    for block in torch.split(queries, QUERIES):
        near = engine.candidates(rows, block, k)
        if bool(((near >= 0).sum(1) < k).any()):  # a graph may leave rows that none leads to
            near = Exact().candidates(rows, block, k)
        squared, near = _measured(rows, block, near)
        distances.append(squared[:, :k])
        positions.append(near[:, :k])
    return torch.cat(distances), torch.cat(positions)


def _measured(rows: StoredRows, queries: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return candidates with their squared distances, nearest first, then in the rows' order."""
    positions = positions.sort(1).values
    step = max(1, NUMBERS // max(positions.shape[1] * rows.width, 1))
    parts = zip(torch.split(queries, step), torch.split(positions, step), strict=True)
    squared = torch.cat(
        [
            (rows.at(position.clamp_min(0)) - block[:, None]).square().sum(2)
            for block, position in parts
        ]
    )
    squared = squared.masked_fill(positions < 0, torch.inf)
    squared, order = squared.sort(stable=True, dim=1)
    return squared, positions.gather(1, order)
