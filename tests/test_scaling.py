"""Scalings: learned right, exact where they can be, and led back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from latente import DataError, ParameterError
from latente.data import scaling as learning
from latente.data.arrays import as_tensor
from latente.data.scaling import (
    DTYPES,
    SCALINGS,
    Ranges,
    Scaling,
    limits,
    tensor_to_dtype,
    to_dtype,
)

SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
NUMPY = [dtype for dtype in DTYPES if dtype != "bfloat16"]
NAMES = st.sampled_from(["auto", *SCALINGS])


def arrays(dtype: str) -> st.SearchStrategy[np.ndarray]:
    if not dtype.startswith("float"):
        return hnp.arrays(dtype, SHAPES)
    width = int(dtype[5:])
    most = 2.0**14 if width == 16 else 2.0**99
    elements = st.floats(-most, most, width=width, allow_subnormal=False)
    return hnp.arrays(dtype, SHAPES, elements=elements)


samples = st.sampled_from(NUMPY).flatmap(arrays)


def tolerance(X: np.ndarray, scaling: Scaling) -> np.ndarray:
    """What rounding to float32 in the model's scale may move a value by."""
    reach = np.abs((X.astype(np.float64) - scaling.shift) / scaling.span)
    eps = 4 * np.finfo(np.float32).eps
    own = np.abs(X.astype(np.float64)) * eps * (scaling.dtype != "float64")
    half = 0.5 if X.dtype.kind in "iu" else 0.0
    return (reach + 1) * scaling.span * eps + np.abs(scaling.shift) * eps + own + half


@given(samples, NAMES)
def test_the_way_back_leads_back(X: np.ndarray, name: str) -> None:
    scaling = Scaling.learn(X, name)
    there = scaling.transform(X)
    assert there.dtype == np.float32
    assert there.shape == X.shape
    assert np.isfinite(there).all()
    back = scaling.inverse(there)
    assert back.dtype == X.dtype
    wrong = np.abs(back.astype(np.float64) - X.astype(np.float64))
    assert (wrong <= tolerance(X, scaling)).all()


@given(
    st.sampled_from(["bool", "uint8", "int8", "uint16", "int16"]).flatmap(arrays),
    st.sampled_from(["auto", "none", "unit", "minmax"]),
)
def test_small_integers_come_back_exactly(X: np.ndarray, name: str) -> None:
    scaling = Scaling.learn(X, name)
    assert np.array_equal(scaling.inverse(scaling.transform(X)), X)


@given(samples, NAMES)
def test_tensors_are_scaled_to_the_same_numbers(X: np.ndarray, name: str) -> None:
    scaling, tensor = Scaling.learn(X, name), torch.from_numpy(X)
    there = scaling.to_torch(tensor)
    assert there.dtype == torch.float32
    assert np.array_equal(there.numpy(), scaling.transform(X))
    back = scaling.from_torch(there)
    assert back.dtype == tensor.dtype
    assert np.array_equal(back.numpy(), scaling.inverse(there.numpy()))
    assert np.array_equal(tensor.numpy(), X)


@given(samples, NAMES)
def test_learning_from_tensors_is_the_same(X: np.ndarray, name: str) -> None:
    one, other = Scaling.learn(X, name), Scaling.learn(torch.from_numpy(X), name)
    assert one.name == other.name
    assert one.dtype == other.dtype == X.dtype
    assert np.array_equal(one.shift, other.shift)
    assert np.array_equal(one.span, other.span)


@given(samples, NAMES)
def test_bounds_hold(X: np.ndarray, name: str) -> None:
    scaling = Scaling.learn(X, name)
    there = scaling.transform(X)
    assert np.isclose(there.min(), scaling.low, rtol=1e-5, atol=1e-5)
    assert np.isclose(there.max(), scaling.high, rtol=1e-5, atol=1e-5)
    if scaling.bounds is not None:
        assert scaling.bounds == (0.0, 1.0)
        assert there.min() >= 0
        assert there.max() <= 1
    assert scaling.binary == (there.min() == 0 and there.max() == 1 and {*there.flat} == {0, 1})


