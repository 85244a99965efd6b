"""load_prices: the bundled file, every kind of file, every error, and a yfinance made up here."""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.util
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from atc_plugin.loading import load_prices

DATA = Path(__file__).parents[1] / "examples" / "data"
DAYS = pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-04"])
OHLCV = """Date,Open,High,Low,Close,Adj Close,Volume
2024-01-02,1,2,0.5,10,5,100
2024-01-03,1,2,0.5,11,5.5,100
2024-01-04,1,2,0.5,12,6,100
"""
WIDE = "Date,AAPL,MSFT\n2024-01-02,1.5,10\n2024-01-03,,11\n2024-01-04,3.5,12\n"

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return _write


def same(frame: pd.DataFrame, columns: dict[str, list[float]], index: pd.DatetimeIndex = DAYS) -> None:
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert frame.index.name == "Date"
    assert frame.columns.name is None
    assert list(frame.index) == list(index)
    assert frame.index.tz == index.tz
    assert list(frame.columns) == list(columns)
    assert all(dtype == np.float64 for dtype in frame.dtypes)
    for name, values in columns.items():
        np.testing.assert_array_equal(frame[name].to_numpy(), np.array(values, dtype=float))


# The bundled file


def test_bundled_prices() -> None:
    file = DATA / "us_stocks.csv.gz"
    frame = load_prices(file)
    assert file.stat().st_size < 300_000
    assert frame.shape == (3270, 20)
    assert frame.index[-1] - frame.index[0] > pd.Timedelta(days=12 * 365)
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique
    assert np.isfinite(frame.to_numpy()).all()
    assert (frame.to_numpy() > 0).all()
    assert str(frame.index[-1].date()) == "2022-12-28"
    assert frame["AAPL"].iloc[-1] == 125.674


def test_bundled_file_is_remade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_us_stocks", DATA / "make_us_stocks.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = gzip.decompress((DATA / "us_stocks.csv.gz").read_bytes()).decode()
    header, rows = text.split("\n", 1)
    longer = tmp_path / "sp500_dataset.csv.gz"
    longer.write_bytes(gzip.compress(f"{header}\n2009-12-31{',1' * 20}\n{rows}".replace("\n", "\r\n").encode()))
    for name in ("once.csv.gz", "twice.csv.gz"):
        monkeypatch.setattr(sys, "argv", ["make_us_stocks.py", str(longer), "--out", str(tmp_path / name)])
        script.main()
    made = (tmp_path / "once.csv.gz").read_bytes()
    assert made == (tmp_path / "twice.csv.gz").read_bytes()
    assert gzip.decompress(made).decode() == text


# Kinds of files


