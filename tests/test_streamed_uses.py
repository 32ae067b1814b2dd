"""What is done with streamed rows: the same as with resident ones, part by part."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from latente import AnomalyDetector, Autoencoder, datasets
from latente.cli.main import app
from latente.cli.output import Lowest
from latente.data import memory, sources
from latente.data.report import REPORT, reported
from latente.data.sources import ArraySource, Chosen, Source, Without
from latente.errors import DataError, DataWarning
from latente.model import Model
from latente.training import loop, progress

SMALL: dict[str, Any] = {
    "latent_dim": 2, "network": "dense(hidden=[8])", "epochs": 1, "batch_size": 32,
    "random_state": 0, "device": "cpu", "precision": "float32",
}  # fmt: skip
ROWS = 3000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of data in three forms, a model of each and detectors."""
    home = tmp_path_factory.mktemp("home")
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=(ROWS, 3)) @ generator.normal(size=(3, 6))).astype(np.float32)
    np.save(home / "rows.npy", rows)
    frame = pd.DataFrame(rows, columns=list("abcdef")).assign(
        kind=generator.choice(["x", "y", "z"], ROWS, p=[0.6, 0.399, 0.001])
    )
    (home / "table").mkdir()
    frame[:1700].to_parquet(home / "table" / "1.parquet", row_group_size=600, index=False)
    frame[1700:].to_parquet(home / "table" / "2.parquet", row_group_size=770, index=False)
    (home / "pictures").mkdir()
    shades = (datasets.load("digits").X[:90] * 15).astype(np.uint8)
    for i, shade in enumerate(shades):
        Image.fromarray(shade).save(home / "pictures" / f"{i:02}.png")
    for name, X in (("table", frame), ("rows.npy", rows), ("pictures", shades)):
        Autoencoder(**SMALL).fit(X).save(home / f"{name}.safetensors")
    AnomalyDetector(random_state=0, scores="neighbors").fit(frame).save(home / "detector")
    return home


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes the memory small: more than 25 kB of rows are streamed from then on."""

    def shrink() -> None:
        monkeypatch.setattr(memory, "physical_memory", lambda: 100_000)
        monkeypatch.setattr(memory, "check_memory", lambda nbytes, path: None)
        monkeypatch.setattr(sources, "TABLE_PART", (100, 500))
        monkeypatch.setattr(sources, "PART", 1)
        monkeypatch.setattr("latente.data.dataset.LARGE", 0)

    return shrink


def called(*call: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in call])
    assert result.exit_code == 0, result.output
    return result.stdout


# ── rows by number ───────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_chosen_and_left_out_rows_are_those_of_the_numbers(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 60))
    picked = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n - 1))
    start = data.draw(st.integers(0, n))
    numbers = np.array(sorted(picked))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PART", data.draw(st.integers(8, 200)))
        whole = ArraySource(np.arange(n)[:, None])
        rest = np.setdiff1d(np.arange(n), numbers)
        for source, wanted in ((Chosen(whole, numbers), numbers), (Without(whole, numbers), rest)):
            assert len(source) == len(wanted)
            stop = data.draw(st.integers(0, len(wanted)))
            found = list(source.parts(min(start, stop), stop))
            rows = [row for _, part in found for row in part[:, 0].tolist()]
            assert rows == wanted[min(start, stop) : stop].tolist()
            for first, part in found:
                assert wanted[first : first + len(part)].tolist() == part[:, 0].tolist()


def test_rows_by_number_are_read_in_the_order_asked_for(home: Path) -> None:
    frame = pd.read_parquet(home / "table")
    found = datasets.stream(home / "table")[np.array([2999, 3, 3, 1700])]
    wanted = frame.iloc[[2999, 3, 3, 1700]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted)


def test_one_row_or_all_at_once_are_refused_where_they_are_large(
    home: Path, small: Callable[[], None]
) -> None:
    source = datasets.stream(home / "rows.npy")
    assert np.asarray(source).shape == (ROWS, 6)
    with pytest.raises(DataError, match="several rows"):
        source[3]
    small()
    with pytest.raises(DataError, match=r"rows\.npy takes .* needed at once .* --limit"):
        np.asarray(source)


# ── a part of the rows ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["table", "rows.npy", "pictures"])
@pytest.mark.parametrize("n", [20, 85, 1500])
def test_the_same_rows_are_drawn_of_streamed_data(
    name: str, n: int, home: Path, small: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = datasets.open_data(home / name, n=n)
    small()
    if name == "pictures":
        monkeypatch.setattr(memory, "physical_memory", lambda: 20_000)
    data = datasets.open_data(home / name, n=n)
    assert len(data) == len(whole)
    X = data.X.read() if isinstance(data.X, Source) else data.X
    if name == "table":
        pd.testing.assert_frame_equal(X.reset_index(drop=True), whole.X)
    else:
        np.testing.assert_array_equal(X, whole.X)


@pytest.mark.parametrize("name", ["table", "rows.npy"])
@pytest.mark.parametrize("limit", [50, 2000])
def test_limits_give_the_results_of_resident_rows(
    name: str, limit: int, home: Path, small: Callable[[], None], tmp_path: Path
) -> None:
    def results() -> list[Any]:
        model, out = home / f"{name}.safetensors", tmp_path / "codes.npy"
        rest = ["-m", model, "--limit", limit]
        called("encode", home / name, *rest, "-o", out)
        scored = json.loads(called("score", home / name, *rest, "--json"))
        measured = json.loads(called("evaluate", home / name, *rest, "--json"))
        codes = np.load(out)
        assert len(codes) == len(scored["scores"]) == measured["rows"] == limit
        return [codes, scored["scores"], scored["mean"], measured["mse"]]

    resident = results()
    small()
    for found, wanted in zip(results(), resident, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_fit_on_some_of_many_rows_is_that_of_resident_ones(
    home: Path, small: Callable[[], None], tmp_path: Path
) -> None:
    def fitted() -> dict[str, Any]:
        call = ["fit", home / "table", "-o", tmp_path / "m.safetensors", "--limit", 60, "--json"]
        found: dict[str, Any] = json.loads(called(*call, "--epochs", 1, "--latent-dim", 2, "-q"))
        return found

    wanted = fitted()
    small()
    found = fitted()
    assert not found["streamed"]
    assert found["rows"] == wanted["rows"] == 60
    assert found["history"][0]["total"] == pytest.approx(wanted["history"][0]["total"], rel=1e-5)


@pytest.mark.parametrize("command", ["dimension", "impute"])
def test_what_needs_all_rows_at_once_says_so(
    command: str, home: Path, small: Callable[[], None], tmp_path: Path
) -> None:
    small()
    rest = ["--fit", "-o", tmp_path / "m.safetensors"] if command == "impute" else []
    result = CliRunner().invoke(app, [str(x) for x in [command, home / "table", *rest]])
    assert result.exit_code == 1
    assert "all rows are needed at once here; take fewer" in result.stderr
    called("dimension", home / "table", "--limit", 50)


# ── results part by part ─────────────────────────────────────────────────────────────────────


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40), st.integers(0, 9), st.integers(1, 7))
def test_the_lowest_scores_are_those_of_all(values: list[int], most: int, size: int) -> None:
    scores = np.array(values, float)
    lowest = Lowest(most, below=3)
    for start in range(0, len(scores), size):
        lowest.add(scores[start : start + size])
    order = [i for i in np.argsort(scores, kind="stable") if scores[i] < 3][:most]
    assert lowest.rows.tolist() == order
    assert lowest.scores.tolist() == scores[order].tolist()
    assert lowest.mean == pytest.approx(scores.mean())


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_scores_and_what_is_detected_are_written_part_by_part(
    suffix: str, home: Path, small: Callable[[], None], tmp_path: Path
) -> None:
    seen: list[int] = []

    def results() -> list[Any]:
        found = []
        for command, model, more in (
            ("score", home / "table.safetensors", []),
            ("detect", home / "detector", ["--explain"]),
        ):
            path = tmp_path / f"{command}{suffix}"
            call = [command, home / "table", "-m", model, "-o", path, "--top", 3, "--json", *more]
            told = json.loads(called(*call))
            found += [table_of(path), [row["score"] for row in told["top"]], told["rows"]]
            found += [[row["row"] for row in told["top"]]]
        return found

    resident = results()
    small()
    with pytest.MonkeyPatch.context() as patch:
        plain = AnomalyDetector.explain
        patch.setattr(
            AnomalyDetector, "explain", lambda self, X: seen.append(len(X)) or plain(self, X)
        )
        streamed = results()
    assert max(seen) == 1024
    for found, wanted in zip(streamed, resident, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def table_of(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path)
    return np.asarray(pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path), float)


def test_pictures_are_reconstructed_one_part_after_the_other(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(name: str) -> dict[str, bytes]:
        model = home / "pictures.safetensors"
        called("reconstruct", home / "pictures", "-m", model, "-o", tmp_path / name)
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}

    resident = results("resident")
    most: list[int] = []
    plain = Autoencoder.reconstruct

    def counted(self: Autoencoder, X: Any, *rest: Any) -> Any:
        most.append(len(X))
        return plain(self, X, *rest)

    monkeypatch.setattr(memory, "physical_memory", lambda: 10_000)
    monkeypatch.setattr(sources, "PART", 64)
    monkeypatch.setattr(sources, "EVEN", 32)
    monkeypatch.setattr(Autoencoder, "reconstruct", counted)
    assert results("streamed") == resident
    assert most == [32, 32, 26]


def test_masks_go_with_their_streamed_pictures(tmp_path: Path, small: Callable[[], None]) -> None:
    shades = (datasets.load("digits").X[:1300] * 15).astype(np.uint8)
    masks = np.random.default_rng(0).random(shades.shape) < 0.3
    np.save(tmp_path / "x.npy", shades)
    np.save(tmp_path / "masks.npy", masks)
    model = Autoencoder(**SMALL, corruption="erase").fit(shades[:200])
    model.save(tmp_path / "m.safetensors")
    small()
    call = ["reconstruct", tmp_path / "x.npy", "-m", tmp_path / "m.safetensors"]
    called(*call, "-o", tmp_path / "out.npy", "--mask", tmp_path / "masks.npy")
    found, wanted = np.load(tmp_path / "out.npy"), model.reconstruct(shades, masks)
    assert np.abs(found.astype(float) - wanted).max() <= 1
    np.save(tmp_path / "few.npy", masks[:9])
    call += ["-o", tmp_path / "out.npy", "--mask", tmp_path / "few.npy"]
    result = CliRunner().invoke(app, [str(each) for each in call])
    assert result.exit_code == 2
    assert "has 9 masks for 1,300 rows" in result.stderr


def test_figures_of_streamed_rows_are_those_of_resident_ones(home: Path) -> None:
    model = Autoencoder.load(home / "pictures.safetensors")
    X = datasets.open_data(home / "pictures").X
    wanted, found = model.evaluate(X), model.evaluate(datasets.stream(home / "pictures"))
    assert list(found) == list(wanted)
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-9)
    assert found.table().keys() == wanted.table().keys()
    assert all(len(each) == 0 for each in found.samples.values())
    assert all(len(each) == 90 for each in wanted.samples.values())


def test_figures_of_a_large_map_are_sums_too(home: Path, small: Callable[[], None]) -> None:
    model = Autoencoder.load(home / "rows.npy.safetensors")
    X = np.load(home / "rows.npy", mmap_mode="r")
    wanted = model.evaluate(np.array(X))
    small()
    found = model.evaluate(X)
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-6)
    assert all(len(each) == 0 for each in found.samples.values())


# ── a detector ───────────────────────────────────────────────────────────────────────────────


def test_a_detector_learns_scales_and_categories_from_all_streamed_rows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latente.anomaly.detector.SAMPLED", 7 * 400)
    monkeypatch.setattr("latente.anomaly.detector.FEWEST", 10)
    frame, source = pd.read_parquet(home / "table"), datasets.stream(home / "table")
    with pytest.warns(DataWarning, match=r"all its 3,000 rows, and a random sample of \d+ stands"):
        detector = AnomalyDetector(random_state=0, scores="neighbors", unseen="error").fit(source)
    with pytest.warns(DataWarning):
        again = AnomalyDetector(random_state=0, scores="neighbors", unseen="error").fit(source)
    scores = detector.score_samples(frame)  # a category that is rare is known all the same
    np.testing.assert_array_equal(scores, again.score_samples(source))
    whole = AnomalyDetector(random_state=0, scores="neighbors").fit(frame)
    assert np.corrcoef(scores, whole.score_samples(frame))[0, 1] > 0.5


def test_an_autoencoder_of_a_detector_learns_from_all_streamed_rows_but_the_held_out_ones(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Any] = []
    plain = Autoencoder.fit

    def kept(self: Autoencoder, X: Any, *rest: Any, **more: Any) -> Autoencoder:
        learned.append(X)
        return plain(self, X, *rest, **more)

    monkeypatch.setattr(Autoencoder, "fit", kept)
    monkeypatch.setattr("latente.anomaly.detector.SAMPLED", 6 * 400)
    monkeypatch.setattr("latente.anomaly.detector.FEWEST", 10)
    source = datasets.stream(home / "rows.npy")
    own = Autoencoder(**SMALL)
    with pytest.warns(DataWarning, match="random sample"):
        AnomalyDetector(own, scores="reconstruction", random_state=0).fit(source)
    (X,) = learned
    left_out = ROWS - len(X)
    assert 20 <= left_out <= 60  # a tenth of the sample
    rows = {row.tobytes() for row in X.read()}
    assert len(rows) == len(X)
    assert rows < {row.tobytes() for row in source.read()}


# ── memory ───────────────────────────────────────────────────────────────────────────────────


def test_few_large_rows_are_validated_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = Model.objective

    def counted(self: Model, x: Any, *rest: Any) -> Any:
        if not self.training:
            seen.append(len(x))
        return plain(self, x, *rest)

    monkeypatch.setattr(Model, "objective", counted)
    X = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    Autoencoder(**SMALL).fit(X[:40], validation=X)
    assert max(seen) == 300
    seen.clear()
    monkeypatch.setattr(loop, "VALIDATED_VALUES", 8 * 50)
    Autoencoder(**SMALL).fit(X[:40], validation=X)
    assert max(seen) == 50


# ── what a person sees ───────────────────────────────────────────────────────────────────────


def test_how_far_the_reading_is_is_reported() -> None:
    told: list[tuple[str, float]] = []
    parts = [(0, "a"), (30, "b"), (90, "c")]
    assert list(reported(parts, "reading", 120)) == parts
    token = REPORT.set(lambda what, share: told.append((what, share)))
    list(reported(parts, "reading", 120))
    REPORT.reset(token)
    assert told == [("reading", 0), ("reading", 0.25), ("reading", 0.75)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_terminal_shows_how_far_streamed_rows_are_read(
    verbose: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress.ReadingLine, "interval", 0)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(sources, "TABLE_PART", (100, 500))
    Autoencoder(**SMALL, verbose=verbose).fit(datasets.stream(home / "table"))
    shown = terminal.getvalue()
    assert bool(shown) == bool(verbose)
    if verbose:
        assert f"reading {home / 'table'}: 0%" in shown
        assert f"decoding {home / 'table'}: " in shown
        assert shown.rindex("decoding") < shown.index("\r\x1b[K", shown.rindex("decoding"))


def test_a_fit_says_from_where_data_are_streamed(
    home: Path, small: Callable[[], None], tmp_path: Path
) -> None:
    small()
    for name in ("table", "rows.npy"):
        call = ["fit", home / name, "-o", tmp_path / "m.safetensors", "--epochs", 1]
        call += ["--latent-dim", 2, "--network", "dense(hidden=[8])"]
        result = CliRunner().invoke(app, [str(each) for each in call])
        assert result.exit_code == 0, result.output
        assert f"streamed from {home / name}" in result.stderr
        result = CliRunner().invoke(app, ["info", str(tmp_path / "m.safetensors"), "--json"])
        assert json.loads(result.stdout)["streamed"]
