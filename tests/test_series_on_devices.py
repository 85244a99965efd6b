"""Series on GPUs, on devices that are none: the threads' bits and blocks, whatever the memory and the order."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_cupy import FakeCupy, assert_nothing_is_left, install, nothing_kept
from fake_device import UNIT
from gpu_sweeps import OUTPUTS, series_on_gpu_and_cpu
from host_kernels import has_compiler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sweeps import BARS, frames, grids, walks
from numba.core.config import DISABLE_JIT
from same_bits import assert_same_bits

from atc_plugin import ParamGrid, sweep
from atc_plugin.sweeps import series, series_on_devices

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

GRID = ParamGrid(
    ema_len=[10, 28], long_threshold=[0.1, 0.4], strategy_mode=[False, True], cutout=[0, 20], hma_mode=["sma", "hull"]
)
MANY = ParamGrid(ema_len=range(9, 29), kama_len=range(9, 29), strategy_mode=[False, True])
CLOSE = walks()


@pytest.fixture(autouse=True)
def each_on_its_own() -> Iterator[None]:
    with nothing_kept():
        yield


@pytest.fixture(params=[(1, False), (1, True), (2, True)], ids=["one", "others ahead", "two"])
def cupy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    """One device or two, whose streams lag behind one that is waited for or are ahead of it."""
    devices, others_first = request.param
    made = install(monkeypatch, FakeCupy(devices=devices))
    for device in made.device:
        device.others_first = others_first
    return made


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    return install(monkeypatch, FakeCupy())


def sizes(monkeypatch: pytest.MonkeyPatch, block: int, piece: int, bars: int = BARS) -> None:
    """Blocks of so many combinations, pieces of so many times columns, of which a thread takes two at a time."""
    monkeypatch.setattr(series, "_BYTES", 8 * bars * block)
    monkeypatch.setattr(series_on_devices, "_BYTES", 8 * bars * piece)
    monkeypatch.setattr(series_on_devices, "_GRAIN", 2 * bars)


def launched(cupy: FakeCupy, kernel: str) -> int:
    return [name for name, *_ in cupy.asked].count(kernel)


# ---------------------------------------------------------------- the threads' bits
@settings(max_examples=3 if DISABLE_JIT else 60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames(), grids(), st.sampled_from(OUTPUTS), st.integers(1, 8), st.integers(1, 8))
def test_every_series_is_the_threads(
    cupy: FakeCupy, close: pd.DataFrame, grid: ParamGrid, output: str, block: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        sizes(monkeypatch, block, piece, len(close))
        series_on_gpu_and_cpu(close, grid, output)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("block", "piece"), [(1000, 1000), (1000, 5), (32, 96), (7, 3), (1, 1)])
def test_blocks_and_pieces_of_any_size(
    cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch, output: str, block: int, piece: int
) -> None:
    sizes(monkeypatch, block, piece)
    made = series_on_gpu_and_cpu(CLOSE, GRID, output)
    first, second = list(made), list(made)
    assert len(first) == len(made)
    for got, again in zip(first, second, strict=True):
        assert_same_bits(got.values, again.values)
        assert not np.shares_memory(got.values, again.values)
    assert_nothing_is_left(cupy)


@pytest.mark.parametrize("output", OUTPUTS)
def test_columns_of_all_kinds(cupy: FakeCupy, output: str) -> None:
    """Without a bar, with one, all of them, and an irregular one that threads alone would judge."""
    close = walks(columns=5).assign(A=np.nan)
    close.loc[close.index[1:], "C"] = np.nan
    close.iloc[100:120, 3] = -1.0
    series_on_gpu_and_cpu(close, GRID, output)
    series_on_gpu_and_cpu(close[["E"]], GRID, output)
    series_on_gpu_and_cpu(close["E"].to_numpy(), GRID, output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_source_of_its_own(one: FakeCupy, output: str) -> None:
    series_on_gpu_and_cpu(CLOSE, GRID, output, CLOSE.shift(1))


def test_without_any_bar_no_gpu_is_asked(one: FakeCupy) -> None:
    made = sweep(CLOSE * np.nan, GRID, output="average", backend="gpu")
    assert all(np.isnan(block.values).all() for block in made)
    assert not one.asked


@pytest.mark.parametrize("output", OUTPUTS)
def test_frames_and_files(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str) -> None:
    sizes(monkeypatch, 6, 4)
    made, expected = (sweep(CLOSE, GRID, output=output, backend=backend) for backend in ("gpu", "cpu"))
    for symbol in CLOSE:
        pd.testing.assert_frame_equal(made.frame(symbol), expected.frame(symbol), check_exact=True)
        assert_same_bits(made.frame(symbol).to_numpy(), expected.frame(symbol).to_numpy())
    assert_same_bits(
        np.asarray(made.to_memmap(tmp_path / "ours.npy")), np.asarray(expected.to_memmap(tmp_path / "theirs.npy"))
    )


# ---------------------------------------------------------------- order
def test_the_order_stays_whichever_piece_is_done_first(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    run = series_on_devices.run_in_slots

    def backwards(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from reversed(list(run(*arguments, **options)))

    monkeypatch.setattr(series_on_devices, "run_in_slots", backwards)
    sizes(monkeypatch, 7, 3)
    series_on_gpu_and_cpu(CLOSE, GRID, "average")
    sizes(monkeypatch, 32, 64)
    series_on_gpu_and_cpu(CLOSE, GRID, "direction")


def test_all_devices_have_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    two = install(monkeypatch, FakeCupy(devices=2))
    sizes(monkeypatch, 7, 3)
    series_on_gpu_and_cpu(CLOSE, GRID, "average")
    assert {device for *_, device in two.asked} == {0, 1}


def test_pieces_overlap(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes(monkeypatch, 7, 3)
    made = iter(sweep(CLOSE, GRID, output="average", backend="gpu"))
    next(made)
    assert max(one.device[0].in_flight) == series_on_devices._SLOTS
    made.close()


def test_two_at_a_time(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes(monkeypatch, 7, 3)
    on_gpu, on_cpu = (
        [sweep(CLOSE, GRID, output=output, backend=backend) for output in OUTPUTS] for backend in ("gpu", "cpu")
    )
    for ours, theirs in zip(zip(*on_gpu, strict=True), zip(*on_cpu, strict=True), strict=True):
        for got, expected in zip(ours, theirs, strict=True):
            assert_same_bits(got.values, expected.values)


# ---------------------------------------------------------------- what is shared
def test_components_are_computed_once_a_column(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes(monkeypatch, 7, 3)
    made = sweep(CLOSE, GRID, output="average", backend="gpu")
    assert not one.asked  # not before it is gone through
    list(made)
    assert launched(one, "equities_of_signals") == 3
    assert launched(one, "average_of_votes") == 3 * (4 * 3 + 2)  # blocks of 3, 3 and 1, the last of 3 and 1
    assert launched(one, "direction") == 0
    one.asked.clear()
    sizes(monkeypatch, 7, 1000)
    list(made)
    assert launched(one, "average_of_votes") == 3 * 5  # columns whose blocks are several do not go together


def test_short_work_on_many_columns_goes_together(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    close = pd.concat([walks(60, 8, seed) for seed in range(9)], axis=1, ignore_index=True).iloc[:, :65]
    close.iloc[:, 5] = np.nan  # no bar at all
    series_on_gpu_and_cpu(close, GRID, "direction")
    assert launched(one, "equities_of_signals") == 2  # of 64 columns, 32 at a time
    one.asked.clear()
    sizes(monkeypatch, 1000, 10 * len(GRID), 60)
    series_on_gpu_and_cpu(close, GRID, "average")
    assert launched(one, "equities_of_signals") == 7


# ---------------------------------------------------------------- memory
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("memory", [2**22, 2**21, 2**20])
def test_too_little_memory_makes_smaller_pieces(monkeypatch: pytest.MonkeyPatch, memory: int, output: str) -> None:
    cupy = install(monkeypatch, FakeCupy(memory=memory, said_free=2**33))  # the driver promises too much
    series_on_gpu_and_cpu(CLOSE, GRID, output)
    assert_nothing_is_left(cupy)


def test_pieces_that_were_divided_come_in_order(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """There is no memory for the averages of six combinations, but for those of three."""
    sizes(monkeypatch, 7, 6)
    for device in cupy.device:
        device.memory.refused = lambda nth, size: size == -(-6 * BARS * 8 // UNIT) * UNIT
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        series_on_gpu_and_cpu(CLOSE, GRID, "average")
    assert "has too little memory for Piece" in caplog.text


def test_pieces_are_planned_to_fit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the driver tells the truth nothing runs out: with more combinations of a column than fit, or columns."""
    with caplog.at_level(logging.WARNING, "atc_plugin"):
        for memory, grid, columns in [(2**22, MANY, 2), (2**23, MANY, 2), (2**22, GRID, 8), (2**23, GRID, 8)]:
            cupy = install(monkeypatch, FakeCupy(memory=memory * BARS // 400))
            with nothing_kept():
                for output in OUTPUTS:
                    series_on_gpu_and_cpu(walks(columns=columns), grid, output)
            assert launched(cupy, "average_of_votes") > 2  # not all at once
    assert not caplog.records


@pytest.mark.parametrize("blocks", [1, 1000])
def test_the_devices_get_their_memory_back(cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    """From those who go through all, and from those who stop early: what CuPy's pool keeps, too."""
    sizes(monkeypatch, 7, 3)
    made = iter(sweep(CLOSE, GRID, output="average", backend="gpu"))
    assert list(itertools.islice(made, blocks))
    made.close()
    assert [(device.memory.used, device.memory.kept) for device in cupy.device] == [(0, 0)] * len(cupy.device)
    assert_nothing_is_left(cupy)


def test_memory_that_never_suffices_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, FakeCupy(memory=1000))
    made = sweep(CLOSE, GRID, output="average", backend="gpu")
    with pytest.raises(MemoryError, match=r"device 0 has too little memory for Piece.*cannot be divided"):
        made.to_memmap(tmp_path / "all.npy")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- what fails
@pytest.mark.parametrize("kernel", ["kama", "average_of_votes"])
def test_a_gpu_that_fails_raises(one: FakeCupy, kernel: str) -> None:
    one.failing[kernel] = one.cuda.runtime.CUDARuntimeError(700, "an illegal memory access was encountered")
    with pytest.raises(one.cuda.runtime.CUDARuntimeError, match="an illegal memory access"):
        list(sweep(CLOSE, GRID, output="average", backend="gpu"))


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(RuntimeError, match=r'backend "gpu": no GPU can be used here: cupy is not installed: pip'):
        sweep(CLOSE, GRID, output="average", backend="gpu")
    monkeypatch.setenv("ATC_BACKEND", "gpu")
    with pytest.raises(RuntimeError, match="no GPU can be used here"):
        sweep(CLOSE, GRID, output="average")


def test_only_who_asks_gets_a_gpu(one: FakeCupy, monkeypatch: pytest.MonkeyPatch) -> None:
    list(sweep(CLOSE, GRID, output="average"))
    monkeypatch.setenv("ATC_BACKEND", "gpu")
    list(sweep(CLOSE, GRID, output="average", backend="cpu"))
    assert not one.asked
    list(sweep(CLOSE, GRID, output="average"))
    assert one.asked
