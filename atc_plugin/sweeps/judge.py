"""The combinations of one column judged: what is made once for all of them, and blocks of them on threads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy import bool_, float64, int32, int64
from numpy.typing import NDArray

from ..engine import component_type
from ..law.bits import WORD
from ..law.judging import KEPT_OF_CROSSING, KEPT_OF_RUN, Batch, Column, judge_tile
from ..law.marks import MARK, judge_marked
from ..law.metrics import ACCUMULATORS
from ..law.stretches import LINE, Table, costs_of, fill_held, fill_table
from ..law.turns import TYPES, Components, Images, Levels, draw_images, scales_of
from ..law.windows import FIELDS, windows_of
from ..params import TYPES as NAMES
from ..threads import share
from .accumulated import Judged
from .planning import Plan
from .question import Trading

TILE = 2048
"""Bars of a tile at most: what its table of stretches holds should stay near the processor."""

_AGES = ((20_000, 255), (3000, 127), (800, 63), (150, 31), (0, 1))
"""Combinations for which longer stretches are worth a table; odd, so that its rows spread over the cache."""

_DEAREST = 0.4  # fees or slippage above this are left to the plain way

_SAMPLE = 4096

_GRAIN = 3_000_000  # combination-bars that a thread takes at a time: some milliseconds


class Judge:
    """Judges any combination of a plan on one column.

    Args:
        close: the column's own bars.
        components: of the plan on this column.
        plan: what combinations are made of.
        trading: how to judge.
        windows: starts and stops of ranges of the column's bars, or None.
        combinations: how many will be judged, which decides how large a table is worth while.
        plainly: judge them all the plain way.
    """

    def __init__(
        self,
        close: NDArray[float64],
        components: Components,
        plan: Plan,
        trading: Trading,
        windows: tuple[NDArray[int64], NDArray[int64]] | None = None,
        combinations: int | None = None,
        plainly: bool = False,
    ) -> None:
        bars = close.size
        self.trading = trading
        self.windows = None if windows is None else windows_of(*windows, bars)
        regular = not plainly and is_regular(close, trading)
        self.ages = ages_for(plan.size if combinations is None else combinations) if regular else 0
        costs = costs_of(trading.mode, trading.fees, trading.slippage)  # type: ignore[no-untyped-call]
        images, levels = _draw(plan, components, regular)
        ends = np.array([bars - 1]) if self.windows is None else self.windows.ends
        held = _aligned(ends.size * 2 * self.ages * LINE)
        fill_held(close, costs, ends, self.ages, held)  # type: ignore[no-untyped-call]
        self.column = Column(close, components, images, levels, costs, held)
        tiles = -(-bars // TILE) if regular else 1
        step = -(-bars // tiles // WORD) * WORD
        self.tiles = list(itertools.pairwise([*range(0, bars, step), bars])) if regular else [(0, bars)]
        self._table: Table | None = None

    def judge(self, ids: NDArray[int32], jobs: int = 1) -> Judged:
        """Accumulators of combinations (m, 7), as `Plan.ids` names them, in their order."""
        count, accumulators = len(ids), len(ACCUMULATORS)
        between = count if len(self.tiles) > 1 else 0
        batch = Batch(
            ids,
            *arranged(ids),
            np.empty((between, KEPT_OF_RUN)),
            np.empty((between, KEPT_OF_CROSSING), np.int8),
            np.empty((count, accumulators)),
        )
        trades = np.empty(0) if self.trading.trades else None
        windows, parts = (0, 0) if self.windows is None else (len(self.windows.starts), len(self.windows.ends))
        marked = self.trading.marked and self.windows is not None
        kept_parts = np.empty((between, parts, MARK) if marked else (between, parts + 1, FIELDS))
        judge_part = judge_marked if marked else judge_tile
        shape = (windows, accumulators, count) if marked else (count, windows, accumulators)
        windows_out = np.zeros(shape) if marked else np.empty(shape)
        plainly: list[int] = []
        for first_bar, last_bar in self.tiles:
            table = self._table_of(first_bar, last_bar, jobs)

            def work(first: int, last: int, table: Table = table) -> None:
                judged = judge_part(  # type: ignore[no-untyped-call]
                    self.column, table, batch, first, last, trades, self.windows, kept_parts, windows_out
                )
                plainly.append(judged)

            share(work, count, jobs, max(64, _GRAIN // (last_bar - first_bar)))
        of_windows = windows_out.transpose(2, 0, 1) if marked else windows_out
        return Judged(batch.out, of_windows, sum(plainly))

    def _table_of(self, first_bar: int, last_bar: int, jobs: int) -> Table:
        """The table of a tile; that of the only one is kept."""
        if self._table is not None and self._table.bars == (first_bar, last_bar):
            return self._table
        first = max(0, first_bar - self.ages + 1)
        rows = last_bar - first if self.ages else 0
        room = self._table.lines if self._table is not None else np.empty(0)
        if room.size < 2 * rows * self.ages * LINE:
            room = _aligned(2 * rows * self.ages * LINE)
        column = self.column
        table = Table(room, first, rows, self.ages, (first_bar, last_bar))
        share(lambda a, b: fill_table(column.close, column.costs, table, a, b), rows, jobs, 128)  # type: ignore[no-untyped-call]
        self._table = table
        return table


def is_regular(close: NDArray[float64], trading: Trading) -> bool:
    """Whether there is another way than the plain one."""
    return trading.fees < _DEAREST and trading.slippage < _DEAREST and bool((close > 0).all())


def ages_for(combinations: int) -> int:
    """From how many bars on stretches are walked rather than looked up, where so many combinations are judged."""
    return next(ages for least, ages in _AGES if combinations >= least)


def _aligned(size: int, dtype: type = float64) -> NDArray[Any]:
    """An array that starts where a cache line does: a line of a table is one of memory."""
    width = np.dtype(dtype).itemsize
    room = np.empty(size * width + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size * width].view(dtype)


def _draw(plan: Plan, components: Components, regular: bool) -> tuple[Images, Levels]:
    """Images of all components for every threshold, and where each combination of thresholds finds its own."""
    if not regular:
        unsound = np.zeros((len(plan.levels), len(plan.components)), bool_)
        return Images(np.zeros(0, int32), np.zeros(0, int32), 0, unsound), level_table(plan)
    above, above_rows, above_sound = _draw_side(plan, components, [one.long_threshold for one in plan.levels], 1.0)
    below, below_rows, below_sound = _draw_side(plan, components, [one.short_threshold for one in plan.levels], -1.0)
    images = Images(above, below, -(-components.weights.shape[1] // WORD) * WORD, above_sound & below_sound)
    return images, level_table(plan)._replace(above=above_rows, below=below_rows)


def _draw_side(
    plan: Plan, components: Components, thresholds: list[float], sign: float
) -> tuple[NDArray[int32], NDArray[int64], NDArray[bool_]]:
    """Images for one threshold of each of the levels, drawn once where it comes again."""
    count, bars = components.weights.shape
    groups = np.array([(one.regime, NAMES.index(component_type(one.average))) for one in plan.components], int64)
    distinct = list(dict.fromkeys(thresholds))
    width = -(-bars // WORD) * WORD
    images = _aligned(len(distinct) * count * width, int32).reshape(len(distinct), count, width)
    sound = np.empty((len(distinct), count), bool_)
    for place, threshold in enumerate(distinct):
        scales = scales_of(components, groups, threshold)
        sound[place] = components.sound & (scales > 0.0)
        draw_images(components, scales, threshold, sign, images[place])  # type: ignore[no-untyped-call]
    places = np.array([distinct.index(threshold) for threshold in thresholds], int64)
    return images.reshape(-1), places * count, sound[places]


def level_table(plan: Plan) -> Levels:
    """The thresholds of a plan, images aside."""
    nowhere = np.zeros(len(plan.levels), np.int64)
    return Levels(
        np.array([one.long_threshold for one in plan.levels]),
        np.array([one.short_threshold for one in plan.levels]),
        np.array([one.delayed for one in plan.levels]),
        nowhere,
        nowhere,
    )


def arranged(ids: NDArray[int32]) -> tuple[NDArray[int64], NDArray[int64]]:
    """The order in which to add the types up, and in which to go through combinations, so that most sums are shared.

    As they come, if few sums change from one to the next; otherwise sorted. The first ones speak for all.
    """
    types, levels = ids[:_SAMPLE, :TYPES], ids[:_SAMPLE, TYPES]
    changed = types[1:] != types[:-1]
    order = np.argsort(changed.sum(axis=0), kind="stable")
    added = np.zeros(len(changed), np.int64)  # how many of five sums each combination has to make anew
    for place in range(TYPES - 2, -1, -1):
        added[changed[:, order[place]]] = TYPES - 1 - place
    added[levels[1:] != levels[:-1]] = TYPES - 1
    if added.sum() <= len(types):
        return order, np.arange(len(ids))
    order = np.argsort([np.unique(column).size for column in types.T], kind="stable")
    keys = [ids[:, order[place]] for place in range(TYPES - 1, -1, -1)]
    return order, np.lexsort([*keys, ids[:, TYPES]])
