"""``latente parts`` and ``datasets``: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from ..errors import ParameterError
from ..families import FAMILIES
from ..parts import Part, listed
from .console import answer, print_table
from .data import Json
from .parameters import first_sentence, parameter_docs, varies

Only = Annotated[
    str | None, typer.Argument(metavar="[FAMILY]", help="One family only, such as bottleneck.")
]


def parts(family: Only = None, json: Json = False) -> None:
    """List the parts of autoencoders, with their parameters and defaults."""
    if family is not None and family not in FAMILIES:
        raise ParameterError(f"there is no family {family!r}; choose {listed(FAMILIES)}")
    shown = [family] if family is not None else list(FAMILIES)
    found = {name: {key: about(cls) for key, cls in FAMILIES[name].items()} for name in shown}

    def show() -> None:
        for name, members in found.items():
            rows = [row for key, facts in members.items() for row in lines(key, facts)]
            title = f"--{name}: {varies(name)}"
            print_table(title, ("part", "parameter ", "default ", "meaning "), rows)

    answer(found, json, show)


def about(cls: type[Part]) -> dict[str, Any]:
    """Return what a part is, and each of its parameters with default and meaning."""
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        meanings |= parameter_docs(inspect.cleandoc(vars(base).get("__doc__") or ""))
    return {
        "about": first_sentence((inspect.getdoc(cls) or "").split("\n\n")[0]).replace("`", ""),
        "parameters": {
            name: {"default": value, "about": meanings.get(name, "")}
            for name, value in cls().get_params().items()
        },
    }


def lines(name: str, facts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the rows a part takes up: itself, then each of its parameters."""
    return [
        (name, "", "", facts["about"]),
        *(
            ("", parameter, str(each["default"]), each["about"].replace("`", ""))
            for parameter, each in facts["parameters"].items()
        ),
    ]


def datasets(json: Json = False) -> None:
    """List the data sets known by name."""
    from .. import datasets as known

    shown = [
        {
            "name": name,
            "what": entry.what,
            "size": entry.size,
            "origin": entry.origin,
            "megabytes": entry.megabytes,
            "credit": entry.credit,
        }
        for name, entry in known.describe().items()
    ]

    def show() -> None:
        rows = [(row["name"], row["what"], row["size"], origin(row)) for row in shown]
        print_table("", ("name", "what ", "size ", "origin "), rows)
        typer.echo("In a size such as 60,000 + 10,000 × 28 × 28, the second part is for testing.")

    answer({"datasets": shown}, json, show)


def origin(row: dict[str, Any]) -> str:
    """Say where a data set comes from, and how much is downloaded."""
    return f"{row['origin']}, {row['megabytes']} MB" if row["megabytes"] else str(row["origin"])
