"""Checks: whatever samples are given as becomes one array of finite numbers, or one clear error.

::

    array, memory map, tensor, lists, data frame
        ──as_array──▶ (n, features), (n, h, w) or (n, h, w, c)
"""

from __future__ import annotations

import mmap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError

Array = NDArray[Any] | Tensor
"""Samples of any real type."""
A = TypeVar("A", NDArray[Any], Tensor, NDArray[Any] | Tensor)

BLOCK = 2**18
"""About how many values a block holds: few enough to stay in the processor's cache."""
READ_AHEAD = 2**25
"""Bytes of a memory map that are read before their memory is given back."""
SHARED = ("r", "r+", "w+")
"""Modes of memory maps whose pages are the file's own; of "c" they may hold changes."""
CHANNELS = (1, 2, 3, 4)
"""How many channels a picture may have."""
FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")}
LAZY = ("polars", "LazyFrame")
RESHAPE = (
    "Reshape your data either using array.reshape(-1, 1) if your data has a single feature "
    "or array.reshape(1, -1) if it contains a single sample"
)
AXES = {2: ("row", "column"), 3: ("picture", "row", "column"), 4: ("picture", "row", "column",
        "channel")}  # fmt: skip
"""What the axes of samples are called in errors."""


STEPS = ("sequence", "step", "feature")
"""The same of sequences."""


class NotNumeric(DataError, TypeError):
    """A value stands where only a number can."""


# ── from anything to an array ────────────────────────────────────────────────────────────────


def as_array(
    X: Any,
    *,
    name: str = "X",
    names: Sequence[object] | None = None,
    allow_missing: bool = False,
    axes: Sequence[str] = (),
) -> Array:
    """Return samples as an array or a tensor that can be learned from, copied only where need be.

    Parameters
    ----------
    X
        Rows (n, features), or pictures (n, h, w) or (n, h, w, c), c from 1 to 4: a NumPy array of
        booleans, integers or floats, a memory map (which stays one), a tensor (which stays one, on
        its device), lists, a data frame of numbers, or anything with ``__array__``.
    name
        What X is called in errors.
    names
        What the columns are called in errors; those of a data frame are known.
    allow_missing
        Whether NaN may stand for a missing value.
    axes
        What the axes are called in errors; by itself those of rows or pictures.

    Returns
    -------
    ndarray or Tensor
        Of the shape given. The dtype is X's own, but in the machine's byte order and of at most 64
        bits a number; objects become float64.

    Raises
    ------
    DataError
        If X holds anything but finite real numbers, is sparse (`SparseRows` takes that), is empty,
        or has another shape.
    """
    array: Any
    if is_frame(X):
        array, names = matrix(X), open_frame(X).columns
    else:
        array = numeric(X, name)
    check_shape(array, name)
    check_finite(array, name=name, names=names, allow_missing=allow_missing, axes=axes)
    return array  # type: ignore[no-any-return]


def as_tensor(array: Array) -> Tensor:
    """Return an array as a tensor that shares its memory wherever torch can.

    Unsigned integers of 16 bits and more, for which torch has few operations, come in the next
    wider type. What is given must not be written to through the tensor: the array may be read-only.
    """
    if isinstance(array, Tensor):
        return array
    wider = {"uint16": np.int32, "uint32": np.int64, "uint64": np.float64}
    plain = np.asarray(array)
    plain = plain.astype(wider.get(plain.dtype.name, plain.dtype), copy=False)
    if any(stride < 0 for stride in plain.strides):
        plain = plain.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(plain)


def as_codes(Z: Any, latent_dim: int) -> NDArray[np.float32]:
    """Return codes as float32 rows of the right length.

    Parameters
    ----------
    Z
        Codes, shape (n, latent_dim).
    latent_dim
        Numbers in a code.

    Raises
    ------
    DataError
        If they are not such codes, or not finite.
    """
    codes = as_array(Z, name="Z")
    codes = codes.float().cpu().numpy() if isinstance(codes, Tensor) else codes
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        raise DataError(
            f"Z has shape {tuple(codes.shape)}, but a code of this model has {latent_dim} numbers; "
            f"give codes of shape (n, {latent_dim})"
        )
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(codes, dtype=np.float32)
    check_finite(floats, name="Z in float32")
    return floats


