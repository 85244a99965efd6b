"""From prices to the moving averages of every member, many columns at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .engines import Array, Columns, Engine
from .tables import AverageTables, Places


class Averages(NamedTuple):
    """Of every member, on which side of its average the close is; and the averages that are kept."""

    sides: Array  # (members, bars, columns) int8: -1 below, 0 equal, +1 above, 2 undefined
    values: Array  # (kept rows, bars, columns)


def averages_on(engine: Engine, prices: Columns, tables: AverageTables) -> Averages:
    """Every member's average, once."""
    bars, columns = prices.shape
    out = Averages(
        engine.room((tables.members, bars, columns), np.int8),
        engine.room((tables.kept_rows, bars, columns), np.float64),
    )
    common = {
        "close": prices.close,
        "bars": bars,
        "columns": columns,
        "sides": out.sides,
        "averages": out.values,
    }
    _windows(engine, prices, tables, common)
    if tables.longest_ema:
        first_sums = _first_sums(engine, prices, tables)
        for kernel, places in (("ema", tables.ema), ("dema", tables.dema)):
            if places.size:
                more = _ring(engine, "firsts", places, columns) if kernel == "dema" else {}
                engine.launch(
                    kernel,
                    places.size * columns,
                    x=prices.source,
                    first_sums=first_sums,
                    alphas=places.alphas,
                    **_places(places),
                    **more,
                    **common,
                )
    if tables.sma.size:
        _rolling(engine, "sma", tables.sma, prices.source, common, x=prices.source)
    if tables.kama.size:
        moves = engine.room((bars, columns), np.float64)
        engine.launch("moves_of", bars * columns, x=prices.source, bars=bars, columns=columns, moves=moves)
        _rolling(engine, "kama", tables.kama, moves, common, x=prices.source, moves=moves)
    return out


def _windows(engine: Engine, prices: Columns, tables: AverageTables, common: dict[str, Any]) -> None:
    bars, columns = prices.shape
    if tables.wma.size:
        engine.launch(
            "wma_and_lsma",
            bars * columns,
            x=prices.source,
            lengths=tables.wma.lengths,
            wma_rows=tables.wma.rows,
            wma_kept=tables.wma.kept,
            lsma_rows=tables.lsma.rows,
            lsma_kept=tables.lsma.kept,
            count=tables.wma.size,
            **common,
        )
    for doubled, (row, kept) in enumerate((tables.bar, tables.doubled)):
        if row >= 0:
            engine.launch(
                "averages_of_one_bar",
                bars * columns,
                x=prices.source,
                doubled=doubled,
                row=row,
                kept=kept,
                **common,
            )
    if tables.hull.size:
        engine.launch(
            "hma",
            tables.hull.size * bars * columns,
            outer_lengths=tables.hull_outer,
            half_kept=tables.hull_halves,
            full_kept=tables.hull_fulls,
            **_places(tables.hull),
            **common,
        )


def _places(places: Places) -> dict[str, Any]:
    return {
        "lengths": places.lengths,
        "rows": places.rows,
        "kept": places.kept,
        "count": places.size,
    }


def _ring(engine: Engine, name: str, places: Places, columns: int) -> dict[str, Any]:
    room = engine.room((places.all_slots, columns), np.float64)
    return {name: room, "slots": places.slots}


def _newest_first(engine: Engine, values: Array, lengths: Array) -> Array:
    bars, columns = values.shape
    sums = engine.room((lengths.size, bars, columns), np.float64)
    engine.launch(
        "newest_first_sums",
        bars * columns,
        v=values,
        bars=bars,
        columns=columns,
        lengths=lengths,
        count=lengths.size,
        sums=sums,
    )
    return sums


def _first_sums(engine: Engine, prices: Columns, tables: AverageTables) -> Array:
    """The rolling sums from the start, of as many bars as the longest EMA needs for its seed."""
    bars, columns = prices.shape
    longest = min(bars, tables.longest_ema)
    beginning = prices.source[:longest]
    sums = engine.room((longest, columns), np.float64)
    engine.launch(
        "sums_from_the_start",
        columns,
        x=beginning,
        plain=_newest_first(engine, beginning, tables.first_lengths),
        bars=longest,
        columns=columns,
        sums=sums,
    )
    return sums


def _rolling(
    engine: Engine, kernel: str, places: Places, summed: Array, common: dict[str, Any], **values: Array
) -> None:
    columns = common["columns"]
    engine.launch(
        kernel,
        places.size * columns,
        plain=_newest_first(engine, summed, places.lengths),
        **_ring(engine, "entered", places, columns),
        **_places(places),
        **values,
        **common,
    )
