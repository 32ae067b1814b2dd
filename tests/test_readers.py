"""Reading: what is written comes back the same, and broken input is told in one sentence."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import io
import os
import re
import struct
import tempfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from latente import DataError, DataWarning, FileError, LatenteError, ParameterError, datasets
from latente.data import csv_matrix, dataset, dialect, memory, pictures, tabular
from latente.data.dataset import Dataset, natural
from latente.data.pictures import resized
from latente.data.readers import READERS, read
from latente.data.tables import TableEncoder
from latente.data.text import TextFile, TextFormat

FEW = settings(max_examples=30)
DTYPES = ("u1", "i1", "<i2", ">i2", "<i4", "<i8", "<f2", "<f4", ">f4", "<f8", "?")
IDX_TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


@contextmanager
def place(name: str) -> Iterator[Path]:
    """A path in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, name)


def arrays(dtypes: tuple[str, ...] = DTYPES, low: int = 2, high: int = 4) -> st.SearchStrategy[Any]:
    shapes = hnp.array_shapes(min_dims=low, max_dims=high, max_side=5)
    return st.sampled_from(dtypes).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def same(got: NDArray[Any], wanted: NDArray[Any]) -> bool:
    return got.shape == wanted.shape and np.array_equal(got, wanted, equal_nan=wanted.dtype != "?")


