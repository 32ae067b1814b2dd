"""Nested values with tensors inside, as JSON and a flat table of tensors, and back, exactly.

::

    {"step": 3, "state": {0: tensor}}
        ⇅
    {"step": 3, "state": {"$dict": [[0, {"$tensor": "state.0"}]]}}   and   {"state.0": tensor}

What JSON can say stays as it is; the rest is an object with one key that starts with ``$``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 100
"""Records from which a list of them is packed by columns: a history can have 50,000."""
NAME_LIMIT = 200
"""Characters of a tensor's name."""


def pack(value: object) -> tuple[Any, dict[str, Tensor]]:
    """Split nested values into JSON values and the tensors among them.

    Parameters
    ----------
    value
        None, bool, int, float (NaN and infinity too), str, tensor, and dict, list or tuple of such;
        the keys of a dict may be any of them that can be hashed. Numbers of NumPy become Python's.

    Returns
    -------
    tuple
        What ``json.dumps(..., allow_nan=False)`` takes, and tensors by name.

    Raises
    ------
    TypeError
        If there is a value of another type; the message tells where.
    """
    tensors: dict[str, Tensor] = {}
    return _pack(value, (), tensors), tensors


def unpack(structure: object, tensors: Mapping[str, Tensor]) -> Any:
    """Put together again what `pack` split.

    Parameters
    ----------
    structure
        The JSON values.
    tensors
        The tensors by name; they are taken as they are, not copied.

    Raises
    ------
    ValueError
        If the structure is none that `pack` makes, or a tensor is missing.
    """
    if isinstance(structure, list):
        return [unpack(item, tensors) for item in structure]
    if not isinstance(structure, dict):
        return structure
    tag = next(iter(structure), "")
    if not tag.startswith("$"):
        return {key: unpack(item, tensors) for key, item in structure.items()}
    if len(structure) > 1 or tag not in _UNPACKERS:
        raise ValueError(f"{tag!r} is no mark of a packed value")
    try:
        return _UNPACKERS[tag](structure[tag], tensors)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"a packed value marked {tag!r} is not of the right form") from error


def _pack(value: object, path: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, dict):
        return _pack_dict(value, path, tensors)
    if isinstance(value, tuple):
        return {"$tuple": _pack_items(value, path, tensors)}
    if isinstance(value, list):
        return _pack_rows(value, path, tensors) or _pack_items(value, path, tensors)
    return _pack_tensor(value, path, tensors)


def _pack_items(
    items: list[Any] | tuple[Any, ...], path: tuple[str, ...], tensors: dict[str, Tensor]
) -> list[Any]:
    return [_pack(item, (*path, str(i)), tensors) for i, item in enumerate(items)]


def _pack_dict(
    value: dict[Any, Any], path: tuple[str, ...], tensors: dict[str, Tensor]
) -> dict[str, Any]:
    packed = [_pack(item, (*path, str(key)), tensors) for key, item in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return dict(zip(value, packed, strict=True))
    keys = [_pack(key, (*path, "key"), tensors) for key in value]
    return {"$dict": [[key, item] for key, item in zip(keys, packed, strict=True)]}


def _pack_rows(
    rows: list[Any], path: tuple[str, ...], tensors: dict[str, Tensor]
) -> dict[str, Any] | None:
    """Pack many records of the same numbers by columns, or return None where they are not such."""
    import torch

    if len(rows) < ROWS or not all(isinstance(row, dict) for row in rows):
        return None
    names = tuple(rows[0])
    if not all(tuple(row) == names for row in rows) or not all(type(n) is str for n in names):
        return None
    columns: dict[str, Tensor] = {}
    for name in names:
        column = [row[name] for row in rows]
        types = {type(item) for item in column}
        whole = types == {int} and all(-(2**63) <= item < 2**63 for item in column)
        if not whole and types != {float}:
            return None
        columns[name] = torch.tensor(column, dtype=torch.int64 if whole else torch.float64)
    return {"$rows": _pack(columns, path, tensors)} if columns else None


def _pack_tensor(value: object, path: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    import torch

    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        where = ".".join(path) or "the value"
        raise TypeError(f"{where} is of type {type(value).__name__}, which no file can hold")
    name = re.sub(r"[^\w.-]", "_", ".".join(path), flags=re.ASCII)[:NAME_LIMIT]
    number, unique = 1, name
    while unique in tensors or unique in ("", "__metadata__"):
        number += 1
        unique = f"{name}~{number}"
    tensors[unique] = value.detach()
    return {"$tensor": unique}


def _unpack_float(value: Any, tensors: Mapping[str, Tensor]) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value]


def _unpack_tuple(value: Any, tensors: Mapping[str, Tensor]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(unpack(item, tensors) for item in value)


def _unpack_dict(value: Any, tensors: Mapping[str, Tensor]) -> dict[Any, Any]:
    return {unpack(key, tensors): unpack(item, tensors) for key, item in value}


def _unpack_rows(value: Any, tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    columns = unpack(value, tensors)
    if any(column.ndim != 1 for column in columns.values()):  # (10**12, 0) would fill the memory
        raise TypeError
    columns = {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _unpack_tensor(value: Any, tensors: Mapping[str, Tensor]) -> Tensor:
    return tensors[value]


_UNPACKERS: dict[str, Callable[[Any, Mapping[str, Tensor]], Any]] = {
    "$float": _unpack_float,
    "$tuple": _unpack_tuple,
    "$dict": _unpack_dict,
    "$rows": _unpack_rows,
    "$tensor": _unpack_tensor,
}
