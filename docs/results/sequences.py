"""Series and sentences through a code: recurrent networks beside PCA and simple guesses.

    python docs/results/sequences.py

All data are made here. Errors are on series and sentences that no model has seen; the page is
written to sequences.md. Some minutes on two cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from latente import Autoencoder

Floats = NDArray[np.float64]

STEPS, SERIES, SERIES_CODE, SERIES_EPOCHS = 32, 2000, 6, 40
SENTENCES, SENTENCES_CODE, SENTENCES_EPOCHS = 4000, 32, 20
HELD_OUT = 500
NETWORKS = {
    "GRU": "recurrent",
    "LSTM": "recurrent(cell=lstm)",
    "GRU, targets alone": "recurrent(teacher_forcing=1)",
    "GRU, no feedback": "recurrent(feedback=False)",
    "dense": "dense",
}
TRAINING: dict[str, Any] = {
    "learning_rate": 0.003, "gradient_clip": 10.0, "schedule": "cosine", "batch_size": 50,
    "random_state": 0, "device": "cpu",
}  # fmt: skip

WORDS = {
    "which": "the a this that every one",
    "how": "small big old young red green quiet clever happy hungry",
    "who": "cat dog bird horse girl boy teacher farmer sailor king",
    "does": "sees likes follows paints finds carries draws hears helps calls",
}


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
    """Return sentences of a small grammar, of up to 42 characters."""
    rng = np.random.default_rng(seed)
    words = {kind: text.split() for kind, text in WORDS.items()}

    def sentence() -> str:
        adjective = "how " if rng.random() < 0.5 else ""
        pattern = f"which {adjective}who does which who"
        return " ".join(words[kind][rng.integers(len(words[kind]))] for kind in pattern.split())

    return [sentence() for _ in range(n)]


def share_unexplained(x: Floats, made: Floats, exists: NDArray[np.bool_]) -> Floats:
    """Return squared error / variance of each feature over the steps there are."""
    errors, values = np.square(x - made)[exists], x[exists]
    return np.asarray(errors.mean(0) / values.var(0))


def measure_series(ragged: bool) -> list[str]:
    """Return the lines of a table on series of one or of several lengths."""
    X, held = series(SERIES, 0, ragged=ragged), series(HELD_OUT, 1, ragged=ragged)
    data: tuple[Any, Any] = (X, held) if ragged else (np.stack(X), np.stack(held))
    true = np.zeros((HELD_OUT, STEPS, 2))
    exists = np.zeros((HELD_OUT, STEPS), bool)
    for i, x in enumerate(held):
        true[i, : len(x)], exists[i, : len(x)] = x, True
    lines = [
        "| model | first feature | second feature | lengths right |",
        "|---|---|---|---|",
    ]
    for name, network in NETWORKS.items():
        if not ragged and name not in ("GRU", "dense"):
            continue
        ae = fitted(data[0], SERIES_CODE, network, SERIES_EPOCHS, layout="sequences")
        back = ae.reconstruct(data[1])
        made = np.zeros_like(true)
        for i, x in enumerate(back):
            made[i, : len(x)] = x
        right = np.mean([len(x) == len(y) for x, y in zip(back, held, strict=True)])
        shares = share_unexplained(true, made, exists)
        lines.append(f"| {name} | {shares[0]:.3f} | {shares[1]:.3f} | {right:.0%} |")
        print(lines[-1], flush=True)
    scale = np.concatenate(X).std(0)
    rows = [np.pad(x / scale, ((0, STEPS - len(x)), (0, 0))).ravel() for x in (*X, *held)]
    pca = PCA(SERIES_CODE).fit(rows[:SERIES])
    made = pca.inverse_transform(pca.transform(rows[SERIES:])).reshape(true.shape) * scale
    for name, guess in (
        ("PCA of the padded rows", made),
        ("the step before", np.pad(true[:, :-1], ((0, 0), (1, 0), (0, 0)))),
    ):
        shares = share_unexplained(true, guess, exists)
        lines.append(f"| {name} | {shares[0]:.3f} | {shares[1]:.3f} | |")
        print(lines[-1], flush=True)
    return lines


def accuracy(true: list[str], made: list[str]) -> float:
    """Return the share of characters that came back at their place."""
    hits = sum(a == b for x, y in zip(true, made, strict=True) for a, b in zip(x, y, strict=False))
    return hits / sum(map(len, true))


def measure_sentences() -> tuple[list[str], list[str], float]:
    """Return a table's lines, lines of examples, and how many held-out sentences are new."""
    X, held = sentences(SENTENCES, 0), sentences(HELD_OUT, 1)
    lines = [
        "| model | characters right | sentences right |",
        "|---|---|---|",
    ]
    examples: list[str] = []
    for name, network in NETWORKS.items():
        ae = fitted(X, SENTENCES_CODE, network, SENTENCES_EPOCHS)
        back = ae.reconstruct(held)
        whole = np.mean([x == y for x, y in zip(held, back, strict=True)])
        lines.append(f"| {name} | {accuracy(held, back):.1%} | {whole:.1%} |")
        print(lines[-1], flush=True)
        if name == "GRU":
            examples = walk(ae, held[0], held[1])
    stored = [ae.fitted_.store(part) for part in (X, held)]
    rows = [ae.fitted_.input.convert(part).flatten(1).numpy() for part in stored]
    pca = PCA(SENTENCES_CODE, random_state=0).fit(rows[0])
    flat = pca.inverse_transform(pca.transform(rows[1])).astype(np.float32)
    back = ae.fitted_.input.restore(flat.reshape(HELD_OUT, *ae.fitted_.input.shape))
    joined = "".join(X)
    common = max(set(joined), key=joined.count)
    for name, guess in (
        ("PCA of the padded one-hot rows", back),
        ("the commonest character (a space)", [common * len(x) for x in held]),
    ):
        whole = np.mean([x == y for x, y in zip(held, guess, strict=True)])
        lines.append(f"| {name} | {accuracy(held, guess):.1%} | {whole:.1%} |")
        print(lines[-1], flush=True)
    return lines, examples, float(np.mean([x not in set(X) for x in held]))


