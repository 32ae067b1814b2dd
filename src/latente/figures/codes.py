"""Codes as flat vectors, and as places on a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ParameterError
from .items import Values

if TYPE_CHECKING:
    from ..estimator import Autoencoder


def codes(model: Autoencoder, X: Any) -> Values:
    """Return the codes of samples as float64, (n, latent), spatial codes flattened."""
    found = np.asarray(model.transform(X), dtype=np.float64)
    return found.reshape(len(found), -1)


def places(found: Values, dims: tuple[int, int] | None = None) -> tuple[Values, tuple[str, str]]:
    """Return where codes lie on a map, (n, 2), and what its two axes are.

    Parameters
    ----------
    found
        Codes, (n, latent).
    dims
        Which two numbers of the code to show; by default both of a code with two, and of a longer
        one its two principal components. A code of a single number is spread out upward.

    Raises
    ------
    ParameterError
        If the code has no such number.
    """
    latent = found.shape[1]
    if dims is not None:
        if not all(0 <= dim < latent for dim in dims):
            raise ParameterError(f"dims={dims!r}: the code has numbers 0 to {latent - 1}")
        return found[:, list(dims)], (f"code {dims[0] + 1}", f"code {dims[1] + 1}")
    if latent == 1:
        golden = (np.arange(len(found)) * 0.618034) % 1.0
        return np.stack([found[:, 0], golden], axis=1), ("code 1", "spread out to be seen")
    if latent == 2:
        return found, ("code 1", "code 2")
    return principal(found, found), (
        f"first principal component of {latent} numbers",
        "second principal component",
    )


def principal(train: Values, X: Values) -> Values:
    """Return the first two principal components of X, (n, 2), as fitted on ``train``."""
    from sklearn.decomposition import PCA

    wide = min(2, *train.shape)
    found = PCA(wide, svd_solver="full").fit(train).transform(X)
    return np.asarray(np.pad(found, ((0, 0), (0, 2 - wide))))
