"""The components of a plan, computed for one column, or resumed where an earlier computation left it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from ..engine import Regime
from ..law.components import Wanted, arrange, components_state_size, make_components
from ..law.growth import growth_table
from ..law.turns import Components
from .planning import Plan


class Resumable(NamedTuple):
    """Components of one column, and where they can be resumed once it has more bars."""

    signals: NDArray[int8]  # (components, bars): hundredths of layer-1 signals
    weights: NDArray[float64]  # (components, bars): layer-2 equities
    state: NDArray[float64]  # empty where they cannot be resumed

    @property
    def begin(self) -> int:
        """The bar where they are resumed; 0 where they have to be computed from the start."""
        return int(self.state[0]) if self.state.size else 0


def wanted_by(plan: Plan) -> list[Wanted]:
    """The components of a plan in its order, as the pass over the bars takes them."""
    return [Wanted((one.average, one.lengths), one.weight, one.regime) for one in plan.components]


def components_of(plan: Plan, close: NDArray[float64], source: NDArray[float64]) -> Components:
    """Every component of a plan over the bars of one column, each member's average made once."""
    signals, weights, _ = _computed(wanted_by(plan), plan.regimes, close, source, None, False)
    return as_components(plan, signals, weights)


def resumable_components(
    wanted: Sequence[Wanted],
    regimes: Sequence[Regime],
    close: NDArray[float64],
    source: NDArray[float64],
    earlier: Resumable | None = None,
) -> Resumable:
    """The components `wanted` over the bars of one column, from where `earlier` left them.

    Components of a series that is shorter than their longest average cannot be resumed: their averages are cut short.

    Args:
        wanted: Components; their `regime` is a place in `regimes`.
        regimes: What those places mean.
        close: Prices of the column's own bars, that begin with those that `earlier` is of; `source` alike.
        source: What the averages are taken of.
        earlier: What this function gave for the same components and regimes, in the same order. Only what stands
            before its `begin` is read.

    Raises:
        ValueError: `earlier` is of other components or prices by its shape.
    """
    return _computed(wanted, regimes, close, source, earlier, True)


def _computed(
    wanted: Sequence[Wanted],
    regimes: Sequence[Regime],
    close: NDArray[float64],
    source: NDArray[float64],
    earlier: Resumable | None,
    to_be_resumed: bool,
) -> Resumable:
    bars = close.size
    rates = list(dict.fromkeys(regime.lambda_ for regime in regimes))
    cutouts = [min(regime.cutout, bars) for regime in regimes]
    longest = max(length for one in wanted for length in one.signal[1])
    if longest > bars:  # an average of more bars than there are is never defined, however long it is
        wanted = [
            one._replace(signal=(one.signal[0], tuple(min(length, bars + 1) for length in one.signal[1])))
            for one in wanted
        ]
    layout, arranged = arrange(
        wanted,
        [rates.index(regime.lambda_) for regime in regimes],
        cutouts,
        [1 - regime.decay / 100 for regime in regimes],
    )
    growth = np.stack([growth_table(bars, rate / 1000) for rate in rates])
    signals = np.empty((len(wanted), bars), np.int8)
    weights = np.empty((len(wanted), bars))
    state = np.zeros(components_state_size(layout, arranged) if to_be_resumed and longest <= bars else 0)
    if earlier is not None and (begin := earlier.begin) != 0:
        shape = (len(wanted), earlier.weights.shape[-1])
        if earlier.state.shape != state.shape or {earlier.signals.shape, earlier.weights.shape} != {shape}:
            raise ValueError(
                f"earlier: {len(earlier.weights)} components with a state of {earlier.state.size:,} numbers are not "
                f"these {len(wanted)} with one of {state.size:,}"
            )
        if not 0 < begin < min(bars, shape[1]):
            raise ValueError(f"earlier: to be resumed at bar {begin:,}; there are {bars:,} bars, and were {shape[1]:,}")
        state[:] = earlier.state
        signals[:, :begin] = earlier.signals[:, :begin]
        weights[:, :begin] = earlier.weights[:, :begin]
    make_components(  # type: ignore[no-untyped-call]
        close, source, growth, layout, arranged, state, signals, weights
    )
    return Resumable(signals, weights, state)


def as_components(plan: Plan, signals: NDArray[int8], weights: NDArray[float64]) -> Components:
    """Signals and weights (components, bars) with what can be said of them from the plan and at a glance."""
    bars = weights.shape[1]
    starts = np.array([min(plan.regimes[one.regime].cutout, bars) for one in plan.components], np.int64)
    sound = np.array([bool(np.isfinite(row[start:]).all()) for row, start in zip(weights, starts, strict=True)])
    return Components(signals, weights, starts, sound)
