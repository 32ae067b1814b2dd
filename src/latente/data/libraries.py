"""The data-frame libraries: what each calls a column's type, and how it makes a column of it.

A type is described in plain JSON values, so that a model's file can tell it: ``{"name": "Int64"}``,
``{"name": "category", "categories": ["a", "b"], ...}``. What stands in for a missing value is part
of it where the library leaves a choice.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

Type = dict[str, Any]


class Library(ABC):
    """A library of data frames."""

    @abstractmethod
    def describe(self, series: Any) -> Type | None:
        """Return a column's type in JSON values, or None where it is none that can be restored."""

    @abstractmethod
    def series(self, values: NDArray[Any], missing: Bools, dtype: Type) -> Any:
        """Return a column of that type.

        Parameters
        ----------
        values
            Numbers, booleans, or Python objects; moments as ``datetime64[us]`` in UTC, durations as
            ``timedelta64[us]``.
        missing
            Where a value is missing, whatever `values` holds there.
        dtype
            What `describe` returned.
        """

    @abstractmethod
    def frame(self, names: Sequence[Any], columns: Sequence[Any], index: Any = None) -> Any:
        """Return a data frame of columns, with an index where the library knows any."""


class Pandas(Library):
    """https://pandas.pydata.org/docs/user_guide/basics.html#dtypes."""

    plain = re.compile(
        r"object|bool|u?int(8|16|32|64)|float(16|32|64)|boolean|U?Int(8|16|32|64)|Float(32|64)"
        r"|timedelta64\[(s|ms|us|ns)\]|datetime64\[(s|ms|us|ns)(, [^\]]+)?\]"
    )

    def describe(self, series: Any) -> Type | None:
        import pandas as pd

        described = self.describe_dtype(series.dtype)
        if described is not None and described["name"] == "object":
            gaps = series[series.isna()]
            first = gaps.iloc[0] if len(gaps) else None
            described["gap"] = "NA" if first is pd.NA else "None" if first is None else "NaN"
        return described

    def describe_dtype(self, dtype: Any) -> Type | None:
        """Return a pandas dtype in JSON values."""
        import pandas as pd

        if isinstance(dtype, pd.CategoricalDtype):
            of = self.describe_dtype(dtype.categories.dtype)
            levels = [as_json(level) for level in dtype.categories]
            known = of is not None and all(level is not None for level in levels)
            return (
                {"name": "category", "categories": levels, "of": of, "ordered": bool(dtype.ordered)}
                if known
                else None
            )
        if isinstance(dtype, pd.StringDtype):
            na = "NA" if dtype.na_value is pd.NA else "NaN"
            return {"name": "string", "storage": dtype.storage, "na": na}
        if isinstance(dtype, pd.ArrowDtype):
            of = Arrow().describe_type(dtype.pyarrow_dtype)
            return None if of is None else {"name": "arrow", "of": of}
        name = str(dtype)
        return {"name": name} if self.plain.fullmatch(name) else None

    def dtype(self, described: Type) -> Any:
        """Return the dtype that was described."""
        import pandas as pd

        if described["name"] == "category":
            categories = pd.Index(described["categories"], dtype=self.dtype(described["of"]))
            return pd.CategoricalDtype(categories, ordered=described["ordered"])
        if described["name"] == "string":
            gap = {} if described["na"] == "NA" else {"na_value": np.nan}
            return pd.StringDtype(described["storage"], **gap)
        if described["name"] == "arrow":
            return pd.ArrowDtype(Arrow().type(described["of"]))
        if not self.plain.fullmatch(described["name"]):
            raise ValueError(described["name"])
        return pd.api.types.pandas_dtype(described["name"])

    def series(self, values: NDArray[Any], missing: Bools, dtype: Type) -> Any:
        import pandas as pd

        if dtype["name"] == "arrow":
            array = Arrow().series(values, missing, dtype["of"])
            return pd.Series(pd.arrays.ArrowExtensionArray(array))
        if values.dtype.kind == "M":
            return self.moments(values, missing, dtype["name"])
        if dtype["name"] == "object":
            objects = values.astype(object)
            objects[missing] = {"NA": pd.NA, "None": None, "NaN": np.nan}[dtype["gap"]]
            return pd.Series(objects, dtype=object)
        if values.dtype.kind == "O":
            objects = values.copy()
            objects[missing] = None
            return pd.Series(pd.array(objects, dtype=self.dtype(dtype)))
        column = pd.Series(values).astype(self.dtype(dtype))
        if missing.any():
            column[missing] = None
        return column

    def moments(self, values: NDArray[Any], missing: Bools, name: str) -> Any:
        """Return instants in UTC as dates of that name, whose zone they take where it has one."""
        import pandas as pd

        column = pd.Series(np.where(missing, np.datetime64("NaT"), values))
        if ", " in name:
            column = column.dt.tz_localize("UTC")
        return column.astype(self.dtype({"name": name}))

    def frame(self, names: Sequence[Any], columns: Sequence[Any], index: Any = None) -> Any:
        import pandas as pd

        frame = pd.concat(list(columns), axis=1) if columns else pd.DataFrame()
        frame.columns = pd.Index(list(names), dtype=None if names else object)
        return frame if index is None else frame.set_axis(index, axis=0)


