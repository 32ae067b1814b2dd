"""``latente fit``: train an autoencoder, save it, and report how it went."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from ..families import FAMILIES
from .console import FAILED, answer, plural, print_facts, say
from .data import READING, Data, Json, Output, as_table, open_data, with_options
from .info import facts_of, print_terms
from .output import check_output, existing, refuse_overwriting
from .parameters import DEFAULTS, estimator_options, naming_file, read_config, values

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

SUFFIX = ".safetensors"
ERRORS = {"autoencoder": "mean squared error", "PCA": "PCA's mean squared error"}

Config = Annotated[
    str | None, typer.Option(metavar="FILE", help="A TOML file with any of these parameters.")
]
Checkpoint = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Keep the state of the fit here, to go on when killed."),
]
Target = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="What to reconstruct instead of DATA, row by row."),
]
Validation = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="What to validate on, instead of a share of DATA."),
]
Limit = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Train on N rows, drawn from all.")
]
Pca = Annotated[bool, typer.Option("--pca", help="Compare with PCA of the same code size.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print a line for each epoch.")]


@with_options(READING, estimator_options())
def fit(
    data: Data,
    output: Output,
    config: Config = None,
    target: Target = None,
    validation: Validation = None,
    limit: Limit = None,
    checkpoint: Checkpoint = None,
    pca: Pca = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Train an autoencoder on data and save it.

    Trains on the data set's training part; where it has a test part, the error on that is reported.
    A part is a name or a call, such as --bottleneck "gaussian(beta=4)" or --network
    "dense(hidden=[128, 64])"; `latente parts` lists them all. Ctrl-C keeps what was learned.
    """
    path = check_output(output, (SUFFIX,))
    parameters, others = read_config(config) if config else ({}, {})
    from_file = set(parameters) - {name for name, text in options.items() if text is not None}
    reading = {name: options.pop(name) for name in READING}
    here = {"target": target, "validation": validation, "limit": limit, "checkpoint": checkpoint}
    here |= reading
    others |= {name: value for name, value in here.items() if value is not None}
    parameters = DEFAULTS | parameters | values(options)
    refuse_overwriting(path, existing([others.get(name) for name in ("target", "validation")]))
    dataset, clean, held_out = open_training(data, others)
    from ..estimator import Autoencoder

    model = Autoencoder(**parameters, verbose=0 if quiet else 1 + verbose)
    begun = time.perf_counter()
    with naming_file(config, from_file):
        model.fit(
            dataset.X,
            target=None if clean is None else clean.X,
            validation=None if held_out is None else held_out.X,
            checkpoint=others.get("checkpoint"),
        )
    seconds = time.perf_counter() - begun
    if dataset.names is not None:
        model.columns_ = list(dataset.names)
    model.save(path)
    errors = mean_squared_errors(model, dataset, clean, pca=pca)
    report(model, dataset, path, {"seconds": seconds, "mean_squared_error": errors}, json=json)
    if model.stopped_ in ("interrupted", "diverged"):
        say(f"{path} holds what was learned until then")
        raise typer.Exit(FAILED)


def open_training(
    data: str, others: dict[str, Any]
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """Read the data to train on, the targets if they are others, and what to validate on."""
    reading = {name: others.get(name) for name in READING}
    target, validation, limit = (others.get(name) for name in ("target", "validation", "limit"))
    if target is not None and validation is not None:
        raise ParameterError(
            "--validation does not go with --target: leave it out, and a share of DATA and its "
            "targets is held out"
        )

    def read(spec: str, n: int | None) -> Dataset:
        return as_table(open_data(spec, n=n, **reading), spec)

    return (
        read(data, limit),
        None if target is None else read(target, limit),
        None if validation is None else read(validation, None),
    )


def report(
    model: Autoencoder, data: Dataset, path: Path, measured: dict[str, Any], *, json: bool
) -> None:
    """Report what was trained and how well it does."""
    facts = facts_of(model)
    errors = measured["mean_squared_error"]

    def show() -> None:
        print_facts(f"{data.name} → {path}", in_short(model, facts, measured["seconds"]))
        print_terms(model, {ERRORS[name]: row for name, row in errors.items()})

    about = {"model": path, "data": data.name, "rows": len(data)}
    answer({**about, **facts, **measured, "history": model.history_}, json, show)


def in_short(model: Autoencoder, facts: dict[str, Any], seconds: float) -> dict[str, str]:
    """Return what was trained in four lines: what "auto" chose, and how long it took."""
    code, features = model.latent_dim_, model.n_features_in_
    return {
        "model": ", ".join(f"{name} {facts[name]}" for name in FAMILIES if facts[name] != "none"),
        "code": f"{plural('number', code, count=True)} for {plural('value', features, count=True)}",
        "size": f"{model.n_parameters_:,} parameters",
        "training": f"{plural('epoch', model.epochs_, count=True)} in {seconds:.1f} s, batches of "
        f"{model.batch_size_:,}, learning rate {model.learning_rate_:.3g}, "
        f"{facts['precision']} on {facts['device']}",
    }


def mean_squared_errors(
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
        Whether to return the error of PCA with the same code size, too.
    """
    clean = target or data
    own: dict[str, float] = {}
    pcas: dict[str, float] = {}
    for name, X, aim in (("training", data.X, clean.X), ("test", data.X_test, clean.X_test)):
        if X is not None and aim is not None:
            errors = model.reconstruction_error(X, None if target is None else aim)
            own[name] = float(errors.mean())
            if pca and target is None:
                pcas[name] = pca_error(model, data.X, X)
    return {"autoencoder": own, "PCA": pcas} if pcas else {"autoencoder": own}


def pca_error(model: Autoencoder, train: Any, X: Any) -> float:
    """Return the error on X of PCA as fitted on the training rows, in the model's scale."""
    import torch
    from sklearn.decomposition import PCA

    def scaled(rows: Any) -> Any:
        index = torch.arange(len(rows), device=model.fitted_.device)
        return model.fitted_.batches(rows).take(index)[0].flatten(1).float().cpu().numpy()

    fitted, seen = scaled(train), scaled(X)
    size = min(model.latent_dim_, *fitted.shape)
    found = PCA(size, random_state=0).fit(fitted)
    back = found.inverse_transform(found.transform(seen))
    return float(((back - seen) ** 2).mean())
