"""Data frames and sparse matrices as the estimators take them: gaps, new levels, names, types."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import scipy.sparse as sp
from sklearn.model_selection import cross_val_score

from latente import AnomalyDetector, Autoencoder, DataError, Dense, ParameterError
from latente.data.arrays import SparseRows
from latente.data.preparation import Preparation
from latente.data.readers import read

RNG = np.random.default_rng(0)
SPARSE = sp.random_array((120, 30), density=0.1, format="csr", rng=np.random.default_rng(1))
MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def small(**keywords: Any) -> Autoencoder:
    keywords = {"epochs": 2, "network": Dense(hidden=(8,)), "random_state": 0} | keywords
    return Autoencoder(2, **keywords)


def nearest(**keywords: Any) -> AnomalyDetector:
    return AnomalyDetector(scores="neighbors", random_state=0, **keywords)


def columns(n: int = 90) -> dict[str, Any]:
    """Numbers without a gap, whole ones among them."""
    size = RNG.normal(size=n)
    return {"id": np.arange(n) + 2**53 + 1, "size": size, "count": np.arange(n) % 7}


# ── gaps where none were at fit ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", MAKE)
@pytest.mark.parametrize("make", [small, nearest])
def test_a_gap_met_later_is_filled_by_the_median(library: str, make: Any, tmp_path: Path) -> None:
    known = columns()
    fitted = make().fit(MAKE[library](known))
    fitted.save(tmp_path / "m.safetensors")
    gap = [0.5, None, float(np.median(known["size"])), 1.0]
    some = {name: values[:4] for name, values in known.items()}
    for estimator in (fitted, type(fitted).load(tmp_path / "m.safetensors")):
        scores = estimator.score_samples(MAKE[library]({**some, "size": gap}))
        filled = MAKE[library]({**some, "size": [0.5, gap[2], gap[2], 1.0]})
        assert np.array_equal(scores, estimator.score_samples(filled))
        whole = estimator.score_samples(MAKE[library]({**some, "count": [0, None, 2, 3]}))
        assert np.isfinite(whole).all()
        alone = MAKE[library]({name: values[1:2] for name, values in {**some, "size": gap}.items()})
        assert np.allclose(estimator.score_samples(alone), scores[1:2], atol=1e-6)


def test_flags_and_bytes_have_gaps_too() -> None:
    flags = pd.DataFrame({"a": [True, False] * 20, "b": [True, True, True, False] * 10})
    later = pd.DataFrame({"a": [True, False], "b": pd.array([None, False], "boolean")})
    ae = small().fit(flags)
    full = pd.DataFrame({"a": [True, False], "b": [True, False]})
    assert np.array_equal(ae.transform(later), ae.transform(full))
    assert ae.reconstruct(later).dtypes.tolist() == [np.dtype(bool)] * 2
    shades = pd.DataFrame(RNG.integers(0, 256, (60, 5)).astype(np.uint8), columns=list("abcde"))
    ae = small().fit(shades)
    assert ae.fitted_.store(shades.astype("UInt8")).dtype == ae.fitted_.store(shades).dtype
    assert np.array_equal(ae.transform(shades.astype("UInt8")), ae.transform(shades))


def test_what_is_wrong_in_a_frame_with_gaps_is_told() -> None:
    ae = small().fit(pd.DataFrame(columns()))
    later = pd.DataFrame(columns()).astype({"count": float})
    later.loc[3, "count"] = np.nan
    with pytest.raises(DataError, match="'size' has infinity at row 5"):
        ae.transform(later.assign(size=np.where(np.arange(90) == 5, np.inf, 1)))
    with pytest.raises(DataError, match="'size' held numbers at fit, and holds String now"):
        ae.transform(later.assign(size="large"))
    with pytest.raises(DataError, match="feature names"):
        ae.transform(later.drop(columns="id"))
    told = pytest.raises(DataError, match=r"X has NaN at row 3, column 2 .*, or give a data frame")
    with pytest.warns(UserWarning, match="feature names"), told:
        ae.transform(later.to_numpy())


@pytest.mark.parametrize("library", MAKE)
@pytest.mark.parametrize("text", [False, True])
def test_whole_numbers_come_back_whole(library: str, text: bool) -> None:
    data = columns() | ({"kind": ["a", "b", "c"] * 30} if text else {})
    ae = small().fit(MAKE[library](data))
    back = nw.from_native(ae.reconstruct(MAKE[library](data)), eager_only=True)
    types = [nw.Int64, nw.Float64, nw.Int64, *[nw.String] * text]
    assert list(back.schema.dtypes()) == types
    drawn = nw.from_native(ae.inverse_transform(ae.transform(MAKE[library](data))), eager_only=True)
    assert list(drawn.schema.dtypes()) == types
    wide = back["id"].to_numpy()
    assert (np.abs(wide - (2**53 + 45)) < 500).all()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_whole_numbers_of_a_file_stay_whole_beside_gaps(suffix: str, tmp_path: Path) -> None:
    table = pa.table({"n": [3, None, 2**30], "x": [0.5, None, 2.0], "y": [1, 2, 3]})
    path = tmp_path / f"t.{suffix}"
    (pa.csv.write_csv if suffix == "csv" else pa.parquet.write_table)(table, path)
    frame = read(path).X
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "float64", "int64"]
    assert frame["n"].isna().tolist() == [False, True, False]
    back = small(epochs=0).fit(frame).reconstruct(frame)
    assert [str(dtype) for dtype in back.dtypes] == ["Int64", "float64", "int64"]


def test_a_wide_frame_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No column of NumPy's types is looked at by itself, but once to keep its type."""
    frame = pd.DataFrame(RNG.normal(size=(4, 300)))
    looked_at = []
    whole = nw.DataFrame.iter_columns
    monkeypatch.setattr(
        nw.DataFrame, "iter_columns", lambda self: looked_at.append(1) or whole(self)
    )
    learned, _ = Preparation.learn(frame, scaling="auto", name="X")
    looked_at.clear()
    learned.store(frame, "X")
    assert not looked_at


