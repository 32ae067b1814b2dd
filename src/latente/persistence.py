"""The model's file: tensors, and everything else about the model as JSON in its metadata.

Nothing in a file is executed: parts are looked up in their tables, the network is built without
memory, and its shapes must equal the tensors' before a single weight is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .bottlenecks.frequencies import Frequencies
from .build import Params, Parts, build_model
from .data.preparation import Preparation
from .errors import FileError, LatenteError, ParameterError
from .families import FAMILIES
from .fitted import Fitted
from .model import Model
from .networks.custom import Modules
from .parts import Part, from_json, is_whole, to_json, tupled
from .storage.files import StrPath
from .storage.packing import pack, unpack
from .storage.tensors import read_tensors, write_tensors
from .training.state import Record

KIND = "latente model"
FORMAT = 1
"""Version of what a model's file holds; a file with a higher one is refused."""
OWN_MODULES = {"name": "own modules"}
MOST_LAYERS = 1000
MOST_RECORDS = 500
"""Epochs of the history that a file keeps."""
OUTCOME = (
    "learning_rate_", "batch_size_", "epochs_", "best_epoch_", "precision_", "stopped_", "streamed_"
)  # fmt: skip
"""What a fit chose and came to, beside the model."""
LATER: dict[str, Any] = {"streamed_": False}
"""What older files do not tell of it, and what held then."""
NOT_KEPT = ("callbacks", "warm_start", "verbose")

Pair = tuple[nn.Module, nn.Module]


@dataclass(frozen=True)
class Contents:
    """What a model's file holds.

    Parameters
    ----------
    params
        The estimator's keywords, as they were passed.
    parts
        What they stand for.
    fitted
        The model, its scales, and what its codes turned out to be.
    history
        The loss terms of each epoch, by name.
    outcome
        The attributes of `OUTCOME`, by name.
    names
        The columns' names as scikit-learn knows them.
    columns
        The columns' names, those of a file too; None where there were none.
    """

    params: dict[str, Any]
    parts: Parts
    fitted: Fitted
    history: list[Record]
    outcome: dict[str, Any]
    names: list[Any]
    columns: list[str] | None


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
        raise FileError(f"{path} holds no model that can be loaded: {_one_line(error)}") from error
    return estimator


def kind_of(storable: object) -> str:
    """Return what the file of an object, or of a class, is called."""
    return getattr(storable, "_KIND", KIND)


def _one_line(error: Exception) -> str:
    """Return an error in one line, without what a file could smuggle to a terminal."""
    text = str(error) if isinstance(error, LatenteError) else f"{type(error).__name__}: {error}"
    line = " ".join(text.split())[:300]
    return "".join(letter for letter in line if letter.isprintable()).rstrip(": ")


def to_state(contents: Contents) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a fitted estimator's contents as values for `packing.pack`, and tensors on the CPU."""
    fitted = contents.fitted
    meta: dict[str, Any] = {
        "params": {
            name: _param_to_json(name, value)
            for name, value in contents.params.items()
            if name not in NOT_KEPT
        },
        "parts": _parts_to_json(contents.parts),
        "code_shape": list(fitted.code_shape),
        "seed": fitted.seed,
        "outcome": contents.outcome,
        "names": contents.names,
        "columns": contents.columns,
        "summary": {name: _as_tensor(value) for name, value in fitted.summary.items()},
        "history": thinned(contents.history),
    }
    tensors = {f"model.{k}": v.detach().cpu() for k, v in fitted.model.state_dict().items()}
    sides = {"input": fitted.input, "target": fitted.target}
    if fitted.target is fitted.input:
        del sides["target"]
    for title, preparation in sides.items():
        meta[title], arrays = preparation.state()
        tensors |= {f"{title}.{k}": torch.from_numpy(np.array(v)) for k, v in arrays.items()}
    if len(fitted.codes):
        tensors["codes"] = torch.from_numpy(fitted.codes)
    if fitted.tables is not None:
        tensors["tables.lowest"] = torch.from_numpy(fitted.tables.lowest)
        tensors["tables.counts"] = torch.from_numpy(fitted.tables.counts)
    return meta, tensors


def from_state(
    meta: dict[str, Any], tensors: Mapping[str, Tensor], network: Pair | None
) -> Contents:
    """Return the contents that `to_state` described, on the CPU.

    Parameters
    ----------
    meta, tensors
        What `to_state` returned.
    network
        The encoder and decoder, where they were the user's own modules.

    Raises
    ------
    ParameterError
        If the user's own modules are needed and not given, or a part is none.
    Exception
        Of whatever kind, where it is no such state: the caller turns it into one sentence.
    """
    parts = _parts_from_json(meta["parts"], network)
    source = _preparation("input", meta, tensors)
    target = _preparation("target", meta, tensors) if "target" in meta else source
    code_shape = tuple(int(size) for size in meta["code_shape"])
    if not code_shape or not all(is_whole(size, 1, 2**31) for size in code_shape):
        raise ValueError(f"code_shape={code_shape!r}")
    model = _model(parts, source, target, code_shape, _inside("model.", tensors))
    numbers = int(np.prod(code_shape))
    fitted = Fitted(
        model,
        source,
        target,
        int(meta["seed"]),
        codes=_codes(tensors, numbers),
        tables=_tables(_inside("tables.", tensors)),
        summary={str(name): _as_array(value) for name, value in dict(meta["summary"]).items()},
    )
    columns = meta["columns"]
    if columns is not None and len(columns) != source.n_features:
        raise ValueError("there are not as many names as columns")
    return Contents(
        _params_from_json(meta["params"], network),
        parts,
        fitted,
        [dict(record) for record in meta["history"]],
        {name: (LATER | meta["outcome"])[name] for name in OUTCOME},
        [str(name) for name in meta["names"]],
        source.names if columns is None else [str(name) for name in columns],
    )


