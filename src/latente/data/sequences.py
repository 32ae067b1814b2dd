"""Sequences of different lengths, and texts: padded to one length, with a flag for what is there.

::

    list of (Tᵢ, d) ──store──▶ (n, T, d + 1), own type ──convert──▶ (n, T, d + 1) float32
    list of str     ──store──▶ (n, T), small integers  ──convert──▶ (n, T, characters + 1) float32

T is the length of the longest at fit. In the model's scale the last feature is 1 where a step
exists and 0 behind its end, where all other features are 0 too. The way back ends a sequence where
that feature first falls below 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from ..parts import is_whole
from .arrays import STEPS, as_numpy, check_finite, describe, numeric
from .scaling import Scaling

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

LONGEST = 2**24
"""More steps than these no file may claim."""
UTF32 = ("utf-32-le", "surrogatepass")


def items_of(X: Any) -> list[Any] | None:
    """Return the items of a list, a tuple, a series or an array (n,) of objects or text.

    None where X is something else: an array of numbers, a tensor, a data frame.
    """
    if isinstance(X, list | tuple):
        return list(X)
    if isinstance(X, np.ndarray):
        return X.tolist() if X.ndim == 1 and X.dtype.kind in "OUT" else None
    if type(X).__name__ == "Series" and hasattr(X, "to_list"):
        items: list[Any] = X.to_list()
        return items
    return None


def are_texts(items: Sequence[Any]) -> bool:
    """Whether some items are strings, so that all have to be."""
    return any(isinstance(item, str) for item in items)


def differ_in_length(items: Sequence[Any]) -> bool:
    """Whether items are arrays, or nested lists, of different lengths.

    Flat lists of numbers are rows of a table; where they differ in length, one is broken.
    """
    if not items or not all(hasattr(item, "__len__") for item in items):
        return False
    nested = all(
        hasattr(item, "shape") or all(hasattr(step, "__len__") for step in item) for item in items
    )
    return nested and len({len(item) for item in items}) > 1


def lengths_of(present: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each sequence ends: its first step whose flag (n, T) is below 0.5, or T."""
    ended = present < 0.5
    ends = np.where(ended.any(axis=1), ended.argmax(axis=1), present.shape[1])
    return np.asarray(ends, np.int64)


