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
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from latente import Autoencoder, DataError, ParameterError, datasets, figures, latent
from latente.figures.density import Density
from latente.figures.maps import Groups, positions
from latente.figures.mosaic import Rendering, pixels, spread, take
from latente.figures.pictures import corrupted
from latente.figures.style import THEMES
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
    "grid of data": lambda model, X: figures.decode_grid(model, 4, X=X),
    "dense": lambda model, X: figures.latent_map(model, X, density=True),
    "filters": lambda model, X: figures.filters(model, 6),
    "painted": lambda model, X: figures.filters(model, 6, layer="last"),
    "kinds": lambda model, X: figures.rows({"original": X[:3], "after": model.reconstruct(X[:3])}),
    "sheet": lambda model, X: figures.sheet({"original": X, "after": model.reconstruct(X)}),
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


def note(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


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
@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"beside", "pca", "unlabelled", "sheet"}))
def test_every_figure_of_every_kind_of_model(name: str, variant: str) -> None:
    assert drawn(FIGURES[name](fitted("grey", variant), DATA["grey"])).std() > 0


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"beside", "pca", "unlabelled", "sheet"}))
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


class Still:
    """A model whose codes are the numbers of its data, for maps of what is known."""

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X.reshape(len(X), -1)[:, :2]


def ink(at: np.ndarray) -> np.ndarray:
    """Return pictures of ink whose first two pixels are where they lie."""
    pictures = np.zeros((len(at), 4, 4))
    pictures[:, 0, :2] = at
    pictures[:, 2] = np.abs(at).max()
    return pictures


def boxes_of(figure: Figure, artists: list[Any]) -> np.ndarray:
    """Return the extents of artists on the canvas, (n, 4): left, bottom, right, top."""
    figure.draw_without_rendering()
    return np.array([artist.get_window_extent().extents for artist in artists])


