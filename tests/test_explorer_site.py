"""Sites without a server: networks as plain operations, in NumPy and JavaScript, and the pages."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import warnings
import zlib
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from latente import Autoencoder, FileError, datasets
from latente.explorer import site as sites
from latente.explorer.damage import damaged
from latente.explorer.lowering import Unsupported, lower
from latente.explorer.packed import unpack
from latente.explorer.portable import OutputPart, difference, portable
from latente.explorer.scene import Scene
from latente.explorer.weights import Program, Store, regular
from latente.export import RawDecoder, RawEncoder
from latente.families import FAMILIES
from latente.model import Decoder, Encoder

STATIC = Path(sites.__file__).parent / "static"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_node = pytest.mark.skipif(
    NODE is None, reason="node, which runs the page's code, is not here"
)
GREY = datasets.load("digits").X[:40]
COLOURS = np.stack([GREY, 3 * GREY + 1, 0.5 * GREY - 2], -1)
RUN = """
import fs from "fs";
import { Network } from "./network.js";
const programs = JSON.parse(fs.readFileSync("programs.json"));
const file = fs.readFileSync("weights.bin");
const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
const found = programs.map(({ program, rows }) => {
  const network = new Network(program, bytes);
  const all = Float32Array.from(rows.flat(Infinity).map((x) => (x === null ? NaN : x)));
  return Array.from(network.run(all, rows.length), (x) => (Number.isNaN(x) ? null : x));
});
fs.writeFileSync("found.json", JSON.stringify(found));
"""


def in_node(code: str, folder: Path) -> None:
    """Run a program beside the page's scripts."""
    for file in STATIC.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "run.js").write_text(code)
    done = subprocess.run(
        [str(NODE), "run.js"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def run_in_node(cases: list[tuple[Program, np.ndarray]], folder: Path, precision: str) -> list[Any]:
    """Return what the page's interpreter makes of rows."""
    store = Store()
    packed = [
        {"program": store.pack(program, precision), "rows": rows.reshape(len(rows), -1).tolist()}
        for program, rows in cases
    ]
    (folder / "programs.json").write_text(json.dumps(sites.plain(packed), allow_nan=False))
    (folder / "weights.bin").write_bytes(store.bytes())
    in_node(RUN, folder)
    found = json.loads((folder / "found.json").read_text())
    shapes = [(len(rows), *program.output) for program, rows in cases]
    return [np.array(each, float).reshape(shape) for each, shape in zip(found, shapes, strict=True)]


def expected(module: nn.Module, rows: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([module(row[None]) for row in rows]).numpy()


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / max(np.ptp(wanted), 1e-9))


# ── networks ─────────────────────────────────────────────────────────────────────────────────

NETWORK = {"dense": "dense(hidden=(6,))", "conv": "conv(channels=(3,))"}
NETWORK |= {"recurrent": "recurrent(hidden=3)"}
LOSS = {"categorical": "categorical(levels=4)", "gaussian": "gaussian(scale=value)"}


class SideBySide(nn.Module):
    """Several modules of one input as one, since tracing costs more than a module."""

    def __init__(self, each: list[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(each)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([module(x).flatten(1) for module in self.each], 1)


def fitted(network: str, bottleneck: str, loss: str) -> Any:
    X = GREY[:, :2] if network == "recurrent" else GREY
    target = np.stack([X] * 3, -1) if loss == "colours" else None
    keywords = {"loss": LOSS.get(loss, loss), "scaling": "minmax", "device": "cpu", "epochs": 0}
    model = Autoencoder(
        4, network=NETWORK.get(network, network), bottleneck=bottleneck, random_state=0, **keywords
    )
    return model.fit(X, target=target).fitted_


@pytest.mark.parametrize("network", FAMILIES["network"])
def test_bottlenecks_and_losses_give_the_numbers_of_torch(network: str, tmp_path: Path) -> None:
    alone = [each for each in FAMILIES["loss"] if each not in ("colours", "structural")]
    losses = alone if network == "recurrent" else list(FAMILIES["loss"])
    bottlenecks = list(FAMILIES["bottleneck"])[:: 1 if network == "dense" else 4]
    losses = losses[:: 1 if network == "dense" else 3]
    pairs = {(bottleneck, "squared") for bottleneck in bottlenecks}
    pairs |= {("plain", loss) for loss in losses}
    models = [fitted(network, *pair) for pair in sorted(pairs)]
    rows = torch.from_numpy(GREY[:5, :2] if network == "recurrent" else GREY[:5]).float()
    encoders = SideBySide([RawEncoder(Encoder(m.model), m.input, False) for m in models]).eval()
    decoders = SideBySide(
        [RawDecoder(Decoder(m.model), m.target, m.code_shape) for m in models]
    ).eval()
    codes = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    cases = []
    for module, x in ((encoders, rows), (decoders, codes)):
        program = lower(module, x[:1])
        wanted = expected(module, x)
        assert np.ptp(wanted) > 0.1
        assert off(program.run(x.numpy()), wanted) < 1e-5
        halved = [each for each in program.constants.values() if each.size >= 512]
        assert off(program.halved().run(x.numpy()), wanted) < 1e-3 or not halved
        cases.append((program, x.numpy(), wanted))
    if NODE is not None:
        found = run_in_node([case[:2] for case in cases], tmp_path, "float32")
        for each, (*_, wanted) in zip(found, cases, strict=True):
            assert off(each, wanted) < 1e-5


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Recurrences(nn.Module):
    """torch's own recurrent layers."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(10, 4, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gru(self.lstm(x[:, 0, :4])[0])[0]  # type: ignore[no-any-return]


class OwnWeights(nn.Module):
    """Convolutions whose weights the sample makes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(10, 54)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weights(x[:, 0, 0])
        seen = F.conv2d(x, weight.view(2, 3, 3, 3))
        return F.conv_transpose2d(x, weight.view(3, 2, 3, 3), stride=2)[..., :7, :8] + seen


class Bounds(nn.Module):
    """Limits that were learned, one for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = (nn.Parameter(way * torch.rand(3, 1, 1)) for way in (-1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(self.low, self.high) + x.clamp(min=self.low.mean())


def gaps(x: torch.Tensor) -> torch.Tensor:
    """Return what a maximum and its place make of numbers that are missing."""
    holes = torch.where(x > 1, torch.nan, x)
    return holes.amax(3).nan_to_num(9.0) + holes.argmin(3) + holes.nanmean(3)


def layers() -> dict[str, nn.Module]:
    """Return what users' own networks are made of, for pictures (3, 9, 10)."""
    return {
        "batch norm": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        "group norm": nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.GroupNorm(2, 4), nn.GELU()),
        "instance norm": nn.Sequential(nn.InstanceNorm2d(3), nn.Mish()),
        "layer norm": nn.Sequential(nn.Linear(10, 6), nn.LayerNorm(6), nn.SELU()),
        "groups": nn.Conv2d(3, 6, (3, 2), (2, 1), (1, 0), groups=3),
        "dilation": nn.Sequential(nn.Conv2d(3, 2, 3, dilation=2, padding=2), nn.Softplus()),
        "transposed": nn.ConvTranspose2d(3, 6, (3, 4), (2, 3), 1, (1, 2), groups=3),
        "transposed, dilated": nn.ConvTranspose2d(3, 2, 3, 2, dilation=2),
        "one axis": nn.Sequential(
            nn.Flatten(2), nn.Conv1d(3, 4, 7, 3), nn.ConvTranspose1d(4, 2, 4, 2)
        ),
        "max pool": nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1)),
        "max pool, ceil": nn.MaxPool2d(2, 3, 0, 2, ceil_mode=True),
        "mean pool": nn.AvgPool2d(4, 3, 1, ceil_mode=True),
        "mean pool, no padding": nn.AvgPool2d(4, 3, 1, count_include_pad=False),
        "adaptive pools": nn.Sequential(nn.AdaptiveAvgPool2d((6, 7)), nn.AdaptiveMaxPool2d((4, 3))),
        "nearest": nn.Sequential(nn.Upsample(scale_factor=2), nn.Upsample(size=(21, 31))),
        "bilinear": nn.Upsample(size=(17, 13), mode="bilinear", align_corners=True),
        "shuffle": nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2), nn.LeakyReLU(0.2)),
        "pads": nn.Sequential(
            nn.ReflectionPad2d(2), nn.ZeroPad2d((1, 2, 0, 1)), nn.ConstantPad2d(1, 3.5)
        ),
        "attention": nn.TransformerEncoderLayer(10, 2, 12, batch_first=True),
        "recurrent": Recurrences(),
        "activations": nn.Sequential(
            nn.CELU(), nn.Hardswish(), nn.Tanhshrink(), nn.LogSigmoid(), nn.Softsign(), nn.ReLU6(),
            nn.Hardsigmoid(), nn.GELU("tanh"), nn.PReLU(), nn.SiLU(),
        ),
        "sorted": Call(lambda x: x.topk(2, 1).values.sum(1) + x.sort(2, True).values.amax(1)),
        "looked up": Call(
            lambda x: F.one_hot(x.argmax(1), 3).float() + x.round().remainder(2).movedim(1, -1)
        ),
        "sums": Call(
            lambda x: torch.stack([x.std(1), x.var(1), x.norm(dim=1), x.cumsum(1)[:, 1]], 1)
        ),
        "chances": Call(lambda x: F.log_softmax(x, 1) + x.softmax(2) + x.logsumexp(1, True)),
        "products": Call(lambda x: torch.einsum("nchw,ndhw->ncd", x, x)),
        "own weights": OwnWeights(),
        "learned limits": Bounds(),
        "endless": nn.Sequential(nn.Softplus(threshold=math.inf), nn.Hardtanh(-math.inf, 1.5)),
        "padded with -inf": Call(
            lambda x: F.pad(x, (1, 1), value=-math.inf).unfold(3, 3, 2).amax(4)
        ),
        "gaps": Call(gaps),
        "counted from the end": Call(
            lambda x: torch.arange(6.0)[x[:, 0].round().long().clamp(-3, 3) - 1]
        ),
        "what is left": Call(lambda x: torch.remainder(x, math.inf).clamp(-3, 3) + x % 0.3),
        "whole largest": Call(lambda x: x / x.max() + x.flatten(1).max(1).values.mean()),
        "chosen": Call(lambda x: torch.where((x > 0) & (x < 1), x.erf(), x.clamp(-1, 0.5) ** 2)),
    }  # fmt: skip


