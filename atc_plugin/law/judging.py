"""Combinations judged the fast way: turns folded over lines of stretches, a line a turn.

What folds over the bars in `accumulators.py` folds over stretches here, which gives the same but for rounding. A
combination whose accumulators would be ill-conditioned, or that leaves the regular regime, is judged by `fills.py` and
`accumulators.py` instead; so results lie within 1e-9 of the plain ones everywhere, infinities and NaN alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import bool_, float64, int8, int32, int64
from numpy.typing import NDArray

from .accumulators import accumulate, fill_closes
from .bits import WORD
from .compiling import entry, kernel, uncounted_kernel
from .fills import Orders, place_orders, room_for_orders
from .metrics import (
    DOWNSIDE,
    GAINS,
    GROWTH,
    IN_MARKET,
    LOSSES,
    MAX_DRAWDOWN,
    RETURNS,
    SPREAD,
    SUM,
    TOTAL_RETURN,
    TRADES,
    WINS,
)
from .modes import BOTH, LONG_ONLY
from .stretches import LINE, LONG, SHORT, Costs, exit_line, held_line
from .turns import (
    TYPES,
    Components,
    Crossing,
    Images,
    Levels,
    RunningSums,
    find_turns,
    no_crossing,
    plain_turns,
    room_for_sums,
    update_sums,
)
from .windows import accumulate_windows, end_parts, fold_parts, start_parts, sure_of_profits, windows_of_parts

INIT_CASH = 100.0
"""vectorbt's default; metrics do not depend on it but for its snaps."""


class Run(NamedTuple):
    """A portfolio between two tiles of bars, its value in units of the initial cash."""

    value: float  # right after the last order
    entry: int  # its bar; -1 while flat
    side: int
    peak: float
    worst: float  # value/peak
    nearest: float  # how near the cash came to the initial cash, where vectorbt's total return snaps
    trades: int
    sum: float
    squares: float
    downside: float
    held: int
    wins: int
    gains: float
    losses: float


class Column(NamedTuple):
    """What all combinations on one column share."""

    close: NDArray[float64]  # (n,)
    components: Components
    images: Images
    levels: Levels
    costs: Costs
    held: NDArray[float64]  # 1-D (ends, 2, ages, LINE): lines of stretches open at the end of each part of the bars


class Batch(NamedTuple):
    """Combinations to judge, and what becomes of them."""

    ids: NDArray[int32]  # (combinations, 7): six components and the levels of each
    order: NDArray[int64]  # (6,): the type whose images are added first, second, ..., last
    sequence: NDArray[int64]  # an order in which neighbours differ little
    numbers: NDArray[float64]  # (combinations, KEPT_OF_RUN), between tiles; empty where there is one tile only
    words: NDArray[int8]  # (combinations, KEPT_OF_CROSSING), likewise
    out: NDArray[float64]  # (combinations, 12): the accumulators


class Plain(NamedTuple):
    """Room for judging one combination the plain way."""

    filled: NDArray[float64]
    average: NDArray[float64]
    directions: NDArray[int8]
    turned_up: NDArray[bool_]
    turned_down: NDArray[bool_]
    orders: Orders
    returns: NDArray[float64]


@kernel
def no_run():
    """Before the first bar."""
    return Run(1.0, -1, LONG, 1.0, 1.0, 1.0, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0)


@kernel
def _enter(run, costs, bar, side):
    """The order that ends being flat."""
    factor = costs.bought if side == LONG else costs.shorted
    value = run.value * factor
    change = factor - 1.0
    return Run(
        value,
        bar,
        side,
        run.peak,
        min(run.worst, value / run.peak),
        run.nearest if side == LONG else min(run.nearest, abs(value * (costs.short_cash / costs.shorted) - 1.0)),
        run.trades + 1,
        run.sum + change,
        run.squares + change * change,
        run.downside + change * change,
        run.held,
        run.wins,
        run.gains,
        run.losses,
    )


@kernel
def _apply(run, line, bars, trades):
    """A line on top of a run: what it went through in a stretch of so many bars."""
    factor, high, low, inner, total, squares, downside, profit = line
    worst = min(inner, run.value * low / run.peak)
    gain = run.value * profit
    if trades is None:
        downside, bars, gain = 0.0, 0, 0.0
    return Run(
        run.value * factor,
        run.entry,
        run.side,
        max(run.peak, run.value * high),
        min(run.worst, worst),
        run.nearest,
        run.trades,
        run.sum + total,
        run.squares + squares,
        run.downside + downside,
        run.held + bars,
        run.wins + (1 if gain > 0.0 else 0),
        run.gains + (gain if gain > 0.0 else 0.0),
        run.losses + (0.0 if gain > 0.0 else gain),  # a NaN goes here
    )


