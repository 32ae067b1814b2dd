"""A view: one model on the rows that are shown, their codes, their map, and how dense it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ..errors import DataError
from ..figures.density import Density
from ..search.engines import Exact, nearest
from . import plane as planes
from .coders import Coder, Pass
from .plane import Floats, Plane
from .samples import spread

REFERENCES = 10_000
"""Training rows, at most, whose codes tell where the model has been."""
CELLS = 128
"""Cells of the density along each side of the map."""
REGIONS = (0.5, 0.8, 0.95)
"""Shares of the codes that the regions of the density hold."""
BEYOND = 0.99
"""Share of training codes nearer to a shown one than what counts as near."""
MEASURED = 512
"""Numbers of the code, at most, whose effect is measured: those that vary most."""
BASES, PASSES = 8, 2048
"""Codes at which effects are measured, and about how many are decoded for it."""
ENDS = (0.02, 0.98)
"""Quantiles of a number of the code that count as low and high."""
SIMILAR = 12
"""Samples that are found like another."""


Asking = tuple[str, Floats, Floats | None]
"""What is to be decoded: "at" with places of the map and a base, or "codes" with codes."""


@dataclass(frozen=True)
class Examined:
    """What a model makes of all rows.

    Parameters
    ----------
    codes
        Shape (n, latent).
    errors, scores
        As `Pass` has them, (n,).
    """

    codes: Floats
    errors: Floats
    scores: Floats


@dataclass(frozen=True)
class Places:
    """Codes, decoded, and where they lie.

    Parameters
    ----------
    codes
        Shape (m, latent).
    points
        On the map, (m, 2).
    values
        Decoded, in the model's scale, (m, *shape).
    nearest
        The shown row nearest to each, (m,).
    distance
        To that one, (m,).
    inside
        The smallest region of training codes that holds each: 0.5, 0.8, 0.95, or 1 for none, (m,).
    """

    codes: Floats
    points: Floats
    values: Floats
    nearest: NDArray[np.int32]
    distance: Floats
    inside: Floats


class ModelView:
    """One model on the rows that are shown.

    Parameters
    ----------
    coder
        The model.
    X
        The rows, as the model takes them.
    name
        What to call it.
    map
        "auto", "code", "pca" or "umap".
    train
        Rows it was trained on, which tell where it knows its way; the shown ones if not given.
    like
        A view of the same rows that the map is turned to be like, as far as it can be.
    """

    def __init__(
        self,
        coder: Coder,
        X: Any,
        *,
        name: str = "model",
        map: str = "auto",  # noqa: A002 - what it is called everywhere
        train: Any = None,
        like: ModelView | None = None,
    ) -> None:
        self.coder, self.name = coder, name
        self.rows = examined(coder, X)
        self.codes = self.rows.codes
        self.plane: Plane = planes.learn(map, self.codes)
        if like is not None:
            self.plane = self.plane.turned(self.codes, like.points)
        self.points: Floats = self.plane.points(self.codes)
        known = None if train is None else examined(coder, spread(train, REFERENCES)).codes
        self._known = self.points if known is None else self.plane.points(known)
        self._apart = known is not None

    def __len__(self) -> int:
        return len(self.codes)

    def prepare(self) -> None:
        """Compute now what would be computed when it is first asked for."""
        for each in (self.tree, self.grid, self.levels, self.near, self.dims, self.sorted_scores):
            assert each is not None

    @cached_property
    def limits(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the map."""
        return planes.limits(self.points)

    @cached_property
    def tree(self) -> KDTree:
        """The shown rows by their places on the map."""
        return KDTree(self.points)

    @cached_property
    def density(self) -> Density:
        """How densely training codes lie on the map."""
        return Density.learn(self._known.astype(np.float64))

    @cached_property
    def grid(self) -> Floats:
        """The density over the map, (128, 128), the bottom row first."""
        left, right, bottom, top = self.limits
        half = 0.5 / CELLS
        steps = np.linspace(half, 1 - half, CELLS)
        across, up = np.meshgrid(left + steps * (right - left), bottom + steps * (top - bottom))
        found = self.density(np.stack([across.ravel(), up.ravel()], 1))
        return np.asarray(found.reshape(CELLS, CELLS), np.float32)

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The density at the border of each of `REGIONS`."""
        return tuple(self.density.level(share) for share in REGIONS)

    @cached_property
    def near(self) -> float:
        """The distance on the map from a shown row beyond which no training code is near."""
        some = spread(self._known, REFERENCES).astype(np.float64)
        if self._apart:
            distances = self.tree.query(some, 1)[0]
        elif len(self) > 1:
            distances = self.tree.query(some, 2)[0][:, 1]
        else:
            distances = np.zeros(1)
        return max(float(np.quantile(distances, BEYOND)), 1e-9)

    @cached_property
    def sorted_scores(self) -> Floats:
        """The anomaly scores of the shown rows in rising order, without NaN."""
        return np.sort(self.rows.scores[~np.isnan(self.rows.scores)])

    @cached_property
    def dims(self) -> list[dict[str, Any]]:
        """Range, mean and effect of each number of the code, that of the greatest effect first.

        The effect is how much the decoded sample changes (root mean square over its values) when
        the number goes from low to high, as a share of how much samples differ from their mean.
        """
        codes = self.codes.astype(np.float64)
        varying = np.argsort(-codes.std(0), kind="stable")[:MEASURED]
        low, high = np.quantile(codes[:, varying], ENDS, axis=0)
        effects = np.zeros(len(varying))
        if self.coder.is_generative():
            effects = self._effects(varying, low, high)
        order = np.argsort(-effects, kind="stable")
        mean = codes.mean(0)
        return [
            {
                "dim": int(varying[i]), "low": float(low[i]), "high": float(high[i]),
                "mean": float(mean[varying[i]]), "effect": float(effects[i]),
            }
            for i in order
        ]  # fmt: skip

    def _effects(self, dims: NDArray[Any], low: Any, high: Any) -> NDArray[Any]:
        """Return how much each number changes what is decoded, averaged over some codes."""
        count = max(1, min(BASES, PASSES // (2 * len(dims))))
        bases = spread(self.codes, count)
        spread_of_values = self.coder.decode(spread(self.codes, 256)).std(0, dtype=np.float64)
        scale = max(float(np.sqrt(np.square(spread_of_values).mean())), 1e-12)
        squares = np.zeros(len(dims))
        for base in bases:
            for start in range(0, len(dims), PASSES):
                some = slice(start, start + PASSES)
                ends = []
                for values in (low, high):
                    moved = np.tile(base, (len(dims[some]), 1))
                    moved[np.arange(len(moved)), dims[some]] = values[some]
                    ends.append(self.coder.decode(moved).reshape(len(moved), -1))
                squares[some] += np.square(ends[1] - ends[0]).mean(1, dtype=np.float64)
        return np.asarray(np.sqrt(squares / len(bases)) / scale)

    def decode_at(self, points: Floats, base: Floats | None = None) -> Places:
        """Return what lies at places of the map, (m, 2).

        Parameters
        ----------
        points
            The places.
        base
            A code (latent,) whose part that is not seen on the map is kept.
        """
        return self.decode_all([("at", points, base)])[0]

    def decode_codes(self, codes: Floats) -> Places:
        """Return what codes (m, latent) stand for, and the shown rows of the nearest codes."""
        return self.decode_all([("codes", codes, None)])[0]

    def decode_all(self, asked: Sequence[Asking]) -> list[Places]:
        """Return the answers to several such questions, decoded together."""
        every = [
            self.plane.codes(given, base) if way == "at" else given for way, given, base in asked
        ]
        values = self.coder.decode(np.concatenate(every))
        places, start = [], 0
        for (way, given, _), codes in zip(asked, every, strict=True):
            own = values[start : start + len(codes)]
            start += len(codes)
            if way == "at":
                points = given
                distance, index = self.tree.query(points, 1)
            else:
                points = self.plane.points(codes)
                index, distance = (each[:, 0] for each in self.similar(codes, 1))
            near = index.astype(np.int32), distance.astype(np.float32)
            places.append(Places(codes, points, own, *near, self.regions(points)))
        return places

    def regions(self, points: Floats) -> Floats:
        """Return the smallest region of training codes that holds each place, (m,)."""
        at = self.density(points.astype(np.float64))
        found = np.ones(len(points), np.float32)
        for share, level in sorted(zip(REGIONS, self.levels, strict=True), reverse=True):
            found[at >= level] = share
        return found

    def similar(self, codes: Floats, k: int = SIMILAR) -> tuple[NDArray[np.int32], Floats]:
        """Return the shown rows whose codes are nearest, and their distances, (m, k)."""
        known = torch.from_numpy(self.codes)
        squared, index = nearest(Exact(), known, torch.from_numpy(codes), min(k, len(known)))
        return index.numpy().astype(np.int32), squared.sqrt().numpy()

    def percentile(self, scores: Floats) -> Floats:
        """Return the share of shown rows with a lower score than each, (m,)."""
        known = self.sorted_scores
        if not len(known):
            return np.full(len(scores), np.nan, np.float32)
        found = np.searchsorted(known, scores, "left") / len(known)
        return np.asarray(np.where(np.isnan(scores), np.nan, found), np.float32)

    def passed(self, X: Any, mask: Any = None) -> Pass:
        """Return what the model makes of some samples, as it takes them.

        Parameters
        ----------
        X
            The samples.
        mask
            Which pixels are missing, (m, 1, h, w) bool, where the model takes a mask.
        """
        stored = self.coder.input.store(X, "the sample")
        masks = None if mask is None else torch.as_tensor(mask)
        blocks = [
            self.coder.passed(
                self.coder.input.convert(stored[start : start + self.coder.block]),
                None if masks is None else masks[start : start + self.coder.block],
            )
            for start in range(0, len(stored), self.coder.block)
        ]
        return Pass(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def examined(coder: Coder, X: Any) -> Examined:
    """Return codes, errors and scores of rows, block by block."""
    blocks = coder.input.open(X, "X")
    n, size = len(blocks), coder.block
    codes = np.empty((n, coder.latent), np.float32)
    errors, scores = np.empty(n, np.float32), np.empty(n, np.float32)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        found = coder.passed(coder.input.convert(blocks[rows]))
        codes[rows], errors[rows], scores[rows] = _numbers(found)
    if not np.isfinite(codes).all():
        row = int(np.flatnonzero(~np.isfinite(codes).all(1))[0])
        raise DataError(f"the model's code of row {row} is not finite; it cannot be shown")
    return Examined(codes, errors, scores)


def _numbers(found: Pass) -> tuple[Tensor, Tensor, Tensor]:
    return found.codes, found.errors, found.scores
