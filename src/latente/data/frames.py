"""Frames: a data frame's column names and types, from which one like it can be made again.

Frames are read through narwhals, https://narwhals-dev.github.io/narwhals/. Column types are kept
as a serialised Arrow schema, https://arrow.apache.org/docs/format/Columnar.html, with a note for
what a library adds to it: the categories and periods of pandas, its types for missing values, its
Python objects, and whether a missing number is NaN or null.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import DataError, MissingExtra
from .arrays import is_frame, numpy_kinds, open_frame
from .scaling import DTYPES, to_dtype

if TYPE_CHECKING:
    import pandas as pd

Frame = nw.DataFrame[Any]
Series = nw.Series[Any]
Bools = NDArray[np.bool_]
Column = tuple[NDArray[Any], Bools]
Note = dict[str, Any]

KINDS = ("number", "boolean", "moment", "category")
NULLABLE = re.compile(r"U?Int(8|16|32|64)|Float(32|64)|boolean")
"""What pandas calls its types of numbers and booleans that may be missing."""
PERIOD = re.compile(r"\d{0,6}[A-Za-z]{1,5}(-[A-Z]{3})?")
"""What pandas calls the lengths of its periods: ``M``, ``15min``, ``Q-DEC``."""
ARROW_OBJECTS = (Decimal, dt.date, dt.time, dt.timedelta)
"""Python's types, beside numbers and text, that Arrow has a type for (a datetime is a date)."""
MIDNIGHT = 86_399_999_999
"""The last microsecond of a day."""

