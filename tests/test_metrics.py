"""Metrics out of accumulators: numpy gives the bits of the plain kernel, whatever the accumulators."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba.core.config import DISABLE_JIT
from plain_metrics import plain_metrics
from same_bits import assert_same_bits

from atc_plugin.law.metrics import ACCUMULATORS, GROWTH, MAX_DRAWDOWN, METRICS, RETURNS, metrics_of

EXAMPLES = 20 if DISABLE_JIT else 500
RARE = (0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 2.0, 5e-324, -1e-310, 1e308, -1e308)
YEARS = (365.0, 365.0 * 24 * 60, 52.142857142857146, 1.0, 1e-9, math.nan)


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    """Accumulators of some combinations, likely and unlikely."""
    count = draw(st.integers(1, 20))
    numbers = st.one_of(st.sampled_from(RARE), st.floats(), st.floats(-2.0, 2.0), st.integers(0, 3000).map(float))
    return draw(arrays(np.float64, (count, len(ACCUMULATORS)), elements=numbers, fill=st.nothing()))


def assert_plain(accumulators: np.ndarray, bars: int, bars_per_year: float) -> None:
    expected = plain_metrics(accumulators, bars, bars_per_year)
    made = metrics_of(accumulators, bars, bars_per_year)
    assert tuple(made) == METRICS
    for name, values in zip(METRICS, expected, strict=True):
        assert_same_bits(made[name], values, name)


@given(tables(), st.one_of(st.integers(1, 3), st.integers(1, 10_000_000)), st.sampled_from(YEARS))
@settings(max_examples=EXAMPLES)
def test_metrics_are_those_of_the_plain_kernel(accumulators: np.ndarray, bars: int, bars_per_year: float) -> None:
    assert_plain(accumulators, bars, bars_per_year)


@pytest.mark.parametrize("bars", [1, 2, 1500])
def test_rare_numbers_in_every_pair(bars: int) -> None:
    pairs = [(a, b) for a in RARE for b in RARE]
    for other in range(len(ACCUMULATORS)):
        accumulators = np.ones((len(pairs), len(ACCUMULATORS)))
        accumulators[:, [RETURNS, other]] = pairs
        assert_plain(accumulators, bars, 365.0)
        accumulators = np.ones((len(pairs), len(ACCUMULATORS)))
        accumulators[:, [GROWTH, other]] = pairs
        accumulators[:, MAX_DRAWDOWN] = np.resize(RARE, len(pairs))
        assert_plain(accumulators, bars, 365.0)


@pytest.mark.parametrize("names", [*[(name,) for name in METRICS], METRICS[::-1], ()])
@pytest.mark.parametrize("bars", [1, 300])
def test_each_metric_is_the_same_alone(names: tuple[str, ...], bars: int) -> None:
    accumulators = np.random.default_rng(0).lognormal(0.0, 1.0, (50, len(ACCUMULATORS)))
    made, every = metrics_of(accumulators, bars, 365.0, names), metrics_of(accumulators, bars, 365.0)
    assert tuple(made) == names
    for name, values in made.items():
        assert_same_bits(values, every[name], name)


def test_the_order_of_accumulators_in_memory_does_not_matter() -> None:
    accumulators = np.random.default_rng(0).lognormal(0.0, 1.0, (3, 40, len(ACCUMULATORS)))
    window = metrics_of(accumulators.swapaxes(0, 1)[:, 1], 300, 365.0)
    for name, values in metrics_of(accumulators[1].copy(), 300, 365.0).items():
        assert_same_bits(window[name], values, name)


def test_metrics_share_no_memory_with_accumulators() -> None:
    accumulators = np.ones((5, len(ACCUMULATORS)))
    for values in metrics_of(accumulators, 300, 365.0).values():
        assert not np.shares_memory(values, accumulators)


def test_a_year_is_python_s_power() -> None:
    """numpy's `**` and `np.power` round about one in twenty otherwise, where they have instructions of their own."""
    rng = np.random.default_rng(0)
    accumulators = np.ones((20_000, len(ACCUMULATORS)))
    accumulators[:, GROWTH] = np.exp(rng.normal(0.0, 3.0, len(accumulators)))
    for bars in (30, 250, 365, 1500, 100_000):
        made = metrics_of(accumulators, bars, 365.0, ["annualized_return"])["annualized_return"]
        powers = np.array([math.pow(growth, 365.0 / bars) for growth in accumulators[:, GROWTH].tolist()])
        assert_same_bits(made, powers - 1)
