"""Batches: rows that stay on the device in their compact type and are scaled as they are taken.

Beside them, blocks: rows that stay where they are, and are brought to that type block by block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .arrays import Array, release

Convert = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Checked rows, brought to their compact type as they are taken.

    ::

        array (n, ...), also a memory map ──[start:stop]──▶ stored (stop - start, ...)

    Parameters
    ----------
    array
        All the rows.
    compact
        From some of them to a tensor.
    """

    array: Array
    compact: Callable[[Array], Tensor]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: slice) -> Tensor:
        release(self.array, rows.start, rows.stop)
        return self.compact(self.array[rows])


class Batches:
    """Inputs and targets resident on one device.

    ::

        stored (n, ...) uint8 or float ──take(index)──▶ (batch, *input_shape) float32, model scale

    Parameters
    ----------
    x
        Inputs, one a row, in their compact type.
    convert
        From stored rows to the model's scale and shape.
    target, convert_target
        The same for the targets; None where the input is its own target.
    """

    def __init__(
        self,
        x: Tensor,
        convert: Convert,
        target: Tensor | None = None,
        convert_target: Convert | None = None,
    ) -> None:
        self.x = x
        self.convert = convert
        self.target = target
        self.convert_target = convert_target or convert

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.x.device

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of those rows; one tensor twice where they are the same."""
        x = self.convert(self.x.index_select(0, index))
        if self.target is None:
            return x, x
        return x, self.convert_target(self.target.index_select(0, index))

    def split(self, fraction: float, generator: torch.Generator) -> tuple[Batches, Batches | None]:
        """Return two disjoint random parts, the second with ``fraction`` of the rows, or None.

        Both keep the rows' order. A fraction above 0 gives each part at least one row.
        """
        n = len(self)
        if fraction == 0 or n < 2:
            return self, None
        held = min(max(round(n * fraction), 1), n - 1)
        order = torch.randperm(n, generator=generator).to(self.device)
        return self._rows(order[held:].sort().values), self._rows(order[:held].sort().values)

    def _rows(self, index: Tensor) -> Batches:
        target = None if self.target is None else self.target[index]
        return Batches(self.x[index], self.convert, target, self.convert_target)
