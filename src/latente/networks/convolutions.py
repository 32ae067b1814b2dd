"""Convolutions as torch modules: their parameters are torch's own, their arithmetic may be faster.

On a processor they are computed as what they equal and what a processor does faster: the very
numbers of the plain operators, but for rounding, differentiable as often as those. On other
devices, and when compiled or exported, they are torch's plain operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]
"""Height and width."""


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

    def reset_parameters(self) -> None:
        """Draw nothing: the weights wait for `initialized`."""

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

    def reset_parameters(self) -> None:
        """Draw nothing: the weights wait for `initialized`."""

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

    def reset_parameters(self) -> None:
        """Draw nothing: the weights wait for `initialized`."""

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


FEW = 4
"""Output channels up to which a convolution is faster as a product with each of its taps."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Size) -> Tensor:
    """Convolve with stride 1.

    Parameters
    ----------
    x
        Shape (n, c, h, w).
    weight, bias
        Shapes (c', c, k, k) and (c',).
    padding
        Rows and columns of zeros on either side, fewer than k.
    """
    outputs, _, kernel, _ = weight.shape
    if outputs > FEW or kernel == 1 or torch.is_autocast_enabled(x.device.type):
        return F.conv2d(x, weight, bias, padding=padding)
    y: Tensor = _TapConvolution.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.view(-1, 1, 1)