@given(samples, NAMES)
def test_states_lead_back(X: np.ndarray, name: str) -> None:
    scaling = Scaling.learn(X, name)
    plain, stored = scaling.state()
    again = Scaling.from_state(json.loads(json.dumps(plain, allow_nan=False)), stored)
    assert np.array_equal(again.transform(X), scaling.transform(X))
    assert (again.name, again.dtype, again.bounds) == (scaling.name, scaling.dtype, scaling.bounds)
    assert np.array_equal(again.constant_, scaling.constant_)
    assert again.binary == scaling.binary


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "sideways"),
        ("dtype", "object"),
        ("low", float("nan")),
        ("low", None),
        ("span", np.zeros(3)),
        ("span", np.ones(2)),
        ("shift", np.full(3, np.inf)),
        ("shift", "abc"),
    ],
)
def test_broken_states_are_refused(key: str, value: Any) -> None:
    plain, stored = Scaling.learn(np.eye(3), "standard").state()
    state: dict[str, Any] = {**plain, **stored, key: value}
    with pytest.raises(DataError, match="not the state of a scaling"):
        Scaling.from_state(state, state)


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(DataError, match="not the state of a scaling"):
        Scaling.from_state({}, {})


# ── against scikit-learn ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("robust", RobustScaler())],
)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_columns_as_scikit_learn_scales_them(name: str, theirs: Any, scale: float) -> None:
    X = np.random.default_rng(0).normal(size=(5000, 7)) * scale * np.arange(1, 8) + 10 * scale
    ours = Scaling.learn(X, name).transform(X)
    assert np.allclose(ours, theirs.fit_transform(X), rtol=1e-5, atol=1e-6)


def test_channels_are_the_columns_of_pictures() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3, 5, 6)) * [[[[1]], [[10]], [[100]]]]
    scaling = Scaling.learn(X, "standard")
    assert scaling.shift.shape == scaling.span.shape == (3, 1, 1)
    there = scaling.transform(X)
    assert np.allclose(there.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(there.std(axis=(0, 2, 3)), 1, atol=1e-5)


def test_moments_stay_exact_far_from_zero() -> None:
    X = 1e12 + np.random.default_rng(0).integers(0, 2, (4000, 2)).astype(np.float64)
    scaling = Scaling.learn(X, "standard")
    assert np.allclose(scaling.shift - 1e12, (X - 1e12).mean(axis=0), atol=1e-3)
    assert np.allclose(scaling.span, (X - 1e12).std(axis=0), rtol=1e-9)
    seconds = torch.from_numpy(X.astype(np.int64))
    assert torch.equal(scaling.to_torch(seconds), torch.from_numpy(scaling.transform(X)))
    assert np.abs(scaling.transform(X)).max() < 1.1


def test_quartiles_of_much_are_those_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).normal(size=(20_000, 2))
    whole = Scaling.learn(X, "robust")
    monkeypatch.setattr(learning, "SAMPLE", 20_000)
    part = Scaling.learn(X, "robust")
    assert not np.array_equal(part.span, whole.span)
    assert np.allclose(part.span, whole.span, rtol=0.05)


def test_robust_takes_the_deviation_where_half_is_one_value() -> None:
    X = np.array([[0.0], [0.0], [0.0], [0.0], [10.0]])
    assert Scaling.learn(X, "robust").span[0] == pytest.approx(X.std())


# ── what "auto" takes ────────────────────────────────────────────────────────────────────────


def digits() -> np.ndarray:
    return np.asarray(load_digits().data)


