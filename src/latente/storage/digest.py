"""A digest of numbers and of what describes them, which identifies a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def digest(
    described: object, weights: Mapping[str, Tensor], arrays: Iterable[tuple[str, NDArray[Any]]]
) -> str:
    """Return 64 hexadecimal digits that change with any of the values.

    Parameters
    ----------
    described
        JSON values; anything else counts by its text.
    weights
        Of a network, by name, in any order and on any device.
    arrays
        By name, in their order.
    """
    text = json.dumps(described, sort_keys=True, default=str)
    total = hashlib.sha256(text.encode())
    on_cpu = ((name, weights[name].cpu().numpy()) for name in sorted(weights))
    for name, value in [*on_cpu, *arrays]:
        array = np.asarray(value)
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
