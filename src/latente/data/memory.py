"""What fits in memory: files that claim more are refused before they are unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError

LARGE = 256 * 2**20
"""From this many bytes on, an array that can be mapped into memory is not read as a whole."""


def physical() -> int | None:
    """Return the machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def guard(nbytes: int, path: str | Path) -> None:
    """Raise `DataError` where a file would unpack to more bytes than the machine has memory."""
    available = physical()
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
