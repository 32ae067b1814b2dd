"""A sparse code: what a price on the code's numbers does to them, to the loss and to the weights.

Row M4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import figures
from ..estimator import Autoencoder
from .language import _, mark
from .report import Recipe, Report
from .weights import last_layer

KEYWORDS = {
    "latent_dim": 32,
    "network": "dense(hidden=[], code_activation='relu')",
    "loss": "bernoulli",
    "learning_rate": 0.004,
    "schedule": "one_cycle",
    "batch_size": 256,
    "epochs": 40,
    "validation_fraction": 0.0,
}
PRICES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Of one unit of absolute code, in nats; document D's tutorial has 0.0001 · 784 = 0.08."""
WIDE = 256
"""Numbers of a wide code."""
ALLOWED = 1.05
"""A price is moderate while the loss of held-out pictures is at most so many times that without."""
CLEARLY = 0.5
"""Activity is clearly lower where it is at most this share of that without a price."""


class SparseCode(NamedTuple):
    """What became of a code under a price."""

    price: float
    model: Autoencoder
    held_out: float
    """Cross-entropy a pixel of training pictures that were held out."""
    bce: float
    activity: float
    """Mean absolute number of a code."""
    active: float
    """How many numbers of a code are not 0, on average."""
    norm: float
    """Mean length of the weights that lead from a number of the code to the picture."""


