"""Scaling: the affine map from the data's scale to the model's, learned at fit.

::

    x ──(x - shift) / span──▶ model's scale, float32 ──x * span + shift──▶ x, in its own type

`SCALINGS` is the table of how shift and span are learned. Every function takes samples and their
ranges, and returns two arrays, of shape () for one range over all columns or (columns,); for
pictures a column is a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from ..errors import DataError, ParameterError
from ..parts import listed
from .arrays import STEPS, Array, as_numpy, at, blocks

Floats = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)
SAMPLE = 2**24
"""From how many values on quantiles are those of a random sample of the rows."""
TINY = 1e-300
"""Spans below this are taken for none: their inverse is not a float64 number."""
UNEQUAL = 0.1
"""A channel whose span is below this share of the whole range has a scale of its own."""
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64",
)  # fmt: skip
"""The types that data can have."""
EXACT = ("bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32")
"""The types whose every value float32 holds exactly."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaling:
    """A learned affine map of samples in the model's shape.

    Samples are rows (n, features), pictures (n, channels, h, w), or sequences (n, T, features),
    whose map is learned from their steps as rows.

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
            values, for pictures, and for columns that share one range; "minmax" for pictures
            whose channels have unequal ranges; "standard" otherwise.
        names
            What the columns are called in errors.

        Raises
        ------
        ParameterError
            If there is no scaling of that name.
        DataError
            If values are too large for float32 in the model's scale.
        """
        check_scaling(scaling)
        return cls.of(X, Ranges.of(X, names), scaling)

    @classmethod
    def of(cls, X: Array | None, ranges: Ranges, scaling: str = "auto") -> Self:
        """Learn the map from what was measured of samples.

        Parameters
        ----------
        X
            The samples; None where `RangeTally` saw them pass by.
        ranges
            Their ranges.
        scaling
            As for `learn`.
        """
        check_scaling(scaling)
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
        return replace(learned, binary=ranges.only_0_and_1(X, learned))

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
            out[start : start + len(part)] = to_dtype(part, self.dtype)
        return out

    def to_torch(self, x: Tensor) -> Tensor:
        """Return a batch in the model's scale, computed on its device: what `transform` gives."""
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
        return tensor_to_dtype(x.mul_(span).add_(shift), self.dtype)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether it can be of samples of a shape, as the model takes them."""
        try:
            return np.broadcast_shapes(self.shift.shape, shape) == shape
        except ValueError:
            return False

    def module(self) -> nn.Module:
        """Return the way to the model's scale as a module, in float32."""
        return Scale(self.shift, self.span)

    def inverse_module(self) -> nn.Module:
        """Return the way back as a module, in float32 and not rounded."""
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


def check_scaling(scaling: str) -> None:
    """Raise `ParameterError` where there is no scaling of that name."""
    if scaling != "auto" and scaling not in SCALINGS:
        names = listed(map(repr, ("auto", *SCALINGS)))
        raise ParameterError(f"scaling={scaling!r}: scaling must be {names}")


def check_fits(block: NDArray[Any], scaled: NDArray[np.float32], start: int) -> None:
    """Raise `DataError` at the first value that float32 cannot hold in the model's scale."""
    bad = ~np.isfinite(scaled)
    if not bad.any():
        return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    axes = {2: ("row", "column"), 3: STEPS, 4: ("picture", "channel", "row", "column")}
    where = at((start + int(place[0]), *map(int, place[1:])), axes=axes[scaled.ndim])
    raise DataError(
        f"X has {float(as_numpy(block)[place]):.4g} at {where}, so far from the data of the fit "
        "that float32 cannot hold it in the model's scale"
    )


