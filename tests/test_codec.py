"""The codec: few bytes, the same pictures again, and never a wrong one."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from latente import (
    Autoencoder,
    Codec,
    Conv,
    DataError,
    Dense,
    FileError,
    MissingExtra,
    ParameterError,
    Rounded,
    datasets,
)
from latente.bottlenecks.base import BottleneckModule
from latente.bottlenecks.frequencies import Frequencies
from latente.cli.main import app
from latente.codec.archive import pack, unpack
from latente.codec.codec import requantised
from latente.codec.coder import RangeReader
from latente.errors import printable

pytest.importorskip("constriction")

SHAPES = datasets.load("shapes", n=600)
X, HELD = SHAPES.X, SHAPES.X_test[:40]


def fitted(**keywords: Any) -> Autoencoder:
    given: dict[str, Any] = {
        "latent_dim": 16,
        "network": Dense(hidden=(64,)),
        "bottleneck": Rounded(weight=0.05, step=0.3),
        "epochs": 12,
        "learning_rate": 0.005,
        "batch_size": 32,
        "device": "cpu",
        "random_state": 0,
    }
    return Autoencoder(**(given | keywords)).fit(X)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return fitted()


@pytest.fixture(scope="module")
def codec(model: Autoencoder) -> Codec:
    return Codec(model)


def error(pictures: Any) -> float:
    return float(np.square(pictures.astype(float) - HELD).mean())


def test_a_code_takes_few_bytes_and_looks_like_the_picture(codec: Codec) -> None:
    data = codec.compress(HELD)
    found = codec.decompress(data)
    assert len(data) / len(HELD) < 40
    assert found.X.shape == HELD.shape
    assert found.X.dtype == HELD.dtype
    untrained = Codec(fitted(epochs=0))
    blind = error(untrained.decompress(untrained.compress(HELD)).X)
    assert error(found.X) < 0.5 * min(blind, error(np.full_like(HELD, round(HELD.mean()))))


def test_the_archive_holds_what_transform_gives(model: Autoencoder, codec: Codec) -> None:
    found = codec.decompress(codec.compress(HELD)).X.astype(int)
    assert np.abs(found - model.reconstruct(HELD)).max() <= 1
    steps = model.transform(HELD) / model.bottleneck_.step
    assert np.abs(steps - np.rint(steps)).max() < 1e-4
    assert len(np.unique(np.rint(steps))) > 4


def test_bytes_are_what_the_prior_said(model: Autoencoder, codec: Codec) -> None:
    bottleneck = model.fitted_.model.bottleneck
    with torch.no_grad():
        z = torch.from_numpy(model.transform(HELD)).view(-1, *model.code_shape_)
        bits = float(bottleneck.code_cost(z).sum() / bottleneck.weight)  # type: ignore[operator]
    _, records = unpack(codec.compress(HELD), "x")
    taken = 8 * sum(len(payload) for _, payload in records)
    assert 0.8 * bits < taken < 1.25 * bits + 8 * len(HELD)


@pytest.mark.filterwarnings("ignore:.* units of the layer")
def test_a_heavier_weight_gives_a_smaller_file(codec: Codec) -> None:
    heavy = Codec(fitted(bottleneck=Rounded(weight=2.0, step=0.3)))
    small, large = (each.compress(HELD) for each in (heavy, codec))
    assert len(small) < 0.8 * len(large)
    assert error(heavy.decompress(small).X) > error(codec.decompress(large).X)


def test_a_saved_model_reads_what_the_first_one_wrote(
    model: Autoencoder, codec: Codec, tmp_path: Path
) -> None:
    model.save(tmp_path / "m.safetensors")
    again = Codec(Autoencoder.load(tmp_path / "m.safetensors"))
    assert again.fingerprint == codec.fingerprint
    assert again.compress(HELD) == codec.compress(HELD)
    assert np.array_equal(
        again.decompress(codec.compress(HELD)).X, codec.decompress(codec.compress(HELD)).X
    )


def test_what_has_been_written_can_be_read_for_ever() -> None:
    """A first archive, by a model of constant weights; its fingerprint is replaced by today's."""
    model = Autoencoder(
        2, network=Dense(hidden=()), bottleneck=Rounded(step=0.5), epochs=0, random_state=0
    ).fit(X[:50, :4, :4])
    for weights in model.module_.parameters():
        torch.nn.init.constant_(weights, 0.0625)
    model.fitted_.tables = Frequencies.rounded(np.zeros(2, np.int32), 1 / np.ones((2, 8)))
    codec = Codec(model)
    pictures = np.full((3, 4, 4), 100, np.uint8) * np.arange(3, dtype=np.uint8)[:, None, None]
    header, records = unpack(bytes.fromhex(FIRST), "x")
    payloads = [payload for _, payload in records]
    known = {key: header[key] for key in ("model", "probe")}
    ours = pack({**known, "fingerprint": codec.fingerprint}, payloads)
    assert np.array_equal(codec.decompress(ours).X, codec.decompress(codec.compress(pictures)).X)
    assert payloads == [payload for _, payload in unpack(codec.compress(pictures), "x")[1]]


