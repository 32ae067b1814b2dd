"""Parameters in a TOML file: read for a fit, written back from a model.

::

    latent_dim = 2
    epochs = 20

    [bottleneck]                 # or: bottleneck = "gaussian(beta=4)"
    name = "gaussian"
    beta = 4

"none" stands for None, where a parameter can be None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError
from ..parts import Part, is_whole, to_json
from .families import FAMILIES, nothing, part, written
from .guard import Refusal
from .inputs import READING
from .options import FLAGS, nearest, offered

if TYPE_CHECKING:
    from ..estimator import Autoencoder

EXTRA = ("checkpoint", "limit", "target", *READING)
"""Options of ``latente fit`` beside the estimator's that a file can hold, too."""


def read(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a TOML file into the estimator's parameters and the other options of a fit.

    Raises
    ------
    Refusal
        If there is no such file, or it is not TOML.
    ParameterError
        If it holds an unknown key or a value that cannot be; the message names file and key.
    """
    import tomllib

    try:
        found = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Refusal(f"{path} is not a TOML file: {error}") from None
    return split(found, path)


def split(found: Mapping[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the estimator's parameters from the other options, and read their values."""
    aliases = {option.removeprefix("--"): name for name, option in FLAGS.items()}
    parameters: dict[str, Any] = {}
    others: dict[str, Any] = {}
    known = offered()
    for key, raw in found.items():
        name = aliases.get(key, key)
        if name not in (*known, *EXTRA):
            hint = nearest(key, (*known, *EXTRA))
            raise ParameterError(f"{path}: no parameter {key!r}; {hint}")
        if name in EXTRA:
            others[name] = extra(name, raw, path)
            continue
        try:
            item = nothing(raw, known[name].annotation)
            parameters[name] = part(item, name) if name in FAMILIES else item
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None
    return parameters, others


def extra(name: str, raw: object, path: str) -> object:
    """Return an option that is not the estimator's, once it is known to be text, or a number."""
    if not (is_whole(raw, 1) if name == "limit" else isinstance(raw, str)):
        wanted = "a whole number from 1" if name == "limit" else "text"
        raise ParameterError(f"{path}: {name}={raw!r}: {name} must be {wanted}")
    return raw


def dump(model: Autoencoder) -> str:
    """Write the parameters of a model as the TOML file that gives the same fit again.

    A part is written as its name where its parameters are at their defaults, else as a table.
    """
    lines: list[str] = []
    tables: list[str] = []
    for name in offered():
        given = getattr(model, name)
        item = part(given, name) if name in FAMILIES else given
        shown = written(item, name) if name in FAMILIES and item is not None else item
        if isinstance(shown, str) and ("(" in shown or isinstance(item, list)):
            header = "[[{}]]" if isinstance(item, list) else "[{}]"
            for each in item if isinstance(item, list) else [item]:
                tables += ["", header.format(name), *table(each, name)]
        else:
            lines.append(line(name, shown, chosen(model, name, shown)))
    return "\n".join([*lines, *tables]) + "\n"


def chosen(model: Autoencoder, name: str, item: object) -> str:
    """Return what "auto" stood for in a fit, as text for a comment."""
    decided = getattr(model, name + "_", None)
    if item != "auto" or decided is None:
        return ""
    return written(decided, name) if name in FAMILIES else str(decided)


def line(name: str, item: object, comment: str = "") -> str:
    """Write one ``name = value  # comment``."""
    return f"{name} = {toml(item)}" + (f"  # {comment}" if comment else "")


def table(each: Part, parameter: str) -> list[str]:
    """Write a part's name and all its parameters."""
    return [line(name, item) for name, item in to_json(each, FAMILIES[parameter].table).items()]


def toml(item: object) -> str:
    """Write a value in TOML."""
    if item is None:
        return '"none"'
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, list | tuple):
        return "[" + ", ".join(map(toml, item)) + "]"
    if isinstance(item, int | float):
        return repr(item)
    if hasattr(item, "item"):
        return toml(item.item())
    raise ParameterError(f"{item!r} cannot be written in TOML")
