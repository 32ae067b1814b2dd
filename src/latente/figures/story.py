"""The words and figures of the demo's page."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

from ..version import __version__
from . import figures, page
from .cast import MODELS, NOISE, Story, next_steps
from .diagram import flow
from .items import spread
from .measures import pca
from .snippets import commands, continued, drawing, program
from .words import decibels, percent, signed

if TYPE_CHECKING:
    pass


def tell(story: Story) -> str:
    """Return the page."""
    sections = (compression, latent_map, noise, generation, oddities, training, table, onward)
    body = "\n".join([opening(story), *(section(story) for section in sections), closing(story)])
    title = "Three autoencoders, ten digits"
    return page.document(title, "What latente's autoencoders learn from handwritten digits.", body)


def opening(story: Story) -> str:
    """Return the page's head: what this is, and one digit on its way through a model."""
    count, model = story.numbers["data"], story.models["plain"]
    x = spread(story.data.X_test, 12)[4:5]
    picture = flow(x[0], model.transform(x)[0], model.reconstruct(x)[0])
    lead = (
        "An autoencoder squeezes each picture through a few numbers, its *code*, and learns to "
        "bring the picture back. So short a code has room only for what makes one digit differ "
        "from another, and nobody has to say what that is."
    )
    about = (
        f"Everything here was trained and measured on this computer just now, in "
        f"{story.numbers['seconds']:.0f} seconds: three models, {count['train']:,} handwritten "
        f"digits of 8 × 8 pixels to learn from, and {count['held_out']} that no model saw. Every "
        f"number and picture below is of those {count['held_out']}."
    )
    links = "".join(
        f'<li><a href="#{name}">{title}</a></li>'
        for name, title in (
            ("compression", "Two numbers"),
            ("map", "The map"),
            ("noise", "Noise removed"),
            ("generation", "New digits"),
            ("oddities", "Odd ones"),
            ("training", "Learning"),
            ("numbers", "All numbers"),
            ("next", "Your turn"),
        )
    )
    return (
        f"<header>\n<h1>Three autoencoders, ten digits</h1>\n"
        f'<p class="lead">{page.inline(lead)}</p>\n{page.text(about)}\n{picture}\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n</header>'
    )


def compression(story: Story) -> str:
    """Return the section on the plain autoencoder's reconstructions."""
    found = story.numbers["models"]["plain"]
    X = story.data.X_test
    linear = pca(story.data, 2).reshape(X.shape)
    drawn = figures.reconstructions(story.models["plain"], X, beside={"PCA": linear})
    return page.section(
        "compression",
        "Plain autoencoder",
        "Sixty-four pixels in two numbers",
        page.text(
            "The first model's encoder turns the 64 pixels of a digit into two numbers, and its "
            "decoder turns these into 64 pixels again. It is trained on one thing only: that what "
            "comes out is close to what went in.",
            "The bar to clear is PCA, which also keeps two numbers. No *linear* code of two "
            "numbers has a smaller squared error, so what is gained comes from the bends of the "
            "network.",
        ),
        page.picture(
            drawn,
            "Ten held-out digits in a row; below them what the autoencoder makes of their two "
            "numbers, mostly the right digit, a little smooth; below that what PCA makes of two "
            "numbers, mostly a blur.",
            "Beneath each digit its peak signal-to-noise ratio: 10 decibels more mean a tenth of "
            "the squared error.",
        ),
        page.numbers(
            {
                "squared error per pixel, held-out digits": f"{found['mse']:.4f}",
                "the same of PCA with two numbers": f"{found['pca_mse']:.4f}",
                "difference between the two": percent(found["mse"] / found["pca_mse"] - 1),
                "numbers PCA needs for the same error": str(found["pca_components_needed"]),
            }
        ),
        again(
            story,
            "plain",
            ["reconstructions(model, digits.X_test)"],
            ["plot reconstructions digits -m plain.safetensors -o reconstructions.png"],
        ),
    )


def latent_map(story: Story) -> str:
    """Return the section on the map of the codes beside PCA's."""
    data, found = story.data, story.numbers["map"]
    return page.section(
        "map",
        "Latent space",
        "A map that nobody drew",
        page.text(
            "Two numbers are a place on a map. Here each held-out digit is drawn where the encoder "
            "puts it. The model was never told which digit is which, yet digits of one kind gather "
            "in one region; the colours were added afterwards.",
        ),
        page.pair(
            page.picture(
                figures.latent_map(story.models["plain"], data.X_test, data.y_test),
                "Map of the autoencoder's codes: the ten digits lie in mostly separate regions.",
                "The autoencoder's two numbers.",
                wide=False,
            ),
            page.picture(
                figures.pca_map(data.X_test, data.y_test, train=data.X),
                "Map by the first two principal components: several digits overlap in the middle.",
                "PCA's two numbers.",
                wide=False,
            ),
        ),
        page.numbers(
            {
                "of the 5 nearest neighbours on the map are the same digit": (
                    f"{found['autoencoder']:.0%}"
                ),
                "on PCA's map": f"{found['pca']:.0%}",
                "with all 64 pixels": f"{found['pixels']:.0%}",
                "by chance": f"{found['chance']:.0%}",
            }
        ),
        further(
            ["latent_map_beside_pca(model, digits.X_test, digits.y_test)"],
            ["plot map digits -m plain.safetensors --pca -o map.png"],
        ),
    )


