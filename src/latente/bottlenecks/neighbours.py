"""Neighbours: codes in which the nearest samples lie together, a map that needs no labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..data.space import Shape
from ..parts import is_number, is_whole, require
from .base import Bottleneck, BottleneckModule, Cost, Draw, Encoding, Moment

START_SPREAD = 1.0
"""Of codes at first: the kernel's own width, beyond which it hardly tells far from farther."""


@dataclass(kw_only=True)
class NeighbourEmbedding(Bottleneck):
    """Keep samples that are near each other together in the code, as t-SNE and UMAP draw maps.

    ::

        h ──▶ z                         cost "neighbours" = KL(p_i ‖ q_i), in nats
        p_ij = 1 / k where j is one of the k samples nearest to i, else 0
        q_ij ∝ 1 / (1 + ‖z_i − z_j‖²), j ≠ i

    It is the stochastic neighbour embedding of Hinton and Roweis (2002) with the heavy-tailed
    kernel of t-SNE, trained through a network (van der Maaten, 2009; for UMAP Sainburg et al.,
    2021) together with the reconstruction, as topological autoencoders are by another cost (Moor et
    al., 2020). The k nearest count alike, which gives nearly the maps of Gaussian weights (Böhm et
    al., 2022). New samples are mapped by `transform`, and places of the map are decoded.

    Neighbours are those within a batch, by the Euclidean distance of samples as they were before
    they were corrupted, in the model's scale; a larger batch has nearer ones. The cost is 0 of
    fewer than three rows and at use, where a row's loss is its own. A spatial code is looked at
    flattened.

    Parameters
    ----------
    weight
        Price of one nat, in units of the loss; 0 charges nothing.
    k
        How many of the nearest samples in a batch are neighbours, at most a third of the others.
    """

    weight: float = 100.0
    k: int = 10

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

    def __init__(self, code_shape: Shape, weight: float, k: int) -> None:
        super().__init__(code_shape)
        self.weight, self.k = weight, k

    def spread(self) -> float | None:
        return START_SPREAD

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        # A gap counts as the mean of its column, 0 in the model's scale.
        x, z = encoding.clean.flatten(1).float().nan_to_num(), encoding.h.flatten(1).float()
        if moment.alone or len(z) < 3:
            cost = z.new_zeros(len(z))
        else:
            cost = neighbour_divergence(x, z, min(self.k, max((len(z) - 1) // 3, 1)))
        return Draw(encoding.h, {"neighbours": Cost(cost, self.weight)})


def neighbour_divergence(x: Tensor, z: Tensor, k: int) -> Tensor:
    """Return KL(p_i ‖ q_i) of each sample in nats, (n,), differentiable by the codes.

    Parameters
    ----------
    x
        Samples, (n, values), whose nearest ones are to be kept.
    z
        Their codes, (n, numbers).
    k
        How many of the nearest, from 1 to n − 1.
    """
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    with torch.no_grad():
        near = squared_distances(x).masked_fill(itself, math.inf).topk(k, largest=False).indices
    kernel = (-squared_distances(z).log1p()).masked_fill(itself, -math.inf)
    log_q = kernel - kernel.logsumexp(1, keepdim=True)
    return -log_q.gather(1, near).mean(1) - math.log(k)


def squared_distances(rows: Tensor) -> Tensor:
    """Return the squared distance of each row (n, values) from each, (n, n)."""
    with torch.autocast(rows.device.type, enabled=False):
        norms = rows.square().sum(1)
        return (norms[:, None] + norms - 2 * rows @ rows.T).clamp(min=0)
