"""Conv: layers that see a neighbourhood and halve the picture, for pictures.

::

    straight   x ──▶ halve ──▶ halve ──▶ tail ──▶ h      z ──▶ head ──▶ double ──▶ double ──▶ raw

    skipping   x ──┬──▶ halve ──┬──▶ halve ──▶ tail ──▶ h
                   │            └────────────────────────────────────────┐
                   └─────────────────────────────────────────┐           │
                 raw ◀── last ◀── join ◀── double ◀── join ◀─┼── double ◀┼─ head ◀── z
                                    ▲                  ▲─────┼───────────┘
                                    └────────────────────────┘

A convolution gives ``O = (W − F + 2P) / S + 1`` values along an axis of W, with F the kernel, P the
padding and S the stride (Dumoulin and Visin, 2016). Halving rounds up, so doubling back may give
more than there was: the surplus has to go somewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from ..data.space import Shape, Space
from ..errors import ParameterError
from ..parts import is_whole, listed, require
from .base import (
    Context,
    Network,
    NetworkModule,
    Pace,
    code_size,
    require_activation,
    require_sizes,
)
from .convolutions import Convolution, Halving, RepeatConvolution, Size, TransposedConvolution
from .layers import (
    DenseLayer,
    activation,
    head_activation,
    hidden_layers,
    initialized,
    start_at_zero,
)
from .shortcut import ShortcutModule, pace_of, require_shortcut

SMALLEST = 4
"""Side of the smallest picture that convolutions take."""
FALLING = ("gelu", "silu", "mish")
"""Activations that fall somewhere; the others may come after a maximum, on a quarter of the values.
"""

CHOICES = {
    "down": ("stride", "pool"),
    "up": ("transpose", "upsample"),
    "code": ("vector", "spatial"),
    "trim": ("crop", "valid"),
}


Layers = list[nn.Module]


@dataclass(kw_only=True)
class Conv(Network):
    """Convolutional encoder that halves the picture stage by stage, and a decoder that doubles it.

    ::

        x (C, H, W) ──channels[0]──▶ (⌈H/2⌉, ⌈W/2⌉) ──channels[1]──▶ … ──▶ map (c, h, w)
        vector code:  map ──flatten──▶ hidden ──▶ per_code · latent_dim
                      z ──▶ decoder_hidden ──▶ map ──▶ … ──▶ (C', H, W)
        spatial code: the map itself is the code, (c, h, w)

    The decoder has the encoder's channels backwards and one more convolution to the output's. It
    returns the input's height and width exactly, odd ones too.

    Parameters
    ----------
    channels
        Of the encoder's stages; each halves height and width, rounding up.
    kernel
        Side of the convolutions' kernels, odd.
    activation
        Name of the activation behind each hidden layer.
    down
        How a stage halves: "stride" by a convolution with stride 2, "pool" by one with stride 1
        and the maximum of 2 × 2 values.
    up
        How a stage doubles: "transpose" by a transposed convolution with stride 2 (Dumoulin and
        Visin, 2016), "upsample" by repeating each value 2 × 2 times before the next convolution.
    code
        "vector" for latent_dim numbers, "spatial" for the last feature map.
    code_channels
        Channels of a spatial code, made by a 1 × 1 convolution with the code activation behind it;
        None takes the last stage's output as it is (and is the last of `channels` where the
        bottleneck asks for two numbers each).
    code_activation
        Name of the activation behind the code; of a variational code it acts on the mean alone.
    hidden
        Sizes of dense layers between the last feature map and a vector code.
    decoder_hidden
        Sizes of dense layers between a vector code and the decoder's first feature map; None
        mirrors `hidden`.
    output_activation
        Name of the activation behind the decoder, or "auto".
    trim
        Where the surplus of odd sizes goes: "crop" cuts each stage to the size its counterpart had,
        "valid" (with up="upsample") leaves out a convolution's padding when that fits.
    skips
        Whether the decoder also sees what each stage held before it halved (Ronneberger et al.,
        2015): what a code is too small for gets through, and a code alone cannot be decoded.
    residual
        Whether the network gives what is to be added to the damaged input rather than the restored
        picture itself (Zhang et al., 2017); with a sigmoid behind, what is to be added to the
        logits. An input with fewer channels than the output adds its first to each.
    shortcut
        "none", or "pca" for linear maps beside encoder and decoder that begin as the principal
        components (`ShortcutModule`); with a vector code.
    """

    channels: Sequence[int] = (32, 64)
    kernel: int = 3
    activation: str = "relu"
    down: Literal["stride", "pool"] = "stride"
    up: Literal["transpose", "upsample"] = "transpose"
    code: Literal["vector", "spatial"] = "vector"
    code_channels: int | None = None
    code_activation: str = "identity"
    hidden: Sequence[int] = ()
    decoder_hidden: Sequence[int] | None = None
    trim: Literal["crop", "valid"] = "crop"
    skips: bool = False
    residual: bool = False
    shortcut: Literal["none", "pca"] = "none"

    def check(self) -> None:
        super().check()
        require_sizes(self, "channels", least=1)
        odd = is_whole(self.kernel, 1) and self.kernel % 2 == 1
        require(odd, self, "kernel", self.kernel, "an odd whole number: 1, 3, 5 …")
        require_activation(self, "activation")
        require_activation(self, "code_activation")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            require(value in choices, self, name, value, listed(map(repr, choices)))
        require_sizes(self, "hidden")
        if self.decoder_hidden is not None:
            require_sizes(self, "decoder_hidden")
        self._check_code()
        fits = self.trim == "crop" or self.up == "upsample"
        require(fits, self, "trim", self.trim, "'crop' with up='transpose'")
        for name in ("skips", "residual"):
            value = getattr(self, name)
            require(isinstance(value, bool), self, name, value, "True or False")
        fits = self.trim == "crop" or not self.skips
        require(fits, self, "trim", self.trim, "'crop' with skips=True")
        against = {
            "code": self.code == "spatial",
            "code_activation": self.code_activation != "identity",
            "skips": self.skips,
            "residual": self.residual,
        }
        require_shortcut(self, self.shortcut, against)

    def pace(self) -> Pace:
        return pace_of(self.shortcut)

    def _check_code(self) -> None:
        """Raise `ParameterError` where parameters of one kind of code meet the other kind."""
        if self.code == "spatial":
            for name in ("hidden", "decoder_hidden"):
                value = getattr(self, name)
                require(not value, self, name, value, "empty with code='spatial'")
        if self.code_channels is not None:
            whole = is_whole(self.code_channels, 1)
            wanted = "None or a whole number from 1"
            require(whole, self, "code_channels", self.code_channels, wanted)
            spatial = self.code == "spatial"
            require(spatial, self, "code_channels", self.code_channels, "None with code='vector'")

    def build(
        self,
        source: Space,
        target: Space,
        latent_dim: int | None,
        *,
        per_code: int,
        per_value: int,
        generator: Generator,
    ) -> NetworkModule:
        sizes = self._sizes(source, target)
        halves = self._spatial if self.code == "spatial" else self._vector
        tail, head, code_shape, width = halves(sizes[-1], latent_dim, per_code)
        join = skipping if self.skips else straight
        channels = (source.shape[0], per_value * target.shape[0])
        encoder, decoder = join(self, tail, head, width, sizes, channels)
        initialized(encoder, generator)
        initialized(decoder, generator)
        if self.residual:
            if per_value > 1:
                raise ParameterError(
                    "residual=True adds to the input, so the loss cannot ask the decoder for "
                    f"{per_value} numbers for each value; use loss='squared'"
                )
            start_at_zero(decoder)
        if per_value > 1:
            decoder = Split(decoder, per_value)
        if self.shortcut == "pca":
            outputs = target.shape if per_value == 1 else (per_value, *target.shape)
            features, (code,) = math.prod(source.shape), code_shape
            return ShortcutModule(encoder, decoder, features, code, per_code, outputs, generator)
        return ConvModule(encoder, decoder, code_shape, self)

    def _sizes(self, source: Space, target: Space) -> list[Size]:
        """Return height and width before the first stage and after each, or say what is wrong."""
        for what, space in (("input", source), ("target", target)):
            if space.layout == "sequences":
                raise ParameterError(
                    f"network='conv' works on pictures, but the {what} has sequences of "
                    f"{space.shape[0]} steps: use network='recurrent'"
                )
            if len(space.shape) != 3:
                raise ParameterError(
                    f"network='conv' works on pictures, but the {what} has rows of "
                    f"{math.prod(space.shape)} values: use network='dense'"
                )
        (_, height, width), (_, *others) = source.shape, target.shape
        size: Size = (height, width)
        if tuple(others) != size:
            raise ParameterError(
                f"network='conv' gives pictures of the input's size, {height}×{width}, but the "
                f"targets are {others[0]}×{others[1]}: give targets of the input's size"
            )
        if min(size) < SMALLEST:
            raise ParameterError(
                f"network='conv' takes pictures of {SMALLEST}×{SMALLEST} and more, these are "
                f"{size[0]}×{size[1]}: use network='dense'"
            )
        fit = halvings(size)
        require(
            len(self.channels) <= fit,
            self,
            "channels",
            self.channels,
            f"at most {fit} numbers for pictures of {size[0]}×{size[1]}, since each halves them",
        )
        return halved(size, len(self.channels))

    def _vector(
        self, size: Size, latent_dim: int | None, per_code: int
    ) -> tuple[Layers, Layers, Shape, int]:
        """Return what makes a code of the last map, a map of a code, the code's shape, its width.

        ::

            map ──flatten──▶ hidden ──▶ per_code · code        code ──▶ decoder_hidden ──▶ map
        """
        code = code_size(latent_dim)
        features: Shape = (int(self.channels[-1]), *size)
        flat = math.prod(features)
        hidden = [int(size) for size in self.hidden]
        back = hidden[::-1]
        if self.decoder_hidden is not None:
            back = [int(size) for size in self.decoder_hidden]
        *down, last = [DenseLayer(a, b) for a, b in pairwise([flat, *hidden, per_code * code])]
        up = [DenseLayer(a, b) for a, b in pairwise([code, *back, flat])]
        tail = [
            nn.Flatten(),
            *hidden_layers(down, self.activation),
            last,
            head_activation(self.code_activation, per_code),
        ]
        head = [*hidden_layers(up, self.activation), nn.Unflatten(1, features)]
        return tail, head, (code,), features[0]

    def _spatial(
        self, size: Size, latent_dim: int | None, per_code: int
    ) -> tuple[Layers, Layers, Shape, int]:
        """Return the same for a code that is the last map itself, or a 1 × 1 convolution of it."""
        last = int(self.channels[-1])
        code = last if self.code_channels is None else int(self.code_channels)
        shape: Shape = (code, *size)
        if latent_dim is not None and latent_dim != math.prod(shape):
            raise ParameterError(
                f"latent_dim={latent_dim}: the spatial code of this network has "
                f"{'×'.join(map(str, shape))} = {math.prod(shape)} values; leave latent_dim out, "
                "or use code='vector'"
            )
        tail: list[nn.Module] = [head_activation(self.code_activation, per_code)]
        if self.code_channels is not None or per_code > 1:
            tail.insert(0, Convolution(last, per_code * code, 1))
        return tail, [], shape, code


class ConvModule(NetworkModule):
    """Convolutional halves, maybe joined by skip connections, maybe giving a residual.

    With a residual, raw is what the encoder's input is to be changed by: x̂ = x̃ + raw, or in logits
    where the output activation is a sigmoid, σ(logit(x̃) + raw).

    Parameters
    ----------
    encoder, decoder, code_shape
        As for every network.
    part
        The description.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        code_shape: Shape,
        part: Conv,
    ) -> None:
        super().__init__(encoder, decoder, code_shape)
        self.skips, self.residual = part.skips, part.residual

    def encode(self, x: Tensor) -> tuple[Tensor, Context]:
        if not self.skips:
            return super().encode(x)
        h, maps = self.encoder.maps(x)  # type: ignore[operator]
        return h, Context(x, maps)

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        raw: Tensor = self.decoder(z, *(context.maps if context else ()))
        if not self.residual or context is None or context.inverse is None:
            return raw
        channels = raw.shape[1] if context.x.shape[1] >= raw.shape[1] else 1
        change = raw if context.missing is None else raw * context.missing
        return context.inverse(context.x[:, :channels]) + change

    def needs_input(self) -> bool:
        return self.skips or self.residual