def noise(story: Story) -> str:
    """Return the section on the denoising autoencoder."""
    found = story.numbers["models"]["denoising"]
    return page.section(
        "noise",
        "Denoising autoencoder",
        "Noise goes in, a digit comes out",
        page.text(
            "The second model has a code of 32 numbers, and a harder task: each time it sees a "
            f"digit, fresh noise has been added (normal, with standard deviation {NOISE} where ink "
            "is 1), and it must answer with the clean one. The noise is never twice the same and "
            "cannot be learned, so it learns digits.",
        ),
        page.picture(
            figures.reconstructions(
                story.models["denoising"], story.data.X_test, random_state=story.random_state
            ),
            "Ten held-out digits; below them the same with heavy noise, hard to read; below that "
            "what the model restores, legible again.",
            "Beneath each digit its peak signal-to-noise ratio.",
        ),
        page.numbers(
            {
                "restored by the autoencoder": decibels(found["psnr_restored"]),
                "with the noise": decibels(found["psnr_noisy"]),
                "by the best linear filter, a ridge regression on the same noise": decibels(
                    found["psnr_linear"]
                ),
                f"by PCA with {found['pca_components']} components": decibels(found["psnr_pca"]),
            }
        ),
        again(
            story,
            "denoising",
            ["reconstructions(model, digits.X_test)"],
            ["plot reconstructions digits -m denoising.safetensors -o restored.png"],
        ),
    )


def generation(story: Story) -> str:
    """Return the section on the variational autoencoder."""
    found, model = story.numbers["models"]["variational"], story.models["variational"]
    X, y = story.data.X_test, story.data.y_test
    starts, ends = [0, 3, 7], [6, 5, 4]
    a, b = (X[[int(np.flatnonzero(y == kind)[0]) for kind in kinds]] for kinds in (starts, ends))
    return page.section(
        "generation",
        "Variational autoencoder",
        "Digits that nobody wrote",
        page.text(
            "The third model turns each digit into a small cloud of codes rather than a point, and "
            "a second term of its loss, the Kullback–Leibler (KL) divergence, keeps all clouds "
            "together close to one normal distribution. That leaves no holes: draw a code from the "
            "normal distribution, decode it, and there is a new digit.",
        ),
        page.pair(
            page.picture(
                figures.decode_grid(model, 15),
                "A grid of 15 by 15 decoded codes: digits change smoothly into one another.",
                "The whole code space, decoded: every step is as probable as the next.",
                wide=False,
            ),
            page.picture(
                figures.samples(model, 64, random_state=story.random_state),
                "Sixty-four generated digits, most of them legible.",
                "Sixty-four draws from the normal distribution, the good and the bad.",
                wide=False,
            ),
        ),
        page.picture(
            figures.interpolation(model, a, b),
            "Three walks between pairs of held-out digits, from 0 to 6, from 3 to 5, from 7 to 4.",
            "Three walks in a straight line from one held-out digit's code to another's.",
        ),
        page.numbers(
            {
                "log-likelihood of a held-out digit, in nats": signed(found["log_likelihood"]),
                "the same of probabilistic PCA, its linear counterpart": signed(
                    found["log_likelihood_pca"]
                ),
                "nats that the code tells of a digit (KL divergence)": f"{found['kl']:.1f}",
                "squared error per pixel through the code": f"{found['mse']:.4f}",
            }
        ),
        again(
            story,
            "variational",
            ["decode_grid(model)", "samples(model)"],
            [
                "plot grid -m variational.safetensors -o grid.png",
                "sample -m variational.safetensors -n 64 -o samples.png",
            ],
        ),
    )


