"""An index larger than memory: mapped files, graphs in parts, samples that pass by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import safetensors.numpy
import torch
import usearch.index
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from latente import Autoencoder, LatentIndex, datasets
from latente.cli.main import app
from latente.data import memory, names
from latente.data.names import Names
from latente.errors import DataError, FileError
from latente.search import engines, graph
from latente.search.index import IndexFile
from latente.search.rows import StoredRows
from latente.storage.tensors import map_arrays, read_tensors, write_arrays, write_tensors

RNG = np.random.default_rng(3)
CODES = RNG.normal(size=(230, 6)).astype(np.float32)
CODES[100:140] = CODES[:40]  # some of them twice
QUERIES = np.concatenate([CODES[:30], RNG.normal(size=(20, 6)).astype(np.float32)])
KIND: dict[str, Any] = {"kind": "latente index", "newest_format": 2}


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs take sixty rows each."""
    monkeypatch.setattr(engines, "capacity", lambda width: 60)


def same(found: Any, known: Any) -> None:
    np.testing.assert_array_equal(found.positions, known.positions)
    np.testing.assert_array_equal(found.distances, known.distances)
    assert found.paths == known.paths


def opened(path: Path, **how: Any) -> LatentIndex:
    return LatentIndex.load(path, mapped=True, **how)


class TestMapped:
    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    @pytest.mark.parametrize("engine", ["exact", "usearch"])
    def test_finds_what_a_resident_one_finds(
        self, engine: str, metric: str, in_parts: None, tmp_path: Path
    ) -> None:
        paths = [f"p{i}/é.png" for i in range(230)]
        known = LatentIndex(metric=metric).add_codes(CODES, paths)
        known.engine = engine
        known.save(tmp_path / "a.index")
        for index in (
            known,
            LatentIndex.load(tmp_path / "a.index", mapped=False),
            opened(tmp_path / "a.index"),
            opened(tmp_path / "a.index", trusted=True),
        ):
            same(index.query_codes(QUERIES, 7), LatentIndex(metric=metric)
                 .add_codes(CODES, paths).query_codes(QUERIES, 7))  # fmt: skip
            same(index.query_codes(QUERIES[:1], 200), known.query_codes(QUERIES[:1], 200))
            np.testing.assert_array_equal(index.codes, CODES)
            np.testing.assert_array_equal(index.codes_at([[3, 229], [7, 0]])[0, 1], CODES[229])

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    @pytest.mark.parametrize("engine", ["exact", "usearch"])
    def test_grows_and_is_written_again(
        self, engine: str, metric: str, in_parts: None, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.index"
        LatentIndex(metric=metric, engine=engine).add_codes(CODES[:90]).save(path)
        for start in (90, 97, 170):
            stop = {90: 97, 97: 170, 170: 230}[start]
            opened(path).add_codes(CODES[start:stop]).save(path)
        again = opened(path)
        assert len(again) == 230
        same(again.query_codes(QUERIES, 5), LatentIndex(metric=metric)
             .add_codes(CODES).query_codes(QUERIES, 5))  # fmt: skip
        sizes = [len(graph.split(part)[0]) for part in again._graph]
        assert sizes == ([60, 60, 60, 50] if engine == "usearch" else [])

    def test_nothing_of_the_file_is_copied(self, in_parts: None, tmp_path: Path) -> None:
        path = tmp_path / "a.index"
        LatentIndex(engine="usearch").add_codes(CODES).save(path)
        index = opened(path)
        index.query_codes(QUERIES, 3)
        engine, rows = index._ready()
        assert isinstance(engine, engines.Usearch)
        assert engine._growing is None
        assert len(rows.blocks) == len(engine._parts) == 4
        assert all(isinstance(block, np.memmap) for block in rows.blocks)
        assert all(isinstance(part.raw, np.memmap) for part in engine._parts)
        assert path.stat().st_size < 230 * (6 * 4 + 142 + 2 + 40) + 6000  # codes are there once
        LatentIndex(engine="exact").add_codes(CODES).save(path)
        assert isinstance(opened(path).codes, np.memmap)

    def test_a_large_file_is_mapped_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.index"
        LatentIndex().add_codes(CODES).save(path)
        assert IndexFile.read(path).codes.to(torch.device("cpu")).tensor is not None
        monkeypatch.setattr(memory, "physical_memory", lambda: 3 * CODES.nbytes)
        assert LatentIndex.load(path)._filled.tensor is None

    def test_codes_of_a_map_stay_where_they_are(self, in_parts: None, tmp_path: Path) -> None:
        np.save(tmp_path / "z.npy", CODES)
        mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
        index = LatentIndex(engine="usearch").add_codes(mapped)
        assert index.codes is mapped
        same(index.query_codes(QUERIES, 5), LatentIndex().add_codes(CODES).query_codes(QUERIES, 5))
        with pytest.raises(DataError, match="from 0 to 229"):
            index.codes_at([230])
        bad = np.lib.format.open_memmap(tmp_path / "bad.npy", "w+", np.float32, (3, 6))
        bad[:], bad[1, 2] = 0, np.nan
        with pytest.raises(DataError, match="Z"):
            LatentIndex().add_codes(bad)

    def test_parts_that_are_full_lie_on_the_disk(self, in_parts: None) -> None:
        index = LatentIndex(engine="usearch").add_codes(CODES)
        engine, _ = index._ready()
        assert len(engine._parts) == 3  # and one that grows
        assert all(isinstance(part.raw, np.memmap) for part in engine._parts)

    def test_parts_are_of_what_memory_allows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**9)
        assert engines.capacity(32) * 2 * (4 * 32 + engines.NODE_BYTES) <= 0.25e9
        assert engines.capacity(32) > 300_000
        monkeypatch.setattr(memory, "physical_memory", lambda: None)
        assert engines.capacity(32) == 2**31 - 1


