"""Recurrent: sequences of one or several lengths, and text, through a code and back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from latente import Autoencoder, DataError, ParameterError
from latente.corruptions.base import Chain, resolve_corruptions
from latente.data.space import Space
from latente.networks.base import Context, NetworkModule
from latente.networks.recurrent import Recurrent

EVEN = Space(shape=(9, 3), layout="sequences", low=-1, high=1)
RAGGED = replace(EVEN, ragged=True)
LENGTHS = (9, 1, 4, 6)


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def built(space: Space = EVEN, *, per_code: int = 1, per_value: int = 1, **params: Any) -> Any:
    """Return a small network module for sequences of that space, coded into five numbers."""
    network = Recurrent(**{"hidden": 8, **params})
    return network.build(
        space, space, 5, per_code=per_code, per_value=per_value, generator=generator()
    )


def batch(space: Space = EVEN, seed: int = 1) -> Tensor:
    x = torch.randn(len(LENGTHS), *space.shape, generator=generator(seed))
    if not space.ragged:
        return x
    exists = (torch.arange(space.shape[0]) < torch.tensor(LENGTHS)[:, None]).float()[..., None]
    return torch.cat([x[..., :-1] * exists, exists], -1)


def waves(n: int, seed: int, steps: int = 16, *, ragged: bool = False) -> Any:
    """Return sines and cosines of many frequencies and phases; the second feature is large."""
    rng = np.random.default_rng(seed)
    frequency, phase = rng.uniform(1, 3, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    angle = 2 * np.pi * frequency * np.arange(steps) / steps + phase
    X = np.stack([np.sin(angle), 1000 * np.cos(angle)], -1) + rng.normal(0, [0.02, 20], (steps, 2))
    lengths = rng.integers(steps // 2, steps + 1, n)
    return [x[:k] for x, k in zip(X, lengths, strict=True)] if ragged else X


def fit(X: Any, epochs: int = 30, **keywords: Any) -> Autoencoder:
    network = keywords.pop("network", "recurrent(hidden=32)")
    settings = {"learning_rate": 0.01, "random_state": 0, "validation_fraction": 0.0, **keywords}
    return Autoencoder(4, network=network, epochs=epochs, **settings).fit(X)


def variance_kept(X: Any, back: Any) -> NDArray[np.float64]:
    """Return 1 − squared error / variance of each feature, over all steps."""
    true, made = np.concatenate(list(X)), np.concatenate(list(back))
    kept: NDArray[np.float64] = 1 - ((true - made) ** 2).mean(0) / true.var(0)
    return kept


class TestShapes:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize("feedback", [True, False])
    @pytest.mark.parametrize("space", [EVEN, RAGGED])
    def test_there_and_back(self, cell: str, layers: int, feedback: bool, space: Space) -> None:
        module = built(space, cell=cell, layers=layers, feedback=feedback, per_code=2, per_value=3)
        x = batch(space)
        h, context = module.encode(x)
        assert (h.shape, module.code_shape) == ((4, 10), (5,))
        raw = module.decode(h[:, :5], context)
        assert raw.shape == (4, 3, 9, 3)
        raw.square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
        assert built(space, cell=cell).decode(h[:, :5]).shape == (4, 9, 3)

    def test_a_variational_code_is_activated_at_its_mean_alone(self) -> None:
        mean, log_variance = (
            built(code_activation="sigmoid", per_code=2).encode(batch())[0].chunk(2, dim=1)
        )
        assert 0 < mean.min() < mean.max() < 1
        assert log_variance.min() < 0

    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_products_are_exact_in_any_precision(self, cell: str) -> None:
        module, x = built(cell=cell), batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h, context = module.encode(x)
            raw = module.decode(h, context._replace(target=x))
        assert torch.equal(h, module.encode(x)[0])
        assert raw.dtype == torch.float32
        raw.sum().backward()

    def test_only_sequences(self) -> None:
        for shape in ((7,), (1, 8, 8)):
            wrong = Space.of_shape(shape)
            with pytest.raises(ParameterError, match=r"works on sequences.*\(n, T, d\)"):
                Recurrent().build(wrong, EVEN, 5, per_code=1, per_value=1, generator=generator())
        assert Recurrent().layout() == "sequences"

    @pytest.mark.parametrize(
        "params",
        [
            {"cell": "rnn"}, {"hidden": 0}, {"layers": 0}, {"feedback": 1}, {"dropout": 1.0},
            {"bidirectional": "yes"}, {"teacher_forcing": 1.5}, {"code_activation": "relux"},
        ],
    )  # fmt: skip
    def test_parameters_are_checked(self, params: dict[str, Any]) -> None:
        with pytest.raises(ParameterError, match=next(iter(params))):
            Recurrent(**params)


class TestEncoder:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize("both", [True, False])
    def test_it_gives_what_a_packed_batch_gives(self, cell: str, layers: int, both: bool) -> None:
        module = built(RAGGED, cell=cell, layers=layers, bidirectional=both)
        x = batch(RAGGED)
        theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](
            2, 8, num_layers=layers, bidirectional=both, batch_first=True
        )
        for i in range(layers):
            for suffix, stack in (("", module.encoder.forth), ("_reverse", module.encoder.back)):
                for layer in stack[i : i + 1]:
                    for name, weight in layer.named_parameters():
                        own = name.replace("l0", f"l{i}") + suffix
                        theirs.get_parameter(own).data.copy_(weight)
        packed = nn.utils.rnn.pack_padded_sequence(
            x[..., :-1], torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
        last = theirs(packed)[1]
        last = last[0] if cell == "lstm" else last
        ends = torch.cat(list(last[-2:]) if both else [last[-1]], -1)
        torch.testing.assert_close(module.encode(x)[0], module.encoder.head(ends))

    def test_what_lies_behind_the_end_changes_nothing(self) -> None:
        module, x = built(RAGGED, layers=2), batch(RAGGED)
        dirty = torch.where(x[..., -1:] == 1, x, torch.tensor([7.0, -7.0, 0.0]))
        assert not torch.equal(x, dirty)
        assert torch.equal(module.encode(x)[0], module.encode(dirty)[0])

    def test_padding_does_not_change_codes(self) -> None:
        X = waves(40, 0, ragged=True)
        ae = fit(X, 2)
        together = ae.transform(X)
        for i in (0, 7, 23):
            assert np.array_equal(ae.transform([X[i]])[0], together[i])

    def test_padding_to_another_length_does_not_change_codes(self) -> None:
        module, x = built(RAGGED), batch(RAGGED)
        longer = nn.functional.pad(x, (0, 0, 0, 20))
        torch.testing.assert_close(module.encode(x)[0], module.encode(longer)[0], rtol=0, atol=1e-6)

    def test_it_reads_both_ends(self) -> None:
        x = batch()
        changed = x.clone()
        changed[:, -1] += 1
        for both in (True, False):
            encoder = built(bidirectional=both, layers=1).encoder
            first, second = (encoder._read(each) for each in (x, changed))
            assert not torch.equal(first, second)
            assert sum(p.numel() for p in encoder.back.parameters()) == (
                sum(p.numel() for p in encoder.forth.parameters()) if both else 0
            )

    def test_corruption_leaves_the_ends(self) -> None:
        x = batch(RAGGED)
        chain = Chain(resolve_corruptions(["gaussian_noise", "mask"]), RAGGED)
        seen = chain(x, generator())
        assert torch.equal(seen[..., -1], x[..., -1])
        assert not (seen[..., :-1] * (1 - x[..., -1:])).any()
        assert not torch.equal(seen, x)


class TestDecoder:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_forced_steps_are_the_same_at_once_and_one_by_one(self, cell: str) -> None:
        decoder = built(cell=cell, layers=2, teacher_forcing=1.0).decoder
        z, target = torch.randn(4, 5, generator=generator()), batch()
        at_once = decoder(z, target)
        one_by_one = decoder._split(decoder._step_by_step(z, target))
        torch.testing.assert_close(at_once, one_by_one)

    def test_each_step_sees_the_output_before_it(self) -> None:
        module, z = built(), torch.randn(4, 5, generator=generator())
        plain = module.decode(z)
        module.connect(lambda raw: 3 * raw)
        other = module.decode(z)
        assert torch.equal(plain[:, 0], other[:, 0])
        assert (plain[:, 1:] != other[:, 1:]).all()

    def test_teacher_forcing_acts_in_training_alone(self) -> None:
        x, z = batch(), torch.randn(4, 5, generator=generator())
        raws = {}
        for share in (0.0, 0.5, 1.0):
            module = built(teacher_forcing=share)
            module.seed(generator())
            context = Context(x, target=x)
            raws[share] = module.decode(z, context)
            used = module.eval().decode(z, Context(x))
            assert torch.equal(used, built(teacher_forcing=0.0).decode(z))
        assert not torch.equal(raws[0.0], raws[1.0])
        steps = (raws[0.5] - raws[1.0]).abs().sum(-1) > 1e-6
        assert steps.any()
        assert torch.equal(raws[0.0], built(feedback=True, teacher_forcing=0.0).decode(z))

    def test_several_draws_see_the_target_of_their_sample(self) -> None:
        module, x = built(teacher_forcing=1.0), batch()
        z = torch.randn(8, 5, generator=generator())
        raw = module.decode(z, Context(x, target=x))
        torch.testing.assert_close(raw[4:], module.decode(z[4:], Context(x, target=x)))

    def test_without_feedback_nothing_is_seen(self) -> None:
        module, x = built(feedback=False), batch()
        z = torch.randn(4, 5, generator=generator())
        assert torch.equal(module.decode(z, Context(x, target=x)), module.decode(z))


class TestWeights:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_they_begin_as_they_should(self, cell: str) -> None:
        module = built(cell=cell)
        for layer in (*module.encoder.forth, *module.encoder.back, *module.decoder.layers):
            for gate in layer.weight_hh_l0.split(8):
                torch.testing.assert_close(gate @ gate.T, torch.eye(8))
            for gate in layer.weight_ih_l0.split(8):
                assert 0 < gate.abs().max() <= (6 / (8 + gate.shape[1])) ** 0.5
            biases = layer.bias_ih_l0 + layer.bias_hh_l0
            forget = slice(8, 16)
            assert (biases[forget] == (1 if cell == "lstm" else 0)).all()
            assert biases.sum() == (8 if cell == "lstm" else 0)

    def test_they_come_from_the_generator_alone(self) -> None:
        before = torch.get_rng_state()
        first = built().state_dict()
        torch.rand(3)
        second = built().state_dict()
        torch.set_rng_state(before)
        assert all(torch.equal(first[name], second[name]) for name in first)
        fit(waves(20, 0), 2, network=Recurrent(hidden=4, dropout=0.3))
        assert torch.equal(torch.get_rng_state(), before)


def masks_of(module: NetworkModule, x: Tensor) -> Tensor:
    """Return which of the decoder's states are 0 at each step, (n, T, hidden)."""
    seen: list[Tensor] = []
    handle = module.decoder.head.register_forward_hook(lambda *io: seen.append(io[1][0]))  # type: ignore[union-attr, operator]
    h, context = module.encode(x)
    module.decode(h, context)
    handle.remove()
    return seen[0] == 0 if seen[0].dim() == 3 else torch.stack(seen, 1) == 0


