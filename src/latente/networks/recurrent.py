"""Recurrent: layers that read and write step by step, for sequences and text.

::

    x (n, T, d) ──▶ ▢→▢→▢→▢ ─┐            z ──┬──▶ ▢→▢→▢→▢ ──▶ raw (n, [per_value,] T, d)
                  └▶ ▢←▢←▢←▢ ─┴─▶ h            └─ state, and each step's input ─┘

Steps behind the end of a sequence change nothing: the states of both directions are taken at its
ends. That is what packing does too (`torch.nn.utils.rnn.pack_padded_sequence`), but a packed batch
waits for the device and has another shape each time; a fixed shape goes into CUDA graphs and ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from ..data.space import Space
from ..errors import ParameterError
from ..parts import is_number, is_whole, require
from .base import Context, Dropout, Network, NetworkModule, code_size, require_activation
from .layers import DenseLayer, head_activation, initialized

State = tuple[Tensor, ...]
"""Of one layer, (n, hidden) each: its output, and for an LSTM its cell."""


@dataclass(kw_only=True)
class Recurrent(Network):
    """Recurrent encoder, and a decoder that writes a sequence from its code.

    ::

        x_1 … x_T ──layers, both ways──▶ last states ──▶ per_code · latent_dim
        z ──tanh(Wz + b)──▶ first state;   [z, x̂_{t-1}] ──layers──▶ raw_t      t = 1 … T

    Sutskever et al. (2014) and Srivastava et al. (2015), with the code at every step as in Cho et
    al. (2014). GRU: Cho et al. (2014); LSTM: Hochreiter and Schmidhuber (1997), with a forget gate
    that begins open (Jozefowicz et al., 2015); recurrent weights begin orthogonal (Saxe et al.,
    2014). Products are in float32 whatever the fit's precision.

    Parameters
    ----------
    cell
        "gru" or "lstm".
    hidden
        Size of the state in each layer and direction.
    layers
        Layers in the encoder, and in the decoder.
    bidirectional
        Whether the encoder also reads from the end.
    feedback
        Whether each step of the decoder sees its own output of the step before. Without it the
        steps need no loop in Python, which is faster.
    teacher_forcing
        With feedback, the share of steps that see the target's previous step in place of the
        decoder's own output while training (Williams and Zipser, 1989; a share: Bengio et al.,
        2015); with 1 training needs no loop. At use the decoder sees its own outputs alone.
    code_activation
        Name of the activation behind the code; of a variational code it acts on the mean alone.
    dropout
        Share of each layer's outputs set to zero while training, from 0 to below 1; the same ones
        at every step (Gal and Ghahramani, 2016).
    output_activation
        Name of the activation behind the decoder, or "auto".
    """

    cell: Literal["gru", "lstm"] = "gru"
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = True
    feedback: bool = True
    teacher_forcing: float = 0.5
    code_activation: str = "identity"
    dropout: float = 0.0

    def check(self) -> None:
        super().check()
        require(self.cell in CELLS, self, "cell", self.cell, "'gru' or 'lstm'")
        for name in ("hidden", "layers"):
            value = getattr(self, name)
            require(is_whole(value, 1), self, name, value, "a whole number from 1")
        for name in ("bidirectional", "feedback"):
            value = getattr(self, name)
            require(isinstance(value, bool), self, name, value, "True or False")
        share = is_number(self.teacher_forcing, 0, 1)
        require(share, self, "teacher_forcing", self.teacher_forcing, "a number from 0 to 1")
        require_activation(self, "code_activation")
        below_one = is_number(self.dropout, 0) and self.dropout < 1
        require(below_one, self, "dropout", self.dropout, "a number from 0 to below 1")

    def layout(self) -> str:
        return "sequences"

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
        for what, space in (("input", source), ("target", target)):
            if len(space.shape) != 2:
                raise ParameterError(
                    f"network='recurrent' works on sequences, but the {what} has "
                    f"{space.layout} of shape {space.shape}: give arrays (n, T, d), "
                    "X[..., None] where a step is one number, a list of arrays or of strings"
                )
        code = code_size(latent_dim)
        encoder = RecurrentEncoder(self, source, per_code, code)
        decoder = RecurrentDecoder(self, target, per_value, code)
        for half in (encoder, decoder):
            initialized(half, generator)
            for layer in half.modules():
                if isinstance(layer, nn.RNNBase):
                    start(layer, generator)
        return RecurrentModule(encoder, decoder, (code,))


class Gru(nn.GRU):
    """One layer of gated recurrent units whose weights wait for `start`."""

    def reset_parameters(self) -> None:
        """Draw nothing."""

    def step(self, x: Tensor, state: State) -> State:
        """Return the state (n, hidden) after a step's input (n, width)."""
        return (torch.gru_cell(x, state[0], *weights(self)),)

    def run(self, x: Tensor, state: State) -> Tensor:
        """Return the outputs (n, T, hidden) of all steps' inputs (n, T, width)."""
        return self(x, state[0][None].contiguous())[0]  # type: ignore[no-any-return]


