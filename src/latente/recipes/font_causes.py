"""Why 35-5-2-5-35 fails on document A's glyphs: the training, and the layers' sizes.

::

    ways of training    same network, other optimisers, rates, iterations, losses
    layers at work      gradients, slopes and activity of each layer while it is trained as given
    free codes          a decoder alone, whose codes need no encoder: any two numbers for each glyph
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import figures
from ..estimator import Autoencoder
from .glyphs import GIVEN, wrong_pixels
from .language import _, mark
from .report import Report

SEEDS = 3
STAGES = (1, 10, 100, 1000, 10_000)
"""Iterations after which the layers are looked at."""
WIDTHS = (5, 7, 10, 15)
"""Sizes of the hidden layer on each side of the code."""
STARTS = 8
"""Decoders of each width whose codes are free."""
ITERATIONS = 20_000
LAYERS = (mark("35 to 5"), mark("5 to 2"), mark("2 to 5"), mark("5 to 35"))

Pixels = Sequence[int]
"""Wrong pixels of each seed or start."""


def ways() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return ways to train the document's network, titles and keywords by name."""
    tanh = "dense(hidden=[5], activation='tanh')"
    return {
        "given": (mark("as given: gradient descent at 0.1, 10,000 iterations"), GIVEN),
        "longer": (mark("50,000 iterations"), {**GIVEN, "epochs": 50_000}),
        "rate": (mark("a rate of 1"), {**GIVEN, "learning_rate": 1.0}),
        "online": (
            mark("a step after every glyph, 1,000 times over all"),
            {**GIVEN, "batch_size": 1, "epochs": 1000},
        ),
        "mean": (
            mark("the mean of the squared errors instead of their sum"),
            {**GIVEN, "loss": "squared(reduction='mean')"},
        ),
        "momentum": (mark("momentum of 0.9"), {**GIVEN, "optimizer": "sgd(momentum=0.9)"}),
        "adam": (mark("Adam at 0.01"), {**GIVEN, "optimizer": "adam", "learning_rate": 0.01}),
        "tangents": (
            mark("hyperbolic tangents, cross-entropy, Adam at 0.01"),
            {
                **GIVEN, "optimizer": "adam", "learning_rate": 0.01, "network": tanh,
                "loss": "bernoulli", "schedule": "cosine",
            },
        ),
    }  # fmt: skip


def why(report: Report, X: Any) -> None:
    """Find out why the document's network does not learn its glyphs.

    Parameters
    ----------
    report
        Has a new section afterwards.
    X
        The glyphs, (n, 7, 5).
    """
    report.section("why", _("Why it fails"))
    trained = by_training(report, X)
    at_work(report, X)
    by_width(report, X, trained)


def by_training(report: Report, X: Any) -> dict[str, Pixels]:
    """Train the same network in other ways; wrong pixels of the seeds by name."""
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 1))
    chosen = ways()
    models = report.fit_all(
        {
            f"why-{name}-seed-{seed}": {**keywords, "random_state": seed}
            for name, (_title, keywords) in chosen.items()
            for seed in seeds
        },
        X,
        data="font",
        quick={"epochs": 10},
    )
    found: dict[str, Pixels] = {
        name: [wrong_pixels(models[f"why-{name}-seed-{seed}"], X) for seed in seeds]
        for name in chosen
    }
    order = sorted(found, key=lambda name: float(np.mean(found[name])))
    best = order[0]
    report.text(
        _(
            "*Is it the training?* In part. As given, {given} of {of} pixels are wrong on average; "
            "in the best of these ways ({best}), {least}; in none of them fewer than {never}. One "
            "glyph for all, each pixel as it is in most glyphs, has {blank} wrong pixels."
        ).format(
            given=f"{np.mean(found['given']):.0f}", of=f"{X.size:,}", best=_(chosen[best][0]),
            least=f"{np.mean(found[best]):.0f}", blank=most_common(X),
            never=min(n for each in found.values() for n in each),
        )
    )  # fmt: skip
    report.table(
        _("35-5-2-5-35 trained in other ways: wrong pixels of {of}").format(of=f"{X.size:,}"),
        (_("way"), _("mean"), _("least"), _("most")),
        [
            (_(chosen[name][0]), float(np.mean(found[name])), min(found[name]), max(found[name]))
            for name in order
        ],
    )
    report.figures["wrong pixels by training"] = found
    return found


