"""Thumbnails: many rows as small pictures in one sheet."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from .scene import Scene

COLUMNS = 32
"""Pictures beside one another."""
LARGEST = 48
"""Pixels of a side, at most."""


def cell_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width in which a picture is shown small."""
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def sheet(scene: Scene, first: int, count: int) -> bytes:
    """Return rows as a PNG of 32 columns, from the upper left, row by row.

    Parameters
    ----------
    scene
        Of pictures.
    first, count
        Which rows; behind the last there is nothing.
    """
    ids = np.arange(first, min(first + count, len(scene)))
    pictures = scene.form.shown(scene.rows(ids)).array
    height, width = cell_size(*pictures.shape[1:3])
    down = -(-len(pictures) // COLUMNS)
    channels = pictures.shape[3]
    out = np.zeros((down, height, COLUMNS, width, channels), np.uint8)
    for i, picture in enumerate(pictures):
        if picture.shape[:2] != (height, width):
            flat = Image.fromarray(picture[..., 0] if channels == 1 else picture)
            small = flat.resize((width, height), Image.Resampling.BOX)
            picture = np.asarray(small).reshape(height, width, channels)
        out[i // COLUMNS, :, i % COLUMNS] = picture
    whole = out.reshape(down * height, COLUMNS * width, channels)
    buffer = io.BytesIO()
    Image.fromarray(whole[..., 0] if channels == 1 else whole).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
