"""A duel: ours and a peer train the same model in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from peers.harness import Job, Outcome
from rows import Row
from workers import Worker


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured."""

    images: int
    repetitions: int
    warm: int
    more: int
    """Factor on each row's number of measured epochs: short epochs need more of them."""
    device: str
    threads: int | None
    """How many threads each side may use; None leaves it to each library."""


@dataclass(frozen=True, kw_only=True)
class Duel:
    """One row against one peer: what each turn gave."""

    row: Row
    peer: str
    least: float | None
    images: int
    warm: int
    ours: list[Outcome]
    theirs: list[Outcome]
    float32: list[Outcome]

    def rates(self, outcomes: Sequence[Outcome]) -> list[float]:
        """Return the samples per second of each turn, the warm-up left out."""
        return [self.images / statistics.mean(turn.seconds[self.warm :]) for turn in outcomes]

    @property
    def ratios(self) -> list[float]:
        """How many times faster ours was, turn by turn."""
        pairs = zip(self.rates(self.ours), self.rates(self.theirs), strict=True)
        return [ours / theirs for ours, theirs in pairs]

    @property
    def effort(self) -> float:
        """How many times more processor time the peer's epochs took, the median of the turns."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(
            sum(theirs.busy[self.warm :]) / sum(ours.busy[self.warm :]) for ours, theirs in pairs
        )

    @property
    def met(self) -> bool | None:
        """Whether the median ratio is what was promised; None where nothing was."""
        return None if self.least is None else statistics.median(self.ratios) >= self.least

    @property
    def drift(self) -> float:
        """How far our loss is from float32's, as a share of it."""
        return mean_bce(self.ours[: len(self.float32)]) / mean_bce(self.float32) - 1

    @property
    def worse(self) -> float:
        """How far our loss is above the peer's, as a share of it."""
        return mean_bce(self.ours) / mean_bce(self.theirs) - 1


def mean_bce(outcomes: Sequence[Outcome]) -> float:
    """Return the mean held-out error of some runs."""
    return statistics.mean(outcome.bce for outcome in outcomes)


def duel(row: Row, peer: str, extent: Extent, pythons: dict[str, Path]) -> Duel:
    """Let ours and the peer train in turn.

    The first of our turns is in a fresh process, so that its peak memory is that of one fit.
    """
    ours: list[Outcome] = []
    theirs: list[Outcome] = []
    float32: list[Outcome] = []
    with ExitStack() as stack:
        us = stack.enter_context(Worker("latente", pythons["latente"], extent.threads))
        them = stack.enter_context(Worker(peer, pythons[peer], extent.threads))
        for seed in range(extent.repetitions):
            job = job_of(row, extent, seed)
            ours.append(us.run(job))
            theirs.append(them.run(job))
            print(
                f"  {row.model} / {peer}, turn {seed + 1}: {turn(ours[-1], theirs[-1])}", flush=True
            )
        for seed in range(min(2, extent.repetitions)):
            same = ours[seed].precision == "float32"
            exact = job_of(row, extent, seed, precision="float32")
            float32.append(ours[seed] if same else us.run(exact))
    return Duel(
        row=row,
        peer=peer,
        least=row.targets(extent.device)[peer],
        images=extent.images,
        warm=extent.warm,
        ours=ours,
        theirs=theirs,
        float32=float32,
    )


def turn(ours: Outcome, theirs: Outcome) -> str:
    """Tell of one turn: the last epoch of each side."""
    return f"{ours.seconds[-1]:.2f} s an epoch against {theirs.seconds[-1]:.2f} s"


def job_of(row: Row, extent: Extent, seed: int, precision: str = "auto") -> Job:
    """Return what a side is to train."""
    return Job(
        model=row.model,
        rows=extent.images,
        batch=row.batch,
        epochs=extent.warm + row.epochs * extent.more,
        seed=seed,
        device=extent.device,
        precision=precision,
    )
