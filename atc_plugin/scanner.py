"""`scan`: what ATC says of many symbols at their last bars, and who has just turned."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .many_columns import Column, Said, columns_of, said_of
from .names import found
from .params import TYPES, AtcParams, as_params
from .prices import read_prices
from .result import AtcResult
from .words import number_of

if TYPE_CHECKING:
    import pandas as pd

    from .cache.store import Store

VOTE = 0.49
"""A type votes where its layer-1 signal is beyond this, of either sign."""


class Scanned(NamedTuple):
    """What ATC says of a symbol at its last bar."""

    symbol: Hashable
    direction: int  # 1 long, -1 short, 0 before the first cross
    turned: Literal["long", "short", ""]  # where that happened within the bars asked for
    age: int  # bars of its own for which the trend has lasted, 1 at the bar where it turned; 0 without a trend
    strength: float  # the average signal, -1 to 1
    close: float
    bar: Any  # label of its last bar in the index; its position where there is none; None without bars
    behind: int  # bars that the prices go on after that
    signals: tuple[float, ...]  # layer-1 signal of each type, in the order of `TYPES`

    @property
    def votes(self) -> tuple[int, ...]:
        """How each type votes: 1 long, -1 short, 0 neither."""
        return tuple(int(signal > VOTE) - int(signal < -VOTE) for signal in self.signals)


def _strength(row: Scanned) -> float:
    return abs(row.strength) if row.strength == row.strength else -1.0


_ORDERS: dict[str, Callable[[Scanned, int], Any]] = {
    "turned": lambda row, since: (not row.turned, since if row.turned else 0, -_strength(row)),
    "strength": lambda row, _: -_strength(row),
    "average": lambda row, _: -row.strength if row.strength == row.strength else 2.0,
    "age": lambda row, _: (row.direction == 0, row.age),
    "given": lambda *_: 0,
}


class Scan:
    """Symbols with what ATC says of each at its last bar: a row a symbol, in order. Filters give scans too."""

    def __init__(self, rows: tuple[Scanned, ...], params: AtcParams, within: int) -> None:
        self.rows = rows
        self.params = params
        self.within = within

    def long(self) -> Scan:
        """Those whose direction is long."""
        return self._those(lambda row: row.direction == 1)

    def short(self) -> Scan:
        """Those whose direction is short."""
        return self._those(lambda row: row.direction == -1)

    def turned(self, side: Literal["long", "short"] | None = None) -> Scan:
        """Those who turned within the bars asked for, to either side or one of them."""
        if side not in (None, "long", "short"):
            raise ValueError(f"side must be 'long', 'short' or None for both; got {side!r}")
        return self._those(lambda row: bool(row.turned) and side in (None, row.turned))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame; behind the other columns each type's signal and vote, as `ema_signal`, `ema_vote`."""
        import pandas as pd

        return pd.DataFrame([_flat(row) for row in self.rows], columns=_FLAT)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """All of it as JSON, written to a file too where one is named; NaN is null, labels of bars are texts."""
        rows = [{name: _plain(value) for name, value in _flat(row).items()} for row in self.rows]
        whole = {"params": self.params.as_dict(), "within": self.within, "symbols": rows}
        text = json.dumps(whole, allow_nan=False, indent=1, ensure_ascii=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def _those(self, which: Callable[[Scanned], bool]) -> Scan:
        return Scan(tuple(filter(which, self.rows)), self.params, self.within)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Scanned]:
        return iter(self.rows)

    def __repr__(self) -> str:
        sides = [len(self.long()), len(self.short()), len(self.turned("long")), len(self.turned("short"))]
        symbols = number_of("symbol", "symbols", len(self))
        return "<Scan of {}: {} long, {} short; just turned: {} long, {} short>".format(symbols, *sides)


