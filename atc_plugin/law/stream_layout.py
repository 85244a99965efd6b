"""Where a stream keeps what: the row of doubles that is one symbol's state, and the constants of a configuration.

A row holds two copies of all that a bar changes beyond recall, the state before the last bar and the state after it,
so that the bar in progress can be taken back; and rings of one bar more than the longest average needs, in which the
last bar overwrites nothing that is still wanted.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .adaptive import FLOOR

NINE = 9
"""The lengths of a type, and the lanes they lie in."""

HMA_AVERAGES = ("SMA", "HULL")
"""What the type HMA may be; a configuration says which by its place here."""
SMA, HULL = range(2)

# ---------------------------------------------------------------- a row: its header
BARS, PENDING, SIDE, HEADER = 0, 1, 2, 8
"""Bars so far; 1 where the last call brought a bar; which copy is the newest; size of the header."""

# ---------------------------------------------------------------- a copy: what one bar changes
AVERAGE, LEVEL, DIRECTION, DIRECTION_BEFORE, CLOSE, CROSSED = range(6)  # LEVEL: the last average that was a number
SIGNALS, WEIGHTS, KEPT = 8, 16, 24  # of the types: hundredths, equities, the `a` that is kept while a signal is 0
EMA, DEMA, DEMA_SECOND, HMA_SUM, HMA_REST, KAMA_SUM, KAMA_REST, KAMA = range(32, 104, NINE)
SIGNED = 104  # members by length, then type (8 lanes): equity with the trend state's sign
WINDOWS = 176  # for each bar that a window may start at: sum of x, then sum of x*k
MEMBERS = 72
"""Lanes of the members; two copies more of them, trend and side, follow the rings until all members have crossed."""

# ---------------------------------------------------------------- integers of a configuration
(
    KEPT_BARS,
    COPY,
    X,
    HMA_RING,
    KAMA_RING,
    FIRST_SEEDS,
    UNCROSSED,
    WIDTH,
    HMA_AVERAGE,
    LONGEST_OUTER,
    CUTOUT,
    IS_DELAYED,
    LONGEST_SEED,
    LONGEST_HMA,
    LONGEST_KAMA,
) = range(15)
OF_TYPES = 16  # where the averages of each type start
(
    EMA_LENGTHS,
    DEMA_LENGTHS,
    HMA_BACK,  # length - 1: which of the sums over the newest bars
    KAMA_BACK,
    KAMA_LAG,  # -length
    WMA_START,  # 1 - length: where the window started
    LSMA_START,
    HALF_START,
    FULL_START,
    LEAVING,  # (2, KEPT_BARS, 9): where in the rings of HMA and KAMA lies what leaves the sums
) = range(24, 24 + 10 * NINE, NINE)

# ---------------------------------------------------------------- floats of a configuration
LAM, KEEP, LONG, SHORT = range(4)
STARTS = 8
EMA_ALPHA, EMA_LENGTH, DEMA_ALPHA, DEMA_LENGTH, HMA_LENGTH, KAMA_LENGTH = range(16, 16 + 6 * NINE, NINE)
WMA_NORM, LSMA_LENGTH, LSMA_SX, LSMA_DEN = range(70, 70 + 4 * NINE, NINE)
HALF_NORM, FULL_NORM, OUTER, OUTER_NORM = range(106, 106 + 4 * NINE, NINE)
NUMBERS = 144  # KEPT_BARS..1 twice: the number of the newest bar in the window of each start

LONGEST = 1_000_000
"""Longest average: a stream keeps some hundred bytes for each bar of it."""


class StreamLayout(NamedTuple):
    """What the kernels of a stream are told of a configuration."""

    integers: NDArray[int64]
    floats: NDArray[float64]
    fresh: NDArray[float64]  # the row of a symbol without bars


@functools.lru_cache(maxsize=16)
def lay_out_stream(
    lengths: tuple[tuple[int, ...], ...],
    hma_average: str,
    weights: tuple[float, ...],
    lam: float,
    keep: float,
    cutout: int,
    thresholds: tuple[float, float],
    is_delayed: bool,
) -> StreamLayout:
    """Lay out a configuration: nine lengths and a starting equity for each type, in the order of the law."""
    ema, hma, wma, dema, lsma, kama = (np.array(nine, dtype=np.float64) for nine in lengths)
    longest = max(map(max, lengths))
    kept = longest // 8 * 8 + 8  # at least one more than the longest
    half, outer = hma // 2, np.floor(np.sqrt(hma))

    integers = np.zeros(LEAVING + 2 * kept * NINE, np.int64)
    copy = WINDOWS + 2 * kept
    x = HEADER + 2 * copy
    hma_ring = x + 2 * kept
    kama_ring = hma_ring + kept * NINE
    first_seeds = kama_ring + kept * NINE
    uncrossed = (first_seeds + NINE + 7) // 8 * 8
    width = uncrossed + 4 * MEMBERS
    cutout = min(cutout, 2**62)
    longest_of = [int(each.max()) for each in (ema, dema, hma, kama, outer)]
    integers[:15] = (
        *(kept, copy, x, hma_ring, kama_ring, first_seeds, uncrossed, width),
        *(HMA_AVERAGES.index(hma_average), longest_of[4], cutout, is_delayed),
        *(max(longest_of[:2]), longest_of[2], longest_of[3]),
    )
    integers[OF_TYPES : OF_TYPES + 8] = np.minimum(np.arange(8), 5) * NINE
    for at, values in (
        (EMA_LENGTHS, ema),
        (DEMA_LENGTHS, dema),
        (HMA_BACK, hma - 1),
        (KAMA_BACK, kama - 1),
        (KAMA_LAG, -kama),
        (WMA_START, 1 - wma),
        (LSMA_START, 1 - lsma),
        (HALF_START, 1 - half),
        (FULL_START, 1 - hma),
    ):
        integers[at : at + NINE] = values
    bars = np.arange(kept)[:, np.newaxis]
    for i, each in enumerate((hma, kama)):
        leaving = (bars - each.astype(np.int64)) % kept * NINE + np.arange(NINE)
        at = LEAVING + i * kept * NINE
        integers[at : at + kept * NINE] = leaving.ravel()

    def norm(each: NDArray[float64]) -> NDArray[float64]:
        return 0.5 * each * (each + 1)

    numbers = np.arange(1.0, longest + 1)
    squares = np.cumsum(numbers * numbers)[lsma.astype(np.int64) - 1]
    floats = np.zeros(NUMBERS + 2 * kept)
    floats[:4] = lam, keep, *thresholds
    floats[STARTS : STARTS + 8] = np.maximum(np.resize(np.array(weights), 8), FLOOR)
    for at, values in (
        (EMA_ALPHA, 2 / (ema + 1)),
        (EMA_LENGTH, ema),
        (DEMA_ALPHA, 2 / (dema + 1)),
        (DEMA_LENGTH, dema),
        (HMA_LENGTH, hma),
        (KAMA_LENGTH, kama),
        (WMA_NORM, norm(wma)),
        (LSMA_SX, norm(lsma)),
        (LSMA_DEN, lsma * squares - norm(lsma) * norm(lsma)),
        (LSMA_LENGTH, lsma),
        (HALF_NORM, norm(half)),
        (FULL_NORM, norm(hma)),
        (OUTER, outer),
        (OUTER_NORM, norm(outer)),
    ):
        floats[at : at + NINE] = values
    floats[NUMBERS:] = np.tile(np.arange(kept, 0, -1.0), 2)

    fresh = np.zeros(width)
    for at in (HEADER, HEADER + copy):
        state = fresh[at : at + copy]
        state[[AVERAGE, LEVEL]] = math.nan
        state[CLOSE] = 1.0
        state[SIGNALS:KEPT] = math.nan
        state[EMA:HMA_SUM] = math.nan
        state[SIGNED:] = math.nan
    for i in (1, 3):
        fresh[uncrossed + i * MEMBERS : uncrossed + (i + 1) * MEMBERS] = math.nan
    return StreamLayout(integers, floats, fresh)
