"""The codec: pictures, or rows, as an archive of their codes under one model.

::

    X ──encoder──▶ codes ──tables──▶ bytes         lossless: and the residual behind the code
    bytes ──tables──▶ codes ──decoder, float64──▶ X̂                          X̂ + residual = X
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..bottlenecks.table import Rounded
from ..data.arrays import as_array
from ..digest import digest
from ..errors import FileError, ParameterError
from ..parts import is_whole
from . import archive
from .coder import CodeTable, Reader, Writer
from .lossless import Lossless, planes
from .prediction import Predictor
from .residual import Residual
from .search import refined

if TYPE_CHECKING:
    from ..estimator import Autoencoder

CODES, PIXELS, FILES = "codes", "pixels", "files"
"""What the records of an archive hold."""
MARK = 16
"""Hexadecimal digits of a model's fingerprint."""


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    Parameters
    ----------
    rows
        Numbers of the samples that are whole, from 0, (m,).
    X
        Those samples, (m, ...); None where the archive holds files.
    files
        Those samples' files; None where the archive holds none.
    names
        The name of every sample, lost ones too; None where they had none.
    lost
        Numbers of the samples that are damaged, in stretches.
    rewritten
        Numbers of the files whose pixels are exact but whose bytes are not those of the original,
        because the library that writes them is another release here.
    """

    rows: NDArray[np.int64]
    X: Any
    files: tuple[bytes, ...] | None
    names: tuple[str, ...] | None
    lost: tuple[range, ...]
    rewritten: tuple[int, ...] = field(default=())


class Codec:
    """Compression by one fitted model: many small pictures of one kind, in one archive.

    An archive can be read with this model only, and on any machine. Damage to it costs the samples
    it hits and no others.

    Parameters
    ----------
    model
        Fitted, with the bottleneck "rounded".

    Raises
    ------
    ParameterError
        If the model has another bottleneck, whose codes cannot be written down in few bits.
    MissingExtra
        If the extra "codec" is not installed.

    Examples
    --------
    >>> from latente import Autoencoder, Codec, datasets
    >>> digits = datasets.load("digits")
    >>> model = Autoencoder(8, bottleneck="rounded", epochs=20, random_state=0).fit(digits.X)
    >>> data = Codec(model).compress(digits.X_test)
    >>> len(data) < digits.X_test.astype("uint8").nbytes / 4
    True
    >>> Codec(model).decompress(data).X.shape
    (355, 8, 8)
    """

    def __init__(self, model: Autoencoder) -> None:
        check_is_fitted(model, "fitted_")
        bottleneck = model.bottleneck_
        tables = model.fitted_.tables
        if not isinstance(bottleneck, Rounded) or tables is None:
            raise ParameterError(
                "only a model with bottleneck='rounded' can compress: its codes are whole steps"
            )
        self.fitted = model.fitted_
        self.step = bottleneck.step
        self.tables = tables
        self.table = CodeTable(tables, model.latent_dim_)

    @cached_property
    def fingerprint(self) -> str:
        """What tells this model from every other: a digest of all that decoding depends on."""
        fitted, tables = self.fitted, self.tables
        _, arrays = fitted.wanted.state()
        weights = fitted.model.decoder.state_dict()
        # Numbers alone: a description in words may read otherwise in another release.
        described = [fitted.code_shape, self.step, fitted.wanted.layout.to_json()]
        counted = [("lowest", tables.lowest), ("counts", tables.counts)]
        return digest(described, weights, [*sorted(arrays.items()), *counted])[:MARK]

    def compress(
        self,
        X: Any,
        *,
        names: Sequence[str] | None = None,
        originals: Sequence[bytes] | None = None,
        lossless: bool = False,
        effort: int = 0,
        remember: str | None = None,
    ) -> bytes:
        """Return an archive of samples.

        Parameters
        ----------
        X
            As it was at fit.
        names
            What each is called, to be told again.
        originals
            The file that each was read from, to be given back byte for byte.
        lossless
            Whether to code the residual too, so that 8-bit pictures come back exactly.
        effort
            Rounds of search for a better code of each sample: 0 takes the encoder's; 50 take a
            while and save some bytes. Reading takes no longer.
        remember
            Where the model lies, for whoever reads the archive.

        Raises
        ------
        DataError
            If X is not like the data of the fit.
        ParameterError
            If what is to come back exactly is not pictures of 8 bits.
        """
        kind = FILES if originals is not None else PIXELS if lossless else CODES
        if not is_whole(effort, 0):
            raise ParameterError(f"effort={effort!r}: use a whole number from 0")
        codes = refined(self.fitted, X, self._codes(X), int(effort))
        header: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "model": remember,
            "kind": kind,
            "names": None if names is None else list(names),
            "probe": self._probe(),
        }
        if kind == CODES:
            return archive.pack(header, [self._written(code) for code in codes])
        pictures = self._pictures(X)
        predicted = self.predictor(codes)
        exact = self._lossless(Residual.learn(planes(pictures), planes(predicted)), [])
        doubtful = self.predictor.doubtful(codes)
        files = [p.tobytes() for p in pictures] if originals is None else originals
        records = [
            exact.pack(file, None if unsure else picture, guess, code)
            for file, picture, guess, code, unsure in zip(
                files, pictures, predicted, codes, doubtful, strict=True
            )
        ]
        about = {"residual": exact.residual.to_json(), "recipes": exact.recipes}
        return archive.pack({**header, **about}, records)

    def decompress(self, data: bytes, name: str = "the archive") -> Unpacked:
        """Return the samples of an archive, or those that are whole.

        Parameters
        ----------
        data
            What `compress` returned.
        name
            What to call it in errors.

        Raises
        ------
        FileError
            If it is no archive, was made with another model, or its headers are both damaged.
        """
        header, records = archive.unpack(data, name)
        self._check(header, name)
        if header["kind"] == CODES:
            return self._rough(header, records)
        return self._exact(header, records, name)

    @cached_property
    def predictor(self) -> Predictor:
        """The decoder, the same on every machine."""
        return Predictor(self.fitted, self.step)

    def _codes(self, X: Any) -> NDArray[np.int32]:
        """Return the codes of samples in whole steps, (n, numbers)."""
        codes = np.rint(self.fitted.encode(X) / self.step)
        return np.asarray(codes, np.int32)

    def _pictures(self, X: Any) -> NDArray[np.uint8]:
        """Return samples that are pictures of 8 bits, or say why they cannot come back exactly."""
        layout = self.fitted.wanted.layout
        if self.fitted.wanted is not self.fitted.given:
            raise ParameterError("lossless needs a model that was fitted without a target")
        if layout.kind != "pictures" or layout.dtype != "uint8":
            raise ParameterError(
                f"lossless is for pictures of 8 bits; the model was fitted on {layout.kind} of "
                f"type {layout.dtype}"
            )
        return np.asarray(as_array(X, name="X"), np.uint8)

    def _written(self, code: NDArray[np.int32]) -> bytes:
        writer = Writer()
        self.table.write(code, writer)
        return writer.finish()

    def _probe(self) -> int:
        """Return the checksum of a code of all values: other coders would give other bytes."""
        tables, numbers = self.tables, int(np.prod(self.fitted.code_shape))
        spread = np.arange(numbers) * 7 % (tables.escape + 1)
        code = np.repeat(tables.lowest, numbers // tables.sources) + spread
        return zlib.crc32(self._written(code.clip(-(2**15), 2**15 - 1).astype(np.int32)))

    def _check(self, header: archive.Header, name: str) -> None:
        """Raise `FileError` where an archive is not for this model, or not for this coder."""
        if header.get("fingerprint") != self.fingerprint:
            theirs = str(header.get("fingerprint"))
            raise FileError(
                f"{name} was made with another model: it wants the one with fingerprint "
                f"{theirs:.{MARK}}, this one has {self.fingerprint}"
            )
        if header.get("probe") != self._probe():
            raise FileError(
                f"{name} was made with a release of constriction that codes otherwise; "
                "install the one it was made with"
            )
        names = header.get("names")
        right = names is None or (
            isinstance(names, list)
            and len(names) == header["count"]
            and all(isinstance(each, str) for each in names)
        )
        if not right or header.get("kind") not in (CODES, PIXELS, FILES):
            raise FileError(f"{name} is damaged: its header is not of the right form")

    def _rough(self, header: archive.Header, records: Iterator[tuple[int, bytes]]) -> Unpacked:
        rows, codes = [], []
        for number, payload in records:
            try:
                codes.append(self.table.read(Reader(payload)))
            except ValueError:
                continue
            rows.append(number)
        numbers = int(np.prod(self.fitted.code_shape))
        X = self.predictor(np.array(codes, np.int32).reshape(-1, numbers))
        return unpacked(header, rows, X=X)

    def _exact(
        self, header: archive.Header, records: Iterator[tuple[int, bytes]], name: str
    ) -> Unpacked:
        try:
            recipes = [dict(recipe) for recipe in header["recipes"]]
            exact = self._lossless(Residual.from_json(header["residual"]), recipes)
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"{name} is damaged: its header is not of the right form") from error
        rows, files, rewritten = [], [], []
        for number, payload in records:
            try:
                file, same = exact.unpack(payload)
            except ValueError:
                continue
            rows.append(number)
            files.append(file)
            rewritten += [] if same else [number]
        if header["kind"] == FILES:
            return unpacked(header, rows, files=tuple(files), rewritten=tuple(rewritten))
        return unpacked(header, rows, X=self._joined(files))

    def _joined(self, files: list[bytes]) -> NDArray[np.uint8]:
        shape = self.fitted.wanted.layout.shape
        return np.frombuffer(b"".join(files), np.uint8).reshape(-1, *shape).copy()

    def _lossless(self, residual: Residual, recipes: list[dict[str, Any]]) -> Lossless:
        return Lossless(self.table, lambda code: self.predictor(code[None])[0], residual, recipes)


def unpacked(header: archive.Header, rows: list[int], **found: Any) -> Unpacked:
    """Return what came out, with the stretches of numbers that did not."""
    names = header["names"]
    edges = [-1, *rows, header["count"]]
    lost = tuple(
        range(before + 1, after) for before, after in pairwise(edges) if after > before + 1
    )
    found = {"X": None, "files": None, **found}
    return Unpacked(np.array(rows, np.int64), names=names and tuple(names), lost=lost, **found)
