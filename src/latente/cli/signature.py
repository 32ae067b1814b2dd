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
from typing import TypeVar

PACKAGE = Path(__file__).parent.parent
N = TypeVar("N", ast.ClassDef, ast.FunctionDef)
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
    keywords = found(parsed("keywords.py"), ast.ClassDef, "Keywords")
    arguments = found(keywords, ast.FunctionDef, "__init__").args
    told = described(
        ast.get_docstring(found(parsed("estimator.py"), ast.ClassDef, "Autoencoder")) or ""
    )
    names = [*arguments.args[1:], *arguments.kwonlyargs]
    defaults = [*arguments.defaults, *arguments.kw_defaults]
    return {
        each.arg: Parameter(
            each.arg,
            ast.literal_eval(default) if default is not None else None,
            ast.unparse(each.annotation) if each.annotation is not None else "",
            told.get(each.arg, ""),
        )
        for each, default in zip(names, defaults, strict=True)
    }


def parsed(name: str) -> ast.Module:
    """Parse a module of the package, without running it."""
    return ast.parse((PACKAGE / name).read_text("utf-8"))


def found(tree: ast.Module | ast.ClassDef, kind: type[N], name: str) -> N:
    """Return the class or function of that name in the body of a module or class."""
    return next(node for node in tree.body if isinstance(node, kind) and node.name == name)


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
