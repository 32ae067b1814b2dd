"""Losses equal their formulas, and torch's own where torch has them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from latente import Bernoulli, GaussianLikelihood, Huber
from latente.entropy import cross_entropy
from latente.losses import LOSSES


def pair(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, 3, generator=generator), torch.rand(n, 2, 3, generator=generator)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_sum_over_features_for_each_sample(name: str) -> None:
    loss = LOSSES[name]()
    output, target = pair()
    learned = loss.learned((2, 3))
    values = loss(output, target, learned)
    assert values.shape == (5,)
    alone = torch.cat([loss(output[i : i + 1], target[i : i + 1], learned) for i in range(5)])
    assert torch.allclose(values, alone)
    doubled = loss(output.repeat(1, 2, 1), target.repeat(1, 2, 1), learned)
    assert torch.allclose(doubled, 2 * values, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_least_at_the_target(name: str) -> None:
    loss = LOSSES[name]()
    _, target = pair()
    at = torch.logit(target) if loss.on_logits else target
    learned = loss.learned((2, 3))
    assert bool((loss(at, target, learned) < loss(at + 0.3, target, learned)).all())
    assert bool((loss(at, target, learned) < loss(at - 0.3, target, learned)).all())


def test_the_bernoulli_loss_equals_torchs_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = (30 * torch.randn(64, 50, generator=generator)).double().requires_grad_()
    target = torch.rand(64, 50, generator=generator).double()
    theirs = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
    (wanted,) = torch.autograd.grad((theirs**2).sum(), logits)
    single = logits.detach().float().requires_grad_()
    ours = cross_entropy(single, target.float())
    (got,) = torch.autograd.grad((ours**2).sum(), single)
    assert torch.allclose(ours.double(), theirs, rtol=1e-5)
    assert torch.allclose(got.double(), wanted, rtol=1e-4, atol=1e-3)


def test_the_bernoulli_loss_of_a_certain_mistake_is_finite() -> None:
    values = Bernoulli()(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]), {})
    assert float(values) == pytest.approx(2e4)


def test_the_gaussian_loss_is_minus_the_log_density() -> None:
    loss = GaussianLikelihood(scale="feature")
    output, target = pair()
    log_scale = torch.linspace(-1, 1, 6).view(2, 3)
    normal = torch.distributions.Normal(output, log_scale.exp())
    wanted = -normal.log_prob(target).flatten(1).sum(1)
    assert torch.allclose(loss(output, target, {"log_scale": log_scale}), wanted, rtol=1e-5)


def test_the_gaussian_loss_keeps_its_scale_above_the_least() -> None:
    loss = GaussianLikelihood(least=0.1)
    value = loss(torch.zeros(1, 1), torch.zeros(1, 1), {"log_scale": torch.tensor([-50.0])})
    assert float(value) == pytest.approx(math.log(0.1) + 0.5 * math.log(2 * math.pi), rel=1e-5)


def test_huber_goes_from_square_to_line_at_delta() -> None:
    output = torch.tensor([[0.5], [4.0]])
    values = Huber(delta=1.0)(output, torch.zeros(2, 1), {})
    assert values.tolist() == pytest.approx([0.125, 3.5])
