"""Series and sentences in a code: recurrent networks beside PCA and guesses. Row M12."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from .. import figures
from ..estimator import Autoencoder
from ..figures import page
from .language import _, mark
from .report import Recipe, Report

Floats = NDArray[np.float64]

STEPS, SERIES_CODE, SENTENCES_CODE = 32, 6, 32
NETWORKS = {
    "GRU": "recurrent",
    "LSTM": "recurrent(cell='lstm')",
    "GRU, targets alone": "recurrent(teacher_forcing=1)",
    "GRU, no feedback": "recurrent(feedback=False)",
    "dense": "dense",
}
"""The networks by what they are called here; the first is the default for sequences."""
TRAINING: dict[str, Any] = {
    "learning_rate": 0.003,
    "gradient_clip": 10.0,
    "schedule": "cosine",
    "batch_size": 50,
}
WORDS = {
    "which": "the a this that every one",
    "how": "small big old young red green quiet clever happy hungry",
    "who": "cat dog bird horse girl boy teacher farmer sailor king",
    "does": "sees likes follows paints finds carries draws hears helps calls",
}
"""The grammar: which [how] who does which who."""


def run(report: Report) -> None:
    """Measure series of one length and of several, and sentences."""
    report.data["series"] = _("waves of two features with noise, drawn here")
    report.data["sentences"] = _("sentences of a small grammar, drawn here")
    even = measure_series(report, ragged=False)
    ragged = measure_series(report, ragged=True)
    sentences_of_a_grammar(report)
    for found, what in (
        (even, _("held-out series of one length, share of the variance lost")),
        (ragged, _("held-out series of several lengths, share of the variance lost")),
    ):
        ours, theirs = found["GRU"], found["PCA"]
        report.claim(
            "M12",
            "D",
            what,
            _("{ours:.3f} by a recurrent network, {theirs:.3f} by PCA").format(
                ours=ours, theirs=theirs
            ),
            "surpassed" if ours < theirs else "not reached",
        )


def measure_series(report: Report, *, ragged: bool) -> dict[str, float]:
    """Fit networks to series, and return the share of the variance that each loses."""
    train, held_out = (
        series(n, seed, ragged=ragged)
        for n, seed in ((report.pick(2000, 100), 0), (report.pick(500, 30), 1))
    )
    true, exists = padded(held_out)
    X, X_test = (train, held_out) if ragged else (np.stack(train), np.stack(held_out))
    kind = "ragged" if ragged else "even"
    rows, found = [], {}
    chosen = NETWORKS if ragged else {name: NETWORKS[name] for name in ("GRU", "dense")}
    shown: dict[str, Floats] = {_("original"): true}
    for name, network in report.pick(chosen, {"GRU": "recurrent"}).items():
        keywords = {"latent_dim": SERIES_CODE, "network": network, "layout": "sequences"}
        model = report.fit(
            f"{kind}-{anchor(name)}", keywords | TRAINING | {"epochs": 40}, X, data="series"
        )
        back = model.reconstruct(X_test)
        made = padded(back)[0]
        right = float(np.mean([len(x) == len(y) for x, y in zip(back, held_out, strict=True)]))
        shares = share_unexplained(true, made, exists)
        rows.append([name, *shares, f"{right:.0%}"])
        found[name] = float(shares.mean())
        shown[name] = made
    guesses = {
        _("PCA of the padded rows"): pca_of_series(train, held_out),
        _("the step before"): np.pad(true[:, :-1], ((0, 0), (1, 0), (0, 0))),
    }
    for name, made in guesses.items():
        rows.append([name, *share_unexplained(true, made, exists), ""])
    found["PCA"] = float(np.mean(rows[-2][1:3]))
    title = _("Series of several lengths") if ragged else _("Series of one length")
    report.section(kind, title)
    report.text(
        _(
            "{n} series of two features to learn from, {held_out} held out: sines and cosines of "
            "frequencies from 1 to 5, any phase, amplitudes from ½ to 1, noise of 0.05; the second "
            "feature is a hundred times as large as the first. {steps} steps; a code of {code} "
            "numbers. The columns are squared errors as a share of the feature's variance; about "
            "0.009 is the noise itself. *The step before* guesses each step from the true one "
            "before it."
        ).format(
            n=f"{len(train):,}",
            held_out=len(held_out),
            steps="16 – 32" if ragged else STEPS,
            code=SERIES_CODE,
        )
    )
    head = (_("model"), _("first feature"), _("second feature"), _("lengths right"))
    report.table(_("Share of the variance that is lost, held-out series"), head, rows)
    one = {
        name: np.where(exists[0], values[0, :, 0], np.nan)
        for name, values in {**shown, _("PCA of the padded rows"): guesses[rows[-2][0]]}.items()
    }
    report.picture(
        figures.curves(one, np.arange(STEPS), xlabel=_("step"), ylabel=_("first feature")),
        _("One held-out series, and what each model makes of its code."),
        _("One held-out series, and what each model makes of {code} numbers.").format(
            code=SERIES_CODE
        ),
    )
    return found


def sentences_of_a_grammar(report: Report) -> None:
    """Fit networks to sentences, and measure the characters and sentences that come back."""
    X, held_out = (
        sentences(n, seed) for n, seed in ((report.pick(4000, 200), 0), (report.pick(500, 30), 1))
    )
    held_out = [x for x in held_out if len(x) <= max(map(len, X))]
    rows: list[list[Any]] = []
    first: Autoencoder | None = None
    for name, network in report.pick(NETWORKS, {"GRU": "recurrent"}).items():
        keywords = {"latent_dim": SENTENCES_CODE, "network": network}
        model = report.fit(
            f"text-{anchor(name)}", keywords | TRAINING | {"epochs": 20}, X, data="sentences"
        )
        rows.append([name, *shares_right(held_out, model.reconstruct(held_out))])
        first = first or model
    assert first is not None
    rows.append(
        [
            _("PCA of the padded one-hot rows"),
            *shares_right(held_out, pca_of_texts(first, X, held_out)),
        ]
    )
    joined = "".join(X)
    common = max(sorted(set(joined)), key=joined.count)
    guess = [common * len(x) for x in held_out]
    rows.append([_("the commonest character (a space)"), *shares_right(held_out, guess)])
    new = float(np.mean([x not in set(X) for x in held_out]))
    report.section("sentences", _("Sentences"))
    report.text(
        _(
            "{n} sentences of a small grammar, as a list of strings, {held_out} more held out, "
            "{new} of which are not among the first; a code of {code} numbers."
        ).format(n=f"{len(X):,}", held_out=len(held_out), new=f"{new:.0%}", code=SENTENCES_CODE)
    )
    written = [[row[0], f"{row[1]:.1%}", f"{row[2]:.1%}"] for row in rows]
    head = (_("model"), _("characters right"), _("sentences right"))
    report.table(_("What comes back of held-out sentences"), head, written)
    report.text(_("The straight way from one held-out sentence's code to another's, decoded:"))
    report.add(page.code("\n".join(walk(first, held_out[0], held_out[1])), "text"))
    ours, theirs = rows[0], rows[-2]
    report.claim(
        "M12",
        "D",
        _("held-out sentences come back character by character"),
        _("{ours:.1%} of the characters, PCA {theirs:.1%}").format(ours=ours[1], theirs=theirs[1]),
        "surpassed" if ours[1] > theirs[1] else "not reached",
    )


def series(n: int, seed: int, *, ragged: bool) -> list[Floats]:
    """Return waves of two features, (T, 2) each: the second is a hundred times as large.

    Frequency, phase and amplitude differ from series to series; noise is a twentieth of the
    largest amplitude.
    """
    rng = np.random.default_rng(seed)
    frequency, phase = rng.uniform(1, 5, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
    amplitude = rng.uniform(0.5, 1, (n, 1))
    angle = 2 * np.pi * frequency * np.arange(STEPS) / STEPS + phase
    X = amplitude[..., None] * np.stack([np.sin(angle), np.cos(angle)], -1)
    X = (X + rng.normal(0, 0.05, X.shape)) * [1, 100]
    lengths = rng.integers(STEPS // 2, STEPS + 1, n) if ragged else np.full(n, STEPS)
    return [x[:length] for x, length in zip(X, lengths, strict=True)]


def sentences(n: int, seed: int) -> list[str]:
    """Return sentences of the grammar, of up to 42 characters."""
    rng = np.random.default_rng(seed)
    words = {kind: text.split() for kind, text in WORDS.items()}

    def sentence() -> str:
        adjective = "how " if rng.random() < 0.5 else ""
        pattern = f"which {adjective}who does which who"
        return " ".join(words[kind][rng.integers(len(words[kind]))] for kind in pattern.split())

    return [sentence() for _ in range(n)]


def padded(X: Sequence[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return series as one array, (n, STEPS, 2), and which of its steps exist, (n, STEPS)."""
    values, exists = np.zeros((len(X), STEPS, 2)), np.zeros((len(X), STEPS), bool)
    for i, x in enumerate(X):
        values[i, : len(x)], exists[i, : len(x)] = x, True
    return values, exists


