"""Studies: spaces, what is trained and what is not trained twice, what survives, what is wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from typer.testing import CliRunner

from latente import (
    AnomalyDetector,
    Autoencoder,
    DataError,
    FileError,
    Gaussian,
    ParameterError,
    Range,
    Study,
    TrainingWarning,
)
from latente.cli.main import app
from latente.estimator import alike, can_fit_together, fit_together
from latente.study import queue, trial
from latente.study.results import Results
from latente.study.space import Choices, SearchSpace
from latente.study.trial import curve

RATES = (0.1, 0.01, 0.001)
ROWS = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
TINY: dict[str, Any] = {
    "latent_dim": 2, "network": "dense(hidden=[8])", "loss": "squared", "epochs": 2,
    "batch_size": 16, "device": "cpu",
}  # fmt: skip


class Noted(BaseEstimator):  # type: ignore[misc]
    """An estimator that writes down each fit, and fails or waits where it is told to."""

    def __init__(
        self, level: float = 0.0, log: str | None = None, bad: Any = None, random_state: int = 0
    ) -> None:
        self.level, self.log, self.bad, self.random_state = level, log, bad, random_state

    def fit(self, X: Any, y: Any = None) -> Noted:
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{self.level} {self.random_state}\n")
        if self.level == self.bad:
            raise ValueError("this level cannot be")
        return self

    def score(self, X: Any, y: Any = None) -> float:
        return -((self.level - 2) ** 2) + 0.01 * self.random_state


def distance(model: Noted, X: Any) -> float:
    return (model.level - 2) ** 2 + 0.01 * model.random_state


def fits(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def columns(study: Results) -> dict[str, list[Any]]:
    return {name: study.table[name].tolist() for name in study.table.columns}


class TestSpace:
    def test_the_grid_of_a_document(self) -> None:
        shared = {"epochs": [8, 16], "batch_size": [128, 256, 1000], "learning_rate": [*RATES]}
        space = SearchSpace(
            [
                {"optimizer": ["adam"], **shared},
                {"optimizer": ["sgd"], "optimizer__momentum": [0.2, 0.4, 0.6, 0.8], **shared},
            ]
        )
        grid = space.grid()
        assert len(grid) == 90
        assert space.values(grid[-1])["optimizer__momentum"] == 0.8
        assert "optimizer__momentum" not in space.values(grid[0])

    @given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    def test_a_grid_has_every_setting_once(self, sizes: list[int]) -> None:
        spec = {f"p{i}": list(range(size)) for i, size in enumerate(sizes)}
        grid = SearchSpace([spec, spec]).grid()
        assert len(grid) == math.prod(sizes)
        assert len({setting.key() for setting in grid}) == len(grid)

    def test_values_come_back_as_they_were_given(self) -> None:
        values = [(), (128, 64), "adam", 3, 0.5, None, Gaussian(beta=4.0)]
        choices = Choices("any", values)
        assert [choices.value(each) for each in choices.labels] == values
        assert choices.labels[1] == "(128, 64)"
        assert choices.labels[-1] == "Gaussian(beta=4.0)"

    def test_distributions_of_optuna_are_taken(self) -> None:
        spec = {
            "a": optuna.distributions.FloatDistribution(0.1, 1.0, log=True),
            "b": optuna.distributions.IntDistribution(2, 8, step=2),
            "c": optuna.distributions.CategoricalDistribution(["x", "y"]),
        }
        (part,) = SearchSpace(spec).parts
        assert part["a"] == Range(0.1, 1.0, log=True)
        assert part["b"] == Range(2, 8, step=2)
        assert isinstance(part["c"], Choices)

    @pytest.mark.parametrize(
        ("low", "high", "more", "told"),
        [
            (2, 1, {}, "low the lower one"),
            (0, 1, {"log": True}, "log=True needs low above 0"),
            (1, 2, {"step": -1}, "step must be a positive number"),
        ],
    )
    def test_a_wrong_range_is_refused(self, low: int, high: int, more: Any, told: str) -> None:
        with pytest.raises(ParameterError, match=told):
            Range(low, high, **more)

    @pytest.mark.parametrize(
        ("spec", "told"),
        [
            ({}, "give a dictionary"),
            ({"level": []}, "level has no values"),
            ({"level": [1, 1]}, "level lists 1 twice"),
            ({"level": 3}, "level=3: give a list of values"),
        ],
    )
    def test_a_wrong_space_is_refused(self, spec: Any, told: str) -> None:
        with pytest.raises(ParameterError, match=told):
            SearchSpace(spec)


class TestTable:
    def test_the_best_comes_first_with_its_spread(self) -> None:
        study = Study(Noted(), {"level": [0, 1, 2, 5]}, metric=distance, seeds=3).run(ROWS)
        table = columns(study)
        assert table["level"] == [2, 1, 0, 5]
        np.testing.assert_allclose(table["distance"], [0.01, 1.01, 4.01, 9.01])
        np.testing.assert_allclose(table["distance_std"], np.std([0, 0.01, 0.02]))
        assert set(table["state"]) == {"complete"}
        assert study.best_params == {"level": 2}
        assert len(study.runs) == 12
        assert isinstance(study.table, pd.DataFrame)

    def test_more_can_be_better(self) -> None:
        study = Study(Noted(), {"level": [0, 2, 1]}, metric="score", seeds=1).run(ROWS)
        assert study.higher
        assert columns(study)["level"] == [2, 1, 0]
        least = Study(Noted(), {"level": [0, 2]}, metric="score", seeds=1, maximize=False)
        assert least.run(ROWS).best_params == {"level": 0}

    def test_any_estimator_is_searched(self) -> None:
        study = Study(PCA(), {"n_components": [1, 3]}, metric="score", seeds=1).run(ROWS)
        assert len(study.rows) == 2

    def test_a_detector_is_searched(self) -> None:
        def separation(model: AnomalyDetector, X: Any) -> float:
            return float(model.score_samples(X + 5).mean() - model.score_samples(X).mean())

        model = AnomalyDetector(Autoencoder(**TINY))
        space = {"autoencoder__latent_dim": [1, 2]}
        study = Study(model, space, metric=separation, seeds=1).run(ROWS)
        assert [row.state for row in study.rows] == ["complete"] * 2

    def test_a_failure_is_a_row_with_its_reason(self) -> None:
        def doubtful(model: Noted, X: Any) -> float:
            return math.nan if model.level == 1 else model.level

        study = Study(Noted(bad=3), {"level": [3, 1, 7]}, metric=doubtful, seeds=2).run(ROWS)
        table = columns(study)
        assert table["state"] == ["complete", "failed", "failed"]
        assert study.best_params == {"level": 7}
        reasons = dict(zip(table["level"], table["reason"], strict=True))
        assert "2 of 2 seeds failed; seed 0: ValueError: this level cannot be" in reasons[3]
        assert "doubtful on the held-out data is NaN" in reasons[1]

    def test_all_failed_is_told(self) -> None:
        study = Study(Noted(bad=3), {"level": [3]}, metric=distance, seeds=1)
        with pytest.warns(TrainingWarning, match="none of 1 settings could be trained"):
            study.run(ROWS)
        with pytest.raises(DataError, match="no complete setting"):
            _ = study.best_params

    def test_a_fit_that_diverges_is_a_row(self) -> None:
        model = Autoencoder(**{**TINY, "optimizer": "sgd", "epochs": 3})
        study = Study(model, {"learning_rate": [1e9, 1e-3]}, metric="mse", seeds=1).run(ROWS)
        assert [row.state for row in study.rows] == ["complete", "failed"]
        assert "the loss became" in str(study.rows[1].reason)
        assert study.best_params == {"learning_rate": 1e-3}

    def test_long_curves_are_thinned_evenly(self) -> None:
        found = curve([{"epoch": i + 1, "total": 1 / (i + 1), "seconds": 1} for i in range(5000)])
        assert len(found["epoch"]) == 1000
        assert (found["epoch"][0], found["epoch"][-1]) == (1, 5000)
        assert found["seconds"][-1] == 5000


class TestCurves:
    def test_figures_of_a_grid_of_two(self) -> None:
        model = Autoencoder(**TINY)
        space = {"learning_rate": [0.01, 0.001], "latent_dim": [1, 2]}
        study = Study(model, space, metric="mse", seeds=2).run(ROWS)
        assert list(study.figures()) == [
            "error against iterations", "error against seconds", "heat map",
            "parallel coordinates",
        ]  # fmt: skip
        run = study.best.runs[0]
        assert run["curve"]["epoch"] == [1, 2]
        assert len(run["curve"]["loss"]) == 2
        assert run["steps"] == 3
        with pytest.raises(ParameterError, match="choose 'error against iterations'"):
            study.plot("errors")

    def test_the_loss_is_of_the_held_out_rows(self) -> None:
        model = Autoencoder(**TINY, random_state=0)
        study = Study(model, {"latent_dim": [2]}, metric="mse", seeds=[5]).run(
            ROWS[:40], validation=ROWS[40:]
        )
        alone = Autoencoder(**TINY, random_state=5).fit(ROWS[:40], validation=ROWS[40:])
        losses = [record["validation_total"] for record in alone.history_]
        np.testing.assert_allclose(study.best.runs[0]["curve"]["loss"], losses, rtol=1e-5)
        assert study.best_score == pytest.approx(alone.evaluate(ROWS[40:])["mse"])


class TestPrefix:
    """A setting that is the beginning of another is trained once."""

    @pytest.mark.parametrize("schedule", ["constant", "step(every=1)", "plateau"])
    def test_weights_are_those_of_the_shorter_fit(self, schedule: str, tmp_path: Path) -> None:
        def fit(epochs: int, folder: Path) -> Autoencoder:
            model = Autoencoder(**{**TINY, "epochs": epochs, "schedule": schedule}, random_state=0)
            return model.fit(ROWS[:40], validation=ROWS[40:], checkpoint=folder)

        short, alone = fit(2, tmp_path / "a"), fit(2, tmp_path / "b")
        long, whole = fit(5, tmp_path / "a"), fit(5, tmp_path / "c")
        for first, second in ((short, alone), (long, whole)):
            for name, value in first.module_.state_dict().items():
                assert torch.equal(value, second.module_.state_dict()[name]), name
        assert long.epochs_ == 5
        with pytest.raises(FileError, match="holds 5 epochs of this fit, but epochs=3"):
            fit(3, tmp_path / "a")

    def test_a_schedule_over_the_whole_fit_is_not_cut(self, tmp_path: Path) -> None:
        model = Autoencoder(**{**TINY, "schedule": "cosine"}, random_state=0)
        model.fit(ROWS, checkpoint=tmp_path)
        with pytest.raises(FileError, match=r"epochs was .2., now .4."):
            model.set_params(epochs=4).fit(ROWS, checkpoint=tmp_path)

    @pytest.mark.parametrize(("schedule", "trained"), [("constant", 6), ("cosine", 2 + 4 + 6)])
    def test_epochs_are_trained_once(
        self, schedule: str, trained: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from latente.training.loop import Trainer

        count = [0]
        train = Trainer._train

        def counted(self: Any, *args: Any) -> Any:
            count[0] += 1
            return train(self, *args)

        monkeypatch.setattr(Trainer, "_train", counted)
        model = Autoencoder(**{**TINY, "schedule": schedule})
        study = Study(model, {"epochs": [4, 2, 6]}, metric="mse", seeds=1, batched=False)
        study.run(ROWS[:40], validation=ROWS[40:])
        assert count[0] == trained
        assert {row.labels["epochs"] for row in study.rows} == {2, 4, 6}
        for row in study.rows:
            epochs = row.labels["epochs"]
            alone = Autoencoder(
                **{**TINY, "schedule": schedule, "epochs": epochs}, random_state=0
            ).fit(ROWS[:40], validation=ROWS[40:])
            assert row.mean("mse") == alone.evaluate(ROWS[40:])["mse"]
            assert len(row.runs[0]["curve"]["epoch"]) == epochs


def stackable(**changed: Any) -> Autoencoder:
    return Autoencoder(**{**TINY, "epochs": 6, **changed})


class TestTogether:
    """Many small fits as one stack give what single fits give."""

    def models(self, **changed: Any) -> list[Autoencoder]:
        return [
            stackable(optimizer=optimizer, learning_rate=rate, random_state=seed, **changed)
            for optimizer, rate in (
                ("adam", 0.01), ("adam", 0.001), ("sgd(momentum=0.5)", 1e-3), ("rmsprop", 1e-3),
            )
            for seed in (0, 1)
        ]  # fmt: skip

    @pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "plateau(patience=0)"])
    @pytest.mark.parametrize("held_out", [ROWS[40:], None])
    def test_schedules_move_their_rates(self, schedule: str, held_out: Any) -> None:
        changed = {"schedule": schedule, "validation_fraction": 0.0}
        together, alone = self.models(**changed), self.models(**changed)
        done = list(fit_together(together, ROWS[:40], held_out))
        assert done == [(6, i, True) for i in range(len(together))]
        for first, second in zip(together, alone, strict=True):
            second.fit(ROWS[:40], validation=held_out)
            same_fit(first, second)
            assert first.epochs_ == 6

    @pytest.mark.parametrize("size", [16, 40])
    @pytest.mark.parametrize("loss", ["squared", "bernoulli"])
    def test_without_validation_the_last_weights_stay(self, size: int, loss: str) -> None:
        def models() -> list[Autoencoder]:
            return [
                stackable(
                    schedule=schedule, optimizer=optimizer, learning_rate=rate, loss=loss,
                    random_state=seed, validation_fraction=0.0, batch_size=size,
                )
                for schedule, optimizer, rate, seed in (
                    ("constant", "adam", 0.01, 1), ("cosine", "adam", 0.1, 0),
                    ("bold_driver", "sgd(momentum=0)", 0.1, 0),
                    ("bold_driver", "sgd(momentum=0)", 0.1, 1), ("constant", "adam", 0.01, 0),
                )
            ]  # fmt: skip

        X = (ROWS[:40] > 0).astype(np.float32)
        together, alone = models(), models()
        assert alike(together) == [[0, 1, 2, 3, 4]]
        assert all(good for _, _, good in fit_together(together, X, target=1 - X))
        for first, second in zip(together, alone, strict=True):
            same_fit(first, second.fit(X, target=1 - X))

    def test_what_holds_out_rows_of_its_own_is_fitted_alone(self) -> None:
        assert not can_fit_together(stackable(), ROWS)
        assert can_fit_together(stackable(validation_fraction=0.0), ROWS)
        assert alike([stackable(epochs=n) for n in (5, 6, 5)]) == [[0, 2], [1]]
        optimizers = ("adam", "lbfgs", "sgd")
        assert alike([stackable(optimizer=each) for each in optimizers]) == [[0, 2], [1]]

    @pytest.mark.parametrize("precision", ["float32", "bf16"])
    def test_precision_is_tried_first(
        self, precision: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from latente.training import hardware, loop

        monkeypatch.setattr(hardware, "multiplies_bf16", lambda device: True)
        monkeypatch.setattr(loop, "faster_precision", lambda *args: precision)
        found = can_fit_together(stackable(epochs=600), ROWS[:40], ROWS[40:])
        assert found is (precision == "float32")

    @pytest.mark.parametrize("changed", [{}, {"batch_size": 40}, {"bottleneck": "sparse"}])
    def test_they_are_those_of_single_fits(self, changed: Any) -> None:
        together, alone = self.models(**changed), self.models(**changed)
        for model in alone:
            model.fit(ROWS[:40], validation=ROWS[40:])
        ready = []
        for epochs, i, good in fit_together(together, ROWS[:40], ROWS[40:], [3, 6]):
            assert good
            if epochs == 3:
                short = stackable(**{**together[i].get_params(deep=False), "epochs": 3})
                short.fit(ROWS[:40], validation=ROWS[40:])
                same_weights(together[i], short)
            ready.append((epochs, i))
        assert ready == [(epochs, i) for epochs in (3, 6) for i in range(8)]
        for first, second in zip(together, alone, strict=True):
            same_fit(first, second)

    @pytest.mark.parametrize(
        ("changed", "good"),
        [
            ({}, True),
            ({"weight_decay": 0.1}, True),
            ({"bottleneck": "gaussian"}, False),
            ({"corruption": "gaussian_noise"}, False),
            ({"optimizer": "lbfgs"}, False),
            ({"schedule": "cosine"}, True),
            ({"verbose": 1}, True),
            ({"verbose": 2}, False),
            ({"gradient_clip": 1.0}, False),
            ({"patience": 2}, False),
            ({"network": "dense(hidden=[30000])"}, False),
            ({"network": "dense(hidden=[8], dropout=0.2)"}, False),
            ({"network": "dense(hidden=[8], shortcut=pca)", "schedule": "constant"}, False),
        ],
    )
    def test_what_can_be_stacked(self, changed: Any, good: bool) -> None:
        assert can_fit_together(stackable(**changed), ROWS[:40], ROWS[40:]) is good

    def test_one_that_diverges_leaves_the_others_alone(self) -> None:
        models = [
            stackable(optimizer="sgd", learning_rate=rate, random_state=0) for rate in (1e9, 1e-3)
        ]
        stream = list(fit_together(models, ROWS[:40], ROWS[40:], [6]))
        assert stream == [(6, 0, False), (6, 1, True)]
        alone = stackable(optimizer="sgd", learning_rate=1e-3, random_state=0)
        same_weights(models[1], alone.fit(ROWS[:40], validation=ROWS[40:]))

    def test_a_study_does_it_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        space = {
            "learning_rate": [1e-2, 1e-3], "epochs": [2, 4], "latent_dim": [1, 2],
            "schedule": ["constant", "cosine"],
        }  # fmt: skip

        def table(**keywords: Any) -> Any:
            study = Study(Autoencoder(**TINY), space, metric="mse", seeds=2, **keywords)
            return study.run(ROWS).table.drop(columns=["seconds", "trial"])

        alone = table(batched=False)
        with monkeypatch.context() as patch:
            patch.setattr(trial, "_fitted", None)  # no fit of its own is needed
            together = table()
        pd.testing.assert_frame_equal(together, alone, rtol=1e-4)

    def test_an_optimizer_of_another_kind_leaves_the_others_stacked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone = []
        fitted = trial._fitted
        monkeypatch.setattr(
            trial, "_fitted", lambda model, *args: alone.append(model) or fitted(model, *args)
        )
        space = {"optimizer": ["lbfgs", "adam", "rmsprop"]}
        Study(Autoencoder(**TINY), space, metric="mse", seeds=2).run(ROWS)
        assert [model.optimizer for model in alone] == ["lbfgs"] * 2


def same_fit(first: Autoencoder, second: Autoencoder) -> None:
    same_weights(first, second)
    assert first.best_epoch_ == second.best_epoch_
    assert first.history_[0].keys() == second.history_[0].keys()
    for name in {"total", "validation_total", "per_pixel", "learning_rate"} & first.history_[
        0
    ].keys():
        np.testing.assert_allclose(
            [record[name] for record in first.history_],
            [record[name] for record in second.history_],
            rtol=1e-4,
            atol=1e-12,
        )


def same_weights(first: Autoencoder, second: Autoencoder) -> None:
    for name, value in first.module_.state_dict().items():
        other = second.module_.state_dict()[name]
        assert torch.allclose(value, other, rtol=1e-3, atol=1e-5), name


class TestGoingOn:
    def test_nothing_is_run_twice(self, tmp_path: Path) -> None:
        log, path = tmp_path / "log", tmp_path / "s.journal"

        def study() -> Study:
            space = {"level": [0, 1, 2, 3]}
            return Study(Noted(log=str(log)), space, metric=distance, seeds=2, path=path)

        assert len(study().run(ROWS, trials=1).rows) == 1
        assert len(fits(log)) == 2
        assert len(study().run(ROWS, trials=3).rows) == 3
        done = study().run(ROWS)
        assert sorted(fits(log)) == sorted(
            f"{level} {seed}" for level in range(4) for seed in (0, 1)
        )
        pd.testing.assert_frame_equal(done.table, Results(path).table)
        assert study().best_params == {"level": 2}, "without a run, from the file"

    def test_draws_do_not_depend_on_where_it_stopped(self, tmp_path: Path) -> None:
        def drawn(path: Path, *trials: int) -> list[Any]:
            for count in trials:
                space = {"level": Range(0.0, 4.0), "bad": [7, 8]}
                study = Study(Noted(), space, metric=distance, sampler="random", path=path)
                study.run(ROWS, trials=count)
            return [dict(row.labels) for row in study.rows]

        first = drawn(tmp_path / "a.journal", 6)
        assert drawn(tmp_path / "b.journal", 2, 6) == first
        assert len({each["level"] for each in first}) == 6

    def test_a_drawn_setting_that_is_known_is_not_trained_again(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        study = Study(
            Noted(log=str(log)), {"level": [1, 2]}, metric=distance, seeds=1, sampler="random"
        ).run(ROWS, trials=8)
        assert len(fits(log)) == len(study.rows) == 2

    def test_optuna_finds_the_best(self) -> None:
        study = Study(Noted(), {"level": Range(-10.0, 10.0)}, metric=distance, seeds=1)
        assert study.sampler == "tpe"
        assert abs(study.run(ROWS, trials=40).best_params["level"] - 2) < 1

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"space": {"level": [1, 2, 3]}}, "space was"),
            ({"seeds": 2}, "seeds was"),
            ({"metric": "score"}, "metric was"),
            ({"estimator": Noted(bad=5)}, "bad was .None., now .5."),
            ({"X": ROWS + 1}, "data was"),
        ],
    )
    def test_another_study_in_the_file_is_refused(
        self, change: Any, told: str, tmp_path: Path
    ) -> None:
        def run(**changed: Any) -> None:
            given: dict[str, Any] = {
                "estimator": Noted(), "space": {"level": [1, 2]}, "seeds": 1, "metric": distance,
                "path": tmp_path / "s.journal", **changed,
            }  # fmt: skip
            X = given.pop("X", ROWS)
            Study(given.pop("estimator"), given.pop("space"), **given).run(X)

        run()
        with pytest.raises(FileError, match=told):
            run(**change)

    def test_a_database_holds_studies_by_name(self, tmp_path: Path) -> None:
        address = f"sqlite:///{tmp_path / 'studies.db'}"
        study = Study(Noted(), {"level": [0, 2]}, metric=distance, seeds=1, path=address, name="a")
        assert len(study.run(ROWS).rows) == 2
        with pytest.raises(FileError, match="holds no study 'b'; it holds a"):
            Results(address, "b")

    def test_the_best_model_is_the_one_that_scored_best(self) -> None:
        study = Study(Autoencoder(**TINY), {"latent_dim": [1, 3]}, metric="mse", seeds=2)
        model = study.run(ROWS[:40], validation=ROWS[40:]).best_model()
        scores = [run["scores"]["mse"] for run in study.best.runs]
        assert model.evaluate(ROWS[40:])["mse"] == pytest.approx(min(scores))

    def test_targets_are_learned_and_scored(self) -> None:
        study = Study(Autoencoder(**TINY), {"latent_dim": [2]}, metric="mse", seeds=1)
        study.run(ROWS, target=-ROWS)
        model = study.best_model()
        own, aim = study._data.held_out, study._data.held_out_target  # type: ignore[union-attr]
        np.testing.assert_array_equal(own, -aim)
        assert study.best_score == model.evaluate(own, target=aim)["mse"]


class TestPruner:
    def test_a_setting_that_lags_behind_is_ended(self) -> None:
        model = Autoencoder(**{**TINY, "epochs": 8})
        pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
        space = {"learning_rate": [1e-2, 5e-3, 1e-9]}
        study = Study(model, space, metric="mse", seeds=2, pruner=pruner).run(ROWS)
        states = {row.labels["learning_rate"]: row.state for row in study.rows}
        assert states == {1e-2: "complete", 5e-3: "complete", 1e-9: "pruned"}
        (pruned,) = (row for row in study.rows if row.state == "pruned")
        assert len(pruned.runs) == 1
        assert len(pruned.runs[0]["curve"]["epoch"]) < 8

    def test_losses_that_differ_in_kind_are_not_compared(self) -> None:
        with pytest.raises(ParameterError, match="space varies loss"):
            Study(Autoencoder(), {"loss": ["squared", "huber"]}, pruner="median")
        with pytest.raises(ParameterError, match="needs an estimator with callbacks"):
            Study(Noted(), {"level": [1]}, metric="score", pruner="median")


WAITING = r"""
import time
from pathlib import Path
import numpy as np
from sklearn.base import BaseEstimator
from latente import Study

