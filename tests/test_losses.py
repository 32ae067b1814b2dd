"""Losses equal their formulas, and torch's own where torch has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from latente import (
    Autoencoder,
    Bernoulli,
    Colours,
    GaussianLikelihood,
    Grayscale,
    Huber,
    ParameterError,
    Structural,
    metrics,
)
from latente.data.space import Space
from latente.losses import LOSSES
from latente.losses.base import Loss, LossModule
from latente.losses.bernoulli import cross_entropy
from latente.losses.colours import painted, separated, spiral


def pair(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, 3, generator=generator), torch.rand(n, 2, 3, generator=generator)


def module(loss: Loss, shape: tuple[int, ...] = (2, 3), activation: str = "auto") -> LossModule:
    return loss.build(Space.of_shape(shape, bounds=(0.0, 1.0)), activation)


def raw_of(loss: LossModule, x: torch.Tensor) -> torch.Tensor:
    """Return raw output whose x̂ is x."""
    raw = loss.inverse(x)
    return raw if loss.per_value == 1 else raw[:, None].repeat(1, loss.per_value, 1, 1)


OF_PICTURES = ("structural", "colours")
PLAIN = [name for name in LOSSES if name not in ("categorical", *OF_PICTURES)]


@pytest.mark.parametrize("name", PLAIN)
def test_a_loss_is_a_sum_over_values_for_each_sample(name: str) -> None:
    loss = module(LOSSES[name]())
    output, target = pair()
    raw = raw_of(loss, output.sigmoid())
    values = loss(raw, target)
    assert values.shape == (5,)
    assert torch.allclose(loss.values(raw, target).flatten(1).sum(1), values, rtol=1e-5)
    alone = torch.cat([loss(raw[i : i + 1], target[i : i + 1]) for i in range(5)])
    assert torch.allclose(values, alone)


@pytest.mark.parametrize("name", PLAIN)
def test_a_loss_is_averaged_over_values_where_asked(name: str) -> None:
    output, target = pair()
    summed, mean = module(LOSSES[name]()), module(LOSSES[name](reduction="mean"))
    raw = raw_of(summed, output.sigmoid())
    assert torch.allclose(mean(raw, target), summed(raw, target) / 6, rtol=1e-5)
    with pytest.raises(ParameterError, match="reduction must be 'sum' or 'mean'"):
        LOSSES[name](reduction="max")


@pytest.mark.parametrize("name", PLAIN)
def test_values_of_no_weight_do_not_count(name: str) -> None:
    loss = module(LOSSES[name]())
    output, target = pair()
    raw = raw_of(loss, output.sigmoid())
    weight = torch.tensor([1.0, 0.0]).view(1, 2, 1)
    other = target.clone()
    other[:, 1] = 0.123
    assert torch.equal(loss(raw, target, weight), loss(raw, other, weight))
    assert not torch.allclose(loss(raw, target, weight), loss(raw, target))


@pytest.mark.parametrize("name", PLAIN)
def test_a_loss_is_least_at_the_target(name: str) -> None:
    loss = module(LOSSES[name]())
    _, target = pair()
    target = target.clamp(0.05, 0.95)
    at = raw_of(loss, target)
    assert torch.allclose(loss.output(at), target, atol=1e-6)
    away = torch.zeros_like(at)
    away[:, 0] = 0.3  # the mean alone, where there is more
    away = away if loss.per_value > 1 else torch.full_like(at, 0.3)
    assert bool((loss(at, target) < loss(at + away, target)).all())
    assert bool((loss(at, target) < loss(at - away, target)).all())


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
    values = module(Bernoulli(), (2,))(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))
    assert float(values) == pytest.approx(2e4)


def test_the_gaussian_loss_is_minus_the_log_density() -> None:
    loss = module(GaussianLikelihood(scale="feature"))
    output, target = pair()
    log_scale = torch.linspace(-1, 1, 6).view(2, 3)
    loss.load_state_dict({"log_scale": log_scale})
    normal = torch.distributions.Normal(output, log_scale.exp())
    wanted = -normal.log_prob(target).flatten(1).sum(1)
    assert torch.allclose(loss(output, target), wanted, rtol=1e-5)
    assert torch.allclose(loss.log_density(output, target), -wanted, rtol=1e-5)


def test_the_gaussian_loss_keeps_its_scale_above_the_least() -> None:
    loss = module(GaussianLikelihood(least=0.1), (1,))
    loss.load_state_dict({"log_scale": torch.tensor([-50.0])})
    value = loss(torch.zeros(1, 1), torch.zeros(1, 1)).detach()
    assert float(value) == pytest.approx(math.log(0.1) + 0.5 * math.log(2 * math.pi), rel=1e-5)


def test_huber_goes_from_square_to_line_at_delta() -> None:
    output = torch.tensor([[0.5], [4.0]])
    values = module(Huber(delta=1.0), (1,))(output, torch.zeros(2, 1))
    assert values.tolist() == pytest.approx([0.125, 3.5])


def test_only_likelihoods_have_a_density() -> None:
    with pytest.raises(ParameterError, match="a loss that is a likelihood"):
        module(Huber(), (1,)).log_density(torch.zeros(1, 1), torch.zeros(1, 1))


def test_the_bernoulli_loss_refuses_other_activations_and_values() -> None:
    with pytest.raises(ParameterError, match="output_activation='tanh'"):
        module(Bernoulli(), activation="tanh")
    with pytest.raises(ParameterError, match="needs values from 0 to 1"):
        Bernoulli().build(Space(shape=(3,), layout="rows", low=-1.0, high=2.0))


def pictures(seed: int, channels: int = 3, side: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(4, channels, side, side, generator=generator)


def test_the_structural_loss_holds_the_measures_similarity() -> None:
    a, b = pictures(0), 0.5 * pictures(0) + 0.5 * pictures(1)
    values = module(Structural(weight=1.0), a.shape[1:], "identity").values(a, b)
    inside = values[..., 5:-5, 5:-5].mean((1, 2, 3)).numpy()
    wanted = 1 - metrics.ssim(a.movedim(1, 3), b.movedim(1, 3))
    assert np.allclose(inside, wanted, atol=1e-5)
    absolute = module(Structural(weight=0.0), a.shape[1:], "identity").values(a, b)
    assert torch.allclose(absolute, (a - b).abs())


def test_the_structural_loss_is_the_same_in_every_scale() -> None:
    a, b = pictures(0, 1), pictures(1, 1)
    bytes_ = Space(shape=(1, 24, 24), layout="pictures", low=0.0, high=255.0, bounds=(0.0, 255.0))
    unit = module(Structural(), (1, 24, 24), "identity")(a, b)
    assert torch.allclose(Structural().build(bytes_, "identity")(255 * a, 255 * b), unit, rtol=1e-4)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_a_loss_of_pictures_is_a_sum_over_values_and_least_at_the_target(name: str) -> None:
    target = pictures(0)
    loss = module(LOSSES[name](), target.shape[1:]).eval()
    at = loss.inverse(target)
    assert loss(at, target).shape == (4,)
    assert torch.allclose(loss.values(at, target).flatten(1).sum(1), loss(at, target), rtol=1e-5)
    other = loss.inverse(pictures(1))
    assert bool((loss(at, target) < loss(other, target)).all())
    mean = module(LOSSES[name](reduction="mean"), target.shape[1:]).eval()
    assert torch.allclose(mean(other, target), loss(other, target) / target[0].numel())
    with pytest.raises(ParameterError, match="but the targets are rows"):
        LOSSES[name]().build(Space.of_shape((6,), bounds=(0.0, 1.0)))


def test_colours_come_back_from_their_tints() -> None:
    """Colours of tints on the spiral are exact; x̂ keeps the brightness of any."""
    x = pictures(2)
    grey, tint = separated(x)
    assert torch.allclose(painted(grey, tint), x, atol=1e-5)
    loss = module(Colours(temperature=0.05), x.shape[1:])
    pale = 0.4 + 0.2 * x
    back = loss.output(loss.inverse(pale))
    assert torch.allclose(separated(back)[0], separated(pale)[0], atol=1e-4)
    assert float((back - pale).abs().max()) < 0.2
    apart = torch.cdist(spiral(71), spiral(71)) + torch.eye(71)
    assert float(apart.min()) > 0.03


def test_rare_tints_count_more_the_more_they_are_balanced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a picture with one red pixel of 64, that pixel's part in the loss."""
    monkeypatch.setattr("latente.losses.colours.MEMORY", 0.5)
    brown = torch.tensor([0.5, 0.45, 0.4]).view(1, 3, 1, 1).expand(1, 3, 8, 8).clone()
    red = brown.clone()
    red[:, :, :1, :1] = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)

    def share(balance: float) -> float:
        loss = module(Colours(balance=balance), (3, 8, 8)).train()
        raw = torch.zeros(1, loss.per_value, 3, 8, 8, requires_grad=True)
        for _ in range(20):
            values = loss.values(raw, red)
        tints = values[:, 1].detach()
        return float(tints[0, 0, 0] / tints.sum())

    assert share(0.0) == pytest.approx(1 / 64, rel=0.01)
    assert share(1.0) > 1.1 * share(0.5) > 3 * share(0.0)


