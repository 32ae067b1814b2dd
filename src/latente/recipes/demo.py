"""The demo: three autoencoders of the digits that come with the package, in two minutes.

::

    digits ──fit──▶ plain, denoising, variational ──measure──▶ numbers ─┐
                                 └────────draw────────▶ figures ────────┴──▶ page
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from .. import figures
from ..data.dataset import Dataset
from ..estimator import Autoencoder
from ..figures import page
from ..figures.maps import codes, pca_positions
from ..figures.mosaic import spread
from ..figures.pictures import corrupted
from ..figures.style import decibels, percent, signed
from ..metrics import Numbers, agreement, mse, psnr
from .baselines import flat
from .language import _, mark
from .report import Recipe, Report, drawn

EPOCHS = 100
NOISE = 0.3
COMMON = {"learning_rate": 0.002, "schedule": "cosine", "epochs": EPOCHS}
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"latent_dim": 2, "network": "dense(hidden=[256, 128, 64])", **COMMON},
    "denoising": {
        "latent_dim": 32,
        "network": "dense(hidden=[512])",
        "corruption": f"gaussian_noise(std={NOISE})",
        **COMMON,
    },
    "variational": {
        "latent_dim": 2,
        "network": "dense(hidden=[256, 128])",
        "bottleneck": "gaussian",
        "loss": "gaussian",
        **COMMON,
        "epochs": 2 * EPOCHS,
    },
}
"""The estimator's keywords for each model of the demo; code and commands are written from them."""
COPIES = 10
"""Noisy copies of each training digit that the linear filter is fitted on."""


def run(report: Report) -> None:
    """Fit, measure and show the three autoencoders."""
    data = report.load("digits")
    models = {
        name: report.fit(name, keywords, data.X, data="digits") for name, keywords in MODELS.items()
    }
    results = measure(data, models, report.random_state)
    report.figures |= results
    introduction(report, data, models["plain"])
    compression(report, data, models["plain"], results)
    latent_space(report, data, models["plain"], results)
    noise(report, data, models["denoising"], results)
    generation(report, data, models["variational"], results)
    unusual(report, data, models["plain"], results)
    learning(report, models)
    summary(report, results)
    what_next(report)


def introduction(report: Report, data: Dataset, model: Autoencoder) -> None:
    """Say what an autoencoder is, and show one digit on its way."""
    x = spread(data.X_test, 12)[4:5]
    report.section("way", _("A digit on its way"))
    report.text(
        _(
            "An autoencoder reduces each picture to a few numbers, its *code*, and learns to bring "
            "the picture back. So short a code has room only for what makes one digit differ from "
            "another, and nobody has to say what that is."
        ),
        _(
            "Everything here was trained and measured on this computer: three models, {train} "
            "handwritten digits of 8 × 8 pixels to learn from, and {held_out} that no model saw. "
            "Every number and picture below is of those {held_out}."
        ).format(train=f"{len(data.X):,}", held_out=len(data.X_test)),
    )
    report.add(page.flow(x[0], model.transform(x)[0], model.reconstruct(x)[0]))


def compression(report: Report, data: Dataset, model: Autoencoder, results: dict[str, Any]) -> None:
    """Show what two numbers keep of a digit."""
    plain = results["models"]["plain"]
    beside = {"PCA": pca(data, 2).reshape(data.X_test.shape)}
    report.section("compression", _("Sixty-four pixels in two numbers"), _("Plain autoencoder"))
    report.text(
        _(
            "The first model's encoder turns the 64 pixels of a digit into two numbers, and its "
            "decoder turns these into 64 pixels again. It is trained on one thing only: that what "
            "comes out is close to what went in."
        ),
        _(
            "The baseline is PCA, which also keeps two numbers. No *linear* code of two numbers "
            "has a smaller squared error, so any gain comes from the network being non-linear."
        ),
    )
    report.picture(
        figures.reconstructions(model, data.X_test, beside=beside),
        _(
            "Ten held-out digits in a row; below them what the autoencoder makes of their two "
            "numbers; below that what PCA makes of two numbers."
        ),
        _(
            "Beneath each digit its peak signal-to-noise ratio: 10 decibels more mean a tenth of "
            "the squared error."
        ),
    )
    report.add(
        page.numbers(
            {
                _("squared error per pixel, held-out digits"): f"{plain['mse']:.4f}",
                _("the same of PCA with two numbers"): f"{plain['pca_mse']:.4f}",
                _("difference between the two"): percent(plain["mse"] / plain["pca_mse"] - 1),
                _("numbers PCA needs for the same error"): str(plain["pca_components_needed"]),
            }
        )
    )
    report.code(
        "plain",
        ["reconstructions(model, digits.X_test)"],
        ["plot reconstructions digits -m plain.safetensors -o reconstructions.png"],
    )


