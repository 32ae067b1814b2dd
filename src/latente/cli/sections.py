"""Help pages whose commands and options are listed under headings, in plain text, at once.

Rich's help pages take as long to import as all the rest of a help page takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

Rows = Iterable[tuple[str | None, tuple[str, str]]]


def write(formatter: Any, rows: Rows, otherwise: str) -> None:
    """Write rows of name and help, each under its heading, headings in order of appearance."""
    sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for heading, row in rows:
        sections[heading or otherwise].append(row)
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
            kind = arguments if parameter.param_type_name == "argument" else options
            kind.append((getattr(parameter, "rich_help_panel", None), record))
    write(formatter, arguments, "Arguments")
    write(formatter, options, "Options")


class Command(TyperCommand):
    """A command whose options are listed under headings (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)


class Group(TyperGroup):
    """Commands listed under headings (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)
        rows: list[tuple[str | None, tuple[str, str]]] = []
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            rows.append((command.rich_help_panel, (name, command.get_short_help_str(80))))
        write(formatter, rows, "Commands")


def application(cls: type[Group] = Group, **settings: Any) -> typer.Typer:
    """Return a Typer application with plain help pages and no tracebacks of its own."""
    return typer.Typer(
        cls=cls,
        rich_markup_mode=None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        **settings,
    )


HELP = {"help_option_names": ["-h", "--help"]}
