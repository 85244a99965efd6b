"""`sweep`: every combination of a grid on every symbol, judged as vectorbt would judge it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from ..prices import read_prices
from .backends import run_here, run_on_workers
from .blocks import Blocks
from .collecting import Best, Everything
from .grid import ParamGrid
from .planning import check_memory, plan
from .question import question_of
from .resolving import resolve
from .result import SweepResult

if TYPE_CHECKING:
    from ..cache.store import Store
    from .series import SweepSeries

DEFAULT_METRICS = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")
OUTPUTS = ("metrics", "average", "direction")


@overload
def sweep(
    close: Any, grid: ParamGrid, source: Any = ..., metrics: Iterable[str] | str = ..., *,
    output: Literal["metrics"] = ..., fees: float = ..., slippage: float = ..., direction: str = ..., freq: Any = ...,
    windows: Any = ..., top: Any = ..., backend: str | None = ..., n_jobs: int | None = ...,
    cache: bool | str | os.PathLike[str] | Store = ..., progress: bool = ..., timeout: float | None = ...,
) -> SweepResult: ...  # fmt: skip
@overload
def sweep(
    close: Any, grid: ParamGrid, source: Any = ..., *, output: Literal["average", "direction"],
    n_jobs: int | None = ...,
) -> SweepSeries: ...  # fmt: skip
def sweep(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    metrics: Iterable[str] | str = DEFAULT_METRICS,
    *,
    output: str = "metrics",
    fees: float = 0.0,
    slippage: float = 0.0,
    direction: str = "both",
    freq: Any = None,
    windows: Any = None,
    top: int | tuple[str, int] | None = None,
    backend: str | None = "auto",
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] | Store = True,
    progress: bool = True,
    timeout: float | None = None,
) -> SweepResult | SweepSeries:
    """Judge every combination of a grid on every column of prices, as `vectorbt.Portfolio.from_signals` would.

    Moving averages and equities are computed once for all combinations that share them, and a combination is reduced to
    its metrics at once. Each is judged over the bars that its column has.

    Args:
        close: prices, as `atc` takes them.
        grid: the combinations.
        source: what the averages are of; close by default.
        metrics: of "total_return", "annualized_return", "sharpe_ratio", "sortino_ratio", "max_drawdown",
            "calmar_ratio", "total_trades", "win_rate", "profit_factor" and "exposure", as vectorbt defines them
            (docs/fills.md). Only what is asked for is computed.
        output: "metrics"; or "average" or "direction" for the series of every combination.
        fees: a share of each order.
        slippage: a share of the price.
        direction: "both" reverses at every turn, "longonly" and "shortonly" hold one side.
        freq: the time of a bar, which metrics of a year need; by default the usual step of a DatetimeIndex.
        windows: ranges of bars to give the metrics for as well, in the same pass: a number of equal ranges, or slices
            of positions or labels. Portfolios run on over their ends; trades count where they were entered.
        top: keep only so many combinations of each symbol, the best by the first metric, or (metric, number): any size
            of grid in constant memory.
        backend: "cpu" for threads of this process, "loky" for worker processes, "dask" for a cluster, "auto" for the
            backend that a `joblib.parallel_config` names, `ATC_BACKEND`, or else threads.
        n_jobs: threads or workers, -1 for all processors; `ATC_JOBS` by default.
        cache: where finished blocks of combinations are kept, so that a sweep that was stopped goes on where it was:
            a directory or `Store` keeps all, True what takes longer to compute than to read, False nothing.
        progress: a bar on a terminal or in a notebook.
        timeout: seconds without any result after which workers are given up; by default ample for the work.

    Returns:
        A `SweepResult`, or a `SweepSeries` for the other outputs.

    Raises:
        TypeError, ValueError: for bad prices, grids and arguments, before any work is done.
        MemoryError: where the results would not fit; the message says what to change.
        WorkerDied: where a combination kills its worker process every time.
        TimeoutError: where workers give no result in `timeout` seconds.

    >>> import numpy as np
    >>> close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 500)))
    >>> grid = ParamGrid(ema_len=[14, 28], kama_len=[14, 28])
    >>> sweep(close, grid, metrics=["total_return", "total_trades"], cache=False).frame.shape
    (4, 5)
    """
    started = time.perf_counter()
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(map(repr, OUTPUTS))}; got {output!r}")
    if isinstance(source, str) or (isinstance(source, (list, tuple)) and any(isinstance(one, str) for one in source)):
        raise TypeError(f"source takes prices; name metrics as metrics={source!r}")
    prices = read_prices(close, source)
    if timeout is not None and not (isinstance(timeout, (int, float)) and 0 < timeout < math.inf):
        raise ValueError(f"timeout must be a number of seconds above 0; got {timeout!r}")
    name, jobs = resolve(backend, n_jobs)
    if output != "metrics":
        from .series import SweepSeries

        judging = {
            "metrics": tuple(metrics) != DEFAULT_METRICS,
            "fees": fees != 0,
            "slippage": slippage != 0,
            "direction": direction != "both",
            "freq": freq is not None,
            "windows": windows is not None,
            "top": top is not None,
            "timeout": timeout is not None,
        }
        if given := [argument for argument, meant in judging.items() if meant]:
            raise ValueError(f"output={output!r} judges nothing: {', '.join(given)} would have no meaning")
        if backend not in (None, "auto", "cpu"):
            raise ValueError(f"output={output!r} is computed on threads of this process; got backend={backend!r}")
        return SweepSeries(prices, grid, output, jobs)
    question = question_of(
        prices, metrics, direction=direction, fees=fees, slippage=slippage, freq=freq, windows=windows, top=top
    )
    columns, bars = len(prices.counts), int(prices.counts.max(initial=0))
    planned = plan(
        grid,
        columns=columns,
        bars=bars,
        metrics=len(question.metrics),
        windows=len(question.windows),
        top=question.top.keep if question.top else None,
        jobs=jobs,
    )
    check_memory(planned)
    sink = Best(question, columns) if question.top else Everything(question, columns, planned.size)
    with Blocks(prices, planned, question, sink, cache, progress) as blocks:
        if name in ("auto", "cpu"):
            run_here(blocks, jobs)
        else:
            run_on_workers(blocks, grid, name, jobs, timeout)
    sink.finish()
    return SweepResult(
        grid=grid,
        prices=prices,
        metrics=dict(zip(question.metrics, sink.scores.metrics, strict=True)),
        trades=sink.scores.trades,
        columns=sink.columns,
        positions=sink.positions,
        windows=question.windows,
        window_metrics=dict(zip(question.metrics, sink.scores.windows, strict=True)) if question.windows else {},
        fees=question.fees,
        slippage=question.slippage,
        direction=question.direction,
        freq=question.freq,
        seconds=time.perf_counter() - started,
        reused=(blocks.reused, blocks.total),
    )
