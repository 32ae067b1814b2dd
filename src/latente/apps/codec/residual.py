"""The residual: what a picture is beyond its prediction, coded without loss.

::

    pass 0   pass 1   passes 2, 3        each pass knows the pixels of those before it:
    0 . 0 .  0 . 0 .  0 2 0 2            what the prediction missed at its neighbours tells
    . . . .  . 1 . 1  3 1 3 1            how much, and which way, it will miss here

A pixel's error is expected to be a share of its neighbours' mean, and to be as large as theirs; the
prediction's own edges tell the rest. That puts it in one of `CONTEXTS` contexts, and how often each
error comes in each of them is counted over an archive and kept in its header.
"""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...parts import is_whole
from .coder import Reader, Writer, categorical

Integers = NDArray[np.int32]
Places = tuple[slice, slice]

LEVELS = 256
PASSES: tuple[Places, ...] = (
    (slice(0, None, 2), slice(0, None, 2)),
    (slice(1, None, 2), slice(1, None, 2)),
    (slice(0, None, 2), slice(1, None, 2)),
    (slice(1, None, 2), slice(0, None, 2)),
)
ACROSS = ((0, 1), (0, -1), (1, 0), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
KNOWN = ((), CORNERS, ACROSS, ACROSS)
"""Steps to the neighbours that are known in each pass."""
SHARES = 8
"""A share of the neighbours' mean is told in eighths."""
EDGES = (1, 3, 7, 15, 31, 63)
"""Differences within the prediction's 3 × 3 pixels at which the next context begins."""
MISSES = (1, 2, 4, 8, 16, 32, 64)
"""The same for the sum of what was missed at four neighbours."""
CONTEXTS = 2 * (len(EDGES) + 1) * (len(MISSES) + 2)
FINENESS = 2
"""Steps in which the logarithm of a count is kept, for each doubling."""
STRONGEST = 40 * FINENESS


def counted(count: int) -> int:
    """Return the step that a count is kept as, 0 for none."""
    return 0 if count == 0 else min(1 + round(FINENESS * math.log2(count)), STRONGEST)


def weight_of(step: int) -> int:
    """Return the whole weight that a step stands for: integer arithmetic, alike everywhere."""
    return 1 if step == 0 else 16 * math.isqrt(2 ** (2 * (step - 1) // FINENESS + 8)) // 16


@dataclass
class Residual:
    """How pictures differ from their predictions.

    Parameters
    ----------
    shares
        Eighths of the neighbours' mean error that is expected in each pass, (passes,).
    steps
        Logarithms of how often each error modulo 256 came in each context, (contexts, 256) uint8.
    """

    shares: tuple[int, ...]
    steps: NDArray[np.uint8]

    def __post_init__(self) -> None:
        weights = np.array([weight_of(step) for step in range(STRONGEST + 1)])
        self.models: dict[int, Any] = {}
        self.weights = weights[self.steps]

    def to_json(self) -> dict[str, Any]:
        """Return what a header keeps."""
        packed = base64.b64encode(zlib.compress(self.steps.tobytes(), 9)).decode()
        return {"shares": list(self.shares), "steps": packed}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the residual of what `to_json` returned; anything else is a `ValueError`."""
        shares, size = value["shares"], CONTEXTS * LEVELS
        packed = base64.b64decode(value["steps"], validate=True)
        try:
            steps = np.frombuffer(zlib.decompressobj().decompress(packed, size), np.uint8)
        except zlib.error as error:
            raise ValueError("these are no counts") from error
        whole = len(shares) == len(PASSES) and all(is_whole(share, 0, SHARES) for share in shares)
        if not whole or len(steps) != size or steps.max() > STRONGEST:
            raise ValueError("these are no counts")
        return cls(tuple(shares), steps.reshape(CONTEXTS, LEVELS))

    @classmethod
    def learn(cls, pictures: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> Self:
        """Count the errors of predictions (n, h, w) of pictures (n, h, w)."""
        errors = pictures.astype(np.int32) - predicted
        shares = tuple(_share(errors, turn) for turn in range(len(PASSES)))
        counts = np.zeros((CONTEXTS, LEVELS), np.int64)
        for error, guess in zip(errors, predicted, strict=True):
            edges = _edges(guess)
            for turn, places in enumerate(PASSES):
                expected, context = _outlook(error, edges, turn, shares[turn])
                symbols = (error[places] - expected) % LEVELS
                np.add.at(counts, (context, symbols), 1)
        kept = [[counted(count) for count in row] for row in counts.tolist()]
        return cls(shares, np.array(kept, np.uint8))

    def write(
        self, picture: NDArray[np.uint8], predicted: NDArray[np.uint8], writer: Writer
    ) -> None:
        """Append what a picture (h, w) is beyond its prediction (h, w)."""
        error, edges = picture.astype(np.int32) - predicted, _edges(predicted)
        for turn, places in enumerate(PASSES):
            expected, context = _outlook(error, edges, turn, self.shares[turn])
            symbols = (error[places] - expected) % LEVELS
            for each in np.unique(context):
                writer.write(symbols[context == each], self._model(each))

    def read(self, predicted: NDArray[np.uint8], reader: Reader) -> NDArray[np.uint8]:
        """Return the picture (h, w) that the next bytes and its prediction make."""
        error, edges = np.zeros(predicted.shape, np.int32), _edges(predicted)
        for turn, places in enumerate(PASSES):
            expected, context = _outlook(error, edges, turn, self.shares[turn])
            symbols = np.zeros(context.shape, np.int32)
            for each in np.unique(context):
                here = context == each
                symbols[here] = reader.read(int(here.sum()), self._model(each))
            value = (predicted[places] + expected + symbols) % LEVELS
            error[places] = value - predicted[places]
        return np.asarray(predicted + error, np.uint8)

    def _model(self, context: int) -> Any:
        if context not in self.models:
            self.models[context] = categorical(self.weights[context])
        return self.models[context]


def _edges(predicted: NDArray[np.uint8]) -> Integers:
    """Return in which class of edges each pixel of a prediction (h, w) is, (h, w)."""
    padded = np.pad(predicted.astype(np.int32), 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    classes: Integers = np.searchsorted(EDGES, np.ptp(windows, axis=(2, 3)), side="right").astype(
        np.int32
    )
    bright = (predicted > LEVELS // 16).astype(np.int32)
    return classes + bright * (len(EDGES) + 1)


def _outlook(error: Integers, edges: Integers, turn: int, share: int) -> tuple[Integers, Integers]:
    """Return the error expected at each place of a pass, and the context that each is in."""
    places = PASSES[turn]
    height, width = error.shape
    shape = error[places].shape
    if not KNOWN[turn]:
        return np.zeros(shape, np.int32), edges[places]
    padded = np.pad(error, 1)
    around = np.stack(
        [padded[1 + y : 1 + y + height, 1 + x : 1 + x + width][places] for y, x in KNOWN[turn]]
    )
    expected = (around.sum(axis=0) * share + 2 * SHARES) // (4 * SHARES)
    missed = np.searchsorted(MISSES, np.abs(around).sum(axis=0), side="right") + 1
    return expected, edges[places] + (CONTEXTS // (len(MISSES) + 2)) * missed.astype(np.int32)


def _share(errors: Integers, turn: int) -> int:
    """Return how many eighths of its neighbours' mean an error is, by least squares."""
    if not KNOWN[turn]:
        return 0
    products = squares = 0.0
    for error in errors[:: max(1, len(errors) // 200)]:
        expected, _ = _outlook(error, np.zeros_like(error), turn, SHARES)
        products += float((expected * error[PASSES[turn]]).sum())
        squares += float(np.square(expected).sum())
    return int(np.clip(round(SHARES * products / max(squares, 1.0)), 0, SHARES))