def walk(ae: Autoencoder, first: str, last: str) -> list[str]:
    """Return the sentences on the straight way between the codes of two."""
    ends = ae.transform([first, last])
    shares = np.linspace(0, 1, 7)[:, None]
    return list(ae.inverse_transform(((1 - shares) * ends[0] + shares * ends[1]).astype("f4")))


def fitted(X: Any, code: int, network: str, epochs: int, layout: str = "auto") -> Autoencoder:
    """Return a fitted autoencoder."""
    return Autoencoder(code, network=network, epochs=epochs, layout=layout, **TRAINING).fit(X)


def main() -> None:
    """Measure, and write the page."""
    even, ragged = measure_series(ragged=False), measure_series(ragged=True)
    text, examples, new = measure_sentences()
    lines = [
        "# Series and sentences",
        "",
        "Recurrent autoencoders on held-out sequences, beside PCA with a code of the same size and "
        "beside guesses that need no code; by `docs/results/sequences.py`. The row GRU is "
        '`network="recurrent"` as it is by default.',
        "",
        "## Series",
        "",
        f"{SERIES:,} series of two features, {HELD_OUT} more held out: sines and cosines of "
        "frequencies from 1 to 5, any phase, amplitudes from ½ to 1 and noise of 0.05, the second "
        f"feature a hundred times as large as the first; a code of {SERIES_CODE}, "
        f"{SERIES_EPOCHS} epochs. The columns are "
        "squared errors as a share of the feature's variance; about 0.009 is the noise itself. "
        '"The step before" guesses each step from the true one before it, the first as 0.',
        "",
        f"All of {STEPS} steps, as an array (n, {STEPS}, 2):",
        "",
        *even,
        "",
        f"Of {STEPS // 2} to {STEPS} steps, as a list of arrays (T, 2):",
        "",
        *ragged,
        "",
        "## Sentences",
        "",
        f"{SENTENCES:,} sentences of a small grammar as a list of strings, {HELD_OUT} more held "
        f"out, {new:.0%} of which are not among the first; a code of "
        f"{SENTENCES_CODE}, {SENTENCES_EPOCHS} epochs. With "
        '`loss="auto"` these are compared by the categorical loss.',
        "",
        *text,
        "",
        "The straight way from one held-out sentence's code to another's, decoded (GRU):",
        "",
        "```text",
        *examples,
        "```",
    ]
    (Path(__file__).parent / "sequences.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
