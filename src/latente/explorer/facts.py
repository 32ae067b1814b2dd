"""What a scene is, as plain JSON values: what the page is told first."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..version import __version__
from .damage import damages_for
from .requests import LARGEST_BODY, MOST_IDS
from .scene import Scene
from .view import CELLS, ModelView

LANGUAGES = ("en", "es", "pt")
MOST_CODES = 1024
"""Places, codes or samples of one request."""
MOST_BYTES = 64 * 2**20
"""Bytes, about, of the samples in one answer."""


def scene_facts(scene: Scene) -> dict[str, Any]:
    """Return what is shown, and by which models."""
    return {
        "version": __version__,
        "title": scene.title,
        "n": len(scene),
        "split": scene.split,
        "data": {"name": scene.name, "kind": scene.form.kind, **scene.form.facts()},
        "columns": [column.facts() for column in scene.columns],
        "models": [model_facts(view) for view in scene.views],
        "damages": [each.facts() for each in damages_for(scene.views[0].coder.input)],
        "learning": None,
        "limits": {"codes": most_samples(scene.views), "bytes": LARGEST_BODY, "ids": MOST_IDS},
        "languages": list(LANGUAGES),
    }


def model_facts(view: ModelView) -> dict[str, Any]:
    """Return what a model and its map are."""
    return {
        "name": view.name,
        "latent": view.coder.latent,
        "generative": view.coder.is_generative(),
        **view.coder.facts(),
        "map": {
            "kind": view.plane.kind,
            "axes": list(view.plane.axes),
            "limits": list(view.limits),
            "share": view.plane.share,
        },
        "dims": view.dims,
        "near": view.near,
        "density": {
            "shape": [CELLS, CELLS],
            "limits": list(view.limits),
            "levels": list(view.levels),
        },
    }


def most_samples(views: list[ModelView]) -> int:
    """Return how many samples one answer holds at most."""
    largest = max(
        4 * int(np.prod(view.coder.input.shape) + np.prod(view.coder.target.shape))
        for view in views
    )
    return max(1, min(MOST_CODES, MOST_BYTES // largest))
