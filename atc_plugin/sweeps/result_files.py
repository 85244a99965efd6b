"""Results of sweeps as parquet files.

The file's columns are those of `SweepResult.frame`, then in parentheses what else is needed: the number of trades where
it was not asked for, column and position of each row where not all combinations are there, and window metrics by the
number of the window. Everything that is one value is JSON in the file's metadata, under `atc_plugin`.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..params import ROWS
from ..prices import Prices, fingerprint, read_prices
from .axes import listed_values
from .combinations import Points
from .grid import ParamGrid

if TYPE_CHECKING:
    from .record import SweepRecord

_KEY = b"atc_plugin"
_FORMAT = 1
_TRADES, _COLUMN, _POSITION = "(trades)", "(column)", "(position)"
_AS_THEY_ARE = ("fees", "slippage", "direction", "init_cash", "seconds", "reused", "symbols", "windows", "window_names")


def write_result(result: SweepRecord, path: str | os.PathLike[str]) -> None:
    """Write everything but the prices."""
    arrow, parquet = _pyarrow()
    rows = result.rows
    columns = {"symbol": _dictionary(arrow, rows.symbol(), [str(label) for label in result.symbols])}
    for name in rows.names:
        values = rows.parameter(name)
        choices = ROWS[name].choices
        columns[name] = _dictionary(arrow, values, list(choices)) if choices else arrow.array(values)
    columns |= {name: arrow.array(values) for name, values in result.metrics.items()}
    columns[_TRADES] = arrow.array(result.trades)
    if result.positions is not None:
        columns |= {_COLUMN: arrow.array(result.columns), _POSITION: arrow.array(result.positions)}
    for name, values in result.window_metrics.items():
        columns |= {_window(name, k): arrow.array(values[:, k]) for k in range(len(result.windows))}
    product = result.grid.axes if result.grid.where is None else None
    about = {
        "format": _FORMAT,
        "product": None if product is None else dict(product),
        "names": rows.names,
        "metrics": list(result.metrics),
        "window_metrics": list(result.window_metrics),
        "freq": None if result.freq is None else int(result.freq.as_unit("ns").value),
        "prices": result.fingerprint if result.prices is None else prices_fingerprint(result.prices),
        **{name: getattr(result, name) for name in _AS_THEY_ARE},
    }
    table = arrow.table(columns).replace_schema_metadata({_KEY: json.dumps(about, default=_plain)})
    partial = Path(f"{os.fspath(path)}.partial")  # a crash must not ruin an older file
    try:
        parquet.write_table(table, partial, compression="zstd")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_result(path: str | os.PathLike[str], close: Any, source: Any) -> dict[str, Any]:
    """The fields of the SweepResult that was written."""
    import pandas as pd

    arrow, parquet = _pyarrow()
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            table = parquet.read_table(file)
    except arrow.ArrowException as error:
        raise ValueError(f"{path}: not a parquet file: {error}") from None
    about = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    if about.get("format") != _FORMAT:
        known = f"has format {about['format']}, this version reads {_FORMAT}" if about else "is no sweep"
        raise ValueError(f"{path}: {known}; SweepResult.to_parquet writes what can be read")
    arrays = {name: _array(name, table[name]) for name in table.column_names if name != "symbol"}
    prices = None if close is None else read_prices(close, source)
    if prices is not None and prices_fingerprint(prices) != about["prices"]:
        raise ValueError(f"{path}: close and source are not the prices that this sweep ran over")
    fields = {name: about[name] for name in _AS_THEY_ARE}
    fields["reused"] = None if about["reused"] is None else tuple(about["reused"])
    fields["symbols"] = tuple(tuple(label) if isinstance(label, list) else label for label in about["symbols"])
    fields["windows"] = tuple((start, stop) for start, stop in about["windows"])
    fields["window_names"] = tuple(about["window_names"])
    positions, columns = arrays.get(_POSITION), arrays.get(_COLUMN)
    if about["product"] is not None:
        grid = ParamGrid(**about["product"])
    else:
        grid, positions = _points(arrays, about["names"], len(fields["symbols"]), positions, table.num_rows)
    return {
        **fields,
        "grid": grid,
        "prices": prices,
        "metrics": {name: arrays[name] for name in about["metrics"]},
        "trades": arrays[_TRADES],
        "columns": columns,
        "positions": positions,
        "window_metrics": {
            name: np.stack([arrays[_window(name, k)] for k in range(len(fields["windows"]))], axis=1)
            for name in about["window_metrics"]
        },
        "freq": None if about["freq"] is None else pd.Timedelta(about["freq"], unit="ns"),
        "fingerprint": about["prices"],
    }


def prices_fingerprint(prices: Prices) -> str:
    """Equal for equal numbers, whatever the index and the names."""
    parts = [fingerprint(prices.close), fingerprint(prices.counts.astype(np.float64))]
    if prices.source is not prices.close:
        parts.append(fingerprint(prices.source))
    return "-".join([*map(str, prices.close.shape), *parts])


def _points(
    arrays: dict[str, NDArray[Any]], names: list[str], symbols: int, positions: NDArray[Any] | None, rows: int
) -> tuple[ParamGrid, NDArray[Any] | None]:
    """A grid of the combinations in the file, and where in it they are, if not all are there for each symbol."""
    if positions is None:
        first: Any = slice(0, rows // symbols)
        count = rows // symbols
    else:
        distinct, first, positions = np.unique(positions, return_index=True, return_inverse=True)
        count = distinct.size
    columns = [_values(name, arrays[name][first]) for name in names]
    points = list(zip(*columns, strict=True)) if columns else [()] * count
    return ParamGrid._of(Points(tuple(names), tuple(points))), positions


def _values(name: str, column: NDArray[Any]) -> list[Any]:
    """A parameter's values as AtcParams has them, each distinct one checked."""
    choices = ROWS[name].choices
    values = [choices[code] for code in column] if choices else column.tolist()
    checked = {value: listed_values(name, value)[0] for value in set(values)}
    return [checked[value] for value in values]


def _window(metric: str, number: int) -> str:
    return f"({metric} {number})"


def _dictionary(arrow: Any, codes: NDArray[Any], texts: list[str]) -> Any:
    return arrow.DictionaryArray.from_arrays(arrow.array(codes.astype(np.int32)), texts)


def _array(name: str, column: Any) -> NDArray[Any]:
    """A column of the file as `SweepResult` has it."""
    choices = ROWS[name].choices if name in ROWS else ()
    if not choices:
        return np.array(column.to_numpy())
    whole = column.unify_dictionaries().combine_chunks()  # the file decides what is in its dictionaries
    codes = np.array([choices.index(text) for text in whole.dictionary.to_pylist()], dtype=np.int8)
    texts: NDArray[Any] = codes[whole.indices.to_numpy()]
    return texts


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy's numbers, and names of columns of any kind."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"parquet files need {missing.name}: pip install pyarrow", name=missing.name
        ) from None
    return pyarrow, parquet
