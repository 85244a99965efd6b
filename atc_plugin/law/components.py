"""The components of a sweep: every distinct moving average once, and its equities once a regime, in one pass.

A regime is a growth rate, a decay and a cutout: what equities depend on beside the prices. The averages of a tile are
made once and read by each regime, which only looks at the members that its components vote with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .adaptive import (
    FLOOR,
    ComponentState,
    MemberState,
    component_state,
    equities_of_averages,
    equities_of_signals,
    layer_one,
    member_state,
    start_members,
)
from .compiling import entry, kernel
from .layout import Component, Layout, lay_out
from .recursive_averages import filled, whole_vectors
from .resuming import begin_of, exchange_averages, exchange_equities, make_history, state_size
from .tiles import lanes_to_rows, make_averages, read_moves, rows_to_lanes
from .window_averages import BARS
from .workspaces import ROW, read_tile, start_pass, steps, workspace


class Regimes(NamedTuple):
    """What each regime needs of a layout; `starts` of one end where those of the next begin."""

    growth: NDArray[int64]  # (regimes,): row of its growth table
    cutout: NDArray[int64]
    keep: NDArray[float64]  # 1 - decay / 100
    members: NDArray[int64]  # members of the layout, of all regimes one after the other
    member_starts: NDArray[int64]  # (regimes + 1,)
    signals: NDArray[int64]  # (all signals, 9): of each layer-1 signal, its members' places among the regime's
    signal_starts: NDArray[int64]
    signal_of: NDArray[int64]  # of each component, its signal's place among the regime's
    start_weight: NDArray[float64]
    row: NDArray[int64]  # of each component, its row in the output
    component_starts: NDArray[int64]


class Wanted(NamedTuple):
    """A component: the average and lengths of its signal, the weight it starts with, and the place of its regime."""

    signal: Component
    weight: float
    regime: int


def arrange(
    wanted: Sequence[Wanted], growth: Sequence[int], cutout: Sequence[int], keep: Sequence[float]
) -> tuple[Layout, Regimes]:
    """Which members a pass over the bars makes, and what each regime (growth row, cutout, keep) reads of them."""
    signals = {signal: place for place, signal in enumerate(dict.fromkeys(one.signal for one in wanted))}
    layout = lay_out(tuple(signals))
    members, voters, signal_of, row = [], [], [], []
    starts: dict[str, list[int]] = {"members": [0], "signals": [0], "components": [0]}
    for regime in range(len(cutout)):
        ours = [place for place, one in enumerate(wanted) if one.regime == regime]
        distinct = {signal: place for place, signal in enumerate(dict.fromkeys(wanted[c].signal for c in ours))}
        of_layout = layout.components[[signals[signal] for signal in distinct]].reshape(-1, 9)
        used, places = np.unique(of_layout, return_inverse=True)
        members.append(used)
        voters.append(places.reshape(-1, 9))
        signal_of += [distinct[wanted[c].signal] for c in ours]
        row += ours
        for name, count in (("members", used.size), ("signals", len(distinct)), ("components", len(ours))):
            starts[name].append(starts[name][-1] + count)
    return layout, Regimes(
        np.array(growth, np.int64),
        np.array(cutout, np.int64),
        np.array(keep, np.float64),
        np.concatenate(members).astype(np.int64),
        np.array(starts["members"], np.int64),
        np.concatenate(voters).astype(np.int64),
        np.array(starts["signals"], np.int64),
        np.array(signal_of, np.int64),
        np.array([wanted[c].weight for c in row], np.float64),
        np.array(row, np.int64),
        np.array(starts["components"], np.int64),
    )


def components_state_size(layout: Layout, regimes: Regimes) -> int:
    """Numbers in the state of a pass over these."""
    return state_size(layout, regimes.members.size, regimes.row.size)


class _Room(NamedTuple):
    """The arrays that regimes take turns in, wide enough for the largest."""

    width: int
    component_width: int
    moved: NDArray[float64]
    lanes: NDArray[float64]
    signed: NDArray[float64]
    signals: NDArray[float64]
    component_lanes: NDArray[float64]
    weights: NDArray[float64]
    from_lanes: NDArray[int64]
    from_signals: NDArray[int64]
    from_component_lanes: NDArray[int64]


@kernel
def _most(starts):
    most = 0
    for r in range(starts.size - 1):
        most = max(most, starts[r + 1] - starts[r])
    return most


@kernel
def _room(regimes):
    members, signals = _most(regimes.member_starts), _most(regimes.signal_starts)
    components = _most(regimes.component_starts)
    width = (members + 31) // 32 * 32 + 24
    component_width = whole_vectors(components) + 8
    padded = (max(components, signals) + 7) // 8 * 8
    return _Room(
        width,
        component_width,
        filled(BARS, 0.0),
        filled(BARS * width, 0.0),
        filled((members + 8) * ROW, 0.0),
        filled(padded * ROW, 0.0),
        filled(BARS * component_width, 0.0),
        filled(padded * ROW, 0.0),
        steps(8, width),
        np.zeros(padded + 8, np.int64),
        steps(8, component_width),
    )


@kernel
def _gather(lanes, width, members, to, to_width):
    for t in range(BARS):
        row = lanes[t * width : t * width + width]
        target = to[t * to_width : t * to_width + to_width]
        for i in range(members.size):
            target[i] = row[members[i]]


@kernel
def _part_of_members(state, start, count):
    """The state of one regime's members; each regime's starts at whole groups of 32."""
    end = start + (count + 31) // 32 * 32
    return MemberState(
        state.equity[start:end], state.trend[start:end], state.side[start:end], state.stateless[start:end]
    )


@kernel
def _part_of_components(state, start, count):
    end = start + whole_vectors(count)
    return ComponentState(state.equity[start:end], state.kept[start:end])


@kernel
def _regime(work, room, regimes, r, members, components, close, n, growth, first_bar, bars, signals, weights):
    """One tile in one regime: members' equities, layer 1, layer 2, and the rows written."""
    cutout, keep = regimes.cutout[r], regimes.keep[r]
    member_0, member_1 = regimes.member_starts[r], regimes.member_starts[r + 1]
    signal_0, signal_1 = regimes.signal_starts[r], regimes.signal_starts[r + 1]
    component_0, component_1 = regimes.component_starts[r], regimes.component_starts[r + 1]
    count = component_1 - component_0
    if first_bar == cutout:
        members.equity[:] = 1.0
        for c in range(count):
            components.equity[c] = max(regimes.start_weight[component_0 + c], FLOOR)
    room.moved[:] = 0.0
    read_moves(close, n, growth[regimes.growth[r]], cutout, first_bar, bars, room.moved)
    _gather(work.lanes, work.width, regimes.members[member_0:member_1], room.lanes, room.width)
    equities_of_averages(work.close, room.moved, keep, bars, members, room.lanes, room.width)
    lanes_to_rows(room.lanes, room.from_lanes, member_1 - member_0, room.signed, room.width)
    layer_one(
        regimes.signals[signal_0:signal_1],
        members.stateless,
        first_bar,
        work.bar_numbers,
        room.signed,
        ROW,
        room.signals,
    )
    for c in range(count):
        room.from_signals[c] = regimes.signal_of[component_0 + c] * ROW
    rows_to_lanes(room.signals, room.from_signals, count, room.component_lanes, 0, room.component_width)
    equities_of_signals(count, room.moved, keep, bars, components, room.component_lanes, room.component_width)
    lanes_to_rows(room.component_lanes, room.from_component_lanes, count, room.weights, room.component_width)
    for c in range(count):
        row = regimes.row[component_0 + c]
        signal_at = room.from_signals[c]
        for t in range(bars):
            hundredths = room.signals[signal_at + t]
            signals[row, first_bar + t] = np.int8(hundredths) if first_bar >= cutout else np.int8(0)
            weights[row, first_bar + t] = room.weights[c * ROW + t]


