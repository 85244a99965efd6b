"""Warming: everything that later calls need is kept, in any process, and they find all of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_sweeps import assert_same_result, items, walks, worth
from numba.core.config import DISABLE_JIT

import atc_plugin
from atc_plugin import ParamGrid, atc, cache, kept_components, kept_results, load_prices, sweep, warm
from atc_plugin.cache.store import Store
from atc_plugin.sweeps.judge import Judge
from atc_plugin.warm_jobs import Warmed, WarmJob

CLOSE = walks()
GRID = ParamGrid(ema_len=[10, 28, 40], kama_len=range(9, 21, 2), long_threshold=[0.1, 0.2])
ARGUMENTS: dict[str, Any] = {"fees": 0.001, "metrics": ["total_return", "win_rate"], "freq": "1D", "n_jobs": 2}


def test_all_that_was_warmed_is_found(default_cache: Path) -> None:
    assert not cache.contains(CLOSE, GRID, **ARGUMENTS)
    done = warm(CLOSE, GRID, **ARGUMENTS)
    assert (done.columns, done.combinations, done.already_there) == (3, 36, 0.0)
    assert done.blocks == (0, 3)
    assert done.components == (0, 3 * 9)
    assert done.results == (0, 3 * 36)
    assert (done.found, done.items, done.kept) == (0, 30 + 108, True)
    assert cache.stats().hit_rate is None  # warming's own looks say nothing
    assert cache.contains(CLOSE, GRID, **ARGUMENTS)
    cache.settings.forget()
    assert sweep(CLOSE, GRID, **ARGUMENTS).reused == (3, 3)
    assert_same_result(sweep(CLOSE, GRID, **ARGUMENTS), sweep(CLOSE, GRID, **ARGUMENTS, cache=False))
    for combination in (GRID[0], GRID[35]):
        got, expected = (atc(CLOSE, params=combination, cache=kept) for kept in (True, False))
        pd.testing.assert_frame_equal(got.average, expected.average, check_exact=True)
        pd.testing.assert_frame_equal(got.weights["KAMA"], expected.weights["KAMA"], check_exact=True)
    assert cache.stats().hit_rate == 1.0


def test_a_second_time_it_says_that_all_is_there(tmp_path: Path) -> None:
    first = warm(CLOSE, GRID[:4], cache=tmp_path, **ARGUMENTS)
    assert "0 of 3 blocks of combinations were there already" in str(first)
    assert first.results == (0, 12)
    files = items(tmp_path)
    second = warm(CLOSE, GRID[:4], cache=tmp_path, **ARGUMENTS)
    assert second.already_there == 1.0
    assert "12 of 12 results were there already" in str(second)
    assert items(tmp_path) == files
    more = warm(CLOSE, GRID, cache=tmp_path, **ARGUMENTS)
    assert more.components[0] > 0
    assert more.blocks == (0, 3)


@pytest.mark.parametrize(
    "other", [{"fees": 0.002}, {"direction": "longonly"}, {"windows": 2}, {"top": 3}, {"slippage": 0.1}], ids=str
)
def test_other_questions_are_not_warmed(other: dict[str, Any], tmp_path: Path) -> None:
    warm(CLOSE, GRID, cache=tmp_path, **ARGUMENTS)
    assert cache.contains(CLOSE, GRID, cache=tmp_path, **{**ARGUMENTS, "metrics": ["sharpe_ratio"]})
    assert not cache.contains(CLOSE, GRID, cache=tmp_path, **{**ARGUMENTS, **other})
    assert not cache.contains(CLOSE + 1, GRID, cache=tmp_path, **ARGUMENTS)
    assert not cache.contains(CLOSE, GRID[1:], cache=tmp_path, **ARGUMENTS)


@pytest.mark.parametrize("missing", ["components", "result", "accumulators"])
def test_what_lacks_a_part_is_not_warmed(missing: str, tmp_path: Path) -> None:
    warm(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)
    assert cache.contains(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)
    victim = next(entry for entry in Store(tmp_path).disk.entries() if entry.note().kind == missing)
    Path(victim.path).unlink()
    cache.settings.forget()
    assert not cache.contains(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)
    again = warm(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)
    assert sum(count - there for there, count in (again.blocks, again.components, again.results)) == 1
    assert cache.contains(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)


def test_columns_with_few_bars_or_none(tmp_path: Path) -> None:
    close = CLOSE.assign(B=np.nan, C=[1.0] + [np.nan] * (len(CLOSE) - 1))
    for _ in range(2):
        warm(close, GRID, cache=tmp_path, **ARGUMENTS)
        assert cache.contains(close, GRID, cache=tmp_path, **ARGUMENTS)


# ---------------------------------------------------------------- every day a bar
@pytest.mark.parametrize("is_long", [False, True])
def test_yesterdays_warm_serves_today(is_long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_long:  # otherwise components are made anew in less time
        monkeypatch.setattr(kept_components, "LONG", 50)
    worth(monkeypatch, 1e9)
    known = CLOSE.iloc[:-5]
    warm(known, GRID, **ARGUMENTS)
    for bars in (len(CLOSE) - 4, len(CLOSE) - 3, len(CLOSE)):
        cache.settings.forget()
        close = CLOSE.iloc[:bars]
        got, expected = (sweep(close, GRID, **ARGUMENTS, cache=kept) for kept in (True, False))
        assert_same_result(got, expected)
        grown = [column for column in close if len(close[column].dropna()) > len(known[column].dropna())]
        assert cache.stats().misses_by_reason == {"never stored": len(grown)}  # the blocks of these are judged again
        levels = {row.level for row in cache.stats().rows if row.kind == "components" and row.hits}
        assert ("earlier" in levels) == is_long
        pd.testing.assert_frame_equal(
            atc(close, params=GRID[7]).average, atc(close, params=GRID[7], cache=False).average, check_exact=True
        )


def test_results_grow_by_their_new_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_results, "LONG", 50)  # otherwise a process that has the kernels computes them anew
    close = walks(300, columns=1)["A"]  # more than a tile: a pass is resumed between two
    warm(close.iloc[:-3], GRID[:2])
    for bars in (298, 300):
        cache.settings.forget()
        for combination in GRID[:2]:
            got, expected = (atc(close.iloc[:bars], params=combination, cache=kept) for kept in (True, False))
            pd.testing.assert_series_equal(got.average, expected.average, check_exact=True)
        assert [(row.level, row.hits) for row in cache.stats().rows if row.hits] == [("earlier", 2)]
        assert cache.stats().hit_rate == 1.0


# ---------------------------------------------------------------- jobs
def test_a_job_does_not_block_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, judge = threading.Event(), Judge.judge

    def waiting(self: Judge, *args: Any) -> Any:
        assert go.wait(60)
        return judge(self, *args)

    monkeypatch.setattr(Judge, "judge", waiting)
    before = set(threading.enumerate())
    job = warm(CLOSE, GRID, cache=tmp_path, background=True, **ARGUMENTS)
    assert isinstance(job, WarmJob)
    assert not job.done()
    assert 0 <= job.progress < 1
    with pytest.raises(TimeoutError):
        job.result(timeout=0.01)
    assert not job.wait(0.01)
    go.set()
    assert job.wait(60)
    assert isinstance(job.result(60), Warmed)
    assert job.exception() is None
    assert (job.done(), job.progress, job.cancelled(), job.cancel()) == (True, 1.0, False, False)
    assert repr(job) == "<WarmJob done>"
    assert cache.contains(CLOSE, GRID, cache=tmp_path, **ARGUMENTS)
    assert_no_thread_left(before)


def assert_no_thread_left(before: set[threading.Thread]) -> None:
    end = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_a_cancelled_job_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, judge = threading.Event(), threading.Event(), Judge.judge

    def waiting(self: Judge, *args: Any) -> Any:
        begun.set()
        assert go.wait(60)
        return judge(self, *args)

    monkeypatch.setattr(Judge, "judge", waiting)
    before = set(threading.enumerate())
    job = warm(CLOSE, GRID, cache=tmp_path, background=True, **{**ARGUMENTS, "n_jobs": 1})
    assert begun.wait(60)
    threading.Timer(0.05, go.set).start()
    assert job.cancel()
    assert job.cancelled()
    assert repr(job) == "<WarmJob cancelled>"
    with pytest.raises(CancelledError):
        job.result()
    with pytest.raises(CancelledError):
        job.exception()
    assert_no_thread_left(before)
    monkeypatch.undo()
    again = warm(CLOSE, GRID, cache=tmp_path, **ARGUMENTS)
    assert again.components == (27, 27)
    assert again.blocks[0] < 3


def test_a_job_tells_of_its_progress_too(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    job = warm(CLOSE, GRID, cache=tmp_path, background=True, progress=lambda *said: told.append(said), **ARGUMENTS)
    job.result(60)
    assert told[-1][0] == told[-1][1]


def test_what_goes_wrong_in_a_job_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(Judge, "judge", failing)
    job = warm(CLOSE, GRID, cache=tmp_path, background=True, **ARGUMENTS)
    assert isinstance(job.exception(60), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        job.result()
    assert repr(job) == "<WarmJob failed>"


def test_progress_is_told_and_ends_at_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    warm(CLOSE, GRID, cache=tmp_path, progress=lambda done, total: told.append((done, total)), **ARGUMENTS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]


# ---------------------------------------------------------------- workers
@pytest.mark.skipif(DISABLE_JIT, reason="workers compile")
def test_workers_warm_too_and_are_counted(tmp_path: Path) -> None:
    done = warm(CLOSE, GRID, cache=tmp_path, backend="loky", **ARGUMENTS)
    assert done.components == (0, 27)
    assert done.blocks == (0, 3)
    stats = cache.stats(cache=tmp_path)
    puts = {row.kind: row.puts for row in stats.rows}
    assert puts["components"] == 27
    again = warm(CLOSE, GRID, cache=tmp_path, backend="loky", **ARGUMENTS)
    assert again.already_there == 1.0
    assert cache.contains(CLOSE, GRID, cache=tmp_path, **ARGUMENTS)


# ---------------------------------------------------------------- where nothing can be kept
@pytest.mark.filterwarnings("ignore::joblib.memory.CacheWarning")
def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = warm(CLOSE, GRID[:2], cache=tmp_path / "file" / "cache", **ARGUMENTS)
    assert not done.kept
    assert "not all of it could be kept" in str(done)
    assert not cache.contains(CLOSE, GRID[:2], cache=tmp_path / "file" / "cache", **ARGUMENTS)


def test_what_was_removed_is_kept_again(tmp_path: Path) -> None:
    for _ in range(2):  # in memory it is all the time
        done = warm(CLOSE, GRID[:2], cache=tmp_path / "cache", **ARGUMENTS)
        assert (done.already_there, done.kept) == (0.0, True)
        assert cache.contains(CLOSE, GRID[:2], cache=tmp_path / "cache", **ARGUMENTS)
        shutil.rmtree(tmp_path / "cache")


def test_a_limit_that_is_too_small_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path, size_limit=20_000)
    done = warm(CLOSE, GRID, cache=store, **ARGUMENTS)
    assert not done.kept
    assert not cache.contains(CLOSE, GRID, cache=store, **ARGUMENTS)


def test_damage_that_is_repaired_is_no_fault(tmp_path: Path) -> None:
    warm(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)
    for path in items(tmp_path):
        path.write_bytes(path.read_bytes()[:-3])
    assert warm(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS).kept
    assert cache.contains(CLOSE, GRID[:2], cache=tmp_path, **ARGUMENTS)


ENDING = """
import sys, time
import numpy as np
from atc_plugin import ParamGrid, warm
close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (3000, 20)), axis=0))
grid = ParamGrid(ema_len=range(10, 60), kama_len=range(10, 60), dema_len=range(10, 60))
job = warm(close, grid, background=True, backend={backend!r}, n_jobs=2)
while not job.progress and not job.done():
    time.sleep(0.01)