def latent_space(
    report: Report, data: Dataset, model: Autoencoder, results: dict[str, Any]
) -> None:
    """Show the codes of all held-out digits beside PCA's."""
    X, y, found = data.X_test, data.y_test, results["map"]
    report.section("map", _("A map that nobody drew"), _("Latent space"))
    report.text(
        _(
            "Two numbers are a point on a map. Here each held-out digit is drawn where the encoder "
            "puts it. The model was never given the labels, yet digits of one class lie together "
            "in one region; the colours were added afterwards."
        )
    )
    report.add(
        page.columns(
            drawn(
                figures.latent_map(model, X, y),
                _("Map of the autoencoder's codes: the ten digits lie in mostly separate regions."),
                _("The autoencoder's two numbers."),
                wide=False,
            ),
            drawn(
                figures.pca_map(X, y, train=data.X),
                _("Map by the first two principal components: several digits overlap."),
                _("PCA's two numbers."),
                wide=False,
            ),
        )
    )
    report.add(
        page.numbers(
            {
                _("of the 5 nearest neighbours on the map are the same digit"): share(
                    found["autoencoder"]
                ),
                _("on PCA's map"): share(found["pca"]),
                _("with all 64 pixels"): share(found["pixels"]),
                _("by chance"): share(found["chance"]),
            }
        )
    )
    drawing(
        report,
        ["latent_map_beside_pca(model, digits.X_test, digits.y_test)"],
        ["plot map digits -m plain.safetensors --pca -o map.png"],
    )


def noise(report: Report, data: Dataset, model: Autoencoder, results: dict[str, Any]) -> None:
    """Show what the denoising model restores, beside linear filters."""
    found = results["models"]["denoising"]
    report.section("noise", _("Noise goes in, a digit comes out"), _("Denoising autoencoder"))
    report.text(
        _(
            "The second model has a code of 32 numbers, and a harder task: each time it sees a "
            "digit, new noise has been added (normal, with standard deviation {noise} where ink is "
            "1), and it must answer with the clean one. The noise is never twice the same and "
            "cannot be learned, so it learns digits."
        ).format(noise=NOISE)
    )
    report.picture(
        figures.reconstructions(model, data.X_test, random_state=report.random_state),
        _(
            "Ten held-out digits; below them the same with heavy noise, hard to read; below that "
            "what the model restores."
        ),
        _("Beneath each digit its peak signal-to-noise ratio."),
    )
    report.add(
        page.numbers(
            {
                _("restored by the autoencoder"): decibels(found["psnr_restored"]),
                _("with the noise"): decibels(found["psnr_noisy"]),
                _("by the best linear filter, a ridge regression on the same noise"): decibels(
                    found["psnr_linear"]
                ),
                _("by PCA with {n} components").format(n=found["pca_components"]): decibels(
                    found["psnr_pca"]
                ),
            }
        )
    )
    report.code(
        "denoising",
        ["reconstructions(model, digits.X_test)"],
        ["plot reconstructions digits -m denoising.safetensors -o restored.png"],
    )


