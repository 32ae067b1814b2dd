"""Networks: how encoder and decoder are built for the shape of the data, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parts import Table

if TYPE_CHECKING:
    from .base import Network

NETWORKS: Table[Network] = Table(
    "networks.base.Network",
    dense="networks.dense.Dense",
    conv="networks.conv.Conv",
    recurrent="networks.recurrent.Recurrent",
)
