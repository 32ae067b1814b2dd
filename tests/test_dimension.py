"""The intrinsic dimension is that of the surface, and what scikit-dimension finds.

`REFERENCE` holds what scikit-dimension 0.5.0 gives for `data()`, printed by running this file where
that is installed: ``PYTHONPATH=src python tests/test_dimension.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from latente import DataError, ParameterError, datasets, intrinsic_dimension
from latente.cli.main import app
from latente.latent import dimension

REFERENCE = {
    "roll": {"two_nn": 2.018983859025387, "mle": 1.9127149963778256},
    "plane": {"two_nn": 5.326357550567034, "mle": 4.94064109674483},
    "digits": {"two_nn": 8.705456918219957, "mle": 6.707614112914277},
}


def data() -> dict[str, np.ndarray]:
    """Rows on surfaces of known dimension, from a generator whose numbers never change; digits."""
    draw = np.random.RandomState(0)
    turn, height = draw.uniform(4, 14, 1200), draw.uniform(0, 20, 1200)
    roll = np.stack([turn * np.cos(turn), height, turn * np.sin(turn)], 1)
    plane = draw.normal(size=(1200, 5)) @ draw.normal(size=(5, 30))
    digits = datasets.load("digits").X
    return {"roll": roll, "plane": plane, "digits": digits.reshape(len(digits), -1).astype(float)}


def by_scikit_dimension(X: np.ndarray) -> dict[str, float]:
    skdim = pytest.importorskip("skdim")
    X = np.unique(X, axis=0)
    return {
        "two_nn": float(skdim.id.TwoNN().fit(X).dimension_),
        "mle": float(skdim.id.MLE().fit(X, n_neighbors=20).dimension_),
    }


@pytest.mark.parametrize("name", REFERENCE)
def test_the_estimates_are_those_of_scikit_dimension(name: str) -> None:
    for method, expected in REFERENCE[name].items():
        found = intrinsic_dimension(data()[name], method, scaling="none")
        assert found == pytest.approx(expected, rel=1e-4), method


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_is_what_scikit_dimension_says_today(name: str) -> None:
    assert by_scikit_dimension(data()[name]) == pytest.approx(REFERENCE[name], rel=1e-6)


@pytest.mark.parametrize("method", dimension.METHODS)
def test_the_dimension_is_the_surfaces_not_the_columns(method: str) -> None:
    generator = np.random.default_rng(0)
    for d in (1, 2, 6):
        X = generator.uniform(size=(1500, d)) @ generator.normal(size=(d, 25))
        assert intrinsic_dimension(X, method, scaling="none") == pytest.approx(d, rel=0.2)


def test_scale_type_and_shape_do_not_matter() -> None:
    X = datasets.load("digits").X
    expected = intrinsic_dimension(X)
    assert intrinsic_dimension(X.astype(np.uint8)) == pytest.approx(expected, rel=1e-3)
    assert intrinsic_dimension(X.reshape(len(X), -1)) == pytest.approx(expected, rel=1e-3)
    assert intrinsic_dimension(X * 1000.0 + 5) == pytest.approx(expected, rel=1e-2)


def test_frames_and_rows_that_come_twice() -> None:
    X = data()["roll"]
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    expected = intrinsic_dimension(X)
    assert intrinsic_dimension(frame) == pytest.approx(expected, rel=1e-4)
    twice = np.concatenate([X, X[:700]])
    assert intrinsic_dimension(twice) == pytest.approx(expected, rel=1e-3)
    frame["kind"] = np.where(X[:, 0] > 0, "left", "right")
    assert 1 < intrinsic_dimension(frame) < 3


def test_blocks_do_not_change_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    X = data()["plane"]
    whole = [intrinsic_dimension(X, method) for method in dimension.METHODS]
    monkeypatch.setattr(dimension, "BLOCK_NUMBERS", 6_000)
    parts = [intrinsic_dimension(X, method) for method in dimension.METHODS]
    assert parts == pytest.approx(whole, rel=1e-6)


def test_far_from_0_neighbours_are_still_told_apart() -> None:
    X = data()["roll"]
    moved = intrinsic_dimension(X + 1e5, scaling="none")
    assert moved == pytest.approx(intrinsic_dimension(X, scaling="none"), rel=0.01)


def test_of_many_rows_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    X = data()["plane"]
    seen: list[int] = []
    original: Callable[..., Any] = dimension.nearest_distances

    def noted(samples: Any, places: Any, k: int) -> Any:
        seen.extend((len(samples), len(places)))
        return original(samples, places, k)

    monkeypatch.setattr(dimension, "nearest_distances", noted)
    found = intrinsic_dimension(X, rows=900, queries=300)
    assert seen == [900, 300]
    assert found == intrinsic_dimension(X, rows=900, queries=300)
    assert found != intrinsic_dimension(X, rows=900, queries=300, random_state=1)
    assert found == pytest.approx(5, rel=0.35)


def test_wrong_input_is_told_in_a_sentence() -> None:
    X = data()["roll"]
    with pytest.raises(ParameterError, match="method='knn': use 'two_nn' or 'mle'"):
        intrinsic_dimension(X, "knn")
    with pytest.raises(ParameterError, match="neighbours=1: use a whole number from 3"):
        intrinsic_dimension(X, "mle", neighbours=1)
    with pytest.raises(DataError, match="12 different rows, too few for method='mle'; give at"):
        intrinsic_dimension(np.repeat(X[:12], 5, axis=0), "mle")
    with pytest.raises(DataError, match="all alike"):
        intrinsic_dimension(np.eye(40), scaling="none")
    with pytest.raises(DataError, match="NaN"):
        intrinsic_dimension(np.where(X[0, 0] == X, np.nan, X))


def test_the_command_tells_both_estimates(tmp_path: Path) -> None:
    def run(*args: str) -> str:
        result = CliRunner().invoke(app, ["dimension", *args])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    X = datasets.load("digits").X
    found = json.loads(run("digits", "--json"))
    assert found == {
        "data": "digits", "rows": len(X), "values": 64,
        "two_nn": intrinsic_dimension(X), "mle": intrinsic_dimension(X, "mle"),
    }  # fmt: skip
    few = json.loads(run("digits", "--method", "mle", "--neighbours", "5", "--json"))
    assert few["mle"] == intrinsic_dimension(X, "mle", neighbours=5)
    assert "two_nn" not in few
    path = tmp_path / "t.csv"
    pd.DataFrame(data()["roll"], columns=["a", "b", "c"]).to_csv(path, index=False)
    assert "3 values" in run(str(path))
    wrong = CliRunner().invoke(app, ["dimension", "digits", "--method", "knn"])
    assert wrong.exit_code == 2
    assert "use 'two_nn' or 'mle'" in wrong.stderr


if __name__ == "__main__":
    for key, rows in data().items():
        print(f'    "{key}": {by_scikit_dimension(rows)},')
