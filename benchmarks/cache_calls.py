"""The cache as its users meet it: `atc` and `sweep`, warmed and cold, in one process."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from keeping import Task, grid_of, in_turns_after, use
from measuring import Table, against, walk
from numpy.typing import NDArray

from atc_plugin import ParamGrid, atc, cache, sweep, warm
from atc_plugin.cache.settings import flush
from atc_plugin.cache.store import Store

FEES = 0.001
FEES_OF_MANY = 0.0001
"""Of long series: after ten thousand reversals at 0.1% nothing is left to trade with."""

PUBLISHED = ParamGrid(ema_len=[28])
"""One combination, that of `atc` without parameters."""

Measured = tuple[Table, dict[str, Any]]


def ms(seconds: float) -> str:
    """In milliseconds, with as many digits as say something."""
    return f"{seconds * 1e3:,.{3 if seconds < 0.01 else 1}f}"


def swept(close: Any, grid: ParamGrid, **asked: Any) -> dict[str, NDArray[Any]]:
    """A sweep from prices to metrics."""
    settings: dict[str, Any] = {"fees": FEES, "freq": "1D", "backend": "cpu", "n_jobs": 1, "progress": False}
    return sweep(close, grid, **(settings | asked)).metrics


def read(close: Any, **asked: Any) -> dict[str, Any]:
    """What is usually read of `atc`."""
    result = atc(close, **asked)
    return {"average": result.average, "direction": result.direction}


def check_bits(name: str, made: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise where an output differs in a bit."""
    for output, values in expected.items():
        if np.asarray(made[output]).tobytes() != np.asarray(values).tobytes():
            raise AssertionError(f"{name}: {output} is not what cache=False gives")


def check_all_hit(name: str, store: Store) -> None:
    """Raise where something that was warmed had to be computed."""
    stats = cache.stats(cache=store)
    if stats.misses or not stats.hits:
        raise AssertionError(f"{name}: {stats.hits} hits, {stats.misses} misses: {stats.misses_by_reason}")


