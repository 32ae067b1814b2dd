"""Measure the explorer in a browser: frames while it is dragged, decoding under the mouse.

    LATENTE_DATA=folder python benchmarks/explorer.py [--output docs/results/explorer.md]

All 70,000 digits of MNIST by three models, and 100,000 rows that are generated. The page is driven
as by a hand: the mouse is moved, pressed and dragged, the wheel is turned. A frame's time is that
between two calls of `requestAnimationFrame`; the time of a decoding is from the mouse's move to the
caption below the decoded picture, in the page. Without a graphics card, Chromium draws in software.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import load
from playwright.sync_api import Page, sync_playwright

from latente import Autoencoder, datasets
from latente.training.hardware import processor

ROWS, FEATURES, GROUPS = 100_000, 20, 12
MOVES, SECONDS = 150, 4.0
SIZE = {"width": 1280, "height": 800}
FRAME, ANSWER = 1000 / 60, 30.0
"""Milliseconds of a frame and of an answer that the explorer is made for."""
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WATCH_FRAMES = """() => {
  const frames = []; let last = performance.now(), on = true;
  const next = (now) => {
    frames.push(now - last);
    last = now;
    if (on) requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  window.stopFrames = () => { on = false; return frames.slice(2); };
}"""
WATCH_ANSWERS = """() => {
  let moved = null; window.answers = [];
  document.addEventListener("pointermove", () => { moved = performance.now(); }, true);
  const changes = {subtree: true, childList: true, characterData: true};
  new MutationObserver(() => {
    if (moved !== null) window.answers.push(performance.now() - moved);
    moved = null;
  }).observe(document.querySelector("#point"), changes);
}"""


@dataclass(frozen=True)
class Case:
    """A model on data, to be explored."""

    title: str
    keywords: dict[str, Any]
    data: str


@dataclass(frozen=True)
class Found:
    """What was measured of a case."""

    title: str
    rows: int
    start: float
    ready: float
    pan: list[float]
    zoom: list[float]
    answers: list[float]
    served: list[float]


CASES = (
    Case("MNIST, dense, 2 numbers", {"latent_dim": 2, "bottleneck": "gaussian"}, "mnist"),
    Case(
        "MNIST, convolutional, 2 numbers",
        {"latent_dim": 2, "bottleneck": "gaussian", "network": "conv"},
        "mnist",
    ),
    Case("MNIST, dense, 32 numbers", {"latent_dim": 32, "bottleneck": "gaussian"}, "mnist"),
    Case("rows of 20 features, dense, 2 numbers", {"latent_dim": 2}, "rows"),
)


def arrays(folder: Path) -> dict[str, Path]:
    """Write the data that are shown, and return their files."""
    data = datasets.load("mnist")
    digits = folder / "mnist.npz"
    X, y = np.concatenate([data.X, data.X_test]), np.concatenate([data.y, data.y_test])
    np.savez(digits, X=X, y=y)
    rng = np.random.default_rng(0)
    y = rng.integers(GROUPS, size=ROWS)
    centres = rng.normal(size=(GROUPS, FEATURES)) * 3
    rows = folder / "rows.npz"
    np.savez(rows, X=(centres[y] + rng.normal(size=(ROWS, FEATURES))).astype(np.float32), y=y)
    return {"mnist": digits, "rows": rows}


def fitted(case: Case, data: Path, folder: Path) -> Path:
    """Fit a case's model for a short time, and return its file."""
    with np.load(data) as found:
        X = found["X"][:10_000]
    path = folder / f"{case.title.replace(' ', '-').replace(',', '')}.safetensors"
    Autoencoder(**case.keywords, epochs=3, random_state=0).fit(X).save(path)
    return path


@contextmanager
def explored(model: Path, data: Path) -> Iterator[tuple[str, float]]:
    """Start ``latente explore``, and yield its address and the seconds until it was printed."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "latente", "explore", str(model), "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--label", "y", "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait()


def place(share: float) -> tuple[float, float]:
    """Return a point of a slow spiral over the map, in pixels of the page."""
    angle, radius = 12 * math.pi * share, 40 + 180 * share
    return 430 + radius * math.cos(angle), 430 + radius * math.sin(angle)


def dragged(page: Page) -> list[float]:
    """Drag the map about for some seconds, and return the time of each frame."""
    page.evaluate(WATCH_FRAMES)
    page.mouse.move(*place(0))
    page.mouse.down()
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < SECONDS:
        page.mouse.move(*place(passed / SECONDS))
    page.mouse.up()
    return list(page.evaluate("() => window.stopFrames()"))


def zoomed(page: Page) -> list[float]:
    """Turn the wheel for some seconds, in and out, and return the time of each frame."""
    page.evaluate(WATCH_FRAMES)
    page.mouse.move(430, 430)
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < SECONDS:
        page.mouse.wheel(0, -40 if passed < SECONDS / 2 else 40)
    return list(page.evaluate("() => window.stopFrames()"))


def pointed(page: Page) -> list[float]:
    """Move the mouse over the map, and return the milliseconds from each move to its picture."""
    page.evaluate(WATCH_ANSWERS)
    for i in range(MOVES):
        page.mouse.move(*place(i / MOVES))
        page.wait_for_timeout(60)
    return list(page.evaluate("() => window.answers"))


def served(page: Page) -> list[float]:
    """Return the milliseconds of requests for one place each, the page's drawing left out."""
    return list(
        page.evaluate(
            """async (n) => {
              const found = [], [left, right, low, high] = latente.info.models[0].map.limits;
              for (let i = 0; i < n; i += 1) {
                const x = left + (right - left) * Math.random();
                const y = low + (high - low) * Math.random();
                const begun = performance.now();
                await latente.backend.decode({model: 0, at: [[x, y]]});
                found.push(performance.now() - begun);
              }
              return found;
            }""",
            MOVES,
        )
    )


def measured(case: Case, data: Path, folder: Path, chromium: str) -> Found:
    """Return what a case takes."""
    model = fitted(case, data, folder)
    with np.load(data) as found:
        rows = len(found["X"])
    with explored(model, data) as (address, start), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        ready = time.perf_counter() - begun
        page.wait_for_timeout(1500)
        answers, alone = pointed(page), served(page)
        pan, zoom = dragged(page), zoomed(page)
        browser.close()
    return Found(case.title, rows, start, ready, pan, zoom, answers, alone)


def span(values: list[float]) -> str:
    """Return median and 95th percentile, in milliseconds."""
    median, high = np.percentile(values, [50, 95])
    return f"{median:.1f} ({high:.1f})"


def table(cases: list[Found]) -> list[str]:
    """Return the lines of the table."""
    head = (
        "| | rows | started in | page ready in | a frame, panning | a frame, zooming "
        "| from mouse to picture | the request alone |"
    )
    lines = [head, "|---" * 8 + "|"]
    lines += [
        f"| {each.title} | {each.rows:,} | {each.start:.1f} s | {each.ready:.1f} s "
        f"| {span(each.pan)} | {span(each.zoom)} | {span(each.answers)} | {span(each.served)} |"
        for each in cases
    ]
    return lines


def written(cases: list[Found], browser: str) -> str:
    """Return the page."""
    slow = [c.title for c in cases if np.median(c.pan) > FRAME * 1.1]
    late = [c.title for c in cases if np.median(c.answers) > ANSWER]
    verdicts = [
        f"60 frames a second ({FRAME:.1f} ms): "
        + ("all" if not slow else f"not {'; '.join(slow)}")
        + ".",
        f"An answer within {ANSWER:.0f} ms: "
        + ("all" if not late else f"not {'; '.join(late)}")
        + ".",
    ]
    lines = [
        "# Results: the explorer",
        "",
        "How fast [the explorer](../guide/explore.md) is: medians, with 95th percentiles in "
        "brackets, in milliseconds. The mouse is moved by a program as a hand would move it.",
        "",
        *table(cases),
        "",
        *verdicts,
        "",
        "A frame's time is that between two frames while the map is dragged or zoomed. From mouse "
        "to picture: from the mouse's move to the decoded picture in the page, with the nearest "
        "sample found.",
        "",
        f"{browser} without a graphics card (drawn in software), on the same "
        f"{os.cpu_count()} cores as the server: {processor()}; load {load()}. Written by "
        "`benchmarks/explorer.py`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure all cases and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/results/explorer.md"))
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    parser.add_argument("--only", help="cases whose title holds this")
    options = parser.parse_args()
    version = subprocess.run(
        [options.chromium, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = arrays(folder)
        for case in CASES:
            if options.only and options.only not in case.title:
                continue
            found.append(measured(case, files[case.data], folder, options.chromium))
            print("\n".join(table(found[-1:])[2:]), flush=True)
    options.output.write_text(written(found, version), encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
