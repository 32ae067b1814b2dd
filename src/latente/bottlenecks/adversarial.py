"""Adversarial: codes that a discriminator cannot tell from draws of the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.func import functional_call
from torch.nn import functional

from ..data.space import Shape
from ..parts import is_number, is_whole, require
from .base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encoding,
    Moment,
    Rival,
    Terms,
    require_alone,
)
from .priors import MatchedModule, perceptron


@dataclass(kw_only=True)
class Adversarial(Bottleneck):
    """Draw all codes together towards N(0, I), against a discriminator (Makhzani et al., 2015).

    ::

        h ──▶ z ──discriminator──▶ logit D(z)          cost "adversarial" = −log σ(D(z))
        its own step:   D(z), D(u), u ~ N(0, I)        minimises "discriminator" = its cross-entropy
                                                   + penalty / 2 · ‖∂D/∂u‖²

    The discriminator learns to tell codes from draws of the prior, by an optimiser of its own and
    on codes that stay as they are; the encoder learns that its codes are taken for such draws, and
    leaves the discriminator as it is. Both terms are log 2 = 0.69 nats where nothing can be told
    apart; "accuracy" is 0.5 there.

    The adversarial term depends on a discriminator that changes, so its values in two epochs cannot
    be compared: the weights kept are those with the lowest "reconstruction" of held-out rows. A
    spatial code is looked at flattened.

    Parameters
    ----------
    weight
        Price of one nat of the adversarial term, in units of the loss; 0 charges nothing.
    hidden
        Sizes of the discriminator's hidden layers.
    learning_rate
        Of the discriminator; None for the fit's own.
    penalty
        Price of the squared slope of the discriminator at draws of the prior (R1; Mescheder et al.,
        2018), without which the two may chase each other for ever; 0 charges nothing.
    """

    weight: float = 3.0
    hidden: Sequence[int] = (256, 256)
    learning_rate: float | None = None
    penalty: float = 1.0

    def check(self) -> None:
        for name in ("weight", "penalty"):
            value = getattr(self, name)
            require(is_number(value, 0), self, name, value, "a number of at least 0")
        several = isinstance(self.hidden, Sequence) and not isinstance(self.hidden, str)
        right = several and all(is_whole(size, 1) for size in self.hidden)
        require(right, self, "hidden", self.hidden, "a sequence of whole numbers from 1")
        rate = self.learning_rate
        right = rate is None or is_number(rate, 0)
        require(right, self, "learning_rate", rate, "None or a number of at least 0")

    def build(
        self, code_shape: Shape, input_shape: Shape, generator: Generator
    ) -> BottleneckModule:
        return AdversarialModule(code_shape, self, generator)


class AdversarialModule(MatchedModule):
    """Passes h on and charges for what the discriminator makes of it.

    Parameters
    ----------
    code_shape
        Of one code.
    part
        The description.
    generator
        Source of the discriminator's initial weights.
    """

    def __init__(self, code_shape: Shape, part: Adversarial, generator: Generator) -> None:
        super().__init__(code_shape)
        self.part = part.copy()
        sizes = [math.prod(code_shape), *(int(size) for size in part.hidden), 1]
        self.discriminator = perceptron(sizes, generator)

    def draw(self, encoding: Encoding, moment: Moment) -> Draw:
        # With weights that take no gradient: this term moves the encoder alone.
        fixed = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        logits: Tensor = functional_call(self.discriminator, fixed, (encoding.h.flatten(1),))
        fooled = functional.softplus(-logits.float()).squeeze(1)
        return Draw(encoding.h, {"adversarial": Cost(fooled, self.part.weight)})

    def rivals(self) -> list[Rival]:
        parameters = list(self.discriminator.parameters())
        return [Rival(parameters, self.discriminate, self.part.learning_rate)]

    def discriminate(self, encoding: Encoding, moment: Moment) -> Terms:
        """Return the discriminator's cross-entropy and accuracy of each row, (n,).

        Parameters
        ----------
        encoding
            Of a batch, without gradient.
        moment
            Random numbers and time.
        """
        z = encoding.h.detach().flatten(1).float()
        prior = z.new_empty(z.shape).normal_(generator=moment.generator).requires_grad_()
        own: Tensor = self.discriminator(z).float().squeeze(1)
        real: Tensor = self.discriminator(prior).float().squeeze(1)
        entropy = 0.5 * (functional.softplus(own) + functional.softplus(-real))
        right = 0.5 * ((own < 0).float() + (real > 0).float())
        reported = {"discriminator": entropy, "accuracy": right}
        if self.part.penalty == 0:
            return reported
        (slope,) = torch.autograd.grad(real.sum(), prior, create_graph=True)
        steepness = 0.5 * self.part.penalty * slope.square().sum(1)
        return {"discriminator_total": entropy + steepness, **reported}

    def watched(self) -> str:
        return "reconstruction"

    def check_network(self, needs_input: bool) -> None:
        require_alone(self.part, needs_input)
