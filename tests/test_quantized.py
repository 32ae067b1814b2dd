"""Codes of a codebook and codes of levels: learned, used, and the same as whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from latente import datasets
from latente.bottlenecks.base import Bottleneck, Draw, Encoding, Moment, perplexity
from latente.bottlenecks.finite_scalar import FiniteScalar
from latente.bottlenecks.frequencies import TOTAL, WIDEST, Frequencies
from latente.bottlenecks.vector_quantized import VectorQuantized, VectorQuantizedModule
from latente.errors import DataError, ParameterError
from latente.estimator import Autoencoder

SPATIAL = "conv(channels=(16,32), code=spatial, code_channels=4)"
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("vector_quantized", {"latent_dim": 8}),
    ("vector_quantized(size=8, codes=64)", {"latent_dim": 8}),
    ("vector_quantized(decay=None, codes=64)", {"latent_dim": 8}),
    ("vector_quantized(codes=64)", {"network": SPATIAL}),
    ("vector_quantized(codes=64, size=2)", {"network": SPATIAL}),
    ("finite_scalar(levels=3)", {"latent_dim": 8}),
    ("finite_scalar(levels=(8, 5, 5))", {"latent_dim": 8}),
    ("finite_scalar(levels=5)", {"network": SPATIAL}),
]
DIGITS = datasets.load("digits")
X, HELD_OUT = DIGITS.X, DIGITS.X_test
FITTED: dict[tuple[str, int], Autoencoder] = {}


def fit(bottleneck: str | Bottleneck, epochs: int = 12, **keywords: Any) -> Autoencoder:
    shared = {"network": "dense", "learning_rate": 2e-3, "random_state": 0, "device": "cpu"}
    keywords = shared | keywords
    return Autoencoder(bottleneck=bottleneck, epochs=epochs, **keywords).fit(X)


@pytest.fixture(params=range(len(VARIANTS)), ids=[f"{b}-{[*k]}" for b, k in VARIANTS])
def trained(request: pytest.FixtureRequest) -> Autoencoder:
    name, keywords = VARIANTS[request.param]
    key = (name, request.param)
    if key not in FITTED:
        FITTED[key] = fit(name, epochs=20, **keywords)
    return FITTED[key]


def module(part: Bottleneck, *shape: int, seed: int = 0) -> Any:
    return part.build(shape, (1,), torch.Generator().manual_seed(seed))


def drawn(bottleneck: Any, h: Tensor, seed: int = 0) -> Draw:
    encoding = Encoding(h, lambda x: x, lambda generator, n: h, lambda: h)
    draw: Draw = bottleneck.draw(encoding, Moment(torch.Generator().manual_seed(seed)))
    return draw


def data(rows: int = 64, numbers: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(rows, numbers, generator=torch.Generator().manual_seed(seed))


def test_trained_beats_untrained_and_the_mean(trained: Autoencoder) -> None:
    untrained = Autoencoder(**{**trained.get_params(deep=False), "epochs": 0}).fit(X)
    error = trained.reconstruction_error(HELD_OUT).mean()
    scaled = HELD_OUT.reshape(len(HELD_OUT), -1) / X.max()
    assert error < 0.6 * untrained.reconstruction_error(HELD_OUT).mean()
    assert error < 0.6 * scaled.var(0).mean()


def test_terms_are_in_the_history(trained: Autoencoder) -> None:
    last = trained.history_[-1]
    assert last["codebook_use"] > 0.3
    assert last["validation_perplexity"] > 2
    quantized = "commitment" in last
    priced = 0.25 * last["commitment"] + last.get("codebook", 0.0) if quantized else 0.0
    assert last["total"] == pytest.approx(last["reconstruction"] + priced, rel=1e-4)
    assert trained.codebook_use_ > 0.3
    assert trained.perplexity_ > 2


def test_integers_and_codes_are_the_same(trained: Autoencoder) -> None:
    numbers, Z = trained.transform(HELD_OUT, integers=True), trained.transform(HELD_OUT)
    assert numbers.dtype == np.int64
    assert numbers.min() >= 0
    assert len(np.unique(numbers, axis=0)) > 10
    np.testing.assert_array_equal(trained.inverse_transform(Z), trained.reconstruct(HELD_OUT))
    np.testing.assert_array_equal(
        trained.inverse_transform(numbers, integers=True), trained.reconstruct(HELD_OUT)
    )
    codes = trained.fitted_.model.bottleneck.from_integers(torch.from_numpy(numbers))
    np.testing.assert_array_equal(codes.detach().flatten(1).numpy(), Z)
    again = trained.fitted_.model.bottleneck.to_integers(codes)
    np.testing.assert_array_equal(again.numpy(), numbers)


def test_integers_that_stand_for_nothing(trained: Autoencoder) -> None:
    numbers = trained.transform(HELD_OUT[:3], integers=True)
    high, negative = numbers.copy(), numbers.copy()
    high[1, 1 % numbers.shape[1]] = 5000
    negative[2, 0] = -1
    with pytest.raises(DataError, match=r"row 1, column \d of the codes is 5000; .* from 0 to \d+"):
        trained.inverse_transform(high, integers=True)
    with pytest.raises(DataError, match=r"row 2, column 0 of the codes is -1"):
        trained.inverse_transform(negative, integers=True)
    with pytest.raises(DataError, match=rf"shape \(n, {numbers.shape[1]}\), these have"):
        trained.inverse_transform(np.repeat(numbers, 2, axis=1), integers=True)


def test_samples_are_allowed_codes(trained: Autoencoder) -> None:
    fitted, generator = trained.fitted_, torch.Generator().manual_seed(0)
    bottleneck = fitted.model.bottleneck
    z = fitted.model.sample(50, generator, fitted.codes)
    assert torch.equal(bottleneck.from_integers(bottleneck.to_integers(z)), z)
    assert len(torch.unique(bottleneck.to_integers(z), dim=0)) > 5
    assert trained.sample(7, random_state=0).shape == (7, *X.shape[1:])
    np.testing.assert_array_equal(trained.sample(7, random_state=1), trained.sample(7, 1))
    # Nearer to the data than codes of random words.
    highest = trained.transform(X, integers=True).max(0) + 1
    random = np.random.default_rng(0).integers(0, highest, (200, len(highest)))
    rows = X.reshape(len(X), -1)

    def apart(samples: Any) -> float:
        a = torch.from_numpy(np.asarray(samples, np.float32).reshape(len(samples), -1))
        return float(torch.cdist(a, torch.from_numpy(rows)).min(1).values.mean())

    if bottleneck.to_integers(z).shape[1] > 1:
        noise = apart(trained.inverse_transform(random, integers=True))
        assert apart(trained.sample(200, 0)) < noise


def test_saved_and_loaded(trained: Autoencoder, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.safetensors")
    loaded = Autoencoder.load(tmp_path / "model.safetensors")
    for integers in (False, True):
        np.testing.assert_array_equal(
            loaded.transform(HELD_OUT, integers=integers),
            trained.transform(HELD_OUT, integers=integers),
        )
    np.testing.assert_array_equal(loaded.reconstruct(HELD_OUT), trained.reconstruct(HELD_OUT))
    np.testing.assert_array_equal(loaded.sample(5, 0), trained.sample(5, 0))
    np.testing.assert_array_equal(loaded.score_samples(HELD_OUT), trained.score_samples(HELD_OUT))
    np.testing.assert_array_equal(loaded.fitted_.tables.counts, trained.fitted_.tables.counts)
    assert loaded.perplexity_ == trained.perplexity_


class Stop:
    def on_epoch_end(self, state: Any) -> None:
        state.stop = state.epoch == 2


@pytest.mark.parametrize(
    "bottleneck",
    ["vector_quantized(restart=2)", "vector_quantized(decay=None, restart=2)", "finite_scalar"],
)
def test_resumed_from_a_checkpoint(bottleneck: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "latent_dim": 8, "bottleneck": bottleneck, "epochs": 4, "random_state": 0, "device": "cpu",
    }  # fmt: skip
    whole = Autoencoder(**settings).fit(X)
    stopped = Autoencoder(**settings, callbacks=Stop()).fit(X, checkpoint=tmp_path)
    assert stopped.epochs_ == 2
    resumed = Autoencoder(**settings).fit(X, checkpoint=tmp_path)
    names = ("total", "perplexity", "codebook_use")
    for name in names:
        assert [r[name] for r in resumed.history_] == [r[name] for r in whole.history_]
    state = whole.fitted_.model.state_dict()
    for name, value in resumed.fitted_.model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_bits_of_the_tables(trained: Autoencoder) -> None:
    tables, numbers = trained.fitted_.tables, trained.transform(HELD_OUT, integers=True)
    assert tables is not None
    assert (tables.sources, tables.lowest.tolist()) == (numbers.shape[1], [0] * numbers.shape[1])
    assert numbers.max() < tables.escape
    bits = -np.log2(tables.counts[np.arange(numbers.shape[1]), numbers] / TOTAL).sum(1).mean()
    even = np.log2(tables.escape) * numbers.shape[1]
    assert bits < even
    shuffled = np.random.default_rng(0).integers(0, tables.escape, numbers.shape)
    worse = -np.log2(tables.counts[np.arange(numbers.shape[1]), shuffled] / TOTAL).sum(1).mean()
    assert bits < worse


def test_tables_of_more_words_than_entries() -> None:
    values = np.array([[0, 5000], [1, 5000], [2, 3]])
    tables = Frequencies.counted(values, 6000)
    assert tables.escape == WIDEST - 1
    assert tables.counts[1, tables.escape] > tables.counts[0, tables.escape]
    assert tables.counts[1, 3] > tables.counts[1, 4] >= 1


@pytest.mark.parametrize("index", [0, 3, 6])
def test_onnx(index: int, tmp_path: Path) -> None:
    name, keywords = VARIANTS[index]
    ae = fit(name, epochs=3, **keywords)
    encoder, decoder = ae.export_onnx(tmp_path)
    samples = HELD_OUT[:50].astype(np.float32)
    (code,) = onnxruntime.InferenceSession(encoder).run(None, {"input": samples})
    np.testing.assert_allclose(code, ae.transform(HELD_OUT[:50]), rtol=1e-5, atol=1e-5)
    (output,) = onnxruntime.InferenceSession(decoder).run(None, {"code": code})
    np.testing.assert_allclose(output, ae.reconstruct(HELD_OUT[:50]), rtol=1e-3, atol=1e-3)
    between = code + 1e-3 * np.random.default_rng(0).normal(size=code.shape).astype(np.float32)
    (near,) = onnxruntime.InferenceSession(decoder).run(None, {"code": between})
    np.testing.assert_allclose(near, ae.inverse_transform(between), rtol=1e-3, atol=1e-3)


def test_nothing_is_drawn_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    one, two = (fit("vector_quantized(restart=3)", epochs=2, latent_dim=4) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    state = two.fitted_.model.state_dict()
    for name, value in one.fitted_.model.state_dict().items():
        assert torch.equal(value, state[name]), name


# The codebook


def test_a_code_is_the_nearest_word_and_the_gradient_passes() -> None:
    vq = module(VectorQuantized(codes=7, size=2), 4).eval()
    h = data(5, 4).requires_grad_()
    z = drawn(vq, h).z
    distances = torch.cdist(h.detach().reshape(-1, 2), vq.codebook)
    expected = vq.codebook[distances.argmin(1)].view(5, 4)
    assert torch.equal(z, expected)
    assert torch.equal(vq.code(h), expected)
    (z * torch.arange(4.0)).sum().backward()
    assert h.grad is not None
    assert torch.equal(h.grad, torch.arange(4.0).expand(5, 4))


def test_words_of_a_spatial_code_are_channels_of_a_place() -> None:
    vq = module(VectorQuantized(codes=9, size=2), 4, 3, 2).eval()
    z = torch.randn(5, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(vq.join(vq.split(z)), z)
    integers = vq.to_integers(z)
    assert integers.shape == (5, 2 * 3 * 2)
    group, row, column = 1, 2, 0
    word = vq.codebook[integers[4, group * 6 + row * 2 + column]]
    assert torch.equal(vq.nearest(z)[4, 2 * group : 2 * group + 2, row, column], word)


def test_a_word_of_the_codebook_is_nearest_to_itself() -> None:
    # Words that lie closer to one another than the fast formula can tell.
    vq = module(VectorQuantized(codes=64), 4)
    vq.codebook.copy_(100 + data(16, 4).repeat_interleave(4, 0) + 1e-4 * data(64, 4, seed=1))
    assert torch.equal(vq.nearest(vq.codebook), vq.codebook)
    assert torch.equal(vq.to_integers(vq.codebook).flatten(), torch.arange(64))
    assert (vq.closeness(vq.codebook).argmax(1) != torch.arange(64)).any()


def test_the_first_batches_give_the_codebook() -> None:
    vq = module(VectorQuantized(codes=100, size=2), 2).train()
    h = 50 + data(64)
    drawn(vq, h)
    assert int((vq.codebook > 40).all(1).sum()) == 64
    drawn(vq, 50 + data(64, seed=1))
    assert bool((vq.codebook > 40).all())


def test_moving_averages_are_what_the_papers_say() -> None:
    vq = module(VectorQuantized(codes=8, size=2, decay=0.9), 2).train()
    sums, counts = torch.zeros(8, 2), torch.zeros(8)
    drawn(vq, data(64, seed=99))
    counts += vq.counts
    sums += vq.counts[:, None] * vq.codebook
    for step in range(30):
        h = data(64, seed=step) + 0.05 * step
        index = torch.cdist(h, vq.codebook).argmin(1)
        before = vq.codebook.clone()
        drawn(vq, h)
        counts = 0.9 * counts + 0.1 * torch.bincount(index, minlength=8)
        sums = 0.9 * sums + 0.1 * torch.zeros(8, 2).index_add_(0, index, h)
        torch.testing.assert_close(vq.counts, counts)
        torch.testing.assert_close(vq.codebook, sums / counts[:, None], rtol=1e-3, atol=1e-4)
        assert not torch.equal(vq.codebook, before)


def test_nothing_moves_after_training() -> None:
    vq = module(VectorQuantized(codes=8, size=2), 2).train()
    drawn(vq, data())
    vq.eval()
    state = {name: value.clone() for name, value in vq.state_dict().items()}
    drawn(vq, 5 + data())
    assert all(torch.equal(value, state[name]) for name, value in vq.state_dict().items())


def codebook_use(restart: int, batches: int = 60) -> tuple[float, float]:
    """Return use and perplexity of a codebook that starts far away from the data."""
    vq: VectorQuantizedModule = module(VectorQuantized(codes=32, size=2, restart=restart), 2)
    vq.train()
    vq.codebook.copy_(100 + data(32))
    vq.idle.zero_()
    for step in range(batches):
        drawn(vq, data(64, seed=step), seed=step)
    return float(vq.use()), float(perplexity(vq.counts))


def test_dead_words_are_restarted() -> None:
    use, width = codebook_use(restart=10)
    assert use == 1.0
    assert width > 16
    use, width = codebook_use(restart=0)
    assert use <= 2 / 32
    assert width < 2
    assert codebook_use(restart=100)[0] <= 2 / 32


def test_a_codebook_that_was_moved_away_comes_back() -> None:
    ae = fit("vector_quantized(codes=64, restart=5)", epochs=5, latent_dim=4, warm_start=True)
    ae.fitted_.model.bottleneck.codebook += 1000
    ae.fit(X)
    assert [r["codebook_use"] > 0.9 for r in (ae.history_[4], ae.history_[-1])] == [True, True]
    assert ae.history_[5]["commitment"] > 2 * ae.history_[4]["commitment"]
    assert ae.codebook_use_ > 0.5


def test_a_learned_codebook_follows_its_gradient() -> None:
    learned = module(VectorQuantized(codes=8, size=2, decay=None), 2).train()
    draw = drawn(learned, data())
    (draw.costs["codebook"].value.sum() + draw.z.sum()).backward()
    assert learned.codebook.grad.abs().sum() > 0
    assert torch.equal(draw.costs["codebook"].value, draw.costs["commitment"].value)
    moving = module(VectorQuantized(codes=8, size=2), 2).train()
    assert list(moving.parameters()) == []
    assert "codebook" not in drawn(moving, data()).costs


@pytest.mark.parametrize(
    "other",
    ["codes=16", "size=2", "commitment=0", "commitment=2", "decay=0.5", "decay=None", "restart=1"],
)
def test_every_parameter_of_the_codebook_does_something(other: str) -> None:
    base = fit("vector_quantized(codes=64, size=4)", epochs=4, latent_dim=4)
    parameters = {"codes": "64", "size": "4", **dict([other.split("=")])}
    text = ", ".join(f"{name}={value}" for name, value in parameters.items())
    changed = fit(f"vector_quantized({text})", epochs=4, latent_dim=4)
    assert not np.array_equal(base.reconstruct(HELD_OUT), changed.reconstruct(HELD_OUT))
    if other == "commitment=0":
        last = changed.history_[-1]
        assert last["total"] == pytest.approx(last["reconstruction"])
        assert last["commitment"] > 2 * base.history_[-1]["commitment"]


def test_codes_of_one_word_are_drawn_by_its_frequency() -> None:
    vq = module(VectorQuantized(codes=4, size=2), 2).eval()
    rows = vq.codebook[torch.tensor([0] * 90 + [3] * 10)].numpy()
    z = vq.sample(2000, torch.Generator().manual_seed(0), codes=rows, encode=lambda x: x)
    shares = np.bincount(vq.to_integers(z).flatten().numpy(), minlength=4) / 2000
    np.testing.assert_allclose(shares, [0.9, 0, 0, 0.1], atol=0.03)


def test_a_collapsed_codebook_is_told() -> None:
    vq = module(VectorQuantized(codes=4, size=2), 2).eval()
    same = torch.ones(9, 2)
    message = vq.warn(same, torch.Generator())
    assert message is not None
    assert "one of 4 words" in message
    assert vq.warn(5 * data(), torch.Generator()) is None
    levels = module(FiniteScalar(levels=5, normalize=False), 2).eval()
    assert "all codes are the same" in levels.warn(same, torch.Generator())
    assert levels.warn(data(), torch.Generator()) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vector_quantized(codes=1)", "codes must be a whole number from 2"),
        ("vector_quantized(size=0)", "size must be None or"),
        ("vector_quantized(size=3)", "size must divide the 4 numbers"),
        ("vector_quantized(commitment=-1)", "commitment must be a number of at least 0"),
        ("vector_quantized(decay=1)", "decay must be None or a number from 0 to below 1"),
        ("vector_quantized(restart=-1)", "restart must be a whole number from 0"),
        ("finite_scalar(levels=2)", "levels must be a whole number from 3"),
        ("finite_scalar(levels=())", "levels must be a whole number from 3"),
        ("finite_scalar(levels=wide)", "levels must be a whole number from 3"),
        ("finite_scalar(levels=(8, 2.5))", "levels must be a whole number from 3"),
        ("finite_scalar(normalize=3)", "normalize must be True or False"),
    ],
)
def test_parameters_that_cannot_work(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Autoencoder(4, bottleneck=text, epochs=1).fit(X[:20])


@pytest.mark.parametrize("bottleneck", ["vector_quantized", "finite_scalar"])
def test_codes_are_decoded_alone(bottleneck: str) -> None:
    with pytest.raises(ParameterError, match="decoded alone"):
        Autoencoder(network="conv(skips=True)", bottleneck=bottleneck, epochs=1).fit(X[:20])


# Levels


@pytest.mark.parametrize("levels", [3, 4, 5, 8, 16, 255])
def test_every_level_is_reached_and_no_other(levels: int) -> None:
    fsq = module(FiniteScalar(levels=levels, normalize=False), 1).eval()
    h = torch.linspace(-9, 9, 20_000).view(-1, 1)
    z = fsq.code(h)
    assert torch.equal(fsq.to_integers(z).unique(), torch.arange(levels))
    assert len(z.unique()) == levels
    assert z.min() == -1
    assert 0 in z
    assert z.max() == (1 if levels % 2 else (levels / 2 - 1) / (levels / 2))
    assert torch.equal(fsq.nearest(z), z)
    step = 1 / (levels // 2)
    assert torch.equal(fsq.nearest(z + 0.4 * step), z)
    assert fsq.code(torch.zeros(1, 1)).item() == 0


def test_levels_repeat_along_the_channels() -> None:
    fsq = module(FiniteScalar(levels=(8, 5), normalize=False), 3, 2, 2).eval()
    extremes = fsq.to_integers(fsq.code(torch.full((1, 3, 2, 2), 99.0))).view(3, 4)
    assert extremes.tolist() == [[7] * 4, [4] * 4, [7] * 4]


def test_levels_pass_the_gradient_of_the_bounded_number() -> None:
    fsq = module(FiniteScalar(levels=5, normalize=False), 1).eval()
    h = torch.tensor([[0.3], [2.0]], requires_grad=True)
    draw = drawn(fsq, h)
    assert torch.equal(draw.z, fsq.code(h))
    draw.z.sum().backward()
    assert h.grad is not None
    torch.testing.assert_close(h.grad, (1 - h.detach().tanh() ** 2) * 1.001)


def test_normalized_codes_use_their_levels_at_any_scale() -> None:
    for scale in (1e-2, 1.0, 1e2):
        h = scale * (3 + data(256))
        plain, normal = (
            module(FiniteScalar(levels=5, normalize=on), 2).train() for on in (False, True)
        )
        for _ in range(200):
            draw = drawn(normal, h)
        assert float(draw.costs["perplexity"].value[0]) > 4
        assert float(drawn(plain, h).costs["perplexity"].value[0]) < 4
        normal.eval()
        assert (normal.code(h) == draw.z).float().mean() > 0.95
        assert drawn(normal, h[:1]).z.isfinite().all()


def test_a_batch_of_one_row_has_finite_codes() -> None:
    fsq = module(FiniteScalar(), 2).train()
    h = data(1).requires_grad_()
    drawn(fsq, h).z.sum().backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()
    assert fsq.variance.isfinite().all()


def test_normalization_saves_a_fit_from_codes_of_zeros() -> None:
    settings: dict[str, Any] = {"network": SPATIAL, "epochs": 3}
    normal = fit("finite_scalar(levels=3)", **settings)
    with pytest.warns(UserWarning, match="one level for all data"):
        plain = fit("finite_scalar(levels=3, normalize=False)", **settings)
    errors = [ae.reconstruction_error(HELD_OUT).mean() for ae in (normal, plain)]
    assert errors[0] < 0.8 * errors[1]


def test_more_levels_are_closer() -> None:
    errors = [
        fit(f"finite_scalar(levels={n})", latent_dim=4).reconstruction_error(HELD_OUT).mean()
        for n in (3, 16)
    ]
    assert errors[1] < 0.9 * errors[0]
