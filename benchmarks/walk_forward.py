"""What a walk-forward and the guards of a best row cost beside one plain sweep of the same grid.

    python benchmarks/walk_forward.py [--quick] [--markdown] [--json FILE]

What is compared runs in turns, and figures are of the best round: other processes only ever add to the time. Ratios are
of processor time, which they add least to. A limit that does not hold is marked and never an error; results that differ
are one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from measuring import STOCKS, Neighbours, Report, Table, against, command_line, in_turns
from sweep import BARS, FEES, grid_of, ours, stocks

from atc_plugin import ParamGrid, WalkForward, load_prices, walk_forward
from atc_plugin.sweeps.result import SweepResult

FOLDS = 20
SIZE = 10_000
ALL_BARS = 3_270
"""Of the bundled stocks."""

Measured = tuple[Table, dict[str, Any]]


def walked(close: Any, grid: ParamGrid, jobs: int, **asked: Any) -> WalkForward:
    """Twenty folds from prices to tables and equity: a third of the bars to train on, a thirtieth to test."""
    bars = len(close)
    settings = {"fees": FEES, "freq": "1D", "backend": "cpu", "cache": False, "progress": False, "n_jobs": jobs}
    found = walk_forward(close, grid, train=bars // 3, test=bars // 30, **(settings | asked))
    assert len(found.folds) == FOLDS
    _ = found.frame, found.equity
    return found


class Cost(NamedTuple):
    """Of the best round by each measure."""

    best: float  # seconds
    processor: float  # seconds of all threads


def costs(rounds: int, tasks: dict[str, Callable[[], object]]) -> dict[str, Cost]:
    """Each task, in turns with the others."""
    used: dict[str, list[float]] = {name: [] for name in tasks}

    def watched(name: str) -> None:
        start = time.process_time()
        tasks[name]()
        used[name].append(time.process_time() - start)

    seconds = in_turns(rounds, *(lambda n=name: watched(n) for name in tasks))
    return {name: Cost(min(taken), min(used[name][1:])) for name, taken in zip(tasks, seconds, strict=True)}


def check(found: WalkForward, swept: SweepResult) -> None:
    """The winners of marks are as good as those of a sweep that was asked for the training ranges as windows."""
    sharpe = swept.window_metrics["sharpe_ratio"]
    best = np.where(np.isfinite(sharpe) & (swept.trades[:, np.newaxis] >= 1), sharpe, -np.inf).max(axis=0)
    mine = sharpe[found.positions[0], np.arange(FOLDS)]
    assert np.allclose(mine, best, rtol=1e-9), "another winner than a sweep with windows has"


def folds(quick: bool) -> Measured:
    """A walk-forward of 20 folds beside a plain sweep."""
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    size = SIZE
    grid = grid_of(size)
    for bars, jobs in itertools.product((BARS,) if quick else (BARS, ALL_BARS), (1, 2)):
        close = load_prices(STOCKS).iloc[-bars:, :1]
        windows = [slice(*fold.train) for fold in walked(close, grid, 1).folds]
        tasks: dict[str, Callable[[], object]] = {
            "one plain sweep": lambda c=close, j=jobs: ours(c, grid, n_jobs=j).frame,
            "walk_forward": lambda c=close, j=jobs: walked(c, grid, j),
            "walk_forward, anchored": lambda c=close, j=jobs: walked(c, grid, j, anchored=True),
            "walk_forward by max_drawdown": lambda c=close, j=jobs: walked(c, grid, j, metric="max_drawdown"),
            "a sweep with the 20 windows": lambda c=close, j=jobs, w=windows: ours(c, grid, n_jobs=j, windows=w).frame,
        }
        check(walked(close, grid, jobs), ours(close, grid, windows=windows))
        done = costs(5 if quick else 40, tasks)
        plain = done["one plain sweep"]
        for name, taken in done.items():
            limit = ("", "")
            times = taken.processor / plain.processor
            if name in ("walk_forward", "walk_forward, anchored"):
                limit = against(times, at_most=2.0)
            cells = (f"{taken.best * 1e3:,.1f}", f"{taken.processor * 1e3:,.1f}", f"{times:.2f}", *limit)
            rows.append((f"{bars:,}", str(jobs), name, *cells))
            figures[f"{name}, {bars} bars, {jobs} threads"] = {**taken._asdict(), "times": times}
    header = ("bars", "threads", "what", "best, ms", "processor, ms", "times the sweep", "limit", "holds")
    notes = (
        f"{size:,} combinations of AAPL, {FOLDS} folds, a third of the bars to train on and a thirtieth to test; the "
        "whole call, frame and equity read, nothing cached. The plain sweep has its four metrics and no windows. Every "
        "winner has the Sharpe ratio of the best of a sweep with these windows."
    )
    return Table("Walk-forward", header, rows, notes), figures


def guards(quick: bool) -> Measured:
    """The guards of the best row, the first time they are asked for."""
    sizes = {1_000: 3, 10_000: 2} if quick else {1_000: 20, 10_000: 10, 100_000: 3, 1_000_000: 1}
    close = stocks()
    rows: list[tuple[str, ...]] = []
    figures: dict[str, Any] = {}
    for (size, rounds), jobs in itertools.product(sizes.items(), (1, 2)):
        grid = grid_of(size)
        tasks = {
            "sweep": lambda g=grid, j=jobs: ours(close, g, n_jobs=j),
            "both": lambda g=grid, j=jobs: ours(close, g, n_jobs=j).guards(n_jobs=j, cache=False, progress=False),
        }
        done = costs(rounds, tasks)
        plain, both = done["sweep"], done["both"]
        beside = both.processor - plain.processor
        cells = (f"{(both.best - plain.best) * 1e3:,.0f}", f"{beside * 1e3:,.0f}", f"{beside / plain.processor:.1f}")
        rows.append((f"{size:,}", str(jobs), f"{plain.processor * 1e3:,.1f}", *cells))
        figures[f"{size}, {jobs} threads"] = {"sweep": plain._asdict(), "both": both._asdict()}
    header = (
        *("combinations", "threads", "sweep, processor, ms", "guards beside it, best, ms", "processor, ms"),
        "times the sweep",
    )
    notes = (
        f"{BARS:,} bars of AAPL, 12 blocks and so 924 splits of all combinations; nothing cached. Asked again, they "
        "are remembered."
    )
    return Table("Guards", header, rows, notes), figures


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    asked = command_line(__doc__, "small grids and few rounds").parse_args()
    report = Report(asked)
    walked(stocks(), grid_of(10), 1)  # compiled, or loaded
    walked(stocks(), grid_of(10), 1, metric="max_drawdown")
    for name, measure in {"folds": folds, "guards": guards}.items():
        neighbours = Neighbours()
        table, report.figures[name] = measure(asked.quick)
        table.notes = f"{table.notes} {neighbours.words()}".rstrip()
        report.show(table)
    report.end()


if __name__ == "__main__":
    main()
