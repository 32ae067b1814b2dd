"""How much memory this process may take: the machine's, or less where a container has a limit.

Limits are read from Linux's control groups, of version 2 and of version 1:
https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ..errors import DataError

UNIFIED = (("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory.max")
"""Where version 2 may be mounted, and the file of a group that has its limit."""
LEGACY = (("sys/fs/cgroup/memory",), "memory.limit_in_bytes")
"""The same of version 1."""


def physical_memory(root: Path = Path("/")) -> int | None:
    """Return the memory in bytes that this process may take, or None where nobody says.

    Parameters
    ----------
    root
        The folder that ``proc`` and ``sys`` lie in.
    """
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        sizes = []
    return min([*sizes, *cgroup_limits(root), *process_limits()], default=None)


def process_limits() -> list[int]:
    """Return the limits in bytes that this process was started with, as ``ulimit -d`` sets them."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    found = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in found if limit != resource.RLIM_INFINITY]


@lru_cache(maxsize=8)
def cgroup_limits(root: Path = Path("/")) -> tuple[int, ...]:
    """Return the limits in bytes of this process's control groups and of those they lie in.

    They are read once, since they are asked for at every picture. A group that is not there is left
    out: a container sees its own group as the mount itself.
    """
    limits: list[int] = []
    for line in read_lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        mounts, name = LEGACY if controllers else UNIFIED
        group = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            for folder in () if ".." in group.parts else (group, *group.parents):
                found = read_lines(root / mount / folder / name)
                limits += [int(value) for value in found[:1] if value.isdecimal()]
    return tuple(limits)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file of the system; none where it is not there."""
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def check_memory(nbytes: int, path: str | Path) -> None:
    """Raise `DataError` where a file would unpack to more bytes than there is memory."""
    available = physical_memory()
    if available is not None and nbytes > available:
        raise DataError(
            f"{path} unpacks to {amount(nbytes)}, more than the {amount(available)} of memory "
            "here; give it as an uncompressed .npy file, which is read piece by piece"
        )


def amount(nbytes: float) -> str:
    """Return a number of bytes as a person reads it: ``"11.2 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if nbytes < 1000 or unit == "TB":
            break
        nbytes /= 1000
    return f"{nbytes:.0f} {unit}" if unit == "bytes" or nbytes >= 100 else f"{nbytes:.1f} {unit}"
