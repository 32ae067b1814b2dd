"""Measure ``Autoencoder().fit(X)``, with no argument, beside PCA of the same code size.

    LATENTE_DATA=folder python benchmarks/defaults.py [--output docs/results/defaults.md]

The tables are ADBench's (Han et al., 2022) in ``$LATENTE_DATA/adbench/*.npz``: at most 4,800 rows,
anomalies included, three quarters of them learned from, in units of their own standard deviation.
Pictures come with their own test set, or the same division. Beside the defaults, a usual start:
``network="dense"`` (or "conv" for pictures from 32×32), whose weights are drawn, with Adam at 0.001
and 8,000 steps. Errors are squared, on rows that nobody has seen, over PCA's.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import load
from numpy.typing import NDArray
from sklearn.decomposition import PCA

import latente
from latente import Autoencoder, TrainingWarning, datasets
from latente.data.readers import read
from latente.training.hardware import processor

ROWS = 4_800
SIZES = (60, 200, 1_000, 10_000, 100_000, 1_000_000)
LARGE = ("16_http", "10_cover", "8_celeba")
PICTURES = ("digits", "shapes", "mnist", "faces", "cifar")
SLOW = ("shapes", "mnist")  # a usual start takes a quarter of an hour there

Array = NDArray[Any]


@dataclass
class Problem:
    """What is learned from, and what is measured on."""

    name: str
    train: Array
    test: Array


@dataclass
class Outcome:
    """What each way came to on one problem: errors over PCA's, and seconds."""

    problem: Problem
    code: int = 0
    ratios: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    epochs: str = ""


def table(file: Path, rows: int) -> Problem:
    """Return a table, divided and standardised."""
    X = np.load(file)["X"].astype(np.float64)
    X = X[np.random.default_rng(0).permutation(len(X))[:rows]]
    learned = len(X) * 3 // 4
    train, test = X[:learned], X[learned:]
    mean, spread = train.mean(0), train.std(0)
    varies = spread > 1e-9
    spread[~varies] = 1
    halves = [((half - mean) / spread)[:, varies].astype(np.float32) for half in (train, test)]
    return Problem(file.stem, *halves)


def pictures(name: str, folder: Path) -> Problem:
    """Return a set of pictures with its test set, or divided."""
    data = read(folder / name) if name == "cifar" else datasets.load(name)
    if data.X_test is not None:
        return Problem(name, data.X, data.X_test)
    X = np.asarray(data.X)
    X = X[np.random.default_rng(0).permutation(len(X))]
    learned = len(X) * 3 // 4
    return Problem(name, X[:learned], X[learned:])


