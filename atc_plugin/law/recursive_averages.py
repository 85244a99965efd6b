"""The averages that remember, EMA, DEMA, SMA and KAMA, with members in the lanes.

Each has a first form, for tiles in which a member may yet start, and one without the questions that only those ask:
`None` for such an argument compiles them out.

A *member* is one average of one length. `lanes[t * width + member]` holds its value at bar t of the tile, so a step in
time is one vector operation over the members. Each state keeps what a member carries from tile to tile; its arrays are
padded to whole vectors, and what pads them is harmless.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .compiling import kernel
from .simd import absolute, gather16, load16, select, store
from .window_averages import BARS


@kernel
def whole_vectors(n):
    """n rounded up to whole vectors of 16."""
    return (n + 15) // 16 * 16


@kernel
def filled(n, value):
    """n doubles that start at a cache line: a vector that straddles two lines costs double."""
    raw = np.empty(n + 8)
    skip = (64 - raw.ctypes.data % 64) % 64 // 8
    array = raw[skip : skip + n]
    array[:] = value
    return array


# ---------------------------------------------------------------- EMA and DEMA
class EmaState(NamedTuple):
    """Of every EMA: `alpha`, the bar of its seed, the seed, its value; of a DEMA the same of the EMA of that EMA."""

    alpha: NDArray[float64]
    first_bar: NDArray[float64]
    first: NDArray[float64]
    value: NDArray[float64]
    second_bar: NDArray[float64]
    second: NDArray[float64]
    second_value: NDArray[float64]


@kernel
def sums_from_the_start(x, n, out):
    """out[t] = RSUM over the first t + 1 values: until its window is full, the machine does not know its length."""
    s = 0.0
    c = 0.0
    for t in range(n):
        v = x[t]
        b = abs(c)
        if b > (v + b) - v:
            s = v
            c = 0.0
            for i in range(t - 1, -1, -1):
                s = x[i] + s
        else:
            y = v - c
            total = s + y
            c = (total - s) - y
            s = total
        out[t] = s


@kernel
def ema_state(lengths):
    """Room for the EMAs or DEMAs of these lengths (ascending, > 1)."""
    n = whole_vectors(lengths.size)
    return EmaState(
        filled(n, 0.0),
        filled(n, np.nan),
        filled(n, np.nan),
        filled(n, np.nan),
        filled(n, np.nan),
        filled(n, np.nan),
        filled(n, np.nan),
    )


@kernel
def start_ema(state, lengths, x, n, double):
    """Seeds: bar L-1 with the SMA of the first L values; for `double` also that of the EMA of the EMA."""
    longest = min(lengths[-1], n) if lengths.size else 0
    first = np.empty(longest)
    sums_from_the_start(x, longest, first)
    inner = np.empty(longest)
    second = np.empty(longest)
    for j in range(state.alpha.size):
        state.first_bar[j] = np.nan
        state.second_bar[j] = np.nan
        state.value[j] = np.nan
        state.second_value[j] = np.nan
        if j >= lengths.size:
            continue
        length = lengths[j]
        alpha = 2 / (length + 1)
        state.alpha[j] = alpha
        if length > n:
            continue
        seed = first[length - 1] / length
        state.first_bar[j] = length - 1
        state.first[j] = seed
        if double and 2 * length - 1 <= n:
            inner[0] = seed
            for t in range(1, length):
                inner[t] = inner[t - 1] + alpha * (x[length - 1 + t] - inner[t - 1])
            sums_from_the_start(inner, length, second)
            state.second_bar[j] = 2 * length - 2
            state.second[j] = second[length - 1] / length


@kernel
def ema(x, history, first_bar, bars, state, lanes, at, width):
    """e = e + alpha * (x - e)."""
    if first_bar < history:
        _ema(x, history, first_bar, bars, state, lanes, at, width, True)
    else:
        _ema(x, history, first_bar, bars, state, lanes, at, width, None)


@kernel
def _ema(x, history, first_bar, bars, state, lanes, at, width, may_start):
    for g in range(0, state.alpha.size, 16):
        alpha = load16(state.alpha, g)
        seed_bar = load16(state.first_bar, g)
        seed = load16(state.first, g)
        e = load16(state.value, g)
        for t in range(bars):
            e = e + alpha * (x[history + t] - e)
            if may_start is not None:
                e = _seeded(e, seed, seed_bar, float(first_bar + t))
            store(lanes, t * width + at + g, e)
        store(state.value, g, e)


@kernel
def dema(x, history, first_bar, bars, state, lanes, at, width):
    """2 * e1 - e2, e1 the EMA of x and e2 the EMA of e1."""
    if first_bar < 2 * history:
        _dema(x, history, first_bar, bars, state, lanes, at, width, True)
    else:
        _dema(x, history, first_bar, bars, state, lanes, at, width, None)


@kernel
def _dema(x, history, first_bar, bars, state, lanes, at, width, may_start):
    for g in range(0, state.alpha.size, 16):
        alpha = load16(state.alpha, g)
        seed_bar = load16(state.first_bar, g)
        seed = load16(state.first, g)
        e1 = load16(state.value, g)
        second_bar = load16(state.second_bar, g)
        second = load16(state.second, g)
        e2 = load16(state.second_value, g)
        for t in range(bars):
            e1 = e1 + alpha * (x[history + t] - e1)
            if may_start is not None:
                e1 = _seeded(e1, seed, seed_bar, float(first_bar + t))
            e2 = e2 + alpha * (e1 - e2)
            if may_start is not None:
                e2 = _seeded(e2, second, second_bar, float(first_bar + t))
            store(lanes, t * width + at + g, e1 * 2.0 - e2)
        store(state.value, g, e1)
        store(state.second_value, g, e2)


@kernel
def _seeded(e, seed, seed_bar, bar):
    return select((seed_bar <= bar) & (seed_bar >= bar), seed, e)


# ---------------------------------------------------------------- RSUM, SMA and KAMA
class RsumState(NamedTuple):
    """Of every rolling sum: its length, the sum, its compensation, the ring of what entered it; and KAMA's value."""

    lengths: NDArray[float64]
    sum: NDArray[float64]
    rest: NDArray[float64]
    entered: NDArray[float64]  # (history + BARS, width): what entered the sum at each bar
    leaving: NDArray[int64]  # for each member: how far before its entry of a bar the one that leaves lies
    back: NDArray[int64]  # for each member: -L
    kama: NDArray[float64]


