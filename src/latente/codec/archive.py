"""The archive: a ``.latz`` file, in which damage costs the records it hits and no others.

::

    header │ record 0 │ record 1 │ … │ header again │ its length
    header:  "LATZ", version, length (4), checksum (4), JSON, deflated
    record:  length (1-5), checksum of payload, with the record's number in it (4), payload

The header stands at both ends, so that no single damage takes both. A record holds its own number,
so that reading can go on behind a damaged one. Nothing is trusted before its checksum fits, and
nothing larger than the file says it holds is allocated.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import FileError

MAGIC = b"LATZ"
VERSION = 1
FIXED = len(MAGIC) + 1 + 4 + 4
"""Bytes of a header before its JSON."""
HEADER_LIMIT = 2**26
"""Bytes that a header may unpack to."""
REACH = 64
"""Records in a row that may be lost before the search for the next one ends."""
WORD = 2**32
SPREAD = 0x9E3779B1
GATHER = pow(SPREAD, -1, WORD)
"""What a record's number is multiplied by in its checksum, so that neighbours differ in every byte
and no change of one byte turns a record into another; and how to get the number back."""
EFFORT = 2**30
"""Bytes that a search for the next record may check."""

Header = dict[str, Any]


class _Damaged(ValueError):
    """A header that is not what was written."""


def pack(header: Header, payloads: Sequence[bytes]) -> bytes:
    """Return an archive.

    Parameters
    ----------
    header
        JSON values; "count" and "longest", the records and the longest payload, are added.
    payloads
        One for each record.
    """
    longest = max(map(len, payloads), default=0)
    block = pack_header({**header, "count": len(payloads), "longest": longest})
    records = b"".join(_record(number, payload) for number, payload in enumerate(payloads))
    return block + records + block + len(block).to_bytes(4, "little")


def pack_header(header: Header) -> bytes:
    """Return a header's bytes."""
    text = zlib.compress(json.dumps(header, allow_nan=False).encode(), 9)
    version = bytes([VERSION])
    checksum = zlib.crc32(version + text).to_bytes(4, "little")
    return MAGIC + version + len(text).to_bytes(4, "little") + checksum + text


def unpack(data: bytes, name: str) -> tuple[Header, Iterator[tuple[int, bytes]]]:
    """Return an archive's header, and its whole records: number and payload of each.

    Parameters
    ----------
    data
        The archive.
    name
        What it is called in errors.

    Raises
    ------
    FileError
        If it is no archive, comes from a later version, or neither header can be read.
    """
    if not data:
        raise FileError(f"{name} is empty")
    header, start, end = _located(data, name)
    return header, _records(data[start:end], header["count"], header["longest"])


def _located(data: bytes, name: str) -> tuple[Header, int, int]:
    """Return the header, from whichever end, and where the records begin and end."""
    size = int.from_bytes(data[-4:], "little")
    tail = len(data) - 4 - size
    positions = {"first": 0} | ({"last": tail} if tail > 0 and size >= FIXED else {})
    headers: dict[str, tuple[Header, int]] = {}
    for end, position in positions.items():
        try:
            headers[end] = _header(data, position, name)
        except _Damaged:
            continue
    if not headers:
        if data[: len(MAGIC)] != MAGIC and data[tail : tail + len(MAGIC)] != MAGIC:
            raise FileError(f"{name} is no archive of latente")
        raise FileError(f"{name} is damaged: neither of its two headers can be read")
    header, length = headers["first"] if "first" in headers else headers["last"]
    stop = tail if "last" in headers else len(data)
    return header, min(length, stop), stop


def _header(data: bytes, position: int, name: str) -> tuple[Header, int]:
    """Return the header at a position, and how many bytes it takes."""
    fixed = data[position : position + FIXED]
    if len(fixed) < FIXED or fixed[:4] != MAGIC:
        raise _Damaged("there is no header")
    length = int.from_bytes(fixed[5:9], "little")
    text = data[position + FIXED : position + FIXED + length]
    checksum = int.from_bytes(fixed[9:13], "little")
    if len(text) < length or zlib.crc32(fixed[4:5] + text) != checksum:
        raise _Damaged("its checksum does not fit")
    if fixed[4] != VERSION:
        raise FileError(f"{name} was written by a later latente: upgrade it to read the archive")
    return _parsed(text), FIXED + length


def _parsed(text: bytes) -> Header:
    """Return the JSON of a header, checked as far as this module uses it."""
    unpacking = zlib.decompressobj()
    try:
        header = json.loads(unpacking.decompress(text, HEADER_LIMIT))
    except (zlib.error, ValueError, RecursionError) as error:
        raise _Damaged("it is no JSON") from error
    if not isinstance(header, dict):
        raise _Damaged("it is of another form")
    for key in ("count", "longest"):
        if type(header.get(key)) is not int or not 0 <= header[key] < 2**31:
            raise _Damaged(f"its {key} cannot be")
    return header


def _record(number: int, payload: bytes) -> bytes:
    checksum = (zlib.crc32(payload) + number * SPREAD) % WORD
    return _varint(len(payload)) + checksum.to_bytes(4, "little") + payload


def _records(body: bytes, count: int, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield the whole records of a body, looking for the next one behind a damaged one."""
    number = position = 0
    effort = EFFORT
    while number < count and position < len(body):
        record = _read(body, position, longest)
        if record is None or record[0] != number:
            expected = range(number, min(count, number + REACH))
            searched = _search(body, position, expected, longest, effort)
            if searched is None:
                return
            position, effort = searched
            record = _read(body, position, longest)
            assert record is not None
        number, payload, position = record
        yield number, payload
        number += 1


def _read(body: bytes, position: int, longest: int) -> tuple[int, bytes, int] | None:
    """Return number and payload of the record at a position, and where the next begins."""
    length, begin = _read_varint(body, position)
    begin += 4
    if length > longest or begin + length > len(body):
        return None
    payload = body[begin : begin + length]
    checksum = int.from_bytes(body[begin - 4 : begin], "little")
    number = (checksum - zlib.crc32(payload)) * GATHER % WORD
    return number, payload, begin + length


def _search(
    body: bytes, position: int, numbers: range, longest: int, effort: int
) -> tuple[int, int] | None:
    """Return where the next of those records begins, and the effort that is left."""
    while position < len(body) and effort > 0:
        record = _read(body, position, longest)
        if record is not None:
            if record[0] in numbers:
                return position, effort
            effort -= len(record[1])
        effort -= 16
        position += 1
    return None


def _varint(value: int) -> bytes:
    """Return a whole number from 0 in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, of five bytes at most, and where it ends."""
    value = 0
    for i, byte in enumerate(data[position : position + 5]):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, position + i + 1
    return 2**35, len(data)