class Split(nn.Module):
    """A decoder whose channels are several numbers for each value, on an axis of their own.

    ::

        z, maps ──decoder──▶ (n, per_value · channels, h, w) ──▶ (n, per_value, channels, h, w)

    Parameters
    ----------
    decoder
        Gives all channels on one axis.
    per_value
        How many numbers there are for each value.
    """

    def __init__(self, decoder: nn.Module, per_value: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.per_value = per_value

    def forward(self, z: Tensor, *maps: Tensor) -> Tensor:
        return self.decoder(z, *maps).unflatten(1, (self.per_value, -1))  # type: ignore[no-any-return]


def straight(
    conv: Conv, tail: Layers, head: Layers, width: int, sizes: list[Size], channels: tuple[int, int]
) -> tuple[nn.Module, nn.Module]:
    """Return an encoder and a decoder that are joined by the code alone.

    Parameters
    ----------
    conv
        The network's parameters.
    tail, head
        Layers from the last feature map to h, and from a code to the decoder's first feature map.
    width
        Channels of that map.
    sizes
        Heights and widths, as `halved` returns them.
    channels
        Of the input and of the output.
    """
    encoder = nn.Sequential(*encoder_stages(conv, channels[0]), *tail)
    decoder = nn.Sequential(*head, *decoder_stages(conv, width, channels[1], sizes))
    return encoder, decoder


def skipping(
    conv: Conv, tail: Layers, head: Layers, width: int, sizes: list[Size], channels: tuple[int, int]
) -> tuple[nn.Module, nn.Module]:
    """Return an encoder and a decoder to which each stage's map before halving goes, too.

    Parameters are those of `straight`.
    """
    kept = [
        int(c) for c in (conv.channels if conv.down == "pool" else [channels[0], *conv.channels])
    ]
    pairs = list(pairwise([channels[0], *map(int, conv.channels)]))
    encoder = SkipEncoder([halving(conv, *pair) for pair in pairs], nn.Sequential(*tail))
    steps = []
    before = width
    for size, (_, after), beside in reversed(list(zip(sizes[:-1], pairs, kept, strict=False))):
        double = nn.Sequential(doubling(conv, before, after, size), activation(conv.activation))
        join = Convolution(after + beside, after, conv.kernel)
        steps.append((double, nn.Sequential(join, activation(conv.activation))))
        before = after
    last = Convolution(before, channels[1], conv.kernel)
    return encoder, SkipDecoder(nn.Sequential(*head), steps, last)


class SkipEncoder(nn.Module):
    """Stages that are looked at before they halve, and the layers that lead to h.

    Parameters
    ----------
    stages
        Of each, the layers that give its map, and those that halve it.
    tail
        From the last, halved map to h.
    """

    def __init__(self, stages: Iterable[tuple[nn.Module, nn.Module]], tail: nn.Module) -> None:
        super().__init__()
        held, halve = zip(*stages, strict=True)
        self.stages, self.halvings = nn.ModuleList(held), nn.ModuleList(halve)
        self.tail = tail

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[0]

    def maps(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return h, and the map of each stage before it halved."""
        maps = []
        for held, halve in zip(self.stages, self.halvings, strict=True):
            maps.append(held(x))
            x = halve(maps[-1])
        return self.tail(x), tuple(maps)


class SkipDecoder(nn.Module):
    """Doublings, each joined with the map that the encoder had at that size.

    Parameters
    ----------
    head
        From a code to the first feature map.
    steps
        Of each, the layers that double, and those that take the doubled map and the encoder's.
    last
        To the output's channels.
    """

    def __init__(
        self, head: nn.Module, steps: Iterable[tuple[nn.Module, nn.Module]], last: nn.Module
    ) -> None:
        super().__init__()
        self.head = head
        double, join = zip(*steps, strict=True)
        self.doublings, self.joins = nn.ModuleList(double), nn.ModuleList(join)
        self.last = last

    def forward(self, z: Tensor, *maps: Tensor) -> Tensor:
        y = self.head(z)
        for i, beside in enumerate(reversed(maps)):
            y = self.joins[i](torch.cat([self.doublings[i](y), beside], 1))
        return self.last(y)  # type: ignore[no-any-return]


def halving(conv: Conv, before: int, after: int) -> tuple[nn.Module, nn.Module]:
    """Return the layers of a stage up to the map that is kept, and those that halve it."""
    if conv.down == "pool":
        layers = Convolution(before, after, conv.kernel), activation(conv.activation)
        return nn.Sequential(*layers), Halving()
    strided = Convolution(before, after, conv.kernel, stride=2)
    return nn.Identity(), nn.Sequential(strided, activation(conv.activation))


def doubling(conv: Conv, before: int, after: int, size: Size) -> nn.Module:
    """Return the layer that doubles a map to a size."""
    if conv.up == "transpose":
        return TransposedConvolution(before, after, conv.kernel, size)
    margin = conv.kernel // 2
    return RepeatConvolution(before, after, conv.kernel, (margin, margin), size)


def encoder_stages(conv: Conv, channels: int) -> Iterator[nn.Module]:
    """Yield the layers that lead from the picture to the last feature map."""
    pooled = conv.down == "pool"
    for before, after in pairwise([channels, *map(int, conv.channels)]):
        yield Convolution(before, after, conv.kernel, stride=1 if pooled else 2)
        if pooled and conv.activation not in FALLING:
            yield from (Halving(), activation(conv.activation, inplace=True))
        else:
            yield activation(conv.activation, inplace=True)
            yield from [Halving()] if pooled else []


def decoder_stages(conv: Conv, width: int, channels: int, sizes: list[Size]) -> Iterator[nn.Module]:
    """Yield the layers that lead from the decoder's first feature map to the picture."""
    widths = [width, *(int(c) for c in reversed(conv.channels))]
    stages = upsampled if conv.up == "upsample" else transposed
    *hidden, last = stages(conv, widths, channels, sizes)
    yield from hidden_layers(hidden, conv.activation)
    yield last


def upsampled(conv: Conv, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
    """Return the convolutions of which all but the first see each value repeated 2 × 2 times.

    ::

        convolve ──▶ repeat, convolve ──▶ … ──▶ repeat, convolve to the output's channels
    """
    plan = doubled(sizes, conv.kernel, valid=conv.trim == "valid")
    first = Convolution(widths[0], widths[1], conv.kernel)
    pairs = pairwise([*widths[1:], channels])
    return [
        first,
        *(
            RepeatConvolution(before, after, conv.kernel, stage.padding, stage.size)
            for (before, after), stage in zip(pairs, plan[1:], strict=True)
        ),
    ]


def transposed(conv: Conv, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
    """Return the transposed convolutions, and the last one to the output's channels."""
    layers: list[nn.Module] = [
        TransposedConvolution(before, after, conv.kernel, size)
        for (before, after), size in zip(pairwise(widths), sizes[-2::-1], strict=True)
    ]
    return [*layers, Convolution(widths[-1], channels, conv.kernel)]


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
