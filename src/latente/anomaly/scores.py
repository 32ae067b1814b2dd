"""Scores: how far a row lies from normal rows, and the scales in which it is measured.

::

    x (n, columns) ──View──▶ rows (n, columns) ──Score──▶ distance (n,), differences (n, columns)

`VIEWS` and `SCORES` are the tables.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from ..errors import TrainingWarning
from ..estimator import Autoencoder

Floats = NDArray[np.float64]

STRAIGHT = 3.0
"""Standard deviations up to which a column is as it is; beyond, it grows as a logarithm does."""
REFERENCES = 10_000
"""Normal rows that are kept to compare with."""
BLOCK, VALUES = 1_000, 8_000_000
"""Rows compared at a time, and values of their nearest rows: Ctrl-C is answered between blocks."""
AROUND, RIDGE = 40, 0.05
"""Nearest rows that span the surface around a row, and the share of their spread that is noise."""
SAME = 1e-5
"""Distance, of the mean distance, up to which two rows count as the same."""
TINY = 1e-12
"""Noise where the nearest rows are all the same."""


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
class Unscaled(View):
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
    """Every column at mean 0 and standard deviation 1, its tails drawn in.

    Beyond three standard deviations a value grows as its logarithm does, so that one wild value
    does not outweigh all others. A constant column is moved to 0.
    """

    shift: Floats
    span: Floats

    @classmethod
    def learn(cls, x: Floats) -> Self:
        return cls(x.mean(axis=0), spread(x))

    def transform(self, x: Floats) -> Floats:
        z = (x - self.shift) / self.span
        size = np.maximum(np.abs(z), STRAIGHT) / STRAIGHT
        return np.clip(z, -STRAIGHT, STRAIGHT) + np.sign(z) * STRAIGHT * np.log(size)

    def state(self) -> dict[str, Any]:
        return {"shift": torch.from_numpy(self.shift), "span": torch.from_numpy(self.span)}

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        return cls(numbers(state["shift"], (width,)), positive(state["span"], (width,)))


@dataclass(frozen=True, eq=False)
class Robust(Standard):
    """The same by the median and the quartiles of each column, which few anomalies cannot move."""

    @classmethod
    def learn(cls, x: Floats) -> Self:
        low, middle, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0)
        usual = spread(x)
        span = (high - low) / 1.349
        return cls(middle, np.where(span > 1e-9 * usual, span, usual))


VIEWS: dict[str, type[View]] = {
    "unscaled": Unscaled,
    "standard": Standard,
    "robust": Robust,
}


class Score(ABC):
    """A measure, learned from normal rows, of how far rows lie from them."""

    @abstractmethod
    def distances(self, x: Floats) -> Floats:
        """Return how far rows (n, columns) lie from what is normal, (n,), at least 0."""

    @abstractmethod
    def differences(self, x: Floats) -> Floats:
        """Return what each column adds to it, (n, columns), at least 0, up to a common factor."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any], width: int, network: Any) -> Self:
        """Return the score of what `state` returned, or raise ValueError.

        Parameters
        ----------
        state
            Not trusted.
        width
            How many columns rows have.
        network
            Encoder and decoder, where an autoencoder was built of the user's own modules.
        """


