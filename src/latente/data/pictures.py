"""Pictures: one file, or a folder of them; class folders become labels, sizes are compared.

One picture is described by a `Look`: its size and kind as its header states them. Its pixels are
decoded in the look that is asked for.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import DataError, FileError, LatenteError, ParameterError
from ..parts import is_whole
from . import memory
from .dataset import Dataset, check_ordinary, natural
from .memory import check_memory
from .names import Names

FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp", ".gif", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that swap height and width."""
ORIENTATION = 0x0112
GREY = ("1", "L", "LA", "La", "I", "F")
SHOWN = 8
"""How many sizes an error lists."""
SMALL = 128 * 128
"""Below this many pixels a picture is opened in more time than decoded: threads do not help."""
DECODING = 16
"""Bytes that a pixel takes at most while it is decoded: four copies in colour, with alpha."""
SPLIT = ("train", "test")
"""Folders so called hold the samples to learn from and those to test with."""


def read_picture(
    path: Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """Read one picture as a data set of one sample."""
    with decoder_warnings():
        target = agreed({look(path): Alike(1, str(path))}, path.parent, size, channels)
        X = pixels(path, target)[None]
    return Dataset(X=X, name=path.stem, paths=(str(path),), source=str(path))


def read_folder(
    folder: Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """Read all pictures of a folder and of the folders in it.

    ::

        folder/cat/1.png, folder/dog/2.png ──▶ X (n, h, w) or (n, h, w, 3); y; classes cat, dog

    The first folder below is the class; where pictures lie directly in the folder, or there is
    one class only, there are no labels. Where the first folders are ``train`` and ``test``, the
    pictures of `test` are for testing and the classes are the folders below those. Pictures come
    in natural order (s2 before s10); hidden files, those that are no pictures, and renderings of
    another (1.pgm.png beside 1.pgm) are passed over.

    Parameters
    ----------
    folder
        The folder.
    size
        Height and width to which all are stretched; None where all are of one size.
    channels
        1 grey, 3 colour, 4 colour with alpha; None: colour where any picture has colours.

    Raises
    ------
    DataError
        If there are no pictures, or their sizes differ and none is asked for.
    FileError
        If a picture is broken.
    """
    found = picture_files(folder, size=size, channels=channels)
    return as_classes(found, decoded(found.paths, found.target, found.largest), folder)


@dataclass(frozen=True)
class PictureFiles:
    """The pictures of a folder, not yet decoded.

    Parameters
    ----------
    paths
        The files, of which there may be millions.
    target
        What all are to look like.
    largest
        How many pixels the largest has.
    """

    paths: Names
    target: Look
    largest: int


@dataclass
class Alike:
    """How many pictures look the same, and one of them."""

    count: int
    example: str


def picture_files(
    folder: Path, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> PictureFiles:
    """Return the pictures of a folder and of those below, their headers read.

    Parameters
    ----------
    folder, size, channels
        As for `read_folder`.

    Raises
    ------
    DataError
        If there are none, or their sizes differ and none is asked for.
    """
    looks: dict[Look, Alike] = {}

    def looked_at() -> Iterator[str]:
        for path in pictures(folder):
            looks.setdefault(look(Path(path)), Alike(0, path)).count += 1
            yield path

    with decoder_warnings():
        paths = Names.of(looked_at())
    if not paths:
        raise DataError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}){instead(folder)}")
    target = agreed(looks, folder, size, channels)
    return PictureFiles(paths, target, max(each.height * each.width for each in looks))


def as_classes(found: PictureFiles, X: Any, folder: Path) -> Dataset:
    """Return the pictures of a folder as a data set, labels and split by the folders they are in.

    Parameters
    ----------
    found
        The files.
    X
        What they hold, of which some can be taken: ``X[first]``.
    folder
        The folder.
    """
    paths = found.paths
    number: dict[str, int] = {}
    holders = np.array([number.setdefault(os.path.dirname(path), len(number)) for path in paths])
    inside = [Path(each).relative_to(folder).parts for each in number]
    tops = np.array([parts[0].casefold() if parts else "" for parts in inside])
    split = set(tops) == set(SPLIT)
    labels, classes = classed([parts[1:] for parts in inside] if split else inside)
    y = None if labels is None else labels[holders]
    first = (tops == SPLIT[0])[holders] if split else np.ones(len(paths), np.bool_)
    return Dataset(
        X=X[first] if split else X,
        y=None if y is None else y[first],
        X_test=X[~first] if split else None,
        y_test=y[~first] if split and y is not None else None,
        name=folder.resolve().name,
        paths=Names.of(compress(paths, first)) if split else paths,
        classes=classes,
        source=str(folder),
    )


def pictures(folder: Path) -> Iterator[str]:
    """Yield the pictures in a folder and below, in natural order; links are followed once."""
    seen: set[tuple[int, int]] = set()
    entered = [iter([(str(folder), True)])]
    while entered:
        path, is_folder = next(entered[-1], ("", False))
        if not path:
            entered.pop()
        elif not is_folder:
            yield path
        else:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                entered.append(_inside(path))


def _inside(folder: str) -> Iterator[tuple[str, bool]]:
    """Return the pictures and folders in a folder, in natural order, and which are folders."""
    try:
        with os.scandir(folder) as entries:
            is_folder = {each.name: each.is_dir() for each in entries if not is_hidden(each.name)}
    except OSError as error:
        raise FileError(f"{folder} cannot be read: {error.strerror}") from error
    files = {n for n in is_folder if not is_folder[n] and n.lower().endswith(SUFFIXES)}
    folders = {n for n in is_folder if is_folder[n]}
    own = {n for n in files if n.rpartition(".")[0] not in files}
    inside: list[str] = sorted(own | folders, key=natural)
    names = Names.of(inside)  # a folder may hold millions
    return ((os.path.join(folder, name), name in folders) for name in names)


def is_hidden(name: str) -> bool:
    """Whether a name is one that systems hide: a dot first, or what macOS packs beside files."""
    return name.startswith(".") or name == "__MACOSX"


def instead(folder: Path) -> str:
    """Return what a folder without pictures holds, as the end of a sentence."""
    kinds = Counter(p.suffix.lower() or p.name for p in folder.rglob("*") if p.is_file())
    most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
    return f"; it holds {most}" if most else "; it is empty"


def classed(
    folders: Sequence[tuple[str, ...]],
) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Return labels of folders and classes, by the first part of their paths; None without one."""
    if not all(folders):
        return None, None
    classes = tuple(sorted({parts[0] for parts in folders}, key=natural))
    if len(classes) < 2:
        return None, None
    place = {name: i for i, name in enumerate(classes)}
    return np.array([place[parts[0]] for parts in folders], dtype=np.int64), classes


def agreed(
    looks: Mapping[Look, Alike], folder: Path, size: tuple[int, int] | None, channels: int | None
) -> Look:
    """Return the one size and kind in which all the pictures are to be decoded."""
    if channels not in (None, 1, 3, 4):
        raise ParameterError(f"channels={channels!r}: channels must be 1, 3, 4 or None")
    height, width = checked(common(looks, folder) if size is None else size)
    depths = {each.dtype for each in looks}
    if "float32" in depths and len(depths) > 1:
        odd = next(alike.example for each, alike in looks.items() if each.dtype == "float32")
        raise DataError(f"{odd} holds floating-point or 32-bit values, others in {folder} do not")
    channels = channels or max(each.channels for each in looks)
    if "float32" in depths and channels > 1:
        raise ParameterError(
            f"channels={channels}: the pictures of {folder} are grey, with 32 bits"
        )
    deepest = max(depths, key=("uint8", "uint16", "float32").index)
    return Look(height, width, channels, "uint8" if channels > 1 else deepest)


def checked(size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width, or raise `ParameterError` where they are not such."""
    if len(tuple(size)) != 2 or not all(is_whole(length, 1, 2**16) for length in size):
        raise ParameterError(f"size={size!r}: size must be (height, width) in pixels")
    return int(size[0]), int(size[1])


def common(looks: Mapping[Look, Alike], folder: Path) -> tuple[int, int]:
    """Return the size all have; otherwise raise an error that lists the sizes there are."""
    counts: Counter[tuple[int, int]] = Counter()
    examples: dict[tuple[int, int], str] = {}
    for each, alike in looks.items():
        counts[each.height, each.width] += alike.count
        examples.setdefault((each.height, each.width), alike.example)
    if len(counts) == 1:
        return next(iter(counts))
    lines = [
        f"{height}×{width} ({count:,}, such as {examples[height, width]})"
        for (height, width), count in counts.most_common(SHOWN)
    ]
    top = counts.most_common(1)[0][0]
    more = f", and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    raise DataError(
        f"{folder} holds pictures of {len(counts):,} sizes (height×width): {', '.join(lines)}"
        f"{more}; bring them to one size, such as size=({top[0]}, {top[1]}) or --size "
        f"{top[1]}x{top[0]}"
    )


