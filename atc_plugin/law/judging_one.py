"""One combination judged by itself: its images drawn, no table of stretches, then what judges blocks of combinations.

A table and running sums pay where thousands of combinations share them. One alone is judged sooner without: every
stretch is walked, by the operations that would have filled the table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from .bits import WORD
from .compiling import entry
from .judging import KEPT_OF_CROSSING, KEPT_OF_RUN, Batch, Column, judge_tile
from .stretches import LINE, Costs, Table
from .turns import TYPES, Components, Images, Levels, draw_images
from .windows import FIELDS


class Alone(NamedTuple):
    """What all combinations on one column share, where each is judged by itself."""

    close: NDArray[float64]  # (n,), n at least 1
    costs: Costs
    held: NDArray[float64]  # 1-D (ends, 2, ages, LINE), as in `judging.Column`
    ages: int  # 1; 0 where prices or costs leave no choice but the plain way


class Levelled(NamedTuple):
    """What turns the average into a direction."""

    long_threshold: float
    short_threshold: float
    delayed: bool  # strategy_mode


class Six(NamedTuple):
    """The components of a combination in the order of the types."""

    signals: tuple[NDArray[np.int8], ...]  # each (n,): 100 * layer-1 signal
    weights: tuple[NDArray[float64], ...]  # each (n,): layer-2 equity
    start: int  # the first bar with an equity
    scale_above: float  # of the images for the upper level, by `turns.scale_of`; 0 where none can be relied on
    scale_below: float


@entry
def judge_combination(alone, six, levelled, trades, windows, out, windows_out):
    """Accumulators of one combination.

    Args:
        alone: what it is judged on.
        six: its components.
        levelled: its levels.
        trades: None leaves accumulators that only metrics of trades need undone; anything else makes them too.
        windows: None, or what parts of the bars to look at as well.
        out: float64 (1, 12), where the accumulators go.
        windows_out: float64 (1, windows, 12), where those of the windows go.

    Returns:
        How often the plain way had to judge.
    """
    close, ages = alone.close, alone.ages
    n = close.size
    signals, weights = np.empty((TYPES, n), np.int8), np.empty((TYPES, n))
    relied_on = ages > 0 and six.scale_above > 0.0 and six.scale_below > 0.0
    ids = np.zeros((1, TYPES + 1), np.int32)
    for k in range(TYPES):
        signals[k, :], weights[k, :] = six.signals[k], six.weights[k]
        ids[0, k] = k
    components = Components(signals, weights, np.full(TYPES, six.start), np.full(TYPES, relied_on))
    width = (n + WORD - 1) // WORD * WORD if relied_on else 0
    above, below = np.empty((TYPES, width), np.int32), np.empty((TYPES, width), np.int32)
    if relied_on:
        draw_images(components, np.full(TYPES, six.scale_above), levelled.long_threshold, 1.0, above)
        draw_images(components, np.full(TYPES, six.scale_below), levelled.short_threshold, -1.0, below)
    nowhere = np.zeros(1, np.int64)
    column = Column(
        close,
        components,
        Images(above.reshape(-1), below.reshape(-1), width, np.full((1, TYPES), relied_on)),
        Levels(
            np.full(1, levelled.long_threshold),
            np.full(1, levelled.short_threshold),
            np.full(1, levelled.delayed),
            nowhere,
            nowhere,
        ),
        alone.costs,
        alone.held,
    )
    batch = Batch(
        ids,
        np.arange(TYPES),
        nowhere,
        np.empty((0, KEPT_OF_RUN)),
        np.empty((0, KEPT_OF_CROSSING), np.int8),
        out,
    )
    parts = 0 if ages == 0 else alone.held.size // (2 * ages * LINE)
    return judge_tile(
        column,
        Table(np.empty(0), 0, 0, ages, (0, n)),
        batch,
        0,
        1,
        trades,
        windows,
        np.empty((0, parts + 1, FIELDS)),
        windows_out,
    )
