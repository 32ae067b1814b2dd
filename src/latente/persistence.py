"""The model's file: tensors, and everything else about the model as JSON in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import FileError, LatenteError
from .storage.files import StrPath, atomic
from .storage.packing import pack, unpack
from .storage.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FORMAT", "KIND", "Storable", "atomic", "load", "save"]

KIND = "latente model"
FORMAT = 1
"""Version of what a model's file holds; a file with a higher one is refused."""


class Storable(Protocol):
    """What can be kept in a model's file; one of another kind than a model names it as `_KIND`."""

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return a description (see `packing.pack`) and tensors by name."""

    @classmethod
    def _from_state(
        cls,
        meta: dict[str, Any],
        tensors: Mapping[str, Tensor],
        network: tuple[nn.Module, nn.Module] | None,
    ) -> Any:
        """Make the object again of what `_state` returned, which may have been tampered with."""


S = TypeVar("S", bound=Storable)


def save(estimator: Storable, path: StrPath) -> None:
    """Write a fitted estimator to one safetensors file, whole or not at all.

    Parameters
    ----------
    estimator
        Fitted; its tensors may be on any device.
    path
        The file; one that exists is replaced.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    meta, tensors = estimator._state()
    structure, inner = pack(meta)
    named = {f"meta:{name}": tensor for name, tensor in inner.items()}
    write_tensors(path, {**tensors, **named}, structure, kind=kind_of(estimator), format=FORMAT)


def load(cls: type[S], path: StrPath, network: tuple[nn.Module, nn.Module] | None = None) -> S:
    """Read an estimator that `save` wrote.

    Parameters
    ----------
    cls
        The estimator's class.
    path
        The file.
    network
        Encoder and decoder, where the model was built of the user's own.

    Returns
    -------
    estimator
        Fitted, on the CPU.

    Raises
    ------
    FileError
        If the file cannot be read, is no model, is damaged, or comes from a later version.
    """
    tensors, structure = read_tensors(
        path,
        kind=kind_of(cls),
        newest_format=FORMAT,
        finite=lambda name: not name.startswith("meta:"),
    )
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith("meta:")}
    inner = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("meta:")}
    try:
        estimator: S = cls._from_state(unpack(structure, inner), own, network)
    except FileError:
        raise
    except Exception as error:  # the description is not trusted: it can be wrong in any way
        raise FileError(f"{path} holds no model that can be loaded: {_told(error)}") from error
    return estimator


def kind_of(storable: object) -> str:
    """Return what the file of an object, or of a class, is called."""
    return getattr(storable, "_KIND", KIND)


def _told(error: Exception) -> str:
    """Return an error in one line, without what a file could smuggle to a terminal."""
    text = str(error) if isinstance(error, LatenteError) else f"{type(error).__name__}: {error}"
    line = " ".join(text.split())[:300]
    return "".join(letter for letter in line if letter.isprintable()).rstrip(": ")
