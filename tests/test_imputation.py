"""Imputation: gaps are filled from what is known; what is known stays as it is."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from latente import Autoencoder, DataError, Dense, Gaps, Imputer, ParameterError
from latente.cli.main import app
from latente.corruptions.gaps import Factors
from latente.data.space import Space

FAST: dict[str, Any] = {
    "network": Dense(hidden=(32,), residual=True),
    "corruption": "gaps",
    "epochs": 3,
    "random_state": 0,
    "device": "cpu",
}


def fast(**keywords: Any) -> Autoencoder:
    return Autoencoder(4, **{**FAST, **keywords})


def correlated(n: int = 300, columns: int = 6, seed: int = 0) -> np.ndarray:
    """Rows of which each value follows from the others, but for a little noise."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(2, columns))
    return generator.normal(size=(n, 2)) @ mixing + 0.05 * generator.normal(size=(n, columns))


def gapped(X: np.ndarray, rate: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.random.default_rng(seed).random(X.shape) < rate
    return np.where(hidden, np.nan, X), hidden


def error(filled: np.ndarray, X: np.ndarray, hidden: np.ndarray) -> float:
    return float(np.sqrt(np.square((filled - X) / X.std(0))[hidden].mean()))


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fast().fit(gapped(correlated())[0])


@pytest.fixture
def mixed() -> pd.DataFrame:
    """Numbers, whole numbers, levels, booleans and dates, all with gaps, of 80 rows."""
    generator = np.random.default_rng(0)
    kind = generator.integers(0, 3, 80)
    frame = pd.DataFrame(
        {
            "size": kind + 0.1 * generator.normal(size=80),
            "count": (kind * 10).astype("float64"),
            "rank": pd.array(kind * 2, dtype="Int64"),
            "colour": pd.Categorical.from_codes(kind, ["red", "green", "blue"]),
            "name": np.array(["x", "y", "z"], object)[kind],
            "ripe": pd.array(kind == 2, dtype="boolean"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(kind * 7, unit="D"),
        },
        index=np.arange(80) % 40,
    )
    hidden = generator.random(frame.shape) < 0.15
    for i, name in enumerate(frame.columns):
        column = frame[name].copy()
        column.iloc[np.flatnonzero(hidden[:, i])] = None
        frame[name] = column
    return frame


# ── what is filled, and how well ──────────────────────────


def test_a_fill_follows_the_other_columns(model: Autoencoder) -> None:
    X = correlated(seed=1)
    given, hidden = gapped(X, seed=1)
    filled = model.impute(given)
    assert not np.isnan(filled).any()
    assert np.array_equal(filled[~hidden], given[~hidden])
    assert error(filled, X, hidden) < 0.5
    median = np.where(hidden, np.nanmedian(given, 0), given)
    assert error(filled, X, hidden) < 0.6 * error(median, X, hidden)


def test_the_network_learns_what_no_linear_fill_can() -> None:
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 1000)
    X = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1)
    given, hidden = gapped(X, 0.15)
    wanted = fast(network=Dense(hidden=(64, 64), residual=True), epochs=30, learning_rate=0.003)
    wanted.fit(given[:800])
    linear = clone(wanted).set_params(epochs=1, learning_rate=1e-9).fit(given[:800])
    held, rest = given[800:], hidden[800:]
    assert error(wanted.impute(held), X[800:], rest) < 0.75 * error(
        linear.impute(held), X[800:], rest
    )


def test_a_residual_begins_at_the_fill() -> None:
    X, _ = gapped(correlated())
    model = fast(epochs=1, learning_rate=1e-12).fit(X)
    x = model.fitted_.input.convert(model.fitted_.store(X))
    fill = model.module_.corruption.present(x)[:, : X.shape[1]]
    assert torch.allclose(model.module_(x), fill, atol=1e-5)


def test_a_residual_has_no_margin_over_its_start(model: Autoencoder) -> None:
    state = model._trainer.state
    assert state.start_losses is not None
    assert state.margin == 0


@pytest.mark.parametrize("columns", [1, 2, 300])
def test_any_number_of_columns(columns: int) -> None:
    given, hidden = gapped(correlated(60, columns))
    filled = fast(epochs=1).fit(given).impute(given)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~hidden], given[~hidden])


