"""What a command works on: the data and the model it is called with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import LatenteError, ParameterError
from ..parts import listed
from .guard import Refusal

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set's name (see `latente datasets`), a file (.npy, .npz, .csv, .parquet, IDX) "
        "or a folder of pictures.",
        show_default=False,
    ),
]
Model = Annotated[
    str, typer.Option("--model", "-m", metavar="FILE", help="The model, a .safetensors file.")
]
Size = Annotated[
    str | None,
    typer.Option(metavar="WxH", help="Resize the pictures of a folder, such as 64x64."),
]
Label = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="The column of a table that holds labels, not data."),
]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Use the first N rows only.")]
Split = Annotated[
    str,
    typer.Option(metavar="train|test|all", help="Which rows, of a data set that has a test part."),
]
Output = Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="Where to write.")]
MaybeOutput = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="PATH", help="Where to write; stdout without it."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="INTEGER", help="Of the random numbers.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]

SPLITS = ("train", "test", "all")
HELD_OUT = "held-out"


@dataclass(frozen=True)
class Rows:
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
    paths: tuple[str, ...] | None
    data: Dataset

    def __len__(self) -> int:
        return len(self.X)

    @property
    def labels(self) -> Any:
        """The labels, as the names of their classes where they have any; or None."""
        if self.y is None or self.data.classes is None:
            return self.y
        return [self.data.classes[label] for label in self.y]


def open_data(spec: str, size: str | None = None, label: str | None = None) -> Dataset:
    """Read the data that a name, a file or a folder stands for.

    Parameters
    ----------
    spec
        As given for DATA.
    size
        Size of pictures to resize to, ``"64x64"``.
    label
        Name of the column that holds labels.

    Raises
    ------
    Refusal
        If there is no such thing.
    """
    from ..data import readers
    from ..datasets import DATASETS

    try:
        return readers.open_data(spec, size=size, label=label)
    except LatenteError as error:
        if Path(spec).exists() or spec in DATASETS:
            raise
        raise Refusal(str(error)) from None


def open_rows(
    spec: str,
    split: str = "train",
    limit: int | None = None,
    size: str | None = None,
    label: str | None = None,
) -> Rows:
    """Read data and take the rows to work on.

    Parameters
    ----------
    spec, size, label
        As for `open_data`.
    split
        "train", "test" or "all"; "held-out" is the test part of data that have one, else all there
        is. "test" of data without a test part is an error.
    limit
        How many rows to take, from the first.
    """
    if split not in (*SPLITS, HELD_OUT):
        raise ParameterError(f"--split {split}: choose {listed(SPLITS)}")
    data = open_data(spec, size, label)
    if split == HELD_OUT:
        split = "train" if data.X_test is None else "test"
    if split == "test" and data.X_test is None:
        raise ParameterError(f"{data.name} has no test part; leave out --split test")
    pieces = [(data.X, data.y)] if split != "test" else [(data.X_test, data.y_test)]
    if split == "all" and data.X_test is not None:
        pieces.append((data.X_test, data.y_test))
    X, y = (joined([piece[i] for piece in pieces]) for i in range(2))
    paths = data.paths if split == "train" or data.X_test is None else None
    return Rows(X[:limit], None if y is None else y[:limit], paths and paths[:limit], data)


def joined(pieces: list[Any]) -> Any:
    """Return arrays or data frames one after the other; None where one of them is None."""
    if len(pieces) == 1 or any(piece is None for piece in pieces):
        return pieces[0] if len(pieces) == 1 else None
    if hasattr(pieces[0], "columns"):
        import narwhals

        frames = [narwhals.from_native(piece) for piece in pieces]
        return narwhals.concat(frames).to_native()
    import numpy as np

    return np.concatenate(pieces)


def open_model(path: str) -> Autoencoder:
    """Read the model in a file.

    Raises
    ------
    Refusal
        If there is no such file.
    """
    if not Path(path).exists():
        raise Refusal(f"{path}: there is no such model; `latente fit` makes one")
    from ..estimator import Autoencoder

    return Autoencoder.load(path)
