"""Prices from files and tickers: one frame of closes, bars x symbols."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .dates import UNNAMED, date_column
from .names import found, listing, plain

Source = str | os.PathLike[str]
Moment = str | dt.date | np.datetime64

# Names as `plain` makes them, the preferred first.
SYMBOL = ("symbol", "ticker")
CLOSE = ("adjclose", "adjustedclose", "close", "closelast", "last", "price")
OTHER_FIELDS = ("open", "high", "low", "volume", "vol")
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none")

_KINDS = r"\.(parquet|pq|((csv|txt|tsv)\.)?(gz|zip|bz2|xz)|csv|txt|tsv)$"
_SUFFIX = re.compile(_KINDS, re.IGNORECASE)
_TICKER = re.compile(rf"(?!.*{_KINDS})[\^a-z0-9][\w.\-=^]{{0,19}}", re.IGNORECASE)


def load_prices(
    source: Source | Sequence[Source],
    *,
    price: str | None = None,
    date: str | None = None,
    symbols: str | Sequence[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
) -> pd.DataFrame:
    r"""Closing prices of one or more symbols from files, or from yfinance.

    Args:
        source: A file (.csv .txt .tsv, or these as .gz .zip .bz2 .xz, split at comma, semicolon or tab; .parquet .pq);
            where there is none of that name, a ticker or comma-separated tickers, fetched by yfinance (daily adjusted
            closes, all history or from `start`); or a list, joined on all dates, files before tickers. A file is
            one symbol (open, high, low, close): its adjusted close, else its close, named after the file;
            long (has a symbol or ticker column): the same of each symbol;
            wide: each column with numbers is a symbol; or as yfinance writes it, with two rows of names.
        price: The column to take instead of the close. A wide file then is one symbol, named after the file.
        date: The column of dates; by default the one called date, datetime, timestamp or time, else an unnamed first
            column or the index, else the only one of dates. Numbers are YYYYMMDD, or seconds (milli-, micro-,
            nanoseconds) since 1970 in UTC.
        symbols: The symbols to keep, in this order; all by default.
        start: First date, kept.
        end: Last date, kept; "2020-01" is all of that month, "2020-01-02" all of that day.

    Returns:
        Bars x symbols, float64, in the file's own currency; empty cells are NaN. The index, a DatetimeIndex "Date", is
        increasing whichever way the file is sorted, and keeps a time zone; stamps of several offsets become UTC.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: A ticker without yfinance, a parquet file without pyarrow.
        ValueError: A file that cannot be read; no column of dates, or several; a date that cannot be read, reads two
            ways (01/02/2020) or comes twice; no such column or symbol; a price that is not a number, thousands
            separators included; no bars left. Rows are counted from 1, without the header.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "ACME.csv")
        >>> _ = file.write_text("Date,Open,Close\n2024-01-03,10,12.5\n2024-01-02,9,10\n")
        >>> load_prices(file)["ACME"].tolist()
        [10.0, 12.5]
    """
    files: list[Path] = []
    tickers: list[str] = []
    for item in [source] if isinstance(source, (str, os.PathLike)) else source:
        file, names = Path(item).expanduser(), [name.strip() for name in str(item).split(",")]
        if isinstance(item, str) and not file.exists() and all(map(_TICKER.fullmatch, names)):
            tickers += names
        else:
            files.append(file)
    if not files and not tickers:
        raise ValueError("source names no file and no ticker")
    wanted = [symbols] if isinstance(symbols, str) else list(symbols or ())
    parts = [_load_file(file, price, date, wanted) for file in files]
    parts += [_fetch(tickers, price, start)] if tickers else []
    where = ", ".join([*map(str, files), *(["yfinance"] if tickers else [])])
    if len({pd.DatetimeIndex(part.index).tz is None for part in parts}) > 1:
        raise ValueError(f"{where}: some dates have a time zone, some have none")
    frame = pd.concat(parts, axis=1).sort_index().rename_axis(index="Date", columns=None)
    if not frame.columns.is_unique:
        raise ValueError(f"{where}: symbol {frame.columns[frame.columns.duplicated()][0]!r} comes more than once")
    if symbols is not None:
        if not wanted or len(set(wanted)) < len(wanted):
            raise ValueError(f"symbols must name at least one symbol, and each once, got {wanted}")
        frame = frame[[found(symbol, frame.columns, "symbol", where) for symbol in wanted]]
    try:  # texts, because pandas takes "2020-01-02" as a whole day and a Timestamp as its first instant
        cut = frame.loc[slice(*(None if moment is None else str(moment) for moment in (start, end)))]
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{where}: start={start!r}, end={end!r}: {error}") from error
    if cut.empty:
        raise ValueError(f"{where}: no bars from {start} to {end}; there are {frame.index[0]} to {frame.index[-1]}")
    return cut


def _fetch(tickers: list[str], price: str | None, start: Moment | None) -> pd.DataFrame:
    try:
        yfinance: Any = importlib.import_module("yfinance")
    except ImportError as error:
        text = f"no file called {', '.join(tickers)}; if this is a ticker: pip install yfinance"
        raise ModuleNotFoundError(text, name="yfinance") from error
    tickers = list(dict.fromkeys(ticker.upper() for ticker in tickers))  # as yfinance names its columns
    # The end is cut later: yfinance excludes it, and some versions ignore it without a start.
    span = {"period": "max"} if start is None else {"start": str(pd.Timestamp(start).date())}
    frame: pd.DataFrame | None = yfinance.download(tickers, auto_adjust=True, progress=False, **span)
    closes = pd.DataFrame() if frame is None or frame.empty else _one_field(frame, price, "yfinance")
    if len(tickers) == len(closes.columns) == 1:  # some versions return the fields alone
        closes.columns = pd.Index(tickers)
    if none := [ticker for ticker in tickers if ticker not in closes or closes[ticker].isna().all()]:
        raise ValueError(f"no file called {', '.join(none)}, and yfinance has no such prices")
    return closes[tickers].astype("float64")


def _load_file(file: Path, price: str | None, date: str | None, wanted: list[str]) -> pd.DataFrame:
    frame = _read(file)
    if stacked := isinstance(frame.columns, pd.MultiIndex):
        frame, price = _one_field(frame, price, file), None
    if not isinstance(frame.index, pd.RangeIndex):
        frame.index.names = [f"Unnamed: {i}" if name is None else name for i, name in enumerate(frame.index.names)]
        frame = frame.reset_index(drop=set(frame.index.names) <= set(frame.columns))
    if frame.empty:
        raise ValueError(f"{file}: no rows")
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    name, dates = date_column(frame, date, file)
    frame = frame.set_axis(dates).drop(columns=[c for c in frame.columns if c == name or UNNAMED.fullmatch(c)])
    labels: list[str] = frame.columns.tolist()
    symbol = next((label for label in labels if plain(label) in SYMBOL), None)
    owners = frame[symbol].fillna("").astype(str).str.strip() if symbol else pd.Series("", dates)
    if symbol and not owners.all():
        raise ValueError(f"{file}: column {symbol!r}, row {int((owners == '').argmax()) + 1}: no symbol")
    keys = pd.DataFrame({"date": dates, "symbol": owners.to_numpy()})
    if (again := keys.duplicated()).any():
        rows = np.flatnonzero((keys == keys[again].iloc[0]).all(axis=1)) + 1
        first = " ".join(map(str, keys[again].iloc[0])).strip()
        raise ValueError(
            f"{file}: duplicate dates: {again.sum()}, first {first} (rows {', '.join(map(str, rows[:5]))})"
        )
    names = set(map(plain, labels))
    # One such name is not enough, a wide file may hold it: LOW and OPEN are tickers.
    fields = names <= {*CLOSE, *OTHER_FIELDS} or (names & {*CLOSE} and names & {*OTHER_FIELDS})
    if labels and not stacked and (symbol or price is not None or fields):
        prices = _numbers(frame[_price_column(labels, price, file)], file).to_frame(_SUFFIX.sub("", file.name))
        if symbol:
            prices = prices.iloc[:, 0].set_axis([dates, owners]).unstack()[list(owners.unique())]
    else:  # a bad cell in a symbol nobody asked for is no reason to fail
        asked = wanted if set(wanted) <= set(labels) else None
        used = asked or [label for label in labels if any(map(_resembles_number, frame[label]))]
        prices = pd.DataFrame({label: _numbers(frame[label], file) for label in used}, index=dates)
    if prices.isna().all(axis=None):
        raise ValueError(f"{file}: no column of numbers{listing(labels)}")
    return prices


def _read(file: Path) -> pd.DataFrame:
    """The file's cells: text as it stands, or parquet's own types."""
    kind = _SUFFIX.search(file.name)
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    if kind is None or not file.is_file():
        raise ValueError(f"{file}: not a file of a known kind (.csv .txt .tsv, also .gz .zip .bz2 .xz; .parquet .pq)")
    parquet = kind[1].lower() in ("parquet", "pq")
    try:
        if parquet:
            importlib.import_module("pyarrow")
            table: pd.DataFrame = pd.read_parquet(file, engine="pyarrow")
            return table
        # Cells stay text: float() is exact with every version of pandas, and errors can quote what is written.
        options: dict[str, Any] = {"dtype": str, "keep_default_na": False}
        # A separator that no text holds gives whole lines, out of a compressed file too.
        lines = pd.read_csv(file, sep="\x1f", header=None, nrows=3, quoting=3, **options)[0].tolist()
        sep = max(",;\t", key=lines[0].count)
        twice = [name for name in lines[0].split(sep) if name and lines[0].split(sep).count(name) > 1]
        stacked = [line.split(sep)[0] for line in lines[1:]] in (["Ticker", "Date"], ["Ticker", "Datetime"])
        if twice and not stacked:
            raise ValueError(f"more than one column is called {twice[0]!r}")
        options |= {"header": [0, 1], "index_col": 0} if stacked else {}
        table = pd.read_csv(file, sep=sep, skipinitialspace=True, **options)
        return table
    except ImportError as error:
        raise ModuleNotFoundError(f"{file}: parquet needs pyarrow: pip install pyarrow", name="pyarrow") from error
    except Exception as error:  # each compression has exceptions of its own
        raise ValueError(f"{file}: cannot be read: {error}") from error


def _number(cell: Any) -> float:
    """A cell's number, NaN where the cell is empty, infinity where it is no number."""
    text = "" if pd.isna(cell) else str(cell).strip()
    try:
        return np.nan if text.lower() in MISSING else float(text) if "_" not in text else np.inf
    except ValueError:
        return np.inf


