"""Custom: an encoder and a decoder of the user's own."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ..data.space import Shape, Space
from ..errors import ParameterError
from .base import Dropout, Network, NetworkModule


@dataclass(kw_only=True)
class Modules(Network):
    """A pair of torch modules that the user has made.

    They are copied when the network is built, so each fit starts from the weights given here and
    leaves them as they are. The size of the code is whatever the encoder returns.

    Parameters
    ----------
    encoder
        Maps (n, *input_shape) to (n, per_code · channels, ...), per_code being 2 for a variational
        bottleneck (means first, then log-variances) and 1 for most others.
    decoder
        Maps (n, channels, ...) to (n, *output_shape), without the output activation.
    output_activation
        Name of the activation behind the decoder, or "auto".
    """

    encoder: nn.Module
    decoder: nn.Module

    def check(self) -> None:
        super().check()
        for name in ("encoder", "decoder"):
            module = getattr(self, name)
            if not isinstance(module, nn.Module):
                raise ParameterError(
                    f"network: the {name} must be a torch.nn.Module, not {type(module).__name__}"
                )

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
        encoder, decoder = (own(module) for module in copy.deepcopy((self.encoder, self.decoder)))
        outputs = target.shape if per_value == 1 else (per_value, *target.shape)
        h = _tried("encoder", encoder, torch.zeros(2, *source.shape))
        code_shape = _code_shape(h, latent_dim, per_code)
        output = _tried("decoder", decoder, torch.zeros(2, *code_shape))
        if tuple(output.shape) != (2, *outputs):
            raise ParameterError(
                f"network: the decoder turns {_shape(2, *code_shape)} into "
                f"{_shape(*output.shape)}, but it should return {_shape(2, *outputs)}, "
                "like the target"
            )
        return NetworkModule(encoder, decoder, code_shape)


def own(module: nn.Module) -> nn.Module:
    """Return a module on the CPU whose dropout layers draw from the fit's generator."""
    for name, child in module.named_children():
        setattr(module, name, own(child))
    return Dropout(module.p) if type(module) is nn.Dropout else module.cpu()


def _tried(name: str, module: nn.Module, batch: Tensor) -> Tensor:
    """Return what the module makes of a batch, leaving its state."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            output = module(batch)
    except Exception as error:
        raise ParameterError(
            f"network: the {name} cannot take a batch of shape {_shape(*batch.shape)}: "
            f"{str(error).partition(chr(10))[0]}"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
    if not isinstance(output, torch.Tensor):
        raise ParameterError(
            f"network: the {name} must return a tensor, not {type(output).__name__}"
        )
    return output


def _code_shape(h: Tensor, latent_dim: int | None, per_code: int) -> Shape:
    """Return the shape of the code in the encoder's output for a batch of two."""
    if h.dim() < 2 or len(h) != 2 or h.shape[1] % per_code:
        wanted = "(n, channels, ...)" if per_code == 1 else f"(n, {per_code} · channels, ...)"
        raise ParameterError(
            f"network: the encoder turns a batch of 2 into {_shape(*h.shape)}, but it should "
            f"return {wanted}" + ("" if per_code == 1 else ", means first and then log-variances")
        )
    shape = (h.shape[1] // per_code, *h.shape[2:])
    if latent_dim is not None and latent_dim != math.prod(shape):
        raise ParameterError(
            f"latent_dim={latent_dim}: the encoder given as network makes codes of "
            f"{math.prod(shape)} values; leave latent_dim out"
        )
    return shape


def _shape(*sizes: int) -> str:
    return str(tuple(sizes))
