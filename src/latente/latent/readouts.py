"""Read-outs: how much of an attribute the codes tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .codes import as_codes

FOLDS = 5
"""Parts that the rows are divided into, each judged by the others."""


@dataclass(frozen=True, eq=False)
class Readout:
    """What a linear model reads of an attribute from codes.

    Parameters
    ----------
    score
        On rows that it was not fitted on: the share of right answers for classes, R² for numbers.
    chance
        The same for always answering the commonest class, or the mean.
    model
        scikit-learn's, fitted on all rows.
    """

    score: float
    chance: float
    model: Any

    def predict(self, Z: Any) -> Any:
        """Return the attribute of codes (n, latent), as it is read, (n,)."""
        return self.model.predict(as_codes(Z, "Z"))


def readout(Z: Any, attribute: Any) -> Readout:
    """Tell how much of an attribute codes tell a linear model, by cross-validation.

    Parameters
    ----------
    Z
        Codes, (n, latent).
    attribute
        Of each code, (n,): floats are numbers, anything else is classes.

    Raises
    ------
    DataError
        If there is not one value a code, or not two rows of each of two classes.
    """
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes, values = as_codes(Z, "Z"), np.asarray(attribute)
    if values.shape != (len(codes),):
        raise DataError(f"attribute has the shape {values.shape} for {len(codes)} codes")
    if values.dtype.kind == "f":
        model: Any = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
        if len(codes) < 2:
            raise DataError("a read-out takes at least 2 rows")
        parts: Any = KFold(min(FOLDS, len(codes)), shuffle=True, random_state=0)
        chance = 0.0
    else:
        counts = np.unique(values, return_counts=True)[1]
        if len(counts) < 2 or counts.min() < 2:
            raise DataError("a read-out of classes takes at least two rows of each of two classes")
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        parts = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=0)
        chance = float(counts.max() / counts.sum())
    score = float(cross_val_score(model, codes, values, cv=parts).mean())
    return Readout(score, chance, model.fit(codes, values))
