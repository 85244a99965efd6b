"""Outputs of single columns: as records that the store keeps, and taken from and put into those of all columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

from . import engine
from .params import TYPES
from .prices import Prices
from .records import as_record

_NO_SIGNAL = -128  # stands for NaN among hundredths


def from_records(verdict: Any, layers: Any = None) -> engine.Resumable:
    """The column that these are the records of."""
    said = None
    if layers is not None:
        signals = layers["signals"] / 100.0
        signals[layers["signals"] == _NO_SIGNAL] = np.nan
        said = engine.Layers(signals, layers["weights"])
    return engine.Resumable(engine.Verdict(verdict["average"], verdict["direction"]), said, verdict["state"])


def verdict_record(said: engine.Resumable) -> NDArray[np.void]:
    """Average, direction and state of one column."""
    average, direction = said.verdict
    return as_record(average=average[0], direction=direction[0], state=said.states[0])


def layers_record(layers: engine.Layers) -> NDArray[np.void]:
    """Signals and weights of one column."""
    return as_record(weights=layers.weights[0], signals=_hundredths(layers.signals[0]))


def _hundredths(signals: NDArray[float64]) -> NDArray[int8]:
    """Signals are whole hundredths, so a byte holds one."""
    return np.where(np.isnan(signals), _NO_SIGNAL, np.rint(signals * 100.0)).astype(np.int8)


def some_columns(prices: Prices, columns: list[int]) -> Prices:
    """Some of the columns, for the engine alone."""
    if len(columns) == len(prices.counts):
        return prices
    bars = int(prices.counts[columns].max())
    close = np.ascontiguousarray(prices.close[columns, :bars])
    source = close if prices.source is prices.close else np.ascontiguousarray(prices.source[columns, :bars])
    return Prices(close, source, prices.counts[columns], None, prices.container)


def one_column(said: engine.Resumable, place: int, bars: int) -> engine.Resumable:
    """One column of several, without what stands behind its bars."""
    at = slice(place, place + 1)
    return engine.Resumable(
        engine.Verdict(said.verdict.average[at, :bars], said.verdict.direction[at, :bars]),
        None
        if said.layers is None
        else engine.Layers(said.layers.signals[at, :, :bars], said.layers.weights[at, :, :bars]),
        said.states[at],
    )


def side_by_side(parts: dict[int, engine.Resumable], shape: tuple[int, int], with_layers: bool) -> engine.Resumable:
    """All columns side by side; the only one as it is."""
    columns, bars = shape
    states = np.empty((columns, 0))  # records have their own
    if columns == 1 and 0 in parts and parts[0].verdict.average.shape[1] == bars:
        return parts[0]._replace(states=states)
    verdict = engine.Verdict(np.empty(shape), np.empty(shape, np.int8))
    layers = None
    if with_layers:
        deep = (columns, len(TYPES), bars)
        layers = engine.Layers(np.empty(deep), np.empty(deep))
    for column, said in parts.items():
        count = said.verdict.average.shape[1]
        verdict.average[column, :count], verdict.direction[column, :count] = said.verdict
        if layers is not None and said.layers is not None:
            layers.signals[column, :, :count], layers.weights[column, :, :count] = said.layers
    return engine.Resumable(verdict, layers, states)