def run(report: Report) -> None:
    """Raise the price of the code, and look at what it does."""
    mnist = report.load("mnist")
    X = np.asarray(mnist.X)
    train, held_out = np.split(X, [len(X) * 5 // 6])

    def fitted(size: int, price: float) -> SparseCode:
        keywords: dict[str, Any] = {**KEYWORDS, "latent_dim": size}
        if price:
            keywords["bottleneck"] = f"sparse(weight={price})"
        model = report.fit(named(size, price), keywords, train, data="mnist")
        return measure(model, price, held_out, mnist.X_test)

    found = [fitted(32, price) for price in report.pick(PRICES, PRICES[:3])]
    chosen = moderate(found)
    curve(report, found, chosen)
    beside(report, found[0], chosen, np.asarray(mnist.X_test))
    wide(report, fitted(WIDE, 0.0), fitted(WIDE, chosen.price))


def named(size: int, price: float) -> str:
    """Return what a model is called: code-32-price-0-03.

    >>> named(32, 0.03)
    'code-32-price-0-03'
    """
    return f"code-{size}-price-{price:g}".replace(".", "-")


def measure(model: Autoencoder, price: float, held_out: Any, test: Any) -> SparseCode:
    """Return the figures of a fitted model."""
    Z = np.abs(model.transform(test))
    return SparseCode(
        price,
        model,
        model.evaluate(held_out)["bce"],
        model.evaluate(test)["bce"],
        float(Z.mean()),
        float((Z > 0).sum(axis=1).mean()),
        float(np.linalg.norm(last_layer(model), axis=1).mean()),
    )


def moderate(found: list[SparseCode]) -> SparseCode:
    """Return the highest price at which held-out pictures still come back nearly as well."""
    free, *others = found
    allowed = [each for each in others if each.held_out <= ALLOWED * free.held_out]
    return max(allowed or others[:1], key=lambda each: each.price)


def curve(report: Report, found: list[SparseCode], chosen: SparseCode) -> None:
    """Show loss and activity by price."""
    free = found[0]
    report.section("price", _("Loss and activity by price"))
    report.numbers(
        {
            _("mean activity as a share of that without a price"): chosen.activity / free.activity,
            _("test cross-entropy as a share of that without a price"): chosen.bce / free.bce,
            _("active numbers of 32, price {price:g}").format(price=chosen.price): chosen.active,
            _("active numbers of 32, no price"): free.active,
        }
    )
    report.text(
        _(
            "To the cross-entropy of a picture, in nats, comes the sum of the absolute values of "
            "its code, times a price. The code is rectified, so a number can be exactly 0. "
            "Of the prices here, {price:g} is the highest one at which the cross-entropy of "
            "held-out training pictures is at most {percent:.0f} % above that without a price."
        ).format(price=chosen.price, percent=100 * (ALLOWED - 1))
    )
    rows = [(f"{each.price:g}", each.bce, each.activity, each.active, each.norm) for each in found]
    head = (
        _("price"), _("test BCE"), _("mean activity"), _("active of 32"),
        _("length of the decoder's weights"),
    )  # fmt: skip
    report.table(_("What becomes of the code"), head, rows)
    priced = found[1:]
    prices = [each.price for each in priced]
    names = {
        _("cross-entropy"): [each.bce / free.bce for each in priced],
        _("mean activity"): [each.activity / free.activity for each in priced],
        _("active numbers"): [each.active / free.active for each in priced],
        _("decoder's weights"): [each.norm / free.norm for each in priced],
    }
    report.picture(
        figures.curves(
            {name: (prices, values) for name, values in names.items()},
            xlabel=_("price of one unit of code, nats"),
            ylabel=_("share of the value without a price"),
            log="x",
        ),
        _("Cross-entropy, activity, active numbers and decoder's weights by price."),
        _("Each as a share of its value without a price, on test pictures."),
    )
    report.text(
        _(
            "Mean activity alone says little: numbers half as large, with weights of the decoder "
            "twice as large, give the same pictures at half the price. The last column shows how "
            "much of that happens. The number of active code numbers does not change with such a "
            "scale, so it is the better measure."
        )
    )
    lower, loss = chosen.activity / free.activity, chosen.bce / free.bce
    report.claim(
        "M4",
        "D",
        _("a price on the code makes it sparse, and the pictures stay very similar"),
        _(
            "price {price:g}: mean activity {share:.2f} of that without, active numbers "
            "{active:.1f} instead of {free:.1f}, cross-entropy {loss:.3f} times"
        ).format(
            price=chosen.price, share=lower, active=chosen.active, free=free.active, loss=loss
        ),
        "confirmed" if lower <= CLEARLY and loss <= ALLOWED + 0.01 else "refuted",
    )


def beside(report: Report, free: SparseCode, chosen: SparseCode, X_test: Any) -> None:
    """Show pictures and weights with and without the price."""
    report.section("weights", _("Weights with and without"))
    report.text(
        _("Each small picture is the weights that lead from the pixels to one number of the code.")
    )
    for each, caption in (
        (free, _("Weights of the encoder without a price.")),
        (chosen, _("Weights of the encoder with a price.")),
    ):
        report.picture(figures.filters(each.model, 32), caption, caption)
    others = {_("with a price"): chosen.model.reconstruct(X_test)}
    report.picture(
        figures.reconstructions(free.model, X_test, 12, beside=others),
        _("Test digits, what comes back without a price, and with one."),
        _("Test digits above, then without a price, then with one."),
    )
    name = named(32, chosen.price)
    report.code(
        name,
        ["filters(model)", "reconstructions(model, mnist.X_test)"],
        [
            f"plot filters -m {name}.safetensors -o filters.png",
            f"evaluate mnist -m {name}.safetensors",
        ],
    )


def wide(report: Report, free: SparseCode, priced: SparseCode) -> None:
    """Show what a price does to a code of many numbers."""
    report.section("wide", _("A wide code"))
    report.text(
        _(
            "With {size} numbers there is a choice: each picture uses {free:.1f} of them without "
            "a price and {active:.1f} with it. The cross-entropy is {bce:.4f} instead of "
            "{free_bce:.4f}. The pictures show what each number paints."
        ).format(
            size=WIDE, free=free.active, active=priced.active, bce=priced.bce, free_bce=free.bce
        )
    )
    for each, caption in (
        (free, _("Weights of the decoder of a wide code, without a price.")),
        (priced, _("Weights of the decoder of a wide code, with a price.")),
    ):
        report.picture(figures.filters(each.model, 48, layer="last"), caption, caption)
    report.figures["active numbers of a wide code"] = {
        "without": free.active,
        "with": priced.active,
    }


RECIPE = Recipe(
    name="sparse",
    title=mark("A sparse code"),
    summary=mark(
        "What a price on the numbers of the code does to them, to the loss and to the weights."
    ),
    rows=("M4",),
    minutes=5,
    run=run,
)
