"""Several processes against one: time of a step, bytes exchanged, and what that means elsewhere.

    python -m benchmarks.distributed --output docs/results/distributed.md

One process with two threads and two processes with one thread each fit the same models in turn, and
encode the same rows, so that other work on the machine slows both alike; then a study runs in one
process and in two. Bytes are counted where they are handed to `torch.distributed`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "dense (512, 256)": {"network": "dense(hidden=[512, 256])", "latent_dim": 32},
    "dense variational (1024, 512)": {
        "network": "dense(hidden=[1024, 512])", "bottleneck": "gaussian", "latent_dim": 32,
    },
    "conv variational": {"network": "conv", "bottleneck": "gaussian", "latent_dim": 16},
    "dense MMD (512, 256)": {
        "network": "dense(hidden=[512, 256])", "bottleneck": "mmd", "latent_dim": 32,
    },
    "dense (4096, 2048)": {
        "network": "dense(hidden=[4096, 2048])", "latent_dim": 32, "batch_size": 1024,
    },
}  # fmt: skip
BATCH = 256
STEPS = 6
"""Steps of an epoch; the fastest epoch of several counts, the first ones left out: other work on
the machine slows any of them, two threads that wait for each other most of all."""
EPOCHS, LEFT_OUT = 4, 1
ENCODED = {"dense (512, 256)": 100_000, "conv variational": 20_000}
"""Rows to encode."""
STUDY = {"learning_rate": [0.1, 0.01, 0.003, 0.001, 0.0003, 0.0001]}
MACHINES = {
    "8 GPUs of one machine (NVLink)": {"processes": 8, "bandwidth": 200e9, "latency": 20e-6},
    "8 GPUs of one machine (PCIe 4)": {"processes": 8, "bandwidth": 20e9, "latency": 30e-6},
    "10 machines, 25 Gbit/s": {"processes": 10, "bandwidth": 2.5e9, "latency": 100e-6},
    "10 machines, 1 Gbit/s": {"processes": 10, "bandwidth": 0.11e9, "latency": 200e-6},
}
"""Assumed: bytes a second that a process sends and receives, and seconds that a message takes."""


def measure(names: Sequence[str]) -> None:
    """Fit models in this process, maybe one of several, and print seconds and bytes a step."""
    import numpy as np
    import torch

    from latente import Autoencoder
    from latente.training.distributed import processes

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for name in names:
        given = {"batch_size": BATCH, **NETWORKS[name]}
        X = np.random.default_rng(0).random((given["batch_size"] * STEPS, 28, 28), np.float32)
        before = processes().bytes
        model = Autoencoder(
            **given, epochs=EPOCHS, validation_fraction=0, random_state=0, precision="float32",
            device="cpu", learning_rate=1e-4, schedule="constant",
        ).fit(X)  # fmt: skip
        seconds = [record["seconds"] / STEPS for record in model.history_[LEFT_OUT:]]
        row: dict[str, object] = {
            "name": name,
            "seconds": min(seconds),
            "bytes": (processes().bytes - before) / (EPOCHS * STEPS),
            "parameters": model.n_parameters_,
        }
        if name in ENCODED:
            rows = np.random.default_rng(1).random((ENCODED[name], 28, 28), np.float32)
            model.fitted_.processes = processes()
            times = []
            for _ in range(2):
                begun = time.perf_counter()
                model.transform(rows)
                times.append(time.perf_counter() - begun)
            row["encoded"] = len(rows) / min(times)
        if processes().leads:
            print(json.dumps(row), flush=True)


def study(jobs: int) -> None:
    """Run a study of convolutional nets in so many processes, and print its seconds."""
    import numpy as np

    from latente import Autoencoder, Study

    X = np.random.default_rng(0).random((4096, 28, 28), np.float32)
    model = Autoencoder(network="conv", epochs=2, batch_size=BATCH, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        Study(model, STUDY, seeds=1, path=Path(folder, "study.journal")).run(X, jobs=jobs)
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)


def studied(jobs: int) -> float:
    """Return the seconds of a study in so many processes, of two cores together."""
    command = [sys.executable, __file__, "--study", str(jobs)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def run(count: int, threads: int) -> dict[str, dict[str, float]]:
    """Return the rows of so many processes, by name."""
    command = [sys.executable, __file__, "--measure"]
    if count > 1:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command = [sys.executable, *launch, __file__, "--measure"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {row["name"]: row for row in rows}


def estimate(seconds: float, message: float, machine: dict[str, float]) -> float:
    """Return how many times as fast so many processes take a step of the same global batch.

    A ring all-reduce sends 2 (p − 1) / p of the message over each link and takes 2 (p − 1) hops;
    nothing is done meanwhile.
    """
    p = machine["processes"]
    talk = 2 * (p - 1) / p * message / machine["bandwidth"] + 2 * (p - 1) * machine["latency"]
    return seconds / (seconds / p + talk)


def page(
    ones: list[dict[str, dict[str, float]]],
    twos: list[dict[str, dict[str, float]]],
    studies: list[tuple[float, float]],
) -> str:
    """Return the page of results."""
    from latente.training.hardware import processor

    lines = [
        "# Several processes: measured",
        "",
        f"{processor()}; load {os.getloadavg()[0]:.1f} at the end; "
        f"random pictures of 28 × 28, global batches of {BATCH} (the largest: 1,024), float32; "
        f"{len(ones)} rounds of "
        "one process with 2 threads and two processes with 1, in turn. The epoch that other "
        "work disturbed least counts. Made by "
        "`python -m benchmarks.distributed`.",
        "",
        "No GPU was at hand: what is said of GPUs below is an estimate, and nothing of it is "
        "measured.",
        "",
        "| model | parameters | 1 process × 2 threads | 2 processes × 1 thread | "
        "ratio (each round) | bytes a step and process |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    times = {}
    for name in NETWORKS:
        ratios = [a[name]["seconds"] / b[name]["seconds"] for a, b in zip(ones, twos, strict=True)]
        one = min(a[name]["seconds"] for a in ones)
        two = min(b[name]["seconds"] for b in twos)
        message = twos[0][name]["bytes"]
        times[name] = (one, message)
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(
            f"| {name} | {twos[0][name]['parameters']:,} | {one * 1e3:.1f} ms | {two * 1e3:.1f} ms "
            f"| {one / two:.2f} ({each}) | {message / 1e6:.2f} MB |"
        )
    lines += [
        "",
        "Two machines with a core each, joined by a link of 1 or 10 Gbit/s, were [measured "
        "too](machines.md).",
        "",
        "A ratio above 1 means that two processes are faster; that of single rounds says how much "
        "other work disturbed them. The message is 4 bytes for each "
        "parameter, and a few numbers for the losses; bottlenecks that look at the whole batch "
        "exchange their codes besides.",
        "",
        "## Encoding, and a study",
        "",
        "| work | 1 process × 2 threads | 2 processes × 1 thread | ratio |",
        "| --- | ---: | ---: | ---: |",
        *(_encoding(name, ones, twos) for name in ENCODED),
        _study(studies),
        "",
        "The study is one of six convolutional nets on 4,096 pictures, two epochs each; its "
        "seconds include the start of its processes.",
        "",
        "## What to expect elsewhere",
        "",
        "How many times as fast the same global batch is stepped, by the time of a step on one "
        "device and the size of the message: t / (t / p + 2 (p − 1) / p · bytes / bandwidth + "
        "2 (p − 1) · latency). Assumed are "
        + "; ".join(
            f"{name}: {m['bandwidth'] / 1e9:g} GB/s, {m['latency'] * 1e6:g} µs a hop"
            for name, m in MACHINES.items()
        )
        + ". For machines, t is the measured time of one process here. For GPUs it is assumed: "
        "1 ms and 10 ms a step, since a step that takes less than a millisecond on one GPU gains "
        "nothing from a second one.",
        "",
        "| model | where | t | times as fast |",
        "| --- | --- | ---: | ---: |",
    ]
    for name, (one, message) in times.items():
        for where, machine in MACHINES.items():
            for t in (1e-3, 1e-2) if "GPU" in where else (one,):
                fast = estimate(t, message, machine)
                lines.append(f"| {name} | {where} | {t * 1e3:.1f} ms | {fast:.1f} |")
    lines += [
        "",
        "Below 1, more processes are slower than one: larger batches, or a larger net, bring the "
        "work of a step above its message.",
        "",
    ]
    return "\n".join(lines)


def _encoding(
    name: str,
    ones: list[dict[str, dict[str, float]]],
    twos: list[dict[str, dict[str, float]]],
) -> str:
    one, two = (max(each[name]["encoded"] for each in found) for found in (ones, twos))
    return f"| encode, {name} | {one:,.0f} rows/s | {two:,.0f} rows/s | {two / one:.2f} |"


def _study(studies: list[tuple[float, float]]) -> str:
    one, two = (min(times) for times in zip(*studies, strict=True))
    return f"| study, `jobs=1` and `jobs=2` | {one:.1f} s | {two:.1f} s | {one / two:.2f} |"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", nargs="*", metavar="MODEL", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--study", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.measure is not None:
        if options.at_once:  # all gradients in one message, once the backward pass is done
            from latente.training import distributed

            distributed.MESSAGE = 2**62
        measure(options.measure or list(NETWORKS))
        return
    if options.study:
        study(options.study)
        return
    begun = time.time()
    ones, twos, studies = [], [], []
    for _ in range(options.rounds):
        ones.append(run(1, 2))
        twos.append(run(2, 1))
        studies.append((studied(1), studied(2)))
    text = page(ones, twos, studies)
    if options.output:
        with tempfile.NamedTemporaryFile("w", dir=options.output.parent, delete=False) as beside:
            beside.write(text)
        os.replace(beside.name, options.output)
        os.chmod(options.output, 0o644)
    print(text, f"({time.time() - begun:.0f} s)", sep="\n")


if __name__ == "__main__":
    main()