def test_layers_of_users_own_networks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    named = {
        name: module if name != "attention" else nn.Sequential(nn.Flatten(1, 2), module)
        for name, module in layers().items()
    }
    rows = torch.randn(3, 3, 9, 10)
    modules = [module.eval() for module in named.values()]
    program = lower(SideBySide(modules).eval(), rows[:1])
    wanted = [expected(module, rows).reshape(3, -1) for module in modules]
    cuts = np.cumsum([each.shape[1] for each in wanted])[:-1]
    results = [program.run(rows.numpy())]
    if NODE is not None:
        results += run_in_node([(program, rows.numpy())], tmp_path, "float32")
    for result in results:
        for name, found, right in zip(named, np.split(result, cuts, 1), wanted, strict=True):
            assert off(found, right) < 1e-5, name


class Spectrum(nn.Module):
    """Something that no page does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(x).abs()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Spectrum(), r"the operation _fft_r2c cannot be run in a page"),
        (
            nn.Sequential(nn.Sequential(nn.Linear(8, 8), Spectrum())),
            r"the operation _fft_r2c of the layer 0\.1 \(Spectrum\) cannot be run in a page",
        ),
        (
            nn.Sequential(nn.Unflatten(1, (1, 2, 2, 2)), nn.Conv3d(1, 1, 1)),
            r"the operation convolution of the layer 1 \(Conv3d\) cannot be run in a page",
        ),
        (Call(lambda x: (x.long() & 3).float()), r"bitwise_and cannot be run in a page"),
        (Call(lambda x: x if x.sum() > 0 else -x), r"torch cannot write it as plain operations: "),
        (Call(lambda x: x + torch.rand_like(x)), r"rand_like cannot be run in a page"),
    ],
)
def test_what_a_page_cannot_do_is_one_sentence(
    module: nn.Module, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unsupported, match=message) as error:
        lower(module, torch.rand(1, 8))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_program_that_differs_is_not_taken() -> None:
    class Counting(nn.Module):
        calls = 0.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x + self.calls

    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    with pytest.raises(Unsupported, match="other values than torch, off by"):
        portable(Counting(), rows, [OutputPart(4)])


def test_large_weights_are_halved_unless_that_shows() -> None:
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(size=(4, 300)).astype(np.float32)
    layer = nn.Linear(300, 200)
    assert portable(layer, rows, [OutputPart(200)]).precision == "float16"
    with torch.no_grad():
        layer.weight += 1000 * torch.sign(layer.weight).cumsum(1) % 7
    precise = portable(nn.Sequential(layer, Call(torch.sin)), rows, [OutputPart(200)])
    assert precise.precision == "float32"


def test_a_column_is_compared_in_its_own_range() -> None:
    large = np.array([[0.0, 1e9], [1.0, 2e9]]).repeat(2, 0)
    one_off = large + np.array([1.0, 0.0])
    assert difference(one_off, large, [OutputPart(2)]) < 1e-8
    assert difference(one_off, large, [OutputPart(1, 50.0), OutputPart(1)]) == pytest.approx(0.02)
    assert difference(
        one_off, large, [OutputPart(1, 50.0, step=1.0), OutputPart(1)]
    ) == pytest.approx(0.02)
    assert difference(one_off, large, [OutputPart(1, 500.0, step=1.0), OutputPart(1)]) == 0
    assert difference(one_off + 1, large, [OutputPart(1, 500.0, step=1.0), OutputPart(1)]) > 1e-3


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 5)), max_size=4), st.integers(30, 40))
@settings(max_examples=60, deadline=None)
def test_regular_places_come_back(axes: list[tuple[int, int]], first: int) -> None:
    places = np.array([first])
    for length, step in axes:
        places = (places[:, None] + np.arange(length) * step).ravel()
    found = regular(places)
    assert found is not None or (places < 0).any() or len(axes) > 1
    if found is not None:
        back = np.array(found["first"])
        for length, step in zip(found["lengths"], found["steps"], strict=True):
            back = back[..., None] + np.arange(length) * step
        assert np.array_equal(back.ravel(), places)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_places_come_back_or_are_not_regular(places: list[int]) -> None:
    found = regular(places)
    if found is not None:
        back = np.array(found["first"])
        for length, step in zip(found["lengths"], found["steps"], strict=True):
            back = back[..., None] + np.arange(length) * step
        assert back.ravel().tolist() == places


@needs_node
def test_numbers_of_half_width_and_roundings(tmp_path: Path) -> None:
    code = """
    import fs from "fs";
    import { erf, halves, rounded } from "./network.js";
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    fs.writeFileSync("halves.bin", new Uint8Array(halves(bits).buffer));
    const x = Float64Array.from({ length: 1601 }, (_, i) => (i - 800) / 100);
    fs.writeFileSync("erf.bin", new Uint8Array(x.map(erf).buffer));
    const y = Float64Array.from({ length: 41 }, (_, i) => (i - 20) / 4);
    fs.writeFileSync("rounded.bin", new Uint8Array(y.map(rounded).buffer));
    """
    in_node(code, tmp_path)
    wide = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "halves.bin", "<f4"), wide)
    right = [math.erf(x) for x in (np.arange(1601) - 800) / 100]
    np.testing.assert_allclose(np.fromfile(tmp_path / "erf.bin"), right, atol=1e-13)
    rounded = np.fromfile(tmp_path / "rounded.bin")
    np.testing.assert_array_equal(rounded, np.rint((np.arange(41) - 20) / 4))


# ── sites ────────────────────────────────────────────────────────────────────────────────────

SMALL = {"epochs": 1, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def digits() -> Scene:
    data = datasets.load("digits")
    X = data.X[:300].astype(np.uint8)
    model = Autoencoder(3, network="conv(channels=(4,))", bottleneck="gaussian", **SMALL).fit(X)
    return Scene({"ours": model, "PCA": "pca"}, X, data.y[:300], name="digits")


@pytest.fixture(scope="module")
def written(digits: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, sites.Site]:
    """The same scene as a page and as a folder."""
    home = tmp_path_factory.mktemp("written")
    return {name: sites.write(digits, home / name) for name in ("page.html", "site")}


def parts_of(text: str) -> dict[str, Any]:
    """Return the arrays of a page's data, and what is beside them."""
    found = dict(re.findall(r'\.(site|rows) = "([A-Za-z0-9+/=]+)";', text))
    return {name: unpack(zlib.decompress(b64decode(part))) for name, part in found.items()}


