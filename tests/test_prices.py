"""The door for prices: every container in and out, what is not a bar, what is refused and how it is named."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal, assert_series_equal

from atc_plugin.prices import Prices, fingerprint, read_prices

NAN = float("nan")
INF = float("inf")
DAYS = pd.date_range("2020-01-03", periods=6, freq="B", name="day")
ONE = np.array([[1.5], [2.0], [-3.25], [4.0], [5.0], [6.0]])  # bars x columns
TWO = np.hstack([ONE, ONE * 7])
PAIR = pd.MultiIndex.from_tuples([("close", "A"), ("close", "B")], names=["field", "symbol"])


def series(values: Any, **options: Any) -> Any:
    return pd.Series(values, index=DAYS[: len(values)], name="AAPL", **options)


def frame(values: Any, columns: Any = ("AAPL", "MSFT"), **options: Any) -> pd.DataFrame:
    return pd.DataFrame(values, index=DAYS[: len(values)], columns=list(columns), **options)


def strided(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same values at every second place of a larger array, backwards in memory."""
    wide = np.full((2 * table.shape[0], 2 * table.shape[1]), 99.0)
    wide[::-2, ::2] = table
    return wide[::-2, ::2]


def frozen(table: NDArray[np.float64]) -> NDArray[np.float64]:
    table = table.copy()
    table.flags.writeable = False
    return table


# How a table (bars, columns) is put into each container, and the columns it is for.
CONTAINERS: dict[str, tuple[Callable[[NDArray[np.float64]], Any], int]] = {
    "Series": (lambda t: series(t[:, 0]), 1),
    "Series unnamed": (lambda t: pd.Series(t[:, 0]), 1),
    "Series two levels": (lambda t: pd.Series(t[:, 0], index=pd.MultiIndex.from_product([[1], range(len(t))])), 1),
    "DataFrame": (frame, 2),
    "DataFrame one column": (lambda t: frame(t, ["AAPL"]), 1),
    "DataFrame two levels": (lambda t: pd.DataFrame(t, index=DAYS[: len(t)], columns=PAIR), 2),
    "DataFrame same names": (lambda t: frame(t, ["A", "A"]), 2),
    "DataFrame in blocks": (lambda t: frame(t[:, :1], ["AAPL"]).assign(MSFT=t[:, 1]), 2),
    "array 1-D": (lambda t: t[:, 0].copy(), 1),
    "array 2-D": (lambda t: t.copy(), 2),
    "array 2-D one column": (lambda t: t.copy(), 1),
    "array Fortran": (np.asfortranarray, 2),
    "array strided": (strided, 2),
    "array 1-D strided": (lambda t: strided(t)[:, 0], 1),
    "array read-only": (frozen, 2),
    "array 1-D read-only": (lambda t: frozen(t[:, 0]), 1),
    "array big-endian": (lambda t: t.astype(">f8"), 2),
    "list": (lambda t: t[:, 0].tolist(), 1),
    "list nested": (lambda t: t.tolist(), 2),
    "polars Series": (lambda t: pl.Series("AAPL", t[:, 0].copy()), 1),
    "polars Series unnamed": (lambda t: pl.Series(t[:, 0].copy()), 1),
    "polars DataFrame": (lambda t: pl.DataFrame({"AAPL": t[:, 0].copy(), "MSFT": t[:, 1].copy()}), 2),
}
containers = pytest.mark.parametrize(("make", "width"), CONTAINERS.values(), ids=CONTAINERS)


def table_of(width: int) -> NDArray[np.float64]:
    return ONE if width == 1 else TWO


def assert_same(result: Any, expected: Any) -> None:
    """Type, values, dtype, index, columns and names."""
    assert type(result) is type(expected)
    if isinstance(expected, pd.Series):
        assert_series_equal(result, expected, check_exact=True)
    elif isinstance(expected, pd.DataFrame):
        assert_frame_equal(result, expected, check_exact=True)
    elif isinstance(expected, pl.Series | pl.DataFrame):
        assert result.equals(expected, null_equal=True)
        assert (result.name if isinstance(expected, pl.Series) else result.schema) == (
            expected.name if isinstance(expected, pl.Series) else expected.schema
        )
        assert isinstance(expected, pl.DataFrame) or result.dtype == expected.dtype
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(result, expected)
        assert result.shape == expected.shape
        assert result.dtype == expected.dtype.newbyteorder("=")
    else:
        assert repr(result) == repr(expected)