def most_common(X: Any) -> int:
    """Return how many pixels differ from a glyph that has each pixel as most glyphs do."""
    return int(((np.asarray(X).mean(0) > 0.5) != X).sum())


@dataclass(frozen=True)
class Work:
    """A dense layer at work on some samples.

    Parameters
    ----------
    gradient
        Norm of the loss's gradient by its weights.
    slope
        Mean derivative of the sigmoid behind it; at most a quarter.
    activity
        Standard deviation of a unit over the samples, averaged over the units.
    """

    gradient: float
    slope: float
    activity: float


def work(model: Autoencoder, X: Any) -> list[Work]:
    """Return what each dense layer does, of a network with a sigmoid behind every one.

    Parameters
    ----------
    model
        Fitted.
    X
        Samples.
    """
    module = model.module_
    batches = model.fitted_.batches(X)
    x, target = batches.take(torch.arange(len(X), device=batches.device))
    before: list[Tensor] = []
    layers = [layer for layer in module.network.modules() if isinstance(layer, nn.Linear)]
    handles = [
        layer.register_forward_hook(lambda layer, inputs, output: before.append(output.detach()))
        for layer in layers
    ]
    try:
        loss = (module(x) - target).square().flatten(1).sum(1).mean()
    finally:
        for handle in handles:
            handle.remove()
    gradients = torch.autograd.grad(loss, [layer.weight for layer in layers])
    units = [values.sigmoid() for values in before]
    return [
        Work(float(g.norm()), float((u * (1 - u)).mean()), float(u.std(0, correction=0).mean()))
        for g, u in zip(gradients, units, strict=True)
    ]


def at_work(report: Report, X: Any) -> None:
    """Look at the layers while the network is trained as given."""
    stages = report.pick(STAGES, (1, 5, 10))
    found = [
        work(
            report.fit(f"stage-{n}", {**GIVEN, "epochs": n}, X, data="font", quick={"epochs": n}), X
        )
        for n in stages
    ]
    names = [_(name) for name in LAYERS]
    for what, title, axis in (
        ("gradient", _("Norm of the gradient of each layer's weights."), _("norm of the gradient")),
        (
            "activity",
            _("How much a unit of each layer differs from glyph to glyph."),
            _("activity"),
        ),
    ):
        lines = {name: [getattr(stage[i], what) for stage in found] for i, name in enumerate(names)}
        report.picture(
            figures.curves(lines, x=stages, xlabel=_("iterations"), ylabel=axis, log="xy"),
            title,
            title,
        )
    early, late = found[-2], found[-1]
    report.text(
        _(
            "*Is it the sigmoids?* A sigmoid's slope is a quarter at most; behind the four layers "
            "it is {slopes} on average after {last} iterations. The gradient of the first layer "
            "is {early} times that of the last after {middle} iterations, and {late} times after "
            "{last}. A unit of the code differs from glyph to glyph by {spread} (one standard "
            "deviation, of a range from 0 to 1)."
        ).format(
            slopes=", ".join(f"{layer.slope:.3f}" for layer in late),
            early=f"{early[0].gradient / early[-1].gradient:.2g}",
            late=f"{late[0].gradient / late[-1].gradient:.2g}",
            middle=f"{stages[-2]:,}", last=f"{stages[-1]:,}", spread=f"{late[1].activity:.2f}",
        )
    )  # fmt: skip
    report.figures["layers at work"] = {
        str(n): [vars(layer) for layer in stage] for n, stage in zip(stages, found, strict=True)
    }


