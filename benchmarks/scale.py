"""Data larger than memory: peak memory, speed and error of streamed fits beside resident ones.

    python benchmarks/scale.py --quick                       # a few minutes
    python benchmarks/scale.py --gigabytes 10 --limit 1000   # ten times the memory: hours
    python benchmarks/scale.py --only table --folder /data --keep --output figures.json

Each measurement is a child process. A streamed one may take so many megabytes of memory of its own,
and what the model takes with its gradient and the optimiser's state (``RLIMIT_DATA``: what
``ulimit -d`` bounds; pages of mapped files do not count, as the system takes them back when
it needs them). Its peak is read from ``/proc``: all resident pages
(VmHWM) and, sampled, those that are its own (RssAnon). What it reads is read once before, so that
the disk is warm. It runs as often as is asked for, in turn with the resident one or beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, RANK, HIDDEN = 64, 8, [128, 64]
MODEL_BYTES = 20
"""Of each learned number: it, its gradient, two moments of Adam, and the best one so far."""
ROWS_AT_ONCE = 2**17
RESERVE = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""pyarrow's own allocator reserves up to a gigabyte, used or not, which would count here."""
SIDE = 128
PICTURE_BYTES = SIDE * SIDE * 3


def main() -> None:
    """Measure, or be the process that is measured."""
    options = parsed()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    folder = Path(tempfile.mkdtemp(dir=options.folder) if not options.keep else options.folder)
    folder.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    try:
        for phase in options.only or PHASES:
            found[phase] = {"about": about(options), **PHASES[phase](options, folder)}
            if options.output:
                write(Path(options.output), found)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    print(json.dumps(found, indent=1))


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    parser.add_argument("--only", action="append", choices=tuple(PHASES), help="these phases")
    parser.add_argument("--gigabytes", type=float, default=10.0, help="of the table and pictures")
    parser.add_argument("--limit", type=int, default=1000, help="megabytes a child may take")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows to encode, to score")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="fits of each kind, in turn")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each kind for the spread")
    parser.add_argument(
        "--together", action="store_true",
        help="resident and streamed at the same time: the same load on a machine in use",
    )  # fmt: skip
    parser.add_argument("--folder", help="where the data are made; needs twice their room")
    parser.add_argument("--keep", action="store_true", help="leave the data there, and use them")
    parser.add_argument("--output", help="a .json file for the figures, phase by phase")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.gigabytes, options.rows, options.seeds = 0.2, 1_000_000, 2
    if options.keep and not options.folder:
        parser.error("--keep needs --folder")
    return options


def about(options: argparse.Namespace) -> dict[str, Any]:
    """Return what else a figure depends on."""
    import torch

    return {
        "limit_megabytes": options.limit, "epochs": options.epochs, "torch": torch.__version__,
        "threads": torch.get_num_threads(), "cores": os.cpu_count(),
    }  # fmt: skip


def write(path: Path, found: dict[str, Any]) -> None:
    """Put figures into a file, beside those of other phases."""
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | found, indent=1) + "\n")


# ── phases ───────────────────────────────────────────────────────────────────────────────────


