"""What recipes compare with is right: PCA, classifiers, angles, holes, scrambled pictures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from latente import Autoencoder, datasets
from latente.recipes import code_size, linear, maps, sparse
from latente.recipes.baselines import PrincipalComponents, accuracy, unit
from latente.recipes.weights import first_layer, last_layer

DIGITS = datasets.load("digits")
X = np.rint(np.asarray(DIGITS.X) * (255 / 16)).astype(np.uint8)
X_TEST = np.rint(np.asarray(DIGITS.X_test) * (255 / 16)).astype(np.uint8)


def test_components_are_those_of_pca() -> None:
    ours, theirs = PrincipalComponents.learn(X), PCA(5, svd_solver="full").fit(unit(X))
    np.testing.assert_allclose(np.abs(ours.axes[:5] @ theirs.components_.T), np.eye(5), atol=1e-6)
    expected = theirs.inverse_transform(theirs.transform(unit(X_TEST)))
    np.testing.assert_allclose(ours.reconstruct(X_TEST, 5), expected, atol=1e-9)
    np.testing.assert_allclose(
        np.abs(ours.codes(X_TEST, 5)), np.abs(theirs.transform(unit(X_TEST))), atol=1e-6
    )
    found = ours.evaluate(X_TEST, 5)
    assert found["mse"] == pytest.approx(np.square(expected - unit(X_TEST)).mean())
    assert ours.evaluate(X_TEST, 64)["mse"] < 1e-12


def test_a_classifier_of_codes_finds_classes_that_a_line_separates() -> None:
    y = np.arange(200) % 4
    codes = np.eye(4)[y] + np.random.default_rng(0).normal(scale=0.05, size=(200, 4))
    assert accuracy(codes[:100], y[:100], codes[100:], y[100:]) == 1.0
    shuffled = np.random.default_rng(1).permutation(y[:100])
    assert accuracy(codes[:100], shuffled, codes[100:], y[100:]) < 0.7


def test_the_angle_of_a_space_to_itself_is_nothing() -> None:
    model = Autoencoder(
        3, network="dense(hidden=[])", epochs=1, validation_fraction=0.0, random_state=0
    ).fit(X)
    pca = PrincipalComponents.learn(X)
    assert first_layer(model).shape == last_layer(model).shape == (3, 64)
    assert linear.angle(model, pca) > 1
    spanned = PrincipalComponents(pca.mean, np.linalg.qr(last_layer(model).T)[0].T)
    assert linear.angle(model, spanned) < 1e-3


def test_tied_weights_are_the_same_both_ways() -> None:
    network = "dense(hidden=[], tied=True)"
    model = Autoencoder(3, network=network, epochs=1, random_state=0).fit(X)
    np.testing.assert_array_equal(first_layer(model), last_layer(model))


def test_scrambled_pictures_keep_their_values_and_the_pixels_that_are_hardly_used() -> None:
    other = code_size.scrambled(X_TEST, X)
    assert not np.array_equal(other, X_TEST)
    np.testing.assert_array_equal(np.sort(unit(other), axis=1), np.sort(unit(X_TEST), axis=1))
    faint = unit(X).mean(axis=0) <= code_size.FAINT
    assert faint.any()
    np.testing.assert_array_equal(unit(other)[:, faint], unit(X_TEST)[:, faint])
    assert code_size.lost(X_TEST, unit(X_TEST).var(axis=0).mean()) == pytest.approx(1.0)


def test_grey_and_distant_pictures_are_told_from_clear_and_near_ones() -> None:
    clear = np.array([[0.0, 1.0, 1.0, 0.0]])
    grey = np.array([[0.5, 0.5, 0.5, 0.5]])
    assert maps.greyness(clear)[0] == 0.0
    assert maps.greyness(grey)[0] == pytest.approx(0.5)
    known = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(maps.distance(np.concatenate([clear, grey]), known), [0.0, 0.5])
    assert np.isnan(maps.mean(np.empty(0)))


def test_the_highest_price_with_nearly_the_same_loss_is_chosen() -> None:
    def priced(price: float, held_out: float) -> sparse.SparseCode:
        return sparse.SparseCode(price, None, held_out, 0.0, 0.0, 0.0, 0.0)  # type: ignore[arg-type]

    free = priced(0.0, 1.0)
    assert (
        sparse.moderate([free, priced(0.1, 1.01), priced(0.3, 1.04), priced(1, 1.3)]).price == 0.3
    )
    assert sparse.moderate([free, priced(0.1, 2.0), priced(0.3, 3.0)]).price == 0.1