FIRST = (
    "4c41545a02790000002e12711278da1d8d4b0ec3200c44af12b1ee864f5ce86da0b62b24072268a44a55ef5e"
    "27bbf76634f6d7706d2f1afba8ed6d1e8b61b6652d85332007c2686e8bd93a9268d90e11d57df442aac1415a"
    "138498347cf6e33ae0955bde089539cb2475e9fa629ead559b592e74f718bc057f2e6a43fa68e8e0f707acc7"
    "2a124c41545a020d0000006a83b59278da6360606064040000080003000e7f46550116cb2eaf2401786f6291"
    "484c41545a02790000002e12711278da1d8d4b0ec3200c44af12b1ee864f5ce86da0b62b24072268a44a55ef"
    "5e27bbf76634f6d7706d2f1afba8ed6d1e8b61b6652d85332007c2686e8bd93a9268d90e11d57df442aac141"
    "5a138498347cf6e33ae0955bde089539cb2475e9fa629ead559b592e74f718bc057f2e6a43fa68e8e0f707ac"
    "c72a124c41545a020d0000006a83b59278da6360606064040000080003"
)


def test_another_model_is_refused(codec: Codec) -> None:
    other = Codec(fitted(random_state=1, epochs=1))
    with pytest.raises(FileError, match="another model"):
        other.decompress(codec.compress(HELD))


def test_a_model_whose_codes_are_not_whole_is_refused(model: Autoencoder) -> None:
    plain = fitted(bottleneck="plain", epochs=1)
    with pytest.raises(ParameterError, match="rounded"):
        Codec(plain)
    with pytest.raises(ParameterError):
        requantised(plain, X, 2.0)


class Codebook(BottleneckModule):
    """Four indices for a code of sixteen numbers: what a bottleneck with a codebook offers."""

    def __init__(self) -> None:
        super().__init__((16,))
        entries = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        self.entries = torch.nn.Parameter(entries)

    def to_integers(self, z: torch.Tensor) -> torch.Tensor:
        return torch.cdist(z.reshape(-1, 4), self.entries).argmin(1).view(len(z), -1)

    def from_integers(self, k: torch.Tensor) -> torch.Tensor:
        return self.entries.detach()[k].flatten(1)

    def nearest(self, z: torch.Tensor) -> torch.Tensor:
        return self.from_integers(self.to_integers(z))

    def code(self, h: torch.Tensor) -> torch.Tensor:
        return self.nearest(h)


