"""Samples as they are shown, and as a page sends them: pictures, rows, series and texts.

::

    X, as the model takes it ──shown──▶ bytes of pictures, or numbers of rows and series
    what a page sends ──read──▶ one sample, as the model takes it
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from ..data.arrays import SparseRows, is_frame, is_sparse
from ..data.dataset import take_rows
from ..data.encoders import Date, Number
from ..data.frames import Schema
from ..data.pictures import FORMATS, converted, decoder_warnings
from ..data.preparation import Preparation
from ..data.sequences import NumberSequences, TextSequences
from ..data.shades import from_bytes, to_bytes
from ..errors import DataError, printable
from ..figures.mosaic import Rendering
from ..parts import is_number

LARGEST_PICTURE = 25_000_000
"""Pixels of a picture that is taken from a file."""
SECOND, MOST_TICKS = 10**6, 2.0**62
"""Microseconds in one, and at most."""
LOOKED_AT = 2000
"""Samples that limits and grounds are learned from."""


@dataclass(frozen=True)
class Shown:
    """Samples to be shown.

    Parameters
    ----------
    array
        Pictures (m, h, w, c) uint8, rows (m, features) or series (m, T, d) float32; of texts an
        array without columns, (m, 0).
    texts
        The texts, where samples are such.
    """

    array: NDArray[Any]
    texts: list[str] | None = None


class SampleForm(ABC):
    """How samples of one kind are shown and read.

    Parameters
    ----------
    preparation
        How the model takes them.
    """

    kind: str

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation

    @abstractmethod
    def shown(self, X: Any) -> Shown:
        """Return samples, as the model takes or returns them, as they are shown."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return shape, names and limits as plain JSON values."""

    def read_pixels(self, data: bytes) -> Any:
        """Return one sample of bytes, one a value, rows from the top."""
        raise DataError(f"the model takes {self.kind}, not pictures: send values or a text")

    def read_picture(self, data: bytes) -> Any:
        """Return one sample of what a picture file holds."""
        return self.read_pixels(data)

    def read_values(self, values: Any) -> Any:
        """Return one sample of numbers from JSON."""
        raise DataError(f"the model takes {self.kind}: send those")

    def read_text(self, text: str) -> Any:
        """Return one sample of a text."""
        raise DataError(f"the model takes {self.kind}, not texts")


class PictureForm(SampleForm):
    """Pictures, (h, w) or (h, w, c)."""

    kind = "pictures"

    def __init__(self, preparation: Preparation, X: Any) -> None:
        super().__init__(preparation)
        self.shape = preparation.layout.shape
        self.channels = 1 if self.own_channels == 1 else 3
        self.ground = border_shade(self.shown(spread(X, LOOKED_AT)).array)
        self.ink = Rendering.learn(spread(np.asarray(X), LOOKED_AT)).ink

    @property
    def own_channels(self) -> int:
        """How many channels the model's pictures have."""
        return self.shape[2] if len(self.shape) == 3 else 1

    def shown(self, X: Any) -> Shown:
        shades = to_bytes(np.asarray(X), self.preparation)
        shades = shades.reshape(*shades.shape[:3], -1)
        if shades.shape[3] == 2:
            shades = np.concatenate([shades, np.zeros_like(shades[..., :1])], 3)
        return Shown(shades if shades.shape[3] == 1 else shades[..., :3])

    def facts(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape[:2]), "channels": self.channels, "features": None,
            "low": [], "high": [], "ink": self.ink,
        }  # fmt: skip

    def read_pixels(self, data: bytes) -> Any:
        height, width = self.shape[:2]
        wanted = height * width * self.channels
        if len(data) != wanted:
            raise DataError(
                f"{len(data)} bytes were sent, but a picture has {height} × {width} × "
                f"{self.channels} = {wanted}"
            )
        pixels = np.frombuffer(data, np.uint8).reshape(1, height, width, self.channels)
        if self.own_channels > self.channels:  # what is not seen is opaque
            opaque = np.full((1, height, width, self.own_channels - 3), 255, np.uint8)
            pixels = np.concatenate([pixels, opaque], 3)
        shaped = pixels[..., : self.own_channels].reshape(1, *self.shape)
        return from_bytes(shaped, self.preparation)

    def read_picture(self, data: bytes) -> Any:
        from PIL import Image, ImageOps

        mode = "L" if self.channels == 1 else "RGB"
        size = (self.shape[1], self.shape[0])
        try:
            with decoder_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > LARGEST_PICTURE:
                    raise DataError(
                        f"the picture claims {image.width * image.height:,} pixels; at most "
                        f"{LARGEST_PICTURE:,} are taken"
                    )
                image.draft(mode, (2 * size[0], 2 * size[1]))
                upright = ImageOps.exif_transpose(image)
                coloured = converted(upright, 4)
                sheet = Image.new("RGBA", coloured.size, (*self._rgb(), 255))
                opaque = coloured.getchannel("A").getextrema() == (255, 255)
                flat = Image.alpha_composite(sheet, coloured).convert(mode)
                ground = border_shade(np.asarray(flat)[None]) if opaque else self.ground
                fill: Any = tuple(ground.tolist()) if mode == "RGB" else int(ground[0])
                fitted = ImageOps.pad(flat, size, Image.Resampling.LANCZOS, color=fill)
        except DataError:
            raise
        except Exception as error:  # a broken picture can make its decoder raise anything
            raise DataError(
                "the file is broken, or no picture of a known kind "
                "(PNG, JPEG, PGM, BMP, GIF, TIFF, WebP)"
            ) from error
        return self.read_pixels(np.asarray(fitted, np.uint8).tobytes())

    def _rgb(self) -> tuple[int, int, int]:
        red, green, blue = np.broadcast_to(self.ground, 3).tolist()
        return int(red), int(green), int(blue)