@pytest.mark.parametrize("feedback", [True, False])
def test_dropout_is_the_same_at_every_step(feedback: bool) -> None:
    module = built(dropout=0.5, feedback=feedback)
    module.seed(generator())
    zero = masks_of(module.train(), batch())
    assert 0.2 < zero.float().mean() < 0.8
    assert (zero == zero[:, :1]).all()
    assert not masks_of(module.eval(), batch()).any()


class TestLearning:
    def test_unseen_series_come_back_each_feature_in_its_scale(self) -> None:
        X, unseen = waves(400, 0), waves(100, 1)
        ae, untrained = fit(X, 40), fit(X, 0)
        kept = variance_kept(unseen, ae.reconstruct(unseen))
        copied = variance_kept(unseen[:, 1:], unseen[:, :-1])
        assert (kept > 0.85).all()
        assert (kept > copied + 0.1).all()
        assert (variance_kept(unseen, untrained.reconstruct(unseen)) < 0.2).all()

    def test_series_of_several_lengths_come_back_with_theirs(self) -> None:
        X, unseen = waves(400, 0, ragged=True), waves(100, 1, ragged=True)
        ae = fit(X, 40)
        assert isinstance(ae.network_, Recurrent)
        back = ae.reconstruct(unseen)
        away = [abs(len(x) - len(y)) for x, y in zip(unseen, back, strict=True)]
        assert np.mean(away) < 0.5
        both = [(x[: len(y)], y[: len(x)]) for x, y in zip(unseen, back, strict=True)]
        assert (variance_kept(*zip(*both, strict=True)) > 0.8).all()
        assert ae.score(unseen) > fit(X, 0).score(unseen) / 2
        assert {x.shape[1] for x in ae.sample(5, random_state=0)} == {2}

    def test_a_sequence_unlike_the_others_scores_lower(self) -> None:
        X, unseen = waves(400, 0, ragged=True), waves(60, 1, ragged=True)
        ae = fit(X, 30)
        rng = np.random.default_rng(2)
        odd = [x[rng.permutation(len(x))] for x in unseen]
        for usual, strange in (
            (ae.score_samples(unseen), ae.score_samples(odd)),
            (-ae.reconstruction_error(unseen), -ae.reconstruction_error(odd)),
        ):
            assert (usual > np.median(strange)).mean() > 0.95

    @pytest.mark.parametrize(
        "keywords",
        [
            {"bottleneck": "gaussian"},
            {"bottleneck": "gaussian(samples=3)", "loss": "gaussian(scale=value)"},
            {"bottleneck": "sparse"},
            {"bottleneck": "contractive"},
            {"corruption": "gaussian_noise"},
            {"loss": "absolute(reduction=mean)"},
            {"network": "recurrent(hidden=16, layers=2, dropout=0.1, teacher_forcing=1)"},
            {"network": "recurrent(hidden=16, cell=lstm, feedback=False)"},
            {"precision": "bf16"},
        ],
    )
    def test_it_goes_with_the_other_parts(self, keywords: dict[str, Any]) -> None:
        X = waves(64, 0, ragged=True)
        ae = fit(X, 8, **{"network": "recurrent(hidden=16)", **keywords})
        losses = [record["total"] for record in ae.history_]
        assert losses[-1] < losses[0]
        assert np.isfinite(ae.score_samples(X)).all()

    def test_wrong_shapes_are_named(self) -> None:
        with pytest.raises(DataError, match=r"shape \(20, 6\), but layout='sequences' needs"):
            fit(np.zeros((20, 6)), 1)
        ae = fit(waves(20, 0), 1)
        with pytest.raises(DataError, match=r"sequences of 16 steps × 2 features"):
            ae.transform(waves(3, 0)[:, :, :1])
        ragged = fit(waves(20, 0, ragged=True), 1)
        with pytest.raises(DataError, match=r"3 features a step.*sequences of 2"):
            ragged.transform([np.zeros((4, 3))])


