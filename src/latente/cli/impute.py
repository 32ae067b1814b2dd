"""``latente impute``: fill what is missing in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import CallError, answer, print_facts
from .data import READING, Data, Json, Limit, MaybeOutput, Seed, Split, open_model, open_rows
from .data import with_options
from .output import TABLES, check_output, deliver

if TYPE_CHECKING:
    from pathlib import Path

    from .data import Selection

SUFFIX = ".safetensors"

MaybeModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="A model that fills gaps; without it, DATA itself "
        "is learned from."
    ),
]  # fmt: skip
Fit = Annotated[
    bool, typer.Option("--fit", help="Learn from DATA to fill gaps, and write it to --output.")
]


@with_options(READING)
def impute(
    data: Data,
    model: MaybeModel = None,
    output: MaybeOutput = None,
    fit: Fit = False,
    seed: Seed = 0,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Fill what is missing in a table.

    Writes DATA with its gaps filled to a .csv, .parquet or .npy file, or as CSV to stdout; what is
    known stays exactly as it is. The model is one that --fit wrote, or that `latente fit` made with
    --corruption gaps; without one, DATA itself is learned from.
    """
    if fit:
        if output is None or model is not None:
            raise CallError("--fit writes a new model: give --output FILE, and no --model")
        path = check_output(output, (SUFFIX,), data)
        learn(open_rows(data, split, limit, **reading), path, seed, json=json)
        return
    target = check_output(output, TABLES, data, model)
    if model is None:
        rows = open_rows(data, split, limit, **reading)
        autoencoder = learned(rows, seed, json=json)
    else:
        autoencoder = open_model(model)
        rows = open_rows(data, split, limit, model=autoencoder, **reading)
    filled = autoencoder.impute(rows.X)
    deliver("imputed", filled, target, json, autoencoder, extra={"filled": gaps_in(rows.X)})


def learned(rows: Selection, seed: int, *, json: bool) -> Any:
    """Return an autoencoder that has learned from rows to fill their gaps."""
    from ..imputation import Imputer

    autoencoder = Imputer(random_state=seed, verbose=int(not json)).fit(rows.X).autoencoder_
    if rows.data.names and len(rows.data.names) == autoencoder.n_features_in_:
        autoencoder.columns_ = list(rows.data.names)
    return autoencoder


def learn(rows: Selection, path: Path, seed: int, *, json: bool) -> None:
    """Fit an autoencoder that fills gaps, save it, and show what it learned from."""
    autoencoder = learned(rows, seed, json=json)
    autoencoder.save(path)
    facts = {
        "rows": len(rows),
        "columns": autoencoder.n_features_in_,
        "gaps": gaps_in(rows.X),
    }
    result = {"model": path, "data": rows.data.name, **facts}
    answer(result, json, lambda: print_facts(f"{rows.data.name} → {path}", facts))


def gaps_in(X: Any) -> int:
    """Return how many values are missing in an array or a data frame."""
    from ..data.tables import count_missing

    return count_missing(X)