def overlaps(boxes: np.ndarray, slack: float = 1.5) -> int:
    """Return how many pairs of boxes cover each other by more than a pixel or two."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    covered = (high - low > slack).all(axis=2)
    return int(np.triu(covered, 1).sum())


def names_of(figure: Figure, axes: int = 0) -> list[Any]:
    return [text for text in figure.axes[axes].texts if text.get_gid() == "name"]


class TestWhatCoversWhat:
    @pytest.mark.parametrize("words_long", [False, True])
    def test_names_of_classes_in_one_place_do_not_cover_each_other(self, words_long: bool) -> None:
        at = RNG.normal(size=(300, 2))
        y = np.arange(300) % 10
        named = np.array([f"class number {i}" for i in range(10)])[y] if words_long else y
        figure = figures.latent_map(Still(), ink(at), named, thumbnails=False)
        texts = names_of(figure)
        assert len(texts) == 10
        boxes = boxes_of(figure, texts)
        assert overlaps(boxes) == 0
        frame = figure.axes[0].get_window_extent().extents
        assert (boxes[:, :2] > frame[:2] - 2).all()
        assert (boxes[:, 2:] < frame[2:] + 2).all()

    @pytest.mark.parametrize("spread_out", [1.0, 0.02, 0.0])
    def test_all_thumbnails_are_there_and_none_covers_another(self, spread_out: float) -> None:
        at = np.concatenate([[[0, 0], [3, 3]], 1 + spread_out * RNG.normal(size=(94, 2))])
        figure = figures.latent_map(Still(), ink(at), np.arange(96) % 3, limits=(-4, 6))
        pictures = figure.axes[0].images
        assert len(pictures) == 96
        boxes = boxes_of(figure, [*pictures, *names_of(figure)])
        assert overlaps(boxes) == 0
        assert "all 96 are drawn as pictures" in note(figure)

    def test_a_line_leads_to_where_a_thumbnail_belongs(self) -> None:
        at = np.array([[0.0, 0.0]] * 9 + [[4.0, 4.0]])
        figure = figures.latent_map(Still(), ink(at))
        (lines,) = (each for each in figure.axes[0].collections if each.get_gid() == "lead")
        ends = np.array(lines.get_segments())[:, 1]
        np.testing.assert_allclose(ends, 0, atol=1e-9)
        assert f"{len(ends)} of them beside their place" in note(figure)
        assert 4 <= len(ends) <= 9

    def test_the_map_grows_with_its_thumbnails(self) -> None:
        widths = [
            figures.latent_map(Still(), ink(RNG.normal(size=(n, 2)))).get_figwidth()
            for n in (20, 150)
        ]
        assert widths[1] > 1.1 * widths[0]

    def test_what_is_no_picture_for_want_of_room_is_said(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("latente.figures.maps.WIDEST", 3.0)
        figure = figures.latent_map(Still(), ink(RNG.normal(size=(200, 2))), thumbnails=True)
        shown = len(figure.axes[0].images)
        assert 50 < shown < 200
        assert f"{shown} of 200 are drawn as pictures" in note(figure)
        assert len(figure.axes[0].collections[0].get_offsets()) == 200 - shown


class TestLegend:
    def entries(self, figure: Figure) -> list[str]:
        return [text.get_text() for each in figure.legends for text in each.get_texts()] + [
            text.get_text()
            for each in figure.artists
            if hasattr(each, "get_texts")
            for text in each.get_texts()
        ]

    def test_every_class_is_in_it_and_it_lies_beside_the_maps(self) -> None:
        y = np.array(["oak", "elm", "a name that is long"])[np.arange(N) % 3]
        figure = figures.latent_map_beside_pca(fitted("grey"), DATA["grey"], y)
        assert self.entries(figure) == sorted(set(y))
        (legend,) = (each for each in figure.artists if hasattr(each, "get_texts"))
        (box,) = boxes_of(figure, [legend])
        assert max(axes.get_window_extent().x1 for axes in figure.axes) <= box[0]
        assert box[2] <= figure.bbox.x1

    def test_there_is_none_without_classes(self) -> None:
        assert self.entries(figures.latent_map(fitted("grey"), DATA["grey"])) == []

    def test_numbers_have_a_scale_of_colours(self) -> None:
        figure = figures.latent_map(fitted("rows"), DATA["rows"], np.linspace(10, 20, N))
        assert len(figure.axes) == 2
        assert figure.axes[1].get_ylim() == (10, 20)

    def test_classes_differ_in_colour_or_shape(self) -> None:
        groups = Groups.of(np.arange(100), 100)
        looks = {(tuple(groups.colours[i]), groups.marker(i)) for i in range(100)}
        assert len(looks) == 100

    def test_only_some_classes_in_their_own_colours(self) -> None:
        y = np.arange(N) % 3
        whole, part = (
            figures.latent_map(fitted("rows"), DATA["rows"], y, classes=classes)
            for classes in (None, [2])
        )
        assert self.entries(part) == ["2"]
        points = part.axes[0].collections[0]
        assert len(points.get_offsets()) == (y == 2).sum()
        np.testing.assert_array_equal(
            points.get_facecolors()[0], whole.axes[0].collections[0].get_facecolors()[2]
        )
        with pytest.raises(ParameterError, match="the classes are 0, 1 or 2"):
            figures.latent_map(fitted("rows"), DATA["rows"], y, classes=[5])
        with pytest.raises(ParameterError, match="give y"):
            figures.latent_map(fitted("rows"), DATA["rows"], classes=[5])


class TestLimits:
    def test_a_few_outliers_do_not_squeeze_the_rest(self) -> None:
        at = np.concatenate([RNG.uniform(-1, 1, (60, 2)), [[90, 0], [0, -70]]])
        figure = figures.latent_map(Still(), ink(at), thumbnails=False)
        axes = figure.axes[0]
        assert np.ptp(axes.get_xlim()) < 3
        assert np.ptp(axes.get_ylim()) < 3
        arrows = [each for each in axes.collections if each.get_gid() == "outlier"]
        ends = np.concatenate([each.get_offsets() for each in arrows])
        assert len(ends) == 2
        assert ends[:, 0].max() == axes.get_xlim()[1]
        assert ends[:, 1].min() == axes.get_ylim()[0]
        assert "arrows at the border: 2 of 62" in note(figure)

    def test_without_outliers_all_is_shown_and_nothing_is_said(self) -> None:
        at = RNG.uniform(-1, 1, (200, 2))
        figure = figures.latent_map(Still(), ink(at), thumbnails=False)
        assert figure.axes[0].get_xlim()[0] < at[:, 0].min()
        assert figure.axes[0].get_xlim()[1] > at[:, 0].max()
        assert note(figure) == ""

    def test_limits_that_are_asked_for(self) -> None:
        at = np.array([[0.0, 0.0], [1.0, 2.0], [5.0, 0.0], [0.0, -3.0]])
        figure = figures.latent_map(Still(), ink(at), limits=(-1, 2, -2, 4))
        assert figure.axes[0].get_xlim() == (-1, 2)
        assert figure.axes[0].get_ylim() == (-2, 4)
        assert len(figure.axes[0].images) == 2
        assert "2 of 4 lie outside" in note(figure)
        with pytest.raises(ParameterError, match="lower number first"):
            figures.latent_map(Still(), ink(at), limits=(2, 1))

    def test_dims_that_are_none(self) -> None:
        for dims in ((0, 0), (0,), (0, -1)):
            with pytest.raises(ParameterError, match="two different numbers"):
                figures.latent_map(fitted("rows"), DATA["rows"], dims=dims)


class TestDensity:
    def test_region_holds_the_share_and_leaves_holes_open(self) -> None:
        angle = RNG.uniform(0, 2 * np.pi, 1500)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * RNG.uniform(0.9, 1.1, (1500, 1))
        density = Density.learn(ring)
        level = density.level(0.9)
        assert 0.85 < (density(ring) >= level).mean() < 0.97
        assert (density(np.array([[0.0, 0.0], [2.0, 2.0]])) < 0.1 * level).all()

    def test_codes_all_alike(self) -> None:
        density = Density.learn(np.ones((30, 2)))
        assert density(np.array([[1.0, 1.0]])) >= density.level(0.95)
        assert density(np.array([[2.0, 2.0]])) < density.level(0.95)

    def test_shades_lie_behind_the_points(self) -> None:
        model, X = fitted("rows"), DATA["rows"]
        plain, shaded = (
            figures.latent_map(model, X, density=density).axes[0].collections
            for density in (False, True)
        )
        assert len(shaded) == len(plain) + 3
        assert max(each.get_zorder() for each in shaded[-3:]) < plain[0].get_zorder()


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Return colours of linear sRGB in OKLab (Ottosson, 2020)."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(np.clip(rgb, 0, 1) @ cones.T) @ lab.T


EYES = {  # Machado, Oliveira and Fernandes (2009), severity 1
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


class TestTheme:
    @pytest.mark.parametrize("eyes", EYES)
    @pytest.mark.parametrize("name", THEMES)
    def test_ten_classes_are_told_apart_by_all_eyes(self, name: str, eyes: str) -> None:
        seen = np.stack([EYES[eyes] @ linear(colour) for colour in THEMES[name].colours])
        points = oklab(np.clip(seen, 0, 1))
        distances = np.sqrt(np.square(points[:, None] - points[None]).sum(axis=2))
        assert distances[~np.eye(10, dtype=bool)].min() > 0.12  # 0.02 can just be told apart

    @pytest.mark.parametrize("name", THEMES)
    def test_colours_are_seen_on_the_paper(self, name: str) -> None:
        theme = THEMES[name]
        weights = np.array([0.2126, 0.7152, 0.0722])
        paper = linear(theme.paper) @ weights
        for colour, least in [(theme.ink, 10.0), (theme.muted, 4.5)] + [
            (each, 1.7) for each in theme.colours
        ]:
            pair = sorted([linear(colour) @ weights, paper])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= least, colour

    @pytest.mark.parametrize("name", sorted(FIGURES))
    def test_every_figure_can_be_dark(self, name: str) -> None:
        with figures.theme("dark"):
            dark = FIGURES[name](fitted("grey"), DATA["grey"])
        assert drawn(dark)[0, 0].max() < 60
        assert drawn(FIGURES[name](fitted("grey"), DATA["grey"]))[0, 0].min() == 255
        black = [text for text in dark.findobj(Text) if text.get_text() and dim(text.get_color())]
        assert not black

    def test_pictures_have_288_pixels_an_inch(self) -> None:
        from PIL import Image

        stream, figure = BytesIO(), figures.samples(fitted("grey"), 1)
        figure.savefig(stream, format="png")
        assert Image.open(stream).width == pytest.approx(288 * figure.get_figwidth(), abs=1)


def dim(colour: Any) -> bool:
    return sum(to_rgb(colour)) < 1.0


class TestFilters:
    def test_pictures_are_the_weights(self) -> None:
        model = fitted("grey")
        weights = model.fitted_.model.network.encoder[1].weight.detach().numpy()
        order = np.argsort(-np.square(weights).sum(axis=1))
        image = np.asarray(figures.filters(model, 1).axes[0].images[0].get_array())
        step = image.shape[0] // 6
        greatest = weights[order[0]]
        most = np.abs(greatest).argmax()
        seen = image[step // 2 :: step, step // 2 :: step][:, :, :3].reshape(-1, 3)
        colour = figures.style.LIGHT.colours[int(greatest[most] > 0)]
        expected = np.round(np.array(to_rgb(colour)) * 255)
        np.testing.assert_allclose(seen[most], expected, atol=1)
        assert "1 of 8 units" in note(figures.filters(model, 1))

    @pytest.mark.parametrize("layer", ["first", "last"])
    def test_convolutional_and_linear_beginnings(self, layer: str) -> None:
        X = RNG.random((N, 16, 16, 3)).astype(np.float32)
        conv = Autoencoder(4, network="conv(channels=[5])", epochs=0, device="cpu").fit(X)
        assert "5 of 5 units" in note(figures.filters(conv, layer=layer))
        pca = Autoencoder(2, epochs=0, device="cpu").fit(DATA["rows"])
        assert {"linear", "hidden"} & set(words(figures.filters(pca, layer=layer)))

    def test_what_cannot_be_drawn(self) -> None:
        with pytest.raises(ParameterError, match="'first' or 'last'"):
            figures.filters(fitted("grey"), layer="middle")
        X = RNG.random((8, 5, 2)).astype(np.float32)
        model = Autoencoder(2, network="recurrent", layout="sequences", epochs=0, device="cpu")
        with pytest.raises(ParameterError, match="only those of dense and convolutional"):
            figures.filters(model.fit(X))


def test_a_sheet_has_originals_over_results_and_captions() -> None:
    X = DATA["grey"][:12]
    rows = {"original": X, "edited": X[::-1]}
    found = words(figures.sheet(rows, [str(i) for i in range(12)]))
    ten = [str(i) for i in range(10)]
    assert found == ["original", "edited", *ten, "original", "edited", "10", "11"]
    with pytest.raises(DataError, match="as many samples of each kind"):
        figures.sheet({"a": X, "b": X[:3]})


class TestGrid:
    def veiled(self, figure: Figure) -> int:
        return sum(
            len(each.get_paths()) for each in figure.axes[0].collections if each.get_gid() == "veil"
        )

    def test_pale_is_what_lies_outside_of_the_codes(self) -> None:
        model, X = fitted("grey"), DATA["grey"]
        Z = model.transform(X)
        middle, reach = Z.mean(axis=0), 10 * np.ptp(Z, axis=0).max()
        wide = (middle[0] - reach, middle[0] + reach, middle[1] - reach, middle[1] + reach)
        figure = figures.decode_grid(model, 9, X=X, limits=wide)
        outside = self.veiled(figure)
        assert 72 <= outside < 81
        assert f"{1 - outside / 81:.0%} of the grid lies where 95%" in note(figure)

    def test_prior_and_training_codes_say_what_is_likely(self) -> None:
        prior = figures.decode_grid(fitted("grey", "variational"), 9, limits=(-8, 8))
        assert 81 - 9 <= self.veiled(prior) < 81
        assert "the prior's codes" in note(prior)
        assert "the training codes" in note(figures.decode_grid(fitted("grey"), 5))

    def test_chosen_numbers_from_limit_to_limit(self) -> None:
        grid = latent.grid(fitted("grey", "variational"), 3, dims=(3, 1), limits=(-1, 1, -2, 2))
        np.testing.assert_allclose(grid[:3, 3], [-1, 0, 1])
        np.testing.assert_allclose(grid[::3, 1], [2, 0, -2])
        assert (grid[:, [0, 2]] == 0).all()
        with pytest.raises(ParameterError, match="numbers 0 to 3"):
            latent.grid(fitted("grey", "variational"), 3, dims=(0, 4))

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


def test_long_labels_of_rows_are_drawn_whole() -> None:
    X = datasets.load("digits").X[:3]
    figure = figures.rows({"original": X, "what a restorer makes of the noisy ones": X})
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[0].texts if "restorer" in text.get_text()]
    assert len(labels) == 1
    assert labels[0].get_text().replace("\n", " ") == "what a restorer makes of the noisy ones"
    assert labels[0].get_window_extent().x0 > 0
