"""``latente sample`` and ``interpolate``: new data from the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from .inputs import (
    READING,
    Data,
    Json,
    MaybeOutput,
    Model,
    Seed,
    Split,
    open_model,
    open_rows,
    with_options,
)
from .results import ANYTHING, deliver
from .sinks import checked

if TYPE_CHECKING:
    from .inputs import Rows

Number = Annotated[int, typer.Option("--number", "-n", metavar="N", min=1, help="How many.")]
Steps = Annotated[
    int, typer.Option(metavar="N", min=2, help="Stops on the way, both ends included.")
]
From = Annotated[int, typer.Argument(metavar="I", help="Row to start from; the first is 0.")]
To = Annotated[int, typer.Argument(metavar="J", help="Row to end at.")]


def sample(
    model: Model,
    number: Number = 64,
    output: MaybeOutput = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw new data from the model.

    Codes are drawn from the prior of a variational model, and near the codes of the training data
    of any other, and decoded: to a .npy, .csv or .parquet file, as CSV to stdout, or pictures into
    a folder or, side by side, into one .png.
    """
    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    drawn = autoencoder.sample(number, random_state=seed)
    deliver("samples", drawn, path, json, autoencoder)


@with_options(READING)
def interpolate(
    data: Data,
    start: From,
    end: To,
    model: Model,
    steps: Steps = 10,
    output: MaybeOutput = None,
    split: Split = "train",
    json: Json = False,
    **reading: Any,
) -> None:
    """Walk through the latent space from one row to another.

    The codes of rows I and J of DATA are joined by a straight line, and the stops on it decoded: to
    a .npy, .csv or .parquet file, as CSV to stdout, or pictures into a folder or into one .png.
    """
    import numpy as np

    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    codes = autoencoder.transform(ends(open_rows(data, split, None, **reading), start, end))
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    walk = autoencoder.inverse_transform((1 - shares) * codes[0] + shares * codes[1])
    deliver("steps", walk, path, json, autoencoder, across=steps)


def ends(rows: Rows, start: int, end: int) -> object:
    """Return the two rows, or say which rows there are."""
    import numpy as np

    from ..data.frames import rows as taken

    for index in (start, end):
        if not 0 <= index < len(rows):
            raise ParameterError(
                f"row {index}: {rows.data.name} has rows 0 to {len(rows) - 1} here"
            )
    return taken(rows.X, np.array([start, end]))
