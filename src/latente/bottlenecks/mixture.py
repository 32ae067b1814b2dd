"""Where the codes of a non-variational autoencoder lie: a Gaussian mixture to sample from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_CODES = 4096
MOST_NUMBERS = 1_000_000
MOST_FULL = 32
"""Code size up to which components have full covariances; beyond, diagonal ones."""


def kept_codes(codes: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return a random subset of codes, small enough to be saved with a model.

    Parameters
    ----------
    codes
        Shape (n, latent).
    seed
        Of the choice.
    """
    most = max(min(MOST_CODES, MOST_NUMBERS // codes.shape[1]), 2)
    if len(codes) <= most:
        return codes
    chosen = np.random.default_rng(seed).choice(len(codes), most, replace=False)
    kept: NDArray[np.float32] = codes[np.sort(chosen)]
    return kept


def sample_near(
    codes: NDArray[np.float32], n: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw new codes from a Gaussian mixture fitted on the given ones.

    Parameters
    ----------
    codes
        Shape (m, latent).
    n
        How many to draw.
    generator
        Source of the random numbers.

    Returns
    -------
    ndarray
        Shape (n, latent), float32.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    m, latent = codes.shape
    spread = codes.std(axis=0)
    components = int(np.clip(m // (10 * min(latent, MOST_FULL)), 1, 20))
    components = min(components, len(np.unique(codes, axis=0)))
    mixture = GaussianMixture(
        components,
        covariance_type="full" if latent <= MOST_FULL else "diag",
        reg_covar=max(1e-6 * float(np.square(spread).mean()), 1e-10),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(codes.astype(np.float64) if m > 1 else np.repeat(codes, 2, axis=0))
    mixture.random_state = int(generator.integers(2**31))
    drawn, _ = mixture.sample(n)
    generator.shuffle(drawn, axis=0)
    codes_: NDArray[np.float32] = drawn.astype(np.float32)
    return codes_
