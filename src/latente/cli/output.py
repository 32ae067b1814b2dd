"""Where results go: ``.npy``, ``.csv``, ``.parquet``, a folder of pictures, one picture of all.

A path is checked before the work starts, and holds a whole file or what it held before.
"""

from __future__ import annotations

import csv
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, overload

import typer

from ..parts import listed
from ..storage.files import atomic, staging
from .console import CALL, CallError, answer, say
from .data import is_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from PIL.Image import Image

    from ..estimator import Autoencoder

FOLDER = "folder"
TABLES = (".npy", ".csv", ".parquet")
TEXT = ".txt"
PICTURES = (FOLDER, ".png")
ANYTHING = (*TABLES, TEXT, *PICTURES)
OUTPUTS = ("output", "sheet", "export", "checkpoint")
"""The options of all commands that say where to write."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How text begins that a spreadsheet may take for a formula, and run."""
BLOCK = 1024
"""Rows turned to text at a time."""
GROUP = 2**17
"""Rows of a row group of Parquet that is written part by part, about."""
SIDE, GAP = 48, 2
"""The least width or height, and the distance, of pictures side by side, in pixels."""

Escape = Annotated[
    bool,
    typer.Option(
        "--escape-formulas/--no-escape-formulas",
        help="Put ' before text in a .csv that a spreadsheet would take for a formula.",
    ),
]


def format_of(path: str | Path) -> str:
    """Return a path's suffix, or "folder" where it has none."""
    if str(path).endswith(("/", os.sep)) or Path(path).is_dir():
        return FOLDER
    return Path(path).suffix.lower() or FOLDER


@overload
def check_output(path: str, formats: Sequence[str]) -> Path: ...
@overload
def check_output(path: None, formats: Sequence[str]) -> None: ...
@overload
def check_output(path: str | None, formats: Sequence[str]) -> Path | None: ...
def check_output(path: str | None, formats: Sequence[str]) -> Path | None:
    """Return the path if something of one of those formats can be written there.

    Nothing that the command reads is ever overwritten: data, a model, a mask, by whatever path.

    Parameters
    ----------
    path
        As given; None, for stdout, stays None.
    formats
        Suffixes, or "folder".

    Raises
    ------
    CallError
        If the path is of another format, its folder is missing or cannot be written to, or it is
        what an option of the command says to read.
    """
    if path is None:
        return None
    output = Path(path)
    if format_of(path) not in formats:
        names = listed("a folder" if each == FOLDER else each for each in formats)
        extra = ", not a folder" if format_of(path) == FOLDER else ""
        raise CallError(f"{path}: the output must be {names}{extra}")
    parent = output.resolve().parent
    if not parent.is_dir():
        raise CallError(f"{path}: there is no folder {parent}")
    folder = output if format_of(path) == FOLDER and output.exists() else parent
    if not folder.is_dir():
        raise CallError(f"{path} is a file, not a folder")
    if not os.access(folder, os.W_OK):
        raise CallError(f"{path}: the folder {folder} cannot be written to")
    refuse_overwriting(output, inputs())
    return output


def inputs() -> list[Path]:
    """Return the files and folders that the running command is told to read.

    They are all that its arguments and options name, whatever these are for, but for where to
    write: so a new option is safe by itself.
    """
    return existing(text for name, text in CALL.get().items() if name not in OUTPUTS)


def existing(specs: Iterable[object]) -> list[Path]:
    """Return the paths among some values of options that exist."""
    paths = (os.path.expanduser(spec) for spec in specs if isinstance(spec, str))
    return [Path(path) for path in paths if os.path.exists(path)]


def refuse_overwriting(output: Path, read: Iterable[Path]) -> None:
    """Raise `CallError` where an output is something that is read, by this or another path."""
    if os.path.exists(output) and any(path.samefile(output) for path in read):
        raise CallError(f"{output}: the output would overwrite the input; give another path")


