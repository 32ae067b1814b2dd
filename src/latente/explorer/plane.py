"""The map: from codes of any length to places in a plane, and back.

::

    codes (n, latent) ──points──▶ (n, 2)          places (m, 2) ──codes──▶ (m, latent)

A code of two numbers is its own map. A longer one is seen from the side on which it is widest
(PCA), or laid out so that neighbours stay neighbours (UMAP).
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..errors import MissingExtra, ParameterError
from ..parts import listed
from ..search.engines import Exact, nearest

Floats = NDArray[np.float32]

MOST = 20_000
"""Codes that principal components are taken of."""
NEIGHBOURS = 15
"""Neighbours of each code that UMAP keeps near."""
AROUND = 8
"""Placed codes between which another is placed."""
GOLDEN = 0.618034
"""Step, modulo 1, that spreads points evenly in any number of them."""
MARGIN, FAR = 0.04, 1.0
"""Room around a map, and how far beyond the middle nine tenths it reaches, both in its widths."""


class Plane(ABC):
    """A map of codes.

    Attributes
    ----------
    kind
        "code", "pca" or "umap".
    axes
        What each axis shows.
    share
        Of the codes' variance, how much is seen on the map, from 0 to 1; None where that is not
        what it shows.
    """

    kind: str
    axes: tuple[str, str]
    share: float | None = None

    @abstractmethod
    def points(self, codes: Floats) -> Floats:
        """Return the places of codes (n, latent) on the map, (n, 2)."""

    @abstractmethod
    def codes(self, points: Floats, base: Floats | None = None) -> Floats:
        """Return codes (m, latent) that lie at places of the map, (m, 2).

        Parameters
        ----------
        points
            The places.
        base
            A code (latent,) whose part that is not seen on the map is kept; None for that of the
            mean.
        """

    def turned(self, codes: Floats, like: Floats) -> Plane:
        """Return the map with its axes so that codes lie where they lay, as far as can be.

        Parameters
        ----------
        codes
            Shape (n, latent).
        like
            Where they lay, (n, 2).
        """
        return self


@dataclass(eq=False)
class CodePlane(Plane):
    """Two numbers of the code as they are.

    Parameters
    ----------
    dims
        Which two, counted from 0.
    mean
        The mean code, (latent,).
    """

    dims: tuple[int, int]
    mean: Floats
    kind: str = field(default="code", init=False)

    def __post_init__(self) -> None:
        self.axes = (f"code {self.dims[0]}", f"code {self.dims[1]}")

    @classmethod
    def learn(cls, codes: Floats) -> Plane:
        """Return the map of the two numbers that vary most, or of the only one."""
        mean = codes.mean(0, dtype=np.float64).astype(np.float32)
        if codes.shape[1] == 1:
            return LinePlane()
        most = np.sort(np.argsort(-codes.std(0, dtype=np.float64), kind="stable")[:2])
        return cls((int(most[0]), int(most[1])), mean)

    def points(self, codes: Floats) -> Floats:
        return np.ascontiguousarray(codes[:, self.dims])

    def codes(self, points: Floats, base: Floats | None = None) -> Floats:
        found = np.tile(self.mean if base is None else base, (len(points), 1))
        found[:, self.dims] = points
        return np.asarray(found, np.float32)


@dataclass(eq=False)
class LinePlane(Plane):
    """A code of one number to the right, spread out upward to be seen."""

    kind: str = field(default="code", init=False)
    axes: tuple[str, str] = field(default=("code 0", "spread out to be seen"), init=False)

    def points(self, codes: Floats) -> Floats:
        upward = np.arange(len(codes)) * GOLDEN % 1.0 if len(codes) > 1 else np.array([0.5])
        return np.stack([codes[:, 0], upward.astype(np.float32)], 1)

    def codes(self, points: Floats, base: Floats | None = None) -> Floats:
        return np.ascontiguousarray(points[:, :1])


@dataclass(eq=False)
class PCAPlane(Plane):
    """The plane of the two principal components of codes.

    ::

        point = (code − mean) Vᵀ        code = mean + point V + what the base has outside the plane

    Parameters
    ----------
    mean
        Of the codes, (latent,).
    components
        V, orthonormal rows, (2, latent).
    share
        Of the codes' variance, that of the two.
    """

    mean: Floats
    components: Floats
    share: float | None
    kind: str = field(default="pca", init=False)
    axes: tuple[str, str] = field(default=("component 0", "component 1"), init=False)

    @classmethod
    def learn(cls, codes: Floats) -> Plane:
        """Return the plane of codes (n, latent)."""
        from sklearn.decomposition import PCA

        if codes.shape[1] == 1:
            return LinePlane()
        some = codes[np.unique(np.linspace(0, len(codes) - 1, min(MOST, len(codes))).astype(int))]
        if len(some) < 2 or not np.ptp(some, 0).any():
            axes = np.eye(2, codes.shape[1], dtype=np.float32)
            return cls(some[0], axes, 0.0)
        found = PCA(2, random_state=0).fit(some.astype(np.float64))
        components = found.components_.astype(np.float32)
        share = float(found.explained_variance_ratio_.sum())
        return cls(found.mean_.astype(np.float32), components, share)

    def points(self, codes: Floats) -> Floats:
        return np.asarray((codes - self.mean) @ self.components.T, np.float32)

    def codes(self, points: Floats, base: Floats | None = None) -> Floats:
        outside: Any = 0.0
        if base is not None:
            off = base - self.mean
            outside = off - off @ self.components.T @ self.components
        return np.asarray(self.mean + outside + points @ self.components, np.float32)

    def turned(self, codes: Floats, like: Floats) -> Plane:
        own, other = self.points(codes), like - like.mean(0)
        likeness = (own - own.mean(0)).T.astype(np.float64) @ other
        straight, crossed = np.abs(np.diag(likeness)).sum(), np.abs(np.diag(likeness[::-1])).sum()
        order = [0, 1] if straight >= crossed else [1, 0]
        signs = np.where(likeness[order, [0, 1]] < 0, -1.0, 1.0).astype(np.float32)
        turned = PCAPlane(self.mean, self.components[order] * signs[:, None], self.share)
        turned.axes = (self.axes[order[0]], self.axes[order[1]])
        return turned


@dataclass(eq=False)
class UMAPPlane(Plane):
    """Codes laid out so that neighbours stay neighbours (McInnes et al., 2018).

    What lies between placed codes is found by distance: a code is placed among the places of the
    codes nearest to it, and a place has the mean code of those that are placed nearest.

    Parameters
    ----------
    known
        The codes that were laid out, (n, latent).
    places
        Where, (n, 2).
    """

    known: Floats
    places: Floats
    kind: str = field(default="umap", init=False)
    axes: tuple[str, str] = field(default=("UMAP 0", "UMAP 1"), init=False)

    def __post_init__(self) -> None:
        self._by_place = KDTree(self.places)

    @classmethod
    def learn(cls, codes: Floats) -> Plane:
        """Lay out codes (n, latent); so few that they have no neighbours are seen by PCA."""
        library = umap_library()
        if len(codes) <= NEIGHBOURS:
            return PCAPlane.learn(codes)
        layout = library.UMAP(
            n_components=2, n_neighbors=NEIGHBOURS, random_state=0, n_jobs=1
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its inner workings, which nobody here can change
            found = layout.fit_transform(codes)
        return cls(codes, np.asarray(found, np.float32))

    def points(self, codes: Floats) -> Floats:
        if codes is self.known:
            return self.places
        # A tree is no faster than comparing with all where codes have many numbers.
        count, given = min(AROUND, len(self.known)), torch.from_numpy(codes)
        squared, index = nearest(Exact(), torch.from_numpy(self.known), given, count)
        return between(squared.sqrt().numpy(), self.places[index.numpy()])

    def codes(self, points: Floats, base: Floats | None = None) -> Floats:
        distances, index = self._by_place.query(points, range(1, 1 + min(AROUND, len(self.known))))
        return between(distances, self.known[index])


PLANES: Mapping[str, Callable[[Floats], Plane]] = {
    "code": CodePlane.learn,
    "pca": PCAPlane.learn,
    "umap": UMAPPlane.learn,
}
"""The maps by name."""


def learn(kind: str, codes: Floats) -> Plane:
    """Return a map of codes.

    Parameters
    ----------
    kind
        A name of `PLANES`, or "auto": the numbers themselves where there are at most two, else
        their principal components.
    codes
        Shape (n, latent).
    """
    check(kind)
    if kind == "auto":
        kind = "code" if codes.shape[1] <= 2 else "pca"
    return PLANES[kind](codes)


def check(kind: str) -> None:
    """Raise an error where there is no such map, or what it needs is not installed."""
    if kind != "auto" and kind not in PLANES:
        raise ParameterError(f"map={kind!r}: choose {listed(map(repr, ('auto', *PLANES)))}")
    if kind == "umap":
        umap_library()


def umap_library() -> Any:
    """Return the library that lays out codes.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import umap
    except ImportError:
        raise MissingExtra(
            'this map needs UMAP, which is not installed: pip install umap-learn, or take map="pca"'
        ) from None
    return umap


def between(distances: NDArray[Any], values: Floats) -> Floats:
    """Return the mean of values that lie around, weighted by inverse square distance.

    Parameters
    ----------
    distances
        To those nearest, (m, count).
    values
        What each of them stands for, (m, count, k).
    """
    weights = 1 / np.maximum(distances.astype(np.float64), 1e-9) ** 2
    weights /= weights.sum(1, keepdims=True)
    return np.asarray((weights[..., None] * values).sum(1), np.float32)


def limits(points: Floats) -> tuple[float, float, float, float]:
    """Return what part of the plane holds points, but for a few far from all others.

    Returns
    -------
    tuple
        Left, right, bottom and top.
    """
    found: list[Any] = []
    for values in points.T.astype(np.float64):
        near, far = np.quantile(values, [0.05, 0.95])
        width = max(far - near, 1e-6)
        low, high = max(values.min(), near - FAR * width), min(values.max(), far + FAR * width)
        room = MARGIN * max(high - low, 1e-6)
        found += [float(low - room), float(high + room)]
    return found[0], found[1], found[2], found[3]
