"""What a model gives, delivered: to a file, a folder, stdout, or inside a JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import output as out
from . import sinks
from .guard import Refusal, say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..estimator import Autoencoder

PICTURES = (sinks.FOLDER, ".png")
ANYTHING = (*sinks.TABLES, *PICTURES)


def deliver(
    what: str,
    values: Any,
    path: Path | None,
    json: bool,
    model: Autoencoder,
    *,
    columns: Sequence[str] = (),
    names: Sequence[str] | None = None,
    across: int | None = None,
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Write values where they were asked for, and say so.

    Parameters
    ----------
    what
        What the values are, for the JSON object and the message.
    values
        Array or data frame, one row a sample.
    path
        A file, a folder, one picture; None for stdout.
    json
        Whether to answer with a JSON object, which holds the values where there is no path.
    model
        The model that gave them; pictures have its scale.
    columns
        Names of an array's columns; without any, those of the model where it knows some.
    names
        File names of pictures in a folder.
    across
        How many pictures lie side by side in one.
    beside
        What else the JSON object tells.
    """
    columns = columns if len(columns) else columns_of(model)
    if path is not None:
        if sinks.kind(str(path)) in PICTURES:
            write_pictures(values, path, model, names, across)
        else:
            sinks.write_values(values, path, columns)
    size = {"rows": len(values), "shape": list(values.shape)}
    if json:
        held = {"output": path} if path is not None else {what: listed(values)}
        out.answer({**size, **held, **(beside or {})}, json, lambda: None)
    elif path is None:
        sinks.write_values(values, None, columns)
    else:
        say(f"{what}: {' × '.join(map(str, values.shape))} → {path}")


def columns_of(model: Autoencoder) -> Sequence[str]:
    """Return the names of what a model gives back, where it knows any."""
    same = model.fitted_.wanted is model.fitted_.given
    return (same and model.columns_) or ()


def listed(values: Any) -> Any:
    """Return values as lists: rows of an array, columns of a data frame."""
    if sinks.is_frame(values):
        columns = sinks.frames().from_native(values).to_dict(as_series=False)
        return dict(columns)
    return values


def write_pictures(
    values: Any,
    path: Path,
    model: Autoencoder,
    names: Sequence[str] | None,
    across: int | None,
) -> None:
    """Write values as pictures: each into the folder, or all into one."""
    drawn = pictures(values, path, model)
    if sinks.kind(str(path)) == ".png":
        sinks.write_grid(drawn, path, across)
        return
    digits = len(str(len(drawn) - 1))
    sinks.write_pictures(drawn, path, names or [f"{i:0{digits}}.png" for i in range(len(drawn))])


def pictures(values: Any, path: Path, model: Autoencoder) -> NDArray[Any]:
    """Return values as pictures of bytes, (n, h, w, c), black and white the ends of their scale."""
    import numpy as np

    data = model.fitted_.wanted
    if len(data.shape) != 3:
        raise Refusal(f"{path}: rows of numbers are no pictures; write a .npy, .csv or .parquet")
    scaled = data.scaling_map.transform(data.layout.to_model_shape(np.asarray(values)))
    low, high = data.bounds or data.range
    shades = np.rint((scaled - low) * (255 / (high - low))).clip(0, 255)
    return np.moveaxis(shades.astype(np.uint8), 1, -1)