def test_wide(write: Write) -> None:
    same(load_prices(write("a.csv", WIDE)), {"AAPL": [1.5, np.nan, 3.5], "MSFT": [10, 11, 12]})


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.zip", "zip", "csv.bz2", "csv.xz", "CSV", "txt.gz"])
def test_compression(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"BRK.B.{kind}"
    pd.DataFrame({"Date": DAYS, "Open": 1, "Close": [1, 2, 3]}).to_csv(file, index=False)
    same(load_prices(str(file)), {"BRK.B": [1, 2, 3]})


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.tsv"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_delimiters(write: Write, name: str, sep: str) -> None:
    same(load_prices(write(name, "\ufeff" + OHLCV.replace(",", sep))), {"a": [5, 5.5, 6]})


def test_quoted_cells_blank_lines_and_spaces(write: Write) -> None:
    text = '\n"Date" , "AAPL"\n\n"2024-01-02" ,"1.5"\n2024-01-03, 2 \n\n2024-01-04,3\n'
    same(load_prices(write("a.csv", text)), {"AAPL": [1.5, 2, 3]})


@pytest.mark.parametrize("header", ["Close*", "close", "CLOSE", " Close", "Last", "Price", "Close/Last", "<CLOSE>"])
def test_close_names(write: Write, header: str) -> None:
    same(load_prices(write("a.csv", f"Date,Open,{header}\n2024-01-02,1,2\n")), {"a": [2]}, DAYS[:1])
    same(load_prices(write("b.csv", f"Date,{header}\n2024-01-02,2\n")), {"b": [2]}, DAYS[:1])


@pytest.mark.parametrize("header", ["Adj Close", "adj_close", "adjusted close", "AdjClose", "Adj. Close**"])
def test_adjusted_close_goes_first(write: Write, header: str) -> None:
    same(load_prices(write("a.csv", f"Date,Close,Volume,{header}\n2024-01-02,1,9,2\n")), {"a": [2]}, DAYS[:1])


def test_tickers_called_like_fields_are_symbols_in_a_wide_file(write: Write) -> None:
    text = "Date,AAPL,LOW,OPEN\n2024-01-02,1,2,3\n"
    same(load_prices(write("a.csv", text)), {"AAPL": [1], "LOW": [2], "OPEN": [3]}, DAYS[:1])


def test_long(write: Write) -> None:
    text = (
        "Ticker,date,open,close\nTRUE,2024-01-03,0,2\nNA,2024-01-02,0,10\nTRUE,2024-01-02,0,1\n005930,2024-01-03,0,9\n"
    )
    expected: dict[str, list[float]] = {"TRUE": [1, 2], "NA": [10, np.nan], "005930": [np.nan, 9]}
    same(load_prices(write("a.csv", text)), expected, DAYS[:2])
    same(load_prices(write("a.csv", text), price="open", symbols="NA"), {"NA": [0, np.nan]}, DAYS[:2])


def test_text_columns_are_no_symbols(write: Write) -> None:
    text = "Date,Note,AAPL,Empty\n2024-01-02,dull,1,\n2024-01-03,,2,\n"
    same(load_prices(write("a.csv", text)), {"AAPL": [1, 2]}, DAYS[:2])


def test_row_numbers_are_no_symbol(tmp_path: Path) -> None:
    pd.DataFrame({"Date": DAYS, "AAPL": [1, 2, 3]}).to_csv(tmp_path / "a.csv")
    same(load_prices(tmp_path / "a.csv"), {"AAPL": [1, 2, 3]})


def test_home_directory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(write("a.csv", WIDE).parent))
    monkeypatch.setenv("USERPROFILE", str(write("a.csv", WIDE).parent))
    assert load_prices("~/a.csv").shape == (3, 2)


def test_missing_words_are_nan(write: Write) -> None:
    text = "Date,A\n2024-01-02,null\n2024-01-03,N/A\n2024-01-04,1\n"
    same(load_prices(write("a.csv", text)), {"A": [np.nan, np.nan, 1]})


def test_short_rows_are_nan(write: Write) -> None:
    same(
        load_prices(write("a.csv", "Date,A,B\n2024-01-02,1\n2024-01-03,2,3\n")),
        {"A": [1, 2], "B": [np.nan, 3]},
        DAYS[:2],
    )


@given(prices=st.lists(st.floats(allow_infinity=False), min_size=1, max_size=20), reverse=st.booleans())
def test_every_price_comes_back(tmp_path_factory: pytest.TempPathFactory, prices: list[float], reverse: bool) -> None:
    assume(not np.isnan(prices).all())
    days = pd.date_range("2024-01-02", periods=len(prices))
    frame = pd.DataFrame({"A": prices}, days.rename("Date"))
    file = tmp_path_factory.mktemp("prices") / "a.csv"
    frame[:: -1 if reverse else 1].to_csv(file)
    same(load_prices(file), {"A": prices}, days)


def test_digits_are_read_exactly(write: Write) -> None:
    texts = ["0.1", "123.45600000000002", "9007199254740993", "1e-310", "4.35", "0.30000000000000004"]
    days = pd.date_range("2024-01-02", periods=len(texts))
    text = "Date,A\n" + "".join(f"{day:%Y-%m-%d},{text}\n" for day, text in zip(days, texts, strict=True))
    same(load_prices(write("a.csv", text)), {"A": [float(text) for text in texts]}, days)


@pytest.mark.parametrize("name", ["Date", "Datetime"])
def test_what_yfinance_writes(write: Write, name: str) -> None:
    text = f"Price,Close,Close,Open\nTicker,LOW,MSFT,LOW\n{name},,,\n2024-01-02,1,10,9\n2024-01-03,2,11,8\n"
    same(load_prices(write("a.csv", text)), {"LOW": [1, 2], "MSFT": [10, 11]}, DAYS[:2])
    same(load_prices(write("a.csv", text), price="Open"), {"LOW": [9, 8]}, DAYS[:2])


