"""Files of text: their encoding is found, gzip is undone, and nothing is unpacked without bound."""

from __future__ import annotations

import codecs
import gzip
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self, cast

from ..errors import DataWarning, FileError, LatenteError, ParameterError
from .dataset import check_ordinary
from .memory import check_memory

GZIP = b"\x1f\x8b"
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""How text begins that says its encoding; the longer mark before the one it begins with."""
WESTERN = "cp1252"
"""What text in Western Europe is that is neither UTF-8 nor says what it is."""
PIECE = 2**20
"""Bytes that are looked at together."""
BROKEN_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class TextFormat:
    """What is given on how a table of text is written; None for what is to be found out.

    Parameters
    ----------
    header
        Whether the first line names the columns.
    decimal
        The decimal sign, "." or ",".
    thousands
        What stands between groups of three digits: ",", ".", " ", "'", or "none".
    encoding
        As Python calls it.
    """

    header: bool | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None

    @property
    def is_table(self) -> bool:
        """Whether anything is given that only a table has."""
        return any(each is not None for each in (self.header, self.decimal, self.thousands))


@dataclass(frozen=True)
class TextFile:
    """A file of text, looked through once.

    Parameters
    ----------
    path
        The file.
    encoding
        A name that Python knows.
    packed
        Whether it is gzipped.
    quotes
        How many double quotes it holds.
    """

    path: Path
    encoding: str
    packed: bool
    quotes: int

    @classmethod
    def of(cls, path: Path, encoding: str | None = None) -> Self:
        """Look through a file.

        Parameters
        ----------
        path
            The file, gzipped or not.
        encoding
            A name that Python knows; None to find out: UTF-8, what a byte order mark says, or else
            Windows-1252, with a `DataWarning`.

        Raises
        ------
        FileError
            If the file is not text of that encoding, is a broken gzip file, or holds null
            characters.
        DataError
            If it unpacks to more than the machine's memory.
        ParameterError
            If there is no such encoding.
        """
        check_ordinary(path)
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP
        with opened_bytes(path, packed=packed) as file:
            mark = file.read(4)
        if encoding is None:
            named = (name for begin, name in MARKS.items() if mark.startswith(begin))
            encoding, sure = next(named, "utf-8"), False
        else:
            encoding, sure = checked_encoding(encoding), True
        try:
            return cls(path, encoding, packed, looked_through(path, encoding, packed=packed))
        except UnicodeError as error:
            line = first_undecodable(path, encoding, packed=packed)
            title = "UTF-8" if encoding == "utf-8" else encoding
            reason = f"{path}, line {line}, is not {title} text"
            if sure or encoding != "utf-8":
                raise FileError(f"{reason}; give the encoding it has") from error
        try:
            quotes = looked_through(path, WESTERN, packed=packed)
        except UnicodeError:
            raise FileError(f"{reason}; give its encoding, such as latin-1") from None
        warnings.warn(
            f"{reason}; it is read as Windows-1252; give its encoding if it has another",
            DataWarning,
            stacklevel=2,
        )
        return cls(path, WESTERN, packed, quotes)

    @contextmanager
    def open(self) -> Iterator[IO[str]]:
        """Open the file as text, its line ends as they are."""
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        with opened_bytes(self.path, packed=self.packed) as raw:
            yield io.TextIOWrapper(raw, encoding=encoding, newline="")

    def lines(self) -> list[str]:
        """Return the lines that are not blank, without their ends."""
        with self.open() as file:
            return [line.rstrip("\r\n") for line in file if line.strip()]


@contextmanager
def opened_bytes(path: Path, *, packed: bool) -> Iterator[IO[Any]]:
    """Open a file's bytes, unpacked; a broken gzip file is a `FileError`."""
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            yield cast("IO[Any]", file)
    except LatenteError:
        raise
    except BROKEN_GZIP as error:
        raise FileError(f"{path} is a broken gzip file") from error


def looked_through(path: Path, encoding: str, *, packed: bool) -> int:
    """Return how many double quotes a file holds, once all of it is text of an encoding.

    Raises
    ------
    UnicodeError
        If it is not.
    FileError, DataError
        As `TextFile.of` does.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    quotes = size = 0
    with opened_bytes(path, packed=packed) as file:
        for piece in iter(partial(file.read, PIECE), b""):
            size += len(piece)
            if packed:
                check_memory(size, path)
            plain = encoding == "utf-8" and piece.isascii() and not decoder.getstate()[0]
            text: Any = piece if plain else decoder.decode(piece)
            quote: Any = b'"' if plain else '"'
            quotes += text.count(quote) if quote in text else 0  # to count takes longer
            if (b"\0" if plain else "\0") in text:
                raise FileError(
                    f"{path} holds null characters, as no text of {encoding} does; is it UTF-16? "
                    "give its encoding, such as utf-16-le"
                )
        decoder.decode(b"", final=True)
    return quotes


def first_undecodable(path: Path, encoding: str, *, packed: bool) -> int:
    """Return the number of the first line that is not text of an encoding."""
    number = 1
    with opened_bytes(path, packed=packed) as raw:
        decoder = codecs.getincrementaldecoder(encoding)()
        for piece in iter(partial(raw.readline, PIECE), b""):
            try:
                decoder.decode(piece)
            except UnicodeError:
                break
            number += piece.endswith(b"\n")
    return number


def checked_encoding(name: str) -> str:
    """Return Python's name of an encoding.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    try:
        found = codecs.lookup(name)
        "".encode(name)  # fails for what turns bytes into bytes
        codecs.getincrementaldecoder(name)
    except (LookupError, TypeError, ValueError):
        raise ParameterError(
            f"encoding={name!r}: there is no such encoding; use utf-8, utf-16, cp1252, latin-1 or "
            "another that Python knows"
        ) from None
    return found.name
