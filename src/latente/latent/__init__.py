"""Moving in the code space: paths, grids, directions, neighbours, and read-outs of attributes.

Everything here takes codes as `Autoencoder.transform` returns them, (n, latent), and returns codes
that `Autoencoder.inverse_transform` takes.
"""

from .attributes import Direction, Readout, direction, edit, readout
from .codes import grid, interpolate
from .neighbours import Nearest, nearest

__all__ = [
    "Direction",
    "Nearest",
    "Readout",
    "direction",
    "edit",
    "grid",
    "interpolate",
    "nearest",
    "readout",
]
