"""Parts by name, as a call written as text, as JSON; tables of names."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latente import ParameterError
from latente.bottlenecks import BOTTLENECKS
from latente.bottlenecks.gaussian import Gaussian
from latente.bottlenecks.plain import Plain
from latente.corruptions.base import resolve_corruptions
from latente.families import FAMILIES
from latente.optimizers import OPTIMIZERS
from latente.parts import Part, from_json, parse, resolve, to_json


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_name_lists_the_known_ones(family: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve("nonsense", FAMILIES[family], family)
    assert all(repr(name) in str(caught.value) for name in FAMILIES[family])


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


def test_names_are_listed_without_importing_anything() -> None:
    code = (
        "import sys; from latente.families import FAMILIES; [list(t) for t in FAMILIES.values()];"
    )
    code += "print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@dataclass(kw_only=True)
class Halved(Plain):
    """A bottleneck that a user might define."""

    share: float = 0.5


def test_a_part_of_ones_own_goes_by_the_name_of_its_class() -> None:
    assert resolve("Halved(share=0.1)", BOTTLENECKS, "bottleneck") == Halved(share=0.1)
    value = to_json(Halved(share=0.2), BOTTLENECKS)
    assert value == {"name": "Halved", "share": 0.2}
    assert from_json(value, BOTTLENECKS, "bottleneck") == Halved(share=0.2)
    with pytest.raises(ParameterError, match="no class Quartered of Bottleneck is defined here"):
        from_json({"name": "Quartered"}, BOTTLENECKS, "bottleneck")
