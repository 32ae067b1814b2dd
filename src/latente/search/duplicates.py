"""Near-duplicates: pictures that are one another's copies, as groups.

::

    X ──signature──▶ rows ──pairs nearer than the threshold──▶ groups

The threshold is learned from the pictures themselves: as far as copies that are made of some are
from their originals, and not so far that other pictures could be taken for one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.pictures import resized
from ..errors import DataError, ParameterError
from ..parts import is_number

if TYPE_CHECKING:
    from ..estimator import Autoencoder

Floats = NDArray[np.float32]

SIDE = 16
"""Height and width of the thumbnail that stands for a picture where there is no model."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey of a picture (ITU-R BT.601)."""
SAMPLED = 128
"""Pictures of which copies are made to learn the threshold."""
COPIES = 4
"""Copies of each of them."""
QUALITY, SHRUNK, BRIGHTNESS = (25, 95), (0.4, 1.0), (0.65, 1.35)
"""Of a copy: JPEG's quality, the scale it went through, and the factor of its brightness."""
NEXT = 3
"""Which of the other pictures, counted from the nearest, is taken to be no copy."""
TAIL = 0.01
BLOCK = 1024
"""Pictures compared with as many at a time."""
ROUNDING = 1e-5
"""Error of a squared distance between rows of length 1 that comes from a product of matrices."""


@dataclass(frozen=True)
class Duplicates:
    """Which pictures are copies of one another.

    Parameters
    ----------
    groups
        Positions of the pictures of each group, at least two, in order.
    distances
        Of each from the first of its group, or from its nearest version turned or mirrored.
    threshold
        Largest distance at which two pictures count as copies.
    """

    groups: list[list[int]]
    distances: list[list[float]]
    threshold: float


def near_duplicates(
    X: Any,
    autoencoder: Autoencoder | None = None,
    *,
    threshold: float | str = "auto",
    turned: bool = True,
    random_state: int = 0,
) -> Duplicates:
    """Find pictures that are re-encoded, resized, brightened, turned or mirrored copies.

    Copies of copies belong to one group. Every picture is compared with every other.

    Parameters
    ----------
    X
        Pictures of one size, (n, h, w) or (n, h, w, c).
    autoencoder
        Fitted; pictures are compared by the direction of its codes. None compares thumbnails of
        16×16 grey pixels by their correlation, which needs no model.
    threshold
        Largest distance, from 0 to 2, of two copies: the length of the difference of two rows of
        length 1. "auto" learns it from copies of up to 128 of the pictures.
    turned
        Whether copies may be turned by quarters and mirrored.
    random_state
        Seed of the copies that "auto" makes.

    Raises
    ------
    DataError
        If X holds no pictures, or not such as the autoencoder takes.
    ParameterError
        If the threshold is no number from 0 to 2.

    Examples
    --------
    >>> from latente import datasets, near_duplicates
    >>> digits = datasets.load("digits").X[:20]
    >>> found = near_duplicates(digits[[0, 1, 2, 0]], threshold=0.01)
    >>> found.groups
    [[0, 3]]
    """
    X = np.asarray(X)
    if X.ndim not in (3, 4) or len(X) == 0:
        raise DataError(
            f"X has shape {X.shape}: near-duplicates are found among pictures, (n, h, w) or "
            "(n, h, w, c)"
        )
    if threshold != "auto" and not is_number(threshold, 0, 2):
        raise ParameterError(f'threshold={threshold!r}: use "auto" or a number from 0 to 2')
    signature = Thumbnail() if autoencoder is None else Coded(autoencoder)
    versions = [signature(each) for each in turns(X)] if turned else [signature(X)]
    if threshold == "auto":
        threshold = learned_threshold(X, signature, versions, random_state)
    return grouped(versions, float(threshold))


def learned_threshold(
    X: NDArray[Any], signature: Signature, versions: list[Floats], random_state: int
) -> float:
    """Return the distance within which copies are, and other pictures are not.

    Parameters
    ----------
    X
        The pictures.
    signature
        How they are compared.
    versions
        The signature of each, and of each turned.
    random_state
        Seed of the copies.

    Returns
    -------
    float
        The distance that 99 % of the copies keep from their original, but at most half of that at
        which other pictures begin: then a copy is nearer to its original than to any other. They
        begin where 1 % of the pictures have their `NEXT`-nearest other, which copies that are
        already there leave alone as long as they are fewer.
    """
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.permutation(len(X))[:SAMPLED])
    originals = versions[0][chosen]
    copies = signature(perturbed(np.repeat(X[chosen], COPIES, axis=0), rng))
    own = np.linalg.norm(copies - np.repeat(originals, COPIES, axis=0), axis=1)
    reach = float(np.quantile(own, 1 - TAIL))
    if len(X) <= NEXT:
        return reach
    return min(reach, float(np.quantile(_begin(originals, chosen, versions), TAIL)) / 2)


def _begin(
    originals: Floats, chosen: NDArray[np.intp], versions: list[Floats]
) -> NDArray[np.float64]:
    """Return how far each picture's `NEXT`-nearest other is, whichever way either is turned."""
    nearest = np.full((len(chosen), NEXT), 4.0)
    for start in range(0, len(versions[0]), BLOCK):
        block = np.stack([rows[start : start + BLOCK] for rows in versions])
        products = originals @ block.transpose(0, 2, 1)
        squared = (originals**2).sum(1)[:, None] + (block**2).sum(2)[:, None] - 2 * products
        closest = squared.min(0)
        itself = np.flatnonzero((chosen >= start) & (chosen < start + BLOCK))
        closest[itself, chosen[itself] - start] = 4.0
        nearest = np.sort(np.concatenate([nearest, closest], axis=1), axis=1)[:, :NEXT]
    return np.asarray(np.sqrt(np.maximum(nearest[:, -1], 0)), dtype=np.float64)