assert not job.done(), job
"""


@pytest.mark.skipif(DISABLE_JIT, reason="workers compile")
@pytest.mark.parametrize("backend", ["cpu", "loky"])
def test_the_end_of_the_process_ends_a_job(backend: str) -> None:
    code = ENDING.format(backend=backend)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert {entry.kind for entry in cache.entries()} >= {"components"}
    assert cache.verify().damaged == ()


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"fee": 0.1}, TypeError, "takes no argument 'fee'. Did you mean 'fees'"),
        ({"output": "average"}, TypeError, "takes no argument 'output'"),
        ({"fees": -1}, ValueError, "fees"),
        ({"cache": False}, ValueError, "switched off"),
        ({"cache": 3}, TypeError, "cache must be"),
        ({"grid": {"ema_len": [1]}}, TypeError, "ParamGrid"),
        ({"close": "prices.csv"}, TypeError, "close"),
        ({"backend": "gpu"}, RuntimeError, "gpu"),
    ],
    ids=str,
)
@pytest.mark.parametrize("background", [False, True])
def test_refused_before_any_work_and_in_this_thread(
    wrong: dict[str, Any], error: type[Exception], message: str, background: bool
) -> None:
    with pytest.raises(error, match=message):
        warm(**{"close": CLOSE, "grid": GRID, "freq": "1D", "background": background, **wrong})


def test_a_cache_that_is_switched_off() -> None:
    cache.configure(enabled=False)
    with pytest.raises(ValueError, match="switched off"):
        warm(CLOSE, GRID, freq="1D")
    with pytest.raises(ValueError, match="switched off"):
        cache.contains(CLOSE, GRID, freq="1D")
    with pytest.raises(ValueError, match="ATC_CACHE=on"):
        cache.stats()


# ---------------------------------------------------------------- a new process
RUN = """
import json, sys, time
import numpy, pandas, joblib
import warnings
began = time.perf_counter()
from atc_plugin import ParamGrid, atc, cache, load_prices, sweep
close = load_prices({stocks!r}, symbols=["AAPL", "XOM"])
grid = ParamGrid(ema_len=[14, 28, 40], kama_len=[14, 28])
what, foreign = sys.argv[1], ()
if what == "sweep":
    assert sweep(close, grid, fees=0.001).reused == (2, 2)
    foreign = ("numba", "llvmlite", "vectorbt", "plotly", "tqdm")
