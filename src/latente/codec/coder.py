"""Entropy coding: whole numbers as bytes under tables of frequencies, and back.

::

    numbers ──tables──▶ range coder (constriction) ──▶ bytes

Probabilities are whole numbers throughout, so that the bytes are written and read alike on every
machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bottlenecks.frequencies import Frequencies
from ..errors import MissingExtra

Integers = NDArray[np.int32]

WORD = 32
"""Bits of the range coder's words; its state is two of them."""
BYTE_VALUES = 256
LARGEST = 2**15 - 1
"""Largest absolute value of a number, so that two bytes hold one that has no entry."""


def _coding() -> Any:
    """Return the module of constriction that codes streams.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import constriction
    except ImportError:
        raise MissingExtra(
            "compression needs one more library: pip install 'latente[codec]'"
        ) from None
    return constriction.stream


def _categorical(weights: NDArray[Any]) -> Any:
    """Return a model of symbols 0, 1, … with these whole weights, (symbols,)."""
    return _coding().model.Categorical(weights.astype(np.float64), perfect=False)


class RangeWriter:
    """Writes symbols as bytes."""

    def __init__(self) -> None:
        self.encoder = _coding().queue.RangeEncoder()

    def write(self, symbols: NDArray[Any], model: Any) -> None:
        """Append symbols (n,) under one model."""
        if len(symbols):
            self.encoder.encode(np.ascontiguousarray(symbols, dtype=np.int32), model)

    def finish(self) -> bytes:
        """Return the fewest bytes that identify what was written.

        The encoder knows an interval; any number inside will do, and the one with the most zeros at
        its end is taken, since a reader takes what is missing for zeros.
        """
        words = [int(word) for word in self.encoder.get_compressed()]
        position, (inner, span) = self.encoder.pos()
        words = [*words, 0, 0][: position + 2]
        sealed = 0
        for word in words:
            sealed = sealed << WORD | word
        bits = WORD * len(words)
        low: int = sealed - ((sealed - inner) % 2 ** (2 * WORD))
        shortest = low
        for zeros in range(8, bits + 8, 8):
            candidate = -(-low >> zeros) << zeros
            if candidate >= low + span or candidate >> bits:
                break
            shortest = candidate
        return shortest.to_bytes(bits // 8, "big").rstrip(b"\0")


class RangeReader:
    """Reads symbols from bytes; bytes that no writer made give some symbols or an error."""

    def __init__(self, data: bytes) -> None:
        padded = data + b"\0" * (-len(data) % 4)
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self.decoder = _coding().queue.RangeDecoder(words)

    def read(self, n: int, model: Any) -> Integers:
        """Return the next n symbols.

        Raises
        ------
        ValueError
            If no symbols can have given these bytes.
        """
        if n == 0:
            return np.empty(0, np.int32)
        try:
            symbols: Integers = self.decoder.decode(model, n)
        except AssertionError as error:
            raise ValueError("no symbols give these bytes") from error
        return symbols


class CodeTable:
    """Codes under the tables of a model, each table for one stretch of a code's numbers.

    Parameters
    ----------
    frequencies
        The tables.
    numbers
        How many numbers a code has: a multiple of the tables.
    """

    def __init__(self, frequencies: Frequencies, numbers: int) -> None:
        self.frequencies = frequencies
        self.stretch = numbers // frequencies.sources
        self.models = [_categorical(counts) for counts in frequencies.counts]
        self.byte = _coding().model.Uniform(BYTE_VALUES)

    def write(self, code: Integers, writer: RangeWriter) -> None:
        """Append a code (numbers,) of values up to `LARGEST`."""
        offsets = code.reshape(-1, self.stretch) - self.frequencies.lowest[:, None]
        escape = self.frequencies.escape
        rare = (offsets < 0) | (offsets >= escape)
        for symbols, model in zip(np.where(rare, escape, offsets), self.models, strict=True):
            writer.write(symbols, model)
        if rare.any():
            pairs = code.reshape(rare.shape)[rare].astype(">i2").view(np.uint8)
            writer.write(pairs, self.byte)

    def read(self, reader: RangeReader) -> Integers:
        """Return the next code, (numbers,)."""
        symbols = np.stack([reader.read(self.stretch, model) for model in self.models])
        rare = symbols == self.frequencies.escape
        code = symbols + self.frequencies.lowest[:, None]
        if rare.any():
            pairs = reader.read(2 * int(rare.sum()), self.byte).astype(np.uint8)
            code[rare] = pairs.view(">i2").astype(np.int32)
        return np.ascontiguousarray(code.reshape(-1), dtype=np.int32)