def oddities(story: Story) -> str:
    """Return the section on anomalies."""
    found = story.numbers["anomalies"]
    return page.section(
        "oddities",
        "Anomalies",
        "What does not belong",
        page.text(
            "What an autoencoder has never seen the like of, it brings back badly. So its error "
            "measures oddness, and no example of anything odd is needed to train it. These are the "
            "held-out digits that the plain model brings back worst.",
        ),
        page.picture(
            figures.anomalies(story.models["plain"], story.data.X_test),
            "The ten held-out digits with the lowest scores, unusual shapes, above what the model "
            "makes of them; below, how the scores of all held-out digits are spread.",
            "The score is minus the squared error, summed over a digit's pixels.",
        ),
        page.text(
            f"For a test with a known answer, the {story.numbers['data']['held_out']} held-out "
            f"digits are mixed with their {found['mirrored']} mirror images: the same ink, yet "
            "nobody writes so. The area under the ROC curve is the chance that a mirrored digit "
            "scores lower than a proper one.",
        ),
        page.numbers(
            {
                "area under the ROC curve, digits against their mirror images": (
                    f"{found['auroc']:.3f}"
                ),
                "the same with PCA's error": f"{found['auroc_pca']:.3f}",
                "median score": signed(found["median"], 2),
                "lowest score": signed(found["lowest"], 2),
            }
        ),
        further(
            ["anomalies(model, digits.X_test)"],
            ["score digits -m plain.safetensors --split test --top 10"],
        ),
    )


def training(story: Story) -> str:
    """Return the section on the loss curves."""
    parts = [
        page.text(
            "Each epoch is one pass over the training digits. A tenth of them is set aside to tell "
            "when a model begins to learn its examples by heart: then the *validation* curve turns "
            "up while the *training* curve still falls. The weights of the best epoch are kept."
        )
    ]
    notes = {
        "plain": "Squared error, summed over the pixels.",
        "denoising": "Squared error against the clean digit, summed over the pixels.",
        "variational": "In nats; the total is the reconstruction term plus the KL divergence.",
    }
    drawn = {}
    for name, model in story.models.items():
        alt = f"Loss of the {name} autoencoder over {len(model.history_)} epochs, falling."
        curves = page.picture(figures.history(model), alt, notes[name], wide=name == "variational")
        drawn[name] = f"<div><h3>{name.capitalize()}</h3>\n{curves}</div>"
    parts += [page.pair(drawn["plain"], drawn["denoising"]), drawn["variational"]]
    parts.append(
        page.code("latente plot history -m variational.safetensors -o history.png", "shell")
    )
    return page.section("training", "Loss curves", "How they learned", *parts)


def table(story: Story) -> str:
    """Return the section with all models' numbers side by side."""
    rows = []
    for name, found in story.numbers["models"].items():
        rows.append(
            [
                name,
                str(found["latent_dim"]),
                f"{found['parameters']:,}",
                str(found["epochs"]),
                f"{found['seconds']:.1f}",
                f"{found['mse']:.4f}",
                f"{found['pca_mse']:.4f}",
            ]
        )
    head = [
        "model", "numbers in the code", "parameters", "epochs", "seconds of training",
        "error per pixel", "PCA, same code",
    ]  # fmt: skip
    count = story.numbers["data"]
    caption = (
        f"Squared error per pixel of the {count['held_out']} held-out digits, given without noise; "
        "paper is 0, ink is 1."
    )
    return page.section(
        "numbers",
        "Summary",
        "All the numbers",
        page.table(caption, head, rows),
        page.text(
            "Which model is best depends on the task. With 32 numbers for 64 pixels PCA copies a "
            "clean digit almost perfectly, and its noise as well; the denoising model is good at "
            "what it leaves out. The variational model alone has a code space without holes, which "
            "makes it the one to draw new digits from."
        ),
    )


def onward(story: Story) -> str:
    """Return the section that tells what to try next."""
    commands = "\n".join(f"# {what}\n{command}\n" for command, what in next_steps(story.folder))
    return page.section(
        "next",
        "Your turn",
        "What to try next",
        page.text(
            "The three models lie beside this page, each in one file. Run these where you ran the "
            "demo; `latente --help` lists every command, `latente parts` everything an autoencoder "
            "can be made of."
        ),
        page.code(commands, "shell"),
    )


def closing(story: Story) -> str:
    """Return the page's foot: with what it was made."""
    import torch

    made = (
        f"Made by latente {__version__} with PyTorch {torch.__version__} on Python "
        f"{platform.python_version()}, {story.numbers['cores']} cores, random state "
        f"{story.random_state}, in {story.numbers['seconds']:.0f} seconds."
    )
    return f"<footer>{page.text(made, 'Digits: ' + story.data.source)}</footer>"


def again(story: Story, name: str, calls: list[str], following: list[str]) -> str:
    """Return the code and the commands that make a section's model and figures again."""
    keywords = {**MODELS[name], "random_state": story.random_state}
    return both(program(keywords, calls, "digits"), commands(name, keywords, following, "digits"))


def further(calls: list[str], following: list[str]) -> str:
    """Return the code and the commands for figures of a model that is there."""
    return both("# with the model from above\n" + drawing(calls), continued(following))


def both(source: str, shell: str) -> str:
    """Return Python and shell side by side."""
    return page.pair(
        f"<div><h3>In Python</h3>{page.code(source, 'python')}</div>",
        f"<div><h3>On the command line</h3>{page.code(shell, 'shell')}</div>",
    )
