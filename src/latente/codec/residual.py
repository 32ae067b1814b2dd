"""The residual: what a picture is beyond its prediction, coded without loss.

::

    pass 0   pass 1   passes 2, 3        each pass knows the pixels of those before it:
    0 . 0 .  0 . 0 .  0 2 0 2            what the prediction missed at its neighbours tells
    . . . .  . 1 . 1  3 1 3 1            how much, and which way, it will miss here

A pixel's error is expected to be a share of its neighbours' mean. What is coded is the rest, in a
context of how much was missed around it and how steep the prediction is there (``"error"``, for
photographs); or the pixel's value, in a context of how much was missed and what is expected
(``"value"``, for drawings in few tones). How often each symbol comes in each context is counted
over an archive and kept in its header, for whichever of the two takes fewer bits.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..parts import is_whole
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
TONES = 16
"""Classes of an expected value."""
LOOKS = max(2 * (len(EDGES) + 1), TONES)
CONTEXTS = LOOKS * (len(MISSES) + 2)
FINENESS = 2
"""Steps in which the logarithm of a count is kept, for each doubling."""
STRONGEST = 40 * FINENESS


def counted(count: int) -> int:
    """Return the step that a count is kept as, 0 for none."""
    return 0 if count == 0 else min(1 + round(FINENESS * math.log2(count)), STRONGEST)


def weight_of(step: int) -> int:
    """Return the whole weight that a step stands for: integer arithmetic, alike everywhere."""
    return 1 if step == 0 else 16 * math.isqrt(2 ** (2 * (step - 1) // FINENESS + 8)) // 16


class Outlook(NamedTuple):
    """What is known of the pixels of a pass before they are read, each in the pass's shape."""

    base: Integers
    """What a symbol counts from, modulo 256."""
    context: Integers
    """From 0, below `CONTEXTS`."""


@dataclass
class Residual:
    """How pictures differ from their predictions.

    Parameters
    ----------
    coded
        "error" or "value".
    shares
        Eighths of the neighbours' mean error that is expected in each pass, (passes,).
    steps
        Logarithms of how often each symbol came in each context, (contexts, 256) uint8.
    """

    coded: str
    shares: tuple[int, ...]
    steps: NDArray[np.uint8]

    def __post_init__(self) -> None:
        weights = np.array([weight_of(step) for step in range(STRONGEST + 1)])
        self.models: dict[int, Any] = {}
        self.weights = weights[self.steps]

    def to_json(self) -> dict[str, Any]:
        """Return what a header keeps."""
        packed = base64.b64encode(zlib.compress(self.steps.tobytes(), 9)).decode()
        return {"coded": self.coded, "shares": list(self.shares), "steps": packed}

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
        known = value["coded"] in OUTLOOKS
        if not whole or not known or len(steps) != size or steps.max() > STRONGEST:
            raise ValueError("these are no counts")
        return cls(value["coded"], tuple(shares), steps.reshape(CONTEXTS, LEVELS))

    @classmethod
    def learn(cls, pictures: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> Self:
        """Count the errors of predictions (n, h, w) of pictures (n, h, w)."""
        errors = pictures.astype(np.int32) - predicted
        shares = tuple(_share(errors, turn) for turn in range(len(PASSES)))
        found = [cls._counted(coded, shares, errors, predicted) for coded in OUTLOOKS]
        return min(found, key=lambda each: each[0])[1]

    @classmethod
    def _counted(
        cls, coded: str, shares: tuple[int, ...], errors: Integers, predicted: NDArray[np.uint8]
    ) -> tuple[float, Self]:
        """Return the bits that all errors take, and the residual that they are counted in."""
        counts = np.zeros(CONTEXTS * LEVELS, np.int64)
        for error, guess in zip(errors, predicted, strict=True):
            cells = []
            for turn, places in enumerate(PASSES):
                outlook = OUTLOOKS[coded](error, guess, turn, shares[turn])
                symbols = (guess[places] + error[places] - outlook.base) % LEVELS
                cells.append((outlook.context * LEVELS + symbols).ravel())
            np.add.at(counts, np.concatenate(cells), 1)
        table = counts.reshape(CONTEXTS, LEVELS)
        totals = np.maximum(table.sum(axis=1, keepdims=True), 1)
        bits = -(table * np.log2(np.maximum(table, 1) / totals)).sum()
        kept = [[counted(count) for count in row] for row in table.tolist()]
        return float(bits), cls(coded, shares, np.array(kept, np.uint8))

    def write(
        self, picture: NDArray[np.uint8], predicted: NDArray[np.uint8], writer: Writer
    ) -> None:
        """Append what a picture (h, w) is beyond its prediction (h, w)."""
        error = picture.astype(np.int32) - predicted
        for turn, places in enumerate(PASSES):
            base, context = OUTLOOKS[self.coded](error, predicted, turn, self.shares[turn])
            symbols = (picture[places] - base) % LEVELS
            for each in np.unique(context):
                writer.write(symbols[context == each], self._model(each))

    def read(self, predicted: NDArray[np.uint8], reader: Reader) -> NDArray[np.uint8]:
        """Return the picture (h, w) that the next bytes and its prediction make."""
        error = np.zeros(predicted.shape, np.int32)
        for turn, places in enumerate(PASSES):
            base, context = OUTLOOKS[self.coded](error, predicted, turn, self.shares[turn])
            symbols = np.zeros(context.shape, np.int32)
            for each in np.unique(context):
                here = context == each
                symbols[here] = reader.read(int(here.sum()), self._model(each))
            error[places] = (base + symbols) % LEVELS - predicted[places]
        return np.asarray(predicted + error, np.uint8)

    def _model(self, context: int) -> Any:
        if context not in self.models:
            self.models[context] = categorical(self.weights[context])
        return self.models[context]


def _by_error(error: Integers, predicted: NDArray[np.uint8], turn: int, share: int) -> Outlook:
    """Return the outlook of a pass where what the prediction misses is coded."""
    places = PASSES[turn]
    expected, missed = _around(error, turn, share)
    padded = np.pad(predicted.astype(np.int32), 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))[places]
    steep = np.searchsorted(EDGES, np.ptp(windows, axis=(2, 3)), side="right")
    bright = predicted[places] >= LEVELS // TONES
    look = steep + bright * (len(EDGES) + 1)
    return Outlook(predicted[places] + expected, (look + LOOKS * missed).astype(np.int32))


