"""The ATC law in its plain form: the reference that every fast engine is tested against.

One function a concept, one scalar loop, one rounding a written operation, in the written order. Nothing is checked
here and nothing is fast; the moving averages are in plain_averages.py and `plain_atc` at the end puts the pieces
together. Runs compiled and, for a debugger, under `NUMBA_DISABLE_JIT=1`, with the same bits.
"""

import math
from dataclasses import dataclass

import numpy as np
from plain_averages import dema, ema, hma_hull, kama, kernel, lsma, rsum, sma, wma  # noqa: F401

TYPES = ("EMA", "HMA", "WMA", "DEMA", "LSMA", "KAMA")
OFFSETS = {"Narrow": (1, 2, 3, 4), "Medium": (1, 2, 4, 6), "Wide": (1, 3, 5, 7)}


def moving_average(kind: str, x: np.ndarray, length: int, hma_mode: str) -> np.ndarray:
    """The moving average of one type."""
    hma = {"sma": sma, "hull": hma_hull}[hma_mode]
    return {"EMA": ema, "HMA": hma, "WMA": wma, "DEMA": dema, "LSMA": lsma, "KAMA": kama}[kind](x, length)


def nine_lengths(length: int, robustness: str) -> list[int]:
    """L, then L plus the four offsets, then L minus them."""
    offsets = OFFSETS[robustness]
    return [length, *(length + o for o in offsets), *(length - o for o in offsets)]


# States and equities.


@kernel
def trend_state(close, m):
    """+1 since close crossed over m, -1 since it crossed under, 0 before the first cross."""
    out = np.zeros(close.size, np.int8)
    state = 0
    was_le = False
    was_ge = False
    for t in range(close.size):
        if not np.isnan(m[t]):
            if close[t] > m[t] and was_le:
                state = 1
            if close[t] < m[t] and was_ge:
                state = -1
            was_le = close[t] <= m[t]
            was_ge = close[t] >= m[t]
        out[t] = state
    return out


@kernel
def returns(close):
    """r_t = (close_t - close_{t-1}) / close_{t-1}; NaN at bar 0, which nothing reads."""
    out = np.full(close.size, np.nan)
    for t in range(1, close.size):
        out[t] = (close[t] - close[t - 1]) / close[t - 1]
    return out


def growth_table(n: int, lambda_: float, cutout: int) -> np.ndarray:
    """g_t = math.e ** (lam * (t - cutout)), by Python's own power; one that overflows is infinite, as in C."""
    lam = lambda_ / 1000
    table = np.empty(n)
    for t in range(n):
        try:
            table[t] = math.e ** (lam * (t - cutout))
        except OverflowError:
            table[t] = math.inf
    return table


@kernel
def equity(signal, start, r, g, d, cutout):
    """Equity that holds yesterday's signal (float64, NaN allowed); NaN before bar `cutout`, never below 0.25."""
    out = np.full(signal.size, np.nan)
    a = 0.0
    e = np.nan
    for t in range(cutout, signal.size):
        if t > 0:  # at bar `cutout` too
            p = signal[t - 1]
            x = r[t] * g[t]
            if p > 0:
                a = x
            elif p < 0:
                a = -x  # where p is 0 or NaN, a keeps its last value
        e = start if t == cutout else (e * d) * (1 + a)
        if e < 0.25:
            e = 0.25
        out[t] = e
    return out


# Layers.


@kernel
def round2(v):
    """To hundredths, halves away from zero; never -0.0."""
    u = np.floor(abs(v) * 100 + (0.5 + 1e-10)) / 100
    if v < 0 and u != 0:
        u = -u
    return u


@kernel
def layer_one(states, equities):
    """Layer-1 signal of nine members: their states weighted by their equities, in hundredths."""
    out = np.full(states.shape[1], np.nan)
    for t in range(out.size):
        num = states[0, t] * equities[0, t]
        den = equities[0, t]
        for i in range(1, states.shape[0]):
            num = num + states[i, t] * equities[i, t]
            den = den + equities[i, t]
        out[t] = round2(num / den)
    return out


@kernel
def vote(signal):
    """+1, -1 or 0: what a type says."""
    if signal > 0.49:
        return 1.0
    if signal < -0.49:
        return -1.0
    return 0.0


@kernel
def average(signals, weights):
    """Votes of the types weighted by their layer-2 equities; a true product, so 0 * inf is NaN."""
    out = np.full(signals.shape[1], np.nan)
    for t in range(out.size):
        num = vote(signals[0, t]) * weights[0, t]
        den = weights[0, t]
        for i in range(1, signals.shape[0]):
            num = num + vote(signals[i, t]) * weights[i, t]
            den = den + weights[i, t]
        out[t] = num / den
    return out


