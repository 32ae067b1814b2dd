"""Neighbours: codes in which the nearest samples lie together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Generator, Tensor

from latente import Autoencoder, NeighbourEmbedding, ParameterError, datasets
from latente.bottlenecks.base import Encoding, Moment
from latente.bottlenecks.neighbours import LEAST_OTHERS, Neighbourhood, pair_divergence

DIGITS = datasets.load("digits")


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(0))


def encoding(clean: Tensor, h: Tensor) -> Encoding:
    return Encoding(h, lambda x: x, lambda generator, n: h, lambda: clean)


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


def attended(rows: Tensor, **keywords: Any) -> Any:
    module = NeighbourEmbedding(**keywords).build((2,), tuple(rows.shape[1:]), Generator())
    module.attend(lambda n: rows[:n], Generator().manual_seed(0))
    return module


def test_the_cost_is_that_of_a_neighbour_against_all_others() -> None:
    z, near = drawn(9, 2).mul(3), drawn(12, 2).add(1)
    costs = pair_divergence(z, near)
    for i in range(9):
        others = [*near, *(z[m] for m in range(9) if m != i)]
        kernel = [1 / (1 + float((z[i] - other).square().sum())) for other in others]
        by_hand = -math.log(kernel[i] / sum(kernel))
        assert float(costs[i]) == pytest.approx(by_hand, abs=1e-4)
    assert float(costs.min()) > 0


def test_codes_that_fall_together_cost_no_infinite_gradient() -> None:
    z = torch.zeros(8, 2, requires_grad=True)
    pair_divergence(z, z).sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


@pytest.mark.parametrize("values", [3, 80])
def test_neighbours_are_the_nearest_of_all_rows_but_the_sample_itself(values: int) -> None:
    # Rows that differ in three directions only, in however many values they are written.
    rows = drawn(200, 3) @ drawn(values, 3).T + 5
    known = Neighbourhood.of(rows, Generator().manual_seed(0))
    new = rows[:20] + 0.01 * (rows[20:40] - rows[:20])
    apart = torch.cdist(rows.double(), rows.double()).fill_diagonal_(math.inf)
    assert torch.equal(known.nearest(rows, 5), apart.topk(5, largest=False).indices)
    expected = torch.cdist(new.double(), rows.double()).topk(5, largest=False).indices
    assert torch.equal(known.nearest(new, 5), expected)


def test_every_one_of_the_nearest_is_drawn_and_others_fill_up() -> None:
    rows = drawn(100, 3)
    known = Neighbourhood.of(rows, Generator().manual_seed(0))
    near = {tuple(row.tolist()) for row in rows[known.nearest(rows[:1], 4)[0]]}
    generator = Generator().manual_seed(0)
    several = [known.drawn(rows[:1], 4, generator) for _ in range(100)]
    assert {tuple(some[0].tolist()) for some in several} == near
    assert all(len(some) == LEAST_OTHERS for some in several)
    assert len(known.drawn(drawn(LEAST_OTHERS + 7, 3), 4, generator)) == LEAST_OTHERS + 7


def test_neighbours_are_those_of_clean_samples() -> None:
    x, h = drawn(40, 2), drawn(6, 2)
    module = attended(x, k=1, weight=7)
    draw = module.draw(encoding(x[:6], h), moment())
    near = module.known.drawn(x[:6], 1, moment().generator)
    cost = draw.costs["neighbours"]
    assert cost.weight == 7
    assert torch.equal(cost.value, pair_divergence(h, near))
    assert torch.equal(draw.z, h)


def test_rows_are_at_hand_for_as_long_as_a_fit_lasts() -> None:
    seen: list[int] = []

    class Look:
        def on_epoch_end(self, state: Any) -> None:
            seen.append(len(state.model.bottleneck.known.rows))

    ae = fit(
        bottleneck="neighbours", epochs=1, callbacks=Look(), warm_start=True, validation_fraction=0
    )
    assert ae.module_.bottleneck.known is None
    ae.fit(DIGITS.X)
    assert seen == [len(DIGITS.X)] * 2
    assert ae.history_[-1]["neighbours"] > 0
    assert ae.module_.bottleneck.known is None


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
    assert torch.equal(seen[0].clean(), x)
    assert not torch.allclose(seen[0].h, ae.module_.network.encoder(x))


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
def test_few_rows_are_no_map_but_no_error(rows: int) -> None:
    module = attended(drawn(rows, 3))
    cost = module.draw(encoding(drawn(2, 3), drawn(2, 3)), moment()).costs["neighbours"]
    assert cost.value.shape == (2,)
    assert bool(cost.value.isfinite().all())
    assert bool((cost.value > 0).all()) == (rows > 1)


def test_at_use_a_rows_loss_is_its_own() -> None:
    module = attended(drawn(40, 3))
    seen = encoding(drawn(12, 3), drawn(12, 3))
    assert module.draw(seen, moment(deterministic=True)).costs["neighbours"].value.any() == 0
    ae = fit(bottleneck="neighbours", epochs=2)
    rows = DIGITS.X_test[:20]
    alone = np.concatenate([ae.score_samples(rows[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(ae.score_samples(rows), alone, rtol=1e-5)


def test_held_out_samples_come_nearer_to_their_neighbours_for_a_price(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept(weight: float) -> float:
        """Return how often the five nearest on the map tell which digit a new one shows."""
        ae = fit(
            network="dense(hidden=(128, 64), shortcut=pca)",
            bottleneck=f"neighbours(weight={weight})",
            schedule="one_cycle",
            epochs=60,
        )
        nearest = KNeighborsClassifier(5).fit(ae.transform(DIGITS.X), DIGITS.y)
        return float(nearest.score(ae.transform(DIGITS.X_test), DIGITS.y_test))

    right, free = kept(100), kept(0)
    nearest = Neighbourhood.nearest
    monkeypatch.setattr(Neighbourhood, "nearest", lambda self, x, k: nearest(self, x.roll(1, 0), k))
    others = kept(100)
    assert right > free + 0.02
    assert right > others + 0.2


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
