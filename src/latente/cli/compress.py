"""``latente compress`` and ``decompress``: many small pictures as one archive, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, ParameterError
from ..storage.files import atomic
from .console import FAILED, CallError, answer, say
from .data import (
    READING,
    Data,
    Json,
    Limit,
    Model,
    Output,
    Split,
    is_frame,
    open_model,
    open_rows,
    with_options,
)
from .output import FOLDER, check_output, deliver, format_of

if TYPE_CHECKING:
    from ..codec.codec import Codec, Unpacked
    from ..estimator import Autoencoder

SUFFIX = ".latz"
SHOWN = 5
"""How many lost pictures are named."""

Archive = Annotated[
    str, typer.Argument(metavar="ARCHIVE", help="A .latz file.", show_default=False)
]
Effort = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Rounds of search for a better code of each; try 50."),
]
ArchiveModel = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="FILE", help="The model, if it is not where it was."),
]
Unpacking = Annotated[
    str,
    typer.Option("--output", "-o", metavar="PATH", help="A folder for pictures, or an .npy file."),
]


@with_options(READING)
def compress(
    data: Data,
    model: Model,
    output: Output,
    effort: Effort = 0,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Compress pictures, or rows, into one archive.

    The model must have been fitted with --bottleneck rounded, on pictures of the same size.
    """
    path = check_output(output, (SUFFIX,), data)
    autoencoder = open_model(model)
    codec = open_codec(autoencoder, model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    packed = codec.compress(
        rows.X,
        names=rows.file_names(data),
        effort=effort,
        model_path=os.path.relpath(Path(model).resolve(), path.resolve().parent),
    )
    with atomic(path) as temporary:
        temporary.write_bytes(packed)
    if rows.paths is not None:
        before = sum(os.path.getsize(each) for each in rows.paths)
    else:
        before = size_of(rows.X)
    each = len(packed) / len(rows)
    result = {
        "output": path,
        "samples": len(rows),
        "bytes": len(packed),
        "bytes_per_sample": each,
        "before": before,
    }
    line = f"{len(rows):,} samples: {before:,} → {len(packed):,} bytes, {each:,.1f} each → {path}"
    answer(result, json, lambda: say(line))


def size_of(X: Any) -> int:
    """Return how many bytes an array or a data frame takes in memory; 0 of anything else."""
    if is_frame(X):
        import narwhals

        return int(narwhals.from_native(X, eager_only=True).estimated_size())
    return int(getattr(X, "nbytes", 0))


def decompress(
    archive: Archive, output: Unpacking, model: ArchiveModel = None, json: Json = False
) -> None:
    """Give back what is in an archive.

    Writes pictures into a folder, under the names they had, or all into one .npy file. What is
    damaged is named and left out, and the exit code is then 1. The model is looked for where it was
    when the archive was made, and beside the archive.
    """
    path = check_output(output, (FOLDER, ".npy"))
    if not Path(archive).is_file():
        raise CallError(f"{archive}: there is no such archive; `latente compress` makes one")
    data = Path(archive).read_bytes()
    model_path = model or noted_model(data, archive)
    autoencoder = open_model(model_path)
    found = open_codec(autoencoder, model_path).decompress(data, archive)
    if not len(found.rows):
        raise FileError(f"{archive} is damaged: none of its samples is whole")
    deliver("decompressed", found.X, path, False, autoencoder, names=names_for(found, path))
    report(found, archive, path, json=json)


def open_codec(model: Autoencoder, name: str) -> Codec:
    """Return the codec of a model, or refuse one that has none."""
    from ..codec.codec import Codec

    try:
        return Codec(model)
    except ParameterError as error:
        raise CallError(f"{name}: {error}") from None


def noted_model(data: bytes, name: str) -> str:
    """Return where an archive's model lies, or ask for it."""
    from ..codec.archive import unpack

    noted = unpack(data, name)[0].get("model")
    if isinstance(noted, str) and noted and not os.path.isabs(noted):
        home = Path(name).resolve().parent
        for candidate in (home / noted, home / Path(noted).name, Path(Path(noted).name)):
            if candidate.is_file():
                return str(candidate)
    raise CallError(f"{name}: its model is not where it was; give its place with --model FILE")


def names_for(found: Unpacked, path: Path) -> list[str] | None:
    """Return the names of the pictures to write: those they had, or their numbers."""
    if found.names is not None:
        return [_safe(found.names[row]) for row in found.rows]
    if format_of(path) != FOLDER:
        return None
    digits = len(str(int(found.rows[-1])))
    return [f"{row:0{digits}}.png" for row in found.rows]


def _safe(name: str) -> str:
    """Return a name of an archive if it stays within the folder, or refuse it."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name or "\\" in name:
        raise FileError(f"the archive names a file {name!r:.80}, outside the folder it is put in")
    return name


def report(found: Unpacked, archive: str, path: Path, *, json: bool) -> None:
    """Say what came out, and what did not; leave with an exit code of 1 where something is lost."""
    lost = sum(len(stretch) for stretch in found.lost)
    names = lost_names(found)
    result = {"output": path, "samples": len(found.rows), "lost": names}
    answer(result, json, lambda: None)
    if lost:
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        say(
            f"{archive} is damaged: {lost:,} of {lost + len(found.rows):,} are lost: "
            f"{', '.join(names[:SHOWN])}{more}; the others are in {path}"
        )
        raise typer.Exit(FAILED)


def lost_names(found: Unpacked) -> list[str]:
    """Return what is lost: names, or numbers where there are none, whole stretches as one."""
    if found.names is not None:
        return [found.names[row] for stretch in found.lost for row in stretch]
    return [f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in found.lost]
