"""Selection: which rows of a fit are learned from, and which are held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.arrays import as_array, as_tensor, is_frame
from ..data.dataset import take_rows as chosen_rows
from ..data.preparation import Preparation
from .ensemble import Ensemble, Settings

CLUMP = 200
"""Nearest rows looked at, at most, to tell a clump of anomalies from normal rows."""


def as_rows(X: Any) -> Any:
    """Return a data frame as it is, and anything else as an array whose rows can be chosen."""
    return X if is_frame(X) else as_tensor(as_array(X)).cpu().numpy()


def drawn(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return which of so many rows are held out, in rising order: one at least."""
    number = min(max(1, round(share * count)), count - 1)
    return np.sort(np.random.default_rng(seed).permutation(count)[:number])


def trimmed(
    X: Any, preparation: Preparation, settings: Settings, contamination: float
) -> NDArray[np.int64]:
    """Return which rows count as normal: all but the share that seems oddest, in rising order.

    Odd rows that are alike vouch for one another, and an autoencoder learns them too. So the first
    choice is by nearest rows alone, twice as many as there can be odd ones, and only the second,
    learned from what the first left, by all scores.
    """
    count = len(X)
    normal = np.arange(count)
    odd = round(contamination * count)
    if odd == 0:
        return normal
    wary = replace(settings, neighbors=min(CLUMP, max(settings.neighbors, 2 * odd)))
    for scores in (("neighbors",), settings.scores):
        ensemble = Ensemble.learn(chosen_rows(X, normal), preparation, replace(wary, scores=scores))
        order = np.argsort(ensemble.surprises(X).mean(axis=1), kind="stable")
        normal = np.sort(order[: count - odd])
    return normal
