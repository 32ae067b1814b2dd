"""Evaluation: what a fitted model makes of rows that it was not trained on, in figures.

::

    X ──input──▶ x ──corrupt──▶ x̃ ──model──▶ x̂, loss terms
                                              └──▶ mse, psnr, bce, ssim against the target

Nothing is rounded to the type of the data before it is measured: the cross-entropy of a
reconstruction in bytes is another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import metrics
from .bottlenecks.base import Moment
from .corruptions.base import Chain, resolve_corruptions
from .data.batches import PassingRows, as_weights
from .data.preparation import Preparation
from .errors import ParameterError
from .fitted import Fitted, block_rows

Numbers = NDArray[np.float64]

BEST = 1e-10
"""Least mean squared error that a PSNR is computed from: 100 dB is as good as exact."""
NEAREST = 1e-7
"""How far a probability is kept from 0 and from 1 in a cross-entropy."""
ROUNDED = 1e-6
"""How far rounding may bring a target out of [0, 1]."""
PER_VALUE, PER_SAMPLE = "per_value", "per_sample"


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, float]):
    """Figures of held-out rows by name; ``evaluation["mse"]`` is one.

    Parameters
    ----------
    figures
        By name, "total" and "reconstruction" first. Loss terms are those of a sample, as they are
        trained on; "mse" and "bce" those of a value; "psnr" and "ssim" means over samples. A name
        that ends in "_per_value" or "_per_sample" is the same figure in the other way.
    samples
        The same for each row, (n,), but for those names; NaN for rows without a known value. Of
        streamed rows they are not kept, (0,).
    rows
        How many rows were measured.
    scale
        Which scale "mse", "psnr", "bce" and "ssim" are in: "0 to 1" where values are brought there
        from the range that they can have, else "the model's".
    """

    figures: dict[str, float]
    samples: dict[str, Numbers]
    rows: int
    scale: str

    def __getitem__(self, name: str) -> float:
        return self.figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def table(self) -> dict[str, dict[str, float]]:
        """Return the figures with a row for each: ``{"mse": {"per_value": …, "per_sample": …}}``.

        What has no meaning in one of the two ways is left out.
        """
        found: dict[str, dict[str, float]] = {}
        for name in self.samples:
            usual = PER_VALUE if name in ("mse", "bce") else PER_SAMPLE
            found[name] = {
                way: self.figures[key]
                for way in (PER_VALUE, PER_SAMPLE)
                if (key := name if way == usual else f"{name}_{way}") in self.figures
            }
        return found

    def __repr__(self) -> str:
        lines = [f"{'':<18}{'per value':>12}{'per sample':>12}"]
        for name, row in self.table().items():
            cells = [f"{row[way]:.5g}" if way in row else "" for way in (PER_VALUE, PER_SAMPLE)]
            lines.append(f"{name:<18}{cells[0]:>12}{cells[1]:>12}")
        return "\n".join([*lines, f"{self.rows:,} rows; measures in the scale: {self.scale}"])


class Measured(NamedTuple):
    """How the measures of targets and reconstructions are taken."""

    shift: Tensor | float
    span: Tensor | float
    """From the model's scale to 0 to 1: ``value · span + shift``."""
    bounded: bool
    """Whether there is such a scale; without it, values stay in the model's."""
    pictures: bool
    """Whether they can be compared by their structure."""
    ragged: bool
    """Whether the last feature of a step tells whether there is one."""

    @classmethod
    def of(cls, data: Preparation, device: torch.device, *, gaps: bool) -> Measured:
        """Return how data of a fit are measured.

        Parameters
        ----------
        data
            How the targets are prepared.
        device
            Where they are measured.
        gaps
            Whether values may be missing.
        """
        space, scaling = data.space, data.scaling_map
        shift: Any = 0.0
        span: Any = 1.0
        bounded = space.bounds is not None and not space.categories
        if not bounded and not space.categories and scaling.dtype in ("uint8", "bool"):
            largest = float((scaling.shift + scaling.high * scaling.span).max())
            white = 255.0 if largest > 1 + ROUNDED else 1.0
            shift, span = (
                torch.from_numpy(np.array(part / white, np.float32)).to(device)
                for part in (scaling.shift, scaling.span)
            )
            bounded = True
        large = space.layout == "pictures" and min(space.shape[1:]) >= metrics.WINDOW
        return cls(shift, span, bounded, bounded and large and not gaps, space.ragged)

    def placed(self, values: Tensor) -> Tensor:
        """Return values of the model's scale, (n, *shape), in the scale that is measured in."""
        kept = values[..., :-1] if self.ragged else values
        return (kept * self.span + self.shift).double()