# ── levels that the fit never saw ────────────────────────────────────────────────────────────


def cities(rare: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame({"city": ["Lima", "Faro", "Oslo"] * 20, "size": RNG.normal(size=60)})
    frame.loc[59, "city"] = "Rome" if rare else "Oslo"
    return frame


@pytest.mark.parametrize("make", [small, nearest])
def test_a_new_level_is_told_once_or_refused(make: Any) -> None:
    fitted = make().fit(cities())
    with pytest.warns(
        UserWarning, match="'city' has levels that the fit never saw: 'Rome'"
    ) as told:
        scores = fitted.score_samples(cities(rare=True))
    assert len(told) == 1
    assert np.isfinite(scores).all()
    fitted.score_samples(cities(rare=True))
    with pytest.raises(DataError, match="'Rome' at row 59, which the fit never saw"):
        make(unseen="error").fit(cities()).score_samples(cities(rare=True))
    with pytest.raises(ParameterError, match="unseen='drop': use 'ignore' or 'error'"):
        make(unseen="drop").fit(cities())


def test_a_detector_passes_it_to_its_autoencoder(tmp_path: Path) -> None:
    detector = AnomalyDetector(small(), unseen="error", random_state=0).fit(cities())
    detector.save(tmp_path / "d.safetensors")
    again = AnomalyDetector.load(tmp_path / "d.safetensors")
    assert again.unseen == "error"
    assert again.ensemble_.autoencoder.unseen == "error"
    with pytest.raises(DataError, match="'Rome'"):
        again.score_samples(cities(rare=True))


@pytest.mark.filterwarnings("ignore:column 'city' has levels")
def test_a_rare_level_does_not_spoil_cross_validation() -> None:
    assert np.isfinite(cross_val_score(small(), cities(rare=True), cv=3)).all()


# ── names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", MAKE)
def test_explanations_name_the_columns(library: str) -> None:
    data = {"size": RNG.normal(size=60), "kind": ["a", "b"] * 30, "b c": np.arange(60)}
    frame = MAKE[library](data)
    detector = nearest().fit(frame)
    parts = detector.explain(frame)
    assert type(parts) is type(frame)
    named = nw.from_native(parts, eager_only=True)
    assert named.columns == ["size", "kind", "b c"] == detector.columns_
    assert np.allclose(named.to_numpy().sum(axis=1), -detector.score_samples(frame), atol=1e-5)
    plain = nearest().fit(RNG.normal(size=(60, 3)))
    assert isinstance(plain.explain(np.zeros((2, 3))), np.ndarray)


def test_explanations_keep_the_index() -> None:
    frame = pd.DataFrame(columns(), index=[f"row {i}" for i in range(90)])
    parts = nearest().fit(frame).explain(frame[:4])
    assert list(parts.index) == ["row 0", "row 1", "row 2", "row 3"]


# ── sparse matrices ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_sparse_matrix_is_what_it_says(form: str, dtype: str) -> None:
    sparse = (SPARSE * (1 if dtype.startswith("float") else 9)).astype(dtype).asformat(form)
    dense = sparse.toarray()
    one, other = small().fit(sparse), small().fit(dense)
    assert np.array_equal(one.transform(sparse), other.transform(dense))
    assert np.array_equal(one.transform(dense), one.transform(sparse))
    assert np.array_equal(one.score_samples(sparse), other.score_samples(dense))
    back = one.reconstruct(sparse)
    assert back.dtype == other.reconstruct(dense).dtype == dense.dtype
    assert one.n_features_in_ == 30
    assert one.fitted_.store(sparse).dtype.itemsize <= 4


def test_sparse_matrices_are_targets_and_go_on() -> None:
    ae = small().fit(SPARSE, target=sp.csc_matrix(SPARSE))
    ae.partial_fit(SPARSE, target=SPARSE)
    assert np.isfinite(ae.score_samples(SPARSE, target=SPARSE)).all()
    assert np.isfinite(small(warm_start=True).fit(SPARSE).fit(SPARSE).score(SPARSE))


def test_a_detector_scores_sparse_rows_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latente.anomaly.detector.DENSE", 10 * 30)
    one = nearest().fit(SPARSE)
    other = nearest().fit(SPARSE.toarray())
    taken = []
    whole = SparseRows.__getitem__
    monkeypatch.setattr(
        SparseRows, "__getitem__", lambda self, rows: taken.append(rows) or whole(self, rows)
    )
    scores = one.score_samples(SPARSE)
    assert taken == [slice(start, start + 10) for start in range(0, 120, 10)]
    assert np.allclose(scores, other.score_samples(SPARSE.toarray()), rtol=1e-6)
    assert np.allclose(one.explain(SPARSE), other.explain(SPARSE.toarray()), rtol=1e-5, atol=1e-6)


def test_sparse_rows_are_never_dense_in_float64() -> None:
    shape = (4_000, 1_000)
    wide = sp.random_array(shape, density=0.01, format="csr", rng=np.random.default_rng(0))
    tracemalloc.start()
    Preparation.learn(wide, scaling="auto", name="X")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * shape[0] * shape[1] / 2, "NumPy's share; the stored float32 are torch's"


BAD: dict[str, tuple[Any, str]] = {
    "nan": (sp.csc_array(np.array([[1, 0], [0, np.nan]])), "X has NaN at row 1, column 1"),
    "infinity": (
        sp.coo_array(np.array([[0, np.inf], [2, 1]])),
        "X has infinity at row 0, column 1",
    ),
    "complex": (sp.csr_array(np.eye(3, dtype=complex)), "Complex data not supported"),
    "empty": (sp.csr_array((0, 3)), r"0 sample\(s\)"),
    "flat": (sp.coo_array(np.ones(3)), "Expected 2D array"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sparse_matrices_are_told(case: str) -> None:
    X, words = BAD[case]
    for estimator in (small(), nearest()):
        with pytest.raises(DataError, match=words):
            estimator.fit(X)
    with pytest.raises(DataError, match="30 features"):
        small().fit(SPARSE).transform(SPARSE[:, :5])
    with pytest.raises(DataError, match="layout='sequences' needs"):
        small(layout="sequences").fit(SPARSE)