def told(error: type[LatenteError], path: object, *words: str, **options: Any) -> str:
    """The sentence that reading ends with; it names the path and has the words."""
    with pytest.raises(error) as caught:
        read(str(path), **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in (Path(str(path)).name, *words):
        assert word in sentence
    return sentence


@contextmanager
def perhaps(path: Path) -> Iterator[None]:
    """What is inside succeeds, or ends with a sentence of ours that names the file."""
    try:
        yield
    except (DataError, FileError) as error:
        if path.name not in str(error):
            raise


def write_idx(path: Path, array: NDArray[Any]) -> Path:
    code = IDX_TYPES[array.dtype.str.lstrip("|")]
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_csv(path: Path, rows: list[list[str]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path


def picture(path: Path, array: NDArray[Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


class TestNpy:
    @FEW
    @given(arrays())
    def test_round_trip(self, X: NDArray[Any]) -> None:
        with place("x.npy") as path:
            np.save(path, X)
            data = read(path)
            assert same(data.X, X)
            assert data.X.dtype.isnative
            assert data.X.flags.writeable
            assert data.name == "x"

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_large_ones_are_mapped(self, tmp_path: Path, order: str, monkeypatch: Any) -> None:
        monkeypatch.setattr(dataset, "LARGE", 1000)
        X = np.asarray(np.arange(600.0).reshape(60, 10), order=order)  # type: ignore[call-overload]
        np.save(tmp_path / "x.npy", X)
        data = read(tmp_path / "x.npy")
        assert isinstance(data.X, np.memmap)
        assert same(data.X, X)

    @FEW
    @given(arrays(), st.data())
    def test_cut_short(self, X: NDArray[Any], data: st.DataObject) -> None:
        with place("x.npy") as path:
            np.save(path, X)
            whole = path.read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            told(FileError, path)

    @FEW
    @given(st.binary(max_size=300), st.booleans())
    def test_any_bytes(self, content: bytes, begins: bool) -> None:
        with place("x.npy") as path:
            path.write_bytes(
                (b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8'," if begins else b"") + content
            )
            told(FileError, path)

    def test_header_that_promises_too_much(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npy"
        np.lib.format.write_array_header_1_0(
            file := io.BytesIO(), {"descr": "<f8", "fortran_order": False, "shape": (10**15, 10**3)}
        )
        path.write_bytes(file.getvalue() + bytes(80))
        told(FileError, path, "cut short")

    def test_objects_are_not_unpickled(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npy"
        np.save(path, np.array([[{}]]), allow_pickle=True)
        told(FileError, path, "Python objects")

    @pytest.mark.parametrize(
        ("X", "word"),
        [
            (np.zeros(3), "(n, features)"),
            (np.zeros((0, 3)), "holds no values"),
            (np.zeros((2, 2), complex), "complex128"),
            (np.array([["a", "b"]]), "<U1"),
            (np.zeros((1,) * 5), "four axes"),
        ],
    )
    def test_what_is_no_samples(self, tmp_path: Path, X: NDArray[Any], word: str) -> None:
        np.save(tmp_path / "x.npy", X)
        told(DataError, tmp_path / "x.npy", word)


class TestNpz:
    @FEW
    @given(arrays(), st.sampled_from(["X", "x", "x_train", "data", "anything"]), st.booleans())
    def test_round_trip(self, X: NDArray[Any], name: str, packed: bool) -> None:
        with place("x.npz") as path:
            (np.savez_compressed if packed else np.savez)(path, **{name: X})
            data = read(path)
            assert same(data.X, X)
            assert data.y is None

    def test_labels_and_test_samples(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        X, X_test = rng.random((6, 2, 3)), rng.random((4, 2, 3))
        y, y_test = np.arange(6) % 3, np.arange(4) % 3
        np.savez(tmp_path / "x.npz", x_train=X, y_train=y, x_test=X_test, y_test=y_test)
        data = read(tmp_path / "x.npz")
        assert same(data.X, X)
        assert same(data.X_test, X_test)
        assert data.y is not None
        assert data.y.tolist() == y.tolist()
        assert data.y_test is not None
        assert data.y_test.tolist() == y_test.tolist()

    def test_text_labels_are_classes_of_both_parts(self, tmp_path: Path) -> None:
        np.savez(
            tmp_path / "x.npz", X=np.eye(2), y=np.array(["b", "a"]), X_test=np.eye(2)[:1],
            y_test=np.array(["b"]),
        )  # fmt: skip
        data = read(tmp_path / "x.npz")
        assert data.classes == ("a", "b")
        assert data.y is not None
        assert data.y.tolist() == [1, 0]
        assert data.y_test is not None
        assert data.y_test.tolist() == [1]

    def test_key_and_target(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        np.savez(path, X=np.zeros((2, 2)), codes=np.ones((3, 2)), kind=np.array([[5], [6], [7]]))
        data = read(path, key="codes", target="kind")
        assert data.X.sum() == 6
        assert data.y is not None
        assert data.y.tolist() == [5, 6, 7]
        told(DataError, path, "'nope'", "X, codes or kind", key="nope")

    def test_which_of_many(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", first=np.eye(2), second=np.eye(2))
        told(DataError, tmp_path / "x.npz", "first or second", "key=")

    def test_sparse_and_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        np.savez(path, data=np.ones(1), indices=np.zeros(1), indptr=np.zeros(2))
        told(DataError, path, "sparse")
        np.savez(path)
        told(DataError, path, "no arrays")

    def test_labels_of_another_number(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", X=np.eye(3), y=np.zeros(2))
        with pytest.raises(DataError, match="2 labels for 3 samples"):
            read(tmp_path / "x.npz")

    def test_objects_are_not_unpickled(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", X=np.array([[{}]]), allow_pickle=True)
        told(FileError, tmp_path / "x.npz", "Python objects")

    @FEW
    @given(arrays(), st.data())
    def test_cut_short(self, X: NDArray[Any], data: st.DataObject) -> None:
        with place("x.npz") as path:
            np.savez_compressed(path, X=X)
            whole = path.read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            told(FileError, path)

    @FEW
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        with place("x.npz") as path:
            np.savez(path, X=np.arange(12.0).reshape(3, 4), y=np.arange(3))
            content = bytearray(path.read_bytes())
            for _ in range(3):
                content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
                    st.integers(1, 255)
                )
            path.write_bytes(content)
            with perhaps(path):
                read(path)

    def test_bombs_are_not_unpacked(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**6)
        np.savez_compressed(tmp_path / "x.npz", X=np.zeros((1000, 1000)))
        told(DataError, tmp_path / "x.npz", "8.0 MB", "1.0 MB of memory")

    def test_header_that_promises_too_much(self, tmp_path: Path) -> None:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "|u1", "fortran_order": False, "shape": (10**4, 10**4)}
        )
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
            file.writestr("X.npy", head.getvalue())
        told(FileError, tmp_path / "x.npz")


class TestIdx:
    @FEW
    @given(arrays(tuple(IDX_TYPES)), st.sampled_from(["x-ubyte", "x.idx", "x.idx.gz", "x", "x.gz"]))
    def test_round_trip(self, X: NDArray[Any], name: str) -> None:
        with place(name) as path:
            data = read(write_idx(path, X))
            assert same(data.X, X)
            assert data.X.dtype.isnative
            assert data.X.flags.writeable

    @pytest.mark.parametrize("end", ["", ".gz"])
    @pytest.mark.parametrize("labels_end", ["", ".gz"])
    def test_labels_lie_beside(self, tmp_path: Path, end: str, labels_end: str) -> None:
        X = np.arange(12, dtype="u1").reshape(3, 2, 2)
        path = write_idx(tmp_path / f"train-images-idx3-ubyte{end}", X)
        assert read(path).y is None
        write_idx(tmp_path / f"train-labels-idx1-ubyte{labels_end}", np.array([7, 0, 7], "u1"))
        data = read(path)
        assert data.y is not None
        assert data.y.tolist() == [7, 0, 7]
        assert data.y.dtype == np.int64

    def test_a_folder_of_them(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        parts = {"train": 5, "t10k": 3}
        for part, n in parts.items():
            write_idx(
                tmp_path / f"{part}-images-idx3-ubyte.gz",
                rng.integers(9, size=(n, 2, 2), dtype="u1"),
            )
            write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.arange(n, dtype="u1"))
        data = read(tmp_path)
        assert data.X.shape == (5, 2, 2)
        assert data.X_test.shape == (3, 2, 2)
        assert data.y_test is not None
        assert data.y_test.tolist() == [0, 1, 2]

    def test_labels_of_another_number(self, tmp_path: Path) -> None:
        path = write_idx(tmp_path / "images-idx3", np.zeros((3, 2, 2), "u1"))
        write_idx(tmp_path / "labels-idx1", np.zeros(2, "u1"))
        with pytest.raises(DataError, match="2 labels for the 3 samples"):
            read(path)

    @FEW
    @given(arrays(("u1", ">i4")), st.booleans(), st.data())
    def test_cut_short(self, X: NDArray[Any], packed: bool, data: st.DataObject) -> None:
        with place("x.idx.gz" if packed else "x.idx") as path:
            whole = write_idx(path, X).read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            told(FileError, path)

    @FEW
    @given(arrays(("u1",)), st.data())
    def test_damaged_gzip(self, X: NDArray[Any], data: st.DataObject) -> None:
        """The checksum tells: what is read is right, or nothing is."""
        with place("x.idx.gz") as path:
            content = bytearray(write_idx(path, X).read_bytes())
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(content)
            with perhaps(path):
                assert same(read(path).X, X)

    def test_longer_than_it_says(self, tmp_path: Path) -> None:
        path = write_idx(tmp_path / "x.idx", np.zeros((2, 2), "u1"))
        path.write_bytes(path.read_bytes() + b"!")
        told(FileError, path, "goes on after its end")
        path = tmp_path / "x.idx.gz"
        path.write_bytes(gzip.compress(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 5])))
        told(FileError, path, "goes on after its end")

    def test_gzip_in_several_members(self, tmp_path: Path) -> None:
        content = bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 5, 6])
        path = tmp_path / "x.idx.gz"
        path.write_bytes(gzip.compress(content[:7]) + gzip.compress(content[7:]))
        assert read(path).X.tolist() == [[5, 6]]

    def test_wrong_magic(self, tmp_path: Path) -> None:
        path = tmp_path / "x-ubyte"
        path.write_bytes(b"\x00\x00\x07\x02" + bytes(20))
        told(FileError, path, "00 00 07 02")

    def test_bombs_are_not_unpacked(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = tmp_path / "x.idx.gz"
        path.write_bytes(gzip.compress(bytes([0, 0, 8, 2]) + struct.pack(">II", 2**31, 2**20)))
        told(DataError, path, "of memory")
        monkeypatch.setattr(memory, "physical_memory", lambda: None)
        told(FileError, path, "cut short")

    @pytest.mark.parametrize("end", ["", ".gz"])
    @pytest.mark.parametrize("shape", [(1,) * 65, (1,) * 255, (2**32 - 1, 2**32 - 1, 2**32 - 1, 0)])
    def test_shapes_that_cannot_be(self, tmp_path: Path, shape: Any, end: str) -> None:
        content = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + b"\5"
        path = tmp_path / f"x.idx{end}"
        path.write_bytes(gzip.compress(content) if end else content)
        told(FileError, path, "claims")

    @pytest.mark.parametrize("dtype", ["u1", ">f8"])
    def test_gzip_takes_little_more_memory_than_the_array(self, tmp_path: Path, dtype: str) -> None:
        X = np.zeros((3000, 3000), dtype)
        path = write_idx(tmp_path / "x.idx.gz", X)
        tracemalloc.start()
        read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.5 * X.nbytes

    def test_large_ones_are_mapped(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setattr(dataset, "LARGE", 10)
        X = np.arange(24, dtype="u1").reshape(2, 3, 4)
        data = read(write_idx(tmp_path / "x.idx", X))
        assert isinstance(data.X, np.memmap)
        assert same(data.X, X)


NUMBERS = st.floats(allow_nan=False, width=64) | st.integers(-(2**60), 2**60)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Columns of numbers or of text, with gaps, as fields of rows."""
    n = draw(st.integers(1, 12))
    cells = {
        "number": NUMBERS.map(str),
        "gaps": NUMBERS.map(str) | st.sampled_from(["", "NA", " ? ", "NaN", "null"]),
        "truth": st.sampled_from(["True", "false", "TRUE ", ""]),
        "moment": st.datetimes().map(str) | st.dates().map(str) | st.just("NaT"),
        "text": WORDS | st.sampled_from(["2024-01-31", "true", "10:20", "a,b", 'say "x"', "1_0"]),
    }
    kinds = draw(st.lists(st.sampled_from(sorted(cells)), min_size=2, max_size=4))
    columns = [draw(st.lists(cells[kind], min_size=n, max_size=n)) for kind in kinds]
    return [[f"name {i}" for i in range(len(kinds))], *map(list, zip(*columns, strict=True))]


def by_hand(cells: list[str]) -> list[Any]:
    """A column as the documentation says it is read."""
    words = [None if cell.strip().casefold() in dialect.MISSING else cell.strip() for cell in cells]
    there = [word for word in words if word is not None]
    if there and all(re.fullmatch(r"[+-]?\d+", word) for word in there):
        whole = [None if word is None else int(word) for word in words]
        largest = max(abs(int(word)) for word in there)
        if largest >= 2**53:  # float64 does not tell it from its neighbours
            small = largest < 2**63 or (largest < 2**64 and min(map(int, there)) >= 0)
            return whole if small else words
    if not any("_" in word for word in there):
        with suppress(ValueError):
            return [None if word is None else float(word) for word in words]
    if all(word.casefold() in ("true", "false") for word in there):
        return [None if word is None else word.casefold() == "true" for word in words]
    if all(re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{6})?)?", word) for word in there):
        with suppress(ValueError):
            return [None if word is None else dt.datetime.fromisoformat(word) for word in words]
    return words


class TestCsv:
    @FEW
    @given(hnp.arrays("f8", hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
                      elements=st.floats(allow_nan=False)), st.booleans(),
           st.sampled_from([",", ";", "\t", "|"]))  # fmt: skip
    def test_round_trip(self, X: NDArray[Any], header: bool, separator: str) -> None:
        rows = [[repr(float(value)) for value in row] for row in X]
        names = [f"x{i}" for i in range(X.shape[1])]
        with place("x.csv") as path:
            write_csv(path, [names, *rows] if header else rows, separator)
            data = read(path)
            assert same(data.X, X)
            assert data.X.dtype == np.float64
            assert data.names == (tuple(names) if header else None)

    @settings(max_examples=80)
    @given(tables())
    def test_columns_are_what_all_their_fields_can_be(self, rows: list[list[str]]) -> None:
        with place("x.csv") as path:
            write_csv(path, rows)
            file = TextFile.of(path)
            table = tabular.load_csv(file, dialect.dialect_of(file, header=True))
            assert table.column_names == rows[0]
            for name, *cells in zip(*rows, strict=True):
                wanted = by_hand(cells)
                found = table[name].to_pylist()
                assert [type(value) for value in found] == [type(value) for value in wanted]
                assert found == wanted

    def test_a_data_frame_where_columns_are_text_or_have_gaps(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("age,city,income\n31,Lima,1.5\n?,,2\n44, Oslo ,NA\n")
        data = read(path)
        assert isinstance(data.X, pd.DataFrame)
        assert data.names == ("age", "city", "income")
        assert data.X["age"].isna().tolist() == [False, True, False]
        assert data.X["city"].tolist()[::2] == ["Lima", "Oslo"]
        assert pd.isna(data.X["city"][1])
        assert data.X["income"].tolist()[:2] == [1.5, 2.0]
        assert len(data) == 3

    def test_booleans_and_moments(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text(
            "member,paid,joined,seen,odd\n"
            "True,false,2024-01-31,2024-01-31 10:20:30.5,2024-13-01\n"
            "False,,NaT,2024-02-01T00:00,2024-01-01\n"
        )
        frame = read(path).X
        assert [dtype.name.partition("[")[0] for dtype in frame.dtypes[:4]] == [
            "bool", "boolean", "datetime64", "datetime64",
        ]  # fmt: skip
        assert frame["member"].tolist() == [True, False]
        assert frame["paid"].isna().tolist() == [False, True]
        assert frame["joined"].isna().tolist() == [False, True]
        assert frame["seen"][0] == pd.Timestamp("2024-01-31 10:20:30.5")
        assert frame["odd"].tolist() == ["2024-13-01", "2024-01-01"]
        data = read(path, target="member")
        assert data.y is not None
        assert data.y.tolist() == [1, 0]
        told(DataError, path, "row 2 has no label in column 'joined'", target="joined")

    @pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
    def test_what_is_read_can_be_learned(
        self, tmp_path: Path, library: str, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(tabular, "frame_library", lambda: library)
        path = tmp_path / "x.csv"
        rows = [
            (i, i % 7 or "", i % 2 == 0, i % 5 > 0 or "", f"2024-01-{i + 1:02}", "xyz"[i % 3])
            for i in range(30)
        ]
        write_csv(path, [list("abcdef"), *(list(map(str, row)) for row in rows)])
        X = read(path).X
        kinds = {field.name: field.kind for field in TableEncoder.learn(X)[0].schema.fields}
        assert kinds == {
            "a": "number", "b": "number", "c": "boolean", "d": "boolean", "e": "moment",
            "f": "category",
        }  # fmt: skip

    def test_whole_numbers_stay_whole_in_a_frame(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b,c\n1,x,0.5\n2,y,1\n")
        frame = read(path).X
        assert frame["a"].dtype == np.int64
        assert frame["c"].dtype == np.float64

    @pytest.mark.parametrize("library", ["polars", "pyarrow"])
    def test_other_frame_libraries(self, tmp_path: Path, library: str, monkeypatch: Any) -> None:
        monkeypatch.setattr(tabular, "frame_library", lambda: library)
        path = tmp_path / "x.csv"
        path.write_text("a,b\n1,x\n,y\n3,\n")
        data = read(path)
        assert isinstance(data.X, pl.DataFrame if library == "polars" else pa.Table)
        columns = data.X.to_dict(as_series=False) if library == "polars" else data.X.to_pydict()
        assert columns == {"a": [1.0, None, 3.0], "b": ["x", "y", None]}
        part = data.take(2, random_state=1)
        assert len(part) == 2
        assert type(part.X) is type(data.X)

    @pytest.mark.parametrize(("row", "count"), [("5", "1 field,"), ("5,6,7,8", "4 fields,")])
    def test_a_broken_row_is_named(self, tmp_path: Path, row: str, count: str) -> None:
        path = tmp_path / "x.csv"
        lines = ["a,b,c", *(f"{i},{i},{i}" for i in range(500))]
        lines[321] = row
        path.write_text("\n".join(lines))
        told(DataError, path, "line 322:", count, "has 3")

    def test_a_broken_row_among_two_columns_is_no_decimal_comma(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b\n1,2\n3\n4,5\n")
        told(DataError, path, "line 3: 1 field", "has 2")

    @pytest.mark.filterwarnings("ignore::latente.DataWarning")
    @FEW
    @given(tables(), st.data())
    def test_cut_short(self, rows: list[list[str]], data: st.DataObject) -> None:
        """A table may end anywhere; what is left is read, or told not to be one."""
        with place("x.csv") as path:
            whole = write_csv(path, rows).read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            with perhaps(path):
                read(path)

    @pytest.mark.filterwarnings("ignore::latente.DataWarning")
    @pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.csv.gz", "x.parquet", "x.feather"])
    @FEW
    @given(content=st.binary(max_size=200))
    def test_any_bytes(self, name: str, content: bytes) -> None:
        with place(name) as path:
            path.write_bytes(content)
            with perhaps(path):
                read(path)

    def test_target(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,kind,b\n1,dog,2\n3,cat,4\n5,dog,6\n")
        for target in ("kind", 1, "1", -2):
            data = read(path, target=target)
            assert data.X.tolist() == [[1, 2], [3, 4], [5, 6]]
            assert data.y is not None
            assert data.y.tolist() == [1, 0, 1]
            assert data.classes == ("cat", "dog")
            assert data.names == ("a", "b")
        data = read(path, target="b")
        assert data.y is not None
        assert data.y.tolist() == [2, 4, 6]
        assert data.classes is None
        told(DataError, path, "'nope'", "'a', 'kind' or 'b'", target="nope")

    def test_a_label_that_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,kind\n1,dog\n3,\n")
        told(DataError, path, "row 2 has no label in column 'kind'", target="kind")
        path.write_text("a,kind\n1,\n3,4\n")
        told(DataError, path, "row 1 has no label in column 'kind'", target="kind")

    @pytest.mark.parametrize(
        ("text", "X"),
        [
            ("a;b\n1,5;2\n-3;,25\n", [[1.5, 2], [-3, 0.25]]),
            ("1,5;2,5\n3,5;4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
            ("\ufeffa,b\n1,2\n", [[1, 2]]),
            (",a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]]),
            ('"","a","b"\n"x",1,2\n"y",3,4\n', [[1, 2], [3, 4]]),
            ("0,1,2,3\n5,6,7,8\n", [[5, 6, 7, 8]]),
            ("0,1\n5,6\n", [[0, 1], [5, 6]]),
            ("a,b\r\n1,2\r\n\r\n3,4", [[1, 2], [3, 4]]),
            ("a\n1\n2\n", [[1], [2]]),
            ('a,b\n" 1","2 "\n', [[1, 2]]),
        ],
    )
    def test_ways_to_write_a_table(self, tmp_path: Path, text: str, X: list[list[float]]) -> None:
        path = tmp_path / "x.csv"
        path.write_text(text, encoding="utf-8", newline="")
        assert read(path).X.tolist() == X

    def test_header_can_be_told(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("2020,2021\n1,2\n")
        assert read(path).X.tolist() == [[2020, 2021], [1, 2]]
        data = read(path, header=True)
        assert data.X.tolist() == [[1, 2]]
        assert data.names == ("2020", "2021")

    @pytest.mark.parametrize(
        ("content", "error", "word"),
        [
            (b"", FileError, "is empty"),
            (b"\n\n", FileError, "is empty"),
            (b"a,b\n", DataError, "no rows"),
            (b"a,a\n1,2\n", DataError, "two columns are called 'a'"),
            (b"a,b\n1,2\nx,\x81\n", FileError, "line 3, is not UTF-8"),
            (b'a,b\n1,"2\n', DataError, "line 2:"),
            ("a,b\n1,2\n".encode("utf-16-le"), FileError, "utf-16-le"),
        ],
    )
    def test_what_is_no_table(
        self, tmp_path: Path, content: bytes, error: type[LatenteError], word: str
    ) -> None:
        path = tmp_path / "x.csv"
        path.write_bytes(content)
        told(error, path, word)

    def test_columns_that_turn_to_text_late(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b\n" + "".join(f"{i},{i}\n" for i in range(1000)) + "x,1\n")
        frame = read(path).X
        assert frame["a"].tolist() == [*map(str, range(1000)), "x"]
        assert frame["b"].tolist() == [*range(1000), 1]

    def test_numbers_as_people_write_them(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a;b\n+1,5; 2 \n-,25;+2e1\n")
        assert read(path).X.tolist() == [[1.5, 2], [-0.25, 20]]

    def test_quotes_inside_a_field_are_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text('pipe,n\n5" wide,1\n"a, b",2\n')
        assert read(path).X["pipe"].tolist() == ['5" wide', "a, b"]


GERMAN = {"decimal": ",", "thousands": "."}


WRITTEN = st.one_of(
    st.integers(-(2**54), 2**54).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["", "NA", " 7", "-0.5", "1,5", "1.234", "+3"]),
)


class TestMatrix:
    """Long and wide tables are read straight into a matrix; nobody can tell but by the time."""

    @staticmethod
    def both(path: Path, monkeypatch: pytest.MonkeyPatch, **sizes: int) -> tuple[Any, Any]:
        """What the matrix gives and what Arrow's table gives, data or sentence, and warnings."""
        found = []
        for large in (sizes, {"WIDE": 10**9, "PIECE": 10**9}):
            with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as doubts:
                warnings.simplefilter("always")
                for name, size in large.items():
                    patch.setattr(csv_matrix, name, size)
                try:
                    data = read(path)
                    told = "nothing"
                except LatenteError as error:
                    told = str(error)
                    found.append((told, None, None, None))
                    continue
            frame = isinstance(data.X, pd.DataFrame)
            X = data.X if frame else pd.DataFrame(data.X)
            found.append((told, data.names, X, [str(each.message) for each in doubts]))
        return found[0], found[1]

    @pytest.mark.parametrize("sizes", [{"WIDE": 1}, {"PIECE": 8}, {"WIDE": 1, "CELLS": 3}])
    @FEW
    @given(data=st.data())
    def test_the_same_as_from_a_table(self, sizes: dict[str, int], data: st.DataObject) -> None:
        width = data.draw(st.integers(2, 4))
        row = st.lists(WRITTEN, min_size=width, max_size=width)
        rows = data.draw(st.one_of(tables(), st.lists(row, min_size=1, max_size=12)))
        if data.draw(st.booleans()):
            rows.append(["1.5"] * data.draw(st.integers(1, 4)))
        separator = data.draw(st.sampled_from([",", ";", "\t"]))
        end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
        with place("x.csv") as path, pytest.MonkeyPatch.context() as patch:
            path.write_bytes("".join(separator.join(row) + end for row in rows).encode())
            (told, names, X, doubts), wanted = self.both(path, patch, **sizes)
            assert (told, names, doubts) == (wanted[0], wanted[1], wanted[3])
            if X is not None:
                pd.testing.assert_frame_equal(X, wanted[2])

    @pytest.mark.parametrize("sizes", [{"WIDE": 1}, {"PIECE": 2**10}])
    def test_it_is_taken(self, tmp_path: Path, monkeypatch: Any, sizes: dict[str, int]) -> None:
        """By no way but the matrix, also beside labels, row names and a header in quotes."""
        for name, size in sizes.items():
            monkeypatch.setattr(csv_matrix, name, size)
        monkeypatch.setattr(tabular, "load_csv", None)
        X = np.random.default_rng(0).normal(size=(500, 3)).round(6)
        kinds = ["ab"[i % 2] for i in range(len(X))]
        lines = [
            ",".join([f"r{i}", *map(repr, map(float, row)), kind])
            for i, (row, kind) in enumerate(zip(X, kinds, strict=True))
        ]
        path = tmp_path / "x.csv"
        path.write_text('"","a","b","c","kind"\n' + "\n".join(lines))
        data = read(path, target="kind")
        assert same(data.X, X)
        assert data.names == ("a", "b", "c")
        assert data.classes == ("a", "b")
        assert data.y is not None
        assert data.y.tolist() == [i % 2 for i in range(len(X))]
        path.write_text("a,b,c\n" + "\n".join(",".join(map(repr, map(float, row))) for row in X))
        data = read(path, target="b")
        assert same(data.X, X[:, [0, 2]])
        assert data.y is not None
        assert data.y.tolist() == X[:, 1].tolist()
        path.write_text("a,b\n" + "1.5,2\n" * 400 + "NA,2\n")
        gaps = read(path).X
        assert gaps["a"].isna().tolist() == [False] * 400 + [True]
        assert gaps["b"].dtype == np.int64

    def test_a_wide_table_keeps_text_and_rounds_nothing(self, tmp_path: Path) -> None:
        names = [f"gene {i}" for i in range(csv_matrix.WIDE)]
        rows = [["p1", *map(str, range(len(names)))], ["p2", *["0.5"] * len(names)]]
        path = write_csv(tmp_path / "x.csv", [["patient", *names], *rows])
        X = read(path).X
        assert list(X.columns) == ["patient", *names]
        assert X["patient"].tolist() == ["p1", "p2"]
        assert X["gene 7"].tolist() == [7.0, 0.5]
        write_csv(path, [names, *[[str(2**53 + 1)] * len(names)] * 3])
        assert int(read(path).X.iloc[2, 5]) == 2**53 + 1
        write_csv(path, [names, ["1.5"] * len(names), ["1.5"] * (len(names) - 1)])
        told(DataError, path, "line 3", f"{len(names) - 1} fields")


class TestLevels:
    def test_repeated_text_is_judged_once_a_level(self, tmp_path: Path, monkeypatch: Any) -> None:
        """The same comes where no column is judged by its levels."""
        columns = [["red ", "", "blue"], ["1.234,5", "7", "NA"], ["true", "FALSE", "?"],
                   ["2024-01-02", "", "2023-05-06"], ["x", "1", "2"]]  # fmt: skip
        rows = [[column[i % 3] for column in columns] for i in range(3 * tabular.MANY)]
        path = write_csv(tmp_path / "x.csv", [[f"c{i}" for i in range(5)], *rows])
        X = read(path).X
        monkeypatch.setattr(tabular, "MANY", 10**9)
        pd.testing.assert_frame_equal(X, read(path).X)
        assert X["c1"][:2].tolist() == [1234.5, 7.0]
        assert X["c0"].dropna().unique().tolist() == ["red", "blue"]

    def test_no_field_is_judged_twice(self, tmp_path: Path, monkeypatch: Any) -> None:
        seen = []
        real = tabular.readings_of_column
        monkeypatch.setattr(
            tabular, "readings_of_column", lambda c, rules: seen.append(len(c)) or real(c, rules)
        )
        rows = [[["red", "blue"][i % 2], str(i)] for i in range(2 * tabular.MANY)]
        read(write_csv(tmp_path / "x.csv", [["a", "b"], *rows]))
        assert seen == [2]


class TestTextFormat:
    def test_its_fields_are_the_options_of_tables_of_text(self, tmp_path: Path) -> None:
        fields = {field.name for field in dataclasses.fields(TextFormat)}
        for name, reader in READERS.items():
            assert fields <= set(reader.options) or not fields & set(reader.options), name
        assert set(READERS["text"].options) == {"target", *fields}
        path = tmp_path / "x.txt"
        path.write_text("1,5;7\n2,5;8\n")
        for reader in (tabular.read_csv, tabular.read_text):
            data = reader(path, text_format=TextFormat(header=True, decimal=","))
            assert data.names == ("1,5", "7")
            assert same(data.X, np.array([[2.5, 8.0]]))


class TestMemory:
    LEGACY = "5:cpu,cpuacct:/a\n9:memory:/docker/box\n"

    @pytest.mark.parametrize(
        ("groups", "files", "limits"),
        [
            (
                "0::/user/app\n",
                {"user/app/memory.max": "900", "user/memory.max": "500"},
                [500, 900],
            ),
            ("0::/user/app\n", {"user/app/memory.max": "max", "memory.max": "700"}, [700]),
            ("0::/\n", {"memory.max": "300"}, [300]),
            ("0::/x\n", {"unified/x/memory.max": "300"}, [300]),
            ("0::/gone/away\n", {"memory.max": "400"}, [400]),
            ("0::/../other\n", {"memory.max": "max"}, []),
            (LEGACY, {"memory/docker/box/memory.limit_in_bytes": "800"}, [800]),
            (LEGACY, {"memory/memory.limit_in_bytes": "600"}, [600]),
            (LEGACY, {"memory.max": "100", "cpu/a/memory.limit_in_bytes": "1"}, []),
            ("nonsense\n\n0:\n", {}, []),
        ],
    )
    def test_limits_of_control_groups(
        self, tmp_path: Path, groups: str, files: dict[str, str], limits: list[int]
    ) -> None:
        for name, text in {"proc/self/cgroup": groups, **{
            f"sys/fs/cgroup/{name}": text + "\n" for name, text in files.items()
        }}.items():  # fmt: skip
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        assert sorted(memory.cgroup_limits(tmp_path)) == limits
        if limits:
            assert memory.physical_memory(tmp_path) == min(limits)

    def test_the_machine_where_there_is_no_limit(self, tmp_path: Path) -> None:
        assert memory.cgroup_limits(tmp_path) == ()
        wanted = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert memory.physical_memory(tmp_path) == wanted


class TestNotation:
    """Numbers as the world writes them."""

    @pytest.mark.parametrize(
        ("text", "options", "X"),
        [
            ("a;b\n5,07;1\n8.293;2\n", {}, [[5.07, 1], [8293, 2]]),
            ("a;b\n1.234,5;1.5\n12;2.25\n", {}, [[1234.5, 1.5], [12, 2.25]]),
            ("a;b\n1 234,5;1\n-12;2\n", {}, [[1234.5, 1], [-12, 2]]),
            ("a;b\n1\u202f234,5;1\n+12;2\n", {}, [[1234.5, 1], [12, 2]]),
            ("a|b\n1'234'567.5|1\n1.5|2\n", {}, [[1234567.5, 1], [1.5, 2]]),
            ('a,b\n"1,234",1.5\n"1,234,567",2\n', {}, [[1234, 1.5], [1234567, 2]]),
            ("a\tb\n8.293\t1\n7.111\t2\n", {}, [[8.293, 1], [7.111, 2]]),
            ("a,b\n8.293,1\n7.111,2\n", {}, [[8.293, 1], [7.111, 2]]),
            ("a;b\n0.123;1\n0.5;2\n", {}, [[0.123, 1], [0.5, 2]]),
            ("a;b\n5,07;8.293\n6,1;7.111\n", GERMAN, [[5.07, 8293], [6.1, 7111]]),
            ("a;b\n5,07;8.293\n6,1;7.111\n", {"thousands": "none"}, [[5.07, 8.293], [6.1, 7.111]]),
            ("a;b\n1;8.293\n6;7.111\n", {"decimal": "."}, [[1, 8.293], [6, 7.111]]),
            ("a;b\n1;8.293\n6;7.111\n", {"decimal": ","}, [[1, 8293], [6, 7111]]),
            ("a;b\n1;8,293\n6;7,111\n", {"thousands": ","}, [[1, 8293], [6, 7111]]),
            ("a;b\n1;8,293\n6;7,111\n", {"decimal": ","}, [[1, 8.293], [6, 7.111]]),
            ("a;b\n" + "5;1\n" * 300 + "1.203.000;2\n", {}, [[5, 1]] * 300 + [[1203000, 2]]),
            ("a;b\n5,0;1\n" + "5,5;1\n" * 300 + "1.203,5;2\n", {},
             [[5, 1]] + [[5.5, 1]] * 300 + [[1203.5, 2]]),
        ],
    )  # fmt: skip
    def test_columns_are_judged_one_by_one(
        self, tmp_path: Path, text: str, options: dict[str, str], X: list[list[float]]
    ) -> None:
        path = tmp_path / "x.csv"
        path.write_text(text, encoding="utf-8")
        assert read(path, **options).X.tolist() == X  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("text", "words", "X"),
        [
            ("a;b\n5,07;8.293\n6,1;7.111\n", ("'b'", "'8.293'", "8293"), [[5.07, 8293], [6.1, 7111]]),  # noqa: E501
            ("a;b\n1,234;1\n5,678;2\n", ("'a'", "'1,234'", "could be 1234"), [[1.234, 1], [5.678, 2]]),  # noqa: E501
            ("a;b\n8.293;1\n7.111;2\n", ("'a'", "could be 8293"), [[8.293, 1], [7.111, 2]]),
            ('a,b\n"1,234",1\n"5,678",2\n', ("'a'", "could be 1.234"), [[1234, 1], [5678, 2]]),
            ("a;b\n" + "5;1\n" * 300 + "1.203;2\n", ("'a'", "'1.203'"), [[5, 1]] * 300 + [[1.203, 2]]),  # noqa: E501
        ],
    )  # fmt: skip
    def test_what_is_ambiguous_is_told(
        self, tmp_path: Path, text: str, words: tuple[str, ...], X: list[list[float]]
    ) -> None:
        path = tmp_path / "x.csv"
        path.write_text(text)
        with pytest.warns(DataWarning) as caught:
            assert read(path).X.tolist() == X
        (warning,) = caught
        for word in ("x.csv", "--thousands", *words):
            assert word in str(warning.message)

    def test_what_is_written_in_two_ways_is_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a;b\n1.5;1\n2,5;2\n")
        with pytest.warns(DataWarning, match=r"column 'a'.*'1\.5' and '2,5'"):
            assert read(path).X["a"].tolist() == ["1.5", "2,5"]

    def test_many_columns_are_told_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text(";".join(f"g{i}" for i in range(50)) + "\n" + ";".join(["8.293"] * 50))
        with pytest.warns(DataWarning, match=r"columns 'g0', .* and 38 more") as caught:
            read(path)
        assert len(caught) == 1

    @FEW
    @given(
        st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 2)), min_size=2, max_size=9),
        st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
    )
    def test_round_trip(self, column: list[float], signs: tuple[str, str]) -> None:
        """Any column comes back in the notation it was written in, once that is given."""
        swap = str.maketrans({".": signs[0], ",": signs[1]})
        rows = [[f"{value:,.2f}".translate(swap), "1"] for value in column]
        with place("x.csv") as path:
            write_csv(path, [["a", "b"], *rows], ";")
            X = read(path, decimal=signs[0], thousands=signs[1] or "none").X
        assert X[:, 0].tolist() == column

    @pytest.mark.parametrize(
        "options", [{"decimal": "x"}, {"thousands": "_"}, {"decimal": ",", "thousands": ","}]
    )
    def test_signs_that_cannot_be(self, tmp_path: Path, options: dict[str, str]) -> None:
        (tmp_path / "x.csv").write_text("a\n1\n")
        with pytest.raises(ParameterError, match=next(reversed(options))):
            read(tmp_path / "x.csv", **options)  # type: ignore[arg-type]

    def test_large_whole_numbers_are_not_rounded(self, tmp_path: Path) -> None:
        ids = {
            "int64": [2**53 + 1, -(2**63), 5],
            "uint64": [2**64 - 1, 0, 2**53 + 1],
            "str": [str(2**64 + 1), "5", "6"],
        }
        path = tmp_path / "x.csv"
        rows = zip(*ids.values(), strict=True)
        write_csv(path, [list(ids), *([str(cell) for cell in row] for row in rows)])
        frame = read(path).X
        for dtype, cells in ids.items():
            assert frame[dtype].dtype == dtype
            assert frame[dtype].tolist() == cells
        path.write_text(f"a,b\n{2**53},1\n1.5,2\n")
        assert read(path).X.tolist() == [[2**53, 1], [1.5, 2]]

    def test_a_field_of_many_digits_takes_no_time(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b\n" + "9" * 20_000 + ",1\nx,2\n")
        begun = time.process_time()
        assert read(path).X["a"].tolist() == ["9" * 20_000, "x"]
        assert time.process_time() - begun < 4


class TestText:
    """Encodings, and what a file of text is called."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
    @pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv"])
    def test_what_says_its_encoding(self, tmp_path: Path, encoding: str, name: str) -> None:
        content = 'naïve\tx\n"ü\n€"\t1\n'.encode(encoding)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        frame = read(path).X
        assert list(frame.columns) == ["naïve", "x"]
        assert frame["naïve"].tolist() == ["ü\n€"]

    def test_what_does_not_say_it_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_bytes("a,b\n1,€ü\n".encode("cp1252"))
        with pytest.warns(DataWarning, match=r"x\.csv, line 2.*Windows-1252"):
            assert read(path).X["b"].tolist() == ["€ü"]
        assert read(path, encoding="cp1252").X["b"].tolist() == ["€ü"]
        assert read(path, encoding="latin-1").X["b"].tolist() == ["\x80ü"]
        told(FileError, path, "line 2", "UTF-8", encoding="utf-8")
        for name in ("rot13", "hex", "nope"):
            with pytest.raises(ParameterError, match=f"encoding='{name}'"):
                read(path, encoding=name)

    def test_gzip_that_is_broken_or_a_bomb(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = tmp_path / "x.csv.gz"
        whole = gzip.compress(b"a,b\n" + b"1,2\n" * 10**6)
        path.write_bytes(whole[:-9])
        told(FileError, path, "broken gzip")
        path.write_bytes(whole)
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**6)
        told(DataError, path, "1.0 MB of memory")

    @pytest.mark.parametrize(
        ("text", "X"),
        [
            ("a\tb\n1\t2\n3\t4\n", [[1, 2], [3, 4]]),
            ("1.5 2\n3 4\n", [[1.5, 2], [3, 4]]),
            ("a;b\n1,5;2\n", [[1.5, 2]]),
            ("hello world\nyes, no\n", ["hello world", "yes, no"]),
            ("1\n2\n", ["1", "2"]),
            ("one, 2\nthree, four\n", ["one, 2", "three, four"]),
        ],
    )
    def test_a_txt_is_a_table_where_it_looks_like_one(
        self, tmp_path: Path, text: str, X: list[Any]
    ) -> None:
        path = tmp_path / "x.txt"
        path.write_text(text)
        found = read(path).X
        assert (found if isinstance(found, list) else found.tolist()) == X

    def test_a_txt_is_a_table_where_an_option_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_text("one,1\ntwo,2\nthree,x\n")
        assert list(read(path, header=False).X.columns) == ["column 1", "column 2"]

    def test_text_far_below_numbers_costs_one_column(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b,c\n" + "1,2,3\n" * 1000 + "x,2,3\n1,y,3\n")
        frame = read(path).X
        assert [dtype.kind for dtype in frame.dtypes] == ["O", "O", "i"]
        assert frame["b"].tolist()[-2:] == ["2", "y"]

    def test_rows_longer_than_a_block(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a,b\n" + "1,2\n" * 1000 + "x" * 3_000_000 + ",2\n")
        assert len(read(path).X["a"][1000]) == 3_000_000


class TestFeather:
    def test_round_trip(self, tmp_path: Path) -> None:
        table = pa.table({"a": [1.5, 2.5], "b": pa.array([1, 2], pa.int16()), "y": ["p", "q"]})
        for name in ("x.feather", "x.arrow", "mystery"):
            feather.write_feather(table, str(tmp_path / name))
            data = read(tmp_path / name, target="y")
            assert data.X.tolist() == [[1.5, 1], [2.5, 2]]
            assert data.classes == ("p", "q")

    @FEW
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        with place("x.feather") as path:
            feather.write_feather(pa.table({"a": [1, 2, 3], "b": ["x", "y", None]}), str(path))
            content = bytearray(path.read_bytes())
            for _ in range(3):
                place_ = data.draw(st.integers(0, len(content) - 1))
                content[place_] ^= data.draw(st.integers(1, 255))
            path.write_bytes(content)
            with perhaps(path):
                read(path)


class TestWide:
    """Genes and spectra: the time grows with the number of columns, not with its square."""

    COLUMNS = 10_000

    def test_parquet(self, tmp_path: Path) -> None:
        table = pa.table({f"g{i}": [0.5, 1.5] for i in range(self.COLUMNS)})
        pq.write_table(table, tmp_path / "x.parquet")
        begun = time.process_time()
        data = read(tmp_path / "x.parquet", target="g7")
        assert time.process_time() - begun < 8
        assert data.X.shape == (2, self.COLUMNS - 1)

    @pytest.mark.parametrize("cell", ["0.5", "8.293", "7"])
    def test_csv(self, tmp_path: Path, cell: str) -> None:
        names = [f"g{i}" for i in range(self.COLUMNS)]
        write_csv(tmp_path / "x.csv", [names, [cell] * self.COLUMNS, ["1"] * self.COLUMNS])
        begun = time.process_time()
        X = read(tmp_path / "x.csv").X
        assert time.process_time() - begun < 8
        assert X.shape == (2, self.COLUMNS)


class TestParquet:
    @FEW
    @given(hnp.arrays(st.sampled_from(["u1", "f4", "f8", "i2"]),
                      hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
                      elements={"allow_nan": False}))  # fmt: skip
    def test_round_trip(self, X: NDArray[Any]) -> None:
        with place("x.parquet") as path:
            names = [f"x{i}" for i in range(X.shape[1])]
            pq.write_table(pa.table(dict(zip(names, X.T, strict=True))), path)
            data = read(path)
            assert same(data.X, X)
            assert data.X.dtype == (X.dtype if X.dtype.str[1:] in ("u1", "f4") else "f8")
            assert data.names == tuple(names)

    def test_frames_and_target(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        frame = pd.DataFrame({"a": [1.0, None], "b": ["x", "y"], "kind": ["q", "p"]}, index=[5, 6])
        frame.to_parquet(path)
        data = read(path, target="kind")
        assert isinstance(data.X, pd.DataFrame)
        assert list(data.X.columns) == ["a", "b"]
        assert data.classes == ("p", "q")
        assert data.y is not None
        assert data.y.tolist() == [1, 0]

    @pytest.mark.parametrize("library", ["polars", "pyarrow"])
    def test_other_frame_libraries(self, tmp_path: Path, library: str, monkeypatch: Any) -> None:
        monkeypatch.setattr(tabular, "frame_library", lambda: library)
        pl.DataFrame({"a": [1, None], "b": ["x", "y"]}).write_parquet(tmp_path / "x.pq")
        X = read(tmp_path / "x.pq").X
        assert isinstance(X, pl.DataFrame if library == "polars" else pa.Table)

    @FEW
    @given(st.data())
    def test_cut_short(self, data: st.DataObject) -> None:
        with place("x.parquet") as path:
            pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]}), path)
            whole = path.read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            told(FileError, path)

    def test_large_whole_numbers_are_not_rounded(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        ids = [2**60 + 1, 5]
        pq.write_table(pa.table({"id": ids, "b": [0.5, 1.5]}), path)
        assert read(path).X["id"].tolist() == ids
        data = read(path, target="id")
        assert data.y is not None
        assert data.y.tolist() == ids

    @pytest.mark.parametrize(
        "content", [b"{", b"[]", b"\xff", b'{"columns": 5}', b'{"columns": [{"name": "a"}]}']
    )
    def test_broken_metadata_of_pandas(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.parquet"
        table = pa.table({"a": [1.5, None]}).replace_schema_metadata({b"pandas": content})
        pq.write_table(table, path)
        assert read(path).X["a"].isna().tolist() == [False, True]

    @pytest.mark.parametrize("days", [2_932_897, 4_000_000, -719_163])
    def test_dates_that_no_calendar_has(self, tmp_path: Path, days: int) -> None:
        path = tmp_path / "x.parquet"
        day = pa.array([0, days, None], pa.int32()).cast(pa.date32())
        pq.write_table(pa.table({"day": day, "x": ["a", "b", "c"]}), path)
        told(DataError, path, "row 2", "'day'", "1 to 9999")
        stamp = pa.array([0, days * 86_400_000, None]).cast(pa.timestamp("ms"))
        pq.write_table(pa.table({"day": stamp}), path)
        told(DataError, path, "row 2", "'day'")

    @FEW
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        with place("x.parquet") as path:
            pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", "y", None]}), path)
            content = bytearray(path.read_bytes())
            for _ in range(3):
                spot = data.draw(st.integers(0, len(content) - 1))
                content[spot] ^= data.draw(st.integers(1, 255))
            path.write_bytes(content)
            with perhaps(path):
                read(path)

    def test_what_cannot_be_learned_from(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table({"a": [[1], [2]]}), path)
        told(DataError, path, "'a'", "list")
        pq.write_table(pa.table({"a": pa.array([], pa.int32())}), path)
        told(DataError, path, "no rows")
        pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
        told(DataError, path, "two columns are called 'a'")


def grey(*shape: int, seed: int = 0, dtype: str = "u1") -> NDArray[Any]:
    high = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, high, size=shape, dtype=dtype, endpoint=True)


class TestImages:
    @FEW
    @given(hnp.arrays("u1", hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)),
           st.sampled_from([".png", ".pgm", ".bmp", ".tif", ".TIFF"]))  # fmt: skip
    def test_grey_round_trip(self, X: NDArray[Any], suffix: str) -> None:
        with place("folder") as folder:
            for i, array in enumerate(X):
                picture(folder / f"{i}{suffix}", array)
            data = read(folder)
            assert same(data.X, X)
            assert data.X.dtype == np.uint8
            assert data.paths == tuple(str(folder / f"{i}{suffix}") for i in range(len(X)))

    @FEW
    @given(hnp.arrays("u1", st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6),
                                      st.just(3))),
           st.sampled_from([".png", ".ppm", ".bmp", ".tif", ".webp"]))  # fmt: skip
    def test_colour_round_trip(self, X: NDArray[Any], suffix: str) -> None:
        with place("folder") as folder:
            for i, array in enumerate(X):
                options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
                picture(folder / f"{i}{suffix}", array, **options)
            assert same(read(folder).X, X)

    @FEW
    @given(hnp.arrays("u2", hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)),
           st.sampled_from([".png", ".pgm", ".tif"]))  # fmt: skip
    def test_sixteen_bits_round_trip(self, X: NDArray[Any], suffix: str) -> None:
        with place("folder") as folder:
            for i, array in enumerate(X):
                picture(folder / f"{i}{suffix}", array)
            data = read(folder)
            assert same(data.X, X)
            assert data.X.dtype == np.uint16

    def test_jpeg_and_gif(self, tmp_path: Path) -> None:
        smooth = np.add.outer(np.arange(16), np.arange(16)).astype("u1") * 8
        for name in ("a.jpg", "b.JPEG", "c.gif"):
            X = read(picture(tmp_path / name, smooth)).X
            assert X.shape == (1, 16, 16)
            assert np.abs(X[0].astype(int) - smooth).max() < 8

    def test_floating_point(self, tmp_path: Path) -> None:
        array = np.linspace(-1, 1, 12, dtype="f4").reshape(3, 4)
        data = read(picture(tmp_path / "x.tiff", array))
        assert same(data.X[0], array)
        picture(tmp_path / "y.png", grey(3, 4))
        told(DataError, tmp_path, "x.tiff")

    def test_classes_and_natural_order(self, tmp_path: Path) -> None:
        for i, name in enumerate(["s10/2.png", "s10/10.png", "s2/1.png", "s2/deeper/3.png"]):
            picture(tmp_path / name, np.full((2, 2), i, "u1"))
        data = read(tmp_path)
        assert data.classes == ("s2", "s10")
        assert data.y is not None
        assert data.y.tolist() == [0, 0, 1, 1]
        assert data.X[:, 0, 0].tolist() == [2, 3, 0, 1]

    def test_pictures_and_folders_come_in_one_order(self, tmp_path: Path) -> None:
        wanted = ["1.png", "2/1.png", "2/2.png", "2/10/1.png", "3.png", "B.png", "c/1.png"]
        for i, name in enumerate(reversed(wanted)):
            picture(tmp_path / name, np.full((2, 2), i, "u1"))
        (tmp_path / "4.png").mkdir()  # a folder, whatever it is called
        data = read(tmp_path)
        assert data.paths == tuple(str(tmp_path / name) for name in wanted)
        assert data.X[:, 0, 0].tolist() == [6, 5, 4, 3, 2, 1, 0]

    def test_a_folder_that_cannot_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picture(tmp_path / "a" / "1.png", grey(2, 2))
        picture(tmp_path / "b" / "1.png", grey(2, 2))

        def refusing(path: str) -> Any:
            if path.endswith("b"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", refusing)
        told(FileError, tmp_path, "cannot be read: Permission denied")

    def test_no_labels(self, tmp_path: Path) -> None:
        picture(tmp_path / "only" / "1.png", grey(2, 2))
        assert read(tmp_path).y is None
        picture(tmp_path / "other" / "1.png", grey(2, 2))
        assert read(tmp_path).classes == ("only", "other")
        picture(tmp_path / "1.png", grey(2, 2))
        assert read(tmp_path).classes is None

    def test_train_and_test_folders(self, tmp_path: Path) -> None:
        for i, name in enumerate(["train/a/1.png", "train/b/1.png", "test/b/1.png"]):
            picture(tmp_path / name, np.full((2, 2), i, "u1"))
        data = read(tmp_path)
        assert data.X[:, 0, 0].tolist() == [0, 1]
        assert data.X_test[:, 0, 0].tolist() == [2]
        assert data.classes == ("a", "b")
        assert data.y_test is not None
        assert data.y_test.tolist() == [1]
        assert data.paths is not None
        assert len(data.paths) == 2

    def test_what_is_passed_over(self, tmp_path: Path) -> None:
        picture(tmp_path / "1.pgm", grey(2, 2))
        picture(tmp_path / "1.pgm.png", grey(2, 2))
        picture(tmp_path / ".hidden.png", grey(9, 9))
        picture(tmp_path / ".git" / "1.png", grey(9, 9))
        picture(tmp_path / "__MACOSX" / "1.png", grey(9, 9))
        (tmp_path / "notes.txt").write_text("notes")
        assert read(tmp_path).paths == (str(tmp_path / "1.pgm"),)

    def test_links_are_followed_once(self, tmp_path: Path) -> None:
        picture(tmp_path / "data" / "a" / "1.png", grey(2, 2))
        picture(tmp_path / "elsewhere" / "1.png", grey(2, 2))
        os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "b")
        os.symlink(tmp_path / "data", tmp_path / "data" / "a" / "again")
        data = read(tmp_path / "data")
        assert data.X.shape == (2, 2, 2)
        assert data.classes == ("a", "b")

    def test_mixed_sizes(self, tmp_path: Path) -> None:
        for i in range(3):
            picture(tmp_path / f"{i}.png", grey(4, 6))
        picture(tmp_path / "odd.png", grey(5, 5))
        sentence = told(DataError, tmp_path, "4×6 (3, such as", "5×5 (1, such as", "odd.png")
        assert "size=(4, 6)" in sentence
        assert "--size 6x4" in sentence
        assert read(tmp_path, size=(8, 3)).X.shape == (4, 8, 3)

    def test_many_sizes_are_not_all_listed(self, tmp_path: Path) -> None:
        for i in range(1, 13):
            picture(tmp_path / f"{i}.png", grey(i, 2))
        told(DataError, tmp_path, "12 sizes", "and 4 more")

    @pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
    def test_size(self, tmp_path: Path, dtype: str) -> None:
        array = np.repeat(np.repeat(np.array([[10, 200], [90, 50]], dtype), 8, 0), 8, 1)
        data = read(picture(tmp_path / "x.tif", array), size=(4, 4))
        assert data.X.dtype == array.dtype
        assert data.X[0, 0, 0] < 30 < 150 < data.X[0, 0, 3]

    def test_large_jpegs_are_reduced_as_they_are_decoded(self, tmp_path: Path) -> None:
        smooth = np.add.outer(np.arange(600), np.arange(600)) * 255 / 1200
        path = picture(tmp_path / "x.jpg", smooth.astype("u1"))
        X = read(path, size=(20, 10)).X[0].astype(float)
        wanted = smooth.reshape(20, 30, 10, 60).mean(axis=(1, 3))
        assert np.abs(X - wanted).max() < 6

    def test_grey_and_colour_mixed(self, tmp_path: Path) -> None:
        picture(tmp_path / "grey.png", np.full((2, 2), 7, "u1"))
        assert read(tmp_path, channels=3).X.tolist() == [[[[7] * 3] * 2] * 2]
        picture(tmp_path / "deep.png", np.full((2, 2), 0x0907, "u2"))
        assert read(tmp_path).X[:, 0, 0].tolist() == [0x0907, 0x0707]
        picture(tmp_path / "red.png", np.full((2, 2, 3), (255, 0, 0), "u1"))
        X = read(tmp_path).X
        assert X.dtype == np.uint8
        assert X[:, 0, 0].tolist() == [[9] * 3, [7] * 3, [255, 0, 0]]
        assert read(tmp_path, channels=1).X[:, 0, 0].tolist() == [0x0907, 0x0707, 76 * 257]

    def test_transparency_lies_on_white(self, tmp_path: Path) -> None:
        array = np.array([[[10, 20, 30, 255], [0, 0, 0, 0]]], "u1")
        path = picture(tmp_path / "x.png", array)
        assert read(path).X[0].tolist() == [[[10, 20, 30], [255] * 3]]
        assert same(read(path, channels=4).X[0], array)

    def test_palettes(self, tmp_path: Path) -> None:
        Image.fromarray(grey(4, 4)).convert("P").save(tmp_path / "grey.png")
        assert same(read(tmp_path / "grey.png").X[0], grey(4, 4))
        red = Image.new("P", (2, 2), 1)
        red.putpalette([0, 0, 0, 255, 0, 0])
        red.save(tmp_path / "red.png")
        assert read(tmp_path / "red.png").X[0, 0, 0].tolist() == [255, 0, 0]
        Image.new("1", (2, 2), 1).save(tmp_path / "two.png")
        assert read(tmp_path / "two.png").X.tolist() == [[[255, 255]] * 2]

    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path: Path, suffix: str, orientation: int) -> None:
        upright = np.zeros((8, 24), "u1")
        upright[:, :8] = 255
        turned = {
            1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
            5: upright.T, 6: upright.T[::-1], 7: upright.T[::-1, ::-1], 8: upright.T[:, ::-1],
        }[orientation]  # fmt: skip
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"x{suffix}"
        Image.fromarray(np.ascontiguousarray(turned)).save(path, exif=exif)
        X = read(path, channels=1).X[0]
        assert X.shape == upright.shape
        assert X[:, :6].min() > 200
        assert X[:, 10:].max() < 50

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm", ".bmp", ".gif", ".tif", ".webp"])
    @FEW
    @given(data=st.data())
    def test_cut_short(self, suffix: str, data: st.DataObject) -> None:
        with place(f"x{suffix}") as path:
            whole = picture(path, grey(9, 7)).read_bytes()
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
            with perhaps(path):
                assert read(path).X.shape[:3] == (1, 9, 7)  # all but the last, idle bytes are there

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".pgm", ".bmp", ".gif", ".tif", ".webp"])
    @FEW
    @given(data=st.data())
    def test_damaged(self, suffix: str, data: st.DataObject) -> None:
        with place(f"x{suffix}") as path:
            content = bytearray(picture(path, grey(9, 7)).read_bytes())
            for _ in range(3):
                content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
                    st.integers(1, 255)
                )
            path.write_bytes(content)
            with perhaps(path):
                read(path, size=(9, 7))

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
    def test_every_mode_in_every_format_that_takes_it(self, tmp_path: Path, mode: str) -> None:
        """Two flat halves come back in the colours that they were painted in, on white."""
        colours = np.zeros((16, 32, 3), "u1")
        colours[:, :16], colours[:, 16:] = (255, 255, 255), (0, 0, 0)
        whole = Image.fromarray(colours)
        image = whole.convert("P").convert(mode) if mode == "PA" else whole.convert(mode)
        saved = 0
        for suffix in (".png", ".jpg", ".ppm", ".bmp", ".gif", ".tif", ".webp"):
            path = tmp_path / f"x{suffix}"
            try:
                image.save(path)
            except (OSError, KeyError, ValueError):  # a format that does not take the mode
                continue
            saved += 1
            X = read(path, channels=3).X[0].astype(int)
            assert np.abs(X - colours)[:, [*range(12), *range(20, 32)]].max() < 12, path.name
        assert saved > 0

    @pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
    def test_of_several_frames_the_first(self, tmp_path: Path, suffix: str) -> None:
        frames = [Image.new("RGB", (8, 6), (value, 0, 0)) for value in (200, 100, 0)]
        path = tmp_path / f"x{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        X = read(path, channels=3).X
        assert X.shape == (1, 6, 8, 3)
        assert np.abs(X - np.array([200.0, 0, 0])).max() < 8

    def test_a_progressive_jpeg_and_transparent_palette(self, tmp_path: Path) -> None:
        smooth = (np.add.outer(np.arange(40), np.arange(40)) * 3).astype("u1")
        path = picture(tmp_path / "x.jpg", smooth, progressive=True, quality=95)
        assert np.abs(read(path).X[0].astype(int) - smooth).max() < 8
        image = Image.new("P", (2, 1), 0)
        image.putpalette([10, 20, 30, 0, 0, 0])
        image.putpixel((1, 0), 1)
        image.save(tmp_path / "x.png", transparency=1)
        assert read(tmp_path / "x.png").X[0].tolist() == [[[10, 20, 30], [255] * 3]]

    def test_a_broken_one_among_many_is_named(self, tmp_path: Path) -> None:
        for i in range(40):
            picture(tmp_path / f"{i}.png", grey(130, 130))
        broken = tmp_path / "17.png"
        broken.write_bytes(broken.read_bytes()[:3000])
        with pytest.raises(FileError, match=r"17\.png"):
            read(tmp_path)

    def test_bombs_are_not_unpacked(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = picture(tmp_path / "x.png", grey(40, 40))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        told(FileError, path, "1,000 pixels")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        told(FileError, path, "100 pixels")

    def test_what_pictures_decode_to_counts(self, tmp_path: Path, monkeypatch: Any) -> None:
        """A large picture that compresses well takes its memory though it is wanted small."""
        path = picture(tmp_path / "x.png", np.zeros((1000, 1000), "u1"))
        assert path.stat().st_size < 10_000
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**6)
        told(DataError, path, "1.0 MB of memory", size=(4, 4))
        with pytest.raises(DataError, match=r"x\.png"):
            read(tmp_path, size=(4, 4))

    def test_as_many_at_once_as_there_is_memory_for(self, tmp_path: Path, monkeypatch: Any) -> None:
        for i in range(6):
            picture(tmp_path / f"{i}.png", grey(200, 200))
        pools: list[int] = []
        pool = pictures.ThreadPoolExecutor
        monkeypatch.setattr(
            pictures, "ThreadPoolExecutor", lambda threads: pools.append(threads) or pool(threads)
        )
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        for megabytes, threads in ((2, 2), (100, 8)):
            monkeypatch.setattr(memory, "physical_memory", lambda size=megabytes: size * 10**6)
            read(tmp_path)
            assert pools.pop() == threads

    def test_too_many_for_memory(self, tmp_path: Path, monkeypatch: Any) -> None:
        picture(tmp_path / "x.png", grey(4, 4))
        monkeypatch.setattr(memory, "physical_memory", lambda: 10**6)
        with pytest.raises(DataError, match=r"9\.0 MB"):
            read(tmp_path, size=(3000, 3000)).X.read()

    def test_other_programs_are_not_started(self, tmp_path: Path) -> None:
        """Pillow hands PostScript to Ghostscript, whatever the file is called."""
        (tmp_path / "x.png").write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n"
        )
        told(FileError, tmp_path / "x.png")

    def test_empty_folders(self, tmp_path: Path) -> None:
        told(DataError, tmp_path, "it is empty")
        (tmp_path / "a.txt").write_text("")
        (tmp_path / "b.txt").write_text("")
        told(DataError, tmp_path, "2 .txt")

    def test_options_that_cannot_work(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "x.png", grey(4, 4))
        for options in ({"size": (0, 4)}, {"size": (4, 4, 4)}, {"channels": 2}):
            with pytest.raises(ParameterError):
                read(path, **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize("shape", [(2, 6, 4), (2, 6, 4, 3)])
    def test_resized(self, shape: tuple[int, ...]) -> None:
        X = np.broadcast_to(np.uint8(77), shape)
        out = resized(X, (3, 8))
        assert out.shape == (2, 3, 8, *shape[3:])
        assert np.unique(out).tolist() == [77]
        assert out.dtype == np.uint8
        with pytest.raises(ParameterError, match="no pictures"):
            resized(np.zeros((3, 4)), (2, 2))


class TestRead:
    def test_what_is_not_there(self, tmp_path: Path) -> None:
        told(FileError, tmp_path / "nope.csv", "no such file")

    def test_unknown_kinds(self, tmp_path: Path) -> None:
        (tmp_path / "x.doc").write_bytes(b"hello")
        told(FileError, tmp_path / "x.doc", "no known kind", ".parquet")
        (tmp_path / "y").write_bytes(b"")
        told(FileError, tmp_path / "y", "is empty")

    @pytest.mark.parametrize("kind", ["npy", "npz", "parquet"])
    def test_known_by_their_first_bytes(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "mystery"
        X = np.arange(6.0).reshape(2, 3)
        writers: dict[str, Callable[[Any], None]] = {
            "npy": lambda file: np.save(file, X),
            "npz": lambda file: np.savez(file, X=X),
            "parquet": lambda file: pq.write_table(
                pa.table({f"x{i}": X[:, i] for i in range(3)}), file
            ),
        }
        with path.open("wb") as file:
            writers[kind](file)
        assert same(read(path).X, X)

    @pytest.mark.parametrize("suffix", [s for r in READERS.values() for s in r.suffixes])
    def test_empty_files(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(b"")
        told(FileError, path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
    @pytest.mark.parametrize(
        "name", ["x.npy", "x.npz", "x.csv", "x.txt", "x.parquet", "x.png", "x.idx", "x"]
    )
    def test_pipes_are_not_waited_for(self, tmp_path: Path, name: str) -> None:
        os.mkfifo(tmp_path / name)
        told(FileError, tmp_path / name, "pipe")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
    def test_pipes_beside_and_below_are_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        np.save(tmp_path / "x.npy", np.eye(2))
        with pytest.raises(FileError, match="pipe"):
            read(tmp_path / "x.npy", labels=tmp_path / "pipe.png")
        with pytest.raises(FileError, match="pipe"):
            read(tmp_path)
        if Path("/dev/zero").exists():
            with pytest.raises(FileError, match="device"):
                read("/dev/zero")

    @pytest.mark.parametrize("name", ["n" * 5000, "n" * 5000 + ".csv", "n\0n"])
    def test_names_that_cannot_be(self, name: str) -> None:
        for reader in (read, datasets.open_data):
            with pytest.raises(FileError) as caught:
                reader(name)
            assert len(str(caught.value)) < 400

    def test_names_of_arrays_do_not_reach_the_terminal(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", **{"a\x1b[2J": np.eye(2), "b": np.eye(2)})
        assert "\x1b" not in told(DataError, tmp_path / "x.npz", "a\\x1b[2J or b")

    def test_options_that_do_not_apply(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.eye(2))
        told(ParameterError, tmp_path / "x.npy", "size=(2, 2)", "a NumPy array", size=(2, 2))
        told(ParameterError, tmp_path / "x.npy", "target='y'", target="y")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_what_may_not_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npy"
        np.save(path, np.eye(2))
        path.chmod(0)
        told(FileError, path, "Permission denied")

    @pytest.mark.parametrize(
        ("content", "y", "classes"),
        [("1\n0\n1\n", [1, 0, 1], None), ("cat\nant\n\ncat\n", [1, 0, 1], ("ant", "cat"))],
    )
    def test_labels_from_a_text(
        self, tmp_path: Path, content: str, y: list[int], classes: tuple[str, ...] | None
    ) -> None:
        np.save(tmp_path / "x.npy", np.eye(3))
        (tmp_path / "labels.txt").write_text(content)
        data = read(tmp_path / "x.npy", labels=tmp_path / "labels.txt")
        assert data.y is not None
        assert data.y.tolist() == y
        assert data.classes == classes

    def test_labels_from_arrays(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.eye(3))
        np.save(tmp_path / "y.npy", np.array([[2], [1], [0]]))
        write_idx(tmp_path / "y.idx.gz", np.array([2, 1, 0], "u1"))
        for name in ("y.npy", "y.idx.gz"):
            data = read(tmp_path / "x.npy", labels=tmp_path / name)
            assert data.y is not None
            assert data.y.tolist() == [2, 1, 0]
        np.save(tmp_path / "y.npy", np.zeros(4))
        with pytest.raises(DataError, match="4 labels for 3 samples"):
            read(tmp_path / "x.npy", labels=tmp_path / "y.npy")

    def test_home_is_understood(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        np.save(tmp_path / "x.npy", np.eye(2))
        assert read("~/x.npy").X.shape == (2, 2)


class TestDataset:
    def test_take(self) -> None:
        X = np.arange(40).reshape(20, 2)
        data = Dataset(X=X, y=X[:, 0], X_test=X, paths=tuple(map(str, X[:, 0])))
        part = data.take(5, random_state=3)
        assert part.X.shape == (5, 2)
        assert part.X_test is X
        assert part.y is not None
        assert part.y.tolist() == part.X[:, 0].tolist() == sorted(part.X[:, 0])
        assert part.paths == tuple(map(str, part.X[:, 0]))
        assert data.take(99) is data
        assert same(data.take(5, random_state=3).X, part.X)
        assert not same(data.take(5, random_state=4).X, part.X)
        with pytest.raises(ParameterError, match="n=0"):
            data.take(0)

    def test_repr(self) -> None:
        data = Dataset(X=np.zeros((1200, 8, 8), "u1"), name="d", classes=("a", "b"))
        assert repr(data) == "Dataset(d: 1,200 × 8 × 8 uint8, 2 classes)"
        assert data.shape == (8, 8)

    @given(st.permutations(["s1", "S1", "s01", "s2", "s10", "s1a", "1", "01", "", "²", "s1b2"]))
    def test_natural_order_is_an_order(self, words: list[str]) -> None:
        wanted = ["", "01", "1", "S1", "s01", "s1", "s1a", "s1b2", "s2", "s10", "²"]
        assert sorted(words, key=natural) == wanted

    def test_natural_order(self) -> None:
        assert sorted(["x10", "X2", "x1", "10", "9"], key=natural) == ["9", "10", "x1", "X2", "x10"]


def test_zlib_ratio() -> None:
    """The bound by which a gzipped file that claims too much is told."""
    from latente.data.idx import RATIO

    assert len(zlib.compress(bytes(10**7), 9)) * RATIO > 10**7
