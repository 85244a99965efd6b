"""The CUDA kernels, compiled for the host, against the CPU's law: every stage to the bit, in any order of threads."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import host_kernels
import numpy as np
import pytest
from host_kernels import HostEngine, Recorder, has_compiler, written_by
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_stages import (
    LENGTHS,
    Drawn,
    assert_components_are_the_sweeps,
    assert_stages_are_the_engines,
    combinations,
    price_tables,
    run_stages,
)
from kernel_turns import run_turns
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES, atc_params
from same_bits import assert_same_bits

from atc_plugin import AtcParams, ParamGrid, engine
from atc_plugin.accel.engines import Place, gathered_on
from atc_plugin.accel.placing import are_sound_on, placed_on, places_of
from atc_plugin.accel.single import Part
from atc_plugin.accel.tables import pass_tables
from atc_plugin.engine import Regime
from atc_plugin.law.components import Wanted
from atc_plugin.prices import Prices, read_prices
from atc_plugin.sweeps.components import wanted_by
from atc_plugin.sweeps.planning import plan

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

EXAMPLES = 3 if DISABLE_JIT else 150


@st.composite
def host_engines(draw: st.DrawFn) -> HostEngine:
    return HostEngine(
        block=draw(st.sampled_from([1, 3, 32, 128])),
        order=draw(st.sampled_from(["forward", "reversed", "shuffled"])),
        seed=draw(st.integers(0, 2**32)),
    )


# ---------------------------------------------------------------- one configuration
@settings(max_examples=EXAMPLES)
@given(price_tables(), atc_params(), host_engines())
def test_every_stage_is_the_engines(drawn: Drawn, params: dict[str, Any], host: HostEngine) -> None:
    assert_stages_are_the_engines(host, drawn.table, AtcParams(**params))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("order", ["forward", "reversed", "shuffled"])
def test_every_regime_of_prices(regime: str, order: str) -> None:
    bars = 90 if DISABLE_JIT else 400
    close = np.stack([REGIMES[regime](np.random.default_rng(seed), bars) for seed in range(3)], axis=1)
    for mode, robustness in (("sma", "Wide"), ("hull", "Narrow")):
        params = AtcParams(hma_mode=mode, robustness=robustness, ema_len=11, dema_len=20, kama_len=9, cutout=7)
        assert_stages_are_the_engines(HostEngine(64, order, seed=5), read_prices(close), params)


@pytest.mark.parametrize("bars", [1, 2, 3, 27, 28, 29, 54, 55, 129])
def test_series_as_long_as_an_average_is(bars: int) -> None:
    close = REGIMES["ticks"](np.random.default_rng(bars), bars)
    for mode in ("sma", "hull"):
        assert_stages_are_the_engines(HostEngine(), read_prices(close), AtcParams(hma_mode=mode))


def test_growth_beyond_the_doubles() -> None:
    """Infinite growth of a return of 0 is undefined, and stays so: no equity comes back from NaN."""
    bars = 420
    close = np.stack([REGIMES[name](np.random.default_rng(2), bars) for name in ("constant", "flat", "walk")], axis=1)
    params = AtcParams(lambda_=2000.0, cutout=3)
    assert np.isnan(engine.layers(read_prices(close), params).weights[:2, :, -1]).any()
    assert_stages_are_the_engines(HostEngine(), read_prices(close), params)


def test_more_columns_than_a_warp_has_threads() -> None:
    close = np.stack([REGIMES["walk"](np.random.default_rng(seed), 70) for seed in range(40)], axis=1)
    assert_stages_are_the_engines(HostEngine(128, "shuffled"), read_prices(close), AtcParams(ema_len=10))


# ---------------------------------------------------------------- many configurations
@settings(max_examples=EXAMPLES)
@given(price_tables(max_bars=200), st.lists(combinations(), min_size=1, max_size=5, unique=True), host_engines())
def test_components_are_the_sweeps(drawn: Drawn, grid: list[AtcParams], host: HostEngine) -> None:
    assert_components_are_the_sweeps(host, drawn.table, grid)


@pytest.mark.parametrize(
    "values",
    [
        {"cutout": [0, 1, 64, 150, 200, 10**30]},
        {"lambda_": [0.0, 0.02, 5.0, 2000.0], "decay": [0.03, 99.9], "cutout": [0, 3]},
        {"ema_w": [1.0, 0.1, 0.25, 3.0], "lsma_w": [1.0, 2.0], "decay": [0.03, 1.0]},
        {"hma_mode": ["sma", "hull"], "hma_len": [9, 28, 30], "robustness": ["Narrow", "Wide"]},
        {"kama_len": [9, 100, 149, 150, 151, 400], "lsma_len": [150, 300], "wma_len": [250]},
        {"ema_len": [5, 6], "dema_len": [5, 6], "lsma_len": [5, 6], "kama_len": [5, 6], "robustness": ["Narrow"]},
    ],
)
def test_grids(values: dict[str, Any]) -> None:
    grid = list(ParamGrid(**values))
    grid = grid[:: max(1, len(grid) // 3)] if DISABLE_JIT else grid
    close = np.stack([REGIMES[name](np.random.default_rng(3), 150) for name in ("walk", "ticks")], axis=1)
    assert_components_are_the_sweeps(HostEngine(32, "shuffled"), read_prices(close), grid)


def test_what_a_sweep_does_not_need_is_not_kept() -> None:
    for mode, kept in (("sma", 0), ("hull", 9)):
        wanted = [Wanted(engine.component(AtcParams(hma_mode=mode, hma_len=28), "HMA"), 1.0, 0)]
        tables = pass_tables(wanted, [Regime(0.02, 0.03, 0)], 100)
        assert tables.averages.members == 9
        assert (tables.averages.kept_rows > 0) == (kept > 0)
        # of a Hull average only the two WMAs that it is made of, some of them shared
        assert tables.averages.kept_rows <= 2 * kept


# ---------------------------------------------------------------- out of bounds
def sanitizer() -> str:
    """The library to load before a program that watches memory, or an empty text."""
    found = subprocess.run([host_kernels.COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True)
    path = found.stdout.strip()
    return path if Path(path).is_absolute() else ""


def replayed(path: Path) -> subprocess.CompletedProcess[str]:
    package = str(Path(engine.__file__).parents[1])
    environment = os.environ | {
        "LD_PRELOAD": sanitizer(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own are none of ours
        "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")]),
        "PYTHONMALLOC": "malloc",
    }
    command = [sys.executable, host_kernels.__file__, str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def recorded(table: Prices, grid: list[AtcParams], keep_all: bool) -> list[tuple[str, int, dict[str, Any]]]:
    planned = plan(ParamGrid.points(grid))
    tables = pass_tables(wanted_by(planned), planned.regimes, table.close.shape[1], keep_all)
    recorder = Recorder()
    close = np.asfortranarray(table.close)  # taken as it is: in a pickle, a view of what a launch fills is none
    table = Prices(close, close, table.counts, table.valid, table.container)
    levels = [(params.long_threshold, params.short_threshold) for params in grid]
    run_stages(recorder, table, tables, planned.ids(0, planned.size)[:, :6], levels)
    run_turns(recorder, table, planned)
    return recorder.launches


def ways_in_and_out(rng: np.random.Generator, bars: int, columns: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Columns out of a table, a look at them, and outputs of two parts put on their bars."""
    recorder = Recorder()
    widths = (columns, 2)
    valid = rng.random((sum(widths), bars)) < 0.8
    parts, first = [], 0
    for width in widths:
        average = rng.choice([-1.0, 1.0, np.nan], (bars, width))
        parts.append(Part(first, average, rng.choice([-1, 0, 1], (bars, width)).astype(np.int8)))
        gathered_on(recorder, rng.random((bars, sum(widths))), Place(first, sum(widths), 1), bars, width)
        gathered_on(recorder, rng.random((width, bars)), Place(0, 1, bars), bars, width)
        first += width
    for places, late in ((places_of(valid), True), (places_of(None), False)):
        for output in ("average", "direction", "entries", "exits"):
            placed_on(recorder, output, parts, places, late)
    are_sound_on(recorder, rng.random((bars, columns)), zeros=True)
    return recorder.launches


