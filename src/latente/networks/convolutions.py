"""Convolutions as torch modules: their parameters are torch's own, their arithmetic may be faster.

On a processor they run as `kernels` writes them; on other devices, and when compiled or exported,
as torch's plain operators.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import Size
from .kernels import convolve, convolve_repeated, convolve_transposed, phase_mixture


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

    def forward(self, x: Tensor) -> Tensor:
        x = channels_last(x)
        if rewritten(x) and self.stride == (1, 1):
            margin = self.kernel_size[0] // 2
            return convolve(x, self.weight, self.bias, (margin, margin))
        return super().forward(x)


class Halving(nn.MaxPool2d):
    """The maximum of each 2 × 2 values, of fewer at an odd edge."""

    def __init__(self) -> None:
        super().__init__(2, ceil_mode=True)


class RepeatConvolution(nn.Conv2d):
    """Each value repeated 2 × 2 times, and a convolution over that.

    ::

        x (n, c, h, w) ──repeat──▶ (n, c, 2h, 2w) ──convolve──▶ ──crop──▶ (n, c', *size)

    Parameters
    ----------
    channels_in, channels_out, kernel
        As in `torch.nn.Conv2d`; the kernel is odd.
    padding
        Of rows and columns, 0 or kernel // 2.
    size
        Height and width to keep.
    """

    mixture: Tensor

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, padding: Size, size: Size
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=padding)
        self.margin = padding
        self.size = size
        self.register_buffer("mixture", phase_mixture(kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = channels_last(x)
        if rewritten(x) and self.bias is not None:
            return convolve_repeated(
                x, self.weight, self.bias, self.mixture, self.margin, self.size
            )
        repeated = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return super().forward(repeated)[:, :, : self.size[0], : self.size[1]]


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution with stride 2, from size ⌈S/2⌉ back to S exactly.

    Parameters
    ----------
    channels_in, channels_out, kernel
        As in `torch.nn.ConvTranspose2d`; the kernel is odd.
    size
        Height and width S of the output.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, size: Size) -> None:
        self.extra: Size = ((size[0] + 1) % 2, (size[1] + 1) % 2)
        super().__init__(channels_in, channels_out, kernel, 2, kernel // 2, self.extra)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = channels_last(x)
        if rewritten(x) and self.bias is not None:
            return convolve_transposed(x, self.weight, self.bias, self.extra)
        return super().forward(x, output_size)


def channels_last(x: Tensor) -> Tensor:
    """Return the pictures with each pixel's channels side by side in memory."""
    if x.shape[1] > 1 or x.device.type != "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    # With one channel both layouts look alike to torch, which then takes the slow one.
    return x.reshape(x.shape[0], *x.shape[2:], 1).permute(0, 3, 1, 2)


def rewritten(x: Tensor) -> bool:
    """Whether to run the kernels: on a processor, and not when compiled or exported."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
