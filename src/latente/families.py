"""The families of parts: from a name to its class, for whatever lists parts or looks one up."""

from __future__ import annotations

from collections.abc import Mapping

from .bottlenecks.table import BOTTLENECKS
from .corruptions import CORRUPTIONS
from .losses import LOSSES
from .networks.table import NETWORKS
from .optimizers import OPTIMIZERS
from .schedules import SCHEDULES

FAMILIES: dict[str, Mapping[str, type]] = {
    "network": NETWORKS,
    "bottleneck": BOTTLENECKS,
    "corruption": CORRUPTIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
