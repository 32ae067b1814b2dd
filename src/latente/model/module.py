"""The module that joins the parts: corruption, encoder, bottleneck, decoder and loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..corruptions import Bounds, Corruption, corrupt
from .bottlenecks import Bottleneck, Encoding, Moment, Terms
from .losses import Loss


class Decoder(nn.Module):
    """A network's decoder with its output activation behind it.

    ::

        z (n, *code_shape) ──network──▶ raw ──link──▶ x̂ (n, *output_shape)
    """

    def __init__(self, network: nn.Module, link: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.link = link

    def forward(self, z: Tensor) -> Tensor:
        return self.link(self.network(z))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """A network's encoder with the bottleneck's deterministic code behind it.

    ::

        x (n, *input_shape) ──network──▶ h ──code──▶ z (n, *code_shape)
    """

    def __init__(self, network: nn.Module, bottleneck: Bottleneck) -> None:
        super().__init__()
        self.network = network
        self.bottleneck = bottleneck

    def forward(self, x: Tensor) -> Tensor:
        return self.bottleneck.code(self.network(x))


class Model(nn.Module):
    """An autoencoder whole.

    ::

        x ──corrupt──▶ x̃ ──encoder──▶ h ──bottleneck──▶ z ──decoder──▶ x̂ ──loss(x̂, target)──▶ terms

    Parameters
    ----------
    encoder, decoder
        Networks as `Network.build` makes them; the decoder's output is raw.
    link
        The output activation.
    bottleneck, loss, corruptions
        The parts.
    code_shape, output_shape
        Shape of one code, and of one target.
    bounds
        Lowest and highest value of the model's scale, where it has them.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        link: nn.Module,
        *,
        bottleneck: Bottleneck,
        loss: Loss,
        corruptions: Sequence[Corruption],
        code_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        bounds: Bounds,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(encoder, bottleneck)
        self.decoder = Decoder(decoder, link)
        self.bottleneck = bottleneck
        self.loss = loss
        self.corruptions = tuple(corruptions)
        self.bounds = bounds
        self.prior = bottleneck.prior(code_shape)
        self.learned = nn.ParameterDict(loss.learned(output_shape))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct a batch through its deterministic code."""
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]

    def objective(self, x: Tensor, target: Tensor, moment: Moment) -> Terms:
        """Return the loss terms of a batch as they are trained on: corrupted, codes drawn.

        Parameters
        ----------
        x, target
            Clean input and target in the model's scale, (n, *input_shape), (n, *output_shape).
        moment
            Random numbers and time.

        Returns
        -------
        dict
            "total", "reconstruction" and the bottleneck's costs, each (n,).
        """
        seen = corrupt(x, self.corruptions, moment.generator, self.bounds)
        if self.bottleneck.differentiates:
            with torch.enable_grad():
                return self._terms(seen.detach().requires_grad_(), target, moment, drawn=True)
        return self._terms(seen, target, moment, drawn=True)

    def evaluate(self, x: Tensor, target: Tensor, moment: Moment) -> Terms:
        """Return the loss terms of a clean batch through its deterministic code, each (n,)."""
        if self.bottleneck.differentiates:
            with torch.enable_grad():
                return self._terms(x.detach().requires_grad_(), target, moment, drawn=False)
        return self._terms(x, target, moment, drawn=False)

    def reconstruction_loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the loss of codes against their targets.

        Parameters
        ----------
        z
            Codes, (samples · n, *code_shape), sample by sample.
        target
            Targets, (n, *output_shape).

        Returns
        -------
        Tensor
            Shape (samples, n).
        """
        raw = self.decoder.network(z)
        output = (raw if self.loss.on_logits else self.decoder.link(raw)).float()
        samples = len(output) // len(target)
        if samples > 1:
            target = target.repeat(samples, *[1] * (target.dim() - 1))
        return self.loss(output, target, dict(self.learned.items())).view(samples, -1)

    def _terms(self, x: Tensor, target: Tensor, moment: Moment, *, drawn: bool) -> Terms:
        h = self.encoder.network(x)
        z = self.bottleneck.draw(h, moment.generator) if drawn else self.bottleneck.code(h)
        reconstruction = self.reconstruction_loss(z, target)
        encoding = Encoding(x, h, z, self.encoder.network, self.prior)
        return self.bottleneck.objective(reconstruction, encoding, moment)