def test_a_page_holds_everything_and_asks_nothing(
    digits: Scene, written: dict[str, sites.Site]
) -> None:
    made = written["page.html"]
    text = made.path.read_text()
    assert (made.rows, made.of, made.notes) == (300, 300, ())
    assert made.bytes == made.path.stat().st_size < 2_000_000
    assert sorted(os.listdir(made.path.parent)) == ["page.html", "site"]
    plain = re.sub(r"base64,[A-Za-z0-9+/=]+|<!--.*?-->", "", text, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"'](?!data:)", plain)
    assert "default-src 'none'" in plain
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', text)[1])["imports"]
    for name, url in imports.items():
        source = b64decode(url.partition("base64,")[2]).decode()
        for other in re.findall(r"""["']([\w./-]+\.js)["']""", source):
            assert other in imports, f"{name} imports {other}, which is not in the page"
    parts = parts_of(text)
    arrays, meta = parts["site"]
    assert meta["info"]["n"] == 300
    assert [each["name"] for each in meta["info"]["models"]] == ["ours", "PCA"]
    assert np.array_equal(arrays["codes0"], digits.views[0].codes)
    shown = digits.form.shown(digits.X).array
    assert np.array_equal(parts["rows"][0]["originals"], shown)


def test_a_folder_of_the_same(written: dict[str, sites.Site]) -> None:
    made = written["site"]
    files = sorted(str(p.relative_to(made.path)) for p in made.path.rglob("*") if p.is_file())
    assert files == ["data/rows.js", "data/site.js", "index.html", "latente-site.json"]
    assert made.bytes == sum((made.path / name).stat().st_size for name in files)
    parts = parts_of("".join((made.path / name).read_text() for name in files[:2]))
    page = parts_of(written["page.html"].path.read_text())
    for name, (arrays, meta) in parts.items():
        assert meta == page[name][1]
        assert all(np.array_equal(arrays[key], page[name][0][key]) for key in arrays)