class RowForm(SampleForm):
    """Rows of an array, a sparse matrix or a data frame.

    A column of text is shown by the place of its value among the sorted ones.
    """

    kind = "rows"

    def __init__(self, preparation: Preparation, X: Any, names: list[str] | None) -> None:
        super().__init__(preparation)
        table = preparation.table
        self.schema = None
        if is_frame(X):
            self.schema = Schema.of(X) if table is None else table.schema
        fitting = names is not None and len(names) == preparation.n_features
        self.names = names if fitting else preparation.names
        self.levels: list[tuple[str, ...]] = [() for _ in range(preparation.n_features)]
        self.known: list[dict[str, Any]] = []
        if is_frame(X):
            frame = nw.from_native(X, eager_only=True)
            self.known = [known_of(frame[name]) for name in frame.columns]
            self.levels = [tuple(known) for known in self.known]
        self.low, self.high = robust_limits(self.shown(spread(X, LOOKED_AT)).array)

    def shown(self, X: Any) -> Shown:
        if is_sparse(X):
            X = SparseRows(X)[:]
        if not is_frame(X):
            return Shown(np.asarray(X, np.float32).reshape(len(X), -1))
        frame = nw.from_native(X, eager_only=True)
        columns = [
            numbers_of(frame[name], levels)
            for name, levels in zip(frame.columns, self.levels, strict=True)
        ]
        return Shown(np.stack(columns, 1))

    def facts(self) -> dict[str, Any]:
        return {
            "shape": [len(self.levels)], "channels": 1, "features": self.names,
            "levels": [list(levels) or None for levels in self.levels],
            "low": self.low.tolist(), "high": self.high.tolist(),
        }  # fmt: skip

    def read_values(self, values: Any) -> Any:
        if not isinstance(values, list) or len(values) != len(self.levels):
            raise DataError(f"values must be a list of {len(self.levels)}, one for each column")
        if self.schema is not None:
            return self._frame(self.schema, values)
        for i, value in enumerate(values):
            if not is_number(value):
                raise DataError(f"values: {value!r:.40} at place {i} is no number")
        dtype = np.dtype(self.preparation.layout.dtype)
        with np.errstate(over="ignore"):
            row = np.array([values], np.float64)
        if dtype.kind in "iu":
            return np.clip(np.rint(row), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
        return row.astype(dtype)

    def _frame(self, schema: Schema, values: list[Any]) -> Any:
        """Return a data frame of one row, of the library and types of the data."""
        made = []
        for field, known, value in zip(schema.fields, self.known, values, strict=True):
            name = str(field.name)
            if known:
                level = level_at(tuple(known), value, name)
                cell = np.array([None if level is None else known[level]], object)
                made.append((cell, np.array([level is None])))
                continue
            number = number_at(value, name)
            column = np.array([0.0 if number is None else number])
            if field.kind == "moment":
                ticks = np.clip(np.rint(column * SECOND), -MOST_TICKS, MOST_TICKS)
                column = ticks.astype(np.int64).view(self._ticks(field.name))
            made.append((column, np.array([number is None])))
        return schema.frame(made)

    def _ticks(self, name: Any) -> str:
        """Return the type of a column of moments: since 1970, or for how long."""
        table = self.preparation.table
        assert table is not None
        encoder = next(
            each
            for field, each in zip(table.schema.fields, table.encoders, strict=True)
            if field.name == name
        )
        lasts = isinstance(encoder, Date) and (encoder.duration or encoder.clock)
        return "m8[us]" if lasts else "M8[us]"


class SeriesForm(SampleForm):
    """Sequences of numbers, of one length or of several."""

    kind = "sequences"

    def __init__(self, preparation: Preparation, X: Any) -> None:
        super().__init__(preparation)
        sequences = preparation.sequences
        if isinstance(sequences, NumberSequences):
            self.steps, self.features, self.flat = (
                sequences.steps, sequences.features, sequences.flat,
            )  # fmt: skip
            self.ragged = True
        else:
            self.steps, self.features = preparation.layout.shape
            self.flat, self.ragged = False, False
        some = self.shown(spread(X, LOOKED_AT)).array
        self.low, self.high = robust_limits(some.reshape(-1, self.features))

    def shown(self, X: Any) -> Shown:
        if not self.ragged:
            return Shown(np.asarray(X, np.float32).reshape(len(X), self.steps, self.features))
        out = np.full((len(X), self.steps, self.features), np.nan, np.float32)
        for i, each in enumerate(X):
            out[i, : len(each)] = np.asarray(each, np.float32).reshape(len(each), self.features)
        return Shown(out)

    def facts(self) -> dict[str, Any]:
        return {
            "shape": [self.steps, self.features], "channels": 1, "features": None,
            "low": self.low.tolist(), "high": self.high.tolist(),
        }  # fmt: skip

    def read_values(self, values: Any) -> Any:
        steps = values if isinstance(values, list) else []
        rows = [step if isinstance(step, list) else [step] for step in steps]
        if not rows or len(rows) > self.steps or (not self.ragged and len(rows) != self.steps):
            most = f"1 to {self.steps}" if self.ragged else f"{self.steps}"
            raise DataError(f"values must be a list of {most} steps")
        for i, row in enumerate(rows):
            if len(row) != self.features or not all(is_number(value) for value in row):
                raise DataError(
                    f"values: step {i} must have {self.features} "
                    f"{'number' if self.features == 1 else 'numbers'}"
                )
        array = np.array(rows, np.float64).astype(self.preparation.layout.dtype)
        if self.ragged:
            return [array[:, 0] if self.flat else array]
        return array[None]


class TextForm(SampleForm):
    """Texts."""

    kind = "sequences"

    def __init__(self, preparation: Preparation, steps: int) -> None:
        super().__init__(preparation)
        self.steps = steps

    def shown(self, X: Any) -> Shown:
        return Shown(np.zeros((len(X), 0), np.float32), [printable(text) for text in X])

    def facts(self) -> dict[str, Any]:
        return {
            "shape": [self.steps], "channels": 1, "features": None, "texts": True,
            "low": [], "high": [],
        }  # fmt: skip

    def read_text(self, text: str) -> Any:
        return [text]


def form_of(preparation: Preparation, X: Any, names: list[str] | None = None) -> SampleForm:
    """Return how samples are shown that a model takes so.

    Parameters
    ----------
    preparation
        The model's, of its input or its target.
    X
        Some such samples.
    names
        Of the columns of an array of rows.
    """
    if isinstance(preparation.sequences, TextSequences):
        return TextForm(preparation, preparation.sequences.steps)
    if preparation.layout.kind == "pictures":
        return PictureForm(preparation, X)
    if preparation.layout.kind == "sequences":
        return SeriesForm(preparation, X)
    return RowForm(preparation, X, names)


def spread(X: Any, most: int) -> Any:
    """Return samples, of many only so many, spread evenly from the first to the last."""
    n = count(X)
    return take_rows(X, np.unique(np.linspace(0, n - 1, min(most, n)).astype(np.int64)))


def count(X: Any) -> int:
    """Return how many samples there are."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def border_shade(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the usual shade at the border of pictures (n, h, w) or (n, h, w, c), (c,)."""
    channels = 1 if pictures.ndim == 3 else pictures.shape[3]
    edges = (pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1])
    border = np.concatenate([edge.reshape(-1, channels) for edge in edges])
    return np.asarray(np.median(border, axis=0), np.uint8)


