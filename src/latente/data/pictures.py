"""One picture: its size and kind as its header tells them, and its pixels as asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileError, LatenteError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp", ".gif", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that swap height and width."""
ORIENTATION = 0x0112
GREY = ("1", "L", "LA", "La", "I", "F")


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
def opened(path: Path) -> Iterator[Image]:
    """Open a picture; whatever is wrong with it becomes one sentence that names it.

    Raises
    ------
    FileError
        If it cannot be opened, is no picture of a known kind, is cut short, or would unpack to
        more pixels than a picture has.
    """
    from PIL import Image

    try:
        # Not by its name: Pillow 13 maps a file it knows by name, and then a TIFF turned sideways
        # is scrambled.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
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
    """Return how a picture looks, as its header tells it: upright, without its alpha channel."""
    with opened(path) as image:
        width, height = image.size
        told = image.format != "TIFF" and "exif" in image.info  # a TIFF is upright when opened
        if told and image.getexif().get(ORIENTATION) in SIDEWAYS:
            width, height = height, width
        return Look(height, width, 1 if is_grey(image) else 3, depth(image))


def is_grey(image: Image) -> bool:
    """Whether the picture's kind has no colours; one with a palette of greys has none."""
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in GREY or image.mode.startswith("I;16")


def depth(image: Image) -> str:
    """Return the type that holds the picture's values without loss."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return "uint16"
    return "float32" if image.mode in ("I", "F") else "uint8"


def pixels(path: Path, wanted: Look) -> NDArray[Any]:
    """Return a picture's pixels, turned upright, in the size and kind wanted.

    A transparent picture is laid on white unless four channels are wanted. Of a picture with
    several frames or pages, the first is taken.

    Parameters
    ----------
    path
        The picture.
    wanted
        Height, width, channels and type; a picture of another size is stretched.

    Returns
    -------
    Shape ``wanted.shape``.
    """
    from PIL import ImageOps

    with opened(path) as image:
        if image.format == "JPEG":  # decode at about the size wanted: the rest is thrown away
            longest = 2 * max(wanted.height, wanted.width)
            if min(image.size) > longest:
                image.draft(None, (longest, longest))
        image.load()
        if "exif" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        if depth(image) != "uint8":
            return deep(image, wanted)
        values = np.asarray(stretched(converted(image, wanted.channels), wanted))
        return values if wanted.dtype == "uint8" else values * np.uint16(257)


def converted(image: Image, channels: int) -> Image:
    """Return an 8-bit picture in grey (1 channel), colour (3) or colour with alpha (4)."""
    from PIL import Image

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if channels < 4 and image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def deep(image: Image, wanted: Look) -> NDArray[Any]:
    """Return a grey picture of more than 8 bits; where 8 bits are wanted, the upper ones."""
    from PIL import Image

    values = np.asarray(image, dtype=np.float32)
    if values.shape != (wanted.height, wanted.width):
        values = np.asarray(stretched(Image.fromarray(values), wanted))
    if wanted.dtype == "float32":
        return values
    whole = np.rint(np.clip(values, 0, 65535)).astype(np.uint16)
    if wanted.dtype == "uint16":
        return whole
    grey = (whole >> 8).astype(np.uint8)
    if wanted.channels == 1:
        return grey
    colours = np.repeat(grey[..., None], wanted.channels, axis=-1)
    colours[..., 3:] = 255
    return colours


def stretched(image: Image, wanted: Look) -> Image:
    """Return the picture in the size wanted, stretched where the proportions differ."""
    from PIL.Image import Resampling

    size = (wanted.width, wanted.height)
    return image if image.size == size else image.resize(size, Resampling.LANCZOS)
