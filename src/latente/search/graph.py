"""A stored graph of usearch, checked before usearch reads it.

The library follows any link, even out of its memory, and a file is not to be trusted. So every link
is checked here. A graph that is not understood, such as one of another release's, is
not used: it can be built again.

::

    64 bytes head │ 5 × u64: nodes, links, links below, top level, entry │ i16 level a node │ nodes
    node: u64 key, i16 level, then for each level: u32 count, u32 link × (links, below twice that)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
HEAD, HEADER = 64, 40
COUNTED = slice(17, 25)
"""Where a head holds the number of nodes."""
NODE = 10
"""Bytes of a node before its links."""
CHUNK = 2**16
"""Nodes checked at a time."""
DEEPEST = 64


def stripped(graph: Any) -> Bytes:
    """Return what usearch saves of a graph, without the vectors."""
    raw = np.frombuffer(graph.save(), dtype=np.uint8)
    rows, width = raw[:8].view("<u4").astype(np.int64).tolist()
    return raw[8 + rows * width :]


def dressed(raw: Bytes, rows: NDArray[np.float32]) -> bytes:
    """Return what usearch reads: vectors in the order of the nodes, then what `stripped` gave."""
    shape = np.array([len(rows), rows.shape[1] * rows.itemsize], dtype="<u4")
    return b"".join((shape.tobytes(), np.ascontiguousarray(rows).tobytes(), raw.tobytes()))


def nodes(raw: Bytes) -> int:
    """Return how many nodes a stored graph says it has."""
    return int(raw[HEAD : HEAD + 8].view("<u8")[0]) if len(raw) >= HEAD + HEADER else 0


def checked_keys(raw: Bytes, like: Bytes, connectivity: int) -> NDArray[np.int64] | None:
    """Return which row each node stands for, if the graph can be walked without harm, or None.

    Parameters
    ----------
    raw
        What the file holds.
    like
        What `stripped` gives of a graph that was made now, of vectors of the same size.
    connectivity
        Links a node has on each level; twice as many on the lowest.
    """
    n = nodes(raw)
    if not 0 < n < 2**31 or len(raw) < HEAD + HEADER + 2 * n:
        return None
    head, known = raw[:HEAD].copy(), like[:HEAD].copy()
    counted = int(head[COUNTED].view("<u8")[0])
    head[COUNTED] = known[COUNTED] = 0
    _, links, below, top, entry = raw[HEAD : HEAD + HEADER].view("<u8").tolist()
    if counted != n or (head != known).any() or (links, below) != (connectivity, 2 * connectivity):
        return None
    levels = raw[HEAD + HEADER :][: 2 * n].view("<i2").astype(np.int64)
    if levels.min() < 0 or levels.max() > DEEPEST or entry >= n or levels[entry] != top:
        return None
    lowest, higher = NODE + 4 + 4 * below, 4 + 4 * links
    tape = raw[HEAD + HEADER + 2 * n :]
    starts = np.concatenate([[0], np.cumsum(lowest + higher * levels)])
    if int(levels.max()) != top or starts[-1] != len(tape):
        return None
    keys, own = _named(tape, starts[:-1])
    if (np.sort(keys) != np.arange(n, dtype=np.uint64)).any() or (own != levels).any():
        return None
    levelled = (
        _linked(tape, starts[:-1], levels, level, lowest, higher) for level in range(int(top) + 1)
    )
    return keys.astype(np.int64) if all(levelled) else None


def _named(tape: Bytes, starts: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    """Return the key and the level that each node holds."""
    fields = tape[starts[:, None] + np.arange(NODE)]
    keys = np.ascontiguousarray(fields[:, :8]).view("<u8")[:, 0]
    return keys, np.ascontiguousarray(fields[:, 8:]).view("<i2")[:, 0]


def _linked(
    tape: Bytes,
    starts: NDArray[np.int64],
    levels: NDArray[np.int64],
    level: int,
    lowest: int,
    higher: int,
) -> bool:
    """Whether all links of a level lead to nodes that reach up to it."""
    offsets = starts[levels >= level]
    offsets = offsets + (NODE if level == 0 else lowest + (level - 1) * higher)
    width = lowest - NODE if level == 0 else higher
    for begin in range(0, len(offsets), CHUNK):
        fields = tape[offsets[begin : begin + CHUNK, None] + np.arange(width)].view("<u4")
        counts, links = fields[:, :1], fields[:, 1:]
        used = links[np.arange(links.shape[1]) < counts]
        if (counts > links.shape[1]).any() or (used >= len(levels)).any():
            return False
        if (levels[used] < level).any():
            return False
    return True
