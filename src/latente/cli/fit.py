"""``latente fit``: train an autoencoder, save it, and tell how it went."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import config as toml
from . import output as out
from .guard import FAILED, say
from .inputs import READING, Data, Json, Output, open_data, with_options
from .options import DEFAULTS, estimator_options, values
from .sinks import checked
from .summary import errors_of, facts_of, in_short, show_terms

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
Limit = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Train on N rows, drawn from all.")
]
Pca = Annotated[bool, typer.Option("--pca", help="Compare with PCA of the same code size.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell of each epoch in a line.")]


@with_options(READING, estimator_options())
def fit(
    data: Data,
    output: Output,
    config: Config = None,
    target: Target = None,
    limit: Limit = None,
    checkpoint: Checkpoint = None,
    pca: Pca = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
    **given: Any,
) -> None:
    """Train an autoencoder on data and save it.

    Trains on the data set's training part; the error on its test part is told where it has one. A
    part is a name or a call, such as --bottleneck "gaussian(beta=4)" or --network
    "dense(hidden=[128, 64])"; `latente parts` lists them all. Ctrl-C keeps what was learned.
    """
    path = checked(output, (SUFFIX,))
    parameters, extra = toml.read(config) if config else ({}, {})
    ours = {"target": target, "limit": limit, "checkpoint": checkpoint}
    ours |= {name: given.pop(name) for name in READING}
    extra |= {name: value for name, value in ours.items() if value is not None}
    parameters = DEFAULTS | parameters | values(given)
    dataset, wanted = read(data, extra)
    from ..estimator import Autoencoder

    model = Autoencoder(**parameters, verbose=0 if quiet else 1 + verbose)
    begun = time.perf_counter()
    clean = None if wanted is None else wanted.X
    model.fit(dataset.X, target=clean, checkpoint=extra.get("checkpoint"))
    seconds = time.perf_counter() - begun
    if dataset.names is not None:
        model.columns_ = list(dataset.names)
    model.save(path)
    errors = errors_of(model, dataset, wanted, pca=pca)
    report(model, dataset, path, {"seconds": seconds, "mean_squared_error": errors}, json=json)
    if model.stopped_ in ("interrupted", "diverged"):
        say(f"{path} holds what was learned until then")
        raise typer.Exit(FAILED)


def read(data: str, extra: dict[str, Any]) -> tuple[Dataset, Dataset | None]:
    """Read the data to train on, and the targets if there are other ones."""
    reading = {name: extra.get(name) for name in READING}
    target = extra.get("target")
    found = open_data(data, n=extra.get("limit"), **reading)
    return found, None if target is None else open_data(target, n=extra.get("limit"), **reading)


def report(
    model: Autoencoder, data: Dataset, path: Path, measured: dict[str, Any], *, json: bool
) -> None:
    """Tell what was trained and how well it does."""
    errors = measured["mean_squared_error"]

    def told() -> None:
        out.facts(f"{data.name} → {path}", in_short(model, measured["seconds"]))
        show_terms(model, {ERRORS[name]: row for name, row in errors.items()})

    about = {"model": path, "data": data.name, "rows": len(data)}
    out.answer({**about, **facts_of(model), **measured, "history": model.history_}, json, told)