def thinned(history: list[Record]) -> list[Record]:
    """Return at most `MOST_RECORDS` epochs: the first, the best, the last, others in between."""
    if len(history) <= MOST_RECORDS:
        return history
    watched = "validation_total" if "validation_total" in history[0] else "total"
    best = int(np.argmin([record[watched] for record in history]))
    last, half = len(history) - 1, (MOST_RECORDS - 1) // 2
    even = np.linspace(0, last, half).round().astype(int)
    early = np.geomspace(1, last + 1, half).round().astype(int) - 1  # most happens there
    return [history[i] for i in sorted({*even.tolist(), *early.tolist(), best})]


def _model(
    parts: Parts,
    source: Preparation,
    target: Preparation,
    code_shape: tuple[int, ...],
    weights: dict[str, Tensor],
) -> Model:
    """Build the model, once its shapes, found without taking memory, are those of the weights."""
    latent_dim = code_shape[0] if len(code_shape) == 1 else None
    spaces = (source.space, target.space)
    if not isinstance(parts.network, Modules):
        with torch.device("meta"):
            _check_shapes(build_model(parts, *spaces, latent_dim, seed=0), code_shape, weights)
    model = build_model(parts, *spaces, latent_dim, seed=0)
    _check_shapes(model, code_shape, weights)
    model.load_state_dict(weights)
    return model.eval()


def _check_shapes(model: Model, code_shape: tuple[int, ...], weights: dict[str, Tensor]) -> None:
    """Raise `ValueError` where a model does not take a code or weights of those shapes."""
    if model.network.code_shape != code_shape:
        raise ValueError(f"the network's code is {model.network.code_shape}, not {code_shape}")
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    stored = {name: tuple(value.shape) for name, value in weights.items()}
    differ = sorted(n for n in {*expected, *stored} if expected.get(n) != stored.get(n))
    if differ:
        name = differ[0]
        raise ValueError(f"{name} has shape {stored.get(name)}, not {expected.get(name)}")


def _preparation(title: str, meta: dict[str, Any], tensors: Mapping[str, Tensor]) -> Preparation:
    arrays = {name: value.numpy() for name, value in _inside(f"{title}.", tensors).items()}
    return Preparation.from_state(meta[title], arrays)


def _inside(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _codes(tensors: Mapping[str, Tensor], numbers: int) -> NDArray[np.float32]:
    codes = tensors.get("codes", torch.empty(0, numbers))
    if codes.dim() != 2 or codes.shape[1] != numbers or codes.dtype != torch.float32:
        raise ValueError(f"codes have shape {tuple(codes.shape)} and type {codes.dtype}")
    return codes.numpy()


def _tables(tensors: dict[str, Tensor]) -> Frequencies | None:
    if not tensors:
        return None
    return Frequencies(tensors["lowest"].numpy(), tensors["counts"].numpy())


def _as_tensor(value: object) -> object:
    """Return a summary's value as `packing.pack` takes it."""
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _as_array(value: object) -> object:
    return value.numpy() if isinstance(value, Tensor) else value


def _param_to_json(name: str, value: Any) -> Any:
    """Return a keyword's value as JSON: parts by name, own modules and generators as a mark."""
    if name == "corruption" and isinstance(value, list | tuple):
        return [_param_to_json(name, item) for item in value]
    if isinstance(value, Modules) or (name == "network" and isinstance(value, tuple | list)):
        return OWN_MODULES
    if isinstance(value, Part):
        return to_json(value, FAMILIES[name])
    if name == "random_state":
        return int(value) if is_whole(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _params_from_json(values: Params, network: Pair | None) -> dict[str, Any]:
    return {name: _param_from_json(name, value, network) for name, value in values.items()}


def _param_from_json(name: str, value: Any, network: Pair | None) -> Any:
    if value == OWN_MODULES:
        return network
    if name == "corruption" and isinstance(value, list):
        return [_param_from_json(name, item, network) for item in value]
    if isinstance(value, dict):
        return from_json(value, FAMILIES[name], name)
    return tupled(value)


def _parts_to_json(parts: Parts) -> dict[str, Any]:
    values: dict[str, Any] = {name: _param_to_json(name, getattr(parts, name)) for name in FAMILIES}
    return values


def _parts_from_json(values: dict[str, Any], network: Pair | None) -> Parts:
    own = values["network"] == OWN_MODULES
    if own and network is None:
        raise ParameterError(
            "this model was built of your own modules, whose code is not in the file: "
            "pass network=(encoder, decoder)"
        )
    for name, value in dict(values["network"]).items():
        if isinstance(value, list) and len(value) > MOST_LAYERS:
            raise ValueError(f"{name} has {len(value)} layers")
    built: dict[str, Any] = {
        name: from_json(values[name], table, name)
        for name, table in FAMILIES.items()
        if name != "corruption" and not (own and name == "network")
    }
    if own and network is not None:
        built["network"] = Modules(encoder=network[0], decoder=network[1])
    table = FAMILIES["corruption"]
    corruption = tuple(from_json(item, table, "corruption") for item in values["corruption"])
    return Parts(corruption=corruption, **built)
