"""The command ``latente``: its commands, its help pages, and the one way in.

A command's module is imported only when the command runs, so that ``latente --help`` stays quick.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import TrainingError
from ..launch import is_launched, rank
from .console import CallError, called_with, errors_as_sentences, quietly, waiting

COMMANDS: dict[str, tuple[str, str, str]] = {
    "fit": ("Train", "fit", "Train an autoencoder on data and save it."),
    "encode": ("Use", "use", "Turn data into codes."),
    "decode": ("Use", "use", "Turn codes back into data."),
    "reconstruct": ("Use", "use", "Encode and decode: compress, denoise, restore."),
    "score": ("Use", "use", "Score how normal each row is."),
    "evaluate": ("Use", "evaluate", "Measure how well held-out data come back."),
    "detect": ("Use", "detect", "Find anomalies, and say why."),
    "impute": ("Use", "impute", "Fill what is missing in a table."),
    "compress": ("Use", "compress", "Compress pictures, or rows, into one archive."),
    "decompress": ("Use", "compress", "Give back what is in an archive."),
    "sample": ("Use", "generate", "Draw new data from the model."),
    "interpolate": ("Use", "generate", "Walk through the latent space from one row to another."),
    "edit": ("Use", "generate", "Put an attribute on data, or take it off."),
    "index": ("Use", "search", "Write the codes of data to an index, to be searched."),
    "search": ("Use", "search", "Find what is most like a picture or a row."),
    "duplicates": ("Use", "search", "Find pictures that are copies of one another."),
    "study": ("Train", "study", "Search over parameters: one table, curves, the best model."),
    "plot": (
        "Look",
        "plot",
        "Draw a figure: history, reconstructions, map, grid, filters, samples, anomalies.",
    ),
    "explore": (
        "Look",
        "explore",
        "Walk through the latent space on a page in the browser.",
    ),
    "dimension": ("Look", "dimension", "Estimate the intrinsic dimension of data."),
    "info": ("Look", "info", "Show what is in a model, a detector, an index or an archive."),
    "export": ("Look", "use", "Write encoder and decoder as ONNX."),
    "datasets": ("Learn", "catalogue", "List the data sets known by name."),
    "parts": (
        "Learn",
        "catalogue",
        "List the parts of autoencoders, with their parameters and defaults.",
    ),
    "recipe": ("Learn", "recipe", "Repeat the courses' experiments: list, run, index."),
    "demo": ("Learn", "recipe", "Train three autoencoders and write a page about them."),
}
"""Each command with the heading it is listed under, its module, and its help in a line.

In its module, the command is a function of its name, or a dictionary of functions: sub-commands.
"""
SHARED = ("fit", "encode", "reconstruct", "score")
"""Commands that several processes do together, as torchrun starts them."""
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

HelpRows = Iterable[tuple[str | None, tuple[str, str]]]


def write_rows(formatter: Any, rows: HelpRows, default: str) -> None:
    """Write rows of name and help, each under its heading, headings in order of appearance.

    The pages are plain text: Rich's take as long to import as all the rest of a help page takes.
    """
    sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for heading, row in rows:
        sections[heading or default].append(row)
    for heading, members in sections.items():
        with formatter.section(heading):
            formatter.write_dl(members)


def write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Write a command's arguments, then its options under their headings."""
    arguments: list[tuple[str | None, tuple[str, str]]] = []
    options: list[tuple[str | None, tuple[str, str]]] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            rows = arguments if parameter.param_type_name == "argument" else options
            rows.append((getattr(parameter, "rich_help_panel", None), record))
    write_rows(formatter, arguments, "Arguments")
    write_rows(formatter, options, "Options")


class Command(TyperCommand):
    """A command whose options are listed under headings (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        with called_with(ctx.params):
            return super().invoke(ctx)


class CommandGroup(TyperGroup):
    """Commands listed under headings (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)
        rows: list[tuple[str | None, tuple[str, str]]] = []
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            rows.append((command.rich_help_panel, (name, command.get_short_help_str(80))))
        write_rows(formatter, rows, "Commands")


class StudyGroup(CommandGroup):
    """Commands of which one is meant where none is named: ``latente study DATA --space ...``."""

    meant = "run"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.meant, *args]
        return super().parse_args(ctx, args)


class Commands(CommandGroup):
    """The commands, each a placeholder with one line of help until it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        if is_launched() and name not in SHARED:
            raise CallError(
                f"`latente {name}` works in one process; torchrun is for {', '.join(SHARED)}"
            )
        ctx.with_resource(waiting(rank() == 0 and not {"-q", "--quiet"} & set(rest)))
        return name, load(name) if name else None, rest

    def invoke(self, ctx: Any) -> Any:
        with errors_as_sentences():
            return super().invoke(ctx)


def application(cls: type[CommandGroup], **settings: Any) -> typer.Typer:
    """Return a Typer application with plain help pages and no tracebacks of its own."""
    return typer.Typer(
        cls=cls,
        rich_markup_mode=None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        **settings,
    )


def load(name: str) -> Any:
    """Import a command's module and return the command."""
    _, module, line = COMMANDS[name]
    found = getattr(import_module(f"..{module}", __name__), name)
    if isinstance(found, Mapping):
        group = StudyGroup if name == "study" else CommandGroup
        made = application(group, add_completion=False, help=line)
        for key, function in found.items():
            made.command(key, cls=Command, context_settings=HELP)(function)
    else:
        made = typer.Typer(rich_markup_mode=None, add_completion=False)
        made.command(name, cls=Command, context_settings=HELP)(found)
    return typer.main.get_command(made)


def placeholder() -> None:
    """Take a command's place in the list of commands."""


def show_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        from ..version import __version__

        typer.echo(f"latente {__version__}")
        raise typer.Exit


app = application(Commands, name="latente")
for _name, (_section, _, _line) in COMMANDS.items():
    app.command(_name, help=_line, rich_help_panel=_section)(placeholder)


@app.callback(epilog="`latente COMMAND --help` explains one command; start with `latente demo`.")
def latente(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=show_version),
    ] = False,
) -> None:
    """Autoencoders: learn a code from a table, pictures or an array, and put it to work."""


def main() -> None:
    """Run the command line: the console script ``latente``."""
    with quietly(rank() > 0), explained_end():
        app()


@contextmanager
def explained_end() -> Iterator[None]:
    """Tell why torchrun ends this process, by the signal that it sends to those still at work."""
    if not is_launched():
        yield
        return
    signal.signal(signal.SIGTERM, _ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _ended(*_: object) -> NoReturn:
    raise TrainingError(
        "torchrun ends this process, because another one has ended or the job is stopped; run the "
        "same line again: with --checkpoint a fit goes on from its last epoch"
    )
