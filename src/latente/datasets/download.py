"""Fetch files once: written beside and renamed, so that what is there is whole and as expected."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ..errors import FileError
from ..version import __version__

TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""
PIECE = 2**18
"""Bytes read at a time."""

log = logging.getLogger("latente")


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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    except OSError as error:
        raise FileError(f"{target.parent} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            receive(url, file, digest)
        os.replace(beside, target)
    except BaseException as error:
        os.unlink(beside)
        if isinstance(error, FileError) or not isinstance(error, (OSError, HTTPException)):
            raise
        raise FileError(f"{url}: {why(error)}") from error


def receive(url: str, file: IO[bytes], digest: str) -> None:
    """Write what an address sends to a file, and raise `FileError` if it is not what it should."""
    algorithm, _, expected = digest.partition(":")
    hashed, received = hashlib.new(algorithm, usedforsecurity=False), 0
    request = Request(url, headers={"User-Agent": f"latente/{__version__}"})
    with urlopen(request, timeout=TIMEOUT) as answer:
        while piece := answer.read(PIECE):
            file.write(piece)
            hashed.update(piece)
            received += len(piece)
        announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and received < int(announced):
        raise FileError(f"{url} ended after {received:,} of {int(announced):,} bytes")
    if hashed.hexdigest() != expected:
        raise FileError(f"{url} sent another file than expected: its {algorithm} does not match")


def why(error: Any) -> str:
    """Return in a few words why a download failed."""
    if isinstance(error, HTTPError):
        return f"the server answers {error.code}"
    if isinstance(error, URLError):
        error = error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
