"""``latente fit``: train an autoencoder, save it, and report how it went."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from ..families import FAMILIES
from ..launch import rank
from .console import FAILED, answer, plural, print_facts, say
from .data import READING, Data, Json, Output, as_table, open_data, with_options
from .info import facts_of, print_terms
from .output import check_output, existing, refuse_overwriting
from .parameters import DEFAULTS, FIT_OPTIONS, estimator_options, naming_file, read_config, values

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
    Under torchrun, several processes make one fit.
    """
    path = check_output(output, (SUFFIX,))
    reading = {name: options.pop(name) for name in READING}
    options |= {"target": target, "validation": validation}
    options |= {"limit": limit, "checkpoint": checkpoint}
    call = fit_call(config, options, reading)
    read = [call.others.get(name) for name in ("target", "validation")]
    refuse_overwriting(path, existing(read))
    dataset, clean, held_out = open_training(data, call.others)
    from ..build import keeps_gaps

    if pca and keeps_gaps({"corruption": None} | call.parameters):
        raise ParameterError("--pca does not go with --corruption gaps: PCA takes no gaps")
    model = unfitted(call, 0 if quiet else 1 + verbose)
    told = streaming(dataset)
    if told is not None and pca:
        raise ParameterError(f"{told}; --pca needs all rows at once: leave it out")
    if told is not None and not quiet:
        say(told)
    begun = time.perf_counter()
    with naming_file(config, call.from_file):
        model.fit(dataset.X, **fit_keywords(call, clean, held_out))
    seconds = time.perf_counter() - begun
    if rank():
        return
    if dataset.names is not None:
        model.columns_ = list(dataset.names)
    model.save(path)
    errors = mean_squared_errors(model, dataset, clean, pca=pca)
    report(model, dataset, path, {"seconds": seconds, "mean_squared_error": errors}, json=json)
    if model.stopped_ in ("interrupted", "diverged"):
        say(f"{path} holds what was learned until then")
        raise typer.Exit(FAILED)


def streaming(data: Dataset) -> str | None:
    """Return the sentence that data are streamed, if they are."""
    from ..data.memory import amount
    from ..data.opening import streamed
    from ..data.sources import SHARE, Source

    X = streamed(data.X)
    if not isinstance(X, Source):
        return None
    place = getattr(data.X, "filename", None) or X.name
    return (
        f"{data.name} takes {amount(X.nbytes)}, more than {SHARE:.0%} of the memory here, and is "
        f"streamed from {place}"
    )


@dataclass(frozen=True)
class FitCall:
    """What a fit is asked for, on the command line and in a TOML file.

    Parameters
    ----------
    parameters
        The estimator's.
    others
        The options of a fit beside these that are given.
    from_file
        The parameters that the file gave.
    """

    parameters: dict[str, Any]
    others: dict[str, Any]
    from_file: set[str]


def fit_call(config: str | None, options: dict[str, Any], reading: dict[str, Any]) -> FitCall:
    """Return what a fit is asked for; what the call gives goes before what the file does.

    Parameters
    ----------
    config
        The TOML file, if there is one.
    options
        The estimator's parameters as text, and the options of a fit; None where not given.
    reading
        How data are to be read.
    """
    parameters, others = read_config(config) if config else ({}, {})
    texts = {name: text for name, text in options.items() if name not in FIT_OPTIONS}
    from_file = set(parameters) - {name for name, text in texts.items() if text is not None}
    here = {name: value for name, value in options.items() if name in FIT_OPTIONS} | reading
    others |= {name: value for name, value in here.items() if value is not None}
    return FitCall(DEFAULTS | parameters | values(texts), others, from_file)


def unfitted(call: FitCall, verbose: int) -> Autoencoder:
    """Return the estimator that is to be fitted."""
    from ..estimator import Autoencoder

    return Autoencoder(**call.parameters, verbose=verbose)


def fit_keywords(call: FitCall, clean: Dataset | None, held_out: Dataset | None) -> dict[str, Any]:
    """Return what `Autoencoder.fit` takes beside X."""
    return {
        "target": None if clean is None else clean.X,
        "validation": None if held_out is None else held_out.X,
        "checkpoint": call.others.get("checkpoint"),
    }


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
    streamed = " streamed from the disk" * model.streamed_
    return {
        "model": ", ".join(f"{name} {facts[name]}" for name in FAMILIES if facts[name] != "none"),
        "code": f"{plural('number', code, count=True)} for {plural('value', features, count=True)}",
        "size": f"{model.n_parameters_:,} parameters",
        "training": f"{plural('epoch', model.epochs_, count=True)} in {seconds:.1f} s, batches of "
        f"{model.batch_size_:,}{streamed}, learning rate {model.learning_rate_:.3g}, "
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
