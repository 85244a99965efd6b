"""The law one bar at a time: each bar of a symbol reads one copy of its state and writes the other."""

from __future__ import annotations

import math

import numpy as np

from . import stream_layout as at
from .adaptive import FLOOR
from .compiling import entry, kernel
from .simd import (
    absolute,
    every,
    flip_sign,
    floor,
    gather8,
    load8,
    prefetch,
    select,
    splat8,
    store,
    transpose8,
    with_sign,
)
from .stream_averages import (
    BY_LENGTH,
    SUMS,
    VOTES,
    ema_and_dema,
    extend_windows,
    hull,
    kama,
    seed,
    sma,
    wma_and_lsma,
)

OUTPUTS = 16
"""Of a symbol: average, direction, turn (1 or -1 where the direction became that), nothing, 6 signals, 6 weights."""

_OVERFLOW = 709.79  # e to this power is beyond the doubles: inf, where Python would raise


@kernel
def growth_factor(i, lam):
    """As in `growth.growth_table`."""
    power = lam * i
    return math.pow(math.e, power) if power < _OVERFLOW else math.inf


@kernel
def layer_one(state, before, after, uncrossed_before, uncrossed_after, work, close, moved, keep, starting):
    """Trend states and equities of all members, and 100 * round2(sum state*E / sum E) of each type, types in the lanes.

    As in `adaptive`, once all members have crossed, a state is the side of the close and the sign of the equity.
    """
    num = splat8(0.0)
    den = splat8(0.0)
    crossed = state[before + at.CROSSED] > 0.0
    all_crossed = True
    for g in range(0, at.MEMBERS, 8):
        signed = load8(state, before + at.SIGNED + g)
        m = load8(work, BY_LENGTH + g)
        if crossed:
            equity = (absolute(signed) * keep) * (flip_sign(moved, signed) + 1.0)
            equity = splat8(1.0) if starting else select(equity < FLOOR, FLOOR, equity)
            side = close - m
            signed = with_sign(equity, select((side < 0.0) | (side > 0.0), side, signed))
            num = num + signed
        else:
            trend = load8(state, uncrossed_before + g)
            last = load8(state, uncrossed_before + at.MEMBERS + g)
            rise = select(trend > 0.0, moved, select(trend < 0.0, -moved, 0.0))
            equity = (absolute(signed) * keep) * (rise + 1.0)
            equity = splat8(1.0) if starting else select(equity < FLOOR, FLOOR, equity)
            above = m < close
            below = m > close
            trend = select(above & (last <= 0.0), 1.0, select(below & (last >= 0.0), -1.0, trend))
            last = select(above, 1.0, select(below, -1.0, select(m <= close, 0.0, last)))
            store(state, uncrossed_after + g, trend)
            store(state, uncrossed_after + at.MEMBERS + g, last)
            has_state = (trend < 0.0) | (trend > 0.0)
            all_crossed &= every(has_state)
            signed = with_sign(equity, trend)
            num = num + select(has_state, signed, 0.0)
        store(state, after + at.SIGNED + g, signed)
        den = den + equity
    state[after + at.CROSSED] = 1.0 if all_crossed else 0.0
    ratio = num / den
    hundredths = floor(absolute(ratio) * 100.0 + (0.5 + 1e-10))
    store(state, after + at.SIGNALS, select(ratio < 0.0, 0.0 - hundredths, hundredths))


@kernel
def layer_two(state, before, after, floats, work, moved, keep, starting):
    """Equities of the signals and the average of the votes."""
    signal = load8(state, before + at.SIGNALS)
    a = load8(state, before + at.KEPT)
    a = select(signal > 0.0, moved, select(signal < 0.0, -moved, a))
    equity = (load8(state, before + at.WEIGHTS) * keep) * (a + 1.0)
    equity = load8(floats, at.STARTS) if starting else select(equity < FLOOR, FLOOR, equity)
    store(state, after + at.KEPT, a)
    store(state, after + at.WEIGHTS, equity)
    signal = load8(state, after + at.SIGNALS)
    vote = select(signal > 49.5, 1.0, select(signal < -49.5, -1.0, 0.0))
    store(work, VOTES, vote * equity)
    store(work, VOTES + 8, equity)
    num = 0.0
    den = 0.0
    for i in range(6):
        num = num + work[VOTES + i]
        den = den + work[VOTES + 8 + i]
    return num / den


@kernel
def turn(state, before, after, average, long_threshold, short_threshold):
    """The direction after this average."""
    level = state[before + at.LEVEL]
    direction = state[before + at.DIRECTION]
    state[after + at.DIRECTION_BEFORE] = direction
    if average == average:
        if average > long_threshold and level <= long_threshold:
            direction = 1.0
        if average < short_threshold and level >= short_threshold:
            direction = -1.0
        level = average
    state[after + at.AVERAGE] = average
    state[after + at.LEVEL] = level
    state[after + at.DIRECTION] = direction


