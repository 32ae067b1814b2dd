"""Nested values with tensors come back exactly as they were."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latente.storage.packing import pack, unpack

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


def tensors() -> st.SearchStrategy[torch.Tensor]:
    shapes = st.lists(st.integers(0, 3), max_size=3)
    return st.builds(
        lambda shape, dtype: torch.arange(math.prod(shape)).reshape(shape).to(dtype),
        shapes,
        st.sampled_from(DTYPES),
    )


keys = st.one_of(st.text(max_size=5), st.sampled_from(["$tensor", "$", "__metadata__"]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), keys)
hashables = st.one_of(scalars, st.tuples(scalars, scalars))
nested = st.recursive(
    st.one_of(scalars, tensors()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal down to types, order of keys, NaN and the sign of zero."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(m, n) for m, n in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(m, n) for m, n in zip(a, b, strict=True))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and repr(a) == repr(b))
    return bool(a == b)


def through_json(value: Any) -> Any:
    structure, found = pack(value)
    return unpack(json.loads(json.dumps(structure, allow_nan=False)), found)


@given(nested)
def test_any_nesting_comes_back_exactly(value: Any) -> None:
    assert same(through_json(value), value)


@given(nested)
def test_every_tensor_has_a_name_of_its_own_that_a_file_can_hold(value: Any) -> None:
    _, found = pack(value)
    for name in found:
        assert name.isascii()
        assert name
        assert name != "__metadata__"


def test_plain_values_stay_readable() -> None:
    value = {"epoch": 3, "loss": 0.5, "names": ["a", None, True]}
    assert pack(value) == (value, {})
    structure, found = pack({"state": {0: {"step": torch.tensor(1.0)}}, "betas": (0.9, math.inf)})
    assert structure == {
        "state": {"$dict": [[0, {"step": {"$tensor": "state.0.step"}}]]},
        "betas": {"$tuple": [0.9, {"$float": "inf"}]},
    }
    assert list(found) == ["state.0.step"]


def test_a_long_history_is_packed_by_columns() -> None:
    history = [{"epoch": i, "total": i / 7, "validation_total": math.nan} for i in range(5000)]
    structure, found = pack({"history": history})
    assert len(json.dumps(structure)) < 300
    assert same(unpack(structure, found), {"history": history})


@pytest.mark.parametrize(
    "odd",
    [
        {"epoch": 2**70},
        {"epoch": 1.0},
        {"epoch": None},
        {"epoch": True},
        {"other": 1},
        {},
        {1: 1},
        3,
    ],
)
def test_a_long_history_that_is_no_table_comes_back_too(odd: Any) -> None:
    history = [{"epoch": i} for i in range(200)]
    for value in ([*history, odd], [odd] * 200):
        assert same(through_json(value), value)


def test_numbers_of_numpy_become_pythons() -> None:
    value = [np.float64(0.1), np.float32(0.5), np.int64(3), np.bool_(True), np.float32("nan")]
    assert same(through_json(value), [0.1, 0.5, 3, True, math.nan])


def test_what_no_file_can_hold_is_refused_by_its_place() -> None:
    with pytest.raises(TypeError, match=r"state\.1\.hook is of type function"):
        pack({"state": [0, {"hook": lambda: None}]})
    with pytest.raises(TypeError, match="a is of type Tensor"):
        pack({"a": torch.eye(3).to_sparse()})


@pytest.mark.parametrize(
    "structure",
    [
        {"$tensor": "absent"},
        {"$tensor": ["a"]},
        {"$tensor": "a", "more": 1},
        {"$unknown": 1},
        {"$float": "1e5"},
        {"$float": ["nan"]},
        {"$tuple": {"a": 1}},
        {"$tuple": 3},
        {"$dict": [[1]]},
        {"$dict": [[[], 1]]},
        {"$dict": 5},
        {"$rows": [1]},
        {"$rows": {"a": 5}},
        {"$rows": {"a": {"$tensor": "vast"}}},
        {"$rows": {"a": {"$tensor": "a"}, "b": {"$tensor": "b"}}},
        [{"a": {"$tuple": [{"$tensor": None}]}}],
    ],
)
def test_structures_that_pack_never_makes_are_refused(structure: Any) -> None:
    found = {"a": torch.zeros(2), "b": torch.zeros(3), "vast": torch.empty(10**12, 0)}
    with pytest.raises(ValueError):  # noqa: PT011
        unpack(structure, found)


OPTIMIZERS: dict[str, Callable[[list[torch.Tensor]], torch.optim.Optimizer]] = {
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "fused adam": lambda p: torch.optim.Adam(p, 0.01, fused=True),
    "adamw with amsgrad": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "sgd with momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.5, line_search_fn="strong_wolfe"),
    "nadam": lambda p: torch.optim.NAdam(p, 0.01),
}


def run(name: str, steps: int, resume_at: int | None) -> tuple[torch.Tensor, dict[str, Any]]:
    """Fit a line, and on the way pack the optimiser's state and go on with a new one."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 3, generator=generator), torch.randn(20, 1, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(3, 1))
    optimizer = OPTIMIZERS[name]([weight])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (x @ weight - y).square().mean()
        loss.backward()
        return loss

    for step in range(steps):
        if step == resume_at:
            state = optimizer.state_dict()
            back = through_json(state)
            assert same(back, state)
            optimizer = OPTIMIZERS[name]([weight])
            optimizer.load_state_dict(back)
        optimizer.step(closure)  # type: ignore[arg-type]
    return weight.detach(), optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_on_from_its_packed_state_as_if_nothing_had_been(name: str) -> None:
    straight, _ = run(name, 6, None)
    resumed, _ = run(name, 6, 3)
    assert torch.equal(straight, resumed)
