"""Files that are whole or not there at all: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import FileError

StrPath = str | os.PathLike[str]


@contextmanager
def atomic(path: StrPath) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place once it is whole and on the disk.

    The temporary file exists, is empty, has the suffix of `path` and the permissions that a new
    file would get, or those of the file it replaces. If anything is raised, it is removed and
    whatever was at `path` stays.

    Parameters
    ----------
    path
        The file to write; its folder must exist. A link is followed.

    Raises
    ------
    FileError
        If the file cannot be written: no such folder, no permission, disk full.

    Examples
    --------
    >>> with atomic("codes.csv") as place:  # doctest: +SKIP
    ...     table.to_csv(place)
    """
    with _told(path):
        target = Path(os.path.realpath(path))
        _refuse_odd(path, target)
        temporary = _temporary(target, secrets.token_hex(4))
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)


@contextmanager
def staging(folder: StrPath) -> Iterator[Path]:
    """Yield an empty folder inside `folder`, whose files move into `folder` once all are whole.

    Files in folders below keep their places.

    Parameters
    ----------
    folder
        Where the files are to be; made if it is not there, and removed again if nothing came.

    Raises
    ------
    FileError
        If the folder cannot be made or a file cannot be written.
    """
    home = Path(folder)
    with _told(folder):
        fresh = not home.exists()
        if not fresh and not home.is_dir():
            raise FileError(f"cannot write into {folder}: it is no folder")
        home.mkdir(parents=True, exist_ok=True)
        try:
            with TemporaryDirectory(prefix=".latente-", dir=home) as stage:
                yield Path(stage)
                files = sorted(file for file in Path(stage).rglob("*") if file.is_file())
                for file in files:
                    _sync(file)
                for file in files:
                    place = home / file.relative_to(stage)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(file, place)
        except BaseException:
            if fresh:
                with suppress(OSError):
                    home.rmdir()
            raise
        _sync_folder(home)


def clear_leftovers(path: StrPath) -> None:
    """Remove what writers of `path` left beside it when they were killed."""
    target = Path(os.path.realpath(path))
    name = "[0-9a-f]{8}".join(re.escape(part) for part in _temporary(target, "\0").name.split("\0"))
    with suppress(OSError):
        for entry in list(target.parent.iterdir()):
            if re.fullmatch(name, entry.name):
                entry.unlink()


def _temporary(target: Path, token: str) -> Path:
    # Cut short, so that the name is legal where the target's own is nearly as long as can be.
    return target.with_name(f".{target.stem[:20]}-{token}{target.suffix[-20:]}")


def _refuse_odd(path: StrPath, target: Path) -> None:
    """Refuse to put a file in the place of a folder, a device or a pipe."""
    if target.is_dir():
        raise FileError(f"cannot write {path}: it is a folder")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it is no ordinary file")
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(f"cannot write {path}: it is write-protected")


@contextmanager
def _told(path: StrPath) -> Iterator[None]:
    """Turn whatever the system says against writing `path` into a sentence."""
    try:
        yield
    except FileError:
        raise
    except FileNotFoundError as error:
        folder = Path(path).parent
        why = error.strerror if folder.is_dir() else f"there is no folder {folder}"
        raise FileError(f"cannot write {path}: {why}") from error
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Bring a renaming to the disk, on systems that let one ask for it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
