"""Gaps: values that are not there, filled by a factor analysis for the network to improve on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ..data.space import Space
from ..errors import ParameterError
from .base import Corruption, CorruptionModule, Range, ends, require_range, uniform

MOST_ROWS, LEAST_ROWS, MOST_WORK = 4096, 256, 2**31
"""Training rows that the factor analysis is learned from; rows × features × factors² at most."""
TRIAL_ROWS = 1024
"""Of these, rows by which the number of factors is chosen."""
MOST_FACTORS = 64
LARGEST = 2**22
"""Most numbers that one row's factors may take, features × factors²."""
STEPS = 20
"""Of the EM algorithm."""
RIDGE = 10.0
"""Rows that would pull each loading towards 0 as much as the prior does."""
LEAST_NOISE = 1e-3
"""Smallest variance of a feature beside its factors, of a variance of 1."""
TRIED = 0.1
"""Share of the known values by which the number of factors is chosen."""
HIDDEN, MOST_TRIALS = 3000, 5
"""How many values are hidden for that, at least, in so many trials at most."""


@dataclass(kw_only=True)
class Gaps(Corruption):
    """Hide values as if they were missing, and take NaN in the data for what is missing.

    ::

        x (n, d), NaN where missing ──hide more──▶ fill, flags (n, 2d)

    What is missing is filled by a factor analysis (Rubin and Thayer, 1982), which the EM algorithm
    learns from the known values: the expected value under ``x = m + W z + noise`` given what is
    known of the sample. The encoder sees the filled sample and, beside it, 1 where a value was
    missing and 0 elsewhere. A network with ``residual=True`` changes the missing values alone.

    Missing values never count in the loss, and ``impute(X)`` fills them. This corruption stands
    alone, without others beside it.

    Parameters
    ----------
    rate
        Share of a sample's values that is hidden while training, from 0 to 1; or the lowest and
        highest of those drawn. The levels of a category are hidden together.
    """

    rate: Range = (0.0, 0.5)

    def check(self) -> None:
        require_range(self, "rate", 0, 1, "a number from 0 to 1")

    def keeps_gaps(self) -> bool:
        return True

    def build(self, space: Space) -> CorruptionModule:
        if space.ragged:
            raise ParameterError(
                "corruption: Gaps works on samples of one length, but X has texts, or sequences of "
                "several lengths; give arrays (n, T, d)"
            )
        return GapsModule(self, space)


