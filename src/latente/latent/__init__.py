"""Moving in the code space: paths, grids, directions, neighbours, and what a code tells.

Everything here takes codes as `Autoencoder.transform` gives them, (n, latent), and gives codes that
`Autoencoder.inverse_transform` takes.
"""

from .directions import Direction, direction, edit
from .neighbours import Nearest, nearest
from .paths import grid, interpolate
from .readouts import Readout, readout

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