# ── how it is learned ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Ranges:
    """The smallest and largest value of each column, or of each channel of pictures."""

    low: Floats
    high: Floats
    dtype: str
    pictures: bool
    whole: bool
    names: Sequence[object] | None = None

    @classmethod
    def of(cls, X: Array, names: Sequence[object] | None = None) -> Self:
        """Measure samples (n, features) or (n, channels, h, w) in one pass.

        Raises
        ------
        DataError
            If a column reaches so far that its span is not a float64 number.
        """
        axes = tuple(axis for axis in range(X.ndim) if axis != 1)
        low = np.full(X.shape[1], np.inf)
        high = np.full(X.shape[1], -np.inf)
        whole = True
        for _, block in blocks(X):
            plain = as_numpy(block)
            low = np.minimum(low, plain.min(axis=axes))
            high = np.maximum(high, plain.max(axis=axes))
            whole = whole and (plain.dtype.kind != "f" or bool((plain == np.rint(plain)).all()))
        dtype = str(X.dtype).removeprefix("torch.")
        ranges = cls(low, high, dtype, X.ndim > 2, whole, names)
        ranges.check()
        return ranges

    def check(self) -> None:
        """Raise `DataError` where a span is not a float64 number."""
        with np.errstate(over="ignore"):
            endless = ~np.isfinite(self.high - self.low)
        if endless.any():
            column = int(np.argmax(endless))
            raise DataError(
                f"{self.title(column)} reaches from {self.low[column]:.4g} to "
                f"{self.high[column]:.4g}, which is too wide to scale; remove such values"
            )

    def title(self, column: int) -> str:
        """Return what a column is called."""
        name = f" ({self.names[column]!r})" if self.names is not None else ""
        return f"{'channel' if self.pictures else 'column'} {column}{name}"

    @property
    def constant(self) -> NDArray[np.int64]:
        """The columns that hold one value only."""
        return np.flatnonzero(self.low == self.high).astype(np.int64)

    @property
    def whole_range(self) -> tuple[float, float]:
        """The smallest and the largest value of all."""
        return float(self.low.min()), float(self.high.max())

    def moments(self, X: Array | None) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each column of the samples, in one pass."""
        assert X is not None
        learner = StandardScaler()
        for _, block in blocks(X):
            learner.partial_fit(placed(as_numpy(block), self))
        span = positive(self.high - self.low)
        deviation = np.where(self.low == self.high, 0.0, np.sqrt(learner.var_) * span)
        return self.low + learner.mean_ * span, deviation

    def quartiles(self, X: Array | None) -> Floats:
        """Return the three quartiles of each column, (3, columns); of a sample of many rows."""
        assert X is not None
        places = np.quantile(placed(sampled(X), self), (0.25, 0.5, 0.75), axis=0)
        return np.asarray(self.low + places * positive(self.high - self.low))

    def only_0_and_1(self, X: Array | None, learned: Scaling) -> bool:
        """Whether samples are all 0 or 1 in the model's scale."""
        assert X is not None
        if (learned.low, learned.high) != (0.0, 1.0):
            return False
        scaled = (learned.transform(as_numpy(block)) for _, block in blocks(X))
        return all(bool(((block == 0) | (block == 1)).all()) for block in scaled)


@dataclass(frozen=True, eq=False)
class TalliedRanges(Ranges):
    """The same of samples that passed by, with all else that scales are learned from."""

    mean: Floats | None = None
    deviation: Floats | None = None
    sample: NDArray[Any] | None = None
    values: Sequence[frozenset[float]] | None = None

    def moments(self, X: Array | None) -> tuple[Floats, Floats]:
        assert self.mean is not None
        assert self.deviation is not None
        return self.mean, self.deviation

    def quartiles(self, X: Array | None) -> Floats:
        assert self.sample is not None
        return super().quartiles(self.sample)

    def only_0_and_1(self, X: Array | None, learned: Scaling) -> bool:
        if (learned.low, learned.high) != (0.0, 1.0) or self.values is None:
            return False
        shift = np.broadcast_to(learned.shift.reshape(-1), len(self.values))
        span = np.broadcast_to(learned.span.reshape(-1), len(self.values))
        places = zip(self.values, shift.tolist(), span.tolist(), strict=True)
        return all(
            (value - low) / wide in (0.0, 1.0) for found, low, wide in places for value in found
        )