@kernel
def direction(avg, long_threshold, short_threshold):
    """+1 since the average crossed over the long threshold, -1 since it crossed under the short one, 0 before."""
    out = np.zeros(avg.size)
    side = 0.0
    was_le = False
    was_ge = False
    for t in range(avg.size):
        if not np.isnan(avg[t]):
            if avg[t] > long_threshold and was_le:
                side = 1.0
            if avg[t] < short_threshold and was_ge:
                side = -1.0
            was_le = avg[t] <= long_threshold
            was_ge = avg[t] >= short_threshold
        out[t] = side
    return out


@kernel
def turned(side_of, side):
    """Where a direction became `side`: it is now and was not on the bar before."""
    out = np.zeros(side_of.size, np.bool_)
    for t in range(1, side_of.size):
        out[t] = side_of[t] == side and side_of[t - 1] != side
    return out


# One configuration.


@dataclass(frozen=True)
class PlainResult:
    """One configuration on n input bars, types in the order of TYPES, lengths in the law's order.

    Float arrays are NaN where the input is not a bar; states are 0 and entries and exits False there.
    """

    moving_averages: np.ndarray  # (6, 9, n)
    states: np.ndarray  # (6, 9, n) int8
    equities: np.ndarray  # (6, 9, n)
    signals: np.ndarray  # (6, n) layer-1 signals
    weights: np.ndarray  # (6, n) layer-2 equities
    average: np.ndarray  # (n,)
    direction: np.ndarray  # (n,) float64
    entries: np.ndarray  # (n,) bool
    exits: np.ndarray  # (n,) bool


def delayed(values: np.ndarray, first: float) -> np.ndarray:
    """`values` one bar later along the last axis."""
    return np.concatenate([np.full_like(values[..., :1], first), values[..., :-1]], axis=-1)


def on_all_bars(values: np.ndarray, is_bar: np.ndarray) -> np.ndarray:
    """Put values of the bars back among the non-bars, which get NaN, 0 or False."""
    blank = np.nan if values.dtype == np.float64 else 0
    out = np.full((*values.shape[:-1], is_bar.size), blank, values.dtype)
    out[..., is_bar] = values
    return out


def plain_atc(
    close: np.ndarray,
    source: np.ndarray | None = None,
    *,
    ema_len: int = 28,
    hma_len: int = 28,
    wma_len: int = 28,
    dema_len: int = 28,
    lsma_len: int = 28,
    kama_len: int = 28,
    ema_w: float = 1.0,
    hma_w: float = 1.0,
    wma_w: float = 1.0,
    dema_w: float = 1.0,
    lsma_w: float = 1.0,
    kama_w: float = 1.0,
    lambda_: float = 0.02,
    decay: float = 0.03,
    cutout: int = 0,
    robustness: str = "Medium",
    long_threshold: float = 0.1,
    short_threshold: float = -0.1,
    hma_mode: str = "sma",
    strategy_mode: bool = False,
) -> PlainResult:
    """One configuration of ATC on one column, straight from the law; the parameters must be legal."""
    close = np.asarray(close, np.float64)
    source = close if source is None else np.asarray(source, np.float64)
    is_bar = ~(np.isnan(close) | np.isnan(source))
    close, source = close[is_bar], source[is_bar]

    lengths = (ema_len, hma_len, wma_len, dema_len, lsma_len, kama_len)
    starts = (ema_w, hma_w, wma_w, dema_w, lsma_w, kama_w)
    n = close.size
    averages = np.empty((6, 9, n))
    states = np.empty((6, 9, n), np.int8)
    equities = np.empty((6, 9, n))
    signals = np.empty((6, n))
    weights = np.empty((6, n))
    with np.errstate(all="ignore"):  # only heard without the compiler
        r = returns(close)
        g = growth_table(n, lambda_, cutout)
        d = 1 - decay / 100
        for i, kind in enumerate(TYPES):
            for j, length in enumerate(nine_lengths(lengths[i], robustness)):
                averages[i, j] = moving_average(kind, source, length, hma_mode)
                states[i, j] = trend_state(close, averages[i, j])
                equities[i, j] = equity(states[i, j].astype(np.float64), 1.0, r, g, d, cutout)
            signals[i] = layer_one(states[i], equities[i])
            weights[i] = equity(signals[i], float(starts[i]), r, g, d, cutout)
        avg = average(signals, weights)
        side = direction(avg, float(long_threshold), float(short_threshold))

    if strategy_mode:
        avg, signals, side = delayed(avg, np.nan), delayed(signals, np.nan), delayed(side, 0.0)
    entries, exits = turned(side, 1.0), turned(side, -1.0)
    rows = (averages, states, equities, signals, weights, avg, side, entries, exits)
    return PlainResult(*(on_all_bars(values, is_bar) for values in rows))