# ---------------------------------------------------------------- warmed and cold in one process
def warmed(quick: bool) -> Measured:
    """Hits and misses of `atc` and `sweep` beside cache=False, in turns."""
    cases: list[tuple[str, int, int, int]] = []  # name, combinations (0: atc), bars, rounds
    for bars, rounds in {1_500: 500, 10_000: 150, 100_000: 40, 1_000_000: 8}.items():
        cases.append((f"atc, {bars:,} bars", 0, bars, max(2, rounds // (8 if quick else 1))))
    sizes = {1: 200, 100: 100, 10_000: 30}, {1: 20, 100: 8, 10_000: 3}
    for bars, many in zip((1_500, 100_000), sizes, strict=True):
        for combinations, rounds in many.items():
            if not (quick and bars > 10_000 and combinations > 1):
                name = f"sweep, {combinations:,} x {bars:,} bars"
                cases.append((name, combinations, bars, max(2, rounds // (8 if quick else 1))))
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for name, combinations, bars, rounds in cases:
        done = hits_and_misses(name, combinations, bars, rounds)
        best = {what: min(taken) for what, taken in done.items()}
        cold = best["cache=False"]
        rows.append((name, "cache=False", ms(cold), "1", "", ""))
        for what, seconds in best.items():
            if what == "cache=False":
                continue
            limit: tuple[str, str] = ("", "")
            if what.startswith("hit"):
                limit = against(seconds / cold, at_most=0.05 if bars == 1_000_000 else 1.0)
            elif "writing" not in what:
                limit = against(seconds / cold, at_most=1.05)
            rows.append((name, what, ms(seconds), f"{seconds / cold:.3f}", *limit))
        figures[name] = best
    header = ("call", "cache", "best, ms", "of cache=False", "limit", "holds")
    notes = (
        "atc: from a numpy array to average and direction read; sweep: four metrics, one thread. Warmed by `warm`. "
        "Hit, disk: nothing in this process's memory, the file in the system's. Miss: prices that nobody has seen, "
        "what was written behind the calls before finished outside the time; others warmed: in a directory where other "
        "prices were warmed. Writing included: calls in a row and all that is written behind them, a call."
    )
    return Table("Warmed and cold, in one process", header, rows, notes), figures


def hits_and_misses(name: str, combinations: int, bars: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of all kinds of call."""
    base = walk(bars)
    fresh = (base * (1 + place * 1e-9) for place in itertools.count(1))
    grid = grid_of(max(combinations, 1))
    fees = FEES if bars < 10_000 else FEES_OF_MANY

    def call(close: Any, **asked: Any) -> dict[str, Any]:
        if combinations:
            return swept(close, grid, fees=fees, **asked)
        return read(close, **asked)

    with tempfile.TemporaryDirectory() as parent:
        for folder, close in (("others", base * 2), ("warmed", base)):
            store = use(Path(parent, folder))
            warm(close, grid if combinations else PUBLISHED, fees=fees, freq="1D", progress=False)
        check_bits(name, call(base), call(base, cache=False))
        store.statistics.reset()

        def prepared(folder: str, new: bool, forgetting: bool = False) -> Any:
            flush()
            there = use(Path(parent, folder))
            if forgetting:
                there.forget()
            return next(fresh) if new else base.copy()

        tasks = {
            "cache=False": Task(lambda: prepared("none", True), lambda close: call(close, cache=False)),
            "hit, memory": Task(lambda: prepared("warmed", False), call),
            "hit, disk": Task(lambda: prepared("warmed", False, True), call),
            "miss": Task(lambda: prepared("misses", True), call),
            "miss, others warmed": Task(lambda: prepared("others", True), call),
        }
        done = in_turns_after(rounds, tasks)
        check_all_hit(name, store)
        check_bits(name, call(prepared("warmed", False, True)), call(base, cache=False))
        many = 2 if bars * max(combinations, 1) > 10**6 else 20

        def several(batch: list[Any]) -> None:
            for close in batch:
                call(close)
            flush()

        def batch() -> list[Any]:
            return [prepared("written", True) for _ in range(many)]

        taken = in_turns_after(max(1, rounds // many), {"written": Task(batch, several)})["written"]
        done["misses, writing included"] = [seconds / many for seconds in taken]
        flush()
    return done


# ---------------------------------------------------------------- a bar more
def a_bar_more(quick: bool) -> Measured:
    """Prices that have grown by a bar since they were warmed, another one each time."""
    sizes = {1_500: (40, 10_000), 100_000: (8, 100 if quick else 1_000)}
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for bars, (rounds, combinations) in sizes.items():
        rounds = max(3, rounds // (4 if quick else 1))
        grid, fees = grid_of(combinations), FEES if bars < 10_000 else FEES_OF_MANY
        base = walk(bars + 1)
        last = (base[-1] * (1 + place * 1e-9) for place in itertools.count(1))

        def grown(base: NDArray[np.float64] = base, last: Any = last) -> NDArray[np.float64]:
            flush()
            return np.append(base[:-1], next(last))

        def judged(close: Any, grid: ParamGrid = grid, fees: float = fees, **asked: Any) -> dict[str, Any]:
            return swept(close, grid, fees=fees, **asked)

        with tempfile.TemporaryDirectory() as directory:
            store = use(directory)
            for warmed_grid in (grid, PUBLISHED):
                warm(base[:-1], warmed_grid, fees=fees, freq="1D", progress=False)
            tasks = {
                "atc, cold": Task(grown, lambda close: read(close, cache=False)),
                "atc, a bar more": Task(grown, read),
                "sweep, cold": Task(grown, lambda close, run=judged: run(close, cache=False)),
                "sweep, a bar more": Task(grown, judged),
            }
            for name, (before, call) in tasks.items():
                again = before()
                check_bits(name, call(again), (read if name.startswith("atc") else judged)(again, cache=False))
            store.statistics.reset()
            done = {name: min(taken) for name, taken in in_turns_after(rounds, tasks).items()}
            flush()
            stats = cache.stats()
            hits = {row.level: row.hits for row in stats.rows if row.hits}
        for name, seconds in done.items():
            what = name.split(",")[0]
            ratio = seconds / done[f"{what}, cold"]
            limit = against(ratio, at_most=1.0) if name.endswith("more") else ("", "")
            size = f"{bars:,}" if what == "atc" else f"{combinations:,} x {bars:,}"
            rows.append((size, name, ms(seconds), f"{ratio:.3f}", *limit))
        figures[str(bars)] = done | {"hits": hits, "misses": stats.misses_by_reason}
    header = ("bars", "call", "best, ms", "of cold", "limit", "holds")
    notes = (
        "Warmed without the last bar, which is another one in each call; cold: cache=False. atc resumes a result; of a "
        "sweep the components are resumed, and all combinations judged anew."
    )
    return Table("Yesterday's warm", header, rows, notes), figures