NOTES: dict[str, type] = {
    "nan": bool, "arrow": bool, "object": bool, "ordered": bool, "gap": str, "storage": str,
    "nullable": str, "levels": list, "of": dict, "period": str,
}  # fmt: skip
"""What a note may hold."""


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    name
        As in the frame.
    kind
        "number", "boolean", "moment" (dates, times of day and durations), "category".
    cast
        The type of its numbers or booleans as NumPy calls it; None for the other kinds.
    note
        What the library adds to the column's Arrow type.
    """

    name: str | int
    kind: str
    cast: str | None
    note: Note = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """The library and the columns of a data frame.

    Parameters
    ----------
    library
        "pandas", "polars" or "pyarrow".
    fields
        The columns.
    arrow
        Their Arrow types: a serialised schema whose fields are called by their place.
    """

    library: str
    fields: tuple[Field, ...]
    arrow: bytes

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return the schema of a data frame, or raise `DataError` at a column of another kind."""
        frame = open_frame(X)
        library = str(frame.implementation.value)
        if numpy_kinds(X) <= set("biuf"):
            described = described_by_type(X, library)
        else:
            both = zip(frame.iter_columns(), columns(frame), strict=True)
            described = (field_of(given, series, library) for given, series in both)
        fields, types = [], []
        for i, (one, dtype) in enumerate(described):
            fields.append(one)
            types.append(dtype.with_name(str(i)))
        return cls(library, tuple(fields), pa.schema(types).serialize().to_pybytes())

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
        frame = open_frame(X)
        names = tuple(frame.columns)
        if names != self.names:
            raise DataError(mismatch(names, self.names))
        return frame

    def frame(self, columns: Sequence[Column], index: Any = None) -> Any:
        """Return a data frame of the same library, names and types.

        Parameters
        ----------
        columns
            For each field its values and where they are missing: floats where it has a `cast`;
            moments as ``datetime64[us]`` in UTC or ``timedelta64[us]``, of a time of day since
            midnight; or objects.
        index
            For a pandas frame, its index.

        Raises
        ------
        MissingExtra
            If the library is not installed here.
        """
        types = pa.ipc.read_schema(pa.py_buffer(self.arrow))
        cast = [
            (values if field.cast is None else held(values, field.cast, dtype), missing)
            for field, dtype, (values, missing) in zip(
                self.fields, types.types, columns, strict=True
            )
        ]
        notes = [field.note for field in self.fields]
        make = {"pandas": to_pandas, "polars": to_polars, "pyarrow": to_arrow}[self.library]
        try:
            return make(list(self.names), cast, types, notes, index)
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
        arrow = base64.b64encode(self.arrow).decode("ascii")
        fields = [asdict(field) for field in self.fields]
        return {"library": self.library, "fields": fields, "arrow": arrow}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the schema of what `to_json` returned; anything else is a `DataError`."""
        wrong = DataError(f"{value!r:.80} is not the schema of a data frame")
        try:
            fields = tuple(Field(**field) for field in value["fields"])
            arrow = base64.b64decode(value["arrow"], validate=True)
            types = pa.ipc.read_schema(pa.py_buffer(arrow))
            sound = value["library"] in ("pandas", "polars", "pyarrow")
        except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
            raise wrong from error
        flat = not any(
            pa.types.is_nested(t.type) or isinstance(t.type, pa.BaseExtensionType) for t in types
        )
        if not (sound and flat and len(types) == len(fields) and all(map(is_sound, fields))):
            raise wrong
        return cls(value["library"], fields, arrow)


def is_sound(field: Field) -> bool:
    """Whether a column described by a file is possible."""
    named = isinstance(field.name, str | int) and not isinstance(field.name, bool)
    cast = field.cast in DTYPES if field.kind in ("number", "boolean") else field.cast is None
    return named and field.kind in KINDS and cast and is_sound_note(field.note)


def is_sound_note(note: Any) -> bool:
    """Whether a note described by a file is possible."""
    if not isinstance(note, Mapping):
        return False
    known = all(key in NOTES and type(value) is NOTES[key] for key, value in note.items())
    return (
        known
        and note.get("gap") in (None, "NA", "None", "NaN")
        and PERIOD.fullmatch(note.get("period", "M")) is not None
        and ("levels" not in note or ("ordered" in note and is_sound_note(note.get("of"))))
    )


def like(frame: Any, values: NDArray[np.float64]) -> Any:
    """Return numbers (n, columns) as a data frame of the library, names and index of another."""
    opened = open_frame(frame)
    if opened.implementation.is_pandas():
        import pandas as pd

        return pd.DataFrame(values, index=frame.index, columns=frame.columns)
    named = dict(zip(opened.columns, values.T, strict=True))
    return nw.from_dict(named, backend=opened.implementation).to_native()


# ── what a column is ─────────────────────────────────────────────────────────────────────────


def columns(frame: Frame, fields: Sequence[Field] = ()) -> Iterator[Series]:
    """Yield a frame's columns, each of a type that says what it holds.

    What pandas holds as Python objects comes as Arrow has it, and a period as a whole number: how
    many of them lie between it and 1970.

    Parameters
    ----------
    frame
        Of any library.
    fields
        The columns as they were at fit, where that is known: instants count as periods then.
    """
    notes = [field.note for field in fields] or [{}] * len(frame.columns)
    for series, note in zip(frame.iter_columns(), notes, strict=True):
        is_pandas = series.implementation.is_pandas()
        if not is_pandas or (series.dtype not in (nw.Object, nw.Unknown) and "period" not in note):
            yield series
            continue
        native = series.to_native()
        typed = as_ordinals(native, note.get("period"))
        typed = as_arrow_objects(native) if typed is None else typed
        yield series if typed is None else nw.from_native(typed, series_only=True)


def field_of(given: Series, series: Series, library: str) -> tuple[Field, pa.Field]:
    """Return a column and its Arrow type, or raise `DataError` where nothing can be learned.

    Parameters
    ----------
    given
        The column as the frame has it.
    series
        The same as `columns` gives it.
    library
        Whose it is.
    """
    name = column_name(series.name)
    kind, cast = classify(series)
    native = given.to_native()
    found: tuple[pa.Field, Note] | None = None
    if kind is not None:
        try:
            found = {"pandas": of_pandas, "polars": of_polars, "pyarrow": of_arrow}[library](native)
        except (pa.ArrowException, TypeError):
            found = None
    if kind is None or found is None:
        raise DataError(
            f"column {name!r} holds {kind_of(series)} values, which cannot be learned from; "
            "turn them into numbers, dates or text, or drop the column"
        )
    dtype, note = found
    return Field(name, kind, cast, note), dtype


def described_by_type(X: pd.DataFrame, library: str) -> Iterator[tuple[Field, pa.Field]]:
    """Yield what `field_of` returns for each column of NumPy's numbers, described once a type."""
    known: dict[np.dtype[Any], tuple[Field, pa.Field]] = {}
    for i, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        if dtype not in known:
            series = nw.from_native(X.iloc[:, i], series_only=True)
            known[dtype] = field_of(series, series, library)
        described, arrow = known[dtype]
        yield replace(described, name=column_name(name)), arrow


def column_name(name: Any) -> str | int:
    """Return a column's name as a file keeps it; one that cannot be kept is a `DataError`."""
    kept = as_json(name)
    if isinstance(kept, bool | float) or kept is None:
        raise DataError(f"column name {name!r} cannot be kept; name columns by text")
    return kept


