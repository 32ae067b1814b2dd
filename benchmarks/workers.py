"""The sides of the comparison: their environments, and the processes that train for us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Self

from peers.harness import Job, Outcome

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    "latente": "peers.latente_",
    "tutorial": "peers.tutorial",
    "keras": "peers.keras_",
    "pythae": "peers.pythae_",
}
ENVIRONMENTS = ROOT / ".bench"
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
OWN_ENVIRONMENT = {"latente", "tutorial"}
"""Sides that run in the environment of this script; the others have one each."""


def interpreter(side: str) -> Path:
    """Return the Python of a side's environment, which is made first if it is not there yet.

    An environment is made again when its ``requirements-*.txt`` has changed.
    """
    if side in OWN_ENVIRONMENT:
        return Path(sys.executable)
    wanted = (ROOT / "benchmarks" / f"requirements-{side}.txt").read_text()
    folder = ENVIRONMENTS / side
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "requirements.txt"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"making {side}'s environment in {folder} (some minutes, once) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    source = ROOT / "benchmarks" / f"requirements-{side}.txt"
    subprocess.run([python, "-m", "pip", "install", "-qq", "-r", source], check=True)
    stamp.write_text(wanted)
    return python


@dataclass
class Worker:
    """A side's process: jobs in, outcomes out, one at a time.

    Use it as a context manager. What the libraries print goes to ``.bench/SIDE.log``.
    """

    side: str
    python: Path
    threads: int | None = None
    module: str | None = None
    """What it runs; None for what the side runs in `training.py`."""
    process: subprocess.Popen[str] = field(init=False)
    log: IO[str] = field(init=False)

    def __enter__(self) -> Self:
        ENVIRONMENTS.mkdir(exist_ok=True)
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        if self.threads is not None:
            environment |= dict.fromkeys(THREADS, str(self.threads))
        if self.side == "latente":
            environment["PYTHONPATH"] = str(ROOT / "src")
        self.log = (ENVIRONMENTS / f"{self.side}.log").open("a")
        self.process = subprocess.Popen(
            [str(self.python), "-m", self.module or MODULES[self.side]],
            cwd=ROOT / "benchmarks",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
        )
        return self

    def run(self, job: Job) -> Outcome:
        """Train as the job says.

        Raises
        ------
        SystemExit
            If the process died; the message names its log.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps(asdict(job)), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"{self.side} failed on {job}; the end of {self.log.name} says why")
        return Outcome(**json.loads(line))

    def __exit__(self, *exception: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