# ---------------------------------------------------------------------------------------------- in and out


@containers
def test_reads_columns_of_our_own(make: Callable[..., Any], width: int) -> None:
    table = table_of(width)
    prices = read_prices(make(table))
    assert prices.close.dtype == np.float64
    assert prices.close.flags.c_contiguous
    np.testing.assert_array_equal(prices.close, table.T)
    assert prices.source is prices.close
    np.testing.assert_array_equal(prices.counts, [len(table)] * width)
    assert prices.counts.dtype == np.int64
    assert prices.valid is None
    assert len(prices.labels) == width


@containers
@pytest.mark.parametrize("gap", [False, True])
def test_writes_back_what_came_in(make: Callable[..., Any], width: int, gap: bool) -> None:
    table = table_of(width).copy()
    if gap:
        table[2, -1] = NAN
    given_prices = make(table)
    prices = read_prices(given_prices)
    result = prices.wrap(prices.unpack(prices.close, NAN))
    assert_same(result, given_prices)
    if hasattr(given_prices, "index") and not isinstance(given_prices, list):
        assert result.index.equals(given_prices.index)
        assert result.index.names == given_prices.index.names


@containers
@pytest.mark.parametrize(("dtype", "kept"), [("bool", pl.Boolean), ("int8", pl.Int8), ("float64", pl.Float64)])
def test_writes_any_dtype(make: Callable[..., Any], width: int, dtype: str, kept: Any) -> None:
    table = table_of(width)
    result = read_prices(make(table)).wrap((table.T > 4).astype(dtype))
    if isinstance(result, list):
        assert result == (table[:, 0] > 4 if np.ndim(result) == 1 else table > 4).astype(dtype).tolist()
        leaf = result[0][0] if isinstance(result[0], list) else result[0]
        assert type(leaf) is {"bool": bool, "int8": int, "float64": float}[dtype]
        return
    dtypes = [result.dtype] if hasattr(result, "dtype") else list(result.dtypes)
    assert all(found == (kept if isinstance(result, pl.Series | pl.DataFrame) else dtype) for found in dtypes)
    np.testing.assert_array_equal(np.asarray(result).reshape(table.shape), (table > 4).astype(dtype))


@containers
def test_the_input_stays_as_it_was_and_lets_go(make: Callable[..., Any], width: int) -> None:
    table = table_of(width).copy()
    table[1, 0] = NAN
    given_prices = make(table)
    before = pickle.dumps(given_prices)
    prices = read_prices(given_prices)
    assert pickle.dumps(given_prices) == before
    for ours in (prices.close, prices.source):
        if not isinstance(given_prices, list):
            assert not np.shares_memory(ours, np.asarray(given_prices))


def test_later_changes_of_the_input_do_not_reach_prices() -> None:
    flat, table, listed, one = ONE[:, 0].copy(), TWO.copy(), TWO.tolist(), series(ONE[:, 0].copy())
    read = [read_prices(x, x) for x in (flat, table, listed, one)]
    sourced = read_prices(flat, flat * 2)
    flat[:], table[:], listed[0][0], one.iloc[:] = 7.0, 7.0, 7.0, 7.0
    for prices in (*read, sourced):
        assert 7.0 not in prices.close[0]


@pytest.mark.parametrize("make", [series, frame, lambda t: t], ids=["Series", "DataFrame", "array"])
def test_wrapping_copies_nothing(make: Callable[..., Any]) -> None:
    prices = read_prices(make(ONE[:, 0]) if make is series else make(TWO))
    values = np.ones_like(prices.close)
    assert np.shares_memory(np.asarray(prices.wrap(values)), values)
    assert prices.unpack(values, NAN) is values


