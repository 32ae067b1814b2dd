"""Shapes of document A: a variational network as given, why it fails, and the same one repaired.

Row S4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import figures
from ..estimator import Autoencoder
from . import repair
from .language import _, mark
from .repair import CONVOLUTIONAL, DECODER, ENCODER, Change, CodeUse, LayerWatch
from .report import Recipe, Report, compare

N = 15_000
GIVEN: dict[str, Any] = {**CONVOLUTIONAL, "batch_size": 64, "epochs": 50}
"""Document A's training: 50 epochs in batches of 64."""
TRIED, HELD, TRIED_EPOCHS = 3000, 1000, 10
"""Shapes that changes are tried on, others that they are compared on, and epochs."""
STEPS = 40
"""Steps of training that are looked at one by one."""
SLOW = 10
"""How many times smaller the rate, and longer the training, of the slow run is."""
SUSPECTS = {
    mark("as given"): {},
    mark("no KL term"): {"bottleneck": "gaussian(beta=0)"},
    mark("no KL term and no noise"): {"bottleneck": "plain"},
    mark("leaky rectifiers"): {"activation": "leaky_relu"},
    mark("exponential units"): {"activation": "elu"},
}
"""What may let units die, taken away one at a time."""


def run(report: Report) -> None:
    """Train as given, find the cause, choose a change, and train again."""
    data = report.load("shapes", n=report.pick(N, 200))
    given = fit(report, "as-given", GIVEN, data)
    as_given(report, given, data)
    cause(report, data.X)
    change = choice(report, data)
    repaired = fit(report, "repaired", change.of(GIVEN), data)
    mended(report, change, given, repaired, data)


def fit(report: Report, name: str, keywords: Mapping[str, Any], data: Any) -> Autoencoder:
    """Train on all training shapes, units watched after each epoch."""
    watch = LayerWatch(data.X_test)
    return report.fit(name, keywords, data.X, data="shapes", quick={"epochs": 2}, callbacks=watch)


def losses(report: Report, model: Autoencoder) -> None:
    """Draw reconstruction, KL and total by epoch, and the units that never fire."""
    history = model.history_
    for terms in (
        {"total": _("total"), "reconstruction": _("reconstruction")},
        {"kl": _("KL divergence")},
    ):
        report.picture(
            figures.curves(
                {what: [record[term] for record in history] for term, what in terms.items()},
                xlabel=_("epoch"),
                ylabel=_("nats a picture"),
            ),
            _("{what} by epoch.").format(what=", ".join(terms.values())),
        )
    report.picture(
        figures.curves(
            {_("units that never fire"): [each["units that never fire"] for each in history]},
            xlabel=_("epoch"),
            ylabel=_("of {units} units").format(units=int(history[0]["units"])),
        ),
        _("Units of the dense layer that never fire, by epoch."),
    )


def code_pictures(report: Report, model: Autoencoder, data: Any) -> None:
    """Draw the grid over N(0, I), and the map of the codes of test shapes."""
    report.picture(
        figures.decode_grid(model, report.pick(20, 6), X=data.X[:4000]),
        _("Pictures decoded from a grid of codes."),
        _("What is decoded over the quantiles of N(0, I): equal areas are equally probable."),
    )
    names = np.array([_(KINDS[kind]) for kind in data.y_test])
    report.picture(
        figures.latent_map(model, data.X_test, names, thumbnails=False, density=True),
        _("Codes of the test shapes, coloured by kind."),
        _("Where the codes of the test shapes lie."),
    )


KINDS = (mark("circle"), mark("square"), mark("triangle"), mark("star"))


