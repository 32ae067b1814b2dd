"""Schedules that follow the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latente import Autoencoder, ParameterError, datasets
from latente.schedules import BoldDriver


def test_the_rate_rises_while_the_loss_falls_and_falls_when_it_rises() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = BoldDriver(growth=1.5, cut=0.5).build(optimizer, 9)
    rates = []
    for loss in (4.0, 3.0, 3.5, 3.4, 3.4):
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.5, 2.25, 1.125, 1.6875, 0.84375]


def test_a_schedule_that_follows_the_loss_goes_on_from_its_state() -> None:
    def built() -> tuple[torch.optim.Optimizer, object]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        return optimizer, BoldDriver().build(optimizer, 9)

    (first, one), (second, two) = built(), built()
    one.step(2.0)
    second.load_state_dict(first.state_dict())
    two.load_state_dict(one.state_dict())
    for optimizer, schedule in ((first, one), (second, two)):
        schedule.step(3.0)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1.05 * 0.7)


def test_a_fit_raises_its_rate_while_its_loss_falls() -> None:
    X = datasets.load("font").X
    model = Autoencoder(
        2, network="dense(hidden=[5])", optimizer="sgd(momentum=0)", schedule="bold_driver",
        learning_rate=0.01, epochs=20, batch_size=96, validation_fraction=0.0, random_state=0,
    ).fit(X)  # fmt: skip
    loss = np.array([record["total"] for record in model.history_])
    rate = np.array([record["learning_rate"] for record in model.history_])
    fell = loss[1:-1] < loss[:-2]
    assert fell.any()
    assert np.allclose(rate[2:] / rate[1:-1], np.where(fell, 1.05, 0.7))


@pytest.mark.parametrize(("name", "value"), [("growth", 0.9), ("cut", 1.0), ("cut", 0.0)])
def test_factors_that_cannot_work_are_named(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        BoldDriver(**{name: value})
