"""Where the direction of a combination turns: the plain way through its average, and the fast way, 64 bars a step.

A turn depends on whether the average num/den lies above one level and below another. The fast way adds up integer
images of `vote*E - level*E`, made once a component and level: where their sum is 4 units or more from zero it has the
sign of num/den - level, rounding of the law's own arithmetic included; only where it is not, num/den is computed.
Sums of integers have no order, so combinations that differ in one component share all sums but the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import bool_, float64, int8, int32, int64
from numpy.typing import NDArray

from .adaptive import direction
from .bits import ALL, ONE, TOP, WORD, ZERO, compare64, first_bit
from .compiling import entry, kernel

TYPES = 6
"""Components of a combination."""

LEVELS = TYPES - 1
"""Running sums that are kept: of one component, of two, ..., of all but the last."""

_DOUBT = 3  # six images, each off by half a unit and next to nothing
_NEVER = -1000  # an image where there is no average: neither above nor in doubt, whatever the others are
_RANGE = 2.0**31 - 64


class Components(NamedTuple):
    """What combinations choose from: the components of one column, a row each."""

    signals: NDArray[int8]  # (components, n): 100 * layer-1 signal, 0 before the start
    weights: NDArray[float64]  # (components, n): layer-2 equity, NaN before the start
    starts: NDArray[int64]  # (components,): the first bar with an equity
    sound: NDArray[bool_]  # (components,): whether all equities from there on are finite


class Levels(NamedTuple):
    """The thresholds that combinations choose from, and where the images for each begin."""

    long_threshold: NDArray[float64]
    short_threshold: NDArray[float64]
    delayed: NDArray[bool_]  # strategy_mode
    above: NDArray[int64]  # row of the first component's image in Images.above
    below: NDArray[int64]


class Images(NamedTuple):
    """round(scale * (vote*E - level*E)) of every component, and its negative for the lower level, a row each."""

    above: NDArray[int32]  # 1-D: rows of `width`
    below: NDArray[int32]
    width: int  # bars, padded to whole words
    sound: NDArray[bool_]  # (levels, components): whether the images can be relied on


class RunningSums(NamedTuple):
    """Sums of the images of the first component of a combination, of the first two, ..., over a tile of bars."""

    above: NDArray[int32]  # (LEVELS * width,)
    below: NDArray[int32]
    holds: NDArray[int64]  # which component each level added last, then which levels they are for
    width: int


class Crossing(NamedTuple):
    """What one tile of bars hands to the next."""

    above: np.uint64  # bit 0: the average was above the upper level at the last bar
    below: np.uint64
    late_up: np.uint64  # bit 0: a crossing that strategy_mode moves to the next bar
    late_down: np.uint64
    direction: int


# ---------------------------------------------------------------- one bar, one combination
@kernel
def vote(signal):
    """+1 above 0.49, -1 below -0.49, otherwise 0; of 100 * signal."""
    return 1.0 if signal > 49 else (-1.0 if signal < -49 else 0.0)


@kernel
def average_at(components, six, t):
    """(sum vote*E) / (sum E) in the law's order."""
    weight = components.weights[six[0], t]
    num = vote(components.signals[six[0], t]) * weight
    den = weight
    for k in range(1, TYPES):
        weight = components.weights[six[k], t]
        num = num + vote(components.signals[six[k], t]) * weight
        den = den + weight
    return num / den


@kernel
def average_of_combination(components, six, delayed, weight, average):
    """The average at every bar, NaN before the start; delayed by one bar if so asked. `weight` (n,) is room for den."""
    late = 1 if delayed else 0
    n = average.size - late
    num, den = average[late:], weight[:n]
    for k in range(TYPES):
        signals, weights = components.signals[six[k]], components.weights[six[k]]
        if k == 0:  # the first terms are not added to anything: -0.0 stays
            for t in range(n):
                num[t] = vote(signals[t]) * weights[t]
                den[t] = weights[t]
        else:
            for t in range(n):
                num[t] = num[t] + vote(signals[t]) * weights[t]
                den[t] = den[t] + weights[t]
    for t in range(n):
        num[t] = num[t] / den[t]
    average[:late] = np.nan


