"""The networks by name."""

from __future__ import annotations

from .base import Network
from .conv import Conv
from .dense import Dense

NETWORKS: dict[str, type[Network]] = {"dense": Dense, "conv": Conv}
