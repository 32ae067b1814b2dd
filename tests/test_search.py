"""Search by code: the right neighbours, whatever the engine; files that can be trusted; copies."""

from __future__ import annotations

import json
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from latente import Autoencoder, LatentIndex, datasets, near_duplicates
from latente.cli.main import app
from latente.errors import DataError, FileError, MissingExtra, ParameterError
from latente.search import engines, graph
from latente.search.duplicates import Coded, Thumbnail, turns
from latente.search.engines import choose
from latente.search.index import fingerprint
from latente.search.rows import StoredRows
from latente.storage.tensors import read_tensors, write_tensors

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(300, 6)).astype(np.float32)
ENGINES = ("exact", "usearch")


def truth(codes: Any, queries: Any, k: int, metric: str = "euclidean") -> tuple[Any, Any]:
    """Distances and places of the nearest, in double precision and in full."""
    codes, queries = codes.astype(np.float64), queries.astype(np.float64)
    if metric == "cosine":
        unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (codes, queries)]
        table = 1 - unit[1] @ unit[0].T
    else:
        table = np.linalg.norm(queries[:, None] - codes[None], axis=2)
    order = np.argsort(table, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(table, order, 1), order


@pytest.fixture(scope="module")
def digits() -> Any:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def model(digits: Any) -> Autoencoder:
    return Autoencoder(latent_dim=16, network="dense", epochs=30, random_state=0).fit(digits.X)


class TestQuery:
    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_finds_the_nearest(self, engine: str, metric: str) -> None:
        queries = RNG.normal(size=(40, 6)).astype(np.float32)
        index = LatentIndex(metric=metric, engine=engine).add_codes(CODES)
        found = index.query_codes(queries, 7)
        distances, positions = truth(CODES, queries, 7, metric)
        np.testing.assert_array_equal(found.positions, positions)
        np.testing.assert_allclose(found.distances, distances, atol=1e-6)
        assert found.paths is None

    def test_is_the_same_block_by_block(self, monkeypatch: pytest.MonkeyPatch) -> None:
        queries = CODES[::3] + 0.01
        whole = LatentIndex().add_codes(CODES).query_codes(queries, 9)
        monkeypatch.setattr(engines, "ROWS", 16)
        monkeypatch.setattr(engines, "QUERIES", 8)
        monkeypatch.setattr(engines, "NUMBERS", 100)
        parts = LatentIndex().add_codes(CODES).query_codes(queries, 9)
        np.testing.assert_array_equal(whole.positions, parts.positions)
        np.testing.assert_array_equal(whole.distances, parts.distances)

    def test_no_table_grows_with_the_index(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[int] = []
        own = engines.torch.addmm

        def watched(*args: Any, **kwargs: Any) -> Any:
            result = own(*args, **kwargs)
            seen.append(result.numel())
            return result

        monkeypatch.setattr(engines, "ROWS", 64)
        monkeypatch.setattr(engines, "QUERIES", 32)
        monkeypatch.setattr(engines.torch, "addmm", watched)
        LatentIndex().add_codes(CODES).query_codes(CODES, 5)
        assert len(seen) > 10
        assert max(seen) <= 64 * 32

    @pytest.mark.parametrize("engine", ENGINES)
    def test_copies_are_at_distance_nought_in_order(self, engine: str) -> None:
        index = LatentIndex(engine=engine).add_codes(np.repeat(CODES[:20], 3, axis=0))
        found = index.query_codes(CODES[:20], 3)
        assert not found.distances.any()
        np.testing.assert_array_equal(found.positions, np.arange(60).reshape(20, 3))

    @pytest.mark.parametrize("engine", ENGINES)
    def test_gives_all_there_are_where_k_is_more(self, engine: str) -> None:
        found = LatentIndex(engine=engine).add_codes(CODES[:4]).query_codes(CODES[:2], 50)
        assert found.positions.shape == (2, 4)
        assert sorted(found.positions[0]) == [0, 1, 2, 3]

    def test_a_common_offset_costs_no_precision(self) -> None:
        far = CODES + np.float32(3000)
        found = LatentIndex().add_codes(far).query_codes(far[:50], 5)
        distances, positions = truth(far, far[:50], 5)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-3, atol=1e-3)
        assert (found.positions == positions).mean() > 0.95

    def test_cosine_forgets_length(self) -> None:
        index = LatentIndex(metric="cosine").add_codes(CODES)
        found = index.query_codes(CODES * 1e-20, 1)
        np.testing.assert_array_equal(found.positions[:, 0], np.arange(300))
        assert np.isfinite(index.query_codes(np.zeros((1, 6))).distances).all()

    @given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 50), st.integers(0, 2**32 - 1))
    @settings(max_examples=30)
    def test_exact_is_exact(self, n: int, size: int, k: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        codes = rng.integers(-3, 4, (n, size)).astype(np.float32)  # many of them the same
        queries = rng.integers(-3, 4, (5, size)).astype(np.float32)
        found = LatentIndex().add_codes(codes).query_codes(queries, k)
        distances, _ = truth(codes, queries, k)
        np.testing.assert_allclose(found.distances, distances, rtol=1e-6)
        again = np.linalg.norm(queries[:, None] - codes[found.positions], axis=2)
        np.testing.assert_allclose(found.distances, again, rtol=1e-6)
        assert all(len(set(row)) == len(row) for row in found.positions.tolist())

    def test_usearch_recalls_nearly_all(self) -> None:
        codes = np.random.default_rng(1).normal(size=(4000, 16)).astype(np.float32)
        found = [LatentIndex(engine=e).add_codes(codes).query_codes(codes[:200]) for e in ENGINES]
        pairs = zip(found[0].positions, found[1].positions, strict=True)
        assert np.mean([len(set(a) & set(b)) for a, b in pairs]) > 9.8

    def test_auto_goes_by_size(self) -> None:
        assert choose("auto", engines.EXACT_ROWS) == "exact"
        assert choose("auto", engines.EXACT_ROWS + 1) == "usearch"
        assert choose("exact", 10**9) == "exact"

    def test_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "usearch.index", None)
        index = LatentIndex(engine="usearch").add_codes(CODES)
        with pytest.raises(MissingExtra, match=r"latente\[search\]"):
            index.query_codes(CODES[:1])


