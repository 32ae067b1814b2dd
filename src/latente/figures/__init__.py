"""Every figure of a fitted autoencoder; each is a function that returns a matplotlib `Figure`.

Pictures are drawn as pictures, rows as small bar charts (as lines from 33 columns on), in standard
deviations from each column's mean. ``figure.savefig(path)`` writes PNG, SVG or PDF.
"""

from .charts import bars, curves, heatmap, parallel
from .filters import filters
from .maps import latent_map, latent_map_beside_pca, pca_map
from .pictures import (
    anomalies,
    contact_sheet,
    decode_grid,
    interpolation,
    reconstructions,
    rows,
    samples,
    sheet,
)
from .style import theme
from .training import history

__all__ = [
    "anomalies",
    "bars",
    "contact_sheet",
    "curves",
    "decode_grid",
    "filters",
    "heatmap",
    "history",
    "interpolation",
    "latent_map",
    "latent_map_beside_pca",
    "parallel",
    "pca_map",
    "reconstructions",
    "rows",
    "samples",
    "sheet",
    "theme",
]
