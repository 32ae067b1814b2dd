"""Where results go: ``.npy``, ``.csv``, ``.parquet``, a folder of pictures, one picture of all.

A path is checked before the work starts; a file is written beside and renamed at the end.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import MissingExtra
from ..parts import listed
from ..storage.files import atomic
from .guard import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

FOLDER = "folder"
TABLES = (".npy", ".csv", ".parquet")
BLOCK = 1024
"""Rows turned to text at a time."""
SIDE, GAP = 48, 2
"""The least width or height, and the distance, of pictures side by side, in pixels."""


def kind(path: str) -> str:
    """Return a path's suffix, or "folder" where it has none."""
    if path.endswith(("/", os.sep)) or Path(path).is_dir():
        return FOLDER
    return Path(path).suffix.lower() or FOLDER


def checked(path: str, kinds: Sequence[str]) -> Path:
    """Return the path if something of those kinds can be written there.

    Raises
    ------
    Refusal
        If the path is of another kind, or its folder is not there or cannot be written to.
    """
    if kind(path) not in kinds:
        names = listed("a folder" if each == FOLDER else each for each in kinds)
        here = ", not a folder" if kind(path) == FOLDER else ""
        raise Refusal(f"{path}: the output must be {names}{here}")
    parent = Path(path).resolve().parent
    if not parent.is_dir():
        raise Refusal(f"{path}: there is no folder {parent}")
    place = Path(path) if kind(path) == FOLDER and Path(path).exists() else parent
    if not place.is_dir():
        raise Refusal(f"{path} is a file, not a folder")
    if not os.access(place, os.W_OK):
        raise Refusal(f"{path}: the folder {place} cannot be written to")
    return Path(path)


def write_values(values: Any, path: Path | None, columns: Sequence[str] = ()) -> None:
    """Write an array or a data frame; without a path, as CSV to stdout.

    Parameters
    ----------
    values
        Array of any shape, one row a sample, or a data frame.
    path
        Ending in ``.npy``, ``.csv`` or ``.parquet``.
    columns
        Names for the columns of an array; CSV and Parquet hold each sample as one flat row.
    """
    import numpy as np

    if path is None:
        write_csv(values, columns, sys.stdout)
        return
    with atomic(path) as place:
        if path.suffix.lower() == ".npy":
            with open(place, "wb") as file:
                np.save(file, matrix_only(values, path), allow_pickle=False)
        elif path.suffix.lower() == ".parquet":
            write_parquet(values, columns, place)
        else:
            with open(place, "w", encoding="utf-8", newline="") as text:
                write_csv(values, columns, text)


def matrix_only(values: Any, path: Path) -> NDArray[Any]:
    """Return the values as an array, or refuse a data frame."""
    import numpy as np

    if is_frame(values):
        raise Refusal(f"{path}: a data frame is written to .csv or .parquet")
    return np.asarray(values)


def write_csv(values: Any, columns: Sequence[str], file: TextIO) -> None:
    """Write values as CSV with a line of column names."""
    import numpy as np

    if is_frame(values):
        file.write(frames().from_native(values).write_csv(None))
        return
    flat = np.asarray(values).reshape(len(values), -1)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(named(flat, columns))
    for block in blocks(flat):
        writer.writerows(block.astype(str).tolist())


def write_parquet(values: Any, columns: Sequence[str], place: Path) -> None:
    """Write values as a Parquet file."""
    import numpy as np

    if is_frame(values):
        frames().from_native(values).write_parquet(place)
        return
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing() from None
    flat = np.asarray(values).reshape(len(values), -1)
    table = pyarrow.table(dict(zip(named(flat, columns), flat.T, strict=True)))
    pyarrow.parquet.write_table(table, place)


def is_frame(values: Any) -> bool:
    """Whether the values are a data frame."""
    return hasattr(values, "columns")


def frames() -> Any:
    """Return narwhals, which writes any data frame."""
    try:
        import narwhals
    except ImportError:
        raise missing() from None
    return narwhals


def missing() -> MissingExtra:
    """Return the error for libraries that data frames need."""
    return MissingExtra("data frames need two more libraries: pip install 'latente[frames]'")


def named(flat: NDArray[Any], columns: Sequence[str]) -> list[str]:
    """Return a name for each column."""
    return list(columns) or [f"x{i}" for i in range(flat.shape[1])]


def blocks(flat: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows in blocks."""
    for start in range(0, len(flat), BLOCK):
        yield flat[start : start + BLOCK]


def write_pictures(pictures: Iterable[NDArray[Any]], folder: Path, names: Sequence[str]) -> None:
    """Write pictures (h, w) or (h, w, c) into a folder, made if missing: all of them or none."""
    rest = iter(pictures)
    fill(folder, names, lambda _, place: image(next(rest)).save(place, quality=95))


def fill(folder: Path, names: Sequence[str], write: Callable[[int, Path], object]) -> None:
    """Write files into a folder, made if missing: all of them or none.

    Parameters
    ----------
    folder
        Where to.
    names
        Of the files, with the folders they are in below.
    write
        Writes the file of a number to a path.
    """
    there = folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        staged(folder, names, write)
    except BaseException:
        if not there:
            with suppress(OSError):
                folder.rmdir()
        raise


def staged(folder: Path, names: Sequence[str], write: Callable[[int, Path], object]) -> None:
    """Write files beside, and move them into the folder once all are whole."""
    with TemporaryDirectory(prefix=".latente-", dir=folder) as stage:
        for i, name in enumerate(names):
            place = Path(stage, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            write(i, place)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(stage, name), folder / name)


def write_grid(pictures: NDArray[Any], path: Path, columns: int | None = None) -> None:
    """Write pictures side by side in one PNG, small ones enlarged, a line of paper between them."""
    import numpy as np

    enlarged = -(-SIDE // max(pictures.shape[1:3]))
    tiles = pictures.repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    columns = columns or int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    height, width = (size + GAP for size in tiles.shape[1:3])
    size = (rows * height + GAP, columns * width + GAP, *tiles.shape[3:])
    sheet = np.full(size, 255, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * height + GAP, (i % columns) * width + GAP
        sheet[top : top + height - GAP, left : left + width - GAP] = tile
    with atomic(path) as place:
        image(sheet).save(place, format="PNG")


def image(picture: NDArray[Any]) -> Image:
    """Return a picture of 1 to 4 channels as Pillow has it."""
    import numpy as np
    from PIL import Image

    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    return Image.fromarray(np.ascontiguousarray(picture))
