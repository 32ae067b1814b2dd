"""Where data sets lie: in the folder the user names, or in a cache of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import FileError

DATA = "LATENTE_DATA"
"""The environment variable that names a folder with copies of data sets."""
CACHE = "LATENTE_CACHE"
"""The environment variable that names the folder downloads are kept in."""


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
