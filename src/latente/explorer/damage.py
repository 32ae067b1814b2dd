"""Damage: corruptions by sliders, to see what of a sample comes back.

Each slider is one parameter of one of the corruptions by name; those that do not apply to the data
are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ..corruptions import CORRUPTIONS
from ..corruptions.base import Chain, Corruption
from ..data.preparation import Preparation
from ..errors import ParameterError
from ..metrics import mse, psnr
from ..parts import construct
from .scene import Scene
from .view import ModelView


@dataclass(frozen=True)
class Damage:
    """A slider: a parameter of a corruption.

    Parameters
    ----------
    name
        What it is called on the page.
    corruption, parameter
        Which parameter of which corruption.
    low, high, step, value
        Where the slider begins and ends, its steps, and where it stands when it is switched on. At
        its low end there is no damage.
    """

    name: str
    corruption: str
    parameter: str
    low: float
    high: float
    step: float
    value: float

    def part(self, amount: float, **more: Any) -> Corruption:
        """Return the corruption of that amount."""
        whole = isinstance(self.step, int)
        params = {self.parameter: round(amount) if whole else amount, **more}
        return construct(self.corruption, params, CORRUPTIONS, "corruption")

    def facts(self) -> dict[str, Any]:
        """Return the slider as plain JSON values."""
        kept = ("name", "low", "high", "step", "value")
        return {name: value for name, value in asdict(self).items() if name in kept}


DAMAGES = (
    Damage("noise", "gaussian_noise", "std", 0.0, 1.0, 0.05, 0.3),
    Damage("mask", "mask", "rate", 0.0, 1.0, 0.05, 0.3),
    Damage("salt_and_pepper", "salt_and_pepper", "rate", 0.0, 1.0, 0.05, 0.2),
    Damage("watermark", "watermark", "opacity", 0.0, 1.0, 0.05, 0.5),
    Damage("blur", "blur", "std", 0.0, 4.0, 0.25, 1.0),
    Damage("downsample", "downsample", "factor", 1, 8, 1, 2),
    Damage("erase", "erase", "share", 0.0, 0.8, 0.05, 0.25),
)
"""The sliders, in the order in which damage is done; the last one alone can tell a model where."""


@dataclass(frozen=True)
class Damaged:
    """A damaged sample.

    Parameters
    ----------
    X
        As the model takes it, one row.
    mask
        Which pixels are missing, (1, 1, h, w), where the model is told; else None.
    """

    X: Any
    mask: Any


def damages_for(preparation: Preparation) -> list[Damage]:
    """Return the sliders that apply to such data."""
    found = []
    for each in DAMAGES:
        try:
            Chain([each.part(each.value)], preparation.space)
        except ParameterError:
            continue
        found.append(each)
    return found


def damaged(view: ModelView, X: Any, amounts: Mapping[str, float], seed: int) -> Damaged:
    """Return a sample after damage.

    Parameters
    ----------
    view
        Of the model that is to restore it.
    X
        The sample, one row.
    amounts
        How far each slider is moved, by its name.
    seed
        Of the random numbers.
    """
    preparation = view.coder.input
    told = view.coder.takes_mask()
    parts = []
    for each in damages_for(preparation):
        amount = amounts.get(each.name, each.low)
        if amount > each.low:
            masks = told and each.corruption == "erase"
            parts.append(each.part(amount, **({"mask_channel": True} if masks else {})))
    x = preparation.convert(preparation.store(X, "the sample"))
    with torch.no_grad():
        seen = Chain(parts, preparation.space)(x, torch.Generator().manual_seed(seed))
    mask = None
    if seen.shape[1] != x.shape[1]:
        seen, mask = seen[:, :-1], seen[:, -1:] > 0
    return Damaged(preparation.restore(seen.numpy()), mask)


def quality(scene: Scene, view: ModelView, X: Any, broken: Any, values: Any) -> dict[str, Any]:
    """Return how near a damaged sample, and what came back of it, are to the original.

    Parameters
    ----------
    scene, view
        What is shown, and by which model.
    X, broken
        The original and the damaged sample.
    values
        What came back, in the model's scale.

    Returns
    -------
    dict
        "psnr_damaged" and "psnr_decoded" in decibels for pictures, "mse_damaged" and "mse_decoded"
        in the model's scale for others; None where what should come back is not known.
    """
    pictures = scene.form_for(view).kind == "pictures"
    name = "psnr" if pictures else "mse"
    measure = (lambda a, b: psnr(a, b, 255.0)) if pictures else mse
    if view.coder.target is not view.coder.input:
        return {f"{name}_damaged": None, f"{name}_decoded": None}
    if pictures:
        form = scene.form_for(view)
        original, other = form.shown(X).array, form.shown(broken).array
        back = scene.shown(view, values).array
    else:
        original, other = (
            view.coder.input.convert(view.coder.input.store(each, "the sample")).numpy()
            for each in (X, broken)
        )
        back = values
    found = {}
    for key, each in (("damaged", other), ("decoded", back)):
        known = np.isfinite(original) & np.isfinite(each)
        figure = float(measure(np.where(known, original, 0), np.where(known, each, 0))[0])
        found[f"{name}_{key}"] = figure if np.isfinite(figure) else None
    return found
