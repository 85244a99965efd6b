"""`sweep`: every combination of a grid on every symbol, judged as vectorbt would judge it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, overload

from ..cache.settings import store_of
from .accumulated import write_scores
from .backends import run_here, run_on_devices, run_on_workers
from .blocks import Blocks
from .collecting import Best, Everything, Sink
from .grid import ParamGrid
from .prepared import DEFAULT_METRICS, Prepared, prepare, prices_of
from .resolving import resolve
from .result import SweepResult

if TYPE_CHECKING:
    from ..cache.store import Store
    from .series import SweepSeries

OUTPUTS = ("metrics", "average", "direction")


@overload
def sweep(
    close: Any, grid: ParamGrid, source: Any = ..., metrics: Iterable[str] | str = ..., *,
    output: Literal["metrics"] = ..., fees: float = ..., slippage: float = ..., direction: str = ..., freq: Any = ...,
    windows: Any = ..., top: Any = ..., backend: str | None = ..., n_jobs: int | None = ...,
    cache: bool | str | os.PathLike[str] | Store = ..., progress: bool | Callable[[int, int], object] = ...,
    timeout: float | None = ...,
) -> SweepResult: ...  # fmt: skip
@overload
def sweep(
    close: Any, grid: ParamGrid, source: Any = ..., *, output: Literal["average", "direction"],
    backend: str | None = ..., n_jobs: int | None = ...,
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
    progress: bool | Callable[[int, int], object] = True,
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
        output: "metrics"; or "average" or "direction" for the series of every combination, which are computed when they
            are gone through: by threads, or by GPUs where `backend` or `ATC_BACKEND` says "gpu".
        fees: a share of each order.
        slippage: a share of the price.
        direction: "both" reverses at every turn, "longonly" and "shortonly" hold one side.
        freq: the time of a bar, which metrics of a year need; by default the usual step of a DatetimeIndex.
        windows: ranges of bars to give the metrics for as well, in the same pass: a number of equal ranges, or slices
            of positions or labels. Portfolios run on over their ends; trades count where they were entered.
        top: keep only so many combinations of each symbol, the best by the first metric, or (metric, number): any size
            of grid in constant memory.
        backend: "cpu" for threads of this process, "gpu" for the graphics cards of this machine (docs/gpu.md), "loky"
            for worker processes, "dask" for a cluster, "auto" for the backend that a `joblib.parallel_config` names,
            `ATC_BACKEND`, what `tune` found faster, or else threads, and a GPU for long work where there is one.
        n_jobs: threads or workers, -1 for all processors; `ATC_JOBS` by default, or what `tune` found best.
        cache: where finished blocks of combinations are kept, so that a sweep that was stopped goes on where it was:
            a directory or `Store` keeps all, True what takes longer to compute than to read, False nothing. See
            docs/cache.md.
        progress: a bar on a terminal or in a notebook; or a function called with the combinations that are done and how
            many there are, from any thread; what it raises ends the sweep.
        timeout: seconds without any result after which workers are given up; by default ample for the work.

    Returns:
        A `SweepResult`, or a `SweepSeries` for the other outputs.

    Raises:
        TypeError, ValueError: for bad prices, grids and arguments, before any work is done.
        MemoryError: where the results would not fit; the message says what to change.
        RuntimeError: where a GPU is asked for that cannot be used; it says why.
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
    if output == "metrics":
        prepared = prepare(
            close,
            grid,
            source,
            metrics,
            fees=fees,
            slippage=slippage,
            direction=direction,
            freq=freq,
            windows=windows,
            top=top,
            backend=backend,
            n_jobs=n_jobs,
            timeout=timeout,
        )
        return judged(prepared, cache, progress, started)
    from .series import SweepSeries

    prices = prices_of(close, source)
    name, jobs = resolve(backend, n_jobs)
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
    if backend not in (None, "auto", "cpu", "gpu"):
        raise ValueError(
            f"output={output!r} is computed by threads of this process or by GPUs of this machine, backend 'cpu' or "
            f"'gpu'; got backend={backend!r}"
        )
    store, _ = store_of(cache)
    # "auto" stays on threads: all that a device computes crosses the bus. Whether that pays has not been measured.
    return SweepSeries(prices, grid, output, jobs, store, on_devices=name == "gpu")


def judged(
    prepared: Prepared,
    cache: bool | str | os.PathLike[str] | Store,
    progress: bool | Callable[[int, int], object],
    started: float,
) -> SweepResult:
    """The result of a sweep that is ready to go, begun at `started` by `time.perf_counter`."""
    grid, prices, question, planned, *_ = prepared
    columns = len(prices.counts)
    sink = Best(question, columns) if question.top else Everything(question, columns, planned.size)
    reused = pass_over(prepared, sink, cache, progress)
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
        reused=reused,
    )


def pass_over(
    prepared: Prepared,
    sink: Sink,
    cache: bool | str | os.PathLike[str] | Store,
    progress: bool | Callable[[int, int], object],
    write: Callable[..., None] = write_scores,
) -> tuple[int, int]:
    """Judge all combinations once, their metrics into `sink`; how many of how many blocks were there already."""
    with Blocks(prepared, sink, cache, progress, write) as blocks:
        if prepared.backend == "gpu":
            run_on_devices(blocks, prepared.jobs, prepared.insist)
        elif prepared.backend in ("auto", "cpu"):
            run_here(blocks, prepared.jobs)
        else:
            run_on_workers(blocks, prepared.grid, prepared.backend, prepared.jobs, prepared.timeout)
    return blocks.reused, blocks.total
