"""Dense: layers that see every value at once, for rows and small pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data.space import Space
from ..parts import is_number, require
from .base import (
    Context,
    Network,
    NetworkModule,
    Pace,
    Samples,
    code_size,
    require_activation,
    require_sizes,
)
from .layers import DenseLayer, head_activation, hidden_layers, initialized, start_at_zero
from .shortcut import ShortcutModule, pace_of, require_shortcut


@dataclass(kw_only=True)
class Dense(Network):
    """Fully connected encoder and a decoder that mirrors it (Hinton and Salakhutdinov, 2006).

    ::

        x ──flatten──▶ features ──hidden[0]──▶ … ──hidden[-1]──▶ per_code · latent_dim
        z (latent_dim) ──hidden[-1]──▶ … ──hidden[0]──▶ features ──▶ (n, *output_shape)

    With a shortcut, a linear map runs beside the hidden layers of each half, and the fit begins at
    PCA (`ShortcutModule`).

    Parameters
    ----------
    hidden
        Sizes of the encoder's hidden layers; the decoder's are the same, backwards.
    activation
        Name of the activation behind each hidden layer.
    code_activation
        Name of the activation behind the code; of a variational code it acts on the mean alone.
    output_activation
        Name of the activation behind the decoder, or "auto".
    tied
        Whether each decoder layer takes the transposed weights of the encoder layer it mirrors,
        with a bias of its own (Vincent et al., 2010, section 2.3). Of a variational code the
        decoder mirrors the mean's layer.
    dropout
        Share of each hidden layer's values set to zero while training, from 0 to below 1.
    shortcut
        "none", or "pca" for linear maps that begin as the principal components; not with tied
        weights or a code activation.
    residual
        Whether the network gives what is to be added to the damaged input rather than the restored
        one itself; nothing at first. Of an input with more values than the output, such as one
        with flags, the first are added to. A code alone cannot be decoded then.
    """

    hidden: Sequence[int] = (512, 256)
    activation: str = "relu"
    code_activation: str = "identity"
    tied: bool = False
    dropout: float = 0.0
    shortcut: Literal["none", "pca"] = "none"
    residual: bool = False

    def check(self) -> None:
        super().check()
        require_sizes(self, "hidden")
        require_activation(self, "activation")
        require_activation(self, "code_activation")
        require(isinstance(self.tied, bool), self, "tied", self.tied, "True or False")
        below_one = is_number(self.dropout, 0) and self.dropout < 1
        require(below_one, self, "dropout", self.dropout, "a number from 0 to below 1")
        curved = self.code_activation != "identity"
        against = {"tied": self.tied, "code_activation": curved}
        require_shortcut(self, self.shortcut, against)
        require(isinstance(self.residual, bool), self, "residual", self.residual, "True or False")
        alone = not self.tied and self.shortcut == "none"
        require(
            alone or not self.residual,
            self,
            "residual",
            self.residual,
            "False with tied weights or a shortcut",
        )

    def pace(self) -> Pace:
        return pace_of(self.shortcut)

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
        code, hidden = code_size(latent_dim), [int(size) for size in self.hidden]
        outputs = target.shape if per_value == 1 else (per_value, *target.shape)
        features = math.prod(source.shape)
        require(
            not self.tied or features == math.prod(outputs),
            self,
            "tied",
            self.tied,
            f"False where the decoder gives {math.prod(outputs)} values and the input has "
            f"{features}",
        )
        require(
            not self.residual or (per_value == 1 and features >= math.prod(outputs)),
            self,
            "residual",
            self.residual,
            f"False where the decoder gives {math.prod(outputs)} numbers and the input has "
            f"{features} values",
        )
        down = [DenseLayer(a, b) for a, b in pairwise([features, *hidden, per_code * code])]
        sizes = [code, *reversed(hidden), math.prod(outputs)]
        up: list[nn.Module] = [DenseLayer(a, b) for a, b in pairwise(sizes)]
        if self.tied:
            up = [TiedLinear(a, b) for a, b in zip(reversed(down), sizes, strict=False)]
        rate = float(self.dropout)
        encoder = nn.Sequential(
            nn.Flatten(),
            *hidden_layers(down[:-1], self.activation, rate),
            down[-1],
            head_activation(self.code_activation, per_code),
        )
        decoder = nn.Sequential(
            *hidden_layers(up[:-1], self.activation, rate),
            up[-1],
            *([nn.Unflatten(1, outputs)] if len(outputs) > 1 else []),
        )
        initialized(encoder, generator)
        initialized(decoder, generator)
        if self.shortcut == "pca":
            f, g = (encoder, decoder) if hidden else (None, None)
            return ShortcutModule(f, g, features, code, per_code, outputs, generator)
        if self.residual:
            start_at_zero(decoder)
            return ResidualModule(encoder, decoder, (code,))
        single = len(down) == 1 and per_code == 1
        module = SingleLayerModule if single else NetworkModule
        return module(encoder, decoder, (code,))


class ResidualModule(NetworkModule):
    """Dense halves that give what the encoder's input is to be changed by: x̂ = x̃ + raw."""

    def begin(self, samples: Samples, spread: float | None, generator: Generator) -> int:
        return 1  # what is added is nothing at first: training has to surpass the input itself

    def components(self) -> int:
        return 0

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        raw: Tensor = self.decoder(z)
        if context is None or context.inverse is None:
            return raw
        change = raw if context.missing is None else raw * context.missing.view_as(raw)
        first = context.x.flatten(1)[:, : raw[0].numel()]
        return context.inverse(first.view_as(raw)) + change

    def needs_input(self) -> bool:
        return True


class SingleLayerModule(NetworkModule):
    """Dense halves whose encoder is one layer, ``s(Wx + b)``: its derivative is known exactly."""

    def squared_jacobian(self, x: Tensor, generator: Generator, probes: int) -> Tensor:
        """Return ``Σ_j s'(a_j)² ‖W_j‖²``, (n,); arguments as those of the base class."""
        _, linear, activate = self.encoder.children()
        with torch.enable_grad():
            before: Tensor = linear(x.detach().flatten(1)).float()
            if not before.requires_grad:
                before.requires_grad_()
            (slope,) = torch.autograd.grad(activate(before).sum(), before, create_graph=True)
            return slope.square() @ linear.get_parameter("weight").square().sum(1)


class TiedLinear(nn.Module):
    """A linear layer that mirrors another: its weights transposed, a bias of its own.

    ::

        y = Wᵀ x + b'      where the other layer is  Wx + b

    The weight is the other layer's parameter itself, so an optimiser sees it once; the state dict
    leaves it to the other layer.

    Parameters
    ----------
    mirrored
        The other layer.
    in_features
        How many of its outputs to go back from, the first ones.
    """

    def __init__(self, mirrored: nn.Linear, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = mirrored.in_features
        self.weight = mirrored.weight
        self.bias = nn.Parameter(torch.zeros(self.out_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[: self.in_features].t(), self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, tied=True"

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        del destination[prefix + "weight"]

    def _load_from_state_dict(self, *args: Any) -> None:
        shared = self._parameters.pop("weight")
        try:
            super()._load_from_state_dict(*args)
        finally:
            self._parameters["weight"] = shared
