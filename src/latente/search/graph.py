"""A graph of usearch in a file: its nodes in the order of rows, checked before usearch reads it.

The library follows any link, even out of its memory, and a file is not to be trusted. So every link
is checked here, some nodes at a time, whether they lie in memory or in a file that is mapped.

::

    part:  u32 rows │ u32 bytes of a row │ the rows, f32 │ graph │ zeros up to a multiple of 8
    graph: 64 bytes head │ 5 × u64: nodes, links, links below, top level, entry
           │ i16 level a node │ nodes
    node:  u64 key, i16 level, then for each level: u32 count, u32 link × (links, below twice that)

A part is what usearch saves of vectors and graph, and views where it lies. Threads that build a
graph put its nodes in any order; in a part, node i is row i, so that its vectors are the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
LINKS = 16
"""Links that a node has at most on each level; twice as many on the lowest."""
LOWEST = np.dtype(
    [("key", "<u8"), ("level", "<i2"), ("count", "<u4"), ("links", "<u4", (2 * LINKS,))]
)
"""A node as far as the lowest level."""
HIGHER = np.dtype([("count", "<u4"), ("links", "<u4", (LINKS,))])
"""What a node has on each level above."""
SHAPE, HEAD, HEADER = 8, 64, 40
"""Bytes before the rows, of a graph's head, and of the numbers behind it."""
ENTRY = slice(HEAD + 32, HEAD + 40)
RELEASE, COUNTED = slice(9, 13), slice(17, 25)
"""Where a head holds the minor version of the library, and the number of nodes."""
ALIGNMENT = 8
CHUNK = 2**14
"""Nodes that are looked at at a time."""
DEEPEST = 64
MOST = 2**31
"""Nodes of a graph, fewer than that."""