class RangeTally:
    """What scales are learned from, gathered in one pass over samples.

    Counts, ranges, means and deviations are those of all rows; parts are merged as Chan, Golub and
    LeVeque do it (1979). NaN is a gap, and is not counted.

    Parameters
    ----------
    moments
        Whether means and deviations are needed.
    """

    def __init__(self, *, moments: bool) -> None:
        self.with_moments = moments
        self.rows = 0
        self.whole = True
        self.values: list[set[float]] | None = []
        """Of each column its values, while none has more than two."""

    def add(self, block: NDArray[Any]) -> None:
        """Measure some rows (n, columns), or pictures (n, channels, h, w)."""
        columns = np.moveaxis(block, 1, 0).reshape(block.shape[1], -1)
        gaps = np.isnan(columns) if block.dtype.kind == "f" else np.zeros((), np.bool_)
        known = np.where(gaps, 0, columns) if gaps.any() else columns
        some: Any = ~gaps if gaps.any() else True
        wide = np.inf if gaps.any() else None
        low = columns.min(1) if wide is None else columns.min(1, where=some, initial=wide)
        high = columns.max(1) if wide is None else columns.max(1, where=some, initial=-wide)
        count = np.broadcast_to(np.sum(some, axis=1), len(columns)) if wide else columns.shape[1]
        if not self.rows:
            self.pictures = block.ndim > 2
            self.low, self.high = low.astype(np.float64), high.astype(np.float64)
            self.count = np.zeros(len(columns), np.int64)
            self.origin = np.where(np.isfinite(self.low), self.low, 0.0)
            self.mean, self.square = np.zeros((2, len(columns)))
        self.rows += len(block)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        if self.whole and block.dtype.kind == "f":
            self.whole = bool((known == np.rint(known)).all())
        self._add_values(columns, low, high)
        if self.with_moments:
            apart = columns.astype(np.float64) - self.origin[:, None]
            amount = np.maximum(count, 1)
            mean = apart.sum(1, where=some) / amount
            square = np.square(apart - mean[:, None]).sum(1, where=some)
            self._merge(np.broadcast_to(count, len(columns)), mean, square)
        else:
            self.count = self.count + count

    def _merge(self, count: Any, mean: Floats, square: Floats) -> None:
        total = np.maximum(self.count + count, 1)
        step = mean - self.mean
        self.square = self.square + square + step**2 * self.count * count / total
        self.mean = self.mean + step * count / total
        self.count = self.count + count

    def _add_values(self, columns: NDArray[Any], low: Any, high: Any) -> None:
        if self.values is None:
            return
        ends = (columns == low[:, None]) | (columns == high[:, None])
        if columns.dtype.kind == "f":
            ends |= np.isnan(columns)
        self.values = self.values or [set() for _ in range(len(columns))]
        if ends.all():
            for found, pair in zip(
                self.values, zip(low.tolist(), high.tolist(), strict=True), strict=True
            ):
                found.update(float(end) for end in pair if np.isfinite(end))
        if not ends.all() or any(len(found) > 2 for found in self.values):
            self.values = None

    def fill(self, values: Floats) -> None:
        """Count the gaps of each column as a value of its own, (columns,)."""
        gaps = self.rows - self.count
        self.low = np.where(gaps > 0, np.minimum(self.low, values), self.low)
        self.high = np.where(gaps > 0, np.maximum(self.high, values), self.high)
        self.whole = self.whole and bool((values == np.rint(values))[gaps > 0].all())
        if self.values is not None:
            for found, value in zip(
                self.values, np.where(gaps > 0, values, np.nan).tolist(), strict=True
            ):
                found.update({value} - {v for v in (value,) if np.isnan(v)})
        self._merge(gaps, values - self.origin, np.zeros(len(values)))

    def ranges(
        self,
        dtype: str,
        names: Sequence[object] | None = None,
        sample: NDArray[Any] | None = None,
    ) -> TalliedRanges:
        """Return what was measured.

        Parameters
        ----------
        dtype
            The type of the data.
        names
            What the columns are called in errors.
        sample
            Rows from which quartiles are taken.
        """
        found = TalliedRanges(
            low=self.low, high=self.high, dtype=dtype, pictures=self.pictures, whole=self.whole,
            names=names, mean=self.origin + self.mean,
            deviation=np.where(
                self.low == self.high, 0.0, np.sqrt(self.square / np.maximum(self.count, 1))
            ),
            sample=sample,
            values=None if self.values is None else [frozenset(each) for each in self.values],
        )  # fmt: skip
        found.check()
        return found


Learn = Callable[[Array | None, Ranges], tuple[Floats, Floats]]


def none(X: Array | None, ranges: Ranges) -> tuple[Floats, Floats]:
    """Leave the values as they are."""
    return np.zeros(()), np.ones(())


