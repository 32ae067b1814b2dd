"""Convolutions as torch modules."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import Size


class Convolution(nn.Conv2d):
    """A convolution that keeps the picture's size, or halves it rounding up.

    Parameters
    ----------
    channels_in, channels_out, kernel
        As in `torch.nn.Conv2d`; the kernel is odd.
    stride
        1 or 2.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, kernel // 2)


class Halving(nn.MaxPool2d):
    """The maximum of each 2 × 2 values, of fewer at an odd edge."""

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)


class RepeatConvolution(nn.Conv2d):
    """Each value repeated 2 × 2 times, and a convolution over that.

    ::

        x (n, c, h, w) ──repeat──▶ (n, c, 2h, 2w) ──convolve──▶ ──crop──▶ (n, c', *size)
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, padding: Size, size: Size
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=padding)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        repeated = F.interpolate(x, scale_factor=2, mode="nearest")
        y = super().forward(repeated)
        return y[:, :, : self.size[0], : self.size[1]]


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution with stride 2, from size ⌈S/2⌉ back to S exactly."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, size: Size) -> None:
        extra = ((size[0] + 1) % 2, (size[1] + 1) % 2)
        super().__init__(channels_in, channels_out, kernel, 2, kernel // 2, extra)