class Polars(Library):
    """https://docs.pola.rs/user-guide/concepts/data-types-and-structures/."""

    plain = re.compile(
        r"U?Int(8|16|32|64|128)|Float(16|32|64)|Boolean|String|Categorical|Date|Null"
    )

    def describe(self, series: Any) -> Type | None:
        dtype = series.dtype
        name = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
        if name == "Datetime":
            return {"name": name, "unit": dtype.time_unit, "zone": dtype.time_zone}
        if name == "Duration":
            return {"name": name, "unit": dtype.time_unit}
        if name == "Decimal":
            return {"name": name, "precision": dtype.precision, "scale": dtype.scale}
        if name == "Enum":
            return {"name": name, "categories": dtype.categories.to_list()}
        if not self.plain.fullmatch(name):
            return None
        if name.startswith("Float"):
            return {"name": name, "gap": "null" if series.null_count() else "NaN"}
        return {"name": name}

    def dtype(self, described: Type) -> Any:
        """Return the dtype that was described."""
        import polars as pl

        name = described["name"]
        if name == "Datetime":
            return pl.Datetime(described["unit"], described["zone"])
        if name == "Duration":
            return pl.Duration(described["unit"])
        if name == "Decimal":
            return pl.Decimal(described["precision"], described["scale"])
        if name == "Enum":
            return pl.Enum(described["categories"])
        if not self.plain.fullmatch(name):
            raise ValueError(name)
        return getattr(pl, name)

    def series(self, values: NDArray[Any], missing: Bools, dtype: Type) -> Any:
        import polars as pl

        target = self.dtype(dtype)
        if values.dtype.kind == "O":
            items = [None if gap else v for v, gap in zip(values, missing.tolist(), strict=True)]
            return pl.Series(items, dtype=target if dtype["name"] == "Enum" else None).cast(target)
        if dtype.get("gap") == "NaN":
            return pl.Series(np.where(missing, np.nan, values)).cast(target)
        column = pl.Series(values)
        if dtype.get("zone"):
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype["zone"])
        column = column.cast(target)
        return column.zip_with(pl.Series(~missing), pl.Series([None], dtype=target))

    def frame(self, names: Sequence[Any], columns: Sequence[Any], index: Any = None) -> Any:
        import polars as pl

        return pl.DataFrame(dict(zip(names, columns, strict=True)))


class Arrow(Library):
    """https://arrow.apache.org/docs/python/data.html#type-metadata."""

    plain = re.compile(
        r"u?int(8|16|32|64)|halffloat|float|double|bool|date32\[day\]|date64\[ms\]"
        r"|(large_)?string|string_view|null"
    )

    def describe(self, series: Any) -> Type | None:
        described = self.describe_type(series.type)
        if described is not None and described["name"] in ("halffloat", "float", "double"):
            described["gap"] = "null" if series.null_count else "NaN"
        return described

    def describe_type(self, dtype: Any) -> Type | None:
        """Return an Arrow type in JSON values."""
        import pyarrow as pa

        if pa.types.is_timestamp(dtype):
            return {"name": "timestamp", "unit": dtype.unit, "zone": dtype.tz}
        if pa.types.is_duration(dtype):
            return {"name": "duration", "unit": dtype.unit}
        if pa.types.is_decimal128(dtype):
            return {"name": "decimal", "precision": dtype.precision, "scale": dtype.scale}
        if pa.types.is_dictionary(dtype):
            index, value = map(self.describe_type, (dtype.index_type, dtype.value_type))
            ordered = bool(dtype.ordered)
            return {"name": "dictionary", "index": index, "value": value, "ordered": ordered}
        return {"name": str(dtype)} if self.plain.fullmatch(str(dtype)) else None

    def type(self, described: Type) -> Any:
        """Return the type that was described."""
        import pyarrow as pa

        name = described["name"]
        if name == "timestamp":
            return pa.timestamp(described["unit"], described["zone"])
        if name == "duration":
            return pa.duration(described["unit"])
        if name == "decimal":
            return pa.decimal128(described["precision"], described["scale"])
        if name == "dictionary":
            index, value = self.type(described["index"]), self.type(described["value"])
            return pa.dictionary(index, value, described["ordered"])
        if not self.plain.fullmatch(name):
            raise ValueError(name)
        return pa.type_for_alias(name)

    def series(self, values: NDArray[Any], missing: Bools, dtype: Type) -> Any:
        import pyarrow as pa

        target = self.type(dtype)
        if dtype.get("gap") == "NaN":
            return pa.array(np.where(missing, np.nan, values)).cast(target)
        if values.dtype.kind == "M" and dtype.get("zone"):
            instants = pa.array(values.astype(np.int64), mask=missing)
            return instants.cast(pa.timestamp("us", dtype["zone"])).cast(target, safe=False)
        if dtype["name"] == "dictionary":
            column = pa.array(values, mask=missing, type=target.value_type).dictionary_encode()
            return column.cast(target)
        if values.dtype.kind == "O":
            return pa.array(values, mask=missing, type=target)
        if dtype["name"] == "decimal":
            values = np.round(values, dtype["scale"])
        return pa.array(values, mask=missing).cast(target, safe=False)

    def frame(self, names: Sequence[Any], columns: Sequence[Any], index: Any = None) -> Any:
        import pyarrow as pa

        return pa.table(list(columns), names=list(names))


LIBRARIES: dict[str, Library] = {"pandas": Pandas(), "polars": Polars(), "pyarrow": Arrow()}


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
