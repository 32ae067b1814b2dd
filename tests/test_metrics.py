"""The measures of reconstructions against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latente import ParameterError
from latente.metrics import agreement, bce, bd_rate, mse, psnr

PAIRS = arrays(np.float64, (2, 3, 4, 2), elements=st.floats(-10, 10))


def test_mse_is_averaged_over_a_samples_values() -> None:
    X = np.zeros((2, 2, 2))
    other = np.array([[[1, 1], [1, 1]], [[2, 0], [0, 0]]])
    assert mse(X, other).tolist() == [1.0, 1.0]
    assert mse(X, 2 * other).tolist() == [4.0, 4.0]


def test_bytes_do_not_wrap_around() -> None:
    assert mse(np.array([[0]], np.uint8), np.array([[255]], np.uint8)).tolist() == [255.0**2]


@given(PAIRS)
def test_psnr_follows_from_mse(pair: np.ndarray) -> None:
    a, b = pair
    expected = np.full(3, np.inf)
    errors = mse(a, b)
    expected[errors > 0] = 10 * (np.log10(4) - np.log10(errors[errors > 0]))
    np.testing.assert_allclose(psnr(a, b, span=2.0), expected, atol=1e-9)


def test_psnr_of_a_tenth_of_the_error_is_ten_decibels_more() -> None:
    X = np.zeros((1, 5))
    near, far = psnr(X, X + 0.1, 255)[0], psnr(X, X + 0.1 * np.sqrt(10), 255)[0]
    assert near - far == pytest.approx(10)


def test_bce_of_halves_is_a_bit_a_value() -> None:
    X = np.array([[0.0, 1.0, 0.3]])
    assert bce(X, np.full((1, 3), 0.5))[0] == pytest.approx(np.log(2))


def test_bce_is_least_at_the_truth_and_finite_at_the_ends() -> None:
    X = np.array([[0.2, 0.7]])
    assert bce(X, X)[0] < bce(X, X + 0.1)[0]
    assert np.isfinite(bce(np.array([[1.0]]), np.array([[0.0]]))[0])


def test_agreement_is_one_for_classes_apart_and_by_chance_for_classes_mixed() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 100)
    apart = rng.normal(size=(200, 2)) + 20 * classes[:, None]
    assert agreement(apart, classes) == 1.0
    assert agreement(rng.normal(size=(200, 2)), classes) == pytest.approx(0.5, abs=0.1)


def test_a_sample_is_not_its_own_neighbour() -> None:
    places = np.array([[0.0], [0.1], [10.0], [10.1]])
    assert agreement(places, [0, 1, 0, 1], neighbours=1) == 0.0


def test_the_rate_difference_of_a_curve_at_half_the_bytes_is_a_half() -> None:
    decibels = np.array([22.0, 26.0, 31.0, 35.0])
    rates = np.array([100.0, 200.0, 420.0, 900.0])
    assert bd_rate(rates / 2, decibels, rates, decibels) == pytest.approx(-0.5)
    assert bd_rate(rates[::-1], decibels[::-1], rates, decibels) == pytest.approx(0)
    assert bd_rate(rates * 3, decibels, rates, decibels) == pytest.approx(2)


def test_the_rate_difference_counts_only_what_both_reach() -> None:
    decibels = np.array([20.0, 25.0, 30.0])
    rates = 10 ** (decibels / 20)
    beyond = np.array([24.0, 27.0, 40.0])
    found = bd_rate(0.8 * 10 ** (beyond / 20), beyond, rates, decibels)
    assert found == pytest.approx(-0.2, abs=0.01)
    with pytest.raises(ParameterError, match="share no quality"):
        bd_rate(rates, decibels + 50, rates, decibels)
    with pytest.raises(ParameterError, match="two points"):
        bd_rate([2, 1], [20, 30], rates, decibels)
