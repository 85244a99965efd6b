"""The ten metrics of a combination, made of its accumulators on the host. `docs/fills.md` in code.

They are vectorbt 1.2's to the bit. Nothing here is compiled: a sweep that finds its accumulators kept has no use for
numba.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy import float64
from numpy.typing import NDArray

ACCUMULATORS = (
    "total_return",
    "growth",  # product of 1 + r
    "returns",  # how many r are not NaN
    "sum",  # of r
    "spread",  # sum of (r - mean)**2
    "downside",  # sum of min(r, 0)**2
    "max_drawdown",
    "in_market",  # bars with a position
    "trades",
    "wins",
    "gains",
    "losses",  # a sum below zero
)
"""What is kept of a combination, in this order; all NaN where vectorbt would raise."""
TOTAL_RETURN, GROWTH, RETURNS, SUM, SPREAD, DOWNSIDE, MAX_DRAWDOWN, IN_MARKET, TRADES, WINS, GAINS, LOSSES = range(12)

METRICS = (
    "total_return",
    "annualized_return",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "calmar_ratio",
    "total_trades",
    "win_rate",
    "profit_factor",
    "exposure",
)


def metrics_of(
    accumulators: NDArray[float64], bars: int, bars_per_year: float, names: Sequence[str] = METRICS
) -> dict[str, NDArray[float64]]:
    """METRICS by name, of one combination's accumulators or of an array of them: shape (..., 12) gives (...).

    `bars` are those of the column, `bars_per_year` is 365 days by the time of a bar.
    """
    with np.errstate(all="ignore"):  # infinities and NaN are what is meant
        made = _Metrics(accumulators, bars, bars_per_year)
        return {name: np.asarray(getattr(made, name)) for name in names}


class _Metrics:
    """Each metric under its name, made when it is asked for. No operation here may be reordered.

    An accumulator that is read more than once is copied first: side by side in memory it is read faster.
    """

    def __init__(self, accumulators: NDArray[float64], bars: int, bars_per_year: float) -> None:
        self._kept: list[NDArray[float64]] = list(np.moveaxis(accumulators, -1, 0))
        self._bars, self._bars_per_year = bars, float64(bars_per_year)
        self._root_of_year: float64 = np.sqrt(self._bars_per_year)

    @cached_property
    def total_return(self) -> NDArray[float64]:
        return self._kept[TOTAL_RETURN].copy()

    @cached_property
    def annualized_return(self) -> NDArray[float64]:
        # Of numpy's powers the one that asks the C library, as Python and vectorbt do; `**` rounds differently.
        growth: NDArray[float64] = np.float_power(self._kept[GROWTH], self._bars_per_year / self._bars)
        return growth - 1

    @property
    def sharpe_ratio(self) -> NDArray[float64]:
        count = self._count
        variance = self._kept[SPREAD] / count * count / (count - 1)  # to and fro: as vectorbt does
        return self._ratio_to_risk(self._mean, np.sqrt(variance)) * self._root_of_year

    @property
    def sortino_ratio(self) -> NDArray[float64]:
        risk = np.sqrt(self._kept[DOWNSIDE] / self._count) * self._root_of_year
        return self._ratio_to_risk(self._mean * self._bars_per_year, risk)

    @cached_property
    def max_drawdown(self) -> NDArray[float64]:
        return self._kept[MAX_DRAWDOWN].copy()

    @property
    def calmar_ratio(self) -> NDArray[float64]:
        return np.where(self.max_drawdown == 0.0, np.nan, self.annualized_return / abs(self.max_drawdown))

    @cached_property
    def total_trades(self) -> NDArray[float64]:
        return self._kept[TRADES].copy()

    @property
    def win_rate(self) -> NDArray[float64]:
        return self._kept[WINS] / self.total_trades

    @property
    def profit_factor(self) -> NDArray[float64]:
        return self._kept[GAINS] / abs(self._kept[LOSSES])

    @property
    def exposure(self) -> NDArray[float64]:
        return self._kept[IN_MARKET] / self._bars

    @cached_property
    def _count(self) -> NDArray[float64]:
        return self._kept[RETURNS].copy()

    @cached_property
    def _mean(self) -> NDArray[float64]:
        return self._kept[SUM] / self._count

    def _ratio_to_risk(self, reward: NDArray[float64], risk: NDArray[float64]) -> NDArray[float64]:
        """Reward for risk; where there is no risk, infinity, even for no reward. One bar has neither."""
        if self._bars <= 1:
            return np.full_like(reward, np.nan)
        return np.where(risk == 0.0, np.inf, reward / risk)
