"""Sweeps on GPUs, on devices that are none: the CPU's bits, whatever the memory, the pieces and what fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_cupy import FakeCupy, assert_nothing_is_left, install, nothing_kept
from gpu_sweeps import ARGUMENTS, arguments, on_gpu_and_cpu
from host_kernels import has_compiler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sweeps import MODES, assert_same_result, frames, grids, judged_blocks, small_blocks, walks, worth
from numba.core.config import DISABLE_JIT

from atc_plugin import ParamGrid, sweep, walk_forward, warm
from atc_plugin.accel import launch
from atc_plugin.sweeps import on_devices, settling
from atc_plugin.sweeps.accumulated import Judged
from atc_plugin.sweeps.blocks import Blocks
from atc_plugin.sweeps.judge import Judge

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

GRID = ParamGrid(ema_len=range(9, 19), kama_len=[9, 20, 28], long_threshold=[0.1, 0.3], strategy_mode=[False, True])
FAILURE = "an illegal memory access was encountered"


@pytest.fixture(autouse=True)
def each_on_its_own() -> Iterator[None]:
    with nothing_kept():
        yield


@pytest.fixture(params=[1, 2])
def cupy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    return install(monkeypatch, FakeCupy(devices=request.param))


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    return install(monkeypatch, FakeCupy())


# ---------------------------------------------------------------- the CPU's bits
@settings(max_examples=3 if DISABLE_JIT else 60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames(), grids(), st.data())
def test_every_sweep_is_the_threads(cupy: FakeCupy, close: pd.DataFrame, grid: ParamGrid, data: st.DataObject) -> None:
    on_gpu_and_cpu(close, grid, **data.draw(arguments(len(close))))


@pytest.mark.parametrize("direction", list(MODES))
def test_many_combinations_with_windows(cupy: FakeCupy, direction: str) -> None:
    got = on_gpu_and_cpu(walks(), GRID, windows=4, direction=direction)
    assert np.isfinite(got.metrics["total_return"]).all()
    assert_nothing_is_left(cupy)


def test_a_source_of_its_own(one: FakeCupy) -> None:
    close = walks()
    asked = {**ARGUMENTS, "source": close.rolling(3, min_periods=1).mean().where(close.notna())}
    assert_same_result(sweep(close, GRID, backend="gpu", **asked), sweep(close, GRID, backend="cpu", **asked))


def test_combinations_in_any_order(one: FakeCupy) -> None:
    """They are sorted for the device and put back."""
    order = np.random.default_rng(1).permutation(len(GRID))
    on_gpu_and_cpu(walks(), ParamGrid.points([GRID[int(k)] for k in order]), windows=2)


def test_more_columns_than_go_together(one: FakeCupy) -> None:
    close = pd.concat([walks(60, 8, seed) for seed in range(9)], axis=1, ignore_index=True)
    close.iloc[:, 5] = np.nan  # no bar at all
    on_gpu_and_cpu(close, GRID)


def test_what_the_fast_form_does_not_take_is_judged_on_threads(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    close = walks()
    close.iloc[len(close) // 2, 1] = -1.0
    close.iloc[:, 2] = 7.0  # no combination is sure of anything
    on_gpu_and_cpu(close, GRID)
    counts = judged_blocks(monkeypatch)
    sweep(close, GRID, backend="gpu", **ARGUMENTS)
    assert sum(counts) >= len(GRID)  # the second column, and the flat one's that traded
    counts.clear()
    sweep(close, GRID, backend="gpu", **(ARGUMENTS | {"fees": 0.45}))
    assert sum(counts) == 3 * len(GRID)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_pieces_of_any_size(one: FakeCupy, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    small_blocks(monkeypatch, size)
    monkeypatch.setattr(on_devices, "_COMBINATIONS", 20)
    monkeypatch.setattr(on_devices, "_LEAST", 3)
    monkeypatch.setattr(on_devices, "_COLUMNS", 2)
    on_gpu_and_cpu(walks(150), GRID[:40], windows=2)


def test_walk_forward_and_guards(one: FakeCupy) -> None:
    """There windows are folded, here they are differences: the last digits differ, and what is chosen does not."""
    close = walks(columns=1)
    asked = {"train": len(close) * 3 // 8, "test": len(close) * 3 // 20, "cache": False, "progress": False}
    ours, theirs = (walk_forward(close, GRID, backend=name, **asked) for name in ("gpu", "cpu"))
    pd.testing.assert_frame_equal(ours.frame, theirs.frame)
    assert one.asked
    one.asked.clear()
    swept = sweep(close, GRID, backend="cpu", **ARGUMENTS)
    guarded = [swept.guards(backend=name, cache=False, progress=False) for name in ("gpu", "cpu")]
    pd.testing.assert_frame_equal(*guarded)
    assert one.asked


# ---------------------------------------------------------------- memory
@pytest.mark.parametrize("memory", [2**22, 2**21, 2**20])
def test_too_little_memory_makes_smaller_pieces(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    cupy = install(monkeypatch, FakeCupy(memory=memory, said_free=2**33))  # the driver promises too much
    on_gpu_and_cpu(walks(), GRID, windows=2)
    assert_nothing_is_left(cupy)


def test_pieces_are_planned_to_fit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the driver tells the truth nothing runs out."""
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        for memory in (2**22, 2**23, 2**25):
            install(monkeypatch, FakeCupy(memory=memory))
            launch._module.cache_clear()
            launch._kernel.cache_clear()
            on_gpu_and_cpu(walks(), GRID, windows=2)
    assert not caplog.records