@pytest.mark.skipif(has_compiler() and not sanitizer(), reason="this g++ has no AddressSanitizer")
def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cases = []
    for bars, columns, block, order in (
        (1, 1, 32, "forward"),
        (2, 3, 1, "reversed"),
        (61, 1, 7, "shuffled"),
        (130, 5, 64, "shuffled"),
        (130, 33, 128, "reversed"),
    ):
        close = np.stack([REGIMES["ticks"](rng, bars) for _ in range(columns)], axis=1)
        grid = [
            AtcParams(hma_mode="hull", hma_len=9, dema_len=9, cutout=bars // 2, robustness="Wide"),
            AtcParams(ema_len=70, dema_len=65, kama_len=200, lsma_len=130, wma_len=124, lambda_=5.0),
            AtcParams(**dict.fromkeys(LENGTHS, 7)),
            AtcParams(**dict.fromkeys(LENGTHS, 7), strategy_mode=True, long_threshold=1.0, short_threshold=0.0),
        ]
        cases.append((recorded(read_prices(close), grid, keep_all=bars == 61), block, order))
        cases.append((ways_in_and_out(rng, bars, columns), block, order))
    path = tmp_path / "launches.pickle"
    path.write_bytes(pickle.dumps(cases))
    done = replayed(path)
    assert done.returncode == 0, done.stderr
    watched = pickle.loads(path.read_bytes())
    for (launches, block, order), given_back in zip(cases, watched, strict=True):
        for kernel, threads, arguments in launches:
            HostEngine(block, order, seed=2).launch(kernel, threads, **arguments)
        for array, theirs in zip(written_by(launches), given_back, strict=True):
            assert_same_bits(theirs, array)


@pytest.mark.skipif(has_compiler() and not sanitizer(), reason="this g++ has no AddressSanitizer")
def test_the_sanitizer_sees_a_read_behind_the_end(tmp_path: Path) -> None:
    """A test that cannot fail would be none: room that is too small is found."""
    x = np.ones((400, 1))
    arguments = {
        "x": x,
        "close": x,
        "bars": 400,
        "columns": 1,
        "first_sums": np.ones((400, 1)),
        "lengths": np.array([200]),
        "alphas": np.array([0.1]),
        "slots": np.array([0]),
        "rows": np.array([0]),
        "kept": np.array([-1]),
        "count": 1,
        "firsts": np.ones((150, 1)),
        "sides": np.ones((1, 400, 1), np.int8),
        "averages": np.ones((0, 400, 1)),
    }
    path = tmp_path / "launches.pickle"
    path.write_bytes(pickle.dumps([([("dema", 1, arguments)], 32, "forward")]))
    done = replayed(path)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