class TestDamage:
    def test_one_byte_is_enough(self, in_parts: None, tmp_path: Path) -> None:
        path = tmp_path / "a.index"
        LatentIndex(engine="usearch").add_codes(CODES).save(path)
        raw = bytearray(path.read_bytes())
        for place in RNG.integers(0, len(raw), 40).tolist():
            raw[place] ^= 1
            path.write_bytes(raw)
            with pytest.raises(FileError):
                opened(path)
            raw[place] ^= 1
        path.write_bytes(raw[:-1])
        with pytest.raises(FileError, match="cut short"):
            opened(path, trusted=True)

    def test_a_file_made_for_the_purpose_ends_no_process(self, tmp_path: Path) -> None:
        """Its checksum is right, its graph is not; usearch would go wherever a link leads."""
        done = subprocess.run(
            [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        refused, answered = map(int, done.stdout.split())
        assert refused > 20
        assert answered > 0

    def test_what_does_not_fit_is_said(self, in_parts: None, tmp_path: Path) -> None:
        path = tmp_path / "a.index"
        LatentIndex(engine="usearch", metric="cosine").add_codes(CODES).save(path)
        arrays, meta = map_arrays(path, **KIND)
        parts = {name: arrays[name] for name in arrays if name != "codes"}
        lost = {name: parts[name] for name in parts if name != "part 3"}
        bent = np.array(parts["part 0"])
        bent[8:12] = np.frombuffer(np.float32(np.inf).tobytes(), np.uint8)
        for changed, said in (
            (parts, "no codes"),
            ({"codes": arrays["codes"], **lost}, "not of its codes"),
            ({"codes": arrays["codes"][:, :5], **parts}, "not of its codes"),
            ({"codes": arrays["codes"], **parts, "part 0": bent}, "NaN or infinite"),
            ({"codes": arrays["codes"], **parts, "part 9": bent}, "unknown names"),
        ):
            blocks = {name: [np.ascontiguousarray(array)] for name, array in changed.items()}
            write_arrays(path, blocks, meta, kind="latente index", format=2)
            for mapped in (True, False):
                with pytest.raises(FileError, match=said):
                    LatentIndex.load(path, mapped=mapped)

    def test_trust_leaves_the_look_out(self, in_parts: None, tmp_path: Path) -> None:
        path = tmp_path / "a.index"
        LatentIndex(engine="usearch").add_codes(CODES).save(path)
        raw = bytearray(path.read_bytes())
        raw[raw.index(CODES[5].tobytes()) + 2] ^= 1
        path.write_bytes(raw)
        with pytest.raises(FileError, match="checksum"):
            opened(path)
        assert len(opened(path, trusted=True)) == 230


def write_damaged(folder: Path) -> None:
    """Read many indexes with a few bytes changed, under the right checksum, and search them."""
    path = folder / "a.index"
    engines.capacity = lambda width: 60
    LatentIndex(engine="usearch").add_codes(CODES[:100]).save(path)
    arrays, meta = map_arrays(path, **KIND)
    generator, refused, answered = np.random.default_rng(0), 0, 0
    for i in range(90):
        raw = np.array(arrays["part 0"])
        rows = 8 + 60 * 6 * 4
        places = [range(8), range(rows, rows + 104), range(rows + 104, len(raw))][i % 3]
        for place in generator.choice(places, 1 + i % 4):
            raw[place] = generator.integers(256)
        changed = {name: [array] for name, array in arrays.items()} | {"part 0": [raw]}
        write_arrays(folder / "b.index", changed, meta, kind="latente index", format=2)
        try:
            found = LatentIndex.load(folder / "b.index", mapped=i % 2 == 0).query_codes(QUERIES, 3)
        except FileError:
            refused += 1
            continue
        answered += 1
        assert found.positions.max() < 100
    print(refused, answered)


class TestFormat1:
    def old(self, path: Path, metric: str = "euclidean") -> bytes:
        """Write what the first format was: codes, and a graph without them, its keys mixed."""
        rows = CODES if metric == "euclidean" else CODES / np.linalg.norm(CODES, axis=1)[:, None]
        own = usearch.index.Index(
            ndim=6, metric="l2sq", dtype="f32", connectivity=16, expansion_add=128
        )
        keys = RNG.permutation(230)
        own.add(keys, rows[keys], threads=1)
        stripped = bytes(own.save())[8 + rows.nbytes :]
        tensors = {
            "codes": torch.from_numpy(CODES),
            "paths": torch.frombuffer(bytearray("\0".join(map(str, range(230))), "ascii"),
                                      dtype=torch.uint8),
            "graph": torch.frombuffer(bytearray(stripped), dtype=torch.uint8),
        }  # fmt: skip
        meta = {"metric": metric, "engine": "usearch", "fingerprint": None, "model": None}
        write_tensors(path, tensors, meta, kind="latente index", format=1)
        return stripped

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    @pytest.mark.parametrize("mapped", [True, False])
    def test_is_read(
        self, mapped: bool, metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.old(tmp_path / "old.index", metric)
        index = LatentIndex.load(tmp_path / "old.index", mapped=mapped)
        monkeypatch.setattr(engines.Usearch, "_begin", None)  # nothing is built again
        paths = list(map(str, range(230)))
        known = LatentIndex(metric=metric).add_codes(CODES, paths)
        same(index.query_codes(QUERIES, 6), known.query_codes(QUERIES, 6))
        index.save(tmp_path / "new.index")
        same(opened(tmp_path / "new.index").query_codes(QUERIES, 6), known.query_codes(QUERIES, 6))

    def test_an_odd_graph_is_built_again(self, tmp_path: Path) -> None:
        stripped = self.old(tmp_path / "old.index")
        tensors, meta = read_tensors(tmp_path / "old.index", **KIND)
        for place in (64, 80, 96, len(stripped) - 100):
            raw = bytearray(stripped)
            raw[place : place + 8] = b"\xff" * 8
            tensors["graph"] = torch.frombuffer(raw, dtype=torch.uint8)
            write_tensors(tmp_path / "odd.index", tensors, meta, kind="latente index", format=1)
            index = LatentIndex.load(tmp_path / "odd.index", mapped=True)
            assert index._graph == []
            known = LatentIndex().add_codes(CODES).query_codes(QUERIES, 6)
            np.testing.assert_array_equal(index.query_codes(QUERIES, 6).positions, known.positions)

    def test_nodes_are_put_in_the_order_of_rows(self) -> None:
        own = usearch.index.Index(ndim=6, metric="l2sq", dtype="f32", connectivity=16)
        keys = RNG.permutation(230)
        own.add(keys, CODES[keys], threads=1)
        stored = np.frombuffer(own.save(), np.uint8)
        found = graph.Graph.read(stored[8 + CODES.nbytes :])
        part = graph.part_of([CODES], 6, found, lambda size: np.empty(size, np.uint8))
        rows, ordered = graph.split(part)
        ordered.check()
        np.testing.assert_array_equal(rows, CODES)
        again = usearch.index.Index(ndim=6, metric="l2sq", dtype="f32", connectivity=16)
        again.view(part)
        a, b = (index.search(QUERIES, 5, threads=1) for index in (own, again))
        np.testing.assert_array_equal(a.keys, b.keys)
        assert part_is_linked_alike(found, ordered)


def part_is_linked_alike(one: graph.Graph, other: graph.Graph) -> bool:
    """Whether each row has the same neighbours on the lowest level."""
    found = []
    for each in (one, other):
        keys, near = each.keys(), {}
        for _, starts, _ in each._chunks():
            nodes = graph._fields(each.tape, graph.LOWEST, starts)
            for key, count, links in zip(
                nodes["key"].tolist(), nodes["count"], nodes["links"], strict=True
            ):
                near[key] = keys[links[:count]].tolist()
        found.append(near)
    return found[0] == found[1]


class TestNames:
    @given(st.lists(st.text(max_size=4), min_size=1, max_size=40), st.integers(1, 5))
    @settings(max_examples=40, deadline=None)
    def test_come_back_one_by_one(self, given_names: list[str], step: int) -> None:
        kept = [name.encode("utf-8", "replace").decode().replace("\0", "") for name in given_names]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(names, "STEP", step)
            patch.setattr(names, "AT_ONCE", 3)
            found = Names.of(kept)
            more = found + Names.of(kept[:3])
            assert list(found) == kept == [found[i] for i in range(len(kept))]
            assert found == kept
            assert more == kept + kept[:3]
            assert more[-1] == (kept + kept[:3])[-1]
            assert Names([np.concatenate(more.joined())]) == more
            assert found != [*kept, "x"]
            with pytest.raises(IndexError):
                found[len(kept)]

    def test_the_marks_fit_any_step(self) -> None:
        for count in (1, 63, 64, 65, 128, 129, 200):
            kept = [f"name {i}" for i in range(count)]
            assert Names.of(kept) == kept
            assert Names.of(kept)[-1] == kept[-1]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rows = np.random.default_rng(0).normal(size=(2500, 5)).astype(np.float32)
    return pd.DataFrame(rows, columns=list("abcde"))


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> Autoencoder:
    return Autoencoder(latent_dim=2, network="dense", epochs=1, random_state=0).fit(table)


class TestStreamed:
    def test_all_that_holds_rows_gives_the_same_codes(
        self, table: pd.DataFrame, model: Autoencoder, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        import pyarrow.dataset

        table.to_parquet(tmp_path / "x.parquet", row_group_size=300, index=False)
        np.save(tmp_path / "x.npy", table.to_numpy())
        plain = Autoencoder(latent_dim=2, network="dense", epochs=1, random_state=0)
        plain.fit(table.to_numpy())

        def batches() -> Any:
            return pa.Table.from_pandas(table, preserve_index=False).to_batches(max_chunksize=130)

        monkeypatch.setattr(memory, "physical_memory", lambda: 20_000)
        seen: list[int] = []
        own = Autoencoder.transform

        def watched(self: Any, X: Any) -> Any:
            seen.append(len(X))
            return own(self, X)

        for each, own_model in (
            (tmp_path / "x.parquet", model),
            (pyarrow.dataset.dataset(tmp_path / "x.parquet"), model),
            (batches, model),
            (datasets.stream(tmp_path / "x.parquet"), model),
            (datasets.stream(tmp_path / "x.npy"), plain),
            (np.load(tmp_path / "x.npy", mmap_mode="r"), plain),
        ):
            known = own_model.transform(table if own_model is model else table.to_numpy())
            seen.clear()
            with monkeypatch.context() as patch:
                patch.setattr("latente.data.sources.PART", 2**14)
                patch.setattr(Autoencoder, "transform", watched)
                index = LatentIndex(own_model).build(each)
            assert max(seen) <= 1024
            assert sum(seen) == 2500
            np.testing.assert_array_equal(index.codes, known)
            assert isinstance(index.codes, np.memmap)
            assert index.paths is None
        index = LatentIndex(plain).build(str(tmp_path / "x.npy"))
        np.testing.assert_array_equal(index.codes, plain.transform(table.to_numpy()))

    def test_a_folder_of_pictures_gives_its_paths(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digits = datasets.load("digits").X[:40]
        (tmp_path / "p").mkdir()
        for i, digit in enumerate(digits):
            Image.fromarray((digit * 15).astype(np.uint8)).save(tmp_path / "p" / f"{i}.png")
        fitted = Autoencoder(latent_dim=3, network="dense", epochs=1, random_state=0)
        fitted.fit((digits * 15).astype(np.uint8))
        known = LatentIndex(fitted).build(tmp_path / "p")
        monkeypatch.setattr(memory, "physical_memory", lambda: 4000)
        streamed = LatentIndex(fitted).build(tmp_path / "p")
        np.testing.assert_array_equal(streamed.codes, known.codes)
        assert (
            streamed.paths == known.paths == [str(tmp_path / "p" / f"{i}.png") for i in range(40)]
        )

    def test_the_command_streams(
        self, table: pd.DataFrame, model: Autoencoder, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        def run(*args: object) -> Any:
            result = CliRunner().invoke(app, [str(arg) for arg in args])
            assert result.exit_code == 0, result.stderr
            return result

        folder, file, path = tmp_path / "rows", tmp_path / "m.safetensors", tmp_path / "r.index"
        folder.mkdir()
        model.save(file)
        for i, start in enumerate(range(0, 2500, 900)):
            table[start : start + 900].to_parquet(folder / f"{i}.parquet", index=False)
        monkeypatch.setattr(memory, "physical_memory", lambda: 20_000)
        run("index", folder, "-m", file, "-o", path, "--engine", "usearch")
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**10)
        index = LatentIndex.load(path, mapped=True)
        assert len(index) == 2500
        assert len(index._graph) == 3  # of 1024 rows at most
        np.testing.assert_array_equal(index.codes, model.transform(table))
        trusted = run("search", path, folder / "1.parquet", "--limit", 2, "-k", 1, "--trusted")
        checked = run("search", path, folder / "1.parquet", "--limit", 2, "-k", 1)
        assert trusted.stdout == checked.stdout
        assert "900" in checked.stdout
        assert '"rows": 2500' in run("info", path, "--json").stdout


class TestArraysInFiles:
    def test_are_what_the_library_reads(self, tmp_path: Path) -> None:
        path = tmp_path / "x.safetensors"
        pieces = [CODES[:100], CODES[100:101], CODES[101:]]
        write_arrays(path, {"b": pieces, "a": [np.arange(5, dtype=np.uint8)]}, {"x": 1},
                     kind="test", format=3)  # fmt: skip
        own = safetensors.numpy.load_file(path)
        tensors, meta = read_tensors(path, kind="test", newest_format=3)
        mapped, described = map_arrays(path, kind="test", newest_format=3)
        assert meta == described == {"x": 1}
        for found in (own["b"], tensors["b"].numpy(), mapped["b"]):
            np.testing.assert_array_equal(found, CODES)
        assert not mapped["b"].flags.writeable
        assert mapped["b"].flags.aligned
        write_tensors(path, tensors, meta, kind="test", format=3)
        again, _ = map_arrays(path, kind="test", newest_format=3)
        np.testing.assert_array_equal(again["a"], np.arange(5))
        with pytest.raises(FileError, match="not a latente index"):
            map_arrays(path, kind="latente index", newest_format=3)
        with pytest.raises(FileError, match="upgrade"):
            map_arrays(path, kind="test", newest_format=2)
        with pytest.raises(FileError, match="there is no file"):
            map_arrays(tmp_path / "none", kind="test", newest_format=2)

    @pytest.mark.parametrize(
        "offsets", [([0, 8], [4, 12]), ([0, 4], [8, 12]), ([0, 4], [4, 12]), ([4, 8], [8, 12])]
    )
    def test_gaps_and_overlaps_are_refused(self, offsets: Any, tmp_path: Path) -> None:
        import hashlib
        import json

        path = tmp_path / "x.safetensors"
        write_arrays(path, {"a": [np.zeros(1, np.float32)], "b": [np.zeros(2, np.float32)]}, {},
                     kind="test", format=1)  # fmt: skip
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        header["a"]["data_offsets"], header["b"]["data_offsets"] = offsets
        if offsets == ([0, 4], [4, 12]):
            header["b"]["shape"] = [1]
        text = json.dumps(header, separators=(",", ":")).encode()
        old = json.loads(header["__metadata__"]["latente"])["checksum"].encode()
        blank = len(text).to_bytes(8, "little") + text.replace(old, b"0" * 64) + raw[8 + length :]
        path.write_bytes(blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1))
        with pytest.raises(FileError, match="does not fit its bytes"):
            map_arrays(path, kind="test", newest_format=1)


def test_rows_of_blocks_are_those_of_one() -> None:
    whole = StoredRows([torch.from_numpy(CODES)])
    blocks = StoredRows([CODES[:7], CODES[7:8], CODES[8:]])
    double = blocks.prepared(lambda rows: rows * 2)
    positions = torch.tensor([[0, 229, 7], [6, 8, 0]])
    np.testing.assert_array_equal(whole.at(positions), blocks.at(positions))
    np.testing.assert_array_equal(double.at(positions), 2 * CODES[positions.numpy()])
    for start, stop in ((0, 230), (5, 9), (7, 8), (100, 120)):
        np.testing.assert_array_equal(whole[start:stop], blocks[start:stop])
        np.testing.assert_array_equal(torch.cat(list(double.blocks_of(start, stop))),
                                      2 * CODES[start:stop])  # fmt: skip
    assert len(whole.with_more(CODES[:3])) == len(blocks.with_more(CODES[:3])) == 233


if __name__ == "__main__":
    write_damaged(Path(sys.argv[1]))
