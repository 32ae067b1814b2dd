"""Metrics and engines: how far codes are apart, and how the nearest of many are found.

::

    codes ──Metric.prepared──▶ rows ──Engine──▶ candidates ──nearest──▶ |row − row|² ─▶ distance

All metrics are squared distances of rows that are prepared once. An engine names candidates;
`nearest` measures them exactly and sorts them, so that distances are right whatever the engine, and
equal ones come in the order of the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingExtra
from . import graph

EXACT_ROWS = 200_000
"""Rows up to which "auto" searches exactly."""
QUERIES, ROWS = 256, 2**14
"""Queries and rows compared at a time: no table of scores is larger than their product."""
NUMBERS = 2**22
"""How many numbers are gathered at a time to measure candidates."""
ALONE = 1024
"""Rows that one thread puts into a graph before others join in."""
MARGIN = 8
"""Candidates beyond k: rounding can put one of the k nearest a few places later."""


class Metric(ABC):
    """A way to compare codes that keeps the order of squared distances between prepared rows."""

    @abstractmethod
    def prepared(self, codes: Tensor) -> Tensor:
        """Return the rows that are compared, (n, latent)."""

    @abstractmethod
    def distance(self, squared: Tensor) -> Tensor:
        """Return the distance of codes from the squared distance of their rows."""


class EuclideanDistance(Metric):
    """The length of the difference."""

    def prepared(self, codes: Tensor) -> Tensor:
        return codes

    def distance(self, squared: Tensor) -> Tensor:
        return squared.sqrt()


class CosineDistance(Metric):
    """One minus the cosine of the angle, from 0 to 2; a code of zeros is 0.5 from any other."""

    def prepared(self, codes: Tensor) -> Tensor:
        # In two steps: the square of a large number would overflow.
        scaled = codes / codes.abs().amax(1, keepdim=True).clamp_min(1e-30)
        rows: Tensor = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(1e-30)
        return rows

    def distance(self, squared: Tensor) -> Tensor:
        return squared / 2


METRICS: Mapping[str, Metric] = {"euclidean": EuclideanDistance(), "cosine": CosineDistance()}
"""The metrics by name."""


class Engine(ABC):
    """A way to find rows that are near a query."""

    def update(self, rows: Tensor) -> None:  # noqa: B027 - an engine may have nothing to learn
        """Take up rows that were added; those known before come first.

        Parameters
        ----------
        rows
            All of them, (n, latent).
        """

    def state(self) -> Tensor | None:
        """Return what was built of the rows, as bytes to keep in a file; None where nothing was."""
        return None

    def resume(self, rows: Tensor, state: Tensor) -> None:  # noqa: B027
        """Continue from a state, which is not trusted, if it belongs to the first of these rows."""

    @abstractmethod
    def candidates(self, rows: Tensor, queries: Tensor, k: int) -> Tensor:
        """Return positions of at least k rows near each query, (m, k or more); −1 for none.

        Parameters
        ----------
        rows
            Those of the last `update`, (n, latent).
        queries
            Shape (m, latent), m at most `QUERIES`.
        k
            From 1 to n.
        """


class Exact(Engine):
    """Compares with every row, block by block, as a product of matrices.

    ::

        |x − q|² / 2 = |x|² / 2 − q·x + |q|² / 2        the last term is the same for all rows x
    """

    def candidates(self, rows: Tensor, queries: Tensor, k: int) -> Tensor:
        kept = min(k + MARGIN, len(rows))
        centre = rows[:ROWS].mean(0)  # without a common offset, less is lost by rounding
        centred = queries - centre
        scores = queries.new_empty((len(queries), 0))
        positions = torch.empty((len(queries), 0), dtype=torch.int64, device=rows.device)
        for start in range(0, len(rows), ROWS):
            block = rows[start : start + ROWS] - centre
            halves = block.square().sum(1) / 2
            score = torch.addmm(halves, centred, block.T, alpha=-1)
            score, position = score.topk(min(kept, len(block)), largest=False, sorted=False)
            scores = torch.cat([scores, score], 1)
            positions = torch.cat([positions, position + start], 1)
            scores, best = scores.topk(min(kept, scores.shape[1]), largest=False, sorted=False)
            positions = positions.gather(1, best)
        return positions


class Usearch(Engine):
    """Walks a graph of neighbours (Malkov and Yashunin, 2018), by the library usearch.

    Raises
    ------
    MissingExtra
        If usearch is not installed.
    """

    connectivity = 16
    expansion_add = 128
    expansion_search = 128

    def __init__(self) -> None:
        try:
            import usearch.index
        except ImportError:
            raise MissingExtra(
                "this index needs usearch, which is not installed: pip install 'latente[search]', "
                'or take engine="exact"'
            ) from None
        self._library: Any = usearch.index
        self._graph: Any = None

    def update(self, rows: Tensor) -> None:
        if self._graph is None:
            self._graph = self._empty(rows)
        # Threads that begin a graph together leave it badly linked.
        for end, threads in ((min(ALONE, len(rows)), 1), (len(rows), 0)):
            known = len(self._graph)
            if known < end:
                added = np.ascontiguousarray(rows[known:end].cpu().numpy())
                self._graph.add(np.arange(known, end), added, threads=threads)

    def state(self) -> Tensor | None:
        return torch.from_numpy(graph.stripped(self._graph).copy())

    def resume(self, rows: Tensor, state: Tensor) -> None:
        raw, vectors = state.numpy(), rows.cpu().numpy()
        if graph.nodes(raw) > len(rows):
            return
        example = self._empty(rows)
        example.add(np.arange(1), vectors[:1])
        keys = graph.checked_keys(raw, graph.stripped(example), self.connectivity)
        if keys is None:
            return
        self._graph = self._empty(rows)
        self._graph.load(graph.dressed(raw, vectors[keys]))
        self._graph.expansion_add = self.expansion_add
        self._graph.expansion_search = self.expansion_search

    def _empty(self, rows: Tensor) -> Any:
        return self._library.Index(
            ndim=rows.shape[1],
            metric="l2sq",
            dtype="f32",
            connectivity=self.connectivity,
            expansion_add=self.expansion_add,
            expansion_search=self.expansion_search,
        )

    def candidates(self, rows: Tensor, queries: Tensor, k: int) -> Tensor:
        vectors = np.ascontiguousarray(queries.cpu().numpy())
        matches = self._graph.search(vectors, min(k + MARGIN, len(rows)))
        keys = np.atleast_2d(matches.keys).astype(np.int64)
        if len(queries) > 1:  # of a single query, only the keys that exist come back
            keys[np.arange(keys.shape[1]) >= matches.counts[:, None]] = -1
        return torch.from_numpy(keys).to(rows.device)


ENGINES: Mapping[str, type[Engine]] = {"exact": Exact, "usearch": Usearch}
"""The engines by name."""


def choose(engine: str, n: int) -> str:
    """Return the engine that "auto" stands for with n rows; any other is what it says."""
    if engine != "auto":
        return engine
    return "exact" if n <= EXACT_ROWS else "usearch"


def nearest(engine: Engine, rows: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return squared distances and positions of the k rows nearest to each query.

    ::

        queries (m, latent) ──engine──▶ candidates ──measured, sorted──▶ (m, k), (m, k)

    Parameters
    ----------
    engine
        Updated with the rows.
    rows
        Shape (n, latent).
    queries
        Shape (m, latent).
    k
        From 1 to n.
    """
    distances, positions = [], []
    for block in torch.split(queries, QUERIES):
        near = engine.candidates(rows, block, k)
        if bool(((near >= 0).sum(1) < k).any()):  # a graph may leave rows that none leads to
            near = Exact().candidates(rows, block, k)
        squared, near = _measured(rows, block, near)
        distances.append(squared[:, :k])
        positions.append(near[:, :k])
    return torch.cat(distances), torch.cat(positions)


def _measured(rows: Tensor, queries: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return candidates with their squared distances, nearest first, then in the rows' order."""
    positions = positions.sort(1).values
    step = max(1, NUMBERS // max(positions.shape[1] * rows.shape[1], 1))
    parts = zip(torch.split(queries, step), torch.split(positions, step), strict=True)
    squared = torch.cat(
        [
            (rows[position.clamp_min(0)] - block[:, None]).square().sum(2)
            for block, position in parts
        ]
    )
    squared = squared.masked_fill(positions < 0, torch.inf)
    squared, order = squared.sort(stable=True, dim=1)
    return squared, positions.gather(1, order)
