"""One pass over the bars of a column: every member, component and the average, a tile of bars at a time.

Memory is a tile, not the series, except for the outputs that were asked for. Window averages are made in rows (time in
the lanes), turned into lanes, joined there by the recursive averages, become equities, are turned back into rows for
layer 1, and so on: each step has time or members in the lanes, whichever the law leaves free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from .adaptive import (
    FLOOR,
    ComponentState,
    MemberState,
    average_of_votes,
    component_state,
    direction,
    equities_of_averages,
    equities_of_signals,
    layer_one,
    member_state,
    start_components,
    start_members,
)
from .compiling import entry, kernel
from .recursive_averages import (
    EmaState,
    RsumState,
    dema,
    ema,
    ema_state,
    filled,
    kama,
    rsum_state,
    sma,
    start_ema,
    start_rsum,
    whole_vectors,
)
from .simd import load8, store, transpose8
from .window_averages import BARS, averages_of_one_bar, hma, newest_first_sums, wma_and_lsma


class Outputs(NamedTuple):
    """What to compute, by columns and bars; an array without columns is not computed."""

    average: NDArray[float64]  # (columns, n)
    direction: NDArray[int8]  # (columns, n)
    signals: NDArray[float64]  # (columns, components, n): layer-1 signals
    weights: NDArray[float64]  # (columns, components, n): layer-2 equities
    moving_averages: NDArray[float64]  # (columns, members, n)
    states: NDArray[int8]  # (columns, members, n)
    equities: NDArray[float64]  # (columns, members, n)


class Workspace(NamedTuple):
    """The arrays of a tile. Row strides and lane widths are odd multiples of a vector, to spread over the cache."""

    width: int  # of a bar in `lanes`
    component_width: int  # and in `component_lanes`
    x: NDArray[float64]  # source: history bars, the tile, and as far ahead as a window reaches
    moves: NDArray[float64]  # |x_t - x_{t-1}|: history bars and the tile
    close: NDArray[float64]
    moved: NDArray[float64]  # growth-weighted return of the next bar
    bar_numbers: NDArray[float64]  # 0..BARS-1
    rows: NDArray[float64]  # window averages, history + BARS each
    lanes: NDArray[float64]  # members: averages, then signed equities
    signed: NDArray[float64]  # the same as rows of BARS
    sums: NDArray[float64]  # newest-first sums in rows
    restarts: NDArray[float64]  # and in lanes
    signals: NDArray[float64]  # 100 * layer-1 signal in rows
    component_lanes: NDArray[float64]
    weights: NDArray[float64]  # layer-2 equities in rows
    average: NDArray[float64]
    from_rows: NDArray[int64]  # where a row of window averages starts in `rows`, lag included
    from_sums: NDArray[int64]
    from_lanes: NDArray[int64]
    from_signals: NDArray[int64]
    from_component_lanes: NDArray[int64]
    ema: EmaState
    dema: EmaState
    sma: RsumState
    kama: RsumState
    members: MemberState
    components: ComponentState


ROW = BARS + 8
"""Stride of rows that have no history."""


@kernel
def steps(n, by):
    """Where rows start that lie `by` apart, and eight more."""
    return np.arange(n + 8) * by


@kernel
def workspace(layout):
    """Room for one tile of the members and components of a layout."""
    history = layout.history
    components = layout.components.shape[0]
    stride = history + BARS
    members = member_state(layout.members)
    width = members.equity.size + 24
    component_width = whole_vectors(components) + 8
    padded = (components + 7) // 8 * 8
    sums = max(whole_vectors(layout.sma_lengths.size), whole_vectors(layout.kama_lengths.size))
    from_rows = np.zeros(layout.member_rows.size + 8, np.int64)
    for i in range(layout.member_rows.size):
        from_rows[i] = layout.member_rows[i] * stride + history - layout.member_lags[i]
    return Workspace(
        width,
        component_width,
        filled(history + BARS + history + 32, 0.0),
        filled(stride, 0.0),
        filled(BARS, 0.0),
        filled(BARS, 0.0),
        np.arange(BARS).astype(np.float64),
        filled(layout.windows.rows * stride, np.nan),
        filled(BARS * width, 0.0),
        filled((layout.members + 8) * ROW, 0.0),
        filled(sums * ROW, 0.0),
        filled(BARS * sums, 0.0),
        filled(padded * ROW, 0.0),
        filled(BARS * component_width, 0.0),
        filled(padded * ROW, 0.0),
        filled(BARS, 0.0),
        from_rows,
        steps(sums, ROW),
        steps(8, width),
        steps(padded, ROW),
        steps(8, component_width),
        ema_state(layout.ema_lengths),
        ema_state(layout.dema_lengths),
        rsum_state(layout.sma_lengths, history),
        rsum_state(layout.kama_lengths, history),
        members,
        component_state(components),
    )


@kernel
def rows_to_lanes(rows, starts, n, lanes, at, width):
    """Eight by eight; what is written past the last member is overwritten by the next step."""
    for g in range(0, n, 8):
        for t in range(0, BARS, 8):
            transpose8(rows, t, starts, g, lanes, at + t * width + g, width)


@kernel
def lanes_to_rows(lanes, starts, n, rows, width):
    """Eight by eight; rows are ROW apart."""
    for g in range(0, n, 8):
        for t in range(0, BARS, 8):
            transpose8(lanes, t * width + g, starts, 0, rows, g * ROW + t, ROW)


@kernel
def _keep_history(array, rows, stride, history, bars):
    """The last `history` values of each row move to its front."""
    for r in range(rows):
        for i in range(r * stride, r * stride + history, 8):
            store(array, i, load8(array, i + bars))


@kernel
def start_pass(layout, work, x, n):
    """Before the first bar."""
    work.x[:] = 0.0
    for row in range(layout.windows.rows):
        start = row * (layout.history + BARS)
        work.rows[start : start + layout.history] = np.nan  # no window starts before the first bar
    work.moved[:] = 0.0
    start_ema(work.ema, layout.ema_lengths, x, n, False)
    start_ema(work.dema, layout.dema_lengths, x, n, True)
    start_rsum(work.sma)
    start_rsum(work.kama)
    start_members(work.members, layout.members)
    start_components(work.components)


@kernel
def read_tile(close, x, n, first_bar, bars, history, work):
    """Prices of a tile."""
    low = max(0, history - first_bar)
    high = min(work.x.size, n - first_bar + history)
    for i in range(low, high):
        work.x[i] = x[first_bar - history + i]
    for i in range(high, work.x.size):
        work.x[i] = 0.0
    for i in range(bars):
        work.close[i] = close[first_bar + i]


@kernel
def read_moves(close, n, growth, cutout, first_bar, bars, moved):
    """Growth-weighted return of the bar after each of a tile; a tile does not reach over the cutout."""
    if first_bar >= cutout:
        for i in range(min(bars, n - 1 - first_bar)):
            now = close[first_bar + i]
            moved[i] = ((close[first_bar + i + 1] - now) / now) * growth[first_bar + i + 1 - cutout]


@kernel
def make_averages(layout, work, first_bar, bars):
    """All members' moving averages into `lanes`, each step overwriting what the step before spilled past its end."""
    history = layout.history
    stride = history + BARS
    width = work.width
    wma_and_lsma(work.x, history, layout.windows, work.rows, stride)
    averages_of_one_bar(work.x, history, layout.windows, work.rows, stride)
    hma(history, layout.windows, work.rows, stride)
    at = layout.member_rows.size
    rows_to_lanes(work.rows, work.from_rows, at, work.lanes, 0, width)
    _keep_history(work.rows, layout.windows.rows, stride, history, bars)
    ema(work.x, history, first_bar, bars, work.ema, work.lanes, at, width)
    at += layout.ema_lengths.size
    dema(work.x, history, first_bar, bars, work.dema, work.lanes, at, width)
    at += layout.dema_lengths.size
    if layout.sma_lengths.size:
        n = work.sma.sum.size
        newest_first_sums(work.x, history, layout.sma_lengths, work.sums, ROW)
        rows_to_lanes(work.sums, work.from_sums, n, work.restarts, 0, n)
        sma(work.x, history, first_bar, bars, work.sma, work.restarts, work.lanes, at, width)
        _keep_history(work.sma.entered, 1, 1, history * n, bars * n)
    at += layout.sma_lengths.size
    if layout.kama_lengths.size:
        n = work.kama.sum.size
        for i in range(1, stride):
            work.moves[i] = abs(work.x[i] - work.x[i - 1])
        for i in range(min(history - first_bar + 1, stride)):
            work.moves[i] = 0.0  # there is no move into the first bar
        newest_first_sums(work.moves, history, layout.kama_lengths, work.sums, ROW)
        rows_to_lanes(work.sums, work.from_sums, n, work.restarts, 0, n)
        kama(work.x, work.moves, history, first_bar, bars, work.kama, work.restarts, work.lanes, at, width)
        _keep_history(work.kama.entered, 1, 1, history * n, bars * n)