@kernel
def rsum_state(lengths, history):
    """Room for the rolling sums of these lengths (ascending)."""
    n = whole_vectors(lengths.size)
    as_float = filled(n, 1.0)
    leaving = np.empty(n, np.int64)
    back = np.empty(n, np.int64)
    for j in range(n):
        length = lengths[j] if j < lengths.size else 1
        as_float[j] = length
        leaving[j] = j % 16 - length * n
        back[j] = -length
    entered = filled((history + BARS) * n, 0.0)
    return RsumState(as_float, filled(n, 0.0), filled(n, 0.0), entered, leaving, back, filled(n, 0.0))


@kernel
def start_rsum(state):
    """Nothing has entered yet, and KAMA is 0 before the first bar."""
    state.sum[:] = 0.0
    state.rest[:] = 0.0
    state.entered[:] = 0.0
    state.kama[:] = 0.0


@kernel
def rsum_step(v, s, c, old, filling, restart, always):
    """RSUM at one bar: the sum, its compensation, and what enters the ring.

    The law's `fires`, c != 0 and v != 0 and |c| - ((v + |c|) - v) > 0 with v + |c| finite and not 0, is
    |c| > (v + |c|) - v: equal in each of the excluded cases, false with NaN. `always`: length 1, the value itself.
    While the window is `filling` nothing leaves and the value is added alone, as y = v - c, s = s + y: the general step
    would round s - c first. None where no window of the tile can be filling.
    """
    b = absolute(c)
    fires = (b > (b + v) - v) | always
    y1 = old + c  # the law's y1 is the negative of this
    u = s - y1
    e1 = (u - s) + y1
    if filling is not None:
        u = select(filling, s, u)
        e1 = select(filling, c, e1)
    y2 = v - e1
    total = u + y2
    return select(fires, restart, total), select(fires, 0.0, (total - u) - y2), select(fires, v, y2)


@kernel
def sma(x, history, first_bar, bars, state, restarts, lanes, at, width):
    """RSUM(x, L) / L, NaN before bar L-1."""
    if first_bar < history:
        _sma(x, history, first_bar, bars, state, restarts, lanes, at, width, True)
    else:
        _sma(x, history, first_bar, bars, state, restarts, lanes, at, width, None)


@kernel
def _sma(x, history, first_bar, bars, state, restarts, lanes, at, width, may_fill):
    n = state.sum.size
    for g in range(0, n, 16):
        s = load16(state.sum, g)
        c = load16(state.rest, g)
        length = load16(state.lengths, g)
        for t in range(bars):
            row = (history + t) * n + g
            old = gather16(state.entered, row, state.leaving, g)
            restart = load16(restarts, t * n + g)
            if may_fill is None:
                s, c, entered = rsum_step(x[history + t], s, c, old, None, restart, length <= 1.0)
                average = s / length
            else:
                filling = length > float(first_bar + t)
                s, c, entered = rsum_step(x[history + t], s, c, old, filling, restart, length <= 1.0)
                average = select(length <= float(first_bar + t + 1), s / length, np.nan)
            store(state.entered, row, entered)
            store(lanes, t * width + at + g, average)
        store(state.sum, g, s)
        store(state.rest, g, c)


@kernel
def kama(x, moves, history, first_bar, bars, state, restarts, lanes, at, width):
    """k = k + m * (x - k), where m is the square of ratio * (0.666 - 0.064) + 0.064.

    ratio = |x_t - x_{t-L}| / RSUM(moves, L), 0 before bar L and where nothing has moved.
    """
    if first_bar < history:
        _kama(x, moves, history, first_bar, bars, state, restarts, lanes, at, width, True)
    else:
        _kama(x, moves, history, first_bar, bars, state, restarts, lanes, at, width, None)


@kernel
def _kama(x, moves, history, first_bar, bars, state, restarts, lanes, at, width, may_fill):
    n = state.sum.size
    for g in range(0, n, 16):
        s = load16(state.sum, g)
        c = load16(state.rest, g)
        k = load16(state.kama, g)
        length = load16(state.lengths, g)
        for t in range(bars):
            row = (history + t) * n + g
            old = gather16(state.entered, row, state.leaving, g)
            restart = load16(restarts, t * n + g)
            if may_fill is None:
                s, c, entered = rsum_step(moves[history + t], s, c, old, None, restart, length <= 1.0)
            else:
                filling = length >= float(first_bar + t)  # the first move enters at bar 1
                s, c, entered = rsum_step(moves[history + t], s, c, old, filling, restart, length <= 1.0)
            store(state.entered, row, entered)
            now = x[history + t]
            way = absolute(now - gather16(x, history + t, state.back, g))
            moved = (s < 0.0) | (s > 0.0)
            ratio = select((length <= float(first_bar + t)) & moved, way / s, 0.0)
            m = ratio * (0.666 - 0.064) + 0.064
            m = m * m
            k = k + m * (now - k)
            store(lanes, t * width + at + g, k)
        store(state.sum, g, s)
        store(state.rest, g, c)
        store(state.kama, g, k)
