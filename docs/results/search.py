"""Measure search by code beside raw pixels and PCA, the engines, and the finding of copies.

    LATENTE_DATA=folder python docs/results/search.py [choose mnist faces engines copies]

Each stage adds its figures to search.json; then search.md is written from all there are. The
settings are chosen on parts of the training data; no query was seen by any fit.
"""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA

from latente import Autoencoder, LatentIndex, datasets, near_duplicates
from latente.data.pictures import pictures, resized
from latente.figures import contact_sheet

HERE = Path(__file__).parent
FIGURES = HERE / "search.json"
SHEET = HERE.parent / "images" / "search-sheet.png"
MODEL = Path(tempfile.gettempdir()) / "latente-search-mnist.safetensors"
"""The model that `mnist` fits, for `engines` to use its codes."""
SIZE = (56, 46)
CANDIDATES: dict[str, dict[str, Any]] = {
    "dense": {"network": "dense", "epochs": 15},
    "dense, mask 0.3": {"network": "dense", "corruption": "mask(rate=0.3)", "epochs": 15},
    "conv": {"network": "conv", "epochs": 8},
    "conv, mask 0.3": {"network": "conv", "corruption": "mask(rate=0.3)", "epochs": 8},
}
FACES: dict[str, dict[str, Any]] = {
    "dense": {"network": "dense"},
    "dense, mask 0.3": {"network": "dense", "corruption": "mask(rate=0.3)"},
    "dense, noise 0.2": {"network": "dense", "corruption": "gaussian_noise(std=0.2)"},
    "conv": {"network": "conv", "epochs": 60},
}
LATENT = 32
FINAL_EPOCHS = {"dense": 10, "conv": 2}
"""Passes over all 60,000 digits with the settings chosen."""


def flat(X: np.ndarray) -> np.ndarray:
    """Return pictures as rows from 0 to 1."""
    return X.reshape(len(X), -1).astype(np.float32) / 255


def searched(
    codes: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    wanted: np.ndarray,
    metric: str = "euclidean",
    k: int = 10,
) -> dict[str, float]:
    """Return precision@k, how often the first hit is right, and queries per second."""
    index = LatentIndex(metric=metric).add_codes(codes)
    index.query_codes(queries[:8], k)
    begun = time.perf_counter()
    found = index.query_codes(queries, k).positions
    seconds = time.perf_counter() - begun
    right = labels[found] == wanted[:, None]
    return {
        "precision": float(right.mean()),
        "first": float(right[:, 0].mean()),
        "queries": len(queries) / seconds,
    }  # fmt: skip


def rivals(X: np.ndarray, asked: np.ndarray, y: np.ndarray, z: np.ndarray, k: int = 10) -> dict:
    """Return the figures of raw pixels and of PCA with codes of the same size."""
    rows, held = flat(X), flat(asked)
    pca = PCA(LATENT, random_state=0).fit(rows)
    codes, found = (pca.transform(part).astype(np.float32) for part in (rows, held))
    return {
        f"{name}, {metric}": searched(*pair, metric, k)
        for name, pair in (
            ("raw pixels", (rows, y, held, z)),
            (f"PCA, {LATENT}", (codes, y, found, z)),
        )
        for metric in ("euclidean", "cosine")
    }


def models(
    table: dict, X: np.ndarray, asked: np.ndarray, y: np.ndarray, z: np.ndarray, k: int = 10
) -> tuple[dict, dict[str, Autoencoder]]:
    """Return the figures of each setting, and its model."""
    figures, fitted = {}, {}
    for name, settings in table.items():
        ae = Autoencoder(**{"latent_dim": LATENT, "random_state": 0, **settings}).fit(X)
        codes, found = ae.transform(X), ae.transform(asked)
        for metric in ("euclidean", "cosine"):
            figures[f"{name}, {metric}"] = searched(codes, y, found, z, metric, k)
            print(name, metric, figures[f"{name}, {metric}"], flush=True)
        fitted[name] = ae
    return figures, fitted


def best(figures: dict) -> tuple[str, str]:
    """Return setting and metric of the highest precision."""
    name = max(figures, key=lambda each: figures[each]["precision"])
    setting, _, metric = name.rpartition(", ")
    return setting, metric


def choose() -> dict:
    """Compare settings on 6,000 digits to learn from and 1,500 others of the training part."""
    data = datasets.load("mnist")
    order = np.random.default_rng(0).permutation(len(data.X))
    own, held = order[:6000], order[-1500:]
    parts = data.X[own], data.X[held], data.y[own], data.y[held]
    figures, _ = models(CANDIDATES, *parts)
    setting, metric = best(figures)
    return {"setting": setting, "metric": metric, "figures": {**rivals(*parts), **figures}}