def test_labels_name_columns_or_count_them() -> None:
    assert read_prices(series(ONE[:, 0])).labels == ("AAPL",)
    assert read_prices(pd.Series(ONE[:, 0])).labels == (0,)
    assert read_prices(frame(TWO)).labels == ("AAPL", "MSFT")
    assert read_prices(pd.DataFrame(TWO, columns=PAIR)).labels == (("close", "A"), ("close", "B"))
    assert read_prices(TWO).labels == read_prices(TWO.tolist()).labels == (0, 1)
    assert read_prices(pl.DataFrame({"a": [1.0], "b": [2.0]})).labels == ("a", "b")
    assert read_prices(pl.Series([1.0])).labels == (0,)


@containers
def test_prices_survive_pickling(make: Callable[..., Any], width: int) -> None:
    given_prices = make(table_of(width))
    copy: Prices = pickle.loads(pickle.dumps(read_prices(given_prices)))
    assert copy.source is copy.close
    assert_same(copy.wrap(copy.close), given_prices)


# ---------------------------------------------------------------------------------------------- conversion

GAP = [1.0, NAN, 3.0]
CONVERTED: dict[str, tuple[Any, list[float]]] = {
    "int": (np.array([1, 2, 3]), [1, 2, 3]),
    "uint8": (np.array([1, 2, 3], dtype="u1"), [1, 2, 3]),
    "float32": (np.array([1.5, NAN, 0.1], dtype="f4"), [1.5, NAN, float(np.float32(0.1))]),
    "float16": (np.array([1.5, 2.0], dtype="f2"), [1.5, 2.0]),
    "long double": (np.array([1.5, 2.0], dtype=np.longdouble), [1.5, 2.0]),
    "masked": (np.ma.masked_array([1.0, INF, 3.0], mask=[False, True, False]), GAP),
    "masked int": (np.ma.masked_array([1, 0, 3], mask=[False, True, False]), GAP),
    "masked object": (np.ma.masked_array(np.array([1, "x", 3], dtype=object), mask=[False, True, False]), GAP),
    "masked nothing": (np.ma.masked_array([1.0, 2.0]), [1.0, 2.0]),
    "object": (np.array([Decimal(1), None, 3], dtype=object), GAP),
    "list of ints": ([1, 2, 3], [1, 2, 3]),
    "list with None": ([1, None, 3.0], GAP),
    "list of Decimal": ([Decimal(1), pd.NA, np.float32(3)], GAP),
    "list of huge ints": ([2**70, -1], [float(2**70), -1.0]),
    "list of numpy": ([np.int64(1), np.float16(2)], [1.0, 2.0]),
    "Int64": (pd.Series([1, None, 3], dtype="Int64"), GAP),
    "Float64": (pd.Series([1.0, None, 3.0], dtype="Float64"), GAP),
    "Series object": (pd.Series([Decimal(1), pd.NA, 3.0], dtype=object), GAP),
    "Series float32": (pd.Series([1.5, NAN], dtype="float32"), [1.5, NAN]),
    "Series sparse": (pd.Series(pd.arrays.SparseArray(GAP)), GAP),
    "pyarrow double": (pd.Series([1.0, None, 3.0], dtype="double[pyarrow]"), GAP),
    "pyarrow int": (pd.Series([1, None, 3], dtype="int16[pyarrow]"), GAP),
    "pyarrow decimal": (pd.Series([Decimal(1), None, Decimal(3)], dtype=pd.ArrowDtype(pa.decimal128(9, 2))), GAP),
    "polars null": (pl.Series([1.0, None, 3.0]), GAP),
    "polars int null": (pl.Series([1, None, 3]), GAP),
    "polars float32": (pl.Series([1.5, None], dtype=pl.Float32), [1.5, NAN]),
    "polars decimal": (pl.Series([Decimal(1), None, Decimal(3)], dtype=pl.Decimal(9, 2)), GAP),
    "polars nothing": (pl.Series([None, None]), [NAN, NAN]),
    "polars chunked": (pl.concat([pl.Series([1.0]), pl.Series([2.0])], rechunk=False), [1.0, 2.0]),
}