@pytest.mark.parametrize("suffix", ["parquet", "pq", "PARQUET"])
def test_parquet(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    frame = pd.DataFrame({"AAPL": [1.5, np.nan, 3.5], "MSFT": [10, 11, 12], "Note": list("abc")}, index=DAYS)
    expected = {"AAPL": [1.5, np.nan, 3.5], "MSFT": [10.0, 11.0, 12.0]}
    for index in (DAYS, DAYS.rename("when"), DAYS.rename("Date")):
        frame.set_index(index).to_parquet(file)
        same(load_prices(file), expected)
    frame.reset_index(names="Date").to_parquet(file)
    same(load_prices(file), expected)
    frame.set_index(DAYS.rename("Date")).assign(Date=DAYS).to_parquet(file)
    same(load_prices(file), expected)
    frame["expiry"] = DAYS
    frame.to_parquet(file)  # the index goes before another column of dates
    same(load_prices(file), expected)


def test_parquet_of_polars(tmp_path: Path) -> None:
    days = [day.date() for day in DAYS]
    prices = {"Close": [Decimal("1.5"), None, Decimal("3.5")], "Volume": [1, 2, 3]}
    pl.DataFrame({"Date": days, **prices}).write_parquet(tmp_path / "a.parquet")
    same(load_prices(tmp_path / "a.parquet"), {"a": [1.5, np.nan, 3.5]})


def test_parquet_of_single_precision(tmp_path: Path) -> None:
    pd.DataFrame({"A": np.array([0.1, 1e30, np.nan], dtype=np.float32)}, DAYS).to_parquet(tmp_path / "a.parquet")
    same(load_prices(tmp_path / "a.parquet"), {"A": [float(np.float32(0.1)), float(np.float32(1e30)), np.nan]})


def test_parquet_with_two_levels(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    columns = pd.MultiIndex.from_product([["Close", "Open"], ["LOW", "MSFT"]])
    pd.DataFrame(np.arange(12.0).reshape(3, 4), DAYS, columns).to_parquet(file)
    same(load_prices(file), {"LOW": [0, 4, 8], "MSFT": [1, 5, 9]})
    index = pd.MultiIndex.from_product([DAYS, ["B", "A"]], names=["Date", "symbol"])
    pd.DataFrame({"close": np.arange(6.0)}, index).to_parquet(file)
    same(load_prices(file), {"B": [0, 2, 4], "A": [1, 3, 5]})


def test_list_is_joined_on_all_dates(write: Write) -> None:
    first = write("A.csv", "Date,Close\n2024-01-03,2\n2024-01-02,1\n")
    second = write("B.csv", OHLCV)
    expected = {"B": [5, 5.5, 6], "A": [1, 2, np.nan]}
    same(load_prices([str(second), first]), expected)
    same(load_prices((second, first), symbols=["A", "B"]), {"A": expected["A"], "B": expected["B"]})


# Dates


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-01-02", "2024-01-03", "2024-01-04"],
        ["2024/01/02", "2024/01/03", "2024/01/04"],
        ["20240102", "20240103", "20240104"],
        ["2024.01.02 00:00", "2024.01.03 00:00", "2024.01.04 00:00"],
        ["2024-01-02", "2024-01-03 00:00:00", "2024-01-04T00:00"],
        ["02-Jan-2024", "03-Jan-2024", "04-Jan-2024"],
        ['"Jan 02, 2024"', '"Jan 03, 2024"', '"Jan 04, 2024"'],
        ["1704153600", "1704240000", "1704326400"],
        ["1704153600000", "1704240000000", "1704326400000"],
        ["1704153600000000", "1704240000000000", "1704326400000000"],
        ["1704153600000000000", "1704240000000000000", "1704326400000000000"],
        ["1704153600.0", "1704240000.0", "1704326400.0"],
    ],
)
@pytest.mark.parametrize("name", ["Date", "TIMESTAMP", "time", "Datetime", ""])
def test_date_layouts(write: Write, cells: list[str], name: str) -> None:
    rows = "".join(f"{cell},{price}\n" for cell, price in zip(reversed(cells), (3, 2, 1), strict=True))
    same(load_prices(write("a.csv", f"{name},A\n{rows}")), {"A": [1, 2, 3]})


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["12/29/2023", "01/02/2024"], ["2023-12-29", "2024-01-02"]),
        (["01/02/2024", "12/29/2023"], ["2023-12-29", "2024-01-02"]),
        (["29.12.2023", "02.01.2024"], ["2023-12-29", "2024-01-02"]),
        (["02.01.2024", "29.12.2023"], ["2023-12-29", "2024-01-02"]),
        (["2/1/2024 09:30", "29/12/2023 16:00"], ["2023-12-29 16:00", "2024-01-02 09:30"]),
        (["5/5/2024", "6/6/2024"], ["2024-05-05", "2024-06-06"]),
    ],
)
def test_day_and_month_order_comes_from_the_whole_column(write: Write, cells: list[str], days: list[str]) -> None:
    frame = load_prices(write("a.csv", f"Date,A\n{cells[0]},1\n{cells[1]},2\n"))
    assert list(frame.index) == list(pd.DatetimeIndex(days))


