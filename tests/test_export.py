"""What is exported gives what torch gives, or is not left."""

from __future__ import annotations

import errno
import importlib.util
import math
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from latente import Autoencoder, FileError, MissingExtra, datasets, export
from latente.bottlenecks.rounded import Rounded
from latente.data.preparation import Preparation
from latente.export import RawDecoder, RawEncoder, export_modules
from latente.families import FAMILIES
from latente.model import Decoder, Encoder


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


# Every network, bottleneck and loss

NETWORK = {"dense": "dense(hidden=(6,))", "conv": "conv(channels=(3,))"}
NETWORK |= {"recurrent": "recurrent(hidden=3)"}
LOSS = {"categorical": "categorical(levels=4)", "gaussian": "gaussian(scale=value)"}
"""Small networks, and losses that give several numbers for each value of a picture."""
CODE = 4
STEPS = 2
GREY = datasets.load("digits").X[:40]


def able(loss: str) -> list[str]:
    """Return the networks that can be trained by a loss: some compare pictures alone."""
    pictures_alone = loss in ("colours", "structural")
    return [name for name in FAMILIES["network"] if not (pictures_alone and name == "recurrent")]


def combinations(network: str) -> list[tuple[str, str]]:
    """Return bottlenecks and losses to try with a network.

    All networks together meet each pair of a network and a bottleneck, of a network and a loss,
    and of a bottleneck and a loss. A loss has no part in the encoder.
    """
    return [
        (bottleneck, loss)
        for i, bottleneck in enumerate(FAMILIES["bottleneck"])
        for j, loss in enumerate(FAMILIES["loss"])
        if able(loss)[(i + j) % len(able(loss))] == network
    ]


def test_every_pair_of_parts_is_tried() -> None:
    tried = {(n, b, v) for n in FAMILIES["network"] for b, v in combinations(n)}
    names = ("network", "bottleneck", "loss")
    for one, two in ((0, 1), (0, 2), (1, 2)):
        every = {(a, b) for a in FAMILIES[names[one]] for b in FAMILIES[names[two]]}
        if (one, two) == (0, 2):
            every = {(network, loss) for network, loss in every if network in able(loss)}
        assert {(parts[one], parts[two]) for parts in tried} == every


class SideBySide(nn.Module):
    """Several modules as one, whose outputs lie side by side: an export costs more than a module.

    ::

        input (n, ...) ──▶ each ──flatten──▶ (n, all outputs)      or, with a width, each sees its
                                                                   own numbers of the input
    """

    def __init__(self, modules: list[nn.Module], width: int | None = None) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inputs = [x] * len(self.each) if self.width is None else x.split(self.width, 1)
        pairs = zip(self.each, inputs, strict=True)
        return torch.cat([module(part).flatten(1) for module, part in pairs], 1)


@pytest.mark.parametrize("network", FAMILIES["network"])
def test_networks_with_every_bottleneck_and_loss(network: str, tmp_path: Path) -> None:
    chosen = combinations(network)
    X = GREY[:, :STEPS] if network == "recurrent" else GREY  # an exporter unrolls the steps
    models = {}
    for bottleneck, loss in chosen:
        parts = {"network": NETWORK.get(network, network), "loss": LOSS.get(loss, loss)}
        keywords = {**parts, "bottleneck": bottleneck, "scaling": "minmax", "device": "cpu"}
        ae = Autoencoder(CODE, epochs=0, random_state=0, **keywords)
        target = np.stack([X] * 3, -1) if loss == "colours" else None
        models[bottleneck, loss] = ae.fit(X, target=target).fitted_
    once = list({bottleneck: (bottleneck, loss) for bottleneck, loss in chosen}.values())
    examples = torch.from_numpy(X).float()
    codes = [RawEncoder(Encoder(models[n].model), models[n].input, masked=False) for n in once]
    encoders = SideBySide(codes).eval()
    halves = [(Decoder(m.model), m.target, m.code_shape) for m in models.values()]
    raw = [RawDecoder(*half) for half in halves]
    decoders = SideBySide(raw, CODE).eval()
    sizes = {"e": [CODE] * len(once), "d": [math.prod(each.shape) for each in raw]}
    with torch.no_grad():
        each = encoders(examples).split(CODE, 1)
    of = dict(zip([bottleneck for bottleneck, _ in once], each, strict=True))
    z = torch.cat([of[bottleneck] for bottleneck, _ in chosen], 1)
    for module, x, names, file in ((encoders, examples, once, "e"), (decoders, z, chosen, "d")):
        path = tmp_path / f"{file}.onnx"
        export._write(module, x, path, ("input", "output"))
        run = onnxruntime.InferenceSession(path)
        for n in (1, 7):
            with torch.no_grad():
                expected = module(x[:n]).split(sizes[file], 1)
            (output,) = run.run(None, {"input": x[:n].numpy()})
            found = np.split(output, np.cumsum(sizes[file])[:-1], 1)
            for name, one, other in zip(names, expected, found, strict=True):
                np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4, err_msg=str(name))
        versions = {each.domain: each.version for each in onnx.load(path).opset_import}
        assert versions[""] == export.OPSET
        assert os.path.dirname(torch.__file__).encode() not in path.read_bytes()


@pytest.mark.parametrize("bottleneck", [Rounded(step=1.0), Rounded(step=0.25), Rounded(step=0.1)])
def test_ties_are_rounded_as_in_torch(bottleneck: Rounded, tmp_path: Path) -> None:
    """Half a step goes to the even number, on both sides, up to the largest number of a code."""
    module = bottleneck.build((8,), (8,), torch.Generator()).eval()
    numbers = [0, 1, 2, 3, 4, 99, 1000, 32_766, 32_767, 40_000]
    halves = torch.tensor(numbers, dtype=torch.float32) + 0.5
    h = torch.cat([halves, -halves, halves.nextafter(halves * 2), halves.nextafter(halves * 0)])
    h = (h * module.step).repeat(8)[: 8 * (len(h))].view(-1, 8)
    encoder, decoder = Call(module, "code"), Call(module, "nearest")
    paths = export_modules(encoder, decoder, h, tmp_path)
    for path, expected in zip(paths, (module.code(h), module.nearest(h)), strict=True):
        run = onnxruntime.InferenceSession(path)
        for rows in (h[:1], h[:7], h):
            (found,) = run.run(None, {run.get_inputs()[0].name: rows.numpy()})
            assert np.array_equal(found, expected[: len(rows)].numpy())
    if bottleneck.step == 1:
        assert module.code(
            torch.tensor([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.5, 1e9]])
        ).tolist() == [[0, 2, 2, 0, -2, -2, 4, 32_767]]


class Call(nn.Module):
    """One method of a module."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()
        self.module, self.name = module, name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self.module, self.name)(x)  # type: ignore[no-any-return]