def check_names(folder: Path, names: Iterable[str]) -> None:
    """Raise `CallError` where a file to be written in a folder is one that is read.

    A link in the folder to a file that is read counts as that file.
    """
    if not folder.exists():
        return
    from ..data.pictures import pictures

    read = [file for path in inputs() for file in (pictures(path) if path.is_dir() else [path])]
    originals = {(status.st_dev, status.st_ino) for status in map(os.stat, read)}
    for path in (folder / name for name in names):
        if path.exists() and (path.stat().st_dev, path.stat().st_ino) in originals:
            raise CallError(
                f"{path}: the output would overwrite the input; give another folder than {folder}"
            )


def deliver(
    what: str,
    values: Any,
    path: Path | None,
    json: bool,
    model: Autoencoder,
    *,
    columns: Sequence[str] = (),
    names: Sequence[str] | None = None,
    sheet: Callable[[], Figure] | None = None,
    escape: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model's results to a file, a folder, stdout or into a JSON object, and say so.

    Parameters
    ----------
    what
        What the values are, for the JSON object and the message.
    values
        Array or data frame, one row a sample, or a list of texts.
    path
        A file, a folder, one picture; None for stdout.
    json
        Whether to answer with a JSON object, which holds the values where there is no path.
    model
        The model that gave them; pictures have its scale.
    columns
        Names of an array's columns; by default those of the model where it knows some.
    names
        File names of pictures in a folder.
    sheet
        Draws the picture of all of them; by default they lie side by side in it.
    escape
        Whether text in CSV that a spreadsheet would take for a formula is marked as text.
    extra
        What else the JSON object holds.
    """
    if not len(columns) and model.fitted_.target is model.fitted_.input:
        columns = model.columns_ or ()
    if path is not None and format_of(path) == FOLDER:
        pictures = as_pictures(values, path, model)
        write_pictures(pictures, path, names or numbered(len(pictures)))
    elif path is not None and format_of(path) == ".png":
        pictures = as_pictures(values, path, model)
        if sheet is None:
            write_grid(pictures, path)
        else:
            save_figure(sheet(), path)
    elif path is not None:
        write_values(values, path, columns, escape=escape)
    elif not json:
        write_values(values, None, columns, escape=escape)
    shape = list(values.shape) if hasattr(values, "shape") else [len(values)]
    if path is not None and not json:
        say(f"{what}: {' × '.join(map(str, shape))} → {path}")
    if json:
        held = {"output": path} if path is not None else {what: _as_lists(values)}
        size = {"rows": len(values), "shape": shape}
        answer({**size, **held, **(extra or {})}, json, lambda: None)


def _as_lists(values: Any) -> Any:
    """Return a data frame as lists by column; an array as it is."""
    if is_frame(values):
        import narwhals

        return dict(narwhals.from_native(values).to_dict(as_series=False))
    return values


def as_pictures(values: Any, path: Path, model: Autoencoder) -> NDArray[Any]:
    """Return values as pictures of bytes, (n, h, w, c), black and white the ends of their scale."""
    import numpy as np

    data = model.fitted_.target
    if len(data.shape) != 3:
        raise CallError(f"{path}: rows of numbers are no pictures; write a .npy, .csv or .parquet")
    scaled = data.scaling_map.transform(data.layout.to_model_shape(np.asarray(values)))
    low, high = data.bounds or data.range
    shades = np.rint((scaled - low) * (255 / (high - low))).clip(0, 255)
    return np.moveaxis(shades.astype(np.uint8), 1, -1)


def write_values(
    values: Any, path: Path | None, columns: Sequence[str] = (), *, escape: bool = True
) -> None:
    """Write an array or a data frame, without a path as CSV to stdout; or texts, one a line.

    Parameters
    ----------
    values
        Array of any shape, one row a sample, a data frame, or a list of texts.
    path
        Ending in ``.npy``, ``.csv`` or ``.parquet``, of texts in ``.txt``.
    columns
        Names for the columns of an array; CSV and Parquet hold each sample as one flat row.
    escape
        Whether text in CSV that a spreadsheet would take for a formula is marked as text.
    """
    import numpy as np

    texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    suffix = TEXT if path is None else path.suffix.lower()
    if texts != (suffix == TEXT) and path is not None:
        right = ".txt" if texts else ".npy, .csv or .parquet"
        raise CallError(f"{path}: {'texts are' if texts else 'this is'} written to {right}")
    if texts:
        _write_lines(values, path)
        return
    if path is None:
        _write_csv(values, columns, sys.stdout, escape=escape)
        return
    if suffix == ".npy" and is_frame(values):
        values = _numbers(values, path)
    with atomic(path) as temporary:
        if suffix == ".npy":
            with open(temporary, "wb") as file:
                np.save(file, np.asarray(values), allow_pickle=False)
        elif suffix == ".parquet":
            _write_parquet(values, columns, temporary)
        else:
            with open(
                temporary, "w", encoding="utf-8", errors="backslashreplace", newline=""
            ) as text:
                _write_csv(values, columns, text, escape=escape)


def passing(X: Any) -> Iterator[Any] | None:
    """Return the parts of rows that stay on the disk; None of rows in memory.

    Parameters
    ----------
    X
        The rows.
    """
    from ..data.sources import on_disk

    source = on_disk(X)
    return None if source is None else source.even()


def parts_of(X: Any, path: Path | None) -> Iterator[Any] | None:
    """Return the same where results can be written part by part: to a table or a folder.

    Parameters
    ----------
    X
        The rows.
    path
        Where the results go.
    """
    return passing(X) if path is not None and format_of(path) in (*TABLES, FOLDER) else None


class Lowest:
    """The lowest of many scores that pass by, how many they are and their mean.

    Parameters
    ----------
    most
        How many of the lowest are kept.
    below
        Only scores below it are kept.
    """

    def __init__(self, most: int, below: float = math.inf) -> None:
        import numpy as np

        self.most, self.below = most, below
        self.count, self.total = 0, 0.0
        self.rows, self.scores = np.zeros(0, np.int64), np.zeros(0)

    @property
    def mean(self) -> float:
        """The mean of all scores."""
        return self.total / max(self.count, 1)

    def add(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Look at the scores of the next rows, (n,), and return them."""
        import numpy as np

        found = np.flatnonzero(scores < self.below) if self.most else np.zeros(0, np.int64)
        kept = np.concatenate([self.scores, scores[found]])
        rows = np.concatenate([self.rows, self.count + found])
        order = np.argsort(kept, kind="stable")[: self.most]
        self.scores, self.rows = kept[order], rows[order]
        self.count += len(scores)
        self.total += float(scores.sum(dtype=np.float64))
        return scores


def deliver_parts(
    what: str,
    parts: Iterator[Any],
    rows: int,
    path: Path | None,
    columns: Sequence[str] = (),
    *,
    json: bool,
    escape: bool = True,
) -> None:
    """Write results to a file as they come, in the memory of a part, and say so.

    Parameters
    ----------
    what
        What the values are.
    parts
        Arrays or data frames that go one after the other.
    rows
        How many rows they have together.
    path, columns, escape
        As for `write_values`.
    json
        Whether to answer with a JSON object.
    """
    assert path is not None
    shape = [rows, *write_parts(parts, rows, path, columns, escape=escape)]
    told = f"{what}: {' × '.join(map(str, shape))} → {path}"
    answer({"rows": rows, "shape": shape, "output": path}, json, lambda: say(told))


def write_parts(
    parts: Iterator[Any], rows: int, path: Path, columns: Sequence[str] = (), *, escape: bool = True
) -> list[int]:
    """Write results to a table as they come, in the memory of a part; return the shape of a row.

    Parameters
    ----------
    parts, rows, columns, escape
        As for `deliver_parts`.
    path
        Ending in ``.npy``, ``.csv`` or ``.parquet``.
    """
    write = {".npy": _npy_parts, ".parquet": _parquet_parts, ".csv": _csv_parts}[format_of(path)]
    with atomic(path) as temporary:
        try:
            return write(parts, rows, columns, temporary, escape)
        except CallError as error:
            raise CallError(str(error).replace(str(temporary), str(path))) from None


def _npy_parts(
    parts: Iterator[Any], rows: int, columns: Sequence[str], path: Path, escape: bool
) -> list[int]:
    """Write arrays one after the other as one ``.npy``, and return the shape of a row."""
    import numpy as np

    shape: list[int] = []
    with open(path, "wb") as file:
        for part in parts:
            values = np.ascontiguousarray(_numbers(part, path) if is_frame(part) else part)
            if not file.tell():
                shape = list(values.shape[1:])
                header = np.lib.format.header_data_from_array_1_0(values)
                np.lib.format.write_array_header_1_0(
                    file, header | {"shape": (rows, *shape), "fortran_order": False}
                )
            file.write(values.data)
    return shape


def _parquet_parts(
    parts: Iterator[Any], rows: int, columns: Sequence[str], path: Path, escape: bool
) -> list[int]:
    """Write arrays or data frames as one Parquet file, of a row group for some parts each."""
    import pyarrow
    import pyarrow.parquet

    writer, waiting = None, []
    try:
        for part in parts:
            table = _table(part, columns)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(path, table.schema)
            waiting.append(table.cast(writer.schema))
            if sum(each.num_rows for each in waiting) >= GROUP:
                writer.write_table(pyarrow.concat_tables(waiting))
                waiting = []
        if writer is not None and waiting:
            writer.write_table(pyarrow.concat_tables(waiting))
    finally:
        if writer is not None:
            writer.close()
    return [len(writer.schema)] if writer is not None else []


def _csv_parts(
    parts: Iterator[Any], rows: int, columns: Sequence[str], path: Path, escape: bool
) -> list[int]:
    """Write arrays or data frames as one CSV file, with one line of names."""
    width = 0
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        for i, part in enumerate(parts):
            text = io.StringIO(newline="")
            _write_csv(part, columns, text, escape=escape)
            lines = text.getvalue()
            width = part.shape[1] if is_frame(part) else _flat(part[:1], columns)[0].shape[1]
            file.write(lines if i == 0 else lines[_end_of_line(lines) :])
    return [width]


def _end_of_line(text: str) -> int:
    """Return where the second line of CSV begins; names may be quoted, and hold line ends."""
    quoted = False
    for place, letter in enumerate(text):
        quoted ^= letter == '"'
        if letter == "\n" and not quoted:
            return place + 1
    return len(text)


def _table(values: Any, columns: Sequence[str]) -> Any:
    """Return an array or a data frame as Arrow has it."""
    import pyarrow

    if is_frame(values):
        import narwhals

        return narwhals.from_native(values, eager_only=True).to_arrow()
    flat, names = _flat(values, columns)
    return pyarrow.table(dict(zip(names, flat.T, strict=True)))


def _numbers(frame: Any, path: Path) -> NDArray[Any]:
    """Return a data frame of numbers as an array, or refuse one that holds something else."""
    from ..data.arrays import matrix
    from ..errors import DataError

    try:
        return matrix(frame)
    except DataError as error:
        raise CallError(f"{path}: {error}; write a .csv or .parquet") from None


def _write_lines(values: list[str], path: Path | None) -> None:
    """Write texts, one a line."""
    if path is None:
        sys.stdout.writelines(f"{value}\n" for value in values)
        return
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"{value}\n" for value in values)


