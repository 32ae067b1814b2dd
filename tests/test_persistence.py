"""A model's file: the model again, or one sentence; whatever the file holds, never more."""

from __future__ import annotations

import copy
import importlib
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latente import Autoencoder, FileError
from latente.persistence import FORMAT, KIND, load, save
from latente.storage.tensors import read_tensors, write_tensors


class Fake:
    """As little as can be kept in a file."""

    def __init__(self, meta: Any, tensors: dict[str, torch.Tensor]) -> None:
        self.meta, self.tensors = meta, tensors

    def _state(self) -> tuple[Any, dict[str, torch.Tensor]]:
        return self.meta, self.tensors

    @classmethod
    def _from_state(cls, meta: Any, tensors: Any, network: Any) -> Fake:
        if "error" in meta:
            raise KeyError("weights") if meta["error"] == "key" else MemoryError()
        return cls(meta, tensors)


def test_a_description_comes_back_exactly(tmp_path: Path) -> None:
    meta = {
        "shape": (3, 4),
        "history": [{"total": float("inf"), "epoch": 1}] * 200,
        "levels": {1: "one", None: 2.0},
        "learned": torch.arange(3),
    }
    tensors = {"model.weight": torch.ones(2, 2), "learned": torch.zeros(1)}
    save(Fake(meta, tensors), tmp_path / "m")
    found = load(Fake, tmp_path / "m")
    assert torch.equal(found.meta.pop("learned"), meta.pop("learned"))  # type: ignore[call-overload]
    assert found.meta == meta
    assert found.tensors.keys() == tensors.keys()
    assert torch.equal(found.tensors["learned"], torch.zeros(1))


@pytest.mark.parametrize(
    ("error", "told"), [("key", "KeyError: 'weights'"), ("memory", "MemoryError$")]
)
def test_a_description_of_no_model_is_told(tmp_path: Path, error: str, told: str) -> None:
    save(Fake({"error": error}, {}), tmp_path / "m")
    with pytest.raises(FileError, match=f"m holds no model that can be loaded: {told}"):
        load(Fake, tmp_path / "m")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = np.random.default_rng(0).random((40, 8), np.float32)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    Autoencoder(2, epochs=1, random_state=0, network="dense(hidden=[4])").fit(X).save(path)
    return path


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Two gigabytes more than are mapped now: a hostile file must not ask for them."""
    mapped = Path("/proc/self/statm")
    if not mapped.exists():
        pytest.skip("only Linux tells how much is mapped")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(mapped.read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2 * 2**30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything inside a nested value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(p for key, item in items for p in places(item, (*path, key)))]


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 10**9, 10**12, 2**63, 10**30, -(10**12), "", "x", "auto", "conv",
    "\x1b[2J", "\x00", "a" * 10_000, [], {}, [10**9], [[]], [10**6] * 3, {"name": "dense"},
    {"name": "conv", "channels": [2**20] * 20}, {"name": "__class__"}, {"$tuple": [10**10]},
    {"$float": "nan"}, {"$tensor": "model"}, {"$rows": {}}, {"name": "own modules"},
)  # fmt: skip


@pytest.mark.usefixtures("little_memory")
def test_tampered_descriptions(model: Path, tmp_path: Path) -> None:
    tensors, meta = read_tensors(model, kind=KIND, newest_format=FORMAT)
    chance = random.Random(0)
    everywhere = [place for place in places(meta) if place]
    refused = 0
    for _ in range(400):
        changed = copy.deepcopy(meta)
        *above, last = chance.choice(everywhere)
        inside: Any = changed
        for key in above:
            inside = inside[key]
        if chance.random() < 0.1:
            del inside[last]
        else:
            inside[last] = chance.choice(ODD)
        write_tensors(tmp_path / "m", tensors, changed, kind=KIND, format=FORMAT)
        try:
            found = Autoencoder.load(tmp_path / "m")
        except FileError as error:
            assert str(error).isprintable()  # noqa: PT017
            refused += 1
        else:
            assert isinstance(found, Autoencoder)
    assert refused > 100


@pytest.mark.usefixtures("little_memory")
def test_tampered_tensors(model: Path, tmp_path: Path) -> None:
    tensors, meta = read_tensors(model, kind=KIND, newest_format=FORMAT)
    odd = [
        torch.zeros(()),
        torch.zeros(3),
        torch.zeros(0, 2**40),
        torch.zeros(2, 2, dtype=torch.int64),
        torch.full((4, 8), float("nan")),
        torch.tensor([True]),
        None,
    ]
    for name in tensors:
        for value in odd:
            changed = {**tensors, name: value} if value is not None else dict(tensors)
            if value is None:
                del changed[name]
            write_tensors(tmp_path / "m", changed, meta, kind=KIND, format=FORMAT)
            try:
                Autoencoder.load(tmp_path / "m")
            except FileError as error:
                assert "\n" not in str(error)  # noqa: PT017
    write_tensors(tmp_path / "m", {**tensors, "more": odd[0]}, meta, kind=KIND, format=FORMAT)
    Autoencoder.load(tmp_path / "m")


OWN = """
from dataclasses import dataclass

