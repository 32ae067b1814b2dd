"""The table of data sets: a new one is one entry here and one module with a `load`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def digits(n: int | None, random_state: int | None) -> Dataset:
    """Load scikit-learn's digits."""
    from .digits import load

    return load()


def font(n: int | None, random_state: int | None) -> Dataset:
    """Load the character font."""
    from .font import load

    return load()


def shapes(n: int | None, random_state: int | None) -> Dataset:
    """Draw shapes."""
    from .shapes import load

    return load(n, random_state)


def mnist(n: int | None, random_state: int | None) -> Dataset:
    """Load MNIST."""
    from .mnist import load

    return load("mnist")


def fashion(n: int | None, random_state: int | None) -> Dataset:
    """Load Fashion-MNIST."""
    from .mnist import load

    return load("fashion-mnist")


def faces(n: int | None, random_state: int | None) -> Dataset:
    """Load the ORL faces."""
    from .faces import load

    return load()


def cifar10(n: int | None, random_state: int | None) -> Dataset:
    """Load CIFAR-10."""
    from .cifar import load

    return load()


def creditcard(n: int | None, random_state: int | None) -> Dataset:
    """Load the card payments."""
    from .creditcard import load

    return load()


DATASETS: Mapping[str, Entry] = {
    "digits": Entry(
        what="handwritten digits",
        size="1,442 + 355 × 8 × 8",
        origin="bundled",
        credit="E. Alpaydin and C. Kaynak, UCI, by way of scikit-learn",
        load=digits,
    ),
    "font": Entry(
        what="the characters 0x20 to 0x7f of a 5×7 font",
        size="96 × 7 × 5",
        origin="bundled",
        credit="the classic font of dot-matrix displays, public",
        load=font,
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
        load=mnist,
        megabytes=12,
    ),
    "fashion-mnist": Entry(
        what="articles of clothing",
        size="60,000 + 10,000 × 28 × 28",
        origin="downloaded",
        credit="H. Xiao, K. Rasul and R. Vollgraf, Zalando Research",
        load=fashion,
        megabytes=31,
    ),
    "faces": Entry(
        what="faces of 40 people",
        size="400 × 112 × 92 (64 × 64 where downloaded)",
        origin="downloaded",
        credit="AT&T Laboratories Cambridge",
        load=faces,
        megabytes=4,
    ),
    "cifar10": Entry(
        what="photographs of ten kinds of things",
        size="50,000 + 10,000 × 32 × 32 × 3",
        origin="downloaded",
        credit="A. Krizhevsky, University of Toronto",
        load=cifar10,
        megabytes=170,
    ),
    "creditcard": Entry(
        what="card payments, 492 of them frauds",
        size="284,807 × 29",
        origin="downloaded",
        credit="Worldline and the Machine Learning Group of ULB, by way of OpenML",
        load=creditcard,
        megabytes=70,
    ),
}
"""The data sets by name. Where the size is a sum, the second part is for testing."""
