"""What a variational network with dying units does, and changes of it that leave its size alone.

::

    first steps   one batch at a time: by how much a layer's sums move, and which units stop firing
    LayerWatch    after each epoch of a fit: units that never fire, into the history
    choose        short fits with one change each, compared on rows that none was trained on
    CodeUse       of a fitted model: how much of N(0, I) its codes fill, and what is decoded there
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor, nn

from .. import latent, metrics
from ..estimator import Autoencoder
from ..fitted import dead_units
from ..model import Model
from ..training.state import TrainingState
from .language import _, mark
from .report import Report

Pictures = NDArray[np.uint8]

ENCODER, DECODER = 69_076, 65_089
"""Parameters of the halves of `CONVOLUTIONAL`, as document A prints them."""
CONVOLUTIONAL = {
    "latent_dim": 2,
    "network": "conv(channels=[32, 64], hidden=[16], decoder_hidden=[])",
    "bottleneck": "gaussian",
    "loss": "bernoulli",
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "validation_fraction": 0.0,
}
"""Keras's variational example: strided convolutions, a dense layer of 16, a code of 2."""
CELLS = 10
"""Steps along each side of the square in which the prior is cut into equally probable cells."""
FILLED = 0.1
"""A cell is filled that holds at least this share of the codes that the prior would put there."""
SEEN = 0.01
"""A class is seen in a grid that has at least this share of its places."""
WATCHED = 500
"""Samples that units are watched on."""


@dataclass(frozen=True)
class Change:
    """Something that is done otherwise, without a parameter more or less.

    Parameters
    ----------
    name
        Marked for translation.
    keywords
        Of the estimator.
    network
        Of the network, in the place of the others of the same name.
    """

    name: str
    keywords: Mapping[str, Any]
    activation: str = "relu"

    def of(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords of a base with this change."""
        changed = {**base, **self.keywords}
        if self.activation != "relu":
            network = str(base["network"]).removesuffix(")")
            changed["network"] = f"{network}, activation='{self.activation}')"
        return changed


CYCLE = {"schedule": "one_cycle", "learning_rate": 0.003}
WARM = {"bottleneck": "gaussian(warmup=3)"}
CHANGES = (
    Change(mark("as given"), {}),
    Change(mark("weight of the KL term from 0, over 3 epochs"), WARM),
    Change(mark("rate from small to 0.003 and back"), CYCLE),
    Change(mark("leaky rectifiers"), {}, "leaky_relu"),
    Change(mark("exponential units"), {}, "elu"),
    Change(mark("exponential units, that rate"), CYCLE, "elu"),
    Change(mark("leaky rectifiers, that rate"), CYCLE, "leaky_relu"),
    Change(mark("smooth rectifiers (SiLU), that rate"), CYCLE, "silu"),
    Change(mark("leaky rectifiers, that rate, weight of the KL term from 0"), CYCLE | WARM,
           "leaky_relu"),
)  # fmt: skip
"""What is tried: each of the suspects alone, then what helps together."""


def inputs(X: Any) -> Tensor:
    """Return pictures of bytes as a network sees them, (n, 1, h, w), from 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(X)).float()[:, None] / 255


def last_layer(model: Model) -> nn.Linear:
    """Return the encoder's last dense layer before that of the code."""
    *_, layer, _code = (each for each in model.network.encoder.modules() if is_dense(each))
    assert isinstance(layer, nn.Linear)
    return layer


def is_dense(module: nn.Module) -> bool:
    """Whether a module is a dense layer."""
    return isinstance(module, nn.Linear)