@dataclass(frozen=True, kw_only=True)
class NumberSequences:
    """Sequences of numbers.

    Parameters
    ----------
    steps
        Of the longest at fit.
    features
        Numbers in a step.
    flat
        Whether they came as series (Tᵢ,) of one number a step, and go back so.
    """

    steps: int
    features: int
    flat: bool
    kind: ClassVar[str] = "numbers"
    categories: ClassVar[tuple[tuple[int, int], ...]] = ()

    @classmethod
    def learn(cls, X: Any, scaling: str, name: str) -> tuple[Self, Scaling, NDArray[Any]]:
        """Learn sequences; return how they are stored, their scaling, and them as stored."""
        arrays, flat = cls.read(X, name)
        steps, features = max(map(len, arrays)), arrays[0].shape[1]
        if not steps or not features:
            raise DataError(f"{name} holds empty sequences only; give some steps to learn from")
        made = cls(steps=steps, features=features, flat=flat)
        stored = made.padded(arrays, name)
        real = stored[..., :-1][stored[..., -1] != 0]
        return made, Scaling.learn(real, own_scale(real.dtype, scaling)), stored

    def store(self, X: Any, name: str) -> NDArray[Any]:
        """Return sequences, checked to be like those of the fit, as (n, T, d + 1)."""
        arrays, _ = self.read(X, name)
        if arrays[0].shape[1] != self.features:
            raise DataError(
                f"{name} has {arrays[0].shape[1]} features a step, but the model was fitted on "
                f"sequences of {self.features}"
            )
        return self.padded(arrays, name)

    @staticmethod
    def read(X: Any, name: str) -> tuple[list[NDArray[Any]], bool]:
        """Return each sequence as (Tᵢ, d), and whether they were given as (Tᵢ,)."""
        items = items_of(X)
        if items is None:
            items = list(X) if getattr(X, "ndim", 0) == 3 else []
        if not items or are_texts(items):
            raise DataError(
                f"{name} is {describe(X)}; give sequences of numbers: an array (n, T, d), or a "
                "list of arrays (T, d) or (T,)"
            )
        arrays = [as_numpy(numeric(item, f"{name}, sequence {i},")) for i, item in enumerate(items)]
        first = arrays[0].shape
        for i, array in enumerate(arrays):
            if array.ndim not in (1, 2) or array.shape[1:] != first[1:]:
                raise DataError(
                    f"{name}, sequence {i}, has shape {array.shape}, and the first {first}; each "
                    "needs shape (T, d), with the same d for all, or (T,)"
                )
        features = first[1] if len(first) == 2 else 1
        return [array.reshape(len(array), features) for array in arrays], len(first) == 1

    def padded(self, arrays: list[NDArray[Any]], name: str) -> NDArray[Any]:
        """Return finite sequences as one array, zeros behind their ends and a flag at the end."""
        lengths = np.array([len(array) for array in arrays])
        if lengths.max() > self.steps:
            raise DataError(too_long(name, int(lengths.argmax()), int(lengths.max()), self.steps))
        present: Bools = np.arange(self.steps) < lengths[:, None]
        dtype = np.result_type(*{array.dtype for array in arrays})
        out = np.zeros((len(arrays), self.steps, self.features + 1), dtype)
        out[present, :-1] = np.concatenate(arrays)
        out[..., -1] = present
        check_finite(out, name=name, axes=STEPS)
        return out

    def convert(self, stored: Tensor, scaling: Scaling) -> Tensor:
        """Return stored sequences in the model's scale, float32, on their device."""
        present = (stored[..., -1:] != 0).to(torch.float32)
        return torch.cat([scaling.to_torch(stored[..., :-1]) * present, present], dim=-1)

    def restore(self, values: Floats, scaling: Scaling) -> list[NDArray[Any]]:
        """Return values of the model's scale as sequences of their own lengths."""
        numbers = scaling.inverse(np.ascontiguousarray(values[..., :-1]))
        numbers = numbers[..., 0] if self.flat else numbers
        return [
            row[:length].copy()
            for row, length in zip(numbers, lengths_of(values[..., -1]), strict=True)
        ]

    @property
    def width(self) -> int:
        """Features of a step in the model."""
        return self.features + 1

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": self.kind, **asdict(self)}

    def is_sound(self) -> bool:
        """Whether values from a file are possible."""
        counts = is_whole(self.steps, 1, LONGEST) and is_whole(self.features, 1, LONGEST)
        return counts and isinstance(self.flat, bool) and (self.features == 1 or not self.flat)


