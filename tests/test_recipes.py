"""Recipes run, and their pages and records say what came out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latente import (
    Autoencoder,
    Dense,
    FileError,
    ParameterError,
    TrainingWarning,
    datasets,
    recipes,
)
from latente.recipes import report as reports
from latente.recipes.language import LANGUAGES, _, speaking
from latente.recipes.report import Claim, Recipe, Report, compare, written

DIGITS = datasets.load("digits")
KEYWORDS = {"latent_dim": 2, "network": "dense(hidden=[8])", "epochs": 9, "batch_size": 256}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_runs_quickly_and_writes_its_page(name: str, folder: Path) -> None:
    record = recipes.run(name, folder, quick=True)
    recipe = recipes.RECIPES[name]
    assert recipe.name == record["recipe"] == name
    assert json.loads((folder / f"{name}.json").read_text("utf-8")) == record
    claimed = {claim["row"] for claim in record["claims"]}
    assert claimed == set(recipe.rows) <= set(recipes.ROWS)
    assert {claim["verdict"] for claim in record["claims"]} <= {"measured"}
    html = (folder / f"{name}.html").read_text("utf-8")
    assert html.startswith("<!doctype html>")
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', html), "the page loads something"
    assert "quick run" in html
    assert f"latente recipe run {name}" in html
    assert html.count("<section") >= 2


def test_every_row_of_the_courses_has_a_recipe() -> None:
    covered = {row for recipe in recipes.RECIPES.values() for row in recipe.rows}
    assert covered == set(recipes.ROWS)


def test_an_index_lists_what_was_run(folder: Path) -> None:
    recipes.run("font", folder, quick=True)
    html = recipes.write_index(folder).read_text("utf-8")
    assert 'href="font.html"' in html
    assert "latente recipe run font" in html
    with pytest.raises(FileError, match="no recipe has been run"):
        recipes.write_index(folder / "nowhere")


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "font.json").write_text("{")
    with pytest.raises(FileError, match=r"font\.json"):
        recipes.write_index(tmp_path)


def test_a_recipe_that_is_not_there_is_named() -> None:
    with pytest.raises(ParameterError, match="did you mean 'font'"):
        recipes.run("fonts")
    with pytest.raises(ParameterError, match="there is no language 'fr'"):
        recipes.run("font", language="fr", quick=True)


def nothing(report: Report) -> None:
    """Do nothing."""


def made(folder: Path, **options: Any) -> Report:
    recipe = Recipe(
        name="trial", title="Trial", summary="None.", rows=("M2",), minutes=0, run=nothing
    )
    return Report(recipe, folder, **options)


def test_a_model_that_was_fitted_alike_is_kept(tmp_path: Path) -> None:
    said: list[str] = []

    def fit(X: Any = DIGITS.X, fresh: bool = False, **keywords: Any) -> Any:
        report = made(tmp_path, fresh=fresh, progress=said.append)
        return report.fit("model", {**KEYWORDS, **keywords}, X, data="digits", quick={})

    first = fit()
    kept = fit()
    assert said == ["fitting model", "model was fitted before"]
    assert np.array_equal(kept.transform(DIGITS.X_test), first.transform(DIGITS.X_test))
    fit(fresh=True)
    fit(epochs=8)
    fit(X=DIGITS.X[::-1])
    assert said[2:] == ["fitting model"] * 3
    (tmp_path / "model.safetensors").write_bytes(b"none")
    fit(X=DIGITS.X[::-1])
    assert said[5:] == ["fitting model"]


def test_a_fit_that_is_interrupted_is_not_kept(tmp_path: Path) -> None:
    class Stop:
        def on_epoch_end(self, state: Any) -> None:
            raise KeyboardInterrupt

    with pytest.warns(TrainingWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        made(tmp_path).fit("a", KEYWORDS, DIGITS.X[:256], data="digits", quick={}, callbacks=Stop())
    assert not list(tmp_path.rglob("a.safetensors"))


def test_models_of_one_shape_are_fitted_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    small = {**KEYWORDS, "validation_fraction": 0.0, "schedule": "cosine"}
    given = {
        "a": small,
        "other": {**small, "latent_dim": 3},
        "b": {**small, "random_state": 1, "optimizer": "sgd"},
        "c": {**small, "learning_rate": 0.01},
    }

    def fit(**options: Any) -> Any:
        report = made(tmp_path, progress=said.append, verbose=1, **options)
        models = report.fit_all(given, DIGITS.X[:256], data="digits", quick={})
        return report, models

    made(tmp_path).fit("c", given["c"], DIGITS.X[:256], data="digits")
    report, models = fit()
    assert said == ["c was fitted before", "fitting a, b", "fitting other"]
    assert list(models) == list(report.fits) == list(given)
    assert report.fits["a"]["seconds"] == report.fits["b"]["seconds"]
    assert report.fits["b"]["keywords"] == given["b"]
    assert {model.verbose for model in models.values()} == {0}
    for name, keywords in given.items():
        alone = Autoencoder(**{"random_state": 0, **keywords}).fit(DIGITS.X[:256])
        np.testing.assert_allclose(
            models[name].transform(DIGITS.X_test), alone.transform(DIGITS.X_test), atol=1e-4
        )
    said.clear()
    again, kept = fit()
    assert said == [f"{name} was fitted before" for name in given]
    assert again.fits == report.fits
    assert np.array_equal(kept["a"].transform(DIGITS.X_test), models["a"].transform(DIGITS.X_test))
    assert again.seconds == pytest.approx(sum(fit["seconds"] for fit in again.fits.values()), abs=1)


def test_a_quick_run_trains_little_and_claims_nothing(tmp_path: Path) -> None:
    report = made(tmp_path, quick=True)
    assert report.fit("model", KEYWORDS, DIGITS.X, data="digits").epochs_ == 2
    report.claim("M2", "B", "a", "b", "surpassed")
    assert report.claims[0].verdict == "measured"
    assert report.pick(3, 4) == 4
    assert report.load("mnist").X.shape == (1442, 28, 28)
    full = made(tmp_path)
    full.claim("M2", "B", "a", "b", "surpassed")
    assert full.claims[0].verdict == "surpassed"
    assert full.pick(3, 4) == 3


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    report = made(tmp_path)
    report.figures |= {"a": np.float32(1.5), "b": np.arange(3), "c": float("nan"), "d": (1, None)}
    report.table("t", ["x", "y"], [["row", np.int64(3)]])
    report.fit("model", {**KEYWORDS, "network": Dense(hidden=(4,)), "epochs": 1}, DIGITS.X, data="")
    record = json.loads(json.dumps(report.record({}), allow_nan=False))
    assert record["figures"] == {"a": 1.5, "b": [0, 1, 2], "c": None, "d": [1, None]}
    assert record["tables"][0]["rows"] == [["row", 3]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (12345, "12,345"), (0.0, "0"), (0.5, "0.500"), (0.012345, "0.0123"),
        (123.4, "123"), (12345.6, "12,346"), (1e-5, "1.00e−05"), (-2.5, "−2.50"), (None, ""),
        ("as it is", "as it is"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: Any, text: str) -> None:
    assert written(value) == text


def test_a_figure_is_set_beside_the_documents() -> None:
    assert compare(0.09, 0.093) == "surpassed"
    assert compare(0.093, 0.093) == "confirmed"
    assert compare(0.094, 0.093) == "not reached"
    assert compare(0.094, 0.093, tolerance=0.02) == "confirmed"
    assert compare(30, 28, lower=False) == "surpassed"
    assert compare(27, 28, lower=False) == "not reached"
    assert compare(27.9, 28, lower=False, tolerance=0.01) == "confirmed"
    with pytest.raises(ParameterError, match="verdict='good'"):
        Claim(row="M1", document="A", says="", found="", verdict="good")


def test_large_drawings_become_pictures_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latente import figures

    report = made(tmp_path)
    figure = figures.curves({"a": [3.0, 2.0, 1.0]})
    report.picture(figure, "a curve")
    assert "<svg" in report.sections[0].parts[0]
    monkeypatch.setattr(reports, "LARGEST_SVG", 10)
    report.picture(figure, "a curve")
    assert "data:image/png" in report.sections[0].parts[1]


def test_words_that_no_catalogue_has_stay_english() -> None:
    for language in LANGUAGES:
        with speaking(language):
            assert _("a sentence of no catalogue") == "a sentence of no catalogue"
