"""Data frames with all sorts of columns: to one matrix and back to the same frame."""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from contextlib import suppress
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latente import DataError, MissingExtra, ParameterError
from latente.data import frames as frames_module
from latente.data import tabular
from latente.data.arrays import is_frame
from latente.data.frames import Schema, is_plain
from latente.data.tables import TableEncoder

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
NAME = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=4)
WHOLE = st.integers(-100_000, 100_000)
REAL = st.floats(-1e6, 1e6, width=32)
INSTANT = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1))
DURATION = st.timedeltas(dt.timedelta(-999), dt.timedelta(999))
LEVEL = st.sampled_from(["a", "b", "é", "", "missing", "1"])
ZONE = "America/Lima"
DAY = st.dates(dt.date(1990, 1, 1), dt.date(2030, 1, 1))
TIME = st.times()
PRICE = st.integers(-99_999, 99_999).map(lambda cents: Decimal(cents) / 100)


def gapped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


PANDAS: list[tuple[st.SearchStrategy[Any], Any]] = [
    (WHOLE, "int64"),
    (st.integers(0, 255), "uint8"),
    (st.integers(-128, 127), "int8"),
    (gapped(REAL), "float64"),
    (gapped(REAL), "float32"),
    (gapped(WHOLE), "Int64"),
    (gapped(WHOLE), "int32[pyarrow]"),
    (gapped(REAL), "Float32"),
    (st.booleans(), "bool"),
    (gapped(st.booleans()), "boolean"),
    (gapped(st.booleans()), "object"),
    (gapped(TEXT), "str"),
    (gapped(TEXT), "object"),
    (gapped(TEXT), pd.StringDtype("python", na_value=pd.NA)),
    (gapped(LEVEL), "category"),
    (gapped(st.sampled_from([3, 1, 2])), pd.CategoricalDtype([1, 2, 3, 7], ordered=True)),
    (gapped(st.sampled_from([1, "1", True, "True", ""])), "object"),
    (gapped(INSTANT), "datetime64[us]"),
    (gapped(INSTANT), "datetime64[ns]"),
    (gapped(INSTANT.map(lambda t: t.replace(tzinfo=dt.UTC))), f"datetime64[ms, {ZONE}]"),
    (gapped(DURATION), "timedelta64[us]"),
    (gapped(PRICE), "object"),
    (gapped(DAY), "object"),
    (gapped(INSTANT), "object"),
    (gapped(TIME), "object"),
    (gapped(DURATION), "object"),
    (gapped(TIME), "time64[us][pyarrow]"),
    (gapped(PRICE), pd.ArrowDtype(pa.decimal128(7, 2))),
    (gapped(DAY.map(lambda day: pd.Period(day, "M"))), "period[M]"),
    (gapped(INSTANT.map(lambda t: pd.Period(t, "15min"))), "period[15min]"),
]
POLARS: list[tuple[st.SearchStrategy[Any], Any]] = [
    (gapped(WHOLE), pl.Int64),
    (st.integers(0, 255), pl.UInt8),
    (gapped(REAL), pl.Float64),
    (gapped(REAL), pl.Float32),
    (st.just(float("nan")) | REAL, pl.Float64),
    (gapped(st.booleans()), pl.Boolean),
    (gapped(TEXT), pl.String),
    (gapped(LEVEL), pl.Categorical),
    (gapped(LEVEL), pl.Enum(["a", "b", "é", "", "missing", "1", "never"])),
    (gapped(DAY), pl.Date),
    (gapped(TIME), pl.Time),
    (gapped(PRICE), pl.Decimal(7, 2)),
    (gapped(INSTANT), pl.Datetime("us")),
    (gapped(INSTANT), pl.Datetime("ns")),
    (gapped(INSTANT.map(lambda t: t.replace(tzinfo=dt.UTC))), pl.Datetime("ms", ZONE)),
    (gapped(DURATION), pl.Duration("us")),
    (st.none(), pl.Null),
]


