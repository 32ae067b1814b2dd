"""Intake: whatever samples are given as, checked, as one array of numbers.

::

    array, memory map, tensor, lists, data frame
        ──as_array──▶ (n, features), (n, h, w) or (n, h, w, c)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .finite import check_finite
from .schema import is_frame, matrix, titles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CHANNELS = (1, 2, 3, 4)
"""How many channels a picture may have."""
RESHAPE = (
    "Reshape your data either using array.reshape(-1, 1) if your data has a single feature "
    "or array.reshape(1, -1) if it contains a single sample"
)


class NotNumeric(DataError, TypeError):
    """A value stands where only a number can."""


def as_array(
    X: Any, *, name: str = "X", names: Sequence[object] | None = None, allow_missing: bool = False
) -> NDArray[Any] | Tensor:
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

    Returns
    -------
    ndarray or Tensor
        Of the shape given. The dtype is X's own, but in the machine's byte order and of at most 64
        bits a number; objects become float64.

    Raises
    ------
    DataError
        If X holds anything but finite real numbers, is sparse, is empty, or has another shape.
    """
    if is_tensor(X):
        array: Any = tensor_of_numbers(X, name)
    elif is_frame(X):
        array, names = matrix(X), titles(X)
    else:
        array = array_of_numbers(X, name)
    check_shape(array, name)
    check_finite(array, name=name, names=names, allow_missing=allow_missing)
    return array  # type: ignore[no-any-return]


def as_tensor(array: NDArray[Any] | Tensor) -> Tensor:
    """Return an array as a tensor that shares its memory wherever torch can.

    Unsigned integers of 16 bits and more, for which torch has few operations, come in the next
    wider type. What is given must not be written to through the tensor: the array may be read-only.
    """
    import warnings

    import torch

    if isinstance(array, torch.Tensor):
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
    if is_tensor(codes):
        codes = codes.float().cpu().numpy()  # type: ignore[union-attr]
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


def is_tensor(X: object) -> bool:
    """Whether X is a torch tensor, found out without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def tensor_of_numbers(X: Tensor, name: str) -> Tensor:
    """Return a tensor of real numbers cut from its graph, or say why it is none."""
    import torch

    if X.layout != torch.strided or X.is_quantized:
        raise DataError(f"{name} is a sparse or quantised tensor; give a dense one: X.to_dense()")
    if X.is_complex():
        raise DataError(complex_refused(name, str(X.dtype)))
    X = X.detach()
    if X.dtype.is_floating_point and X.dtype.itemsize == 1:
        return X.float()
    return X


def array_of_numbers(X: Any, name: str) -> NDArray[Any]:
    """Return an array of real numbers in the machine's byte order, or say why X is none."""
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise DataError(
            f"{name} is sparse ({type(X).__name__}), which is not supported; "
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
            "every row needs the same columns"
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
    if not array.dtype.isnative:
        if isinstance(array, np.memmap):
            raise DataError(
                f"{name} is mapped from a file in the other byte order ({array.dtype.str}); "
                "write it anew in this machine's"
            )
        return array.astype(array.dtype.newbyteorder("="))
    return array


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


def check_shape(array: NDArray[Any] | Tensor, name: str) -> None:
    """Raise `DataError`, in scikit-learn's words, unless these are rows or pictures."""
    shape = tuple(array.shape)
    if len(shape) == 0:
        raise DataError(
            f"Expected 2D array, got scalar array instead: {name} is {array}. {RESHAPE}"
        )
    if len(shape) == 1:
        raise DataError(
            f"Expected 2D array, got 1D array instead: {name} has shape {shape}. {RESHAPE}"
        )
    if shape[0] == 0:
        raise DataError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required."
        )
    if 0 in shape:
        raise DataError(
            f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required."
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
