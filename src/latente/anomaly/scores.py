"""Scores: how far a row lies from what is normal, each in its own way; `SCORES` is the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..estimator import Autoencoder
from .views import numbers

Floats = NDArray[np.float64]

REFERENCES = 10_000
"""Normal rows that are kept to compare with."""
AXES = 256
"""Directions in which distances are measured."""
SMALLEST = 1e-6
"""Variance, of a standardised column's, below which a direction counts as flat."""
SAME = 1e-5
"""Distance, of the mean distance, up to which two rows count as the same."""


class Score(ABC):
    """One way to tell how far rows lie from the normal ones, which it has learned."""

    title: ClassVar[str]

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
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        """Return the score of what `state` returned, or raise ValueError."""


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

    title = "neighbors"
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
            from sklearn.neighbors import NearestNeighbors

            places = (self.references - self.centre) @ self.axes
            method = "kd_tree" if places.shape[1] <= 8 else "brute"
            self._index = NearestNeighbors(algorithm=method).fit(places)
        wanted = min(self.neighbors + 1, len(self.references))
        distance, index = self._index.kneighbors((rounded(x) - self.centre) @ self.axes, wanted)
        if wanted == 1:
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
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
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

    title = "reconstruction"
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
    def from_state(cls, state: dict[str, Any], width: int) -> Self:
        autoencoder = Autoencoder._from_state(state["meta"], state["tensors"], None)
        if int(np.prod(autoencoder.fitted_.wanted.shape)) != width:
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
    from sklearn.covariance import ledoit_wolf

    centre = x.mean(axis=0)
    covariance, _ = ledoit_wolf(x - centre, assume_centered=True)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1][:AXES], axes[:, ::-1][:, :AXES]
    floor = SMALLEST * max(float(variances[0]), 1e-300)
    return centre, np.ascontiguousarray(axes / np.maximum(variances, floor) ** 0.25)
