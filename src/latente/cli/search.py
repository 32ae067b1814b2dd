"""``latente index`` and ``search``: what is most like this."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..storage.files import atomic
from . import output as out
from .guard import Refusal, say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
    Model,
    Split,
    open_model,
    open_rows,
    with_options,
)
from .sinks import checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..estimator import Autoencoder
    from ..search.index import LatentIndex, Neighbours
    from .inputs import Rows

SUFFIX = ".index"
SHEETS = (".png", ".svg", ".pdf")

Index = Annotated[
    str,
    typer.Argument(metavar="INDEX", help="What `latente index` wrote.", show_default=False),
]
Query = Annotated[
    str,
    typer.Argument(
        metavar="QUERY",
        help="A picture, a folder of them, or any other DATA such as the model takes.",
        show_default=False,
    ),
]
Target = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Where to write, a .index file.")
]
OwnModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="The model; the one the index notes without it."
    ),
]
Metric = Annotated[
    str, typer.Option(metavar="euclidean|cosine", help="How far codes are said to be apart.")
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="auto|exact|usearch", help="How codes are searched: exactly, or beyond 200,000 by "
        "a graph of neighbours."
    ),
]  # fmt: skip
K = Annotated[int, typer.Option("-k", metavar="K", min=1, help="How many to find for each.")]
Sheet = Annotated[
    str | None,
    typer.Option("--sheet", metavar="PATH", help="Draw what was found: a .png, .svg or .pdf."),
]
Which = Annotated[
    str | None,
    typer.Option(
        metavar="train|test|all",
        help="Which rows of QUERY; the test part, of a data set that has one.",
        show_default=False,
    ),
]


@with_options(READING)
def index(
    data: Data,
    model: Model,
    output: Target,
    metric: Metric = "euclidean",
    engine: Engine = "auto",
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Write the codes of data to an index, to be searched.

    Pictures of a folder are brought to the size that the model takes. The index notes the model and
    its fingerprint, and each picture's path as seen from the index.
    """
    path = checked(output, (SUFFIX,))
    autoencoder = open_model(model)
    from ..search.index import LatentIndex

    made = LatentIndex(autoencoder, metric=metric, engine=engine)
    rows = fitting(data, autoencoder, split, limit, reading)
    made.build(rows.X, seen_from(path, rows.paths))
    made.save(path, model)
    result = {"rows": len(made), "latent_dim": made.codes.shape[1], "metric": metric}
    out.answer(
        {**result, "engine": made.engine_, "output": path},
        json,
        lambda: say(f"index: {made!r} → {path}"),
    )


@with_options(READING)
def search(
    index: Index,
    query: Query,
    model: OwnModel = None,
    k: K = 12,
    sheet: Sheet = None,
    split: Which = None,
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Find what is most like a picture or a row.

    Prints the paths of what is nearest in the code space, or its row (the first is 0), and the
    distance, nearest first; --sheet draws it beside the query.
    """
    path = checked(sheet, SHEETS) if sheet else None
    opened = open_index(index, model)
    rows = fitting(query, opened.autoencoder, split, limit, reading)
    found = opened.query(rows.X, k)
    hits = listed(found, index, rows)
    if path is not None:
        draw(path, opened, index, rows, found)

    def told() -> None:
        name = "path" if found.paths else "row"
        for each in hits:
            title = str(legible(each["query"])) if len(hits) > 1 else ""
            lines = [(legible(hit[name]), hit["distance"]) for hit in each["hits"]]
            out.table(title, (name, "distance"), lines)

    out.answer({"queries": hits, "sheet": path}, json, told)


def holds_pictures(spec: str) -> bool:
    """Whether something is a picture or a folder of them."""
    from ..data.readers import chosen

    place = Path(spec).expanduser()
    return place.exists() and "channels" in chosen(place).options


def open_index(path: str, model: str | None) -> LatentIndex:
    """Read an index and its model.

    Raises
    ------
    Refusal
        If one of them is not there, or the index notes no model.
    """
    if not Path(path).exists():
        raise Refusal(f"{path}: there is no such index; `latente index` makes one")
    from ..search.index import LatentIndex

    opened = LatentIndex.load(path, None if model is None else open_model(model))
    if opened.autoencoder is None:
        raise Refusal(f"{path} notes no model; give it with -m")
    return opened


def fitting(
    spec: str,
    model: Autoencoder | None,
    split: str | None,
    limit: int | None,
    reading: dict[str, Any],
) -> Rows:
    """Read rows; pictures in files are brought to the size that the model takes."""
    from ..search.index import picture_size

    takes = model is not None and model.fitted_.given.layout.kind == "pictures"
    if model is not None and takes and reading.get("size") is None and holds_pictures(spec):
        (height, width), channels = picture_size(model)
        reading = {**reading, "size": f"{width}x{height}", "channels": channels}
    return open_rows(spec, split, limit, model=model, **reading)


def seen_from(index: Path, paths: tuple[str, ...] | None) -> list[str] | None:
    """Return paths as they lie beside an index, so that both can be moved together."""
    return None if paths is None else [os.path.relpath(path, index.parent) for path in paths]


def seen_here(index: str, path: str) -> str:
    """Return the path of a sample of an index, as it lies from here."""
    return os.path.normpath(Path(index).parent / path)


def legible(name: object) -> object:
    """Return a path fit for a terminal: what is no printable letter of it, escaped."""
    if not isinstance(name, str):
        return name
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def listed(found: Neighbours, index: str, rows: Rows) -> list[dict[str, Any]]:
    """Return what was found for each query: row, path where there is one, and distance."""
    queries = []
    for i, (places, distances) in enumerate(zip(found.positions, found.distances, strict=True)):
        hits = []
        for j, (place, distance) in enumerate(zip(places.tolist(), distances, strict=True)):
            hit: dict[str, Any] = {"row": place}
            if found.paths is not None:
                hit["path"] = seen_here(index, found.paths[i][j])
            hits.append({**hit, "distance": float(distance)})
        queries.append({"query": rows.paths[i] if rows.paths else i, "hits": hits})
    return queries


def draw(path: Path, opened: LatentIndex, index: str, rows: Rows, found: Neighbours) -> None:
    """Write the contact sheet."""
    from ..figures.contact import contact_sheet

    hits = pictured(opened, index, found)
    drawn = contact_sheet(rows.X, hits, found.distances)
    with atomic(path) as place:
        drawn.savefig(place, format=path.suffix.lower().removeprefix("."))
    say(f"contact sheet → {path}")


def pictured(opened: LatentIndex, index: str, found: Neighbours) -> NDArray[Any]:
    """Return what was found as samples: from its files, or else as the model decodes its codes."""
    import numpy as np

    if found.paths is not None:
        names = [seen_here(index, path) for each in found.paths for path in each]
        gone = next((name for name in names if not Path(name).is_file()), None)
        if gone is None:
            read = {name: opened.pictures(name).X[0] for name in dict.fromkeys(names)}
            pictures = np.stack([read[name] for name in names])
            return pictures.reshape(*found.positions.shape, *pictures.shape[1:])
        say(f"{legible(gone)} is not there; the sheet shows what the model makes of the codes")
    assert opened.autoencoder is not None
    codes = opened.codes[found.positions.ravel()]
    decoded = np.asarray(opened.autoencoder.inverse_transform(codes))
    return decoded.reshape(*found.positions.shape, *decoded.shape[1:])