def layer_sums(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what goes into the encoder's last dense layer and its sums, before the activation."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        kept.extend([given[0].detach().clone(), output.detach().clone()])

    handle = last_layer(model).register_forward_hook(keep)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model.hidden(x)
    finally:
        handle.remove()
        model.train(training)
    return kept[0].float(), kept[1].float()


class LayerWatch:
    """A callback that writes into the history how many units of a layer never fire.

    "units that never fire": of the encoder's last dense layer, those whose activation is the same
    for all samples. "share firing": of that layer's sums, how many are above zero.

    Parameters
    ----------
    X
        Pictures to watch the units on.
    """

    def __init__(self, X: Any) -> None:
        self.x = inputs(X[:WATCHED])

    def on_epoch_end(self, state: TrainingState) -> None:
        """Look at the model after an epoch."""
        model = state.model
        assert isinstance(model, Model)
        training = model.training
        model.eval()
        with torch.no_grad():
            dead, units = dead_layer(dead_units(model, [self.x]))
        model.train(training)
        sums = layer_sums(model, self.x)[1]
        state.history[-1] |= {
            "units that never fire": float(dead),
            "units": float(units),
            "share firing": float((sums > 0).float().mean()),
        }


def dead_layer(dead: Mapping[str, Any]) -> tuple[int, int]:
    """Return dead units and all units of the encoder's last activated layer.

    Parameters
    ----------
    dead
        As `dead_units` returns it, or ``dead_units_``.
    """
    count, units = [dead[name] for name in dead if name.startswith("encoder")][-1]
    return int(count), int(units)


class FirstSteps(NamedTuple):
    """What the encoder's last dense layer does in the first steps, each (steps,).

    Parameters
    ----------
    dead
        Units whose sum is not above zero for any sample.
    spread
        Standard deviation of a unit's sum over samples, the median of the units.
    shift
        How far a step moves the mean of a unit's sum over samples, the median of the units.
    """

    dead: NDArray[Any]
    spread: NDArray[Any]
    shift: NDArray[Any]


def first_steps(
    keywords: Mapping[str, Any], X: Any, steps: int, batch: int, seed: int
) -> FirstSteps:
    """Train step by step, and look at the encoder's last dense layer after each.

    Parameters
    ----------
    keywords
        Of `Autoencoder`.
    X
        Training pictures, as many as steps times batch or more.
    steps, batch
        How many steps, of how many pictures each.
    seed
        Of the fit.
    """
    x = inputs(X[:WATCHED])
    model = Autoencoder(**{**keywords, "batch_size": batch, "random_state": seed})
    dead, spread, mean = [], [], []
    for step in range(steps):
        model.partial_fit(X[step * batch % len(X) :][:batch])
        sums = layer_sums(model.module_, x)[1]
        dead.append(int((sums.amax(0) <= 0).sum()))
        spread.append(float(sums.std(0).median()))
        mean.append(sums.mean(0).numpy())
    moved = np.abs(np.diff(mean, axis=0, prepend=mean[:1]))
    return FirstSteps(np.array(dead), np.array(spread), np.median(moved, axis=1))


def choose(
    report: Report, base: Mapping[str, Any], X: Any, held: Any, *, data: str, prefix: str
) -> tuple[Change, list[tuple[Any, ...]]]:
    """Fit shortly with each change, and return the best on held-out rows, and a table of all.

    Parameters
    ----------
    report
        Of the recipe.
    base
        Keywords that the changes are changes of, "epochs" among them.
    X, held
        Rows to train on, and others to compare on; both of the training set.
    data
        Name of the data set.
    prefix
        Of the names of the models.
    """
    rows, bounds = [], []
    tried = report.pick(CHANGES, CHANGES[::4])
    for i, change in enumerate(tried):
        model = report.fit(
            f"{prefix}-{i}", change.of(base), X, data=data, quick={"epochs": 1, "batch_size": 128}
        )
        bounds.append(elbo(model, held))
        dead, units = dead_layer(model.dead_units_)
        filled = CodeUse.of(model, held).filled
        rows.append((_(change.name), bounds[-1], f"{dead} / {units}", model.active_units_, filled))
    return tried[int(np.argmax(bounds))], rows


def choice_table(report: Report, rows: list[tuple[Any, ...]], best: Change) -> None:
    """Write down what was tried, and what was chosen."""
    head = (
        _("what is changed"), _("ELBO of held-out rows, nats"), _("units that never fire"),
        _("active code units"), _("share of N(0, I) filled"),
    )  # fmt: skip
    report.table(_("Short fits, compared on training rows that were held out"), head, rows)
    report.text(_("Chosen: {what}.").format(what=_(best.name)))


def elbo(model: Autoencoder, X: Any, draws: int = 4) -> float:
    """Return the evidence lower bound in nats: the mean over rows, and over codes drawn for each.

    Parameters
    ----------
    model
        Variational, its loss a likelihood.
    X
        Rows.
    draws
        Codes drawn for each row.
    """
    each = [model.log_likelihood(X, samples=1, random_state=seed).mean() for seed in range(draws)]
    return float(np.mean(each))


def halves(model: Autoencoder) -> tuple[int, int]:
    """Return how many parameters encoder and decoder have."""
    network = model.module_.network
    encoder, decoder = (
        sum(p.numel() for p in half.parameters()) for half in (network.encoder, network.decoder)
    )
    return encoder, decoder


@dataclass(frozen=True)
class CodeUse:
    """How a model uses a code of two numbers whose prior is N(0, I).

    Parameters
    ----------
    filled
        Share of equally probable cells of the prior in which codes lie.
    correlation
        Of the two numbers over all codes, from 0 to 1.
    """

    filled: float
    correlation: float

    @classmethod
    def of(cls, model: Autoencoder, X: Any) -> Self:
        """Measure the codes of rows."""
        Z = model.transform(X).astype(np.float64)
        places = norm.cdf(Z[:, :2])
        counts = np.histogram2d(places[:, 0], places[:, 1], bins=CELLS, range=[[0, 1], [0, 1]])[0]
        spread = Z.std(0)
        together = (Z[:, 0] - Z[:, 0].mean()) * (Z[:, 1] - Z[:, 1].mean())
        scale = max(float(spread[0] * spread[1]), 1e-12)
        return cls(
            float((counts >= FILLED * len(Z) / CELLS**2).mean()),
            float(abs(together.mean()) / scale),
        )


class Decoded(NamedTuple):
    """What a grid over N(0, I) is decoded to.

    Parameters
    ----------
    shares
        How large a share of the grid each class has, (classes,): a decoded picture has the class
        of the training picture that is nearest to it.
    different
        How many different training pictures are the nearest to one of the grid.
    places
        Pictures in the grid.
    """

    shares: NDArray[np.float64]
    different: int
    places: int

    @property
    def classes(self) -> int:
        """How many classes have a hundredth of the grid or more."""
        return int((self.shares >= SEEN).sum())


def decoded(model: Autoencoder, X: Any, y: Any, n: int = 20) -> Decoded:
    """Compare the grid over N(0, I) with training pictures X of classes y."""
    grid = model.inverse_transform(latent.grid(model, n)).reshape(n * n, -1) / 255.0
    flat = np.asarray(X).reshape(len(X), -1) / 255.0
    nearest = (np.square(flat).sum(1) - 2 * grid @ flat.T).argmin(1)
    shares = np.bincount(y[nearest], minlength=int(y.max()) + 1) / len(grid)
    return Decoded(shares, len(np.unique(nearest)), len(grid))


def code_classes(model: Autoencoder, X: Any, y: Any) -> float:
    """Return how often the five nearest codes share a code's class, from 0 to 1."""
    return metrics.agreement(model.transform(X), y)
