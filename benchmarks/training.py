"""Measure how fast `fit` trains, beside Keras, pythae and the loop that tutorials write.

    python benchmarks/training.py [--quick] [--rows deep,conv] [--device cpu|cuda] [--output FILE]

Same data (MNIST of ``$LATENTE_DATA``), same batch, same number of updates. Ours and the peer take
turns in one run, each in its own process and environment; a rate is samples per second over whole
epochs after a warm-up, everything an epoch costs included. Shown are the medians and the span of
the ratios of the turns. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from duels import Extent, duel
from page import markdown, table
from peers.harness import FILES
from rows import ROWS
from workers import interpreter

PEERS = "keras,tutorial,pythae"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    names = ",".join(row.model for row in ROWS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer images and turns (rougher)")
    parser.add_argument("--rows", default=names, help=f"which models, of {names}")
    parser.add_argument("--peers", default=PEERS, help=f"which peers, of {PEERS}")
    parser.add_argument("--repetitions", type=int, help="how many turns")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="threads of each side (default: its own)")
    parser.add_argument("--output", type=Path, help="write a Markdown page there")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="SIDE=PATH",
        help="use that Python for a side, instead of an environment made here",
    )
    options = parser.parse_args()
    unknown = set(options.rows.split(",")) - {row.model for row in ROWS}
    if unknown:
        parser.error(f"--rows: there is no {', '.join(sorted(unknown))}; choose of {names}")
    strangers = set(options.peers.split(",")) - set(PEERS.split(","))
    if strangers:
        parser.error(f"--peers: there is no {', '.join(sorted(strangers))}; choose of {PEERS}")
    folder = Path(os.environ.get("LATENTE_DATA", "")) / "mnist"
    if not all((folder / name).exists() for name in FILES.values()):
        parser.error(f"set LATENTE_DATA to a folder in which mnist/{FILES['train']} lies")
    return options


def extent_of(options: argparse.Namespace) -> Extent:
    """Return how much to measure."""
    cuda = options.device == "cuda"
    return Extent(
        images=12_800 if options.quick else 60_000,
        repetitions=options.repetitions or (2 if options.quick else 5),
        warm=2 if cuda else 1,
        more=5 if cuda else 1,
        device=options.device,
        threads=options.threads,
    )


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    extent = extent_of(options)
    chosen = [row for row in ROWS if row.model in options.rows.split(",")]
    peers = options.peers.split(",")
    pairs = [(row, peer) for row in chosen for peer in row.targets(extent.device) if peer in peers]
    if not pairs:
        raise SystemExit(f"--rows {options.rows} is not measured against {options.peers} here")
    pythons = {side: Path(path) for side, _, path in (p.partition("=") for p in options.python)}
    for side in ("latente", *{peer for _, peer in pairs}):
        pythons[side] = pythons.get(side) or interpreter(side)
    duels = []
    for row, peer in pairs:
        print(f"{row.title}, batch {row.batch}, against {peer}", flush=True)
        duels.append(duel(row, peer, extent, pythons))
    print("\n" + table(duels, extent))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(markdown(duels, extent))
        print(f"written to {options.output}")


if __name__ == "__main__":
    main()
