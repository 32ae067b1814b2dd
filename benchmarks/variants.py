"""Compare the variants that pythae has too: held-out error, log-likelihood and training speed.

    python benchmarks/variants.py [--quick] [--variants vae,iwae] [--epochs 8] [--output FILE.md]

Dense nets of equal size on MNIST (of ``$LATENTE_DATA``), the same number of updates. Ours and
pythae take turns in one run, each in its own process and environment; a rate is samples per second
over whole epochs after the first. What is equal on both sides and what is not: `peers/variants.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from machine import load
from peers.harness import FILES, Job, Outcome
from peers.variants import LATENT, LIKELY, SAMPLES, VARIANTS
from workers import Worker, interpreter

from latente.training.hardware import processor

SIDES = {"latente": "peers.latente_variants", "pythae": "peers.pythae_variants"}
Turns = dict[str, dict[str, list[Outcome]]]
"""What each turn gave, by variant and side."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 pictures, two epochs")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, of %(default)s")
    parser.add_argument("--sides", default=",".join(SIDES), help="which, of %(default)s")
    parser.add_argument("--epochs", type=int, help="of each fit (default: 8)")
    parser.add_argument("--batch", type=int, default=256, help="(default: %(default)s)")
    parser.add_argument("--turns", type=int, default=1, help="fits of each side (default: 1)")
    parser.add_argument("--threads", type=int, help="threads of each side (default: its own)")
    parser.add_argument("--output", type=Path, help="write a page there, and FILE.json beside it")
    parser.add_argument("--python", type=Path, help="use that Python for pythae")
    options = parser.parse_args()
    options.variants, options.sides = options.variants.split(","), options.sides.split(",")
    for flag, chosen, known in (
        ("--variants", options.variants, VARIANTS),
        ("--sides", options.sides, SIDES),
    ):
        unknown = [name for name in chosen if name not in known]
        if unknown:
            parser.error(f"{flag}: there is no {', '.join(unknown)}; choose of {','.join(known)}")
    if options.epochs is None:
        options.epochs = 2 if options.quick else 8
    if options.epochs < 2 or options.turns < 1:
        parser.error("--epochs is at least 2, since the first is not timed, and --turns at least 1")
    folder = Path(os.environ.get("LATENTE_DATA", "")) / "mnist"
    if not all((folder / name).exists() for name in FILES.values()):
        parser.error(f"set LATENTE_DATA to a folder in which mnist/{FILES['train']} lies")
    return options


def measure(options: argparse.Namespace) -> Turns:
    """Let the sides train each variant in turn."""
    results: Turns = {}
    with ExitStack() as stack:
        workers = {}
        for side in options.sides:
            python = (side == "pythae" and options.python) or interpreter(side)
            worker = Worker(side, python, options.threads, SIDES[side])
            workers[side] = stack.enter_context(worker)
        for name in options.variants:
            results[name] = {side: [] for side in workers}
            for seed in range(options.turns):
                job = Job(
                    model=name,
                    rows=2_000 if options.quick else 60_000,
                    batch=options.batch,
                    epochs=options.epochs,
                    seed=seed,
                )
                for side, worker in workers.items():
                    outcome = worker.run(job)
                    results[name][side].append(outcome)
                    print(f"{name:10s} {side:8s} {shown(job.rows, outcome)}", flush=True)
    return results


def shown(rows: int, outcome: Outcome) -> str:
    """Tell of one fit."""
    nats = outcome.log_likelihood
    text = f"MSE {outcome.mse:.5f}  {rate(rows, outcome):8,.0f}/s  {sum(outcome.seconds):6.1f} s"
    return text if nats is None else f"{text}  {nats:.2f} nats"


def rate(rows: int, outcome: Outcome) -> float:
    """Return samples per second, the first epoch left out."""
    return rows / statistics.mean(outcome.seconds[1:])


