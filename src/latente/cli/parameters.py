"""The estimator's parameters: as options of a command, as text, and in a TOML file.

Importing the estimator takes seconds, for it brings torch and scikit-learn along; a help page must
not wait for that. So names, defaults and meanings are read from the estimator's source.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ParameterError
from ..families import FAMILIES
from ..parts import Part, construct, is_whole, parse, to_json, tupled
from .console import CallError
from .data import READING

if TYPE_CHECKING:
    from ..estimator import Autoencoder

PACKAGE = Path(__file__).parent.parent
SOURCE = ("estimator.py", "Autoencoder")
"""The module and the class that have the keywords and their documentation."""
ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*)(?: *:.*)?\n(?P<text>(?:[ \t]+.*\n|\n)+)", re.M)
SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`])")

NOT_OFFERED = frozenset({"warm_start", "callbacks", "verbose"})
"""Parameters that the command line decides itself."""
FLAGS = {"random_state": "--seed"}
"""Options whose name is not the parameter's."""
DEFAULTS = {"random_state": 0}
"""Defaults of the command line where they differ: the same command gives the same model."""
VARIES = {
    "network": "how encoder and decoder are built",
    "bottleneck": "how the code is made, and what it costs",
    "corruption": "what the encoder sees instead of the input",
    "loss": "how the output is compared with the target",
    "optimizer": "how the weights move",
    "schedule": "how the learning rate changes",
}
"""What the members of each family differ in."""
METAVARS = {"int": "INTEGER", "float": "NUMBER"}
FIT_OPTIONS = ("checkpoint", "limit", "target", "validation", *READING)
"""Options of ``latente fit`` beside the estimator's that a TOML file can hold, too."""


@dataclass(frozen=True)
class Parameter:
    """One keyword of the estimator."""

    name: str
    default: object
    annotation: str
    help: str

    @property
    def flag(self) -> str:
        """The option that gives it: ``--latent-dim`` for ``latent_dim``."""
        return FLAGS.get(self.name, "--" + self.name.replace("_", "-"))

    @property
    def several(self) -> bool:
        """Whether it takes a list, too."""
        return "list[" in self.annotation

    @property
    def metavar(self) -> str:
        """What stands for the value in the help."""
        if self.name in FAMILIES:
            return "PART"
        found = [metavar for word, metavar in METAVARS.items() if word in self.annotation]
        return found[-1] if found else "TEXT"

    def help_text(self) -> str:
        """Return its help: what it is, the names it takes, its default."""
        text = self.help.replace("`", "")
        if self.name in FAMILIES:
            text = f"{varies(self.name).capitalize()}: {', '.join(FAMILIES[self.name])}"
        if self.several:
            text += " (may be given several times)"
        default = DEFAULTS.get(self.name, self.default)
        return f"{text}  [default: {'none' if default is None else default}]"


@cache
def parameters() -> dict[str, Parameter]:
    """Return the keywords of `Autoencoder`, in the order they are declared."""
    docstring = ast.get_docstring(_class(*SOURCE)) or ""
    meanings = parameter_docs(docstring)
    arguments = next(
        node.args
        for node in _class(*SOURCE).body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    names = [*arguments.args[1:], *arguments.kwonlyargs]
    defaults = [*arguments.defaults, *arguments.kw_defaults]
    return {
        each.arg: Parameter(
            each.arg,
            ast.literal_eval(default) if default is not None else None,
            ast.unparse(each.annotation) if each.annotation is not None else "",
            meanings.get(each.arg, ""),
        )
        for each, default in zip(names, defaults, strict=True)
    }


def _class(file: str, name: str) -> ast.ClassDef:
    """Return the definition of a class in a module of the package."""
    body = ast.parse((PACKAGE / file).read_text("utf-8")).body
    return next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)


def parameter_docs(docstring: str) -> dict[str, str]:
    r"""Return what a numpydoc docstring says about each parameter, one sentence for each.

    >>> parameter_docs("Draw.\n\nParameters\n----------\nmean, std\n    Of the noise. Or so.\n")
    {'mean': 'Of the noise', 'std': 'Of the noise'}
    """
    _, found, rest = docstring.partition("Parameters\n----------\n")
    if not found:
        return {}
    section = re.split(r"^.+\n-{3,}$", dedent(rest), maxsplit=1, flags=re.M)[0] + "\n"
    return {
        name: first_sentence(entry["text"])
        for entry in ENTRY.finditer(section)
        for name in entry["names"].split(", ")
    }


