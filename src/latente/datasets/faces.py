"""The ORL database of faces: 40 people, ten pictures each.

When using these images, credit AT&T Laboratories Cambridge.
"""

from __future__ import annotations

import numpy as np

from ..data.dataset import Dataset
from ..data.pictures import pictures, read_folder
from .places import cache, folders, unfetched

WANTED = "the folders s1 to s40 with their PGM pictures"
PEOPLE = 40


def load() -> Dataset:
    """Return 400 grey faces, uint8, labelled by person; nothing is split off for testing.

    From a copy of the folders s1 to s40 the pictures are 112×92. Without one, scikit-learn
    fetches them as 64×64 (the "Olivetti faces") into the cache.

    Raises
    ------
    FileError
        If they are not here and cannot be fetched.
    """
    for folder in folders("faces", "orl", "att_faces"):
        if (folder / "s1").is_dir() and pictures(folder):
            return read_folder(folder)
    from sklearn.datasets import fetch_olivetti_faces

    try:
        bunch = fetch_olivetti_faces(data_home=cache() / "faces", n_retries=1, delay=0.1)
    except OSError as error:
        raise unfetched("faces", str(error), WANTED) from error
    return Dataset(
        X=np.rint(bunch.images * 255).astype(np.uint8),
        y=bunch.target.astype(np.int64),
        classes=tuple(f"person {i}" for i in range(1, PEOPLE + 1)),
    )
