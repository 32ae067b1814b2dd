"""The estimator's parameters, read from its source.

Importing the estimator takes seconds, for it brings scikit-learn along; the help page must not wait
for that. The source says the same: names, defaults and what each parameter means.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

SOURCE = Path(__file__).parent.parent / "estimator.py"
ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*)(?: *:.*)?\n(?P<text>(?:[ \t]+.*\n|\n)+)", re.M)
SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z`])")


@dataclass(frozen=True)
class Parameter:
    """One keyword of the estimator."""

    name: str
    default: object
    annotation: str
    help: str


@cache
def parameters() -> dict[str, Parameter]:
    """Return the keywords of `Autoencoder`, in the order they are declared."""
    cls = next(
        node
        for node in ast.parse(SOURCE.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Autoencoder"
    )
    init = next(
        node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    told = described(ast.get_docstring(cls) or "")
    arguments = [*init.args.args[1:], *init.args.kwonlyargs]
    defaults = [*init.args.defaults, *init.args.kw_defaults]
    return {
        argument.arg: Parameter(
            argument.arg,
            ast.literal_eval(default) if default is not None else None,
            ast.unparse(argument.annotation) if argument.annotation is not None else "",
            told.get(argument.arg, ""),
        )
        for argument, default in zip(arguments, defaults, strict=True)
    }


def described(docstring: str) -> dict[str, str]:
    r"""Return what a numpydoc docstring says about each parameter, one sentence for each.

    >>> described("Draw.\n\nParameters\n----------\nmean, std\n    Of the noise. Or so.\n")
    {'mean': 'Of the noise', 'std': 'Of the noise'}
    """
    _, found, rest = docstring.partition("Parameters\n----------\n")
    if not found:
        return {}
    section = re.split(r"^.+\n-{3,}$", dedent(rest), maxsplit=1, flags=re.M)[0] + "\n"
    told = {}
    for entry in ENTRY.finditer(section):
        for name in entry["names"].split(", "):
            told[name] = sentence(entry["text"])
    return told


def sentence(text: str) -> str:
    """Return the first sentence, on one line and without its full stop."""
    return SENTENCE.split(" ".join(text.split()), maxsplit=1)[0].rstrip(".")
