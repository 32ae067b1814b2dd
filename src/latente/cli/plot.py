"""``latente plot``: figures of a model, each a sub-command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from functools import wraps
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
Dims = Annotated[
    str | None,
    typer.Option(metavar="I,J", help="Show these two numbers of the code; the first is 0."),
]
Thumbnails = Annotated[
    bool | None,
    typer.Option(
        "--thumbnails/--no-thumbnails",
        help="Draw pictures, or points; by default pictures up to 500.",
        show_default=False,
    ),
]
Range = Annotated[
    str | None,
    typer.Option(
        "--range",
        metavar="LOW,HIGH",
        help="Show this part of both axes; or LEFT,RIGHT,BOTTOM,TOP.",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME,...", help="Show only these classes (may be given several times)."),
]
Shaded = Annotated[
    bool, typer.Option("--density", help="Shade where 50, 80 and 95 % of the codes lie.")
]
Dark = Annotated[bool, typer.Option("--dark", help="Draw light on dark.")]
MaybeData = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="Data whose codes give the range and are looked for on the grid.",
        show_default=False,
    ),
]
Layer = Annotated[
    str,
    typer.Option(metavar="first|last", help="The encoder's first layer, or the decoder's last."),
]


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
    dims: Dims = None,
    thumbnails: Thumbnails = None,
    range_: Range = None,
    classes: Classes = None,
    density: Shaded = False,
    limit: Limit = None,
    shape: Shape = None,
    split: MaybeSplit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw where rows lie in code space, coloured by class."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    rows = open_rows(data, split, limit, model=autoencoder, at_once=True, **reading)
    from .. import figures

    draw = figures.latent_map_beside_pca if pca else figures.latent_map
    drawn = draw(
        autoencoder,
        rows.X,
        rows.labels,
        dims=numbers("--dims", dims, int, (2,)),
        thumbnails=thumbnails,
        classes=listed_classes(classes, rows.labels),
        limits=numbers("--range", range_, float, (2, 4)),
        density=density,
        shape=sides(shape),
    )
    save(drawn, path, json)


@with_options(READING)
def grid(
    model: Model,
    output: FigureFile,
    data: MaybeData = None,
    n: Annotated[int, number("Steps along each side.")] = 20,
    dims: Dims = None,
    range_: Range = None,
    limit: Limit = None,
    shape: Shape = None,
    split: MaybeSplit = None,
    json: Json = False,
    **reading: Any,
) -> None:
    """Draw what the decoder makes of a square grid over the code space.

    Pale is what lies where no code of DATA is; without DATA, no training code, or what the prior of
    a variational model holds for unlikely.
    """
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    X = None
    if data is not None:
        X = open_rows(data, split, limit, model=autoencoder, at_once=True, **reading).X
    from .. import figures

    drawn = figures.decode_grid(
        autoencoder,
        n,
        X=X,
        dims=numbers("--dims", dims, int, (2,)),
        limits=numbers("--range", range_, float, (2, 4)),
        shape=sides(shape),
    )
    save(drawn, path, json)


def filters(
    model: Model,
    output: FigureFile,
    n: Annotated[int, number("How many units, those with the greatest weights first.")] = 64,
    layer: Layer = "first",
    shape: Shape = None,
    json: Json = False,
) -> None:
    """Draw the weights of the encoder's first layer, or the decoder's last, one picture a unit."""
    path = check_output(output, SUFFIXES)
    autoencoder = open_model(model)
    from .. import figures

    save(figures.filters(autoencoder, n, layer=layer, shape=sides(shape)), path, json)


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


def with_theme(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--dark``."""
    signature = inspect.signature(function, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter("dark", kind, default=False, annotation=Dark)

    @wraps(function)
    def themed(*args: Any, dark: bool = False, **options: Any) -> None:
        theme: Any = nullcontext()
        if dark:
            from .. import figures

            theme = figures.theme("dark")
        with theme:
            function(*args, **options)

    new = signature.replace(parameters=[*signature.parameters.values(), option])
    vars(themed)["__signature__"] = new
    return themed


plot = {
    "history": with_theme(history),
    "reconstructions": with_theme(reconstructions),
    "map": with_theme(latent_map),
    "grid": with_theme(grid),
    "filters": with_theme(filters),
    "samples": with_theme(samples),
    "anomalies": with_theme(anomalies),
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


def numbers(
    flag: str, text: str | None, kind: type, counts: Collection[int]
) -> tuple[Any, ...] | None:
    """Read so many numbers from text such as ``0,2``.

    >>> numbers("--dims", "0,2", int, (2,))
    (0, 2)
    """
    if text is None:
        return None
    try:
        found = tuple(kind(word) for word in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in counts:
        example = "0,2" if kind is int else "-3,3"
        raise ParameterError(f"{flag} {text}: give numbers with commas between, such as {example}")
    return found


def listed_classes(texts: Sequence[str] | None, labels: Any) -> list[str] | None:
    """Return the classes that are asked for: a whole text where it is one, or its parts."""
    if not texts:
        return None
    known = set() if labels is None else {str(label) for label in labels}
    return [part for text in texts for part in ([text] if text in known else text.split(","))]


def save(drawn: Figure, path: Path, json: bool) -> None:
    """Write a figure to its file, and say so."""
    save_figure(drawn, path)
    answer({"output": path}, json, lambda: say(f"figure → {path}"))
