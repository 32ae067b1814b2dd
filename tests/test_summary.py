"""Summary: a row for each layer, whose sizes, formulas and parameters are those of the network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from typer.testing import CliRunner

from latente import Autoencoder, Conv, Dense, Recurrent, datasets
from latente.cli.main import app
from latente.families import FAMILIES
from latente.summary import LEGEND, geometry, kind_of

SHAPES = datasets.load("shapes", n=24).X
SERIES = np.random.default_rng(0).normal(size=(24, 9, 3)).astype(np.float32)


class Scaled(nn.Module):
    """A module of parts with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(4, 1, 1))
        self.inner = nn.Conv2d(1, 4, 5, padding="same", dilation=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.factor


class Careful(nn.Module):
    """A module that refuses what is not finite, and has a weight that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(784, 3)
        self.spare = nn.Linear(5, 7)

    def forward(self, x: Tensor) -> Tensor:
        assert x.isfinite().all()
        return self.linear(x.flatten(1))


def custom() -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(
        Scaled(), nn.ReLU(), nn.MaxPool2d(3, stride=2), nn.Conv2d(4, 6, 3, stride=2, groups=2),
        nn.AvgPool2d((2, 3), ceil_mode=True), nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(5, 2 * 13 * 13), nn.Unflatten(1, (2, 13, 13)),
        nn.ConvTranspose2d(2, 3, 4, stride=2), nn.ReLU(), nn.Conv2d(3, 1, 1),
    )  # fmt: skip
    encoder(torch.zeros(1, 1, 28, 28))
    return encoder, decoder


NETWORKS: dict[str, tuple[Any, np.ndarray, dict[str, Any]]] = {
    "dense": (Dense(hidden=(20, 10), dropout=0.2), SHAPES, {}),
    "tied": (Dense(hidden=(20,), tied=True), SHAPES, {}),
    "dense, shortcut": (Dense(hidden=(20,), shortcut="pca"), SHAPES, {}),
    "dense, residual": (Dense(hidden=(20,), residual=True), SHAPES, {"corruption": "mask"}),
    "strided": (Conv(channels=(4, 6), hidden=(9,)), SHAPES, {"bottleneck": "gaussian"}),
    "pooled": (Conv(channels=(4, 6), down="pool", up="upsample"), SHAPES[:, :27, :22], {}),
    "valid": (
        Conv(channels=(4, 4, 2), down="pool", up="upsample", code="spatial", trim="valid"), SHAPES,
        {},
    ),
    "gelu": (Conv(channels=(4,), kernel=5, down="pool", activation="gelu"), SHAPES[:, :13], {}),
    "skips": (
        Conv(channels=(4, 4), skips=True, residual=True, code="spatial", code_channels=2), SHAPES,
        {"corruption": "gaussian_noise"},
    ),
    "conv, shortcut": (Conv(channels=(4,), shortcut="pca"), SHAPES, {"loss": "gaussian"}),
    "recurrent": (Recurrent(hidden=8, layers=2, bidirectional=True), SERIES, {}),
    "lstm": (
        Recurrent(cell="lstm", hidden=8, feedback=False), SERIES, {"bottleneck": "adversarial"}
    ),
    "rows": ("auto", SERIES[:, :, 0], {"corruption": "gaps"}),
    "custom": (custom(), SHAPES, {}),
    "careful": (
        (Careful(), nn.Sequential(nn.Linear(3, 784), nn.Unflatten(1, (1, 28, 28)))), SHAPES, {}
    ),
}  # fmt: skip


def fitted(name: str) -> Autoencoder:
    network, X, keywords = NETWORKS[name]
    latent = (
        {}
        if "custom" in name or "careful" in name or name in ("valid", "skips")
        else {"latent_dim": 3}
    )
    return Autoencoder(
        network=network, epochs=0, random_state=0, device="cpu", **latent, **keywords
    ).fit(X)


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_those_of_the_network(name: str) -> None:
    ae = fitted(name)
    before = ae.reconstruct(NETWORKS[name][1])
    summary = ae.summary(time=False)
    sums = summary.sections
    network = ae.module_.network
    own = {id(p) for p in network.encoder.parameters()}
    assert sums["encoder"] == sum(p.numel() for p in network.encoder.parameters())
    assert sums["decoder"] == sum(p.numel() for p in network.parameters() if id(p) not in own)
    assert summary.parameters == sum(layer.parameters for layer in summary.layers)
    assert summary.parameters == ae.n_parameters_
    assert summary == ae.summary(time=False)
    assert not any(module._forward_hooks for module in ae.module_.modules())
    np.testing.assert_array_equal(ae.reconstruct(NETWORKS[name][1]), before)
    sizes = real_sizes(ae)
    for layer in summary.layers:
        if layer.name in sizes and layer.calls == 1:
            assert layer.output == sizes[layer.name], layer
        for axis, text in enumerate(layer.formula or ()):
            assert layer.output is not None
            assert arithmetic(text) == layer.output[1:][axis], text


def real_sizes(ae: Autoencoder) -> dict[str, tuple[int, ...]]:
    """The shapes that modules give for one sample, by hooks of our own."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Any) -> None:
        found.setdefault(
            name, tuple((output[0] if isinstance(output, tuple) else output).shape[1:])
        )

    handles = [
        module.register_forward_hook(lambda m, i, output, name=name: note(name, output))
        for name, module in ae.module_.named_modules()
    ]
    ae.module_(torch.zeros(1, *ae.fitted_.input.shape))
    for handle in handles:
        handle.remove()
    return found


def arithmetic(formula: str) -> int:
    """What a formula's left side comes to, and what it says is kept of it."""
    left, _, right = formula.partition(" = ")
    value = left.replace("⌊", "np.floor(").replace("⌈", "np.ceil(")
    value = re.sub("[⌋⌉]", ")", value).replace("·", "*").replace("−", "-")
    result = int(eval(value))
    length, _, kept = right.partition(", ")
    assert result == int(length)
    return int(kept.removesuffix(" kept")) if kept else result


def test_every_network_of_the_table_is_tried() -> None:
    kinds = {type(network) for network, _, _ in NETWORKS.values()}
    assert set(FAMILIES["network"].values()) <= kinds


def test_the_convolutional_variational_net_of_the_course() -> None:
    net = Conv(channels=(32, 64), down="stride", up="transpose", hidden=(16,), decoder_hidden=())
    ae = Autoencoder(2, network=net, bottleneck="gaussian", epochs=0, random_state=0).fit(SHAPES)
    summary = ae.summary(time=False)
    assert summary.sections == {"encoder": 69_076, "bottleneck": 0, "decoder": 65_089}
    first, *_ = summary.layers
    assert first.kind == "convolution 3×3, stride 2, relu"
    assert first.output == (32, 14, 14)
    assert first.formula == ("⌊(28 − 3 + 2·1)/2⌋ + 1 = 14",)
    assert (first.padding, first.keeps_size, first.parameters) == ((1, 1), False, 320)
    last = summary.layers[-1]
    assert last.formula == ("(28 − 3 + 2·1)/1 + 1 = 28",)
    assert last.keeps_size
    assert last.kind == "convolution 3×3, sigmoid"
    doubled = [layer for layer in summary.layers if layer.kind.startswith("transposed")]
    assert [layer.formula for layer in doubled] == [
        ("(7 − 1)·2 − 2·1 + 3 + 1 = 14",), ("(14 − 1)·2 − 2·1 + 3 + 1 = 28",)
    ]  # fmt: skip


def test_what_a_value_sees_grows_as_the_kernels_say() -> None:
    net = Conv(channels=(5, 5, 5), down="pool", up="upsample", code="spatial")
    ae = Autoencoder(network=net, epochs=0, random_state=0).fit(SHAPES)
    seen = [layer.receptive_field for layer in ae.summary(time=False).layers]
    expected, reach, step = [], 1, 1
    for _ in net.channels:
        for kernel, stride in ((3, 1), (2, 2)):
            reach, step = reach + (kernel - 1) * step, step * stride
            expected.append((min(reach, 28), min(reach, 28)))
    assert seen[: len(expected)] == expected
    strided = (
        Autoencoder(3, network=Conv(channels=(4, 4)), epochs=0, random_state=0)
        .fit(SHAPES[:, :, :20])
        .summary(time=False)
    )
    conv, second, flat, dense, *_ = strided.layers
    assert [conv.receptive_field, second.receptive_field] == [(3, 3), (7, 7)]
    assert (flat.receptive_field, dense.receptive_field) == ((7, 7), (28, 20))


def test_other_kinds_see_what_they_read() -> None:
    layers = fitted("recurrent").summary(time=False).layers
    assert {layer.receptive_field for layer in layers if layer.section == "encoder"} == {(9,)}
    assert {layer.calls for layer in layers if layer.section == "decoder"} == {1, 9}
    custom_layers = fitted("custom").summary(time=False).layers
    assert custom_layers[0].receptive_field == (9, 9), "a kernel of 5 with dilation 2"
    careful = fitted("careful").summary(time=False).layers
    assert all(layer.receptive_field is None for layer in careful)
    (spare,) = [layer for layer in careful if layer.name.endswith("spare")]
    assert (spare.output, spare.parameters) == (None, 42)


def test_tied_weights_are_counted_once() -> None:
    ae = fitted("tied")
    down, up = ([x for x in ae.summary(time=False).layers if x.section == s and x.parameters]
                for s in ("encoder", "decoder"))  # fmt: skip
    assert [layer.parameters for layer in down] == [784 * 20 + 20, 20 * 3 + 3]
    assert [layer.parameters for layer in up] == [20, 784]
    assert all("tied" in layer.kind for layer in up)


def test_time_is_measured_when_asked_for() -> None:
    summary = fitted("recurrent").summary()
    shares = [layer.time for layer in summary.layers]
    assert None not in shares
    assert sum(share for share in shares if share is not None) == pytest.approx(1)
    cells = [layer.time for layer in summary.layers if layer.kind == "gru" and layer.calls > 1]
    assert cells
    assert all(cells), "the steps of a decoder that sees its own output take time"
    assert "time" not in fitted("recurrent").summary(time=False).to_dict()["layers"][0]


def test_it_prints_as_a_table() -> None:
    summary = fitted("strided").summary(time=False)
    lines = str(summary).splitlines()
    assert repr(summary) == str(summary)
    assert lines[0].split() == [
        "layer",
        "output",
        "O",
        "=",
        "P",
        "keeps",
        "W",
        "parameters",
        "sees",
    ]
    assert any(line.startswith("sum of encoder") for line in lines)
    assert f"{summary.parameters:,}" in next(line for line in lines if line.startswith("total"))
    assert max(map(len, lines[: -len(LEGEND)])) < 140
    page = summary._repr_html_()
    assert page.count("<tr>") == page.count("</tr>") == len(summary.table()[1]) + 1
    plain = str(fitted("dense").summary(time=False))
    assert "O =" not in plain
    assert LEGEND[0] not in plain


@given(
    st.sampled_from(["conv", "transposed", "max", "mean"]), st.integers(1, 5), st.integers(1, 3),
    st.integers(0, 2), st.integers(1, 2), st.booleans(), st.integers(12, 17), st.integers(12, 17),
)  # fmt: skip
def test_formulas_hold_for_any_kernel(
    kind: str, f: int, s: int, p: int, d: int, ceil: bool, height: int, width: int
) -> None:
    module: nn.Module
    if kind == "conv":
        module = nn.Conv2d(1, 1, (f, 3), stride=s, padding=p, dilation=d)
    elif kind == "transposed":
        module = nn.ConvTranspose2d(1, 1, f, s, min(p, f - 1), min(s - 1, p), dilation=d)
    elif kind == "max":
        module = nn.MaxPool2d(f, s, min(p, f // 2), dilation=d, ceil_mode=ceil)
    else:
        module = nn.AvgPool2d((f, 2), s, min(p, f // 2, 1), ceil_mode=ceil)
    with torch.no_grad():
        after = tuple(module(torch.zeros(1, 1, height, width)).shape[1:])
    found = geometry(module, (1, height, width), after)
    assert found is not None
    texts = found.formula if len(found.formula) > 1 else found.formula * 2
    assert tuple(map(arithmetic, texts)) == after[1:]
    assert found.keeps_size == (after[1:] == (height, width))
    assert kind_of(module)


def test_odd_kernels_keep_the_size_with_half_of_them_as_padding() -> None:
    for f, keeps in ((1, True), (3, True), (5, True), (4, False)):
        module = nn.Conv2d(1, 1, f, padding=(f - 1) // 2)
        size = module(torch.zeros(1, 1, 9, 9)).shape[1:]
        found = geometry(module, (1, 9, 9), size)
        assert found is not None
        assert found.keeps_size is keeps


def test_the_command_shows_the_layers(tmp_path: Path) -> None:
    ae = fitted("strided")
    path = tmp_path / "m.safetensors"
    ae.save(path)
    shown = CliRunner().invoke(app, ["info", str(path), "--layers"])
    assert shown.exit_code == 0, shown.stderr
    assert "(28 − 3 + 2·1)/2" in shown.stdout
    assert "%" in shown.stdout
    answers = [
        json.loads(CliRunner().invoke(app, ["info", str(path), "--layers", "--json"]).stdout)
        for _ in range(2)
    ]
    assert answers[0]["layers"] == answers[1]["layers"]
    assert answers[0]["layers"]["parameters"]["total"] == answers[0]["parameters"]
    assert "time" not in answers[0]["layers"]["layers"][0]
    timed = CliRunner().invoke(app, ["info", str(path), "--layers", "--time", "--json"]).stdout
    assert "time" in json.loads(timed)["layers"]["layers"][0]
