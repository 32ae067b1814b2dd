"""``latente compress`` and ``decompress``: pictures as one small file, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError
from ..storage.files import atomic
from . import output as out
from .codes import names_of
from .guard import FAILED, Refusal, say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
    Model,
    Output,
    Split,
    open_model,
    open_rows,
    with_options,
)
from .results import deliver
from .sinks import FOLDER, checked, kind

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
Remembered = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="The model, where it is no longer where it was."
    ),
]
Place = Annotated[
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
    path = checked(output, (SUFFIX,))
    autoencoder = open_model(model)
    codec = open_codec(autoencoder, model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    names = names_of(rows, data)
    packed = codec.compress(
        rows.X,
        names=names,
        effort=effort,
        model_path=os.path.relpath(Path(model).resolve(), path.resolve().parent),
    )
    with atomic(path) as place:
        place.write_bytes(packed)
    before = raw_bytes(rows)
    found = {
        "output": path,
        "samples": len(rows),
        "bytes": len(packed),
        "bytes_per_sample": len(packed) / len(rows),
        "before": before,
    }

    def told() -> None:
        say(
            f"{len(rows):,} samples: {before:,} → {len(packed):,} bytes, "
            f"{len(packed) / len(rows):,.1f} each → {path}"
        )

    out.answer(found, json, told)


def decompress(
    archive: Archive, output: Place, model: Remembered = None, json: Json = False
) -> None:
    """Give back what is in an archive.

    Writes pictures into a folder, under the names they had, or all into one .npy file. What is
    damaged is named and left out, and the exit code is then 1. The model is looked for where it was
    when the archive was made, and beside the archive.
    """
    path = checked(output, (FOLDER, ".npy"))
    if not Path(archive).is_file():
        raise Refusal(f"{archive}: there is no such archive; `latente compress` makes one")
    data = Path(archive).read_bytes()
    place = model or remembered(data, archive)
    autoencoder = open_model(place)
    found = open_codec(autoencoder, place).decompress(data, archive)
    if not len(found.rows):
        raise FileError(f"{archive} is damaged: none of its samples is whole")
    write(found, path, autoencoder)
    tell(found, archive, path, json=json)


def open_codec(model: Autoencoder, name: str) -> Codec:
    """Return the codec of a model, or refuse one that has none."""
    from ..codec.codec import Codec
    from ..errors import ParameterError

    try:
        return Codec(model)
    except ParameterError as error:
        raise Refusal(f"{name}: {error}") from None


def raw_bytes(rows: Any) -> int:
    """Return how many bytes the samples take now: their files, or their array."""
    if rows.paths is not None:
        return sum(os.path.getsize(path) for path in rows.paths)
    return int(getattr(rows.X, "nbytes", 0))


def remembered(data: bytes, name: str) -> str:
    """Return where an archive's model lies, or ask for it."""
    from ..codec.archive import unpack

    place = unpack(data, name)[0].get("model")
    if isinstance(place, str) and place and not os.path.isabs(place):
        home = Path(name).resolve().parent
        for candidate in (home / place, home / Path(place).name, Path(Path(place).name)):
            if candidate.is_file():
                return str(candidate)
    raise Refusal(f"{name}: its model is not where it was; tell where with --model FILE")


def write(found: Unpacked, path: Path, model: Autoencoder) -> None:
    """Write what came out of an archive: pictures, or an array."""
    names = None
    if found.names is not None:
        names = [safe(found.names[row]) for row in found.rows]
    if names is None and kind(str(path)) == FOLDER:
        digits = len(str(int(found.rows[-1])))
        names = [f"{row:0{digits}}.png" for row in found.rows]
    deliver("decompressed", found.X, path, False, model, names=names)


def safe(name: str) -> str:
    """Return a name of an archive if it stays within the folder, or refuse it."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name or "\\" in name:
        raise FileError(f"the archive names a file {name!r:.80}, outside the folder it is put in")
    return name


def tell(found: Unpacked, archive: str, path: Path, *, json: bool) -> None:
    """Say what came out, and what did not; leave with an exit code of 1 where something is lost."""
    lost = sum(len(stretch) for stretch in found.lost)
    result = {
        "output": path,
        "samples": len(found.rows),
        "lost": stretches(found),
    }
    out.answer(result, json, lambda: None)
    if lost:
        total = lost + len(found.rows)
        say(
            f"{archive} is damaged: {lost:,} of {total:,} are lost: {shown(result['lost'])}; "
            f"the others are in {path}"
        )
        raise typer.Exit(FAILED)


def stretches(found: Unpacked) -> list[str]:
    """Return what is lost: names, or numbers where there are none, whole stretches as one."""
    if found.names is not None:
        return [found.names[row] for stretch in found.lost for row in stretch]
    return [f"{s[0]}" if len(s) == 1 else f"{s[0]} to {s[-1]}" for s in found.lost]


def shown(names: Any) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
