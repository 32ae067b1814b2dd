"""Priors are densities, are drawn from as they say, and learn what codes are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, distributions, nn

from latente import Autoencoder, Gaussian, ParameterError, datasets
from latente.bottlenecks import normal
from latente.bottlenecks.base import Encoding, Moment
from latente.bottlenecks.gaussian import GaussianModule
from latente.bottlenecks.priors import FlowPrior, MixturePrior, Prior, StandardPrior, VampPrior

LEARNED = ("mixture", "vamp", "flow")
ALL = ("standard", *LEARNED)
X = datasets.load("digits").X
HELD = datasets.load("digits").X_test


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def encoder(numbers: int = 2) -> nn.Module:
    layer = nn.Linear(5, 2 * numbers)
    with torch.no_grad():
        layer.weight.normal_(generator=seeded(1)).mul_(0.7)
        layer.bias.zero_()
    return layer


def disturbed(prior: Prior, spread: float) -> Prior:
    """Return the prior with all of its weights moved, so that it is none of its beginnings."""
    generator = seeded(7)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
    return prior


def prior(name: str, numbers: int = 2) -> Prior:
    made: dict[str, Prior] = {
        "standard": StandardPrior((numbers,)),
        "mixture": MixturePrior((numbers,), 4, seeded()),
        "vamp": VampPrior((numbers,), (5,), 6, seeded()),
        "flow": FlowPrior((numbers,), 4, seeded()),
    }
    return disturbed(made[name], 0.06 if name == "flow" else 0.2)


def module(shape: tuple[int, ...] = (3,), **params: Any) -> GaussianModule:
    built = Gaussian(**params).build(shape, (5,), seeded())
    assert isinstance(built, GaussianModule)
    return built


def encoding(h: Tensor) -> Encoding:
    return Encoding(h, encoder(3), lambda generator, probes: h, lambda: h)


def fit(bottleneck: str | Gaussian, **keywords: Any) -> Autoencoder:
    chosen: dict[str, Any] = {"epochs": 40, "random_state": 0, "network": "dense(hidden=(64,))"}
    chosen |= {"latent_dim": 6, **keywords}
    return Autoencoder(bottleneck=bottleneck, **chosen).fit(X)


@pytest.fixture(scope="module")
def fits() -> dict[str, Autoencoder]:
    return {name: fit(Gaussian(prior=name, components=30, couplings=4)) for name in ALL}


def test_normal_distributions_are_torchs() -> None:
    mean, log_variance, z = torch.randn(3, 6, 4, generator=seeded()).unbind(0)
    theirs = distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = distributions.Normal(0.0, 1.0)
    kl = distributions.kl_divergence(theirs, standard)
    assert torch.allclose(normal.divergence(mean, log_variance), kl, atol=1e-5)
    assert torch.allclose(normal.entropy(log_variance), theirs.entropy(), atol=1e-5)
    density = normal.log_density(z, mean, log_variance)
    assert torch.allclose(density, theirs.log_prob(z), atol=1e-4)
    assert torch.allclose(normal.standard_log_density(z), standard.log_prob(z), atol=1e-5)


def mixed(mean: Tensor, log_variance: Tensor, logits: Tensor) -> distributions.Distribution:
    each = distributions.Normal(mean, (0.5 * log_variance).exp())
    return distributions.MixtureSameFamily(
        distributions.Categorical(logits=logits), distributions.Independent(each, 1)
    )


def test_mixtures_are_torchs() -> None:
    z = 2 * torch.randn(50, 2, generator=seeded())
    mixture, encode = prior("mixture"), encoder()
    assert isinstance(mixture, MixturePrior)
    theirs = mixed(10 * mixture.means, mixture.log_variances, mixture.logits)
    assert torch.allclose(mixture.log_density(z, encode), theirs.log_prob(z), atol=1e-4)
    vamp = prior("vamp")
    assert isinstance(vamp, VampPrior)
    mean, log_variance = encode(vamp.inputs).chunk(2, 1)
    theirs = mixed(mean, log_variance, torch.zeros(6))
    assert torch.allclose(vamp.log_density(z, encode), theirs.log_prob(z), atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_a_density_integrates_to_one_and_samples_follow_it(name: str) -> None:
    density, encode, edge = prior(name), encoder(), 12.0
    axis = torch.linspace(-edge, edge, 801)
    step = float(axis[1] - axis[0])
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        chance = density.log_density(grid, encode).exp() * step**2
        assert float(chance.sum()) == pytest.approx(1, abs=2e-3)
        z = density.sample(60_000, seeded(3), encode)
    mean = (chance[:, None] * grid).sum(0)
    spread = (chance[:, None] * (grid - mean).square()).sum(0).sqrt()
    assert torch.allclose(z.mean(0), mean, atol=0.05)
    assert torch.allclose(z.std(0), spread, rtol=0.03)
    inside = (grid.prod(1) > 0.5) & (grid[:, 0] > 0)
    share = ((z.prod(1) > 0.5) & (z[:, 0] > 0)).float().mean()
    assert float(share) == pytest.approx(float(chance[inside].sum()), abs=0.01)


@pytest.mark.parametrize("numbers", [2, 5])
def test_a_flow_goes_back_and_its_determinant_is_its_derivatives(numbers: int) -> None:
    fresh = FlowPrior((numbers,), 4, seeded())
    z = 2 * torch.randn(20, numbers, generator=seeded(1))
    assert torch.equal(fresh.forward(z)[0], z)
    flow = disturbed(fresh, 0.1)
    assert isinstance(flow, FlowPrior)
    u, log_determinant = flow.forward(z)
    assert float((u - z).detach().abs().mean()) > 0.1
    assert torch.allclose(flow.inverse(u), z, atol=1e-3)
    for row, found in zip(z, log_determinant, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda r: flow.forward(r[None])[0][0], row)
        assert torch.allclose(torch.linalg.slogdet(jacobian).logabsdet, found, atol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_log_ratio_is_the_difference_of_the_densities(name: str) -> None:
    bottleneck, encode = module(prior=name, components=5), encoder(3)
    disturbed(bottleneck.prior, 0.06)
    h = torch.randn(4, 6, generator=seeded())
    z = bottleneck.posterior(h, 7, seeded(1))
    mean, log_variance = h.chunk(2, 1)
    own = distributions.Normal(mean, (0.5 * log_variance).exp())
    posterior = own.log_prob(z.view(7, 4, 3)).sum(2)
    density = bottleneck.prior.log_density(z, encode).view(7, 4)
    assert torch.allclose(bottleneck.log_ratio(h, z, encode), density - posterior, atol=1e-4)


def test_the_estimated_divergence_is_the_exact_one_where_both_can_be_had() -> None:
    """A flow begins as N(0, I), whose divergence is known."""
    h = torch.randn(5, 6, generator=seeded())
    mean, log_variance = normal.moments(h)
    exact = normal.divergence(mean, log_variance).sum(1)
    flow = FlowPrior((3,), 2, seeded())
    z = normal.draws(mean, log_variance, 40_000, seeded(1))
    found = flow.divergence(mean, log_variance, z, encoder(3))
    assert torch.allclose(found, exact, rtol=0.02, atol=0.02)
    fixed = normal.fixed_draws(mean, log_variance, 16)
    told = flow.divergence(mean, log_variance, fixed, encoder(3))
    assert torch.allclose(told, exact, rtol=0.5, atol=0.5)


def test_fixed_draws_know_nothing_of_the_rows_beside() -> None:
    mean, log_variance = torch.randn(2, 9, 3, generator=seeded()).unbind(0)
    whole = normal.fixed_draws(mean, log_variance, 16).view(16, 9, 3)
    part = normal.fixed_draws(mean[4:6], log_variance[4:6], 16).view(16, 2, 3)
    assert torch.equal(whole[:, 4:6], part)
    assert torch.allclose(whole.mean(0), mean, atol=1e-5)


def test_total_correlation_is_that_of_the_numbers() -> None:
    """For normal codes it is known: −½ log det of the correlations."""
    n, rho = 1500, 0.9
    noise = torch.randn(n, 2, generator=seeded())
    tied = torch.stack([noise[:, 0], rho * noise[:, 0] + math.sqrt(1 - rho**2) * noise[:, 1]], 1)
    log_variance = torch.full((n, 2), math.log(0.01))
    for mean, exact in ((tied, -0.5 * math.log(1 - (rho / 1.01) ** 2)), (noise, 0.0)):
        z = normal.draws(mean, log_variance, 1, seeded(2))
        found = normal.total_correlation(z, mean, log_variance).mean()
        assert float(found) == pytest.approx(exact, abs=0.12)


def test_the_weight_of_total_correlation_stands_beside_the_rest() -> None:
    h = torch.randn(8, 6, generator=seeded())
    found = {}
    for weight in (0.0, 1.0, 4.0):
        bottleneck, moment = module(tc=weight, beta=2), Moment(seeded(5))
        drawn = bottleneck.draw(encoding(h), moment)
        found[weight] = bottleneck.objective(torch.ones(1, 8), encoding(h), drawn, moment)
    plain = found[1.0]["total"]
    assert "total_correlation" not in found[1.0]
    tc = found[4.0]["total_correlation"]
    assert float(tc.abs().mean()) > 0.05
    assert torch.allclose(found[4.0]["total"], plain + 2 * 3 * tc, atol=1e-4)
    assert torch.allclose(found[0.0]["total"], plain - 2 * tc, atol=1e-4)


def test_a_weight_of_total_correlation_makes_codes_more_independent() -> None:
    def correlation(ae: Autoencoder) -> float:
        """Between the dimensions that carry something, of codes as they are drawn."""
        with torch.no_grad():
            h = ae.module_.hidden(torch.from_numpy(ae.fitted_.input.store(HELD, "X").numpy()))
        z = normal.draws(*normal.moments(h), 50, seeded()).numpy()
        matrix = np.corrcoef(z.T)
        return float(np.abs(matrix - np.eye(len(matrix))).sum())

    assert correlation(fit("gaussian(tc=6)")) < 0.7 * correlation(fit("gaussian(tc=0)"))


@pytest.mark.parametrize("name", ALL)
def test_a_trained_prior_beats_one_that_is_not(name: str, fits: dict[str, Autoencoder]) -> None:
    ae = fits[name]
    trained = float(ae.log_likelihood(HELD, 50, 0).mean())
    untrained = fit(ae.bottleneck_, epochs=0)
    assert trained > float(untrained.log_likelihood(HELD, 50, 0).mean()) + 5
    if name == "standard":
        return
    bottleneck = ae.module_.bottleneck
    kept = {key: value.clone() for key, value in bottleneck.state_dict().items()}
    assert kept
    fresh = ae.bottleneck_.build((6,), (1, 8, 8), seeded())
    bottleneck.load_state_dict(fresh.state_dict())
    try:
        assert float(ae.log_likelihood(HELD, 50, 0).mean()) < trained - 0.5
    finally:
        bottleneck.load_state_dict(kept)


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_prior_gives_a_better_bound_than_the_standard_one(
    name: str, fits: dict[str, Autoencoder]
) -> None:
    standard = fits["standard"].log_likelihood(HELD, 50, 0).mean()
    assert fits[name].log_likelihood(HELD, 50, 0).mean() > standard + 0.05


def test_pseudo_inputs_begin_as_training_rows_and_are_learned(
    fits: dict[str, Autoencoder],
) -> None:
    def inputs(ae: Autoencoder) -> np.ndarray[Any, Any]:
        return ae.module_.bottleneck.prior.inputs.detach().numpy()  # type: ignore[union-attr, operator]

    begun = fit("gaussian(prior=vamp, components=30)", epochs=0)
    rows = begun.fitted_.input.convert(begun.fitted_.store(X)).numpy()
    assert all((rows == row).all(1).any() for row in inputs(begun))
    assert len(np.unique(inputs(begun), axis=0)) > 25
    learned = inputs(fits["vamp"])
    assert np.abs(learned - inputs(begun)).mean() > 0.01


def test_more_pseudo_inputs_than_rows_are_no_trouble() -> None:
    ae = Autoencoder(
        2, bottleneck="gaussian(prior=vamp, components=90)", epochs=1, random_state=0
    ).fit(X[:40])
    assert np.isfinite(ae.score_samples(X[:5])).all()


@pytest.mark.parametrize("name", ALL)
def test_a_rows_score_is_its_own(name: str, fits: dict[str, Autoencoder]) -> None:
    scores = fits[name].score_samples(HELD)
    assert np.array_equal(fits[name].score_samples(HELD[40:47]), scores[40:47])
    assert np.array_equal(fits[name].score_samples(HELD[::-1]), scores[::-1])


@pytest.mark.parametrize("tc", [1, 4])
def test_total_correlation_leaves_scores_alone(tc: float) -> None:
    ae = fit(f"gaussian(tc={tc})", epochs=2)
    scores = ae.score_samples(HELD)
    assert np.array_equal(ae.score_samples(HELD[40:47]), scores[40:47])


@pytest.mark.parametrize("name", ALL)
def test_a_file_gives_the_same_bits(
    name: str, fits: dict[str, Autoencoder], tmp_path: Path
) -> None:
    ae, path = fits[name], tmp_path / "model.safetensors"
    ae.save(path)
    loaded = Autoencoder.load(path)
    assert np.array_equal(loaded.transform(HELD), ae.transform(HELD))
    assert np.array_equal(loaded.score_samples(HELD), ae.score_samples(HELD))
    assert np.array_equal(loaded.sample(20, 1), ae.sample(20, 1))
    assert not np.array_equal(loaded.sample(20, 2), ae.sample(20, 1))
    assert np.array_equal(loaded.log_likelihood(HELD, 3, 1), ae.log_likelihood(HELD, 3, 1))


@pytest.mark.parametrize("name", LEARNED)
def test_more_samples_tighten_the_bound_of_a_learned_prior(name: str) -> None:
    ae = fit(Gaussian(prior=name, samples=5, components=10), epochs=15)
    first, last = ae.history_[0], ae.history_[-1]
    assert last["validation_total"] < first["validation_total"] - 3
    assert last["validation_total"] < last["validation_reconstruction"] + last["validation_kl"]


@pytest.mark.parametrize("name", LEARNED)
def test_spatial_codes_have_a_prior_too(name: str) -> None:
    network = "conv(channels=(8, 8), code=spatial, code_channels=3)"
    ae = fit(Gaussian(prior=name, components=9), network=network, epochs=2, latent_dim="auto")
    assert len(ae.code_shape_) == 3
    assert ae.sample(4, 0).shape == (4, *X.shape[1:])
    assert np.isfinite(ae.log_likelihood(HELD[:9], 4, 0)).all()


def test_only_a_standard_prior_tells_of_single_dimensions(fits: dict[str, Autoencoder]) -> None:
    assert fits["standard"].fitted_.summary["kl_per_dimension"].shape == (6,)
    assert "kl_per_dimension" not in fits["flow"].fitted_.summary
    assert 1 <= fits["flow"].fitted_.summary["active_units"] <= 6


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"prior": "uniform"}, r"prior must be 'standard', 'mixture', 'vamp' or 'flow'"),
        ({"prior": "flow", "free_bits": 0.1}, r"free_bits must be 0 with prior='flow'"),
        ({"prior": "vamp", "beta": 0}, r"beta must be above 0 with prior='vamp'"),
        ({"tc": 3, "samples": 2}, r"tc must be 1 with more than one sample"),
        ({"tc": -1}, r"tc must be a number of at least 0"),
        ({"prior": "mixture", "components": 0}, r"components must be a whole number from 1"),
    ],
)
def test_what_cannot_go_together_is_said(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Gaussian(**params)


def test_a_flow_needs_two_numbers() -> None:
    with pytest.raises(ParameterError, match="another one for a code of one number"):
        Gaussian(prior="flow").build((1,), (5,), seeded())
