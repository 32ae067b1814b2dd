"""The estimator's parameters as options of a command, derived from its signature and the tables."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from .families import FAMILIES, SEVERAL, nothing, part
from .signature import Parameter, parameters

OUR_OWN = frozenset({"warm_start", "callbacks", "verbose"})
"""What the command line decides itself."""
FLAGS = {"random_state": "--seed"}
"""Options not called as the parameter is."""
DEFAULTS = {"random_state": 0}
"""Defaults of the command line where they differ: the same command gives the same model."""
MODEL = (*FAMILIES, "latent_dim", "scaling")
KINDS = {"int": "INTEGER", "float": "NUMBER"}


def offered() -> dict[str, Parameter]:
    """Return the estimator's parameters that can be given on the command line."""
    return {name: each for name, each in parameters().items() if name not in OUR_OWN}


def flag(name: str) -> str:
    """Return the option that gives a parameter: ``--latent-dim`` for ``latent_dim``."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def estimator_options() -> dict[str, Any]:
    """Return one option for each parameter of the estimator; its value is text or None."""
    found = {}
    for name, each in offered().items():
        info = typer.Option(
            flag(name),
            metavar=metavar(each),
            help=help_of(each),
            show_default=False,
            rich_help_panel="Model" if name in MODEL else "Training",
        )
        found[name] = Annotated[list[str] | None if name in SEVERAL else str | None, info]
    return found


def metavar(parameter: Parameter) -> str:
    """Return what stands for the value in the help."""
    if parameter.name in FAMILIES:
        return "PART"
    kinds = [kind for word, kind in KINDS.items() if word in parameter.annotation]
    return kinds[-1] if kinds else "TEXT"


def help_of(parameter: Parameter) -> str:
    """Return a parameter's help: what it is, the names it takes, its default."""
    text = parameter.help.replace("`", "")
    if parameter.name in FAMILIES:
        varies, table = FAMILIES[parameter.name]
        text = f"{varies.capitalize()}: {', '.join(table)}"
    if parameter.name in SEVERAL:
        text += " (may be given several times)"
    default = DEFAULTS.get(parameter.name, parameter.default)
    return f"{text}  [default: {'none' if default is None else default}]"


def values(given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given, as the estimator takes them."""
    return {name: value(name, raw) for name, raw in given.items() if raw is not None}


def value(name: str, raw: str | list[str]) -> object:
    """Return a parameter's value for the text, or the texts, that it was given as."""
    kind = parameters()[name].annotation
    read = [literal(item) for item in raw] if isinstance(raw, list) else literal(raw)
    read = nothing(read[0] if isinstance(read, list) and len(read) == 1 else read, kind)
    return part(read, name) if name in FAMILIES else read


def literal(raw: str) -> object:
    """Read a number or a list from text, and take all other text for itself.

    >>> literal("1e-3"), literal("cpu")
    (0.001, 'cpu')
    """
    try:
        return ast.literal_eval(raw)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return raw


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint at the name that was probably meant, or at all there are."""
    from difflib import get_close_matches

    known = list(names)
    close = get_close_matches(name.replace("-", "_"), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
