"""Maps of the code space: where samples lie in it, alone or beside their principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from ..errors import ParameterError
from ..metrics import agreement
from .mosaic import Rendering, Shape, Values, pixels, take
from .style import COLOURS, canvas, dress, heading, now, panel

if TYPE_CHECKING:
    from ..estimator import Autoencoder

SIDE = 4.6
"""Width and height of one map in inches."""
FEW = 500
"""Up to this many samples are drawn as thumbnails."""
NAMED = 30
"""Up to this many classes are named on the map."""
GLYPH = 1 / 25
"""Size of a thumbnail as a share of the map's side."""


def latent_map(
    model: Autoencoder,
    X: Any,
    y: ArrayLike | None = None,
    *,
    dims: tuple[int, int] | None = None,
    thumbnails: bool | None = None,
    shape: Shape = None,
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
    at, labels = positions(codes(model, X), dims)
    return _map([Panel("", at, labels)], X, y, thumbnails, shape)


def pca_map(
    X: Any,
    y: ArrayLike | None = None,
    *,
    train: Any = None,
    thumbnails: bool | None = None,
    shape: Shape = None,
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
    shape: Shape = None,
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
    at, labels = positions(codes(model, X))
    panels = [Panel("Autoencoder", at, labels), _pca_panel("PCA", X, train, shape)]
    return _map(panels, X, y, thumbnails, shape)


def codes(model: Autoencoder, X: Any) -> Values:
    """Return the codes of samples as float64, (n, latent), spatial codes flattened."""
    Z = np.asarray(model.transform(X), dtype=np.float64)
    return Z.reshape(len(Z), -1)


def positions(Z: Values, dims: tuple[int, int] | None = None) -> tuple[Values, tuple[str, str]]:
    """Return the positions of codes on a map, (n, 2), and the labels of its two axes.

    Parameters
    ----------
    Z
        Codes, (n, latent).
    dims
        Which two numbers of the code to show; by default both of a code with two, and of a longer
        one its two principal components. A code of a single number is spread out upward.

    Raises
    ------
    ParameterError
        If the code has no such number.
    """
    latent = Z.shape[1]
    if dims is not None:
        if not all(0 <= dim < latent for dim in dims):
            raise ParameterError(f"dims={dims!r}: the code has numbers 0 to {latent - 1}")
        return Z[:, list(dims)], (f"code {dims[0] + 1}", f"code {dims[1] + 1}")
    if latent == 1:
        golden = (np.arange(len(Z)) * 0.618034) % 1.0
        return np.stack([Z[:, 0], golden], axis=1), ("code 1", "spread out to be seen")
    if latent == 2:
        return Z, ("code 1", "code 2")
    return principal(Z, Z), (
        f"first principal component of {latent} numbers",
        "second principal component",
    )


def principal(train: Values, X: Values) -> Values:
    """Return the first two principal components of X, (n, 2), as fitted on ``train``."""
    wide = min(2, *train.shape)
    projected = PCA(wide, svd_solver="full").fit(train).transform(X)
    return np.asarray(np.pad(projected, ((0, 0), (0, 2 - wide))))


def pca_positions(X: Any, train: Any = None, shape: Shape = None) -> Values:
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
    rendering = Rendering.learn(source, shape)
    flat = [
        np.nan_to_num(rendering.scaled(part), nan=0.5).reshape(len(part), -1)
        for part in (source, X)
    ]
    return principal(*flat)


@dataclass(frozen=True)
class Panel:
    """One map: its title, the positions of the samples, (n, 2), and the labels of its axes."""

    title: str
    at: Values
    labels: tuple[str, str]


def _pca_panel(title: str, X: Any, train: Any, shape: Shape) -> Panel:
    labels = ("first principal component", "second principal component")
    return Panel(title, pca_positions(X, train, shape), labels)


def _map(
    panels: Sequence[Panel],
    X: Any,
    y: ArrayLike | None,
    thumbnails: bool | None,
    shape: Shape,
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
    shape: Shape = None,
) -> None:
    """Draw samples at their positions, as points or thumbnails, coloured and labelled by class."""
    colours, classes = _colours(y, len(at))
    _limits(axes, at)
    rendering = Rendering.learn(X, shape)
    few = len(at) <= FEW if thumbnails is None else thumbnails
    shown = _apart(axes, at) if few and rendering.picture else np.empty(0, dtype=int)
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
    _glyphs(axes, rendering, take(X, shown), at[shown], colours[shown])
    if classes is not None:
        _names(axes, at, classes)


def _colours(y: ArrayLike | None, n: int) -> tuple[Values, Values | None]:
    """Return a colour a sample, (n, 3), and the classes where they are few enough to be named."""
    if y is None:
        return np.tile(to_rgb(COLOURS[0]), (n, 1)), None
    values = np.asarray(y)
    unique, which = np.unique(values, return_inverse=True)
    if np.issubdtype(values.dtype, np.floating) and len(unique) > 20:
        low, high = np.nanmin(values), np.nanmax(values)
        return colormaps["cividis"]((values - low) / ((high - low) or 1.0))[:, :3], None
    palette = np.array([to_rgb(colour) for colour in COLOURS])
    return palette[which % len(palette)], values if len(unique) <= NAMED else None


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
    for i, point in enumerate(where):
        if not chosen or np.abs(where[chosen] - point).max(axis=1).min() >= 0.92 * GLYPH:
            chosen.append(i)
    return np.array(chosen, dtype=np.intp)


def _glyphs(axes: Axes, rendering: Rendering, X: Any, at: Values, colours: Values) -> None:
    """Draw each picture at its position: ink in its class colour, others in a frame of it."""
    if len(at) == 0:
        return
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    half = np.array([right - left, high - low]) * GLYPH / 2
    half = half * np.array([min(1.0, 1 / rendering.aspect), min(1.0, rendering.aspect)])
    pictures = pixels(rendering, X)
    if rendering.ink:
        pictures[..., :3] = (colours * 255).astype(np.uint8)[:, None, None]
    for picture, (x, y), colour in zip(pictures, at, colours, strict=True):
        box = (x - half[0], x + half[0], y - half[1], y + half[1])
        name = "glyph" if rendering.ink else "photo"
        axes.imshow(picture, extent=box, aspect="auto", interpolation="none", zorder=3, gid=name)
        if not rendering.ink:
            corners = [(box[0], box[2]), (box[1], box[2]), (box[1], box[3]), (box[0], box[3])]
            axes.add_patch(
                Polygon(corners, fill=False, edgecolor=tuple(colour), linewidth=1.0, zorder=4)
            )
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def _names(axes: Axes, at: Values, classes: NDArray[Any]) -> None:
    """Write each class's name where most of its members are."""
    for name in np.unique(classes):
        x, y = _densest(at[classes == name])
        axes.text(
            x, y, str(name),
            ha="center", va="center", color=now().ink, zorder=6, fontweight="bold",
            fontsize=13 if len(str(name)) < 3 else 9.5,
            path_effects=[withStroke(linewidth=3, foreground=now().paper)],
        )  # fmt: skip


def _densest(at: Values) -> Values:
    """Return the position with the closest third of all positions: the main cluster's middle."""
    some = at[:: max(1, len(at) // 500)]
    distances = np.sort(np.square(some[:, None] - some[None]).sum(axis=2), axis=1)
    return np.asarray(some[distances[:, len(some) // 3].argmin()])


def _agreement(at: Values, y: ArrayLike | None) -> str:
    if y is None or len(at) < 6:
        return ""
    return f"{agreement(at, y):.0%} of nearest neighbours share the class"
