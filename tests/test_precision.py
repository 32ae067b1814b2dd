"""Which precision is faster is found by trying, and a fit keeps the one it began with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from latente import Autoencoder, datasets
from latente.build import LONG
from latente.training import hardware, loop, precision

X = datasets.load("digits").X[:200]
STEPS_AN_EPOCH = 9


def autoencoder(epochs: int, **keywords: Any) -> Autoencoder:
    settings: dict[str, Any] = {
        "network": "dense(hidden=(8,))", "batch_size": 20, "validation_fraction": 0.1,
        "random_state": 0, "device": "cpu",
    }  # fmt: skip
    return Autoencoder(2, epochs=epochs, **(settings | keywords))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was found, each time that it was tried, on a processor that multiplies in bf16."""
    found: list[str] = []

    def faster(*_: Any) -> str:
        found.append("bf16")
        return "bf16"

    monkeypatch.setattr(hardware, "multiplies_bf16", lambda device: True)
    monkeypatch.setattr(loop, "faster_precision", faster)
    return found


def test_only_long_fits_try(tried: list[str]) -> None:
    epochs = LONG // STEPS_AN_EPOCH
    assert autoencoder(epochs - 1).fit(X).precision_ == "float32"
    assert autoencoder(epochs + 1, precision="float32").fit(X).precision_ == "float32"
    assert tried == []
    assert autoencoder(epochs + 1).fit(X).precision_ == "bf16"
    assert tried == ["bf16"]


def test_a_processor_without_bf16_does_not(
    tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "multiplies_bf16", lambda device: False)
    assert autoencoder(LONG // STEPS_AN_EPOCH + 1).fit(X).precision_ == "float32"
    assert tried == []


def test_a_resumed_fit_keeps_what_it_began_with(
    tried: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Stop:
        def on_epoch_end(self, state: Any) -> None:
            state.stop = state.epoch == 2

    epochs = LONG // STEPS_AN_EPOCH + 1
    autoencoder(epochs, callbacks=Stop()).fit(X, checkpoint=tmp_path)
    monkeypatch.setattr(loop, "faster_precision", lambda *_: "float32")
    resumed = autoencoder(epochs).fit(X, checkpoint=tmp_path)
    assert resumed.precision_ == "bf16"
    whole = autoencoder(epochs, precision="bf16").fit(X)
    assert np.array_equal(whole.transform(X), resumed.transform(X))


@pytest.mark.parametrize(
    ("float32", "bf16", "chosen"), [(1, 0.5, "bf16"), (1, 0.97, "float32"), (1, 2, "float32")]
)
def test_the_faster_one_is_taken_and_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch, float32: float, bf16: float, chosen: str
) -> None:
    ae = autoencoder(1).fit(X)
    before = {name: value.clone() for name, value in ae.module_.state_dict().items()}
    drawn = torch.get_rng_state()
    times = [0.0]
    for _ in range(precision.WARM_UP + precision.STEPS):
        for seconds in (float32, bf16):
            times += [times[-1], times[-1] + seconds]
    ticks = iter(times[1:])
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    monkeypatch.setattr(precision, "_measured", {})
    batches = ae.fitted_.batches(X, None)
    for _ in range(2):  # the second time nothing is measured, or the ticks would not do
        assert precision.faster_precision(ae.module_, ae._trainer.plan, batches) == chosen
    assert all(torch.equal(before[name], value) for name, value in ae.module_.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state())
