"""Measure how fast tables in files are read, beside pandas.

    python benchmarks/reading.py [--turns 5] [--before SRC] [--output FILE]

The sides take turns in one run, each in a process of its own: `latente.data.readers.read`,
pandas's `read_csv` or `read_parquet` on its defaults, and, if asked for, another version of ours.
Measured is the reading alone, libraries imported and the file in the system's cache; shown are
medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from machine import load

import latente
from latente.training.hardware import processor

ROWS, WIDEST = 1_000_000, 100_000
READ = """
import json, resource, sys, time
import pandas
if sys.argv[1] == "pandas":
    read = pandas.read_parquet if sys.argv[2].endswith(".parquet") else pandas.read_csv
else:
    from latente.data.readers import read
wall, busy = time.perf_counter(), time.process_time()
data = read(sys.argv[2])
wall, busy = time.perf_counter() - wall, time.process_time() - busy
try:  # Linux counts the parent's memory in a child's ru_maxrss, but not here
    lines = open("/proc/self/status").read().splitlines()
    peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3
except FileNotFoundError:
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
print(json.dumps([wall, busy, peak]))
"""
"""What a process does: it reads one file, and prints seconds, processor seconds and peak MB."""


def named(columns: list[np.ndarray]) -> pa.Table:
    """Return columns as a table."""
    return pa.table({f"column {i}": column for i, column in enumerate(columns)})


def mixed(draw: np.random.Generator, rows: int) -> list[np.ndarray]:
    """Return ten columns of numbers and ten of text."""
    words = np.array(["red", "green", "blue", "dark grey"])
    columns = [(draw.normal(size=rows), words[draw.integers(0, 4, rows)]) for _ in range(10)]
    return [each for pair in columns for each in pair]


TABLES: dict[str, tuple[str, Callable[[np.random.Generator], list[np.ndarray]]]] = {
    f"CSV, {ROWS:,} × 20 numbers": ("csv", lambda draw: list(draw.normal(size=(20, ROWS)))),
    f"CSV, {ROWS:,} × 20 whole numbers": (
        "csv",
        lambda draw: list(draw.integers(-ROWS, ROWS, (20, ROWS))),
    ),
    "CSV, 200,000 × 20, half text": ("csv", lambda draw: mixed(draw, 200_000)),
    f"CSV, 3 × {WIDEST:,} numbers": ("csv", lambda draw: list(draw.normal(size=(WIDEST, 3)))),
    "CSV, 3 × 20,000 numbers": ("csv", lambda draw: list(draw.normal(size=(20_000, 3)))),
    "Parquet, 3 × 20,000 numbers": ("parquet", lambda draw: list(draw.normal(size=(20_000, 3)))),
}
"""What is read: the suffix of the file, and what makes the columns."""


def write(path: Path, table: pa.Table) -> None:
    """Write a table to a file."""
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path)


def measure(side: str, source: Path, path: Path) -> list[float]:
    """Return seconds, processor seconds and peak MB of a side's reading."""
    command = [sys.executable, "-c", READ, side, str(path)]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [float(value) for value in json.loads(done.stdout)]


def row(title: str, found: dict[str, list[list[float]]]) -> str:
    """Return a line of the table: medians of each side, and ratios to pandas turn by turn."""
    cells = []
    for turns in found.values():
        wall, busy, peak = (statistics.median(values) for values in zip(*turns, strict=True))
        cells.append(f"{wall:.2f} s, {busy:.2f} s, {peak:.0f} MB")
    pairs = list(zip(found["latente"], found["pandas"], strict=True))
    ratios = [statistics.median(ours[i] / theirs[i] for ours, theirs in pairs) for i in range(3)]
    return f"| {title} | {' | '.join(cells)} | {' | '.join(f'{r:.2f} ×' for r in ratios)} |"


def page(lines: list[str], sides: list[str], turns: int) -> str:
    """Return the Markdown page."""
    return "\n".join([
        "# Reading tables",
        "",
        "Files of tables read by `latente.data.readers.read` and by pandas on its defaults, in "
        f"turn, each reading in a process of its own; {turns} turns. Shown are the medians of the "
        "time, of the processor's time over all cores, and of the most memory the process had, "
        "libraries included; and of the ratios to pandas in a turn. Where other work shares the "
        "machine, the processor's time is the steadier figure.",
        "",
        f"Processor: {processor()}; load average at the end: {load()}. latente "
        f"{latente.__version__}, pandas {pd.__version__}, pyarrow {pa.__version__}. By "
        "`benchmarks/reading.py`.",
        "",
        f"| table | {' | '.join(sides)} | time | processor | memory |",
        "|---|" + "---|" * (len(sides) + 3),
        *lines,
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="how many times each side reads")
    parser.add_argument("--before", type=Path, help="the src folder of another version to measure")
    parser.add_argument("--output", type=Path, help="write a Markdown page there")
    options = parser.parse_args()
    own = Path(latente.__file__).parent.parent
    sources = {"latente": own, "pandas": own}
    if options.before:
        sources["before"] = options.before.resolve()
    lines = []
    for title, (suffix, make) in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"table.{suffix}")
            write(path, named(make(np.random.default_rng(0))))
            found: dict[str, list[list[float]]] = {side: [] for side in sources}
            for _ in range(options.turns):
                for side, source in sources.items():
                    found[side].append(measure(side, source, path))
        lines.append(row(title, found))
        print(lines[-1], flush=True)
    if options.output:
        options.output.write_text(page(lines, list(sources), options.turns))
        print(f"written to {options.output}")


if __name__ == "__main__":
    main()
