"""The families of parts: for each keyword of the estimator that takes a part, its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .bottlenecks.table import BOTTLENECKS
from .corruptions import CORRUPTIONS
from .losses import LOSSES
from .networks.table import NETWORKS
from .optimizers import OPTIMIZERS
from .schedules import SCHEDULES

FAMILIES: dict[str, Mapping[str, type[Any]]] = {
    "network": NETWORKS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
