"""Losses: how a reconstruction is compared with its target, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Table

if TYPE_CHECKING:
    from .base import Loss

LOSSES: Table[Loss] = Table(
    "losses.base.Loss",
    squared="losses.distances.Squared",
    absolute="losses.distances.Absolute",
    huber="losses.distances.Huber",
    bernoulli="losses.bernoulli.Bernoulli",
    gaussian="losses.gaussian.GaussianLikelihood",
    categorical="losses.categorical.Categorical",
    structural="losses.structural.Structural",
    colours="losses.colours.Colours",
)
