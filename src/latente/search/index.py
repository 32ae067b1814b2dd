"""The index: codes of many samples, searched for those most like a new one, and its file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..data import readers
from ..data.arrays import as_codes, check_finite, release
from ..data.names import Names
from ..data.opening import streamed
from ..data.pictures import read_folder, read_picture
from ..data.sources import is_large, on_disk
from ..errors import DataError, FileError, ParameterError
from ..estimator import Autoencoder
from ..parts import Part, is_whole, listed
from ..storage.digest import digest
from ..storage.files import StrPath
from ..storage.tensors import map_arrays, read_tensors, write_arrays
from . import graph
from .engines import ENGINES, METRICS, Engine, choose, nearest
from .rows import Floats, Prepare, StoredRows, room, room_for

if TYPE_CHECKING:
    from ..data.dataset import Dataset

KIND = "latente index"
FORMAT = 2
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
        self._codes: StoredRows | None = None
        self._rows: StoredRows | None = None
        self._paths: Names | None = None
        self._engine: tuple[str, Engine] | None = None
        self._graph: Sequence[graph.Bytes] = []

    def __len__(self) -> int:
        return 0 if self._codes is None else len(self._codes)

    def __repr__(self) -> str:
        size = "" if self._codes is None else f" of {self._codes.width} numbers"
        return f"LatentIndex({len(self):,} codes{size}, {self.metric}, {self.engine_})"

    @property
    def engine_(self) -> str:
        """The engine that searches: what "auto" stands for at the present size."""
        return choose(self.engine, len(self))

    @property
    def paths(self) -> Sequence[str] | None:
        """The path of each sample, where they have any."""
        return self._paths

    @property
    def codes(self) -> NDArray[np.float32]:
        """The codes of the samples, (n, latent): all of them, in memory or of a mapped file."""
        blocks = self._filled.arrays()
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def codes_at(self, positions: Any) -> NDArray[np.float32]:
        """Return the codes of some samples, of which alone memory is taken.

        Parameters
        ----------
        positions
            Which, counted from 0, of any shape.

        Returns
        -------
        ndarray
            Shape (*positions.shape, latent).
        """
        index = np.asarray(positions)
        if index.dtype.kind not in "iu" or (index < 0).any() or (index >= len(self)).any():
            raise DataError(f"positions are whole numbers from 0 to {len(self) - 1}")
        return self._filled.at(torch.from_numpy(index.astype(np.int64))).cpu().numpy()

    def build(self, X: Any, paths: Iterable[StrPath] | None = None) -> Self:
        """Fill the index with samples, in place of those it had.

        Parameters
        ----------
        X
            Samples as the autoencoder takes them, or what holds them: the path of a file or a
            folder, a memory map, a data set of Arrow's, a function that gives record batches. What
            is not in memory passes by in parts, and codes that would take a quarter of the memory
            are kept on the disk. Pictures in files are brought to the size that it takes.
        paths
            A name for each, such as its file; a folder of pictures gives its own.
        """
        self._codes = self._rows = self._paths = self._engine = None
        self._graph = []
        return self.add(X, paths)

    def add(self, X: Any, paths: Iterable[StrPath] | None = None) -> Self:
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
        rows, own = self._opened(X)
        codes = self._encoded(rows)
        if self.fingerprint != fingerprint(self._model):
            if len(self):
                raise ParameterError(
                    "the autoencoder was fitted again since the index was filled; build it anew"
                )
            self.fingerprint = fingerprint(self._model)
        return self._add(codes, own if paths is None else paths)

    def add_codes(self, Z: Any, paths: Iterable[StrPath] | None = None) -> Self:
        """Add samples by their codes.

        Parameters
        ----------
        Z
            Codes, shape (n, latent). A memory map of float32 stays where it is.
        paths
            As for `build`.
        """
        if isinstance(Z, np.memmap) and Z.dtype == np.float32 and Z.shape[1:] == (self._size(Z),):
            check_finite(Z, name="Z")
            return self._add(Z, paths)
        return self._add(as_codes(Z, self._size(Z)), paths)

    def _add(self, codes: Floats, paths: Iterable[StrPath] | None) -> Self:
        """Add codes that were checked."""
        names = None if paths is None else Names.of(paths)
        if names is not None and len(names) != len(codes):
            raise DataError(f"there are {len(names)} paths for {len(codes)} samples; give one each")
        if len(self) and (names is None) != (self._paths is None):
            raise DataError("some samples have paths and others none; give paths for all or none")
        if self._codes is None:
            mapped = isinstance(codes, np.memmap)
            blocks = [codes if mapped else torch.from_numpy(codes).to(self._device)]
            self._codes, self._paths = StoredRows(blocks, self._device), names
        else:
            self._codes = self._codes.with_more(codes)
            self._paths = names and self._paths and self._paths + names
        self._rows = None
        return self

    def query(self, X: Any, k: int = 10) -> Neighbours:
        """Find the samples that are most like each of X.

        Parameters
        ----------
        X
            Samples as for `build`, or the path of a picture.
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
        if isinstance(X, str | os.PathLike) and _holds_pictures(Path(X).expanduser()):
            X = self.pictures(X).X
        return self.query_codes(self._model.transform(X), k)

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
        codes = torch.from_numpy(as_codes(Z, self._size(Z)))
        queries = metric.prepared(codes.to(self._filled.device))
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

        Codes and graph are copied piece by piece, from memory or from where they are mapped.

        Parameters
        ----------
        path
            Where to; a file that exists is replaced.
        model
            The autoencoder's file, kept as a path from the index, so that `load` finds it.
        """
        engine, rows = self._ready()
        IndexFile(
            codes=self._filled,
            paths=self._paths,
            metric=self.metric,
            engine=self.engine,
            fingerprint=self.fingerprint,
            model=None if model is None else Path(model),
            parts=engine.state(rows),
        ).write(path)

    @classmethod
    def load(
        cls,
        path: StrPath,
        autoencoder: Autoencoder | StrPath | None = None,
        *,
        mapped: bool | None = None,
        trusted: bool = False,
    ) -> Self:
        """Open an index that `save` wrote.

        Parameters
        ----------
        path
            The file.
        autoencoder
            The model that made the codes, or its file; None for the file that the index names.
        mapped
            Whether the file is mapped, so that of codes and graph only what a query needs is read,
            whenever it is; otherwise they are held in memory. None maps a file that is larger than
            a quarter of the memory.
        trusted
            Whether to open a mapped file without looking at all of it: its checksum, its numbers,
            its graph. This takes milliseconds instead of seconds for each gigabyte; but a file that
            is damaged, or made for the purpose, can then end the process.

        Raises
        ------
        FileError
            If a file cannot be read, is damaged or something else, or the index was made with
            another model.
        """
        stored = IndexFile.read(path, mapped=mapped, trusted=trusted)
        model = stored.checked_model(autoencoder, path)
        index = cls(model, metric=stored.metric, engine=stored.engine)
        index.fingerprint = stored.fingerprint
        index._codes = stored.codes.to(index._device)
        index._paths, index._graph = stored.paths, stored.parts
        return index

    @property
    def _model(self) -> Autoencoder:
        if self.autoencoder is None:
            raise ParameterError(
                "this index has no autoencoder: give it one, or use add_codes and query_codes"
            )
        return self.autoencoder

    @property
    def _filled(self) -> StoredRows:
        if self._codes is None:
            raise DataError("the index is empty: build it from samples first")
        return self._codes

    @property
    def _device(self) -> torch.device:
        """Where codes in memory are searched."""
        model = self.autoencoder
        return torch.device("cpu") if model is None else model.fitted_.device

    def _size(self, Z: Any) -> int:
        """Return how many numbers a code has."""
        if self._codes is not None:
            return self._codes.width
        model = self.autoencoder
        return int(np.shape(Z)[-1]) if model is None else int(model.latent_dim_)

    def _opened(self, X: Any) -> tuple[Any, Iterable[StrPath] | None]:
        """Return samples, or a source of them, and their paths where they have any."""
        path = Path(X).expanduser() if isinstance(X, str | os.PathLike) else None
        if path is None or not _holds_pictures(path):
            return streamed(X), None
        size, channels = picture_size(self._model)
        data = readers.read(path, size=size, channels=channels)
        return data.X, data.paths

    def _encoded(self, X: Any) -> Floats:
        """Return the codes of samples; of a source, they are made part by part."""
        model = self._model
        source = on_disk(X)
        if source is None:
            codes: Floats = model.transform(X)
            return codes
        found, end = room_for(len(source), int(model.latent_dim_)), 0
        for part in source.even():
            begin, end = end, end + len(part)
            release(found, begin, end)
            found[begin:end] = model.transform(part)
        return found

    def _ready(self) -> tuple[Engine, StoredRows]:
        """Return the engine for the present size, and the rows that it knows."""
        if self._rows is None:
            codes = self._filled
            plain = self.metric == "euclidean"
            self._rows = codes if plain else codes.prepared(METRICS[self.metric].prepared)
        name = self.engine_
        if self._engine is None or self._engine[0] != name:
            self._engine = (name, ENGINES[name]())
            if self._graph:
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


def _holds_pictures(path: Path) -> bool:
    """Whether something is a picture or a folder of them."""
    return "channels" in readers.chosen(path).options


@dataclass(frozen=True, kw_only=True)
class IndexFile:
    """What an index's file holds. Nothing in a file is trusted: what does not fit is an error.

    ::

        format 2: codes, f32 (n, latent)        left out where they are the rows of the parts
                  part 0, part 1, …, u8         rows and their graph, see `graph`
                  paths, u8                     UTF-8, a zero between them
        format 1: codes, paths, graph           of all rows, without them

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
    parts
        What the engine built of the codes; may be empty.
    """

    codes: StoredRows
    paths: Names | None
    metric: str
    engine: str
    fingerprint: str | None
    model: Path | None
    parts: Sequence[graph.Bytes] = ()

    def write(self, path: StrPath) -> None:
        """Write an index; the path of its model is kept relative to the index."""
        arrays: dict[str, Sequence[NDArray[Any]]] = {}
        arrays |= {_part(i): [part] for i, part in enumerate(self.parts)}
        if not self.parts or self.metric != "euclidean":
            arrays["codes"] = self.codes.arrays()
        if self.paths is not None:
            arrays["paths"] = self.paths.joined()
        model = self.model and Path(os.path.relpath(self.model, Path(path).parent)).as_posix()
        meta = {
            "metric": self.metric,
            "engine": self.engine,
            "fingerprint": self.fingerprint,
            "model": model,
        }
        write_arrays(path, arrays, meta, kind=KIND, format=FORMAT)

    @classmethod
    def read(cls, path: StrPath, *, mapped: bool | None = None, trusted: bool = False) -> Self:
        """Read an index, or raise `FileError` where it is none, or damaged.

        Parameters
        ----------
        path
            The file.
        mapped, trusted
            As for `LatentIndex.load`.
        """
        if mapped is None:
            mapped = os.path.exists(path) and is_large(os.path.getsize(path))
        if mapped:
            arrays, meta = map_arrays(path, kind=KIND, newest_format=FORMAT, trusted=trusted)
        else:
            tensors, meta = read_tensors(path, kind=KIND, newest_format=FORMAT)
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        try:
            return cls._of(arrays, meta, Path(path), trusted=mapped and trusted)
        except ValueError as error:
            raise FileError(f"{path} is damaged: {error}") from error

    @classmethod
    def _of(
        cls, arrays: dict[str, NDArray[Any]], meta: dict[str, Any], path: Path, *, trusted: bool
    ) -> Self:
        """Return what arrays stand for, or raise `ValueError` where it cannot be."""
        parts = [arrays.pop(_part(i)) for i in range(len(arrays)) if _part(i) in arrays]
        _check_content(arrays, parts, meta)
        built = [graph.split(part) for part in parts]
        rows = [each for each, _ in built]
        blocks = rows if "codes" not in arrays else [arrays["codes"]]
        n, width = sum(map(len, blocks)), blocks[0].shape[1]
        if any(each.shape[1] != width for each in rows) or (rows and sum(map(len, rows)) != n):
            raise ValueError("its graphs are not of its codes")
        if not trusted:
            for each in (*blocks, *rows):
                _check_numbers(each)
            for _, found in built:
                found.check()
        paths = Names([arrays["paths"]]) if "paths" in arrays else None
        if paths is not None and len(paths) != n:
            raise ValueError("it does not hold one path for each code")
        codes = StoredRows(blocks)
        if "graph" in arrays:
            parts = _dressed(arrays["graph"], METRICS[meta["metric"]].prepared, codes)
        return cls(
            codes=codes,
            paths=paths,
            metric=meta["metric"],
            engine=meta["engine"],
            fingerprint=meta["fingerprint"],
            model=path.parent / meta["model"] if meta["model"] else None,
            parts=parts,
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
        if self.codes.width != model.latent_dim_:
            raise FileError(f"{path} is damaged: its codes are not of its model's size")
        return model


def _part(i: int) -> str:
    """Return the name of a part in a file."""
    return f"part {i}"


def _check_content(
    arrays: Mapping[str, NDArray[Any]], parts: Sequence[NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Raise `ValueError` where a file holds something of another kind than it must."""
    codes, mark, model = arrays.get("codes"), meta.get("fingerprint"), meta.get("model")
    rest = [array for name, array in arrays.items() if name != "codes"]
    checks = {
        "it holds no codes": (bool(parts) and meta.get("metric") == "euclidean")
        if codes is None
        else codes.dtype == np.float32 and codes.ndim == 2 and codes.size > 0,
        "it holds tensors of unknown names": set(arrays) <= {"codes", "paths", "graph"},
        "its paths or its graph are not bytes": all(
            array.dtype == np.uint8 and array.ndim == 1 for array in (*rest, *parts)
        ),
        "its metric is unknown": _is_one_of(meta.get("metric"), METRICS),
        "its engine is unknown": _is_one_of(meta.get("engine"), ("auto", *ENGINES)),
        "it says nothing of its model": {"fingerprint", "model"} <= set(meta),
        "its fingerprint is not 64 hexadecimal digits": mark is None
        or (isinstance(mark, str) and re.fullmatch(HASH, mark) is not None),
        "its model is not a path": model is None
        or (isinstance(model, str) and model.isprintable()),
    }
    for problem, good in checks.items():
        if not good:
            raise ValueError(problem)


def _check_numbers(codes: Floats) -> None:
    """Raise `ValueError` where some are NaN or infinite."""
    try:
        check_finite(codes)
    except DataError:
        raise ValueError("its codes have NaN or infinite values") from None


def _dressed(raw: graph.Bytes, prepare: Prepare, codes: StoredRows) -> list[graph.Bytes]:
    """Return the graph of a file of format 1 as a part; none where it is not understood."""
    try:
        found = graph.Graph.read(raw)
        found.check(ordered=False)
    except ValueError:  # it is built again
        return []
    if len(found) > len(codes):
        return []
    rows = (prepare(block).numpy() for block in codes.blocks_of(0, len(found)))
    return [graph.part_of(rows, codes.width, found, room)]


def _is_one_of(value: object, names: Any) -> bool:
    return isinstance(value, str) and value in names