def evaluate(
    fitted: Fitted,
    X: Any,
    target: Any = None,
    sample_weight: Any = None,
    *,
    corrupted: Any = False,
    seed: int = 0,
) -> Evaluation:
    """Return the figures of rows, in one pass over blocks of them.

    Parameters
    ----------
    fitted
        The model.
    X, target, sample_weight
        As `Autoencoder.evaluate` takes them.
    corrupted
        Whether the encoder sees rows as they were corrupted in training; or how else, as
        `corruption` is given to an `Autoencoder`.
    seed
        Of the corruption.
    """
    x, y = fitted.open_pairs(X, target)
    weights = None if sample_weight is None else as_weights(sample_weight, len(x))
    see = seer(fitted, corrupted)
    moment = Moment(torch.Generator(fitted.device).manual_seed(seed))
    wide = torch.device("cpu") if fitted.device.type == "mps" else fitted.device  # has no float64
    measured = Measured.of(fitted.target, wide, gaps=fitted.keeps_gaps)
    found: dict[str, list[Numbers]] = {}
    sums, passing = Sums(), isinstance(x, PassingRows)
    with torch.no_grad():
        for start, stop in even_blocks(len(x), block_rows(fitted.numbers)):
            rows = fitted.input.convert(x[start:stop].to(fitted.device))
            aims = rows
            if y is not None:
                aims = fitted.target.convert(y[start:stop].to(fitted.device))
            terms, output = fitted.model.measure(rows, see(rows, moment.generator), aims, moment)
            every = {**terms, **measures(output.to(wide), aims.to(wide), measured)}
            values = {name: each.detach().cpu().double().numpy() for name, each in every.items()}
            sums.add(values, None if weights is None else weights[start:stop])
            for name in () if passing else sums.names:
                found.setdefault(name, []).append(values[name])
    samples = {name: np.concatenate(found.get(name, [np.zeros(0)])) for name in sums.names}
    if "bce" in samples and np.isinf(sums.mean("bce")):  # a target lies outside [0, 1]
        del samples["bce"]
    figures = summarised(sums, list(samples), mean=fitted.model.loss.mean)
    return Evaluation(figures, samples, len(x), "0 to 1" if measured.bounded else "the model's")


class Sums:
    """Sums over rows that pass by, from which the means of their measures are taken."""

    def __init__(self) -> None:
        self.terms: dict[str, Numbers] = {}

    @property
    def names(self) -> list[str]:
        """The names of the measures."""
        return [name for name in self.terms if name != "values"]

    def add(self, rows: Mapping[str, Numbers], weights: Numbers | None) -> None:
        """Add rows: measures of each by name, (n,), and how many values it has, "values".

        Parameters
        ----------
        rows
            By name; NaN where nothing of a row is known.
        weights
            How much each row counts, or None.
        """
        counts = rows["values"]
        weights = np.ones(len(counts)) if weights is None else weights
        for name, each in rows.items():
            known = ~np.isnan(each) & (weights > 0)
            w, x = weights[known], each[known]
            here = np.array([(w * x).sum(), (w * x * counts[known]).sum(), w.sum()])
            self.terms[name] = self.terms.get(name, 0.0) + here

    def mean(self, name: str) -> float:
        """Return the mean of a measure over the rows where it is known."""
        total, _, weight = self.terms[name].tolist()
        return total / weight if weight else math.nan

    def whole(self, name: str) -> float:
        """Return the mean of a measure times the values of a row."""
        _, total, weight = self.terms[name].tolist()
        return total / weight if weight else math.nan