def robust_limits(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return for each column of numbers (n, columns) between what values nearly all lie."""
    known = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    known = np.where(np.isnan(known).all(0), 0.0, known)
    low, high = np.nanquantile(known, [0.005, 0.995], axis=0)
    return low, np.where(high > low, high, low + 1)


def known_of(column: Any) -> dict[str, Any]:
    """Return the values of a column of text by name, sorted; of numbers and times there are none.

    A column whose values are all missing has none either.
    """
    if is_numeric(column):
        return {}
    named = {str(value): value for value in column.drop_nulls().to_list()}
    return dict(sorted(named.items()))


def is_numeric(column: Any) -> bool:
    """Whether a column of a data frame is of numbers, truths or times."""
    dtype = column.dtype
    return bool(dtype.is_numeric() or dtype.is_temporal() or dtype == nw.Boolean)


def numbers_of(column: Any, levels: tuple[str, ...]) -> NDArray[np.float32]:
    """Return a column as numbers; text by its place among the levels, NaN for what is missing."""
    if levels:
        ranks = {level: i for i, level in enumerate(levels)}
        values = [ranks.get(str(value), np.nan) for value in column.to_list()]
        return np.array(values, np.float32)
    if column.dtype.is_temporal():
        return (Date.read(column) / SECOND).astype(np.float32)
    return Number.read(column).astype(np.float32)


def level_at(levels: tuple[str, ...], value: Any, name: str) -> str | None:
    """Return the level that is named, or that lies at a place among the sorted ones."""
    if value is None:
        return None
    if value in levels:
        return str(value)
    if is_number(value, 0, len(levels) - 1):
        place: int = round(value)
        return levels[place]
    raise DataError(f"values: {value!r:.40} is no value of the column {name!r}")


def number_at(value: Any, name: str) -> float | None:
    """Return a number, or None for what is missing."""
    if value is None or is_number(value):
        return None if value is None else float(value)
    raise DataError(f"values: {value!r:.40} is no number for the column {name!r}")
