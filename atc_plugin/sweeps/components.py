"""The components of a plan, computed for one column."""

from __future__ import annotations

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from ..law.components import Wanted, arrange, make_components
from ..law.growth import growth_table
from ..law.turns import Components
from .planning import Plan


def components_of(plan: Plan, close: NDArray[float64], source: NDArray[float64]) -> Components:
    """Every component of a plan over the bars of one column, each member's average made once."""
    bars = close.size
    rates = list(dict.fromkeys(regime.lambda_ for regime in plan.regimes))
    cutouts = [min(regime.cutout, bars) for regime in plan.regimes]
    wanted = [  # an average of more bars than there are is never defined, however long it is
        Wanted((one.average, tuple(min(length, bars + 1) for length in one.lengths)), one.weight, one.regime)
        for one in plan.components
    ]
    layout, regimes = arrange(
        wanted,
        [rates.index(regime.lambda_) for regime in plan.regimes],
        cutouts,
        [1 - regime.decay / 100 for regime in plan.regimes],
    )
    growth = np.stack([growth_table(bars, rate / 1000) for rate in rates])
    signals = np.empty((len(wanted), bars), np.int8)
    weights = np.empty((len(wanted), bars))
    make_components(close, source, growth, layout, regimes, signals, weights)  # type: ignore[no-untyped-call]
    return as_components(plan, signals, weights)


def as_components(plan: Plan, signals: NDArray[np.int8], weights: NDArray[float64]) -> Components:
    """Signals and weights (components, bars) with what can be said of them from the plan and at a glance."""
    bars = weights.shape[1]
    starts = np.array([min(plan.regimes[one.regime].cutout, bars) for one in plan.components], np.int64)
    sound = np.array([bool(np.isfinite(row[start:]).all()) for row, start in zip(weights, starts, strict=True)])
    return Components(signals, weights, starts, sound)
