"""The archive: a ``.latz`` file, in which damage costs the records it hits and no others.

::

    header │ index │ record 0 │ record 1 │ … │ header again │ index again
    header, and each piece of the index:
             "LATZ", version, length (4), checksum (4), text, deflated
    text:    of the header JSON; of the index where each of 512 records begins, how long it is
             and what it is called
    record:  length (1-5 bytes), checksum of number, length and payload (4), payload

Everything carries its own number and a checksum of all of it, and says how long it is. So whatever
is whole is found, wherever damage has moved it: a record where the index says it is, or by a search
of the bytes that nothing else has. Where a piece of the index is lost in both places, the lengths
that the records themselves state are enough. Checksums begin with a salt of the archive's own, so
that a record of another archive is none of this one. Nothing is trusted before its checksum fits,
and nothing is allocated that is much larger than the file.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, pairwise, product
from itertools import count as counted
from typing import Any

from ..errors import FileError, ParameterError, printable
from ..storage.bounded import parse_json

MAGIC = b"LATZ"
VERSION = 2
FIXED = len(MAGIC) + 1 + 4 + 4
"""Bytes of a piece before its text."""
PER_PIECE = 512
"""Records that a piece of the index tells of."""
COUNT_LIMIT = 2**24
"""Records that an archive may have."""
NAME_LIMIT = 4096
"""Bytes of a record's name, the longest path of the systems there are."""
HEADER_LIMIT = 2**20
"""Bytes that a header may unpack to."""
PIECE_LIMIT = PER_PIECE * (NAME_LIMIT + 8) + 32
"""Bytes that a piece of the index may unpack to."""
INDEX_LIMIT = 2**26
"""Bytes that all of the index may unpack to."""
PAYLOAD_LIMIT = 2**31
WORD = 2**32
SPREAD = 0x9E3779B1
GATHER = pow(SPREAD, -1, WORD)
"""What a record's number is multiplied by in its checksum, so that neighbours differ in every byte
and no change of one byte turns a record into another; and how to get the number back."""
ALONE = 2**20
"""Places searched, times records missing, up to which one record found alone is believed; in a
longer search two must follow each other, since by chance one in 2**32 places looks like a given
record."""
EFFORT = 2**30
"""Bytes that a search may check, a try counting as at least `TRY`."""
TRY = 64
SIGNS = 16
"""Beginnings of pieces among which two damaged headers are looked for."""
MENDED, UNLIKE = 4096, 10
"""Bytes that two damaged headers may have, and in which they may differ, to be made into a whole
one by trying."""

Header = dict[str, Any]


class _Damaged(ValueError):
    """A piece that is not what was written."""


@dataclass(frozen=True)
class _Record:
    """A whole record in the bytes of an archive: its number, and where its parts are."""

    number: int
    position: int
    begin: int
    end: int


@dataclass(frozen=True)
class _Piece:
    """What a piece of the index tells: of records from `first` on, the first at `position`."""

    first: int
    position: int
    lengths: array[int]
    names: list[str]


