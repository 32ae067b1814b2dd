"""Preparation: from whatever the user gives to the model's scale and shape, and back.

::

    X ──store──▶ compact tensor ──convert──▶ x (n, *shape), model scale
                                             x̂ (n, *shape) ──restore──▶ X̂, as X was
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from .intake import as_array, as_tensor, check_shape
from .scaling import Scaling
from .schema import Schema, is_frame, is_plain
from .shapes import Layout
from .tables import TableEncoder

ROUNDING = 2.0**-24
"""Relative error of a number rounded to float32."""
TOLERATED = 1e-4
"""Error that rounding may bring, in the model's scale."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Preparation:
    """How samples of one kind are brought to the model; learned at fit.

    Parameters
    ----------
    layout
        Shape and type of the samples as arrays.
    scaling_map
        From their scale to the model's.
    schema
        The columns, where a data frame of numbers was given.
    table
        The encoding, where a data frame of mixed columns was given.
    """

    layout: Layout
    scaling_map: Scaling
    schema: Schema | None = None
    table: TableEncoder | None = None

    @classmethod
    def learn(cls, X: Any, *, scaling: str, name: str, layout: str = "auto") -> tuple[Self, Tensor]:
        """Shim."""
        prep = cls._learn(X, scaling, name)
        return prep, prep.store(X, name)

    @property
    def space(self):
        from .space import Space

        low, high = self.range
        return Space(
            shape=self.shape,
            layout=self.layout.kind,
            low=low,
            high=high,
            bounds=self.bounds,
            binary=self.binary,
        )

    @classmethod
    def _learn(cls, X: Any, scaling: str, name: str) -> Self:
        """Learn shape, type and scale of samples.

        Parameters
        ----------
        X
            Anything `Autoencoder.fit` takes.
        scaling
            A name of `SCALINGS`, or "auto".
        name
            What X is called in errors.
        """
        if is_frame(X) and not is_plain(X):
            table = TableEncoder.learn(X, scaling)
            encoded = table.transform(X)
            return cls(
                layout=Layout.of(encoded), scaling_map=Scaling.learn(encoded, "none"), table=table
            )
        array: Any = as_array(X, name=name)
        layout = Layout.of(array)
        schema = Schema.of(X) if is_frame(X) else None
        names = schema.names if schema else None
        learned = Scaling.learn(layout.to_model_shape(array), scaling, names=names)
        return cls(layout=layout, scaling_map=learned, schema=schema)

    def store(self, X: Any, name: str) -> Tensor:
        """Return samples, checked to be like those of the fit, as a tensor of their compact type.

        Parameters
        ----------
        X
            As it was at fit.
        name
            What X is called in errors.
        """
        if self.table is not None:
            return torch.from_numpy(self.table.transform(X))
        array = as_array(X, name=name, names=self.schema.names if self.schema else None)
        self.layout.check(array)
        tensor = as_tensor(array)
        return tensor.float() if tensor.dtype == torch.float64 and self._narrows else tensor

    def convert(self, stored: Tensor) -> Tensor:
        """Return stored samples in the model's scale and shape, float32, on their device."""
        return self.scaling_map.to_torch(self.layout.to_model_shape(stored))

    def restore(self, values: NDArray[np.float32], like: Any = None) -> Any:
        """Return values of the model's scale in the shape, scale, type and kind of the data.

        Parameters
        ----------
        values
            Shape (n, *shape).
        like
            What they were made from: a pandas frame gives its index to the rows.
        """
        index = getattr(like, "index", None) if is_frame(like) else None
        if self.table is not None:
            return self.table.inverse(values, index=index)
        array = self.layout.from_model_shape(self.scaling_map.inverse(values))
        return array if self.schema is None else self.schema.from_matrix(array, index)

    def check_features(self, X: Any) -> None:
        """Raise `DataError` where arrays have another shape than those of the fit."""
        if self.table is None and not is_frame(X) and hasattr(X, "shape"):
            check_shape(X, "X")
            self.layout.check(X)

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample's shape in the model: (features,) or (channels, h, w)."""
        return self.layout.model_shape

    @property
    def n_features(self) -> int:
        """Columns, or numbers in a picture, as given."""
        return len(self.table.schema.fields) if self.table is not None else self.layout.size

    @property
    def names(self) -> list[str] | None:
        """The columns' names, where a data frame told them."""
        schema = self.schema if self.table is None else self.table.schema
        return None if schema is None else [str(name) for name in schema.names]

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(0, 1) where the model's scale is known to lie in there, else None."""
        return self.scaling_map.bounds

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of the fit's data in the model's scale."""
        return self.scaling_map.low, self.scaling_map.high

    @property
    def binary(self) -> bool:
        """Whether the fit's data are 0 and 1 only."""
        return self.scaling_map.binary

    @property
    def scaling(self) -> str:
        """The scaling that was used: what "auto" stands for."""
        return self.table.scaling if self.table is not None else self.scaling_map.name

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return what a file keeps: plain JSON values, and arrays by name."""
        plain, arrays = self.scaling_map.state()
        meta: dict[str, Any] = {"layout": self.layout.to_json(), "scaling": plain}
        meta["schema"] = None if self.schema is None else self.schema.to_json()
        meta["table"] = None
        if self.table is not None:
            meta["table"], inner = self.table.state()
            arrays = {**arrays, **{f"table.{name}": value for name, value in inner.items()}}
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: Arrays) -> Self:
        """Return the preparation of what `state` returned; anything else is a `DataError`."""
        table = None
        if meta["table"] is not None:
            inner = {k[6:]: v for k, v in arrays.items() if k.startswith("table.")}
            table = TableEncoder.from_state(meta["table"], inner)
        schema = None if meta["schema"] is None else Schema.from_json(meta["schema"])
        layout = Layout.from_json(meta["layout"])
        scaling_map = Scaling.from_state(meta["scaling"], arrays)
        fits = (
            np.broadcast_shapes(scaling_map.shift.shape, layout.model_shape) == layout.model_shape
        )
        if not fits:
            raise DataError("the scaling does not fit the shape of the samples")
        return cls(layout=layout, scaling_map=scaling_map, schema=schema, table=table)

    @property
    def _narrows(self) -> bool:
        """Whether float32 holds the data as given closely enough: not so for times in seconds."""
        scaling = self.scaling_map
        largest = np.abs(scaling.shift / scaling.span).max() + max(map(abs, self.range))
        return bool(largest * ROUNDING < TOLERATED)