def _by_value(error: Integers, predicted: NDArray[np.uint8], turn: int, share: int) -> Outlook:
    """Return the outlook of a pass where the pixels' values are coded."""
    expected, missed = _around(error, turn, share)
    value = (predicted[PASSES[turn]] + expected).clip(0, LEVELS - 1)
    look = value * TONES // LEVELS
    return Outlook(np.zeros_like(expected), (look + LOOKS * missed).astype(np.int32))


OUTLOOKS: dict[str, Callable[[Integers, NDArray[np.uint8], int, int], Outlook]] = {
    "error": _by_error,
    "value": _by_value,
}
"""What is coded, and how its outlook is found."""


def _around(error: Integers, turn: int, share: int) -> tuple[Integers, Integers]:
    """Return the error expected at each place of a pass, and a class of what was missed around."""
    places = PASSES[turn]
    height, width = error.shape
    shape = error[places].shape
    if not KNOWN[turn]:
        return np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    padded = np.pad(error, 1)
    around = np.stack(
        [padded[1 + y : 1 + y + height, 1 + x : 1 + x + width][places] for y, x in KNOWN[turn]]
    )
    expected = (around.sum(axis=0) * share + 2 * SHARES) // (4 * SHARES)
    missed = np.searchsorted(MISSES, np.abs(around).sum(axis=0), side="right") + 1
    return expected, missed.astype(np.int32)


def _share(errors: Integers, turn: int) -> int:
    """Return how many eighths of its neighbours' mean an error is, by least squares."""
    if not KNOWN[turn]:
        return 0
    products = squares = 0.0
    for error in errors[:: max(1, len(errors) // 200)]:
        expected, _ = _around(error, turn, SHARES)
        products += float((expected * error[PASSES[turn]]).sum())
        squares += float(np.square(expected).sum())
    return int(np.clip(round(SHARES * products / max(squares, 1.0)), 0, SHARES))
