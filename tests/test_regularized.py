"""MMD and Adversarial draw codes to N(0, I), by what their papers say and no other way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, distributions

from latente import MMD, Adversarial, Autoencoder, ParameterError, datasets
from latente.bottlenecks import normal
from latente.bottlenecks.base import Encoding, Moment
from latente.bottlenecks.mmd import squared_mmd
from latente.model import Model

X = datasets.load("digits").X
HELD = datasets.load("digits").X_test
SCALES = MMD().scales
PARTS = ("mmd", "mmd(kernel=rbf)", "mmd(stochastic=True)", "adversarial")


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def encoding(h: Tensor) -> Encoding:
    return Encoding(h, lambda x: x, lambda generator, probes: h, lambda: h)


def fit(bottleneck: str | MMD | Adversarial, **keywords: Any) -> Autoencoder:
    chosen: dict[str, Any] = {"epochs": 40, "random_state": 0, "network": "dense(hidden=(64,))"}
    return Autoencoder(6, bottleneck=bottleneck, **(chosen | keywords)).fit(X)


@pytest.fixture(scope="module")
def fits() -> dict[str, Autoencoder]:
    free = ("mmd(weight=0)", "adversarial(weight=0)")
    return {name: fit(name) for name in (*PARTS, *free)}


def is_near_prior(Z: NDArray[np.float32]) -> bool:
    """Whether codes have about mean 0 and spread 1, and their discrepancy from N(0, I) is small."""
    z = torch.from_numpy(Z)
    far = float(squared_mmd(z, torch.randn(z.shape, generator=seeded()), "imq", SCALES))
    mean, spread = np.abs(Z.mean(0)).max(), Z.std(0)
    return bool(mean < 0.5 and spread.min() > 0.7 and spread.max() < 1.3 and far < 0.1)


def batch(ae: Autoencoder, rows: int) -> Tensor:
    return ae.fitted_.input.convert(ae.fitted_.store(X[:rows]))


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_the_discrepancy_is_the_sum_of_its_kernels(kernel: str) -> None:
    a, b = torch.randn(2, 7, 3, generator=seeded()).unbind(0)
    scales = (0.3, 2.0)

    def k(u: Tensor, v: Tensor) -> float:
        r = float((u - v).square().sum())
        widths = [2 * 3 * scale for scale in scales]
        return sum(w / (w + r) if kernel == "imq" else math.exp(-r / w) for w in widths)

    same = sum(k(x[i], x[j]) for x in (a, b) for i in range(7) for j in range(7) if i != j) / 42
    cross = sum(k(u, v) for u in a for v in b) / 49
    assert float(squared_mmd(a, b, kernel, scales)) == pytest.approx(same - 2 * cross, abs=1e-4)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_the_discrepancy_has_no_bias_and_sees_what_differs(kernel: str) -> None:
    drawn = torch.randn(400, 2, 16, 3, generator=seeded())

    def mean(shift: float, scale: float) -> float:
        each = [squared_mmd(a * scale + shift, b, kernel, SCALES) for a, b in drawn]
        return float(torch.stack(each).mean())

    assert mean(0, 1) == pytest.approx(0, abs=0.01)
    assert min(float(squared_mmd(a, b, kernel, SCALES)) for a, b in drawn) < -0.01
    assert mean(1, 1) > 0.3
    assert mean(0, 2) > 0.05
    assert mean(0, 0.3) > 0.05


def test_the_price_is_one_of_the_batch_and_weighed() -> None:
    h = torch.randn(6, 3, generator=seeded()) + 1
    for weight in (0.0, 5.0):
        module = MMD(weight=weight).build((3,), (3,), seeded())
        drawn = module.draw(encoding(h), Moment(seeded(1)))
        terms = module.objective(torch.ones(1, 6), encoding(h), drawn, Moment(seeded(1)))
        prior = torch.empty(6, 3).normal_(generator=seeded(1))
        assert torch.allclose(terms["mmd"], squared_mmd(h, prior, "imq", SCALES).expand(6))
        assert torch.allclose(terms["total"], 1 + weight * terms["mmd"])
        assert torch.equal(drawn.z, h)


def test_the_objective_of_infovae() -> None:
    """(1 − α) KL + (α + λ − 1) MMD, of codes that are drawn."""
    alpha, scale = 0.25, 20.0
    part = MMD(stochastic=True, kl_weight=1 - alpha, weight=alpha + scale - 1)
    assert part.per_code() == 2
    module, h = part.build((3,), (3,), seeded()), torch.randn(8, 6, generator=seeded())
    drawn = module.draw(encoding(h), Moment(seeded(1)))
    terms = module.objective(torch.ones(1, 8), encoding(h), drawn, Moment(seeded(1)))
    mean, log_variance = h.chunk(2, 1)
    own = distributions.Normal(mean, (0.5 * log_variance).exp())
    kl = distributions.kl_divergence(own, distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(terms["kl"], kl, atol=1e-4)
    wanted = 1 + (1 - alpha) * kl + (alpha + scale - 1) * terms["mmd"]
    assert torch.allclose(terms["total"], wanted, atol=1e-4)
    assert not torch.equal(drawn.z, mean)
    assert torch.equal(module.code(h), mean)


@pytest.mark.parametrize("part", ["mmd", "adversarial"])
def test_codes_come_to_the_prior_and_only_by_the_weight(
    part: str, fits: dict[str, Autoencoder]
) -> None:
    assert is_near_prior(fits[part].transform(HELD))
    assert not is_near_prior(fits[f"{part}(weight=0)"].transform(HELD))
    error = fits[part].reconstruction_error(HELD).mean()
    assert error < 2 * fits[f"{part}(weight=0)"].reconstruction_error(HELD).mean()
    assert error < 0.4 * HELD.var(0).mean() / 256


def test_codes_come_to_the_prior_by_the_other_kernel(fits: dict[str, Autoencoder]) -> None:
    assert is_near_prior(fits["mmd(kernel=rbf)"].transform(HELD))
    other = fits["mmd(kernel=rbf)"].transform(HELD)
    assert not np.array_equal(other, fits["mmd"].transform(HELD))


def test_scales_are_used() -> None:
    a, b = torch.randn(2, 7, 3, generator=seeded()).unbind(0)
    assert squared_mmd(a, b, "imq", (1.0,)) != squared_mmd(a, b, "imq", (2.0,))
    assert squared_mmd(a, b, "imq", (1.0,)) != squared_mmd(a, b, "imq", (1.0, 1.0))


def test_drawn_codes_come_to_the_prior(fits: dict[str, Autoencoder]) -> None:
    ae = fits["mmd(stochastic=True)"]
    with torch.no_grad():
        h = ae.module_.hidden(batch(ae, 1000))
    z = normal.draws(*normal.moments(h), 1, seeded())
    assert is_near_prior(z.numpy())
    spread = (0.5 * normal.moments(h)[1]).exp()
    assert 0.01 < float(spread.mean()) < 0.9
    assert np.isfinite(ae.log_likelihood(HELD[:20], 5, 0)).all()


def test_a_single_code_has_no_likelihood(fits: dict[str, Autoencoder]) -> None:
    with pytest.raises(ParameterError, match="log_likelihood cannot be had"):
        fits["mmd"].log_likelihood(HELD[:2])


def test_codes_far_from_the_prior_are_told(fits: dict[str, Autoencoder]) -> None:
    for name, ae in fits.items():
        warning = ae.fitted_.study(ae.fitted_.batches(X)) or ""
        assert ("far from the prior" in warning) == name.endswith("(weight=0)")


@pytest.mark.parametrize("part", ["mmd", "adversarial"])
def test_the_summary_tells_of_the_codes(part: str, fits: dict[str, Autoencoder]) -> None:
    summary, Z = fits[part].fitted_.summary, fits[part].transform(X)
    assert np.abs(summary["code_mean"] - Z.mean(0)).max() < 0.05
    assert np.abs(summary["code_spread"] - Z.std(0)).max() < 0.05


@pytest.mark.parametrize("part", PARTS)
def test_samples_are_decoded_from_the_prior(part: str, fits: dict[str, Autoencoder]) -> None:
    seen = X.reshape(len(X), -1)[:500]

    def distance(ae: Autoencoder) -> float:
        """Of samples from the nearest row, on average."""
        assert len(ae.fitted_.codes) == 0
        drawn = ae.sample(300, 0).reshape(300, -1)
        return float(np.sqrt(np.square(drawn[:, None] - seen[None]).sum(2).min(1)).mean())

    free = "adversarial(weight=0)" if part == "adversarial" else "mmd(weight=0)"
    assert distance(fits[part]) < 0.75 * distance(fits[free])


@pytest.mark.parametrize("part", PARTS)
def test_a_rows_score_is_its_own(part: str, fits: dict[str, Autoencoder]) -> None:
    scores = fits[part].score_samples(HELD)
    assert np.array_equal(fits[part].score_samples(HELD[40:47]), scores[40:47])
    assert np.array_equal(fits[part].score_samples(HELD[::-1]), scores[::-1])


def test_a_batch_of_one_row_costs_nothing() -> None:
    module, h = MMD().build((3,), (3,), seeded()), torch.ones(1, 3)
    assert module.draw(encoding(h), Moment(seeded())).costs["mmd"].value.tolist() == [0]
    ae = Autoencoder(
        2, bottleneck="mmd", epochs=1, batch_size=16, validation_fraction=0, random_state=0
    )
    assert np.isfinite(ae.fit(X[:33]).history_[0]["total"])


def moved(before: dict[str, Tensor], ae: Autoencoder) -> bool:
    after = ae.module_.bottleneck.state_dict()
    return any(not torch.equal(before[name], after[name]) for name in before)


def test_the_discriminator_is_trained() -> None:
    start = fit("adversarial(weight=0)", epochs=0).module_.bottleneck.state_dict()
    trained = fit("adversarial(weight=0)", epochs=10)
    assert moved(start, trained)
    losses = [record["discriminator"] for record in trained.history_]
    assert losses[-1] < 0.8 * losses[0]
    assert trained.history_[-1]["accuracy"] > 0.85
    still = fit("adversarial(weight=0, learning_rate=0)", epochs=10)
    assert not moved(start, still)
    assert still.history_[-1]["discriminator"] > losses[-1] + 0.1
    assert moved(start, fit("adversarial(weight=3)", epochs=1))


def test_neither_step_moves_what_the_other_trains() -> None:
    ae = fit("adversarial", epochs=0)
    model, x = ae.module_, batch(ae, 32)
    assert isinstance(model, Model)
    main, rival = model.groups()
    discriminator = list(model.bottleneck.parameters())
    encoder = list(model.network.encoder.parameters())
    assert {id(p) for p in rival.parameters} == {id(p) for p in discriminator}
    assert not {id(p) for p in main.parameters} & {id(p) for p in discriminator}
    terms = main.objective(x, x, Moment(seeded()))
    terms["adversarial"].mean().backward()
    assert all(p.grad is None for p in discriminator)
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in encoder[-2:])
    model.zero_grad()
    terms = rival.objective(x, x, Moment(seeded()))
    next(iter(terms.values())).mean().backward()
    assert all(p.grad is not None for p in discriminator[:-1])
    assert all(p.grad is None for p in model.network.parameters())


def test_the_terms_are_cross_entropies() -> None:
    """A discriminator that says 0 of everything is at log 2."""
    module = Adversarial(penalty=0).build((3,), (3,), seeded())
    h = torch.randn(5, 3, generator=seeded())
    with torch.no_grad():
        module.discriminator[-1].weight.zero_()
    (rival,) = module.rivals()
    terms = rival.objective(encoding(h), Moment(seeded()))
    assert next(iter(terms)) == "discriminator"
    assert terms["discriminator"].tolist() == pytest.approx([math.log(2)] * 5)
    cost = module.draw(encoding(h), Moment(seeded())).costs["adversarial"]
    assert cost.value.tolist() == pytest.approx([math.log(2)] * 5)
    with torch.no_grad():
        module.discriminator[-1].bias.fill_(2.0)
    cost = module.draw(encoding(h), Moment(seeded())).costs["adversarial"]
    assert cost.value.tolist() == pytest.approx([math.log1p(math.exp(-2))] * 5)
    terms = rival.objective(encoding(h), Moment(seeded()))
    assert terms["accuracy"].tolist() == [0.5] * 5


def test_the_penalty_is_the_squared_slope_at_draws_of_the_prior() -> None:
    module = Adversarial(penalty=4, hidden=()).build((3,), (3,), seeded())
    h = torch.randn(5, 3, generator=seeded())
    terms = module.rivals()[0].objective(encoding(h), Moment(seeded()))
    weight = module.discriminator[0].weight
    wanted = terms["discriminator"] + 2 * weight.square().sum()
    assert torch.allclose(terms["discriminator_total"], wanted)


def test_weights_are_chosen_by_the_reconstruction() -> None:
    ae = fit("adversarial", epochs=10)
    assert ae.module_.bottleneck.watched() == "reconstruction"
    best = min(record["validation_reconstruction"] for record in ae.history_)
    trainer = ae._trainer
    assert trainer.state.best_loss == best


def test_lbfgs_minimises_one_objective_only() -> None:
    with pytest.raises(ParameterError, match="lbfgs"):
        fit("adversarial", optimizer="lbfgs", epochs=1)


class Killed(Exception):
    """Ends a fit as a killed process would."""


class Kill:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == self.epoch:
            raise Killed


@pytest.mark.parametrize("part", ["adversarial", "mmd", "gaussian(prior=vamp, components=9)"])
def test_a_fit_goes_on_to_the_same_bits(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latente.training.loop.CHECKPOINT_SECONDS", 0.0)
    whole = fit(part, epochs=6, schedule="cosine")
    chosen: dict[str, Any] = {
        "bottleneck": part, "epochs": 6, "random_state": 0, "schedule": "cosine",
        "network": "dense(hidden=(64,))",
    }  # fmt: skip
    with pytest.raises(Killed):
        Autoencoder(6, callbacks=Kill(4), **chosen).fit(X, checkpoint=tmp_path)
    resumed = Autoencoder(6, **chosen).fit(X, checkpoint=tmp_path)
    ours, theirs = resumed.module_.state_dict(), whole.module_.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    kept = ("epoch", "total", "discriminator", "accuracy")
    for mine, other in zip(resumed.history_, whole.history_, strict=True):
        assert all(mine[name] == other[name] for name in kept if name in other)


@pytest.mark.parametrize("part", PARTS)
def test_a_file_gives_the_same_bits(
    part: str, fits: dict[str, Autoencoder], tmp_path: Path
) -> None:
    ae, path = fits[part], tmp_path / "model.safetensors"
    ae.save(path)
    loaded = Autoencoder.load(path)
    assert np.array_equal(loaded.transform(HELD), ae.transform(HELD))
    assert np.array_equal(loaded.score_samples(HELD), ae.score_samples(HELD))
    assert np.array_equal(loaded.sample(20, 1), ae.sample(20, 1))
    assert loaded.bottleneck_ == ae.bottleneck_


@pytest.mark.parametrize("part", PARTS)
def test_a_seed_gives_the_same_bits(part: str) -> None:
    one, other = fit(part, epochs=2), fit(part, epochs=2)
    assert np.array_equal(one.transform(HELD), other.transform(HELD))
    different = fit(part, epochs=2, random_state=1)
    assert not np.array_equal(one.transform(HELD), different.transform(HELD))


@pytest.mark.parametrize("part", PARTS)
def test_spatial_codes_are_matched_too(part: str) -> None:
    network = "conv(channels=(8, 8), code=spatial, code_channels=3)"
    ae = Autoencoder(bottleneck=part, network=network, epochs=1, random_state=0).fit(X)
    assert len(ae.code_shape_) == 3
    assert ae.sample(4, 0).shape == (4, *X.shape[1:])


@pytest.mark.parametrize(
    ("make", "params", "said"),
    [
        (MMD, {"weight": -1}, "weight must be a number of at least 0"),
        (MMD, {"kernel": "linear"}, "kernel must be 'imq' or 'rbf'"),
        (MMD, {"scales": ()}, "scales must be a sequence of positive numbers"),
        (MMD, {"scales": (1, -1)}, "scales must be a sequence of positive numbers"),
        (MMD, {"kl_weight": 1}, "kl_weight must be 0 with stochastic=False"),
        (MMD, {"stochastic": 1}, "stochastic must be True or False"),
        (Adversarial, {"hidden": (0,)}, "hidden must be a sequence of whole numbers from 1"),
        (Adversarial, {"learning_rate": -1}, "learning_rate must be None or a number"),
        (Adversarial, {"penalty": -1}, "penalty must be a number of at least 0"),
    ],
)
def test_what_cannot_work_is_said(make: Any, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        make(**params)


@pytest.mark.parametrize("part", ["mmd", "adversarial"])
def test_codes_that_are_not_decoded_alone_are_refused(part: str) -> None:
    with pytest.raises(ParameterError, match="decoded alone"):
        Autoencoder(bottleneck=part, network="conv(skips=True)", epochs=1).fit(X)
