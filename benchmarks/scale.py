"""Data larger than memory: peak memory, speed and error of streamed fits beside resident ones.

    python benchmarks/scale.py --quick                       # a few minutes
    python benchmarks/scale.py --gigabytes 10 --limit 1000   # a table of ten times the memory

Each measurement is a child process. A streamed one may take so many megabytes of memory of its own
(``RLIMIT_DATA``: what ``ulimit -d`` bounds; pages of files that are mapped do not count, as the
system takes them back when it needs them). Its peak is read from ``/proc``: all resident pages
(VmHWM) and, sampled, those that are its own (RssAnon).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, RANK = 64, 8
ROWS_AT_ONCE = 2**17
SIDE = 64


def main() -> None:
    """Measure, or be the process that is measured."""
    options = parsed()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.folder = folder
        found = measured(options)
    print(json.dumps(found, indent=1))
    if options.output:
        Path(options.output).write_text(json.dumps(found, indent=1) + "\n")


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    parser.add_argument("--gigabytes", type=float, default=10.0, help="size of the table")
    parser.add_argument("--limit", type=int, default=1000, help="megabytes a child may take")
    parser.add_argument("--pictures", type=int, default=200_000, help="how many pictures")
    parser.add_argument("--encoded", type=int, default=10_000_000, help="rows to encode")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", help="where the data are made; needs twice their room")
    parser.add_argument("--output", help="a .json file for the figures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.gigabytes, options.pictures, options.encoded = 0.4, 4000, 1_000_000
    return options


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    import torch

    folder = Path(options.folder)
    rows = int(options.gigabytes * 1e9 / (4 * COLUMNS))
    make_table(folder / "table.npy", rows, seed=0)
    make_table(folder / "test.npy", 20_000, seed=1)
    make_pictures(folder / "pictures", options.pictures)
    found: dict[str, Any] = {
        "rows": rows, "columns": COLUMNS, "megabytes": rows * COLUMNS * 4 / 1e6,
        "limit_megabytes": options.limit, "epochs": options.epochs, "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    for name in ("table.npy", "pictures"):
        data = str(folder / name)
        resident = child(options, "resident", data)
        streamed = child(options, "streamed", data, limited=True)
        found[name] = {
            "resident": resident, "streamed": streamed,
            "speed_ratio": streamed["samples_per_second"] / resident["samples_per_second"],
            "error_ratio": streamed["error"] / resident["error"],
        }  # fmt: skip
    for rows in (options.encoded // 10, options.encoded):
        make_table(folder / "long.npy", rows, seed=2)
        found[f"encode {rows}"] = child(options, "encode", str(folder / "long.npy"), limited=True)
    return found


def child(
    options: argparse.Namespace, kind: str, data: str, *, limited: bool = False
) -> dict[str, Any]:
    """Measure in a process of its own."""
    call = [sys.executable, __file__, "--child", kind, "--data", data]
    call += ["--folder", options.folder, "--epochs", str(options.epochs)]

    def bounded() -> None:
        if limited:
            resource.setrlimit(resource.RLIMIT_DATA, (options.limit * 10**6,) * 2)

    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, preexec_fn=bounded, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Peak:
    """The most memory that is a process's own, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.own = 0.0
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

    table = options.data.endswith(".npy")
    before, peak = status("VmHWM"), Peak()
    begun = time.perf_counter()
    if streamed:
        X: Any = datasets.stream(options.data)
    else:
        X = np.load(options.data) if table else datasets.open_data(options.data).X
    model = Autoencoder(
        latent_dim=RANK, network="dense(hidden=[128, 64])", epochs=options.epochs, batch_size=256,
        learning_rate=0.001, random_state=0, patience=None, device="cpu",
    ).fit(X)  # fmt: skip
    seconds = time.perf_counter() - begun
    test = np.load(Path(options.folder) / "test.npy") if table else drawn(2000, seed=1)
    return {
        "streamed": model.streamed_,
        "samples_per_second": model.history_[-1]["samples_per_second"],
        "seconds": seconds,
        "error": float(model.reconstruction_error(test).mean()),
        "megabytes_before": before,
        **peak.figures(),
    }


def encoded(options: argparse.Namespace) -> dict[str, Any]:
    """Encode by the command, and measure."""
    from latente import Autoencoder
    from latente.cli.main import app

    folder = Path(options.folder)
    model, codes = folder / "model.safetensors", folder / "codes.parquet"
    if not model.exists():
        X = np.load(folder / "test.npy")
        Autoencoder(latent_dim=RANK, epochs=1, random_state=0).fit(X).save(model)
    peak, begun = Peak(), time.perf_counter()
    app(["encode", options.data, "-m", str(model), "-o", str(codes)], standalone_mode=False)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "megabytes_written": codes.stat().st_size / 1e6, **peak.figures()}


CHILDREN = {
    "resident": lambda options: fitted(options, streamed=False),
    "streamed": lambda options: fitted(options, streamed=True),
    "encode": encoded,
}


def make_table(path: Path, rows: int, seed: int) -> None:
    """Write rows of a curved surface of few dimensions, with noise, as a ``.npy`` file."""
    surface = np.random.default_rng(100)
    first, second = surface.normal(size=(RANK, 32)), surface.normal(size=(32, COLUMNS)) / 4
    generator = np.random.default_rng(seed)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, COLUMNS))
    for start in range(0, rows, ROWS_AT_ONCE):
        block = out[start : start + ROWS_AT_ONCE]
        shape = np.tanh(generator.normal(size=(len(block), RANK)) @ first) @ second
        block[:] = shape + generator.normal(0, 0.1, block.shape)
    out.flush()


def drawn(count: int, seed: int) -> np.ndarray:
    """Return grey pictures of two soft discs each."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    pictures = np.zeros((count, SIDE, SIDE), np.uint8)
    for picture in pictures:
        at, size = generator.random((2, 2)), generator.uniform(0.1, 0.3, 2)
        discs = [
            np.exp(-(((x - a) ** 2 + (y - b) ** 2) / s**2))
            for (a, b), s in zip(at, size, strict=True)
        ]
        picture[:] = 255 * np.clip(sum(discs), 0, 1)
    return pictures


def make_pictures(folder: Path, count: int) -> None:
    """Write such pictures as PNG files."""
    from PIL import Image

    folder.mkdir()
    for start in range(0, count, 1000):
        for i, picture in enumerate(drawn(min(1000, count - start), seed=start + 7)):
            Image.fromarray(picture).save(folder / f"{start + i}.png", compress_level=1)


if __name__ == "__main__":
    main()
