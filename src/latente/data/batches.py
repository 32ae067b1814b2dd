"""Batches: rows that stay on the device in their compact type and are scaled as they are taken.

Beside them, blocks: rows that stay where they are, and are brought to that type block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from .ahead import read_ahead
from .arrays import Array, numeric, release
from .dataset import take_rows
from .sources import Source

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


class PassingRows:
    """Rows of a source that are gone through once, in their order, in the same way.

    Parameters
    ----------
    source
        All the rows.
    store
        From a part of them, checked, to a tensor of their compact type.
    """

    def __init__(self, source: Source, store: Callable[[Any], Tensor]) -> None:
        self.source, self.store = source, store
        self.start, self.held = 0, torch.empty(0)
        self.parts: Generator[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: slice) -> Tensor:
        stop = min(rows.stop, len(self))
        if self.parts is None or rows.start < self.start:
            self.close()
            self.start, self.held = rows.start, torch.empty(0)
            self.parts = self._stored(rows.start)
        pieces = [self.held[rows.start - self.start :]] if len(self.held) else []
        have = sum(map(len, pieces))
        while have < stop - rows.start:
            pieces.append(next(self.parts))
            have += len(pieces[-1])
        self.start, self.held = rows.start, torch.cat(pieces) if len(pieces) > 1 else pieces[0]
        if stop == len(self):
            self.close()
        return self.held[: stop - rows.start]

    def _stored(self, start: int) -> Generator[Tensor]:
        if self.source.alone:
            return (self.store(part) for _, part in self.source.parts(start))
        return read_ahead(self.store(part) for _, part in self.source.parts(start))

    def close(self) -> None:
        """End the thread that reads ahead."""
        if self.parts is not None:
            self.parts.close()
        self.parts = None


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
    weights
        How much each row counts, (n,), above 0, of mean 1 over all; None where all count alike.
    rows
        Which of the inputs and targets these rows are, (n,); None for all of them, in their order.
    """

    def __init__(
        self,
        x: Tensor,
        convert: Convert,
        target: Tensor | None = None,
        convert_target: Convert | None = None,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> None:
        self.x = x
        self.convert = convert
        self.target = target
        self.convert_target = convert_target or convert
        self.weights = weights
        self.rows = rows

    def __len__(self) -> int:
        return len(self.x if self.rows is None else self.rows)

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.x.device

    most_held_out = 1.0
    """Share of the rows that is held out at most, unless it is asked for."""

    @property
    def sample(self) -> Batches:
        """Rows that can be looked at before they are trained on: all."""
        return self

    def prepare(self) -> None:
        """Make ready what is read at every epoch: it is."""

    def gathered(self) -> Batches:
        """Return all rows as resident ones: these."""
        return self

    @property
    def identity(self) -> dict[str, Tensor]:
        """What tells the rows from others, by the names of the parameters they came by."""
        found = {"X": self.x, "target": self.target, "sample_weight": self.weights}
        if self.rows is not None:
            found["rows"] = self.rows
        return {name: value for name, value in found.items() if value is not None}

    def epoch(self, generator: torch.Generator, size: int) -> Generator[tuple[Batches, Tensor]]:
        """Yield the steps of an epoch: rows that are resident, and which of them make a batch.

        Parameters
        ----------
        generator
            Source of the order.
        size
            Rows in a batch; the last one may have fewer.
        """
        order = torch.randperm(len(self), generator=generator, device=self.device)
        for index in torch.split(order, size):
            yield self, index

    def shared_epoch(
        self, generator: torch.Generator, size: int, rank: int, world: int
    ) -> Generator[tuple[Batches, Tensor, list[int]]]:
        """Yield the steps of an epoch to one of several processes: of each batch, its rows.

        Beside them, how many of the batch each process has; one without any gets a row all the
        same.

        Parameters
        ----------
        generator, size
            As for `epoch`.
        rank, world
            Which process, and how many there are.
        """
        for part, index in self.epoch(generator, size):
            sizes = even_parts(len(index), world)
            first = min(sum(sizes[:rank]), len(index) - 1)
            yield part, index[first : first + max(sizes[rank], 1)], sizes

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of those rows; one tensor twice where they are the same."""
        place = index if self.rows is None else self.rows.index_select(0, index)
        x = self.convert(self.x.index_select(0, place))
        if self.target is None:
            return x, x
        return x, self.convert_target(self.target.index_select(0, place))

    def mean(self, term: Tensor, index: Tensor) -> Tensor:
        """Return the mean over those rows of a loss term (rows,), each with its weight."""
        return self.weighted(term, index).mean()

    def weighted(self, term: Tensor, index: Tensor) -> Tensor:
        """Return a loss term of those rows, (rows,), times their weights, of mean 1 over all."""
        return term if self.weights is None else term * self.weights.index_select(0, index)

    def with_weights(self, weights: NDArray[np.float64] | None) -> Batches:
        """Return the same rows with weights (n,), where there are any."""
        if weights is None:
            return self
        given = of_mean_one(torch.from_numpy(weights))
        return Batches(self.x, self.convert, self.target, self.convert_target, given, self.rows)

    def split(self, fraction: float, generator: torch.Generator) -> tuple[Batches, Batches | None]:
        """Return two disjoint random parts, the second with ``fraction`` of the rows, or None.

        Both keep the rows' order, and copy none. A fraction above 0 gives each at least one row.
        """
        n = len(self)
        if fraction == 0 or n < 2:
            return self, None
        held = min(max(round(n * fraction), 1), n - 1)
        order = torch.randperm(n, generator=generator).to(self.device)
        return self._rows(order[held:].sort().values), self._rows(order[:held].sort().values)

    def _rows(self, index: Tensor) -> Batches:
        weights = None if self.weights is None else of_mean_one(self.weights[index])
        rows = index if self.rows is None else self.rows[index]
        return Batches(self.x, self.convert, self.target, self.convert_target, weights, rows)


def even_parts(rows: int, world: int) -> list[int]:
    """Return how many of some rows each process has: as many as the others, the last ones fewer."""
    each = -(-rows // world)
    return [min(max(rows - rank * each, 0), each) for rank in range(world)]


def of_mean_one(weights: Tensor) -> Tensor | None:
    """Return weights as float32 with a mean of 1; None where all are equal."""
    if bool((weights == weights[0]).all()):
        return None
    wide = weights.double().cpu()
    return (wide / wide.mean()).float().to(weights.device)


def weighted_rows(
    X: Any, target: Any, sample_weight: Any
) -> tuple[Any, Any, NDArray[np.float64] | None]:
    """Return the rows and targets that count, and how much: a row of weight 0 is left out.

    Parameters
    ----------
    X, target
        Samples as `Autoencoder.fit` takes them; the target may be None.
    sample_weight
        One number of at least 0 a row, or None.

    Raises
    ------
    DataError
        If they are no such weights.
    """
    if isinstance(X, Source) and sample_weight is not None:
        return X, target, as_weights(sample_weight, len(X))
    if sample_weight is None or not hasattr(X, "__len__"):  # what X should be is told elsewhere
        return X, target, None
    weights = as_weights(sample_weight, X.shape[0] if getattr(X, "shape", ()) else len(X))
    if weights.all():
        return X, target, weights
    if target is not None and len(target) != len(weights):
        raise DataError(f"target has {len(target)} rows but X has {len(weights)}")
    kept = np.flatnonzero(weights)
    return take_rows(X, kept), None if target is None else take_rows(target, kept), weights[kept]


def as_weights(sample_weight: Any, rows: int) -> NDArray[np.float64]:
    """Return the weights of so many rows as float64, or say what is wrong with them."""
    found = numeric(sample_weight, "sample_weight")
    weights = np.asarray(found.cpu() if isinstance(found, Tensor) else found).astype(np.float64)
    if weights.shape != (rows,):
        raise DataError(
            f"sample_weight has shape {weights.shape}, but X has {rows} rows; give one weight a "
            f"row, shape ({rows},)"
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"sample_weight is {weights[row]:g} at row {row}; use finite numbers of at least 0"
        )
    if not weights.any():
        raise DataError("sample_weight is zero for every row; give some rows a weight above 0")
    return weights