@dataclass(frozen=True, kw_only=True)
class TextSequences:
    """Texts, each character one of an alphabet.

    Parameters
    ----------
    steps
        Characters of the longest at fit.
    alphabet
        The code points of the characters at fit, in rising order.
    """

    steps: int
    alphabet: tuple[int, ...]
    kind: ClassVar[str] = "text"

    @classmethod
    def learn(cls, X: Any, scaling: str, name: str) -> tuple[Self, Scaling, NDArray[Any]]:
        """Learn texts; return how they are stored, their scaling ("none"), and them as stored."""
        texts = cls.read(X, name)
        alphabet = np.unique(code_points("".join(texts)))
        if not len(alphabet):
            raise DataError(f"{name} holds empty texts only; give some characters to learn from")
        made = cls(steps=max(map(len, texts)), alphabet=tuple(alphabet.tolist()))
        zero_one = np.array([[0], [1]], np.uint8)
        return made, Scaling.learn(zero_one, "none"), made.encode(texts, name)

    def store(self, X: Any, name: str) -> NDArray[Any]:
        """Return texts as the places of their characters in the alphabet, from 1, (n, T)."""
        return self.encode(self.read(X, name), name)

    @staticmethod
    def read(X: Any, name: str) -> list[str]:
        """Return the texts, or say what is none."""
        items = items_of(X)
        if not items:
            raise DataError(
                f"{name} is {describe(X)}, but texts are needed; give a list of strings"
            )
        odd = next((i for i, item in enumerate(items) if not isinstance(item, str)), None)
        if odd is not None:
            raise DataError(
                f"{name} has {describe(items[odd])} at row {odd}, where a string is needed"
            )
        return items

    def encode(self, texts: list[str], name: str) -> NDArray[Any]:
        """Return the texts as the places of their characters, from 1; 0 is behind their end."""
        lengths = np.array([len(text) for text in texts])
        if lengths.max() > self.steps:
            row = int(lengths.argmax())
            raise DataError(too_long(name, row, int(lengths.max()), self.steps, text=True))
        known = np.array(self.alphabet, np.uint32)
        points = code_points("".join(texts))
        places = np.minimum(np.searchsorted(known, points), len(known) - 1)
        unknown = known[places] != points
        if unknown.any():
            first = int(unknown.argmax())
            row = int(np.searchsorted(np.cumsum(lengths), first, side="right"))
            character = first - int(lengths[:row].sum())
            raise DataError(
                f"{name} has {chr(points[first])!r} at row {row}, character {character}, which the "
                f"fit never saw; it knows {self.characters!r:.200}"
            )
        out = np.zeros((len(texts), self.steps), np.uint8 if len(known) < 256 else np.int32)
        out[np.arange(self.steps) < lengths[:, None]] = places + 1
        return out

    def convert(self, stored: Tensor, scaling: Scaling) -> Tensor:
        """Return stored texts as one flag a character, and one for whether there is any."""
        codes = torch.arange(1, self.width, device=stored.device)
        index = stored[..., None]
        return torch.cat([index == codes, index > 0], dim=-1).to(torch.float32)

    def restore(self, values: Floats, scaling: Scaling) -> list[str]:
        """Return the texts of the most likely characters."""
        points = np.array(self.alphabet, "<u4")[values[..., :-1].argmax(axis=-1)]
        return [
            row[:length].tobytes().decode(*UTF32)
            for row, length in zip(points, lengths_of(values[..., -1]), strict=True)
        ]

    @property
    def characters(self) -> str:
        """The alphabet."""
        return "".join(map(chr, self.alphabet))

    @property
    def width(self) -> int:
        """Features of a step in the model."""
        return len(self.alphabet) + 1

    @property
    def categories(self) -> tuple[tuple[int, int], ...]:
        """The group of the features of which one is 1."""
        return ((0, len(self.alphabet)),)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": self.kind, "steps": self.steps, "alphabet": list(self.alphabet)}

    def is_sound(self) -> bool:
        """Whether values from a file are possible."""
        points = self.alphabet
        rising = all(a < b for a, b in pairwise(points))
        whole = all(is_whole(point, 0, 0x10FFFF) for point in points)
        return is_whole(self.steps, 1, LONGEST) and len(points) > 0 and whole and rising


Sequences = NumberSequences | TextSequences


def sequences_from_json(value: Any) -> Sequences:
    """Return what `to_json` of a kind of sequences returned; anything else is a `DataError`."""
    try:
        fields = {key: item for key, item in value.items() if key != "kind"}
        made: Sequences
        if value["kind"] == TextSequences.kind:
            made = TextSequences(**{**fields, "alphabet": tuple(fields["alphabet"])})
        else:
            made = {NumberSequences.kind: NumberSequences}[value["kind"]](**fields)
        sound = made.is_sound()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{value!r:.80} does not describe sequences") from error
    if not sound:
        raise DataError(f"{value!r:.80} does not describe sequences")
    return made


def own_scale(dtype: Any, scaling: str) -> str:
    """Return a scaling that gives each feature its own scale: what "auto" is for sequences."""
    small = str(dtype).removeprefix("torch.") in ("bool", "uint8")
    return "standard" if scaling == "auto" and not small else scaling


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text's characters."""
    return np.frombuffer(text.encode(*UTF32), "<u4")


def too_long(name: str, row: int, length: int, most: int, *, text: bool = False) -> str:
    """Return the sentence on a sequence that is longer than any at fit."""
    what, unit = ("row", "characters") if text else ("sequence", "steps")
    return (
        f"{name} has {length:,} {unit} at {what} {row}, but the model was fitted on at most "
        f"{most:,}; cut it, or fit on {'texts' if text else 'sequences'} as long"
    )