def named(X: Any) -> Any:
    """Return what scikit-learn reads the names and the number of columns from.

    Rows and data frames are that themselves; for pictures (n, h, w, c) it is a row of h·w·c
    columns for each, which takes no memory.
    """
    if is_frame(X):
        return X
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    shape = tuple(X.shape)
    if len(shape) < 3:
        return X
    return np.broadcast_to(np.uint8(0), (shape[0], int(np.prod(shape[1:]))))


def numeric(X: Any, name: str) -> Array:
    """Return a tensor cut from its graph, or an array in the machine's byte order, of real numbers.

    Raises
    ------
    DataError
        If X holds anything else.
    """
    return tensor_of_numbers(X, name) if isinstance(X, Tensor) else array_of_numbers(X, name)


def tensor_of_numbers(X: Tensor, name: str) -> Tensor:
    """Return a tensor of real numbers cut from its graph, or say why it is none."""
    if X.layout != torch.strided or X.is_quantized:
        raise DataError(f"{name} is a sparse or quantised tensor; give a dense one: X.to_dense()")
    if X.is_complex():
        raise DataError(complex_refused(name, str(X.dtype)))
    X = X.detach()
    return X.float() if X.dtype.is_floating_point and X.dtype.itemsize == 1 else X


def array_of_numbers(X: Any, name: str) -> NDArray[Any]:
    """Return an array of real numbers in the machine's byte order, or say why X is none."""
    if is_sparse(X):
        raise DataError(
            f"{name} is sparse ({type(X).__name__}), which is not supported here; "
            "give a dense array: X.toarray()"
        )
    if X is None or isinstance(X, str | bytes | dict | set):
        raise DataError(f"{name} is {describe(X)}; give an array of rows or pictures, or a table")
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = np.where(np.ma.getmaskarray(X), np.nan, X.data.astype(np.float64))
    try:
        array = X if type(X) is np.memmap else np.asarray(X)
    except ValueError as error:
        raise DataError(
            f"{name} cannot become an array, as its rows differ in length; "
            "every row needs the same columns, or say layout='sequences'"
        ) from error
    return real(array, name)


def real(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of real numbers of at most 64 bits, native, or say what it holds instead."""
    kind = array.dtype.kind
    if kind == "O":
        return from_objects(array, name)
    if kind == "c":
        raise DataError(complex_refused(name, array.dtype.name))
    if kind in "US":
        first = f" ({array.flat[0].item()!r} is the first)" if array.size else ""
        raise DataError(
            f"{name} holds text{first}; give numbers, or a data frame, whose text is encoded"
        )
    if kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype} values; give numbers, or a data frame")
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    if array.dtype.isnative:
        return array
    if isinstance(array, np.memmap):
        raise DataError(
            f"{name} is mapped from a file in the other byte order ({array.dtype.str}); "
            "write it anew in this machine's"
        )
    return array.astype(array.dtype.newbyteorder("="))


def from_objects(array: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return Python objects as float64, None and pandas's NA as NaN, or name what is no number."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    numbers = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        try:
            missing = value is None or type(value).__name__ == "NAType"
            numbers[place] = np.nan if missing else float(value)
        except (TypeError, ValueError, OverflowError):
            at = ", ".join(f"{word} {i}" for word, i in zip(("row", "column"), place, strict=False))
            raise NotNumeric(
                f"{name} cannot be read at {at}: each argument must be a number, "
                f"or a string of a number, not {describe(value)}"
            ) from None
    return numbers


def check_shape(array: Array, name: str) -> None:
    """Raise `DataError`, in scikit-learn's words, unless these are rows or pictures."""
    shape = tuple(array.shape)
    if len(shape) < 2:
        found = "scalar" if not shape else "1D"
        what = f"{name} is {array}" if not shape else f"{name} has shape {shape}"
        raise DataError(f"Expected 2D array, got {found} array instead: {what}. {RESHAPE}")
    if 0 in shape:
        what = "feature" if shape[0] else "sample"
        raise DataError(
            f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required."
        )
    if len(shape) > 4:
        raise DataError(
            f"{name} has {len(shape)} axes (shape {shape}); rows (n, features) and pictures "
            "(n, h, w) or (n, h, w, channels) can be used"
        )
    if len(shape) == 4 and shape[3] not in CHANNELS:
        first = "; put the channels last" if shape[1] in CHANNELS else ""
        raise DataError(
            f"{name} has shape {shape}, but pictures are (n, h, w, channels) "
            f"with 1 to 4 channels{first}"
        )


def complex_refused(name: str, dtype: str) -> str:
    """Return the sentence on complex numbers, in scikit-learn's words."""
    return (
        f"Complex data not supported: {name} holds {dtype}; "
        "give real and imaginary parts as columns of their own"
    )


def describe(value: object) -> str:
    """Return a value for a sentence, shortened: ``"'abc' (str)"``."""
    text = repr(value)
    return f"{text[:40] + '…' if len(text) > 41 else text} ({type(value).__name__})"


# ── data frames as arrays ────────────────────────────────────────────────────────────────────


def is_frame(X: object) -> bool:
    """Whether X is a data frame of a known library, without importing any.

    Raises
    ------
    DataError
        If it is one that has yet to be computed.
    """
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(X).__mro__}
    if LAZY in names:
        raise DataError("X is a lazy frame; compute it first: X.collect()")
    return bool(names & FRAMES)


