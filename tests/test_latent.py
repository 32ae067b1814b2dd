"""Moving in the code space arrives where it should."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latente import Autoencoder, DataError, ParameterError, datasets, latent
from latente.latent.codes import PATHS

DIGITS = datasets.load("digits")
CODES = arrays(np.float64, (3, 4), elements=st.floats(-50, 50))


@cache
def fitted() -> Autoencoder:
    """A model of the digits 1 and 7, of which the 7s are drawn on a grey ground."""
    return Autoencoder(latent_dim=8, epochs=60, random_state=0).fit(pictures()[0])


@cache
def pictures() -> tuple[Any, Any]:
    chosen = np.isin(DIGITS.y, (1, 4))
    X, which = DIGITS.X[chosen].astype(np.float32) / 16, np.arange(chosen.sum()) % 2
    return np.clip(X + 0.3 * which[:, None, None], 0, 1.3), which.astype(bool)


class TestPaths:
    @settings(max_examples=50, deadline=None)
    @given(CODES, CODES, st.sampled_from(sorted(PATHS)), st.integers(2, 7))
    def test_both_ends_are_reached(self, a: Any, b: Any, path: str, steps: int) -> None:
        way = latent.interpolate(a, b, steps, path=path)
        assert way.shape == (3, steps, 4)
        assert way.dtype == np.float32
        np.testing.assert_array_equal(way[:, 0], a.astype(np.float32))
        np.testing.assert_array_equal(way[:, -1], b.astype(np.float32))
        assert np.isfinite(way).all()
        single = latent.interpolate(a[0], b[0], steps, path=path)
        np.testing.assert_allclose(single, way[0], rtol=1e-5, atol=1e-5)

    def test_a_line_keeps_its_pace_and_an_arc_its_radius(self) -> None:
        generator = np.random.default_rng(0)
        a, b = generator.normal(size=(2, 16))
        b *= np.linalg.norm(a) / np.linalg.norm(b)
        line, arc = (latent.interpolate(a, b, 9, path=path) for path in ("linear", "spherical"))
        np.testing.assert_allclose(np.diff(line, axis=0), [(b - a) / 8] * 8, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(arc, axis=1), np.linalg.norm(a), rtol=1e-5)
        assert np.linalg.norm(line[4]) < 0.9 * np.linalg.norm(a)
        paces = np.linalg.norm(np.diff(arc, axis=0), axis=1)
        np.testing.assert_allclose(paces, paces[0], rtol=1e-4)

    def test_what_cannot_be_is_told(self) -> None:
        with pytest.raises(DataError, match=r"start has the shape \(3,\) and end \(4,\)"):
            latent.interpolate(np.zeros(3), np.zeros(4))
        with pytest.raises(ParameterError, match="steps=1"):
            latent.interpolate(np.zeros(3), np.zeros(3), 1)
        with pytest.raises(ParameterError, match="'linear' or 'spherical'"):
            latent.interpolate(np.zeros(3), np.zeros(3), path="bent")


class TestDirections:
    def test_an_attribute_is_put_on_and_taken_off(self) -> None:
        model, (X, grey) = fitted(), pictures()
        Z, learned = model.transform(X), np.arange(len(X)) < 200
        way = latent.direction(Z[grey & learned], Z[~grey & learned])
        held = ~learned
        read = way.read(Z[held])
        assert ((read > 0.5) == grey[held]).mean() > 0.95
        ground = X[held][:, :, 0].mean(1)
        put_on = latent.edit(model, X[held & ~grey], way)[:, :, 0].mean(1)
        taken_off = latent.edit(model, X[held & grey], way, -1)[:, :, 0].mean(1)
        assert abs(put_on.mean() - 0.3 - ground[~grey[held]].mean()) < 0.06
        assert abs(taken_off.mean() + 0.3 - ground[grey[held]].mean()) < 0.06

    def test_strength_nought_changes_nothing_and_detail_is_kept(self) -> None:
        model, (X, grey) = fitted(), pictures()
        Z = model.transform(X)
        way = latent.direction(Z[grey], Z[~grey])
        still = latent.edit(model, X[:20], way, 0)
        np.testing.assert_allclose(still, model.reconstruct(X[:20]), atol=1e-5)
        np.testing.assert_allclose(
            latent.edit(model, X[:20], way, 0, keep_detail=True), X[:20], atol=1e-5
        )
        there = way.apply(way.apply(Z, 2.5), -2.5)
        np.testing.assert_allclose(there, Z, atol=1e-4)

    def test_what_sets_groups_apart_drops_out(self) -> None:
        """Who wears glasses more often is no part of the glasses."""
        generator = np.random.default_rng(0)
        people = generator.normal(size=(5, 6)) * 10
        glasses = np.array([1.0, 0, 0, 0, 0, 0])
        who = [np.array([0] * 9 + [1, 2, 3]), np.array([0, 1, 2, 3, 3, 3, 4, 4])]
        present, absent = people[who[0]] + glasses, people[who[1]]
        mixed = latent.direction(present, absent).vector
        clean = latent.direction(present, absent, groups=(who[0], who[1])).vector
        np.testing.assert_allclose(clean, glasses, atol=1e-5)
        assert np.linalg.norm(mixed - glasses) > 1

    def test_what_cannot_be_is_told(self) -> None:
        with pytest.raises(DataError, match="present has the shape"):
            latent.direction(np.zeros((0, 3)), np.zeros((2, 3)))
        with pytest.raises(DataError, match="3 numbers and absent of 4"):
            latent.direction(np.zeros((2, 3)), np.zeros((2, 4)))
        with pytest.raises(DataError, match="no group has"):
            latent.direction(np.zeros((1, 3)), np.zeros((1, 3)), groups=(["a"], ["b"]))
        with pytest.raises(DataError, match="NaN"):
            latent.direction(np.full((1, 3), np.nan), np.zeros((1, 3)))
        way = latent.direction(np.ones((1, 3)), np.zeros((1, 3)))
        with pytest.raises(DataError, match="the direction has 3"):
            way.apply(np.zeros((1, 4)))


class TestNeighbours:
    def test_a_training_row_is_its_own_neighbour(self) -> None:
        model, (X, _) = fitted(), pictures()
        for space in ("data", "code"):
            near = latent.nearest(model, X[[5, 17]], X, 3, space=space)
            assert near.rows[:, 0].tolist() == [5, 17]
            assert near.distances[:, 0].max() < 1e-6
            assert (np.diff(near.distances, axis=1) >= 0).all()
            assert near.distances[:, 1].min() > 0.01

    def test_distance_is_the_root_mean_square_in_the_models_scale(self) -> None:
        model, (X, _) = fitted(), pictures()
        span = X.max() - X.min()
        near = latent.nearest(model, X[:1] + 0.1, X[:1])
        assert near.distances[0, 0] == pytest.approx(0.1 / span, rel=1e-3)

    def test_what_cannot_be_is_told(self) -> None:
        model, (X, _) = fitted(), pictures()
        with pytest.raises(ParameterError, match="from 1 to 4"):
            latent.nearest(model, X[:2], X[:4], 5)
        with pytest.raises(ParameterError, match="'data' or 'code'"):
            latent.nearest(model, X[:2], X[:4], space="time")


class TestReadouts:
    def test_codes_tell_what_chance_does_not(self) -> None:
        model, (X, grey) = fitted(), pictures()
        Z = model.transform(X)
        classes = latent.readout(Z, np.where(grey, "grey", "white"))
        assert classes.score > 0.95 > 0.6 > classes.chance
        assert classes.predict(Z[grey][:3]).tolist() == ["grey"] * 3
        ink = latent.readout(Z, X.mean((1, 2)).astype(float))
        assert ink.score > 0.8 > ink.chance == 0
        shuffled = np.random.default_rng(0).permutation(grey)
        assert latent.readout(Z, shuffled).score < 0.65
        assert latent.readout(Z, np.random.default_rng(0).normal(size=len(Z))).score < 0.2

    def test_what_cannot_be_is_told(self) -> None:
        with pytest.raises(DataError, match="two rows of each of two classes"):
            latent.readout(np.zeros((3, 2)), ["a", "a", "b"])
        with pytest.raises(DataError, match="for 3 codes"):
            latent.readout(np.zeros((3, 2)), ["a", "b"])
