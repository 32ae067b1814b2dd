"""What a reader or a loader hands over: samples, and whatever is known about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, ParameterError
from ..parts import is_whole
from .frames import rows
from .order import natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dataset:
    """Samples with what is known about them.

    Parameters
    ----------
    X
        The samples, first axis: an array ``(n, features)``, ``(n, h, w)`` or ``(n, h, w, c)``, or
        a data frame of n rows.
    y
        Labels, shape ``(n,)``: numbers, which index `classes` where there are classes; or None.
    X_test, y_test
        The same for samples kept for testing, where the data come split; or None.
    names
        The names of the columns, where X is a table and they are known.
    name
        What to call the data: a data set's name, or the file's.
    paths
        The file each sample of X came from, where each has its own.
    classes
        The names of the classes: ``classes[y[i]]`` is what sample i shows. None where y speaks for
        itself, or is None.
    source
        One line that says where the data come from and whom to credit.

    Raises
    ------
    DataError
        If there are no samples, or labels and samples differ in number.
    """

    X: Any
    y: Array | None = None
    X_test: Any = None
    y_test: Array | None = None
    names: tuple[str, ...] | None = None
    name: str = "data"
    paths: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise DataError(f"{self.name}: there are no samples")
        for samples, labels in ((self.X, self.y), (self.X_test, self.y_test)):
            if labels is not None and len(labels) != len(samples):
                raise DataError(
                    f"{self.name}: {len(labels)} labels for {len(samples)} samples; "
                    "each sample needs one label"
                )

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        size = " × ".join(f"{length:,}" for length in self.X.shape)
        kind = getattr(self.X, "dtype", type(self.X).__name__)
        classes = f", {len(self.classes)} classes" if self.classes else ""
        test = "" if self.X_test is None else f", {len(self.X_test):,} for testing"
        return f"Dataset({self.name}: {size} {kind}{classes}{test})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(features,)``, ``(h, w)`` or ``(h, w, c)``."""
        return tuple(self.X.shape[1:])

    def take(self, n: int, random_state: int | None = 0) -> Dataset:
        """Return n of the samples, drawn without repetition and kept in their order.

        Parameters
        ----------
        n
            How many; all of them where there are no more. The samples for testing all stay.
        random_state
            Seed of the draw.
        """
        if not is_whole(n, 1):
            raise ParameterError(f"n={n!r}: n must be a whole number of samples, 1 or more")
        if n >= len(self):
            return self
        index = np.sort(np.random.default_rng(random_state).permutation(len(self))[:n])
        return replace(
            self,
            X=rows(self.X, index),
            y=None if self.y is None else self.y[index],
            paths=None if self.paths is None else tuple(self.paths[i] for i in index),
        )


def labelled(values: Array) -> tuple[Array, tuple[str, ...] | None]:
    """Turn labels as found into numbers and, where they were text, the classes they index.

    Parameters
    ----------
    values
        Shape ``(n,)``: numbers, booleans or text.

    Returns
    -------
    The labels, int64 where they are whole numbers or index classes, else float64; the classes.
    """
    if values.dtype.kind in "biu":
        return values.astype(np.int64), None
    if values.dtype.kind == "f":
        whole = bool(np.all(np.isfinite(values) & (np.abs(values) < 2**53) & (values % 1 == 0)))
        return values.astype(np.int64 if whole else np.float64), None
    classes, codes = np.unique(np.asarray(values, dtype=np.str_), return_inverse=True)
    order = sorted(range(len(classes)), key=lambda i: natural(str(classes[i])))
    place = np.empty(len(classes), dtype=np.int64)
    place[order] = np.arange(len(classes))
    return place[codes.reshape(-1)], tuple(str(classes[i]) for i in order)
