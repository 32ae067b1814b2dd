"""Optimisers: torch's own, by name, with the learning rate each is used to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import ParameterError
from .parts import Part, Table, is_number, is_whole, require

if TYPE_CHECKING:
    from torch import device, nn
    from torch.optim import Optimizer as TorchOptimizer


@dataclass(kw_only=True)
class Optimizer(Part, ABC):
    """How gradients move the weights; builds one of torch's optimisers."""

    rate: ClassVar[float] = 1e-3
    """The learning rate that "auto" stands for."""
    whole: ClassVar[bool] = False
    """Whether a step needs the loss of the same batch several times, and likes all rows in it."""

    elementwise: ClassVar[bool] = False
    """Whether a weight's step depends on that weight alone, so that stacked models can share it."""
    title: ClassVar[str]
    """The name of torch's class."""
    fused: ClassVar[bool] = False
    """Whether torch has it as one kernel, on processors and on CUDA."""
    capturable: ClassVar[bool] = False
    """Whether torch's step can be part of a CUDA graph."""

    def build(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        weight_decay: float,
        device: device,
    ) -> TorchOptimizer:
        """Return torch's optimiser over the parameters, fused where torch has it so."""
        import torch

        options = self.options(weight_decay)
        if self.fused and device.type in ("cpu", "cuda"):
            options["fused"] = True
        rate: float | torch.Tensor = learning_rate
        if self.capturable and device.type == "cuda":
            # A CUDA graph reads the rate from the device, so that a schedule can move it.
            options["capturable"] = True
            rate = torch.tensor(learning_rate, device=device)
        kind = getattr(torch.optim, self.title)
        return kind(list(parameters), lr=rate, **options)  # type: ignore[no-any-return]

    @abstractmethod
    def options(self, weight_decay: float) -> dict[str, Any]:
        """Return torch's keywords beside the learning rate."""


@dataclass(kw_only=True)
class _Adaptive(Optimizer):
    """The parameters that Adam and its kin share.

    Parameters
    ----------
    beta1, beta2
        Decay of the running mean of gradients and of their squares, from 0 to below 1.
    epsilon
        Added to the denominator; positive.
    """

    capturable: ClassVar[bool] = True
    elementwise: ClassVar[bool] = True
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def check(self) -> None:
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            good = is_number(value, 0, 1) and value < 1
            require(good, self, name, value, "a number from 0 to below 1")
        good = is_number(self.epsilon, 0) and self.epsilon > 0
        require(good, self, "epsilon", self.epsilon, "a positive number")

    def options(self, weight_decay: float) -> dict[str, Any]:
        return {
            "weight_decay": weight_decay,
            "betas": (self.beta1, self.beta2),
            "eps": self.epsilon,
        }


@dataclass(kw_only=True)
class Adam(_Adaptive):
    """Adam (Kingma and Ba, 2015)."""

    title: ClassVar[str] = "Adam"
    fused: ClassVar[bool] = True


@dataclass(kw_only=True)
class AdamW(_Adaptive):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    title: ClassVar[str] = "AdamW"
    fused: ClassVar[bool] = True


@dataclass(kw_only=True)
class NAdam(_Adaptive):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    title: ClassVar[str] = "NAdam"


@dataclass(kw_only=True)
class RAdam(_Adaptive):
    """Adam with its early variance rectified (Liu et al., 2020)."""

    title: ClassVar[str] = "RAdam"


@dataclass(kw_only=True)
class Adamax(_Adaptive):
    """Adam with the infinity norm (Kingma and Ba, 2015, section 7)."""

    title: ClassVar[str] = "Adamax"
    rate: ClassVar[float] = 2e-3


