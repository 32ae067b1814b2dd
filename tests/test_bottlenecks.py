"""Bottlenecks charge what their papers say."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from latente import Contractive, Dense, Gaussian, ParameterError, Plain, Rounded, Sparse
from latente.bottlenecks.base import (
    Bottleneck,
    BottleneckModule,
    Cost,
    Draw,
    Encoding,
    Moment,
    Terms,
)
from latente.bottlenecks.frequencies import TOTAL, Frequencies
from latente.bottlenecks.rounded import Factorised
from latente.data.space import Space
from latente.networks.base import NetworkModule


def moment(seed: int = 0, epoch: float | None = None) -> Moment:
    clock = None if epoch is None else torch.tensor(epoch)
    return Moment(torch.Generator().manual_seed(seed), clock)


def made(part: Bottleneck, shape: tuple[int, ...] = (3,)) -> BottleneckModule:
    return part.build(shape, (7,), torch.Generator().manual_seed(0))


def encoding(h: torch.Tensor, network: NetworkModule | None = None) -> Encoding:
    network = network or NetworkModule(nn.Identity(), nn.Identity(), (3,))
    return Encoding(h, network.encoder, partial(network.squared_jacobian, h), lambda: h)


def terms_of(part: Bottleneck, loss: torch.Tensor, h: torch.Tensor, when: Moment) -> Terms:
    module = made(part, (h.shape[1] // part.per_code(),))
    return module.objective(loss, encoding(h), module.draw(encoding(h), when), when)


def test_a_plain_code_costs_nothing() -> None:
    terms = terms_of(Plain(), torch.ones(1, 4), torch.randn(4, 3), moment())
    assert set(terms) == {"total", "reconstruction"}
    assert torch.equal(terms["total"], torch.ones(4))


def test_a_sparse_code_pays_its_absolute_sum_times_the_weight() -> None:
    z = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    terms = terms_of(Sparse(weight=0.5), torch.ones(1, 2), z, moment())
    assert terms["sparsity"].tolist() == [3.0, 0.0]
    assert terms["total"].tolist() == [2.5, 1.0]
    assert terms_of(Sparse(weight=0), torch.ones(1, 2), z, moment())["total"].tolist() == [1, 1]


def jacobian_norms(encoder: nn.Module, x: torch.Tensor) -> torch.Tensor:
    rows = [torch.autograd.functional.jacobian(lambda r: encoder(r[None])[0], row) for row in x]
    return torch.stack([row.square().sum() for row in rows])


def dense(seed: int = 0, **params: object) -> NetworkModule:
    generator = torch.Generator().manual_seed(seed)
    part = Dense(**params)  # type: ignore[arg-type]
    rows = Space.of_shape((7,))
    return part.build(rows, rows, 3, per_code=1, per_value=1, generator=generator)


def contraction(network: NetworkModule, x: torch.Tensor, probes: int = 1) -> torch.Tensor:
    seen = Encoding(
        network.encoder(x), network.encoder, partial(network.squared_jacobian, x), lambda: x
    )
    return made(Contractive(probes=probes)).draw(seen, moment()).costs["contraction"].value


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "relu", "tanh"])
def test_the_contraction_of_one_layer_is_exact(activation: str) -> None:
    network = dense(hidden=(), code_activation=activation)
    x = torch.randn(6, 7)
    wanted = jacobian_norms(network.encoder, x)
    assert torch.allclose(contraction(network, x), wanted, rtol=1e-4)


def test_the_contraction_of_deeper_encoders_is_estimated_without_bias() -> None:
    network = dense(hidden=(8,), activation="tanh")
    x = torch.randn(5, 7)
    wanted = jacobian_norms(network.encoder, x)
    assert torch.allclose(contraction(network, x, probes=4000), wanted, rtol=0.1)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_the_contraction_has_a_gradient(hidden: tuple[int, ...]) -> None:
    network = dense(hidden=hidden, activation="tanh", code_activation="tanh")
    contraction(network, torch.randn(5, 7)).sum().backward()
    weights = [p for p in network.encoder.parameters() if p.dim() == 2]
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in weights)


def test_the_divergence_equals_torchs() -> None:
    h = torch.randn(6, 8)
    mean, log_variance = h.chunk(2, dim=1)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    cost = made(Gaussian(), (4,)).draw(encoding(h), moment()).costs["kl"].value
    assert torch.allclose(cost, theirs.sum(1), rtol=1e-4, atol=1e-6)


def test_codes_are_drawn_with_the_mean_and_spread_of_the_encoder() -> None:
    h = torch.tensor([[1.0, -2.0, math.log(0.25), math.log(4.0)]])
    module = made(Gaussian(samples=20_000), (2,))
    z = module.draw(encoding(h), moment()).z
    assert z.mean(0).tolist() == pytest.approx([1, -2], abs=0.05)
    assert z.std(0).tolist() == pytest.approx([0.5, 2], abs=0.05)
    assert module.code(h).tolist() == [[1, -2]]
    assert module.draw(encoding(h), moment()._replace(deterministic=True)).z.tolist() == [[1, -2]]


def test_beta_weighs_the_divergence() -> None:
    h, loss = torch.randn(4, 6), torch.ones(1, 4)
    terms = {b: terms_of(Gaussian(beta=b), loss, h, moment()) for b in (0, 1, 3)}
    kl = terms[1]["kl"]
    assert torch.allclose(terms[0]["total"], torch.ones(4))
    assert torch.allclose(terms[3]["total"], 1 + 3 * kl)


def test_warm_up_raises_the_weight_and_ends() -> None:
    part, h = Gaussian(beta=2, warmup=10), torch.randn(4, 6)

    def weight(when: Moment) -> float:
        terms = terms_of(part, torch.zeros(1, 4), h, when)
        return float((terms["total"] / terms["kl"]).mean())

    assert weight(moment(epoch=0)) == 0
    assert weight(moment(epoch=5)) == pytest.approx(1)
    assert weight(moment(epoch=50)) == pytest.approx(2)
    assert weight(moment()) == pytest.approx(2)


def test_free_bits_charge_only_above_the_allowance() -> None:
    h = torch.zeros(4, 6)
    h[:, 0] = 2.0
    part = Gaussian(free_bits=0.5)
    terms = terms_of(part, torch.zeros(1, 4), h, moment())
    assert terms["kl"].tolist() == pytest.approx([2.0] * 4)
    assert terms["total"].tolist() == pytest.approx([2.0 + 0.5 + 0.5] * 4)
    alone = terms_of(part, torch.zeros(1, 4), h, moment()._replace(deterministic=True))
    assert alone["total"].tolist() == pytest.approx([2.0] * 4), "a row's score is its own"


def test_the_importance_weighted_bound_rises_with_samples_to_the_evidence() -> None:
    """For a linear model the evidence is known: x = z + noise, z and noise ~ N(0, 1)."""
    x = torch.full((4000, 1), 1.5)
    h = torch.zeros(4000, 2)
    bounds = {}
    for samples in (1, 5, 200):
        module = made(Gaussian(samples=samples), (1,))
        draw = module.draw(encoding(h), moment())
        z = draw.z
        loss = 0.5 * (x.repeat(samples, 1) - z).square().sum(1) + 0.5 * math.log(2 * math.pi)
        terms = module.objective(loss.view(samples, -1), encoding(h), draw, moment())
        bounds[samples] = -float(terms["total"].mean())
    evidence = -0.5 * 1.5**2 / 2 - 0.5 * math.log(4 * math.pi)
    assert bounds[1] < bounds[5] < bounds[200] < evidence + 0.01
    assert bounds[200] == pytest.approx(evidence, abs=0.02)


def test_free_bits_and_many_samples_do_not_go_together() -> None:
    with pytest.raises(ParameterError, match="free_bits"):
        Gaussian(free_bits=0.1, samples=5)


def test_a_rounded_code_is_whole_steps_and_noise_stays_within_one() -> None:
    module = made(Rounded(step=0.25))
    h = torch.randn(500, 3)
    steps = module.code(h) / 0.25
    assert torch.equal(steps, steps.round())
    assert torch.equal(module.from_integers(module.to_integers(module.code(h))), module.code(h))
    assert float((module.code(h) - h).abs().max()) <= 0.125
    noise = module.draw(encoding(h), moment()).z - h
    assert 0.12 < float(noise.abs().max()) <= 0.1251
    assert float(noise.std()) == pytest.approx(0.25 / math.sqrt(12), rel=0.05)


def test_bits_are_those_of_the_prior_and_weighed() -> None:
    module = made(Rounded(weight=0.5, step=0.1))
    z = module.code(torch.randn(4, 3))
    when = moment()._replace(deterministic=True)
    draw = module.draw(encoding(z), when)
    terms = module.objective(torch.ones(1, 4), encoding(z), draw, when)
    mass = module.prior.mass(z / 0.1)  # type: ignore[operator,union-attr]
    assert torch.allclose(terms["bits"], -mass.log2().sum(1))
    assert torch.allclose(terms["total"], 1 + 0.5 * terms["bits"])
    assert torch.allclose(module.code_cost(z), 0.5 * terms["bits"])


def test_larger_steps_cost_less_and_are_worth_more() -> None:
    module = made(Rounded(weight=0.5, step=0.1))
    z = torch.randn(4, 3)
    before = module.to_integers(z).abs().sum()
    module.rescale(2.0)
    assert module.to_integers(z).abs().sum() < before
    assert float(module.weight) == pytest.approx(2.0)
    with pytest.raises(ParameterError, match="not whole numbers"):
        made(Plain()).rescale(2.0)


def test_a_cost_of_no_weight_is_reported_only() -> None:
    module = BottleneckModule((3,))
    draw = Draw(torch.zeros(2, 3), {"use": Cost(torch.ones(2), 0.0)})
    terms = module.objective(torch.ones(1, 2), encoding(torch.zeros(2, 3)), draw, moment())
    assert terms["total"].tolist() == [1, 1]
    assert terms["use"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("shape", "shared"), [((4,), False), ((4, 2, 3), False), ((4, 2, 3), True)]
)
def test_the_prior_is_a_distribution_and_learns_what_codes_are(
    shape: tuple[int, ...], shared: bool
) -> None:
    prior = Factorised(shape, shared=shared)
    numbers = torch.arange(-200.0, 201.0).view(-1, *[1] * len(shape)).expand(-1, *shape)
    assert torch.allclose(prior.mass(numbers).sum(0), torch.ones(shape), atol=1e-4)
    centre = torch.linspace(-6, 6, 4).view(4, *[1] * (len(shape) - 1))
    codes = (
        torch.randn(512, *shape, generator=torch.Generator().manual_seed(0)) * 2 + centre
    ).round()
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.03)
    before = float(prior(codes).detach().mean())
    for _ in range(150):
        optimizer.zero_grad()
        prior(codes).mean().backward()
        optimizer.step()
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 4) * math.prod(shape)
    assert float(prior(codes).detach().mean()) < min(before, 1.05 * entropy)


def test_far_from_all_it_knows_the_prior_is_finite_and_falls() -> None:
    prior = Factorised((1,), shared=False)
    bits = prior(torch.tensor([[0.0], [20.0], [60.0], [30_000.0]]))
    assert bits.isfinite().all()
    assert bits.tolist() == sorted(bits.tolist())


@pytest.mark.parametrize("shared", [False, True])
def test_tables_follow_the_codes_and_sum_to_the_total(shared: bool) -> None:
    prior = Factorised((2, 3), shared=shared)
    codes = np.random.default_rng(0).integers(-4, 9, (3000, 6))
    tables = prior.tabulate(codes)
    assert tables.sources == (2 if shared else 6)
    assert (tables.counts.sum(1) == TOTAL).all()
    assert (tables.counts >= 1).all()
    inside = tables.counts[:, 2:15] / TOTAL
    assert (tables.lowest == -6).all()
    assert np.abs(inside - 1 / 13).max() < 0.03


def test_a_wider_code_than_a_table_still_gets_one() -> None:
    codes = np.array([[-30_000], [0], [1], [30_000]])
    tables = Factorised((1,), shared=False).tabulate(codes)
    place = int(-tables.lowest[0])
    assert 0 < place < tables.escape
    assert tables.counts[0, tables.escape] > 100


@pytest.mark.parametrize("change", ["sum", "zero", "shape", "type"])
def test_tables_that_cannot_be_are_refused(change: str) -> None:
    lowest, counts = np.zeros(1, np.int32), np.array([[TOTAL - 1, 1]], np.int32)
    Frequencies(lowest, counts)
    if change == "sum":
        counts = counts + 1
    if change == "zero":
        counts = np.array([[TOTAL, 0]], np.int32)
    if change == "shape":
        lowest = np.zeros(2, np.int32)
    if change == "type":
        lowest = lowest.astype(np.int64)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="tables of frequencies"):
        Frequencies(lowest, counts)
