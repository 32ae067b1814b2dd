"""Prediction: what a code decodes to, the same number for number on every machine.

Float32 sums differ in the last bits from one processor, or one batch, to the next, and now and then
a pixel is rounded to the other side. In float64 they differ less by nine digits: `SLACK` is far
more than that, and far less than half a grey level. What is not the same at both ends of the slack
is called doubtful.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..fitted import Fitted

SLACK = 1e-9
"""How much decoders in float64 may differ, in the model's scale."""
ROWS = 32
"""Codes decoded at a time."""


class Predictor:
    """The decoder of a model in float64 on the CPU.

    Parameters
    ----------
    fitted
        The model with its scales.
    step
        What one unit of a code stands for.
    """

    def __init__(self, fitted: Fitted, step: float) -> None:
        self.fitted = fitted
        self.step = step
        self.decoder = copy.deepcopy(fitted.model.decoder).to("cpu", torch.float64).eval()

    def __call__(self, codes: NDArray[np.int32]) -> Any:
        """Return what codes (n, numbers) stand for, in the shape, scale and type of the data."""
        return self._restored(np.concatenate(list(self._values(codes))))

    def doubtful(self, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return for which codes (n, numbers) rounding might differ elsewhere, (n,)."""
        found = []
        for values in self._values(codes):
            low, high = (self._restored(values + side) for side in (-SLACK, SLACK))
            found.append((low != high).reshape(len(values), -1).any(axis=1))
        return np.concatenate(found)

    def _restored(self, values: Any) -> Any:
        return self.fitted.wanted.restore(values)

    def _values(self, codes: NDArray[np.int32]) -> Iterator[NDArray[np.float64]]:
        """Yield decoded blocks in the model's scale."""
        with torch.no_grad():
            for start in range(0, max(len(codes), 1), ROWS):
                block = torch.from_numpy(codes[start : start + ROWS]).double() * self.step
                yield self.decoder(block.view(-1, *self.fitted.code_shape)).numpy()