def classify(series: Series) -> tuple[str | None, str | None]:
    """Return a column's kind, and the type of its numbers; None for what cannot be learned from."""
    dtype = series.dtype
    if dtype.is_decimal():
        return "number", "float64"
    if dtype.is_numeric():
        return "number", type(dtype).__name__.lower().replace("128", "64")
    if dtype == nw.Boolean:
        return "boolean", "bool"
    if dtype in (nw.Datetime, nw.Date, nw.Duration, nw.Time):
        return "moment", None
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return "category", None
    return classify_objects(series) if dtype in (nw.Object, nw.Unknown) else (None, None)


def classify_objects(series: Series) -> tuple[str | None, str | None]:
    """Return the kind of a column of Python objects: what all of them are."""
    types = {
        Decimal if isinstance(value, Decimal) else type(as_json(value))
        for _, value in present(series)
    }
    if types == {bool}:
        return "boolean", "bool"
    if types and types <= {int, float, Decimal}:
        return "number", "int64" if types == {int} else "float64"
    return (None, None) if type(None) in types else ("category", None)


def present(series: Series) -> list[tuple[int, Any]]:
    """Return the values that are not missing, each with its row."""
    gaps = series.is_null().to_list()
    values = zip(series.to_list(), gaps, strict=True)
    return [(row, value) for row, (value, gap) in enumerate(values) if not gap]


def kind_of(series: Series) -> str:
    """Return what a column holds, for a sentence."""
    name = str(series.dtype)
    if series.dtype not in (nw.Object, nw.Unknown):
        return name
    odd = next((value for _, value in present(series) if as_json(value) is None), None)
    return name if odd is None else type(odd).__name__


def is_plain(X: Any) -> bool:
    """Whether a data frame is an array with names: all numbers or all booleans, none missing."""
    frame, kinds = open_frame(X), numpy_kinds(X)
    if kinds <= set("iuf") or kinds == {"b"}:
        return not X.isna().to_numpy().any()
    columns = list(frame.iter_columns())
    numeric = all(s.dtype.is_numeric() and not s.dtype.is_decimal() for s in columns)
    if not numeric and not all(s.dtype == nw.Boolean for s in columns):
        return False
    return not any(has_gaps(series) for series in columns)


def has_gaps(series: Series) -> bool:
    """Whether a column of numbers or booleans has missing values, NaN among them."""
    if not len(series):
        return False
    if series.is_null().any():
        return True
    return bool(series.dtype.is_float() and np.isnan(series.to_numpy().min()))


def as_json(value: Any) -> str | int | float | bool | None:
    """Return a level as the plain value that JSON keeps apart from any other; None if it has none.

    >>> [as_json(v) for v in (1, "1", True, np.float32(1), b"1")]
    [1, '1', True, 1.0, None]
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return float(value)
    return None


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


def held(values: NDArray[Any], cast: str, dtype: pa.DataType) -> NDArray[Any]:
    """Return numbers as a column of that type can hold them: rounded, and clipped."""
    if not pa.types.is_decimal(dtype):
        return to_dtype(values, cast)
    beyond = 10.0 ** (dtype.precision - dtype.scale)
    most = min(beyond - 10.0**-dtype.scale, float(np.nextafter(beyond, 0)))
    return np.clip(np.round(values.astype(np.float64), dtype.scale), -most, most)


# ── pyarrow: the type is the type ────────────────────────────────────────────────────────────


def of_arrow(column: Any) -> tuple[pa.Field, Note]:
    """Return a column's type, and whether missing floats are NaN."""
    nan = pa.types.is_floating(column.type) and not column.null_count
    return pa.field("", column.type), {"nan": True} if nan else {}


def to_arrow(
    names: list[Any], columns: list[Column], types: pa.Schema, notes: list[Note], index: Any
) -> pa.Table:
    """Return a table of pyarrow."""
    arrays = [
        arrow_array(values, missing, dtype, nan="nan" in note)
        for (values, missing), dtype, note in zip(columns, types.types, notes, strict=True)
    ]
    return pa.table(arrays, names=names)


def arrow_array(values: NDArray[Any], missing: Bools, dtype: pa.DataType, *, nan: bool) -> pa.Array:
    """Return values as an Arrow array of a type."""
    if nan:
        return pa.array(np.where(missing, np.nan, values)).cast(dtype)
    if values.dtype.kind == "M" and getattr(dtype, "tz", None):
        instants = pa.array(values.astype(np.int64), mask=missing)
        return instants.cast(pa.timestamp("us", dtype.tz)).cast(dtype, safe=False)
    if pa.types.is_dictionary(dtype):
        encoded = pa.array(values, mask=missing, type=dtype.value_type).dictionary_encode()
        return encoded.cast(dtype)
    if values.dtype.kind == "O":
        return pa.array(values, mask=missing, type=dtype)
    if pa.types.is_time(dtype):
        since = pa.array(values.astype(np.int64), mask=missing)
        return since.cast(pa.time64("us")).cast(dtype, safe=False)
    return pa.array(values, mask=missing).cast(dtype, safe=False)


