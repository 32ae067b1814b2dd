"""Scaling: the affine map from the data's scale to the model's, learned at fit.

::

    x ──(x - shift) / span──▶ model's scale, float32 ──x * span + shift──▶ x, in its own type
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DataError, ParameterError
from ..parts import listed
from .blocks import as_numpy, blocks
from .learning import SCALINGS, Ranges, choose
from .restore import DTYPES, EXACT, restore, restore_tensor

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Array = NDArray[Any] | Tensor
    Floats = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaling:
    """A learned affine map of samples in the model's shape: (n, features) or (n, channels, h, w).

    Parameters
    ----------
    name
        What it was learned by: a name of `SCALINGS`.
    shift, span
        Shape () where one range is for all values, (features,) where each column has its own,
        (channels, 1, 1) where each channel has.
    dtype
        The type of the data, to which the way back leads.
    low, high
        The range of the data it was learned from, in the model's scale.
    binary
        Whether those data are 0 and 1 only, in the model's scale.
    constant_
        The columns, or channels, that hold one value only.
    """

    name: str
    shift: Floats
    span: Floats
    dtype: str
    low: float
    high: float
    binary: bool
    constant_: NDArray[np.int64]
    _placed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def learn(
        cls, X: Array, scaling: str = "auto", *, names: Sequence[object] | None = None
    ) -> Self:
        """Learn the map from finite samples, in passes over blocks of them.

        Parameters
        ----------
        X
            Rows (n, features) or pictures (n, channels, h, w), of any size and real type.
        scaling
            A name of `SCALINGS`, or "auto", which takes "none" for 0 and 1; "unit" for 8-bit
            values, for pictures, and for columns that share one range; "standard" otherwise.
        names
            What the columns are called in errors.

        Raises
        ------
        ParameterError
            If there is no scaling of that name.
        DataError
            If values are too large for float32 in the model's scale.
        """
        if scaling != "auto" and scaling not in SCALINGS:
            names_ = listed(map(repr, ("auto", *SCALINGS)))
            raise ParameterError(f"scaling={scaling!r}: scaling must be {names_}")
        ranges = Ranges.of(X, names)
        name = choose(ranges) if scaling == "auto" else scaling
        shift, span = SCALINGS[name](X, ranges)
        low, high = (ranges.low - shift) / span, (ranges.high - shift) / span
        extreme = np.maximum(abs(low), abs(high))
        if extreme.max() > LARGEST:
            column = int(np.argmax(extreme))
            raise DataError(
                f"{ranges.title(column)} reaches from {ranges.low[column]:.4g} to "
                f"{ranges.high[column]:.4g}, which float32 cannot hold with scaling={name!r}; "
                "use scaling='standard'"
            )
        axes = (-1, 1, 1) if ranges.pictures and shift.ndim else shift.shape
        learned = cls(
            name=name,
            shift=shift.reshape(axes),
            span=span.reshape(axes),
            dtype=ranges.dtype,
            low=float(low.min()),
            high=float(high.max()),
            binary=False,
            constant_=ranges.constant,
        )
        return replace(learned, binary=learned._finds_only_0_and_1(X))

    @property
    def scale(self) -> Floats:
        """What a value less the shift is multiplied by: ``1 / span``."""
        return np.asarray(1 / self.span)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(0.0, 1.0) where the model's scale is known to lie in there, else None."""
        inside = self.name == "none" and self.low >= 0 and self.high <= 1
        return (0.0, 1.0) if inside or self.name in ("unit", "minmax") else None

    def transform(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return samples in the model's scale.

        Parameters
        ----------
        X
            In the model's shape, of any real type.

        Raises
        ------
        DataError
            If a value is too large for float32 there.
        """
        out = np.empty(X.shape, np.float32)
        work, shift, span = self._constants(X.dtype.name)
        for start, block in blocks(X):
            scaled = out[start : start + len(block)]
            with np.errstate(over="ignore", invalid="ignore"):
                part = scaled if work is np.float32 else np.empty(block.shape, work)
                part[...] = block
                if self._shifts:
                    part -= shift
                if self._multiplies(X.dtype.name):
                    part *= np.float32(1 / span)
                else:
                    part /= span
                scaled[...] = part
                fits = block.dtype.kind in "bu" or np.isfinite(scaled.sum())
            if not fits:
                check_fits(block, scaled, start)
        return out

    def inverse(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return values of the model's scale in the data's scale and type.

        Integers are rounded and clipped to what their type can hold; booleans are True from 0.5.
        """
        out = np.empty(y.shape, np.float32 if self.dtype == "bfloat16" else self.dtype)
        work, shift, span = self._constants(self.dtype)
        for start, block in blocks(y):
            part = block.astype(work)
            with np.errstate(over="ignore"):
                part *= span
                part += shift
            out[start : start + len(part)] = restore(part, self.dtype)
        return out

    def to_torch(self, x: Tensor) -> Tensor:
        """Return a batch in the model's scale, computed on its device: what `transform` gives."""
        import torch

        dtype = str(x.dtype).removeprefix("torch.")
        if (self.dtype, dtype) == ("uint16", "int32"):
            dtype = "uint16"  # as torch stores it; float32 holds such values exactly
        work, shift, span = self._tensors(dtype, x.device)
        y = x.to(work, copy=True)
        if self._shifts:
            y.sub_(shift)
        return (y.mul_(1 / span) if self._multiplies(dtype) else y.div_(span)).to(torch.float32)

    def from_torch(self, y: Tensor) -> Tensor:
        """Return a batch in the data's scale and type, on its device: what `inverse` gives."""
        work, shift, span = self._tensors(self.dtype, y.device)
        x = y.to(work, copy=True)
        return restore_tensor(x.mul_(span).add_(shift), self.dtype)

    def module(self) -> nn.Module:
        """Return the way to the model's scale as a module, in float32."""
        from .affine import Scale

        return Scale(self.shift, self.span)

    def inverse_module(self) -> nn.Module:
        """Return the way back as a module, in float32 and not rounded."""
        from .affine import Unscale

        return Unscale(self.shift, self.span)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a file keeps: plain JSON values, and arrays by name."""
        plain = {key: getattr(self, key) for key in ("name", "dtype", "low", "high", "binary")}
        return plain, {"shift": self.shift, "span": self.span, "constant": self.constant_}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the scaling of what `state` returned; anything else is a `DataError`."""
        try:
            shift, span = (np.array(arrays[key], np.float64) for key in ("shift", "span"))
            constant = np.array(arrays["constant"], np.int64)
            name, dtype = str(plain["name"]), str(plain["dtype"])
            low, high, binary = float(plain["low"]), float(plain["high"]), bool(plain["binary"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError("this is not the state of a scaling") from error
        finite = np.isfinite(shift).all() and np.isfinite(span).all() and (span > 0).all()
        if (
            not finite
            or shift.shape != span.shape
            or name not in SCALINGS
            or dtype not in DTYPES
            or not np.isfinite([low, high]).all()
        ):
            raise DataError("this is not the state of a scaling")
        return cls(
            name=name, shift=shift, span=span, dtype=dtype, low=low, high=high, binary=binary,
            constant_=constant,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_placed": {}}

    def _finds_only_0_and_1(self, X: Array) -> bool:
        """Whether samples are all 0 or 1 in the model's scale."""
        if (self.low, self.high) != (0.0, 1.0):
            return False
        scaled = (self.transform(as_numpy(block)) for _, block in blocks(X))
        return all(bool(((block == 0) | (block == 1)).all()) for block in scaled)

    def _multiplies(self, dtype: str) -> bool:
        """Whether to multiply by 1 / span: cheaper, and exact at both ends of 8-bit values."""
        return dtype == "uint8" and self.span.ndim == 0 and float(self.span) == 255

    @cached_property
    def _shifts(self) -> bool:
        return bool(self.shift.any())

    @property
    def _extreme(self) -> bool:
        """Whether float32 cannot be relied on to hold shift and span."""
        sizes = np.abs(np.concatenate([self.shift.ravel(), self.span.ravel()]))
        sizes = sizes[sizes > 0]
        return bool(sizes.max() > 1e30 or sizes.min() < 1e-30)

    def _constants(self, dtype: str) -> tuple[Any, Any, Any]:
        """Return the type to compute in for data of a type, and shift and span in it."""
        work: Any = np.float32 if dtype in EXACT and not self._extreme else np.float64
        return work, self.shift.astype(work), self.span.astype(work)

    def _tensors(self, dtype: str, device: torch.device) -> tuple[torch.dtype, Any, Any]:
        """Return the same for tensors: numbers where there is one range, else tensors kept."""
        key = (dtype, device)
        if key not in self._placed:
            import torch

            work, shift, span = self._constants(dtype)
            if device.type == "mps":
                work, shift, span = np.float32, self.shift.astype("f4"), self.span.astype("f4")
            kind = torch.float32 if work is np.float32 else torch.float64
            if shift.ndim:
                placed = (torch.from_numpy(a).to(device) for a in (shift, span))
                self._placed[key] = (kind, *placed)
            else:
                self._placed[key] = (kind, float(shift), float(span))
        placed_: tuple[torch.dtype, Any, Any] = self._placed[key]
        return placed_


def check_fits(block: NDArray[Any], scaled: NDArray[np.float32], start: int) -> None:
    """Raise `DataError` at the first value that float32 cannot hold in the model's scale."""
    bad = ~np.isfinite(scaled)
    if not bad.any():
        return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    at = f"row {start + int(place[0])}, column {', '.join(str(int(i)) for i in place[1:])}"
    raise DataError(
        f"X has {float(as_numpy(block)[place]):.4g} at {at}, so far from the data of the fit "
        "that float32 cannot hold it in the model's scale"
    )
