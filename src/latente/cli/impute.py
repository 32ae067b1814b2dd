"""``latente impute``: fill what is missing in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import CallError, answer, print_facts
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeOutput,
    Seed,
    Split,
    is_frame,
    open_model,
    open_rows,
    with_options,
)
from .output import TABLES, Escape, check_output, deliver

if TYPE_CHECKING:
    from pathlib import Path

    from ..estimator import Autoencoder
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
    escape_formulas: Escape = True,
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
        path = check_output(output, (SUFFIX,))
        learn(open_rows(data, split, limit, at_once=True, **reading), path, seed, json=json)
        return
    from ..data.tables import count_missing

    target = check_output(output, TABLES)
    if model is None:
        rows = open_rows(data, split, limit, at_once=True, **reading)
        autoencoder = learned(rows, seed, json=json)
    else:
        autoencoder = open_model(model)
        rows = open_rows(data, split, limit, model=autoencoder, at_once=True, **reading)
    X = rows.X if model is not None else named(rows)
    filled = autoencoder.impute(X)
    extra = {"filled": count_missing(X)}
    deliver("imputed", filled, target, json, autoencoder, escape=escape_formulas, extra=extra)


def learned(rows: Selection, seed: int, *, json: bool) -> Autoencoder:
    """Return an autoencoder that has learned from rows to fill their gaps."""
    from ..imputation import Imputer

    return Imputer(random_state=seed, verbose=int(not json)).fit(named(rows)).autoencoder_


def named(rows: Selection) -> Any:
    """Return the rows as a data frame where their columns have names, else as an array."""
    from ..data.tabular import frame_of

    names = rows.data.names
    if is_frame(rows.X) or names is None or rows.X.ndim != 2:
        return rows.X
    return frame_of(names, rows.X)


def learn(rows: Selection, path: Path, seed: int, *, json: bool) -> None:
    """Fit an autoencoder that fills gaps, save it, and show what it learned from."""
    from ..data.tables import count_missing

    autoencoder = learned(rows, seed, json=json)
    autoencoder.save(path)
    facts = {
        "rows": len(rows),
        "columns": autoencoder.n_features_in_,
        "gaps": count_missing(rows.X),
    }
    result = {"model": path, "data": rows.data.name, **facts}
    answer(result, json, lambda: print_facts(f"{rows.data.name} → {path}", facts))
