"""Neighbours: codes in which the nearest samples lie together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from latente import Autoencoder, NeighbourEmbedding, ParameterError, datasets
from latente.bottlenecks.base import Encoding, Moment
from latente.bottlenecks.neighbours import neighbour_divergence

DIGITS = datasets.load("digits")


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(0))


def encoding(clean: Tensor, h: Tensor) -> Encoding:
    return Encoding(drawn(*clean.shape), h, lambda x: x, lambda x, generator, n: x, clean)


def moment(**keywords: Any) -> Moment:
    return Moment(Generator().manual_seed(0), **keywords)


def fit(**keywords: Any) -> Autoencoder:
    chosen: dict[str, Any] = {
        "network": "dense(hidden=(64,), shortcut=pca)",
        "epochs": 25,
        "batch_size": 256,
        "learning_rate": 0.01,
        "random_state": 0,
        "device": "cpu",
    }
    return Autoencoder(2, **(chosen | keywords)).fit(DIGITS.X)


def test_the_cost_is_the_divergence_of_neighbours_from_codes() -> None:
    x, z, k = drawn(9, 4), drawn(9, 2).mul(3), 3
    costs = neighbour_divergence(x, z, k)
    for i in range(9):
        rest = [j for j in range(9) if j != i]
        near = sorted(rest, key=lambda j: float((x[i] - x[j]).norm()))[:k]
        kernel = {j: 1 / (1 + float((z[i] - z[j]).square().sum())) for j in rest}
        q = {j: value / sum(kernel.values()) for j, value in kernel.items()}
        by_hand = sum(math.log((1 / k) / q[j]) / k for j in near)
        assert float(costs[i]) == pytest.approx(by_hand, abs=1e-4)
    assert float(costs.min()) >= 0


def test_a_map_of_the_samples_themselves_costs_less_than_one_of_others() -> None:
    x = drawn(60, 2).mul(5)
    mixed = x[torch.randperm(60, generator=Generator().manual_seed(1))]
    assert float(neighbour_divergence(x, x, 5).mean()) < 1
    assert float(neighbour_divergence(x, mixed, 5).mean()) > 2


def test_codes_that_fall_together_cost_no_infinite_gradient() -> None:
    z = torch.zeros(8, 2, requires_grad=True)
    neighbour_divergence(drawn(8, 3), z, 2).sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


def test_neighbours_are_those_of_clean_samples() -> None:
    x, h = drawn(12, 3), drawn(12, 2)
    draw = (
        NeighbourEmbedding(k=2, weight=7)
        .build((2,), (3,), Generator())
        .draw(encoding(x, h), moment())
    )
    cost = draw.costs["neighbours"]
    assert cost.weight == 7
    assert torch.equal(cost.value, neighbour_divergence(x, h, 2))
    assert torch.equal(draw.z, h)


def test_a_model_hands_on_the_samples_before_they_are_corrupted() -> None:
    ae = fit(bottleneck="neighbours", corruption="mask(rate=0.9)", epochs=0)
    x = ae.fitted_.input.convert(ae.fitted_.store(DIGITS.X[:40]))
    seen: list[Encoding] = []
    inner = ae.module_.bottleneck.draw

    def look(encoding: Encoding, moment: Moment) -> Any:
        seen.append(encoding)
        return inner(encoding, moment)

    ae.module_.bottleneck.draw = look
    ae.module_.objective(x, x, moment())
    assert torch.equal(seen[0].clean, x)
    assert not torch.equal(seen[0].x, x)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_few_rows_are_no_map_but_no_error(rows: int) -> None:
    module = NeighbourEmbedding().build((2,), (3,), Generator())
    cost = module.draw(encoding(drawn(rows, 3), drawn(rows, 2)), moment()).costs["neighbours"]
    assert cost.value.shape == (rows,)
    assert bool(cost.value.isfinite().all())
    assert bool((cost.value > 0).all()) == (rows > 2)


def test_at_use_a_rows_loss_is_its_own() -> None:
    module = NeighbourEmbedding().build((2,), (3,), Generator())
    seen = encoding(drawn(12, 3), drawn(12, 2))
    assert module.draw(seen, moment(deterministic=True)).costs["neighbours"].value.any() == 0
    ae = fit(bottleneck="neighbours", epochs=2)
    rows = DIGITS.X_test[:20]
    alone = np.concatenate([ae.score_samples(rows[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(ae.score_samples(rows), alone, rtol=1e-5)


def test_held_out_samples_come_nearer_to_their_neighbours_for_a_price() -> None:
    free, charged = (fit(bottleneck=f"neighbours(weight={weight})") for weight in (0, 100))
    name = "validation_neighbours"
    assert charged.history_[-1][name] < free.history_[-1][name] - 0.1
    assert charged.history_[-1]["neighbours"] < charged.history_[0]["neighbours"] - 0.1


def test_spatial_codes_and_pictures_are_taken() -> None:
    ae = Autoencoder(
        network="conv(channels=[4], code=spatial)", bottleneck="neighbours", epochs=1,
        batch_size=32, random_state=0,
    ).fit(DIGITS.X[:64])  # fmt: skip
    assert np.isfinite(ae.history_[0]["neighbours"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight": -1}, "weight must be a number of at least 0"),
        ({"k": 0}, "k must be a whole number from 1"),
        ({"k": 2.5}, "k must be a whole number from 1"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        NeighbourEmbedding(**wrong)
