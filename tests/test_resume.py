"""A fit that is killed and run again ends at the weights of one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from latente import Autoencoder, Dense, FileError, datasets

SCRIPT = """
import sys
import time
import torch
torch.set_num_threads(1)
from latente import Autoencoder, Dense, datasets


class Slow:
    def on_epoch_end(self, state):
        time.sleep(0.1)


Autoencoder(
    latent_dim=4, network=Dense(hidden=(64,), dropout=0.1), bottleneck="gaussian(warmup=20)",
    corruption="mask", schedule="cosine", epochs=40, batch_size=128, random_state=5, device="cpu",
    callbacks=Slow(),
).fit(datasets.load("digits").X, checkpoint=sys.argv[1]).save(sys.argv[2])
"""


def start(folder: Path, model: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(folder), str(model)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_fit_killed_twice_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, tmp_path / "whole.safetensors").wait(timeout=300) == 0
    for delay in (0.3, 1.5):
        process = start(killed, tmp_path / "killed.safetensors")
        wait_for(killed / "checkpoint.safetensors", process)
        time.sleep(delay)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert start(killed, tmp_path / "killed.safetensors").wait(timeout=300) == 0
    one, two = (Autoencoder.load(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    X = datasets.load("digits").X
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(one.reconstruct(X), two.reconstruct(X))
    assert [r["total"] for r in one.history_] == [r["total"] for r in two.history_]


def fit(folder: Path, epochs: int = 3, **keywords: object) -> Autoencoder:
    ae = Autoencoder(
        2, network=Dense(hidden=(8,)), epochs=epochs, random_state=0, device="cpu", **keywords
    )
    return ae.fit(datasets.load("digits").X, checkpoint=folder)


def test_a_finished_fit_is_taken_as_it_is(tmp_path: Path) -> None:
    first = fit(tmp_path)
    again = fit(tmp_path)
    assert again.history_ == first.history_


@pytest.mark.parametrize("changed", [{"learning_rate": 0.5}, {"bottleneck": "sparse"}])
def test_a_checkpoint_of_another_fit_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    fit(tmp_path)
    with pytest.raises(FileError, match=next(iter(changed))):
        fit(tmp_path, **changed)
