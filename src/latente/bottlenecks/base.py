"""The bottleneck: how the encoder's output h becomes the code z, and what the code costs.

::

    h ──draw──▶ z, costs ──decoder──▶ raw ──loss──▶ reconstruction
                  └──────────────────────────────▶ total = reconstruction + Σ weight · cost
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from ..data.space import Shape
from ..errors import DataError, ParameterError
from ..parts import Part
from ..shares import Share, share_of

if TYPE_CHECKING:
    from .frequencies import Frequencies

Encode = Callable[[Tensor], Tensor]
Rows = Callable[[int], Tensor]
"""From a number to at most so many random training rows, as the encoder sees them."""
Floats = NDArray[np.float32]

Terms = dict[str, Tensor]
"""Loss terms by name, each of shape (n,): first what is minimised, then the others, unweighted."""

MOST_CODES = 4096
MOST_NUMBERS = 1_000_000
"""Codes of training rows, and numbers in them, that are kept to sample near."""
MOST_FULL = 32
"""Code size up to which components of a mixture have full covariances; beyond, diagonal ones."""
TINIEST = 1e-30
"""Least sum of counts, so that of none there are shares too."""


class Moment(NamedTuple):
    """When a batch is seen, and where random numbers come from."""

    generator: Generator
    """On the batch's device."""
    epoch: Tensor | None = None
    """Epochs trained so far, with the fraction of this one, (); None once training is over."""
    deterministic: bool = False
    """Whether to take the one code that stands for each sample instead of drawing."""
    together: bool = False
    """Whether costs of the batch as a whole count even so; else a sample's depend on it alone."""

    @property
    def share(self) -> Share | None:
        """Which rows of the batch are this process's; None for all of them."""
        return share_of(self.generator)

    @property
    def alone(self) -> bool:
        """Whether what a sample costs may not depend on the samples beside it."""
        return self.deterministic and not self.together


class Encoding(NamedTuple):
    """What a bottleneck may look at to make codes and to tell what they cost."""

    h: Tensor
    """The encoder's output, (n, per_code · code_shape[0], *code_shape[1:])."""
    encode: Encode
    """The encoder, from x to h."""
    jacobian: Callable[[Generator, int], Tensor]
    """The squared norm of its derivative at the samples: `NetworkModule.squared_jacobian`."""
    clean: Callable[[], Tensor]
    """The same samples uncorrupted, as the encoder sees them at use, (n, *input_shape)."""


class Cost(NamedTuple):
    """What codes cost: a value for each sample, (n,), and what it is multiplied by in the total."""

    value: Tensor
    weight: float | Tensor


class Draw(NamedTuple):
    """Codes to be decoded, and what they cost."""

    z: Tensor
    """Shape (samples · n, *code_shape), sample by sample."""
    costs: dict[str, Cost]
    """By name; a cost of weight 0 is reported only."""


class Rival(NamedTuple):
    """Parameters that are trained against the rest, by an optimiser of their own."""

    parameters: Iterable[nn.Parameter]
    objective: Callable[[Encoding, Moment], Terms]
    """The first term is minimised."""
    learning_rate: float | None
    """None for the fit's own."""


@dataclass(kw_only=True)
class Bottleneck(Part, ABC):
    """From the encoder's output to the code."""

    def per_code(self) -> int:
        """Return how many numbers the encoder gives for each one of the code."""
        return 1

    def default_loss(self, *, binary: bool, bounded: bool) -> str:
        """Return the name of the loss that "auto" stands for.

        Parameters
        ----------
        binary, bounded
            Whether the targets are 0 and 1 only, and whether they are known to lie in [0, 1].
        """
        return "bernoulli" if binary else "squared"

    @abstractmethod
    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        """Return the module that makes codes.

        Parameters
        ----------
        code_shape
            Of one code: (numbers,), or (channels, h, w) where it is spatial.
        input_shape
            Of one sample as the encoder sees it.
        generator
            Source of the initial weights, on the CPU.
        """


