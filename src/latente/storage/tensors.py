"""Tensors and their description in one safetensors file; a hostile one can raise and nothing else.

::

    8 bytes: length of the header │ header, JSON │ the tensors' numbers
                                      │
        {"__metadata__": {"latente": description}, name: {dtype, shape, data_offsets}, …}

    description: {"checksum": …, "kind": …, "format": …, "version": …, "meta": …}, JSON as text

The format is safetensors' (https://huggingface.co/docs/safetensors), and its library writes and
reads the files. Ours is what the library does not do: bounds on the JSON, checked before anything
else looks at it; a checksum of every byte of the file; and a clear sentence for each refusal.
Nothing is pickled, nothing in a file is executed, nothing much larger than the file is allocated.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError, printable
from ..version import __version__
from .bounded import parse_json
from .files import StrPath, atomic

if TYPE_CHECKING:
    from torch import Tensor

KEY = "latente"
"""The key of a safetensors file's metadata under which everything of ours is written."""
MARK = b'{\\"checksum\\": \\"'
"""What stands before the checksum in the bytes of a file."""
BLANK = "0" * 64
"""What stands for the checksum while the checksum is computed."""
HEADER_LIMIT = 10_000_000
"""Bytes that a header may have."""
SHOWN = 40
"""Characters that an error shows of a word of the file."""
DIMENSIONS_LIMIT = 16
EXTENT_LIMIT = 2**48
"""Product of a tensor's dimensions other than 0: beyond, an address would not hold it."""
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}
PIECE = 2**22
"""Bytes that are written or hashed at a time."""
ALIGNMENT = 8
"""The numbers begin at a multiple of so many bytes."""
ENVELOPE = {"checksum": str, "kind": str, "format": int, "version": str, "meta": dict}


def write_tensors(
    path: StrPath,
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    *,
    kind: str,
    format: int,  # noqa: A002
) -> None:
    """Write tensors and what describes them to one safetensors file, whole or not at all.

    Parameters
    ----------
    path
        The file; one that exists is replaced.
    tensors
        By name; on any device, shared, strided or of no dimension alike: each is written in full.
    meta
        JSON values (see `packing.pack` for others), under ten megabytes.
    kind
        What the file is, such as ``"latente model"``; `read_tensors` asks for it.
    format
        Version of what `meta` and `tensors` hold, from 1.

    Raises
    ------
    FileError
        If the file cannot be written, or the description is too large or nested too deep.
    TypeError, ValueError
        If `meta` is not JSON, or a tensor is of a type that the format cannot hold.
    """
    import torch
    from safetensors.torch import save

    text = _description(path, meta, kind, format)
    for name, tensor in tensors.items():
        if str(tensor.dtype).removeprefix("torch.") not in DTYPES.values():
            raise TypeError(f"{name} is of {tensor.dtype}, which the file's format cannot hold")
    # The library refuses tensors that share memory: each gets memory of its own.
    whole = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    content = memoryview(save(whole, {KEY: text}))
    length = int.from_bytes(content[:8], "little")
    _check_length(path, length)
    _, digest, begin, end = _checksum(content, length)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        for piece in (content[:begin], digest.encode(), content[end:]):
            file.write(piece)


