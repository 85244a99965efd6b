"""What a sweep is asked for, checked before any work: metrics, how orders are filled, windows, and how many to keep."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from ..law.metrics import METRICS
from ..law.modes import BOTH, LONG_ONLY, SHORT_ONLY
from ..names import found
from ..prices import Prices
from .portfolios import DIRECTIONS

if TYPE_CHECKING:
    import pandas as pd

MODES = dict(zip(DIRECTIONS, (BOTH, LONG_ONLY, SHORT_ONLY), strict=True))

_OF_A_YEAR = {"annualized_return", "sharpe_ratio", "sortino_ratio", "calmar_ratio"}
_OF_TRADES = {"sortino_ratio", "win_rate", "profit_factor", "exposure"}
"""Metrics of accumulators that are not made unless asked for."""


OwnWindows = tuple[NDArray[int64], NDArray[int64]]
"""Starts and stops of windows, in bars of a column's own."""


class Top(NamedTuple):
    """How many of each symbol are kept, by which metric."""

    metric: str
    keep: int


class Trading(NamedTuple):
    """How orders are filled, and which accumulators are wanted."""

    mode: int  # BOTH, LONG_ONLY or SHORT_ONLY
    fees: float
    slippage: float
    trades: bool  # those of single trades too
    marked: bool = False  # of windows, what `law.marks` makes will do


class Question(NamedTuple):
    """A request that was found in order."""

    metrics: tuple[str, ...]
    direction: str
    fees: float
    slippage: float
    freq: pd.Timedelta | None
    windows: tuple[tuple[int, int], ...]  # rows of the input
    top: Top | None
    marked: bool = False  # windows are asked for nothing but what `law.marks` makes

    @property
    def trades(self) -> bool:
        """Whether accumulators of single trades are needed."""
        return not _OF_TRADES.isdisjoint(self.metrics)

    @property
    def trading(self) -> Trading:
        """How a `Judge` is to judge."""
        return Trading(MODES[self.direction], self.fees, self.slippage, self.trades, self.marked)

    @property
    def bars_per_year(self) -> float:
        """365 days by the time of a bar; NaN where no metric asks."""
        import pandas as pd

        return math.nan if self.freq is None else pd.Timedelta(days=365) / self.freq

    def own_windows(self, prices: Prices, column: int) -> OwnWindows | None:
        """Starts and stops of the windows in a column's own bars; None without windows."""
        if not self.windows:
            return None
        edges = np.array(self.windows, dtype=int64)
        if prices.valid is not None:
            edges = np.concatenate([[0], np.cumsum(prices.valid[column])])[edges]
        return edges[:, 0].copy(), edges[:, 1].copy()


def question_of(
    prices: Prices,
    metrics: Iterable[str] | str,
    *,
    direction: str,
    fees: float,
    slippage: float,
    freq: Any,
    windows: Any,
    top: Any,
) -> Question:
    """The request in order; TypeError or ValueError that says what is wrong and what is allowed."""
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must name some of {', '.join(METRICS)}; got {metrics!r}")
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for name in names:
        found(name, METRICS, "metric", "metrics")
    if not names:
        raise ValueError(f"metrics must name at least one of {', '.join(METRICS)}")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"metrics names {', '.join(twice)} more than once")
    found(direction, MODES, "direction", "direction")
    bars = prices.close.shape[1]
    needed = _OF_A_YEAR.intersection(names)
    return Question(
        names,
        direction,
        _share("fees", fees, math.inf),
        _share("slippage", slippage, 1.0),
        _freq_of(prices, freq, needed),
        _windows_of(prices, windows, bars),
        _top_of(top, names),
    )


def _share(name: str, value: Any, below: float) -> float:
    allowed = "a finite number >= 0" + (f" and < {below:g}" if below < math.inf else "")
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be {allowed}, as a share of the order; got {value!r}")
    number = float(value)
    if not (math.isfinite(number) and 0 <= number < below):
        raise ValueError(f"{name} must be {allowed}, as a share of the order; got {value!r}")
    return number