def test_a_row_without_any_value_is_filled_with_what_is_usual(model: Autoencoder) -> None:
    filled = model.impute(np.full((2, 6), np.nan))
    assert np.abs(filled).max() < 1


def test_a_row_is_filled_alike_alone_and_among_others(model: Autoencoder) -> None:
    given, _ = gapped(correlated(50, seed=3))
    assert np.array_equal(model.impute(given)[7:8], model.impute(given[7:8]))


def test_without_gaps_nothing_changes(model: Autoencoder) -> None:
    X = correlated(20)
    assert np.array_equal(model.impute(X), X)


def test_sparse_rows_have_no_gaps_but_fill_those_of_others() -> None:
    X = correlated().clip(0)
    sparse = csr_array(X)
    model = fast(epochs=1).fit(sparse)
    assert model.impute(sparse) is sparse
    given, hidden = gapped(X)
    filled = model.impute(given)
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~hidden], X[~hidden])


def test_validation_rows_and_weights_with_gaps() -> None:
    given, _ = gapped(correlated())
    model = fast().fit(given[:200], validation=given[200:], sample_weight=np.arange(200) % 3)
    assert np.isfinite(model.impute(given)).all()
    assert all(np.isfinite(record["validation_total"]) for record in model.history_)


def test_pictures_and_sequences() -> None:
    X = correlated(60, 36).reshape(60, 6, 6)
    given, hidden = gapped(X)
    for layout in ("pictures", "sequences"):
        filled = fast(layout=layout, epochs=1).fit(given).impute(given)
        assert np.array_equal(filled[~hidden], given[~hidden])
        assert np.isfinite(filled).all()


@pytest.mark.parametrize("shortcut", ["none", "pca"])
def test_gaps_with_a_code_and_without_a_residual(shortcut: str) -> None:
    given, _ = gapped(correlated())
    model = fast(network=Dense(hidden=(32,), shortcut=shortcut)).fit(given)
    assert np.isfinite(model.transform(given)).all()
    assert np.isfinite(model.reconstruct(given)).all()
    assert np.isfinite(model.score_samples(given)).all()
    assert np.isfinite(model.reconstruction_error(given)).all()
    assert np.isfinite(model.impute(given)).all()


# ── the factor analysis ───────────────────────────────────


def test_factors_are_learned_from_what_is_known() -> None:
    X = torch.from_numpy(correlated(800))
    given, hidden = gapped(X.numpy(), 0.3)
    missing = torch.from_numpy(hidden)
    found = Factors.learn(torch.from_numpy(given), missing, 2)
    cov = found.loadings @ found.loadings.T + torch.diag(found.noise)
    assert torch.allclose(cov, X.T.cov(), atol=0.35)
    assert torch.allclose(found.mean, X.mean(0), atol=0.2)


def test_a_fill_is_the_conditional_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    noise = torch.rand(5, generator=generator, dtype=torch.float64) + 0.1
    mean, x = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    missing = torch.tensor([[False, True, False, True, False]])
    cov = loadings @ loadings.T + torch.diag(noise)
    a, b = (~missing[0]).nonzero()[:, 0], missing[0].nonzero()[:, 0]
    wanted = mean[b] + cov[b][:, a] @ torch.linalg.solve(cov[a][:, a], x[a] - mean[a])
    given = x.clone()[None].masked_fill(missing, torch.nan)
    filled = Factors(mean, loadings, noise).fill(given, missing)
    assert torch.allclose(filled[0, b], wanted)
    assert torch.equal(filled[0, a], x[a])


def test_levels_of_a_category_are_hidden_together() -> None:
    space = Space(shape=(5,), layout="rows", low=0, high=1, categories=((1, 4),))
    module = Gaps(rate=0.5).build(space)
    seen = module(torch.rand(200, 5), torch.Generator().manual_seed(0))
    flags = seen[:, 5:]
    assert torch.equal(flags[:, 1], flags[:, 2])
    assert torch.equal(flags[:, 1], flags[:, 3])
    assert not torch.equal(flags[:, 0], flags[:, 1])