@st.composite
def frames(draw: Any, library: str) -> Any:
    n = draw(st.integers(1, 12))
    kinds = PANDAS if library == "pandas" else POLARS
    picked = draw(st.lists(st.sampled_from(range(len(kinds))), min_size=1, max_size=5))
    names = draw(st.lists(NAME, min_size=len(picked), max_size=len(picked), unique=True))
    columns = {}
    for name, i in zip(names, picked, strict=True):
        values, dtype = kinds[i]
        items = draw(st.lists(values, min_size=n, max_size=n))
        if library == "pandas":
            columns[name] = pd.Series(items, dtype=object).astype(dtype)
        else:
            columns[name] = pl.Series(items, dtype=dtype, strict=False)
    if library == "pandas":
        return pd.DataFrame(columns)
    frame = pl.DataFrame(columns)
    return frame if library == "polars" else frame.to_arrow()


def assert_alike(one: Any, other: Any) -> None:
    """Two frames of the same library, names, types and gaps, and of the same values about."""
    assert type(one) is type(other)
    ours, theirs = (nw.from_native(frame, eager_only=True) for frame in (one, other))
    assert ours.columns == theirs.columns
    for a, b in zip(ours.iter_columns(), theirs.iter_columns(), strict=True):
        assert a.dtype == b.dtype
        native = [getattr(s.to_native(), "dtype", None) for s in (a, b)]
        assert native[0] == native[1]
        gaps = a.is_null().to_list()
        assert gaps == b.is_null().to_list()
        pairs = [
            pair for pair, gap in zip(zip(a.to_list(), b.to_list(), strict=True), gaps, strict=True)
            if not gap
        ]  # fmt: skip
        if type(a.dtype).__name__ in ("Float32", "Float64"):
            values = np.array(pairs, np.float64).reshape(-1, 2)
            reach = np.nanmax(np.abs(values), initial=0.0)
            np.testing.assert_allclose(values[:, 0], values[:, 1], rtol=1e-6, atol=1e-6 * reach)
        elif type(a.dtype).__name__ in ("Datetime", "Date", "Duration"):
            assert_near(pairs)
        elif pairs and isinstance(pairs[0][0], dt.date | dt.timedelta | dt.time):
            assert all(type(x) is type(y) for x, y in pairs)
            assert_near(pairs)
        elif pairs and isinstance(pairs[0][0], pd.Period):
            assert_near([(x.to_timestamp(), y.to_timestamp()) for x, y in pairs])
        else:
            assert [(type(x), x) for x, _ in pairs] == [(type(y), y) for _, y in pairs]


def assert_near(pairs: list[tuple[Any, Any]]) -> None:
    """Moments as near as the sixteen million steps that float32 tells apart."""
    if pairs and isinstance(pairs[0][0], dt.time):
        day = dt.date(2000, 1, 1)
        pairs = [tuple(dt.datetime.combine(day, time) for time in pair) for pair in pairs]
    if pairs:
        reach = max(x for x, _ in pairs) - min(x for x, _ in pairs)
        most = max(abs(x - y) for x, y in pairs)
        assert most <= reach * 2**-21 + dt.timedelta(microseconds=1)


def again(encoder: TableEncoder) -> TableEncoder:
    """The encoder as a file would bring it back."""
    plain, arrays = encoder.state()
    return TableEncoder.from_state(json.loads(json.dumps(plain, allow_nan=False)), arrays)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@settings(max_examples=60)
@given(data=st.data())
def test_frames_come_back(library: str, data: st.DataObject) -> None:
    frame = data.draw(frames(library))
    encoder = TableEncoder.learn(frame)[0]
    matrix = encoder.transform(frame)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(frame), encoder.width)
    assert len(encoder.titles) == encoder.width
    assert np.isfinite(matrix).all()
    restored = again(encoder)
    assert np.array_equal(restored.transform(frame), matrix)
    assert_alike(frame, restored.inverse(matrix))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@settings(max_examples=60)
