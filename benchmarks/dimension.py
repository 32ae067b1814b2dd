"""Measure whether the intrinsic dimension is a good size for the code.

    LATENTE_DATA=folder python benchmarks/dimension.py [--output docs/results/dimension.md]

The sets are those of `defaults.py`: at most 2,000 rows of each table, digits and shapes, three
quarters of them learned from. Each rule says how many numbers the code has; the fit is short, 30
epochs of the default network; the error is squared, in the model's scale, on rows nobody has seen.
"""

from __future__ import annotations

import argparse
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from defaults import Array, Problem, pictures, problems
from machine import load

from latente import Autoencoder, TrainingWarning, intrinsic_dimension
from latente.training.hardware import processor

ROWS, EPOCHS, SEEDS = 2_000, 30, (0,)
Rule = Callable[[float, float, int], int]
Ratios = dict[str, tuple[float, float]]
"""By rule, error and size of the code over those of the present one."""
RULES: dict[str, Rule] = {
    "two_nn": lambda two_nn, mle, values: math.ceil(two_nn),
    "mle": lambda two_nn, mle, values: math.ceil(mle),
    "2 · two_nn": lambda two_nn, mle, values: math.ceil(2 * two_nn),
}
"""From both estimates and the values of a row to the numbers of the code."""


def sizes(train: Array) -> tuple[float, float, dict[str, int]]:
    """Return both estimates, and the size that each rule takes but for the present one."""
    two_nn, mle = (intrinsic_dimension(train, method) for method in ("two_nn", "mle"))
    values = int(np.prod(train.shape[1:]))
    return (
        two_nn,
        mle,
        {name: max(1, min(rule(two_nn, mle, values), values)) for name, rule in RULES.items()},
    )


def error(problem: Problem, code: int | str, seed: int) -> tuple[int, float]:
    """Return the size of the code and the held-out error of a short fit."""
    ae = Autoencoder(code, epochs=EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        ae.fit(problem.train)
    return ae.latent_dim_, float(ae.reconstruction_error(problem.test).mean())


def measured(problem: Problem) -> tuple[str, Ratios]:
    """Return a row of the page, and each rule's error and size over the present one's."""
    two_nn, mle, wanted = sizes(problem.train)
    found: dict[int | str, float] = {}
    present, own = 0, []
    for seed in SEEDS:
        present, value = error(problem, "auto", seed)
        own.append(value)
    found[present] = float(np.mean(own))
    cells, ratios = [], {}
    for name, code in wanted.items():
        if code not in found:
            found[code] = float(np.mean([error(problem, code, seed)[1] for seed in SEEDS]))
        ratio = max(found[code], 1e-12) / max(found[present], 1e-12)
        ratios[name] = (ratio, code / present)
        cells.append(f"{code}: {ratio:.2f}")
    values = int(np.prod(problem.train.shape[1:]))
    row = f"| {problem.name} | {values} | {two_nn:.1f} | {mle:.1f} | {present} | "
    return row + " | ".join(cells) + " |", ratios


def smaller(problem: Problem) -> Problem:
    """Return a problem of few rows."""
    return Problem(problem.name, problem.train[: ROWS * 3 // 4], problem.test[: ROWS // 4])


def page(rows: list[str], all_ratios: list[Ratios], machine: str) -> str:
    """Return the page: what it is, the rules, what follows, and a row for each set."""
    lines = [
        "# The intrinsic dimension as the size of the code",
        "",
        '`latent_dim="auto"` takes half the columns, at most 16. Would the intrinsic dimension be '
        "a better size? Held-out squared error of short fits over that of the present rule, on "
        f"{len(rows)} sets, by `benchmarks/dimension.py`; each cell is the code's size and that "
        "ratio, 0.00 where the code holds all that varies. One seed.",
        "",
        machine,
        "",
        "| rule | median error over the present rule's | at worst | sets above 1.1 "
        "| median code over the present rule's |",
        "|---|---|---|---|---|",
    ]
    for name in RULES:
        errors, codes = np.array([ratios[name] for ratios in all_ratios]).T
        above = int((errors > 1.1).sum())
        lines.append(
            f"| {name} | {np.median(errors):.2f} | {errors.max():.1f} | {above} "
            f"| {np.median(codes):.2f} |"
        )
    shorter = [ratios["two_nn"][0] for ratios in all_ratios if ratios["two_nn"][1] < 1]
    lines += [
        "",
        f"Where `two_nn` gives a smaller code than the present rule, in {len(shorter)} sets, the "
        f"median error is {np.median(shorter):.1f} times as large; elsewhere the code is no "
        "smaller, up to all of the columns. That is a step along the trade-off between size and "
        'error, not a better one, so `latent_dim="auto"` does not use it.',
        "",
        "| data | values | two_nn | mle | code now | " + " | ".join(RULES) + " |",
        "|---" * (5 + len(RULES)) + "|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all sets and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/results/dimension.md"))
    output: Path = parser.parse_args().output
    begun = time.perf_counter()
    folder = Path(os.environ["LATENTE_DATA"])
    sets = [problem for _, problem in problems(["tables"], folder)]
    sets += [pictures(name, folder) for name in ("digits", "shapes")]
    rows, all_ratios = [], []
    for problem in map(smaller, sets):
        row, ratios = measured(problem)
        print(row, flush=True)
        rows.append(row)
        all_ratios.append(ratios)
    seconds = time.perf_counter() - begun
    output.write_text(page(rows, all_ratios, f"{processor()}, load {load()}; {seconds:.0f} s."))


if __name__ == "__main__":
    main()
