"""Files that are whole or not there at all: written beside their place, then renamed into it.

::

    out.csv   ←rename─  .out-5f3c9a1e0.csv    locked while its writer lives, cleared when it is dead

What is written beside a file has one of a few names that follow from the file's own. So the next
writer of the same file finds what a killed one left, without a search, and removes it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import FileError

if sys.platform != "win32":
    import fcntl

StrPath = str | os.PathLike[str]
WRITERS = 8
"""How many may write the same file, or into the same folder, at one time."""
STAGE = ".latente-"
"""How the names of folders begin in which files wait until all are whole."""


@contextmanager
def atomic(path: StrPath) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place once it is whole and on the disk.

    The temporary file exists, is empty, has the suffix of `path` and the permissions that a new
    file would get, or those of the file it replaces. If anything is raised, it is removed and
    whatever was at `path` stays. What a killed writer of `path` left is removed.

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
    >>> with atomic("codes.csv") as temporary:  # doctest: +SKIP
    ...     table.to_csv(temporary)
    """
    with _explained(path):
        target = Path(os.path.realpath(path))
        _refuse_odd(path, target)
        with _claimed(path, _beside(target), _make_file) as temporary:
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            _sync(temporary)
            os.replace(temporary, target)
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
        If the folder cannot be made or a file cannot be written; if a link lies in the folder
        where one of the files is to be, since the file would go to where the link leads.
    """
    home = Path(folder)
    with _explained(folder):
        fresh = not home.exists()
        if not fresh and not home.is_dir():
            raise FileError(f"cannot write into {folder}: it is no folder")
        home.mkdir(parents=True, exist_ok=True)
        names = [home / f"{STAGE}{number}" for number in range(WRITERS)]
        try:
            with _claimed(folder, names, Path.mkdir) as stage:
                yield stage
                files = sorted(file for file in stage.rglob("*") if file.is_file())
                for file in files:
                    _sync(file)
                places = [_place(home, file.relative_to(stage)) for file in files]
                for file, place in zip(files, places, strict=True):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(file, place)
        except BaseException:
            if fresh:
                with suppress(OSError):
                    home.rmdir()
            raise
        _sync_folder(home)


@contextmanager
def held(folder: StrPath, otherwise: str) -> Iterator[None]:
    """Hold a folder for this use alone, until it ends or the process does, in whatever way.

    Where the system has no such locks, nobody is refused.

    Parameters
    ----------
    folder
        It must exist. What lies in it is not touched.
    otherwise
        What to say where it is held already.

    Raises
    ------
    FileError
        If it is held already, or cannot be read.
    """
    place = Path(os.path.realpath(folder))
    if not os.access(place, os.R_OK):
        raise FileError(f"cannot use {folder}: it cannot be read")
    lock = _lock(place)
    if lock is None:
        raise FileError(f"cannot use {folder}: {otherwise}")
    try:
        yield
    finally:
        os.close(lock)


def is_temporary(name: str) -> bool:
    """Whether a name in a folder is one of those under which `staging` keeps files for a while."""
    return name.startswith(STAGE)


def _place(home: Path, inside: Path) -> Path:
    """Return where a file is to be in a folder, or refuse a link or a folder that is there."""
    place = home
    for part in inside.parts:
        place /= part
        if place.is_symlink():
            raise FileError(f"cannot write {home / inside}: {place} is a link")
    if place.is_dir():
        raise FileError(f"cannot write {place}: it is a folder")
    return place


def _beside(target: Path) -> list[Path]:
    """Return the names that temporary files of a target may have."""
    # Cut short, so that the name is legal where the target's own is nearly as long as can be.
    mark = hashlib.blake2b(os.fsencode(target.name), digest_size=4).hexdigest()
    stem, suffix = target.stem[:20], target.suffix[-20:]
    return [target.with_name(f".{stem}-{mark}{number}{suffix}") for number in range(WRITERS)]


@contextmanager
def _claimed(path: StrPath, names: list[Path], make: Callable[[Path], object]) -> Iterator[Path]:
    """Make a file or folder of one of these names, lock it, and remove it at the end if it stays.

    Those of the names that a killed process left are removed, those of a living one are kept.
    """
    for name in names:
        _clear(name)
    for name in names:
        try:
            make(name)
        except FileExistsError:
            continue
        lock = _lock(name)
        if lock is not None:
            break
    else:
        raise FileError(f"cannot write {path}: other processes are writing it")
    try:
        yield name
    finally:
        if _is(lock, name):
            _remove(name)
        os.close(lock)


def _make_file(name: Path) -> None:
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _lock(name: Path) -> int | None:
    """Return a descriptor that holds the lock of a file or folder; None if another process does.

    The system releases the lock when the process ends, in whatever way. Where there are no such
    locks, every name counts as free.
    """
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)
    try:
        lock = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        return lock
    # Between making and locking, another process may have cleared the name.
    if _is(lock, name):
        return lock
    os.close(lock)
    return None


def _is(lock: int, name: Path) -> bool:
    """Whether a file or folder is still the one that was locked."""
    if sys.platform == "win32":
        return True
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(name))
    except OSError:
        return False


def _clear(name: Path) -> None:
    """Remove a temporary file or folder unless a living process holds its lock."""
    lock = _lock(name) if os.path.lexists(name) else None
    if lock is not None:
        _remove(name)
        os.close(lock)


def _remove(name: Path) -> None:
    with suppress(OSError):
        if name.is_dir() and not name.is_symlink():
            shutil.rmtree(name)
        else:
            name.unlink()


def _refuse_odd(path: StrPath, target: Path) -> None:
    """Refuse to put a file in the place of a folder, a device or a pipe."""
    if target.is_dir():
        raise FileError(f"cannot write {path}: it is a folder")
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it is no ordinary file")
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(f"cannot write {path}: it is write-protected")


@contextmanager
def _explained(path: StrPath) -> Iterator[None]:
    """Turn whatever the system reports about writing `path` into a sentence."""
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
