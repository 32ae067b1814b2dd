"""The detector: learns from rows what is normal, and finds anomalies, with reasons."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from ..build import agreed_seed, as_seed
from ..data.arrays import SparseRows, as_array, as_tensor, blocks, is_frame, is_sparse, named
from ..data.dataset import take_rows as chosen_rows
from ..data.frames import like
from ..data.opening import opened
from ..data.passing import Sample
from ..data.preparation import Preparation, pass_by
from ..data.report import REPORT
from ..data.sources import Source, Without, joined
from ..errors import DataError, DataWarning, ParameterError
from ..estimator import Autoencoder
from ..parts import from_json, is_number, is_whole, listed, resolve, to_json
from ..persistence import load, save
from ..storage.files import StrPath
from .ensemble import Ensemble, Settings, columns, core, prepare
from .scores import SCORES
from .thresholds import THRESHOLDS, Fence, Quantile, Threshold, as_labels

Floats = NDArray[np.float64]

DENSE = 2**22
"""About how many values of a sparse matrix are made dense at a time."""
SAMPLED, FEWEST = 2**24, 1000
"""Values of the random sample of streamed rows that others are compared with and the threshold is
set on, and the least number of its rows."""
SCORED = 10_000
"""Rows of the fit, at most, on which the threshold is set."""


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Find anomalies among rows and pictures: those unlike what was learned as normal.

    ::

        X ──▶ standardised ──┬─▶ distance to the nearest normal rows ──────────────┐
                             ├─▶ distance to the surface on which those lie ───────┤
                             ╰─▶ denoising autoencoder: squared error, weight ¼ ───┴─▶ score (n,)

    A row's score is the mean of three, each calibrated on normal rows. The nearest rows find what
    lies where no normal row does (Ramaswamy et al., 2000), the surface and the reconstruction what
    breaks the relations between columns, in its place (compare Roweis, Saul, 2000) or everywhere
    (Vincent et al., 2010). Pictures are scored as they are, and the reconstruction is that of an
    `Autoencoder`, with weight 1.

    Parameters
    ----------
    autoencoder : Autoencoder or None
        Cloned and fitted on the data as they are, in place of the detector's own, which is a
        denoising one for rows and the default `Autoencoder` for pictures. One whose random_state is
        None takes the detector's.
    contamination : float or "auto"
        Share of the training rows that may be anomalies, from 0 to 0.5, or "auto" where there may
        be some and their share is not known. Where it is not 0, what is normal is learned from the
        rows that certainly are.
    threshold : Threshold, str or "auto"
        "quantile", "alerts", "fence", "f1" or "cost", or such a part: ``"quantile(rate=0.01)"``.
        "auto" flags the share `contamination` of the training rows, those beyond the fence of a box
        plot where that is "auto", and 5 % of held-out normal rows where it is 0.
    scores : str or sequence of str
        "auto" for all, or some of "neighbors", "surface", "reconstruction".
    n_neighbors : int
        Nearest normal rows whose mean distance is taken; more of them where `contamination` is not
        0.
    validation_fraction : float
        Share of the normal rows that is held out, and scored, to set the threshold.
    unseen : str
        What becomes of a category in a data frame that the fit never saw: "ignore" takes it for
        none of the known ones, which is anomalous, and a warning tells it once; "error" refuses
        it. An `autoencoder` does the same.
    random_state : int, RandomState or None
        Seed of everything random.
    verbose : int
        1 shows on a terminal what is being done; 2 prints a line for each stage.

    Attributes
    ----------
    offset_ : float
        The threshold: a row that scores below it is an anomaly.
    threshold_ : Threshold or None
        The rule it came from; None for the share of contamination.
    held_out_scores_ : ndarray
        Scores of the held-out normal rows, in rising order.
    columns_ : list of str
        Names of the columns that `explain` returns.

    Examples
    --------
    >>> from latente import AnomalyDetector, datasets
    >>> digits = datasets.load("digits")
    >>> rows = digits.X.reshape(len(digits.X), -1)
    >>> detector = AnomalyDetector(random_state=0).fit(rows[digits.y == 8])
    >>> bool((detector.predict(rows[digits.y == 1]) == -1).mean() > 0.9)
    True
    """

    _KIND = "latente anomaly detector"
    threshold_: Threshold | None

    def __init__(
        self,
        autoencoder: Autoencoder | None = None,
        *,
        contamination: float | str = 0.0,
        threshold: str | Threshold = "auto",
        scores: str | Sequence[str] = "auto",
        n_neighbors: int = 3,
        validation_fraction: float = 0.1,
        unseen: str = "ignore",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.contamination = contamination
        self.threshold = threshold
        self.scores = scores
        self.n_neighbors = n_neighbors
        self.validation_fraction = validation_fraction
        self.unseen = unseen
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of a threshold given by name: ``threshold__rate=0.01``."""
        threshold = params.get("threshold", self.threshold)
        if isinstance(threshold, str) and any(name.startswith("threshold__") for name in params):
            params["threshold"] = resolve(threshold, THRESHOLDS, "threshold")
        super().set_params(**params)
        return self

    def fit(self, X: Any, y: Any = None, *, validation: tuple[Any, Any] | None = None) -> Self:
        """Learn what is normal, and set the threshold.

        Parameters
        ----------
        X
            Rows (n, features), also as a sparse matrix of SciPy's, pictures (n, h, w) or
            (n, h, w, c), or a data frame, normal but for the share `contamination`; or what is
            streamed, as `Autoencoder.fit` takes it. Of streamed rows, scales and categories are
            learned from all, and so is an autoencoder of the data as they are where contamination
            is 0; what others are compared with, and the threshold, from a random sample of about
            16 million values (at least 1,000 rows), always the same one.
        y
            Ignored: a pipeline passes labels here.
        validation
            Rows and their labels, 1 for anomalies, for the thresholds by labels; see `calibrate`.

        Raises
        ------
        DataError
            If X cannot be used as it is, or is less than two rows.
        ParameterError
            If a parameter cannot work.
        """
        rule = self._rule()
        if rule is not None and rule.labelled and validation is None:
            raise ParameterError(
                f"threshold={self.threshold!r} needs labelled rows: give some as validation"
            )
        stages = Stages(self.verbose)
        settings = replace(self._settings(agreed_seed(self.random_state)), report=stages)
        every = opened(X)
        with stages:
            X, numbers = _sampled(every) if isinstance(every, Source) else (_indexable(every), None)
            preparation = prepare(every if numbers is not None else X, self.unseen)
        validate_data(self, named(X), reset=True, skip_check_array=True)
        self.n_features_in_ = preparation.n_features
        count = len(X)
        if count < 2:
            raise DataError(
                f"Found array with {count} sample(s) while a minimum of 2 is required: "
                "what is normal cannot be learned from one row"
            )
        with stages:
            held_out = _held_out(count, float(self.validation_fraction), settings.seed)
            if numbers is not None and not self.contamination:
                settings = replace(settings, streamed=Without(every, numbers[held_out]))
            self.ensemble_ = self._learned(X, preparation, settings, held_out)
            self.columns_ = columns(preparation)[0]
            stages("setting the threshold")
            return self._thresholded(X, held_out, rule, validation, settings.seed)

    def _learned(
        self,
        X: Any,
        preparation: Preparation,
        settings: Settings,
        held_out: NDArray[np.int64],
    ) -> Ensemble:
        """Return what is learned from the rows that are normal."""
        if not self.contamination:
            return Ensemble.learn(X, preparation, settings, held_out)
        normal = core(X, preparation, self._share(), settings)
        out = np.flatnonzero(np.isin(normal, held_out))
        if len(out) == len(normal):
            out = out[1:]
        rows = chosen_rows(X, normal)
        return Ensemble.learn(rows, preparation, settings.among(len(normal)), out)

    def _thresholded(
        self,
        X: Any,
        held_out: NDArray[np.int64],
        rule: Threshold | None,
        validation: tuple[Any, Any] | None,
        seed: int,
    ) -> Self:
        """Set the threshold, and the scores of held-out rows that are normal.

        Where the share of anomalies is not known, all held-out rows count as normal: anomalies
        among them make a rule more careful. Of many rows a sample is scored.
        """
        generator = np.random.default_rng(seed)
        scores = self._scores(chosen_rows(X, _some(held_out, generator)))
        if self.contamination:
            some = _some(np.arange(len(X)), generator)
            usual = self._scores(X if len(some) == len(X) else chosen_rows(X, some))
            own = self._own_rule()
            cut = own.offset(usual, np.zeros(len(usual), bool))
            if self._share() is not None and (scores >= cut).any():
                scores = scores[scores >= cut]
        self.held_out_scores_ = np.sort(scores)
        if validation is not None:
            return self.calibrate(*validation)
        if rule is None:
            self.threshold_ = own if self._share() is None else None
            self.offset_ = cut
            return self
        return self._set(rule, self.held_out_scores_, np.zeros(len(scores), bool))

    def calibrate(
        self,
        X: Any,
        y: Any = None,
        *,
        threshold: str | Threshold | None = None,
        contamination: float | None = None,
    ) -> Self:
        """Set the threshold anew, on rows that were not learned from.

        Parameters
        ----------
        X
            Rows as they were at fit.
        y
            1 or True for anomalies, 0 or False for normal rows; or −1 for anomalies and 1 for
            normal rows, as `predict` returns them, (n,). None where all are normal.
        threshold
            The rule; None for the detector's own.
        contamination
            Instead of labels and a rule: the share of these rows that is flagged, from 0 to 0.5.

        Raises
        ------
        DataError
            If the labels are others, may mean either, or do not go with the rows.
        ParameterError
            If a rule or labels are passed beside a share, or the share cannot work.
        """
        if contamination is not None:
            if y is not None or threshold is not None:
                raise ParameterError(
                    "contamination goes without y and without threshold: it sets the threshold "
                    "by the share of X alone"
                )
            _check_share(contamination)
            self.threshold_ = None
            self.offset_ = float(np.quantile(self.score_samples(X), float(contamination)))
            return self
        scores = self.score_samples(X)
        anomalies = np.zeros(len(scores), bool) if y is None else as_labels(y, len(scores))
        rule = resolve(threshold, THRESHOLDS, "threshold") if threshold else self._rule()
        return self._set(rule or self._own_rule(), scores, anomalies)

    def score_samples(self, X: Any) -> Floats:
        """Return how normal each row is, (n,): at most 0, and higher for more normal.

        Parameters
        ----------
        X
            As it was at fit.
        """
        X = opened(X)
        self._check(X)
        return self._scores(X)

    def decision_function(self, X: Any) -> Floats:
        """Return how far each score lies above the threshold, (n,): below 0 for anomalies.

        Parameters
        ----------
        X
            As it was at fit.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Return 1 for normal rows and −1 for anomalies, (n,).

        Parameters
        ----------
        X
            As it was at fit.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> Any:
        """Return what each column, or each pixel, adds to the anomaly score of each row.

        Parameters
        ----------
        X
            As it was at fit.

        Returns
        -------
        ndarray or data frame
            At least 0: of rows (n, columns), in the columns of the data (the flags of a category
            are summed), of pictures (n, h, w). A row's numbers add up to minus its score. Of a data
            frame it is one of the same library, with the same names of columns.
        """
        X = opened(X)
        self._check(X)
        preparation = self.ensemble_.preparation
        parts = _by_blocks(self.ensemble_.contributions, X)
        if len(preparation.shape) > 1:
            return np.asarray(parts.reshape(-1, *preparation.shape).sum(axis=1))
        names, owners = columns(preparation)
        folded = np.zeros((len(parts), len(names)))
        for column, owner in zip(parts.T, owners, strict=True):
            folded[:, owner] += column
        return like(X, folded) if is_frame(X) else folded

    def save(self, path: StrPath) -> None:
        """Write the detector, threshold and all, to one ``.safetensors`` file.

        Parameters
        ----------
        path
            Where to; a file that exists is replaced, and only once the new one is whole.
        """
        check_is_fitted(self, "offset_")
        save(self, path)

    @classmethod
    def load(
        cls, path: StrPath, network: tuple[torch.nn.Module, torch.nn.Module] | None = None
    ) -> AnomalyDetector:
        """Read a detector that `save` wrote, with all its parameters.

        Parameters
        ----------
        path
            The file.
        network
            Encoder and decoder, where the autoencoder was built of your own modules.

        Raises
        ------
        FileError
            If the file cannot be read, is no detector, is damaged, or comes from a later version.
        """
        return load(cls, path, network)

    def _settings(self, seed: int) -> Settings:
        """Return what the ensemble is to be made of, or raise `ParameterError`."""
        if self.contamination != "auto":
            _check_share(self.contamination)
        rules = [
            ("n_neighbors", is_whole(self.n_neighbors, 1, 1000), "a whole number from 1 to 1000"),
            (
                "validation_fraction",
                is_number(self.validation_fraction, 0, 0.5),
                "a number from 0 to 0.5",
            ),
            ("unseen", self.unseen in ("ignore", "error"), "'ignore' or 'error'"),
            (
                "autoencoder",
                self.autoencoder is None or isinstance(self.autoencoder, Autoencoder),
                "None or an Autoencoder",
            ),
        ]
        for name, good, right in rules:
            if not good:
                raise ParameterError(f"{name}={getattr(self, name)!r}: use {right}")
        scores = (self.scores,) if isinstance(self.scores, str) else tuple(self.scores)
        scores = tuple(SCORES) if scores == ("auto",) else scores
        if not scores or any(score not in SCORES for score in scores):
            raise ParameterError(f"scores={self.scores!r}: use 'auto', {listed(map(repr, SCORES))}")
        if self.autoencoder is not None and "reconstruction" not in scores:
            raise ParameterError(
                f"autoencoder is not used with scores={self.scores!r}: leave it out, or add "
                "'reconstruction'"
            )
        own = self.autoencoder
        if own is not None and own.random_state is None:
            own = clone(own).set_params(random_state=seed)
        return Settings(
            autoencoder=own,
            scores=scores,
            neighbors=int(self.n_neighbors),
            seed=seed,
            unseen=self.unseen,
        )

    def _share(self) -> float | None:
        """Return the share of anomalies; None where it is not known."""
        return None if self.contamination == "auto" else float(self.contamination)

    def _own_rule(self) -> Threshold:
        """Return the rule that contamination stands for."""
        share = self._share()
        return Fence() if share is None else Quantile(rate=share)

    def _rule(self) -> Threshold | None:
        """Return the rule for the threshold; None where contamination sets it."""
        if isinstance(self.threshold, str) and self.threshold == "auto":
            return None if self.contamination else Quantile()
        return resolve(self.threshold, THRESHOLDS, "threshold")

    def _set(self, rule: Threshold, scores: Floats, anomalies: NDArray[np.bool_]) -> Self:
        """Set the threshold by a rule."""
        self.offset_ = rule.offset(scores, anomalies)
        self.threshold_ = deepcopy(rule)
        return self

    def _check(self, X: Any) -> None:
        """Raise `DataError` where X has other columns than the rows of the fit."""
        check_is_fitted(self, "ensemble_")
        X = X.head() if isinstance(X, Source) else X
        self.ensemble_.preparation.check_features(X)
        try:
            validate_data(self, named(X), reset=False, skip_check_array=True)
        except ValueError as error:
            raise DataError(str(error)) from error

    def _scores(self, X: Any) -> Floats:
        """Return the scores of rows that are known to be like those of the fit, (n,)."""
        return -_by_blocks(self.ensemble_.scores, X)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a file keeps; see `persistence`."""
        meta, arrays = self.ensemble_.state()
        meta |= {
            "keywords": self._keywords(),
            "threshold": self.threshold_ and to_json(self.threshold_, THRESHOLDS),
            "offset": self.offset_,
            "held_out": torch.from_numpy(self.held_out_scores_),
            "columns": list(getattr(self, "feature_names_in_", [])),
            "names": self.columns_,
        }
        return meta, {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}

    def _keywords(self) -> dict[str, Any]:
        """Return the parameters as a file keeps them; a RandomState is not kept.

        Of the autoencoder only whether there is one, and whether it took the detector's seed: its
        other parameters are those of the fitted one.
        """
        rule, seed, own = self.threshold, self.random_state, self.autoencoder
        return {
            "autoencoder": own is not None,
            "seeded": own is not None and own.random_state is None,
            "contamination": "auto" if self._share() is None else self._share(),
            "threshold": to_json(rule, THRESHOLDS) if isinstance(rule, Threshold) else rule,
            "scores": self.scores if isinstance(self.scores, str | tuple) else list(self.scores),
            "n_neighbors": int(self.n_neighbors),
            "validation_fraction": float(self.validation_fraction),
            "unseen": self.unseen,
            "random_state": int(seed) if is_whole(seed) else None,  # type: ignore[arg-type]
        }

    @classmethod
    def _from_state(
        cls, meta: dict[str, Any], tensors: Mapping[str, torch.Tensor], network: Any
    ) -> Self:
        """Make the detector again of what `_state` returned, which may have been tampered with."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        ensemble = Ensemble.from_state(meta, arrays, network)
        keywords = dict(meta["keywords"])
        if isinstance(keywords["threshold"], dict):
            keywords["threshold"] = from_json(keywords["threshold"], THRESHOLDS, "threshold")
        own = clone(ensemble.autoencoder) if keywords["autoencoder"] else None
        if keywords.pop("seeded") and own is not None:
            own.set_params(random_state=None)
        keywords["autoencoder"] = own
        made = cls(**keywords)
        made._settings(as_seed(made.random_state))
        made._rule()
        rule = meta["threshold"]
        made.threshold_ = None if rule is None else from_json(rule, THRESHOLDS, "threshold")
        made.offset_ = float(meta["offset"])
        scores = meta["held_out"].numpy().astype(np.float64)
        if not np.isfinite([made.offset_, *scores]).all():
            raise ValueError("the threshold is not finite")
        made.ensemble_, made.held_out_scores_ = ensemble, scores
        made.columns_ = [str(name) for name in meta["names"]]
        if len(made.columns_) != len(columns(ensemble.preparation)[0]):
            raise ValueError("there are not as many names as columns")
        made.n_features_in_ = ensemble.preparation.n_features
        if meta["columns"]:
            made.feature_names_in_ = np.array([str(c) for c in meta["columns"]], dtype=object)
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        return tags


def _some(index: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return those rows, or as many of them as are scored, in rising order."""
    if len(index) <= SCORED:
        return index
    return np.sort(generator.choice(index, SCORED, replace=False))


class Stages:
    """What a person sees of a fit: what is being done, on stderr.

    Parameters
    ----------
    verbose
        0: silent; 1: one line that changes, on a terminal only; 2: a line for each stage, anywhere.
    """

    def __init__(self, verbose: int) -> None:
        self._lines = verbose >= 2
        self._shown = verbose >= 1 and not self._lines and sys.stderr.isatty()
        self._last = ""

    def __call__(self, stage: str) -> None:
        """Tell the next stage; what follows a colon is how far it is."""
        if self._shown:
            print(f"\r\x1b[K{stage}", end="", file=sys.stderr, flush=True)
        title = stage.partition(":")[0] if "%" in stage else stage
        if self._lines and title != self._last:
            print(title, file=sys.stderr, flush=True)
        self._last = title

    def __enter__(self) -> Self:
        self._token = REPORT.set(lambda what, share: self(f"{what}: {share:.0%}"))
        return self

    def __exit__(self, *error: object) -> None:
        REPORT.reset(self._token)
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _check_share(value: Any) -> None:
    """Raise `ParameterError` where that is no share of anomalies."""
    if not is_number(value, 0, 0.5):
        raise ParameterError(f'contamination={value!r}: use a number from 0 to 0.5, or "auto"')


def _indexable(X: Any) -> Any:
    """Return a data frame as it is, and anything else as an array, of which rows can be taken."""
    if is_frame(X):
        return X
    return as_tensor(SparseRows(X)[:] if is_sparse(X) else as_array(X)).cpu().numpy()


def _sampled(source: Source) -> tuple[Any, NDArray[np.int64]]:
    """Return a random sample of streamed rows, and their numbers; a warning tells it.

    It is the same for the same rows: which are drawn depends on their numbers alone.
    """
    sample = Sample(len(source), max(SAMPLED // math.prod(source.shape[1:]), FEWEST))
    pass_by(source, sample.add)
    rows = joined(sample.parts)
    if len(rows) < len(source):
        warnings.warn(
            f"{source.name} is streamed: scales and categories are learned from all its "
            f"{len(source):,} rows, and a random sample of {len(rows):,} stands for normal rows",
            DataWarning,
            stacklevel=3,
        )
    return _indexable(rows), np.concatenate(sample.numbers)


def _by_blocks(function: Callable[[Any], Floats], X: Any) -> Floats:
    """Apply a function of rows to all, to those of a sparse matrix block by block."""
    if isinstance(X, Source):
        with closing(X.ahead()) as parts:
            return np.concatenate([function(part) for _, part in parts])
    if not is_sparse(X):
        return np.asarray(function(X))
    rows: Any = SparseRows(X)
    return np.concatenate([function(block) for _, block in blocks(rows, DENSE)])


def _held_out(count: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return which of so many rows are held out, in rising order: one at least."""
    number = min(max(1, round(share * count)), count - 1)
    return np.sort(np.random.default_rng(seed).permutation(count)[:number])