# ── polars: it makes of an empty Arrow table its own types ───────────────────────────────────


def of_polars(column: Any) -> tuple[pa.Field, Note]:
    """Return a column's Arrow type, and whether missing floats are NaN."""
    nan = column.dtype.is_float() and not column.null_count()
    return column.clear().to_frame().to_arrow().schema.field(0), {"nan": True} if nan else {}


def to_polars(
    names: list[Any], columns: list[Column], types: pa.Schema, notes: list[Note], index: Any
) -> Any:
    """Return a data frame of polars."""
    import polars as pl

    dtypes = pl.DataFrame(pl.from_arrow(types.empty_table())).dtypes
    made = [
        polars_series(values, missing, dtype, nan="nan" in note)
        for (values, missing), dtype, note in zip(columns, dtypes, notes, strict=True)
    ]
    return pl.DataFrame(dict(zip(names, made, strict=True)))


def polars_series(values: NDArray[Any], missing: Bools, dtype: Any, *, nan: bool) -> Any:
    """Return values as a series of polars of a type."""
    import polars as pl

    if values.dtype.kind == "O":
        items = [None if gap else v for v, gap in zip(values, missing.tolist(), strict=True)]
        return pl.Series(items, dtype=dtype if dtype == pl.Enum else None).cast(dtype)
    if nan:
        return pl.Series(np.where(missing, np.nan, values)).cast(dtype)
    clock = dtype == pl.Time
    column = pl.Series(values.astype(np.int64) * 1000 if clock else values)
    zone = getattr(dtype, "time_zone", None)
    if zone:
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return column.cast(dtype).zip_with(pl.Series(~missing), pl.Series([None], dtype=dtype))


# ── pandas: several types of its own for one of Arrow's ──────────────────────────────────────


def of_pandas(column: pd.Series[Any]) -> tuple[pa.Field, Note] | None:
    """Return a column's Arrow type, or that of its categories, and which of its own types it has.

    ::

        int64, float32, datetime64[us, UTC] ...  nothing to add      object    {"gap": "None"}
        Int64, boolean ...  {"nullable": "Int64"}    string    {"storage": "python", "gap": "NaN"}
        int64[pyarrow] ...  {"arrow": True}          category  {"levels": [...], "ordered": False}
        period[M] ...       {"period": "M"}
    """
    import pandas as pd

    dtype = column.dtype
    note: Note = {}
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return pa.field("", pa.from_numpy_dtype(dtype)), note
    if isinstance(dtype, pd.CategoricalDtype):
        levels = [as_json(level) for level in dtype.categories]
        inner = of_pandas(pd.Series(dtype.categories[:0]))
        if inner is None or None in levels:
            return None
        note = {"levels": levels, "ordered": bool(dtype.ordered), "of": inner[1]}
        return inner[0], note
    if isinstance(dtype, pd.ArrowDtype):
        return pa.field("", dtype.pyarrow_dtype), {"arrow": True}
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        gaps = column[column.isna()]
        first = gaps.iloc[0] if len(gaps) else None
        gap = "NA" if first is pd.NA else "None" if first is None else "NaN"
        typed = as_arrow_objects(column)
        inner = pa.null() if typed is None else typed.dtype.pyarrow_dtype
        if pa.types.is_decimal(inner):  # as many digits before the point as there can be
            widest = pa.decimal128 if inner.bit_width == 128 else pa.decimal256
            inner = widest(38 if inner.bit_width == 128 else 76, inner.scale)
        return pa.field("", inner), {"object": True, "gap": gap}
    if isinstance(dtype, pd.PeriodDtype):
        return pa.field("", pa.int64()), {"period": str(dtype)[len("period[") : -1]}
    if isinstance(dtype, pd.StringDtype):
        note = {"storage": dtype.storage, "gap": "NA" if dtype.na_value is pd.NA else "NaN"}
        return pa.field("", pa.string()), note
    if NULLABLE.fullmatch(str(dtype)):
        note = {"nullable": str(dtype)}
    found = pa.array(column.iloc[:0], from_pandas=True).type
    plain = not isinstance(found, pa.BaseExtensionType)
    return (pa.field("", found), note) if plain else None


