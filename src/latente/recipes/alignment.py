"""Alignment of faces without any labels: moved, turned and scaled until they agree with their mean.

::

    faces ──flattened light──▶ mean, made symmetric ──▶ template of eyes, nose and mouth
                 ▲                                                │
                 └── each face moved to where it fits best ◀── correlation over shifts,
                                                              angles and scales

Congealing (Learned-Miller, 2006), with the normalised correlation as measure. The template is made
symmetric each time, so that the faces' axes of symmetry come to stand upright in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

WINDOW = (0.24, 0.80, 0.18, 0.82)
"""Top, bottom, left and right of the template, as shares of a picture: brows to mouth."""
REACH = 0.14
"""How far a face is looked for from where it was, as a share of the picture's height."""
ROUNDS = ((8.0, 0.08), (5.0, 0.05), (3.0, 0.03), (1.5, 0.015))
"""Step of the angles, in degrees, and of the scales; each is tried twice either way."""
LIGHT = 0.09
"""Width over which light is evened out, as a share of the picture's height."""


@dataclass(frozen=True)
class Placement:
    """Where faces lie: what turns a place of the aligned picture into one of the original.

    Parameters
    ----------
    across, down
        Of the face's middle from the picture's, as shares of half the width and height, (n,).
    angle
        By which the face is turned, in radians, (n,).
    scale
        Its size, 1 for that of the template, (n,).
    score
        Correlation with the template, (n,), at most 1.
    """

    across: Tensor
    down: Tensor
    angle: Tensor
    scale: Tensor
    score: Tensor

    def warp(self, x: Tensor) -> Tensor:
        """Return pictures (n, 1, h, w) moved so that the faces lie alike."""
        ratio = x.shape[-2] / x.shape[-1]
        cosine, sine = self.scale * self.angle.cos(), self.scale * self.angle.sin()
        rows = [
            torch.stack([cosine, -sine * ratio, self.across], 1),
            torch.stack([sine / ratio, cosine, self.down], 1),
        ]
        grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def place(X: Any, rounds: Sequence[tuple[float, float]] = ROUNDS) -> Placement:
    """Return where the faces of pictures lie, found from the pictures alone.

    Parameters
    ----------
    X
        Grey pictures, each of one face, (n, h, w).
    rounds
        Step of the angles, in degrees, and of the scales, of each round.
    """
    x = evened(torch.from_numpy(np.asarray(X)).float()[:, None])
    zero = torch.zeros(len(x))
    found = Placement(zero, zero, zero, torch.ones(len(x)), zero)
    for turn, growth in rounds:
        mean = found.warp(x).mean(0, keepdim=True)
        found = refined(x, (mean + mean.flip(3)) / 2, found, math.radians(turn), growth)
    return found


def refined(x: Tensor, mean: Tensor, start: Placement, turn: float, growth: float) -> Placement:
    """Return the placements around the present ones that agree best with the mean face.

    Parameters
    ----------
    x
        Pictures with even light, (n, 1, h, w).
    mean
        The symmetric mean face, (1, 1, h, w).
    start
        Present placements.
    turn, growth
        Steps of angle and scale.
    """
    height, width = x.shape[-2:]
    top, bottom = (round(share * height) for share in WINDOW[:2])
    left, right = (round(share * width) for share in WINDOW[2:])
    template = mean[..., top:bottom, left:right]
    template = template - template.mean()
    reach = min(round(REACH * height), top, left, height - bottom, width - right)
    best = start
    score = torch.full((len(x),), -1.0)
    for i in range(-2, 3):
        for j in range(-2, 3):
            angle, scale = start.angle + i * turn, start.scale * (1 + j * growth)
            tried = Placement(start.across, start.down, angle, scale, score)
            seen = tried.warp(x)[..., top - reach : bottom + reach, left - reach : right + reach]
            fit, place = correlation(seen, template).flatten(1).max(1)
            down, across = place // (2 * reach + 1) - reach, place % (2 * reach + 1) - reach
            moved = shifted(tried, across * 2 / width, down * 2 / height, height / width, fit)
            best = chosen(fit > score, moved, best)
            score = best.score
    return best


def shifted(at: Placement, across: Tensor, down: Tensor, ratio: float, score: Tensor) -> Placement:
    """Return placements moved by steps that are measured in the aligned picture."""
    cosine, sine = at.scale * at.angle.cos(), at.scale * at.angle.sin()
    return Placement(
        at.across + cosine * across - sine * ratio * down,
        at.down + sine / ratio * across + cosine * down,
        at.angle,
        at.scale,
        score,
    )


def chosen(better: Tensor, first: Placement, second: Placement) -> Placement:
    """Return the first placement where it is better, the second elsewhere."""
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Placement(*(torch.where(better, a, b) for a, b in pairs))


def correlation(x: Tensor, template: Tensor) -> Tensor:
    """Return the normalised correlation of pictures with a template of mean 0 at each place."""
    ones = torch.ones_like(template)
    n = template.numel()
    mean = functional.conv2d(x, ones / n)
    power = (functional.conv2d(x.square(), ones / n) - mean.square()).clamp(min=1e-6)
    return functional.conv2d(x, template) / n / (power * template.square().mean()).sqrt()


def evened(x: Tensor) -> Tensor:
    """Return pictures less the light of their neighbourhood, in units of its contrast."""
    width = 2 * round(LIGHT * x.shape[-2] / 2) * 2 + 1

    def around(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, width, 1, width // 2, count_include_pad=False)

    rest = x - around(x)
    return rest / (around(rest.square()).sqrt() + 8)
