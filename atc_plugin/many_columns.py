"""What the law says of many columns, some of them at a time: of all at once its layers would fill the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from .kept_results import KeptResults
from .params import AtcParams
from .prices import Prices

if TYPE_CHECKING:
    from .cache.store import Store

_AT_ONCE = 2**20
"""Bars of the columns that are computed together: their layers take 100 MB."""


class Column(NamedTuple):
    """A column of some prices."""

    symbol: Any
    prices: Prices
    place: int

    @property
    def bars(self) -> int:
        """How many bars it has."""
        return int(self.prices.counts[self.place])

    def positions(self) -> NDArray[int64]:
        """Where in the prices its bars are."""
        valid = self.prices.valid
        return np.arange(self.bars) if valid is None else np.flatnonzero(valid[self.place])

    def label(self, position: int) -> Any:
        """What the index calls a place in the prices; the position itself where there is no index."""
        index = self.prices.container.index
        return position if index is None else index[position]


class Said(NamedTuple):
    """What the law says of a column, over its own bars; views, for as long as one looks at this column."""

    close: NDArray[float64]
    average: NDArray[float64]
    direction: NDArray[int8]
    signals: NDArray[float64]  # (6, bars)


def columns_of(prices: Prices) -> list[Column]:
    """All of them."""
    return [Column(symbol, prices, place) for place, symbol in enumerate(prices.labels)]


def said_of(
    columns: Sequence[Column], params: AtcParams, cache: bool | str | os.PathLike[str] | Store
) -> Iterator[tuple[Column, Said]]:
    """Every column, in their order, with what the law says of it."""
    for some in _together(columns):
        packed = _packed(some)
        out = KeptResults(packed, params, cache).all_of_it()
        for place, column in enumerate(some):
            bars = slice(column.bars)
            average, direction = out.verdict.average[place, bars], out.verdict.direction[place, bars]
            yield column, Said(packed.close[place, bars], average, direction, out.layers.signals[place, :, bars])


def _together(columns: Sequence[Column]) -> Iterator[list[Column]]:
    some: list[Column] = []
    longest = 0
    for column in columns:
        longest = max(longest, column.bars)
        if some and longest * (len(some) + 1) > _AT_ONCE:
            yield some
            some, longest = [], column.bars
        some.append(column)
    if some:
        yield some


def _packed(columns: list[Column]) -> Prices:
    """Columns of any prices side by side, for the engine alone."""
    counts = np.array([column.bars for column in columns])
    own = [column.prices.own(column.place) for column in columns]
    close = _rows([price for price, _ in own], counts)
    has_source = any(lead is not price for price, lead in own)
    source = _rows([lead for _, lead in own], counts) if has_source else close
    return Prices(close, source, counts, None, columns[0].prices.container)


def _rows(rows: list[NDArray[float64]], counts: NDArray[int64]) -> NDArray[float64]:
    values = np.ones((len(rows), max(int(counts.max()), 1)))
    for value, row in zip(values, rows, strict=True):
        value[: row.size] = row
    return values
