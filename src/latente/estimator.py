"""The estimator: an autoencoder with scikit-learn's manners."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from . import persistence
from .bottlenecks.base import Bottleneck
from .build import (
    Parts,
    agreed_seed,
    as_seed,
    build_model,
    check_params,
    check_size,
    check_streamed,
    choose_latent_dim,
    choose_validation,
    data_layout,
    fingerprint,
    keeps_gaps,
    make_plan,
    resolve_parts,
)
from .corruptions.base import Corruption
from .data.arrays import as_array, as_codes
from .data.batches import Batches, weighted_rows
from .data.opening import opened, streamed
from .data.preparation import Preparation
from .data.sources import Source
from .data.stream import Stream
from .errors import DataError, ParameterError, TrainingWarning
from .evaluation import Evaluation, evaluate
from .families import FAMILIES
from .fitted import Fitted
from .losses.base import Loss
from .model import Decoder, Encoder
from .networks.base import Network
from .optimizers import Optimizer
from .parts import is_whole, resolve
from .schedules import Schedule
from .summary import Summary, summarize
from .training.checkpoint import Checkpoint
from .training.distributed import processes
from .training.hardware import find_device, memory_of
from .training.loop import Trainer
from .training.progress import ReadingLine
from .training.state import Record

Floats = NDArray[np.float32]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder: learns a code for each row or picture, and the way back.

    ::

        X ──transform──▶ Z (n, latent) ──inverse_transform──▶ X̂, in X's shape, scale and dtype

    A part is given as an object, a name, or a call written as text: ``Gaussian(beta=4)``,
    ``"gaussian"``, ``"gaussian(beta=4)"``. What "auto" chose is readable after the fit, in the
    attribute of the same name with a trailing underscore.

    Parameters
    ----------
    latent_dim : int or "auto"
        Numbers in the code.
    network : Network, str, or pair of modules
        A name such as "dense" or "conv", or ``(encoder, decoder)``, two `torch.nn.Module` of your
        own, the decoder without its output activation. "auto" begins as PCA and learns what that
        leaves (``shortcut="pca"``): "dense" for rows and pictures, "conv" for pictures of more than
        20,000 values; "recurrent" for sequences.
    bottleneck : Bottleneck or str
        What the code is and costs: a name such as "plain", "gaussian" (variational) or "rounded"
        (for compression).
    corruption : Corruption, str, list of them, or None
        What the encoder sees instead of the clean input while training.
    loss : Loss or str
        A name such as "squared" or "bernoulli"; "auto" takes "bernoulli" for binary values and for
        variational models of values in [0, 1], "gaussian" for other variational models,
        "categorical" for texts, "squared" otherwise.
    optimizer : Optimizer or str
        One of torch's: "adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta", "lbfgs" ...
    schedule : Schedule or str
        How the learning rate changes: "constant", "cosine", "one_cycle", "plateau" ...; "auto"
        takes "one_cycle" for networks that begin as PCA, "constant" for others.
    learning_rate : float or "auto"
        "auto" is the rate the optimiser is used to (0.001 for Adam), five times that with the
        schedule that "auto" takes for networks that begin as PCA.
    weight_decay : float
        Decay of the weights, as the optimiser understands it.
    gradient_clip : float or None
        Largest norm of the gradient.
    batch_size : int or "auto"
        Rows in a step; "auto" takes 256 for networks that begin as PCA, 32 to 256 by the number of
        rows for others, all rows for L-BFGS.
    epochs : int or "auto"
        Passes over the data, at most 400; "auto" aims at 1,500 steps for networks that begin as PCA
        (more from 5,000 rows on, with the root of their number), at 8,000 for others.
    validation_fraction : float or "auto"
        Share of the rows held out; the weights with their lowest loss are kept. "auto" takes a
        tenth, or of few rows forty, but no more than a quarter. A network that
        begins as PCA stays it, of all rows, unless the held-out rows show a gain beyond chance.
    patience : int, "auto" or None
        Epochs without a lower validation loss after which the fit ends; "auto" takes 30, or seven
        tenths of the epochs where that is more and the network begins as PCA, where `epochs` is
        "auto", and otherwise none: epochs that are asked for are trained.
    layout : str
        What the axes of X mean: "rows" (n, features), "pictures" (n, h, w) or (n, h, w, c),
        "sequences" (n, T, d); "auto" takes three axes for pictures unless the network is one of
        sequences, and lists of strings, or of arrays of several lengths, for sequences.
    scaling : str
        How values are brought to the model's scale: "unit", "standard", "minmax", "robust",
        "none", or "auto".
    unseen : str
        What becomes of a category in a data frame that the fit never saw: "ignore" takes it for
        none of the known ones, and a warning tells it once; "error" refuses it.
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    precision : str
        "float32", "bf16", or "auto": bf16 where the hardware multiplies in it and it pays; longer
        fits on a processor try both, and `precision_` tells which was faster.
    warm_start : bool
        Whether `fit` goes on from the present weights.
    callbacks : object, list of objects, or None
        Told of each epoch by ``on_epoch_end(state)``.
    random_state : int, RandomState or None
        Seed of weights, order and noise. The same seed gives the same weights on one device.
    verbose : int or "curve"
        1 shows a progress bar on a terminal or in a notebook; 2 also prints a line an epoch,
        anywhere; "curve" shows the bar and the curve of the loss.

    Attributes
    ----------
    module_, encoder_, decoder_ : torch.nn.Module
        In the model's scale: pictures as (n, channels, height, width).
    history_ : list of dict
        The loss terms of each epoch, by name.
    code_shape_, latent_dim_ : tuple, int
        Shape and size of one code.
    kl_per_dimension_, active_units_ : ndarray, int
        Variational only: nats in each code dimension, and how many of them carry anything. Other
        bottlenecks tell other things: `fitted_.summary`.
    dead_units_ : dict of list
        Of each activated layer, how many units give one value for all data, and how many it has.
    columns_ : list of str or None
        Names of the columns, where X was a data frame, or `latente fit` read them from a file.
    stopped_ : str or None
        What ended the fit early: "patience", "callback", "interrupted", "diverged".
    best_epoch_ : int
        The epoch whose weights are kept; 0 is the start.
    streamed_ : bool
        Whether the rows stayed on the disk while the model was trained.

    Examples
    --------
    >>> from latente import Autoencoder, datasets
    >>> digits = datasets.load("digits")
    >>> ae = Autoencoder(latent_dim=2, epochs=5, random_state=0).fit(digits.X)
    >>> ae.transform(digits.X_test).shape[1]
    2
    """

    def __init__(
        self,
        latent_dim: int | str = "auto",
        *,
        network: str | Network | tuple[torch.nn.Module, torch.nn.Module] = "auto",
        bottleneck: str | Bottleneck = "plain",
        corruption: str | Corruption | list[str | Corruption] | None = None,
        loss: str | Loss = "auto",
        optimizer: str | Optimizer = "adam",
        schedule: str | Schedule = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        gradient_clip: float | None = None,
        batch_size: int | str = "auto",
        epochs: int | str = "auto",
        validation_fraction: float | str = "auto",
        patience: int | str | None = "auto",
        layout: str = "auto",
        scaling: str = "auto",
        unseen: str = "ignore",
        device: str = "auto",
        precision: str = "auto",
        warm_start: bool = False,
        callbacks: Any = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.network = network
        self.bottleneck = bottleneck
        self.corruption = corruption
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.layout = layout
        self.scaling = scaling
        self.unseen = unseen
        self.device = device
        self.precision = precision
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    fitted_: Fitted
    history_: list[Record]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep
            Whether to return those of each part, too, given as an object, a name or a call:
            ``network__hidden``.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        for name, table in FAMILIES.items() if deep else ():
            if isinstance(params[name], str) and params[name] != "auto":
                with contextlib.suppress(ParameterError):  # a wrong name is told by `fit`
                    inner = resolve(params[name], table, name).get_params()
                    params |= {f"{name}__{key}": value for key, value in inner.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of a part given by name: ``network__hidden=(64,)``.

        Raises
        ------
        ParameterError
            If a parameter of a part is set that has no such parameters of its own.
        """
        for name, table in FAMILIES.items():
            nested = [key for key in params if key.startswith(f"{name}__")]
            spec = params.get(name, getattr(self, name))
            if not nested:
                continue
            if not isinstance(spec, str | table.base) or spec == "auto":
                raise ParameterError(
                    f"{nested[0]} cannot be set while {name}={spec!r}; set {name} first, to one of "
                    f"{', '.join(map(repr, table))}"
                )
            if isinstance(spec, str):
                params = {**params, name: resolve(spec, table, name)}
        super().set_params(**params)
        return self

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        target: Any = None,
        sample_weight: Any = None,
        validation: Any = None,
        checkpoint: str | Path | None = None,
    ) -> Self:
        """Learn to reconstruct X, or to turn X into the target.

        Parameters
        ----------
        X
            Rows (n, features), also as a sparse matrix of SciPy's, pictures (n, h, w) or
            (n, h, w, c), sequences (n, T, d), a list of arrays (T, d) of several lengths, a list of
            strings, or a data frame. Or where they lie: a file or a folder that
            `latente.datasets.read` reads, a `pyarrow.dataset.Dataset`, or a function that returns
            an iterable of `pyarrow.RecordBatch`. What is so given, and a memory map, is streamed
            where it takes more than a quarter of the memory; `latente.datasets.stream` says so of
            any data.
        y
            Ignored: a pipeline passes labels here.
        target
            What to reconstruct instead of X, row by row; a clean version of it, say.
        sample_weight
            How much each row counts in the loss beside the others, shape (n,), from 0; their mean
            is brought to 1, and rows of weight 0 are left out. Scales are learned from the other
            rows alike, and what a bottleneck measures over a whole batch counts them alike.
        validation
            Samples like X to validate on instead of a share of X (`validation_fraction`): the
            weights with their lowest loss are kept. They are never trained on. With a target,
            ``(X, target)``.
        checkpoint
            A folder to which the state of the fit is written as it goes; a fit that was killed goes
            on from there and ends at the same weights as one that was not.

        Raises
        ------
        DataError
            If X holds NaN or infinity, or cannot be used as it is.
        ParameterError
            If a parameter cannot work.
        TrainingError
            If training diverges before one epoch is done, or the device's memory is too small.
        """
        again = bool(self.warm_start) and hasattr(self, "fitted_")
        params = self.get_params(deep=False)
        check_params(params, held_out=validation is not None)
        X, target = streamed(X), streamed(target, "target")
        X, target, weights = weighted_rows(X, target, sample_weight)
        given = held_out = None
        with ReadingLine(bool(self.verbose) and processes().leads):
            fitted, parts, batches = self._begin(params, X, target, again=again)
            training = batches = batches.with_weights(weights)
            if validation is not None:
                given = held_out = self._validation(fitted, validation, target)
            else:
                generator = torch.Generator().manual_seed(fitted.seed)
                share = choose_validation(self.validation_fraction, batches)
                training, held_out = batches.split(share, generator)
            if processes().alone:
                training.prepare()
        plan = make_plan(params, parts, len(training), fitted.model, fitted.seed)
        trainer = self._continue(Trainer(fitted.model, plan, processes()), again=again)
        folder = _agreed(trainer, params, batches, given, checkpoint)
        trainer.fit(training, held_out, folder, apart=given is not None)
        return self._finish(fitted, parts, trainer, training)

    def partial_fit(
        self, X: Any, y: Any = None, *, target: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train one epoch more on these rows; the first call also learns scale and shapes.

        Parameters
        ----------
        X, target, sample_weight
            As for `fit`.
        y
            Ignored.
        """
        again = hasattr(self, "fitted_")
        params = self.get_params(deep=False)
        check_params(params)
        if self.schedule == "auto":  # the usual one is laid over a whole fit, which has no end here
            params["schedule"] = "constant"
        params["epochs"], params["patience"] = 1, None
        X, target = streamed(X), streamed(target, "target")
        X, target, weights = weighted_rows(X, target, sample_weight)
        fitted, parts, batches = self._begin(params, X, target, again=again)
        batches = batches.with_weights(weights)
        plan = make_plan(params, parts, len(batches), fitted.model, fitted.seed)
        trainer = self._continue(Trainer(fitted.model, plan, processes()), again=again)
        _agreed(trainer, params, batches)
        trainer.fit(batches, None)
        return self._finish(fitted, parts, trainer, batches)

    def _begin(
        self, params: dict[str, Any], X: Any, target: Any, *, again: bool
    ) -> tuple[Fitted, Parts, Batches | Stream]:
        """Learn scales and build the model, unless the fit goes on from an earlier one."""
        if again:
            fitted = self._checked(X)
            return fitted, self._parts, fitted.rows(X, target)
        reading: dict[str, Any] = {
            "scaling": self.scaling, "layout": data_layout(params), "unseen": self.unseen,
            "gaps": keeps_gaps(params),
        }  # fmt: skip
        source, stored = learned(X, "X", **reading)
        wanted, stored_target = source, None
        if target is not None:
            wanted, stored_target = learned(target, "target", **reading)
        validate_data(self, source.header(head_of(X)), reset=True, skip_check_array=True)
        self.n_features_in_ = source.n_features
        self.columns_ = source.names
        parts = resolve_parts(params, source.space, wanted.space)
        seed = agreed_seed(self.random_state)
        size = choose_latent_dim(self.latent_dim, source.n_features)
        device = find_device(str(self.device))
        check_size(parts, source.space, wanted.space, size, memory_of(device))
        model = build_model(parts, source.space, wanted.space, size, seed).to(device)
        latent = int(np.prod(model.network.code_shape))
        fitted = Fitted(model, source, wanted, seed, np.empty((0, latent), np.float32))
        batches: Batches | Stream = (
            fitted.resident(stored, stored_target)
            if stored is not None and (target is None or stored_target is not None)
            else fitted.stream(X, target)
        )
        check_streamed(parts, batches)
        fitted.begin(batches)
        return fitted, parts, batches

    def _validation(self, fitted: Fitted, validation: Any, target: Any) -> Batches:
        """Return given validation data, prepared as the rows that are trained on."""
        X, aim = validation, None
        if isinstance(validation, tuple):
            if len(validation) != 2:
                raise ParameterError(
                    f"validation is a tuple of {len(validation)}; give X, or (X, target)"
                )
            X, aim = validation
        if aim is None and target is not None:
            raise ParameterError("validation has no target, but X has; give (X, target)")
        if aim is not None and target is None:
            raise ParameterError("validation has a target, but X has none; give target= too")
        X, aim = opened(X, "validation"), opened(aim, "target")
        self._check_columns(fitted, X, "validation")
        return fitted.batches(X, aim, name="validation")

    def _continue(self, trainer: Trainer, *, again: bool) -> Trainer:
        """Let a trainer go on from where the last one stopped, where there was one."""
        before: Trainer | None = getattr(self, "_trainer", None)
        if again:
            trainer.go_on(self.history_, before)
        return trainer

    def _finish(
        self, fitted: Fitted, parts: Parts, trainer: Trainer, batches: Batches | Stream
    ) -> Self:
        """Set what a fit leaves behind, and tell what went wrong."""
        warning = fitted.study(batches)
        plan = trainer.plan
        self._trainer = trainer
        self.history_ = trainer.state.history
        self.stopped_ = trainer.stopped
        self.best_epoch_ = trainer.state.best_epoch
        self.learning_rate_, self.batch_size_ = plan.learning_rate, plan.batch_size
        self.epochs_, self.precision_ = trainer.state.epoch, plan.precision
        self.streamed_ = isinstance(batches, Stream)
        self._expose(fitted, parts)
        if trainer.stopped in ("interrupted", "diverged"):
            warning = trainer.message
        if warning is not None and self.history_ and trainer.processes.leads:
            warnings.warn(warning, TrainingWarning, stacklevel=3)
        return self

    def _expose(self, fitted: Fitted, parts: Parts) -> None:
        """Make what was fitted readable under the names of the keywords."""
        self.fitted_, self._parts = fitted, parts
        self.module_ = fitted.model
        self.encoder_, self.decoder_ = Encoder(fitted.model), Decoder(fitted.model)
        self.code_shape_ = fitted.code_shape
        self.latent_dim_ = self._n_features_out = int(np.prod(fitted.code_shape))
        self.n_parameters_ = sum(p.numel() for p in fitted.model.parameters())
        self.network_, self.bottleneck_, self.loss_ = parts.network, parts.bottleneck, parts.loss
        self.corruption_ = list(parts.corruption)
        self.optimizer_, self.schedule_ = parts.optimizer, parts.schedule
        self.device_ = str(fitted.device)
        self.scaling_ = fitted.input.scaling
        for name, value in fitted.summary.items():
            setattr(self, f"{name}_", value)

    def _checked(self, X: Any) -> Fitted:
        """Return what was fitted, once X is known to have the columns it was fitted on."""
        check_is_fitted(self, "fitted_")
        self._check_columns(self.fitted_, X)
        return self.fitted_

    def _check_columns(self, fitted: Fitted, X: Any, name: str = "X") -> None:
        """Raise `DataError` unless samples have the columns of the fit."""
        widened = fitted.widened(head_of(X))
        fitted.input.check_features(widened, name)
        try:
            validate_data(self, fitted.input.header(widened), reset=False, skip_check_array=True)
        except ValueError as error:
            raise DataError(str(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_trainer"}

    def transform(self, X: Any, *, integers: bool = False) -> NDArray[Any]:
        """Return the code of each row: for a variational model, its mean.

        Parameters
        ----------
        X
            As it was at fit.
        integers
            Whether to return the whole numbers that codes of "rounded", "vector_quantized" and
            "finite_scalar" stand for: steps, or places in the codebook.

        Returns
        -------
        ndarray
            Shape (n, latent), float32; or (n, numbers), int64.
        """
        X = opened(X)
        fitted = self._checked(X)
        return fitted.integers(X) if integers else fitted.encode(X)

    def inverse_transform(self, Z: Any, *, integers: bool = False) -> Any:
        """Return what codes stand for, in the shape, scale and dtype of the training data.

        Parameters
        ----------
        Z
            Codes, shape (n, latent); those that are not allowed, such as some between two words of
            a codebook, are replaced by the nearest that are.
        integers
            Whether Z holds what ``transform(X, integers=True)`` returned.
        """
        check_is_fitted(self, "fitted_")
        if integers:
            return self.fitted_.decode_integers(np.asarray(as_array(Z, name="Z"), np.int64))
        return self.fitted_.decode(as_codes(Z, self.latent_dim_))

    def reconstruct(self, X: Any, mask: Any = None) -> Any:
        """Return each row as it comes back through its code: compressed, denoised, restored.

        Parameters
        ----------
        X
            As it was at fit, damaged or not; a model trained under `Grayscale` also takes grey
            pictures (n, h, w).
        mask
            For a model trained under `Erase`: which pixels are missing, (n, h, w), True or not 0
            there. What X holds at these pixels is not looked at.
        """
        X = opened(X)
        return self._checked(X).reconstruct(X, mask)

    def impute(self, X: Any) -> Any:
        """Return X with what is missing filled, for a model trained under `Gaps`.

        Parameters
        ----------
        X
            As it was at fit; NaN, or what the data frame's library calls missing, is filled.

        Returns
        -------
        ndarray or data frame
            Like X. What is known is returned exactly as it was given; in a data frame, a category
            becomes one of its levels and a number of a column of whole ones becomes whole.

        Raises
        ------
        ParameterError
            If the model was not trained under `Gaps`, or was trained with a target.
        """
        X = opened(X)
        return self._checked(X).impute(X)

    def score_samples(self, X: Any, target: Any = None) -> Floats:
        """Return how normal each row is: minus its loss, so that higher is more normal.

        Parameters
        ----------
        X, target
            As for `fit`.

        Returns
        -------
        ndarray
            Shape (n,); the loss summed over features, and for a variational model the divergence.
        """
        X, target = opened(X), opened(target, "target")
        return self._checked(X).score(X, target)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of `score_samples`, so that a search over parameters maximises it."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def reconstruction_error(self, X: Any, target: Any = None) -> Floats:
        """Return the mean squared error of each row in the model's scale, (n,).

        Parameters
        ----------
        X, target
            As for `fit`.
        """
        X, target = opened(X), opened(target, "target")
        return self._checked(X).error(X, target)

    def evaluate(
        self,
        X: Any,
        *,
        target: Any = None,
        sample_weight: Any = None,
        corrupted: bool | str | Corruption | list[str | Corruption] = False,
        random_state: int | None = 0,
    ) -> Evaluation:
        """Measure how well rows come back: loss terms, MSE, PSNR, cross-entropy, SSIM.

        Rows go through the one code that stands for each, the mean for a variational model, and
        nothing is rounded or clipped to the type of the data. They are taken in blocks.

        Parameters
        ----------
        X, target
            As for `fit`, best held-out ones.
        sample_weight
            How much each row counts in the means, shape (n,), from 0.
        corrupted
            Whether the encoder sees X as it was corrupted in training, while the target is the
            clean one: how well the model restores. Or a corruption, such as
            ``"gaussian_noise(std=0.3)"``.
        random_state
            Seed of the corruption, and of costs that are estimated by draws.

        Returns
        -------
        Evaluation
            A mapping of figures by name:

            - "total", "reconstruction", and each cost of the bottleneck by its name ("kl", "bits",
              "l1" ...): the loss of a sample, as `history_` has it, in the model's scale. Costs of
              a whole batch, such as "mmd", are measured over blocks of rows; "neighbours" is 0, as
              the training rows that it is measured against are not kept.
            - "mse": mean squared error of a value. Where the values can only lie in a known range
              (bytes, booleans, and the scalings "unit" and "minmax"), that range is 0 to 1, so that
              white is 1 and not 255; elsewhere it is in the model's scale, as
              `reconstruction_error` gives it.
            - "psnr" and "bce", only where there is such a range: mean peak signal-to-noise ratio
              of a sample in decibels, at most 100; binary cross-entropy of a value in nats, left
              out where a value of the target is outside.
            - "ssim": mean structural similarity, of pictures of at least 11×11 pixels in such a
              range, without gaps.

            "total_per_value", "mse_per_sample" and their like are the same, per value or summed
            over a sample. What is missing, or behind the end of a sequence, counts nowhere.

        Raises
        ------
        ParameterError
            If ``corrupted=True`` and the model was trained without a corruption.

        Examples
        --------
        >>> from latente import Autoencoder, datasets
        >>> digits = datasets.load("digits")
        >>> ae = Autoencoder(latent_dim=8, epochs=5, random_state=0).fit(digits.X)
        >>> figures = ae.evaluate(digits.X_test)
        >>> sorted(figures)[:3]
        ['bce', 'bce_per_sample', 'mse']
        """
        X, target = streamed(X), opened(target, "target")
        return evaluate(
            self._checked(X), X, target, sample_weight,
            corrupted=corrupted, seed=as_seed(random_state),
        )  # fmt: skip

    def log_likelihood(self, X: Any, samples: int = 100, random_state: int | None = None) -> Floats:
        """Estimate ``log p(x)`` by importance sampling (Burda et al., 2016); variational only.

        Parameters
        ----------
        X
            As it was at fit.
        samples
            Codes drawn for each row; the estimate is a lower bound that rises with them.
        random_state
            Seed of the draws.

        Returns
        -------
        ndarray
            Nats in the model's scale, shape (n,).

        Raises
        ------
        ParameterError
            If the model is not variational, or its loss is no likelihood.
        """
        X = opened(X)
        fitted = self._checked(X)
        if not is_whole(samples, 1):
            raise ParameterError(f"samples={samples!r}: use a whole number from 1")
        return fitted.log_likelihood(X, int(samples), as_seed(random_state))

    def sample(self, n: int = 1, random_state: int | None = None) -> Any:
        """Generate new rows, in the shape, scale and dtype of the training data.

        Codes are drawn from the prior where the bottleneck has one, as "gaussian" does, else from a
        Gaussian mixture fitted on codes of the training rows.

        Parameters
        ----------
        n
            How many.
        random_state
            Seed of the draws.
        """
        check_is_fitted(self, "fitted_")
        if not is_whole(n, 1):
            raise ParameterError(f"n={n!r}: use a whole number from 1")
        return self.fitted_.sample(int(n), as_seed(random_state))

    def summary(self, *, time: bool = True) -> Summary:
        """Return the layers one by one: sizes, the formula behind them, parameters, share of time.

        Parameters
        ----------
        time
            Whether to measure the share of time of each layer, on a few passes of noise. All the
            rest is the same at each call.

        Returns
        -------
        Summary
            Prints as a table, in a notebook too; ``summary.layers`` has a row for each layer, and
            ``summary.sections`` the parameters of encoder, bottleneck and decoder, which add up to
            `n_parameters_`.
        """
        check_is_fitted(self, "fitted_")
        table = FAMILIES["bottleneck"]
        name = next(key for key, cls in table.items() if cls is type(self.bottleneck_))
        return summarize(self.fitted_, name, timed=time)

    def save(self, path: str | Path) -> None:
        """Write the model to one ``.safetensors`` file.

        Parameters
        ----------
        path
            Where to; a file that exists is replaced, and only once the new one is whole.
        """
        check_is_fitted(self, "fitted_")
        persistence.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        network: tuple[torch.nn.Module, torch.nn.Module] | None = None,
    ) -> Autoencoder:
        """Read a model that `save` wrote, on the CPU.

        Parameters
        ----------
        path
            The file.
        network
            The ``(encoder, decoder)`` modules, where the model was built of your own: a file holds
            their weights, not their code.

        Raises
        ------
        FileError
            If the file cannot be read, is no model, is cut short, or comes from a later version.
        """
        return persistence.load(cls, path, network)

    def export_onnx(self, folder: str | Path) -> tuple[Path, ...]:
        """Write ``encoder.onnx`` and ``decoder.onnx``, scaling included, checked against torch.

        A model with skip connections or a residual is one network, ``restorer.onnx``. The files
        use ONNX's operators of version 20 (opset 20), and take batches of any size.

        Parameters
        ----------
        folder
            Where to; made if it is not there.

        Returns
        -------
        tuple of Path
            The files.

        Raises
        ------
        FileError
            If the exported networks differ from the model's; nothing is left then.
        """
        from .export import export_onnx

        check_is_fitted(self, "fitted_")
        return export_onnx(self.fitted_, folder)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        with contextlib.suppress(ParameterError):  # a fit says what is wrong with the corruption
            tags.input_tags.allow_nan = keeps_gaps({"corruption": self.corruption})
        return tags

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        outcome = {name: getattr(self, name) for name in persistence.OUTCOME}
        names = list(getattr(self, "feature_names_in_", []))
        return persistence.to_state(
            persistence.Contents(
                self.get_params(deep=False), self._parts, self.fitted_, self.history_, outcome,
                names, self.columns_,
            )
        )  # fmt: skip

    @classmethod
    def _from_state(
        cls,
        meta: dict[str, Any],
        tensors: dict[str, torch.Tensor],
        network: tuple[torch.nn.Module, torch.nn.Module] | None,
    ) -> Self:
        contents = persistence.from_state(meta, tensors, network)
        estimator = cls(**contents.params)
        estimator.n_features_in_ = contents.fitted.input.n_features
        if contents.names:
            estimator.feature_names_in_ = np.array(contents.names, dtype=object)
        estimator.columns_ = contents.columns
        estimator.history_ = contents.history
        for name, value in contents.outcome.items():
            setattr(estimator, name, value)
        estimator._expose(contents.fitted, contents.parts)
        return estimator


def learned(X: Any, name: str, **reading: Any) -> tuple[Preparation, torch.Tensor | None]:
    """Return how samples are brought to the model, and them themselves, unless they are streamed.

    Parameters
    ----------
    X
        Anything `Autoencoder.fit` takes.
    name
        What X is called in errors.
    reading
        Keywords of `Preparation.learn`.
    """
    if isinstance(X, Source):
        return Preparation.learn_streamed(X, name=name, **reading), None
    return Preparation.learn(X, name=name, **reading)


def head_of(X: Any) -> Any:
    """Return samples, or the first of those that are streamed."""
    return X.head() if isinstance(X, Source) else X


def can_fit_together(
    model: Autoencoder, X: Any, validation: Any = None, *, target: Any = None
) -> bool:
    """Whether `fit_together` takes such a model, and its fit gains by it.

    Parameters
    ----------
    model, X, validation, target
        As for `fit_together`.
    """
    from .training.together import NotStackable

    try:
        _stacked([model], X, validation, target)[0].check()
    except NotStackable:
        return False
    return True


def alike(models: Sequence[Autoencoder]) -> list[list[int]]:
    """Return the places of models that `fit_together` may take at once, stack by stack.

    Parameters
    ----------
    models
        Not fitted.
    """
    from .training.together import STACKED

    stacks: dict[str, list[int]] = {}
    for i, model in enumerate(models):
        params = model.get_params(deep=False)
        optimizer = resolve(params["optimizer"], FAMILIES["optimizer"], "optimizer")
        shared = {name: value for name, value in params.items() if name not in STACKED}
        shape = repr((optimizer.elementwise, shared))
        stacks.setdefault(shape, []).append(i)
    return list(stacks.values())


def _agreed(
    trainer: Trainer,
    params: dict[str, Any],
    batches: Batches | Stream,
    validation: Batches | None = None,
    checkpoint: str | Path | None = None,
) -> Checkpoint | None:
    """Return where the state of a fit is kept, once all its processes are known to make the same.

    Where that is, the first process says.
    """
    several = trainer.processes
    folder = several.from_first(lambda: None if checkpoint is None else str(checkpoint))
    if folder is None and several.alone:
        return None
    same = fingerprint(params, batches, validation)
    several.require_same({**same, **trainer.standing(batches)})
    return None if folder is None else Checkpoint(folder, same)


def fit_together(
    models: Sequence[Autoencoder],
    X: Any,
    validation: Any = None,
    stops: Sequence[int] | None = None,
    *,
    target: Any = None,
) -> Iterator[tuple[int, int, bool]]:
    """Fit autoencoders at once that differ in how they are moved alone.

    That is in seed, learning rate, weight decay, optimiser or schedule. What comes out is what
    their own fits give, within the rounding of floats.

    Parameters
    ----------
    models
        Not fitted. Without `validation`, their ``validation_fraction`` is 0.
    X, validation, target
        As for `Autoencoder.fit`.
    stops
        Epochs at which they are ready for use, rising, at most their own; those if not given.
        Where a schedule depends on the end of the fit, they have then come so far on the way there.

    Yields
    ------
    tuple
        The number of epochs, a model's place, and whether it is fitted to so many; else it
        diverged.

    Raises
    ------
    NotStackable
        If they cannot be fitted at once, or would gain nothing by it.
    """
    together, begun, batches = _stacked(models, X, validation, target)
    for epochs in together.fit(stops or [together.trainers[0].plan.epochs]):
        good = {}
        for (i, fitted, parts, trainer), bad in zip(begun, together.bad.tolist(), strict=True):
            good[i] = not bad
            if good[i]:
                models[i]._finish(fitted, parts, trainer, batches)
        yield from ((epochs, i, good[i]) for i in range(len(models)))


def _stacked(models: Sequence[Autoencoder], X: Any, validation: Any, target: Any) -> Any:
    """Return the fits of models as one, what each began with, and the rows they are trained on."""
    from .training.together import NotStackable, Together, is_stackable, setting_of

    begun = []
    for i, model in enumerate(models):
        params = model.get_params(deep=False)
        check_params(params, held_out=validation is not None)
        fitted, parts, batches = model._begin(params, X, target, again=False)
        held_out = None
        if isinstance(batches, Stream):
            raise NotStackable("the rows are streamed")
        if validation is not None:
            held_out = model._validation(fitted, validation, target)
        elif choose_validation(model.validation_fraction, batches):
            raise NotStackable("each holds out rows of its own")
        plan = make_plan(params, parts, len(batches), fitted.model, fitted.seed)
        trainer = Trainer(fitted.model, plan)
        if not is_stackable(trainer, batches, held_out):
            raise NotStackable("they are large, or of another kind")
        begun.append((i, fitted, parts, trainer))
    begun.sort(key=lambda each: repr(setting_of(each[3])))
    rows = batches.gathered()
    return Together([each[3] for each in begun], rows, held_out), begun, rows
