"""Categorical: the likelihood is torch's, and texts, tables and levels of grey are learned."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from latente import Autoencoder, ParameterError, datasets
from latente.build import build_loss
from latente.data.space import Space
from latente.losses.base import LossModule
from latente.losses.categorical import Categorical, runs_of

RNG = np.random.default_rng(0)
TEXT = Space(shape=(6, 4), layout="sequences", low=0, high=1, binary=True, categories=((0, 4),))
FRAME = Space(shape=(7,), layout="rows", low=-2, high=3, categories=((5, 7), (1, 4)))
GREY = Space.of_shape((1, 3, 2), bounds=(0.0, 1.0))


def one_hot(n: int, steps: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return choices (n, steps), and them as flags (n, steps, width)."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(width, (n, steps), generator=generator)
    return index, functional.one_hot(index, width).float()


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestLikelihood:
    def test_a_choice_costs_the_cross_entropy_of_torch(self) -> None:
        index, target = one_hot(5, 6, 4)
        raw = normal(5, 6, 4)
        wanted = functional.cross_entropy(raw.movedim(-1, 1), index, reduction="none").sum(1)
        loss = Categorical().build(TEXT)
        torch.testing.assert_close(loss(raw, target), wanted)
        torch.testing.assert_close(loss.log_density(raw, target), -wanted)

    def test_numbers_beside_choices_have_a_normal_density(self) -> None:
        loss = Categorical().build(FRAME)
        scale = torch.tensor([-0.5, 0.7])
        loss.load_state_dict({"log_scale": scale})
        raw = normal(5, 7)
        (first, one), (second, two) = one_hot(5, 1, 3), one_hot(5, 1, 2, seed=3)
        numbers = normal(5, 2, seed=4)
        target = torch.cat([numbers[:, :1], one[:, 0], numbers[:, 1:], two[:, 0]], 1)
        wanted = functional.cross_entropy(raw[:, 1:4], first[:, 0], reduction="none")
        wanted += functional.cross_entropy(raw[:, 5:], second[:, 0], reduction="none")
        density = torch.distributions.Normal(raw[:, [0, 4]], scale.exp()).log_prob(numbers)
        torch.testing.assert_close(loss.log_density(raw, target), density.sum(1) - wanted)

    def test_a_level_costs_the_cross_entropy_of_torch(self) -> None:
        loss = Categorical(levels=5).build(GREY)
        assert loss.per_value == 5
        level = torch.randint(5, (4, 1, 3, 2), generator=torch.Generator().manual_seed(0))
        raw = normal(4, 5, 1, 3, 2)
        wanted = functional.cross_entropy(raw, level, reduction="none").flatten(1).sum(1)
        torch.testing.assert_close(loss.log_density(raw, level / 4), -wanted)
        near = (level / 4 + 0.1).clamp(max=1)  # rounds to the same level
        torch.testing.assert_close(loss.log_density(raw, near), -wanted)

    def test_nothing_behind_the_end_counts(self) -> None:
        space = replace(TEXT, shape=(6, 5), ragged=True)
        loss = build_loss(Categorical(), space, "auto")
        index, flags = one_hot(3, 6, 4)
        exists = (torch.arange(6) < torch.tensor([[6], [2], [1]])).float()[..., None]
        target, raw = torch.cat([flags * exists, exists], -1), normal(3, 6, 5)
        each = functional.cross_entropy(raw[..., :4].movedim(-1, 1), index, reduction="none")
        presence = functional.binary_cross_entropy_with_logits(
            raw[..., 4:], exists, reduction="none"
        )
        wanted = (each * exists[..., 0] + presence[..., 0]).sum(1)
        torch.testing.assert_close(loss(raw, target), wanted)
        torch.testing.assert_close(loss.log_density(raw, target), -wanted)
        torch.testing.assert_close(loss.values(raw, target).flatten(1).sum(1), wanted)

    def test_the_mean_is_over_the_steps_there_are(self) -> None:
        space = replace(TEXT, shape=(6, 5), ragged=True)
        summed, mean = (
            build_loss(Categorical(reduction=name), space, "auto")  # type: ignore[arg-type]
            for name in ("sum", "mean")
        )
        exists = (torch.arange(6) < torch.tensor([[6], [2]])).float()[..., None]
        target = torch.cat([one_hot(2, 6, 4)[1] * exists, exists], -1)
        raw = normal(2, 6, 5)
        values = torch.tensor([6 * 4 + 6, 2 * 4 + 6])
        torch.testing.assert_close(mean(raw, target), summed(raw, target) / values)


class TestOutput:
    def test_groups_are_probabilities_and_numbers_stay(self) -> None:
        raw = 3 * normal(5, 7)
        output = Categorical().build(FRAME).output(raw)
        for start, stop in FRAME.categories:
            torch.testing.assert_close(output[:, start:stop].sum(1), torch.ones(5))
        assert torch.equal(output[:, [0, 4]], raw[:, [0, 4]])

    def test_levels_are_expected_or_most_likely(self) -> None:
        raw = torch.tensor([2.0, 0.0, 1.0]).log().clamp(min=-50).view(1, 3, 1, 1, 1)
        raw = raw.expand(2, 3, *GREY.shape)
        expected = Categorical(levels=3).build(GREY).output(raw)
        likely = Categorical(levels=3, output="likely").build(GREY).output(raw)
        torch.testing.assert_close(expected, torch.full((2, 1, 3, 2), 1 / 3))
        assert torch.equal(likely, torch.zeros(2, 1, 3, 2))

    def test_runs_cover_all_columns(self) -> None:
        assert runs_of([(5, 7), (1, 4)], 8) == [
            (0, 1, False), (1, 4, True), (4, 5, False), (5, 7, True), (7, 8, False),
        ]  # fmt: skip
        assert runs_of([], 3) == [(0, 3, False)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(levels=1), "levels must be None or a whole number from 2"),
        (lambda: Categorical(output="mean"), "'expected' or 'likely'"),  # type: ignore[arg-type]
        (lambda: Categorical().build(GREY), "say how many levels"),
        (lambda: Categorical().build(TEXT, "sigmoid"), "a softmax of its own"),
        (lambda: Categorical(levels=4).build(FRAME), "needs values from 0 to 1.*-2 to 3"),
    ],
)
def test_what_cannot_work_is_named(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


WORDS = ("red fox", "old dog", "big cat", "shy owl")


def phrases(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [f"{WORDS[a]} {WORDS[b]}" for a, b in rng.integers(len(WORDS), size=(n, 2))]


def accuracy(true: list[str], made: list[str]) -> float:
    """Share of the characters that came back at their place."""
    hits = sum(a == b for x, y in zip(true, made, strict=True) for a, b in zip(x, y, strict=False))
    return hits / sum(map(len, true))


def test_characters_of_unseen_text_come_back() -> None:
    X, unseen = phrases(300, 0), phrases(60, 1)
    joined = "".join(X)
    unigram = max(joined.count(c) for c in set(joined)) / len(joined)

    def fit(epochs: int) -> Autoencoder:
        return Autoencoder(
            8, network="recurrent(hidden=48)", epochs=epochs, learning_rate=0.01, random_state=0
        ).fit(X)

    ae, untrained = fit(15), fit(0)
    assert ae.loss_ == Categorical()
    assert accuracy(unseen, ae.reconstruct(unseen)) > max(
        0.9, 3 * unigram, 3 * accuracy(unseen, untrained.reconstruct(unseen))
    )
    assert ae.score(unseen) > untrained.score(unseen) / 3


def frame(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    plan, place = rng.integers(4, size=n), rng.integers(3, size=n)
    return pd.DataFrame({
        "plan": np.array(["a", "b", "c", "d"])[plan],
        "use": 10.0 * plan + rng.normal(0, 1, n),
        "place": np.array(["x", "y", "z"])[place],
    })  # fmt: skip


def test_categories_of_a_frame_are_learned_where_asked() -> None:
    X, unseen = frame(600, 0), frame(200, 1)
    keywords: dict[str, Any] = {"network": "dense(hidden=[32])", "random_state": 0}
    ae = Autoencoder(2, loss="categorical", epochs=60, learning_rate=0.01, **keywords).fit(X)
    back = ae.reconstruct(unseen)
    for column in ("plan", "place"):
        assert (back[column] == unseen[column]).mean() > 0.95
    assert abs(back["use"] - unseen["use"]).mean() < 3
    scale = ae.module_.loss.log_scale  # of "use", the only column of numbers
    assert scale.shape == (1,)
    assert scale.item() < -0.5
    odd = unseen.assign(plan="a", use=30.0)
    assert np.median(ae.score_samples(odd)) < np.median(ae.score_samples(unseen)) - 3
    assert type(Autoencoder(2, epochs=0, **keywords).fit(X).loss_) is not Categorical


class TestLevels:
    digits = datasets.load("digits")

    def fit(self, loss: Categorical, epochs: int = 20, **keywords: Any) -> Autoencoder:
        network = "dense(hidden=[64])"
        keywords = {"learning_rate": 0.003, "random_state": 0, "scaling": "minmax"} | keywords
        return Autoencoder(8, network=network, loss=loss, epochs=epochs, **keywords).fit(
            self.digits.X
        )

    def nats(self, ae: Autoencoder) -> float:
        return -ae.score(self.digits.X_test) / 64

    def test_pictures_are_learned(self) -> None:
        ae, untrained = self.fit(Categorical(levels=17)), self.fit(Categorical(levels=17), 0)
        assert self.nats(untrained) > 0.9 * math.log(17)
        assert self.nats(ae) < 0.65 * math.log(17)
        errors = [
            model.reconstruction_error(self.digits.X_test).mean() for model in (ae, untrained)
        ]
        assert errors[0] < errors[1] / 3

    def test_likely_levels_are_levels(self) -> None:
        ae = self.fit(Categorical(levels=5, output="likely"), 5)
        x = ae.fitted_.restored(self.digits.X_test[:20])
        assert set(np.unique(x * 4)) <= {0, 1, 2, 3, 4}
        expected = self.fit(Categorical(levels=5), 5)
        assert len(np.unique(expected.fitted_.restored(self.digits.X_test[:20]))) > 100

    def test_it_is_a_likelihood(self) -> None:
        ae = self.fit(Categorical(levels=17), 3, bottleneck="gaussian")
        bound = ae.log_likelihood(self.digits.X_test[:50], samples=20, random_state=0).mean()
        assert -64 * math.log(17) < bound < 0


def test_a_decoder_of_levels_gives_them_for_sequences() -> None:
    space = Space(shape=(6, 3), layout="sequences", low=0, high=1, ragged=True)
    loss: LossModule = build_loss(Categorical(levels=4), space, "auto")
    exists = torch.ones(2, 6, 1)
    raw, target = normal(2, 4, 6, 3), torch.cat([torch.rand(2, 6, 2), exists], -1)
    assert loss(raw, target).shape == (2,)
    assert loss.output(raw).shape == (2, 6, 3)