@kernel
def one_bar(state, row, before, after, cold_before, cold_after, t, close, x, growth, integers, floats, work):
    """The law at bar t, from one copy of the state to the other."""
    kept = integers[at.KEPT_BARS]
    slot = t % kept
    oldest = row + integers[at.X]
    newest = oldest + slot + kept
    state[oldest + slot] = x
    state[newest] = x  # twice, so that the last bars lie in a row
    extend_windows(state, before, after, integers, floats, work, slot, x)
    wma_and_lsma(integers, floats, work, slot, x)
    ema_and_dema(state, before, after, floats, work, x)
    if t < 2 * integers[at.LONGEST_SEED]:
        seed(state, row, after, integers, work, newest, t)
    if integers[at.HMA_AVERAGE] == at.HULL:
        hull(state, row + integers[at.HMA_RING], integers, floats, work, slot)
    else:
        sma(state, before, after, row + integers[at.HMA_RING], integers, floats, work, slot, newest, t)
    kama(state, before, after, row + integers[at.KAMA_RING], integers, floats, work, slot, newest, t)
    transpose8(work, 0, integers, at.OF_TYPES, work, BY_LENGTH, 8)
    store(work, BY_LENGTH + 64, gather8(work, 8, integers, at.OF_TYPES))
    moved = 0.0
    if t > integers[at.CUTOUT]:
        last = state[before + at.CLOSE]
        moved = ((close - last) / last) * growth
    state[after + at.CLOSE] = close
    keep = floats[at.KEEP]
    starting = t == integers[at.CUTOUT]
    layer_one(state, before, after, cold_before, cold_after, work, close, moved, keep, starting)
    average = layer_two(state, before, after, floats, work, moved, keep, starting)
    turn(state, before, after, average, floats[at.LONG], floats[at.SHORT])


@kernel
def show(state, row, integers, symbol, out):
    """The outputs of a symbol at its last bar; NaN where the last call brought none."""
    if state[row + at.PENDING] == 0.0:
        out[symbol, :] = np.nan
        return
    copy = integers[at.COPY]
    side = int(state[row + at.SIDE])
    newest = row + at.HEADER + side * copy
    shown = row + at.HEADER + (1 - side) * copy if integers[at.IS_DELAYED] else newest
    direction = state[shown + at.DIRECTION]
    out[symbol, 0] = state[shown + at.AVERAGE]
    out[symbol, 1] = direction
    out[symbol, 2] = direction if direction != state[shown + at.DIRECTION_BEFORE] else 0.0
    out[symbol, 3] = 0.0
    for i in range(6):
        out[symbol, 4 + i] = state[shown + at.SIGNALS + i] / 100.0
        out[symbol, 10 + i] = state[newest + at.WEIGHTS + i]


@kernel
def fetch(state, row, integers):
    """Ask for what the next bar of a symbol needs: it lies too far apart for the machine to see it coming."""
    kept = integers[at.KEPT_BARS]
    for i in range(row + at.HEADER, row + integers[at.X], 8):
        prefetch(state, i)
    slot = int(state[row + at.BARS]) % kept
    oldest = row + integers[at.X]
    prefetch(state, oldest + slot)
    for i in range(oldest + slot, oldest + slot + kept + 8, 8):
        prefetch(state, i)
    leaving = at.LEAVING + slot * at.NINE
    for ring in (integers[at.HMA_RING], integers[at.KAMA_RING]):
        prefetch(state, row + ring + slot * at.NINE)
        prefetch(state, row + ring + slot * at.NINE + 8)
        for j in range(9):
            prefetch(state, row + ring + integers[leaving + j])
        leaving += kept * at.NINE


@entry
def advance(state, integers, floats, close, source, replacing, out):
    """Take in bars, `close` and `source` (symbols, bars), NaN where there is none; `replacing`: in place of the last.

    Returns -1, or the first symbol whose close or source the law has no meaning for; nothing has changed then.
    """
    symbols, bars = close.shape
    for symbol in range(symbols):
        for i in range(bars):
            price = close[symbol, i]
            x = source[symbol, i]
            if price == 0.0 or np.isinf(price) or np.isinf(x):
                return symbol
    work = np.empty(SUMS + 4 * integers[at.KEPT_BARS] + max(integers[at.LONGEST_HMA], integers[at.LONGEST_KAMA]) + 16)
    copy = integers[at.COPY]
    cutout = integers[at.CUTOUT]
    lam = floats[at.LAM]
    growth = 1.0
    growth_bar = -1
    for symbol in range(symbols):
        row = symbol * integers[at.WIDTH]
        if symbol + 1 < symbols:
            fetch(state, row + integers[at.WIDTH], integers)
        side = int(state[row + at.SIDE])
        t = int(state[row + at.BARS])
        pending = state[row + at.PENDING] > 0.0
        for i in range(bars):
            if replacing and pending:
                side = 1 - side
                t -= 1
            price = close[symbol, i]
            x = source[symbol, i]
            pending = price == price and x == x
            if not pending:
                continue
            if t > cutout and t != growth_bar:  # symbols listed together share it
                growth = growth_factor(t - cutout, lam)
                growth_bar = t
            before = row + at.HEADER + side * copy
            after = row + at.HEADER + (1 - side) * copy
            cold = row + integers[at.UNCROSSED]
            cold_before = cold + side * 2 * at.MEMBERS
            cold_after = cold + (1 - side) * 2 * at.MEMBERS
            one_bar(state, row, before, after, cold_before, cold_after, t, price, x, growth, integers, floats, work)
            side = 1 - side
            t += 1
        state[row + at.BARS] = t
        state[row + at.SIDE] = side
        state[row + at.PENDING] = 1.0 if pending else 0.0
        show(state, row, integers, symbol, out)
    return -1
