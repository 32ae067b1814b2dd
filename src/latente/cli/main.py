"""The command ``latente``: which commands there are, and the one way in.

A command's module is imported only when the command runs, so that ``latente --help`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from .guard import guarded
from .sections import HELP, Command, Group, application

COMMANDS: dict[str, tuple[str, str, str]] = {
    "fit": ("Train", "fit", "Train an autoencoder on data and save it."),
    "encode": ("Use", "codes", "Turn data into codes."),
    "decode": ("Use", "codes", "Turn codes back into data."),
    "reconstruct": ("Use", "codes", "Encode and decode: compress, denoise, restore."),
    "score": ("Use", "scores", "Tell how normal each row is; find what does not belong."),
    "detect": ("Use", "detect", "Find what does not belong, and say why."),
    "compress": ("Use", "compression", "Compress pictures, or rows, into one archive."),
    "decompress": ("Use", "compression", "Give back what is in an archive."),
    "sample": ("Use", "generation", "Draw new data from the model."),
    "interpolate": ("Use", "generation", "Walk through the latent space from one row to another."),
    "edit": ("Use", "generation", "Put an attribute on data, or take it off."),
    "index": ("Use", "search", "Write the codes of data to an index, to be searched."),
    "search": ("Use", "search", "Find what is most like a picture or a row."),
    "duplicates": ("Use", "duplicates", "Find pictures that are copies of one another."),
    "plot": (
        "Look",
        "plot",
        "Draw a figure: history, reconstructions, map, grid, samples, anomalies.",
    ),
    "info": ("Look", "models", "Show what is in a model, a detector, an index or an archive."),
    "export": ("Look", "models", "Write encoder and decoder as ONNX."),
    "datasets": ("Learn", "catalogue", "List the data sets known by name."),
    "parts": (
        "Learn",
        "catalogue",
        "List the parts of autoencoders, with their parameters and defaults.",
    ),
    "demo": ("Learn", "catalogue", "Train three autoencoders and write a page about them."),
}
"""Each command with the section of the help it is listed in, its module, and its help in a line."""


class Commands(Group):
    """The commands, each a stand-in with one line of help until it is called for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else None, rest

    def invoke(self, ctx: Any) -> Any:
        with guarded():
            return super().invoke(ctx)


def load(name: str) -> Any:
    """Import a command's module and return the command."""
    command = getattr(import_module(f"..{COMMANDS[name][1]}", __name__), name)
    if not isinstance(command, typer.Typer):
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(name, cls=Command, context_settings=HELP)(command)
        command = single
    return typer.main.get_command(command)


def stand_in() -> None:
    """Take a command's place in the list of commands."""


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from ..version import __version__

        typer.echo(f"latente {__version__}")
        raise typer.Exit


app = application(Commands, name="latente")
for _name, (_section, _, _line) in COMMANDS.items():
    app.command(_name, help=_line, rich_help_panel=_section)(stand_in)


@app.callback(epilog="`latente COMMAND --help` tells about one command; start with `latente demo`.")
def latente(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=show_version),
    ] = False,
) -> None:
    """Autoencoders: learn a code from a table, pictures or an array, and put it to work."""


def main() -> None:
    """Run the command line: the console script ``latente``."""
    app()
