"""Tensors and their description in one safetensors file; a hostile one can raise and nothing else.

::

    8 bytes: length of the header │ header, JSON: metadata, name ▶ dtype, shape, place │ numbers

Nothing is pickled, nothing in a file is executed, and nothing larger than the file is allocated.
The format is safetensors' (https://huggingface.co/docs/safetensors), and its library reads these
files; it is written and read here so that numbers go straight between memory and the file, a
killed process leaves no litter of unknown name, and a header is checked before it is believed.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import FileError
from ..version import __version__
from .files import StrPath, atomic

if TYPE_CHECKING:
    from torch import Tensor

KEY = "latente"
"""The key of a safetensors file's metadata under which everything of ours is written."""
HEADER_LIMIT = 10_000_000
"""Bytes that a header may have."""
VALUES_LIMIT = 1_000_000
"""Values that a header or a description may have: of those, memory and time to parse them come."""
DEPTH_LIMIT = 200
"""Lists and objects within each other that a description may have."""
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
    envelope = {"kind": kind, "format": format, "version": __version__, "meta": meta}
    text = json.dumps(envelope, allow_nan=False)
    try:
        _parse(text)
    except ValueError as error:
        raise FileError(f"cannot write {path}: what describes it will not do: {error}") from error
    # The widest numbers first, so that each begins where a multiple of its size is.
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header = _header_bytes({name: tensors[name] for name in names}, text)
    if len(header) > HEADER_LIMIT:
        raise FileError(
            f"cannot write {path}: what describes it takes {len(header) / 1e6:.1f} MB "
            f"and may take {HEADER_LIMIT / 1e6:.0f} MB"
        )
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for name in names:
            file.write(_bytes(tensors[name].detach().cpu().contiguous()))


def _header_bytes(tensors: Mapping[str, Tensor], text: str) -> bytes:
    """Return the header of tensors that lie one after the other, padded to a multiple of 8."""
    codes = {name: code for code, name in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": {KEY: text}}
    position = 0
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in codes:
            raise TypeError(f"{name} is of {tensor.dtype}, which the file's format cannot hold")
        begin, position = position, position + tensor.numel() * tensor.itemsize
        header[name] = {
            "dtype": codes[dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, position],
        }
    plain = json.dumps(header, separators=(",", ":")).encode("ascii")
    return plain + b" " * (-len(plain) % 8)


def _bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor on the CPU."""
    import torch

    if tensor.numel() == 0:
        return memoryview(bytearray())
    # Of one number, the stride may be anything and the tensor still count as contiguous.
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy().data


def read_tensors(
    path: StrPath, *, kind: str, newest_format: int
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

    Returns
    -------
    tuple
        The tensors by name, on the CPU, and the description.

    Raises
    ------
    FileError
        If there is no such file, it cannot be read, is empty, cut short or damaged, is something
        else, or was written by a later version.
    """
    try:
        return _read(path, kind, newest_format)
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"there is no file {path}") from error
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error
    except (MemoryError, RuntimeError) as error:
        raise FileError(f"cannot read {path}: it does not fit in memory") from error
    except ValueError as error:  # the path itself: a NUL in it
        raise FileError(f"cannot read {str(path)!r}: {error}") from error


def kind_at(path: StrPath) -> str | None:
    """Return what a file says it is, such as "latente model"; None where nothing can be read."""
    if not os.path.isfile(path):  # opening a pipe would wait for ever
        return None
    try:
        with open(path, "rb") as file:
            header = _header(file, path, os.fstat(file.fileno()).st_size)
        kind = _parse(header["__metadata__"][KEY])["kind"]
    except (FileError, OSError, ValueError, KeyError, TypeError):
        return None
    return kind if isinstance(kind, str) else None


