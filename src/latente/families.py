"""The families of parts: what the command line, files, documentation and tests are derived from."""

from __future__ import annotations

from typing import Any

from .bottlenecks import BOTTLENECKS
from .corruptions import CORRUPTIONS
from .losses import LOSSES
from .networks import NETWORKS
from .optimizers import OPTIMIZERS
from .parts import Table
from .schedules import SCHEDULES

FAMILIES: dict[str, Table[Any]] = {
    "network": NETWORKS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""Each family's table, by the keyword of the estimator that takes one of its parts."""
