"""The module that joins the four that the parts build: an autoencoder whole.

::

    x ──corrupt──▶ x̃ ──encoder──▶ h ──bottleneck──▶ z ──decoder──▶ raw ──loss(raw, target)──▶ terms
                                                                     └──output──▶ x̂
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .bottlenecks.base import (
    BottleneckModule,
    Draw,
    Encoding,
    Floats,
    Moment,
    Rival,
    Terms,
)
from .corruptions.base import CorruptionModule
from .errors import ParameterError
from .losses.base import LossModule
from .networks.base import Context, NetworkModule, Samples
from .shares import Share, drawn_for


class Group(NamedTuple):
    """Parameters that one optimiser moves, and what it minimises."""

    parameters: list[nn.Parameter]
    objective: Callable[[Tensor, Tensor, Moment], Terms]
    """From input, target and moment to terms (n,), the first of which is minimised."""
    learning_rate: float | None = None
    """None for the fit's own."""


class Model(nn.Module):
    """An autoencoder whole; its four children are saved by their names.

    Parameters
    ----------
    corruption, network, bottleneck, loss
        What `Corruption.build`, `Network.build`, `Bottleneck.build` and `Loss.build` returned.
    """

    def __init__(
        self,
        corruption: CorruptionModule,
        network: NetworkModule,
        bottleneck: BottleneckModule,
        loss: LossModule,
    ) -> None:
        super().__init__()
        bottleneck.check_network(network.needs_input())
        network.connect(loss.output)
        self.corruption = corruption
        self.network = network
        self.bottleneck = bottleneck
        self.loss = loss

    def begin(self, samples: Samples, generator: torch.Generator) -> bool:
        """Look at training rows before the first step.

        Parameters
        ----------
        samples
            Gives random training rows, as the encoder sees them, and their targets.
        generator
            Source of random numbers.

        Returns
        -------
        bool
            Whether the model now stands for a solution that training has to surpass.
        """
        network, bottleneck = self.network, self.bottleneck
        rows = network.begin(samples, bottleneck.spread(), generator)
        bottleneck.begin(lambda n: samples(n)[0], network.encoder, generator)
        if rows:
            x, target = samples(rows)
            if self.corruption.keeps_gaps():
                target = torch.where(target.isnan(), target.nanmean(0).nan_to_num(), target)
            network.regress(bottleneck.code(network.encoder(x)), self.loss.inverse(target))
        return rows > 0

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the reconstruction x̂ of samples as they are, through their deterministic code.

        Parameters
        ----------
        x
            Shape (n, *input_shape), maybe damaged.
        mask
            Which pixels are missing, (n, 1, h, w), where the corruption takes a mask.
        """
        h, context = self.encode_seen(self.corruption.present(x, mask))
        return self.decode(self.bottleneck.code(h), context)

    def hidden(self, x: Tensor) -> Tensor:
        """Return the encoder's output h of samples as they are."""
        return self.encode_seen(self.corruption.present(x))[0]

    def encode(self, x: Tensor) -> Tensor:
        """Return the deterministic codes of samples as they are, (n, *code_shape)."""
        return self.bottleneck.code(self.hidden(x))

    def encode_seen(self, seen: Tensor) -> tuple[Tensor, Context]:
        """Return h of what the encoder sees, and what the decoder may see beside the code."""
        h, context = self.network.encode(seen)
        missing = self.corruption.missing(seen)
        return h, context._replace(inverse=self.loss.inverse, missing=missing)

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Return x̂ of codes, (n, *output_shape) in the model's scale."""
        return self.loss.output(self.network.decode(z, context))

    def decode_alone(self, z: Tensor) -> Tensor:
        """Return x̂ of the allowed codes nearest to z.

        Raises
        ------
        ParameterError
            If the decoder needs more than a code.
        """
        self.require_alone()
        return self.decode(self.bottleneck.nearest(z))

    def require_alone(self) -> None:
        """Raise `ParameterError` where the decoder needs more than a code."""
        if self.network.needs_input():
            raise ParameterError(
                "a code alone cannot be decoded by this model: its network has skips=True or "
                "residual=True, which need the input too; use reconstruct(X)"
            )

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
        return self._terms(x, self.corruption(x, moment.generator), target, moment)

    def evaluate(self, x: Tensor, target: Tensor, moment: Moment) -> Terms:
        """Return the loss terms of samples as they are, through their deterministic codes."""
        seen = self.corruption.present(x)
        return self._terms(x, seen, target, moment._replace(deterministic=True))

    def measure(
        self, x: Tensor, seen: Tensor, target: Tensor, moment: Moment
    ) -> tuple[Terms, Tensor]:
        """Return the loss terms of samples, costs of the whole batch too, and their x̂.

        Parameters
        ----------
        x, seen
            Samples, and what the encoder is to see of them.
        target
            Shape (n, *output_shape).
        moment
            Random numbers; codes are the deterministic ones.
        """
        moment = moment._replace(deterministic=True, together=True)
        terms, raw, _ = self._passed(x, seen, target, moment)
        return terms, self.loss.output(raw)

    def examine(
        self, x: Tensor, moment: Moment, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Terms]:
        """Return codes, x̂ and loss terms of samples as they are, in one pass.

        Parameters
        ----------
        x
            Samples that are their own targets, (n, *input_shape).
        moment
            Random numbers; codes are the deterministic ones.
        mask
            Which pixels are missing, (n, 1, h, w), where the corruption takes a mask.
        """
        seen = self.corruption.present(x, mask)
        terms, raw, z = self._passed(x, seen, x, moment._replace(deterministic=True))
        return z, self.loss.output(raw), terms

    def reconstruction_loss(
        self, z: Tensor, target: Tensor, context: Context | None = None
    ) -> Tensor:
        """Return the loss of codes against their targets, (samples, n).

        Parameters
        ----------
        z
            Codes, (samples · n, *code_shape), sample by sample.
        target
            Targets, (n, *output_shape).
        context
            What the decoder may see beside the code.
        """
        return self._compared(self.network.decode(z, context), target)

    def _compared(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of outputs (samples · n, ...) against targets (n, ...), (samples, n)."""
        samples = len(raw) // len(target)
        known = None
        if self.corruption.keeps_gaps():
            known = repeated((~target.isnan()).to(target.dtype), samples)
            target = target.nan_to_num()
        loss: Tensor = self.loss(raw, repeated(target, samples), known)
        return loss.view(samples, -1)

    def code_objective(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the loss and the price of codes, (n,), differentiable by them."""
        return self.reconstruction_loss(z, target)[0] + self.bottleneck.code_cost(z)

    def log_ratio(
        self, h: Tensor, target: Tensor, samples: int, generator: torch.Generator
    ) -> Tensor:
        """Return ``log p(x, z) − log q(z | x)`` of codes drawn for each sample, (samples, n).

        Raises
        ------
        ParameterError
            If codes have no distribution, or the loss is no likelihood.
        """
        z = self.bottleneck.posterior(h, samples, generator)
        density = self.loss.log_density(self.network.decode(z), repeated(target, samples))
        return self.bottleneck.log_ratio(h, z, self.network.encoder) + density.view(samples, -1)

    def sample(self, n: int, generator: torch.Generator, codes: Floats) -> Tensor:
        """Return new codes, (n, *code_shape), from what the bottleneck draws them from."""
        return self.bottleneck.sample(n, generator, codes=codes, encode=self.network.encoder)

    def groups(self) -> list[Group]:
        """Return what is trained: all parameters as one, but for what works against the rest."""
        rivals = self.bottleneck.rivals()
        groups = [
            Group(list(rival.parameters), partial(self._rival_terms, rival), rival.learning_rate)
            for rival in rivals
        ]
        apart = {id(p) for group in groups for p in group.parameters}
        rest = [p for p in self.parameters() if id(p) not in apart]
        return [Group(rest, self.objective), *groups]

    def _terms(self, x: Tensor, seen: Tensor, target: Tensor, moment: Moment) -> Terms:
        return self._passed(x, seen, target, moment)[0]

    def _passed(
        self, x: Tensor, seen: Tensor, target: Tensor, moment: Moment
    ) -> tuple[Terms, Tensor, Tensor]:
        """Return the loss terms, the decoder's raw output, and the codes it was made of."""
        h, context = self.encode_seen(seen)
        if self.training:
            context = context._replace(target=target)
        share = self._shared(moment)
        encoding = self._encoding(x, seen, h, share)
        with drawn_together(moment, share):
            draw: Draw = self.bottleneck.draw(encoding, moment)
        z = draw.z if share is None else own_codes(draw.z, share)
        raw = self.network.decode(z, context)
        self.loss.share = moment.share
        try:
            reconstruction = self._compared(raw, target)
        finally:
            self.loss.share = None
        if share is not None:
            reconstruction = share.whole(reconstruction, 1)
        with drawn_together(moment, share):
            terms = self.bottleneck.objective(reconstruction, encoding, draw, moment)
        return own_terms(terms, share), raw, z

    def _shared(self, moment: Moment) -> Share | None:
        """Return this process's share of a batch whose rows the bottleneck has to see together."""
        return None if self.bottleneck.is_rowwise() else moment.share

    def _rival_terms(self, rival: Rival, x: Tensor, target: Tensor, moment: Moment) -> Terms:
        with torch.no_grad():
            seen = self.corruption(x, moment.generator)
            h, _ = self.network.encode(seen)
        share = self._shared(moment)
        encoding = self._encoding(x, seen, h, share)
        with drawn_together(moment, share):
            return own_terms(rival.objective(encoding, moment), share)

    def _encoding(self, x: Tensor, seen: Tensor, h: Tensor, share: Share | None) -> Encoding:
        """Return what the bottleneck may look at: of the rows of all processes, where they share.

        Parameters
        ----------
        x, seen, h
            Of this process's rows.
        share
            Which they are of those that the bottleneck sees; None where they are all of them.
        """
        network = self.network

        def jacobian(generator: torch.Generator, probes: int) -> Tensor:
            return network.squared_jacobian(seen, generator, probes)

        def clean() -> Tensor:
            return self.corruption.present(x)

        if share is None:
            return Encoding(h, network.encoder, jacobian, clean)

        def whole_jacobian(generator: torch.Generator, probes: int) -> Tensor:
            with drawn_for(generator, share):
                return share.whole(jacobian(generator, probes))

        return Encoding(
            share.whole(h), network.encoder, whole_jacobian, lambda: share.whole(clean())
        )


def drawn_together(moment: Moment, share: Share | None) -> AbstractContextManager[None]:
    """Return the context in which draws are for the rows of all processes, where they share."""
    return nullcontext() if share is None else drawn_for(moment.generator, None)


def own_codes(z: Tensor, share: Share) -> Tensor:
    """Return a process's rows of codes (samples · n, ...), sample by sample."""
    return share.own(z.view(-1, share.total, *z.shape[1:]), 1).flatten(0, 1)


def own_terms(terms: Terms, share: Share | None) -> Terms:
    """Return a process's rows of loss terms (n,)."""
    if share is None:
        return terms
    return {name: share.own(value) for name, value in terms.items()}


def repeated(target: Tensor, samples: int) -> Tensor:
    """Return targets (n, ...) once for each code of a sample, (samples · n, ...)."""
    return target if samples == 1 else target.repeat(samples, *[1] * (target.dim() - 1))


class Encoder(nn.Module):
    """A model's way from samples to codes, as a module of its own.

    ::

        x (n, *input_shape) ──present──▶ x̃ ──network──▶ h ──bottleneck──▶ z (n, *code_shape)

    Parameters
    ----------
    model
        Whose encoder it is; the weights are shared.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.corruption = model.corruption
        self.network = model.network.encoder
        self.bottleneck = model.bottleneck

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.bottleneck.code(self.network(self.corruption.present(x, mask)))


class Decoder(nn.Module):
    """A model's way from codes to samples, as a module of its own.

    ::

        z (n, *code_shape) ──nearest──▶ allowed code ──network──▶ raw ──output──▶ x̂

    Parameters
    ----------
    model
        Whose decoder it is; the weights are shared. It needs no more than a code.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.bottleneck = model.bottleneck
        self.network = model.network.decoder
        self.loss = model.loss

    def forward(self, z: Tensor) -> Tensor:
        return self.loss.output(self.network(self.bottleneck.nearest(z)))
