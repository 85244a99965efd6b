"""The averages of the law one bar at a time, the lengths of a type in the lanes, in the order of the law.

Each reads one copy of a symbol's state, at `before`, and writes the other, at `after`; `newest` is where the ring of
the source ends, `slot` the place of the bar in the other rings. The averages go to `work`, nine a type.
"""

from __future__ import annotations

import numpy as np

from . import stream_layout as at
from .compiling import kernel
from .recursive_averages import rsum_step, sums_from_the_start
from .simd import absolute, gather9, load8, load9, select, some, splat9, store

EMA, HMA, WMA, DEMA, LSMA, KAMA, BY_LENGTH, VOTES, SUMS = 0, 9, 18, 27, 36, 45, 64, 136, 152
"""Where `work` has the averages of each type; the same by length, eight lanes each; votes; and sums of windows."""


# ---------------------------------------------------------------- windows
@kernel
def extend_windows(state, before, after, integers, floats, work, slot, x):
    """sum x and sum x*k of every bar that a window may start at, x the newest.

    The law adds oldest first, so the window of length L is the sum that started L - 1 bars ago. A start that no
    average reaches any more becomes this bar's.
    """
    kept = integers[at.KEPT_BARS]
    sums = before + at.WINDOWS
    extended = after + at.WINDOWS
    for s in range(0, kept, 8):
        k = load8(floats, at.NUMBERS + kept - 1 - slot + s)
        fresh = k <= 1.0
        sy = select(fresh, 0.0, load8(state, sums + s)) + x
        sxy = select(fresh, 0.0, load8(state, sums + kept + s)) + k * x
        store(state, extended + s, sy)
        store(state, extended + kept + s, sxy)
        store(work, SUMS + s, sy)
        store(work, SUMS + kept + s, sy)
        store(work, SUMS + 2 * kept + s, sxy)
        store(work, SUMS + 3 * kept + s, sxy)


@kernel
def wma_and_lsma(integers, floats, work, slot, x):
    """WMA = sum x*k / norm and LSMA = the end of the least-squares line."""
    kept = integers[at.KEPT_BARS]
    sy_now = SUMS + kept + slot
    sxy_now = sy_now + 2 * kept
    store(work, WMA, gather9(work, sxy_now, integers, at.WMA_START) / load9(floats, at.WMA_NORM))
    sy = gather9(work, sy_now, integers, at.LSMA_START)
    sxy = gather9(work, sxy_now, integers, at.LSMA_START)
    n = load9(floats, at.LSMA_LENGTH)
    sx = load9(floats, at.LSMA_SX)
    slope = (sxy * n - sy * sx) / load9(floats, at.LSMA_DEN)
    intercept = sy / n - slope * sx / n + slope
    store(work, LSMA, select(n <= 1.0, x, intercept + slope * (n - 1.0)))


@kernel
def hull(state, ring, integers, floats, work, slot):
    """WMA(2*WMA(x, L//2) - WMA(x, L), floor(sqrt(L))); the ring holds what the outer average is taken of."""
    kept = integers[at.KEPT_BARS]
    now = SUMS + 3 * kept + slot
    half = gather9(work, now, integers, at.HALF_START) / load9(floats, at.HALF_NORM)
    full = gather9(work, now, integers, at.FULL_START) / load9(floats, at.FULL_NORM)
    store(state, ring + slot * at.NINE, half * 2.0 - full)
    outer = load9(floats, at.OUTER)
    total = splat9(0.0)
    for age in range(integers[at.LONGEST_OUTER] - 1, -1, -1):
        row = slot - age
        row = ring + (row if row >= 0 else row + kept) * at.NINE
        total = select(outer > float(age), total + load9(state, row) * (outer - float(age)), total)
    store(work, HMA, total / load9(floats, at.OUTER_NORM))


# ---------------------------------------------------------------- EMA and DEMA
@kernel
def ema_and_dema(state, before, after, floats, work, x):
    """e = e + alpha * (x - e), and 2*e1 - e2; NaN until they are seeded."""
    e = load9(state, before + at.EMA)
    e = select(load9(floats, at.EMA_LENGTH) <= 1.0, x, e + load9(floats, at.EMA_ALPHA) * (x - e))
    store(state, after + at.EMA, e)
    store(work, EMA, e)
    alpha = load9(floats, at.DEMA_ALPHA)
    one = load9(floats, at.DEMA_LENGTH) <= 1.0
    e1 = load9(state, before + at.DEMA)
    e2 = load9(state, before + at.DEMA_SECOND)
    e1 = select(one, x, e1 + alpha * (x - e1))
    e2 = select(one, x, e2 + alpha * (e1 - e2))
    store(state, after + at.DEMA, e1)
    store(state, after + at.DEMA_SECOND, e2)
    store(work, DEMA, e1 * 2.0 - e2)