class BottleneckModule(nn.Module):
    """Makes codes and holds what is learned about them. As it is, it passes h on at no cost.

    ::

        h (n, per_code · channels, ...) ──code──▶ z (n, *code_shape)              at use
        encoding, moment ──draw──▶ z (samples · n, *code_shape), costs (n,)       while training

    Parameters
    ----------
    code_shape
        Of one code.
    """

    def __init__(self, code_shape: Shape) -> None:
        super().__init__()
        self.code_shape = code_shape

    def is_rowwise(self) -> bool:
        """Whether a row's code and costs depend on that row alone.

        Random numbers are then drawn by `shares.per_row`. Where it is not so, every process of
        several has the rows of the whole batch here, and else its own.
        """
        return False

    def spread(self) -> float | None:
        """Return the spread that numbers of the code should begin with; None for any."""
        return None

    def begin(self, rows: Rows, encode: Encode, generator: Generator) -> None:
        """Look at training rows before the first step; nothing is done as it is.

        Parameters
        ----------
        rows
            Gives random training rows, as many as are asked for or all there are.
        encode
            The encoder, from x to h.
        generator
            Source of random numbers.
        """

    def attend(self, rows: Rows, generator: Generator) -> None:
        """Keep training rows at hand for a fit, also one that goes on; none as it is.

        Parameters
        ----------
        rows, generator
            As for `begin`.
        """

    def leave(self) -> None:
        """Let go of what `attend` kept: the fit is over."""

    def code(self, h: Tensor) -> Tensor:
        """Return the one code that stands for each sample, (n, *code_shape)."""
        return h

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        """Return codes to decode, and what they cost.

        Parameters
        ----------
        encoding
            Of a batch.
        moment
            Random numbers and time.
        """
        return Draw(self.code(encoding.h), {})

    def objective(
        self, reconstruction: Tensor, encoding: Encoding, draw: Draw, moment: Moment
    ) -> Terms:
        """Return all loss terms of a batch.

        Parameters
        ----------
        reconstruction
            Loss of each decoded code, (samples, n).
        encoding, draw, moment
            What was encoded, what was drawn, and when.
        """
        error = reconstruction.mean(0)
        total = error
        for cost in draw.costs.values():
            total = total + cost.weight * cost.value
        costs = {name: cost.value for name, cost in draw.costs.items()}
        return {"total": total, "reconstruction": error, **costs}

    def rivals(self) -> list[Rival]:
        """Return what is trained against the rest."""
        return []

    def watched(self) -> str:
        """Return the term whose lowest validation value is best."""
        return "total"

    def check_network(self, needs_input: bool) -> None:
        """Raise `ParameterError` where the codes do not go with the network.

        Parameters
        ----------
        needs_input
            Whether the network's decoder needs more than the code.
        """

    def nearest(self, z: Tensor) -> Tensor:
        """Return the allowed codes nearest to z, (n, *code_shape): all are allowed here."""
        return z

    def to_integers(self, z: Tensor) -> Tensor:
        """Return codes as whole numbers, (n, numbers) int64.

        Raises
        ------
        ParameterError
            If they are none.
        """
        raise ParameterError(
            "the codes of this model are not whole numbers; use bottleneck='rounded', "
            "'vector_quantized' or 'finite_scalar'"
        )

    def from_integers(self, integers: Tensor) -> Tensor:
        """Return the codes (n, *code_shape) that whole numbers (n, numbers) stand for."""
        return self.to_integers(integers)

    def tables(self, z: Tensor) -> Frequencies | None:
        """Return how often each whole number comes, of codes of training rows; None without any."""
        return None

    def code_cost(self, z: Tensor) -> Tensor:
        """Return the weighted price of storing codes, (n,), differentiable by them."""
        return z.new_zeros(len(z))

    def rescale(self, factor: float) -> None:
        """Make the steps between codes larger by a factor, where there are steps."""
        self.to_integers(torch.zeros(1, *self.code_shape))
        raise ParameterError("only a model with bottleneck='rounded' has steps to make larger")

    def keep(self, codes: Floats, seed: int) -> Floats:
        """Return which codes (m, numbers) of training rows `sample` needs, few enough to save."""
        return kept_codes(codes, seed)

    def sample(self, n: int, generator: Generator, *, codes: Floats, encode: Encode) -> Tensor:
        """Return new codes, (n, *code_shape): near those of training rows.

        Parameters
        ----------
        n
            How many.
        generator
            Source of the random numbers.
        codes
            What `keep` returned.
        encode
            The encoder, from x to h.
        """
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        drawn = torch.from_numpy(sample_near(codes, n, np.random.default_rng(seed)))
        return self.nearest(drawn.to(generator.device).view(-1, *self.code_shape))

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the value below which each share (k,) of a code's numbers lies under the prior.

        None where there is no prior by which numbers of a code are independent and alike.
        """
        return None

    def posterior(self, h: Tensor, samples: int, generator: Generator) -> Tensor:
        """Draw codes from each sample's distribution, (samples · n, *code_shape).

        Raises
        ------
        ParameterError
            If a sample has one code, not a distribution of them.
        """
        raise ParameterError(
            "log_likelihood cannot be had of this model: it needs bottleneck='gaussian'"
        )

    def log_ratio(self, h: Tensor, z: Tensor, encode: Encode) -> Tensor:
        """Return ``log p(z) − log q(z | x)`` of codes drawn by `posterior`, (samples, n)."""
        return self.posterior(h, 1, Generator(z.device))

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        """Return what is worth knowing about the codes of training rows, by name.

        Each is readable after the fit as an attribute of that name with a trailing underscore.

        Parameters
        ----------
        h
            The encoder's output for training rows, (m, ...).
        generator
            Source of random numbers.
        """
        return {}

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        """Return a sentence about codes of training rows that are not as they should be."""
        return None


def require_alone(owner: Part, needs_input: bool) -> None:
    """Raise `ParameterError` where codes that are to be decoded alone cannot be."""
    if needs_input:
        name = type(owner).__name__.lower()
        raise ParameterError(
            f"bottleneck={name!r} makes codes to be decoded alone, which skips=True and "
            "residual=True do not allow; use bottleneck='plain'"
        )


def normal_quantiles(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles of N(0, 1) at shares (k,) of its mass."""
    return np.array([NormalDist().inv_cdf(share) for share in shares])


