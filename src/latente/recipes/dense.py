"""Dense autoencoders of MNIST: one layer each way, then three, beside PCA with the same code.

Rows M2 and M3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import figures
from ..data.dataset import Dataset
from ..estimator import Autoencoder
from ..figures import page
from .baselines import PrincipalComponents
from .language import _, mark
from .report import Recipe, Report, compare

ONE, TWO = "dense(hidden=[], code_activation='relu')", "dense(hidden=[])"
THREE = "dense(hidden=[128, 64], code_activation='relu')"
AS_GIVEN = {
    "loss": "bernoulli",
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "schedule": "constant",
    "batch_size": 256,
    "validation_fraction": 0.0,
}
"""How document D trains."""
TO_THE_END = {
    "loss": "bernoulli",
    "learning_rate": 0.004,
    "schedule": "one_cycle",
    "batch_size": 256,
    "validation_fraction": 0.0,
}
"""Adam, its rate raised and lowered once over the whole training."""
MODELS: dict[str, dict[str, Any]] = {
    "given-32": {"latent_dim": 32, "network": ONE, **AS_GIVEN, "epochs": 50},
    "given-64": {
        "latent_dim": 64,
        "network": TWO,
        **AS_GIVEN,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "batch_size": 128,
        "epochs": 10,
    },
    "given-deep": {"latent_dim": 32, "network": THREE, **AS_GIVEN, "epochs": 100},
    "dense-32": {"latent_dim": 32, "network": ONE, **TO_THE_END, "epochs": 60},
    "dense-64": {"latent_dim": 64, "network": TWO, **TO_THE_END, "epochs": 60},
    "deep": {"latent_dim": 32, "network": THREE, **TO_THE_END, "epochs": 150},
}
"""As the documents train them, then trained to the end."""
KERAS = 0.093
"""Test cross-entropy of 784-32-784 in the tutorial that document D follows."""


class DenseResult(NamedTuple):
    """A model and what it makes of the test pictures."""

    model: Autoencoder
    figures: dict[str, float]


def run(report: Report) -> None:
    """Train the documents' dense networks, and compare them with PCA."""
    mnist = report.load("mnist")
    X = np.asarray(mnist.X)
    found = {}
    for name, keywords in MODELS.items():
        model = report.fit(name, keywords, X, data="mnist")
        found[name] = DenseResult(model, dict(model.evaluate(mnist.X_test)))
    pca = PrincipalComponents.learn(X)
    compared(report, mnist, found, pca)
    three_models(report, mnist, found["dense-32"].model)
    deeper(report, mnist, found)


def compared(
    report: Report, mnist: Dataset, found: dict[str, DenseResult], pca: PrincipalComponents
) -> None:
    """Set all models beside PCA."""
    training = {
        "given-32": _("document D: Adadelta, 50 epochs"),
        "given-64": _("document B: Adam, 10 epochs"),
        "given-deep": _("document D: Adadelta, 100 epochs"),
    }
    rows: list[tuple[Any, ...]] = []
    for name, (model, result) in found.items():
        how = training.get(name, _("one cycle, {n} epochs").format(n=model.epochs_))
        network = "784-128-64-32-64-128-784" if "deep" in name else f"784-{model.latent_dim_}-784"
        row = (network, how, model.n_parameters_, result["bce"], result["mse"], result["psnr"])
        rows.append(row)
    baseline = {size: pca.evaluate(mnist.X_test, size) for size in (32, 64)}
    for size, result in baseline.items():
        name = _("PCA, {size} numbers").format(size=size)
        count = (size + 1) * 784
        rows.append((name, _("exact"), count, result["bce"], result["mse"], result["psnr"]))
    best = {size: found[f"dense-{size}"].figures for size in (32, 64)}
    report.section("compared", _("Through 32 numbers and through 64"))
    report.numbers(
        {
            _("test cross-entropy a pixel, 784-32-784"): best[32]["bce"],
            _("test cross-entropy a pixel, 784-64-784"): best[64]["bce"],
            _("mean squared error as a share of PCA's, 32 numbers"): best[32]["mse"]
            / baseline[32]["mse"],
            _("mean squared error as a share of PCA's, 64 numbers"): best[64]["mse"]
            / baseline[64]["mse"],
        }
    )
    report.text(
        _(
            "One layer leads to the code and one leads back, with a sigmoid behind the last. "
            "The loss is the binary cross-entropy, as in the documents. Each network is trained "
            "twice: as its document does it, and then to the end, with a learning rate that is "
            "raised and lowered once."
        ),
        _(
            "PCA has the least squared error that a linear code can have, so the mean squared "
            "error is the fair comparison. Its cross-entropy is that of values clipped to the "
            "range from 0 to 1."
        ),
    )
    head = (
        _("network"), _("training"), _("parameters"), _("test BCE"), _("test MSE"), _("PSNR, dB"),
    )  # fmt: skip
    report.table(_("Figures per pixel, on test pictures"), head, rows)
    lines = {
        name: [record["per_pixel"] for record in found[name].model.history_] for name in MODELS
    }
    report.picture(
        figures.curves(
            lines, xlabel=_("epoch"), ylabel=_("training cross-entropy a pixel"), log="xy"
        ),
        _("Training loss of all models by epoch."),
        _("Training loss by epoch."),
    )
    shown = np.asarray(mnist.X_test)
    model = found["dense-32"].model
    beside = np.clip(pca.reconstruct(shown, 32), 0, 1).reshape(shown.shape) * 255
    report.picture(
        figures.reconstructions(model, shown, 12, beside={_("PCA"): beside}),
        _("Test digits, what comes back through 32 numbers, and the same by PCA."),
        _("Test digits above, then the autoencoder's 32 numbers, then PCA's."),
    )
    report.code(
        "dense-32",
        ["reconstructions(model, mnist.X_test)"],
        [
            "evaluate mnist -m dense-32.safetensors",
            "plot reconstructions mnist -m dense-32.safetensors -o pairs.png",
        ],
    )
    claims(report, {size: each["bce"] for size, each in best.items()}, found, best, baseline)


