"""Hypothesis strategies for prices and parameters, shared by all tests of engines.

Hypothesis draws a regime, a seed and a number of bars; numpy makes the prices. That is fast, and a failing example
shrinks to fewer bars and to the first regime that still fails.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.random import Generator

from atc_plugin.params import HMA_AVERAGES

TYPES = ("ema", "hma", "wma", "dema", "lsma", "kama")
WIDEST_OFFSET = {"Narrow": 4, "Medium": 6, "Wide": 7}


def _walk(rng: Generator, n: int) -> np.ndarray:
    """A geometric random walk."""
    return 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))


def _flat(rng: Generator, n: int) -> np.ndarray:
    """Long stretches without any move, on a fine tick grid."""
    return np.round(1.1 + np.cumsum(rng.choice([-1e-4, 0, 0, 0, 0, 0, 0, 1e-4], n)), 4)


def _ticks(rng: Generator, n: int) -> np.ndarray:
    """A walk on a coarse tick grid: equal prices often, and the rolling sum re-baselines often."""
    size = rng.choice([0.01, 0.05, 0.25])
    steps = np.round(20 * np.exp(np.cumsum(rng.normal(0, 0.01, n))) / size)
    return np.round(np.maximum(steps, 1) * size, 2)


def _volatile(rng: Generator, n: int) -> np.ndarray:
    """Steps of a fifth of the price from just below a power of two: sums change binades while windows fill."""
    first = 2.0 ** rng.integers(1, 7) * rng.uniform(0.9, 1)
    steps = np.where(np.arange(n) == 0, 0, np.clip(rng.normal(0, 0.2, n), -0.5, 0.5))
    swing = np.abs(np.cumsum(steps)) % 2  # stays within e**2 of the first price
    return np.round(first * np.exp(swing), int(rng.choice([1, 2, 12])))


def _constant(rng: Generator, n: int) -> np.ndarray:
    """One price, then perhaps another."""
    out = np.full(n, np.round(rng.uniform(0.5, 200), 2))
    out[int(rng.integers(0, n + 1)) :] *= rng.choice([1.0, 1.01])
    return out


def _huge(rng: Generator, n: int) -> np.ndarray:
    return 1e100 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))


def _tiny(rng: Generator, n: int) -> np.ndarray:
    return 1e-100 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))


def _crossing(rng: Generator, n: int) -> np.ndarray:
    """Prices of both signs, as oil had once; never zero."""
    prices = np.round(np.cumsum(rng.normal(0, 1, n)) + rng.uniform(-3, 3), int(rng.choice([1, 2, 12])))
    return np.where(prices == 0, 0.1, prices)


def _explosive(rng: Generator, n: int) -> np.ndarray:
    """Swings over 500 decades: equities overflow to infinity and on to NaN."""
    swing = 250 * np.sin(np.arange(n) / rng.uniform(5, 40) + rng.uniform(0, 6))
    return 10.0 ** (swing + rng.normal(0, 0.3, n))


REGIMES = {
    "walk": _walk,
    "flat": _flat,
    "ticks": _ticks,
    "constant": _constant,
    "volatile": _volatile,
    "crossing": _crossing,
    "huge": _huge,
    "tiny": _tiny,
    "explosive": _explosive,
}


@st.composite
def prices(
    draw: st.DrawFn,
    min_bars: int = 1,
    max_bars: int = 400,
    nan_gaps: bool = False,
    regimes: tuple[str, ...] = tuple(REGIMES),
) -> np.ndarray:
    """Prices of one column, float64 (n,): finite and never zero, with NaN bars among them if `nan_gaps`."""
    regime = draw(st.sampled_from(regimes))
    n = draw(st.integers(min_bars, max_bars))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    close = REGIMES[regime](rng, n).astype(np.float64)
    if nan_gaps:
        close = _with_gaps(rng, close, draw(st.sampled_from(["none", "scattered", "late and early", "all"])))
    return close


def _with_gaps(rng: Generator, close: np.ndarray, gaps: str) -> np.ndarray:
    """NaN at scattered bars, at the beginning and the end (listed late, delisted early), or everywhere."""
    close = close.copy()
    if gaps == "scattered":
        close[rng.random(close.size) < rng.choice([0.02, 0.3])] = np.nan
    elif gaps == "late and early":
        first, last = np.sort(rng.integers(0, close.size + 1, 2))
        close[:first] = np.nan
        close[last:] = np.nan
    elif gaps == "all":
        close[:] = np.nan
    return close


@st.composite
def source_for(draw: st.DrawFn, close: np.ndarray, nan_gaps: bool = False) -> np.ndarray | None:
    """A source to go with `close`: None for close itself, the close before, or a price nearby; NaN gaps of its own."""
    kind = draw(st.sampled_from(["close", "before", "nearby", "rounded"]))
    if kind == "close":
        return None
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "before":
        source = np.concatenate([close[:1], close[:-1]])
    elif kind == "nearby":
        source = close * (1 + rng.normal(0, 0.003, close.size))
    else:
        source = np.round(close * 1.01, 2)
    if nan_gaps and draw(st.booleans()):
        source = _with_gaps(rng, source, "scattered")
    return source


@st.composite
def atc_params(
    draw: st.DrawFn, max_len: int = 60, wild: bool = True, hma_modes: Sequence[str] = tuple(HMA_AVERAGES)
) -> dict[str, Any]:
    """Legal parameters by name. With `wild`, rates and weights far outside of the published dialog too."""
    robustness = draw(st.sampled_from(["Medium", "Narrow", "Wide"]))
    hma_mode = draw(st.sampled_from(hma_modes))
    params: dict[str, Any] = {"robustness": robustness, "hma_mode": hma_mode}
    for kind in TYPES:
        least = HMA_AVERAGES[hma_mode].shortest if kind == "hma" else 1
        params[f"{kind}_len"] = draw(st.integers(WIDEST_OFFSET[robustness] + least, max_len))
        params[f"{kind}_w"] = draw(st.sampled_from([1.0, 0.1, 0.24, 0.25, 2.5]) | st.floats(0.01, 10))
    # thousandths and odd steps: a rate that exactly undoes a price step would end on either side of 0.25
    lambdas, decays = st.integers(1, 100).map(lambda k: k * 0.005), st.integers(0, 80).map(lambda k: k * 0.00317)
    if wild:
        lambdas = lambdas | st.sampled_from([0.0, 1e-9, 5.0, 2000.0])
        decays = decays | st.sampled_from([1e-12, 0.03, 5.0, 99.9])
    params["lambda_"] = draw(lambdas)
    params["decay"] = draw(decays)
    params["cutout"] = draw(st.sampled_from([0, 0, 1, 2, 30, 10_000]) | st.integers(0, 120))
    levels = st.sampled_from([0.1, -0.1, 0.0, 0.5, 1.0, -1.0]) | st.floats(-1, 1)
    params["short_threshold"], params["long_threshold"] = sorted([draw(levels), draw(levels)])
    return params
