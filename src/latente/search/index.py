"""The index: codes of many samples, searched for those most like a new one, and its file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.arrays import as_codes
from ..data.pictures import read_folder, read_picture
from ..errors import DataError, FileError, ParameterError
from ..estimator import Autoencoder
from ..parts import Part, is_whole, listed
from ..storage.digest import digest
from ..storage.files import StrPath
from ..storage.tensors import read_tensors, write_tensors
from .engines import ENGINES, METRICS, Engine, choose, nearest

if TYPE_CHECKING:
    from ..data.dataset import Dataset

KIND = "latente index"
FORMAT = 1
"""Version of what an index's file holds; a file with a higher one is refused."""
SHOWN = 12
"""Digits of a fingerprint that an error shows."""
HASH = "[0-9a-f]{64}"


class Neighbours(NamedTuple):
    """What a query finds, nearest first.

    Attributes
    ----------
    distances
        Shape (m, k), float32.
    positions
        Which samples of the index, counted from 0 in the order they were added; (m, k).
    paths
        Their paths, m lists of k; None where the index has no paths.
    """

    distances: NDArray[np.float32]
    positions: NDArray[np.int64]
    paths: list[list[str]] | None


class LatentIndex:
    """An index of codes: finds the samples that are most like a new one.

    ::

        X ──encoder──▶ codes (n, latent) ──kept      query ──encoder──▶ code ──▶ k nearest of them

    Parameters
    ----------
    autoencoder : Autoencoder or None
        Fitted; None for an index of codes that come from elsewhere.
    metric : str
        "euclidean", or "cosine": one minus the cosine of the angle between codes.
    engine : str
        "exact" compares with every code; "usearch" walks a graph (Malkov and Yashunin, 2018) and
        may miss a few; "auto" is exact up to 200,000 codes. Either way the distances are exact.

    Examples
    --------
    >>> from latente import Autoencoder, LatentIndex, datasets
    >>> digits = datasets.load("digits")
    >>> ae = Autoencoder(latent_dim=8, epochs=1, random_state=0).fit(digits.X)
    >>> found = LatentIndex(ae).build(digits.X).query(digits.X[:2], k=3)
    >>> found.positions[:, 0]
    array([0, 1])
    """

    def __init__(
        self,
        autoencoder: Autoencoder | None = None,
        *,
        metric: str = "euclidean",
        engine: str = "auto",
    ) -> None:
        if autoencoder is not None:
            check_is_fitted(autoencoder, "fitted_")
        for name, value, known in (
            ("metric", metric, METRICS),
            ("engine", engine, ("auto", *ENGINES)),
        ):
            if value not in known:
                raise ParameterError(f"{name}={value!r}: choose {listed(map(repr, known))}")
        self.autoencoder = autoencoder
        self.metric = metric
        self.engine = engine
        self.fingerprint: str | None = None if autoencoder is None else fingerprint(autoencoder)
        self._codes: Tensor | None = None
        self._rows: Tensor | None = None
        self._paths: list[str] | None = None
        self._engine: tuple[str, Engine] | None = None
        self._graph: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self._codes is None else len(self._codes)

    def __repr__(self) -> str:
        size = "" if self._codes is None else f" of {self._codes.shape[1]} numbers"
        return f"LatentIndex({len(self):,} codes{size}, {self.metric}, {self.engine_})"

    @property
    def engine_(self) -> str:
        """The engine that searches: what "auto" stands for at the present size."""
        return choose(self.engine, len(self))

    @property
    def paths(self) -> list[str] | None:
        """The path of each sample, where they have any."""
        return self._paths

    @property
    def codes(self) -> NDArray[np.float32]:
        """The codes of the samples, (n, latent)."""
        return self._filled.cpu().numpy()

    def build(self, X: Any, paths: Sequence[StrPath] | None = None) -> Self:
        """Fill the index with samples, in place of those it had.

        Parameters
        ----------
        X
            Samples as the autoencoder takes them, or the path of a folder of pictures, which are
            brought to the size it takes.
        paths
            A name for each, such as its file; a folder gives its own.
        """
        self._codes = self._rows = self._paths = self._engine = self._graph = None
        return self.add(X, paths)

    def add(self, X: Any, paths: Sequence[StrPath] | None = None) -> Self:
        """Add samples to the index.

        Parameters
        ----------
        X, paths
            As for `build`.

        Raises
        ------
        DataError
            If the samples are not such as the autoencoder takes, or only some have paths.
        ParameterError
            If the autoencoder was fitted again meanwhile, or there is none.
        """
        if isinstance(X, str | os.PathLike):
            data = self.pictures(X)
            X, paths = data.X, data.paths if paths is None else paths
        codes = self._encoded(X)
        if self.fingerprint != fingerprint(self._model):
            if len(self):
                raise ParameterError(
                    "the autoencoder was fitted again since the index was filled; build it anew"
                )
            self.fingerprint = fingerprint(self._model)
        return self.add_codes(codes, paths)

    def add_codes(self, Z: Any, paths: Sequence[StrPath] | None = None) -> Self:
        """Add samples by their codes.

        Parameters
        ----------
        Z
            Codes, shape (n, latent).
        paths
            As for `build`.
        """
        codes = self._checked(Z)
        names = None if paths is None else [str(path) for path in paths]
        if names is not None and len(names) != len(codes):
            raise DataError(f"there are {len(names)} paths for {len(codes)} samples; give one each")
        if len(self) and (names is None) != (self._paths is None):
            raise DataError("some samples have paths and others none; give paths for all or none")
        self._paths = names if self._paths is None else [*self._paths, *(names or [])]
        self._codes = codes if self._codes is None else torch.cat([self._codes, codes])
        self._rows = None
        return self

    def query(self, X: Any, k: int = 10) -> Neighbours:
        """Find the samples that are most like each of X.

        Parameters
        ----------
        X
            Samples as the autoencoder takes them, or the path of a picture or a folder of them.
        k
            How many to find for each; all there are where the index has no more.

        Returns
        -------
        Neighbours
            Distances (m, k), positions (m, k) and paths, nearest first; equal distances in the
            order in which samples were added.

        Raises
        ------
        DataError
            If X is not such as the autoencoder takes, or the index is empty.
        MissingExtra
            If the index is searched by usearch, which is not installed.
        """
        if isinstance(X, str | os.PathLike):
            X = self.pictures(X).X
        return self.query_codes(self._encoded(X), k)

    def query_codes(self, Z: Any, k: int = 10) -> Neighbours:
        """Find the samples whose codes are nearest to each of Z.

        Parameters
        ----------
        Z
            Codes, shape (m, latent).
        k
            As for `query`.
        """
        if not is_whole(k, 1):
            raise ParameterError(f"k={k!r}: use a whole number from 1")
        metric, k = METRICS[self.metric], min(int(k), len(self._filled))
        queries = metric.prepared(self._checked(Z))
        squared, rows = nearest(*self._ready(), queries, k)
        positions = rows.cpu().numpy()
        names = self._paths
        return Neighbours(
            metric.distance(squared).cpu().numpy(),
            positions,
            None if names is None else [[names[i] for i in row] for row in positions.tolist()],
        )

    def pictures(self, path: StrPath) -> Dataset:
        """Read a picture or a folder of pictures in the size and kind that the autoencoder takes.

        Parameters
        ----------
        path
            The file or folder.

        Raises
        ------
        DataError
            If the autoencoder takes no pictures.
        """
        size, channels = picture_size(self._model)
        source = Path(path).expanduser()
        read = read_folder if source.is_dir() else read_picture
        return read(source, size=size, channels=channels)

    def save(self, path: StrPath, model: StrPath | None = None) -> None:
        """Write the index to one safetensors file, whole or not at all; its graph too, if any.

        Parameters
        ----------
        path
            Where to; a file that exists is replaced.
        model
            The autoencoder's file, kept as a path from the index, so that `load` finds it.
        """
        IndexFile(
            codes=self._filled,
            paths=self._paths,
            metric=self.metric,
            engine=self.engine,
            fingerprint=self.fingerprint,
            model=None if model is None else Path(model),
            graph=self._ready()[0].state(),
        ).write(path)

    @classmethod
    def load(cls, path: StrPath, autoencoder: Autoencoder | StrPath | None = None) -> Self:
        """Read an index that `save` wrote.

        Parameters
        ----------
        path
            The file.
        autoencoder
            The model that made the codes, or its file; None for the file that the index names.

        Raises
        ------
        FileError
            If a file cannot be read, is damaged or something else, or the index was made with
            another model.
        """
        stored = IndexFile.read(path)
        model = stored.checked_model(autoencoder, path)
        index = cls(model, metric=stored.metric, engine=stored.engine)
        index.fingerprint = stored.fingerprint
        index._codes = stored.codes if model is None else stored.codes.to(model.fitted_.device)
        index._paths, index._graph = stored.paths, stored.graph
        return index

    @property
    def _model(self) -> Autoencoder:
        if self.autoencoder is None:
            raise ParameterError(
                "this index has no autoencoder: give it one, or use add_codes and query_codes"
            )
        return self.autoencoder

    @property
    def _filled(self) -> Tensor:
        if self._codes is None:
            raise DataError("the index is empty: build it from samples first")
        return self._codes

    def _encoded(self, X: Any) -> NDArray[np.float32]:
        codes: NDArray[np.float32] = self._model.transform(X)
        return codes

    def _checked(self, Z: Any) -> Tensor:
        """Return codes, checked, where they are searched."""
        model, known = self.autoencoder, self._codes
        if known is not None:
            size = int(known.shape[1])
        else:
            size = int(np.shape(Z)[-1]) if model is None else int(model.latent_dim_)
        codes = torch.from_numpy(as_codes(Z, size))
        return codes if model is None else codes.to(model.fitted_.device)

    def _ready(self) -> tuple[Engine, Tensor]:
        """Return the engine for the present size, and the rows that it knows."""
        if self._rows is None:
            self._rows = METRICS[self.metric].prepared(self._filled)
        name = self.engine_
        if self._engine is None or self._engine[0] != name:
            self._engine = (name, ENGINES[name]())
            if self._graph is not None:
                self._engine[1].resume(self._rows, self._graph)
        self._engine[1].update(self._rows)
        return self._engine[1], self._rows