def test_a_site_is_written_over_an_older_one(
    written: dict[str, sites.Site], tmp_path: Path
) -> None:
    for name in written:
        target = tmp_path / name
        write = sites.write_page if target.suffix else sites.write_folder
        check = sites.check_file if target.suffix else sites.check_folder
        for content in (b"old", b"new"):
            check(target)
            size = write(target, "title", {"site": content, "rows": content})
        files = [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file()]
        assert size == sum(file.stat().st_size for file in files)
        script = target if target.is_file() else target / "data" / "site.js"
        (part,) = re.findall(r'\.site = "([^"]+)"', script.read_text())
        assert zlib.decompress(b64decode(part)) == b"new"


def test_other_files_are_not_overwritten(digits: Scene, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "file").write_text("mine")
    for name, message in (
        ("full", "it holds other files"),
        ("mine.html", "another file is there"),
        ("file", "it is a file; name a folder"),
    ):
        with pytest.raises(FileError, match=message):
            sites.write(digits, tmp_path / name)
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    assert os.listdir(tmp_path / "full") == ["thesis.txt"]


def test_what_a_killed_writer_left_does_not_hinder_the_next(tmp_path: Path) -> None:
    (tmp_path / "site" / ".latente-0" / "data").mkdir(parents=True)
    sites.check_folder(tmp_path / "site")
    sites.write_folder(tmp_path / "site", "title", {"site": b"1", "rows": b"2"})
    assert sorted(os.listdir(tmp_path / "site")) == ["data", "index.html", "latente-site.json"]


