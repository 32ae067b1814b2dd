"""Lossless: what stands in a record that gives back the very pixels, or the very file.

::

    0  deflated                       what the model does not shorten, or cannot be sure of
    1  as it is                       the same, of a file that is packed already
    2+ recipe, checksum, checksum of the file, code, residual
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import recipes
from .archive import Damaged, read_varint, varint
from .coder import CodeTable, Reader, Writer
from .residual import Residual

Picture = NDArray[np.uint8]

DEFLATED, STORED, CODED = range(3)
LARGEST_FILE = 2**28
"""Bytes that one file may unpack to."""


class Lossless:
    """Writes and reads the records of pictures that come back exactly.

    Parameters
    ----------
    table
        The code's entropy coder.
    predict
        From one code (numbers,) to the picture it decodes to, in the shape of the data.
    residual
        What pictures are beyond that.
    recipes_
        How files are made of pixels.
    """

    def __init__(
        self,
        table: CodeTable,
        predict: Callable[[NDArray[np.int32]], Picture],
        residual: Residual,
        recipes_: list[recipes.Recipe],
    ) -> None:
        self.table = table
        self.predict = predict
        self.residual = residual
        self.recipes = recipes_
        self.known = {json.dumps(recipe): number for number, recipe in enumerate(recipes_)}

    def pack(
        self, original: bytes, picture: Picture | None, predicted: Picture, code: NDArray[np.int32]
    ) -> bytes:
        """Return the shortest record of a file.

        Parameters
        ----------
        original
            The file, or the bytes of an array.
        picture
            Its pixels; None where their prediction might differ on another machine.
        predicted
            What their code decodes to.
        code
            Their code, (numbers,).
        """
        deflated = zlib.compress(original, 9)
        packed = [bytes([DEFLATED]) + deflated, bytes([STORED]) + original]
        found = None if picture is None else recipes.find(original, picture)
        if picture is not None and found is not None:
            number = self.known.setdefault(json.dumps(found.recipe), len(self.recipes))
            if number == len(self.recipes):
                self.recipes.append(found.recipe)
            mark = varint(CODED + number) + _checksum(picture.tobytes())
            file = _checksum(original) if found.loose else b""
            packed.append(mark + file + self._coded(picture, predicted, code))
        return min(packed, key=len)

    def _coded(self, picture: Picture, predicted: Picture, code: NDArray[np.int32]) -> bytes:
        writer = Writer()
        self.table.write(code, writer)
        for plane, guess in zip(_planes(picture), _planes(predicted), strict=True):
            self.residual.write(plane, guess, writer)
        return writer.finish()

    def unpack(self, payload: bytes) -> tuple[bytes, bool]:
        """Return the file that a record holds, and whether it is the very file that was packed.

        It is not where another release of the library that writes it packs the same pixels into
        other bytes.

        Raises
        ------
        Damaged
            If what comes out is not what went in.
        """
        kind, begin = read_varint(payload, 0)
        if kind == STORED:
            return payload[begin:], True
        if kind == DEFLATED:
            return inflated(payload[begin:]), True
        if kind - CODED >= len(self.recipes):
            raise Damaged("there is no such recipe")
        recipe = self.recipes[kind - CODED]
        loose = recipe.get("layout") in recipes.WRITERS
        picture = self._decoded(payload[begin + (8 if loose else 4) :])
        if _checksum(picture.tobytes()) != payload[begin : begin + 4]:
            raise Damaged("the checksum of its pixels does not fit")
        file = recipes.make(recipe, picture)
        return file, not loose or _checksum(file) == payload[begin + 4 : begin + 8]

    def _decoded(self, data: bytes) -> Picture:
        reader = Reader(data)
        predicted = self.predict(self.table.read(reader))
        planes = [self.residual.read(guess, reader) for guess in _planes(predicted)]
        if predicted.ndim == 2:
            return planes[0]
        return np.ascontiguousarray(np.stack(planes, axis=-1))


def inflated(data: bytes) -> bytes:
    """Return what was deflated, as long as it is no larger than a file may be."""
    unpacking = zlib.decompressobj()
    try:
        original = unpacking.decompress(data, LARGEST_FILE)
    except zlib.error as error:
        raise Damaged(str(error)) from error
    if not unpacking.eof:
        raise Damaged("it goes on beyond its end")
    return original


def planes(pictures: Any) -> Picture:
    """Return the channels of pictures (n, h, w) or (n, h, w, c) one by one, (n · c, h, w)."""
    return np.concatenate([np.stack(_planes(picture)) for picture in pictures])


def _planes(picture: Picture) -> list[Picture]:
    if picture.ndim == 2:
        return [picture]
    return [picture[:, :, channel] for channel in range(picture.shape[2])]


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
