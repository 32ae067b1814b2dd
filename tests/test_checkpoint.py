"""A checkpoint is always whole, whatever happens to the process that writes it."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latente import FileError
from latente.training import checkpoint as module
from latente.training.checkpoint import Checkpoint, data_fingerprint, flatten


def state(step: int) -> dict[str, Any]:
    weight = torch.full((3, 2), float(step))
    return {
        "epoch": step,
        "best": None,
        "losses": [float("nan"), float("inf"), 0.1],
        "history": [{"epoch": i, "total": 1 / (i + 1)} for i in range(step)],
        "optimizer": {"state": {0: {"step": torch.tensor(1.0), "old": [weight, weight.T]}}},
        "betas": (0.9, 0.999),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def test_a_state_comes_back_exactly(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    checkpoint = Checkpoint(folder, {"epochs": 5})
    assert checkpoint.load() is None
    for step in (1, 500, 2):
        checkpoint.save(state(step))
        assert same(Checkpoint(folder, {"epochs": 5}).load(), state(step))
    assert os.listdir(folder) == ["checkpoint.safetensors"]


FINGERPRINT = {
    "learning_rate": 0.01,
    "network": {"name": "dense", "hidden": (64, 32)},
    "data": {"shape": [10, 3], "dtype": "float32", "hash": "ab" * 16},
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate": 0.1}, r"learning_rate was 0\.01, now 0\.1; give another folder"),
        ({"network": {"name": "dense", "hidden": (64,)}}, r"network\.hidden was \[64, 32\], now"),
        ({"data": {"shape": [9, 3]}}, r"data\.shape was \[10, 3\], now \[9, 3\]; data\.dtype was"),
        ({"seed": 1}, r"seed was absent, now 1"),
        ({"learning_rate": float("nan")}, "now NaN"),
        ({"learning_rate": "x" * 1000}, r"xx'\.\.\.; give"),
    ],
)
def test_another_fit_is_refused_by_what_differs(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    Checkpoint(tmp_path, FINGERPRINT).save(state(1))
    with pytest.raises(FileError, match=told) as error:
        Checkpoint(tmp_path, FINGERPRINT | changes).load()
    assert len(str(error.value)) < 600 + len(str(tmp_path))
    assert same(Checkpoint(tmp_path, FINGERPRINT).load(), state(1))


def test_many_differences_are_counted(tmp_path: Path) -> None:
    Checkpoint(tmp_path, {f"p{i}": 0 for i in range(10)}).save(state(1))
    with pytest.raises(FileError, match=r"p0 was 0, now 1; .*p2 was 0, now 1 and 7 more; give"):
        Checkpoint(tmp_path, {f"p{i}": 1 for i in range(10)}).load()


def test_lists_tuples_and_nan_are_the_same_fingerprint(tmp_path: Path) -> None:
    Checkpoint(tmp_path, {"hidden": (8, 4), "rate": float("nan")}).save(state(1))
    assert Checkpoint(tmp_path, {"rate": float("nan"), "hidden": [8, 4]}).load() is not None
    assert flatten({"a": {"b": {1: 2}}, "c": "x"}) == {"a.b.1": "2", "c": '"x"'}


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, b"\x10\0\0\0\0\0\0\0{"], ids=["empty", "other", "cut"]
)
def test_a_damaged_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(FileError, match=r"checkpoint\.safetensors is"):
        Checkpoint(tmp_path).load()


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"fingerprint": {}},
        {"fingerprint": {}, "state": 3},
        {"fingerprint": {}, "state": {"a": {"$tensor": "absent"}}},
        {"fingerprint": [], "state": {}},
    ],
)
def test_a_checkpoint_with_odd_contents_is_told(tmp_path: Path, meta: dict[str, Any]) -> None:
    checkpoint = Checkpoint(tmp_path)
    module.write_tensors(checkpoint.path, {}, meta, kind=module.KIND, format=module.FORMAT)
    with pytest.raises(FileError, match="is damaged"):
        checkpoint.load()


def test_a_full_disk_keeps_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(state(1))

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        checkpoint.save(state(2))
    monkeypatch.undo()
    assert same(checkpoint.load(), state(1))
    assert os.listdir(tmp_path) == ["checkpoint.safetensors"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="it is no folder"):
        Checkpoint(tmp_path / "file")
    with pytest.raises(FileError, match=r"cannot make the folder .*: Not a directory"):
        Checkpoint(tmp_path / "file" / "deeper")


WRITER = """
import os, sys
import torch
from latente.training.checkpoint import Checkpoint

