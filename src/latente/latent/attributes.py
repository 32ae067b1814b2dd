"""Attributes: the step in the code space that stands for one, and how well codes predict one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ParameterError
from ..parts import is_number
from .codes import Codes, Values, checked_codes

if TYPE_CHECKING:
    from ..estimator import Autoencoder

FOLDS = 5
"""Folds of the cross-validation of a read-out."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A step in the code space that stands for an attribute.

    Parameters
    ----------
    vector
        The step that adds the attribute, (latent,).
    origin
        The mean code without the attribute, (latent,).
    """

    vector: Codes
    origin: Codes

    def apply(self, Z: Any, strength: float = 1.0) -> Codes:
        """Return codes moved along the direction; a negative strength removes the attribute.

        Parameters
        ----------
        Z
            Codes, (n, latent).
        strength
            In steps: 1 is the whole difference between with and without.
        """
        codes = self._checked(Z)
        if not is_number(strength):
            raise ParameterError(f"strength={strength!r}: use a number")
        return (codes + strength * self.vector).astype(np.float32)

    def read(self, Z: Any) -> Values:
        """Return how much of the attribute codes have, (n,): on average 0 without and 1 with it."""
        step = self.vector.astype(np.float64)
        along: Values = (self._checked(Z) - self.origin) @ step / max(float(step @ step), 1e-30)
        return along

    def _checked(self, Z: Any) -> Values:
        codes = checked_codes(Z, "Z")
        if codes.shape[1] != len(self.vector):
            raise DataError(
                f"Z has codes of {codes.shape[1]} numbers, the direction has {len(self.vector)}"
            )
        return codes


def direction(present: Any, absent: Any, *, groups: tuple[Any, Any] | None = None) -> Direction:
    """Return the direction from codes without an attribute to codes with it.

    The difference of the two means (Larsen et al., 2016). Where the two sets differ in more than
    the attribute, for example in who is shown, give the groups: the difference is then taken within
    each group that has both, and averaged, so that what differs between groups has no part in it.

    ::

        present (n, latent), absent (m, latent) ──means──▶ vector (latent,)

    Parameters
    ----------
    present, absent
        Codes with and without the attribute, (n, latent) and (m, latent).
    groups
        The group of each code in either set, as two sequences; None for one group.

    Raises
    ------
    DataError
        If a set is empty, the codes differ in size, or no group has both.
    """
    sets = [checked_codes(Z, name) for Z, name in ((present, "present"), (absent, "absent"))]
    if sets[0].shape[1] != sets[1].shape[1]:
        raise DataError(
            f"present has codes of {sets[0].shape[1]} numbers and absent of {sets[1].shape[1]}"
        )
    whose = [np.zeros(len(Z)) for Z in sets] if groups is None else [np.asarray(g) for g in groups]
    if [len(g) for g in whose] != [len(Z) for Z in sets]:
        raise DataError(
            f"groups has {len(whose[0])} and {len(whose[1])} entries for {len(sets[0])} codes "
            f"with the attribute and {len(sets[1])} without: give one for each code"
        )
    both = np.intersect1d(whose[0], whose[1])
    if not len(both):
        raise DataError("no group has codes both with and without the attribute")
    steps = [
        np.subtract(*(Z[g == each].mean(0) for Z, g in zip(sets, whose, strict=True)))
        for each in both
    ]
    origin = sets[1].mean(0)
    return Direction(np.mean(steps, axis=0).astype(np.float32), origin.astype(np.float32))


def edit(
    autoencoder: Autoencoder,
    X: Any,
    way: Direction,
    strength: float = 1.0,
    *,
    keep_detail: bool = False,
) -> Any:
    """Return samples with an attribute added or removed.

    ::

        X ──transform──▶ z ──apply──▶ z + strength · vector ──inverse_transform──▶ edited

    Parameters
    ----------
    autoencoder
        Fitted.
    X
        Samples as it was fitted on.
    way
        As `direction` returns it.
    strength
        In steps: 1 adds the attribute, -1 removes it.
    keep_detail
        Whether to add to the samples themselves what the edit changes in their reconstruction, so
        that what the code cannot hold stays; only for arrays.
    """
    codes = autoencoder.transform(X)
    moved = autoencoder.inverse_transform(way.apply(codes, strength))
    if not keep_detail:
        return moved
    original = np.asarray(X)
    if np.shape(moved) != original.shape or original.dtype.kind not in "uif":
        raise ParameterError(
            "keep_detail=True is for arrays of numbers whose target is of the same shape; "
            "leave it out here"
        )
    changed = original + (
        np.asarray(moved, np.float64) - np.asarray(autoencoder.inverse_transform(codes), np.float64)
    )
    if original.dtype.kind == "f":
        return changed.astype(original.dtype)
    limits = np.iinfo(original.dtype)
    return np.clip(np.rint(changed), limits.min, limits.max).astype(original.dtype)


@dataclass(frozen=True, eq=False)
class Readout:
    """How well a linear model predicts an attribute from codes.

    Parameters
    ----------
    score
        On rows that it was not fitted on: the share of right answers for classes, R² for numbers.
    chance
        The same for always predicting the commonest class, or the mean.
    model
        scikit-learn's, fitted on all rows.
    """

    score: float
    chance: float
    model: Any

    def predict(self, Z: Any) -> Any:
        """Return the attribute predicted of codes (n, latent), (n,)."""
        return self.model.predict(checked_codes(Z, "Z"))


def readout(Z: Any, attribute: Any) -> Readout:
    """Return how well a linear model predicts an attribute from codes, by cross-validation.

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

    codes, values = checked_codes(Z, "Z"), np.asarray(attribute)
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
