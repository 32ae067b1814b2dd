"""Archives: what was packed comes out; damage costs what it hits, no more, and is always seen."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latente import FileError
from latente.bottlenecks.frequencies import TOTAL, Frequencies
from latente.codec.archive import HEADER_LIMIT, pack, pack_header, unpack
from latente.codec.coder import CodeTable, RangeReader, RangeWriter

PAYLOADS = [bytes([i]) * (7 * i % 150) + b"end" for i in range(40)]
HEADER = {"fingerprint": "0123", "names": [f"s{i}/{i}.png" for i in range(40)]}
WHOLE = pack(HEADER, PAYLOADS)


def read(data: bytes) -> dict[int, bytes] | None:
    """The records that can be read, or None where the archive is refused in one sentence."""
    try:
        header, records = unpack(data, "x.latz")
        assert header["names"] == HEADER["names"]
        return dict(records)
    except FileError as error:
        told = str(error)
    assert "x.latz" in told
    assert "\n" not in told
    return None


def intact(found: dict[int, bytes]) -> bool:
    return all(PAYLOADS[number] == payload for number, payload in found.items())


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_what_is_packed_comes_out(payloads: list[bytes]) -> None:
    header, records = unpack(pack({"a": 1}, payloads), "x")
    assert header["a"] == 1
    assert list(records) == list(enumerate(payloads))


def test_a_record_costs_five_bytes() -> None:
    few, many = ([b"x" * 50] * n for n in (10, 1010))
    assert len(pack({}, many)) - len(pack({}, few)) <= 1000 * 55 + 20


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_byte_costs_one_record_at_most(place: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[place] ^= change
    found = read(bytes(data))
    assert found is not None
    assert intact(found)
    assert len(found) >= len(PAYLOADS) - 1


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE)))
def test_a_cut_costs_the_end(length: int) -> None:
    found = read(WHOLE[:length])
    header = len(pack_header({**HEADER, "count": 40, "longest": max(map(len, PAYLOADS))}))
    if found is None:
        assert length < header
        return
    assert intact(found)
    behind = header + sum(len(p) + 6 for p in PAYLOADS[: len(found) + 1])
    assert list(found) == list(range(len(found)))
    assert behind >= min(length, len(WHOLE) - header - 4)


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE)), st.integers(0, 60), st.binary(max_size=60))
def test_a_stretch_replaced_costs_what_it_held(start: int, length: int, filling: bytes) -> None:
    found = read(WHOLE[:start] + filling + WHOLE[start + length :])
    assert found is not None
    assert intact(found)
    touched = 2 + length // 8
    assert len(found) >= len(PAYLOADS) - touched


@given(st.binary(max_size=300))
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert read(data) is None
    assert read(WHOLE[:5] + data) is None


def test_both_headers_damaged_is_told() -> None:
    data = bytearray(WHOLE)
    data[20] ^= 1
    data[-20] ^= 1
    with pytest.raises(FileError, match="neither of its two headers"):
        unpack(bytes(data), "x.latz")


@pytest.mark.parametrize("count", [-1, 2**31, 1.5, "many", None, True])
def test_a_hostile_count_is_refused(count: object) -> None:
    with pytest.raises(FileError, match="damaged"):
        unpack(pack_header({"count": count, "longest": 1}), "x.latz")


def test_a_hostile_count_costs_nothing() -> None:
    _, records = unpack(pack_header({"count": 2**31 - 1, "longest": 2**31 - 1}) + b"x" * 99, "x")
    assert list(records) == []


def test_a_header_that_unpacks_to_too_much_is_refused() -> None:
    header = pack_header({"count": 0, "longest": 0, "names": ["a" * (HEADER_LIMIT + 1)]})
    with pytest.raises(FileError, match="damaged"):
        unpack(header, "x.latz")


def test_a_later_version_asks_for_an_upgrade() -> None:
    block = bytearray(pack_header({"count": 0, "longest": 0}))
    block[4] = 2
    block[9:13] = zlib.crc32(bytes(block[4:5] + block[13:])).to_bytes(4, "little")
    with pytest.raises(FileError, match="upgrade"):
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
