"""@pyne"""

from pynecore import Persistent, Series
from pynecore.lib import bar_index, close, math, na


def rate_of_change() -> float:
    return (close - close[1]) / close[1]


def growth(lam: float, cutout: int) -> float:
    return math.e ** (lam * (bar_index - cutout))


def equity(start: float, signal: Series[float], grown_return: float, keep: float, cutout: int) -> float:
    """Pine's `eq`: the equity of yesterday's signal on today's grown return, never below 0.25."""
    a: Persistent[float] = 0.0
    e: Persistent[float] = na(float)
    if bar_index >= cutout:
        if signal[1] > 0:
            a = grown_return
        elif signal[1] < 0:
            a = -grown_return
        e = start if na(e) else (e * keep) * (1 + a)
        if e < 0.25:
            e = 0.25
    return e
