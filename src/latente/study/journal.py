"""Optuna's journal file, made safe against processes that are killed while they write.

A journal is a file of one JSON line a change. A process that is killed may leave half a line, and
must not leave a lock: the lock is the system's own, which ends with its process, and the next
writer removes the half line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

BLOCK = 2**16


class Journal(JournalFileBackend):
    """A journal whose last line may be torn: what a killed writer left is removed.

    Parameters
    ----------
    path
        The file; made if it is not there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append changes, each one line, whole and on the disk."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with locked(self.path), open(self.path, "rb+") as file:
            end = whole_lines(file)
            file.truncate(end)
            file.seek(end)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def whole_lines(file: Any) -> int:
    """Return where the last whole line of an open file ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(end - BLOCK, 0)
        file.seek(start)
        place = file.read(end - start).rfind(b"\n")
        if place >= 0:
            return int(start + place + 1)
        end = start
    return 0


def open_journal(path: str) -> JournalStorage:
    """Return Optuna's storage in a journal file."""
    return JournalStorage(Journal(path))


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of a file while it is written; it ends with the process, however that ends."""
    if sys.platform == "win32":
        import msvcrt

        with open(path + ".lock", "ab") as file:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        return
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
