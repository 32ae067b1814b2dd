"""``latente duplicates``: which pictures are copies of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import output as out
from .guard import say
from .inputs import READING, Data, Json, Limit, Split, open_model, with_options
from .search import fitting, holds_pictures, legible
from .summary import plural

if TYPE_CHECKING:
    from ..estimator import Autoencoder
    from .inputs import Rows

COMPARED = 64
"""Height and width of the pictures compared where there is no model."""

CodeModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FILE", help="Compare the codes that this model makes."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="DISTANCE",
        min=0,
        max=2,
        help="Largest distance of two copies; without it, learned from the pictures.",
        show_default=False,
    ),
]
Upright = Annotated[
    bool, typer.Option("--upright", help="Do not look for copies that are turned or mirrored.")
]


@with_options(READING)
def duplicates(
    data: Data,
    model: CodeModel = None,
    threshold: Threshold = None,
    upright: Upright = False,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Find pictures that are copies of one another.

    Copies may be re-encoded, resized, brighter or darker, turned or mirrored. Prints each group of
    them, and how far each is from the first. Without a model, small grey versions of the pictures
    are compared; with one, their codes.
    """
    autoencoder = None if model is None else open_model(model)
    rows = comparable(data, autoencoder, split, limit, reading)
    from ..search.duplicates import near_duplicates

    found = near_duplicates(
        rows.X,
        autoencoder,
        threshold="auto" if threshold is None else threshold,
        turned=not upright,
    )
    name = "path" if rows.paths else "row"
    groups = [
        [
            {name: rows.paths[place] if rows.paths else place, "distance": distance}
            for place, distance in zip(group, distances, strict=True)
        ]
        for group, distances in zip(found.groups, found.distances, strict=True)
    ]

    def told() -> None:
        lines = [
            (i + 1, legible(copy[name]), copy["distance"])
            for i, group in enumerate(groups)
            for copy in group
        ]
        if lines:
            out.table("", ("group", f"{name} ", "distance"), lines)
        extra = sum(map(len, groups)) - len(groups)
        say(
            f"{len(rows):,} pictures, {extra:,} of them copies of others, in "
            f"{plural('group', len(groups), count=True)}; copies are within {found.threshold:.3g}"
        )

    out.answer({"rows": len(rows), "threshold": found.threshold, "groups": groups}, json, told)


def comparable(
    spec: str,
    model: Autoencoder | None,
    split: str | None,
    limit: int | None,
    reading: dict[str, Any],
) -> Rows:
    """Read pictures; without a model, files are brought to one small size, in grey."""
    if model is None and reading.get("size") is None and holds_pictures(spec):
        reading = {**reading, "size": f"{COMPARED}x{COMPARED}", "channels": 1}
    return fitting(spec, model, split, limit, reading)
