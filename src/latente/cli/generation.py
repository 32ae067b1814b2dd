"""``latente sample``, ``interpolate`` and ``edit``: new data from the latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from .codes import names_of
from .guard import say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
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
    from ..estimator import Autoencoder
    from .inputs import Rows

WAYS = ("linear", "spherical")

Beside = Annotated[
    str | None,
    typer.Option(
        "--nearest",
        metavar="DATA",
        help="Tell how far the nearest row of DATA is.",
    ),
]
Way = Annotated[
    str, typer.Option("--path", metavar="|".join(WAYS), help="A straight line, or an arc.")
]
Present = Annotated[
    str, typer.Option("--with", metavar="DATA", help="Data that have the attribute.")
]
Absent = Annotated[str, typer.Option("--without", metavar="DATA", help="Data that lack it.")]
Strength = Annotated[
    float, typer.Option(metavar="X", help="1 puts the attribute on, -1 takes it off.")
]
Detail = Annotated[
    bool, typer.Option("--keep-detail", help="Keep of each picture what the code cannot hold.")
]
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
    nearest: Beside = None,
    json: Json = False,
) -> None:
    """Draw new data from the model.

    Codes are drawn from the prior of a variational model, and near the codes of the training data
    of any other, and decoded: to a .npy, .csv or .parquet file, as CSV to stdout, or pictures into
    a folder or, side by side, into one .png. With --nearest the row of DATA nearest to each is
    told, and how far it is: whether what is new is new.
    """
    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    drawn = autoencoder.sample(number, random_state=seed)
    beside = {} if nearest is None else tell_nearest(autoencoder, drawn, nearest)
    deliver("samples", drawn, path, json, autoencoder, beside=beside)


@with_options(READING)
def interpolate(
    data: Data,
    start: From,
    end: To,
    model: Model,
    steps: Steps = 10,
    output: MaybeOutput = None,
    split: Split = "train",
    way: Way = "linear",
    json: Json = False,
    **reading: Any,
) -> None:
    """Walk through the latent space from one row to another.

    The codes of rows I and J of DATA are joined by a line or an arc, and the stops on it decoded:
    to a .npy, .csv or .parquet file, as CSV to stdout, or pictures into a folder or into one .png.
    """
    from .. import latent

    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    codes = autoencoder.transform(ends(rows, start, end))
    walk = autoencoder.inverse_transform(latent.interpolate(codes[0], codes[1], steps, path=way))
    deliver("steps", walk, path, json, autoencoder, across=steps)


@with_options(READING)
def edit(
    data: Data,
    model: Model,
    present: Present,
    absent: Absent,
    strength: Strength = 1.0,
    keep_detail: Detail = False,
    output: MaybeOutput = None,
    split: Split = "train",
    limit: Limit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Put an attribute on data, or take it off.

    Glasses, a smile, a season: the mean code of the data that have it less the mean code of those
    that lack it is the direction in which the codes of DATA are moved before they are decoded: to a
    .npy, .csv or .parquet file, as CSV to stdout, or pictures into a folder, under the names they
    had, or into one .png.
    """
    from .. import latent

    path = checked(output, ANYTHING) if output else None
    autoencoder = open_model(model)
    codes = [
        autoencoder.transform(open_rows(each, "train", None, model=autoencoder, **reading).X)
        for each in (present, absent)
    ]
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    edited = latent.edit(
        autoencoder, rows.X, latent.direction(*codes), strength, keep_detail=keep_detail
    )
    deliver("edited", edited, path, json, autoencoder, names=names_of(rows, data))


def tell_nearest(autoencoder: Autoencoder, drawn: Any, spec: str) -> dict[str, Any]:
    """Say how near the rows of some data come to samples, and return it for a JSON object."""
    import numpy as np

    from .. import latent

    near = latent.nearest(autoencoder, drawn, open_rows(spec, "train", None, model=autoencoder).X)
    distances = near.distances[:, 0]
    say(
        f"nearest rows of {spec}: {distances.min():.4f}, {np.median(distances):.4f} and "
        f"{distances.max():.4f} away (least, median, most; root mean square a value)"
    )
    return {"nearest": near.rows[:, 0], "distance": distances}


def ends(rows: Rows, start: int, end: int) -> object:
    """Return the two rows, or say which rows there are."""
    import numpy as np

    from ..data.dataset import take_rows as taken

    for index in (start, end):
        if not 0 <= index < len(rows):
            raise ParameterError(
                f"row {index}: {rows.data.name} has rows 0 to {len(rows) - 1} here"
            )
    return taken(rows.X, np.array([start, end]))
