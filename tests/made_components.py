"""Components, images, tables and windows for tests of the sweep's kernels, made up rather than computed from prices.

Numpy makes everything from a generator, so that hypothesis need only draw a seed and what is to vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba.core.config import DISABLE_JIT
from numpy.random import Generator

from atc_plugin.law import judging
from atc_plugin.law.judging import KEPT_OF_CROSSING, KEPT_OF_RUN
from atc_plugin.law.metrics import ACCUMULATORS, METRICS, metrics_of
from atc_plugin.law.stretches import LINE, Costs, Table, costs_of, fill_held, fill_table
from atc_plugin.law.turns import TYPES, Components, Images, Levels, draw_images, scales_of
from atc_plugin.law.windows import FIELDS, Windows, windows_of

THRESHOLDS = [
    (0.1, -0.1),
    (0.0, 0.0),
    (0.5, 0.5),
    (-0.2, -0.9),
    (0.9, 0.2),
    (1.0, -1.0),
    (1 / 3, -1 / 3),
    (5e-324, -5e-324),
    (1e300, -1e300),
    (1.0, -1e300),
]
Threshold = tuple[float, float, bool]  # long, short, delayed


class Column(NamedTuple):
    """A column of prices and everything that combinations on it are made of."""

    close: np.ndarray
    components: Components
    groups: np.ndarray  # regime and type of each component
    images: Images
    levels: Levels


# ---------------------------------------------------------------- components
def votes(rng: Generator, count: int, n: int, held: float) -> np.ndarray:
    """Hundredths of signals, int8 (count, n), each bar's kept from the one before with probability `held`."""
    sides = rng.integers(-1, 2, (count, n))
    values = np.where(sides == 0, rng.integers(-49, 50, (count, n)), sides * rng.integers(50, 101, (count, n)))
    for t in range(1, n):
        same = rng.random(count) < held
        values[same, t] = values[same, t - 1]
    return values.astype(np.int8)


def weights(rng: Generator, count: int, n: int, kind: str) -> np.ndarray:
    """Equities above zero, (count, n)."""
    if kind == "whole":  # averages are small fractions
        return rng.integers(1, 5, (count, n)).astype(float)
    if kind == "denormal":
        return rng.integers(1, 100, (count, n)) * 5e-324
    if kind == "unlike":  # one component outweighs all others
        return 10.0 ** rng.integers(-12, 13, (count, 1)) * np.exp(rng.normal(0, 0.1, (count, n)))
    spread, scale = {"near one": (0.5, 1.0), "wide": (6.0, 1.0), "tiny": (0.5, 1e-280), "huge": (0.5, 1e290)}[kind]
    return scale * np.exp(rng.normal(0, spread, (count, n)))


WEIGHTS = ("near one", "whole", "wide", "unlike", "tiny", "huge", "denormal")


def components_from(signals: np.ndarray, equities: np.ndarray, start: int) -> Components:
    """Components that start at one bar, as those of one regime do."""
    count = len(equities)
    signals, equities = signals.copy(), equities.copy()
    signals[:, :start] = 0
    equities[:, :start] = np.nan
    sound = np.array([bool(np.isfinite(row[start:]).all()) for row in equities])
    return Components(signals, equities, np.full(count, start, np.int64), sound)


def types_of(sizes: Sequence[int]) -> np.ndarray:
    """Groups of components listed type by type, all of one regime."""
    return np.stack([np.zeros(sum(sizes), np.int64), np.repeat(np.arange(TYPES), sizes)], axis=1)


def made_components(rng: Generator, n: int, sizes: Sequence[int], start: int, kind: str, held: float) -> Components:
    """So many components of each type."""
    count = sum(sizes)
    return components_from(votes(rng, count, n, held), weights(rng, count, n, kind), start)


def every_id(sizes: Sequence[int], levels: int = 1) -> np.ndarray:
    """All combinations in grid order, (m, 7) int32."""
    firsts = np.cumsum([0, *sizes])[:TYPES]
    shape = (levels, *sizes)
    places = np.stack(np.unravel_index(np.arange(int(np.prod(shape))), shape), axis=1)
    return np.concatenate([places[:, 1:] + firsts, places[:, :1]], axis=1).astype(np.int32)


