"""Schema: a data frame's library, column names and types, from which one like it can be made.

Frames are read through narwhals, https://narwhals-dev.github.io/narwhals/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import DataError, MissingExtra
from .libraries import LIBRARIES, Type, as_json
from .restore import DTYPES, restore

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    Frame = nw.DataFrame[Any]
    Series = nw.Series[Any]
    Column = tuple[NDArray[Any], NDArray[np.bool_]]

FRAMES = {("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")}
LAZY = ("polars", "LazyFrame")
KINDS = ("number", "boolean", "moment", "category")


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    name
        As in the frame.
    kind
        "number", "boolean", "moment" (dates, times of day excluded, and durations), "category".
    cast
        The type of its numbers or booleans as NumPy calls it; None for the other kinds.
    dtype
        Its type as the library describes it.
    """

    name: str | int
    kind: str
    cast: str | None
    dtype: Type

    @classmethod
    def of(cls, series: Series, library: str) -> Self:
        """Return what a column is, or raise `DataError` where it is nothing to learn from."""
        name = as_json(series.name)
        dtype = LIBRARIES[library].describe(series.to_native())
        kind, cast = classify(series)
        if isinstance(name, bool | float) or name is None:
            raise DataError(f"column name {series.name!r} cannot be kept; name columns by text")
        if dtype is None or kind is None:
            raise DataError(
                f"column {name!r} holds {kind_of(series)} values, which cannot be learned from; "
                "turn them into numbers, dates or text, or drop the column"
            )
        return cls(name, kind, cast, dtype)


@dataclass(frozen=True)
class Schema:
    """The library and the columns of a data frame."""

    library: str
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return the schema of a data frame, or raise `DataError` at a column of another kind."""
        frame = opened(X)
        library = str(frame.implementation.value)
        return cls(library, tuple(Field.of(series, library) for series in frame.iter_columns()))

    @property
    def names(self) -> tuple[str | int, ...]:
        """The columns' names."""
        return tuple(field.name for field in self.fields)

    def check(self, X: Any) -> Frame:
        """Return a data frame opened, once it has these columns; errors in scikit-learn's words."""
        if not is_frame(X):
            raise DataError(
                f"X is {type(X).__name__}, but the model was fitted on a data frame; "
                f"give one with the columns {shortened(self.names)}"
            )
        frame = opened(X)
        names = tuple(frame.columns)
        if names != self.names:
            raise DataError(mismatch(names, self.names))
        return frame

    def frame(self, columns: Sequence[Column], index: Any = None) -> Any:
        """Return a data frame of the same library, names and types.

        Parameters
        ----------
        columns
            For each field its values and where they are missing: floats where it has a `cast`,
            moments in microseconds, or objects.
        index
            For a pandas frame, its index.

        Raises
        ------
        MissingExtra
            If the library is not installed here.
        """
        library = LIBRARIES[self.library]
        try:
            made = [
                library.series(
                    values if field.cast is None else restore(values, field.cast),
                    missing,
                    field.dtype,
                )
                for field, (values, missing) in zip(self.fields, columns, strict=True)
            ]
            return library.frame(self.names, made, index)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"the model gives back {self.library} data frames, but {error.name} is not "
                f"installed: pip install {error.name}"
            ) from error

    def from_matrix(self, values: NDArray[Any], index: Any = None) -> Any:
        """Return the data frame of a plain one's numbers (n, columns), none of them missing."""
        complete = np.zeros(len(values), np.bool_)
        return self.frame([(values[:, i], complete) for i in range(len(self.fields))], index)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as plain JSON values."""
        return {"library": self.library, "fields": [asdict(field) for field in self.fields]}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the schema of what `to_json` returned; anything else is a `DataError`."""
        try:
            fields = tuple(Field(**field) for field in value["fields"])
            sound = value["library"] in LIBRARIES and all(is_sound(field) for field in fields)
        except (KeyError, TypeError) as error:
            raise DataError(f"{value!r:.80} is not the schema of a data frame") from error
        if not sound:
            raise DataError(f"{value!r:.80} is not the schema of a data frame")
        return cls(value["library"], fields)


def is_sound(field: Field) -> bool:
    """Whether what a file tells of a column can be."""
    named = isinstance(field.name, str | int) and not isinstance(field.name, bool)
    cast = field.cast in DTYPES if field.kind in ("number", "boolean") else field.cast is None
    typed = isinstance(field.dtype, Mapping) and isinstance(field.dtype.get("name"), str)
    return named and field.kind in KINDS and cast and typed


def is_frame(X: object) -> bool:
    """Whether X is a data frame of a known library, found out without importing any.

    Raises
    ------
    DataError
        If it is one that has yet to be computed.
    """
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(X).__mro__}
    if LAZY in names:
        raise DataError("X is a lazy frame; compute it first: X.collect()")
    return bool(names & FRAMES)


