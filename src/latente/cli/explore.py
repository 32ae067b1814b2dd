"""``latente explore``: a page on which to walk through the latent space of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import CallError, say
from .data import READING, Limit, MaybeSplit, as_fitted, open_model, open_rows, with_options

if TYPE_CHECKING:
    from ..explorer.scene import Scene

Target = Annotated[
    str, typer.Argument(metavar="MODEL", help="The model, a .safetensors file.", show_default=False)
]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help="What to show: a data set's name, ...")
]
Beside = Annotated[
    str | None,
    typer.Option(metavar="FILE|pca", help="Another model, or PCA, to compare with."),
]
MapKind = Annotated[str, typer.Option("--map", metavar="auto|code|pca|umap", help="Which map.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[
    int | None,
    typer.Option(metavar="PORT", min=0, max=65535, help="Where to listen; the next free one."),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")]
Language = Annotated[
    str | None, typer.Option("--lang", metavar="en|es|pt", help="The language of the page.")
]
Export = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Write a page that needs no server: a folder, or one .html."),
]
PCA = "pca"


@with_options(READING)
def explore(
    target: Target,
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
    **reading: Any,
) -> None:
    """Walk through the latent space on a page in the browser."""
    if data is None:
        raise CallError("give the data to show with --data, such as --data mnist")
    scene = open_scene(target, data, beside, split, limit, map_, reading)
    serve(scene, host, port, lang, browser=not no_browser)


def open_scene(
    path: str, data: str, beside: str | None, split: str | None, limit: int | None, map_: str,
    reading: dict[str, Any],
) -> Scene:  # fmt: skip
    """Read models and data, and look at the data with the models."""
    model = open_model(path)
    models: dict[str, Any] = {Path(path).stem: model}
    if beside is not None:
        other: Any = PCA if beside == PCA else open_model(beside)
        name = "PCA" if beside == PCA else Path(beside).stem
        models[name if name not in models else f"{name} (2)"] = other
    rows = open_rows(data, split, limit, model=model, **reading)
    held_out = rows.data.X_test is not None and split in (None, "test")
    train = as_fitted(rows.data.X, rows.data, model) if held_out else None
    from ..explorer.scene import Scene

    return Scene(
        models, rows.X, rows.y, train=train, classes=rows.data.classes,
        label=reading.get("label") or "class", map=map_, columns=rows.data.names,
        name=rows.data.name, split="test" if held_out else split or "", report=say,
    )  # fmt: skip


def serve(scene: Scene, host: str, port: int | None, lang: str | None, *, browser: bool) -> None:
    """Serve a scene until Ctrl-C, its address on stdout."""
    from ..explorer.server import Server

    server = Server(scene, host, port)
    server.start()
    url = server.url + (f"#lang={lang}" if lang else "")
    typer.echo(url)
    if browser:
        import webbrowser

        webbrowser.open(url)
    say("Ctrl-C ends the explorer")
    server.wait()
