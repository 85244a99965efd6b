"""Our engines against PyneCore, live, to the bit: random walks, flat stretches, tick grids, any legal parameters."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fast_law import fast_atc
from golden_files import GOLDEN, load_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.config import DISABLE_JIT
from plain_law import equity, growth_table, plain_atc, returns
from price_strategies import atc_params, prices, source_for
from pynecore_oracle import pynecore_atc, pynecore_equity
from same_bits import assert_same_bits

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pynecore") is None,
    reason="PyneCore, the outside oracle, is not installed: pip install pynesys-pynecore",
)

# Every engine with plain_atc's interface belongs here.
IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {"plain": plain_atc, "engine": fast_atc}

# golden key -> attribute of a result
ATTRIBUTES = {
    "moving_averages": "moving_averages",
    "states": "states",
    "equities": "equities",
    "layer1_signals": "signals",
    "layer2_equities": "weights",
    "average": "average",
    "direction": "direction",
}

# what PyneCore's tolerant comparisons can take: ordinary prices, ordinary steps
PINE_REGIMES = ("walk", "flat", "ticks", "constant", "volatile")
PINE_MODES = ("sma", "hull")  # what the script that PyneCore runs has


def assert_all_agree(close: np.ndarray, source: np.ndarray | None, params: dict[str, Any]) -> None:
    """Every implementation gives PyneCore's bits; PyneCore runs once."""
    expected = pynecore_atc(close, source, **params)
    for name, atc in IMPLEMENTATIONS.items():
        result = atc(close, source, **params)
        for key, attribute in ATTRIBUTES.items():
            assert_same_bits(getattr(result, attribute), expected[key], f"{name} {attribute}")


@pytest.mark.parametrize("name", GOLDEN)
def test_translation_is_the_golden_one(name: str) -> None:
    params, arrays = load_golden(name)
    got = pynecore_atc(arrays["close"], arrays.get("source"), **params)
    for key in ATTRIBUTES:
        assert_same_bits(got[key], arrays[key], f"{name} {key}")


@settings(max_examples=5 if DISABLE_JIT else 120)
@given(st.data())
def test_any_parameters(data: st.DataObject) -> None:
    close = data.draw(prices(max_bars=300, regimes=PINE_REGIMES), "close")
    source = data.draw(source_for(close), "source")
    params = data.draw(atc_params(wild=False, hma_modes=PINE_MODES), "params")
    assert_all_agree(close, source, params)


@pytest.mark.parametrize("hma_mode", PINE_MODES)
@pytest.mark.parametrize("robustness", ["Narrow", "Medium", "Wide"])
def test_shortest_lengths(robustness: str, hma_mode: str) -> None:
    shortest = {"Narrow": 5, "Medium": 7, "Wide": 8}[robustness]
    close = np.round(50 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, 250))), 2)
    lengths = {f"{kind}_len": shortest for kind in ("ema", "wma", "dema", "lsma", "kama")}
    hma_len = shortest + (hma_mode == "hull")
    assert_all_agree(close, None, {**lengths, "hma_len": hma_len, "robustness": robustness, "hma_mode": hma_mode})


@pytest.mark.parametrize("hma_mode", PINE_MODES)
@pytest.mark.parametrize("start", [15.97, 63.9, 7.93, 31.85])
def test_filling_window(start: float, hma_mode: str) -> None:
    # 15.97 + 16.16 adds the larger to the smaller and lands in the next binade: c is inexact and s - c is not s, so
    # RSUM's first bars tell the plain compensated add from the general step
    assert_all_agree(np.round(start + 0.19 * np.arange(60), 2), None, {"hma_mode": hma_mode})


@settings(max_examples=5 if DISABLE_JIT else 60)
@given(
    close=prices(max_bars=120, regimes=PINE_REGIMES),
    seed=st.integers(0, 2**32 - 1),
    params=atc_params(wild=False, hma_modes=PINE_MODES),
)
def test_equity_of_any_signal(close: np.ndarray, seed: int, params: dict[str, Any]) -> None:
    signal = np.random.default_rng(seed).choice([np.nan, 0.0, 0.0, 0.37, 1.0, -0.02, -1.0], close.size)
    assert_equity_agrees(close, signal, params["ema_w"], params["lambda_"], params["decay"], params["cutout"])


@pytest.mark.parametrize("pause", [0.0, np.nan])
def test_equity_pauses_at_the_first_bar(pause: float) -> None:
    # a is set from the bar before `cutout`, kept through the pause and applied at each later bar
    close = np.array([100.0, 110.0, 99.0, 105.0, 104.0])
    signal = np.array([1.0, pause, pause, pause, -1.0])
    assert_equity_agrees(close, signal, weight=1.0, lambda_=0.02, decay=0.03, cutout=1)


def assert_equity_agrees(
    close: np.ndarray, signal: np.ndarray, weight: float, lambda_: float, decay: float, cutout: int
) -> None:
    expected = pynecore_equity(close, signal, weight=weight, lambda_=lambda_, decay=decay, cutout=cutout)
    growth = growth_table(close.size, lambda_, cutout)
    got = equity(signal, weight, returns(close), growth, 1 - decay / 100, cutout)
    assert_same_bits(got, expected, "equity")
