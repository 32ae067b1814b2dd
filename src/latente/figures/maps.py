"""Maps of the code space: where samples lie in it, alone or beside their principal components.

::

    codes ──positions──▶ (n, 2) ──window──▶ limits, and what lies far outside of them
                                                  │
    names and thumbnails ◀──place── nothing covers anything else; a line leads to the true place
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from ..errors import DataError, ParameterError
from ..latent.codes import checked_dims, checked_limits
from ..metrics import agreement
from ..parts import listed
from .density import Density
from .mosaic import Rendering, Shape, Values, pixels, take
from .placement import place
from .style import MARKERS, SMALL, canvas, dress, heading, now, panel, scale

if TYPE_CHECKING:
    from ..estimator import Autoencoder

Limits = tuple[float, float] | tuple[float, float, float, float] | None

SIDE, WIDEST = 4.6, 9.2
"""Width and height of one map in inches, and as wide as thumbnails may make it."""
FEW = 500
"""Up to this many samples are drawn as thumbnails."""
NAMED = 30
"""Up to this many classes are named on the map and in the legend."""
GLYPH, SMALLEST = 0.19, 0.1
"""Size of a thumbnail in inches, and the least to which many are reduced."""
FILL = 0.22
"""Share of a map that thumbnails and the space around them may cover."""
APART = 1.2
"""Distance of two thumbnails beside each other, as a multiple of their size."""
SHAPED = 2000
"""Up to this many points have the shape of their class."""
FAR = 1.0
"""So far beyond the middle nine tenths, in widths of these, a sample is an outlier."""
SHARES = (0.95, 0.8, 0.5)
"""Shares of the codes that the shades of a density hold."""


def latent_map(
    model: Autoencoder,
    X: Any,
    y: ArrayLike | None = None,
    *,
    dims: tuple[int, int] | None = None,
    thumbnails: bool | None = None,
    classes: Sequence[Any] | None = None,
    limits: Limits = None,
    density: bool = False,
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
        Which two numbers of the code to show, counted from 0; by default its two principal
        components if it has more than two.
    thumbnails
        Whether pictures take the place of points; by default where there are at most 500. The map
        grows with their number, and a picture whose place is taken lies beside it, with a line to
        where it belongs.
    classes
        Show only samples of these classes, in the colours that they have among all.
    limits
        What part of the plane to show: (left, right, bottom, top), or (low, high) of both axes. By
        default all of it, but for a few samples far from all others, which are drawn as arrows at
        the border.
    density
        Whether to shade where 50, 80 and 95 % of the codes lie.
    shape
        Draw rows as pictures of this shape.

    Returns
    -------
    Figure
        With a legend of the classes, and a note on what is not at its place.

    Raises
    ------
    ParameterError
        If there is no such number of the code or no such class, or limits are not in order.
    """
    at, labels = positions(codes(model, X), dims)
    look = MapOptions(thumbnails, density, shape)
    return _map(
        [Panel("", at, labels, checked_limits(limits))],
        X,
        y,
        classes,
        look,
    )


def pca_map(
    X: Any,
    y: ArrayLike | None = None,
    *,
    train: Any = None,
    thumbnails: bool | None = None,
    classes: Sequence[Any] | None = None,
    limits: Limits = None,
    density: bool = False,
    shape: Shape = None,
) -> Figure:
    """Draw where samples lie in the plane of their first two principal components.

    Parameters
    ----------
    X, y, thumbnails, classes, limits, density, shape
        As for `latent_map`.
    train
        What to fit the components on; X itself if not given.
    """
    each = replace(_pca_panel("", X, train, shape), limits=checked_limits(limits))
    return _map([each], X, y, classes, MapOptions(thumbnails, density, shape))


