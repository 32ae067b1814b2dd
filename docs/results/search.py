"""Measure the engines of search, and the finding of copies.

    LATENTE_DATA=folder python docs/results/search.py [engines copies]

Each stage adds its figures to search.json; then search.md is written from all there are.
"""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from latente import Autoencoder, LatentIndex, datasets, near_duplicates
from latente.data.pictures import pictures

HERE = Path(__file__).parent
FIGURES = HERE / "search.json"
LATENT = 32


def engine(codes: np.ndarray, queries: np.ndarray) -> dict:
    """Return recall@10 and speed of the graph, beside the exact search."""
    found: dict[str, Any] = {"rows": len(codes)}
    for name in ("exact", "usearch"):
        index = LatentIndex(engine=name).add_codes(codes)
        begun = time.perf_counter()
        index.query_codes(queries[:1])
        found[f"{name} built"] = time.perf_counter() - begun
        begun = time.perf_counter()
        found[name] = index.query_codes(queries).positions
        found[f"{name} queries"] = len(queries) / (time.perf_counter() - begun)
    exact, graph = found.pop("exact"), found.pop("usearch")
    found["recall"] = float(
        np.mean([len(set(a) & set(b)) for a, b in zip(exact, graph, strict=True)]) / 10
    )
    print(found, flush=True)
    return found


def engines() -> dict:
    """Hold the graph against the exact search."""
    data = datasets.load("mnist")
    ae = Autoencoder(LATENT, network="conv", epochs=2, random_state=0).fit(data.X)
    digits = engine(ae.transform(data.X), ae.transform(data.X_test[:2000]))
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, LATENT)) * 2
    made = centres[rng.integers(1000, size=302_000)] + rng.normal(size=(302_000, LATENT))
    made = made.astype(np.float32)
    return {"MNIST codes": digits, "synthetic": engine(made[:300_000], made[300_000:])}


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "JPEG": lambda picture, rng: picture,
    "resized": lambda picture, rng: scaled(picture, rng.choice([0.5, 0.75, 1.5])),
    "brighter or darker": lambda picture, rng: bright(picture, rng.choice([0.7, 0.85, 1.15, 1.3])),
    "turned": lambda picture, rng: picture.rotate(90 * int(rng.integers(1, 4)), expand=True),
    "mirrored": lambda picture, rng: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "resized and brighter": lambda picture, rng: bright(scaled(picture, 0.75), 1.2),
}
"""What is done to a copy before it is written as JPEG of quality 30, 50, 75 or 90."""


def scaled(picture: Image.Image, factor: float) -> Image.Image:
    """Return the picture in another size."""
    return picture.resize((int(picture.width * factor), int(picture.height * factor)))


def bright(picture: Image.Image, factor: float) -> Image.Image:
    """Return the picture with all values multiplied."""
    return picture.point(lambda value: min(255, int(value * factor)))