@kernel
def plain_turns(components, levels, combination, weight, average, directions, turned_up, turned_down):
    """Where the direction turned, the law's way: the average, its direction, and where that changes."""
    level = combination[TYPES]
    average_of_combination(components, combination, levels.delayed[level], weight, average)
    direction(average, levels.long_threshold[level], levels.short_threshold[level], directions)
    before = 0
    for t in range(average.size):
        now = directions[t]
        turned_up[t] = now == 1 and before != 1
        turned_down[t] = now == -1 and before != -1
        before = now


@entry
def series_of(components, levels, ids, bars_at, directions_too, first, last, out):
    """The series of the combinations first .. last - 1 into `out` (combinations, rows), bar t at row bars_at[t].

    The average, or its direction as a float.
    """
    n = bars_at.size
    weight, average = np.empty(n), np.empty(n)
    directions = np.empty(n, np.int8)
    for i in range(first, last):
        level = ids[i, TYPES]
        average_of_combination(components, ids[i], levels.delayed[level], weight, average)
        if directions_too:
            direction(average, levels.long_threshold[level], levels.short_threshold[level], directions)
            for t in range(n):
                out[i, bars_at[t]] = directions[t]
        else:
            for t in range(n):
                out[i, bars_at[t]] = average[t]


# ---------------------------------------------------------------- images
@entry
def draw_images(components, scales, level, sign, images):
    """One image a component into `images` (components, width): sign * scale * (vote*E - level*E), rounded."""
    n = components.weights.shape[1]
    for c in range(components.weights.shape[0]):
        image = images[c]
        signals = components.signals[c]
        weights = components.weights[c]
        start = components.starts[c] if components.sound[c] else n
        scale = sign * scales[c]
        for t in range(start):
            image[t] = _NEVER
        for t in range(start, n):
            signal = signals[t]
            voted = weights[t] if signal > 49 else (-weights[t] if signal < -49 else 0.0)
            image[t] = np.int32(np.rint(scale * (voted - level * weights[t])))
        for t in range(n, image.size):
            image[t] = _NEVER


def scale_of(total: float, level: float) -> float:
    """The scale of images of equities of which six add up to `total` at most; 0 where none can be relied on.

    None can where `total` is not finite.
    """
    scale = _RANGE / ((1.0 + abs(level)) * total) if total > 0.0 else np.inf
    return scale if 1e-200 < scale < 1e200 else 0.0  # neither it nor its products overflow or underflow


def scales_of(components: Components, groups: NDArray[int64], level: float) -> NDArray[float64]:
    """The scale of each component's image; 0 where no image can be relied on.

    `groups` (components, 2) names the regime and the type of each: the largest equities of the six types of a regime
    must fit into 31 bits together, and all its components share a scale.
    """
    scales = np.zeros(len(groups))
    largest = np.array(
        [
            weights[start:].max(initial=0.0) if sound else 0.0
            for weights, start, sound in zip(components.weights, components.starts, components.sound, strict=True)
        ]
    )
    for regime in np.unique(groups[:, 0]):
        ours = groups[:, 0] == regime
        with np.errstate(over="ignore"):
            total = sum(largest[ours & (groups[:, 1] == type_)].max(initial=0.0) for type_ in range(TYPES))
        scales[ours] = scale_of(float(total), level)
    return scales


# ---------------------------------------------------------------- running sums
@kernel
def room_for_sums(width):
    """Sums over tiles of up to `width` bars, none made yet."""
    return RunningSums(
        np.zeros(LEVELS * width, np.int32), np.zeros(LEVELS * width, np.int32), np.full(LEVELS + 1, -1), width
    )


@kernel
def _add_rows(sums, level, width, bars, images, at):
    row = images[at : at + bars]
    to = sums[level * width : level * width + bars]
    if level == 0:
        for t in range(bars):
            to[t] = row[t] + np.int32(_DOUBT)
    else:
        before = sums[(level - 1) * width : (level - 1) * width + bars]
        for t in range(bars):
            to[t] = before[t] + row[t]


