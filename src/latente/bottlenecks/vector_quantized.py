"""Vector quantised: a code of words, each one of a learned codebook."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ..data.space import Shape
from ..errors import ParameterError
from ..parts import is_number, is_whole, require
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encode,
    Encoding,
    Floats,
    Moment,
    perplexity,
    require_alone,
    require_integers,
)
from .frequencies import Frequencies

MOST_WORDS = 2**15 - 1
"""Largest codebook, so that two bytes hold the number of any word."""
SHORT = 4
"""Most numbers of a word of a vector code where nobody says how many."""
DECAY = 0.99
"""Decay of the counts where the codebook is learned by gradients."""
NEVER = 2**40
"""More batches than a fit has: the age of words that were not yet taken from data."""
TINY = 1e-30
CANDIDATES = 8
"""Words nearest by the fast formula, which rounds, that are compared once more without rounding."""
BLOCK = 256
"""Codes whose words are looked up at once, after training."""


@dataclass(kw_only=True)
class VectorQuantized(Bottleneck):
    """Each word of the code is replaced by the nearest one of a codebook (VQ-VAE).

    ::

        h ──split──▶ words (size numbers each) ──nearest──▶ k ──codebook[k]──▶ q ──join──▶ z
        total = loss(decoder(z)) + commitment · ‖h − sg(q)‖²
        dz/dh = 1 (straight-through)

    After van den Oord, Vinyals and Kavukcuoglu (2017). The words of the codebook follow the encoder
    as exponential moving averages of what they stand for (their appendix A.1; Razavi, van den Oord
    and Vinyals, 2019), or by a gradient of their own, ``‖sg(h) − q‖²``. They start as words of the
    first batches, and one that nothing is near to is moved onto a random word of the present batch
    (Dhariwal et al., 2020; Williams et al., 2020). "perplexity" (of the words' frequencies) and
    "codebook_use" (share of words in use) are logged beside the losses.

    Parameters
    ----------
    codes
        Words in the codebook. A word of the code takes log₂ codes bits at most.
    size
        Numbers in a word. It divides the channels of a spatial code, or the numbers of a vector
        code, whose words share the codebook. None makes one word of all channels of a place, and
        words of at most 4 numbers of a vector code.
    commitment
        Price of the squared distance from the encoder's output to its words, in units of the loss.
    decay
        Of the moving averages, from 0 to below 1; None learns the codebook by gradients.
    restart
        Batches in which a word was nearest to nothing, after which it is moved; 0 never moves one.
    """

    codes: int = 512
    size: int | None = None
    commitment: float = 0.25
    decay: float | None = 0.99
    restart: int = 100

    def check(self) -> None:
        words = is_whole(self.codes, 2, MOST_WORDS)
        require(words, self, "codes", self.codes, f"a whole number from 2 to {MOST_WORDS}")
        size = self.size is None or is_whole(self.size, 1)
        require(size, self, "size", self.size, "None or a whole number from 1")
        price = is_number(self.commitment, 0)
        require(price, self, "commitment", self.commitment, "a number of at least 0")
        decay = self.decay is None or (is_number(self.decay, 0, 1) and self.decay < 1)
        require(decay, self, "decay", self.decay, "None or a number from 0 to below 1")
        require(is_whole(self.restart, 0), self, "restart", self.restart, "a whole number from 0")

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return VectorQuantizedModule(code_shape, self, self._size(code_shape), generator)

    def _size(self, code_shape: Shape) -> int:
        """Return the numbers of a word."""
        channels = code_shape[0]
        if self.size is None:
            if len(code_shape) > 1:
                return channels
            return max(size for size in range(1, SHORT + 1) if channels % size == 0)
        if channels % self.size:
            what = "channels of the spatial code" if len(code_shape) > 1 else "numbers of the code"
            raise ParameterError(
                f"VectorQuantized(size={self.size}): size must divide the {channels} {what}"
            )
        return int(self.size)


class VectorQuantizedModule(BottleneckModule):
    """Looks up the nearest word of the codebook for each word of h, and keeps the codebook.

    ::

        h (n, channels, *places) ──▶ words (n · channels/size · places, size) ──▶ k ──▶ z like h
        whole numbers: k (n, channels/size · places), group by group, place by place

    Parameters
    ----------
    code_shape
        Of one code.
    part
        The description.
    size
        Numbers in a word.
    generator
        Source of the first codebook, which data replace in the first batches.
    """

    codebook: Tensor
    counts: Tensor
    idle: Tensor

    def __init__(
        self, code_shape: Shape, part: VectorQuantized, size: int, generator: Generator
    ) -> None:
        super().__init__(code_shape)
        self.part = part.copy()
        self.size = size
        self.numbers = math.prod(code_shape) // size
        codebook = torch.empty(part.codes, size).normal_(generator=generator)
        if part.decay is None:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
        self.decay = DECAY if part.decay is None else float(part.decay)
        # Moving average of how many words of a batch each one of the codebook was nearest to, and
        # for how many batches it was nearest to none.
        self.register_buffer("counts", torch.zeros(part.codes))
        self.register_buffer("idle", torch.full((part.codes,), NEVER, dtype=torch.int64))

    def split(self, z: Tensor) -> Tensor:
        """Return codes (n, *code_shape) as words, (n · numbers, size)."""
        grouped = z.float().reshape(z.shape[0], -1, self.size, *self.code_shape[1:])
        return grouped.movedim(2, -1).reshape(-1, self.size)

    def join(self, words: Tensor) -> Tensor:
        """Return words (n · numbers, size) as codes, (n, *code_shape)."""
        groups = self.code_shape[0] // self.size
        grouped = words.reshape(-1, groups, *self.code_shape[1:], self.size)
        return grouped.movedim(-1, 2).flatten(1, 2)

    def closeness(self, words: Tensor) -> Tensor:
        """Return ``(‖x‖² − ‖x − word‖²) / 2`` for each word of the codebook, (m, codes)."""
        return torch.addmm(-0.5 * self.codebook.square().sum(1), words, self.codebook.T)

    def index(self, words: Tensor) -> Tensor:
        """Return which word of the codebook is nearest to each word, (m,): the first of equals."""
        most = min(CANDIDATES, len(self.codebook))
        nearest = self.closeness(words).topk(most).indices.sort(1).values
        apart = (words.unsqueeze(1) - self.codebook[nearest]).square().sum(2)
        return nearest.gather(1, apart.argmin(1, keepdim=True)).squeeze(1)

    def code(self, h: Tensor) -> Tensor:
        return self.nearest(h)

    def nearest(self, z: Tensor) -> Tensor:
        return self.join(self.codebook[self.index(self.split(z))])

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        h = encoding.h.float()
        with torch.autocast(h.device.type, enabled=False):
            words = self.split(h.detach())
            if self.training:
                self.revive(words, moment.generator)
                index = self.closeness(words).argmax(1)
                q = self.join(self.codebook[index])
                self.follow(words, index)
            else:
                q = self.nearest(h)
        costs = {
            "commitment": Cost(distance(h, q.detach()), self.part.commitment),
            "perplexity": Cost(perplexity(self.counts).expand(len(h)), 0.0),
            "codebook_use": Cost(self.use().expand(len(h)), 0.0),
        }
        if self.part.decay is None:
            costs["codebook"] = Cost(distance(h.detach(), q), 1.0)
        # Exactly q in value, with the gradient of h.
        return Draw(q.detach() + (h - h.detach()), costs)

    @torch.no_grad()
    def revive(self, words: Tensor, generator: Generator) -> None:
        """Move words of the codebook that nothing is near to onto words of a batch.

        Each word takes one at most; those come first that are far from the codebook, at random in
        proportion to the squared distance (as k-means++ does, Arthur and Vassilvitskii, 2007): of
        equal words, such as a picture's background, the codebook needs one.

        Parameters
        ----------
        words
            Of a batch, (m, size).
        generator
            Source of random numbers.
        """
        gaps = words.square().sum(1) - 2 * self.closeness(words).amax(1)
        dead = self.idle >= (self.part.restart or NEVER)
        waiting = torch.empty_like(gaps).exponential_(generator=generator)
        order = (waiting / gaps.clamp(min=TINY)).argsort()
        rank = dead.cumsum(0) - 1
        dead &= rank < len(words)
        drawn = words[order[rank.clamp(0, len(words) - 1)]]
        self.codebook.copy_(torch.where(dead.unsqueeze(1), drawn, self.codebook))
        self.counts.masked_fill_(dead, 0.0)
        self.idle.masked_fill_(dead, 0)

    @torch.no_grad()
    def follow(self, words: Tensor, index: Tensor) -> None:
        """Count which words of the codebook were nearest, and move them towards what they are for.

        Parameters
        ----------
        words
            Of a batch, (m, size).
        index
            Of the word of the codebook nearest to each, (m,).
        """
        chosen = words.new_zeros(len(words), len(self.codebook))
        chosen.scatter_(1, index.unsqueeze(1), 1.0)
        hits = chosen.sum(0)
        before, now = self.decay * self.counts, (1 - self.decay) * hits
        total = (before + now).clamp(min=TINY)
        if self.part.decay is not None:
            # One that was never chosen before goes to the mean of its words at once.
            sums = before.unsqueeze(1) * self.codebook + (1 - self.decay) * (chosen.T @ words)
            moved = sums / total.unsqueeze(1)
            self.codebook.copy_(torch.where(hits.unsqueeze(1) > 0, moved, self.codebook))
        self.counts.copy_(before + now)
        self.idle.copy_(torch.where(hits > 0, 0, self.idle + 1))

    def use(self) -> Tensor:
        """Return the share of words nearest to something in the last 1 / (1 − decay) batches."""
        return (self.counts >= (1 - self.decay) / math.e).float().mean()

    def to_integers(self, z: Tensor) -> Tensor:
        parts = [self.index(self.split(part)) for part in torch.split(z, BLOCK)]
        return torch.cat(parts).view(len(z), self.numbers)

    def from_integers(self, integers: Tensor) -> Tensor:
        require_integers(integers, self.numbers, 0, len(self.codebook) - 1)
        return self.join(self.codebook[integers.flatten()])

    def tables(self, z: Tensor) -> Frequencies:
        return Frequencies.counted(self.to_integers(z).cpu().numpy(), len(self.codebook))

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)

    def sample(self, n: int, generator: Generator, *, codes: Floats, encode: Encode) -> Tensor:
        if self.numbers == 1:
            # The frequencies of the words are the distribution of such codes.
            rows = torch.randint(len(codes), (n,), generator=generator, device=generator.device)
            drawn = torch.from_numpy(codes).to(rows.device)[rows].view(n, *self.code_shape)
        else:
            drawn = super().sample(n, generator, codes=codes, encode=encode)
        return self.from_integers(self.to_integers(drawn))

    def describe(self, h: Tensor, generator: Generator) -> dict[str, object]:
        counts = self._chosen(h)
        return {
            "codebook_use": float((counts > 0).float().mean()),
            "perplexity": float(perplexity(counts)),
        }

    def warn(self, h: Tensor, generator: Generator) -> str | None:
        used = int((self._chosen(h) > 0).sum())
        if used > 1 or len(h) < 2:
            return None
        return (
            f"one of {len(self.codebook)} words of the codebook stands for all data, so that all "
            "codes are the same; try a smaller learning_rate, or a smaller commitment"
        )

    def _chosen(self, h: Tensor) -> Tensor:
        """Return how often each word of the codebook is nearest in the codes of h, (codes,)."""
        found = self.to_integers(h).flatten()
        return torch.bincount(found, minlength=len(self.codebook)).float()


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared distances of codes, (n,)."""
    return (a - b).square().flatten(1).sum(1)
