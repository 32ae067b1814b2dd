"""Layouts: what samples are taken for, and sequences and texts there and back."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latente import DataError, ParameterError
from latente.data.preparation import Preparation
from latente.data.scaling import SCALINGS
from latente.data.sequences import sequences_from_json
from latente.data.space import Space

RNG = np.random.default_rng(0)
DTYPES = ("bool", "uint8", "int16", "uint16", "int64", "float32", "float64")


def learn(X: Any, scaling: str = "auto", layout: str = "auto") -> tuple[Preparation, torch.Tensor]:
    return Preparation.learn(X, scaling=scaling, name="X", layout=layout)


def again(preparation: Preparation) -> Preparation:
    """The preparation as a file would bring it back."""
    meta, arrays = preparation.state()
    return Preparation.from_state(json.loads(json.dumps(meta, allow_nan=False)), arrays)


def elements(dtype: str) -> Any:
    if not dtype.startswith("float"):
        return st.booleans() if dtype == "bool" else st.integers(0, 200)
    return st.floats(-1e4, 1e4, width=32, allow_subnormal=False)


@st.composite
def ragged(draw: st.DrawFn) -> list[np.ndarray]:
    dtype = draw(st.sampled_from(DTYPES))
    width = draw(st.integers(0, 3))  # 0: series
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any))
    shapes = [(n, width) if width else (n,) for n in lengths]
    return [draw(hnp.arrays(dtype, shape, elements=elements(dtype))) for shape in shapes]


TEXTS = st.lists(st.text(max_size=8), min_size=1, max_size=6).filter(any)


@given(ragged(), st.sampled_from(["auto", *SCALINGS]))
def test_sequences_come_back(X: list[np.ndarray], scaling: str) -> None:
    preparation, stored = learn(X, scaling, "sequences")
    longest, features = max(map(len, X)), 1 if X[0].ndim == 1 else X[0].shape[1]
    there = preparation.convert(stored)
    assert there.dtype == torch.float32
    assert there.shape == (len(X), longest, features + 1) == (len(X), *preparation.shape)
    for item, row in zip(X, there, strict=True):
        assert (row[: len(item), -1] == 1).all()
        assert not row[len(item) :].any()
    space = preparation.space
    assert float(there.min()) >= space.low - 1e-4 * (1 + abs(space.low))
    assert float(there.max()) <= space.high + 1e-4 * (1 + abs(space.high))
    assert (space.ragged, space.layout, space.categories) == (True, "sequences", ())
    if space.bounds is not None:
        assert (there.min() >= 0).item()
        assert (there.max() <= 1).item()
    kept = again(preparation)
    assert kept.space == space
    assert torch.equal(kept.convert(kept.store(X, "X")), there)
    back = kept.restore(there.numpy())
    for item, found in zip(X, back, strict=True):
        assert found.dtype == X[0].dtype
        assert found.shape == item.shape
        reach = 1e-5 * (1 + np.abs(item.astype(float)).max(initial=0)) + 1e-2
        assert np.allclose(item.astype(float), found.astype(float), atol=reach)


@given(TEXTS)
def test_texts_come_back(X: list[str]) -> None:
    preparation, stored = learn(X)
    alphabet = sorted(set("".join(X)))
    there = preparation.convert(stored)
    assert there.shape == (len(X), max(map(len, X)), len(alphabet) + 1)
    assert stored.dtype == torch.uint8
    for text, row in zip(X, there, strict=True):
        assert row[:, -1].sum() == len(text)
        for i, character in enumerate(text):
            assert row[i, alphabet.index(character)] == 1
        assert row[:, :-1].sum() == len(text)
    space = preparation.space
    assert space.categories == ((0, len(alphabet)),)
    assert (space.low, space.high, space.bounds, space.binary) == (0, 1, (0, 1), True)
    kept = again(preparation)
    assert torch.equal(kept.store(X, "X"), stored)
    assert kept.restore(there.numpy()) == X


BOXES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


@given(hnp.arrays("f4", BOXES, elements=elements("float32")))
def test_arrays_of_sequences_come_back(X: np.ndarray) -> None:
    preparation, stored = learn(X, layout="sequences")
    there = preparation.convert(stored)
    assert there.shape == X.shape == (len(X), *preparation.shape)
    assert not preparation.space.ragged
    assert preparation.n_features == X[0].size
    back = again(preparation).restore(there.numpy())
    assert back.dtype == X.dtype
    assert np.allclose(back, X, atol=1e-5 * (1 + np.abs(X).max()))


def test_each_feature_has_its_own_scale_over_the_real_steps() -> None:
    X = [RNG.normal([5, -3], [1, 0.001], (n, 2)) for n in (3, 40, 17)]
    preparation, stored = learn(X)
    real = np.concatenate(X)
    assert preparation.scaling == "standard"
    assert np.allclose(preparation.scaling_map.shift, real.mean(0))
    assert np.allclose(preparation.scaling_map.span, real.std(0))
    x = preparation.convert(stored).numpy()
    there = x[..., :2][x[..., 2] == 1]
    assert np.allclose(there.mean(0), 0, atol=1e-5)
    assert np.allclose(there.std(0), 1, atol=1e-4)
    whole = RNG.normal(size=(20, 9, 3)) * [1, 100, 1e-3]
    preparation, stored = learn(whole, layout="sequences")
    assert np.allclose(preparation.convert(stored).std((0, 1)), 1, atol=1e-2)


def test_what_is_stored_is_small_and_of_the_data_s_type() -> None:
    assert learn([np.arange(4, dtype=np.uint8), np.arange(3, dtype=np.uint8)])[1].dtype == (
        torch.uint8
    )
    assert learn([RNG.normal(size=4), RNG.normal(size=3)])[1].dtype == torch.float32
    many = ["".join(map(chr, range(0x4E00, 0x4E00 + 300)))]
    assert learn(many)[1].dtype == torch.int32
    assert again(learn(many)[0]).restore(learn(many)[0].convert(learn(many)[1]).numpy()) == many


def test_a_sequence_ends_where_its_flag_falls() -> None:
    preparation, _ = learn([np.arange(5.0), np.arange(4.0)], "none")
    values = np.zeros((3, 5, 2), np.float32)
    values[0, :, 1] = [1, 0.6, 0.49, 1, 1]
    values[1, :, 1] = 0.5
    values[:, :, 0] = range(5)
    assert [len(item) for item in preparation.restore(values)] == [2, 5, 0]
    assert preparation.restore(values)[0].tolist() == [0, 1]


def test_shorter_ones_are_padded_at_use() -> None:
    preparation, _ = learn([np.ones((4, 2)), np.zeros((2, 2))], "none")
    x = preparation.convert(preparation.store([np.full((1, 2), 3.0)], "X"))
    assert x.tolist() == [[[3, 3, 1], *[[0, 0, 0]] * 3]]
    same = preparation.store(np.full((5, 3, 2), 2.0), "X")
    assert preparation.convert(same).shape == (5, 4, 3)
    text, _ = learn(["abcd"])
    assert text.restore(text.convert(text.store(["", "da"], "X")).numpy()) == ["", "da"]


@pytest.mark.parametrize(
    "make",
    [list, tuple, pd.Series, pl.Series, np.array, lambda X: np.array(X, object)],
    ids=["list", "tuple", "pandas", "polars", "str array", "object array"],
)
def test_texts_in_any_container(make: Callable[[list[str]], Any]) -> None:
    preparation, stored = learn(make(["ab", "c"]))
    assert preparation.layout.kind == "sequences"
    assert preparation.restore(preparation.convert(stored).numpy()) == ["ab", "c"]


@pytest.mark.parametrize(
    "make", [np.array, torch.tensor, pd.Series], ids=["numpy", "torch", "pandas"]
)
def test_series_in_any_container(make: Callable[[list[float]], Any]) -> None:
    preparation, stored = learn([make([1.0, 2.0]), make([3.0])])
    assert stored[..., 1].tolist() == [[1, 1], [1, 0]]
    assert preparation.restore(preparation.convert(stored).numpy())[1] == pytest.approx([3])


# ── which layout ─────────────────────────────────────────────────────────────────────────────


def objects(items: list[Any]) -> np.ndarray:
    out = np.empty(len(items), object)
    out[:] = items
    return out


EQUAL, UNEQUAL = [np.ones((4, 2))] * 3, [np.ones((4, 2)), np.ones((3, 2))]
TAKEN: dict[str, tuple[Any, str, str, tuple[int, ...]]] = {
    "rows": (np.ones((3, 4)), "auto", "rows", (4,)),
    "a list of rows": ([[1, 2], [3, 4]], "auto", "rows", (2,)),
    "rows said so": (np.ones((3, 4)), "rows", "rows", (4,)),
    "pictures": (np.ones((3, 4, 5)), "auto", "pictures", (1, 4, 5)),
    "colour": (np.ones((3, 4, 5, 3)), "pictures", "pictures", (3, 4, 5)),
    "equal lengths": (EQUAL, "auto", "pictures", (1, 4, 2)),
    "equal lengths said so": (EQUAL, "sequences", "sequences", (4, 3)),
    "an array": (np.ones((3, 4, 2)), "sequences", "sequences", (4, 2)),
    "a tensor": (torch.ones(3, 4, 2), "sequences", "sequences", (4, 2)),
    "lengths": (UNEQUAL, "auto", "sequences", (4, 3)),
    "objects": (objects(UNEQUAL), "auto", "sequences", (4, 3)),
    "series": ([np.ones(4), np.ones(3)], "auto", "sequences", (4, 2)),
    "nested lists": ([[[1, 2]], [[3, 4], [5, 6]]], "auto", "sequences", (2, 3)),
    "flat lists said so": ([[1, 2], [3]], "sequences", "sequences", (2, 2)),
    "texts": (["ab", "c"], "auto", "sequences", (2, 4)),
    "a frame": (pd.DataFrame({"a": [1, 2]}), "rows", "rows", (1,)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_samples_are_taken_for(case: str) -> None:
    X, layout, kind, shape = TAKEN[case]
    preparation, stored = learn(X, layout=layout)
    assert preparation.layout.kind == preparation.space.layout == kind
    assert preparation.shape == shape
    assert preparation.convert(stored).shape == (len(X), *shape)
    assert torch.equal(preparation.store(X, "X"), stored)
    assert preparation.header(X).shape == (len(X), preparation.n_features)


REFUSED: dict[str, tuple[Any, str, str]] = {
    "a layout": (np.ones((3, 4)), "columns", "layout='columns': layout must be 'auto', 'rows', "),
    "rows": (np.ones((3, 4, 5)), "rows", r"layout='rows' needs X of shape \(n, features\)"),
    "pictures": (np.ones((3, 4)), "pictures", r"needs X of shape \(n, h, w\)"),
    "sequences": (np.ones((3, 4)), "sequences", r"\(n, T, d\), X\[\.\.\., None\] where"),
    "colour": (np.ones((3, 4, 5, 3)), "sequences", r"needs X of shape \(n, T, d\)"),
    "a frame": (pd.DataFrame({"a": [1]}), "sequences", "does not go with a data frame"),
    "a broken row": ([[1, 2], [3]], "auto", "rows differ in length; .*layout='sequences'"),
    "features": ([np.ones((4, 2)), np.ones((3, 1))], "auto", r"sequence 1, has shape \(3, 1\)"),
    "axes": ([np.ones((4, 2)), np.ones(3)], "sequences", r"sequence 1, has shape \(3,\)"),
    "NaN": ([np.ones(3), np.array([1, np.nan])], "auto", "NaN at sequence 1, step 1, feature 0"),
    "NaN in an array": (np.full((2, 3, 4), np.nan), "sequences", "sequence 0, step 0, feature 0"),
    "text in numbers": ([np.array(["a"]), np.ones(2)], "sequences", "sequence 0, holds text"),
    "no steps": ([np.ones(0)], "sequences", "empty sequences only"),
    "no characters": (["", ""], "auto", "empty texts only"),
    "no text": (["ab", None, "c"], "auto", r"None \(NoneType\) at row 1, where a string"),
    "a number among texts": (pd.Series(["ab", 3]), "auto", "3 .int. at row 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_named(case: str) -> None:
    X, layout, words = REFUSED[case]
    with pytest.raises(DataError if case != "a layout" else ParameterError, match=words) as caught:
        learn(X, layout=layout)
    assert "\n" not in str(caught.value)


AT_USE: dict[str, tuple[Any, Any, str]] = {
    "longer": (UNEQUAL, [np.ones((9, 2))], "9 steps at sequence 0, .* at most 4; cut it, or fit"),
    "features": (UNEQUAL, [np.ones((2, 5))], "5 features a step, .* sequences of 2"),
    "an array": (UNEQUAL, np.ones((2, 4)), "give sequences of numbers"),
    "texts": (UNEQUAL, ["ab"], "give sequences of numbers"),
    "longer text": (["abc"], ["a", "abca"], "4 characters at row 1, .* at most 3; cut it"),
    "a character": (["abc"], ["a", "bad"], "'d' at row 1, character 2, .* saw; it knows 'abc'"),
    "numbers": (["abc"], np.ones((2, 3)), "give a list of strings"),
    "another length": (np.ones((2, 3, 4)), np.ones((2, 5, 4)), "has sequences of 5 steps × 4 feat"),
}  # fmt: skip


@pytest.mark.parametrize("case", AT_USE)
def test_what_differs_from_the_fit_is_named(case: str) -> None:
    fitted, X, words = AT_USE[case]
    preparation, _ = learn(fitted, layout="sequences")
    with pytest.raises(DataError, match=words):
        preparation.store(X, "X")


@pytest.mark.parametrize(
    "value",
    [
        None, {}, {"kind": "songs"}, {"kind": "numbers", "steps": 0, "features": 1, "flat": True},
        {"kind": "numbers", "steps": 3, "features": 2, "flat": True},
        {"kind": "numbers", "steps": 3, "features": 2},
        {"kind": "text", "steps": 3, "alphabet": []},
        {"kind": "text", "steps": 3, "alphabet": [98, 97]},
        {"kind": "text", "steps": 3, "alphabet": ["a"]},
        {"kind": "text", "steps": "3", "alphabet": [97]},
    ],
)  # fmt: skip
def test_broken_descriptions_are_refused(value: Any) -> None:
    with pytest.raises(DataError, match="does not describe sequences"):
        sequences_from_json(value)


def test_a_scaling_of_another_shape_is_refused() -> None:
    meta, arrays = learn(UNEQUAL)[0].state()
    with pytest.raises(DataError, match="does not fit"):
        Preparation.from_state(meta, {**arrays, "shift": np.zeros(3), "span": np.ones(3)})


# ── three axes of floats, and channels ───────────────────────────────────────────────────────


def test_features_of_unlike_scales_are_no_picture() -> None:
    X = RNG.normal(size=(30, 12, 3)) * [1, 1, 0.01]
    with pytest.warns(UserWarning, match="layout='sequences', which gives each its own"):
        preparation, _ = learn(X)
    assert preparation.layout.kind == "pictures"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(X, layout="pictures")
        learn(X, layout="sequences")
        learn((1000 * X).astype(int))
        learn(RNG.normal(size=(30, 12, 3)))
        framed = np.zeros((30, 12, 12))
        framed[:, 2:10, 2:10] = RNG.uniform(size=(30, 8, 8))
        framed[:, :, 1] = RNG.uniform(0, 0.01, (30, 12))
        learn(framed)


def test_unequal_channels_have_a_scale_each() -> None:
    X = RNG.uniform(size=(20, 4, 5, 3)) * [1, 1, 1e-3] + [0, 0, 5]
    preparation, stored = learn(X)
    x = preparation.convert(stored)
    assert preparation.bounds == (0, 1)
    for channel in range(3):
        assert x[:, channel].min() == 0
        assert x[:, channel].max() == 1
    assert np.allclose(preparation.restore(x.numpy()), X, atol=1e-6)
    for alike in (RNG.uniform(size=(20, 4, 5, 3)), RNG.integers(0, 9, (20, 4, 5, 3), np.uint8)):
        assert learn(alike)[0].scaling_map.shift.shape == ()


def test_the_space_tells_which_columns_are_categories() -> None:
    frame = pd.DataFrame(
        {
            "n": [1.0, None, 3.0],
            "c": ["x", "y", "x"],
            "b": [True, False, True],
            "d": ["u", None, "v"],
        }
    )
    preparation, stored = learn(frame)
    titles = preparation.table.titles  # type: ignore[union-attr]
    groups = preparation.space.categories
    assert [titles[a:b] for a, b in groups] == [["c_x", "c_y"], ["d_u", "d_v", "d_missing"]]
    x = preparation.convert(stored)
    for start, stop in groups:
        assert (x[:, start:stop].sum(1) == 1).all()
    assert again(preparation).space == preparation.space


def test_the_space_of_rows() -> None:
    preparation, _ = learn(np.array([[0, 5], [10, 5]], np.uint8), "minmax")
    assert preparation.space == Space(
        shape=(2,), layout="rows", low=0.0, high=1.0, bounds=(0.0, 1.0), binary=True
    )
    assert preparation.range == (0, 1)