def _freq_of(prices: Prices, freq: Any, needed: set[str]) -> pd.Timedelta | None:
    """The time of a bar: as given, or the commonest step of a DatetimeIndex if most steps are that long."""
    import pandas as pd

    if freq is not None:
        try:
            number = isinstance(freq, (int, float, np.number)) and not isinstance(freq, np.timedelta64)
            bare = number or str(freq).strip().replace(".", "", 1).isdigit()
            step = pd.Timedelta("NaT" if bare else freq)  # numbers would be nanoseconds
        except ValueError:
            try:
                step = pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
            except (ValueError, TypeError):
                step = pd.NaT  # type: ignore[assignment]
        if not step > pd.Timedelta(0):
            raise ValueError(f'freq must be the time of a bar, such as "1D", "4h" or a Timedelta; got {freq!r}')
        return step
    index = prices.container.index
    if isinstance(index, pd.DatetimeIndex) and len(index) > 1:
        steps, counts = np.unique(np.diff(index.to_numpy()), return_counts=True)
        if 2 * counts.max() > counts.sum():
            return pd.Timedelta(steps[counts.argmax()])
    if not needed:
        return None
    fault = "has no usual step" if isinstance(index, pd.DatetimeIndex) else "is not one of dates"
    raise ValueError(
        f"freq: {', '.join(sorted(needed))} count by the year, and the index of the prices {fault}; "
        'say how long a bar is, such as freq="1D" or "4h"'
    )


def _windows_of(prices: Prices, windows: Any, bars: int) -> tuple[tuple[int, int], ...]:
    """Ranges of rows: `n` equal ones, or slices of positions or of index labels."""
    if windows is None:
        return ()
    try:
        count = operator.index(_number(windows))
    except TypeError:
        pass
    else:
        if not 1 <= count <= bars:
            raise ValueError(f"windows must be 1 to {bars:,}, as many as there are bars; got {windows!r}")
        return tuple((bars * k // count, bars * (k + 1) // count) for k in range(count))
    if isinstance(windows, (str, bytes)) or not isinstance(windows, Iterable):
        raise TypeError(f"windows must be a number of equal ranges, or slices; got {windows!r}")
    ranges = [_range_of(prices, place, window, bars) for place, window in enumerate(windows)]
    if not ranges:
        raise ValueError("windows has no slices; leave it out for the whole range alone")
    return tuple(ranges)


def _range_of(prices: Prices, place: int, window: Any, bars: int) -> tuple[int, int]:
    if not isinstance(window, slice):
        raise TypeError(f"windows[{place}] must be a slice of bars; got {window!r}")
    if window.step not in (None, 1):
        raise ValueError(f"windows[{place}] must take every bar, step 1; got {window!r}")
    index = prices.container.index
    ends = [end for end in (window.start, window.stop) if end is not None]
    if all(isinstance(end, (int, np.integer)) for end in ends):
        start, stop, _ = window.indices(bars)
    elif index is None:
        raise TypeError(f"windows[{place}] must be a slice of positions, for prices without an index; got {window!r}")
    else:
        try:
            start, stop, _ = index.slice_indexer(window.start, window.stop).indices(bars)
        except (KeyError, TypeError, ValueError) as fault:
            raise ValueError(f"windows[{place}], {window!r}, does not fit the index of the prices: {fault}") from None
    if start >= stop:
        raise ValueError(f"windows[{place}], {window!r}, has none of the {bars:,} bars")
    return start, stop


def _top_of(top: Any, metrics: tuple[str, ...]) -> Top | None:
    """`k` by the first metric, or (metric, k)."""
    if top is None:
        return None
    metric, count = top if isinstance(top, tuple) and len(top) == 2 else (metrics[0], top)
    found(metric, metrics, "metric", "top")
    try:
        number = operator.index(_number(count))
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f'top must be a number of rows to keep of each symbol, or ("sharpe_ratio", 100); got {top!r}')
    return Top(metric, number)


def _number(value: Any) -> Any:
    """What may be a number: True is none."""
    return None if isinstance(value, bool) else value
