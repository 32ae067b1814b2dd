"""What all figures share: colours, canvases and axes, and how numbers are written.

Figures are matplotlib `Figure` objects made without pyplot, so that no backend is chosen and no
global state is changed.
"""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

INK = "#1c2733"
MUTED = "#66727f"
LINE = "#d5dbe2"
TILE = "#f1f3f6"
PAPER = "#ffffff"

# Petroff (2021), "Accessible Color Sequences for Data Visualization", ten colours, reordered so
# that the first ones differ most.
COLOURS = (
    "#3f90da",
    "#e76300",
    "#832db6",
    "#bd1f01",
    "#a96b59",
    "#ffa90e",
    "#717581",
    "#92dadd",
    "#b9ac70",
    "#94a4a2",
)
TRAIN, VALIDATION = COLOURS[0], COLOURS[1]
SMALL, NORMAL = 8.5, 10.0
SHOWN_DPI = 72
"""Pixels an inch of a figure in a notebook; its picture has twice as many, for sharp screens."""


class ShownFigure(Figure):
    """A figure that a notebook shows, also where pyplot is not imported and tells it how to."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as a PNG, and the size at which it is shown, in pixels."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        width, height = (round(inches * SHOWN_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def canvas(width: float, height: float) -> Figure:
    """Return an empty white figure of that size in inches."""
    return ShownFigure(figsize=(width, height), facecolor=PAPER, dpi=144)


def panel(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a position in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def dress(axes: Axes, xlabel: str = "", ylabel: str = "") -> None:
    """Give axes with numbers on them the shared look: two spines, a light grid, small labels."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(which="both", colors=MUTED, labelsize=SMALL, length=0, pad=4)
    axes.grid(True, color=LINE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=MUTED, fontsize=SMALL)
    axes.set_ylabel(ylabel, color=MUTED, fontsize=SMALL)


def bare(axes: Axes) -> None:
    """Remove everything but the content from axes that hold pictures."""
    axes.set_axis_off()
    axes.set_facecolor("none")


def heading(axes: Axes, text: str, note: str = "") -> Text:
    """Write a panel's title at its upper left, with a note in a lighter colour at the right."""
    title = axes.set_title(text, loc="left", color=INK, fontsize=NORMAL, fontweight="bold", pad=8)
    if note:
        axes.set_title(note, loc="right", color=MUTED, fontsize=SMALL, pad=8)
    return title


def short(value: float) -> str:
    """Return a number with three significant digits, in full from 1,000 on."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share as a percentage with its sign."""
    return f"{share:+.0%}".replace("-", "−")


def decibels(value: float) -> str:
    """Return a ratio in decibels."""
    return f"{value:.1f} dB"


def signed(value: float, digits: int = 1) -> str:
    """Return a number with a proper minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")
