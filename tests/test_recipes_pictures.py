"""What the recipes of faces and of restoration measure and compare with."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from latente import MissingExtra, datasets
from latente.recipes import restoration
from latente.recipes.alignment import Placement, place
from latente.recipes.faces import beyond_chance, components, glasses_in, varied


def masks(n: int) -> torch.Tensor:
    """Return drawn faces, all alike: brows, eyes, nose and mouth, dark on light, (n, 1, 56, 46)."""
    rows, columns = np.mgrid[0:56, 0:46].astype(float)
    face = 200.0 - 60 * (((rows - 28) / 26) ** 2 + ((columns - 22.5) / 20) ** 2 > 1)
    for side in (-1, 1):
        face -= 110 * np.exp(-(((rows - 23) / 2.5) ** 2 + ((columns - 22.5 - 8 * side) / 4) ** 2))
    face -= 70 * np.exp(-(((rows - 40) / 2) ** 2 + ((columns - 22.5) / 7) ** 2))
    face -= 30 * np.exp(-(((rows - 32) / 4) ** 2 + ((columns - 22.5) / 1.5) ** 2))
    return torch.from_numpy(face).float().expand(n, 1, 56, 46)


def test_faces_that_stand_anywhere_are_brought_to_one_place() -> None:
    generator = torch.Generator().manual_seed(0)
    across, down, angle, scale = 2 * torch.rand(4, 24, generator=generator) - 1
    moves = Placement(0.15 * across, 0.12 * down, 0.12 * angle, 1 + 0.08 * scale, 0 * scale)
    moved = moves.warp(masks(24))
    found = place(moved[:, 0].numpy().round().astype(np.uint8))
    inside = (slice(None), 0, slice(16, 44), slice(8, 38))
    before, after = moved[inside].std(0).mean(), found.warp(moved)[inside].std(0).mean()
    assert float(after) < 0.5 * float(before)
    assert float(found.score.min()) > 0.8
    turned = found.angle + moves.angle
    assert float(turned.std()) < 0.5 * float(moves.angle.std())


def test_a_placement_in_the_middle_changes_nothing() -> None:
    face, zero = masks(2), torch.zeros(2)
    same = Placement(zero, zero, zero, 1 + zero, zero).warp(face)
    assert torch.allclose(same, face, atol=1e-3)


def test_glasses_are_known_by_the_names_of_files() -> None:
    paths = ("s1/1.pgm", "faces/s4/3.pgm", "s4/4.pgm", "s36\\10.pgm", "s36/8.pgm")
    data = replace(datasets.load("digits"), paths=paths)
    worn = glasses_in(data)
    assert worn is not None
    assert worn.tolist() == [False, True, False, True, False]
    assert glasses_in(replace(data, paths=None)) is None


def test_copies_are_varied_and_the_first_are_the_pictures_themselves() -> None:
    X = masks(3)[:, 0].numpy().astype(np.uint8)
    copies = varied(X, 4)
    assert copies.shape == (12, 56, 46)
    assert np.array_equal(copies[:3], X)
    assert np.array_equal(copies[3:6], X[:, :, ::-1])
    assert len(np.unique(copies[6:].reshape(6, -1), axis=0)) == 6


def test_components_of_few_pictures_give_those_back() -> None:
    X = varied(masks(2)[:, 0].numpy().astype(np.uint8), 6)
    assert np.abs(components(X, X).astype(int) - X).max() <= 1


def test_the_parameters_that_restore_most_are_chosen() -> None:
    clean = np.full((2, 12, 12), 100, np.uint8)
    dark = clean - 51
    method = restoration.Classical(
        lambda x, where, add: x + add * where, {"add": (0.0, 0.1, 0.2, 0.4)}
    )
    where = np.ones(clean.shape, bool)
    assert restoration.tuned(method, clean, dark, where) == {"add": 0.2}
    assert np.array_equal(restoration.applied(method, dark, where, {"add": 0.2}), clean)


def test_a_missing_scikit_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match="pip install scikit-image"):
        restoration.classical()


def test_colourfulness_is_the_distance_from_grey() -> None:
    grey = np.full((1, 4, 4, 3), 90, np.uint8)
    red = grey.copy()
    red[..., 0] = 190
    strong = grey.copy()
    strong[..., 0] = 255
    assert restoration.chroma(grey) == pytest.approx(0, abs=1e-6)
    assert 0.1 < restoration.chroma(red) < restoration.chroma(strong)


def test_a_gain_counts_where_most_people_have_it() -> None:
    whom = np.repeat([1, 2, 3, 4], 5)
    theirs = np.linspace(20, 30, 20)
    assert beyond_chance(theirs + 0.1 * whom, theirs, whom)
    assert not beyond_chance(theirs + np.where(whom == 1, 2.0, -0.1), theirs, whom)
    assert not beyond_chance(theirs, theirs, whom)
