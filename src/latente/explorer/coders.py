"""What the explorer needs of a model: codes of samples, samples of codes, and how well they fit.

::

    x (m, *shape) ──passed──▶ codes (m, latent), x̂ (m, *shape), errors (m,), scores (m,)
    codes (m, latent) ──decode──▶ x̂ (m, *shape)             all in the model's scale

An autoencoder is one, principal components are another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..bottlenecks.base import Moment
from ..data.arrays import as_codes
from ..data.preparation import Preparation
from ..errors import ParameterError
from ..estimator import Autoencoder
from ..families import FAMILIES
from ..fitted import Fitted, block_rows, known
from ..parts import Part
from .samples import spread

Floats = NDArray[np.float32]

TRAINED_ON = 20_000
"""Rows, at most, that principal components are taken of."""


class Pass(NamedTuple):
    """What a model makes of samples."""

    codes: Tensor
    """Shape (m, latent)."""
    values: Tensor
    """The reconstructions in the model's scale, (m, *shape)."""
    errors: Tensor
    """Mean squared error of each in the model's scale, (m,); NaN where there is none."""
    scores: Tensor
    """How far each is from what is normal, (m,)."""


class Coder(ABC):
    """A model as the explorer uses it.

    Attributes
    ----------
    input, target
        How samples are brought to the model's scale, and what it gives is brought back.
    latent
        Numbers of a code.
    """

    input: Preparation
    target: Preparation
    latent: int

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what the model is, as plain JSON values."""

    @abstractmethod
    def decode_values(self, codes: Tensor) -> Tensor:
        """Return what codes (m, latent) stand for in the model's scale.

        Raises
        ------
        ParameterError
            If they cannot be decoded alone.
        """

    @abstractmethod
    def passed(self, x: Tensor, mask: Tensor | None = None) -> Pass:
        """Return what the model makes of samples in its scale, (m, *shape).

        Parameters
        ----------
        x
            The samples.
        mask
            Which pixels are missing, (m, 1, h, w), where `takes_mask`.
        """

    def module(self) -> nn.Module:
        """Return the module that holds what was learned; one without anything where none does."""
        return nn.Identity()

    def unscored(self, x: Tensor) -> Pass:
        """Return the same as `passed` without scores, which may take derivatives."""
        return self.passed(x)

    def takes_mask(self) -> bool:
        """Whether the model can be told which pixels are missing."""
        return False

    def is_generative(self) -> bool:
        """Whether codes alone can be decoded."""
        return True

    def decode(self, codes: NDArray[Any]) -> Floats:
        """Return what codes (m, latent) stand for in the model's scale, block by block."""
        checked = torch.from_numpy(as_codes(codes, self.latent))
        return np.asarray(in_blocks(self.decode_values, checked, self.block))

    @property
    def block(self) -> int:
        """How many samples are worked on at once."""
        return block_rows(int(np.prod(self.input.shape) + np.prod(self.target.shape)))


class AutoencoderCoder(Coder):
    """An autoencoder.

    Rows are not filled up to blocks of one size, as the estimator does: a single picture would take
    as long as a block. So results differ from the estimator's by the rounding of floats.

    Parameters
    ----------
    fitted
        Model and preparation.
    facts
        What the model is.
    """

    def __init__(self, fitted: Fitted, facts: dict[str, Any]) -> None:
        self.fitted, self._facts = fitted, facts
        self.input, self.target = fitted.input, fitted.target
        self.latent = int(np.prod(fitted.code_shape))

    @classmethod
    def of(cls, model: Autoencoder) -> AutoencoderCoder:
        """Return the coder of a fitted autoencoder."""
        parts = model.network_, model.bottleneck_, model.loss_
        return cls(model.fitted_, facts_of(model.fitted_, *parts, model.epochs_))

    def facts(self) -> dict[str, Any]:
        return self._facts

    def module(self) -> nn.Module:
        return self.fitted.model

    def takes_mask(self) -> bool:
        return self.fitted.takes_mask

    def is_generative(self) -> bool:
        return not self.fitted.model.network.needs_input()

    def decode_values(self, codes: Tensor) -> Tensor:
        shaped = codes.to(self.fitted.device).view(-1, *self.fitted.code_shape)
        with torch.no_grad():
            return self.fitted.model.decode_alone(shaped).float().cpu()

    def unscored(self, x: Tensor) -> Pass:
        model = self.fitted.model
        h, context = model.encode_seen(model.corruption.present(x))
        codes = model.bottleneck.code(h)
        values, none = model.decode(codes, context), torch.full((len(x),), torch.nan)
        errors = model.loss.error(values, known(x, values)) if self.target is self.input else none
        return Pass(codes.flatten(1), values, errors, none)

    def passed(self, x: Tensor, mask: Tensor | None = None) -> Pass:
        model, device = self.fitted.model, self.fitted.device
        x = x.to(device)
        mask = None if mask is None else mask.to(device)
        with torch.no_grad():
            if self.target is self.input:
                moment = Moment(torch.Generator(device).manual_seed(0))
                codes, values, terms = model.examine(x, moment, mask)
                errors, scores = model.loss.error(values, known(x, values)), terms["total"]
            else:  # what these samples should have become is not known
                h, context = model.encode_seen(model.corruption.present(x, mask))
                codes = model.bottleneck.code(h)
                values = model.decode(codes, context)
                errors = scores = torch.full((len(x),), torch.nan)
        parts = (codes.flatten(1), values, errors, scores)
        return Pass(*(part.float().cpu() for part in parts))


