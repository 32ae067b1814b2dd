"""What experiments are compared with: principal components, and a classifier on codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..metrics import Numbers, bce, mse, psnr

BLOCK = 10_000
"""Pictures whose covariance is added at a time."""
WHITE = 255.0
SHRINKAGES = (1.0, 10.0, 100.0, 1000.0)
"""Of the classifier's weights; one is chosen by leaving out each row it learns from."""


@dataclass(frozen=True)
class PrincipalComponents:
    """The principal components of pictures of bytes; the first k are PCA with a code of k numbers.

    Parameters
    ----------
    mean
        Of the pictures, (values,), white being 1.
    axes
        Unit vectors, (values, values), those of the greatest variance first.
    """

    mean: Numbers
    axes: Numbers

    @classmethod
    def learn(cls, X: NDArray[np.uint8]) -> Self:
        """Return the components of pictures, (n, ...), from their covariance."""
        values = int(np.prod(X.shape[1:]))
        total, products = np.zeros(values), np.zeros((values, values))
        for start in range(0, len(X), BLOCK):
            part = unit(X[start : start + BLOCK])
            total += part.sum(axis=0)
            products += part.T @ part
        mean = total / len(X)
        axes = np.linalg.eigh(products / len(X) - np.outer(mean, mean))[1]
        return cls(mean, np.ascontiguousarray(axes[:, ::-1].T))

    def codes(self, X: NDArray[np.uint8], size: int) -> Numbers:
        """Return the codes of pictures, (n, size)."""
        return np.asarray((unit(X) - self.mean) @ self.axes[:size].T)

    def reconstruct(self, X: NDArray[np.uint8], size: int) -> Numbers:
        """Return pictures as they come back through codes of a size, (n, values), white being 1."""
        return np.asarray(self.codes(X, size) @ self.axes[:size] + self.mean)

    def evaluate(self, X: NDArray[np.uint8], size: int) -> dict[str, float]:
        """Return "mse", "psnr" and "bce" of pictures as `Autoencoder.evaluate` measures them."""
        original, restored = unit(X), self.reconstruct(X, size)
        return {
            "mse": float(mse(original, restored).mean()),
            "psnr": float(psnr(original, restored).mean()),
            "bce": float(bce(original, np.clip(restored, 0, 1)).mean()),
        }


def flat(X: Any) -> Numbers:
    """Return samples as rows of float64 numbers, (n, values)."""
    return np.asarray(X, dtype=np.float64).reshape(len(X), -1)


def unit(X: NDArray[np.uint8]) -> Numbers:
    """Return pictures of bytes as rows, (n, values), white being 1."""
    return flat(X) / WHITE


def accuracy(codes: Any, y: Any, test_codes: Any, test_y: Any) -> float:
    """Return the share of codes that a linear classifier, by least squares, puts into their class.

    Parameters
    ----------
    codes, y
        What it learns from: codes, (n, latent), and their classes, (n,).
    test_codes, test_y
        What it is measured on.
    """
    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=SHRINKAGES))
    train, test = (np.asarray(each, dtype=np.float64) for each in (codes, test_codes))
    return float(classifier.fit(train, y).score(test, test_y))
