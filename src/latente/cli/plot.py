"""``latente plot``: figures of a model, each a sub-command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from .console import answer, say
from .data import (
    READING,
    Data,
    Json,
    Limit,
    MaybeSplit,
    Model,
    Seed,
    open_model,
    open_rows,
    with_options,
)
from .output import check_output, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")

FigureFile = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="Where to: a .png, .svg or .pdf.")
]
Shape = Annotated[
    str | None,
    typer.Option(metavar="HxW", help="Draw rows of numbers as pictures of this shape: 28x28."),
]
Pca = Annotated[bool, typer.Option("--pca", help="Put the map that PCA makes beside it.")]


def number(text: str) -> Any:
    """Return the option that says how many."""
    return typer.Option("--number", "-n", metavar="N", min=1, help=text)


def history(model: Model, output: FigureFile, json: Json = False) -> None:
    """Draw each term of the loss, epoch by epoch."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.history(autoencoder), path, json)


@with_options(READING)
def reconstructions(
    data: Data,
    model: Model,
    output: FigureFile,
    n: Annotated[int, number("How many, spread evenly over DATA.")] = 10,
    shape: Shape = None,
    split: MaybeSplit = None,
    seed: Seed = 0,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw originals over what comes back of them, and what the encoder saw if corrupted."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    from .. import figures

    drawn = figures.reconstructions(autoencoder, rows.X, n, shape=sides(shape), random_state=seed)
    save(drawn, path, json)


@with_options(READING)
def latent_map(
    data: Data,
    model: Model,
    output: FigureFile,
    pca: Pca = False,
    limit: Limit = None,
    shape: Shape = None,
    split: MaybeSplit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw where rows lie in code space, coloured by class."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    from .. import figures

    draw = figures.latent_map_beside_pca if pca else figures.latent_map
    save(draw(autoencoder, rows.X, rows.labels, shape=sides(shape)), path, json)


def grid(
    model: Model,
    output: FigureFile,
    n: Annotated[int, number("Steps along each side.")] = 20,
    shape: Shape = None,
    json: Json = False,
) -> None:
    """Draw what the decoder makes of a square grid over the code space."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.decode_grid(autoencoder, n, shape=sides(shape)), path, json)


def samples(
    model: Model,
    output: FigureFile,
    n: Annotated[int, number("How many.")] = 64,
    shape: Shape = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw new data from the model."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.samples(autoencoder, n, shape=sides(shape), random_state=seed), path, json)


@with_options(READING)
def anomalies(
    data: Data,
    model: Model,
    output: FigureFile,
    n: Annotated[int, number("How many.")] = 10,
    shape: Shape = None,
    split: MaybeSplit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw the most anomalous rows, and how the scores of all are spread."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    from .. import figures

    save(figures.anomalies(autoencoder, rows.X, n, shape=sides(shape)), path, json)


plot = {
    "history": history,
    "reconstructions": reconstructions,
    "map": latent_map,
    "grid": grid,
    "samples": samples,
    "anomalies": anomalies,
}
"""The sub-commands."""


def sides(shape: str | None) -> tuple[int, ...] | None:
    """Read a picture's shape from text such as ``28x28`` or ``32x32x3``."""
    if shape is None:
        return None
    words = shape.lower().split("x")
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(words) not in (2, 3):
        raise ParameterError(f"--shape {shape}: give height and width, such as 28x28")
    return tuple(map(int, words))


def save(drawn: Figure, path: Path, json: bool) -> None:
    """Write a figure to its file, and say so."""
    save_figure(drawn, path)
    answer({"output": path}, json, lambda: say(f"figure → {path}"))
