"""What makes the averages adaptive: trend states, equities, the two layers, the vote, and the direction.

Equities never fall below 0.25, so one double carries two things of the law: its magnitude is a member's equity, its
sign the member's trend state. A state of 0 only exists before the first cross and is kept as a count of bars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .compiling import kernel
from .recursive_averages import filled, whole_vectors
from .simd import (
    absolute,
    every,
    flip_sign,
    floor,
    load8,
    load32,
    select,
    splat32,
    store,
    with_sign,
)
from .window_averages import BARS

FLOOR = 0.25
"""No equity falls below this."""


# ---------------------------------------------------------------- members: trend state and equity
class MemberState(NamedTuple):
    """Of every member: its equity, its state's sign, on which side the close last was, and its bars without a state."""

    equity: NDArray[float64]
    trend: NDArray[float64]  # 0 before the first cross, then any number with the state's sign
    side: NDArray[float64]  # sign of close - m at the last bar where m was defined; NaN: there was none
    stateless: NDArray[float64]


@kernel
def member_state(members):
    """Room for so many members, padded by whole vectors; what pads them counts as crossed."""
    n = (members + 31) // 32 * 32
    return MemberState(filled(n, np.nan), filled(n, 1.0), filled(n, np.nan), filled(n, 0.0))


@kernel
def start_members(state, members):
    """No equity yet, no cross yet."""
    state.equity[:] = np.nan
    state.side[:] = np.nan
    state.stateless[:] = 0.0
    state.trend[:] = 1.0
    state.trend[:members] = 0.0


@kernel
def equities_of_averages(close, moved, keep, bars, state, lanes, width):
    """Trend state and equity of every member; `lanes` holds averages before, equities with the state's sign after.

    E = (E * keep) * (1 + a) with a = +-moved by the state, `moved` the growth-weighted return of the next bar.
    """
    for g in range(0, state.equity.size, 32):
        equity = load32(state.equity, g)
        trend = load32(state.trend, g)
        if every((trend < 0.0) | (trend > 0.0)):
            # Once a member has crossed, the law's cross rule says no more than this: its state is the side of the
            # close, and ties (and bars without an average) keep it.
            for t in range(bars):
                side = close[t] - load32(lanes, t * width + g)
                trend = select((side < 0.0) | (side > 0.0), side, trend)
                store(lanes, t * width + g, with_sign(equity, trend))
                equity = (equity * keep) * (flip_sign(moved[t], trend) + 1.0)
                equity = select(equity < FLOOR, FLOOR, equity)
        else:
            last = load32(state.side, g)
            stateless = load32(state.stateless, g)
            for t in range(bars):
                m = load32(lanes, t * width + g)
                above = m < close[t]
                below = m > close[t]
                trend = select(above & (last <= 0.0), 1.0, select(below & (last >= 0.0), -1.0, trend))
                last = select(above, 1.0, select(below, -1.0, select(m <= close[t], 0.0, last)))
                store(lanes, t * width + g, with_sign(equity, trend))
                rise = select(trend > 0.0, moved[t], select(trend < 0.0, -moved[t], 0.0))
                stateless = stateless + select((trend < 0.0) | (trend > 0.0), 0.0, 1.0)
                equity = (equity * keep) * (rise + 1.0)
                equity = select(equity < FLOOR, FLOOR, equity)
            store(state.side, g, last)
            store(state.stateless, g, stateless)
        store(state.equity, g, equity)
        store(state.trend, g, trend)


# ---------------------------------------------------------------- layer 1
@kernel
def layer_one(components, stateless, first_bar, bar_numbers, signed, stride, signals):
    """100 * round2(sum state*E / sum E) of each component, over its nine members in order.

    The bars run in the lanes: `signed` holds a row of BARS signed equities for each member, `signals` gets a row for
    each component. A state of 0 contributes +0.0 to the sum, as state * E does.
    """
    for c in range(components.shape[0]):
        early = False
        for j in range(9):
            early |= stateless[components[c, j]] > first_bar
        for t in range(0, BARS, 32):
            bar = load32(bar_numbers, t) + float(first_bar)
            equity = load32(signed, components[c, 0] * stride + t)
            den = absolute(equity)
            num = select(bar < stateless[components[c, 0]], 0.0, equity) if early else equity
            for j in range(1, 9):
                equity = load32(signed, components[c, j] * stride + t)
                den = den + absolute(equity)
                num = num + (select(bar < stateless[components[c, j]], 0.0, equity) if early else equity)
            ratio = num / den
            hundredths = floor(absolute(ratio) * 100.0 + (0.5 + 1e-10))
            # 0.0 - 0.0 is +0.0: a signal that rounds to zero has no sign
            store(signals, c * stride + t, select(ratio < 0.0, 0.0 - hundredths, hundredths))


# ---------------------------------------------------------------- layer 2
class ComponentState(NamedTuple):
    """Of every component: its equity, and the `a` it keeps while its signal is 0 or NaN."""

    equity: NDArray[float64]
    kept: NDArray[float64]


@kernel
def component_state(components):
    """Room for so many components, padded by whole vectors."""
    n = whole_vectors(components)
    return ComponentState(filled(n, np.nan), filled(n, 0.0))


@kernel
def start_components(state):
    """No equity yet, and a is 0."""
    state.equity[:] = np.nan
    state.kept[:] = 0.0


@kernel
def equities_of_signals(components, moved, keep, bars, state, lanes, width):
    """Equity of every component's signal; `lanes` holds 100 * signal before, the equity after."""
    for g in range(0, components, 8):
        equity = load8(state.equity, g)
        a = load8(state.kept, g)
        for t in range(bars):
            signal = load8(lanes, t * width + g)
            store(lanes, t * width + g, equity)
            a = select(signal > 0.0, moved[t], select(signal < 0.0, -moved[t], a))
            equity = (equity * keep) * (a + 1.0)
            equity = select(equity < FLOOR, FLOOR, equity)
        store(state.equity, g, equity)
        store(state.kept, g, a)


@kernel
def average_of_votes(signals, equities, stride, average):
    """(sum vote*E) / (sum E) over the six components, vote the sign of a signal beyond +-0.49."""
    for t in range(0, BARS, 32):
        num = splat32(0.0)
        den = splat32(0.0)
        for c in range(6):
            signal = load32(signals, c * stride + t)
            equity = load32(equities, c * stride + t)
            vote = select(signal > 49.5, 1.0, select(signal < -49.5, -1.0, 0.0))
            num = num + vote * equity
            den = den + equity
        store(average, t, num / den)


# ---------------------------------------------------------------- direction
@kernel
def direction(average, long_threshold, short_threshold, out):
    """0 until the first cross; +1 where the average crosses over the one threshold, -1 where under the other."""
    turned = 0
    was_low = False
    was_high = False
    for t in range(average.size):
        level = average[t]
        if level == level:
            if level > long_threshold and was_low:
                turned = 1
            if level < short_threshold and was_high:
                turned = -1
            was_low = level <= long_threshold
            was_high = level >= short_threshold
        out[t] = turned
