"""Stages: the halvings and doublings of a convolutional network, straight or with skip connections.

::

    straight   x ──▶ halve ──▶ halve ──▶ tail ──▶ h      z ──▶ head ──▶ double ──▶ double ──▶ raw x̂

    skipping   x ──┬──▶ halve ──┬──▶ halve ──▶ tail ──▶ h
                   │            └────────────────────────────────────────┐
                   └─────────────────────────────────────────┐           │
               raw x̂ ◀── last ◀── join ◀── double ◀── join ◀─┼── double ◀┼─ head ◀── z
                                    ▲                  ▲─────┼───────────┘
                                    └────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from .convolutions import Convolution, Halving, RepeatConvolution, TransposedConvolution
from .geometry import Size, doubled
from .layers import activation, hidden_layers

FALLING = ("gelu", "silu", "mish")
"""Activations that fall somewhere; the others may come after a maximum, on a quarter of the values.
"""

Layers = Sequence[nn.Module]


class Plan(Protocol):
    """What of a network's parameters the stages go by: those of `Conv`."""

    @property
    def channels(self) -> Sequence[int]:
        """Channels behind each halving."""

    @property
    def kernel(self) -> int:
        """Height and width of each kernel."""

    @property
    def activation(self) -> str:
        """Name of the activation behind each layer."""

    @property
    def down(self) -> str:
        """How maps are halved: "pool" or "stride"."""

    @property
    def up(self) -> str:
        """How maps are doubled: "upsample" or "transpose"."""

    @property
    def trim(self) -> str:
        """Where what is too much is cut off: "crop" or "valid"."""


def straight(
    conv: Plan, tail: Layers, head: Layers, width: int, sizes: list[Size], channels: tuple[int, int]
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
        Heights and widths, as `geometry.halved` returns them.
    channels
        Of the input and of the output.
    """
    encoder = nn.Sequential(*encoder_stages(conv, channels[0]), *tail)
    decoder = nn.Sequential(*head, *decoder_stages(conv, width, channels[1], sizes))
    return encoder, decoder


def skipping(
    conv: Plan, tail: Layers, head: Layers, width: int, sizes: list[Size], channels: tuple[int, int]
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


def at_nothing(decoder: nn.Module) -> None:
    """Let a decoder's last convolution give 0 at first, so that a residual starts at the input."""
    *_, last = (layer for layer in decoder.modules() if isinstance(layer, Convolution))
    nn.init.zeros_(last.weight)


def halving(conv: Plan, before: int, after: int) -> tuple[nn.Module, nn.Module]:
    """Return the layers of a stage up to the map that is kept, and those that halve it."""
    if conv.down == "pool":
        layers = Convolution(before, after, conv.kernel), activation(conv.activation)
        return nn.Sequential(*layers), Halving()
    strided = Convolution(before, after, conv.kernel, stride=2)
    return nn.Identity(), nn.Sequential(strided, activation(conv.activation))


def doubling(conv: Plan, before: int, after: int, size: Size) -> nn.Module:
    """Return the layer that doubles a map to a size."""
    if conv.up == "transpose":
        return TransposedConvolution(before, after, conv.kernel, size)
    margin = conv.kernel // 2
    return RepeatConvolution(before, after, conv.kernel, (margin, margin), size)


def encoder_stages(conv: Plan, channels: int) -> Iterator[nn.Module]:
    """Yield the layers that lead from the picture to the last feature map."""
    pooled = conv.down == "pool"
    for before, after in pairwise([channels, *map(int, conv.channels)]):
        yield Convolution(before, after, conv.kernel, stride=1 if pooled else 2)
        if pooled and conv.activation not in FALLING:
            yield from (Halving(), activation(conv.activation, inplace=True))
        else:
            yield activation(conv.activation, inplace=True)
            yield from [Halving()] if pooled else []


def decoder_stages(conv: Plan, width: int, channels: int, sizes: list[Size]) -> Iterator[nn.Module]:
    """Yield the layers that lead from the decoder's first feature map to the picture."""
    widths = [width, *(int(c) for c in reversed(conv.channels))]
    stages = upsampled if conv.up == "upsample" else transposed
    *hidden, last = stages(conv, widths, channels, sizes)
    yield from hidden_layers(hidden, conv.activation)
    yield last


def upsampled(conv: Plan, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
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


def transposed(conv: Plan, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
    """Return the transposed convolutions, and the last one to the output's channels."""
    layers: list[nn.Module] = [
        TransposedConvolution(before, after, conv.kernel, size)
        for (before, after), size in zip(pairwise(widths), sizes[-2::-1], strict=True)
    ]
    return [*layers, Convolution(widths[-1], channels, conv.kernel)]
