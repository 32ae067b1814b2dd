"""The weights of a network's first or last layer, drawn as what they look for or paint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import nn

from ..errors import ParameterError
from ..networks.dense import TiedLinear
from ..networks.shortcut import Shortcut
from ..parts import is_whole
from .mosaic import Rendering, Row, Shape, Values, mosaic
from .style import now

if TYPE_CHECKING:
    from ..estimator import Autoencoder

ENDS = ("first", "last")


def filters(
    model: Autoencoder, n: int = 64, *, layer: str = "first", shape: Shape = None
) -> Figure:
    """Draw the weights of the encoder's first layer, or of the decoder's last, one picture a unit.

    ::

        dense           x (numbers,) ──W──▶ units       a unit's weights have the shape of x
        convolutional   a unit's weights have the size of its kernel, one picture a channel

    Parameters
    ----------
    model
        A fitted autoencoder whose first, or last, layer is dense or convolutional.
    n
        How many units, those with the greatest weights first.
    layer
        "first" of the encoder: what each unit looks for; "last" of the decoder: what each paints.
    shape
        Draw the weights of rows as pictures of this shape.

    Returns
    -------
    Figure
        Each unit's weights from its least, blue, over 0, in the colour of the paper, to its
        greatest, orange; those of three channels as colours around grey. A network that begins as
        PCA has a linear layer and a hidden one side by side, and a part for each.

    Raises
    ------
    ParameterError
        If the layer is of another kind, or there is no such ``layer``.
    """
    if layer not in ENDS:
        raise ParameterError(f"layer={layer!r}: use 'first' or 'last'")
    if not is_whole(n, 1):
        raise ParameterError(f"n={n!r}: n must be a whole number from 1")
    network = model.fitted_.model.network
    data = model.fitted_.input if layer == "first" else model.fitted_.target
    rows: list[Row] = []
    rendering, notes = None, []
    for name, module in _layers(network.encoder if layer == "first" else network.decoder, layer):
        weights = _weights(module, layer, data.shape)
        rendering, drawn = _drawn(_strongest(weights, n), shape, model)
        columns = min(len(drawn), 16 if rendering.picture else 6)
        blocks = [drawn[i : i + columns] for i in range(0, len(drawn), columns)]
        rows += [Row(block, name if i == 0 else "") for i, block in enumerate(blocks)]
        notes.append(f"{min(n, len(weights))} of {len(weights)} {name or 'units'}")
    assert rendering is not None
    note = f"{', '.join(notes)}, the greatest weights first"
    if rendering.picture:
        note += "; blue below 0, orange above"
    return mosaic(rendering, rows, cell=0.5 if rendering.picture else 1.1, xlabel=note)


def _layers(half: nn.Module, layer: str) -> list[tuple[str, nn.Module]]:
    """Return the layers at the data's end of an encoder or a decoder, each with a label."""
    if isinstance(half, Shortcut):
        found: list[tuple[str, nn.Module]] = [("linear", half.linear)]
        return found if half.deep is None else [*found, ("hidden", _end(half.deep, layer))]
    return [("", _end(half, layer))]


def _end(half: nn.Module, layer: str) -> nn.Module:
    """Return the first, or the last, layer with weights; refuse one that is drawn by no picture."""
    weighted = [
        module for module in half.modules() if any(True for _ in module.parameters(recurse=False))
    ]
    end = (weighted or [half])[0 if layer == "first" else -1]
    if not isinstance(end, nn.Linear | TiedLinear | nn.Conv2d | nn.ConvTranspose2d):
        raise ParameterError(
            f"filters: the {layer} layer of this network is a {type(end).__name__}; only those of "
            "dense and convolutional networks are drawn"
        )
    return end


def _weights(module: Any, layer: str, shape: tuple[int, ...]) -> Values:
    """Return a layer's weights, one a unit: (units, c, h, w) or (units, numbers)."""
    weight = np.asarray(module.weight.detach().cpu(), dtype=np.float64)
    if isinstance(module, TiedLinear):
        weight = weight[: module.in_features]
    elif layer == "last" and not isinstance(module, nn.ConvTranspose2d):
        weight = weight.swapaxes(0, 1)
    if weight.ndim == 2:
        return np.asarray(weight[:, : int(np.prod(shape))].reshape(len(weight), *shape))
    channels = shape[0] if len(shape) == 3 else weight.shape[1]
    return np.asarray(weight[:, :channels])


def _strongest(weights: Values, n: int) -> Values:
    """Return the n units with the greatest weights, each scaled to -1 to 1."""
    flat = weights.reshape(len(weights), -1)
    order = np.argsort(-np.square(flat).sum(axis=1), kind="stable")[:n]
    chosen = flat[order]
    greatest = np.abs(chosen).max(axis=1, keepdims=True)
    scaled = chosen / np.where(greatest > 0, greatest, 1.0)
    return np.asarray(scaled.reshape(len(order), *weights.shape[1:]))


def _drawn(weights: Values, shape: Shape, model: Autoencoder) -> tuple[Rendering, Values]:
    """Return weights from -1 to 1 as pictures or rows, and how these are drawn."""
    if shape is not None:
        Rendering.learn(weights.reshape(len(weights), -1), shape)  # refuses a shape that is none
        weights = (
            weights.reshape(len(weights), 1, *shape[:2])
            if len(shape) == 2
            else (np.moveaxis(weights.reshape(len(weights), *shape), -1, 1))
        )
    if weights.ndim < 4:
        flat = weights.reshape(len(weights), -1)
        names = tuple(model.columns_ or ())
        names = names if len(names) == flat.shape[1] else ()
        return Rendering(flat.shape[1:], -1.0, 1.0, names=names), flat
    if weights.shape[1] == 3:
        pictures = np.moveaxis((weights + 1) / 2, 1, -1)
    else:
        flat = weights.reshape(-1, *weights.shape[2:])
        paper, below, above = (
            np.array(to_rgb(colour)) for colour in (now().paper, now().colours[0], now().colours[1])
        )
        away = np.abs(flat)[..., None]
        pictures = (1 - away) * paper + away * np.where(flat[..., None] < 0, below, above)
    return Rendering(pictures.shape[1:], 0.0, 1.0), pictures
