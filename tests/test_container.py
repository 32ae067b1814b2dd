"""The file of tensors: exact both ways, and nothing but FileError from a bad one."""

from __future__ import annotations

import errno
import json
import os
import random
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latente import FileError, __version__
from latente.storage.tensors import HEADER_LIMIT, VALUES_LIMIT, read_tensors, write_tensors

KIND = "latente model"
META = {"parts": [{"name": "dense", "hidden": [8, 4]}], "seed": 3, "rate": 0.001}


def example() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 3, generator=generator)
    return {
        "weight": weight,
        "transposed": weight.T,
        "row": weight[1],
        "again": weight,
        "strided": torch.arange(10)[::3],
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": weight.bfloat16(),
        "float16": weight.half(),
        "mask": torch.tensor([True, False, True]),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "none": torch.empty(0, 5),
        "expanded": torch.ones(1, 3).expand(2, 3),
        "one": torch.arange(9)[4:5].as_strided((1,), (0,)),
        "column": torch.arange(6).reshape(1, 6).T[2:],
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


def write(path: Path, **changes: Any) -> None:
    write_tensors(path, example(), META, **({"kind": KIND, "format": 1} | changes))


def read(path: Any, newest: int = 1) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    return read_tensors(path, kind=KIND, newest_format=newest)


def craft(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def envelope(**changes: Any) -> str:
    whole = {"kind": KIND, "format": 1, "version": "0.1.0", "meta": {}} | changes
    return json.dumps({key: value for key, value in whole.items() if value is not ...})


def described(text: str | None = None, **entries: Any) -> dict[str, Any]:
    return {"__metadata__": {"latente": envelope() if text is None else text}, **entries}


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors")
    tensors, meta = read(tmp_path / "m.safetensors")
    assert meta == META
    assert tensors.keys() == example().keys()
    for name, tensor in example().items():
        assert tensors[name].dtype == tensor.dtype, name
        assert torch.equal(tensors[name], tensor), name
        assert not tensors[name].requires_grad
        assert tensors[name].is_contiguous()


def test_tensors_read_are_their_own(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write(path)
    before = path.read_bytes()
    tensors, _ = read(path)
    tensors["weight"].zero_()
    assert torch.equal(tensors["again"], example()["weight"])
    path.write_bytes(b"")
    assert torch.equal(tensors["half"], example()["half"])
    path.write_bytes(before)
    assert torch.equal(read(path)[0]["weight"], example()["weight"])


def test_others_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write(path)
    theirs = safetensors.torch.load_file(path)
    ours, _ = read(path)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    with safetensors.safe_open(path, "pt") as file:
        text = file.metadata()["latente"]
    assert json.loads(text) == {"kind": KIND, "format": 1, "version": __version__, "meta": META}


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_without_tensors(tmp_path: Path) -> None:
    write_tensors(tmp_path / "m", {}, META, kind=KIND, format=1)
    assert read(tmp_path / "m") == ({}, META)


def test_writing_refuses_what_reading_would(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(FileError, match="too deep"):
        write_tensors(tmp_path / "m", {}, {"a": deep}, kind=KIND, format=1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_tensors(tmp_path / "m", {}, {"a": float("nan")}, kind=KIND, format=1)
    with pytest.raises(FileError, match=r"what describes it takes 10\.\d MB and may take 10 MB"):
        write_tensors(tmp_path / "m", {}, {"a": "x" * HEADER_LIMIT}, kind=KIND, format=1)
    with pytest.raises(TypeError, match=r"a is of .*complex128"):
        write_tensors(
            tmp_path / "m", {"a": torch.zeros(1, dtype=torch.complex128)}, {}, kind=KIND, format=1
        )
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_while_the_tensors_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensor: torch.Tensor) -> memoryview:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    monkeypatch.setattr("latente.storage.tensors._bytes", full)
    with pytest.raises(FileError, match=r"cannot write .*/m: No space left on device$"):
        write(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]
    assert (tmp_path / "m").read_bytes() == before


def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write(tmp_path / "m")
    (tmp_path / "other").touch()
    assert (tmp_path / "m").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_place_itself_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no file .*nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(FileError, match="is a folder"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is no ordinary file"):
        read(tmp_path / "pipe")
    with pytest.raises(FileError, match="null"):
        read("a\0b")
    (tmp_path / "empty").touch()
    with pytest.raises(FileError, match="is empty"):
        read(tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"PK\x03\x04" + bytes(100),
        b"\x89PNG" * 50,
        b"1,2,3\n" * 50,
        b"\x80\x04}q" * 9,
        bytes(50),
    ],
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(FileError, match="no safetensors file"):
        read(tmp_path / "m")


def test_safetensors_files_of_others(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "m")
    with pytest.raises(FileError, match="is a safetensors file, but no latente model"):
        read(tmp_path / "m")
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "m", {"format": "pt"})
    with pytest.raises(FileError, match="is a safetensors file, but no latente model"):
        read(tmp_path / "m")


def test_another_kind_and_a_later_format(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write(path, kind="latente checkpoint")
    with pytest.raises(FileError, match="m is a latente checkpoint, not a latente model"):
        read(path)
    craft(path, described(envelope(format=3, version="9.1")))
    with pytest.raises(
        FileError, match=rf"by latente 9\.1; this is {__version__}: upgrade latente"
    ):
        read(path, newest=2)
    assert read(path, newest=3) == ({}, {})
    craft(path, described(envelope(format=2, version="\x1b[2J" * 10**5)))
    with pytest.raises(FileError) as error:
        read(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


HOSTILE = {
    "huge length": (b"{}", b"", 2**64 - 1, "not of latente: its header claims"),
    "long length": (b"{}", b"", HEADER_LIMIT, "cut short"),
    "large header": (b"{" + b" " * HEADER_LIMIT, b"", None, "its header claims"),
    "deep header": (b'{"a":' * 10_000, b"", None, "nested too deep"),
    "deep list": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", b"", None, "nested too deep"),
    "deep but legal": (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", b"", None, "nested too deep"),
    "not UTF-8": (b'{"\xff":1}', b"", None, "damaged"),
    "key twice": (b'{"a":{},"a":{}}', b"", None, "a key comes twice"),
    "NaN": (b'{"a":NaN}', b"", None, "NaN is no number"),
    "infinite": (b'{"a":1e999}', b"", None, "out of range"),
    "long number": (b'{"a":' + b"1" * 9_000_000 + b"}", b"", None, "out of range"),
    "metadata is a list": ({"__metadata__": []}, b"", None, "no latente model"),
    "metadata of numbers": ({"__metadata__": {"latente": 1}}, b"", None, "no latente model"),
    "description no JSON": (described("{"), b"", None, "its description is no JSON"),
    "description deep": (described("[" * 10_000), b"", None, "nested too deep"),
    "description NaN": (described('{"a": NaN}'), b"", None, "NaN is no number"),
    "description key twice": (described('{"a": 1, "a": 2}'), b"", None, "a key comes twice"),
    "description a list": (described("[]"), b"", None, "not of the right form"),
    "description a number": (described("5"), b"", None, "not of the right form"),
    "no kind": (described(envelope(kind=...)), b"", None, "not of the right form"),
    "kind a list": (described(envelope(kind=[])), b"", None, "not of the right form"),
    "format a text": (described(envelope(format="1")), b"", None, "not of the right form"),
    "format true": (described(envelope(format=True)), b"", None, "not of the right form"),
    "format 0": (described(envelope(format=0)), b"", None, "not of the right form"),
    "version a number": (described(envelope(version=1)), b"", None, "not of the right form"),
    "meta a list": (described(envelope(meta=[])), b"", None, "not of the right form"),
    "entry a number": (described(a=1), b"", None, "cannot be"),
    "entry incomplete": (described(a={"dtype": "F32"}), b"", None, "cannot be"),
    "unknown type": (described(a=entry(dtype="F4")), bytes(8), None, "cannot be"),
    "type a list": (described(a=entry(dtype=[])), bytes(8), None, "cannot be"),
    "negative shape": (described(a=entry(shape=[-2])), bytes(8), None, "cannot be"),
    "shape of floats": (described(a=entry(shape=[2.0])), bytes(8), None, "cannot be"),
    "absurd shape": (described(a=entry(shape=[2**62, 2**62])), bytes(8), None, "cannot be"),
    "absurd and empty": (
        described(a=entry(shape=[0, 2**63], data_offsets=[0, 0])), b"", None, "cannot be"
    ),
    "many dimensions": (described(a=entry(shape=[1] * 5000 + [2])), bytes(8), None, "cannot be"),
    "shape and place differ": (described(a=entry(shape=[3])), bytes(8), None, "cannot be"),
    "offsets reversed": (described(a=entry(data_offsets=[8, 0])), bytes(8), None, "cannot be"),
    "three offsets": (described(a=entry(data_offsets=[0, 8, 9])), bytes(8), None, "cannot be"),
    "overlap": (described(a=entry(), b=entry()), bytes(8), None, "overlap or leave gaps"),
    "gap": (described(a=entry(data_offsets=[8, 16])), bytes(16), None, "overlap or leave gaps"),
    "beyond the end": (described(a=entry()), bytes(5), None, "cut short: 3 bytes are missing"),
    "vast": (
        described(a=entry(shape=[2**45], data_offsets=[0, 2**47])), bytes(8), None, "cut short"
    ),
    "more than told": (described(a=entry()), bytes(9), None, "1 bytes belong to no tensor"),
    "truth of 2": (described(a=entry(dtype="BOOL", shape=[8])), b"\2" * 8, None, "truth value"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once_and_in_little_memory(tmp_path: Path, name: str) -> None:
    header, data, length, message = HOSTILE[name]
    path = craft(tmp_path / "m", header, data, length)
    tracemalloc.start()
    begun = time.perf_counter()
    try:
        with pytest.raises(FileError, match=message) as error:
            read(path)
        seconds, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))
    assert str(path) in str(error.value)
    assert seconds < 30
    assert peak < 500e6


@pytest.mark.parametrize("filling", ["[],", "{},", '{"a":0},', "0,", '"ab",', "[[[]]],"])
def test_the_costliest_description_stays_affordable(tmp_path: Path, filling: str) -> None:
    fill = envelope(meta={"a": "@"}).replace
    count = (VALUES_LIMIT - 10) // sum(map(filling.count, "[{,"))
    text = fill('"@"', "[" + (filling * count)[:-1] + "]")
    path = craft(tmp_path / "m", described(text))
    begun = time.perf_counter()
    assert len(read(path)[1]["a"]) == count
    assert time.perf_counter() - begun < 30
    craft(path, described(fill('"@"', "[" + filling * (count + 10) + "0]")))
    with pytest.raises(FileError, match="more than 1,000,000 values"):
        read(path)


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    write(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for size in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(FileError, match="cut short" if size else "is empty"):
            read(tmp_path / "cut")


def survive(path: Path, content: bytes) -> bool:
    """Read a damaged file: it may be told or, where only numbers changed, go unnoticed."""
    path.write_bytes(content)
    try:
        tensors, meta = read(path)
    except FileError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return False
    assert isinstance(meta, dict)
    assert all(tensor.numel() < 10_000 for tensor in tensors.values())
    return True


def test_flipped_bytes(tmp_path: Path) -> None:
    write(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    chance = random.Random(0)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 8])):
            damaged[chance.randrange(begin)] = chance.randrange(256)
        refused += not survive(tmp_path / "flipped", bytes(damaged))
    assert refused > 1000


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=4), st.sampled_from(["F32", "BOOL"])),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__", "latente"]),
                inner,
                max_size=4,
            ),
        ),
    ),
    data=st.binary(max_size=16),
)
def test_headers_of_any_json(tmp_path: Path, header: Any, data: bytes) -> None:
    text = json.dumps({"a": header, **described()}).encode()
    survive(tmp_path / "m", struct.pack("<Q", len(text)) + text + data)
    text = json.dumps({"__metadata__": header}).encode()
    assert not survive(tmp_path / "m", struct.pack("<Q", len(text)) + text + data)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    assert not survive(tmp_path / "m", content)
