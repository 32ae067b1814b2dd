"""What is kept on the disk: whole files, exact values, and nothing but FileError from bad ones."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latente import FileError, __version__
from latente.storage.bounded import VALUES_LIMIT
from latente.storage.files import atomic, staging
from latente.storage.packing import pack, unpack
from latente.storage.tensors import (
    BLANK,
    HEADER_LIMIT,
    kind_at,
    read_tensors,
    write_tensors,
)

# Whole files


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "codes.csv"
    with atomic(target) as place:
        assert place.parent == tmp_path
        assert place.suffix == ".csv"
        place.write_text("1,2")
        assert not target.exists()
    assert target.read_text() == "1,2"
    assert os.listdir(tmp_path) == ["codes.csv"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "codes.csv"
    target.write_text("old")

    def fail() -> None:
        with atomic(target) as place:
            place.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["codes.csv"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with atomic(tmp_path / "a") as place:
            place.write_text("x")
        (tmp_path / "b").write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(0o640)
    with atomic(target) as place:
        place.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text() == "new"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.txt"
    target.write_text("old")
    (tmp_path / "link.txt").symlink_to(target)
    with atomic(tmp_path / "link.txt") as place:
        place.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert target.read_text() == "new"


def test_names_as_long_as_can_be(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".txt", "x." + "y" * 250, "é" * 127):
        with atomic(tmp_path / name) as place:
            place.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def write_text(path: Path) -> None:
    with atomic(path) as place:
        place.write_text("x")


def test_each_obstacle_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot write .*a\.txt: there is no folder .*nowhere"):
        write_text(tmp_path / "nowhere" / "a.txt")
    with pytest.raises(FileError, match="it is a folder"):
        write_text(tmp_path)
    with pytest.raises(FileError, match="File name too long"):
        write_text(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="no ordinary file"):
        write_text(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="Not a directory"):
        write_text(tmp_path / "file" / "a.txt")
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_protected_places_are_respected(tmp_path: Path) -> None:
    protected = tmp_path / "a"
    protected.write_text("old")
    protected.chmod(0o444)
    with pytest.raises(FileError, match="write-protected"):
        write_text(protected)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FileError, match="Permission denied"):
            write_text(tmp_path / "b")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("step", ["os.replace", "os.fsync", "os.open"])
def test_a_full_disk_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "a").write_text("old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(step, full)
    with pytest.raises(FileError, match=r"cannot write .*: No space left on device"):
        write_text(tmp_path / "a")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_disk_that_is_really_full(tiny: Path) -> None:
    (tiny / "a").write_bytes(b"old")

    def fill() -> None:
        with atomic(tiny / "a") as place:
            place.write_bytes(b"x" * 2**20)

    with pytest.raises(FileError, match="No space left on device"):
        fill()
    assert os.listdir(tiny) == ["a"]
    assert (tiny / "a").read_bytes() == b"old"


KILLED = """
import os, sys
from pathlib import Path
from latente.storage.bounded import VALUES_LIMIT
from latente.storage.files import atomic, staging

with atomic(sys.argv[1]) as file, staging(sys.argv[2]) as stage:
    file.write_text("half")
    (stage / "a").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing ``m.bin`` and a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "m.bin"), str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def write_both(folder: Path) -> None:
    with atomic(folder / "m.bin") as file, staging(folder / "out") as stage:
        file.write_text("whole")
        (stage / "a").write_text("whole")


