"""Archives: what was packed comes out; damage costs what it hits, no more, and is always seen."""

from __future__ import annotations

import random
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latente import FileError, ParameterError
from latente.bottlenecks.frequencies import TOTAL, Frequencies
from latente.codec import archive
from latente.codec.archive import PER_PIECE, pack, pack_header, unpack
from latente.codec.coder import CodeTable, RangeReader, RangeWriter

PAYLOADS = [bytes([i]) * (7 * i % 150) + b"end" * (i % 7 > 0) for i in range(40)]
NAMES = [f"s{i}/{i}.png" for i in range(40)]
HEADER = {"fingerprint": "0123"}
WHOLE = pack(HEADER, PAYLOADS, NAMES)
KINDS = ["bits", "run", "block", "cut", "moved", "copied", "inserted", "dropped"]

Stretch = tuple[int, int]


def read(data: bytes) -> dict[int, bytes] | None:
    """The records that can be read, or None where the archive is refused in one sentence."""
    try:
        header, records = unpack(data, "x.latz")
        assert header["fingerprint"] == "0123"
        assert all(name in (None, own) for name, own in zip(header["names"], NAMES, strict=True))
        return dict(records)
    except FileError as error:
        told = str(error)
    assert "x.latz" in told
    assert "\n" not in told
    return None


def intact(found: dict[int, bytes]) -> bool:
    return all(PAYLOADS[number] == payload for number, payload in found.items())


def places(whole: bytes, payloads: Sequence[bytes]) -> list[Stretch]:
    """Where the records of an archive begin and end."""
    sizes = [
        len(payload) + 5 + (len(payload) > 127) + (len(payload) > 2**14) for payload in payloads
    ]
    front = (len(whole) - sum(sizes)) // 2
    ends = [front, *(front + total for total in accumulate(sizes))]
    return list(pairwise(ends))


def untouched(whole: bytes, payloads: Sequence[bytes], kept: Sequence[Stretch]) -> set[int]:
    """The records that lie within one of the stretches that damage has kept together."""
    found = places(whole, payloads)
    return {
        i for i, (a, b) in enumerate(found) if any(begin <= a and b <= end for begin, end in kept)
    }


