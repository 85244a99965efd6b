"""How fast a sweep is: `sweep` beside vectorbt, beside ATC as people write it, and on every backend.

    python benchmarks/sweep.py [--quick] [--only TABLE ...] [--markdown] [--json FILE]

Needs vectorbt, Dask and TA-Lib (`pip install "atc_plugin[test]"`). What is compared runs in turns, and figures are of
the best round: other processes only ever add to the time. A limit that does not hold is marked and never an error;
results that differ are one.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from floor import machine_speed
from measuring import STOCKS, Neighbours, Report, Table, against, command_line, in_turns, walk
from numba import njit
from numpy.typing import NDArray
from straightforward import straightforward_atc

from atc_plugin import ParamGrid, load_prices, sweep
from atc_plugin.law.bits import WORD, compare64
from atc_plugin.law.compiling import uncounted_kernel
from atc_plugin.law.metrics import METRICS
from atc_plugin.law.turns import LEVELS, find_turns, no_crossing, room_for_sums, update_sums
from atc_plugin.prices import read_prices
from atc_plugin.sweeps.accumulated import write_scores
from atc_plugin.sweeps.collecting import Everything
from atc_plugin.sweeps.components import components_of
from atc_plugin.sweeps.judge import Judge, arranged
from atc_plugin.sweeps.planning import plan
from atc_plugin.sweeps.question import Question, question_of
from atc_plugin.sweeps.result import SweepResult

BARS = 1_500
LONG = 100_000
FOUR = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")
TYPES = ("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len", "kama_len")
LENGTHS = range(10, 60, 5)
FEES = 0.001
FEES_OF_MANY = 0.0001
"""Of the long series: after ten thousand reversals at 0.1% nothing is left to trade with."""
GIGABYTE = 1e9

Measured = tuple[Table, dict[str, Any]]


def grid_of(combinations: int) -> ParamGrid:
    """Ten lengths of each type: all six types in a million, the first three in a thousand."""
    types = next(k for k in range(1, len(TYPES) + 1) if len(LENGTHS) ** k >= combinations)
    whole = ParamGrid(**dict.fromkeys(TYPES[:types], LENGTHS))
    return whole if len(whole) == combinations else whole[:combinations]


def stocks(symbols: int = 1) -> pd.DataFrame:
    """The last bars of the bundled stocks."""
    return load_prices(STOCKS).iloc[-BARS:, :symbols]


def ours(close: Any, grid: ParamGrid, **asked: Any) -> SweepResult:
    """A sweep from prices to metrics, nothing kept, on one thread unless asked otherwise."""
    settings = {"fees": FEES, "freq": "1D", "backend": "cpu", "n_jobs": 1, "cache": False, "progress": False}
    return sweep(close, grid, **(settings | asked))


class Timed(NamedTuple):
    """What the rounds of a task took."""

    best: float  # seconds
    median: float
    processors: float  # how many it got in the best round


def timed(rounds: int, tasks: dict[Any, Callable[[], object]]) -> dict[Any, Timed]:
    """Each task, in turns with the others."""
    used: dict[Any, list[float]] = {name: [] for name in tasks}

    def watched(name: Any) -> None:
        start = time.process_time()
        tasks[name]()
        used[name].append(time.process_time() - start)

    seconds = in_turns(rounds, *(lambda n=name: watched(n) for name in tasks))
    made = {}
    for name, taken in zip(tasks, seconds, strict=True):
        best = min(taken)
        made[name] = Timed(best, statistics.median(taken), used[name][1 + taken.index(best)] / best)
    return made


def ns(seconds: float, combinations: int, bars: int = BARS) -> float:
    """Nanoseconds a combination-bar."""
    return seconds / combinations / bars * 1e9


# ---------------------------------------------------------------- how fast
def rates(quick: bool) -> Measured:
    """Whole sweeps of all sizes, with four metrics and with ten, on one and on two threads."""
    sizes = {1_000: 30, 10_000: 10, 100_000: 3} if quick else {1_000: 200, 10_000: 80, 100_000: 20, 1_000_000: 8}
    close = stocks()
    cases = [(f"{size:,}", close, grid_of(size), FEES, rounds) for size, rounds in sizes.items()]
    mixed = grid_of(1_000_000).sample(10_000 if quick else 100_000, seed=0)
    cases.append((f"{len(mixed):,}, drawn by chance", close, mixed, FEES, 3 if quick else 10))
    bars, size = (20_000, 1_000) if quick else (LONG, 10_000)
    made_up = pd.Series(walk(bars), pd.date_range("2000-01-01", periods=bars, freq="1h"))
    cases.append((f"{size:,}", made_up, grid_of(size), FEES_OF_MANY, 3 if quick else 4))
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for name, prices, grid, fees, rounds in cases:
        size = len(grid)
        tasks = {
            (len(metrics), jobs): lambda p=prices, g=grid, f=fees, m=metrics, j=jobs: (
                ours(p, g, fees=f, metrics=m, n_jobs=j).frame
            )
            for metrics, jobs in itertools.product((FOUR, METRICS), (1, 2))
        }
        done = timed(rounds, tasks)
        for (metrics, jobs), taken in done.items():
            speed = ns(taken.best, size, len(prices))
            times = done[metrics, 1].best / taken.best
            limit = ("", "")
            if size == 1_000_000:
                at_most = 1.0 if metrics == 4 else 1.3
                limit = against(speed, at_most=at_most) if jobs == 1 else against(times, at_least=1.8)
                limit = (limit[0] + (" ns" if jobs == 1 else " times"), limit[1])
            cells = (
                f"{len(prices):,}",
                str(metrics),
                str(jobs),
                f"{taken.best * 1e3:,.1f}",
                f"{speed:.2f}",
                f"{ns(taken.median, size, len(prices)):.2f}",
                f"{1 / speed:.2f}",
                f"{times:.2f}",
                f"{taken.processors:.2f}",
            )
            rows.append((name, *cells, *limit))
            key = f"{name} x {len(prices)}, {metrics} metrics, {jobs} threads"
            figures[key] = {"ns": speed, "best_s": taken.best, "median_s": taken.median, "times_one_thread": times}
            figures[key] |= {"processors": taken.processors}
    header = (
        *("combinations", "bars", "metrics", "threads", "best, ms", "ns a combination-bar", "median"),
        *("10^9 a second", "times one thread", "processors", "limit", "holds"),
    )
    notes = (
        "The whole call, from a pandas Series to the frame of results: plan, components and tables included, nothing "
        f"cached. Prices: the last {BARS:,} bars of AAPL; the longer ones are made up (a seeded walk). A grid of 10^k "
        "combinations has ten lengths of each of k types; drawn by chance: of the 10^6, so that neighbours share "
        f"little. Fees {FEES:.1%}, of the longer ones {FEES_OF_MANY:.2%}: ten thousand reversals at {FEES:.1%} ruin "
        "any portfolio. Processors: processor time by elapsed time of the best round; two threads that got fewer than "
        "two had to share them with other processes."
    )
    return Table("Whole sweeps", header, rows, notes), figures


# ---------------------------------------------------------------- vectorbt
def vectorbt() -> ModuleType:
    """Imported where it is needed: workers that import this file do not need it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt as found
    return found


