"""Two machines against one: time of a step over a link of some speed, with a core for each machine.

    sudo python -m benchmarks.machines --output docs/results/machines.md

The machines are two network namespaces of this one, which Linux joins by a cable of its own (veth)
and slows down to the speed that is asked for (tc, a token bucket). What they send to each other
crosses the network as between two hosts; each has one core. Needs Linux, its `ip` and `tc`
(iproute2), two cores and the rights of an administrator.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.distributed import NETWORKS, estimate

HOSTS = ("latente-a", "latente-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 29511
LINKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 10e9 / 8}
"""Bytes a second."""
HOP = 100e-6
"""Assumed seconds that a message takes beside its bytes."""
WAYS = {"together": [], "at once": ["--at-once"]}
"""How gradients are sent: those that come together, or all once the backward pass is done."""


@contextmanager
def link(rate: float) -> Iterator[None]:
    """Join two network namespaces by a link of so many bytes a second."""
    ends = [f"{host}-eth" for host in HOSTS]
    try:
        for host in HOSTS:
            call("ip", "netns", "add", host)
        call(*f"ip link add {ends[0]} netns {HOSTS[0]} type veth".split(),
             *f"peer name {ends[1]} netns {HOSTS[1]}".split())  # fmt: skip
        for host, end, address in zip(HOSTS, ends, ADDRESSES, strict=True):
            call("ip", "-n", host, "addr", "add", f"{address}/24", "dev", end)
            for device in ("lo", end):
                call("ip", "-n", host, "link", "set", device, "up")
            call("tc", "-n", host, "qdisc", "add", "dev", end, "root", "tbf", "rate",
                 f"{rate * 8:.0f}bit", "burst", "1mb", "latency", "50ms")  # fmt: skip
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False, stderr=subprocess.DEVNULL)


def call(*words: str) -> None:
    """Run a command of the system."""
    subprocess.run(words, check=True)


def alone(model: str) -> dict[str, Any]:
    """Measure one machine with one core."""
    return finished([started(["taskset", "-c", "0", sys.executable], [model])])


def both(model: str, way: str) -> dict[str, Any]:
    """Measure two machines with one core each."""
    processes = []
    for number, host in enumerate(HOSTS):
        command = [
            "ip", "netns", "exec", host, "taskset", "-c", str(number), sys.executable,
            "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
            f"--node-rank={number}", f"--master-addr={ADDRESSES[0]}", f"--master-port={PORT}",
        ]  # fmt: skip
        environment = {"GLOO_SOCKET_IFNAME": f"{host}-eth"}
        processes.append(started(command, [model, *WAYS[way]], environment))
    return finished(processes)


def started(
    command: list[str], words: list[str], environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a measurement."""
    return subprocess.Popen(
        [*command, "-m", "benchmarks.distributed", "--measure", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(processes: list[subprocess.Popen[str]]) -> dict[str, Any]:
    """Return what the first process printed, once all have ended."""
    told = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, told, strict=True):
        if process.returncode:
            raise SystemExit(errors)
    row: dict[str, Any] = json.loads(next(s for s in told[0][0].splitlines() if s[:1] == "{"))
    return row


def page(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Return the page of results."""
    from latente.training.hardware import processor

    rounds = max(len(found) for found in rows.values())
    lines = [
        "# Two machines: measured",
        "",
        f"{processor()}; load {os.getloadavg()[0]:.1f} at the end. The machines are two network "
        "namespaces of one machine, with a core each, joined by a link that Linux holds to a "
        f"speed; {rounds} round{'s' * (rounds > 1)}, of which the fastest epoch counts. Random "
        "pictures of 28 × 28, global batches of 256 (the largest net: 1,024), float32. Made by "
        "`python -m benchmarks.machines`.",
        "",
        "| model | link | message | one machine | two machines | times as fast | "
        "gradients sent at once | expected |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model in rows:
        one = least(rows[model], "one")
        for name, rate in LINKS.items():
            two, whole = (least(rows[model], f"{name}, {way}") for way in WAYS)
            message = rows[model][0]["bytes"]
            machine = {"processes": 2, "bandwidth": rate, "latency": HOP}
            lines.append(
                f"| {model} | {name} | {message / 1e6:.1f} MB | {one * 1e3:.1f} ms | "
                f"{two * 1e3:.1f} ms | **{one / two:.2f}** | {one / whole:.2f} | "
                f"{estimate(one, message, machine):.2f} |"
            )
    lines += [
        "",
        "*Times as fast* is one machine's step over that of two, of the same global batch; 2 would "
        "be all that can be had. *Sent at once*: the same, if all gradients are sent in one "
        "message when the backward pass is done, instead of as they come. *Expected*: by the "
        "formula of [the page before](distributed.md), which does nothing while a message travels.",
        "",
    ]
    return "\n".join(lines)


def least(found: list[dict[str, Any]], name: str) -> float:
    """Return the fewest seconds of a step over all rounds."""
    return min(float(each[name]) for each in found)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=tuple(NETWORKS), help="these models")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    models = options.only or list(NETWORKS)
    rows: dict[str, list[dict[str, Any]]] = {model: [] for model in models}
    for _ in range(options.rounds):
        for model in models:
            row = {"one": alone(model)["seconds"]}
            for name, rate in LINKS.items():
                with link(rate):
                    for way in WAYS:
                        found = both(model, way)
                        row |= {f"{name}, {way}": found["seconds"], "bytes": found["bytes"]}
            rows[model].append(row)
            print(model, row, file=sys.stderr, flush=True)
    text = page(rows)
    if options.output:
        with tempfile.NamedTemporaryFile("w", dir=options.output.parent, delete=False) as beside:
            beside.write(text)
        os.replace(beside.name, options.output)
        os.chmod(options.output, 0o644)
    print(text)


if __name__ == "__main__":
    main()
