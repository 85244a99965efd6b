"""One portfolio bar by bar: its returns, and the accumulators of parts of its bars."""

from __future__ import annotations

import numpy as np

from .accumulators import accumulate, fill_closes
from .compiling import entry
from .fills import IMPOSSIBLE, place_orders, room_for_orders
from .metrics import ACCUMULATORS
from .windows import Windows, accumulate_windows


@entry
def follow(close, directions, mode, fees, slippage, init_cash, starts, stops):
    """Returns (n,) of a portfolio that follows a direction, and accumulators (windows, 12) of the bars [start, stop).

    `close` float64 (n,), n at least 1; `directions` (n,), an order wherever they turn to +1 or -1, the first bar
    included. All NaN where vectorbt would raise.
    """
    n = close.size
    up, down = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    before = 0.0
    for t in range(n):
        up[t] = directions[t] == 1.0 and before != 1.0
        down[t] = directions[t] == -1.0 and before != -1.0
        before = directions[t]
    filled, returns = np.empty(n), np.full(n, np.nan)
    whole, parts = np.empty(len(ACCUMULATORS)), np.empty((starts.size, len(ACCUMULATORS)))
    orders = room_for_orders(n)
    count = place_orders(close, up, down, mode, fees, slippage, init_cash, orders)
    fill_closes(close, filled)
    accumulate(close, filled, orders, count, init_cash, returns, whole)
    if count == IMPOSSIBLE:
        returns[:] = np.nan
    windows = Windows(starts, starts, stops, starts, stops)  # of which only starts and stops are looked at
    accumulate_windows(close, orders, count, returns, windows, parts)
    return returns, parts
