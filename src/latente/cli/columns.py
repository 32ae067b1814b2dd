"""The columns of a file, found by their names as a model was fitted on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    from ..anomaly.detector import AnomalyDetector
    from ..data.dataset import Dataset
    from ..data.preparation import Preparation
    from ..estimator import Autoencoder

    Model = Autoencoder | AnomalyDetector


def as_fitted(X: Any, data: Dataset, model: Model) -> Any:
    """Return rows with the columns that a model was fitted on, in their order and their kind.

    ::

        X, array or data frame, its columns named ──▶ array (n, features), or data frame
                                                      where the model was fitted on one

    Parameters
    ----------
    X
        Rows of the data.
    data
        What they belong to, which knows the names of its columns or does not.
    model
        Fitted. One that knows its columns by their places only is given them as they come, and so
        is one of pictures.

    Raises
    ------
    DataError
        If a column, or the names of all of them, are not there, or a column has gaps or text
        where the model knows none.
    """
    from ..data.arrays import as_array, is_frame
    from ..data.frames import shortened
    from ..data.tabular import frame_of

    preparation = preparation_of(model)
    known = model.columns_ or []
    wants_frame = preparation.names is not None
    if data.names is None and wants_frame:
        raise DataError(
            f"{data.name} does not name its columns; the model was fitted on {shortened(known)}"
        )
    if data.names is None or len(preparation.shape) != 1:
        return X
    if wants_frame or any(name in data.names for name in known):
        X = ordered(X, data, known)
    if not wants_frame:
        return as_array(X, name=data.name) if is_frame(X) else X
    return X if is_frame(X) else frame_of(dict(zip(known, X.T, strict=True)))


def ordered(X: Any, data: Dataset, wanted: Sequence[str]) -> Any:
    """Return the columns of those names, in that order; one that is not there is a `DataError`.

    Parameters
    ----------
    X
        Rows of the data: an array or a data frame.
    data
        What they belong to; it has names of columns.
    wanted
        The names.
    """
    from ..data.arrays import is_frame, open_frame
    from ..data.frames import shortened

    names = data.names or ()
    if tuple(wanted) == names:
        return X
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"{data.name} has no column {missing[0]!r}, which the model was fitted on; its columns "
            f"are {shortened(names)}"
        )
    if is_frame(X):
        return open_frame(X).select(*wanted).to_native()
    return X[:, [names.index(name) for name in wanted]]


def preparation_of(model: Model) -> Preparation:
    """Return how a model, or a detector, takes its data."""
    if hasattr(model, "ensemble_"):
        return model.ensemble_.preparation
    return model.fitted_.given
