"""What may be given as samples, and what is said of what may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latente import DataError
from latente.data.arrays import as_array, as_codes, as_tensor, blocks, named
from latente.data.preparation import Layout

DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64",
]  # fmt: skip
SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=5),
    st.tuples(*[st.integers(1, 5)] * 3, st.integers(1, 4)),
)
FINITE = {"allow_nan": False, "allow_infinity": False}


def arrays(dtype: str) -> st.SearchStrategy[np.ndarray]:
    elements = FINITE if dtype.startswith("float") else None
    return hnp.arrays(dtype, SHAPES, elements=elements)


samples = st.sampled_from(DTYPES).flatmap(arrays)


@given(samples)
def test_arrays_are_taken_as_they_are(X: np.ndarray) -> None:
    assert as_array(X) is X


@given(samples)
def test_layouts_lead_back(X: np.ndarray) -> None:
    layout = Layout.of(X)
    there = layout.to_model_shape(X)
    assert there.shape == (len(X), *layout.model_shape)
    assert np.shares_memory(there, X)
    back = layout.from_model_shape(there)
    assert np.array_equal(back, X)
    assert back.dtype == X.dtype == layout.dtype
    layout.check(X)
    assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


@given(samples)
def test_tensors_go_the_same_way(X: np.ndarray) -> None:
    tensor = torch.from_numpy(X)
    layout = Layout.of(tensor)
    assert as_array(tensor).data_ptr() == tensor.data_ptr()
    assert layout == Layout.of(X)
    there = layout.to_model_shape(tensor)
    assert np.array_equal(there.numpy(), layout.to_model_shape(X))
    assert torch.equal(layout.from_model_shape(there), tensor)


def test_channels_come_first_in_the_model() -> None:
    X = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    layout = Layout.of(X)
    assert layout.kind == "pictures"
    assert layout.model_shape == (3, 4, 5)
    assert layout.size == 60
    assert layout.to_model_shape(X)[1, 2, 3, 4] == X[1, 3, 4, 2]
    assert layout.from_model_shape(layout.to_model_shape(X)).flags.c_contiguous


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kind": "rows", "shape": [3, 3], "dtype": "uint8"},
        {"kind": "rows", "shape": [0], "dtype": "uint8"},
        {"kind": ["rows"], "shape": [1], "dtype": "uint8"},
        {"kind": "pictures", "shape": "33", "dtype": "uint8"},
        {"kind": "pictures", "shape": [2.5, 3], "dtype": "uint8"},
        {"kind": "rows", "shape": [3], "dtype": 8},
    ],
)
def test_broken_layouts_are_refused(value: Any) -> None:
    with pytest.raises(DataError, match="not the layout"):
        Layout.from_json(value)


def test_other_shapes_are_refused() -> None:
    rows, pictures = np.zeros((2, 4)), np.zeros((2, 28, 28))
    with pytest.raises(
        DataError, match="X has 1 features, but Thing is expecting 4 features as input"
    ):
        Layout.of(rows).check(rows[:, :1], owner="Thing")
    with pytest.raises(DataError, match=r"X has pictures of 32 × 32, but .* pictures of 28 × 28"):
        Layout.of(pictures).check(np.zeros((2, 32, 32)))
    with pytest.raises(DataError, match=r"rows of 784 columns, but .* pictures of 28 × 28"):
        Layout.of(pictures).check(np.zeros((2, 784)))


# ── what is taken ────────────────────────────────────────────────────────────────────────────


def test_a_memory_map_stays_one(tmp_path: Path) -> None:
    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (50, 3))
    X[:] = 1
    assert as_array(X) is X
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert as_array(mapped) is mapped
    assert as_array(np.asarray(mapped)).base is not None


def test_lists_and_array_likes_are_taken() -> None:
    class Like:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.ones((2, 3))

    assert np.array_equal(as_array([[1, 2], [3, 4]]), [[1, 2], [3, 4]])
    assert as_array(Like()).shape == (2, 3)


def test_objects_become_floats() -> None:
    X = np.array([[1, 2.5], [np.float32(3), True]], dtype=object)
    assert as_array(X).dtype == np.float64
    assert np.array_equal(as_array(X), [[1, 2.5], [3, 1]])
    gaps = np.array([[1, None], [pd.NA, 4]], dtype=object)
    assert np.isnan(as_array(gaps, allow_missing=True)).sum() == 2


def test_the_other_byte_order_is_turned(tmp_path: Path) -> None:
    X = np.arange(6, dtype=">i4").reshape(2, 3)
    assert as_array(X).dtype == np.dtype("=i4")
    assert np.array_equal(as_array(X), X)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match="other byte order"):
        as_array(np.load(tmp_path / "x.npy", mmap_mode="r"))


def test_long_doubles_become_float64() -> None:
    assert as_array(np.ones((2, 2), np.longdouble)).dtype == np.float64


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_frames_of_numbers_are_taken(library: Any) -> None:
    X = library({"a": [1, 2], "b": [0.5, 1.5]})
    assert np.array_equal(as_array(X), [[1, 0.5], [2, 1.5]])
    small = library({"a": np.array([1, 2], "u1"), "b": np.array([3, 4], "u1")})
    assert as_array(small).dtype == np.uint8


def test_graphs_are_cut_from_tensors() -> None:
    X = torch.ones(2, 3, requires_grad=True)
    assert not as_array(X).requires_grad
    assert as_array(X.bfloat16()).dtype == torch.bfloat16


@given(samples)
def test_arrays_become_tensors(X: np.ndarray) -> None:
    tensor = as_tensor(X)
    assert np.array_equal(tensor.double().numpy(), X.astype(np.float64))


def test_tensors_share_memory_and_bear_read_only() -> None:
    X = np.ones((3, 4), np.float32)
    X.flags.writeable = False
    assert as_tensor(X).data_ptr() == X.ctypes.data
    assert torch.equal(as_tensor(X[::-1]), torch.ones(3, 4))
    assert as_tensor(torch.ones(2)).shape == (2,)


def test_names_are_read_off_rows_and_frames() -> None:
    frame, rows = pd.DataFrame({"a": [1]}), np.ones((2, 3))
    assert named(frame) is frame
    assert named(rows) is rows
    assert named(np.ones((5, 28, 28))).shape == (5, 784)
    assert named(torch.ones(5, 4, 4, 3)).shape == (5, 48)


# ── what is refused ──────────────────────────────────────────────────────────────────────────


REFUSED: dict[str, tuple[Any, str]] = {
    "sparse": (sp.csr_array(np.eye(3)), "X is sparse .*toarray"),
    "sparse matrix": (sp.coo_matrix(np.eye(3)), "X is sparse"),
    "sparse tensor": (torch.eye(3).to_sparse(), "sparse"),
    "complex": (np.ones((2, 2), complex), "Complex data not supported"),
    "complex tensor": (torch.ones(2, 2, dtype=torch.complex64), "Complex data not supported"),
    "text": (np.array([["a", "b"]]), "X holds text .'a' is the first"),
    "dates": (np.zeros((2, 2), "M8[s]"), r"datetime64\[s\]"),
    "fields": (np.zeros((2, 2), [("a", "f4")]), "holds"),
    "scalar": (3.0, "Reshape your data"),
    "1-D": (np.ones(4), "Expected 2D array, got 1D array .*Reshape your data"),
    "series": (pd.Series([1.0]), "Reshape your data"),
    "5-D": (np.ones((1, 1, 1, 1, 1)), "has 5 axes"),
    "no rows": (np.empty((0, 3)), r"0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1"),
    "no columns": (
        np.empty((12, 0)),
        r"0 feature\(s\) \(shape=\(\d*, 0\)\) while a minimum of \d* is required\.",
    ),
    "no pixels": (np.empty((12, 0, 4)), r"0 feature\(s\)"),
    "ragged": ([[1, 2], [3]], "rows differ in length"),
    "a path": ("mnist.npy", "X is 'mnist.npy'"),
    "nothing": (None, "X is None"),
    "a mapping": ({"a": 1}, "dict"),
    "channels first": (np.ones((5, 3, 32, 32)), "put the channels last"),
    "many channels": (np.ones((5, 32, 32, 7)), "1 to 4 channels"),
    "a frame of text": (pd.DataFrame({"a": [1], "b": ["x"]}), "column 'b' holds String"),
    "a lazy frame": (pl.LazyFrame({"a": [1]}), "collect"),
    "two of a name": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns .*'a'"),
    "masked": (np.ma.masked_equal([[1, 2], [3, 4]], 3), "NaN at row 1, column 0"),
    "a huge integer": ([[10**400, 1]], "cannot be read at row 0, column 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_told(case: str) -> None:
    X, words = REFUSED[case]
    with pytest.raises(DataError, match=words) as caught:
        as_array(X)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_objects_that_are_no_numbers_are_named() -> None:
    X = np.full((4, 3), 1.5, dtype=object)
    X[2, 1] = {"foo": "bar"}
    with pytest.raises(TypeError, match=r"argument must be .* string.* number") as caught:
        as_array(X)
    assert isinstance(caught.value, DataError)
    assert "row 2, column 1" in str(caught.value)
    assert "{'foo': 'bar'}" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_nan_and_infinity_are_named(bad: float, dtype: str, kind: str) -> None:
    X = np.ones((300_000, 4), dtype)
    X[170_017, 3] = X[200_000, 0] = bad
    word = "NaN" if np.isnan(bad) else "-infinity" if bad < 0 else "infinity"
    with pytest.raises(DataError) as caught:
        as_array(X if kind == "numpy" else torch.from_numpy(X), names=["a", "b", "c", "age"])
    assert str(caught.value).startswith(
        f"X has {word} at row 170017, column 3 ('age'), the first of 2 such values; "
    )


def test_nan_is_named_in_pictures_and_frames() -> None:
    X = np.ones((3, 4, 5, 2))
    X[2, 1, 4, 0] = np.nan
    with pytest.raises(DataError, match="NaN at picture 2, row 1, column 4, channel 0; "):
        as_array(X)
    with pytest.raises(DataError, match=r"NaN at row 1, column 1 \('age'\); "):
        as_array(pd.DataFrame({"a": [1, 2], "age": [1.0, None]}))


def test_missing_values_may_be_let_through() -> None:
    X = np.array([[np.nan, 1.0]])
    assert as_array(X, allow_missing=True) is X
    X[0, 1] = np.inf
    with pytest.raises(DataError, match="infinity at row 0, column 1;"):
        as_array(X, allow_missing=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_sums_that_overflow_are_no_infinity(dtype: str) -> None:
    X = np.full((1000, 20), np.finfo(dtype).max, dtype)
    assert as_array(X) is X
    X[::2] *= -1
    assert as_array(X) is X
    assert as_array(torch.from_numpy(X)) is not None


def test_codes_are_rows_of_the_right_length() -> None:
    codes = as_codes([[1, 2], [3, 4]], 2)
    assert codes.dtype == np.float32
    assert as_codes(torch.ones(3, 2).bfloat16(), 2).shape == (3, 2)
    for wrong in (np.ones((2, 3)), np.ones((2, 1, 2))):
        with pytest.raises(DataError, match="code of this model has 2 numbers"):
            as_codes(wrong, 2)
    with pytest.raises(DataError, match="Z has NaN"):
        as_codes([[np.nan, 1.0]], 2)
    with pytest.raises(DataError, match="Z in float32 has infinity"):
        as_codes([[1e300, 1.0]], 2)


@given(samples, st.integers(1, 50))
def test_blocks_cover_all_rows(X: np.ndarray, size: int) -> None:
    parts = list(blocks(X, size))
    assert [start for start, _ in parts] == sorted({start for start, _ in parts})
    assert np.array_equal(np.concatenate([part for _, part in parts]), X)
    assert all(np.array_equal(X[start : start + len(part)], part) for start, part in parts)
