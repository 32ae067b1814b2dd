"""Where data sets lie, and how they get there.

A set is looked for in the folder the user names, then in a cache of our own. What is downloaded is
written beside and renamed, so that what is there is whole and as expected.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ..errors import FileError
from ..storage.files import atomic
from ..version import __version__

DATA = "LATENTE_DATA"
"""The environment variable that names a folder with copies of data sets."""
CACHE = "LATENTE_CACHE"
"""The environment variable that names the folder downloads are kept in."""
TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""
PIECE = 2**18
"""Bytes read at a time."""

log = logging.getLogger("latente")


def cache() -> Path:
    """Return the folder that downloads are kept in: LATENTE_CACHE, or the platform's own."""
    if named := os.environ.get(CACHE):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "latente"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local or Path.home() / "AppData" / "Local") / "latente" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latente"


def copies() -> Path | None:
    """Return the folder that LATENTE_DATA names, or None where it names none.

    Raises
    ------
    FileError
        If there is no such folder.
    """
    named = os.environ.get(DATA)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise FileError(f"{DATA} names the folder {folder}, which is not there")
    return folder


def folders(name: str, *others: str) -> Iterator[Path]:
    """Give the folders that may hold a data set: in LATENTE_DATA, then in the cache."""
    own = copies()
    if own is not None:
        yield from (own / each for each in (name, *others))
    yield cache() / name


def unfetched(name: str, reason: str, wanted: str) -> FileError:
    """Return the error for a data set that is neither there nor to be had.

    Parameters
    ----------
    name
        The data set, which is also the folder it is looked for in.
    reason
        Why it could not be fetched.
    wanted
        The files that would do.
    """
    return FileError(
        f"the data set {name!r} is not here and could not be fetched ({reason}): put {wanted} "
        f"into {cache() / name}, or into the folder {name!r} in the folder that {DATA} names"
    )


@dataclass(frozen=True)
class Remote:
    """A file to be had from the network.

    Parameters
    ----------
    name
        What it is called here.
    urls
        Where it can be had; the first that gives the right file is used.
    digest
        What its bytes hash to, after the name of the hash: ``"sha256:440fca..."``.
    """

    name: str
    urls: tuple[str, ...]
    digest: str


def fetch(remotes: Sequence[Remote], folder: Path) -> None:
    """Bring all the files into a folder; those that are there already are left alone.

    Raises
    ------
    FileError
        If one cannot be had, naming the reason. No part of it is left behind.
    """
    for remote in remotes:
        if (folder / remote.name).is_file():
            continue
        reason = None
        for url in remote.urls:
            try:
                download(url, folder / remote.name, remote.digest)
            except FileError as error:
                reason = reason or error
            else:
                break
        else:
            raise reason or FileError(f"{remote.name} can be had nowhere")


def download(url: str, target: Path, digest: str) -> None:
    """Download one file, check it and put it in its place, or leave nothing.

    Raises
    ------
    FileError
        If the address does not answer, the file ends early, is another than expected, or cannot
        be written.
    """
    log.info("fetching %s", url)
    algorithm, _, expected = digest.partition(":")
    hashed = hashlib.new(algorithm, usedforsecurity=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{target.parent} cannot be made: {error.strerror}") from error
    with closing(pieces(url)) as sent, atomic(target) as place, place.open("wb") as file:
        for piece in sent:
            file.write(piece)
            hashed.update(piece)
        if hashed.hexdigest() != expected:
            raise FileError(f"{url} sent another file than expected: its {algorithm} differs")


def pieces(url: str) -> Generator[bytes, None, None]:
    """Give what an address sends, piece by piece.

    Raises
    ------
    FileError
        If it does not answer, stops answering, or ends before it said it would.
    """
    request = Request(url, headers={"User-Agent": f"latente/{__version__}"})
    received = 0
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            while piece := answer.read(PIECE):
                received += len(piece)
                yield piece
            announced = answer.headers.get("Content-Length", "")
    except (OSError, HTTPException) as error:
        raise FileError(f"{url}: {why(error)}") from error
    if announced.isdigit() and received < int(announced):
        raise FileError(f"{url} ended after {received:,} of {int(announced):,} bytes")


def why(error: Any) -> str:
    """Return in a few words why a download failed."""
    if isinstance(error, HTTPError):
        error.close()
        return f"the server answers {error.code}"
    if isinstance(error, URLError):
        error = error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
