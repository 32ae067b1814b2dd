"""PSNR, SSIM and MS-SSIM against scikit-image and the papers' definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from latente import ParameterError
from latente.metrics import ms_ssim, psnr, ssim

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
    monkeypatch.setattr("latente.similarity.AT_ONCE", 1)
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
