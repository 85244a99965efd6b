"""Runs of Cerebro that write down, at every step of the strategy, what each indicator was given and what it said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

from atc_plugin import AtcParams, atc
from atc_plugin.params import ROWS, TYPES

BARS = 60 if DISABLE_JIT else 200
LINES = (
    "average",
    "direction",
    *(f"{type_.lower()}_signal" for type_ in TYPES),
    *(f"{type_.lower()}_weight" for type_ in TYPES),
)


def frame(bars: int, seed: int = 0, start: str = "2020-01-06", freq: str = "B") -> pd.DataFrame:
    """Open, high, low, close and volume of a random walk."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, bars)))
    opened = np.concatenate([[100.0], close[:-1]])
    columns = {"open": opened, "high": np.maximum(opened, close) * 1.001, "low": np.minimum(opened, close) * 0.999}
    return pd.DataFrame({**columns, "close": close, "volume": 1.0}, pd.date_range(start, periods=bars, freq=freq))


def feed(prices: pd.DataFrame, **keywords: Any) -> bt.feeds.PandasData:
    return bt.feeds.PandasData(dataname=prices, **keywords)


class LiveFeed(bt.feed.DataBase):  # type: ignore[misc]
    """A feed that says it is live and has no bar yet every so often."""

    params = (("prices", None), ("waits", 2))

    def islive(self) -> bool:
        return True

    def haslivedata(self) -> bool:
        return False

    def start(self) -> None:
        super().start()
        self._rows: Iterator[Any] = iter(self.p.prices.itertuples())
        self._asked = 0

    def _load(self) -> bool | None:
        self._asked += 1
        if self._asked % (self.p.waits + 1):
            return None
        row = next(self._rows, None)
        if row is None:
            return False
        self.lines.datetime[0] = bt.date2num(row.Index.to_pydatetime())
        for name in ("open", "high", "low", "close", "volume"):
            getattr(self.lines, name)[0] = getattr(row, name)
        self.lines.openinterest[0] = 0
        return True


@dataclass
class Record:
    """One indicator: for each bar what it was given and said, and the same of each step."""

    indicator: Any
    bars: dict[int, tuple[float, float]] = field(default_factory=dict)  # close and source, as seen last
    said: dict[int, tuple[float, ...]] = field(default_factory=dict)
    steps: list[tuple[int, tuple[float, float], tuple[float, ...]]] = field(default_factory=list)

    def write(self) -> None:
        bar = len(self.indicator)
        if bar and all(len(data) for data in self.indicator.datas):
            given = self.indicator.datas[0][0], self.indicator.datas[-1][0]
            self.bars[bar] = given
            self.said[bar] = tuple(line[0] for line in self.indicator.lines)
            self.steps.append((bar, given, self.said[bar]))

    @property
    def given(self) -> np.ndarray:
        """(bars, 2): close and source."""
        assert list(self.bars) == list(range(1, len(self.bars) + 1)), "a bar was left out"
        return np.array(list(self.bars.values())).reshape(-1, 2)

    @property
    def lines(self) -> np.ndarray:
        return np.array(list(self.said.values())).reshape(len(self.said), -1)

    @property
    def first(self) -> int:
        """The minimum period it should have, of its parameters and of that of its data."""
        params = parameters(self.indicator)
        return max(data._minperiod for data in self.indicator.datas) + params.cutout + params.strategy_mode

    def check(self, names: tuple[str, ...] = LINES) -> None:
        """Its lines are what `atc` says of what it was given, from its minimum period on; before they are NaN."""
        expected = law(self.indicator, self.given)
        for i, name in enumerate(names):
            assert_same_bits(self.lines[:, i], expected[:, LINES.index(name)], name)


def parameters(indicator: Any) -> AtcParams:
    return AtcParams(**{name: getattr(indicator.p, name) for name in ROWS})


def law(indicator: Any, given: np.ndarray) -> np.ndarray:
    """(bars, 14): what `atc` says of close and source."""
    params = parameters(indicator)
    skip = max(data._minperiod for data in indicator.datas) - 1
    first = skip + params.cutout + params.strategy_mode
    expected = np.full((len(given), 14), np.nan)
    if len(given) > first:
        result = atc(given[skip:, 0], given[skip:, 1], params)
        columns = (result.average, result.direction, *result.signals.values(), *result.weights.values())
        expected[first:] = np.column_stack(columns)[first - skip :]
    return expected


class Recorder(bt.Strategy):  # type: ignore[misc]
    params = (("make", None),)

    def __init__(self) -> None:
        self.records = [Record(indicator) for indicator in self.p.make(self)]
        self.first = 0

    def prenext(self) -> None:
        for record in self.records:
            record.write()

    def nextstart(self) -> None:
        self.first = len(self)
        self.prenext()

    def next(self) -> None:
        self.prenext()


def run(make: Callable[[Any], list[Any]], add: Callable[[Any], object], **mode: Any) -> Recorder:
    """A run with the feeds that `add` adds and the indicators that `make` makes."""
    cerebro = bt.Cerebro(stdstats=False, **mode)
    add(cerebro)
    cerebro.addstrategy(Recorder, make=make)
    return cerebro.run()[0]
