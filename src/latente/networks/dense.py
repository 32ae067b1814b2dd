"""Dense: layers that see every value at once, for rows and small pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..parts import is_number, require
from .base import (
    DEFAULT_LATENT_DIM,
    Network,
    Pair,
    Shape,
    require_activation,
    require_code,
    require_sizes,
)


@dataclass(kw_only=True)
class Dense(Network):
    """Fully connected encoder and a decoder that mirrors it (Hinton and Salakhutdinov, 2006).

    ::

        x ──flatten──▶ features ──hidden[0]──▶ … ──hidden[-1]──▶ heads · latent_dim
        z (latent_dim) ──hidden[-1]──▶ … ──hidden[0]──▶ features ──▶ (n, *output_shape)

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
        with a bias of its own (Vincent et al., 2010, section 2.3). Of a variational code's two
        heads the decoder mirrors the mean's.
    dropout
        Share of each hidden layer's values set to zero while training, from 0 to below 1.
    """

    hidden: Sequence[int] = (512, 256)
    activation: str = "relu"
    code_activation: str = "identity"
    tied: bool = False
    dropout: float = 0.0

    def check(self) -> None:
        super().check()
        require_sizes(self, "hidden")
        require_activation(self, "activation")
        require_activation(self, "code_activation")
        require(isinstance(self.tied, bool), self, "tied", self.tied, "True or False")
        below_one = is_number(self.dropout, 0) and self.dropout < 1
        require(below_one, self, "dropout", self.dropout, "a number from 0 to below 1")

    def build(
        self, input_shape: Shape, output_shape: Shape, latent_dim: int | None, heads: int
    ) -> Pair:
        from .initial import initialised
        from .layers import DenseDecoder, DenseEncoder

        require_code(latent_dim, heads)
        code = DEFAULT_LATENT_DIM if latent_dim is None else int(latent_dim)
        features, outputs = math.prod(input_shape), math.prod(output_shape)
        require(
            not self.tied or features == outputs,
            self,
            "tied",
            self.tied,
            f"False where the target has {outputs} values and the input {features}",
        )
        hidden = [int(size) for size in self.hidden]
        encoder = DenseEncoder(
            [features, *hidden, code],
            activation=self.activation,
            code_activation=self.code_activation,
            dropout=float(self.dropout),
            heads=heads,
        )
        decoder = DenseDecoder(
            [code, *reversed(hidden), outputs],
            output_shape,
            activation=self.activation,
            dropout=float(self.dropout),
            mirrored=encoder.linears() if self.tied else None,
        )
        return Pair(initialised(encoder), initialised(decoder), (code,))
