"""Snapshot: a fitted estimator as plain JSON values and tensors, and back.

Nothing in a snapshot is executed: parts are looked up in their tables, the network is built without
memory, and its shapes must equal the tensors' before a single weight is taken over.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .assembly import Parts, build_model
from .bottlenecks.frequencies import Frequencies
from .corruptions import CORRUPTIONS
from .data.preparation import Preparation
from .errors import ParameterError
from .fitted import Fitted
from .keywords import TABLES, Keywords
from .model import Model
from .networks.custom import Modules
from .parts import Part, from_json, is_whole, to_json, tupled

Modulepair = tuple[nn.Module, nn.Module]
E = TypeVar("E", bound=Keywords)
OWN_MODULES = {"name": "own modules"}
MOST_LAYERS = 1000
CHOSEN = ("learning_rate_", "batch_size_", "epochs_", "precision_", "stopped_")


def to_snapshot(estimator: Keywords) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a fitted estimator as JSON values and tensors on the CPU.

    Parameters
    ----------
    estimator
        Fitted.

    Returns
    -------
    meta, tensors
        What `from_snapshot` takes.
    """
    fitted = estimator.fitted_
    meta: dict[str, Any] = {
        "keywords": {name: _plain(name, value) for name, value in _keywords(estimator).items()},
        "parts": _parts_to_json(estimator._parts),
        "code_shape": list(fitted.code_shape),
        "seed": fitted.seed,
        "chosen": {name: getattr(estimator, name) for name in CHOSEN},
        "columns": list(getattr(estimator, "feature_names_in_", [])),
        "names": estimator.columns_,
        "active": fitted.active,
        "history": estimator.history_,
    }
    tensors = {f"model.{k}": v.detach().cpu() for k, v in fitted.model.state_dict().items()}
    for title, preparation in _preparations(fitted).items():
        meta[title], arrays = preparation.state()
        tensors |= {f"{title}.{k}": torch.from_numpy(np.array(v)) for k, v in arrays.items()}
    if fitted.codes is not None:
        tensors["codes"] = torch.from_numpy(fitted.codes)
    if fitted.divergence is not None:
        tensors["divergence"] = torch.from_numpy(fitted.divergence)
    if fitted.tables is not None:
        tensors["tables.lowest"] = torch.from_numpy(fitted.tables.lowest)
        tensors["tables.counts"] = torch.from_numpy(fitted.tables.counts)
    return meta, tensors


def from_snapshot(
    cls: type[E],
    meta: dict[str, Any],
    tensors: dict[str, Tensor],
    network: Modulepair | None,
) -> E:
    """Return the estimator that a snapshot describes, on the CPU.

    Parameters
    ----------
    cls
        The estimator's class.
    meta, tensors
        What `to_snapshot` returned.
    network
        The encoder and decoder, where they were the user's own modules.

    Raises
    ------
    ParameterError
        If the user's own modules are needed and not given, or a part is none.
    Exception
        Of whatever kind, where it is no such snapshot: the caller turns it into one sentence.
    """
    parts = _parts_from_json(meta["parts"], network)
    given = _preparation("given", meta, tensors)
    wanted = _preparation("wanted", meta, tensors) if "wanted" in meta else given
    code_shape = tuple(int(size) for size in meta["code_shape"])
    if not code_shape or not all(is_whole(size, 1, 2**31) for size in code_shape):
        raise ValueError(f"code_shape={code_shape!r}")
    model = _model(parts, given, wanted, code_shape, _inside("model.", tensors))
    fitted = Fitted(model, given, wanted, code_shape, int(meta["seed"]))
    fitted.codes = _array(tensors, "codes", (None, int(np.prod(code_shape))))
    fitted.divergence = _array(tensors, "divergence", (int(np.prod(code_shape)),))
    fitted.tables = _tables(fitted, _inside("tables.", tensors))
    fitted.active = None if meta["active"] is None else int(meta["active"])

    estimator = cls(**_restored_keywords(meta["keywords"], network))
    estimator._parts = parts
    estimator.n_features_in_ = given.n_features
    if meta["columns"]:
        estimator.feature_names_in_ = np.array([str(c) for c in meta["columns"]], dtype=object)
    estimator.columns_ = _names(meta.get("names"), given)
    estimator.history_ = [dict(record) for record in meta["history"]]
    for name in CHOSEN:
        setattr(estimator, name, meta["chosen"][name])
    estimator._expose(fitted, parts)
    return estimator


def _names(names: Any, given: Preparation) -> list[str] | None:
    """Return the names of the columns; those of a data frame where the file has none."""
    if names is not None and len(names) != given.n_features:
        raise ValueError("there are not as many names as columns")
    return given.names if names is None else [str(name) for name in names]


