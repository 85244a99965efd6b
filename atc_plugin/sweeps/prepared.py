"""A sweep's arguments, checked: all that has to be known of it before any work is done."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..prices import Prices, read_prices
from .grid import ParamGrid
from .planning import Plan, check_memory, plan
from .question import Question, question_of
from .resolving import resolve
from .settling import settled

DEFAULT_METRICS = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")


class Prepared(NamedTuple):
    """What is to be swept, and how."""

    grid: ParamGrid
    prices: Prices
    question: Question
    plan: Plan
    backend: str
    insist: bool  # on that backend: it was asked for, and not what "auto" took
    jobs: int
    timeout: float | None


def prepare(
    close: Any,
    grid: ParamGrid,
    source: Any = None,
    metrics: Iterable[str] | str = DEFAULT_METRICS,
    *,
    fees: float = 0.0,
    slippage: float = 0.0,
    direction: str = "both",
    freq: Any = None,
    windows: Any = None,
    top: int | tuple[str, int] | None = None,
    backend: str | None = "auto",
    n_jobs: int | None = None,
    timeout: float | None = None,
) -> Prepared:
    """Arguments and errors as of `sweep`."""
    prices = prices_of(close, source)
    if timeout is not None and not (isinstance(timeout, (int, float)) and 0 < timeout < math.inf):
        raise ValueError(f"timeout must be a number of seconds above 0; got {timeout!r}")
    name, jobs = resolve(backend, n_jobs)
    question = question_of(
        prices, metrics, direction=direction, fees=fees, slippage=slippage, freq=freq, windows=windows, top=top
    )
    planned = plan(
        grid,
        columns=len(prices.counts),
        bars=int(prices.counts.max(initial=0)),
        metrics=len(question.metrics),
        windows=len(question.windows),
        top=question.top.keep if question.top else None,
        jobs=jobs,
    )
    check_memory(planned)
    taken = settled(name, jobs, planned.estimate)
    return Prepared(grid, prices, question, planned, taken, taken == name, jobs, timeout)


def prices_of(close: Any, source: Any) -> Prices:
    """Prices, where the third argument may have been meant for metrics."""
    if isinstance(source, str) or (isinstance(source, (list, tuple)) and any(isinstance(one, str) for one in source)):
        raise TypeError(f"source takes prices; name metrics as metrics={source!r}")
    return read_prices(close, source)
