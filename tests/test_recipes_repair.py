"""What recipes measure of networks with dying units, and of the codes that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latente import Autoencoder, MissingExtra, datasets
from latente.recipes import denoising, repair
from latente.recipes.report import Recipe, Report
from latente.training.state import TrainingState

SHAPES = datasets.load("shapes", n=192)
X = np.asarray(SHAPES.X)


def fitted(epochs: int = 0, **changed: Any) -> Autoencoder:
    keywords = {**repair.CONVOLUTIONAL, "epochs": epochs, "random_state": 0, **changed}
    return Autoencoder(**keywords).fit(X)


@pytest.mark.parametrize("change", repair.CHANGES, ids=lambda change: change.name)
def test_a_change_leaves_the_parameters_as_many(change: repair.Change) -> None:
    model = Autoencoder(**change.of(repair.CONVOLUTIONAL), epochs=0).fit(X)
    assert repair.halves(model) == (repair.ENCODER, repair.DECODER)
    assert model.network_.activation == change.activation


def test_units_that_never_fire_are_counted() -> None:
    model = fitted()
    layer = repair.last_layer(model.module_)
    assert (layer.in_features, layer.out_features) == (3136, 16)
    state = TrainingState(model.module_, 1)
    for dead in (0, 5, 16):
        torch.nn.init.constant_(layer.bias, 10.0)
        with torch.no_grad():
            layer.bias[:dead] = -1000.0
        state.history = [{"epoch": 1.0}]
        repair.LayerWatch(X).on_epoch_end(state)
        assert state.history[0]["units that never fire"] == dead
        assert state.history[0]["units"] == 16
        assert state.history[0]["share firing"] == pytest.approx(1 - dead / 16, abs=0.02)


def test_first_steps_are_those_of_a_fit() -> None:
    keywords = {**repair.CONVOLUTIONAL, "precision": "float32"}
    found = repair.first_steps(keywords, X, 3, 64, seed=0)
    assert all(each.shape == (3,) for each in found)
    assert found.shift[0] == 0
    assert (found.shift[1:] > 0).all()
    assert (found.spread > 0).all()
    still = repair.first_steps({**keywords, "learning_rate": 1e-9}, X, 3, 64, seed=0)
    assert (still.shift[1:] < 0.01 * found.shift[1:]).all()


class Coded:
    """A model whose codes are given."""

    def __init__(self, codes: Any) -> None:
        self.codes = codes

    def transform(self, X: Any) -> Any:
        return self.codes


def test_codes_that_fill_the_prior_are_told_from_a_wedge() -> None:
    codes = np.random.default_rng(0).normal(size=(5000, 2))
    full = repair.CodeUse.of(Coded(codes), None)  # type: ignore[arg-type]
    assert full.filled == 1
    assert full.correlation < 0.05
    wedge = np.abs(codes[:, :1]) * [1.0, 0.5]
    narrow = repair.CodeUse.of(Coded(wedge), None)  # type: ignore[arg-type]
    assert narrow.filled < 0.15
    assert narrow.correlation > 0.99
    nothing = repair.CodeUse.of(Coded(np.zeros((100, 2))), None)  # type: ignore[arg-type]
    assert nothing == repair.CodeUse(0.01, 0.0)


def test_the_bound_lies_below_the_likelihood() -> None:
    model = fitted(epochs=2, learning_rate=0.003, batch_size=32)
    bound = repair.elbo(model, X[:48], draws=8)
    weighted = model.log_likelihood(X[:48], samples=32, random_state=0).mean()
    assert bound < weighted
    assert bound == pytest.approx(float(weighted), rel=0.5)
    grid = repair.decoded(model, X, SHAPES.y, 5)
    assert grid.shares.sum() == pytest.approx(1)
    assert 1 <= grid.classes <= 4
    assert 1 <= grid.different <= grid.places == 25


def test_what_callbacks_see_is_kept_with_the_model(tmp_path: Path) -> None:
    recipe = Recipe(
        name="trial", title="Trial", summary="", rows=("S4",), minutes=0, run=lambda report: None
    )
    keywords = {**repair.CONVOLUTIONAL, "epochs": 1}

    def fit(said: list[str]) -> Autoencoder:
        report = Report(recipe, tmp_path, progress=said.append)
        return report.fit("model", keywords, X, data="shapes", callbacks=repair.LayerWatch(X))

    said: list[str] = []
    first, kept = fit(said), fit(said)
    assert said == ["fitting model", "model was fitted before"]
    assert kept.history_[0]["units that never fire"] == first.history_[0]["units that never fire"]
    assert first.callbacks is None


def test_noise_stays_in_the_range_of_grey_levels() -> None:
    for kind in denoising.KINDS:
        noisy = denoising.damaged(X[:8], kind.at(kind.levels[-1]), 0)
        assert noisy.dtype == np.uint8
        assert (noisy != X[:8]).mean() > 0.1
        assert np.array_equal(noisy, denoising.damaged(X[:8], kind.at(kind.levels[-1]), 0))


def test_a_line_makes_up_for_the_mean_of_the_noise() -> None:
    pytest.importorskip("skimage")
    kind = denoising.KINDS[1]
    noisy = denoising.damaged(X, kind.at(0.1), 0)
    methods = denoising.classical()
    for method in methods:
        some = method.within(3)
        restored, strength = denoising.smoothed([some], X[:6], noisy[:6], noisy[6:12])
        assert strength[method.name] in some.strengths
        before = denoising.quality(X[6:12], noisy[6:12])
        after = denoising.quality(X[6:12], restored[method.name])
        assert after.psnr > before.psnr + 5
        assert after.ssim > before.ssim


def test_a_method_that_leaves_nothing_gives_the_mean_grey() -> None:
    empty = denoising.Method("empty", lambda x, s: np.zeros_like(x), (1.0,))
    restored, _ = denoising.smoothed([empty], X[:6], X[:6], X[6:12])
    assert len(np.unique(restored["empty"])) == 1
    assert restored["empty"].mean() == pytest.approx(X[:6].mean(), abs=0.6)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"latente\[recipes\]"):
        denoising.classical()