def mnist() -> dict:
    """Fit the chosen setting on the training part and ask it with the test part."""
    data = datasets.load("mnist")
    chosen = json.loads(FIGURES.read_text())["choose"]
    settings = dict(CANDIDATES[chosen["setting"]])
    settings["epochs"] = FINAL_EPOCHS[settings["network"]]
    figures = rivals(data.X, data.X_test, data.y, data.y_test)
    begun = time.perf_counter()
    found, fitted = models(
        {chosen["setting"]: settings}, data.X, data.X_test, data.y, data.y_test
    )  # fmt: skip
    fitted[chosen["setting"]].save(MODEL)
    return {
        **chosen, "figures": {**figures, **found}, "epochs": settings["epochs"],
        "seconds": time.perf_counter() - begun,
    }  # fmt: skip


def faces() -> dict:
    """Search the first seven pictures of each person with the last three."""
    data = datasets.load("faces")
    X = resized(data.X, SIZE)
    number = np.arange(len(X)) % 10
    learn, try_, gallery, asked = number < 5, (number >= 5) & (number < 7), number < 7, number >= 7
    trial, _ = models(FACES, X[learn], X[try_], data.y[learn], data.y[try_], k=5)
    setting, metric = best(trial)
    parts = X[gallery], X[asked], data.y[gallery], data.y[asked]
    figures, fitted = models({setting: FACES[setting]}, *parts)
    ae = fitted[setting]
    queries = X[asked][[0, 33, 66, 90]]
    index = LatentIndex(ae, metric=metric).build(X[gallery])
    found = index.query(queries, 10)
    contact_sheet(queries, X[gallery][found.positions], found.distances).savefig(SHEET, dpi=90)
    shrink(SHEET)
    return {
        "setting": setting, "metric": metric, "trial": trial,
        "figures": {**rivals(*parts), **figures},
    }  # fmt: skip


def shrink(path: Path) -> None:
    """Write a picture with a palette of 64 colours: a page is read over the net."""
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


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
    ae = Autoencoder.load(MODEL)
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
    "choose": choose,
    "mnist": mnist,
    "faces": faces,
    "engines": engines,
    "copies": copies,
}


def table(figures: dict) -> list[str]:
    """Return the rows of a table of precisions."""
    lines = [
        "| codes, metric | precision@10 | first hit | queries per second |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {each['precision']:.3f} | {each['first']:.3f} | {each['queries']:,.0f} |"
        for name, each in figures.items()
    ]
    return lines


def told_choose(it: dict) -> list[str]:
    """Return the section on the settings."""
    return [
        "## The settings",
        "",
        "6,000 digits of MNIST's training part to learn from and to search, 1,500 others of it as "
        f"queries; codes of {LATENT} numbers. Chosen: **{it['setting']}, {it['metric']}**.",
        "",
        *table(it["figures"]),
    ]


def told_mnist(it: dict) -> list[str]:
    """Return the section on MNIST."""
    return [
        "## MNIST",
        "",
        "All 60,000 digits of the training part are searched, asked with the 10,000 of the test "
        f"part; a hit is right if it is the same digit. The autoencoder was fitted for "
        f"{it['epochs']} epochs. Speed is that of the exact search, without encoding, "
        "10,000 queries at a time.",
        "",
        *table(it["figures"]),
    ]


def told_faces(it: dict) -> list[str]:
    """Return the section on faces."""
    return [
        "## Faces",
        "",
        f"Pictures 1 to 7 of each of 40 people, at {SIZE[1]}×{SIZE[0]}, are learned from and "
        "searched; pictures 8 to 10 are the queries; a hit is right if it shows the same person. "
        "As there are seven of each, the best possible precision@10 is 0.7. The setting, "
        f"**{it['setting']}, {it['metric']}**, was chosen by precision@5 on pictures 1 to 5 "
        "asked with 6 and 7.",
        "",
        *table(it["figures"]),
        "",
        "On the choice:",
        "",
        *[line.replace("@10", "@5") for line in table(it["trial"])],
        "",
        "![Queries at the left, what was found beside them](../images/search-sheet.png)",
    ]


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
    "mnist": told_mnist,
    "faces": told_faces,
    "engines": told_engines,
    "copies": told_copies,
    "choose": told_choose,
}


def write(figures: dict) -> None:
    """Write the page."""
    lines = [
        "# Search",
        "",
        "Search by code beside raw pixels and PCA with codes of the same size; by "
        "`docs/results/search.py`. " + figures["machine"],
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
