"""What all figures share: colours, canvases and axes, and how numbers are written.

Figures are matplotlib `Figure` objects made without pyplot, so that no backend is chosen and no
global state is changed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..errors import ParameterError
from ..parts import listed


@dataclass(frozen=True)
class Theme:
    """The colours of figures.

    Parameters
    ----------
    ink
        Of text, and of what pictures of ink are drawn with.
    muted
        Of labels and notes.
    line
        Of axes and grids.
    tile
        Of the sheet beneath a picture of ink.
    paper
        Of the background.
    colours
        Ten that tell classes and lines apart, for all eyes. Found by a search for those whose least
        distance in OKLab (Ottosson, 2020) is greatest, as seen with normal vision and with either
        of the two kinds of red-green blindness (Machado et al., 2009).
    scale
        The part of the colour map "viridis" that is seen well on the paper, from 0 to 1.
    """

    ink: str
    muted: str
    line: str
    tile: str
    paper: str
    colours: tuple[str, ...]
    scale: tuple[float, float]


LIGHT = Theme(
    ink="#1c2733",
    muted="#66727f",
    line="#d5dbe2",
    tile="#f1f3f6",
    paper="#ffffff",
    colours=(
        "#2f7bd8", "#e76300", "#2bdbb7", "#3a1383", "#f1b10f",
        "#b14781", "#0300e8", "#9fa5fe", "#65001b", "#764f01",
    ),
    scale=(0.0, 0.93),
)  # fmt: skip
DARK = Theme(
    ink="#e8edf2",
    muted="#9aa7b4",
    line="#3a4654",
    tile="#1f2833",
    paper="#141b23",
    colours=(
        "#5ca3ff", "#fa801a", "#26f0ff", "#b50dad", "#ffc61e",
        "#b4779a", "#6f55fe", "#caffb4", "#dc232f", "#9dbea1",
    ),
    scale=(0.2, 1.0),
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}
THEME: ContextVar[Theme] = ContextVar("THEME", default=LIGHT)
"""The theme in which this thread, or task, draws now."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
"""Shapes of points, one a class, which tell classes apart once more."""
SMALL, NORMAL = 8.5, 10.0
DPI = 288
"""Pixels an inch of a figure that is saved as PNG."""
SHOWN_DPI = 72
"""Pixels an inch of a figure in a notebook; its picture has twice as many, for sharp screens."""


class ShownFigure(Figure):
    """A figure that a notebook shows, also where pyplot is not imported and tells it how to."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as a PNG, and the size at which it is shown, in pixels."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * SHOWN_DPI)
        width, height = (round(inches * SHOWN_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


@contextmanager
def theme(name: str) -> Iterator[None]:
    """Draw all figures of a ``with`` block in a theme.

    ::

        with figures.theme("dark"):
            figures.latent_map(ae, X, y).savefig("map.png")

    Parameters
    ----------
    name
        "light" or "dark". Outside of such a block figures are light.

    Raises
    ------
    ParameterError
        If there is no such theme.
    """
    if name not in THEMES:
        raise ParameterError(f"theme={name!r}: use {listed(map(repr, THEMES))}")
    token = THEME.set(THEMES[name])
    try:
        yield
    finally:
        THEME.reset(token)


def now() -> Theme:
    """Return the theme in which figures are drawn now."""
    return THEME.get()


def scale() -> Colormap:
    """Return the colour map of numbers: even in lightness, and made for all eyes."""
    shades = colormaps["viridis"](np.linspace(*now().scale, 256))
    return ListedColormap(shades, "scale")


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, in the colour of the paper."""
    return ShownFigure(figsize=(width, height), facecolor=now().paper, dpi=DPI)


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
        axes.spines[side].set_color(now().line)
    axes.tick_params(which="both", colors=now().muted, labelsize=SMALL, length=0, pad=4)
    axes.grid(True, color=now().line, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=now().muted, fontsize=SMALL)
    axes.set_ylabel(ylabel, color=now().muted, fontsize=SMALL)


def bare(axes: Axes) -> None:
    """Remove everything but the content from axes that hold pictures."""
    axes.set_axis_off()
    axes.set_facecolor("none")


def heading(axes: Axes, text: str, note: str = "") -> Text:
    """Write a panel's title at its upper left, with a note in a lighter colour at the right."""
    title = axes.set_title(
        text, loc="left", color=now().ink, fontsize=NORMAL, fontweight="bold", pad=8
    )
    if note:
        axes.set_title(note, loc="right", color=now().muted, fontsize=SMALL, pad=8)
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
