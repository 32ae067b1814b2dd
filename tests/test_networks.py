"""Networks have the shapes and parameter counts of the documents, for pictures of every size."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from latente import Conv, Dense, ParameterError
from latente.model.convolutions import RepeatConvolution, TransposedConvolution
from latente.model.custom import Modules
from latente.model.network import Network, Pair
from latente.model.networks import NETWORKS


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def build(network: Network, shape: tuple[int, ...], code: int | None, heads: int = 1) -> Pair:
    torch.manual_seed(0)
    return network.build(shape, shape, code, heads)


def weights(*sizes: int) -> int:
    """Weights and biases of dense layers of those sizes."""
    return sum(a * b + b for a, b in pairwise(sizes))


DENSE = [
    (Dense(hidden=(5,), activation="sigmoid", code_activation="sigmoid"), (35, 5, 2)),
    (Dense(hidden=(15, 10)), (35, 15, 10, 5)),
    (Dense(hidden=()), (784, 32)),
    (Dense(hidden=()), (784, 64)),
    (Dense(hidden=(128, 64)), (784, 128, 64, 32)),
    (Dense(hidden=(512,)), (784, 512, 2)),
]


@pytest.mark.parametrize(("network", "sizes"), DENSE, ids=lambda v: str(v)[:40])
def test_dense_architectures_of_the_documents(network: Dense, sizes: tuple[int, ...]) -> None:
    pair = build(network, (sizes[0],), sizes[-1])
    assert count(pair.encoder) == weights(*sizes)
    assert count(pair.decoder) == weights(*sizes[::-1])


def test_the_keras_blogs_convolutional_code_4_4_8() -> None:
    network = Conv(channels=(16, 8, 8), down="pool", up="upsample", code="spatial", trim="valid")
    pair = build(network, (1, 28, 28), None)
    assert pair.code_shape == (8, 4, 4)
    assert count(pair.encoder) == 160 + 1160 + 584
    assert count(pair.decoder) == 584 + 584 + 1168 + 145


def test_the_convolutional_code_7_7_32() -> None:
    network = Conv(channels=(32, 32), down="pool", up="upsample", code="spatial")
    pair = build(network, (1, 28, 28), None)
    assert pair.code_shape == (32, 7, 7)
    assert count(pair.encoder) == 320 + 9248
    assert count(pair.decoder) == 9248 + 9248 + 289


def test_the_variational_one_has_69076_and_65089_parameters() -> None:
    network = Conv(
        channels=(32, 64), down="stride", up="transpose", hidden=(16,), decoder_hidden=()
    )
    pair = build(network, (1, 28, 28), 2, heads=2)
    assert count(pair.encoder) == 69_076
    assert count(pair.decoder) == 65_089


def test_tied_weights_halve_the_count_but_for_biases() -> None:
    free = build(Dense(hidden=(128,)), (784,), 32)
    tied = build(Dense(hidden=(128,), tied=True), (784,), 32)
    both = nn.ModuleList([tied.encoder, tied.decoder])
    assert count(tied.encoder) == count(free.encoder)
    assert count(both) == count(free.encoder) + 128 + 784
    z = torch.randn(3, 32)
    assert not [name for name in tied.decoder.state_dict() if name.endswith("weight")]
    first, second = tied.encoder.linears()
    h = functional.relu(functional.linear(z, second.weight.T))
    assert torch.allclose(tied.decoder(z), functional.linear(h, first.weight.T), atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (4, 9, 13)])
@pytest.mark.parametrize("heads", [1, 2])
def test_every_network_goes_there_and_back(name: str, shape: tuple[int, ...], heads: int) -> None:
    pair = build(NETWORKS[name](), shape, 5, heads)
    x = torch.randn(4, *shape)
    h = pair.encoder(x)
    assert pair.code_shape == (5,)
    assert h.shape == (4, 5 * heads)
    output = pair.decoder(h[:, :5])
    assert output.shape == x.shape
    output.square().sum().backward()
    for part in (pair.encoder, pair.decoder):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_depend_on_the_seed_alone_and_no_unit_starts_dead(name: str) -> None:
    one, two = (build(NETWORKS[name](), (1, 28, 28), 8) for _ in range(2))
    for a, b in zip(one.encoder.parameters(), two.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
    rectified = build(Dense(hidden=(), code_activation="relu"), (784,), 32)
    codes = rectified.encoder(torch.rand(500, 784))
    assert int((codes > 0).any(0).sum()) >= 28


SIDES = st.integers(4, 40)


@settings(max_examples=25)
@given(
    SIDES,
    SIDES,
    st.sampled_from(list(product(("stride", "pool"), ("transpose", "upsample")))),
    st.sampled_from(["vector", "spatial"]),
    st.sampled_from(["crop", "valid"]),
    st.sampled_from([3, 5]),
    st.integers(1, 3),
)
def test_pictures_of_every_size_come_back_in_theirs(
    height: int, width: int, ways: tuple[str, str], code: str, trim: str, kernel: int, depth: int
) -> None:
    if ways[1] == "transpose":
        trim = "crop"
    network = Conv(
        channels=(4, 6, 5)[:depth] if min(height, width) > 16 else (4,),
        down=ways[0], up=ways[1], code=code, trim=trim, kernel=kernel,
    )  # fmt: skip
    pair = build(network, (2, height, width), None)
    x = torch.randn(2, 2, height, width)
    assert pair.decoder(pair.encoder(x)).shape == x.shape


@pytest.mark.parametrize(("height", "width"), [(4, 4), (7, 5)])
def test_fast_layers_equal_the_plain_ones_with_their_gradients(height: int, width: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    size = (2 * height - 1, 2 * width)
    repeat = RepeatConvolution(3, 4, 3, (1, 1), size).double()
    transposed = TransposedConvolution(3, 4, 3, size).double()
    plain = {
        repeat: lambda x: functional.conv2d(
            functional.interpolate(x, scale_factor=2), repeat.weight, repeat.bias, padding=1
        )[:, :, : size[0], : size[1]],
        transposed: lambda x: functional.conv_transpose2d(
            x, transposed.weight, transposed.bias, stride=2, padding=1, output_padding=(0, 1)
        ),
    }
    for layer, reference in plain.items():
        for function in (layer, reference):
            given_ = x.clone().requires_grad_()
            output = function(given_)
            gradients = torch.autograd.grad(
                output.square().sum(), (given_, layer.weight, layer.bias)
            )
            if function is layer:
                ours, our_gradients = output, gradients
        assert torch.allclose(ours, output, atol=1e-10)
        for a, b in zip(our_gradients, gradients, strict=True):
            assert torch.allclose(a, b, atol=1e-9)


@pytest.mark.parametrize(
    ("network", "shape", "code", "words"),
    [
        (Conv(), (20,), 4, "dense"),
        (Conv(), (1, 3, 9), 4, "4×4"),
        (Conv(channels=(4, 4, 4, 4)), (1, 8, 8), 4, "at most"),
        (Conv(code="spatial"), (1, 28, 28), 4, "latent_dim=4"),
        (Dense(tied=True), (20,), 0, "latent_dim=0"),
    ],
)
def test_what_cannot_be_built_is_said(
    network: Network, shape: tuple[int, ...], code: int, words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        build(network, shape, code)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": ()}, {"channels": (0,)}, {"kernel": 4}, {"activation": "step"},
        {"down": "sideways"}, {"up": "sideways"}, {"code": "matrix"}, {"trim": "none"},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_parameter_of_conv_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Conv(**wrong)


def test_own_modules_tell_their_code_and_are_refused_where_they_do_not_fit() -> None:
    encoder, decoder = nn.Linear(6, 3), nn.Linear(3, 6)
    before = torch.get_rng_state()
    pair = Modules(encoder=encoder, decoder=decoder).build((6,), (6,), None, 1)
    assert pair.code_shape == (3,)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ParameterError):
        Modules(encoder=encoder, decoder=nn.Linear(3, 5)).build((6,), (6,), None, 1)
    with pytest.raises(ParameterError):
        Modules(encoder=encoder, decoder=decoder).build((7,), (7,), None, 1)
