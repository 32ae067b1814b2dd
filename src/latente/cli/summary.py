"""What a fitted model is, in names and numbers: what ``fit`` and ``info`` tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .families import FAMILIES, written
from .output import facts, table

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

APART = ("epoch", "per_pixel", "learning_rate", "seconds", "samples_per_second")
"""What a record of the history holds beside the terms of the loss."""
HELD_OUT = "validation_"


def facts_of(model: Autoencoder) -> dict[str, Any]:
    """Return what a model is made of and how it was trained, as text and plain numbers."""
    parts = {name: written(getattr(model, name + "_"), name) or "none" for name in FAMILIES}
    return {
        **parts,
        "latent_dim": model.latent_dim_,
        "code_shape": model.code_shape_,
        "features": model.n_features_in_,
        "scaling": str(model.scaling_),
        "parameters": model.n_parameters_,
        "active_units": getattr(model, "active_units_", None),
        "learning_rate": model.learning_rate_,
        "batch_size": model.batch_size_,
        "epochs": model.epochs_,
        "stopped": model.stopped_,
        "device": str(model.device_),
        "precision": model.precision_,
    }


def show_facts(title: str, told: dict[str, Any]) -> None:
    """Print what `facts_of` told, the names in words."""
    facts(title, {name.replace("_", " "): value for name, value in told.items()})


def kept(history: list[dict[str, float]]) -> dict[str, float]:
    """Return the record of the epoch whose weights were kept: the lowest validation loss."""
    if HELD_OUT + "total" not in history[-1]:
        return history[-1]
    return min(history, key=lambda record: _or_infinite(record.get(HELD_OUT + "total")))


def terms_of(model: Autoencoder) -> dict[str, tuple[float, float | None]]:
    """Return each term of the loss in the epoch kept: on the training and the validation rows."""
    if not model.history_:
        return {}
    record = kept(model.history_)
    names = [name for name in record if name not in APART and not name.startswith(HELD_OUT)]
    return {name: (record[name], record.get(HELD_OUT + name)) for name in names}


def show_terms(model: Autoencoder) -> None:
    """Print the terms of the loss in the epoch whose weights were kept."""
    terms = terms_of(model)
    if terms:
        title = f"Loss in epoch {kept(model.history_)['epoch']:.0f}, whose weights are kept"
        rows = [(name.replace("_", " "), *pair) for name, pair in terms.items()]
        table(title, ("term", "training", "validation"), rows)


def errors_of(
    model: Autoencoder, data: Dataset, target: Dataset | None, *, pca: bool
) -> dict[str, float]:
    """Return the mean squared error of a value, in the model's scale, by the part of the data.

    Parameters
    ----------
    model
        A fitted autoencoder.
    data, target
        What it was trained on.
    pca
        Whether to tell the error of PCA with the same code size, too.
    """
    clean = target or data
    pairs = {"training": (data.X, clean.X), "test": (data.X_test, clean.X_test)}
    errors = {}
    for name, (X, wanted) in pairs.items():
        if X is not None and wanted is not None:
            given = None if target is None else wanted
            errors[name] = float(model.reconstruction_error(X, given).mean())
            if pca and target is None:
                errors[f"{name}, PCA"] = pca_error(model, data.X, X)
    return errors


def pca_error(model: Autoencoder, train: Any, X: Any) -> float:
    """Return the error on X of PCA as fitted on the training rows, in the model's scale."""
    from sklearn.decomposition import PCA

    fitted, seen = scaled(model, train), scaled(model, X)
    size = min(model.latent_dim_, *fitted.shape)
    found = PCA(size, random_state=0).fit(fitted)
    back = found.inverse_transform(found.transform(seen))
    return float(((back - seen) ** 2).mean())


def scaled(model: Autoencoder, X: Any) -> Any:
    """Return rows as the model sees them, (n, features) float32."""
    import torch

    rows, _ = model.fitted_.batches(X).take(torch.arange(len(X), device=model.fitted_.device))
    return rows.flatten(1).float().cpu().numpy()


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None or math.isnan(value) else value