def write_arrays(
    path: StrPath,
    arrays: Mapping[str, Sequence[NDArray[Any]]],
    meta: Mapping[str, Any],
    *,
    kind: str,
    format: int,  # noqa: A002
) -> None:
    """Write the same of arrays that need not fit in memory, piece by piece, in their order.

    Parameters
    ----------
    path, meta, kind, format
        As for `write_tensors`.
    arrays
        By name, those that go one below the other; they may lie in files that are mapped. Where
        each takes a multiple of eight bytes, each begins at one.

    Raises
    ------
    FileError
        If the file cannot be written, or the description is too large or nested too deep.
    """
    header: dict[str, Any] = {"__metadata__": {KEY: _description(path, meta, kind, format)}}
    codes = {name: code for code, name in DTYPES.items()}
    end = 0
    for name, blocks in arrays.items():
        begin, end = end, end + sum(block.nbytes for block in blocks)
        shape = [sum(map(len, blocks)), *blocks[0].shape[1:]]
        dtype = codes[blocks[0].dtype.name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    _check_length(path, len(text))
    start = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(start)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(start)
        for array in (array for blocks in arrays.values() for array in blocks):
            for piece in _pieces(array):
                digest.update(piece)
                file.write(piece)
        file.seek(start.find(MARK) + len(MARK))
        file.write(digest.hexdigest().encode())


def map_arrays(
    path: StrPath, *, kind: str, newest_format: int, trusted: bool = False
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Map what `write_tensors` or `write_arrays` wrote: arrays of which only what is used is read.

    Parameters
    ----------
    path, kind, newest_format
        As for `read_tensors`.
    trusted
        Whether to leave out the checksum, for which all of the file is read once.

    Returns
    -------
    tuple
        The arrays by name, which cannot be written to and may hold any values, and the description.

    Raises
    ------
    FileError
        As for `read_tensors`.
    """
    with _explained(path), open(_ordinary(path), "rb") as file:
        start, header, envelope = _start(file, path, kind)
        if not trusted:
            file.seek(len(start))
            _check_sum(path, start, iter(lambda: file.read(PIECE), b""))
        _check_kind(envelope, path, kind, newest_format)
        if not _is_gapless(header):
            raise FileError(f"{path} is damaged: its header does not fit its bytes")
        size = os.fstat(file.fileno()).st_size
        whole = np.memmap(file, np.uint8, "r") if size > len(start) else np.empty(0, np.uint8)
    arrays = {}
    for name, entry in header.items():
        begin, end = (len(start) + offset for offset in entry["data_offsets"])
        arrays[name] = whole[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    meta: dict[str, Any] = envelope["meta"]
    return arrays, meta


def read_tensors(
    path: StrPath,
    *,
    kind: str,
    newest_format: int,
    finite: bool | Callable[[str], bool] = True,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote; nothing in the file is ever executed.

    Parameters
    ----------
    path
        The file.
    kind
        What the file must be, such as ``"latente model"``.
    newest_format
        The newest format that can be understood.
    finite
        Whether NaN and infinity are refused: in every tensor, in none, or in those for whose name
        this function returns true.

    Returns
    -------
    tuple
        The tensors by name, on the CPU, each in memory of its own, and the description.

    Raises
    ------
    FileError
        If there is no such file, it cannot be read, is empty, cut short or damaged, is something
        else, or was written by a later version.
    """
    with _explained(path):
        content, meta = _content(path, kind, newest_format)
        tensors = _tensors(content, path)
    for name, tensor in tensors.items():
        strict = finite(name) if callable(finite) else finite
        if strict and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise FileError(
                f"{path}: the tensor {printable(name, SHOWN)} has NaN or infinite values"
            )
    return tensors, meta


def kind_at(path: StrPath) -> str | None:
    """Return what a file says it is, such as "latente model"; None where nothing can be read."""
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        return None
    try:
        with open(path, "rb") as file:
            _, header = _header(file, path, os.fstat(file.fileno()).st_size)
        return str(_envelope(header, path, "")["kind"])
    except (FileError, OSError, ValueError):
        return None


def _checksum(
    content: memoryview, length: int, rest: Iterable[bytes] = ()
) -> tuple[bytes, str, int, int]:
    """Return the checksum in a file, the one that its bytes have, and where it begins and ends.

    The bytes are those of `content`, with the whole header, and of `rest`.

    Every byte counts: the length, the header as it is written, the numbers; the checksum itself
    counts as `BLANK`.
    """
    header = content[: 8 + length].tobytes()
    begin = header.find(MARK) + len(MARK)
    end = begin + len(BLANK)
    digest = hashlib.sha256(content[:begin])
    digest.update(BLANK.encode())
    digest.update(content[end:])
    for piece in rest:
        digest.update(piece)
    return header[begin:end], digest.hexdigest(), begin, end


def _content(path: StrPath, kind: str, newest_format: int) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a file whose header and checksum hold, and its description."""
    with open(_ordinary(path), "rb") as file:
        start, _, envelope = _start(file, path, kind)
        file.seek(0)
        content = file.read(os.fstat(file.fileno()).st_size)
    stored, digest, _, _ = _checksum(memoryview(content), len(start) - 8)
    if not content.startswith(start) or stored != digest.encode():
        raise FileError(f"{path} is damaged: its bytes do not match its checksum")
    _check_kind(envelope, path, kind, newest_format)
    meta: dict[str, Any] = envelope["meta"]
    return content, meta


def _ordinary(path: StrPath) -> StrPath:
    """Return the path of a file, or raise `FileError` for anything else."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise FileError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise FileError(f"{path} is no ordinary file")
    return path


def _start(
    file: BinaryIO, path: StrPath, kind: str
) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Return a file's first bytes, what its header says of the tensors, and its description."""
    size = os.fstat(file.fileno()).st_size
    start, header = _header(file, path, size)
    envelope = _envelope(header, path, kind)
    del header["__metadata__"]
    if not all(_is_entry(entry) for entry in header.values()):
        raise FileError(f"{path} is damaged: its header describes tensors that cannot be")
    total = len(start) + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if total > size:
        raise FileError(f"{path} is cut short: {total - size:,} bytes are missing")
    if total < size:
        raise FileError(f"{path} is damaged: {size - total:,} bytes belong to no tensor")
    return start, header, envelope


def _check_sum(path: StrPath, start: bytes, rest: Iterable[bytes]) -> None:
    """Raise `FileError` unless the bytes of a file have the checksum that its header gives."""
    stored, digest, _, _ = _checksum(memoryview(start), len(start) - 8, rest)
    if stored != digest.encode():
        raise FileError(f"{path} is damaged: its bytes do not match its checksum")


def _check_kind(envelope: dict[str, Any], path: StrPath, kind: str, newest_format: int) -> None:
    """Raise `FileError` for a file that is something else, or of a later version."""
    if envelope["kind"] != kind:
        raise FileError(f"{path} is a {printable(envelope['kind'], SHOWN)}, not a {kind}")
    if envelope["format"] > newest_format:
        raise FileError(
            f"{path} was written by latente {printable(envelope['version'], SHOWN)}; "
            f"this is {__version__}: upgrade latente to read it"
        )


def _is_gapless(header: dict[str, Any]) -> bool:
    """Whether tensors lie one behind the other, each of the size that its shape says."""
    at = 0
    for entry in sorted(header.values(), key=lambda entry: tuple(entry["data_offsets"])):
        begin, end = entry["data_offsets"]
        name = DTYPES[entry["dtype"]]
        if name == "bfloat16":  # NumPy has no such numbers
            return False
        if begin != at or end - begin != math.prod(entry["shape"]) * np.dtype(name).itemsize:
            return False
        at = end
    return True


@contextmanager
def _explained(path: StrPath) -> Iterator[None]:
    """Turn whatever the system reports about reading a file into a sentence."""
    try:
        yield
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"there is no file {path}") from error
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise FileError(f"cannot read {path}: it does not fit in memory") from error
    except ValueError as error:  # the path itself: a NUL in it
        raise FileError(f"cannot read {str(path)!r}: {error}") from error


def _description(
    path: StrPath,
    meta: Mapping[str, Any],
    kind: str,
    format: int,  # noqa: A002
) -> str:
    """Return what stands under `KEY`, its checksum left blank."""
    values = {"checksum": BLANK, "kind": kind, "format": format, "version": __version__}
    text = json.dumps(values | {"meta": meta}, allow_nan=False)
    try:
        parse_json(text)
    except ValueError as error:
        raise FileError(f"cannot write {path}: the description is not valid: {error}") from error
    return text


def _check_length(path: StrPath, length: int) -> None:
    """Raise `FileError` for a header that is too long to be read again."""
    if length > HEADER_LIMIT:
        raise FileError(
            f"cannot write {path}: its description takes {length / 1e6:.1f} MB "
            f"and may take {HEADER_LIMIT / 1e6:.0f} MB"
        )


def _pieces(array: NDArray[Any]) -> Iterator[memoryview]:
    """Yield the bytes of an array, some at a time."""
    rows = max(1, PIECE // max(array[:1].nbytes, 1))
    for start in range(0, len(array), rows):
        piece = np.ascontiguousarray(array[start : start + rows])
        yield piece.reshape(-1).view(np.uint8).data


def _header(file: BinaryIO, path: StrPath, size: int) -> tuple[bytes, dict[str, Any]]:
    """Return a file's first bytes, with the header, and the header parsed within bounds."""
    if size == 0:
        raise FileError(f"{path} is empty")
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if size < 9:
        raise FileError(f"{path} is cut short, or no safetensors file")
    if start[8:] != b"{":
        raise FileError(f"{path} is no safetensors file")
    if length > HEADER_LIMIT:
        raise FileError(f"{path} is not of latente: its header claims to take {length:,} bytes")
    if length > size - 8:
        raise FileError(f"{path} is cut short")
    start += file.read(length - 1)
    try:
        header = parse_json(start[8:].decode("utf-8"))
    except ValueError as error:
        raise FileError(f"{path} is damaged, or no safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise FileError(f"{path} is no safetensors file")
    return start, header


def _envelope(header: dict[str, Any], path: StrPath, kind: str) -> dict[str, Any]:
    """Return the description in a header, parsed within bounds and of the right form."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise FileError(f"{path} is a safetensors file, but no {kind}")
    try:
        envelope = parse_json(metadata[KEY])
    except ValueError as error:
        raise FileError(f"{path} is damaged: its description is no JSON: {error}") from error
    if (
        not isinstance(envelope, dict)
        or any(type(envelope.get(name)) is not type_ for name, type_ in ENVELOPE.items())
        or envelope["format"] < 1
    ):
        raise FileError(f"{path} is damaged: its description is not of the right form")
    return envelope


def _is_entry(entry: object) -> bool:
    """Whether a header's entry may be given to the library, which compares it with the bytes."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    return (
        isinstance(dtype, str)
        and dtype in DTYPES
        and all(
            isinstance(numbers, list)
            and all(type(i) is int and 0 <= i <= EXTENT_LIMIT for i in numbers)
            for numbers in (shape, offsets)
        )
        and len(offsets) == 2
        and len(shape) <= DIMENSIONS_LIMIT
        and math.prod(max(extent, 1) for extent in shape) <= EXTENT_LIMIT
    )


def _tensors(content: bytes, path: StrPath) -> dict[str, Tensor]:
    """Let the library read the tensors: it refuses bytes that two share or none has."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise FileError(f"{path} is damaged: its header does not fit its bytes") from error
    for tensor in tensors.values():
        if tensor.dtype is torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise FileError(f"{path} is damaged: a truth value is neither 0 nor 1")
    return tensors
