"""Restoration: damage is undone better than by doing nothing, whatever the picture's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from latente import (
    Autoencoder,
    Blur,
    Conv,
    DataError,
    Downsample,
    Erase,
    GaussianNoise,
    Grayscale,
    ParameterError,
    Watermark,
    datasets,
    figures,
    restore,
)
from latente.cli.main import app
from latente.corruptions.base import corrupt
from latente.data.space import Space
from latente.figures.pictures import corrupted
from latente.metrics import psnr
from latente.networks.base import NetworkModule
from latente.restoration import blend, cut, raised_cosine, tile_corners

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
UNET = Conv(channels=(8, 16), down="pool", code="spatial", skips=True)
RESIDUAL = Conv(channels=(8, 16), down="pool", code="spatial", skips=True, residual=True)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discs(n: int, size: tuple[int, int] = (16, 16), seed: int = 0) -> Bytes:
    """Pictures (n, h, w, 3) of green discs on blue, softly lit: colours follow from brightness."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    found = np.empty((n, *size, 3), np.uint8)
    for picture in found:
        centre, radius = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.15, 0.35) * min(size)
        inside = np.hypot(rows - centre[0], columns - centre[1]) < radius
        picture[:] = np.where(inside[..., None], (90, 220, 60), (20, 40, 160))
    return found


def restorer(X: Bytes, network: Any = RESIDUAL, epochs: int = 8, **keywords: Any) -> Autoencoder:
    ae = Autoencoder(
        network=network, epochs=epochs, learning_rate=0.005, random_state=0, **keywords
    )
    return ae.fit(X)


@pytest.fixture(scope="module")
def filler() -> Autoencoder:
    """A model of grey discs that is told what is missing."""
    return restorer(discs(200)[..., 1], corruption=Erase(share=0.3, mask_channel=True))


