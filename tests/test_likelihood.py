"""GaussianLikelihood(scale="value"): the decoder learns how sure it can be of each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.distributions import Normal

from latente import Autoencoder, GaussianLikelihood
from latente.data.space import Space

Floats = NDArray[np.float32]
FEATURES = 12


def uneven_noise(n: int, seed: int) -> tuple[Floats, Floats]:
    """Return points on a curve, and the deviation of the noise of each value, both (n, features).

    Noise grows along the curve for the first half of the features, and falls for the others.
    """
    rng = np.random.default_rng(seed)
    place = rng.uniform(-1, 1, (n, 1))
    rates = np.linspace(0.5, 2, FEATURES)
    sign = np.where(np.arange(FEATURES) < FEATURES // 2, 1, -1)
    deviation = 0.15 * np.exp(1.5 * place * sign)
    X = np.sin(rates * place * 2) + 2 * rates * place + rng.normal(size=(n, FEATURES)) * deviation
    return X.astype(np.float32), deviation.astype(np.float32)


def fit(X: Floats, scale: Any, epochs: int = 60) -> Autoencoder:
    return Autoencoder(
        1, network="dense(hidden=[32], activation=tanh)", loss=GaussianLikelihood(scale=scale),
        scaling="none", epochs=epochs, learning_rate=0.01, batch_size=100, random_state=0,
    ).fit(X)  # fmt: skip


def deviations(ae: Autoencoder, X: Floats) -> Floats:
    """Return the deviation that the model gives to each value."""
    with torch.no_grad():
        x = torch.from_numpy(X)
        raw = ae.module_.network.decode(ae.module_.encode(x))
        least = ae.module_.loss.least
        log_scale = least + torch.nn.functional.softplus(raw[:, 1] - least)
        made: Floats = log_scale.exp().numpy()
    return made


def test_the_deviation_of_each_value_is_learned() -> None:
    (X, _), (unseen, true) = uneven_noise(2000, 0), uneven_noise(500, 1)
    ae, untrained = fit(X, "value"), fit(X, "value", 0)
    found = np.log(deviations(ae, unseen))
    assert np.corrcoef(found.ravel(), np.log(true).ravel())[0, 1] > 0.9
    assert np.abs(found - np.log(true)).mean() < 0.3
    assert np.abs(np.log(deviations(untrained, unseen)) - np.log(true)).mean() > 1


def test_unseen_rows_are_likelier_than_with_one_deviation_a_feature() -> None:
    (X, _), (unseen, true) = uneven_noise(2000, 0), uneven_noise(500, 1)
    value, feature, shared = (
        fit(X, scale).score(unseen) for scale in ("value", "feature", "shared")
    )
    assert value > feature + 0.15 * FEATURES
    assert value > shared + 0.15 * FEATURES
    best = -(np.log(true) + 0.5 * np.log(2 * np.pi) + 0.5).sum(1).mean()
    assert value > best - 0.2 * FEATURES


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (6, 3)])
def test_it_is_the_density_of_torch(shape: tuple[int, ...]) -> None:
    loss = GaussianLikelihood(scale="value").build(Space.of_shape(shape))
    assert loss.per_value == 2
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(4, 2, *shape, generator=generator)
    target = torch.randn(4, *shape, generator=generator)
    least = np.log(1e-3)
    scale = (least + torch.nn.functional.softplus(raw[:, 1] - least)).exp()
    wanted = Normal(raw[:, 0], scale).log_prob(target).flatten(1).sum(1)
    torch.testing.assert_close(loss.log_density(raw, target), wanted)
    torch.testing.assert_close(loss(raw, target), -wanted)
    assert torch.equal(loss.output(raw), raw[:, 0])