@dataclass(eq=False, kw_only=True)
class NearestRows(Score):
    """A score by the nearest normal rows.

    A row that is itself among the kept ones, or equals one, is not compared with that: rows of the
    fit are scored as new ones are.

    Parameters
    ----------
    neighbors
        How many are looked at.
    references
        Normal rows in the view, (m, columns).
    """

    neighbors: int
    references: Floats
    _index: Any = field(default=None, repr=False)

    @classmethod
    def learn(cls, x: Floats, neighbors: int) -> Self:
        """Keep normal rows (n, columns)."""
        return cls(neighbors=neighbors, references=rounded(x))

    def nearest(self, x: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Return distance and number of the nearest rows but oneself, (n, neighbors)."""
        if self._index is None:
            method = "kd_tree" if self.references.shape[1] <= 8 else "brute"
            self._index = NearestNeighbors(algorithm=method).fit(self.references)
        count = min(self.neighbors + 1, len(self.references))
        distance, index = self._index.kneighbors(rounded(x), count)
        if count == 1:
            return distance, index
        itself = distance[:, :1] <= SAME * np.sqrt(x.shape[1])
        return (
            np.where(itself, distance[:, 1:], distance[:, :-1]),
            np.where(itself, index[:, 1:], index[:, :-1]),
        )

    def state(self) -> dict[str, Any]:
        return {
            "neighbors": self.neighbors,
            "references": torch.from_numpy(self.references.astype(np.float32)),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int, network: Any) -> Self:
        kept, count = state["references"], int(state["neighbors"])
        if not 1 <= count <= REFERENCES or not 1 <= len(kept) <= REFERENCES:
            raise ValueError("the nearest rows are not as many as can be")
        return cls(neighbors=count, references=numbers(kept, (len(kept), width)))


@dataclass(eq=False, kw_only=True)
class Neighbors(NearestRows):
    """Mean distance to the nearest normal rows (Ramaswamy et al., 2000)."""

    def distances(self, x: Floats) -> Floats:
        return np.concatenate([self.nearest(rows)[0].mean(axis=1) for rows in blocks(x)])

    def differences(self, x: Floats) -> Floats:
        return np.concatenate([self._differences(rows) for rows in blocks(x)])

    def _differences(self, x: Floats) -> Floats:
        _, index = self.nearest(x)
        middle: Floats = self.references[index].mean(axis=1)
        return (x - middle) ** 2


@dataclass(eq=False, kw_only=True)
class Surface(NearestRows):
    """Distance to the surface on which the nearest normal rows lie.

    ::

        r = x − mean of the nearest rows      S = their scatter      λ = noise
        distance² = rᵀ λ (S + λ)⁻¹ r

    What the nearest rows do among themselves costs little, what none of them does costs all of it:
    Mahalanobis' distance with the covariance of the place (compare Roweis, Saul, 2000). It finds
    what breaks the relations between columns, also where these change from place to place.
    """

    def distances(self, x: Floats) -> Floats:
        return np.concatenate([self._residual(rows)[0] for rows in blocks(x, self._at_once(x))])

    def differences(self, x: Floats) -> Floats:
        return np.concatenate(
            [self._residual(rows)[1] ** 2 for rows in blocks(x, self._at_once(x))]
        )

    def _at_once(self, x: Floats) -> int:
        """Return how many rows are compared at a time, so that their nearest ones fit in memory."""
        values: int = self.neighbors * x.shape[1]
        return max(1, min(BLOCK, VALUES // values))

    def _residual(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the distances (n,) and what is left of each row (n, columns)."""
        around = self.references[self.nearest(x)[1]]
        middle = around.mean(axis=1)
        around -= middle[:, None]
        off = (x - middle)[:, :, None]
        turned = around.swapaxes(1, 2)
        few = around.shape[1] < around.shape[2]
        scatter = around @ turned if few else turned @ around
        size = np.trace(scatter, axis1=1, axis2=2) / around.shape[1]
        noise = (RIDGE * size + TINY)[:, None, None]
        ridged = scatter + noise * np.eye(scatter.shape[1])
        if few:
            left = off - turned @ np.linalg.solve(ridged, around @ off)
        else:
            left = noise * np.linalg.solve(ridged, off)
        squares = (off * left).sum(axis=(1, 2))
        return np.sqrt(np.maximum(squares, 0.0)), left[:, :, 0]


@dataclass(eq=False, kw_only=True)
class Reconstruction(Score):
    """Squared error of the reconstruction by an autoencoder that was fitted on normal rows.

    Parameters
    ----------
    autoencoder
        Fitted in the view.
    """

    autoencoder: Autoencoder

    def distances(self, x: Any) -> Floats:
        total: Floats = self.differences(x).sum(axis=1)
        return total

    def differences(self, x: Any) -> Floats:
        errors = self.autoencoder.fitted_.differences(x)
        flat: Floats = errors.reshape(len(errors), -1).astype(np.float64)
        squares: Floats = flat**2
        return squares

    def state(self) -> dict[str, Any]:
        meta, tensors = self.autoencoder._state()
        return {"meta": meta, "tensors": tensors}

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int, network: Any) -> Self:
        autoencoder = Autoencoder._from_state(state["meta"], state["tensors"], network)
        if int(np.prod(autoencoder.fitted_.target.shape)) != width:
            raise ValueError("an autoencoder does not fit the columns")
        return cls(autoencoder=autoencoder)


SCORES: dict[str, type[Score]] = {
    "neighbors": Neighbors,
    "surface": Surface,
    "reconstruction": Reconstruction,
}


def blocks(x: Floats, size: int = BLOCK) -> Iterator[Floats]:
    """Give rows a block at a time."""
    for start in range(0, max(len(x), 1), size):
        yield x[start : start + size]


def trained(autoencoder: Autoencoder, X: Any) -> Autoencoder:
    """Return a clone fitted on X; Ctrl-C ends it as any other work, with nothing kept."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "interrupted", TrainingWarning)
        fitted: Autoencoder = clone(autoencoder).fit(X)
    if fitted.stopped_ == "interrupted":
        raise KeyboardInterrupt
    return fitted


def rounded(x: Floats) -> Floats:
    """Return numbers as a file keeps them, in float32, so that a row still equals itself."""
    return x.astype(np.float32).astype(np.float64)


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
