"""Conv: layers that see a neighbourhood and halve the picture, for pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from ..errors import ParameterError
from ..parts import is_whole, listed, require
from .geometry import Size, doubled, halved, halvings
from .network import (
    DEFAULT_LATENT_DIM,
    Network,
    Pair,
    Shape,
    require_activation,
    require_code,
    require_sizes,
)

if TYPE_CHECKING:
    from torch import nn

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


@dataclass(kw_only=True)
class Conv(Network):
    """Convolutional encoder that halves the picture stage by stage, and a decoder that doubles it.

    ::

        x (C, H, W) ──channels[0]──▶ (⌈H/2⌉, ⌈W/2⌉) ──channels[1]──▶ … ──▶ map (c, h, w)
        vector code:  map ──flatten──▶ hidden ──▶ heads · latent_dim
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
        bottleneck asks for two heads).
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
        self, input_shape: Shape, output_shape: Shape, latent_dim: int | None, heads: int
    ) -> Pair:
        require_code(latent_dim, heads)
        sizes = self._sizes(input_shape, output_shape)
        if self.code == "spatial":
            return self._build_spatial(input_shape[0], output_shape[0], sizes, latent_dim, heads)
        code = DEFAULT_LATENT_DIM if latent_dim is None else int(latent_dim)
        return self._build_vector(input_shape[0], output_shape[0], sizes, code, heads)

    def _sizes(self, input_shape: Shape, output_shape: Shape) -> list[Size]:
        """Return height and width before the first stage and after each, or say what is wrong."""
        for what, shape in (("input", input_shape), ("target", output_shape)):
            if len(shape) != 3:
                raise ParameterError(
                    f"network='conv' works on pictures, but the {what} has rows of "
                    f"{math.prod(shape)} values: use network='dense'"
                )
        size: Size = (input_shape[1], input_shape[2])
        if tuple(output_shape[1:]) != size:
            raise ParameterError(
                f"network='conv' gives pictures of the input's size, {size[0]}×{size[1]}, but the "
                f"targets are {output_shape[1]}×{output_shape[2]}: give targets of the input's size"
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

    def _build_vector(
        self, channels_in: int, channels_out: int, sizes: list[Size], code: int, heads: int
    ) -> Pair:
        from torch import nn

        from .initial import initialised
        from .layers import head_activation, hidden_layers

        features: Shape = (int(self.channels[-1]), *sizes[-1])
        flat = math.prod(features)
        hidden = [int(size) for size in self.hidden]
        back = hidden[::-1]
        if self.decoder_hidden is not None:
            back = [int(size) for size in self.decoder_hidden]
        *down, last = [nn.Linear(a, b) for a, b in pairwise([flat, *hidden, heads * code])]
        encoder = nn.Sequential(
            *self._encoder_stages(channels_in),
            nn.Flatten(),
            *hidden_layers(down, self.activation),
            last,
            head_activation(self.code_activation, heads),
        )
        up = [nn.Linear(a, b) for a, b in pairwise([code, *back, flat])]
        decoder = nn.Sequential(
            *hidden_layers(up, self.activation),
            nn.Unflatten(1, features),
            *self._decoder_stages(features[0], channels_out, sizes),
        )
        return Pair(initialised(encoder), initialised(decoder), (code,))

    def _build_spatial(
        self,
        channels_in: int,
        channels_out: int,
        sizes: list[Size],
        latent_dim: int | None,
        heads: int,
    ) -> Pair:
        from torch import nn

        from .convolutions import Convolution
        from .initial import initialised
        from .layers import head_activation

        last = int(self.channels[-1])
        code = last if self.code_channels is None else int(self.code_channels)
        shape: Shape = (code, *sizes[-1])
        if latent_dim is not None and latent_dim != math.prod(shape):
            raise ParameterError(
                f"latent_dim={latent_dim}: the spatial code of this network has "
                f"{'×'.join(map(str, shape))} = {math.prod(shape)} values; leave latent_dim out, "
                "or use code='vector'"
            )
        encoder = nn.Sequential(*self._encoder_stages(channels_in))
        if self.code_channels is not None or heads > 1:
            encoder.append(Convolution(last, heads * code, 1))
        encoder.append(head_activation(self.code_activation, heads))
        decoder = nn.Sequential(*self._decoder_stages(code, channels_out, sizes))
        return Pair(initialised(encoder), initialised(decoder), shape)

    def _encoder_stages(self, channels: int) -> Iterator[nn.Module]:
        """Yield the layers that lead from the picture to the last feature map."""
        from .convolutions import Convolution, Halving
        from .layers import activation

        pooled = self.down == "pool"
        for before, after in pairwise([channels, *self.channels]):
            yield Convolution(before, after, self.kernel, stride=1 if pooled else 2)
            if pooled and self.activation not in FALLING:
                yield from (Halving(), activation(self.activation, inplace=True))
            else:
                yield activation(self.activation, inplace=True)
                yield from [Halving()] if pooled else []

    def _decoder_stages(self, code: int, channels: int, sizes: list[Size]) -> Iterator[nn.Module]:
        """Yield the layers that lead from the decoder's first feature map to the picture."""
        from .layers import hidden_layers

        widths = [code, *reversed(self.channels)]
        stages = self._upsampled if self.up == "upsample" else self._transposed
        *hidden, last = stages([int(width) for width in widths], channels, sizes)
        yield from hidden_layers(hidden, self.activation)
        yield last

    def _upsampled(self, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
        """Return the convolutions of which all but the first see each value repeated 2 × 2 times.

        ::

            convolve ──▶ repeat, convolve ──▶ … ──▶ repeat, convolve to the output's channels
        """
        from .convolutions import Convolution, RepeatConvolution

        plan = doubled(sizes, self.kernel, valid=self.trim == "valid")
        first = Convolution(widths[0], widths[1], self.kernel)
        pairs = pairwise([*widths[1:], channels])
        return [
            first,
            *(
                RepeatConvolution(before, after, self.kernel, stage.padding, stage.size)
                for (before, after), stage in zip(pairs, plan[1:], strict=True)
            ),
        ]

    def _transposed(self, widths: list[int], channels: int, sizes: list[Size]) -> list[nn.Module]:
        """Return the transposed convolutions, and the last one to the output's channels."""
        from .convolutions import Convolution, TransposedConvolution

        layers: list[nn.Module] = [
            TransposedConvolution(before, after, self.kernel, size)
            for (before, after), size in zip(pairwise(widths), sizes[-2::-1], strict=True)
        ]
        return [*layers, Convolution(widths[-1], channels, self.kernel)]
