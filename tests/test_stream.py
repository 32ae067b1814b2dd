"""Rows that are streamed from the disk: the same as resident ones, however they lie there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latente import AnomalyDetector, Autoencoder, LatentIndex, datasets
from latente.data import memory, stream
from latente.data.ahead import read_ahead
from latente.data.batches import Batches
from latente.data.scaling import SCALINGS, RangeTally, Scaling
from latente.data.sources import ArraySource, Source, TableSource
from latente.data.stream import Side, Stream
from latente.errors import DataError, DataWarning, FileError, ParameterError
from latente.training import loop

SMALL: dict[str, Any] = {
    "latent_dim": 2, "network": "dense(hidden=[8])", "epochs": 3, "batch_size": 32,
    "random_state": 0, "device": "cpu", "precision": "float32",
}  # fmt: skip


@pytest.fixture
def rows() -> np.ndarray:
    generator = np.random.default_rng(0)
    found = generator.normal(size=(600, 3)) @ generator.normal(size=(3, 6)) + [0, 5, 0, 0, 100, 0]
    return found.astype(np.float32)


@pytest.fixture
def table(rows: np.ndarray) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(rows, columns=[f"c{i}" for i in range(6)])
    frame["kind"] = generator.choice(["red", "green", "blue"], len(frame), p=[0.6, 0.3, 0.1])
    frame["count"] = generator.integers(0, 9, len(frame)).astype(float)
    frame.loc[40:60, "count"] = np.nan
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        generator.integers(0, 99, len(frame)), "D"
    )
    frame["flag"] = generator.random(len(frame)) < 0.3
    frame.loc[frame.index[500:], "kind"] = None
    return frame


@pytest.fixture
def folder(table: pd.DataFrame, tmp_path: Path) -> Path:
    home = tmp_path / "table"
    home.mkdir()
    table[:170].to_parquet(home / "part-2.parquet", row_group_size=60, index=False)
    table[170:].to_parquet(home / "part-10.parquet", row_group_size=77, index=False)
    return home


def mapped(array: np.ndarray, path: Path) -> np.memmap:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def side(array: np.ndarray) -> Side:
    return Side(ArraySource(array), torch.from_numpy, lambda x: x.float())


# ── an epoch ─────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 900),
    st.integers(1, 70),
    st.integers(3, 12),
    st.integers(8, 15),
    st.integers(1, 8),
)
def test_streamed_batches_are_those_of_the_order_for_any_processes(
    n: int, size: int, block: int, chunk: int, world: int
) -> None:
    X = np.arange(n, dtype=np.int64)[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BLOCK", 2**block)
        patch.setattr(stream, "CHUNK", 2**chunk)
        whole = Stream(side(X), None, torch.device("cpu"))
        wanted = [
            [int(whole.starts[b]) + i for b, i in batch] for batch in whole.order.batches(size, 7)
        ]
        world = min(world, len(whole.order.lanes))
        parts = [whole.of_rank(rank, world) for rank in range(world)]
        found = [[batch_of(*step) for step in part.epoch(seeded(7), size)] for part in parts]
    assert {len(each) for each in found} == {len(wanted)}
    joined = [sorted(row for each in found for row in each[i]) for i in range(len(wanted))]
    assert joined == [sorted(batch) for batch in wanted]
    if world == 1:
        assert found[0] == wanted


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(part: Batches, index: torch.Tensor) -> list[int]:
    return part.x[index].flatten().tolist()


def test_a_gpu_takes_chunks_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 2**5)
    monkeypatch.setattr(stream, "CHUNK", 2**7)
    X = np.arange(300, dtype=np.int64)[:, None]
    # A device without numbers, which like a GPU keeps the chunks at one place.
    whole = Stream(side(X), None, torch.device("meta"), weights=np.arange(300) % 3.0)
    for rank in range(5):
        part = whole.of_rank(rank, 5)
        lengths = [len(index) for _, index in part.epoch(seeded(7), 7)]
        assert sum(lengths) == int(whole.order.rows[part.own].sum())
        assert len({len(rows[0]) for rows, _ in part._chunks(7, 7)}) > 1


def test_weights_and_targets_go_with_their_rows() -> None:
    X = np.arange(300, dtype=np.float32)[:, None]
    weights = np.arange(300) % 3.0
    whole = Stream(side(X), side(10 * X), torch.device("cpu"), weights=weights)
    training, held_out = whole.split(0.2, seeded(3))
    seen = []
    for part, index in training.epoch(seeded(1), 16):
        x, target = part.take(index)
        assert torch.equal(target, 10 * x)
        assert part.weights is not None
        seen += list(zip(x.flatten().tolist(), part.weights[index].tolist(), strict=True))
    assert held_out is not None
    out = held_out.x.flatten().tolist()
    assert sorted([x for x, _ in seen] + out) == [x for x in range(300) if x % 3]
    own = np.array([x % 3 for x, _ in seen])
    np.testing.assert_allclose([w for _, w in seen], own / own.mean(), rtol=1e-6)


def test_held_out_rows_are_the_same_however_the_blocks_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    X, found = np.arange(500, dtype=np.float32)[:, None], []
    for block in (64, 400, 2**20):
        monkeypatch.setattr(stream, "BLOCK", block)
        out = Stream(side(X), None, torch.device("cpu")).split(0.1, seeded(5))[1]
        assert out is not None
        found.append(out.x.flatten().tolist())
    assert found[0] == found[1] == found[2]


def test_reading_ahead_passes_errors_on_and_ends_its_thread() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        list(read_ahead(broken()))
    endless = read_ahead(iter(int, 1))
    next(endless)
    endless.close()
    assert not [t for t in threading.enumerate() if t.name == "latente read-ahead"]


# ── scales, learned in one pass ──────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([*SCALINGS, "auto"]),
    st.integers(1, 50),
    st.sampled_from(["f4", "f8", "u1", "i4", "?"]),
)
def test_scales_learned_in_parts_are_those_learned_at_once(
    seed: int, scaling: str, part: int, dtype: str
) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(100, generator.choice([0.1, 1, 30], 4), (97, 4)).clip(0, 255).astype(dtype)
    if generator.random() < 0.3:
        X[:, 0] = X[0, 0]
    if generator.random() < 0.3:
        X = (X > 100).astype(dtype)
    whole = Scaling.learn(X, scaling)
    tally = RangeTally(moments=True)
    for start in range(0, len(X), part):
        tally.add(X[start : start + part])
    found = Scaling.of(None, tally.ranges(X.dtype.name, None, X), scaling)
    assert (found.name, found.binary) == (whole.name, whole.binary)
    np.testing.assert_allclose(found.shift, whole.shift, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.span, whole.span, rtol=1e-9)
    np.testing.assert_allclose(
        [found.low, found.high], [whole.low, whole.high], rtol=1e-7, atol=1e-9
    )
    np.testing.assert_array_equal(found.constant_, whole.constant_)


def test_gaps_count_as_what_fills_them() -> None:
    X = np.array([[1.0, 5], [np.nan, 7], [3, np.nan], [4, 9], [np.nan, 1]])
    fill = np.array([3.0, 6.0])
    tally = RangeTally(moments=True)
    for start in range(0, 5, 2):
        tally.add(X[start : start + 2])
    tally.fill(fill)
    full = np.where(np.isnan(X), fill, X)
    found = Scaling.of(None, tally.ranges("float64"), "standard")
    np.testing.assert_allclose(found.shift, full.mean(0))
    np.testing.assert_allclose(found.span, full.std(0))


def test_a_streamed_table_is_encoded_as_a_resident_one(table: pd.DataFrame, folder: Path) -> None:
    resident = Autoencoder(**SMALL).fit(table).fitted_.input.table
    streamed = Autoencoder(**SMALL).fit(datasets.stream(folder)).fitted_.input.table
    assert resident is not None
    assert streamed is not None
    assert streamed.encoders == resident.encoders
    assert streamed.schema.names == resident.schema.names
    assert streamed.categories == resident.categories
    assert streamed.scaling_map is not None
    assert resident.scaling_map is not None
    np.testing.assert_allclose(
        streamed.scaling_map.shift, resident.scaling_map.shift, rtol=1e-12, atol=1e-9
    )
    np.testing.assert_allclose(streamed.scaling_map.span, resident.scaling_map.span, rtol=1e-12)


@pytest.mark.parametrize("scaling", ["auto", "robust"])
def test_a_streamed_table_of_numbers_is_as_a_resident_one(
    scaling: str, rows: np.ndarray, tmp_path: Path
) -> None:
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=100, index=False)
    one, other = (
        Autoencoder(**SMALL, scaling=scaling).fit(X).fitted_.input
        for X in (frame, datasets.stream(tmp_path / "x.parquet"))
    )
    assert other.layout == one.layout
    assert other.schema == one.schema
    np.testing.assert_allclose(other.scaling_map.shift, one.scaling_map.shift, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(other.scaling_map.span, one.scaling_map.span, rtol=1e-6)


# ── fits ─────────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_fit_takes_the_steps_of_a_resident_one_in_the_same_order(
    rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 200)
    keywords = SMALL | {"validation_fraction": 0, "patience": None}
    streamed = Autoencoder(**keywords).fit(datasets.stream(mapped(rows, tmp_path / "x.npy")))
    assert streamed.streamed_
    shape = Stream(side(rows), None, torch.device("cpu"))

    def as_streamed(self: Batches, generator: torch.Generator, size: int) -> Iterator[Any]:
        for batch in shape.order.batches(size, generator.initial_seed()):
            yield self, torch.tensor([int(shape.starts[block]) + i for block, i in batch])

    monkeypatch.setattr(Batches, "epoch", as_streamed)
    resident = Autoencoder(**keywords).fit(rows)
    assert not resident.streamed_
    for name, value in resident.module_.state_dict().items():
        torch.testing.assert_close(streamed.module_.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def test_large_data_stream_by_themselves(
    rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = mapped(rows, tmp_path / "x.npy")
    assert not Autoencoder(**SMALL).fit(X).streamed_
    monkeypatch.setattr(memory, "physical_memory", lambda: 3 * X.nbytes)
    fitted = Autoencoder(**SMALL).fit(X)
    assert fitted.streamed_
    fitted.save(tmp_path / "m.safetensors")
    assert Autoencoder.load(tmp_path / "m.safetensors").streamed_


@pytest.mark.parametrize("given_as", ["path", "text", "dataset", "function", "stream"])
def test_every_way_to_give_a_table_gives_the_same_model(
    given_as: str, table: pd.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Autoencoder(**SMALL).fit(datasets.stream(folder))
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000)
    ways: dict[str, Any] = {
        "path": folder,
        "text": str(folder),
        "dataset": pyarrow.dataset.dataset(folder),
        "function": lambda: batches_of(table),
        "stream": datasets.stream(lambda: batches_of(table)),
    }
    if given_as == "dataset":  # its files are in the order of their names: 10 before 2
        monkeypatch.setattr("latente.data.sources.natural", str)
        first = Autoencoder(**SMALL).fit(datasets.stream(folder))
    again = Autoencoder(**SMALL).fit(ways[given_as])
    assert again.streamed_
    for name, value in first.module_.state_dict().items():
        assert torch.equal(again.module_.state_dict()[name], value), name


def batches_of(table: pd.DataFrame) -> Iterator[pa.RecordBatch]:
    yield from pa.Table.from_pandas(table, preserve_index=False).to_batches(max_chunksize=130)


def test_what_is_streamed_through_a_model_comes_out_as_resident_rows_do(
    table: pd.DataFrame, folder: Path
) -> None:
    model = Autoencoder(**SMALL).fit(table)
    rows = datasets.stream(folder)
    np.testing.assert_array_equal(model.transform(rows), model.transform(table))
    np.testing.assert_array_equal(model.score_samples(rows), model.score_samples(table))
    np.testing.assert_array_equal(
        model.reconstruction_error(rows), model.reconstruction_error(table)
    )
    pd.testing.assert_frame_equal(model.reconstruct(rows), model.reconstruct(table))
    assert model.score(folder) == model.score(table)


def test_a_streamed_target_goes_row_by_row(rows: np.ndarray, tmp_path: Path) -> None:
    X, clean = mapped(rows + 1, tmp_path / "x.npy"), mapped(rows, tmp_path / "y.npy")
    model = Autoencoder(**SMALL).fit(datasets.stream(X), target=datasets.stream(clean))
    assert model.streamed_
    assert model.score_samples(datasets.stream(X), datasets.stream(clean)).shape == (600,)
    with pytest.raises(DataError, match="target has 300 rows but X has 600"):
        Autoencoder(**SMALL).fit(datasets.stream(X), target=datasets.stream(clean[:300]))


def test_streamed_validation_is_never_trained_on(rows: np.ndarray, tmp_path: Path) -> None:
    X = mapped(rows, tmp_path / "x.npy")
    model = Autoencoder(**SMALL).fit(datasets.stream(X), validation=datasets.stream(X[:50]))
    assert "validation_total" in model.history_[0]


@pytest.mark.parametrize("bottleneck", ["gaussian", "neighbours", "vector_quantized(codes=8)"])
def test_bottlenecks_that_look_at_rows_beforehand_look_at_a_sample(
    bottleneck: str, rows: np.ndarray, tmp_path: Path
) -> None:
    X = datasets.stream(mapped(rows, tmp_path / "x.npy"))
    model = Autoencoder(**SMALL | {"epochs": 1}, bottleneck=bottleneck).fit(X)
    assert np.isfinite(model.history_[-1]["total"])


def test_all_rows_at_once_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"lbfgs.*streamed"):
        Autoencoder(**SMALL | {"batch_size": "auto"}, optimizer="lbfgs").fit(datasets.stream(rows))


def test_gaps_are_learned_from_streamed_rows(rows: np.ndarray) -> None:
    X = rows[:120].copy()
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    model = Autoencoder(**SMALL | {"epochs": 1}, corruption="gaps").fit(datasets.stream(X))
    assert np.isfinite(model.impute(X)).all()
    filled = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    np.testing.assert_allclose(model.fitted_.input.scaling_map.span, filled.std(0), rtol=1e-5)


# ── pictures ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    home = tmp_path / "pictures"
    shades = datasets.load("digits").X[:90] * 15
    for i, shade in enumerate(shades.astype(np.uint8)):
        path = home / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(shade).save(path)
    return home


def test_streamed_pictures_are_decoded_once(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latente.data import sources

    resident = Autoencoder(**SMALL).fit(datasets.open_data(pictures).X)
    decoded: list[Path] = []
    plain = sources.decoded

    def counting(paths: list[Path], *rest: Any) -> Any:
        decoded.extend(paths)
        return plain(paths, *rest)

    monkeypatch.setattr(sources, "decoded", counting)
    model = Autoencoder(**SMALL).fit(datasets.stream(pictures))
    assert (
        len(decoded) <= 4 * 90
    )  # the first part thrice, to learn the scale, to copy: not an epoch each
    counted = len(decoded)
    Autoencoder(**SMALL | {"epochs": 9}).fit(datasets.stream(pictures))
    assert len(decoded) == 2 * counted
    assert model.fitted_.input.layout == resident.fitted_.input.layout
    np.testing.assert_array_equal(
        model.transform(datasets.stream(pictures)), model.transform(datasets.open_data(pictures).X)
    )


def test_large_folders_are_read_as_sources(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = datasets.open_data(pictures)
    monkeypatch.setattr(memory, "physical_memory", lambda: 3 * small.X.nbytes)
    data = datasets.open_data(pictures)
    assert isinstance(data.X, Source)
    assert data.shape == (8, 8)
    assert data.classes == ("a", "b")
    assert data.y is not None
    assert small.y is not None
    np.testing.assert_array_equal(data.y, small.y)
    np.testing.assert_array_equal(data.X.read(), small.X)


# ── what is wrong ────────────────────────────────────────────────────────────────────────────


def test_files_of_other_columns_are_named(tmp_path: Path) -> None:
    def written(name: str, frame: pd.DataFrame) -> Path:
        frame.to_parquet(tmp_path / name, index=False)
        return tmp_path / name

    first = written("1.parquet", pd.DataFrame({"age": [1, 2], "city": ["a", "b"]}))
    same = written("2.parquet", pd.DataFrame({"city": ["a"], "age": [1]}))
    assert len(TableSource([first, same]).read()) == 3
    text = written("3.parquet", pd.DataFrame({"age": ["x"], "city": ["a"]}))
    with pytest.raises(
        DataError,
        match=r"3\.parquet: column 'age' holds (large_)?string, but int64 in .*1\.parquet",
    ):
        datasets.stream(tmp_path)
    text.unlink()
    written("4.parquet", pd.DataFrame({"age": [1]}))
    with pytest.raises(DataError, match=r"4\.parquet has no column 'city'"):
        datasets.stream(tmp_path)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "part-3.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(FileError, match=r"part-3\.parquet is broken"):
        datasets.stream(folder)


def test_no_room_on_the_disk_is_told_with_what_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "free_bytes", lambda folder: 100)
    with pytest.raises(DataError, match=r"takes .* as numbers.* 100 bytes free; set TMPDIR"):
        Autoencoder(**SMALL).fit(datasets.stream(folder))


def test_a_value_that_is_not_finite_is_told_where(rows: np.ndarray) -> None:
    X = rows.copy()
    X[450, 2] = np.inf
    with pytest.raises(DataError, match="X has infinity at row 450, column 2"):
        Autoencoder(**SMALL).fit(datasets.stream(X))


def test_a_function_that_gives_other_rows_the_second_time_is_refused(table: pd.DataFrame) -> None:
    left = iter([table, table, table[:300], table[:300]])
    source = datasets.stream(lambda: batches_of(next(left, table[:300])))
    with pytest.raises(DataError, match="gave 600 rows at first and 300 now"):
        Autoencoder(**SMALL).fit(source)


@pytest.mark.parametrize("data", [3, [1, 2], "nowhere.npy"])
def test_what_cannot_be_streamed_is_refused(data: Any) -> None:
    with pytest.raises(DataError, match="cannot be streamed"):
        datasets.stream(data)


# ── other uses, files, the command line ──────────────────────────────────────────────────────


def test_a_detector_scores_a_stream_and_learns_from_a_sample(
    rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    frame.to_parquet(tmp_path / "x.parquet", index=False)
    source = datasets.stream(tmp_path / "x.parquet")
    detector = AnomalyDetector(random_state=0).fit(frame)
    np.testing.assert_array_equal(detector.score_samples(source), detector.score_samples(frame))
    monkeypatch.setattr("latente.anomaly.detector.SAMPLED", 1200)
    monkeypatch.setattr("latente.anomaly.detector.FEWEST", 100)
    with pytest.warns(DataWarning, match=r"all its 600 rows, and a random sample of \d+ stands"):
        learned = AnomalyDetector(random_state=0).fit(source)
    assert learned.predict(source).shape == (600,)


def test_an_index_is_built_from_a_stream(table: pd.DataFrame, folder: Path) -> None:
    model = Autoencoder(**SMALL).fit(table)
    found = LatentIndex(model).build(datasets.stream(folder))
    np.testing.assert_array_equal(found.codes, model.transform(table))


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".csv"])
def test_the_command_writes_results_part_by_part(
    suffix: str, table: pd.DataFrame, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from latente.cli.main import app
    from latente.data import sources

    model = Autoencoder(**SMALL).fit(table)
    model.save(tmp_path / "m.safetensors")
    for i in range(3, 7):
        table.to_parquet(folder / f"part-{i}.parquet", row_group_size=250, index=False)

    def encoded(name: str, command: str) -> Path:
        path = tmp_path / f"{name}{suffix}"
        call = [command, str(folder), "-m", str(tmp_path / "m.safetensors"), "-o", str(path)]
        result = CliRunner().invoke(app, call)
        assert result.exit_code == 0, result.output
        return path

    commands = ["encode"] if suffix == ".npy" else ["encode", "reconstruct"]
    whole = {command: encoded(f"whole-{command}", command) for command in commands}
    monkeypatch.setattr(memory, "physical_memory", lambda: 1000)
    monkeypatch.setattr(memory, "check_memory", lambda nbytes, path: None)
    monkeypatch.setattr(sources, "TABLE_PART", (100, 100))
    monkeypatch.setattr(sources, "PART", 1)
    monkeypatch.setattr("latente.cli.output.GROUP", 250)
    for command in commands:
        parts = encoded(f"parts-{command}", command)
        if suffix == ".parquet":
            pd.testing.assert_frame_equal(pd.read_parquet(parts), pd.read_parquet(whole[command]))
        else:
            assert parts.read_bytes() == whole[command].read_bytes()
    if suffix == ".parquet":
        assert pq.ParquetFile(tmp_path / "parts-encode.parquet").num_row_groups > 1


class Paced:
    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.seen: list[int] = []

    def on_epoch_end(self, state: Any) -> None:
        self.seen.append(state.epoch)
        print(state.epoch, flush=True)
        time.sleep(self.pause)


def fitted_with_checkpoint(
    data: str, checkpoint: str, pause: float
) -> tuple[Autoencoder, list[int]]:
    stream.BLOCK, loop.CHECKPOINT_SECONDS, paced = 200, 0, Paced(pause)
    keywords = SMALL | {"epochs": 30, "corruption": "gaussian_noise", "callbacks": paced}
    model = Autoencoder(**keywords).fit(datasets.stream(data), checkpoint=checkpoint)
    return model, paced.seen


def test_a_killed_fit_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 200)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    checkpoint = str(tmp_path / "killed")
    call = [sys.executable, __file__, str(folder), checkpoint]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if int(line) >= 10:
                killed.send_signal(signal.SIGKILL)
                break
    assert killed.returncode == -signal.SIGKILL
    again, seen = fitted_with_checkpoint(str(folder), checkpoint, 0)
    assert 10 <= seen[0] <= 30, "it did not go on"
    whole, _ = fitted_with_checkpoint(str(folder), str(tmp_path / "whole"), 0)
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(again.module_.state_dict()[name], value), name


if __name__ == "__main__":
    fitted_with_checkpoint(sys.argv[1], sys.argv[2], 0.1)
