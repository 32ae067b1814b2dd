"""Fitting: how a fit is put together, from keywords and data to what is readable afterwards."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from . import choices
from .assembly import Parts, build_model, resolve_parts
from .data.preparation import Preparation
from .errors import DataError, TrainingWarning
from .fitted import Fitted
from .keywords import Keywords, check_keywords
from .training.hardware import find_device
from .training.loop import Trainer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .data.batches import Batches
    from .training.state import Record


class Fitting(Keywords):
    """The part of the estimator that nobody calls but itself."""

    history_: list[Record]

    def _begin(self, X: Any, target: Any, *, again: bool) -> tuple[Fitted, Parts]:
        """Learn scales and build the model, unless the fit goes on from an earlier one."""
        check_keywords(self)
        if again:
            return self._checked(X), self._parts
        given, _ = Preparation.learn(X, scaling=self.scaling, name="X")
        validate_data(self, given.header(X), reset=True, skip_check_array=True)
        self.n_features_in_ = given.n_features
        self.columns_ = given.names
        wanted = given
        if target is not None:
            wanted, _ = Preparation.learn(target, scaling=self.scaling, name="target")
        parts = resolve_parts(self, given, wanted)
        seed = choices.draw_seed(self.random_state)
        size = choices.choose_latent_dim(self.latent_dim, given.n_features)
        model, code_shape = build_model(parts, given, wanted, size, seed)
        model.to(find_device(str(self.device)))
        return Fitted(model, given, wanted, code_shape, seed), parts

    def _continue(self, trainer: Trainer, *, again: bool) -> Trainer:
        """Let a trainer go on from where the last one stopped, where there was one."""
        before: Trainer | None = getattr(self, "_trainer", None)
        if again:
            trainer.go_on(self.history_, before)
        return trainer

    def _finish(self, fitted: Fitted, parts: Parts, trainer: Trainer, batches: Batches) -> Self:
        """Set what a fit leaves behind."""
        fitted.look(batches)
        plan = trainer.plan
        self._parts, self._trainer = parts, trainer
        self.history_ = trainer.state.history
        self.stopped_ = trainer.stopped
        self.learning_rate_, self.batch_size_ = plan.learning_rate, plan.batch_size
        self.epochs_, self.precision_ = trainer.state.epoch, plan.precision
        self._expose(fitted, parts)
        if trainer.stopped in ("interrupted", "diverged"):
            warnings.warn(trainer.message, TrainingWarning, stacklevel=3)
        return self

    def _expose(self, fitted: Fitted, parts: Parts) -> None:
        """Make what was fitted readable under the names of the keywords."""
        self.fitted_ = fitted
        self.module_ = fitted.model
        self.encoder_, self.decoder_ = fitted.model.encoder, fitted.model.decoder
        self.code_shape_ = fitted.code_shape
        self.latent_dim_ = self._n_features_out = int(np.prod(fitted.code_shape))
        self.n_parameters_ = sum(p.numel() for p in fitted.model.parameters())
        self.network_, self.bottleneck_, self.loss_ = parts.network, parts.bottleneck, parts.loss
        self.corruption_ = list(parts.corruptions)
        self.optimizer_, self.schedule_ = parts.optimizer, parts.schedule
        self.device_ = str(fitted.device)
        self.scaling_ = fitted.given.scaling
        if fitted.divergence is not None:
            self.kl_per_dimension_, self.active_units_ = fitted.divergence, fitted.active

    def _checked(self, X: Any) -> Fitted:
        """Return what was fitted, once X is known to have the columns it was fitted on."""
        check_is_fitted(self, "fitted_")
        given = self.fitted_.coloured(X)
        self.fitted_.given.check_features(given)
        try:
            validate_data(
                self, self.fitted_.given.header(given), reset=False, skip_check_array=True
            )
        except ValueError as error:
            raise DataError(str(error)) from error
        return self.fitted_

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_trainer"}

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        from .snapshot import to_snapshot

        return to_snapshot(self)

    @classmethod
    def _from_state(
        cls,
        meta: dict[str, Any],
        tensors: dict[str, Tensor],
        network: tuple[nn.Module, nn.Module] | None,
    ) -> Self:
        from .snapshot import from_snapshot

        return from_snapshot(cls, meta, tensors, network)
