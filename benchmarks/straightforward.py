"""ATC as people write it today: pandas moving averages and crossovers, and a numba loop for what pandas cannot say.

Idiomatic and neither slow on purpose nor tuned: what the package is compared with. Values are close to the law's, not
equal: pandas starts an EMA at the first bar, sums in another order, and rounds once where the law rounds twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numba import njit

OFFSETS = (0, 1, 2, 4, 6, -1, -2, -4, -6)


# ---------------------------------------------------------------- moving averages
def ema(x: pd.Series, length: int) -> pd.Series:
    """Exponential moving average."""
    return x.ewm(span=length, adjust=False, min_periods=length).mean()


def dema(x: pd.Series, length: int) -> pd.Series:
    """Double exponential moving average."""
    once = ema(x, length)
    return 2 * once - ema(once, length)


def wma(x: pd.Series, length: int) -> pd.Series:
    """Weighted moving average, the newest bar heaviest."""
    weights = np.arange(1, length + 1)
    weights = weights / weights.sum()
    return x.rolling(length).apply(lambda window: np.dot(window, weights), raw=True)


def hma(x: pd.Series, length: int, hma_mode: str) -> pd.Series:
    """Hull moving average, or what the published script computes in its place."""
    if hma_mode == "sma":
        return x.rolling(length).mean()
    return wma(2 * wma(x, length // 2) - wma(x, length), int(length**0.5))


def lsma(x: pd.Series, length: int) -> pd.Series:
    """End of the least-squares line; the formula instead of np.polyfit, which takes six times as long."""
    k = np.arange(length) - (length - 1) / 2
    scale = (k * k).sum()
    return x.rolling(length).apply(lambda window: window.mean() + np.dot(window, k) / scale * k[-1], raw=True)


@njit
def _kama(x, smoothing):
    out = np.empty(x.size)
    k = 0.0
    for t in range(x.size):
        k = k + smoothing[t] * (x[t] - k)
        out[t] = k
    return out


def kama(x: pd.Series, length: int) -> pd.Series:
    """Kaufman's adaptive moving average, with the constants of the published script."""
    noise = x.diff().abs().rolling(length).sum()
    ratio = (x.diff(length).abs() / noise).fillna(0)
    smoothing = (ratio * (0.666 - 0.064) + 0.064) ** 2
    return pd.Series(_kama(x.to_numpy(), smoothing.to_numpy()), x.index)


# ---------------------------------------------------------------- trend, equity, layers
def crossings(x: pd.Series, over: pd.Series | float, under: pd.Series | float) -> pd.Series:
    """+1 from where x crosses over the one, -1 from where it crosses under the other, 0 before."""
    before = x.shift()
    over_before = over.shift() if isinstance(over, pd.Series) else over
    under_before = under.shift() if isinstance(under, pd.Series) else under
    state = pd.Series(np.nan, x.index)
    state[(x > over) & (before <= over_before)] = 1.0
    state[(x < under) & (before >= under_before)] = -1.0
    return state.ffill().fillna(0.0)


@njit
def _equity(signal, moves, start, decay, cutout):
    equity = np.full(signal.size, np.nan)
    a = 0.0
    for t in range(cutout, signal.size):
        if t > 0 and signal[t - 1] > 0:
            a = moves[t]
        elif t > 0 and signal[t - 1] < 0:
            a = -moves[t]
        if t == cutout:
            equity[t] = start
        else:
            equity[t] = equity[t - 1] * decay * (1 + a)
        if equity[t] < 0.25:
            equity[t] = 0.25
    return equity


def straightforward_atc(
    close: pd.Series,
    hma_mode: str = "sma",
    *,
    length: int | Sequence[int] = 28,
    lambda_: float = 0.02,
    decay: float = 0.03,
    cutout: int = 0,
    long_threshold: float = 0.1,
    short_threshold: float = -0.1,
) -> tuple[pd.Series, pd.Series]:
    """Average and direction of one column, robustness "Medium", all types at the same weight.

    A length for all types, or one for each in the order EMA, HMA, WMA, DEMA, LSMA, KAMA.
    """
    growth = np.exp(lambda_ / 1000 * (np.arange(len(close)) - cutout))
    moves = (close.pct_change() * growth).to_numpy()

    def equity(signal: pd.Series) -> pd.Series:
        return pd.Series(_equity(signal.to_numpy(), moves, 1.0, 1 - decay / 100, cutout), close.index)

    types = (ema, lambda x, n: hma(x, n, hma_mode), wma, dema, lsma, kama)
    lengths = [length] * len(types) if isinstance(length, int) else length
    votes = pd.Series(0.0, close.index)
    weights = pd.Series(0.0, close.index)
    for moving_average, central in zip(types, lengths, strict=True):
        num = pd.Series(0.0, close.index)
        den = pd.Series(0.0, close.index)
        for offset in OFFSETS:
            average = moving_average(close, central + offset)
            state = crossings(close, average, average)
            member = equity(state)
            num += state * member
            den += member
        signal = (num / den).round(2)
        weight = equity(signal)
        vote = (signal > 0.49).astype(float) - (signal < -0.49)
        votes += vote * weight
        weights += weight
    average = votes / weights
    return average, crossings(average, long_threshold, short_threshold)
