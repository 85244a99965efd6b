"""The kernel that judges windows, compiled for the host, against the CPU's law: to the bit, sure or not."""

from __future__ import annotations

import numpy as np
import pytest
from host_kernels import HostEngine, has_compiler
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
from numba.core.config import DISABLE_JIT
from price_strategies import REGIMES
from test_kernels_law import host_engines

from atc_plugin import ParamGrid
from atc_plugin.accel.judging import no_windows, window_tables
from atc_plugin.law.windows import windows_of
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(not has_compiler(), reason="there is no g++ to compile the kernels for the host")

EXAMPLES = 3 if DISABLE_JIT else 100
seeds = st.integers(0, 2**32 - 1)


# ---------------------------------------------------------------- turns at random
@settings(max_examples=EXAMPLES)
@given(
    price_tables(max_bars=300),
    requests(),
    seeds,
    st.integers(1, 8),
    host_engines(),
)
def test_windows_are_the_laws(drawn: Drawn, asked: Asked, seed: int, windows: int, host: HostEngine) -> None:
    """Of prices of any regime, whatever the turns and windows."""
    rng = np.random.default_rng(seed)
    ranges = some_ranges(rng, drawn.table.counts.tolist(), windows)
    assert_folds_are_the_laws(host, drawn.table, rng, asked, ranges, 6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trades", [False, True])
def test_prices_that_break_shortcuts(mode: int, trades: bool) -> None:
    bars = 40 if DISABLE_JIT else 300
    charges = [(0.0, 0.0), (0.001, 0.0), (0.0, 0.002), (0.01, 0.02), (1e-9, 0.0)]
    for seed, (fees, slippage) in enumerate(charges):
        rng = np.random.default_rng(seed)
        table = read_prices(prices_of_families(rng, bars))
        ranges = some_ranges(rng, table.counts.tolist(), 1 + 2 * seed)
        asked = Asked(mode, fees, slippage, AGES[seed % 4], trades=trades)
        host = HostEngine(32, "shuffled", seed)
        assert_folds_are_the_laws(host, table, rng, asked, ranges, 2 if DISABLE_JIT else 20)


def test_a_window_a_bar() -> None:
    """As many parts as bars, stretches over many of them."""
    bars = 40 if DISABLE_JIT else 130
    for mode in MODES:
        rng = np.random.default_rng(mode)
        table = read_prices(np.stack([REGIMES["walk"](rng, bars) for _ in range(2)], axis=1))
        ranges = [(np.arange(bars), np.arange(1, bars + 1))] * 2
        assert_folds_are_the_laws(HostEngine(), table, rng, Asked(mode, 0.001, ages=31), ranges, 12)


# ---------------------------------------------------------------- turns of sweeps
@settings(max_examples=4 if DISABLE_JIT else 60)
@given(price_tables(max_bars=40 if DISABLE_JIT else 300), grids(), requests(), seeds, st.integers(1, 4), host_engines())
def test_windows_of_sweeps_are_the_judges(
    drawn: Drawn, grid: ParamGrid, asked: Asked, seed: int, windows: int, host: HostEngine
) -> None:
    ranges = some_ranges(np.random.default_rng(seed), drawn.table.counts.tolist(), windows)
    assert_sweeps_are_the_judges(host, drawn.table, grid[: 2 if DISABLE_JIT else 12], asked, ranges)


# ---------------------------------------------------------------- how columns are padded
def test_columns_have_parts_of_their_own() -> None:
    own = [
        windows_of(np.array([0, 3]), np.array([5, 9]), 10),
        windows_of(np.array([0, 2]), np.array([2, 2]), 2),
        windows_of(np.array([0, 0]), np.array([0, 0]), 0),
    ]
    tables = window_tables(own)
    assert tables.ends.tolist() == [[2, 4, 8, 9], [1, -1, -1, -1], [-1, -1, -1, -1]]
    assert tables.part_counts.tolist() == [4, 1, 0]
    assert tables.first_parts.tolist() == [[0, 1], [0, 1], [0, 0]]
    assert tables.last_parts.tolist() == [[2, 3], [1, 1], [0, 0]]
    assert tables.starts.tolist() == [[0, 3], [0, 2], [0, 0]]
    assert tables.stops.tolist() == [[5, 9], [2, 2], [0, 0]]
    assert window_tables(own[2:]).ends.shape == (1, 1)
    assert no_windows(np.array([4, 0])).starts.shape == (2, 0)
