"""``latente sample``, ``interpolate`` and ``edit``: new data from the latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from .console import say
from .data import (
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
    take,
    with_options,
)
from .output import ANYTHING, Escape, check_output, deliver

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..estimator import Autoencoder

Reference = Annotated[
    str | None,
    typer.Option(
        "--nearest", metavar="DATA", help="Say how far the nearest row of DATA is from each."
    ),
]
Number = Annotated[int, typer.Option("--number", "-n", metavar="N", min=1, help="How many.")]
Steps = Annotated[
    int, typer.Option(metavar="N", min=2, help="Stops on the way, both ends included.")
]
From = Annotated[int, typer.Argument(metavar="I", help="Row to start from; the first is 0.")]
To = Annotated[int, typer.Argument(metavar="J", help="Row to end at.")]
Curve = Annotated[
    str, typer.Option("--path", metavar="linear|spherical", help="A straight line, or an arc.")
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


def sample(
    model: Model,
    number: Number = 64,
    output: MaybeOutput = None,
    seed: Seed = 0,
    nearest: Reference = None,
    escape_formulas: Escape = True,
    json: Json = False,
) -> None:
    """Draw new data from the model.

    Codes are drawn from the model's prior or, where it has none, near the codes of the training
    data, and decoded: to a .npy, .csv or .parquet file, as CSV to stdout, or pictures into a folder
    or, side by side, into one .png. With --nearest the row of DATA nearest to each is reported, and
    how far it is: whether what is new is new.
    """
    path = check_output(output, ANYTHING)
    autoencoder = open_model(model)
    drawn = autoencoder.sample(number, random_state=seed)
    extra: dict[str, Any] = {}
    rows: dict[str, Any] = {"": drawn}
    captions = [str(i) for i in range(number)]
    if nearest is not None:
        known = open_rows(nearest, "train", None, model=autoencoder).X
        extra = nearest_rows(autoencoder, drawn, nearest, known)
        rows = {"nearest": take(known, extra["nearest"]), "new": drawn}
        captions = [f"{distance:.3f} away" for distance in extra["distance"]]

    def sheet() -> Figure:
        from ..figures import sheet

        return sheet(rows, captions)

    deliver(
        "samples", drawn, path, json, autoencoder, sheet=sheet, escape=escape_formulas, extra=extra
    )


@with_options(READING)
def interpolate(
    data: Data,
    start: From,
    end: To,
    model: Model,
    steps: Steps = 10,
    output: MaybeOutput = None,
    split: Split = "train",
    curve: Curve = "linear",
    escape_formulas: Escape = True,
    json: Json = False,
    **reading: Any,
) -> None:
    """Walk through the latent space from one row to another.

    The codes of rows I and J of DATA are joined by a line or an arc, and the stops on it decoded:
    to a .npy, .csv or .parquet file, as CSV to stdout, or pictures into a folder or into one .png.
    """
    from .. import latent

    path = check_output(output, ANYTHING)
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    for i in (start, end):
        if not 0 <= i < len(rows):
            raise ParameterError(f"row {i}: {rows.data.name} has rows 0 to {len(rows) - 1} here")
    codes = autoencoder.transform(take(rows.X, [start, end]))
    walk = autoencoder.inverse_transform(latent.interpolate(codes[0], codes[1], steps, path=curve))

    def sheet() -> Figure:
        from ..figures import interpolation

        a, b = (take(rows.X, [i]) for i in (start, end))
        return interpolation(autoencoder, a, b, steps, path=curve)

    deliver("steps", walk, path, json, autoencoder, sheet=sheet, escape=escape_formulas)


@with_options(READING)
def edit(
    data: Data,
    model: Model,
    present: Present,
    absent: Absent,
    strength: Strength = 1.0,
    keep_detail: Detail = False,
    output: MaybeOutput = None,
    escape_formulas: Escape = True,
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

    path = check_output(output, ANYTHING)
    autoencoder = open_model(model)
    codes = [
        autoencoder.transform(open_rows(each, "train", None, model=autoencoder, **reading).X)
        for each in (present, absent)
    ]
    rows = open_rows(data, split, limit, model=autoencoder, at_once=True, **reading)
    edited = latent.edit(
        autoencoder, rows.X, latent.direction(*codes), strength, keep_detail=keep_detail
    )
    names = rows.file_names(data)

    def sheet() -> Figure:
        from ..figures import sheet

        captions = [f"row {i}" for i in range(len(rows))] if names is None else names
        captions = [Path(name).stem[-14:] for name in captions]
        return sheet({"original": rows.X, "edited": edited}, captions)

    deliver(
        "edited", edited, path, json, autoencoder, sheet=sheet, names=names, escape=escape_formulas
    )


def nearest_rows(model: Autoencoder, drawn: Any, spec: str, known: Any) -> dict[str, Any]:
    """Say how near known rows come to samples, and return it for a JSON object.

    Parameters
    ----------
    model
        What drew the samples.
    drawn
        The samples.
    spec
        What the known rows are called.
    known
        They themselves.
    """
    import numpy as np

    from .. import latent

    near = latent.nearest(model, drawn, known)
    distances = near.distances[:, 0]
    say(
        f"nearest rows of {spec}: {distances.min():.4f}, {np.median(distances):.4f} and "
        f"{distances.max():.4f} away (least, median, most; root mean square a value)"
    )
    return {"nearest": near.rows[:, 0], "distance": distances}
