"""``latente encode``, ``decode`` and ``reconstruct``: data to codes and back."""

from __future__ import annotations

import os
from pathlib import Path
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
    open_data,
    open_model,
    open_rows,
    with_options,
)
from .restoration import damaged, masks_of, restore_all
from .results import ANYTHING, deliver
from .sinks import TABLES, checked

if TYPE_CHECKING:
    from .inputs import Rows

Codes = Annotated[
    str,
    typer.Argument(
        metavar="CODES", help="A file of codes (.npy, .csv, .parquet).", show_default=False
    ),
]


@with_options(READING)
def encode(
    data: Data,
    model: Model,
    output: MaybeOutput = None,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Turn data into codes.

    Writes one row of numbers for each row of DATA to a .npy, .csv or .parquet file, or as CSV to
    stdout.
    """
    path = checked(output, TABLES) if output else None
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    codes = autoencoder.transform(rows.X)
    deliver("codes", codes, path, json, autoencoder, columns=autoencoder.get_feature_names_out())


def decode(codes: Codes, model: Model, output: MaybeOutput = None, json: Json = False) -> None:
    """Turn codes back into data.

    Writes what each row of CODES stands for: to a .npy, .csv or .parquet file, as CSV to stdout,
    or pictures into a folder or, side by side, into one .png.
    """
    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    values = autoencoder.inverse_transform(open_data(codes).X)
    deliver("decoded", values, path, json, autoencoder)


Mask = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="PATH",
        help="What is missing, for a model that fills it in: white in a picture for all, in a "
        "folder of pictures with the same names, or not 0 in a .npy. Without it, of pictures in a "
        "folder, what is transparent.",
    ),
]


@with_options(READING)
def reconstruct(
    data: Data,
    model: Model,
    output: MaybeOutput = None,
    mask: Mask = None,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Encode and decode: compress, denoise, restore.

    Writes what comes back of each row: to a .npy, .csv or .parquet file, as CSV to stdout, or
    pictures into a folder, under the names they had, or into one .png. Pictures of a folder that
    are written into a folder may be of any size: larger ones go through the model in tiles.
    """
    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    paths = damaged(data, path, reading["size"], autoencoder)[:limit]
    if paths and path is not None:
        restore_all(autoencoder, paths, Path(data).expanduser(), path, mask)
        told = {"rows": len(paths), "output": path}
        out.answer(told, json, lambda: say(f"reconstructed: {len(paths)} pictures → {path}"))
        return
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    missing = None if mask is None else masks_of(mask, len(rows))
    values = autoencoder.reconstruct(rows.X, missing)
    deliver("reconstructed", values, path, json, autoencoder, names=names_of(rows, data))


def names_of(rows: Rows, spec: str) -> list[str] | None:
    """Return the names of the files that rows were read from, under the folder they share."""
    if rows.paths is None or rows.data.paths is None:
        return None
    root = Path(spec).expanduser()
    if not root.is_dir():
        root = Path(os.path.commonpath([Path(path).parent for path in rows.data.paths]))
    return [os.path.relpath(path, root) for path in rows.paths]
