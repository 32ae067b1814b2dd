"""The families of parts by the estimator's parameter that takes one: names, calls, TOML tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from ..bottlenecks.table import BOTTLENECKS
from ..corruptions import CORRUPTIONS
from ..errors import ParameterError
from ..losses import LOSSES
from ..networks.table import NETWORKS
from ..optimizers import OPTIMIZERS
from ..parts import Part, construct, parse, to_json, tupled
from ..schedules import SCHEDULES
from .signature import parameters


class Family(NamedTuple):
    """A family of parts: what its members differ in, and its table."""

    varies: str
    table: Mapping[str, type[Part]]


FAMILIES = {
    "network": Family("how encoder and decoder are built", NETWORKS),
    "bottleneck": Family("how the code is made, and what it costs", BOTTLENECKS),
    "corruption": Family("what the encoder sees instead of the input", CORRUPTIONS),
    "loss": Family("how the output is held against the target", LOSSES),
    "optimizer": Family("how the weights move", OPTIMIZERS),
    "schedule": Family("how the learning rate changes", SCHEDULES),
}
SEVERAL = frozenset({"corruption"})
"""The parameters that also take a list of parts."""


def part(spec: object, parameter: str) -> Any:
    """Return the part that a name, a call written as text, or a TOML table stands for.

    None and a default that is no part ("auto") are passed on; where several parts are taken, a list
    gives a list.
    """
    if isinstance(spec, list) and parameter in SEVERAL:
        return [part(item, parameter) for item in spec] or None
    if spec is None or isinstance(spec, Part):
        return spec
    table = FAMILIES[parameter].table
    if isinstance(spec, str):
        name, params = parse(spec, parameter)
        if name not in table and not params and name == parameters()[parameter].default:
            return name
    elif isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        name, params = spec["name"], {k: v for k, v in spec.items() if k != "name"}
    else:
        raise ParameterError(f"{parameter}={spec!r} is no part; give its name, or a call of it")
    types = types_of(table.get(name.replace("-", "_")))
    read = {key: nothing(tupled(item), types.get(key, "")) for key, item in params.items()}
    return construct(name, read, table, parameter)


def types_of(cls: type[Part] | None) -> dict[str, str]:
    """Return the types of a part's parameters, as they are written."""
    return {} if cls is None else {field.name: str(field.type) for field in fields(cls)}


def nothing(value: object, annotation: str) -> object:
    """Turn "none" into None where the parameter can be None: elsewhere it may be a name."""
    return None if "None" in annotation and str(value).lower() == "none" else value


def written(value: object, parameter: str) -> str:
    """Write a part as a call, ``gaussian(beta=4)``, leaving out what is at its default.

    >>> from latente.bottlenecks.table import Gaussian
    >>> written(Gaussian(beta=4), "bottleneck")
    'gaussian(beta=4)'
    """
    if isinstance(value, list | tuple):
        return " + ".join(written(item, parameter) for item in value)
    table = FAMILIES[parameter].table
    if not isinstance(value, Part) or type(value) not in table.values():
        return str(value)
    params = to_json(value, table)
    name = str(params.pop("name"))
    plain = type(value)().get_params()
    given = [f"{key}={item!r}" for key, item in params.items() if item != plain[key]]
    return f"{name}({', '.join(given)})" if given else name