def as_given(report: Report, model: Autoencoder, data: Any) -> None:
    """Show what the document's network and training come to."""
    last, (encoder, decoder) = model.history_[-1], repair.halves(model)
    dead, units = repair.dead_layer(model.dead_units_)
    use = CodeUse.of(model, data.X)
    grid = repair.decoded(model, data.X, data.y)
    most = int(grid.shares.argmax())
    report.section("given", _("As the document has it"))
    report.text(
        _(
            "Two strided convolutions, a dense layer of {units} rectified units, a code of two "
            "numbers, and back: {encoder:,} and {decoder:,} parameters. Adam at 0.001, batches of "
            "64, {epochs} epochs. {dead} of the {units} units give the same value for every "
            "shape. The codes fill {filled:.0%} of N(0, I), and their two numbers correlate at "
            "{correlation:.2f}. At {share:.0%} of the places of a grid over N(0, I) the nearest "
            "training shape is a {kind}, and only {different} different training shapes are the "
            "nearest to one of its {places} pictures."
        ).format(
            units=units,
            encoder=encoder,
            decoder=decoder,
            epochs=model.epochs_,
            dead=dead,
            filled=use.filled,
            correlation=use.correlation,
            kind=_(KINDS[most]),
            share=grid.shares[most],
            different=grid.different,
            places=grid.places,
        )
    )
    losses(report, model)
    code_pictures(report, model, data)
    report.figures |= {
        "units that never fire, as given": dead,
        "share of N(0, I) filled, as given": use.filled,
        "kinds seen in the grid, as given": grid.classes,
    }
    report.claim(
        "S4",
        "A",
        _("the encoder has 69,076 parameters and the decoder 65,089; losses by epoch"),
        _(
            "{encoder:,} and {decoder:,}; after {epochs} epochs reconstruction "
            "{reconstruction:.1f}, KL {kl:.2f}, total {total:.1f} nats"
        ).format(
            encoder=encoder,
            decoder=decoder,
            epochs=model.epochs_,
            reconstruction=last["reconstruction"],
            kl=last["kl"],
            total=last["total"],
        ),
        "confirmed" if (encoder, decoder) == (ENCODER, DECODER) else "refuted",
    )
    report.claim(
        "S4",
        "A",
        _("the network generates circles, squares, triangles and stars over N(0, I)"),
        _(
            "as given: {seen} of the 4 kinds are seen in the grid, one of them in {share:.0%} of "
            "it; {dead} of {units} units are dead"
        ).format(seen=grid.classes, share=grid.shares[most], dead=dead, units=units),
        "confirmed" if grid.classes == len(KINDS) else "refuted",
    )


