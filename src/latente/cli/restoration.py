"""Damaged pictures of any size in a folder, restored: what ``latente reconstruct`` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from . import sinks
from .guard import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..estimator import Autoencoder


def damaged(spec: str, output: Path | None, size: str | None, model: Autoencoder) -> list[Path]:
    """Return the pictures that are to be restored one by one, each in its own size.

    None are where DATA is no folder, pictures are not written into one, or all are brought to one
    size: then they are worked on together.
    """
    folder = Path(spec).expanduser()
    shape = model.fitted_.given.layout.shape
    into_folder = output is not None and sinks.kind(str(output)) == sinks.FOLDER
    if not folder.is_dir() or not into_folder or size is not None or len(shape) == 1:
        return []
    from ..data.pictures import look, pictures

    found = pictures(folder)
    alike = all(look(path).shape == shape for path in found)
    return [] if alike and not model.fitted_.fills else found


def restore_all(
    model: Autoencoder, paths: list[Path], root: Path, output: Path, masks: str | None
) -> None:
    """Write the restored pictures under the names, and in the formats, of the damaged ones."""
    names = [os.path.relpath(path, root) for path in paths]
    sinks.write_pictures(restored(model, paths, root, masks), output, names)


def restored(
    model: Autoencoder, paths: list[Path], root: Path, masks: str | None
) -> Iterator[NDArray[Any]]:
    """Yield each picture restored, (h, w) or (h, w, c) uint8."""
    from ..data.pictures import Look, look, pixels
    from ..restoration import restore

    for path in paths:
        told = look(path)
        picture = pixels(path, Look(told.height, told.width, told.channels, "uint8"))
        mask = None
        if masks is not None:
            mask = mask_of(path.relative_to(root), Path(masks).expanduser())
        elif model.fitted_.fills:
            mask = pixels(path, Look(told.height, told.width, 4, "uint8"))[..., 3] == 0
        try:
            values = restore(model, from_bytes(picture, model), mask)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        yield to_bytes(values, model)


def mask_of(name: Path, masks: Path) -> NDArray[Any]:
    """Return where a picture is missing: white in the mask of its name, or in the one for all."""
    from ..data.pictures import Look, look, pixels

    path = masks / name if masks.is_dir() else masks
    if masks.is_dir() and not path.exists():
        path = next(iter(sorted(path.parent.glob(f"{name.stem}.*"))), path)
    if not path.exists():
        raise Refusal(f"{path}: there is no such mask; give one picture for all, or one for each")
    told = look(path)
    mask: NDArray[Any] = pixels(path, Look(told.height, told.width, 1, "uint8")) >= 128
    return mask


def from_bytes(picture: NDArray[Any], model: Autoencoder) -> NDArray[Any]:
    """Return a picture of bytes in the scale and type of the pictures of the fit."""
    import numpy as np

    given = model.fitted_.given
    if given.layout.dtype == "uint8":
        return picture
    low, high = span(given)
    values = low + picture * ((high - low) / 255)
    kind = np.dtype(given.layout.dtype)
    return (np.rint(values) if kind.kind in "iu" else values).astype(kind)


def to_bytes(picture: NDArray[Any], model: Autoencoder) -> NDArray[Any]:
    """Return a picture in the scale of the fit's targets as bytes."""
    import numpy as np

    if picture.dtype == np.uint8:
        return picture
    low, high = span(model.fitted_.wanted)
    shades: NDArray[Any] = np.rint((picture - low) * (255 / (high - low))).clip(0, 255)
    return shades.astype(np.uint8)


def span(data: Any) -> tuple[float, float]:
    """Return black and white in the scale of the pictures of the fit."""
    low, high = data.bounds or data.range
    scaling = data.scaling_map
    return (
        float((scaling.shift + low * scaling.span).min()),
        float((scaling.shift + high * scaling.span).max()),
    )


def masks_of(spec: str, rows: int) -> NDArray[Any]:
    """Return the masks of data that are worked on together: one for each, or one for all."""
    import numpy as np

    path = Path(spec).expanduser()
    if path.suffix.lower() == ".npy" or path.is_dir():
        from .inputs import open_data

        return np.asarray(open_data(spec).X)[:rows]
    mask = mask_of(Path(path.name), path)
    return np.broadcast_to(mask, (rows, *mask.shape))
