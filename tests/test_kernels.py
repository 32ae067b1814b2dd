"""Kernels: the same numbers as torch's plain operators, forward, backward, and twice backward."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from latente import Conv
from latente.networks import convolutions
from latente.networks.convolutions import (
    FEW,
    Convolution,
    RepeatConvolution,
    TransposedConvolution,
    channels_last,
    convolve,
    convolve_transposed,
)

CLOSE = {"rtol": 0.0, "atol": 1e-10}


def gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """Return the output, and the gradients of its cosine-weighted sum."""
    x = x.clone().requires_grad_()
    y = module(x)
    weight = torch.arange(y.numel(), dtype=y.dtype).cos().view(y.shape)
    return y, *torch.autograd.grad((y * weight).sum(), [x, *module.parameters()])


def assert_equal(ours: nn.Module, plain: nn.Module, x: Tensor) -> None:
    for a, b in zip(gradients(ours, x), gradients(plain, x), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


class Repeated(nn.Module):
    """The plain operators that `RepeatConvolution` stands for."""

    def __init__(self, ours: RepeatConvolution) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(ours.weight.data), nn.Parameter(ours.bias.data)
        self.padding, self.size = ours.margin, ours.size

    def forward(self, x: Tensor) -> Tensor:
        repeated = nn.Upsample(scale_factor=2)(x)
        y = F.conv2d(repeated, self.weight, self.bias, padding=self.padding)
        return y[:, :, : self.size[0], : self.size[1]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    side=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.sampled_from([1, 3, 5, 7]),
    valid=st.tuples(st.booleans(), st.booleans()),
    crop=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_repeat_and_convolve(
    side: tuple[int, int],
    kernel: int,
    valid: tuple[bool, bool],
    crop: tuple[int, int],
    channels: tuple[int, int],
) -> None:
    room = [2 * length - (kernel - 1) > 2 for length in side]
    padding = tuple(0 if v and r else kernel // 2 for v, r in zip(valid, room, strict=True))
    size = tuple(
        max(2 * length + 2 * p - kernel + 1 - cut, 1)
        for length, p, cut in zip(side, padding, crop, strict=True)
    )
    ours = RepeatConvolution(*channels, kernel, padding, size).double()  # type: ignore[arg-type]
    x = torch.randn(2, channels[0], *side, dtype=torch.float64)
    assert_equal(ours, Repeated(ours), x)


@pytest.mark.parametrize("outputs", range(1, FEW + 2))
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("inputs", [1, 5])
def test_few_outputs(outputs: int, kernel: int, inputs: int) -> None:
    ours = Convolution(inputs, outputs, kernel).double()
    plain = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2).double()
    plain.load_state_dict(ours.state_dict())
    assert_equal(ours, plain, torch.randn(3, inputs, 7, 5, dtype=torch.float64))


@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (2, 2)])
def test_any_padding(padding: tuple[int, int]) -> None:
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    weight, bias = torch.randn(2, 3, 3, 3).double(), torch.randn(2).double()
    torch.testing.assert_close(
        convolve(x, weight, bias, padding), F.conv2d(x, weight, bias, padding=padding), **CLOSE
    )


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 8), (9, 5)])
def test_transposed(kernel: int, size: tuple[int, int]) -> None:
    ours = TransposedConvolution(3, 4, kernel, size).double()
    plain = nn.ConvTranspose2d(
        3, 4, kernel, 2, kernel // 2, ((size[0] + 1) % 2, (size[1] + 1) % 2)
    ).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, -(-size[0] // 2), -(-size[1] // 2), dtype=torch.float64)
    assert ours(x).shape[2:] == size
    assert_equal(ours, plain, x)


def test_the_kernels_run_on_a_processor() -> None:
    x = torch.rand(2, 3, 4, 4)
    names = [
        type(module(x).grad_fn).__name__
        for module in (
            RepeatConvolution(3, 8, 3, (1, 1), (8, 8)),
            TransposedConvolution(3, 8, 3, (8, 8)),
        )
    ]
    assert names == ["_InterleaveBackward", "_TransposedConvolutionBackward"]


@pytest.mark.parametrize(
    "network",
    [
        Conv(channels=(4, 3, 5), down="pool", up="upsample", code="spatial", trim="valid"),
        Conv(channels=(4, 3), hidden=(6,)),
    ],
    ids=["pooled", "strided"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_whole_networks(network: Conv, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = network.build((channels, 13, 10), (channels, 13, 10), None, 1)
    model = nn.Sequential(pair.encoder, pair.decoder).double()
    x = torch.rand(3, channels, 13, 10, dtype=torch.float64)
    ours = gradients(model, x)
    monkeypatch.setattr(convolutions, "rewritten", lambda _: False)
    for a, b in zip(ours, gradients(model, x), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


def test_they_can_be_differentiated_twice() -> None:
    x = torch.rand(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    for module in (
        Convolution(2, 1, 3),
        RepeatConvolution(2, 1, 3, (1, 1), (5, 4)),
        RepeatConvolution(2, 5, 3, (0, 1), (4, 4)),
        TransposedConvolution(2, 2, 3, (5, 4)),
    ):
        assert torch.autograd.gradgradcheck(module.double(), x)


@pytest.mark.parametrize("up", ["transpose", "upsample"])
def test_they_can_be_mapped_over(up: str) -> None:
    """`torch.func` gives the Jacobian of a decoder, a batch of directions at once."""
    decoder = Conv(channels=(2, 3), up=up).build((1, 8, 8), (1, 8, 8), 2, 1).decoder  # type: ignore[arg-type]
    z = torch.randn(1, 2)
    jacobian = torch.func.jacrev(decoder)(z)
    columns = torch.autograd.functional.jacobian(decoder, z)
    torch.testing.assert_close(jacobian, columns)


@pytest.mark.parametrize("up", ["transpose", "upsample"])
def test_when_exported_they_are_plain(up: str) -> None:
    decoder = Conv(channels=(2, 3), up=up).build((1, 9, 8), (1, 9, 8), 2, 1).decoder.eval()  # type: ignore[arg-type]
    z = torch.randn(3, 2)
    program = torch.export.export(decoder, (z,))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.conv2d.default" in names
    assert not any("as_strided" in name or "copy" in name for name in names)
    torch.testing.assert_close(program.module()(z), decoder(z))


def test_bf16_keeps_the_gradients_in_float32() -> None:
    for module in (
        TransposedConvolution(3, 4, 3, (8, 8)),
        RepeatConvolution(3, 1, 3, (1, 1), (8, 8)),
    ):
        x = torch.rand(2, 3, 4, 4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = module(x)
        assert y.dtype == torch.bfloat16
        y.float().sum().backward()
        exact = copy.deepcopy(module)
        exact.zero_grad()
        exact(x).sum().backward()
        for a, b in zip(module.parameters(), exact.parameters(), strict=True):
            assert a.grad.dtype == torch.float32
            torch.testing.assert_close(a.grad, b.grad, rtol=0.02, atol=0.05)


def test_one_channel_is_laid_out_as_channels_last() -> None:
    x = torch.rand(5, 1, 4, 6)
    y = channels_last(x)
    assert y.stride() == (24, 1, 6, 1)
    assert y.data_ptr() == x.data_ptr()
    assert torch.equal(x, y)


def test_the_types_of_transposed_inputs_may_differ_under_autocast() -> None:
    x, weight, bias = torch.rand(1, 2, 3, 3).bfloat16(), torch.rand(2, 4, 3, 3), torch.rand(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert convolve_transposed(x, weight, bias, (1, 1)).dtype == torch.bfloat16
