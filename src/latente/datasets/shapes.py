"""Circles, squares, triangles and stars, drawn anew: any number, the same for the same seed.

After the Four Shapes pictures, https://www.kaggle.com/datasets/smeschke/four-shapes, which are
black on white; these are ink on nothing, as MNIST is: 255 inside the shape and 0 outside, so that
``255 - X`` shows them as there.
"""

from __future__ import annotations

import math
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..errors import ParameterError
from ..parts import is_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float32]

CLASSES = ("circle", "square", "triangle", "star")
SIDES = {1: (4, math.cos(math.pi / 4), 4), 2: (3, 0.5, 3), 3: (5, math.cos(math.pi * 2 / 5), 4)}
"""By class: how many lines bound the shape, how far they are from its centre, and how many of
them a point must be within. A star of five points is where four of its five lines are kept."""
CIRCLE = 0.85
"""The radius of a circle, where a polygon's corners are 1 from its centre."""
CANVAS, PIXELS = 200, 28
RADIUS = (50.0, 85.0)
"""From the centre to a corner, in pixels of the canvas."""
STRETCH = 1.3
"""How many times as wide as high, or as high as wide, a shape becomes at most (squared)."""
NOISE = 0.01
"""Share of the canvas's pixels that are turned over."""
BLOCK = 32
"""Shapes drawn at a time, by a generator of their own: the first shapes do not depend on n."""
N = 15_000


def load(n: int | None = None, random_state: int | None = 0) -> Dataset:
    """Return n shapes to learn from, a quarter of each kind, and a fifth as many for testing.

    Parameters
    ----------
    n
        How many to learn from; 15,000 by itself, as in Four Shapes.
    random_state
        Seed; None for other shapes each time.

    Raises
    ------
    ParameterError
        If n or the seed is no whole number from 1, or from 0, on.
    """
    n = N if n is None else n
    if not is_whole(n, 1):
        raise ParameterError(f"n={n!r}: n must be a whole number of shapes, 1 or more")
    if random_state is not None and not is_whole(random_state, 0):
        raise ParameterError(f"random_state={random_state!r}: it must be None or 0, 1, 2 ...")
    seed = secrets.randbits(64) if random_state is None else random_state
    X, y = draw(n, (seed, 0))
    X_test, y_test = draw(max(1, n // 5), (seed, 1))
    return Dataset(X=X, y=y, X_test=X_test, y_test=y_test, classes=CLASSES)


def draw(n: int, key: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw n shapes, of each kind in turn.

    Parameters
    ----------
    n
        How many.
    key
        Two numbers that seed the generators.

    Returns
    -------
    X
        Shape ``(n, 28, 28)``: 255 inside the shape, 0 outside.
    y
        Shape ``(n,)``: 0 circle, 1 square, 2 triangle, 3 star.
    """
    y = np.arange(n) % len(CLASSES)
    X = np.empty((n, PIXELS, PIXELS), dtype=np.uint8)

    def block(start: int) -> None:
        rng = np.random.default_rng((*key, start))
        ink = drawn(placed(rng), rng)[: n - start]
        small = averaged(averaged(ink).swapaxes(1, 2)).swapaxes(1, 2)
        X[start : start + BLOCK] = np.rint(255 * small)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(block, range(0, n, BLOCK)))
    return X, y


def averaged(ink: NDArray[Any]) -> Float:
    """Return the mean of the rows that each of fewer rows covers, in part or whole.

    ::

        (m, 200, k) ──▶ (m, 28, k)
    """
    edges = np.linspace(0, CANVAS, PIXELS + 1)
    row = np.floor(edges[:-1]).astype(np.intp)
    out = np.zeros((len(ink), PIXELS, ink.shape[2]), dtype=np.float32)
    while np.any(row < edges[1:]):
        covered = np.minimum(row + 1, edges[1:]) - np.maximum(row, edges[:-1])
        share = (np.maximum(covered, 0) * PIXELS / CANVAS).astype(np.float32)
        out += share[:, None] * ink[:, np.minimum(row, CANVAS - 1)]
        row += 1
    return out


def placed(rng: np.random.Generator) -> tuple[Float, Float]:
    """Return where a block of shapes lie: turned, stretched, and inside the canvas.

    Returns
    -------
    inverse
        Shape ``(BLOCK, 2, 2)``: from the canvas, (y, x) from the centre, back to the unit shape.
    centre
        Shape ``(BLOCK, 2)``: (y, x) in pixels.
    """
    angle = rng.uniform(0, 2 * math.pi, BLOCK)
    stretch = STRETCH ** rng.uniform(-0.5, 0.5, BLOCK)
    radius = rng.uniform(*RADIUS, BLOCK)[:, None]
    half = radius * np.stack([stretch, 1 / stretch], axis=1)
    room = CANVAS / 2 - half.max(axis=1, keepdims=True)
    centre = (CANVAS - 1) / 2 + rng.uniform(-1, 1, (BLOCK, 2)) * room
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1)
    inverse = turn.reshape(BLOCK, 2, 2) / half[:, None, :]
    return inverse.astype(np.float32), centre.astype(np.float32)


def drawn(place: tuple[Float, Float], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a block of shapes on the canvas, 1 inside and 0 outside but for the noise.

    Returns
    -------
    Shape ``(BLOCK, 200, 200)``.
    """
    inverse, centre = place
    ink = np.empty((BLOCK, CANVAS, CANVAS), dtype=bool)
    for kind in range(len(CLASSES)):
        own = np.s_[kind :: len(CLASSES)]
        ink[own] = inside(kind, inverse[own], centre[own])
    flat = ink.reshape(BLOCK, -1)
    specks = rng.integers(flat.shape[1], size=(BLOCK, round(NOISE * flat.shape[1])))
    which = np.arange(BLOCK)[:, None]
    flat[which, specks] ^= True
    return ink.view(np.uint8)


def inside(kind: int, inverse: Float, centre: Float) -> NDArray[np.bool_]:
    """Return which pixels of the canvas lie in shapes of one kind.

    Parameters
    ----------
    kind
        The class.
    inverse, centre
        Where each shape lies, shapes ``(m, 2, 2)`` and ``(m, 2)``.

    Returns
    -------
    Shape ``(m, 200, 200)``.
    """
    pixel = np.arange(CANVAS, dtype=np.float32)
    down = inverse[:, :, 0, None] * (pixel - centre[:, :1])[:, None]
    across = inverse[:, :, 1, None] * (pixel - centre[:, 1:])[:, None]
    if kind == 0:
        first = down[:, 0, :, None] + across[:, 0, None, :]
        second = down[:, 1, :, None] + across[:, 1, None, :]
        return np.asarray(first * first + second * second <= CIRCLE**2)
    sides, distance, needed = SIDES[kind]
    within = np.zeros((len(centre), CANVAS, CANVAS), dtype=np.uint8)
    for side in range(sides):
        turn = 2 * math.pi * side / sides
        y, x = math.cos(turn), math.sin(turn)
        over = y * down[:, 0] + x * down[:, 1] - distance
        within += over[:, :, None] <= -(y * across[:, 0] + x * across[:, 1])[:, None, :]
    return within >= needed
