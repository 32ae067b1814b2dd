"""PyOD's manners: an `AnomalyDetector` under the names, signs and labels that PyOD has.

::

    AnomalyDetector    score_samples: higher is more normal    predict: −1 anomaly, 1 normal
    PyODAdapter        decision_function: higher is odder      predict:  1 anomaly, 0 normal
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf
from scipy.stats import beta, binom
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.validation import check_is_fitted

from ..errors import DataError, ParameterError
from ..estimator import Autoencoder
from ..parts import is_number, is_whole, listed
from .detector import AnomalyDetector
from .thresholds import as_labels

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

METHODS = ("linear", "unify")
SCORINGS = ("roc_auc_score", "prc_n_score")
REJECTED = -2


class PyODAdapter(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """An `AnomalyDetector` with the methods, attributes, signs and labels of PyOD's detectors.

    It needs no PyOD. Scores are higher for odder rows, and labels are 1 for anomalies and 0 for
    normal rows: the opposite of scikit-learn's and of `AnomalyDetector`'s.

    Parameters
    ----------
    detector : AnomalyDetector or None
        Cloned and fitted; None for ``AnomalyDetector(contamination=contamination)``.
    contamination : float
        Share of the training rows that is labelled as anomalies, above 0, at most 0.5.
    epoch_num : int or None
        Epochs of an `Autoencoder` whose reconstructions are scored; None leaves the detector its
        own. Not with `detector`.
    random_state : int, RandomState or None
        Seed of everything random where there is no `detector`.

    Attributes
    ----------
    detector_ : AnomalyDetector
        Fitted.
    decision_scores_ : ndarray
        Scores of the training rows, higher for odder, (n,).
    threshold_ : float
        Rows with a higher score are anomalies.
    labels_ : ndarray
        Which of the training rows are, (n,): 1 for anomalies.
    model : Autoencoder or None
        The fitted autoencoder; None where nearest rows alone are scored.
    history_ : dict of list
        Its training loss, "loss", epoch by epoch.

    Examples
    --------
    >>> from latente import PyODAdapter, datasets
    >>> X = datasets.load("digits").X[:200].reshape(200, -1)
    >>> detector = PyODAdapter(contamination=0.1, random_state=0).fit(X)
    >>> int(detector.labels_.sum())
    20
    """

    def __init__(
        self,
        detector: AnomalyDetector | None = None,
        *,
        contamination: float = 0.1,
        epoch_num: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.detector = detector
        self.contamination = contamination
        self.epoch_num = epoch_num
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the detector, and label the share `contamination` of the training rows.

        Parameters
        ----------
        X
            Rows (n, features), pictures or a data frame.
        y
            Ignored.

        Raises
        ------
        ParameterError
            If a parameter cannot work.
        """
        self.detector_ = self._detector().fit(X)
        self.n_features_in_ = self.detector_.n_features_in_
        self.model = self.detector_.ensemble_.autoencoder
        history = [] if self.model is None else self.model.history_
        self.history_ = {"loss": [record["total"] for record in history]}
        self.decision_scores_ = -self.detector_.score_samples(X)
        share = float(self.contamination)
        self.threshold_ = float(np.quantile(self.decision_scores_, 1 - share))
        self.labels_ = self._labelled(self.decision_scores_)
        self._mu, self._sigma = self.decision_scores_.mean(), self.decision_scores_.std()
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return the score of each row, (n,): higher for odder.

        Parameters
        ----------
        X
            As it was at fit.
        """
        check_is_fitted(self, "detector_")
        return -self.detector_.score_samples(X)

    def predict(self, X: Any, return_confidence: bool = False) -> Any:
        """Return 1 for anomalies and 0 for normal rows, (n,).

        Parameters
        ----------
        X
            As it was at fit.
        return_confidence
            Whether to return `predict_confidence` too, as a second array.
        """
        scores = self.decision_function(X)
        labels = self._labelled(scores)
        return (labels, self._confidence(scores)) if return_confidence else labels

    def fit_predict(self, X: Any, y: Any = None, **kwargs: Any) -> Labels:
        """Fit, and return the labels of the training rows, (n,).

        Parameters
        ----------
        X, y
            As for `fit`.
        kwargs
            Ignored.
        """
        return self.fit(X).labels_

    def fit_predict_score(self, X: Any, y: Any, scoring: str = "roc_auc_score") -> float:
        """Fit, and return how well the scores of the training rows go with labels.

        Parameters
        ----------
        X
            As for `fit`.
        y
            1 for anomalies, 0 for normal rows, (n,).
        scoring
            "roc_auc_score", or "prc_n_score": the share of anomalies among as many rows, those that
            score highest, as there are anomalies.

        Raises
        ------
        NotImplementedError
            If the scoring is another.
        """
        if scoring not in SCORINGS:
            raise NotImplementedError(f"scoring={scoring!r}: use {listed(map(repr, SCORINGS))}")
        scores = self.fit(X).decision_scores_
        odd = as_labels(y, len(scores))
        if scoring == "roc_auc_score":
            return float(roc_auc_score(odd, scores))
        if not odd.any():
            raise DataError("y has no anomalies among which to count")
        return float(odd[np.argsort(-scores, kind="stable")[: odd.sum()]].mean())

    def predict_proba(self, X: Any, method: str = "linear", return_confidence: bool = False) -> Any:
        """Return how probable it is that each row is normal, or an anomaly, (n, 2).

        Parameters
        ----------
        X
            As it was at fit.
        method
            "linear": the score between the lowest and the highest of the training rows; "unify": by
            a normal distribution of their scores, 0 below its mean (Kriegel et al., 2011).
        return_confidence
            Whether to return `predict_confidence` too.

        Raises
        ------
        ParameterError
            If the method is another.
        """
        if method not in METHODS:
            raise ParameterError(f"method={method!r}: use {listed(map(repr, METHODS))}")
        scores = self.decision_function(X)
        if method == "linear":
            low, high = self.decision_scores_.min(), self.decision_scores_.max()
            odd = (scores - low) / max(high - low, 1e-300)
        else:
            odd = erf((scores - self._mu) / max(self._sigma * np.sqrt(2), 1e-300))
        odd = np.clip(odd, 0, 1)
        probabilities = np.stack([1 - odd, odd], axis=1)
        return (probabilities, self._confidence(scores)) if return_confidence else probabilities

    def predict_confidence(self, X: Any) -> Floats:
        """Return how probable each label is to stay under other training rows, (n,), 0 to 1.

        It is the confidence of Perini, Vercruyssen, Davis (2020).

        Parameters
        ----------
        X
            As it was at fit.
        """
        return self._confidence(self.decision_function(X))

    def predict_with_rejection(
        self,
        X: Any,
        T: float = 32,  # noqa: N803
        return_stats: bool = False,
        delta: float = 0.1,
        c_fp: float = 1,
        c_fn: float = 1,
        c_r: float = -1,
    ) -> Any:
        """Return labels, (n,), and −2 for rows whose label is not certain enough.

        The rule and its bounds are those of Perini and Davis (2023).

        Parameters
        ----------
        X
            As it was at fit.
        T
            Rows whose confidence is further than exp(−T) from 0 and 1 are rejected: the higher,
            the more; above 0.
        return_stats
            Whether to return a list too: the expected share of rejected rows, and upper bounds of
            that share and of the cost.
        delta
            The bound of the share fails with this probability, between 0 and 1.
        c_fp, c_fn, c_r
            What a false alarm, a miss and a rejected row cost; below 0, `c_r` is the contamination.

        Raises
        ------
        ParameterError
            If T or delta cannot work.
        """
        if not (is_number(T, 0) and T > 0):
            raise ParameterError(f"T={T!r}: use a number above 0")
        if not (is_number(delta, 0, 1) and 0 < delta < 1):
            raise ParameterError(f"delta={delta!r}: use a number between 0 and 1")
        labels, certain = self.predict(X, return_confidence=True)
        rejected = np.minimum(certain, 1 - certain) > np.exp(-T)
        labels = np.where(rejected, REJECTED, labels)
        if not return_stats:
            return labels
        return labels, self._rejection(T, delta, c_fp, c_fn, float(c_r))

    def _detector(self) -> AnomalyDetector:
        """Return the detector to fit, or raise `ParameterError`."""
        share = self.contamination
        if not is_number(share, 0, 0.5) or share == 0:
            raise ParameterError(f"contamination={share!r}: use a number above 0, at most 0.5")
        if self.detector is not None:
            if not isinstance(self.detector, AnomalyDetector):
                raise ParameterError(f"detector={self.detector!r}: use None or an AnomalyDetector")
            if self.epoch_num is not None:
                raise ParameterError("epoch_num goes without detector: set the epochs of its own")
            own: AnomalyDetector = clone(self.detector)
            return own
        autoencoder = None
        if self.epoch_num is not None:
            if not is_whole(self.epoch_num, 1, 1_000_000):
                raise ParameterError(f"epoch_num={self.epoch_num!r}: use a whole number from 1")
            autoencoder = Autoencoder(epochs=int(self.epoch_num), patience=None)
        return AnomalyDetector(autoencoder, contamination=share, random_state=self.random_state)

    def _labelled(self, scores: Floats) -> Labels:
        """Return 1 for scores beyond the threshold, 0 for others."""
        return (scores > self.threshold_).astype(np.int64)

    def _confidence(self, scores: Floats) -> Floats:
        """Return the confidence in the label of each score."""
        count = len(self.decision_scores_)
        below = np.searchsorted(np.sort(self.decision_scores_), scores, side="right")
        probability = (1 + below) / (2 + count)
        anomalies = int(count * float(self.contamination))
        odd = binom.sf(count - anomalies, count, probability)
        return np.asarray(np.where(scores > self.threshold_, odd, 1 - odd))

    def _rejection(
        self, steep: float, delta: float, c_fp: float, c_fn: float, c_r: float
    ) -> list[float]:
        """Return the expected share of rejected rows, and bounds of it and of the cost."""
        count, share = len(self.decision_scores_), float(self.contamination)
        c_r = share if c_r < 0 else c_r
        most = max(int(count * share) - 1, 0)
        # The shares at which the tail of the binomial distribution is exp(-steep).
        low, high = (
            float(beta.isf(q, most + 1, count - most)) for q in (-np.expm1(-steep), np.exp(-steep))
        )
        expected = high - low
        # The bound of Perini and Davis (2023), from the right and the left end of the interval.
        right = (count + 1 - share * (count + 2)) / count + (count + 2) * np.sqrt(
            steep / (2 * count**3)
        )
        spread = (
            2 * count * (4 * share - 3 - 3 * share**2 - 2 * count * (1 - share) ** 2)
            + steep * (count + 2) ** 2
            - 8
        )
        left = (2 + count * (1 - share) * (count + 1)) / count**2
        left -= np.sqrt(max(spread, 0.0) / (2 * count**3))
        bound = min(1.0, right) - max(0.0, left) + 2 * np.sqrt(np.log(2 / delta) / (2 * count))
        cost = min(share, low) * c_fp + min(1 - high, share) * c_fn + expected * c_r
        return [expected, float(bound), float(cost)]
