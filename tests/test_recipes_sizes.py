"""What the recipes on sizes and dimensions measure."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from latente import Autoencoder, datasets
from latente.recipes import dimension, layers

DIGITS = datasets.load("digits").X


def test_the_formula_is_the_documents() -> None:
    for w, f, s, p, said in layers.EXAMPLES:
        assert layers.size(w, f, s, p) == said == layers.real(w, f, s, p)
    assert layers.size(28, 3, 2, 1) == 14.5
    assert layers.real(28, 3, 2, 1) == 14
    assert layers.back(layers.real(9, 3, 2, 1), 3, 2, 1) == 9


@pytest.mark.parametrize(
    "network", ["conv(channels=[4, 8])", "conv(channels=[4, 4], down='pool', up='upsample')"]
)
def test_layers_have_the_formulas_size(network: str) -> None:
    model = Autoencoder(2, network=network, epochs=1, random_state=0).fit(DIGITS[:64])
    found = layers.sizes(model, DIGITS[:2])
    assert len(found) >= 5
    assert all(formula == actual for formula, actual in found)


def test_points_of_the_cube_lie_in_the_ball_as_the_formula_says() -> None:
    rng = np.random.default_rng(0)
    assert [dimension.inside(d) for d in (1, 2, 3)] == pytest.approx([1, np.pi / 4, np.pi / 6])
    for d in (2, 3, 6):
        assert dimension.counted(d, 40_000, rng) == pytest.approx(dimension.inside(d), rel=0.1)
    for d in (2, 10, 50):
        assert dimension.weighted(d, 40_000, rng) == pytest.approx(dimension.inside(d), rel=0.05)


def test_components_hold_the_share_of_the_variance() -> None:
    flat = DIGITS.reshape(len(DIGITS), -1)
    for some in (flat, flat[:30]):
        held = np.cumsum(PCA().fit(some).explained_variance_ratio_)
        assert dimension.components(some, 0.95) == np.searchsorted(held, 0.95) + 1


def test_distances_become_alike() -> None:
    rng = np.random.default_rng(0)
    few, many = (dimension.contrast(rng.random((300, d)), rng) for d in (2, 500))
    assert few > 5 > 0.5 > many