import torch
from torch import nn

from latente.bottlenecks.base import Bottleneck, BottleneckModule, Cost, Draw
from latente.losses.base import Loss, LossModule
from latente.networks.base import Network, NetworkModule
from latente.networks.layers import DenseLayer, activation, initialized


@dataclass(kw_only=True)
class Quartic(Loss):
    power: float = 4.0

    def build(self, space, output_activation="auto"):
        return QuarticModule(self, space, activation(output_activation))


class QuarticModule(LossModule):
    def __init__(self, part, space, output):
        super().__init__(part, space, output)
        self.power = part.power
        self.scale = nn.Parameter(torch.ones(()))

    def values(self, raw, target):
        return (self.output(raw) - target).abs() ** self.power * self.scale**2


@dataclass(kw_only=True)
class Whitened(Bottleneck):
    weight: float = 0.1

    def build(self, code_shape, input_shape, generator):
        return WhitenedModule(code_shape, self.weight)


class WhitenedModule(BottleneckModule):
    def __init__(self, code_shape, weight):
        super().__init__(code_shape)
        self.weight = weight
        self.register_buffer("mean", torch.zeros(code_shape))

    def code(self, h):
        return h - self.mean

    def draw(self, encoding, moment):
        if self.training:
            self.mean.lerp_(encoding.h.detach().mean(0), 0.1)
        z = self.code(encoding.h)
        return Draw(z, {"spread": Cost((z.square().flatten(1).sum(1) - 1).square(), self.weight)})


@dataclass(kw_only=True)
class Narrow(Network):
    width: int = 12

    def build(self, source, target, latent_dim, *, per_code, per_value, generator):
        (features,), (outputs,) = source.shape, target.shape
        code = latent_dim or 2
        halves = [
            nn.Sequential(DenseLayer(a, self.width), nn.Tanh(), DenseLayer(self.width, b))
            for a, b in ((features, per_code * code), (code, per_value * outputs))
        ]
        return NetworkModule(*(initialized(half, generator) for half in halves), (code,))
"""

USE = """
import sys
import numpy as np
from latente import Autoencoder
if sys.argv[3] == "with":
    import own
model = Autoencoder.load(sys.argv[1])
X = np.load(sys.argv[2])
np.savez(sys.argv[2] + ".npz", codes=model.transform(X), scores=model.score_samples(X))
"""


def test_parts_that_a_script_defines_are_saved_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = importlib.import_module("own")
    X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    X[:, 3:] = X[:, :3] @ np.random.default_rng(1).normal(size=(3, 3))
    parts = {"network": own.Narrow(), "bottleneck": own.Whitened(), "loss": "Quartic(power=3)"}
    keywords = {**parts, "latent_dim": 3, "learning_rate": 0.01, "random_state": 0}
    untrained = Autoencoder(**keywords, epochs=0).fit(X)
    model = Autoencoder(**keywords, epochs=30).fit(X)
    assert model.score(X) > untrained.score(X)
    assert "spread" in model.history_[-1]
    assert float(model.module_.bottleneck.mean.abs().sum()) > 0  # type: ignore[union-attr]
    model.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", X)

    def fresh(how: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-c", USE, "m.safetensors", "x.npy", how]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)

    result = fresh("with")
    assert result.returncode == 0, result.stderr
    there = np.load(tmp_path / "x.npy.npz")
    assert there["codes"].tobytes() == model.transform(X).tobytes()
    assert there["scores"].tobytes() == model.score_samples(X).tobytes()
    without = fresh("without")
    assert "no class Narrow of Network is defined here" in without.stderr