def first_sentence(text: str) -> str:
    """Return the first sentence, on one line and without its full stop."""
    return SENTENCE.split(" ".join(text.split()), maxsplit=1)[0].rstrip(".")


def varies(family: str) -> str:
    """Return what the members of a family differ in."""
    return VARIES.get(family) or parameters()[family].help


def offered() -> dict[str, Parameter]:
    """Return the estimator's parameters that can be given on the command line."""
    return {name: each for name, each in parameters().items() if name not in NOT_OFFERED}


def estimator_options() -> dict[str, Any]:
    """Return one option for each parameter of the estimator, parts first.

    An option's value is text, or None where it is not given.
    """
    found = {}
    for name, each in sorted(offered().items(), key=lambda item: item[0] not in FAMILIES):
        option = typer.Option(
            each.flag,
            metavar=each.metavar,
            help=each.help_text(),
            show_default=False,
            rich_help_panel="Parts" if name in FAMILIES else "Parameters",
        )
        found[name] = Annotated[list[str] | None if each.several else str | None, option]
    return found


def values(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given as text, as the estimator takes them."""
    return {name: value(name, text) for name, text in texts.items() if text is not None}


def value(name: str, text: str | list[str]) -> object:
    """Return a parameter's value for the text, or the texts, that it was given as."""
    read = [literal(item) for item in text] if isinstance(text, list) else literal(text)
    read = read[0] if isinstance(read, list) and len(read) == 1 else read
    read = optional(read, parameters()[name].annotation)
    return part(read, name) if name in FAMILIES else read


def literal(text: str) -> object:
    """Read a number or a list from text, and take all other text for itself.

    >>> literal("1e-3"), literal("cpu")
    (0.001, 'cpu')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def optional(value: object, annotation: str) -> object:
    """Turn "none" into None where the parameter can be None: elsewhere it may be a name."""
    return None if "None" in annotation and str(value).lower() == "none" else value


def part(spec: object, parameter: str) -> Any:
    """Return the part that a name, a call written as text, or a TOML table stands for.

    None and a default that is no part ("auto") are passed on; where several parts are taken, a list
    gives a list.
    """
    if isinstance(spec, list) and parameters()[parameter].several:
        return [part(item, parameter) for item in spec] or None
    if spec is None or isinstance(spec, Part):
        return spec
    table = FAMILIES[parameter]
    if isinstance(spec, str):
        name, params = parse(spec, parameter)
        if name not in table and not params and name == parameters()[parameter].default:
            return name
    elif isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        name, params = spec["name"], {k: v for k, v in spec.items() if k != "name"}
    else:
        raise ParameterError(f"{parameter}={spec!r} is no part; give its name, or a call of it")
    cls = table.get(name.replace("-", "_"))
    types = {} if cls is None else {field.name: str(field.type) for field in fields(cls)}
    read = {key: optional(tupled(item), types.get(key, "")) for key, item in params.items()}
    return construct(name, read, table, parameter)


def written(value: object, parameter: str) -> str:
    """Write a part as a call, ``gaussian(beta=4)``, leaving out what is at its default.

    >>> from latente import Gaussian
    >>> written(Gaussian(beta=4), "bottleneck")
    'gaussian(beta=4)'
    """
    if isinstance(value, list | tuple):
        return " + ".join(written(item, parameter) for item in value)
    name = next((key for key, cls in FAMILIES[parameter].items() if cls is type(value)), None)
    if name is None or not isinstance(value, Part):
        return str(value)
    defaults = type(value)().get_params()
    changed = [
        f"{key}={item!r}" for key, item in value.get_params().items() if item != defaults[key]
    ]
    return f"{name}({', '.join(changed)})" if changed else name


def read_config(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a TOML file into the estimator's parameters and the other options of a fit.

    ::

        latent_dim = 2
        epochs = 20

        [bottleneck]                 # or: bottleneck = "gaussian(beta=4)"
        name = "gaussian"
        beta = 4

    "none" stands for None, where a parameter can be None.

    Raises
    ------
    CallError
        If there is no such file, or it is not TOML.
    ParameterError
        If it holds an unknown key or a value that cannot be; the message names file and key.
    """
    return split_config(read_toml(path), path)


def read_toml(path: str) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises
    ------
    CallError
        If there is no such file, or it is not TOML.
    """
    import tomllib

    if os.path.exists(path) and not os.path.isfile(path):
        raise CallError(f"{path} is not a file; give a TOML file")
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise CallError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CallError(f"{path} is not a TOML file: {error}") from None


def split_config(found: Mapping[str, Any], path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the estimator's parameters from the other options, and read their values."""
    aliases = {flag.removeprefix("--"): name for name, flag in FLAGS.items()}
    params: dict[str, Any] = {}
    others: dict[str, Any] = {}
    known = offered()
    for key, raw in found.items():
        name = aliases.get(key, key)
        if name in FIT_OPTIONS:
            others[name] = _fit_option(name, raw, path)
            continue
        if name not in known:
            hint = _nearest(key, (*known, *FIT_OPTIONS))
            raise ParameterError(f"{path}: no parameter {key!r}; {hint}")
        if name not in FAMILIES and not isinstance(raw, int | float | str):
            raise ParameterError(f"{path}: {name}={raw!r}: {name} must be a number or text")
        try:
            item = optional(raw, known[name].annotation)
            params[name] = part(item, name) if name in FAMILIES else item
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None
    return params, others


@contextmanager
def naming_file(path: str | None, names: Collection[str]) -> Iterator[None]:
    """Put the name of a TOML file before an error about one of the parameters that it gave."""
    try:
        yield
    except ParameterError as error:
        about = str(error).partition("=")[0]
        if path is None or about not in names:
            raise
        raise ParameterError(f"{path}: {error}") from None


def _fit_option(name: str, raw: object, path: str) -> object:
    """Return an option that is not the estimator's, checked to be text, or a number."""
    if not (is_whole(raw, 1) if name == "limit" else isinstance(raw, str)):
        right = "a whole number from 1" if name == "limit" else "text"
        raise ParameterError(f"{path}: {name}={raw!r}: {name} must be {right}")
    return raw


def _nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint at the name that was probably meant, or at all there are."""
    from difflib import get_close_matches

    known = list(names)
    close = get_close_matches(name.replace("-", "_"), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def write_config(model: Autoencoder) -> str:
    """Write the parameters of a model as the TOML file that gives the same fit again.

    A part is written as its name where its parameters are at their defaults, else as a table.
    """
    lines: list[str] = []
    tables: list[str] = []
    for name in offered():
        item = getattr(model, name)
        shown = item
        if name in FAMILIES and item is not None:
            item = part(item, name)
            shown = written(item, name)
        if isinstance(shown, str) and ("(" in shown or isinstance(item, list)):
            header = "[[{}]]" if isinstance(item, list) else "[{}]"
            for each in item if isinstance(item, list) else [item]:
                tables += ["", header.format(name), *toml_table(each, name)]
        else:
            lines.append(toml_line(name, shown, _decided(model, name, shown)))
    return "\n".join([*lines, *tables]) + "\n"


def _decided(model: Autoencoder, name: str, item: object) -> str:
    """Return what "auto" stood for in a fit, as text for a comment."""
    found = getattr(model, name + "_", None)
    if item != "auto" or found is None:
        return ""
    return written(found, name) if name in FAMILIES else str(found)


def toml_line(name: str, item: object, comment: str = "") -> str:
    """Write one ``name = value  # comment``."""
    return f"{name} = {_toml(item)}" + (f"  # {comment}" if comment else "")


def toml_table(each: Part, parameter: str) -> list[str]:
    """Write a part's name and all its parameters."""
    return [toml_line(name, item) for name, item in to_json(each, FAMILIES[parameter]).items()]


def _toml(item: object) -> str:
    """Write a value in TOML."""
    if item is None:
        return '"none"'
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, list | tuple):
        return "[" + ", ".join(map(_toml, item)) + "]"
    if isinstance(item, int | float):
        return repr(item)
    if hasattr(item, "item"):
        return _toml(item.item())
    raise ParameterError(f"{item!r} cannot be written in TOML")
