"""Sweeps on worker processes: the bits of this process, whatever dies."""

from __future__ import annotations

import functools
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from made_sweeps import Bar, assert_same_result, items, small_blocks, walks, worth
from numba.core.config import DISABLE_JIT
from on_workers import CULPRIT, deadly, faulty, noted, without_components
from test_executors import dask_options, settles

from atc_plugin import ParamGrid, SweepResult, plan, sweep
from atc_plugin.cache import settings
from atc_plugin.law.metrics import METRICS
from atc_plugin.sweeps import components, workers
from atc_plugin.sweeps.executors import Task, WorkerDied
from atc_plugin.sweeps.materials import judge_task

pytestmark = pytest.mark.skipif(DISABLE_JIT, reason="worker processes take too long without compiled kernels")

CLOSE = walks().assign(none=np.nan)
GRID = ParamGrid(ema_len=[10, 28], kama_len=range(9, 41), long_threshold=[0.1, 0.2, 0.4], robustness=["Narrow", "Wide"])
SIZE = 150  # combinations of a block: tasks of 64, 64 and 22
TASKS = 3 * 8  # columns with bars, and the tasks of each
BLOCKS = 4 * 3


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATC_BACKEND", raising=False)
    monkeypatch.delenv("ATC_JOBS", raising=False)
    small_blocks(monkeypatch, SIZE)
    monkeypatch.setattr(workers, "_TASK", 0.0)  # as small as they come


@pytest.fixture(scope="module")
def cluster() -> Generator[Any]:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    import dask

    with (
        # A worker that is killed twice in this time may be given up instead of started again.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h", "distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **dask_options()) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["loky", "dask"])
def backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "dask":
        client = request.getfixturevalue("cluster")
        client.wait_for_workers(2, timeout=30)
    return request.param


def swept(backend: str = "cpu", close: Any = CLOSE, grid: ParamGrid = GRID, **options: Any) -> SweepResult:
    defaults = {"metrics": METRICS, "freq": "1D", "n_jobs": 2, "cache": False, "timeout": 60}
    return sweep(close, grid, backend=backend, **{**defaults, **options})


# ---------------------------------------------------------------- who does what
def notes(log: Path) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(workers, "judge_task", functools.partial(noted, tmp_path / "log", 0.0))
    return tmp_path / "log"


# ---------------------------------------------------------------- the same bits
@pytest.mark.parametrize("options", [{}, {"windows": 3, "top": 5, "direction": "shortonly", "fees": 0.001}])
def test_the_bits_are_those_of_this_process(backend: str, options: dict[str, Any], log: Path) -> None:
    before = set(threading.enumerate())
    result = swept(backend, **options)
    assert_same_result(result, swept(**options))
    assert result.reused == (0, BLOCKS)
    lines = notes(log)
    pids = {pid for pid, *_ in lines}
    assert len(pids) == 2
    assert os.getpid() not in pids
    done = sorted((column, k) for _, column, first, last in lines for k in range(first, last))
    assert done == [(column, k) for column in range(3) for k in range(len(GRID))]
    assert len(lines) == TASKS
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if "atc" in thread.name.lower()]


@pytest.mark.parametrize("metrics", ["total_return", ("sharpe_ratio", "max_drawdown"), "win_rate"])
def test_only_what_is_asked_for_is_sent(metrics: Any) -> None:
    options = {"metrics": metrics, "windows": [slice(0, 30), slice(200, None)], "source": CLOSE.shift(1)}
    assert_same_result(swept("loky", grid=GRID[:70], **options), swept(grid=GRID[:70], **options))


