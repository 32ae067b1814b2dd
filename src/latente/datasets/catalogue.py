"""The table of data sets: a new one is one entry here, and one function or module that loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a data set without loading it.

    Parameters
    ----------
    what
        What it shows, in a few words.
    size
        How many samples of which shape.
    origin
        ``"bundled"``, ``"generated"`` or ``"downloaded"``.
    credit
        Who made it, and where it is published.
    load
        From the number of samples wanted and a seed, which only those generated use, to the data.
    megabytes
        How much is downloaded.
    """

    what: str
    size: str
    origin: str
    credit: str
    load: Callable[[int | None, int | None], Dataset]
    megabytes: int = 0

    @property
    def source(self) -> str:
        """Where it comes from and whom to credit, in one line."""
        return f"{self.what}; {self.credit}"


def digits() -> Dataset:
    """Return scikit-learn's 1,797 digits of 8×8 pixels, values 0 to 16 as it gives them, float32.

    The split is fixed: every fifth image of each digit, in scikit-learn's order, is for testing
    (355 images), the others are for training (1,442).
    """
    import numpy as np
    from sklearn.datasets import load_digits

    from ..data.dataset import Dataset

    bunch = load_digits()
    X, y = bunch.images.astype(np.float32), bunch.target.astype(np.int64)
    held = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        held[np.flatnonzero(y == digit)[4::5]] = True
    return Dataset(
        X=X[~held], y=y[~held], X_test=X[held], y_test=y[held], classes=tuple("0123456789")
    )


def font() -> Dataset:
    """Return the 96 glyphs of the characters 0x20 to 0x7f, shape (96, 7, 5), uint8: 1 is ink.

    They are drawn in ``font.txt`` beside this module. The label of a glyph is its place, and
    ``classes[y[i]]`` its character.
    """
    import numpy as np

    from ..data.dataset import Dataset

    first, glyphs, height, width = 0x20, 96, 7, 5
    drawing = files(__package__).joinpath("font.txt").read_text(encoding="ascii")
    lines = [line.split() for line in drawing.splitlines() if not line.startswith("0x")]
    ink = np.array([[[pixel == "#" for pixel in part] for part in line] for line in lines])
    bands = ink.reshape(-1, height, ink.shape[1], width).swapaxes(1, 2)
    return Dataset(
        X=bands.reshape(glyphs, height, width).astype(np.uint8),
        y=np.arange(glyphs),
        classes=tuple(chr(first + i) for i in range(glyphs)),
    )


def faces() -> Dataset:
    """Return the ORL faces: 400, grey, uint8, labelled by person; nothing is split off for testing.

    From a copy of the folders s1 to s40 the pictures are 112×92. Without one, scikit-learn
    fetches them as 64×64 (the "Olivetti faces") into the cache. When using these images, credit
    AT&T Laboratories Cambridge.

    Raises
    ------
    FileError
        If they are not here and cannot be fetched.
    """
    import numpy as np

    from ..data.dataset import Dataset
    from ..data.pictures import pictures, read_folder
    from .download import cache, folders, unfetched

    for folder in folders("faces", "orl", "att_faces"):
        if (folder / "s1").is_dir() and any(pictures(folder)):
            return read_folder(folder)
    from sklearn.datasets import fetch_olivetti_faces

    try:
        bunch = fetch_olivetti_faces(data_home=cache() / "faces", n_retries=1, delay=0.1)
    except OSError as error:
        wanted = "the folders s1 to s40 with their PGM pictures"
        raise unfetched("faces", str(error), wanted) from error
    return Dataset(
        X=np.rint(bunch.images * 255).astype(np.uint8),
        y=bunch.target.astype(np.int64),
        classes=tuple(f"person {i}" for i in range(1, 41)),
    )


def shapes(n: int | None, random_state: int | None) -> Dataset:
    """Draw shapes."""
    from .shapes import load

    return load(n, random_state)


def own(name: str, *args: str) -> Callable[[int | None, int | None], Dataset]:
    """Return the loader of a module, which is imported when it is first called."""

    def load(n: int | None, random_state: int | None) -> Dataset:
        made: Dataset = import_module(f".{name}", __package__).load(*args)
        return made

    return load


DATASETS: Mapping[str, Entry] = {
    "digits": Entry(
        what="handwritten digits",
        size="1,442 + 355 × 8 × 8",
        origin="bundled",
        credit="E. Alpaydin and C. Kaynak, UCI, by way of scikit-learn",
        load=lambda n, seed: digits(),
    ),
    "font": Entry(
        what="the characters 0x20 to 0x7f of a 5×7 font",
        size="96 × 7 × 5",
        origin="bundled",
        credit="the classic font of dot-matrix displays, public",
        load=lambda n, seed: font(),
    ),
    "shapes": Entry(
        what="circles, squares, triangles and stars",
        size="any number × 28 × 28",
        origin="generated",
        credit="drawn here, after Four Shapes by S. Meschke",
        load=shapes,
    ),
    "mnist": Entry(
        what="handwritten digits",
        size="60,000 + 10,000 × 28 × 28",
        origin="downloaded",
        credit="Y. LeCun, C. Cortes and C. Burges",
        load=own("mnist", "mnist"),
        megabytes=12,
    ),
    "fashion-mnist": Entry(
        what="articles of clothing",
        size="60,000 + 10,000 × 28 × 28",
        origin="downloaded",
        credit="H. Xiao, K. Rasul and R. Vollgraf, Zalando Research",
        load=own("mnist", "fashion-mnist"),
        megabytes=31,
    ),
    "faces": Entry(
        what="faces of 40 people",
        size="400 × 112 × 92 (64 × 64 where downloaded)",
        origin="downloaded",
        credit="AT&T Laboratories Cambridge",
        load=lambda n, seed: faces(),
        megabytes=4,
    ),
    "cifar10": Entry(
        what="photographs of ten kinds of things",
        size="50,000 + 10,000 × 32 × 32 × 3",
        origin="downloaded",
        credit="A. Krizhevsky, University of Toronto",
        load=own("cifar"),
        megabytes=170,
    ),
    "creditcard": Entry(
        what="card payments, 492 of them frauds",
        size="284,807 × 29",
        origin="downloaded",
        credit="Worldline and the Machine Learning Group of ULB, by way of OpenML",
        load=own("creditcard"),
        megabytes=70,
    ),
}
"""The data sets by name. Where the size is a sum, the second part is for testing."""
