"""The prior of a rounded code: how likely each whole number is, learned and then tabulated."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .frequencies import WIDEST, Frequencies

COMPONENTS = 3
"""Logistics in each mixture."""
TINIEST = 1e-30
"""Least mass of a number, so that its bits are finite."""
STRIDE = 10.0
"""How far a mean moves for a unit of its parameter: codes spread wider than weights do."""
BELIEF = 64.0
"""Codes that the learned density is worth beside real ones in a table."""
RAREST = 1e-5
"""Least probability of a number and of the escape in a table."""
MARGIN = 2
"""Entries beyond the lowest and the highest number seen."""


class Factorised(nn.Module):
    """Independent densities of a code's numbers, each a mixture of logistics.

    ::

        z (n, *code_shape) ──▶ P(z - ½ < Z < z + ½) ──▶ bits (n,)

    After the factorised prior of Ballé et al. (2018), with a mixture in the place of their network
    of cumulatives: the same use of it, fewer parameters, and no care in starting it.

    Parameters
    ----------
    code_shape
        Of one code: (numbers,) or (channels, h, w).
    shared
        Whether the places of a channel have one density together.
    """

    def __init__(self, code_shape: tuple[int, ...], *, shared: bool) -> None:
        super().__init__()
        kept = (code_shape[0], *(1 for _ in code_shape[1:])) if shared else code_shape
        spread = torch.linspace(-1.0, 1.0, COMPONENTS).view(-1, *(1 for _ in kept))
        self.code_shape = code_shape
        self.means = nn.Parameter(spread.expand(-1, *kept).clone() / STRIDE)
        self.log_scales = nn.Parameter(torch.zeros(COMPONENTS, *kept))
        self.logits = nn.Parameter(torch.zeros(COMPONENTS, *kept))

    def forward(self, z: Tensor) -> Tensor:
        """Return the bits of codes (n, *code_shape), whole or not, shape (n,)."""
        return -self.mass(z).log2().flatten(1).sum(1)

    def mass(self, z: Tensor) -> Tensor:
        """Return the probability of the unit interval around each number, in z's shape."""
        rate = (-self.log_scales).exp()
        centred = z.unsqueeze(1) - STRIDE * self.means
        # Both ends on the side where the sigmoid is small: there, differences are exact.
        far = -centred.abs()
        mass = torch.sigmoid((far + 0.5) * rate) - torch.sigmoid((far - 0.5) * rate)
        weights = functional.softmax(self.logits, dim=0)
        return (weights * mass).sum(1).clamp(min=TINIEST)

    def rescale(self, factor: float) -> None:
        """Measure codes in steps that are larger by a factor."""
        with torch.no_grad():
            self.means.div_(factor)
            self.log_scales.sub_(math.log(factor))

    def tabulate(self, codes: NDArray[np.float32]) -> Frequencies:
        """Return the prior as integer tables, moved towards what real codes turned out to be.

        The learned density has seen codes with noise; the share of each number among real codes
        counts as much as that many of them say, and the density as `BELIEF` codes more.

        Parameters
        ----------
        codes
            Rounded codes of training rows, (m, numbers).
        """
        sources = self.means[0].numel()
        values = codes.astype(np.int64).reshape(len(codes), sources, -1)
        lowest, highest = (edge(values, axis=(0, 2)) for edge in (np.min, np.max))
        lowest, highest = lowest - MARGIN, highest + MARGIN
        entries = min(int((highest - lowest).max()) + 1, WIDEST - 1)
        lowest = np.maximum(lowest, np.median(values, axis=(0, 2)).astype(np.int64) - WIDEST // 2)
        support = lowest + np.arange(entries)[:, None]
        with torch.no_grad():
            shape = self.means.shape[1:]
            asked = torch.from_numpy(support).to(self.means).view(entries, *shape)
            masses = self.mass(asked).double().cpu().numpy().reshape(entries, sources).T
        places = values - lowest[:, None]
        seen = np.zeros((sources, entries + 1))
        for source in range(sources):
            counted = places[:, source].clip(0, entries)
            seen[source] = np.bincount(counted.ravel(), minlength=entries + 1)
        rest = np.maximum(1 - masses.sum(axis=1, keepdims=True), RAREST)
        believed = np.concatenate([masses, rest], axis=1) + RAREST
        return Frequencies.rounded(lowest.astype(np.int32), seen + BELIEF * believed)