if what == "atc":
    atc(close, ema_len=40, kama_len=14).average
    atc(close, ema_len=14).weights["EMA"]
    foreign = ("numba", "llvmlite", "vectorbt", "plotly")
if what == "vectorbt":
    warnings.simplefilter("ignore")
    from atc_plugin.indicators.vectorbt import ATC
    ATC.run(close, ema_len=[14, 28, 40], kama_len=[14, 28, 28])
    ATC.run(close, ema_len=14)
if what == "backtrader":
    import backtrader as bt
    from atc_plugin.indicators.backtrader import ATC
    class Follow(bt.Strategy):
        def __init__(self):
            self.atc = ATC(self.data, ema_len=40, kama_len=14)
    for symbol in close:
        cerebro = bt.Cerebro()
        bars = dict.fromkeys(("open", "high", "low", "close"), close[symbol].dropna())
        frame = pandas.DataFrame(bars).assign(volume=0)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Follow)
        cerebro.run()
    foreign = ("numba", "llvmlite", "vectorbt")
stats = cache.stats()
print(json.dumps([stats.hits, stats.misses, [name for name in foreign if name in sys.modules]]))
"""


@pytest.mark.parametrize("what", ["sweep", "atc", "vectorbt", "backtrader"])
def test_a_new_process_finds_all_of_it(what: str, default_cache: Path) -> None:
    pytest.importorskip(what if what in ("vectorbt", "backtrader") else "numpy")
    stocks = str(Path(atc_plugin.__file__).parents[1] / "examples" / "data" / "us_stocks.csv.gz")
    close = load_prices(stocks, symbols=["AAPL", "XOM"])
    if DISABLE_JIT:
        pytest.skip("real prices are too many for kernels as Python")
    warm(close, ParamGrid(ema_len=[14, 28, 40], kama_len=[14, 28]), fees=0.001)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(stocks=stocks), what], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    hits, misses, foreign = json.loads(done.stdout)
    assert hits > 0
    assert misses == 0
    assert foreign == []