def open_frame(X: Any) -> nw.DataFrame[Any]:
    """Return a data frame as narwhals sees it; two columns of one name are a `DataError`."""
    try:
        frame: nw.DataFrame[Any] = nw.from_native(X, eager_only=True)
        names = list(frame.columns)
    except nw.exceptions.DuplicateError:
        names = list(X.columns)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"X has several columns of one name: {repeated[0]!r}")
    return frame


def matrix(X: Any) -> NDArray[Any]:
    """Return the numbers of a data frame as an array, NaN where they are missing.

    Raises
    ------
    DataError
        If a column holds something else.
    """
    frame = open_frame(X)
    if numpy_kinds(X) <= set("biuf"):
        return X.to_numpy()  # type: ignore[no-any-return]
    for series in frame.iter_columns():
        if not series.dtype.is_numeric() and series.dtype != nw.Boolean:
            raise DataError(f"column {series.name!r} holds {series.dtype} values, not numbers")
    columns = [numbers(series) for series in frame.iter_columns()]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def numpy_kinds(X: Any) -> set[str]:
    """Return the kinds of NumPy's types that a frame of pandas has; "?" where it has another one.

    To look at them takes no time, where to go through thousands of columns does.
    """
    if not hasattr(X, "iloc"):
        return {"?"}
    return {dtype.kind if isinstance(dtype, np.dtype) else "?" for dtype in X.dtypes}


def numbers(series: nw.Series[Any]) -> NDArray[Any]:
    """Return a column of numbers or booleans as an array, as floats with NaN where it has gaps."""
    if series.dtype.is_decimal() or series.is_null().any():
        return series.cast(nw.Float64).to_numpy().astype(np.float64)
    return series.to_numpy()


# ── sparse matrices ──────────────────────────────────────────────────────────────────────────


def is_sparse(X: object) -> bool:
    """Whether X is a sparse matrix or array of SciPy, without importing it."""
    return hasattr(X, "toarray") and hasattr(X, "nnz")


class SparseRows:
    """A sparse matrix read as an array of rows: those that are taken come dense.

    Parameters
    ----------
    X
        A matrix or an array of SciPy, (n, features), of any format.
    name
        What X is called in errors.

    Raises
    ------
    DataError
        If X holds anything but finite real numbers, is empty, or has another shape.
    """

    ndim = 2

    def __init__(self, X: Any, name: str = "X") -> None:
        check_shape(X, name)
        rows = X.tocsr()
        values = real(rows.data, name)
        bad = ~np.isfinite(values)
        if bad.any():
            first = int(np.argmax(bad))
            row = int(np.searchsorted(rows.indptr, first, side="right")) - 1
            place = at((row, int(rows.indices[first])))
            count = int(np.count_nonzero(bad))
            raise DataError(not_finite(float(values[first]), place, count, name))
        self.matrix = type(rows)((values, rows.indices, rows.indptr), shape=rows.shape)
        self.shape: tuple[int, ...] = rows.shape
        self.dtype = values.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        dense: NDArray[Any] = self.matrix[rows].toarray()
        return dense

    def tensor(self, *, narrow: bool) -> Tensor:
        """Return all rows as a tensor, of at most 32 bits a number where those hold the values.

        Parameters
        ----------
        narrow
            Whether float32 holds floats closely enough.
        """
        dtype = as_tensor(self[:1]).dtype
        ends = (self.matrix.data.min(initial=0), self.matrix.data.max(initial=0))
        if dtype == torch.float64 and narrow:
            dtype = torch.float32
        elif dtype == torch.int64 and ends[0] >= -(2**31) and ends[1] < 2**31:
            dtype = torch.int32
        out = torch.empty(self.shape, dtype=dtype)
        rows: Any = self
        for start, block in blocks(rows):
            out[start : start + len(block)] = as_tensor(block)
        return out


