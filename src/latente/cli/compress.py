"""``latente compress`` and ``decompress``: many small pictures as one archive, and back."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, ParameterError, printable
from ..storage.files import atomic, is_temporary
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
    path = check_output(output, (SUFFIX,))
    autoencoder = open_model(model)
    codec = open_codec(autoencoder, model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    names = rows.file_names(data)
    if names is not None:
        for name, why in unwritable(names, autoencoder):
            raise CallError(f"{data}: {printable(name)} would not come back: {why}")
    packed = codec.compress(
        rows.X,
        names=names,
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
    names = names_for(found) if format_of(path) == FOLDER else None
    for name, why in unwritable(names or [], autoencoder):
        raise FileError(
            f"the archive names a file {printable(name):.80}, which cannot be written: {why}"
        )
    deliver("decompressed", found.X, path, False, autoencoder, names=names)
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
            if os.path.isfile(candidate):
                return str(candidate)
    raise CallError(f"{name}: its model is not where it was; give its place with --model FILE")


def names_for(found: Unpacked) -> list[str]:
    """Return the names of the pictures to write: those they had, or their numbers."""
    if found.names is not None:
        names = [(row, found.names[row]) for row in found.rows]
        return [f"unnamed-{row}.png" if name is None else name for row, name in names]
    digits = len(str(int(found.rows[-1])))
    return [f"{row:0{digits}}.png" for row in found.rows]


def unwritable(names: Sequence[str], model: Autoencoder) -> Iterator[tuple[str, str]]:
    """Yield the names under which no picture of the model can be put into a folder, and why.

    Parameters
    ----------
    names
        Of files, relative to the folder.
    model
        Whose pictures they are; how many channels they have decides the formats.
    """
    shape = model.fitted_.target.shape
    channels = shape[0] if len(shape) == 3 else 1
    refused: dict[str, str | None] = {}
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    files: set[str] = set()
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in refused:
            refused[suffix] = _why_no_picture(suffix, channels)
        plain = str(PurePosixPath(name))
        why = _why_not_inside(name) or refused[suffix]
        if why is None and plain in folders:
            why = "another name takes it for a folder"
        if why is None and plain in files:
            why = "it comes twice"
        files.add(plain)
        if why is not None:
            yield name, why


def _why_not_inside(name: str) -> str | None:
    """Return why a name is none of a file within a folder on every system; None if it is one."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if not posix.parts or posix.is_absolute() or windows.drive or ".." in windows.parts:
        return "it lies outside the folder"
    if "\0" in name:
        return "it has a NUL in it"
    if "\\" in name:
        return "it has a backslash, which other systems take for a folder"
    if is_temporary(posix.parts[0]):
        return "files that are being written have such names"
    return None


def _why_no_picture(suffix: str, channels: int) -> str | None:
    """Return why pictures of so many channels cannot have a suffix; None if they can."""
    from PIL import Image

    picture = Image.new(("L", "LA", "RGB", "RGBA")[min(channels, 4) - 1], (1, 1))
    kind = Image.registered_extensions().get(suffix)
    if kind is None or kind.upper() not in Image.SAVE:
        return f"no picture is written as {printable(suffix) or 'a file without a suffix'}"
    try:
        picture.save(io.BytesIO(), kind, quality=95)
    except (OSError, ValueError, KeyError):
        return f"pictures of {channels} channels cannot be written as {suffix}"
    return None


def report(found: Unpacked, archive: str, path: Path, *, json: bool) -> None:
    """Say what came out, and what did not; leave with an exit code of 1 where something is lost."""
    lost = sum(len(stretch) for stretch in found.lost)
    names = lost_names(found)
    result = {"output": path, "samples": len(found.rows), "lost": names}
    answer(result, json, lambda: None)
    if lost:
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        told = ", ".join(map(printable, names[:SHOWN]))
        say(
            f"{archive} is damaged: {lost:,} of {lost + len(found.rows):,} are lost: "
            f"{told}{more}; the others are in {path}"
        )
        raise typer.Exit(FAILED)


def lost_names(found: Unpacked) -> list[str]:
    """Return what is lost: names, or numbers where there are none, whole stretches as one."""
    told = []
    for stretch in found.lost:
        nameless: list[int] = []
        for row in stretch:
            name = None if found.names is None else found.names[row]
            if name is None:
                nameless.append(row)
                continue
            told += [*_stretch(nameless), name]
            nameless = []
        told += _stretch(nameless)
    return told


def _stretch(rows: Sequence[int]) -> list[str]:
    """Return rows that follow each other in one word, if there are any."""
    if not rows:
        return []
    return [f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"]