def _write_csv(values: Any, columns: Sequence[str], file: TextIO, *, escape: bool) -> None:
    """Write values as CSV with a line of column names."""
    if is_frame(values):
        import narwhals

        frame = narwhals.from_native(values, eager_only=True)
        file.write((_escaped_frame(frame) if escape else frame).write_csv(None))
        return
    flat, names = _flat(values, columns)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(escaped, names) if escape else names)
    for start in range(0, len(flat), BLOCK):
        writer.writerows(flat[start : start + BLOCK].astype(str).tolist())


def _escaped_frame(frame: Any) -> Any:
    """Return a frame of narwhals with text that looks like a formula marked as text."""
    import narwhals

    for series in frame.iter_columns():
        if series.dtype.is_numeric() or series.dtype.is_temporal():
            continue
        cells = series.to_list()
        marked = [escaped(cell) if isinstance(cell, str) else cell for cell in cells]
        if marked != cells:
            texts = [None if cell is None or cell != cell else str(cell) for cell in marked]
            frame = frame.with_columns(
                narwhals.new_series(
                    series.name, texts, narwhals.String, backend=frame.implementation
                )
            )
    return frame.rename({name: escaped(name) for name in frame.columns if escaped(name) != name})


def escaped(cell: str) -> str:
    """Return text with an apostrophe before it where a spreadsheet would take it for a formula.

    >>> [escaped(cell) for cell in ("=1+1", "-5", "@home", "a-b")]
    ["'=1+1", '-5', "'@home", 'a-b']
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def _write_parquet(values: Any, columns: Sequence[str], path: Path) -> None:
    """Write values as a Parquet file."""
    if is_frame(values):
        import narwhals

        narwhals.from_native(values).write_parquet(path)
        return
    import pyarrow.parquet

    pyarrow.parquet.write_table(_table(values, columns), path)


def _flat(values: Any, columns: Sequence[str]) -> tuple[NDArray[Any], list[str]]:
    """Return an array as one flat row a sample, and a name for each column."""
    import numpy as np

    flat = np.asarray(values).reshape(len(values), -1)
    return flat, list(columns) or [f"x{i}" for i in range(flat.shape[1])]


def write_pictures(pictures: Iterable[NDArray[Any]], folder: Path, names: Sequence[str]) -> None:
    """Write pictures (h, w) or (h, w, c) into a folder, made if missing: all of them or none.

    A picture that the command reads is not overwritten.

    Parameters
    ----------
    pictures
        Bytes; they may be of several sizes.
    folder
        Where to.
    names
        Of the files, with the folders they are in below.
    """
    check_names(folder, names)
    with staging(folder) as stage:
        for picture, name in zip(pictures, names, strict=True):
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _image(picture).save(path, quality=95)


def numbered(count: int) -> list[str]:
    """Return names for so many pictures that have none."""
    digits = len(str(count - 1))
    return [f"{i:0{digits}}.png" for i in range(count)]


def write_grid(pictures: NDArray[Any], path: Path, columns: int | None = None) -> None:
    """Write pictures side by side in one PNG, small ones enlarged, a white line between them."""
    import numpy as np

    factor = -(-SIDE // max(pictures.shape[1:3]))
    tiles = pictures.repeat(factor, axis=1).repeat(factor, axis=2)
    columns = columns or int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    height, width = (size + GAP for size in tiles.shape[1:3])
    size = (rows * height + GAP, columns * width + GAP, *tiles.shape[3:])
    sheet = np.full(size, 255, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * height + GAP, (i % columns) * width + GAP
        sheet[top : top + height - GAP, left : left + width - GAP] = tile
    with atomic(path) as temporary:
        _image(sheet).save(temporary, format="PNG")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure of matplotlib's, in the format that the suffix names."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().removeprefix("."))


def _image(picture: NDArray[Any]) -> Image:
    """Return a picture of 1 to 4 channels as Pillow has it."""
    import numpy as np
    from PIL import Image

    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    return Image.fromarray(np.ascontiguousarray(picture))