@dataclass(frozen=True)
class Graph:
    """A stored graph, of which the sizes fit together; `check` looks at the nodes.

    Parameters
    ----------
    head
        What comes before the levels.
    levels
        The top level of each node, (n,).
    tape
        The nodes one after the other.
    """

    head: Bytes
    levels: NDArray[np.int16]
    tape: Bytes

    @classmethod
    def read(cls, raw: Bytes) -> Graph:
        """Return the graph in some bytes.

        Raises
        ------
        ValueError
            In half a sentence, if it is none.
        """
        if len(raw) < HEAD + HEADER:
            raise ValueError("its graph is cut short")
        n, links, below, top, entry = raw[HEAD : HEAD + HEADER].view("<u8").tolist()
        begin = HEAD + HEADER + 2 * n
        if not 0 < n < MOST or (links, below) != (LINKS, 2 * LINKS) or len(raw) < begin:
            raise ValueError("its graph is not of the size that it says")
        levels = raw[HEAD + HEADER : begin].view("<i2")
        if levels.min() < 0 or levels.max() != top or top > DEEPEST:
            raise ValueError("its graph has levels that cannot be")
        if entry >= n or levels[entry] != top:
            raise ValueError("its graph has no node to begin from")
        size = n * LOWEST.itemsize + HIGHER.itemsize * int(levels.sum(dtype=np.int64))
        rest = raw[begin + size :]
        if len(raw) < begin + size or len(rest) >= ALIGNMENT or rest.any():
            raise ValueError("its graph is not of the size that it says")
        return cls(raw[: HEAD + HEADER], levels, raw[begin : begin + size])

    def __len__(self) -> int:
        return len(self.levels)

    def is_like(self, other: Graph) -> bool:
        """Whether usearch takes it for a graph of the same kind of vectors as another."""
        heads = [graph.head[:HEAD].copy() for graph in (self, other)]
        for head in heads:
            head[RELEASE] = head[COUNTED] = 0
        counted = int(self.head[COUNTED].view("<u8")[0])
        return counted == len(self) and bool((heads[0] == heads[1]).all())

    def check(self, *, ordered: bool = True) -> None:
        """Raise `ValueError` unless all links lead to nodes that reach up to their level.

        Parameters
        ----------
        ordered
            Whether the key of each node must be its number; otherwise each number is the key of
            one node.
        """
        for first, starts, levels in self._chunks():
            nodes = _fields(self.tape, LOWEST, starts)
            keys = np.arange(first, first + len(nodes), dtype=np.uint64)
            if (nodes["level"] != levels).any() or (ordered and (nodes["key"] != keys).any()):
                raise ValueError("its graph has nodes that cannot be")
            self._check_links(nodes, 0)
            for level in range(1, int(levels.max()) + 1):
                upper = _upper(starts[levels >= level], level)
                self._check_links(_fields(self.tape, HIGHER, upper), level)
        if not ordered and (np.sort(self.keys()) != np.arange(len(self))).any():
            raise ValueError("its graph has nodes that cannot be")

    def _check_links(self, nodes: NDArray[np.void], level: int) -> None:
        counts, links = nodes["count"], nodes["links"]
        if counts.max(initial=0) <= links.shape[1]:
            used = links
            if level or links.max(initial=0) >= len(self):
                used = links[np.arange(links.shape[1]) < counts[:, None]]
            reached = used.max(initial=0) < len(self)
            if reached and (level == 0 or (self.levels[used] >= level).all()):
                return
        raise ValueError("its graph has links that lead nowhere")

    def keys(self) -> NDArray[np.int64]:
        """Return the key of each node, (n,)."""
        found = [_fields(self.tape, LOWEST, starts)["key"] for _, starts, _ in self._chunks()]
        return np.concatenate(found).astype(np.int64)

    def in_order(self) -> Iterator[Bytes]:
        """Yield the bytes of the same graph with node i where key i was."""
        keys = self.keys()
        node = np.empty_like(keys)
        node[keys] = np.arange(len(keys))
        starts = np.concatenate([starts for _, starts, _ in self._chunks()])
        renamed = keys.astype(np.uint32)
        head = self.head.copy()
        head[ENTRY].view("<u8")[0] = keys[int(head[ENTRY].view("<u8")[0])]
        yield head
        yield self.levels[node].view(np.uint8)
        for first in range(0, len(keys), CHUNK):
            old = node[first : first + CHUNK]
            levels = self.levels[old].astype(np.int64)
            ends = np.cumsum(LOWEST.itemsize + HIGHER.itemsize * levels)
            out, places = np.zeros(int(ends[-1]), np.uint8), np.concatenate([[0], ends[:-1]])
            nodes = _fields(self.tape, LOWEST, starts[old])
            nodes["key"] = np.arange(first, first + len(old))
            _put(out, places, _with_links(nodes, renamed))
            for level in range(1, int(levels.max()) + 1):
                some = levels >= level
                nodes = _fields(self.tape, HIGHER, _upper(starts[old[some]], level))
                _put(out, _upper(places[some], level), _with_links(nodes, renamed))
            yield out

    def _chunks(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield some nodes: the number of the first, where each begins, and its level."""
        begin = 0
        for first in range(0, len(self), CHUNK):
            levels = self.levels[first : first + CHUNK].astype(np.int64)
            sizes = LOWEST.itemsize + HIGHER.itemsize * levels
            ends = begin + np.cumsum(sizes)
            yield first, ends - sizes, levels
            begin = int(ends[-1])


def split(part: Bytes) -> tuple[NDArray[np.float32], Graph]:
    """Return the rows and the graph of a part, which are not copied.

    Raises
    ------
    ValueError
        In half a sentence, if it is not of the size that it says.
    """
    rows, width = part[:SHAPE].view("<u4").tolist() if len(part) >= SHAPE else (0, 0)
    end = SHAPE + rows * width
    if not rows or not width or width % 4 or end > len(part):
        raise ValueError("its graph is not of the size that it says")
    graph = Graph.read(part[end:])
    if len(graph) != rows:
        raise ValueError("its graph is not of the size that it says")
    return part[SHAPE:end].view("<f4").reshape(rows, width // 4), graph


def part_of(
    rows: Iterable[NDArray[np.float32]],
    width: int,
    graph: Graph,
    room: Callable[[int], Bytes],
) -> Bytes:
    """Return a part of rows and a graph of them.

    Parameters
    ----------
    rows
        Blocks of them in the order of their keys, (n, width) together.
    width
        Numbers of a row.
    graph
        Its keys are the numbers of the rows.
    room
        Gives an array of so many bytes to put it in.
    """
    n = len(graph)
    size = SHAPE + 4 * n * width + len(graph.head) + 2 * n + len(graph.tape)
    out = room(size + -size % ALIGNMENT)
    out[size:] = 0
    out[:SHAPE].view("<u4")[:] = n, 4 * width
    begin = SHAPE
    for pieces in (rows, graph.in_order()):
        for piece in pieces:
            flat = np.ascontiguousarray(piece).reshape(-1).view(np.uint8)
            out[begin : begin + len(flat)] = flat
            begin += len(flat)
    return out


def _fields(tape: Bytes, kind: np.dtype[np.void], starts: NDArray[np.int64]) -> NDArray[np.void]:
    """Return copies of what lies at some places of a tape."""
    return _overlapping(tape, kind)[starts].view(kind)


def _put(tape: Bytes, starts: NDArray[np.int64], values: NDArray[np.void]) -> None:
    """Put values in some places of a tape."""
    kind = values.dtype
    _overlapping(tape, kind)[starts] = values.view(f"V{kind.itemsize}")


def _overlapping(tape: Bytes, kind: np.dtype[np.void]) -> NDArray[np.void]:
    """Return as many bytes as a value has, from every place on."""
    size = kind.itemsize
    return np.ndarray((max(len(tape) - size + 1, 0),), f"V{size}", tape, strides=(1,))


def _upper(starts: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """Return where nodes that begin there have what belongs to a level above the lowest."""
    return starts + LOWEST.itemsize + (level - 1) * HIGHER.itemsize


def _with_links(nodes: NDArray[np.void], renamed: NDArray[np.uint32]) -> NDArray[np.void]:
    """Return nodes with their links renamed, those that are not used as 0."""
    links = nodes["links"]
    used = np.arange(links.shape[1]) < nodes["count"][:, None]
    nodes["links"] = np.where(used, renamed[np.where(used, links, 0)], 0)
    return nodes
