"""A fitted model at work: rows are run in blocks, whose size shows in nothing but memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latente import Autoencoder, datasets

FEW = 5
DIGITS = datasets.load("digits").X[:80]
ROWS = DIGITS.reshape(len(DIGITS), -1)
COLOURED = np.repeat(DIGITS[..., None], 3, axis=3)
WAVES = np.sin(np.arange(80)[:, None, None] / 9 + np.arange(24).reshape(12, 2)).astype(np.float32)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dense on rows": (ROWS, {"network": "dense(hidden=[32])"}),
    "dense on wide floats": (ROWS.astype(np.float64), {"network": "dense(hidden=[32])"}),
    "dense on pictures": (DIGITS, {"network": "dense(hidden=[32])", "bottleneck": "gaussian"}),
    "conv on pictures": (DIGITS, {"network": "conv(channels=[4, 8])"}),
    "conv on colours": (COLOURED, {"network": "conv(channels=[4])", "bottleneck": "rounded"}),
    "recurrent": (WAVES, {"network": "recurrent(hidden=4)"}),
    "texts": (["red", "green", "blue", "cyan"] * 20, {"network": "recurrent(hidden=4)"}),
    "several lengths": (
        [wave[: 3 + i % 9] for i, wave in enumerate(WAVES)],
        {"network": "recurrent(hidden=4)"},
    ),
}


def outputs(model: Autoencoder, X: Any) -> dict[str, list[bytes]]:
    """Return what a model gives for samples, byte by byte, sample by sample."""
    found = {
        "codes": model.transform(X),
        "reconstructions": model.reconstruct(X),
        "scores": model.score_samples(X),
        "errors": model.reconstruction_error(X),
    }
    found["decoded"] = model.inverse_transform(found["codes"])
    return {name: [np.asarray(row).tobytes() for row in rows] for name, rows in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_row_by_row_equals_all_at_once_bit_for_bit(kind: str) -> None:
    X, keywords = KINDS[kind]
    given: dict[str, Any] = {"latent_dim": 4, "epochs": 1, "random_state": 0, "device": "cpu"}
    model = Autoencoder(**given, **keywords).fit(X)
    together = outputs(model, X[:FEW])
    alone = [outputs(model, X[i : i + 1]) for i in range(FEW)]
    for name, rows in together.items():
        assert rows == [row[name][0] for row in alone], name


@pytest.mark.parametrize("dtype", ["uint8", "float64", "uint16"])
def test_a_memory_map_gives_what_its_array_gives(dtype: str, tmp_path: Path) -> None:
    X = np.repeat(ROWS, 40, axis=0).astype(dtype)
    np.save(tmp_path / "x.npy", X)
    model = Autoencoder(3, network="dense(hidden=[8])", epochs=1, random_state=0).fit(X[:80])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert outputs(model, mapped) == outputs(model, X)


MEASURE = """
import json, sys
import numpy as np
from latente import Autoencoder

def memory(name):
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[name].split()[0]) / 1024

rng = np.random.default_rng(0)
X = np.load(sys.argv[1], mmap_mode="r")
some = rng.integers(0, 256, (64, X.shape[1])).astype(X.dtype)
model = Autoencoder(1, network="dense(hidden=[])", epochs=1, device="cpu").fit(some)
taken = {}
for name in ("transform", "score_samples", "reconstruction_error", "reconstruct"):
    method = getattr(model, name)
    method(some)
    before = memory("VmRSS")
    result = method(X)
    taken[name] = memory("VmHWM") - before - result.nbytes / 2**20
    del result
print(json.dumps(taken))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_memory_map_takes_no_memory_beyond_the_result(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    size = 120 * 2**20
    np.lib.format.open_memmap(path, "w+", np.uint8, (size // 4096, 4096)).flush()
    command = [sys.executable, "-c", MEASURE, str(path)]
    taken = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert max(taken.values()) < 100, taken


def test_changes_to_a_private_memory_map_are_kept(tmp_path: Path) -> None:
    X = np.zeros((10_000, 4096), np.uint8)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="c")
    mapped[5] = 7
    model = Autoencoder(1, network="dense(hidden=[])", epochs=1, device="cpu").fit(DIGITS_WIDE)
    codes = model.transform(mapped)
    assert (mapped[5] == 7).all()
    np.testing.assert_array_equal(codes[5], model.transform(np.full((1, 4096), 7, np.uint8))[0])


DIGITS_WIDE = np.tile(ROWS, (1, 64)).astype(np.uint8)
