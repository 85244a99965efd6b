"""Columns made ready on a device, and combinations judged on them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..accel.engines import Engine, tables_on
from ..accel.judging import (
    JudgingTables,
    accumulators_on,
    judging_tables,
    no_windows,
    stretches_on,
    window_tables,
    windows_on,
)
from ..accel.tables import PassTables, pass_bytes, pass_tables
from ..accel.turns import WORD, LevelTables, images_on, level_tables, turns_on
from ..law.metrics import ACCUMULATORS
from ..law.stretches import LINE, costs_of
from ..law.windows import FIELDS, windows_of
from ..params import TYPES
from ..prices import Prices
from .accumulated import Judged
from .components import wanted_by
from .device_components import prices_and_components_on
from .judge import ages_for, arranged
from .planning import Plan
from .question import Question

_SHARE = 4  # a table of stretches takes no more than one part in so many of the memory


class Tables(NamedTuple):
    """What all columns of a sweep read beside their prices."""

    passes: PassTables
    levels: LevelTables


class Sweep:
    """What is asked of every column, on the host.

    Args:
        prices: columns that have bars.
        plan: what combinations are made of.
        question: how to judge.
    """

    def __init__(self, prices: Prices, plan: Plan, question: Question) -> None:
        self.prices, self.plan, self.question = prices, plan, question
        self.bars = int(prices.counts.max())
        self.tables = Tables(
            pass_tables(wanted_by(plan), plan.regimes, self.bars), level_tables(*zip(*plan.levels, strict=True))
        )
        trading = question.trading
        self.costs = costs_of(trading.mode, trading.fees, trading.slippage)  # type: ignore[no-untyped-call]

    @property
    def column_bytes(self) -> int:
        """What a column takes on a device at most, its table of stretches aside."""
        passes, levels = self.tables
        components, words = passes.regimes.starts.size, -(-self.bars // WORD)
        images = 4 * WORD * words * components * (levels.above.size + levels.below.size)
        return pass_bytes(passes, self.bars, self.prices.source is not self.prices.close) + images

    @property
    def combination_bytes(self) -> int:
        """What a combination takes beside, for each column."""
        windows = len(self.question.windows)
        parts = 2 * windows + 1 if windows else 0
        ids, flags = 4 * (len(TYPES) + 1), 4
        return ids + flags + 4 * -(-self.bars // WORD) + self.answer_bytes + 8 * FIELDS * parts

    @property
    def answer_bytes(self) -> int:
        """What of that is brought to the host."""
        return 8 * len(ACCUMULATORS) * (1 + len(self.question.windows))

    def stretch_bytes(self, ages: int) -> int:
        """What the table of a column's stretches takes."""
        return ages * 2 * LINE * 8 * (self.bars + len(self.question.windows) * 2 + 1)

    def ages(self, combinations: int, memory: int) -> int:
        """From how many bars on stretches are walked, for so many combinations and a column within so much memory."""
        return max(1, min(ages_for(combinations), memory // _SHARE // self.stretch_bytes(1)))


class Folded(NamedTuple):
    """Accumulators of one column, and for which of its combinations they will not do."""

    judged: Judged
    unsure: NDArray[np.bool_]  # over all bars
    plainly: NDArray[np.int64]  # those, and those that are unsure over some window

    def complete(self, plain: Judged) -> Judged:
        """Put in what the plain way gave for `plainly`."""
        self.judged.whole[self.unsure] = plain.whole[self.unsure[self.plainly]]
        self.judged.windows[self.plainly] = plain.windows
        return self.judged


class Columns:
    """Some columns on a device, ready for any of their combinations.

    Everything is begun in the stream that is current; what reads it in another has to wait for that.

    Args:
        engine: the device.
        sweep: what is asked.
        tables: the sweep's, on the device.
        columns: numbers of the columns.
        ages: from how many bars on stretches are walked.
    """

    def __init__(self, engine: Engine, sweep: Sweep, tables: Tables, columns: Sequence[int], ages: int) -> None:
        self._engine, self._sweep, self._tables = engine, sweep, tables
        self._columns = list(columns)
        regimes = tables.passes.regimes
        self._prices, self._components = prices_and_components_on(
            engine, sweep.prices, self._columns, sweep.bars, tables.passes
        )
        self._images = images_on(engine, self._prices, self._components, regimes, tables.levels)
        self._judging = tables_on(engine, self._judging_tables())
        self._stretches = stretches_on(engine, self._prices, self._judging, ages)

    def _judging_tables(self) -> JudgingTables:
        prices, question = self._sweep.prices, self._sweep.question
        counts = prices.counts[self._columns]
        windows = no_windows(counts)
        own = [question.own_windows(prices, column) for column in self._columns]
        if question.windows:
            windows = window_tables(
                [windows_of(*edges, int(bars)) for edges, bars in zip(own, counts, strict=True) if edges is not None]
            )
        highest = np.array([prices.own(column)[0].max() for column in self._columns])
        return judging_tables(
            self._sweep.costs, np.ones(counts.size, np.int8), highest, windows, trades=question.trades
        )

    def judged(self, ids: NDArray[np.int32]) -> Callable[[], list[Folded]]:
        """Begin to judge combinations (m, 7); what it returns waits and gives what came out, column by column."""
        engine, tables = self._engine, self._tables
        _, sequence = arranged(ids)
        is_arranged = bool((sequence[1:] > sequence[:-1]).all())
        on_engine = engine.taken(ids if is_arranged else ids[sequence])
        turns = turns_on(
            engine, self._prices, self._components, tables.passes.regimes, tables.levels, self._images, on_engine
        )
        outputs = [accumulators_on(engine, self._prices, turns, self._stretches, self._judging)]
        if self._sweep.question.windows:
            outputs.append(windows_on(engine, self._prices, turns, self._stretches, self._judging))
        coming = [engine.bringing(array) for output in outputs for array in output]

        def finish() -> list[Folded]:
            _ = turns, on_engine  # a slot's memory is not to be given out again before its kernels have read it
            arrived = [there() for there in coming]
            if not is_arranged:
                back = np.empty_like(sequence)
                back[sequence] = np.arange(sequence.size)
                arrived = [array[..., back] for array in arrived]
            return [_folded(place, *arrived) for place in range(len(self._columns))]

        return finish


def _folded(
    place: int,
    values: NDArray[np.float64],
    sure: NDArray[np.int8],
    window_values: NDArray[np.float64] | None = None,
    window_sure: NDArray[np.int8] | None = None,
) -> Folded:
    """What came of one column."""
    unsure = sure[place] == 0
    windows, any_unsure = np.empty((unsure.size, 0, values.shape[1])), unsure
    if window_values is not None and window_sure is not None:
        windows, any_unsure = window_values[place].transpose(2, 0, 1), unsure | (window_sure[place] == 0)
    return Folded(Judged(values[place].T, windows, int(any_unsure.sum())), unsure, np.flatnonzero(any_unsure))
