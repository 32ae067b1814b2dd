"""What a command works on: DATA, the model, and the options that say how to read them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ..errors import DataError, FileError, ParameterError
from ..parts import listed
from .console import CallError

if TYPE_CHECKING:
    from ..anomaly.detector import AnomalyDetector
    from ..data.dataset import Dataset
    from ..data.preparation import Preparation
    from ..estimator import Autoencoder

F = TypeVar("F", bound=Callable[..., Any])

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set's name (see `latente datasets`), a file (.npy, .npz, .csv, .tsv, .txt, "
        ".parquet, .feather, IDX) or a folder of pictures.",
        show_default=False,
    ),
]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="FILE", help="The model, a .safetensors file.")
]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Use the first N rows only.")]
Split = Annotated[
    str,
    typer.Option(metavar="train|test|all", help="Which rows, of a data set that has a test part."),
]
MaybeSplit = Annotated[
    str | None,
    typer.Option(
        metavar="train|test|all",
        help="Which rows; the test part, of a data set that has one.",
        show_default=False,
    ),
]
Output = Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="Where to write.")]
MaybeOutput = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="PATH", help="Where to write; stdout without it."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="INTEGER", help="Of the random numbers.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]

READING: dict[str, Any] = {
    "size": Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Bring the pictures of a folder to one size: 64x64."),
    ],
    "label": Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column or array that holds labels, not data."),
    ],
    "key": Annotated[
        str | None, typer.Option(metavar="NAME", help="The array of an .npz that holds the data.")
    ],
    "decimal": Annotated[
        str | None,
        typer.Option(metavar="SIGN", help="The decimal sign of a table of text: . or ,"),
    ],
    "thousands": Annotated[
        str | None,
        typer.Option(
            metavar="SIGN",
            help="What stands between thousands in a table of text: , . ' a blank, or none.",
        ),
    ],
    "encoding": Annotated[
        str | None, typer.Option(metavar="NAME", help="The encoding of text, such as cp1252.")
    ],
}
"""Options that say how DATA are to be read, of every command that reads some."""
SPLITS = ("train", "test", "all")


def with_options(*groups: Mapping[str, Any]) -> Callable[[F], F]:
    """Give a command options for what its ``**`` parameter receives: annotations by name.

    Each is None unless it is given.
    """

    def added(function: F) -> F:
        signature = inspect.signature(function, eval_str=True)
        kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        new = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
            for group in groups
            for name, annotation in group.items()
        ]
        vars(function)["__signature__"] = signature.replace(parameters=[*kept, *new])
        return function

    return added


@dataclass(frozen=True)
class Selection:
    """The rows a command works on.

    Parameters
    ----------
    X
        n rows or pictures: an array or a data frame.
    y
        Their labels, (n,), or None.
    paths
        The file each came from, or None.
    data
        The data set they belong to.
    """

    X: Any
    y: Any
    paths: Sequence[str] | None
    data: Dataset

    def __len__(self) -> int:
        return len(self.X)

    @property
    def labels(self) -> Any:
        """The labels, as the names of their classes where they have any; or None."""
        if self.y is None or self.data.classes is None:
            return self.y
        return [self.data.classes[label] for label in self.y]

    def file_names(self, spec: str) -> list[str] | None:
        """Return the names of the files they came from, relative to the folder they share.

        Parameters
        ----------
        spec
            DATA as given on the command line.
        """
        if self.paths is None or self.data.paths is None:
            return None
        root = Path(spec).expanduser()
        if not root.is_dir():
            root = Path(os.path.commonpath([Path(path).parent for path in self.data.paths]))
        return [os.path.relpath(path, root) for path in self.paths]

    def record(self, i: int, score: float, **more: Any) -> dict[str, Any]:
        """Return number and score of a row, what else is given, and its path and label if any."""
        found: dict[str, Any] = {"row": i, "score": score, **more}
        if self.paths is not None:
            found["path"] = self.paths[i]
        if self.labels is not None:
            found["label"] = self.labels[i]
        return found


def open_data(
    spec: str,
    *,
    n: int | None = None,
    size: str | None = None,
    label: str | None = None,
    **reading: Any,
) -> Dataset:
    """Read the data that a name, a file or a folder stands for.

    Parameters
    ----------
    spec
        As given for DATA.
    n
        How many samples to draw from it, always the same ones; None for all.
    size
        Width and height to bring pictures to, ``"64x48"``.
    label
        Name or place of the column, or name of the array, that holds labels.
    reading
        Further options of `latente.datasets.open_data`, such as `key` and `decimal`.

    Raises
    ------
    CallError
        If there is no such data set, file or folder.
    """
    from .. import datasets

    target = int(label) if label is not None and label.isdecimal() else label
    try:
        return datasets.open_data(spec, n=n, size=height_and_width(size), target=target, **reading)
    except FileError as error:
        if os.path.exists(os.path.expanduser(spec)) or spec in datasets.names():
            raise
        raise CallError(str(error)) from None


def height_and_width(size: str | None) -> tuple[int, int] | None:
    """Read a size such as ``64x48``, width first, as (height, width)."""
    if size is None:
        return None
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ParameterError(f"--size {size}: give width and height in pixels, such as 64x64")
    return int(height), int(width)


def open_rows(
    spec: str,
    split: str | None = "train",
    limit: int | None = None,
    *,
    model: Autoencoder | AnomalyDetector | None = None,
    at_once: bool = False,
    **reading: Any,
) -> Selection:
    """Read data and take the rows to work on.

    Parameters
    ----------
    spec, reading
        As for `open_data`.
    split
        "train", "test" or "all"; None is the test part of data that have one, else all there is.
    limit
        How many rows to take, from the first.
    model
        The fitted model or detector that takes them: the columns of a table are brought to those
        it was fitted on. None for rows to be learned from: a table in a file is a data frame then.
    at_once
        Whether all rows are needed at once, so that large ones are refused.

    Raises
    ------
    ParameterError
        If the test part is asked for of data that have none.
    DataError
        If the table lacks one of the model's columns, or rows that are needed at once are large.
    """
    from ..data.sources import at_hand, require_small

    if split not in (*SPLITS, None):
        raise ParameterError(f"--split {split}: choose {listed(SPLITS)}")
    data = open_data(spec, **reading)
    if model is None:
        data = as_table(data, spec)
    if split is None:
        split = "train" if data.X_test is None else "test"
    if split == "test" and data.X_test is None:
        raise ParameterError(f"{data.name} has no test part; leave out --split test")
    pieces = [(data.X, data.y)] if split != "test" else [(data.X_test, data.y_test)]
    if split == "all" and data.X_test is not None:
        pieces.append((data.X_test, data.y_test))
    X, y = (_joined([piece[i] for piece in pieces]) for i in range(2))
    paths = data.paths if split == "train" or data.X_test is None else None
    if model is not None:
        X = as_fitted(X, data, model)
    if limit is not None:
        X = at_hand(X[:limit])
    if at_once and is_streamed(X):
        require_small(X)
    return Selection(
        X,
        None if y is None else y[:limit],
        paths if limit is None or paths is None else paths[:limit],
        data,
    )


def _joined(pieces: list[Any]) -> Any:
    """Return arrays or data frames one after the other; None where one of them is None."""
    if len(pieces) == 1 or any(piece is None for piece in pieces):
        return pieces[0] if len(pieces) == 1 else None
    if is_frame(pieces[0]):
        import narwhals

        return narwhals.concat([narwhals.from_native(piece) for piece in pieces]).to_native()
    import numpy as np

    return np.concatenate(pieces)


def is_frame(X: Any) -> bool:
    """Whether X is a data frame."""
    return hasattr(X, "columns")


def is_streamed(X: Any) -> bool:
    """Whether rows stay on the disk and pass by in parts."""
    return hasattr(X, "parts")


def take(X: Any, index: Sequence[int] | Any) -> Any:
    """Return some rows of an array or a data frame, in the order asked for."""
    import numpy as np

    from ..data.dataset import take_rows

    return take_rows(X, np.asarray(index))


def as_table(data: Dataset, spec: str) -> Dataset:
    """Return a table that was read from a file as a data frame, also where all of it is numbers.

    So whole numbers come back whole, and a gap that is met later is filled.

    Parameters
    ----------
    data
        What `open_data` returned.
    spec
        As given for DATA.
    """
    from ..data.readers import chosen
    from ..data.tabular import frame_of

    path = Path(spec).expanduser()
    if not path.is_file() or is_frame(data.X) or is_streamed(data.X) or len(data.shape) != 1:
        return data
    names = data.names
    if names is None and "header" in chosen(path).options:
        names = nameless(data.shape[0])
    if names is None:
        return data
    return replace(data, X=frame_of(names, data.X), names=names)


def nameless(count: int) -> tuple[str, ...]:
    """Return what the columns of a file are called that does not name them."""
    return tuple(f"column {i}" for i in range(1, count + 1))


def by_position(X: Any, columns: Sequence[str]) -> Any:
    """Return rows as a data frame of columns of those names, which they are in the order of."""
    from ..data.tabular import frame_of

    if not is_frame(X):
        return frame_of(columns, X)
    import narwhals

    frame = narwhals.from_native(X, eager_only=True)
    return frame.rename(dict(zip(frame.columns, columns, strict=True))).to_native()


def as_fitted(X: Any, data: Dataset, model: Autoencoder | AnomalyDetector) -> Any:
    """Return rows with the columns that a model was fitted on, found by name, in their order.

    ::

        X, array or data frame, its columns named ──▶ array (n, features), or data frame
                                                      where the model was fitted on one

    They are found by their place where the file or the model has no names for them and, if only
    the file has none, all of the model's are numbers.

    Parameters
    ----------
    X
        Rows of the data.
    data
        The data set they belong to, which may know the names of its columns.
    model
        Fitted. Rows for one that does not know its columns' names stay as they are, and so do
        pictures.

    Raises
    ------
    DataError
        If a column, or the names of all of them, are missing, or a column has gaps or text
        where the model knows none.
    """
    from ..data.arrays import as_array
    from ..data.frames import shortened

    preparation = preparation_of(model)
    known = model.columns_ or []
    wants_frame = preparation.names is not None
    if is_streamed(X) and len(preparation.shape) == 1:
        return X.select(known) if known else X
    if wants_frame and data.shape == (len(known),):
        file_nameless = data.names in (None, nameless(len(known)))
        if tuple(known) == nameless(len(known)) or (preparation.table is None and file_nameless):
            return by_position(X, known)
    if data.names is None and wants_frame:
        raise DataError(
            f"{data.name} does not name its columns; the model was fitted on {shortened(known)}"
        )
    if data.names is None or len(preparation.shape) != 1:
        return X
    if wants_frame or any(name in data.names for name in known):
        X = select(X, data, known)
    if not wants_frame:
        return as_array(X, name=data.name, allow_missing=preparation.gaps) if is_frame(X) else X
    return X if is_frame(X) else by_position(X, known)


def select(X: Any, data: Dataset, columns: Sequence[str]) -> Any:
    """Return the columns of those names, in that order.

    Parameters
    ----------
    X
        Rows of the data: an array or a data frame.
    data
        The data set they belong to; it has names of columns.
    columns
        The names.

    Raises
    ------
    DataError
        If one of them is missing.
    """
    from ..data.frames import shortened

    names = data.names or ()
    if tuple(columns) == names:
        return X
    places = {name: i for i, name in enumerate(names)}
    missing = [name for name in columns if name not in places]
    if missing:
        raise DataError(
            f"{data.name} has no column {missing[0]!r}, which the model was fitted on; its columns "
            f"are {shortened(names)}"
        )
    if is_frame(X):
        import narwhals

        return narwhals.from_native(X, eager_only=True).select(*columns).to_native()
    return X[:, [places[name] for name in columns]]


def preparation_of(model: Autoencoder | AnomalyDetector) -> Preparation:
    """Return how a fitted model, or a detector, takes its data."""
    if hasattr(model, "ensemble_"):
        return model.ensemble_.preparation
    return model.fitted_.input


def open_model(path: str) -> Autoencoder:
    """Read the model in a file.

    Raises
    ------
    CallError
        If there is no such file.
    """
    if not os.path.exists(path):
        raise CallError(f"{path}: there is no such model; `latente fit` makes one")
    from ..estimator import Autoencoder

    return Autoencoder.load(path)