@dataclass(kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

    Losses are summed over a sample's features here, so learning rates are smaller than for losses
    that are averaged over them, by a factor of their number.

    Parameters
    ----------
    momentum
        Share of the last step that is kept, from 0 to below 1.
    nesterov
        Whether to look ahead by the momentum.
    """

    title: ClassVar[str] = "SGD"
    elementwise: ClassVar[bool] = True
    fused: ClassVar[bool] = True
    momentum: float = 0.9
    nesterov: bool = False

    def check(self) -> None:
        good = is_number(self.momentum, 0, 1) and self.momentum < 1
        require(good, self, "momentum", self.momentum, "a number from 0 to below 1")
        known = isinstance(self.nesterov, bool)
        require(known, self, "nesterov", self.nesterov, "True or False")
        good = not self.nesterov or self.momentum > 0
        require(good, self, "nesterov", self.nesterov, "False where momentum is 0")

    def options(self, weight_decay: float) -> dict[str, Any]:
        return {"weight_decay": weight_decay, "momentum": self.momentum, "nesterov": self.nesterov}


@dataclass(kw_only=True)
class RMSprop(Optimizer):
    """Gradients divided by a running mean of their size (Hinton, 2012).

    Parameters
    ----------
    alpha
        Decay of the running mean, from 0 to below 1.
    momentum
        Share of the last step that is kept, from 0 to below 1.
    """

    title: ClassVar[str] = "RMSprop"
    elementwise: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    alpha: float = 0.99
    momentum: float = 0.0

    def check(self) -> None:
        for name in ("alpha", "momentum"):
            value = getattr(self, name)
            good = is_number(value, 0, 1) and value < 1
            require(good, self, name, value, "a number from 0 to below 1")

    def options(self, weight_decay: float) -> dict[str, Any]:
        return {"weight_decay": weight_decay, "alpha": self.alpha, "momentum": self.momentum}


@dataclass(kw_only=True)
class Adagrad(Optimizer):
    """Steps that shrink with the gradients seen so far (Duchi et al., 2011)."""

    title: ClassVar[str] = "Adagrad"
    elementwise: ClassVar[bool] = True
    rate: ClassVar[float] = 1e-2

    def options(self, weight_decay: float) -> dict[str, Any]:
        return {"weight_decay": weight_decay}


@dataclass(kw_only=True)
class Adadelta(Optimizer):
    """Steps in proportion to past steps over past gradients (Zeiler, 2012).

    Parameters
    ----------
    rho
        Decay of the running means, from 0 to below 1.
    """

    title: ClassVar[str] = "Adadelta"
    elementwise: ClassVar[bool] = True
    rate: ClassVar[float] = 1.0
    capturable: ClassVar[bool] = True
    rho: float = 0.9

    def check(self) -> None:
        good = is_number(self.rho, 0, 1) and self.rho < 1
        require(good, self, "rho", self.rho, "a number from 0 to below 1")

    def options(self, weight_decay: float) -> dict[str, Any]:
        return {"weight_decay": weight_decay, "rho": self.rho}


@dataclass(kw_only=True)
class LBFGS(Optimizer):
    """Limited-memory quasi-Newton with a line search (Nocedal, 1980); best with all rows at once.

    Parameters
    ----------
    iterations
        Inner iterations a step; an epoch over one batch is one step.
    history
        Past steps that shape the curvature.
    """

    title: ClassVar[str] = "LBFGS"
    rate: ClassVar[float] = 1.0
    whole: ClassVar[bool] = True
    iterations: int = 20
    history: int = 10

    def check(self) -> None:
        for name in ("iterations", "history"):
            value = getattr(self, name)
            require(is_whole(value, 1), self, name, value, "a whole number from 1")

    def options(self, weight_decay: float) -> dict[str, Any]:
        if weight_decay:
            raise ParameterError(
                f"weight_decay={weight_decay!r}: LBFGS has no weight decay; use 0 or 'adamw'"
            )
        return {
            "max_iter": self.iterations,
            "history_size": self.history,
            "line_search_fn": "strong_wolfe",
        }


OPTIMIZERS: Table[Optimizer] = Table(
    "optimizers.Optimizer",
    adam="optimizers.Adam",
    adamw="optimizers.AdamW",
    nadam="optimizers.NAdam",
    radam="optimizers.RAdam",
    adamax="optimizers.Adamax",
    sgd="optimizers.SGD",
    rmsprop="optimizers.RMSprop",
    adagrad="optimizers.Adagrad",
    adadelta="optimizers.Adadelta",
    lbfgs="optimizers.LBFGS",
)
