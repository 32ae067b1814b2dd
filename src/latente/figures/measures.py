"""What the demo measures, all of it on digits that no model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import Numbers, agreement, mse, psnr
from .codes import codes
from .maps import pca_places
from .noise import corrupted

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

COPIES = 10


def measure(data: Dataset, models: dict[str, Autoencoder], random_state: int) -> dict[str, Any]:
    """Return the numbers of the demo, by name.

    Parameters
    ----------
    data
        Digits with a test part.
    models
        The fitted "plain", "denoising" and "variational" autoencoders.
    random_state
        Seed of the noise and of what is drawn.
    """
    span = float(data.X.max() - data.X.min())
    found: dict[str, Any] = {
        "data": {
            "name": data.name,
            "train": len(data.X),
            "held_out": len(data.X_test),
            "pixels": int(np.prod(data.shape)),
        },
        "models": {name: common(model, data, span) for name, model in models.items()},
    }
    found["models"]["plain"]["pca_components_needed"] = components_needed(
        data, span, found["models"]["plain"]["mse"]
    )
    found["models"]["denoising"] |= denoising(models["denoising"], data, span, random_state)
    found["models"]["variational"] |= variational(models["variational"], data, random_state)
    found["map"] = neighbours(models["plain"], data)
    found["anomalies"] = anomalies(models["plain"], data)
    return found


def neighbours(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how often nearest neighbours are the same digit: on both maps, and by all pixels."""
    places = {
        "autoencoder": codes(model, data.X_test),
        "pca": pca_places(data.X_test, data.X),
        "pixels": flat(data.X_test),
    }
    y = np.asarray(data.y_test)
    shares = np.bincount(y) / len(y)
    found = {name: agreement(at, y) for name, at in places.items()}
    return found | {"chance": float(np.square(shares).sum())}


def common(model: Autoencoder, data: Dataset, span: float) -> dict[str, Any]:
    """Return what is measured of every model; errors are per pixel, with ink at 1."""
    X = data.X_test
    size = model.latent_dim_
    return {
        "latent_dim": size,
        "parameters": model.n_parameters_,
        "epochs": len(model.history_),
        "mse": float(mse(X, model.reconstruct(X)).mean()) / span**2,
        "pca_mse": float(mse(flat(X), pca(data, size)).mean()) / span**2,
    }


def pca(data: Dataset, components: int, X: Any = None) -> Numbers:
    """Return held-out digits, or X, after PCA fitted on the training ones, as flat rows."""
    from sklearn.decomposition import PCA

    model = PCA(components, svd_solver="full").fit(flat(data.X))
    X = data.X_test if X is None else X
    return np.asarray(model.inverse_transform(model.transform(flat(X))))


def components_needed(data: Dataset, span: float, error: float) -> int:
    """Return how many components PCA needs for a held-out error per pixel at most that."""
    pixels = int(np.prod(data.shape))
    for components in range(1, pixels):
        if mse(flat(data.X_test), pca(data, components)).mean() / span**2 <= error:
            return components
    return pixels


def denoising(
    model: Autoencoder, data: Dataset, span: float, random_state: int
) -> dict[str, float]:
    """Return signal-to-noise ratios in decibels, before and after, beside two linear filters.

    The ridge regression from noisy to clean pixels, fitted on ten noisy copies of the training
    digits, is the best linear filter; the other drops all but so many principal components.
    """
    from sklearn.linear_model import Ridge

    X, noisy = data.X_test, corrupted(model, data.X_test, random_state)
    copies = [corrupted(model, data.X, random_state + 1 + i) for i in range(COPIES)]
    clean = np.tile(flat(data.X), (COPIES, 1))
    linear = Ridge(1.0).fit(flat(np.concatenate(copies)), clean).predict(flat(noisy))

    def after(size: int, seen: Any, wanted: Any) -> float:
        return float(psnr(flat(wanted), pca(data, size, seen), span).mean())

    sizes = range(2, 40)
    best = max(sizes, key=lambda size: after(size, copies[0], data.X))
    return {
        "psnr_noisy": float(psnr(X, noisy, span).mean()),
        "psnr_restored": float(psnr(X, model.reconstruct(noisy), span).mean()),
        "psnr_linear": float(psnr(flat(X), linear, span).mean()),
        "psnr_pca": after(best, noisy, X),
        "pca_components": best,
    }


def variational(model: Autoencoder, data: Dataset, random_state: int) -> dict[str, float]:
    """Return the likelihood of held-out digits in nats, beside that of probabilistic PCA.

    Probabilistic PCA (Tipping and Bishop, 1999) is the variational autoencoder whose networks are
    linear; both are taken in the model's scale.
    """
    from sklearn.decomposition import PCA

    given = model.fitted_.given
    train, X = (flat(given.convert(given.store(part, "X"))) for part in (data.X, data.X_test))
    linear = PCA(model.latent_dim_, svd_solver="full").fit(train)
    found = model.log_likelihood(data.X_test, samples=200, random_state=random_state)
    return {
        "log_likelihood": float(found.mean()),
        "log_likelihood_pca": float(linear.score(X)),
        "kl": float(np.sum(model.kl_per_dimension_)),
        "active_units": int(model.active_units_ or 0),
    }


def anomalies(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how well scores tell held-out digits from their mirror images (area under the ROC)."""
    X = data.X_test
    mirrored = np.ascontiguousarray(X[:, :, ::-1])

    def area(own: Numbers, other: Numbers) -> float:
        from sklearn.metrics import roc_auc_score

        truth = np.repeat([0, 1], [len(own), len(other)])
        return float(roc_auc_score(truth, np.concatenate([own, other])))

    size, scores = model.latent_dim_, flat(model.score_samples(X))[:, 0]
    return {
        "auroc": area(-scores, -flat(model.score_samples(mirrored))[:, 0]),
        "auroc_pca": area(
            mse(flat(X), pca(data, size)), mse(flat(mirrored), pca(data, size, mirrored))
        ),
        "mirrored": len(mirrored),
        "lowest": float(scores.min()),
        "median": float(np.median(scores)),
    }


def flat(X: Any) -> Numbers:
    """Return samples as rows of float64 numbers."""
    return np.asarray(X, dtype=np.float64).reshape(len(X), -1)