def test_pieces_stay_large_where_a_column_takes_most_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer are under way instead, which share what is made of the column."""
    close, grid = walks(1500, 1), ParamGrid(ema_len=range(9, 49), kama_len=range(9, 49))
    asked = {}
    for memory in (2**30, 20 * 2**20, 14 * 2**20):
        cupy = install(monkeypatch, FakeCupy(memory=memory))
        launch._module.cache_clear()
        launch._kernel.cache_clear()
        on_gpu_and_cpu(close, grid, metrics=("total_return",))
        asked[memory] = sum(name == "turns_of_combinations" for name, *_ in cupy.asked)
    assert set(asked.values()) == {1}


def test_what_nothing_is_sure_of_takes_no_memory_of_the_device(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is judged by all threads of the host, also where the device has none to spare."""
    close = walks() * 4e5
    assert close.max().max() < 1e8
    threads: list[int] = []
    judge = Judge.judge

    def counting(self: Judge, ids: np.ndarray, jobs: int = 1) -> Judged:
        threads.append(jobs)
        return judge(self, ids, jobs)

    monkeypatch.setattr(Judge, "judge", counting)
    for memory in (2**33, 2**21):
        cupy = install(monkeypatch, FakeCupy(memory=memory, said_free=2**33))
        launch._module.cache_clear()
        launch._kernel.cache_clear()
        on_gpu_and_cpu(close, GRID, windows=2, n_jobs=3)
        assert cupy.asked
    assert set(threads) == {3}


def test_closes_that_nothing_is_sure_of_go_to_threads_at_once(one: FakeCupy) -> None:
    close = walks()
    close["A"] *= 1e8
    on_gpu_and_cpu(close, GRID)
    assert one.asked
    one.asked.clear()
    on_gpu_and_cpu(close[["A"]], GRID)
    assert not one.asked