def as_ordinals(column: pd.Series[Any], period: str | None) -> pd.Series[Any] | None:
    """Return periods as whole numbers; instants too where they were periods at fit; else None."""
    import pandas as pd

    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M" and period is not None:
        column = column.dt.to_period(period)
    if not isinstance(column.dtype, pd.PeriodDtype):
        return None
    if period is not None and str(column.dtype) != f"period[{period}]":
        column = column.dt.asfreq(period)
    gaps = column.isna().to_numpy()
    counts = np.where(gaps, 0, column.array.asi8)
    return pd.Series(pd.arrays.IntegerArray(counts, gaps), name=column.name)


def as_arrow_objects(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return Python's decimals, dates, times of day or durations as Arrow has them; else None."""
    import pandas as pd

    known = column.notna().to_numpy()
    if column.dtype != np.dtype(object) or not known.any():
        return None
    if not isinstance(column.array[int(known.argmax())], ARROW_OBJECTS):
        return None
    try:
        found = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        return None
    return pd.Series(pd.arrays.ArrowExtensionArray(found), name=column.name)


def pandas_dtype(dtype: pa.DataType, note: Note) -> Any:
    """Return pandas's type of a column."""
    import pandas as pd

    if "levels" in note:
        categories = pd.Index(note["levels"], dtype=pandas_dtype(dtype, note["of"]))
        return pd.CategoricalDtype(categories, ordered=note["ordered"])
    if "arrow" in note:
        return pd.ArrowDtype(dtype)
    if "object" in note:
        return np.dtype(object)
    if "storage" in note:
        gap = {} if note["gap"] == "NA" else {"na_value": np.nan}
        return pd.StringDtype(note["storage"], **gap)
    if NULLABLE.fullmatch(note.get("nullable", "")):
        return pd.api.types.pandas_dtype(note["nullable"])
    return pa.array([], dtype).to_pandas().dtype


def to_pandas(
    names: list[Any], columns: list[Column], types: pa.Schema, notes: list[Note], index: Any
) -> Any:
    """Return a data frame of pandas."""
    import pandas as pd

    made = [
        pandas_series(values, missing, dtype, note)
        for (values, missing), dtype, note in zip(columns, types.types, notes, strict=True)
    ]
    frame = pd.concat(made, axis=1) if made else pd.DataFrame()
    frame.columns = pd.Index(names, dtype=None if names else object)
    return frame if index is None else frame.set_axis(index, axis=0)


def pandas_series(values: NDArray[Any], missing: Bools, dtype: pa.DataType, note: Note) -> Any:
    """Return values as a series of pandas of a type."""
    import pandas as pd

    if "arrow" in note:
        array = arrow_array(values, missing, dtype, nan=False)
        return pd.Series(pd.arrays.ArrowExtensionArray(array))
    if "period" in note:
        return pandas_periods(values, missing, note["period"])
    if "object" in note and not pa.types.is_null(dtype):
        items = arrow_array(values, missing, dtype, nan=False).to_pylist()
        values = np.empty(len(items), object)
        values[:] = items
    target = pandas_dtype(dtype, note)
    if values.dtype.kind == "M":
        column = pd.Series(np.where(missing, np.datetime64("NaT"), values))
        zoned = column.dt.tz_localize("UTC") if isinstance(target, pd.DatetimeTZDtype) else column
        return zoned.astype(target)
    if "object" in note:
        objects = values.astype(object)
        objects[missing] = {"NA": pd.NA, "None": None, "NaN": np.nan}[note["gap"]]
        return pd.Series(objects, dtype=object)
    if values.dtype.kind == "O":
        objects = values.copy()
        objects[missing] = None
        return pd.Series(pd.array(objects, dtype=target))
    column = pd.Series(values).astype(target)
    if missing.any():
        column[missing] = None
    return column


def pandas_periods(values: NDArray[Any], missing: Bools, period: str) -> Any:
    """Return whole numbers as the periods of that length that they count, from 1 to 9999 AD."""
    import pandas as pd

    try:
        dtype = pd.PeriodDtype(period)
        low, high = (pd.Period(day, period).ordinal for day in ("0001-01-01", "9999-12-31"))
    except ValueError as error:
        raise DataError(f"pandas knows no periods of {period!r}") from error
    counts = np.where(missing, np.iinfo(np.int64).min, np.clip(values, low, high))
    return pd.Series(pd.arrays.PeriodArray(counts.astype(np.int64), dtype=dtype))
