"""Steps replayed from a recording are the steps that would have been taken.

No GPU is needed: in place of a CUDA graph, which records launches and replays them, stands one that
keeps the function and calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latente import Autoencoder, Dense, datasets
from latente.training import graphs, loop
from latente.training.graphs import GraphStep, is_recordable
from latente.training.steps import GradientStep


class Recorder:
    """Keeps what is recorded; like a graph, it computes nothing while recording."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, step: Callable[[], None], generator: torch.Generator) -> graphs.Replay:
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            for parameter in self.parameters:
                parameter.grad = None  # a replay writes gradients anew, it does not add to them
            step()

        return replay

    parameters: tuple[torch.nn.Parameter, ...] = ()


def fit(stepper: Any, monkeypatch: pytest.MonkeyPatch, **keywords: Any) -> Autoencoder:
    monkeypatch.setattr(loop, "make_stepper", stepper)
    given: dict[str, Any] = {"batch_size": 100, "epochs": 3, "random_state": 0, "device": "cpu"}
    return Autoencoder(2, network=Dense(hidden=(16,)), **(given | keywords)).fit(
        datasets.load("digits").X
    )


def graph_stepper(recorder: Recorder) -> Any:
    def make(model: Any, optimizers: Any, plan: Any, device: torch.device, *_: Any) -> GraphStep:
        for group in optimizers[0].param_groups:
            group["capturable"] = True
        recorder.parameters = tuple(model.parameters())
        stepper = GraphStep(model, optimizers, plan, device, record=recorder)
        for group in optimizers[0].param_groups:
            group["capturable"] = False
        return stepper

    return make


def test_recorded_steps_give_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    recorded = fit(graph_stepper(recorder), monkeypatch)
    plain = fit(GradientStep, monkeypatch)
    steps = 3 * (len(datasets.load("digits").X) * 9 // 10 // 100)
    assert recorder.recorded == 1
    assert recorder.replayed >= steps - graphs.EAGER - 3
    for one, two in zip(recorded.module_.parameters(), plain.module_.parameters(), strict=True):
        assert torch.equal(one, two)
    assert [r["total"] for r in recorded.history_] == [r["total"] for r in plain.history_]


def test_recorded_steps_draw_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (
        fit(graph_stepper(Recorder()), monkeypatch, bottleneck="gaussian", corruption="mask")
        for _ in range(2)
    )
    assert [r["kl"] for r in one.history_] == [r["kl"] for r in two.history_]
    assert len({r["kl"] for r in one.history_}) == 3


def test_only_steps_that_stay_the_same_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    ae = fit(GradientStep, monkeypatch)
    trainer = ae._trainer
    (optimizer,) = trainer.optimizers
    assert not is_recordable(optimizer, trainer.plan)
    optimizer.param_groups[0]["capturable"] = True
    assert is_recordable(optimizer, trainer.plan)
    from latente import Cosine

    moving = replace(trainer.plan, schedule=Cosine())
    assert not is_recordable(optimizer, moving)
    optimizer.param_groups[0]["lr"] = torch.tensor(1e-3)
    assert is_recordable(optimizer, moving)


def test_weights_of_rows_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    X = datasets.load("digits").X
    weight = np.random.default_rng(0).uniform(0.1, 3, len(X))
    recorder = Recorder()
    monkeypatch.setattr(loop, "make_stepper", GradientStep)
    given: dict[str, Any] = {"batch_size": 100, "epochs": 3, "random_state": 0, "device": "cpu"}
    expected = Autoencoder(2, network=Dense(hidden=(16,)), **given).fit(X, sample_weight=weight)
    monkeypatch.setattr(loop, "make_stepper", graph_stepper(recorder))
    found = Autoencoder(2, network=Dense(hidden=(16,)), **given).fit(X, sample_weight=weight)
    assert recorder.replayed > 10
    assert [r["total"] for r in found.history_] == [r["total"] for r in expected.history_]
