"""Blocks and the store: what is done is not done again, whatever ended the run before."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from made_sweeps import Bar, assert_same_result, items, judged_blocks, small_blocks, walks, worth
from numba.core.config import DISABLE_JIT

from atc_plugin import ParamGrid, SweepResult, sweep, warm
from atc_plugin.cache import backend, disk, settings, stats
from atc_plugin.cache.store import Store
from atc_plugin.law.metrics import METRICS
from atc_plugin.sweeps import here
from atc_plugin.sweeps.judge import Judge

CLOSE = walks()
GRID = ParamGrid(ema_len=[10, 28], kama_len=[9, 15, 30], long_threshold=[0.1, 0.4])
SIZE = 5  # combinations of a block; each column has three
BLOCKS = 3 * len(CLOSE.columns)


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Small blocks, and the sizes of those that are computed."""
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    monkeypatch.delenv("ATC_JOBS", raising=False)
    settings.configure(directory=tmp_path / "default")
    small_blocks(monkeypatch, SIZE)
    return judged_blocks(monkeypatch)


def swept(
    cache: Any, close: Any = CLOSE, grid: ParamGrid = GRID, metrics: Any = METRICS, **options: Any
) -> SweepResult:
    return sweep(close, grid, metrics=metrics, cache=cache, **{"freq": "1D", "n_jobs": 2, **options})


