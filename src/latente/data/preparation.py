"""Preparation: from whatever the user gives to the model's scale and shape, and back.

::

    X ──learn, store──▶ compact tensor ──convert──▶ x (n, *shape), model scale
                                                    x̂ (n, *shape) ──restore──▶ X̂, as X was

    rows       (n, features)           ◀──▶ (n, features)
    pictures   (n, h, w)               ◀──▶ (n, 1, h, w)
    pictures   (n, h, w, c)            ◀──▶ (n, c, h, w)
    sequences  (n, T, d)               ◀──▶ (n, T, d)
    sequences  list of (Tᵢ, d) or str  ◀──▶ (n, T, d + 1), see `sequences`
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, ParameterError
from ..parts import is_whole, listed
from .arrays import (
    STEPS,
    A,
    Array,
    SparseRows,
    as_array,
    as_numpy,
    as_tensor,
    check_shape,
    is_frame,
    is_sparse,
    named,
)
from .batches import Blocks, PassingRows
from .encoders import Number
from .frames import Schema, columns, is_plain
from .passing import ArrayPass, TablePass, columns_of
from .report import reported
from .scaling import Scaling, medians
from .sequences import (
    NumberSequences,
    Sequences,
    TextSequences,
    are_texts,
    differ_in_length,
    items_of,
    own_scale,
    sequences_from_json,
)
from .sources import Part, Source, joined
from .space import Space
from .tables import TableEncoder

LAYOUTS = ("auto", "rows", "pictures", "sequences")
ROUNDING = 2.0**-24
"""Relative error of a number rounded to float32."""
TOLERATED = 1e-4
"""Error that rounding may bring, in the model's scale."""
UNEVEN = 10.0
"""Ratio of scales along the last of three axes from which they are hardly those of a picture."""
LOOKED_AT = 256
"""Samples that are looked at for that."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """The shape and type of one sample, as it was given.

    Parameters
    ----------
    kind
        "rows", "pictures" or "sequences".
    shape
        One sample's: (features,); (h, w) or (h, w, c); (T, d), or (T,) of a series or a text.
    dtype
        The name of its type: "uint8", "float32" ..., "str" of a text.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: Array, kind: str = "auto") -> Self:
        """Return the layout of checked samples: what `as_array` returned."""
        shape = tuple(int(length) for length in array.shape[1:])
        if kind == "auto":
            kind = "rows" if len(shape) == 1 else "pictures"
        return cls(kind, shape, str(array.dtype).removeprefix("torch."))

    @property
    def size(self) -> int:
        """How many numbers a sample has."""
        return int(np.prod(self.shape))

    @property
    def model_shape(self) -> tuple[int, ...]:
        """One sample's shape as the model takes it: (features,), (channels, h, w) or (T, d)."""
        if self.kind != "pictures":
            return self.shape
        return (*self.shape[2:], *self.shape[:2]) if len(self.shape) == 3 else (1, *self.shape)

    def to_model_shape(self, array: A) -> A:
        """Return samples as the model takes them, a view of what is given."""
        if self.kind != "pictures":
            return array
        if len(self.shape) == 2:
            return array[:, None]
        return np.moveaxis(array, 3, 1) if isinstance(array, np.ndarray) else array.movedim(3, 1)

    def from_model_shape(self, array: A) -> A:
        """Return samples as they were given, contiguous, from how the model gives them."""
        if len(self.shape) < 3:
            return array.reshape(len(array), *self.shape)
        if isinstance(array, np.ndarray):
            return np.ascontiguousarray(np.moveaxis(array, 1, 3))
        return array.movedim(1, 3).contiguous()

    def check(self, array: Array, *, name: str = "X", owner: str = "Autoencoder") -> None:
        """Raise `DataError` unless samples have this shape; rows in scikit-learn's words."""
        shape = tuple(array.shape[1:])
        if shape == self.shape:
            return
        if len(shape) == len(self.shape) == 1:
            raise DataError(
                f"{name} has {shape[0]} features, but {owner} is expecting {self.size} features "
                "as input"
            )
        found = describe_shape(shape, self.kind)
        known = describe_shape(self.shape, self.kind)
        raise DataError(f"{name} has {found}, but {owner} was fitted on {known}")

    def to_json(self) -> dict[str, Any]:
        """Return the layout as plain JSON values."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the layout of what `to_json` returned; anything else is a `DataError`."""
        wrong = DataError(f"{value!r:.80} is not the layout of rows, pictures or sequences")
        if not isinstance(value, Mapping) or set(value) != {"kind", "shape", "dtype"}:
            raise wrong
        kind, shape, dtype = value["kind"], value["shape"], value["dtype"]
        if not isinstance(shape, list | tuple) or not isinstance(dtype, str):
            raise wrong
        kinds = {1: ("rows", "sequences"), 2: ("pictures", "sequences"), 3: ("pictures",)}
        if kind not in kinds.get(len(shape), ()) or not all(is_whole(n, 1, 2**40) for n in shape):
            raise wrong
        return cls(kind, tuple(int(side) for side in shape), dtype)


