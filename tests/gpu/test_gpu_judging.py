"""The kernels that judge combinations, on a device, against the CPU's law: to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging_stages import (
    AGES,
    MODES,
    assert_folds_are_the_laws,
    assert_sweeps_are_the_judges,
    prices_of_families,
    requests,
    some_ranges,
)
from kernel_stages import Drawn, price_tables
from made_components import Asked
from made_sweeps import grids
from price_strategies import REGIMES

from atc_plugin import ParamGrid
from atc_plugin.accel import why_not
from atc_plugin.accel.launch import DeviceEngine
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=100)
@given(price_tables(max_bars=300), requests(), seeds, st.integers(0, 8))
def test_folds_are_the_laws(drawn: Drawn, asked: Asked, seed: int, windows: int) -> None:
    rng = np.random.default_rng(seed)
    ranges = some_ranges(rng, drawn.table.counts.tolist(), windows) if windows else None
    assert_folds_are_the_laws(DeviceEngine(), drawn.table, rng, asked, ranges, 6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ages", AGES)
def test_prices_that_break_shortcuts(mode: int, ages: int) -> None:
    """More combinations than a block has threads."""
    rng = np.random.default_rng(ages)
    table = read_prices(prices_of_families(rng, 300))
    ranges = some_ranges(rng, table.counts.tolist(), 5)
    assert_folds_are_the_laws(DeviceEngine(), table, rng, Asked(mode, 0.001, 0.0, ages), ranges, 70)


@settings(max_examples=30)
@given(price_tables(max_bars=300), grids(), requests(), seeds, st.integers(0, 4))
def test_sweeps_are_the_judges(drawn: Drawn, grid: ParamGrid, asked: Asked, seed: int, windows: int) -> None:
    ranges = some_ranges(np.random.default_rng(seed), drawn.table.counts.tolist(), windows) if windows else None
    assert_sweeps_are_the_judges(DeviceEngine(), drawn.table, grid[:12], asked, ranges)


@pytest.mark.parametrize("mode", MODES)
def test_many_combinations(mode: int) -> None:
    close = np.stack([REGIMES["walk"](np.random.default_rng(seed), 1500) for seed in range(4)], axis=1)
    grid = ParamGrid(ema_len=range(9, 60, 5), kama_len=[9, 28], wma_len=range(9, 60, 5), strategy_mode=[False, True])
    sure = assert_sweeps_are_the_judges(DeviceEngine(), read_prices(close), grid, Asked(mode, 0.001, 0.001, 127), None)
    assert sure > 0.5 * 4 * len(grid)
