"""The networks by name."""

from __future__ import annotations

from .conv import Conv
from .dense import Dense
from .network import Network

NETWORKS: dict[str, type[Network]] = {"dense": Dense, "conv": Conv}
