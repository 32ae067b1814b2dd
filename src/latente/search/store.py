"""The index's file: its codes and paths as tensors, its model's fingerprint in the metadata.

Nothing in a file is trusted: whatever does not fit is a `FileError`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import FileError
from ..estimator import Autoencoder
from ..storage.files import StrPath
from ..storage.tensors import read_tensors, write_tensors
from .engines import ENGINES
from .fingerprint import fingerprint
from .metrics import METRICS

KIND = "latente index"
FORMAT = 1
"""Version of what an index's file holds; a file with a higher one is refused."""
SHOWN = 12
"""Digits of a fingerprint that an error shows."""
HASH = "[0-9a-f]{64}"


@dataclass(frozen=True)
class Stored:
    """What an index's file holds.

    Parameters
    ----------
    codes
        Shape (n, latent).
    paths
        One a code, or None.
    metric, engine
        Names.
    fingerprint
        Of the model that made the codes, or None.
    model
        Where its file lies, or None.
    graph
        What the engine made of the codes, as bytes that are not trusted; or None.
    """

    codes: Tensor
    paths: list[str] | None
    metric: str
    engine: str
    fingerprint: str | None
    model: Path | None
    graph: Tensor | None = None


def write(path: StrPath, stored: Stored) -> None:
    """Write an index; the place of its model is noted as seen from the index."""
    tensors = {"codes": stored.codes.cpu()}
    if stored.paths is not None:
        tensors["paths"] = encoded(stored.paths)
    if stored.graph is not None:
        tensors["graph"] = stored.graph
    model = stored.model
    meta = {
        "metric": stored.metric,
        "engine": stored.engine,
        "fingerprint": stored.fingerprint,
        "model": model and Path(os.path.relpath(model, Path(path).parent)).as_posix(),
    }
    write_tensors(path, tensors, meta, kind=KIND, format=FORMAT)


def read(path: StrPath) -> Stored:
    """Read an index, checked."""
    tensors, meta = read_tensors(path, kind=KIND, newest_format=FORMAT)
    problem = wrong(tensors, meta)
    if problem:
        raise FileError(f"{path} is damaged: {problem}")
    return Stored(
        codes=tensors["codes"],
        paths=decoded(tensors["paths"]) if "paths" in tensors else None,
        metric=meta["metric"],
        engine=meta["engine"],
        fingerprint=meta["fingerprint"],
        model=Path(path).parent / meta["model"] if meta["model"] else None,
        graph=tensors.get("graph"),
    )


def wrong(tensors: dict[str, Tensor], meta: dict[str, Any]) -> str | None:
    """Return what about a file's content cannot be, or None."""
    codes, paths = tensors.get("codes"), tensors.get("paths")
    mark, noted = meta.get("fingerprint"), meta.get("model")
    fits = {
        "it holds no codes": codes is not None
        and codes.dtype is torch.float32
        and codes.dim() == 2
        and codes.numel() > 0
        and bool(codes.isfinite().all()),
        "it holds tensors of unknown names": set(tensors) <= {"codes", "paths", "graph"},
        "its paths or its graph are no bytes": all(
            tensor.dtype is torch.uint8 and tensor.dim() == 1
            for name, tensor in tensors.items()
            if name != "codes"
        ),
        "its metric is unknown": _is_one_of(meta.get("metric"), METRICS),
        "its engine is unknown": _is_one_of(meta.get("engine"), ("auto", *ENGINES)),
        "it does not tell of its model": {"fingerprint", "model"} <= set(meta),
        "its fingerprint is none": mark is None
        or (isinstance(mark, str) and re.fullmatch(HASH, mark) is not None),
        "its model is no path": noted is None or (isinstance(noted, str) and noted.isprintable()),
    }
    bad = next((problem for problem, good in fits.items() if not good), None)
    if bad is not None or paths is None or codes is None:
        return bad
    one_each = int((paths == 0).sum()) == len(codes) - 1
    return None if one_each else "it does not hold one path a code"


def _is_one_of(value: object, names: Any) -> bool:
    return isinstance(value, str) and value in names


def checked_model(
    autoencoder: Autoencoder | StrPath | None, stored: Stored, path: StrPath
) -> Autoencoder | None:
    """Return the model that made an index, or raise `FileError` where it is another.

    Parameters
    ----------
    autoencoder
        The model or its file; None for the file that the index notes, if it does.
    stored
        What the index's file holds.
    path
        The index's file, to be named in errors.
    """
    source = autoencoder or stored.model
    if source is None:
        return None
    if isinstance(source, Autoencoder):
        model, named = source, "this one"
    elif Path(source).exists():
        model, named = Autoencoder.load(Path(source)), str(source)
    else:
        raise FileError(f"{path} was made with the model {source}, which is not there")
    own, mark = fingerprint(model), stored.fingerprint
    if mark is not None and own != mark:
        raise FileError(
            f"{path} was made with another model: its fingerprint is {mark[:SHOWN]}, that of "
            f"{named} is {own[:SHOWN]}"
        )
    if stored.codes.shape[1] != model.latent_dim_:
        raise FileError(f"{path} is damaged: its codes are not of its model's size")
    return model


def encoded(paths: list[str]) -> Tensor:
    """Return paths as the bytes of UTF-8, a zero between them."""
    raw = "\0".join(path.replace("\0", "") for path in paths).encode("utf-8", "surrogateescape")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.empty(0).byte()


def decoded(raw: Tensor) -> list[str]:
    """Return the paths that `encoded` made bytes of; bytes that are no text are kept as such."""
    return raw.numpy().tobytes().decode("utf-8", "surrogateescape").split("\0")
