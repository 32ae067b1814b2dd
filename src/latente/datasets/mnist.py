"""MNIST and Fashion-MNIST: four IDX files each."""

from __future__ import annotations

from dataclasses import replace

from ..data.dataset import Dataset
from ..data.idx import read_idx_folder, train_images
from ..errors import FileError
from .download import Remote, cache, fetch, folders, unfetched

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
DIGESTS = {
    "mnist": (
        "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion-mnist": (  # as its authors publish them
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "md5:25c81989df183df01b3e8a0aad5dffbe",
        "md5:bef4ecab320f06d8554ea6380940ec79",
        "md5:bb300cfdad3c16e7a12a480ee83cd310",
    ),
}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip


def load(name: str) -> Dataset:
    """Return 60,000 pictures to learn from and 10,000 for testing, 28×28, uint8.

    Parameters
    ----------
    name
        ``"mnist"`` or ``"fashion-mnist"``.

    Raises
    ------
    FileError
        If the files are not here and cannot be fetched.
    """
    here = [folder for folder in folders(name, name.replace("-", "_")) if folder != cache() / name]
    own = next((folder for folder in here if train_images(folder)), None)
    if own is None:
        own = cache() / name
        try:
            fetch(remotes(name), own)
        except FileError as error:
            raise unfetched(name, str(error), ", ".join(FILES)) from error
    return replace(read_idx_folder(own), classes=CLASSES[name])


def remotes(name: str) -> list[Remote]:
    """Return the files of a set, with their addresses and digests."""
    return [
        Remote(file, tuple(mirror + file for mirror in MIRRORS[name]), digest)
        for file, digest in zip(FILES, DIGESTS[name], strict=True)
    ]