def seer(fitted: Fitted, corrupted: Any) -> Any:
    """Return what makes of rows, and a generator, what the encoder sees."""
    own = fitted.model.corruption
    if corrupted is False or corrupted is None:
        return lambda rows, generator: own.present(rows)
    if corrupted is True:
        if isinstance(own, Chain) and not len(own.steps):
            raise ParameterError(
                "corrupted=True: this model was trained without a corruption; name one, such as "
                "corrupted='gaussian_noise(std=0.2)'"
            )
        return own
    other = Chain(resolve_corruptions(corrupted), fitted.input.space).to(fitted.device)
    if other.seen_shape != fitted.input.space.shape:
        raise ParameterError(
            f"corrupted={corrupted!r} shows the encoder samples of shape {other.seen_shape}, but "
            f"this model takes {fitted.input.space.shape}; use a model that was trained under it"
        )
    return lambda rows, generator: own.present(other(rows, generator))


def even_blocks(rows: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield where blocks of rows start and stop, all about equally large, of at most so many.

    >>> list(even_blocks(9, 4))
    [(0, 3), (3, 6), (6, 9)]
    """
    count = math.ceil(rows / most)
    for i in range(count):
        yield rows * i // count, rows * (i + 1) // count


def measures(output: Tensor, target: Tensor, measured: Measured) -> dict[str, Tensor]:
    """Return measures of each sample, (n,), and how many values it has, "values".

    Parameters
    ----------
    output, target
        Shape (n, *shape), in the model's scale; targets are NaN where they are missing.
    measured
        The scale to measure in.
    """
    a, b = measured.placed(output), measured.placed(target)
    counts = ~b.isnan()
    if measured.ragged:
        counts &= target[..., -1:] > 0
    values = counts.flatten(1).sum(1)

    def mean(each: Tensor) -> Tensor:
        return each.where(counts, 0.0).flatten(1).sum(1) / values

    mse = mean((a - b).square())
    found = {"values": values, "mse": mse}
    if measured.bounded:
        found["psnr"] = -10 * mse.clamp(min=BEST).log10()
        outside = ((b < -ROUNDED) | (b > 1 + ROUNDED)) & counts
        p, q = a.clamp(NEAREST, 1 - NEAREST), b.clamp(0, 1)
        bce = mean(-(q * p.log() + (1 - q) * (-p).log1p()))
        found["bce"] = torch.where(outside.flatten(1).any(1), math.inf, bce)
    if measured.pictures:
        planes = (a.movedim(1, 3), b.movedim(1, 3))
        found["ssim"] = torch.from_numpy(metrics.ssim(*planes))
    return found


def summarised(sums: Sums, names: Sequence[str], *, mean: bool) -> dict[str, float]:
    """Return the figures by name.

    Parameters
    ----------
    sums
        Of all rows.
    names
        Of the measures that are figures.
    mean
        Whether the reconstruction term is a mean over a sample's values, not a sum.
    """
    figures = {name: sums.mean(name) for name in names}
    size = sums.mean("values")
    for name in names:
        if name in ("mse", "bce"):
            figures[f"{name}_{PER_SAMPLE}"] = sums.whole(name)
        elif name == "reconstruction" and mean:
            figures[f"{name}_{PER_VALUE}"] = figures[name]
        elif name not in ("psnr", "ssim") and not (name == "total" and mean):
            figures[f"{name}_{PER_VALUE}"] = figures[name] / size if size else math.nan
    return figures
