"""``latente index``, ``search`` and ``duplicates``: what is most alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from .console import CallError, answer, plural, print_table, say
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeSplit,
    Model,
    Split,
    open_model,
    open_rows,
    take,
    with_options,
)
from .output import check_output, save_figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..estimator import Autoencoder
    from ..search.index import LatentIndex, Neighbours
    from .data import Selection

SUFFIX = ".index"
SHEETS = (".png", ".svg", ".pdf")
COMPARED = 64
"""Height and width of the pictures that `duplicates` compares where there is no model."""

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
IndexFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Where to write, a .index file.")
]
IndexModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FILE", help="The model; by default the index's own."),
]
CodeModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FILE", help="Compare the codes that this model makes."),
]
Metric = Annotated[
    str, typer.Option(metavar="euclidean|cosine", help="How the distance of codes is measured.")
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="auto|exact|usearch",
        help="How codes are searched: exactly, or beyond 200,000 by a graph of neighbours.",
    ),
]
Trusted = Annotated[
    bool,
    typer.Option(
        "--trusted",
        help="Open a large index without a look at all of it; only for files that you made.",
    ),
]
K = Annotated[int, typer.Option("-k", metavar="K", min=1, help="How many to find for each.")]
Sheet = Annotated[
    str | None,
    typer.Option("--sheet", metavar="PATH", help="Draw what was found: a .png, .svg or .pdf."),
]
Indexed = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="The data that the index was made of, for the sheet, where it was not made of files.",
    ),
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
def index(
    data: Data,
    model: Model,
    output: IndexFile,
    metric: Metric = "euclidean",
    engine: Engine = "auto",
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Write the codes of data to an index, to be searched.

    Pictures of a folder are brought to the size that the model takes. The index notes the model and
    its fingerprint, and each picture's path relative to the index.
    """
    path = check_output(output, (SUFFIX,))
    autoencoder = open_model(model)
    from ..search.index import LatentIndex

    made = LatentIndex(autoencoder, metric=metric, engine=engine)
    rows = open_fitting(data, autoencoder, split, limit, reading)
    paths = rows.paths and (os.path.relpath(each, path.parent) for each in rows.paths)
    made.build(rows.X, paths)
    made.save(path, model)
    result = {"rows": len(made), "latent_dim": autoencoder.latent_dim_, "metric": metric}
    answer(
        {**result, "engine": made.engine_, "output": path},
        json,
        lambda: say(f"index: {made!r} → {path}"),
    )


