"""Shares of a batch: several processes work on one batch, each on rows of its own.

::

    batch of n rows:   process 0 │ process 1 │ process 2
                       own rows ──whole──▶ all n rows ──own──▶ own rows

Random numbers are drawn for the whole batch by every process, from generators that stand alike, and
each takes those of its rows: what is drawn does not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch import Generator, Tensor

Join = Callable[[Tensor], Tensor]


class Share(NamedTuple):
    """The rows of a batch that a process works on.

    A process without any works on one of another's, which counts for nothing.
    """

    first: int
    """The first row it works on."""
    taken: int
    """How many it works on, at least 1."""
    total: int
    """Rows of the batch."""
    weight: float
    """How much the mean over its rows counts in the mean over the batch."""
    join: Join
    """From its rows (taken, ...) to those of all processes, (total, ...), differentiable."""
    add: Join
    """From a tensor to the sum of those of all processes, without a gradient."""

    def mean(self, own: Tensor) -> Tensor:
        """Return the mean over the rows of the batch, of which it gives the mean over its own."""
        return self.add(self.weight * own)

    def own(self, whole: Tensor, axis: int = 0) -> Tensor:
        """Return its rows of those of a batch."""
        return whole.narrow(axis, self.first, self.taken)

    def whole(self, own: Tensor, axis: int = 0) -> Tensor:
        """Return the rows of the batch, of which it gives its own."""
        return self.join(own.transpose(0, axis)).transpose(0, axis)


class SharedGenerator(Generator):
    """A generator of random numbers for batches that several processes share."""

    share: Share | None = None
    """Which rows are drawn for; None for all that are asked for."""


def share_of(generator: Generator | None) -> Share | None:
    """Return which rows of the present batch are this process's; None for all of them."""
    return generator.share if isinstance(generator, SharedGenerator) else None


def per_row(
    shape: Sequence[int],
    generator: Generator | None,
    draw: Callable[[Sequence[int]], Tensor],
    axis: int = 0,
) -> Tensor:
    """Draw for each row of a batch, of which this process may have a share.

    Parameters
    ----------
    shape
        Of what is to be drawn, for the rows at hand.
    generator
        Source of the random numbers.
    draw
        Draws a tensor of a shape from that generator.
    axis
        That of the rows.
    """
    share = share_of(generator)
    if share is None:
        return draw(shape)
    times = shape[axis] // share.taken  # several codes of each row come one after the other
    drawn = draw((*shape[:axis], times * share.total, *shape[axis + 1 :]))
    rows = drawn.view(*drawn.shape[:axis], times, share.total, *drawn.shape[axis + 1 :])
    return share.own(rows, axis + 1).flatten(axis, axis + 1)


@contextmanager
def drawn_for(generator: Generator, share: Share | None) -> Iterator[None]:
    """Draw for the rows of a share, or for all that are asked for, whatever was before."""
    if not isinstance(generator, SharedGenerator):
        yield
        return
    before, generator.share = generator.share, share
    try:
        yield
    finally:
        generator.share = before
