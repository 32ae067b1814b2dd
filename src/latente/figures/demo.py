"""The demo: three autoencoders fitted on bundled digits, measured, and told about on one page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage.files import atomic
from .cast import MODELS, Story

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder
    from ..training.state import TrainingState

Progress = Callable[[str, float], None]


def write(
    path: str | Path = "demo/index.html",
    *,
    quick: bool = False,
    random_state: int = 0,
    progress: Progress | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Fit the demo's autoencoders and write the page about them, with the models beside it.

    Parameters
    ----------
    path
        The page; its folder is made if it is not there.
    quick
        Train for two epochs only, to try the demo itself.
    random_state
        Seed of everything random.
    progress
        Told what is being done, and the share of the whole that is done, from 0 to 1.

    Returns
    -------
    path, numbers
        The page, and what was measured on held-out digits: "data", "models" (by name), "map",
        "anomalies" and "seconds".

    Raises
    ------
    FileError
        If the page or a model cannot be written.
    """
    from .. import datasets
    from .measures import measure
    from .story import tell

    begun = time.perf_counter()
    report = progress or (lambda what, share: None)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = datasets.load("digits")
    with one_thread():
        models, seconds = fit(data, quick=quick, random_state=random_state, progress=report)
    report("measuring", 0.86)
    numbers = measure(data, models, random_state)
    for name, taken in seconds.items():
        numbers["models"][name]["seconds"] = taken
    numbers["cores"] = os.cpu_count()
    numbers["seconds"] = time.perf_counter() - begun
    report("drawing", 0.9)
    page = tell(Story(data, models, numbers, path.parent, random_state))
    for name, model in models.items():
        model.save(path.parent / f"{name}.safetensors")
    with atomic(path) as place:
        Path(place).write_text(page, encoding="utf-8")
    report("done", 1.0)
    return path, numbers


def fit(
    data: Dataset, *, quick: bool, random_state: int, progress: Progress
) -> tuple[dict[str, Autoencoder], dict[str, float]]:
    """Fit the models; return them and the seconds each took, by name."""
    from ..estimator import Autoencoder

    models, seconds = {}, {}
    for place, (name, keywords) in enumerate(MODELS.items()):
        given = {**keywords, "epochs": 2} if quick else keywords
        watch = Watch(f"training the {name} autoencoder", place / len(MODELS), progress)
        begun = time.perf_counter()
        model = Autoencoder(**given, random_state=random_state, callbacks=watch).fit(data.X)
        seconds[name] = time.perf_counter() - begun
        models[name] = model.set_params(callbacks=None)
    return models, seconds


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: networks this small gain nothing by more.

    On a machine that has other things to do, threads that wait for each other at every product can
    take ten times as long.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Watch:
    """A callback that passes on how far a fit is."""

    what: str
    share: float
    progress: Progress

    def on_epoch_end(self, state: TrainingState) -> None:
        """Tell the share of the whole demo that is done."""
        done = self.share + state.epoch / state.epochs / len(MODELS)
        self.progress(self.what, 0.85 * done)
