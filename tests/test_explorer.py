"""The explorer without a server: maps, scenes, samples, damage, a fit that is watched."""

from __future__ import annotations

import io
import json
import sys
import types
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from latente import Autoencoder, datasets
from latente.errors import DataError, MissingExtra, ParameterError
from latente.explorer import Scene, packed, plane
from latente.explorer.coders import AutoencoderCoder, PCACoder
from latente.explorer.damage import damaged, damages_for, quality
from latente.explorer.facts import scene_facts
from latente.explorer.learning import Learning
from latente.explorer.thumbnails import sheet

SMALL: dict[str, Any] = {"network": "dense(hidden=[32])", "random_state": 0}


@pytest.fixture(scope="module")
def digits() -> Any:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def model(digits: Any) -> Autoencoder:
    return Autoencoder(6, epochs=4, **SMALL).fit(digits.X)


@pytest.fixture(scope="module")
def scene(digits: Any, model: Autoencoder) -> Scene:
    return Scene([model, "pca"], digits.X_test, digits.y_test, train=digits.X)


class TestPacked:
    @given(
        st.dictionaries(
            st.text(max_size=5),
            hnp.arrays(
                st.sampled_from([np.uint8, np.int32, np.uint32, np.float32]),
                hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            ),
            max_size=4,
        ),
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3),
    )
    def test_comes_back(self, arrays: dict[str, Any], meta: dict[str, Any]) -> None:
        data = packed.pack(arrays, meta)
        found, beside = packed.unpack(data)
        assert beside == meta
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
        assert len(data) % 8 == 0
        assert (4 + int.from_bytes(data[:4], "little")) % 8 == 0

    @given(st.binary(max_size=60))
    def test_other_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(DataError):
            packed.unpack(data)

    def test_what_is_cut_short_is_refused(self) -> None:
        whole = packed.pack({"a": np.arange(5.0)})
        for end in range(len(whole)):
            with pytest.raises(DataError):
                packed.unpack(whole[:end])


class TestPlane:
    rng = np.random.default_rng(0)
    codes = (rng.normal(size=(300, 5)) * [3, 2, 0.5, 0.2, 0.1]).astype(np.float32)

    @pytest.mark.parametrize("kind", ["pca", "code"])
    def test_places_come_back(self, kind: str) -> None:
        made = plane.learn(kind, self.codes)
        points = made.points(self.codes)
        assert points.shape == (300, 2)
        back = made.codes(points[:9], self.codes[3])
        np.testing.assert_allclose(made.points(back), points[:9], atol=1e-4)
        np.testing.assert_allclose(made.codes(points[3:4], self.codes[3])[0], self.codes[3],
                                   atol=1e-4)  # fmt: skip

    def test_pca_sees_most(self) -> None:
        made = plane.learn("auto", self.codes)
        assert made.kind == "pca"
        assert made.share is not None
        assert 0.9 < made.share < 1

    def test_two_numbers_are_their_own_map(self) -> None:
        made = plane.learn("auto", self.codes[:, :2])
        assert made.kind == "code"
        np.testing.assert_array_equal(made.points(self.codes[:, :2]), self.codes[:, :2])

    def test_one_number_is_spread_out(self) -> None:
        made = plane.learn("auto", self.codes[:, :1])
        points = made.points(self.codes[:, :1])
        assert len(np.unique(points[:, 1])) == 300
        np.testing.assert_array_equal(made.codes(points), self.codes[:, :1])

    def test_turns_to_be_like_another(self) -> None:
        made = plane.learn("pca", self.codes)
        like = made.points(self.codes)[:, ::-1] * [1, -1] + 5
        turned = made.turned(self.codes, like)
        np.testing.assert_allclose(turned.points(self.codes), like - 5, atol=1e-4)
        assert turned.axes == made.axes[::-1]

    def test_constant_codes_have_a_map(self) -> None:
        made = plane.learn("pca", np.ones((4, 3), np.float32))
        assert np.isfinite(made.points(np.ones((4, 3), np.float32))).all()

    def test_umap_where_it_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class UMAP:
            def __init__(self, **keywords: Any) -> None:
                assert keywords["n_components"] == 2

            def fit_transform(self, codes: Any) -> Any:
                return codes[:, :2] * 2

        monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
        made = plane.learn("umap", self.codes)
        np.testing.assert_allclose(made.codes(self.codes[:3, :2] * 2), self.codes[:3], atol=1e-3)
        np.testing.assert_allclose(made.points(self.codes[:3].copy()), self.codes[:3, :2] * 2,
                                   atol=1e-3)  # fmt: skip

    def test_umap_of_few_codes_is_pca(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace())
        assert plane.learn("umap", self.codes[:3]).kind == "pca"

    def test_umap_is_missed_before_any_work(
        self, monkeypatch: pytest.MonkeyPatch, model: Autoencoder
    ) -> None:
        monkeypatch.setitem(sys.modules, "umap", None)
        with pytest.raises(MissingExtra, match="umap-learn"):
            Scene(model, None, map="umap")

    def test_another_map_is_refused(self, model: Autoencoder) -> None:
        with pytest.raises(ParameterError, match="map='tsne'"):
            Scene(model, None, map="tsne")

    def test_limits_leave_out_a_stray_point(self) -> None:
        points = np.vstack([self.codes[:, :2], [[1e6, 0]]]).astype(np.float32)
        left, right, bottom, top = plane.limits(points)
        assert right < 100
        assert left < right
        assert bottom < top


