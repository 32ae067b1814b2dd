"""The state of a fit on the disk, so that one that was killed goes on as if it had not been."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError, printable
from ..storage.files import StrPath, held
from ..storage.packing import pack, unpack
from ..storage.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

KIND = "latente checkpoint"
FORMAT = 1
HASHED = 256 * 2**20
"""Bytes of the data that are hashed; of larger data, blocks spread evenly over them."""
BLOCK = 2**16
SHOWN = 3
"""Differences that a refusal names."""


class Checkpoint:
    """A folder that holds the latest state of one fit.

    A state is written beside the previous one and renamed over it, so that there is always a whole
    one, whenever the process is killed.

    Parameters
    ----------
    folder
        Where the state is kept; made if it is not there.
    fingerprint
        What makes the fit the same: parameters, and `data_fingerprint` of the data. May be nested.

    Raises
    ------
    FileError
        If the folder cannot be made.
    """

    def __init__(self, folder: StrPath, fingerprint: Mapping[str, object] | None = None) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "checkpoint.safetensors"
        self.fingerprint = flatten(fingerprint or {})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise FileError(f"cannot use {folder} for checkpoints: it is no folder") from error
        except OSError as error:
            raise FileError(f"cannot make the folder {folder}: {error.strerror}") from error

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Hold the folder for one fit, until it ends or its process does.

        Raises
        ------
        FileError
            If another fit holds it.
        """
        with held(self.folder, "another fit keeps its checkpoints there; give another folder"):
            yield

    @contextmanager
    def resuming(self) -> Iterator[None]:
        """Turn whatever goes wrong with a state that was read into `FileError`."""
        try:
            yield
        except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            why = str(error) if isinstance(error, FormError) else "its state cannot be taken over"
            raise FileError(f"{self.path} is damaged: {why}; delete it to start anew") from error

    def save(self, state: dict[str, Any]) -> None:
        """Write a state: nested values and tensors, as `packing.pack` takes them.

        Raises
        ------
        FileError
            If it cannot be written; the state before it is kept then.
        """
        structure, tensors = pack(state)
        meta = {"fingerprint": self.fingerprint, "state": structure}
        write_tensors(self.path, tensors, meta, kind=KIND, format=FORMAT)

    def load(self) -> dict[str, Any] | None:
        """Return the latest state exactly as it was saved, its tensors on the CPU; None at first.

        Raises
        ------
        FileError
            If the file is damaged, or belongs to a fit with other data or parameters.
        """
        if not self.path.exists():
            return None
        tensors, meta = read_tensors(self.path, kind=KIND, newest_format=FORMAT, finite=False)
        self._compare(meta.get("fingerprint"))
        try:
            state = unpack(meta.get("state"), tensors)
        except ValueError as error:
            raise FileError(f"{self.path} is damaged: {error}") from error
        if not isinstance(state, dict):
            raise FileError(f"{self.path} is damaged: it holds no state")
        return state

    def _compare(self, stored: object) -> None:
        """Refuse the state of a fit whose fingerprint differs, and name the differences."""
        if stored == self.fingerprint:
            return
        if not isinstance(stored, dict):
            raise FileError(f"{self.path} is damaged: it has no fingerprint")
        names = [*self.fingerprint, *(name for name in stored if name not in self.fingerprint)]
        told = [
            f"{name} was {_shown(stored.get(name))}, now {_shown(self.fingerprint.get(name))}"
            for name in names
            if stored.get(name) != self.fingerprint.get(name)
        ]
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise FileError(
            f"{self.path} belongs to another fit: {'; '.join(told[:SHOWN])}{more}; "
            "give another folder, or delete this one to start anew"
        )


class FormError(ValueError):
    """A value of a state that is not of the form it has in this fit; the message names it."""


def require_form(value: object, like: object, where: str = "its state") -> None:
    """Refuse nested values that are not of the form of others.

    Parameters
    ----------
    value
        What `Checkpoint.load` returned, or a part of it.
    like
        What it must be like: dicts have the same keys, lists the same length, tensors the same
        shape and type; numbers may be others, all else must be equal.
    where
        What the value is called in errors.

    Raises
    ------
    FormError
        If it is of another form.
    """
    import torch

    good = type(value) is type(like)
    children: list[tuple[object, object, object]] = []
    if isinstance(like, torch.Tensor):
        good = (
            isinstance(value, torch.Tensor)
            and value.shape == like.shape
            and value.dtype == like.dtype
        )
    elif isinstance(like, Mapping) and isinstance(value, Mapping):
        good = value.keys() == like.keys()
        children = [(key, value[key], like[key]) for key in value] if good else []
    elif isinstance(like, list | tuple) and isinstance(value, list | tuple):
        good = good and len(value) == len(like)
        children = [(i, *pair) for i, pair in enumerate(zip(value, like, strict=False))]
    elif is_amount(like):
        good = is_amount(value)
    elif good:
        good = value == like
    if not good:
        raise FormError(f"{printable(where)} is not of the right form")
    for key, inner, other in children:
        require_form(inner, other, f"{where}, {key}")


def is_amount(value: object) -> bool:
    """Whether a value is a number that a state may hold: not NaN, whole ones not beyond 2**53."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 2**53 if isinstance(value, int) else not math.isnan(value)


def flatten(fingerprint: Mapping[Any, object], prefix: str = "") -> dict[str, str]:
    """Return a nested fingerprint as one table of texts, keys joined by dots.

    >>> flatten({"epochs": 5, "network": {"hidden": (8, 4)}})
    {'epochs': '5', 'network.hidden': '[8, 4]'}
    """
    flat: dict[str, str] = {}
    for key, value in fingerprint.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value, default=repr, ensure_ascii=False)
    return flat


def _shown(text: object) -> str:
    if text is None:
        return "absent"
    words = str(text)
    return words if words.isprintable() and len(words) <= 60 else f"{words[:57]!a}..."


def data_fingerprint(array: NDArray[Any] | Tensor) -> dict[str, object]:
    """Return what tells data from other data: shape, dtype and a hash of the values.

    Parameters
    ----------
    array
        Numbers, in memory or mapped; strided ones have the hash of their contiguous copy. Up to
        256 MB are hashed whole, of more about as much in blocks spread evenly.

    Returns
    -------
    dict
        ``{"shape": [60000, 784], "dtype": "uint8", "hash": "5f3c..."}``.
    """
    values = _as_array(array)
    if values.dtype.hasobject:
        raise TypeError("objects have no fingerprint; numbers have")
    digest = hashlib.blake2b(digest_size=16)
    for rows in _blocks(values.reshape(1) if values.ndim == 0 else values):
        digest.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    return {
        "shape": list(values.shape),
        "dtype": str(array.dtype),
        "hash": digest.hexdigest(),
    }


def _as_array(array: NDArray[Any] | Tensor) -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    import torch

    plain = array.detach().cpu()
    return (plain.view(torch.int16) if plain.dtype is torch.bfloat16 else plain).numpy()


def _blocks(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return views of the rows to hash: all, or blocks at even distances, ends included."""
    if values.nbytes <= HASHED:
        return [values]
    rows = len(values)
    row_bytes = values.nbytes // rows
    size = max(BLOCK // row_bytes, 1)
    count = max(HASHED // (size * row_bytes), 2)
    starts = np.linspace(0, rows - size, count).astype(int)
    return [values[start : start + size] for start in starts]