@given(data=st.data())
def test_any_matrix_is_some_frame(library: str, data: st.DataObject) -> None:
    frame = data.draw(frames(library))
    encoder = again(TableEncoder.learn(frame)[0])
    values = data.draw(st.sampled_from([-1e6, -3.0, 0.3, 0.7, 5.0, 1e6]))
    made = encoder.inverse(np.full((3, encoder.width), values, np.float32))
    assert len(made) == 3
    assert Schema.of(made).names == Schema.of(frame).names
    assert made.schema == frame.schema if library != "pandas" else True


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [31.0, np.nan, 25.0, 60.0],
            "children": [0, 2, 1, 3],
            "city": ["Lima", "Faro", None, "Lima"],
            "member": [True, False, True, True],
            "joined": pd.to_datetime(["2020-01-01", "2021-05-05", "2020-03-01", "2022-02-02"]),
        },
        index=list("wxyz"),
    )


def test_the_matrix_is_what_it_says() -> None:
    encoder = TableEncoder.learn(people())[0]
    assert encoder.titles == [
        "age", "children", "joined", "age_missing", "city_Faro", "city_Lima", "city_missing",
        "member",
    ]  # fmt: skip
    matrix = encoder.transform(people())
    assert np.allclose(matrix[:, :3].mean(axis=0), 0, atol=1e-6)
    assert np.allclose(matrix[:, :3].std(axis=0), 1, atol=1e-6)
    assert matrix[:, 3:].tolist() == [
        [0, 0, 1, 0, 1],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 1, 0, 1],
    ]
    filled = people().fillna({"age": 31.0})
    assert np.allclose(matrix[:, 0], encoder.transform(filled)[:, 0])
    assert encoder.bounds is None
    assert encoder.scaling == "standard"
    back = encoder.inverse(matrix, index=people().index)
    pd.testing.assert_frame_equal(back, people(), rtol=1e-6)


def test_other_scalings_are_had() -> None:
    encoder = TableEncoder.learn(people(), "minmax")[0]
    matrix = encoder.transform(people())
    assert encoder.bounds == (0.0, 1.0)
    assert not encoder.binary
    assert matrix.min() == 0
    assert matrix.max() == 1
    with pytest.raises(ParameterError, match="scaling='large'"):
        TableEncoder.learn(people(), "large")[0]
    with pytest.raises(ParameterError, match="unseen='drop'"):
        TableEncoder.learn(people(), unseen="drop")[0]


def test_without_numbers_there_are_flags_alone() -> None:
    frame = pl.DataFrame({"a": ["x", "y", "x"], "b": [True, None, False]})
    encoder = TableEncoder.learn(frame)[0]
    assert encoder.binary
    assert encoder.bounds == (0.0, 1.0)
    assert encoder.scaling == "none"
    assert encoder.transform(frame).tolist() == [[1, 0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 0]]


def test_gaps_where_none_were_are_filled_silently() -> None:
    known = pd.DataFrame({"n": [1.0, 2.0, 9.0], "c": ["u", "v", "v"], "b": [True, True, False]})
    encoder = TableEncoder.learn(known)[0]
    assert encoder.titles == ["n", "c_u", "c_v", "b"]
    gappy = pd.DataFrame({"n": [None], "c": [None], "b": pd.array([None], "boolean")})
    full = pd.DataFrame({"n": [2.0], "c": ["v"], "b": [True]})
    assert np.array_equal(encoder.transform(gappy), encoder.transform(full))


def test_another_library_may_transform() -> None:
    frame = people().reset_index(drop=True)
    encoder = TableEncoder.learn(frame)[0]
    other = encoder.transform(pl.from_pandas(frame))
    assert np.allclose(other, encoder.transform(frame), atol=1e-6)
    assert isinstance(encoder.inverse(other), pd.DataFrame)


def test_types_may_widen_between_fit_and_transform() -> None:
    encoder = TableEncoder.learn(pd.DataFrame({"n": [1, 2, 3], "c": ["x", "y", "x"]}))[0]
    wider = pd.DataFrame({"n": [1.0, None, 2.0], "c": pd.Categorical(["x", "x", "y"])})
    assert encoder.transform(wider).shape == (3, 3)


