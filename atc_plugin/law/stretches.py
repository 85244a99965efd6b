"""What happens between two turns, per unit of value: everything a combination needs of a stretch, in one line of eight.

Between the order at one turn and the order at the next, what a portfolio goes through depends on its side, the bar of
entry and the bar of exit alone, times its value at the entry. So each (side, entry, exit) is worked out once for all
combinations: a line of a table. Long stretches are walked instead, by the same operations.

A stretch is regular as long as its value stays well above zero: then every order is filled in full, and the rules of
`fills.py` come down to one factor an order. Where they do not, the line is NaN and `fills.py` judges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .compiling import entry, kernel
from .modes import BOTH
from .simd import unpack8

LONG, SHORT = 0, 1
"""Sides of a stretch."""

FACTOR, HIGH, LOW, INNER, SUM, SQUARES, DOWNSIDE, PROFIT = range(8)
"""A line: value after the order of the exit, highest and lowest value, worst value/peak, sums over returns, profit."""

LINE = 8
_RUIN = 1e-3  # a stretch that loses more is left to fills.py
_EVEN = 1e-8  # so is a trade that wins or loses less: rounding decides how vectorbt books it
_SNAPS = 2e-9  # and one whose exit and entry are as near: there vectorbt takes them for equal


class Costs(NamedTuple):
    """How orders change a value in the regular regime."""

    mode: int
    fees: float
    slippage: float
    bought: float  # value after buying with a cash of 1
    sold: float  # cash after selling shares worth 1
    covered: float  # cash it takes to cover shares worth 1, or to buy them
    short_cash: float  # cash after going short with a free cash of 1
    shorted: float  # and the value then


class Table(NamedTuple):
    """Lines of the stretches that end in a tile of bars, by side, entry and age."""

    lines: NDArray[float64]  # 1-D: (2, rows, ages, LINE)
    first: int  # entry of row 0
    rows: int
    ages: int  # stretches of this many bars or more are walked; odd, so that rows spread over the cache
    bars: tuple[int, int]  # first and last (excluded) bar of exits


@kernel
def costs_of(mode, fees, slippage):
    """The factors for fees and slippage, both below one half."""
    short_cash = 2.0 / (1 + fees)
    return Costs(
        mode,
        fees,
        slippage,
        1.0 / ((1 + fees) * (1 + slippage)),
        (1 - slippage) * (1 - fees),
        (1 + slippage) * (1 + fees),
        short_cash,
        short_cash - 1.0 / ((1 - slippage) * (1 + fees)),
    )


@kernel
def position(close, costs, side, first):
    """Cash and shares that are worth 1 right after the order at the bar `first`."""
    c = close[first]
    if side == LONG:
        return 0.0, 1.0 / c
    shares = -1.0 / (c * (1 - 2 * costs.slippage))
    return -2.0 * c * (1 - costs.slippage) * shares, shares


@kernel
def _profit(gain, paid, gross, costs, c, c0):
    """The profit; NaN where it is too near to nothing to say which side of it, but for the same close without costs.

    NaN too where the exit is next to the entry, `gross` being the one over the other before fees.
    """
    same = costs.slippage == 0.0 and c == c0
    if abs(gain) > _EVEN * paid and (same or abs(gross - 1.0) > _SNAPS):
        return gain
    return 0.0 if costs.fees == 0.0 and same else np.nan


@kernel
def _write_exit(close, costs, side, cash, shares, c0, c, value, high, low, inner, total, squares, downside, lines, at):
    """The line of a stretch left by an order at close `c`, after what it went through up to the bar before."""
    if side == LONG:
        received = shares * c * costs.sold
        gross = c / c0 * ((1 - costs.slippage) / (1 + costs.slippage))
        profit = _profit(received - costs.covered, costs.covered, gross, costs, c, c0)
        after = received * costs.shorted if costs.mode == BOTH else received
    else:
        received = -shares * c0 * costs.sold
        gross = c / c0 * ((1 + costs.slippage) / (1 - costs.slippage))
        profit = _profit(received + shares * c * costs.covered, received, gross, costs, c, c0)
        after = cash * costs.bought + shares * c if costs.mode == BOTH else cash + shares * c * costs.covered
    change = (after - value) / value
    low = min(low, after)
    high = max(high, after)
    lines[at + FACTOR] = after if low >= _RUIN else np.nan
    lines[at + HIGH] = high
    lines[at + LOW] = low
    lines[at + INNER] = min(inner, after / high)
    lines[at + SUM] = total + change
    lines[at + SQUARES] = squares + change * change
    lines[at + DOWNSIDE] = downside + (change * change if change < 0.0 else 0.0)
    lines[at + PROFIT] = profit


@kernel
def write_exits(close, costs, side, first, exits_from, exits_to, lines, at):
    """Lines of the stretches entered at `first` and left at exits_from .. exits_to - 1; that of age a at `at` + a*LINE.

    Written from `exits_from` on only; nothing is written for ages below 1.
    """
    cash, shares = position(close, costs, side, first)
    c0 = close[first]
    value, high, low, inner = 1.0, 0.0, np.inf, 1.0
    total, squares, downside = 0.0, 0.0, 0.0
    for t in range(first + 1, exits_to):
        c = close[t]
        if t >= exits_from:
            _write_exit(
                close, costs, side, cash, shares, c0, c, value, high, low, inner, total, squares, downside,
                lines, at + (t - first) * LINE,
            )  # fmt: skip
        after = cash + shares * c
        change = (after - value) / value
        total += change
        squares += change * change
        downside += change * change if change < 0.0 else 0.0
        high = max(high, after)
        low = min(low, after)
        inner = min(inner, after / high)
        value = after


@kernel
def write_held(close, costs, side, first, last, lines, at):
    """The line of a stretch entered at `first` and still open at the bar `last`, valued there without costs."""
    cash, shares = position(close, costs, side, first)
    c0 = close[first]
    value, high, low, inner = 1.0, 0.0, np.inf, 1.0
    total, squares, downside = 0.0, 0.0, 0.0
    for t in range(first + 1, last + 1):
        after = cash + shares * close[t]
        change = (after - value) / value
        total += change
        squares += change * change
        downside += change * change if change < 0.0 else 0.0
        high = max(high, after)
        low = min(low, after)
        inner = min(inner, after / high)
        value = after
    c = close[last]
    paid = costs.covered if side == LONG else -shares * c0 * costs.sold
    gain = shares * c - costs.covered if side == LONG else paid + shares * c
    lines[at + FACTOR] = value if low >= _RUIN else np.nan
    lines[at + HIGH] = high
    lines[at + LOW] = low
    lines[at + INNER] = inner
    lines[at + SUM] = total
    lines[at + SQUARES] = squares
    lines[at + DOWNSIDE] = downside
    gross = c / c0 / (1 + costs.slippage if side == LONG else 1 - costs.slippage)
    lines[at + PROFIT] = _profit(gain, paid, gross, costs, c, c0)


# ---------------------------------------------------------------- tables
@entry
def fill_held(close, costs, ends, ages, held):
    """Lines (ends, 2, ages, LINE) of the stretches open at each of some bars, by side and age."""
    for k in range(ends.size):
        last = ends[k]
        for side in range(2):
            for age in range(min(ages, last + 1)):
                write_held(close, costs, side, last - age, last, held, ((k * 2 + side) * ages + age) * LINE)


@entry
def fill_table(close, costs, table, first_row, last_row):
    """Lines of the entries in rows first_row .. last_row - 1 of a table, for the exits of its tile."""
    exits_from, exits_to = table.bars
    for side in range(2):
        for row in range(first_row, last_row):
            first = table.first + row
            at = (side * table.rows + row) * table.ages * LINE
            write_exits(close, costs, side, first, exits_from, min(exits_to, first + table.ages), table.lines, at)


@kernel
def walked_exit(close, costs, side, first, last, scratch):
    """The line of a stretch from the order at `first` to that at `last`, walked."""
    write_exits(close, costs, side, first, last, last + 1, scratch, (first - last) * LINE)
    return unpack8(scratch, 0)


@kernel
def exit_line(close, costs, lines, rows, ages, row_0, side, first, last, scratch):
    """The line of a stretch from the order at `first` to that at `last`, read or walked.

    `lines`, `rows`, `ages` and `row_0` are the table's, one by one: inner loops that read them each time cost tenfold.
    """
    if first >= row_0 and last - first < ages:
        return unpack8(lines, ((side * rows + first - row_0) * ages + last - first) * LINE)
    return walked_exit(close, costs, side, first, last, scratch)


@kernel
def held_line(close, costs, held, ages, end, side, first, last, scratch):
    """The line of a stretch from the order at `first`, still open at the bar `last`, the `end`-th of `fill_held`."""
    if last - first < ages:
        return unpack8(held, ((end * 2 + side) * ages + last - first) * LINE)
    write_held(close, costs, side, first, last, scratch, 0)
    return unpack8(scratch, 0)
