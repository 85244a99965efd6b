"""Prices from files and tickers: one frame of closes, bars x symbols."""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import importlib
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

Source = str | os.PathLike[str]
Moment = str | dt.date | np.datetime64

DATE = ("date", "datetime", "timestamp", "time")  # in order of preference; names are compared as _plain makes them
SYMBOL = ("symbol", "ticker")
CLOSE = ("adjclose", "adjustedclose", "close", "closelast", "last", "price")
OTHER_FIELDS = ("open", "high", "low", "volume", "vol")
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none")

_SUFFIX = re.compile(r"\.(parquet|pq|(csv|txt|tsv)(\.(gz|zip|bz2|xz))?|gz|zip|bz2|xz)$", re.IGNORECASE)
_TICKER = re.compile(r"[\^A-Za-z0-9][\w.\-=^]{0,19}")
_UNNAMED = re.compile(r"Unnamed: \d+")
_YEAR_LAST = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{4}(.*)")
_UNREADABLE = (ValueError, EOFError, OSError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)


def load_prices(
    source: Source | Sequence[Source],
    *,
    price: str | None = None,
    date: str | None = None,
    symbols: str | Sequence[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
) -> pd.DataFrame:
    """Closing prices of one or more symbols.

    Args:
        source: A file (.csv .txt .tsv, also as .gz .zip .bz2 .xz, split at comma, semicolon or tab; .parquet .pq), or,
            where there is no such file, a ticker or comma-separated tickers for yfinance (daily bars, adjusted
            closes, all history or from `start`), or a list of either: files first, then tickers, joined on all dates.
            A file is one of
            - one symbol (open, high, low, volume, close): its adjusted close, else its close, named after the file;
            - long (a symbol or ticker column): the close of each symbol;
            - wide: each column of numbers is a symbol; text columns without any number are left out;
            - what yfinance writes, with two rows of names.
        price: The column to take instead of the close; a wide file then is one symbol, named after the file.
        date: The column of dates. By default the one called date, datetime, timestamp or time, else an unnamed
            first column or the index, else the only one of dates. Numbers are YYYYMMDD or epoch seconds,
            milliseconds, microseconds or nanoseconds, the last four only in a column named so or named here.
        symbols: The symbols to keep, in this order; all by default.
        start, end: First and last date, both kept; a text such as "2020-01" means all of that month.

    Returns:
        Bars x symbols, float64, in the file's own currency, empty cells as NaN. The index is a DatetimeIndex named
        "Date", increasing whichever way the file is sorted, with the file's time zone if it has one. Stamps of
        several offsets become UTC; epoch numbers become UTC without a zone.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: A ticker without yfinance, a parquet file without pyarrow.
        ValueError: A file that cannot be read; no column of dates, or several; a date that cannot be read, reads both
            ways (01/02/2020) or comes twice; no such column or symbol; a price that is not a number; no bars left.
            Rows are counted from 1, without the header.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "ACME.csv")
        >>> _ = file.write_text("Date,Open,Close\\n2024-01-03,10,12.5\\n2024-01-02,9,10\\n")
        >>> load_prices(file)
                    ACME
        Date            
        2024-01-02  10.0
        2024-01-03  12.5
    """
    wanted = [symbols] if isinstance(symbols, str) else None if symbols is None else list(symbols)
    files: list[Path] = []
    tickers: list[str] = []
    for item in [source] if isinstance(source, (str, os.PathLike)) else source:
        names = [] if Path(item).expanduser().exists() or not isinstance(item, str) else _tickers(item)
        tickers += names
        files += [] if names else [Path(item).expanduser()]
    parts = [(str(file), _load_file(file, price, date, wanted)) for file in files]
    if tickers:
        parts.append(("yfinance", _fetch(list(dict.fromkeys(tickers)), price, start)))
    frame, where = _join(parts), ", ".join(name for name, _ in parts)
    for symbol in wanted or ():
        _known(symbol, frame.columns, "symbol", where)
    if wanted is not None:
        if not wanted or len(set(wanted)) < len(wanted):
            raise ValueError(f"symbols must name at least one symbol, each once, got {wanted}")
        frame = frame[wanted]
    return _between(frame, start, end, where)


def _tickers(text: str) -> list[str]:
    """The tickers a text stands for; none where it looks like a file's name."""
    names = [name.strip() for name in text.split(",")]
    looks = all(_TICKER.fullmatch(name) and not _SUFFIX.search(name) for name in names)
    return [name.upper() for name in names] if looks else []  # as yfinance names its columns


def _fetch(tickers: list[str], price: str | None, start: Moment | None) -> pd.DataFrame:
    try:
        yfinance: Any = importlib.import_module("yfinance")
    except ImportError as error:
        raise ModuleNotFoundError(
            f"no file named {', '.join(tickers)}; to fetch tickers instead: pip install yfinance", name="yfinance"
        ) from error
    # `end` is exclusive there and ignored without `start` by older versions: _between cuts it.
    span = {"period": "max"} if start is None else {"start": f"{_moment(start, 'start'):%Y-%m-%d}"}
    frame: pd.DataFrame | None = yfinance.download(tickers, auto_adjust=True, progress=False, **span)
    if frame is None or frame.empty:
        raise ValueError(f"yfinance has no prices of {', '.join(tickers)}")
    if isinstance(frame.columns, pd.MultiIndex):
        frame = _one_field(frame, price, "yfinance")
    else:  # older versions, for one ticker
        frame = frame[[_price_column(list(frame.columns), price, "yfinance")]].set_axis(tickers, axis=1)
    empty = [ticker for ticker in tickers if ticker not in frame or frame[ticker].isna().all()]
    if empty:
        raise ValueError(f"yfinance has no prices of {', '.join(empty)}")
    return _sorted(frame[tickers].astype(np.float64), "yfinance")


def _load_file(file: Path, price: str | None, date: str | None, wanted: list[str] | None) -> pd.DataFrame:
    frame = _read(file)
    if isinstance(frame.columns, pd.MultiIndex):
        frame, price = _one_field(frame, price, file), None
    if not isinstance(frame.index, pd.RangeIndex):
        frame.index.names = [f"Unnamed: {i}" if name is None else name for i, name in enumerate(frame.index.names)]
        frame = frame.reset_index()
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    if frame.empty:
        raise ValueError(f"{file}: no rows")
    name, dates = _date_column(frame, date, file)
    frame = frame.drop(columns=[c for c in frame.columns if c == name or _UNNAMED.fullmatch(c)])
    labels = list(frame.columns)
    plain = [_plain(label) for label in labels]

    ticker = next((label for label in labels if _plain(label) in SYMBOL), None)
    if ticker is not None:
        column = _price_column(labels, price, file)
        long = pd.DataFrame({"date": dates, "symbol": frame[ticker].map(lambda cell: str(cell).strip())})
        long["close"] = _numbers(frame[column], column, dates, file)
        _unique(dates, file, long["symbol"])
        wide = long.pivot(index="date", columns="symbol", values="close")[list(long["symbol"].unique())]
        return _sorted(wide, file)
    # A close alone is not enough: LOW and OPEN are tickers too, so a wide file may hold them.
    one = set(plain) <= {*CLOSE, *OTHER_FIELDS} or (set(plain) & {*CLOSE} and set(plain) & {*OTHER_FIELDS})
    if labels and (price is not None or one):
        column = _price_column(labels, price, file)
        prices = {_SUFFIX.sub("", file.name): _numbers(frame[column], column, dates, file)}
    else:
        used = [label for label in labels if _holds_numbers(frame[label]) or label in (wanted or ())]
        # A bad cell in a symbol nobody asked for is no reason to fail.
        used = [label for label in used if not wanted or label in wanted] or used
        prices = {label: _numbers(frame[label], label, dates, file) for label in used}
    if not prices:
        raise ValueError(f"{file}: no column of numbers; {_listed(labels)}")
    return _sorted(pd.DataFrame(prices, index=dates), file)


def _read(file: Path) -> pd.DataFrame:
    """The file's cells: text as it stands, or parquet's own types."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file")
    kind = _SUFFIX.search(file.name)
    if kind is None or not file.is_file():
        raise ValueError(f"{file}: not a file of a known kind (.csv .txt .tsv, also .gz .zip .bz2 .xz; .parquet .pq)")
    parquet = kind[1].lower() in ("parquet", "pq")
    if parquet:
        try:
            importlib.import_module("pyarrow")
        except ImportError as error:
            raise ModuleNotFoundError(f"{file}: parquet needs pyarrow: pip install pyarrow", name="pyarrow") from error
    try:
        return pd.read_parquet(file, engine="pyarrow") if parquet else _read_text(file)
    except PermissionError:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"{file}: cannot be read: {error}") from error


def _read_text(file: Path) -> pd.DataFrame:
    # Cells stay text: Python's float() is exact in every version of pandas, and errors can quote what was written.
    # A separator that no text holds gives whole lines, out of a compressed file too.
    lines = pd.read_csv(file, sep="\x1f", header=None, nrows=3, dtype=str, quoting=csv.QUOTE_NONE)[0].tolist()
    sep = max(",;\t", key=lines[0].count)
    names = [name.strip() for name in next(csv.reader(lines[:1], delimiter=sep)) if name.strip()]
    options: dict[str, Any] = {"sep": sep, "dtype": str, "keep_default_na": False, "skipinitialspace": True}
    if [str(line).split(sep)[0] for line in lines[1:]] in (["Ticker", "Date"], ["Ticker", "Datetime"]):
        return pd.read_csv(file, header=[0, 1], index_col=0, **options)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"column {twice[0]!r} comes {len(twice)} times")
    return pd.read_csv(file, **options)


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