def _resembles_number(cell: Any) -> bool:
    """Whether a cell is a number or one written with a currency or separators: a bad price, not a text."""
    return _number(re.sub("[$€£,]", "", str(cell))) < np.inf


def _numbers(column: pd.Series[Any], file: Path) -> pd.Series[float]:
    values = pd.Series([_number(cell) for cell in column], column.index, np.float64)
    if (wrong := np.isinf(values.to_numpy())).any():
        row = int(wrong.argmax())
        where = f"{file}: column {column.name!r}, row {row + 1} ({column.index[row]})"
        raise ValueError(f"{where}: {column.iloc[row]!r} is not a number")
    return values


def _price_column(labels: list[str], price: str | None, where: object) -> str:
    if price is not None:
        return found(price, labels, "column", where)
    for label in (label for key in CLOSE for label in labels if plain(label) == key):
        return label
    raise ValueError(f"{where}: no column of closes, name one with price={listing(labels)}")


def _one_field(frame: pd.DataFrame, price: str | None, where: object) -> pd.DataFrame:
    """The closes of a frame with fields as columns, or (field, ticker), or (ticker, field)."""
    if not isinstance(frame.columns, pd.MultiIndex):
        return frame[[_price_column(list(frame.columns), price, where)]]
    levels = [[str(label) for label in frame.columns.unique(level)] for level in (0, 1)]
    level = 1 if price in levels[1] or {*CLOSE} & set(map(plain, levels[1])) else 0
    return pd.DataFrame(frame.xs(_price_column(levels[level], price, where), axis=1, level=level))