def test_date_column_by_content_or_name(write: Write) -> None:
    text = "Note,When,AAPL\na,2024-01-02,1\nb,2024-01-03,2\n"
    same(load_prices(write("a.csv", text)), {"AAPL": [1, 2]}, DAYS[:2])
    text = ",When,shares\n0,2024-01-02,150000000\n1,2024-01-03,160000000\n"
    same(load_prices(write("a.csv", text)), {"shares": [150e6, 160e6]}, DAYS[:2])
    text = "Date,Settled,AAPL\n2024-01-02,2024-01-03,1\n2024-01-03,2024-01-04,2\n"
    same(load_prices(write("a.csv", text)), {"AAPL": [1, 2]}, DAYS[:2])
    same(load_prices(write("a.csv", text), date="Settled"), {"AAPL": [1, 2]}, DAYS[1:])
    text = "open_time,open,close\n1704153600000,1,2\n"
    same(load_prices(write("a.csv", text), date="open_time"), {"a": [2]}, DAYS[:1])


def test_time_zones(write: Write, tmp_path: Path) -> None:
    text = "Date,A\n2024-01-02 09:30:00-05:00,1\n2024-01-03 09:30:00-05:00,2\n"
    frame = load_prices(write("a.csv", text))
    assert str(frame.index[0]) == "2024-01-02 09:30:00-05:00"
    frame = load_prices(write("b.csv", "Date,A\n2024-03-01 09:30:00-05:00,1\n2024-04-01 09:30:00-04:00,2\n"))
    assert [str(stamp) for stamp in frame.index] == ["2024-03-01 14:30:00+00:00", "2024-04-01 13:30:00+00:00"]
    utc = DAYS[:1].tz_localize("UTC")
    same(load_prices(write("c.csv", "Date,A\n2024-01-02 00:00:00 UTC,1\n")), {"A": [1]}, utc)
    index = DAYS.tz_localize("America/New_York")
    pd.DataFrame({"A": [1, 2, 3]}, index).to_parquet(tmp_path / "d.parquet")
    same(load_prices(tmp_path / "d.parquet"), {"A": [1, 2, 3]}, index)
    same(load_prices(tmp_path / "d.parquet", start="2024-01-03"), {"A": [2, 3]}, index[1:])
    end = pd.Timestamp("2024-01-03 05:00", tz="UTC")
    same(load_prices(tmp_path / "d.parquet", end=end), {"A": [1, 2]}, index[:2])


# Choosing


@pytest.mark.parametrize(
    "start",
    ["2024-01-03", "3 Jan 2024", dt.date(2024, 1, 3), dt.datetime(2024, 1, 3), np.datetime64("2024-01-03"), DAYS[1]],
)
def test_start_and_end_are_kept(write: Write, start: Any) -> None:
    file = write("a.csv", OHLCV)
    same(load_prices(file, start=start), {"a": [5.5, 6]}, DAYS[1:])
    same(load_prices(file, end=start), {"a": [5, 5.5]}, DAYS[:2])
    same(load_prices(file, start=start, end=start), {"a": [5.5]}, DAYS[1:2])


def test_end_is_the_whole_day_or_month(write: Write) -> None:
    file = write("a.csv", "Date,A\n2024-01-02 10:00,1\n2024-01-02 16:00,2\n2024-01-31 16:00,3\n2024-02-01 10:00,4\n")
    assert load_prices(file, end="2024-01-02")["A"].tolist() == [1, 2]
    assert load_prices(file, end=dt.date(2024, 1, 2))["A"].tolist() == [1, 2]
    assert load_prices(file, end=pd.Timestamp("2024-01-02 10:00"))["A"].tolist() == [1]
    assert load_prices(file, start="2024-01", end="2024-01")["A"].tolist() == [1, 2, 3]


