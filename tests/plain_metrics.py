"""The metrics of accumulators one combination at a time, as a kernel: the reference of those that numpy makes."""

from __future__ import annotations

import numpy as np

from atc_plugin.law.compiling import kernel
from atc_plugin.law.metrics import (
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


@kernel
def ratio_to_risk(reward, risk):
    """Reward for risk; where there is no risk, infinity, even for no reward."""
    return np.inf if risk == 0.0 else reward / risk


@kernel
def plain_metrics(accumulators, bars, bars_per_year):
    """All ten metrics, (10, combinations), of `accumulators` (combinations, 12)."""
    out = np.full((10, len(accumulators)), np.nan)
    for i in range(len(accumulators)):
        a, m = accumulators[i], out[:, i]
        m[0] = a[TOTAL_RETURN]
        m[1] = a[GROWTH] ** (bars_per_year / bars) - 1
        if bars > 1:
            mean = a[SUM] / a[RETURNS]
            deviation = np.sqrt(a[SPREAD] / a[RETURNS] * a[RETURNS] / (a[RETURNS] - 1))  # to and fro: as vectorbt does
            m[2] = ratio_to_risk(mean, deviation) * np.sqrt(bars_per_year)
            m[3] = ratio_to_risk(mean * bars_per_year, np.sqrt(a[DOWNSIDE] / a[RETURNS]) * np.sqrt(bars_per_year))
        m[4] = a[MAX_DRAWDOWN]
        m[5] = np.nan if a[MAX_DRAWDOWN] == 0.0 else m[1] / abs(a[MAX_DRAWDOWN])
        m[6] = a[TRADES]
        m[7] = a[WINS] / a[TRADES]
        m[8] = a[GAINS] / abs(a[LOSSES])
        m[9] = a[IN_MARKET] / bars
    return out
