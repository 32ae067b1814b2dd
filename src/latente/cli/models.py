"""``latente info`` and ``export``: what a model is, and its networks for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import config as toml
from . import output as out
from .guard import Refusal
from .inputs import Json, Model, open_model
from .kinds import facts_of_file
from .sinks import FOLDER, checked
from .summary import facts_of, show_facts, show_terms

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="A model, a detector, an index or an archive.", show_default=False
    ),
]
AsConfig = Annotated[
    bool, typer.Option("--config", help="Print the TOML file that gives the same fit again.")
]
Folder = Annotated[
    str, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write; made if missing.")
]


def info(model: File, config: AsConfig = False, json: Json = False) -> None:
    """Show what is in a model, a detector, an index or an archive.

    Of a model it tells what it is made of and how it was trained; with --config, it prints the
    parameters as a TOML file for `latente fit --config`.
    """
    found = facts_of_file(model)
    if found is not None:
        if config:
            raise Refusal(f"{model} is an {found['kind']}; --config is for models")
        out.answer({"file": model, **found}, json, lambda: show_facts(model, found))
        return
    autoencoder = open_model(model)
    if config and not json:
        typer.echo(toml.dump(autoencoder), nl=False)
        return
    facts = {"size": Path(model).stat().st_size, **facts_of(autoencoder)}

    def told() -> None:
        show_facts(str(model), facts)
        show_terms(autoencoder)

    result = {"model": model, **facts, "history": autoencoder.history_}
    if config:
        result["config"] = toml.dump(autoencoder)
    out.answer(result, json, told)


def export(model: Model, output: Folder, json: Json = False) -> None:
    """Write encoder and decoder as ONNX.

    Both take and give values in the scale of the data, and are checked against torch before they
    are left in the folder.
    """
    folder = checked(output, (FOLDER,))
    written = open_model(model).export_onnx(folder)
    out.answer({"output": written}, json, lambda: typer.echo("\n".join(map(str, written))))