def test_price_names_the_column(write: Write) -> None:
    same(load_prices(write("a.csv", OHLCV), price="Close"), {"a": [10, 11, 12]})
    same(load_prices(write("b.csv", WIDE), price="MSFT"), {"b": [10, 11, 12]})


def test_symbols_pick_and_order(write: Write) -> None:
    file = write("a.csv", "Date,A,B,C\n2024-01-02,1,2,3x\n2024-01-03,4,5,6\n")
    same(load_prices(file, symbols=["B", "A"]), {"B": [2, 5], "A": [1, 4]}, DAYS[:2])
    same(load_prices(file, symbols="A"), {"A": [1, 4]}, DAYS[:2])


# Errors


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("a,b\n1,2\n", {}, r"a\.csv: no columns of dates, name one with date=; there are: a, b"),
        ("a,b,C\n2024-01-02,2024-01-02,1\n", {}, r"a\.csv: 2 columns of dates"),
        (",A\n2024-01-02,1\n2024-01-0x,1\n", {}, r"a\.csv: column 'Unnamed: 0', row 2: '2024-01-0x' is not a date"),
        (WIDE, {"date": "Dated"}, r"a\.csv: no column 'Dated'; there are: Date, AAPL, MSFT.*Did you mean 'Date'"),
        (WIDE.replace("2024-01-03", "tomorrow"), {}, r"a\.csv: column 'Date', row 2: 'tomorrow' is not a date"),
        (WIDE.replace("2024-01-03", ""), {}, r"a\.csv: column 'Date', row 2: '' is not a date"),
        (WIDE.replace("2024-01-02", "soon"), {}, r"row 1: 'soon' is not a date"),
        ("time,A\n1704153600,1\nx,2\n", {}, r"column 'time', row 2: 'x' is not a date"),
        ("time,A\n9,1\n10,2\n", {}, r"column 'time', row 1: '9' is not a date"),
        ("Date,A\n20240102,1\n20240230,2\n", {}, r"column 'Date', row 2: '20240230' is not a date"),
        ("Date,A\n01/31/2024,1\n31/01/2024,2\n", {}, r"row 2: '31/01/2024' is not a date"),
        ("Date,A\n05/05/2024,1\n01/02/2024,1\n", {}, r"a\.csv: column 'Date', row 2: '01/02/2024' may be month/day or"),
        (WIDE.replace("04", "02"), {}, r"duplicate dates: 1, first 2024-01-02.* \(rows 1, 3\)"),
        ("Date,symbol,close\n2024-01-02,A,1\n2024-01-02,B,1\n2024-01-02,B,1\n", {}, r"2024-01-02 .* B \(rows 2, 3\)"),
        ("Date,symbol,close\n2024-01-02,A,1\n2024-01-02, ,1\n", {}, r"a\.csv: column 'symbol', row 2: no symbol"),
        (WIDE.replace("11", '"1,100"'), {}, r"'MSFT', row 2 \(2024-01-03.*\): '1,100' is not a number"),
        (OHLCV.replace("5.5", "5_5"), {}, r"column 'Adj Close', row 2 \(2024-01-03.*\): '5_5' is not a number"),
        (OHLCV.replace("5.5", "inf"), {}, r"'inf' is not a number"),
        (WIDE.replace("1.5", "$1.5"), {}, r"column 'AAPL', row 1 .*'\$1.5' is not a number"),
        ("Date;A;B\n2024-01-02;1;126,04\n", {}, r"column 'B', row 1 .*'126,04' is not a number"),
        ("Date,Note\n2024-01-02,dull\n", {}, r"a\.csv: no column of numbers; there are: Note"),
        ("Date,Note\n2024-01-02,dull\n", {"symbols": "Note"}, r"column 'Note', row 1 .*'dull' is not a number"),
        ("Date\n2024-01-02\n", {}, r"a\.csv: no column of numbers"),
        ("Date,Close\n2024-01-02,\n", {}, r"a\.csv: no column of numbers"),
        ("Date,Open,High\n2024-01-02,1,2\n", {}, r"no column of closes, name one with price=; there are: Open, High"),
        ("Date,symbol,mid\n2024-01-02,A,2\n", {}, r"a\.csv: no column of closes"),
        (OHLCV, {"price": "adjclose"}, r"no column 'adjclose'; there are: Open, High.*Did you mean 'Adj Close'"),
        (OHLCV, {"price": "?"}, r"no column '\?'; there are: Open, High, Low, Close, Adj Close, Volume"),
        (WIDE, {"symbols": ["AAPL", "msft"]}, r"no symbol 'msft'; there are: AAPL, MSFT.*Did you mean 'MSFT'"),
        (WIDE, {"symbols": []}, r"symbols must name at least one symbol, and each once, got \[\]"),
        (WIDE, {"symbols": ["AAPL", "AAPL"]}, r"symbols must name"),
        (WIDE, {"start": "2025-01-01"}, r"no bars from 2025-01-01 to None; there are 2024-01-02 .* to 2024-01-04"),
        (WIDE, {"start": "2024-01-04", "end": "2024-01-02"}, r"no bars from 2024-01-04 to 2024-01-02"),
        (WIDE, {"start": "someday"}, r"a\.csv: start='someday'"),
        (WIDE, {"start": 5}, r"a\.csv: start=5"),
        (WIDE, {"start": "2024-01-02T00:00Z"}, r"a\.csv: start='2024-01-02T00:00Z', end=None: .*timezone"),
        ("", {}, r"a\.csv: cannot be read: No columns"),
        ("Date,A\n", {}, r"a\.csv: no rows"),
        ("Date,A,A\n2024-01-02,1,2\n", {}, r"a\.csv: cannot be read: more than one column is called 'A'"),
        ("Date,A\n2024-01-02,1\n2024-01-02,1,2\n", {}, r"a\.csv: cannot be read: .*line 3"),
    ],
)  # fmt: skip
def test_value_errors(write: Write, text: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        load_prices(write("a.csv", text), **options)


def test_long_lists_of_names_are_cut(write: Write) -> None:
    names = [f"S{i}" for i in range(40)]
    file = write("a.csv", f"Date,{','.join(names)}\n2024-01-02{',1' * 40}\n")
    with pytest.raises(ValueError, match=r"S0, .*S29 and 10 more$"):
        load_prices(file, symbols="other")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip", "a.bz2", "a.xz", "a.parquet", "a.csv"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe not what it says")
    with pytest.raises(ValueError, match=rf"{name}: cannot be read"):
        load_prices(tmp_path / name)