def generation(report: Report, data: Dataset, model: Autoencoder, results: dict[str, Any]) -> None:
    """Show what the variational model draws."""
    X, y, found = data.X_test, np.asarray(data.y_test), results["models"]["variational"]
    starts, ends = (
        X[[int(np.flatnonzero(y == digit)[0]) for digit in digits]]
        for digits in ((0, 3, 7), (6, 5, 4))
    )
    report.section("generation", _("Digits that nobody wrote"), _("Variational autoencoder"))
    report.text(
        _(
            "The third model turns each digit into a small distribution of codes rather than a "
            "point, and a second term of its loss, the Kullback–Leibler (KL) divergence, keeps all "
            "of them together close to one normal distribution. That leaves no holes: draw a code "
            "from the normal distribution, decode it, and there is a new digit."
        )
    )
    report.add(
        page.columns(
            drawn(
                figures.decode_grid(model, 15),
                _("A grid of 15 by 15 decoded codes: digits change smoothly into one another."),
                _("The whole code space, decoded: every step is as probable as the next."),
                wide=False,
            ),
            drawn(
                figures.samples(model, 64, random_state=report.random_state),
                _("Sixty-four generated digits, most of them legible."),
                _("Sixty-four draws from the normal distribution, the good and the bad."),
                wide=False,
            ),
        )
    )
    report.picture(
        figures.interpolation(model, starts, ends),
        _("Three paths between pairs of held-out digits, from 0 to 6, from 3 to 5, from 7 to 4."),
        _("Three straight lines from one held-out digit's code to another's, decoded."),
    )
    report.add(
        page.numbers(
            {
                _("log-likelihood of a held-out digit, in nats"): signed(found["log_likelihood"]),
                _("the same of probabilistic PCA, its linear counterpart"): signed(
                    found["log_likelihood_pca"]
                ),
                _("nats of information about a digit in its code (KL divergence)"): signed(
                    found["kl"]
                ),
                _("squared error per pixel through the code"): f"{found['mse']:.4f}",
            }
        )
    )
    report.code(
        "variational",
        ["decode_grid(model)", "samples(model)"],
        [
            "plot grid -m variational.safetensors -o grid.png",
            "sample -m variational.safetensors -n 64 -o samples.png",
        ],
    )


def unusual(report: Report, data: Dataset, model: Autoencoder, results: dict[str, Any]) -> None:
    """Show the held-out digits with the largest error, and digits among their mirror images."""
    found = results["anomalies"]
    report.section("anomalies", _("Digits unlike the others"), _("Anomalies"))
    report.text(
        _(
            "An autoencoder reconstructs badly what is unlike everything it was trained on. So its "
            "error is an anomaly score, and no example of an anomaly is needed to train it. These "
            "are the held-out digits with the largest error of the plain model."
        )
    )
    report.picture(
        figures.anomalies(model, data.X_test),
        _(
            "The ten held-out digits with the lowest scores, above what the model makes of them; "
            "below, how the scores of all held-out digits are distributed."
        ),
        _("The score is minus the squared error, summed over a digit's pixels."),
    )
    report.text(
        _(
            "For a test with a known answer, the {held_out} held-out digits are mixed with their "
            "mirror images: the same ink, yet nobody writes so. The area under the ROC curve is "
            "the probability that a mirrored digit scores lower than a proper one."
        ).format(held_out=found["mirrored"])
    )
    report.add(
        page.numbers(
            {
                _("area under the ROC curve, digits against their mirror images"): (
                    f"{found['auroc']:.3f}"
                ),
                _("the same with PCA's error"): f"{found['auroc_pca']:.3f}",
                _("median score"): signed(found["median"], 2),
                _("lowest score"): signed(found["lowest"], 2),
            }
        )
    )
    drawing(
        report,
        ["anomalies(model, digits.X_test)"],
        ["score digits -m plain.safetensors --split test --top 10"],
    )


def learning(report: Report, models: dict[str, Autoencoder]) -> None:
    """Show the loss of each model, epoch by epoch."""
    plain, denoising, variational = (
        drawn(figures.history(models[name]), alt, caption, wide=name == "variational")
        for name, alt, caption in (
            (
                "plain",
                _("Loss of the plain autoencoder, falling."),
                _("Plain: squared error, summed over the pixels."),
            ),
            (
                "denoising",
                _("Loss of the denoising autoencoder, falling."),
                _("Denoising: squared error against the clean digit, summed over the pixels."),
            ),
            (
                "variational",
                _("Loss of the variational autoencoder, falling."),
                _("Variational, in nats: the total is the reconstruction plus the KL divergence."),
            ),
        )
    )
    report.section("training", _("How they learned"), _("Loss curves"))
    report.text(
        _(
            "Each epoch is one pass over the training digits. A tenth of them is set aside to see "
            "when a model begins to overfit: then the *validation* curve turns up while the "
            "*training* curve still falls. The weights of the best epoch are kept."
        )
    )
    report.add(page.columns(plain, denoising))
    report.add(variational)
    report.add(page.code("latente plot history -m variational.safetensors -o history.png", "shell"))


