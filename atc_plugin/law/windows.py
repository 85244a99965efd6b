"""Accumulators of parts of the bars, out of the same turns: a portfolio runs on, and each window looks at its bars.

Windows may overlap. Their ends cut the bars into parts that do not; each part's statistics are folded over stretches, a
stretch that reaches over an end by what it had come to there, and windows are put together from parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from .accumulators import fold_returns, fold_trades, max_drawdown
from .compiling import kernel
from .fills import IMPOSSIBLE, add
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
from .stretches import LONG, PROFIT, SHORT, exit_line, held_line, position

# Columns of a row of parts, beside those that ACCUMULATORS share with it.
SQUARES, HIGH, LOW, INNER, ORDERS = SPREAD, TOTAL_RETURN, RETURNS, MAX_DRAWDOWN, 12
FIELDS = 13

# What goes on from tile to tile, in a row behind those of the parts.
_VALUE, _ENTRY, _SIDE, _PART, _BEFORE, _PART_OF_ENTRY = range(6)


class Part(NamedTuple):
    """What a portfolio has gone through in the current part of the bars."""

    high: float  # values; 0 before the first
    low: float
    inner: float  # worst value/peak
    sum: float  # of returns
    squares: float
    downside: float
    in_market: int
    trades: int  # entered in it
    orders: int


class Place(NamedTuple):
    """Where a portfolio stands between two turns."""

    value: float  # right after the last order
    entry: int  # its bar; -1 while flat
    side: int
    part: int  # the current part
    before: float  # value at the end of the part before
    part_of_entry: int


class Windows(NamedTuple):
    """Windows of a column's bars, and the parts that they are made of."""

    ends: NDArray[int64]  # (parts,): last bar of each; of the last part, the last bar there is
    first_part: NDArray[int64]  # (windows,)
    last_part: NDArray[int64]  # excluded; an empty window has no parts
    starts: NDArray[int64]  # (windows,): first bar
    stops: NDArray[int64]  # excluded


def windows_of(starts: NDArray[int64], stops: NDArray[int64], bars: int) -> Windows:
    """The windows [start, stop) of a column with so many bars."""
    edges = np.unique(np.concatenate([starts, stops, [0, bars]]))
    return Windows(
        (edges[1:] - 1).astype(np.int64),
        np.searchsorted(edges, starts).astype(np.int64),
        np.searchsorted(edges, stops).astype(np.int64),
        starts.astype(np.int64),
        stops.astype(np.int64),
    )


@kernel
def start_parts(parts):
    """Before the first bar; `parts` (parts + 1, FIELDS)."""
    parts[:] = 0.0
    last = parts.shape[0] - 1
    parts[last, _VALUE] = 1.0
    parts[last, _ENTRY] = -1.0
    parts[last, _BEFORE] = 1.0
    parts[0, LOW] = np.inf
    parts[0, INNER] = 1.0


@kernel
def _new_part():
    return Part(0.0, np.inf, 1.0, 0.0, 0.0, 0.0, 0, 0, 0)


@kernel
def _resume(parts):
    """Place and current part, as the last tile left them. What they hold is worked on in registers."""
    last = parts.shape[0] - 1
    place = Place(
        parts[last, _VALUE],
        int(parts[last, _ENTRY]),
        int(parts[last, _SIDE]),
        int(parts[last, _PART]),
        parts[last, _BEFORE],
        int(parts[last, _PART_OF_ENTRY]),
    )
    p = place.part
    part = Part(
        parts[p, HIGH],
        parts[p, LOW],
        parts[p, INNER],
        parts[p, SUM],
        parts[p, SQUARES],
        parts[p, DOWNSIDE],
        int(parts[p, IN_MARKET]),
        int(parts[p, TRADES]),
        int(parts[p, ORDERS]),
    )
    return place, part


@kernel
def _write_part(parts, p, part):
    parts[p, HIGH], parts[p, LOW], parts[p, INNER] = part.high, part.low, part.inner
    parts[p, SUM], parts[p, SQUARES], parts[p, DOWNSIDE] = part.sum, part.squares, part.downside
    parts[p, IN_MARKET], parts[p, TRADES], parts[p, ORDERS] = part.in_market, part.trades, part.orders


@kernel
def _suspend(parts, place, part):
    _write_part(parts, place.part, part)
    last = parts.shape[0] - 1
    parts[last, _VALUE], parts[last, _ENTRY], parts[last, _SIDE] = place.value, place.entry, place.side
    parts[last, _PART], parts[last, _BEFORE] = place.part, place.before
    parts[last, _PART_OF_ENTRY] = place.part_of_entry


