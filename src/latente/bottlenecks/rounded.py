"""Rounded: a code of whole steps, charged by the bits that it takes to write them down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..parts import is_number, require
from .base import Bottleneck, Encoding, Moment, Terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor, nn

    from .frequencies import Frequencies

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

    def prior(self, code_shape: tuple[int, ...]) -> nn.Module:
        from .prior import Factorised

        return Factorised(code_shape, shared=self.share == "space")

    def tabulate(self, prior: nn.Module, codes: NDArray[np.float32]) -> Frequencies:
        from .prior import Factorised

        assert isinstance(prior, Factorised)
        return prior.tabulate((codes / self.step).round().clip(-LARGEST, LARGEST))

    def code(self, h: Tensor) -> Tensor:
        return self.whole(h) * self.step

    def whole(self, z: Tensor) -> Tensor:
        """Return the whole numbers of steps nearest to codes, in their shape."""
        return (z.float() / self.step).round().clamp(-LARGEST, LARGEST)

    def to_integers(self, z: Tensor) -> Tensor:
        """Temporary: codes as whole numbers."""
        return self.whole(z).flatten(1).long()

    def from_integers(self, k: Tensor) -> Tensor:
        """Temporary: codes of whole numbers."""
        shape: tuple[int, ...] = self.__dict__["_bound"].code_shape
        return k.view(-1, *shape).float() * self.step

    def nearest(self, z: Tensor) -> Tensor:
        """Temporary: codes brought back to allowed ones."""
        return self.code(z)

    def rescale(self, factor: float) -> None:
        """Temporary: larger steps."""
        # At the best trade-off, the error grows as the square of the step, and a bit's price too.
        self.set_params(step=self.step * factor, weight=self.weight * factor**2)
        self.__dict__["_bound"].rescale(factor)

    def draw(self, h: Tensor, generator: Generator) -> Tensor:
        h = h.float()
        noise = h.new_empty(h.shape).uniform_(-0.5, 0.5, generator=generator)
        return h + self.step * noise

    def costs(self, encoding: Encoding, moment: Moment) -> Terms:
        assert encoding.prior is not None
        bits: Tensor = encoding.prior(encoding.z / self.step)
        return {"bits": bits}

    def weight_of(self, cost: str, moment: Moment) -> float:
        return self.weight
