"""Rounded: a code of whole steps, charged by the bits that it takes to write them down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..data.space import Shape
from ..parts import is_number, require
from ..shares import per_row
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encoding,
    Floats,
    Moment,
    require_alone,
    require_integers,
)
from .frequencies import WIDEST, Frequencies

FEWER, FEWEST = 2**14, 16
"""Numbers in the codes kept to sample near, and the least codes: the model is to be small."""
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
LARGEST = 32_767
"""Largest absolute value of a number in a code, so that two bytes hold the rarest."""


@dataclass(kw_only=True)
class Rounded(Bottleneck):
    """Whole steps, and their bits under a learned prior: a code made to be stored.

    ::

        training:   h ──▶ z = h + step · u,  u ~ U(-½, ½)  ──▶ cost "bits" = -log₂ p(z / step)
        afterwards: h ──▶ z = step · round(h / step)  ──▶ integer tables ──▶ entropy coder

    What is minimised is ``loss + weight · bits``: with the squared loss the rate-distortion
    trade-off of Ballé, Laparra and Simoncelli (2017), one model for each weight. Noise takes the
    place of rounding while training, since rounding has no gradient. The prior gives each number
    of the code, or each channel of a spatial one, a density of its own (Ballé et al., 2018), here
    a mixture of logistics. The term is logged in bits, not in nats.

    Parameters
    ----------
    weight
        Price of one bit, in units of the loss; 0 charges nothing. A larger one gives smaller
        files and rougher pictures.
    step
        Distance of neighbouring values of a number in the code. A network can learn any scale, so
        this only says how fine the code is to begin with: a small step suits a small weight.
    share
        "none" gives each number of the code a density of its own; "space" shares one among the
        places of a channel of a spatial code, for pictures whose content may be anywhere.
    """

    weight: float = 0.01
    step: float = 0.1
    share: Literal["none", "space"] = "none"

    def check(self) -> None:
        require(is_number(self.weight, 0), self, "weight", self.weight, "a number of at least 0")
        positive = is_number(self.step, 0) and self.step > 0
        require(positive, self, "step", self.step, "a positive number")
        require(self.share in ("none", "space"), self, "share", self.share, "'none' or 'space'")

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return RoundedModule(code_shape, self)


class RoundedModule(BottleneckModule):
    """Rounds h to whole steps, or adds noise of one step's width while training."""

    step: Tensor
    weight: Tensor

    def __init__(self, code_shape: Shape, part: Rounded) -> None:
        super().__init__(code_shape)
        self.part = part.copy()
        self.register_buffer("step", torch.tensor(float(part.step)))
        self.register_buffer("weight", torch.tensor(float(part.weight)))
        self.prior = Factorised(code_shape, shared=part.share == "space")

    def code(self, h: Tensor) -> Tensor:
        return self.nearest(h)

    def nearest(self, z: Tensor) -> Tensor:
        return self.whole(z) * self.step

    def whole(self, z: Tensor) -> Tensor:
        """Return the whole numbers of steps nearest to codes, in their shape."""
        return (z.float() / self.step).round().clamp(-LARGEST, LARGEST)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        if moment.deterministic:
            z = self.code(encoding.h)
        else:
            h = encoding.h.float()
            z = h + self.step * self.noise(h, moment.generator)
        return Draw(z, {"bits": Cost(self.prior(z / self.step), self.weight)})

    def noise(self, h: Tensor, generator: Generator) -> Tensor:
        """Draw from U(-½, ½) for each number."""

        def draw(shape: Sequence[int]) -> Tensor:
            return h.new_empty(shape).uniform_(-0.5, 0.5, generator=generator)

        return per_row(h.shape, generator, draw)

    def is_rowwise(self) -> bool:
        return True

    def code_cost(self, z: Tensor) -> Tensor:
        bits: Tensor = self.prior(z / self.step)
        return self.weight * bits

    def to_integers(self, z: Tensor) -> Tensor:
        return self.whole(z).flatten(1).long()

    def from_integers(self, integers: Tensor) -> Tensor:
        require_integers(integers, math.prod(self.code_shape), -LARGEST, LARGEST)
        return integers.view(-1, *self.code_shape).float() * self.step

    def tables(self, z: Tensor) -> Frequencies:
        return self.prior.tabulate(self.to_integers(z).cpu().numpy())

    def rescale(self, factor: float) -> None:
        # At the best trade-off, the error grows as the square of the step, and a bit's price too.
        self.step.mul_(factor)
        self.weight.mul_(factor**2)
        self.prior.rescale(factor)

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)

    def keep(self, codes: Floats, seed: int) -> Floats:
        return super().keep(codes[: max(FEWER // codes.shape[1], FEWEST)], seed)


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

    def tabulate(self, codes: NDArray[np.int64]) -> Frequencies:
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
