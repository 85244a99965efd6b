"""The state of a pass between two tiles as one flat array, so that a series that has grown is computed from there.

Its first number is the bar that it is right before, 0 where there is nothing to resume; then comes what recursions
carry, 8 bytes a number. What is a function of the prices alone, the rows of window averages and the seeds of EMAs, is
made again from the prices; so it never holds what a longer series would know better.
"""

from __future__ import annotations

from .compiling import kernel
from .layout import Layout
from .window_averages import BARS, make_rows
from .workspaces import keep_history, read_tile


def state_size(layout: Layout, members: int, components: int) -> int:
    """Numbers in the state: of the averages of a layout, and of so many members and components of all regimes."""
    rings = int(layout.sma_lengths.sum() + layout.kama_lengths.sum())
    averages = layout.ema_lengths.size + 2 * layout.dema_lengths.size
    averages += 2 * layout.sma_lengths.size + 3 * layout.kama_lengths.size + rings
    return 1 + averages + 4 * members + 2 * components


@kernel
def begin_of(state):
    """The first bar to compute; 0 if there is no state."""
    return int(state[0]) if state.size > 0 else 0


@kernel
def _exchange(values, state, at, saving):
    """Save the values from `at` on, or load them from there; and where the next go."""
    part = state[at : at + values.size]
    if saving:
        part[:] = values
    else:
        values[:] = part
    return at + values.size


@kernel
def _exchange_rsum(rsum, lengths, history, state, at, saving):
    """Of what entered a rolling sum, only what has yet to leave it."""
    n = lengths.size
    width = rsum.sum.size
    at = _exchange(rsum.sum[:n], state, at, saving)
    at = _exchange(rsum.rest[:n], state, at, saving)
    for j in range(n):
        oldest = (history - lengths[j]) * width + j
        at = _exchange(rsum.entered[oldest : history * width : width], state, at, saving)
    return at


@kernel
def exchange_averages(layout, work, state, saving):
    """Save what the averages carry from tile to tile, or load it; and where in the state it ends."""
    dema, kama = layout.dema_lengths, layout.kama_lengths
    at = _exchange(work.ema.value[: layout.ema_lengths.size], state, 1, saving)
    at = _exchange(work.dema.value[: dema.size], state, at, saving)
    at = _exchange(work.dema.second_value[: dema.size], state, at, saving)
    at = _exchange_rsum(work.sma, layout.sma_lengths, layout.history, state, at, saving)
    at = _exchange_rsum(work.kama, kama, layout.history, state, at, saving)
    return _exchange(work.kama.kama[: kama.size], state, at, saving)


@kernel
def exchange_equities(members, member_count, components, component_count, state, at, saving):
    """The same of one regime's members and components, from `at` on."""
    at = _exchange(members.equity[:member_count], state, at, saving)
    at = _exchange(members.trend[:member_count], state, at, saving)
    at = _exchange(members.side[:member_count], state, at, saving)
    at = _exchange(members.stateless[:member_count], state, at, saving)
    at = _exchange(components.equity[:component_count], state, at, saving)
    return _exchange(components.kept[:component_count], state, at, saving)


@kernel
def make_history(layout, work, close, x, n, begin):
    """The history of the rows at bar `begin`, from as many bars as a Hull average looks back: one window of another."""
    history = layout.history
    stride = history + BARS
    if layout.windows.rows > 0:
        first_bar = max(0, begin - (2 * history + BARS - 1) // BARS * BARS)
        while first_bar < begin:
            bars = min(BARS, begin - first_bar)
            read_tile(close, x, n, first_bar, bars, history, work)
            make_rows(work.x, history, layout.windows, work.rows, stride)
            keep_history(work.rows, layout.windows.rows, stride, history, bars)
            first_bar += bars