def _model(
    parts: Parts,
    given: Preparation,
    wanted: Preparation,
    code_shape: tuple[int, ...],
    weights: dict[str, Tensor],
) -> Model:
    """Build the model, once its shapes, found without taking memory, are those of the weights."""
    latent_dim = code_shape[0] if len(code_shape) == 1 else None
    if not isinstance(parts.network, Modules):
        with torch.device("meta"):
            _check(*build_model(parts, given, wanted, latent_dim, seed=0), code_shape, weights)
    model, built = build_model(parts, given, wanted, latent_dim, seed=0)
    _check(model, built, code_shape, weights)
    model.load_state_dict(weights)
    return model.eval()


def _check(
    model: Model, built: tuple[int, ...], wanted: tuple[int, ...], weights: dict[str, Tensor]
) -> None:
    """Raise `ValueError` where a model does not take a code or weights of those shapes."""
    if built != wanted:
        raise ValueError(f"the network's code is {built}, not {wanted}")
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    differ = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
    if differ:
        name = differ[0]
        raise ValueError(f"{name} has shape {found.get(name)}, not {expected.get(name)}")


def _preparations(fitted: Fitted) -> dict[str, Preparation]:
    if fitted.wanted is fitted.given:
        return {"given": fitted.given}
    return {"given": fitted.given, "wanted": fitted.wanted}


def _preparation(title: str, meta: dict[str, Any], tensors: dict[str, Tensor]) -> Preparation:
    arrays = {name: value.numpy() for name, value in _inside(f"{title}.", tensors).items()}
    return Preparation.from_state(meta[title], arrays)


def _inside(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _array(
    tensors: dict[str, Tensor], name: str, shape: tuple[int | None, ...]
) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    if name not in tensors:
        return None
    found = tensors[name]
    fits = found.dim() == len(shape) and all(
        wanted in (None, have) for wanted, have in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype != torch.float32:
        raise ValueError(f"{name} has shape {tuple(found.shape)} and type {found.dtype}")
    return found.numpy()


def _tables(fitted: Fitted, tensors: dict[str, Tensor]) -> Frequencies | None:
    """Return the integer tables of a rounded code, which must be as many as numbers share one."""
    if not tensors:
        return None
    tables = Frequencies(tensors["lowest"].numpy(), tensors["counts"].numpy())
    if np.prod(fitted.code_shape) % tables.sources:
        raise ValueError(f"{tables.sources} tables do not go with codes of {fitted.code_shape}")
    return tables


def _keywords(estimator: Keywords) -> dict[str, Any]:
    skipped = ("callbacks", "warm_start", "verbose")
    params: dict[str, Any] = estimator.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in skipped}


def _plain(name: str, value: Any) -> Any:
    """Return a keyword's value as JSON: parts by name, own modules and generators as a mark."""
    if name == "corruption" and value is not None:
        items = [value] if isinstance(value, str | Part) else value
        return [_plain("", i) if isinstance(i, str) else to_json(i, CORRUPTIONS) for i in items]
    if isinstance(value, Modules) or (name == "network" and isinstance(value, tuple | list)):
        return OWN_MODULES
    if isinstance(value, Part):
        return to_json(value, TABLES[name])
    if name == "random_state":
        return int(value) if is_whole(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _restored_keywords(values: dict[str, Any], network: Modulepair | None) -> dict[str, Any]:
    restored: dict[str, Any] = {}
    for name, value in values.items():
        if value == OWN_MODULES:
            restored[name] = network
        elif name == "corruption" and isinstance(value, list):
            restored[name] = [
                i if isinstance(i, str) else from_json(i, CORRUPTIONS, name) for i in value
            ]
        elif isinstance(value, dict):
            restored[name] = from_json(value, TABLES[name], name)
        else:
            restored[name] = tupled(value)
    return restored


def _parts_to_json(parts: Parts) -> dict[str, Any]:
    values: dict[str, Any] = {name: _plain(name, getattr(parts, name)) for name in TABLES}
    values["corruption"] = [to_json(part, CORRUPTIONS) for part in parts.corruptions]
    return values


def _parts_from_json(values: dict[str, Any], network: Modulepair | None) -> Parts:
    own = values["network"] == OWN_MODULES
    if own and network is None:
        raise ParameterError(
            "this model was built of your own modules, whose code is not in the file: "
            "pass network=(encoder, decoder)"
        )
    found: dict[str, Any] = {
        name: from_json(values[name], table, name)
        for name, table in TABLES.items()
        if not (own and name == "network")
    }
    if own and network is not None:
        found["network"] = Modules(encoder=network[0], decoder=network[1])
    for name in ("channels", "hidden", "decoder_hidden"):
        layers = getattr(found["network"], name, None)
        if layers is not None and len(layers) > MOST_LAYERS:
            raise ValueError(f"{name} has {len(layers)} layers")
    corruptions = tuple(from_json(c, CORRUPTIONS, "corruption") for c in values["corruption"])
    return Parts(corruptions=corruptions, **found)
