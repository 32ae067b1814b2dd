"""What the parts of an autoencoder have in common: parameters, a name in a table, a JSON form.

A part *describes*: it is a keyword-only dataclass with checks, equality and a JSON form. Its
``build(...)`` returns the `torch.nn.Module` that does the work and holds whatever is learned.

A family of parts has one table of names beside its classes::

    BOTTLENECKS = Table("bottlenecks.base.Bottleneck", plain="bottlenecks.plain.Plain", ...)

Wherever a part is asked for, an object, a name or a call written as text is accepted::

    Gaussian(beta=4)  ==  "gaussian(beta=4)"        Gaussian()  ==  "gaussian"
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Self, TypeVar

from .errors import ParameterError

P = TypeVar("P", bound="Part")


@dataclass(kw_only=True)
class Part:
    """One exchangeable piece of an autoencoder, described by its fields alone.

    Subclasses are dataclasses whose fields are their parameters. They check them in `check`, which
    runs at construction and after `set_params`, and never change what was passed, so that
    scikit-learn can clone them.
    """

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise `ParameterError` where a parameter cannot work."""

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Return the names of the parameters, in the order they are declared."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in self.parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name and return the part itself.

        Raises
        ------
        ParameterError
            If a name is unknown or a value cannot work; the part is then left as it was.
        """
        unknown = [name for name in params if name not in self.parameter_names()]
        if unknown:
            raise ParameterError(
                f"{type(self).__name__} has no parameter {unknown[0]!r}; "
                f"it has {listed(self.parameter_names()) or 'none'}"
            )
        before = self.get_params()
        try:
            for name, value in params.items():
                setattr(self, name, value)
            self.check()
        except ParameterError:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        return self

    def copy(self) -> Self:
        """Return another part with the same parameters."""
        return dataclasses.replace(self)


class Table(Mapping[str, type[P]]):
    """A family of parts: each name with its class, which is imported when it is asked for.

    Listing the names imports nothing, so that ``--help`` is instant.

    Parameters
    ----------
    base
        The family's base class, as ``"module.Class"`` within the package.
    **lines
        Each part's class in the same form, by the part's name.
    """

    def __init__(self, base: str, **lines: str) -> None:
        self._base = base
        self._lines = lines

    def __getitem__(self, name: str) -> type[P]:
        cls: type[P] = imported(self._lines[name])
        return cls

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    @cached_property
    def base(self) -> type[P]:
        """The class that every part of the family derives from."""
        cls: type[P] = imported(self._base)
        return cls

    @property
    def classes(self) -> dict[str, str]:
        """The parts' names by the names of their classes; nothing is imported."""
        return {line.rpartition(".")[2]: name for name, line in self._lines.items()}

    def name_of(self, part: Part) -> str:
        """Return a part's name in the table; of a user's own part, the name of its class."""
        title = type(part).__name__
        name = self.classes.get(title)
        return name if name is not None and self[name] is type(part) else title

    def find(self, name: str) -> type[P] | None:
        """Return the class of that name: of the table, or one that a user's code defines."""
        if name in self._lines:
            return self[name]
        waiting, own = [self.base], {}
        while waiting:
            cls = waiting.pop(0)
            waiting += cls.__subclasses__()
            if cls.__name__ == name:
                own[cls.__module__, cls.__qualname__] = cls  # the last, where it was defined again
        return next(iter(own.values())) if len(own) == 1 else None


def imported(line: str) -> Any:
    """Return the class of the package that ``"module.Class"`` names."""
    module, _, title = line.rpartition(".")
    return getattr(import_module(f"{__package__}.{module}"), title)


def listed(names: Iterable[object]) -> str:
    """Join names for a sentence: ``"a, b or c"``."""
    words = [str(name) for name in names]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def require(condition: bool, owner: object, name: str, value: object, wanted: str) -> None:
    """Raise `ParameterError` naming the parameter unless the condition holds.

    >>> require(False, "Mask", "rate", 3, "a number from 0 to 1")
    Traceback (most recent call last):
    latente.errors.ParameterError: Mask(rate=3): rate must be a number from 0 to 1
    """
    if not condition:
        title = owner if isinstance(owner, str) else type(owner).__name__
        raise ParameterError(f"{title}({name}={value!r}): {name} must be {wanted}")


