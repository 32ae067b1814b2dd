"""Allocator: memory freed in one step is there for the next, and given back after the fit.

A step frees what it allocated. The GNU C library hands large blocks back to the system at once, and
the system fills them with zeros, page by page, for the next step: a tenth of the time of a
convolutional step.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of mallopt(3)'s parameters
LARGEST = 32 << 20
"""Bytes of the largest block that the library lets be kept."""
ALL = 2**31 - 1
USUAL = 2 * LARGEST
"""Free bytes from which the library, left to itself, gives memory back once large blocks came."""


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """Keep freed memory for the next step while the context lasts; only where that is needed.

    Parameters
    ----------
    device
        Where the steps are computed: a GPU's memory is kept by torch itself.
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(MMAP_THRESHOLD, LARGEST)
    library.mallopt(TRIM_THRESHOLD, ALL)
    try:
        yield
    finally:
        library.mallopt(TRIM_THRESHOLD, USUAL)
        library.malloc_trim(0)
