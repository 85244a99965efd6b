"""The kernels that find turns on a device against the CPU's, to the bit: the cases that the host runs without one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from kernel_stages import Drawn, price_tables
from kernel_turns import (
    Made,
    assert_made_turns_are_the_cpus,
    assert_turns_are_the_sweeps,
    made_columns,
    turning_grids,
)
from price_strategies import REGIMES

from atc_plugin import ParamGrid
from atc_plugin.accel import why_not
from atc_plugin.accel.launch import DeviceEngine
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")


@settings(max_examples=100)
@given(price_tables(max_bars=200), turning_grids())
def test_turns_are_the_sweeps(drawn: Drawn, grid: ParamGrid) -> None:
    assert_turns_are_the_sweeps(DeviceEngine(), drawn.table, grid)


@settings(max_examples=100)
@given(made_columns())
def test_turns_of_made_components(made: Made) -> None:
    assert_made_turns_are_the_cpus(DeviceEngine(), made)


def test_many_combinations_on_columns_of_every_regime() -> None:
    """More than a block of each, and more words than one."""
    close = np.stack([REGIMES[name](np.random.default_rng(4), 1500) for name in REGIMES], axis=1)
    lengths = {f"{name}_len": [10, 20, 30] for name in ("ema", "hma", "wma", "dema", "lsma", "kama")}
    grid = ParamGrid(**lengths, strategy_mode=[False, True])
    assert_turns_are_the_sweeps(DeviceEngine(), read_prices(close), grid)
