"""The engine behind the interface of `plain_atc`, so that one test body serves both."""

from __future__ import annotations

from typing import Any

import numpy as np
from plain_law import PlainResult

from atc_plugin import atc
from atc_plugin.params import TYPES


def fast_atc(close: np.ndarray, source: np.ndarray | None = None, **params: Any) -> PlainResult:
    """Everything `atc` gives for one column of prices, stacked by type."""
    result = atc(close, source, **params)

    def stacked(outputs: Any) -> np.ndarray:
        return np.stack([outputs[type_].T for type_ in TYPES])

    return PlainResult(
        moving_averages=stacked(result.moving_averages),
        states=stacked(result.states),
        equities=stacked(result.equities),
        signals=stacked(result.signals),
        weights=stacked(result.weights),
        average=result.average,
        direction=result.direction,
        entries=result.entries,
        exits=result.exits,
    )
