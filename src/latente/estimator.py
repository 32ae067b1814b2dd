"""The estimator: an autoencoder with scikit-learn's manners."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from . import choices
from .assembly import fingerprint, make_plan
from .data.arrays import as_codes
from .errors import ParameterError
from .fitting import Fitting
from .parts import is_whole
from .training.checkpoint import Checkpoint
from .training.loop import Trainer

Floats = NDArray[np.float32]


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Fitting):  # type: ignore[misc]
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
        "dense", "conv", or ``(encoder, decoder)``, two `torch.nn.Module` of your own, the decoder
        without its output activation. "auto" takes "conv" for pictures of at least 32×32.
    bottleneck : Bottleneck or str
        "plain", "sparse", "contractive", "gaussian" (variational) or "rounded" (for compression).
    corruption : Corruption, str, list of them, or None
        What the encoder sees instead of the clean input while training.
    loss : Loss or str
        "squared", "absolute", "huber", "bernoulli" or "gaussian"; "auto" takes "bernoulli" for
        binary values and for variational models of values in [0, 1], "gaussian" for other
        variational models, "squared" otherwise.
    optimizer : Optimizer or str
        One of torch's: "adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta", "lbfgs" ...
    schedule : Schedule or str
        How the learning rate changes: "constant", "cosine", "one_cycle", "plateau" ...
    learning_rate : float or "auto"
        "auto" is the rate the optimiser is used to (0.001 for Adam).
    weight_decay : float
        Decay of the weights, as the optimiser understands it.
    gradient_clip : float or None
        Largest norm of the gradient.
    batch_size : int or "auto"
        Rows in a step; "auto" takes 32 to 256 by the number of rows, all rows for L-BFGS.
    epochs : int or "auto"
        Passes over the data; "auto" aims at 8,000 steps, in 20 to 400 passes.
    validation_fraction : float
        Share of the rows held out; the weights with their lowest loss are kept.
    patience : int, "auto" or None
        Epochs without a lower validation loss after which the fit ends; "auto" takes 30 where
        `epochs` is "auto", and otherwise none: epochs that are asked for are trained.
    scaling : str
        How values are brought to the model's scale: "unit", "standard", "minmax", "robust",
        "none", or "auto".
    device : str
        "auto", "cpu", "cuda", "cuda:1", "mps".
    precision : str
        "float32", "bf16", or "auto": bf16 where the hardware multiplies in it and it pays.
    warm_start : bool
        Whether `fit` goes on from the present weights.
    callbacks : object, list of objects, or None
        Told of each epoch by ``on_epoch_end(state)``.
    random_state : int, RandomState or None
        Seed of weights, order and noise. The same seed gives the same weights on one device.
    verbose : int
        1 shows a progress bar on a terminal; 2 prints a line an epoch.

    Attributes
    ----------
    module_, encoder_, decoder_ : torch.nn.Module
        In the model's scale: pictures as (n, channels, height, width).
    history_ : list of dict
        The loss terms of each epoch, by name.
    code_shape_, latent_dim_ : tuple, int
        Shape and size of one code.
    kl_per_dimension_, active_units_ : ndarray, int
        Variational only: nats in each code dimension, and how many of them carry anything.
    columns_ : list of str or None
        Names of the columns, where X was a data frame, or `latente fit` read them from a file.
    stopped_ : str or None
        What ended the fit early: "patience", "callback", "interrupted", "diverged".

    Examples
    --------
    >>> from latente import Autoencoder, datasets
    >>> digits = datasets.load("digits")
    >>> ae = Autoencoder(latent_dim=2, epochs=5, random_state=0).fit(digits.X)
    >>> ae.transform(digits.X_test).shape[1]
    2
    """

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        target: Any = None,
        checkpoint: str | Path | None = None,
    ) -> Self:
        """Learn to reconstruct X, or to turn X into the target.

        Parameters
        ----------
        X
            Rows (n, features), pictures (n, h, w) or (n, h, w, c), or a data frame.
        y
            Ignored: a pipeline passes labels here.
        target
            What to reconstruct instead of X, row by row; a clean version of it, say.
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
        fitted, parts = self._begin(X, target, again=again)
        batches = fitted.batches(X, target)
        training, validation = batches.split(
            float(self.validation_fraction), torch.Generator().manual_seed(fitted.seed)
        )
        plan = make_plan(self, parts, len(training), fitted.model, fitted.seed)
        trainer = self._continue(Trainer(fitted.model, plan), again=again)
        folder = None
        if checkpoint is not None:
            folder = Checkpoint(checkpoint, fingerprint(self, batches))
        trainer.fit(training, validation, folder)
        return self._finish(fitted, parts, trainer, training)

    def partial_fit(self, X: Any, y: Any = None, *, target: Any = None) -> Self:
        """Train one epoch more on these rows; the first call also learns scale and shapes.

        Parameters
        ----------
        X, target
            As for `fit`.
        y
            Ignored.
        """
        again = hasattr(self, "fitted_")
        fitted, parts = self._begin(X, target, again=again)
        batches = fitted.batches(X, target)
        plan = make_plan(self, parts, len(batches), fitted.model, fitted.seed)
        trainer = self._continue(Trainer(fitted.model, replace(plan, epochs=1)), again=again)
        trainer.fit(batches, None)
        return self._finish(fitted, parts, trainer, batches)

    def transform(self, X: Any) -> Floats:
        """Return the code of each row: for a variational model, its mean.

        Parameters
        ----------
        X
            As it was at fit.

        Returns
        -------
        ndarray
            Shape (n, latent), float32.
        """
        return self._checked(X).encode(X)

    def inverse_transform(self, Z: Any) -> Any:
        """Return what codes stand for, in the shape, scale and dtype of the training data.

        Parameters
        ----------
        Z
            Codes, shape (n, latent).
        """
        check_is_fitted(self, "fitted_")
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
        return self._checked(X).reconstruct(X, mask)

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
        return self._checked(X).error(X, target)

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
        fitted = self._checked(X)
        lacking = choices.lacks_likelihood(self.bottleneck_, self.loss_)
        if lacking:
            raise ParameterError(f"log_likelihood cannot be had of this model: {lacking}")
        if not is_whole(samples, 1):
            raise ParameterError(f"samples={samples!r}: use a whole number from 1")
        return fitted.log_likelihood(X, int(samples), choices.draw_seed(random_state))

    def sample(self, n: int = 1, random_state: int | None = None) -> Any:
        """Generate new rows, in the shape, scale and dtype of the training data.

        Codes are drawn from N(0, I) for a variational model, else from a Gaussian mixture fitted on
        codes of the training rows.

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
        return self.fitted_.sample(int(n), np.random.default_rng(choices.draw_seed(random_state)))

    def save(self, path: str | Path) -> None:
        """Write the model to one ``.safetensors`` file.

        Parameters
        ----------
        path
            Where to; a file that exists is replaced, and only once the new one is whole.
        """
        from .persistence import save

        check_is_fitted(self, "fitted_")
        save(self, path)

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
        from .persistence import load

        return load(cls, path, network)

    def export_onnx(self, folder: str | Path) -> tuple[Path, ...]:
        """Write ``encoder.onnx`` and ``decoder.onnx``, scaling included, checked against torch.

        A model with skip connections or a residual is one network, ``restorer.onnx``.

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
        return tags