class Lstm(nn.LSTM):
    """One layer of long short-term memory whose weights wait for `start`."""

    def reset_parameters(self) -> None:
        """Draw nothing."""

    def step(self, x: Tensor, state: State) -> State:
        """Return output and cell, (n, hidden) each, after a step's input (n, width)."""
        return torch.lstm_cell(x, state, *weights(self))

    def run(self, x: Tensor, state: State) -> Tensor:
        """Return the outputs (n, T, hidden) of all steps' inputs (n, T, width)."""
        begin = state[0][None].contiguous(), state[1][None].contiguous()
        return self(x, begin)[0]  # type: ignore[no-any-return]


CELLS: dict[str, type[Gru] | type[Lstm]] = {"gru": Gru, "lstm": Lstm}
STATES = {"gru": 1, "lstm": 2}
"""How many tensors make the state of a layer."""


def weights(layer: nn.RNNBase) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weights of a layer of one direction, as cells take them."""
    ours = [getattr(layer, name) for name in ("weight_ih_l0", "weight_hh_l0")]
    biases = [getattr(layer, name) for name in ("bias_ih_l0", "bias_hh_l0")]
    return ours[0], ours[1], biases[0], biases[1]


def start(layer: nn.RNNBase, generator: Generator) -> None:
    """Draw a layer's weights: Glorot's from the input, orthogonal ones from the state.

    Biases begin at 0, that of an LSTM's forget gate at 1.
    """
    for name, weight in layer.named_parameters():
        for gate in torch.split(weight.detach(), layer.hidden_size):
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate, generator=generator)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(gate, generator=generator)
            else:
                nn.init.zeros_(gate)
    if isinstance(layer, nn.LSTM):
        forget = slice(layer.hidden_size, 2 * layer.hidden_size)
        nn.init.ones_(layer.get_parameter("bias_ih_l0").detach()[forget])


def run(layer: nn.Module, x: Tensor, state: State) -> Tensor:
    """Return a layer's outputs (n, T, hidden) for the inputs (n, T, width) of all steps.

    An exporter is shown the steps one by one: it fixes the batch's size in whole layers.
    """
    assert isinstance(layer, Gru | Lstm)
    if not torch.compiler.is_compiling():
        return layer.run(x, state)
    outputs = []
    for step in x.unbind(1):
        state = layer.step(step, state)
        outputs.append(state[0])
    return torch.stack(outputs, 1)


def stack(part: Recurrent, widths: Sequence[int]) -> nn.ModuleList:
    """Return one layer of the part's cells for each width of input, batch first."""
    cell, hidden = CELLS[part.cell], int(part.hidden)
    return nn.ModuleList(cell(width, hidden, batch_first=True) for width in widths)