def test_what_a_killed_writer_left_is_cleared_by_the_next(
    tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(os.listdir(tmp_path)) == 2
    assert len(os.listdir(tmp_path / "out")) == 1
    write_both(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["m.bin", "out"]
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_writer_that_lives_is_left_alone(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    write_both(tmp_path)
    assert (tmp_path / "m.bin").read_text() == (tmp_path / "out" / "a").read_text() == "whole"
    writer.communicate()  # it goes on to its end
    assert writer.returncode == 0
    assert (tmp_path / "m.bin").read_text() == (tmp_path / "out" / "a").read_text() == "half"
    assert sorted(os.listdir(tmp_path)) == ["m.bin", "out"]
    assert os.listdir(tmp_path / "out") == ["a"]


def test_leftovers_of_other_files_stay(tmp_path: Path) -> None:
    with atomic(tmp_path / "b.txt") as other:
        other.write_text("b")
        copy = tmp_path / ".b-01234567.txt"
        shutil.copy(other, copy)
        write_text(tmp_path / "a.txt")
        assert set(tmp_path.iterdir()) == {copy, other, tmp_path / "a.txt"}
    assert set(tmp_path.iterdir()) == {copy, tmp_path / "b.txt", tmp_path / "a.txt"}


def test_files_arrive_together(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with staging(folder) as stage:
        (stage / "a").write_text("1")
        (stage / "b").write_text("2")
        assert not (folder / "a").exists()
    assert sorted(os.listdir(folder)) == ["a", "b"]


def fail_staging(folder: Path) -> None:
    with staging(folder) as stage:
        (stage / "a").write_text("new")
        raise ValueError


def test_a_failure_brings_none_of_the_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        fail_staging(tmp_path / "out")
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").write_text("old")
    with pytest.raises(ValueError):  # noqa: PT011
        fail_staging(tmp_path)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    with pytest.raises(FileError, match="it is no folder"):
        fail_staging(tmp_path / "a")


# Nested values

SEVERAL = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


def any_tensors() -> st.SearchStrategy[torch.Tensor]:
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda shape, dtype: torch.arange(math.prod(shape)).reshape(shape).to(dtype),
        shapes,
        st.sampled_from(SEVERAL),
    )


keys = st.one_of(st.text(max_size=5), st.sampled_from(["$tensor", "$", "__metadata__"]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), keys)
hashables = st.one_of(scalars, st.tuples(scalars, scalars))
anything = st.recursive(
    st.one_of(scalars, any_tensors()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal down to types, order of keys, NaN and the sign of zero."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(m, n) for m, n in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(m, n) for m, n in zip(a, b, strict=True))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and repr(a) == repr(b))
    return bool(a == b)


def through_json(value: Any) -> Any:
    structure, found = pack(value)
    return unpack(json.loads(json.dumps(structure, allow_nan=False)), found)


@given(anything)
def test_any_nesting_comes_back_exactly(value: Any) -> None:
    assert same(through_json(value), value)


@given(anything)
def test_every_tensor_has_a_name_of_its_own_that_a_file_can_hold(value: Any) -> None:
    _, found = pack(value)
    for name in found:
        assert name.isascii()
        assert name
        assert name != "__metadata__"


def test_plain_values_stay_readable() -> None:
    value = {"epoch": 3, "loss": 0.5, "names": ["a", None, True]}
    assert pack(value) == (value, {})
    structure, found = pack({"state": {0: {"step": torch.tensor(1.0)}}, "betas": (0.9, math.inf)})
    assert structure == {
        "state": {"$dict": [[0, {"step": {"$tensor": "state.0.step"}}]]},
        "betas": {"$tuple": [0.9, {"$float": "inf"}]},
    }
    assert list(found) == ["state.0.step"]


def test_a_long_history_is_packed_by_columns() -> None:
    history = [{"epoch": i, "total": i / 7, "validation_total": math.nan} for i in range(5000)]
    structure, found = pack({"history": history})
    assert len(json.dumps(structure)) < 300
    assert same(unpack(structure, found), {"history": history})


@pytest.mark.parametrize(
    "odd",
    [
        {"epoch": 2**70},
        {"epoch": 1.0},
        {"epoch": None},
        {"epoch": True},
        {"other": 1},
        {},
        {1: 1},
        3,
    ],
)
def test_a_long_history_that_is_no_table_comes_back_too(odd: Any) -> None:
    history = [{"epoch": i} for i in range(200)]
    for value in ([*history, odd], [odd] * 200):
        assert same(through_json(value), value)


def test_numbers_of_numpy_become_pythons() -> None:
    value = [np.float64(0.1), np.float32(0.5), np.int64(3), np.bool_(True), np.float32("nan")]
    assert same(through_json(value), [0.1, 0.5, 3, True, math.nan])


def test_what_no_file_can_hold_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match=r"state\.1\.hook is of type function"):
        pack({"state": [0, {"hook": lambda: None}]})
    with pytest.raises(TypeError, match="a is of type Tensor"):
        pack({"a": torch.eye(3).to_sparse()})


@pytest.mark.parametrize(
    "structure",
    [
        {"$tensor": "absent"},
        {"$tensor": ["a"]},
        {"$tensor": "a", "more": 1},
        {"$unknown": 1},
        {"$float": "1e5"},
        {"$float": ["nan"]},
        {"$tuple": {"a": 1}},
        {"$tuple": 3},
        {"$dict": [[1]]},
        {"$dict": [[[], 1]]},
        {"$dict": 5},
        {"$rows": [1]},
        {"$rows": {"a": 5}},
        {"$rows": {"a": {"$tensor": "vast"}}},
        {"$rows": {"a": {"$tensor": "a"}, "b": {"$tensor": "b"}}},
        [{"a": {"$tuple": [{"$tensor": None}]}}],
    ],
)
def test_structures_that_pack_never_makes_are_refused(structure: Any) -> None:
    found = {"a": torch.zeros(2), "b": torch.zeros(3), "vast": torch.empty(10**12, 0)}
    with pytest.raises(ValueError):  # noqa: PT011
        unpack(structure, found)


OPTIMIZERS: dict[str, Callable[[list[torch.Tensor]], torch.optim.Optimizer]] = {
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "fused adam": lambda p: torch.optim.Adam(p, 0.01, fused=True),
    "adamw with amsgrad": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "sgd with momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.5, line_search_fn="strong_wolfe"),
    "nadam": lambda p: torch.optim.NAdam(p, 0.01),
}


def run(name: str, steps: int, resume_at: int | None) -> tuple[torch.Tensor, dict[str, Any]]:
    """Fit a line, and on the way pack the optimiser's state and go on with a new one."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 3, generator=generator), torch.randn(20, 1, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(3, 1))
    optimizer = OPTIMIZERS[name]([weight])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (x @ weight - y).square().mean()
        loss.backward()
        return loss

    for step in range(steps):
        if step == resume_at:
            state = optimizer.state_dict()
            back = through_json(state)
            assert same(back, state)
            optimizer = OPTIMIZERS[name]([weight])
            optimizer.load_state_dict(back)
        optimizer.step(closure)  # type: ignore[arg-type]
    return weight.detach(), optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_on_from_its_packed_state_as_if_nothing_had_been(name: str) -> None:
    straight, _ = run(name, 6, None)
    resumed, _ = run(name, 6, 3)
    assert torch.equal(straight, resumed)


# Files of tensors

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
    """Write a safetensors file by hand, with the checksum that it ought to have."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    content = struct.pack("<Q", len(text) if length is None else length) + text + data
    digest = hashlib.sha256(content).hexdigest()
    path.write_bytes(content.replace(BLANK.encode(), digest.encode(), 1))
    return path


def envelope(**changes: Any) -> str:
    whole = {"checksum": BLANK, "kind": KIND, "format": 1, "version": "0.1.0", "meta": {}} | changes
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
    described = json.loads(text)
    assert len(described.pop("checksum")) == len(BLANK)
    assert described == {"kind": KIND, "format": 1, "version": __version__, "meta": META}


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
    with pytest.raises(FileError, match=r"its description takes 10\.\d MB and may take 10 MB"):
        write_tensors(tmp_path / "m", {}, {"a": "x" * HEADER_LIMIT}, kind=KIND, format=1)
    with pytest.raises(TypeError, match=r"a is of .*complex128"):
        write_tensors(
            tmp_path / "m", {"a": torch.zeros(1, dtype=torch.complex128)}, {}, kind=KIND, format=1
        )
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_while_the_tensors_are_written(tiny: Path) -> None:
    write(tiny / "m")
    before = (tiny / "m").read_bytes()
    with pytest.raises(FileError, match=r"cannot write .*/m: No space left on device$"):
        write_tensors(tiny / "m", {"a": torch.zeros(2**18)}, META, kind=KIND, format=1)
    assert os.listdir(tiny) == ["m"]
    assert (tiny / "m").read_bytes() == before


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
    craft(path, described(envelope(kind="pi\x1bc" * 20)))
    with pytest.raises(FileError, match=r"m is a pi\\x1bc(pi\\x1bc){9}\.\.\., not a latente model"):
        read(path)


HOSTILE = {
    "huge length": (b"{}", b"", 2**64 - 1, "not of latente: its header claims"),
    "long length": (b"{}", b"", HEADER_LIMIT, "cut short"),
    "large header": (b"{" + b" " * HEADER_LIMIT, b"", None, "its header claims"),
    "deep header": (b'{"a":' * 10_000, b"", None, "nested too deep"),
    "deep list": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", b"", None, "nested too deep"),
    "deep but legal": (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", b"", None, "nested too deep"),
    "not UTF-8": (b'{"\xff":1}', b"", None, "damaged"),
    "key twice": (b'{"a":{},"a":{}}', b"", None, "a key comes twice"),
    "NaN": (b'{"a":NaN}', b"", None, "NaN is no finite number"),
    "infinite": (b'{"a":1e999}', b"", None, "1e999 is no finite number"),
    "long number": (b'{"a":' + b"1" * 9_000_000 + b"}", b"", None, "out of range"),
    "metadata is a list": ({"__metadata__": []}, b"", None, "no latente model"),
    "metadata of numbers": ({"__metadata__": {"latente": 1}}, b"", None, "no latente model"),
    "description no JSON": (described("{"), b"", None, "its description is no JSON"),
    "description deep": (described("[" * 10_000), b"", None, "nested too deep"),
    "description NaN": (described('{"a": NaN}'), b"", None, "NaN is no finite number"),
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
    "shape and place differ": (
        described(a=entry(shape=[3])), bytes(8), None, "does not fit its bytes"
    ),
    "offsets reversed": (described(a=entry(data_offsets=[8, 0])), b"", None, "does not fit"),
    "three offsets": (described(a=entry(data_offsets=[0, 8, 9])), bytes(8), None, "cannot be"),
    "overlap": (described(a=entry(), b=entry()), bytes(8), None, "does not fit its bytes"),
    "gap": (described(a=entry(data_offsets=[8, 16])), bytes(16), None, "does not fit its bytes"),
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


def survive(path: Path, content: bytes) -> None:
    """Read a file that is damaged or was never one: it is refused in one sentence."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(content)  # over what is there: to cut a file first takes milliseconds
        file.truncate()
    with pytest.raises(FileError) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        survive(tmp_path / "flipped", bytes(damaged))


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    chance = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 8])):
            damaged[chance.randrange(len(content))] = chance.randrange(256)
        begin = chance.randrange(len(content))
        if chance.random() < 0.2:
            damaged[begin : begin + 64] = bytes(len(damaged[begin : begin + 64]))
        if damaged != content:
            survive(tmp_path / "changed", bytes(damaged))


def test_what_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for odd in (math.nan, math.inf, -math.inf):
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            tensors = {"whole": torch.arange(3), "best": torch.tensor([1.0, odd], dtype=dtype)}
            write_tensors(path, tensors, META, kind=KIND, format=1)
            with pytest.raises(FileError, match="the tensor best has NaN or infinite values"):
                read(path)
            for finite in (False, lambda name: name != "best"):
                loose, _ = read_tensors(path, kind=KIND, newest_format=1, finite=finite)
                assert torch.equal(loose["best"].isfinite(), torch.tensor([True, False]))


def test_the_checksum_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write_tensors(path, {"a": torch.ones(25_000_000)}, {}, kind=KIND, format=1)
    begun = time.process_time()
    read(path)
    assert time.process_time() - begun < 3  # 100 MB; about 0.4 s


def test_the_kind_of_a_file(tmp_path: Path) -> None:
    write(tmp_path / "m")
    assert kind_at(tmp_path / "m") == KIND
    assert kind_at(craft(tmp_path / "n", described("[]"))) is None
    (tmp_path / "n").write_text("a,b\n")
    for path in ("n", "nowhere", "."):
        assert kind_at(tmp_path / path) is None


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
    try:
        tensors, _ = read(craft(tmp_path / "m", text, data))
    except FileError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(tensor.numel() <= len(data) for tensor in tensors.values())
    text = json.dumps({"__metadata__": header}).encode()
    survive(tmp_path / "m", struct.pack("<Q", len(text)) + text + data)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    survive(tmp_path / "m", content)
