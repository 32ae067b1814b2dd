"""``latente explore``: a page on which to walk through the latent space of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from ..parts import listed
from .console import FAILED, CallError, say
from .data import (
    READING,
    MaybeSplit,
    Selection,
    as_fitted,
    is_frame,
    open_model,
    open_rows,
    select,
    with_options,
)
from .fit import (
    SUFFIX,
    Checkpoint,
    Config,
    Quiet,
    Target,
    Validation,
    Verbose,
    fit_call,
    fit_keywords,
    open_training,
    unfitted,
)
from .output import check_output, existing, inputs, refuse_overwriting
from .parameters import estimator_options, naming_file

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..explorer.scene import Scene

LANGUAGES = ("en", "es", "pt")
PCA = "pca"
SHOWN = 5_000
"""Rows, at most, that are shown while a model learns, where their number is not asked for."""

What = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|DATA",
        help="The model, a .safetensors file; with --fit, the data to train on.",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="What to show: a data set's name, file or folder."),
]
Beside = Annotated[
    str | None,
    typer.Option(metavar="FILE|pca", help="Another model, or PCA, to compare with."),
]
MapKind = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="auto|code|pca|umap",
        help="Two numbers of the code, its principal components, or UMAP where it is installed.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Show the first N rows only; with --fit, train on N rows."
    ),
]
Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS", help="Where to listen; others than this machine need a token then."
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="PORT",
        min=0,
        max=65535,
        help="Where to listen, 0 for any; the first that is free from 8790 on without it.",
        show_default=False,
    ),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")]
Language = Annotated[
    str | None,
    typer.Option("--lang", metavar="en|es|pt", help="The language in which the page begins."),
]
Export = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Write a page that needs no server: a folder, or one .html file."
    ),
]
Fit = Annotated[
    bool, typer.Option("--fit", help="Train a model on DATA, and show its map as it forms.")
]
SavedTo = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="With --fit: where to save the model."),
]


@with_options(READING, estimator_options())
def explore(
    what: What,
    data: DataOption = None,
    beside: Beside = None,
    split: MaybeSplit = None,
    limit: Limit = None,
    map_: MapKind = "auto",
    host: Host = "127.0.0.1",
    port: Port = None,
    no_browser: NoBrowser = False,
    lang: Language = None,
    export: Export = None,
    fit: Fit = False,
    output: SavedTo = None,
    config: Config = None,
    target: Target = None,
    validation: Validation = None,
    checkpoint: Checkpoint = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    **options: Any,
) -> None:
    """Walk through the latent space on a page in the browser.

    Shows the codes of DATA, of the test part where there is one, on a map; what the decoder makes
    of the place under the pointer is drawn beside it. The address is printed, and answers this
    machine alone; Ctrl-C ends it. With --fit a model is trained under the page, with the options of
    `latente fit`, and its map forms as it learns.
    """
    if lang is not None and lang not in LANGUAGES:
        raise ParameterError(f"--lang {lang}: choose {listed(LANGUAGES)}")
    for written in (output, export):
        if written is not None:
            refuse_overwriting(Path(written).expanduser(), inputs())
    page = PageOptions(host, port, lang, browser=not no_browser)
    reading = {name: options.pop(name) for name in READING}
    training = {
        "output": output, "config": config, "target": target, "validation": validation,
        "checkpoint": checkpoint, **options,
    }  # fmt: skip
    if fit:
        refuse_given({"data": data, "beside": beside, "split": split, "export": export}, "MODEL")
        training |= {"limit": limit, "reading": reading, "verbose": 0 if quiet else 1 + verbose}
        watch(what, map_, page, **training)
        return
    refuse_given(training, "--fit")
    if data is None:
        raise CallError("give the data to show with --data, such as --data mnist")
    scene = open_scene(what, data, beside, split, limit, map_, reading)
    if export is not None:
        write(scene, export)
    else:
        page.show(scene)


def refuse_given(options: Mapping[str, Any], owner: str) -> None:
    """Raise `CallError` where an option is given that goes with something else."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        flag = "--seed" if given[0] == "random_state" else f"--{given[0].replace('_', '-')}"
        raise CallError(f"{flag} goes with {owner}")