def damaged(whole: bytes, kind: str, chance: random.Random) -> tuple[bytes, list[Stretch]]:
    """Return an archive with random damage, and the stretches of the whole one that are kept."""
    size = len(whole)
    data = bytearray(whole)
    n = chance.randint(1, min(6000, size // 2))
    a = chance.randrange(size - n)
    if kind == "bits":
        hit = sorted({chance.randrange(size) for _ in range(chance.choice([1, 1, 2, 5, 20]))})
        for place in hit:
            data[place] ^= 1 << chance.randrange(8)
        return bytes(data), [(i + 1, j) for i, j in pairwise([-1, *hit, size])]
    if kind == "run":
        data[a : a + n] = chance.choice([bytes(n), b"\xff" * n, chance.randbytes(n)])
    elif kind == "block":
        a = chance.randrange(-(-size // 4096)) * 4096
        n = min(4096, size - a)
        data[a : a + n] = bytes(n)
    elif kind == "copied":
        begin = chance.randrange(size - n)
        data[a : a + n] = whole[begin : begin + n]
    elif kind == "cut":
        return (whole[:a], [(0, a)]) if chance.random() < 0.7 else (whole[a:], [(a, size)])
    elif kind == "inserted":
        return whole[:a] + chance.randbytes(n % 500) + whole[a:], [(0, a), (a, size)]
    elif kind == "dropped":
        del data[a : a + n]
    elif kind == "moved":
        rest = whole[:a] + whole[a + n :]
        to = chance.randrange(len(rest) + 1)
        begin, end = (to, a + n) if to < a else (a, to + n)
        middle = a if to < a else a + n
        moved = rest[:to] + whole[a : a + n] + rest[to:]
        return moved, [(0, begin), (begin, middle), (middle, end), (end, size), (a, a + n)]
    return bytes(data), [(0, a), (a + n, size)]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_packed_comes_out(payloads: list[bytes]) -> None:
    header, records = unpack(pack({"a": 1}, payloads), "x")
    assert (header["a"], header["count"], header["names"]) == (1, len(payloads), None)
    assert list(records) == list(enumerate(payloads))


@settings(max_examples=30)
@given(st.integers(0, 3 * PER_PIECE), st.text(st.characters(exclude_characters="\0")))
def test_names_come_out(count: int, name: str) -> None:
    names = [f"{name}{i}" for i in range(count)]
    assert unpack(pack({}, [b"x"] * count, names), "x")[0]["names"] == names


@pytest.mark.parametrize("names", [["a"], ["a", "b\0c"], ["a", "b" * 4097], ["a", None]])
def test_names_that_would_not_come_back_are_refused(names: list[str]) -> None:
    with pytest.raises(ParameterError, match="names"):
        pack({}, [b"x", b"y"], names)


def test_a_record_costs_few_bytes() -> None:
    few, many = ([b"x" * 50] * n for n in (512, 5120))
    assert len(pack({}, many)) - len(pack({}, few)) <= (5120 - 512) * 55.3
    chance = random.Random(0)
    payloads = [chance.randbytes(int(chance.gauss(40, 10))) for _ in range(4096)]
    assert len(pack({}, payloads)) - sum(map(len, payloads)) < 6.8 * 4096


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_byte_costs_one_record_at_most(place: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[place] ^= change
    found = read(bytes(data))
    assert found is not None
    assert intact(found)
    assert len(found) >= len(PAYLOADS) - 1


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x80", b"\x80\0", b"\1", b"LATZ"])
def test_no_run_of_a_few_bytes_is_a_record(filling: bytes) -> None:
    found = places(WHOLE, PAYLOADS)
    for number, (begin, end) in enumerate(found):
        for size in (5, 6, 8, 16, end - begin):
            if size <= end - begin:
                data = WHOLE[:begin] + (filling * size)[:size] + WHOLE[begin + size :]
                records = read(data)
                assert records is not None
                assert intact(records)
                assert set(records) >= set(range(40)) - {number}


def test_a_record_of_another_archive_is_none_of_this_one() -> None:
    other = [bytes([255 - byte for byte in payload]) for payload in PAYLOADS]
    theirs = pack(HEADER, other, NAMES)
    begin, end = places(WHOLE, PAYLOADS)[11]
    start = places(theirs, other)[11][0]
    found = read(WHOLE[:begin] + theirs[start : start + end - begin] + WHOLE[end:])
    assert found is not None
    assert intact(found)
    assert set(range(40)) - set(found) == {11}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_costs_the_records_it_hits_and_no_others(kind: str) -> None:
    chance = random.Random(f"{kind}")
    payloads = [chance.randbytes(int(abs(chance.gauss(40, 20)))) for _ in range(1200)]
    payloads[600:640] = [chance.randbytes(chance.randint(1000, 3000)) for _ in range(40)]
    names = [f"photos/{i:04}.png" for i in range(len(payloads))]
    whole = pack(HEADER, payloads, names)
    for _ in range(12):
        broken, kept = damaged(whole, kind, chance)
        try:
            records = dict(unpack(broken, "x.latz")[1])
        except FileError:
            assert kind == "cut"  # of it, less than a header is left
            assert not untouched(whole, payloads, kept)
            continue
        assert all(payloads[number] == payload for number, payload in records.items())
        assert not untouched(whole, payloads, kept) - set(records)


@settings(max_examples=100)
@given(st.sampled_from(KINDS), st.integers(0, 2**32))
def test_damage_to_a_small_archive_is_never_silent(kind: str, seed: int) -> None:
    broken, _ = damaged(WHOLE, kind, random.Random(seed))
    found = read(broken)
    assert found is None or intact(found)


def test_where_both_indexes_are_damaged_the_lengths_stated_are_enough() -> None:
    payloads = [b"%d" % i for i in range(2 * PER_PIECE)]
    whole = pack({}, payloads, [f"n{i}" for i in range(2 * PER_PIECE)])
    data, last = bytearray(whole), places(whole, payloads)[0][0] - 20
    for place in (last, len(whole) - 20):
        data[place : place + 8] = bytes(8)
    header, records = unpack(bytes(data), "x")
    assert dict(records) == dict(enumerate(payloads))
    assert header["names"][:PER_PIECE] == [f"n{i}" for i in range(PER_PIECE)]
    assert header["names"][PER_PIECE:] == [None] * PER_PIECE


@given(st.binary(max_size=300))
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert read(data) is None
    assert read(WHOLE[:5] + data) is None


def test_both_headers_damaged_is_told() -> None:
    front = places(WHOLE, PAYLOADS)[0][0]
    data = bytearray(WHOLE)
    for place in (14, len(WHOLE) - front + 14):
        data[place : place + 40] = bytes(40)
    with pytest.raises(FileError, match="neither of its two headers"):
        unpack(bytes(data), "x.latz")


def test_two_damaged_headers_make_a_whole_one() -> None:
    front = places(WHOLE, PAYLOADS)[0][0]
    data = bytearray(WHOLE)
    for place in (15, 40, 60, len(WHOLE) - front + 20, len(WHOLE) - front + 50):
        data[place] ^= 4
    found = read(bytes(data))
    assert found is not None
    assert found == dict(enumerate(PAYLOADS))


GOOD = {"count": 0, "named": False, "longest": 0, "salt": 0, "index": 0}
SALT = next(salt for salt in range(100) if archive._is_salt(salt))


@pytest.mark.parametrize("count", [-1, 2**30, 1.5, "many", None, True])
def test_a_hostile_count_is_refused(count: object) -> None:
    with pytest.raises(FileError, match="damaged"):
        unpack(pack_header({**GOOD, "salt": SALT, "count": count}), "x.latz")


def piece(text: bytes) -> bytes:
    return archive._pack_piece(text, SALT)


MOST = {**GOOD, "salt": SALT, "count": 2**24, "longest": 2**31 - 1, "index": 2**27 - 1}
HOSTILE: dict[str, Callable[[], bytes]] = {
    "many lists": lambda: archive._pack_piece(b"[" + b"[]," * 300_000 + b"0]", 0) * 9,
    "a bomb": lambda: archive._pack_piece(b"[" + b"[]," * 2**23 + b"0]", 0),
    "nested": lambda: archive._pack_piece(b"[" * 100_000 + b"]" * 100_000, 0),
    "a count": lambda: pack_header(MOST) + b"x" * 99,
    "long records announced": lambda: pack_header(MOST) + b"".join(
        piece(archive._varint(PER_PIECE * i) + b"\0" + b"\xff\xff\xff\xff\7" * PER_PIECE)
        for i in range(100)
    ),
    "bombs of names": lambda: (
        pack_header({**MOST, "named": True}) + piece(b"\0\0" + bytes(2**21)) * 50
    ),
    "pieces within pieces": lambda: (
        pack_header(MOST) + b"".join(b"LATZ\2" + (9 * i).to_bytes(4, "little") for i in range(9000))
    ),
    "headers to mend": lambda: b"".join(
        b"LATZ\2" + (4000).to_bytes(4, "little") + bytes([i]) * 4 + bytes(4000) for i in range(40)
    ),
    "records within records": lambda: pack_header(MOST) + (b"\xff\x7f" * 8 + b"LATZ") * 2_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_take_little_time_and_memory(name: str) -> None:
    data = HOSTILE[name]()
    assert len(data) < 200_000
    tracemalloc.start()
    begun = time.process_time()
    try:
        _, records = unpack(data, "x.latz")
        assert sum(1 for _ in records) == 0
    except FileError as error:
        assert "damaged" in str(error)  # noqa: PT017
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 20
    assert peak < 300e6


def test_another_version_is_told() -> None:
    for version, told in ((1, "compress the pictures again"), (3, "upgrade")):
        block = bytearray(pack_header(GOOD))
        block[4] = version
        block[9:13] = zlib.crc32(bytes(block[4:5] + block[13:])).to_bytes(4, "little")
        with pytest.raises(FileError, match=told):
            unpack(bytes(block), "x.latz")


@cache
def table() -> CodeTable:
    pytest.importorskip("constriction")
    masses = 1 / (1.0 + (np.arange(12)[None] - np.array([[2], [5], [8]])) ** 2)
    return CodeTable(Frequencies.rounded(np.array([-2, -5, -8]), masses), numbers=6)


@settings(max_examples=200)
@given(st.lists(st.integers(-12, 12) | st.integers(-(2**15), 2**15 - 1), min_size=6, max_size=6))
def test_every_code_comes_back(values: list[int]) -> None:
    code, writer = np.array(values, np.int32), RangeWriter()
    table().write(code, writer)
    assert table().read(RangeReader(writer.finish())).tolist() == values


def test_a_code_takes_the_bits_that_the_tables_promise() -> None:
    rng = np.random.default_rng(0)
    counts = table().frequencies.counts
    promised = taken = 0.0
    for _ in range(300):
        drawn = [rng.choice(11, p=row[:-1] / row[:-1].sum(), size=2) for row in counts]
        code = (np.array(drawn) + table().frequencies.lowest[:, None]).ravel().astype(np.int32)
        writer = RangeWriter()
        table().write(code, writer)
        taken += 8 * len(writer.finish())
        promised -= sum(np.log2(row[d] / TOTAL).sum() for row, d in zip(counts, drawn, strict=True))
    assert promised <= taken < promised + 300 * 8


def test_the_bytes_are_those_of_every_machine() -> None:
    """Should this fail, constriction codes otherwise than it did: old archives cannot be read."""
    written = []
    for values in ([-1, 0, 0, 0, 0, 0], [3, -2, 300, 1, -9, 0]):
        writer = RangeWriter()
        table().write(np.array(values, np.int32), writer)
        written.append(writer.finish().hex())
    assert written == GOLDEN


GOLDEN = ["287f", "e6a74c3deb216a"]


@given(st.binary(max_size=40))
def test_any_bytes_are_a_code_or_an_error(data: bytes) -> None:
    try:
        code = table().read(RangeReader(data))
    except ValueError:
        return
    assert code.shape == (6,)
    assert np.abs(code).max() <= 2**15