def claims(
    report: Report,
    bce: dict[int, float],
    found: dict[str, DenseResult],
    best: dict[int, dict[str, float]],
    baseline: dict[int, dict[str, float]],
) -> None:
    """Claim what the documents say of the shallow networks."""
    given = found["given-32"].figures["bce"]
    report.claim(
        "M2",
        "D",
        _("784-32-784 reaches a test cross-entropy of {figure}").format(figure=KERAS),
        _("{bce:.4f}; {given:.4f} when trained as given").format(bce=bce[32], given=given),
        compare(bce[32], KERAS),
    )
    for size in (32, 64):
        ours, theirs = best[size]["mse"], baseline[size]["mse"]
        report.claim(
            "M2",
            "BD",
            _("{size} numbers keep more of a digit than {size} principal components").format(
                size=size
            ),
            _("mean squared error {ours:.5f}, PCA {theirs:.5f}").format(ours=ours, theirs=theirs),
            "confirmed" if ours < theirs else "refuted",
        )


def three_models(report: Report, mnist: Dataset, model: Autoencoder) -> None:
    """Use encoder, decoder and autoencoder each by itself."""
    Z = model.transform(mnist.X_test)
    decoded = np.asarray(model.inverse_transform(Z), dtype=np.int64)
    difference = int(np.abs(decoded - np.asarray(model.reconstruct(mnist.X_test))).max())
    report.section("three", _("Three models: encoder, decoder, autoencoder"))
    report.text(
        _(
            "Document B builds three models that share their layers. Here they are three "
            "methods of one fitted object, and three commands. The networks themselves are there, "
            "too, as modules of torch: `model.encoder_`, `model.decoder_` and `model.module_`."
        ),
        _(
            "Of {n} test pictures, what the decoder makes of the encoder's codes differs from "
            "what the autoencoder gives by at most {difference} of 255 grey levels."
        ).format(n=f"{len(Z):,}", difference=difference),
    )
    python = (
        'model = Autoencoder.load("dense-32.safetensors")\n'
        "Z = model.transform(mnist.X_test)\n"
        "pictures = model.inverse_transform(Z)\n"
        "same = model.reconstruct(mnist.X_test)"
    )
    shell = "\n".join(
        page.shell_commands([command])
        for command in (
            "encode mnist -m dense-32.safetensors -o codes.npy --split test",
            "decode codes.npy -m dense-32.safetensors -o pictures.npy",
            "reconstruct mnist -m dense-32.safetensors -o same.npy --split test",
        )
    )
    report.code_pair(python, shell)
    report.claim(
        "M2",
        "B",
        _("autoencoder = decoder(encoder(x)), three models that can be used alone"),
        _("largest difference of a pixel: {difference} of 255").format(difference=difference),
        "confirmed" if difference == 0 else "refuted",
    )


def deeper(report: Report, mnist: Dataset, found: dict[str, DenseResult]) -> None:
    """Compare three layers each way with one."""
    deep, flat = found["deep"], found["dense-32"]
    given = {name: found[name].figures["bce"] for name in ("given-deep", "given-32")}
    report.section("deep", _("Three layers each way"))
    report.text(
        _(
            "784-128-64-32-64-128-784 has {times:.1f} times as many parameters as 784-32-784. "
            "Trained to the end, its test cross-entropy is {deep:.4f}, and that of one layer is "
            "{flat:.4f}. Trained as document D does it, they are {given_deep:.4f} and "
            "{given_flat:.4f}."
        ).format(
            times=deep.model.n_parameters_ / flat.model.n_parameters_,
            deep=deep.figures["bce"],
            flat=flat.figures["bce"],
            given_deep=given["given-deep"],
            given_flat=given["given-32"],
        )
    )
    shown = np.asarray(mnist.X_test)
    report.picture(
        figures.reconstructions(
            deep.model, shown, 12, beside={_("one layer"): flat.model.reconstruct(shown)}
        ),
        _("Test digits, what comes back of three layers, and of one."),
        _("Test digits above, then three layers each way, then one. The code has 32 numbers."),
    )
    report.code(
        "deep",
        ["reconstructions(model, mnist.X_test)"],
        ["evaluate mnist -m deep.safetensors"],
    )
    report.claim(
        "M3",
        "D",
        _("three layers each way are a little better than one on test pictures"),
        _("cross-entropy {deep:.4f}, one layer {flat:.4f}").format(
            deep=deep.figures["bce"], flat=flat.figures["bce"]
        ),
        "confirmed" if deep.figures["bce"] < flat.figures["bce"] else "refuted",
    )


RECIPE = Recipe(
    name="dense",
    title=mark("Dense autoencoders of MNIST"),
    summary=mark(
        "Handwritten digits of 784 pixels through 32 and 64 numbers, with one layer and with "
        "three, beside PCA with the same number of numbers."
    ),
    rows=("M2", "M3"),
    minutes=10,
    run=run,
)
