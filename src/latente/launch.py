"""What `torchrun` tells a process that it started beside others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LAUNCHED = "TORCHELASTIC_RUN_ID"
OWNER = "LATENTE_LAUNCHED_PROCESS"
"""Environment variables: what torchrun sets, and the process that it set it for: a child of that
one inherits what torchrun said, and is none of those that it started."""

if LAUNCHED in os.environ:
    os.environ.setdefault(OWNER, str(os.getpid()))


def is_launched() -> bool:
    """Whether torchrun started this very process, beside others."""
    own = LAUNCHED in os.environ and os.environ.get(OWNER) == str(os.getpid())
    return own and int(os.environ.get("WORLD_SIZE", "1")) > 1


def rank() -> int:
    """Return the number of this process among all of them; 0 for the first, or one alone."""
    return int(os.environ.get("RANK", "0")) if is_launched() else 0


def local_rank() -> int:
    """Return its number among those of this machine; 0 for one alone."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_launched() else 0


_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """Let each process fit alone what is fitted inside."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


def is_apart() -> bool:
    """Whether what is fitted here is fitted by each process alone."""
    return _apart.get()
