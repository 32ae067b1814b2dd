"""The explorer: a page on which to walk through the latent space of a model with your hands."""

from .api import explore, watch_fit
from .scene import Scene

__all__ = ["Scene", "explore", "watch_fit"]