@kernel
def update_sums(sums, images, levels, combination, order, first_bar, bars):
    """Make the sums those of a combination, from the first level on that another component stands in.

    `order` says which type is added first, second, ...: the one that changes most often comes last and is not added.
    """
    asked = combination[TYPES]
    changed = 0
    if sums.holds[LEVELS] == asked:
        while changed < LEVELS and sums.holds[changed] == combination[order[changed]]:
            changed += 1
    sums.holds[LEVELS] = asked
    for level in range(changed, LEVELS):
        c = combination[order[level]]
        sums.holds[level] = c
        _add_rows(
            sums.above, level, sums.width, bars, images.above, (levels.above[asked] + c) * images.width + first_bar
        )
        _add_rows(
            sums.below, level, sums.width, bars, images.below, (levels.below[asked] + c) * images.width + first_bar
        )


# ---------------------------------------------------------------- turns
@kernel
def no_crossing():
    """Before the first bar."""
    return Crossing(ZERO, ZERO, ZERO, ZERO, 0)


@kernel
def _decide(components, levels, combination, base, n, doubt, above, below):
    """Bits that the images left open, from num/den itself."""
    level = combination[TYPES]
    while doubt != ZERO:
        k = first_bit(doubt)
        doubt &= doubt - ONE
        if base + k < n:
            bit = ONE << np.uint64(k)
            average = average_at(components, combination, base + k)
            above = above | bit if average > levels.long_threshold[level] else above & ~bit
            below = below | bit if average < levels.short_threshold[level] else below & ~bit
    return above, below


@kernel
def find_turns(components, images, levels, sums, combination, order, first_bar, last_bar, crossing, turns):
    """Write the bars of a tile at which the direction turned into `turns`; how many, and what the next tile needs.

    Turns alternate, so the direction after the last tells that after each. Tiles start at whole words; `sums` are those
    of the combination over the tile.
    """
    n = components.weights.shape[1]
    level = combination[TYPES]
    delayed = levels.delayed[level]
    last = combination[order[LEVELS]]
    above_at = (levels.above[level] + last) * images.width + first_bar
    below_at = (levels.below[level] + last) * images.width + first_bar
    sums_at = (LEVELS - 1) * sums.width
    start = components.starts[last] - first_bar
    was_above, was_below = crossing.above, crossing.below
    late_up, late_down = crossing.late_up, crossing.late_down
    now = crossing.direction
    count = 0
    for base in range(max(start, 0) // WORD * WORD, last_bar - first_bar, WORD):
        above, doubt = compare64(sums.above, sums_at + base, images.above, above_at + base, 2 * _DOUBT, 2 * _DOUBT + 1)
        below, doubt_below = compare64(
            sums.below, sums_at + base, images.below, below_at + base, 2 * _DOUBT, 2 * _DOUBT + 1
        )
        doubt |= doubt_below
        if doubt != ZERO:
            above, below = _decide(components, levels, combination, first_bar + base, n, doubt, above, below)
        up = above & ~((above << ONE) | was_above)  # crossed over: was not above
        down = below & ~((below << ONE) | was_below)
        was_above = above >> TOP
        was_below = below >> TOP
        if 0 <= start - base < WORD:  # nothing is crossed before there are two averages
            known = (ALL << np.uint64(start - base)) << ONE
            up &= known
            down &= known
        if delayed:
            moved_up, moved_down = up >> TOP, down >> TOP
            up = (up << ONE) | late_up
            down = (down << ONE) | late_down
            late_up, late_down = moved_up, moved_down
            if n - first_bar - base < WORD:
                inside = ~(ALL << np.uint64(n - first_bar - base))
                up &= inside
                down &= inside
        if now == 0:
            either = up | down
            if either == ZERO:
                continue
            first = either & ~(either - ONE)
            now = -1 if up & first != ZERO else 1  # as if the opposite had been before
            up &= ~(first - ONE)
            down &= ~(first - ONE)
        wanted, other = (down, up) if now > 0 else (up, down)
        while wanted != ZERO:
            k = first_bit(wanted)
            turns[count] = first_bar + base + k
            count += 1
            now = -now
            later = other & ~(wanted ^ (wanted - ONE))
            other = wanted
            wanted = later
    return count, Crossing(was_above, was_below, late_up, late_down, now)