def test_any_bottleneck_of_whole_numbers_will_do(model: Autoencoder) -> None:
    changed = copy.deepcopy(model)
    changed.fitted_.model.bottleneck = book = Codebook()  # type: ignore[assignment]
    masses = np.random.default_rng(0).random((1, 9))
    changed.fitted_.tables = Frequencies.rounded(np.zeros(1, np.int32), masses)
    codec = Codec(changed)
    data = codec.compress(HELD)
    assert codec.numbers == 4
    assert len(data) / len(HELD) < 20
    z = changed.transform(HELD)
    assert np.array_equal(book.nearest(torch.from_numpy(z)).numpy(), z)
    back = codec.decompress(data).X.astype(int)
    assert np.abs(back - changed.inverse_transform(z).astype(int)).max() <= 1


def test_pictures_of_another_size_are_refused(codec: Codec) -> None:
    with pytest.raises(DataError, match="28 × 28"):
        codec.compress(HELD[:, :20])


@pytest.mark.parametrize("share", ["none", "space"])
def test_a_spatial_code_in_colour_comes_back(share: str) -> None:
    colours = np.stack([HELD, 255 - HELD, HELD // 2], axis=-1)[:, ::2, ::2]
    network = Conv(channels=(8, 8), code="spatial", code_channels=4)
    model = Autoencoder(
        network=network,
        bottleneck=Rounded(share=share, step=0.3),  # type: ignore[arg-type]
        epochs=3,
        random_state=0,
        device="cpu",
    ).fit(colours)
    codec = Codec(model)
    assert model.fitted_.tables is not None
    assert model.fitted_.tables.sources == {"none": model.latent_dim_, "space": 4}[share]
    back = codec.decompress(codec.compress(colours)).X
    assert np.abs(back.astype(int) - model.reconstruct(colours)).max() <= 1


def test_rows_of_a_table_are_compressed_too() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 1)) @ np.ones((1, 6)) + 5
    codec = Codec(Autoencoder(2, bottleneck="rounded", epochs=20, random_state=0).fit(rows))
    back = codec.decompress(codec.compress(rows)).X
    assert back.dtype == rows.dtype
    assert np.square(back - rows).mean() < 0.3 * rows.var()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_named_and_everything_else_is_exact(codec: Codec, data: st.DataObject) -> None:
    whole, samples = archived(codec)
    position = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        broken = whole[:position]
    else:
        broken = whole[:position] + bytes([whole[position] ^ data.draw(st.integers(1, 255))])
        broken += whole[position + 1 :]
    try:
        found = codec.decompress(broken)
    except FileError:
        return
    assert np.array_equal(found.X, samples[found.rows])
    lost = [row for stretch in found.lost for row in stretch]
    assert sorted([*lost, *found.rows.tolist()]) == list(range(len(HELD)))


ARCHIVED: list[tuple[bytes, Any]] = []


def archived(codec: Codec) -> tuple[bytes, Any]:
    if not ARCHIVED:
        data = codec.compress(HELD)
        ARCHIVED.append((data, codec.decompress(data).X))
    return ARCHIVED[0]