def test_what_is_missing_never_counts_in_the_loss() -> None:
    X = correlated(40)
    X[:, 0] = 5.0
    X[::2, 0] = np.nan
    model = fast(network=Dense(hidden=(8,))).fit(X)
    x = model.fitted_.input.convert(model.fitted_.store(X))
    raw = torch.zeros(40, 6, requires_grad=True)
    model.module_.network.decode = lambda z, context=None: raw  # type: ignore[method-assign]
    model.module_.reconstruction_loss(torch.zeros(40, 4), x).sum().backward()
    assert raw.grad is not None
    assert bool((raw.grad[torch.from_numpy(np.isnan(X))] == 0).all())
    assert bool((raw.grad[1::2, 1:] != 0).all())


# ── frames ────────────────────────────────────────────────


def test_frames_keep_what_is_known_and_their_types(mixed: pd.DataFrame) -> None:
    filled = fast().fit(mixed).impute(mixed)
    assert list(filled.dtypes) == list(mixed.dtypes)
    assert filled.index.equals(mixed.index)
    assert not filled.isna().any().any()
    for name in mixed:
        known = mixed[name].notna().to_numpy()
        assert (filled[name][known] == mixed[name][known]).all()
    assert set(filled["name"]) <= {"x", "y", "z"}
    assert (filled["count"] == filled["count"].round()).all()
    assert (filled["day"].dt.hour == 0).all()


def test_categories_are_filled_from_the_other_columns(mixed: pd.DataFrame) -> None:
    complete = mixed.dropna(subset=["size"])
    filled = fast(epochs=5).fit(complete).impute(complete)
    kinds = complete["size"].round().clip(0, 2).astype(int)
    right = np.array(["x", "y", "z"])[kinds]
    gaps = complete["name"].isna().to_numpy()
    assert gaps.sum() >= 5
    assert (filled["name"].to_numpy()[gaps] == right[gaps]).mean() > 0.7


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_libraries(library: str, mixed: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(mixed.reset_index(drop=True), preserve_index=False)
    frame: Any = pl.from_arrow(table) if library == "polars" else table
    filled = fast(epochs=1).fit(frame).impute(frame)
    assert type(filled) is type(frame)
    assert filled.schema == frame.schema
    before, after = (f.to_pandas() for f in (frame, filled))
    assert not after.isna().any().any()
    for name in before:
        known = before[name].notna()
        assert (after[name][known] == before[name][known]).all()


def test_periods_decimals_and_times() -> None:
    kind = np.random.default_rng(0).integers(0, 3, 60)
    frame = pd.DataFrame(
        {
            "month": pd.PeriodIndex.from_ordinals(600 + kind, freq="M"),
            "price": [Decimal(f"{k}.50") for k in kind],
            "hour": [dt.time(8 + k) for k in kind],
            "size": kind + 0.5,
        }
    )
    given = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.15)
    filled = fast(epochs=1).fit(given).impute(given)
    assert list(filled.dtypes) == list(given.dtypes)
    assert not filled.isna().any().any()
    for name in given:
        known = given[name].notna()
        assert (filled[name][known] == frame[name][known]).all()
        assert {type(v) for v in filled[name]} == {type(v) for v in frame[name]}


def test_a_gap_becomes_one_of_the_frequent_levels() -> None:
    rare = [f"rare {i}" for i in range(300)]
    places = pd.Series([*rare, *["a", "b"] * 20])
    for typed in (places, places.astype("category")):
        frame = pd.DataFrame({"place": typed, "x": np.arange(340.0) % 7})
        given = frame.copy()
        given.loc[::10, "place"] = None
        with pytest.warns(UserWarning, match="others count as 'other'"):
            model = fast(epochs=1).fit(given)
        assert set(model.impute(given)["place"][::10]) <= {"a", "b"}


def test_a_level_that_the_fit_never_saw_stays(mixed: pd.DataFrame) -> None:
    model = fast(epochs=1).fit(mixed)
    given = mixed.assign(name=mixed["name"].where(mixed["name"] != "x", "new"))
    with pytest.warns(UserWarning, match="'name' has levels that the fit never saw: 'new'"):
        filled = model.impute(given)
    known = given["name"].notna()
    assert (filled["name"][known] == given["name"][known]).all()
    strict = fast(epochs=1, unseen="error").fit(mixed)
    with pytest.raises(DataError, match="'new'"):
        strict.impute(given)