class Factors(NamedTuple):
    """A factor analysis: ``x = mean + loadings z + noise``, z normal with variance 1.

    Parameters
    ----------
    mean, noise
        Of each feature, (d,); the noise is a variance.
    loadings
        Shape (d, factors).
    """

    mean: Tensor
    loadings: Tensor
    noise: Tensor

    def posterior(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return z's expected value given the known features, and the precision's Cholesky factor.

        Parameters
        ----------
        x
            Samples (n, d), of any finite value where they are not known.
        known
            1 where a feature is known, else 0, (n, d).

        Returns
        -------
        tuple of Tensor
            Shapes (n, factors) and (n, factors, factors).
        """
        factors = self.loadings.shape[1]
        scaled = self.loadings / self.noise[:, None]
        products = (scaled[:, :, None] * self.loadings[:, None, :]).flatten(1)
        precision = (known @ products).view(-1, factors, factors)
        precision = precision + torch.eye(factors, dtype=x.dtype, device=x.device)
        root = torch.linalg.cholesky_ex(precision).L
        pull = ((x - self.mean) * known) @ scaled
        return torch.cholesky_solve(pull[:, :, None], root)[:, :, 0], root

    def fill(self, x: Tensor, missing: Tensor) -> Tensor:
        """Return samples (n, d) with what is missing replaced by its expected value."""
        z, _ = self.posterior(x.masked_fill(missing, 0.0), (~missing).to(x.dtype))
        return torch.where(missing, self.mean + z @ self.loadings.T, x)

    @classmethod
    def principal(cls, x: Tensor, missing: Tensor, factors: int) -> Factors:
        """Return the factors that principal components are, gaps filled by the means."""
        known = (~missing).to(x.dtype)
        x = x.masked_fill(missing, 0.0)
        mean = x.sum(0) / known.sum(0).clamp(min=1)
        centred = (x - mean) * known
        wide = x.shape[1] > len(x)  # the smaller of the two squares has the same eigenvalues
        if wide:
            values, vectors = torch.linalg.eigh(centred @ centred.T)
            vectors = centred.T @ vectors / values.clamp(min=1e-12).sqrt()
            values = values / (len(x) * known.mean().square())
        else:
            pairs = (known.T @ known).clamp(min=1)
            values, vectors = torch.linalg.eigh(centred.T @ centred / pairs)
        values, vectors = values.flip(0)[:factors], vectors.flip(1)[:, :factors]
        loadings = vectors * values.clamp(min=LEAST_NOISE).sqrt()
        variance = centred.square().sum(0) / known.sum(0).clamp(min=1)
        left = variance - loadings.square().sum(1)
        return cls(mean, loadings, left.clamp(min=0.05))

    @classmethod
    def learn(cls, x: Tensor, missing: Tensor, factors: int) -> Factors:
        """Learn a factor analysis from what is known of samples, by the EM algorithm.

        ::

            E  z, its covariance, given what is known of each sample
            M  each feature regressed on (z, 1), over the samples in which it is known

        Parameters
        ----------
        x
            Samples (n, d).
        missing
            Where they are not known, (n, d).
        factors
            How many.
        """
        found = cls.principal(x, missing, factors)
        known = (~missing).to(x.dtype)
        x = x.masked_fill(missing, 0.0)
        counts = known.sum(0).clamp(min=1)
        squares = (known * x.square()).sum(0)
        ridge = torch.full((factors + 1,), RIDGE, dtype=x.dtype, device=x.device)
        ridge[-1] = 1e-9
        for _ in range(STEPS):
            z, root = found.posterior(x, known)
            moments = x.new_zeros(len(x), factors + 1, factors + 1)
            moments[:, :-1, :-1] = torch.cholesky_inverse(root) + z[:, :, None] * z[:, None, :]
            moments[:, -1, :-1] = moments[:, :-1, -1] = z
            moments[:, -1, -1] = 1
            left = (known.T @ moments.flatten(1)).view(-1, factors + 1, factors + 1)
            right = (known * x).T @ torch.cat([z, torch.ones_like(z[:, :1])], 1)
            pulled = left + torch.diag_embed(found.noise[:, None] * ridge)
            weights = torch.linalg.solve(pulled, right[:, :, None])[:, :, 0]
            explained = 2 * (weights * right).sum(1)
            explained -= torch.einsum("dk,dkl,dl->d", weights, left, weights)
            noise = ((squares - explained) / counts).clamp(min=LEAST_NOISE)
            found = cls(weights[:, -1], weights[:, :-1], noise)
        return found


class GapsModule(CorruptionModule):
    """Hides values, fills what is missing and tells where it was."""

    mean: Tensor
    loadings: Tensor
    noise: Tensor
    group: Tensor

    def __init__(self, part: Gaps, space: Space) -> None:
        self.axis = -1 if space.layout == "sequences" else 0
        shape = list(space.shape)
        shape[self.axis] *= 2
        super().__init__(space, tuple(shape))
        self.rate = ends(part.rate)
        features = math.prod(space.shape)
        self.most = most_factors(features)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("loadings", torch.zeros(features, self.most))
        self.register_buffer("noise", torch.ones(features))
        groups = groups_of(space)
        self.groups = max(groups) + 1
        self.register_buffer("group", torch.tensor(groups))

    def begin(self, x: Tensor, generator: Generator) -> None:
        """Learn the factor analysis; with as many factors as predict hidden values best."""
        work = self.loadings.numel() * self.most
        most = min(MOST_ROWS, max(MOST_WORK // work, LEAST_ROWS))
        order = torch.randperm(len(x), generator=generator)[:most]
        rows = x[order.to(x.device)].flatten(1).cpu().double()
        missing = rows.isnan()
        few, gaps = rows[:TRIAL_ROWS], missing[:TRIAL_ROWS]
        trials = [
            (torch.rand(few.shape, generator=generator) < TRIED) & ~gaps
            for _ in range(min(max(round(HIDDEN / (TRIED * few.numel())), 1), MOST_TRIALS))
        ]

        def miss(factors: int) -> float:
            total = 0.0
            for hidden in trials:
                fill = Factors.learn(few, gaps | hidden, factors).fill(few, gaps | hidden)
                total += float((fill - few)[hidden].square().sum())
            return total

        best = min(counts_of(max(min(self.most, len(few) // 2), 1)), key=miss)
        found = Factors.learn(rows, missing, best)
        self.mean.copy_(found.mean)
        self.noise.copy_(found.noise)
        self.loadings.zero_()
        self.loadings[:, :best] = found.loadings

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        low, high = self.rate
        rate = low + (high - low) * uniform((len(x), 1), x, generator)
        drawn = uniform((len(x), self.groups), x, generator)
        hidden = (drawn < rate).index_select(1, self.group).view_as(x)
        return self._seen(x, x.isnan() | hidden)

    def present(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self._seen(x, x.isnan())

    def keeps_gaps(self) -> bool:
        return True

    def is_recordable(self) -> bool:
        return False  # solving many systems at once waits for the device

    def missing(self, seen: Tensor) -> Tensor:
        return seen.chunk(2, self._batch_axis)[1]

    @property
    def _batch_axis(self) -> int:
        """The axis along which fill and flags lie one behind the other, in a batch."""
        return 1 if self.axis == 0 else -1

    def _seen(self, x: Tensor, missing: Tensor) -> Tensor:
        factors = Factors(self.mean, self.loadings, self.noise)
        with torch.autocast(x.device.type, enabled=False):
            fill = factors.fill(x.flatten(1), missing.flatten(1)).view_as(x)
        return torch.cat([fill, missing.to(x.dtype)], self._batch_axis)


def most_factors(features: int) -> int:
    """Return the largest number of factors for that many features.

    >>> [most_factors(d) for d in (1, 2, 30, 784, 20_000)]
    [1, 1, 29, 64, 14]
    """
    affordable = math.isqrt(LARGEST // features)
    return max(1, min(features - 1, MOST_FACTORS, affordable))


def counts_of(most: int) -> Iterator[int]:
    """Yield the numbers of factors to choose from: the most, and halves of it.

    >>> list(counts_of(29))
    [29, 14, 7, 3]
    """
    count = most
    for _ in range(4):
        yield count
        if count == 1:
            return
        count //= 2


def groups_of(space: Space) -> list[int]:
    """Return the number of each feature's group: features of a group are missing together."""
    *others, last = space.shape
    first = list(range(last))
    for start, stop in space.categories:
        first[start:stop] = [start] * (stop - start)
    place = {start: i for i, start in enumerate(sorted(set(first)))}
    return [row * len(place) + place[start] for row in range(math.prod(others)) for start in first]