def test_truncated_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes((DATA / "us_stocks.csv.gz").read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"a\.csv\.gz: cannot be read"):
        load_prices(tmp_path / "a.csv.gz")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for source in (tmp_path / "a.csv", str(tmp_path / "AAPL"), "prices.csv", "a.parquet", Path("AAPL"), ["b.csv.gz"]):
        with pytest.raises(FileNotFoundError, match=r": no such file"):
            load_prices(source)


def test_sources_of_no_known_kind(write: Write, tmp_path: Path) -> None:
    for source in (write("a.dat", WIDE), tmp_path):
        with pytest.raises(ValueError, match=r"not a file of a known kind \(\.csv"):
            load_prices(source)
    with pytest.raises(ValueError, match=r"source names no file and no ticker"):
        load_prices([])


def test_lists_that_do_not_fit_together(write: Write) -> None:
    naive, twice = write("a.csv", WIDE), write("b.csv", WIDE)
    aware = write("c.csv", "Date,C\n2024-01-02T00:00Z,1\n")
    for sources in ([naive, twice], [naive, naive]):
        with pytest.raises(ValueError, match=r"a\.csv, .*[ab]\.csv: symbol 'AAPL' comes more than once"):
            load_prices(sources)
    with pytest.raises(ValueError, match=r"a\.csv, .*c\.csv: some dates have a time zone, some have none"):
        load_prices([naive, aware])


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"A": [1.0]}, DAYS[:1]).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"a\.parquet: parquet needs pyarrow: pip install pyarrow"):
        load_prices(tmp_path / "a.parquet")


# Tickers


class FakeYfinance(types.ModuleType):
    """Answers with `answer` and remembers how it was asked."""

    def __init__(self, answer: pd.DataFrame | None) -> None:
        super().__init__("yfinance")
        self.answer = answer
        self.asked: list[tuple[list[str], dict[str, Any]]] = []

    def download(self, tickers: list[str], **options: Any) -> pd.DataFrame | None:
        self.asked.append((tickers, options))
        return self.answer


