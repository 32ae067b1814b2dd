"""Bottlenecks charge what their papers say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from latente import Contractive, Dense, Gaussian, ParameterError, Plain, Rounded, Sparse
from latente.bottlenecks.frequencies import TOTAL, Frequencies
from latente.bottlenecks.prior import Factorised
from latente.bottlenecks.table import Encoding, Moment


def moment(seed: int = 0, epoch: float | None = None) -> Moment:
    clock = None if epoch is None else torch.tensor(epoch)
    return Moment(torch.Generator().manual_seed(seed), clock)


def encoding(h: torch.Tensor, z: torch.Tensor) -> Encoding:
    return Encoding(h, h, z, nn.Identity())


def test_a_plain_code_costs_nothing() -> None:
    h = torch.randn(4, 3)
    terms = Plain().objective(torch.ones(1, 4), encoding(h, h), moment())
    assert set(terms) == {"total", "reconstruction"}
    assert torch.equal(terms["total"], torch.ones(4))


def test_a_sparse_code_pays_its_absolute_sum_times_the_weight() -> None:
    z = torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    terms = Sparse(weight=0.5).objective(torch.ones(1, 2), encoding(z, z), moment())
    assert terms["sparsity"].tolist() == [3.0, 0.0]
    assert terms["total"].tolist() == [2.5, 1.0]
    free = Sparse(weight=0).objective(torch.ones(1, 2), encoding(z, z), moment())
    assert free["total"].tolist() == [1.0, 1.0]


def jacobian_norms(encoder: nn.Module, x: torch.Tensor) -> torch.Tensor:
    rows = [torch.autograd.functional.jacobian(lambda r: encoder(r[None])[0], row) for row in x]
    return torch.stack([row.square().sum() for row in rows])


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "relu", "tanh"])
def test_the_contraction_of_one_layer_is_exact(activation: str) -> None:
    torch.manual_seed(0)
    network = Dense(hidden=(), code_activation=activation)
    encoder = network.build((7,), (7,), 3, 1).encoder
    x = torch.randn(6, 7, requires_grad=True)
    h = encoder(x)
    costs = Contractive().costs(Encoding(x, h, h, encoder), moment())
    assert torch.allclose(costs["contraction"], jacobian_norms(encoder, x.detach()), rtol=1e-4)


def test_the_contraction_of_deeper_encoders_is_estimated_without_bias() -> None:
    torch.manual_seed(0)
    encoder = Dense(hidden=(8,), activation="tanh").build((7,), (7,), 3, 1).encoder
    x = torch.randn(5, 7, requires_grad=True)
    h = encoder(x)
    costs = Contractive(probes=4000).costs(Encoding(x, h, h, encoder), moment())
    wanted = jacobian_norms(encoder, x.detach())
    assert torch.allclose(costs["contraction"], wanted, rtol=0.1)


def test_the_contraction_has_a_gradient() -> None:
    torch.manual_seed(0)
    encoder = Dense(hidden=(8,), activation="tanh").build((7,), (7,), 3, 1).encoder
    x = torch.randn(5, 7, requires_grad=True)
    h = encoder(x)
    Contractive().costs(Encoding(x, h, h, encoder), moment())["contraction"].sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in encoder.parameters() if p.dim() == 2)


def test_the_divergence_equals_torchs() -> None:
    h = torch.randn(6, 8)
    mean, log_variance = h.chunk(2, dim=1)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    assert torch.allclose(Gaussian().divergence(h), theirs, rtol=1e-4, atol=1e-6)


def test_codes_are_drawn_with_the_mean_and_spread_of_the_encoder() -> None:
    h = torch.tensor([[1.0, -2.0, math.log(0.25), math.log(4.0)]])
    z = Gaussian(samples=20_000).draw(h, torch.Generator().manual_seed(0))
    assert z.mean(0).tolist() == pytest.approx([1, -2], abs=0.05)
    assert z.std(0).tolist() == pytest.approx([0.5, 2], abs=0.05)
    assert Gaussian().code(h).tolist() == [[1, -2]]


def test_beta_weighs_the_divergence() -> None:
    h = torch.randn(4, 6)
    z = Gaussian().draw(h, torch.Generator().manual_seed(0))
    loss = torch.ones(1, 4)
    terms = {b: Gaussian(beta=b).objective(loss, encoding(h, z), moment()) for b in (0, 1, 3)}
    kl = terms[1]["kl"]
    assert torch.allclose(terms[0]["total"], torch.ones(4))
    assert torch.allclose(terms[3]["total"], 1 + 3 * kl)


def test_warm_up_raises_the_weight_and_ends() -> None:
    part = Gaussian(beta=2, warmup=10)
    assert float(part.weight_of("kl", moment(epoch=0))) == 0
    assert float(part.weight_of("kl", moment(epoch=5))) == 1
    assert float(part.weight_of("kl", moment(epoch=50))) == 2
    assert float(part.weight_of("kl", moment())) == 2


def test_free_bits_charge_only_above_the_allowance() -> None:
    h = torch.zeros(4, 6)
    h[:, 0] = 2.0
    z = h[:, :3]
    terms = Gaussian(free_bits=0.5).objective(torch.zeros(1, 4), encoding(h, z), moment())
    assert terms["kl"].tolist() == pytest.approx([2.0] * 4)
    assert terms["total"].tolist() == pytest.approx([2.0 + 0.5 + 0.5] * 4)


def test_the_importance_weighted_bound_rises_with_samples_to_the_evidence() -> None:
    """For a linear model the evidence is known: x = z + noise, z and noise ~ N(0, 1)."""
    x = torch.full((4000, 1), 1.5)
    h = torch.zeros(4000, 2)
    bounds = {}
    for samples in (1, 5, 200):
        part = Gaussian(samples=samples)
        z = part.draw(h, torch.Generator().manual_seed(0))
        loss = 0.5 * (x.repeat(samples, 1) - z).square().sum(1) + 0.5 * math.log(2 * math.pi)
        terms = part.objective(loss.view(samples, -1), encoding(h, z), moment())
        bounds[samples] = -float(terms["total"].mean())
    evidence = -0.5 * 1.5**2 / 2 - 0.5 * math.log(4 * math.pi)
    assert bounds[1] < bounds[5] < bounds[200] < evidence + 0.01
    assert bounds[200] == pytest.approx(evidence, abs=0.02)


def test_free_bits_and_many_samples_do_not_go_together() -> None:
    with pytest.raises(ParameterError, match="free_bits"):
        Gaussian(free_bits=0.1, samples=5)


def test_a_rounded_code_is_whole_steps_and_noise_stays_within_one() -> None:
    part = Rounded(step=0.25)
    h = torch.randn(500, 3)
    steps = part.code(h) / 0.25
    assert torch.equal(steps, steps.round())
    assert float((part.code(h) - h).abs().max()) <= 0.125
    noise = part.draw(h, torch.Generator().manual_seed(0)) - h
    assert 0.12 < float(noise.abs().max()) <= 0.1251
    assert float(noise.std()) == pytest.approx(0.25 / math.sqrt(12), rel=0.05)


def test_bits_are_those_of_the_prior_and_weighed() -> None:
    part = Rounded(weight=0.5, step=0.1)
    prior = part.prior((3,))
    z = part.code(torch.randn(4, 3))
    terms = part.objective(torch.ones(1, 4), Encoding(z, z, z, nn.Identity(), prior), moment())
    mass = prior.mass(z / 0.1)  # type: ignore[operator]
    assert torch.allclose(terms["bits"], -mass.log2().sum(1))
    assert torch.allclose(terms["total"], 1 + 0.5 * terms["bits"])


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
    codes = np.random.default_rng(0).integers(-4, 9, (3000, 6)).astype(np.float32)
    tables = prior.tabulate(codes)
    assert tables.sources == (2 if shared else 6)
    assert (tables.counts.sum(1) == TOTAL).all()
    assert (tables.counts >= 1).all()
    inside = tables.counts[:, 2:15] / TOTAL
    assert (tables.lowest == -6).all()
    assert np.abs(inside - 1 / 13).max() < 0.03


def test_a_wider_code_than_a_table_still_gets_one() -> None:
    codes = np.array([[-30_000.0], [0.0], [1.0], [30_000.0]], np.float32)
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
