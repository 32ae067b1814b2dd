"""What every side of the comparison shares: the job, the data, the clock and the held-out error.

A side runs in its own process and its own environment and speaks JSON, one job a line in, one
outcome a line out::

    training.py ──job──▶ stdin │ keras_.py: train a fresh model │ stdout ──outcome──▶ training.py

This module needs numpy alone, so that it runs in every environment.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FILES = {"train": "train-images-idx3-ubyte.gz", "test": "t10k-images-idx3-ubyte.gz"}
LEARNING_RATE = 1e-3  # Adam's usual one, for every side


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run: a fresh model, so many epochs over the first `rows` images."""

    model: str
    rows: int
    batch: int
    epochs: int
    seed: int
    device: str = "cpu"
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run gave.

    `seconds` has one entry an epoch, from the end of one epoch to the end of the next (the first
    from the start of training, tracing and set-up included); `busy` likewise has the seconds that
    all processors together worked for the process. `peak` is the resident memory of the
    process in MB at the end of training, `bce` the held-out error in nats per pixel. Where they are
    measured, `mse` is the squared error per pixel and `log_likelihood` in nats per picture.
    """

    seconds: list[float]
    busy: list[float]
    bce: float
    parameters: int
    peak: float
    threads: int
    versions: dict[str, str]
    precision: str = "float32"
    hardware: str = ""
    mse: float | None = None
    log_likelihood: float | None = None


@dataclass
class Clock:
    """Notes when epochs end; `settle` waits for work a device still has in hand."""

    settle: Callable[[], object] = lambda: None
    moments: list[tuple[float, float]] = field(default_factory=list)

    def start(self) -> None:
        """Begin the first epoch."""
        self.moments = []
        self.tick()

    def tick(self) -> None:
        """End an epoch."""
        self.settle()
        self.moments.append((time.perf_counter(), time.process_time()))

    @property
    def seconds(self) -> list[float]:
        """How long each epoch took."""
        return [after[0] - before[0] for before, after in pairwise(self.moments)]

    @property
    def busy(self) -> list[float]:
        """How long processors worked for each epoch."""
        return [after[1] - before[1] for before, after in pairwise(self.moments)]


def images(part: str) -> Bytes:
    """Return the ``"train"`` or ``"test"`` images of MNIST, shape (n, 28, 28).

    They are read from ``$LATENTE_DATA/mnist``, the original gzipped IDX files.
    """
    path = Path(os.environ["LATENTE_DATA"]) / "mnist" / FILES[part]
    with gzip.open(path) as file:
        magic, count, height, width = np.frombuffer(file.read(16), dtype=">i4").tolist()
        if magic != 0x803:
            raise SystemExit(f"{path} is no IDX file of images")
        pixels = np.frombuffer(file.read(), dtype=np.uint8)
    return pixels.reshape(count, height, width)


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak() -> float:
    """Return the largest resident memory this process has had, in MB."""
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def held_out_bce(reconstruct: Callable[[Bytes], npt.ArrayLike]) -> float:
    """Return the binary cross-entropy per pixel, in nats, of the reconstructed test images.

    Parameters
    ----------
    reconstruct
        Takes uint8 images (n, 28, 28); returns their reconstructions in [0, 1], of any shape that
        holds the same pixels in the same order.
    """
    pictures = images("test")
    total = 0.0
    for start in range(0, len(pictures), 1000):
        block = pictures[start : start + 1000]
        wanted = block.reshape(len(block), -1) / 255.0
        given = np.asarray(reconstruct(block), dtype=np.float64).reshape(wanted.shape)
        given = given.clip(1e-7, 1 - 1e-7)
        total -= float((wanted * np.log(given) + (1 - wanted) * np.log1p(-given)).sum())
    return total / pictures.size


def serve(run: Callable[[Job, Bytes], Outcome]) -> None:
    """Answer jobs from stdin until it closes; whatever the libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    pictures = images("train")
    for line in sys.stdin:
        fields: dict[str, Any] = json.loads(line)
        job = Job(**fields)
        print(json.dumps(asdict(run(job, pictures[: job.rows]))), file=answers)
