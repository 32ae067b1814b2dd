"""What the recipes of the font measure: descents, least squares, free codes, the best answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latente import Autoencoder, datasets
from latente.recipes.descent import Descent, by_iteration, by_second
from latente.recipes.font_causes import free_codes, most_common, work
from latente.recipes.font_denoising import posterior_mean, recognised, squared
from latente.recipes.glyphs import GIVEN
from latente.recipes.levenberg import levenberg_marquardt

GLYPHS = datasets.load("font").X[32:64]


def test_a_descent_is_the_lowest_error_so_far() -> None:
    run = Descent.of([4.0, 2.0, 3.0, 1.0], [1.0, 2.0, 3.0, 4.0])
    assert run.errors.tolist() == [4, 2, 2, 1]
    assert [run.at(n) for n in (0, 1, 1.9, 2, 3.9, 4, 999)] == [4, 4, 4, 2, 2, 1, 1]
    other = Descent.of([8.0, 6.0], [1.0, 5.0])
    x, (first, second) = by_iteration([run, other])
    assert x[0] == 1
    assert x[-1] == pytest.approx(2)
    assert (first[-1], second[-1]) == (2, 6)
    assert by_second([run, other])[0][-1] == pytest.approx(4)


def test_a_descent_may_take_the_pace_of_another_fit() -> None:
    run = Descent.of([4.0, 2.0, 3.0], [1.0, 2.0, 9.0]).paced(0.5)
    assert run.seconds.tolist() == [0.5, 1, 1.5]
    assert run.errors.tolist() == [4, 2, 2]


def test_the_descent_of_a_fit_ends_with_its_error() -> None:
    longer, shorter = (
        Autoencoder(**{**GIVEN, "epochs": epochs}, random_state=0).fit(GLYPHS) for epochs in (5, 3)
    )
    run, part = (Descent.of_fit(model, GLYPHS, step=20) for model in (longer, shorter))
    assert run.iterations.tolist() == [20, 40, 60, 80, 100]
    assert run.at(60) == pytest.approx(part.at(60), rel=1e-5)
    assert run.at(100) == pytest.approx(float(-longer.score_samples(GLYPHS).mean()))
    assert (np.diff(run.seconds) > 0).all()


def test_the_descent_of_a_kept_model_is_that_of_the_fit(tmp_path: Path) -> None:
    model = Autoencoder(**{**GIVEN, "epochs": 700}, random_state=0).fit(GLYPHS)
    model.save(tmp_path / "model.safetensors")
    kept = Autoencoder.load(tmp_path / "model.safetensors")
    assert len(kept.history_) < 500
    first, again = (Descent.of_fit(each, GLYPHS) for each in (model, kept))
    for n in (1, 2, 5, 100, 700):
        assert again.at(n) == pytest.approx(first.at(n), rel=0.01)
    assert again.iterations[-1] == first.iterations[-1] == 700
    assert (np.diff(again.seconds) > 0).all()


def test_the_descent_of_a_fit_on_targets_is_measured_on_them() -> None:
    noisy = 1 - GLYPHS
    one, two = (
        Autoencoder(**{**GIVEN, "epochs": epochs}, random_state=0).fit(noisy, target=GLYPHS)
        for epochs in (1, 2)
    )
    begun = two.history_[1]["total"]
    assert Descent.of_fit(one, noisy, GLYPHS).at(1) == pytest.approx(begun, rel=1e-5)


def test_levenberg_and_marquardt_pass_gradient_descent() -> None:
    def fitted(epochs: int) -> Autoencoder:
        return Autoencoder(**{**GIVEN, "epochs": epochs}, random_state=0).fit(GLYPHS)

    model = fitted(1)
    before = -model.score_samples(GLYPHS).mean()
    path = levenberg_marquardt(model, GLYPHS, 25)
    after = -model.score_samples(GLYPHS).mean()
    assert path.errors[-1] == pytest.approx(after, rel=1e-4)
    assert after < 0.8 * before
    assert after < -fitted(25).score_samples(GLYPHS).mean()


def test_layers_at_work_have_the_gradient_of_the_loss() -> None:
    model = Autoencoder(**{**GIVEN, "epochs": 1}, random_state=0).fit(GLYPHS)
    found = work(model, GLYPHS)
    assert len(found) == 4
    assert all(0 < layer.slope <= 0.25 for layer in found)
    weight = next(p for p in model.module_.network.decoder.parameters() if p.shape == (35, 5))
    step = 1e-3

    def loss() -> float:
        return float(-model.score_samples(GLYPHS).mean())

    # Along each weight the loss changes as the gradient says, whose norm is the one that is told.
    slopes = []
    for place in np.ndindex(*weight.shape):
        kept = float(weight.data[place])
        weight.data[place] = kept + step
        up = loss()
        weight.data[place] = kept - step
        slopes.append((up - loss()) / (2 * step))
        weight.data[place] = kept
    assert np.linalg.norm(slopes) == pytest.approx(found[-1].gradient, rel=0.05)


def test_free_codes_need_a_decoder_that_is_wide_enough() -> None:
    few = GLYPHS[:6]
    narrow = free_codes(few, 1, 2, 300, 0)
    wide = free_codes(few, 20, 2, 300, 0)
    assert len(wide) == 2
    assert max(wide) == 0 < min(narrow) < most_common(few)


def test_no_answer_is_better_than_the_posterior_mean() -> None:
    rng = np.random.default_rng(0)
    X = GLYPHS[:9].astype(np.float64)
    truth = np.concatenate([X] * 300)
    noisy = np.where(rng.random(truth.shape) < 0.25, 1 - truth, truth)
    best = posterior_mean(noisy, X, 0.25)
    nearest = X[np.square(noisy[:, None] - X[None]).sum((2, 3)).argmin(1)]
    assert squared(best, truth) < squared(nearest, truth) < squared(noisy, truth)
    for other in (0.15, 0.35):
        assert squared(best, truth) < squared(posterior_mean(noisy, X, other), truth)
    assert recognised(nearest, truth, X) > 0.5
    assert recognised(truth, truth, X) == 1