class RecurrentEncoder(nn.Module):
    """Reads a sequence from one end or both.

    ::

        x (n, T, d) ──▶ outputs (n, T, directions · hidden) ──▶ last of each ──▶ h

    Parameters
    ----------
    part
        The description.
    space
        Of the input; where it is ragged, the last feature is looked at for the length alone.
    per_code, code
        Numbers for each one of the code, and how many there are of these.
    """

    def __init__(self, part: Recurrent, space: Space, per_code: int, code: int) -> None:
        super().__init__()
        self.ragged, self.bidirectional = space.ragged, part.bidirectional
        self.hidden, self.states = int(part.hidden), STATES[part.cell]
        width = (2 if part.bidirectional else 1) * self.hidden
        features = space.shape[1] - (1 if space.ragged else 0)
        widths = [features, *[width] * (int(part.layers) - 1)]
        self.forth = stack(part, widths)
        self.back = stack(part, widths if part.bidirectional else [])
        self.dropout = Dropout(float(part.dropout))
        self.head = DenseLayer(width, per_code * code)
        self.activation = head_activation(part.code_activation, per_code)

    def forward(self, x: Tensor) -> Tensor:
        with exact(x):
            return self._read(x.float())

    def _read(self, x: Tensor) -> Tensor:
        length = torch.full((x.shape[0], 1), x.shape[1], device=x.device)
        if self.ragged:
            length = (x[..., -1] > 0.5).sum(1, keepdim=True).clamp(min=1)
            x = x[..., :-1]
        order = reversal(length, x.shape[1])
        state = (x.new_zeros(x.shape[0], self.hidden),) * self.states
        for i, layer in enumerate(self.forth):
            outputs = [run(layer, x, state)]
            if self.bidirectional:
                back = run(self.back[i], rearranged(x, order), state)
                outputs.append(rearranged(back, order))
            x = torch.cat(outputs, -1)
            x = x * self.dropout(torch.ones_like(x[:, :1]))
        last = rearranged(x, length - 1)[:, 0]
        if self.bidirectional:  # what reads from the end ends at the first step
            last = torch.cat([last[:, : self.hidden], x[:, 0, self.hidden :]], -1)
        h: Tensor = self.activation(self.head(last))
        return h


