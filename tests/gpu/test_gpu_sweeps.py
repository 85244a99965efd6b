"""Whole sweeps on a device: the bits of threads, of the cache and of the stream."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from gpu_sweeps import ARGUMENTS, OUTPUTS, arguments, on_gpu_and_cpu, series_on_gpu_and_cpu
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sweeps import assert_same_result, frames, grids, walks, worth
from price_strategies import REGIMES
from same_bits import assert_same_bits

from atc_plugin import AtcStream, ParamGrid, sweep
from atc_plugin.accel import why_not
from atc_plugin.sweeps import series, series_on_devices

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")

GRID = ParamGrid(ema_len=range(9, 49, 4), kama_len=range(9, 49, 4), wma_len=range(9, 49, 4), long_threshold=[0.1, 0.3])
SANITIZER = "compute-sanitizer"


@settings(max_examples=100)
@given(frames(), grids(), st.data())
def test_every_sweep_is_the_threads(close: pd.DataFrame, grid: ParamGrid, data: st.DataObject) -> None:
    on_gpu_and_cpu(close, grid, **data.draw(arguments(len(close))))


@pytest.mark.parametrize("regime", REGIMES)
def test_every_regime_of_prices(regime: str) -> None:
    close = np.stack([REGIMES[regime](np.random.default_rng(seed), 1500) for seed in range(40)], axis=1)
    on_gpu_and_cpu(close, GRID, windows=3)


def test_blocks_and_pieces() -> None:
    """Two blocks of a column, the second a few combinations short of whole."""
    lengths = dict.fromkeys(("ema_len", "hma_len", "wma_len", "dema_len", "lsma_len"), range(9, 39, 3))
    on_gpu_and_cpu(walks(1500, 1), ParamGrid(**lengths)[:131_000])


@settings(max_examples=100)
@given(frames(), grids(), st.sampled_from(OUTPUTS))
def test_every_series_is_the_threads(close: pd.DataFrame, grid: ParamGrid, output: str) -> None:
    series_on_gpu_and_cpu(close, grid, output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_series_of_many_columns_of_every_regime(output: str) -> None:
    regimes = list(REGIMES.values())
    close = [regimes[seed % len(regimes)](np.random.default_rng(seed), 1500) for seed in range(70)]
    series_on_gpu_and_cpu(np.stack(close, axis=1), GRID[::40], output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_series_in_blocks_and_pieces(monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.setattr(series, "_BYTES", 8 * 1500 * 500)
    monkeypatch.setattr(series_on_devices, "_BYTES", 8 * 1500 * 60)
    series_on_gpu_and_cpu(walks(1500), GRID, output)


def test_a_card_with_little_memory() -> None:
    import cupy

    pool = cupy.get_default_memory_pool()
    before = pool.get_limit()
    pool.free_all_blocks()
    try:
        pool.set_limit(64 * 2**20)
        on_gpu_and_cpu(walks(1500, 8), GRID, windows=4)
        for output in OUTPUTS:
            series_on_gpu_and_cpu(walks(1500, 8), GRID, output)
    finally:
        pool.set_limit(before)


@pytest.mark.parametrize(("first", "second"), [("gpu", "cpu"), ("cpu", "gpu")])
def test_either_finds_what_the_other_has_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str, second: str
) -> None:
    worth(monkeypatch, 0.0)
    asked: dict[str, Any] = ARGUMENTS | {"cache": tmp_path}
    before = sweep(walks(), GRID, backend=first, **asked)
    after = sweep(walks(), GRID, backend=second, **asked)
    assert after.reused == (3, 3)
    assert_same_result(after, before)


def test_the_stream_says_the_same() -> None:
    """What a combination of a sweep on a device turned at is what a stream turns at, bar by bar."""
    close = walks(600, 1).iloc[:, 0]
    result = sweep(close, GRID, backend="gpu", **ARGUMENTS)
    for row in (0, 77, len(GRID) - 1):
        stream = AtcStream(GRID[row], history=close.iloc[:1])
        bars = [stream.update(price) for price in close.iloc[1:]]
        directions = np.array([0, *(bar.direction for bar in bars)], float)
        assert_same_bits(result.run(row).direction.to_numpy(), directions)
        turns = int((np.diff(directions) != 0).sum())
        assert result.metrics["total_trades"][row] == turns


@pytest.mark.skipif(shutil.which(SANITIZER) is None, reason=f"{SANITIZER} is not installed (it comes with CUDA)")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck"])
def test_a_sanitizer_has_nothing_to_say(tool: str) -> None:
    done = subprocess.run(
        [SANITIZER, "--tool", tool, "--error-exitcode", "9", sys.executable, __file__],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


if __name__ == "__main__":
    sweep(walks(300, 3), GRID[:200], backend="gpu", windows=2, **ARGUMENTS)