def convolve_repeated(
    x: Tensor, weight: Tensor, bias: Tensor, mixture: Tensor, padding: Size, size: Size
) -> Tensor:
    """Repeat each value 2 × 2 times, convolve, and crop: all on the small picture.

    Neighbouring outputs see the same values with different sums of the weights, so that four
    convolutions with kernels of (k + 1) / 2 give the four phases of the large picture (Shi et al.,
    2016, for the idea): 2.25 times fewer products for a kernel of 3, and no large picture to read.

    ::

        x (n, c, h, w) ──convolve──▶ (n, 4 · c', h + 1, w + 1) ──interleave──▶ (n, c', *size)

    Parameters
    ----------
    x
        Shape (n, c, h, w).
    weight, bias
        Of the convolution on the repeated picture, (c', c, k, k) and (c',).
    mixture
        As `phase_mixture` returns it.
    padding
        Of the convolution on the repeated picture, up to k // 2.
    size
        What to keep of the result, from its first row and column.
    """
    outputs, inputs, kernel, _ = weight.shape
    small = (kernel + 1) // 2
    with torch.autocast(x.device.type, enabled=False):
        mixed = weight.reshape(outputs * inputs, -1) @ mixture
    phases = mixed.view(outputs, inputs, 4, small, small).permute(2, 0, 1, 3, 4)
    phases = phases.reshape(4 * outputs, inputs, small, small)
    margin = ((padding[0] + 1) // 2, (padding[1] + 1) // 2)
    start = (2 * margin[0] - padding[0], 2 * margin[1] - padding[1])
    parts = convolve(x, phases, bias.repeat(4), margin)
    y: Tensor = _Interleave.apply(parts, start, size)  # type: ignore[no-untyped-call]
    return y


def phase_mixture(kernel: int) -> Tensor:
    """Return which weights each phase adds up, shape (k · k, 4 · s · s) with s = (k + 1) / 2.

    Along one axis, output 2i + a of the repeated picture sees value i + ⌊(a + t) / 2⌋ of the small
    one through weight t.
    """
    small = (kernel + 1) // 2
    axis = torch.zeros(2, small, kernel)
    for phase in range(2):
        for tap in range(kernel):
            axis[phase, (phase + tap) // 2, tap] = 1.0
    return torch.einsum("apt,bqs->tsabpq", axis, axis).reshape(kernel * kernel, -1)


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor, extra: Size) -> Tensor:
    """Apply a transposed convolution with stride 2 and a padding of k // 2.

    Parameters
    ----------
    x
        Shape (n, c, h, w).
    weight, bias
        Shapes (c, c', k, k) and (c',).
    extra
        Rows and columns to add at the end, 0 or 1.
    """
    if torch.is_autocast_enabled(x.device.type):
        narrow = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(narrow), weight.to(narrow), bias.to(narrow)
    y: Tensor = _TransposedConvolution.apply(x, weight, bias, extra)  # type: ignore[no-untyped-call]
    return y


class _TapConvolution(torch.autograd.Function):
    """A matrix product a picture gives each value times each weight; shifting and adding the rest.

    ::

        x (n, c, h, w) ──▶ (n, c', k, k, h, w) ──shift, add──▶ y (n, c', h', w')
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, padding: Size) -> Tensor:
        n, _, h, w = x.shape
        outputs, c, k, _ = weight.shape
        taps = weight.permute(0, 2, 3, 1).reshape(-1, c) @ _pixels(x).transpose(1, 2)
        taps = taps.view(n, outputs, k, k, h, w)
        y = taps.new_zeros(n, outputs, h + k - 1, w + k - 1)
        for i in range(k):
            for j in range(k):
                top, left = k - 1 - i, k - 1 - j
                y[:, :, top : top + h, left : left + w] += taps[:, :, i, j]
        top, left = k - 1 - padding[0], k - 1 - padding[1]
        return y[:, :, top : h + k - 1 - top, left : w + k - 1 - left]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Size], output: Tensor) -> None:
        x, weight, ctx.padding = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        n, c, h, w = x.shape
        outputs, _, k, _ = weight.shape
        top, left = k - 1 - ctx.padding[0], k - 1 - ctx.padding[1]
        padded = F.pad(gradient, (left, left, top, top))
        picture, plane, row, column = padded.stride()
        shifted = padded.as_strided(
            (n, outputs, k, k, h, w), (picture, plane, row, column, row, column)
        ).reshape(n, -1, h * w)
        flipped = weight.flip(2, 3).permute(0, 2, 3, 1).reshape(-1, c)
        dx = (shifted.transpose(1, 2) @ flipped).view(n, h, w, c).permute(0, 3, 1, 2)
        dw = (shifted @ _pixels(x)).sum(0).view(outputs, k, k, c)
        return dx, dw.permute(0, 3, 1, 2).flip(2, 3), None


def _pixels(x: Tensor) -> Tensor:
    """Return each picture's pixels, one a row, shape (n, h · w, c)."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h * w, c)


class _Interleave(torch.autograd.Function):
    """Lay four phases into one picture and crop it.

    ::

        parts (n, 4 · c, h, w) ──▶ (n, c, 2h, 2w) ──[start : start + size]──▶ (n, c, *size)
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(parts: Tensor, start: Size, size: Size) -> Tensor:
        n, c = parts.shape[0], parts.shape[1] // 4
        height, width = size
        strides = (height * width * c, 1, width * c, c)  # channels last
        y = parts.new_empty_strided((n, c, height, width), strides)
        for phase, small, large in _phases(start, size):
            y[:, :, large[0], large[1]] = _of(parts, phase)[:, :, small[0], small[1]]
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Size, Size], output: Tensor) -> None:
        parts, ctx.start, ctx.size = inputs
        ctx.shape = parts.shape

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        n, c, h, w = ctx.shape
        covered = ctx.size == (2 * h, 2 * w)
        fresh = gradient.new_empty if covered else gradient.new_zeros
        parts = fresh((n, h, w, c)).permute(0, 3, 1, 2)
        for phase, small, large in _phases(ctx.start, ctx.size):
            _of(parts, phase)[:, :, small[0], small[1]] = gradient[:, :, large[0], large[1]]
        return parts, None, None


def _of(parts: Tensor, phase: int) -> Tensor:
    """Return the channels of one of the four phases."""
    channels = parts.shape[1] // 4
    return parts[:, phase * channels : (phase + 1) * channels]


def _phases(
    start: Size, size: Size
) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
    """Yield each phase, where its values lie in the small picture, and where in the large one."""
    for phase in range(4):
        rows, columns = (
            _phase_axis(parity, begin, length)
            for parity, begin, length in zip(divmod(phase, 2), start, size, strict=True)
        )
        yield phase, (rows[0], columns[0]), (rows[1], columns[1])


def _phase_axis(parity: int, start: int, length: int) -> tuple[slice, slice]:
    first = (parity - start) % 2
    count = len(range(first, length, 2))
    small = (first + start) // 2
    return slice(small, small + count), slice(first, length, 2)


class _TransposedConvolution(torch.autograd.Function):
    """torch's own, but the bias's gradient summed by itself, which halves the backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, extra: Size) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, 2, weight.shape[-1] // 2, extra)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Size], output: Tensor
    ) -> None:
        x, weight, _, ctx.extra = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        padding = weight.shape[-1] // 2
        dx, dw, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight,
            None,
            [2, 2],
            [padding, padding],
            [1, 1],
            True,
            list(ctx.extra),
            1,
            [True, True, False],
        )
        return dx, dw, gradient.sum((0, 2, 3)), None