class RecurrentDecoder(nn.Module):
    """Writes a sequence step by step.

    ::

        z (n, code) ──▶ state, step's input ──▶ raw (n, [per_value,] T, d)

    Parameters
    ----------
    part
        The description.
    space
        Of the target.
    per_value
        How many numbers to give for each value.
    code
        Numbers in the code.
    """

    def __init__(self, part: Recurrent, space: Space, per_value: int, code: int) -> None:
        super().__init__()
        (self.steps, self.features), hidden = space.shape, int(part.hidden)
        self.per_value, self.feedback = per_value, part.feedback
        width = code + (self.features if part.feedback else 0)
        self.layers = stack(part, [width, *[hidden] * (int(part.layers) - 1)])
        self.first = DenseLayer(code, len(self.layers) * STATES[part.cell] * hidden)
        self.shape = (len(self.layers), STATES[part.cell], hidden)
        self.dropout = Dropout(float(part.dropout))
        self.forcing = Dropout(1 - float(part.teacher_forcing))
        self.head = DenseLayer(hidden, per_value * self.features)
        self.output: Callable[[Tensor], Tensor] = self._first

    def forward(self, z: Tensor, target: Tensor | None = None) -> Tensor:
        """Return the raw output of codes.

        Parameters
        ----------
        z
            Shape (n, code).
        target
            What is to be written, (n, T, d), of which some steps see the step before; None at use.
        """
        if target is not None and self.forcing.rate == 1:
            target = None
        with exact(z):
            z = z.float()
            if not self.feedback:
                raw = self._at_once(z, [])
            elif target is not None and self.forcing.rate == 0:
                raw = self._at_once(z, [nn.functional.pad(target[:, :-1], (0, 0, 1, 0))])
            else:
                raw = self._step_by_step(z, target)
        return self._split(raw)

    def _at_once(self, z: Tensor, seen: list[Tensor]) -> Tensor:
        """Return the raw output (n, T, numbers) where what each step sees is known before."""
        x = torch.cat([z[:, None].expand(-1, self.steps, -1), *seen], -1)
        for layer, state, mask in zip(self.layers, *self._begin(z), strict=True):
            x = run(layer, x, state) * mask[:, None]
        raw: Tensor = self.head(x)
        return raw

    def _step_by_step(self, z: Tensor, target: Tensor | None) -> Tensor:
        """Return the raw output (n, T, numbers) where each step sees what the last one gave."""
        states, masks = self._begin(z)
        seen = z.new_zeros(z.shape[0], self.features)
        forced = self.forcing(z.new_ones(z.shape[0], self.steps, 1)) > 0
        raw = []
        for t in range(self.steps):
            x = torch.cat([z, seen], -1)
            for i, layer in enumerate(self.layers):
                states[i] = layer.step(x, states[i])  # type: ignore[operator]
                x = states[i][0] * masks[i]
            raw.append(self.head(x))
            seen = self._seen(raw[-1])
            if target is not None:
                seen = torch.where(forced[:, t], target[:, t], seen)
        return torch.stack(raw, 1)

    def _begin(self, z: Tensor) -> tuple[list[State], list[Tensor]]:
        """Return each layer's first state, and what its outputs are multiplied by."""
        first = torch.tanh(self.first(z)).view(-1, *self.shape)
        states = [layer.unbind(1) for layer in first.unbind(1)]
        masks = [self.dropout(torch.ones_like(state[0])) for state in states]
        return states, masks

    def _seen(self, raw: Tensor) -> Tensor:
        """Return one step's x̂ (n, d) of its raw output (n, numbers)."""
        return self.output(self._split(raw[:, None]))[:, 0]

    def _first(self, raw: Tensor) -> Tensor:
        """Return the first of the numbers of each value: x̂ where no loss says what it is."""
        return raw if self.per_value == 1 else raw[:, 0]

    def _split(self, raw: Tensor) -> Tensor:
        """Return raw outputs (n, T, numbers) with an axis for the numbers of each value."""
        if self.per_value == 1:
            return raw
        return raw.view(*raw.shape[:2], self.per_value, self.features).movedim(2, 1)


class RecurrentModule(NetworkModule):
    """Recurrent halves; the decoder sees the target while training, and its own output."""

    encoder: RecurrentEncoder
    decoder: RecurrentDecoder

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        target = None if context is None else context.target
        if target is not None:
            target = target.repeat(len(z) // len(target), 1, 1)
        return self.decoder(z, target)  # type: ignore[no-any-return]

    def connect(self, output: Callable[[Tensor], Tensor]) -> None:
        self.decoder.output = output

    def squared_jacobian(self, x: Tensor, generator: Generator, probes: int) -> Tensor:
        """Return ``‖∂h/∂x‖²_F`` of each sample, (n,), without cuDNN: it has no second derivative.

        Arguments as those of the base class.
        """
        with torch.backends.cudnn.flags(enabled=False):
            return super().squared_jacobian(x, generator, probes)


def reversal(length: Tensor, steps: int) -> Tensor:
    """Return the order (n, T) that turns each sequence round within its length (n, 1).

    It is a permutation, and its own inverse: what lies behind the end is turned round there.
    """
    return (length - 1 - torch.arange(steps, device=length.device)) % steps


def rearranged(x: Tensor, order: Tensor) -> Tensor:
    """Return the steps of sequences (n, T, d) in an order (n, T')."""
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))


def exact(x: Tensor) -> AbstractContextManager[object]:
    """Return the context in which products are in float32: cells know no other type on a CPU."""
    if not torch.is_autocast_enabled(x.device.type):
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