def free_codes(
    X: Any, width: int, starts: int, iterations: int, seed: int, rate: float = 0.03
) -> Pixels:
    """Return the wrong pixels of decoders with one hidden layer whose codes are free.

    The codes are learned like weights, two numbers a sample, so that no encoder limits them. All
    starts are trained at once, each with its own weights: tangents, cross-entropy, Adam.

    Parameters
    ----------
    X
        Black and white pictures, 0 and 1.
    width
        Size of the hidden layer.
    starts
        How many decoders.
    iterations, rate
        Of Adam; the rate falls to nothing along a cosine.
    seed
        Of weights and codes.
    """
    generator = torch.Generator().manual_seed(seed)
    target = torch.from_numpy(np.asarray(X, np.float32)).flatten(1).expand(starts, -1, -1)

    def drawn(rows: int, columns: int) -> Tensor:
        limit = (6 / (rows + columns)) ** 0.5
        uniform = torch.rand(starts, rows, columns, generator=generator) * 2 - 1
        weight: Tensor = (uniform * limit).requires_grad_()
        return weight

    weights = [drawn(2, width), drawn(width, target.shape[2])]
    biases = [torch.zeros(starts, 1, w.shape[2]).requires_grad_() for w in weights]
    codes = torch.randn(starts, target.shape[1], 2, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([*weights, *biases, codes], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)

    def raw() -> Tensor:
        hidden = torch.baddbmm(biases[0], codes, weights[0]).tanh()
        return torch.baddbmm(biases[1], hidden, weights[1])

    for _step in range(iterations):
        optimizer.zero_grad()
        each = functional.binary_cross_entropy_with_logits(raw(), target, reduction="none")
        (each.sum((0, 2)).mean()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        wrong = (raw() > 0) != (target > 0.5)
    return [int(n) for n in wrong.sum((1, 2))]


def by_width(report: Report, X: Any, trained: dict[str, Pixels]) -> None:
    """Train decoders alone, and whole networks, of several widths."""
    iterations, starts = report.pick(ITERATIONS, 20), report.pick(STARTS, 2)
    widths = report.pick(WIDTHS, WIDTHS[:2])
    seeds = range(report.random_state, report.random_state + report.pick(SEEDS, 1))
    alone, whole = {}, {}
    keywords = ways()["tangents"][1]
    for width in widths:
        report.progress(_("fitting {name}").format(name=f"free-codes-{width}"))
        alone[width] = free_codes(X, width, starts, iterations, report.random_state)
        given = {**keywords, "network": f"dense(hidden=[{width}], activation='tanh')"}
        models = report.fit_all(
            {f"width-{width}-seed-{seed}": {**given, "random_state": seed} for seed in seeds},
            X,
            data="font",
            quick={"epochs": 10},
        )
        whole[width] = [wrong_pixels(model, X) for model in models.values()]
    report.picture(
        figures.bars(
            {
                **{_("2-{width}-35, free codes").format(width=w): n for w, n in alone.items()},
                **{_("35-{width}-2-{width}-35").format(width=w): n for w, n in whole.items()},
            },
            ylabel=_("wrong pixels"),
        ),
        _("Wrong pixels by the size of the hidden layer, without and with an encoder."),
        _(
            "Decoders whose codes are free, {starts} starts each; whole networks, {seeds} seeds."
        ).format(starts=starts, seeds=len(seeds)),
    )
    report.table(
        _("Wrong pixels of {of} by the size of the hidden layer").format(of=f"{X.size:,}"),
        (_("units"), _("decoder alone, least"), _("most"), _("whole network, least"), _("most")),
        [
            (width, min(alone[width]), max(alone[width]), min(whole[width]), max(whole[width]))
            for width in widths
        ],
    )
    enough = next((width for width in widths if min(alone[width]) == 0), None)
    verdict = (
        _("Of these widths, {enough} units are the first that a decoder alone needs.").format(
            enough=enough
        )
        if enough
        else _("None of these widths is enough for a decoder alone.")
    )
    five = widths[0]
    report.text(
        _(
            "*Is it the size?* A decoder alone shows it: its codes are free, any two numbers for "
            "each glyph, found by the same training, with no encoder that could fail. With {five} "
            "units, the best of {starts} decoders has {least} wrong pixels. {verdict} What the "
            "encoder adds is seen in the whole networks: with {five} units the best has {whole}."
        ).format(
            five=five, starts=starts, least=min(alone[five]), verdict=verdict,
            whole=min(*whole[five], *(n for each in trained.values() for n in each)),
        )
    )  # fmt: skip
    report.figures["wrong pixels, free codes"] = alone
    report.figures["wrong pixels by width"] = whole
