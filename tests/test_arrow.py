"""A saved model as a worker gives the engines what it gives one process."""

from __future__ import annotations

import pickle  # noqa: TID251 (engines send workers so)
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from latente import ArrowEncoder, ArrowScorer, Autoencoder, DataError, ParameterError, datasets

SMALL: dict[str, Any] = {
    "latent_dim": 2, "network": "dense(hidden=[8])", "epochs": 2, "random_state": 0,
    "device": "cpu",
}  # fmt: skip
ROWS = 300


@pytest.fixture(scope="module")
def table() -> pa.Table:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(ROWS, 3)).cumsum(axis=1)
    columns = {name: values[:, i] for i, name in enumerate("abc")}
    kinds = np.array(["red", "green", "blue"])[generator.integers(0, 3, ROWS)]
    return pa.table({"id": np.arange(ROWS), **columns, "kind": kinds})


@pytest.fixture(scope="module")
def model(table: pa.Table) -> Autoencoder:
    return Autoencoder(**SMALL).fit(table.drop_columns(["id"]))


@pytest.fixture(scope="module")
def path(model: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def expected(model: Autoencoder, table: pa.Table) -> np.ndarray:
    """Codes and scores, (n, 3)."""
    rows = table.drop_columns(["id"])
    return np.column_stack([model.transform(rows), model.score_samples(rows)])


def columns_of(frame: Any, names: list[str]) -> np.ndarray:
    return np.column_stack([np.asarray(frame[name]) for name in names])


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    """Within the rounding of floats: a worker may compute in another number of threads."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_worker_gives_batches_of_any_size_what_the_model_gives_all(
    path: Path, table: pa.Table, expected: np.ndarray
) -> None:
    encoder, scorer = ArrowEncoder(path, keep=["id"]), ArrowScorer(path)
    shuffled = table.select(["kind", "c", "id", "b", "a"])
    batches = shuffled.to_batches(max_chunksize=70)
    codes = pa.Table.from_batches(encoder(batches))
    assert codes.schema == encoder.schema(shuffled.schema)
    assert codes["id"].to_pylist() == list(range(ROWS))
    assert np.array_equal(columns_of(codes, codes.column_names[1:]), expected[:, :2])
    one = scorer(batches[1])
    assert isinstance(one, pa.RecordBatch)
    assert np.array_equal(one["score"].to_numpy(), expected[70:140, 2].astype(np.float32))
    assert encoder(table).equals(codes.combine_chunks())


def test_an_empty_batch_keeps_its_columns(path: Path, table: pa.Table) -> None:
    empty = ArrowEncoder(path, keep=["id"])(table.to_batches()[0].slice(0, 0))
    assert empty.num_rows == 0
    assert empty.schema.names[0] == "id"


def test_a_worker_travels_as_a_path_and_loads_once(
    path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ArrowEncoder(path)
    sent = pickle.dumps(encoder)
    assert len(sent) < 1000
    loads = []
    inner = Autoencoder.load
    monkeypatch.setattr(Autoencoder, "load", lambda p: (loads.append(p), inner(p))[1])
    (path.parent / "other.safetensors").write_bytes(path.read_bytes())
    other = pickle.loads(pickle.dumps(ArrowEncoder(path.parent / "other.safetensors")))
    for batch in table.to_batches(max_chunksize=100):
        pickle.loads(pickle.dumps(other))(batch)
    assert len(loads) == 1


def test_pictures_come_as_lists(tmp_path: Path) -> None:
    X = datasets.load("digits").X[:50]
    model = Autoencoder(**SMALL).fit(X)
    model.save(tmp_path / "m.safetensors")
    encoder = ArrowEncoder(tmp_path / "m.safetensors", keep=["key"])
    flat = pa.array(X.reshape(50, -1).tolist(), pa.list_(pa.float32()))
    table = pa.table({"pixels": flat, "key": np.arange(50)})
    assert np.array_equal(columns_of(encoder(table), encoder(table).column_names[1:]),
                          model.transform(X))  # fmt: skip
    short = pa.table({"pixels": [[1.0, 2.0]], "key": [0]})
    with pytest.raises(DataError, match="64 values"):
        encoder(short)


def test_what_is_missing_is_named(path: Path, table: pa.Table) -> None:
    with pytest.raises(DataError, match="no column 'b'"):
        ArrowScorer(path)(table.drop_columns(["b"]))
    with pytest.raises(DataError, match="no column 'key'"):
        ArrowScorer(path, keep=["key"])(table)
    with pytest.raises(DataError, match="a dict is no Arrow batch"):  # Ray's own format
        ArrowScorer(path)({"a": np.zeros(2)})
    with pytest.raises(DataError, match="a float is no Arrow batch"):
        list(ArrowScorer(path)([1.0]))
    with pytest.raises(ParameterError, match="lists of names"):
        ArrowScorer(path, keep="id")


def test_spark(
    path: Path, table: pa.Table, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    types = pytest.importorskip("pyspark.sql.pandas.types")
    worker = ArrowEncoder(path, keep=["id"])
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    try:
        frame = spark.createDataFrame(table.to_pylist()).repartition(2)
        schema = types.from_arrow_schema(worker.schema(table.schema))
        found = frame.mapInArrow(worker, schema).toPandas().sort_values("id")
    finally:
        spark.stop()
    assert_equal(columns_of(found, found.columns[1:].tolist()), expected[:, :2])


@pytest.mark.filterwarnings("ignore")
def test_ray(path: Path, table: pa.Table, expected: np.ndarray) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    data = pytest.importorskip("ray.data", reason="ray.data is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        worker = ArrowEncoder(path, keep=["id"])
        mapped = data.from_arrow(table).repartition(3).map_batches(worker, batch_format="pyarrow")
        found = mapped.to_pandas().sort_values("id")
    finally:
        ray.shutdown()
    assert_equal(columns_of(found, found.columns[1:].tolist()), expected[:, :2])


def test_dask(path: Path, table: pa.Table, expected: np.ndarray) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    dataframe = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker = ArrowScorer(path, keep=["id"])
        frame = dataframe.from_pandas(table.to_pandas(), npartitions=3)
        meta = worker.schema(table.schema).empty_table().to_pandas()
        found = frame.map_partitions(worker, meta=meta).compute(scheduler="threads")
    assert found["id"].tolist() == list(range(ROWS))
    assert_equal(found["score"].to_numpy(), expected[:, 2])