class TestCorruptions:
    @pytest.mark.parametrize("shape", ["boxes", "strokes"])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.8, 1.0])
    def test_erase_takes_the_share_asked_for(self, shape: Any, share: float) -> None:
        x = torch.full((40, 2, 23, 31), 0.5)
        erased = corrupt(x, Erase(share=share, shape=shape, value=-1), seeded(), None) == -1
        assert torch.equal(erased.any(1), erased.all(1))
        each = erased[:, 0].float().mean((1, 2))
        assert float(each.mean()) == pytest.approx(share, abs=0.004)
        assert float((each - share).abs().max()) < 0.03

    def test_erased_parts_hang_together_and_differ_between_pictures(self) -> None:
        masks = corrupt(
            torch.rand(8, 1, 32, 32), Erase(share=0.2, mask_channel=True), seeded(), None
        )[:, 1]
        neighbours = (masks[:, 1:] == masks[:, :-1]).float().mean()
        assert float(neighbours) > 0.9
        assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 8

    def test_a_range_is_drawn_from_for_each_picture(self) -> None:
        x = torch.full((400, 1, 20, 20), 0.5)
        shares = (corrupt(x, Erase(share=(0.1, 0.5)), seeded(), None) == 0).float().mean((1, 2, 3))
        assert float(shares.min()) == pytest.approx(0.1, abs=0.03)
        assert float(shares.max()) == pytest.approx(0.5, abs=0.03)

    def test_the_mask_comes_as_one_channel_more(self) -> None:
        x = torch.rand(6, 3, 12, 12) + 0.1
        seen = corrupt(x, Erase(mask_channel=True), seeded(), None)
        assert seen.shape == (6, 4, 12, 12)
        hidden = seen[:, 3:] == 1
        assert torch.equal(seen[:, :3], x.masked_fill(hidden, 0))

    def test_a_watermark_is_as_wide_as_asked_and_wholly_inside(self) -> None:
        x = torch.zeros(30, 1, 60, 100)
        marked = corrupt(x, Watermark(scale=0.5, opacity=0.4), seeded(), (0, 1))[:, 0]
        assert float(marked.max()) == pytest.approx(0.4, abs=0.02)
        columns = (marked > 0.02).any(1)
        lefts = columns.float().argmax(1)
        widths = 100 - columns.flip(1).float().argmax(1) - lefts
        assert all(46 <= int(width) <= 52 for width in widths)
        assert len(set(lefts.tolist())) > 10

    def test_a_high_watermark_is_made_to_fit(self) -> None:
        marked = corrupt(
            torch.zeros(4, 1, 20, 60),
            Watermark(text="A\nB\nC\nD", scale=1.0, opacity=1.0),
            seeded(),
            (0, 1),
        )
        assert float(marked.max()) > 0.9
        assert float((marked > 0.1).any(2).float().mean()) < 0.5

    def test_a_picture_is_laid_on_with_its_colours(self, tmp_path: Path) -> None:
        logo = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
        ImageDraw.Draw(logo).rectangle((5, 5, 14, 14), fill=(255, 0, 0, 255))
        logo.save(tmp_path / "logo.png")
        part = Watermark(picture=str(tmp_path / "logo.png"), scale=0.5, opacity=1.0)
        marked = corrupt(torch.full((5, 3, 40, 40), 0.5), part, seeded(), (0, 1))
        red = (marked - torch.tensor([1.0, 0, 0]).view(3, 1, 1)).abs().amax(1) < 0.05
        assert all(60 < int(each.sum()) < 140 for each in red)
        grey = corrupt(torch.full((2, 1, 40, 40), 0.5), part, seeded(), (0, 1))
        assert float(grey.min()) == pytest.approx(1 / 3, abs=0.03)

    def test_grey_is_brightness(self) -> None:
        x = torch.rand(4, 3, 8, 8)
        grey = corrupt(x, Grayscale(), seeded(), None)
        expected = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
        assert torch.allclose(grey[:, 0], expected)
        assert torch.equal(
            corrupt(x, Grayscale(channels=3), seeded(), None), grey.repeat(1, 3, 1, 1)
        )

    def test_blur_keeps_the_mean_and_spreads_a_point_as_told(self) -> None:
        point = torch.zeros(1, 1, 41, 41)
        point[..., 20, 20] = 1
        spread = corrupt(point, Blur(std=2.5), seeded(), None)[0, 0]
        places = torch.arange(41) - 20.0
        assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
        assert float((spread.sum(0) * places**2).sum()) == pytest.approx(2.5**2, rel=0.03)
        flat = torch.full((2, 1, 9, 9), 0.7)
        assert torch.allclose(corrupt(flat, Blur(), seeded(), None), flat)
        x = torch.rand(2, 1, 9, 9)
        assert torch.allclose(corrupt(x, Blur(std=0), seeded(), None), x)

    @pytest.mark.parametrize("size", [(8, 8), (9, 11)])
    def test_downsampling_leaves_one_value_a_square(self, size: tuple[int, int]) -> None:
        x = torch.rand(3, 2, *size)
        small = corrupt(x, Downsample(factor=4, enlarge="nearest"), seeded(), (0, 1))
        assert small.shape == x.shape
        assert torch.allclose(small[..., :4, :4].amax((2, 3)), x[..., :4, :4].mean((2, 3)))
        assert torch.equal(small[..., :4, :4].amin((2, 3)), small[..., :4, :4].amax((2, 3)))

    @pytest.mark.parametrize(
        ("call", "told"),
        [
            (lambda: Erase(share=1.5), "share must be a number from 0 to 1, or the lowest"),
            (lambda: Erase(share=(0.5, 0.1)), "share"),
            (lambda: Erase(shape="stars"), "'boxes' or 'strokes'"),  # type: ignore[arg-type]
            (lambda: Watermark(text="  "), "text"),
            (lambda: Watermark(opacity=2), "opacity"),
            (lambda: Blur(std=(1, 2, 3)), "std"),  # type: ignore[arg-type]
            (lambda: Grayscale(channels=2), "1 or 3"),  # type: ignore[arg-type]
            (lambda: Downsample(factor=0), "factor"),
        ],
    )
    def test_what_cannot_be_is_told(self, call: Any, told: str) -> None:
        with pytest.raises(ParameterError, match=told):
            call()

    def test_a_mask_cannot_be_spoilt_by_what_follows(self) -> None:
        ae = Autoencoder(corruption=[Erase(mask_channel=True), GaussianNoise()])
        with pytest.raises(ParameterError, match="must come last"):
            ae.fit(discs(20))

    def test_rows_and_greys_are_refused_in_a_sentence(self) -> None:
        with pytest.raises(ParameterError, match="Erase works on pictures"):
            Autoencoder(corruption="erase").fit(np.zeros((9, 3)))
        with pytest.raises(ParameterError, match="Grayscale takes the colours away"):
            Autoencoder(corruption="grayscale").fit(discs(9)[..., 0])


