"""What ``from latente import ...`` offers: every name there, told, and known to type checkers."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import latente
from latente.families import FAMILIES

NAMES = [name for name in latente.__all__ if name != "__version__"]


def promised_to_type_checkers() -> set[str]:
    tree = ast.parse(Path(latente.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def public_methods(cls: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties of a class that this package defines."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        value = getattr(value, "__func__", getattr(value, "fget", value))
        ours = getattr(value, "__module__", None) or ""
        if not name.startswith("_") and inspect.isroutine(value) and ours.startswith("latente"):
            yield name, getattr(cls, name)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert getattr(latente, name).__name__.rpartition(".")[2] == name


def test_type_checkers_see_the_same_names() -> None:
    assert promised_to_type_checkers() == set(NAMES)
    assert set(dir(latente)) == set(latente.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'latente' has no attribute 'Autoencodr'"):
        latente.Autoencodr  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_everything_public_is_documented(name: str) -> None:
    value = getattr(latente, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        silent = [method for method, body in public_methods(value) if not inspect.getdoc(body)]
        assert not silent, f"{name} does not tell what these do: {silent}"


def explained(cls: type) -> set[str]:
    """Return the parameters that the docstrings of a class and of its parents explain."""
    texts = [inspect.cleandoc(parent.__doc__ or "") for parent in cls.__mro__]
    sections = [text.partition("Parameters\n----------\n")[2] for text in texts]
    lines = re.findall(r"^(\w.*)$", "\n".join(sections), re.MULTILINE)
    return {word.strip() for line in lines for word in line.partition(":")[0].split(",")}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_explains_its_parameters(family: str) -> None:
    for name, cls in FAMILIES[family].items():
        assert cls.__doc__, name
        fields = {field.name for field in dataclasses.fields(cls) if field.init}
        missing = fields - explained(cls)
        assert not missing, f"{name} does not explain {sorted(missing)}"