def test_levels_that_look_alike_stay_apart() -> None:
    levels = [1, "1", True, 1.0, "True", "", "None", None]
    frame = pd.DataFrame({"mixed": pd.Series(levels * 2, dtype=object)})
    encoder = again(TableEncoder.learn(frame)[0])
    matrix = encoder.transform(frame)
    assert np.array_equal(matrix[:8], matrix[8:])
    assert np.array_equal(np.sort(matrix[:8].argmax(axis=1)), np.arange(8))
    back = encoder.inverse(matrix)["mixed"].tolist()
    assert [(type(v), v) for v in back] == [(type(v), v) for v in levels * 2]


def test_empty_frames_give_empty_matrices() -> None:
    encoder = TableEncoder.learn(people())[0]
    assert encoder.transform(people().iloc[:0]).shape == (0, encoder.width)
    assert list(encoder.inverse(np.empty((0, encoder.width), np.float32)).columns) == list(people())
    with pytest.raises(DataError, match="0 rows"):
        TableEncoder.learn(people().iloc[:0])[0]


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_what_stands_for_missing_comes_back(gap: Any) -> None:
    frame = pd.DataFrame({"a": pd.Series(["x", gap, "y"], dtype=object)})
    encoder = again(TableEncoder.learn(frame)[0])
    back = encoder.inverse(encoder.transform(frame))["a"][1]
    assert back is gap or (isinstance(gap, float) and np.isnan(back))


def test_polars_keeps_nan_and_null_apart() -> None:
    frame = pl.DataFrame({"nan": [1.0, float("nan")], "null": [1.0, None], "s": ["a", "b"]})
    encoder = again(TableEncoder.learn(frame)[0])
    assert encoder.inverse(encoder.transform(frame)).equals(frame, null_equal=True)


def test_decimals_and_dictionaries_come_back() -> None:
    price = [Decimal("1.25"), None, Decimal("3.50")]
    frame = pl.DataFrame({"price": pl.Series(price, dtype=pl.Decimal(10, 2))})
    encoder = again(TableEncoder.learn(frame)[0])
    assert encoder.inverse(encoder.transform(frame)).equals(frame)
    table = pa.table(
        {
            "price": pa.array(price, pa.decimal128(8, 2)),
            "kind": pa.array(["a", None, "b"]).dictionary_encode(),
            "day": pa.array([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)], pa.date32()),
            "half": pa.array([1.0, 2.0, None], pa.float16()),
        }
    )
    encoder = again(TableEncoder.learn(table)[0])
    assert encoder.inverse(encoder.transform(table)).equals(table)


OBJECTS: dict[str, list[Any]] = {
    "decimals": [Decimal("1.25"), None, Decimal("-310.5")],
    "dates": [dt.date(2020, 1, 1), None, dt.date(2024, 2, 29)],
    "moments": [dt.datetime(2020, 1, 1, 12, 30), None, dt.datetime(2021, 1, 1)],
    "moments of a zone": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None],
    "times of day": [dt.time(0), None, dt.time(23, 59, 59)],
    "durations": [dt.timedelta(days=3), None, dt.timedelta(hours=-1)],
}


@pytest.mark.parametrize("case", OBJECTS)
def test_python_objects_come_back_as_objects(case: str) -> None:
    frame = pd.DataFrame({"o": pd.Series(OBJECTS[case], dtype=object)})
    encoder = again(TableEncoder.learn(frame)[0])
    back = encoder.inverse(encoder.transform(frame))["o"]
    assert back.dtype == object
    assert back.tolist() == OBJECTS[case]


def test_decimals_among_numbers_are_numbers() -> None:
    frame = pd.DataFrame({"o": pd.Series([Decimal("1.25"), 3, 2.5, None], dtype=object)})
    encoder = again(TableEncoder.learn(frame)[0])
    assert encoder.inverse(encoder.transform(frame))["o"][:3].tolist() == pytest.approx(
        [1.25, 3, 2.5]
    )