def built(network: Conv, before: tuple[int, ...], after: tuple[int, ...]) -> NetworkModule:
    return network.build(
        Space.of_shape(before),
        Space.of_shape(after),
        None,
        per_code=1,
        per_value=1,
        generator=seeded(),
    )


class TestSkips:
    """Skip connections and residuals: what they are made of, what they forbid."""

    @pytest.mark.parametrize("down", ["stride", "pool"])
    @pytest.mark.parametrize("up", ["transpose", "upsample"])
    @pytest.mark.parametrize("code", ["vector", "spatial"])
    def test_any_size_and_any_channels(self, down: Any, up: Any, code: Any) -> None:
        network = Conv(channels=(3, 4), down=down, up=up, code=code, skips=True, residual=True)
        for before, after in ((1, 1), (2, 3), (4, 3)):
            pair = built(network, (before, 13, 10), (after, 13, 10))
            h, context = pair.encode(torch.rand(2, before, 13, 10))
            assert pair.decode(h, context).shape == (2, after, 13, 10)

    def test_parameters_are_those_of_the_layers(self) -> None:
        network = Conv(channels=(4, 6), down="pool", code="spatial", skips=True)
        pair = built(network, (2, 16, 16), (3, 16, 16))
        sizes = [
            (2 * 4, 4), (4 * 6, 6),  # encoder
            (6 * 6, 6), (12 * 6, 6),  # double, join with the second stage's map
            (6 * 4, 4), (8 * 4, 4),  # double, join with the first stage's
            (4 * 3, 3),
        ]  # fmt: skip
        count = sum(p.numel() for half in (pair.encoder, pair.decoder) for p in half.parameters())
        assert count == sum(9 * weights + biases for weights, biases in sizes)

    def test_what_the_code_loses_gets_through(self) -> None:
        X = np.random.default_rng(0).integers(0, 256, (100, 8, 8), np.uint8)
        errors = [
            Autoencoder(2, network=Conv(channels=(8,), down="pool", skips=skips), epochs=12,
                        learning_rate=0.01, random_state=0).fit(X).reconstruction_error(X).mean()
            for skips in (False, True)
        ]  # fmt: skip
        assert errors[1] < 0.7 * errors[0]

    def test_a_residual_starts_at_its_input(self) -> None:
        X = discs(20)
        given = corrupt_bytes(X, GaussianNoise(std=0.1))
        ae = restorer(X, epochs=0, corruption=GaussianNoise(std=0.1))
        np.testing.assert_array_equal(ae.reconstruct(given), given)
        logits = restorer(X, epochs=0, loss="bernoulli")
        np.testing.assert_allclose(logits.reconstruct(X), X, atol=3)

    @pytest.mark.parametrize("loss", ["squared", "absolute", "bernoulli", "gaussian"])
    def test_a_residual_goes_with_every_loss(self, loss: str) -> None:
        X = discs(100)[..., 1]
        noisy = corrupt_bytes(X, GaussianNoise(std=0.3))
        ae = restorer(X, corruption=GaussianNoise(std=0.3), loss=loss)
        assert psnr(X, ae.reconstruct(noisy), 255).mean() > psnr(X, noisy, 255).mean() + 2

    @pytest.mark.parametrize("network", [UNET, Conv(channels=(8,), residual=True)])
    def test_a_code_alone_is_not_decoded(self, network: Conv) -> None:
        X = discs(30)
        ae = restorer(X, network, epochs=1)
        codes = ae.transform(X)
        assert codes.shape == (30, ae.latent_dim_)
        for call in (lambda: ae.inverse_transform(codes), lambda: ae.sample(3)):
            with pytest.raises(ParameterError, match=r"use reconstruct\(X\)"):
                call()

    def test_what_does_not_go_together_is_refused(self) -> None:
        X = discs(20)
        for alone in ("gaussian", "rounded"):
            with pytest.raises(ParameterError, match=f"bottleneck='{alone}'"):
                Autoencoder(network=UNET, bottleneck=alone).fit(X)
        tanh = Conv(residual=True, output_activation="tanh")
        with pytest.raises(ParameterError, match="cannot be undone, which residual=True needs"):
            Autoencoder(network=tanh).fit(X)
        with pytest.raises(ParameterError, match="'crop' with skips=True"):
            Conv(skips=True, up="upsample", trim="valid")

    @pytest.mark.parametrize("bottleneck", ["sparse", "contractive"])
    def test_other_bottlenecks_go_with_skips(self, bottleneck: str) -> None:
        ae = restorer(discs(40), bottleneck=bottleneck, epochs=1)
        assert np.isfinite(ae.history_[-1]["total"])

    def test_it_is_saved_and_exported_whole(self, filler: Autoencoder, tmp_path: Path) -> None:
        X = discs(5, seed=1)[..., 1]
        mask = np.zeros(X.shape, bool)
        mask[:, 3:9, 3:9] = True
        filler.save(tmp_path / "m.safetensors")
        same = Autoencoder.load(tmp_path / "m.safetensors")
        np.testing.assert_array_equal(same.reconstruct(X, mask), filler.reconstruct(X, mask))
        np.testing.assert_array_equal(same.transform(X), filler.transform(X))
        (path,) = filler.export_onnx(tmp_path)
        assert path.name == "restorer.onnx"
        told = np.stack([X, mask], axis=-1).astype(np.float32)
        (output,) = onnxruntime.InferenceSession(path).run(None, {"input": told})
        np.testing.assert_allclose(output.clip(0, 255), filler.reconstruct(X, mask), atol=0.51)