def cause(report: Report, X: Any) -> None:
    """Look at the first steps, with one suspect taken away at a time."""
    steps = report.pick(STEPS, 4)
    runs = {}
    for name, changed in SUSPECTS.items():
        keywords = dict(changed)
        change = Change(name, {}, keywords.pop("activation", "relu"))
        keywords = change.of(GIVEN) | keywords
        runs[_(name)] = repair.first_steps(keywords, X, steps, 64, report.random_state)
    slow = {**GIVEN, "learning_rate": 0.001 / SLOW}
    later = repair.first_steps(slow, X, steps * report.pick(SLOW, 2), 64, report.random_state)
    first = runs[_("as given")]
    early = slice(1, max(2, steps // 4))
    free, plain = (runs[_(name)].dead[-1] for name in ("no KL term", "no KL term and no noise"))
    alike = min(free, plain) >= first.dead[-1] / 2
    report.section("cause", _("Why the units die"))
    report.text(
        _(
            "Each unit of the dense layer adds up 3,136 values that are themselves rectified, so "
            "none is below zero, and its sums for two shapes hardly differ: by {spread:.3f} "
            "(standard deviation, the median of the first {n} steps). One step of Adam changes all "
            "3,136 weights of a unit by about the rate, and where the gradient of all shapes has "
            "one sign, all in one direction: it moves the sums of all shapes together by "
            "{shift:.3f}, {ratio:.0%} of their difference. Some such steps down, and a unit is "
            "below zero for every shape. A rectifier has no slope there: nothing brings it back."
        ).format(
            spread=np.median(first.spread[early]),
            shift=np.median(first.shift[early]),
            ratio=np.median(first.shift[early]) / np.median(first.spread[early]),
            n=early.stop,
        ),
        _(
            "After {steps} steps {given} of 16 units are below zero for all shapes. Without the KL "
            "term they are {free}, without the noise of the code as well {plain}: {blame} At a "
            "tenth of the rate they are {soon} after {steps} steps and {late} after {more}. Leaky "
            "rectifiers and exponential units have a slope below zero, so that a unit learns there "
            "too: {leaky} and {elu} are below zero for all shapes after {steps} steps."
        ).format(
            steps=steps,
            more=len(later.dead),
            given=first.dead[-1],
            free=free,
            plain=plain,
            blame=_("neither is the cause.") if alike else _("they have a part in it."),
            soon=later.dead[steps - 1],
            late=later.dead[-1],
            leaky=runs[_("leaky rectifiers")].dead[-1],
            elu=runs[_("exponential units")].dead[-1],
        ),
    )
    number = np.arange(1, len(later.dead) + 1)
    report.picture(
        figures.curves(
            {
                **{name: (number[:steps], each.dead) for name, each in runs.items()},
                _("a tenth of the rate"): (number, later.dead),
            },
            xlabel=_("steps of training"),
            ylabel=_("units below zero for all shapes, of 16"),
            log="x",
        ),
        _("Units below zero for all shapes, by step, with one suspect taken away at a time."),
    )
    report.picture(
        figures.curves(
            {
                _("difference of two shapes' sums"): first.spread[1:],
                _("what a step moves them all by"): first.shift[1:],
            },
            number[1:steps],
            xlabel=_("steps of training"),
            ylabel=_("in the layer's sums"),
            log="y",
        ),
        _("How far a step moves a unit's sums, beside how much they differ between shapes."),
        _("As given: medians over the 16 units."),
    )
    report.figures["units below zero for all shapes"] = {
        **{name: each.dead for name, each in runs.items()},
        "a tenth of the rate": later.dead,
    }


def choice(report: Report, data: Any) -> Change:
    """Try changes on some shapes, and choose on others that none was trained on."""
    n, held = report.pick((TRIED, HELD), (128, 40))
    base = {**GIVEN, "epochs": TRIED_EPOCHS}
    best, rows = repair.choose(
        report, base, data.X[:n], data.X[n : n + held], data="shapes", prefix="tried"
    )
    report.section("choice", _("What helps"))
    report.text(
        _(
            "Each change on {n} training shapes and {epochs} epochs, compared on {held} other "
            "training shapes; no test shape is looked at. Every one has as many parameters as "
            "the network as given."
        ).format(n=n, held=held, epochs=report.pick(TRIED_EPOCHS, 1))
    )
    repair.choice_table(report, rows, best)
    return best


def mended(
    report: Report, change: Change, given: Autoencoder, repaired: Autoencoder, data: Any
) -> None:
    """Show that the repaired network uses its code."""
    report.section("repaired", _("The same network, repaired"))
    losses(report, repaired)
    code_pictures(report, repaired, data)
    rows, found = [], {}
    X, y, some = data.X, data.y, data.X_test[: report.pick(1000, 16)]
    for name, model in ((_("as given"), given), (_("repaired"), repaired)):
        dead, units = repair.dead_layer(model.dead_units_)
        use, grid = CodeUse.of(model, X), repair.decoded(model, X, y)
        bound = repair.elbo(model, data.X_test)
        weighted = model.log_likelihood(some, samples=report.pick(100, 4), random_state=0).mean()
        found[name] = (bound, use.filled, grid.classes, dead)
        rows.append(
            (
                name, bound, float(weighted), f"{dead} / {units}", model.active_units_, use.filled,
                use.correlation, grid.classes, grid.different,
                repair.code_classes(model, data.X_test, data.y_test),
            )
        )  # fmt: skip
    head = (
        _("network"), _("test ELBO, nats"), _("log-likelihood, nats"), _("units that never fire"),
        _("active code units"), _("share of N(0, I) filled"), _("correlation of the code"),
        _("kinds in the grid"), _("different shapes in the grid"),
        _("neighbours of the same kind"),
    )  # fmt: skip
    report.table(_("As given and repaired, on test shapes"), head, rows)
    (before, after), encoder_decoder = found.values(), repair.halves(repaired)
    what = _(change.name)
    report.text(
        _(
            "{what}, {epochs} epochs in batches of 64, and {encoder:,} + {decoder:,} parameters as "
            "before. The bound rises from {before:.1f} to {after:.1f} nats; the codes fill "
            "{filled:.0%} of N(0, I) instead of {was:.0%}. The log-likelihood is estimated with "
            "100 codes a shape, for {n} of them."
        ).format(
            what=what[:1].upper() + what[1:],
            epochs=repaired.epochs_,
            encoder=encoder_decoder[0],
            decoder=encoder_decoder[1],
            before=before[0],
            after=after[0],
            filled=after[1],
            was=before[1],
            n=len(some),
        )
    )
    report.code(
        "repaired",
        ["decode_grid(model, 20)", "latent_map(model, shapes.X_test, shapes.y_test)"],
        ["plot grid -m repaired.safetensors -o grid.png"],
    )
    report.figures |= {"test ELBO, as given": before[0], "test ELBO, repaired": after[0]}
    report.figures["share of N(0, I) filled, repaired"] = after[1]
    report.claim(
        "S4",
        "A",
        _("aim: the same parameters, and a code that is used"),
        _(
            "ELBO {before:.1f} → {after:.1f} nats, dead units {dead} → {dead_after}, N(0, I) "
            "filled {filled:.0%} → {filled_after:.0%}, kinds in the grid {kinds} → {kinds_after}"
        ).format(
            before=before[0],
            after=after[0],
            filled=before[1],
            filled_after=after[1],
            kinds=before[2],
            kinds_after=after[2],
            dead=before[3],
            dead_after=after[3],
        ),
        compare(after[0], before[0], lower=False)
        if encoder_decoder == (ENCODER, DECODER)
        else "not reached",
    )


RECIPE = Recipe(
    name="shapes",
    title=mark("Shapes from a variational network, as given and repaired"),
    summary=mark(
        "Why do most units of the document's variational network never fire, and what does the "
        "same network draw when all of them do?"
    ),
    rows=("S4",),
    minutes=35,
    run=run,
)
