"""A fit that is killed and run again ends at the weights of one that never was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from latente import Autoencoder, Dense, FileError, datasets, optimizers, schedules
from latente.storage.tensors import read_tensors, write_tensors
from latente.training import loop
from latente.training.checkpoint import FORMAT, KIND, Checkpoint

SCRIPT = """
import os, sys, time
import torch
torch.set_num_threads(1)
from latente import Autoencoder, Dense, datasets
from latente.training import loop

loop.CHECKPOINT_SECONDS = 0
X = datasets.load("digits").X[:200]
FITS = {
    "sampled": dict(
        network=Dense(hidden=(32,), dropout=0.1), bottleneck="gaussian(warmup=10)",
        corruption="mask", schedule="cosine",
    ),
    "watched": dict(
        network=Dense(hidden=(32,)), schedule="plateau(patience=2)", patience=20,
        validation_fraction=0.2, optimizer="sgd(momentum=0.9)",
    ),
}


class Slow:
    def on_epoch_end(self, state):
        time.sleep(0.02)


def fit(name, folder, model, epochs=20):
    Autoencoder(
        latent_dim=4, epochs=epochs, batch_size=64, random_state=5, device="cpu",
        callbacks=Slow(), **FITS[name],
    ).fit(X, checkpoint=folder).save(model)


for name in FITS:  # whatever is imported at first use is imported once
    fit(name, sys.argv[1] + name, sys.argv[1] + "model", epochs=1)
for line in sys.stdin:
    worker = os.fork()
    if worker == 0:
        try:
            fit(*line.split())
        finally:
            os._exit(0)
    print(worker, flush=True)
    os.waitpid(worker, 0)
"""


@pytest.fixture(scope="module")
def fitter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """A process that forks, at each line it is sent, one that fits."""
    home = tmp_path_factory.mktemp("fitter")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, f"{home}/"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def run(fitter: subprocess.Popen[str], name: str, home: Path, delay: float | None) -> bool:
    """Fit, or go on with it, and return whether it is done.

    With a delay, the process is killed so many seconds after it has written a checkpoint.
    """
    assert fitter.stdin is not None
    assert fitter.stdout is not None
    path, model = home / "folder" / "checkpoint.safetensors", home / "model.safetensors"

    def state() -> int:
        return path.stat().st_mtime_ns if path.exists() else 0

    begun = state()
    print(name, path.parent, model, file=fitter.stdin, flush=True)
    worker = int(fitter.stdout.readline())
    proc = Path(f"/proc/{worker}")
    while proc.exists() and (delay is None or state() == begun):
        time.sleep(0.002)
    if delay is not None:
        time.sleep(delay)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    while proc.exists():
        time.sleep(0.002)
    return model.exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs fork and /proc")
@pytest.mark.parametrize("name", ["sampled", "watched"])
def test_a_fit_killed_at_any_moment_ends_at_the_same_weights(
    name: str, fitter: subprocess.Popen[str], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert run(fitter, name, whole, None)
    chance = random.Random(os.getpid())
    kills = 0
    while kills < 4 and not run(fitter, name, killed, chance.uniform(0, 0.04)):
        kills += 1
    assert kills >= 2
    assert run(fitter, name, killed, None)
    one, two = (Autoencoder.load(home / "model.safetensors") for home in (whole, killed))
    weights = two.module_.state_dict()
    for key, value in one.module_.state_dict().items():
        assert torch.equal(value, weights[key])
    assert [r["total"] for r in one.history_] == [r["total"] for r in two.history_]
    assert os.listdir(killed / "folder") == ["checkpoint.safetensors"]


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


def test_two_fits_in_one_folder_are_told_and_the_first_goes_on(tmp_path: Path) -> None:
    class Second:
        told = ""

        def on_epoch_end(self, state: object) -> None:
            with pytest.raises(FileError) as error:
                fit(tmp_path)
            Second.told = str(error.value)

    first = fit(tmp_path, callbacks=Second())
    assert "another fit" in Second.told
    assert str(tmp_path) in Second.told
    assert first.epochs_ == 3
    assert len(fit(tmp_path).history_) == 3


class Stopped(Exception):
    """The fit was stopped after a checkpoint."""


def interrupted(folder: Path, saves: int, **keywords: object) -> None:
    """Fit until a checkpoint has been written so many times."""
    save, written = Checkpoint.save, []

    def counted(checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        save(checkpoint, state)
        written.append(state)
        if len(written) == saves:
            raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(Checkpoint, "save", counted)
        with pytest.raises(Stopped):
            fit(folder, **keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "keywords",
    [
        *({"schedule": name} for name in schedules.SCHEDULES),
        *({"optimizer": name} for name in optimizers.OPTIMIZERS),
        {"bottleneck": "adversarial"},
    ],
    ids=str,
)
def test_every_schedule_and_optimiser_goes_on(tmp_path: Path, keywords: dict[str, object]) -> None:
    given = {"validation_fraction": 0.2, "learning_rate": 1e-3, "batch_size": 512, **keywords}
    whole = fit(tmp_path / "whole", 4, **given)
    interrupted(tmp_path / "stopped", 2, epochs=4, **given)
    again = fit(tmp_path / "stopped", 4, **given)
    weights = again.module_.state_dict()
    for key, value in whole.module_.state_dict().items():
        assert torch.equal(value, weights[key])


def places(value: Any, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Every place in nested JSON values."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value or ())
    for key, inner in items:
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


ODD = (None, True, -1, 3.5, 10**30, "x", [], {}, [1], {"a": 1}, {"$float": "nan"}, {"$tuple": [1]})
SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (3, 3)]


def hurt(meta: Any, tensors: dict[str, torch.Tensor], chance: random.Random) -> None:
    """Change one value or one tensor of a checkpoint, or leave it out."""
    if chance.random() < 0.4:
        name = chance.choice(sorted(tensors))
        tensor = tensors.pop(name)
        dtype = chance.choice([torch.int64, torch.bool, torch.float64])
        changed = [torch.zeros(chance.choice(SHAPES)), tensor.to(dtype), None]
        if (new := chance.choice(changed)) is not None:
            tensors[name] = new
        return
    *way, last = chance.choice(list(places(meta["state"])))
    value = meta["state"]
    for key in way:
        value = value[key]
    if chance.random() < 0.3:
        del value[last]
    else:
        value[last] = chance.choice(ODD)


def test_what_is_wrong_in_a_checkpoint_is_told(tmp_path: Path) -> None:
    """Its checksum fits, and yet it is no state of this fit."""
    interrupted(tmp_path, 2, epochs=4, batch_size=512, validation_fraction=0.2)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(60):
        path.write_bytes(whole)
        tensors, meta = read_tensors(path, kind=KIND, newest_format=FORMAT, finite=False)
        hurt(meta, tensors, chance)
        write_tensors(path, tensors, meta, kind=KIND, format=FORMAT)
        try:
            fit(tmp_path, 4, batch_size=512, validation_fraction=0.2)
        except FileError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert "damaged" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 40
