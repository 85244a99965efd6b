"""What is kept of a run of orders: returns and trades, folded. `docs/fills.md` in code.

Everything is rebuilt from the orders, as vectorbt 1.2 does it, to the bit: sums run bar after bar, the standard
deviation takes two passes. What depends on the year is kept apart: a combination gives a vector of ACCUMULATORS, and
metrics are made of these.
"""

from __future__ import annotations

import numpy as np

from .compiling import entry, kernel
from .fills import IMPOSSIBLE, add, first_orders, less, near, place_orders, room_for_orders
from .metrics import (
    ACCUMULATORS,
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


# ---------------------------------------------------------------- returns
@kernel
def fill_closes(close, filled):
    """Where there is no close, the last one before it. Before the first there is nothing that it would value."""
    for t in range(close.size):
        filled[t] = filled[t - 1] if np.isnan(close[t]) and t > 0 else close[t]


@kernel
def growth_of(before, now):
    """(now - before) / before, with the sign turned where the value was below zero, +-inf where it was zero."""
    if before == 0.0:
        return 0.0 if now == 0.0 else np.inf * np.sign(now)
    rate = (now - before) / before
    return -rate if before < 0.0 else rate


@kernel
def returns_of_orders(filled, orders, count, init_cash, returns):
    """The return of each bar; returns on how many bars there is a position."""
    cash, shares, before = init_cash, 0.0, init_cash
    k = 0
    in_market = 0
    for t in range(filled.size):
        size, flow = 0.0, 0.0
        if k < count and orders.bar[k] == t:
            size = orders.size[k] * orders.side[k]
            flow = add(0.0, -size * orders.price[k] - orders.fee[k])
            k += 1
        cash = add(cash, flow)  # without a flow too: it snaps
        shares = add(shares, size)
        value = cash
        if shares != 0.0:
            value = cash + filled[t] * shares
            in_market += 1
        returns[t] = growth_of(before, value)
        before = value
    return in_market


@kernel
def total_return(filled, orders, count, init_cash):
    """(C + q*c_last) / init, C counted from 0 and q by snapping additions; 0 without orders."""
    if count == 0:
        return 0.0
    cash, shares = 0.0, 0.0
    for k in range(count):
        shares = add(shares, orders.size[k] * orders.side[k])
        cash = add(cash, -(orders.size[k] * orders.price[k] * orders.side[k] + orders.fee[k]))
    return (cash + shares * filled[-1]) / init_cash


@kernel
def fold_returns(returns, out):
    """The accumulators of returns. A NaN return counts for nothing."""
    total, growth, downside, count = 0.0, 1.0, 0.0, 0
    for t in range(returns.size):
        r = returns[t]
        if not np.isnan(r):
            total += r
            growth *= r + 1
            downside += 0.0 if r > 0.0 else r * r
            count += 1
    mean = total / count if count > 0 else np.nan
    spread = 0.0
    for t in range(returns.size):
        if not np.isnan(returns[t]):
            spread += (returns[t] - mean) * (returns[t] - mean)
    out[GROWTH] = growth
    out[RETURNS] = count
    out[SUM] = total
    out[SPREAD] = spread
    out[DOWNSIDE] = downside


@kernel
def max_drawdown(returns):
    """min(E/peak - 1), E = 100*prod(1+r); the peak starts at the first bar's E, not before it. A NaN stays."""
    growth, peak, worst = 1.0, np.nan, np.inf
    for t in range(returns.size):
        if not np.isnan(returns[t]):
            growth *= returns[t] + 1
        equity = growth * 100.0
        if np.isnan(peak) or equity > peak:
            peak = equity
        drawdown = equity / peak - 1
        if drawdown < worst or np.isnan(drawdown):
            worst = drawdown
    return worst


# ---------------------------------------------------------------- trades
@kernel
def profit(side, size, entry_price, entry_fee, exit_price, exit_fee):
    """+-(exit value - entry value) - fees."""
    gain = add(size * exit_price, -(size * entry_price))
    if gain != 0.0 and side < 0.0:
        gain = -gain
    return gain - entry_fee - exit_fee


@kernel
def book(pnl, counts, out):
    """Count one trade, if it does. A profit of NaN, of a last close of NaN, is neither won nor lost."""
    if not counts:
        return
    out[TRADES] += 1
    if pnl > 0.0:
        out[WINS] += 1
        out[GAINS] += pnl
    elif pnl < 0.0:
        out[LOSSES] += pnl


@kernel
def fold_trades(close, orders, count, first, last, out):
    """The accumulators of trades: each exit is one, the position left at the end is one, valued at the last close.

    Those entered at the bars first .. last - 1 count. Of the open position: its shares, what these were bought or sold
    for, the fees paid, and the bar of its entry. None is ever added to.
    """
    out[TRADES], out[WINS], out[GAINS], out[LOSSES] = 0.0, 0.0, 0.0, 0.0
    side, shares, cost, paid, entry_bar = 0.0, 0.0, 0.0, 0.0, 0
    for k in range(count):
        size, price, fee = orders.size[k], orders.price[k], orders.fee[k]
        counts = first <= entry_bar < last
        if side == 0.0:
            side, shares, cost, paid, entry_bar = orders.side[k], size, size * price, fee, orders.bar[k]
        elif near(size, shares):
            book(profit(side, shares, cost / shares, paid, price, fee), counts, out)
            side = 0.0
        elif size < shares:  # a cover that could not be paid in full
            book(profit(side, size, cost / shares, size / shares * paid, price, fee), counts, out)
            left = (shares - size) / shares
            shares, cost, paid = shares * left, cost * left, paid * left
        else:  # a reversal: the fee is split by size
            share_of_fee = shares / size * fee
            book(profit(side, shares, cost / shares, paid, price, share_of_fee), counts, out)
            side, shares, entry_bar = -side, size - shares, orders.bar[k]
            cost, paid = shares * price, fee - share_of_fee
    if side != 0.0 and less(-shares, 0.0):
        book(profit(side, shares, cost / shares, paid, close[-1], 0.0), first <= entry_bar < last, out)


# ---------------------------------------------------------------- a combination
@kernel
def accumulate(close, filled, orders, count, init_cash, returns, out):
    """All accumulators of a combination from its orders. `returns` (n,) is left with the returns of the bars."""
    if count == IMPOSSIBLE:
        out[:] = np.nan
        return
    out[TOTAL_RETURN] = total_return(filled, orders, count, init_cash)
    out[IN_MARKET] = returns_of_orders(filled, orders, count, init_cash, returns)
    fold_returns(returns, out)
    out[MAX_DRAWDOWN] = max_drawdown(returns)
    fold_trades(close, orders, count, 0, close.size, out)


@entry
def judge(close, turned_up, turned_down, mode, fees, slippage, init_cash):
    """The orders of one combination, and its accumulators in the order of ACCUMULATORS.

    `close` float64 (n,), n at least 1; `turned_up` and `turned_down` bool (n,); `mode` BOTH, LONG_ONLY or SHORT_ONLY.
    """
    bars = close.size
    filled, returns, accumulators = np.empty(bars), np.empty(bars), np.empty(len(ACCUMULATORS))
    orders = room_for_orders(bars)
    count = place_orders(close, turned_up, turned_down, mode, fees, slippage, init_cash, orders)
    fill_closes(close, filled)
    accumulate(close, filled, orders, count, init_cash, returns, accumulators)
    return first_orders(orders, max(count, 0)), accumulators
