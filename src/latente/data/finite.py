"""The search for NaN and infinity in arrays of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .blocks import as_numpy, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Bools = NDArray[np.bool_]


def check_finite(
    array: NDArray[Any] | Tensor,
    *,
    name: str = "X",
    names: Sequence[object] | None = None,
    allow_missing: bool = False,
) -> None:
    """Raise `DataError` at the first NaN or infinity, naming its place and how many there are.

    Parameters
    ----------
    array
        Rows (n, features) or pictures (n, h, w) or (n, h, w, c).
    name
        What the array is called.
    names
        What its columns are called.
    allow_missing
        Whether NaN is let through.
    """
    first: tuple[int, ...] | None = None
    count, value = 0, 0.0
    for start, block in blocks(array):
        if quickly_finite(block):
            continue
        plain = as_numpy(block)
        bad: Bools = np.isinf(plain) if allow_missing else ~np.isfinite(plain)
        if first is None and bad.any():
            place = np.unravel_index(int(np.argmax(bad)), bad.shape)
            value = float(plain[place])
            first = (start + int(place[0]), *map(int, place[1:]))
        count += int(np.count_nonzero(bad))
    if first is not None:
        raise DataError(sentence(value, first, count, name, names))


def quickly_finite(block: NDArray[Any] | Tensor) -> bool:
    """Whether one sum shows a block to be finite; it may miss that, never the contrary."""
    if isinstance(block, np.ndarray):
        if block.dtype.kind != "f":
            return True
        with np.errstate(over="ignore", invalid="ignore"):
            wide = np.float32 if block.dtype.itemsize == 2 else block.dtype
            return bool(np.isfinite(block.sum(dtype=wide)))
    import torch

    if not block.dtype.is_floating_point:
        return True
    wider = torch.float32 if block.dtype.itemsize == 2 else block.dtype
    return bool(torch.isfinite(block.sum(dtype=wider)))


def sentence(
    value: float, place: tuple[int, ...], count: int, name: str, names: Sequence[object] | None
) -> str:
    """Return what is wrong where: ``"X has NaN at row 17, column 3 ('age') ..."``."""
    what = "NaN" if np.isnan(value) else "infinity" if value > 0 else "-infinity"
    if len(place) == 2:
        title = f" ({names[place[1]]!r})" if names is not None else ""
        where = f"row {place[0]}, column {place[1]}{title}"
    else:
        axes = ("picture", "row", "column", "channel")
        where = ", ".join(f"{axis} {i}" for axis, i in zip(axes, place, strict=False))
    others = f", the first of {count:,} such values" if count > 1 else ""
    right = (
        "fill what is missing, or fit on a data frame, whose gaps are learned"
        if what == "NaN"
        else "every value must be finite"
    )
    return f"{name} has {what} at {where}{others}; {right}"