def describe_shape(shape: tuple[int, ...], kind: str = "pictures") -> str:
    """Return what samples of a shape are called: ``"pictures of 28 × 28"``."""
    if len(shape) == 1:
        return f"rows of {shape[0]} columns"
    if kind == "sequences" and len(shape) == 2:
        return f"sequences of {shape[0]} steps × {shape[1]} features"
    return f"pictures of {' × '.join(str(side) for side in shape)}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Preparation:
    """How samples of one kind are brought to the model; learned at fit.

    Parameters
    ----------
    layout
        Shape and type of the samples as given.
    scaling_map
        From their scale to the model's.
    schema
        The columns, where a data frame of numbers was given.
    table
        The encoding, where a data frame of mixed columns was given.
    sequences
        The padding, where a list of sequences or texts was given.
    median
        What stands for a gap in each column of a data frame of numbers, which had none at fit.
    gaps
        Whether NaN stands for what is missing, in the model's scale too, and takes no flag.
    """

    layout: Layout
    scaling_map: Scaling
    schema: Schema | None = None
    table: TableEncoder | None = None
    sequences: Sequences | None = None
    median: NDArray[np.float64] | None = None
    gaps: bool = False

    @classmethod
    def learn(
        cls,
        X: Any,
        *,
        scaling: str,
        name: str,
        layout: str = "auto",
        unseen: str = "ignore",
        gaps: bool = False,
    ) -> tuple[Self, Tensor]:
        """Learn shape, type and scale of samples; return them too, as `store` would.

        Parameters
        ----------
        X
            Anything `Autoencoder.fit` takes.
        scaling
            A name of `SCALINGS`, or "auto".
        name
            What X is called in errors.
        layout
            "rows", "pictures" or "sequences"; "auto" takes texts and arrays of different lengths
            for sequences, three and four axes for pictures, and all else for rows.
        unseen
            What becomes of levels of a data frame that the fit never saw: "ignore" or "error".
        gaps
            Whether values may be missing, and stay NaN in the model's scale.

        Raises
        ------
        DataError
            If X cannot be learned from, or not in that layout.
        """
        check_layout_name(layout)
        if is_frame(X):
            return cls._learn_frame(X, scaling, name, layout, unseen, gaps=gaps)
        items = items_of(X) if layout in ("auto", "sequences") else None
        if items is not None:
            if are_texts(items):
                return cls._learn_sequences(TextSequences, X, scaling, name)
            if layout == "sequences" or differ_in_length(items):
                return cls._learn_sequences(NumberSequences, X, scaling, name)
        axes = STEPS if layout == "sequences" and getattr(X, "ndim", 0) == 3 else ()
        given: Any = SparseRows(X, name) if is_sparse(X) else None
        if given is None:
            given = as_array(X, name=name, axes=axes, allow_missing=gaps)
        check_layout(given, layout, name)
        found = Layout.of(given, layout)
        array = filled_by_medians(given, name) if gaps and not is_sparse(X) else given
        if layout == "auto" and is_uneven(array):
            tell_uneven(found, name)
        if found.kind == "sequences":
            steps = array.reshape(-1, found.shape[1])
            learned = Scaling.learn(steps, own_scale(array.dtype, scaling))
        else:
            learned = Scaling.learn(found.to_model_shape(array), scaling)
        made = cls(layout=found, scaling_map=learned, gaps=gaps)
        return made, made._tensor(given)

    @classmethod
    def learn_streamed(
        cls,
        source: Source,
        *,
        scaling: str,
        name: str,
        layout: str = "auto",
        unseen: str = "ignore",
        gaps: bool = False,
    ) -> Self:
        """Learn shape, type and scale of samples in one pass over them.

        All is as `learn` finds it, within the rounding of floats, but that medians and quartiles
        are those of a random sample where there are more than `SAMPLED` values.

        Parameters
        ----------
        source
            The samples.
        scaling, name, layout, unseen, gaps
            As for `learn`.

        Raises
        ------
        DataError
            If the samples cannot be learned from, or not in that layout.
        """
        check_layout_name(layout)
        if is_frame(source.head()):
            return cls._learn_tables(
                source, scaling=scaling, name=name, layout=layout, unseen=unseen, gaps=gaps
            )
        return cls._learn_arrays(source, scaling=scaling, name=name, layout=layout, gaps=gaps)

    @classmethod
    def _learn_arrays(
        cls, source: Source, *, scaling: str, name: str, layout: str, gaps: bool
    ) -> Self:
        head = as_array(source.head(), name=name, allow_missing=gaps)
        check_layout(head, layout, name)
        found = Layout.of(head, layout)
        seen = ArrayPass(source, name, scaling, found.kind, gaps=gaps)
        pass_by(source, seen.add)
        sample = joined(seen.sample.parts)
        if gaps:
            sample = filled_by_medians(sample, name)
            seen.measures.fill(medians(sample))
        if layout == "auto" and is_uneven(sample):
            tell_uneven(found, name)
        columns = columns_of(sample, found.kind)
        ranges = seen.measures.ranges(found.dtype, None, columns)
        if found.kind == "sequences":
            scaling = own_scale(sample.dtype, scaling)
        learned = Scaling.of(None, ranges, scaling)
        return cls(layout=found, scaling_map=learned, gaps=gaps)

    @classmethod
    def _learn_tables(
        cls, source: Source, *, scaling: str, name: str, layout: str, unseen: str, gaps: bool
    ) -> Self:
        check_frame_layout(layout)
        seen = TablePass(source, name)
        pass_by(source, seen.add)
        sample, tally = joined(seen.sample.parts), seen.tally
        if not gaps and not tally.missing.any() and is_plain(sample):
            array = as_numpy(as_array(sample))
            schema = Schema.of(sample)
            ranges = tally.measures.ranges(array.dtype.name, schema.names, array)
            learned = Scaling.of(None, ranges, scaling)
            found, median = Layout.of(array), medians(array)
            return cls(layout=found, scaling_map=learned, schema=schema, median=median)
        table = TableEncoder.of(tally, sample, scaling, unseen=unseen, gaps=gaps)
        encoded = table.transform(sample)
        return cls(
            layout=Layout.of(encoded), scaling_map=table.unscaled(encoded), table=table, gaps=gaps
        )

    @classmethod
    def _learn_frame(
        cls, X: Any, scaling: str, name: str, layout: str, unseen: str, *, gaps: bool
    ) -> tuple[Self, Tensor]:
        check_frame_layout(layout)
        if gaps or not is_plain(X):
            table, encoded = TableEncoder.learn(X, scaling, unseen=unseen, gaps=gaps)
            unscaled = Scaling.learn(np.nan_to_num(encoded), "none")
            made = cls(layout=Layout.of(encoded), scaling_map=unscaled, table=table, gaps=gaps)
            return made, torch.from_numpy(encoded)
        array = as_array(X, name=name)
        schema = Schema.of(X)
        learned = Scaling.learn(array, scaling, names=schema.names)
        found, median = Layout.of(array), medians(array)
        made = cls(layout=found, scaling_map=learned, schema=schema, median=median)
        return made, made._tensor(array)

    @classmethod
    def _learn_sequences(
        cls, kind: type[Sequences], X: Any, scaling: str, name: str
    ) -> tuple[Self, Tensor]:
        found, learned, stored = kind.learn(X, scaling, name)
        if isinstance(found, TextSequences):
            layout = Layout("sequences", (found.steps,), "str")
        else:
            shape = (found.steps,) if found.flat else (found.steps, found.features)
            layout = Layout("sequences", shape, learned.dtype)
        made = cls(layout=layout, scaling_map=learned, sequences=found)
        return made, made._tensor(stored)

    def store(self, X: Any, name: str) -> Tensor:
        """Return samples, checked to be like those of the fit, as a tensor of their compact type.

        Parameters
        ----------
        X
            As it was at fit.
        name
            What X is called in errors.
        """
        return self._tensor(self.check(X, name))

    def open(self, X: Any, name: str) -> Blocks | PassingRows:
        """Return the same, to be taken block by block: an array is not copied as a whole."""
        if isinstance(X, Source):
            return PassingRows(X, partial(self.store, name=name))
        return Blocks(self.check(X, name), self._tensor)

    def check(self, X: Any, name: str) -> Any:
        """Return samples, checked to be like those of the fit, as an array of any real type.

        Parameters
        ----------
        X, name
            As for `store`.

        Returns
        -------
        ndarray, Tensor or SparseRows
            Whose rows, sliced, are what `store` makes a tensor of.
        """
        if self.table is not None:
            return self.table.transform(X)
        if self.sequences is not None:
            return self.sequences.store(X, name)
        if self.median is not None and is_frame(X) and not is_plain(X):
            return self._filled(X, self.median, name)
        if is_sparse(X) and self.layout.kind == "rows":
            rows: Any = SparseRows(X, name)
            self.layout.check(rows, name=name)
            return rows
        names = self.schema.names if self.schema is not None else None
        axes = STEPS if self.layout.kind == "sequences" and getattr(X, "ndim", 0) == 3 else ()
        array = as_array(X, name=name, names=names, axes=axes, allow_missing=self.gaps)
        self.layout.check(array, name=name)
        return array

    def _filled(self, X: Any, fill: NDArray[np.float64], name: str) -> NDArray[Any]:
        """Return a frame with gaps as an array, of the fit's type where that holds it all."""
        assert self.schema is not None
        series = list(columns(self.schema.check(X), self.schema.fields))
        if not len(series[0]):
            check_shape(np.empty((0, len(series))), name)
        values = np.stack([Number.read(each) for each in series], axis=1)
        filled = np.where(np.isnan(values), fill, values)
        with np.errstate(invalid="ignore", over="ignore"):
            narrow = filled.astype(self.layout.dtype)
        return narrow if np.array_equal(narrow, filled) else filled

    def convert(self, stored: Tensor) -> Tensor:
        """Return stored samples in the model's scale and shape, float32, on their device."""
        if self.sequences is not None:
            return self.sequences.convert(stored, self.scaling_map)
        return self.scaling_map.to_torch(self.layout.to_model_shape(stored))

    def restore(self, values: NDArray[np.float32], like: Any = None) -> Any:
        """Return values of the model's scale in the shape, scale, type and kind of the data.

        Parameters
        ----------
        values
            Shape (n, *shape).
        like
            What they were made from: a pandas frame gives its index to the rows.
        """
        if self.sequences is not None:
            return self.sequences.restore(values, self.scaling_map)
        index = getattr(like, "index", None) if is_frame(like) else None
        if self.table is not None:
            return self.table.inverse(values, index=index)
        array = self.layout.from_model_shape(self.scaling_map.inverse(values))
        return array if self.schema is None else self.schema.from_matrix(array, index)

    @property
    def restores_rows(self) -> bool:
        """Whether `restore` gives an array, each row from its own values alone."""
        return self.sequences is None and self.table is None and self.schema is None

    def fill(self, X: Any, values: NDArray[np.float32]) -> Any:
        """Return samples with what is missing taken from values of the model's scale.

        Parameters
        ----------
        X
            As `store` takes it.
        values
            Shape (n, *shape).

        Returns
        -------
        ndarray, sparse matrix or data frame
            What is known is that of X, in X's type.
        """
        if self.table is not None:
            return self.table.fill(X, values)
        if is_sparse(X):  # which holds no gaps
            return X
        restored = self.layout.from_model_shape(self.scaling_map.inverse(values))
        array = as_numpy(as_array(X, allow_missing=True))
        return np.where(np.isnan(array), restored, array).astype(array.dtype, copy=False)

    def check_features(self, X: Any, name: str = "X") -> None:
        """Raise `DataError` where arrays have another shape than those of the fit."""
        encoded = self.table is not None or self.sequences is not None
        if not encoded and not is_frame(X) and hasattr(X, "shape"):
            check_shape(X, name)
            self.layout.check(X, name=name)

    def header(self, X: Any) -> Any:
        """Return what scikit-learn reads the names and the number of columns of X from."""
        if self.sequences is None:
            return named(X)
        return np.broadcast_to(np.uint8(0), (len(X), self.n_features))

    @cached_property
    def space(self) -> Space:
        """What a model is told of the samples."""
        found, scaling = self.sequences, self.scaling_map
        low, high, binary = scaling.low, scaling.high, scaling.binary
        if isinstance(found, NumberSequences):  # the padding is 0, the flag is 0 or 1
            low, high = min(low, 0.0), max(high, 1.0)
        elif found is not None:
            binary = True
        categories = () if self.table is None else self.table.categories
        return Space(
            shape=self.layout.model_shape if found is None else (found.steps, found.width),
            layout=self.layout.kind,
            low=low,
            high=high,
            bounds=scaling.bounds,
            binary=binary,
            categories=categories if found is None else found.categories,
            ragged=found is not None,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample's shape in the model: (features,), (channels, h, w) or (T, d)."""
        return self.space.shape

    @property
    def n_features(self) -> int:
        """Columns, or numbers in a picture or sequence, as given."""
        return len(self.table.schema.fields) if self.table is not None else self.layout.size

    @property
    def names(self) -> list[str] | None:
        """The columns' names, where a data frame told them."""
        schema = self.schema if self.table is None else self.table.schema
        return None if schema is None else [str(name) for name in schema.names]

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(0, 1) where the model's scale is known to lie in there, else None."""
        return self.space.bounds

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of the fit's data in the model's scale."""
        return self.space.low, self.space.high

    @property
    def binary(self) -> bool:
        """Whether the fit's data are 0 and 1 only."""
        return self.space.binary

    @property
    def scaling(self) -> str:
        """The scaling that was used: what "auto" stands for."""
        return self.table.scaling if self.table is not None else self.scaling_map.name

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what a file keeps: plain JSON values, and arrays by name."""
        plain, arrays = self.scaling_map.state()
        meta: dict[str, Any] = {"layout": self.layout.to_json(), "scaling": plain}
        meta["schema"] = None if self.schema is None else self.schema.to_json()
        meta["sequences"] = None if self.sequences is None else self.sequences.to_json()
        meta["gaps"] = self.gaps
        if self.median is not None:
            arrays = {**arrays, "median": self.median}
        meta["table"] = None
        if self.table is not None:
            meta["table"], inner = self.table.state()
            arrays = {**arrays, **{f"table.{name}": value for name, value in inner.items()}}
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: Arrays) -> Self:
        """Return the preparation of what `state` returned; anything else is a `DataError`."""
        table, found = None, None
        if meta["table"] is not None:
            inner = {k[6:]: v for k, v in arrays.items() if k.startswith("table.")}
            table = TableEncoder.from_state(meta["table"], inner)
        if meta["sequences"] is not None:
            found = sequences_from_json(meta["sequences"])
        schema = None if meta["schema"] is None else Schema.from_json(meta["schema"])
        layout = Layout.from_json(meta["layout"])
        scaling_map = Scaling.from_state(meta["scaling"], arrays)
        shape = layout.model_shape if found is None else (found.steps, found.width - 1)
        sized = layout.size == int(np.prod(shape)) or isinstance(found, TextSequences)
        if not sized or not scaling_map.fits(shape):
            raise DataError("the scaling does not fit the shape of the samples")
        median = np.array(arrays["median"], np.float64) if "median" in arrays else None
        if median is not None and (median.shape != layout.shape or not np.isfinite(median).all()):
            raise DataError("the values for gaps do not fit the shape of the samples")
        return cls(
            layout=layout, scaling_map=scaling_map, schema=schema, table=table, sequences=found,
            median=median, gaps=meta.get("gaps") is True,
        )  # fmt: skip

    def _tensor(self, array: Any) -> Tensor:
        """Return checked samples as a tensor, of half the width where that is close enough."""
        if isinstance(array, SparseRows):
            return array.tensor(narrow=self._narrows)
        tensor = as_tensor(array)
        return tensor.float() if tensor.dtype == torch.float64 and self._narrows else tensor

    @property
    def _narrows(self) -> bool:
        """Whether float32 holds the data as given closely enough: not so for times in seconds."""
        scaling = self.scaling_map
        largest = np.abs(scaling.shift / scaling.span).max() + max(map(abs, self.range))
        return bool(largest * ROUNDING < TOLERATED)


def filled_by_medians(array: Array, name: str) -> NDArray[Any]:
    """Return samples with what is missing in a feature replaced by its median.

    Raises
    ------
    DataError
        If a feature has no value at all.
    """
    plain = as_numpy(array)
    gaps = np.isnan(plain) if plain.dtype.kind == "f" else np.zeros(plain.shape, np.bool_)
    if not gaps.any():
        return plain
    empty = gaps.all(axis=0)
    if empty.any():
        place = ", ".join(map(str, np.argwhere(empty)[0].tolist()))
        raise DataError(f"column {place} of {name} has no value at all; drop it")
    return np.where(gaps, np.nanmedian(plain, axis=0), plain).astype(plain.dtype, copy=False)


def tell_uneven(layout: Layout, name: str) -> None:
    """Warn that samples taken for pictures may be sequences."""
    warnings.warn(
        f"{name} is taken for {describe_shape(layout.shape)} with one scale for all values, "
        "but its last axis differs much in scale; if these are features of sequences "
        "(n, T, d), say layout='sequences', which gives each its own",
        stacklevel=4,
    )


def check_layout_name(layout: str) -> None:
    """Raise `ParameterError` where there is no such layout."""
    if layout not in LAYOUTS:
        raise ParameterError(f"layout={layout!r}: layout must be {listed(map(repr, LAYOUTS))}")


def check_frame_layout(layout: str) -> None:
    """Raise `DataError` where a layout is not one of data frames."""
    if layout in ("pictures", "sequences"):
        raise DataError(
            f"layout={layout!r} does not go with a data frame, whose rows are samples; give "
            "an array (n, h, w) or (n, T, d), or a list"
        )


def pass_by(source: Source, look: Callable[[Part, int], None]) -> None:
    """Let all rows of a source pass by, each part with the number of its first row."""
    with closing(source.ahead()) as parts:
        for first, part in reported(parts, f"reading {source.name}", len(source)):
            look(part, first)


def check_layout(array: Array, layout: str, name: str) -> None:
    """Raise `DataError` unless an array's axes are those of a layout."""
    shape = tuple(array.shape)
    wanted = {
        "rows": ((2,), "X of shape (n, features): X.reshape(len(X), -1)"),
        "pictures": ((3, 4), "X of shape (n, h, w) or (n, h, w, channels)"),
        "sequences": ((3,), "X of shape (n, T, d), X[..., None] where a step is one number, or a "
                            "list of arrays or strings"),
    }  # fmt: skip
    if layout in wanted and len(shape) not in wanted[layout][0]:
        right = wanted[layout][1].replace("X", name)
        raise DataError(f"{name} has shape {shape}, but layout={layout!r} needs {right}")


def is_uneven(array: Array) -> bool:
    """Whether samples (n, T, d) of floats have features of very different scales.

    Pictures are spared whose columns share the value of their ground: those at a border are as
    good as empty.
    """
    if len(array.shape) != 3:
        return False
    sample = as_numpy(array[:: max(1, len(array) // LOOKED_AT)][:LOOKED_AT])
    if sample.dtype.kind != "f" or (sample == np.rint(sample)).all():
        return False
    sample = sample.astype(np.float64)
    low, high, deviation = sample.min((0, 1)), sample.max((0, 1)), sample.std((0, 1))
    varying = high > low
    if np.count_nonzero(varying) < 2 or (low == low.min()).mean() >= 0.9:
        return False
    spread, span = deviation[varying], (high - low)[varying]
    return bool(spread.max() > UNEVEN * spread.min() and span.max() > UNEVEN * span.min())
