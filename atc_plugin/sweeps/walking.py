"""`walk_forward`: choose on the past, trade what comes after, go on; all folds out of one pass over the grid."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..cache.settings import store_of
from ..law.metrics import METRICS
from ..names import found, suggestion
from .folds import folds_of
from .grid import ParamGrid
from .prepared import DEFAULT_METRICS, prepare, prices_of
from .run import pass_over
from .walked import WalkForward
from .winners import Winners

if TYPE_CHECKING:
    from ..cache.store import Store

_OF_SWEEPS = ("fees", "slippage", "direction", "freq", "backend", "n_jobs", "timeout")
_LOOKS_AHEAD = ("win_rate", "profit_factor")
_NOT_MARKED = ("max_drawdown", "calmar_ratio")
"""Metrics of windows that marks do not give."""


def walk_forward(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    *,
    train: Any,
    test: Any,
    purge: Any = 0,
    step: Any = None,
    anchored: bool = False,
    metric: str = "sharpe_ratio",
    metrics: Iterable[str] | str = DEFAULT_METRICS,
    min_trades: float = 1,
    cache: bool | str | os.PathLike[str] | Store = True,
    progress: bool | Callable[[int, int], object] = True,
    **sweep_arguments: Any,
) -> WalkForward:
    """Choose the best combination on one range of bars, trade it on the next, and so on through all bars.

    The grid is gone through once, for all folds and symbols together. docs/walk_forward.md says what is held at every
    bar.

    Args:
        close: prices, as `sweep` takes them.
        grid: the combinations.
        source: what the averages are of; close by default.
        train: how long to choose on: a number of bars; or, where the index is one of dates, a time such as "730D", a
            Timedelta or a DateOffset.
        test: how long to trade what was chosen.
        purge: how much to leave out between the two.
        step: from one test range to the next; `test` by default, so that they follow each other without a gap.
        anchored: choose on all bars from the first on, `train` being the least.
        metric: the largest value of this is chosen, of each symbol by itself. A combination is judged as in
            ``sweep(..., windows=...)``: its portfolio runs on from the first bar of all. "win_rate" and "profit_factor"
            would look ahead, for a trade is valued where it ends.
        metrics: what to report, in sample and out of sample; `metric` with them.
        min_trades: how many trades a combination must have entered in the training range to be chosen.
        cache: as `sweep` takes it; and so `progress`.
        progress: of the pass over the grid.
        **sweep_arguments: `fees`, `slippage`, `direction`, `freq`, `backend`, `n_jobs`, `timeout` of the sweep.

    Raises:
        TypeError, ValueError: for bad prices, grids and arguments, and where no fold fits, before any work is done.
        MemoryError, WorkerDied, TimeoutError: as `sweep`.

    >>> import numpy as np
    >>> close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 600)))
    >>> grid = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])
    >>> walked = walk_forward(close, grid, train=200, test=100, metric="total_return", metrics=[], cache=False)
    >>> walked.frame[["test_first", "test_last"]].values.tolist()
    [[200, 299], [300, 399], [400, 499], [500, 599]]
    >>> walked.equity.shape
    (400,)
    """
    started = time.perf_counter()
    for name in sweep_arguments:
        if name not in _OF_SWEEPS:
            raise TypeError(f"walk_forward takes no argument {name!r}{suggestion(name, _OF_SWEEPS)}")
    found(metric, METRICS, "metric", "metric")
    if metric in _LOOKS_AHEAD:
        raise ValueError(
            f"metric={metric!r} would look ahead: a trade is valued where it ends, after the training range too. "
            "It can be reported (metrics=), not chosen by"
        )
    prices = prices_of(close, source)
    folds = folds_of(prices, train, test, purge, step, anchored=anchored)
    reported = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    windows = [slice(*fold.train) for fold in folds]
    asked = prepare(
        close, grid, source, tuple(dict.fromkeys((metric, *reported))), windows=windows, top=1, **sweep_arguments
    )  # of all metrics, for their freq; what is kept does not grow with the grid, as top would have it
    chosen = tuple(dict.fromkeys((metric, "total_trades")))
    marked = metric not in _NOT_MARKED and asked.backend != "gpu"  # a GPU folds windows
    question = asked.question._replace(metrics=chosen, top=None, marked=marked)
    winners = Winners(question, len(prices.counts), min_trades)
    reused = pass_over(asked._replace(question=question), winners, cache, progress)
    from .stitched import trade_winners

    store, _ = store_of(cache)
    traded = trade_winners(prices, grid, folds, winners.positions, asked.question, asked.jobs, store)
    return WalkForward(
        grid=grid,
        prices=prices,
        folds=folds,
        metric=metric,
        positions=winners.positions,
        traded=traded,
        fees=question.fees,
        slippage=question.slippage,
        direction=question.direction,
        freq=question.freq,
        seconds=time.perf_counter() - started,
        reused=reused,
    )