def unit(X: Array | None, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring all values into [0, 1] by one range: the one they are known to have, or the data's.

    Known are 0 to 255 of 8-bit values, and 0 to 1.
    """
    low, high = ranges.whole_range
    if low >= 0 and 0.5 <= high <= 1:
        low, high = 0.0, 1.0
    elif ranges.whole and low >= 0 and (ranges.dtype == "uint8" or 127 < high <= 255):
        low, high = 0.0, 255.0
    return np.array(low), positive(np.array(high - low))


def minmax(X: Array | None, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column into [0, 1] by its own range."""
    return ranges.low, positive(ranges.high - ranges.low)


def standard(X: Array | None, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column to mean 0 and standard deviation 1; a constant one to 0."""
    mean, deviation = ranges.moments(X)
    return mean, positive(deviation)


def robust(X: Array | None, ranges: Ranges) -> tuple[Floats, Floats]:
    """Bring each column to median 0 and interquartile range 1.

    Where half of a column's values are the same, so that there is no such range, its standard
    deviation stands for it.
    """
    lower, median, upper = ranges.quartiles(X)
    span = upper - lower
    if (span < TINY).any():
        span = np.where(span < TINY, ranges.moments(X)[1], span)
    return median, positive(span)


SCALINGS: dict[str, Learn] = {
    "none": none,
    "unit": unit,
    "minmax": minmax,
    "standard": standard,
    "robust": robust,
}


def positive(span: Floats) -> Floats:
    """Return spans with 1 for those that are none, so that they can be divided by."""
    return np.where(span < TINY, 1.0, span)


def needs_moments(scaling: str, dtype: str, *, pictures: bool) -> bool:
    """Whether means and deviations may be needed for a scaling of data of a type."""
    by_range = pictures or dtype in ("uint8", "bool")
    return scaling in ("standard", "robust") or (scaling == "auto" and not by_range)


def choose(ranges: Ranges) -> str:
    """Return the scaling that suits the data: what "auto" stands for."""
    low, high = ranges.whole_range
    if ranges.dtype == "bool" or (ranges.dtype == "uint8" and high <= 1):
        return "none"
    varying = ranges.low < ranges.high
    if ranges.dtype == "uint8" or ranges.pictures:
        spans = (ranges.high - ranges.low)[varying]
        unequal = ranges.dtype != "uint8" and (spans < UNEQUAL * (high - low)).any()
        return "minmax" if unequal else "unit"
    if np.count_nonzero(varying) < 2:
        return "standard"
    lows, highs = ranges.low[varying], ranges.high[varying]
    at_low, near_high = lows == low, highs >= high - 0.1 * (high - low)
    shared = at_low.mean() >= 0.9 and near_high.mean() >= 0.5
    inside = low >= 0 and high <= 1 and ((lows <= 0.1) & (highs >= 0.9)).mean() >= 0.5
    return "unit" if shared or inside else "standard"


def placed(block: NDArray[Any], ranges: Ranges) -> Floats:
    """Return where values lie between the lowest and the highest of their column, (rows, columns).

    What is computed of such places is exact to float64 whatever the size of the values is.
    """
    rows = np.moveaxis(block, 1, -1).reshape(-1, block.shape[1]).astype(np.float64)
    rows -= ranges.low
    rows /= positive(ranges.high - ranges.low)
    return rows


def medians(X: Array) -> Floats:
    """Return the median of each column of rows, (columns,); of a sample where there is much."""
    return np.asarray(np.median(sampled(X).astype(np.float64), axis=0))


def sampled(X: Array) -> NDArray[Any]:
    """Return so many rows, always the same ones, as quantiles can be told from."""
    wanted = max(1, SAMPLE // max(1, int(np.prod(X.shape[1:]))))
    if len(X) > wanted:
        drawn = np.random.default_rng(0).choice(len(X), wanted, replace=False)
        return as_numpy(X[np.sort(drawn)])
    return as_numpy(X[:])


# ── back into the type that the data had ─────────────────────────────────────────────────────


def limits(dtype: str) -> tuple[float, float]:
    """Return the smallest and largest value of a type that are float64 numbers too."""
    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        top = float(info.max)
        return float(info.min), top if int(top) <= info.max else float(np.nextafter(top, 0))
    if dtype == "bfloat16":
        return -3.3895313892515355e38, 3.3895313892515355e38
    low, high = np.finfo(dtype).min, np.finfo(dtype).max
    return float(low), float(high)


def to_dtype(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return floats as that type: rounded and clipped where it is narrower, True from 0.5.

    NumPy has no bfloat16; float32 stands for it.
    """
    if dtype == "bool":
        return np.asarray(values >= 0.5)
    if dtype == "bfloat16":
        return values.astype(np.float32)
    if dtype.startswith(("int", "uint")):
        wide = values if values.dtype == np.float64 or dtype in EXACT else values.astype(np.float64)
        clipped: NDArray[Any] = np.clip(np.rint(wide), *limits(dtype))
        return clipped.astype(dtype)
    if np.dtype(dtype).itemsize < values.dtype.itemsize:
        values = np.clip(values, *limits(dtype))
    return values.astype(dtype, copy=False)


def tensor_to_dtype(values: Tensor, dtype: str) -> Tensor:
    """Return floats on their device as that type, as `to_dtype` does."""
    target = getattr(torch, dtype)
    if dtype == "bool":
        return values >= 0.5
    if dtype.startswith(("int", "uint")):
        if dtype not in EXACT and values.device.type != "mps":
            values = values.double()
        low, high = limits(dtype)
        return values.round().clamp(low, high).to(target)
    if dtype == "float64" and values.device.type == "mps":
        return values
    if target.itemsize < values.dtype.itemsize:
        values = values.clamp(*limits(dtype))
    return values.to(target)


# ── as modules of a network, so that an exported one takes and gives data as they come ───────


class Scale(nn.Module):
    """From data to the model's scale: ``(x - shift) / span``, float32.

    Parameters
    ----------
    shift, span
        Of a shape that goes with one sample in the model's shape.
    """

    shift: Tensor
    span: Tensor

    def __init__(self, shift: NDArray[Any], span: NDArray[Any]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32))
        self.register_buffer("span", torch.tensor(span, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return a batch in the model's scale."""
        return (x.to(torch.float32) - self.shift) / self.span


class Unscale(Scale):
    """From the model's scale to the data's: ``x * span + shift``, float32, not rounded."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a batch in the data's scale."""
        return x * self.span + self.shift