def test_a_page_without_a_folder_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no folder .*nowhere"):
        sites.check_file(tmp_path / "nowhere" / "page.html")


def test_a_part_too_large_for_a_browser_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "LARGEST_PART", 1000)
    noise = np.random.default_rng(0).bytes(2000)
    with pytest.raises(FileError, match=r"site\.js would have .* fewer rows or a smaller model"):
        sites.write_folder(tmp_path / "site", "title", {"site": noise, "rows": b""})
    assert os.listdir(tmp_path) == []


def test_names_cannot_end_a_script_and_need_no_unicode(digits: Scene, tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!--\u2028\udce9"
    model = digits.views[0].coder
    scene = Scene({name: model}, digits.X[:20], ["</title><b>"] * 20, name=name)
    made = sites.write(scene, tmp_path / "page.html")
    text = made.path.read_text("utf-8")
    assert "alert(1)" not in re.sub(r"<title>.*?</title>", "", text)
    assert "<title>&lt;/script&gt;" in text
    meta = parts_of(text)["site"][1]
    assert meta["info"]["models"][0]["name"] == name[:-1] + "\\udce9"
    assert meta["info"]["columns"][0]["classes"] == ["</title><b>"]


def test_a_page_too_large_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "LARGEST_PAGE", 1000)
    with pytest.raises(FileError, match="export to a folder"):
        sites.write_page(tmp_path / "page.html", "title", {"site": b"", "rows": b""})
    assert os.listdir(tmp_path) == []


def test_rows_are_few_and_of_every_class(digits: Scene) -> None:
    ids = sites.chosen_rows(digits, 60, 10**9)
    assert len(ids) == 60
    assert (np.diff(ids) > 0).all()
    (classes,) = (c.values for c in digits.own_columns)
    shares = np.bincount(classes.astype(int)) / len(classes)
    chosen = np.bincount(classes[ids].astype(int)) / 60
    assert np.abs(chosen - shares).max() < 0.02
    assert len(sites.chosen_rows(digits, 1000, 64 * 25)) == 25