def scan(
    prices: Any,
    params: AtcParams | Mapping[str, Any] | None = None,
    *,
    source: Any = None,
    within: int = 1,
    min_strength: float = 0.0,
    sort_by: str = "turned",
    cache: bool | str | os.PathLike[str] | Store = True,
    **overrides: Any,
) -> Scan:
    """Who turned long or short at the last bar, how strongly, and how long the trends of all others have lasted.

    Args:
        prices: As `atc` takes them, a column a symbol; a mapping of symbols to prices, which may have different bars
            each; or an `AtcResult`, which has its configuration.
        params: The configuration; the published defaults by default.
        source: What the averages are taken of, aligned with `prices`; not for a mapping.
        within: How many of the last bars count as "just turned". These are bars of the prices: a stock that was
            delisted a year ago has not turned today.
        min_strength: Leave out symbols whose average, of either sign, is nearer to 0; 0 keeps all, those without an
            average too.
        sort_by: "turned": who turned last, then the strongest; "strength" of either sign; "average" from the most long
            to the most short; "age" from the youngest trend; "given" as the prices have them. As given among equals.
        cache: As in `atc`.
        **overrides: Single parameters, on top of `params`, as the thresholds:
            ``scan(close, long_threshold=0.3, short_threshold=-0.3)``.

    Returns:
        A `Scan`: `frame`, filters and JSON.

    Raises:
        TypeError, ValueError: as `atc`, and for bad arguments; errors of a mapping's prices have a note that names the
            symbol.

    >>> import numpy as np
    >>> wave = 100 + 10 * np.sin(np.arange(400) / 30)
    >>> found = scan({"UP": wave, "DOWN": 200 - wave, "NEW": wave[:5]}, within=62)
    >>> found.frame[["symbol", "direction", "turned", "age"]].values.tolist()
    [['DOWN', -1, 'short', 62], ['UP', 1, 'long', 62], ['NEW', 0, '', 0]]
    >>> found.turned("short")
    <Scan of 1 symbol: 0 long, 1 short; just turned: 0 long, 1 short>
    """
    try:
        bars = operator.index(within)
    except TypeError:
        bars = 0
    if bars < 1 or isinstance(within, bool):
        raise ValueError(f"within must be a whole number of bars >= 1; got {within!r}")
    if isinstance(min_strength, bool) or not isinstance(min_strength, (int, float)) or not 0 <= min_strength <= 1:
        raise ValueError(f"min_strength must be a number from 0 to 1; got {min_strength!r}")
    order = _ORDERS[found(sort_by, _ORDERS, "order", "sort_by")]
    if isinstance(prices, AtcResult):
        if params is not None or overrides or source is not None:
            raise ValueError("an AtcResult has a configuration and a source; scan its prices for another")
        configuration, columns = prices.params, columns_of(prices._prices)
    else:
        configuration = as_params(params, overrides)
        columns = _read(prices, source)
    rows = [_row(column, said, bars) for column, said in said_of(columns, configuration, cache)]
    if min_strength > 0:
        rows = [(row, since) for row, since in rows if _strength(row) >= min_strength]
    rows.sort(key=lambda row: order(*row))
    return Scan(tuple(row for row, _ in rows), configuration, bars)


def _read(prices: Any, source: Any) -> list[Column]:
    if not isinstance(prices, Mapping):
        return columns_of(read_prices(prices, source))
    if source is not None:
        raise ValueError("source: a mapping of symbols has no place for one; pass frames")
    columns = []
    for symbol, series in prices.items():
        try:
            one = read_prices(series)
            if len(one.counts) > 1:
                raise ValueError(f"each symbol of a mapping has one column; this one has {len(one.counts)}")
        except (TypeError, ValueError) as fault:
            fault.add_note(f"these are the prices of {symbol!r}")
            raise
        columns.append(Column(symbol, one, 0))
    return columns


def _row(column: Column, said: Said, within: int) -> tuple[Scanned, int]:
    """A symbol's row, and for how many bars of the prices, which may be more than its own, its trend has lasted."""
    length = column.prices.close.shape[1]
    if not column.bars:
        nan = float("nan")
        return Scanned(column.symbol, 0, "", 0, nan, nan, None, length, (nan,) * len(TYPES)), 0
    direction = int(said.direction[-1])
    others = np.flatnonzero(said.direction != direction)
    age = column.bars - 1 - int(others[-1]) if direction else 0  # the first bar cannot cross
    positions = column.positions()
    since = length - int(positions[-age]) if age else 0
    turned: Literal["long", "short", ""] = ""
    if 0 < since <= within:
        turned = "long" if direction == 1 else "short"
    row = Scanned(
        symbol=column.symbol,
        direction=direction,
        turned=turned,
        age=age,
        strength=float(said.average[-1]),
        close=float(said.close[-1]),
        bar=column.label(int(positions[-1])),
        behind=length - 1 - int(positions[-1]),
        signals=tuple(said.signals[:, -1].tolist()),
    )
    return row, since


_FLAT = [*Scanned._fields[:-1], *(f"{type_.lower()}_{what}" for type_ in TYPES for what in ("signal", "vote"))]


def _flat(row: Scanned) -> dict[str, Any]:
    pairs = [value for pair in zip(row.signals, row.votes, strict=True) for value in pair]
    return dict(zip(_FLAT, [*row[:-1], *pairs], strict=True))


def _plain(value: Any) -> Any:
    """As JSON can say it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