def some_ids(rng: Generator, sizes: Sequence[int], levels: int, count: int) -> np.ndarray:
    """Combinations at random."""
    firsts = np.cumsum([0, *sizes])[:TYPES]
    digits = [rng.integers(0, size, count) for size in (*sizes, levels)]
    return np.stack([*(d + first for d, first in zip(digits, (*firsts, 0), strict=True))], axis=1).astype(np.int32)


def column_of(close: np.ndarray, components: Components, groups: np.ndarray, thresholds: Sequence[Threshold]) -> Column:
    """Images of all components for every threshold."""
    count, n = components.weights.shape
    width = -(-n // 64) * 64
    drawn, rows, sound = [], [], []
    for side, sign in ((0, 1.0), (1, -1.0)):
        distinct = list(dict.fromkeys(entry[side] for entry in thresholds))
        images = np.empty((len(distinct) * count, width), np.int32)
        sure = []
        for place, level in enumerate(distinct):
            scales = scales_of(components, groups, level)
            sure.append(components.sound & (scales > 0))
            draw_images(components, scales, level, sign, images[place * count : (place + 1) * count])
        places = [distinct.index(entry[side]) for entry in thresholds]
        drawn.append(images.reshape(-1))
        rows.append(np.array(places, np.int64) * count)
        sound.append(np.array([sure[place] for place in places]))
    levels = Levels(
        np.array([entry[0] for entry in thresholds]),
        np.array([entry[1] for entry in thresholds]),
        np.array([entry[2] for entry in thresholds]),
        *rows,
    )
    return Column(close, components, groups, Images(*drawn, width, sound[0] & sound[1]), levels)


# ---------------------------------------------------------------- prices that break shortcuts
FAMILIES = ("like real", "random", "mixed", "moon", "crash", "ticks", "ties", "heavy", "dear", "cheap", "fine", "jumps")


class Family(NamedTuple):
    """A column of a family, and how many components of each type it has."""

    column: Column
    sizes: list[int]


def _like_real(rng: Generator, close: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Which side of their averages prices are on, and what that earned."""
    count, n = sum(sizes), close.size
    signals, equities = np.zeros((count, n), np.int8), np.ones((count, n))
    sums = np.concatenate([[0.0], np.cumsum(close)])
    for c in range(count):
        length = int(rng.integers(2, 40))
        t = np.arange(n)
        average = (sums[t + 1] - sums[np.maximum(t + 1 - length, 0)]) / np.minimum(t + 1, length)
        side = np.sign(close - average)
        signals[c] = 100 * side
        equities[c, 1:] = np.maximum(np.cumprod(0.9997 * (1 + side[:-1] * (close[1:] / close[:-1] - 1))), 0.25)
    return signals, equities


def family(
    name: str, rng: Generator, delayed: bool = False, bars: Sequence[int] | None = None, thresholds: Any = None
) -> Family:
    """A column of one of the FAMILIES."""
    lengths = (2, 3, 63, 64, 65, 90, 128) if DISABLE_JIT else (2, 3, 63, 64, 65, 128, 200, 700)
    n = int(rng.choice(lengths if bars is None else bars))
    sizes = [int(size) for size in rng.integers(1, 5, TYPES)]
    noise = {"fine": 1e-5, "random": 0.012, "mixed": 0.012, "like real": 0.012}.get(name, 0.03)
    steps = rng.normal({"moon": 0.05, "crash": -0.05}.get(name, 0.0), noise, n)
    if name == "jumps":  # quiet but for a few days
        steps = np.where(rng.random(n) < 0.03, rng.normal(0, 0.3, n), rng.normal(0, rng.choice([1e-3, 1e-4, 1e-5]), n))
    close = 100 * np.exp(np.cumsum(steps))
    if name == "ticks":  # break-even trades, returns of nothing
        close = np.maximum(np.round(close), 1.0)
    if name in ("dear", "cheap"):  # orders next to the smallest there are
        close *= 10.0 ** (rng.integers(3, 10) if name == "dear" else -rng.integers(3, 12))
    start = int(rng.integers(0, max(1, n // 3)))
    if name == "like real":
        components = components_from(*_like_real(rng, close, sizes), start)
    else:
        kind = {"ties": "whole", "heavy": "wide"}.get(name, "near one")
        held = {"random": 0.0, "mixed": 0.9}.get(name, float(rng.choice([0.5, 0.9, 0.99])))
        components = made_components(rng, n, sizes, start, kind, held)
    thresholds = [(0.1, -0.1, delayed)] if thresholds is None else thresholds
    return Family(column_of(close, components, types_of(sizes), thresholds), sizes)


# ---------------------------------------------------------------- judging
class Asked(NamedTuple):
    """How combinations are to be judged."""

    mode: int = 0
    fees: float = 0.0
    slippage: float = 0.0
    ages: int = 63  # 0: the plain way
    cuts: tuple[int, ...] = ()  # bars where tiles begin, whole words, beside 0
    trades: bool = True
    windows: tuple[np.ndarray, np.ndarray] | None = None  # starts and stops
    order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)


class Verdicts(NamedTuple):
    """What came of it."""

    whole: np.ndarray  # (m, 12)
    windows: np.ndarray  # (m, windows, 12)
    plainly: int
    flags: np.ndarray  # (m,) int: how often the plain way judged each; of chunks, their sums at the first place


def costs_for(asked: Asked) -> Costs:
    return costs_of(asked.mode, asked.fees, asked.slippage)


def table_for(close: np.ndarray, costs: Costs, ages: int, bars: tuple[int, int]) -> Table:
    """Lines of the stretches that end in these bars."""
    first = max(0, bars[0] - ages + 1)
    rows = bars[1] - first if ages else 0
    table = Table(np.full(2 * rows * ages * LINE, -7.0), first, rows, ages, bars)
    fill_table(close, costs, table, 0, rows)
    return table


def judged(
    column: Column, ids: np.ndarray, asked: Asked, sequence: np.ndarray | None = None, chunk: int | None = None
) -> Verdicts:
    """Judge combinations, going through them in `sequence`, so many with a call; tile by tile if there are cuts."""
    close, n, m = column.close, column.close.size, len(ids)
    costs = costs_for(asked)
    windows: Windows | None = None
    ends = np.array([n - 1])
    if asked.windows is not None:
        windows = windows_of(*asked.windows, n)
        ends = windows.ends
    held = np.full(ends.size * 2 * asked.ages * LINE, -7.0)
    fill_held(close, costs, ends, asked.ages, held)
    cuts = [0, *(cut for cut in asked.cuts if cut < n), n]
    out = np.full((m, len(ACCUMULATORS)), -7.0)
    windows_out = np.full((m, 0 if windows is None else len(windows.starts), len(ACCUMULATORS)), -7.0)
    kept = m if len(cuts) > 2 else 0
    numbers, words = np.full((kept, KEPT_OF_RUN), -7.0), np.full((kept, KEPT_OF_CROSSING), -7, np.int8)
    parts = np.full((kept, ends.size + 1, FIELDS), -7.0)
    sequence = np.arange(m) if sequence is None else sequence
    shared = judging.Column(close, column.components, column.images, column.levels, costs, held)
    batch = judging.Batch(ids, np.array(asked.order), sequence, numbers, words, out)
    trades = np.empty(0) if asked.trades else None
    flags = np.zeros(m, int)
    for bars in pairwise(cuts):
        table = table_for(close, costs, asked.ages, bars)
        for first in range(0, m, chunk or m):
            last = min(first + (chunk or m), m)
            flags[sequence[first]] += judging.judge_tile(
                shared, table, batch, first, last, trades, windows, parts, windows_out
            )
    return Verdicts(out, windows_out, int(flags.sum()), flags)


def relative(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Relative differences: 0 where both are the same NaN or infinity, inf where only one is."""
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(all="ignore"):
        difference = np.abs(got - expected) / np.maximum(np.abs(got), np.abs(expected))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))


LEAN = ("total_return", "annualized_return", "sharpe_ratio", "max_drawdown", "calmar_ratio", "total_trades")
"""Metrics that need no accumulators of single trades."""


def assert_close_metrics(
    got: np.ndarray, expected: np.ndarray, bars: int, names: Sequence[str] = METRICS, what: object = ""
) -> None:
    """All metrics of accumulators (m, 12) within 1e-9, NaN and infinities alike."""
    ours, theirs = metrics_of(got, bars, 365.0), metrics_of(expected, bars, 365.0)
    for name in names:
        difference = relative(ours[name], theirs[name])
        worst = int(difference.argmax()) if difference.size else 0
        assert not difference.size or difference[worst] <= 1e-9, (
            f"{what} {name} of combination {worst}: {ours[name][worst]!r}, expected {theirs[name][worst]!r}"
        )