RNG = np.random.default_rng(0)
AUTO: dict[str, tuple[np.ndarray, str, float, float]] = {
    "8-bit rows": (RNG.integers(0, 200, (50, 9), np.uint8), "unit", 0, 255),
    "8-bit pictures": (RNG.integers(0, 200, (50, 1, 3, 3), np.uint8), "unit", 0, 255),
    "black and white": (RNG.integers(0, 2, (50, 9), np.uint8), "none", 0, 1),
    "booleans": (RNG.integers(0, 2, (50, 9)).astype(bool), "none", 0, 1),
    "digits": (digits(), "unit", 0, 16),
    "digits, few": (digits()[:200].astype(np.float32), "unit", 0, 16),
    "pixels as floats": (RNG.integers(0, 26, (500, 40)) * 10.0, "unit", 0, 255),
    "pixels in [0, 1]": (RNG.uniform(size=(500, 40)) ** 0.2, "standard", 0, 0),
    "rates": (np.clip(RNG.normal(0.5, 0.5, (500, 5)), 0, 0.999), "unit", 0, 1),
    "pictures": (RNG.normal(size=(50, 3, 4, 4)), "unit", 0, 0),
    "Likert": (RNG.integers(1, 6, (200, 10)), "unit", 1, 4),
    "normal": (RNG.normal(size=(200, 10)), "standard", 0, 0),
    "counts of all sizes": (RNG.poisson(4.0 ** np.arange(8), (300, 8)), "standard", 0, 0),
    "one column": (RNG.integers(0, 9, (50, 1)), "standard", 0, 0),
    "one row": (RNG.normal(size=(1, 10)), "standard", 0, 0),
    "all constant": (np.full((10, 4), 7.5), "standard", 0, 0),
}


@pytest.mark.parametrize("case", AUTO)
def test_auto_takes_what_suits(case: str) -> None:
    X, name, shift, span = AUTO[case]
    scaling = Scaling.learn(X)
    assert scaling.name == name
    if span:
        assert scaling.shift == shift
        assert scaling.span == span
    if name != "standard":
        assert scaling.bounds == (0.0, 1.0)


def test_binary_is_seen_in_any_type() -> None:
    for X in (RNG.integers(0, 2, (50, 9), np.uint8) * 255, RNG.integers(0, 2, (50, 9)) * 2.5):
        assert Scaling.learn(X, "unit").binary
    assert not Scaling.learn(digits()).binary


def test_constant_columns_are_readable_and_harmless() -> None:
    X = RNG.normal(size=(30, 4))
    X[:, 2] = 0.1
    for name in SCALINGS:
        scaling = Scaling.learn(X, name)
        assert scaling.constant_.tolist() == [2]
        there = scaling.transform(X)
        assert np.isfinite(there).all()
        assert np.allclose(scaling.inverse(there)[:, 2], 0.1)
        if name in ("minmax", "standard", "robust"):
            assert not there[:, 2].any()


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ParameterError, match="scaling='units': scaling must be 'auto', 'none', "):
        Scaling.learn(np.eye(3), "units")


# ── large, small, and large on disk ──────────────────────────────────────────────────────────


def test_huge_values_are_scaled_or_refused() -> None:
    X = np.array([[1e300, 0.0], [3e300, 1.0], [2e300, 2.0]])
    for name in ("standard", "minmax", "robust", "unit"):
        scaling = Scaling.learn(X, name)
        assert np.allclose(scaling.inverse(scaling.transform(X)), X, rtol=1e-6, atol=1e295)
        assert np.array_equal(scaling.to_torch(torch.from_numpy(X)).numpy(), scaling.transform(X))
    with pytest.raises(DataError, match=r"column 0 \('mass'\) reaches from 1e\+300 to 3e\+300"):
        Scaling.learn(X, "none", names=["mass", "b"])
    with pytest.raises(DataError, match=r"column 1 reaches from -1e\+308 to 1.7e\+308"):
        Scaling.learn(np.array([[0, -1e308], [1, 1.7e308]]), "standard")


def test_values_far_from_the_fit_are_named() -> None:
    scaling = Scaling.learn(np.array([[0.0, 0.0], [1.0, 1.0]]), "standard")
    with pytest.raises(DataError, match=r"X has 1e\+300 at row 1, column 0"):
        scaling.transform(np.array([[0.0, 0.0], [1e300, 0.0]]))
    assert np.isfinite(scaling.transform(np.full((1000, 2), 1e37))).all()


