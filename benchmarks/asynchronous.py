"""What overlapping saves: many symbols fetched and computed at once, beside one after the other.

    python benchmarks/asynchronous.py [--quick] [--markdown] [--json FILE]

A fetch is a wait of 50 ms, as for a quick server; nothing is sent anywhere. Limits are held against the median. Outputs
that differ from those of `atc` are an error.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from measuring import Neighbours, Report, Table, against, command_line
from numpy.typing import NDArray

from atc_plugin import atc, atc_async, precompile, run_batch_async

SYMBOLS, BARS = 200, 1_500
FETCH = 0.05
LIMIT = 2.0

CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, (SYMBOLS, BARS)), axis=1))


async def fetch(symbol: int) -> NDArray[np.float64]:
    """The prices of a symbol, after a while."""
    await asyncio.sleep(FETCH)
    return CLOSE[symbol]


async def one_after_the_other(symbols: int) -> dict[int, Any]:
    """What most people write first."""
    return {symbol: atc(await fetch(symbol)) for symbol in range(symbols)}


async def gathered(symbols: int) -> dict[int, Any]:
    """All fetches at once, which few servers permit, then a call each."""

    async def one(symbol: int) -> Any:
        return await atc_async(await fetch(symbol))

    return dict(enumerate(await asyncio.gather(*map(one, range(symbols)))))


def fetches(symbols: int) -> dict[int, Callable[[], Awaitable[Any]]]:
    """For each symbol a function that fetches its prices."""
    return {symbol: functools.partial(fetch, symbol) for symbol in range(symbols)}


async def batch(symbols: int, concurrency: int) -> dict[int, Any]:
    """Some fetches at a time, computing meanwhile."""
    items = await run_batch_async(fetches(symbols), concurrency=concurrency, on_error="raise")
    return {symbol: item.result for symbol, item in items.items()}


async def at_once() -> dict[int, Any]:
    """Without any fetch: what computing alone costs."""
    return dict(enumerate(atc(CLOSE.T).average.T))


def measured(work: Callable[[], Awaitable[dict[int, Any]]], rounds: int) -> tuple[list[float], dict[int, Any]]:
    """Seconds of each round, the loop's start and end included, and what came out."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = asyncio.run(work())  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - start)
    return seconds, found


def overlapping(quick: bool) -> tuple[Table, dict[str, Any]]:
    """Every way of it, with whether its results are those of `atc`."""
    rounds = 2 if quick else 7
    ways: list[tuple[str, Callable[[], Awaitable[dict[int, Any]]], int, float | None]] = [
        ("one after the other", lambda: one_after_the_other(SYMBOLS), 1, None),
        *(
            (f"run_batch_async, {n} fetches at a time", lambda n=n: batch(SYMBOLS, n), rounds, LIMIT)
            for n in (8, 16, 64)
        ),
        ("atc_async of each, all fetches at a time", lambda: gathered(SYMBOLS), rounds, None),
        ("no fetch: atc of the frame", at_once, rounds, None),
    ]
    expected = atc(CLOSE.T).average.T
    rows, figures = [], {}
    first = 0.0
    for name, work, times, limit in ways:
        seconds, found = measured(work, times)
        for symbol, result in found.items():
            average = getattr(result, "average", result)
            assert np.array_equal(average, expected[symbol], equal_nan=True), (name, symbol)
        assert len(found) == SYMBOLS
        median = statistics.median(seconds)
        first = first or median
        figures[name] = {"best_s": min(seconds), "median_s": median}
        cells = (f"{min(seconds):.3f}", f"{median:.3f}", f"{first / median:.1f}")
        rows.append((name, *cells, *(against(median, at_most=limit) if limit else ("", ""))))
    header = ("how", "best, s", "median, s", "times faster", "limit", "holds")
    notes = (
        f"{SYMBOLS} symbols of {BARS:,} bars, {FETCH * 1e3:.0f} ms of simulated fetch each. With n fetches at a time "
        f"the fetches alone take {SYMBOLS} / n x {FETCH * 1e3:.0f} ms: 1.25 s for 8, 0.65 s for 16, 0.2 s for 64."
    )
    return Table("Fetching and computing at once", header, rows, notes), figures


async def time_to_end(after: float) -> float:
    """Seconds from the cancellation of a batch to its end."""
    task = asyncio.create_task(batch(SYMBOLS, 8))
    await asyncio.sleep(after)
    start = time.perf_counter()
    task.cancel()
    await asyncio.wait([task])
    return time.perf_counter() - start


def cancelling(quick: bool) -> tuple[Table, dict[str, Any]]:
    """How long a cancelled batch takes to end, and what is left of it."""
    before = set(threading.enumerate())
    points = np.linspace(0.01, 1.0, 5 if quick else 25)
    seconds = [asyncio.run(time_to_end(float(after))) for after in points]
    left = len(set(threading.enumerate()) - before)
    figures = {"worst_s": max(seconds), "median_s": statistics.median(seconds), "threads_left": left}
    cells = (f"{statistics.median(seconds) * 1e3:.2f}", f"{max(seconds) * 1e3:.2f}", str(left))
    rows = [(f"run_batch_async, at {len(points)} points from 0.01 to 1 s", *cells, *against(left, at_most=0))]
    header = ("cancelled", "median, ms until it ended", "worst", "threads left", "limit", "holds")
    return Table("Cancelling", header, rows, "Of the same batch, 8 fetches at a time."), figures


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "few rounds").parse_args()
    report = Report(asked)
    precompile()
    neighbours = Neighbours()
    for name, measure in (("overlapping", overlapping), ("cancelling", cancelling)):
        table, report.figures[name] = measure(asked.quick)
        report.show(table)
    report.end(neighbours.words())


if __name__ == "__main__":
    main()