def decoded(paths: Sequence[str], target: Look, largest: int) -> NDArray[Any]:
    """Decode all pictures into one array, shape ``(n, *target.shape)``.

    Parameters
    ----------
    paths
        The pictures.
    target
        What they are to look like.
    largest
        How many pixels the largest has; so many are decoded at once as there is memory for.
    """
    nbytes = len(paths) * int(np.prod(target.shape)) * np.dtype(target.dtype).itemsize
    check_memory(nbytes + DECODING * largest, os.path.dirname(paths[0]))
    X = np.empty((len(paths), *target.shape), dtype=target.dtype)

    def place(i: int) -> None:
        X[i] = pixels(Path(paths[i]), target)

    room = (memory.physical_memory() or 2**63) - nbytes
    most = min(8, os.cpu_count() or 1, max(1, room // (DECODING * largest)))
    threads = 1 if target.height * target.width < SMALL else most
    with decoder_warnings(), ThreadPoolExecutor(threads) as pool:
        try:
            deque(pool.map(place, range(len(paths))), maxlen=0)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return X


@contextmanager
def decoder_warnings() -> Iterator[None]:
    """Keep decoders' remarks on odd metadata quiet; make a claim of too many pixels an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def resized(X: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return pictures stretched to another size.

    Parameters
    ----------
    X
        Shape ``(n, h, w)`` or ``(n, h, w, c)``.
    size
        Height and width, in pixels.

    Returns
    -------
    Shape ``(n, height, width)`` or ``(n, height, width, c)``, of the same type.
    """
    height, width = checked(size)
    if X.ndim < 3:
        raise ParameterError(f"size={size!r}: the samples have shape {X.shape[1:]}: no pictures")
    if X.shape[1:3] == (height, width):
        return X
    planes = X[..., None] if X.ndim == 3 else X
    out = np.empty((len(X), height, width, planes.shape[-1]), dtype=np.float32)
    target = Look(height, width, 1, "float32")
    for i, channel in np.ndindex(len(X), planes.shape[-1]):
        plane = Image.fromarray(planes[i, :, :, channel].astype(np.float32))
        out[i, :, :, channel] = np.asarray(stretched(plane, target))
    if X.dtype.kind in "iu":
        limits = np.iinfo(X.dtype)
        out = np.rint(np.clip(out, limits.min, limits.max))
    return out.astype(X.dtype).reshape(len(X), height, width, *X.shape[3:])


# ── one picture ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Look:
    """What a picture looks like: height and width in pixels, channels, and the type of a value.

    The type is ``uint8``, ``uint16`` (grey only) or ``float32`` (grey only). Channels are 1, 3
    or 4.
    """

    height: int
    width: int
    channels: int
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        """``(height, width)``, or ``(height, width, channels)`` where there are several."""
        size = (self.height, self.width)
        return size if self.channels == 1 else (*size, self.channels)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever is wrong with it becomes one sentence that names it.

    Raises
    ------
    FileError
        If it cannot be opened, is no picture of a known kind, is cut short, or would unpack to
        more pixels than a picture has.
    """
    check_ordinary(path)
    try:
        # Not by its name: Pillow 13 maps a file it knows by name, and then a TIFF turned sideways
        # is scrambled.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            check_memory(DECODING * image.width * image.height, path)
            yield image
    except (LatenteError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(
            f"{path} claims more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels and is not unpacked"
        ) from error
    except Exception as error:  # a broken picture can make its decoder raise anything
        reason = getattr(error, "strerror", None)
        raise FileError(
            f"{path} cannot be opened: {reason}"
            if reason
            else f"{path} is broken, or no picture of a known kind (PNG, JPEG, PGM, BMP, GIF, "
            "TIFF, WebP)"
        ) from error


def look(path: Path) -> Look:
    """Return how a picture looks, by its header: upright, without its alpha channel."""
    with opened(path) as image:
        width, height = image.size
        turned = image.format != "TIFF" and "exif" in image.info  # a TIFF is upright when opened
        if turned and image.getexif().get(ORIENTATION) in SIDEWAYS:
            width, height = height, width
        return Look(height, width, 1 if is_grey(image) else 3, depth(image))


def is_grey(image: Image.Image) -> bool:
    """Whether the picture's kind has no colours; one with a palette of greys has none."""
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in GREY or image.mode.startswith("I;16")


def depth(image: Image.Image) -> str:
    """Return the type that holds the picture's values without loss."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return "uint16"
    return "float32" if image.mode in ("I", "F") else "uint8"


def pixels(path: Path, target: Look) -> NDArray[Any]:
    """Return a picture's pixels, turned upright, in the size and kind asked for.

    A transparent picture is laid on white unless four channels are asked for. Of a picture with
    several frames or pages, the first is taken.

    Parameters
    ----------
    path
        The picture.
    target
        Height, width, channels and type; a picture of another size is stretched.

    Returns
    -------
    Shape ``target.shape``.
    """
    with opened(path) as image:
        if image.format == "JPEG":  # decode at about the size asked for: the rest is thrown away
            longest = 2 * max(target.height, target.width)
            if min(image.size) > longest:
                image.draft(None, (longest, longest))
        image.load()
        if "exif" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        if depth(image) != "uint8":
            return deep(image, target)
        values = np.asarray(stretched(converted(image, target.channels), target))
        return values if target.dtype == "uint8" else values * np.uint16(257)


def converted(image: Image.Image, channels: int) -> Image.Image:
    """Return an 8-bit picture in grey (1 channel), colour (3) or colour with alpha (4)."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if channels < 4 and image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def deep(image: Image.Image, target: Look) -> NDArray[Any]:
    """Return a grey picture of more than 8 bits; where 8 bits are asked for, the upper ones."""
    values = np.asarray(image, dtype=np.float32)
    if values.shape != (target.height, target.width):
        values = np.asarray(stretched(Image.fromarray(values), target))
    if target.dtype == "float32":
        return values
    whole = np.rint(np.clip(values, 0, 65535)).astype(np.uint16)
    if target.dtype == "uint16":
        return whole
    grey = (whole >> 8).astype(np.uint8)
    if target.channels == 1:
        return grey
    colours = np.repeat(grey[..., None], target.channels, axis=-1)
    colours[..., 3:] = 255
    return colours


def stretched(image: Image.Image, target: Look) -> Image.Image:
    """Return the picture in the size asked for, stretched where the proportions differ."""
    size = (target.width, target.height)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