SCRIPT = """
import sys
import numpy as np
from latente import Autoencoder
X = np.load(sys.argv[2])
ae = Autoencoder.load(sys.argv[1])
Z = ae.transform(X)
np.savez(sys.argv[3], codes=Z, back=ae.inverse_transform(Z), scores=ae.score_samples(X))
"""


def test_a_file_gives_the_same_bits_in_another_process(tmp_path: Path) -> None:
    X = waves(60, 0)
    ae = fit(X, 3, network=Recurrent(cell="lstm", hidden=16, layers=2))
    ae.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "X.npy", X)
    paths = [str(tmp_path / name) for name in ("m.safetensors", "X.npy", "out.npz")]
    subprocess.run([sys.executable, "-c", SCRIPT, *paths], check=True)
    there = np.load(tmp_path / "out.npz")
    Z = ae.transform(X)
    assert np.array_equal(there["codes"], Z)
    assert np.array_equal(there["back"], ae.inverse_transform(Z))
    assert np.array_equal(there["scores"], ae.score_samples(X))


def test_its_steps_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shape depends on the data, and nothing is read back: a CUDA graph could hold a step."""
    read: list[str] = []
    for name in ("item", "tolist", "__bool__", "nonzero", "cpu"):
        original = getattr(Tensor, name)

        def spied(self: Tensor, *a: Any, _name: str = name, _do: Any = original, **k: Any) -> Any:
            read.append(_name)
            return _do(self, *a, **k)

        monkeypatch.setattr(Tensor, name, spied)
    module = built(RAGGED)
    module.seed(generator())
    x = batch(RAGGED)
    h, context = module.train().encode(x)
    module.decode(h, context._replace(target=x)).sum().backward()
    assert read == []


@pytest.mark.parametrize("ragged", [True, False])
def test_it_is_exported_for_batches_of_any_size(ragged: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X = waves(20, 0, 4, ragged=ragged)
    ae = fit(
        X, 1, network=Recurrent(hidden=3, cell="lstm" if ragged else "gru"), scaling="standard"
    )
    encoder, _ = ae.export_onnx(tmp_path)
    x = ae.fitted_.store(X)
    if ragged:
        x = ae.fitted_.input.convert(x)
    (codes,) = onnxruntime.InferenceSession(encoder).run(None, {"input": x.float().numpy()})
    assert np.allclose(codes, ae.transform(X), atol=1e-4)
