"""Tied weights, and the linear autoencoder that is PCA.

Rows M5 and M6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import subspace_angles

from .. import figures
from ..data.dataset import Dataset
from ..estimator import Autoencoder
from ..metrics import Numbers
from .baselines import PrincipalComponents
from .language import _, mark
from .report import Recipe, Report
from .weights import first_layer, last_layer

SIZE = 10
"""Numbers of the linear code."""
LINEAR = {
    "latent_dim": SIZE,
    "network": "dense(hidden=[])",
    "loss": "squared",
    "learning_rate": 0.003,
    "schedule": "one_cycle",
    "batch_size": 256,
    "epochs": 64,
    "validation_fraction": 0.0,
}
LENGTHS = (1, 2, 4, 8, 16, 32, 64)
"""Epochs of the trainings whose angle is measured."""
TIED = {
    "latent_dim": 32,
    "learning_rate": 0.004,
    "schedule": "one_cycle",
    "batch_size": 256,
    "epochs": 40,
    "validation_fraction": 0.0,
}
KINDS = (
    ("sigmoid", "bernoulli"),
    ("sigmoid", "squared"),
    ("relu", "bernoulli"),
    ("identity", "bernoulli"),
)
"""Activations of the code, and losses; document C has a sigmoid."""
ANGLE, NEAR = 1.0, 0.01
"""Degrees up to which a subspace is PCA's, and by which share the error may differ."""


def run(report: Report) -> None:
    """Train tied and untied networks, and a linear one."""
    mnist = report.load("mnist")
    X = np.asarray(mnist.X)
    tied_weights(report, mnist, X)
    pca = PrincipalComponents.learn(X)
    model = equals_pca(report, mnist, X, pca)
    over_epochs(report, X, pca)
    axes(report, model, pca)


def tied_weights(report: Report, mnist: Dataset, X: NDArray[Any]) -> None:
    """Compare tied with untied weights, for each activation of the code."""
    rows, models = [], {}
    for activation, loss in report.pick(KINDS, KINDS[:1]):
        for tied in (False, True):
            network = f"dense(hidden=[], code_activation='{activation}', tied={tied})"
            name = f"{'tied' if tied else 'untied'}-{activation}-{loss}"
            keywords = {**TIED, "network": network, "loss": loss}
            model = report.fit(name, keywords, X, data="mnist")
            found = model.evaluate(mnist.X_test)
            models[activation, loss, tied] = model
            words = _("tied") if tied else _("untied")
            size = model.n_parameters_
            row = (words, activation, loss, size, found["bce"], found["mse"], found["psnr"])
            rows.append(row)
    free, tied_model = (models[*KINDS[0], tied] for tied in (False, True))
    biases = TIED["latent_dim"] + int(np.prod(X.shape[1:]))  # type: ignore[operator]
    half = (free.n_parameters_ - biases) // 2 + biases
    report.section("tied", _("Tied weights"))
    report.text(
        _(
            "The weights from the code to the picture are those from the picture to the code, "
            "transposed. Of {free} parameters {tied} are left: half of the weights, and all "
            "{biases} biases."
        ).format(
            free=f"{free.n_parameters_:,}", tied=f"{tied_model.n_parameters_:,}", biases=biases
        ),
        _(
            "What that costs depends on the activation of the code, and on the loss: one matrix "
            "has to find the code and to draw the picture. Document C has a sigmoid."
        ),
    )
    saturation(report, mnist, free, tied_model)
    head = (
        _("weights"), _("code activation"), _("loss"), _("parameters"), _("test BCE"),
        _("test MSE"), _("PSNR, dB"),
    )  # fmt: skip
    report.table(_("784-32-784, figures per pixel, on test pictures"), head, rows)
    others = {_("tied"): tied_model.reconstruct(mnist.X_test)}
    report.picture(
        figures.reconstructions(free, mnist.X_test, 12, beside=others),
        _("Test digits, what comes back of untied weights, and of tied ones."),
        _("Test digits above, then untied, then tied weights, with a sigmoid behind the code."),
    )
    report.code(
        "tied-sigmoid-bernoulli",
        ["reconstructions(model, mnist.X_test)"],
        ["evaluate mnist -m tied-sigmoid-bernoulli.safetensors"],
    )
    report.claim(
        "M5",
        "C",
        _("with W* = Wᵀ the parameters halve, but for biases"),
        _("{free} become {tied}").format(
            free=f"{free.n_parameters_:,}", tied=f"{tied_model.n_parameters_:,}"
        ),
        "confirmed" if tied_model.n_parameters_ == half else "refuted",
    )


