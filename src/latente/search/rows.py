"""Rows of numbers one below the other: in memory, or in files that are mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.arrays import release
from ..data.sources import is_large
from ..data.stream import unnamed

Floats = NDArray[np.float32]
Prepare = Callable[[Tensor], Tensor]
AT_ONCE = 2**22
"""Numbers that are taken from a map at a time."""


class StoredRows:
    """Rows, all in one tensor, or in blocks of which some are arrays of mapped files.

    ::

        blocks  ──some──▶ tensor ──prepare──▶ tensor on the device

    Parameters
    ----------
    blocks
        Tensors or arrays, (nᵢ, width), float32; a tensor only by itself.
    device
        Where taken rows are put; by default where the tensor is.
    prepare
        What is done to rows when they are taken.
    """

    def __init__(
        self,
        blocks: Sequence[Tensor | Floats],
        device: torch.device | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        self.blocks = list(blocks)
        first = self.blocks[0]
        at = first.device if isinstance(first, Tensor) else torch.device("cpu")
        self.device = at if device is None else device
        self.prepare = prepare
        self.starts = np.cumsum([0, *map(len, self.blocks)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return int(self.blocks[0].shape[1])

    @property
    def tensor(self) -> Tensor | None:
        """All rows, where they are in one tensor, as they were before they are prepared."""
        first = self.blocks[0]
        return first if isinstance(first, Tensor) and len(self.blocks) == 1 else None

    def to(self, device: torch.device) -> StoredRows:
        """Return the same for another device, in one tensor where all of them lie in memory."""
        if any(isinstance(block, np.memmap) for block in self.blocks):
            return StoredRows(self.blocks, device, self.prepare)
        tensors = [torch.as_tensor(block).to(device) for block in self.blocks]
        return StoredRows(
            [tensors[0] if len(tensors) == 1 else torch.cat(tensors)], None, self.prepare
        )

    def prepared(self, prepare: Prepare) -> StoredRows:
        """Return rows that are prepared: at once where they are in one tensor, else when taken."""
        if self.tensor is not None:
            return StoredRows([prepare(self.tensor)])
        return StoredRows(self.blocks, self.device, prepare)

    def with_more(self, block: Floats) -> StoredRows:
        """Return these rows and more of them."""
        if self.tensor is not None and not isinstance(block, np.memmap):
            return StoredRows([torch.cat([self.tensor, torch.from_numpy(block).to(self.device)])])
        blocks = self.arrays()
        if not isinstance(blocks[-1], np.memmap) and not isinstance(block, np.memmap):
            block = np.concatenate([blocks.pop(), block])
        return StoredRows([*blocks, block], self.device)

    def arrays(self) -> list[Floats]:
        """Return the blocks as arrays, before they are prepared."""
        return [b.cpu().numpy() if isinstance(b, Tensor) else b for b in self.blocks]

    def __getitem__(self, rows: slice) -> Tensor:
        """Return neighbouring rows."""
        start, stop, _ = rows.indices(len(self))
        if self.tensor is not None:
            return self._ready(self.tensor[start:stop])
        pieces = []
        for begin, block in zip(self.starts.tolist(), self.arrays(), strict=False):
            low, high = max(start - begin, 0), min(stop - begin, len(block))
            if low < high:
                release(block, low, high)
                pieces.append(np.array(block[low:high]))
        found = np.concatenate(pieces) if len(pieces) != 1 else pieces[0]
        return self._ready(torch.from_numpy(found).to(self.device))

    def at(self, positions: Tensor) -> Tensor:
        """Return the rows of some numbers, (*positions.shape, width)."""
        if self.tensor is not None:
            return self._ready(self.tensor[positions])
        asked = positions.reshape(-1).cpu().numpy()
        found = np.empty((len(asked), self.width), np.float32)
        for begin, block in zip(self.starts.tolist(), self.arrays(), strict=False):
            here = np.flatnonzero((asked >= begin) & (asked < begin + len(block)))
            found[here] = block[asked[here] - begin]
        ready = self._ready(torch.from_numpy(found).to(self.device))
        return ready.reshape(*positions.shape, self.width)

    def blocks_of(self, start: int, stop: int) -> Iterator[Tensor]:
        """Yield neighbouring rows, some at a time."""
        step = max(1, AT_ONCE // self.width)
        for first in range(start, stop, step):
            yield self[first : min(first + step, stop)]

    def _ready(self, rows: Tensor) -> Tensor:
        return rows if self.prepare is None else self.prepare(rows)


def room(nbytes: int) -> NDArray[np.uint8]:
    """Return an array of bytes, on the disk where it would take much of the memory."""
    return disk_room(nbytes) if is_large(nbytes) else np.empty(nbytes, np.uint8)


def disk_room(nbytes: int) -> NDArray[np.uint8]:
    """Return an array of bytes on the disk."""
    return unnamed((nbytes,), np.dtype(np.uint8), "the index")


def room_for(n: int, width: int) -> Floats:
    """Return an array of n rows, on the disk where it would take much of the memory."""
    return room(4 * n * width).view(np.float32).reshape(n, width)