@dataclass
class _Index:
    """All that both headers and indexes of an archive still tell.

    Parameters
    ----------
    pieces
        Of the index, by the number of their first record.
    whole
        Where whole pieces of either copy lie.
    """

    header: Header
    records: int
    pieces: dict[int, _Piece] = field(default_factory=dict)
    whole: list[tuple[int, int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        number: int = self.header["count"]
        return number

    def length(self, number: int) -> int | None:
        """Return how long a record's payload is, None where that is lost."""
        piece = self.pieces.get(number - number % PER_PIECE)
        return None if piece is None else piece.lengths[number - piece.first]

    def names(self) -> list[str | None] | None:
        """Return the records' names, None for those that are lost; None where they had none."""
        if not self.header["named"]:
            return None
        names: list[str | None] = [None] * self.count
        for piece in self.pieces.values():
            names[piece.first : piece.first + len(piece.names)] = piece.names
        return names


def pack(header: Header, payloads: Sequence[bytes], names: Sequence[str] | None = None) -> bytes:
    """Return an archive.

    Parameters
    ----------
    header
        JSON values; what this module needs to read the archive is added.
    payloads
        One for each record.
    names
        One for each record: texts of up to 4,096 bytes.

    Raises
    ------
    ParameterError
        If an archive cannot hold these: a name is too long, or there are too many of them.
    """
    if len(payloads) > COUNT_LIMIT:
        raise ParameterError(f"an archive holds up to {COUNT_LIMIT:,} samples; make several")
    longest = max(map(len, payloads), default=0)
    if longest >= PAYLOAD_LIMIT:
        raise ParameterError(f"a code of {longest:,} bytes is too long for an archive")
    encoded = None if names is None else encode_names(names, len(payloads))
    salt = _salt(header, [*payloads, *(encoded or ())])
    records = [_record(i, payload, salt) for i, payload in enumerate(payloads)]
    texts = list(_index_texts(records, payloads, encoded))
    if sum(map(len, texts)) > INDEX_LIMIT:
        raise ParameterError(f"the names take more than {INDEX_LIMIT:,} bytes; make several")
    index = b"".join(_pack_piece(text, salt) for text in texts)
    described = {
        **header,
        "count": len(payloads),
        "named": names is not None,
        "longest": longest,
        "salt": salt,
        "index": len(index),
    }
    front = pack_header(described) + index
    return b"".join([front, *records, front])


def pack_header(header: Header) -> bytes:
    """Return a header's bytes.

    Raises
    ------
    ParameterError
        If it is too long.
    """
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > HEADER_LIMIT:
        raise ParameterError(f"what an archive says of its model is over {HEADER_LIMIT:,} bytes")
    return _pack_piece(text, 0)


def unpack(data: bytes, name: str) -> tuple[Header, Iterator[tuple[int, bytes]]]:
    """Return an archive's header, and its whole records: number and payload of each, in order.

    Parameters
    ----------
    data
        The archive.
    name
        What it is called in errors.

    Returns
    -------
    tuple
        The header holds what was packed, "count", the number of records, and "names": those of
        all records, None for each that is lost; None where they had none.

    Raises
    ------
    FileError
        If it is no archive, comes from another version, or neither header can be read.
    """
    if not data:
        raise FileError(f"{name} is empty")
    index = _read_index(data, name)
    return {**index.header, "names": index.names()}, _records(data, index)


def encode_names(names: Sequence[str], count: int) -> list[bytes]:
    """Return the names of so many samples as bytes.

    Raises
    ------
    ParameterError
        If there are more or fewer of them, or an archive cannot hold one.
    """
    if len(names) != count:
        raise ParameterError(f"names: {len(names):,} are given for {count:,} samples")
    encoded = []
    for name in names:
        if not isinstance(name, str) or "\0" in name:
            raise ParameterError(f"names: {name!a:.80} is no text, or has a NUL in it")
        encoded.append(name.encode("utf-8", "surrogatepass"))
        if len(encoded[-1]) > NAME_LIMIT:
            raise ParameterError(f"names: {printable(name, 40)} is over {NAME_LIMIT:,} bytes long")
    return encoded


def _salt(header: Header, contents: Sequence[bytes]) -> int:
    """Return where the checksums of an archive begin: of its contents, and safe against zeros."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for content in contents:
        digest.update(_word(len(content)))
        digest.update(content)
    seed = digest.digest()
    salts = (hashlib.sha256(seed + bytes([i])).digest()[:4] for i in counted())
    return next(salt for each in salts if _is_salt(salt := int.from_bytes(each, "little")))


def _is_salt(salt: int) -> bool:
    """Whether zeros stand for no record: for an empty one of a number that no archive reaches."""
    zeros = _read(bytes(5), 0, 0, salt)
    return zeros is not None and zeros.number > COUNT_LIMIT


def _index_texts(
    records: Sequence[bytes], payloads: Sequence[bytes], names: Sequence[bytes] | None
) -> Iterator[bytes]:
    """Yield what each piece of the index says."""
    position = 0
    for first in range(0, len(records), PER_PIECE):
        last = first + PER_PIECE
        lengths = [len(payload) for payload in payloads[first:last]]
        text = b"".join(map(_varint, [first, position, *lengths]))
        yield text + b"".join(each + b"\0" for each in (names or ())[first:last])
        position += sum(map(len, records[first:last]))


def _pack_piece(text: bytes, salt: int) -> bytes:
    """Return a piece of a header's or an index's text."""
    deflated = zlib.compress(text, 9)
    checksum = _sum_of_piece(bytes([VERSION]), deflated, salt)
    return b"".join([MAGIC, bytes([VERSION]), _word(len(deflated)), _word(checksum), deflated])


def _sum_of_piece(version: bytes, deflated: bytes, salt: int) -> int:
    return zlib.crc32(deflated, zlib.crc32(version, salt))


def _word(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _read_index(data: bytes, name: str) -> _Index:
    """Return what the headers and indexes of an archive tell, wherever in it they are."""
    headers = list(_pieces(data, 0, name)) or list(_mended(data))
    for _, _, text in headers[:2]:
        try:
            index = _parsed_header(_inflated(text, HEADER_LIMIT))
        except _Damaged:
            continue
        index.records = FIXED + len(text) + index.header["index"]
        index.whole = [(begin, end) for begin, end, _ in headers]
        _read_pieces(data, index, name)
        return index
    if MAGIC not in data:
        raise FileError(f"{name} is no archive of latente")
    raise FileError(f"{name} is damaged: neither of its two headers can be read")


def _read_pieces(data: bytes, index: _Index, name: str) -> None:
    """Add what the pieces of the index tell, from whichever copy."""
    left = 2 * INDEX_LIMIT
    for begin, end, text in _pieces(data, index.header["salt"], name):
        limit = min(PIECE_LIMIT, left)
        try:
            told = _inflated(text, limit)
            limit = len(told)
            piece = _parsed_piece(told, index)
        except _Damaged:
            continue
        finally:
            left -= limit
        index.whole.append((begin, end))
        index.pieces.setdefault(piece.first, piece)


def _pieces(data: bytes, salt: int, name: str) -> Iterator[tuple[int, int, bytes]]:
    """Yield begin, end and deflated text of each piece whose checksum fits."""
    effort = EFFORT
    position = data.find(MAGIC)
    while position >= 0 and effort > 0:
        begin = position + FIXED
        fixed = data[position:begin]
        length = int.from_bytes(fixed[5:9], "little")
        end = begin + length
        position = data.find(MAGIC, position + 1)
        if len(fixed) < FIXED or end > len(data):
            continue
        text = data[begin:end]
        effort -= TRY + length
        if _word(_sum_of_piece(fixed[4:5], text, salt)) != fixed[9:13]:
            continue
        if fixed[4] != VERSION:
            newer = fixed[4] > VERSION
            raise FileError(
                f"{name} was written by a later latente: upgrade it to read the archive"
                if newer
                else f"{name} is of a form that latente had before its first release, in which "
                "damage could pass unseen: compress the pictures again"
            )
        yield begin - FIXED, end, text
        position = data.find(MAGIC, end)


def _mended(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield a header made of two damaged ones, as `_pieces` would: each byte is right in one."""
    signs = list(islice(_signs(data), SIGNS))
    for first, second in combinations(signs, 2):
        length = int.from_bytes(data[first + 5 : first + 9], "little")
        ours, theirs = (data[sign : sign + FIXED + length] for sign in (first, second))
        if len(theirs) < FIXED + length or length > MENDED:
            continue
        unlike = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1]
        if len(unlike) > UNLIKE:
            continue
        for chosen in product((ours, theirs), repeat=len(unlike)):
            mixed = bytearray(ours)
            for i, copy in zip(unlike, chosen, strict=True):
                mixed[i] = copy[i]
            text = bytes(mixed[FIXED:])
            checksum = _sum_of_piece(bytes([VERSION]), text, 0)
            if mixed[4] == VERSION and _word(checksum) == mixed[9:13]:
                yield first, first + len(mixed), text
                return


def _signs(data: bytes) -> Iterator[int]:
    """Yield where pieces may begin."""
    position = data.find(MAGIC)
    while position >= 0:
        yield position
        position = data.find(MAGIC, position + 1)


def _inflated(text: bytes, limit: int) -> bytes:
    """Return what a text was deflated from, of so many bytes at most."""
    unpacking = zlib.decompressobj()
    try:
        told = unpacking.decompress(text, max(limit, 1))
    except zlib.error as error:
        raise _Damaged("it cannot be inflated") from error
    if not unpacking.eof:
        raise _Damaged("it is too long")
    return told


def _parsed_header(text: bytes) -> _Index:
    """Return the JSON of a header, checked as far as this module uses it."""
    try:
        header = parse_json(text.decode())
    except ValueError as error:
        raise _Damaged("it is no JSON") from error
    bounds = {
        "count": COUNT_LIMIT + 1,
        "longest": PAYLOAD_LIMIT,
        "salt": WORD,
        "index": 2 * INDEX_LIMIT,
    }
    if not isinstance(header, dict) or type(header.get("named")) is not bool:
        raise _Damaged("it is of another form")
    for key, bound in bounds.items():
        if type(header.get(key)) is not int or not 0 <= header[key] < bound:
            raise _Damaged(f"its {key} cannot be")
    if not _is_salt(header["salt"]):
        raise _Damaged("its salt cannot be")
    return _Index(header, records=0)


def _parsed_piece(text: bytes, index: _Index) -> _Piece:
    """Return what a piece of the index says."""
    first, at = _read_varint(text, 0)
    position, at = _read_varint(text, at)
    size = min(index.count - first, PER_PIECE)
    if size < 1 or first % PER_PIECE:
        raise _Damaged("it tells of records that are not there")
    lengths = array("l")
    for _ in range(size):
        length, at = _read_varint(text, at)
        if length > index.header["longest"]:
            raise _Damaged("a length cannot be")
        lengths.append(length)
    names = text[at:].split(b"\0", size)
    if len(names) != (size + 1 if index.header["named"] else 1) or names.pop():
        raise _Damaged("it has another number of names")
    try:
        return _Piece(first, position, lengths, [n.decode("utf-8", "surrogatepass") for n in names])
    except UnicodeDecodeError as error:
        raise _Damaged("a name is no text") from error


def _record(number: int, payload: bytes, salt: int) -> bytes:
    length = _varint(len(payload))
    checksum = (_sum_of_record(length, payload, salt) + number * SPREAD) % WORD
    return length + _word(checksum) + payload


def _sum_of_record(length: bytes, payload: bytes, salt: int) -> int:
    return zlib.crc32(payload, zlib.crc32(length, salt))


def _read(data: bytes, position: int, longest: int, salt: int) -> _Record | None:
    """Return the record at a position, if its checksum is that of one of any number."""
    length, at = _read_varint(data, position)
    begin = at + 4
    end = begin + length
    if length > longest or end > len(data):
        return None
    checksum = int.from_bytes(data[at:begin], "little")
    own = _sum_of_record(data[position:at], data[begin:end], salt)
    return _Record((checksum - own) * GATHER % WORD, position, begin, end)


def _records(data: bytes, index: _Index) -> Iterator[tuple[int, bytes]]:
    """Yield the whole records: those in their places, then in order with those found elsewhere."""
    found = {record.number: record for record in _in_place(data, index)}
    if len(found) < index.count:
        for record in _Search(data, index, found).run():
            found[record.number] = record
    for number in sorted(found):
        yield number, data[found[number].begin : found[number].end]


def _in_place(data: bytes, index: _Index) -> Iterator[_Record]:
    """Yield the records that are where the index says they are."""
    longest, salt = index.header["longest"], index.header["salt"]
    for piece in index.pieces.values():
        position = index.records + piece.position
        for number, length in enumerate(piece.lengths, piece.first):
            record = _read(data, position, longest, salt) if position < len(data) else None
            if record and record.number == number and record.end - record.begin == length:
                yield record
            position += len(_varint(length)) + 4 + length


class _Search:
    """Looks for missing records in the bytes that belong to nothing whole."""

    def __init__(self, data: bytes, index: _Index, found: dict[int, _Record]) -> None:
        self.data, self.index, self.found = data, index, found
        self.tries = 0

    def run(self) -> list[_Record]:
        """Return the records found, each of them once."""
        chains = sorted(self._chains(), key=len)
        # Of two that have one number, the one in the longer chain comes last, and stays.
        sure = {record.number: record for chain in chains if len(chain) > 1 for record in chain}
        alone = {chain[0].number: chain[0] for chain in chains if len(chain) == 1}
        missing = self.index.count - len(self.found) - len(sure)
        return list(((alone if self.tries * missing <= ALONE else {}) | sure).values())

    def _chains(self) -> Iterator[list[_Record]]:
        """Yield stretches of records that follow each other."""
        effort = EFFORT
        for position, stop in self._gaps():
            while position < stop and effort > 0:
                chain = self._chain(position, stop)
                if chain:
                    yield chain
                    position = chain[-1].end
                    continue
                length, _ = _read_varint(self.data, position)
                effort -= TRY + (length if length <= self.index.header["longest"] else 0)
                self.tries += 1
                position += 1

    def _gaps(self) -> list[tuple[int, int]]:
        """Return the stretches that no whole piece and no record found has."""
        taken = [(record.position, record.end) for record in self.found.values()]
        edges = sorted([(0, 0), *taken, *self.index.whole, (len(self.data), len(self.data))])
        return [(end, begin) for (_, end), (begin, _) in pairwise(edges) if begin > end]

    def _chain(self, position: int, stop: int) -> list[_Record]:
        """Return the missing records that follow each other from a position on."""
        chain: list[_Record] = []
        while position < stop:
            record = self._missing(position, stop)
            if record is None or (chain and record.number != chain[-1].number + 1):
                break
            chain.append(record)
            position = record.end
        return chain

    def _missing(self, position: int, stop: int) -> _Record | None:
        """Return the record at a position if it is one of those that are missing."""
        header = self.index.header
        record = _read(self.data, position, min(header["longest"], stop - position), header["salt"])
        if record is None or record.end > stop or record.number >= self.index.count:
            return None
        stated = self.index.length(record.number)
        if record.number in self.found or stated not in (None, record.end - record.begin):
            return None
        return record


def _varint(value: int) -> bytes:
    """Return a whole number from 0 in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and where it ends; one out of any range if it is none."""
    value = 0
    for i, byte in enumerate(data[position : position + 6]):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            if byte == 0 and i:  # a longer way to write a number than the one there is
                break
            return value, position + i + 1
    return 2**50, len(data)