ENGINE = """
import fs from "fs";
import { Engine } from "./engine.js";
const plain = (key, value) => ArrayBuffer.isView(value)
  ? Array.from(value, (x) => (Number.isFinite(x) ? x : null)) : value;
const found = {};
for (const [name, { file, ask }] of Object.entries(JSON.parse(fs.readFileSync("ask.json")))) {
  globalThis.window = {};
  for (const [, script] of fs.readFileSync(file, "utf8").matchAll(/<script>([^]*?)<\\/script>/g)) {
    if (script.includes(".parts ??=")) (0, eval)(script);
  }
  const engine = await Engine.of(window.LATENTE_SITE.parts);
  found[name] = ask.map(([method, ...args]) => {
    try {
      return engine[method](...args);
    } catch (error) {
      return { error: error.message };
    }
  });
}
fs.writeFileSync("found.json", JSON.stringify(found, plain));
"""


def answers(asked: dict[str, tuple[Path, list[Any]]], folder: Path) -> dict[str, list[Any]]:
    """Return what pages answer themselves: by name, each method's result."""
    jobs = {name: {"file": str(path), "ask": ask} for name, (path, ask) in asked.items()}
    (folder / "ask.json").write_text(json.dumps(jobs))
    in_node(ENGINE, folder)
    found: dict[str, list[Any]] = json.loads((folder / "found.json").read_text())
    return found


def array(answer: dict[str, Any], name: str) -> np.ndarray:
    assert "error" not in answer, answer
    return np.array(answer[name]["data"], float).reshape(answer[name]["shape"])


@needs_node
def test_a_page_answers_as_the_server_does(
    digits: Scene, written: dict[str, sites.Site], tmp_path: Path
) -> None:
    path = written["page.html"].path
    at = [[0.3, -0.2], [1.5, 0.4], [90.0, 90.0]]
    codes = digits.views[0].codes[:3].tolist()
    drawn = digits.form.shown(digits.X[7:8]).array[0].ravel().tolist()
    base = codes[1]
    present, absent = list(range(40)), list(range(40, 90))
    ask: list[Any] = [
        ["info"], ["points", 0], ["column", "class", 0], ["samples", 0, [5, 250]],
        ["decode", {"model": 0, "at": at}], ["decode", {"model": 0, "at": at, "base": base}],
        ["decode", {"model": 0, "codes": codes}], ["decode", {"model": 1, "at": at}],
        ["encode", 0, {"pixels": drawn}], ["direction", 0, present, absent],
        ["damage", {"model": 0, "id": 3, "damages": {"noise": 0.3, "erase": 0.3}, "seed": 1}],
        ["damage", {"model": 0, "id": 3, "damages": {}, "seed": 1}], ["thumbnails", 0, 40],
    ]  # fmt: skip
    found = answers({"page": (path, ask)}, tmp_path)["page"]
    info, points, column, samples, places, based, decoded, other, encoded, way = found[:10]
    assert info["n"] == 300
    assert info["export"] == {"rows": 300, "of": 300, "notes": []}
    ours = digits.views[0]
    np.testing.assert_allclose(array(points, "points"), ours.points, atol=1e-6)
    np.testing.assert_array_equal(array(column, "values"), digits.columns[0].values)
    assert array(samples, "originals").shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(array(samples, "originals")[1, ..., 0], digits.X[250] * 1.0)
    spots = np.array(at, np.float32)
    for answer, view, right in (
        (places, ours, ours.decode_at(spots)),
        (based, ours, ours.decode_at(spots, ours.codes[1])),
        (decoded, ours, ours.decode_codes(ours.codes[:3])),
        (other, digits.views[1], digits.views[1].decode_at(spots)),
    ):
        shown = digits.shown(view, right.values).array
        np.testing.assert_allclose(array(answer, "decoded"), shown, atol=1)
        np.testing.assert_allclose(array(answer, "codes"), right.codes, atol=1e-3)
        np.testing.assert_allclose(array(answer, "distance"), right.distance, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(array(answer, "nearest"), right.nearest)
        assert array(answer, "inside")[-1] == right.inside[-1]
    through = ours.passed(digits.X[7:8])
    np.testing.assert_allclose(array(encoded, "codes"), through.codes.numpy(), atol=1e-3)
    np.testing.assert_allclose(array(encoded, "scores"), through.scores.numpy(), rtol=1e-3)
    np.testing.assert_allclose(
        array(encoded, "percentile"), ours.percentile(through.scores.numpy()), atol=0.01
    )
    assert array(encoded, "similar")[0, 0] == 7
    vector, separation = digits.direction(0, np.array(present), np.array(absent))
    np.testing.assert_allclose(array(way, "direction"), vector, atol=1e-4)
    assert way["meta"]["separation"] == pytest.approx(separation)
    noisy, clean, sheet = found[10:]
    assert noisy["meta"]["psnr_damaged"] < 30
    assert (array(noisy, "damaged") != digits.X[3][..., None]).any()
    np.testing.assert_array_equal(array(clean, "damaged")[0, ..., 0], digits.X[3] * 1.0)
    assert (sheet["width"], sheet["height"]) == (32 * 8, 2 * 8)
    pixels = np.array(sheet["rgba"]).reshape(16, 256, 4)
    np.testing.assert_array_equal(pixels[8:, 8:16, 0], digits.X[33])


def mixed(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "width": rng.normal(5, 2, rows),
            "age": rng.integers(1, 90, rows),
            "ripe": rng.random(rows) < 0.5,
            "kind": rng.choice(["apple", "pear", "fig"], rows),
            "picked": pd.date_range("2024-01-01", periods=rows, freq="D"),
        }
    )
    frame.loc[3, "width"] = np.nan
    frame.loc[4, "kind"] = None
    return frame


