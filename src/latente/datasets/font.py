"""The classic 5×7 character font, drawn in ``font.txt`` beside this module."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from ..data.dataset import Dataset

FIRST, GLYPHS, HEIGHT, WIDTH = 0x20, 96, 7, 5


def load() -> Dataset:
    """Return the 96 glyphs of the characters 0x20 to 0x7f, shape (96, 7, 5), uint8: 1 is ink.

    The label of a glyph is its place, and ``classes[y[i]]`` its character.
    """
    drawing = files(__package__).joinpath("font.txt").read_text(encoding="ascii")
    lines = [line.split() for line in drawing.splitlines() if not line.startswith("0x")]
    ink = np.array([[[pixel == "#" for pixel in part] for part in line] for line in lines])
    bands = ink.reshape(-1, HEIGHT, ink.shape[1], WIDTH).swapaxes(1, 2)
    return Dataset(
        X=bands.reshape(GLYPHS, HEIGHT, WIDTH).astype(np.uint8),
        y=np.arange(GLYPHS),
        classes=tuple(chr(FIRST + i) for i in range(GLYPHS)),
    )
