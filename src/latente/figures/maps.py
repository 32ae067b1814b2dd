"""Maps of the code space: where held-out samples lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics import agreement
from .codes import codes, places, principal
from .items import Look, Values, look, take
from .mosaic import pixels
from .style import COLOURS, INK, PAPER, canvas, dress, heading, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..estimator import Autoencoder

SIDE = 4.6
FEW = 500
NAMED = 30
GLYPH = 1 / 25


def latent_map(
    model: Autoencoder,
    X: Any,
    y: ArrayLike | None = None,
    *,
    dims: tuple[int, int] | None = None,
    thumbnails: bool | None = None,
    shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw where samples lie in code space, coloured by class.

    Parameters
    ----------
    model
        A fitted autoencoder.
    X
        Samples it has not been trained on, as for `transform`.
    y
        Their classes, or a number each; shape (n,).
    dims
        Which two numbers of the code to show; by default its two principal components if it has
        more than two.
    thumbnails
        Whether pictures take the place of points where there is room for them; by default where
        there are at most 500.
    shape
        Draw rows as pictures of this shape.
    """
    at, labels = places(codes(model, X), dims)
    return _map([Panel("", at, labels)], X, y, thumbnails, shape)


def pca_map(
    X: Any,
    y: ArrayLike | None = None,
    *,
    train: Any = None,
    thumbnails: bool | None = None,
    shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw where samples lie in the plane of their first two principal components.

    Parameters
    ----------
    X, y, thumbnails, shape
        As for `latent_map`.
    train
        What to fit the components on; X itself if not given.
    """
    return _map([_pca_panel("", X, train, shape)], X, y, thumbnails, shape)


def latent_map_beside_pca(
    model: Autoencoder,
    X: Any,
    y: ArrayLike | None = None,
    *,
    train: Any = None,
    thumbnails: bool | None = None,
    shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw the map of the codes beside the first two principal components of the data.

    Parameters
    ----------
    model, X, y, thumbnails, shape
        As for `latent_map`.
    train
        What to fit the principal components on; X itself if not given.

    Returns
    -------
    Figure
        With classes, each panel says how often a sample's five nearest neighbours on the map share
        its class.
    """
    at, labels = places(codes(model, X))
    panels = [Panel("Autoencoder", at, labels), _pca_panel("PCA", X, train, shape)]
    return _map(panels, X, y, thumbnails, shape)


def pca_places(X: Any, train: Any = None, shape: tuple[int, ...] | None = None) -> Values:
    """Return the first two principal components of samples, (n, 2).

    Parameters
    ----------
    X
        Samples as for `transform`.
    train
        What to fit the components on; X itself if not given.
    shape
        As for `latent_map`.
    """
    source = X if train is None else train
    looks = look(source, shape)
    flat = [
        np.nan_to_num(looks.scaled(part), nan=0.5).reshape(len(part), -1) for part in (source, X)
    ]
    return principal(*flat)


@dataclass(frozen=True)
class Panel:
    """One map: its title, the places of the samples, (n, 2), and what the two axes are."""

    title: str
    at: Values
    labels: tuple[str, str]


def _pca_panel(title: str, X: Any, train: Any, shape: tuple[int, ...] | None) -> Panel:
    labels = ("first principal component", "second principal component")
    return Panel(title, pca_places(X, train, shape), labels)


def _map(
    panels: Sequence[Panel],
    X: Any,
    y: ArrayLike | None,
    thumbnails: bool | None,
    shape: tuple[int, ...] | None,
) -> Figure:
    top = 0.45 if panels[0].title else 0.15
    figure = canvas(len(panels) * (SIDE + 0.85) + 0.05, SIDE + 0.55 + top)
    for i, each in enumerate(panels):
        axes = panel(figure, 0.65 + i * (SIDE + 0.85), 0.55, SIDE, SIDE)
        dress(axes, *each.labels)
        if each.title:
            heading(axes, each.title, _agreement(each.at, y))
        scatter(axes, each.at, X, y, thumbnails, shape)
    return figure


def scatter(
    axes: Axes,
    at: Values,
    X: Any,
    y: ArrayLike | None = None,
    thumbnails: bool | None = None,
    shape: tuple[int, ...] | None = None,
) -> None:
    """Draw samples at their places, as points or thumbnails, coloured and labelled by class."""
    colours, classes = _colours(y, len(at))
    _limits(axes, at)
    looks = look(X, shape)
    wanted = len(at) <= FEW if thumbnails is None else thumbnails
    shown = _apart(axes, at) if wanted and looks.picture else np.empty(0, dtype=int)
    points = np.setdiff1d(np.arange(len(at)), shown)
    size = float(np.clip(9000 / max(len(at), 1), 3, 26)) * (0.3 if len(shown) else 1)
    axes.scatter(
        at[points, 0],
        at[points, 1],
        s=size,
        c=colours[points],
        alpha=0.5 if len(shown) else 0.8,
        linewidths=0,
        zorder=2,
    )
    _glyphs(axes, looks, take(X, shown), at[shown], colours[shown])
    if classes is not None:
        _names(axes, at, classes)


def _colours(y: ArrayLike | None, n: int) -> tuple[Values, Values | None]:
    """Return a colour a sample, (n, 3), and the classes where they are few enough to be named."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if y is None:
        return np.tile(to_rgb(COLOURS[0]), (n, 1)), None
    values = np.asarray(y)
    kinds, which = np.unique(values, return_inverse=True)
    if np.issubdtype(values.dtype, np.floating) and len(kinds) > 20:
        low, high = np.nanmin(values), np.nanmax(values)
        return colormaps["cividis"]((values - low) / ((high - low) or 1.0))[:, :3], None
    palette = np.array([to_rgb(colour) for colour in COLOURS])
    return palette[which % len(palette)], values if len(kinds) <= NAMED else None


def _limits(axes: Axes, at: Values) -> None:
    low, high = at.min(axis=0), at.max(axis=0)
    margin = 0.04 * np.where(high > low, high - low, 1.0)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])


def _apart(axes: Axes, at: Values) -> NDArray[np.intp]:
    """Choose samples whose thumbnails do not cover each other, the first come first."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    where = (at - (left, low)) / (right - left, high - low)
    chosen: list[int] = []
    for i, place in enumerate(where):
        if not chosen or np.abs(where[chosen] - place).max(axis=1).min() >= 0.92 * GLYPH:
            chosen.append(i)
    return np.array(chosen, dtype=np.intp)


def _glyphs(axes: Axes, looks: Look, X: Any, at: Values, colours: Values) -> None:
    """Draw each picture at its place: ink in its class colour, others in a frame of it."""
    from matplotlib.patches import Polygon

    if len(at) == 0:
        return
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    half = np.array([right - left, high - low]) * GLYPH / 2
    half = half * np.array([min(1.0, 1 / looks.aspect), min(1.0, looks.aspect)])
    pictures = pixels(looks, X)
    if looks.ink:
        pictures[..., :3] = (colours * 255).astype(np.uint8)[:, None, None]
    for picture, (x, y), colour in zip(pictures, at, colours, strict=True):
        box = (x - half[0], x + half[0], y - half[1], y + half[1])
        kind = "glyph" if looks.ink else "photo"
        axes.imshow(picture, extent=box, aspect="auto", interpolation="none", zorder=3, gid=kind)
        if not looks.ink:
            corners = [(box[0], box[2]), (box[1], box[2]), (box[1], box[3]), (box[0], box[3])]
            axes.add_patch(
                Polygon(corners, fill=False, edgecolor=tuple(colour), linewidth=1.0, zorder=4)
            )
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def _names(axes: Axes, at: Values, classes: NDArray[Any]) -> None:
    """Write each class's name where its members are."""
    from matplotlib.patheffects import withStroke

    for kind in np.unique(classes):
        x, y = _densest(at[classes == kind])
        axes.text(
            x, y, str(kind),
            ha="center", va="center", color=INK, zorder=6, fontweight="bold",
            fontsize=13 if len(str(kind)) < 3 else 9.5,
            path_effects=[withStroke(linewidth=3, foreground=PAPER)],
        )  # fmt: skip


def _densest(at: Values) -> Values:
    """Return the place that has a third of all places nearest: the middle of the main cluster."""
    some = at[:: max(1, len(at) // 500)]
    distances = np.sort(np.square(some[:, None] - some[None]).sum(axis=2), axis=1)
    return np.asarray(some[distances[:, len(some) // 3].argmin()])


def _agreement(at: Values, y: ArrayLike | None) -> str:
    if y is None or len(at) < 6:
        return ""
    return f"{agreement(at, y):.0%} of nearest neighbours share the class"
