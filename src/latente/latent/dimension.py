"""Intrinsic dimension: how many numbers data need, whatever the number of their columns.

Both estimates look at how fast the distances to a sample's nearest neighbours grow. Where rows lie
evenly on a surface of d dimensions, the number of them within a radius grows as its d-th power.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..build import as_seed
from ..data.preparation import Preparation
from ..errors import DataError, ParameterError
from ..parts import is_whole, listed

Distances = NDArray[np.float64]

DISCARDED = 0.1
"""Share of the largest ratios that two_nn leaves out, where its assumptions hold least."""
SPARE = 8
"""Neighbours that are looked at beyond those asked for, as they are first found in float32."""
BLOCK_NUMBERS = 2**22
"""About how many numbers of rows, or of distances, are computed at a time."""
MOST_NUMBERS = 2**26
"""About how many numbers the samples hold whose neighbours are sought."""
LEAST = 10
"""Samples without which there is no estimate."""


def intrinsic_dimension(
    X: Any,
    method: str = "two_nn",
    *,
    neighbours: int = 20,
    rows: int = 100_000,
    queries: int = 4_000,
    scaling: str = "auto",
    layout: str = "auto",
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    """Estimate how many dimensions the surface has on which samples lie.

    ::

        two_nn   μ = r₂ / r₁,  −log(1 − F(μ)) = d · log μ        fitted through the origin
        mle      1/d = mean over samples and j < k of  log(r_k / r_j)

    r_j is the distance to a sample's j-th neighbour and F the share of samples with a smaller μ.
    `two_nn` (Facco et al., 2017) sees the finest scale only. `mle` (Levina and Bickel, 2004, with
    MacKay and Ghahramani's mean) looks at more neighbours: it varies less, and is too low where the
    surface bends. Noise has as many dimensions as there are columns, and the finest scale may be
    noise alone. From some ten dimensions on both are too low unless rows are very many. Rows that
    are the same count once.

    Parameters
    ----------
    X
        Samples as `Autoencoder.fit` takes them: rows, pictures, sequences, a data frame. They are
        brought to the scale of a model that is fitted on them.
    method
        "two_nn" or "mle".
    neighbours
        Of each sample, k; for "mle", from 3.
    rows
        The most rows that neighbours are sought among; of more, so many are drawn.
    queries
        The most rows whose neighbours are sought; of more, so many are drawn, and fewer of rows of
        more than 16,000 values. The standard error is about d / √queries.
    scaling, layout
        As for `Autoencoder`.
    random_state
        Seed of the draws.

    Returns
    -------
    float
        The dimension, above 0.

    Raises
    ------
    DataError
        If there are too few different rows, or X cannot be used.
    ParameterError
        If a parameter cannot work.

    Examples
    --------
    >>> import numpy as np
    >>> from latente import intrinsic_dimension
    >>> angle = np.random.default_rng(0).uniform(0, 6.28, 1000)
    >>> round(intrinsic_dimension(np.stack([np.cos(angle), np.sin(angle)], 1)))
    1
    """
    if method not in METHODS:
        raise ParameterError(f"method={method!r}: use {listed(map(repr, METHODS))}")
    for name, value, least in (
        ("neighbours", neighbours, 3), ("rows", rows, LEAST), ("queries", queries, LEAST),
    ):  # fmt: skip
        if not is_whole(value, least):
            raise ParameterError(f"{name}={value!r}: use a whole number from {least}")
    samples = Samples(X, scaling, layout, int(rows), np.random.default_rng(as_seed(random_state)))
    count, estimate = METHODS[method]
    k = count or int(neighbours)
    if len(samples) < max(k + 1, LEAST):
        raise DataError(
            f"X has {len(samples):,} different rows, too few for method={method!r}; give at least "
            f"{max(k + 1, LEAST)}"
        )
    distances = nearest_distances(samples, samples.drawn(int(queries)), k)
    distances = distances[distances[:, 0] > 0]
    if len(distances) < LEAST or (distances == distances[:, :1]).all():
        raise DataError(
            "the distances between the rows of X are all alike, so that they tell no dimension; "
            "columns of categories alone are such data"
        )
    return float(estimate(distances))


def two_nn(distances: Distances) -> float:
    """Return the dimension by the ratio of the distances to two neighbours, (n, 2)."""
    logs = np.sort(np.log(distances[:, 1] / distances[:, 0]))
    n = len(logs)
    kept = int(n * (1 - DISCARDED))
    logs, share = logs[:kept], np.arange(1, kept + 1) / n
    return float((logs * -np.log1p(-share)).sum() / np.square(logs).sum())


def mle(distances: Distances) -> float:
    """Return the most likely dimension by the distances to k neighbours, (n, k).

    The mean is taken of 1/d, as MacKay and Ghahramani found in 2005, not of d (Levina and Bickel).
    """
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return float(1 / logs.mean())


METHODS = {"two_nn": (2, two_nn), "mle": (None, mle)}
"""Each method with the neighbours it looks at, None for as many as are asked for."""


class Samples:
    """Different rows in the model's scale, taken block by block.

    Parameters
    ----------
    X, scaling, layout
        As `intrinsic_dimension` takes them.
    rows
        The most to keep.
    generator
        Source of the random numbers.
    """

    def __init__(
        self, X: Any, scaling: str, layout: str, rows: int, generator: np.random.Generator
    ) -> None:
        self.preparation, self.stored = Preparation.learn(
            X, scaling=scaling, name="X", layout=layout
        )
        self.values = int(np.prod(self.preparation.shape))
        self.generator = generator
        self.index = np.arange(len(self.stored))
        if len(self.index) > rows:
            self.index = np.sort(generator.choice(len(self.index), rows, replace=False))
        self.index = self.index[self._first_of_same()]

    def __len__(self) -> int:
        return len(self.index)

    def take(self, places: NDArray[np.int64] | slice) -> Tensor:
        """Return some of the rows, flat, (n, values) float32."""
        index = torch.from_numpy(self.index[places])
        return self.preparation.convert(self.stored.index_select(0, index)).flatten(1)

    def blocks(self, most: int) -> Iterator[tuple[int, Tensor]]:
        """Yield where blocks of at most so many rows begin, and the rows."""
        size = max(min(BLOCK_NUMBERS // self.values, most), 1)
        for start in range(0, len(self), size):
            yield start, self.take(slice(start, start + size))

    def drawn(self, most: int) -> NDArray[np.int64]:
        """Return the places of at most so many rows, in order."""
        most = min(most, max(MOST_NUMBERS // self.values, LEAST))
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(self.generator.choice(len(self), most, replace=False))

    def _first_of_same(self) -> NDArray[np.int64]:
        """Return the places of rows, of those that are the same the first."""
        seen: dict[bytes, int] = {}
        for start, block in self.blocks(len(self.index)):
            for i, row in enumerate((block + 0.0).numpy()):  # -0 becomes 0
                seen.setdefault(hash_of(row), start + i)
        return np.fromiter(seen.values(), np.int64, len(seen))


def hash_of(row: NDArray[np.float32]) -> bytes:
    """Return so few bytes that rows which are not the same hardly share them."""
    import hashlib

    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def nearest_distances(samples: Samples, places: NDArray[np.int64], k: int) -> Distances:
    """Return the distances from some samples to their k nearest others, (n, k), rising.

    Candidates are found in float32, by products of matrices, and measured in float64.

    Parameters
    ----------
    samples
        All of them.
    places
        Of those whose neighbours are sought.
    k
        How many.
    """
    queries = samples.take(places)
    centre = queries.mean(0)
    queries = queries - centre
    norms = queries.square().sum(1, keepdim=True)
    wanted = min(k + SPARE, len(samples) - 1)
    best = torch.full((len(places), wanted), torch.inf)
    which = torch.zeros((len(places), wanted), dtype=torch.int64)
    own = torch.from_numpy(places)
    for start, block in samples.blocks(max(BLOCK_NUMBERS // len(places), wanted)):
        block = block - centre
        squared = norms + block.square().sum(1) - 2 * queries @ block.T
        here = ((own >= start) & (own < start + len(block))).nonzero()[:, 0]
        squared[here, own[here] - start] = torch.inf
        found = squared.topk(min(wanted, len(block)), largest=False)
        both = torch.cat([best, found.values], 1)
        best, order = both.topk(wanted, largest=False)
        which = torch.cat([which, found.indices + start], 1).gather(1, order)
    size = max(BLOCK_NUMBERS // (samples.values * wanted), 1)
    parts = []
    mine_by_part = torch.split(samples.take(places), size)
    for near, mine in zip(torch.split(which, size), mine_by_part, strict=True):
        others = samples.take(near.flatten().numpy()).view(*near.shape, -1).double()
        distances = (others - mine.double()[:, None]).square().sum(2).sqrt()
        parts.append(distances.sort(1).values[:, :k].numpy())
    return np.concatenate(parts)
