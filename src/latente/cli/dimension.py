"""``latente dimension``: how many numbers data need."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .console import answer, plural, print_table
from .data import READING, Data, Json, Limit, Seed, Split, open_rows, with_options

Method = Annotated[
    str | None,
    typer.Option(metavar="two_nn|mle", help="How to estimate it; both ways without it."),
]
Neighbours = Annotated[
    int, typer.Option(metavar="K", min=3, help="Neighbours of each row that mle looks at.")
]


@with_options(READING)
def dimension(
    data: Data,
    method: Method = None,
    neighbours: Neighbours = 20,
    seed: Seed = 0,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Estimate the intrinsic dimension of data.

    Tells how many dimensions the surface has on which the rows lie, beside the number of their
    values: by the ratio of the distances to two neighbours (two_nn), and by those to more of them
    (mle).
    """
    from ..latent.dimension import METHODS, intrinsic_dimension

    rows = open_rows(data, split, limit, at_once=True, **reading)
    found = {
        name: intrinsic_dimension(rows.X, name, neighbours=neighbours, random_state=seed)
        for name in ([method] if method is not None else METHODS)
    }
    values = 1
    for length in rows.data.shape:
        values *= length
    about = {"data": rows.data.name, "rows": len(rows), "values": values}
    title = f"{rows.data.name}: {plural('row', len(rows), count=True)} of {values:,} values"
    answer(
        {**about, **found},
        json,
        lambda: print_table(title, ("method", "dimension"), list(found.items())),
    )
