"""Geometry: the sizes that pictures take on their way through a convolutional network.

A convolution gives ``O = (W − F + 2P) / S + 1`` values along an axis of W, with F the kernel, P the
padding and S the stride (Dumoulin and Visin, 2016). Halving rounds up, so doubling back may give
more than there was: the surplus has to go somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Stage:
    """A decoder's convolution: its padding, and the size its output is cropped to."""

    padding: Size
    size: Size


def halvings(size: Size) -> int:
    """Return how often a picture can be halved before a side is 1.

    >>> halvings((28, 28)), halvings((4, 40))
    (5, 2)
    """
    return (min(size) - 1).bit_length()


def halved(size: Size, times: int) -> list[Size]:
    """Return the sizes from the picture's to the one after the last halving, rounding up.

    >>> halved((28, 30), 3)
    [(28, 30), (14, 15), (7, 8), (4, 4)]
    """
    sizes = [size]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def doubled(sizes: Sequence[Size], kernel: int, *, valid: bool) -> list[Stage]:
    """Plan the convolutions that lead back, one at the smallest size and one after each doubling.

    Parameters
    ----------
    sizes
        As `halved` returns them.
    kernel
        Of the convolutions, odd.
    valid
        Whether to let a convolution go without padding along an axis once the surplus has grown to
        what that takes away, kernel − 1, and to crop only in the end; else each stage crops.

    >>> [stage.size for stage in doubled(halved((28, 28), 3), 3, valid=True)]
    [(4, 4), (8, 8), (14, 14), (28, 28)]
    """
    axes = [_doubled_axis(axis, kernel, valid) for axis in zip(*sizes, strict=True)]
    return [
        Stage((rows[0], columns[0]), (rows[1], columns[1]))
        for rows, columns in zip(*axes, strict=True)
    ]


def _doubled_axis(lengths: Sequence[int], kernel: int, valid: bool) -> list[Size]:
    """Return padding and output length of each stage along one axis."""
    plan: list[Size] = []
    length = lengths[-1]
    for target in reversed(lengths):
        length *= 2 if plan else 1
        if valid and kernel > 1 and length - target >= kernel - 1:
            padding, length = 0, length - (kernel - 1)
        else:
            padding = kernel // 2
        if not valid:
            length = target
        plan.append((padding, length))
    plan[-1] = (plan[-1][0], lengths[0])
    return plan
