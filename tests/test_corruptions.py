"""Corruptions change what they say they change, by as much as they say."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import Tensor

from latente import Erase, GaussianNoise, Mask, ParameterError, SaltAndPepper
from latente.corruptions import CORRUPTIONS
from latente.corruptions.base import Corruption, corrupt
from latente.data.space import Bounds, Space


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(n: int = 64) -> Tensor:
    return torch.full((n, 1, 28, 28), 0.5)


def space(x: Tensor, bounds: Bounds = None) -> Space:
    return Space.of_shape(tuple(x.shape[1:]), bounds=bounds)


def applies(corruption: Corruption, x: Tensor) -> bool:
    """Whether samples of that shape can be corrupted so; if not, the error says what to give."""
    with contextlib.suppress(ParameterError):
        return bool(corruption.build(space(x)))
    with pytest.raises(ParameterError, match="; give "):
        corruption.build(space(x))
    return False


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(32, 20), (32, 1, 9, 7), (32, 3, 8, 8)])
def test_shape_and_input_are_kept_and_draws_depend_on_the_seed_alone(
    name: str, shape: tuple[int, ...]
) -> None:
    corruption = CORRUPTIONS[name]()
    x = torch.rand(shape, generator=seeded())
    before = x.clone()
    if not applies(corruption, x):
        return
    module = corruption.build(space(x, (0, 1)))
    used = seeded(1)
    first = module(x, used)
    again, other = (module(x, seeded(s)) for s in (1, 2))
    assert first.shape == (len(x), *module.seen_shape)
    assert module.present(x).shape == first.shape
    assert torch.equal(x, before)
    assert torch.equal(first, again)
    draws = not torch.equal(used.get_state(), seeded(1).get_state())
    assert torch.equal(first, other) != draws
    assert first.shape != x.shape or not torch.equal(first, x)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_a_module_does_not_follow_later_changes_of_its_part() -> None:
    part = Mask(rate=1.0)
    module = part.build(space(grey()))
    part.set_params(rate=0.0)
    assert float(module(grey(), seeded()).max()) == 0


def test_the_mask_channel_must_come_last() -> None:
    with pytest.raises(ParameterError, match="must come last"):
        corrupt(grey(), [Erase(mask_channel=True), Mask()], seeded())
    assert corrupt(grey(), [Mask(), Erase(mask_channel=True)], seeded()).shape[1] == 2


def test_one_corruption_is_a_list_of_one() -> None:
    for spec in (Mask(rate=1), "mask(rate=1)", [Mask(rate=1)]):
        assert float(corrupt(grey(), spec, seeded()).max()) == 0
    with pytest.raises(ParameterError, match="corruption=3"):
        corrupt(grey(), 3, seeded())  # type: ignore[arg-type]


def test_noise_has_the_mean_and_the_spread_asked_for() -> None:
    noise = corrupt(torch.zeros(200, 500), GaussianNoise(mean=0.5, std=0.1), seeded())
    assert float(noise.mean()) == pytest.approx(0.5, abs=2e-3)
    assert float(noise.std()) == pytest.approx(0.1, abs=2e-3)


def test_noise_is_clipped_to_the_scale_only_where_asked() -> None:
    loud = GaussianNoise(std=3)
    assert float(corrupt(grey(), loud, seeded(), (0, 1)).max()) == 1
    assert float(corrupt(grey(), loud, seeded(), None).max()) > 1
    assert float(corrupt(grey(), GaussianNoise(std=3, clip=False), seeded(), (0, 1)).max()) > 1
    assert float(corrupt(grey(), GaussianNoise(std=3, clip=True), seeded(), None).max()) == 1


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.6, 1.0])
def test_a_mask_hides_the_share_asked_for(rate: float) -> None:
    hidden = corrupt(grey(), Mask(rate=rate, value=-1), seeded(), (0, 1)) == -1
    assert float(hidden.float().mean()) == pytest.approx(rate, abs=0.01)


@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_salt_and_pepper_come_in_equal_parts(rate: float) -> None:
    spiced = corrupt(grey(), SaltAndPepper(rate=rate), seeded(), (0, 1))
    assert float((spiced == 0).float().mean()) == pytest.approx(rate / 2, abs=0.01)
    assert float((spiced == 1).float().mean()) == pytest.approx(rate / 2, abs=0.01)


@pytest.mark.parametrize("shape", [(400, 900), (400, 1, 30, 30)])
@pytest.mark.parametrize(
    "part", [GaussianNoise(std=(0.1, 0.5)), Mask(rate=(0.1, 0.5)), SaltAndPepper(rate=(0.1, 0.5))]
)
def test_a_range_draws_a_level_for_each_sample(part: Corruption, shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 0.5)
    changed = (corrupt(x, part, seeded(), (0, 1) if hasattr(part, "rate") else None) - x).flatten(1)
    levels = (changed != 0).float().mean(1) if hasattr(part, "rate") else changed.std(1)
    assert 0.03 < float(levels.min()) < 0.15
    assert 0.45 < float(levels.max()) < 0.57
    assert float(levels.mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(corrupt(x, part, seeded()), corrupt(x, part, seeded()))


@pytest.mark.parametrize(("name", "wrong"), [("std", (0.5, 0.1)), ("std", -1), ("std", (1, 2, 3))])
def test_a_range_that_is_none_is_named(name: str, wrong: object) -> None:
    with pytest.raises(ParameterError, match=f"{name}=.*lowest and highest"):
        GaussianNoise(**{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mask", "salt_and_pepper"])
def test_a_colour_pixel_changes_in_all_its_channels(name: str) -> None:
    x = torch.full((16, 3, 8, 8), 0.5)
    changed = corrupt(x, CORRUPTIONS[name](), seeded(), (0, 1)) != 0.5
    assert torch.equal(changed.any(1), changed.all(1))


def test_corruptions_are_applied_in_order() -> None:
    x = grey()
    masked_last = corrupt(x, [GaussianNoise(mean=1, std=0), Mask(rate=1)], seeded(), None)
    noised_last = corrupt(x, [Mask(rate=1), GaussianNoise(mean=1, std=0)], seeded(), None)
    assert float(masked_last.max()) == 0
    assert float(noised_last.min()) == 1
