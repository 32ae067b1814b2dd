"""Pictures in files, as a model takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..data.pictures import read_folder, read_picture
from ..errors import DataError
from ..storage.files import StrPath

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..estimator import Autoencoder


def picture_size(autoencoder: Autoencoder) -> tuple[tuple[int, int], int]:
    """Return (height, width) and channels of the pictures an autoencoder takes.

    Raises
    ------
    DataError
        If it takes rows.
    """
    shape = autoencoder.fitted_.given.layout.shape
    if len(shape) < 2:
        raise DataError("this model was fitted on rows of numbers, not on pictures")
    height, width, channels = (*shape, 1)[:3]
    return (height, width), channels


def read_for(autoencoder: Autoencoder, path: StrPath) -> Dataset:
    """Read a picture or a folder of pictures in the size and kind that an autoencoder takes."""
    size, channels = picture_size(autoencoder)
    place = Path(path).expanduser()
    read = read_folder if place.is_dir() else read_picture
    return read(place, size=size, channels=channels)