class PCACoder(Coder):
    """Principal components as a model: the linear autoencoder of least squared error.

    Parameters
    ----------
    preparation
        How samples are brought to the scale in which components are taken.
    mean
        Of the training samples, (values,).
    components
        Orthonormal rows, (latent, values).
    """

    def __init__(self, preparation: Preparation, mean: Tensor, components: Tensor) -> None:
        self.input = self.target = preparation
        self.mean, self.components = mean, components
        self.latent = len(components)

    @classmethod
    def learn(cls, preparation: Preparation, X: Any, latent: int) -> PCACoder:
        """Take the components of samples.

        Parameters
        ----------
        preparation
            Of a model of these samples.
        X
            Samples to learn from; of many, some.
        latent
            How many components.
        """
        from sklearn.decomposition import PCA

        x = preparation.convert(preparation.store(spread(X, TRAINED_ON), "X")).flatten(1)
        count = min(latent, *x.shape)
        with np.errstate(invalid="ignore"):  # rows that are all the same have no variance to share
            found = PCA(count, random_state=0).fit(x.nan_to_num().numpy())
        mean, components = (
            torch.from_numpy(np.ascontiguousarray(each, np.float32))
            for each in (found.mean_, found.components_)
        )
        return cls(preparation, mean, components)

    def facts(self) -> dict[str, Any]:
        return {
            "kind": "pca", "network": "principal components", "bottleneck": "none",
            "loss": "squared error", "parameters": self.mean.numel() + self.components.numel(),
            "epochs": None,
            "scores": "squared error of the reconstruction, summed over the values of a sample; "
            "higher is less normal",
        }  # fmt: skip

    def decode_values(self, codes: Tensor) -> Tensor:
        return (self.mean + codes @ self.components).view(-1, *self.target.shape)

    def passed(self, x: Tensor, mask: Tensor | None = None) -> Pass:
        flat = torch.where(x.isnan(), self.mean.view(1, *x.shape[1:]), x).flatten(1)
        codes = (flat - self.mean) @ self.components.T
        values = self.decode_values(codes)
        squares = (values.flatten(1) - flat).square()
        return Pass(codes, values, squares.mean(1), squares.sum(1))


def facts_of(
    fitted: Fitted, network: Any, bottleneck: Any, loss: Any, epochs: int
) -> dict[str, Any]:
    """Return what an autoencoder is, as plain JSON values.

    Parameters
    ----------
    fitted
        The model.
    network, bottleneck, loss
        The parts that it was built of.
    epochs
        How many it was trained.
    """
    title = name_of(loss, "loss")
    return {
        "kind": "autoencoder",
        "network": name_of(network, "network"),
        "bottleneck": name_of(bottleneck, "bottleneck"),
        "loss": title,
        "parameters": sum(each.numel() for each in fitted.model.parameters()),
        "epochs": epochs,
        "scores": f"loss of the sample ({title}, and what its code costs), summed over its values, "
        "as `latente score` gives it with the other sign; higher is less normal",
    }


def name_of(part: Any, family: str) -> str:
    """Return the name of a part in its family's table."""
    return FAMILIES[family].name_of(part) if isinstance(part, Part) else "custom"


def in_blocks(function: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Floats:
    """Apply a function of batches to rows, so many at a time."""
    if not len(rows):
        raise ParameterError("there are no rows to work on")
    parts = [function(part) for part in torch.split(rows, size)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)
