"""Guards beside a sweep's best: how much of it is luck of the search. `docs/overfitting.md` says how to read them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .neighbourhood import Neighbours, stability_of
from .overfitting import (
    Blocks,
    Overfitting,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    independent_trials,
    probability_of_overfitting,
    sharpe_ratios,
)
from .prepared import prepare
from .question import MODES
from .ranking import countable

if TYPE_CHECKING:
    import pandas as pd

    from ..cache.store import Store
    from .result import SweepResult

INIT_CASH = 100.0


class Searched(NamedTuple):
    """All combinations of one symbol as trials: what the guards of any of its rows are made of."""

    overfitting: Overfitting
    sharpe: NDArray[float64]  # of each combination, of one bar; NaN for one that never traded
    trials: int  # how many ever traded
    independent: float
    variance: float  # of their Sharpe ratios


def guards_of_rows(
    result: SweepResult, rows: list[int], metric: str, blocks: int, *options: Any, **named: Any
) -> pd.DataFrame:
    """What `SweepResult.guards` promises; options are those of `searched`."""
    import pandas as pd

    columns = result.rows.symbol(np.array(rows, dtype=int64)).tolist()
    known = {column: searched(result, column, blocks, *options, **named) for column in dict.fromkeys(columns)}
    near = Neighbours(result.grid)
    made = [guards_of_row(result, row, metric, known[column], near) for row, column in zip(rows, columns, strict=True)]
    table = pd.DataFrame(made, index=np.array(rows, dtype=int64), columns=list(Guards._fields))
    return table if made else table.astype(float64)


def searched(
    result: SweepResult,
    column: int,
    blocks: int,
    cache: bool | str | os.PathLike[str] | Store = True,
    backend: str | None = "auto",
    n_jobs: int | None = None,
    progress: bool | Callable[[int, int], object] = True,
) -> Searched:
    """All combinations of one symbol as trials; remembered by the result."""
    known: dict[Any, Searched] = result.__dict__.setdefault("_searched", {})
    if (column, blocks) not in known:
        known[column, blocks] = _searched(result, column, blocks, cache, backend, n_jobs, progress)
    return known[column, blocks]


def _searched(
    result: SweepResult,
    column: int,
    blocks: int,
    cache: bool | str | os.PathLike[str] | Store,
    backend: str | None,
    n_jobs: int | None,
    progress: bool | Callable[[int, int], object],
) -> Searched:
    """Go through the grid once more on one symbol, for the returns of every combination in so many blocks of bars."""
    from .run import pass_over
    from .statistics import Statistics, write_statistics

    if isinstance(blocks, bool) or not isinstance(blocks, (int, np.integer)) or blocks % 2 or not 2 <= blocks <= 20:
        raise ValueError(f"blocks must be an even number from 2 to 20; got {blocks!r}")
    prices = result.prices_of_column(column)
    bars = int(prices.counts[0])
    if bars < 2 * blocks:
        raise ValueError(f"blocks={blocks} need two bars each; {result.symbols[column]!r} has {bars:,}")
    own = prices.own(0)
    close = np.ascontiguousarray(own[0])
    source = None if own[1] is own[0] else np.ascontiguousarray(own[1])
    prepared = prepare(
        close,
        result.grid,
        source,
        ("total_return", "total_trades"),  # two numbers for each block, as the estimate of memory has it
        fees=result.fees,
        slippage=result.slippage,
        direction=result.direction,
        windows=int(blocks),
        backend=backend,
        n_jobs=n_jobs,
    )
    question = prepared.question._replace(marked=prepared.backend != "gpu")  # which folds windows
    prepared = prepared._replace(question=question)
    sink = Statistics(question, prepared.plan.size)
    pass_over(prepared, sink, cache, progress, write_statistics)
    edges = np.array(question.windows)
    made = Blocks(sink.sums, sink.squares, (edges[:, 1] - edges[:, 0]).astype(int64))
    sharpe = sharpe_ratios(made)
    sharpe[sink.trades < 1] = np.nan
    tried = sharpe[np.isfinite(sharpe)]
    return Searched(
        probability_of_overfitting(made, prepared.jobs),
        sharpe,
        tried.size,
        independent_trials(made),
        float(tried.var(ddof=1)) if tried.size > 1 else 0.0,
    )


class Moments(NamedTuple):
    """Of the returns of one row, bar by bar."""

    bars: int
    sharpe: float
    skewness: float
    kurtosis: float


def moments_of(result: SweepResult, row: int) -> Moments:
    """Of the returns of a row's portfolio."""
    from ..law.portfolio import follow
    from ..result import AtcResult

    prices = result.prices_of_column(int(result.rows.symbol(np.array([row]))[0]))
    view = AtcResult(prices, result.params(row)).one_column()
    edges = np.empty(0, int64)
    returns, _ = follow(  # type: ignore[no-untyped-call]
        view.close, view.direction.astype(float64), MODES[result.direction], result.fees, result.slippage, INIT_CASH,
        edges, edges,
    )  # fmt: skip
    bars = returns.size
    with np.errstate(all="ignore"):
        away = returns - returns.mean()
        spread = (away**2).mean()
        skewness, kurtosis = (away**3).mean() / spread**1.5, (away**4).mean() / spread**2
        sharpe = returns.mean() / np.sqrt(spread * bars / (bars - 1))
    return Moments(bars, float(sharpe), float(skewness), float(kurtosis))


class Guards(NamedTuple):
    """What `SweepResult.guards` says of a row."""

    bars: int
    sharpe_of_a_bar: float
    skewness: float
    kurtosis: float
    trials: int
    expected_maximum: float
    deflated_sharpe_ratio: float
    independent_trials: float
    deflated_by_independent: float
    probability_of_overfitting: float
    probability_of_loss: float
    degradation: float
    neighbours: int
    stability: float


def guards_of_row(result: SweepResult, row: int, metric: str, found: Searched, near: Neighbours) -> Guards:
    """Everything that `SweepResult.guards` says of a row."""
    moments = moments_of(result, row)
    deflated, by_independent = (
        deflated_sharpe_ratio(
            moments.sharpe, moments.bars, max(trials, 1), found.variance, moments.skewness, moments.kurtosis
        )
        for trials in (found.trials, found.independent)
    )
    position = result.rows.position(row)
    neighbours = near.of(position)
    values = _values(result, row, metric, found)
    middle = float(np.nanmedian(values)) if np.isfinite(values).any() else math.nan
    return Guards(
        *moments,
        found.trials,
        expected_maximum_sharpe(max(found.trials, 1), found.variance),
        deflated,
        found.independent,
        by_independent,
        found.overfitting.probability,
        found.overfitting.loss,
        found.overfitting.slope,
        neighbours.size,
        stability_of(float(values[position]), values[neighbours], middle),
    )


def _values(result: SweepResult, row: int, metric: str, found: Searched) -> NDArray[float64]:
    """The metric of all combinations of a row's symbol, NaN where it does not count; after ``top=`` Sharpe ratios."""
    if result.positions is not None:
        return found.sharpe
    rows = result.rows.of_column(int(result.rows.symbol(np.array([row]))[0]))
    values = result.metrics[metric][rows]
    return np.where(countable(values, result.trades[rows], 1), values, np.nan)
