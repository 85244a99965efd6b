"""One pass over the bars of a column: every member, component and the average, a tile of bars at a time.

Memory is a tile, not the series, except for the outputs that were asked for. Window averages are made in rows (time in
the lanes), turned into lanes, joined there by the recursive averages, become equities, are turned back into rows for
layer 1, and so on: each step has time or members in the lanes, whichever the law leaves free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from .adaptive import (
    FLOOR,
    average_of_votes,
    direction,
    equities_of_averages,
    equities_of_signals,
    layer_one,
)
from .compiling import entry, kernel
from .recursive_averages import dema, ema, kama, sma
from .resuming import begin_of, exchange_averages, exchange_equities, make_history
from .simd import transpose8
from .window_averages import BARS, make_rows, newest_first_sums
from .workspaces import ROW, keep_history, read_tile, start_pass, workspace


class Outputs(NamedTuple):
    """What to compute, by columns and bars; an array without columns is not computed."""

    average: NDArray[float64]  # (columns, n)
    direction: NDArray[int8]  # (columns, n)
    signals: NDArray[float64]  # (columns, components, n): layer-1 signals
    weights: NDArray[float64]  # (columns, components, n): layer-2 equities
    moving_averages: NDArray[float64]  # (columns, members, n)
    states: NDArray[int8]  # (columns, members, n)
    equities: NDArray[float64]  # (columns, members, n)


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
    make_rows(work.x, history, layout.windows, work.rows, stride)
    at = layout.member_rows.size
    rows_to_lanes(work.rows, work.from_rows, at, work.lanes, 0, width)
    keep_history(work.rows, layout.windows.rows, stride, history, bars)
    ema(work.x, history, first_bar, bars, work.ema, work.lanes, at, width)
    at += layout.ema_lengths.size
    dema(work.x, history, first_bar, bars, work.dema, work.lanes, at, width)
    at += layout.dema_lengths.size
    if layout.sma_lengths.size:
        n = work.sma.sum.size
        newest_first_sums(work.x, history, layout.sma_lengths, work.sums, ROW)
        rows_to_lanes(work.sums, work.from_sums, n, work.restarts, 0, n)
        sma(work.x, history, first_bar, bars, work.sma, work.restarts, work.lanes, at, width)
        keep_history(work.sma.entered, 1, 1, history * n, bars * n)
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
        keep_history(work.kama.entered, 1, 1, history * n, bars * n)


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
def _pass(close, x, n, growth, cutout, keep, layout, weights, work, column, state, out):
    """The law over one column of n bars.

    The state that it saves is the one before the last tile: after that, the return into a bar yet to come is missing.
    """
    members = layout.members
    components = layout.components.shape[0]
    width = work.width
    component_width = work.component_width
    start_pass(layout, work, x, n)
    first_bar = begin_of(state)
    if first_bar > 0:
        make_history(layout, work, close, x, n, first_bar)
        at = exchange_averages(layout, work, state, False)
        exchange_equities(work.members, members, work.components, components, state, at, False)
    while first_bar < n:
        bars = min(BARS, n - first_bar)
        if first_bar < cutout:
            bars = min(bars, cutout - first_bar)  # a tile starts where the equities do
        if state.size > 0 and first_bar > 0 and first_bar + bars == n:
            at = exchange_averages(layout, work, state, True)
            exchange_equities(work.members, members, work.components, components, state, at, True)
            state[0] = first_bar
        if first_bar == cutout:
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
    close,
    source,
    counts,
    growth,
    cutout,
    keep,
    long_threshold,
    short_threshold,
    layout,
    weights,
    first,
    last,
    states,
    out,
):
    """The law over the columns first..last-1; `counts` says how many bars each has, `out` gets what it has room for.

    A column is resumed from its row of `states`, for which the caller fills `out` up to the bar that it says; the row
    gets where the column can be resumed next. Without room, (columns, 0), columns are computed from the start.
    """
    work = workspace(layout)
    for column in range(first, last):
        n = counts[column]
        _pass(
            close[column], source[column], n, growth, cutout, keep, layout, weights, work, column, states[column], out
        )
        if len(out.direction):
            direction(out.average[column, :n], long_threshold, short_threshold, out.direction[column, :n])
