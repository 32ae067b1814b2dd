"""Blocks: passes over arrays of any size, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

A = TypeVar("A", "NDArray[Any]", "Tensor", "NDArray[Any] | Tensor")

BLOCK = 2**18
"""About how many values a block holds: few enough to stay in the processor's cache."""


def blocks(array: A, size: int = BLOCK) -> Iterator[tuple[int, A]]:
    """Yield rows in blocks of about ``size`` values, each with the number of its first row."""
    rows = max(1, size // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def as_numpy(block: NDArray[Any] | Tensor) -> NDArray[Any]:
    """Return a block as NumPy's array: from any device, bfloat16 as float32."""
    if isinstance(block, np.ndarray):
        return block
    import torch

    return (block.float() if block.dtype == torch.bfloat16 else block).cpu().numpy()