@kernel
def _through(part, high, low, inner, total, squares, downside, in_market, trades, orders):
    """The part goes on, through values whose highest, lowest and worst value/peak are these, with these sums."""
    worst = min(part.inner, inner)
    if part.high > 0.0:
        worst = min(worst, low / part.high)
    return Part(
        max(part.high, high),
        min(part.low, low),
        worst,
        part.sum + total,
        part.squares + squares,
        part.downside + downside,
        part.in_market + in_market,
        part.trades + trades,
        part.orders + orders,
    )


@kernel
def _at(part, value):
    """The part goes through one value without a return."""
    return _through(part, value, value, 1.0, 0.0, 0.0, 0.0, 0, 0, 0)


@kernel
def _to(part, before, now, in_market, trades, orders):
    """The part goes through one bar."""
    change = (now - before) / before
    square = change * change
    return _through(part, now, now, 1.0, change, square, square if change < 0.0 else 0.0, in_market, trades, orders)


@kernel
def _walk(close, costs, side, entry, value, first, last, part):
    """The part goes through the bars first .. last of an open stretch; and the value at the last of them.

    Its sums are made anew: what the stretch had come to before may be far larger.
    """
    cash, shares = position(close, costs, side, entry)
    cash *= value
    shares *= value
    before = cash + shares * close[first - 1]
    for t in range(first, last + 1):
        now = cash + shares * close[t]
        part = _to(part, before, now, 0, 0, 0)
        before = now
    return part, before


@kernel
def _end_part(close, costs, ends, held, ages, parts, place, part, scratch):
    """The current part is over: what is flat or open goes on in the next."""
    value, entry, side, p = place.value, place.entry, place.side, place.part
    end = ends[p]
    start = ends[p - 1] + 1 if p > 0 else 0
    bars = end - max(entry, start) + 1 if entry >= 0 else 0
    now = value
    if entry < 0:
        part = _at(part, now)
    elif entry < end:
        factor, high, low, inner, total, squares, downside, _ = held_line(
            close, costs, held, ages, p, side, entry, end, scratch
        )
        now = value * factor
        if entry >= start - 1:
            part = _through(part, value * high, value * low, inner, total, squares, downside, 0, 0, 0)
        else:
            part, _ = _walk(close, costs, side, entry, value, start, end, part)
    _write_part(parts, p, part)
    parts[p, IN_MARKET] += bars
    parts[p, GROWTH] = now / place.before
    return Place(value, entry, side, p + 1, now, place.part_of_entry), _new_part()


@kernel
def _book(parts, p, gain):
    """A trade that was entered in part p."""
    if gain > 0.0:
        parts[p, WINS] += 1
        parts[p, GAINS] += gain
    else:
        parts[p, LOSSES] += gain  # a NaN goes here


@kernel
def fold_parts(close, costs, table, windows, held, turns, count, after, parts, scratch, trades):
    """Go on with the turns of a tile, as `judging.py` does for all bars at once."""
    lines, rows, ages, row_0 = table.lines, table.rows, table.ages, table.first
    ends = windows.ends
    place, part = _resume(parts)
    now = after if count % 2 == 1 else -after
    for k in range(count):
        t = turns[k]
        while t > ends[place.part]:
            place, part = _end_part(close, costs, ends, held, ages, parts, place, part, scratch)
        value, entry, side, p = place.value, place.entry, place.side, place.part
        start = ends[p - 1] + 1 if p > 0 else 0
        if entry >= 0:
            line = exit_line(close, costs, lines, rows, ages, row_0, side, entry, t, scratch)
            factor, high, low, inner, total, squares, downside, profit = line
            bars = t - max(entry, start)
            reversals = 1 if costs.mode == BOTH else 0
            if entry >= start - 1:
                part = _through(part, value * high, value * low, inner, total, squares, downside, bars, reversals, 1)
            else:
                part, before = _walk(close, costs, side, entry, value, start, t - 1, part)
                part = _to(part, before, value * factor, bars, reversals, 1)
            if trades is not None:
                _book(parts, place.part_of_entry, value * profit)
            if costs.mode == BOTH:
                place = Place(value * factor, t, 1 - side, p, place.before, p)
            else:
                place = Place(value * factor, -1, side, p, place.before, p)
        elif costs.mode == BOTH or now == (1 if costs.mode == LONG_ONLY else -1):
            if t > start:
                part = _at(part, value)
            factor = costs.bought if now > 0 else costs.shorted
            part = _to(part, value, value * factor, 0, 1, 1)
            place = Place(value * factor, t, LONG if now > 0 else SHORT, p, place.before, p)
        now = -now
    _suspend(parts, place, part)


