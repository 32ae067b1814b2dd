"""Arrow batches in, Arrow batches out: a saved model as a worker of Spark, Ray, Dask and others.

::

    RecordBatch (n rows) ──columns of the fit──▶ model ──▶ RecordBatch: kept columns, results

A worker is pickled as the path of its model, and loads it once in each process that it comes to.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError, ParameterError
from .estimator import Autoencoder

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MODELS = 4
"""Models that a process keeps at hand."""


class ArrowWorker(ABC):
    """A saved model that is called with Arrow batches.

    Called with a record batch, a table or a pandas frame it returns one of the same kind; called
    with an iterable of record batches, as Spark does, it yields one for each.

    Parameters
    ----------
    model
        Path of the file that `Autoencoder.save` wrote; every machine has to find it there.
    keep
        Columns that are passed on in front of the results, such as a row's key.
    columns
        The columns that the model takes, where it was not fitted on a table with names: one a
        feature, or a single one of lists, each all values of a row. All but `keep` as it is.
    device
        What each process computes on: "cpu", "cuda", "cuda:1", or "auto".
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        keep: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(keep, str) or isinstance(columns, str):
            raise ParameterError("keep and columns are lists of names, such as ['id']")
        self.path = os.path.abspath(model)
        self.keep, self.columns, self.device = tuple(keep), columns, device

    @property
    def model(self) -> Autoencoder:
        """The model, read at the first call in this process."""
        return _loaded(self.path, os.stat(self.path).st_mtime_ns, self.device)

    @abstractmethod
    def fields(self) -> pa.Schema:
        """Return names and types of the columns of the results."""

    @abstractmethod
    def results(self, X: Any) -> NDArray[Any]:
        """Return what the model makes of rows, (n, ...)."""

    def schema(self, given: pa.Schema | None = None) -> pa.Schema:
        """Return names and types of the columns of what a call returns.

        Parameters
        ----------
        given
            Schema of the batches it is called with; not needed where no column is kept.
        """
        import pyarrow as pa

        if self.keep and given is None:
            raise ParameterError("keep=: give the schema of the batches, whose columns are kept")
        kept = [] if given is None else [given.field(name) for name in self.keep]
        return pa.schema([*kept, *self.fields()])

    def __call__(self, batch: Any) -> Any:
        """Return what the model makes of a batch, or of each of several.

        Raises
        ------
        DataError
            If a column is missing, or holds what the model cannot take, or it is no such batch.
        """
        import pyarrow as pa

        if isinstance(batch, pa.RecordBatch):
            table = self._worked(pa.Table.from_batches([batch]))
            merged = table.combine_chunks().to_batches()
            empty = [pa.array([], field.type) for field in table.schema]
            return merged[0] if merged else pa.record_batch(empty, schema=table.schema)
        if isinstance(batch, pa.Table):
            return self._worked(batch)
        if hasattr(batch, "iloc"):
            found = self._worked(pa.Table.from_pandas(batch, preserve_index=False)).to_pandas()
            return found.set_axis(batch.index, axis=0)
        if isinstance(batch, Mapping | str) or not isinstance(batch, Iterable):
            raise DataError(
                f"a {type(batch).__name__} is no Arrow batch; give record batches, tables or "
                "pandas frames (Ray: batch_format='pyarrow')"
            )
        return map(self, batch)

    def _worked(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        missing = [name for name in self.keep if name not in table.column_names]
        if missing:
            raise DataError(f"keep: the batch has no column {missing[0]!r}")
        schema = self.schema(table.schema.remove_metadata())
        kept = [table.column(name) for name in self.keep]
        if not len(table):
            return schema.empty_table()
        results = np.ascontiguousarray(self.results(self._samples(table)).reshape(len(table), -1).T)
        arrays = [
            pa.array(each, field.type) for each, field in zip(results, self.fields(), strict=True)
        ]
        return pa.table([*kept, *arrays], schema=schema)

    def _samples(self, table: pa.Table) -> Any:
        """Return a table's rows as the model takes them."""
        import pyarrow as pa

        model = self.model
        names = getattr(model, "feature_names_in_", None)
        if names is not None:
            return table.select(_present(table, list(names)))
        taken = self.columns
        if taken is None:
            taken = [name for name in table.column_names if name not in self.keep]
        chosen = table.select(_present(table, list(taken)))
        kind = chosen.schema.field(0).type if chosen.num_columns == 1 else None
        if kind is not None and (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)):
            rows = chosen.column(0).combine_chunks()
            lengths = rows.value_lengths() if pa.types.is_list(kind) else None
            features = model.n_features_in_
            if (
                rows.null_count
                or len(rows.flatten()) != len(rows) * features
                or (lengths is not None and set(lengths.to_pylist()) - {features})
            ):
                raise DataError(f"column {taken[0]!r}: each list has to hold {features} values")
            values = rows.flatten().to_numpy(zero_copy_only=False)
        else:
            values = np.column_stack([column.to_numpy() for column in chosen.columns])
        shape = model.fitted_.input.layout.shape
        if values.size != len(table) * int(np.prod(shape)):
            raise DataError(
                f"the batch has {chosen.num_columns} columns, but the model takes {np.prod(shape)} "
                "values a row; name them in columns="
            )
        return values.reshape(len(table), *shape)


class ArrowEncoder(ArrowWorker):
    """Turns rows into their codes: one column for each number, as `get_feature_names_out` names it.

    Parameters as those of `ArrowWorker`.

    Examples
    --------
    >>> from latente import ArrowEncoder
    >>> encoder = ArrowEncoder("model.safetensors", keep=["id"])  # doctest: +SKIP
    >>> frame.mapInArrow(encoder, "id long, code0 float, code1 float")  # doctest: +SKIP
    """

    def fields(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(str(name), pa.float32()) for name in self.model.get_feature_names_out()])

    def results(self, X: Any) -> NDArray[Any]:
        return self.model.transform(X)


class ArrowScorer(ArrowWorker):
    """Gives each row its score, as `Autoencoder.score_samples` does: higher is more normal.

    Parameters as those of `ArrowWorker`.
    """

    def fields(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([("score", pa.float32())])

    def results(self, X: Any) -> NDArray[Any]:
        return self.model.score_samples(X)


def _present(table: pa.Table, names: list[str]) -> list[str]:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        have = ", ".join(table.column_names[:8])
        raise DataError(
            f"the batch has no column {missing[0]!r}, which the model takes; it has {have}"
        )
    return names


@lru_cache(MODELS)
def _loaded(path: str, changed: int, device: str) -> Autoencoder:
    """Return the model in a file, read once in a process as long as the file is the same."""
    from .training.hardware import find_device

    model = Autoencoder.load(path)
    model.fitted_.model.to(find_device(device))
    return model