def test_numbers_out_of_range_are_the_nearest_a_type_holds() -> None:
    columns = {
        "price": pa.array([Decimal("1.25"), Decimal("9.50")], pa.decimal128(4, 2)),
        "time": pa.array([dt.time(1), dt.time(2)], pa.time32("s")),
    }
    encoder = again(TableEncoder.learn(pa.table(columns))[0])
    far = np.array([[1e3, 1e9], [-1e3, -1e9]], np.float32)
    assert encoder.inverse(far).to_pydict() == {
        "price": [Decimal("99.99"), Decimal("-99.99")],
        "time": [dt.time(23), dt.time(0)],
    }


def test_periods_are_counted() -> None:
    months = pd.period_range("2020-01", periods=40, freq="M")
    encoder = again(TableEncoder.learn(pd.DataFrame({"month": months}))[0])
    matrix = encoder.transform(pd.DataFrame({"month": months}))
    assert np.ptp(np.diff(matrix[:, 0])) < 1e-6, "months are equally far from each other"
    for other in (months.asfreq("D"), months.to_timestamp(how="end")):
        assert np.array_equal(encoder.transform(pd.DataFrame({"month": other})), matrix)
    far = encoder.inverse(np.array([[1e9], [-1e9]], np.float32))["month"]
    assert far.astype(str).tolist() == ["9999-12", "0001-01"]


def test_whole_days_stay_whole_days() -> None:
    days = pd.date_range("1970-01-01", periods=400, freq="37D", tz="UTC")
    frame = pd.DataFrame({"day": days})
    encoder = TableEncoder.learn(frame)[0]
    pd.testing.assert_frame_equal(encoder.inverse(encoder.transform(frame)), frame)


def test_whole_numbers_are_clipped_to_their_type() -> None:
    frame = pd.DataFrame({"n": np.array([0, 255, 128], np.uint8), "s": ["a", "b", "a"]})
    encoder = TableEncoder.learn(frame)[0]
    far = np.full((2, encoder.width), 50, np.float32) * [[1], [-1]]
    assert encoder.inverse(far)["n"].tolist() == [255, 0]
    assert encoder.inverse(far)["n"].dtype == np.uint8


# ── frames that are arrays with names ────────────────────────────────────────────────────────


def test_plain_frames_are_told() -> None:
    assert is_plain(pd.DataFrame({"a": [1, 2], "b": [0.5, 1]}))
    assert is_plain(pl.DataFrame({"a": [True, False]}))
    assert is_plain(pd.DataFrame({0: [1], 1: [2]}))
    assert is_plain(pd.DataFrame({"a": [1.0, np.inf]}))
    assert not is_plain(pd.DataFrame({"a": [1.0, None]}))
    assert not is_plain(pl.DataFrame({"a": [1.0, float("nan")]}))
    assert not is_plain(pl.DataFrame({"a": [1, None]}))
    assert not is_plain(pd.DataFrame({"a": [1.0], "b": [True]}))
    assert not is_plain(pd.DataFrame({"a": [1.0], "b": ["x"]}))
    assert not is_frame(np.ones((2, 2)))
    assert not is_frame(pd.Series([1]))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_plain_frames_come_back_from_matrices(library: str) -> None:
    values = {"a": np.array([1, 300], np.int16), "b": np.array([0.5, 1.5], np.float32)}
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library]
    frame = make(values)
    schema = Schema.from_json(json.loads(json.dumps(Schema.of(frame).to_json())))
    made = schema.from_matrix(np.array([[1.2, 0.5], [299.9, 1.5]], np.float32))
    assert made.equals(frame)


def test_names_of_any_kind_come_back() -> None:
    frame = pd.DataFrame({0: [1, 2], 1: [3, 4]})
    schema = Schema.from_json(json.loads(json.dumps(Schema.of(frame).to_json())))
    pd.testing.assert_frame_equal(
        schema.from_matrix(frame.to_numpy().astype(np.float32)), frame, check_column_type=False
    )


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def names(count: int) -> list[str]:
    return [f"name {i}" for i in range(count)]