def signals_of(close: pd.Series, grid: ParamGrid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the direction of each combination turned up and down, (bars, combinations)."""
    direction = sweep(close, grid, output="direction").frame().to_numpy()
    before = np.vstack([np.zeros(direction.shape[1]), direction[:-1]])
    return (direction == 1) & (before != 1), (direction == -1) & (before != -1)


def theirs(close: pd.Series, up: NDArray[np.bool_], down: NDArray[np.bool_]) -> list[Any]:
    """The four metrics by vectorbt, of one combination or of one a column."""
    portfolio = vectorbt().Portfolio.from_signals(
        close, entries=up, short_entries=down, fees=FEES, freq="1D", engine="numba"
    )
    return [
        portfolio.total_return(),
        portfolio.sharpe_ratio(),
        portfolio.max_drawdown(),
        portfolio.trades.count(),
    ]


def one_by_one(close: pd.Series, up: NDArray[np.bool_], down: NDArray[np.bool_], count: int) -> list[list[Any]]:
    """The same of `count` combinations in a loop."""
    return [theirs(close, up[:, c], down[:, c]) for c in spread(up.shape[1], count)]


def spread(size: int, count: int) -> NDArray[np.int64]:
    """So many of `size` combinations, from the first to the last."""
    return np.linspace(0, size - 1, count).astype(int)


def worst_difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Relative; infinities and NaN must be the same."""
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        apart = np.abs(ours - theirs) / np.maximum(np.abs(ours), np.abs(theirs))
    return float(np.where(same, 0.0, apart).max(initial=0.0))


def winner_of(sharpe: NDArray[np.float64], trades: NDArray[np.float64]) -> int:
    """The best Sharpe ratio among those that traded, as one would look for it in vectorbt's."""
    return int(np.argmax(np.where((trades >= 1) & np.isfinite(sharpe), sharpe, -np.inf)))


def agreement(result: SweepResult, made: Iterable[Any], chosen: NDArray[np.int64] | None = None) -> float:
    """The worst relative difference of four metrics; an error where it is large, or the winner another one."""
    values = [np.asarray(values, dtype=float) for values in made]
    mine = [result.metrics[name] if chosen is None else result.metrics[name][chosen] for name in FOUR]
    for name, own, other in zip(FOUR, mine, values, strict=True):
        assert worst_difference(own, other) <= 1e-9, f"{name} differs from vectorbt's"
    assert (mine[3] == values[3]).all()
    if chosen is None:
        found = int(result.best("sharpe_ratio").index[0])
        assert found == winner_of(values[1], values[3]), "vectorbt has another winner"
    return max(map(worst_difference, mine, values))


def beside_vectorbt(quick: bool) -> Measured:
    """The same grids as wide frames and in a loop, the signals given to vectorbt for free."""
    close = stocks().iloc[:, 0]
    sizes = {200: 3, 1_000: 2} if quick else {2_000: 10, 10_000: 5}
    largest = 100_000 if quick else 1_000_000
    looped = 20 if quick else 200
    wanted = (None, None) if quick else (100, 3000)  # of grids that are worth a sweep
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    differences = []
    wide = loop = np.inf
    for size, rounds in sizes.items():
        grid = grid_of(size)
        up, down = signals_of(close, grid)
        kept: dict[str, Any] = {}
        tasks: dict[str, Callable[[], object]] = {
            "ours": lambda g=grid, k=kept: k.update(ours=ours(close, g)),
            "wide": lambda u=up, d=down, k=kept: k.update(wide=theirs(close, u, d)),
        }
        last = size == max(sizes)
        if last:
            tasks["loop"] = lambda u=up, d=down, k=kept: k.update(loop=one_by_one(close, u, d, looped))
            tasks["largest"] = lambda: ours(close, grid_of(largest))
        done = timed(rounds, tasks)
        differences.append(agreement(kept["ours"], kept["wide"]))
        mine, frame = ns(done["ours"].best, size), ns(done["wide"].best, size)
        wide = min(wide, frame)
        rows.append((f"{size:,}", "sweep, one thread", f"{mine:.2f}", "1", "", ""))
        cells = (f"{frame:,.0f}", f"{frame / mine:,.0f}", *against(frame / mine, at_least=wanted[0]))
        rows.append((f"{size:,}", "vectorbt, one wide frame", *cells))
        figures[f"{size}"] = {"sweep_ns": mine, "wide_ns": frame, "times_wide": frame / mine}
        if last:
            differences.append(agreement(kept["ours"], np.array(kept["loop"]).T, spread(size, looped)))
            loop = ns(done["loop"].best, looped)
            cells = (f"{loop:,.0f}", f"{loop / mine:,.0f}", *against(loop / mine, at_least=wanted[1]))
            rows.append((f"{size:,}", f"vectorbt, looped ({looped} of them timed)", *cells))
            best = ns(done["largest"].best, largest)
            figures[f"{size}"] |= {"loop_ns": loop, "times_loop": loop / mine}
            rows.append((f"{largest:,}", "sweep, one thread", f"{best:.2f}", "1", "", ""))
            for name, value, least in (
                ("vectorbt, wide frames", wide, wanted[0]),
                ("vectorbt, looped", loop, wanted[1]),
            ):
                cells = (f"{value:,.0f}", f"{value / best:,.0f}", *against(value / best, at_least=least))
                rows.append((f"{largest:,}", f"{name}, as above", *cells))
            figures[f"{largest}"] = {"sweep_ns": best, "times_wide": wide / best, "times_loop": loop / best}
    figures["worst_relative_difference"] = max(differences)
    header = ("combinations", "what", "ns a combination-bar", "times the sweep", "limit", "holds")
    notes = (
        f"{BARS:,} bars of AAPL, four metrics. vectorbt {vectorbt().__version__} (numba engine, compiled before) is "
        "given the signals of every combination for free; the sweep starts from prices. All four metrics of all "
        f"combinations agree to {max(differences):.0e} relative, and so does the winner: the best Sharpe ratio "
        "with a trade. Looped: time of a sample of the same grid, whose metrics agree too. As above: what vectorbt "
        f"needs a combination-bar in frames that fit; one of {largest:,} columns does not."
    )
    return Table("Beside vectorbt", header, rows, notes), figures


# ---------------------------------------------------------------- as people write it
def by_hand(close: pd.Series, lengths: list[int]) -> tuple[list[Any], NDArray[np.float64]]:
    """One combination without the package: the indicator in pandas, the portfolio by vectorbt."""
    _, direction = straightforward_atc(close, length=lengths)
    before = direction.shift(fill_value=0.0)
    up, down = (direction == 1) & (before != 1), (direction == -1) & (before != -1)
    return theirs(close, up.to_numpy(), down.to_numpy()), direction.to_numpy()


def beside_straightforward(quick: bool) -> Measured:
    """A loop over combinations that computes the indicator for each, from a sample of them."""
    close = stocks().iloc[:, 0]
    size = 100_000 if quick else 1_000_000
    grid = grid_of(size)
    each = [[getattr(grid[int(c)], name) for name in TYPES] for c in spread(size, 3 if quick else 15)]
    by_hand(close, each[0])
    seconds, made = [], []
    for lengths in each:
        start = time.perf_counter()
        made.append(by_hand(close, lengths))
        seconds.append(time.perf_counter() - start)
    mine = timed(2 if quick else 5, {"ours": lambda: ours(close, grid)})["ours"].best
    points = ParamGrid.points([dict(zip(TYPES, lengths, strict=True)) for lengths in each])
    direction = sweep(close, points, output="direction").frame().to_numpy()
    same = [float((one == direction[:, k])[250:].mean()) for k, (_, one) in enumerate(made)]
    one = statistics.median(seconds)
    speed, best = ns(one, 1), ns(mine, size)
    by_them = (f"{len(each)}", f"{one * 1e3:,.1f}", f"{speed:,.0f}", in_words(one * size), f"{speed / best:,.0f}")
    by_us = (f"{size:,}", f"{mine / size * 1e3:.5f}", f"{best:.2f}", in_words(mine), "1")
    rows = [("straightforward", *by_them), ("sweep, one thread", *by_us)]
    figures = {"straightforward_ns": speed, "sweep_ns": best, "times": speed / best, "least_same_direction": min(same)}
    header = (
        *("what", "combinations timed", "ms a combination", "ns a combination-bar"),
        *(f"{size:,} of them", "times the sweep"),
    )
    notes = (
        "Straightforward: benchmarks/straightforward.py (pandas, and numba where pandas has no word) and vectorbt's "
        f"portfolio with four metrics, anew for each combination; the median of {len(each)} spread over the grid, "
        f"from which the time of all is extrapolated. After bar 250 its direction is ours at {min(same):.1%} of the "
        "bars or more."
    )
    return Table("Beside the straightforward way", header, rows, notes), figures


def in_words(seconds: float) -> str:
    """A long time in words."""
    return f"{seconds / 3600:,.1f} hours" if seconds > 3600 else f"{seconds:,.2f} s"


# ---------------------------------------------------------------- memory
def _wide(columns: int) -> Callable[[], object]:
    close = stocks().iloc[:, 0]
    up, down = signals_of(close, grid_of(columns))
    theirs(close, up[:, :2], down[:, :2])
    return lambda: theirs(close, up, down)


def _looped(combinations: int) -> Callable[[], object]:
    close = stocks().iloc[:, 0]
    up, down = signals_of(close, grid_of(combinations))
    theirs(close, up[:, 0], down[:, 0])
    return lambda: one_by_one(close, up, down, combinations)


def _by_hand(combinations: int) -> Callable[[], object]:
    close = stocks().iloc[:, 0]
    by_hand(close, [28] * 6)
    return lambda: [by_hand(close, [20 + c] * 6) for c in range(combinations)]


def _ours(combinations: int, metrics: Iterable[str], jobs: int) -> Callable[[], object]:
    close, grid = stocks(), grid_of(combinations)
    _ = ours(close, grid_of(10), metrics=metrics, n_jobs=jobs).frame
    return lambda: ours(close, grid, metrics=metrics, n_jobs=jobs).frame


def peaks_of(quick: bool) -> dict[str, Callable[[], Callable[[], object]]]:
    """What is run in a process of its own, prepared there before its memory is looked at."""
    largest, columns = (100_000, 1_000) if quick else (1_000_000, 10_000)
    peaks: dict[str, Callable[[], Callable[[], object]]] = {
        f"sweep, {largest:,} combinations, four metrics": lambda: _ours(largest, FOUR, 1),
        f"vectorbt, a frame of {columns:,} columns": lambda: _wide(columns),
    }
    if not quick:
        peaks |= {
            f"sweep, {largest:,} combinations, ten metrics, two threads": lambda: _ours(largest, METRICS, 2),
            f"sweep, {columns:,} combinations, four metrics": lambda: _ours(columns, FOUR, 1),
            "vectorbt, looped over 20 combinations": lambda: _looped(20),
            "straightforward, 3 combinations": lambda: _by_hand(3),
        }
    return peaks


def tell_peak(prepare: Callable[[], Callable[[], object]]) -> None:
    """Print the bytes that this process held before the task and its peak during the task."""
    task = prepare()

    def status(field: str) -> int:
        with Path("/proc/self/status").open() as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of imports and of compiling
        before = status("VmRSS")
        kept = task()
        peak = status("VmHWM")
    except OSError:  # not Linux: the peak may be older than the task, so that this is the most it can be
        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        kept = task()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    del kept
    print(before, peak)


def memory(quick: bool) -> Measured:
    """Peak memory of each, in processes of their own."""
    rows, figures = [], {}
    for name in peaks_of(quick):
        command = [sys.executable, __file__, "--peak", name, *(["--quick"] if quick else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        before, peak = map(int, done.stdout.split())
        limit = ("", "")
        if name.startswith("sweep, 1,000,000"):
            limit = against(peak / GIGABYTE, at_most=1.5)
        cells = (f"{before / GIGABYTE:.2f}", f"{peak / GIGABYTE:.2f}", f"{(peak - before) / GIGABYTE:.2f}", *limit)
        rows.append((name, *cells))
        figures[name] = {"before_bytes": before, "peak_bytes": peak}
    header = ("what", "before, GB", "peak, GB", "added", "limit", "holds")
    notes = (
        "Resident memory of a new process: after imports, compiled kernels and a small run of the same (vectorbt: with "
        "all signals made), and its peak from there on. The limit is for the peak, the interpreter and all libraries "
        "included."
    )
    return Table(f"Peak memory, {BARS:,} bars", header, rows, notes), figures


# ---------------------------------------------------------------- backends
def backends(quick: bool) -> Measured:
    """Threads beside worker processes, the same bits from all."""
    from distributed import Client, LocalCluster
    from joblib.externals.loky import get_reusable_executor

    sizes = {10_000: 2} if quick else {10_000: 10, 100_000: 10, 1_000_000: 5}
    close = stocks()
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    kept: dict[str, SweepResult] = {}

    def run(name: str, grid: ParamGrid, **asked: Any) -> None:
        kept[name] = ours(close, grid, **asked)

    def run_cold(grid: ParamGrid) -> None:
        get_reusable_executor().shutdown(wait=True)
        started = time.perf_counter()
        run("loky, 2 workers, started for it", grid, backend="loky", n_jobs=2)
        cold.append(time.perf_counter() - started)

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, Client(cluster):
        for size, rounds in sizes.items():
            grid = grid_of(size)
            cold: list[float] = []
            for _ in range(1 if quick else 3):
                run_cold(grid)
            tasks: dict[str, Callable[[], object]] = {
                "threads, 1": lambda g=grid: run("threads, 1", g),
                "threads, 2": lambda g=grid: run("threads, 2", g, n_jobs=2),
                "loky, 2 workers": lambda g=grid: run("loky, 2 workers", g, backend="loky", n_jobs=2),
                "dask, 2 workers": lambda g=grid: run("dask, 2 workers", g, backend="dask"),
            }
            done = timed(rounds, tasks)
            done["loky, 2 workers, started for it"] = Timed(min(cold), statistics.median(cold), 0.0)
            peer = done["threads, 2"].best
            for name, taken in done.items():
                for metric in FOUR:
                    same = kept[name].metrics[metric].tobytes() == kept["threads, 1"].metrics[metric].tobytes()
                    assert same, f"{metric}: {name} gives other bits than one thread"
                over = "" if name.startswith("threads") else f"{(taken.best - peer) * 1e3:,.0f}"
                cells = (f"{taken.best * 1e3:,.1f}", f"{taken.median * 1e3:,.1f}", over, f"{peer / taken.best:.2f}")
                rows.append((f"{size:,}", name, *cells))
                figures[f"{size}, {name}"] = {"best_s": taken.best, "median_s": taken.median}
    get_reusable_executor().shutdown(wait=True)
    header = ("combinations", "backend", "best, ms", "median", "more than 2 threads, ms", "speed, 2 threads = 1")
    notes = (
        f"{BARS:,} bars of AAPL, four metrics, nothing cached; the same bits from all. Workers run already, and have "
        "loaded the kernels, but where started for it: that includes their imports. Dask: LocalCluster, two processes "
        "of one thread."
    )
    return Table("Backends", header, rows, notes), figures


# ---------------------------------------------------------------- symbols, windows
def symbols(quick: bool) -> Measured:
    """One stock, five and twenty."""
    size = 1_000 if quick else 10_000
    grid = grid_of(size)
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    prices = {count: stocks(count) for count in (1, 5, 20)}
    tasks = {
        (count, jobs): lambda p=prices[count], j=jobs: ours(p, grid, n_jobs=j).frame
        for count, jobs in itertools.product(prices, (1, 2))
    }
    done = timed(3 if quick else 20, tasks)
    for (count, jobs), taken in done.items():
        speed, alone = ns(taken.best, count * size), ns(done[1, jobs].best, size)
        cells = (f"{taken.best * 1e3:,.1f}", f"{speed:.2f}", f"{ns(taken.median, count * size):.2f}")
        rows.append((str(count), str(jobs), *cells, f"{speed / alone:.2f}", f"{taken.processors:.2f}"))
        figures[f"{count} symbols, {jobs} threads"] = {"ns": speed, "best_s": taken.best}
    header = ("symbols", "threads", "best, ms", "ns a combination-bar", "median", "of one symbol's", "processors")
    notes = f"{size:,} combinations x {BARS:,} bars of each of the bundled stocks, four metrics, to the frame."
    return Table("Symbols", header, rows, notes), figures


def windows(quick: bool) -> Measured:
    """What metrics of parts of the bars cost beside those of the whole."""
    size = 10_000 if quick else 100_000
    close, grid = stocks(), grid_of(size)
    tasks = {
        (count, len(metrics)): lambda w=count, m=metrics: ours(close, grid, metrics=m, windows=w)
        for metrics, count in itertools.product((FOUR, METRICS), (None, 1, 4, 16))
    }
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    done = timed(2 if quick else 10, tasks)
    for (count, metrics), taken in done.items():
        speed, more = ns(taken.best, size), ns(taken.best - done[None, metrics].best, size)
        cells = (f"{speed:.2f}", f"{ns(taken.median, size):.2f}", f"{more:.2f}" if count else "")
        rows.append((str(metrics), str(count or 0), *cells))
        figures[f"{count or 0} windows, {metrics} metrics"] = {"ns": speed, "more_ns": more}
    header = ("metrics", "windows", "ns a combination-bar", "median", "more than without")
    notes = f"{size:,} combinations x {BARS:,} bars of AAPL, one thread; windows are equal parts of the bars."
    return Table("Windows", header, rows, notes), figures


# ---------------------------------------------------------------- where the time goes
@uncounted_kernel
def _turns_alone(components, images, levels, ids, order, sequence, bars, find, sums, turns):  # judge_tile, not folding
    rows = (bars + WORD - 1) // WORD * WORD
    total = 0
    for place in range(sequence.size):
        combination = ids[sequence[place]]
        update_sums(sums, images, levels, combination, order, 0, rows)
        if find:
            count, _ = find_turns(components, images, levels, sums, combination, order, 0, bars, no_crossing(), turns)
            total += count
    return total + sums.above[0] // 2**31


@njit(nogil=True, error_model="numpy")
def _comparing_alone(sums, above, below, width, ids, last_type, bars):  # what find_turns adds and compares, no more
    bits = np.uint64(0)
    for k in range(len(ids)):
        at = ids[k, last_type] * width
        for base in range(0, bars, WORD):
            over, doubt = compare64(sums, base, above, at + base, 6, 7)
            under, doubt_under = compare64(sums, width + base, below, at + base, 6, 7)
            bits ^= over ^ doubt ^ under ^ doubt_under
    return bits


def stages(quick: bool) -> Measured:
    """The parts of a sweep on one thread, each by itself; what a part takes beyond the one inside it is its own."""
    size = 100_000 if quick else 1_000_000
    close, grid = stocks(), grid_of(size)
    prices = read_prices(close)
    asked = {"direction": "both", "fees": FEES, "slippage": 0.0, "freq": "1D", "windows": None, "top": None}
    four, ten = (question_of(prices, metrics, **asked) for metrics in (FOUR, METRICS))
    planned = plan(grid, columns=1, bars=BARS)
    column = prices.close[0]
    components = components_of(planned, column, column)
    judges = {len(question.metrics): Judge(column, components, planned, question.trading) for question in (four, ten)}
    some = planned.ids(0, 1)
    blocks = [(ids := planned.ids(*block), *arranged(ids)) for block in planned.blocks]
    images, levels = judges[4].column.images, judges[4].column.levels
    room, turns_room = room_for_sums(images.width), np.empty(images.width, np.int64)
    sums = np.zeros(2 * images.width, np.int32)
    first = {metrics: [one.judge(ids) for ids, _, _ in blocks] for metrics, one in judges.items()}

    def alone(find: bool) -> int:
        parts = (
            _turns_alone(components, images, levels, ids, order, sequence, BARS, find, room, turns_room)
            for ids, order, sequence in blocks
        )
        return sum(parts)

    def all_scores(question: Question) -> None:
        sink = Everything(question, 1, size)
        for (start, _), part in zip(planned.blocks, first[len(question.metrics)], strict=True):
            write_scores(part, BARS, None, question, 1, *sink.room(0, start, len(part.whole)))

    tasks: dict[str, Callable[[], object]] = {
        "prices and request": lambda: question_of(read_prices(close), FOUR, **asked),
        "plan": lambda: plan(grid, columns=1, bars=BARS),
        "components": lambda: components_of(planned, column, column),
        "images": lambda: Judge(column, components, planned, four.trading),
        "images and table": lambda: Judge(column, components, planned, four.trading).judge(some),
        "order": lambda: [arranged(planned.ids(*block)) for block in planned.blocks],
        "only order": lambda: [arranged(ids) for ids, _, _ in blocks],
        "sums": lambda: alone(False),
        "sums and turns": lambda: alone(True),
        "comparing": lambda: [
            _comparing_alone(sums, images.above, images.below, images.width, ids, order[LEVELS], BARS)
            for ids, order, _ in blocks
        ],
        "four": lambda: [judges[4].judge(ids) for ids, _, _ in blocks],
        "ten": lambda: [judges[10].judge(ids) for ids, _, _ in blocks],
        "metrics of four": lambda: all_scores(four),
        "metrics of ten": lambda: all_scores(ten),
        "whole, four": lambda: ours(close, grid).frame,
        "whole, ten": lambda: ours(close, grid, metrics=METRICS).frame,
    }
    done = {name: taken.best for name, taken in timed(2 if quick else 7, tasks).items()}
    turns = alone(True) / size
    wait = machine_speed()["wait_ns"]
    shared = {
        "prices, request, plan": done["prices and request"] + done["plan"],
        f"{len(planned.components)} components": done["components"],
        "their images": done["images"],
        "table of stretches": done["images and table"] - done["images"],
        "combinations in order": done["order"],
        "running sums": done["sums"],
        "turns": done["sums and turns"] - done["sums"],
    }
    floors = {"turns": ns(done["comparing"], size), "folding": turns * wait / BARS}
    rows = []
    figures: dict[str, Any] = {"turns_a_combination": turns, "wait_ns": wait, "seconds": done}
    columns = {}
    for word, metrics in (("four", 4), ("ten", 10)):
        parts = dict(shared)
        parts["folding"] = done[word] - done["only order"] - done["sums and turns"]
        parts["metrics"] = done[f"metrics of {word}"]
        parts["rest: results, frame, calls"] = done[f"whole, {word}"] - sum(parts.values())
        parts["whole"] = done[f"whole, {word}"]
        columns[metrics] = parts
        figures[word] = {name: ns(seconds, size) for name, seconds in parts.items()}
    for name in columns[4]:
        mine = [f"{columns[metrics][name] * 1e3:,.1f}" for metrics in (4, 10)]
        speed = [f"{ns(columns[metrics][name], size):.3f}" for metrics in (4, 10)]
        floor = f"{floors[name]:.3f}" if name in floors else ""
        rows.append((name, mine[0], speed[0], mine[1], speed[1], floor))
    header = ("stage", "four metrics, ms", "ns a combination-bar", "ten, ms", "ns", "floor, ns")
    words = -(-BARS // WORD)
    notes = (
        f"{size:,} combinations x {BARS:,} bars of AAPL, one thread, the best of rounds in turns; what runs inside "
        "another part is subtracted from it, and runs differ, so that the rest may be below zero. Floor of the turns: "
        f"nothing but the additions and comparisons of 2 x {words * WORD:,} 32-bit numbers a combination, in the same "
        "order on the same arrays, measured in this run: "
        f"{2 * 2 * words * WORD * 4 / 1024:.0f} KB read, of which the running sums stay in the first cache. What is "
        f"above it takes the bits apart, of {turns:.0f} turns a combination. Floor of the fold: one multiplication a "
        f"turn that waits for the last, {wait:.2f} ns; it also reads a line of 64 bytes a turn, "
        f"{turns * 64 / 1024:.1f} KB a combination out of a table of {2 * BARS * judges[4].ages * 64 / 1e6:.0f} MB."
    )
    return Table("Where the time goes", header, rows, notes), figures


# ---------------------------------------------------------------- report
TABLES: dict[str, Callable[[bool], Measured]] = {
    "rates": rates,
    "memory": memory,
    "vectorbt": beside_vectorbt,
    "straightforward": beside_straightforward,
    "backends": backends,
    "symbols": symbols,
    "windows": windows,
    "stages": stages,
}


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = command_line(__doc__, "small grids and few rounds")
    parser.add_argument("--only", nargs="+", choices=TABLES, metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        tell_peak(peaks_of(asked.quick)[asked.peak])
        return

    report = Report(asked)
    for metrics in (FOUR, METRICS):  # compiled, or loaded
        ours(stocks(), grid_of(10), metrics=metrics)
    for name, measure in TABLES.items():
        if asked.only and name not in asked.only:
            continue
        neighbours = Neighbours()
        table, report.figures[name] = measure(asked.quick)
        table.notes = f"{table.notes} {neighbours.words()}".rstrip()
        report.show(table)
    report.end()


if __name__ == "__main__":
    main()
