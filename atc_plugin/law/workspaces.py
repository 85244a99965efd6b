"""The arrays of a pass: what it holds of one tile of bars, and what it takes along to the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .adaptive import (
    ComponentState,
    MemberState,
    component_state,
    member_state,
    start_components,
    start_members,
)
from .compiling import kernel
from .recursive_averages import (
    EmaState,
    RsumState,
    ema_state,
    filled,
    rsum_state,
    start_ema,
    start_rsum,
    whole_vectors,
)
from .simd import load8, store
from .window_averages import BARS


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
def keep_history(array, rows, stride, history, bars):
    """The last `history` values of each row move to its front."""
    for r in range(rows):
        for i in range(r * stride, r * stride + history, 8):
            store(array, i, load8(array, i + bars))
