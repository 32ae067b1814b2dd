"""Layout: how samples lie in memory as given, and as the model takes them.

::

    rows      (n, features)  ◀──▶ (n, features)
    pictures  (n, h, w)      ◀──▶ (n, 1, h, w)
    pictures  (n, h, w, c)   ◀──▶ (n, c, h, w)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from ..errors import DataError
from ..parts import is_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

A = TypeVar("A", "NDArray[Any]", "Tensor")


@dataclass(frozen=True)
class Layout:
    """The shape and type of one sample, as it was given.

    Parameters
    ----------
    kind
        "rows" or "pictures".
    shape
        One sample's: (features,), (h, w) or (h, w, c).
    dtype
        The name of its type: "uint8", "float32" ...
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: NDArray[Any] | Tensor) -> Self:
        """Return the layout of checked samples: what `as_array` returned."""
        shape = tuple(int(length) for length in array.shape[1:])
        kind = "rows" if len(shape) == 1 else "pictures"
        return cls(kind, shape, str(array.dtype).removeprefix("torch."))

    @property
    def size(self) -> int:
        """How many numbers a sample has."""
        return int(np.prod(self.shape))

    @property
    def model_shape(self) -> tuple[int, ...]:
        """One sample's shape as the model takes it: (features,) or (channels, h, w)."""
        if len(self.shape) == 3:
            return (self.shape[2], *self.shape[:2])
        return (1, *self.shape) if len(self.shape) == 2 else self.shape

    def to_model_shape(self, array: A) -> A:
        """Return samples as the model takes them, a view of what is given."""
        if len(self.shape) == 2:
            return array[:, None]
        if len(self.shape) == 1:
            return array
        return np.moveaxis(array, 3, 1) if isinstance(array, np.ndarray) else array.movedim(3, 1)

    def from_model_shape(self, array: A) -> A:
        """Return samples as they were given, contiguous, from how the model gives them."""
        if len(self.shape) < 3:
            return array.reshape(len(array), *self.shape)
        if isinstance(array, np.ndarray):
            return np.ascontiguousarray(np.moveaxis(array, 1, 3))
        return array.movedim(1, 3).contiguous()

    def check(
        self, array: NDArray[Any] | Tensor, *, name: str = "X", owner: str = "Autoencoder"
    ) -> None:
        """Raise `DataError` unless samples have this shape; rows in scikit-learn's words."""
        shape = tuple(array.shape[1:])
        if shape == self.shape:
            return
        if len(shape) == len(self.shape) == 1:
            raise DataError(
                f"{name} has {shape[0]} features, but {owner} is expecting {self.size} features "
                "as input"
            )
        raise DataError(f"{name} has {told(shape)}, but {owner} was fitted on {told(self.shape)}")

    def to_json(self) -> dict[str, Any]:
        """Return the layout as plain JSON values."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the layout of what `to_json` returned; anything else is a `DataError`."""
        wrong = DataError(f"{value!r:.80} is not the layout of rows or pictures")
        if not isinstance(value, Mapping) or set(value) != {"kind", "shape", "dtype"}:
            raise wrong
        kind, shape, dtype = value["kind"], value["shape"], value["dtype"]
        if not isinstance(shape, list | tuple) or not isinstance(dtype, str):
            raise wrong
        kinds = {1: "rows", 2: "pictures", 3: "pictures"}
        if kind != kinds.get(len(shape)) or not all(is_whole(side, 1, 2**40) for side in shape):
            raise wrong
        return cls(kind, tuple(int(side) for side in shape), dtype)


def told(shape: tuple[int, ...]) -> str:
    """Return what samples of a shape are called: ``"pictures of 28 × 28"``."""
    if len(shape) == 1:
        return f"rows of {shape[0]} columns"
    return f"pictures of {' × '.join(str(side) for side in shape)}"