class PageOptions:
    """Where the page is served, and how it is opened.

    Parameters
    ----------
    host, port, lang
        As the options have them.
    browser
        Whether to open it.
    """

    def __init__(self, host: str, port: int | None, lang: str | None, *, browser: bool) -> None:
        self.host, self.port, self.browser = host, port, browser
        self.fragment = f"#lang={lang}" if lang else ""

    def open(self, scene: Scene, learning: Any = None) -> Any:
        """Begin to serve a scene, its address on stdout."""
        from ..explorer.api import serve

        server = serve(
            scene, self.host, self.port, browser=self.browser, fragment=self.fragment,
            learning=learning,
        )  # fmt: skip
        typer.echo(server.url + self.fragment)
        return server

    def show(self, scene: Scene) -> None:
        """Serve a scene until Ctrl-C."""
        server = self.open(scene)
        say("Ctrl-C ends the explorer")
        server.wait()


def open_scene(
    path: str,
    data: str,
    beside: str | None,
    split: str | None,
    limit: int | None,
    map_: str,
    reading: dict[str, Any],
) -> Scene:
    """Read models and data, and look at the data with the models."""
    model = open_model(path)
    models: dict[str, Any] = {Path(path).stem: model}
    if beside is not None:
        other: Any = PCA if beside == PCA else open_model(beside)
        name = "PCA" if beside == PCA else Path(beside).stem
        models[name if name not in models else f"{name} (2)"] = other
    rows = open_rows(data, split, limit, model=model, at_once=True, **reading)
    from ..explorer.api import require_extra
    from ..explorer.scene import Scene

    require_extra()
    held_out = rows.data.X_test is not None and split in (None, "test")
    return Scene(
        models, rows.X, rows.y, map=map_, report=say, columns=model.columns_,
        train=as_fitted(rows.data.X, rows.data, model) if held_out else None,
        more=other_columns(rows, model.columns_ or (), split),
        split="test" if held_out else split or "", **about(rows.data, reading),
    )  # fmt: skip


def about(data: Dataset, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a scene is told of the data."""
    label = reading.get("label") or "class"
    return {"name": data.name, "classes": data.classes, "label": label}


def other_columns(rows: Selection, known: Any, split: str | None) -> dict[str, Any]:
    """Return the columns of a table that the model does not take, to colour the map by."""
    data = rows.data
    if data.names is None or data.X_test is not None or not known:
        return {}
    others = [name for name in data.names if name not in known]
    if not others or len(others) == len(data.names):
        return {}
    found = select(data.X, data, others)
    if is_frame(found):
        import narwhals

        frame = narwhals.from_native(found, eager_only=True)
        return {name: frame[name].to_list()[: len(rows)] for name in others}
    return {name: found[: len(rows), i] for i, name in enumerate(others)}


def write(scene: Scene, path: str) -> None:
    """Write a scene as a page that needs no server."""
    from ..explorer import site

    made = site.write(scene, Path(path).expanduser())
    for note in made.notes:
        say(note)
    say(f"{made.rows:,} of {made.of:,} rows, {made.bytes / 1e6:.1f} MB")
    typer.echo(made.path)


def watch(
    data: str,
    map_: str,
    page: PageOptions,
    *,
    reading: dict[str, Any],
    output: str | None,
    verbose: int,
    config: str | None,
    **options: Any,
) -> None:
    """Train a model under the page, save it where that is asked for, and go on showing it."""
    path = check_output(output, (SUFFIX,)) if output is not None else None
    call = fit_call(config, options, reading)
    read = [call.others.get(name) for name in ("target", "validation")]
    if path is not None:
        refuse_overwriting(path, existing(read))
    dataset, clean, held_out = open_training(data, call.others)
    from ..explorer.api import require_extra
    from ..explorer.learning import Learning
    from ..explorer.samples import spread

    require_extra()
    with naming_file(config, call.from_file):
        test = dataset.X_test is not None
        shown = dataset.X_test if test else dataset.X
        y = dataset.y_test if test else dataset.y
        learning = Learning(
            unfitted(call, verbose), dataset.X, spread(shown, SHOWN),
            None if y is None else spread(y, SHOWN),
            fit=fit_keywords(call, clean, held_out), map=map_, columns=dataset.names,
            model_name="model" if path is None else path.stem,
            split="test" if test else "", **about(dataset, reading),
        )  # fmt: skip
        server = page.open(learning.scene, learning)
        say("training; Ctrl-C ends it and keeps what was learned")
        try:
            model = learning.run()
        except BaseException:
            server.stop()
            raise
    if dataset.names is not None:
        model.columns_ = list(dataset.names)
    if path is not None:
        model.save(path)
        say(f"model → {path}")
    if model.stopped_ in ("interrupted", "diverged"):
        server.stop()
        raise typer.Exit(FAILED)
    say("trained; Ctrl-C ends the explorer")
    server.wait()