def latent_map_beside_pca(
    model: Autoencoder,
    X: Any,
    y: ArrayLike | None = None,
    *,
    train: Any = None,
    dims: tuple[int, int] | None = None,
    thumbnails: bool | None = None,
    classes: Sequence[Any] | None = None,
    limits: Limits = None,
    density: bool = False,
    shape: Shape = None,
) -> Figure:
    """Draw the map of the codes beside the first two principal components of the data.

    Parameters
    ----------
    model, X, y, dims, thumbnails, classes, density, shape
        As for `latent_map`.
    train
        What to fit the principal components on; X itself if not given.
    limits
        As for `latent_map`, of the map of the codes.

    Returns
    -------
    Figure
        With classes, each panel says how often a sample's five nearest neighbours on the map share
        its class.
    """
    at, labels = positions(codes(model, X), dims)
    panels = [
        Panel("Autoencoder", at, labels, checked_limits(limits)),
        _pca_panel("PCA", X, train, shape),
    ]
    return _map(panels, X, y, classes, MapOptions(thumbnails, density, shape))


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
    chosen = checked_dims(dims, latent)
    if chosen is not None:
        return Z[:, chosen], (f"code {chosen[0] + 1}", f"code {chosen[1] + 1}")
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
    """One map.

    Parameters
    ----------
    title
        What is written above.
    at
        The positions of the samples, (n, 2).
    labels
        Of the two axes.
    limits
        What to show: left, right, bottom, top; None for all but outliers.
    """

    title: str
    at: Values
    labels: tuple[str, str]
    limits: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class MapOptions:
    """How samples are drawn on a map: as `latent_map` is asked to."""

    thumbnails: bool | None = None
    density: bool = False
    shape: Shape = None


def _pca_panel(title: str, X: Any, train: Any, shape: Shape) -> Panel:
    labels = ("first principal component", "second principal component")
    return Panel(title, pca_positions(X, train, shape), labels)


def _map(
    panels: Sequence[Panel],
    X: Any,
    y: ArrayLike | None,
    classes: Sequence[Any] | None,
    look: MapOptions,
) -> Figure:
    """Draw panels side by side, with one legend."""
    groups = Groups.of(y, len(panels[0].at))
    some = groups.chosen(classes)
    y = None if y is None else np.asarray(y)[some]
    groups, X = groups.take(some), take(X, some)
    rendering = Rendering.learn(X, look.shape)
    count, size = _thumbnails(len(some), rendering, look.thumbnails)
    side = float(np.clip(APART * size * np.sqrt(count / FILL), SIDE, WIDEST)) if count else SIDE
    top, foot = 0.45 if panels[0].title else 0.15, 0.8
    legend = groups.legend_width()
    figure = canvas(len(panels) * (side + 0.85) + 0.05 + legend, side + foot + top)
    for i, each in enumerate(panels):
        left, at = 0.65 + i * (side + 0.85), each.at[some]
        axes = panel(figure, left, foot, side, side)
        dress(axes, *each.labels)
        if each.title:
            heading(axes, each.title, _agreement(at, y))
        notes = scatter(axes, replace(each, at=at), X, groups, rendering, count, size)
        if look.density:
            notes += _shade(axes, each.at[some])
        _note(figure, left, side, notes)
    if legend:
        right = 0.65 + len(panels) * (side + 0.85) - 0.65
        groups.legend(figure, right, foot, side, size if count else 0.0)
    return figure


def _note(figure: Figure, left: float, side: float, notes: Sequence[str]) -> None:
    across, up = figure.get_size_inches()
    text = fill("; ".join(notes), int(side / 0.066))
    figure.text(
        left / across, 0.08 / up, text, va="bottom", color=now().muted, fontsize=SMALL - 0.5,
        gid="note",
    )  # fmt: skip