def test_colours_of_grey_pictures_are_refused_and_coloured_ones_learned() -> None:
    with pytest.raises(ParameterError, match="3 channels"):
        module(Colours(), (1, 8, 8))
    with pytest.raises(ParameterError, match="output_activation='tanh'"):
        module(Colours(), (3, 8, 8), "tanh")
    side = np.linspace(0, 1, 8)
    dark = np.random.default_rng(0).random((64, 1, 1)) < 0.5
    grey = np.where(dark, 0.2, 0.7) + 0.1 * side[:, None] * side
    tint = np.where(dark[..., None], [-0.1, 0.0, 0.15], [0.25, -0.08, -0.15])
    X = np.clip(grey[..., None] + tint, 0, 1).astype(np.float32)
    ae = Autoencoder(
        network="conv(channels=[8], code=spatial, down=pool, skips=True)",
        loss="colours(tints=20)", corruption=Grayscale(), epochs=25, batch_size=16,
        learning_rate=0.02, scaling="none", random_state=0, validation_fraction=0,
    ).fit(X)  # fmt: skip
    back = ae.reconstruct(X)
    chroma = [np.ptp(pictures, axis=-1).mean() for pictures in (back, X)]
    assert chroma[0] > 0.6 * chroma[1]
    assert float(np.abs(back - X).mean()) < 0.08


def test_the_structural_loss_is_as_exact_where_the_network_is_not() -> None:
    """Variances of small contrast would vanish in bfloat16's eight bits."""
    a = 0.6 + 0.02 * pictures(0, 1)
    b = 0.6 + 0.02 * pictures(1, 1)
    loss = module(Structural(weight=1.0), (1, 24, 24), "identity")
    exact = loss(a, b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(loss(a, b), exact, rtol=1e-4)


def test_a_lower_temperature_leaves_the_likeliest_tint() -> None:
    raw = torch.zeros(1, Colours().tints // 3 + 1, 3, 1, 1)
    raw.view(-1)[0] = 0.5  # brightness
    raw.view(-1)[31] = 1.0  # of the tints, the one of place 30 is a little likelier

    def tint(temperature: float) -> torch.Tensor:
        loss = module(Colours(temperature=temperature), (3, 1, 1))
        return separated(loss.output(raw))[1].flatten() - spiral(71)[30]

    assert float(tint(0.02).norm()) < 0.01 < 0.1 < float(tint(1.0).norm())
