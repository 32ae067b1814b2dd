"""Neighbours: codes in which the nearest samples lie together, a map that needs no labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ..data.space import Shape
from ..networks.shortcut import principal_components
from ..parts import is_number, is_whole, require
from .base import Bottleneck, BottleneckModule, Cost, Draw, Encoding, Moment, Rows

START_SPREAD = 1.0
"""Of codes at first: the kernel's own width, beyond which it hardly tells far from farther."""
MOST_VALUES = 16_000_000
MOST_ROWS = 20_000
"""Values of training rows among which neighbours are looked for, and rows."""
MOST_COMPONENTS = 50
"""Principal components by which near is told from far where rows have more values."""
LEAST_OTHERS = 256
"""Codes that a sample is compared with at least, the rest of its batch aside."""
SAME = 1e-5
"""Squared distance, as a share of a row's squared length, below which a row is itself."""


@dataclass(kw_only=True)
class NeighbourEmbedding(Bottleneck):
    """Keep samples that are near each other together in the code, as t-SNE and UMAP draw maps.

    ::

        h ──▶ z                         cost "neighbours" = −log q_ij, in nats
        j: one of the k training samples nearest to i, drawn anew for each batch
        q_ij = w_ij / Σ_m w_im, w_im = 1 / (1 + ‖z_i − z_m‖²), m ≠ i in the batch or drawn for it

    It is the stochastic neighbour embedding of Hinton and Roweis (2002) with the heavy-tailed
    kernel of t-SNE, trained through a network from pairs of neighbours against the rest of a batch
    (van der Maaten, 2009; for UMAP Sainburg et al., 2021; for this cost Damrich et al., 2023),
    together with the reconstruction, as topological autoencoders are by another cost (Moor et al.,
    2020). The k nearest count alike, which gives nearly the maps of Gaussian weights (Böhm et al.,
    2022). New samples are mapped by `transform`, and places of the map are decoded.

    Neighbours are looked for among all training rows, or 20,000 random ones where they are more
    (fewer of large samples), by the Euclidean distance of samples as they were before they were
    corrupted, in the model's scale; of rows of more than 50 values by that of 50 principal
    components. Corruption makes the map hold for new rows: they lie where their neighbours do. The
    cost is 0 at use, where a row's loss is its own. A spatial code is looked at flattened.

    Parameters
    ----------
    weight
        Price of one nat, in units of the loss; 0 charges nothing.
    k
        How many of the nearest training samples are neighbours, at most a third of them.
    """

    weight: float = 100.0
    k: int = 15

    def check(self) -> None:
        require(is_number(self.weight, 0), self, "weight", self.weight, "a number of at least 0")
        require(is_whole(self.k, 1), self, "k", self.k, "a whole number from 1")

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return NeighbourEmbeddingModule(code_shape, float(self.weight), int(self.k))


class NeighbourEmbeddingModule(BottleneckModule):
    """Passes h on and charges for neighbours that lie apart.

    Parameters
    ----------
    code_shape
        Of one code.
    weight
        Price of one nat.
    k
        How many neighbours a sample has.
    """

    known: Neighbourhood | None = None

    def __init__(self, code_shape: Shape, weight: float, k: int) -> None:
        super().__init__(code_shape)
        self.weight, self.k = weight, k

    def spread(self) -> float | None:
        return START_SPREAD

    def attend(self, rows: Rows, generator: Generator) -> None:
        (first,) = rows(1)
        most = min(MOST_VALUES // first.numel(), MOST_ROWS)
        self.known = Neighbourhood.of(rows(max(most, self.k + 1)), generator)

    def leave(self) -> None:
        self.known = None

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        if moment.alone or self.known is None or len(self.known.rows) < 2:
            cost = encoding.h.new_zeros(len(encoding.h))
        else:
            near = self.known.drawn(encoding.clean(), self.k, moment.generator)
            cost = pair_divergence(encoding.h.flatten(1), encoding.encode(near).flatten(1))
        return Draw(encoding.h, {"neighbours": Cost(cost, self.weight)})


class Neighbourhood(NamedTuple):
    """Training rows among which the nearest ones of others are found."""

    rows: Tensor
    """As the encoder sees them, (m, *input_shape)."""
    mean: Tensor
    """Of the rows, (values,)."""
    directions: Tensor
    """Orthonormal directions in which they differ most, (components, values)."""
    places: Tensor
    """The rows along these directions, (m, components)."""

    @classmethod
    def of(cls, rows: Tensor, generator: Generator) -> Neighbourhood:
        """Return what is to be known about rows (m, *input_shape).

        Parameters
        ----------
        rows
            Shape (m, *input_shape).
        generator
            Source of random numbers, on the rows' device.
        """
        flat = rows.flatten(1).float()
        values = flat.shape[1]
        if values > MOST_COMPONENTS:
            mean, directions, _ = principal_components(flat, MOST_COMPONENTS, generator)
        else:
            mean, directions = flat.mean(0), torch.eye(values, device=flat.device)
        return cls(rows, mean, directions, (flat - mean) @ directions.T)

    def nearest(self, x: Tensor, k: int) -> Tensor:
        """Return which rows are the k nearest ones of samples (n, ...) but themselves, (n, k).

        The first row that is like a sample is taken for the sample itself.
        """
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            places = (x.flatten(1).float() - self.mean) @ self.directions.T
            apart = squared_distances(places, self.places)
            found = apart.topk(k + 1, largest=False, sorted=True)
            length = places.square().sum(1, keepdim=True)
            itself = found.values[:, :1] <= SAME * length
            return torch.where(itself, found.indices[:, 1:], found.indices[:, :-1])

    def drawn(self, x: Tensor, k: int, generator: Generator) -> Tensor:
        """Return a random one of the k nearest rows of each sample (n, ...), and others behind.

        The others are random rows, so that of few samples too there is a rest to lie apart from:
        at least `LEAST_OTHERS` rows in all, (max(n, least), *input_shape).

        Parameters
        ----------
        x
            Samples as the encoder sees them at use.
        k
            At most a third of the rows are taken for neighbours, and at least one.
        generator
            Source of random numbers.
        """
        near = self.nearest(x, min(k, max((len(self.rows) - 1) // 3, 1)))
        shape = (len(near), 1)
        which = torch.randint(near.shape[1], shape, generator=generator, device=near.device)
        missing = (max(LEAST_OTHERS - len(near), 0),)
        others = torch.randint(len(self.rows), missing, generator=generator, device=near.device)
        return self.rows[torch.cat([near.gather(1, which).squeeze(1), others])]


def pair_divergence(z: Tensor, near: Tensor) -> Tensor:
    """Return −log q of each pair of codes in nats, (n,), differentiable by both.

    ::

        q_i = w(z_i, near_i) / (Σ_m w(z_i, near_m) + Σ_{m ≠ i} w(z_i, z_m)),  w = 1 / (1 + ‖·‖²)

    Parameters
    ----------
    z
        Codes of samples, (n, numbers).
    near
        The code of a neighbour of each, and those of others behind, (at least n, numbers).
    """
    z, near = z.float(), near.float()
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    pairs = -squared_distances(z, near).log1p()
    batch = (-squared_distances(z, z).log1p()).masked_fill(itself, -math.inf)
    return torch.cat([pairs, batch], 1).logsumexp(1) - pairs.diagonal()


def squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """Return the squared distance of each row (n, values) from each other one (m, values)."""
    with torch.autocast(rows.device.type, enabled=False):
        lengths = rows.square().sum(1)[:, None] + others.square().sum(1)
        return (lengths - 2 * rows @ others.T).clamp(min=0)
