"""``latente encode``, ``decode``, ``reconstruct``, ``score``, ``export``: a model at work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from ..launch import is_launched, rank
from .console import CallError, answer, print_table, say
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeOutput,
    Model,
    Split,
    is_streamed,
    open_data,
    open_model,
    open_rows,
    with_options,
)
from .output import (
    ANYTHING,
    FOLDER,
    TABLES,
    Escape,
    Lowest,
    as_pictures,
    check_names,
    check_output,
    deliver,
    deliver_parts,
    format_of,
    numbered,
    parts_of,
    passing,
    write_parts,
    write_pictures,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..estimator import Autoencoder

Codes = Annotated[
    str,
    typer.Argument(
        metavar="CODES", help="A file of codes (.npy, .csv, .parquet).", show_default=False
    ),
]
Masks = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="PATH",
        help="What is missing, for a model that fills it in: white in a picture for all, in a "
        "folder of pictures with the same names, or not 0 in a .npy. Without it, of pictures in a "
        "folder, what is transparent.",
    ),
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="K", min=1, help="Print the K most anomalous rows, worst first."),
]
Folder = Annotated[
    str, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write; made if missing.")
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
    path = check_output(output, TABLES)
    autoencoder = open_shared(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    names = autoencoder.get_feature_names_out()
    parts = parts_of(rows.X, path)
    if parts is not None:
        deliver_parts(
            "codes", heard(map(autoencoder.transform, parts)), len(rows), path, names, json=json
        )
        return
    codes = autoencoder.transform(rows.X)
    if rank():
        return
    deliver("codes", codes, path, json, autoencoder, columns=names)


def decode(
    codes: Codes,
    model: Model,
    output: MaybeOutput = None,
    escape_formulas: Escape = True,
    json: Json = False,
) -> None:
    """Turn codes back into data.

    Writes what each row of CODES stands for: to a .npy, .csv or .parquet file, as CSV to stdout,
    or pictures into a folder or, side by side, into one .png.
    """
    path = check_output(output, ANYTHING)
    autoencoder = open_model(model)
    values = autoencoder.inverse_transform(open_data(codes).X)
    deliver("decoded", values, path, json, autoencoder, escape=escape_formulas)


@with_options(READING)
def reconstruct(
    data: Data,
    model: Model,
    output: MaybeOutput = None,
    mask: Masks = None,
    escape_formulas: Escape = True,
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
    path = check_output(output, ANYTHING)
    autoencoder = open_shared(model)
    if path is not None and format_of(path) == FOLDER and reading["size"] is None:
        root = Path(data).expanduser()
        pictures = restored_singly(root, autoencoder)[:limit]
        if pictures:
            require_alone("pictures of a folder that are restored one by one")
            paths = [os.path.relpath(picture, root) for picture in pictures]
            write_pictures(restored(autoencoder, pictures, root, mask), path, paths)
            found = {"rows": len(pictures), "output": path}
            answer(found, json, lambda: say(f"reconstructed: {len(pictures)} pictures → {path}"))
            return
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    missing = None if mask is None else masks_of_rows(mask, len(rows))
    parts = parts_of(rows.X, path)
    if parts is not None:
        assert path is not None
        restored_parts = heard(reconstructed(autoencoder, parts, missing))
        if format_of(path) == FOLDER:
            files = rows.file_names(data) or numbered(len(rows))
            shown = (as_pictures(part, path, autoencoder) for part in restored_parts)
            write_pictures((picture for part in shown for picture in part), path, files)
            told = f"reconstructed: {len(rows)} pictures → {path}"
            answer({"rows": len(rows), "output": path}, json, lambda: say(told))
            return
        own = autoencoder.fitted_.target is autoencoder.fitted_.input
        columns = (autoencoder.columns_ or ()) if own else ()
        deliver_parts(
            "reconstructed", restored_parts, len(rows), path, columns, json=json,
            escape=escape_formulas,
        )  # fmt: skip
        return
    values = autoencoder.reconstruct(rows.X, missing)
    if rank():
        return
    names = rows.file_names(data)
    deliver("reconstructed", values, path, json, autoencoder, names=names, escape=escape_formulas)


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
    """Score how normal each row is.

    Writes one score a line, higher for what is more normal: to a .npy, .csv or .parquet file, or to
    stdout. With --top the most anomalous rows are printed instead, by their number (the first is 0)
    and, of pictures, their file.
    """
    path = check_output(output, TABLES)
    autoencoder = open_shared(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    lowest = Lowest(top or 0)
    parts = passing(rows.X) or iter([rows.X])
    scores = heard(lowest.add(autoencoder.score_samples(part)) for part in parts)
    result: dict[str, Any] = {"rows": len(rows), "output": path}
    if path is not None:
        write_parts(scores, len(rows), path, ("score",))
        say(f"scores: {len(rows)} → {path}")
    elif top is None and json:
        result["scores"] = [score for part in scores for score in part.tolist()]
    else:
        for part in scores:
            if top is None:
                typer.echo("\n".join(part.astype(str).tolist()))
    pairs = zip(lowest.rows.tolist(), lowest.scores.tolist(), strict=True)
    worst = [rows.record(row, score) for row, score in pairs]
    result |= {"mean": lowest.mean, "top": worst}

    def show() -> None:
        if worst:
            columns = ("rank", *(f"{name} " for name in worst[0]))
            print_table("", columns, [(i + 1, *row.values()) for i, row in enumerate(worst)])

    answer(result, json, show)


def export(model: Model, output: Folder, json: Json = False) -> None:
    """Write encoder and decoder as ONNX.

    Both take and give values in the scale of the data, and are checked against torch before they
    are left in the folder. They use ONNX's operators of version 20 (opset 20).
    """
    folder = check_output(output, (FOLDER,))
    check_names(folder, ("encoder.onnx", "decoder.onnx"))
    files = open_model(model).export_onnx(folder)
    answer({"output": files}, json, lambda: typer.echo("\n".join(map(str, files))))


def open_shared(path: str) -> Autoencoder:
    """Read the model in a file; processes that torchrun started share out the rows it works on."""
    model = open_model(path)
    if is_launched():
        from ..training.distributed import processes

        model.fitted_.processes = processes()
    return model


def heard(parts: Iterator[Any]) -> Iterator[Any]:
    """Return results part by part; a process that does not write works on all, and leaves."""
    if rank():
        for _ in parts:
            pass
        raise typer.Exit
    return parts


def reconstructed(
    model: Autoencoder, parts: Iterator[Any], missing: NDArray[Any] | None
) -> Iterator[Any]:
    """Yield what comes back of each part, of which pixels may be missing, (n, h, w) of all rows."""
    import numpy as np

    first = 0
    for part in parts:
        rows = np.arange(first, first + len(part))
        first += len(part)
        yield model.reconstruct(part, None if missing is None else missing[rows])


def require_alone(what: str) -> None:
    """Raise `CallError` where several processes would do the same."""
    if is_launched():
        raise CallError(f"torchrun does not go with {what}; leave torchrun out")


def restored_singly(folder: Path, model: Autoencoder) -> list[Path]:
    """Return the pictures of a folder that are to be restored one by one, each in its own size.

    There are none if all have the size of the fit and the model fills nothing in, or it is not one
    of pictures: then they are worked on together.
    """
    shape = model.fitted_.input.layout.shape
    if not folder.is_dir() or len(shape) == 1:
        return []
    from ..data.pictures import look, pictures

    found = [Path(path) for path in pictures(folder)]
    alike = all(look(path).shape == shape for path in found)
    return [] if alike and not model.fitted_.takes_mask else found


def restored(
    model: Autoencoder, paths: list[Path], root: Path, masks: str | None
) -> Iterator[NDArray[Any]]:
    """Yield each picture restored, (h, w) or (h, w, c) uint8."""
    from ..data.pictures import Look, look, pixels
    from ..data.shades import from_bytes, to_bytes
    from ..restoration import restore

    for path in paths:
        size = look(path)
        picture = pixels(path, Look(size.height, size.width, size.channels, "uint8"))
        mask = None
        if masks is not None:
            mask = mask_of(path.relative_to(root), Path(masks).expanduser())
        elif model.fitted_.takes_mask:
            mask = pixels(path, Look(size.height, size.width, 4, "uint8"))[..., 3] == 0
        try:
            values = restore(model, from_bytes(picture, model.fitted_.input), mask)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        yield to_bytes(values, model.fitted_.target)


def mask_of(name: Path, masks: Path) -> NDArray[Any]:
    """Return where a picture is missing: white in the mask of its name, or in the one for all."""
    from ..data.pictures import Look, look, pixels

    path = masks / name if masks.is_dir() else masks
    if masks.is_dir() and not path.exists():
        path = next(iter(sorted(path.parent.glob(f"{name.stem}.*"))), path)
    if not path.exists():
        raise CallError(f"{path}: there is no such mask; give one picture for all, or one for each")
    size = look(path)
    mask: NDArray[Any] = pixels(path, Look(size.height, size.width, 1, "uint8")) >= 128
    return mask


def masks_of_rows(spec: str, rows: int) -> Any:
    """Return the masks of data that are worked on together: one for each, or one for all."""
    import numpy as np

    path = Path(spec).expanduser()
    if path.suffix.lower() == ".npy" or path.is_dir():
        masks = open_data(spec).X
        if len(masks) < rows:
            raise CallError(f"{spec} has {len(masks):,} masks for {rows:,} rows; give one for each")
        return masks if is_streamed(masks) else np.asarray(masks)[:rows]
    mask = mask_of(Path(path.name), path)
    return np.broadcast_to(mask, (rows, *mask.shape))