def corrupt_bytes(X: Bytes, *parts: Any) -> Bytes:
    """Return pictures corrupted as bytes."""
    x = torch.from_numpy(X).float() / 255
    x = x[:, None] if x.dim() == 3 else x.movedim(3, 1)
    y = (corrupt(x, parts, seeded(1), (0.0, 1.0)) * 255).round().byte().movedim(1, 3).numpy()
    return np.ascontiguousarray(y[..., 0] if X.ndim == 3 or y.shape[3] == 1 else y)


class TestRestorers:
    """Trained on clean pictures, or on pairs; an untrained model fails each of these."""

    @pytest.mark.parametrize(
        ("corruption", "gain"),
        [
            (GaussianNoise(std=0.2), 4),
            (Watermark(text="X", opacity=0.7), 6),
            (Blur(std=1.0), 1),
            (Downsample(factor=2), 1),
        ],
    )
    def test_what_is_damaged_is_restored(self, corruption: Any, gain: float) -> None:
        X, clean = discs(200), discs(40, seed=1)
        damaged = corrupt_bytes(clean, corruption)
        restored = restorer(X, corruption=corruption).reconstruct(damaged)
        assert restored.dtype == np.uint8
        assert psnr(clean, restored, 255).mean() > psnr(clean, damaged, 255).mean() + gain

    def test_what_is_missing_is_filled_in_and_the_rest_left_alone(
        self, filler: Autoencoder
    ) -> None:
        clean = discs(40, seed=1)[..., 1]
        mask = np.zeros(clean.shape, bool)
        mask[:, 4:10, 4:10] = True
        damaged = np.where(mask, 77, clean).astype(np.uint8)
        filled = filler.reconstruct(damaged, mask)
        np.testing.assert_array_equal(filled[~mask], clean[~mask])
        np.testing.assert_array_equal(filled, filler.reconstruct(clean, mask))
        assert psnr(clean, filled, 255).mean() > psnr(clean, np.where(mask, 60, clean), 255).mean()
        np.testing.assert_array_equal(filler.reconstruct(clean), clean)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_grey_pictures_are_coloured(self, channels: Any) -> None:
        X, clean = discs(200), discs(30, seed=1)
        ae = restorer(X, corruption=Grayscale(channels=channels), epochs=12)
        grey = corrupt_bytes(clean, Grayscale())
        assert grey.shape == (30, 16, 16)
        coloured = ae.reconstruct(grey)
        repeated = np.repeat(grey[..., None], 3, axis=3)
        assert coloured.shape == clean.shape
        assert psnr(clean, coloured, 255).mean() > psnr(clean, repeated, 255).mean() + 6
        near = ae.reconstruct(clean).astype(int) - coloured
        assert np.abs(near).max() <= 12
        assert np.isfinite(ae.score(clean))
        assert ae.transform(grey).shape == (30, ae.latent_dim_)

    @pytest.mark.parametrize("network", [UNET, RESIDUAL, "dense"])
    @pytest.mark.filterwarnings("ignore:.* units of the layer")
    def test_pairs_may_differ_in_channels(self, network: Any) -> None:
        X, clean = discs(150), discs(30, seed=1)
        grey = corrupt_bytes(X, Grayscale())
        ae = Autoencoder(16, network=network, epochs=15, learning_rate=0.005, random_state=0)
        if network != "dense":
            ae.set_params(latent_dim="auto")
        ae.fit(grey, target=X)
        coloured = ae.reconstruct(corrupt_bytes(clean, Grayscale()))
        constant = np.broadcast_to(X.mean(axis=0), clean.shape)
        assert coloured.shape == clean.shape
        assert psnr(clean, coloured, 255).mean() > psnr(clean, constant, 255).mean()

    def test_masks_that_do_not_fit_are_told(self, filler: Autoencoder) -> None:
        X = discs(5)[..., 1]
        with pytest.raises(DataError, match="goes with X pixel by pixel"):
            filler.reconstruct(X, np.zeros((5, 8, 8)))
        plain = restorer(X, epochs=0)
        with pytest.raises(ParameterError, match="fit it with corruption='erase'"):
            plain.reconstruct(X, np.zeros(X.shape))

    def test_erasing_without_a_channel_takes_a_mask_too(self) -> None:
        X = discs(50)[..., 1]
        ae = restorer(X, UNET, epochs=1, corruption=Erase())
        mask = np.zeros(X.shape)
        mask[:, :6] = 1
        erased = np.where(mask, 0, X).astype(np.uint8)
        np.testing.assert_array_equal(ae.reconstruct(X, mask), ae.reconstruct(erased))