REFUSED: dict[str, tuple[Any, str]] = {
    "infinity": (pd.DataFrame({"n": [1, -np.inf], "s": "x"}), "'n' has infinity at row 1"),
    "lists": (pl.DataFrame({"l": [[1], [2]]}), r"'l' holds List\(Int64\) values"),
    "objects": (pd.DataFrame({"o": [1, {"a": 2}]}), "'o' holds dict values"),
    "intervals": (pd.DataFrame({"i": pd.cut([1, 2], 2)}), "'i' holds"),
    "complex": (pd.DataFrame({"z": [1 + 2j, 3]}), "'z' holds"),
    "bytes": (pl.DataFrame({"b": [b"1", b"2"]}), "'b' holds Binary values"),
    "two of a name": (pd.DataFrame([[1, "x"]], columns=["a", "a"]), "several columns .*'a'"),
    "tuples as names": (pd.DataFrame({("a", 1): ["x"]}), "column name .*cannot be kept"),
    "no columns": (pd.DataFrame(index=[1, 2]), "0 columns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learned_is_told(case: str) -> None:
    frame, words = REFUSED[case]
    with pytest.raises(DataError, match=words) as caught:
        TableEncoder.learn(frame)[0]
    assert "\n" not in str(caught.value)


def test_a_level_never_seen_is_ignored_and_told_once_or_refused() -> None:
    frame = pd.DataFrame({"city": [f"city {i}" for i in range(9)] * 3, "n": 1.0})
    new = pd.DataFrame({"city": ["city 1", "Oslo", "Rome", "Oslo", None], "n": 1.0})
    strict = TableEncoder.learn(frame, unseen="error")[0]
    with pytest.raises(DataError, match=r"'city' has 'Oslo' at row 1, .*'city 0', .* and 4 more$"):
        again(strict).transform(new)
    encoder = again(TableEncoder.learn(frame)[0])
    with pytest.warns(
        UserWarning, match=r"'city' has levels .* never saw: 'Oslo', 'Rome'; "
    ) as told:
        matrix = encoder.transform(new)
    assert len(told) == 1
    assert matrix[:, 1:].sum(axis=1).tolist() == [1, 0, 0, 0, 1]
    assert np.array_equal(encoder.transform(new), matrix), "told a second time"


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_of_many_levels_the_frequent_ones_are_learned(library: str) -> None:
    cities = [f"city {i}" for i in range(400) for _ in range(400 - i)]
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[library]
    frame = make({"city": cities})
    words = r"'city' has 400 different values in 80,200 rows.* the 254 most frequent are learned"
    with pytest.warns(UserWarning, match=words):
        encoder = again(TableEncoder.learn(frame)[0])
    assert encoder.width == 255
    assert encoder.categories == ((0, 255),)
    assert encoder.titles[-1] == "city_other"
    matrix = encoder.transform(frame)
    assert matrix.sum(axis=1).tolist() == [1] * len(cities)
    back = nw.from_native(encoder.inverse(matrix), eager_only=True)["city"].to_list()
    assert back == [city if int(city[5:]) < 254 else "other" for city in cities]
    rare, new = encoder.transform(make({"city": ["city 399", "Oslo"]}))
    assert rare.argmax() == new.argmax() == 254


def test_names_and_free_text_are_other() -> None:
    frame = pl.DataFrame({"who": [*names(60), None]})
    with pytest.warns(UserWarning, match="'who' has 60 different .* none is frequent, .* drop"):
        encoder = again(TableEncoder.learn(frame)[0])
    assert encoder.titles == ["who_other", "who_missing"]
    back = encoder.inverse(encoder.transform(frame))["who"].to_list()
    assert back == ["other"] * 60 + [None]


FIXED: dict[str, Any] = {
    "categories": lambda levels: pd.DataFrame({"c": pd.Categorical([str(i) for i in levels])}),
    "numbers": lambda levels: pd.DataFrame({"c": pd.Categorical(levels)}),
    "enum": lambda levels: pl.DataFrame(
        {"c": [str(i) for i in levels]}, schema={"c": pl.Enum([str(i) for i in range(300)])}
    ),
    "mixed": lambda levels: pd.DataFrame({"c": pd.Series(["1", *levels], dtype=object)}),
}


@pytest.mark.parametrize("case", FIXED)
def test_where_a_type_has_no_other_a_rare_level_is_a_gap(case: str) -> None:
    frame = FIXED[case]([i for i in range(300) for _ in range(300 - i)])
    with pytest.warns(UserWarning, match="254 most frequent"):
        encoder = again(TableEncoder.learn(frame)[0])
    back = encoder.inverse(encoder.transform(frame))
    before, after = (nw.from_native(each, eager_only=True)["c"] for each in (frame, back))
    assert before.dtype == after.dtype
    gaps = after.is_null().to_numpy()
    assert 46 * 10 < gaps.sum() < 46 * 30
    kept = [
        pair for pair, gap in zip(zip(before, after, strict=True), gaps, strict=True) if not gap
    ]
    assert all(one == other for one, other in kept)


CHANGED: dict[str, tuple[str, Any, str]] = {
    "number": ("children", ["0", "abc", "1", "2"], "'children' held numbers at fit, .*'0' at row"),
    "boolean": ("member", [0, 1, 2, 0], "'member' held true and false .* 2 now, at row 2"),
    "moment": ("joined", [1.0, 2.0, 3.0, 4.0], "'joined' held dates or durations at fit"),
    "category": ("city", pd.to_datetime(["2020-01-01"] * 4), "'city' held levels at fit"),
    "objects": ("city", [["Lima"], None, None, None], r"\['Lima'\] at row 0"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_column_of_another_kind_is_told(case: str) -> None:
    name, values, words = CHANGED[case]
    encoder = TableEncoder.learn(people())[0]
    frame = people()
    frame[name] = values
    with pytest.raises(DataError, match=words):
        encoder.transform(frame)


def test_columns_are_checked_in_scikit_learns_words() -> None:
    frame = pd.DataFrame({f"col_{i}": [1.0, None] for i in range(8)})
    encoder = TableEncoder.learn(frame)[0]
    wrong = "The feature names should match those that were passed during fit.\n"
    renamed = frame.rename(columns=lambda name: name.replace("col", "p"))
    cases = {
        "Feature names must be in the same order as they were in fit.\n": frame.iloc[:, ::-1],
        "Feature names seen at fit time, yet now missing:\n- col_3\n": frame.iloc[:, :3],
        "Feature names unseen at fit time:\n- p_0\n- p_1\n- p_2\n- p_3\n- p_4\n- ...\n": renamed,
    }
    for words, bad in cases.items():
        with pytest.raises(DataError) as caught:
            encoder.transform(bad)
        assert str(caught.value).startswith(wrong + words)
    with pytest.raises(DataError, match=r"X is ndarray, .*'col_0', .* and 3 more"):
        encoder.transform(np.ones((2, 8)))


def test_a_matrix_of_another_width_is_told() -> None:
    encoder = TableEncoder.learn(people())[0]
    with pytest.raises(DataError, match="8 columns"):
        encoder.inverse(np.ones((2, 7), np.float32))


BROKEN: list[Any] = [
    {"schema": None},
    {"schema": {"library": "dplyr", "fields": []}},
    {"schema": {"library": "pandas", "fields": [{"name": "a"}]}},
    {"encoders": []},
    {"encoders": [{"rubbish": 1}] * 5},
    {"scaling": None},
    {"scaling": {"name": "unit"}},
    {"unseen": "maybe"},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_broken_states_are_refused(change: dict[str, Any]) -> None:
    plain, arrays = TableEncoder.learn(people())[0].state()
    with pytest.raises(DataError):
        TableEncoder.from_state({**plain, **change}, arrays)


@pytest.mark.parametrize("kind", ["array", "object", "cast"])
def test_broken_fields_are_refused(kind: str) -> None:
    state = Schema.of(people()).to_json()
    state["fields"][0] |= {"kind": kind} if kind != "cast" else {"cast": "M8[s]"}
    with pytest.raises(DataError, match="not the schema"):
        Schema.from_json(state)


NOTES: list[Any] = [
    None, [], {"os": "system"}, {"arrow": "yes"}, {"nullable": 3}, {"gap": "os.system"},
    {"levels": ["a"]}, {"levels": "ab", "ordered": True, "of": {}},
    {"levels": ["a"], "ordered": True, "of": {"levels": ["b"]}}, {"period": "os.system"},
]  # fmt: skip


@pytest.mark.parametrize("note", NOTES, ids=str)
def test_broken_notes_are_refused(note: Any) -> None:
    state = Schema.of(people()).to_json()
    state["fields"][0]["note"] = note
    with pytest.raises(DataError, match="not the schema"):
        Schema.from_json(state)


def encoded(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


@pytest.mark.parametrize(
    "arrow",
    [
        None, "no base64!", "", base64.b64encode(b"rubbish" * 9).decode(),
        encoded(pa.schema([("0", pa.int64())])),
        encoded(pa.schema([(str(i), pa.list_(pa.int64())) for i in range(5)])),
    ],
)  # fmt: skip
def test_broken_types_are_refused(arrow: Any) -> None:
    state = Schema.of(people()).to_json()
    with pytest.raises(DataError, match="not the schema"):
        Schema.from_json({**state, "arrow": arrow})


@given(st.data())
def test_damaged_types_are_refused_or_read(data: st.DataObject) -> None:
    schema = Schema.of(people())
    arrow = bytearray(schema.arrow)
    for _ in range(3):
        arrow[data.draw(st.integers(0, len(arrow) - 1))] ^= data.draw(st.integers(1, 255))
    state = {**schema.to_json(), "arrow": base64.b64encode(arrow).decode()}
    with suppress(DataError):
        assert len(Schema.from_json(state).fields) == len(schema.fields)


def test_what_to_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, matrix = TableEncoder.learn(pl.DataFrame({"a": ["x", "y"]}))
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtra, match="pip install polars"):
        encoder.inverse(matrix)


def test_columns_of_plain_numbers_are_described_once_a_type(monkeypatch: Any) -> None:
    """Thousands of columns take no longer than their names; what is described stays the same."""
    kinds = ("f8", "i8", "f4", "u1", "?")
    frame = pd.DataFrame({f"c{i}": np.arange(3).astype(kinds[i % 5]) for i in range(50)})
    one_by_one = [Schema.of(frame[[name]].assign(t="a")) for name in frame]  # not all plain
    described = []
    real = frames_module.field_of
    monkeypatch.setattr(frames_module, "field_of", lambda *a: described.append(a) or real(*a))
    schema = Schema.of(frame)
    assert len(described) == len(kinds)
    assert list(schema.fields) == [each.fields[0] for each in one_by_one]
    assert schema.frame([(frame[n].to_numpy(), np.zeros(3, bool)) for n in frame]).equals(frame)
    with pytest.raises(DataError, match=r"1\.5 cannot be kept"):
        Schema.of(pd.DataFrame(np.ones((2, 2)), columns=["a", 1.5]))


@pytest.mark.parametrize("columns", [[[1, 2], [3, 4]], [[0.5, 2], [1, 4]], [[0.5, 1], [1e300, 2]]])
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_whole_numbers_of_an_array_come_as_such(
    monkeypatch: Any, library: str, columns: list[list[float]]
) -> None:
    monkeypatch.setattr(tabular, "frame_library", lambda: library)
    monkeypatch.setattr(tabular, "BLOCK", 2)
    X = np.array(columns, float).T
    frame = nw.from_native(tabular.frame_of(["a", "b"], X), eager_only=True)
    assert str(frame.implementation) == library
    for series, column in zip(frame.iter_columns(), columns, strict=True):
        whole = all(value < 2**53 and value == int(value) for value in column)
        assert series.dtype == (nw.Int64 if whole else nw.Float64)
        assert series.to_list() == column
