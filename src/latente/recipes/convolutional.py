"""Convolutional autoencoders: pooling and upsampling, and strides without pooling.

Rows M7 and M8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import figures
from ..data.dataset import Dataset
from ..estimator import Autoencoder
from .baselines import PrincipalComponents
from .language import _, mark
from .report import Recipe, Report, compare

TO_THE_END = {
    "loss": "bernoulli",
    "schedule": "one_cycle",
    "batch_size": 128,
    "validation_fraction": 0.0,
}
SMALL = {
    "network": "conv(channels=[16, 8, 8], down='pool', up='upsample', code='spatial', "
    "trim='valid')",
    **TO_THE_END,
    "learning_rate": 0.004,
    "epochs": 50,
}
"""The network of documents B and D, with a code of 4×4×8."""
LARGE = {
    "network": "conv(channels=[32, 32], down='pool', up='upsample', code='spatial')",
    **TO_THE_END,
    "learning_rate": 0.003,
    "epochs": 30,
}
"""The network that document D also denoises with, with a code of 7×7×32."""
FEW = 500
"""Training pictures of a quick run."""
KERAS = 0.094
"""Test cross-entropy with a code of 4×4×8 that document D reports."""
REPORTED = {
    "latent_dim": 64,
    "loss": "squared",
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "batch_size": 1000,
    "epochs": 16,
}
"""How document E trains both networks of its figure 2."""
DENSE = {**REPORTED, "network": "dense(hidden=[], code_activation='relu')"}
STRIDED = {**REPORTED, "network": "conv(channels=[16, 32], code_activation='relu')"}


def run(report: Report) -> None:
    """Train networks with pooling, then one with strides beside a dense one."""
    mnist = report.load("mnist")
    X = np.asarray(mnist.X)[: report.pick(None, FEW)]
    pooled(report, mnist, X)
    strided(report, mnist, X)


def pooled(report: Report, mnist: Dataset, X: NDArray[Any]) -> None:
    """Train the two networks with pooling."""
    quick = {"epochs": 1}
    models = {
        "4×4×8": report.fit("code-4-4-8", SMALL, X, data="mnist", quick=quick),
        "7×7×32": report.fit("code-7-7-32", LARGE, X, data="mnist", quick=quick),
    }
    small, large = models.values()
    ours, larger = (dict(model.evaluate(mnist.X_test)) for model in models.values())
    theirs = PrincipalComponents.learn(X).evaluate(mnist.X_test, small.latent_dim_)
    report.section("pooled", _("Pooling, and back by repeating"))
    report.numbers(
        {
            _("test cross-entropy a pixel, code 4×4×8"): ours["bce"],
            _("document D"): KERAS,
            _("test cross-entropy a pixel, code 7×7×32"): larger["bce"],
        }
    )
    weights = (small.latent_dim_ + 1) * 784
    report.text(
        _(
            "Convolutions of 3×3, each followed by the maximum of 2×2 values; back by "
            "repeating each value 2×2 times before a convolution. The network with a code of "
            "4×4×8 has only {parameters} parameters, which work at every place of the picture. "
            "PCA with as many numbers has {weights}, which know each pixel by its place; its mean "
            "squared error is {theirs:.5f}, that of the network {ours:.5f}."
        ).format(
            parameters=f"{small.n_parameters_:,}",
            weights=f"{weights:,}",
            theirs=theirs["mse"],
            ours=ours["mse"],
        ),
        _(
            "A code of 7×7×32 has {large} numbers, more than the picture has pixels: nothing "
            "forces it to compress."
        ).format(large=f"{large.latent_dim_:,}"),
    )
    rows = [
        pooled_row(name, model, found)
        for (name, model), found in zip(models.items(), (ours, larger), strict=True)
    ]
    figures_of_pca = theirs["bce"], theirs["mse"], theirs["psnr"]
    rows.append((_("PCA"), small.latent_dim_, weights, None, None, *figures_of_pca))
    head = (
        _("network"), _("code"), _("parameters"), _("epochs"), _("seconds an epoch"),
        _("test BCE"), _("test MSE"), _("PSNR, dB"),
    )  # fmt: skip
    report.table(_("Figures per pixel, on test pictures"), head, rows)
    pooled_pictures(report, mnist, models)
    report.claim(
        "M7",
        "BD",
        _("a code of (4, 4, 8) reaches a loss of {figure}").format(figure=KERAS),
        _("test cross-entropy {bce:.4f} with {parameters} parameters").format(
            bce=ours["bce"], parameters=f"{small.n_parameters_:,}"
        ),
        compare(ours["bce"], KERAS),
    )
    report.claim(
        "M7",
        "D",
        _("a code of (7, 7, 32) keeps more than one of (4, 4, 8)"),
        _("test cross-entropy {bce:.4f}, PSNR {psnr:.1f} dB").format(
            bce=larger["bce"], psnr=larger["psnr"]
        ),
        "confirmed" if larger["bce"] < ours["bce"] else "refuted",
    )


def pooled_row(name: str, model: Autoencoder, found: dict[str, float]) -> tuple[Any, ...]:
    """Return a row of the table of networks with pooling."""
    return (
        _("code {size}").format(size=name), model.latent_dim_, model.n_parameters_, model.epochs_,
        seconds(model), found["bce"], found["mse"], found["psnr"],
    )  # fmt: skip


def pooled_pictures(report: Report, mnist: Dataset, models: dict[str, Autoencoder]) -> None:
    """Show how the loss fell, and what comes back."""
    small, large = models.values()
    report.picture(
        figures.curves(
            {
                _("code {size}").format(size=name): [each["per_pixel"] for each in model.history_]
                for name, model in models.items()
            },
            xlabel=_("epoch"),
            ylabel=_("training cross-entropy a pixel"),
            log="xy" if small.epochs_ > 1 else "",
        ),
        _("Training loss of both networks by epoch."),
        _("Training loss by epoch."),
    )
    others = {_("code 7×7×32"): large.reconstruct(mnist.X_test)}
    report.picture(
        figures.reconstructions(small, mnist.X_test, 12, beside=others),
        _("Test digits, what comes back of a code of 4×4×8, and of one of 7×7×32."),
        _("Test digits above, then a code of 4×4×8, then one of 7×7×32."),
    )
    report.code(
        "code-4-4-8",
        ["reconstructions(model, mnist.X_test)"],
        ["evaluate mnist -m code-4-4-8.safetensors"],
    )


def strided(report: Report, mnist: Dataset, X: NDArray[Any]) -> None:
    """Train a convolutional and a dense network in the same way, epoch by epoch."""
    train, held_out = np.split(X, [len(X) * 5 // 6])
    models = {
        _("dense"): report.fit("dense", DENSE, train, data="mnist", validation=held_out),
        _("strided convolutions"): report.fit(
            "strided", STRIDED, train, data="mnist", validation=held_out
        ),
    }
    dense, conv = models.values()
    ours, theirs = (model.evaluate(mnist.X_test)["mse"] for model in (conv, dense))
    per_epoch = {name: seconds(model) for name, model in models.items()}
    ahead = sum(a < b for a, b in zip(held_out_mse(conv), held_out_mse(dense), strict=True))
    report.section("strided", _("Strides without pooling, beside a dense network"))
    report.text(
        _(
            "Document E halves by convolutions with a stride of 2 and doubles by transposed ones. "
            "Both networks have a code of 64 numbers, and are trained as its figure 2 says: mean "
            "squared error, Adam at 0.001, batches of 1,000, {epochs} epochs. The loss is taken "
            "of the training pictures and of {held_out} that were held out."
        ).format(epochs=dense.epochs_, held_out=f"{len(held_out):,}")
    )
    lines: dict[str, Any] = {}
    by_time: dict[str, Any] = {}
    for name, model in models.items():
        values = training_mse(model), held_out_mse(model)
        for part, losses in zip((_("training"), _("held out")), values, strict=True):
            lines[f"{name}, {part}"] = losses
        by_time[name] = (np.cumsum([r["seconds"] for r in model.history_]), values[1])
    label = _("mean squared error a pixel")
    report.picture(
        figures.curves(lines, xlabel=_("epoch"), ylabel=label, log="y"),
        _("Loss of both networks by epoch, of training and of held-out pictures."),
        _("After equal epochs."),
    )
    report.picture(
        figures.curves(by_time, xlabel=_("seconds"), ylabel=label, log="xy"),
        _("Held-out loss of both networks by seconds of training."),
        _("After equal time. An epoch takes {dense:.1f} s dense and {conv:.1f} s convolutional.")
        .format(dense=seconds(dense), conv=seconds(conv)),
    )  # fmt: skip
    head = (
        _("network"), _("parameters"), _("seconds an epoch"), _("test MSE"), _("PSNR, dB"),
    )  # fmt: skip
    rows = []
    for name, model in models.items():
        figure = model.evaluate(mnist.X_test)
        row = (name, model.n_parameters_, per_epoch[name], figure["mse"], figure["psnr"])
        rows.append(row)
    report.table(_("After {n} epochs, on test pictures").format(n=dense.epochs_), head, rows)
    others = {_("dense"): dense.reconstruct(mnist.X_test)}
    report.picture(
        figures.reconstructions(conv, mnist.X_test, 12, beside=others),
        _("Test digits, what comes back of the convolutional network, and of the dense one."),
        _("Test digits above, then strided convolutions, then the dense network."),
    )
    report.code(
        "strided",
        ["history(model)", "reconstructions(model, mnist.X_test)"],
        ["plot history -m strided.safetensors -o history.png"],
    )
    report.claim(
        "M8",
        "E",
        _("after equal epochs the convolutional network is better than the dense one"),
        _(
            "test MSE {ours:.5f} against {theirs:.5f}; ahead after {ahead} of {epochs} epochs"
        ).format(ours=ours, theirs=theirs, ahead=ahead, epochs=dense.epochs_),
        "confirmed" if ours < theirs else "refuted",
    )


def seconds(model: Autoencoder) -> float:
    """Return how long an epoch took: the median, since other work may disturb some."""
    return float(np.median([record["seconds"] for record in model.history_]))


def training_mse(model: Autoencoder) -> list[float]:
    """Return the mean squared error a pixel of training pictures, epoch by epoch."""
    return [record["reconstruction"] / 784 for record in model.history_]


def held_out_mse(model: Autoencoder) -> list[float]:
    """Return the mean squared error a pixel of held-out pictures, epoch by epoch."""
    return [record["validation_reconstruction"] / 784 for record in model.history_]


RECIPE = Recipe(
    name="convolutional",
    title=mark("Convolutional autoencoders"),
    summary=mark(
        "Codes that are small pictures, by pooling; and strided convolutions beside a dense "
        "network after equal epochs."
    ),
    rows=("M7", "M8"),
    minutes=35,
    run=run,
)
