"""Networks: shapes, counts, errors, and the architectures that the documents name."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch import Tensor, nn

from latente import Conv, Dense, ParameterError
from latente.data.space import Space
from latente.networks import NETWORKS
from latente.networks.base import ACTIVATIONS, Network, NetworkModule
from latente.networks.conv import doubled, halved, halvings
from latente.networks.custom import Modules
from latente.networks.layers import activation
from latente.parts import from_json, resolve, to_json

PICTORIAL = [name for name in NETWORKS if NETWORKS[name]().layout() == "auto"]
PICTURES = [(1, 28, 28), (3, 17, 12), (4, 4, 5), (2, 9, 9)]


def built(
    network: Network,
    shape: tuple[int, ...],
    target: tuple[int, ...] | None = None,
    latent_dim: int | None = None,
    per_code: int = 1,
    seed: int = 0,
    per_value: int = 1,
) -> NetworkModule:
    return network.build(
        Space.of_shape(shape),
        Space.of_shape(target or shape),
        latent_dim,
        per_code=per_code,
        per_value=per_value,
        generator=torch.Generator().manual_seed(seed),
    )


def size(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def weights(pair: NetworkModule) -> list[Tensor]:
    return [*pair.encoder.parameters(), *pair.decoder.parameters()]


@pytest.mark.parametrize("name", PICTORIAL)
class TestContract:
    @pytest.mark.parametrize("shape", PICTURES)
    @pytest.mark.parametrize("per_code", [1, 2])
    def test_shapes_go_there_and_back(
        self, name: str, shape: tuple[int, ...], per_code: int
    ) -> None:
        pair = built(NETWORKS[name](), shape, latent_dim=3, per_code=per_code)
        assert pair.code_shape == (3,)
        assert pair.encoder(torch.rand(5, *shape)).shape == (5, 3 * per_code)
        assert pair.decoder(torch.randn(5, 3)).shape == (5, *shape)

    def test_the_code_has_a_size_of_its_own_where_none_is_given(self, name: str) -> None:
        pair = built(NETWORKS[name](), (1, 12, 12))
        assert pair.code_shape == (16,)

    def test_targets_may_have_other_channels(self, name: str) -> None:
        pair = built(NETWORKS[name](), (1, 9, 10), (3, 9, 10))
        code = pair.encoder(torch.rand(2, 1, 9, 10))
        assert pair.decoder(code).shape == (2, 3, 9, 10)

    def test_several_numbers_for_each_value_have_an_axis(self, name: str) -> None:
        pair = built(NETWORKS[name](), (1, 9, 10), (3, 9, 10), per_value=2)
        assert pair.decode(torch.randn(4, *pair.code_shape)).shape == (4, 2, 3, 9, 10)

    def test_gradient_reaches_every_parameter(self, name: str) -> None:
        pair = built(NETWORKS[name](activation="elu"), (1, 13, 9), latent_dim=4)
        pair.decoder(pair.encoder(torch.rand(6, 1, 13, 9))).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in weights(pair))

    def test_the_same_seed_gives_the_same_weights(self, name: str) -> None:
        one, two, other = (built(NETWORKS[name](), (1, 8, 8), seed=seed) for seed in (1, 1, 2))
        assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))
        assert not torch.equal(weights(one)[0], weights(other)[0])

    def test_its_state_can_be_saved_and_loaded(self, name: str) -> None:
        one, two = built(NETWORKS[name](), (1, 8, 8)), built(NETWORKS[name](), (1, 8, 8), seed=1)
        two.encoder.load_state_dict(one.encoder.state_dict())
        two.decoder.load_state_dict(one.decoder.state_dict())
        x = torch.rand(3, 1, 8, 8)
        assert torch.equal(two.decoder(two.encoder(x)), one.decoder(one.encoder(x)))

    def test_parameters_clone_and_survive_json(self, name: str) -> None:
        network = NETWORKS[name](activation="tanh", output_activation="sigmoid")
        assert clone(network) == network
        text = json.dumps(to_json(network, NETWORKS), allow_nan=False)
        assert from_json(json.loads(text), NETWORKS, "network") == network
        assert network.set_params(activation="relu").activation == "relu"

    def test_an_unknown_activation_is_named_with_those_there_are(self, name: str) -> None:
        for parameter in ("activation", "code_activation", "output_activation"):
            with pytest.raises(ParameterError, match=f"{parameter}='rleu'.*identity, relu, .*sigm"):
                NETWORKS[name](**{parameter: "rleu"})

    def test_the_code_is_a_whole_number(self, name: str) -> None:
        for wrong in (0, -1, 2.5, True):
            with pytest.raises(ParameterError, match="latent_dim"):
                built(NETWORKS[name](), (1, 8, 8), latent_dim=wrong)  # type: ignore[arg-type]

    def test_a_variational_code_is_activated_at_its_mean_alone(self, name: str) -> None:
        network = NETWORKS[name](code_activation="sigmoid")
        pair = built(network, (1, 8, 8), latent_dim=64, per_code=2)
        mean, log_variance = pair.encoder(torch.randn(50, 1, 8, 8)).chunk(2, dim=1)
        assert 0 < mean.min() < mean.max() < 1
        assert log_variance.min() < 0

    def test_it_runs_in_bf16(self, name: str) -> None:
        pair = built(NETWORKS[name](), (1, 12, 12))
        x = torch.rand(4, 1, 12, 12)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = pair.decoder(pair.encoder(x))
        y.float().sum().backward()
        exact = pair.decoder(pair.encoder(x))
        assert (y - exact).abs().max() < 0.02
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in weights(pair))


class TestDense:
    @pytest.mark.parametrize(
        ("network", "features", "code", "per_code", "count"),
        [
            (Dense(hidden=(5,), activation="sigmoid"), 35, 2, 1, 180 + 12 + 15 + 210),
            (Dense(hidden=()), 784, 32, 1, 25120 + 25872),
            (Dense(hidden=(128, 64)), 784, 32, 1, 110816 + 111568),
            (Dense(hidden=(512,)), 784, 2, 1, 401920 + 1026 + 1536 + 402192),
            (Dense(hidden=(512,)), 784, 16, 2, 401920 + 16416 + 8704 + 402192),
            (Dense(hidden=(15, 10)), 35, 5, 1, 540 + 160 + 55 + 60 + 165 + 560),
        ],
        ids=["35-5-2", "784-32", "784-128-64-32", "784-512-2", "784-512-16 vae", "35-15-10-5"],
    )
    def test_counts(
        self, network: Dense, features: int, code: int, per_code: int, count: int
    ) -> None:
        pair = built(network, (features,), latent_dim=code, per_code=per_code)
        assert size(pair.encoder, pair.decoder) == count

    def test_layers_are_those_asked_for(self) -> None:
        network = Dense(hidden=(5,), activation="sigmoid", code_activation="tanh", dropout=0.25)
        pair = built(network, (35,), latent_dim=2)
        kinds = [type(module).__name__ for module in pair.encoder.children()]
        assert kinds == ["Flatten", "DenseLayer", "Sigmoid", "Dropout", "DenseLayer", "Tanh"]
        kinds = [type(module).__name__ for module in pair.decoder.children()]
        assert kinds == ["DenseLayer", "Sigmoid", "Dropout", "DenseLayer"]

    def test_rows_and_targets_of_another_width(self) -> None:
        pair = built(Dense(), (7,), (3,))
        assert pair.decoder(pair.encoder(torch.rand(2, 7))).shape == (2, 3)

    def test_dropout_acts_in_training_alone(self) -> None:
        pair = built(Dense(hidden=(64,), dropout=0.5), (10,))
        x = torch.rand(4, 10)
        pair.seed(torch.Generator().manual_seed(0))
        assert not torch.equal(pair.encoder(x), pair.encoder(x))
        again = [pair.seed(torch.Generator().manual_seed(1)) or pair.encoder(x) for _ in range(2)]
        assert torch.equal(*again)
        assert torch.equal(pair.encoder.eval()(x), pair.encoder(x))

    @pytest.mark.parametrize("wrong", [5, "512", (0,), (2.5,), None])
    def test_wrong_sizes(self, wrong: object) -> None:
        with pytest.raises(ParameterError, match="hidden must be a sequence of whole numbers"):
            Dense(hidden=wrong)  # type: ignore[arg-type]

    @pytest.mark.parametrize("wrong", [1.0, -0.1, "a"])
    def test_wrong_dropout(self, wrong: object) -> None:
        with pytest.raises(ParameterError, match="dropout must be a number from 0 to below 1"):
            Dense(dropout=wrong)  # type: ignore[arg-type]

    def test_activations_have_their_names(self) -> None:
        x = torch.linspace(-3, 3, 7)
        for name in ACTIVATIONS:
            function = getattr(torch.nn.functional, name, lambda x: x)
            assert torch.equal(activation(name)(x), function(x))
        with pytest.raises(ParameterError, match="choose identity, relu"):
            activation("softmax")


class TestTied:
    def test_the_count_halves_but_for_biases(self) -> None:
        free = built(Dense(hidden=(20, 10)), (30,), latent_dim=4)
        tied = built(Dense(hidden=(20, 10), tied=True), (30,), latent_dim=4)
        model = nn.ModuleList([tied.encoder, tied.decoder])
        products = 30 * 20 + 20 * 10 + 10 * 4
        assert size(free.encoder, free.decoder) - size(model) == products

    def test_the_decoder_goes_back_through_the_same_weights(self) -> None:
        pair = built(Dense(hidden=(), tied=True), (6,), latent_dim=3)
        z = torch.randn(4, 3)
        weight = pair.encoder[1].weight  # type: ignore[index]
        bias = pair.decoder[0].bias  # type: ignore[index]
        torch.testing.assert_close(pair.decoder(z), z @ weight + bias)

    def test_the_state_holds_each_weight_once_and_loads(self) -> None:
        network = Dense(hidden=(5,), tied=True)
        one, two = built(network, (8,), latent_dim=2), built(network, (8,), latent_dim=2, seed=1)
        one_model, two_model = (nn.ModuleList([p.encoder, p.decoder]) for p in (one, two))
        state = one_model.state_dict()
        assert len(state) == 2 * 2 + 2
        two_model.load_state_dict(state)
        x = torch.rand(3, 8)
        assert torch.equal(two.decoder(two.encoder(x)), one.decoder(one.encoder(x)))
        assert two.decoder[0].weight is two.encoder[3].weight  # type: ignore[index]

    def test_the_tie_survives_copying_moving_and_training(self) -> None:
        pair = built(Dense(hidden=(5,), tied=True), (8,), latent_dim=2)
        model = copy.deepcopy(nn.Sequential(pair.encoder, pair.decoder)).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        assert len(optimizer.param_groups[0]["params"]) == 2 * 2 + 2
        x = torch.rand(4, 8, dtype=torch.float64)
        (model(x) - x).square().sum().backward()
        optimizer.step()
        assert model[1][0].weight is model[0][3].weight  # type: ignore[index]
        alone = copy.deepcopy(model[1])
        assert torch.equal(alone(model[0](x)), model(x))

    def test_a_variational_code_is_tied_at_its_mean(self) -> None:
        pair = built(Dense(hidden=(), tied=True), (6,), latent_dim=3, per_code=2)
        z = torch.randn(4, 3)
        weight = pair.encoder[1].weight[:3]  # type: ignore[index]
        bias = pair.decoder[0].bias  # type: ignore[index]
        torch.testing.assert_close(pair.decoder(z), z @ weight + bias)

    def test_other_targets_cannot_be_tied(self) -> None:
        with pytest.raises(ParameterError, match="tied must be False where the decoder gives 27"):
            built(Dense(tied=True), (1, 3, 3), (3, 3, 3))


class TestConv:
    def test_the_codes_of_the_keras_tutorial(self) -> None:
        network = Conv(
            channels=(16, 8, 8), down="pool", up="upsample", code="spatial", trim="valid"
        )
        pair = built(network, (1, 28, 28))
        assert pair.code_shape == (8, 4, 4)
        assert size(pair.encoder) == 160 + 1160 + 584
        assert size(pair.decoder) == 584 + 584 + 1168 + 145
        assert size(pair.encoder, pair.decoder) == 4385
        plan = doubled(halved((28, 28), 3), 3, valid=True)
        assert [stage.size[0] for stage in plan] == [4, 8, 14, 28]
        assert [stage.padding[0] for stage in plan] == [1, 1, 0, 1]

    def test_the_denoising_codes_of_the_keras_tutorial(self) -> None:
        network = Conv(channels=(32, 32), down="pool", up="upsample", code="spatial")
        pair = built(network, (1, 28, 28))
        assert pair.code_shape == (32, 7, 7)
        assert size(pair.encoder) == 320 + 9248
        assert size(pair.decoder) == 9248 + 9248 + 289

    def test_the_variational_one_of_the_keras_tutorial(self) -> None:
        network = resolve("conv(hidden=[16], decoder_hidden=[])", NETWORKS, "network")
        pair = built(network, (1, 28, 28), latent_dim=2, per_code=2)
        assert size(pair.encoder) == 69_076
        assert size(pair.decoder) == 65_089

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        height=st.integers(4, 40),
        width=st.integers(4, 40),
        kernel=st.sampled_from([1, 3, 5, 7]),
        down=st.sampled_from(["stride", "pool"]),
        up=st.sampled_from(["transpose", "upsample"]),
        code=st.sampled_from(["vector", "spatial"]),
        trim=st.sampled_from(["crop", "valid"]),
        channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        depth=st.integers(1, 3),
        per_code=st.integers(1, 2),
    )
    def test_every_size_comes_back_exactly(
        self,
        height: int,
        width: int,
        kernel: int,
        down: str,
        up: str,
        code: str,
        trim: str,
        channels: tuple[int, int],
        depth: int,
        per_code: int,
    ) -> None:
        network = Conv(
            channels=(3, 2, 5)[: min(depth, halvings((height, width)))],
            kernel=kernel,
            down=down,  # type: ignore[arg-type]
            up=up,  # type: ignore[arg-type]
            code=code,  # type: ignore[arg-type]
            trim=trim if up == "upsample" else "crop",  # type: ignore[arg-type]
        )
        shape, target = (channels[0], height, width), (channels[1], height, width)
        pair = built(network, shape, target, per_code=per_code)
        h = pair.encoder(torch.rand(2, *shape))
        assert h.shape == (2, per_code * pair.code_shape[0], *pair.code_shape[1:])
        assert pair.decoder(torch.randn(2, *pair.code_shape)).shape == (2, *target)

    def test_dense_layers_on_either_side(self) -> None:
        pair = built(Conv(channels=(4,), hidden=(20, 10)), (1, 8, 8), latent_dim=3)
        widths = [m.out_features for m in pair.encoder if isinstance(m, nn.Linear)]  # type: ignore[union-attr]
        assert widths == [20, 10, 3]
        widths = [m.out_features for m in pair.decoder if isinstance(m, nn.Linear)]  # type: ignore[union-attr]
        assert widths == [10, 20, 64]
        pair = built(Conv(channels=(4,), hidden=(20,), decoder_hidden=(7,)), (1, 8, 8))
        widths = [m.out_features for m in pair.decoder if isinstance(m, nn.Linear)]  # type: ignore[union-attr]
        assert widths == [7, 64]

    def test_a_spatial_code_of_its_own_channels(self) -> None:
        network = Conv(code="spatial", code_channels=2, code_activation="sigmoid")
        pair = built(network, (1, 28, 28))
        assert pair.code_shape == (2, 7, 7)
        code = pair.encoder(torch.rand(2, 1, 28, 28))
        assert 0 < code.min() < code.max() < 1

    def test_a_latent_dim_must_agree_with_a_spatial_code(self) -> None:
        network = Conv(channels=(6, 4), code="spatial")
        assert built(network, (1, 8, 8), latent_dim=16).code_shape == (4, 2, 2)
        with pytest.raises(ParameterError, match=r"latent_dim=10.*4×2×2 = 16 values"):
            built(network, (1, 8, 8), latent_dim=10)

    def test_every_activation_serves_before_and_after_a_pool(self) -> None:
        x = torch.randn(3, 1, 9, 9)
        for name in ACTIVATIONS:
            network = Conv(channels=(2,), down="pool", activation=name, code="spatial")
            encoder = built(network, (1, 9, 9)).encoder
            convolution = next(m for m in encoder if isinstance(m, nn.Conv2d))  # type: ignore[union-attr]
            plain = nn.functional.conv2d(x, convolution.weight, convolution.bias, padding=1)
            plain = nn.functional.max_pool2d(activation(name)(plain), 2, ceil_mode=True)
            torch.testing.assert_close(encoder(x), plain)

    def test_inputs_are_left_as_they_are(self) -> None:
        pair = built(Conv(channels=(2,), down="pool", up="upsample", code="spatial"), (2, 8, 8))
        x = torch.randn(2, 2, 8, 8)
        z = torch.randn(2, 2, 4, 4)
        before = x.clone(), z.clone()
        pair.encoder(x)
        pair.decoder(z)
        assert torch.equal(x, before[0])
        assert torch.equal(z, before[1])

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"channels": ()}, "channels must be a sequence .* at least 1 of them"),
            ({"channels": (8, 0)}, "channels must be a sequence of whole numbers from 1"),
            ({"channels": 32}, "channels must be"),
            ({"kernel": 4}, "kernel must be an odd whole number"),
            ({"kernel": 0}, "kernel must be an odd whole number"),
            ({"down": "max"}, "down must be 'stride' or 'pool'"),
            ({"up": "nearest"}, "up must be 'transpose' or 'upsample'"),
            ({"code": "map"}, "code must be 'vector' or 'spatial'"),
            ({"trim": "same"}, "trim must be 'crop' or 'valid'"),
            ({"trim": "valid"}, "trim must be 'crop' with up='transpose'"),
            ({"code": "spatial", "hidden": (16,)}, "hidden must be empty with code='spatial'"),
            ({"code_channels": 4}, "code_channels must be None with code='vector'"),
            ({"code": "spatial", "code_channels": 0}, "code_channels must be None or a whole"),
            ({"hidden": (-3,)}, "hidden must be"),
            ({"decoder_hidden": 3}, "decoder_hidden must be"),
        ],
    )
    def test_wrong_parameters(self, params: dict[str, object], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            Conv(**params)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("network", "shape", "target", "message"),
        [
            (Conv(), (12,), (12,), "rows of 12 values: use network='dense'"),
            (Conv(), (1, 8, 8), (64,), "the target has rows of 64 values"),
            (Conv(), (1, 3, 9), (1, 3, 9), "4×4 and more, these are 3×9: use network='dense'"),
            (Conv(), (1, 8, 8), (1, 9, 8), "size, 8×8, but the targets are 9×8"),
            (
                Conv(channels=(4, 4, 4)),
                (1, 4, 40),
                (1, 4, 40),
                "channels must be at most 2 numbers for pictures of 4×40",
            ),
        ],
    )
    def test_wrong_data(
        self, network: Conv, shape: tuple[int, ...], target: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(ParameterError, match=message):
            built(network, shape, target)


class TestGeometry:
    @given(height=st.integers(4, 300), width=st.integers(4, 300))
    def test_as_many_halvings_as_said(self, height: int, width: int) -> None:
        times = halvings((height, width))
        sizes = halved((height, width), times)
        assert min(sizes[-1]) == 1
        assert min(sizes[-2]) == 2

    @given(side=st.integers(4, 300), kernel=st.sampled_from([1, 3, 5, 7]), valid=st.booleans())
    def test_convolutions_reach_the_sizes_planned(
        self, side: int, kernel: int, valid: bool
    ) -> None:
        lengths = halved((side, side), halvings((side, side)))
        size, plan = 0, doubled(lengths, kernel, valid=valid)
        for stage in plan:
            size = 2 * size or lengths[-1][0]
            given = size + 2 * stage.padding[0] - (kernel - 1)
            assert given >= stage.size[0]
            size = stage.size[0]
        assert size == side


class TestModules:
    def pair(self) -> tuple[nn.Module, nn.Module]:
        return (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6)),
            nn.Sequential(nn.Linear(6, 12), nn.Unflatten(1, (1, 3, 4))),
        )

    def test_the_code_is_what_the_encoder_returns(self) -> None:
        encoder, decoder = self.pair()
        network = Modules(encoder=encoder, decoder=decoder)
        assert built(network, (1, 3, 4)).code_shape == (6,)
        assert built(network, (1, 3, 4), latent_dim=6).code_shape == (6,)

    def test_trying_them_leaves_no_trace(self) -> None:
        encoder, decoder = self.pair()
        encoder.append(nn.Dropout(0.5))  # type: ignore[operator]
        state = copy.deepcopy(encoder.state_dict())
        before = torch.get_rng_state()
        pair = built(Modules(encoder=encoder, decoder=decoder), (1, 3, 4))
        assert torch.equal(torch.get_rng_state(), before)
        assert pair.encoder.training
        for name, value in pair.encoder.state_dict().items():
            assert torch.equal(value, state[name])

    def test_the_modules_given_are_copied(self) -> None:
        encoder, decoder = self.pair()
        pair = built(Modules(encoder=encoder, decoder=decoder), (1, 3, 4))
        with torch.no_grad():
            pair.encoder[1].weight.zero_()  # type: ignore[index,union-attr]
        assert encoder[1].weight.abs().sum() > 0  # type: ignore[index,union-attr]

    def test_weights_they_share_stay_shared(self) -> None:
        shared = nn.Linear(4, 4)
        pair = built(Modules(encoder=nn.Sequential(shared), decoder=nn.Sequential(shared)), (4,))
        assert pair.encoder[0] is pair.decoder[0]  # type: ignore[index]

    def test_a_spatial_code_with_two_per_code(self) -> None:
        encoder, decoder = nn.Conv2d(1, 6, 2, 2), nn.ConvTranspose2d(3, 1, 2, 2)
        network = Modules(encoder=encoder, decoder=decoder)
        assert built(network, (1, 4, 6), per_code=2).code_shape == (3, 2, 3)

    @pytest.mark.parametrize(
        ("encoder", "decoder", "latent_dim", "per_code", "message"),
        [
            (nn.Linear(5, 2), nn.Linear(2, 4), None, 1, r"encoder cannot take .*\(2, 4\)"),
            (nn.Linear(4, 3), nn.Linear(2, 4), None, 1, r"decoder cannot take .*\(2, 3\)"),
            (nn.Linear(4, 3), nn.Linear(3, 5), None, 1, r"into \(2, 5\), but .* \(2, 4\)"),
            (nn.Linear(4, 3), nn.Linear(3, 4), None, 2, r"into \(2, 3\), .*\(n, 2 · channels"),
            (nn.Linear(4, 3), nn.Linear(3, 4), 2, 1, "latent_dim=2: .* codes of 3 values"),
            (nn.Flatten(0), nn.Linear(3, 4), None, 1, r"a batch of 2 into \(8,\)"),
            (nn.GRU(4, 3), nn.Linear(3, 4), None, 1, "encoder must return a tensor, not tuple"),
        ],
    )
    def test_what_does_not_fit_is_told(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int | None,
        per_code: int,
        message: str,
    ) -> None:
        with pytest.raises(ParameterError, match=message):
            built(
                Modules(encoder=encoder, decoder=decoder),
                (4,),
                latent_dim=latent_dim,
                per_code=per_code,
            )

    def test_they_must_be_modules(self) -> None:
        with pytest.raises(ParameterError, match=r"encoder must be a torch.nn.Module, not int"):
            Modules(encoder=1, decoder=nn.Linear(1, 1))  # type: ignore[arg-type]


def test_the_parts_load_without_torch() -> None:
    code = "import sys, latente.families; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_tied_networks_export() -> None:
    """A tied decoder can be traced alone, its state without the weight notwithstanding."""
    decoder = built(Dense(hidden=(4,), tied=True), (6,), latent_dim=2).decoder.eval()
    z = torch.randn(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(decoder, (z,))
    torch.testing.assert_close(program.module()(z), decoder(z))
