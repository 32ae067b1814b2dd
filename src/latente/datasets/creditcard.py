"""Card payments of two days, 492 of 284,807 of them frauds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..data.tabular import read_csv
from ..data.text import TextFormat
from ..errors import DataError
from .download import cache, copies, folders, unfetched

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "creditcard.csv"
OPENML = 1597
CLASSES = ("genuine", "fraud")
UNUSED = "Time"
"""Seconds since the first payment: not part of the set at OpenML, and no trait of a payment."""


def load() -> Dataset:
    """Return 284,807 payments, float64: V1 to V28 and Amount; y is 1 for fraud.

    V1 to V28 are principal components of what the bank would not publish. Nothing is split off
    for testing.

    Raises
    ------
    FileError
        If they are not here and cannot be fetched.
    """
    own = copies()
    places = [*([own] if own else []), *folders("creditcard")]
    path = next((folder / FILE for folder in places if (folder / FILE).is_file()), None)
    if path is not None:
        return from_csv(path)
    from sklearn.datasets import fetch_openml

    try:
        bunch = fetch_openml(
            data_id=OPENML,
            data_home=cache() / "creditcard",
            as_frame=False,
            parser="pandas" if find_spec("pandas") else "liac-arff",
            n_retries=1,
            delay=0.1,
        )
    except (OSError, ValueError) as error:  # ValueError: another file than the checksum's
        raise unfetched("creditcard", str(error), FILE) from error
    X, names = np.asarray(bunch.data, dtype=np.float64), tuple(map(str, bunch.feature_names))
    return payments(X, names, bunch.target.astype(np.int64))


def from_csv(path: Path) -> Dataset:
    """Read the payments from the table that Kaggle gives out.

    Raises
    ------
    DataError
        If it is another table.
    """
    data = read_csv(path, target="Class", text_format=TextFormat(header=True))
    if not isinstance(data.X, np.ndarray) or data.y is None or data.names is None:
        raise DataError(f"{path} is not the table of card payments: it has gaps or holds text")
    return payments(data.X, data.names, data.y)


def payments(X: NDArray[Any], names: tuple[str, ...], y: NDArray[Any]) -> Dataset:
    """Return the payments without the column that is no trait of them."""
    kept = [i for i, name in enumerate(names) if name != UNUSED]
    return Dataset(X=X[:, kept], y=y, names=tuple(names[i] for i in kept), classes=CLASSES)
