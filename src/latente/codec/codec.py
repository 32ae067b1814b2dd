"""The codec: pictures, or rows, as an archive of their codes under one model.

::

    X ──transform──▶ z ──to_integers──▶ k (n, numbers) ──tables──▶ bytes
    bytes ──tables──▶ k ──from_integers──▶ z ──inverse_transform──▶ X̂

What the numbers are (steps of a lattice, entries of a codebook) is known to the bottleneck's module
alone; the tables of how often each comes are kept with the model.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..errors import FileError, ParameterError, printable
from ..estimator import Autoencoder
from ..fitted import Fitted
from ..parts import is_number, is_whole
from ..storage.digest import digest
from . import archive
from .coder import LARGEST, CodeTable, RangeReader, RangeWriter

Integers = NDArray[np.int32]

FINGERPRINT_DIGITS = 16
"""Hexadecimal digits of a model's fingerprint in an archive."""
BLOCK = 256
"""Codes worked on at a time."""
STRIDE = 0.3
"""How far a number may move in the first round of a search, in the distance of neighbouring codes;
in the last round a tenth of it."""


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive.

    Parameters
    ----------
    rows
        Numbers of the samples that are whole, from 0, (m,).
    X
        Those samples, (m, ...).
    names
        The name of every sample, lost ones too, None for a name that is lost itself; None where
        they had none.
    lost
        Numbers of the samples that are damaged, in stretches.
    """

    rows: NDArray[np.int64]
    X: Any
    names: tuple[str | None, ...] | None
    lost: tuple[range, ...]


class Codec:
    """Compression by one fitted model: many small pictures of one kind, in one archive.

    An archive can be read with this model only, and on any machine. Damage to it costs the samples
    it hits and no others.

    Parameters
    ----------
    model
        Fitted, with a bottleneck whose codes are whole numbers, such as "rounded".

    Raises
    ------
    ParameterError
        If the model's codes are not whole numbers, or its decoder needs more than a code.
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
        self.model = model
        self.fitted: Fitted = model.fitted_
        module = self.fitted.model.bottleneck
        zeros = torch.zeros((1, *self.fitted.code_shape), device=self.fitted.device)
        self.numbers = int(module.to_integers(module.nearest(zeros)).shape[1])
        if self.fitted.tables is None:
            raise ParameterError(
                "this model cannot compress: its network has skips=True or residual=True, so that "
                "a code alone cannot be decoded"
            )
        self.table = CodeTable(self.fitted.tables, self.numbers)

    @cached_property
    def fingerprint(self) -> str:
        """Digits that identify the model: a digest of all that decoding depends on."""
        fitted, tables = self.fitted, self.table.frequencies
        _, arrays = fitted.target.state()
        # Numbers alone: a description in words may change from one release to the next.
        described = [fitted.code_shape, fitted.target.layout.to_json()]
        counted = [("lowest", tables.lowest), ("counts", tables.counts)]
        unit = [("unit", _unit_codes(fitted, self.numbers).cpu().numpy())]
        learned = fitted.model.state_dict()
        return digest(described, learned, [*sorted(arrays.items()), *counted, *unit])[
            :FINGERPRINT_DIGITS
        ]

    def compress(
        self,
        X: Any,
        *,
        names: Sequence[str] | None = None,
        effort: int = 0,
        model_path: str | None = None,
    ) -> bytes:
        """Return an archive of samples.

        Parameters
        ----------
        X
            As it was at fit.
        names
            The name of each sample, up to 4,096 bytes, kept in the archive.
        effort
            Rounds of search for a better code of each sample: 0 takes the encoder's; 50 take a
            while and save some bytes. Reading takes no longer.
        model_path
            Path of the model's file, kept in the archive for its reader.

        Raises
        ------
        DataError
            If X is not like the data of the fit.
        ParameterError
            If the effort is not a whole number from 0, or an archive cannot hold the names.
        """
        if not is_whole(effort, 0):
            raise ParameterError(f"effort={effort!r}: use a whole number from 0")
        if names is not None:
            archive.encode_names(names, len(X))
        codes = self._integers(X)
        if effort:
            codes = _refined(self.fitted, X, codes, int(effort))
        header = {
            "fingerprint": self.fingerprint,
            "model": model_path,
            "probe": self._probe(),
        }
        return archive.pack(header, [self._encoded(code) for code in codes], names)

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
        rows, codes = [], []
        for number, payload in records:
            try:
                code = self.table.read(RangeReader(payload))
                self.fitted.model.bottleneck.from_integers(torch.from_numpy(code)[None].long())
            except ValueError:  # damaged: no such bytes are written, or no code has such numbers
                continue
            codes.append(code)
            rows.append(number)
        edges = [-1, *rows, header["count"]]
        lost = tuple(
            range(before + 1, after) for before, after in pairwise(edges) if after > before + 1
        )
        names = header["names"]
        return Unpacked(
            rows=np.array(rows, np.int64),
            X=self._decoded(codes),
            names=None if names is None else tuple(names),
            lost=lost,
        )

    def _integers(self, X: Any) -> Integers:
        """Return the codes of samples as whole numbers, (n, numbers)."""
        fitted = self.fitted
        Z = torch.from_numpy(np.asarray(self.model.transform(X), np.float32))
        blocks = torch.split(Z.view(-1, *fitted.code_shape), BLOCK)
        module = fitted.model.bottleneck
        codes = torch.cat([module.to_integers(z.to(fitted.device)).cpu() for z in blocks]).numpy()
        if np.abs(codes).max(initial=0) > LARGEST:
            raise ParameterError(
                f"numbers beyond ±{LARGEST:,} cannot be compressed; use a smaller codebook"
            )
        return codes.astype(np.int32)

    def _decoded(self, codes: Sequence[Integers]) -> Any:
        """Return the samples that codes of whole numbers stand for."""
        if not codes:
            return self._decoded([np.zeros(self.numbers, np.int32)])[:0]
        integers = torch.from_numpy(np.stack(codes)).long().to(self.fitted.device)
        module = self.fitted.model.bottleneck
        z = torch.cat([module.from_integers(k) for k in torch.split(integers, BLOCK)])
        return self.model.inverse_transform(z.flatten(1).cpu().numpy())

    def _encoded(self, code: Integers) -> bytes:
        writer = RangeWriter()
        self.table.write(code, writer)
        return writer.finish()

    def _probe(self) -> int:
        """Return a checksum of the bytes of a fixed code, which another coder would change."""
        tables = self.table.frequencies
        spread = np.arange(self.numbers) * 7 % (tables.escape + 1)
        code = np.repeat(tables.lowest, self.numbers // tables.sources) + spread
        return zlib.crc32(self._encoded(code.clip(-LARGEST, LARGEST).astype(np.int32)))

    def _check(self, header: archive.Header, name: str) -> None:
        """Raise `FileError` where an archive is not for this model, or not for this coder."""
        if header.get("fingerprint") != self.fingerprint:
            other = printable(str(header.get("fingerprint"))[:FINGERPRINT_DIGITS])
            raise FileError(
                f"{name} was made with another model: its fingerprint is {other}, "
                f"that of this model is {self.fingerprint}"
            )
        if header.get("probe") != self._probe():
            raise FileError(
                f"{name} was made with a release of constriction that codes otherwise; "
                "install the one it was made with"
            )


def requantised(model: Autoencoder, X: Any, factor: float) -> Autoencoder:
    """Return the model with larger steps in its code: a smaller file, and rougher pictures.

    Nothing is trained again, so the further the factor is from 1 the more is lost beside a model
    trained with another weight. The result is a model of its own, whose archives only it can read.

    Parameters
    ----------
    model
        Fitted, with a bottleneck that has steps: "rounded".
    X
        The data of the fit, or more of the kind: how often each step comes is counted anew.
    factor
        Steps as a multiple of what they were; positive.

    Raises
    ------
    ParameterError
        If the model's code has no steps, or the factor is not a positive number.
    """
    if not (is_number(factor, 0) and factor > 0):
        raise ParameterError(f"factor={factor!r}: use a positive number")
    check_is_fitted(model, "fitted_")
    changed = copy.deepcopy(model)
    changed.fitted_.model.bottleneck.rescale(factor)
    changed.fitted_.study(changed.fitted_.batches(X))
    return changed


def _refined(fitted: Fitted, X: Any, codes: Integers, rounds: int) -> Integers:
    """Return codes that are at least as good as the encoder's by the model's own objective.

    The encoder has to be good on average; what a file costs is one sample's code. Gradients of the
    objective by that code, taken at the nearest allowed one (Campos et al., 2019; straight through
    the rounding), move it a little at a time, and the best code met is kept.

    Parameters
    ----------
    fitted
        The model.
    X
        The samples, (n, ...).
    codes
        The encoder's, (n, numbers).
    rounds
        Gradients taken for each, from 1.
    """
    module, batches = fitted.model.bottleneck, fitted.batches(X)
    zero, one = _unit_codes(fitted, codes.shape[1])
    distance = float((one - zero).abs().mean())
    better = []
    for index in torch.split(torch.arange(len(codes)), BLOCK):
        start = module.from_integers(torch.from_numpy(codes[index]).long().to(fitted.device))
        x, target = batches.take(index.to(fitted.device))
        best = _descended(fitted, x, target, start, rounds, STRIDE * distance)
        better.append(module.to_integers(best).cpu().numpy())
    return np.concatenate(better).astype(np.int32)


def _descended(
    fitted: Fitted, x: Tensor, target: Tensor, start: Tensor, rounds: int, rate: float
) -> Tensor:
    """Return the best allowed codes met on the way down from some, (n, *code_shape)."""
    model = fitted.model
    best, least = start.clone(), torch.full((len(start),), torch.inf, device=start.device)
    free = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds, eta_min=0.1 * rate)
    for _ in range(rounds + 1):
        allowed = free + (model.bottleneck.nearest(free) - free).detach()
        total = model.code_objective(allowed, target)
        better = total.detach() < least
        best[better], least[better] = allowed.detach()[better], total.detach()[better]
        (free.grad,) = torch.autograd.grad(total.sum(), free)
        optimizer.step()
        schedule.step()
    return best


def _unit_codes(fitted: Fitted, numbers: int) -> Tensor:
    """Return the codes of nothing but zeros and nothing but ones, (2, *code_shape)."""
    integers = torch.tensor([[0], [1]], device=fitted.device).expand(2, numbers)
    return fitted.model.bottleneck.from_integers(integers)