def test_large_integers_stay_exact() -> None:
    frame = pl.DataFrame({"id": [2**60 + i for i in range(50)], "x": correlated(50)[:, 0]})
    given = frame.with_columns(x=pl.when(pl.col("id") % 7 == 0).then(None).otherwise("x"))
    filled = fast(epochs=1).fit(given).impute(given)
    assert filled["id"].equals(given["id"])
    assert filled["x"].null_count() == 0


def test_gaps_only_after_the_fit() -> None:
    frame = pd.DataFrame(correlated(), columns=list("abcdef"))
    model = fast().fit(frame)
    given = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.2)
    assert not model.impute(given).isna().any().any()
    whole = fast().fit(np.arange(300).reshape(100, 3))
    filled = whole.impute(np.array([[3.0, np.nan, 5.0]]))
    assert filled[0, 1] == round(filled[0, 1])


# ── what cannot be done ───────────────────────────────────


def test_other_models_say_how_to_fit_one() -> None:
    model = Autoencoder(2, epochs=1, device="cpu").fit(correlated(50))
    with pytest.raises(ParameterError, match="corruption='gaps'"):
        model.impute(correlated(50))
    with pytest.raises(ParameterError, match="corruption='gaps'"):
        Imputer(Autoencoder(2, epochs=1, device="cpu")).fit(correlated(50))


def test_a_column_without_any_value_is_named() -> None:
    X = correlated(50)
    X[:, 2] = np.nan
    with pytest.raises(DataError, match="column 2 of X has no value at all"):
        fast().fit(X)
    frame = pd.DataFrame({"a": [1.0, 2.0, None], "b": [np.nan] * 3})
    with pytest.raises(DataError, match="column 'b' has no value at all"):
        fast().fit(frame)


def test_infinity_is_refused() -> None:
    X = correlated(50)
    X[3, 1] = np.inf
    with pytest.raises(DataError, match="row 3"):
        fast().fit(X)


def test_gaps_stand_alone() -> None:
    with pytest.raises(ParameterError, match="stands alone"):
        fast(corruption=["gaussian_noise", "gaps"]).fit(correlated(50))


def test_a_residual_needs_an_input_to_add_to() -> None:
    with pytest.raises(ParameterError, match="residual"):
        Dense(residual=True, tied=True)
    with pytest.raises(ParameterError, match="residual"):
        Dense(residual=True, shortcut="pca")
    with pytest.raises(ParameterError, match="residual"):
        fast(loss="gaussian(scale='value')").fit(correlated(50))


def test_texts_have_no_gaps() -> None:
    with pytest.raises(ParameterError, match="give arrays"):
        Autoencoder(4, corruption="gaps", epochs=1).fit(["red", "green", "blue"] * 10)


# ── as a step of a pipeline, and in a file ────────────────


def test_a_step_of_a_pipeline() -> None:
    X = correlated()
    given, _ = gapped(X)
    pipeline = make_pipeline(Imputer(fast()), Ridge())
    assert pipeline.fit(given, X[:, 0]).score(given, X[:, 0]) > 0.8
    frame = pd.DataFrame(given, columns=list("abcdef"))
    imputer = clone(Imputer(fast())).fit(frame)
    assert list(imputer.get_feature_names_out()) == list("abcdef")
    assert not imputer.transform(frame).isna().any().any()


def test_the_default_fills_real_rows(monkeypatch: Any) -> None:
    monkeypatch.setattr("latente.imputation.UPDATES", 200)
    X = load_wine().data
    given, hidden = gapped(X, 0.1)
    filled = Imputer(random_state=0).fit(given[:140]).transform(given)
    median = np.where(hidden, np.nanmedian(given[:140], 0), given)
    assert error(filled[140:], X[140:], hidden[140:]) < 0.95 * error(
        median[140:], X[140:], hidden[140:]
    )


