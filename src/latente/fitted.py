"""What a fit leaves behind: a model, and how its data are brought to it and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import inference
from .bottlenecks.frequencies import Frequencies
from .bottlenecks.mixture import kept_codes, sample_near
from .corruptions import Erase, Grayscale
from .data.batches import Batches
from .data.preparation import Preparation
from .errors import DataError, ParameterError
from .model import Model

Floats = NDArray[np.float32]

LOOKED_AT = 4096
"""Training rows whose codes are looked at after a fit."""
FEWER, FEWEST = 2**14, 16
"""Numbers in the codes kept of a model that has tables, and the least codes: it is to be small."""
ACTIVE = 0.01
"""Variance over the rows above which a code dimension counts as active (Burda et al., 2016)."""


@dataclass
class Fitted:
    """A model with the scales of its input and its target.

    ::

        X ──given──▶ x ──model──▶ x̂ ──wanted──▶ X̂

    Parameters
    ----------
    model
        On the device it runs on.
    given, wanted
        How inputs and targets are brought to the model's scale; one object where the input is its
        own target.
    code_shape
        Shape of one code.
    seed
        Of everything random in the fit.
    codes
        Codes of some training rows, (m, latent); what `sample` draws near where there is no prior.
    tables
        The prior of a rounded code as integer tables, for an entropy coder.
    """

    model: Model
    given: Preparation
    wanted: Preparation
    code_shape: tuple[int, ...]
    seed: int
    codes: Floats | None = None
    divergence: Floats | None = None
    active: int | None = None
    tables: Frequencies | None = None

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device

    @property
    def numbers(self) -> int:
        """How many numbers of work a row means, about."""
        return int(np.prod(self.given.shape) + np.prod(self.wanted.shape))

    def store(self, X: Any) -> Tensor:
        """Return rows, checked, as a tensor of their compact type."""
        return self.given.store(self.coloured(X), "X")

    @property
    def fills(self) -> bool:
        """Whether the model was trained to fill in what is missing."""
        return any(isinstance(part, Erase) for part in self.model.corruptions)

    @property
    def told(self) -> bool:
        """Whether the network has a channel that tells what is missing."""
        return any(isinstance(c, Erase) and c.mask_channel for c in self.model.corruptions)

    @property
    def colours(self) -> bool:
        """Whether the model was trained to give colours to grey pictures."""
        return any(isinstance(part, Grayscale) for part in self.model.corruptions)

    def coloured(self, X: Any) -> Any:
        """Return grey pictures (n, h, w) with three equal channels where colours are restored."""
        if not self.colours or getattr(X, "shape", ())[1:] != self.given.layout.shape[:2]:
            return X
        if isinstance(X, Tensor):
            return X[..., None].expand(*X.shape, 3)
        return np.broadcast_to(np.asarray(X)[..., None], (*X.shape, 3))

    def batches(self, X: Any, target: Any = None) -> Batches:
        """Return rows and targets, checked, in their compact type on the model's device."""
        x = self.store(X).to(self.device)
        if self.wanted is self.given and target is None:
            return Batches(x, self.given.convert)
        y = self.wanted.store(X if target is None else target, "target").to(self.device)
        if len(y) != len(x):
            raise DataError(f"target has {len(y)} rows but X has {len(x)}; they go row by row")
        return Batches(x, self.given.convert, y, self.wanted.convert)

    def encode(self, X: Any) -> Floats:
        """Return the codes of rows, (n, latent)."""
        return self._run(lambda x: self.model.encoder(x).flatten(1), self.store(X))

    def decode(self, Z: Floats) -> Any:
        """Return what codes (n, latent) stand for, in the target's shape, scale and dtype.

        Raises
        ------
        ParameterError
            If the model's decoder needs more than a code.
        """
        if self.model.bypassed:
            raise ParameterError(
                "a code alone cannot be decoded by this model: its network has skips=True or "
                "residual=True, which need the input too; use reconstruct(X)"
            )
        codes = torch.from_numpy(Z).view(-1, *self.code_shape)
        values = inference.run(self.model.decoder, codes, device=self.device, numbers=self.numbers)
        return self.wanted.restore(values)

    def reconstruct(self, X: Any, mask: Any = None) -> Any:
        """Return rows as they come back through their code."""
        return self.wanted.restore(self.restored(X, mask), X)

    def restored(self, X: Any, mask: Any = None) -> Floats:
        """Return the same in the model's shape and scale, (n, channels, height, width)."""
        stored = self.store(X)
        if mask is None:
            return self._run(self.model, stored)
        missing = self._missing(mask, len(stored))

        def restore(index: Tensor) -> Tensor:
            x = self.given.convert(stored[index].to(self.device))
            seen = self.model.encoder.presented(x, missing[index].to(self.device))
            return self.model(seen)  # type: ignore[no-any-return]

        index = torch.arange(len(stored))
        cpu = torch.device("cpu")
        return inference.run(restore, index, device=cpu, numbers=self.numbers)

    def _missing(self, mask: Any, rows: int) -> Tensor:
        """Return a mask as the corruptions take it, (n, 1, h, w), or say what is wrong with it."""
        if not self.fills:
            raise ParameterError(
                "mask: this model was not trained to fill in what is missing; "
                "fit it with corruption='erase'"
            )
        missing = torch.as_tensor(np.asarray(mask)) != 0
        height, width = self.given.shape[1:]
        wanted = (rows, height, width)
        if tuple(missing.shape) != wanted:
            raise DataError(
                f"mask has shape {tuple(missing.shape)}, but it goes with X pixel by pixel: "
                f"{wanted}, True where a pixel is missing"
            )
        return missing[:, None]

    def score(self, X: Any, target: Any = None) -> Floats:
        """Return minus the loss of each row through its deterministic code, (n,)."""
        return self._per_row(inference.negative_loss, X, target)

    def error(self, X: Any, target: Any = None) -> Floats:
        """Return the mean squared error of each row in the model's scale, (n,)."""

        def squared(model: Model, x: Tensor, y: Tensor) -> Tensor:
            error: Tensor = (model(x) - y).square().flatten(1).mean(1)
            return error

        return self._per_row(squared, X, target)

    def differences(self, X: Any, target: Any = None) -> Floats:
        """Return what the reconstruction adds to each value in the model's scale, (n, *shape)."""
        return self._per_row(lambda model, x, y: model(x) - y, X, target)

    def log_likelihood(self, X: Any, samples: int, seed: int) -> Floats:
        """Return an importance-weighted estimate of ``log p(x)`` in nats, (n,)."""
        generator = torch.Generator(self.device).manual_seed(seed)

        def estimate(model: Model, x: Tensor, y: Tensor) -> Tensor:
            return inference.log_likelihood(model, x, y, samples, generator)

        return self._per_row(estimate, X, None)

    def sample(self, n: int, generator: np.random.Generator) -> Any:
        """Return n new rows: from the prior, or near the codes of the training rows."""
        if self.codes is None:
            z = generator.standard_normal((n, int(np.prod(self.code_shape))), dtype=np.float32)
        else:
            z = sample_near(self.codes, n, generator)
        return self.decode(z)

    def look(self, batches: Batches) -> None:
        """Look at the codes of some training rows, once the weights are final."""
        order = np.random.default_rng(self.seed).permutation(len(batches))[:LOOKED_AT]
        index = torch.from_numpy(np.sort(order)).to(self.device)
        parts = torch.split(index, inference.block_rows(self.numbers))
        if self.model.bypassed:
            return
        if self.model.bottleneck.variational:
            x: Iterator[Tensor] = (batches.take(part)[0] for part in parts)
            divergence, spread = inference.latent_use(self.model, x)
            self.divergence = divergence.cpu().numpy()
            self.active = int((spread > ACTIVE).sum())
            self.codes = None
        else:
            with torch.no_grad():
                found = [self.model.encoder(batches.take(part)[0]).flatten(1) for part in parts]
            codes = torch.cat(found).float().cpu().numpy()
            if self.model.prior is not None:
                self.tables = self.model.bottleneck.tabulate(self.model.prior, codes)
                codes = codes[: max(FEWER // codes.shape[1], FEWEST)]
            self.codes = kept_codes(codes, self.seed)

    def _run(self, function: Any, stored: Tensor) -> Floats:
        return inference.run(
            lambda rows: function(self.given.convert(rows)),
            stored,
            device=self.device,
            numbers=self.numbers,
        )

    def _per_row(self, function: Any, X: Any, target: Any) -> Floats:
        batches = self.batches(X, target)
        index = torch.arange(len(batches), device=self.device)
        return inference.run(
            lambda rows: function(self.model, *batches.take(rows)),
            index,
            device=self.device,
            numbers=self.numbers,
        )