@kernel
def _fold_reversals(run, close, costs, table, turns, count, after, scratch, trades):
    """Always in the market: every turn but the first leaves a stretch and enters the opposite one."""
    k = 0
    if run.entry < 0 and count > 0:
        first = after if count % 2 == 1 else -after
        run = _enter(run, costs, turns[0], LONG if first > 0 else SHORT)
        k = 1
    cash_factor = costs.short_cash / costs.shorted
    lines, rows, ages, row_0 = table.lines, table.rows, table.ages, table.first
    while k < count:
        t = turns[k]
        line = exit_line(close, costs, lines, rows, ages, row_0, run.side, run.entry, t, scratch)
        run = _apply(run, line, t - run.entry, trades)
        nearest = min(run.nearest, abs(run.value * cash_factor - 1.0))
        run = Run(
            run.value, t, 1 - run.side, run.peak, run.worst, nearest, run.trades + 1, run.sum, run.squares,
            run.downside, run.held, run.wins, run.gains, run.losses,
        )  # fmt: skip
        k += 1
    return run


@kernel
def _fold_round_trips(run, close, costs, table, turns, count, after, scratch, trades):
    """One side only: a turn towards it enters, the next one leaves."""
    ours = 1 if costs.mode == LONG_ONLY else -1
    now = after if count % 2 == 1 else -after
    lines, rows, ages, row_0 = table.lines, table.rows, table.ages, table.first
    for k in range(count):
        t = turns[k]
        if now == ours:
            run = _enter(run, costs, t, LONG if ours > 0 else SHORT)
        elif run.entry >= 0:
            line = exit_line(close, costs, lines, rows, ages, row_0, run.side, run.entry, t, scratch)
            run = _apply(run, line, t - run.entry, trades)
            run = Run(
                run.value, -1, run.side, run.peak, run.worst, min(run.nearest, abs(run.value - 1.0)), run.trades,
                run.sum, run.squares, run.downside, run.held, run.wins, run.gains, run.losses,
            )  # fmt: skip
        now = -now
    return run


@kernel
def _settle(run, n, highest, out, trades):
    """Accumulators of a run that is over; False where the plain way has to judge."""
    growth = run.value
    if run.trades == 0:
        out[:] = 0.0
        out[GROWTH] = 1.0
        out[RETURNS] = n
        return True
    spread = run.squares - run.sum * run.sum / n
    sure = (
        run.worst < 1 - 1e-4
        and run.worst > 1e-5  # what is left of larger numbers
        and run.worst * INIT_CASH > max(1e-6 * highest, 1e-9)  # orders far above the least size
        and abs(growth - 1.0) > 1e-4
        and abs(run.sum) > 1e-3 * np.sqrt(run.squares)
        and spread > 1e-3 * run.squares
        and run.nearest > 4e-9 * run.peak  # it is 1 at most: so no peak where the initial cash is but a rounding
    )
    if trades is not None:
        sure = sure and run.downside > 1e-6 * run.squares and sure_of_profits(run.gains, run.losses, run.peak)
    out[TOTAL_RETURN] = growth - 1.0
    out[GROWTH] = growth
    out[RETURNS] = n
    out[SUM] = run.sum
    out[SPREAD] = spread
    out[DOWNSIDE] = run.downside
    out[MAX_DRAWDOWN] = run.worst - 1.0
    out[IN_MARKET] = run.held
    out[TRADES] = run.trades
    out[WINS] = run.wins
    out[GAINS] = run.gains * INIT_CASH
    out[LOSSES] = run.losses * INIT_CASH
    return sure


# ---------------------------------------------------------------- the plain way
@kernel
def room_for_plain(n):
    """Room for a column of n bars."""
    return Plain(
        np.empty(n),
        np.empty(n),
        np.empty(n, np.int8),
        np.empty(n, np.bool_),
        np.empty(n, np.bool_),
        room_for_orders(n),
        np.empty(n),
    )


@kernel
def judge_plainly(close, components, levels, combination, costs, room, out, windows, windows_out):
    """One combination by the law's own words: average, direction, orders, accumulators, and those of the windows."""
    plain_turns(
        components,
        levels,
        combination,
        room.returns,
        room.average,
        room.directions,
        room.turned_up,
        room.turned_down,
    )
    count = place_orders(
        close, room.turned_up, room.turned_down, costs.mode, costs.fees, costs.slippage, INIT_CASH, room.orders
    )
    fill_closes(close, room.filled)
    accumulate(close, room.filled, room.orders, count, INIT_CASH, room.returns, out)
    if windows is not None:
        accumulate_windows(close, room.orders, count, room.returns, windows, windows_out)


# ---------------------------------------------------------------- between tiles
KEPT_OF_RUN, KEPT_OF_CROSSING = len(Run._fields), len(Crossing._fields)
"""Numbers that a tile of bars hands to the next, of each combination."""


@kernel
def _keep(run, crossing, numbers, words):
    numbers[0], numbers[1], numbers[2], numbers[3] = run.value, run.entry, run.side, run.peak
    numbers[4], numbers[5], numbers[6], numbers[7] = run.worst, run.nearest, run.trades, run.sum
    numbers[8], numbers[9], numbers[10], numbers[11] = run.squares, run.downside, run.held, run.wins
    numbers[12], numbers[13] = run.gains, run.losses
    words[0], words[1] = np.int8(crossing.above), np.int8(crossing.below)
    words[2], words[3], words[4] = np.int8(crossing.late_up), np.int8(crossing.late_down), crossing.direction