def is_number(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether the value is a finite real number (not a bool) with ``low <= value <= high``."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or hasattr(value, "__len__"):
        return False
    number = float(value)
    return math.isfinite(number) and low <= number <= high


def is_whole(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether the value is a whole number (not a bool) with ``low <= value <= high``."""
    return hasattr(value, "__index__") and is_number(value, low, high)


def resolve(spec: str | P, table: Table[P], parameter: str) -> P:
    """Return the part that a name, a call written as text, or an object stands for.

    Parameters
    ----------
    spec
        A part of the family, a name of the table, or text such as ``"gaussian(beta=4)"``.
    table
        The family's table.
    parameter
        The parameter the part was given for, to be named in errors.

    Raises
    ------
    ParameterError
        If the name is not in the table or a parameter of the part is unknown or cannot work.
    """
    if isinstance(spec, table.base):
        return spec
    if not isinstance(spec, str):
        raise ParameterError(
            f"{parameter}={spec!r}: {parameter} must be {listed(map(repr, table))}, or such a part"
        )
    name, params = parse(spec, parameter)
    return construct(name, params, table, parameter)


def construct(name: str, params: Mapping[str, Any], table: Table[P], parameter: str) -> P:
    """Make the part of that name with those parameters, or say which names there are."""
    cls = table.find(name.replace("-", "_"))
    if cls is None:
        raise ParameterError(f"{parameter}={name!r}: choose {listed(map(repr, table))}")
    unknown = [p for p in params if p not in cls.parameter_names()]
    if unknown:
        raise ParameterError(
            f"{parameter}={name!r} has no parameter {unknown[0]!r}; "
            f"it has {listed(cls.parameter_names()) or 'none'}"
        )
    return cls(**params)


def parse(text: str, parameter: str) -> tuple[str, dict[str, Any]]:
    """Split ``"name(key=value, ...)"`` into the name and its parameters.

    Values are Python literals; a bare word is taken as text, so that
    ``dense(hidden=[128, 64], activation=relu)`` needs no quotes.
    """
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return name.strip(), {}
    wrong = ParameterError(f'{parameter}={text!r} is not of the form "name(key=value, ...)"')
    try:
        call = ast.parse("part(" + rest, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise wrong from None
    if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
        raise wrong
    params: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise wrong
        if isinstance(keyword.value, ast.Name):
            params[keyword.arg] = keyword.value.id
        else:
            try:
                params[keyword.arg] = ast.literal_eval(keyword.value)
            except (ValueError, TypeError):
                raise wrong from None
    return name.strip(), params


def to_json(part: P, table: Table[P]) -> dict[str, Any]:
    """Return the part as plain JSON values: its name and its parameters."""
    return {"name": table.name_of(part), **part.get_params()}


def from_json(value: object, table: Table[P], parameter: str) -> P:
    """Make a part of what `to_json` returned.

    Raises
    ------
    ParameterError
        If it is no such value, or describes a part of the user's own whose class is not defined.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ParameterError(f"{parameter}={value!r}: a part needs a name of {listed(table)}")
    name = value["name"]
    if table.find(name) is None and name.isidentifier() and len(name) < 80:
        raise ParameterError(
            f"{parameter}: no class {name} of {table.base.__name__} is defined here, or several "
            "are; import the module that defines it before loading"
        )
    params = {str(key): tupled(item) for key, item in value.items() if key != "name"}
    return construct(name, params, table, parameter)


def tupled(value: object) -> object:
    """Turn lists into tuples, all the way down: JSON knows no tuples, the parts prefer them."""
    return tuple(tupled(item) for item in value) if isinstance(value, list) else value
