"""Search beyond memory: an index that is built in bounded memory and mapped, beside a resident one.

    python benchmarks/indexing.py --quick                        # a few minutes
    python benchmarks/indexing.py --rows 10000000 --limit 1000   # 1.28 GB of codes in 1 GB

Each measurement is a child process. A bounded one may take so many megabytes of memory of its own
(``RLIMIT_DATA``: what ``ulimit -d`` bounds; pages of files that are mapped do not count, as the
system takes them back when it needs them). Its peak is read from ``/proc``: all resident pages
(VmHWM) and, sampled, those that are its own (RssAnon). Cold means that the system was asked to drop
the file's pages from its cache; it has no bound here, so warm queries read from memory. Times are
given by the clock and by the processor, which says more on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scale import RESERVE, Peak, status

LATENT, CENTRES = 32, 1000
QUERIES, JUDGED, ALONE = 2000, 200, 50
ROWS_AT_ONCE = 2**17


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
    parser.add_argument("--rows", type=int, default=10_000_000, help="codes of the mapped index")
    parser.add_argument(
        "--resident", type=int, default=1_000_000, help="codes of both; 0: leave out"
    )
    parser.add_argument(
        "--limit", type=int, default=1000, help="megabytes a bounded child may take"
    )
    parser.add_argument("--folder", help="where the data are made; needs five times their room")
    parser.add_argument("--output", help="a .json file for the figures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--trusted", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--mapped", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.resident = 60_000, 30_000
    return options


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    import torch
    import usearch

    folder = Path(options.folder)
    make_codes(folder / "queries.npy", QUERIES, seed=1)
    found: dict[str, Any] = {
        "latent": LATENT, "limit_megabytes": options.limit, "torch": torch.__version__,
        "usearch": usearch.__version__, "processors": os.cpu_count(),
        "threads": torch.get_num_threads(), "load": os.getloadavg()[0],
    }  # fmt: skip
    for rows, bounds in ((options.resident, (False, True)), (options.rows, (True,))):
        if not rows:
            continue
        make_codes(folder / "codes.npy", rows, seed=0)
        for limited in bounds:
            name = f"{rows} {'bounded' if limited else 'free'}"
            found[name] = {"build": child(options, "build", name, limited)}
            for way in (["--mapped"], ["--mapped", "--trusted"], *([] if limited else [[]])):
                told = " ".join(way).replace("--", "") or "resident"
                found[name][told] = child(options, "search", name, limited, *way)
                print(name, told, json.dumps(found[name]), file=sys.stderr, flush=True)
            (folder / f"{name}.index").unlink()
    return found


def child(
    options: argparse.Namespace, kind: str, name: str, limited: bool, *way: str
) -> dict[str, Any]:
    """Measure in a process of its own."""
    call = [sys.executable, __file__, "--child", kind, "--name", name, *way]
    call += ["--folder", options.folder]

    def bounded() -> None:
        if limited:
            resource.setrlimit(resource.RLIMIT_DATA, (options.limit * 10**6,) * 2)

    done = subprocess.run(
        call, stdout=subprocess.PIPE, text=True, preexec_fn=bounded, check=True,
        env={**os.environ, **RESERVE},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def built(options: argparse.Namespace) -> dict[str, Any]:
    """Build an index of the codes and write it."""
    from latente import LatentIndex

    folder = Path(options.folder)
    path = folder / f"{options.name}.index"
    before, peak, watch = status("RssAnon"), Peak(), Watch()
    codes = np.load(folder / "codes.npy", mmap_mode="r")
    index = LatentIndex(engine="usearch").add_codes(codes)
    index.save(path)
    return {
        **watch.figures("build"),
        "parts": len(index._ready()[0]._parts),
        "megabytes": path.stat().st_size / 1e6,
        "own_megabytes_before": before,
        **peak.figures(),
    }


def searched(options: argparse.Namespace) -> dict[str, Any]:
    """Open an index whose pages are not in the system's cache, and search it."""
    from latente import LatentIndex

    folder = Path(options.folder)
    path = folder / f"{options.name}.index"
    queries = np.load(folder / "queries.npy")
    drop(path)
    peak, watch = Peak(), Watch()
    index = LatentIndex.load(path, mapped=options.mapped, trusted=options.trusted)
    found = watch.figures("load")
    for what in ("first", "again"):
        watch = Watch()
        for query in queries[:ALONE]:
            index.query_codes(query[None], 10)
        found |= watch.figures(what, ALONE)
    watch = Watch()
    near = index.query_codes(queries, 10).positions
    found |= watch.figures("batch", len(queries)) | peak.figures()
    watch = Watch()
    index.engine = "exact"
    true = index.query_codes(queries[:JUDGED], 10).positions
    found |= watch.figures("exact", JUDGED)
    shared = [len(set(a) & set(b)) for a, b in zip(near.tolist(), true.tolist(), strict=False)]
    found["recall@10"] = sum(shared) / (10 * JUDGED)
    found["own_megabytes_exact"] = peak.figures()["peak_own_megabytes"]
    return found


class Watch:
    """Seconds since it was made, by the clock and of the processor."""

    def __init__(self) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def figures(self, what: str, queries: int | None = None) -> dict[str, float]:
        """Return the seconds, or how many queries a second there were."""
        spent = time.perf_counter() - self.begun[0], time.process_time() - self.begun[1]
        if queries is None:
            return {f"{what} seconds": spent[0], f"{what} processor seconds": spent[1]}
        return {
            f"{what} queries per second": queries / spent[0],
            f"{what} queries per processor second": queries / spent[1],
        }


CHILDREN = {"build": built, "search": searched}


def drop(path: Path) -> None:
    """Ask the system to forget what it keeps of a file."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_codes(path: Path, rows: int, seed: int) -> None:
    """Write codes of many groups as a ``.npy`` file."""
    centres = np.random.default_rng(100).normal(size=(CENTRES, LATENT)) * 2
    generator = np.random.default_rng(seed)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, LATENT))
    for start in range(0, rows, ROWS_AT_ONCE):
        block = out[start : start + ROWS_AT_ONCE]
        drawn = centres[generator.integers(CENTRES, size=len(block))]
        block[:] = drawn + generator.normal(size=block.shape)
    out.flush()


if __name__ == "__main__":
    main()
