"""Space: what samples look like to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

Shape = tuple[int, ...]
"""Shape of one sample: (features,), (channels, height, width), or (T, features)."""
Bounds = tuple[float, float] | None
"""Lowest and highest value that samples can have, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """Shape and range of samples in the model's scale.

    Parameters
    ----------
    shape
        Of one sample: (features,) for rows, (channels, height, width) for pictures, (T, features)
        for sequences.
    layout
        "rows", "pictures" or "sequences".
    low, high
        The range of the fit's data.
    bounds
        (0, 1) where values are known to lie in there, else None.
    binary
        Whether the fit's data are 0 and 1 only.
    categories
        Groups (start, stop) along the last axis of which exactly one value is 1, the others 0: the
        levels of a column, or the characters of a text.
    ragged
        Whether the last feature of each step is 1 where the step exists and 0 behind the end of a
        sequence that is shorter than others.
    """

    shape: Shape
    layout: str
    low: float
    high: float
    bounds: Bounds = None
    binary: bool = False
    categories: tuple[tuple[int, int], ...] = ()
    ragged: bool = False

    @classmethod
    def of_shape(cls, shape: Shape, *, bounds: Bounds = None) -> Self:
        """Return the space of samples of which only the shape, and maybe the bounds, are known."""
        layout = {1: "rows", 2: "sequences"}.get(len(shape), "pictures")
        low, high = bounds or (0.0, 1.0)
        return cls(shape=shape, layout=layout, low=low, high=high, bounds=bounds)
