"""``latente plot``: figures of a model, each a sub-command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from ..storage.files import atomic
from . import output as out
from .guard import say
from .inputs import (
    READING,
    Data,
    Json,
    Limit,
    Model,
    Seed,
    open_model,
    open_rows,
    with_options,
)
from .sections import HELP, Command, application
from .sinks import checked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")

Target = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="Where to: a .png, .svg or .pdf.")
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="train|test|all",
        help="Which rows; the test part, of a data set that has one.",
        show_default=False,
    ),
]
Shape = Annotated[
    str | None,
    typer.Option(metavar="HxW", help="Draw rows of numbers as pictures of this shape: 28x28."),
]
Pca = Annotated[bool, typer.Option("--pca", help="Put the map that PCA makes beside it.")]

plot = application(
    add_completion=False,
    help="Draw a figure: history, reconstructions, map, grid, samples, anomalies.",
)


def number(text: str) -> Any:
    """Return the option that says how many."""
    return typer.Option("--number", "-n", metavar="N", min=1, help=text)


def figure(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a sub-command."""
    return plot.command(name, cls=Command, context_settings=HELP)


@figure("history")
def history(model: Model, output: Target, json: Json = False) -> None:
    """Draw each term of the loss, epoch by epoch."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.history(autoencoder), path, json)


@figure("reconstructions")
@with_options(READING)
def reconstructions(
    data: Data,
    model: Model,
    output: Target,
    n: Annotated[int, number("How many, spread evenly over DATA.")] = 10,
    shape: Shape = None,
    split: Split = None,
    seed: Seed = 0,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw originals over what comes back of them, and what the encoder saw if corrupted."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    from .. import figures

    drawn = figures.reconstructions(autoencoder, rows.X, n, shape=sides(shape), random_state=seed)
    save(drawn, path, json)


@figure("map")
@with_options(READING)
def latent_map(
    data: Data,
    model: Model,
    output: Target,
    pca: Pca = False,
    limit: Limit = None,
    shape: Shape = None,
    split: Split = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw where rows lie in code space, coloured by class."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, **reading)
    from .. import figures

    draw = figures.latent_map_beside_pca if pca else figures.latent_map
    save(draw(autoencoder, rows.X, rows.labels, shape=sides(shape)), path, json)


@figure("grid")
def grid(
    model: Model,
    output: Target,
    n: Annotated[int, number("Steps along each side.")] = 20,
    shape: Shape = None,
    json: Json = False,
) -> None:
    """Draw what the decoder makes of a square grid over the code space."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.decode_grid(autoencoder, n, shape=sides(shape)), path, json)


@figure("samples")
def samples(
    model: Model,
    output: Target,
    n: Annotated[int, number("How many.")] = 64,
    shape: Shape = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Draw new data from the model."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.samples(autoencoder, n, shape=sides(shape), random_state=seed), path, json)


@figure("anomalies")
@with_options(READING)
def anomalies(
    data: Data,
    model: Model,
    output: Target,
    n: Annotated[int, number("How many.")] = 10,
    shape: Shape = None,
    split: Split = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw the rows that belong least, and how the scores of all are spread."""
    path = checked(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, None, model=autoencoder, **reading)
    from .. import figures

    save(figures.anomalies(autoencoder, rows.X, n, shape=sides(shape)), path, json)


def sides(shape: str | None) -> tuple[int, ...] | None:
    """Read a picture's shape from text such as ``28x28`` or ``32x32x3``."""
    if shape is None:
        return None
    words = shape.lower().split("x")
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(words) not in (2, 3):
        raise ParameterError(f"--shape {shape}: give height and width, such as 28x28")
    return tuple(map(int, words))


def save(drawn: Figure, path: Path, json: bool) -> None:
    """Write a figure to its file."""
    with atomic(path) as place:
        drawn.savefig(place, format=path.suffix.lower().removeprefix("."))
    out.answer({"output": path}, json, lambda: say(f"figure → {path}"))
