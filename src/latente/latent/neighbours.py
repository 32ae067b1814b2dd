"""Neighbours: the rows nearest to generated samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..parts import is_whole, listed
from .codes import Values, checked_codes

if TYPE_CHECKING:
    from ..estimator import Autoencoder


@dataclass(frozen=True, eq=False)
class Nearest:
    """Which rows lie nearest, and how far.

    Parameters
    ----------
    rows
        Numbers of the rows, nearest first, (n, k).
    distances
        Root mean squared difference to each, per value, (n, k).
    """

    rows: NDArray[np.int64]
    distances: Values


def nearest(
    autoencoder: Autoencoder, samples: Any, X: Any, k: int = 1, *, space: str = "data"
) -> Nearest:
    """Return the rows of X that lie nearest to samples: whether what was generated is new.

    Parameters
    ----------
    autoencoder
        Fitted; its scaling makes values comparable.
    samples
        What `Autoencoder.sample` or `inverse_transform` gave, or anything like X.
    X
        For example the training rows.
    k
        How many for each sample, at most as many as X has.
    space
        Where distance is measured: "data", in the model's scale, or "code".
    """
    views: dict[str, Callable[[Any], Values]] = {
        "data": lambda rows: _scaled(autoencoder, rows),
        "code": lambda rows: checked_codes(autoencoder.transform(rows), "codes"),
    }
    if space not in views:
        raise ParameterError(f"space={space!r}: use {listed(map(repr, views))}")
    known, queries = views[space](X), views[space](samples)
    if not (is_whole(k, 1) and k <= len(known)):
        raise ParameterError(f"k={k!r}: use a whole number from 1 to {len(known)}, the rows of X")
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=int(k), algorithm="brute").fit(known)
    distances, rows = search.kneighbors(queries)
    return Nearest(rows.astype(np.int64), distances / np.sqrt(known.shape[1]))


def _scaled(autoencoder: Autoencoder, X: Any) -> Values:
    """Return rows in the model's scale, flat, (n, features)."""
    preparation = autoencoder.fitted_.target
    return preparation.convert(preparation.store(X, "X")).flatten(1).double().numpy()