def copied(folder: str, n: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return pictures and a copy of every fourth, what each shows, and what was done to it."""
    rng = np.random.default_rng(7)
    paths = pictures(Path(os.environ["LATENTE_DATA"]) / folder)
    kept, shows, done = [], [], []
    for i, place in enumerate(rng.permutation(len(paths))[:n]):
        picture = Image.open(paths[place]).convert("L")
        kept.append(picture)
        shows.append(i)
        done.append("")
        if i % 4 == 0:
            change = list(CHANGES)[(i // 4) % len(CHANGES)]
            file = io.BytesIO()
            quality = int(rng.choice([30, 50, 75, 90]))
            CHANGES[change](picture, rng).save(file, "JPEG", quality=quality)
            kept.append(Image.open(file))
            shows.append(i)
            done.append(change)
    resample = Image.Resampling.LANCZOS
    X = np.stack([np.asarray(each.resize((64, 64), resample)) for each in kept])
    return X, np.array(shows), done


def judged(groups: list[list[int]], shows: np.ndarray, done: list[str]) -> dict:
    """Return precision and recall over pairs, and recall by what was done."""
    group = -1 - np.arange(len(shows))
    for number, members in enumerate(groups):
        group[members] = number
    left, right = np.triu_indices(len(shows), 1)
    told, true = group[left] == group[right], shows[left] == shows[right]
    hit = told & true
    return {
        "precision": float(hit.sum() / max(told.sum(), 1)),
        "recall": float(hit.sum() / true.sum()),
        "by change": {
            change: float(
                np.mean([group[i] == group[i - 1] for i, each in enumerate(done) if each == change])
            )
            for change in CHANGES
        },
    }


def copies() -> dict:
    """Find the copies among pictures, without a model and with one fitted on them."""
    found = {}
    for folder, n in (("faces", 400), ("cifar", 1000)):
        X, shows, done = copied(folder, n)
        ae = Autoencoder(
            latent_dim=64, network="dense", corruption="mask(rate=0.3)", epochs=30, random_state=0
        ).fit(X)
        for name, model in (("thumbnails", None), ("codes", ae)):
            begun = time.perf_counter()
            answer = near_duplicates(X, model)
            found[f"{folder}, {name}"] = {
                "pictures": len(X), "threshold": answer.threshold,
                "seconds": time.perf_counter() - begun,
                **judged(answer.groups, shows, done),
            }  # fmt: skip
            print(folder, name, found[f"{folder}, {name}"], flush=True)
    return found


STAGES = {
    "engines": engines,
    "copies": copies,
}


def told_engines(it: dict) -> list[str]:
    """Return the section on the engines."""
    lines = [
        "## The engines",
        "",
        f"`usearch` beside the exact search: codes of {LATENT} numbers, 2,000 queries at a time, "
        "k = 10. Recall is the share of the ten nearest that the graph finds.",
        "",
        "| codes | rows | seconds to build | recall@10 | usearch, queries/s | exact, queries/s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {each['rows']:,} | {each['usearch built']:.0f} | {each['recall']:.4f} | "
        f"{each['usearch queries']:,.0f} | {each['exact queries']:,.0f} |"
        for name, each in it.items()
    ]
    return lines


def told_copies(it: dict) -> list[str]:
    """Return the section on copies."""
    first = next(iter(it.values()))
    changes = list(first["by change"])
    lines = [
        "## Copies",
        "",
        "Every fourth picture has a copy: changed as the columns say, then written as JPEG of "
        "quality 30 to 90. Thresholds are the default, learned from the pictures without knowing "
        "which are copies. Precision and recall count pairs; the columns are recall by what was "
        "done. Thumbnails need no model; codes are those of an autoencoder fitted on the pictures. "
        "How strongly the default changes the copies it learns from was set on other draws of the "
        "same two sets.",
        "",
        "| pictures, by | n | threshold | seconds | precision | recall | "
        + " | ".join(changes)
        + " |",
        "|---" * (6 + len(changes)) + "|",
    ]
    lines += [
        f"| {name} | {each['pictures']:,} | {each['threshold']:.3f} | {each['seconds']:.1f} | "
        f"{each['precision']:.3f} | {each['recall']:.3f} | "
        + " | ".join(f"{each['by change'][change]:.2f}" for change in changes)
        + " |"
        for name, each in it.items()
    ]
    return lines


TOLD = {
    "engines": told_engines,
    "copies": told_copies,
}


def write(figures: dict) -> None:
    """Write the page."""
    lines = [
        "# Search: engines and copies",
        "",
        "The engines of search, and the finding of copies; by `docs/results/search.py`. How good "
        "the hits are is the recipe [`search`](recipes.md). " + figures["machine"],
    ]
    for name, tell in TOLD.items():
        if name in figures:
            lines += ["", *tell(figures[name])]
    (HERE / "search.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Run the stages named, or all, and write the page."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for stage in sys.argv[1:] or STAGES:
        figures[stage] = STAGES[stage]()
        figures["machine"] = (
            f"Measured on {platform.machine()}, {torch.get_num_threads()} thread, with torch "
            f"{torch.__version__.partition('+')[0]}, on a machine that others used too: "
            "speeds vary."
        )
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
        write(figures)


if __name__ == "__main__":
    main()
