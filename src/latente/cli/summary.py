"""What a fitted model is, in names and numbers: what ``fit`` and ``info`` tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import output as out
from .families import FAMILIES, written

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

APART = ("epoch", "per_pixel", "learning_rate", "seconds", "samples_per_second")
"""What a record of the history holds beside the terms of the loss."""
HELD_OUT = "validation_"
PARTS = ("training", "validation", "test")


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
    out.facts(title, {name.replace("_", " "): value for name, value in told.items()})


def kept(history: list[dict[str, float]]) -> dict[str, float]:
    """Return the record of the epoch whose weights were kept: the lowest validation loss."""
    if HELD_OUT + "total" not in history[-1]:
        return history[-1]
    return min(history, key=lambda record: _or_infinite(record.get(HELD_OUT + "total")))


def terms_of(model: Autoencoder) -> dict[str, dict[str, float]]:
    """Return each term of the loss in the epoch kept, on the training and the validation rows.

    The total is left out where it is the reconstruction alone.
    """
    if not model.history_:
        return {}
    record = kept(model.history_)
    names = [name for name in record if name not in APART and not name.startswith(HELD_OUT)]
    if len(names) == 2:
        names.remove("total")
    return {
        name: {
            part: record[key + name]
            for part, key in (("training", ""), ("validation", HELD_OUT))
            if key + name in record
        }
        for name in names
    }


def show_terms(model: Autoencoder, more: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """Print the loss in the epoch whose weights were kept, and more rows of the kind."""
    rows = {**terms_of(model), **(more or {})}
    columns = [part for part in PARTS if any(part in row for row in rows.values())]
    if columns:
        out.table("", ("", *columns), [(n, *map(r.get, columns)) for n, r in rows.items()])


def in_short(model: Autoencoder, seconds: float) -> dict[str, str]:
    """Return what was trained in four lines: what "auto" chose, and how long it took."""
    found = facts_of(model)
    code, values = model.latent_dim_, model.n_features_in_
    return {
        "model": ", ".join(f"{name} {found[name]}" for name in FAMILIES if found[name] != "none"),
        "code": f"{code:,} {plural('number', code)} for {values:,} {plural('value', values)}",
        "size": f"{model.n_parameters_:,} parameters",
        "training": f"{plural('epoch', model.epochs_, count=True)} in {seconds:.1f} s, batches of "
        f"{model.batch_size_:,}, learning rate {model.learning_rate_:.3g}, "
        f"{found['precision']} on {found['device']}",
    }


def plural(noun: str, n: int, *, count: bool = False) -> str:
    """Return a noun in the form that goes with n, with the count before it if asked for."""
    return (f"{n:,} " if count else "") + noun + ("" if n == 1 else "s")


def errors_of(
    model: Autoencoder, data: Dataset, target: Dataset | None, *, pca: bool
) -> dict[str, dict[str, float]]:
    """Return mean squared errors of a value in the model's scale: by what, and on which rows.

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
    own: dict[str, float] = {}
    beside: dict[str, float] = {}
    for name, X, wanted in (
        ("training", data.X, clean.X),
        ("test", data.X_test, clean.X_test),
    ):
        if X is not None and wanted is not None:
            given = None if target is None else wanted
            own[name] = float(model.reconstruction_error(X, given).mean())
            if pca and target is None:
                beside[name] = pca_error(model, data.X, X)
    return {"autoencoder": own, "PCA": beside} if beside else {"autoencoder": own}


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
