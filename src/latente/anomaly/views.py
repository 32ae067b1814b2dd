"""Views: the scales in which rows are compared, learned from normal rows.

`VIEWS` is the table. A distance in one scale overlooks what one in another sees: standardised
columns keep how far out a value lies, Gaussianised ones how rare it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

FURTHEST = 1e6
"""Standard deviations beyond which one value is as odd as another; squares do not overflow."""
KNOTS = 512
"""Points by which the distribution of a column is described."""


class View(ABC):
    """A map of rows (n, columns) to rows of the same shape."""

    @classmethod
    @abstractmethod
    def learn(cls, x: Floats) -> Self:
        """Learn the scale from finite rows (n, columns)."""

    @abstractmethod
    def transform(self, x: Floats) -> Floats:
        """Return rows in this scale, finite whatever they are."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what a file keeps: tensors by name."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        """Return the view of that many columns of what `state` returned, or raise ValueError."""


@dataclass(frozen=True, eq=False)
class Given(View):
    """Values as they are: those of pictures, which share one scale."""

    @classmethod
    def learn(cls, x: Floats) -> Self:
        return cls()

    def transform(self, x: Floats) -> Floats:
        return x

    def state(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        return cls()


@dataclass(frozen=True, eq=False)
class Standard(View):
    """Every column at mean 0 and standard deviation 1; a constant one is moved to 0."""

    shift: Floats
    span: Floats

    @classmethod
    def learn(cls, x: Floats) -> Self:
        return cls(x.mean(axis=0), spread(x))

    def transform(self, x: Floats) -> Floats:
        return np.clip((x - self.shift) / self.span, -FURTHEST, FURTHEST)

    def state(self) -> dict[str, Any]:
        return {"shift": torch.from_numpy(self.shift), "span": torch.from_numpy(self.span)}

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        return cls(numbers(state["shift"], (width,)), positive(state["span"], (width,)))


@dataclass(frozen=True, eq=False)
class Gaussianised(View):
    """Every column brought to a normal distribution by its ranks; further out, by its own scale.

    Parameters
    ----------
    knots, quantiles
        Values of the columns, one column after the other, and the normal quantiles they come to.
    counts
        How many knots each column has.
    scale
        Standard deviation of each column: outside its knots, the way on is straight.
    after
        Brings the columns to mean 0 and standard deviation 1, where ties left them otherwise.
    """

    knots: Floats
    quantiles: Floats
    counts: NDArray[np.int64]
    scale: Floats
    after: Standard

    @classmethod
    def learn(cls, x: Floats) -> Self:
        pairs = [ranked(column) for column in x.T]
        plain = cls(
            np.concatenate([knots for knots, _ in pairs]),
            np.concatenate([quantiles for _, quantiles in pairs]),
            np.array([len(knots) for knots, _ in pairs]),
            spread(x),
            Standard(np.zeros(x.shape[1]), np.ones(x.shape[1])),
        )
        after = Standard.learn(plain.transform(x))
        return cls(plain.knots, plain.quantiles, plain.counts, plain.scale, after)

    def transform(self, x: Floats) -> Floats:
        y = np.empty_like(x)
        ends = np.cumsum(self.counts)
        for j, (start, end) in enumerate(zip(ends - self.counts, ends, strict=True)):
            knots, quantiles = self.knots[start:end], self.quantiles[start:end]
            beyond = x[:, j] - np.clip(x[:, j], knots[0], knots[-1])
            y[:, j] = np.interp(x[:, j], knots, quantiles) + beyond / self.scale[j]
        return self.after.transform(y)

    def state(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name) for name in ("knots", "quantiles", "counts", "scale")}
        tensors: dict[str, Any] = {name: torch.from_numpy(a) for name, a in arrays.items()}
        return {**tensors, "after": self.after.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        counts = state["counts"].numpy().astype(np.int64)
        if counts.shape != (width,) or (counts < 1).any() or (counts > KNOTS).any():
            raise ValueError("the columns' knots do not fit the columns")
        total = int(counts.sum())
        after = Standard.from_state(state["after"], width)
        knots, quantiles = (numbers(state[name], (total,)) for name in ("knots", "quantiles"))
        return cls(knots, quantiles, counts, positive(state["scale"], (width,)), after)


VIEWS: dict[str, type[View]] = {
    "given": Given,
    "standard": Standard,
    "gaussian": Gaussianised,
}


def ranked(column: Floats) -> tuple[Floats, Floats]:
    """Return distinct values of a column, in order, and the normal quantile of each one's rank."""
    values, counts = np.unique(column, return_counts=True)
    share = (np.cumsum(counts) - counts / 2) / len(column)
    if len(values) > KNOTS:
        wanted = ndtr(np.linspace(ndtri(share[0]), ndtri(share[-1]), KNOTS))
        chosen = np.unique(np.clip(np.searchsorted(share, wanted), 0, len(values) - 1))
        values, share = values[chosen], share[chosen]
    return values, ndtri(share)


def spread(x: Floats) -> Floats:
    """Return the standard deviation of each column, 1 for one that is constant."""
    deviation = x.std(axis=0)
    size = np.abs(x).max(axis=0)
    return np.where(deviation > 1e-9 * np.maximum(size, 1e-9), deviation, 1.0)


def numbers(tensor: torch.Tensor, shape: tuple[int, ...]) -> Floats:
    """Return a file's tensor as an array, once it has the shape and finite numbers."""
    array = tensor.numpy().astype(np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"a tensor has shape {array.shape}, not {shape}, or is not finite")
    return array


def positive(tensor: torch.Tensor, shape: tuple[int, ...]) -> Floats:
    """Return a file's tensor as an array of that shape, once all its numbers are above 0."""
    array = numbers(tensor, shape)
    if (array <= 0).any():
        raise ValueError("a scale is not positive")
    return array
