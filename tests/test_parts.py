"""The one contract that every entry of every table keeps."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from latente import ParameterError
from latente.bottlenecks import BOTTLENECKS
from latente.bottlenecks.gaussian import Gaussian
from latente.corruptions import CORRUPTIONS
from latente.corruptions.base import resolve_corruptions
from latente.losses import LOSSES
from latente.networks import NETWORKS
from latente.optimizers import OPTIMIZERS
from latente.parts import Part, from_json, parse, resolve, to_json
from latente.schedules import SCHEDULES

TABLES = {
    "network": NETWORKS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
ENTRIES = [
    pytest.param(family, name, id=f"{family}-{name}")
    for family, table in TABLES.items()
    for name in table
]


@pytest.mark.parametrize(("family", "name"), ENTRIES)
class TestContract:
    def test_a_name_a_call_and_an_object_are_the_same_part(self, family: str, name: str) -> None:
        part = TABLES[family][name]()
        assert resolve(name, TABLES[family], family) == part
        assert resolve(f"{name}()", TABLES[family], family) == part
        assert resolve(name.replace("_", "-"), TABLES[family], family) == part
        assert resolve(part, TABLES[family], family) is part

    def test_parameters_can_be_read_and_set(self, family: str, name: str) -> None:
        part = TABLES[family][name]()
        assert part.set_params(**part.get_params()) is part
        assert part == TABLES[family][name](**part.get_params())

    def test_scikit_learn_clones_it(self, family: str, name: str) -> None:
        part = TABLES[family][name]()
        copy = clone(part)
        assert copy == part
        assert copy is not part

    def test_it_goes_to_json_and_comes_back(self, family: str, name: str) -> None:
        part = TABLES[family][name]()
        text = json.dumps(to_json(part, TABLES[family]), allow_nan=False)
        assert from_json(json.loads(text), TABLES[family], family) == part

    def test_an_unknown_parameter_is_named(self, family: str, name: str) -> None:
        with pytest.raises(ParameterError, match="no parameter 'colour'"):
            resolve(f"{name}(colour=1)", TABLES[family], family)
        with pytest.raises(ParameterError, match="no parameter 'colour'"):
            TABLES[family][name]().set_params(colour=1)

    def test_every_number_is_checked(self, family: str, name: str) -> None:
        part = TABLES[family][name]()
        for key, value in part.get_params().items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                with pytest.raises(ParameterError, match=key):
                    part.set_params(**{key: float("nan")})
                with pytest.raises(ParameterError, match=key):
                    part.set_params(**{key: "much"})
        assert part == TABLES[family][name]()

    def test_it_is_documented(self, family: str, name: str) -> None:
        cls = TABLES[family][name]
        text = cls.__doc__ or ""
        assert len(text.splitlines()[0]) > 10
        own = set(cls.parameter_names()) - {"output_activation"}
        inherited = " ".join(base.__doc__ or "" for base in cls.__mro__ if issubclass(base, Part))
        for parameter in own:
            assert parameter in inherited, f"{cls.__name__}: {parameter} is not documented"


@pytest.mark.parametrize("family", TABLES)
def test_an_unknown_name_lists_the_known_ones(family: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve("nonsense", TABLES[family], family)
    assert all(repr(name) in str(caught.value) for name in TABLES[family])


def test_a_call_written_as_text_gives_its_parameters() -> None:
    assert resolve("gaussian(beta=4, samples=5)", BOTTLENECKS, "bottleneck") == Gaussian(
        beta=4, samples=5
    )
    assert parse("dense(hidden=[128, 64], activation=relu)", "network") == (
        "dense",
        {"hidden": [128, 64], "activation": "relu"},
    )


@pytest.mark.parametrize(
    "text", ["gaussian(4)", "gaussian(beta=4", "gaussian(beta=open('x'))", "gaussian(**{})", "g(1"]
)
def test_a_broken_call_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(text, BOTTLENECKS, "bottleneck")
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_part_or_a_parameter_error(text: str) -> None:
    with contextlib.suppress(ParameterError):
        assert isinstance(resolve(text, BOTTLENECKS, "bottleneck"), tuple(BOTTLENECKS.values()))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    )
)
def test_any_json_is_a_part_or_a_parameter_error(value: object) -> None:
    with contextlib.suppress(ParameterError):
        assert isinstance(from_json(value, OPTIMIZERS, "optimizer"), Part)


def test_a_bad_set_params_leaves_the_part_as_it_was() -> None:
    part = Gaussian(beta=2)
    with pytest.raises(ParameterError):
        part.set_params(beta=3, samples=0)
    assert part == Gaussian(beta=2)


def test_corruptions_come_alone_in_a_list_or_not_at_all() -> None:
    assert resolve_corruptions(None) == ()
    assert len(resolve_corruptions("mask")) == 1
    assert len(resolve_corruptions(["mask(rate=0.5)", "gaussian_noise"])) == 2
