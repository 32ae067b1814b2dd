"""Priors: what codes are drawn from, and how likely each one is.

::

    z (n, *code_shape) ──log_density──▶ nats (n,)          n ──sample──▶ z (n, *code_shape)

A prior looks at codes flattened: the density is one of all numbers of a spatial code together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..data.space import Shape
from ..networks.layers import DenseLayer, initialized
from . import normal
from .base import BottleneckModule, Encode, Floats, Rows, normal_quantiles, prior_gap

STRIDE = 10.0
"""How far a component's mean moves for a unit of its parameter: codes spread wider than weights."""
WIDTH = 128
"""Units in each of the two hidden layers of a coupling."""
STRONGEST = 2.0
"""Largest logarithm by which one coupling scales a number."""


class Prior(nn.Module, ABC):
    """A density of codes that can be evaluated and drawn from.

    Parameters
    ----------
    code_shape
        Of one code.
    """

    def __init__(self, code_shape: Shape) -> None:
        super().__init__()
        self.code_shape = code_shape
        self.numbers = math.prod(code_shape)

    @abstractmethod
    def log_density(self, z: Tensor, encode: Encode) -> Tensor:
        """Return ``log p(z)`` of codes (n, *code_shape) in nats, (n,).

        Parameters
        ----------
        z
            Codes.
        encode
            The encoder, from x to h.
        """

    @abstractmethod
    def sample(self, n: int, generator: Generator, encode: Encode) -> Tensor:
        """Return n codes drawn from the density, (n, *code_shape), on the generator's device."""

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor, encode: Encode) -> Tensor:
        """Return KL(N(μ, σ²) ‖ p) of each sample in nats, (n,), as far as drawn codes tell.

        The entropy of N(μ, σ²) is exact, the density under p is the mean over the codes.

        Parameters
        ----------
        mean, log_variance
            Of each sample's codes, (n, *code_shape).
        z
            Codes drawn for each sample, (samples · n, *code_shape), sample by sample.
        encode
            The encoder.
        """
        density = self.log_density(z, encode).view(-1, len(mean)).mean(0)
        entropy = normal.entropy(log_variance).flatten(1).sum(1)
        return -entropy - density

    def begin(self, rows: Rows) -> None:
        """Look at training rows before the first step; nothing is done as it is."""

    def describe(self, mean: Tensor, log_variance: Tensor) -> dict[str, object]:
        """Return what is worth knowing of the codes of training rows beside this prior."""
        return {}

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the quantiles of a code's numbers, as `BottleneckModule.quantiles` does."""
        return None

    def gap(self, z: Tensor) -> str | None:
        """Return a sentence where codes (m, *code_shape) do not look like draws from the prior.

        A learned prior follows the codes, so nothing is said of it.
        """
        return None


class StandardPrior(Prior):
    """N(0, I): nothing is learned, and the divergence of a normal distribution is exact."""

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return normal_quantiles(shares)

    def log_density(self, z: Tensor, encode: Encode) -> Tensor:
        return normal.standard_log_density(z).flatten(1).sum(1)

    def sample(self, n: int, generator: Generator, encode: Encode) -> Tensor:
        return standard_codes(n, self.code_shape, generator)

    def divergence(self, mean: Tensor, log_variance: Tensor, z: Tensor, encode: Encode) -> Tensor:
        return normal.divergence(mean, log_variance).flatten(1).sum(1)

    def describe(self, mean: Tensor, log_variance: Tensor) -> dict[str, object]:
        each = normal.divergence(mean, log_variance).flatten(1).mean(0)
        return {"kl_per_dimension": each.cpu().numpy()}

    def gap(self, z: Tensor) -> str | None:
        return prior_gap(z)


