"""Arrays as bytes: the binary form in which the explorer sends numbers.

::

    uint32 N │ N bytes of JSON, padded with spaces │ array │ array │ …      all little-endian

The JSON is ``{"meta": {...}, "arrays": [{"name", "dtype", "shape"}]}``; 4 + N is a multiple of 8.
Each array follows in C order, padded with zeros to a multiple of 8 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

MEDIA_TYPE = "application/vnd.latente.arrays"
DTYPES = {"u1": "<u1", "i4": "<i4", "u4": "<u4", "f4": "<f4"}
"""The types by their names in the JSON."""
STEP = 8
"""Arrays begin at multiples of so many bytes."""

Arrays = dict[str, NDArray[Any]]


def pack(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any] | None = None) -> bytes:
    """Return arrays, and what is to be known beside them, as bytes.

    Parameters
    ----------
    arrays
        By name, of 8-bit or 32-bit whole numbers or of floats; floats are sent as float32, signed
        whole numbers and booleans as int32.
    meta
        Plain JSON values without NaN and infinity.
    """
    sent = {name: np.ascontiguousarray(array, sent_type(array)) for name, array in arrays.items()}
    listed = [
        {"name": name, "dtype": array.dtype.str[1:], "shape": list(array.shape)}
        for name, array in sent.items()
    ]
    header = json.dumps({"meta": dict(meta or {}), "arrays": listed}, allow_nan=False).encode()
    header += b" " * (-(4 + len(header)) % STEP)
    parts = [len(header).to_bytes(4, "little"), header]
    for array in sent.values():
        parts += [array.tobytes(), bytes(-array.nbytes % STEP)]
    return b"".join(parts)


def unpack(data: bytes) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and what is beside them of what `pack` returned.

    Raises
    ------
    DataError
        If these bytes are nothing that `pack` returns.
    """
    try:
        size = int.from_bytes(data[:4], "little")
        header = json.loads(data[4 : 4 + size])
        arrays: Arrays = {}
        start = 4 + size
        for each in header["arrays"]:
            dtype, shape = np.dtype(DTYPES[each["dtype"]]), tuple(map(int, each["shape"]))
            count = int(np.prod(shape, dtype=np.int64))
            arrays[each["name"]] = np.frombuffer(data, dtype, count, start).reshape(shape)
            start += -(-count * dtype.itemsize // STEP) * STEP
        meta: dict[str, Any] = header["meta"]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DataError("these bytes are not packed arrays, or are cut short") from error
    if start != len(data):
        raise DataError(f"packed arrays of {start} bytes, but {len(data)} were given")
    return arrays, meta


def sent_type(array: NDArray[Any]) -> str:
    """Return the type in which an array is sent."""
    if array.dtype == np.uint8:
        return DTYPES["u1"]
    if array.dtype == np.uint32:
        return DTYPES["u4"]
    return DTYPES["i4"] if array.dtype.kind in "bi" else DTYPES["f4"]