class Noted(BaseEstimator):
    def __init__(self, level=0.0, log=None, bad=None, random_state=0):
        self.level, self.log, self.bad, self.random_state = level, log, bad, random_state

    def fit(self, X):
        with open(self.log, "a") as file:
            file.write(f"{{self.level}} {{self.random_state}}\n")
        return self

def distance(model, X):
    if model.level == 1 and model.random_state == 1 and not Path({go!r}).exists():
        Path({waits!r}).touch()
        time.sleep(60)
    return (model.level - 2) ** 2 + 0.01 * model.random_state

Study(Noted(log={log!r}), {{"level": [0, 1, 2]}}, metric=distance, seeds=2, path={path!r}).run(
    np.load({rows!r}), jobs={jobs})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
class TestKilled:
    """Real processes, killed while they train."""

    def start(self, folder: Path, jobs: int) -> subprocess.Popen[bytes]:
        script = folder / "script.py"  # without a guard: the processes do not run it again
        names = {name: str(folder / name) for name in ("go", "waits", "log", "rows.npy")}
        np.save(names["rows.npy"], ROWS)
        names["rows"] = names.pop("rows.npy")
        script.write_text(WAITING.format(path=str(folder / "s.journal"), jobs=jobs, **names))
        process = subprocess.Popen([sys.executable, str(script)], env={**os.environ})
        self.await_(lambda: (folder / "waits").exists(), process)
        return process

    def await_(self, done: Any, process: subprocess.Popen[bytes]) -> None:
        limit = time.monotonic() + 120
        while not done() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        assert done()

    def test_a_study_goes_on_where_it_was_killed(self, tmp_path: Path) -> None:
        process = self.start(tmp_path, jobs=1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        path = tmp_path / "s.journal"
        assert [row.state for row in Results(path).rows].count("running") == 1
        with path.open("ab") as file:  # a line that was not written to its end
            file.write(b'{"op_code": 5, "worker_id": "a')
        before = fits(tmp_path / "log")
        study = Study(
            Noted(log=str(tmp_path / "log")), {"level": [0, 1, 2]}, metric=distance, seeds=2,
            path=path,
        ).run(ROWS)  # fmt: skip
        assert [row.state for row in study.rows] == ["complete"] * 3
        again = fits(tmp_path / "log")[len(before) :]
        assert sorted(again) == ["1 1", "2 0", "2 1"], "the seed that was done is kept"

    def test_other_workers_take_what_a_killed_one_leaves(self, tmp_path: Path) -> None:
        process = self.start(tmp_path, jobs=2)
        (stuck,) = (
            each
            for each in optuna.load_study(
                study_name="study",
                storage=optuna.storages.JournalStorage(
                    optuna.storages.journal.JournalFileBackend(str(tmp_path / "s.journal"))
                ),
            ).trials
            if each.state.name == "RUNNING" and each.user_attrs["slot"] == 1
        )
        worker = int(Path(stuck.user_attrs["worker"]["folder"]).name.split("-")[2])
        assert worker != process.pid
        (tmp_path / "go").touch()
        os.kill(worker, signal.SIGKILL)
        assert process.wait(120) == 0
        assert [row.state for row in Results(tmp_path / "s.journal").rows] == ["complete"] * 3


class TestQueue:
    def opened(self, path: Path) -> Study:
        return Study(Noted(), {"level": [0, 1, 2]}, metric=distance, seeds=1, path=path)

    def test_a_worker_of_another_machine_is_dead_without_signs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = queue.Worker()
        frozen = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            user_attrs={"worker": {**worker.sign(), "host": "elsewhere"}},
        )
        assert not queue.is_dead(frozen)
        later = time.time() + queue.GRACE + 1
        monkeypatch.setattr(time, "time", lambda: later)
        assert queue.is_dead(frozen)

    def test_a_worker_that_lives_is_not_dead(self) -> None:
        worker = queue.Worker()
        frozen = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, user_attrs={"worker": worker.sign()}
        )
        with worker.working():
            assert not queue.is_dead(frozen)
        assert not worker.folder.exists()

    def test_two_that_begin_at_once_share_the_settings(self, tmp_path: Path) -> None:
        path = tmp_path / "s.journal"
        studies = [self.opened(path) for _ in range(3)]
        threads = [threading.Thread(target=study.run, args=(ROWS,)) for study in studies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.labels["level"] for row in Results(path).rows] == [2, 1, 0]
        assert all(len(row.runs) == 1 for row in Results(path).rows)

    def test_an_interrupted_setting_waits_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*args: Any) -> Any:
            raise KeyboardInterrupt

        path = tmp_path / "s.journal"
        study = self.opened(path)
        with monkeypatch.context() as patch:
            patch.setattr(trial, "_fitted", interrupted)
            with pytest.raises(KeyboardInterrupt):
                study.run(ROWS)
        assert len(self.opened(path).run(ROWS).rows) == 3