class MixturePrior(Prior):
    """A mixture of normal distributions with diagonal covariances, all of it learned.

    ::

        p(z) = Σ_k π_k N(z; μ_k, σ_k²)

    Parameters
    ----------
    code_shape
        Of one code.
    components
        How many distributions are mixed.
    generator
        Source of the first means, drawn from N(0, I); the spreads begin at 1.
    """

    def __init__(self, code_shape: Shape, components: int, generator: Generator) -> None:
        super().__init__(code_shape)
        means = torch.randn(components, self.numbers, generator=generator)
        self.means = nn.Parameter(means / STRIDE)
        self.log_variances = nn.Parameter(torch.zeros(components, self.numbers))
        self.logits = nn.Parameter(torch.zeros(components))

    def log_density(self, z: Tensor, encode: Encode) -> Tensor:
        weights = self.logits.log_softmax(0)
        return mixed_density(z.flatten(1), STRIDE * self.means, self.log_variances, weights)

    def sample(self, n: int, generator: Generator, encode: Encode) -> Tensor:
        weights = self.logits.softmax(0)
        z = mixed_sample(n, STRIDE * self.means, self.log_variances, weights, generator)
        return z.view(n, *self.code_shape)


class VampPrior(Prior):
    """The encoder's own distributions of pseudo-inputs that are learned, mixed (VampPrior).

    ::

        u_1 … u_K (K, *input_shape) ──encode──▶ μ_k, σ_k²        p(z) = (1/K) Σ_k N(z; μ_k, σ_k²)

    Tomczak and Welling (2018). The pseudo-inputs begin as training rows, and may leave the range of
    the data: what counts is where the encoder puts them.

    Parameters
    ----------
    code_shape
        Of one code.
    input_shape
        Of one sample as the encoder sees it.
    components
        How many pseudo-inputs.
    generator
        Source of the pseudo-inputs where no training row is shown.
    """

    def __init__(
        self, code_shape: Shape, input_shape: Shape, components: int, generator: Generator
    ) -> None:
        super().__init__(code_shape)
        self.inputs = nn.Parameter(torch.rand(components, *input_shape, generator=generator))

    def begin(self, rows: Rows) -> None:
        seen = rows(len(self.inputs))
        repeats = -(-len(self.inputs) // len(seen))
        with torch.no_grad():
            self.inputs.copy_(seen.repeat(repeats, *[1] * (seen.dim() - 1))[: len(self.inputs)])

    def log_density(self, z: Tensor, encode: Encode) -> Tensor:
        mean, log_variance = self._components(encode)
        weight = mean.new_full((len(mean),), -math.log(len(mean)))
        return mixed_density(z.flatten(1), mean, log_variance, weight)

    def sample(self, n: int, generator: Generator, encode: Encode) -> Tensor:
        mean, log_variance = self._components(encode)
        weights = mean.new_full((len(mean),), 1 / len(mean))
        z = mixed_sample(n, mean, log_variance, weights, generator)
        return z.view(n, *self.code_shape)

    def _components(self, encode: Encode) -> tuple[Tensor, Tensor]:
        mean, log_variance = normal.moments(encode(self.inputs))
        return mean.flatten(1), log_variance.flatten(1)


class FlowPrior(Prior):
    """N(0, I) seen through affine couplings that are learned (RealNVP; Dinh et al., 2017).

    ::

        z (n, numbers) ──coupling──▶ … ──coupling──▶ u ~ N(0, I)
        log p(z) = log N(u; 0, I) + Σ log |det ∂ coupling|

    Neighbouring couplings change the even and the odd numbers of the code in turn. The flow begins
    as the identity, so that the prior begins as N(0, I).

    Parameters
    ----------
    code_shape
        Of one code, of at least two numbers.
    couplings
        How many.
    generator
        Source of the initial weights.
    """

    def __init__(self, code_shape: Shape, couplings: int, generator: Generator) -> None:
        super().__init__(code_shape)
        self.couplings = nn.ModuleList(
            Coupling(self.numbers, i % 2, generator) for i in range(couplings)
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what codes (n, numbers) become, and the logarithm of the determinant, (n,)."""
        log_determinant = z.new_zeros(len(z))
        with torch.autocast(z.device.type, enabled=False):
            for coupling in self.couplings:
                z, log_scale = coupling(z)
                log_determinant = log_determinant + log_scale
        return z, log_determinant

    def inverse(self, u: Tensor) -> Tensor:
        """Return the codes (n, numbers) that become u."""
        with torch.autocast(u.device.type, enabled=False):
            for coupling in reversed(self.couplings):
                assert isinstance(coupling, Coupling)
                u = coupling.inverse(u)
        return u

    def log_density(self, z: Tensor, encode: Encode) -> Tensor:
        u, log_determinant = self.forward(z.flatten(1).float())
        return normal.standard_log_density(u).sum(1) + log_determinant

    def sample(self, n: int, generator: Generator, encode: Encode) -> Tensor:
        u = standard_codes(n, (self.numbers,), generator)
        return self.inverse(u).view(n, *self.code_shape)


class Coupling(nn.Module):
    """Scales and shifts every other number by what the numbers between them say.

    ::

        z ──▶ kept ──layers──▶ s, t        moved ──▶ moved · exp(s) + t

    Parameters
    ----------
    numbers
        In a code.
    parity
        Whether the even (0) or the odd (1) numbers are kept.
    generator
        Source of the initial weights; the last layer begins at 0, the coupling as the identity.
    """

    kept: Tensor

    def __init__(self, numbers: int, parity: int, generator: Generator) -> None:
        super().__init__()
        kept = (torch.arange(numbers) % 2 == parity).float()
        self.register_buffer("kept", kept, persistent=False)
        self.layers = perceptron([numbers, WIDTH, WIDTH, 2 * numbers], generator)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return what codes become, (n, numbers), and the logarithm of the determinant, (n,)."""
        log_scale, shift = self._moves(z)
        return z * log_scale.exp() + shift, log_scale.sum(1)

    def inverse(self, u: Tensor) -> Tensor:
        """Return the codes that become u."""
        log_scale, shift = self._moves(u)
        return (u - shift) * (-log_scale).exp()

    def _moves(self, z: Tensor) -> tuple[Tensor, Tensor]:
        raw: Tensor = self.layers(z * self.kept)
        log_scale, shift = (raw.view(len(z), 2, -1) * (1 - self.kept)).unbind(1)
        return STRONGEST * (log_scale / STRONGEST).tanh(), shift


class MatchedModule(BottleneckModule):
    """Passes h on as a code; all codes together are to be distributed as N(0, I).

    What draws them there is up to the class that derives from it. A spatial code is looked at
    flattened: each of its numbers is one of N(0, I).
    """

    def spread(self) -> float:
        return 1.0

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return normal_quantiles(shares)

    def keep(self, codes: Floats, seed: int) -> Floats:
        return codes[:0]

    def sample(self, n: int, generator: Generator, *, codes: Floats, encode: Encode) -> Tensor:
        return standard_codes(n, self.code_shape, generator)

    def drawn(self, h: Tensor, generator: Generator) -> Tensor:
        """Return one code of each sample as the decoder sees it in training, (n, *code_shape)."""
        return self.code(h).float()

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        z = self.drawn(h, generator).flatten(1)
        return {
            "code_mean": z.mean(0).cpu().numpy(),
            "code_spread": z.std(0, correction=0).cpu().numpy(),
        }

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        return prior_gap(self.drawn(h, generator))


def standard_codes(n: int, code_shape: Shape, generator: Generator) -> Tensor:
    """Return n draws from N(0, I), (n, *code_shape), on the generator's device."""
    return torch.randn((n, *code_shape), generator=generator, device=generator.device)


def mixed_density(z: Tensor, mean: Tensor, log_variance: Tensor, log_weight: Tensor) -> Tensor:
    """Return ``log Σ_k π_k N(z; μ_k, σ_k²)``, (n,).

    Parameters
    ----------
    z
        Codes, (n, numbers).
    mean, log_variance
        Of each component, (components, numbers).
    log_weight
        Logarithms of the weights, (components,).
    """
    standardised = (z.unsqueeze(1) - mean) * (-0.5 * log_variance).exp()
    constant = log_weight - 0.5 * (log_variance + normal.LOG_2PI).sum(1)
    return (constant - 0.5 * standardised.square().sum(2)).logsumexp(1)


def mixed_sample(
    n: int, mean: Tensor, log_variance: Tensor, weights: Tensor, generator: Generator
) -> Tensor:
    """Return n draws from a mixture, (n, numbers); arguments as those of `mixed_density`."""
    chosen = torch.multinomial(weights, n, replacement=True, generator=generator)
    return normal.draws(mean[chosen], log_variance[chosen], 1, generator)


def perceptron(sizes: list[int], generator: Generator) -> nn.Sequential:
    """Return dense layers of those sizes, rectified between, with weights from the generator."""
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [DenseLayer(a, b), nn.ReLU()]
    return initialized(nn.Sequential(*layers[:-1]), generator)
