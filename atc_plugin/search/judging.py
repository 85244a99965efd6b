"""Single combinations judged on all columns, as a sweep judges them, from components of a pool."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..cache.store import Store
from ..law.judging_one import Alone, Levelled, Six, judge_combination
from ..law.metrics import ACCUMULATORS, TRADES, metrics_of
from ..law.stretches import LINE, costs_of, fill_held
from ..law.turns import scale_of
from ..law.windows import Windows, windows_of
from ..params import AtcParams
from ..prices import Prices
from ..sweeps.judge import is_regular
from ..sweeps.question import Question
from ..sweeps.ranking import countable
from .pool import ComponentPool, Series


class Found(NamedTuple):
    """What a combination comes to on each column that has bars."""

    metrics: dict[str, NDArray[float64]]  # (columns,) each
    trades: NDArray[float64]  # (columns,)
    windows: NDArray[float64]  # (windows, columns): the first metric; NaN where it does not count


class Judging:
    """Judges combinations one at a time, each in one pass over the bars of each column; for any number of threads.

    Args:
        prices: what is judged on. Columns without a bar are left out.
        question: how; its first metric is the one that windows are given for.
        store: where components that were warmed are read.
        room: bytes that components may take.
    """

    def __init__(self, prices: Prices, question: Question, store: Store | None, room: int) -> None:
        self.columns = [column for column, bars in enumerate(prices.counts.tolist()) if bars]
        self.pool = ComponentPool(prices, self.columns, store, room)
        self._question = question
        self._trades = np.empty(0) if question.trades else None
        self._bars = prices.counts[self.columns]
        self._alone: list[tuple[Alone, Windows | None]] = []
        trading = question.trading
        costs = costs_of(trading.mode, trading.fees, trading.slippage)  # type: ignore[no-untyped-call]
        for column in self.columns:
            close, _ = prices.own(column)
            edges = question.own_windows(prices, column)
            windows = None if edges is None else windows_of(*edges, close.size)
            ends = np.array([close.size - 1]) if windows is None else windows.ends
            ages = 1 if is_regular(close, trading) else 0
            held = np.empty(ends.size * 2 * ages * LINE)
            fill_held(close, costs, ends, ages, held)  # type: ignore[no-untyped-call]
            self._alone.append((Alone(close, costs, held, ages), windows))
        self._bars_of_windows = [
            np.array([own.stops[place] - own.starts[place] for _, own in self._alone if own is not None])
            for place in range(len(question.windows))
        ]

    def judge(self, params: AtcParams) -> Found:
        """What a combination comes to."""
        whole = np.empty((len(self.columns), len(ACCUMULATORS)))
        windows = np.empty((len(self.columns), len(self._question.windows), len(ACCUMULATORS)))
        levelled = Levelled(params.long_threshold, params.short_threshold, params.strategy_mode)
        six = self.pool.six(params)
        for place, (alone, parts) in enumerate(self._alone):
            judge_combination(  # type: ignore[no-untyped-call]
                alone,
                _as_six([series[place] for series in six], min(params.cutout, alone.close.size), levelled),
                levelled,
                self._trades,
                parts,
                whole[place : place + 1],
                windows[place : place + 1],
            )
        metrics = self._metrics_of(whole, self._bars, self._question.metrics)
        return Found(metrics, _trades_of(whole), self._over_windows(windows))

    def _over_windows(self, windows: NDArray[float64]) -> NDArray[float64]:
        metric = self._question.metrics[0]
        found = np.full(windows.shape[1::-1], np.nan)
        for place, bars in enumerate(self._bars_of_windows):
            there = np.flatnonzero(bars)
            if there.size:
                accumulators = windows[there, place]
                values = self._metrics_of(accumulators, bars[there], (metric,))[metric]
                found[place, there] = np.where(countable(values, _trades_of(accumulators), 1), values, np.nan)
        return found

    def _metrics_of(
        self, accumulators: NDArray[float64], bars: NDArray[int64], names: tuple[str, ...]
    ) -> dict[str, NDArray[float64]]:
        """Metrics of columns, together where all have as many bars."""
        year = self._question.bars_per_year
        if (bars == bars[0]).all():
            return metrics_of(accumulators, int(bars[0]), year, names)
        parts = [metrics_of(row, int(own), year, names) for row, own in zip(accumulators, bars, strict=True)]
        return {name: np.array([part[name] for part in parts]) for name in names}


def _trades_of(accumulators: NDArray[float64]) -> NDArray[float64]:
    """NaN where vectorbt raises: none."""
    trades = accumulators[:, TRADES]
    return np.where(np.isnan(trades), 0.0, trades)


def _as_six(series: list[Series], start: int, levelled: Levelled) -> Six:
    total = sum(one.largest for one in series)
    return Six(
        tuple(one.signals for one in series),
        tuple(one.weights for one in series),
        start,
        scale_of(total, levelled.long_threshold),
        scale_of(total, levelled.short_threshold),
    )