@kernel
def end_parts(close, costs, windows, held, ages, parts, scratch, trades):
    """After the last turn: the remaining parts end, and a trade still open is booked at the last close."""
    ends = windows.ends
    place, part = _resume(parts)
    while place.part < ends.size:
        place, part = _end_part(close, costs, ends, held, ages, parts, place, part, scratch)
    if trades is not None and place.entry >= 0:
        last = close.size - 1
        line = held_line(close, costs, held, ages, ends.size - 1, place.side, place.entry, last, scratch)
        _book(parts, place.part_of_entry, place.value * line[PROFIT])


@kernel
def sure_of_profits(gains, losses, peak):
    """Whether there are gains or losses, none of them but a rounding of the values that were traded."""
    least = 1e-6 * peak
    return gains - losses > 0.0 and (gains == 0.0 or gains > least) and (losses == 0.0 or losses < -least)


@kernel
def windows_of_parts(windows, parts, init_cash, out, trades):
    """Accumulators of every window into `out` (windows, 12); False where the plain way has to make them."""
    sure = True
    first_part, last_part, starts, stops = windows.first_part, windows.last_part, windows.starts, windows.stops
    for w in range(starts.size):
        n = stops[w] - starts[w]
        growth, worst, peak, orders = 1.0, 1.0, 0.0, 0.0
        total, squares, downside, in_market = 0.0, 0.0, 0.0, 0.0
        entered, wins, gains, losses = 0.0, 0.0, 0.0, 0.0
        for p in range(first_part[w], last_part[w]):
            if peak > 0.0:
                worst = min(worst, parts[p, LOW] / peak)
            worst = min(worst, parts[p, INNER])
            peak = max(peak, parts[p, HIGH])
            growth *= parts[p, GROWTH]
            total += parts[p, SUM]
            squares += parts[p, SQUARES]
            downside += parts[p, DOWNSIDE]
            in_market += parts[p, IN_MARKET]
            entered += parts[p, TRADES]
            orders += parts[p, ORDERS]
            wins += parts[p, WINS]
            gains += parts[p, GAINS]
            losses += parts[p, LOSSES]
        spread = squares - total * total / n if n > 0 else 0.0
        if squares > 0.0 or orders > 0.0:  # returns of nothing at all have no rounding
            sure &= (
                squares > 0.0
                and abs(growth - 1.0) > 1e-5
                and worst < 1 - 1e-5
                and abs(total) > 1e-4 * np.sqrt(squares)
                and (spread > 1e-3 * squares or n < 2)
            )
            if trades is not None:
                sure &= downside > 1e-6 * squares
        if trades is not None:
            sure &= sure_of_profits(gains, losses, peak) or entered == 0.0
        out[w, TOTAL_RETURN], out[w, GROWTH], out[w, RETURNS] = growth - 1.0, growth, n
        out[w, SUM], out[w, SPREAD], out[w, DOWNSIDE] = total, spread, downside
        out[w, MAX_DRAWDOWN], out[w, IN_MARKET], out[w, TRADES] = worst - 1.0, in_market, entered
        out[w, WINS], out[w, GAINS], out[w, LOSSES] = wins, gains * init_cash, losses * init_cash
    return sure


# ---------------------------------------------------------------- the plain way
@kernel
def _bars_in_market(orders, count, first, last):
    """On how many of the bars first .. last - 1 there is a position."""
    bars, shares = 0, 0.0
    for k in range(count):
        shares = add(shares, orders.size[k] * orders.side[k])
        until = orders.bar[k + 1] if k + 1 < count else last
        if shares != 0.0:
            bars += max(0, min(until, last) - max(orders.bar[k], first))
    return bars


@kernel
def accumulate_windows(close, orders, count, returns, windows, out):
    """Accumulators of every window from all orders and returns: of its returns, and of the trades entered in it."""
    for w in range(windows.starts.size):
        first, last = windows.starts[w], windows.stops[w]
        row = out[w]
        if count == IMPOSSIBLE:
            row[:] = np.nan
            continue
        fold_returns(returns[first:last], row)
        row[TOTAL_RETURN] = row[GROWTH] - 1.0
        row[MAX_DRAWDOWN] = max_drawdown(returns[first:last]) if last > first else 0.0
        row[IN_MARKET] = _bars_in_market(orders, count, first, last)
        fold_trades(close, orders, count, first, last, row)