def perturbed(X: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return copies such as programs make: shrunk and enlarged again, brightened, as JPEG.

    Parameters
    ----------
    X
        Pictures, (n, h, w) or (n, h, w, c), of any type.
    rng
        What draws how strongly each is changed.

    Returns
    -------
    ndarray
        Of X's shape and type.
    """
    low, high = (0.0, 255.0) if X.dtype == np.uint8 else (float(X.min()), float(X.max()))
    span = (high - low) or 1.0
    bytes_ = np.rint((X.astype(np.float64) - low) * (255 / span)).astype(np.uint8)
    made = np.stack([_copy(picture, rng) for picture in bytes_])
    values = made * (span / 255) + low
    return (np.rint(values) if X.dtype.kind in "iu" else values).astype(X.dtype)


def _copy(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one picture's copy."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = rng.uniform(*SHRUNK)
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    again = resized(resized(picture[None], small), (height, width))
    bright = np.clip(again * rng.uniform(*BRIGHTNESS), 0, 255)
    copy = np.rint(bright).astype(np.uint8).reshape(height, width, -1)
    seen = copy[:, :, :3] if copy.shape[2] >= 3 else copy[:, :, 0]  # all that a JPEG can hold
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(seen))
    image.save(file, format="JPEG", quality=int(rng.integers(*QUALITY)))
    with Image.open(file) as decoded:
        seen[...] = np.asarray(decoded)
    return copy.reshape(picture.shape)


def grouped(versions: list[Floats], threshold: float) -> Duplicates:
    """Return the groups of rows that are joined by pairs within the threshold.

    Parameters
    ----------
    versions
        Rows of length 1, (n, numbers), as they are and then turned.
    threshold
        Largest distance of a pair.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    tensors = [torch.from_numpy(np.ascontiguousarray(rows)) for rows in versions]
    n = len(tensors[0])
    label = np.arange(n)
    for start in range(0, n, BLOCK):
        for left, right in _pairs(tensors, start, threshold):
            joined = coo_matrix((np.ones(len(left)), (label[left], label[right])), shape=(n, n))
            label = connected_components(joined, directed=False)[1][label]
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    groups = sorted(part.tolist() for part in np.split(order, cuts) if len(part) > 1)
    distances = [
        torch.stack([(rows[group] - tensors[0][group[0]]).norm(dim=1) for rows in tensors])
        .amin(0)
        .tolist()
        for group in groups
    ]
    return Duplicates(groups, distances, threshold)


def _pairs(
    versions: list[Tensor], start: int, threshold: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs within the threshold, the first of each in the block from `start` on.

    Distances come from a product of matrices; those so near the threshold that rounding decides
    are measured again, as the length of the difference.
    """
    queries = versions[0][start : start + BLOCK]
    lengths = queries.square().sum(1)[:, None]
    for rows in versions:
        for other in range(0, len(rows), BLOCK):
            block = rows[other : other + BLOCK]
            squared = lengths + block.square().sum(1) - 2 * queries @ block.T
            left, right = torch.nonzero(squared <= threshold**2 + ROUNDING, as_tuple=True)
            kept = left + start != right + other
            left, right = left[kept], right[kept]
            near = squared[left, right] <= threshold**2 - ROUNDING
            close = torch.nonzero(~near)[:, 0]
            near[close] = (queries[left[close]] - block[right[close]]).norm(dim=1) <= threshold
            if bool(near.any()):
                yield (left[near] + start).numpy(), (right[near] + other).numpy()


class Signature(Protocol):
    """From pictures to rows of which near ones mean like pictures."""

    def __call__(self, X: NDArray[Any]) -> Floats:
        """Return one row a picture, (n, numbers)."""


class Thumbnail:
    """A small grey picture, its mean taken off and its length brought to 1.

    Brightness and contrast fall away; the squared distance of two is twice one minus their
    correlation.
    """

    def __call__(self, X: NDArray[Any]) -> Floats:
        small = resized(np.asarray(X, dtype=np.float32), (SIDE, SIDE))
        if small.ndim == 4:
            shares = LUMA if small.shape[3] >= 3 else (1.0,)
            small = small[..., : len(shares)] @ np.array(shares, dtype=np.float32)
        rows = small.reshape(len(small), -1)
        rows = rows - rows.mean(1, keepdims=True)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        # Blank pictures, whose rest is rounding, are all alike.
        rows = np.where(length > 1e-3 * SIDE, rows / np.maximum(length, 1e-30), 0)
        return np.asarray(rows, dtype=np.float32)


class Coded:
    """A model's codes, as directions: their length depends on contrast more than on content.

    Parameters
    ----------
    autoencoder
        Fitted on pictures like these.
    """

    def __init__(self, autoencoder: Autoencoder) -> None:
        self.autoencoder = autoencoder

    def __call__(self, X: NDArray[Any]) -> Floats:
        codes: Floats = self.autoencoder.transform(X)
        length = np.linalg.norm(codes, axis=1, keepdims=True)
        return np.asarray(codes / np.maximum(length, 1e-30), dtype=np.float32)


def turns(X: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield pictures as they are, turned by quarters, and the same mirrored: eight versions.

    Parameters
    ----------
    X
        Shape (n, h, w) or (n, h, w, c); versions turned sideways are brought to this size again.
    """
    for mirrored in (X, X[:, :, ::-1]):
        for quarters in range(4):
            turned = np.rot90(mirrored, quarters, axes=(1, 2))
            yield resized(np.ascontiguousarray(turned), X.shape[1:3])