@pytest.mark.parametrize("corruption", [Erase(mask_channel=True), Grayscale(), Watermark()])
def test_figures_show_the_damage(corruption: Any) -> None:
    X = discs(12)
    ae = restorer(X, epochs=0, corruption=corruption)
    seen, mask = corrupted(ae, X)
    assert seen.shape == X.shape
    assert not np.array_equal(seen, X)
    assert (mask is not None) == isinstance(corruption, Erase)
    if mask is not None:
        np.testing.assert_array_equal(np.where(mask[..., None], 0, X), seen)
    rows = figures.reconstructions(ae, X, 3)
    assert rows.axes


class TestTiles:
    @given(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(4, 12), st.integers(4, 12)),
        st.floats(0, 0.9),
    )
    def test_what_is_cut_is_put_together_again(
        self, size: tuple[int, int], tile: tuple[int, int], overlap: float
    ) -> None:
        picture = np.random.default_rng(0).random((*size, 2), np.float32)
        places = tile_corners(size, tile, overlap)
        tiles = cut(picture, places, tile)
        assert tiles.shape == (len(places), *tile, 2)
        whole = blend(np.moveaxis(tiles, 3, 1), places, size, overlap)
        np.testing.assert_allclose(np.moveaxis(whole, 0, 2), picture, atol=1e-6)

    def test_seams_are_smooth(self) -> None:
        places = tile_corners((8, 24), (8, 16), 0.5)
        tiles = np.stack([np.full((1, 8, 16), value, np.float32) for value in (0, 1)])
        line = blend(tiles, places, (8, 24), 0.5)[0, 4]
        assert line[0] == 0
        assert line[-1] == 1
        assert np.abs(np.diff(line)).max() < 0.25
        assert (np.diff(line) >= 0).all()

    def test_weights_are_positive(self) -> None:
        assert all((raised_cosine(n, o) > 0).all() for n in (1, 4, 9) for o in (0, 0.3, 0.9))

    def test_a_picture_of_the_fits_size_is_reconstructed_as_it_is(
        self, filler: Autoencoder
    ) -> None:
        X = discs(3, seed=2)[..., 1]
        mask = np.zeros(X.shape, bool)
        mask[:, :, 5:9] = True
        for picture, missing, wanted in zip(X, mask, filler.reconstruct(X, mask), strict=True):
            np.testing.assert_array_equal(restore(filler, picture, missing), wanted)

    @pytest.mark.parametrize("size", [(50, 37), (16, 40), (9, 12), (7, 30)])
    def test_pictures_of_any_size_are_restored(self, size: tuple[int, int]) -> None:
        ae = denoiser()
        clean = discs(6, size, seed=3)[..., 1]
        noisy = corrupt_bytes(clean, GaussianNoise(std=0.2))
        restored = np.stack([restore(ae, picture) for picture in noisy])
        assert restored.shape == clean.shape
        assert restored.dtype == np.uint8
        assert psnr(clean, restored, 255).mean() > psnr(clean, noisy, 255).mean() + 2.5

    def test_colours_go_through_a_model_of_greys_one_by_one(self) -> None:
        noisy = corrupt_bytes(discs(1, (20, 20)), GaussianNoise(std=0.2))[0]
        restored = restore(denoiser(), noisy)
        apart = [restore(denoiser(), noisy[..., c]) for c in range(3)]
        np.testing.assert_array_equal(restored, np.stack(apart, axis=-1))

    def test_greys_go_through_a_model_of_colours(self) -> None:
        X = discs(40)
        ae = restorer(X, epochs=1, corruption=GaussianNoise())
        assert restore(ae, X[0, ..., 0]).shape == (16, 16)
        colourer = restorer(X, epochs=1, corruption=Grayscale())
        assert restore(colourer, np.zeros((20, 30), np.uint8)).shape == (20, 30, 3)

    def test_what_is_no_picture_is_told(self) -> None:
        ae = denoiser()
        with pytest.raises(DataError, match="a picture is"):
            restore(ae, np.zeros(5))
        with pytest.raises(DataError, match="the mask has shape"):
            restore(ae, np.zeros((5, 5), np.uint8), np.zeros((4, 4)))
        with pytest.raises(ParameterError, match="overlap"):
            restore(ae, np.zeros((5, 5), np.uint8), overlap=1.0)
        rows = Autoencoder(2, epochs=1).fit(np.random.default_rng(0).random((20, 4)))
        with pytest.raises(ParameterError, match="not on pictures"):
            restore(rows, np.zeros((5, 5)))
        colours = restorer(discs(10), epochs=0)
        with pytest.raises(DataError, match="has 2 channels"):
            restore(colours, np.zeros((20, 20, 2), np.uint8))


