"""Accumulators of many windows at the cost of few: differences of what a portfolio had come to at their edges.

What a portfolio has come to at the end of a bar, a *mark*, is its run plus the line of the stretch that is open there.
A window lies between two marks, so that no stretch is walked however many windows there are. Drawdowns and the profits
of trades cannot be had that way; `windows.py` makes these.

A difference is as exact as what it is taken of: sums lie within 1e-9 of the risk over the window, not of themselves.
That is all that ranking asks for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .bits import WORD
from .compiling import entry, kernel, uncounted_kernel
from .judging import (
    Plain,
    Run,
    _apply,
    _enter,
    _keep,
    _kept_crossing,
    _kept_run,
    _relied_on,
    _settle,
    judge_plainly,
    no_run,
    room_for_plain,
)
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
from .stretches import LONG, SHORT, exit_line, held_line
from .turns import RunningSums, find_turns, no_crossing, room_for_sums, update_sums

NOT_MADE = (MAX_DRAWDOWN, WINS, GAINS, LOSSES)
"""The accumulators of a window that are left as they are."""

# Columns of a mark.
VALUE, TOTAL, SQUARES, FALLS, ENTERED, HELD = range(6)
MARK = 6


@kernel
def mark(run, close, costs, held, ages, end, bar, scratch, trades, out):
    """What a portfolio has come to at the end of `bar`, the `end`-th of `fill_held`, into `out` (MARK,)."""
    out[VALUE], out[TOTAL], out[SQUARES] = run.value, run.sum, run.squares
    out[FALLS], out[ENTERED], out[HELD] = run.downside, run.trades, run.held
    if run.entry >= 0:
        factor, _, _, _, total, squares, downside, _ = held_line(
            close, costs, held, ages, end, run.side, run.entry, bar, scratch
        )
        out[VALUE] = run.value * factor
        out[TOTAL] += total
        out[SQUARES] += squares
        if trades is not None:
            out[FALLS] += downside
            out[HELD] += bar - run.entry + 1


@kernel
def _marked_until(run, close, costs, held, ages, ends, end, until, scratch, trades, marks):
    """Leave the marks of bars before `until`, from the `end`-th on; which one comes next."""
    while end < ends.size and ends[end] < until:
        mark(run, close, costs, held, ages, end, ends[end], scratch, trades, marks[end])
        end += 1
    return end


@kernel
def fold_marked(run, close, costs, table, held, ends, turns, count, after, scratch, trades, marks):
    """Go on with the turns of a tile as `judging.py` does, and leave a mark at each of `ends` in it; (ends, MARK).

    A turn at the bar of a mark comes before it.
    """
    lines, rows, ages, row_0 = table.lines, table.rows, table.ages, table.first
    first_bar, last_bar = table.bars
    now = after if count % 2 == 1 else -after
    end = np.searchsorted(ends, first_bar)
    if costs.mode == BOTH:
        cash_factor = costs.short_cash / costs.shorted
        k = 0
        if run.entry < 0 and count > 0:
            end = _marked_until(run, close, costs, held, ages, ends, end, turns[0], scratch, trades, marks)
            run = _enter(run, costs, turns[0], LONG if now > 0 else SHORT)
            k = 1
        while k < count:
            t = turns[k]
            if ends[end] < t:  # there is one: the last end is the last bar
                end = _marked_until(run, close, costs, held, ages, ends, end, t, scratch, trades, marks)
            line = exit_line(close, costs, lines, rows, ages, row_0, run.side, run.entry, t, scratch)
            run = _apply(run, line, t - run.entry, trades)
            nearest = min(run.nearest, abs(run.value * cash_factor - 1.0))
            run = Run(
                run.value, t, 1 - run.side, run.peak, run.worst, nearest, run.trades + 1, run.sum, run.squares,
                run.downside, run.held, run.wins, run.gains, run.losses,
            )  # fmt: skip
            k += 1
    else:
        ours = 1 if costs.mode == LONG_ONLY else -1
        for k in range(count):
            t = turns[k]
            end = _marked_until(run, close, costs, held, ages, ends, end, t, scratch, trades, marks)
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
    _marked_until(run, close, costs, held, ages, ends, end, last_bar, scratch, trades, marks)
    return run


@kernel
def windows_of_marks(windows, marks, row, out, trades):
    """Accumulators of every window into `out` (windows, 12, combinations); False where the plain way has to judge."""
    sure = True
    first_part, last_part, starts, stops = windows.first_part, windows.last_part, windows.starts, windows.stops
    for w in range(starts.size):
        n = stops[w] - starts[w]
        before, last = first_part[w] - 1, last_part[w] - 1
        value, total, squares, falls, entered, held = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if before >= 0:
            value, total, squares = marks[before, VALUE], marks[before, TOTAL], marks[before, SQUARES]
            falls, entered, held = marks[before, FALLS], marks[before, ENTERED], marks[before, HELD]
        if last < 0 or n == 0:  # no bar
            growth, total, squares, falls, entered, held = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        else:
            growth = marks[last, VALUE] / value
            largest = max(abs(total), abs(marks[last, TOTAL]))
            total = marks[last, TOTAL] - total
            squares = marks[last, SQUARES] - squares
            falls = marks[last, FALLS] - falls
            entered = marks[last, ENTERED] - entered
            held = marks[last, HELD] - held
            if squares != 0.0:
                sure &= squares > 1e-4 * marks[last, SQUARES] and squares > 1e-8 * largest * largest
        spread = squares - total * total / n if n > 0 else 0.0
        if squares != 0.0:
            sure &= spread > 1e-3 * squares or n < 2
        out[w, TOTAL_RETURN, row], out[w, GROWTH, row], out[w, RETURNS, row] = growth - 1.0, growth, n
        out[w, SUM, row], out[w, SPREAD, row], out[w, TRADES, row] = total, spread, entered
        if trades is not None:
            out[w, DOWNSIDE, row], out[w, IN_MARKET, row] = falls, held
    return sure


class _Room(NamedTuple):
    """What one call works in."""

    sums: RunningSums
    turns: NDArray[int64]
    scratch: NDArray[float64]
    plain: Plain
    marks: NDArray[float64]
    out: NDArray[float64]
    windows: NDArray[float64]


@kernel
def _windows_plainly(close, components, levels, combination, costs, room, out, windows, row, windows_out):
    judge_plainly(close, components, levels, combination, costs, room.plain, out, windows, room.windows)
    for w in range(windows.starts.size):
        for k in range(out.size):
            if k not in NOT_MADE:
                windows_out[w, k, row] = room.windows[w, k]


@uncounted_kernel
def _judge_each(column, table, batch, first, last, trades, windows, marks, windows_out, highest, room):
    close, components, images, levels = column.close, column.components, column.images, column.levels
    costs, held, ages = column.costs, column.held, table.ages
    ids, order, sequence, out = batch.ids, batch.order, batch.sequence, batch.out
    numbers, words = batch.numbers, batch.words
    sums, turns, scratch, ends = room.sums, room.turns, room.scratch, windows.ends
    n = close.size
    first_bar, last_bar = table.bars
    bars = sums.width
    plainly = 0
    for place in range(first, last):
        row = sequence[place]
        combination = ids[row]
        sure = ages > 0 and _relied_on(images, combination)
        windows_sure = sure
        if sure:
            update_sums(sums, images, levels, combination, order, first_bar, bars)
            crossing = no_crossing() if first_bar == 0 else _kept_crossing(words[row])
            run = no_run() if first_bar == 0 else _kept_run(numbers[row])
            count, crossing = find_turns(
                components, images, levels, sums, combination, order, first_bar, last_bar, crossing, turns
            )
            ours = room.marks if first_bar == 0 and last_bar == n else marks[row]
            run = fold_marked(
                run, close, costs, table, held, ends, turns, count, crossing.direction, scratch, trades, ours
            )
            if last_bar < n:
                _keep(run, crossing, numbers[row], words[row])
            else:
                if run.entry >= 0:
                    line = held_line(close, costs, held, ages, ends.size - 1, run.side, run.entry, n - 1, scratch)
                    run = _apply(run, line, n - run.entry, trades)
                sure = _settle(run, n, highest, out[row], trades)
                windows_sure = sure & windows_of_marks(windows, ours, row, windows_out, trades)
        if last_bar == n and not windows_sure:
            kept = room.out if sure else out[row]
            _windows_plainly(close, components, levels, combination, costs, room, kept, windows, row, windows_out)
            plainly += 1
    return plainly


@entry
def judge_marked(column, table, batch, first, last, trades, windows, marks, windows_out):
    """As `judge_tile`, with windows from marks, but for their accumulators NOT_MADE.

    `marks` float64 (combinations, parts, MARK) serves between tiles, and is not looked at where there is one tile only;
    `windows_out` is float64 (windows, 12, combinations): what is ranked lies side by side.
    """
    n = column.close.size
    first_bar, last_bar = table.bars
    bars = (last_bar - first_bar + WORD - 1) // WORD * WORD
    room = _Room(
        room_for_sums(bars),
        np.empty(bars, np.int64),
        np.empty(8),
        room_for_plain(n if last_bar == n else 0),
        np.empty(marks.shape[1:]),
        np.empty(batch.out.shape[1]),
        np.empty((windows.starts.size, batch.out.shape[1])),
    )
    highest = column.close.max()
    return _judge_each(column, table, batch, first, last, trades, windows, marks, windows_out, highest, room)
