"""A network with a shortcut begins as PCA, and only leaves it for something better."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA

from latente import Autoencoder, Conv, Dense, ParameterError, datasets
from latente.networks import shortcut
from latente.networks.shortcut import least_squares, principal_components

DIGITS = datasets.load("digits")
X = DIGITS.X.reshape(len(DIGITS.X), -1).astype(np.float32)[:700] / 16
HELD = DIGITS.X_test.reshape(len(DIGITS.X_test), -1).astype(np.float32) / 16
LINEAR = "dense(hidden=(32,), shortcut=pca)"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def over_pca(ae: Autoencoder, rows: NDArray[Any], held: NDArray[Any]) -> float:
    """Return the squared error on held-out rows over that of PCA."""
    pca = PCA(ae.latent_dim_, svd_solver="full").fit(rows)
    theirs = np.square(held - pca.inverse_transform(pca.transform(held))).mean()
    return float(np.square(held - ae.reconstruct(held)).mean() / theirs)


def begun(rows: NDArray[Any] = X, **keywords: Any) -> Autoencoder:
    settings = {"network": LINEAR, "scaling": "none", "random_state": 0, "epochs": 0}
    return Autoencoder(8, validation_fraction=0, **(settings | keywords)).fit(rows)


def test_before_the_first_epoch_it_is_pca() -> None:
    assert over_pca(begun(), X, HELD) == pytest.approx(1, abs=1e-3)
    codes, pca = begun().transform(X), PCA(8, svd_solver="full").fit_transform(X)
    assert np.abs(np.abs(codes) - np.abs(pca)).max() < 1e-2


def test_a_drawn_start_is_not() -> None:
    assert over_pca(begun(network="dense(hidden=(32,))"), X, HELD) > 2


@pytest.mark.parametrize("shape", [(30, 200), (200, 30), (1_300, 1_100)], ids=str)
def test_components_are_those_of_a_full_decomposition(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    spreads = np.geomspace(8, 0.2, shape[1])
    rows = (
        generator.normal(size=shape)
        * spreads
        @ np.linalg.qr(generator.normal(size=(shape[1], shape[1])))[0]
    )
    found = principal_components(torch.from_numpy(rows), 5, seeded())
    pca = PCA(5, svd_solver="full").fit(rows)
    kept = np.square((rows - rows.mean(0)) @ found.directions.numpy().T).sum()
    best = np.square(pca.transform(rows)).sum()
    assert kept == pytest.approx(best, rel=3e-3)
    gram = found.directions @ found.directions.T
    torch.testing.assert_close(gram, torch.eye(5), atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.mean.numpy(), rows.mean(0), atol=1e-5)


@pytest.mark.parametrize("exact", [1024, 10])
@pytest.mark.parametrize("shape", [(30, 200), (200, 30), (70, 60)], ids=str)
def test_a_part_of_the_rows_is_in_double_precision_at_a_time(
    shape: tuple[int, int], exact: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "EXACT", exact)
    generator = np.random.default_rng(0)
    rows = generator.normal(3, np.geomspace(8, 0.2, shape[1]), shape).astype(np.float32)
    codes = rows[:, :4] + rows[:, 4:8]

    def found() -> list[torch.Tensor]:
        components = principal_components(torch.from_numpy(rows), 3, seeded())
        return [*components, *least_squares(torch.from_numpy(codes), torch.from_numpy(rows))]

    wanted, sizes, double = found(), [], torch.Tensor.double

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return double(tensor)

    monkeypatch.setattr(shortcut, "AT_ONCE", 1000)
    monkeypatch.setattr(torch.Tensor, "double", counted)
    for here, there in zip(found(), wanted, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)
    assert max(sizes) <= 1000


@pytest.mark.parametrize(("n", "features", "k"), [(1, 4, 2), (3, 6, 5), (20, 3, 7)])
def test_more_components_than_there_are(n: int, features: int, k: int) -> None:
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(n, features)))
    found = principal_components(rows, k, seeded())
    assert found.directions.shape == (k, features)
    assert found.directions.isfinite().all()
    torch.testing.assert_close(found.directions.norm(dim=1), torch.ones(k))
    codes = (rows.float() - found.mean) @ found.directions.T
    weight, bias = least_squares(codes, rows.float())
    if k >= min(n - 1, features):
        torch.testing.assert_close(codes @ weight.T + bias, rows.float(), atol=1e-2, rtol=0)


def test_constant_rows_have_a_start_too() -> None:
    ae = begun(np.ones((50, 6), np.float32))
    np.testing.assert_allclose(ae.reconstruct(np.ones((3, 6), np.float32)), 1, atol=1e-4)


def test_training_goes_past_pca() -> None:
    ae = Autoencoder(8, random_state=0, epochs=60).fit(X)
    assert isinstance(ae.network_, Dense)
    assert ae.network_.shortcut == "pca"
    assert ae.best_epoch_ > 0
    assert over_pca(ae, X, HELD) < 0.8


def test_noise_leaves_it_at_pca_of_all_rows() -> None:
    noise = np.random.default_rng(0).normal(size=(240, 10)).astype(np.float32)
    ae = Autoencoder(4, random_state=0, scaling="none").fit(noise[:160])
    assert ae.best_epoch_ == 0
    assert ae.history_
    assert over_pca(ae, noise[:160], noise[160:]) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_table_is_never_worse(seed: int) -> None:
    wine = load_wine().data
    wine = ((wine - wine.mean(0)) / wine.std(0)).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(wine))
    rows, held = wine[order[:120]], wine[order[120:]]
    assert over_pca(Autoencoder(random_state=seed).fit(rows), rows, held) < 1.05


@pytest.mark.parametrize("bottleneck", ["gaussian", "mmd", "adversarial"])
def test_codes_begin_with_the_priors_spread(bottleneck: str) -> None:
    codes = begun(bottleneck=bottleneck, loss="squared").transform(X)
    np.testing.assert_allclose(codes.std(0), 1, atol=0.02)
    np.testing.assert_allclose(codes.mean(0), 0, atol=0.02)


@pytest.mark.parametrize(
    "loss", ["squared", "bernoulli", "gaussian(scale=value)", "categorical(levels=5)"]
)
@pytest.mark.parametrize("bottleneck", ["plain", "rounded", "finite_scalar", "vector_quantized"])
def test_the_way_back_starts_from_the_codes_there_are(bottleneck: str, loss: str) -> None:
    ae = begun(bottleneck=bottleneck, loss=loss)
    assert over_pca(ae, X, HELD) < 1.5


def test_another_target_is_regressed() -> None:
    target = X[:, :5] @ np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) + 2
    ae = Autoencoder(
        30, network=LINEAR, scaling="none", epochs=0, validation_fraction=0, random_state=0
    ).fit(X, target=target)
    error = np.square(ae.reconstruct(X) - target).mean()
    assert error < 0.3 * target.var(0).mean()


def test_pictures_and_convolutions_begin_there_too() -> None:
    pictures = DIGITS.X[:900].astype(np.float32) / 16
    flat, held = pictures.reshape(900, -1), DIGITS.X_test.astype(np.float32) / 16
    for network in (LINEAR, "conv(channels=(8,), shortcut=pca)"):
        ae = begun(pictures, network=network)
        error = np.square(held - ae.reconstruct(held)).mean()
        pca = PCA(8, svd_solver="full").fit(flat)
        rows = held.reshape(len(held), -1)
        theirs = np.square(rows - pca.inverse_transform(pca.transform(rows))).mean()
        assert error == pytest.approx(theirs, rel=2e-3)
        trained = Autoencoder(8, network=network, epochs=80, scaling="none", random_state=0).fit(
            pictures
        )
        assert trained.reconstruction_error(held).mean() < ae.reconstruction_error(held).mean()


def test_no_hidden_layers_leave_a_linear_autoencoder() -> None:
    ae = Autoencoder(
        4, network="dense(hidden=(), shortcut=pca)", scaling="none", epochs=10, random_state=0
    ).fit(X)
    assert over_pca(ae, X, HELD) == pytest.approx(1, abs=0.02)


def test_a_resumed_fit_still_has_to_surpass_the_start(tmp_path: Path) -> None:
    class Stop:
        def on_epoch_end(self, state: Any) -> None:
            state.stop = state.epoch == 2

    settings: dict[str, Any] = {"network": LINEAR, "epochs": 5, "random_state": 0}
    whole = Autoencoder(4, **settings).fit(X)
    Autoencoder(4, callbacks=Stop(), **settings).fit(X, checkpoint=tmp_path)
    resumed = Autoencoder(4, **settings).fit(X, checkpoint=tmp_path)
    assert np.array_equal(whole.reconstruct(HELD), resumed.reconstruct(HELD))
    losses = [ae._trainer.state.start_losses for ae in (whole, resumed)]
    assert torch.equal(*losses)


def test_it_is_saved_and_told(tmp_path: Path) -> None:
    ae = Autoencoder(4, random_state=0, epochs=3).fit(X)
    ae.save(tmp_path / "model.safetensors")
    again = Autoencoder.load(tmp_path / "model.safetensors")
    assert np.array_equal(ae.transform(HELD), again.transform(HELD))
    assert again.best_epoch_ == ae.best_epoch_
    done = subprocess.run(
        [sys.executable, "-m", "latente", "info", str(tmp_path / "model.safetensors")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "shortcut=pca" in done.stdout.replace("'", "")


def test_epochs_without_end_take_no_schedule_that_needs_one() -> None:
    ae = Autoencoder(4, random_state=0)
    for _ in range(3):
        ae.partial_fit(X)
    rates = [record["learning_rate"] for record in ae.history_]
    assert rates == [pytest.approx(1e-3)] * 3
    assert Autoencoder(4, random_state=0, epochs=2).fit(X).learning_rate_ == pytest.approx(5e-3)


@pytest.mark.parametrize(
    ("part", "against"),
    [
        (lambda: Dense(shortcut="linear"), "'none' or 'pca'"),  # type: ignore[arg-type]
        (lambda: Dense(shortcut="pca", tied=True), "tied=True"),
        (lambda: Dense(shortcut="pca", code_activation="relu"), "code_activation='relu'"),
        (lambda: Dense(shortcut="pca", output_activation="tanh"), "output_activation='tanh'"),
        (lambda: Conv(shortcut="pca", code="spatial"), "code='spatial'"),
        (lambda: Conv(shortcut="pca", skips=True), "skips=True"),
        (lambda: Conv(shortcut="pca", residual=True), "residual=True"),
    ],
)
def test_what_does_not_go_with_it_is_named(part: Any, against: str) -> None:
    with pytest.raises(ParameterError, match=against):
        part()