def both(
    sides: dict[str, list[Outcome]], value: Callable[[Outcome], float | None], form: str
) -> list[str]:
    """Return a cell for each side: the mean over its turns, or a dash."""
    cells = []
    for side in SIDES:
        found = [value(outcome) for outcome in sides.get(side, [])]
        numbers = [number for number in found if number is not None]
        cells.append(format(statistics.mean(numbers), form) if numbers else "–")
    return cells


def ratio(rows: int, sides: dict[str, list[Outcome]]) -> str:
    """Return how many times more samples per second ours trained, the median of the turns."""
    pairs = list(zip(*(sides.get(side, []) for side in SIDES), strict=False))
    if not pairs:
        return "–"
    return (
        f"{statistics.median(rate(rows, ours) / rate(rows, other) for ours, other in pairs):.2f} ×"
    )


def table(results: Turns, rows: int) -> list[str]:
    """Return the comparison as a Markdown table."""
    head = [
        "variant",
        *("MSE per pixel", "pythae"),
        *("log-likelihood", "pythae"),
        *("samples/s", "pythae", "ratio"),
        *("parameters", "pythae"),
    ]
    lines = [head, ["---"] * len(head)]
    for name, sides in results.items():
        cells = [
            *both(sides, lambda outcome: outcome.mse, ".5f"),
            *both(sides, lambda outcome: outcome.log_likelihood, ".2f"),
            *both(sides, lambda outcome: rate(rows, outcome), ",.0f"),
            ratio(rows, sides),
            *both(sides, lambda outcome: outcome.parameters, ",.0f"),
        ]
        lines.append([VARIANTS[name].title, *cells])
    return ["| " + " | ".join(line) + " |" for line in lines]


def machine(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what was measured on, and with what."""
    versions = sorted({f"{k} {v}" for outcome in outcomes for k, v in outcome.versions.items()})
    precisions = sorted({outcome.precision for outcome in outcomes})
    threads = sorted({str(outcome.threads) for outcome in outcomes})
    return [
        f"Processor: {processor()}",
        f"Versions: {', '.join(versions)}; precision {' and '.join(precisions)}",
        f"Threads: {' and '.join(threads)}; load average at the end: {load()}",
    ]


def page(results: Turns, options: argparse.Namespace, rows: int) -> str:
    """Return the page."""
    outcomes = [turn for sides in results.values() for turns in sides.values() for turn in turns]
    updates = -(-rows // options.batch) * options.epochs
    lines = [
        "# Variants beside pythae",
        "",
        "Written by `python benchmarks/variants.py --output`.",
        "",
        *(f"- {line}" for line in machine(outcomes)),
        "",
        f"MNIST, {rows:,} training pictures, 784-512-256-{LATENT} and back, batch {options.batch}, "
        f"{updates:,} updates ({options.epochs} epochs) of Adam at 0.001, "
        f"{options.turns} fit(s) of each, ours and pythae in turn. The error is that of the "
        "10,000 test pictures, in [0, 1], through the code without noise; the log-likelihood, in "
        f"nats per picture, is estimated by importance sampling with {SAMPLES} codes on the first "
        f"{min(LIKELY, rows // 20):,} of them, by each library's own function. Of each pair of "
        "columns the first is ours. What is equal on both sides and what is not stands in "
        "`benchmarks/peers/variants.py`.",
        "",
        *table(results, rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    results = measure(options)
    rows = 2_000 if options.quick else 60_000
    text = page(results, options, rows)
    print("\n" + text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text)
        record = {
            "processor": processor(),
            "rows": rows,
            "batch": options.batch,
            "variants": {
                name: {
                    "ours": VARIANTS[name].ours,
                    "theirs": {VARIANTS[name].theirs: VARIANTS[name].config},
                    "loss": VARIANTS[name].loss,
                    "turns": {s: [asdict(turn) for turn in turns] for s, turns in sides.items()},
                }
                for name, sides in results.items()
            },
        }
        path = options.output.with_suffix(".json")
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"written to {options.output} and {path}")


if __name__ == "__main__":
    main()
