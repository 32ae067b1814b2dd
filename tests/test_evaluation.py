"""Evaluation: figures of held-out rows, from floats, each in the scale that it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from latente import (
    MMD,
    Autoencoder,
    DataError,
    Dense,
    Gaussian,
    GaussianNoise,
    ParameterError,
    datasets,
    metrics,
)
from latente.cli.main import app
from latente.evaluation import even_blocks
from latente.families import FAMILIES

DIGITS = datasets.load("digits")
SHAPES = datasets.load("shapes", n=120).X
"""Pictures of bytes, large enough for SSIM."""


def small(**keywords: Any) -> Autoencoder:
    given_: dict[str, Any] = {
        "latent_dim": 3, "network": Dense(hidden=(16,)), "epochs": 1, "random_state": 0,
        "device": "cpu",
    }  # fmt: skip
    return Autoencoder(**(given_ | keywords))


@pytest.fixture(scope="module")
def pictures() -> Autoencoder:
    return small(loss="bernoulli", epochs=60, batch_size=20, learning_rate=0.01).fit(SHAPES[:100])


def passed(ae: Autoencoder, X: np.ndarray) -> np.ndarray:
    """Pictures of bytes as the model gives them back, in [0, 1] and not rounded."""
    x = torch.from_numpy(X[:, None] / np.float32(255))
    with torch.no_grad():
        return ae.module_(x)[:, 0].double().numpy()


def test_measures_are_of_the_reconstruction_before_it_is_rounded(pictures: Autoencoder) -> None:
    held = SHAPES[100:]
    found, x, y = pictures.evaluate(held), held / 255.0, passed(pictures, held)
    for name, expected in {
        "mse": metrics.mse(x, y),
        "bce": metrics.bce(x, y),
        "psnr": metrics.psnr(x, y),
        "ssim": metrics.ssim(x, y),
    }.items():
        np.testing.assert_allclose(found.samples[name], expected, rtol=1e-4)
        assert found[name] == pytest.approx(expected.mean(), rel=1e-4)
    assert found["bce_per_sample"] == pytest.approx(784 * found["bce"])
    assert found["reconstruction_per_value"] == pytest.approx(found["bce"], rel=1e-3)
    rounded = metrics.bce(x, pictures.reconstruct(held) / 255.0).mean()
    assert abs(rounded - found["bce"]) > 1e-7, "bytes would have told the same"
    assert found.scale == "0 to 1"
    assert found.rows == 20


def test_the_total_is_the_score_and_the_error_is_the_reconstruction_error() -> None:
    X = DIGITS.X_test
    for keywords in ({}, {"bottleneck": "gaussian"}, {"scaling": "standard", "layout": "pictures"}):
        ae = small(**keywords).fit(DIGITS.X[:200])
        found = ae.evaluate(X)
        assert found["total"] == pytest.approx(-ae.score(X), rel=1e-5)
        assert found["mse"] == pytest.approx(float(ae.reconstruction_error(X).mean()), rel=1e-5)
    assert found.scale == "the model's"
    assert not {"bce", "psnr", "ssim"} & set(found), "no range is known of standardised floats"


def test_bytes_are_measured_from_0_to_1_whatever_the_scaling() -> None:
    held = SHAPES[100:]
    ae = small(scaling="standard").fit(SHAPES[:100])
    with torch.no_grad():
        values = ae.module_(ae.fitted_.input.convert(torch.from_numpy(held)))[:, 0].double()
    scaling = ae.fitted_.input.scaling_map
    y = (values.numpy() * scaling.span.item() + scaling.shift.item()) / 255
    found = ae.evaluate(held)
    assert found["mse"] == pytest.approx(np.square(held / 255.0 - y).mean(), rel=1e-4)
    assert found["psnr"] == pytest.approx(metrics.psnr(held / 255.0, y).mean(), rel=1e-4)


@pytest.mark.parametrize("name", FAMILIES["bottleneck"])
def test_every_cost_of_the_history_is_measured(name: str) -> None:
    ae = small(bottleneck=name, epochs=2).fit(DIGITS.X[:200])
    found = ae.evaluate(DIGITS.X_test[:100])
    terms = {key for key in ae.history_[-1] if key.startswith("validation_")}
    assert {key.removeprefix("validation_") for key in terms} <= set(found)
    assert all(np.isfinite(value) for value in found.values())


def test_costs_of_a_whole_batch_are_no_zeros() -> None:
    for bottleneck in (MMD(), MMD(stochastic=True), Gaussian(tc=4.0)):
        ae = small(bottleneck=bottleneck).fit(DIGITS.X[:200])
        found = ae.evaluate(DIGITS.X_test[:100])
        (name,) = {"mmd", "total_correlation"} & set(found)
        assert abs(found[name]) > 1e-5
        assert found == ae.evaluate(DIGITS.X_test[:100])


def test_what_is_missing_counts_nowhere() -> None:
    X = np.random.default_rng(0).normal(size=(150, 6))
    X[:, 3] = X[:, 0]
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    ae = small(corruption="gaps").fit(X[:120])
    held = X[120:]
    found, known = ae.evaluate(held), ~np.isnan(held)
    differences = ae.fitted_.differences(held)
    by_row = (differences**2).sum(1) / known.sum(1)
    assert found["mse"] == pytest.approx(np.nanmean(by_row), rel=1e-4)
    assert found["mse"] > float(ae.reconstruction_error(held).mean())
    assert ae.evaluate(held, corrupted=True)["mse"] != found["mse"], "values were hidden"


def test_sequences_count_up_to_their_end() -> None:
    generator = np.random.default_rng(0)
    walks = [generator.normal(size=(int(n), 2)).astype("f4") for n in generator.integers(3, 9, 60)]
    ae = small(network="recurrent").fit(walks)
    found = ae.evaluate(walks[:20])
    assert found["mse"] == pytest.approx(
        float(ae.reconstruction_error(walks[:20]).mean()), rel=1e-4
    )
    values = np.mean([walk.size for walk in walks[:20]])
    assert found["reconstruction_per_value"] == pytest.approx(found["reconstruction"] / values)
    texts = ["ab", "abc", "cab", "b"] * 10
    told = small(network="recurrent").fit(texts).evaluate(texts[:8])
    assert "mse" in told
    assert "bce" not in told


def test_tables_of_mixed_columns_have_no_range() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": generator.normal(size=80), "kind": generator.choice(["a", "b", "c"], 80)}
    )
    frame.loc[3, "size"] = np.nan
    found = small(latent_dim=2).fit(frame).evaluate(frame[:30])
    assert {"total", "reconstruction", "mse"} <= set(found)
    assert not {"bce", "psnr"} & set(found)


def test_a_target_outside_0_and_1_has_no_cross_entropy() -> None:
    X = np.random.default_rng(0).random((100, 5))
    ae = small().fit(X)
    assert "bce" in ae.evaluate(X)
    X[3, 2] = 1.5
    found = ae.evaluate(X)
    assert "bce" not in found
    assert np.isfinite(found["psnr"])


def test_targets_and_corruptions(pictures: Autoencoder) -> None:
    X = SHAPES[100:]
    shown = np.flip(X, 0).copy()
    crossed = pictures.evaluate(X, target=shown)
    assert crossed["mse"] > pictures.evaluate(X)["mse"]
    with pytest.raises(DataError, match="target has 3 rows but X has 20"):
        pictures.evaluate(X, target=X[:3])
    with pytest.raises(ParameterError, match="trained without a corruption"):
        pictures.evaluate(X, corrupted=True)
    ae = small(corruption=GaussianNoise(std=0.4), epochs=60, learning_rate=0.01).fit(SHAPES[:100])
    clean = ae.evaluate(X)
    own = ae.evaluate(X, corrupted=True)
    assert own == ae.evaluate(X, corrupted="gaussian_noise(std=0.4)")
    assert own == ae.evaluate(X, corrupted=True, random_state=0)
    assert own != ae.evaluate(X, corrupted=True, random_state=1)
    assert own != clean
    assert ae.evaluate(X, corrupted="gaussian_noise(std=3)")["mse"] > own["mse"]
    with pytest.raises(ParameterError, match="trained under it"):
        ae.evaluate(X, corrupted="erase(mask_channel=True)")


def test_weights_count_rows_as_often(pictures: Autoencoder) -> None:
    X = SHAPES[100:110]
    weights = np.array([0, 1, 3, 1, 1, 1, 1, 1, 1, 2])
    found = pictures.evaluate(X, sample_weight=weights)
    repeated = pictures.evaluate(np.repeat(X, weights, axis=0))
    assert dict(found) == pytest.approx(dict(repeated), rel=1e-5)
    with pytest.raises(DataError, match="one weight a row"):
        pictures.evaluate(X, sample_weight=[1.0])


def test_blocks_do_not_change_the_figures(
    pictures: Autoencoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pictures.evaluate(SHAPES)
    monkeypatch.setattr("latente.evaluation.block_rows", lambda _: 7)
    path = tmp_path / "x.npy"
    np.save(path, SHAPES)
    streamed = pictures.evaluate(np.load(path, mmap_mode="r"))
    assert dict(streamed) == pytest.approx(dict(whole), rel=1e-5)


@given(st.integers(1, 5000), st.integers(1, 700))
def test_blocks_cover_all_rows_and_are_about_equal(rows: int, most: int) -> None:
    found = list(even_blocks(rows, most))
    sizes = [stop - start for start, stop in found]
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
    assert found[-1][1] == rows
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1


def test_a_mean_loss_is_per_value_already() -> None:
    found = (
        small(loss="bernoulli(reduction='mean')", bottleneck="gaussian")
        .fit(SHAPES[:100])
        .evaluate(SHAPES[100:])
    )
    assert found["reconstruction"] == found["reconstruction_per_value"]
    assert found["reconstruction"] == pytest.approx(found["bce"], rel=1e-3)
    assert found["total"] == pytest.approx(found["reconstruction"] + found["kl"], rel=1e-5)
    assert "total_per_value" not in found
    assert "kl" in repr(found)


def test_the_command_measures_what_the_method_does(tmp_path: Path) -> None:
    ae = small(bottleneck="gaussian", corruption="mask").fit(DIGITS.X)
    path = tmp_path / "m.safetensors"
    ae.save(path)

    def run(*args: object) -> Any:
        result = CliRunner().invoke(app, ["evaluate", *map(str, args), "-m", str(path)])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    found = json.loads(run("digits", "--json"))
    assert found["rows"] == len(DIGITS.X_test)
    expected = ae.evaluate(DIGITS.X_test)
    assert {name: found[name] for name in expected} == pytest.approx(dict(expected), rel=1e-6)
    train = json.loads(run("digits", "--split", "train", "--limit", 50, "--json"))
    assert train["total"] == pytest.approx(ae.evaluate(DIGITS.X[:50])["total"], rel=1e-6)
    own = json.loads(run("digits", "--corrupted", "--json"))
    assert own["mse"] == pytest.approx(ae.evaluate(DIGITS.X_test, corrupted=True)["mse"], rel=1e-6)
    other = json.loads(run("digits", "--corruption", "mask(rate=0.9)", "--json"))
    assert other["mse"] != own["mse"]
    target = tmp_path / "t.npy"
    np.save(target, DIGITS.X_test[::-1])
    crossed = json.loads(run("digits", "--target", target, "--json"))
    assert crossed["mse"] > found["mse"]
    shown = run("digits")
    assert "per value" in shown
    assert "kl" in shown
    result = CliRunner().invoke(
        app, ["evaluate", "digits", "-m", str(path), "--corrupted", "--corruption", "mask"]
    )
    assert result.exit_code == 2
    assert "not both" in result.stderr