@pytest.mark.parametrize(("given_prices", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_numbers_become_float64_once(given_prices: Any, expected: list[float]) -> None:
    prices = read_prices(given_prices)
    np.testing.assert_array_equal(prices.unpack(prices.close, NAN)[0], expected)


@pytest.mark.parametrize(
    "given_prices",
    [
        pd.DataFrame({"a": [1, 2], "b": pd.Series([3.5, None], dtype="Float64"), "c": [Decimal(5), None]}),
        pl.DataFrame({"a": [1, 2], "b": [3.5, None], "c": [Decimal(5), None]}),
        [[1, 3.5, Decimal(5)], (2, None, None)],
        np.array([[1, 3.5, 5], [2, None, None]], dtype=object),
        np.ma.masked_array([[1, 3.5, 5], [2, 9, 9]], mask=[[False] * 3, [False, True, True]]),
    ],
    ids=["pandas", "polars", "list", "object", "masked"],
)
def test_columns_may_differ_in_dtype(given_prices: Any) -> None:
    prices = read_prices(given_prices)
    np.testing.assert_array_equal(prices.unpack(prices.close, NAN), [[1, 2], [3.5, NAN], [5, NAN]])
    np.testing.assert_array_equal(prices.counts, [2, 1, 1])


def test_frame_of_mixed_numpy_numbers() -> None:
    mixed = pd.DataFrame({"i": [1, 2], "f": np.array([0.1, 2], dtype="f4"), "u": np.array([2**63, 1], dtype="u8")})
    np.testing.assert_array_equal(read_prices(mixed).close, [[1, 2], [float(np.float32(0.1)), 2], [2.0**63, 1]])


# ---------------------------------------------------------------------------------------------- bars


def tables(value: st.SearchStrategy[float]) -> st.SearchStrategy[NDArray[np.float64]]:
    shapes = st.tuples(st.integers(1, 20), st.integers(1, 4))
    return hnp.arrays(np.float64, shapes, elements=st.just(NAN) | value)


ANY = st.floats(allow_nan=False, allow_infinity=False)
NONZERO = ANY.filter(lambda x: x != 0)


@given(table=tables(NONZERO))
def test_a_nan_is_not_a_bar_of_its_column(table: NDArray[np.float64]) -> None:
    prices = read_prices(table)
    for c, column in enumerate(table.T):
        kept = column[~np.isnan(column)]
        assert prices.counts[c] == kept.size
        np.testing.assert_array_equal(prices.close[c, : kept.size], kept)
    assert np.isfinite(prices.close).all()
    assert (prices.valid is None) == (not np.isnan(table).any())
    np.testing.assert_array_equal(prices.unpack(prices.close, NAN).T, table)


@given(data=st.data(), close=tables(NONZERO))
def test_a_bar_needs_close_and_source(data: st.DataObject, close: NDArray[np.float64]) -> None:
    source = data.draw(hnp.arrays(np.float64, close.shape, elements=st.just(NAN) | ANY))
    prices = read_prices(close, source)
    is_bar = ~np.isnan(close) & ~np.isnan(source)
    for c in range(close.shape[1]):
        count = is_bar[:, c].sum()
        assert prices.counts[c] == count
        np.testing.assert_array_equal(prices.close[c, :count], close[is_bar[:, c], c])
        np.testing.assert_array_equal(prices.source[c, :count], source[is_bar[:, c], c])
    assert np.isfinite(prices.close).all()
    assert np.isfinite(prices.source).all()
    np.testing.assert_array_equal(prices.unpack(prices.source, NAN).T, np.where(is_bar, source, NAN))
    np.testing.assert_array_equal(prices.unpack(np.ones(is_bar.T.shape, dtype=bool), False).T, is_bar)


@given(table=tables(NONZERO))
def test_packing_is_dropping_and_reindexing(table: NDArray[np.float64]) -> None:
    """atc(x) is atc(x.dropna()).reindex(x.index), whatever is computed on the bars; here: their numbers."""
    close = pd.Series(table[:, 0], index=pd.date_range("2020", periods=len(table)), name="A")
    prices = read_prices(close)
    numbers = np.arange(prices.close.size, dtype=np.float64).reshape(prices.close.shape)
    alone = close.dropna()
    expected = pd.Series(np.arange(len(alone), dtype=np.float64), index=alone.index, name="A").reindex(close.index)
    expected.index = close.index
    assert_series_equal(prices.wrap(prices.unpack(numbers, NAN)), expected, check_freq=False)


def test_fill_keeps_the_dtype() -> None:
    prices = read_prices([1.0, NAN, 3.0])
    flags = prices.unpack(np.array([[True, True, False]]), False)
    assert flags.dtype == bool
    assert flags.tolist() == [[True, False, True]]
    votes = prices.unpack(np.array([[1, -1, 9]], dtype=np.int8), 0)
    assert votes.dtype == np.int8
    assert votes.tolist() == [[1, 0, -1]]


@containers
def test_columns_without_any_bar_are_legal(make: Callable[..., Any], width: int) -> None:
    prices = read_prices(make(np.full((4, width), NAN)))
    assert prices.counts.tolist() == [0] * width
    assert np.isfinite(prices.close).all()
    assert np.isnan(prices.unpack(prices.close, NAN)).all()


def test_close_given_as_source_is_no_source() -> None:
    close = ONE[:, 0].copy()
    prices = read_prices(close, close)
    assert prices.source is prices.close


def test_one_bar_negative_prices_and_zero_source() -> None:
    assert read_prices([5.0]).close.tolist() == [[5.0]]
    assert read_prices([-5.0, 1e-320, -1.7e308]).counts.tolist() == [3]
    assert read_prices([1.0, 2.0], [0.0, -0.0]).source.tolist() == [[0.0, 0.0]]


def test_containers_of_the_same_shape_mix() -> None:
    for source in (ONE[:, 0] * 2, (ONE[:, 0] * 2).tolist(), pl.Series("other", ONE[:, 0] * 2)):
        prices = read_prices(series(ONE[:, 0]), source)
        np.testing.assert_array_equal(prices.source, prices.close * 2)
        assert isinstance(prices.wrap(prices.close), pd.Series)
        assert type(read_prices(source, series(ONE[:, 0])).wrap(prices.close)) is type(source)
    assert read_prices(frame(TWO), TWO + 1).source[1, 0] == TWO[0, 1] + 1
    renamed = series(ONE[:, 0] * 2).rename("hlc3")
    assert read_prices(series(ONE[:, 0]), renamed).labels == ("AAPL",)
    assert read_prices(series(ONE[:, 0]), renamed.set_axis(DAYS.as_unit("s"))).valid is None


# ---------------------------------------------------------------------------------------------- errors


def put(table: NDArray[np.float64], bar: int, column: int, value: float) -> NDArray[np.float64]:
    table = table.copy()
    table[bar, column] = value
    return table


LATE = DAYS[[0, 1, 3, 2]]
BAD_CLOSE: dict[str, tuple[Any, type[Exception], str]] = {
    "infinite Series": (
        series([1.0, 2.0, -INF]),
        ValueError,
        r"^close: column 'AAPL' is infinite at bar 2 \(2020-01-07\)",
    ),
    "infinite unnamed": (
        pd.Series([1.0, INF]),
        ValueError,
        r"^close: column 0 is infinite at bar 1; prices must be finite",
    ),
    "infinite frame": (
        frame(put(TWO, 3, 1, INF)),
        ValueError,
        r"^close: column 'MSFT' is infinite at bar 3 \(2020-01-08\)",
    ),
    "infinite first of two": (
        put(put(put(TWO, 1, 1, INF), 5, 0, INF), 4, 0, -INF),
        ValueError,
        "^close: column 0 is infinite at bar 4;",
    ),
    "infinite beside NaN": ([NAN, INF], ValueError, "^close: column 0 is infinite at bar 1;"),
    "infinite intraday": (
        pd.Series([1.0, INF], index=pd.date_range("2020-01-03 09:30", periods=2, freq="min")),
        ValueError,
        r"at bar 1 \(2020-01-03 09:31:00\)",
    ),
    "infinite by overflow": (np.array([1, np.longdouble("1e4000")]), ValueError, "column 0 is infinite at bar 1"),
    "infinite by overflow in a frame": (
        pd.DataFrame({"a": [1, 2], "b": np.array([1, np.longdouble("1e4000")])}),
        ValueError,
        "column 'b' is infinite at bar 1",
    ),
    "infinite Decimal": ([1, Decimal("-Infinity")], ValueError, "column 0 is infinite at bar 1"),
    "infinite polars": (pl.Series("x", [1.0, INF]), ValueError, "^close: column 'x' is infinite at bar 1;"),
    "zero": (series([1.0, 0.0]), ValueError, r"^close: column 'AAPL' is zero at bar 1 \(2020-01-06\); .*negative"),
    "zero negative": ([NAN, -0.0], ValueError, "^close: column 0 is zero at bar 1;"),
    "zero int frame": (pl.DataFrame({"a": [1, 2], "b": [3, 0]}), ValueError, "^close: column 'b' is zero at bar 1;"),
    "0-D": (np.array(5.0), ValueError, r"^close: this array has 0 dimensions; allowed: 1 \(bars\) or 2"),
    "3-D": (np.ones((2, 2, 2)), ValueError, "^close: this array has 3 dimensions"),
    "3-D list": ([[[1.0]], [[2.0]]], ValueError, "^close: this list has 3 dimensions"),
    "no bars array": (np.empty(0), ValueError, "^close: there are no bars"),
    "no bars table": (np.empty((0, 3)), ValueError, r"^close: there are no bars \(shape \(0, 3\)\)"),
    "no columns": (np.empty((3, 0)), ValueError, "^close: there are no columns"),
    "no bars list": ([], ValueError, "^close: there are no bars"),
    "no columns list": ([[], []], ValueError, "^close: there are no columns"),
    "no bars Series": (pd.Series([], dtype=object), ValueError, "^close: there are no bars"),
    "no bars frame": (pd.DataFrame(), ValueError, "^close: there are no bars"),
    "no columns frame": (pd.DataFrame(index=DAYS), ValueError, "^close: there are no columns"),
    "no bars polars": (pl.Series([]), ValueError, "^close: there are no bars"),
    "no columns polars": (pl.DataFrame(), ValueError, "^close: there are no bars"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "^close: bar 1 has 1 columns and bar 0 has 2"),
    "half nested": ([1.0, [2.0]], ValueError, "^close: bar 0 is not a list but bar 1 is"),
    "list of Series": ([pd.Series([1.0]), pd.Series([2.0])], TypeError, "^close: a list holds numbers.*not Series"),
    "list of arrays": ([np.ones(3), np.ones(3)], TypeError, "^close: a list holds numbers.*not ndarray"),
    "unsorted": (pd.Series(np.ones(4), index=LATE), ValueError, r"^close: bar 3 \(2020-01-07\) goes back in the index"),
    "duplicate": (
        pd.Series(np.ones(4), index=DAYS[[0, 1, 1, 2]]),
        ValueError,
        r"^close: bar 2 \(2020-01-06\) repeats the index",
    ),
    "NaT": (
        pd.Series(np.ones(3), index=pd.DatetimeIndex(["2020", None, "2021"])),
        ValueError,
        r"^close: the index has no label at bar 1 \(NaT\)",
    ),
    "NaN label": (pd.Series([1.0], index=[NAN]), ValueError, r"^close: the index has no label at bar 0 \(nan\)"),
    "None label": (pd.Series([1.0], index=pd.Index([None], dtype=object)), ValueError, "no label at bar 0"),
    "mixed labels": (pd.Series([1.0, 2.0], index=[1, "a"]), ValueError, r"bar 1 \(a\) cannot be ordered"),
    "unsorted levels": (
        pd.DataFrame(np.ones((2, 1)), index=pd.MultiIndex.from_product([[1], LATE[[3, 0]]])),
        ValueError,
        r"bar 1 \(1, 2020-01-03\) goes back in the index",
    ),
    "own order": (
        pd.Series(np.ones(2), index=pd.CategoricalIndex(["a", "b"], categories=["b", "a"], ordered=True)),
        ValueError,
        "the index does not increase in its own order",
    ),
    "bool": (np.array([True]), TypeError, "^close: column 0 has dtype bool; prices must be integers or floats$"),
    "complex": (np.array([1j]), TypeError, "^close: column 0 has dtype complex128"),
    "datetime": (series(DAYS), TypeError, r"^close: column 'AAPL' has dtype datetime64"),
    "text": (np.array(["1"]), TypeError, "^close: column 0 has dtype <U1"),
    "structured": (np.ones(2, dtype=[("a", "f8")]), TypeError, "^close: column 0 has dtype"),
    "masked bool": (np.ma.masked_array([True]), TypeError, "^close: column 0 has dtype bool"),
    "str Series": (series(["1", "2"]), TypeError, "^close: column 'AAPL' has dtype str"),
    "category": (series([1.0, 2.0], dtype="category"), TypeError, "^close: column 'AAPL' has dtype category"),
    "boolean": (series([True, None], dtype="boolean"), TypeError, "^close: column 'AAPL' has dtype boolean"),
    "pyarrow bool": (series([True], dtype="bool[pyarrow]"), TypeError, "column 'AAPL' has dtype bool"),
    "bool column": (
        frame(TWO).assign(up=True),
        TypeError,
        "^close: column 'up' has dtype bool; .*select the price columns first",
    ),
    "polars bool": (pl.Series("up", [True]), TypeError, "^close: column 'up' has dtype Boolean"),
    "polars text": (pl.Series("x", ["1"]), TypeError, "^close: column 'x' has dtype String"),
    "polars date": (
        pl.DataFrame({"close": ONE[:, 0], "date": DAYS.to_numpy()}),
        TypeError,
        "^close: column 'date' has dtype Datetime.*select the price columns first",
    ),
    "object text": (
        series([1.0, "2.5"], dtype=object),
        TypeError,
        r"^close: column 'AAPL' has '2\.5' \(str\) at bar 1 \(2020-01-06\); objects must be numbers",
    ),
    "object in a frame": (
        pd.DataFrame({"a": [1.0, 2.0], "b": [Decimal(1), "x"]}),
        TypeError,
        r"^close: column 'b' has 'x' \(str\) at bar 1",
    ),
    "object table": (np.array([[1, 2], [3, object]], dtype=object), TypeError, "^close: column 1 has .* at bar 1"),
    "object bool": ([1.0, True], TypeError, r"^close: column 0 has True \(bool\) at bar 1"),
    "object numpy bool": ([1.0, np.True_], TypeError, r"\(bool\) at bar 1"),
    "object complex": ([1.0, np.complex64(1j)], TypeError, r"\(complex64\) at bar 1"),
    "object too large": ([1.0, 10**400], ValueError, r"^close: column 0 has 10+ \(int\) at bar 1"),
    "object signalling": ([Decimal("sNaN")], ValueError, r"\(Decimal\) at bar 0"),
}


@pytest.mark.parametrize(("close", "error", "message"), BAD_CLOSE.values(), ids=BAD_CLOSE)
def test_bad_prices_are_named(close: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_prices(close)


OTHERS: list[Any] = ["1, 2", b"12", {"close": [1.0]}, None, {1.0, 2.0}, (x for x in [1.0]), (1.0, 2.0), 5.0]
OTHERS += [np.float64(5), iter([1.0]), pd.Index([1.0]), pl.LazyFrame({"a": [1.0]}), np.ones(2).data]


@pytest.mark.parametrize("other", OTHERS, ids=lambda x: type(x).__name__)
def test_other_types_are_refused_with_what_is_accepted(other: Any) -> None:
    accepted = "allowed: a pandas Series or DataFrame, a polars Series or DataFrame, .*numpy array.*list of lists"
    with pytest.raises(TypeError, match=rf"^close: .*{type(other).__name__}; {accepted}"):
        read_prices(other)
    if other is not None:
        with pytest.raises(TypeError, match=r"^source: prices cannot be read from"):
            read_prices([1.0], other)


CLOSE, CLOSES = series(ONE[:, 0]), frame(TWO)
BAD_SOURCE: dict[str, tuple[Any, Any, str]] = {
    "infinite": (
        CLOSE,
        series(put(ONE, 4, 0, INF)[:, 0]),
        r"^source: column 'AAPL' is infinite at bar 4 \(2020-01-09\)",
    ),
    "infinite where close is NaN": ([1.0, NAN], [1.0, INF], "^source: column 0 is infinite at bar 1;"),
    "infinite close where source is NaN": ([1.0, INF], [1.0, NAN], "^close: column 0 is infinite at bar 1;"),
    "zero close where source is NaN": ([1.0, 0.0], [1.0, NAN], "^close: column 0 is zero at bar 1;"),
    "shorter": (CLOSE, ONE[:5, 0], r"^source: it needs the shape of close, \(6,\), but has \(5,\)"),
    "narrower": (CLOSES, ONE, r"^source: it needs the shape of close, \(6, 2\), but has \(6, 1\)"),
    "1-D for a frame": (CLOSES, CLOSE, r"^source: it needs the shape of close, \(6, 2\), but has \(6,\)"),
    "1-D for a frame of one": (frame(ONE, ["A"]), CLOSE, r"needs the shape of close, \(6, 1\), but has \(6,\)"),
    "other index": (
        CLOSE,
        CLOSE.set_axis(DAYS[:5].append(DAYS[-1:] + pd.Timedelta("1D"))),
        r"^source: bar 5 is Timestamp\('2020-01-11.* where close has Timestamp\('2020-01-10.*the same index",
    ),
    "other zone": (
        CLOSE.tz_localize("UTC"),
        CLOSE.tz_localize("UTC").tz_convert("Asia/Tokyo"),
        "^source: its index has dtype .*Tokyo.* where close has .*UTC",
    ),
    "other columns": (CLOSES, frame(TWO, ["AAPL", "IBM"]), "^source: column 1 is 'IBM' where close has 'MSFT'"),
    "other order": (CLOSES, CLOSES[["MSFT", "AAPL"]], "^source: column 0 is 'MSFT' where close has 'AAPL'"),
    "unsorted source": (ONE[:4, 0], pd.Series(np.ones(4), index=LATE), r"^source: bar 3 \(2020-01-07\) goes back"),
    "other polars columns": (
        pl.DataFrame({"a": [1.0], "b": [2.0]}),
        pl.DataFrame({"b": [1.0], "a": [2.0]}),
        r"^source: its columns are \('b', 'a'\) where close has \('a', 'b'\)",
    ),
}


@pytest.mark.parametrize(("close", "source", "message"), BAD_SOURCE.values(), ids=BAD_SOURCE)
def test_bad_sources_are_named(close: Any, source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_prices(close, source)


# ---------------------------------------------------------------------------------------------- fingerprint


def test_fingerprint_is_of_values_alone() -> None:
    digest = fingerprint(np.array([1.5, 2.0, -3.25, 4.0, 5.0, 6.0]))
    assert digest == xxhash.xxh3_128_hexdigest(struct.pack("<6d", 1.5, 2, -3.25, 4, 5, 6))
    assert fingerprint(np.empty(0)) == "99aa06d3014798d86001c324468d497f"  # as the algorithm's author publishes it
    for make, width in CONTAINERS.values():
        assert fingerprint(read_prices(make(table_of(width))).close[0]) == digest
    for dtype in ("f4", "f2", "Float64", "double[pyarrow]"):
        assert fingerprint(read_prices(pd.Series(ONE[:, 0], dtype=dtype)).close[0]) == digest


@given(table=tables(ANY), place=st.integers(0, 10**6), bit=st.integers(0, 63))
def test_fingerprint_sees_every_bit(table: NDArray[np.float64], place: int, bit: int) -> None:
    before = fingerprint(table)
    assert fingerprint(table.copy()) == before
    table.reshape(-1).view(np.uint64)[place % table.size] ^= np.uint64(1 << bit)
    assert fingerprint(table) != before


# ---------------------------------------------------------------------------------------------- imports


@pytest.mark.parametrize(
    ("user", "absent"),
    [
        ("import numpy as np; read_prices(np.ones(3)); read_prices([1.0, 2.0])", ("pandas", "polars", "xxhash")),
        ("import pandas as pd; x = pd.Series([1.0]); read_prices(x).wrap(np.ones((1, 1)))", ("polars",)),
        ("import polars as pl; x = pl.Series([1.0]); read_prices(x).wrap(np.ones((1, 1)))", ("pandas",)),
    ],
    ids=["numpy", "pandas", "polars"],
)
def test_a_framework_is_loaded_by_its_user_alone(user: str, absent: tuple[str, ...]) -> None:
    code = (
        "import sys; import numpy as np; from atc_plugin.prices import read_prices; "
        f"{user}; print([m for m in {absent!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