@kernel
def _kept_run(numbers):
    return Run(
        numbers[0], int(numbers[1]), int(numbers[2]), numbers[3], numbers[4], numbers[5], int(numbers[6]), numbers[7],
        numbers[8], numbers[9], int(numbers[10]), int(numbers[11]), numbers[12], numbers[13],
    )  # fmt: skip


@kernel
def _kept_crossing(words):
    return Crossing(
        np.uint64(words[0]),
        np.uint64(words[1]),
        np.uint64(words[2]),
        np.uint64(words[3]),
        np.int64(words[4]),  # type: ignore[arg-type]
    )


# ---------------------------------------------------------------- a tile of bars
@kernel
def _relied_on(images, combination):
    """Whether the images tell all turns of a combination."""
    sound = True
    for k in range(TYPES):
        sound &= images.sound[combination[TYPES], combination[k]]
    return sound


class _Room(NamedTuple):
    """What one call works in."""

    sums: RunningSums
    turns: NDArray[int64]
    scratch: NDArray[float64]
    plain: Plain
    parts: NDArray[float64]
    out: NDArray[float64]


@uncounted_kernel
def _judge_each(column, table, batch, first, last, trades, windows, parts, windows_out, highest, room):
    close, components, images, levels = column.close, column.components, column.images, column.levels
    costs, held = column.costs, column.held
    ids, order, sequence, out = batch.ids, batch.order, batch.sequence, batch.out
    numbers, words = batch.numbers, batch.words
    sums, turns, scratch = room.sums, room.turns, room.scratch
    n = close.size
    first_bar, last_bar = table.bars
    bars = sums.width
    plainly = 0
    for place in range(first, last):
        row = sequence[place]
        combination = ids[row]
        sure = table.ages > 0 and _relied_on(images, combination)
        windows_sure = sure
        if sure:
            update_sums(sums, images, levels, combination, order, first_bar, bars)
            crossing = no_crossing() if first_bar == 0 else _kept_crossing(words[row])
            run = no_run() if first_bar == 0 else _kept_run(numbers[row])
            count, crossing = find_turns(
                components, images, levels, sums, combination, order, first_bar, last_bar, crossing, turns
            )
            if costs.mode == BOTH:
                run = _fold_reversals(run, close, costs, table, turns, count, crossing.direction, scratch, trades)
            else:
                run = _fold_round_trips(run, close, costs, table, turns, count, crossing.direction, scratch, trades)
            if windows is not None:
                our_parts = room.parts if first_bar == 0 and last_bar == n else parts[row]
                if first_bar == 0:
                    start_parts(our_parts)
                fold_parts(
                    close, costs, table, windows, held, turns, count, crossing.direction, our_parts, scratch, trades
                )
            if last_bar < n:
                _keep(run, crossing, numbers[row], words[row])
            else:
                if run.entry >= 0:
                    last_end = held.size // (2 * table.ages * LINE) - 1
                    line = held_line(close, costs, held, table.ages, last_end, run.side, run.entry, n - 1, scratch)
                    run = _apply(run, line, n - run.entry, trades)
                sure = _settle(run, n, highest, out[row], trades)
                if windows is not None:
                    end_parts(close, costs, windows, held, table.ages, our_parts, scratch, trades)
                    windows_sure = sure & windows_of_parts(windows, our_parts, INIT_CASH, windows_out[row], trades)
        if last_bar == n and not sure:
            judge_plainly(
                close, components, levels, combination, costs, room.plain, out[row], windows, windows_out[row]
            )
            plainly += 1
        elif windows is not None and last_bar == n and not windows_sure:
            judge_plainly(
                close, components, levels, combination, costs, room.plain, room.out, windows, windows_out[row]
            )
            plainly += 1
    return plainly


@entry
def judge_tile(column, table, batch, first, last, trades, windows, parts, windows_out):
    """Go on with the combinations sequence[first:last] of a batch over a tile of bars.

    Args:
        column: what is judged on.
        table: of the tile; its `ages` are 0 where prices or costs leave no choice but the plain way.
        batch: the combinations; its `out` is written with the last tile.
        first: the part of the batch's `sequence` to do.
        last: its end.
        trades: None leaves accumulators that only metrics of trades need undone; anything else makes them too.
        windows: None, or what parts of the bars to look at as well.
        parts: float64 (combinations, parts + 1, FIELDS), between tiles; not looked at where there is one tile only.
        windows_out: float64 (combinations, windows, 12), their accumulators, written with the last tile.

    Returns:
        How many the plain way had to judge.
    """
    n = column.close.size
    first_bar, last_bar = table.bars
    bars = (last_bar - first_bar + WORD - 1) // WORD * WORD
    room = _Room(
        room_for_sums(bars),
        np.empty(bars, np.int64),
        np.empty(LINE),
        room_for_plain(n if last_bar == n else 0),
        np.empty(parts.shape[1:]),
        np.empty(batch.out.shape[1]),
    )
    highest = column.close.max()
    return _judge_each(column, table, batch, first, last, trades, windows, parts, windows_out, highest, room)
