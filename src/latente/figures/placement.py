"""Where boxes go that must not cover each other: labels, and thumbnails, on a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..metrics import Numbers

STEPS = 300
"""How often boxes that cover each other are pushed apart, at most."""
SLACK = 2e-3
"""How far boxes may lie over each other."""
FINE = 4
"""Places that are tried along the shorter side of a box."""


def place(
    at: Numbers, sizes: Numbers, room: tuple[float, float], taken: Numbers | None = None
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Put boxes near to where they belong, so that none covers another.

    Boxes that cover each other push each other apart, so that neighbours stay neighbours; then
    each goes to the nearest free place, the first come first.

    Parameters
    ----------
    at
        Where their centres belong, (n, 2).
    sizes
        Their widths and heights, (n, 2).
    room
        Width and height of the field that they stay in, from (0, 0).
    taken
        Centres and sizes of boxes that are there, (m, 4).

    Returns
    -------
    centres, placed
        Shapes (n, 2) and (n,); False for a box that finds no room, which stays where it belongs.
    """
    boxes = np.zeros((0, 4)) if taken is None else taken
    centres, placed = _pushed(at, sizes, room, boxes), np.zeros(len(at), dtype=bool)
    there = np.concatenate([boxes, np.zeros((len(at), 4))])
    for i, (target, size) in enumerate(zip(centres.copy(), sizes, strict=True)):
        low, high = size / 2, np.asarray(room) - size / 2
        found = _nearest_free(target, size, low, high, there[: len(boxes) + i])
        centres[i] = target if found is None else found
        placed[i] = found is not None
        there[len(boxes) + i] = (*centres[i], *size) if placed[i] else np.nan
    return centres, placed


def _pushed(at: Numbers, sizes: Numbers, room: tuple[float, float], boxes: Numbers) -> Numbers:
    """Return the centres of boxes that have pushed each other apart, and stay in the room."""
    low, high = sizes / 2, np.maximum(np.asarray(room) - sizes / 2, sizes / 2)
    fixed = len(boxes)
    centres = np.concatenate([boxes[:, :2], np.clip(at, low, high)])
    every = np.concatenate([boxes[:, 2:], sizes])
    # Boxes in one place have no way apart: each starts a hair beside the others.
    turn = 2.4 * np.arange(len(centres))
    centres += 1e-4 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(STEPS):
        pairs = KDTree(centres).query_pairs(every.max(), p=np.inf, output_type="ndarray")
        a, b = pairs.T
        apart = centres[b] - centres[a]
        overlap = (every[a] + every[b]) / 2 - np.abs(apart)
        touching = (overlap > SLACK).all(axis=1)
        if not touching.any():
            break
        a, b, apart, overlap = a[touching], b[touching], apart[touching], overlap[touching]
        along = overlap.argmin(axis=1)
        push = np.zeros_like(apart)
        rows = np.arange(len(along))
        push[rows, along] = np.where(apart[rows, along] < 0, -1, 1) * overlap[rows, along] / 2
        np.add.at(centres, a, -0.6 * push)
        np.add.at(centres, b, 0.6 * push)
        centres[:fixed] = boxes[:, :2]
        centres[fixed:] = np.clip(centres[fixed:], low, high)
    return np.asarray(centres[fixed:])


def _nearest_free(
    target: Numbers, size: Numbers, low: Numbers, high: Numbers, boxes: Numbers
) -> Numbers | None:
    """Return the centre nearest to a target at which a box covers no other."""
    step, reach = float(size.min()) / FINE, 1.5 * float((high - low).max())
    near, far = 0.0, 1.5 * step
    while near <= reach:
        points = target + _ring(near, far, step)
        points = points[((points >= low - SLACK) & (points <= high + SLACK)).all(axis=1)]
        close = np.all(np.abs(boxes[:, :2] - target) < far + (size + boxes[:, 2:]) / 2, axis=1)
        around = boxes[None, close]
        gaps = np.abs(points[:, None] - around[..., :2]) - (size + around[..., 2:]) / 2
        free = np.all((gaps >= -SLACK).any(axis=2), axis=1)
        if free.any():
            return np.asarray(points[free.argmax()])
        near, far = far, 2 * far
    return None


def _ring(least: float, most: float, step: float) -> Numbers:
    """Return the points of a square lattice at a distance from its middle, the nearest first."""
    line = step * np.arange(-int(most / step), int(most / step) + 1)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    distance = np.hypot(*points.T)
    inside = (distance >= least) & (distance < most)
    order = np.argsort(distance[inside], kind="stable")
    return np.asarray(points[inside][order])