def require_integers(
    integers: Tensor, numbers: int, lowest: int | Tensor, highest: int | Tensor
) -> None:
    """Raise `DataError` unless whole numbers (n, numbers) stand for codes.

    Parameters
    ----------
    integers
        As somebody gave them.
    numbers
        How many a code has.
    lowest, highest
        What they may be, all of them or each of a code's, (numbers,).
    """
    if integers.dim() != 2 or integers.shape[1] != numbers:
        raise DataError(
            f"codes as whole numbers have the shape (n, {numbers}), these have "
            f"{tuple(integers.shape)}; give what transform(X, integers=True) returns"
        )
    wrong = (integers < lowest) | (integers > highest)
    if bool(wrong.any()):
        row, column = (int(place) for place in wrong.nonzero()[0])
        least, most = (
            int(torch.as_tensor(bound).expand(numbers)[column]) for bound in (lowest, highest)
        )
        raise DataError(
            f"row {row}, column {column} of the codes is {int(integers[row, column])}; there "
            f"whole numbers from {least} to {most} stand for something"
        )


def perplexity(counts: Tensor) -> Tensor:
    """Return exp of the entropy of counts (..., m) along their last axis: how many are in use.

    >>> perplexity(torch.tensor([[5.0, 5.0, 0.0], [9.0, 0.0, 0.0]]))
    tensor([2., 1.])
    """
    shares = counts / counts.sum(-1, keepdim=True).clamp(min=TINIEST)
    entropy: Tensor = torch.special.entr(shares).sum(-1)
    return entropy.exp()


FAR, NARROW, WIDE = 1.5, 0.2, 3.0
"""Mean, and least and greatest spread, from which codes do not look like draws from N(0, 1)."""


def prior_gap(z: Tensor) -> str | None:
    """Return a sentence where codes (m, *code_shape) lie far from N(0, I); None where they fit."""
    if len(z) < 2:
        return None
    flat = z.flatten(1).float()
    mean, spread = flat.mean(0).abs().max().item(), flat.std(0)
    low, high = spread.min().item(), spread.max().item()
    if mean <= FAR and low >= NARROW and high <= WIDE:
        return None
    return (
        f"the codes lie far from the prior N(0, 1), their means up to {mean:.2g} from 0 and their "
        f"spreads from {low:.2g} to {high:.2g}, so that sample() decodes codes that were never "
        "trained; give the prior a larger weight, or train longer"
    )


def kept_codes(codes: Floats, seed: int) -> Floats:
    """Return a random subset of codes (n, numbers), small enough to be saved with a model."""
    most = max(min(MOST_CODES, MOST_NUMBERS // codes.shape[1]), 2)
    if len(codes) <= most:
        return codes
    chosen = np.random.default_rng(seed).choice(len(codes), most, replace=False)
    kept: Floats = codes[np.sort(chosen)]
    return kept


def sample_near(codes: Floats, n: int, generator: np.random.Generator) -> Floats:
    """Draw new codes from a Gaussian mixture fitted on the given ones.

    Parameters
    ----------
    codes
        Shape (m, numbers).
    n
        How many to draw.
    generator
        Source of the random numbers.

    Returns
    -------
    ndarray
        Shape (n, numbers), float32.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    m, latent = codes.shape
    spread = codes.std(axis=0)
    components = int(np.clip(m // (10 * min(latent, MOST_FULL)), 1, 20))
    components = min(components, len(np.unique(codes, axis=0)))
    mixture = GaussianMixture(
        components,
        covariance_type="full" if latent <= MOST_FULL else "diag",
        reg_covar=max(1e-6 * float(np.square(spread).mean()), 1e-10),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(codes.astype(np.float64) if m > 1 else np.repeat(codes, 2, axis=0))
    mixture.random_state = int(generator.integers(2**31))
    drawn, _ = mixture.sample(n)
    generator.shuffle(drawn, axis=0)
    sampled: Floats = drawn.astype(np.float32)
    return sampled
