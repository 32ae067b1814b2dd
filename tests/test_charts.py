"""Charts of numbers: what they show of lines, grids, settings and bars."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from latente import DataError, ParameterError, figures

RNG = np.random.default_rng(0)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    return found + [text.get_text() for text in figure.texts]


def legend(figure: Figure) -> list[str]:
    shown = figure.axes[0].get_legend()
    return [] if shown is None else [text.get_text() for text in shown.get_texts()]


class TestCurves:
    def test_line_is_the_mean_and_the_band_runs_from_least_to_most(self) -> None:
        runs = RNG.random((3, 12))
        axes = figures.curves({"adam": runs, "sgd": runs[0]}).axes[0]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), runs.mean(axis=0))
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), np.arange(1, 13))
        (band,) = axes.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == runs.min()
        assert heights.max() == runs.max()

    def test_names_are_in_a_legend_that_is_inside_the_figure(self) -> None:
        names = [f"a setting with a long name, number {i}" for i in range(18)]
        figure = figures.curves({name: RNG.random(4) for name in names}, title="Error")
        assert legend(figure) == names
        figure.draw_without_rendering()
        box = figure.axes[0].get_legend().get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1

    def test_lines_of_one_colour_differ_in_their_dashes(self) -> None:
        axes = figures.curves({str(i): RNG.random(9) for i in range(40)}).axes[0]
        looks = {(line.get_color(), str(line._dash_pattern)) for line in axes.lines}
        assert len(looks) == 40

    def test_x_of_all_and_of_one(self) -> None:
        own = (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]))
        axes = figures.curves({"all": [1.0, 2.0, 3.0], "own": own}, [10, 20, 30]).axes[0]
        assert axes.lines[0].get_xdata().tolist() == [10, 20, 30]
        assert axes.lines[1].get_xdata().tolist() == [2, 3]
        assert axes.lines[1].get_ydata().tolist() == [6, 7]

    def test_runs_that_stop_or_diverge_are_left_out_from_there(self) -> None:
        axes = figures.curves({"runs": [[4.0, 2.0, np.inf], [2.0, 1.0], [6.0, 3.0, 7.0]]}).axes[0]
        assert axes.lines[0].get_ydata().tolist() == [4, 2, 7]

    @pytest.mark.parametrize("log", ["x", "y", "xy"])
    def test_logarithmic_axes(self, log: str) -> None:
        axes = figures.curves({"a": [1.0, 10.0, 100.0]}, log=log).axes[0]
        assert (axes.get_xscale() == "log") == ("x" in log)
        assert (axes.get_yscale() == "log") == ("y" in log)

    @pytest.mark.parametrize(
        ("lines", "keywords", "message"),
        [
            ({}, {}, "no lines"),
            ({"a": [1.0, -3.0]}, {"log": "y"}, 'line "a" has y = -3'),
            ({"a": [1.0, 3.0]}, {"x": [1, 2, 3]}, "2 steps, but x has 3"),
            ({"a": np.ones((2, 2, 2))}, {}, "steps"),
            ({"a": ["one", "two"]}, {}, "numbers"),
            ({"a": [1.0]}, {"log": "z"}, "log='z'"),
        ],
    )
    def test_what_cannot_be_drawn(self, lines: Any, keywords: Any, message: str) -> None:
        with pytest.raises((DataError, ParameterError), match=message):
            figures.curves(lines, **keywords)


class TestHeatmap:
    def test_values_are_written_where_they_are_coloured(self) -> None:
        values = np.array([[0.1, 0.2, np.nan], [0.3, 0.4, -0.5]])
        axes = figures.heatmap(values, ["a", "b"], [1, 2, 3], fmt=".2f").axes[0]
        assert [text.get_text() for text in axes.texts] == [
            "0.10", "0.20", "–", "0.30", "0.40", "−0.50",
        ]  # fmt: skip
        colours = np.asarray(axes.images[0].get_array())
        assert colours.shape == (2, 3, 4)
        assert colours[0, 2, 3] == 0
        assert len(np.unique(colours.reshape(-1, 4), axis=0)) == 6

    def test_one_large_value_leaves_the_others_apart(self) -> None:
        figure = figures.heatmap([[0.01, 0.1, 1000.0]], [""], "abc")
        colours = np.asarray(figure.axes[0].images[0].get_array())[0]
        assert np.abs(colours[0] - colours[1]).max() > 0.1

    def test_texts_stay_in_their_cells(self) -> None:
        names = [f"learning_rate={10.0**-i}" for i in range(5)]
        figure = figures.heatmap(RNG.random((2, 5)), ["x", "y"], names, fmt=".8f")
        figure.draw_without_rendering()
        axes = figure.axes[0]
        cell = axes.get_window_extent().width / 5
        assert max(text.get_window_extent().width for text in axes.texts) < cell
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert min(box.y0 for box in boxes) >= 0

    def test_what_cannot_be_drawn(self) -> None:
        with pytest.raises(DataError, match="2 names of rows"):
            figures.heatmap([[1.0]], ["a", "b"], ["c"])
        with pytest.raises(DataError, match="no number"):
            figures.heatmap([[np.nan]], ["a"], ["b"])
        with pytest.raises(ParameterError, match="fmt='q'"):
            figures.heatmap([[1.0]], ["a"], ["b"], fmt="q")


def settings() -> dict[str, list[Any]]:
    grid = list(itertools.product([16, 64, 256], ["adam", "sgd"], [0.1, 0.001, 0.0001]))
    table: dict[str, list[Any]] = {
        name: [row[i] for row in grid] for i, name in enumerate(("batch", "optimizer", "rate"))
    }
    return {**table, "mse": [*range(len(grid) - 1), None]}


class TestParallel:
    def test_a_line_a_setting_coloured_by_the_metric(self) -> None:
        lines, dotted = (
            each
            for each in figures.parallel(settings(), "mse").axes[0].collections
            if isinstance(each, LineCollection)
        )
        assert len(lines.get_segments()) == 17
        assert len(dotted.get_segments()) == 1
        assert len({to_hex(colour) for colour in lines.get_colors()}) > 12

    def test_lines_of_one_value_are_fanned_out(self) -> None:
        lines = figures.parallel(settings(), "mse").axes[0].collections[0]
        heights = np.array(lines.get_segments())[:, :, 1]
        for column in heights.T:
            assert len(np.unique(column.round(6))) == len(column)

    def test_values_and_what_is_missing_are_written(self) -> None:
        found = texts(figures.parallel(settings(), "mse"))
        assert {"batch", "optimizer", "rate", "mse", "adam", "sgd", "0.001", "256"} <= set(found)
        assert "dotted: 1 of 18 have no mse" in found

    def test_wide_ranges_are_logarithmic(self) -> None:
        axes = figures.parallel({"rate": [0.1, 0.01, 0.001], "mse": [1, 2, 3]}, "mse").axes[0]
        heights = np.array(axes.collections[0].get_segments())[:, 0, 1]
        assert np.ptp(np.diff(heights)) < 1e-6

    def test_a_data_frame_is_a_table(self) -> None:
        assert "optimizer" in texts(figures.parallel(pd.DataFrame(settings()), "mse"))

    def test_what_cannot_be_drawn(self) -> None:
        with pytest.raises(DataError, match="psnr: the columns are"):
            figures.parallel(settings(), "psnr")
        with pytest.raises(DataError, match="2 or 3 values"):
            figures.parallel({"a": [1, 2], "mse": [1, 2, 3]}, "mse")
        with pytest.raises(DataError, match="no number"):
            figures.parallel({"a": [1, 2], "mse": [None, np.nan]}, "mse")


class TestBars:
    def test_mean_deviation_and_each_value(self) -> None:
        figure = figures.bars({"PCA": 3.0, "own": [1.0, 2.0, 6.0], "less": [-1.0, np.nan]})
        axes = figure.axes[0]
        assert [bar.get_height() for bar in axes.patches] == [3, 3, -1]
        (errors,) = (each for each in axes.collections if isinstance(each, LineCollection))
        low, high = errors.get_segments()[0][:, 1]
        assert high - low == pytest.approx(2 * np.std([1, 2, 6], ddof=1))
        assert texts(figure) == ["3", "3", "−1"]

    def test_names_do_not_cover_each_other(self) -> None:
        names = ["a contractive autoencoder", "principal components", "overcompleteness", "PCA"]
        figure = figures.bars(dict.fromkeys(names, 1.0), title="PSNR")
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
        assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))
        assert min(box.y0 for box in boxes) >= 0

    def test_what_cannot_be_drawn(self) -> None:
        with pytest.raises(DataError, match="no bars"):
            figures.bars({})
        with pytest.raises(DataError, match="own: give a number"):
            figures.bars({"own": [np.nan]})


def test_dark_charts_are_light_on_dark() -> None:
    with figures.theme("dark"):
        dark = figures.bars({"a": 1.0})
    light = figures.bars({"a": 1.0})
    assert sum(dark.get_facecolor()[:3]) < 0.6
    assert sum(light.get_facecolor()[:3]) == 3
    with pytest.raises(ParameterError, match="theme='grey': use 'light' or 'dark'"):
        figures.theme("grey").__enter__()
