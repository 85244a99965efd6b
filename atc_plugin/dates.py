"""The dates of a file: which column holds them, and in which of the layouts in use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from .names import found, listing, plain

DATE = ("date", "datetime", "timestamp", "time")  # as `plain` makes them, the preferred first
UNNAMED = re.compile(r"Unnamed: \d+")  # pandas' name for a column without one
_YEAR_LAST = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{4}(.*)")


def date_column(frame: pd.DataFrame, date: str | None, file: Path) -> tuple[str, pd.DatetimeIndex]:
    """The name of a frame's column of dates, as `load_prices` finds it, and the dates."""
    labels: list[str] = frame.columns.tolist()
    named = [label for key in DATE for label in labels if plain(label) == key]
    first = frame[labels[0]]
    counter = re.fullmatch(r"\d{1,7}", str(first.iloc[0]))  # row numbers, which pandas writes unless told not to
    if pd.api.types.is_datetime64_any_dtype(first) or (UNNAMED.fullmatch(labels[0]) and not counter):
        named.append(labels[0])
    if date is not None or named:
        name = named[0] if date is None else found(date, labels, "column", file)
        return name, _dates(frame[name], file, epoch=True)
    of_dates = []
    for label in labels:
        try:
            of_dates.append((label, _dates(frame[label], file, epoch=False)))
        except ValueError:
            continue
    if len(of_dates) != 1:
        raise ValueError(f"{file}: {len(of_dates) or 'no'} columns of dates, name one with date={listing(labels)}")
    return of_dates[0]


def _dates(column: pd.Series[Any], file: Path, epoch: bool) -> pd.DatetimeIndex:
    texts = ["" if pd.isna(cell) else str(cell).strip() for cell in column]
    stamped = pd.api.types.is_datetime64_any_dtype(column)
    readings = [pd.DatetimeIndex(column)] if stamped else _readings(pd.Series(texts, dtype=object), epoch)
    stamps = min(readings, key=lambda reading: np.count_nonzero(reading.isna()))
    wrong, why = np.asarray(stamps.isna()), "is not a date"
    if not wrong.any() and not readings[-1].isna().any():
        wrong, why = np.asarray(stamps != readings[-1]), "may be month/day or day/month, write year-month-day"
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{file}: column {column.name!r}, row {row + 1}: {texts[row]!r} {why}")
    return stamps


def _readings(texts: pd.Series[str], epoch: bool) -> list[pd.DatetimeIndex]:
    """The texts as dates in each layout that fits the first of them."""
    first = next(filter(None, texts), "")
    if re.fullmatch(r"-?\d+(\.\d+)?", first):
        values = pd.to_numeric(texts, errors="coerce")
        largest = values.abs().max()
        if epoch and largest > 1e8:  # more than any YYYYMMDD
            limits = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": np.inf}
            unit: Any = next(unit for unit, limit in limits.items() if largest < limit)
            return [pd.DatetimeIndex(pd.to_datetime(values, unit=unit))]
        layouts = ["%Y%m%d"]
    elif match := _YEAR_LAST.fullmatch(first):
        clock = (guess_datetime_format(f"2000-01-01{match[2]}") or "")[8:]
        layouts = [layout.replace("/", match[1]) + clock for layout in ("%m/%d/%Y", "%d/%m/%Y")]
    else:
        layouts = list(filter(None, ["ISO8601", guess_datetime_format(first)]))
    readings = []
    for layout in layouts:
        try:
            stamps = pd.to_datetime(texts, format=layout, errors="coerce")
        except ValueError:  # several offsets, as in a zone with summer time
            stamps = pd.to_datetime(texts, format=layout, errors="coerce", utc=True)
        readings.append(pd.DatetimeIndex(stamps))
    return readings