def kinds() -> dict[str, tuple[Autoencoder, Any]]:
    """Return models of every kind of data, and what a page can and cannot do of them."""
    waves = np.sin(np.random.default_rng(0).uniform(0, 6, (60, 1, 1)) + np.arange(8)[:, None] / 2)
    ragged = [wave[: 4 + i % 5].astype(np.float32) for i, wave in enumerate(waves)]
    texts = ["red fox", "blue", "green eel", "grey"] * 15
    tables = mixed()
    skips = "conv(channels=(3,), skips=True)"
    return {
        "rows": (Autoencoder(2, **SMALL).fit(GREY.reshape(40, -1)), GREY.reshape(40, -1)),
        "table": (Autoencoder(2, **SMALL).fit(tables), tables),
        "series": (Autoencoder(1, network="dense", layout="sequences", **SMALL).fit(waves), waves),
        "ragged": (Autoencoder(2, network="dense", **{**SMALL, "epochs": 40}).fit(ragged), ragged),
        "texts": (Autoencoder(2, network="dense", **SMALL).fit(texts), texts),
        "colours": (Autoencoder(2, scaling="standard", **SMALL).fit(COLOURS), COLOURS),
        "skips": (Autoencoder(4, network=skips, **SMALL).fit(GREY), GREY),
        "contractive": (Autoencoder(2, bottleneck="contractive", **SMALL).fit(GREY), GREY),
    }  # fmt: skip


@needs_node
def test_a_page_whose_browser_refuses_workers_works_by_itself(
    written: dict[str, sites.Site], tmp_path: Path
) -> None:
    """A browser says so at once, or only once the worker should begin."""
    text = (written["site"].path / "data" / "site.js").read_text()
    rows = (written["site"].path / "data" / "rows.js").read_text()
    code = """
    import fs from "fs";
    import { LocalBackend } from "./local.js";
    globalThis.window = {};
    for (const name of ["site.js", "rows.js"]) (0, eval)(fs.readFileSync(name, "utf8"));
    const { parts } = window.LATENTE_SITE;
    class Late { constructor() { setTimeout(() => this.onerror({}), 1); } postMessage() {} }
    class Never { constructor() { throw new Error("refused"); } }
    const said = [];
    const ask = async (given) => {
      const backend = new LocalBackend({ parts: given, worker: "1" });
      said.push(await backend.info().then((info) => info.n, (error) => error.message));
    };
    for (const kind of [Late, Never]) {
      globalThis.Worker = kind;
      await ask({ ...parts });
    }
    await ask({ ...parts, site: parts.site.slice(0, 4000) });
    await ask({ site: parts.site });
    fs.writeFileSync("said.json", JSON.stringify(said));
    """
    for name, script in (("site.js", text), ("rows.js", rows)):
        (tmp_path / name).write_text(script)
    in_node(code, tmp_path)
    late, never, cut, missing = json.loads((tmp_path / "said.json").read_text())
    assert (late, never) == (300, 300)
    assert cut == "a part of this site is broken or cut short: site; copy it once more"
    assert missing == "a part of this site is missing: data/rows.js"