class TestRefused:
    @pytest.mark.parametrize(
        ("keywords", "told"),
        [
            ({"space": {"learnin_rate": [1]}}, "no parameter 'learnin_rate'; did you mean"),
            ({"space": {"random_state": [1]}}, "random_state is set by seeds="),
            ({"space": {"optimizer": ["adam"], "optimizer__momentum": [1]}}, "of their own"),
            ({"seeds": 0}, "seeds=0"),
            ({"seeds": [1, 1]}, "seeds="),
            ({"sampler": "best"}, "sampler='best': choose"),
            ({"pruner": "best"}, "pruner='best': choose"),
            ({"metric": 3}, "metric=3"),
            ({"sampler": "grid", "space": {"latent_dim": Range(1, 3)}}, "latent_dim is a range"),
        ],
    )
    def test_a_wrong_study(self, keywords: Any, told: str) -> None:
        given = {"space": {"latent_dim": [1, 2]}, **keywords}
        with pytest.raises(ParameterError, match=told):
            Study(Autoencoder(**TINY), **given)

    def test_what_the_estimator_cannot_do(self) -> None:
        with pytest.raises(ParameterError, match="Noted has no method evaluate"):
            Study(Noted(), {"level": [1]}, metric="mse")

    def test_a_metric_that_is_not_measured(self) -> None:
        study = Study(Autoencoder(**TINY), {"latent_dim": [1]}, metric="mes", seeds=1)
        with pytest.raises(ParameterError, match=r"metric='mes': choose one of .*mse"):
            study.run(ROWS)

    @pytest.mark.parametrize(
        ("keywords", "told"),
        [
            ({"jobs": 2}, "jobs=2 needs a file"),
            ({"jobs": 0}, "jobs=0"),
            ({"trials": 0}, "trials=0"),
            ({"validation": 1.5}, "validation=1.5"),
            ({"validation": None}, "validation=None"),
            ({"target": ROWS, "validation": ROWS}, "validation has no target"),
        ],
    )
    def test_a_wrong_run(self, keywords: Any, told: str) -> None:
        study = Study(Noted(), {"level": [1]}, metric="score", seeds=1)
        with pytest.raises(ParameterError, match=told):
            study.run(ROWS, **keywords)

    def test_a_file_that_is_no_study(self, tmp_path: Path) -> None:
        path = tmp_path / "x.journal"
        with pytest.raises(FileError, match="there is no such study"):
            Results(path)
        path.write_text("level\n1\n")
        with pytest.raises(FileError, match="is no study"):
            Results(path)
        with pytest.raises(FileError, match="there is no folder"):
            Study(Noted(), {"level": [1]}, metric="score", seeds=1, path=tmp_path / "no" / "x").run(
                ROWS
            )
        with pytest.raises(FileError, match="cannot open the database"):
            Results(f"sqlite:///{tmp_path}/no/such.db")

    @settings(max_examples=30)
    @given(st.binary(max_size=200))
    def test_a_hostile_file_is_a_sentence(self, content: bytes) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.journal")
            path.write_bytes(content)
            with pytest.raises(FileError):
                Results(path)


