"""The measures of reconstructions against their definitions, scikit-image and the papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from latente import ParameterError
from latente.metrics import agreement, bce, bd_rate, ms_ssim, mse, psnr, ssim

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


Floats = np.ndarray[Any, np.dtype[np.float64]]


def pictures(*shape: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Smooth random pictures in [0, 1], and the same with noise and less contrast."""
    rng = np.random.default_rng(seed)
    clean = gaussian_filter(rng.random(shape), (0, 2, 2, *[0] * (len(shape) - 3)))
    clean = (clean - clean.min()) / (clean.max() - clean.min())
    return clean, np.clip(0.8 * clean + rng.normal(0.1, 0.1, shape), 0, 1)


def theirs(a: Floats, b: Floats, span: float, channels: bool = False) -> float:
    return float(
        structural_similarity(
            a,
            b,
            data_range=span,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1 if channels else None,
        )
    )


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 11, 40), (2, 32, 30, 3)])
@pytest.mark.parametrize("span", [1, 255])
def test_ssim_is_scikit_images(shape: tuple[int, ...], span: float) -> None:
    clean, other = (span * each for each in pictures(*shape))
    expected = [theirs(a, b, span, len(shape) == 4) for a, b in zip(clean, other, strict=True)]
    np.testing.assert_allclose(ssim(clean, other, span), expected, atol=1e-9)


@given(st.integers(0, 1000), st.sampled_from([1.0, 2.0, 255.0]))
def test_psnr_is_scikit_images(seed: int, span: float) -> None:
    clean, other = pictures(2, 9, 7, seed=seed)
    expected = [
        peak_signal_noise_ratio(a, b, data_range=span) for a, b in zip(clean, other, strict=True)
    ]
    np.testing.assert_allclose(psnr(clean, other, span), expected, rtol=1e-12)


def by_definition(x: Floats, y: Floats, exponents: list[float]) -> float:
    """MS-SSIM as equation 7 of Wang et al. (2003) has it, on SciPy's Gaussian filter."""
    first, second = 0.01**2, 0.03**2
    luminance, total = None, 1.0
    for scale, exponent in enumerate(exponents):
        if scale:
            x, y = (z.reshape(z.shape[0] // 2, 2, z.shape[1] // 2, 2).mean((1, 3)) for z in (x, y))

        def mean(z: Floats) -> Floats:
            return np.asarray(gaussian_filter(z, 1.5, truncate=3.5)[5:-5, 5:-5])

        deviations = mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
        covariance = mean(x * y) - mean(x) * mean(y)
        structure = (2 * covariance + second) / (deviations[0] + deviations[1] + second)
        luminance = (2 * mean(x) * mean(y) + first) / (mean(x) ** 2 + mean(y) ** 2 + first)
        last = scale == len(exponents) - 1
        total *= float((luminance * structure if last else structure).mean()) ** exponent
    return total


def test_ms_ssim_is_the_papers() -> None:
    clean, other = pictures(2, 176, 192)
    exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    expected = [by_definition(a, b, exponents) for a, b in zip(clean, other, strict=True)]
    np.testing.assert_allclose(ms_ssim(clean, other), expected, rtol=1e-9)
    fewer = [each / sum(exponents[:2]) for each in exponents[:2]]
    expected = [by_definition(a, b, fewer) for a, b in zip(clean, other, strict=True)]
    np.testing.assert_allclose(ms_ssim(clean, other, scales=2), expected, rtol=1e-9)


def test_one_scale_is_ssim_and_the_channels_are_averaged() -> None:
    clean, other = pictures(2, 24, 24, 3)
    np.testing.assert_allclose(ms_ssim(clean, other, scales=1), ssim(clean, other))
    apart = np.mean([ms_ssim(clean[..., c], other[..., c], scales=2) for c in range(3)], axis=0)
    np.testing.assert_allclose(ms_ssim(clean, other, scales=2), apart)


def test_the_same_picture_is_like_itself_and_its_negative_is_not() -> None:
    clean, _ = pictures(2, 32, 32)
    assert np.allclose(ssim(clean, clean), 1)
    assert np.allclose(ms_ssim(clean, clean, scales=2), 1)
    assert np.all(ssim(clean, 1 - clean) < 0)
    assert np.all(ms_ssim(clean, 1 - clean, scales=2) == 0)


def test_tensors_bytes_and_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clean, other = ((255 * each).astype(np.uint8) for each in pictures(5, 16, 16))
    expected = ssim(clean.astype(float), other.astype(float), 255)
    np.testing.assert_array_equal(ssim(clean, other, 255), expected)
    tensors = torch.from_numpy(clean), torch.from_numpy(other)
    np.testing.assert_array_equal(ssim(*tensors, 255), expected)
    monkeypatch.setattr("latente.metrics.BLOCK_NUMBERS", 1)
    np.testing.assert_allclose(ssim(clean, other, 255), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: ssim(np.zeros((1, 8, 8)), np.zeros((1, 8, 8))), "8×8 are too small: give 11×11"),
        (lambda: ms_ssim(np.zeros((1, 64, 64)), np.zeros((1, 64, 64))), "give 176×176"),
        (lambda: ms_ssim(np.zeros((1, 64, 64)), np.zeros((1, 64, 64)), scales=6), "from 1 to 5"),
        (lambda: ssim(np.zeros((1, 99)), np.zeros((1, 99))), "not .1, 99."),
        (lambda: psnr(np.zeros((1, 9)), np.zeros((1, 8))), "cannot be compared"),
        (lambda: psnr(np.zeros((1, 9)), np.zeros((1, 9)), 0), "span=0"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence(call: Any, told: str) -> None:
    with pytest.raises(ParameterError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
