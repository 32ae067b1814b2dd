"""What is exported gives what torch gives, or is not left."""

from __future__ import annotations

import errno
import importlib.util
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from latente import FileError, MissingExtra, export
from latente.data.preparation import Preparation
from latente.export import RawDecoder, RawEncoder, export_modules


def networks() -> tuple[nn.Module, nn.Module]:
    """Return an encoder and a decoder with layers that training and evaluation tell apart."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(),
        nn.Linear(4 * 3 * 4, 2),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(2, 4 * 3 * 4), nn.Unflatten(1, (4, 3, 4)), nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(4, 1, (2, 1), 1, (1, 0)), nn.Sigmoid(),
    )  # fmt: skip
    encoder(torch.randn(8, 1, 5, 7))
    return encoder, decoder


class Straight(nn.Module):
    """A module that is quickly exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


def test_networks_for_pictures_any_number_of_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoder, decoder = networks()
    before = torch.get_rng_state()
    weights = {name: value.clone() for name, value in encoder.state_dict().items()}
    examples = torch.rand(10, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    folder = tmp_path / "deep" / "onnx"
    paths = export_modules(encoder, decoder, examples, folder)
    assert capfd.readouterr() == ("", "")
    assert paths == (folder / "encoder.onnx", folder / "decoder.onnx")
    assert sorted(os.listdir(folder)) == ["decoder.onnx", "encoder.onnx"]
    assert torch.equal(torch.get_rng_state(), before)
    assert encoder.training
    assert all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())

    encoder.eval()
    decoder.eval()
    run_encoder, run_decoder = (onnxruntime.InferenceSession(path) for path in paths)
    assert [i.name for i in run_encoder.get_inputs()] == ["input"]
    assert [o.name for o in run_decoder.get_outputs()] == ["output"]
    assert run_decoder.get_inputs()[0].name == run_encoder.get_outputs()[0].name == "code"
    for n in (1, 3, 50):
        x = torch.rand(n, 1, 5, 7)
        with torch.no_grad():
            z = encoder(x)
            y = decoder(z)
        (code,) = run_encoder.run(None, {"input": x.numpy()})
        (output,) = run_decoder.run(None, {"code": code})
        np.testing.assert_allclose(code, z, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(output, y, rtol=1e-4, atol=1e-5)
    for path in paths:
        onnx.checker.check_model(str(path), full_check=True)
        assert os.path.dirname(torch.__file__).encode() not in path.read_bytes()


def test_scaling_goes_with_the_networks(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal([5, -300], [2, 100], (50, 2)).astype(np.float32)
    preparation, _ = Preparation.learn(rows, scaling="standard", name="X")
    encoder = RawEncoder(Straight(), preparation, masked=False)
    decoder = RawDecoder(Straight(), preparation, (2,))
    paths = export_modules(encoder, decoder, export._examples(preparation), tmp_path)
    (code,) = onnxruntime.InferenceSession(paths[0]).run(None, {"input": rows})
    scaled = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(code, 2 * scaled, rtol=1e-3, atol=1e-4)
    (output,) = onnxruntime.InferenceSession(paths[1]).run(None, {"code": code})
    np.testing.assert_allclose(output, 4 * scaled * rows.std(0) + rows.mean(0), rtol=1e-3)


@pytest.mark.parametrize("shape", [(6,), (4, 5), (4, 5, 3)])
def test_samples_have_the_shape_in_which_they_were_given(shape: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).integers(0, 256, (9, *shape), np.uint8)
    preparation, _ = Preparation.learn(X, scaling="auto", name="X")
    encoder = RawEncoder(Straight(), preparation, masked=False)
    decoder = RawDecoder(nn.Identity(), preparation, preparation.shape)
    z = encoder(torch.from_numpy(X).float())
    assert z.shape == (9, np.prod(shape))
    np.testing.assert_allclose(z.numpy(), 2 * preparation.convert(torch.from_numpy(X)).flatten(1))
    np.testing.assert_allclose(decoder(z / 2).numpy(), X, atol=1e-3)
    examples = export._examples(preparation)
    assert examples.shape[1:] == shape
    assert 0 <= examples.min() < 50 < 200 < examples.max() <= 255


class Chancy(nn.Module):
    """Never twice the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Undecided(nn.Module):
    """Takes one way or the other, as the data are: not to be exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Chancy(), r"encoder\.onnx is not left: it differs from torch by up to 0\.\d+ where"),
        (Undecided(), "the encoder cannot be written as ONNX: "),
    ],
)
def test_what_cannot_be_right_is_not_left(
    tmp_path: Path, encoder: nn.Module, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "encoder.onnx").write_text("old")
    with pytest.raises(FileError, match=message) as error:
        export_modules(encoder, Straight(), torch.rand(5, 3), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ["encoder.onnx"]
    assert (tmp_path / "encoder.onnx").read_text() == "old"


def test_a_decoder_that_differs_takes_the_encoder_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([(0.0, 1.0), (float("nan"), 1.0)])
    monkeypatch.setattr(export, "_difference", lambda *_: next(found))
    monkeypatch.setattr(export, "_program", lambda *_: Saved())
    with pytest.raises(FileError, match=r"decoder\.onnx is not left: it differs .* up to nan"):
        export_modules(Straight(), Straight(), torch.rand(5, 3), tmp_path / "out")
    assert os.listdir(tmp_path) == []


class Saved:
    """A program that saves next to nothing."""

    def save(self, path: Path, external_data: bool) -> None:
        path.write_text(f"external_data={external_data}")


class Full(Saved):
    """A program for which the disk is full."""

    def save(self, path: Path, external_data: bool) -> None:
        super().save(path, external_data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_program", lambda *_: Full())
    with pytest.raises(FileError, match=r"cannot write .*out: No space left on device"):
        export_modules(Straight(), Straight(), torch.rand(5, 3), tmp_path / "out")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="it is no folder"):
        export_modules(Straight(), Straight(), torch.rand(5, 3), tmp_path / "file")


def test_weights_beyond_two_gigabytes_go_to_a_file_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_program", lambda *_: Saved())
    monkeypatch.setattr(export, "_difference", lambda *_: (0.0, 1.0))
    export_modules(nn.Linear(3, 2), nn.Linear(2, 3), torch.rand(5, 3), tmp_path)
    assert (tmp_path / "encoder.onnx").read_text() == "external_data=False"
    monkeypatch.setattr(export, "LARGEST_FILE", 35)
    export_modules(nn.Linear(3, 2), nn.Linear(2, 3), torch.rand(5, 3), tmp_path)
    assert (tmp_path / "encoder.onnx").read_text() == "external_data=False"
    assert (tmp_path / "decoder.onnx").read_text() == "external_data=True"


@pytest.mark.parametrize("library", export.LIBRARIES)
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == library else real(name))
    with pytest.raises(MissingExtra, match=rf"needs {library}.*pip install 'latente\[onnx\]'"):
        export_modules(Straight(), Straight(), torch.rand(5, 3), tmp_path / "out")
    assert os.listdir(tmp_path) == []