def fingerprint(autoencoder: Autoencoder) -> str:
    """Return 64 hexadecimal digits that identify a model.

    Parameters
    ----------
    autoencoder
        Fitted. Hashed are the parts that shape a code, all that the model has learned, and the
        scaling of its input; a model that was saved and loaded keeps its fingerprint.
    """
    fitted = autoencoder.fitted_
    meta, arrays = fitted.input.state()
    parts = [
        [type(part).__name__, part.get_params()] if isinstance(part, Part) else "own modules"
        for part in (autoencoder.network_, autoencoder.bottleneck_)
    ]
    described = [list(fitted.code_shape), meta, parts]
    return digest(described, fitted.model.state_dict(), sorted(arrays.items()))


def picture_size(autoencoder: Autoencoder) -> tuple[tuple[int, int], int]:
    """Return (height, width) and channels of the pictures an autoencoder takes.

    Raises
    ------
    DataError
        If it takes rows.
    """
    layout = autoencoder.fitted_.input.layout
    if layout.kind != "pictures":
        raise DataError(f"this model was fitted on {layout.kind}, not on pictures")
    height, width, channels = (*layout.shape, 1)[:3]
    return (height, width), channels


@dataclass(frozen=True, kw_only=True)
class IndexFile:
    """What an index's file holds. Nothing in a file is trusted: what does not fit is an error.

    Parameters
    ----------
    codes
        Shape (n, latent).
    paths
        One for each code, or None.
    metric, engine
        Names.
    fingerprint
        Of the model that made the codes, or None.
    model
        The path of its file, or None.
    graph
        What the engine built of the codes, as bytes that are not trusted; or None.
    """

    codes: Tensor
    paths: list[str] | None
    metric: str
    engine: str
    fingerprint: str | None
    model: Path | None
    graph: Tensor | None = None

    def write(self, path: StrPath) -> None:
        """Write an index; the path of its model is kept relative to the index."""
        tensors = {"codes": self.codes.cpu()}
        if self.paths is not None:
            tensors["paths"] = _to_bytes(self.paths)
        if self.graph is not None:
            tensors["graph"] = self.graph
        model = self.model and Path(os.path.relpath(self.model, Path(path).parent)).as_posix()
        meta = {
            "metric": self.metric,
            "engine": self.engine,
            "fingerprint": self.fingerprint,
            "model": model,
        }
        write_tensors(path, tensors, meta, kind=KIND, format=FORMAT)

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Read an index, or raise `FileError` where it is none, or damaged."""
        tensors, meta = read_tensors(path, kind=KIND, newest_format=FORMAT)
        problem = _problem(tensors, meta)
        if problem:
            raise FileError(f"{path} is damaged: {problem}")
        return cls(
            codes=tensors["codes"],
            paths=_from_bytes(tensors["paths"]) if "paths" in tensors else None,
            metric=meta["metric"],
            engine=meta["engine"],
            fingerprint=meta["fingerprint"],
            model=Path(path).parent / meta["model"] if meta["model"] else None,
            graph=tensors.get("graph"),
        )

    def checked_model(
        self, autoencoder: Autoencoder | StrPath | None, path: StrPath
    ) -> Autoencoder | None:
        """Return the model that made the codes, or raise `FileError` where it is another.

        Parameters
        ----------
        autoencoder
            The model or its file; None for the file that the index names, if it does.
        path
            The index's file, to be named in errors.
        """
        source = autoencoder or self.model
        if source is None:
            return None
        if isinstance(source, Autoencoder):
            model, name = source, "this one"
        elif os.path.exists(source):
            model, name = Autoencoder.load(Path(source)), str(source)
        else:
            raise FileError(f"{path} was made with the model {source!s:.200}, which is not there")
        own, kept = fingerprint(model), self.fingerprint
        if kept is not None and own != kept:
            raise FileError(
                f"{path} was made with another model: its fingerprint is {kept[:SHOWN]}, that of "
                f"{name} is {own[:SHOWN]}"
            )
        if self.codes.shape[1] != model.latent_dim_:
            raise FileError(f"{path} is damaged: its codes are not of its model's size")
        return model


def _problem(tensors: dict[str, Tensor], meta: dict[str, Any]) -> str | None:
    """Return what is wrong with a file's content, or None."""
    codes, paths = tensors.get("codes"), tensors.get("paths")
    mark, model = meta.get("fingerprint"), meta.get("model")
    checks = {
        "it holds no codes": codes is not None
        and codes.dtype is torch.float32
        and codes.dim() == 2
        and codes.numel() > 0
        and bool(codes.isfinite().all()),
        "it holds tensors of unknown names": set(tensors) <= {"codes", "paths", "graph"},
        "its paths or its graph are not bytes": all(
            tensor.dtype is torch.uint8 and tensor.dim() == 1
            for name, tensor in tensors.items()
            if name != "codes"
        ),
        "its metric is unknown": _is_one_of(meta.get("metric"), METRICS),
        "its engine is unknown": _is_one_of(meta.get("engine"), ("auto", *ENGINES)),
        "it says nothing of its model": {"fingerprint", "model"} <= set(meta),
        "its fingerprint is not 64 hexadecimal digits": mark is None
        or (isinstance(mark, str) and re.fullmatch(HASH, mark) is not None),
        "its model is not a path": model is None
        or (isinstance(model, str) and model.isprintable()),
    }
    bad = next((problem for problem, good in checks.items() if not good), None)
    if bad is not None or paths is None or codes is None:
        return bad
    one_each = int((paths == 0).sum()) == len(codes) - 1
    return None if one_each else "it does not hold one path for each code"


def _is_one_of(value: object, names: Any) -> bool:
    return isinstance(value, str) and value in names


def _to_bytes(paths: list[str]) -> Tensor:
    """Return paths as the bytes of UTF-8, a zero between them."""
    raw = "\0".join(path.replace("\0", "") for path in paths).encode("utf-8", "surrogateescape")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8) if raw else torch.empty(0).byte()


def _from_bytes(raw: Tensor) -> list[str]:
    """Return the paths of such bytes; those that are not text are kept as they are."""
    return raw.numpy().tobytes().decode("utf-8", "surrogateescape").split("\0")