# ── blocks, and the search for NaN and infinity ──────────────────────────────────────────────


def blocks(array: A, size: int = BLOCK) -> Iterator[tuple[int, A]]:
    """Yield rows in blocks of about ``size`` values, each with the number of its first row."""
    rows = max(1, size // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        release(array, start, start + rows)
        yield start, array[start : start + rows]


def release(array: Array, start: int, stop: int) -> None:
    """Now and then, give back the memory of what was read of a map: it can be read again.

    Parameters
    ----------
    array
        Anything; only of a memory map that shares its file's pages something is given back.
    start, stop
        The rows that are read next.
    """
    if not isinstance(array, np.memmap) or array.mode not in SHARED:
        return
    row = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    mapped: Any = getattr(array, "_mmap", None)
    if start * row // READ_AHEAD < stop * row // READ_AHEAD and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def as_numpy(block: Array) -> NDArray[Any]:
    """Return a block as NumPy's array: from any device, bfloat16 as float32."""
    if isinstance(block, np.ndarray):
        return block
    return (block.float() if block.dtype == torch.bfloat16 else block).cpu().numpy()


def check_finite(
    array: Array,
    *,
    name: str = "X",
    names: Sequence[object] | None = None,
    allow_missing: bool = False,
    axes: Sequence[str] = (),
) -> None:
    """Raise `DataError` at the first NaN or infinity, naming its place and how many there are.

    Parameters
    ----------
    array
        Samples, their number first.
    name
        What the array is called.
    names
        What its columns are called.
    allow_missing
        Whether NaN is let through.
    axes
        What its axes are called; by itself those of rows or pictures.
    """
    first: tuple[int, ...] | None = None
    count, value = 0, 0.0
    for start, block in blocks(array):
        if sums_finite(block):
            continue
        plain = as_numpy(block)
        bad: NDArray[np.bool_] = np.isinf(plain) if allow_missing else ~np.isfinite(plain)
        if first is None and bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            value = float(plain[place])
            first = (start + int(place[0]), *map(int, place[1:]))
        count += int(np.count_nonzero(bad))
    if first is not None:
        place_name = at(first, names, axes)
        raise DataError(not_finite(value, place_name, count, name))


def sums_finite(block: Array) -> bool:
    """Whether one sum shows a block to be finite; it may miss that, never the contrary."""
    if isinstance(block, np.ndarray):
        if block.dtype.kind != "f":
            return True
        with np.errstate(over="ignore", invalid="ignore"):
            wide = np.float32 if block.dtype.itemsize == 2 else block.dtype
            return bool(np.isfinite(block.sum(dtype=wide)))
    if not block.dtype.is_floating_point:
        return True
    wider = torch.float32 if block.dtype.itemsize == 2 else block.dtype
    return bool(torch.isfinite(block.sum(dtype=wider)))


def at(
    place: tuple[int, ...], names: Sequence[object] | None = None, axes: Sequence[str] = ()
) -> str:
    """Return a place in words: ``"row 17, column 3 ('age')"``."""
    words = ", ".join(
        f"{axis} {i}" for axis, i in zip(axes or AXES[len(place)], place, strict=True)
    )
    return words if names is None else f"{words} ({names[place[-1]]!r})"


def not_finite(value: float, place: str, count: int, name: str) -> str:
    """Return what is wrong where: ``"X has NaN at row 17, column 3 ('age') ..."``."""
    what = "NaN" if np.isnan(value) else "infinity" if value > 0 else "-infinity"
    others = f", the first of {count:,} such values" if count > 1 else ""
    right = (
        "fill what is missing, or give a data frame, whose gaps are learned"
        if what == "NaN"
        else "every value must be finite"
    )
    return f"{name} has {what} at {place}{others}; {right}"