def share_unexplained(x: Floats, made: Floats, exists: NDArray[np.bool_]) -> Floats:
    """Return squared error over variance of each feature, over the steps there are."""
    errors, values = np.square(x - made)[exists], x[exists]
    return np.asarray(errors.mean(0) / values.var(0))


def pca_of_series(train: list[Floats], held_out: list[Floats]) -> Floats:
    """Return held-out series after PCA of the padded rows, in the size of the networks' code."""
    scale = np.concatenate(train).std(0)
    rows, rows_held_out = (
        (padded(part)[0] / scale).reshape(len(part), -1) for part in (train, held_out)
    )
    model = PCA(SERIES_CODE, svd_solver="full").fit(rows)
    back = model.inverse_transform(model.transform(rows_held_out))
    return np.asarray(back.reshape(-1, STEPS, 2) * scale)


def pca_of_texts(model: Autoencoder, train: list[str], held_out: list[str]) -> list[str]:
    """Return held-out sentences after PCA of the one-hot rows that the model takes."""
    data = model.fitted_.input
    rows = [
        data.convert(model.fitted_.store(part)).flatten(1).numpy() for part in (train, held_out)
    ]
    pca = PCA(SENTENCES_CODE, random_state=0).fit(rows[0])
    flat = pca.inverse_transform(pca.transform(rows[1])).astype(np.float32)
    return list(data.restore(flat.reshape(len(held_out), *data.shape)))


def shares_right(true: list[str], made: Sequence[str]) -> tuple[float, float]:
    """Return the shares of characters at their place, and of sentences, that came back."""
    hits = sum(a == b for x, y in zip(true, made, strict=True) for a, b in zip(x, y, strict=False))
    whole = float(np.mean([x == y for x, y in zip(true, made, strict=True)]))
    return hits / sum(map(len, true)), whole


def walk(model: Autoencoder, first: str, last: str) -> list[str]:
    """Return the sentences on the straight way between the codes of two."""
    ends = model.transform([first, last])
    shares = np.linspace(0, 1, 7)[:, None]
    way = (1 - shares) * ends[0] + shares * ends[1]
    return list(model.inverse_transform(way.astype(np.float32)))


def anchor(name: str) -> str:
    """Return a network's name as part of a file's."""
    return name.lower().replace(",", "").replace(" ", "-")


RECIPE = Recipe(
    name="sequences",
    title=mark("Series and sentences in a few numbers"),
    summary=mark("Can a recurrent network hold a series, or a sentence, in a code of fixed size?"),
    rows=("M12",),
    minutes=6,
    run=run,
)
