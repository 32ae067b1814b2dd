"""Entropy coding: whole numbers as bytes under tables of frequencies, and back.

::

    numbers ──tables──▶ range coder (constriction) ──▶ bytes, the fewest that tell them

Probabilities are whole numbers from the first to the last, so that the bytes are the same, and are
read the same, on every machine.
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


def coding() -> Any:
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


def categorical(weights: NDArray[Any]) -> Any:
    """Return a model of symbols 0, 1, … with these whole weights, (symbols,)."""
    return coding().model.Categorical(weights.astype(np.float64), perfect=False)


class Writer:
    """Symbols on their way to bytes."""

    def __init__(self) -> None:
        self.encoder = coding().queue.RangeEncoder()

    def write(self, symbols: NDArray[Any], model: Any) -> None:
        """Append symbols that one model describes, (n,)."""
        if len(symbols):
            self.encoder.encode(np.ascontiguousarray(symbols, dtype=np.int32), model)

    def finish(self) -> bytes:
        """Return the bytes, as few as single out what was written.

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


class Reader:
    """Bytes on their way back to symbols; of bytes that nobody wrote, some symbols or other."""

    def __init__(self, data: bytes) -> None:
        padded = data + b"\0" * (-len(data) % 4)
        words = np.frombuffer(padded, ">u4").astype(np.uint32)
        self.decoder = coding().queue.RangeDecoder(words)

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
            found: Integers = self.decoder.decode(model, n)
        except AssertionError as error:
            raise ValueError("these bytes were written by no coder") from error
        return found


class CodeTable:
    """Codes under the tables of a model, each table for one stretch of the numbers.

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
        self.models = [categorical(counts) for counts in frequencies.counts]
        self.byte = coding().model.Uniform(BYTE_VALUES)

    def write(self, code: Integers, writer: Writer) -> None:
        """Append a code (numbers,) of values that two bytes hold."""
        offsets = code.reshape(-1, self.stretch) - self.frequencies.lowest[:, None]
        escape = self.frequencies.escape
        rare = (offsets < 0) | (offsets >= escape)
        for symbols, model in zip(np.where(rare, escape, offsets), self.models, strict=True):
            writer.write(symbols, model)
        if rare.any():
            pairs = code.reshape(rare.shape)[rare].astype(">i2").view(np.uint8)
            writer.write(pairs, self.byte)

    def read(self, reader: Reader) -> Integers:
        """Return the next code, (numbers,)."""
        symbols = np.stack([reader.read(self.stretch, model) for model in self.models])
        rare = symbols == self.frequencies.escape
        code = symbols + self.frequencies.lowest[:, None]
        if rare.any():
            pairs = reader.read(2 * int(rare.sum()), self.byte).astype(np.uint8)
            code[rare] = pairs.view(">i2").astype(np.int32)
        return np.ascontiguousarray(code.reshape(-1), dtype=np.int32)
