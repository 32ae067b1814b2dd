"""``latente evaluate``: measure how well held-out data come back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .console import CallError, answer, plural, print_table
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeSplit,
    Model,
    Seed,
    open_model,
    open_rows,
    with_options,
)

Target = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="What should come back instead of DATA, row by row."),
]
Corrupted = Annotated[
    bool,
    typer.Option("--corrupted", help="Corrupt DATA as in training: how well the model restores."),
]
Corruption = Annotated[
    list[str] | None,
    typer.Option("--corruption", metavar="PART", help="Corrupt DATA by this; may be repeated."),
]


@with_options(READING)
def evaluate(
    data: Data,
    model: Model,
    target: Target = None,
    corrupted: Corrupted = False,
    corruption: Corruption = None,
    seed: Seed = 0,
    split: MaybeSplit = None,
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Measure how well held-out data come back.

    Prints each term of the loss, and the mean squared error; of values in a known range, such as
    bytes, also PSNR and the binary cross-entropy; of pictures also SSIM. Nothing is rounded before
    it is measured. Of a data set with a test part, that is measured.
    """
    if corrupted and corruption:
        raise CallError("give --corrupted or --corruption, not both")
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    aims = None
    if target is not None:
        aims = open_rows(target, split, limit, **reading).X
    seen: Any = corruption or corrupted
    found = autoencoder.evaluate(rows.X, target=aims, corrupted=seen, random_state=seed)
    about = {"model": model, "data": rows.data.name, "rows": found.rows, "scale": found.scale}

    def show() -> None:
        scale = "from 0 to 1" if found.scale == "0 to 1" else f"in {found.scale} scale"
        count = plural("row", found.rows, count=True)
        table = found.table()
        columns = ("per_value", "per_sample")
        lines = [(name, *map(row.get, columns)) for name, row in table.items()]
        names = tuple(column.replace("_", " ") for column in columns)
        print_table(f"{rows.data.name}: {count}, values {scale}", ("", *names), lines)

    answer({**about, **found}, json, show)
