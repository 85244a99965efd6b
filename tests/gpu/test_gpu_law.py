"""The kernels on a device against the CPU's law, to the bit: the cases that the host runs without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_stages import (
    Drawn,
    assert_components_are_the_sweeps,
    assert_stages_are_the_engines,
    combinations,
    price_tables,
)
from price_strategies import REGIMES, atc_params

from atc_plugin import AtcParams, ParamGrid
from atc_plugin.accel import why_not
from atc_plugin.accel.launch import DeviceEngine
from atc_plugin.prices import read_prices

pytestmark = pytest.mark.skipif(why_not() != "", reason=f"no GPU can be used here: {why_not()}")


@settings(max_examples=100)
@given(price_tables(), atc_params())
def test_every_stage_is_the_engines(drawn: Drawn, params: dict[str, Any]) -> None:
    assert_stages_are_the_engines(DeviceEngine(), drawn.table, AtcParams(**params))


@settings(max_examples=100)
@given(price_tables(max_bars=200), st.lists(combinations(), min_size=1, max_size=5, unique=True))
def test_components_are_the_sweeps(drawn: Drawn, grid: list[AtcParams]) -> None:
    assert_components_are_the_sweeps(DeviceEngine(), drawn.table, grid)


@pytest.mark.parametrize("mode", ["sma", "hull"])
def test_many_columns(mode: str) -> None:
    """More than a block, of every regime of prices."""
    regimes = list(REGIMES.values())
    close = [regimes[seed % len(regimes)](np.random.default_rng(seed), 700) for seed in range(300)]
    assert_stages_are_the_engines(DeviceEngine(), read_prices(np.stack(close, axis=1)), AtcParams(hma_mode=mode))


def test_many_members() -> None:
    grid = ParamGrid(ema_len=range(9, 200, 10), kama_len=[9, 500], cutout=[0, 100], decay=[0.03, 1.0])
    close = REGIMES["ticks"](np.random.default_rng(1), 1500)
    assert_components_are_the_sweeps(DeviceEngine(), read_prices(close), list(grid))