def table(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fit a table of so many gigabytes."""
    rows = int(options.gigabytes * 1e9 / (4 * COLUMNS))
    return compared(options, made_table(folder / f"table-{rows}.npy", rows), range(options.rounds))


def pictures(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fit pictures of so many gigabytes once decoded."""
    count = int(options.gigabytes * 1e9 / PICTURE_BYTES)
    path = made_pictures(folder / f"pictures-{count}", count)
    return compared(options, path, range(options.rounds))


def seeds(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fit a small table with one seed after the other: how much the error spreads by itself."""
    rows = int(min(options.gigabytes, 0.2) * 1e9 / (4 * COLUMNS))
    return compared(options, made_table(folder / f"table-{rows}.npy", rows), range(options.seeds))


def commands(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Encode, score and more of a table, and of four tenths of it: the same memory is to do."""
    found: dict[str, Any] = {}
    for share in (4, 10):
        for command in COMMANDS:
            rows = options.rows * share // 10 // (SLOWER if command == "detect" else 1)
            path = made_table(folder / f"table-{rows}.npy", rows)
            child = Child(options, command, path)
            child.start()
            found[f"{command}, {rows} rows"] = child.figures()
            print(path.name, command, child.figures(), file=sys.stderr, flush=True)
    return found


PHASES: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "table": table, "pictures": pictures, "seeds": seeds, "commands": commands
}  # fmt: skip


def compared(options: argparse.Namespace, path: Path, seeds: range) -> dict[str, Any]:
    """Fit resident and streamed in turn, once for each seed."""
    runs: dict[str, list[dict[str, Any]]] = {"streamed": [], "resident": []}
    for seed in seeds:
        started = {kind: Child(options, kind, path, seed) for kind in runs}
        for child in started.values():
            child.start()
            if not options.together:
                child.wait()
        for kind, child in started.items():
            runs[kind].append(child.figures())
            print(path.name, kind, seed, runs[kind][-1], file=sys.stderr, flush=True)
    mean = {
        kind: {name: float(np.mean([run[name] for run in found])) for name in RATIOS}
        for kind, found in runs.items()
    }
    ratios = {name: mean["streamed"][name] / mean["resident"][name] for name in RATIOS}
    return {"data": path.name, **runs, "streamed_over_resident": ratios}


RATIOS = ("samples_per_second", "cpu_seconds", "error")


class Child:
    """A measurement in a process of its own.

    Parameters
    ----------
    options
        Those of the call.
    kind
        One of `CHILDREN`; all but "resident" are bounded.
    data
        What it works on.
    seed
        Of a fit.
    """

    def __init__(self, options: argparse.Namespace, kind: str, data: Path, seed: int = 0) -> None:
        self.data = data
        self.call = [sys.executable, __file__, "--child", kind, "--data", str(data)]
        self.call += ["--seed", str(seed), "--epochs", str(options.epochs)]
        bound = options.limit * 10**6 + MODEL_BYTES * parameters(data)
        self.most = available() if kind == "resident" else bound

    def start(self) -> None:
        """Begin, with a warm disk."""
        warm(self.data)
        self.load = os.getloadavg()[0]
        self.process = subprocess.Popen(
            self.call, stdout=subprocess.PIPE, text=True, preexec_fn=self._bounded,
            env={**os.environ, **RESERVE},
        )  # fmt: skip

    def _bounded(self) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (self.most, self.most))

    def wait(self) -> None:
        """Wait for the end."""
        if not hasattr(self, "output"):
            self.output = self.process.communicate()[0]
        if self.process.returncode:
            raise SystemExit(f"{' '.join(self.call)} failed")

    def figures(self) -> dict[str, Any]:
        """Return what was measured, and the load of the machine before and after."""
        self.wait()
        found: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return found | {"load": [round(load, 1) for load in (self.load, *os.getloadavg()[:2])]}


def parameters(data: Path) -> int:
    """Return how many numbers the model of some data learns."""
    values = PICTURE_BYTES if data.is_dir() else COLUMNS
    sizes = [values, *HIDDEN, RANK, *reversed(HIDDEN), values]
    return sum((before + 1) * after for before, after in pairwise(sizes))


def available() -> int:
    """Return how many bytes a process may take before another one has to suffer."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return resource.RLIM_INFINITY


def warm(path: Path) -> None:
    """Read what is to be read, so that the system has it in its cache."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while stream.read(2**24):
                pass


# ── what is measured ─────────────────────────────────────────────────────────────────────────


class Peak:
    """The most memory that is a process's own, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.own = 0.0
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.own = max(self.own, status("RssAnon"))
            time.sleep(0.02)

    def figures(self) -> dict[str, float]:
        """Return the peaks so far."""
        return {"peak_own_megabytes": self.own, "peak_megabytes": status("VmHWM")}


def status(name: str) -> float:
    """Return an entry of ``/proc/self/status`` in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def fitted(options: argparse.Namespace, *, streamed: bool) -> dict[str, Any]:
    """Fit once, and measure."""
    from latente import Autoencoder, datasets

    path = Path(options.data)
    draw = rows_of if path.is_file() else drawn
    validation, test = (draw(APART[draw], seed) for seed in (1, 2))
    before, peak = status("VmHWM"), Peak()
    begun = time.perf_counter()
    X: Any = datasets.stream(path)
    if not streamed:
        X = resident(X)
    model = Autoencoder(
        latent_dim=RANK, network=f"dense(hidden={HIDDEN})", epochs=options.epochs,
        batch_size=BATCH[draw], learning_rate=0.003, schedule="one_cycle",
        random_state=options.seed, patience=None, device="cpu",
    ).fit(X, validation=validation)  # fmt: skip
    seconds, used = time.perf_counter() - begun, time.process_time()
    figures = peak.figures()
    return {
        "streamed": model.streamed_,
        "samples_per_second": model.history_[-1]["samples_per_second"],
        "seconds": seconds,
        "cpu_seconds": used,
        "error": float(model.reconstruction_error(test).mean()),
        "parameters": sum(each.numel() for each in model.module_.parameters()),
        "megabytes_before": before,
        **figures,
    }