def test_numbers_that_no_table_has_come_back_too(model: Autoencoder, codec: Codec) -> None:
    wild = np.zeros((2, codec.numbers), np.int32)
    wild[0, 0], wild[1, -1] = 32_767, -32_767
    z = wild * np.float32(model.bottleneck_.step)
    assert np.array_equal(codec._decoded(list(wild)), model.inverse_transform(z))
    for code in wild:
        assert np.array_equal(codec.table.read(RangeReader(codec._encoded(code))), code)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def home(model: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a folder of pictures in several formats."""
    home = tmp_path_factory.mktemp("home")
    model.save(home / "m.safetensors")
    for i, name in enumerate(["a/0.png", "a/1.pgm", "b/2.bmp", "b/c/3.png", "4.jpg", "b/5.pgm"]):
        (home / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(HELD[i]).save(home / "in" / name)
    return home


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_comes_back_under_its_names(home: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.latz"
    assert run("compress", home / "in", "-m", home / "m.safetensors", "-o", packed).exit_code == 0
    result = run("decompress", packed, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "out").keys() == files(home / "in").keys()
    with Image.open(tmp_path / "out" / "a/1.pgm") as picture:
        assert picture.size == (28, 28)
    assert packed.stat().st_size < 0.5 * sum(map(len, files(home / "in").values()))


def test_what_is_damaged_is_named_and_the_rest_is_written(home: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.latz"
    run("compress", home / "in", "-m", home / "m.safetensors", "-o", packed)
    run("decompress", packed, "-o", tmp_path / "whole")
    header, records = unpack(packed.read_bytes(), "x")
    data = bytearray(packed.read_bytes())
    number, payload = list(records)[2]
    data[bytes(data).index(payload) + 3] ^= 16
    packed.write_bytes(data)
    result = run("decompress", packed, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert header["names"][number] in result.stderr
    assert "1 of 6" in result.stderr
    whole = files(tmp_path / "whole")
    del whole[header["names"][number]]
    assert files(tmp_path / "out") == whole


def test_a_data_set_goes_to_an_array(home: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.latz"
    np.save(tmp_path / "x.npy", HELD)
    run("compress", tmp_path / "x.npy", "-m", home / "m.safetensors", "-o", packed)
    result = run("decompress", packed, "-m", home / "m.safetensors", "-o", tmp_path / "y.npy")
    assert result.exit_code == 0, result.stderr
    back = np.load(tmp_path / "y.npy")
    assert (back.shape, back.dtype) == (HELD.shape, HELD.dtype)
    assert error(back) < 0.5 * error(np.full_like(HELD, round(HELD.mean())))
    again = run("decompress", packed, "-m", home / "m.safetensors", "-o", tmp_path / "out")
    assert again.exit_code == 0
    assert len(os.listdir(tmp_path / "out")) == len(HELD)


def test_a_model_that_is_gone_is_asked_for(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "gone.safetensors"
    moved.write_bytes((home / "m.safetensors").read_bytes())
    run("compress", home / "in", "-m", moved, "-o", tmp_path / "a.latz")
    moved.unlink()
    result = run("decompress", tmp_path / "a.latz", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--model" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "", "a\\..\\x.png"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    name: str, model: Autoencoder, codec: Codec, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.latz").write_bytes(codec.compress(HELD[:1], names=[name]))
    result = run(
        "decompress", tmp_path / "a.latz", "-m", home / "m.safetensors", "-o", tmp_path / "o"
    )
    assert result.exit_code == 1
    assert "outside the folder" in result.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["a\\b.png", "c:d.png", "a\x1b[2J\\b.png"])
def test_a_name_that_would_not_come_back_is_refused_at_the_start(
    name: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(HELD[0]).save(tmp_path / "in" / name)
    result = run(
        "compress", tmp_path / "in", "-m", home / "m.safetensors", "-o", tmp_path / "a.latz"
    )
    assert result.exit_code == 2
    assert printable(name) in result.stderr
    assert result.stderr[:-1].isprintable()
    assert not (tmp_path / "a.latz").exists()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a.png", "a.png"], "twice"),
        (["a.png", "a.png/b.png"], "folder"),
        (["a.exe", "b.png"], "no picture is written as .exe"),
        (["a", "b.png"], "without a suffix"),
        ([".latente-0/a.png", "b.png"], "being written"),
    ],
)
def test_names_that_cannot_be_written_are_told(
    names: list[str], told: str, codec: Codec, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.latz").write_bytes(codec.compress(HELD[:2], names=names))
    given = ("decompress", tmp_path / "a.latz", "-m", home / "m.safetensors", "-o")
    result = run(*given, tmp_path / "o")
    assert result.exit_code == 1
    assert told in result.stderr
    assert not (tmp_path / "o").exists()
    assert run(*given, tmp_path / "x.npy").exit_code == 0


def test_names_of_another_number_or_length_are_refused(codec: Codec) -> None:
    for names in (["a"], ["a", "b" * 5000]):
        with pytest.raises(ParameterError, match="names"):
            codec.compress(HELD[:2], names=names)


@pytest.mark.parametrize("link", ["a", "a/0.png"])
def test_nothing_is_written_through_a_link(link: str, home: Path, tmp_path: Path) -> None:
    packed, out, elsewhere = tmp_path / "a.latz", tmp_path / "out", tmp_path / "elsewhere"
    run("compress", home / "in", "-m", home / "m.safetensors", "-o", packed)
    elsewhere.mkdir()
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(elsewhere if link == "a" else elsewhere / "x.png")
    result = run("decompress", packed, "-o", out)
    assert result.exit_code == 1
    assert f"{out / link} is a link" in result.stderr
    assert os.listdir(elsewhere) == []
    assert list(files(out)) == []


def test_names_that_are_lost_are_told_without_control_characters(
    codec: Codec, home: Path, tmp_path: Path
) -> None:
    names = [f"\x1b[31m{i}\n\udc80.png" for i in range(2)]
    whole = codec.compress(HELD[:2], names=names)
    place = whole.index(codec._encoded(codec._integers(HELD[:1])[0]))
    (tmp_path / "a.latz").write_bytes(whole[:place] + b"\0" + whole[place + 1 :])
    result = run(
        "decompress", tmp_path / "a.latz", "-m", home / "m.safetensors", "-o", tmp_path / "y.npy"
    )
    assert result.exit_code == 1
    assert "\\x1b[31m0\\n\\udc80.png" in result.stderr
    assert "\x1b" not in result.stderr


def test_without_its_library_compression_says_what_to_install(
    model: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingExtra, match=r"latente\[codec\]"):
        Codec(model)


def test_search_gives_the_same_picture_a_better_code(codec: Codec) -> None:
    weight = codec.fitted.model.bottleneck.weight  # type: ignore[attr-defined]
    price = {}
    for effort in (0, 25):
        data = codec.compress(HELD, effort=effort)
        squared = error(codec.decompress(data).X) * HELD[0].size / 255**2
        price[effort] = squared + weight * 8 * len(data) / len(HELD)
    assert price[25] < 0.97 * price[0]
    with pytest.raises(ParameterError, match="effort"):
        codec.compress(HELD, effort=-1)


def test_larger_steps_take_fewer_bytes_and_smaller_ones_more(
    model: Autoencoder, codec: Codec
) -> None:
    sizes, errors = [], []
    for factor in (0.5, 1, 3):
        changed = Codec(requantised(model, X, factor))
        data = changed.compress(HELD)
        sizes.append(len(data))
        errors.append(error(changed.decompress(data).X))
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]
    assert errors[2] > errors[1]
    with pytest.raises(FileError, match="another model"):
        codec.decompress(data)
    for factor in (0, -1, float("nan")):
        with pytest.raises(ParameterError, match="factor"):
            requantised(model, X, factor)


def test_a_lost_stretch_of_nameless_rows_is_told_by_numbers(
    codec: Codec, home: Path, tmp_path: Path
) -> None:
    whole = codec.compress(HELD)
    (tmp_path / "a.latz").write_bytes(whole[: len(whole) // 2])
    result = run(
        "decompress", tmp_path / "a.latz", "-m", home / "m.safetensors", "-o", tmp_path / "y.npy"
    )
    assert result.exit_code == 1
    assert "to 39" in result.stderr
    assert len(np.load(tmp_path / "y.npy")) < len(HELD)


def test_only_some_models_compress(home: Path, tmp_path: Path) -> None:
    fitted(bottleneck="plain", epochs=1).save(tmp_path / "p.safetensors")
    plain = tmp_path / "p.safetensors"
    result = run("compress", home / "in", "-m", plain, "-o", tmp_path / "a.latz")
    assert result.exit_code == 2
    assert "rounded" in result.stderr
    assert not (tmp_path / "a.latz").exists()
