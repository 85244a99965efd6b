"""The winners of all folds traded one after the other: what a walk-forward would have earned."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from ..kept_components import components_for
from ..law.metrics import (
    ACCUMULATORS,
    DOWNSIDE,
    GAINS,
    GROWTH,
    IN_MARKET,
    LOSSES,
    MAX_DRAWDOWN,
    RETURNS,
    SPREAD,
    SUM,
    TOTAL_RETURN,
    TRADES,
    WINS,
    metrics_of,
)
from ..prices import Prices
from ..threads import share
from .columns import at_positions
from .folds import Fold
from .grid import ParamGrid
from .judge import level_table
from .planning import plan
from .question import Question

if TYPE_CHECKING:
    from ..cache.store import Store

INIT_CASH = 100.0
_ADDED = (IN_MARKET, TRADES, WINS, GAINS, LOSSES)


class Traded(NamedTuple):
    """What the winners did, (columns, folds) of each metric and (columns, bars) of all tested bars."""

    held: NDArray[int64]  # (columns, folds), the combination that is followed: -1 before the first winner
    train: dict[str, NDArray[float64]]  # of the combination that is followed
    test: dict[str, NDArray[float64]]
    whole: dict[str, NDArray[float64]]  # (columns,), of all tested bars
    rows: NDArray[int64]  # (bars,), the rows of the prices that are tested
    returns: NDArray[float64]  # NaN where a column has no bar
    directions: NDArray[int8]  # of the combination that is followed; 0 where there is none, and without a bar


def trade_winners(
    prices: Prices,
    grid: ParamGrid,
    folds: Sequence[Fold],
    positions: NDArray[int64],
    question: Question,
    jobs: int,
    store: Store | None,
) -> Traded:
    """Trade winners (columns, folds), positions in the grid: a portfolio for each stretch of test ranges without a gap.

    A fold without a winner goes on with the one before.
    """
    columns, count = positions.shape
    rows = np.concatenate([np.arange(*fold.test) for fold in folds])
    held = _carried_over(positions)
    names = question.metrics
    train, test = ({name: np.full((columns, count), np.nan) for name in names} for _ in range(2))
    whole = {name: np.full(columns, np.nan) for name in names}
    returns, directions = np.full((columns, rows.size), np.nan), np.zeros((columns, rows.size), int8)

    def work(column: int, _: int) -> None:
        one = _Column(prices, grid, folds, held[column], question, column, store)
        for made, mine in ((train, one.train()), (test, one.test())):
            for name, values in mine.items():
                made[name][column] = values
        for name, value in one.whole().items():
            whole[name][column] = value
        tested = one.own[rows + 1] > one.own[rows]
        returns[column, tested] = np.concatenate(one.returns)
        directions[column, tested] = np.concatenate(one.directions)

    share(work, columns, jobs, 1)
    return Traded(held, train, test, whole, rows, returns, directions)


def _carried_over(positions: NDArray[int64]) -> NDArray[int64]:
    """The last winner so far of each column."""
    latest = np.maximum.accumulate(np.where(positions >= 0, np.arange(positions.shape[1]), -1), axis=1)
    return np.where(latest >= 0, np.take_along_axis(positions, np.maximum(latest, 0), axis=1), -1)


class _Column:
    """The winners of one column, on its own bars."""

    def __init__(
        self,
        prices: Prices,
        grid: ParamGrid,
        folds: Sequence[Fold],
        held: NDArray[int64],
        question: Question,
        column: int,
        store: Store | None,
    ) -> None:
        from ..law.portfolio import follow

        bars = prices.close.shape[1]
        valid = np.ones(bars, np.bool_) if prices.valid is None else prices.valid[column]
        self.own = np.concatenate([[0], np.cumsum(valid)])  # how many of its own bars lie before a row
        self._close = prices.own(column)[0]
        self._folds, self._held, self._question = folds, held, question
        self._follow = follow
        self._series = _series_of_winners(prices, grid, held, column, store)
        self.returns: list[NDArray[float64]] = []
        self.directions: list[NDArray[int8]] = []
        self._tested = np.zeros((len(folds), len(ACCUMULATORS)))
        for first, last in _without_gaps(folds):
            self._trade(first, last)

    def train(self) -> dict[str, NDArray[float64]]:
        """Each fold's combination alone, from the first bar of all to the end of training: nothing after it is seen."""
        kept = np.zeros((len(self._folds), len(ACCUMULATORS)))
        edges = self._edges("train")
        for place, ((start, stop), combination) in enumerate(zip(edges.tolist(), self._held.tolist(), strict=True)):
            if combination >= 0 and start < stop:
                _, (kept[place],) = self._run(slice(0, stop), self._series[combination][:stop], [start], [stop])
        return self._metrics_of_folds(kept, edges)

    def test(self) -> dict[str, NDArray[float64]]:
        """Of each test range of the portfolio that follows one winner after the other."""
        return self._metrics_of_folds(self._tested, self._edges("test"))

    def whole(self) -> dict[str, float]:
        """Of all tested bars together."""
        returns = np.concatenate(self.returns)
        if not returns.size or self._held[-1] < 0:
            return {}
        kept = np.zeros(len(ACCUMULATORS))
        kept[list(_ADDED)] = self._tested[:, _ADDED].sum(axis=0)
        equity = np.cumprod(1 + returns)
        kept[GROWTH], kept[TOTAL_RETURN], kept[RETURNS] = equity[-1], equity[-1] - 1, returns.size
        kept[SUM], kept[DOWNSIDE] = returns.sum(), (np.minimum(returns, 0) ** 2).sum()
        kept[SPREAD] = ((returns - returns.mean()) ** 2).sum()
        kept[MAX_DRAWDOWN] = (equity / np.maximum.accumulate(equity) - 1).min()
        return {name: float(value) for name, value in self._metrics(kept, returns.size).items()}

    def _trade(self, first: int, last: int) -> None:
        """One portfolio over the test ranges of the folds first .. last - 1; it begins in cash."""
        folds = self._folds[first:last]
        start, stop = int(self.own[folds[0].test[0]]), int(self.own[folds[-1].test[1]])
        directions = np.zeros(stop - start)
        edges = self._edges("test")[first:last] - start
        for (begin, end), combination in zip(edges.tolist(), self._held[first:last].tolist(), strict=True):
            if combination >= 0:
                directions[begin:end] = self._series[combination][start + begin : start + end]
        self.directions.append(directions.astype(int8))
        returns, parts = self._run(slice(start, stop), directions, *edges.T)
        self.returns.append(returns)
        self._tested[first:last] = parts

    def _run(
        self, bars: slice, directions: NDArray[float64], starts: object, stops: object
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        close, trading = np.ascontiguousarray(self._close[bars]), self._question.trading
        edges = [np.array(each, dtype=int64) for each in (starts, stops)]
        if not close.size:
            return np.empty(0), np.zeros((edges[0].size, len(ACCUMULATORS)))
        made: tuple[NDArray[float64], NDArray[float64]] = self._follow(  # type: ignore[no-untyped-call]
            close, np.ascontiguousarray(directions), trading.mode, trading.fees, trading.slippage, INIT_CASH, *edges
        )
        return made

    def _edges(self, side: str) -> NDArray[int64]:
        """Starts and stops of training or testing in the column's own bars, (folds, 2)."""
        edges: NDArray[int64] = self.own[np.array([getattr(fold, side) for fold in self._folds])]
        return edges

    def _metrics_of_folds(self, kept: NDArray[float64], edges: NDArray[int64]) -> dict[str, NDArray[float64]]:
        """NaN where nothing is followed, and where there is no bar."""
        made = {name: np.full(len(kept), np.nan) for name in self._question.metrics}
        bars = edges[:, 1] - edges[:, 0]
        for each in np.unique(bars[(self._held >= 0) & (bars > 0)]).tolist():
            some = (bars == each) & (self._held >= 0)
            for name, values in self._metrics(kept[some], each).items():
                made[name][some] = values
        return made

    def _metrics(self, accumulators: NDArray[float64], bars: int) -> dict[str, NDArray[float64]]:
        return metrics_of(accumulators, bars, self._question.bars_per_year, self._question.metrics)


def _without_gaps(folds: Sequence[Fold]) -> Iterator[tuple[int, int]]:
    """First fold and the one after the last of test ranges that follow each other at once."""
    begins = [place for place, fold in enumerate(folds) if not place or fold.test[0] != folds[place - 1].test[1]]
    return itertools.pairwise([*begins, len(folds)])


def _series_of_winners(
    prices: Prices, grid: ParamGrid, held: NDArray[int64], column: int, store: Store | None
) -> dict[int, NDArray[float64]]:
    """The direction of each combination that is followed, over all bars of the column."""
    from ..law.turns import series_of

    distinct = np.unique(held[held >= 0])
    bars = int(prices.counts[column])
    if not distinct.size:
        return {}
    planned = plan(ParamGrid.points(list(at_positions(grid, distinct))))
    components = components_for(store, planned, *prices.own(column))
    values = np.empty((len(distinct), bars))
    ids = planned.ids(0, len(distinct))
    series_of(components, level_table(planned), ids, np.arange(bars), True, 0, len(distinct), values)  # type: ignore[no-untyped-call]
    return dict(zip(distinct.tolist(), values, strict=True))
