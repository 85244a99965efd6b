"""Where combinations turn, on an engine: images of all components, then every combination's turns as bits.

What `law/turns.py` finds on the host, 32 bars a word instead of 64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy import float64, int8, int64
from numpy.typing import NDArray

from .engines import Array, Columns, Engine
from .layers import Components
from .tables import RegimeTables

WORD = 32
"""Bars of a word of turns."""


class LevelTables(NamedTuple):
    """The thresholds that combinations choose from, and those that images are drawn for, each once."""

    above: NDArray[float64]  # distinct long thresholds
    below: NDArray[float64]  # distinct short thresholds
    above_rows: NDArray[int64]  # (levels,): where each one's long threshold is among them
    below_rows: NDArray[int64]
    long_thresholds: NDArray[float64]  # (levels,)
    short_thresholds: NDArray[float64]
    delayed: NDArray[int8]  # (levels,): strategy_mode


def level_tables(
    long_thresholds: Sequence[float], short_thresholds: Sequence[float], delayed: Sequence[bool]
) -> LevelTables:
    """The tables of levels, made on the host; one of each for every level, as `Plan.levels` lists them.

    Raises:
        ValueError: they are not equally many.
    """
    if not len(long_thresholds) == len(short_thresholds) == len(delayed):
        raise ValueError(
            f"levels have a long threshold, a short one and strategy_mode each; got {len(long_thresholds)}, "
            f"{len(short_thresholds)} and {len(delayed)} of them"
        )
    above, above_rows = _distinct(long_thresholds)
    below, below_rows = _distinct(short_thresholds)
    return LevelTables(
        above,
        below,
        above_rows,
        below_rows,
        np.array(long_thresholds, float64),
        np.array(short_thresholds, float64),
        np.array(delayed, int8),
    )


def _distinct(thresholds: Sequence[float]) -> tuple[NDArray[float64], NDArray[int64]]:
    """Each threshold once, as they first come, and where among them each is."""
    places = {threshold: place for place, threshold in enumerate(dict.fromkeys(thresholds))}
    return np.array(list(places), float64), np.array([places[threshold] for threshold in thresholds], int64)


class Images(NamedTuple):
    """Integer images of every component for every distinct threshold, and the scales they are drawn to."""

    above: Array  # (columns, long thresholds, bars in whole words, components) int32
    below: Array  # (columns, short thresholds, bars in whole words, components) int32
    above_scales: Array  # (long thresholds, regimes, columns); 0 where images cannot be relied on
    below_scales: Array  # (short thresholds, regimes, columns)


class Turns(NamedTuple):
    """Where every combination turns; turns alternate."""

    masks: Array  # (columns, words, combinations) uint32: bit k of word w is set where one turns at bar 32 * w + k
    first: Array  # (columns, combinations) int8: the direction after the first turn, 0 without any
    relied: Array  # (columns, combinations) int8: 0 where nothing was looked for, since images cannot be relied on


def images_on(
    engine: Engine, prices: Columns, components: Components, regimes: RegimeTables, levels: LevelTables
) -> Images:
    """Images of all components for either side of all levels; tables are the engine's own."""
    above, above_scales = _images_of_side(engine, prices, components, regimes, levels.above, 1.0)
    below, below_scales = _images_of_side(engine, prices, components, regimes, levels.below, -1.0)
    return Images(above, below, above_scales, below_scales)


def _images_of_side(
    engine: Engine, prices: Columns, components: Components, regimes: RegimeTables, thresholds: Array, sign: float
) -> tuple[Array, Array]:
    """Images and scales for the long thresholds with a sign of +1, for the short ones with one of -1."""
    bars, columns = prices.shape
    words, count, regime_count = -(-bars // WORD), thresholds.size, regimes.cutouts.size
    component_count = regimes.starts.size
    scales = engine.room((count, regime_count, columns), np.float64)
    engine.launch(
        "scales_of_images",
        scales.size,
        largest=components.largest,
        components=component_count,
        columns=columns,
        by_type=regimes.by_type,
        type_starts=regimes.type_starts,
        regimes=regime_count,
        levels=thresholds,
        count=count,
        scales=scales,
    )
    images = engine.room((columns, count, words * WORD, component_count), np.int32)
    engine.launch(
        "images_of_components",
        images.size,
        counts=prices.counts,
        levels=thresholds,
        scales=scales,
        count=count,
        sign=sign,
        words=words,
        images=images,
        **_components(components, regimes),
    )
    return images, scales


def _components(components: Components, regimes: RegimeTables) -> dict[str, Array]:
    count, bars, columns = components.weights.shape
    return {
        "signals": components.signals,
        "weights": components.weights,
        "sound": components.sound,
        "bars": bars,
        "columns": columns,
        "signal_rows": regimes.signal_rows,
        "component_regimes": regimes.component_regimes,
        "components": count,
        "cutouts": regimes.cutouts,
        "regimes": regimes.cutouts.size,
    }


def turns_on(
    engine: Engine,
    prices: Columns,
    components: Components,
    regimes: RegimeTables,
    levels: LevelTables,
    images: Images,
    ids: Array,
) -> Turns:
    """The turns of combinations, which the engine's `ids` (combinations, 7) int32 name as `Plan.ids` does."""
    bars, columns = prices.shape
    words, combinations = -(-bars // WORD), len(ids)
    out = Turns(
        engine.room((columns, words, combinations), np.uint32),
        engine.room((columns, combinations), np.int8),
        engine.room((columns, combinations), np.int8),
    )
    engine.launch(
        "turns_of_combinations",
        columns * combinations,
        counts=prices.counts,
        above_images=images.above,
        above_scales=images.above_scales,
        above_count=levels.above.size,
        below_images=images.below,
        below_scales=images.below_scales,
        below_count=levels.below.size,
        above_rows=levels.above_rows,
        below_rows=levels.below_rows,
        long_thresholds=levels.long_thresholds,
        short_thresholds=levels.short_thresholds,
        delayed=levels.delayed,
        ids=ids,
        combinations=combinations,
        words=words,
        **_components(components, regimes),
        **out._asdict(),
    )
    return out
