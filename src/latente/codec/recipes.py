"""Recipes: how a picture's file is made again from its pixels, byte for byte.

A recipe is found by trying: only one that gives the very file back is kept. Where there is none (a
JPEG, a PNG of another program) the file itself is stored.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Recipe = dict[str, Any]
"""JSON values: "layout", a name of `LAYOUTS`, and what else that layout needs."""


def rows(pixels: Pixels) -> bytes:
    """Return pixels from the top row to the bottom, as PGM, PPM and plain TIFF hold them."""
    return pixels.tobytes()


def upward(pixels: Pixels) -> bytes:
    """Return pixels from the bottom row to the top, blue first, rows of whole words: BMP."""
    turned = pixels[::-1] if pixels.ndim == 2 else pixels[::-1, :, ::-1]
    flat = np.ascontiguousarray(turned).reshape(len(pixels), -1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4))).tobytes()


LAYOUTS: dict[str, Callable[[Pixels], bytes]] = {"rows": rows, "upward": upward}
"""The layouts in which pixels stand in a file as they are, between a head and a foot."""

WRITERS: dict[str, dict[str, Any]] = {"png": {}, "png-optimised": {"optimize": True}}
"""Pillow's ways to write a PNG; another release of it may pack the same pixels otherwise."""


@dataclass(frozen=True)
class Found:
    """A recipe, and whether the file depends on the release of the library that writes it."""

    recipe: Recipe
    loose: bool


def find(original: bytes, pixels: Pixels) -> Found | None:
    """Return a recipe that makes the original of its pixels, or None."""
    for name, layout in LAYOUTS.items():
        body = layout(pixels)
        place = original.find(body)
        if place >= 0 and len(original) - len(body) <= MOST_AROUND:
            head, foot = original[:place], original[place + len(body) :]
            return Found({"layout": name, "head": head.hex(), "foot": foot.hex()}, loose=False)
    if original.startswith(b"\x89PNG"):
        for name in WRITERS:
            if _png(pixels, name) == original:
                return Found({"layout": name}, loose=True)
    return None


MOST_AROUND = 4096
"""Bytes that may stand around the pixels of a file that is made again from them."""


def make(recipe: Recipe, pixels: Pixels) -> bytes:
    """Return the file that a recipe makes of pixels.

    Raises
    ------
    ValueError
        If it is no recipe.
    """
    name = recipe.get("layout")
    if name in WRITERS:
        return _png(pixels, str(name))
    head, foot = recipe.get("head"), recipe.get("foot")
    if name not in LAYOUTS or not isinstance(head, str) or not isinstance(foot, str):
        raise ValueError(f"{name!r:.40} is no layout of a picture's file")
    return bytes.fromhex(head) + LAYOUTS[str(name)](pixels) + bytes.fromhex(foot)


def _png(pixels: Pixels, name: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **WRITERS[name])
    return file.getvalue()