class TestScene:
    def test_agrees_with_the_estimator(self, scene: Scene, model: Autoencoder, digits: Any) -> None:
        view = scene.views[0]
        np.testing.assert_allclose(view.codes, model.transform(digits.X_test), atol=1e-4)
        errors = model.reconstruction_error(digits.X_test)
        np.testing.assert_allclose(view.rows.errors, errors, rtol=1e-3, atol=1e-6)
        scores = -model.score_samples(digits.X_test)
        np.testing.assert_allclose(view.rows.scores, scores, rtol=1e-3, atol=1e-5)
        shown = scene.shown(view, view.coder.decode(view.codes[:9])).array[..., 0]
        expected = scene.form.shown(model.inverse_transform(view.codes[:9])).array[..., 0]
        assert np.abs(shown.astype(int) - expected).max() <= 1

    def test_pca_is_a_model(self, scene: Scene, digits: Any) -> None:
        view = scene.views[1]
        assert isinstance(view.coder, PCACoder)
        assert view.coder.latent == scene.views[0].coder.latent
        again = view.passed(digits.X_test[:5])
        np.testing.assert_allclose(again.codes.numpy(), view.codes[:5], atol=1e-4)
        assert view.rows.errors.mean() < digits.X_test.astype(float).var()

    def test_columns(self, scene: Scene) -> None:
        names = [(column.name, column.model) for column in scene.columns]
        assert names == [
            ("class", None), ("reconstruction error", 0), ("anomaly score", 0),
            ("reconstruction error", 1), ("anomaly score", 1),
        ]  # fmt: skip
        assert scene.column("class").classes is not None
        with pytest.raises(ParameterError, match="no column"):
            scene.column("nothing")

    def test_a_shown_row_is_nearest_to_itself(self, scene: Scene) -> None:
        view = scene.views[0]
        places = view.decode_codes(view.codes[7:8])
        assert places.nearest[0] == 7
        assert places.distance[0] < 1e-3
        assert view.decode_at(view.points[7:8]).distance[0] == 0
        far = view.decode_at(np.array([[1e4, 1e4]], np.float32))
        assert far.inside[0] == 1
        assert far.distance[0] > view.near

    def test_regions_hold_their_shares(self, scene: Scene) -> None:
        view = scene.views[0]
        inside = view.regions(view.points)
        for share in (0.5, 0.8, 0.95):
            assert abs((inside <= share).mean() - share) < 0.15

    def test_dims_begin_with_the_one_that_matters(self) -> None:
        rng = np.random.default_rng(0)
        X = (rng.normal(size=(200, 4)) * [5, 1, 0.2, 0.1]).astype(np.float32)
        ae = Autoencoder(3, epochs=1, scaling="none", **SMALL).fit(X)
        view = Scene([ae, "pca"], X).views[1]
        assert [each["dim"] for each in view.dims] == [0, 1, 2]
        effects = [each["effect"] for each in view.dims]
        assert effects == sorted(effects, reverse=True)
        assert effects[0] > 3 * effects[1]

    def test_directions(self, scene: Scene, digits: Any) -> None:
        ones, zeros = (np.flatnonzero(digits.y_test == each) for each in (1, 0))
        vector, separation = scene.direction(0, ones, zeros)
        codes = scene.views[0].codes
        np.testing.assert_allclose(vector, codes[ones].mean(0) - codes[zeros].mean(0), atol=1e-4)
        assert separation is not None
        assert separation > 0.8
        assert scene.direction(0, ones[:1], zeros)[1] is None

    def test_what_cannot_be_shown_is_told(self, model: Autoencoder, digits: Any) -> None:
        with pytest.raises(ParameterError, match="give one, or two"):
            Scene([model] * 3, digits.X_test)
        with pytest.raises(ParameterError, match="fitted Autoencoder"):
            Scene("pca", digits.X_test)
        with pytest.raises(DataError, match="one for each"):
            Scene(model, digits.X_test, digits.y_test[:-1])
        with pytest.raises(DataError, match="8 × 8"):
            Scene(model, np.zeros((5, 9, 9), np.uint8))

    def test_thumbnails(self, scene: Scene) -> None:
        picture = np.asarray(Image.open(io.BytesIO(sheet(scene, 3, 40))))
        assert picture.shape == (16, 32 * 8)
        np.testing.assert_array_equal(
            picture[:8, 8:16], scene.form.shown(scene.X[4:5]).array[0, ..., 0]
        )

    @pytest.mark.parametrize("side", [100, 7])
    def test_pictures_of_files_are_fitted(self, scene: Scene, side: int) -> None:
        buffer = io.BytesIO()
        ink = Image.new("RGBA", (side, 2 * side), (255, 255, 255, 0))
        ink.paste((255, 255, 255, 255), (0, 0, side, side))
        ink.save(buffer, "PNG")
        shown = scene.form.shown(scene.form.read_picture(buffer.getvalue())).array[0, ..., 0]
        assert shown.shape == (8, 8)
        assert shown[1, 4] > 250  # ink
        assert shown[6, 4] < 5  # transparent, over the ground
        assert shown[4, 0] < 5  # beside the picture

    def test_a_file_of_dark_ink_is_fitted_over_its_own_paper(self, scene: Scene) -> None:
        buffer = io.BytesIO()
        paper = Image.new("L", (40, 80), 255)
        paper.paste(0, (16, 30, 24, 50))
        paper.save(buffer, "PNG")
        shown = scene.form.shown(scene.form.read_picture(buffer.getvalue())).array[0, ..., 0]
        assert shown[4, 0] > 250
        assert shown[0, 4] > 250

    @pytest.mark.parametrize("n", [1, 5])
    def test_few_and_equal_rows_have_facts(self, model: Autoencoder, digits: Any, n: int) -> None:
        X = np.repeat(digits.X[:1], n, 0)
        facts = scene_facts(Scene([model, "pca"], X))
        assert json.loads(json.dumps(facts, allow_nan=False))["n"] == n

    def test_a_column_of_names_is_no_column_of_classes(
        self, model: Autoencoder, digits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("latente.explorer.scene.MOST_CLASSES", 9)
        X = digits.X_test[:20]
        made = Scene(model, X, ["a", "b"] * 10, more={"id": [f"k{i}" for i in range(20)]})
        assert [column.name for column in made.own_columns] == ["class"]

    def test_data_of_another_shape_are_told_first(self, model: Autoencoder) -> None:
        with pytest.raises(DataError, match="not numbers"):
            Scene(model, pl.DataFrame({"a": ["x", "y"]}))

    def test_a_picture_that_claims_too_much_is_refused(self, scene: Scene) -> None:
        buffer = io.BytesIO()
        Image.new("1", (9000, 9000)).save(buffer, "PNG")
        with pytest.raises(DataError, match="pixels"):
            scene.form.read_picture(buffer.getvalue())


class TestTables:
    def frame(self) -> Any:
        rng = np.random.default_rng(0)
        return pl.DataFrame(
            {
                "size": rng.normal(size=80), "count": rng.integers(0, 9, 80),
                "colour": [("red", "green", "blue")[i % 3] for i in range(80)],
            }
        )  # fmt: skip

    def test_rows_are_numbers_and_come_back(self) -> None:
        frame = self.frame()
        ae = Autoencoder(2, epochs=2, **SMALL).fit(frame)
        scene = Scene(ae, frame, more={"kind": ["a", "b"] * 40})
        assert [column.name for column in scene.columns[:4]] == ["kind", "size", "count", "colour"]
        assert scene.column("colour").classes == ("blue", "green", "red")
        assert scene.column("size").classes is None
        shown = scene.form.shown(frame).array
        assert shown[:3, 2].tolist() == [2, 1, 0]
        again = scene.form.read_values(shown[5].tolist())
        codes = scene.views[0].passed(again).codes.numpy()
        np.testing.assert_allclose(codes, scene.views[0].codes[5:6], atol=1e-3)
        named = scene.form.read_values([shown[5, 0].item(), 3, "red"])
        assert named["colour"].to_list() == ["red"]
        for wrong in ([1, 2], [1, 2, "pink"], [1, "x", "red"], "no", [1, 2, 7]):
            with pytest.raises(DataError, match="values"):
                scene.form.read_values(wrong)

    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_every_kind_of_column_comes_back(self, library: str) -> None:
        day, n = datetime(2020, 1, 1), 40
        frame = pl.DataFrame(
            {
                "when": [day + timedelta(days=i) for i in range(n)],
                "lasts": [timedelta(hours=i) for i in range(n)],
                "good": [i % 3 == 0 for i in range(n)],
                "count": [None if i == 5 else i for i in range(n)],
                "kind": ["ab"[i % 2] for i in range(n)],
            }
        )  # fmt: skip
        X: Any = frame if library == "polars" else frame.to_pandas()
        scene = Scene(Autoencoder(2, epochs=1, **SMALL).fit(X), X)
        shown = scene.form.shown(X).array
        for i in (3, 5):
            values = [None if np.isnan(value) else value.item() for value in shown[i]]
            again = scene.form.read_values(values)
            assert list(again.dtypes) == list(X.dtypes)
            codes = scene.views[0].passed(again).codes.numpy()
            np.testing.assert_allclose(codes, scene.views[0].codes[i : i + 1], atol=1e-3)

    def test_series_of_several_lengths(self) -> None:
        rng = np.random.default_rng(0)
        series = [rng.normal(size=(length, 2)) for length in rng.integers(3, 7, 40)]
        ae = Autoencoder(2, network="recurrent(hidden=8)", epochs=1, random_state=0).fit(series)
        scene = Scene(ae, series)
        shown = scene.form.shown(series[:3]).array
        assert shown.shape == (3, max(map(len, series)), 2)
        assert np.isnan(shown[0, len(series[0]) :]).all()
        again = scene.form.read_values(series[0].tolist())
        codes = scene.views[0].passed(again).codes.numpy()
        np.testing.assert_allclose(codes, scene.views[0].codes[:1], atol=1e-3)
        with pytest.raises(DataError, match="steps"):
            scene.form.read_values([[0, 0]] * 99)

    def test_texts(self) -> None:
        texts = ["abc", "ab", "ca", "bca"] * 10
        ae = Autoencoder(2, network="recurrent(hidden=8)", epochs=1, random_state=0).fit(texts)
        scene = Scene(ae, texts)
        assert scene.form.shown(texts[:2]).texts == ["abc", "ab"]
        assert scene.views[0].passed(scene.form.read_text("cab")).codes.shape == (1, 2)


class TestDamage:
    def test_each_slider_changes_the_sample(self, scene: Scene, digits: Any) -> None:
        view, X = scene.views[0], digits.X_test[:1]
        sliders = damages_for(view.coder.input)
        assert {each.name for each in sliders} >= {"noise", "mask", "watermark", "blur", "erase"}
        for each in sliders:
            first, again = (damaged(view, X, {each.name: each.value}, 3).X for _ in range(2))
            assert (first != X).any(), each.name
            np.testing.assert_array_equal(first, again)
            figures = quality(scene, view, X, first, view.passed(first).values.numpy())
            assert figures["psnr_damaged"] < 100
        np.testing.assert_array_equal(damaged(view, X, {}, 3).X, X)

    def test_rows_take_what_rows_can(self) -> None:
        X = np.random.default_rng(0).normal(size=(50, 4))
        view = Scene(Autoencoder(2, epochs=1, **SMALL).fit(X), X).views[0]
        names = [each.name for each in damages_for(view.coder.input)]
        assert "noise" in names
        assert "blur" not in names

    def test_a_model_that_fills_in_is_told_where(self, digits: Any) -> None:
        ae = Autoencoder(4, corruption="erase(mask_channel=True)", network="conv", epochs=1,
                         random_state=0).fit(digits.X[:100])  # fmt: skip
        view = Scene(ae, digits.X_test[:20]).views[0]
        broken = damaged(view, digits.X_test[:1], {"erase": 0.5}, 0)
        assert abs(broken.mask.float().mean() - 0.5) < 0.1
        told, untold = view.passed(broken.X, broken.mask), view.passed(broken.X)
        assert not np.array_equal(told.codes, untold.codes)


class TestLearning:
    def test_keeps_the_epochs_and_ends_at_the_model(self, digits: Any) -> None:
        ae = Autoencoder(3, epochs=5, **SMALL)
        learning = Learning(ae, digits.X[:200], digits.X_test, digits.y_test)
        first = learning.scene.views[0].points
        assert learning.facts() == {"epochs": 5, "kept": [], "done": False}
        fitted = learning.run()
        assert fitted is ae
        assert ae.callbacks is None
        facts = learning.facts()
        assert facts["done"]
        assert facts["kept"][-1] == 5
        view = learning.scene.views[0]
        assert isinstance(view.coder, AutoencoderCoder)
        np.testing.assert_allclose(view.codes, ae.transform(digits.X_test), atol=1e-4)
        assert not np.allclose(learning.points(facts["kept"][0]), first)
        events, seen = learning.since(3)
        assert [e.epoch for e in events] == [4, 5, None]
        assert events[-1].data == {"epochs": 5, "best_epoch": ae.best_epoch_}
        assert learning.since(0, seen)[0] == []

    def test_the_fit_is_the_one_without_a_page(self, digits: Any) -> None:
        watched, alone = (Autoencoder(3, epochs=2, **SMALL) for _ in range(2))
        Learning(watched, digits.X[:200]).run()
        alone.fit(digits.X[:200])
        np.testing.assert_array_equal(watched.transform(digits.X), alone.transform(digits.X))

    def test_ctrl_c_behind_the_last_epoch_loses_nothing(
        self, digits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(self: Learning) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Learning, "_show_fitted", interrupted)
        learning = Learning(
            Autoencoder(3, epochs=1, **SMALL), digits.X[:60], name="digits", model_name="plain"
        )
        assert learning.scene.title == "plain on digits"
        assert learning.run().epochs_ == 1
        assert learning.since(0)[0][-1].kind == "done"

    def test_of_many_epochs_few_are_kept(
        self, digits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("latente.explorer.learning.KEPT", 4)
        monkeypatch.setattr("latente.explorer.learning.SHARE", 1e9)
        learning = Learning(Autoencoder(2, epochs=11, **SMALL), digits.X[:60])
        learning.run()
        assert len(learning.kept) <= 4
        assert max(learning.kept) == 11

    def test_a_fit_that_fails_is_told(self, digits: Any) -> None:
        ae = Autoencoder(2, epochs=2, learning_rate=1e30, optimizer="sgd", **SMALL)
        learning = Learning(ae, digits.X[:60])
        with pytest.raises(Exception, match="learning_rate"):
            learning.run()
        last = learning.since(0)[0][-1]
        assert last.kind == "failed"
        assert "learning_rate" in last.data["error"]

    def test_wrong_parameters_are_told_before(self, digits: Any) -> None:
        with pytest.raises(ParameterError, match="latent_dim"):
            Learning(Autoencoder(0), digits.X[:60])
