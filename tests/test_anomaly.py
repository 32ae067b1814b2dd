"""Anomaly detection: what is found, why, at which threshold, and how it is kept."""

from __future__ import annotations

import csv
import json
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import (
    check_fit_idempotent,
    check_outliers_fit_predict,
    parametrize_with_checks,
)
from torch import nn
from typer.testing import CliRunner

from latente import (
    AnomalyDetector,
    Autoencoder,
    DataError,
    Dense,
    FileError,
    ParameterError,
    PyODAdapter,
    datasets,
)
from latente.anomaly import ensemble
from latente.anomaly.detector import Stages
from latente.anomaly.scores import SCORES, VIEWS, Neighbors, Robust, Standard, Surface
from latente.anomaly.thresholds import F1, THRESHOLDS, Alerts, Fence, LeastCost, Quantile
from latente.cli.main import app

DIGITS = datasets.load("digits")


def correlated(n: int, seed: int) -> Any:
    """Rows of six columns that two hidden causes rule."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 2))
    mixing = np.random.default_rng(99).normal(size=(2, 6))
    return causes @ mixing + 0.1 * rng.normal(size=(n, 6))


def broken(n: int, seed: int) -> Any:
    """Rows whose every column is ordinary, but not together: each from another row."""
    rng = np.random.default_rng(seed)
    return rng.permuted(correlated(n, seed), axis=0)


def small(**keywords: Any) -> AnomalyDetector:
    return AnomalyDetector(**{"random_state": 0, **keywords})


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    return small().fit(correlated(400, 0))


@parametrize_with_checks([AnomalyDetector(random_state=0)])
def test_scikit_learns_own_checks(
    estimator: AnomalyDetector, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "STEPS", 2)
    monkeypatch.setattr(ensemble, "EPOCH", 100)
    check(estimator)


@pytest.mark.parametrize("scores", ["auto", *SCORES])
def test_each_score_finds_what_breaks_the_relations(scores: str) -> None:
    X = np.concatenate([correlated(200, 1), broken(200, 2)])
    odd = np.arange(400) >= 200
    detector = small(scores=scores).fit(correlated(400, 0))
    assert roc_auc_score(odd, -detector.score_samples(X)) > 0.9
    strangers = small(scores=scores).fit(broken(400, 3))
    assert roc_auc_score(odd, -strangers.score_samples(X)) < 0.7


def test_it_beats_nearest_rows_where_columns_are_skewed() -> None:
    """What a plain distance cannot see: the rare in a column of a narrow and heavy spread."""
    rng = np.random.default_rng(0)

    def rows(n: int) -> Any:
        heavy = np.exp(2 * rng.normal(size=(n, 3)))
        return np.c_[heavy, heavy[:, :2] * np.exp(0.1 * rng.normal(size=(n, 2)))]

    train, normal, odd = rows(600), rows(200), rng.permuted(rows(200), axis=0)
    X, y = np.r_[normal, odd], np.arange(400) >= 200
    spread = train.std(0)
    distances, _ = NearestNeighbors(n_neighbors=5).fit(train / spread).kneighbors(X / spread)
    ours = -small().fit(train).score_samples(X)
    theirs = distances.mean(1)
    assert average_precision_score(y, ours) > average_precision_score(y, theirs) + 0.05


def test_scores_are_the_same_for_the_same_seed_and_one_row_at_a_time(
    fitted: AnomalyDetector,
) -> None:
    X = broken(20, 5)
    again = small().fit(correlated(400, 0))
    assert np.array_equal(again.score_samples(X), fitted.score_samples(X))
    alone = np.concatenate([fitted.score_samples(row[None]) for row in X])
    assert np.allclose(alone, fitted.score_samples(X), atol=1e-5)


@pytest.mark.parametrize("own", [False, True])
def test_many_rows_are_scored_some_at_a_time(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    ae = Autoencoder(latent_dim=2, network=Dense(hidden=(4,)), epochs=2)
    detector = small(**({"autoencoder": ae} if own else {})).fit(correlated(300, 0))
    X = broken(2500, 5)
    scores, parts = detector.score_samples(X), detector.explain(X)
    monkeypatch.setattr(ensemble, "AT_ONCE", 6000)
    sizes = [len(rows.x) for rows in detector.ensemble_._rows(X)]
    assert sizes == [1000, 1000, 500]
    assert np.allclose(detector.score_samples(X), scores, atol=1e-6)
    assert np.allclose(detector.explain(X), parts, atol=1e-6)


def test_wild_values_are_odd_and_nothing_else(fitted: AnomalyDetector) -> None:
    X = correlated(3, 1)
    X[1, 2], X[2, 0] = 1e30, -1e12
    scores = fitted.score_samples(X)
    assert np.isfinite(scores).all()
    assert (scores[1:] < fitted.offset_).all()
    assert np.isfinite(fitted.explain(X)).all()
    assert fitted.explain(X)[1].argmax() == 2


class TestContamination:
    def test_trimming_keeps_anomalies_from_being_learned(self) -> None:
        """A clump of anomalies among the rows of the fit is found, and not without trimming."""
        rng = np.random.default_rng(0)
        clump = correlated(1, 7) + 5 * np.array([1, -1, 1, -1, 1, -1])
        odd = clump + 0.05 * rng.normal(size=(30, 6))
        X = np.concatenate([correlated(270, 0), odd])
        new = np.concatenate([correlated(200, 1), clump + 0.05 * rng.normal(size=(30, 6))])
        y = np.arange(230) >= 200
        trimmed = small(contamination=0.1).fit(X)
        naive = small().fit(X)
        assert average_precision_score(y, -trimmed.score_samples(new)) > 0.95
        assert average_precision_score(y, -naive.score_samples(new)) < 0.8

    def test_auto_finds_a_far_dense_clump(self) -> None:
        """Ten rows, alike and far off, are one another's nearest: their ranking must not invert."""
        rng = np.random.default_rng(1)
        far = np.full(6, 9.0) + 0.01 * rng.normal(size=(10, 6))
        X = np.concatenate([correlated(390, 0), far])
        odd = np.arange(400) >= 390
        robust = small(contamination="auto").fit(X)
        assert average_precision_score(odd, -robust.score_samples(X)) > 0.95
        flags = robust.predict(X) == -1
        assert flags[odd].all()
        assert flags[~odd].mean() < 0.2
        assert isinstance(robust.threshold_, Fence)

    def test_auto_costs_little_where_all_rows_are_normal(self) -> None:
        X = np.concatenate([correlated(200, 1), broken(200, 2)])
        y = np.arange(400) >= 200
        robust, plain = (
            roc_auc_score(y, -small(contamination=share).fit(correlated(400, 0)).score_samples(X))
            for share in ("auto", 0.0)
        )
        assert robust > plain - 0.05

    def test_false_alarms_are_as_many_as_asked_for_though_a_core_is_learned(self) -> None:
        detector = small(
            contamination="auto", threshold="quantile(rate=0.1)", validation_fraction=0.4,
            scores="neighbors",
        ).fit(correlated(1500, 0))  # fmt: skip
        assert (detector.predict(correlated(1000, 1)) == -1).mean() == pytest.approx(0.1, abs=0.1)

    def test_many_rows_are_compared_with_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Work grows with the number of rows, not with its square."""
        for name in ("COMPARED", "FEWER"):
            monkeypatch.setattr(ensemble, name, 100)
        X = np.concatenate([correlated(980, 0), np.full((20, 6), 8.0)])
        found = small(contamination="auto", scores="neighbors").fit(X)
        (member,) = found.ensemble_.members
        assert isinstance(member.score, Neighbors)
        assert len(member.score.references) == 100
        assert roc_auc_score(np.arange(1000) >= 980, -found.score_samples(X)) > 0.95

    def test_says_what_it_does(self, capsys: pytest.CaptureFixture[str]) -> None:
        small(contamination="auto", verbose=2).fit(correlated(60, 0))
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "looking for normal rows among 60"
        assert lines[-1] == "setting the threshold"
        assert any("surface" in line for line in lines)
        small(contamination="auto", verbose=1).fit(correlated(60, 0))
        assert capsys.readouterr().err == "", "no terminal, no line that changes"

    def test_ctrl_c_ends_it_between_two_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ensemble, "BLOCK", 50)
        asked: list[str] = []

        def interrupt(self: Stages, stage: str) -> None:
            asked.append(stage)
            if "33%" in stage:
                raise KeyboardInterrupt

        monkeypatch.setattr(Stages, "__call__", interrupt)
        with pytest.raises(KeyboardInterrupt):
            small(contamination="auto").fit(correlated(150, 0))
        assert len(asked) == 2

    def test_ctrl_c_in_the_autoencoder_ends_all_of_it(self) -> None:
        class Impatient:
            def on_epoch_end(self, state: object) -> None:
                raise KeyboardInterrupt

        own = Autoencoder(2, epochs=3, network=Dense(hidden=(4,)), callbacks=Impatient())
        with pytest.raises(KeyboardInterrupt):
            small(autoencoder=own).fit(correlated(60, 0))

    def test_that_share_of_the_training_rows_is_flagged(self) -> None:
        X = np.concatenate([correlated(285, 0), broken(15, 1)])
        detector = small(contamination=0.05).fit(X)
        assert (detector.predict(X) == -1).sum() == 15


class TestThreshold:
    def test_quantile_is_the_rate_of_false_alarms_on_new_rows(self) -> None:
        detector = small(threshold="quantile(rate=0.1)", validation_fraction=0.3)
        detector.fit(correlated(1500, 0))
        assert (detector.predict(correlated(1000, 1)) == -1).mean() == pytest.approx(0.1, abs=0.04)

    def test_alerts_a_day(self) -> None:
        scores = np.arange(1000.0)
        offset = Alerts(per_day=20, rows_per_day=1000).offset(scores, np.zeros(1000, bool))
        assert (scores < offset).sum() == 20

    def test_quantile_leaves_out_known_anomalies(self) -> None:
        scores = np.r_[np.full(50, -100.0), np.arange(100.0)]
        offset = Quantile(rate=0.1).offset(scores, np.arange(150) < 50)
        assert offset == pytest.approx(9.9)

    def test_f1_is_the_best_there_is(self) -> None:
        rng = np.random.default_rng(0)
        odd = rng.random(200) < 0.2
        scores = rng.normal(size=200) - odd
        offset = F1().offset(scores, odd)

        def f1(cut: float) -> float:
            flagged = scores < cut
            return float(2 * (flagged & odd).sum() / (flagged.sum() + odd.sum()))

        assert f1(offset) == pytest.approx(max(f1(cut) for cut in [*scores, 10.0]))

    def test_cost_trades_misses_against_false_alarms(self) -> None:
        rng = np.random.default_rng(0)
        odd = rng.random(300) < 0.1
        scores = rng.normal(size=300) - odd
        dear, cheap = (LeastCost(miss=m).offset(scores, odd) for m in (100, 0.1))
        assert (scores < dear).sum() > (scores < cheap).sum()
        assert LeastCost(miss=1, false_alarm=0).offset(scores, odd) > scores[odd].max()

    def test_calibrate_sets_it_anew(self, fitted: AnomalyDetector) -> None:
        X = np.concatenate([correlated(100, 3), broken(100, 4)])
        y = np.arange(200) >= 100
        detector = small(threshold="f1").fit(correlated(400, 0), validation=(X, y))
        assert isinstance(detector.threshold_, F1)
        assert ((detector.predict(X) == -1) == y).mean() > 0.8
        low = detector.calibrate(X, y, threshold="cost(miss=0)").offset_
        assert detector.calibrate(X, y, threshold="cost(miss=1000)").offset_ > low

    @pytest.mark.parametrize("name", THRESHOLDS)
    def test_labels_are_asked_for_where_they_are_needed(self, name: str) -> None:
        detector = small(threshold=name)
        if not THRESHOLDS[name].labelled:
            assert np.isfinite(detector.fit(correlated(50, 0)).offset_)
            return
        with pytest.raises(ParameterError, match="needs labelled rows"):
            detector.fit(correlated(50, 0))
        X = correlated(20, 1)
        with pytest.raises(DataError, match="normal rows only"):
            detector.fit(correlated(50, 0), validation=(X, np.zeros(20)))

    def test_fence_is_that_of_a_box_plot_on_the_better_side(self) -> None:
        scores = np.random.default_rng(0).normal(size=20_000)
        assert Fence().offset(scores, np.zeros(20_000, bool)) == pytest.approx(-2.7, abs=0.1)
        with pytest.raises(ParameterError, match="whiskers"):
            Fence(whiskers=-1)

    @pytest.mark.parametrize("kind", [int, bool, float, "signs"])
    def test_labels_of_either_manner_are_taken_alike(
        self, fitted: AnomalyDetector, kind: Any
    ) -> None:
        X, y = np.concatenate([correlated(30, 3), broken(30, 4)]), np.arange(60) >= 30
        labels = np.where(y, -1, 1) if kind == "signs" else y.astype(kind)
        offsets = [
            deepcopy(fitted).calibrate(X, given, threshold="f1").offset_ for given in (y, labels)
        ]
        assert offsets[0] == offsets[1]

    def test_labels_that_may_mean_either_are_refused(self, fitted: AnomalyDetector) -> None:
        X = correlated(3, 0)
        for labels, told in (
            ([1, 1, 1], "may mean anomalies"),
            ([1, 0, -1], "holds -1, 0, 1: use"),
            (["a", "b", "a"], "use 0 for normal rows and 1"),
            ([True] * 3, "True for every row"),
        ):
            with pytest.raises(DataError, match=told):
                deepcopy(fitted).calibrate(X, labels)

    def test_calibrate_takes_a_share_in_place_of_labels(self, fitted: AnomalyDetector) -> None:
        X = np.concatenate([correlated(90, 3), broken(10, 4)])
        detector = deepcopy(fitted).calibrate(X, contamination=0.1)
        assert (detector.predict(X) == -1).sum() == 10
        with pytest.raises(ParameterError, match="goes without y"):
            detector.calibrate(X, np.zeros(100), contamination=0.1)
        with pytest.raises(ParameterError, match=r"contamination=0\.8"):
            detector.calibrate(X, contamination=0.8)

    def test_wrong_labels_are_told(self, fitted: AnomalyDetector) -> None:
        with pytest.raises(DataError, match="one for each"):
            fitted.calibrate(correlated(5, 0), [1, 0])
        with pytest.raises(DataError, match="0 for normal rows"):
            fitted.calibrate(correlated(2, 0), [1, 2])


class TestExplain:
    def test_the_broken_column_is_named_and_parts_add_up(self, fitted: AnomalyDetector) -> None:
        X = correlated(60, 8)
        X[np.arange(60), np.arange(60) % 6] += 3
        parts = fitted.explain(X)
        assert (parts >= 0).all()
        assert np.allclose(parts.sum(1), -fitted.score_samples(X), atol=1e-5)
        assert (parts.argmax(1) == np.arange(60) % 6).mean() > 0.8

    def test_frames_with_categories_and_gaps(self) -> None:
        rng = np.random.default_rng(0)
        n = 300
        kind = rng.choice(["a", "b", "c"], n)
        size = np.where(kind == "a", 1.0, 5.0) + 0.1 * rng.normal(size=n)
        size[::7] = np.nan
        frame = pd.DataFrame({"kind": kind, "size": size, "price": size * 2})
        frame["price"] = frame["price"].fillna(4.0)
        detector = small().fit(frame)
        assert detector.columns_ == ["kind", "size", "price"]
        new = pd.DataFrame({"kind": ["b", "z"], "size": [5.0, 5.0], "price": [60.0, 10.0]})
        with pytest.warns(UserWarning, match="'kind' has levels that the fit never saw: 'z'"):
            parts = detector.explain(new).to_numpy()
        assert parts.shape == (2, 3)
        assert parts[0].argmax() == 2
        assert parts[1].argmax() == 0  # a level never seen is no error but the reason
        assert list(detector.predict(new)) == [-1, -1]

    def test_pictures_get_a_heat_map(self) -> None:
        eights = DIGITS.X[DIGITS.y == 8]
        ae = Autoencoder(latent_dim=6, epochs=30, random_state=0, network=Dense(hidden=(32,)))
        detector = small(autoencoder=ae).fit(eights[:-20])
        spoiled = eights[-20:].copy()
        spoiled[:, :2, :2] = DIGITS.X.max()
        heat = detector.explain(spoiled)
        assert heat.shape == spoiled.shape
        assert heat[:, :2, :2].sum() / heat.sum() > 0.4
        assert (detector.score_samples(spoiled) < detector.score_samples(eights[-20:])).all()


class TestParameters:
    @pytest.mark.parametrize(
        ("keywords", "told"),
        [
            ({"contamination": 0.7}, "contamination=0.7"),
            ({"contamination": "some"}, "contamination='some'"),
            ({"n_neighbors": 0}, "n_neighbors=0"),
            ({"validation_fraction": 0.9}, "validation_fraction=0.9"),
            ({"scores": "densty"}, "scores='densty'"),
            ({"autoencoder": "conv"}, "autoencoder='conv'"),
            ({"autoencoder": Autoencoder(), "scores": "neighbors"}, "autoencoder is not used"),
            ({"threshold": "quantil"}, "threshold='quantil'"),
            ({"threshold": "quantile(rate=2)"}, "rate=2"),
        ],
    )
    def test_what_cannot_work_is_named(self, keywords: dict[str, Any], told: str) -> None:
        with pytest.raises(ParameterError) as error:
            small(**keywords).fit(correlated(30, 0))
        assert told in str(error.value)

    def test_a_threshold_by_name_takes_its_parameters(self) -> None:
        detector = small(threshold="quantile").set_params(threshold__rate=0.2)
        assert detector.threshold == Quantile(rate=0.2)
        with pytest.raises(ParameterError, match="per_day"):
            small(threshold="f1").set_params(threshold__per_day=3)
        rule = Quantile(rate=0.2)
        fitted = small(threshold=rule).fit(correlated(50, 0))
        rule.set_params(rate=0.4)
        assert fitted.threshold_ == Quantile(rate=0.2)

    def test_an_autoencoder_of_ones_own_is_cloned_and_used(self) -> None:
        ae = Autoencoder(latent_dim=2, network=Dense(hidden=(16,)), epochs=40, random_state=0)
        detector = small(autoencoder=ae, scores="reconstruction").fit(correlated(300, 0))
        assert not hasattr(ae, "fitted_")
        (member,) = detector.ensemble_.members
        assert member.score.autoencoder.latent_dim_ == 2  # type: ignore[attr-defined]

    def test_an_autoencoder_without_a_seed_takes_the_detectors(self, tmp_path: Path) -> None:
        own = Autoencoder(2, network=Dense(hidden=(4,)), epochs=2)
        X = correlated(60, 0)
        first, second = (small(autoencoder=own).fit(X).score_samples(X) for _ in range(2))
        assert np.array_equal(first, second)
        assert own.random_state is None
        detector = small(autoencoder=own).fit(X)
        detector.save(tmp_path / "d.safetensors")
        loaded = AnomalyDetector.load(tmp_path / "d.safetensors")
        assert loaded.autoencoder is not None
        assert loaded.autoencoder.random_state is None
        seeded = Autoencoder(2, network=Dense(hidden=(4,)), epochs=2, random_state=5)
        fitted = small(autoencoder=seeded).fit(X).ensemble_.autoencoder
        assert fitted is not None
        assert fitted.random_state == 5

    @pytest.mark.parametrize("check", [check_fit_idempotent, check_outliers_fit_predict])
    def test_scikit_learns_checks_with_an_autoencoder(self, check: Any) -> None:
        own = Autoencoder(2, network=Dense(hidden=(4,)), epochs=2)
        check("AnomalyDetector", small(autoencoder=own))


class TestSurface:
    def test_off_the_surface_is_farther_than_along_it(self) -> None:
        """Rows on a curve: one step along costs little, the same step across costs all of it."""
        rng = np.random.default_rng(0)
        angle = rng.uniform(0, np.pi, 800)
        ring = np.c_[np.cos(angle), np.sin(angle)] + 0.005 * rng.normal(size=(800, 2))
        surface = SCORES["surface"]
        assert issubclass(surface, Surface)
        score = surface.learn(ring, 40)
        along, across = score.distances(np.array([[0.0, 1.0], [0.0, 1.2]]))
        assert across > 5 * along
        assert np.allclose(
            score.distances(ring[:50]),
            np.r_[score.distances(ring[:20]), score.distances(ring[20:50])],
        )

    def test_wide_and_narrow_rows_have_one_formula(self) -> None:
        """Solved by columns or by neighbours, whichever are fewer, the distance is the same."""
        rng = np.random.default_rng(0)
        x, new = rng.normal(size=(60, 8)), rng.normal(size=(5, 8))
        empty = [np.c_[rows, np.zeros((len(rows), 60))] for rows in (x, new)]
        narrow = Surface.learn(x, 20).distances(new)
        wide = Surface.learn(empty[0], 20).distances(empty[1])
        assert np.allclose(narrow, wide)

    def test_equal_rows_do_no_harm(self) -> None:
        score = Surface.learn(np.ones((50, 3)), 40)
        assert np.isfinite(score.distances(np.array([[1.0, 1, 1], [2, 2, 2]]))).all()


@pytest.fixture(scope="module")
def adapted() -> PyODAdapter:
    return PyODAdapter(random_state=0).fit(mixed_rows()[0])


def mixed_rows() -> tuple[Any, Any]:
    X = np.concatenate([correlated(180, 0), 3 * broken(20, 1)])
    return X, (np.arange(200) >= 180).astype(int)


class TestPyODAdapter:
    """What those who come from PyOD rely on."""

    def test_scores_are_higher_for_odder_rows_and_labels_follow(self, adapted: PyODAdapter) -> None:
        X, y = mixed_rows()
        assert roc_auc_score(y, adapted.decision_scores_) > 0.9
        assert np.array_equal(adapted.decision_function(X), adapted.decision_scores_)
        assert adapted.labels_.sum() == 20
        assert np.array_equal(adapted.labels_, adapted.decision_scores_ > adapted.threshold_)
        assert np.array_equal(adapted.predict(X), adapted.labels_)
        assert np.array_equal(adapted.decision_function(X), -adapted.detector_.score_samples(X))

    def test_probabilities(self, adapted: PyODAdapter) -> None:
        X, y = mixed_rows()
        for method in ("linear", "unify"):
            found = adapted.predict_proba(X, method=method)
            assert found.shape == (200, 2)
            assert np.allclose(found.sum(axis=1), 1)
            assert ((found >= 0) & (found <= 1)).all()
            assert found[y == 1, 1].mean() > found[y == 0, 1].mean() + 0.2
        with pytest.raises(ValueError, match="linear"):
            adapted.predict_proba(X, method="other")

    def test_confidence_is_low_at_the_threshold_alone(self, adapted: PyODAdapter) -> None:
        X, _ = mixed_rows()
        labels, confidence = adapted.predict(X, return_confidence=True)
        assert np.array_equal(confidence, adapted.predict_confidence(X))
        assert ((confidence >= 0) & (confidence <= 1)).all()
        order = np.argsort(np.abs(adapted.decision_scores_ - adapted.threshold_))
        assert confidence[order[:4]].max() < 0.9
        assert confidence[order[-4:]].min() > 0.99
        assert np.array_equal(labels, adapted.labels_)

    def test_rejection(self, adapted: PyODAdapter) -> None:
        X, _ = mixed_rows()
        shares = [(adapted.predict_with_rejection(X, T=t) == -2).mean() for t in (1, 3, 32)]
        assert shares == sorted(shares)
        assert 0 < shares[1] < 1
        labels, (expected, bound, cost) = adapted.predict_with_rejection(X, T=3, return_stats=True)
        assert set(labels) <= {0, 1, -2}
        assert 0 <= expected <= bound <= 2
        assert cost >= 0
        with pytest.raises(ParameterError, match="T=0"):
            adapted.predict_with_rejection(X, T=0)

    def test_epochs_history_and_what_is_refused(self) -> None:
        X, y = mixed_rows()
        adapter = PyODAdapter(epoch_num=3, random_state=0)
        assert np.array_equal(adapter.fit_predict(X), adapter.labels_)
        assert len(adapter.history_["loss"]) == 3
        assert adapter.model is not None
        quick = PyODAdapter(AnomalyDetector(scores="neighbors", random_state=0))
        assert quick.fit_predict_score(X, y) > 0.8
        assert 0 <= quick.fit_predict_score(X, y, scoring="prc_n_score") <= 1
        assert quick.model is None
        with pytest.raises(NotImplementedError, match="roc_auc_score"):
            quick.fit_predict_score(X, y, scoring="other")
        for wrong in ({"contamination": 0}, {"epoch_num": 0}, {"detector": 3}):
            with pytest.raises(ParameterError, match=next(iter(wrong))):
                PyODAdapter(**wrong).fit(X)

    def test_is_cloned_with_its_parameters(self) -> None:
        adapter = PyODAdapter(contamination=0.2, epoch_num=7)
        assert clone(adapter).get_params() == adapter.get_params()


class TestFile:
    def test_what_is_loaded_is_what_was_saved(
        self, fitted: AnomalyDetector, tmp_path: Path
    ) -> None:
        X = broken(30, 2)
        fitted.save(tmp_path / "d.safetensors")
        again = AnomalyDetector.load(tmp_path / "d.safetensors")
        assert np.array_equal(again.score_samples(X), fitted.score_samples(X))
        assert np.array_equal(again.explain(X), fitted.explain(X))
        assert again.offset_ == fitted.offset_
        assert again.threshold_ == fitted.threshold_
        again.save(tmp_path / "e.safetensors")
        assert (tmp_path / "e.safetensors").read_bytes() == (
            tmp_path / "d.safetensors"
        ).read_bytes()

    @pytest.mark.parametrize(
        "keywords",
        [
            {},
            {"scores": "neighbors", "n_neighbors": 4, "random_state": 7},
            {"scores": ("reconstruction",), "threshold": "alerts(per_day=3)"},
            {"scores": ["neighbors", "reconstruction"], "threshold": Quantile(rate=0.2)},
            {"contamination": 0.1, "validation_fraction": 0.3, "random_state": None},
            {
                "autoencoder": Autoencoder(
                    2, network=Dense(hidden=(8,)), bottleneck="sparse(weight=0.2)", epochs=1
                )
            },
        ],
    )
    def test_every_keyword_comes_back(self, keywords: dict[str, Any], tmp_path: Path) -> None:
        detector = small(**keywords).fit(correlated(60, 0))
        detector.calibrate(correlated(30, 1), threshold="quantile(rate=0.4)")
        detector.save(tmp_path / "d.safetensors")
        again = AnomalyDetector.load(tmp_path / "d.safetensors")
        own, loaded = (each.get_params(deep=False) for each in (detector, again))
        ae, loaded_ae = own.pop("autoencoder"), loaded.pop("autoencoder")
        assert loaded == own
        assert again.threshold_ == Quantile(rate=0.4)
        assert (loaded_ae is None) == (ae is None)
        if ae is not None:
            assert loaded_ae.get_params() == ae.get_params()
            assert not hasattr(loaded_ae, "fitted_")
        same = again.fit(correlated(60, 0))
        if keywords.get("random_state", 0) is not None and ae is None:
            new = small(**keywords).fit(correlated(60, 0))
            assert same.offset_ == new.offset_

    def test_modules_of_ones_own_are_passed_to_load(self, tmp_path: Path) -> None:
        own = (nn.Linear(6, 2), nn.Linear(2, 6))
        detector = small(autoencoder=Autoencoder(2, network=own, epochs=1, random_state=0))
        detector.fit(correlated(60, 0)).save(tmp_path / "d.safetensors")
        again = AnomalyDetector.load(
            tmp_path / "d.safetensors", network=(nn.Linear(6, 2), nn.Linear(2, 6))
        )
        X = broken(10, 1)
        assert np.array_equal(again.score_samples(X), detector.score_samples(X))

    def test_frames_and_pictures(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": list("xyz") * 20, "b": np.arange(60.0)})
        ae = Autoencoder(latent_dim=3, epochs=1, network=Dense(hidden=(8,)), random_state=0)
        for X, own in ((frame, None), (DIGITS.X[:60], ae)):
            detector = small(autoencoder=own, contamination=0.05).fit(X)
            detector.save(tmp_path / "d.safetensors")
            again = AnomalyDetector.load(tmp_path / "d.safetensors")
            assert np.array_equal(again.predict(X), detector.predict(X))
            assert again.columns_ == detector.columns_

    def test_a_file_of_another_kind_is_refused(
        self, fitted: AnomalyDetector, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path / "d.safetensors")
        with pytest.raises(FileError, match="anomaly detector"):
            Autoencoder.load(tmp_path / "d.safetensors")

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_damaged_file_raises_nothing_but_file_error(
        self, fitted: AnomalyDetector, tmp_path: Path, data: st.DataObject
    ) -> None:
        path = tmp_path / "d.safetensors"
        if not path.exists():
            fitted.save(path)
        raw = bytearray(path.read_bytes())
        length = int.from_bytes(raw[:8], "little")
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(8, 8 + length - 1))
            raw[place] = data.draw(st.sampled_from(b'0123456789-.e"{}[],:anx'))
        (tmp_path / "bad").write_bytes(raw)
        try:
            loaded = AnomalyDetector.load(tmp_path / "bad")
        except FileError:
            return
        loaded.score_samples(correlated(4, 0))


class TestViews:
    @given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40))
    def test_tails_are_drawn_in_and_keep_their_order(self, values: list[float]) -> None:
        x = np.array(values)[:, None]
        y = Standard.learn(x).transform(np.sort(np.r_[x, [[-1e30], [1e30]]], axis=0))
        assert np.isfinite(y).all()
        assert (np.diff(y[:, 0]) >= 0).all()
        assert np.abs(y).max() < 400

    def test_few_wild_rows_do_not_move_the_robust_scale(self) -> None:
        x = np.random.default_rng(0).normal(5, 2, size=(1000, 2))
        wild = x.copy()
        wild[:100] = 1e6
        assert np.allclose(Robust.learn(x).shift, Robust.learn(wild).shift, atol=0.5)
        assert np.allclose(Robust.learn(x).span, Robust.learn(wild).span, rtol=0.3)
        assert (Standard.learn(wild).span > 1e4).all()

    @pytest.mark.parametrize("name", VIEWS)
    def test_every_view_comes_back_from_its_state(self, name: str) -> None:
        x = correlated(50, 0)
        view = VIEWS[name].learn(x)
        again = VIEWS[name].from_state(view.state(), 6)
        assert np.array_equal(again.transform(2 * x), view.transform(2 * x))
        if name != "unscaled":
            with pytest.raises(ValueError, match=r"shape|columns"):
                VIEWS[name].from_state(view.state(), 5)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("detect")
    rng = np.random.default_rng(0)
    for name, count, odd in (("train", 200, 0), ("new", 50, 3)):
        with (home / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["size", "weight", "colour", "odd"])
            for i in range(count):
                size = rng.normal()
                weight = size + 0.05 * rng.normal() + (4 if i < odd else 0)
                writer.writerow([size, weight, "rb"[i % 2], int(i < odd)])
    done = run(
        "detect", home / "train.csv", "--fit", "-o", home / "d.safetensors", "--label", "odd"
    )
    assert done.exit_code == 0, done.stderr
    return home


class TestCommand:
    def test_names_the_oddest_rows_and_why(self, home: Path) -> None:
        args = ("detect", home / "new.csv", "-m", home / "d.safetensors", "--label", "odd")
        done = run(*args, "--explain", "--top", 3, "--json")
        answer = json.loads(done.stdout)
        assert {row["row"] for row in answer["top"]} == {0, 1, 2}
        assert all("weight" in list(row["because"])[:2] for row in answer["top"])
        assert all(row["flagged"] for row in answer["top"])
        told = run(*args, "--explain", "--top", 3).stdout
        assert "weight" in told
        assert "because" in told

    def test_shows_no_more_than_can_be_read(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("latente.cli.detect.MOST", 2)
        args = ("detect", home / "new.csv", "-m", home / "d.safetensors", "--label", "odd")
        answer = json.loads(run(*args, "--json").stdout)
        assert len(answer["top"]) == 2 < answer["flagged"]
        assert "shown are the 2 most anomalous" in run(*args).stdout
        assert len(json.loads(run(*args, "--json", "--top", 4).stdout)["top"]) == 4

    def test_goes_by_the_names_of_plain_columns_not_by_their_order(self, tmp_path: Path) -> None:
        X = np.random.default_rng(0).normal(size=(300, 3)) * (1, 10, 100)
        X[:2, 2] = 5000
        write = partial(np.savetxt, fmt="%.6g", delimiter=",", comments="")
        write(tmp_path / "a.csv", X[2:], header="one,ten,hundred")
        write(tmp_path / "b.csv", X[:40], header="one,ten,hundred")
        write(tmp_path / "c.csv", X[:40, ::-1], header="hundred,ten,one")
        write(tmp_path / "d.csv", X[:40], header="one,ten,thousand")
        model = tmp_path / "d.safetensors"
        assert run("detect", tmp_path / "a.csv", "--fit", "-o", model).exit_code == 0
        answers = [
            json.loads(run("detect", tmp_path / name, "-m", model, "--explain", "--json").stdout)
            for name in ("b.csv", "c.csv")
        ]
        assert answers[0]["top"] == answers[1]["top"]
        assert next(iter(answers[0]["top"][0]["because"])) == "hundred"
        done = run("detect", tmp_path / "d.csv", "-m", model)
        assert done.exit_code == 1
        assert "no column 'hundred'" in done.stderr

    def test_writes_score_flag_and_columns(self, home: Path) -> None:
        out = home / "flags.csv"
        done = run(
            "detect", home / "new.csv", "-m", home / "d.safetensors", "--label", "odd",
            "--explain", "-o", out,
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
        rows = list(csv.DictReader(out.read_text().splitlines()))
        assert list(rows[0]) == ["score", "flagged", "size", "weight", "colour"]
        assert len(rows) == 50
        assert sum(float(row["flagged"]) for row in rows[:3]) == 3

    def test_thresholds_by_labels(self, home: Path) -> None:
        done = run(
            "detect", home / "train.csv", "--fit", "-o", home / "f1.safetensors", "--label", "odd",
            "--threshold", "f1", "--validation", home / "new.csv", "--json",
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
        detector = AnomalyDetector.load(home / "f1.safetensors")
        assert isinstance(detector.threshold_, F1)

    def test_the_share_of_anomalies_may_be_unknown(self, home: Path) -> None:
        args = ("detect", home / "new.csv", "--fit", "--label", "odd", "--json")
        done = run(*args, "-o", home / "auto.safetensors", "--contamination", "auto")
        assert done.exit_code == 0, done.stderr
        assert AnomalyDetector.load(home / "auto.safetensors").contamination == "auto"
        done = run(*args, "-o", home / "share.safetensors", "--contamination", "0.1")
        assert json.loads(done.stdout)["flagged"] == 5

    def test_pictures_get_a_sheet(self, tmp_path: Path) -> None:
        ae = Autoencoder(latent_dim=4, epochs=2, network=Dense(hidden=(16,)), random_state=0)
        small(autoencoder=ae).fit(DIGITS.X[:80]).save(tmp_path / "d.safetensors")
        np.save(tmp_path / "x.npy", DIGITS.X[80:100])
        model, sheet = tmp_path / "d.safetensors", tmp_path / "sheet.png"
        done = run("detect", tmp_path / "x.npy", "-m", model, "--top", 4, "-o", sheet)
        assert done.exit_code == 0, done.stderr
        with Image.open(sheet) as picture:
            assert picture.mode == "RGB"
            assert picture.size[0] > picture.size[1]

    @pytest.mark.parametrize(
        ("args", "code", "told"),
        [
            (["--fit"], 2, "give --output FILE"),
            (["--fit", "-o", "x.safetensors", "--contamination", "x"], 2, "--contamination x: use"),
            ([], 2, "give --model FILE, or --fit"),
            (["-m", "none.safetensors"], 2, "there is no such detector"),
            (["-m", "d.safetensors", "--threshold", "f1"], 2, "goes with --fit"),
            (["-m", "d.safetensors", "--label", "odd", "-o", "x.png"], 2, "no heat maps"),
            (["-m", "new.csv"], 1, "no safetensors file"),
            (["--fit", "-o", "e.safetensors", "--threshold", "f1"], 2, "needs labelled rows"),
        ],
    )
    def test_refuses_in_one_sentence(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, told: str
    ) -> None:
        monkeypatch.chdir(home)
        done = run("detect", "new.csv", *args)
        assert done.exit_code == code, done.output
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
