"""The law of fills: which orders follow from the bars at which the direction turned. `docs/fills.md` in code.

Orders are those of vectorbt 1.2's `Portfolio.from_signals` with its defaults, to the bit: all cash in or all free cash
short, at the close of the bar of the turn, an opposite entry reversing, nothing liquidated. This is the plain form,
the reference of every faster one: no operation here may be reordered or fused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .compiling import kernel
from .modes import LONG_ONLY, SHORT_ONLY

SMALLEST = 1e-8
"""No order is smaller."""

IMPOSSIBLE = -1
"""Instead of a number of orders: vectorbt raises ValueError where this one is returned."""

_NOTHING, _BUY, _COVER, _SELL, _CLOSE = 0, 1, 2, 3, 4


class Account(NamedTuple):
    """What is owned and owed between two orders."""

    cash: float
    free: float  # the cash that is not locked by a short
    debt: float  # what the shares that are short were sold for
    shares: float  # negative: short


class Fill(NamedTuple):
    """One order filled; a refused one has size 0."""

    size: float
    price: float
    fee: float


class Orders(NamedTuple):
    """Orders in time, at most one a bar."""

    bar: NDArray[int64]
    size: NDArray[float64]  # in shares, positive
    price: NDArray[float64]  # slippage included
    fee: NDArray[float64]
    side: NDArray[float64]  # +1 bought, -1 sold


@kernel
def room_for_orders(bars):
    """Arrays for as many orders as there can be."""
    return Orders(np.empty(bars, np.int64), np.empty(bars), np.empty(bars), np.empty(bars), np.empty(bars))


@kernel
def first_orders(orders, count):
    """The orders made, without the room left."""
    return Orders(
        orders.bar[:count], orders.size[:count], orders.price[:count], orders.fee[:count], orders.side[:count]
    )


# ---------------------------------------------------------------- snaps
@kernel
def near(a, b):
    """|a - b| <= max(1e-9 * max(|a|, |b|), 1e-12); nothing is near a NaN or an infinity."""
    if not (np.isfinite(a) and np.isfinite(b)):
        return False
    return abs(a - b) <= max(1e-9 * max(abs(a), abs(b)), 1e-12)


@kernel
def add(a, b):
    """a + b, but 0 where the two cancel but for rounding, or are next to nothing together."""
    same_sign = (a > 0.0) == (b > 0.0) and (a < 0.0) == (b < 0.0)
    cancels = near(a + b, 0.0) if same_sign else near(abs(a), abs(b))
    return 0.0 if cancels else a + b


@kernel
def less(a, b):
    """Smaller, and not near."""
    return a < b and not near(a, b)


@kernel
def snapped(account):
    """The account before an order: what is next to nothing is nothing."""
    return Account(
        0.0 if near(account.cash, 0.0) else account.cash,
        0.0 if near(account.free, 0.0) else account.free,
        0.0 if near(account.debt, 0.0) else account.debt,
        0.0 if near(account.shares, 0.0) else account.shares,
    )


# ---------------------------------------------------------------- buying
@kernel
def after_buying(account, size, paid):
    """BUY and COVER: shares come, cash goes, and as much debt as the shares covered carried."""
    cash = add(account.cash, -paid)
    shares = add(account.shares, size)
    if account.shares < 0.0:
        covered = size if shares < 0.0 else abs(account.shares)
        paid_back = covered * (account.debt / abs(account.shares))
        debt = add(account.debt, -paid_back)
        free = add(account.free + 2 * paid_back, -paid)  # a short locks its proceeds and as much again
        return Account(cash, free, debt, shares)
    return Account(cash, add(account.free, -paid), account.debt, shares)


@kernel
def buy(account, close, fees, slippage):
    """BUY for all cash, whatever is short included: m = cash/(1+f), size = m/P."""
    price = close * (1 + slippage)
    spent = account.cash / (1 + fees)
    if account.cash == 0.0 or spent <= 0.0:
        return account, Fill(0.0, price, 0.0)
    size = spent / price
    if less(size, SMALLEST):
        return account, Fill(0.0, price, 0.0)
    return after_buying(account, size, account.cash), Fill(size, price, account.cash - spent)


@kernel
def cover(account, close, fees, slippage):
    """COVER what is short; if the cash is not enough, as much as all of it buys."""
    price = close * (1 + slippage)
    size = abs(account.shares)
    fee = size * price * fees
    paid = size * price + fee
    if not (near(paid, account.cash) or paid < account.cash):
        return buy(account, close, fees, slippage)
    if less(size, SMALLEST):
        return account, Fill(0.0, price, 0.0)
    return after_buying(account, size, paid), Fill(size, price, fee)


# ---------------------------------------------------------------- selling
@kernel
def after_selling(account, size, price, fees):
    """SELL and CLOSE: cash comes; what is short now locks its proceeds and as much again."""
    if less(size, SMALLEST):
        return account, Fill(0.0, price, 0.0)
    proceeds = size * price
    fee = proceeds * fees
    received = add(proceeds, -fee)
    if received < 0.0:  # a fee of more than everything
        return account, Fill(0.0, price, 0.0)
    cash = account.cash + received
    shares = add(account.shares, -size)
    if shares < 0.0:
        shorted = abs(shares) * price
        after = Account(cash, add(account.free, add(received, -2 * shorted)), account.debt + shorted, shares)
    else:
        after = Account(cash, account.free + received, account.debt, shares)
    return after, Fill(size, price, fee)


@kernel
def sell(account, close, fees, slippage):
    """SELL what is held and go short for all that is free then: L + T/(P(1+f))."""
    price = close * (1 - slippage)
    held = max(account.shares, 0.0)
    free = add(account.free, held * price * (1 - fees))
    size = held if free <= 0.0 else add(held, free / (price * (1 + fees)))
    return after_selling(account, size, price, fees)


@kernel
def close_long(account, close, fees, slippage):
    """CLOSE: sell what is held and no more."""
    return after_selling(account, account.shares, close * (1 - slippage), fees)


# ---------------------------------------------------------------- orders
@kernel
def wanted(shares, up, down, mode):
    """The order that a turn asks for. Two turns on one bar ask for nothing, nor does one towards what is held."""
    if up == down:
        return _NOTHING
    if shares > 0.0:
        return _NOTHING if up else (_CLOSE if mode == LONG_ONLY else _SELL)
    if shares < 0.0:
        return _NOTHING if down else (_COVER if mode == SHORT_ONLY else _BUY)
    if up:
        return _NOTHING if mode == SHORT_ONLY else _BUY
    return _NOTHING if mode == LONG_ONLY else _SELL


@kernel
def possible(account, close):
    """Whether vectorbt takes an order at all: a price above zero, and an account that has not overflowed."""
    sound = np.isfinite(account.shares) and np.isfinite(account.debt) and not np.isnan(account.free)
    return sound and account.cash >= 0.0 and account.debt >= 0.0 and np.isfinite(close) and close > 0.0


@kernel
def place_orders(close, turned_up, turned_down, mode, fees, slippage, init_cash, orders):
    """Fill `orders` and return how many there are, or IMPOSSIBLE.

    `close` (n,), `turned_up` and `turned_down` (n,) bool; an order is filled at the close of the bar of its turn. Not
    below zero: fees and slippage (fractions), the latter below 1.
    """
    account = Account(init_cash, init_cash, 0.0, 0.0)
    count = 0
    for t in range(close.size):
        order = wanted(account.shares, turned_up[t], turned_down[t], mode)
        if order == _NOTHING:
            continue
        account = snapped(account)  # and it stays so if the order is refused
        if np.isnan(close[t]):
            continue  # dropped, though the direction has turned
        if not possible(account, close[t]) or (order == _BUY and np.isinf(account.cash)):
            return IMPOSSIBLE
        if order == _BUY:
            account, fill = buy(account, close[t], fees, slippage)
        elif order == _COVER:
            account, fill = cover(account, close[t], fees, slippage)
        elif order == _SELL:
            account, fill = sell(account, close[t], fees, slippage)
        else:
            account, fill = close_long(account, close[t], fees, slippage)
        if np.isinf(fill.size) and order == _SELL:
            return IMPOSSIBLE
        if fill.size == 0.0:
            continue
        orders.bar[count] = t
        orders.size[count] = fill.size
        orders.price[count] = fill.price
        orders.fee[count] = fill.fee
        orders.side[count] = 1.0 if order in (_BUY, _COVER) else -1.0
        count += 1
    return count