def test_time_is_shared_by_the_blocks_of_a_piece(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What took long enough to be kept is kept of every column."""
    small_blocks(monkeypatch, 60)
    took: list[float] = []
    done = Blocks.done

    def noting(self: Blocks, column: int, first: int, judged: Judged, seconds: float, jobs: int) -> None:
        took.append(seconds)
        done(self, column, first, judged, seconds, jobs)

    monkeypatch.setattr(Blocks, "done", noting)
    sweep(walks(), GRID, backend="gpu", **ARGUMENTS)
    assert len(took) == 6
    assert len(set(took)) == 1
    assert took[0] > 0


# ---------------------------------------------------------------- what fails
def test_asking_for_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(RuntimeError, match=r'backend "gpu": no GPU can be used here: cupy is not installed: pip'):
        sweep(walks(), GRID, backend="gpu", **ARGUMENTS)
    monkeypatch.setenv("ATC_BACKEND", "gpu")
    with pytest.raises(RuntimeError, match="no GPU can be used here"):
        sweep(walks(), GRID, **ARGUMENTS)


@pytest.mark.parametrize("kernel", ["kama", "accumulators_of_combinations"])
def test_a_gpu_that_was_asked_for_raises(one: FakeCupy, kernel: str) -> None:
    one.failing[kernel] = one.cuda.runtime.CUDARuntimeError(700, FAILURE)
    with pytest.raises(one.cuda.runtime.CUDARuntimeError, match=FAILURE):
        sweep(walks(), GRID, backend="gpu", **ARGUMENTS)


def test_memory_that_never_suffices_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeCupy(memory=1000))
    with pytest.raises(MemoryError, match=r"device 0 has too little memory for Piece.*cannot be divided"):
        sweep(walks(), GRID, backend="gpu", **ARGUMENTS)


@pytest.mark.parametrize("trouble", ["kernel", "memory", "context"])
def test_auto_goes_on_on_threads_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    cupy = install(monkeypatch, FakeCupy(memory=1000 if trouble == "memory" else 2**33))
    if trouble == "kernel":
        cupy.failing["accumulators_of_combinations"] = cupy.cuda.runtime.CUDARuntimeError(700, FAILURE)
    if trouble == "context":

        def fails() -> None:
            raise cupy.cuda.runtime.CUDARuntimeError(46, "all devices are busy")

        monkeypatch.setattr(cupy.cuda.runtime, "memGetInfo", fails)
    monkeypatch.setattr(settling, "_WORTH_A_GPU", 0.0)
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        got = sweep(walks(), GRID, **ARGUMENTS)
    assert "the GPU failed; threads go on: " in caplog.text
    assert {"kernel": FAILURE, "memory": "too little memory", "context": "devices are busy"}[trouble] in caplog.text
    assert_same_result(got, sweep(walks(), GRID, backend="cpu", **ARGUMENTS))


def test_what_was_done_before_a_failure_is_not_done_again(
    one: FakeCupy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_blocks(monkeypatch, 10)
    monkeypatch.setattr(settling, "_WORTH_A_GPU", 0.0)
    monkeypatch.setattr(on_devices, "_COMBINATIONS", 10)
    monkeypatch.setattr(on_devices, "_LEAST", 10)
    counts = judged_blocks(monkeypatch)
    done: list[int] = []

    def watch(count: int, total: int) -> None:
        done.append(count)
        if count == 50:
            counts.clear()  # of the combinations that the device was not sure of
            one.failing["accumulators_of_combinations"] = one.cuda.runtime.CUDARuntimeError(700, FAILURE)

    close = walks(columns=1)
    got = sweep(close, GRID, **(ARGUMENTS | {"progress": watch, "cache": tmp_path}))
    assert 0 < sum(counts) <= len(GRID) - 50
    assert done[-1] == len(GRID)
    assert_same_result(got, sweep(close, GRID, backend="cpu", **ARGUMENTS))


def test_errors_of_others_are_no_failure_of_the_gpu(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WORTH_A_GPU", 0.0)

    def watch(count: int, total: int) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sweep(walks(), GRID, **(ARGUMENTS | {"progress": watch}))
    assert_nothing_is_left(one)


# ---------------------------------------------------------------- when
def test_auto_takes_a_gpu_for_long_work_alone(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(walks(), GRID, **ARGUMENTS)
    assert not one.asked
    monkeypatch.setattr(settling, "_WORTH_A_GPU", 0.0)
    sweep(walks(), GRID, **ARGUMENTS)
    assert one.asked
    one.asked.clear()
    sweep(walks(), GRID, backend="cpu", **ARGUMENTS)
    monkeypatch.setenv("ATC_BACKEND", "cpu")
    sweep(walks(), GRID, **ARGUMENTS)
    assert not one.asked


def test_without_cupy_auto_does_not_even_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WORTH_A_GPU", 0.0)
    monkeypatch.setattr(settling, "find_spec", lambda name: None)
    monkeypatch.setattr(settling, "available", lambda: pytest.fail("asked"))
    sweep(walks(), GRID, **ARGUMENTS)


# ---------------------------------------------------------------- the cache
@pytest.mark.parametrize(("first", "second"), [("gpu", "cpu"), ("cpu", "gpu")])
def test_either_finds_what_the_other_has_kept(
    one: FakeCupy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str, second: str
) -> None:
    worth(monkeypatch, 0.0)
    small_blocks(monkeypatch, 20)
    asked = ARGUMENTS | {"cache": tmp_path, "windows": 2}
    before = sweep(walks(), GRID, backend=first, **asked)
    one.asked.clear()
    counts = judged_blocks(monkeypatch)
    after = sweep(walks(), GRID, backend=second, **asked)
    assert after.reused == (18, 18)
    assert_same_result(after, before)
    assert not one.asked
    assert not counts


def test_only_the_missing_blocks_are_computed(one: FakeCupy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worth(monkeypatch, 0.0)
    small_blocks(monkeypatch, 20)
    asked = ARGUMENTS | {"cache": tmp_path}
    sweep(walks()[["B"]], GRID[:60], backend="cpu", **asked)
    got = sweep(walks(), GRID, backend="gpu", **asked)
    assert got.reused == (3, 18)
    assert_same_result(got, sweep(walks(), GRID, backend="cpu", **ARGUMENTS))


def test_warming_on_a_gpu_serves_all(one: FakeCupy, tmp_path: Path) -> None:
    warmed = warm(walks(), GRID, backend="gpu", cache=tmp_path, progress=False)
    assert one.asked
    assert warmed.kept
    one.asked.clear()
    asked = ARGUMENTS | {"cache": tmp_path, "metrics": ("total_return",), "fees": 0.0}
    assert sweep(walks(), GRID, backend="cpu", **asked).reused == (3, 3)
    assert not one.asked