@pytest.fixture
def yfinance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[pd.DataFrame | None], FakeYfinance]:
    def install(answer: pd.DataFrame | None) -> FakeYfinance:
        module = FakeYfinance(answer)
        monkeypatch.setitem(sys.modules, "yfinance", module)
        return module

    monkeypatch.chdir(tmp_path)
    return install


Install = Callable[[pd.DataFrame | None], FakeYfinance]


def answer(*tickers: str, by_ticker: bool = False) -> pd.DataFrame:
    columns = pd.MultiIndex.from_product([["Close", "High", "Volume"], tickers], names=["Price", "Ticker"])
    values = np.arange(3.0 * len(columns)).reshape(3, -1)
    frame = pd.DataFrame(values, DAYS.rename("Date"), columns)
    return frame.swaplevel(axis=1).sort_index(axis=1) if by_ticker else frame


@pytest.mark.parametrize("source", ["MSFT,^GSPC", "msft, ^gspc", ["MSFT", "^GSPC"], ["MSFT", "^GSPC,MSFT"]])
@pytest.mark.parametrize("by_ticker", [False, True])
def test_tickers(yfinance: Install, source: Any, by_ticker: bool) -> None:
    module = yfinance(answer("^GSPC", "MSFT", by_ticker=by_ticker))
    same(load_prices(source), {"MSFT": [1, 7, 13], "^GSPC": [0, 6, 12]})
    assert module.asked == [(["MSFT", "^GSPC"], {"auto_adjust": True, "progress": False, "period": "max"})]


@pytest.mark.parametrize("ticker", ["AAPL", "BRK-B", "BTC-USD", "0700.HK", "EURUSD=X", "ES=F", "CL"])
def test_one_ticker(yfinance: Install, ticker: str) -> None:
    yfinance(answer(ticker))
    same(load_prices(ticker), {ticker: [0, 3, 6]})
    yfinance(answer(ticker).droplevel("Ticker", axis=1))
    same(load_prices(ticker), {ticker: [0, 3, 6]})
    same(load_prices(ticker, price="High"), {ticker: [1, 4, 7]})


def test_ticker_span(yfinance: Install) -> None:
    module = yfinance(answer("AAPL"))
    same(load_prices("AAPL", start="2024-01", end="2024-01-03"), {"AAPL": [0, 3]}, DAYS[:2])
    assert module.asked[0][1]["start"] == "2024-01-01"
    assert "end" not in module.asked[0][1]
    with pytest.raises(ValueError, match=r"yfinance: no bars from None to 2023-12-31; there are 2024-01-02"):
        load_prices("AAPL", end="2023-12-31")


def test_tickers_and_files(yfinance: Install, write: Write) -> None:
    yfinance(answer("AAPL"))
    write("MSFT.csv", OHLCV)
    same(load_prices(["AAPL", "MSFT.csv"]), {"MSFT": [5, 5.5, 6], "AAPL": [0, 3, 6]})


def test_a_file_goes_before_a_ticker(yfinance: Install, write: Write) -> None:
    module = yfinance(answer("AAPL"))
    write("AAPL", WIDE)
    with pytest.raises(ValueError, match=r"AAPL: not a file of a known kind"):
        load_prices("AAPL")
    assert module.asked == []


def test_tickers_without_prices(yfinance: Install) -> None:
    yfinance(None)
    with pytest.raises(ValueError, match=r"no file called NOPE, and yfinance has no such prices"):
        load_prices("NOPE")
    yfinance(answer("NOPE").iloc[:0])
    with pytest.raises(ValueError, match=r"no file called NOPE, and yfinance has no such prices"):
        load_prices("NOPE")
    partly = answer("AAPL", "NOPE")
    partly.loc[:, (slice(None), "NOPE")] = np.nan
    yfinance(partly)
    with pytest.raises(ValueError, match=r"no file called NOPE, GONE, and yfinance has"):
        load_prices("AAPL,NOPE,GONE")
    yfinance(answer("AAPL"))
    with pytest.raises(ValueError, match=r"yfinance: no column 'Hihg'; there are: .*Did you mean 'High'"):
        load_prices("AAPL", price="Hihg")


def test_tickers_without_yfinance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(ModuleNotFoundError, match=r"no file called aapl, MSFT; .*pip install yfinance"):
        load_prices("aapl,MSFT")