def summary(report: Report, results: dict[str, Any]) -> None:
    """Compare the three models."""
    report.section("numbers", _("All the numbers"), _("Summary"))
    head = (
        _("model"),
        _("numbers in the code"),
        _("parameters"),
        _("epochs"),
        _("error per pixel"),
        _("PCA, same code"),
    )
    rows = [
        [
            name,
            each["latent_dim"],
            each["parameters"],
            each["epochs"],
            f"{each['mse']:.4f}",
            f"{each['pca_mse']:.4f}",
        ]
        for name, each in results["models"].items()
    ]
    caption = _(
        "Squared error per pixel of the {held_out} held-out digits, given without noise; paper is "
        "0, ink is 1."
    )
    report.table(caption.format(held_out=results["data"]["held_out"]), head, rows)
    report.text(
        _(
            "Which model is best depends on the task. With 32 numbers for 64 pixels PCA copies a "
            "clean digit almost perfectly, and its noise as well; the denoising model is good at "
            "what it leaves out. The variational model alone has a code space without holes, so it "
            "is the one to draw new digits from."
        )
    )


def what_next(report: Report) -> None:
    """Name commands worth trying with the models."""
    steps = next_steps(report.folder)
    report.section("next", _("What to try next"), _("Your turn"))
    report.text(
        _(
            "Each of the three models is one file. Run these where you ran the demo; `latente "
            "--help` lists every command, `latente parts` everything an autoencoder can be made "
            "of, `latente recipe list` the experiments of five courses."
        )
    )
    lines = "\n".join(f"# {_(what)}\n{command}\n" for command, what in steps)
    report.add(page.code(lines, "shell"))


def next_steps(folder: str | Path) -> list[tuple[str, str]]:
    """Return commands worth trying after the demo, each with what it does.

    Parameters
    ----------
    folder
        Where its models are.
    """
    plain, variational = (
        shlex.quote((Path(folder) / f"{name}.safetensors").as_posix())
        for name in ("plain", "variational")
    )
    return [
        (f"latente sample -m {variational} -n 100 -o new.png", mark("draw a hundred new digits")),
        (f"latente plot map digits -m {plain} --pca -o map.png", mark("draw the map beside PCA's")),
        (
            f"latente score digits -m {plain} --split test --top 10",
            mark("list the ten most anomalous digits"),
        ),
        (f"latente info {plain}", mark("see what a model is made of")),
        (
            "latente fit mnist -o mnist.safetensors --latent-dim 32 --pca",
            mark("train on 60,000 larger digits; they are downloaded once"),
        ),
        (
            "latente fit FOLDER -o mine.safetensors --size 64x64",
            mark("train on your own pictures; a table does as well: mine.csv, mine.parquet"),
        ),
    ]


def drawing(report: Report, calls: list[str], commands: list[str]) -> None:
    """Add the code and the commands that draw figures of the model before."""
    python = "# " + _("with the model from above") + "\n" + page.python_figures(calls)
    report.code_pair(python, page.shell_commands(commands))


def share(value: float) -> str:
    """Return a share as a percentage."""
    return f"{value:.0%}"


def measure(data: Dataset, models: dict[str, Autoencoder], random_state: int) -> dict[str, Any]:
    """Return the numbers of the demo by name, all on digits that no model was trained on.

    Parameters
    ----------
    data
        Digits with a test part.
    models
        The fitted "plain", "denoising" and "variational" autoencoders.
    random_state
        Seed of the noise and of what is drawn.
    """
    span = float(data.X.max() - data.X.min())
    by_model = {name: measure_model(model, data, span) for name, model in models.items()}
    by_model["plain"]["pca_components_needed"] = components_needed(
        data, span, by_model["plain"]["mse"]
    )
    by_model["denoising"] |= measure_denoising(models["denoising"], data, span, random_state)
    by_model["variational"] |= measure_likelihood(models["variational"], data, random_state)
    return {
        "data": {
            "name": data.name,
            "train": len(data.X),
            "held_out": len(data.X_test),
            "pixels": int(np.prod(data.shape)),
        },
        "models": by_model,
        "map": measure_map(models["plain"], data),
        "anomalies": measure_anomalies(models["plain"], data),
    }


def measure_model(model: Autoencoder, data: Dataset, span: float) -> dict[str, Any]:
    """Return what is measured of every model; errors are per pixel, with ink at 1."""
    X, size = data.X_test, model.latent_dim_
    return {
        "latent_dim": size,
        "parameters": model.n_parameters_,
        "epochs": len(model.history_),
        "mse": float(mse(X, model.reconstruct(X)).mean()) / span**2,
        "pca_mse": float(mse(flat(X), pca(data, size)).mean()) / span**2,
    }


