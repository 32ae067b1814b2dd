"""The module that joins the parts: corruption, encoder, bottleneck, decoder and loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .bottlenecks.table import Bottleneck, Encoding, Moment, Terms
from .corruptions import Bounds, Corruption, corrupt, present, seen_shape
from .losses import Loss
from .networks.base import Pair

LEAST_CHANCE = 0.01
"""A residual in logits starts from values at least so far from 0 and 1."""


class Around(NamedTuple):
    """What goes around the bottleneck, from the encoder to the decoder."""

    x: Tensor
    """The encoder's input, (n, channels, height, width)."""
    maps: tuple[Tensor, ...]
    """The feature maps of skip connections, none where there are no skips."""


class Decoder(nn.Module):
    """A network's decoder with its output activation behind it.

    ::

        z (n, *code_shape) ──network──▶ raw ──link──▶ x̂ (n, *output_shape)

    With a residual, raw is what the encoder's input is to be changed by: x̂ = x̃ + raw, or in logits
    where the link is a sigmoid, σ(logit(x̃) + raw).

    Parameters
    ----------
    network
        From z to what is raw.
    link
        The output activation.
    residual
        Whether there is a residual.
    fills
        Whether the input's last channel tells where alone it is to be changed: with 1, not with 0.
    """

    def __init__(
        self, network: nn.Module, link: nn.Module, *, residual: bool = False, fills: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.link = link
        self.residual = residual
        self.fills = fills

    def forward(self, z: Tensor, around: Around | None = None) -> Tensor:
        return self.link(self.raw(z, around))  # type: ignore[no-any-return]

    def raw(self, z: Tensor, around: Around | None = None) -> Tensor:
        """Return the output before its activation, of codes and of what went around them."""
        raw: Tensor = self.network(z, *(around.maps if around else ()))
        if not self.residual or around is None:
            return raw
        channels = raw.shape[1] if around.x.shape[1] >= raw.shape[1] else 1
        start = around.x[:, :channels]
        if isinstance(self.link, nn.Sigmoid):
            start = start.logit(LEAST_CHANCE)
        return start + (raw * around.x[:, -1:] if self.fills else raw)


class Encoder(nn.Module):
    """A network's encoder with the bottleneck's deterministic code behind it.

    ::

        x (n, *input_shape) ──present──▶ x̃ ──network──▶ h ──code──▶ z (n, *code_shape)

    Parameters
    ----------
    network
        From what it sees to h.
    bottleneck
        From h to z.
    corruptions
        What it was trained under: they tell what it is used to see of a sample.
    channels
        Of a sample as given, and of what the network sees.
    skips
        Whether the network passes feature maps around the bottleneck.
    """

    def __init__(
        self,
        network: nn.Module,
        bottleneck: Bottleneck,
        *,
        corruptions: Sequence[Corruption] = (),
        channels: tuple[int, int] = (1, 1),
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.bottleneck = bottleneck
        self.corruptions = tuple(corruptions)
        self.channels = channels
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        return self.bottleneck.code(self.hidden(x))

    def hidden(self, x: Tensor) -> Tensor:
        """Return the network's output h, of which the bottleneck makes codes."""
        return self.network(self.presented(x))  # type: ignore[no-any-return]

    def presented(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return samples as given in the form the network is used to; once is enough."""
        given, seen = self.channels
        if given != seen == x.shape[1]:
            return x
        return present(x, self.corruptions, mask)

    def around(self, seen: Tensor) -> tuple[Tensor, Around]:
        """Return h, and what goes around the bottleneck, of what the network sees."""
        if not self.skips:
            return self.network(seen), Around(seen, ())
        h, maps = self.network.maps(seen)  # type: ignore[operator]
        return h, Around(seen, tuple(maps))


class Model(nn.Module):
    """An autoencoder whole.

    ::

        x ──corrupt──▶ x̃ ──encoder──▶ h ──bottleneck──▶ z ──decoder──▶ x̂ ──loss(x̂, target)──▶ terms

    Parameters
    ----------
    pair
        The networks as `Network.build` makes them; the decoder's output is raw.
    link
        The output activation.
    bottleneck, loss, corruptions
        The parts.
    input_shape, output_shape
        Shape of one sample as given, and of one target.
    bounds
        Lowest and highest value of the model's scale, where it has them.
    """

    def __init__(
        self,
        pair: Pair,
        link: nn.Module,
        *,
        bottleneck: Bottleneck,
        loss: Loss,
        corruptions: Sequence[Corruption],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        bounds: Bounds,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(
            pair.encoder,
            bottleneck,
            corruptions=corruptions,
            channels=(input_shape[0], seen_shape(corruptions, input_shape)[0]),
            skips=pair.skips,
        )
        fills = [getattr(part, "mask_channel", False) for part in corruptions] == [True]
        self.decoder = Decoder(pair.decoder, link, residual=pair.residual, fills=fills)
        self.bottleneck = bottleneck
        self.loss = loss
        self.corruptions = tuple(corruptions)
        self.bounds = bounds
        self.prior = bottleneck.prior(pair.code_shape)
        bottleneck.__dict__["_bound"] = self.prior  # temporary, for the codec
        self.learned = nn.ParameterDict(loss.learned(output_shape))

    @property
    def bypassed(self) -> bool:
        """Whether the decoder needs more than the code: skip connections, or a residual."""
        return self.encoder.skips or self.decoder.residual

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct a batch, as given, through its deterministic code."""
        h, around = self.encoder.around(self.encoder.presented(x))
        return self.decoder(self.bottleneck.code(h), around)  # type: ignore[no-any-return]

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
        """Return the loss terms of a batch as given, through its deterministic code, each (n,)."""
        x = self.encoder.presented(x)
        if self.bottleneck.differentiates:
            with torch.enable_grad():
                return self._terms(x.detach().requires_grad_(), target, moment, drawn=False)
        return self._terms(x, target, moment, drawn=False)

    def reconstruction_loss(
        self, z: Tensor, target: Tensor, around: Around | None = None
    ) -> Tensor:
        """Return the loss of codes against their targets.

        Parameters
        ----------
        z
            Codes, (samples · n, *code_shape), sample by sample.
        target
            Targets, (n, *output_shape).
        around
            What went around the bottleneck, where the decoder needs it.

        Returns
        -------
        Tensor
            Shape (samples, n).
        """
        raw = self.decoder.raw(z, around)
        output = (raw if self.loss.on_logits else self.decoder.link(raw)).float()
        samples = len(output) // len(target)
        if samples > 1:
            target = target.repeat(samples, *[1] * (target.dim() - 1))
        return self.loss(output, target, dict(self.learned.items())).view(samples, -1)

    def code_objective(self, x: Tensor, target: Tensor, z: Tensor) -> Tensor:
        """Temporary: the loss and the costs of given codes, (n,)."""
        encoding = Encoding(x, z, z, self.encoder.network, self.prior)
        error = self.reconstruction_loss(z, target)
        return self.bottleneck.objective(error, encoding, Moment(torch.Generator(z.device)))[
            "total"
        ]

    def _terms(self, x: Tensor, target: Tensor, moment: Moment, *, drawn: bool) -> Terms:
        h, around = self.encoder.around(x)
        z = self.bottleneck.draw(h, moment.generator) if drawn else self.bottleneck.code(h)
        reconstruction = self.reconstruction_loss(z, target, around)
        encoding = Encoding(x, h, z, self.encoder.network, self.prior)
        return self.bottleneck.objective(reconstruction, encoding, moment)
