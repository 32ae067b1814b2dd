"""Conv: layers that see a neighbourhood and halve the picture, for pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from ..errors import ParameterError
from ..parts import is_whole, listed, require
from .base import (
    DEFAULT_LATENT_DIM,
    Network,
    Pair,
    Shape,
    require_activation,
    require_code,
    require_sizes,
)
from .geometry import Size, halved, halvings

if TYPE_CHECKING:
    from torch import nn

SMALLEST = 4
"""Side of the smallest picture that convolutions take."""

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
    skips
        Whether the decoder also sees what each stage held before it halved (Ronneberger et al.,
        2015): what a code is too small for gets through, and a code alone cannot be decoded.
    residual
        Whether the network gives what is to be added to the damaged input rather than the restored
        picture itself (Zhang et al., 2017); with a sigmoid behind, what is to be added to the
        logits. An input with fewer channels than the output adds its first to each.
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
        from .initial import initialised
        from .stages import at_nothing, skipping, straight

        require_code(latent_dim, heads)
        sizes = self._sizes(input_shape, output_shape)
        halves = self._spatial if self.code == "spatial" else self._vector
        tail, head, code_shape, width = halves(sizes[-1], latent_dim, heads)
        join = skipping if self.skips else straight
        channels = (input_shape[0], output_shape[0])
        encoder, decoder = map(initialised, join(self, tail, head, width, sizes, channels))
        if self.residual:
            at_nothing(decoder)
        return Pair(encoder, decoder, code_shape, skips=self.skips, residual=self.residual)

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

    def _vector(
        self, size: Size, latent_dim: int | None, heads: int
    ) -> tuple[list[nn.Module], list[nn.Module], Shape, int]:
        """Return what makes a code of the last map, a map of a code, the code's shape, its width.

        ::

            map ──flatten──▶ hidden ──▶ heads · code        code ──▶ decoder_hidden ──▶ map
        """
        from torch import nn

        from .layers import head_activation, hidden_layers

        code = DEFAULT_LATENT_DIM if latent_dim is None else int(latent_dim)
        features: Shape = (int(self.channels[-1]), *size)
        flat = math.prod(features)
        hidden = [int(size) for size in self.hidden]
        back = hidden[::-1]
        if self.decoder_hidden is not None:
            back = [int(size) for size in self.decoder_hidden]
        *down, last = [nn.Linear(a, b) for a, b in pairwise([flat, *hidden, heads * code])]
        up = [nn.Linear(a, b) for a, b in pairwise([code, *back, flat])]
        tail = [
            nn.Flatten(),
            *hidden_layers(down, self.activation),
            last,
            head_activation(self.code_activation, heads),
        ]
        head = [*hidden_layers(up, self.activation), nn.Unflatten(1, features)]
        return tail, head, (code,), features[0]

    def _spatial(
        self, size: Size, latent_dim: int | None, heads: int
    ) -> tuple[list[nn.Module], list[nn.Module], Shape, int]:
        """Return the same for a code that is the last map itself, or a 1 × 1 convolution of it."""
        from .convolutions import Convolution
        from .layers import head_activation

        last = int(self.channels[-1])
        code = last if self.code_channels is None else int(self.code_channels)
        shape: Shape = (code, *size)
        if latent_dim is not None and latent_dim != math.prod(shape):
            raise ParameterError(
                f"latent_dim={latent_dim}: the spatial code of this network has "
                f"{'×'.join(map(str, shape))} = {math.prod(shape)} values; leave latent_dim out, "
                "or use code='vector'"
            )
        tail: list[nn.Module] = [head_activation(self.code_activation, heads)]
        if self.code_channels is not None or heads > 1:
            tail.insert(0, Convolution(last, heads * code, 1))
        return tail, [], shape, code