def test_columns_in_turns(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    monkeypatch.setattr(workers, "_FILES", 1)  # the files of one column at a time
    assert_same_result(swept("loky", windows=2), swept(windows=2))
    columns = [column for _, column, _, _ in notes(log)]
    assert columns == sorted(columns)


def test_prices_that_make_combinations_irregular() -> None:
    close = walks(columns=1)
    close.iloc[20:60, 0] = -np.linspace(60, 5, 40)
    for options in ({}, {"fees": 0.5}):
        assert_same_result(swept("loky", close, GRID[::3], **options), swept("cpu", close, GRID[::3], **options))


def test_components_are_computed_here_and_once(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    make = components.make_components

    def counting(*arguments: Any) -> None:
        rows.append(len(arguments[-2]))
        make(*arguments)

    expected = swept()
    monkeypatch.setattr(components, "make_components", counting)
    monkeypatch.setattr(workers, "judge_task", without_components)
    assert_same_result(swept(backend), expected)
    assert rows == [len(plan(GRID).components)] * 3


# ---------------------------------------------------------------- who chooses
def test_a_parallel_config_wins_over_auto(log: Path) -> None:
    with joblib.parallel_config(backend="loky", n_jobs=2):
        result = swept("auto", n_jobs=None)
    assert os.getpid() not in {pid for pid, *_ in notes(log)}
    assert len(notes(log)) == TASKS
    log.unlink()
    with joblib.parallel_config(backend="loky"):
        assert_same_result(swept("cpu"), result)
    swept("auto")
    assert notes(log) == []


def test_a_parallel_config_of_dask(cluster: Any, log: Path) -> None:
    with joblib.parallel_config(backend="dask"):
        result = swept("auto", n_jobs=None)
    assert {pid for pid, *_ in notes(log)} == set(cluster.run(os.getpid).values())
    assert_same_result(result, swept())


def test_the_environment_chooses(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATC_BACKEND", "loky")
    monkeypatch.setenv("ATC_JOBS", "2")
    assert_same_result(swept("auto", n_jobs=None), swept("cpu"))
    assert len(notes(log)) == TASKS
    swept("cpu")
    assert len(notes(log)) == TASKS


# ---------------------------------------------------------------- files and blocks
@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where files were laid out for workers."""
    made: list[str] = []
    temporary = tempfile.TemporaryDirectory

    def directory(*arguments: Any, **options: Any) -> Any:
        found = temporary(*arguments, **options)
        made.append(found.name)
        return found

    monkeypatch.setattr(tempfile, "TemporaryDirectory", directory)
    return made


def test_files_are_where_workers_see_them_and_go(backend: str, tmp_path: Path, folders: list[str]) -> None:
    cache = tmp_path / "shared"
    first = swept(backend, cache=cache)
    assert len(folders) == 1
    assert (Path(folders[0]).parent == cache) == (backend == "dask")
    assert not Path(folders[0]).exists()
    assert_same_result(first, swept())
    again = swept("cpu", cache=cache)  # blocks do not depend on who made them
    assert again.reused == (BLOCKS, BLOCKS)
    assert_same_result(again, first)
    assert swept(backend, cache=cache, top=3).reused == (0, BLOCKS)
    assert swept("cpu", cache=cache, top=3).reused == (BLOCKS, BLOCKS)


def test_a_folder_that_cannot_be_written_to_is_no_fault(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_same_result(swept("dask", cache=tmp_path / "file" / "cache"), swept())


def test_what_another_run_has_left_is_not_computed(backend: str, tmp_path: Path, log: Path) -> None:
    swept(cache=tmp_path / "cache", close=CLOSE[["A", "none"]])
    result = swept(backend, cache=tmp_path / "cache")
    assert result.reused == (6, BLOCKS)
    assert {column for _, column, _, _ in notes(log)} == {1, 2}
    assert_same_result(result, swept())
    log.unlink()
    assert swept(backend, cache=tmp_path / "cache").reused == (BLOCKS, BLOCKS)
    assert notes(log) == []


def test_progress_adds_up(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bar.put_in_place(monkeypatch)
    swept(backend, top=2)
    (bar,) = bars
    assert bar.total == bar.counted == 4 * len(GRID)


def test_the_default_cache_keeps_blocks_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.configure(directory=tmp_path)
    worth(monkeypatch, 0)
    close = pd.DataFrame(CLOSE["A"])
    swept("loky", close, GRID[:200], cache=True)
    assert swept("cpu", close, GRID[:200], cache=True).reused == (2, 2)


def test_a_worker_elsewhere_says_what_it_misses(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"this worker does not see .*nowhere.*cache=\"/shared/folder\""):
        judge_task(str(tmp_path / "nowhere"), Task(0, 0, 1))


# ---------------------------------------------------------------- what ends early
def kill_when(log: Path, tasks: int, victims: int, killed: list[int]) -> threading.Thread:
    """After so many tasks were begun, kill so many of the two workers that began them."""

    def work() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pids = list(dict.fromkeys(pid for pid, *_ in notes(log)))
            if len(notes(log)) >= tasks and len(pids) >= 2:
                for pid in pids[:victims]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("victims", [1, 2])
def test_workers_that_are_killed_change_nothing(
    victims: int, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, options, killed = tmp_path / "log", {"windows": 2, "top": 7} if victims == 2 else {}, []
    expected = swept(**options)
    monkeypatch.setattr(workers, "judge_task", functools.partial(noted, log, 0.05))
    killer = kill_when(log, 5, victims, killed)
    result = swept(backend, **options)
    killer.join()
    pids = {pid for pid, *_ in notes(log)}
    assert len(killed) == victims
    assert pids > set(killed)
    assert os.getpid() not in pids
    assert_same_result(result, expected)


def test_a_combination_that_kills_is_named(backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "judge_task", deadly)
    started = time.monotonic()
    with pytest.raises(WorkerDied, match=rf"^B: combination {CULPRIT} \(AtcParams\(ema_len=28.*kama_len=.* killed its"):
        swept(backend, cache=tmp_path, timeout=40)
    assert time.monotonic() - started < 40
    if backend == "dask":
        import distributed

        assert settles(distributed.get_client())
    monkeypatch.setattr(workers, "judge_task", judge_task)
    again = swept(cache=tmp_path)
    assert again.reused is not None
    assert 0 < again.reused[0] < BLOCKS  # what was finished before
    assert_same_result(again, swept())


def test_an_interrupt_keeps_blocks_and_leaves_nothing(
    backend: str, tmp_path: Path, folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, cache, bars = tmp_path / "log", tmp_path / "cache", []
    monkeypatch.setattr(workers, "judge_task", functools.partial(noted, log, 0.03))

    class Interrupted(Bar):
        def update(self, count: int) -> None:
            super().update(count)
            bars.append(count)
            if len(bars) == 2:
                signal.raise_signal(signal.SIGINT)

    Bar.put_in_place(monkeypatch)
    monkeypatch.setattr("tqdm.auto.tqdm", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept(backend, CLOSE[["A", "B", "C"]], cache=cache)
    assert Bar.made[0].closed
    begun = len(notes(log))
    assert begun < TASKS
    time.sleep(0.3)
    assert len(notes(log)) <= begun + 2  # those that were under way
    assert not any(Path(folder).exists() for folder in folders)
    kept = len(items(cache))
    assert kept >= 2
    monkeypatch.undo()
    small_blocks(monkeypatch, SIZE)
    again = swept("cpu", CLOSE[["A", "B", "C"]], cache=cache)
    assert again.reused == (kept, 9)
    assert_same_result(again, swept("cpu", CLOSE[["A", "B", "C"]]))


def test_what_goes_wrong_on_a_worker_is_raised_here(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "judge_task", faulty)
    with pytest.raises(ZeroDivisionError, match="no") as caught:
        swept(backend)
    assert caught.value.__notes__[0].startswith("while computing A: 64 combinations from ")