@dataclass(frozen=True)
class Groups:
    """The colour and shape of each sample, by its class or its number.

    Parameters
    ----------
    colours
        One a sample, (n, 3).
    which
        The number of its class, (n,); all 0 without classes.
    names
        Of the classes; none without, or where there are more than 30.
    norm
        Where samples have numbers: how these become colours.
    """

    colours: Values
    which: NDArray[np.intp]
    names: tuple[str, ...] = ()
    norm: Normalize | None = None

    @classmethod
    def of(cls, y: ArrayLike | None, n: int) -> Groups:
        """Return the groups of n samples by their classes, or by the number that each has."""
        if y is None:
            return cls(np.tile(to_rgb(now().colours[0]), (n, 1)), np.zeros(n, dtype=np.intp))
        values = np.asarray(y)
        if values.shape != (n,):
            raise DataError(f"y has the shape {values.shape}: give one class for each of {n}")
        unique, which = np.unique(values, return_inverse=True)
        if np.issubdtype(values.dtype, np.floating) and len(unique) > 20:
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            norm = Normalize(low, high if high > low else low + 1.0)
            return cls(scale()(norm(values))[:, :3], np.zeros(n, dtype=np.intp), (), norm)
        palette = np.array([to_rgb(colour) for colour in now().colours])
        names = tuple(f"{name:g}" if isinstance(name, float) else str(name) for name in unique)
        return cls(palette[which % len(palette)], which, names)

    def chosen(self, classes: Sequence[Any] | None) -> NDArray[np.intp]:
        """Return the samples of some classes; all without.

        Raises
        ------
        ParameterError
            If there is no such class.
        """
        if classes is None:
            return np.arange(len(self.which))
        wanted = [f"{name:g}" if isinstance(name, float) else str(name) for name in classes]
        unknown = next((name for name in wanted if name not in self.names), None)
        if unknown is not None or not wanted:
            known = listed(self.names) if self.names else "not known: give y"
            raise ParameterError(f"classes={list(classes)}: the classes are {known}")
        return np.flatnonzero(np.isin(self.which, [self.names.index(name) for name in wanted]))

    def take(self, some: NDArray[np.intp]) -> Groups:
        """Return the groups of some of the samples; colours and names are as before."""
        return replace(self, colours=self.colours[some], which=self.which[some])

    @property
    def shown(self) -> list[int]:
        """The numbers of the classes that there are samples of; none if they are too many."""
        there = np.unique(self.which).tolist() if self.names else []
        return there if len(there) <= NAMED else []

    def marker(self, number: int) -> str:
        """Return the shape of a class: with its colour it is unlike that of 99 others."""
        return MARKERS[(number + number // 10) % len(MARKERS)]

    def legend_width(self) -> float:
        """Return how wide the legend is, in inches."""
        if self.norm is not None:
            return 0.75
        names = [fill(self.names[number], 24) for number in self.shown]
        longest = max((len(line) for name in names for line in name.split("\n")), default=0)
        return 0.55 + 0.078 * longest if names else 0.0

    def legend(self, figure: Figure, left: float, foot: float, side: float, size: float) -> None:
        """Write what the colours and shapes are, from ``left`` on; ``size`` of thumbnails, or 0."""
        if self.norm is not None:
            axes = panel(figure, left + 0.1, foot, 0.12, side)
            bar = figure.colorbar(ScalarMappable(self.norm, scale()), cax=axes)
            bar.outline.set_visible(False)
            axes.tick_params(colors=now().muted, labelsize=SMALL, length=0, pad=4)
            return
        handles = [
            Line2D(
                [], [], linestyle="", marker="s" if size else self.marker(number), markersize=6.5,
                markeredgewidth=0, color=now().colours[number % 10],
                label=fill(self.names[number], 24),
            )
            for number in self.shown
        ]  # fmt: skip
        across, up = figure.get_size_inches()
        figure.add_artist(
            Legend(
                figure, handles, [str(handle.get_label()) for handle in handles],
                loc="upper left", bbox_to_anchor=(left / across, (foot + side) / up),
                frameon=False, fontsize=SMALL, labelcolor=now().ink, handletextpad=0.2,
                borderaxespad=0.0, borderpad=0.0,
            )
        )  # fmt: skip


def _thumbnails(n: int, rendering: Rendering, asked: bool | None) -> tuple[int, float]:
    """Return how many samples are drawn as pictures, and their size in inches."""
    if not rendering.picture or not (n <= FEW if asked is None else asked):
        return 0, GLYPH
    room = FILL * (WIDEST / APART) ** 2
    size = float(np.clip(np.sqrt(room / n), SMALLEST, GLYPH))
    return min(n, int(room / size**2 + 1e-6)), size


def scatter(
    axes: Axes,
    each: Panel,
    X: Any,
    groups: Groups,
    rendering: Rendering,
    count: int,
    size: float,
) -> list[str]:
    """Draw samples at their positions, as points or thumbnails, and the names of their classes.

    Parameters
    ----------
    axes
        Square, in a figure.
    each
        The map: positions, limits.
    X, groups, rendering
        The samples, their colours, and how they are drawn.
    count, size
        How many are thumbnails, and of what size in inches.

    Returns
    -------
    list
        What is to be known about the map: what is not at its place, or not shown.
    """
    window, outside = _window(each)
    axes.set_xlim(*window[:2])
    axes.set_ylim(*window[2:])
    notes = []
    inside = np.flatnonzero(~outside)
    if each.limits is None:
        shown, at = np.arange(len(outside)), np.clip(each.at, window[::2], window[1::2])
        _arrows(axes, at[outside], each.at[outside], groups.take(np.flatnonzero(outside)))
        if outside.any():
            notes.append(f"arrows at the border: {outside.sum()} of {len(outside)} lie far outside")
    else:
        shown, at = inside, each.at
        if outside.any():
            notes.append(f"{outside.sum():,} of {len(outside):,} lie outside of these limits")
    pictured = shown[np.unique(np.linspace(0, len(shown) - 1, min(count, len(shown))).astype(int))]
    points = np.setdiff1d(inside, pictured)
    _points(axes, each.at[points], groups.take(points), len(inside), bool(count))
    taken = _names(axes, each.at[inside], groups.take(inside))
    if not count:
        return notes
    moved = _glyphs(axes, rendering, take(X, pictured), at[pictured], groups, pictured, size, taken)
    of = f"{len(pictured):,} of {len(shown):,}" if len(points) else f"all {len(pictured)}"
    aside = f", {moved} of them beside their place, to which a line leads" if moved else ""
    return [f"{of} are drawn as pictures{aside}", *notes]


def _window(each: Panel) -> tuple[tuple[float, ...], NDArray[np.bool_]]:
    """Return what is shown, left, right, bottom and top, and which samples lie outside of it."""
    at = each.at
    if each.limits is not None:
        low, high = np.array(each.limits[::2]), np.array(each.limits[1::2])
        return each.limits, np.any((at < low) | (at > high), axis=1)
    low, high = np.quantile(at, [0.05, 0.95], axis=0)
    reach = FAR * (high - low)
    far = (at < low - reach) | (at > high + reach)
    far &= (high > low)[None]
    near = at[~far.any(axis=1)]
    least, most = near.min(axis=0), near.max(axis=0)
    margin = 0.04 * np.where(most > least, most - least, 1.0)
    window = np.stack([least - margin, most + margin], axis=1).ravel()
    outside = np.any((at < window[::2]) | (at > window[1::2]), axis=1)
    return tuple(window.tolist()), outside


def _arrows(axes: Axes, at: Values, true: Values, groups: Groups) -> None:
    """Draw arrows at the border, in their class's colour, towards samples far outside."""
    ways = np.sign(true - at).astype(int)
    for way in np.unique(ways, axis=0):
        some = (ways == way).all(axis=1)
        angle = float(np.degrees(np.arctan2(way[1], way[0]))) - 90
        triangle = MarkerStyle("^").rotated(deg=angle)
        axes.scatter(
            at[some, 0], at[some, 1], s=42, c=groups.colours[some], marker=triangle,
            edgecolors=now().ink, linewidths=0.5, clip_on=False, zorder=6, gid="outlier",
        )  # fmt: skip


def _points(axes: Axes, at: Values, groups: Groups, n: int, beside: bool) -> None:
    """Draw points, in the shape of their class where they are few enough for it to be seen."""
    size = float(np.clip(9000 / max(n, 1), 3, 26)) * (0.3 if beside else 1)
    drawn = axes.scatter(
        at[:, 0], at[:, 1], s=size, c=groups.colours, alpha=0.5 if beside else 0.8, linewidths=0,
        zorder=2,
    )  # fmt: skip
    if groups.shown and 0 < len(at) <= SHAPED:
        styles = [MarkerStyle(groups.marker(number)) for number in range(len(groups.names))]
        paths = [style.get_path().transformed(style.get_transform()) for style in styles]
        drawn.set_paths([paths[number] for number in groups.which])


def _inches(axes: Axes, at: Values) -> Values:
    """Return positions in inches from the lower left corner of axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return np.asarray((at - (left, low)) / (right - left, high - low) * _room(axes))


def _position(axes: Axes, inches: Values) -> Values:
    """Return the positions of points in inches from the lower left corner of axes."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return np.asarray(inches / _room(axes) * (right - left, high - low) + (left, low))


def _room(axes: Axes) -> tuple[float, float]:
    """Return width and height of axes in inches."""
    across, up = axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    box = axes.get_position()
    return box.width * across, box.height * up


def _lead(axes: Axes, ends: Values, starts: Values) -> None:
    """Draw thin lines to where something belongs, with a dot there."""
    axes.add_collection(
        LineCollection(
            list(np.stack([starts, ends], axis=1)), colors=now().muted, linewidths=0.4, alpha=0.7,
            zorder=1.5, gid="lead",
        )
    )  # fmt: skip
    axes.plot(*ends.T, ".", color=now().muted, markersize=2, zorder=1.5)


def _glyphs(
    axes: Axes,
    rendering: Rendering,
    X: Any,
    at: Values,
    groups: Groups,
    which: NDArray[np.intp],
    size: float,
    taken: Values,
) -> int:
    """Draw each picture: ink in its class colour, others in a frame of it; none covers another.

    Returns
    -------
    int
        How many do not lie where they belong, but beside it.
    """
    shape = size * np.array([min(1.0, 1 / rendering.aspect), min(1.0, rendering.aspect)])
    true = _inches(axes, at)
    centres, _ = place(true, np.tile(APART * shape, (len(at), 1)), _room(axes), taken)
    moved = np.hypot(*(centres - true).T) > 0.75 * size
    _lead(axes, at[moved], _position(axes, centres[moved]))
    window = (*axes.get_xlim(), *axes.get_ylim())
    pictures, colours = pixels(rendering, X), groups.colours[which]
    if rendering.ink:
        pictures[..., :3] = (colours * 255).astype(np.uint8)[:, None, None]
    low, high = (_position(axes, centres + way * shape / 2) for way in (-1, 1))
    name = "glyph" if rendering.ink else "photo"
    for picture, start, end in zip(pictures, low, high, strict=True):
        box = (start[0], end[0], start[1], end[1])
        axes.imshow(picture, extent=box, aspect="auto", interpolation="none", zorder=3, gid=name)
    if not rendering.ink:
        corners = np.stack([low, np.stack([high[:, 0], low[:, 1]], 1), high], axis=1)
        corners = np.concatenate([corners, np.stack([low[:, 0], high[:, 1]], 1)[:, None]], axis=1)
        axes.add_collection(
            PolyCollection(
                list(corners), facecolors="none", edgecolors=colours, linewidths=1.0, zorder=4
            )
        )
    axes.axis(window)
    return int(moved.sum())


def _names(axes: Axes, at: Values, groups: Groups) -> Values:
    """Write each class's name where most of its members are, or beside; return the boxes."""
    shown = groups.shown
    texts = []
    for number in shown:
        x, y = _densest(at[groups.which == number])
        name = groups.names[number]
        text = axes.text(
            x, y, name,
            ha="center", va="center", color=now().ink, zorder=6, fontweight="bold", gid="name",
            fontsize=13 if len(name) < 3 else 9.5 if len(shown) <= 12 else 7.5,
            path_effects=[withStroke(linewidth=3, foreground=now().paper)],
        )  # fmt: skip
        texts.append(text)
    if not texts:
        return np.zeros((0, 4))
    boxes = [text.get_window_extent() for text in texts]
    dpi = axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    sizes = np.array([[box.width, box.height] for box in boxes]) / dpi + 0.03
    true = np.array([text.get_position() for text in texts], dtype=np.float64)
    centres, placed = place(_inches(axes, true), sizes, _room(axes))
    final = _position(axes, centres)
    for text, position, room in zip(texts, final, placed, strict=True):
        text.set_position(position)
        text.set_visible(bool(room))
    away = placed & (np.abs(centres - _inches(axes, true)) > 0.6 * sizes).any(axis=1)
    _lead(axes, true[away], final[away])
    return np.concatenate([centres, sizes], axis=1)[placed]


def _densest(at: Values) -> Values:
    """Return the position with the closest third of all positions: the main cluster's middle."""
    some = at[:: max(1, len(at) // 500)]
    distances = np.sort(np.square(some[:, None] - some[None]).sum(axis=2), axis=1)
    return np.asarray(some[distances[:, len(some) // 3].argmin()])


def _shade(axes: Axes, at: Values) -> list[str]:
    """Shade where the given shares of the codes lie, darker where more of them; return the note."""
    window = (*axes.get_xlim(), *axes.get_ylim())
    across, up = np.linspace(*window[:2], 120), np.linspace(*window[2:], 120)
    learnt = Density.learn(at)
    heights = learnt(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)).reshape(120, 120)
    levels = [learnt.level(share) for share in SHARES]
    for level in levels:
        axes.contourf(
            across, up, heights, [level, max(heights.max(), level) * 1.01 + 1e-9],
            colors=[now().muted], alpha=0.16, zorder=0.5,
        )  # fmt: skip
    axes.axis(window)
    return ["shaded: where 50, 80 and 95 % of the codes lie"]


def _agreement(at: Values, y: ArrayLike | None) -> str:
    if y is None or len(at) < 6:
        return ""
    return f"{agreement(at, y):.0%} of nearest neighbours share the class"
