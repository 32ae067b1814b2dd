"""Every figure over every kind of data, and what the figures show."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from statistics import NormalDist
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from latente import Autoencoder, DataError, ParameterError, datasets, figures, latent
from latente.figures.maps import positions
from latente.figures.mosaic import Rendering, pixels, spread, take
from latente.figures.pictures import corrupted
from latente.metrics import psnr

RNG = np.random.default_rng(0)
N = 24


def table() -> pd.DataFrame:
    length = RNG.normal(5, 2, N)
    length[3] = np.nan
    kinds = np.array(["oak", "elm", "ash"])[np.arange(N) % 3]
    return pd.DataFrame({"length": length, "width": RNG.normal(size=N), "kind": kinds})


DATA: dict[str, Any] = {
    "rows": RNG.normal(size=(N, 6)) * np.arange(1, 7),
    "wide rows": RNG.normal(size=(N, 50)),
    "table": table(),
    "grey": RNG.random((N, 6, 9)) ** 4,
    "bytes": RNG.integers(0, 256, (N, 5, 5), dtype=np.uint8),
    "colour": RNG.integers(0, 256, (N, 9, 6, 3), dtype=np.uint8),
    "large": RNG.random((3, 170, 330)).astype(np.float32),
    "font": datasets.load("font").X,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"latent_dim": 2},
    "denoising": {"latent_dim": 3, "corruption": "gaussian_noise(std=0.5)"},
    "variational": {"latent_dim": 4, "bottleneck": "gaussian"},
    "single": {"latent_dim": 1},
}


@lru_cache
def fitted(kind: str, variant: str = "plain", seed: int = 0) -> Autoencoder:
    keywords = {"network": "dense(hidden=[8])", "epochs": 2, "device": "cpu"}
    return Autoencoder(**keywords, **VARIANTS[variant], random_state=seed).fit(DATA[kind])


FIGURES: dict[str, Callable[[Autoencoder, Any], Figure]] = {
    "history": lambda model, X: figures.history(model),
    "reconstructions": lambda model, X: figures.reconstructions(model, X, 5),
    "latent_map": lambda model, X: figures.latent_map(model, X, np.arange(len(X)) % 3),
    "unlabelled": lambda model, X: figures.latent_map(model, X, thumbnails=False),
    "beside": lambda model, X: figures.latent_map_beside_pca(model, X, np.arange(len(X)) % 3),
    "pca": lambda model, X: figures.pca_map(X, np.linspace(0, 1, len(X)), train=X),
    "grid": lambda model, X: figures.decode_grid(model, 4),
    "samples": lambda model, X: figures.samples(model, 7),
    "walk": lambda model, X: figures.interpolation(model, spread(X, 2), spread(X, 2)[::-1], 3),
    "anomalies": lambda model, X: figures.anomalies(model, X, 4),
}


def drawn(figure: Figure) -> np.ndarray:
    """Return the figure as pixels, drawn in full."""
    from PIL import Image

    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=60)
    return np.asarray(Image.open(stream).convert("RGB"))


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


RARER = ("wide rows", "bytes", "large")
CASES = [
    (name, kind)
    for name in FIGURES
    for kind in DATA
    if kind not in RARER or name == "reconstructions"
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_figure_of_every_kind_of_data(name: str, kind: str) -> None:
    before = dict(mpl.rcParams)
    picture = drawn(FIGURES[name](fitted(kind), DATA[kind]))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("variant", sorted(VARIANTS.keys() - {"plain"}))
@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"beside", "pca", "unlabelled"}))
def test_every_figure_of_every_kind_of_model(name: str, variant: str) -> None:
    assert drawn(FIGURES[name](fitted("grey", variant), DATA["grey"])).std() > 0


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"beside", "pca", "unlabelled"}))
def test_figures_are_of_the_model(name: str) -> None:
    X, draw = DATA["grey"], FIGURES[name]
    first, again = (drawn(draw(fitted("grey"), X)) for _ in range(2))
    other = drawn(draw(fitted("grey", seed=1), X))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


class TestHistory:
    def test_one_panel_for_one_term_and_three_for_a_sum_of_two(self) -> None:
        assert len(figures.history(fitted("grey")).axes) == 1
        titles = [
            axes.get_title("left") for axes in figures.history(fitted("grey", "variational")).axes
        ]
        assert titles == ["total", "reconstruction", "KL divergence"]

    def test_curves_are_the_recorded_terms_and_the_best_epoch_is_marked(self) -> None:
        model = fitted("grey", "variational")
        axes = figures.history(model).axes[1]
        train, validation, _, best = (line.get_ydata() for line in axes.lines)
        assert list(train) == [record["reconstruction"] for record in model.history_]
        assert list(validation) == [
            record["validation_reconstruction"] for record in model.history_
        ]
        least = min(model.history_, key=lambda record: record["validation_total"])
        assert list(best) == [least["validation_reconstruction"]]

    def test_without_validation_there_is_one_curve(self) -> None:
        model = Autoencoder(1, epochs=1, validation_fraction=0, device="cpu").fit(DATA["rows"])
        labels = [line.get_label() for line in figures.history(model).axes[0].lines]
        assert "training" in labels
        assert "validation" not in labels

    def test_untrained_model(self) -> None:
        model = Autoencoder(1, epochs=0, device="cpu").fit(DATA["rows"])
        with pytest.raises(DataError, match="0 epochs"):
            figures.history(model)


class TestReconstructions:
    def test_captions_are_decibels_against_the_original(self) -> None:
        X, model = DATA["grey"], fitted("grey")
        shown = spread(X, 5)
        expected = psnr(shown, model.reconstruct(shown), np.ptp(X))
        found = words(figures.reconstructions(model, X, 5))
        assert found[:2] == ["original", "reconstructed"]
        assert found[2:] == [f"{value:.1f} dB" for value in expected]

    def test_corrupted_row_in_between(self) -> None:
        model = fitted("grey", "denoising")
        found = words(figures.reconstructions(model, DATA["grey"], 3))
        assert [word for word in found if not word.endswith("dB")] == [
            "original",
            "corrupted",
            "restored",
        ]

    def test_others_beside(self) -> None:
        X = DATA["grey"]
        found = words(figures.reconstructions(fitted("grey"), X, 3, beside={"itself": X}))
        assert found[-4:] == ["itself", "exact", "exact", "exact"]

    def test_rows_drawn_as_pictures(self) -> None:
        X = DATA["rows"]
        figure = figures.reconstructions(fitted("rows"), X, 3, shape=(2, 3))
        assert len(figure.axes[0].images) == 2
        with pytest.raises(DataError, match="6 values"):
            figures.reconstructions(fitted("rows"), X, 3, shape=(2, 2))


class TestCorrupted:
    def test_same_seed_same_noise_in_the_datas_own_scale(self) -> None:
        X, model = DATA["grey"], fitted("grey", "denoising")
        seen, mask = corrupted(model, X, 1)
        assert mask is None
        assert seen.shape == X.shape
        assert seen.dtype == X.dtype
        np.testing.assert_array_equal(seen, corrupted(model, X, 1)[0])
        assert (seen != corrupted(model, X, 2)[0]).any()
        assert np.abs(seen - X).mean() > 0.05

    def test_nothing_without_a_corruption(self) -> None:
        X = DATA["grey"]
        np.testing.assert_allclose(corrupted(fitted("grey"), X)[0], X, atol=1e-6)


class TestMap:
    def test_points_lie_at_the_codes(self) -> None:
        model, X = fitted("rows"), DATA["rows"]
        points = figures.latent_map(model, X).axes[0].collections[0]
        assert isinstance(points, PathCollection)
        np.testing.assert_allclose(points.get_offsets(), model.transform(X), rtol=1e-5)

    def test_classes_have_colours_and_names(self) -> None:
        y = np.arange(N) % 3
        axes = figures.latent_map(fitted("rows"), DATA["rows"], y).axes[0]
        colours = axes.collections[0].get_facecolors()
        assert len(np.unique(colours, axis=0)) == 3
        assert (colours[y == 0] == colours[0]).all()
        assert [text.get_text() for text in axes.texts] == ["0", "1", "2"]

    def test_thumbnails_do_not_cover_each_other(self) -> None:
        axes = figures.latent_map(fitted("grey"), DATA["grey"]).axes[0]
        boxes = np.array([image.get_extent() for image in axes.images])
        assert len(boxes) > 5
        centres = boxes.reshape(-1, 2, 2).mean(axis=2)
        reach = np.ptp([axes.get_xlim(), axes.get_ylim()], axis=1) / 30
        apart = (np.abs(centres[:, None] - centres[None]) >= reach).any(axis=2)
        assert apart[~np.eye(len(boxes), dtype=bool)].all()

    def test_long_codes_are_projected_unless_two_numbers_are_chosen(self) -> None:
        codes = RNG.normal(size=(30, 4)) * (1, 9, 1, 4)
        at, labels = positions(codes)
        assert abs(np.corrcoef(at[:, 0], codes[:, 1])[0, 1]) > 0.9
        assert "4 numbers" in labels[0]
        at, labels = positions(codes, (3, 1))
        np.testing.assert_array_equal(at, codes[:, [3, 1]])
        assert labels == ("code 4", "code 2")
        with pytest.raises(ParameterError, match="0 to 3"):
            positions(codes, (0, 4))

    def test_pca_of_the_training_part(self) -> None:
        from sklearn.decomposition import PCA

        X = DATA["bytes"].reshape(N, -1).astype(float)
        expected = PCA(2).fit(X[:12]).transform(X[12:])
        figure = figures.pca_map(DATA["bytes"][12:], train=DATA["bytes"][:12], thumbnails=False)
        found = figure.axes[0].collections[0].get_offsets()
        scale = np.ptp(X[:12])
        np.testing.assert_allclose(np.abs(found) * scale, np.abs(expected), rtol=1e-6)


class TestGrid:
    def test_quantiles_of_the_prior_in_the_two_most_telling_numbers(self) -> None:
        model = fitted("grey", "variational")
        grid = latent.grid(model, 5, span=0.9)
        assert grid.shape == (25, 4)
        walked = sorted(np.argsort(model.kl_per_dimension_)[-2:])
        still = [i for i in range(4) if i not in walked]
        steps = [NormalDist().inv_cdf(p) for p in (0.05, 0.275, 0.5, 0.725, 0.95)]
        np.testing.assert_allclose(grid[:5, walked[0]], steps, atol=1e-6)
        np.testing.assert_allclose(grid[::5, walked[1]], steps[::-1], atol=1e-6)
        assert (grid[:, still] == 0).all()

    def test_range_of_the_codes_otherwise(self) -> None:
        model, X = fitted("grey", "denoising"), DATA["grey"]
        grid, codes = latent.grid(model, 6, X=X, span=1.0), model.transform(X)
        walked = np.argsort(codes.var(axis=0))[-2:]
        np.testing.assert_allclose(grid.min(axis=0)[walked], codes.min(axis=0)[walked], rtol=1e-5)
        np.testing.assert_allclose(grid.max(axis=0)[walked], codes.max(axis=0)[walked], rtol=1e-5)
        still = np.argmin(codes.var(axis=0))
        np.testing.assert_allclose(grid[:, still], codes[:, still].mean(), rtol=1e-4)

    @pytest.mark.parametrize("draw", [figures.decode_grid, figures.samples])
    def test_none_is_refused(self, draw: Callable[..., Figure]) -> None:
        with pytest.raises(ParameterError, match="whole number from 1"):
            draw(fitted("grey"), 0)


class TestInterpolation:
    def test_ends_are_the_reconstructions(self) -> None:
        X, model = DATA["grey"], fitted("grey")
        figure = figures.interpolation(model, X[:1], X[1:2], 4)
        row = np.asarray(figure.axes[0].images[0].get_array())
        rendering = Rendering.learn(X[:1])
        expected = pixels(rendering, np.concatenate([X[:1], model.reconstruct(X[:1])]))
        width = expected.shape[2]
        np.testing.assert_array_equal(row[:, :width], expected[0])
        gap = (row.shape[1] - 6 * width) // 5
        np.testing.assert_allclose(row[:, width + gap : 2 * width + gap], expected[1], atol=1)

    def test_what_cannot_be_walked(self) -> None:
        X, model = DATA["grey"], fitted("grey")
        with pytest.raises(ParameterError, match="steps=1"):
            figures.interpolation(model, X[:1], X[1:2], 1)
        with pytest.raises(ParameterError, match="as many of each"):
            figures.interpolation(model, X[:1], X[1:3])


def test_anomalies_are_the_lowest_scores_lowest_first() -> None:
    X, model = DATA["grey"], fitted("grey")
    scores = np.sort(model.score_samples(X).astype(float))[:4]
    found = words(figures.anomalies(model, X, 4))
    assert found[2:] == [f"{score:.3g}".replace("-", "−") for score in scores]


class TestRendering:
    def test_sparse_grey_pictures_are_ink_and_others_are_not(self) -> None:
        assert Rendering.learn(DATA["grey"]).ink
        assert not Rendering.learn(DATA["bytes"]).ink
        assert not Rendering.learn(DATA["colour"]).ink

    def test_values_beyond_the_originals_are_drawn_as_the_extremes(self) -> None:
        rendering = Rendering.learn(np.array([[[0.0, 2.0]]]))
        assert rendering(np.array([[[-1.0, 1.0]], [[2.0, 9.0]]])).ravel().tolist() == [0, 0.5, 1, 1]

    def test_levels_and_gaps_of_a_table(self) -> None:
        X = DATA["table"]
        numbers = Rendering.learn(X).numbers(X)
        assert numbers[:3, 2].tolist() == [2.0, 1.0, 0.0]
        assert np.isnan(numbers[3, 0])

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_channels(self, channels: int) -> None:
        X = RNG.random((2, 3, 4, channels))
        assert pixels(Rendering.learn(X), X).shape[3] == 4

    def test_nothing_to_draw(self) -> None:
        with pytest.raises(DataError, match="no samples"):
            Rendering.learn(np.empty((0, 3)))

    @pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
    def test_frames_of_every_library_are_drawn_alike(self, library: str) -> None:
        if library == "pandas":
            X = DATA["table"]
        elif library == "polars":
            X = pl.from_pandas(DATA["table"], nan_to_null=True)
        else:
            X = pa.Table.from_pandas(DATA["table"])
        some = take(X, np.array([2, 3]))
        assert type(some) is type(X)
        values = Rendering.learn(X).numbers(some)
        assert values[:, 2].tolist() == [0.0, 2.0]
        assert np.isnan(values[1, 0])

    def test_no_more_are_spread_than_there_are(self) -> None:
        assert len(spread(DATA["rows"], 100)) == N


def test_every_public_figure_is_tested_here() -> None:
    charts = {"bars", "curves", "heatmap", "parallel"}
    names = set(figures.__all__) - {"contact_sheet", "theme"} - charts  # charts: test_charts.py
    used = {name for draw in FIGURES.values() for name in draw.__code__.co_names}
    assert names <= used


def test_contact_sheet_has_a_row_a_query() -> None:
    X = DATA["grey"]
    sheet = figures.contact_sheet(X[:2], X[2:8].reshape(2, 3, 6, 9), np.arange(6).reshape(2, 3))
    assert words(sheet) == ["query", "0", "1", "2", "query", "3", "4", "5"]
    with pytest.raises(DataError, match="not a data frame"):
        figures.contact_sheet(DATA["table"], None, None)