def resident(source: Any) -> np.ndarray:
    """Return the rows of a source in memory, of which there is never more than one copy."""
    X = None
    for first, part in source.parts():
        X = np.empty(source.shape, part.dtype) if X is None else X
        X[first : first + len(part)] = part
    assert X is not None
    return X


COMMANDS = ("encode", "score", "evaluate", "detect")
"""Commands that work row by row."""
SLOWER = 5
"""By so many the rows to `detect` are fewer: each is compared with 10,000 others."""


def done(options: argparse.Namespace) -> dict[str, Any]:
    """Do what a command does, and measure."""
    from latente import AnomalyDetector, Autoencoder
    from latente.cli.main import app

    folder = Path(options.data).parent
    kind = AnomalyDetector if options.child == "detect" else Autoencoder
    model, out = folder / f"{kind.__name__}.safetensors", folder / f"{options.child}.parquet"
    if not model.exists():
        given = {} if options.child == "detect" else {"latent_dim": RANK, "epochs": 1}
        kind(**given, random_state=0).fit(rows_of(20_000, 1)).save(model)
    words = [options.child, options.data, "-m", str(model)]
    if options.child != "evaluate":
        words += ["-o", str(out)]
    peak, begun = Peak(), time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        if app(words, standalone_mode=False):
            raise SystemExit(f"{' '.join(words)} failed")
    seconds = time.perf_counter() - begun
    written = out.stat().st_size / 1e6 if out.exists() else 0.0
    return {"seconds": seconds, "megabytes_written": written, **peak.figures()}


CHILDREN: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "resident": lambda options: fitted(options, streamed=False),
    "streamed": lambda options: fitted(options, streamed=True),
    **dict.fromkeys(COMMANDS, done),
}


# ── data ─────────────────────────────────────────────────────────────────────────────────────


def made_table(path: Path, rows: int) -> Path:
    """Write such rows as a ``.npy`` file, unless it is there."""
    if path.exists():
        return path
    beside = path.with_suffix(".part")
    out = np.lib.format.open_memmap(beside, "w+", np.float32, (rows, COLUMNS))
    for start in range(0, rows, ROWS_AT_ONCE):
        block = out[start : start + ROWS_AT_ONCE]
        block[:] = rows_of(len(block), [0, start])
    out.flush()
    return beside.rename(path)


def rows_of(count: int, seed: Any) -> np.ndarray:
    """Return rows of a curved surface of few dimensions, with noise."""
    surface = np.random.default_rng(100)
    first, second = surface.normal(size=(RANK, 32)), surface.normal(size=(32, COLUMNS)) / 4
    generator = np.random.default_rng(seed)
    kind = np.float32
    shape = np.tanh(generator.standard_normal((count, RANK), kind) @ first.astype(kind))
    noise = generator.standard_normal((count, COLUMNS), kind)
    return shape @ second.astype(kind) + kind(0.1) * noise


def made_pictures(folder: Path, count: int) -> Path:
    """Write such pictures as JPEG files, unless they are there."""
    from PIL import Image

    if folder.exists():
        return folder
    beside = folder.with_suffix(".part")
    beside.mkdir(exist_ok=True)
    for start in range(0, count, 500):
        for i, picture in enumerate(drawn(min(500, count - start), [0, start])):
            Image.fromarray(picture).save(beside / f"{start + i}.jpg", quality=90)
    return beside.rename(folder)


def drawn(count: int, seed: Any) -> np.ndarray:
    """Return pictures of two soft discs of some colour each."""
    generator = np.random.default_rng(seed)
    at = generator.random((2, count, 2, 1))
    size = generator.uniform(0.1, 0.3, (count, 2, 1))
    colour = generator.uniform(0.2, 1.0, (count, 2, 3))
    ticks = np.arange(SIDE) / SIDE
    y, x = (np.exp(-(((ticks - each) / size) ** 2)).astype(np.float32) for each in at)
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for some in (slice(i, i + 50) for i in range(0, count, 50)):  # few, as their floats are large
        bright = x[some, :, :, None] * colour[some, :, None].astype(np.float32)
        values = y[some].transpose(0, 2, 1) @ bright.reshape(len(bright), 2, -1)
        pictures[some] = (255 * np.minimum(values, 1)).reshape(-1, SIDE, SIDE, 3)
    return pictures


APART = {rows_of: 20_000, drawn: 1000}
"""How many rows are validated on and tested on, beside those trained on."""

BATCH = {rows_of: 256, drawn: 64}


if __name__ == "__main__":
    main()