@kernel
def _exchange_regimes(regimes, member_starts, members, component_starts, components, state, at, saving):
    """Save the equities of all regimes from `at` on, or load them."""
    for r in range(regimes.cutout.size):
        member_count = regimes.member_starts[r + 1] - regimes.member_starts[r]
        component_count = regimes.component_starts[r + 1] - regimes.component_starts[r]
        at = exchange_equities(
            _part_of_members(members, member_starts[r], member_count),
            member_count,
            _part_of_components(components, component_starts[r], component_count),
            component_count,
            state,
            at,
            saving,
        )


@entry
def make_components(close, source, growth, layout, regimes, state, signals, weights):
    """All components of one column: 100 * layer-1 signal as int8 and layer-2 equity, (components, n) each.

    `close` and `source` float64 (n,); `growth` (rows, n), a row for each growth rate. Before its regime's cutout a
    signal is 0 and a weight NaN.

    The column is resumed from `state`, what stands before the bar that it says left as it is, and `state` gets where it
    can be resumed next, as in `evaluate`. Without room, (0,), it is computed from the start.
    """
    n = close.size
    count = regimes.cutout.size
    work = workspace(layout)
    room = _room(regimes)
    member_starts, component_starts = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for r in range(count):
        members = regimes.member_starts[r + 1] - regimes.member_starts[r]
        member_starts[r + 1] = member_starts[r] + (members + 31) // 32 * 32
        components = regimes.component_starts[r + 1] - regimes.component_starts[r]
        component_starts[r + 1] = component_starts[r] + whole_vectors(components)
    all_members = member_state(member_starts[count])
    all_components = component_state(component_starts[count])
    for r in range(count):
        members = regimes.member_starts[r + 1] - regimes.member_starts[r]
        start_members(_part_of_members(all_members, member_starts[r], members), members)
    start_pass(layout, work, source, n)
    first_bar = begin_of(state)
    if first_bar > 0:
        make_history(layout, work, close, source, n, first_bar)
        at = exchange_averages(layout, work, state, False)
        _exchange_regimes(regimes, member_starts, all_members, component_starts, all_components, state, at, False)
    while first_bar < n:
        bars = min(BARS, n - first_bar)
        for r in range(count):
            if regimes.cutout[r] > first_bar:
                bars = min(bars, regimes.cutout[r] - first_bar)  # a tile starts where equities do
        if state.size > 0 and first_bar > 0 and first_bar + bars == n:
            at = exchange_averages(layout, work, state, True)
            _exchange_regimes(regimes, member_starts, all_members, component_starts, all_components, state, at, True)
            state[0] = first_bar
        read_tile(close, source, n, first_bar, bars, layout.history, work)
        make_averages(layout, work, first_bar, bars)
        for r in range(count):
            members = regimes.member_starts[r + 1] - regimes.member_starts[r]
            components = regimes.component_starts[r + 1] - regimes.component_starts[r]
            _regime(
                work,
                room,
                regimes,
                r,
                _part_of_members(all_members, member_starts[r], members),
                _part_of_components(all_components, component_starts[r], components),
                close,
                n,
                growth,
                first_bar,
                bars,
                signals,
                weights,
            )
        first_bar += bars