SPACE = """
latent_dim = 2
network = "dense(hidden=[8])"
loss = "squared"
batch_size = 16
device = "cpu"

[[space]]
optimizer = ["adam"]
learning_rate = [0.01, 0.001]
epochs = [1, 2]

[[space]]
optimizer = ["sgd"]
optimizer__momentum = [0.5]
learning_rate = [0.001]
epochs = [2]
"""


class TestCommandLine:
    def call(self, *args: object) -> Any:
        return CliRunner().invoke(app, [str(arg) for arg in args])

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        np.save("rows.npy", ROWS)
        Path("space.toml").write_text(SPACE)
        return tmp_path

    def test_from_a_space_to_a_model(self, home: Path) -> None:
        args = ("rows.npy", "--space", "space.toml", "--seeds", 2, "-o", "s.journal")
        first = self.call("study", *args)
        assert first.exit_code == 0, first.output
        assert "5 of 5: optimizer=sgd" in first.stderr
        again = self.call("study", "run", *args, "--json")
        found = json.loads(again.stdout)
        assert found["settings"] == {"complete": 5}
        scores = [row["mse"] for row in found["table"]]
        assert scores == sorted(scores)
        shown = self.call("study", "show", "s.journal", "--json")
        assert json.loads(shown.stdout) == found
        assert "5 complete" in self.call("study", "show", "s.journal").stdout
        assert self.call("study", "plot", "s.journal", "-o", "figures").exit_code == 0
        assert {path.name for path in Path("figures").iterdir()} == {
            "iterations.png", "seconds.png", "parallel.png",
        }  # fmt: skip
        best = self.call("study", "best", "s.journal", "-o", "best.safetensors", "--json")
        assert best.exit_code == 0, best.output
        params = json.loads(best.stdout)["params"]
        model = Autoencoder.load("best.safetensors")
        assert model.learning_rate == params["learning_rate"]
        assert model.epochs_ == params["epochs"]

    def test_other_data_are_refused(self, home: Path) -> None:
        args = ("study", "rows.npy", "--space", "space.toml", "--seeds", 1)
        assert self.call(*args).exit_code == 0
        np.save("rows.npy", ROWS + 1)
        for call in (args, ("study", "best", "study.journal", "-o", "m.safetensors")):
            refused = self.call(*call)
            assert refused.exit_code == 1
            assert "data was" in refused.stderr
            assert refused.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("latent_dim = 2", "has no space; write what is searched below [space]"),
            ("[space]\nlr = [1]", "space.toml: space: Autoencoder has no parameter 'lr'"),
            ("[space]\nepochs = 3", "space: epochs = 3: give a list of values, [3]"),
            ("[space]\nepochs = {low = 1}", "space: epochs: a range has low and high"),
            ("[space]\nepochs = {low = 1, high = 9, by = 2}", "by is unknown"),
            ("[space]\nepochs = {low = 9, high = 1}", "space: epochs: Range(low=9"),
            ("[space]\nepochs = []", "space.toml: space: epochs has no values"),
            ('[space]\noptimizer = ["adm"]', "space.toml: space: optimizer='adm': choose"),
            ("latent = 2\n[space]\nepochs = [1]", "no parameter 'latent'; did you mean"),
            ("[space", "is not a TOML file"),
        ],
    )
    def test_a_wrong_space_is_one_sentence(self, home: Path, text: str, told: str) -> None:
        Path("space.toml").write_text(text)
        refused = self.call("study", "rows.npy", "--space", "space.toml")
        assert refused.exit_code == 2
        assert told in refused.stderr
        assert refused.stderr.count("\n") == 1, refused.stderr
        assert not Path("study.journal").exists()

    def test_ranges_and_nested_parameters(self, home: Path) -> None:
        Path("space.toml").write_text(
            'latent_dim = 2\nepochs = 1\nnetwork = "dense"\n[space]\n'
            "learning_rate = {low = 1e-4, high = 1e-1, log = true}\n"
            "network.hidden = [[], [8]]\nbatch_size = {low = 8, high = 32, step = 8}\n"
        )
        done = self.call(
            "study", "rows.npy", "--space", "space.toml", "--trials", 3, "--seeds", 1, "--json",
            "--sampler", "random", "-q",
        )  # fmt: skip
        table = json.loads(done.stdout)["table"]
        assert len(table) == 3
        assert {row["network__hidden"] for row in table} <= {"()", "(8,)"}
        assert all(row["batch_size"] % 8 == 0 for row in table)
