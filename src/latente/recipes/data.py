"""The data of recipes; in a quick run, data that come with the package take their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from ..data.dataset import Dataset
from ..data.pictures import resized

Pictures = NDArray[np.uint8]


def load(name: str, *, quick: bool, n: int | None = None) -> Dataset:
    """Return a data set, or in a quick run what takes its place.

    Parameters
    ----------
    name
        Of the data set.
    quick
        Whether nothing may be fetched.
    n
        How many samples of a set that is generated.

    Raises
    ------
    FileError
        If the data are not here and cannot be fetched.
    """
    if quick and name in STAND_INS:
        return STAND_INS[name]()
    return datasets.load(name, n=n)


def enlarged_digits() -> Dataset:
    """Return the bundled digits in the size of MNIST's, 28×28 pixels of 256 levels."""
    digits = datasets.load("digits")

    def enlarge(X: Any) -> Pictures:
        levels = np.rint(np.asarray(X) * (255 / 16)).astype(np.uint8)
        return np.pad(resized(levels, (20, 20)), ((0, 0), (4, 4), (4, 4)))

    return replace(digits, X=enlarge(digits.X), X_test=enlarge(digits.X_test))


def shapes_as_faces() -> Dataset:
    """Return 160 drawn shapes in the size of faces, ten to each of 16 "people"."""
    shapes = datasets.load("shapes", n=160)
    X = resized(np.asarray(shapes.X), (56, 46))
    return replace(shapes, X=X, y=np.arange(160) // 10, X_test=None, y_test=None, classes=None)


def coloured_shapes() -> Dataset:
    """Return 320 + 80 drawn shapes of 32×32 pixels, each in the colour of its kind."""
    shapes = datasets.load("shapes", n=400)
    ink = resized(np.asarray(shapes.X), (32, 32))[..., None] / 255.0
    y = np.asarray(shapes.y)
    X = np.rint(ink * COLOURS[y][:, None, None]).astype(np.uint8)
    held = np.arange(len(X)) % 5 == 4
    return replace(shapes, X=X[~held], y=y[~held], X_test=X[held], y_test=y[held])


COLOURS = np.array([(214, 60, 40), (40, 120, 214), (60, 170, 80), (230, 170, 30)])
"""Red, blue, green and yellow: of circles, squares, triangles and stars."""
STAND_INS: dict[str, Callable[[], Dataset]] = {
    "mnist": enlarged_digits,
    "faces": shapes_as_faces,
    "cifar10": coloured_shapes,
}
"""What a quick run takes instead of data that would have to be fetched."""