def saturation(report: Report, mnist: Dataset, free: Autoencoder, tied: Autoencoder) -> None:
    """Say how far the sigmoids of the code are from the ends of their range."""
    spread = [float(model.transform(mnist.X_test).std(axis=0).mean()) for model in (free, tied)]
    report.figures["spread of a code's number"] = dict(zip(("untied", "tied"), spread, strict=True))
    report.text(
        _(
            "With a sigmoid and the cross-entropy, a number of the code has a standard deviation "
            "of {free:.3f} with untied weights and of {tied:.3f} with tied ones. At first most "
            "pixels have to become black, whatever the picture. Untied weights can do that by "
            "pushing every sigmoid to its end, where it no longer learns. Tied weights cannot: "
            "what makes pixels black also takes the sigmoids back."
        ).format(free=spread[0], tied=spread[1])
        if spread[0] < spread[1]
        else _(
            "With a sigmoid and the cross-entropy, a number of the code has a standard deviation "
            "of {free:.3f} with untied weights and of {tied:.3f} with tied ones."
        ).format(free=spread[0], tied=spread[1])
    )


def equals_pca(
    report: Report, mnist: Dataset, X: NDArray[Any], pca: PrincipalComponents
) -> Autoencoder:
    """Train a linear autoencoder, and compare what it spans with PCA's components."""
    model = report.fit("linear", LINEAR, X, data="mnist")
    degrees = angle(model, pca)
    ours = model.evaluate(mnist.X_test)["mse"]
    theirs = pca.evaluate(mnist.X_test, SIZE)["mse"]
    report.section("linear", _("A linear autoencoder is PCA"))
    report.text(
        _(
            "Without activations, and with squared error, the best that 784-{size}-784 can do is "
            "to project onto the plane of the first {size} principal components. It is trained "
            "like any other network, from random weights."
        ).format(size=SIZE)
    )
    report.numbers(
        {
            _("largest angle between the two subspaces, degrees"): degrees,
            _("test MSE of the autoencoder"): ours,
            _("test MSE of PCA"): theirs,
            _("their ratio"): ours / theirs,
        }
    )
    shown = np.asarray(mnist.X_test)
    beside = np.clip(pca.reconstruct(shown, SIZE), 0, 1).reshape(shown.shape) * 255
    report.picture(
        figures.reconstructions(model, shown, 12, beside={_("PCA"): beside}),
        _("Test digits, what the linear autoencoder makes of them, and PCA."),
        _("Test digits above, then the linear autoencoder, then PCA."),
    )
    report.code(
        "linear",
        ["reconstructions(model, mnist.X_test)"],
        ["evaluate mnist -m linear.safetensors"],
    )
    report.claim(
        "M6",
        "CD",
        _("with linear activations an autoencoder finds what PCA finds: less than 1° apart"),
        _("largest angle {degrees:.3f}°").format(degrees=degrees),
        "confirmed" if degrees < ANGLE else "not reached",
    )
    report.claim(
        "M6",
        "CD",
        _("its error is PCA's, within 1 %"),
        _("test MSE {ours:.5f}, PCA {theirs:.5f}, ratio {ratio:.4f}").format(
            ours=ours, theirs=theirs, ratio=ours / theirs
        ),
        "confirmed" if abs(ours / theirs - 1) < NEAR else "not reached",
    )
    return model


