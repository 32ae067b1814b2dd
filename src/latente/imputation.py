"""Imputation: what is missing in a table, filled by an autoencoder that was trained to do it.

::

    X with gaps ──fit──▶ Autoencoder(corruption="gaps") ──impute──▶ X without gaps

The autoencoder begins as a factor analysis of what is known, and its network learns what that one
leaves: see `Gaps`.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from .corruptions.gaps import Gaps
from .estimator import Autoencoder
from .networks.dense import Dense

HIDDEN = (128, 128)
"""Sizes of the hidden layers."""
CODE = 64
"""Numbers in the code."""
LEARNING_RATE = 2e-3
HELD_OUT = 0.1
"""Share of the rows held out; the fill that training begins at is learned from all of them."""
BATCHES, LEAST_BATCH, BATCH = 8, 32, 128
"""Batches in an epoch of a small table; the smallest and the largest batch."""
UPDATES, MOST_EPOCHS = 1_500, 200
"""Steps of training, about."""


class Imputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fill what is missing in rows, as a step of a pipeline.

    ::

        X (n, columns), NaN where missing ──transform──▶ X (n, columns), filled

    Parameters
    ----------
    autoencoder : Autoencoder or None
        One with ``corruption="gaps"``, which a copy of is fitted; None for one that serves tables
        of any size.
    random_state : int, RandomState or None
        Seed of the autoencoder, where none is given.
    verbose : int
        1 shows a progress bar, where no autoencoder is given.

    Attributes
    ----------
    autoencoder_ : Autoencoder
        The fitted one; ``autoencoder_.save(path)`` keeps it, ``Autoencoder.load(path).impute(X)``
        uses it.
    n_features_in_ : int
        Columns of X.

    Examples
    --------
    >>> import numpy as np
    >>> from latente import Imputer, datasets
    >>> X = datasets.load("digits").X.reshape(-1, 64).astype(float)[:200]
    >>> X[::7, 20] = np.nan
    >>> filled = Imputer(random_state=0).fit_transform(X)
    >>> bool(np.isnan(filled).any())
    False
    """

    def __init__(
        self,
        autoencoder: Autoencoder | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from what is known of the rows.

        Parameters
        ----------
        X
            Rows (n, columns), NaN where a value is missing, or a data frame with numbers, dates and
            categories.
        y
            Ignored: a pipeline passes labels here.

        Raises
        ------
        DataError
            If a column has no value at all, or X cannot be used as it is.
        ParameterError
            If the autoencoder does not fill gaps.
        """
        if self.autoencoder is None:
            autoencoder = imputing(len(X), self.random_state, self.verbose)
        else:
            autoencoder = clone(self.autoencoder)
        self.autoencoder_ = autoencoder.fit(X)
        autoencoder.fitted_.require_gaps()
        self.n_features_in_ = autoencoder.n_features_in_
        if hasattr(autoencoder, "feature_names_in_"):
            self.feature_names_in_ = autoencoder.feature_names_in_
        return self

    def transform(self, X: Any) -> Any:
        """Return the rows with what is missing filled; what is known stays exactly as it is.

        Parameters
        ----------
        X
            As it was at fit.
        """
        check_is_fitted(self, "autoencoder_")
        return self.autoencoder_.impute(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def imputing(
    rows: int, random_state: int | np.random.RandomState | None = None, verbose: int = 0
) -> Autoencoder:
    """Return the autoencoder that fills the gaps of a table, not yet fitted.

    Parameters
    ----------
    rows
        How many there are to learn from.
    random_state, verbose
        As for `Autoencoder`.
    """
    batch = min(max(rows // BATCHES, LEAST_BATCH), BATCH)
    return Autoencoder(
        CODE,
        network=Dense(hidden=HIDDEN, activation="silu", residual=True),
        corruption=Gaps(),
        loss="squared",
        scaling="standard",
        optimizer="adamw",
        schedule="one_cycle",
        learning_rate=LEARNING_RATE,
        batch_size=batch,
        validation_fraction=HELD_OUT,
        epochs=min(max(UPDATES * batch // max(rows, 1), 1), MOST_EPOCHS),
        layout="rows",
        precision="float32",
        random_state=random_state,
        verbose=verbose,
    )