def problems(parts: list[str], folder: Path) -> Iterator[tuple[str, Problem]]:
    """Yield each problem with the section it belongs to."""
    files = sorted((folder / "adbench").glob("*.npz"), key=lambda f: int(f.stem.split("_")[0]))
    if "tables" in parts:
        yield from (("tables", table(file, ROWS)) for file in files)
    if "pictures" in parts:
        yield from (("pictures", pictures(name, folder)) for name in PICTURES)
    if "sizes" in parts:
        for file in (file for file in files if file.stem in LARGE):
            most = len(np.load(file)["X"])
            for rows in (size for size in SIZES if size < 2 * most):
                yield "sizes", table(file, min(rows * 4 // 3, most))


def measure(problem: Problem, seeds: int, *, usual: bool) -> Outcome:
    """Fit every way on one problem."""
    outcome = Outcome(problem)
    flat, held = (a.reshape(len(a), -1).astype(np.float64) for a in (problem.train, problem.test))
    large = problem.train.ndim > 2 and min(problem.train.shape[1:3]) >= 32
    ways: dict[str, dict[str, Any]] = {"defaults": {}}
    if usual:
        ways["usual"] = {"network": "conv" if large else "dense"}
    for way, keywords in ways.items():
        for seed in range(seeds):
            begun = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TrainingWarning)
                ae = Autoencoder(random_state=seed, **keywords).fit(problem.train)
            outcome.seconds.setdefault(way, []).append(time.perf_counter() - begun)
            error = np.square(held - ae.reconstruct(problem.test).reshape(held.shape)).mean()
            pca = PCA(min(ae.latent_dim_, *flat.shape), random_state=0).fit(flat)
            theirs = np.square(held - pca.inverse_transform(pca.transform(held))).mean()
            outcome.ratios.setdefault(way, []).append(float(error / max(theirs, 1e-12)))
            if way == "defaults":
                outcome.code, outcome.epochs = ae.latent_dim_, f"{ae.best_epoch_}/{ae.epochs_}"
    return outcome


def line(outcome: Outcome) -> str:
    """Return an outcome as a row of the page's table."""
    cells = [outcome.problem.name, f"{len(outcome.problem.train):,}", str(outcome.code)]
    for way in ("defaults", "usual"):
        ratios = outcome.ratios.get(way)
        cells += [
            "–" if ratios is None else f"{np.mean(ratios):.3f} ({np.max(ratios):.3f})",
            "–" if ratios is None else f"{np.mean(outcome.seconds[way]):.1f}",
        ]
    return "| " + " | ".join([*cells, outcome.epochs]) + " |"


def summary(outcomes: list[Outcome]) -> str:
    """Return geometric means, worst cases and total time of a section."""
    said = []
    for way, title in (("defaults", "The defaults"), ("usual", "A usual start")):
        several = [outcome for outcome in outcomes if way in outcome.ratios]
        if not several:
            continue
        ratios = np.array([ratio for each in several for ratio in each.ratios[way]])
        total = sum(float(np.mean(each.seconds[way])) for each in several)
        said.append(
            f"{title}: geometric mean {np.exp(np.log(ratios.clip(1e-6)).mean()):.3f} of PCA's "
            f"error over {len(several)} sets, at worst {ratios.max():.3f}, above 1.01 in "
            f"{int((ratios > 1.01).sum())} of {len(ratios)} fits; {total:.0f} s for all sets."
        )
    return "\n\n".join(said)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", default="tables,pictures,sizes")
    parser.add_argument("--usual", choices=("none", "quick", "all"), default="quick")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = Path(os.environ["LATENTE_DATA"])
    before, found = load(), dict[str, list[Outcome]]()
    for section, problem in problems(options.parts.split(","), folder):
        usual = section == "tables" or (section == "pictures" and problem.name not in SLOW)
        usual = options.usual == "all" or (options.usual == "quick" and usual)
        seeds = options.seeds if section == "tables" else 1
        found.setdefault(section, []).append(measure(problem, seeds, usual=usual))
        print(line(found[section][-1]), flush=True)
    lines = [
        "# The defaults beside PCA",
        "",
        "`Autoencoder().fit(X)` with no argument, over PCA with a code of the same size: squared "
        "error on held-out data; by `benchmarks/defaults.py`, which says how. A usual start is "
        '`network="dense"`, or `"conv"` for pictures from 32×32. Mean of the seeds, and the '
        "worst of them in brackets; the epoch kept, of those trained: 0 is PCA itself, which stays "
        "where held-out rows show no gain beyond chance. Schedule, activation and that rule were "
        "chosen with these errors of the tables in view, not those of the pictures.",
        "",
        f"{processor()}, {options.threads} threads, load {before}; torch {torch.__version__}, "
        f"latente {latente.__version__}; {options.seeds} seeds for tables, one otherwise.",
    ]
    titles = {"tables": "Tables", "pictures": "Pictures", "sizes": "Sizes, 60 to 1,000,000 rows"}
    for section, outcomes in found.items():
        lines += ["", f"## {titles[section]}", "", summary(outcomes), ""]
        lines += [
            "| data | rows | code | defaults / PCA | s | usual start / PCA | s | epoch kept |",
            "|---|---|---|---|---|---|---|---|",
            *map(line, outcomes),
        ]
        print(summary(outcomes), flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