def is_plain(X: Any) -> bool:
    """Whether a data frame is an array with names: all numbers or all booleans, none missing."""
    columns = list(opened(X).iter_columns())
    numbers = all(s.dtype.is_numeric() and not s.dtype.is_decimal() for s in columns)
    if not numbers and not all(str(s.dtype) == "Boolean" for s in columns):
        return False
    return not any(has_gaps(series) for series in columns)


def has_gaps(series: Series) -> bool:
    """Whether a column of numbers or booleans has missing values, NaN among them."""
    if not len(series):
        return False
    if series.is_null().any():
        return True
    return bool(series.dtype.is_float() and np.isnan(series.to_numpy().min()))


def matrix(X: Any) -> NDArray[Any]:
    """Return the numbers of a data frame as an array, NaN where they are missing.

    Raises
    ------
    DataError
        If a column holds something else.
    """
    frame = opened(X)
    for series in frame.iter_columns():
        if not series.dtype.is_numeric() and str(series.dtype) != "Boolean":
            raise DataError(f"column {series.name!r} holds {kind_of(series)} values, not numbers")
    if frame.implementation.is_pandas() and all(isinstance(d, np.dtype) for d in X.dtypes):
        return X.to_numpy()  # type: ignore[no-any-return]
    columns = [numbers(series) for series in frame.iter_columns()]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def numbers(series: Series) -> NDArray[Any]:
    """Return a column of numbers or booleans as an array, as floats with NaN where it has gaps."""
    import narwhals as nw

    if series.dtype.is_decimal() or series.is_null().any():
        return series.cast(nw.Float64).to_numpy().astype(np.float64)
    return series.to_numpy()


def titles(X: Any) -> tuple[str | int, ...]:
    """Return the names of a data frame's columns."""
    return tuple(opened(X).columns)


def opened(X: Any) -> Frame:
    """Return a data frame as narwhals sees it.

    Raises
    ------
    DataError
        If two columns share a name.
    MissingExtra
        If narwhals is not installed.
    """
    try:
        import narwhals as nw
    except ImportError as error:
        raise MissingExtra(
            "data frames need narwhals: pip install 'latente[frames]', or give X.to_numpy()"
        ) from error
    try:
        frame: Frame = nw.from_native(X, eager_only=True)
        names = list(frame.columns)
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"X has several columns of one name: {twice(list(X.columns))!r}") from error
    if len(set(names)) < len(names):
        raise DataError(f"X has several columns of one name: {twice(names)!r}")
    return frame


def twice(names: Sequence[Any]) -> Any:
    """Return the first name that comes again."""
    return next(name for i, name in enumerate(names) if name in names[:i])


def classify(series: Series) -> tuple[str | None, str | None]:
    """Return a column's kind, and the type of its numbers; None for what cannot be learned from."""
    dtype = series.dtype
    name = type(dtype).__name__
    if dtype.is_decimal():
        return "number", "float64"
    if dtype.is_numeric():
        return "number", name.lower().replace("128", "64")
    if name == "Boolean":
        return "boolean", "bool"
    if name in ("Datetime", "Date", "Duration"):
        return "moment", None
    if name in ("String", "Categorical", "Enum"):
        return "category", None
    return classify_objects(series) if name in ("Object", "Unknown") else (None, None)


def classify_objects(series: Series) -> tuple[str | None, str | None]:
    """Return the kind of a column of Python objects: what all of them are."""
    gaps = series.is_null().to_list()
    kinds = {
        type(as_json(value)) for value, gap in zip(series.to_list(), gaps, strict=True) if not gap
    }
    if kinds == {bool}:
        return "boolean", "bool"
    if kinds in ({int}, {float}, {int, float}):
        return "number", "int64" if kinds == {int} else "float64"
    return (None, None) if type(None) in kinds else ("category", None)


def kind_of(series: Series) -> str:
    """Return what a column holds, for a sentence."""
    name = str(series.dtype)
    if name not in ("Object", "Unknown"):
        return name
    gaps = series.is_null().to_list()
    values = zip(series.to_list(), gaps, strict=True)
    odd = next((v for v, gap in values if not gap and as_json(v) is None), None)
    return name if odd is None else type(odd).__name__


def mismatch(names: Sequence[Any], wanted: Sequence[Any]) -> str:
    """Return scikit-learn's sentence on columns that are not those of the fit."""
    lines = ["The feature names should match those that were passed during fit."]
    unseen = sorted(set(names) - set(wanted), key=str)
    gone = sorted(set(wanted) - set(names), key=str)
    for title, odd in (
        ("Feature names unseen at fit time:", unseen),
        ("Feature names seen at fit time, yet now missing:", gone),
    ):
        if odd:
            lines += [title, *(f"- {name}" for name in odd[:5]), *(["- ..."] if odd[5:] else [])]
    if not unseen and not gone:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join(lines) + "\n"


def shortened(items: Sequence[Any], most: int = 5) -> str:
    """Return some items for a sentence: ``"'a', 'b', 'c' and 12 more"``."""
    shown = ", ".join(f"{item!r:.40}" for item in items[:most])
    return f"{shown} and {len(items) - most:,} more" if len(items) > most else shown
