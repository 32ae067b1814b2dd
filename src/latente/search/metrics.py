"""Metrics: how far two codes are apart. All are squared distances of rows that were prepared once.

::

    codes ──prepared──▶ rows          |row − row|² ──distance──▶ what is told
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor


class Metric(ABC):
    """A way to compare codes that keeps the order of squared distances between prepared rows."""

    @abstractmethod
    def prepared(self, codes: Tensor) -> Tensor:
        """Return the rows that are compared, (n, latent)."""

    @abstractmethod
    def distance(self, squared: Tensor) -> Tensor:
        """Return the distance of codes from the squared distance of their rows."""


class Euclidean(Metric):
    """The length of the difference."""

    def prepared(self, codes: Tensor) -> Tensor:
        return codes

    def distance(self, squared: Tensor) -> Tensor:
        return squared.sqrt()


class Cosine(Metric):
    """One minus the cosine of the angle, from 0 to 2; a code of zeros is 0.5 from any other."""

    def prepared(self, codes: Tensor) -> Tensor:
        # In two steps: the square of a large number would overflow.
        scaled = codes / codes.abs().amax(1, keepdim=True).clamp_min(1e-30)
        rows: Tensor = scaled / scaled.norm(dim=1, keepdim=True).clamp_min(1e-30)
        return rows

    def distance(self, squared: Tensor) -> Tensor:
        return squared / 2


METRICS: Mapping[str, Metric] = {"euclidean": Euclidean(), "cosine": Cosine()}
"""The metrics by name."""