class TestIndex:
    def test_like_digits_are_near(self, model: Autoencoder, digits: Any) -> None:
        """An untrained model must do worse."""
        untrained = Autoencoder(
            latent_dim=16, network="dense", epochs=1, learning_rate=1e-9, random_state=0
        ).fit(digits.X)
        precision = []
        for each in (model, untrained):
            found = LatentIndex(each, metric="cosine").build(digits.X).query(digits.X_test, 10)
            precision.append((digits.y[found.positions] == digits.y_test[:, None]).mean())
        assert precision[0] > 0.93
        assert precision[0] > precision[1] + 0.01

    def test_grows(self, model: Autoencoder, digits: Any) -> None:
        for engine in ENGINES:
            whole = LatentIndex(model).build(digits.X[:90])
            parts = LatentIndex(model, engine=engine).build(digits.X[:50])
            parts.query(digits.X[:1])
            parts.add(digits.X[50:90])
            assert len(parts) == len(whole) == 90
            a, b = (index.query(digits.X_test[:20], 5) for index in (whole, parts))
            np.testing.assert_array_equal(a.positions, b.positions)

    def test_paths_come_back(self, model: Autoencoder, digits: Any) -> None:
        index = LatentIndex(model).build(digits.X[:3], [Path("a.png"), "b.png", "c.png"])
        found = index.query(digits.X[[2]], 2)
        assert found.paths is not None
        assert found.paths[0][0] == "c.png"
        with pytest.raises(DataError, match="paths for all or none"):
            index.add(digits.X[:2])
        with pytest.raises(DataError, match="2 paths for 3 samples"):
            index.add(digits.X[:3], ["a", "b"])

    def test_reads_folders_in_the_models_size(
        self, model: Autoencoder, digits: Any, tmp_path: Path
    ) -> None:
        for i, side in enumerate((8, 16, 24)):
            picture = Image.fromarray((digits.X[i] * 15).astype(np.uint8)).resize((side, side))
            picture.convert("RGB").save(tmp_path / f"{i}.png")
        index = LatentIndex(model).build(tmp_path)
        assert [Path(path).name for path in index.paths or []] == ["0.png", "1.png", "2.png"]
        found = index.query(tmp_path / "1.png", 1)
        assert found.paths == [[str(tmp_path / "1.png")]]

    def test_refuses_what_cannot_work(self, model: Autoencoder, digits: Any) -> None:
        with pytest.raises(ParameterError, match="metric='l1': choose 'euclidean' or 'cosine'"):
            LatentIndex(metric="l1")
        with pytest.raises(ParameterError, match="engine="):
            LatentIndex(engine="faiss")
        with pytest.raises(DataError, match="empty"):
            LatentIndex(model).query(digits.X[:1])
        with pytest.raises(ParameterError, match="k=0"):
            LatentIndex().add_codes(CODES).query_codes(CODES, 0)
        with pytest.raises(ParameterError, match="no autoencoder"):
            LatentIndex().add(digits.X)
        with pytest.raises(DataError, match="16 numbers"):
            LatentIndex(model).add_codes(CODES)

    def test_notices_a_model_that_was_fitted_again(self, digits: Any) -> None:
        own = Autoencoder(latent_dim=4, network="dense", epochs=1, random_state=0)
        index = LatentIndex(own.fit(digits.X)).build(digits.X[:10])
        own.set_params(random_state=1).fit(digits.X)
        with pytest.raises(ParameterError, match="fitted again"):
            index.add(digits.X[:10])
        assert len(index.build(digits.X[:10])) == 10