@with_options(READING)
def search(
    index: Index,
    query: Query,
    model: IndexModel = None,
    k: K = 12,
    sheet: Sheet = None,
    data: Indexed = None,
    trusted: Trusted = False,
    split: MaybeSplit = None,
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Find what is most like a picture or a row.

    Prints the paths of what is nearest in the code space, or its row (the first is 0), and the
    distance, nearest first; --sheet draws it beside the query.
    """
    path = check_output(sheet, SHEETS)
    opened = open_index(index, model, trusted=trusted)
    rows = open_fitting(query, opened.autoencoder, split, limit, reading)
    found = opened.query(rows.X, k)
    queries = as_records(found, index, rows)
    if path is not None:
        from ..figures import contact_sheet

        if data is not None:
            pictures, note = originals_of(opened, index, found, data, reading), ""
        else:
            pictures, note = pictures_of(opened, index, found)
        names = [Path(each).stem[-12:] for each in rows.paths or ()]
        names = names or [f"row {i}" for i in range(len(rows))]
        note = "; ".join(filter(None, ("beneath each, the distance of its code", note)))
        drawn = contact_sheet(rows.X, pictures, found.distances, names=names, note=note)
        save_figure(drawn, path)
        say(f"contact sheet → {path}")

    def show() -> None:
        name = "path" if found.paths else "row"
        for each in queries:
            title = str(each["query"]) if len(queries) > 1 else ""
            lines = [(hit[name], hit["distance"]) for hit in each["hits"]]
            print_table(title, (name, "distance"), lines)

    answer({"queries": queries, "sheet": path}, json, show)


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
    if model is None and reading["size"] is None and holds_pictures(data):
        reading |= {"size": f"{COMPARED}x{COMPARED}", "channels": 1}
    rows = open_fitting(data, autoencoder, split, limit, reading)
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
            {name: rows.paths[i] if rows.paths else i, "distance": distance}
            for i, distance in zip(group, distances, strict=True)
        ]
        for group, distances in zip(found.groups, found.distances, strict=True)
    ]

    def show() -> None:
        lines = [
            (number, copy[name], copy["distance"])
            for number, group in enumerate(groups, 1)
            for copy in group
        ]
        if lines:
            print_table("", ("group", f"{name} ", "distance"), lines)
        copies = sum(map(len, groups)) - len(groups)
        say(
            f"{len(rows):,} pictures, {copies:,} of them copies of others, in "
            f"{plural('group', len(groups), count=True)}; copies are within {found.threshold:.3g}"
        )

    answer({"rows": len(rows), "threshold": found.threshold, "groups": groups}, json, show)


def open_index(path: str, model: str | None, *, trusted: bool = False) -> LatentIndex:
    """Read an index and its model.

    Raises
    ------
    CallError
        If one of them is missing, or the index notes no model.
    """
    if not os.path.exists(path):
        raise CallError(f"{path}: there is no such index; `latente index` makes one")
    from ..search.index import LatentIndex

    given = None if model is None else open_model(model)
    opened = LatentIndex.load(path, given, trusted=trusted)
    if opened.autoencoder is None:
        raise CallError(f"{path} notes no model; give it with -m")
    return opened


def open_fitting(
    spec: str,
    model: Autoencoder | None,
    split: str | None,
    limit: int | None,
    reading: dict[str, Any],
) -> Selection:
    """Read rows; pictures in files are brought to the size that the model takes."""
    from ..search.index import picture_size

    takes = model is not None and model.fitted_.input.layout.kind == "pictures"
    if model is not None and takes and reading.get("size") is None and holds_pictures(spec):
        (height, width), channels = picture_size(model)
        reading = {**reading, "size": f"{width}x{height}", "channels": channels}
    return open_rows(spec, split, limit, model=model, **reading)


def holds_pictures(spec: str) -> bool:
    """Whether something is a picture or a folder of them."""
    from ..data.readers import chosen

    path = Path(spec).expanduser()
    return path.exists() and "channels" in chosen(path).options


def path_from_here(index: str, path: str) -> str:
    """Return the path of a sample of an index relative to the working folder."""
    return os.path.normpath(Path(index).parent / path)


def as_records(found: Neighbours, index: str, rows: Selection) -> list[dict[str, Any]]:
    """Return what was found for each query: row, path where there is one, and distance."""
    queries = []
    for i, (positions, distances) in enumerate(zip(found.positions, found.distances, strict=True)):
        hits = []
        for j, (position, distance) in enumerate(zip(positions.tolist(), distances, strict=True)):
            hit: dict[str, Any] = {"row": position}
            if found.paths is not None:
                hit["path"] = path_from_here(index, found.paths[i][j])
            hits.append({**hit, "distance": float(distance)})
        queries.append({"query": rows.paths[i] if rows.paths else i, "hits": hits})
    return queries


def originals_of(
    opened: LatentIndex, index: str, found: Neighbours, spec: str, reading: dict[str, Any]
) -> NDArray[Any]:
    """Return what was found as rows of the data that the index was made of.

    Raises
    ------
    CallError
        If the index was made of other data.
    """
    import numpy as np

    for split in ("train", "all", "test"):
        try:
            rows = open_fitting(spec, opened.autoencoder, split, len(opened), reading).X
        except ParameterError:  # there is no test part
            continue
        if len(rows) != len(opened):
            continue
        originals = take(rows, found.positions.ravel())
        assert opened.autoencoder is not None
        codes = opened.autoencoder.transform(originals)
        kept = opened.codes_at(found.positions.ravel())
        if np.allclose(codes, kept, rtol=1e-2, atol=1e-3 * np.abs(kept).max()):
            samples = np.asarray(originals)
            return samples.reshape(*found.positions.shape, *samples.shape[1:])
    raise CallError(
        f"--data {spec}: the {len(opened):,} rows of {index} were made of other data; give what "
        "`latente index` was given"
    )


def pictures_of(opened: LatentIndex, index: str, found: Neighbours) -> tuple[NDArray[Any], str]:
    """Return what was found as samples: from its files, or else as the model decodes its codes.

    Returns
    -------
    pictures, note
        Shape (m, k, ...); a note where they are not the originals.
    """
    import numpy as np

    if found.paths is not None:
        names = [path_from_here(index, path) for each in found.paths for path in each]
        missing = next((name for name in names if not os.path.isfile(name)), None)
        if missing is None:
            read = {name: opened.pictures(name).X[0] for name in dict.fromkeys(names)}
            pictures = np.stack([read[name] for name in names])
            return pictures.reshape(*found.positions.shape, *pictures.shape[1:]), ""
        say(f"{missing} is not there; the sheet shows the model's pictures of the codes")
    else:
        say("the sheet shows the model's pictures of the codes; --data DATA shows the originals")
    assert opened.autoencoder is not None
    codes = opened.codes_at(found.positions.ravel())
    decoded = np.asarray(opened.autoencoder.inverse_transform(codes))
    pictures = decoded.reshape(*found.positions.shape, *decoded.shape[1:])
    return pictures, "the results are drawn as the model decodes their codes"