DENOISERS: list[Autoencoder] = []


def denoiser() -> Autoencoder:
    """Return a model of grey discs that takes noise away, fitted once."""
    if not DENOISERS:
        DENOISERS.append(restorer(discs(200)[..., 1], corruption=GaussianNoise(std=0.2)))
    return DENOISERS[0]


def pixels(path: Path) -> Any:
    """Return a picture's values."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


class TestCommand:
    def test_a_folder_of_all_sizes_comes_back_under_the_same_names(self, tmp_path: Path) -> None:
        model = tmp_path / "m.safetensors"
        denoiser().save(model)
        sizes = {"a.png": (40, 23), "deep/b.jpg": (10, 12), "c.bmp": (16, 16), "d.png": (21, 20)}
        wanted = {}
        for name, size in sizes.items():
            clean = discs(1, size, seed=4)
            clean = clean[0] if name == "d.png" else clean[0, ..., 1]
            noisy = corrupt_bytes(clean[None], GaussianNoise(std=0.2))[0]
            path = tmp_path / "noisy" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy).save(path, quality=100)
            wanted[name] = clean
        done = run("reconstruct", tmp_path / "noisy", "-m", model, "-o", tmp_path / "out")
        assert done.exit_code == 0, done.stderr
        assert done.stderr.endswith("4 pictures → " + str(tmp_path / "out") + "\n")
        written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
        assert sorted(str(p.relative_to(tmp_path / "out")) for p in written) == sorted(sizes)
        for name, clean in wanted.items():
            with Image.open(tmp_path / "noisy" / name) as given:
                before, kind = np.asarray(given), given.format
            with Image.open(tmp_path / "out" / name) as written_:
                after = np.asarray(written_)
                assert written_.format == kind
            assert after.shape == clean.shape
            assert psnr(clean[None], after[None], 255) > psnr(clean[None], before[None], 255) + 2

    def test_what_is_transparent_or_masked_is_filled_in(
        self, filler: Autoencoder, tmp_path: Path
    ) -> None:
        model, folder = tmp_path / "m.safetensors", tmp_path / "torn"
        filler.save(model)
        folder.mkdir()
        clean = discs(1, (20, 24), seed=5)[0, ..., 1]
        mask = np.zeros(clean.shape, np.uint8)
        mask[6:11, 6:11] = 255
        Image.fromarray(np.stack([clean, 255 - mask], -1), "LA").save(folder / "p.png")
        expected = restore(filler, clean, mask)
        assert run("reconstruct", folder, "-m", model, "-o", tmp_path / "out").exit_code == 0
        found = pixels(tmp_path / "out" / "p.png")
        np.testing.assert_array_equal(found[mask == 0], expected[mask == 0])
        Image.fromarray(clean).save(folder / "p.png")
        Image.fromarray(mask).save(tmp_path / "mask.png")
        args = ("reconstruct", folder, "-m", model, "-o", tmp_path / "out")
        assert run(*args, "--mask", tmp_path / "mask.png").exit_code == 0
        found = pixels(tmp_path / "out" / "p.png")
        np.testing.assert_array_equal(found, expected)
        missing = run(*args, "--mask", tmp_path / "none.png")
        assert missing.exit_code == 2
        assert "no such mask" in missing.stderr

    def test_masks_of_arrays(self, filler: Autoencoder, tmp_path: Path) -> None:
        X = discs(4)[..., 1]
        mask = np.zeros(X.shape, np.uint8)
        mask[:, 2:5] = 1
        filler.save(tmp_path / "m.safetensors")
        np.save(tmp_path / "X.npy", X)
        np.save(tmp_path / "mask.npy", mask)
        done = run("reconstruct", tmp_path / "X.npy", "-m", tmp_path / "m.safetensors",
                   "-o", tmp_path / "out.npy", "--mask", tmp_path / "mask.npy")  # fmt: skip
        assert done.exit_code == 0, done.stderr
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), filler.reconstruct(X, mask))


def test_digits_are_restored_better_by_skips_than_by_the_code_alone() -> None:
    """What is measured on MNIST in docs/results, in small."""
    digits = datasets.load("digits")
    X, clean = digits.X[:700], digits.X_test[:100]
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 3, clean.shape), 0, 16)
    noisy = noisy.astype(np.float32)
    keywords = {"epochs": 8, "learning_rate": 0.005, "corruption": GaussianNoise(std=3 / 16)}
    found = [
        psnr(clean, Autoencoder(network=network, random_state=0, **keywords)  # type: ignore[arg-type]
             .fit(X).reconstruct(noisy), 16).mean()
        for network in (Conv(channels=(8, 16)), RESIDUAL)
    ]  # fmt: skip
    assert found[1] > max(found[0], psnr(clean, noisy, 16).mean() + 2)
