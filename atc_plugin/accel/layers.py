"""From averages to equities, components and directions, many columns at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .averages import Averages
from .engines import Array, Columns, Engine
from .tables import RegimeTables


class Equities(NamedTuple):
    """Of every regime's members."""

    equities: Array  # (members, bars, columns)
    states: Array  # the same, int8


class Components(NamedTuple):
    """Layer-1 signals, each once, and the layer-2 equities of those that start with some weight."""

    signals: Array  # (signals, bars, columns) int8: hundredths, 0 where undefined
    series: Array  # the same as numbers, NaN where undefined; empty if not asked for
    weights: Array  # (components, bars, columns)
    sound: Array  # (components, columns) int8: whether the weights are finite on all of the column's bars
    largest: Array  # (components, columns): the largest weight on them, 0 where not sound or where there is none


class Verdicts(NamedTuple):
    """Of every configuration, (configurations, bars, columns)."""

    average: Array
    direction: Array  # int8


def equities_on(engine: Engine, prices: Columns, averages: Averages, tables: RegimeTables) -> Equities:
    """Trend states and equities of the members of every regime."""
    bars, columns = prices.shape
    count = tables.members.size
    out = Equities(
        engine.room((count, bars, columns), np.float64),
        engine.room((count, bars, columns), np.int8),
    )
    engine.launch(
        "equities_of_averages",
        count * columns,
        sides=averages.sides,
        returns=prices.returns,
        growth=tables.growth,
        bars=bars,
        columns=columns,
        members=tables.members,
        regimes=tables.member_regimes,
        count=count,
        **_regimes(tables),
        **out._asdict(),
    )
    return out


def _regimes(tables: RegimeTables) -> dict[str, Any]:
    return {
        "growth_rows": tables.growth_rows,
        "cutouts": tables.cutouts,
        "keeps": tables.keeps,
    }


def components_on(
    engine: Engine, prices: Columns, members: Equities, tables: RegimeTables, with_series: bool = False
) -> Components:
    """Layer 1 and layer 2 of every component."""
    bars, columns = prices.shape
    signals, count = len(tables.voters), tables.starts.size
    out = Components(
        engine.room((signals, bars, columns), np.int8),
        engine.room((signals if with_series else 0, bars, columns), np.float64),
        engine.room((count, bars, columns), np.float64),
        engine.room((count, columns), np.int8),
        engine.room((count, columns), np.float64),
    )
    engine.launch(
        "layer_one",
        signals * bars * columns,
        bars=bars,
        columns=columns,
        voters=tables.voters,
        count=signals,
        signals=out.signals,
        series=out.series,
        **members._asdict(),
    )
    engine.launch(
        "equities_of_signals",
        count * columns,
        signals=out.signals,
        returns=prices.returns,
        growth=tables.growth,
        counts=prices.counts,
        bars=bars,
        columns=columns,
        signal_rows=tables.signal_rows,
        regimes=tables.component_regimes,
        starts=tables.starts,
        count=count,
        weights=out.weights,
        sound=out.sound,
        largest=out.largest,
        **_regimes(tables),
    )
    return out


def average_on(engine: Engine, components: Components, tables: RegimeTables, ids: Array) -> Array:
    """The average of configurations (configurations, bars, columns), not delayed.

    The engine's `ids` (configurations, 6) say who votes.
    """
    _, bars, columns = components.weights.shape
    count = len(ids)
    average = engine.room((count, bars, columns), np.float64)
    engine.launch(
        "average_of_votes",
        count * bars * columns,
        signals=components.signals,
        weights=components.weights,
        bars=bars,
        columns=columns,
        signal_rows=tables.signal_rows,
        components=ids,
        count=count,
        average=average,
    )
    return average


def direction_on(engine: Engine, average: Array, long_thresholds: Array, short_thresholds: Array) -> Array:
    """The direction of averages, int8 of the same shape, by the thresholds of each configuration."""
    count, bars, columns = average.shape
    directions = engine.room(average.shape, np.int8)
    engine.launch(
        "direction",
        count * columns,
        average=average,
        bars=bars,
        columns=columns,
        long_thresholds=long_thresholds,
        short_thresholds=short_thresholds,
        count=count,
        directions=directions,
    )
    return directions


def verdicts_on(
    engine: Engine,
    components: Components,
    tables: RegimeTables,
    ids: Array,
    long_thresholds: Array,
    short_thresholds: Array,
) -> Verdicts:
    """Average and direction of configurations, not delayed; the engine's `ids` (configurations, 6) say who votes."""
    average = average_on(engine, components, tables, ids)
    return Verdicts(average, direction_on(engine, average, long_thresholds, short_thresholds))