def test_a_saved_model_fills_alike(mixed: pd.DataFrame, tmp_path: Path) -> None:
    model = fast(epochs=1).fit(mixed)
    model.save(tmp_path / "m.safetensors")
    again = Autoencoder.load(tmp_path / "m.safetensors")
    pd.testing.assert_frame_equal(again.impute(mixed), model.impute(mixed))


def test_no_export_that_would_fill_otherwise(model: Autoencoder, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="Gaps"):
        model.export_onnx(tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


# ── the command ───────────────────────────────────────────


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with gaps as CSV, and a model that was fitted on it."""
    home = tmp_path_factory.mktemp("impute")
    kind = np.random.default_rng(0).integers(0, 3, 90)
    frame = pl.DataFrame(
        {
            "size": kind + 0.25,
            "count": kind * 10,
            "colour": np.array(["red", "green", "blue"])[kind],
        }
    )
    gaps = np.random.default_rng(1).random(frame.shape) < 0.1
    columns = [
        pl.when(pl.Series(~gaps[:, i])).then(pl.col(name)).alias(name)
        for i, name in enumerate(frame.columns)
    ]
    frame.select(columns).write_csv(home / "gaps.csv")
    fast(epochs=1).fit(pd.read_csv(home / "gaps.csv")).save(home / "m.safetensors")
    return home


def test_the_command_fills_a_file(home: Path) -> None:
    result = run("impute", home / "gaps.csv", "-m", home / "m.safetensors", "-o", home / "out.csv")
    assert result.exit_code == 0, result.stderr
    before, after = (pd.read_csv(home / name) for name in ("gaps.csv", "out.csv"))
    assert list(after.columns) == ["size", "count", "colour"]
    assert not after.isna().any().any()
    known = before.notna().to_numpy()
    assert (after.to_numpy()[known] == before.to_numpy()[known]).all()
    assert (after["count"] % 1 == 0).all()


def test_the_command_answers_with_an_object(home: Path) -> None:
    result = run("impute", home / "gaps.csv", "-m", home / "m.safetensors", "--json")
    answer = json.loads(result.stdout)
    gaps = int(pd.read_csv(home / "gaps.csv").isna().to_numpy().sum())
    assert (answer["rows"], answer["filled"]) == (90, gaps)
    assert set(answer["imputed"]) == {"size", "count", "colour"}


def test_the_command_learns_from_the_file_itself(home: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("latente.imputation.UPDATES", 10)
    made = run("impute", home / "gaps.csv", "--fit", "-o", home / "new.safetensors", "--json")
    assert json.loads(made.stdout)["rows"] == 90
    used = run("impute", home / "gaps.csv", "-m", home / "new.safetensors")
    alone = run("impute", home / "gaps.csv")
    assert used.exit_code == alone.exit_code == 0
    assert used.stdout == alone.stdout
    assert used.stdout.startswith("size,count,colour\n")


def test_a_model_of_the_fit_command_fills_a_file(home: Path) -> None:
    spec = ("fit", home / "gaps.csv", "-o", home / "fit.safetensors", "--corruption", "gaps")
    made = run(*spec, "--epochs", 1, "--quiet")
    assert made.exit_code == 0, made.stderr
    filled = run("impute", home / "gaps.csv", "-m", home / "fit.safetensors")
    assert filled.exit_code == 0, filled.stderr
    assert ",," not in filled.stdout
    refused = run(*spec, "--pca")
    assert refused.exit_code == 2
    assert "--pca does not go with --corruption gaps" in refused.stderr


def test_the_command_says_what_is_wrong(home: Path) -> None:
    for args, words in (
        (("--fit",), "give --output FILE"),
        (("-m", home / "none.safetensors"), "there is no such model"),
        (("-m", home / "m.safetensors", "-o", home / "gaps.csv"), "overwrite the input"),
        (("-o", home / "x.png"), "the output must be"),
    ):
        result = run("impute", home / "gaps.csv", *args)
        assert result.exit_code == 2
        assert words in result.stderr
    Autoencoder(1, epochs=1, device="cpu").fit(pd.read_csv(home / "gaps.csv")).save(
        home / "plain.safetensors"
    )
    result = run("impute", home / "gaps.csv", "-m", home / "plain.safetensors")
    assert result.exit_code != 0
    assert "corruption='gaps'" in result.stderr