@pytest.mark.parametrize("tiny", [5e-324, 1e-305, 1e-40])
def test_tiny_values_are_scaled_or_taken_for_constant(tiny: float) -> None:
    X = np.array([[0.0], [tiny], [2 * tiny]])
    for name in SCALINGS:
        scaling = Scaling.learn(X, name)
        there = scaling.transform(X)
        assert np.isfinite(there).all()
        assert np.allclose(scaling.inverse(there), X, atol=max(1e-300, tiny * 1e-6))


def test_a_memory_map_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X = RNG.normal(size=(400, 3))
    np.save(tmp_path / "x.npy", X)
    whole = Scaling.learn(X, "standard")
    monkeypatch.setattr("latente.data.arrays.blocks.__defaults__", (100,))
    mapped = Scaling.learn(np.load(tmp_path / "x.npy", mmap_mode="r"), "standard")
    assert np.allclose(mapped.shift, whole.shift, rtol=1e-12)
    assert np.allclose(mapped.span, whole.span, rtol=1e-12)
    there = mapped.transform(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert np.allclose(there, (X - X.mean(0)) / X.std(0), atol=1e-5)


def test_255_is_exactly_1() -> None:
    X = np.arange(256, dtype=np.uint8)[:, None]
    there = Scaling.learn(X, "unit").transform(X)
    assert there[0] == 0
    assert there[-1] == 1
    assert (np.diff(there[:, 0]) > 0).all()


# ── modules ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("shape", [(20, 5), (20, 3, 4, 4)])
def test_modules_compute_the_same(name: str, shape: tuple[int, ...]) -> None:
    X = RNG.normal(size=shape).astype(np.float32)
    scaling = Scaling.learn(X, name)
    there = scaling.module()(torch.from_numpy(X))
    assert np.allclose(there.numpy(), scaling.transform(X), atol=1e-6)
    back = scaling.inverse_module()(there)
    assert np.allclose(back.numpy(), X, atol=1e-5)
    assert not list(scaling.module().parameters())


# ── restoring types ──────────────────────────────────────────────────────────────────────────


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(max_dims=2),
        elements=st.floats(-(2.0**99), 2.0**99, width=32),
    ),
    st.sampled_from(NUMPY),
)
def test_restoring_rounds_and_clips(values: np.ndarray, dtype: str) -> None:
    restored = to_dtype(values, dtype)
    assert restored.dtype == dtype
    if dtype == "bool":
        assert np.array_equal(restored, values >= 0.5)
        return
    low, high = limits(dtype)
    wanted = np.clip(values.astype(np.float64), low, high)
    wanted = wanted if dtype.startswith("float") else np.rint(wanted)
    assert np.allclose(restored.astype(np.float64), wanted, rtol=1e-3, atol=1e-7)
    assume(values.dtype == np.float64 or dtype not in ("float32", "float64"))
    assert np.array_equal(tensor_to_dtype(torch.from_numpy(values), dtype).numpy(), restored)


def test_bfloat16_comes_back_as_torch_knows_it() -> None:
    X = torch.linspace(0, 200, 64).bfloat16().reshape(16, 4)
    scaling = Scaling.learn(X, "minmax")
    assert scaling.dtype == "bfloat16"
    there = scaling.to_torch(X)
    assert torch.equal(scaling.from_torch(there), X)
    assert scaling.inverse(there.numpy()).dtype == np.float32


def test_16_bits_stored_wider_are_scaled_the_same() -> None:
    X = RNG.integers(0, 2**16, (50, 3)).astype(np.uint16)
    scaling = Scaling.learn(X, "minmax")
    assert torch.equal(scaling.to_torch(as_tensor(X)), torch.from_numpy(scaling.transform(X)))


def test_copies_leave_tensors_on_devices_behind() -> None:
    scaling = Scaling.learn(RNG.normal(size=(9, 3)))
    scaling.to_torch(torch.ones(2, 3))
    other = copy.deepcopy(scaling)
    assert scaling._placed
    assert not other._placed
    assert torch.equal(other.to_torch(torch.ones(2, 3)), scaling.to_torch(torch.ones(2, 3)))


def test_ranges_tell_whole_numbers() -> None:
    assert Ranges.of(np.array([[1.0, 2.0]])).whole
    assert not Ranges.of(np.array([[1.0, 2.5]])).whole
