"""Scores: how far a row lies from normal rows, and the scales in which it is measured.

::

    x (n, columns) ──View──▶ rows (n, columns) ──Score──▶ distance (n,), differences (n, columns)

`VIEWS` and `SCORES` are the tables. A distance in one scale overlooks what one in another sees:
standardised columns keep how far out a value lies, Gaussianised ones how rare it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sklearn.covariance import ledoit_wolf
from sklearn.neighbors import NearestNeighbors

from ..estimator import Autoencoder

Floats = NDArray[np.float64]

FURTHEST = 1e6
"""Standard deviations at which values are clipped, so that squares do not overflow."""
KNOTS = 512
"""Points by which the distribution of a column is described."""
REFERENCES = 10_000
"""Normal rows that are kept to compare with."""
AXES = 256
"""Directions in which distances are measured."""
SMALLEST = 1e-6
"""Variance, of a standardised column's, below which a direction counts as flat."""
SAME = 1e-5
"""Distance, of the mean distance, up to which two rows count as the same."""


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
    "unscaled": Unscaled,
    "standard": Standard,
    "gaussian": Gaussianised,
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
class Neighbors(Score):
    """Mean distance to the nearest normal rows (Ramaswamy et al., 2000; Angiulli, Pizzuti, 2002).

    ::

        x (n, columns) ──axes──▶ (n, directions) ──nearest k──▶ mean distance (n,)

    Distances are measured along the principal axes, each shrunk by the square root of its standard
    deviation: halfway between the plain distance, blind to directions of little variance, and
    Mahalanobis', which such directions rule. A row that is itself among the kept ones, or equals
    one, is not compared with that: rows of the fit are scored as new ones are.

    Parameters
    ----------
    neighbors
        How many are looked at.
    centre, axes
        Mean (columns,) and directions (columns, directions).
    references
        Normal rows in the view, (m, columns).
    """

    neighbors: int
    centre: Floats
    axes: Floats
    references: Floats
    _index: Any = field(default=None, repr=False)

    @classmethod
    def learn(cls, x: Floats, neighbors: int, generator: np.random.Generator) -> Self:
        """Keep normal rows (n, columns), or some of them, and learn the axes."""
        centre, axes = half_whitening(x)
        if len(x) > REFERENCES:
            x = x[np.sort(generator.choice(len(x), REFERENCES, replace=False))]
        return cls(neighbors=neighbors, centre=centre, axes=axes, references=rounded(x))

    def distances(self, x: Floats) -> Floats:
        return np.asarray(self._nearest(x)[0].mean(axis=1))

    def differences(self, x: Floats) -> Floats:
        _, index = self._nearest(x)
        middle: Floats = self.references[index].mean(axis=1)
        return (x - middle) ** 2

    def _nearest(self, x: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Return distance and number of the nearest rows but oneself, (n, neighbors)."""
        if self._index is None:
            projected = (self.references - self.centre) @ self.axes
            method = "kd_tree" if projected.shape[1] <= 8 else "brute"
            self._index = NearestNeighbors(algorithm=method).fit(projected)
        count = min(self.neighbors + 1, len(self.references))
        distance, index = self._index.kneighbors((rounded(x) - self.centre) @ self.axes, count)
        if count == 1:
            return distance, index
        itself = distance[:, :1] <= SAME * np.sqrt(self.axes.shape[1])
        return (
            np.where(itself, distance[:, 1:], distance[:, :-1]),
            np.where(itself, index[:, 1:], index[:, :-1]),
        )

    def state(self) -> dict[str, Any]:
        return {
            "neighbors": self.neighbors,
            "centre": torch.from_numpy(self.centre),
            "axes": torch.from_numpy(self.axes),
            "references": torch.from_numpy(self.references.astype(np.float32)),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], width: int, network: Any) -> Self:
        kept, axes = state["references"], state["axes"]
        count = int(state["neighbors"])
        if not 1 <= count <= REFERENCES or not 1 <= len(kept) <= REFERENCES:
            raise ValueError("the nearest rows are not as many as can be")
        return cls(
            neighbors=count,
            centre=numbers(state["centre"], (width,)),
            axes=numbers(axes, (width, axes.shape[1])),
            references=numbers(kept, (len(kept), width)),
        )


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
    "reconstruction": Reconstruction,
}


def rounded(x: Floats) -> Floats:
    """Return numbers as a file keeps them, in float32, so that a row still equals itself."""
    return x.astype(np.float32).astype(np.float64)


def half_whitening(x: Floats) -> tuple[Floats, Floats]:
    """Return the mean of rows, and their principal axes over the root of the standard deviation.

    The covariance is shrunk after Ledoit and Wolf (2004), so that few rows suffice.
    """
    centre = x.mean(axis=0)
    covariance, _ = ledoit_wolf(x - centre, assume_centered=True)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1][:AXES], axes[:, ::-1][:, :AXES]
    floor = SMALLEST * max(float(variances[0]), 1e-300)
    return centre, np.ascontiguousarray(axes / np.maximum(variances, floor) ** 0.25)


def ranked(column: Floats) -> tuple[Floats, Floats]:
    """Return distinct values of a column, in order, and the normal quantile of each one's rank."""
    values, counts = np.unique(column, return_counts=True)
    share = (np.cumsum(counts) - counts / 2) / len(column)
    if len(values) > KNOTS:
        shares = ndtr(np.linspace(ndtri(share[0]), ndtri(share[-1]), KNOTS))
        chosen = np.unique(np.clip(np.searchsorted(share, shares), 0, len(values) - 1))
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
