"""Bottlenecks: how the encoder's output becomes the code, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Table

if TYPE_CHECKING:
    from .base import Bottleneck

BOTTLENECKS: Table[Bottleneck] = Table(
    "bottlenecks.base.Bottleneck",
    plain="bottlenecks.plain.Plain",
    sparse="bottlenecks.sparse.Sparse",
    contractive="bottlenecks.contractive.Contractive",
    gaussian="bottlenecks.gaussian.Gaussian",
    mmd="bottlenecks.mmd.MMD",
    adversarial="bottlenecks.adversarial.Adversarial",
    neighbours="bottlenecks.neighbours.NeighbourEmbedding",
    rounded="bottlenecks.rounded.Rounded",
    vector_quantized="bottlenecks.vector_quantized.VectorQuantized",
    finite_scalar="bottlenecks.finite_scalar.FiniteScalar",
)
