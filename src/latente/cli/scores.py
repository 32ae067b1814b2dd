"""``latente score``: how normal each row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import output as out
from .guard import say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
    MaybeOutput,
    Model,
    Split,
    open_model,
    open_rows,
    with_options,
)
from .sinks import TABLES, checked, write_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .inputs import Rows

Top = Annotated[
    int | None,
    typer.Option("--top", metavar="K", min=1, help="Print the K most anomalous rows, worst first."),
]


@with_options(READING)
def score(
    data: Data,
    model: Model,
    output: MaybeOutput = None,
    top: Top = None,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Tell how normal each row is; find what does not belong.

    Writes one score a line, higher for what is more normal: to a .npy, .csv or .parquet file, or to
    stdout. With --top the most anomalous rows are printed instead, by their number (the first is 0)
    and, of pictures, their file.
    """
    path = checked(output, TABLES) if output else None
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    scores = autoencoder.score_samples(rows.X)
    if path is not None:
        write_values(scores, path, ("score",))
        say(f"scores: {len(scores)} → {path}")
    worst = most_anomalous(rows, scores, top or 0)
    result: dict[str, Any] = {
        "rows": len(scores),
        "mean": float(scores.mean()),
        "output": path,
        "top": worst,
    }
    if path is None and top is None:
        result["scores"] = scores
    out.answer(result, json, lambda: tell(scores, worst, everything=path is None and top is None))


def tell(scores: NDArray[Any], worst: list[dict[str, Any]], *, everything: bool) -> None:
    """Print the scores, one a line, or the worst of them as a table."""
    if everything:
        typer.echo("\n".join(scores.astype(str).tolist()))
    elif worst:
        columns = ("rank", *(f"{name} " for name in worst[0]))
        out.table("", columns, [(i + 1, *row.values()) for i, row in enumerate(worst)])


def most_anomalous(rows: Rows, scores: NDArray[Any], k: int) -> list[dict[str, Any]]:
    """Return number, score, and path and label where there are any, of the k lowest scores."""
    import numpy as np

    found, labels = [], rows.labels
    for index in np.argsort(scores, kind="stable")[:k].tolist():
        row: dict[str, Any] = {"row": index, "score": float(scores[index])}
        if rows.paths is not None:
            row["path"] = rows.paths[index]
        if labels is not None:
            row["label"] = labels[index]
        found.append(row)
    return found