def over_epochs(report: Report, X: NDArray[Any], pca: PrincipalComponents) -> None:
    """Show how the angle falls with the length of the training."""
    lengths = report.pick(LENGTHS, LENGTHS[:2])
    lines = {}
    for schedule, name in (("constant", _("constant rate")), ("one_cycle", _("one cycle"))):
        degrees = []
        for epochs in lengths:
            keywords = {**LINEAR, "schedule": schedule, "epochs": epochs}
            called = f"linear-{schedule.replace('_', '-')}-{epochs}"
            model = report.fit(called, keywords, X, data="mnist", quick={"epochs": epochs})
            degrees.append(angle(model, pca))
        lines[name] = degrees
    report.section("epochs", _("The angle over epochs"))
    report.text(
        _(
            "At a constant rate the points are one training, looked at after more and more "
            "epochs; the noise of the batches still moves the weights at each step. With one cycle "
            "each point is a training that ends there, with its rate down to zero. After {epochs} "
            "epochs the angle is {constant:.2f}° at a constant rate, and {cycle:.2f}° with one "
            "cycle."
        ).format(
            epochs=lengths[-1],
            constant=lines[_("constant rate")][-1],
            cycle=lines[_("one cycle")][-1],
        )
    )
    report.picture(
        figures.curves(
            lines,
            lengths,
            xlabel=_("epochs"),
            ylabel=_("largest angle to PCA, degrees"),
            log="xy",
        ),
        _("Largest angle between the subspaces by epochs of training."),
        _("Largest of {size} principal angles between what the decoder spans and PCA.").format(
            size=SIZE
        ),
    )
    report.figures["angle by epochs"] = {"epochs": lengths, **lines}


def axes(report: Report, model: Autoencoder, pca: PrincipalComponents) -> None:
    """Show that single weights are not components, and that the space they span is PCA's."""
    components = pca.axes[:SIZE]
    weights = last_layer(model)
    onto = np.linalg.svd(weights, full_matrices=False)[2]
    turned = (components @ onto.T) @ onto
    report.section("axes", _("The same plane, other axes"))
    report.text(
        _(
            "The weights of a single number of the code are no principal component: any mixture "
            "of components spans the same space, with the same error. Projected onto the space "
            "that the decoder spans, each component is still what it was."
        )
    )
    rows = {
        _("decoder's\nweights"): scaled(weights),
        _("components"): scaled(components),
        _("projected onto\nthe decoder"): scaled(turned),
    }
    report.picture(
        figures.rows({name: each.reshape(-1, 28, 28) for name, each in rows.items()}),
        _("Decoder's weights, principal components, and these as the decoder has them."),
        _("From the first component to the last. Light is positive, dark is negative."),
    )
    encoder = first_layer(model)
    product = weights @ encoder.T
    report.figures["decoder and encoder are inverse, largest difference"] = float(
        np.abs(product - np.eye(SIZE)).max()
    )


def angle(model: Autoencoder, pca: PrincipalComponents) -> float:
    """Return the largest angle between what a decoder and the components span, in degrees."""
    spanned = last_layer(model).T
    components = pca.axes[: spanned.shape[1]].T
    return float(np.degrees(subspace_angles(spanned, components).max()))


def scaled(rows: Numbers) -> Numbers:
    """Return rows, each divided by its greatest absolute value."""
    return np.asarray(rows / np.abs(rows).max(axis=1, keepdims=True))


RECIPE = Recipe(
    name="linear",
    title=mark("Tied weights, and the autoencoder that is PCA"),
    summary=mark(
        "Half of the parameters with tied weights, and a linear network that finds the plane of "
        "the principal components."
    ),
    rows=("M5", "M6"),
    minutes=8,
    run=run,
)