@cache
def graph_of_codes() -> Any:
    """What a file keeps of a graph of sixty codes."""
    engine, rows = engines.Usearch(), StoredRows([engines.torch.from_numpy(CODES[:60])])
    engine.update(rows)
    (part,) = engine.state(rows)
    return part


class TestFile:
    def test_comes_back_the_same(self, model: Autoencoder, digits: Any, tmp_path: Path) -> None:
        model.save(tmp_path / "m.safetensors")
        names = [f"p{i}/é\udcff.png" for i in range(50)]
        index = LatentIndex(model, metric="cosine").build(digits.X[:50], names)
        index.save(tmp_path / "i.index", tmp_path / "m.safetensors")
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        for name in ("m.safetensors", "i.index"):
            shutil.move(tmp_path / name, moved / name)
        again = LatentIndex.load(moved / "i.index")
        assert again.paths == names
        a, b = (each.query(digits.X_test[:9], 4) for each in (index, again))
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.distances, b.distances)

    def test_refuses_another_model(self, model: Autoencoder, digits: Any, tmp_path: Path) -> None:
        LatentIndex(model).build(digits.X[:5]).save(tmp_path / "i.index")
        other = Autoencoder(latent_dim=16, network="dense", epochs=1, random_state=1).fit(digits.X)
        with pytest.raises(FileError, match="made with another model"):
            LatentIndex.load(tmp_path / "i.index", other)
        assert LatentIndex.load(tmp_path / "i.index").autoencoder is None
        LatentIndex(model).build(digits.X[:5]).save(tmp_path / "i.index", tmp_path / "gone")
        with pytest.raises(FileError, match="gone, which is not there"):
            LatentIndex.load(tmp_path / "i.index")

    def test_a_fingerprint_survives_saving(self, model: Autoencoder, tmp_path: Path) -> None:
        model.save(tmp_path / "m.safetensors")
        assert fingerprint(Autoencoder.load(tmp_path / "m.safetensors")) == fingerprint(model)

    @pytest.mark.parametrize(
        ("tensors", "meta", "said"),
        [
            ({"codes": None}, {}, "no codes"),
            ({"codes": CODES.astype(np.float64)}, {}, "no codes"),
            ({"codes": CODES[0]}, {}, "no codes"),
            ({"codes": np.full((2, 2), np.nan, np.float32)}, {}, "the tensor codes has NaN"),
            ({"more": CODES}, {}, "unknown names"),
            ({"paths": np.zeros(3, np.uint8)}, {}, "one path for each code"),
            ({"paths": np.zeros((299, 1), np.uint8)}, {}, "not bytes"),
            ({"graph": np.zeros(9, np.float32)}, {}, "not bytes"),
            ({}, {"metric": ["cosine"]}, "metric"),
            ({}, {"engine": "pickle"}, "engine"),
            ({}, {"fingerprint": "0" * 63}, "fingerprint"),
            ({}, {"fingerprint": 7}, "fingerprint"),
            ({}, {"model": "a\n\x1b[2J"}, "not a path"),
            ({}, {"model": 3}, "not a path"),
        ],
    )
    def test_hostile_content_is_refused(
        self, tensors: dict[str, Any], meta: dict[str, Any], said: str, tmp_path: Path
    ) -> None:
        import torch

        path = tmp_path / "i.index"
        LatentIndex().add_codes(CODES).save(path)
        own, described = read_tensors(path, kind="latente index", newest_format=2)
        new = {k: torch.from_numpy(v) for k, v in tensors.items() if v is not None}
        kept = {k: v for k, v in own.items() if k not in tensors} | new
        write_tensors(path, kept, described | meta, kind="latente index", format=2)
        with pytest.raises(FileError, match=said):
            LatentIndex.load(path)

    @given(st.data())
    @settings(max_examples=60)
    def test_damage_is_refused_or_harmless(self, tmp_path_factory: Any, data: Any) -> None:
        path = tmp_path_factory.mktemp("damage") / "i.index"
        LatentIndex().add_codes(CODES[:20], [f"{i}.png" for i in range(20)]).save(path)
        raw = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
            with pytest.raises(FileError):
                LatentIndex.load(path)
            return
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(raw)
        try:
            found = LatentIndex.load(path).query_codes(CODES[:3, :6], 2)
        except (FileError, DataError, ParameterError):
            return
        assert found.positions.shape == (3, 2)

    def test_the_graph_is_kept(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        path = tmp_path / "i.index"
        index = LatentIndex(engine="usearch").add_codes(CODES)
        index.save(path)
        again = LatentIndex.load(path)
        added: list[int] = []
        own = engines.Usearch.update

        def watched(self: Any, rows: Any) -> None:
            added.append(len(rows) - len(self))
            own(self, rows)

        monkeypatch.setattr(engines.Usearch, "update", watched)
        a, b = (each.query_codes(CODES, 5) for each in (index, again.add_codes(CODES[:7] + 9)))
        np.testing.assert_array_equal(a.positions, b.positions)
        assert added == [0, 7]

    @given(st.data())
    @settings(max_examples=60)
    def test_no_graph_leads_astray(self, data: Any) -> None:
        """usearch itself would read, and write, wherever a link points."""
        rows, raw = StoredRows([engines.torch.from_numpy(CODES[:60])]), graph_of_codes().copy()
        where = data.draw(st.one_of(st.integers(1440, 1560), st.integers(0, len(raw) - 1)))
        if data.draw(st.booleans()):
            raw = raw[:where]
        else:
            raw[where : where + data.draw(st.integers(1, 8))] = data.draw(st.integers(0, 255))
        try:
            _, found = graph.split(raw)
            found.check()
        except ValueError:
            return
        fresh = engines.Usearch()
        fresh.resume(rows, [raw])
        fresh.update(rows)
        near = fresh.candidates(rows, rows[:20], 3)
        assert int(near.max()) < len(rows)

    def test_a_model_is_no_index(self, model: Autoencoder, tmp_path: Path) -> None:
        model.save(tmp_path / "m.safetensors")
        with pytest.raises(FileError, match="not a latente index"):
            LatentIndex.load(tmp_path / "m.safetensors")


def photos(n: int = 60, side: int = 32) -> Any:
    """Smooth random pictures, no two alike."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(30, 220, (n, 6, 6), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((side, side), 3)) for each in coarse])


class TestDuplicates:
    def test_finds_copies_and_nothing_else(self) -> None:
        X = photos()
        copies = np.stack(
            [
                np.asarray(Image.fromarray(X[0]).resize((20, 20)).resize((32, 32))),
                np.clip(X[1] * 1.15, 0, 255).astype(np.uint8),
                np.rot90(X[2], 3),
                X[3][:, ::-1],
                X[4],
                np.rot90(X[2]),
            ]
        )
        found = near_duplicates(np.concatenate([X, copies]))
        assert found.groups == [[0, 60], [1, 61], [2, 62, 65], [3, 63], [4, 64]]
        assert 0.02 < found.threshold < 0.5
        assert found.distances[4] == [0.0, 0.0]
        assert all(max(apart) <= found.threshold for apart in found.distances)

    def test_upright_leaves_the_turned_alone(self) -> None:
        X = photos(20)
        X = np.concatenate([X, [np.rot90(X[2]), X[3]]])
        assert near_duplicates(X, turned=False).groups == [[3, 21]]

    def test_among_different_pictures_there_are_none(self) -> None:
        assert near_duplicates(photos()).groups == []

    def test_a_threshold_is_kept_to(self) -> None:
        X = photos(20)
        assert near_duplicates(X, threshold=0).groups == []
        assert near_duplicates(X, threshold=2).groups == [list(range(20))]
        assert near_duplicates(X[[0, 1, 0]], threshold=0).groups == [[0, 2]]

    def test_compares_the_codes_of_a_model(self, model: Autoencoder, digits: Any) -> None:
        X = np.concatenate([digits.X[:40], digits.X[[3, 7]]])
        found = near_duplicates(X, model, threshold=1e-4, turned=False)
        assert found.groups == [[3, 40], [7, 41]]
        assert near_duplicates(X, model, turned=False).threshold > 0
        np.testing.assert_allclose(np.linalg.norm(Coded(model)(X), axis=1), 1, rtol=1e-5)

    @pytest.mark.parametrize("shape", [(9, 12), (9, 12, 1), (9, 12, 2), (9, 12, 3), (9, 12, 4)])
    @pytest.mark.parametrize("dtype", ["uint8", "float32", "uint16"])
    def test_takes_any_picture(self, shape: tuple[int, ...], dtype: str) -> None:
        X = RNG.integers(0, 256, (7, *shape)).astype(dtype)
        X = np.concatenate([X, X[:1]])
        assert [0, 7] in near_duplicates(X).groups
        assert [len(each) for each in turns(X)] == [8] * 8
        assert all(each.shape == X.shape for each in turns(X))

    def test_blank_pictures_are_alike(self) -> None:
        X = np.stack([np.full((16, 16), value, np.uint8) for value in (0, 90, 255)])
        assert not Thumbnail()(X).any()
        assert near_duplicates(np.concatenate([photos(10, 16), X])).groups == [[10, 11, 12]]

    def test_one_picture_has_no_copy(self) -> None:
        assert near_duplicates(photos(1)).groups == []

    def test_refuses_rows_and_odd_thresholds(self) -> None:
        with pytest.raises(DataError, match="among pictures"):
            near_duplicates(CODES)
        with pytest.raises(ParameterError, match="threshold='much'"):
            near_duplicates(photos(3), threshold="much")


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("search")
    (home / "photos").mkdir()
    for i, picture in enumerate(photos(24)):
        Image.fromarray(picture).save(home / "photos" / f"p{i}.png")
    Image.fromarray(photos(24)[5]).resize((50, 50)).save(home / "photos" / "again.jpg")
    Image.fromarray(photos(24)[5]).convert("RGB").resize((40, 40)).save(home / "query.png")
    fitted = Autoencoder(latent_dim=8, network="dense", epochs=20, random_state=0)
    fitted.fit(photos(24)).save(home / "m.safetensors")
    return home


@pytest.fixture(scope="module")
def index(home: Path) -> Path:
    path = home / "photos.index"
    result = run("index", home / "photos", "-m", home / "m.safetensors", "-o", path)
    assert result.exit_code == 0, result.stderr
    return path


class TestCommands:
    def test_search_prints_paths_nearest_first(self, home: Path, index: Path) -> None:
        result = run("search", index, home / "query.png", "-k", 3, "--json")
        assert result.exit_code == 0, result.stderr
        (answer,) = json.loads(result.stdout)["queries"]
        hits = answer["hits"]
        assert {Path(hit["path"]).name for hit in hits[:2]} == {"p5.png", "again.jpg"}
        assert all(Path(hit["path"]).exists() for hit in hits)
        assert hits[0]["distance"] <= hits[1]["distance"] <= hits[2]["distance"]
        assert "p5.png" in run("search", index, home / "query.png").stdout

    def test_search_draws_a_sheet(self, home: Path, index: Path, tmp_path: Path) -> None:
        sheet = tmp_path / "sheet.png"
        result = run("search", index, home / "query.png", "-k", 4, "--sheet", sheet)
        assert result.exit_code == 0, result.stderr
        with Image.open(sheet) as drawn:
            assert drawn.width > 3 * drawn.height

    def test_a_sheet_shows_originals_where_it_is_told_of_them(
        self, home: Path, tmp_path: Path
    ) -> None:
        X = photos(24)
        np.save(tmp_path / "x.npy", X)
        np.save(tmp_path / "other.npy", 255 - X)
        index, model = tmp_path / "x.index", home / "m.safetensors"
        run("index", tmp_path / "x.npy", "-m", model, "-o", index)
        asked = ("search", index, tmp_path / "x.npy", "--limit", 2, "-m", model, "--sheet")
        plain, true = (
            run(*asked, tmp_path / "a.svg"),
            run(*asked, tmp_path / "b.svg", "--data", tmp_path / "x.npy"),
        )
        assert plain.exit_code == true.exit_code == 0, plain.stderr + true.stderr
        assert "--data" in plain.stderr
        assert "--data" not in true.stderr
        said = ["as the model decodes" in (tmp_path / f"{each}.svg").read_text() for each in "ab"]
        assert (tmp_path / "a.svg").read_text() != (tmp_path / "b.svg").read_text()
        assert not said[1]
        told = run(*asked, tmp_path / "c.svg", "--data", tmp_path / "other.npy")
        assert told.exit_code == 2
        assert "made of other data" in told.stderr

    def test_a_sheet_can_do_without_files(self, home: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", photos(24))
        index, sheet = tmp_path / "x.index", tmp_path / "sheet.svg"
        run("index", tmp_path / "x.npy", "-m", home / "m.safetensors", "-o", index)
        asked = ("search", index, tmp_path / "x.npy", "--limit", 2, "--sheet", sheet)
        result = run(*asked, "-m", home / "m.safetensors", "--json")
        assert result.exit_code == 0, result.stderr
        queries = json.loads(result.stdout)["queries"]
        assert [query["hits"][0]["row"] for query in queries] == [0, 1]
        assert sheet.stat().st_size > 1000

    def test_a_sheet_tells_of_lost_files(self, home: Path, index: Path, tmp_path: Path) -> None:
        shutil.copy(index, tmp_path / "moved.index")
        asked = ("search", tmp_path / "moved.index", home / "query.png", "-m")
        result = run(*asked, home / "m.safetensors", "--sheet", tmp_path / "sheet.png")
        assert result.exit_code == 0, result.stderr
        assert "is not there; the sheet shows" in result.stderr
        assert (tmp_path / "sheet.png").exists()

    def test_duplicates_tells_groups(self, home: Path) -> None:
        result = run("duplicates", home / "photos", "--json")
        assert result.exit_code == 0, result.stderr
        (group,) = json.loads(result.stdout)["groups"]
        assert {Path(copy["path"]).name for copy in group} == {"again.jpg", "p5.png"}
        with_model = run("duplicates", home / "photos", "-m", home / "m.safetensors", "--upright")
        assert "again.jpg" in with_model.stdout
        assert "1 group;" in run("duplicates", home / "photos").stderr

    def test_wrong_calls_are_told(self, home: Path, index: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.safetensors"
        Autoencoder(latent_dim=8, network="dense", epochs=1, random_state=1).fit(photos(24)).save(
            other
        )
        model = home / "m.safetensors"
        for code, said, args in (
            (2, "no such index", ("search", home / "none.index", home / "query.png")),
            (1, "another model", ("search", index, home / "query.png", "-m", other)),
            (2, "must be .index", ("index", home / "photos", "-m", model, "-o", "x.npy")),
            (2, "metric='l1'", ("index", home, "-m", model, "-o", index, "--metric", "l1")),
            (1, "not a latente index", ("search", model, home / "query.png")),
            (2, "there is no such", ("search", index, home / "nothing.png")),
            (1, "among pictures", ("duplicates", tmp_path / "rows.npy")),
        ):
            np.save(tmp_path / "rows.npy", CODES)
            result = run(*args)
            assert result.exit_code == code, (args, result.output)
            assert said in result.stderr, result.stderr
            assert result.stderr.count("\n") == 1