torch.set_num_threads(1)
for _ in sys.stdin:
    worker = os.fork()
    if worker == 0:
        checkpoint = Checkpoint(sys.argv[1], {"run": 1})
        saved = checkpoint.load()
        step = 0 if saved is None else saved["step"]
        while True:
            step += 1
            weights = [torch.full((50_000 * (1 + step % 3),), float(step)) for _ in range(4)]
            checkpoint.save({"step": step, "weights": weights})
    print(worker, flush=True)
    os.waitpid(worker, 0)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that, at each line it is sent, forks one that writes checkpoints without end."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_at_any_moment_a_whole_state_is_there(
    tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdin is not None
    assert writer.stdout is not None
    chance = random.Random(os.getpid())
    last = 0
    for _ in range(10):
        writer.stdin.write("go\n")
        writer.stdin.flush()
        worker = int(writer.stdout.readline())
        time.sleep(chance.uniform(0.05, 0.25))
        os.kill(worker, signal.SIGKILL)
        while Path(f"/proc/{worker}").exists():  # it holds its lock until it is gone
            time.sleep(0.001)
        saved = Checkpoint(tmp_path, {"run": 1}).load()
        if saved is None:
            assert last == 0
            continue
        step = saved["step"]
        assert step >= last
        assert len(saved["weights"]) == 4
        for weight in saved["weights"]:
            assert torch.equal(weight, torch.full((50_000 * (1 + step % 3),), float(step)))
        last = step
    assert last > 0
    Checkpoint(tmp_path, {"run": 1}).save({"step": last})
    assert os.listdir(tmp_path) == ["checkpoint.safetensors"]


def test_data_are_told_apart() -> None:
    data = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    whole = data_fingerprint(data)
    assert whole["shape"] == [50, 4]
    assert whole["dtype"] == "float32"
    changed = data.copy()
    changed[49, 3] += 1e-3
    others = [changed, data[:49], data[::-1], data.astype(np.float64), data.reshape(25, 8), data.T]
    assert all(data_fingerprint(other) != whole for other in others)
    assert len({str(data_fingerprint(other)["hash"]) for other in others[:4]}) == 4


def test_the_same_values_have_the_same_hash_however_they_lie(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    whole = data_fingerprint(data)
    wide = np.zeros((50, 8), np.float32)
    wide[:, ::2] = data
    assert data_fingerprint(wide[:, ::2]) == whole
    assert data_fingerprint(np.asfortranarray(data)) == whole
    np.save(tmp_path / "data.npy", data)
    assert data_fingerprint(np.load(tmp_path / "data.npy", mmap_mode="r")) == whole
    assert data_fingerprint(torch.from_numpy(data))["hash"] == whole["hash"]


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 3)),
        np.array(2.5),
        np.zeros((3, 0)),
        np.zeros((2, 3), bool),
        torch.ones(3, dtype=torch.bfloat16),
        torch.ones(2, 2, requires_grad=True),
    ],
)
def test_odd_data_have_fingerprints(data: Any) -> None:
    assert data_fingerprint(data)["shape"] == list(data.shape)


def test_objects_have_none() -> None:
    with pytest.raises(TypeError, match="objects"):
        data_fingerprint(np.array(["a", None], dtype=object))


def test_of_large_data_blocks_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HASHED", 2**16)
    monkeypatch.setattr(module, "BLOCK", 2**10)
    data = np.random.default_rng(0).integers(0, 256, (4096, 64), np.uint8)
    blocks = module._blocks(data)
    assert sum(block.nbytes for block in blocks) == 2**16
    whole = data_fingerprint(data)
    assert data_fingerprint(np.asfortranarray(data)) == whole
    for place in (0, -1):
        changed = data.copy()
        changed[place, place] ^= 1
        assert data_fingerprint(changed) != whole
    assert data_fingerprint(np.vstack([data[:2048], 255 - data[2048:]])) != whole
    wide = data.reshape(2, -1)
    assert [len(block) for block in module._blocks(wide)] == [1, 1]