@kernel
def seed(state, row, after, integers, work, newest, t):
    """At bar L-1 the SMA of the first L values; of a DEMA at bar 2L-2 also that of the first L values of its EMA."""
    for j in range(9):
        length = integers[at.EMA_LENGTHS + j]
        if length > 1 and length == t + 1:
            e = _mean(state[newest - t : newest + 1], length)
            state[after + at.EMA + j] = e
            work[EMA + j] = e
        length = integers[at.DEMA_LENGTHS + j]
        first_seed = row + integers[at.FIRST_SEEDS] + j
        if length > 1 and length == t + 1:
            e = _mean(state[newest - t : newest + 1], length)
            state[after + at.DEMA + j] = e
            state[first_seed] = e
        if length > 1 and 2 * length == t + 2:
            alpha = 2 / (length + 1)
            inner = np.empty(length)
            inner[0] = state[first_seed]
            for k in range(1, length):
                inner[k] = inner[k - 1] + alpha * (state[newest - length + 1 + k] - inner[k - 1])
            e2 = _mean(inner, length)
            state[after + at.DEMA_SECOND + j] = e2
            work[DEMA + j] = 2.0 * inner[length - 1] - e2


@kernel
def _mean(x, length):
    sums = np.empty(length)
    sums_from_the_start(x, length, sums)
    return sums[length - 1] / length


# ---------------------------------------------------------------- SMA and KAMA
@kernel
def sma(state, before, after, ring, integers, floats, work, slot, newest, t):
    """RSUM(x, L) / L, NaN before bar L-1."""
    kept = integers[at.KEPT_BARS]
    restarts = SUMS + 4 * kept
    x = state[newest]
    s = load9(state, before + at.HMA_SUM)
    c = load9(state, before + at.HMA_REST)
    length = load9(floats, at.HMA_LENGTH)
    old = gather9(state, ring, integers, at.LEAVING + slot * at.NINE)
    b = absolute(c)
    restart = s
    if some((b > (b + x) - x) | (length <= 1.0)):
        total = x
        work[restarts] = x
        for k in range(1, integers[at.LONGEST_HMA]):  # newest first; before the first bar the ring holds zeros
            total = state[newest - k] + total
            work[restarts + k] = total
        restart = gather9(work, restarts, integers, at.HMA_BACK)
    s, c, entered = rsum_step(x, s, c, old, length > float(t), restart, length <= 1.0)
    store(state, ring + slot * at.NINE, entered)
    store(state, after + at.HMA_SUM, s)
    store(state, after + at.HMA_REST, c)
    store(work, HMA, select(length <= float(t + 1), s / length, np.nan))


@kernel
def kama(state, before, after, ring, integers, floats, work, slot, newest, t):
    """k = k + m * (x - k), m the square of ratio * (0.666 - 0.064) + 0.064, the ratio 0 before bar L."""
    kept = integers[at.KEPT_BARS]
    restarts = SUMS + 4 * kept
    x = state[newest]
    move = abs(x - state[newest - 1]) if t > 0 else 0.0
    s = load9(state, before + at.KAMA_SUM)
    c = load9(state, before + at.KAMA_REST)
    k = load9(state, before + at.KAMA)
    length = load9(floats, at.KAMA_LENGTH)
    old = gather9(state, ring, integers, at.LEAVING + (kept + slot) * at.NINE)
    b = absolute(c)
    restart = s
    if some((b > (b + move) - move) | (length <= 1.0)):
        total = move
        work[restarts] = move
        for i in range(1, integers[at.LONGEST_KAMA]):
            if i < t:  # there is no move into the first bar
                total = abs(state[newest - i] - state[newest - i - 1]) + total
            work[restarts + i] = total
        restart = gather9(work, restarts, integers, at.KAMA_BACK)
    s, c, entered = rsum_step(move, s, c, old, length >= float(t), restart, length <= 1.0)
    store(state, ring + slot * at.NINE, entered)
    store(state, after + at.KAMA_SUM, s)
    store(state, after + at.KAMA_REST, c)
    way = absolute(x - gather9(state, newest, integers, at.KAMA_LAG))
    moved = (s < 0.0) | (s > 0.0)
    ratio = select((length <= float(t)) & moved, way / s, 0.0)
    m = ratio * (0.666 - 0.064) + 0.064
    m = m * m
    k = k + m * (x - k)
    store(state, after + at.KAMA, k)
    store(work, KAMA, k)