# ---------------------------------------------------------------- hits
@pytest.mark.parametrize(
    "options", [{}, {"windows": 3}, {"top": 4}, {"top": ("exposure", 2), "windows": [slice(0, 9)]}]
)
@pytest.mark.parametrize("metrics", [METRICS, ("total_return", "max_drawdown")], ids=["all", "lean"])
def test_a_second_time_nothing_is_computed(
    options: dict[str, Any],
    metrics: tuple[str, ...],
    tmp_path: Path,
    judged: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if options.get("top", 0) == ("exposure", 2) and "exposure" not in metrics:
        options = {**options, "top": ("max_drawdown", 2)}
    first = swept(tmp_path, metrics=metrics, **options)
    assert first.reused == (0, BLOCKS)
    assert judged == [5, 5, 2] * 3
    assert "blocks were there" not in caplog.text
    assert_same_result(first, swept(False, metrics=metrics, **options))
    judged.clear()
    monkeypatch.setattr(here, "components_for", None)
    with caplog.at_level(logging.INFO, "atc_plugin"):
        second = swept(tmp_path, metrics=metrics, **options)
    assert judged == []
    assert second.reused == (BLOCKS, BLOCKS)
    assert "9 of 9 blocks were there already" in caplog.text
    assert "9 of 9 blocks were there already" in repr(second)
    assert_same_result(second, first)
    assert_same_result(swept(Store(tmp_path), metrics=metrics, **options), first)


@pytest.mark.parametrize("options", [{}, {"backend": "loky", "windows": 2}, {"top": 2}], ids=["cpu", "loky", "top"])
def test_a_new_process_reads_what_is_kept_without_what_computes(options: dict[str, Any], tmp_path: Path) -> None:
    grid = GRID[:SIZE]  # a block of whatever size begins with these
    frame = swept(tmp_path / "cache", grid=grid, **{**options, "backend": "cpu"}).frame
    asked = {"close": CLOSE, "grid": grid, "metrics": METRICS, "freq": "1D", "cache": tmp_path / "cache", **options}
    (tmp_path / "asked").write_bytes(pickle.dumps(asked))
    code = (
        "import pickle, sys; from pathlib import Path; from atc_plugin import sweep\n"
        "here = Path(sys.argv[1])\n"
        "result = sweep(**pickle.loads((here / 'asked').read_bytes()))\n"
        "(here / 'frame').write_bytes(pickle.dumps(result.frame))\n"
        "print(*sys.modules, result.reused)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"({len(CLOSE.columns)}, {len(CLOSE.columns)})\n")
    assert not {"numba", "llvmlite", "tqdm", "vectorbt", "plotly"} & set(done.stdout.split())
    pd.testing.assert_frame_equal(pickle.loads((tmp_path / "frame").read_bytes()), frame, check_exact=True)


def test_the_bar_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bar.put_in_place(monkeypatch)
    swept(tmp_path)
    swept(tmp_path)
    first, second = bars
    assert first.said == ""
    assert second.said == "9 of 9 blocks were there"
    assert first.total == first.counted == second.counted == 3 * len(GRID)


def test_more_combinations_reuse_the_blocks_they_begin_with(tmp_path: Path) -> None:
    first = swept(tmp_path, grid=GRID[:10])
    longer = swept(tmp_path)
    assert longer.reused == (6, BLOCKS)
    assert_same_result(longer, swept(False))
    points = ParamGrid.points(list(GRID[5:10]))  # the same combinations by another grid
    assert swept(tmp_path, grid=points).reused == (3, 3)
    assert first.reused == (0, 6)


def test_fewer_metrics_find_what_more_have_left(tmp_path: Path, judged: list[int]) -> None:
    swept(tmp_path)
    judged.clear()
    for metrics in (["total_return"], ["win_rate", "calmar_ratio"], METRICS[::-1]):
        again = swept(tmp_path, metrics=metrics)
        assert again.reused == (BLOCKS, BLOCKS)
        assert_same_result(again, swept(False, metrics=metrics))
    del judged[:]
    lean = swept(tmp_path / "lean", metrics=["total_return"])
    more = swept(tmp_path / "lean", metrics=["total_return", "sharpe_ratio"])
    assert more.reused == (BLOCKS, BLOCKS)
    assert swept(tmp_path / "lean", metrics=["win_rate"]).reused == (0, BLOCKS)  # of single trades: not kept before
    assert lean.metrics.keys() == {"total_return"}


def test_another_time_of_a_bar_finds_them_too(tmp_path: Path) -> None:
    swept(tmp_path)
    hourly = swept(tmp_path, freq="1h")
    assert hourly.reused == (BLOCKS, BLOCKS)
    assert_same_result(hourly, swept(False, freq="1h"))
    swept(tmp_path / "top", top=2)
    assert swept(tmp_path / "top", top=2, freq="1h").reused == (0, BLOCKS)  # the best may be others


def test_the_same_prices_by_another_name(tmp_path: Path) -> None:
    close = CLOSE[["A"]]
    first = swept(tmp_path, close)
    values = close["A"].to_numpy()
    others = [
        values,
        values.tolist(),
        pl.Series("x", values),
        close.set_index(pd.date_range("1999-01-01", periods=len(close), freq="h")).rename(columns={"A": "other"}),
        pd.Series(np.insert(values, 7, np.nan)),  # a bar that is none
        CLOSE,
    ]
    for other in others:
        again = swept(tmp_path, other)
        assert again.reused is not None
        assert again.reused[0] == 3
        np.testing.assert_array_equal(again.metrics["sharpe_ratio"][: len(GRID)], first.metrics["sharpe_ratio"])
    assert swept(tmp_path, close, source=close.copy()).reused == (3, 3)


# ---------------------------------------------------------------- misses
OTHERS: dict[str, dict[str, Any]] = {
    "price": {"close": CLOSE.assign(A=CLOSE["A"].where(CLOSE.index != CLOSE.index[5], 51.0))},
    "source": {"source": CLOSE + 1.0},
    "fewer bars": {"close": CLOSE.iloc[1:-1]},
    "fees": {"fees": 0.001},
    "slippage": {"slippage": 0.001},
    "direction": {"direction": "longonly"},
    "windows": {"windows": 2},
    "top": {"top": 3},
    "length": {"grid": ParamGrid(ema_len=[11, 27], kama_len=[9, 15, 30], long_threshold=[0.1, 0.4])},
    "weight": {"grid": ParamGrid.points([params.replace(ema_w=2.0) for params in GRID])},
    "rate": {"grid": ParamGrid.points([params.replace(lambda_=0.021) for params in GRID])},
    "threshold": {"grid": ParamGrid.points([params.replace(short_threshold=-0.2) for params in GRID])},
    "mode": {"grid": ParamGrid.points([params.replace(strategy_mode=True) for params in GRID])},
    "order": {"grid": GRID[::-1]},
}


@pytest.mark.parametrize("change", OTHERS)
def test_what_is_different_is_computed(change: str, tmp_path: Path) -> None:
    swept(tmp_path)
    options = OTHERS[change]
    other = swept(tmp_path, **options)
    assert other.reused is not None
    assert other.reused[0] == (6 if change == "price" else 0)  # two columns are as they were
    assert_same_result(other, swept(False, **options))
    assert swept(tmp_path, **options).reused == (other.reused[1], other.reused[1])


def test_other_windows_and_other_tops(tmp_path: Path) -> None:
    swept(tmp_path, windows=2)
    assert swept(tmp_path, windows=3).reused == (0, BLOCKS)
    assert swept(tmp_path, windows=[slice(0, len(CLOSE) // 2), slice(len(CLOSE) // 2, None)]).reused == (BLOCKS, BLOCKS)
    swept(tmp_path, top=2)
    assert swept(tmp_path, top=3).reused == (0, BLOCKS)
    assert swept(tmp_path, top=("exposure", 2)).reused == (0, BLOCKS)


# ---------------------------------------------------------------- damage
@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "gone"])
@pytest.mark.parametrize("top", [None, 3])
def test_a_damaged_block_is_computed_again(damage: str, top: int | None, tmp_path: Path, judged: list[int]) -> None:
    first = swept(tmp_path, top=top)
    victims = items(tmp_path)[::4]
    assert len(items(tmp_path)) == BLOCKS
    for victim in victims:
        whole = victim.read_bytes()
        if damage == "gone":
            victim.unlink()
        else:
            victim.write_bytes({"cut": whole[: len(whole) // 2], "noise": os.urandom(len(whole)), "empty": b""}[damage])
    judged.clear()
    settings.forget()  # what is in memory
    again = swept(tmp_path, top=top)
    assert again.reused == (BLOCKS - len(victims), BLOCKS)
    assert len(judged) == len(victims)
    assert_same_result(again, first)
    assert swept(tmp_path, top=top).reused == (BLOCKS, BLOCKS)


# ---------------------------------------------------------------- where nothing can be kept
@pytest.mark.parametrize("kind", ["full", "under a file", "read-only"])
def test_a_store_that_keeps_nothing_fails_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache: Any = tmp_path / "full"
    if kind == "full":
        refuse(monkeypatch, OSError(28, "No space left on device"))
    if kind == "under a file":
        (tmp_path / "file").write_text("")
        cache = tmp_path / "file" / "cache"
    if kind == "read-only":
        cache = tmp_path / "sealed"
        swept(cache, grid=GRID[:1])
        refuse(monkeypatch, PermissionError(13, "Read-only file system"))
    first = swept(cache)
    assert_same_result(first, swept(False))
    assert "cache: the disk level cannot write" in caplog.text
    settings.forget()  # what is in memory
    assert swept(cache).reused == (0, BLOCKS)


def refuse(monkeypatch: pytest.MonkeyPatch, fault: OSError) -> None:
    """Let nothing be written: permissions do not stop an administrator."""

    def opened(*_: Any, **__: Any) -> Any:
        raise fault

    monkeypatch.setattr(backend, "open", opened, raising=False)


def test_the_default_keeps_what_is_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worth(monkeypatch, 1e9)
    assert swept(True).reused == (0, BLOCKS)
    assert items(tmp_path / "default") == []  # quicker computed than read
    worth(monkeypatch, 0)
    swept(True)
    assert len(items(tmp_path / "default")) == BLOCKS
    assert swept(True).reused == (BLOCKS, BLOCKS)


@pytest.mark.parametrize(("most", "kept"), [(1000, 0), (10**6, BLOCKS)])
def test_the_default_does_not_fill_the_disk(
    most: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worth(monkeypatch, 0)
    settings.configure(size_limit=most)
    swept(True)
    assert len(items(tmp_path / "default")) == kept
    assert len(items(tmp_path / "asked")) == 0
    settings.configure(size_limit=10**6)
    swept(tmp_path / "asked")  # who names a directory wants it kept
    assert len(items(tmp_path / "asked")) == BLOCKS


def test_without_a_cache_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worth(monkeypatch, 0)
    monkeypatch.setattr(settings, "Store", None)
    assert swept(False).reused == (0, BLOCKS)
    assert list(tmp_path.iterdir()) == []


def test_columns_without_bars_are_kept_like_others(tmp_path: Path) -> None:
    close = CLOSE.assign(B=np.nan)
    first = swept(tmp_path, close, windows=2)
    second = swept(tmp_path, close, windows=2)
    assert second.reused == (BLOCKS, BLOCKS)
    assert_same_result(second, first)


def test_many_columns_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, len(GRID))
    close = walks(bars=30, columns=8, seed=3)
    close = pd.concat([close + shift for shift in range(1 if DISABLE_JIT else 12)], axis=1).to_numpy()
    put = disk.Disk.put

    def slow(self: disk.Disk, *arguments: Any) -> int:
        time.sleep(0.002)
        return put(self, *arguments)

    monkeypatch.setattr(disk.Disk, "put", slow)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        first = swept(tmp_path, close, n_jobs=4)
    finally:
        sys.setswitchinterval(interval)
    assert first.reused == (0, close.shape[1])
    settings.forget()
    assert swept(tmp_path, close, n_jobs=4).reused == (close.shape[1], close.shape[1])


# ---------------------------------------------------------------- ended runs
def ending(monkeypatch: pytest.MonkeyPatch, after: int, end: Any) -> None:
    """Call `end` in place of judging the block after so many."""
    judge, seen = Judge.judge, []

    def judging(self: Judge, ids: np.ndarray, jobs: int = 1) -> Any:
        seen.append(ids)
        if len(seen) == after + 1:
            end()
        return judge(self, ids, jobs)

    monkeypatch.setattr(Judge, "judge", judging)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def fail() -> None:
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(("end", "error"), [(interrupt, KeyboardInterrupt), (fail, ZeroDivisionError)])
@pytest.mark.parametrize("top", [None, 2])
def test_what_was_finished_is_kept(end: Any, error: type[BaseException], top: int | None, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.MonkeyPatch.context() as patch:
        ending(patch, 4, end)
        with pytest.raises(error):
            swept(tmp_path, top=top)
    assert set(threading.enumerate()) <= before
    assert len(items(tmp_path)) == 4
    again = swept(tmp_path, top=top)
    assert again.reused == (4, BLOCKS)
    assert_same_result(again, swept(False, top=top))


def test_an_interrupt_while_threads_are_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from atc_plugin.sweeps import judge

    grid = ParamGrid(ema_len=range(9, 13), kama_len=range(9, 41), long_threshold=[0.1, 0.2])
    small_blocks(monkeypatch, len(grid) // 2)
    monkeypatch.setattr(judge, "_GRAIN", 1)  # parts of 64 combinations
    judge_tile, calls = judge.judge_tile, []

    def slow(*arguments: Any) -> int:
        calls.append(threading.current_thread())
        time.sleep(0.05)
        return judge_tile(*arguments)

    close, before = CLOSE[["A"]], set(threading.enumerate())
    swept(tmp_path / "other", close, grid[:2])  # compiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "judge_tile", slow)
        ending(patch, 1, threading.Timer(0.02, interrupt).start)
        with pytest.raises(KeyboardInterrupt):
            swept(tmp_path, close, grid)
    assert set(threading.enumerate()) <= before
    assert len(set(calls)) > 1
    done = len(calls)
    time.sleep(0.15)
    assert len(calls) == done
    again = swept(tmp_path, close, grid)
    assert again.reused == (1, 2)
    assert_same_result(again, swept(False, close, grid))


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
import test_resume
from made_sweeps import small_blocks
from atc_plugin.sweeps.judge import Judge
class Patch:
    setattr = staticmethod(setattr)
small_blocks(Patch, test_resume.SIZE)
judge = Judge.judge
def slow(self, ids, jobs=1):
    time.sleep(0.1)
    return judge(self, ids, jobs)
Judge.judge = slow
test_resume.swept({directory!r}, top={top!r})
"""


@pytest.mark.parametrize("top", [None, 2])
def test_a_killed_run_costs_what_was_missing(top: int | None, tmp_path: Path, judged: list[int]) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), directory=str(tmp_path), top=top)
    running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    end = time.monotonic() + 120
    while len(items(tmp_path)) < 3 and running.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    running.kill()
    _, errors = running.communicate()
    assert running.returncode == -signal.SIGKILL, errors.decode()
    there = len(items(tmp_path))
    assert 3 <= there < BLOCKS
    judged.clear()
    again = swept(tmp_path, top=top)
    assert again.reused is not None
    assert there - 1 <= again.reused[0] <= there  # the last may have been half written
    assert len(judged) == BLOCKS - again.reused[0]
    assert_same_result(again, swept(False, top=top))


def test_what_takes_next_to_no_time_is_looked_up_where_it_was_warmed() -> None:
    assert swept(True).reused == (0, BLOCKS)
    assert settings.default_store().disk._kept is None  # nothing was looked up
    assert stats().misses_by_reason == {"not worth storing": BLOCKS}
    warm(CLOSE, GRID, metrics=METRICS, freq="1D")
    assert swept(True).reused == (BLOCKS, BLOCKS)
    assert swept(True, CLOSE + 1).reused == (0, BLOCKS)


def test_blocks_of_another_law_are_said_to_be_such(tmp_path: Path) -> None:
    swept(Store(tmp_path, version="0"))
    store = Store(tmp_path)
    assert swept(store).reused == (0, BLOCKS)
    assert stats(cache=store).misses_by_reason == {"other law version": BLOCKS}
