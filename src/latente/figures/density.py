"""How densely codes lie in a plane: where samples were seen, and where none was.

A Gaussian kernel estimate (Parzen, 1962). Its width is that of the gaps in the data, the median
distance of a code from its nearest ones, so that holes between clusters stay open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.spatial import KDTree

from ..metrics import Numbers

MOST = 2000
"""Codes that the estimate is made of; of more, so many are taken, evenly spread."""
BLOCK = 1000
"""Points estimated at a time."""


@dataclass(frozen=True)
class Density:
    """The density of codes in a plane, or along a line.

    Parameters
    ----------
    at
        The codes, (m, k), each axis divided by its ``unit``.
    unit
        The range of the middle nine tenths of the codes along each axis, (k,).
    width
        Standard deviation of the kernel, in units.
    """

    at: Numbers
    unit: Numbers
    width: float

    @classmethod
    def learn(cls, codes: Numbers) -> Self:
        """Estimate the density from codes, (m, k)."""
        some = codes[np.unique(np.linspace(0, len(codes) - 1, min(MOST, len(codes))).astype(int))]
        low, high = np.quantile(some, [0.05, 0.95], axis=0)
        unit = np.where(high > low, high - low, 1.0)
        at = some / unit
        near = min(len(at) - 1, max(4, round(np.sqrt(len(at)) / 2)))
        distances = KDTree(at).query(at, near + 1)[0].reshape(len(at), -1)[:, -1]
        return cls(at, unit, max(float(np.median(distances)), 0.02))

    def __call__(self, points: Numbers) -> Numbers:
        """Return the density at points, (p, k), as a share of the greatest possible one."""
        scaled = np.asarray(points) / self.unit
        found = [
            self._kernel(scaled[i : i + BLOCK]).mean(axis=1) for i in range(0, len(scaled), BLOCK)
        ]
        return np.concatenate(found)

    def level(self, share: float) -> float:
        """Return the density above which that share of the codes lies, each left out in turn."""
        m = len(self.at)
        own = (self(self.at * self.unit) * m - 1) / max(m - 1, 1)
        return float(np.quantile(own, 1 - share))

    def _kernel(self, points: Numbers) -> Numbers:
        squares = np.square(points[:, None] - self.at[None]).sum(axis=2)
        return np.asarray(np.exp(-squares / (2 * self.width**2)))