def measure_map(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how often nearest neighbours are the same digit: on both maps, and by all pixels."""
    points = {
        "autoencoder": codes(model, data.X_test),
        "pca": pca_positions(data.X_test, data.X),
        "pixels": flat(data.X_test),
    }
    y = np.asarray(data.y_test)
    shares = np.bincount(y) / len(y)
    agreements = {name: agreement(at, y) for name, at in points.items()}
    return agreements | {"chance": float(np.square(shares).sum())}


def measure_denoising(
    model: Autoencoder, data: Dataset, span: float, random_state: int
) -> dict[str, float]:
    """Return signal-to-noise ratios in decibels, before and after, beside two linear filters.

    The ridge regression from noisy to clean pixels, fitted on ten noisy copies of the training
    digits, is the best linear filter; the other drops all but so many principal components.
    """
    X, noisy = data.X_test, corrupted(model, data.X_test, random_state)[0]
    copies = [corrupted(model, data.X, random_state + 1 + i)[0] for i in range(COPIES)]
    clean = np.tile(flat(data.X), (COPIES, 1))
    linear = Ridge(1.0).fit(flat(np.concatenate(copies)), clean).predict(flat(noisy))

    def after(components: int, seen: Any, target: Any) -> float:
        return float(psnr(flat(target), pca(data, components, seen), span).mean())

    best = max(range(2, 40), key=lambda components: after(components, copies[0], data.X))
    return {
        "psnr_noisy": float(psnr(X, noisy, span).mean()),
        "psnr_restored": float(psnr(X, model.reconstruct(noisy), span).mean()),
        "psnr_linear": float(psnr(flat(X), linear, span).mean()),
        "psnr_pca": after(best, noisy, X),
        "pca_components": best,
    }


def measure_likelihood(model: Autoencoder, data: Dataset, random_state: int) -> dict[str, float]:
    """Return the likelihood of held-out digits in nats, beside that of probabilistic PCA.

    Probabilistic PCA (Tipping and Bishop, 1999) is the variational autoencoder whose networks are
    linear; both are taken in the model's scale.
    """
    train, X = (
        flat(model.fitted_.input.convert(model.fitted_.input.store(part, "X")))
        for part in (data.X, data.X_test)
    )
    linear = PCA(model.latent_dim_, svd_solver="full").fit(train)
    likelihood = model.log_likelihood(data.X_test, samples=200, random_state=random_state)
    return {
        "log_likelihood": float(likelihood.mean()),
        "log_likelihood_pca": float(linear.score(X)),
        "kl": float(np.sum(model.kl_per_dimension_)),
        "active_units": int(model.active_units_ or 0),
    }


def measure_anomalies(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """Return how well scores separate held-out digits from their mirror images (area under ROC)."""
    X = data.X_test
    mirrored = np.ascontiguousarray(X[:, :, ::-1])

    def area(own: Numbers, other: Numbers) -> float:
        truth = np.repeat([0, 1], [len(own), len(other)])
        return float(roc_auc_score(truth, np.concatenate([own, other])))

    size, scores = model.latent_dim_, flat(model.score_samples(X))[:, 0]
    return {
        "auroc": area(-scores, -flat(model.score_samples(mirrored))[:, 0]),
        "auroc_pca": area(
            mse(flat(X), pca(data, size)), mse(flat(mirrored), pca(data, size, mirrored))
        ),
        "mirrored": len(mirrored),
        "lowest": float(scores.min()),
        "median": float(np.median(scores)),
    }


def components_needed(data: Dataset, span: float, error: float) -> int:
    """Return how many components PCA needs for a held-out error per pixel at most that."""
    pixels = int(np.prod(data.shape))
    for components in range(1, pixels):
        if mse(flat(data.X_test), pca(data, components)).mean() / span**2 <= error:
            return components
    return pixels


def pca(data: Dataset, components: int, X: Any = None) -> Numbers:
    """Return held-out digits, or X, after PCA fitted on the training ones, as flat rows."""
    model = PCA(components, svd_solver="full").fit(flat(data.X))
    X = data.X_test if X is None else X
    return np.asarray(model.inverse_transform(model.transform(flat(X))))


RECIPE = Recipe(
    name="demo",
    title=mark("Three autoencoders, ten digits"),
    summary=mark("What a plain, a denoising and a variational autoencoder learn from digits."),
    rows=(),
    minutes=1,
    run=run,
)