def _read(path: StrPath, kind: str, newest_format: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise FileError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise FileError(f"{path} is no ordinary file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _header(file, path, size)
        meta = _meta(header.pop("__metadata__", None), path, kind, newest_format)
        _check_layout(header, path, size - file.tell())
        tensors = {
            name: _tensor(file, path, entry)
            for name, entry in sorted(header.items(), key=lambda item: _span(item[1]))
        }
    return tensors, meta


def _header(file: BinaryIO, path: StrPath, size: int) -> dict[str, Any]:
    """Return the header of a safetensors file: 8 bytes tell its length, then comes JSON."""
    if size == 0:
        raise FileError(f"{path} is empty")
    length = int.from_bytes(file.read(8), "little")
    begin = file.read(1)
    if size < 9:
        raise FileError(f"{path} is cut short, or no safetensors file")
    if begin != b"{":
        raise FileError(f"{path} is no safetensors file")
    if length > HEADER_LIMIT:
        raise FileError(f"{path} is not of latente: its header claims to take {length:,} bytes")
    if length > size - 8:
        raise FileError(f"{path} is cut short")
    text = begin + file.read(length - 1)
    try:
        header = _parse(text.decode("utf-8"))
    except ValueError as error:
        raise FileError(f"{path} is damaged, or no safetensors file: {error}") from error
    if not isinstance(header, dict):
        raise FileError(f"{path} is no safetensors file")
    return header


def _meta(metadata: object, path: StrPath, kind: str, newest_format: int) -> dict[str, Any]:
    """Return the description that the metadata hold, if it is of that kind and understood."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise FileError(f"{path} is a safetensors file, but no {kind}")
    try:
        envelope = _parse(metadata[KEY])
    except ValueError as error:
        raise FileError(f"{path} is damaged: its description is no JSON: {error}") from error
    wanted = {"kind": str, "format": int, "version": str, "meta": dict}
    if not isinstance(envelope, dict) or any(
        type(envelope.get(name)) is not type_ for name, type_ in wanted.items()
    ):
        raise FileError(f"{path} is damaged: its description is not of the right form")
    if envelope["kind"] != kind:
        raise FileError(f"{path} is a {_shown(envelope['kind'])}, not a {kind}")
    if envelope["format"] > newest_format:
        raise FileError(
            f"{path} was written by latente {_shown(envelope['version'])}; "
            f"this is {__version__}: upgrade latente to read it"
        )
    if envelope["format"] < 1:
        raise FileError(f"{path} is damaged: its description is not of the right form")
    meta: dict[str, Any] = envelope["meta"]
    return meta


def _shown(text: str) -> str:
    """Return a word of a file that is not trusted as it may go into a sentence."""
    return text if text.isprintable() and 0 < len(text) <= 40 else repr(text[:40])


def _parse(text: str) -> Any:
    """Read JSON as RFC 8259 has it: no NaN, no key twice, no number out of range; not too deep.

    Raises
    ------
    ValueError
        In half a sentence.
    """
    if sum(map(text.count, "[{,")) > VALUES_LIMIT:
        raise ValueError(f"it has more than {VALUES_LIMIT:,} values")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        lists = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for item in lists for child in item if isinstance(child, dict | list)]
        if not level:
            return value
    raise ValueError("it is nested too deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key comes twice")
    return value


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > 4000:  # Python refuses longer ones with advice to programmers
        raise ValueError("a number is out of range")
    return int(text)


def _span(entry: Any) -> tuple[int, int]:
    begin, end = entry["data_offsets"]
    return begin, end


def _check_layout(entries: Mapping[str, Any], path: StrPath, size: int) -> None:
    """See that the tensors lie one after the other, without gaps, and end where the file does."""
    if not all(_is_entry(entry) for entry in entries.values()):
        raise FileError(f"{path} is damaged: its header describes tensors that cannot be")
    position = 0
    for begin, end in sorted(_span(entry) for entry in entries.values()):
        if begin != position:
            raise FileError(f"{path} is damaged: its tensors overlap or leave gaps")
        position = end
    if position > size:
        raise FileError(f"{path} is cut short: {position - size:,} bytes are missing")
    if position < size:
        raise FileError(f"{path} is damaged: {size - position:,} bytes belong to no tensor")


def _is_entry(entry: object) -> bool:
    """Whether a header's entry describes a tensor whose bytes are as many as its shape needs."""
    import torch

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return False
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        return False
    if not all(
        isinstance(x, list) and all(type(i) is int and i >= 0 for i in x) for x in (shape, offsets)
    ):
        return False
    if len(offsets) != 2 or len(shape) > DIMENSIONS_LIMIT:
        return False
    if math.prod(max(extent, 1) for extent in shape) > EXTENT_LIMIT:
        return False
    itemsize: int = getattr(torch, DTYPES[dtype]).itemsize
    size: int = offsets[1] - offsets[0]
    return math.prod(shape) * itemsize == size


def _tensor(file: BinaryIO, path: StrPath, entry: Mapping[str, Any]) -> Tensor:
    """Return the next tensor of the file, in memory of its own."""
    import torch

    tensor = torch.empty(entry["shape"], dtype=getattr(torch, DTYPES[entry["dtype"]]))
    raw = _bytes(tensor)
    if file.readinto(raw) < len(raw):  # type: ignore[attr-defined]
        raise FileError(f"{path} is cut short")
    if tensor.dtype is torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
        raise FileError(f"{path} is damaged: a truth value is neither 0 nor 1")
    return tensor