@needs_node
def test_every_kind_of_data(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scenes = {name: Scene(model, X) for name, (model, X) in kinds().items()}
    asked = {}
    odd = [[4.0, 30, 1, kind, 1.71e9] for kind in ("kiwi", 7)] + [["wide", 30, 1, "fig", 1.71e9]]
    more = {
        "table": [["encode", 0, {"values": each}] for each in odd],
        "colours": [["damage", {"model": 0, "id": 1, "damages": {"mask": 1.0}}]],
    }
    sent = {"texts": {"text": "red eel"}, "table": {"values": [4.0, 30, 1, "fig", 1.71e9]}}
    for name, scene in scenes.items():
        path = tmp_path / f"{name}.html"
        made = sites.write(scene, path)
        notes = ["no anomaly score"] if name == "contractive" else []
        assert all(part in note for note, part in zip(made.notes, notes, strict=True))
        code = scene.views[0].codes[:2].tolist()
        shown = scene.form.shown(scene.rows(np.array([1]))).array[0]
        steps = shown[~np.isnan(shown[..., 0])] if shown.ndim == 2 else shown
        values = [None if np.isnan(x) else float(x) for x in steps.ravel()]
        body = sent.get(name, {"pixels" if scene.form.kind == "pictures" else "values": values})
        asked[name] = (path, [
            ["samples", 0, [0, 1]], ["decode", {"model": 0, "codes": code}], ["encode", 0, body],
            *more.get(name, []),
        ])  # fmt: skip
    found = answers(asked, tmp_path)
    for name, scene in scenes.items():
        samples, decoded, encoded = found[name][:3]
        view = scene.views[0]
        if name == "texts":
            right = scene.shown(view, view.coder.decode(view.codes[:2])).texts
            assert samples["meta"]["texts"]["originals"] == ["red fox", "blue"]
            assert decoded["meta"]["texts"]["decoded"] == right
            assert encoded["meta"]["texts"]["originals"] == ["red eel"]
            continue
        if name == "skips":
            assert "error" in decoded
            values = view.passed(scene.rows(np.arange(2))).values.numpy()
            np.testing.assert_allclose(
                array(samples, "decoded"), scene.shown(view, values).array, atol=1
            )
            continue
        rows = scene.form.shown(scene.rows(np.arange(2))).array
        np.testing.assert_allclose(array(samples, "originals"), rows, rtol=1e-5)
        right = scene.shown(view, view.coder.decode(view.codes[:2])).array
        np.testing.assert_allclose(array(decoded, "decoded"), right, rtol=1e-3, atol=1)
        if name == "contractive":
            assert encoded["scores"]["data"] == [None]
        if name != "table":
            through = view.passed(scene.rows(np.array([1])))
            np.testing.assert_allclose(array(encoded, "codes"), through.codes.numpy(), atol=2e-2)
    colours = scenes["colours"]
    broken = damaged(colours.views[0], colours.rows(np.array([1])), {"mask": 1.0}, 0)
    np.testing.assert_allclose(
        array(found["colours"][3], "damaged"), colours.form.shown(broken.X).array, atol=1
    )
    assert [each["error"] for each in found["table"][3:]] == [
        '"kiwi" is no known value for the column "kind"',
        '7 is no known value for the column "kind"',
        '"wide" is no number for the column "width"',
    ]
    own = mixed().iloc[:1].assign(width=4.0, age=30, ripe=True, kind="fig")
    own["picked"] = pd.Timestamp(1.71e9, unit="s")
    through = scenes["table"].views[0].passed(own)
    np.testing.assert_allclose(
        array(found["table"][2], "codes"), through.codes.numpy(), rtol=1e-2, atol=1e-2
    )


def test_a_page_opens_as_a_file(written: dict[str, sites.Site]) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not here")
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    home = written["page.html"].path.parent
    options = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--disable-quic",
               "--enable-unsafe-swiftshader", "--disable-background-networking"]  # fmt: skip
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            for name in ("page.html", "site/index.html"):
                page = browser.new_page(viewport={"width": 1000, "height": 700})
                told: list[str] = []
                asked: list[str] = []
                page.on("console", lambda m, told=told: told.append(m.text))
                page.on("pageerror", lambda error, told=told: told.append(str(error)))
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.goto((home / name).as_uri())
                page.wait_for_selector("#maps canvas", timeout=30_000)
                page.wait_for_selector("#loading", state="hidden", timeout=30_000)
                assert "digits" in page.locator("#about").inner_text()
                assert not page.locator("#trouble").is_visible()
                assert told == []
                assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
                page.close()
        finally:
            browser.close()