@kernel
def _write_rows(rows, stride, first_bar, bars, out):
    for r in range(out.shape[0]):
        for t in range(bars):
            out[r, first_bar + t] = rows[r * stride + t]


@kernel
def _write_members(work, first_bar, bars, states, equities):
    for r in range(states.shape[0]):
        for t in range(bars):
            signed = work.signed[r * ROW + t]
            state = np.int8(-1) if np.signbit(signed) else np.int8(1)
            states[r, first_bar + t] = np.int8(0) if first_bar + t < work.members.stateless[r] else state
            equities[r, first_bar + t] = abs(signed)


@kernel
def _pass(close, x, n, growth, cutout, keep, layout, weights, work, column, out):
    """The law over one column of n bars."""
    members = layout.members
    components = layout.components.shape[0]
    width = work.width
    component_width = work.component_width
    start_pass(layout, work, x, n)
    first_bar = np.int64(0)  # a literal would compile what it is passed to once more
    while first_bar < n:
        bars = min(BARS, n - first_bar)
        if first_bar < cutout:
            bars = min(bars, cutout - first_bar)  # a tile starts where the equities do
        elif first_bar == cutout:
            work.members.equity[:] = 1.0
            for c in range(components):
                work.components.equity[c] = max(weights[c], FLOOR)
        read_tile(close, x, n, first_bar, bars, layout.history, work)
        read_moves(close, n, growth, cutout, first_bar, bars, work.moved)
        make_averages(layout, work, first_bar, bars)
        if len(out.moving_averages):
            lanes_to_rows(work.lanes, work.from_lanes, members, work.signed, width)
            _write_rows(work.signed, ROW, first_bar, bars, out.moving_averages[column])
        equities_of_averages(work.close, work.moved, keep, bars, work.members, work.lanes, width)
        lanes_to_rows(work.lanes, work.from_lanes, members, work.signed, width)
        if len(out.states):
            _write_members(work, first_bar, bars, out.states[column], out.equities[column])
        layer_one(
            layout.components, work.members.stateless, first_bar, work.bar_numbers, work.signed, ROW, work.signals
        )
        rows_to_lanes(work.signals, work.from_signals, components, work.component_lanes, 0, component_width)
        equities_of_signals(components, work.moved, keep, bars, work.components, work.component_lanes, component_width)
        lanes_to_rows(work.component_lanes, work.from_component_lanes, components, work.weights, component_width)
        if len(out.average):
            average_of_votes(work.signals, work.weights, ROW, work.average)
            for t in range(bars):
                out.average[column, first_bar + t] = work.average[t]
        if len(out.signals):
            for c in range(components):
                for t in range(bars):
                    out.signals[column, c, first_bar + t] = work.signals[c * ROW + t] / 100.0
            _write_rows(work.weights, ROW, first_bar, bars, out.weights[column])
        first_bar += bars


@entry
def evaluate(
    close, source, counts, growth, cutout, keep, long_threshold, short_threshold, layout, weights, first, last, out
):
    """The law over the columns first..last-1; `counts` says how many bars each has, `out` gets what it has room for."""
    work = workspace(layout)
    for column in range(first, last):
        n = counts[column]
        _pass(close[column], source[column], n, growth, cutout, keep, layout, weights, work, column, out)
        if len(out.direction):
            direction(out.average[column, :n], long_threshold, short_threshold, out.direction[column, :n])
