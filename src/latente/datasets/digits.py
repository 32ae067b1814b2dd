"""The handwritten digits that come with scikit-learn: small, and there without any network."""

from __future__ import annotations

import numpy as np

from ..data.dataset import Dataset

EVERY = 5


def load() -> Dataset:
    """Return 1,797 digits of 8×8 pixels, values 0 to 16 as scikit-learn gives them, in float32.

    The split is fixed: every fifth image of each digit, in scikit-learn's order, is for testing
    (355 images), the others are for training (1,442).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    X, y = bunch.images.astype(np.float32), bunch.target.astype(np.int64)
    held = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        held[np.flatnonzero(y == digit)[EVERY - 1 :: EVERY]] = True
    return Dataset(
        X=X[~held],
        y=y[~held],
        X_test=X[held],
        y_test=y[held],
        classes=tuple("0123456789"),
    )
